/*
 * The runtime: the order of a pass (C9), what its errors mean (C10), how it ends (C29),
 * deadlocks (C38), and loops that are guests of others (co_loop_*, C39). The virtual clock is
 * in test_contract_time.c, spins in test_scenarios_shutdown.c.
 */
#include "actor.h"

#include <poll.h>
#include <pthread.h>
#include <time.h>

/* ------------------------------------------------------------------------ order of one pass */

/* one who notes its letter when it wakes at `at`, by a sleep of its own or by the deadline of
 * a scope */
struct waker {
	char letter;
	enum { BY_SLEEP, BY_JOIN, BY_WAIT, BY_SCOPE } by;
	int at;
};

static co_group *crowded; /* never empty */
static co_ref endless;	  /* a member of it */

static int waker(void *arg)
{
	const struct waker *w = arg;
	co_scope s = CO_SCOPE_INIT;
	co_ns at = MS(w->at);

	if (w->by == BY_SLEEP) {
		IS(co_sleep_until(at), 0);
	} else if (w->by == BY_JOIN) {
		IS(co_join_until(endless, NULL, at), TMO);
	} else if (w->by == BY_WAIT) {
		IS(co_group_wait_until(crowded, at), TMO);
	} else {
		co_scope_begin_at(&s, at, 0);
		IS(co_sleep(CO_FOREVER), CANC);
		IS(co_scope_end(&s, CANC), TMO);
	}
	note(w->letter);
	return 0;
}

/* they wait in the order given; with `late` the clock goes on in one jump */
static void wake_all(const struct waker *w, int n, int late, const char *order)
{
	struct waker copy[8];
	co_group all, g;

	memset(notes(), 0, 256);
	co_group_begin(&all, CO_GROUP_FAIL_FAST);
	crowded = &all;
	endless = spawn(&all, sleep_forever, NULL);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < n; i++) {
		copy[i] = w[i];
		copy[i].at += now_ms();
		spawn(&g, waker, &copy[i]);
	}
	settle();
	if (late)
		stall(MS(late));
	IS(co_group_end(&g, 0), 0);
	ck_assert_str_eq(notes(), order);
	IS(co_group_cancel(&all, 0), 0);
	IS(co_group_end(&all, 0), 0);
}

/* C9: in one instant operations first, each kind in the order of arming */
SCENARIO(C9_operations_before_scopes_of_one_instant)
{
	/* clang-format off */
	static const struct waker w[] = {
		{ 'S', BY_SCOPE, 10 }, { 'a', BY_SLEEP, 10 }, { 'T', BY_SCOPE, 10 }, { 'b', BY_JOIN,
		  10 },
		{ 'U', BY_SCOPE, 10 }, { 'c', BY_WAIT, 10 }, { 'V', BY_SCOPE, 10 }, { 'd', BY_SLEEP,
		  10 },
	};
	/* clang-format on */

	wake_all(w, 8, 0, "abcdSTUV");
	wake_all(w, 8, 10, "abcdSTUV");
	wake_all(w, 8, 500, "abcdSTUV");
}

/* C9: a late batch is in order of deadlines, whatever the order of arming */
SCENARIO(C9_late_batch_in_order_of_deadlines)
{
	/* clang-format off */
	static const struct waker w[] = {
		{ 'f', BY_SCOPE, 40 }, { 'e', BY_SLEEP, 40 }, { 'b', BY_SCOPE, 10 }, { 'c',
		  BY_SLEEP, 20 },
		{ 'd', BY_SCOPE, 30 }, { 'a', BY_WAIT, 10 }, { 'h', BY_SCOPE, 4000 }, { 'g',
		  BY_JOIN, 4000 },
	};
	/* clang-format on */

	wake_all(w, 8, 0, "abcdefgh");
	wake_all(w, 8, 40, "abcdefgh");
	wake_all(w, 8, 100000, "abcdefgh");
}

static int notes_thrice(void *letter)
{
	for (int i = 0; i < 3; i++) {
		note((char)(intptr_t)letter);
		IS(i & 1 ? co_sleep(0) : co_yield_now(), 0);
	}
	return 0;
}

