/* The frame of a stopped fiber on i386, for switch.S and for C.
 *
 * System V i386 psABI, 2.2.1 "Registers and the Stack Frame", table of registers: a function
 * preserves ebx, esi, edi, ebp and esp; all of the x87 stack is empty when it is called. The x87
 * control word and the control bits of MXCSR are preserved too, but to save them costs more than
 * all the rest: they are the thread's, unless CO_KEEP_FPENV asks for more (src/fiber.c).
 *
 *	sp -> +0	+4	+8	+12	+16	+20
 *	      +-------+-------+-------+-------+-------+
 *	      | ebx   | esi   | edi   | ebp   | eip   | the caller's stack
 *	      +-------+-------+-------+-------+-------+
 *
 * A fiber that never ran has its entry function in ebx, the argument in esi, 0 in ebp and
 * whorl__fiber_start in eip, and `sp + 20` is a multiple of 16. */
#ifndef WHORL_SRC_FRAME_H
#define WHORL_SRC_FRAME_H

#define WHORL__FRAME_EBX 0
#define WHORL__FRAME_ESI 4
#define WHORL__FRAME_EDI 8
#define WHORL__FRAME_EBP 12
#define WHORL__FRAME_EIP 16
#define WHORL__FRAME_SIZE 20

#define WHORL__START_SKIP 1 /* whorl__fiber_start is entered behind a nop, see there */

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct whorl__frame {
	uintptr_t ebx, esi, edi, ebp, eip;
};
_Static_assert(offsetof(struct whorl__frame, ebx) == WHORL__FRAME_EBX, "switch.S");
_Static_assert(offsetof(struct whorl__frame, esi) == WHORL__FRAME_ESI, "switch.S");
_Static_assert(offsetof(struct whorl__frame, edi) == WHORL__FRAME_EDI, "switch.S");
_Static_assert(offsetof(struct whorl__frame, ebp) == WHORL__FRAME_EBP, "switch.S");
_Static_assert(offsetof(struct whorl__frame, eip) == WHORL__FRAME_EIP, "switch.S");
_Static_assert(sizeof(struct whorl__frame) == WHORL__FRAME_SIZE, "switch.S");

__attribute__((visibility("hidden"))) void whorl__fiber_start(void);

/* Writes the first frame below `base` (a multiple of 16) and returns the sp to switch to. */
static inline void *whorl__frame_make(char *base, void (*entry)(void *arg, void *value), void *arg)
{
	struct whorl__frame *frame = (struct whorl__frame *)(void *)base - 1;

	*frame = (struct whorl__frame){
		.ebx = (uintptr_t)entry,
		.esi = (uintptr_t)arg,
		.eip = (uintptr_t)whorl__fiber_start + WHORL__START_SKIP,
	};
	return frame;
}

/* Where a stopped fiber goes on. */
static inline const void *whorl__frame_place(const void *sp)
{
	return (const void *)((const struct whorl__frame *)sp)->eip;
}

/* What CO_KEEP_FPENV keeps: x87 precision, rounding, exception masks, flush to zero. */
struct whorl__fpenv {
	uint32_t mxcsr; /* where there is SSE */
	uint16_t x87;
};

static inline void whorl__fpenv_read(struct whorl__fpenv *env)
{
	__asm__ volatile("fnstcw %0" : "=m"(env->x87));
	if (__builtin_cpu_supports("sse"))
		__asm__ volatile("stmxcsr %0" : "=m"(env->mxcsr));
}

/* Takes up *env and leaves what was in force there. Field by field: to load both at once would wait
 * for two stores. */
static inline void whorl__fpenv_swap(struct whorl__fpenv *env)
{
	uint32_t mxcsr = env->mxcsr;
	uint16_t x87 = env->x87;

	whorl__fpenv_read(env);
	__asm__ volatile("fldcw %0" : : "m"(x87));
	if (__builtin_cpu_supports("sse"))
		__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
}
#endif
#endif
