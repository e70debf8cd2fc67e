/* The switch between fibers on s390x; frame.h draws the frame that it writes and reads.
 *
 * The general registers need no frame: a caller has room for them at the lower end of its own. The
 * CFI holds at every instruction, whichever stack r15 is on: both have the same frame on top. The
 * canonical frame address of s390x is 160 bytes above r15 at a function's entry. */
#include "frame.h"

	.macro	save_fpr, n
	std	%f\n, WHORL__FRAME_F8 + 8 * (\n - 8)(%r15)
	.cfi_rel_offset %f\n, WHORL__FRAME_F8 + 8 * (\n - 8)
	.endm

	.macro	load_fpr, n
	ld	%f\n, WHORL__FRAME_F8 + 8 * (\n - 8)(%r15)
	.cfi_restore %f\n
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
	stmg	%r6, %r15, WHORL__CALLER_R6(%r15)
	.irp	n, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	.cfi_rel_offset %r\n, WHORL__CALLER_R6 + 8 * (\n - 6)
	.endr
	aghi	%r15, -WHORL__FRAME_SIZE
	.cfi_adjust_cfa_offset WHORL__FRAME_SIZE
	.irp	n, 8, 9, 10, 11, 12, 13, 14, 15
	save_fpr \n
	.endr
	stg	%r15, 0(%r2)
	lgr	%r15, %r3
	lgr	%r2, %r4
	.irp	n, 8, 9, 10, 11, 12, 13, 14, 15
	load_fpr \n
	.endr
	lmg	%r6, %r15, WHORL__FRAME_SIZE + WHORL__CALLER_R6(%r15)
	.cfi_adjust_cfa_offset -WHORL__FRAME_SIZE
	.irp	n, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	.cfi_restore %r\n
	.endr
	br	%r14
	.cfi_endproc
	.size	whorl__switch, . - whorl__switch
	.size	whorl__switch_int, . - whorl__switch_int

/* Where a fiber begins, and where every backtrace of it ends: the rule for r14 says that there is
 * no caller, and the back chain is 0. Unwinders look up the address before the one returned to, so
 * the nop before the entry is within these rules too. */
	.globl	whorl__fiber_start
	.hidden	whorl__fiber_start
	.type	whorl__fiber_start, @function
	.p2align 4
whorl__fiber_start:
	.cfi_startproc
	.cfi_undefined %r14
	nopr	%r0
	.if	. - whorl__fiber_start - WHORL__START_SKIP
	.error	"WHORL__START_SKIP"
	.endif
	lgr	%r3, %r2
	lgr	%r2, %r7
	basr	%r14, %r6
	j	.+2			/* no instruction: the entry function does not return */
	.cfi_endproc
	.size	whorl__fiber_start, . - whorl__fiber_start

	.section .note.GNU-stack, "", @progbits
