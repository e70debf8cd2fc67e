/* The switch between fibers on i386; frame.h draws the frame that it writes and reads.
 *
 * It leaves by a jump, not by `ret`: a switch returns elsewhere than it was called from, so that
 * the return predictor would be wrong nearly always, where the predictor of indirect jumps learns.
 * `notrack`: with IBT an indirect jump must meet an endbr32, and there is none after a call. The
 * shadow stack of CET is not kept in step, so the property note does not claim SHSTK. The CFI holds
 * at every instruction, whichever stack esp is on: both have the same frame on top. */
#include "frame.h"

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
	endbr32
	movl	4(%esp), %edx				/* from */
	movl	8(%esp), %ecx				/* to */
	movl	12(%esp), %eax				/* value */
	subl	$WHORL__FRAME_EIP, %esp			/* the call has pushed eip */
	.cfi_adjust_cfa_offset WHORL__FRAME_EIP
	movl	%ebx, WHORL__FRAME_EBX(%esp)
	.cfi_rel_offset ebx, WHORL__FRAME_EBX
	movl	%esi, WHORL__FRAME_ESI(%esp)
	.cfi_rel_offset esi, WHORL__FRAME_ESI
	movl	%edi, WHORL__FRAME_EDI(%esp)
	.cfi_rel_offset edi, WHORL__FRAME_EDI
	movl	%ebp, WHORL__FRAME_EBP(%esp)
	.cfi_rel_offset ebp, WHORL__FRAME_EBP
	movl	%esp, (%edx)
	movl	%ecx, %esp
	movl	WHORL__FRAME_EBX(%esp), %ebx
	.cfi_restore ebx
	movl	WHORL__FRAME_ESI(%esp), %esi
	.cfi_restore esi
	movl	WHORL__FRAME_EDI(%esp), %edi
	.cfi_restore edi
	movl	WHORL__FRAME_EBP(%esp), %ebp
	.cfi_restore ebp
	movl	WHORL__FRAME_EIP(%esp), %ecx
	.cfi_register eip, ecx
	addl	$WHORL__FRAME_SIZE, %esp
	.cfi_adjust_cfa_offset -WHORL__FRAME_SIZE
	notrack jmp *%ecx
	.cfi_endproc
	.size	whorl__switch, . - whorl__switch
	.size	whorl__switch_int, . - whorl__switch_int

/* Where a fiber begins, and where every backtrace of it ends: the rule for eip says that there is
 * no caller. Unwinders look up the address before the one returned to, so the nop before the entry
 * is within these rules too. */
	.globl	whorl__fiber_start
	.hidden	whorl__fiber_start
	.type	whorl__fiber_start, @function
	.p2align 4
whorl__fiber_start:
	.cfi_startproc
	.cfi_undefined eip
	nop
	.if	. - whorl__fiber_start - WHORL__START_SKIP
	.error	"WHORL__START_SKIP"
	.endif
	endbr32
	subl	$16, %esp				/* arguments; a multiple of 16 */
	.cfi_adjust_cfa_offset 16
	movl	%esi, (%esp)
	movl	%eax, 4(%esp)
	call	*%ebx
	ud2						/* the entry function does not return */
	.cfi_endproc
	.size	whorl__fiber_start, . - whorl__fiber_start

	.section .note.GNU-stack, "", @progbits

	.section .note.gnu.property, "a", @note
	.p2align 2
	.long	4, 12, 5		/* sizes of name and contents; NT_GNU_PROPERTY_TYPE_0 */
	.asciz	"GNU"
	.long	0xc0000002, 4, 1	/* GNU_PROPERTY_X86_FEATURE_1_AND: IBT */
