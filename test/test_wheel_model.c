/* The wheel against its oracle: random operations, some ten million of them in the long form, with
 * the clock started at every 2^k and 2^k+-1. After each the twins agree on what is due, its order,
 * the count and the bound of wheel_next; the runs that follow wheel_next count the wakes.
 *
 * White-box in one thing: it includes wheel.c with WHEEL_FILED defined, which wheel.c calls each
 * time it puts a timer into a slot, so that no timer is moved more often than there are levels
 * (T12). test_wheel_model_small.c is this test again with the thresholds of wheel.c set low.
 */
#include "wheel_oracle.h"

static void model_filed(struct wheel_timer *t);

#define WHEEL_FILED(t) model_filed(t)
#include "../wheel/wheel.c"

#include "suite.h"

#define TOP UINT64_MAX
#define CROWD 6000 /* timers at once */
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static struct twin_timer timers[CROWD];
static struct oracle_timer truths[CROWD];
static struct twin_trace trace;
static struct twin tw;

static uint64_t chance; /* state of the random numbers */
static uint64_t steps;	/* operations so far in this test */
static uint64_t arms;	/* since the wheel's init */
static uint64_t filings; /* of all timers */
static bool filed_too_often;

static void model_filed(struct wheel_timer *t)
{
	struct twin_timer *timer = WHEEL_CONTAINER(t, struct twin_timer, timer);

	filings++;
	if (++timer->filed > WHEEL_LEVELS)
		filed_too_often = true;
}

/* --------------------------------------------------------------------------------- random draws */

static uint64_t below(uint64_t n)
{
	return suite_random(&chance) % n;
}

/* Up to `most` bits, each width as likely as the others. */
static uint64_t draw_bits(unsigned most)
{
	return suite_random(&chance) >> (63 - below(most));
}

static uint64_t sat_add(uint64_t a, uint64_t b)
{
	return a > TOP - b ? TOP : a + b;
}

static uint64_t sat_sub(uint64_t a, uint64_t b)
{
	return a < b ? 0 : a - b;
}

static size_t draw_timer(void)
{
	return below(tw.oracle.timers);
}

/* The start of the next slot of some level, or one tick beside it. */
static uint64_t draw_edge(void)
{
	uint64_t size = UINT64_C(1) << WHEEL_SLOT_BITS * below(WHEEL_LEVELS);
	uint64_t edge = sat_add(tw.oracle.now - tw.oracle.now % size, size);

	return sat_sub(sat_add(edge, below(2)), below(2));
}

/* A deadline; `span` is how many bits a usual delta has. */
static uint64_t draw_tick(unsigned span)
{
	uint64_t now = tw.oracle.now;

	switch (below(16)) {
	case 0:
		return now;
	case 1:
		return sat_add(now, below(4));
	case 2:
		return sat_add(now, below(200));
	case 3:
	case 4:
		return draw_edge();
	case 5:
	case 6:
		return truths[draw_timer()].expires;
	case 7:
		return sat_sub(sat_add(truths[draw_timer()].expires, below(3)), 1);
	case 8:
		return sat_sub(now, draw_bits(span));
	case 9:
		return draw_bits(64);
	case 10:
		return TOP - below(8);
	default:
		return sat_add(now, draw_bits(span));
	}
}

/* A time to advance to. Jumps far beyond the span are rare: what is left of time after them is
 * little. */
static uint64_t draw_now(unsigned span)
{
	uint64_t now = tw.oracle.now, to;

	switch (below(12)) {
	case 0:
		return now;
	case 1:
		return sat_sub(now, draw_bits(span));
	case 2:
		to = sat_sub(oracle_latest_wake(&tw.oracle), below(3));
		break;
	case 3:
		to = sat_add(oracle_latest_wake(&tw.oracle), below(3));
		break;
	case 4:
		to = draw_edge();
		break;
	case 5:
		to = truths[draw_timer()].expires;
		break;
	case 6:
		to = sat_add(now, draw_bits(64));
		break;
	case 7:
		to = sat_add(now, draw_bits(span));
		break;
	case 8:
		to = sat_add(now, below(100));
		break;
	default:
		to = twin_next(&tw);
		break;
	}
	if (to > sat_add(now, UINT64_C(16) << (span < 59 ? span : 59)) && below(32) != 0)
		to = sat_add(now, 1 + below(100));
	return to;
}

