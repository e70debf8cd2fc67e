/*
 * Clauses C18, C19 and C20 of the contract: what yields let happen, how long a coroutine that never
 * blocks is left alone, and when deadlines take effect.
 */
#define _GNU_SOURCE /* pipe2, in ends.h */
#include "ends.h"

#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>

/* Parks once and comes back: another coroutine runs and ends meanwhile. */
static void park(void)
{
	struct lone f;

	lone_start(&f, write_x, NULL);
	IS(lone_end(&f), 0);
	notes()[0] = 0;
}

/* ---------------------------------------------------------------------------------- C18 */

enum yields {
	YIELD,
	SLEEP_0,
	SLEEP_MINUS_1,
	SLEEP_LEAST,
	SLEEP_UNTIL_PAST,
	SLEEP_UNTIL_NOW,
	YIELDS
};

static int yield_as(enum yields how)
{
	switch (how) {
	case SLEEP_0:
		return co_sleep(0);
	case SLEEP_MINUS_1:
		return co_sleep(-1);
	case SLEEP_LEAST:
		return co_sleep(INT64_MIN);
	case SLEEP_UNTIL_PAST:
		return co_sleep_until(co_now() - 1);
	case SLEEP_UNTIL_NOW:
		return co_sleep_until(co_now());
	default:
		return co_yield_now();
	}
}

SCENARIO(C18_a_yield_lets_all_others_run_first)
{
	IS(co_sleep(MS(10)), 0);
	for (int how = 0; how < YIELDS; how++) {
		co_group g;

		co_group_begin(&g, CO_GROUP_FAIL_FAST);
		for (int i = 0; i < 3; i++)
			spawn(&g, write_x, NULL);
		IS(yield_as((enum yields)how), 0);
		ck_assert_str_eq(notes(), "xxx");
		memset(notes(), 0, 4);
		IS(co_group_end(&g, 0), 0);
	}
	AT(10);
}

SCENARIO(C18_also_in_a_cancelled_scope)
{
	IS(co_sleep(MS(10)), 0);
	for (int how = 0; how < YIELDS; how++) {
		co_scope s = CO_SCOPE_INIT;
		co_group g;

		co_group_begin(&g, CO_GROUP_FAIL_FAST);
		co_scope_begin(&s, MS(100));
		IS(co_scope_cancel(&s, 0), 0);
		for (int i = 0; i < 3; i++)
			spawn(&g, write_x, NULL);
		IS(yield_as((enum yields)how), CANC);
		ck_assert_str_eq(notes(), "xxx");
		memset(notes(), 0, 4);
		IS(co_scope_end(&s, CANC), 0);
		IS(co_group_end(&g, 0), 0);
	}
	AT(10);
}

static int cancel_scope(void *arg)
{
	return co_scope_cancel(arg, 0);
}

/* The check comes after the others: it sees what they did. */
SCENARIO(C18_a_cancel_during_the_yield_shows_at_once)
{
	for (int how = 0; how < YIELDS; how++) {
		co_scope s = CO_SCOPE_INIT;
		co_group g;

		co_group_begin(&g, CO_GROUP_FAIL_FAST);
		co_scope_begin(&s, MS(100));
		spawn(&g, cancel_scope, &s);
		IS(yield_as((enum yields)how), CANC);
		IS(co_scope_end(&s, CANC), 0);
		IS(co_group_end(&g, 0), 0);
	}
	AT(0);
}

/* By the clock as it is, not as the loop saw it last. */
SCENARIO_WITH(C18_a_time_that_has_come_meanwhile, injected())
{
	for (co_ns late = 0; late <= MS(5); late += MS(5)) {
		co_scope s = CO_SCOPE_INIT;
		co_group g;

		co_group_begin(&g, CO_GROUP_FAIL_FAST);
		co_scope_begin(&s, CO_SEC(1));
		IS(co_scope_cancel(&s, 0), 0);
		spawn(&g, write_x, NULL);
		shown += MS(10);
		IS(co_sleep_until(shown - late), CANC);
		ck_assert_str_eq(notes(), "x");
		memset(notes(), 0, 4);
		IS(co_scope_end(&s, CANC), 0);
		IS(co_group_end(&g, 0), 0);
	}
}