/* C9: the run queue is FIFO */
SCENARIO(C9_run_queue_is_first_in_first_out)
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 4; i++)
		spawn(&g, notes_thrice, num('a' + i));
	IS(co_group_end(&g, 0), 0);
	ck_assert_str_eq(notes(), "abcdabcdabcd");
}

static int sleeps_then_notes(void *ms)
{
	IS(co_sleep(MS((intptr_t)ms)), 0);
	note('s');
	return 0;
}

static int notes_once(void *letter)
{
	note((char)(intptr_t)letter);
	return 0;
}

/* C9: timers of a pass come before its snapshot, behind those who were runnable already */
SCENARIO(C9_timers_then_the_snapshot)
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, sleeps_then_notes, num(10));
	settle();
	stall(MS(10));
	spawn(&g, notes_once, num('x'));
	IS(co_yield_now(), 0);
	note('m');
	IS(co_yield_now(), 0);
	note('M');
	IS(co_group_end(&g, 0), 0);
	ck_assert_str_eq(notes(), "xmsM");
}

/* C2: the cached time lags, sleeps do not start from it */
SCENARIO(C2_loop_now_is_the_time_of_this_pass)
{
	IS(co_loop_now(), 0);
	stall(MS(50));
	IS(co_now(), MS(50));
	ck_assert_int_le(co_loop_now(), co_now());
	IS(co_sleep(MS(10)), 0);
	AT(60);
	IS(co_loop_now(), MS(60));
}

/* ---------------------------------------------------------------- -ECANCELED and -ETIMEDOUT */

/* C10: inside, only -ECANCELED; -ETIMEDOUT is for the owner of a deadline */
SCENARIO(C10_who_gets_which)
{
	co_group full, open;
	co_scope s = CO_SCOPE_INIT;
	struct props p;
	int rc;

	set_up(&p, &full, &open);
	for (size_t i = 0; i < LENGTH(waiting_calls); i++) {
		s = (co_scope)CO_SCOPE_INIT;
		co_scope_begin(&s, MS(10));
		rc = waiting_calls[i].call(&p);
		ck_assert_msg(rc == CANC, "%s: %d", waiting_calls[i].name, rc);
		ck_assert(!co_scope_caught(&s));
		IS(co_scope_end(&s, rc), TMO);
		ck_assert(co_scope_caught(&s));
		AT(10 * (int)i + 10);
	}
	IS(co_join_until(p.idle, NULL, co_now() + MS(5)), TMO);
	IS(co_group_wait_until(&full, co_now() + MS(5)), TMO);
	tear_down(&p);
}

/* --------------------------------------------------------------------- the end of a runtime */

struct lingerer {
	int hold; /* ms: how long it holds on after the cut */
	int woke, at, left;
	struct co_cause cause;
	volatile int *frame;
};

static int lingerer(void *arg)
{
	struct lingerer *l = arg;
	volatile int on_stack = 4711;

	l->frame = &on_stack;
	l->woke = co_sleep(CO_FOREVER);
	l->at = now_ms();
	IS(co_cancel_cause(&l->cause), 0);
	if (l->hold)
		calm_ms(l->hold);
	l->left = now_ms();
	return CANC;
}

struct leaving {
	struct lingerer who[3];
	int n, exit;
};

static int leaves_detached(void *arg)
{
	struct leaving *v = arg;
	static const char *const names[] = { "ann", "bob", "cyd" };

	for (int i = 0; i < v->n; i++)
		IS(co_spawn_with(NULL, lingerer, &v->who[i], NULL,
				 &(struct co_attr){ .name = names[i] }),
		   0);
	IS(co_sleep(MS(10)), 0);
	return v->exit;
}

