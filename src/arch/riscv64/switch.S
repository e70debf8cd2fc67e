/* The switch between fibers on riscv64; frame.h draws the frame that it writes and reads.
 *
 * It leaves by `jr t2`, not by `ret`: a jump through ra pops the return predictor (RISC-V
 * Unprivileged ISA, 2.5.1 "Unconditional Jumps", table of hints), which knows only where the switch
 * was called from; a jump through t2 leaves it alone, and needs no landing pad where it arrives
 * (Zicfilp: t2 is for jumps that software guards). The CFI holds at every instruction, whichever
 * stack sp is on: both have the same frame on top. */
#include "frame.h"

/* All that are preserved: s0-s11 and fs0-fs11. */
	.macro	each, do
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
	\do	\n
	.endr
	.endm

	.macro	save, n
	sd	s\n, WHORL__FRAME_S0 + 8 * \n(sp)
	.cfi_rel_offset s\n, WHORL__FRAME_S0 + 8 * \n
	fsd	fs\n, WHORL__FRAME_FS0 + 8 * \n(sp)
	.cfi_rel_offset fs\n, WHORL__FRAME_FS0 + 8 * \n
	.endm

	.macro	load, n
	ld	s\n, WHORL__FRAME_S0 + 8 * \n(sp)
	.cfi_restore s\n
	fld	fs\n, WHORL__FRAME_FS0 + 8 * \n(sp)
	.cfi_restore fs\n
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
	addi	sp, sp, -WHORL__FRAME_SIZE
	.cfi_adjust_cfa_offset WHORL__FRAME_SIZE
	sd	ra, WHORL__FRAME_RA(sp)
	.cfi_rel_offset ra, WHORL__FRAME_RA
	each	save
	sd	sp, (a0)
	mv	sp, a1
	mv	a0, a2
	ld	t2, WHORL__FRAME_RA(sp)
	.cfi_register ra, t2
	each	load
	addi	sp, sp, WHORL__FRAME_SIZE
	.cfi_adjust_cfa_offset -WHORL__FRAME_SIZE
	jr	t2
	.cfi_endproc
	.size	whorl__switch, . - whorl__switch
	.size	whorl__switch_int, . - whorl__switch_int

/* Where a fiber begins, and where every backtrace of it ends: the rule for ra says that there is no
 * caller. Unwinders look up the address before the one returned to, so the nop before the entry is
 * within these rules too. */
	.globl	whorl__fiber_start
	.hidden	whorl__fiber_start
	.type	whorl__fiber_start, @function
	.p2align 4
whorl__fiber_start:
	.cfi_startproc
	.cfi_undefined ra
	.option	push
	.option	norvc
	nop
	.option	pop
	.if	. - whorl__fiber_start - WHORL__START_SKIP
	.error	"WHORL__START_SKIP"
	.endif
	mv	a1, a0
	mv	a0, s2
	jalr	s1
	unimp						/* the entry function does not return */
	.cfi_endproc
	.size	whorl__fiber_start, . - whorl__fiber_start

	.section .note.GNU-stack, "", @progbits