SCENARIO(C18_a_yield_alone_returns)
{
	for (int n = 0; n < 1000; n++)
		IS(yield_as((enum yields)(n % YIELDS)), 0);
	AT(0);
}

/* ---------------------------------------------------------------------------------- C19 */

/* Points that have no reason to block: waits for a group without children, and refusals. */
enum ready { WAIT, WAIT_UNTIL_PAST, WAIT_UNTIL_EVER, REFUSED_SLEEP, REFUSED_JOIN, READY };

static void pass_point(enum ready what, co_group *idle, co_ref live)
{
	int code;

	switch (what) {
	case WAIT:
		IS(co_group_wait(idle), 0);
		break;
	case WAIT_UNTIL_PAST:
		IS(co_group_wait_until(idle, -1), 0);
		break;
	case WAIT_UNTIL_EVER:
		IS(co_group_wait_until(idle, CO_FOREVER), 0);
		break;
	case REFUSED_SLEEP:
		IS(co_sleep(MS(1)), CANC);
		break;
	default:
		IS(co_join(live, &code), CANC);
	}
}

static int set_flag(void *arg)
{
	*(bool *)arg = true;
	return 0;
}

SCENARIO(C19_64_points_that_did_not_block_force_a_pass)
{
	for (int what = 0; what < READY; what++) {
		bool ran = false;
		struct lone live, other;
		co_scope s = CO_SCOPE_INIT;
		co_group idle;
		int calls = 0;

		lone_start(&live, sleep_forever, NULL);
		co_group_begin(&idle, CO_GROUP_FAIL_FAST);
		park();
		lone_start(&other, set_flag, &ran);
		co_scope_begin(&s, CO_FOREVER);
		if (what >= REFUSED_SLEEP)
			IS(co_scope_cancel(&s, 0), 0);
		for (; !ran && calls < 200; calls++)
			pass_point((enum ready)what, &idle, live.ref);
		ck_assert_int_ge(calls, 64);
		ck_assert_int_le(calls, 65);
		IS(co_scope_end(&s, 0), 0);
		IS(lone_end(&other), 0);
		IS(co_group_end(&idle, 0), 0);
		IS(co_cancel(live.ref, 0), 0);
		IS(lone_end(&live), CANC);
	}
}

/* And again after that: each row of 64 costs one pass. */
SCENARIO(C19_one_pass_for_each_64)
{
	struct lone other;
	bool done = false;
	co_group idle;
	int passes = 0;

	co_group_begin(&idle, CO_GROUP_FAIL_FAST);
	for (int row = 0; row < 10; row++) {
		lone_start(&other, set_flag, &done);
		for (int i = 0; i < 65 && !done; i++)
			IS(co_group_wait(&idle), 0);
		passes += done;
		done = false;
		IS(lone_end(&other), 0);
	}
	IS(passes, 10);
	IS(co_group_end(&idle, 0), 0);
}

SCENARIO(C19_a_point_that_blocks_ends_the_row)
{
	bool ran = false;
	struct lone other;
	co_group idle;

	co_group_begin(&idle, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 60; i++)
		IS(co_group_wait(&idle), 0);
	IS(co_sleep(MS(1)), 0);
	lone_start(&other, set_flag, &ran);
	for (int i = 0; i < 60; i++)
		IS(co_group_wait(&idle), 0);
	ck_assert(!ran);
	IS(lone_end(&other), 0);
	IS(co_group_end(&idle, 0), 0);
}

SCENARIO(C19_a_checkpoint_never_switches)
{
	bool ran = false;
	struct lone other;
	co_scope s = CO_SCOPE_INIT;

	lone_start(&other, set_flag, &ran);
	for (int i = 0; i < 5000; i++)
		IS(co_checkpoint(), 0);
	co_scope_begin(&s, 0);
	for (int i = 0; i < 5000; i++)
		IS(co_checkpoint(), CANC);
	ck_assert(!ran);
	AT(0);
	IS(co_scope_end(&s, 0), 0);
	IS(lone_end(&other), 0);
}