/* C29, C4: cancelled as main returns, cause SHUTDOWN without an err; in time is well */
START_TEST(C29_detached_are_cancelled_and_awaited)
{
	struct leaving v = { .who = { { .hold = 0 }, { .hold = 30 }, { .hold = 4990 } },
			     .n = 3,
			     .exit = 7 };
	int code = -1;

	IS(co_run(leaves_detached, &v, hearing(), &code), 0);
	IS(code, 7);
	for (int i = 0; i < 3; i++) {
		IS(v.who[i].woke, CANC);
		IS(v.who[i].at, 10);
		IS(v.who[i].left, 10 + v.who[i].hold);
		IS(v.who[i].cause.kind, CO_CAUSE_SHUTDOWN);
		IS(v.who[i].cause.err, 0);
	}
	IS(reports()->count, 0);
}
END_TEST

/* C29: the default grace is 5 s */
START_TEST(C29_default_grace)
{
	struct leaving v = { .who = { { .hold = 5010 } }, .n = 1, .exit = -9 };
	int code = -1;

	IS(co_run(leaves_detached, &v, hearing(), &code), -ETIMEDOUT);
	IS(code, -9);
	IS(v.who[0].left, 0);
	IS(reported(CO_REPORT_STUCK_AT_EXIT), 1);
}
END_TEST

/* C29: reported by name; the stuck one keeps its memory; the thread can start again */
START_TEST(C29_stuck_at_exit)
{
	struct leaving v = { .who = { { .hold = 49 }, { .hold = 51 }, { .hold = 1000 } }, .n = 3 },
		       again = { .n = 0 };
	struct co_options *opt = hearing();
	int code = -1;

	opt->grace = MS(50);
	IS(co_run(leaves_detached, &v, opt, &code), -ETIMEDOUT);
	IS(code, 0);
	IS(v.who[0].left, 59);
	IS(v.who[1].left, 0);
	IS(v.who[2].left, 0);
	IS(*v.who[1].frame, 4711);
	IS(*v.who[2].frame, 4711);
	ck_assert_int_ge(reported(CO_REPORT_STUCK_AT_EXIT), 1);
	IS(reported(CO_REPORT_STUCK_AT_EXIT), reports()->count);
	for (int i = 0; i < reports()->count; i++)
		ck_assert_ptr_null(strstr(reports()->text[i], "ann"));
	ck_assert_ptr_nonnull(strstr(reports()->text[0], "bob"));
	ck_assert_ptr_nonnull(strstr(reports()->text[reports()->count - 1], "cyd"));
	IS(co_run(leaves_detached, &again, opt, &code), 0);
	IS(*v.who[1].frame, 4711);
}
END_TEST

/* C29: an endless grace */
START_TEST(C29_grace_for_ever)
{
	struct leaving v = { .who = { { .hold = 3600000 } }, .n = 1 };
	struct co_options *opt = hearing();

	opt->grace = CO_FOREVER;
	PLAY_WITH(leaves_detached, &v, opt);
	IS(v.who[0].left, 3600010);
	IS(reports()->count, 0);
}
END_TEST

static int spawns_at_the_end(void *arg)
{
	co_ref ref;
	co_group g;

	IS(co_sleep(CO_FOREVER), CANC);
	IS(co_spawn(NULL, must_not_run, NULL, &ref), CANC);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_spawn(&g, must_not_run, NULL, NULL), CANC);
	IS(co_group_end(&g, 0), 0);
	*(int *)arg = 1;
	return 0;
}

static int leaves_a_spawner(void *arg)
{
	IS(co_spawn(NULL, spawns_at_the_end, arg, NULL), 0);
	IS(co_yield_now(), 0);
	return 0;
}

/* C10, C22: a runtime that ends takes no more work */
START_TEST(C10_spawning_at_the_end)
{
	int done = 0;

	PLAY_WITH(leaves_a_spawner, &done, hearing());
	IS(done, 1);
}
END_TEST

