/*
 * Tickers and rate limiters: every sentence of <whorl/pace.h>, the scenarios of group O, and the
 * limiter against a bucket that is filled by hand, one nanosecond after the other.
 */
#include "scenario.h"

#include <inttypes.h>
#include <whorl/pace.h>

#define SCOPED(dur, rc, expression)                                                                \
	do {                                                                                       \
		co_scope scope_ = CO_SCOPE_INIT;                                                   \
                                                                                                   \
		co_scope_begin(&scope_, (dur));                                                    \
		(rc) = (expression);                                                               \
		(rc) = co_scope_end(&scope_, (rc));                                                \
	} while (0)

/* ------------------------------------------------------------------------------- tickers */

static co_ticker ticker_of(int first_ms, int period_ms, enum co_tick_mode mode)
{
	co_ticker t;

	IS(co_ticker_init(&t, MS(first_ms), MS(period_ms), mode), 0);
	return t;
}

/* The next tick is taken at that time, and so many more with it. */
static void tick_at(co_ticker *t, int ms, uint64_t more)
{
	uint64_t missed = 99;

	IS(co_ticker_wait(t, &missed), 0);
	AT(ms);
	ck_assert_uint_eq(missed, more);
}

/* C36 */
START_TEST(what_is_no_ticker)
{
	co_ticker t = { .period_ = 0 };

	IS(co_ticker_init(NULL, 0, 1, CO_TICK_SKIP), -EINVAL);
	IS(co_ticker_init(&t, 0, 0, CO_TICK_SKIP), -EINVAL);
	IS(co_ticker_init(&t, 0, -1, CO_TICK_SKIP), -EINVAL);
	IS(co_ticker_init(&t, 0, INT64_MIN, CO_TICK_BURST), -EINVAL);
	IS(co_ticker_init(&t, 0, 1, (enum co_tick_mode)3), -EINVAL);
	IS(co_ticker_init(&t, 0, 1, (enum co_tick_mode)77), -EINVAL);
	IS(co_ticker_init(&t, 0, 1, CO_TICK_DELAY), 0);
	IS(co_ticker_wait(&t, NULL), -EPERM);
	co_ticker_reset_at(&t, 5);
	co_ticker_reset_at(NULL, 5);
}
END_TEST

SCENARIO(what_was_not_initialised_does_not_tick)
{
	co_ticker t;

	memset(&t, 0, sizeof(t));
	IS(co_ticker_wait(&t, NULL), -EINVAL);
	IS(co_ticker_wait(NULL, NULL), -EINVAL);
}

SCENARIO(on_time_the_modes_are_the_same)
{
	for (enum co_tick_mode mode = CO_TICK_SKIP; mode <= CO_TICK_DELAY; mode++) {
		int start = (int)(co_now() / MS(1));
		co_ticker t = ticker_of(start, 20, mode);

		for (int i = 0; i < 5; i++)
			tick_at(&t, start + 20 * i, 0);
	}
}

SCENARIO(a_tick_that_is_due_is_taken_without_waiting)
{
	co_ticker t = ticker_of(0, 10, CO_TICK_BURST);
	struct co_stats before, after;

	stall(MS(10));
	IS(co_stats(&before), 0);
	tick_at(&t, 10, 0);
	tick_at(&t, 10, 0); /* to the nanosecond */
	IS(co_stats(&after), 0);
	ck_assert_uint_eq(after.switches, before.switches);
}

/* C36: S218 */
SCENARIO(S218_burst)
{
	co_ticker t = ticker_of(300, 300, CO_TICK_BURST);

	tick_at(&t, 300, 0);
	stall(MS(650));
	tick_at(&t, 950, 0);
	tick_at(&t, 950, 0);
	tick_at(&t, 1200, 0);
}

/* C36: S219 */
SCENARIO(S219_delay)
{
	co_ticker t = ticker_of(300, 300, CO_TICK_DELAY);

	tick_at(&t, 300, 0);
	stall(MS(650));
	tick_at(&t, 950, 0);
	tick_at(&t, 1250, 0);
	tick_at(&t, 1550, 0);
}

/* C36 */
SCENARIO(skip_counts_what_was_missed)
{
	co_ticker t = ticker_of(300, 300, CO_TICK_SKIP);

	tick_at(&t, 300, 0);
	stall(MS(650));
	tick_at(&t, 950, 1); /* that of 600, and 900 with it */
	tick_at(&t, 1200, 0);
	stall(MS(350));
	tick_at(&t, 1550, 0); /* late, but none is missed */
	tick_at(&t, 1800, 0);
	stall(MS(600));
	tick_at(&t, 2400, 1); /* 2100, and 2400 to the tick */
	stall(MS(300) - 1);
	tick_at(&t, 2700, 0);
	IS(co_ticker_wait(&t, NULL), 0);
	AT(3000);
}

