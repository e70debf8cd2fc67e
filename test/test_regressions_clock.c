/*
 * Regressions T13, T14, T16, T17 and T19: waits that end early because they were rounded down or
 * counted from an old time, the wall clock, coarse clocks, waits cut to 32 bits.
 *
 * The calls by which the library learns the time and asks to be woken are caught by defining them
 * here: its calls bind to the program's definitions. A staged clock shows what the test says, to
 * the nanosecond; the timerfd is not set then, and only what is asked of it is noted. On the real
 * clock a test may only say that so much time has passed, never that no more has.
 */
#define _GNU_SOURCE /* pipe2 */
#include "ends.h"

#include <limits.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>

#define YEAR (365 * (time_t)86400)

static bool staged;			   /* the real clocks show `shown` */
static unsigned clocks_allowed = UINT_MAX; /* bit n: the clock of id n */
static atomic_uint clocks_read;		   /* the same; */
static unsigned clocks_waited_for;	   /* of timerfds */
static co_ns asked;			   /* the instant that the timerfd was told last */

static unsigned bit(clockid_t id)
{
	return 1u << id;
}

/* The wall clock goes forward a year and back again, time and again. */
static time_t wall_step(void)
{
	static atomic_int reads;

	return atomic_fetch_add(&reads, 1) % 2 == 0 ? YEAR : 0;
}

/* Ids that are no small number are clocks of processes. */
static void note_read(clockid_t id)
{
	unsigned clock = id >= 0 && id < 32 ? bit(id) : 0;

	atomic_fetch_or(&clocks_read, clock);
	if ((clocks_allowed & clock) == clock)
		return;
	clocks_allowed = UINT_MAX; /* Check reads some */
	ck_abort_msg("the clock of id %d is read", (int)id);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	long rc = syscall(SYS_clock_gettime, id, ts);

	note_read(id);
	if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE || id == CLOCK_TAI)
		ts->tv_sec += wall_step();
	else if (staged)
		*ts = (struct timespec){ shown / CO_SEC(1), shown % CO_SEC(1) };
	return (int)rc;
}

time_t time(time_t *out)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (out)
		*out = ts.tv_sec;
	return ts.tv_sec;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec ts;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &ts);
	*tv = (struct timeval){ ts.tv_sec, ts.tv_nsec / 1000 };
	return 0;
}

int timerfd_create(int clock, int flags)
{
	clocks_waited_for |= bit(clock);
	return (int)syscall(SYS_timerfd_create, clock, flags);
}

/* That of a staged clock sees no other times than `shown`, so that a relative one starts there. */
int timerfd_settime(int fd, int flags, const struct itimerspec *to, struct itimerspec *old)
{
	co_ns value = to->it_value.tv_sec * CO_SEC(1) + to->it_value.tv_nsec;

	if (to->it_value.tv_nsec < 0 || to->it_value.tv_nsec >= CO_SEC(1))
		ck_abort_msg("timerfd_settime: %ld ns", (long)to->it_value.tv_nsec);
	asked = value == 0 ? CO_FOREVER : flags & TFD_TIMER_ABSTIME ? value : shown + value;
	return staged ? 0 : (int)syscall(SYS_timerfd_settime, fd, flags, to, old);
}

/* A second opinion. */
static co_ns monotonic(void)
{
	struct timespec ts;

	if (syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts) != 0)
		ck_abort_msg("no clock");
	return ts.tv_sec * CO_SEC(1) + ts.tv_nsec;
}

static void busy_for(co_ns dur)
{
	co_ns from = monotonic();

	while (monotonic() - from < dur)
		continue;
}

/* ------------------------------------------------------------- one sleeper on a staged clock */

/* A coroutine that sleeps again as soon as it wakes. */
struct sleeper {
	co_loop *loop;
	co_ns dur; /* of the next nap */
	co_ns due, woke;
	int naps;
};

static int sleeps(void *arg)
{
	struct sleeper *s = arg;
	int rc;

	do {
		s->due = co_now() + s->dur;
		rc = co_sleep(s->dur);
		s->woke = co_now();
		s->naps++;
	} while (rc == 0);
	return 0;
}

