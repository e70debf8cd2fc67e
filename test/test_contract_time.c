/*
 * Clauses C1, C2 and C37 of the contract: arithmetic of times, sleeps that are never early, and the
 * clocks they are read from.
 */
#include "scenario.h"

#include <time.h>

static const co_ns due_durations[] = { 0, -1, -MS(5), INT64_MIN + 1, INT64_MIN };

static struct co_options defaults;

static co_ns read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return CO_SEC(t.tv_sec) + t.tv_nsec;
}

/* Moves the injected clock by a millisecond in each pass. */
static int tick(void *arg)
{
	bool *stop = arg;

	while (!*stop) {
		shown += MS(1);
		co_yield_now();
	}
	return 0;
}

/* ------------------------------------------------------------------------------------- C1 */

SCENARIO(C1_additions_saturate)
{
	static const struct {
		co_ns dur, deadline;
	} cases[] = {
		{ MS(1), MS(11) },
		{ CO_FOREVER - MS(10) - 1, CO_FOREVER - 1 },
		{ CO_FOREVER - MS(10), CO_FOREVER },
		{ CO_FOREVER - MS(10) + 1, CO_FOREVER },
		{ CO_FOREVER - 1, CO_FOREVER },
		{ CO_FOREVER, CO_FOREVER },
	};

	ck_assert(CO_FOREVER == INT64_MAX);
	IS(co_sleep(MS(10)), 0);
	for (size_t i = 0; i < LENGTH(cases); i++) {
		co_scope s = CO_SCOPE_INIT;
		co_scope moved = CO_SCOPE_INIT;
		co_scope stored = CO_SCOPE_INIT;

		co_scope_begin(&s, cases[i].dur);
		IS(co_deadline(), cases[i].deadline);
		IS(co_scope_end(&s, 0), 0);
		co_scope_begin(&moved, MS(1));
		IS(co_scope_rearm(&moved, cases[i].dur), 0);
		IS(co_deadline(), cases[i].deadline);
		IS(co_scope_end(&moved, 0), 0);
		IS(co_scope_rearm(&stored, cases[i].dur), 0);
		co_scope_begin(&stored, CO_FOREVER);
		IS(co_deadline(), cases[i].deadline);
		IS(co_scope_end(&stored, 0), 0);
	}
}

SCENARIO(C1_a_sleep_that_saturates_never_ends)
{
	struct nap n = { .dur = CO_FOREVER - 1 };
	struct lone f;

	IS(co_sleep(MS(10)), 0);
	lone_start(&f, nap, &n);
	advance(CO_SEC(INT64_C(10) * 365 * 24 * 3600));
	ck_assert(!n.over);
	IS(co_cancel(f.ref, 0), 0);
	IS(lone_end(&f), CANC);
}

SCENARIO(C1_time_left_is_a_duration)
{
	co_scope s = CO_SCOPE_INIT;

	IS(co_sleep(MS(10)), 0);
	IS(co_deadline(), CO_FOREVER);
	IS(co_time_left(), CO_FOREVER);
	co_scope_begin(&s, MS(30));
	IS(co_sleep(MS(12)), 0);
	IS(co_time_left(), MS(18));
	IS(co_scope_end(&s, 0), 0);
	IS(co_time_left(), CO_FOREVER);
}

static int sleep_1_ms(void *arg)
{
	(*(int *)arg)++;
	return co_sleep(MS(1));
}