SCENARIO_WITH(C19_the_first_checkpoint_after_a_park_reads_the_clock, injected())
{
	for (int phase = 0; phase < 130; phase++) {
		co_scope s = CO_SCOPE_INIT;

		co_scope_begin(&s, MS(10));
		park();
		for (int i = 0; i < phase; i++)
			IS(co_checkpoint(), 0);
		park();
		shown += MS(10);
		ck_assert(!co_scope_cancelled(&s));
		IS(co_checkpoint(), CANC);
		IS(co_scope_end(&s, CANC), TMO);
	}
}

SCENARIO_WITH(C19_every_64th_checkpoint_reads_the_clock, injected())
{
	for (int phase = 1; phase < 130; phase++) {
		co_scope s = CO_SCOPE_INIT;
		int calls = 0;

		co_scope_begin(&s, MS(10));
		park();
		for (int i = 0; i < phase; i++)
			IS(co_checkpoint(), 0);
		shown += MS(10) - 1;
		for (int i = 0; i < 64; i++)
			IS(co_checkpoint(), 0);
		shown += 1;
		while (calls < 200 && co_checkpoint() == 0)
			calls++;
		ck_assert_int_lt(calls, 64);
		IS(co_scope_end(&s, CANC), TMO);
	}
}

/* Of 640 calls, no more than one in 64 and the first have read it. */
static int reads;

static co_ns show_and_count(void *ctx)
{
	(void)ctx;
	reads++;
	return shown;
}

static struct co_options counting = { .clock = CO_CLOCK_MONOTONIC, .now = show_and_count };

SCENARIO_WITH(C19_other_checkpoints_do_not_read_it, &counting)
{
	int before;

	park();
	before = reads;
	for (int i = 0; i < 640; i++)
		IS(co_checkpoint(), 0);
	ck_assert_int_ge(reads - before, 10);
	ck_assert_int_le(reads - before, 11);
}

static int check_200_times(void *unused)
{
	(void)unused;
	for (int i = 0; i < 200; i++)
		IS(co_checkpoint(), 0);
	return 0;
}

struct sleeper {
	co_scope scope;
};

static int sleep_in_scope(void *arg)
{
	struct sleeper *s = arg;

	co_scope_begin(&s->scope, MS(10));
	return co_scope_end(&s->scope, co_sleep(CO_FOREVER));
}

static int let_time_pass(void *arg)
{
	struct sleeper *s = arg;

	shown += MS(20);
	check_200_times(NULL);
	ck_assert(!co_scope_cancelled(&s[0].scope));
	ck_assert(!co_scope_cancelled(&s[1].scope));
	return 0;
}

/* Neither the owner's scopes nor those of another coroutine expire by my checkpoints. */
SCENARIO_WITH(C19_a_checkpoint_expires_own_scopes_only, injected())
{
	struct sleeper s[2] = { { CO_SCOPE_INIT }, { CO_SCOPE_INIT } };
	struct lone f, child;

	lone_start(&f, sleep_in_scope, &s[1]);
	IS(co_yield_now(), 0);
	co_scope_begin(&s[0].scope, MS(10));
	lone_start(&child, let_time_pass, s);
	IS(co_group_wait(&child.group), 0);
	IS(co_group_end(&child.group, 0), 0);
	IS(co_scope_end(&s[0].scope, 0), 0);
	IS(lone_end(&f), TMO);
}

static int compute(void *unused)
{
	int rc = 0;

	(void)unused;
	while (rc == 0)
		rc = co_checkpoint();
	return rc;
}

SCENARIO_WITH(C19_a_computing_loop_stops_at_its_timeout_REAL, real_clock())
{
	co_ns begun = co_now();

	IS(co_timeout(MS(2), compute, NULL), TMO);
	ck_assert_int_ge(co_now() - begun, MS(2));
}

SCENARIO(C19_a_computing_loop_stops_after_a_stall)
{
	co_scope s = CO_SCOPE_INIT;
	int calls = 0;

	co_scope_begin(&s, MS(10));
	stall(MS(10));
	while (calls < 200 && co_checkpoint() == 0)
		calls++;
	ck_assert_int_lt(calls, 64);
	IS(co_scope_end(&s, CANC), TMO);
}

/* ------------------------------------------------------------------- C19, the cancel storm */

/* Ignores `times` cancels, then in a shield is fine once, then ignores `again`. */
struct storm {
	int how;		/* 0 sleep, 1 yield, 2 checkpoint, 3 all in turn */
	int times, again;
};

