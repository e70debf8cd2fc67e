/*
 * Clause C38 of the contract: the virtual clock, and deadlock on every clock.
 */
#include "scenario.h"

#include <whorl/work.h>

static const co_ns negative[] = { -1, -MS(5), INT64_MIN + 1, INT64_MIN };

SCENARIO(C38_the_clock_starts_at_zero)
{
	AT(0);
	IS(co_loop_now(), 0);
	IS(co_sleep(MS(3)), 0);
	AT(3);
}

SCENARIO_WITH(C38_or_at_the_injected_time, from(CO_SEC(5)))
{
	IS(co_now(), CO_SEC(5));
	shown = CO_SEC(100);
	IS(co_now(), CO_SEC(5));
	IS(co_sleep(MS(3)), 0);
	IS(co_now(), CO_SEC(5) + MS(3));
}

SCENARIO_WITH(C38_but_never_before_zero, from(-CO_SEC(5)))
{
	AT(0);
	IS(co_loop_now(), 0);
	IS(co_sleep(MS(3)), 0);
	AT(3);
}

SCENARIO_WITH(C38_and_never_at_the_end_of_time, from(CO_FOREVER))
{
	IS(co_now(), CO_FOREVER - 1);
	IS(co_loop_now(), CO_FOREVER - 1);
}

static co_ns strides(void *at)
{
	return *(co_ns *)at += MS(1);
}

static struct co_options *striding(void)
{
	static co_ns at;
	static struct co_options options = { .now = strides, .now_ctx = &at };

	options.clock = CO_CLOCK_VIRTUAL;
	return &options;
}

SCENARIO_WITH(C38_the_injected_time_is_read_once, striding())
{
	AT(1);
}

SCENARIO(C38_no_jump_while_anything_is_runnable)
{
	struct nap n = { .dur = 1 };
	struct lone f;

	lone_start(&f, nap, &n);
	for (int i = 0; i < 500; i++)
		IS(co_yield_now(), 0);
	AT(0);
	ck_assert(!n.over);
	IS(lone_end(&f), 0);
	IS(n.at, 1);
}

SCENARIO(C38_jumps_to_the_next_timer)
{
	static struct nap naps[] = {
		{ .dur = MS(700) }, { .dur = 1 }, { .dur = MS(20) }, { .dur = CO_SEC(86400) },
		{ .dur = MS(20) }, { .dur = 3 },
	};
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (size_t i = 0; i < LENGTH(naps); i++)
		spawn(&g, nap, &naps[i]);
	IS(co_group_end(&g, 0), 0);
	for (size_t i = 0; i < LENGTH(naps); i++)
		IS(naps[i].at, naps[i].dur);
	IS(co_now(), CO_SEC(86400));
}

static int ten_naps(void *unused)
{
	(void)unused;
	for (int i = 1; i <= 10; i++) {
		IS(co_sleep(MS(1)), 0);
		AT(i);
		note((char)('0' + i % 10));
	}
	return 0;
}

/* Also timers that are armed on the way. */
SCENARIO(C38_advance_goes_timer_by_timer)
{
	struct lone f;

	lone_start(&f, ten_naps, NULL);
	advance(MS(4));
	ck_assert_str_eq(notes(), "1234");
	AT(4);
	advance(CO_US(5500));
	ck_assert_str_eq(notes(), "123456789");
	IS(co_now(), CO_US(9500));
	advance(CO_US(500));
	ck_assert_str_eq(notes(), "1234567890");
	IS(lone_end(&f), 0);
	advance(MS(90));
	AT(100);
}

static int wake_and_yield(void *unused)
{
	(void)unused;
	IS(co_sleep(MS(10)), 0);
	for (int i = 0; i < 5; i++) {
		IS(co_yield_now(), 0);
		note('y');
		AT(10);
	}
	IS(co_sleep(MS(2)), 0);
	note('b');
	return 0;
}

static int wake_at_11(void *unused)
{
	(void)unused;
	IS(co_sleep(MS(11)), 0);
	note('a');
	IS(co_sleep(MS(2)), 0);
	note('c');
	return 0;
}

SCENARIO(C38_advance_runs_to_quiescence_at_each_timer)
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, wake_and_yield, NULL);
	spawn(&g, wake_at_11, NULL);
	advance(MS(13));
	ck_assert_str_eq(notes(), "yyyyyabc");
	AT(13);
	IS(co_group_end(&g, 0), 0);
}