/* C9: the loop was late, and the coroutine waited */
SCENARIO(late_wakes_are_late_ticks)
{
	co_ticker t[3];
	uint64_t missed = 99;

	for (int mode = 0; mode < 3; mode++) {
		int start = (int)(co_now() / MS(1));
		struct nap n = { .dur = MS(5) };
		struct lone l;

		t[mode] = ticker_of(start + 10, 10, (enum co_tick_mode)mode);
		lone_start(&l, nap, &n);
		settle();
		stall(MS(35)); /* before the wait, which is late at once */
		IS(co_ticker_wait(&t[mode], &missed), 0);
		AT(start + 35);
		ck_assert_uint_eq(missed, mode == CO_TICK_SKIP ? 2 : 0);
		IS(lone_end(&l), 0);
		tick_at(&t[mode], start + (mode == 0 ? 40 : mode == 1 ? 35 : 45), 0);
	}
}

struct waiting {
	co_ticker *t;
	int times; /* to wait */
	int rc, next;
	uint64_t missed;
	co_ns at[8]; /* when the ticks came */
	int ticks;
	struct lone lone;
};

static int waiting(void *arg)
{
	struct waiting *w = arg;

	w->rc = 0;
	while (w->ticks < w->times && w->rc == 0) {
		w->rc = co_ticker_wait(w->t, &w->missed);
		if (w->rc == 0)
			w->at[w->ticks++] = co_now();
	}
	w->next = co_yield_now();
	return 0;
}

static void start(struct waiting *w)
{
	lone_start(&w->lone, waiting, w);
	settle();
}

static int stall_at_10(void *unused)
{
	(void)unused;
	IS(co_sleep_until(MS(10)), 0);
	stall(MS(25));
	return 0;
}

/* C8: the tick is taken when the loop looks, even if its coroutine is then held up by another. */
SCENARIO(a_tick_is_taken_when_the_loop_looks)
{
	co_ticker t[3] = { ticker_of(10, 10, CO_TICK_SKIP), ticker_of(10, 10, CO_TICK_BURST),
			   ticker_of(10, 10, CO_TICK_DELAY) };
	const co_ns third[3] = { MS(40), MS(35), MS(45) };
	struct waiting w[3] = { { .t = NULL } };
	struct lone l;

	lone_start(&l, stall_at_10, NULL);
	settle();
	for (int i = 0; i < 3; i++) {
		w[i].t = &t[i];
		w[i].times = 3;
		start(&w[i]);
	}
	for (int i = 3; i-- > 0;) {
		IS(lone_end(&w[i].lone), 0);
		IS(w[i].at[0], MS(35));
		IS(w[i].at[1], MS(35));
		IS(w[i].at[2], third[i]);
	}
	IS(lone_end(&l), 0);
}

/* C36: S221 */
SCENARIO(S221_cancelled_wait_consumes_no_tick)
{
	for (int mode = 0; mode < 3; mode++) {
		int start = (int)(co_now() / MS(1)), rc;
		co_ticker t = ticker_of(start + 300, 300, (enum co_tick_mode)mode);
		uint64_t missed = 99;

		SCOPED(MS(100), rc, co_ticker_wait(&t, &missed));
		IS(rc, TMO);
		AT(start + 100);
		ck_assert_uint_eq(missed, 99);
		tick_at(&t, start + 300, 0);
	}
}

/* C7, S92 */
SCENARIO(S92_in_a_cancelled_scope_no_tick_is_taken)
{
	co_ticker t = ticker_of(0, 10, CO_TICK_BURST);
	co_scope s = CO_SCOPE_INIT;

	begin_cancelled(&s, 0);
	IS(co_ticker_wait(&t, NULL), CANC);
	IS(co_scope_end(&s, CANC), 0);
	tick_at(&t, 0, 0);
	tick_at(&t, 10, 0);
}

/* C36: S222, what tokio calls reset, reset_immediately, reset_after and reset_at */
SCENARIO(S222_reset)
{
	const int next[4] = { 700, 400, 420, 440 };

	for (int i = 0; i < 4; i++) {
		int start = (int)(co_now() / MS(1));
		co_ticker t = ticker_of(start, 300, CO_TICK_SKIP);

		tick_at(&t, start, 0);
		tick_at(&t, start + 300, 0);
		IS(co_sleep(MS(100)), 0);
		co_ticker_reset_at(&t, MS(start + next[i]));
		tick_at(&t, start + next[i], 0);
		tick_at(&t, start + next[i] + 300, 0);
	}
}

SCENARIO(a_reset_drops_what_is_due)
{
	co_ticker t = ticker_of(10, 10, CO_TICK_BURST);

	stall(MS(50));
	co_ticker_reset_at(&t, MS(100));
	tick_at(&t, 100, 0);
	tick_at(&t, 110, 0);
}

/* Sooner, later, and into the past, while two wait. */
SCENARIO(a_reset_moves_those_who_wait)
{
	const int to[3] = { 50, 200, 0 }, comes[3] = { 50, 200, 20 };

	for (int i = 0; i < 3; i++) {
		co_ns start_ns = co_now();
		co_ticker t = ticker_of((int)(start_ns / MS(1)) + 100, 1000, CO_TICK_DELAY);
		struct waiting a = { .t = &t, .times = 1 }, b = { .t = &t, .times = 1 };

		start(&a);
		start(&b);
		IS(co_sleep(MS(20)), 0);
		co_ticker_reset_at(&t, start_ns + MS(to[i]));
		IS(lone_end(&b.lone), 0);
		IS(lone_end(&a.lone), 0);
		IS(a.at[0], start_ns + MS(comes[i]));
		IS(b.at[0], start_ns + MS(comes[i] + 1000));
	}
}

