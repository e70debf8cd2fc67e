/* K13: a cancel at every point where a coroutine can be. Each body is played again and again; in
 * the k-th play a stranger is let loose at the k-th park of all, who cancels main, or in a second
 * sweep the coroutine that has parked. Until a play has no k-th park any more.
 *
 * White-box: whorl__park is wrapped by the linker, and the objects of the rooms are linked as they
 * are, for its name is hidden. Whatever is cut off where, all memory comes back, nobody is left, no
 * item and no permit is lost; ASan and valgrind look at the rest. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "play.h"

struct co;
int __real_whorl__park(struct co *co);
int __wrap_whorl__park(struct co *co);

static int parks, strike_at;
static bool strike_main;
static co_ref main_ref, victim;

static int strikes(void *arg)
{
	(void)arg;
	co_ignore(co_cancel(victim, 0));
	return 0;
}

int __wrap_whorl__park(struct co *co)
{
	if (++parks == strike_at) {
		victim = strike_main ? main_ref : co_self();
		ck_assert_int_eq(co_spawn(NULL, strikes, NULL, NULL), 0);
	}
	return __real_whorl__park(co);
}

/* -------------------------------------------------------------------------------------- bodies */

static int may(int rc)			/* what a call may give when it is cut off anywhere */
{
	ck_assert_msg(rc >= 0 || rc == -ECANCELED || rc == -ETIMEDOUT || rc == -EPIPE ||
			      rc == -ENODATA || rc == -ECONNRESET,
		      "%d", rc);
	return rc;
}

static int naps(void *arg)
{
	int rc = 0;

	for (int i = 0; i < 3 && rc == 0; i++)
		rc = may(co_sleep(MS((intptr_t)arg)));
	return rc;
}

static int tree(int depth)
{
	co_group g;
	int rc = 0;

	co_group_begin(&g, depth % 2 ? CO_GROUP_FAIL_FAST : CO_GROUP_COLLECT);
	for (intptr_t i = 0; i < 3 && rc == 0; i++)
		rc = may(co_spawn(&g, naps, (void *)(i + depth), NULL));
	if (rc == 0 && depth > 0)
		rc = tree(depth - 1);
	if (rc == 0)
		rc = may(co_group_wait_until(&g, co_now() + MS(2)));
	return may(co_group_end(&g, rc == -ETIMEDOUT ? 0 : rc));
}

static int grows_a_tree(void *arg)
{
	(void)arg;
	return tree(3);
}

static int scopes(void *arg)
{
	int rc = may(co_timeout(MS(4), naps, (void *)3));
	co_scope cleanup = CO_SCOPE_INIT;
	int end;

	(void)arg;
	co_scope_begin_shield(&cleanup, MS(10));
	end = co_sleep(MS(1));
	ck_assert_int_eq(end, 0);	/* whatever was cancelled outside */
	ck_assert_int_eq(co_scope_end(&cleanup, end), 0);
	return rc == -ETIMEDOUT ? 0 : rc;
}

static int starts(void *arg)
{
	int rc = may(co_sleep(MS(1)));

	co_started((intptr_t)arg);
	return rc < 0 ? rc : may(co_sleep(MS(1)));
}

static int joins(void *arg)
{
	int64_t value = 0;
	co_group g;
	co_ref ref;
	int rc, code;

	(void)arg;
	co_group_begin(&g, CO_GROUP_FIRST);
	co_group_limit(&g, 2);
	rc = may(co_group_start(&g, starts, (void *)7, &value));
	if (rc == 0) {
		ck_assert_int_eq(value, 7);
		rc = may(co_spawn(&g, naps, (void *)1, &ref));
	}
	if (rc == 0)
		rc = may(co_group_admit(&g));
	if (rc == 0)
		rc = may(co_join(ref, &code));
	rc = co_group_end(&g, rc);
	return rc == -ESRCH ? 0 : may(rc);
}

struct bank {
	co_mutex lock;
	co_cond change;
	co_sem vault;
	int turns, inside;
};

