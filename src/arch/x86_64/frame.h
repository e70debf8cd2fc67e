/* The frame of a stopped fiber on x86-64, for switch.S and for C.
 *
 * System V AMD64 psABI, 3.2.1 "Registers and the Stack Frame": a function preserves rbx, rbp and
 * r12-r15; no vector register is preserved. The control bits of MXCSR and the x87 control word are
 * preserved too, but to save them costs more than all the rest: they are the thread's, unless
 * CO_KEEP_FPENV asks for more (src/fiber.c).
 *
 *	sp -> +0	+8	+16	+24	+32	+40	+48	+56
 *	      +-------+-------+-------+-------+-------+-------+-------+
 *	      | r12   | r13   | r14   | r15   | rbx   | rbp   | rip   | the caller's stack
 *	      +-------+-------+-------+-------+-------+-------+-------+
 *
 * A fiber that never ran has its entry function in rbx, the argument in r12, 0 in rbp and
 * whorl__fiber_start in rip, and `sp + 56` is a multiple of 16. */
#ifndef WHORL_SRC_FRAME_H
#define WHORL_SRC_FRAME_H

#define WHORL__FRAME_R12 0
#define WHORL__FRAME_R13 8
#define WHORL__FRAME_R14 16
#define WHORL__FRAME_R15 24
#define WHORL__FRAME_RBX 32
#define WHORL__FRAME_RBP 40
#define WHORL__FRAME_RIP 48
#define WHORL__FRAME_SIZE 56

#define WHORL__START_SKIP 1 /* whorl__fiber_start is entered behind a nop, see there */

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct whorl__frame {
	uintptr_t r12, r13, r14, r15, rbx, rbp, rip;
};
_Static_assert(offsetof(struct whorl__frame, r12) == WHORL__FRAME_R12, "switch.S");
_Static_assert(offsetof(struct whorl__frame, r13) == WHORL__FRAME_R13, "switch.S");
_Static_assert(offsetof(struct whorl__frame, r14) == WHORL__FRAME_R14, "switch.S");
_Static_assert(offsetof(struct whorl__frame, r15) == WHORL__FRAME_R15, "switch.S");
_Static_assert(offsetof(struct whorl__frame, rbx) == WHORL__FRAME_RBX, "switch.S");
_Static_assert(offsetof(struct whorl__frame, rbp) == WHORL__FRAME_RBP, "switch.S");
_Static_assert(offsetof(struct whorl__frame, rip) == WHORL__FRAME_RIP, "switch.S");
_Static_assert(sizeof(struct whorl__frame) == WHORL__FRAME_SIZE, "switch.S");

__attribute__((visibility("hidden"))) void whorl__fiber_start(void);

/* Writes the first frame below `base` (a multiple of 16) and returns the sp to switch to. */
static inline void *whorl__frame_make(char *base, void (*entry)(void *arg, void *value), void *arg)
{
	struct whorl__frame *frame = (struct whorl__frame *)(void *)base - 1;

	*frame = (struct whorl__frame){
		.r12 = (uintptr_t)arg,
		.rbx = (uintptr_t)entry,
		.rip = (uintptr_t)whorl__fiber_start + WHORL__START_SKIP,
	};
	return frame;
}

/* Where a stopped fiber goes on. */
static inline const void *whorl__frame_place(const void *sp)
{
	return (const void *)((const struct whorl__frame *)sp)->rip;
}

/* What CO_KEEP_FPENV keeps: rounding, exception masks, flush to zero, x87 precision. */
struct whorl__fpenv {
	uint32_t mxcsr;
	uint16_t x87;
};

static inline void whorl__fpenv_read(struct whorl__fpenv *env)
{
	__asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(env->mxcsr), "=m"(env->x87));
}

/* Takes up *env and leaves what was in force there. Field by field: to load both at once would wait
 * for two stores. */
static inline void whorl__fpenv_swap(struct whorl__fpenv *env)
{
	uint32_t mxcsr = env->mxcsr;
	uint16_t x87 = env->x87;

	whorl__fpenv_read(env);
	__asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(mxcsr), "m"(x87));
}
#endif
#endif
