/*
 * The runtime: the order of a pass (C9), what its errors mean (C10), how it ends (C29),
 * deadlocks (C38), and loops that are guests of others (co_loop_*, C39). The virtual clock is
 * in test_contract_time.c, spins in test_scenarios_shutdown.c.
 */
#define _GNU_SOURCE /* pipe2, in ends.h */
#include "actor.h"
#include "ends.h"

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

static int owner_and_child(void *arg)
{
	struct nap *child = arg;
	co_scope s = CO_SCOPE_INIT;
	co_group g;
	int rc;

	co_scope_begin_at(&s, MS(10), 0);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, nap, child);
	rc = co_sleep_until(MS(10));
	IS(co_group_end(&g, 0), 0);
	IS(co_scope_end(&s, rc), 0);
	ck_assert(co_scope_cancelled(&s));
	return 0;
}

/* C9: all operations of an instant, whoever's, before any scope of it: the owner's is cancelled
 * when the child's sleep is over */
SCENARIO(C9_no_scope_is_in_between_operations)
{
	struct nap child = { .dur = MS(10) };

	IS(owner_and_child(&child), 0);
	IS(child.rc, 0);
	AT(10);
}

static struct co_options *slack_of_5_ms(void)
{
	static struct co_options opt = { .clock = CO_CLOCK_VIRTUAL, .slack = CO_MS(5) };

	return &opt;
}

/* C9: timers may be late by the slack; what is due by then is still taken in order */
SCENARIO_WITH(C9_slack_keeps_the_order, slack_of_5_ms())
{
	for (int i = 0; i < 200; i++) {
		co_scope s = CO_SCOPE_INIT;
		int rc;

		co_scope_begin(&s, CO_US(1000 + i * 97));
		rc = co_sleep(CO_US(1000 + i * 97) + 1);
		IS(co_scope_end(&s, rc), TMO);
		s = (co_scope)CO_SCOPE_INIT;
		co_scope_begin(&s, CO_US(1000 + i * 97));
		rc = co_sleep(CO_US(1000 + i * 97));
		IS(co_scope_end(&s, rc), 0);
	}
}