struct reset {
	co_ticker *t;
	co_ns at, to;
};

static int reset_then(void *arg)
{
	struct reset *r = arg;

	IS(co_sleep_until(r->at), 0);
	co_ticker_reset_at(r->t, r->to);
	return 0;
}

/* C8: the timer has fired and the coroutine has not run: it has the tick, the reset comes after. */
SCENARIO(a_reset_between_tick_and_wake)
{
	co_ticker t = ticker_of(10, 10, CO_TICK_SKIP);
	struct reset r = { .t = &t, .at = MS(10), .to = MS(45) };
	struct waiting w = { .t = &t, .times = 3 };
	struct lone l;

	lone_start(&l, reset_then, &r);
	settle();
	start(&w);
	IS(lone_end(&w.lone), 0);
	IS(w.at[0], MS(10));
	IS(w.at[1], MS(45));
	IS(w.at[2], MS(55));
	IS(lone_end(&l), 0);
}

/* C36: S224 */
SCENARIO(S224_huge_period)
{
	co_ticker t;
	struct waiting w = { .t = &t, .times = 2 };

	IS(co_ticker_init(&t, co_now(), CO_FOREVER, CO_TICK_SKIP), 0);
	start(&w);
	IS(w.ticks, 1);
	advance(CO_SEC(1000000000));
	IS(w.ticks, 1);
	IS(co_cancel(w.lone.ref, 0), 0);
	IS(lone_end(&w.lone), 0);
	IS(w.rc, CANC);
	co_ticker_reset_at(&t, co_now() + MS(10));
	IS(co_ticker_wait(&t, NULL), 0);
}

/* Sums saturate, and no number of ticks missed is too large. */
SCENARIO(extremes)
{
	for (int mode = 0; mode < 3; mode++) {
		uint64_t missed = 99;
		co_ticker t;

		IS(co_ticker_init(&t, INT64_MIN, 1, (enum co_tick_mode)mode), 0);
		IS(co_ticker_wait(&t, &missed), 0);
		ck_assert_uint_eq(missed, mode ? 0 : UINT64_C(1) << 63);
		IS(co_ticker_init(&t, INT64_MIN, CO_FOREVER, (enum co_tick_mode)mode), 0);
		IS(co_ticker_wait(&t, &missed), 0);
		ck_assert_uint_eq(missed, mode ? 0 : 1);
		IS(co_ticker_init(&t, CO_FOREVER - 1, 1, (enum co_tick_mode)mode), 0);
		co_ticker_reset_at(&t, 0);
		IS(co_ticker_wait(&t, NULL), 0);
	}
	AT(0);
}

/* C36: S225 */
SCENARIO(S225_no_drift)
{
	co_ticker t = ticker_of(7, 7, CO_TICK_SKIP);

	for (int i = 1; i <= 1000; i++) {
		tick_at(&t, 7 * i, 0);
		IS(co_sleep(MS(3)), 0);
	}
	IS(co_now(), MS(7003));
}

/* C8, C9: like a sleep, it comes before the deadline of a scope at the same instant */
SCENARIO(a_tick_due_with_its_scope)
{
	co_ticker t = ticker_of(10, 10, CO_TICK_SKIP);
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	tick_at(&t, 10, 0);
	ck_assert(co_scope_cancelled(&s));
	IS(co_ticker_wait(&t, NULL), CANC);
	IS(co_scope_end(&s, CANC), TMO);
	tick_at(&t, 20, 0);
}

static int cancel_at_10(void *arg)
{
	IS(co_sleep_until(MS(10)), 0);
	return co_cancel(*(co_ref *)arg, 0);
}

/* C8 */
SCENARIO(a_tick_come_then_cancelled)
{
	co_ticker t = ticker_of(10, 10, CO_TICK_SKIP);
	struct waiting w = { .t = &t, .times = 1 };
	struct lone l;

	lone_start(&l, cancel_at_10, &w.lone.ref);
	settle();
	start(&w);
	IS(lone_end(&w.lone), 0);
	IS(w.rc, 0);
	IS(w.next, CANC);
	IS(lone_end(&l), 0);
	tick_at(&t, 20, 0);
}

SCENARIO(each_tick_goes_to_one)
{
	co_ticker t = ticker_of(10, 10, CO_TICK_SKIP);
	struct waiting w[3] = { { .t = &t, .times = 2 } };

	for (int i = 0; i < 3; i++) {
		w[i] = w[0];
		start(&w[i]);
	}
	for (int i = 3; i-- > 0;)
		IS(lone_end(&w[i].lone), 0);
	AT(60);
	for (int i = 0; i < 3; i++) {
		IS(w[i].at[0], MS(10 * (i + 1)));
		IS(w[i].at[1], MS(10 * (i + 4)));
	}
}

static int wait_at_10(void *arg)
{
	struct waiting *w = arg;

	IS(co_sleep_until(MS(10)), 0);
	ck_assert_int_eq(w->ticks, 0);
	return waiting(w);
}