static void goes_to_sleep(struct sleeper *s, const struct co_options *opt)
{
	IS(co_loop_open(&s->loop, opt), 0);
	IS(co_loop_spawn(s->loop, sleeps, s), 0);
	IS(co_loop_run_once(s->loop), 0);
}

/* The stage is struck too: Check reads the clock after each test. */
static void is_dismissed(struct sleeper *s)
{
	IS(co_loop_close(s->loop), 0);
	staged = false;
}

/* That long before it is due the sleeper sleeps, and the loop asks for a wait that ends when it is:
 * not before, and not so much later that anybody would mind. */
static void is_asleep(const struct sleeper *s, int naps)
{
	co_ns left = s->due - shown, timeout = co_loop_timeout(s->loop);

	if (s->naps != naps)
		ck_abort_msg("woken at %" PRId64 ", %" PRId64 " ns early", s->woke, left);
	if (timeout < left || timeout - left >= MS(1))
		ck_abort_msg("to wait: %" PRId64 ", co_loop_timeout: %" PRId64, left, timeout);
	if (asked < s->due || asked - s->due >= MS(1))
		ck_abort_msg("due: %" PRId64 ", timerfd: %" PRId64, s->due, asked);
}

/* The rest of a nap, which ends so much late; the next one takes `dur`. */
static void sleeps_out(struct sleeper *s, co_ns late, co_ns dur)
{
	int naps = s->naps;

	is_asleep(s, naps);
	shown = s->due - 1;
	if (co_loop_run_once(s->loop) != 0)
		ck_abort_msg("a nanosecond before there was something to do");
	is_asleep(s, naps);
	shown = s->due + late;
	s->dur = dur;
	if (co_loop_timeout(s->loop) != 0 || co_loop_run_once(s->loop) != 0 ||
	    s->naps != naps + 1 || s->woke != shown)
		ck_abort_msg("not woken at %" PRId64, shown);
}

/* --------------------------------------------------------------------------------- the tests */

static co_ns below(uint64_t *dice, co_ns end)
{
	return (co_ns)(suite_random(dice) % (uint64_t)end);
}

/* Each nap starts at a phase of its own of the millisecond. */
static void sleeps_from_any_phase(const struct co_options *opt)
{
	struct sleeper s = { .dur = 1 };
	uint64_t dice = suite_seed();

	staged = true;
	shown = below(&dice, CO_SEC(1000000));
	goes_to_sleep(&s, opt);
	for (int i = suite_long() ? 1000000 : 250000; i > 0; i--)
		sleeps_out(&s, below(&dice, MS(2)), 1 + below(&dice, i % 2 ? MS(20) : 2000));
	is_dismissed(&s);
}

START_TEST(T13_no_wait_is_rounded_down)
{
	sleeps_from_any_phase(real_clock());
}
END_TEST

START_TEST(T13_nor_on_an_injected_clock)
{
	sleeps_from_any_phase(injected());
}
END_TEST

/* REAL. Whom the descriptor wakes finds the sleeper due. Were waits rounded, nearly none would; the
 * few that may are for clocks that differ by a hair from one CPU to the next. */
START_TEST(T13_nor_in_the_kernel)
{
	struct sleeper s = { .dur = MS(1) };
	uint64_t dice = suite_seed();
	int early = 0;

	goes_to_sleep(&s, real_clock());
	for (int i = 1; i <= 300; i++) {
		co_ns due = s.due;

		s.dur = 1 + below(&dice, MS(2));
		block_until(co_loop_fd(s.loop), POLLIN);
		while (s.naps < i) {
			co_loop_run_once(s.loop);
			early += s.naps < i;
		}
		ck_assert_int_ge(s.woke, due);
	}
	ck_assert_int_lt(early, 150);
	is_dismissed(&s);
}
END_TEST

/* REAL. While nobody looks at the clock, 50 ms pass. */
static co_ns compute(void)
{
	busy_for(MS(50));
	ck_assert_int_ge(co_now() - co_loop_now(), MS(50));
	return co_now();
}