/* ----------------------------------------------------------------------------------- operations */

static void begin(uint64_t start, size_t n)
{
	trace.start = start;
	trace.steps = 0;
	arms = 0;
	filed_too_often = false;
	twin_init(&tw, start, n, timers, truths);
	tw.trace = &trace;
	tw.scribbles = below(2) == 0;
}

static void must_agree(void)
{
	if (filed_too_often)
		twin_must(&tw, false, "a timer was moved more often than there are levels");
	if (tw.wrong == NULL)
		return;
	twin_report(&tw, stdout);
	ck_abort_msg("%s; step %" PRIu64 ", WHORL_SEED=%" PRIu64, tw.wrong, steps, suite_seed());
}

static void arm(size_t i, uint64_t expires)
{
	arms++;
	steps++;
	twin_arm(&tw, i, expires);
}

static size_t pop(void)
{
	steps++;
	return twin_pop(&tw);
}

static void advance(uint64_t now)
{
	steps++;
	twin_advance(&tw, now);
}

/* Pops what is due; one in `again` is armed again, as a periodic timer or at random. */
static void drain(unsigned span, unsigned again)
{
	uint64_t period = draw_bits(span);
	size_t i;

	while (tw.wrong == NULL && (i = pop()) != ORACLE_NONE)
		if (again != 0 && below(again) == 0)
			arm(i, below(2) ? sat_add(truths[i].expires, period) : draw_tick(span));
}

/* Arms up to `most` timers: on one tick, in one slot, on a few neighbouring ticks, or anywhere. */
static void burst(unsigned span, size_t most)
{
	uint64_t base = sat_add(tw.oracle.now, draw_bits(span)), within = 1;
	size_t n = 1 + below(most);

	switch (below(4)) {
	case 0:
		break;
	case 1:
		within = UINT64_C(1) << WHEEL_SLOT_BITS * below(WHEEL_LEVELS);
		base -= base % within;
		break;
	case 2:
		within = 1 + below(8);
		break;
	case 3:
		while (n-- > 0)
			arm(draw_timer(), draw_tick(span));
		return;
	}
	while (n-- > 0)
		arm(draw_timer(), sat_add(base, below(within)));
}

/* What is drawn how often; the sum is the base. */
struct style {
	unsigned arm, slack, disarm, advance, pop, drain, burst, next;
};

static void step(const struct style *style, unsigned span)
{
	unsigned draw = (unsigned)below(style->arm + style->slack + style->disarm + style->advance +
					style->pop + style->drain + style->burst + style->next);
	size_t i;

	if (draw < style->arm) {
		arm(draw_timer(), draw_tick(span));
	} else if ((draw -= style->arm) < style->slack) {
		arms++;
		steps++;
		twin_arm_slack(&tw, draw_timer(), draw_tick(span),
			       below(4) ? draw_bits(span) : draw_bits(64));
	} else if ((draw -= style->slack) < style->disarm) {
		steps++;
		twin_disarm(&tw, draw_timer());
	} else if ((draw -= style->disarm) < style->advance) {
		advance(draw_now(span));
	} else if ((draw -= style->advance) < style->pop) {
		i = pop();
		if (i != ORACLE_NONE && below(3) == 0)
			arm(i, draw_tick(span));
	} else if ((draw -= style->pop) < style->drain) {
		drain(span, (unsigned)below(4));
	} else if ((draw -= style->drain) < style->burst) {
		burst(span, tw.oracle.timers);
	} else {
		steps++;
		twin_next(&tw);
	}
}

/* Wakes when wheel_next says so until the wheel is empty. */
static void follow_to_the_end(void)
{
	uint64_t wakes = 0;

	while (tw.count > 0 && tw.wrong == NULL) {
		uint64_t next = twin_next(&tw);

		steps++;
		advance(next > tw.oracle.now ? next : tw.oracle.now);
		drain(1, 0);
		twin_must(&tw, ++wakes <= 16 * arms, "more than 16 wakes for each arm");
	}
	must_agree();
	twin_must(&tw, twin_next(&tw) == WHEEL_NEVER, "wheel_next of the emptied wheel");
	twin_check(&tw);
	must_agree();
}

