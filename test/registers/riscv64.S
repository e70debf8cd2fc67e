/* RISC-V psABI, 1.1 "Integer Register Convention": s0-s11; 1.2 "Floating-point Register
 * Convention": fs0-fs11, 64 bits of them in lp64d. */

/* All of them to or from memory. */
	.macro	all insn, fp_insn, base
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
	\insn	s\n, 8 * \n(\base)
	\fp_insn fs\n, 96 + 8 * \n(\base)
	.endr
	.endm

	.text
	.globl	call_with_registers
	.type	call_with_registers, @function
call_with_registers:
	addi	sp, sp, -208
	sd	ra, 192(sp)
	sd	a1, 200(sp)
	all	sd, fsd, sp
	all	ld, fld, a0
	jalr	a2
	ld	a1, 200(sp)
	all	sd, fsd, a1
	all	ld, fld, sp
	ld	ra, 192(sp)
	addi	sp, sp, 208
	ret
	.size	call_with_registers, . - call_with_registers

	.section .rodata
	.globl	registers_size, landing_pad, landing_pad_size
	.p2align 2
registers_size:
	.long	192
landing_pad_size:
	.long	0
landing_pad:

	.section .note.GNU-stack, "", @progbits
