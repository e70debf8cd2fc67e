/* Raw coroutines: a fiber that remembers who resumed it.
 *
 * A coroutine's record lies at the upper end of its own stack: creating one allocates nothing else.
 * Stacks come from one pool, which all threads share under a lock; the last coroutine that a thread
 * destroyed it keeps, to be created anew. Resuming stores the running fiber as the resumer and
 * switches; suspending delivers the results and switches back, so that nothing is left to do behind
 * either switch and both are jumps. Nothing here assumes that the two alternate: the body of a
 * coroutine may be left by a switch of the scheduler's and be taken up again, and is RUNNING all
 * that time. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "raw.h"

#define PERIOD 5 /* s */
#define EACH 64	 /* calls of a thread: then it tidies */

#define RECORD ((sizeof(struct co_raw) + 63) & ~(size_t)63)
_Static_assert(RECORD <= WHORL__RECORD_MAX, "the stack's own bytes stay the user's");

static struct whorl__stack_pool pool = { .record = RECORD };
static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;

/* What this thread destroyed last: its stack is taken again without the lock, which is a third of
 * the life of a short coroutine (37 to 25 ns). At its end the thread gives it to the pool. */
static WHORL__TLS struct kept {
	struct co_raw *co; /* NULL: none */
	unsigned left;	   /* calls before one tidies; 0: at first, when nobody calls give_up yet */
} kept;
static pthread_key_t ends;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool have_key;

/* What nobody has needed for a while goes back as stacks are put back, a little with some of them:
 * nothing else is called regularly here. Periods are those of sched/tidy.c. Under the lock. */
static void tidy(void)
{
	static time_t period_end; /* s */
	static bool more;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	for (int n = 0; n < 2 && now.tv_sec >= period_end + n * PERIOD; n++) {
		whorl__stack_pool_next_period(&pool);
		more = true;
	}
	if (now.tv_sec >= period_end)
		period_end = now.tv_sec + PERIOD;
	more = more && whorl__stack_pool_trim(&pool);
}

static void lock_pool(void)
{
	pthread_mutex_lock(&pool_lock);
}

static void unlock_pool(void)
{
	pthread_mutex_unlock(&pool_lock);
}

static __attribute__((noinline)) void put_in_pool(const struct co_raw *co, bool tidies)
{
	lock_pool();
	whorl__stack_put(&pool, &co->fiber.stack);
	if (tidies)
		tidy();
	unlock_pool();
}

static void give_up(void *of_thread)
{
	struct kept *k = of_thread;

	if (k->co != NULL)
		put_in_pool(k->co, false);
	*k = (struct kept){ .left = 0 };
}

/* In the child of a fork the pool is whole and free: no thread that is not there has it half
 * changed. */
static void set_up(void)
{
	have_key = pthread_key_create(&ends, give_up) == 0;
	pthread_atfork(lock_pool, unlock_pool, unlock_pool);
}

static __attribute__((noinline)) int get_from_pool(const struct co_attr *attr, struct co_raw **out)
{
	struct whorl__stack stack;
	int rc;

	pthread_once(&once, set_up);
	lock_pool();
	rc = whorl__stack_get(&pool, attr->stack_size, attr->flags, &stack);
	unlock_pool();
	if (rc < 0)
		return rc;
	*out = (struct co_raw *)(void *)(whorl__stack_top(&stack) - RECORD);
	(*out)->fiber.stack = stack;
	return 0;
}

/* One that has its stack, and nothing else. */
static int get(const struct co_attr *attr, struct co_raw **out)
{
	*out = kept.co;
	if (*out == NULL ||
	    !whorl__stack_again(&(*out)->fiber.stack, attr->stack_size, attr->flags))
		return get_from_pool(attr, out);
	kept.co = NULL;
	return 0;
}

/* The first of a thread, and each 64th after it: the next one shall lie where others are in use. */
static __attribute__((noinline)) void put_and_tidy(const struct co_raw *co)
{
	pthread_once(&once, set_up);
	if (have_key && pthread_setspecific(ends, &kept) == 0)
		kept.left = EACH - 1;
	put_in_pool(co, true);
}

static void put(struct co_raw *co)
{
	if (WHORL__UNLIKELY(kept.left == 0)) {
		put_and_tidy(co);
		return;
	}
	kept.left--;
	if (kept.co != NULL)
		put_in_pool(kept.co, false);
	kept.co = co;
}

/* dlclose of the library, or exit: then other threads may still have coroutines, and make more. */
__attribute__((destructor)) static void unload(void)
{
	give_up(&kept);
	if (have_key)
		pthread_key_delete(ends);
	have_key = false;
	lock_pool();
	whorl__stack_pool_fini(&pool);
	unlock_pool();
}

static void run(void *arg, void *value)
{
	struct co_raw *co = arg;

	WHORL__FRAME_RECORD();
	value = co->fn(value);
	whorl__fiber_exit(whorl__raw_stop(&co->fiber, CO_RAW_DONE, value), NULL);
}

int co_raw_create(struct co_raw **out, co_raw_fn *fn, const struct co_attr *attr)
{
	static const struct co_attr defaults;
	struct co_raw *co;
	int rc;

	attr = attr != NULL ? attr : &defaults;
	if (out == NULL || fn == NULL || (attr->flags & ~WHORL__ATTR_FLAGS) != 0)
		return -EINVAL;
	rc = get(attr, &co);
	if (rc < 0)
		return rc;
	rc = whorl__overflow_watch();
	if (rc < 0) {
		put(co);
		return rc;
	}
	whorl__fiber_init(&co->fiber, co, attr->flags, run, co);
	co->fiber.site = __builtin_return_address(0);
	co->fiber.name = co->name;
	whorl__copy_name(co->name, attr->name);
	co->state = CO_RAW_NEW;
	co->fn = fn;
	*out = co;
	return 0;
}

int co_raw_resume(struct co_raw *co, void *in, void **out)
{
	if (co == NULL || co->state == CO_RAW_RUNNING)
		return -EINVAL;
	if (co->state == CO_RAW_DONE)
		return -ESRCH;
	co->state = CO_RAW_RUNNING;
	co->out = out;
	co->fiber.resumer = whorl__fiber_current;
	return whorl__fiber_switch_int(&co->fiber, in);
}

void *co_raw_suspend(void *out)
{
	struct whorl__fiber *to = whorl__raw_stop(whorl__fiber_current, CO_RAW_SUSPENDED, out);

	return to != NULL ? whorl__fiber_switch(to, (void *)1) : NULL;
}

enum co_raw_state co_raw_state(const struct co_raw *co)
{
	return co != NULL ? co->state : CO_RAW_DONE;
}

size_t co_raw_stack_used(const struct co_raw *co)
{
	return co != NULL ? whorl__stack_used(&co->fiber.stack, RECORD) : 0;
}

void co_raw_destroy(struct co_raw *co)
{
	if (co == NULL)
		return;
	if (co->state == CO_RAW_RUNNING) {
		fprintf(stderr, "whorl: coroutine '%s' was destroyed while it runs\n", co->name);
		abort();
	}
	if (co->state != CO_RAW_DONE)
		whorl__fiber_drop(&co->fiber);
	put(co);
	whorl__overflow_unwatch_later();
}