SCENARIO_WITH(T14_a_sleep_after_a_computation, real_clock())
{
	co_ns before = compute();

	IS(co_sleep(MS(10)), 0);
	ck_assert_int_ge(co_now() - before, MS(10));
}

SCENARIO_WITH(T14_a_deadline_after_a_computation, real_clock())
{
	co_scope born = CO_SCOPE_INIT, moved = CO_SCOPE_INIT;
	co_ns before = compute();

	co_scope_begin(&born, MS(10));
	IS(co_scope_end(&born, co_sleep(CO_FOREVER)), TMO);
	ck_assert_int_ge(co_now() - before, MS(10));
	co_scope_begin(&moved, CO_SEC(3600));
	before = compute();
	IS(co_scope_rearm(&moved, MS(10)), 0);
	IS(co_scope_end(&moved, co_sleep(CO_FOREVER)), TMO);
	ck_assert_int_ge(co_now() - before, MS(10));
}

/* What the host does between the passes counts. */
START_TEST(T14_a_guest_after_a_computation_of_the_host)
{
	struct sleeper s = { .dur = MS(100) };

	staged = true;
	shown = MS(7);
	goes_to_sleep(&s, real_clock());
	shown += MS(50);
	IS(co_loop_timeout(s.loop), MS(50));
	shown += MS(100);
	s.dur = MS(10);
	IS(co_loop_run_once(s.loop), 0);
	IS(s.naps, 1);
	IS(s.due, shown + MS(10));
	is_asleep(&s, 1);
	is_dismissed(&s);
}
END_TEST

/* ------------------------------------------------------------------------- which clock it is */

static int works_for_3_ms(void *unused)
{
	(void)unused;
	busy_for(MS(3));
	return 7;
}

/* Six things that take 3 ms each. */
static int spends_time(void *unused)
{
	co_scope s = CO_SCOPE_INIT;
	co_ticker t;
	char buf[1];
	int ends[2], result;

	(void)unused;
	pipe_pair(ends);
	IS(co_sleep(MS(3)), 0);
	IS(co_sleep_until(co_now() + MS(3)), 0);
	co_scope_begin(&s, MS(3));
	IS(co_scope_end(&s, co_sleep(CO_FOREVER)), TMO);
	IS(co_read_until(ends[0], buf, 1, co_now() + MS(3)), TMO);
	IS(co_ticker_init(&t, co_now() + MS(3), MS(3), CO_TICK_SKIP), 0);
	IS(co_ticker_wait(&t, NULL), 0);
	IS(co_work(works_for_3_ms, NULL, &result), 0);
	IS(result, 7);
	close_both(ends);
	return 0;
}

/* REAL */
START_TEST(T16_the_wall_clock_may_be_stepped)
{
	struct timespec ts[2];
	co_ns before;
	int code = -1;

	clocks_allowed &= ~(bit(CLOCK_REALTIME) | bit(CLOCK_REALTIME_COARSE) | bit(CLOCK_TAI));
	for (int i = 0; i < 5; i++) {
		before = monotonic();
		IS(co_run(spends_time, NULL, NULL, &code), 0);
		IS(code, 0);
		ck_assert_int_ge(monotonic() - before, MS(18));
	}
	clocks_allowed = UINT_MAX;
	clock_gettime(CLOCK_REALTIME, &ts[0]);
	clock_gettime(CLOCK_REALTIME, &ts[1]);
	ck_assert_int_gt(labs(ts[0].tv_sec - ts[1].tv_sec), YEAR / 2);
}
END_TEST

static void reads_only(unsigned clocks, unsigned waits_for, const struct co_options *opt)
{
	unsigned read;
	int code = -1;

	clocks_waited_for = 0;
	clocks_allowed = clocks;
	atomic_store(&clocks_read, 0);
	IS(co_run(spends_time, NULL, opt, &code), 0);
	read = atomic_load(&clocks_read);
	clocks_allowed = UINT_MAX;
	IS(code, 0);
	ck_assert_uint_eq(read, clocks);
	ck_assert_uint_eq(clocks_waited_for, waits_for);
}

