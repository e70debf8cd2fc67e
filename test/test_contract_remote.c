/*
 * Clause C24 of the contract, and what <whorl/co.h> says of other threads: posts, remote cancels,
 * and what a function that the loop calls may do.
 */
#define _GNU_SOURCE /* pipe2, in ends.h */
#include "actor.h"
#include "ends.h"

#include <signal.h>

static void play_posts(struct co_post_node *node)
{
	IS(co_post(co_loop_self(), node), 0);
}

/* -------------------------------------------------------------------------- inside of one */

static struct target {
	co_group full, open;
	struct props props;
	int ends[2];
	int n;
	int got[64];
} in;

static char spare[8];

/* Each call that suspends, of those that take no argument of note. */
static void on_post_calls(struct co_post_node *node)
{
	struct iovec v = { spare, 1 };
	const struct sockaddr un = { .sa_family = AF_UNIX };
	int fd = in.ends[0], *got = in.got, n = 0;

	(void)node;
	for (size_t i = 0; i < LENGTH(waiting_calls); i++)
		got[n++] = waiting_calls[i].call(&in.props);
	got[n++] = co_yield_now();
	got[n++] = co_sleep(0);
	got[n++] = co_wait_fd(fd, POLLIN);
	got[n++] = co_wait_fd_until(fd, POLLIN, CO_FOREVER);
	got[n++] = (int)co_read(fd, spare, 1);
	got[n++] = (int)co_read_until(fd, spare, 1, CO_FOREVER);
	got[n++] = (int)co_write(fd, spare, 1);
	got[n++] = (int)co_write_until(fd, spare, 1, CO_FOREVER);
	got[n++] = (int)co_readv(fd, &v, 1);
	got[n++] = (int)co_writev(fd, &v, 1);
	got[n++] = co_read_full(fd, spare, 1, NULL);
	got[n++] = co_write_all(fd, spare, 1, NULL);
	got[n++] = co_accept(fd, NULL, NULL);
	got[n++] = co_accept_until(fd, NULL, NULL, CO_FOREVER);
	got[n++] = co_connect(fd, &un, sizeof(un));
	got[n++] = co_connect_until(fd, &un, sizeof(un), CO_FOREVER);
	got[n++] = co_work(five, NULL, NULL);
	got[n++] = co_work_with(five, NULL, NULL, CO_ABANDON, NULL);
	in.n = n;
}

/* C24, C39: each is misuse, gives -EPERM and does nothing; nothing has to wait for it. */
SCENARIO_WITH(C24_no_call_suspends_in_a_callback, hearing())
{
	static struct co_post_node node = { .fn = on_post_calls };

	set_up(&in.props, &in.full, &in.open);
	pair(in.ends);
	put(in.ends[1], "data");
	play_posts(&node);
	settle();
	ck_assert_int_gt(in.n, 20);
	for (int i = 0; i < in.n; i++)
		ck_assert_msg(in.got[i] == -EPERM, "call %d gives %d", i, in.got[i]);
	IS(misuses()->count, in.n);
	for (size_t i = 0; i < LENGTH(misuses()->kind); i++)
		IS(misuses()->kind[i], CO_MISUSE_CALLBACK);
	holds(in.ends[0], "data");
	holds(in.ends[1], "");
	close_both(in.ends);
	tear_down(&in.props);
	AT(0);
}

static struct nap napper = { .dur = CO_SEC(1000) };
static struct lone sleeper;
static co_scope outer = CO_SCOPE_INIT;

static void on_post_works(struct co_post_node *node)
{
	struct co_stats stats;
	int ends[2];

	(void)node;
	IS(co_now(), 0);
	IS(co_stats(&stats), 0);
	IS(co_cancel(sleeper.ref, EIO), 0);
	IS(co_spawn(NULL, write_x, NULL, NULL), 0);
	IS(co_spawn(&in.open, write_x, NULL, NULL), 0);
	IS(co_scope_rearm(&outer, MS(5)), 0);
	IS(co_scope_cancel(&outer, EPROTO), 0);
	pair(ends);
	close_both(ends);
	ck_assert_uint_ne(co_loop_self().id, 0);
}