static int point(int how)
{
	return how == 0 ? co_sleep(MS(1)) : how == 1 ? co_yield_now() : co_checkpoint();
}

static void ignore_cancels(int how, int times)
{
	for (int i = 0; i < times; i++) {
		int rc = point(how == 3 ? i % 3 : how);

		if (rc != CANC)
			ck_abort_msg("cancel %d gives %d", i, rc);
	}
}

static int storm(void *arg)
{
	const struct storm *s = arg;
	co_scope h = CO_SCOPE_INIT;

	IS(co_cancel(co_self(), 0), 0);
	ignore_cancels(s->how, s->times);
	co_scope_begin_shield(&h, MS(10));
	IS(point(s->how), 0);
	IS(co_scope_end(&h, 0), 0);
	ignore_cancels(s->how, s->again);
	return 0;
}

static int storms(int how, int times, int again)
{
	struct storm s = { how, times, again };
	struct co_attr attr = { .name = "petrel" };
	int before = reported(CO_REPORT_STORM);
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_spawn_with(&g, storm, &s, NULL, &attr), 0);
	IS(co_group_end(&g, 0), 0);
	for (int i = 0; i < reports()->count && i < (int)LENGTH(reports()->kind); i++) {
		if (reports()->kind[i] == CO_REPORT_STORM)
			ck_assert_ptr_nonnull(strstr(reports()->text[i], "petrel"));
	}
	return reported(CO_REPORT_STORM) - before;
}

SCENARIO_WITH(C19_a_storm_is_reported_once_with_the_name, hearing())
{
	for (int how = 0; how < 4; how++)
		IS(storms(how, 30000, 0), 1);
}

SCENARIO_WITH(C19_no_storm_before_ten_thousand, hearing())
{
	for (int how = 0; how < 4; how++)
		IS(storms(how, 9999, 0), 0);
	IS(storms(0, 10001, 0), 1);
}

SCENARIO_WITH(C19_a_success_ends_the_row, hearing())
{
	for (int how = 0; how < 4; how++)
		IS(storms(how, 6000, 6000), 0);
}

/* A cancel that its scope has answered for was not ignored, however often that happens. */
SCENARIO_WITH(C19_heeded_cancels_are_no_storm, hearing())
{
	for (int i = 0; i < 10001; i++) {
		co_scope s = CO_SCOPE_INIT;

		co_scope_begin(&s, 0);
		IS(co_scope_end(&s, co_yield_now()), TMO);
	}
	IS(reported(CO_REPORT_STORM), 0);
}

/* To end inner scopes is not to heed the cancel of an outer one. */
SCENARIO_WITH(C19_a_storm_of_many_scopes, hearing())
{
	co_scope o = CO_SCOPE_INIT;

	begin_cancelled(&o, 0);
	for (int i = 0; i < 10001; i++) {
		co_scope s = CO_SCOPE_INIT;

		co_scope_begin(&s, 0);
		IS(co_scope_end(&s, co_yield_now()), CANC);
	}
	IS(co_scope_end(&o, CANC), 0);
	IS(reported(CO_REPORT_STORM), 1);
}

/* Once for each coroutine, though it does so again later. */
SCENARIO_WITH(C19_a_second_storm_is_not_reported, hearing())
{
	for (int how = 0; how < 4; how++)
		IS(storms(how, 10001, 10001), 1);
}

static int storm_once(void *unused)
{
	(void)unused;
	IS(co_cancel(co_self(), 0), 0);
	ignore_cancels(1, 6000);
	return 0;
}

static int ignore_all(void *unused)
{
	(void)unused;
	IS(co_cancel(co_self(), 0), 0);
	ignore_cancels(1, 10001);
	return 0;
}

/* Each counts for itself, though one takes the place of another that has ended. */
SCENARIO_WITH(C19_each_coroutine_has_a_storm_of_its_own, hearing())
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 3; i++) {
		IS(co_spawn(&g, storm_once, NULL, NULL), 0);
		IS(co_group_wait(&g), 0);
	}
	IS(reported(CO_REPORT_STORM), 0);
	for (int i = 1; i <= 3; i++) {
		IS(co_spawn(&g, ignore_all, NULL, NULL), 0);
		IS(co_group_wait(&g), 0);
		IS(reported(CO_REPORT_STORM), i);
	}
	IS(co_group_end(&g, 0), 0);
}