static int leaves_errors(void *arg)
{
	static struct actor fails = { .exit = -EIO }, odd = { .nap = 5, .exit = -ECANCELED },
			    fine = { .exit = 7 };
	static struct actor cut = { .nap = EVER },
			    cut_and_fails = { .nap = EVER, .answers = true, .answer = -EPROTO };
	struct actor *all[] = { &fails, &odd, &fine, &cut, &cut_and_fails };
	static const char *const names[] = { "fails", "odd", "fine", "cut", "cutandfails" };

	(void)arg;
	for (int i = 0; i < 5; i++)
		IS(co_spawn_with(NULL, actor, all[i], NULL, &(struct co_attr){ .name = names[i] }),
		   0);
	IS(co_sleep(MS(10)), 0);
	IS(reports()->count, 2);
	IS(co_checkpoint(), 0);
	return 0;
}

/* C26, C39: an error of a detached coroutine is reported, cancels nobody and is not main's */
START_TEST(C39_error_of_a_detached_coroutine_is_reported)
{
	static const char *const who[] = { "fails", "odd", "cutandfails" };

	PLAY_WITH(leaves_errors, NULL, hearing());
	IS(reports()->count, 3);
	for (int i = 0; i < 3; i++) {
		IS(reports()->kind[i], CO_REPORT_DETACHED_ERROR);
		ck_assert_ptr_nonnull(strstr(reports()->text[i], who[i]));
		ck_assert_ptr_nonnull(reports()->site[i]);
	}
}
END_TEST

/* -------------------------------------------------------------------------------- deadlocks */

struct knot {
	co_fn *tie;	   /* main: gets into the deadlock, checks what comes of it, returns 3 */
	const char *names; /* those who must be in the report */
};

static void after_the_knot(int rc)
{
	struct co_cause cause = { .err = 0 };

	IS(rc, CANC);
	IS(co_cancel_cause(&cause), 0);
	IS(cause.kind, CO_CAUSE_SHUTDOWN);
	IS(cause.err, EDEADLK);
	IS(co_sleep(MS(1)), CANC);
}

static co_ref spawn_named(co_group *g, co_fn *fn, void *arg, const char *name)
{
	co_ref ref = { 0 };

	IS(co_spawn_with(g, fn, arg, &ref, &(struct co_attr){ .name = name }), 0);
	return ref;
}

static int for_ever(void *arg)
{
	(void)arg;
	after_the_knot(co_sleep(CO_FOREVER));
	return CANC;
}

static int tie_alone(void *arg)
{
	(void)arg;
	IS(co_sleep(MS(1)), 0);
	after_the_knot(co_sleep_until(CO_FOREVER));
	return 3;
}

static int tie_join(void *arg)
{
	co_group g;
	co_ref ref;

	(void)arg;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ref = spawn_named(&g, for_ever, NULL, "alpha");
	after_the_knot(co_join_until(ref, NULL, CO_FOREVER));
	IS(co_group_end(&g, 0), CANC);
	return 3;
}

static int tie_group_end(void *arg)
{
	co_group g;

	(void)arg;
	co_group_begin(&g, CO_GROUP_COLLECT);
	spawn_named(&g, for_ever, NULL, "alpha");
	spawn_named(&g, for_ever, NULL, "beta");
	IS(co_group_end(&g, 0), CANC);
	after_the_knot(CANC);
	return 3;
}

static int joins_the_other(void *arg)
{
	after_the_knot(co_join(*(co_ref *)arg, NULL));
	return CANC;
}

static int tie_each_other(void *arg)
{
	co_ref ref[2];
	co_group g;

	(void)arg;
	co_group_begin(&g, CO_GROUP_FIRST);
	ref[1] = spawn_named(&g, joins_the_other, &ref[0], "alpha");
	ref[0] = spawn_named(&g, joins_the_other, &ref[1], "beta");
	after_the_knot(co_group_wait(&g));
	IS(co_group_end(&g, CANC), CANC);
	return 3;
}

static int tie_detached(void *arg)
{
	(void)arg;
	after_the_knot(co_join(spawn_named(NULL, for_ever, NULL, "alpha"), NULL));
	return 3;
}