/* What does not suspend may be called: to cancel, to spawn, to move a deadline, to close. */
SCENARIO(C24_what_a_callback_may_do)
{
	static struct co_post_node node = { .fn = on_post_works };

	co_group_begin(&in.open, CO_GROUP_COLLECT);
	lone_start(&sleeper, nap, &napper);
	co_scope_begin(&outer, CO_FOREVER);
	settle();
	play_posts(&node);
	IS(co_scope_end(&outer, co_sleep(MS(100))), -EPROTO);
	AT(0);
	IS(lone_end(&sleeper), CANC);
	settle();
	ck_assert_str_eq(notes(), "xx");
	IS(co_group_end(&in.open, 0), 0);
}

/* --------------------------------------------------------------------------------- nodes */

struct letter {
	struct co_post_node node;
	char letter;
	int again; /* how often it posts itself */
};

static void on_post_letter(struct co_post_node *node)
{
	struct letter *l = (struct letter *)node;

	note(l->letter);
	AT(0);
	if (l->again-- > 0)
		IS(co_post(co_loop_self(), node), 0);
}

/* In the order of posting; a node that posts itself comes after those posted before. Time does not
 * pass before all have been called (C38). */
SCENARIO(C24_posts_are_fifo_and_may_post_again)
{
	struct letter a = { { .fn = on_post_letter }, 'a', 3 };
	struct letter b = { { .fn = on_post_letter }, 'b', 2 };
	struct letter c = { { .fn = on_post_letter }, 'c', 0 };

	play_posts(&a.node);
	play_posts(&b.node);
	play_posts(&c.node);
	IS(co_sleep(1), 0);
	ck_assert_str_eq(notes(), "abcababa");
	IS(co_now(), 1);
}

/* One that posts itself for ever lets the others run, and timers. */
static int bounces;

static void on_post_bounce(struct co_post_node *node)
{
	if (++bounces >= 0)
		IS(co_post(co_loop_self(), node), 0);
}

SCENARIO_WITH(C24_an_endless_poster_starves_nobody, real_clock())
{
	static struct co_post_node endless = { .fn = on_post_bounce };

	play_posts(&endless);
	IS(co_sleep(MS(1)), 0);
	IS(co_yield_now(), 0);
	ck_assert_int_gt(bounces, 0);
	bounces = INT32_MIN;
}

SCENARIO(C24_a_queued_node_is_busy)
{
	struct letter a = { { .fn = on_post_letter }, 'a', 0 };

	play_posts(&a.node);
	IS(co_post(co_loop_self(), &a.node), -EBUSY);
	IS(co_post(co_loop_self(), &a.node), -EBUSY);
	settle();
	ck_assert_str_eq(notes(), "a");
	play_posts(&a.node);
	settle();
	ck_assert_str_eq(notes(), "aa");
}

static void on_post_free(struct co_post_node *node)
{
	note('f');
	free(node);
}

/* From fn on the memory is the caller's. */
SCENARIO(C24_fn_may_free_its_node)
{
	for (int i = 0; i < 3; i++) {
		struct co_post_node *node = calloc(1, sizeof(*node));

		node->fn = on_post_free;
		play_posts(node);
	}
	settle();
	ck_assert_str_eq(notes(), "fff");
}

SCENARIO(C24_what_is_refused)
{
	struct letter a = { { .fn = on_post_letter }, 'a', 0 };
	struct co_post_node none = { .fn = NULL };
	co_scope s = CO_SCOPE_INIT;
	co_scope_ref ref;

	IS(co_post(co_loop_self(), NULL), -EINVAL);
	IS(co_post(co_loop_self(), &none), -EINVAL);
	IS(co_post((co_loop_ref){ 0 }, &a.node), -ESRCH);
	IS(co_post((co_loop_ref){ UINT64_MAX }, &a.node), -ESRCH);
	play_posts(&a.node);
	settle();
	ck_assert_str_eq(notes(), "a");

	ck_assert_uint_eq(co_scope_share(&s).id, 0);
	IS(co_scope_cancel_remote((co_scope_ref){ 0 }, EIO), -ESRCH);
	IS(co_scope_cancel_remote((co_scope_ref){ UINT64_MAX }, EIO), -ESRCH);
	co_scope_begin(&s, CO_FOREVER);
	ref = co_scope_share(&s);
	ck_assert_uint_ne(ref.id, 0);
	IS(co_scope_cancel_remote(ref, -1), -EINVAL);
	IS(co_scope_cancel_remote(ref, ECANCELED), -EINVAL);
	IS(co_scope_cancel_remote(ref, ETIMEDOUT), -EINVAL);
	IS(co_sleep(MS(1)), 0);
	ck_assert(!co_scope_cancelled(&s));
	IS(co_scope_end(&s, 0), 0);
	ck_assert_uint_eq(co_scope_share(&s).id, 0);
	IS(co_scope_cancel_remote(ref, EIO), -ESRCH);
}

