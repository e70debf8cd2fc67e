/* The frame of a stopped fiber where there is no stub for the CPU: a struct whorl__frame on its own
 * stack, as switch.c writes it. Slow, since swapcontext(3) is a system call; meant to get a new CPU
 * going. Needs -lm. */
#ifndef WHORL_SRC_FRAME_H
#define WHORL_SRC_FRAME_H

#include <fenv.h>

/* A frame holds a ucontext_t, 968 bytes on x86-64 and 4.5 KiB on aarch64: too large for any but
 * ordinary stacks. */
#define WHORL__NO_SMALL_STACKS 1

/* Writes the first frame below `base` (a multiple of 16) and returns the sp to switch to. */
__attribute__((visibility("hidden"))) void *
whorl__frame_make(char *base, void (*entry)(void *arg, void *value), void *arg);

/* Where a stopped fiber goes on: not known. */
static inline const void *whorl__frame_place(const void *sp)
{
	(void)sp;
	return NULL;
}

/* What CO_KEEP_FPENV keeps. */
struct whorl__fpenv {
	fenv_t fenv;
};

static inline void whorl__fpenv_read(struct whorl__fpenv *env)
{
	fegetenv(&env->fenv);
}

/* Takes up *env and leaves what was in force there. */
static inline void whorl__fpenv_swap(struct whorl__fpenv *env)
{
	struct whorl__fpenv now;

	whorl__fpenv_read(&now);
	fesetenv(&env->fenv);
	*env = now;
}
#endif
