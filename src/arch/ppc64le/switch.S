/* The switch between fibers on ppc64le; frame.h draws the frame that it writes and reads.
 *
 * Both functions have one entry point and leave r2 as it was (ELF V2 ABI, "Symbol Table", st_other
 * 0): they may be called from any part of a program with several TOCs. The CFI holds at every
 * instruction, whichever stack r1 is on: both have the same frame on top. */
#include "frame.h"

	.abiversion 2

/* Registers 77-108 of DWARF are v0-v31, 68-75 are cr0-cr7, as gcc counts them in .eh_frame. */
	.macro	save_scalar, n
	std	\n, WHORL__FRAME_R14 + 8 * (\n - 14)(1)
	.cfi_rel_offset \n, WHORL__FRAME_R14 + 8 * (\n - 14)
	stfd	\n, WHORL__FRAME_F14 + 8 * (\n - 14)(1)
	.cfi_rel_offset 32 + \n, WHORL__FRAME_F14 + 8 * (\n - 14)
	.endm

	.macro	load_scalar, n
	ld	\n, WHORL__FRAME_R14 + 8 * (\n - 14)(1)
	.cfi_restore \n
	lfd	\n, WHORL__FRAME_F14 + 8 * (\n - 14)(1)
	.cfi_restore 32 + \n
	.endm

	.macro	save_vector, n
	li	0, WHORL__FRAME_V20 + 16 * (\n - 20)
	stvx	\n, 1, 0
	.cfi_rel_offset 77 + \n, WHORL__FRAME_V20 + 16 * (\n - 20)
	.endm

	.macro	load_vector, n
	li	0, WHORL__FRAME_V20 + 16 * (\n - 20)
	lvx	\n, 1, 0
	.cfi_restore 77 + \n
	.endm

	.macro	each_vector, do
	.irp	n, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	\do	\n
	.endr
	.endm

/* General and floating-point. */
	.macro	each_scalar, do
	.irp	n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	\do	\n
	.endr
	.endm

	.text

/* void *whorl__switch(void **from, void *to, void *value), and the same that returns int */
	.globl	whorl__switch, whorl__switch_int
	.hidden	whorl__switch, whorl__switch_int
	.type	whorl__switch, @function
	.type	whorl__switch_int, @function
	.p2align 4
whorl__switch:
whorl__switch_int:
	.cfi_startproc
	mflr	0
	std	0, WHORL__CALLER_LR(1)
	.cfi_rel_offset lr, WHORL__CALLER_LR
	mfcr	0
	stw	0, WHORL__CALLER_CR(1)
	.irp	n, 70, 71, 72
	.cfi_rel_offset \n, WHORL__CALLER_CR
	.endr
	stdu	1, -WHORL__FRAME_SIZE(1)
	.cfi_adjust_cfa_offset WHORL__FRAME_SIZE
	std	2, WHORL__FRAME_R2(1)
	.cfi_rel_offset 2, WHORL__FRAME_R2
	each_scalar save_scalar
	each_vector save_vector
	std	1, 0(3)
	mr	1, 4
	mr	3, 5
	each_scalar load_scalar
	each_vector load_vector
	ld	2, WHORL__FRAME_R2(1)
	.cfi_restore 2
	addi	1, 1, WHORL__FRAME_SIZE
	.cfi_adjust_cfa_offset -WHORL__FRAME_SIZE
	lwz	0, WHORL__CALLER_CR(1)
	mtcrf	0x38, 0					/* cr2-cr4 */
	.irp	n, 70, 71, 72
	.cfi_restore \n
	.endr
	ld	0, WHORL__CALLER_LR(1)
	mtlr	0
	.cfi_restore lr
	blr
	.cfi_endproc
	.size	whorl__switch, . - whorl__switch
	.size	whorl__switch_int, . - whorl__switch_int

/* Where a fiber begins, and where every backtrace of it ends: the rule for LR says that there is no
 * caller, and the back chain is 0. Unwinders look up the address before the one returned to, so the
 * nop before the entry is within these rules too. A function finds its TOC from its own address, in
 * r12. */
	.globl	whorl__fiber_start
	.hidden	whorl__fiber_start
	.type	whorl__fiber_start, @function
	.p2align 4
whorl__fiber_start:
	.cfi_startproc
	.cfi_undefined lr
	nop
	.if	. - whorl__fiber_start - WHORL__START_SKIP
	.error	"WHORL__START_SKIP"
	.endif
	mr	4, 3
	mr	3, 15
	mr	12, 14
	mtctr	12
	bctrl
	trap						/* the entry function does not return */
	.cfi_endproc
	.size	whorl__fiber_start, . - whorl__fiber_start

	.section .note.GNU-stack, "", @progbits
