/* How fibers begin and end, and the switch where the stub alone is not enough.
 *
 * The FP control words and the C++ exception state are the thread's, shared by all its fibers,
 * except those with CO_KEEP_*. Such a fiber has a slot for them. Invariant: while the fiber is
 * stopped the slot holds its own; while it runs, what the others share. So entering and leaving are
 * the same swap, a switch between two such fibers is two, and nobody else ever sees its setting, in
 * whatever order fibers run.
 *
 * All of that happens before the stub; only sanitizers have something to do after it (K16). ASan is
 * told of each change of stack twice: where the new one lies, by the fiber that leaves, and that it
 * was reached, by the fiber that arrives. TSan is told by the fiber that leaves; one that ended is
 * given up by the next that arrives. */
#define _GNU_SOURCE 1
#include <stddef.h>

#include "core.h"
#include "frame.h"
#if WHORL__ASAN
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#elif WHORL__TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* Itanium C++ ABI: Exception Handling, 2.2.2 "Caught Exception Stack". Absent from programs without
 * a C++ runtime. */
struct cxx_globals {
	void *caught_exceptions;
	unsigned uncaught_exceptions;
};
extern struct cxx_globals *__cxa_get_globals(void) __attribute__((weak));

struct whorl__env {
	struct whorl__fpenv fp;
	struct cxx_globals cxx;
};

WHORL__TLS struct whorl__fiber *whorl__fiber_current;
static WHORL__TLS struct whorl__fiber of_thread;

struct whorl__fiber *whorl__fiber_adopt(void)
{
#if WHORL__TSAN
	of_thread.tsan = __tsan_get_current_fiber();
#endif
	return whorl__fiber_current = &of_thread;
}

/* ------------------------------------------------------------------------------------ sanitizer */

#if WHORL__ASAN
static WHORL__TLS struct whorl__fiber *left; /* the one that the last switch left */

/* ends: `from` does, and its fake stack is freed. */
static void depart(struct whorl__fiber *from, bool ends, const struct whorl__fiber *to)
{
	left = from;
	__sanitizer_start_switch_fiber(ends ? NULL : &from->fake_stack, to->asan_low, to->asan_size);
}

/* Also learns the bounds of the thread's own stack, which is the first to be left. LeakSanitizer
 * takes the stack that runs for the thread's only one: the thread's own is named to it meanwhile. */
static void arrive(struct whorl__fiber *self)
{
	const void *low;
	size_t size;

	__sanitizer_finish_switch_fiber(self->fake_stack, &low, &size);
	if (left->stack.low == NULL) {
		left->asan_low = low;
		left->asan_size = size;
		__lsan_register_root_region(low, size);
	}
	if (self->stack.low == NULL)
		__lsan_unregister_root_region(self->asan_low, self->asan_size);
}

/* Pretends to go there and to leave it for ever. */
__attribute__((no_sanitize_address)) void whorl__fiber_drop(struct whorl__fiber *f)
{
	const void *low;
	size_t size;
	void *mine;

	__sanitizer_start_switch_fiber(&mine, f->asan_low, f->asan_size);
	__sanitizer_finish_switch_fiber(f->fake_stack, &low, &size);
	__sanitizer_start_switch_fiber(NULL, low, size);
	__sanitizer_finish_switch_fiber(mine, NULL, NULL);
}
#elif WHORL__TSAN
static WHORL__TLS void *ended; /* TSan's name for a fiber that is no more */

static void depart(struct whorl__fiber *from, bool ends, const struct whorl__fiber *to)
{
	ended = ends ? from->tsan : NULL;
	__tsan_switch_to_fiber(to->tsan, 0);
}

static void arrive(struct whorl__fiber *self)
{
	(void)self;
	if (ended != NULL)
		__tsan_destroy_fiber(ended);
	ended = NULL;
}

void whorl__fiber_drop(struct whorl__fiber *f)
{
	__tsan_destroy_fiber(f->tsan);
}
#else
static inline void depart(struct whorl__fiber *from, bool ends, const struct whorl__fiber *to)
{
	(void)from, (void)ends, (void)to;
}

void whorl__fiber_drop(struct whorl__fiber *f)
{
	(void)f;
}
#endif

#if WHORL__SANITIZED
struct first {
	whorl__entry_fn *entry;
	void *arg;
};

static void arrive_first(void *arg, void *value)
{
	struct first *first = arg;

	arrive(whorl__fiber_current);
	first->entry(first->arg, value);
}
#endif