/* C9: the last deadline there is, with slack, is not put beyond the end of time */
SCENARIO_WITH(C9_slack_ends_with_time, slack_of_5_ms())
{
	co_scope s = CO_SCOPE_INIT;
	int rc;

	co_scope_begin_at(&s, CO_FOREVER - 1, 0);
	rc = co_sleep_until(CO_FOREVER);
	IS(co_scope_end(&s, rc), TMO);
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

static co_ref struck;

static void on_post_strike(struct co_post_node *node)
{
	(void)node;
	IS(co_cancel(struck, 0), 0);
}

static int reads_then_notes(void *fd)
{
	char byte;

	IS(co_read(*(int *)fd, &byte, 1), 1);
	note('d');
	return 0;
}

static int struck_then_notes(void *unused)
{
	(void)unused;
	IS(co_sleep(CO_FOREVER), CANC);
	note('p');
	return 0;
}

/* C9: what one pass finds wakes in this order: descriptors, posts, timers */
SCENARIO(C9_descriptors_then_posts_then_timers)
{
	static struct co_post_node node = { .fn = on_post_strike };
	co_group g;
	int ends[2];

	pair(ends);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, sleeps_then_notes, num(10));
	struck = spawn(&g, struck_then_notes, NULL);
	spawn(&g, reads_then_notes, &ends[0]);
	settle();
	stall(MS(10));
	put(ends[1], "x");
	IS(co_post(co_loop_self(), &node), 0);
	IS(co_yield_now(), 0);
	IS(co_group_end(&g, 0), 0);
	ck_assert_str_eq(notes(), "dps");
	AT(10);
	close_both(ends);
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
	stall(MS(40));
	settle();
	IS(co_loop_now(), MS(100));
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

/* C29: an endless grace, and one that saturates */
START_TEST(C29_grace_for_ever)
{
	static const co_ns graces[] = { CO_FOREVER, CO_FOREVER - 1 };
	struct co_options *opt = hearing();

	for (size_t i = 0; i < LENGTH(graces); i++) {
		struct leaving v = { .who = { { .hold = 3600000 } }, .n = 1 };

		opt->grace = graces[i];
		PLAY_WITH(leaves_detached, &v, opt);
		IS(v.who[0].left, 3600010);
		IS(reports()->count, 0);
	}
}
END_TEST

/* what a hook of a report could ask and do */
struct witness {
	int reports, stats, ran, slept;
	char text[8192];
};

static void witnesses(enum co_report kind, const char *text, const void *site, void *ctx)
{
	struct witness *w = ctx;
	struct co_stats stats;

	(void)kind;
	(void)site;
	w->reports++;
	w->stats = co_stats(&stats);
	w->ran = co_run(five, NULL, NULL, NULL);
	w->slept = co_sleep(1);
	snprintf(w->text, sizeof(w->text), "%s", text);
}

static struct co_options *witnessed(struct witness *w)
{
	static struct co_options opt = { .clock = CO_CLOCK_VIRTUAL };

	opt.on_misuse = hear_misuse;
	opt.on_report = witnesses;
	opt.hook_ctx = w;
	opt.watchdog = MS(50);
	return &opt;
}

static int sits_out_two_cancels(void *unused)
{
	(void)unused;
	IS(co_sleep(CO_FOREVER), CANC);
	calm_ms(100);
	return 0;
}

/* one child of it ignores a cancel, the other has had none */
static int owns_a_mule(void *unused)
{
	co_group g;
	co_ref mule;

	(void)unused;
	co_group_begin(&g, CO_GROUP_COLLECT);
	mule = spawn(&g, sits_out_two_cancels, NULL);
	spawn(&g, sleep_forever, NULL);
	IS(co_sleep(MS(10)), 0);
	IS(co_cancel(mule, 0), 0);
	IS(co_group_end(&g, 0), CANC);
	return CANC;
}

static int leaves_late(void *unused)
{
	(void)unused;
	IS(co_spawn(NULL, owns_a_mule, NULL, NULL), 0);
	IS(co_sleep(MS(20)), 0);
	stall(MS(70));
	return 0;
}

/* C24, C39: a hook that is called as the runtime shuts down is inside of it, as ever */
START_TEST(C39_a_hook_at_the_end_is_inside)
{
	struct witness w = { .reports = 0 };
	int code = -1;

	IS(co_run(leaves_late, NULL, witnessed(&w), &code), 0);
	IS(w.reports, 1);
	IS(w.stats, 0);
	IS(w.ran, -EBUSY);
	IS(w.slept, -EPERM);
	IS(misuses()->count, 1);
	IS(misuses()->kind[0], CO_MISUSE_CALLBACK);
}
END_TEST

static co_scope_ref stuck_scope;

static int shares_and_holds_out(void *unused)
{
	co_scope s = CO_SCOPE_INIT;

	(void)unused;
	co_scope_begin(&s, CO_FOREVER);
	stuck_scope = co_scope_share(&s);
	ck_assert_uint_ne(stuck_scope.id, 0);
	IS(co_sleep(CO_FOREVER), CANC);
	calm_ms(1000);
	return co_scope_end(&s, CANC);
}

static int leaves_a_shared_scope(void *unused)
{
	(void)unused;
	IS(co_spawn(NULL, shares_and_holds_out, NULL, NULL), 0);
	IS(co_sleep(MS(10)), 0);
	return 0;
}

static int reaches_for_it(void *unused)
{
	co_scope s = CO_SCOPE_INIT;

	(void)unused;
	co_scope_begin(&s, CO_FOREVER);
	ck_assert_uint_ne(co_scope_share(&s).id, 0);
	IS(co_scope_cancel_remote(stuck_scope, EIO), -ESRCH);
	IS(co_scope_end(&s, co_sleep(MS(1))), 0);
	return 0;
}

/* C24, C29: what a stuck one shared is out of reach, also by way of the next runtime */
START_TEST(C29_a_stuck_scope_cannot_be_cancelled)
{
	struct co_options *opt = hearing();

	opt->grace = MS(50);
	IS(co_run(leaves_a_shared_scope, NULL, opt, NULL), -ETIMEDOUT);
	IS(co_scope_cancel_remote(stuck_scope, EIO), -ESRCH);
	PLAY(reaches_for_it);
}
END_TEST

static co_group *stuck_group;
static int refusals;

static void spawns_in_vain(struct co_post_node *self)
{
	(void)self;
	IS(co_spawn(stuck_group, must_not_run, NULL, NULL), CANC);
	refusals++;
}

static void spawns_and_posts(enum co_report kind, const char *text, const void *site, void *ctx)
{
	static struct co_post_node later = { .fn = spawns_in_vain };

	hear_report(kind, text, site, ctx);
	spawns_in_vain(NULL);
	IS(co_post(co_loop_self(), &later), 0);
}

static int sits_in_a_group(void *unused)
{
	co_scope shield = CO_SCOPE_INIT;
	co_group g;

	(void)unused;
	co_scope_begin_shield(&shield, CO_SEC(10));
	co_group_begin(&g, CO_GROUP_COLLECT);
	stuck_group = &g;
	return co_sleep(CO_FOREVER);
}

static int leaves_a_group(void *unused)
{
	(void)unused;
	IS(co_spawn(NULL, sits_in_a_group, NULL, NULL), 0);
	IS(co_sleep(MS(10)), 0);
	return 0;
}

/* C21, C22, C29: who is stuck behind a shield has a group that is not cancelled, but whatever the
 * last hooks and posts would spawn there would never start */
START_TEST(C22_a_hook_spawns_when_nobody_runs_any_more)
{
	struct co_options *opt = hearing();

	opt->on_report = spawns_and_posts;
	opt->grace = MS(50);
	IS(co_run(leaves_a_group, NULL, opt, NULL), -ETIMEDOUT);
	IS(reported(CO_REPORT_STUCK_AT_EXIT), 1);
	IS(refusals, 2);
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

static int returns_eio(void *unused)
{
	(void)unused;
	return -EIO;
}

/* what main returns is the exit code, and no news */
START_TEST(C39_error_of_main_is_not_reported)
{
	int code = 0;

	IS(co_run(returns_eio, NULL, hearing(), &code), 0);
	IS(code, -EIO);
	IS(reports()->count, 0);
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

static int ties_and_holds_out(void *unused)
{
	(void)unused;
	after_the_knot(co_sleep(CO_FOREVER));
	calm_ms(1000);
	return 3;
}

/* C38, C29: who does not unwind within the grace after a deadlock is reported besides */
START_TEST(C38_stuck_after_a_deadlock)
{
	struct co_options *opt = hearing();
	int code = 99;

	opt->grace = MS(50);
	IS(co_run(ties_and_holds_out, NULL, opt, &code), -EDEADLK);
	IS(code, 99); /* main has not returned */
	IS(reports()->count, 2);
	IS(reports()->kind[0], CO_REPORT_DEADLOCK);
	IS(reports()->kind[1], CO_REPORT_STUCK_AT_EXIT);
}
END_TEST

/* lines of a report that begin like this */
static int lines_with(const char *text, const char *begin)
{
	int n = 0;

	for (const char *at = text; (at = strstr(at, begin)) != NULL; at++)
		n += at == text || at[-1] == '\n';
	return n;
}

static int tie_many(void *how_many)
{
	int n = (int)(intptr_t)how_many;
	co_group g;

	co_group_begin(&g, CO_GROUP_COLLECT);
	for (int i = 0; i < 3; i++)
		spawn_named(&g, five, NULL, "ended"); /* not joined: there still is a record */
	for (int i = 0; i < n - 1; i++)
		spawn_named(&g, for_ever, NULL, "a name of thirty characters ..");
	IS(co_group_end(&g, 0), CANC);
	return 3;
}

/* C38: the report lists those who live and no others; if not all, it says how many more. The hook
 * is inside of the runtime. */
START_TEST(C38_the_report_lists_all)
{
	for (int n = 2; n < 400; n += n < 5 ? 1 : 97) {
		struct witness w = { .reports = 0 };
		struct co_options *opt = witnessed(&w);
		int code = -1, more = 0;
		const char *rest;

		opt->watchdog = CO_FOREVER;
		IS(co_run(tie_many, num(n), opt, &code), -EDEADLK);
		IS(code, 3);
		IS(w.reports, 1);
		IS(w.stats, 0);
		IS(w.ran, -EBUSY);
		IS(w.slept, -EPERM);
		rest = strstr(w.text, "\n  and ");
		if (rest != NULL)
			sscanf(rest, " and %d more", &more);
		IS(rest != NULL, more > 0);
		IS(lines_with(w.text, "  coroutine '") + more, n);
		IS(more > 0, n > 90);
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

static int two_hours_after_a_short_scope(void *event)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, CO_SEC(10));
	IS(co_event_wait(event), 0);
	IS(co_scope_end(&s, 0), 0);
	return co_sleep(CO_SEC(7200));
}

static int sets(void *event)
{
	co_event_set(event);
	return 0;
}

/* the timeout may be early, but not for a deadline that is over */
START_TEST(loop_timeout_forgets_what_is_over)
{
	struct co_options opt = *injected();
	co_event event = CO_EVENT_INIT;
	co_loop *l = NULL;

	shown = MS(1);
	IS(co_loop_open(&l, &opt), 0);
	IS(co_loop_spawn(l, two_hours_after_a_short_scope, &event), 0);
	while (co_loop_run_once(l) > 0)
		;
	ck_assert_int_le(co_loop_timeout(l), CO_SEC(10));
	IS(co_loop_spawn(l, sets, &event), 0);
	while (co_loop_run_once(l) > 0)
		;
	ck_assert_int_gt(co_loop_timeout(l), CO_SEC(10));
	IS(co_loop_close(l), 0);
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

/* until it says that there is no more to do now */
static void drive(co_loop *l)
{
	while (co_loop_run_once(l) > 0)
		;
}

static bool calls_its_host(const co_loop *l)
{
	struct pollfd p = { .fd = co_loop_fd(l), .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

static int names_itself(void *ref)
{
	*(co_loop_ref *)ref = co_loop_self();
	return co_sleep(CO_FOREVER);
}

static int yields_left;

static void on_post_spawn(struct co_post_node *node)
{
	(void)node;
	yields_left = 1000;
	IS(co_spawn(NULL, counts_down, &yields_left, NULL), 0);
}

/* api.h: "readable when run_once has work", also if that is work left over from a call */
START_TEST(loop_fd_tells_that_there_is_more)
{
	struct co_options opts[] = { *real_clock(), *injected(), *hearing() };
	struct co_post_node node = { .fn = on_post_spawn };

	for (size_t i = 0; i < LENGTH(opts); i++) {
		co_loop_ref self;
		co_loop *l = NULL;
		int calls = 0;

		IS(co_loop_open(&l, &opts[i]), 0);
		IS(co_loop_spawn(l, names_itself, &self), 0);
		drive(l);
		ck_assert(!calls_its_host(l));
		IS(co_post(self, &node), 0);
		do {
			block_until(co_loop_fd(l), POLLIN);
			IS(co_loop_timeout(l), 0);
			calls++;
		} while (co_loop_run_once(l) > 0);
		ck_assert_int_gt(calls, 10);
		IS(yields_left, 0);
		IS(co_loop_close(l), 0);
	}
}
END_TEST

static int sets_it(void *flag)
{
	*(bool *)flag = true;
	return 0;
}

/* a spawn from outside is work, also for one that waited for a timer far off */
START_TEST(loop_fd_tells_of_a_spawn)
{
	struct co_options opts[] = { *real_clock(), *injected(), *hearing() };

	for (size_t i = 0; i < LENGTH(opts); i++) {
		struct nap n = { .dur = CO_SEC(3600) };
		co_loop *l = NULL;
		bool ran = false;

		IS(co_loop_open(&l, &opts[i]), 0);
		if (opts[i].clock == CO_CLOCK_VIRTUAL)
			n.dur = CO_FOREVER;
		IS(co_loop_spawn(l, nap, &n), 0);
		drive(l);
		for (int k = 0; k < 3; k++) {
			ck_assert(!calls_its_host(l));
			IS(co_loop_spawn(l, sets_it, &ran), 0);
			block_until(co_loop_fd(l), POLLIN);
			drive(l);
			ck_assert(ran);
		}
		IS(co_loop_close(l), 0);
	}
}
END_TEST

static void on_post_p(struct co_post_node *node)
{
	(void)node;
	note('p');
}

/* a post that was called calls the host no more: it may wait again */
START_TEST(loop_fd_is_quiet_after_a_post)
{
	struct co_post_node node = { .fn = on_post_p };
	co_loop_ref self;
	co_loop *l = NULL;

	IS(co_loop_open(&l, NULL), 0);
	IS(co_loop_spawn(l, names_itself, &self), 0);
	drive(l);
	ck_assert(!calls_its_host(l));
	IS(co_loop_timeout(l), CO_FOREVER);
	for (int i = 0; i < 3; i++) {
		IS(co_post(self, &node), 0);
		ck_assert(calls_its_host(l));
		IS(co_loop_timeout(l), 0);
		drive(l);
		ck_assert(!calls_its_host(l));
		IS(co_loop_timeout(l), CO_FOREVER);
	}
	ck_assert_str_eq(notes(), "ppp");
	IS(co_loop_close(l), 0);
}
END_TEST

static int posts_to_itself(void *node)
{
	IS(co_post(co_loop_self(), node), 0);
	for (int i = 0; i < 200; i++)
		IS(co_yield_now(), 0);
	return 0;
}

/* nor does one that it made itself, for it was awake */
START_TEST(loop_fd_is_quiet_after_a_post_of_its_own)
{
	struct co_post_node node = { .fn = on_post_p };
	co_loop_ref self;
	co_loop *l = NULL;

	IS(co_loop_open(&l, NULL), 0);
	IS(co_loop_spawn(l, names_itself, &self), 0);
	drive(l);
	IS(co_loop_spawn(l, posts_to_itself, &node), 0);
	drive(l);
	ck_assert_str_eq(notes(), "p");
	ck_assert(!calls_its_host(l));
	IS(co_loop_close(l), 0);
}
END_TEST

struct vain {
	int fd;
	bool over;
};

static int waits_in_vain(void *arg)
{
	struct vain *v = arg;

	IS(co_wait_fd_until(v->fd, POLLIN, co_now() + 1), TMO);
	v->over = true;
	return co_sleep(CO_FOREVER);
}

/* nor does a descriptor for which nobody waits any more */
START_TEST(loop_fd_is_quiet_after_an_event_for_nobody)
{
	struct vain v = { .over = false };
	co_loop *l = NULL;
	int ends[2];

	pair(ends);
	v.fd = ends[0];
	IS(co_loop_open(&l, NULL), 0);
	IS(co_loop_spawn(l, waits_in_vain, &v), 0);
	while (!v.over) {
		block_until(co_loop_fd(l), POLLIN);
		drive(l);
	}
	ck_assert(!calls_its_host(l));
	put(ends[1], "x");
	drive(l);
	ck_assert(!calls_its_host(l));
	IS(co_loop_close(l), 0);
	close_both(ends);
}
END_TEST

static int reads_all(void *arg)
{
	struct reading *r = arg;
	char byte;

	while (co_read(r->fd, &byte, 1) == 1)
		r->rc++;
	return 0;
}

/* C37: a clock that stands still keeps no descriptor from a guest */
START_TEST(loop_guest_whose_clock_stands)
{
	struct reading r = { .rc = 0 };
	co_loop *l = NULL;
	int ends[2];

	pair(ends);
	r.fd = ends[0];
	shown = CO_SEC(1);
	IS(co_loop_open(&l, injected()), 0);
	IS(co_loop_spawn(l, reads_all, &r), 0);
	drive(l);
	for (int i = 1; i <= 3; i++) {
		ck_assert(!calls_its_host(l));
		put(ends[1], "x");
		block_until(co_loop_fd(l), POLLIN);
		drive(l);
		IS(r.rc, i);
	}
	IS(close(ends[1]), 0);
	drive(l);
	IS(co_loop_live(l), 0);
	IS(co_loop_close(l), 0);
	IS(close(ends[0]), 0);
}
END_TEST

/* C37: its time is not that of the machine: for a timer it waits as long as is left to it, and then
 * looks again, each time */
START_TEST(loop_guest_of_another_time)
{
	struct nap n = { .dur = co_now() / 4 };
	co_ns begun;
	co_loop *l = NULL;

	shown = co_now() / 2;
	IS(co_loop_open(&l, injected()), 0);
	IS(co_loop_spawn(l, guest, &n), 0);
	drive(l);
	ck_assert(!calls_its_host(l));
	IS(co_loop_timeout(l), n.dur);
	shown += n.dur - MS(5);
	drive(l);
	begun = co_now();
	for (int i = 0; i < 5; i++) {
		block_until(co_loop_fd(l), POLLIN);
		drive(l);
	}
	ck_assert_int_ge(co_now() - begun, 4 * MS(5));
	ck_assert(!n.over);
	shown += MS(5);
	drive(l);
	ck_assert(n.over);
	IS(co_loop_close(l), 0);
}
END_TEST

/* the timeout counts from the clock as it is, and is 0 when that has passed the timer */
START_TEST(loop_timeout_is_from_now)
{
	struct nap n = { .dur = MS(30) };
	co_loop *l = NULL;

	shown = MS(100);
	IS(co_loop_open(&l, injected()), 0);
	IS(co_loop_spawn(l, guest, &n), 0);
	drive(l);
	IS(co_loop_timeout(l), MS(30));
	shown += MS(10);
	IS(co_loop_timeout(l), MS(20));
	shown += MS(20);
	IS(co_loop_timeout(l), 0);
	shown += MS(20);
	IS(co_loop_timeout(l), 0);
	drive(l);
	ck_assert(n.over);
	IS(n.at, MS(50));
	IS(co_loop_timeout(l), CO_FOREVER);
	IS(co_loop_close(l), 0);
}
END_TEST

/* C38: a virtual guest with nothing to do is no spin, however often it is asked */
START_TEST(loop_idle_is_no_spin)
{
	co_loop *l = NULL;

	IS(co_loop_open(&l, hearing()), 0);
	IS(co_loop_spawn(l, sleep_forever, NULL), 0);
	for (int i = 0; i < 1000100; i++)
		if (co_loop_run_once(l) < 0)
			ck_abort_msg("call %d", i);
	IS(reports()->count, 0);
	IS(co_loop_close(l), 0);
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

static void *no_memory(size_t size, void *ctx)
{
	(void)size;
	(void)ctx;
	return NULL;
}

/* bad input to those that start a runtime; *out is NULL then */
START_TEST(bad_options)
{
	/* clang-format off */
	const struct co_options bad[] = {
		{ .clock = (enum co_clock)17 }, { .clock = (enum co_clock)(CO_CLOCK_VIRTUAL + 1) },
		{ .clock = (enum co_clock)-1 }, { .grace = -1 },
		{ .slack = -1 }, { .watchdog = -5 },
		{ .flags = 1u << 30 }, { .attr = { .stack_size = SIZE_MAX } },
		{ .alloc = { .free = (void (*)(void *, size_t, void *))abort } },
		{ .alloc = { .alloc = no_memory } },
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
	IS(co_loop_fd(NULL), -EINVAL);
	IS(co_loop_live(NULL), 0);
	IS(co_loop_timeout(NULL), CO_FOREVER);
}
END_TEST

static size_t stacks_of(const struct co_stats *s)
{
	return s->stacks_madvise + s->stacks_mprotect + s->stacks_canary;
}

static int looks_at_stats(void *unused)
{
	struct co_stats first, now;
	co_group g;

	IS(co_stats(NULL), -EINVAL);
	IS(co_stats(&first), 0);
	IS(first.live, 1);
	IS(first.spawned, 1);
	IS(first.timers, 0);
	IS(stacks_of(&first), 1);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 10; i++)
		spawn(&g, sleep_ms, num(5));
	spawn(&g, five, NULL);
	settle();
	IS(co_stats(&now), 0);
	IS(now.live, 11);
	IS(now.spawned, 12);
	IS(now.timers, 10);
	ck_assert_int_ge(stacks_of(&now), 11);
	ck_assert_uint_ge(now.stack_mapped, 11 * 65536);
	ck_assert_uint_ge(now.switches, first.switches + 12);
	ck_assert_uint_gt(now.passes, first.passes);
	IS(co_group_end(&g, 0), 0);
	IS(co_stats(&now), 0);
	IS(now.live, 1);
	IS(now.timers, 0);
	return unused != NULL;
}

/* co_stats: what lives, what is armed, what was spawned */
START_TEST(stats_are_of_this_runtime)
{
	struct co_stats stats;

	for (int i = 0; i < 2; i++) {
		IS(co_stats(&stats), -EPERM);
		PLAY(looks_at_stats);
	}
}
END_TEST

/* bytes of address space, of which the stacks of one runtime take megabytes */
static long mapped(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long pages = 0;

	ck_assert_ptr_nonnull(f);
	IS(fscanf(f, "%ld", &pages), 1);
	fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

/* what a runtime has mapped goes with it */
START_TEST(nothing_stays_mapped)
{
	long before;
	int code;

	IS(co_run(five, NULL, NULL, &code), 0);
	before = mapped();
	for (int i = 0; i < 50; i++)
		IS(co_run(five, NULL, NULL, &code), 0);
	ck_assert_int_lt(mapped() - before, 100 << 20);
}
END_TEST

static int blocks;

static void *counted_alloc(size_t size, void *ctx)
{
	(void)ctx;
	blocks++;
	return malloc(size);
}

static void counted_free(void *ptr, size_t size, void *ctx)
{
	(void)size;
	(void)ctx;
	blocks--;
	free(ptr);
}

/* C29: what is stuck keeps the runtime's memory, what has ended gives it back */
START_TEST(C29_memory_at_the_end)
{
	struct co_options *opt = hearing();
	struct leaving v = { .who = { { .hold = 49 }, { .hold = 51 } }, .n = 1 };
	int kept;

	opt->grace = MS(50);
	opt->alloc = (struct co_alloc){ counted_alloc, counted_free, NULL };
	IS(co_run(leaves_detached, &v, opt, NULL), 0);
	IS(blocks, 0);
	v.n = 2;
	IS(co_run(leaves_detached, &v, opt, NULL), -ETIMEDOUT);
	kept = blocks;
	ck_assert_int_ge(kept, 2); /* the runtime and its coroutines */
	IS(co_run(five, NULL, opt, NULL), 0);
	IS(blocks, kept);
}
END_TEST

/* wishes for a poll engine are passed over where it is not built in */
START_TEST(any_poll_engine_may_be_wished_for)
{
	static const unsigned wishes[] = {
		CO_OPT_POLL_ENGINE_EPOLL,
		CO_OPT_POLL_ENGINE_URING,
		CO_OPT_POLL_ENGINE_EPOLL | CO_OPT_POLL_ENGINE_URING,
	};
	int code = -1;

	for (size_t i = 0; i < LENGTH(wishes); i++) {
		struct co_options opt = { .flags = wishes[i] };

		IS(co_run(five, NULL, &opt, &code), 0);
		IS(code, 5);
	}
}
END_TEST

static int is_called(void *name)
{
	ck_assert_str_eq(co_name(co_self()), name);
	return 0;
}

/* the options are copied, the name in them too */
START_TEST(options_need_not_last)
{
	char name[] = "wanda", copy[] = "wanda";
	co_loop *l = NULL;

	IS(co_loop_open(&l, &(struct co_options){ .attr = { .name = name } }), 0);
	memcpy(name, "*****", 5);
	IS(co_loop_spawn(l, is_called, copy), 0);
	drive(l);
	IS(co_loop_live(l), 0);
	IS(co_loop_close(l), 0);
}
END_TEST

SUITE("contract-runtime", C9_operations_before_scopes_of_one_instant,
      C9_late_batch_in_order_of_deadlines, C9_run_queue_is_first_in_first_out,
      C9_timers_then_the_snapshot, C9_descriptors_then_posts_then_timers,
      C2_loop_now_is_the_time_of_this_pass, C10_who_gets_which,
      C29_detached_are_cancelled_and_awaited, C29_default_grace, C29_stuck_at_exit,
      C29_grace_for_ever, C29_a_stuck_scope_cannot_be_cancelled, C39_a_hook_at_the_end_is_inside,
      C10_spawning_at_the_end, C22_a_hook_spawns_when_nobody_runs_any_more,
      C39_error_of_a_detached_coroutine_is_reported, C38_deadlock, C38_stuck_after_a_deadlock,
      C38_the_report_lists_all, C38_no_deadlock, loop_guest_of_a_host, loop_timeout_and_fd,
      loop_fd_alone_tells, loop_idle_is_no_deadlock, loop_run_once_is_bounded,
      loop_fd_tells_that_there_is_more, loop_fd_tells_of_a_spawn, loop_fd_is_quiet_after_a_post,
      loop_fd_is_quiet_after_a_post_of_its_own, loop_fd_is_quiet_after_an_event_for_nobody,
      loop_guest_whose_clock_stands, loop_guest_of_another_time, loop_timeout_is_from_now,
      loop_idle_is_no_spin, loop_close_with_coroutines, loop_two_on_one_thread,
      C23_main_is_cancelled, C39_busy_inside_a_loop, bad_options,
      C9_no_scope_is_in_between_operations, C9_slack_keeps_the_order, C9_slack_ends_with_time,
      C39_error_of_main_is_not_reported, loop_timeout_forgets_what_is_over,
      stats_are_of_this_runtime, nothing_stays_mapped, C29_memory_at_the_end,
      any_poll_engine_may_be_wished_for, options_need_not_last)