/* C8: a tick that one who waits was woken for is not to be had by another, which runs before it. */
SCENARIO(nobody_takes_the_tick_of_one_who_waits)
{
	co_ticker t = ticker_of(10, 10, CO_TICK_SKIP);
	struct waiting first = { .t = &t, .times = 1 }, late = first;

	lone_start(&late.lone, wait_at_10, &late);
	settle();
	start(&first);
	IS(lone_end(&first.lone), 0);
	IS(lone_end(&late.lone), 0);
	IS(first.at[0], MS(10));
	IS(late.at[0], MS(20));
}

SCENARIO(who_leaves_the_line_lets_up)
{
	co_ticker t = ticker_of(10, 10, CO_TICK_SKIP);
	struct waiting w[3] = { { .t = &t, .times = 1 } };

	for (int i = 0; i < 3; i++) {
		w[i] = w[0];
		start(&w[i]);
	}
	IS(co_cancel(w[0].lone.ref, 0), 0);
	IS(co_cancel(w[1].lone.ref, 0), 0);
	for (int i = 3; i-- > 0;)
		IS(lone_end(&w[i].lone), 0);
	IS(w[0].rc, CANC);
	IS(w[1].rc, CANC);
	IS(w[2].at[0], MS(10));
}

/* The line counts, even if the loop has not looked yet. */
SCENARIO(a_tick_that_is_due_is_not_for_the_last_to_come)
{
	co_ticker t = ticker_of(10, 10, CO_TICK_BURST);
	struct waiting w = { .t = &t, .times = 1 };

	start(&w);
	stall(MS(15));
	tick_at(&t, 20, 0);
	IS(lone_end(&w.lone), 0);
	IS(w.at[0], MS(15));
}

SCENARIO(who_waited_hears_what_was_missed)
{
	co_ticker t = ticker_of(10, 10, CO_TICK_SKIP);
	struct waiting w = { .t = &t, .times = 1, .missed = 99 };

	start(&w);
	stall(MS(38));
	IS(lone_end(&w.lone), 0);
	IS(w.at[0], MS(38));
	ck_assert_uint_eq(w.missed, 2);
	tick_at(&t, 40, 0);
}

/* C9: in a late batch each tick finds its own, in order with all else. */
SCENARIO(a_late_burst_serves_the_line)
{
	co_ticker t = ticker_of(10, 10, CO_TICK_BURST);
	struct waiting w[4] = { { .t = &t, .times = 1 } };
	int rc;

	for (int i = 0; i < 4; i++) {
		w[i] = w[0];
		start(&w[i]);
	}
	stall(MS(38));
	SCOPED(MS(1), rc, co_ticker_wait(&t, NULL));
	IS(rc, TMO);
	AT(39);
	for (int i = 0; i < 3; i++)
		IS(w[i].at[0], MS(38));
	IS(w[3].ticks, 0);
	for (int i = 4; i-- > 0;)
		IS(lone_end(&w[i].lone), 0);
	AT(40);
}

/* ------------------------------------------------------------------------------ limiters */

static co_limiter limiter_of(uint64_t n, co_ns per, uint64_t burst)
{
	co_limiter l;

	IS(co_limiter_init(&l, n, per, burst), 0);
	return l;
}

START_TEST(what_is_no_limiter)
{
	co_limiter l;

	IS(co_limiter_init(NULL, 1, 1, 1), -EINVAL);
	IS(co_limiter_init(&l, 0, 1, 1), -EINVAL);
	IS(co_limiter_init(&l, 1, 0, 1), -EINVAL);
	IS(co_limiter_init(&l, 1, -1, 1), -EINVAL);
	IS(co_limiter_init(&l, 1, 1, 0), -EINVAL);
	IS(co_limiter_init(&l, 1, 1, 2), 0);
	IS(co_limiter_wait(&l, 1), -EPERM);
	IS(co_limiter_try(&l, 1), -EPERM);
}
END_TEST

SCENARIO(numbers_of_tokens_that_cannot_be)
{
	co_limiter l = limiter_of(1, MS(1), 3);

	IS(co_limiter_wait(NULL, 1), -EINVAL);
	IS(co_limiter_try(NULL, 1), -EINVAL);
	IS(co_limiter_wait(&l, 0), -EINVAL);
	IS(co_limiter_try(&l, 0), -EINVAL);
	IS(co_limiter_wait(&l, 4), -EINVAL);
	IS(co_limiter_try(&l, 4), -EINVAL);
	IS(co_limiter_wait(&l, 3), 0);
	memset(&l, 0, sizeof(l));
	IS(co_limiter_wait(&l, 1), -EINVAL);
	IS(co_limiter_try(&l, 1), -EINVAL);
	AT(0);
}

SCENARIO(a_burst_and_then_the_rate)
{
	co_limiter l = limiter_of(1, MS(100), 3);

	for (int i = 0; i < 3; i++)
		IS(co_limiter_wait(&l, 1), 0);
	AT(0);
	IS(co_limiter_try(&l, 1), -EAGAIN);
	for (int i = 1; i <= 5; i++) {
		IS(co_limiter_wait(&l, 1), 0);
		AT(100 * i);
	}
	IS(co_limiter_wait(&l, 3), 0);
	AT(800);
}