static int cancel_it(void *ref)
{
	return co_cancel(*(const co_ref *)ref, 0);
}

/* Cut in a yield, or in the pass that 64 points have forced; then it goes on until 9 999. */
static int cut_amid(void *forced)
{
	co_ref self = co_self();
	co_group idle;

	co_group_begin(&idle, CO_GROUP_COLLECT);
	if (forced) {
		park();
		for (int i = 0; i < 64; i++)
			IS(co_group_wait(&idle), 0);
	}
	IS(co_spawn(NULL, cancel_it, &self, NULL), 0);
	IS(forced ? co_sleep(CO_FOREVER) : co_yield_now(), CANC);
	ignore_cancels(2, 9998);
	IS(reported(CO_REPORT_STORM), forced != NULL);
	ignore_cancels(2, 1);
	IS(reported(CO_REPORT_STORM), 1 + (forced != NULL));
	return co_group_end(&idle, CANC);
}

/* What cuts a call short while others run is the first of its row. */
SCENARIO_WITH(C19_a_storm_counts_from_the_cut, hearing())
{
	for (intptr_t forced = 0; forced < 2; forced++) {
		struct lone f;

		lone_start(&f, cut_amid, num(forced));
		IS(lone_end(&f), CANC);
	}
}

static uint64_t passes(void)
{
	struct co_stats now;

	IS(co_stats(&now), 0);
	return now.passes;
}

/* The 65th point in a row lets a pass go by, also if nobody else could run; those before do not. */
static void count_passes(void)
{
	uint64_t before;
	co_group idle;

	co_group_begin(&idle, CO_GROUP_FAIL_FAST);
	park();
	for (int row = 0; row < 10; row++) {
		before = passes();
		for (int i = 0; i < 64; i++)
			IS(co_group_wait(&idle), 0);
		ck_assert_uint_eq(passes(), before);
		IS(co_group_wait(&idle), 0);
		ck_assert_uint_eq(passes(), before + 1);
	}
	IS(co_group_end(&idle, 0), 0);
}

SCENARIO(C19_the_65th_point_in_a_row_is_a_pass)
{
	count_passes();
}

SCENARIO_WITH(C19_a_pass_though_nobody_else_is_ready, injected())
{
	count_passes();
}

SCENARIO(C19_a_yield_ends_the_row)
{
	uint64_t before;
	co_group idle;

	co_group_begin(&idle, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 60; i++)
		IS(co_group_wait(&idle), 0);
	IS(co_yield_now(), 0);
	before = passes();
	for (int i = 0; i < 64; i++)
		IS(co_group_wait(&idle), 0);
	ck_assert_uint_eq(passes(), before);
	IS(co_group_end(&idle, 0), 0);
}

static int pass_40_points(void *idle)
{
	for (int i = 0; i < 40; i++)
		IS(co_group_wait(idle), 0);
	return 0;
}

static int check_40_times(void *unused)
{
	(void)unused;
	for (int i = 0; i < 40; i++)
		IS(co_checkpoint(), 0);
	return 0;
}

static int count_anew(void *idle)
{
	uint64_t before = passes();
	co_scope s = CO_SCOPE_INIT;

	for (int i = 0; i < 64; i++)
		IS(co_group_wait(idle), 0);
	ck_assert_uint_eq(passes(), before);
	co_scope_begin(&s, MS(10));
	stall(MS(20));
	return co_scope_end(&s, co_checkpoint());
}

/* Rows of points and checkpoints are each coroutine's own, though one takes the place of another
 * that has ended. */
SCENARIO(C19_a_coroutine_begins_with_no_row)
{
	struct lone f;
	co_group idle;

	co_group_begin(&idle, CO_GROUP_FAIL_FAST);
	lone_start(&f, pass_40_points, &idle);
	IS(lone_end(&f), 0);
	lone_start(&f, check_40_times, NULL);
	IS(lone_end(&f), 0);
	lone_start(&f, count_anew, &idle);
	IS(lone_end(&f), TMO);
	IS(co_group_end(&idle, 0), 0);
}

