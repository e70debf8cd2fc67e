/*
 * Conformance scenarios, group P: clocks. The real ones are read through the clock_gettime
 * below, which can put a clock forward as a suspended machine or a changed wall clock would;
 * the library finds it before libc's.
 */
#include "actor.h"

#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static time_t wall_jump, boot_jump; /* seconds added to these clocks */
static int waits_by = -1;	    /* the clock of the loop's timerfd */

int timerfd_create(int clock, int flags)
{
	waits_by = clock;
	return (int)syscall(SYS_timerfd_create, clock, flags);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	long rc = syscall(SYS_clock_gettime, id, ts);

	if (rc == 0 && id == CLOCK_REALTIME)
		ts->tv_sec += wall_jump;
	if (rc == 0 && id == CLOCK_BOOTTIME)
		ts->tv_sec += boot_jump;
	return (int)rc;
}

/* C38 */
SCENARIO(S227_no_jump_while_someone_is_runnable)
{
	struct actor sleeper = { .nap = 100 };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, actor, &sleeper);
	settle();
	AT(0);
	for (int i = 0; i < 100; i++)
		IS(co_yield_now(), 0);
	AT(0);
	IS(co_group_end(&g, 0), 0);
	AT(100);
}

/* api.h */
SCENARIO(S230_no_backward_jump)
{
	IS(co_sleep(MS(5)), 0);
	IS(co_test_advance(-1), -EINVAL);
	IS(co_test_stall(-1), -EINVAL);
	AT(5);
}

static int arms_another(void *unused)
{
	(void)unused;
	IS(co_sleep(MS(10)), 0);
	note((char)('0' + now_ms() / 5));
	IS(co_sleep(MS(5)), 0);
	note((char)('0' + now_ms() / 5));
	return 0;
}

static int notes_its_wake(void *ms)
{
	IS(co_sleep(MS((intptr_t)ms)), 0);
	note((char)('0' + now_ms() / 5));
	return 0;
}

/* C38: one wakes at 10 and arms 15; it is told in fives */
SCENARIO(S231_advance_runs_timers_in_order)
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, notes_its_wake, num(20));
	spawn(&g, arms_another, NULL);
	settle();
	advance(MS(30));
	ck_assert_str_eq(notes(), "234");
	AT(30);
	IS(co_group_end(&g, 0), 0);
}

/* C9, C11, C12 */
SCENARIO(S233_stall_is_one_late_batch)
{
	co_scope o = CO_SCOPE_INIT, i = CO_SCOPE_INIT;
	int rc;

	co_scope_begin(&o, MS(100));
	co_scope_begin(&i, MS(10));
	stall(MS(100));
	rc = co_sleep(MS(1000));
	IS(rc, CANC);
	rc = co_scope_end(&i, rc);
	IS(rc, CANC);
	IS(co_sleep(MS(10)), CANC);
	IS(co_scope_end(&o, rc), TMO);
	AT(100);
}

/* who woke, and when, of 100 coroutines that sleep 100 times each */
struct diary {
	int n;
	struct {
		int who;
		co_ns at;
	} wake[10000];
	uint64_t dice;
};

struct diarist {
	struct diary *diary;
	int who;
};

static int diarist(void *arg)
{
	struct diarist *d = arg;
	struct diary *diary = d->diary;

	for (int i = 0; i < 100; i++) {
		IS(co_sleep((co_ns)(suite_random(&diary->dice) % 50)), 0);
		diary->wake[diary->n].who = d->who;
		diary->wake[diary->n++].at = co_now();
	}
	return 0;
}

static int write_diary(void *diary)
{
	struct diarist d[100];
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 100; i++) {
		d[i] = (struct diarist){ diary, i };
		spawn(&g, diarist, &d[i]);
	}
	return co_group_end(&g, 0);
}

/* C38 */
START_TEST(S234_deterministic)
{
	static struct diary first, second;

	first.dice = second.dice = suite_seed();
	PLAY_WITH(write_diary, &first, NULL);
	PLAY_WITH(write_diary, &second, NULL);
	IS(first.n, 10000);
	IS(second.n, 10000);
	for (int i = 0; i < first.n; i++) {
		IS(first.wake[i].who, second.wake[i].who);
		IS(first.wake[i].at, second.wake[i].at);
	}
}
END_TEST

static int step_the_wall_clock(void *unused)
{
	static const time_t steps[] = { 3600, -3600, 0 };
	struct nap n = { .dur = MS(20) };
	co_ns from = co_now();
	co_group g;

	(void)unused;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, nap, &n);
	for (size_t i = 0; i < LENGTH(steps); i++) {
		IS(co_yield_now(), 0);
		wall_jump = steps[i];
		IS(co_sleep(MS(2)), 0);
		ck_assert(!n.over || n.at - from >= MS(20));
		ck_assert_int_lt(co_now() - from, CO_SEC(1800));
	}
	IS(co_group_end(&g, 0), 0);
	ck_assert_int_ge(n.at - from, MS(20));
	return 0;
}

/* C37, REAL */
START_TEST(S236_monotonic_by_default)
{
	int code = -1;

	IS(co_run(step_the_wall_clock, NULL, NULL, &code), 0);
	IS(code, 0);
}
END_TEST