/* ---------------------------------------------------------------------------------------- begin */

/* Cuts `size` bytes off the stack below *base. */
static void *carve(char **base, size_t size)
{
	return *base -= (size + 15) & ~(size_t)15;
}

void whorl__fiber_init(struct whorl__fiber *f, const struct whorl__stack *stack, size_t record,
		       unsigned flags, whorl__entry_fn *entry, void *arg)
{
	char *base = whorl__stack_top(stack) - record;

	whorl__fiber_running();
	flags &= CO_KEEP_FPENV | CO_KEEP_CXX_EH;
	*f = (struct whorl__fiber){ .flags = flags, .stack = *stack };
	if (stack->guard >= WHORL__GUARD_CANARY)
		f->flags |= WHORL__FIBER_CANARY;
	if (flags != 0) {
		f->env = carve(&base, sizeof(*f->env));
		*f->env = (struct whorl__env){ 0 };
		whorl__fpenv_read(&f->env->fp);
	}
#if WHORL__SANITIZED
	struct first *first = carve(&base, sizeof(*first));

	*first = (struct first){ .entry = entry, .arg = arg };
	entry = arrive_first;
	arg = first;
#endif
#if WHORL__ASAN
	f->asan_low = stack->low;
	f->asan_size = stack->size + WHORL__STACK_RECORD;
#elif WHORL__TSAN
	f->tsan = __tsan_create_fiber(0);
#endif
	f->sp = whorl__frame_make(base, entry, arg);
}

/* --------------------------------------------------------------------------------------- switch */

static void swap_env(const struct whorl__fiber *f)
{
	struct cxx_globals *globals, *kept;
	void *caught;
	unsigned uncaught;

	if ((f->flags & CO_KEEP_FPENV) != 0)
		whorl__fpenv_swap(&f->env->fp);
	if ((f->flags & CO_KEEP_CXX_EH) != 0 && __cxa_get_globals != NULL) {
		globals = __cxa_get_globals();
		kept = &f->env->cxx;
		caught = globals->caught_exceptions;
		uncaught = globals->uncaught_exceptions;
		globals->caught_exceptions = kept->caught_exceptions;
		globals->uncaught_exceptions = kept->uncaught_exceptions;
		kept->caught_exceptions = caught;
		kept->uncaught_exceptions = uncaught;
	}
}

/* Of the running fiber: it wrote to its canary, or stands below it. */
static bool overflown(const struct whorl__stack *stack)
{
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0), low = (uintptr_t)stack->low;

	return !whorl__stack_intact(stack) || (frame < low && low - frame <= WHORL__GUARD_SIZE);
}

/* What comes before the stub. */
static void leave(struct whorl__fiber *from, struct whorl__fiber *to)
{
	if ((from->flags | to->flags) != 0) {
		if ((from->flags & WHORL__FIBER_CANARY) != 0 && overflown(&from->stack))
			whorl__overflow_report(from, "wrote below");
		swap_env(from);
		swap_env(to);
	}
	whorl__fiber_current = to;
}

#if WHORL__SANITIZED
void *whorl__fiber_switch_slow(struct whorl__fiber *from, struct whorl__fiber *to, void *value)
{
	leave(from, to);
	depart(from, false, to);
	value = whorl__switch(&from->sp, to->sp, value);
	arrive(from);
	return value;
}

int whorl__fiber_switch_slow_int(struct whorl__fiber *from, struct whorl__fiber *to, void *value)
{
	return (int)(intptr_t)whorl__fiber_switch_slow(from, to, value);
}
#else
void *whorl__fiber_switch_slow(struct whorl__fiber *from, struct whorl__fiber *to, void *value)
{
	leave(from, to);
	return whorl__switch(&from->sp, to->sp, value);
}

int whorl__fiber_switch_slow_int(struct whorl__fiber *from, struct whorl__fiber *to, void *value)
{
	leave(from, to);
	return whorl__switch_int(&from->sp, to->sp, value);
}
#endif

const void *whorl__fiber_place(const struct whorl__fiber *f)
{
	return whorl__frame_place(f->sp);
}

void whorl__fiber_exit(struct whorl__fiber *to, void *value)
{
	struct whorl__fiber *from = whorl__fiber_current;

	leave(from, to);
	depart(from, true, to);
	whorl__switch(&from->sp, to->sp, value);
	__builtin_unreachable();
}