static void episode(const struct style *style, uint64_t start, size_t n, uint64_t length)
{
	static const unsigned spans[] = { 3, 7, 12, 13, 18, 24, 30, 36, 48, 60, 64 };
	unsigned span = spans[below(LENGTH(spans))];
	uint64_t check_every = 1 + below(40) + n / 4, end;

	begin(start, n);
	for (end = steps + length; steps < end;) {
		step(style, span);
		if (below(check_every) == 0)
			twin_check(&tw);
		must_agree();
	}
	twin_check(&tw);
	must_agree();
	if (below(2) == 0)
		follow_to_the_end();
}

/* 0, every 2^k and 2^k+-1, and the last ticks. */
static uint64_t start_number(unsigned i)
{
	if (i < 192)
		return (UINT64_C(1) << i / 3) + i % 3 - 1;
	return TOP - (i - 192) * 50;
}

#define STARTS 196

/* ---------------------------------------------------------------------------------------- tests */

/* clang-format off */
static const struct style mixed = {
	.arm = 30, .slack = 6, .disarm = 8, .advance = 16, .pop = 24,
	.drain = 4, .burst = 1, .next = 12,
};
/* Seldom popped: much is due, and disarmed and moved while it is. */
static const struct style lazy = {
	.arm = 30, .slack = 2, .disarm = 12, .advance = 20, .pop = 10, .burst = 1, .next = 4,
};
/* Kept almost empty by its pops. */
static const struct style busy = {
	.arm = 12, .slack = 2, .disarm = 4, .advance = 16, .pop = 4, .drain = 14, .next = 10,
};
static const struct style crowded = {
	.arm = 12, .slack = 1, .disarm = 6, .advance = 4, .pop = 60, .next = 4,
};
/* clang-format on */

START_TEST(model_of_random_operations_from_every_power_of_two)
{
	static const struct style *const styles[] = { &mixed, &lazy, &busy };
	uint64_t all = suite_long() ? 4000000 : 700000;

	chance = suite_seed();
	for (uint64_t run = 0; steps < all || run < STARTS; run++) {
		const struct style *style = styles[below(LENGTH(styles))];

		episode(style, start_number(run % STARTS), 1 + draw_bits(8), 200 + below(2000));
	}
}
END_TEST

/* The clock only goes where wheel_next says, and all timers that pop are armed again, until there
 * were `most` arms. Gives the number of wakes. */
static uint64_t follow(unsigned span, size_t n, unsigned moves, uint64_t most)
{
	uint64_t wakes = 0;
	size_t i;

	for (i = 0; i < n; i++)
		arm(i, sat_add(tw.oracle.now, draw_bits(span)));
	while (tw.count > 0 && tw.wrong == NULL) {
		uint64_t next = twin_next(&tw);

		steps++;
		advance(next > tw.oracle.now ? next : tw.oracle.now);
		twin_must(&tw, ++wakes <= 16 * arms, "more than 16 wakes for each arm");
		while ((i = pop()) != ORACLE_NONE)
			if (arms < most)
				arm(i, sat_add(tw.oracle.now, draw_bits(span)));
		for (unsigned m = 0; m < moves && arms < most; m++) {
			if (below(4) == 0)
				twin_disarm(&tw, draw_timer());
			arm(draw_timer(), sat_add(tw.oracle.now, draw_bits(span)));
		}
		if (below(64) == 0)
			twin_check(&tw);
	}
	must_agree();
	return wakes;
}

/* From every start, with spans and sizes at random; the average is that of each run by itself. */
START_TEST(model_of_wakes_that_follow_next)
{
	uint64_t rounds = suite_long() ? 10 : 2;

	chance = suite_seed() + 1;
	for (uint64_t run = 0; run < rounds * STARTS; run++) {
		unsigned span = 1 + (unsigned)below(56), moves = (unsigned)below(3);
		uint64_t wakes;

		begin(start_number(run % STARTS), 1 + draw_bits(9));
		wakes = follow(span, tw.oracle.timers, moves, 200 + 2 * tw.oracle.timers);
		if (wakes > 2 * arms)
			ck_abort_msg("%" PRIu64 " wakes for %" PRIu64 " arms, run %" PRIu64
				     ", span %u, %zu timers, %u moves, WHORL_SEED=%" PRIu64,
				     wakes, arms, run, span, tw.oracle.timers, moves, suite_seed());
	}
}
END_TEST