struct bounded {
	co_ns dur;
	co_ns left;
};

static int bounded(void *arg)
{
	struct bounded *b = arg;
	co_scope s = CO_SCOPE_INIT;
	int rc;

	co_scope_begin(&s, b->dur);
	rc = co_scope_end(&s, co_sleep(CO_FOREVER));
	b->left = co_now();
	return rc;
}

SCENARIO(C38_advance_expires_scopes_at_their_instant)
{
	struct bounded a = { MS(10), -1 };
	struct bounded b = { MS(25), -1 };
	co_group g;

	co_group_begin(&g, CO_GROUP_COLLECT);
	spawn(&g, bounded, &a);
	spawn(&g, bounded, &b);
	advance(MS(30));
	AT(30);
	IS(a.left, MS(10));
	IS(b.left, MS(25));
	IS(co_group_end(&g, 0), 0);
}

struct lettered {
	co_ns dur;
	char letter;
	co_ns at;
};

static int lettered(void *arg)
{
	struct lettered *l = arg;

	IS(co_sleep(l->dur), 0);
	note(l->letter);
	l->at = co_now();
	return 0;
}

SCENARIO(C38_stall_is_one_late_batch_in_deadline_order)
{
	struct lettered naps[] = {
		{ MS(20), 'c', 0 }, { MS(10), 'a', 0 }, { MS(30), 'd', 0 }, { MS(10), 'b', 0 },
		{ MS(31), 'e', 0 },
	};
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (size_t i = 0; i < LENGTH(naps); i++)
		spawn(&g, lettered, &naps[i]);
	settle();
	stall(MS(30));
	settle();
	ck_assert_str_eq(notes(), "abcd");
	for (size_t i = 0; i < 4; i++)
		IS(naps[i].at, MS(30));
	AT(30);
	IS(co_group_end(&g, 0), 0);
	ck_assert_str_eq(notes(), "abcde");
	AT(31);
}

static int yield_10_times(void *arg)
{
	for (int i = 0; i < 10; i++)
		IS(co_yield_now(), 0);
	*(bool *)arg = true;
	return 0;
}

SCENARIO(C38_settle_waits_until_all_are_blocked)
{
	struct nap n = { .dur = 1 };
	bool done = false;
	co_group g;

	settle();
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, nap, &n);
	spawn(&g, yield_10_times, &done);
	settle();
	ck_assert(done);
	ck_assert(!n.over);
	AT(0);
	settle();
	ck_assert(!n.over);
	AT(0);
	IS(co_group_end(&g, 0), 0);
}

static int cancels_who_settles(void *arg)
{
	IS(co_cancel(*(co_ref *)arg, 0), 0);
	for (int i = 0; i < 10; i++)
		co_ignore(co_yield_now());
	note('d');
	return 0;
}

/* It is not cut short: the cancel shows at the next point. */
SCENARIO(C38_a_cancel_does_not_end_a_settle)
{
	co_ref self = co_self();
	co_group g;

	co_group_begin(&g, CO_GROUP_COLLECT);
	spawn(&g, cancels_who_settles, &self);
	settle();
	ck_assert_str_eq(notes(), "d");
	IS(co_yield_now(), CANC);
	IS(co_group_end(&g, 0), 0);
}

SCENARIO(C38_no_time_is_a_settle)
{
	struct nap n = { .dur = 1 };
	bool done = false;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, nap, &n);
	spawn(&g, yield_10_times, &done);
	advance(0);
	ck_assert(done);
	ck_assert(!n.over);
	AT(0);
	stall(0);
	settle();
	ck_assert(!n.over);
	AT(0);
	IS(co_group_end(&g, 0), 0);
}

SCENARIO(C38_a_negative_duration_is_refused)
{
	struct nap n = { .dur = MS(1) };
	struct lone f;

	lone_start(&f, nap, &n);
	settle();
	for (size_t i = 0; i < LENGTH(negative); i++) {
		IS(co_test_advance(negative[i]), -EINVAL);
		IS(co_test_stall(negative[i]), -EINVAL);
		AT(0);
	}
	ck_assert(!n.over);
	IS(lone_end(&f), 0);
}

static void refuse_on_this_clock(void)
{
	IS(co_test_advance(1), -EINVAL);
	IS(co_test_stall(1), -EINVAL);
	IS(co_test_settle(), -EINVAL);
}