static int tie_admit(void *arg)
{
	co_group g;

	(void)arg;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_group_limit(&g, 1);
	spawn_named(&g, for_ever, NULL, "alpha");
	after_the_knot(co_group_admit(&g));
	IS(co_group_end(&g, CANC), CANC);
	return 3;
}

static int tie_start(void *arg)
{
	co_group g;

	(void)arg;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	after_the_knot(co_group_start(&g, for_ever, NULL, NULL));
	IS(co_group_end(&g, CANC), CANC);
	return 3;
}

/* with cleanup that takes time, and a scope without an end */
static int tie_with_cleanup(void *arg)
{
	co_scope s = CO_SCOPE_INIT;

	(void)arg;
	co_scope_begin(&s, CO_FOREVER);
	after_the_knot(co_sleep(CO_FOREVER));
	calm_ms(2);
	IS(co_scope_end(&s, CANC), CANC);
	return 3;
}

static co_ns real_time(void *unused)
{
	struct timespec ts;

	(void)unused;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return CO_SEC(ts.tv_sec) + ts.tv_nsec;
}

static void untie(const struct knot *k, struct co_options *opt)
{
	int code = -1, before = reports()->count;
	char names[64], *name, *rest = NULL;

	IS(co_run(k->tie, NULL, opt, &code), -EDEADLK);
	IS(code, 3);
	IS(reports()->count, before + 1);
	IS(reports()->kind[before], CO_REPORT_DEADLOCK);
	snprintf(names, sizeof(names), "%s", k->names);
	for (name = strtok_r(names, " ", &rest); name; name = strtok_r(NULL, " ", &rest))
		ck_assert_msg(strstr(reports()->text[before], name), "%s: %s", name,
			      reports()->text[before]);
}

/* C38, C4: on every clock; one report names who waits; exit_code is main's own */
START_TEST(C38_deadlock)
{
	/* clang-format off */
	static const struct knot knots[] = {
		{ tie_alone, "" }, { tie_join, "alpha" }, { tie_group_end, "alpha beta" },
		{ tie_each_other, "alpha beta" }, { tie_detached, "alpha" }, { tie_admit, "alpha" },
		{ tie_start, "" }, { tie_with_cleanup, "" },
	};
	/* clang-format on */
	struct co_options opt[4];

	for (int i = 0; i < 4; i++)
		opt[i] = *hearing();
	opt[1].clock = CO_CLOCK_MONOTONIC;
	opt[2].clock = CO_CLOCK_BOOTTIME;
	opt[3].clock = CO_CLOCK_MONOTONIC;
	opt[3].now = real_time;
	for (size_t i = 0; i < LENGTH(knots); i++)
		for (int k = 0; k < 4; k++) {
			reports()->count = 0;
			untie(&knots[i], &opt[k]);
		}
}
END_TEST

static int not_tied(void *arg)
{
	co_scope s = CO_SCOPE_INIT;
	co_group g;

	(void)arg;
	co_scope_begin(&s, CO_SEC(86400) * 365);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, sleep_forever, NULL);
	IS(co_group_end(&g, 0), CANC);
	IS(co_scope_end(&s, CANC), TMO);
	s = (co_scope)CO_SCOPE_INIT;
	co_scope_begin_shield(&s, CO_SEC(86400) * 365);
	IS(co_sleep(CO_FOREVER), CANC);
	IS(co_scope_end(&s, CANC), TMO);
	IS(co_spawn(NULL, sleep_forever, NULL, NULL), 0);
	IS(co_yield_now(), 0);
	return 0;
}

/* C38: a deadline far off is a way out, and so is the end of main */
START_TEST(C38_no_deadlock)
{
	PLAY_WITH(not_tied, NULL, hearing());
	IS(reports()->count, 0);
}
END_TEST

/* -------------------------------------------------------------------------- loops as guests */