/* Recorded, and dropped if the scope ends first; the cause is an explicit one, the first stays. */
SCENARIO(C24_results_of_cancel_remote)
{
	co_scope s = CO_SCOPE_INIT, again = CO_SCOPE_INIT;
	co_scope_ref ref;
	int err;

	co_scope_begin(&s, CO_FOREVER);
	ref = co_scope_share(&s);
	ck_assert_uint_eq(co_scope_share(&s).id, ref.id);
	IS(co_scope_cancel_remote(ref, EIO), 0);
	IS(co_scope_cancel_remote(ref, EPROTO), 0);
	IS(co_scope_end(&s, co_sleep(MS(1))), -EIO);
	AT(0);
	IS(cause_of(&s, &err), CO_CAUSE_EXPLICIT);
	IS(err, EIO);

	co_scope_begin(&again, CO_FOREVER);
	ck_assert_uint_ne(co_scope_share(&again).id, ref.id);
	IS(co_scope_cancel_remote(ref, EIO), -ESRCH);
	IS(co_scope_cancel_remote(co_scope_share(&again), EIO), 0);
	IS(co_scope_end(&again, 7), 7);
	IS(co_sleep(MS(1)), 0);
}

/* Whatever id that is, it is of no scope. */
static void hits_nothing(uint64_t id)
{
	int rc = co_scope_cancel_remote((co_scope_ref){ id }, EIO);

	ck_assert_msg(rc == -ESRCH || rc == 0, "%" PRIx64 ": %d", id, rc);
}

static __attribute__((noinline)) int cancel_here(co_scope_ref ref)
{
	int rc = co_scope_cancel_remote(ref, EIO);

	__asm__ volatile("" : "+r"(rc)); /* no tail call */
	return rc;
}

static __attribute__((noinline)) int cancel_there(co_scope_ref ref)
{
	int rc = co_scope_cancel_remote(ref, EPIPE);

	__asm__ volatile("" : "+r"(rc));
	return rc;
}

/* C4: the cause names where the cancel was called. */
SCENARIO(C24_the_site_of_a_remote_cancel)
{
	struct co_cause cause[3];

	for (int i = 0; i < 3; i++) {
		co_scope s = CO_SCOPE_INIT;
		co_scope_ref ref;

		co_scope_begin(&s, CO_FOREVER);
		ref = co_scope_share(&s);
		IS(i == 1 ? cancel_there(ref) : cancel_here(ref), 0);
		IS(co_sleep(MS(1)), CANC);
		IS(co_scope_cause(&s, &cause[i]), 0);
		IS(co_scope_end(&s, CANC), i == 1 ? -EPIPE : -EIO);
	}
	ck_assert_ptr_nonnull(cause[0].site);
	ck_assert_ptr_ne(cause[0].site, cause[1].site);
	ck_assert_ptr_eq(cause[0].site, cause[2].site);
}