SCENARIO_WITH(C38_refused_on_the_monotonic_clock, real_clock())
{
	refuse_on_this_clock();
}

SCENARIO_WITH(C38_refused_on_the_boottime_clock, boottime())
{
	refuse_on_this_clock();
}

SCENARIO_WITH(C38_refused_on_an_injected_clock, injected())
{
	refuse_on_this_clock();
}

static int advance_100(void *unused)
{
	(void)unused;
	IS(co_test_advance(MS(100)), 0);
	AT(100);
	return 0;
}

SCENARIO(C38_one_of_them_at_a_time)
{
	struct lone f;

	lone_start(&f, advance_100, NULL);
	IS(co_sleep(MS(50)), 0);
	AT(50);
	IS(co_test_advance(1), -EBUSY);
	IS(co_test_stall(1), -EBUSY);
	IS(co_test_settle(), -EBUSY);
	AT(50);
	IS(lone_end(&f), 0);
	AT(100);
	settle();
}

SCENARIO(C38_none_is_a_cancellation_point)
{
	co_scope s = CO_SCOPE_INIT;
	co_scope passed = CO_SCOPE_INIT;

	co_scope_begin(&s, CO_FOREVER);
	IS(co_scope_cancel(&s, 0), 0);
	advance(MS(10));
	AT(10);
	stall(MS(10));
	settle();
	AT(20);
	IS(co_scope_end(&s, co_yield_now()), 0);

	co_scope_begin(&passed, MS(10));
	advance(MS(30));
	AT(50);
	ck_assert(co_scope_cancelled(&passed));
	IS(co_scope_end(&passed, co_yield_now()), TMO);
}

SCENARIO(C38_advance_by_the_greatest_time_wakes_no_endless_sleep)
{
	struct nap endless = { .dur = CO_FOREVER };
	struct nap year = { .dur = CO_SEC(365 * 24 * 3600) };
	co_group g;
	co_ref f;

	IS(co_sleep(MS(10)), 0);
	co_group_begin(&g, CO_GROUP_COLLECT);
	f = spawn(&g, nap, &endless);
	spawn(&g, nap, &year);
	advance(CO_FOREVER);
	ck_assert(year.over);
	IS(year.at, MS(10) + year.dur);
	ck_assert(!endless.over);
	IS(co_cancel(f, 0), 0);
	IS(co_group_end(&g, 0), 0);
}

static int no_work(void *unused)
{
	(void)unused;
	return 0;
}

/* With UBSan: the loop reckons from the end of its last wait. */
SCENARIO(C38_the_loop_waits_at_the_greatest_time)
{
	int result;

	advance(CO_FOREVER);
	for (int i = 0; i < 3; i++)
		IS(co_work(no_work, NULL, &result), 0);
	IS(co_now(), CO_FOREVER - 1);
}

/* ------------------------------------------------------------------------------- deadlock */

static void expect_deadlock(co_fn *body, void *arg, enum co_clock clock, int exit_code)
{
	struct co_options opt = *hearing();
	int code = -1;

	opt.clock = clock;
	IS(co_run(body, arg, &opt, &code), -EDEADLK);
	IS(code, exit_code);
	IS(reported(CO_REPORT_DEADLOCK), 1);
	IS(misuses()->count, 0);
}

static void caught_in_deadlock(void)
{
	struct co_cause cause;

	IS(co_cancel_cause(&cause), 0);
	IS(cause.kind, CO_CAUSE_SHUTDOWN);
	IS(cause.err, EDEADLK);
}

static int wait_for_nothing(void *arg)
{
	IS(co_sleep(CO_FOREVER), CANC);
	caught_in_deadlock();
	IS(co_yield_now(), CANC);
	return (int)(intptr_t)arg;
}

START_TEST(C38_deadlock_cancels_main)
{
	expect_deadlock(wait_for_nothing, num(3), CO_CLOCK_VIRTUAL, 3);
}
END_TEST

START_TEST(C38_deadlock_on_the_real_clock)
{
	expect_deadlock(wait_for_nothing, num(4), CO_CLOCK_MONOTONIC, 4);
}
END_TEST

static int wait_in_endless_scope(void *unused)
{
	co_scope s = CO_SCOPE_INIT;

	(void)unused;
	IS(co_sleep(MS(10)), 0);
	co_scope_begin(&s, CO_FOREVER);
	IS(co_scope_end(&s, co_sleep(CO_FOREVER)), CANC);
	AT(10);
	return 0;
}