SCENARIO(what_does_not_fit_is_lost)
{
	co_limiter l = limiter_of(1, MS(100), 3);

	IS(co_limiter_wait(&l, 3), 0);
	IS(co_sleep(CO_SEC(1000)), 0);
	for (int i = 0; i < 3; i++)
		IS(co_limiter_try(&l, 1), 0);
	IS(co_limiter_try(&l, 1), -EAGAIN);
	IS(co_sleep(MS(100) - 1), 0);
	IS(co_limiter_try(&l, 1), -EAGAIN);
	IS(co_sleep(1), 0);
	IS(co_limiter_try(&l, 1), 0);
	IS(co_limiter_try(&l, 1), -EAGAIN);
}

/* 3 tokens each 10 ns: the k-th comes at k * 10 / 3, rounded up. */
SCENARIO(fractions_do_not_drift)
{
	const struct {
		uint64_t n;
		co_ns per;
	} rates[] = { { 3, 10 }, { 1000003, CO_SEC(1) }, { 1, 7 }, { 6, 6 }, { 999, 1000 } };

	for (size_t i = 0; i < LENGTH(rates); i++) {
		co_limiter l = limiter_of(rates[i].n, rates[i].per, 1);
		uint64_t n = rates[i].n, per = (uint64_t)rates[i].per;
		co_ns start_ns = co_now();

		IS(co_limiter_wait(&l, 1), 0);
		for (uint64_t k = 1; k <= 5000; k++) {
			co_ns want = start_ns + (co_ns)((k * per + n - 1) / n);

			IS(co_limiter_wait(&l, 1), 0);
			if (co_now() != want)
				ck_abort_msg("token %" PRIu64 " came at %" PRId64 ", not %" PRId64,
					     k, co_now(), want);
		}
	}
}

SCENARIO(numbers_without_end)
{
	co_limiter l = limiter_of(UINT64_MAX, CO_FOREVER, UINT64_MAX);
	int rc;

	IS(co_limiter_wait(&l, UINT64_MAX), 0);
	IS(co_limiter_try(&l, 1), -EAGAIN);
	IS(co_limiter_wait(&l, 1), 0); /* two a nanosecond, less half a token in all */
	IS(co_now(), 1);
	IS(co_limiter_try(&l, UINT64_MAX), -EAGAIN);
	SCOPED(CO_SEC(1000000000), rc, co_limiter_wait(&l, UINT64_MAX));
	IS(rc, TMO);
	l = limiter_of(1, CO_FOREVER, UINT64_MAX);
	IS(co_limiter_wait(&l, UINT64_MAX), 0);
	SCOPED(CO_SEC(1000000000), rc, co_limiter_wait(&l, 1));
	IS(rc, TMO);
	IS(co_limiter_try(&l, 1), -EAGAIN);
	l = limiter_of(UINT64_MAX, 1, 1);
	IS(co_limiter_wait(&l, 1), 0);
	IS(co_limiter_try(&l, 1), -EAGAIN);
	rc = (int)(co_now() % 1000);
	IS(co_limiter_wait(&l, 1), 0);
	IS((int)(co_now() % 1000), rc + 1);
}

struct taker {
	co_limiter *l;
	uint64_t n;
	co_ns within; /* in a scope, if not 0 */
	char letter;  /* noted when it has its tokens */
	bool over;
	int rc, next;
	co_ns at;
	struct lone lone;
};

static int taker(void *arg)
{
	struct taker *t = arg;
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, t->within ? t->within : CO_FOREVER);
	t->rc = co_limiter_wait(t->l, t->n);
	t->at = co_now();
	t->over = true;
	if (t->letter)
		note(t->letter);
	t->next = co_yield_now();
	co_ignore(co_scope_end(&s, t->rc));
	return 0;
}

static void take(struct taker *t)
{
	lone_start(&t->lone, taker, t);
	settle();
}

static void taken(struct taker *t, int rc, int ms)
{
	IS(lone_end(&t->lone), 0);
	IS(t->rc, rc);
	IS(t->at, MS(ms));
}

SCENARIO(first_come_first_served)
{
	co_limiter l = limiter_of(1, MS(10), 5);
	struct taker a = { .l = &l, .n = 5 }, b = { .l = &l, .n = 1 }, c = { .l = &l, .n = 2 };

	IS(co_limiter_wait(&l, 3), 0);
	take(&a);
	take(&b);
	take(&c);
	IS(co_limiter_try(&l, 1), -EAGAIN); /* two are there, and somebody waits */
	taken(&c, 0, 60);
	taken(&b, 0, 40);
	taken(&a, 0, 30);
}

SCENARIO(who_leaves_takes_nothing_and_lets_up)
{
	co_limiter l = limiter_of(1, MS(10), 5);
	struct taker a = { .l = &l, .n = 5 }, b = { .l = &l, .n = 1 }, c = { .l = &l, .n = 1 },
		     d = { .l = &l, .n = 4 };

	IS(co_limiter_wait(&l, 4), 0);
	take(&a);
	take(&b);
	take(&c);
	take(&d);
	IS(co_sleep(MS(5)), 0);
	IS(co_cancel(a.lone.ref, 0), 0);
	settle();
	ck_assert(b.over); /* its token was there all the time */
	IS(co_cancel(c.lone.ref, 0), 0);
	taken(&d, 0, 40);
	taken(&c, CANC, 5);
	taken(&b, 0, 5);
	taken(&a, CANC, 5);
	IS(co_limiter_wait(&l, 1), 0);
	AT(50);
}