static co_ns own_clock(void *unused)
{
	(void)unused;
	return monotonic();
}

/* REAL */
START_TEST(T17_no_other_clock_than_that_of_the_options)
{
	const unsigned mono = bit(CLOCK_MONOTONIC), boot = bit(CLOCK_BOOTTIME);
	struct co_options own = { .now = own_clock };

	reads_only(mono, mono, NULL);
	reads_only(mono, mono, real_clock());
	reads_only(boot, boot, boottime());
	reads_only(0, mono, &own);
	reads_only(0, mono, hearing());
	clocks_allowed = mono;
	ck_assert_int_gt(co_now(), 0);
	ck_assert_int_gt(co_loop_now(), 0);
	clocks_allowed = UINT_MAX;
}
END_TEST

/* ------------------------------------------------------------------------------- long waits */

#define MINUTES(n) CO_SEC(60 * (n))
#define DAYS(n) MINUTES(1440 * (n))

#define BIT(n) (INT64_C(1) << (n))

/* Beyond what an int holds of nanoseconds, microseconds, milliseconds and seconds, and beyond what
 * other libraries clamp to. In all less than 292 years. */
static const co_ns long_waits[] = {
	BIT(31) - 1,	    BIT(31),	     BIT(32) - 1,	 BIT(32),
	BIT(32) + 1,	    MINUTES(30) + 1, CO_US(BIT(31) - 1), CO_US(BIT(31)),
	CO_US(BIT(32) - 1), CO_US(BIT(32)),  DAYS(24) + 1,	 MS(BIT(31) - 1),
	MS(BIT(31)),	    MS(BIT(31)) + 1, DAYS(49) + 1,	 MS(BIT(32) - 1),
	MS(BIT(32)),	    MS(BIT(32)) + 1, DAYS(50),		 CO_SEC(BIT(31) - 1),
	CO_SEC(BIT(31)),    CO_SEC(BIT(32)),
};

static void sleeps_for_long(const struct co_options *opt)
{
	struct sleeper s = { .dur = 1 };

	staged = true;
	shown = CO_SEC(12345) + 678;
	goes_to_sleep(&s, opt);
	for (size_t i = 0; i < LENGTH(long_waits); i++)
		sleeps_out(&s, 0, long_waits[i]);
	sleeps_out(&s, 0, CO_FOREVER - 1 - s.due);
	is_asleep(&s, s.naps);
	is_dismissed(&s);
}

START_TEST(T19_long_waits_are_not_cut_short)
{
	sleeps_for_long(real_clock());
}
END_TEST

START_TEST(T19_nor_on_an_injected_clock)
{
	sleeps_for_long(injected());
}
END_TEST

/* REAL. And the kernel takes them as they are. */
START_TEST(T19_nor_in_the_kernel)
{
	for (size_t i = 5; i < LENGTH(long_waits); i++) { /* those of 30 minutes and more */
		struct sleeper s = { .dur = long_waits[i] };
		struct pollfd p = { .events = POLLIN };
		co_ns before = monotonic();

		goes_to_sleep(&s, real_clock());
		p.fd = co_loop_fd(s.loop);
		ck_assert_int_ge(asked, before + long_waits[i]);
		ck_assert_int_ge(s.due, before + long_waits[i]);
		IS(poll(&p, 1, 0), 0);
		IS(s.naps, 0);
		is_dismissed(&s);
	}
}
END_TEST

SUITE("regressions_clock", T13_no_wait_is_rounded_down, T13_nor_on_an_injected_clock,
      T13_nor_in_the_kernel, T14_a_sleep_after_a_computation, T14_a_deadline_after_a_computation,
      T14_a_guest_after_a_computation_of_the_host, T16_the_wall_clock_may_be_stepped,
      T17_no_other_clock_than_that_of_the_options, T19_long_waits_are_not_cut_short,
      T19_nor_on_an_injected_clock, T19_nor_in_the_kernel)
