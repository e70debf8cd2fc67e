/* 64-Bit ELF V2 ABI Specification 1.4, "Register Roles": r14-r31, f14-f31, v20-v31, cr2-cr4. r2 is left
 * out: whoever is called has one of its own, or none. */

/* All but cr2-cr4 to or from memory. Registers 32-63 of VSX are v0-v31; its instructions take any
 * address. */
	.macro	all r_insn, f_insn, v_insn, base, at
	.irp	n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	\r_insn	\n, \at + 8 * (\n - 14)(\base)
	\f_insn	\n, \at + 144 + 8 * (\n - 14)(\base)
	.endr
	.irp	n, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	li	0, \at + 288 + 16 * (\n - 20)
	\v_insn	32 + \n, \base, 0
	.endr
	.endm

	.abiversion 2
	.text
	.globl	call_with_registers
	.type	call_with_registers, @function
call_with_registers:
	mflr	0
	std	0, 16(1)
	mfcr	0
	stw	0, 8(1)
	stdu	1, -528(1)
	std	2, 24(1)
	all	std, stfd, stxvd2x, 1, 32
	std	3, 512(1)
	std	4, 520(1)
	all	ld, lfd, lxvd2x, 3, 0
	lwz	0, 480(3)
	mtcrf	0x38, 0
	mr	12, 5
	mtctr	12
	bctrl
	ld	2, 24(1)
	ld	3, 512(1)
	ld	4, 520(1)
	lwz	5, 480(3)
	mfcr	0
	rlwimi	5, 0, 0, 8, 19			/* cr2-cr4 are these bits of the whole */
	stw	5, 480(4)
	all	std, stfd, stxvd2x, 4, 0
	all	ld, lfd, lxvd2x, 1, 32
	addi	1, 1, 528
	lwz	0, 8(1)
	mtcrf	0x38, 0
	ld	0, 16(1)
	mtlr	0
	blr
	.size	call_with_registers, . - call_with_registers

	.section .rodata
	.globl	registers_size, landing_pad, landing_pad_size
	.p2align 2
registers_size:
	.long	484
landing_pad_size:
	.long	0
landing_pad:

	.section .note.GNU-stack, "", @progbits