/* Thousands of timers on one tick, in one slot, or in a few; advances that end in the middle of
 * them; disarms, moves and new ones while they are due. */
START_TEST(model_of_crowds)
{
	uint64_t crowds = suite_long() ? 60 : 16;

	chance = suite_seed() + 2;
	for (uint64_t run = 0; run < crowds; run++) {
		unsigned span = 4 + (unsigned)below(30);
		size_t n = CROWD / 4 + below(CROWD * 3 / 4);

		begin(start_number((unsigned)below(STARTS)), n);
		for (unsigned wave = 0; wave < 3; wave++) {
			for (unsigned b = 0; b < 3; b++)
				burst(span, n);
			twin_check(&tw);
			for (unsigned s = 0; s < 1500 && tw.wrong == NULL; s++)
				step(&crowded, span);
			twin_check(&tw);
			must_agree();
		}
		advance(sat_add(tw.oracle.now, draw_bits(span)));
		drain(span, run % 2 ? 4 : 0);
		twin_check(&tw);
		must_agree();
		if (run % 4 == 0)
			follow_to_the_end();
	}
}
END_TEST

/* Each timer is put into at most one slot of each level on its way, however finely time passes. */
START_TEST(T12_a_timer_is_moved_at_most_once_a_level)
{
	static const uint64_t at[] = { 1, 63, 64, 65, 4096, 4097, 70000, 262143, 262144, 1 << 30 };

	chance = suite_seed();
	begin(5, LENGTH(at));
	tw.scribbles = false;
	for (size_t i = 0; i < LENGTH(at); i++)
		arm(i, 5 + at[i]);
	for (uint64_t now = 5; now < 400000; now++) {
		advance(now);
		twin_next(&tw);
		drain(1, 0);
		must_agree();
	}
	for (size_t i = 0; i < LENGTH(at); i++) {
		ck_assert_uint_ge(timers[i].filed, 1);
		ck_assert_uint_le(timers[i].filed, WHEEL_LEVELS);
	}
	ck_assert_uint_eq(tw.count, 1);
	follow_to_the_end();
}
END_TEST

/* Moving a timer files it once at most; looking at the wheel, or letting time pass, files none that
 * stays on its level. */
START_TEST(T12_a_move_files_a_timer_once)
{
	unsigned filed = 0;

	chance = suite_seed();
	begin(1000, 3);
	arm(0, UINT64_C(1) << 40);
	arm(1, UINT64_C(1) << 30);
	for (uint64_t k = 0; k < 10000; k++) {
		arm(2, 2000 + (below(2) ? k : k << 20));
		filed += timers[2].filed;
		twin_next(&tw);
		advance(1000 + k / 100);
		must_agree();
	}
	ck_assert_uint_le(filed, 10000);
	ck_assert_uint_eq(timers[0].filed, 1);
	ck_assert_uint_eq(timers[1].filed, 1);
	follow_to_the_end();
}
END_TEST

/* Slots with a quarter of the timers each, and 64 steps to pass through one: no step divides it at
 * once. (WHEEL_AHEAD is low enough to show it in the other form of this test.) */
START_TEST(no_step_of_many_does_the_work_of_all)
{
	enum { STEPS = 256 };
	uint64_t step = UINT64_C(1) << 4 * WHEEL_SLOT_BITS, most = 0;

	chance = suite_seed();
	begin(1, CROWD);
	tw.scribbles = false;
	for (size_t i = 0; i < CROWD; i++)
		arm(i, 2 + below(STEPS * step));
	for (uint64_t n = 1; n <= STEPS; n++) {
		uint64_t before = filings;

		advance(n * step);
		drain(1, 0);
		must_agree();
		if (most < filings - before)
			most = filings - before;
	}
	ck_assert_uint_le(most, WHEEL_AHEAD + WHEEL_STEP + 10 * CROWD / STEPS);
}
END_TEST

SUITE("wheel model", model_of_random_operations_from_every_power_of_two,
      model_of_wakes_that_follow_next, model_of_crowds, T12_a_timer_is_moved_at_most_once_a_level,
      T12_a_move_files_a_timer_once, no_step_of_many_does_the_work_of_all)