START_TEST(C38_an_endless_deadline_does_not_hide_a_deadlock)
{
	expect_deadlock(wait_in_endless_scope, NULL, CO_CLOCK_VIRTUAL, 0);
}
END_TEST

static int wait_after_a_timeout(void *unused)
{
	co_scope s = CO_SCOPE_INIT;
	co_scope moved = CO_SCOPE_INIT;

	(void)unused;
	co_scope_begin(&s, MS(1000));
	IS(co_scope_end(&s, co_sleep(MS(10))), 0);
	co_scope_begin(&moved, MS(1000));
	IS(co_scope_set_deadline(&moved, CO_FOREVER), 0);
	IS(co_scope_end(&moved, co_sleep(CO_FOREVER)), CANC);
	AT(10);
	return 0;
}

/* What an ended or moved scope has left in the wheel is no timer any more. */
START_TEST(C38_deadlock_waits_for_no_ended_scope)
{
	expect_deadlock(wait_after_a_timeout, NULL, CO_CLOCK_VIRTUAL, 0);
}
END_TEST

static co_scope moved_by_another;

static int waits_in_it(void *unused)
{
	(void)unused;
	co_scope_begin(&moved_by_another, CO_SEC(3600));
	return co_scope_end(&moved_by_another, co_sleep(CO_FOREVER));
}

static int moves_it_away(void *unused)
{
	co_group g;

	(void)unused;
	co_group_begin(&g, CO_GROUP_COLLECT);
	spawn(&g, waits_in_it, NULL);
	IS(co_sleep(MS(10)), 0);
	IS(co_scope_set_deadline(&moved_by_another, CO_FOREVER), 0);
	IS(co_group_end(&g, 0), CANC);
	AT(10);
	return 0;
}

/* Nor one whose owner waits while another moves it. */
START_TEST(C38_deadlock_waits_for_no_deadline_moved_away)
{
	expect_deadlock(moves_it_away, NULL, CO_CLOCK_VIRTUAL, 0);
}
END_TEST

static int wait_after_a_cancel(void *unused)
{
	co_group g;

	(void)unused;
	IS(co_sleep(MS(10)), 0);
	co_group_begin(&g, CO_GROUP_COLLECT);
	spawn(&g, sleep_forever, NULL);
	IS(co_group_cancel(&g, 0), 0);
	IS(co_group_end(&g, 0), 0);
	IS(co_sleep(CO_FOREVER), CANC);
	AT(10);
	return 0;
}

/* Nor is the watchdog, once all that were cancelled have ended. */
START_TEST(C38_deadlock_waits_for_no_watchdog)
{
	expect_deadlock(wait_after_a_cancel, NULL, CO_CLOCK_VIRTUAL, 0);
}
END_TEST

struct pair {
	co_ref left, right;
	co_ref *other[2];
};

static int join_the_other(void *arg)
{
	int code;

	IS(co_join(**(co_ref **)arg, &code), CANC);
	caught_in_deadlock();
	return CANC;
}

static int two_joiners(void *unused)
{
	struct pair p;
	struct co_attr left = { .name = "left-hand" };
	struct co_attr right = { .name = "right-hand" };
	co_group g;

	(void)unused;
	p.other[0] = &p.right;
	p.other[1] = &p.left;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_spawn_with(&g, join_the_other, &p.other[0], &p.left, &left), 0);
	IS(co_spawn_with(&g, join_the_other, &p.other[1], &p.right, &right), 0);
	return co_group_end(&g, 0);
}

START_TEST(C38_deadlock_says_in_one_report_who_waited)
{
	const char *text = reports()->text[0];

	expect_deadlock(two_joiners, NULL, CO_CLOCK_VIRTUAL, CANC);
	IS(reports()->count, 1);
	ck_assert_ptr_nonnull(strstr(text, "left-hand"));
	ck_assert_ptr_nonnull(strstr(text, "right-hand"));
}
END_TEST

static int wait_from_20(void *unused)
{
	(void)unused;
	IS(co_sleep(MS(20)), 0);
	IS(co_sleep(CO_FOREVER), CANC);
	return CANC;
}

static int wait_and_let_30_pass(void *unused)
{
	co_group g;
	int rc;

	(void)unused;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_spawn(&g, wait_from_20, NULL, NULL), 0);
	IS(co_sleep(MS(50)), 0);
	rc = co_group_wait(&g);
	caught_in_deadlock();
	return co_group_end(&g, rc);
}