/* The first's deadline comes; the others are not sent to sleep for ever. */
SCENARIO(who_times_out_lets_up)
{
	co_limiter l = limiter_of(1, MS(10), 5);
	struct taker a = { .l = &l, .n = 5, .within = MS(15) }, b = { .l = &l, .n = 1 },
		     c = { .l = &l, .n = 3 };

	IS(co_limiter_wait(&l, 5), 0);
	take(&a);
	take(&b);
	take(&c);
	taken(&c, 0, 40);
	taken(&b, 0, 15);
	taken(&a, CANC, 15);
}

SCENARIO(all_cancelled_in_one_go)
{
	co_limiter l = limiter_of(1, MS(10), 1);
	struct taker t[4];
	co_group g;

	IS(co_limiter_wait(&l, 1), 0);
	co_group_begin(&g, CO_GROUP_COLLECT);
	for (int i = 0; i < 4; i++) {
		t[i] = (struct taker){ .l = &l, .n = 1 };
		spawn(&g, taker, &t[i]);
	}
	settle();
	IS(co_group_cancel(&g, 0), 0);
	IS(co_group_end(&g, 0), 0);
	for (int i = 0; i < 4; i++)
		IS(t[i].rc, CANC);
	AT(0);
	IS(co_limiter_wait(&l, 1), 0);
	AT(10);
}

/* C7, S92 */
SCENARIO(S92_in_a_cancelled_scope_no_token_is_taken)
{
	co_limiter l = limiter_of(1, MS(10), 1);
	co_scope s = CO_SCOPE_INIT;

	begin_cancelled(&s, 0);
	IS(co_limiter_wait(&l, 1), CANC);
	IS(co_limiter_try(&l, 1), 0); /* S93: no cancellation point */
	IS(co_limiter_try(&l, 1), -EAGAIN);
	IS(co_scope_end(&s, CANC), 0);
}

/* C8, C9 */
SCENARIO(tokens_come_then_cancelled)
{
	co_limiter l = limiter_of(1, MS(10), 1);
	struct taker a = { .l = &l, .n = 1 }, b = { .l = &l, .n = 1, .within = MS(20) };
	struct lone c;

	IS(co_limiter_wait(&l, 1), 0);
	lone_start(&c, cancel_at_10, &a.lone.ref);
	settle();
	take(&a);
	take(&b);
	taken(&b, 0, 20); /* due with its scope */
	IS(b.next, CANC);
	taken(&a, 0, 10);
	IS(a.next, CANC);
	IS(lone_end(&c), 0);
	IS(co_limiter_try(&l, 1), -EAGAIN);
}

static int noted_nap(void *arg)
{
	intptr_t ms = (intptr_t)arg;

	IS(co_sleep_until(MS(ms)), 0);
	note((char)('0' + ms / 10));
	return 0;
}

/* C9: a loop that was late wakes those in line at the instants at which their tokens were there, in
 * order with all else: after the first the second, before what comes later. No token is lost. */
SCENARIO(a_late_loop_keeps_order_and_rate)
{
	co_limiter l = limiter_of(1, MS(10), 1);
	struct taker a = { .l = &l, .n = 1, .letter = 'a' },
		     b = { .l = &l, .n = 1, .letter = 'b', .within = MS(25) },
		     c = { .l = &l, .n = 1, .letter = 'c', .within = MS(29) },
		     d = { .l = &l, .n = 1, .letter = 'd' }, e = { .l = &l, .n = 1, .letter = 'e' };
	co_group g;

	IS(co_limiter_wait(&l, 1), 0);
	co_group_begin(&g, CO_GROUP_COLLECT);
	for (intptr_t ms = 35; ms > 0; ms -= 10)
		spawn(&g, noted_nap, num(ms));
	take(&a);
	take(&b);
	take(&c);
	take(&d);
	take(&e);
	stall(MS(38));
	IS(co_yield_now(), 0);
	IS(co_yield_now(), 0);
	ck_assert_str_eq(notes(), "0a1b2cd3");
	taken(&e, 0, 40);
	taken(&d, 0, 38);
	taken(&c, CANC, 38);
	taken(&b, 0, 38);
	taken(&a, 0, 38);
	IS(co_group_end(&g, 0), 0);
	AT(40);
}

static int storm_in_ticker(void *arg)
{
	for (int i = 0; i < 10000; i++)
		IS(co_ticker_wait(arg, NULL), CANC);
	return reported(CO_REPORT_STORM);
}

static int storm_in_limiter(void *arg)
{
	for (int i = 0; i < 10000; i++)
		IS(co_limiter_wait(arg, 1), CANC);
	return reported(CO_REPORT_STORM);
}

