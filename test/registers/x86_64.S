/* System V AMD64 psABI, 3.2.1 "Registers and the Stack Frame": rbx, rbp, r12-r15. */

	.text
	.globl	call_with_registers
	.type	call_with_registers, @function
call_with_registers:
	endbr64
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushq	%rsi				/* rsp is now a multiple of 16 */
	movq	(%rdi), %rbx
	movq	8(%rdi), %rbp
	movq	16(%rdi), %r12
	movq	24(%rdi), %r13
	movq	32(%rdi), %r14
	movq	40(%rdi), %r15
	call	*%rdx
	popq	%rsi
	movq	%rbx, (%rsi)
	movq	%rbp, 8(%rsi)
	movq	%r12, 16(%rsi)
	movq	%r13, 24(%rsi)
	movq	%r14, 32(%rsi)
	movq	%r15, 40(%rsi)
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret
	.size	call_with_registers, . - call_with_registers

	.section .rodata
	.globl	registers_size, landing_pad, landing_pad_size
	.p2align 2
registers_size:
	.long	48
landing_pad_size:
	.long	4
landing_pad:
	endbr64

	.section .note.GNU-stack, "", @progbits
