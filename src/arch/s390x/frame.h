/* The frame of a stopped fiber on s390x, for switch.S and for C.
 *
 * s390x ELF ABI Supplement 1.6, "Register Preservation Rules": a function preserves r6-r13, r15 and
 * f8-f15, which are the left halves of v8-v15, and needs r14 to return by. "Register Save Area": the
 * first 160 bytes of each frame are for whoever is called, a slot for each register, above the
 * frame's own back chain. So the general registers go to the frame of whoever called the switch,
 * and only f8-f15 lie below it. FPC is the thread's, unless CO_KEEP_FPENV asks for more
 * (src/fiber.c); a0 and a1 are the system's.
 *
 *	sp -> +0	+64	+72	+112	+192	+224
 *	      +-------+-------+-------+-------+-------+
 *	      |f8-f15 | back  |unused,|r6-r15 |f0, f2,| the rest of the caller's frame
 *	      |       | chain | r2-r5 |       |f4, f6 |
 *	      +-------+-------+-------+-------+-------+
 *
 * A fiber that never ran has its entry function in r6, the argument in r7, 0 in r11 (which is the
 * frame pointer) and in the back chain, whorl__fiber_start in r14, and in r15 the address of the
 * back chain. */
#ifndef WHORL_SRC_FRAME_H
#define WHORL_SRC_FRAME_H

#define WHORL__FRAME_F8 0
#define WHORL__FRAME_SIZE 64

#define WHORL__CALLER_R6 48

#define WHORL__START_SKIP 2 /* whorl__fiber_start is entered behind a nop, see there */

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct whorl__frame {
	uint64_t f[8]; /* f8-f15 */
	uintptr_t back_chain, unused[5];
	uintptr_t r[10]; /* r6-r15 */
	uint64_t unused_too[4];
};
_Static_assert(offsetof(struct whorl__frame, f) == WHORL__FRAME_F8, "switch.S");
_Static_assert(offsetof(struct whorl__frame, back_chain) == WHORL__FRAME_SIZE, "switch.S");
_Static_assert(offsetof(struct whorl__frame, r) == WHORL__FRAME_SIZE + WHORL__CALLER_R6, "switch.S");
_Static_assert(sizeof(struct whorl__frame) == WHORL__FRAME_SIZE + 160, "the ABI");

__attribute__((visibility("hidden"))) void whorl__fiber_start(void);

/* Writes the first frame below `base` (a multiple of 16) and returns the sp to switch to. */
static inline void *whorl__frame_make(char *base, void (*entry)(void *arg, void *value), void *arg)
{
	struct whorl__frame *frame = (struct whorl__frame *)(void *)base - 1;

	*frame = (struct whorl__frame){
		.r[6 - 6] = (uintptr_t)entry,
		.r[7 - 6] = (uintptr_t)arg,
		.r[14 - 6] = (uintptr_t)whorl__fiber_start + WHORL__START_SKIP,
		.r[15 - 6] = (uintptr_t)&frame->back_chain,
	};
	return frame;
}

/* Where a stopped fiber goes on. */
static inline const void *whorl__frame_place(const void *sp)
{
	return (const void *)((const struct whorl__frame *)sp)->r[14 - 6];
}

/* What CO_KEEP_FPENV keeps: rounding, binary and decimal, masks, and the flags of what was
 * raised. */
struct whorl__fpenv {
	uint32_t fpc;
};

static inline void whorl__fpenv_read(struct whorl__fpenv *env)
{
	__asm__ volatile("stfpc %0" : "=Q"(env->fpc));
}

/* Takes up *env and leaves what was in force there. */
static inline void whorl__fpenv_swap(struct whorl__fpenv *env)
{
	struct whorl__fpenv now;

	whorl__fpenv_read(&now);
	__asm__ volatile("lfpc %0" : : "Q"(env->fpc));
	*env = now;
}
#endif
#endif