static int notes_after_minutes(void *minutes)
{
	int rc = co_sleep(CO_SEC(60) * (intptr_t)minutes);

	if (rc == 0)
		note((char)('0' + (intptr_t)minutes / 10));
	return rc;
}

/* A suspend, and then enough switches that the loop must have seen the time (C20). */
static void suspend_for(int minutes)
{
	boot_jump += 60 * minutes;
	for (int i = 0; i < 200; i++)
		IS(co_yield_now(), 0);
}

/* four sleepers, a suspend of an hour */
static int suspend_for_an_hour(void *order)
{
	co_group g;

	co_group_begin(&g, CO_GROUP_COLLECT);
	spawn(&g, notes_after_minutes, num(30));
	spawn(&g, notes_after_minutes, num(10));
	spawn(&g, notes_after_minutes, num(70));
	spawn(&g, notes_after_minutes, num(20));
	IS(co_yield_now(), 0);
	suspend_for(60);
	ck_assert_str_eq(notes(), order);
	IS(co_group_cancel(&g, 0), 0);
	IS(co_group_end(&g, 0), 0);
	return 0;
}

/* C37, REAL: what fell due meanwhile comes in one late batch, in order */
START_TEST(S237_boottime_option)
{
	struct co_options opt = { .clock = CO_CLOCK_BOOTTIME };
	char order[] = "123", none[] = "";
	int code = -1;

	IS(co_run(suspend_for_an_hour, order, &opt, &code), 0);
	IS(code, 0);
	memset(notes(), 0, 4);
	opt.clock = CO_CLOCK_MONOTONIC;
	IS(co_run(suspend_for_an_hour, none, &opt, &code), 0);
	IS(code, 0);
}
END_TEST

/* A ticker of ten minutes, the first tick after five, and what came of it. */
struct beat {
	enum co_tick_mode mode;
	int ticks;
	uint64_t missed;
};

static int counts_ticks(void *arg)
{
	struct beat *b = arg;
	uint64_t missed;
	co_ticker t;
	int rc;

	IS(co_ticker_init(&t, co_now() + CO_SEC(300), CO_SEC(600), b->mode), 0);
	while ((rc = co_ticker_wait(&t, &missed)) == 0) {
		b->ticks++;
		b->missed += missed;
	}
	return rc;
}

/* A suspend of an hour, then one of seven minutes. The tickers that are late at 60 go on at 65 or,
 * with DELAY, at 70. If the clock does not count it, none ticks. */
static int suspend_tickers(void *counted)
{
	static const int after_60[] = { 1, 6, 1 }, after_67[] = { 2, 7, 1 }, missed[] = { 5, 0, 0 };
	struct beat beat[] = { { .mode = CO_TICK_SKIP },
			       { .mode = CO_TICK_BURST },
			       { .mode = CO_TICK_DELAY } };
	int once = counted != NULL;
	co_group g;

	co_group_begin(&g, CO_GROUP_COLLECT);
	for (size_t i = 0; i < LENGTH(beat); i++)
		spawn(&g, counts_ticks, &beat[i]);
	IS(co_yield_now(), 0);
	suspend_for(60);
	for (size_t i = 0; i < LENGTH(beat); i++)
		IS(beat[i].ticks, once * after_60[i]);
	suspend_for(7);
	for (size_t i = 0; i < LENGTH(beat); i++) {
		IS(beat[i].ticks, once * after_67[i]);
		ck_assert_uint_eq(beat[i].missed, (uint64_t)(once * missed[i]));
	}
	IS(co_group_cancel(&g, 0), 0);
	return co_group_end(&g, 0);
}

/* C36, C37, REAL */
START_TEST(S237_tickers_follow_their_mode)
{
	struct co_options opt = { .clock = CO_CLOCK_BOOTTIME };
	int code = -1;

	IS(co_run(suspend_tickers, num(1), &opt, &code), 0);
	IS(code, 0);
	opt.clock = CO_CLOCK_MONOTONIC;
	IS(co_run(suspend_tickers, NULL, &opt, &code), 0);
	IS(code, 0);
}
END_TEST

/* C37: and it waits by the clock that it reads, so that a suspend does not put off a timer */
START_TEST(S237_it_waits_by_that_clock)
{
	static const struct {
		enum co_clock clock;
		int waits_by;
	} of[] = {
		{ CO_CLOCK_MONOTONIC, CLOCK_MONOTONIC },
		{ CO_CLOCK_BOOTTIME, CLOCK_BOOTTIME },
	};

	for (size_t i = 0; i < LENGTH(of); i++) {
		struct co_options opt = { .clock = of[i].clock };

		IS(co_run(five, NULL, &opt, NULL), 0);
		IS(waits_by, of[i].waits_by);
	}
}
END_TEST

SUITE("scenarios-clock", S227_no_jump_while_someone_is_runnable, S230_no_backward_jump,
      S231_advance_runs_timers_in_order, S233_stall_is_one_late_batch, S234_deterministic,
      S236_monotonic_by_default, S237_boottime_option, S237_tickers_follow_their_mode,
      S237_it_waits_by_that_clock)
