/*
 * Conformance scenarios, group N: callbacks of the loop, other threads. All are REAL where another
 * thread acts; none depends on how fast that is. S215, of signals, is in test_signals.c.
 */
#define _GNU_SOURCE /* syscall */
#include "ends.h"

#include <sys/syscall.h>

/* Writes of 8 bytes, as to an eventfd. */
static atomic_int small_writes;

ssize_t write(int fd, const void *buf, size_t n)
{
	if (n == 8)
		atomic_fetch_add(&small_writes, 1);
	return syscall(SYS_write, fd, buf, n);
}

static void relax(unsigned *spins)
{
	if (++*spins % 64 == 0)
		sched_yield();
}

/* ------------------------------------------------------------------------------ callbacks */

static co_ref victim;

static int notes_its_cancel(void *unused)
{
	int rc = co_sleep(CO_FOREVER);

	(void)unused;
	note('f');
	return rc;
}

static void on_post_cancel(struct co_post_node *node)
{
	(void)node;
	note('a');
	IS(co_cancel(victim, EIO), 0);
	note('b');
}

/* C24 */
SCENARIO(S206_cancel_from_a_plain_callback)
{
	static struct co_post_node node = { .fn = on_post_cancel };
	struct lone f;

	lone_start(&f, notes_its_cancel, NULL);
	victim = f.ref;
	settle();
	IS(co_post(co_loop_self(), &node), 0);
	ck_assert_str_eq(notes(), "");
	IS(co_yield_now(), 0);
	IS(co_yield_now(), 0);
	ck_assert_str_eq(notes(), "abf");
	AT(0);
	IS(lone_end(&f), CANC);
}

static int slept;

static void on_post_sleep(struct co_post_node *node)
{
	(void)node;
	slept = co_sleep(MS(10));
	note('c');
}

/* C24, C39 */
SCENARIO_WITH(S207_blocking_call_in_a_callback, hearing())
{
	static struct co_post_node node = { .fn = on_post_sleep };

	IS(co_post(co_loop_self(), &node), 0);
	IS(co_sleep(MS(1)), 0);
	ck_assert_str_eq(notes(), "c");
	IS(slept, -EPERM);
	IS(misuses()->count, 1);
	IS(misuses()->kind[0], CO_MISUSE_CALLBACK);
	AT(1);
}

/* ------------------------------------------------------------------- the race with sleep */

struct race {
	_Atomic uint64_t scope; /* the one of this round */
	atomic_bool over;
};

/* Cancels each scope as soon as it is shown, after a pause that varies. */
static void *cancels_each(void *arg)
{
	struct race *r = arg;
	uint64_t last = 0, now, random = 1;
	unsigned spins = 0;

	while (!atomic_load(&r->over)) {
		now = atomic_load(&r->scope);
		if (now == last) {
			relax(&spins);
			continue;
		}
		last = now;
		for (uint64_t n = suite_random(&random) % 1024; n > 0; n--)
			atomic_signal_fence(memory_order_seq_cst);
		IS(co_scope_cancel_remote((co_scope_ref){ now }, EIO), 0);
	}
	return NULL;
}

static void rounds_of(struct race *r, int (*waits)(void), int n)
{
	for (int i = 0; i < n; i++) {
		co_scope s = CO_SCOPE_INIT;
		co_scope_ref ref;

		co_scope_begin(&s, CO_FOREVER);
		ref = co_scope_share(&s);
		ck_assert_uint_ne(ref.id, 0);
		atomic_store(&r->scope, ref.id);
		IS(co_scope_end(&s, waits()), -EIO);
	}
}

static int waits_for_ever(void)
{
	return co_sleep(CO_FOREVER);
}

static int waits_an_hour(void)
{
	return co_sleep(CO_SEC(3600));
}

static int waits_for_a_pipe(void)
{
	static int ends[2];
	char c;

	if (ends[0] == 0)
		pair(ends);
	return (int)co_read(ends[0], &c, 1);
}