/* C19: the -ECANCELED that ended a wait is one of the 10 000. */
SCENARIO_WITH(a_cancel_storm_counts_from_the_first, hearing())
{
	co_limiter l = limiter_of(1, MS(10), 1);
	co_ticker t = ticker_of(10, 10, CO_TICK_SKIP);
	struct lone a, b;

	IS(co_limiter_wait(&l, 1), 0);
	lone_start(&a, storm_in_ticker, &t);
	settle();
	IS(co_cancel(a.ref, 0), 0);
	IS(lone_end(&a), 1);
	lone_start(&b, storm_in_limiter, &l);
	settle();
	IS(co_cancel(b.ref, 0), 0);
	IS(lone_end(&b), 2);
}

static int in_hook[3];
static co_limiter hook_limiter;

static void hook_uses_it(enum co_misuse kind, const char *text, const void *site, void *ctx)
{
	hear_misuse(kind, text, site, ctx);
	if (misuses()->count > 1)
		return;
	in_hook[0] = co_limiter_try(&hook_limiter, 1);
	in_hook[1] = co_limiter_try(&hook_limiter, 1);
	in_hook[2] = co_limiter_wait(&hook_limiter, 1);
}

static struct co_options *hook_options(void)
{
	struct co_options *opt = hearing();

	opt->on_misuse = hook_uses_it;
	return opt;
}

/* C24 */
SCENARIO_WITH(in_a_callback_only_trying, hook_options())
{
	co_scope s = CO_SCOPE_INIT;

	hook_limiter = limiter_of(1, MS(10), 1);
	IS(co_scope_end(&s, 0), -EINVAL);
	IS(in_hook[0], 0);
	IS(in_hook[1], -EAGAIN);
	IS(in_hook[2], -EPERM);
	IS(misuses()->count, 2);
	IS(misuses()->kind[1], CO_MISUSE_CALLBACK);
}

static co_limiter shared_limiter;
static co_ticker shared_ticker;

static int wait_for_tokens(void *unused)
{
	(void)unused;
	return co_limiter_wait(&shared_limiter, 1);
}

static int wait_for_tick(void *unused)
{
	(void)unused;
	return co_ticker_wait(&shared_ticker, NULL);
}

static int use_both(void *unused)
{
	(void)unused;
	IS(co_limiter_wait(&shared_limiter, 1), -EXDEV);
	IS(co_limiter_try(&shared_limiter, 1), -EXDEV);
	IS(co_ticker_wait(&shared_ticker, NULL), -EXDEV);
	co_ticker_reset_at(&shared_ticker, 0);
	return 0;
}

static int use_both_again(void *unused)
{
	(void)unused;
	IS(co_limiter_try(&shared_limiter, 1), -EAGAIN); /* nobody got a token */
	co_ticker_reset_at(&shared_ticker, 0);
	return co_ticker_wait(&shared_ticker, NULL);
}

/* C39: misuse LOOP while another runtime's coroutines wait; afterwards anybody may */
START_TEST(another_runtime_waits)
{
	struct co_options opt = *hearing();
	int code = -1;
	co_loop *other;

	shared_limiter = limiter_of(1, CO_SEC(100), 1);
	shared_ticker = ticker_of(100000, 1, CO_TICK_SKIP);
	opt.clock = CO_CLOCK_MONOTONIC;
	IS(co_loop_open(&other, &opt), 0);
	opt.clock = CO_CLOCK_VIRTUAL;
	for (int i = 0; i < 2; i++)
		IS(co_loop_spawn(other, wait_for_tokens, NULL), 0);
	IS(co_loop_spawn(other, wait_for_tick, NULL), 0);
	shared_ticker.next_ = CO_FOREVER;
	while (co_loop_run_once(other) > 0)
		;
	IS(co_run(use_both, NULL, &opt, &code), 0);
	IS(code, 0);
	IS(misuses()->count, 4);
	for (int i = 0; i < 4; i++)
		IS(misuses()->kind[i], CO_MISUSE_LOOP);
	IS(co_loop_close(other), 0);
	IS(co_run(use_both_again, NULL, &opt, &code), 0);
	IS(code, 0);
	IS(misuses()->count, 4);
}
END_TEST

/* -------------------------------------------------------------------------------- a model
 *
 * A bucket whose level is counted in parts of a token, such that n parts flow in each nanosecond,
 * and a line. Time is stepped nanosecond by nanosecond: first the line is served, then those whose
 * deadline it is leave. Deadlines differ from one another, so that there is one order. */

enum { ACTORS = 6 };

static struct {
	co_limiter l;
	int64_t n, per, burst;
	int64_t level; /* parts; a token has `per` of them */
	co_ns now;
	int line[ACTORS], count;
	struct {
		int64_t want;
		co_ns until;
		bool waits;
		int rc; /* foretold, once it does not wait */
		co_ns at;
	} actors[ACTORS];
	uint64_t random;
	int step, last_step, waits, timeouts;
} m;

static int below(int64_t n)
{
	return (int)(suite_random(&m.random) % (uint64_t)n);
}

static void foretell(int at, int rc)
{
	int who = m.line[at];

	m.actors[who].waits = false;
	m.actors[who].rc = rc;
	m.actors[who].at = m.now;
	memmove(&m.line[at], &m.line[at + 1], (size_t)(--m.count - at) * sizeof(m.line[0]));
}