/* Ids that were never given out, near those that were: no scope is cancelled, and all goes on. */
SCENARIO(C24_refs_of_nothing)
{
	uint64_t later = UINT64_C(1) << 32; /* the same place, a generation later */
	co_scope s[3] = { CO_SCOPE_INIT, CO_SCOPE_INIT, CO_SCOPE_INIT };
	co_scope_ref ref[3];

	co_scope_begin(&s[0], CO_FOREVER);
	ref[0] = co_scope_share(&s[0]);
	for (int open = 1; open >= 0; open--) {
		for (uint64_t i = 0; i < 600; i++) {
			hits_nothing(i);
			if (!open || i != (uint32_t)ref[0].id)
				hits_nothing(later | i);
		}
		for (uint64_t n = 1; n < 5; n++) {
			hits_nothing(ref[0].id + n * later);
			hits_nothing(ref[0].id - n * later);
		}
		if (open)
			IS(co_scope_end(&s[0], co_sleep(MS(1))), 0);
	}
	s[0] = (co_scope)CO_SCOPE_INIT;
	for (int i = 0; i < 3; i++) {
		co_scope_begin(&s[i], CO_FOREVER);
		ref[i] = co_scope_share(&s[i]);
		for (int k = 0; k < i; k++)
			ck_assert_uint_ne(ref[i].id, ref[k].id);
	}
	IS(co_sleep(MS(1)), 0);
	for (int i = 3; i-- > 0;) {
		IS(co_scope_cancel_remote(ref[i], EIO), 0);
		IS(co_scope_end(&s[i], co_sleep(MS(1))), -EIO);
	}
}

static void on_post_ends_nothing(struct co_post_node *node)
{
	(void)node;
	note('p');
}

/* A cancel with err 0 stops without an error, as co_scope_cancel does. */
SCENARIO(C24_remote_with_err_0)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, CO_FOREVER);
	IS(co_scope_cancel_remote(co_scope_share(&s), 0), 0);
	IS(co_scope_end(&s, co_sleep(MS(1))), 0);
	ck_assert(co_scope_caught(&s));
}

enum { MANY_SCOPES = 600, MANY_LOOPS = 260 };	/* more than are made at a time */

struct shared_scope {
	co_scope scope;
	co_scope_ref ref;
	int rc;
};

static int shares_and_waits(void *arg)
{
	struct shared_scope *s = arg;

	s->scope = (co_scope)CO_SCOPE_INIT;
	co_scope_begin(&s->scope, CO_FOREVER);
	s->ref = co_scope_share(&s->scope);
	s->rc = co_scope_end(&s->scope, co_sleep(CO_FOREVER));
	return 0;
}

/* Of many scopes each is cancelled by its own ref only, in whatever order. */
SCENARIO(C24_a_cancel_meets_its_own_scope)
{
	static struct shared_scope s[MANY_SCOPES];
	co_group g;

	for (int round = 0; round < 2; round++) {
		co_group_begin(&g, CO_GROUP_FAIL_FAST);
		for (int i = 0; i < MANY_SCOPES; i++) {
			s[i].rc = 1;
			spawn(&g, shares_and_waits, &s[i]);
		}
		settle();
		for (int i = 0; i < MANY_SCOPES; i++) {
			int k = (i * 7 + 3) % MANY_SCOPES;

			IS(s[k].rc, 1);
			IS(co_scope_cancel_remote(s[k].ref, 1000 + k), 0);
			if (i % 3 == 0)
				settle();
		}
		IS(co_group_end(&g, 0), 0);
		for (int i = 0; i < MANY_SCOPES; i++) {
			IS(s[i].rc, -1000 - i);
			IS(co_scope_cancel_remote(s[i].ref, EIO), -ESRCH);
		}
	}
}

struct host {
	co_loop *loop;
	co_loop_ref ref;
	struct co_post_node node;
	int called;
	bool turn;	/* nothing is called in another's pass */
};

static int names_its_host(void *arg)
{
	((struct host *)arg)->ref = co_loop_self();
	return co_sleep(CO_FOREVER);
}

static void on_post_in_turn(struct co_post_node *node)
{
	struct host *h = (struct host *)(void *)((char *)node - offsetof(struct host, node));

	ck_assert(h->turn);
	h->called++;
}

/* Of many runtimes each is reached by its own ref only. */
START_TEST(C24_a_post_meets_its_own_runtime)
{
	static struct host h[MANY_LOOPS];

	for (int i = 0; i < MANY_LOOPS; i++) {
		h[i].node.fn = on_post_in_turn;
		IS(co_loop_open(&h[i].loop, real_clock()), 0);
		IS(co_loop_spawn(h[i].loop, names_its_host, &h[i]), 0);
		while (co_loop_run_once(h[i].loop) > 0)
			;
		ck_assert_uint_ne(h[i].ref.id, 0);
	}
	for (int i = 0; i < MANY_LOOPS; i++)
		IS(co_post(h[i].ref, &h[i].node), 0);
	for (int i = MANY_LOOPS; i-- > 0;) {
		h[i].turn = true;
		while (co_loop_run_once(h[i].loop) > 0)
			;
		IS(h[i].called, 1);
		h[i].turn = false;
	}
	for (int i = 0; i < MANY_LOOPS; i++) {
		IS(co_loop_close(h[i].loop), 0);
		IS(co_post(h[i].ref, &h[i].node), -ESRCH);
	}
}
END_TEST

