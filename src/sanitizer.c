/* What sanitizers are told of fibers (K16).
 *
 * ASan is told of each change of stack twice: where the new one lies, by the fiber that leaves, and
 * that it was reached, by the fiber that arrives. The saved word in between is the fake stack,
 * where ASan puts variables when it looks for uses after return. TSan is told by the fiber that
 * leaves. One that ended is given up by the next that arrives, since it needed its stack until
 * then.
 *
 * LeakSanitizer looks into the stack that runs, and takes it for the thread's only one. So all
 * stacks of fibers are named to it while those live, and the thread's own from where it stopped
 * upward, while another runs.
 *
 * A frame that is left without a return, as all are that a fiber still has when it ends, stays
 * poisoned; whoever gets the memory next shall not find that. */
#include <pthread.h>
#include <stdlib.h>

#include "sanitizer.h"

WHORL__WEAK void __sanitizer_finish_switch_fiber(void *save, const void **low, size_t *size);
WHORL__WEAK void *__asan_addr_is_in_fake_stack(void *fake_stack, void *at, void **low, void **end);
WHORL__WEAK void __asan_unpoison_memory_region(const volatile void *low, size_t size);
WHORL__WEAK void __lsan_unregister_root_region(const void *low, size_t size);
WHORL__WEAK void *__tsan_get_current_fiber(void);
WHORL__WEAK void *__tsan_create_fiber(unsigned flags);
WHORL__WEAK void __tsan_destroy_fiber(void *fiber);
WHORL__WEAK void __tsan_set_fiber_name(void *fiber, const char *name);

/* Of code that runs while a sanitizer is told the other stack: in a build with one, it would
 * count the return from here as one on that stack. */
#if defined(__has_attribute) && __has_attribute(disable_sanitizer_instrumentation)
#define PLAIN __attribute__((disable_sanitizer_instrumentation))
#else
#define PLAIN __attribute__((no_sanitize_address, no_sanitize_thread))
#endif

static WHORL__TLS struct whorl__seen *left; /* the one that the last switch left */
static WHORL__TLS bool left_for_ever;
static WHORL__TLS struct whorl__seen *first; /* of the thread's: all that live, and its own */

static void enlist(struct whorl__seen *s)
{
	s->next = first;
	s->at = &first;
	if (first != NULL)
		first->at = &s->next;
	first = s;
}

static void strike(struct whorl__seen *s)
{
	*s->at = s->next;
	if (s->next != NULL)
		s->next->at = s->at;
}

static bool of_thread(const struct whorl__seen *s)
{
	return s->fiber->stack.low == NULL;
}

/* What lies above the place where a fiber stopped. */
static size_t above(const struct whorl__seen *s)
{
	return (size_t)(s->low + s->size - (const char *)s->fiber->sp);
}

static void root(const void *low, size_t size)
{
	if (__lsan_register_root_region != NULL && size > 0)
		__lsan_register_root_region(low, size);
}

static void unroot(const void *low, size_t size)
{
	if (__lsan_unregister_root_region != NULL && size > 0)
		__lsan_unregister_root_region(low, size);
}

/* ----------------------------------------------------------------------- leaks at a program's end
 *
 * Of fake stacks, LeakSanitizer looks into that of the running fiber. In those of the others lie
 * the variables of frames to which something on the real stack points, or else they could not
 * return. */
typedef void *__attribute__((may_alias)) any_pointer;

PLAIN static void root_fake_frames(const struct whorl__seen *s)
{
	any_pointer *word = s->fiber->sp, *end = word + above(s) / sizeof(*word);
	void *low, *high;

	for (; word < end; word++)
		if (__asan_addr_is_in_fake_stack(s->fake_stack, *word, &low, &high) != NULL)
			root(low, (size_t)((char *)high - (char *)low));
}

/* Of this thread only: others may run. */
static void program_ends(void)
{
	for (const struct whorl__seen *s = first; s != NULL; s = s->next)
		if (s->fake_stack != NULL && s->fiber != whorl__fiber_current)
			root_fake_frames(s);
}

/* No destructor, as LeakSanitizer looks when those of the program run, which is before ours. */
static void await_end(void)
{
	if (__asan_addr_is_in_fake_stack != NULL && __lsan_register_root_region != NULL)
		atexit(program_ends);
}

/* ----------------------------------------------------------------------------------- the fibers */

void whorl__seen_thread(struct whorl__seen *own, const struct whorl__fiber *f)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, await_end);
	own->fiber = f;
	enlist(own);
	if (__tsan_get_current_fiber != NULL)
		own->tsan = __tsan_get_current_fiber();
}

static void enter(void *arg, void *value)
{
	struct whorl__seen *seen = arg;

	whorl__seen_arrive(seen);
	if (__tsan_set_fiber_name != NULL && seen->fiber->name != NULL)
		__tsan_set_fiber_name(seen->tsan, seen->fiber->name);
	seen->entry(seen->arg, value);
}

whorl__entry_fn *whorl__seen_begin(struct whorl__seen *seen, const struct whorl__fiber *f,
				   whorl__entry_fn *entry, void *arg)
{
	*seen = (struct whorl__seen){
		.fiber = f,
		.low = f->stack.low,
		.size = (size_t)(whorl__stack_top(&f->stack) - f->stack.low),
		.entry = entry,
		.arg = arg,
	};
	enlist(seen);
	root(seen->low, seen->size);
	if (__tsan_create_fiber != NULL)
		seen->tsan = __tsan_create_fiber(0);
	return enter;
}

PLAIN void whorl__seen_leave(struct whorl__seen *from, const struct whorl__seen *to, bool ends)
{
	left = from;
	left_for_ever = ends;
	if (__sanitizer_start_switch_fiber != NULL)
		__sanitizer_start_switch_fiber(ends ? NULL : &from->fake_stack, to->low, to->size);
	if (__tsan_switch_to_fiber != NULL)
		__tsan_switch_to_fiber(to->tsan, 0);
}

static void forget(struct whorl__seen *seen)
{
	if (__asan_unpoison_memory_region != NULL)
		__asan_unpoison_memory_region(seen->fiber->sp, above(seen));
	unroot(seen->low, seen->size);
	strike(seen);
	if (__tsan_destroy_fiber != NULL)
		__tsan_destroy_fiber(seen->tsan);
}

/* Also learns the bounds of the thread's own stack, which is the first to be left. */
PLAIN void whorl__seen_arrive(struct whorl__seen *self)
{
	const void *low = NULL;
	size_t size = 0;

	if (__sanitizer_finish_switch_fiber != NULL)
		__sanitizer_finish_switch_fiber(self->fake_stack, &low, &size);
	if (of_thread(left) && low != NULL) {
		left->low = low;
		left->size = size;
		root(left->fiber->sp, above(left));
	}
	if (left_for_ever)
		forget(left);
	if (of_thread(self) && self->low != NULL)
		unroot(self->fiber->sp, above(self));
}

/* Pretends to go there and to leave it for ever. */
PLAIN static void free_fake_stack(struct whorl__seen *seen)
{
	const void *low = NULL;
	size_t size = 0;
	void *mine;

	__sanitizer_start_switch_fiber(&mine, seen->low, seen->size);
	__sanitizer_finish_switch_fiber(seen->fake_stack, &low, &size);
	__sanitizer_start_switch_fiber(NULL, low, size);
	__sanitizer_finish_switch_fiber(mine, NULL, NULL);
}

void whorl__seen_drop(struct whorl__seen *seen)
{
	if (seen->fake_stack != NULL)
		free_fake_stack(seen);
	forget(seen);
}
