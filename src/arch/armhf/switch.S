/* The switch between fibers on armhf; frame.h draws the frame that it writes and reads.
 *
 * It leaves by `bx ip`: `bx lr` and a pop of pc take their target from the return predictor, which
 * knows only where the switch was called from (Cortex-A9 TRM, 7.3.2 "Program flow prediction"). The
 * CFI holds at every instruction, whichever stack sp is on: both have the same frame on top. What
 * EHABI can say is one rule for all of a function, true while it waits. ARM code, not Thumb;
 * whoever calls may be either. Registers 264-271 of DWARF are d8-d15 (AADWARF32, 4.1). */
#include "frame.h"

	.syntax	unified
	.arch	armv7-a
	.fpu	vfpv3-d16
	.eabi_attribute Tag_ABI_align_preserved, 1
	.eabi_attribute Tag_ABI_VFP_args, 1
	.cfi_sections .debug_frame
	.arm
	.text

/* void *whorl__switch(void **from, void *to, void *value), and the same that returns int */
	.globl	whorl__switch, whorl__switch_int
	.hidden	whorl__switch, whorl__switch_int
	.type	whorl__switch, %function
	.type	whorl__switch_int, %function
	.p2align 4
whorl__switch:
whorl__switch_int:
	.cfi_startproc
	.fnstart
	push	{r3-r11, lr}				/* r3: an even number of them */
	.save	{r3-r11, lr}
	.cfi_adjust_cfa_offset WHORL__FRAME_SIZE - WHORL__FRAME_R3
	.irp	n, 4, 5, 6, 7, 8, 9, 10, 11
	.cfi_rel_offset r\n, WHORL__FRAME_R4 - WHORL__FRAME_R3 + 4 * (\n - 4)
	.endr
	.cfi_rel_offset lr, WHORL__FRAME_LR - WHORL__FRAME_R3
	vpush	{d8-d15}
	.vsave	{d8-d15}
	.cfi_adjust_cfa_offset WHORL__FRAME_R3 - WHORL__FRAME_D8
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	.cfi_rel_offset 264 + \n, WHORL__FRAME_D8 + 8 * \n
	.endr
	str	sp, [r0]
	mov	sp, r1
	mov	r0, r2
	vpop	{d8-d15}
	.cfi_adjust_cfa_offset -(WHORL__FRAME_R3 - WHORL__FRAME_D8)
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	.cfi_restore 264 + \n
	.endr
	pop	{r3-r11, ip}
	.cfi_adjust_cfa_offset -(WHORL__FRAME_SIZE - WHORL__FRAME_R3)
	.irp	n, 4, 5, 6, 7, 8, 9, 10, 11
	.cfi_restore r\n
	.endr
	.cfi_register lr, ip
	bx	ip
	.fnend
	.cfi_endproc
	.size	whorl__switch, . - whorl__switch
	.size	whorl__switch_int, . - whorl__switch_int

/* Where a fiber begins, and where every backtrace of it ends: the rule for lr says that there is no
 * caller. Unwinders look up the address before the one returned to, so the nop before the entry is
 * within these rules too. */
	.globl	whorl__fiber_start
	.hidden	whorl__fiber_start
	.type	whorl__fiber_start, %function
	.p2align 4
whorl__fiber_start:
	.cfi_startproc
	.fnstart
	.cantunwind
	.cfi_undefined lr
	nop
	.if	. - whorl__fiber_start - WHORL__START_SKIP
	.error	"WHORL__START_SKIP"
	.endif
	mov	r1, r0
	mov	r0, r5
	blx	r4
	udf	#0					/* the entry function does not return */
	.fnend
	.cfi_endproc
	.size	whorl__fiber_start, . - whorl__fiber_start

	.section .note.GNU-stack, "", %progbits
