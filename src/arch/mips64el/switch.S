/* The switch between fibers on mips64el; frame.h draws the frame that it writes and reads.
 *
 * gp is the caller's in N64, and is kept like the rest; neither function here needs it, so they are
 * the same in a program and in a library. The CFI holds at every instruction, whichever stack sp is
 * on: both have the same frame on top. The one behind a jump is run before its target. */
#include "frame.h"

/* Registers 32-63 of DWARF are f0-f31. */
	.macro	save, n, at
	sd	$\n, \at($sp)
	.cfi_rel_offset \n, \at
	.endm

	.macro	load, n, at
	ld	$\n, \at($sp)
	.cfi_restore \n
	.endm

	.macro	save_fpr, n
	sdc1	$f\n, WHORL__FRAME_F24 + 8 * (\n - 24)($sp)
	.cfi_rel_offset 32 + \n, WHORL__FRAME_F24 + 8 * (\n - 24)
	.endm

	.macro	load_fpr, n
	ldc1	$f\n, WHORL__FRAME_F24 + 8 * (\n - 24)($sp)
	.cfi_restore 32 + \n
	.endm

	.text
	.set	noreorder

/* void *whorl__switch(void **from, void *to, void *value), and the same that returns int */
	.globl	whorl__switch, whorl__switch_int
	.hidden	whorl__switch, whorl__switch_int
	.type	whorl__switch, @function
	.type	whorl__switch_int, @function
	.p2align 4
whorl__switch:
whorl__switch_int:
	.cfi_startproc
	daddiu	$sp, $sp, -WHORL__FRAME_SIZE
	.cfi_adjust_cfa_offset WHORL__FRAME_SIZE
	.irp	n, 16, 17, 18, 19, 20, 21, 22, 23
	save	\n, WHORL__FRAME_S0 + 8 * (\n - 16)
	.endr
	save	28, WHORL__FRAME_GP
	save	30, WHORL__FRAME_FP
	save	31, WHORL__FRAME_RA
	.irp	n, 24, 25, 26, 27, 28, 29, 30, 31
	save_fpr \n
	.endr
	sd	$sp, 0($4)
	move	$sp, $5
	move	$2, $6
	.irp	n, 16, 17, 18, 19, 20, 21, 22, 23
	load	\n, WHORL__FRAME_S0 + 8 * (\n - 16)
	.endr
	load	28, WHORL__FRAME_GP
	load	30, WHORL__FRAME_FP
	load	31, WHORL__FRAME_RA
	.irp	n, 24, 25, 26, 27, 28, 29, 30, 31
	load_fpr \n
	.endr
	jr	$31
	 daddiu	$sp, $sp, WHORL__FRAME_SIZE
	.cfi_endproc
	.size	whorl__switch, . - whorl__switch
	.size	whorl__switch_int, . - whorl__switch_int

/* Where a fiber begins, and where every backtrace of it ends: the rule for ra says that there is no
 * caller. Unwinders look up the address before the one returned to, so the nop before the entry is
 * within these rules too. Position-independent functions find their gp from their own address, in
 * t9. */
	.globl	whorl__fiber_start
	.hidden	whorl__fiber_start
	.type	whorl__fiber_start, @function
	.p2align 4
whorl__fiber_start:
	.cfi_startproc
	.cfi_undefined 31
	nop
	.if	. - whorl__fiber_start - WHORL__START_SKIP
	.error	"WHORL__START_SKIP"
	.endif
	move	$5, $2
	move	$25, $16
	jalr	$25
	 move	$4, $17
	break						/* the entry function does not return */
	.cfi_endproc
	.size	whorl__fiber_start, . - whorl__fiber_start

	.section .note.GNU-stack, "", @progbits