SCENARIO(C1_a_relative_time_of_zero_or_less_is_due)
{
	for (size_t i = 0; i < LENGTH(due_durations); i++) {
		co_ns dur = due_durations[i];
		co_scope s = CO_SCOPE_INIT;
		co_scope moved = CO_SCOPE_INIT;
		co_scope stored = CO_SCOPE_INIT;
		int calls = 0;

		IS(co_sleep(dur), 0);
		co_scope_begin(&s, dur);
		ck_assert(co_scope_cancelled(&s));
		IS(co_scope_end(&s, co_checkpoint()), TMO);
		co_scope_begin(&moved, MS(5));
		IS(co_scope_rearm(&moved, dur), 0);
		IS(co_scope_end(&moved, co_checkpoint()), TMO);
		IS(co_scope_rearm(&stored, dur), 0);
		co_scope_begin(&stored, CO_FOREVER);
		IS(co_scope_end(&stored, co_checkpoint()), TMO);
		IS(co_timeout(dur, sleep_1_ms, &calls), TMO);
		IS(calls, 1);
		IS(co_shield(dur, sleep_1_ms, &calls), TMO);
		IS(calls, 2);
	}
	AT(0);
}

SCENARIO(C1_minus_one_is_never_infinity)
{
	co_scope s = CO_SCOPE_INIT;
	struct lone f;
	int code = 99;

	lone_start(&f, sleep_forever, NULL);
	settle();
	IS(co_sleep_until(-1), 0);
	IS(co_sleep_until(INT64_MIN), 0);
	IS(co_join_until(f.ref, &code, -1), TMO);
	IS(co_group_wait_until(&f.group, -1), TMO);
	co_scope_begin_at(&s, -1, 0);
	IS(co_scope_end(&s, co_checkpoint()), TMO);
	IS(code, 99);
	AT(0);
	IS(co_cancel(f.ref, 0), 0);
	IS(lone_end(&f), CANC);
}

/* T5 */
SCENARIO_WITH(C1_at_the_end_of_time, from(CO_FOREVER - MS(100)))
{
	struct nap n = { .dur = MS(100) };
	co_scope s = CO_SCOPE_INIT;
	struct lone f;

	IS(co_sleep(MS(10)), 0);
	IS(co_now(), CO_FOREVER - MS(90));
	IS(co_timeout(MS(10), sleep_forever, NULL), TMO);
	IS(co_now(), CO_FOREVER - MS(80));
	lone_start(&f, nap, &n);
	co_scope_begin(&s, MS(80));
	IS(co_deadline(), CO_FOREVER);
	IS(co_sleep(MS(80) - 1), 0);
	IS(co_now(), CO_FOREVER - 1);
	IS(co_scope_end(&s, 0), 0);
	IS(co_sleep(-1), 0);
	ck_assert(!n.over);
	IS(co_cancel(f.ref, 0), 0);
	IS(lone_end(&f), CANC);
}

/* C7: never is later than every time that a clock can show. */
static void never_is_not_due(void)
{
	co_scope never = CO_SCOPE_INIT, due = CO_SCOPE_INIT;
	struct nap n = { .dur = CO_FOREVER };
	struct lone f;

	IS(co_now(), CO_FOREVER - 1);
	lone_start(&f, nap, &n);
	co_scope_begin(&never, CO_FOREVER);
	for (int i = 0; i < 200; i++) {
		IS(co_checkpoint(), 0);
		IS(co_yield_now(), 0);
	}
	ck_assert(!co_scope_cancelled(&never));
	co_scope_begin_at(&due, CO_FOREVER - 1, 0);
	IS(co_scope_end(&due, co_checkpoint()), TMO);
	IS(co_scope_end(&never, 0), 0);
	ck_assert(!n.over);
	IS(co_cancel(f.ref, 0), 0);
	IS(lone_end(&f), CANC);
}

SCENARIO(C7_never_is_not_due_after_the_longest_stall)
{
	stall(MS(1));
	stall(CO_FOREVER);
	never_is_not_due();
}

SCENARIO(C7_never_is_not_due_after_the_longest_advance)
{
	advance(CO_FOREVER);
	advance(CO_FOREVER);
	never_is_not_due();
}

SCENARIO_WITH(C7_never_is_not_due_on_any_clock, injected())
{
	shown = CO_FOREVER;
	never_is_not_due();
}

/* ------------------------------------------------------------------------------------- C2 */