/* what a host does: poll the fd for as long as the loop says, let it run */
static void host(co_loop *l)
{
	while (co_loop_live(l)) {
		struct pollfd p = { .fd = co_loop_fd(l), .events = POLLIN };
		co_ns left = co_loop_timeout(l);
		int ms = left == CO_FOREVER ? -1 : (int)((left + MS(1) - 1) / MS(1));

		ck_assert_int_ge(left, 0);
		ck_assert_int_ge(p.fd, 0);
		ck_assert_int_ge(poll(&p, 1, ms), 0);
		while (co_loop_run_once(l) > 0)
			;
	}
}

static int guest(void *arg)
{
	struct nap *n = arg;
	co_ns from = co_now();

	n->rc = co_sleep(n->dur);
	n->at = co_now() - from;
	n->over = true;
	return 0;
}

/* co_loop_*: the host's part suffices; nothing is early, nobody is forgotten */
START_TEST(loop_guest_of_a_host)
{
	static const enum co_clock clocks[] = { CO_CLOCK_MONOTONIC, CO_CLOCK_BOOTTIME,
						CO_CLOCK_VIRTUAL };
	struct nap n[] = { { .dur = MS(8) }, { .dur = MS(3) }, { .dur = 0 }, { .dur = 1 } };

	for (size_t c = 0; c < LENGTH(clocks); c++) {
		struct co_options opt = { .clock = clocks[c] };
		co_loop *l = NULL;

		IS(co_loop_open(&l, &opt), 0);
		ck_assert_ptr_nonnull(l);
		IS(co_loop_live(l), 0);
		for (size_t i = 0; i < LENGTH(n); i++) {
			n[i].over = false;
			IS(co_loop_spawn(l, guest, &n[i]), 0);
			IS(co_loop_live(l), i + 1);
		}
		host(l);
		for (size_t i = 0; i < LENGTH(n); i++) {
			ck_assert(n[i].over);
			IS(n[i].rc, 0);
			ck_assert_int_ge(n[i].at, n[i].dur);
		}
		IS(co_loop_run_once(l), 0);
		IS(co_loop_close(l), 0);
	}
}
END_TEST

/* the timeout and the fd tell the host what there is to do */
START_TEST(loop_timeout_and_fd)
{
	struct nap n = { .dur = CO_SEC(3600) };
	co_loop *l = NULL;
	struct pollfd p;

	IS(co_loop_open(&l, NULL), 0);
	IS(co_loop_timeout(l), CO_FOREVER);
	IS(co_loop_run_once(l), 0);
	IS(co_loop_spawn(l, guest, &n), 0);
	p = (struct pollfd){ .fd = co_loop_fd(l), .events = POLLIN };
	ck_assert(co_loop_timeout(l) == 0 || poll(&p, 1, 0) == 1);
	while (co_loop_run_once(l) > 0)
		;
	ck_assert_int_gt(co_loop_timeout(l), 0);
	ck_assert_int_le(co_loop_timeout(l), CO_SEC(3600));
	IS(poll(&p, 1, 0), 0);
	IS(co_loop_live(l), 1);
	IS(co_loop_close(l), 0);
	ck_assert(n.over);
	IS(n.rc, CANC);
}
END_TEST

/* api.h: "readable when run_once has work", also if that is a timer */
START_TEST(loop_fd_alone_tells)
{
	struct nap n[] = { { .dur = MS(5) }, { .dur = MS(10) } };
	co_loop *l = NULL;

	IS(co_loop_open(&l, NULL), 0);
	for (int i = 0; i < 2; i++)
		IS(co_loop_spawn(l, guest, &n[i]), 0);
	while (co_loop_live(l)) {
		struct pollfd p = { .fd = co_loop_fd(l), .events = POLLIN };

		IS(poll(&p, 1, -1), 1);
		while (co_loop_run_once(l) > 0)
			;
	}
	for (int i = 0; i < 2; i++)
		ck_assert_int_ge(n[i].at, n[i].dur);
	IS(co_loop_close(l), 0);
}
END_TEST