/* ---------------------------------------------------------------------------------- C20 */

static int nothing(void *unused)
{
	(void)unused;
	return 0;
}

/* The clock has moved past both deadlines; none of these calls looks on their behalf. */
SCENARIO_WITH(C20_no_other_call_expires_a_scope, injected())
{
	co_scope o = CO_SCOPE_INIT;
	co_scope s = CO_SCOPE_INIT;
	struct co_cause cause;
	struct lone f;

	lone_start(&f, sleep_forever, NULL);
	co_scope_begin(&o, MS(10));
	co_scope_begin(&s, MS(10));
	shown = MS(20);
	IS(co_now(), MS(20));
	IS(co_deadline(), MS(10));
	IS(co_time_left(), 0);
	IS(co_cancel_cause(&cause), -ENOENT);
	IS(co_scope_cause(&s, &cause), -ENOENT);
	spawn(&f.group, nothing, NULL);
	IS(co_cancel(f.ref, 0), 0);
	ck_assert(!co_scope_cancelled(&s));
	ck_assert(!co_scope_cancelled(&o));
	IS(co_scope_end(&s, 0), 0);
	IS(co_scope_end(&o, 0), 0);
	IS(lone_end(&f), CANC);
}

SCENARIO_WITH(C20_an_end_is_no_look, injected())
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	shown = MS(20);
	IS(co_scope_end(&s, CANC), CANC);
	ck_assert(!co_scope_cancelled(&s));
	ck_assert(!co_scope_caught(&s));
}

/* Yields until the flag is set: how many passes that took. */
static int yields_until(const bool *flag)
{
	int n = 0;

	for (; !*flag && n < 500; n++)
		co_yield_now();
	return n;
}

SCENARIO_WITH(C20_the_clock_is_read_every_64_switches, injected())
{
	for (int round = 0; round < 20; round++) {
		struct nap n = { .dur = MS(10) };
		struct lone f;

		lone_start(&f, nap, &n);
		for (int i = 0; i < 1 + round * 7; i++)
			IS(co_yield_now(), 0);
		shown += MS(10);
		ck_assert_int_le(yields_until(&n.over), 65);
		IS(lone_end(&f), 0);
	}
}

/* An injected clock says nothing of how long the loop has run: it looks at each pass. */
SCENARIO_WITH(C20_a_clock_that_stands_keeps_no_descriptor_waiting, injected())
{
	struct reading r = { .over = false };
	struct lone f;
	int ends[2];

	pair(ends);
	r.fd = ends[0];
	lone_start(&f, reading, &r);
	for (int i = 0; i < 200; i++)
		IS(co_yield_now(), 0);
	put(ends[1], "x");
	ck_assert_int_le(yields_until(&r.over), 130);
	IS(lone_end(&f), 0);
	close_both(ends);
}

static int yield_for_ever(void *arg)
{
	const bool *stop = arg;

	while (!*stop)
		co_yield_now();
	return 0;
}

/* Ten that only yield: the bound is in switches, not in passes. */
SCENARIO_WITH(C20_however_many_yield, injected())
{
	struct nap n = { .dur = MS(10) };
	bool stop = false;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, nap, &n);
	for (int i = 0; i < 9; i++)
		spawn(&g, yield_for_ever, &stop);
	IS(co_yield_now(), 0);
	shown += MS(10);
	ck_assert_int_le(yields_until(&n.over), 8);
	stop = true;
	IS(co_group_end(&g, 0), 0);
}

SCENARIO_WITH(C20_operations_always_ready_delay_a_timer_by_a_bound, injected())
{
	co_scope s = CO_SCOPE_INIT;
	co_group idle;
	int calls = 0;

	co_group_begin(&idle, CO_GROUP_FAIL_FAST);
	co_scope_begin(&s, MS(10));
	shown = MS(20);
	while (calls < 10000 && co_group_wait(&idle) == 0)
		calls++;
	ck_assert_int_le(calls, 64 * 65);
	IS(co_scope_end(&s, CANC), TMO);
	IS(co_group_end(&idle, 0), 0);
}