SCENARIO_WITH(C2_a_deadline_counts_from_its_call, injected())
{
	co_scope s = CO_SCOPE_INIT;

	shown += MS(50);
	IS(co_now(), shown);
	ck_assert_int_le(co_loop_now(), co_now());
	co_scope_begin(&s, MS(10));
	IS(co_deadline(), shown + MS(10));
	shown += MS(5);
	IS(co_scope_rearm(&s, MS(10)), 0);
	IS(co_deadline(), shown + MS(10));
	IS(co_time_left(), MS(10));
	IS(co_scope_end(&s, 0), 0);
}

SCENARIO_WITH(C2_a_sleep_counts_from_its_call, injected())
{
	struct lone ticker;
	bool stop = false;

	lone_start(&ticker, tick, &stop);
	for (int i = 0; i < 20; i++) {
		co_ns called;

		shown += MS(50);
		called = shown;
		IS(co_sleep(MS(10)), 0);
		ck_assert_int_ge(shown - called, MS(10));
	}
	stop = true;
	IS(lone_end(&ticker), 0);
}

SCENARIO_WITH(C2_never_early_REAL, real_clock())
{
	for (int i = 0; i < 300; i++) {
		co_ns dur = i * INT64_C(7919) % 200000;
		co_ns begun = read_clock(CLOCK_MONOTONIC);
		co_scope s = CO_SCOPE_INIT;

		while (read_clock(CLOCK_MONOTONIC) - begun < i * INT64_C(104729) % 100000)
			;
		begun = read_clock(CLOCK_MONOTONIC);
		if (i % 2) {
			IS(co_sleep(dur), 0);
		} else {
			co_scope_begin(&s, dur);
			IS(co_scope_end(&s, co_sleep(CO_FOREVER)), TMO);
		}
		ck_assert_int_ge(read_clock(CLOCK_MONOTONIC) - begun, dur);
	}
}

/* Receives until instants that have passed; nobody else runs meanwhile. */
static void receives_until(co_ns (*passed)(int i), int times)
{
	co_chan *c;
	co_group g;
	int item;

	IS(co_chan_make(&c, sizeof(item), 1), 0);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, write_x, NULL);
	for (int i = 0; i < times; i++)
		IS(co_chan_recv_until(c, &item, passed(i)), TMO);
	ck_assert_str_eq(notes(), "");
	IS(co_group_end(&g, 0), 0);
	co_chan_free(c);
}

static co_ns passes_unread(int i)
{
	co_ns abs = co_now() + i * INT64_C(7919) % 20000;

	while (read_clock(CLOCK_MONOTONIC) < abs)
		;
	return abs;
}

/* C7: passed before the call, but not when the clock was read last */
SCENARIO_WITH(C7_a_deadline_that_passed_unread_REAL, real_clock())
{
	receives_until(passes_unread, 50);	/* fewer than force a pass */
}

/* Far away it is not asked for, and ends a wait at the loop's next look. */
SCENARIO_WITH(C7_a_far_deadline_that_passed_unread_REAL, real_clock())
{
	co_ns abs = co_now() + CO_MS(1050);
	co_chan *c;
	int item;

	IS(co_chan_make(&c, sizeof(item), 1), 0);
	while (read_clock(CLOCK_MONOTONIC) < abs)
		;
	IS(co_chan_recv_until(c, &item, abs), TMO);
	co_chan_free(c);
}

static co_ns jumps_past(int unused)
{
	(void)unused;
	shown += CO_SEC(10);
	return shown - CO_SEC(5);
}

/* An injected clock may jump as far as it likes. */
SCENARIO_WITH(C7_a_far_deadline_that_an_injected_clock_passed, injected())
{
	receives_until(jumps_past, 1);
}

static struct co_options slack_5_ms = { .clock = CO_CLOCK_VIRTUAL, .slack = CO_MS(5) };