/* a guest that waits for ever is no deadlock: its host may still spawn */
START_TEST(loop_idle_is_no_deadlock)
{
	co_loop *l = NULL;

	IS(co_loop_open(&l, hearing()), 0);
	IS(co_loop_spawn(l, sleep_forever, NULL), 0);
	for (int i = 0; i < 5; i++)
		ck_assert_int_ge(co_loop_run_once(l), 0);
	IS(co_loop_live(l), 1);
	IS(co_loop_timeout(l), CO_FOREVER);
	IS(co_loop_close(l), 0);
	IS(reports()->count, 0);
}
END_TEST

static int counts_down(void *arg)
{
	for (int *left = arg; *left > 0; --*left)
		IS(co_yield_now(), 0);
	return 0;
}

/* run_once comes back although there is more: a coroutine that only yields does not keep its
 * host waiting (C20) */
START_TEST(loop_run_once_is_bounded)
{
	int left = 100000, before;
	co_loop *l = NULL;

	IS(co_loop_open(&l, NULL), 0);
	IS(co_loop_spawn(l, counts_down, &left), 0);
	while (left) {
		before = left;
		ck_assert(co_loop_run_once(l) > 0 || !left);
		ck_assert_int_le(before - left, 64);
	}
	while (co_loop_run_once(l) > 0)
		;
	IS(co_loop_live(l), 0);
	IS(co_loop_close(l), 0);
}
END_TEST

/* C21, C29: those who never ran start, those who wait are cancelled; who will not end is
 * reported */
START_TEST(loop_close_with_coroutines)
{
	struct lingerer waits = { .hold = 10 }, stuck = { .hold = 60 };
	struct nap unborn = { .dur = MS(5) };
	struct co_options *opt = hearing();
	co_loop *l = NULL;

	opt->grace = MS(50);
	IS(co_loop_open(&l, opt), 0);
	IS(co_loop_spawn(l, lingerer, &waits), 0);
	while (co_loop_run_once(l) > 0)
		;
	IS(co_loop_spawn(l, guest, &unborn), 0);
	IS(co_loop_close(l), 0);
	IS(waits.woke, CANC);
	IS(waits.left, 10);
	IS(waits.cause.kind, CO_CAUSE_SHUTDOWN);
	ck_assert(unborn.over);
	IS(unborn.rc, CANC);
	IS(reports()->count, 0);

	IS(co_loop_open(&l, opt), 0);
	IS(co_loop_spawn(l, lingerer, &stuck), 0);
	IS(co_loop_close(l), -ETIMEDOUT);
	IS(stuck.left, 0);
	IS(reported(CO_REPORT_STUCK_AT_EXIT), 1);
}
END_TEST

static int tells_self(void *ref)
{
	*(co_ref *)ref = co_self();
	return 0;
}

static int cancels_a_ref(void *ref)
{
	return co_cancel(*(co_ref *)ref, 0);
}

/* two runtimes on one thread, in turn; what is of the one is foreign to the other (C39) */
START_TEST(loop_two_on_one_thread)
{
	struct nap n[2] = { { .dur = MS(4) }, { .dur = MS(6) } };
	co_loop *l[2] = { NULL, NULL };
	co_ref self[2] = { { 0 }, { 0 } };

	for (int i = 0; i < 2; i++)
		IS(co_loop_open(&l[i], NULL), 0);
	for (int i = 0; i < 2; i++) {
		IS(co_loop_spawn(l[i], guest, &n[i]), 0);
		IS(co_loop_spawn(l[i], tells_self, &self[i]), 0);
	}
	while (co_loop_live(l[0]) || co_loop_live(l[1]))
		for (int i = 0; i < 2; i++)
			ck_assert_int_ge(co_loop_run_once(l[i]), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_ge(n[i].at, n[i].dur);
		IS(n[i].rc, 0);
	}
	ck_assert_uint_ne(self[0].id, self[1].id);
	for (int i = 0; i < 2; i++)
		IS(co_loop_close(l[i]), 0);
}
END_TEST

static int main_is_struck(void *arg)
{
	co_ref self = co_self();

	(void)arg;
	IS(co_spawn(NULL, cancels_a_ref, &self, NULL), 0);
	IS(co_sleep(CO_FOREVER), CANC);
	ck_assert(co_was_cancelled(self));
	return 8;
}