SCENARIO(C20_on_the_virtual_clock_every_snapshot_is_a_pass)
{
	struct nap n = { .dur = MS(10) };
	co_scope s = CO_SCOPE_INIT;
	struct lone f;

	lone_start(&f, nap, &n);
	settle();
	co_scope_begin(&s, MS(10));
	stall(MS(10));
	IS(co_yield_now(), CANC);
	IS(co_scope_end(&s, CANC), TMO);
	IS(co_yield_now(), 0);
	ck_assert(n.over);
	IS(lone_end(&f), 0);
	AT(10);
}

/*
 * How often the loop looks at descriptors, on its own clock: that one is staged here, and looks are
 * counted. Both are caught by defining them: the library's calls bind to the program's definitions.
 */
static bool staged;
static co_ns stage_time;
static atomic_int looks;

int clock_gettime(clockid_t id, struct timespec *ts)
{
	if (!staged)
		return (int)syscall(SYS_clock_gettime, id, ts);
	ts->tv_sec = (time_t)(stage_time / CO_SEC(1));
	ts->tv_nsec = (long)(stage_time % CO_SEC(1));
	return 0;
}

int epoll_wait(int epfd, struct epoll_event *events, int n, int timeout)
{
	atomic_fetch_add(&looks, 1);
	return (int)syscall(SYS_epoll_pwait, epfd, events, n, timeout, NULL, 8);
}

static int armings;

int timerfd_settime(int fd, int flags, const struct itimerspec *at, struct itimerspec *old)
{
	armings++;
	return (int)syscall(SYS_timerfd_settime, fd, flags, at, old);
}

/* In two passes and a bit. */
static int looks_after(co_ns time)
{
	int before = atomic_load(&looks);

	stage_time += time;
	for (int i = 0; i < 130; i++)
		IS(co_yield_now(), 0);
	return atomic_load(&looks) - before;
}

static void stage_the_clock(void)
{
	stage_time = co_now() + MS(1);
	staged = true;
}

SCENARIO_WITH(C20_descriptors_are_looked_at_every_50_us_of_running, real_clock())
{
	struct reading r = { .over = false };
	struct lone f;
	int ends[2];

	pair(ends);
	r.fd = ends[0];
	lone_start(&f, reading, &r);
	stage_the_clock();
	IS(looks_after(0), 1);
	for (int i = 0; i < 5; i++) {
		IS(looks_after(CO_US(50) - 1), 0);
		IS(looks_after(1), 1);
		IS(looks_after(CO_US(50)), 1);
	}
	put(ends[1], "x");
	IS(looks_after(CO_US(49)), 0);
	IS(looks_after(CO_US(1)), 1);
	ck_assert(r.over);
	IS(looks_after(MS(1)), 0);	/* nobody waits for one any more */
	staged = false;
	IS(lone_end(&f), 0);
	close_both(ends);
}

static void *puts_once_the_loop_waits(void *fd)
{
	await(&looks, 1);
	put(*(int *)fd, "x");
	return NULL;
}

/* A wait is a look, and counts as one. */
SCENARIO_WITH(C20_a_wait_is_a_look, real_clock())
{
	struct reading r = { .over = false };
	pthread_t thread;
	struct lone f;
	char byte;
	int ends[2], idle[2];

	pair(ends);
	pair(idle);
	r.fd = idle[0];
	lone_start(&f, reading, &r);
	IS(co_yield_now(), 0);
	stage_the_clock();
	atomic_store(&looks, 0);
	thread = start(puts_once_the_loop_waits, &ends[1]);
	IS(co_read(ends[0], &byte, 1), 1);
	IS(co_yield_now(), 0);
	IS(atomic_load(&looks), 1);
	staged = false;
	finish(thread);
	put(idle[1], "x");
	IS(lone_end(&f), 0);
	close_both(ends);
	close_both(idle);
}

static int yields_1000_times(void *unused)
{
	for (int i = 0; i < 1000; i++)
		IS(co_yield_now(), 0);
	return unused != NULL;
}

static int sleeps_an_hour(void *unused)
{
	(void)unused;
	return co_sleep(CO_SEC(3600));
}