static void serve(void)
{
	while (m.count > 0 && m.level >= m.actors[m.line[0]].want * m.per) {
		m.level -= m.actors[m.line[0]].want * m.per;
		foretell(0, 0);
	}
	if (m.count == 0 && m.level > m.burst * m.per)
		m.level = m.burst * m.per;
}

static void step_to(co_ns now)
{
	while (m.now < now) {
		m.now++;
		m.level += m.n;
		serve();
		for (int i = 0; i < m.count; i++)
			if (m.actors[m.line[i]].until == m.now) {
				foretell(i, CANC);
				serve();
				break;
			}
	}
}

static void compare(const char *what, int64_t got, int64_t want)
{
	if (got != want)
		ck_abort_msg("step %d at %" PRId64 ": %s is %" PRId64 ", not %" PRId64, m.step,
			     co_now(), what, got, want);
}

static void model_wait(int who)
{
	co_ns until = co_now() + 1 + below(60);
	co_scope s = CO_SCOPE_INIT;
	int rc;

	until += ACTORS - until % ACTORS + who;
	step_to(co_now());
	m.actors[who].want = 1 + below(m.burst);
	m.actors[who].until = until;
	m.actors[who].waits = true;
	m.line[m.count++] = who;
	serve();
	m.waits += m.actors[who].waits;
	co_scope_begin_at(&s, until, 0);
	rc = co_limiter_wait(&m.l, (uint64_t)m.actors[who].want);
	step_to(co_now());
	compare("still waiting", m.actors[who].waits, false);
	compare("the result", rc, m.actors[who].rc);
	compare("the time", co_now(), m.actors[who].at);
	m.timeouts += rc < 0;
	co_ignore(co_scope_end(&s, rc));
}

static void model_try(void)
{
	int64_t want = 1 + below(m.burst);
	bool can;

	step_to(co_now());
	can = m.count == 0 && m.level >= want * m.per;
	if (can)
		m.level -= want * m.per;
	compare("try", co_limiter_try(&m.l, (uint64_t)want), can ? 0 : -EAGAIN);
}

static int model_actor(void *arg)
{
	int who = (int)(intptr_t)arg;

	for (; m.step < m.last_step; m.step++) {
		int what = below(10);

		if (what < 5)
			model_wait(who);
		else if (what < 7)
			model_try();
		else
			IS(co_sleep(below(30)), 0);
	}
	return 0;
}

static int play_model(void *seed)
{
	co_group g;

	memset(&m, 0, sizeof(m));
	m.random = *(uint64_t *)seed;
	m.n = 1 + below(12);
	m.per = 1 + below(30);
	m.burst = 1 + below(6);
	m.level = m.burst * m.per;
	m.last_step = 200;
	m.l = limiter_of((uint64_t)m.n, m.per, (uint64_t)m.burst);
	co_group_begin(&g, CO_GROUP_COLLECT);
	for (int i = 0; i < ACTORS; i++)
		spawn(&g, model_actor, num(i));
	return co_group_end(&g, 0);
}

START_TEST(a_bucket_filled_by_hand)
{
	uint64_t seed = suite_seed(), one;
	int rounds = suite_long() ? 15000 : 500, waits = 0, timeouts = 0;

	for (int i = 0; i < rounds; i++) {
		one = suite_random(&seed);
		PLAY_WITH(play_model, &one, NULL);
		waits += m.waits;
		timeouts += m.timeouts;
	}
	ck_assert_int_gt(timeouts, 0);
	ck_assert_int_gt(waits, timeouts);
}
END_TEST

SUITE("pace", what_is_no_ticker, what_was_not_initialised_does_not_tick,
      on_time_the_modes_are_the_same, a_tick_that_is_due_is_taken_without_waiting, S218_burst,
      S219_delay, skip_counts_what_was_missed, late_wakes_are_late_ticks,
      a_tick_is_taken_when_the_loop_looks, S221_cancelled_wait_consumes_no_tick,
      S92_in_a_cancelled_scope_no_tick_is_taken, S222_reset, a_reset_drops_what_is_due,
      a_reset_moves_those_who_wait, a_reset_between_tick_and_wake, S224_huge_period, extremes,
      S225_no_drift, a_tick_due_with_its_scope, a_tick_come_then_cancelled, each_tick_goes_to_one,
      nobody_takes_the_tick_of_one_who_waits, who_leaves_the_line_lets_up,
      a_tick_that_is_due_is_not_for_the_last_to_come, who_waited_hears_what_was_missed,
      a_late_burst_serves_the_line, what_is_no_limiter, numbers_of_tokens_that_cannot_be,
      a_burst_and_then_the_rate, what_does_not_fit_is_lost, fractions_do_not_drift,
      numbers_without_end, first_come_first_served, who_leaves_takes_nothing_and_lets_up,
      who_times_out_lets_up, all_cancelled_in_one_go, S92_in_a_cancelled_scope_no_token_is_taken,
      tokens_come_then_cancelled, a_late_loop_keeps_order_and_rate,
      a_cancel_storm_counts_from_the_first, in_a_callback_only_trying, another_runtime_waits,
      a_bucket_filled_by_hand)
