/* How fibers begin and end, and the switch where the stub alone is not enough.
 *
 * The FP control words and the C++ exception state are the thread's, shared by all its fibers,
 * except those with CO_KEEP_*. Such a fiber has a slot for them. Invariant: while the fiber is
 * stopped the slot holds its own; while it runs, what the others share. So entering and leaving are
 * the same swap, a switch between two such fibers is two, and nobody else ever sees its setting, in
 * whatever order fibers run.
 *
 * All of that happens before the stub; only sanitizers have something to be told after it
 * (src/sanitizer.h). */
#define _GNU_SOURCE 1
#include <stddef.h>

#include "core.h"
#include "frame.h"
#include "sanitizer.h"

/* Itanium C++ ABI: Exception Handling, 2.2.2 "Caught Exception Stack"; the third word is what
 * Exception Handling ABI for the Arm Architecture (IHI 0038A), 12.2 "Per-thread global memory"
 * adds. Absent from programs without a C++ runtime. */
struct cxx_globals {
	void *caught_exceptions;
	unsigned uncaught_exceptions;
#ifdef __ARM_EABI__
	void *propagating_exceptions; /* while destructors run: __cxa_end_cleanup goes on with one */
#endif
};
extern struct cxx_globals *__cxa_get_globals(void) __attribute__((weak));

struct whorl__env {
	struct whorl__fpenv fp;
	struct cxx_globals cxx;
	struct whorl__seen seen; /* with WHORL__FIBER_SANITIZED */
};

WHORL__TLS struct whorl__fiber *whorl__fiber_current;
static WHORL__TLS struct whorl__fiber of_thread;
static WHORL__TLS struct whorl__env env_of_thread;

struct whorl__fiber *whorl__fiber_adopt(void)
{
	if (whorl__sanitizer_present()) {
		of_thread.flags = WHORL__FIBER_SANITIZED;
		of_thread.env = &env_of_thread;
		whorl__seen_thread(&env_of_thread.seen, &of_thread);
	}
	return whorl__fiber_current = &of_thread;
}

/* ---------------------------------------------------------------------------------------- begin */

/* Cuts `size` bytes off the stack below *end. */
static void *carve(char **end, size_t size)
{
	return *end -= (size + 15) & ~(size_t)15;
}

void whorl__fiber_init(struct whorl__fiber *f, void *base, unsigned flags, whorl__entry_fn *entry,
		       void *arg)
{
	char *end = base;

	flags &= CO_KEEP_FPENV | CO_KEEP_CXX_EH;
	flags |= whorl__fiber_running()->flags & WHORL__FIBER_SANITIZED;
	if (f->stack.guard >= WHORL__GUARD_CANARY)
		flags |= WHORL__FIBER_CANARY;
	f->flags = flags;
	f->resumer = NULL;
	f->name = NULL;
	f->site = NULL;
	f->env = NULL;
	if (WHORL__UNLIKELY((flags & ~WHORL__FIBER_CANARY) != 0)) {
		f->env = carve(&end, sizeof(*f->env));
		*f->env = (struct whorl__env){ 0 };
		whorl__fpenv_read(&f->env->fp);
	}
	if ((flags & WHORL__FIBER_SANITIZED) != 0) {
		entry = whorl__seen_begin(&f->env->seen, f, entry, arg);
		arg = &f->env->seen;
	}
	f->sp = whorl__frame_make(end, entry, arg);
}

/* --------------------------------------------------------------------------------------- switch */

static void swap_env(const struct whorl__fiber *f)
{
	struct cxx_globals *globals, others;

	if ((f->flags & CO_KEEP_FPENV) != 0)
		whorl__fpenv_swap(&f->env->fp);
	if ((f->flags & CO_KEEP_CXX_EH) != 0 && __cxa_get_globals != NULL) {
		globals = __cxa_get_globals();
		others = *globals;
		*globals = f->env->cxx;
		f->env->cxx = others;
	}
}

/* Of the running fiber: it wrote to its canary, or stands below it. */
static bool overflown(const struct whorl__stack *stack)
{
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0), low = (uintptr_t)stack->low;

	return !whorl__stack_intact(stack) || (frame < low && low - frame <= WHORL__GUARD_SIZE);
}

/* What comes before the stub: if either has flags. */
static void leave(struct whorl__fiber *from, const struct whorl__fiber *to)
{
	if ((from->flags & WHORL__FIBER_CANARY) != 0 && overflown(&from->stack))
		whorl__overflow_report(from, "wrote below");
	swap_env(from);
	swap_env(to);
}

/* Both are sanitized, as all are. */
static void *switch_sanitized(struct whorl__fiber *from, struct whorl__fiber *to, void *value)
{
	whorl__seen_leave(&from->env->seen, &to->env->seen, false);
	value = whorl__switch(&from->sp, to->sp, value);
	whorl__seen_arrive(&from->env->seen);
	return value;
}

void *whorl__fiber_switch_slow(struct whorl__fiber *from, struct whorl__fiber *to, void *value)
{
	leave(from, to);
	whorl__fiber_current = to;
	if ((from->flags & WHORL__FIBER_SANITIZED) != 0)
		return switch_sanitized(from, to, value);
	return whorl__switch(&from->sp, to->sp, value);
}

int whorl__fiber_switch_slow_int(struct whorl__fiber *from, struct whorl__fiber *to, void *value)
{
	leave(from, to);
	whorl__fiber_current = to;
	if ((from->flags & WHORL__FIBER_SANITIZED) != 0)
		return (int)(intptr_t)switch_sanitized(from, to, value);
	return whorl__switch_int(&from->sp, to->sp, value);
}

const void *whorl__fiber_place(const struct whorl__fiber *f)
{
	return whorl__frame_place(f->sp);
}

void whorl__fiber_exit(struct whorl__fiber *to, void *value)
{
	struct whorl__fiber *from = whorl__fiber_current;

	if ((from->flags | to->flags) != 0)
		leave(from, to);
	whorl__fiber_current = to;
	if ((from->flags & WHORL__FIBER_SANITIZED) != 0)
		whorl__seen_leave(&from->env->seen, &to->env->seen, true);
	whorl__switch(&from->sp, to->sp, value);
	__builtin_unreachable();
}

void whorl__fiber_drop(struct whorl__fiber *f)
{
	if ((f->flags & WHORL__FIBER_SANITIZED) != 0)
		whorl__seen_drop(&f->env->seen);
}