/* And late by no more than the slack. */
SCENARIO_WITH(C2_slack_makes_nothing_early, &slack_5_ms)
{
	static struct nap naps[200];
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (size_t i = 0; i < LENGTH(naps); i++) {
		naps[i].dur = CO_US(1 + (int64_t)i * 7919 % 100000);
		spawn(&g, nap, &naps[i]);
	}
	IS(co_group_end(&g, 0), 0);
	for (size_t i = 0; i < LENGTH(naps); i++) {
		ck_assert_int_ge(naps[i].at, naps[i].dur);
		ck_assert_int_le(naps[i].at, naps[i].dur + MS(5));
	}
	for (int i = 0; i < 100; i++) {
		co_scope s = CO_SCOPE_INIT;
		co_ns dur = CO_US(1 + i * 7919 % 10000);
		co_ns begun = co_now();

		co_scope_begin(&s, dur);
		IS(co_scope_end(&s, co_sleep(CO_FOREVER)), TMO);
		ck_assert_int_ge(co_now() - begun, dur);
		ck_assert_int_le(co_now() - begun, dur + MS(5));
	}
}

/* ------------------------------------------------------------------------------------ C37 */

static void compare_clock(clockid_t id)
{
	for (int i = 0; i < 3; i++) {
		co_ns before = read_clock(id);
		co_ns now = co_now();

		ck_assert_int_le(before, now);
		ck_assert_int_le(now, read_clock(id));
		ck_assert_int_le(co_loop_now(), now);
		IS(co_sleep(CO_US(100)), 0);
	}
}

SCENARIO_WITH(C37_monotonic_by_default, &defaults)
{
	compare_clock(CLOCK_MONOTONIC);
}

SCENARIO_WITH(C37_boottime_by_option, boottime())
{
	compare_clock(CLOCK_BOOTTIME);
}

/* T15 */
SCENARIO_WITH(C37_a_clock_that_steps_back_is_clamped, injected())
{
	static const co_ns steps[] = { 1, CO_US(1), MS(1), CO_SEC(1), CO_SEC(3600) };
	co_ns greatest = CO_SEC(7200);

	shown = greatest;
	IS(co_now(), greatest);
	for (size_t i = 0; i < LENGTH(steps); i++) {
		shown = greatest - steps[i];
		IS(co_now(), greatest);
		IS(co_yield_now(), 0);
		IS(co_now(), greatest);
		ck_assert_int_le(co_loop_now(), greatest);
	}
}

SCENARIO_WITH(C37_no_timer_is_early_after_a_step_back, injected())
{
	struct nap n = { .dur = MS(10) };
	struct lone f;

	shown = CO_SEC(7200);
	lone_start(&f, nap, &n);
	IS(co_yield_now(), 0);
	shown = CO_SEC(3600);
	for (int i = 0; i < 200; i++) {
		shown += MS(1);
		IS(co_yield_now(), 0);
	}
	ck_assert(!n.over);
	shown = CO_SEC(7200) + MS(10) - 1;
	for (int i = 0; i < 200; i++)
		IS(co_yield_now(), 0);
	ck_assert(!n.over);
	shown += 1;
	IS(lone_end(&f), 0);
	IS(n.at, shown);
}

SUITE("contract: time",
	C1_additions_saturate,
	C1_a_sleep_that_saturates_never_ends,
	C1_time_left_is_a_duration,
	C1_a_relative_time_of_zero_or_less_is_due,
	C1_minus_one_is_never_infinity,
	C1_at_the_end_of_time,
	C7_never_is_not_due_after_the_longest_stall,
	C7_never_is_not_due_after_the_longest_advance,
	C7_never_is_not_due_on_any_clock,
	C2_a_deadline_counts_from_its_call,
	C2_a_sleep_counts_from_its_call,
	C2_never_early_REAL,
	C7_a_deadline_that_passed_unread_REAL,
	C7_a_far_deadline_that_passed_unread_REAL,
	C7_a_far_deadline_that_an_injected_clock_passed,
	C2_slack_makes_nothing_early,
	C37_monotonic_by_default,
	C37_boottime_by_option,
	C37_a_clock_that_steps_back_is_clamped,
	C37_no_timer_is_early_after_a_step_back)
