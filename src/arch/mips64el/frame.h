/* The frame of a stopped fiber on mips64el, for switch.S and for C. Any other MIPS with the N64 ABI
 * would do as well.
 *
 * MIPSpro N32 ABI Handbook, table 2-1 "Native 64-Bit and N32 Interface Register Conventions": in
 * N64 a function preserves s0-s7, gp, sp, fp and f24-f31, all 64 bits, and needs ra to return by.
 * FCSR is the thread's, unless CO_KEEP_FPENV asks for more (src/fiber.c).
 *
 *	sp -> +0	+64	+72	+80	+88	+152	+160
 *	      +-------+-------+-------+-------+-------+-------+
 *	      | s0-s7 | gp    | fp    | ra    |f24-f31|unused | the caller's stack
 *	      +-------+-------+-------+-------+-------+-------+
 *
 * A fiber that never ran has its entry function in s0, the argument in s1, 0 in fp and
 * whorl__fiber_start in ra. Its gp is the entry function's to set. */
#ifndef WHORL_SRC_FRAME_H
#define WHORL_SRC_FRAME_H

#if _MIPS_SIM != _ABI64 || !defined __mips_hard_float
#error "mips64el: for N64 with hardware floating point only; configure --with-arch=ucontext"
#endif

#define WHORL__FRAME_S0 0
#define WHORL__FRAME_GP 64
#define WHORL__FRAME_FP 72
#define WHORL__FRAME_RA 80
#define WHORL__FRAME_F24 88
#define WHORL__FRAME_SIZE 160 /* sp is a multiple of 16 */

#define WHORL__START_SKIP 4 /* whorl__fiber_start is entered behind a nop, see there */

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct whorl__frame {
	uintptr_t s[8], gp, fp, ra;
	uint64_t f[8]; /* f24-f31 */
	uint64_t unused;
};
_Static_assert(offsetof(struct whorl__frame, s) == WHORL__FRAME_S0, "switch.S");
_Static_assert(offsetof(struct whorl__frame, gp) == WHORL__FRAME_GP, "switch.S");
_Static_assert(offsetof(struct whorl__frame, fp) == WHORL__FRAME_FP, "switch.S");
_Static_assert(offsetof(struct whorl__frame, ra) == WHORL__FRAME_RA, "switch.S");
_Static_assert(offsetof(struct whorl__frame, f) == WHORL__FRAME_F24, "switch.S");
_Static_assert(sizeof(struct whorl__frame) == WHORL__FRAME_SIZE, "switch.S");

__attribute__((visibility("hidden"))) void whorl__fiber_start(void);

/* Writes the first frame below `base` (a multiple of 16) and returns the sp to switch to. */
static inline void *whorl__frame_make(char *base, void (*entry)(void *arg, void *value), void *arg)
{
	struct whorl__frame *frame = (struct whorl__frame *)(void *)base - 1;

	*frame = (struct whorl__frame){
		.s[0] = (uintptr_t)entry,
		.s[1] = (uintptr_t)arg,
		.ra = (uintptr_t)whorl__fiber_start + WHORL__START_SKIP,
	};
	return frame;
}

/* Where a stopped fiber goes on. */
static inline const void *whorl__frame_place(const void *sp)
{
	return (const void *)((const struct whorl__frame *)sp)->ra;
}

/* What CO_KEEP_FPENV keeps: rounding, flush to zero, traps, and the flags of what was raised. */
struct whorl__fpenv {
	uint32_t fcsr;
};

static inline void whorl__fpenv_read(struct whorl__fpenv *env)
{
	__asm__ volatile("cfc1 %0, $31" : "=r"(env->fcsr));
}

/* Takes up *env and leaves what was in force there. */
static inline void whorl__fpenv_swap(struct whorl__fpenv *env)
{
	struct whorl__fpenv now;

	whorl__fpenv_read(&now);
	__asm__ volatile("ctc1 %0, $31" : : "r"(env->fcsr));
	*env = now;
}
#endif
#endif