/* C23: main is cancelled by a detached one; the runtime ends as ever */
START_TEST(C23_main_is_cancelled)
{
	int code = -1;

	IS(co_run(main_is_struck, NULL, hearing(), &code), 0);
	IS(code, 8);
	IS(reports()->count, 0);
}
END_TEST

/* C39: no loop within a loop, whichever way it was entered */
static int nests(void *arg)
{
	co_loop *l = (co_loop *)arg;
	int code = 99;

	IS(co_run(nests, NULL, NULL, &code), -EBUSY);
	IS(code, 99);
	IS(co_loop_open(&l, NULL), -EBUSY);
	if (!arg)
		return 0;
	IS(co_loop_run_once(arg), -EBUSY);
	IS(co_loop_close(arg), -EBUSY);
	return 0;
}

static void *runs_a_loop(void *arg)
{
	PLAY(nests);
	return arg;
}

static int nests_and_threads(void *arg)
{
	pthread_t t;

	nests(arg);
	IS(pthread_create(&t, NULL, runs_a_loop, NULL), 0);
	IS(pthread_join(t, NULL), 0);
	return nests(arg);
}

START_TEST(C39_busy_inside_a_loop)
{
	co_loop *l = NULL;

	PLAY(nests_and_threads);
	PLAY(nests_and_threads);
	IS(co_loop_open(&l, NULL), 0);
	IS(co_loop_spawn(l, nests, l), 0);
	host(l);
	IS(co_loop_close(l), 0);
	PLAY(nests);
}
END_TEST

/* bad input to those that start a runtime; *out is NULL then */
START_TEST(bad_options)
{
	/* clang-format off */
	const struct co_options bad[] = {
		{ .clock = (enum co_clock)17 }, { .grace = -1 },
		{ .slack = -1 }, { .watchdog = -5 },
		{ .flags = 1u << 30 }, { .attr = { .stack_size = SIZE_MAX } },
		{ .alloc = { .free = (void (*)(void *, size_t, void *))abort } },
	};
	/* clang-format on */
	co_loop *l;
	int code = 99;

	for (size_t i = 0; i < LENGTH(bad); i++) {
		l = (co_loop *)&l;
		ck_assert_msg(co_loop_open(&l, &bad[i]) == -EINVAL, "options %zu", i);
		ck_assert_ptr_null(l);
		IS(co_run(nests, NULL, &bad[i], &code), -EINVAL);
	}
	IS(co_run(NULL, NULL, NULL, &code), -EINVAL);
	IS(code, 99);
	IS(co_loop_open(NULL, NULL), -EINVAL);
	IS(co_run(nests, NULL, NULL, NULL), 0);
	IS(co_loop_open(&l, NULL), 0);
	IS(co_loop_spawn(l, NULL, NULL), -EINVAL);
	IS(co_loop_spawn(NULL, nests, NULL), -EINVAL);
	IS(co_loop_run_once(NULL), -EINVAL);
	IS(co_loop_close(l), 0);
	IS(co_loop_close(NULL), -EINVAL);
}
END_TEST

SUITE("contract-runtime", C9_operations_before_scopes_of_one_instant,
      C9_late_batch_in_order_of_deadlines, C9_run_queue_is_first_in_first_out,
      C9_timers_then_the_snapshot, C2_loop_now_is_the_time_of_this_pass, C10_who_gets_which,
      C29_detached_are_cancelled_and_awaited, C29_default_grace, C29_stuck_at_exit,
      C29_grace_for_ever, C10_spawning_at_the_end, C39_error_of_a_detached_coroutine_is_reported,
      C38_deadlock, C38_no_deadlock, loop_guest_of_a_host, loop_timeout_and_fd, loop_fd_alone_tells,
      loop_idle_is_no_deadlock, loop_run_once_is_bounded, loop_close_with_coroutines,
      loop_two_on_one_thread, C23_main_is_cancelled, C39_busy_inside_a_loop, bad_options)