/* REAL. C24: the thread acts at any moment from before the wait until long after its begin. */
SCENARIO_WITH(S209_remote_cancel_before_the_loop_sleeps_is_not_lost, real_clock())
{
	int n = suite_long() ? 400000 : 20000;
	struct race r = { .scope = 0 };
	pthread_t thread = start(cancels_each, &r);

	rounds_of(&r, waits_for_ever, n / 2);
	rounds_of(&r, waits_an_hour, n / 4);
	rounds_of(&r, waits_for_a_pipe, n / 4);
	atomic_store(&r.over, true);
	finish(thread);
}

/* ---------------------------------------------------------------------------- too late */

static co_loop_ref gone_loop;
static co_scope_ref gone_scopes[2];

static void on_post_never(struct co_post_node *node)
{
	(void)node;
	ck_abort_msg("a refused post was called");
}

static int leaves_references(void *unused)
{
	static co_scope forgotten = CO_SCOPE_INIT;
	co_scope s = CO_SCOPE_INIT;

	(void)unused;
	gone_loop = co_loop_self();
	co_scope_begin(&forgotten, CO_FOREVER);
	co_scope_begin(&s, CO_FOREVER);
	gone_scopes[0] = co_scope_share(&forgotten);
	gone_scopes[1] = co_scope_share(&s);
	ck_assert(gone_loop.id != 0 && gone_scopes[0].id != 0 && gone_scopes[1].id != 0);
	IS(co_scope_end(&s, 0), 0);
	return co_scope_end(&forgotten, 0);
}

static void *is_too_late(void *unused)
{
	static struct co_post_node node = { .fn = on_post_never };

	for (int i = 0; i < 2; i++)
		IS(co_scope_cancel_remote(gone_scopes[i], EIO), -ESRCH);
	IS(co_post(gone_loop, &node), -ESRCH);
	return unused;
}

static int tries_too_late(void *unused)
{
	(void)unused;
	is_too_late(NULL);
	finish(start(is_too_late, NULL));
	return co_sleep(MS(1));
}

/* C24: also when another runtime stands where the first one stood */
START_TEST(S210_remote_cancel_after_exit)
{
	PLAY(leaves_references);
	is_too_late(NULL);
	finish(start(is_too_late, NULL));
	PLAY(tries_too_late);
	is_too_late(NULL);
}
END_TEST

/* -------------------------------------------------------------------------------- FIFO */

enum { POSTS = 1000, POSTERS = 4 };

struct numbered {
	struct co_post_node node;
	int poster, number;
};

static struct numbered numbered[POSTERS][POSTS];
static int next_of[POSTERS];

static void on_post_number(struct co_post_node *node)
{
	const struct numbered *it = (struct numbered *)node;

	IS(it->number, next_of[it->poster]);
	next_of[it->poster]++;
}

struct poster {
	co_loop_ref loop;
	int i;
};

static void *posts_them_all(void *arg)
{
	const struct poster *p = arg;

	for (int n = 0; n < POSTS; n++) {
		numbered[p->i][n] = (struct numbered){ { .fn = on_post_number }, p->i, n };
		IS(co_post(p->loop, &numbered[p->i][n].node), 0);
	}
	return NULL;
}

/* C24: in order, none lost: all at once from this thread; then from four others together */
SCENARIO(S212_remote_posts_fifo)
{
	struct poster posters[POSTERS];
	pthread_t threads[POSTERS];

	for (int i = 0; i < POSTERS; i++)
		posters[i] = (struct poster){ co_loop_self(), i };
	posts_them_all(&posters[0]);
	IS(next_of[0], 0);
	settle();
	IS(next_of[0], POSTS);
	next_of[0] = 0;
	for (int i = 0; i < POSTERS; i++)
		threads[i] = start(posts_them_all, &posters[i]);
	for (int i = 0; i < POSTERS; i++)
		while (next_of[i] < POSTS)
			IS(co_yield_now(), 0);
	for (int i = 0; i < POSTERS; i++)
		finish(threads[i]);
}

