/*
 * Conformance scenarios, group A: sleeps and durations. Virtual time, milliseconds from the
 * start of each scenario, except where a test says REAL. What waits for a message in a scenario
 * waits here for the end of a coroutine.
 */
#include "scenario.h"

#include <time.h>

#define YEAR (INT64_C(365) * 24 * 3600 * 1000000000)

/* C1, C2, C38 */
SCENARIO(S1_sleep_is_exact)
{
	struct nap n = { .dur = MS(100) };
	struct lone f;

	lone_start(&f, nap, &n);
	settle();
	advance(MS(100) - 1);
	ck_assert(!n.over);
	advance(1);
	ck_assert(n.over);
	IS(lone_end(&f), 0);
	IS(n.at, MS(100));

	IS(co_sleep(MS(100)), 0);
	AT(200);
}

static int write_ab(void *arg)
{
	note('a');
	IS(co_sleep(*(co_ns *)arg), 0);
	note('A');
	IS(co_yield_now(), 0);
	return 0;
}

static int write_b(void *unused)
{
	(void)unused;
	note('b');
	IS(co_yield_now(), 0);
	note('B');
	return 0;
}

static void sleep_among_others(co_ns dur)
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, write_ab, &dur);
	spawn(&g, write_b, NULL);
	IS(co_group_end(&g, 0), 0);
	ck_assert_str_eq(notes(), "abAB");
	AT(0);
}

/* C18 */
SCENARIO(S2_sleep_zero_is_a_yield)
{
	sleep_among_others(0);
}

/* C1, C18 */
SCENARIO(S3_negative_duration_is_zero)
{
	sleep_among_others(-5);
}

/* C1, C18: no value of a duration is an infinity but one */
SCENARIO(S3_the_most_negative_duration_is_zero)
{
	sleep_among_others(INT64_MIN);
}

/* C1, C18 */
SCENARIO(S5_sleep_until_the_past_is_a_yield)
{
	struct lone f;

	IS(co_sleep(MS(50)), 0);
	lone_start(&f, write_x, NULL);
	IS(co_sleep_until(MS(10)), 0);
	ck_assert_str_eq(notes(), "x");
	AT(50);
	IS(lone_end(&f), 0);
}

/* C1, C6, C23 */
SCENARIO(S6_sleep_for_ever_is_cancellable)
{
	struct nap n = { .dur = CO_FOREVER };
	struct lone f;

	lone_start(&f, nap, &n);
	IS(co_sleep(MS(70)), 0);
	ck_assert(!n.over);
	IS(co_cancel(f.ref, 0), 0);
	IS(lone_end(&f), CANC);
	IS(n.at, MS(70));
}

static int seven_when_cancelled(void *unused)
{
	(void)unused;
	IS(co_sleep(CO_FOREVER), CANC);
	return 7;
}

static int join_in_endless_scope(void *arg)
{
	co_scope s = CO_SCOPE_INIT;
	int got = -1;
	int rc;

	co_scope_begin(&s, CO_FOREVER);
	rc = co_join(*(co_ref *)arg, &got);
	IS(co_scope_end(&s, rc), 0);
	ck_assert(!co_scope_cancelled(&s));
	return got;
}

/* C1, C7 */
SCENARIO(S8_very_large_timeout_does_not_fire)
{
	struct lone sender, receiver;

	lone_start(&sender, seven_when_cancelled, NULL);
	lone_start(&receiver, join_in_endless_scope, &sender.ref);
	advance(10 * YEAR);
	IS(co_now(), 10 * YEAR);
	IS(co_cancel(sender.ref, 0), 0);
	IS(lone_end(&receiver), 7);
	IS(co_group_end(&sender.group, 0), 0);
}

/* C1, C2 */
SCENARIO(S9_long_sleeps_across_wheel_levels)
{
	co_ns when = 0;

	for (int i = 0; i < 5; i++) {
		when += YEAR + i;
		IS(co_sleep(YEAR + i), 0);
		IS(co_now(), when);
	}
	IS(co_sleep(10 * YEAR), 0);
	IS(co_now(), when + 10 * YEAR);
}

/* C18 */
SCENARIO(S11_thousand_zero_sleeps_make_progress)
{
	for (int i = 0; i < 1000; i++)
		IS(co_sleep(0), 0);
	AT(0);
}

/* C2 */
SCENARIO(S12_the_smallest_duration)
{
	IS(co_sleep(1), 0);
	IS(co_now(), 1);
}

static co_ns monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return CO_SEC(t.tv_sec) + t.tv_nsec;
}

/* C2 */
SCENARIO_WITH(S12_the_smallest_duration_REAL, real_clock())
{
	for (int i = 0; i < 100; i++) {
		co_ns before = monotonic();

		IS(co_sleep(1), 0);
		ck_assert_int_ge(monotonic() - before, 1);
	}
}

/* C2, C11, C37: never early; and late by less than a second, unless it is the machine that stalls:
 * one try of ten suffices. */
SCENARIO_WITH(S14_accuracy_REAL, real_clock())
{
	co_ns took = CO_FOREVER;

	for (int tries = 0; tries < 10 && took >= MS(2000); tries++) {
		co_scope s = CO_SCOPE_INIT;
		co_ns begun = monotonic();

		co_scope_begin(&s, MS(1000));
		IS(co_scope_end(&s, co_sleep(CO_FOREVER)), TMO);
		took = monotonic() - begun;
		ck_assert_int_ge(took, MS(1000));
	}
	ck_assert_int_lt(took, MS(2000));
}

SUITE("scenarios A: sleep",
	S1_sleep_is_exact,
	S2_sleep_zero_is_a_yield,
	S3_negative_duration_is_zero,
	S3_the_most_negative_duration_is_zero,
	S5_sleep_until_the_past_is_a_yield,
	S6_sleep_for_ever_is_cancellable,
	S8_very_large_timeout_does_not_fire,
	S9_long_sleeps_across_wheel_levels,
	S11_thousand_zero_sleeps_make_progress,
	S12_the_smallest_duration,
	S12_the_smallest_duration_REAL,
	S14_accuracy_REAL)
