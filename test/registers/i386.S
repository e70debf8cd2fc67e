/* System V i386 psABI, 2.2.1 "Registers and the Stack Frame": ebx, esi, edi, ebp. */

	.text
	.globl	call_with_registers
	.type	call_with_registers, @function
call_with_registers:
	endbr32
	pushl	%ebx
	pushl	%esi
	pushl	%edi
	pushl	%ebp
	movl	20(%esp), %eax			/* in */
	movl	28(%esp), %ecx			/* fn */
	subl	$12, %esp			/* esp is now a multiple of 16 */
	movl	(%eax), %ebx
	movl	4(%eax), %esi
	movl	8(%eax), %edi
	movl	12(%eax), %ebp
	call	*%ecx
	addl	$12, %esp
	movl	24(%esp), %eax			/* out */
	movl	%ebx, (%eax)
	movl	%esi, 4(%eax)
	movl	%edi, 8(%eax)
	movl	%ebp, 12(%eax)
	popl	%ebp
	popl	%edi
	popl	%esi
	popl	%ebx
	ret
	.size	call_with_registers, . - call_with_registers

	.section .rodata
	.globl	registers_size, landing_pad, landing_pad_size
	.p2align 2
registers_size:
	.long	16
landing_pad_size:
	.long	4
landing_pad:
	endbr32

	.section .note.GNU-stack, "", @progbits
