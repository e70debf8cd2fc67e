/* The frame of a stopped fiber on riscv64, for switch.S and for C.
 *
 * RISC-V psABI, 1.1 "Integer Register Convention": a function preserves s0-s11 and sp, and needs ra
 * to return by; 1.2 "Floating-point Register Convention": fs0-fs11, as wide as the ABI passes FP
 * arguments, so 64 bits in lp64d. fcsr is the thread's, unless CO_KEEP_FPENV asks for more
 * (src/fiber.c). gp and tp are not a function's to change.
 *
 *	sp -> +0	+8	+96	+104	+192	+200	+208
 *	      +-------+-- --+-------+-------+-- --+-------+-------+-------+
 *	      | s0    | ... | s11   | fs0   | ... | fs11  | ra    | unused| the caller's stack
 *	      +-------+-- --+-------+-------+-- --+-------+-------+-------+
 *
 * A fiber that never ran has its entry function in s1, the argument in s2, 0 in s0 (which is the
 * frame pointer) and whorl__fiber_start in ra. */
#ifndef WHORL_SRC_FRAME_H
#define WHORL_SRC_FRAME_H

#define WHORL__FRAME_S0 0
#define WHORL__FRAME_FS0 96
#define WHORL__FRAME_RA 192
#define WHORL__FRAME_SIZE 208 /* sp is a multiple of 16: psABI 2.1 */

#define WHORL__START_SKIP 4 /* whorl__fiber_start is entered behind a nop, see there */

#ifndef __riscv_float_abi_double
#error "riscv64: for lp64d only; configure --with-arch=ucontext"
#endif

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct whorl__frame {
	uintptr_t s[12];
	uint64_t fs[12];
	uintptr_t ra, unused;
};
_Static_assert(offsetof(struct whorl__frame, s) == WHORL__FRAME_S0, "switch.S");
_Static_assert(offsetof(struct whorl__frame, fs) == WHORL__FRAME_FS0, "switch.S");
_Static_assert(offsetof(struct whorl__frame, ra) == WHORL__FRAME_RA, "switch.S");
_Static_assert(sizeof(struct whorl__frame) == WHORL__FRAME_SIZE, "switch.S");

__attribute__((visibility("hidden"))) void whorl__fiber_start(void);

/* Writes the first frame below `base` (a multiple of 16) and returns the sp to switch to. */
static inline void *whorl__frame_make(char *base, void (*entry)(void *arg, void *value), void *arg)
{
	struct whorl__frame *frame = (struct whorl__frame *)(void *)base - 1;

	*frame = (struct whorl__frame){
		.s[1] = (uintptr_t)entry,
		.s[2] = (uintptr_t)arg,
		.ra = (uintptr_t)whorl__fiber_start + WHORL__START_SKIP,
	};
	return frame;
}

/* Where a stopped fiber goes on. */
static inline const void *whorl__frame_place(const void *sp)
{
	return (const void *)((const struct whorl__frame *)sp)->ra;
}

/* What CO_KEEP_FPENV keeps: rounding, and the flags of what was raised. */
struct whorl__fpenv {
	uint64_t fcsr;
};

static inline void whorl__fpenv_read(struct whorl__fpenv *env)
{
	__asm__ volatile("frcsr %0" : "=r"(env->fcsr));
}

/* Takes up *env and leaves what was in force there. */
static inline void whorl__fpenv_swap(struct whorl__fpenv *env)
{
	__asm__ volatile("fscsr %0, %0" : "+r"(env->fcsr));
}
#endif
#endif