/* ------------------------------------------------------------------------------ the end */

static struct co_post_node last = { .fn = on_post_ends_nothing };

static int posts_and_returns(void *unused)
{
	(void)unused;
	play_posts(&last);
	return 0;
}

/* An accepted post is called before co_run returns. */
START_TEST(C24_an_accepted_post_always_runs)
{
	PLAY(posts_and_returns);
	ck_assert_str_eq(notes(), "p");
}
END_TEST

struct storm {
	co_loop_ref loop;
	atomic_int accepted, called, refused;
};

static struct storm storm;
static struct co_post_node storm_nodes[4][16];

static void on_post_count(struct co_post_node *node)
{
	(void)node;
	atomic_fetch_add(&storm.called, 1);
}

/* Posts until it is told that the runtime is gone. */
static void *posts_to_the_end(void *nodes)
{
	int rc = 0;

	for (int i = 0; rc != -ESRCH; i++) {
		rc = co_post(storm.loop, (struct co_post_node *)nodes + i % 16);
		if (rc == 0)
			atomic_fetch_add(&storm.accepted, 1);
		else if (rc == -EBUSY)
			sched_yield();
		else
			IS(rc, -ESRCH);
	}
	atomic_fetch_add(&storm.refused, 1);
	return NULL;
}

static int opens_for_posts(void *arg)
{
	pthread_t *threads = arg;

	storm.loop = co_loop_self();
	for (int i = 0; i < 4; i++) {
		for (int k = 0; k < 16; k++)
			storm_nodes[i][k] = (struct co_post_node){ .fn = on_post_count };
		threads[i] = start(posts_to_the_end, storm_nodes[i]);
	}
	while (atomic_load(&storm.called) < 100)
		co_ignore(co_yield_now());
	return 0;
}

/* Also when they come while it ends. */
START_TEST(C24_posts_that_race_with_the_end)
{
	int rounds = suite_long() ? 120 : 30;
	pthread_t threads[4];

	for (int i = 0; i < rounds; i++) {
		int code = -1;

		storm = (struct storm){ .accepted = 0 };
		IS(co_run(opens_for_posts, threads, real_clock(), &code), 0);
		IS(code, 0);
		for (int k = 0; k < 4; k++)
			finish(threads[k]);
		IS(atomic_load(&storm.accepted), atomic_load(&storm.called));
		IS(atomic_load(&storm.refused), 4);
	}
}
END_TEST

static _Atomic uint64_t guest_id;

static int names_itself(void *unused)
{
	(void)unused;
	atomic_store(&guest_id, co_loop_self().id);
	return co_sleep(CO_FOREVER);
}

static void *posts_one(void *unused)
{
	IS(co_post((co_loop_ref){ atomic_load(&guest_id) }, &last), 0);
	return unused;
}

/* Before its host polls, or while it does. */
START_TEST(C24_a_post_makes_the_guests_fd_readable)
{
	pthread_t thread;
	co_loop *l;

	IS(co_loop_open(&l, real_clock()), 0);
	IS(co_loop_spawn(l, names_itself, NULL), 0);
	while (co_loop_run_once(l) > 0)
		;
	thread = start(posts_one, NULL);
	block_until(co_loop_fd(l), POLLIN);
	while (co_loop_run_once(l) > 0)
		;
	ck_assert_str_eq(notes(), "p");
	finish(thread);
	IS(co_loop_close(l), 0);
	IS(co_post((co_loop_ref){ guest_id }, &last), -ESRCH);
}
END_TEST

/* Accepted while nobody runs the guest: called at the latest by co_loop_close. */
START_TEST(C24_closing_a_guest_runs_its_posts)
{
	co_loop *l;

	IS(co_loop_open(&l, real_clock()), 0);
	IS(co_loop_spawn(l, names_itself, NULL), 0);
	while (co_loop_run_once(l) > 0)
		;
	IS(co_post((co_loop_ref){ atomic_load(&guest_id) }, &last), 0);
	ck_assert_str_eq(notes(), "");
	IS(co_loop_close(l), 0);
	ck_assert_str_eq(notes(), "p");
}
END_TEST

