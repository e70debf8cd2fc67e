/* The frame of a stopped fiber on aarch64, for switch.S and for C.
 *
 * AAPCS64, 6.1.1 "General-purpose Registers": a function preserves x19-x29, sp, and x30 to return
 * by; 6.1.2 "SIMD and Floating-Point Registers": the low 64 bits of v8-v15. FPCR is the thread's,
 * unless CO_KEEP_FPENV asks for more (src/fiber.c). x18 is the platform's.
 *
 *	sp -> +0	+16	+32	+48	+64	+80
 *	      +-------+-------+-------+-------+-------+-------+
 *	      |x19 x20|x21 x22|x23 x24|x25 x26|x27 x28|x29 x30|
 *	      +-------+-------+-------+-------+-------+-------+
 *	      +96	+112	+128	+144	+160
 *	      +-------+-------+-------+-------+
 *	      |d8  d9 |d10 d11|d12 d13|d14 d15|  the stack of whoever called the switch
 *	      +-------+-------+-------+-------+
 *
 * A fiber that never ran has its entry function in x19, the argument in x20, 0 in x29 and
 * whorl__fiber_start in x30. */
#ifndef WHORL_SRC_FRAME_H
#define WHORL_SRC_FRAME_H

#define WHORL__FRAME_X19 0
#define WHORL__FRAME_X21 16
#define WHORL__FRAME_X23 32
#define WHORL__FRAME_X25 48
#define WHORL__FRAME_X27 64
#define WHORL__FRAME_X29 80
#define WHORL__FRAME_D8 96
#define WHORL__FRAME_D10 112
#define WHORL__FRAME_D12 128
#define WHORL__FRAME_D14 144
#define WHORL__FRAME_SIZE 160

#define WHORL__START_SKIP 4 /* whorl__fiber_start is entered behind a nop, see there */

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct whorl__frame {
	uintptr_t x19, x20, x21, x22, x23, x24, x25, x26, x27, x28, x29, x30;
	uint64_t d8, d9, d10, d11, d12, d13, d14, d15;
};
_Static_assert(offsetof(struct whorl__frame, x19) == WHORL__FRAME_X19, "switch.S");
_Static_assert(offsetof(struct whorl__frame, x21) == WHORL__FRAME_X21, "switch.S");
_Static_assert(offsetof(struct whorl__frame, x23) == WHORL__FRAME_X23, "switch.S");
_Static_assert(offsetof(struct whorl__frame, x25) == WHORL__FRAME_X25, "switch.S");
_Static_assert(offsetof(struct whorl__frame, x27) == WHORL__FRAME_X27, "switch.S");
_Static_assert(offsetof(struct whorl__frame, x29) == WHORL__FRAME_X29, "switch.S");
_Static_assert(offsetof(struct whorl__frame, d8) == WHORL__FRAME_D8, "switch.S");
_Static_assert(offsetof(struct whorl__frame, d10) == WHORL__FRAME_D10, "switch.S");
_Static_assert(offsetof(struct whorl__frame, d12) == WHORL__FRAME_D12, "switch.S");
_Static_assert(offsetof(struct whorl__frame, d14) == WHORL__FRAME_D14, "switch.S");
_Static_assert(sizeof(struct whorl__frame) == WHORL__FRAME_SIZE, "switch.S");

__attribute__((visibility("hidden"))) void whorl__fiber_start(void);

/* Writes the first frame below `base` (a multiple of 16) and returns the sp to switch to. */
static inline void *whorl__frame_make(char *base, void (*entry)(void *arg, void *value), void *arg)
{
	struct whorl__frame *frame = (struct whorl__frame *)(void *)base - 1;

	*frame = (struct whorl__frame){
		.x19 = (uintptr_t)entry,
		.x20 = (uintptr_t)arg,
		.x30 = (uintptr_t)whorl__fiber_start + WHORL__START_SKIP,
	};
	return frame;
}

/* Where a stopped fiber goes on. */
static inline const void *whorl__frame_place(const void *sp)
{
	return (const void *)((const struct whorl__frame *)sp)->x30;
}

/* What CO_KEEP_FPENV keeps: rounding, flush to zero, traps. */
struct whorl__fpenv {
	uint64_t fpcr;
};

static inline void whorl__fpenv_read(struct whorl__fpenv *env)
{
	__asm__ volatile("mrs %0, fpcr" : "=r"(env->fpcr));
}

/* Takes up *env and leaves what was in force there. */
static inline void whorl__fpenv_swap(struct whorl__fpenv *env)
{
	struct whorl__fpenv now;

	whorl__fpenv_read(&now);
	__asm__ volatile("msr fpcr, %0" : : "r"(env->fpcr));
	*env = now;
}
#endif
#endif
