/* s390x ELF ABI Supplement 1.6, "Register Preservation Rules": r6-r13, f8-f15. */

/* Those of floating point, to or from memory. */
	.macro	all_fpr insn, base, at
	.irp	n, 8, 9, 10, 11, 12, 13, 14, 15
	\insn	%f\n, \at + 8 * (\n - 8)(\base)
	.endr
	.endm

	.text
	.globl	call_with_registers
	.type	call_with_registers, @function
call_with_registers:
	stmg	%r6, %r15, 48(%r15)
	aghi	%r15, -232
	stg	%r3, 160(%r15)
	all_fpr	std, %r15, 168
	lmg	%r6, %r13, 0(%r2)
	all_fpr	ld, %r2, 64
	basr	%r14, %r4
	lg	%r3, 160(%r15)
	stmg	%r6, %r13, 0(%r3)
	all_fpr	std, %r3, 64
	all_fpr	ld, %r15, 168
	lmg	%r6, %r15, 232 + 48(%r15)
	br	%r14
	.size	call_with_registers, . - call_with_registers

	.section .rodata
	.globl	registers_size, landing_pad, landing_pad_size
	.p2align 2
registers_size:
	.long	128
landing_pad_size:
	.long	0
landing_pad:

	.section .note.GNU-stack, "", @progbits