static int posts_to_a_former_one(void *ref)
{
	co_loop_ref *former = ref, self = co_loop_self();

	if (former->id != 0) {
		ck_assert_uint_ne(self.id, former->id);
		IS(co_post(*former, &last), -ESRCH);
	}
	*former = self;
	return co_sleep(MS(1));
}

/* A ref does not become that of the next runtime. */
START_TEST(C24_a_ref_of_a_former_runtime)
{
	co_loop_ref former = { 0 };

	for (int i = 0; i < 5; i++)
		PLAY_WITH(posts_to_a_former_one, &former, NULL);
	ck_assert_str_eq(notes(), "");
}
END_TEST

static co_loop *closing;
static int refused[2];

static void on_post_spawns(struct co_post_node *node)
{
	(void)node;
	refused[0] = co_spawn(NULL, must_not_run, NULL, NULL);
	refused[1] = closing ? co_loop_spawn(closing, must_not_run, NULL) : 0;
	note('s');
}

static struct co_post_node spawner = { .fn = on_post_spawns };

static int posts_a_spawner(void *unused)
{
	(void)unused;
	play_posts(&spawner);
	return 0;
}

/* C22: what is posted at the end can spawn nothing any more, for nothing would run it. */
START_TEST(C22_a_post_at_the_end_spawns_nothing)
{
	PLAY(posts_a_spawner);
	ck_assert_str_eq(notes(), "s");
	IS(refused[0], CANC);

	IS(co_loop_open(&closing, real_clock()), 0);
	IS(co_loop_spawn(closing, names_itself, NULL), 0);
	while (co_loop_run_once(closing) > 0)
		;
	IS(co_post((co_loop_ref){ atomic_load(&guest_id) }, &spawner), 0);
	IS(co_loop_close(closing), 0);
	ck_assert_str_eq(notes(), "ss");
	IS(refused[0], CANC);
	IS(refused[1], CANC);
}
END_TEST

/* ------------------------------------------------------------------------------ signals */

static co_loop_ref signalled_loop;
static struct co_post_node from_handler = { .fn = on_post_count };
static atomic_int handler_accepted;

static void on_sigusr1(int signo)
{
	int saved = errno, rc = co_post(signalled_loop, &from_handler);

	(void)signo;
	if (rc == 0)
		atomic_fetch_add(&handler_accepted, 1);
	errno = saved;
}

/* A handler on the loop's own thread, wherever that stands. */
SCENARIO_WITH(C24_posts_from_a_signal_handler, real_clock())
{
	const struct sigaction act = { .sa_handler = on_sigusr1, .sa_flags = SA_ONSTACK };

	signalled_loop = co_loop_self();
	IS(sigaction(SIGUSR1, &act, NULL), 0);
	for (int i = 1; i <= 1000; i++) {
		IS(raise(SIGUSR1), 0);
		while (atomic_load(&storm.called) < i)
			IS(co_yield_now(), 0);
	}
	IS(atomic_load(&handler_accepted), 1000);
	IS(atomic_load(&storm.called), 1000);
}

/* ---------------------------------------------------------------------- cancels that race */

enum { RACERS = 8 };

static _Atomic uint64_t shared_id;
static atomic_int results[2];
static atomic_bool stop;

static void *cancels_what_is_shown(void *unused)
{
	while (!atomic_load(&stop)) {
		int rc = co_scope_cancel_remote((co_scope_ref){ atomic_load(&shared_id) }, EIO);

		ck_assert_msg(rc == 0 || rc == -ESRCH, "%d", rc);
		atomic_fetch_add(&results[rc != 0], 1);
		if (rc != 0)
			sched_yield();
	}
	return unused;
}

/* Eight threads cancel scopes that end meanwhile: each scope has one outcome, and no cancel meets
 * another scope than its own. */
