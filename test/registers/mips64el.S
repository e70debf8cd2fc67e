/* MIPSpro N32 ABI Handbook, table 2-1 "Native 64-Bit and N32 Interface Register Conventions": s0-s7,
 * gp, fp, f24-f31. */

/* All of them to or from memory. */
	.macro	all insn, fp_insn, base
	.irp	n, 16, 17, 18, 19, 20, 21, 22, 23
	\insn	$\n, 8 * (\n - 16)(\base)
	.endr
	\insn	$28, 64(\base)
	\insn	$30, 72(\base)
	.irp	n, 24, 25, 26, 27, 28, 29, 30, 31
	\fp_insn $f\n, 80 + 8 * (\n - 24)(\base)
	.endr
	.endm

	.text
	.set	noreorder
	.globl	call_with_registers
	.type	call_with_registers, @function
call_with_registers:
	daddiu	$sp, $sp, -160
	sd	$31, 144($sp)
	sd	$5, 152($sp)
	all	sd, sdc1, $sp
	all	ld, ldc1, $4
	move	$25, $6
	jalr	$25
	 nop
	ld	$5, 152($sp)
	all	sd, sdc1, $5
	all	ld, ldc1, $sp
	ld	$31, 144($sp)
	jr	$31
	 daddiu	$sp, $sp, 160
	.size	call_with_registers, . - call_with_registers

	.section .rodata
	.globl	registers_size, landing_pad, landing_pad_size
	.p2align 2
registers_size:
	.long	144
landing_pad_size:
	.long	0
landing_pad:

	.section .note.GNU-stack, "", @progbits
