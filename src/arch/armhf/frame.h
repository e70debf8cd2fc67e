/* The frame of a stopped fiber on armhf (ARMv7-A, hard float), for switch.S and for C.
 *
 * AAPCS32, 6.1.1 "Core registers": a function preserves r4-r11 and sp, and needs lr to return by;
 * 6.1.2.1 "VFP register usage conventions": d8-d15. FPSCR is the thread's, unless CO_KEEP_FPENV
 * asks for more (src/fiber.c).
 *
 *	sp -> +0	+8	+56	+64	+68	+72	+96	+100	+104
 *	      +-------+-- --+-------+-------+-------+-- --+-------+-------+
 *	      | d8    | ... | d15   | unused| r4    | ... | r11   | lr    | the caller's stack
 *	      +-------+-- --+-------+-------+-------+-- --+-------+-------+
 *
 * A fiber that never ran has its entry function in r4, the argument in r5, 0 in r7 and r11 (one of
 * them is the frame pointer) and whorl__fiber_start in lr. */
#ifndef WHORL_SRC_FRAME_H
#define WHORL_SRC_FRAME_H

#define WHORL__FRAME_D8 0
#define WHORL__FRAME_R3 64
#define WHORL__FRAME_R4 68
#define WHORL__FRAME_LR 100
#define WHORL__FRAME_SIZE 104 /* sp is a multiple of 8: AAPCS32 6.2.1.2 */

#define WHORL__START_SKIP 4 /* whorl__fiber_start is entered behind a nop, see there */

#ifndef __ARM_PCS_VFP
#error "armhf: for hard float only; configure --with-arch=ucontext"
#endif

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct whorl__frame {
	uint64_t d8, d9, d10, d11, d12, d13, d14, d15;
	uintptr_t r3, r4, r5, r6, r7, r8, r9, r10, r11, lr;
};
_Static_assert(offsetof(struct whorl__frame, d8) == WHORL__FRAME_D8, "switch.S");
_Static_assert(offsetof(struct whorl__frame, r3) == WHORL__FRAME_R3, "switch.S");
_Static_assert(offsetof(struct whorl__frame, r4) == WHORL__FRAME_R4, "switch.S");
_Static_assert(offsetof(struct whorl__frame, lr) == WHORL__FRAME_LR, "switch.S");
_Static_assert(sizeof(struct whorl__frame) == WHORL__FRAME_SIZE, "switch.S");

__attribute__((visibility("hidden"))) void whorl__fiber_start(void);

/* Writes the first frame below `base` (a multiple of 16) and returns the sp to switch to. */
static inline void *whorl__frame_make(char *base, void (*entry)(void *arg, void *value), void *arg)
{
	struct whorl__frame *frame = (struct whorl__frame *)(void *)base - 1;

	*frame = (struct whorl__frame){
		.r4 = (uintptr_t)entry,
		.r5 = (uintptr_t)arg,
		.lr = (uintptr_t)whorl__fiber_start + WHORL__START_SKIP,
	};
	return frame;
}

/* Where a stopped fiber goes on; the lowest bit would say that it is Thumb code. */
static inline const void *whorl__frame_place(const void *sp)
{
	return (const void *)(((const struct whorl__frame *)sp)->lr & ~(uintptr_t)1);
}

/* What CO_KEEP_FPENV keeps: rounding, flush to zero, traps, and the flags of what was raised. */
struct whorl__fpenv {
	uint32_t fpscr;
};

static inline void whorl__fpenv_read(struct whorl__fpenv *env)
{
	__asm__ volatile("vmrs %0, fpscr" : "=r"(env->fpscr));
}

/* Takes up *env and leaves what was in force there. */
static inline void whorl__fpenv_swap(struct whorl__fpenv *env)
{
	struct whorl__fpenv now;

	whorl__fpenv_read(&now);
	__asm__ volatile("vmsr fpscr, %0" : : "r"(env->fpscr));
	*env = now;
}
#endif
#endif
