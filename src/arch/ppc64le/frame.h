/* The frame of a stopped fiber on ppc64le, for switch.S and for C.
 *
 * 64-Bit ELF V2 ABI Specification 1.4, "Register Roles": a function preserves r1, r14-r31, f14-f31,
 * v20-v31, cr2-cr4 and, for callers that share its TOC, r2; it needs LR to return by. "Minimum Stack
 * Frame Elements": a frame begins with the back chain, and words for CR and LR, which are for
 * whoever is called, and for the TOC pointer. So CR and LR go to the frame of whoever called the
 * switch. "Limited-Access Bits": FPSCR and VSCR are the thread's, unless CO_KEEP_FPENV asks for more
 * (src/fiber.c).
 *
 *	sp -> +0	+8	+24	+32	+224	+368	+512	+520	+528	+536
 *	      +-------+-------+-------+-------+-------+-------+-------+-------+-------+
 *	      | back  |unused | r2    |v20-v31|r14-r31|f14-f31| back  | CR    | LR    | the rest of the
 *	      | chain |       | (TOC) |       |       |       | chain |       |       | caller's frame
 *	      +-------+-------+-------+-------+-------+-------+-------+-------+-------+
 *
 * A fiber that never ran has its entry function in r14, the argument in r15, 0 in the upper back
 * chain and whorl__fiber_start in LR. Its TOC pointer is the entry function's to set. */
#ifndef WHORL_SRC_FRAME_H
#define WHORL_SRC_FRAME_H

#if _CALL_ELF != 2 || !defined __ALTIVEC__
#error "ppc64le: for ELFv2 with vector registers only; configure --with-arch=ucontext"
#endif

#define WHORL__FRAME_R2 24
#define WHORL__FRAME_V20 32 /* a multiple of 16: stvx takes no other */
#define WHORL__FRAME_R14 224
#define WHORL__FRAME_F14 368
#define WHORL__FRAME_SIZE 512

#define WHORL__CALLER_CR 8
#define WHORL__CALLER_LR 16

#define WHORL__START_SKIP 4 /* whorl__fiber_start is entered behind a nop, see there */

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct whorl__frame {
	uintptr_t own_back_chain, unused[2], r2;
	uint64_t v[12][2]; /* v20-v31 */
	uintptr_t r[18];   /* r14-r31 */
	uint64_t f[18];	   /* f14-f31 */
	uintptr_t back_chain, cr, lr, unused_too;
};
_Static_assert(offsetof(struct whorl__frame, r2) == WHORL__FRAME_R2, "switch.S");
_Static_assert(offsetof(struct whorl__frame, v) == WHORL__FRAME_V20, "switch.S");
_Static_assert(offsetof(struct whorl__frame, r) == WHORL__FRAME_R14, "switch.S");
_Static_assert(offsetof(struct whorl__frame, f) == WHORL__FRAME_F14, "switch.S");
_Static_assert(offsetof(struct whorl__frame, back_chain) == WHORL__FRAME_SIZE, "switch.S");
_Static_assert(offsetof(struct whorl__frame, cr) == WHORL__FRAME_SIZE + WHORL__CALLER_CR, "switch.S");
_Static_assert(offsetof(struct whorl__frame, lr) == WHORL__FRAME_SIZE + WHORL__CALLER_LR, "switch.S");

__attribute__((visibility("hidden"))) void whorl__fiber_start(void);

/* Writes the first frame below `base` (a multiple of 16) and returns the sp to switch to. */
static inline void *whorl__frame_make(char *base, void (*entry)(void *arg, void *value), void *arg)
{
	struct whorl__frame *frame = (struct whorl__frame *)(void *)base - 1;

	*frame = (struct whorl__frame){
		.own_back_chain = (uintptr_t)&frame->back_chain,
		.r[14 - 14] = (uintptr_t)entry,
		.r[15 - 14] = (uintptr_t)arg,
		.lr = (uintptr_t)whorl__fiber_start + WHORL__START_SKIP,
	};
	return frame;
}

/* Where a stopped fiber goes on. */
static inline const void *whorl__frame_place(const void *sp)
{
	return (const void *)((const struct whorl__frame *)sp)->lr;
}

/* What CO_KEEP_FPENV keeps: rounding, binary and decimal, traps, and the flags of what was
 * raised. */
struct whorl__fpenv {
	double fpscr; /* the bits of the register; no number */
};

static inline void whorl__fpenv_read(struct whorl__fpenv *env)
{
	__asm__ volatile("mffs %0" : "=f"(env->fpscr));
}

/* Takes up *env and leaves what was in force there. L is 1: all of the register. */
static inline void whorl__fpenv_swap(struct whorl__fpenv *env)
{
	struct whorl__fpenv now;

	whorl__fpenv_read(&now);
	__asm__ volatile("mtfsf 0xff, %0, 1, 0" : : "f"(env->fpscr));
	*env = now;
}
#endif
#endif