/* ... and since when */
START_TEST(C38_deadlock_says_for_how_long)
{
	const char *text = reports()->text[0];

	expect_deadlock(wait_and_let_30_pass, NULL, CO_CLOCK_VIRTUAL, CANC);
	ck_assert_ptr_nonnull(strstr(text, "for 30 ms"));
	ck_assert_ptr_nonnull(strstr(text, "for 0 ms"));
}
END_TEST

static int clean_up_for_20(void *arg)
{
	co_scope h = CO_SCOPE_INIT;

	IS(co_sleep(CO_FOREVER), CANC);
	caught_in_deadlock();
	co_scope_begin_shield(&h, MS(50));
	IS(co_scope_end(&h, co_sleep(MS(20))), 0);
	AT(20);
	note(*(char *)arg);
	return 0;
}

static int main_and_detached(void *unused)
{
	static char letters[] = { 'd', 'm' };

	(void)unused;
	IS(co_spawn(NULL, clean_up_for_20, &letters[0], NULL), 0);
	return clean_up_for_20(&letters[1]);
}

/* It all unwinds with time and shields as usual. */
START_TEST(C38_deadlock_cancels_the_detached_too)
{
	expect_deadlock(main_and_detached, NULL, CO_CLOCK_VIRTUAL, 0);
	IS((int)strlen(notes()), 2);
	ck_assert_ptr_nonnull(strchr(notes(), 'm'));
	ck_assert_ptr_nonnull(strchr(notes(), 'd'));
}
END_TEST

static int leave_a_detached(void *unused)
{
	(void)unused;
	IS(co_spawn(NULL, sleep_forever, NULL, NULL), 0);
	return co_yield_now();
}

START_TEST(C38_a_detached_left_by_main_is_no_deadlock)
{
	PLAY_WITH(leave_a_detached, NULL, hearing());
	IS(reported(CO_REPORT_DEADLOCK), 0);
}
END_TEST

SCENARIO_WITH(C38_a_single_timer_is_no_deadlock, hearing())
{
	co_scope s = CO_SCOPE_INIT;
	struct lone f;

	lone_start(&f, sleep_forever, NULL);
	co_scope_begin(&s, CO_SEC(INT64_C(365) * 24 * 3600));
	IS(co_scope_end(&s, co_sleep(CO_FOREVER)), TMO);
	IS(co_cancel(f.ref, 0), 0);
	IS(lone_end(&f), CANC);
	IS(reports()->count, 0);
}

SUITE("contract: virtual clock",
	C38_the_clock_starts_at_zero,
	C38_or_at_the_injected_time,
	C38_but_never_before_zero,
	C38_and_never_at_the_end_of_time,
	C38_the_injected_time_is_read_once,
	C38_no_jump_while_anything_is_runnable,
	C38_jumps_to_the_next_timer,
	C38_advance_goes_timer_by_timer,
	C38_advance_runs_to_quiescence_at_each_timer,
	C38_advance_expires_scopes_at_their_instant,
	C38_stall_is_one_late_batch_in_deadline_order,
	C38_settle_waits_until_all_are_blocked,
	C38_a_cancel_does_not_end_a_settle,
	C38_no_time_is_a_settle,
	C38_a_negative_duration_is_refused,
	C38_refused_on_the_monotonic_clock,
	C38_refused_on_the_boottime_clock,
	C38_refused_on_an_injected_clock,
	C38_one_of_them_at_a_time,
	C38_none_is_a_cancellation_point,
	C38_advance_by_the_greatest_time_wakes_no_endless_sleep,
	C38_the_loop_waits_at_the_greatest_time,
	C38_deadlock_cancels_main,
	C38_deadlock_on_the_real_clock,
	C38_an_endless_deadline_does_not_hide_a_deadlock,
	C38_deadlock_waits_for_no_ended_scope,
	C38_deadlock_waits_for_no_deadline_moved_away,
	C38_deadlock_waits_for_no_watchdog,
	C38_deadlock_says_in_one_report_who_waited,
	C38_deadlock_cancels_the_detached_too,
	C38_a_detached_left_by_main_is_no_deadlock,
	C38_a_single_timer_is_no_deadlock,
	C38_deadlock_says_for_how_long)