static int visits(void *arg)
{
	struct bank *bank = arg;
	int rc = may(co_sem_wait(&bank->vault));

	if (rc < 0)
		return rc;
	rc = may(co_mutex_lock(&bank->lock));
	if (rc == 0) {
		ck_assert_int_eq(bank->inside++, 0);
		bank->turns++;
		co_cond_broadcast(&bank->change);
		bank->inside--;
		while (rc == 0 && bank->turns < 4)
			rc = may(co_cond_wait(&bank->change, &bank->lock));
		co_ignore(co_mutex_unlock(&bank->lock));
	}
	co_sem_post(&bank->vault);
	return rc;
}

static int banks(void *arg)
{
	struct bank bank = { .lock = CO_MUTEX_INIT, .change = CO_COND_INIT };
	co_group g;
	int rc = 0;

	(void)arg;
	co_sem_init(&bank.vault, 4);
	co_group_begin(&g, CO_GROUP_COLLECT);
	for (int i = 0; i < 4 && rc == 0; i++)
		rc = may(co_spawn(&g, visits, &bank, NULL));
	if (rc == 0)
		rc = may(co_sleep(MS(5)));
	co_ignore(co_group_cancel(&g, 0));	/* whoever waits for one that was cut off */
	rc = may(co_group_end(&g, rc));
	ck_assert_uint_eq(co_sem_value(&bank.vault), 4);
	ck_assert_int_eq(bank.inside, 0);
	return rc;
}

static int echoes(void *arg)
{
	int fd = *(int *)arg;
	char word[4];
	ssize_t n;

	while ((n = co_read(fd, word, sizeof(word))) > 0) {
		n = co_write_all(fd, word, (size_t)n, NULL);
		if (n < 0)
			break;
	}
	shutdown(fd, SHUT_RDWR);	/* or the other end waits for ever */
	return (int)n;
}

static int talks(void *arg)
{
	char word[4] = "ping";
	int ends[2], rc;
	co_group g;

	(void)arg;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	rc = may(co_spawn(&g, echoes, &ends[1], NULL));
	for (int i = 0; i < 3 && rc == 0; i++) {
		rc = may(co_write_all(ends[0], word, sizeof(word), NULL));
		if (rc == 0)
			rc = may(co_read_full(ends[0], word, sizeof(word), NULL));
	}
	co_close(ends[0]);
	rc = co_group_end(&g, rc);
	co_close(ends[1]);
	return may(rc);
}

struct belt {
	co_chan *items, *stop;
	int sent, received;
};

static int sends(void *arg)
{
	struct belt *belt = arg;
	int rc = 0;

	for (int i = 0; i < 4 && rc == 0; i++) {
		rc = may(co_chan_send(belt->items, &i));
		belt->sent += rc == 0;
	}
	return rc;
}

static int receives(void *arg)
{
	struct belt *belt = arg;
	int item, n = 0;
	struct co_case cases[] = {
		{ CO_RECV, belt->items, &item, 0 },
		{ CO_RECV, belt->stop, &n, 0 },
	};
	int rc = 0;

	while (rc == 0) {
		rc = may(co_select(cases, 2));
		belt->received += rc == 0 && cases[0].result == 0;
	}
	return rc == 1 ? 0 : rc;
}

/* What was sent is what was received and what is left. */
static int belts(void *arg)
{
	struct belt belt = { .sent = 0 };
	co_ticker ticker;
	co_group g;
	int rc;

	(void)arg;
	ck_assert_int_eq(co_chan_make(&belt.items, sizeof(int), 1), 0);
	ck_assert_int_eq(co_chan_make(&belt.stop, sizeof(int), 0), 0);
	ck_assert_int_eq(co_ticker_init(&ticker, MS(1), MS(1), CO_TICK_SKIP), 0);
	co_group_begin(&g, CO_GROUP_COLLECT);
	rc = may(co_spawn(&g, sends, &belt, NULL));
	for (int i = 0; i < 2 && rc == 0; i++)
		rc = may(co_spawn(&g, receives, &belt, NULL));
	for (int i = 0; i < 3 && rc == 0; i++)
		rc = may(co_ticker_wait(&ticker, NULL));
	co_ignore(co_chan_close(belt.stop));
	co_ignore(co_group_cancel(&g, 0));	/* a sender that lost its receivers */
	rc = may(co_group_end(&g, rc));
	ck_assert_int_eq(belt.sent, belt.received + (int)co_chan_len(belt.items));
	co_chan_free(belt.items);
	co_chan_free(belt.stop);
	return rc;
}

