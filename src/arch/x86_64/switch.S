/* The switch between fibers on x86-64; frame.h draws the frame that it writes and reads.
 *
 * It leaves by a jump, not by `ret`: a switch returns elsewhere than it was called from, so that
 * the return predictor would be wrong nearly always, where the predictor of indirect jumps learns.
 * `notrack`: with IBT an indirect jump must meet an endbr64, and there is none after a call. The
 * shadow stack of CET is not kept in step, so the property note does not claim SHSTK. The CFI holds
 * at every instruction, whichever stack rsp is on: both have the same frame on top. */
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
	endbr64
	subq	$WHORL__FRAME_RIP, %rsp			/* the call has pushed rip */
	.cfi_adjust_cfa_offset WHORL__FRAME_RIP
	movq	%r12, WHORL__FRAME_R12(%rsp)
	.cfi_rel_offset r12, WHORL__FRAME_R12
	movq	%r13, WHORL__FRAME_R13(%rsp)
	.cfi_rel_offset r13, WHORL__FRAME_R13
	movq	%r14, WHORL__FRAME_R14(%rsp)
	.cfi_rel_offset r14, WHORL__FRAME_R14
	movq	%r15, WHORL__FRAME_R15(%rsp)
	.cfi_rel_offset r15, WHORL__FRAME_R15
	movq	%rbx, WHORL__FRAME_RBX(%rsp)
	.cfi_rel_offset rbx, WHORL__FRAME_RBX
	movq	%rbp, WHORL__FRAME_RBP(%rsp)
	.cfi_rel_offset rbp, WHORL__FRAME_RBP
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	movq	%rdx, %rax
	movq	WHORL__FRAME_R12(%rsp), %r12
	.cfi_restore r12
	movq	WHORL__FRAME_R13(%rsp), %r13
	.cfi_restore r13
	movq	WHORL__FRAME_R14(%rsp), %r14
	.cfi_restore r14
	movq	WHORL__FRAME_R15(%rsp), %r15
	.cfi_restore r15
	movq	WHORL__FRAME_RBX(%rsp), %rbx
	.cfi_restore rbx
	movq	WHORL__FRAME_RBP(%rsp), %rbp
	.cfi_restore rbp
	movq	WHORL__FRAME_RIP(%rsp), %rcx
	.cfi_register rip, rcx
	addq	$WHORL__FRAME_SIZE, %rsp
	.cfi_adjust_cfa_offset -WHORL__FRAME_SIZE
	notrack jmp *%rcx
	.cfi_endproc
	.size	whorl__switch, . - whorl__switch
	.size	whorl__switch_int, . - whorl__switch_int

/* Where a fiber begins, and where every backtrace of it ends: the rule for rip says that there is
 * no caller. Unwinders look up the address before the one returned to, so the nop before the entry
 * is within these rules too. */
	.globl	whorl__fiber_start
	.hidden	whorl__fiber_start
	.type	whorl__fiber_start, @function
	.p2align 4
whorl__fiber_start:
	.cfi_startproc
	.cfi_undefined rip
	nop
	.if	. - whorl__fiber_start - WHORL__START_SKIP
	.error	"WHORL__START_SKIP"
	.endif
	endbr64
	movq	%r12, %rdi
	movq	%rax, %rsi
	call	*%rbx
	ud2						/* the entry function does not return */
	.cfi_endproc
	.size	whorl__fiber_start, . - whorl__fiber_start

	.section .note.GNU-stack, "", @progbits

	.section .note.gnu.property, "a", @note
	.p2align 3
	.long	4, 16, 5		/* sizes of name and contents; NT_GNU_PROPERTY_TYPE_0 */
	.asciz	"GNU"
	.long	0xc0000002, 4, 1, 0	/* GNU_PROPERTY_X86_FEATURE_1_AND: IBT; padding */