/* -------------------------------------------------------------------------- idempotent */

enum { CANCELS = 1000, CANCELLERS = 8 };

static void *cancels_a_thousand_times(void *ref)
{
	for (int i = 0; i < CANCELS; i++)
		IS(co_scope_cancel_remote(*(co_scope_ref *)ref, 1 + i % 100), 0);
	return NULL;
}

struct waiter {
	co_scope scope;
	co_scope_ref ref;
	int woken, rc;
};

static int waits_shared(void *arg)
{
	struct waiter *w = arg;

	co_scope_begin(&w->scope, CO_FOREVER);
	w->ref = co_scope_share(&w->scope);
	ck_assert_uint_eq(co_scope_share(&w->scope).id, w->ref.id);
	w->rc = co_sleep(CO_FOREVER);
	w->woken++;
	w->rc = co_scope_end(&w->scope, w->rc);
	return 0;
}

/* C4, C24. The thread of the loop stands still meanwhile: all of it falls into one pass. */
SCENARIO_WITH(S213_idempotent_remote_cancel, real_clock())
{
	struct waiter w = { .scope = CO_SCOPE_INIT };
	pthread_t threads[CANCELLERS];
	struct lone f;
	int before;

	lone_start(&f, waits_shared, &w);
	IS(co_yield_now(), 0);
	before = atomic_load(&small_writes);
	for (int i = 0; i < CANCELLERS; i++)
		threads[i] = start(cancels_a_thousand_times, &w.ref);
	for (int i = 0; i < CANCELLERS; i++)
		finish(threads[i]);
	ck_assert_int_le(atomic_load(&small_writes) - before, 1);
	IS(lone_end(&f), 0);
	IS(w.woken, 1);
	ck_assert_int_le(w.rc, -1);
	ck_assert_int_ge(w.rc, -100);
	IS(co_scope_cancel_remote(w.ref, EIO), -ESRCH);
}

/* --------------------------------------------------------------------------- two runtimes */

static struct waiter abroad = { .scope = CO_SCOPE_INIT };
static co_ref self_abroad;
static atomic_int waits_abroad;

static int main_abroad(void *unused)
{
	self_abroad = co_self();
	co_scope_begin(&abroad.scope, CO_FOREVER);
	abroad.ref = co_scope_share(&abroad.scope);
	atomic_store(&waits_abroad, 1);
	abroad.rc = co_scope_end(&abroad.scope, co_sleep(CO_FOREVER));
	(void)unused;
	return 0;
}

static void *runs_another(void *unused)
{
	int code = -1;

	IS(co_run(main_abroad, NULL, real_clock(), &code), 0);
	IS(code, 0);
	return unused;
}

static struct co_options *hearing_real(void)
{
	struct co_options *opt = hearing();

	opt->clock = CO_CLOCK_MONOTONIC;
	return opt;
}

/* C39: the local calls are misuse, the remote one works */
SCENARIO_WITH(S216_two_runtimes, hearing_real())
{
	pthread_t thread = start(runs_another, NULL);

	await(&waits_abroad, 1);
	IS(co_cancel(self_abroad, EIO), -EXDEV);
	IS(co_scope_cancel(&abroad.scope, EIO), -EXDEV);
	IS(misuses()->count, 2);
	IS(misuses()->kind[0], CO_MISUSE_LOOP);
	IS(misuses()->kind[1], CO_MISUSE_LOOP);
	IS(co_scope_cancel_remote(abroad.ref, EPROTO), 0);
	finish(thread);
	IS(abroad.rc, -EPROTO);
}

SUITE("scenarios_remote",
      S206_cancel_from_a_plain_callback,
      S207_blocking_call_in_a_callback,
      S209_remote_cancel_before_the_loop_sleeps_is_not_lost,
      S210_remote_cancel_after_exit,
      S212_remote_posts_fifo,
      S213_idempotent_remote_cancel,
      S216_two_runtimes)