/* A guest looks once after its host has waited, and tells the kernel once of each timer. */
START_TEST(C20_what_a_guest_asks_of_the_kernel)
{
	co_loop *l;

	IS(co_loop_open(&l, real_clock()), 0);
	IS(co_loop_spawn(l, sleeps_an_hour, NULL), 0);
	while (co_loop_run_once(l) > 0)
		;
	armings = 0;
	for (int i = 0; i < 100; i++)
		IS(co_loop_run_once(l), 0);
	IS(armings, 0);
	IS(co_loop_spawn(l, yields_1000_times, NULL), 0);
	atomic_store(&looks, 0);
	while (co_loop_run_once(l) > 0)
		;
	IS(atomic_load(&looks), 1);
	ck_assert_int_le(armings, 2);	/* the spawn, and the timer again */
	IS(co_loop_close(l), 0);
}
END_TEST

enum { CROWD = 200 };

/* However many are ready when the wait is over: it does not wait for still more. */
SCENARIO_WITH(C20_a_wait_ends_with_what_there_is, real_clock())
{
	static struct reading r[CROWD];
	int ends[CROWD][2];

	for (int n = 63; n <= CROWD; n += n < 66 ? 1 : 62) {
		co_group g;

		memset(r, 0, sizeof(r));
		co_group_begin(&g, CO_GROUP_FAIL_FAST);
		for (int i = 0; i < n; i++) {
			pair(ends[i]);
			r[i].fd = ends[i][0];
			spawn(&g, reading, &r[i]);
		}
		stage_the_clock();
		looks_after(0);
		for (int i = 0; i < n; i++)
			put(ends[i][1], "x");
		IS(co_group_end(&g, 0), 0);
		staged = false;
		for (int i = 0; i < n; i++)
			close_both(ends[i]);
	}
}

static int yield_until_cancelled(void *unused)
{
	int rc = 0;

	(void)unused;
	while (rc == 0)
		rc = co_yield_now();
	return rc;
}

SCENARIO_WITH(C20_a_loop_of_yields_stops_at_its_timeout_REAL, real_clock())
{
	co_ns begun = co_now();

	IS(co_timeout(MS(2), yield_until_cancelled, NULL), TMO);
	ck_assert_int_ge(co_now() - begun, MS(2));
}

SUITE("contract: points and fairness",
	C18_a_yield_lets_all_others_run_first,
	C18_also_in_a_cancelled_scope,
	C18_a_cancel_during_the_yield_shows_at_once,
	C18_a_time_that_has_come_meanwhile,
	C18_a_yield_alone_returns,
	C19_64_points_that_did_not_block_force_a_pass,
	C19_one_pass_for_each_64,
	C19_a_point_that_blocks_ends_the_row,
	C19_a_yield_ends_the_row,
	C19_a_checkpoint_never_switches,
	C19_the_first_checkpoint_after_a_park_reads_the_clock,
	C19_every_64th_checkpoint_reads_the_clock,
	C19_other_checkpoints_do_not_read_it,
	C19_a_checkpoint_expires_own_scopes_only,
	C19_a_computing_loop_stops_at_its_timeout_REAL,
	C19_a_computing_loop_stops_after_a_stall,
	C19_a_storm_is_reported_once_with_the_name,
	C19_no_storm_before_ten_thousand,
	C19_a_success_ends_the_row,
	C20_no_other_call_expires_a_scope,
	C20_an_end_is_no_look,
	C20_the_clock_is_read_every_64_switches,
	C20_a_clock_that_stands_keeps_no_descriptor_waiting,
	C20_however_many_yield,
	C20_operations_always_ready_delay_a_timer_by_a_bound,
	C20_on_the_virtual_clock_every_snapshot_is_a_pass,
	C20_descriptors_are_looked_at_every_50_us_of_running,
	C20_a_wait_is_a_look,
	C20_what_a_guest_asks_of_the_kernel,
	C20_a_wait_ends_with_what_there_is,
	C20_a_loop_of_yields_stops_at_its_timeout_REAL,
	C19_heeded_cancels_are_no_storm,
	C19_a_storm_of_many_scopes,
	C19_a_second_storm_is_not_reported,
	C19_each_coroutine_has_a_storm_of_its_own,
	C19_the_65th_point_in_a_row_is_a_pass,
	C19_a_pass_though_nobody_else_is_ready,
	C19_a_coroutine_begins_with_no_row,
	C19_a_storm_counts_from_the_cut)