static int computes(void *arg)
{
	usleep(1000);
	return *(int *)arg;
}

static int works(void *arg)
{
	static int seven = 7;
	int got = 7, rc = may(co_work(computes, &seven, &got));

	(void)arg;
	if (rc == 0)
		rc = may(co_work_with(computes, &seven, &got, CO_ABANDON, NULL));
	ck_assert_int_eq(got, 7);
	return rc;
}

/* ----------------------------------------------------------------------------------- the sweep */

static size_t live_blocks;

static void *counted_alloc(size_t size, void *ctx)
{
	void *p = malloc(size);

	(void)ctx;
	live_blocks += p != NULL;
	return p;
}

static void counted_free(void *ptr, size_t size, void *ctx)
{
	(void)size, (void)ctx;
	live_blocks--;
	free(ptr);
}

static co_fn *body;

static int plays(void *arg)
{
	main_ref = co_self();
	return body(arg);
}

static void play_struck(int k, bool at_main)
{
	struct co_options opt = { .clock = CO_CLOCK_VIRTUAL,
				  .alloc = { counted_alloc, counted_free, NULL } };
	int code = 1, rc;

	parks = 0;
	strike_at = k;
	strike_main = at_main;
	rc = co_run(plays, NULL, &opt, &code);
	ck_assert_msg(rc == 0, "co_run gave %d, struck at %d", rc, k);
	may(code);
	ck_assert_msg(live_blocks == 0, "%zu blocks left, struck at %d", live_blocks, k);
}

static int sweep(co_fn *fn, bool at_main)
{
	int k = 0;

	body = fn;
	do
		play_struck(++k, at_main);
	while (parks >= k);
	return k - 1;
}

#define SWEEP(fn, at_least)							\
	START_TEST(K13_##fn)							\
	{									\
		ck_assert_int_ge(sweep(fn, true), at_least);			\
		ck_assert_int_ge(sweep(fn, false), at_least);			\
	}									\
	END_TEST

SWEEP(grows_a_tree, 30)
SWEEP(scopes, 3)
SWEEP(joins, 4)
SWEEP(banks, 3)
SWEEP(belts, 5)
SWEEP(talks, 3)
SWEEP(works, 2)

/* --------------------------------------------------------------------- what LeakSanitizer sees
 *
 * A block to which only the stack of a coroutine refers is no leak while that lives, and is one
 * when it has ended. */
#if ASAN
#include <sanitizer/lsan_interface.h>

static uintptr_t disguised;	/* not what LeakSanitizer takes for a pointer */

static ON_THE_STACK int holds_a_block(void *arg)
{
	char *volatile block = malloc(100);
	int rc;

	(void)arg;
	ck_assert_ptr_nonnull(block);
	disguised = ~(uintptr_t)block;
	rc = co_sleep(CO_FOREVER);
	ck_assert_ptr_nonnull(block);
	return rc;
}

START_TEST(live_stacks_are_looked_into_for_leaks)
{
	struct co_options opt = { .clock = CO_CLOCK_VIRTUAL };
	co_loop *l;

	ck_assert_int_eq(co_loop_open(&l, &opt), 0);
	ck_assert_int_eq(co_loop_spawn(l, holds_a_block, NULL), 0);
	ck_assert_int_eq(co_loop_run_once(l), 0);
	ck_assert_int_eq(__lsan_do_recoverable_leak_check(), 0);
	ck_assert_int_eq(co_loop_close(l), 0);
	ck_assert_int_ne(__lsan_do_recoverable_leak_check(), 0);
	free((void *)~disguised);
}
END_TEST
#define LEAKS , live_stacks_are_looked_into_for_leaks
#else
#define LEAKS
#endif

SUITE("sweep", K13_grows_a_tree, K13_scopes, K13_joins, K13_banks, K13_belts, K13_talks,
      K13_works LEAKS)