SCENARIO_WITH(C24_cancels_that_race_with_the_end_of_the_scope, real_clock())
{
	int rounds = suite_long() ? 10000 : 1500;
	pthread_t threads[RACERS];

	for (int i = 0; i < RACERS; i++)
		threads[i] = start(cancels_what_is_shown, NULL);
	for (int i = 0; i < rounds; i++) {
		co_scope shown_one = CO_SCOPE_INIT, hidden = CO_SCOPE_INIT;
		int rc;

		co_scope_begin(&shown_one, CO_FOREVER);
		atomic_store(&shared_id, co_scope_share(&shown_one).id);
		rc = i % 3 == 0 ? co_sleep(CO_FOREVER) : co_yield_now();
		rc = co_scope_end(&shown_one, rc);
		ck_assert_msg(rc == -EIO || (rc == 0 && i % 3 != 0), "%d", rc);
		co_scope_begin(&hidden, CO_FOREVER);
		IS(co_scope_end(&hidden, co_yield_now()), 0);
		ck_assert(!co_scope_cancelled(&hidden));
	}
	atomic_store(&stop, true);
	for (int i = 0; i < RACERS; i++)
		finish(threads[i]);
	ck_assert_int_ge(atomic_load(&results[0]), rounds / 3);
}

/* A ref that was handed out rules out a deadlock: somebody may come. */
static void *comes_late(void *unused)
{
	until_asleep(getpid());
	IS(co_scope_cancel_remote((co_scope_ref){ atomic_load(&shared_id) }, EIO), 0);
	return unused;
}

SCENARIO(C38_a_shared_scope_is_no_deadlock)
{
	co_scope s = CO_SCOPE_INIT;
	pthread_t thread;

	co_scope_begin(&s, CO_FOREVER);
	atomic_store(&shared_id, co_scope_share(&s).id);
	thread = start(comes_late, NULL);
	IS(co_scope_end(&s, co_sleep(CO_FOREVER)), -EIO);
	AT(0);
	finish(thread);
}

static co_ref waits_for_a_post;

static void on_post_end_the_wait(struct co_post_node *node)
{
	(void)node;
	IS(co_cancel(waits_for_a_post, 0), 0);
}

static struct co_post_node ends_the_wait = { .fn = on_post_end_the_wait };

static void *posts_late(void *to)
{
	until_asleep(getpid());
	IS(co_post(*(co_loop_ref *)to, &ends_the_wait), 0);
	return NULL;
}

/* Nor is a runtime whose ref was handed out. */
SCENARIO(C38_a_ref_of_the_runtime_is_no_deadlock)
{
	co_loop_ref self = co_loop_self();
	pthread_t thread = start(posts_late, &self);

	waits_for_a_post = co_self();
	IS(co_sleep(CO_FOREVER), CANC);
	AT(0);
	finish(thread);
}

START_TEST(C39_outside_there_is_no_loop)
{
	co_scope s = CO_SCOPE_INIT;

	ck_assert_uint_eq(co_loop_self().id, 0);
	ck_assert_uint_eq(co_scope_share(&s).id, 0);
	ck_assert_uint_eq(co_scope_share(NULL).id, 0);
	IS(co_post((co_loop_ref){ 0 }, &last), -ESRCH);
}
END_TEST

SUITE("contract_remote",
      C24_no_call_suspends_in_a_callback,
      C24_what_a_callback_may_do,
      C24_posts_are_fifo_and_may_post_again,
      C24_an_endless_poster_starves_nobody,
      C24_a_queued_node_is_busy,
      C24_fn_may_free_its_node,
      C24_what_is_refused,
      C24_results_of_cancel_remote,
      C24_the_site_of_a_remote_cancel,
      C24_refs_of_nothing,
      C24_remote_with_err_0,
      C24_a_cancel_meets_its_own_scope,
      C24_a_post_meets_its_own_runtime,
      C24_an_accepted_post_always_runs,
      C24_posts_that_race_with_the_end,
      C24_a_post_makes_the_guests_fd_readable,
      C24_closing_a_guest_runs_its_posts,
      C24_a_ref_of_a_former_runtime,
      C22_a_post_at_the_end_spawns_nothing,
      C24_posts_from_a_signal_handler,
      C24_cancels_that_race_with_the_end_of_the_scope,
      C38_a_shared_scope_is_no_deadlock,
      C38_a_ref_of_the_runtime_is_no_deadlock,
      C39_outside_there_is_no_loop)
