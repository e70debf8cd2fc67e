/* The switch between fibers on aarch64; frame.h draws the frame that it writes and reads.
 *
 * It leaves by `ret`, which BTI exempts from the need of a landing pad where it arrives. Return
 * addresses are not signed: the PAC of one stack would be checked on another. The CFI holds at
 * every instruction, whichever stack sp is on: both have the same frame on top. Registers 72-79 of
 * DWARF are d8-d15 (AADWARF64, 4.1). */
#include "frame.h"

	.macro	save a, b, at, dwarf_a, dwarf_b
	stp	\a, \b, [sp, #\at]
	.cfi_rel_offset \dwarf_a, \at
	.cfi_rel_offset \dwarf_b, \at + 8
	.endm

	.macro	load a, b, at, dwarf_a, dwarf_b
	ldp	\a, \b, [sp, #\at]
	.cfi_restore \dwarf_a
	.cfi_restore \dwarf_b
	.endm

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
	hint	#34					/* bti c */
	sub	sp, sp, #WHORL__FRAME_SIZE
	.cfi_adjust_cfa_offset WHORL__FRAME_SIZE
	save	x19, x20, WHORL__FRAME_X19, x19, x20
	save	x21, x22, WHORL__FRAME_X21, x21, x22
	save	x23, x24, WHORL__FRAME_X23, x23, x24
	save	x25, x26, WHORL__FRAME_X25, x25, x26
	save	x27, x28, WHORL__FRAME_X27, x27, x28
	save	x29, x30, WHORL__FRAME_X29, x29, x30
	save	d8, d9, WHORL__FRAME_D8, 72, 73
	save	d10, d11, WHORL__FRAME_D10, 74, 75
	save	d12, d13, WHORL__FRAME_D12, 76, 77
	save	d14, d15, WHORL__FRAME_D14, 78, 79
	mov	x9, sp
	str	x9, [x0]
	mov	sp, x1
	mov	x0, x2
	load	x19, x20, WHORL__FRAME_X19, x19, x20
	load	x21, x22, WHORL__FRAME_X21, x21, x22
	load	x23, x24, WHORL__FRAME_X23, x23, x24
	load	x25, x26, WHORL__FRAME_X25, x25, x26
	load	x27, x28, WHORL__FRAME_X27, x27, x28
	load	x29, x30, WHORL__FRAME_X29, x29, x30
	load	d8, d9, WHORL__FRAME_D8, 72, 73
	load	d10, d11, WHORL__FRAME_D10, 74, 75
	load	d12, d13, WHORL__FRAME_D12, 76, 77
	load	d14, d15, WHORL__FRAME_D14, 78, 79
	add	sp, sp, #WHORL__FRAME_SIZE
	.cfi_adjust_cfa_offset -WHORL__FRAME_SIZE
	ret
	.cfi_endproc
	.size	whorl__switch, . - whorl__switch
	.size	whorl__switch_int, . - whorl__switch_int

/* Where a fiber begins, and where every backtrace of it ends: the rule for x30 says that there is
 * no caller. Unwinders look up the address before the one returned to, so the nop before the entry
 * is within these rules too. */
	.globl	whorl__fiber_start
	.hidden	whorl__fiber_start
	.type	whorl__fiber_start, %function
	.p2align 4
whorl__fiber_start:
	.cfi_startproc
	.cfi_undefined x30
	nop
	.if	. - whorl__fiber_start - WHORL__START_SKIP
	.error	"WHORL__START_SKIP"
	.endif
	mov	x1, x0
	mov	x0, x20
	blr	x19
	brk	#1					/* the entry function does not return */
	.cfi_endproc
	.size	whorl__fiber_start, . - whorl__fiber_start

	.section .note.GNU-stack, "", %progbits

	.section .note.gnu.property, "a", %note
	.p2align 3
	.long	4, 16, 5		/* sizes of name and contents; NT_GNU_PROPERTY_TYPE_0 */
	.asciz	"GNU"
	.long	0xc0000000, 4, 1, 0	/* GNU_PROPERTY_AARCH64_FEATURE_1_AND: BTI; padding */
