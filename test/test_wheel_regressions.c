/* Bugs that other timer queues had, each under its id, T1-T11 and T21-T29. T12, which counts how
 * often a timer is moved inside the wheel, is in test_wheel_model.c.
 */
#include "wheel_tests.h"

/* ---------------------------------------------------------------------- arithmetic and geometry */

/* One timer at `expires` in an otherwise empty wheel: not popped one tick before, popped at its
 * tick, and wheel_next leads there. */
static void alone(struct wheel *w, uint64_t start, uint64_t expires)
{
	struct wheel_timer t = { 0 };
	unsigned wakes = 0;
	uint64_t next;

	wheel_init(w, start);
	wheel_arm(w, &t, expires);
	for (; (next = wheel_next(w)) < expires && wakes < 16; wakes++)
		MUST(pop_all(w, next, NULL) == 0);
	MUST(next == expires);
	MUST(wakes < 16);

	wheel_init(w, start);
	wheel_timer_init(&t);
	wheel_arm(w, &t, expires);
	if (expires > start)
		MUST(pop_all(w, expires - 1, NULL) == 0);
	MUST(pop_all(w, expires, NULL) == 1);
	MUST(wheel_count(w) == 0);
}

static void far_timer(struct wheel *w, uint64_t start)
{
	struct wheel_timer far = { 0 }, near = { 0 }, *t;
	uint64_t jumps[] = { 0, 1, 63, 64, 65, 4095, 4096, 4097, UINT64_C(1) << 40 };

	wheel_init(w, start);
	wheel_arm(w, &far, TOP);
	for (size_t j = 0; j < LENGTH(jumps); j++) {
		uint64_t at = sat_add(wheel_now(w), jumps[j]);

		if (at == TOP)
			break;
		wheel_arm(w, &near, at);
		MUST(wheel_next(w) <= at);
		MUST(pop_all(w, at, &t) == 1 && t == &near);
		MUST(wheel_armed(&far));
		must_be_sound(w);
	}
	MUST(pop_all(w, TOP, &t) == 1 && t == &far);
}

START_TEST(T1_a_far_timer_never_stalls_the_wheel)
{
	static struct wheel w;

	each_start(&w, far_timer);
}
END_TEST

static void largest_delta(struct wheel *w, uint64_t start)
{
	struct wheel_timer t = { 0 };

	wheel_init(w, start);
	wheel_arm(w, &t, TOP);
	wheel_advance(w, start);
	MUST(start == TOP || wheel_pop(w) == NULL);
	if (start < TOP) {
		MUST(pop_all(w, TOP - 1, NULL) == 0);
		MUST(pop_all(w, TOP, NULL) == 1);
	}
}

START_TEST(T2_the_largest_delta_does_not_fire_at_once)
{
	static struct wheel w;

	each_start(&w, largest_delta);
}
END_TEST

static void past_expiry(struct wheel *w, uint64_t start)
{
	struct wheel_timer past = { 0 }, soon = { 0 }, *t;
	uint64_t back[] = { 1, 2, 63, 64, 65, 4096, start / 2, start };
	uint64_t soon_at = sat_add(start, 100);

	for (size_t b = 0; b < LENGTH(back); b++) {
		if (back[b] > start || soon_at == TOP)
			continue;
		wheel_init(w, start);
		wheel_arm(w, &past, start - back[b]);
		MUST(wheel_now(w) == start);
		wheel_arm(w, &soon, soon_at);
		MUST(wheel_next(w) <= start);
		must_be_sound(w);
		MUST(pop_all(w, start, &t) == 1 && t == &past);
		MUST(wheel_now(w) == start);
		MUST(pop_all(w, soon_at - 1, NULL) == 0);
		MUST(pop_all(w, soon_at, &t) == 1 && t == &soon);
	}
}

START_TEST(T3_a_past_expiry_does_not_rewind_the_clock)
{
	static struct wheel w;

	each_start(&w, past_expiry);
}
END_TEST

static void every_power(struct wheel *w, uint64_t start)
{
	for (int k = 0; k < 64; k++)
		for (int off = -1; off <= 1; off++) {
			uint64_t delta = (UINT64_C(1) << k) + (uint64_t)(int64_t)off;

			if (delta <= TOP - start)
				alone(w, start, start + delta);
		}
	alone(w, start, TOP);
}

START_TEST(T4_no_delta_is_beyond_the_capacity)
{
	static struct wheel w;

	each_start(&w, every_power);
}
END_TEST

START_TEST(T5_deadlines_at_the_end_of_time)
{
	uint64_t starts[] = { 0, 1, TOP / 2, TOP - 100, TOP - 8, TOP - 7, TOP - 3, TOP - 1, TOP };
	static struct wheel w;
	struct wheel_timer t[8], *popped;

	for (size_t s = 0; s < LENGTH(starts); s++) {
		wheel_init(&w, starts[s]);
		for (unsigned k = 0; k < 8; k++) {
			wheel_timer_init(&t[k]);
			wheel_arm(&w, &t[k], TOP - k);
			MUST(wheel_expires(&t[k]) == TOP - k);
		}
		must_be_sound(&w);
		for (unsigned k = 8; k-- > 0;) {
			uint64_t at = TOP - k;

			if (at < starts[s])
				continue;
			if (at > starts[s]) {
				MUST(wheel_next(&w) <= at);
				MUST(pop_all(&w, at, &popped) == 1 && popped == &t[k]);
			} else {
				MUST(pop_all(&w, at, &popped) == 8 - k && popped == &t[k]);
			}
			must_be_sound(&w);
		}
		MUST(wheel_count(&w) == 0);
	}
}
END_TEST

START_TEST(T5_slack_saturates)
{
	static struct wheel w;
	struct wheel_timer t = { 0 };

	wheel_init(&w, 1000);
	for (uint64_t k = 0; k < 8; k++)
		for (uint64_t s = 0; s < 16; s++) {
			wheel_arm_slack(&w, &t, TOP - k, s < 8 ? s : TOP - (s - 8));
			MUST(wheel_expires(&t) >= TOP - k);
			must_be_sound(&w);
		}
	wheel_arm_slack(&w, &t, 2000, TOP);
	MUST(wheel_expires(&t) >= 2000);
	MUST(pop_all(&w, TOP, NULL) == 1);
}
END_TEST

static void rearm_at_now(struct wheel *w, uint64_t start)
{
	struct wheel_timer t = { 0 };

	wheel_init(w, start);
	wheel_arm(w, &t, start);
	for (int i = 0; i < 3; i++) {
		MUST(wheel_pop(w) == NULL);
		MUST(wheel_next(w) <= start);
		wheel_advance(w, start);
		MUST(wheel_pop(w) == &t);
		wheel_arm(w, &t, wheel_now(w));
		must_be_sound(w);
	}
}

START_TEST(T6_rearm_exactly_at_now)
{
	static struct wheel w;

	each_start(&w, rearm_at_now);
}
END_TEST

START_TEST(T7_every_delta_at_every_phase_of_a_slot)
{
	uint64_t base = UINT64_C(5) << 18;
	static struct wheel w;
	struct wheel_timer t = { 0 };

	for (uint64_t phase = 0; phase < 64; phase++)
		for (uint64_t delta = 0; delta <= 4096; delta++) {
			uint64_t start = base + phase, expires = start + delta;

			wheel_init(&w, start);
			wheel_arm(&w, &t, expires);
			MUST(wheel_next(&w) <= expires);
			if (delta > 0)
				MUST(pop_all(&w, expires - 1, NULL) == 0);
			MUST(pop_all(&w, expires, NULL) == 1);
		}
}
END_TEST

START_TEST(T7_every_delta_at_once_tick_by_tick)
{
	static struct wheel_timer t[4097];
	static struct wheel w;
	struct wheel_timer *popped;

	for (uint64_t phase = 0; phase < 64; phase++) {
		uint64_t start = 3 * 4096 + phase;

		wheel_init(&w, start);
		for (uint64_t i = LENGTH(t); i-- > 0;)
			wheel_arm(&w, &t[i], start + i);
		must_be_sound(&w);
		for (uint64_t i = 0; i < LENGTH(t); i++) {
			MUST(wheel_next(&w) <= start + i);
			MUST(pop_all(&w, start + i, &popped) == 1 && popped == &t[i]);
		}
		MUST(wheel_count(&w) == 0);
		must_be_sound(&w);
	}
}
END_TEST

static void huge_jump(struct wheel *w, uint64_t start)
{
	struct wheel_timer t[40], *popped;
	uint64_t to = sat_add(start, UINT64_C(1) << 50);
	unsigned fired = 0;

	if (to == TOP)
		return;
	wheel_init(w, start);
	for (unsigned i = 0; i < LENGTH(t); i++) {
		wheel_timer_init(&t[i]);
		wheel_arm(w, &t[i], start + (UINT64_C(1) << i));
	}
	for (unsigned pass = 1; pass <= 3; pass++) {
		wheel_advance(w, to);
		while ((popped = wheel_pop(w)) != NULL) {
			fired++;
			MUST(fired <= pass * LENGTH(t));
			wheel_arm(w, popped, wheel_expires(popped) + 1);
		}
		MUST(fired == pass * LENGTH(t));
		must_be_sound(w);
	}
	for (unsigned i = 0; i < LENGTH(t); i++)
		MUST(wheel_expires(&t[i]) == start + (UINT64_C(1) << i) + 3);
}

START_TEST(T8_rearm_while_popping_after_a_huge_jump)
{
	static struct wheel w;

	each_start(&w, huge_jump);
}
END_TEST

/* The coarse one is armed from afar, so it lies on a high level; the fine one from near by. */
static void coarse_then_fine(struct wheel *w, uint64_t start, unsigned coarse, unsigned fine)
{
	uint64_t near = UINT64_C(1) << fine, far = UINT64_C(1) << coarse;
	struct wheel_timer early = { 0 }, late = { 0 }, *t;
	uint64_t early_at = sat_add(start, far);

	if (early_at > TOP - 2 * near || near > far)
		return;
	wheel_init(w, start);
	wheel_arm(w, &early, early_at);
	wheel_advance(w, early_at - near);
	wheel_arm(w, &late, early_at + 1);
	MUST(wheel_next(w) <= early_at);
	MUST(follow(w) <= 32);
	MUST(wheel_now(w) == early_at);
	MUST(wheel_pop(w) == &early);
	MUST(wheel_pop(w) == NULL);
	MUST(pop_all(w, early_at + 1, &t) == 1 && t == &late);
}

static void fine_hides_coarse(struct wheel *w, uint64_t start)
{
	for (unsigned coarse = 0; coarse < 64; coarse += 2)
		for (unsigned fine = 0; fine <= coarse; fine++)
			coarse_then_fine(w, start, coarse, fine);
}

START_TEST(T9_a_fine_timer_does_not_hide_an_earlier_coarse_one)
{
	static struct wheel w;

	each_start(&w, fine_hides_coarse);
}
END_TEST

START_TEST(T9_next_is_the_least_of_one_timer_on_each_level)
{
	uint64_t start = UINT64_C(77777777);
	struct wheel_timer t[60], *popped;
	static struct wheel w;

	wheel_init(&w, start);
	for (unsigned k = LENGTH(t); k-- > 0;) {
		wheel_timer_init(&t[k]);
		wheel_arm(&w, &t[k], start + (UINT64_C(1) << k));
		ck_assert_uint_le(wheel_next(&w), start + (UINT64_C(1) << k));
	}
	for (unsigned k = 0; k < LENGTH(t); k++) {
		uint64_t expires = start + (UINT64_C(1) << k);

		MUST(wheel_next(&w) <= expires);
		MUST(follow(&w) <= 16);
		MUST(wheel_now(&w) == expires);
		MUST((popped = wheel_pop(&w)) == &t[k]);
		MUST(wheel_pop(&w) == NULL);
		must_be_sound(&w);
	}
	ck_assert_uint_eq(wheel_next(&w), WHEEL_NEVER);
}
END_TEST

/* The clock stands in the last slots of a level and of all below it, the timers lie in its first
 * ones, one turn on. */
START_TEST(T10_slots_are_found_across_the_end_of_a_level)
{
	struct wheel_timer t[12], *popped;
	static struct wheel w;

	for (unsigned bits = 6; bits < 62; bits++)
		for (uint64_t before = 1; before <= 3; before++) {
			uint64_t edge = UINT64_C(1) << bits, start = edge - before;

			wheel_init(&w, start);
			for (unsigned i = LENGTH(t); i-- > 0;) {
				wheel_timer_init(&t[i]);
				wheel_arm(&w, &t[i],
					  edge + ((UINT64_C(1) << (bits * i / LENGTH(t))) - 1));
			}
			must_be_sound(&w);
			for (unsigned i = 0; i < LENGTH(t); i++) {
				MUST(wheel_next(&w) <= wheel_expires(&t[i]));
				follow(&w);
				MUST(wheel_now(&w) == wheel_expires(&t[i]));
				MUST((popped = wheel_pop(&w)) != NULL);
				MUST(wheel_expires(popped) == wheel_expires(&t[i]));
			}
			MUST(wheel_count(&w) == 0);
		}
}
END_TEST

START_TEST(T11_irregular_polling_fires_all_that_is_due)
{
	static struct wheel_timer t[500];
	static struct wheel w;
	uint64_t random = suite_seed(), now = 12345, due;

	wheel_init(&w, now);
	for (unsigned i = 0; i < LENGTH(t); i++)
		wheel_arm(&w, &t[i], now + suite_random(&random) % 100000);
	while (wheel_count(&w) > 0) {
		now += suite_random(&random) >> (47 + suite_random(&random) % 17);
		due = 0;
		for (unsigned i = 0; i < LENGTH(t); i++)
			due += wheel_armed(&t[i]) && wheel_expires(&t[i]) <= now;
		MUST(pop_all(&w, now, NULL) == due);
		must_be_sound(&w);
	}
	for (unsigned i = 0; i < LENGTH(t); i++)
		MUST(!wheel_armed(&t[i]));
}
END_TEST

/* --------------------------------------------------------------------- re-entrancy and lifetime */

START_TEST(T21_a_zero_timer_does_not_starve_the_others)
{
	struct wheel_timer zero = { 0 }, other = { 0 }, *t;
	unsigned others = 0, zeros = 0;
	static struct wheel w;

	wheel_init(&w, 50);
	wheel_arm(&w, &zero, 50);
	wheel_arm(&w, &other, 50);
	for (unsigned pass = 0; pass < 10; pass++) {
		wheel_advance(&w, 50);
		while ((t = wheel_pop(&w)) != NULL) {
			zeros += t == &zero;
			others += t == &other;
			ck_assert_uint_le(zeros, pass + 1);
			wheel_arm(&w, t, t == &zero ? 0 : wheel_now(&w));
		}
	}
	ck_assert_uint_eq(zeros, 10);
	ck_assert_uint_eq(others, 10);
}
END_TEST

enum deed { STOP, START, FREE, DEEDS };
enum victim { SELF, DUE_BEFORE, DUE_AFTER, PENDING, VICTIMS };

static void do_deed(struct wheel *w, enum deed deed, struct wheel_timer **t)
{
	switch (deed) {
	case STOP:
		wheel_disarm(w, *t);
		MUST(!wheel_armed(*t));
		break;
	case START:
		wheel_arm(w, *t, wheel_now(w) + 10);
		break;
	case FREE:
		wheel_disarm(w, *t);
		free(*t);
		*t = NULL;
		break;
	case DEEDS:
		break;
	}
}

/* Five timers are due on one tick and one is pending; while the third fires, something is done to
 * one of them, twice. */
static void while_firing(enum deed first, enum deed second, enum victim whose)
{
	static const unsigned index[VICTIMS] = { 2, 0, 3, 5 };
	struct wheel_timer *t[6], *popped;
	unsigned v = index[whose], fired[LENGTH(t)] = { 0 };
	static struct wheel w;

	wheel_init(&w, 100);
	for (unsigned i = 0; i < LENGTH(t); i++) {
		t[i] = calloc(1, sizeof(*t[i]));
		MUST(t[i] != NULL);
		wheel_arm(&w, t[i], i < 5 ? 200 : 205);
	}
	wheel_advance(&w, 200);
	while ((popped = wheel_pop(&w)) != NULL) {
		unsigned i = 0;

		while (t[i] != popped)
			MUST(++i < LENGTH(t));
		fired[i]++;
		if (i != 2)
			continue;
		do_deed(&w, first, &t[v]);
		if (t[v] != NULL)
			do_deed(&w, second, &t[v]);
		must_be_sound(&w);
	}
	for (unsigned i = 0; i < 5; i++)
		MUST(fired[i] == !(i == v && whose == DUE_AFTER));
	MUST(pop_all(&w, 205, NULL) == (whose == PENDING ? 0 : 1));
	MUST(pop_all(&w, 210, NULL) == (t[v] != NULL && second == START ? 1 : 0));
	MUST(wheel_count(&w) == 0);
	must_be_sound(&w);
	for (unsigned i = 0; i < LENGTH(t); i++)
		free(t[i]);
}

START_TEST(T22_stop_start_and_free_of_self_and_siblings_while_firing)
{
	for (enum deed first = STOP; first < DEEDS; first++)
		for (enum deed second = STOP; second < DEEDS; second++)
			for (enum victim whose = SELF; whose < VICTIMS; whose++)
				while_firing(first, second, whose);
}
END_TEST

START_TEST(T23_cancel_of_a_periodic_timer_while_it_fires)
{
	struct wheel_timer t = { 0 }, *popped;
	static struct wheel w;

	wheel_init(&w, 0);
	wheel_arm(&w, &t, 10);
	for (uint64_t round = 1; round <= 5; round++) {
		wheel_advance(&w, 10 * round);
		popped = wheel_pop(&w);
		ck_assert_ptr_eq(popped, &t);
		wheel_arm(&w, &t, wheel_expires(&t) + 10);
	}
	ck_assert(wheel_disarm(&w, &t));
	ck_assert(!wheel_armed(&t));
	ck_assert_uint_eq(wheel_count(&w), 0);
	ck_assert_uint_eq(pop_all(&w, 1000, NULL), 0);
	ck_assert_uint_eq(wheel_next(&w), WHEEL_NEVER);
	must_be_sound(&w);
}
END_TEST

/* Half of the timers are disarmed and their memory is freed, on every level, pending and due: the
 * rest fires, and under ASan nothing touches the freed ones. */
START_TEST(T24_a_disarmed_timer_may_be_freed_at_once)
{
	struct wheel_timer *t[200];
	static struct wheel w;
	unsigned left = 0;

	wheel_init(&w, 999);
	for (unsigned i = 0; i < LENGTH(t); i++) {
		t[i] = malloc(sizeof(*t[i]));
		ck_assert_ptr_nonnull(t[i]);
		wheel_timer_init(t[i]);
		wheel_arm(&w, t[i], 1000 + (UINT64_C(1) << i % 50));
	}
	wheel_advance(&w, 100000);
	for (unsigned i = 0; i < LENGTH(t); i++) {
		if (i / 50 % 2 == 0) {
			left++;
			continue;
		}
		ck_assert(wheel_disarm(&w, t[i]));
		memset(t[i], 0xa5, sizeof(*t[i]));
		free(t[i]);
		t[i] = NULL;
		must_be_sound(&w);
	}
	ck_assert_uint_eq(pop_all(&w, TOP, NULL), left);
	for (unsigned i = 0; i < LENGTH(t); i++)
		free(t[i]);
}
END_TEST

START_TEST(T24_a_popped_timer_may_be_freed_at_once)
{
	struct wheel_timer *t;
	static struct wheel w;
	unsigned popped = 0;

	wheel_init(&w, 0);
	for (unsigned i = 0; i < 300; i++) {
		t = calloc(1, sizeof(*t));
		ck_assert_ptr_nonnull(t);
		wheel_arm(&w, t, 1 + i % 3 * 1000);
	}
	wheel_advance(&w, 5000);
	while ((t = wheel_pop(&w)) != NULL) {
		memset(t, 0xa5, sizeof(*t));
		free(t);
		popped++;
		must_be_sound(&w);
	}
	ck_assert_uint_eq(popped, 300);
}
END_TEST

START_TEST(T25_arming_twice_moves)
{
	uint64_t at[] = { 1000, 1000, 1001, 500, 1 << 20, UINT64_C(1) << 60, TOP, 100, 0, 64 };
	struct wheel_timer t = { 0 }, *popped;
	static struct wheel w;

	for (size_t i = 0; i < LENGTH(at); i++)
		for (size_t j = 0; j < LENGTH(at); j++) {
			wheel_init(&w, 100);
			wheel_timer_init(&t);
			wheel_arm(&w, &t, at[i]);
			wheel_arm(&w, &t, at[j]);
			MUST(wheel_count(&w) == 1);
			MUST(wheel_expires(&t) == at[j]);
			must_be_sound(&w);
			if (at[j] > 100)
				MUST(pop_all(&w, at[j] - 1, NULL) == 0);
			MUST(pop_all(&w, at[j] > 100 ? at[j] : 100, &popped) == 1);
			MUST(popped == &t);
			MUST(pop_all(&w, TOP, NULL) == 0);
		}
}
END_TEST

START_TEST(T26_a_million_disarmed_timers_leave_nothing_behind)
{
	uint64_t random = suite_seed();
	static struct wheel w;
	struct wheel_timer t;

	wheel_init(&w, 1);
	for (unsigned i = 0; i < 1000000; i++) {
		wheel_timer_init(&t);
		wheel_arm(&w, &t, 1 + (suite_random(&random) >> suite_random(&random) % 64));
		MUST(wheel_count(&w) == 1);
		MUST(wheel_disarm(&w, &t));
		MUST(wheel_count(&w) == 0);
		memset(&t, 0xa5, sizeof(t));
	}
	must_be_sound(&w);
	ck_assert_uint_eq(wheel_next(&w), WHEEL_NEVER);
	ck_assert_uint_eq(pop_all(&w, TOP, NULL), 0);
}
END_TEST

START_TEST(T27_the_count_is_right_at_each_step)
{
	struct wheel_timer t[5] = { 0 };
	static struct wheel w;

	wheel_init(&w, 1000);
	ck_assert_uint_eq(wheel_count(&w), 0);
	for (unsigned i = 0; i < 5; i++) {
		wheel_arm(&w, &t[i], 500 + 300 * i);
		ck_assert_uint_eq(wheel_count(&w), i + 1);
	}
	wheel_arm(&w, &t[4], 5000);
	ck_assert_uint_eq(wheel_count(&w), 5);
	wheel_disarm(&w, &t[4]);
	ck_assert_uint_eq(wheel_count(&w), 4);
	wheel_disarm(&w, &t[4]);
	ck_assert_uint_eq(wheel_count(&w), 4);
	wheel_advance(&w, 1100);
	ck_assert_uint_eq(wheel_count(&w), 4);
	ck_assert_ptr_eq(wheel_pop(&w), &t[0]);
	ck_assert_uint_eq(wheel_count(&w), 3);
	wheel_arm(&w, &t[0], 1);
	ck_assert_uint_eq(wheel_count(&w), 4);
	wheel_disarm(&w, &t[1]);
	ck_assert_uint_eq(wheel_count(&w), 3);
	ck_assert_ptr_eq(wheel_pop(&w), &t[2]);
	ck_assert_uint_eq(wheel_count(&w), 2);
	ck_assert_ptr_null(wheel_pop(&w));
	ck_assert_uint_eq(pop_all(&w, TOP, NULL), 2);
	ck_assert_uint_eq(wheel_count(&w), 0);
}
END_TEST

/* The clock is late by up to 9 periods: the k-th expiry stays at start + k * period, and none is
 * left out. */
START_TEST(T29_a_periodic_timer_does_not_drift)
{
	uint64_t random = suite_seed(), start = 777, period = 100, now = start;
	struct wheel_timer t = { 0 };
	uint64_t fired = 0;
	static struct wheel w;

	wheel_init(&w, start);
	wheel_arm(&w, &t, start + period);
	while (fired < 20000) {
		uint64_t next = wheel_next(&w);

		now = (next > now ? next : now) + suite_random(&random) % 900 * (fired % 3 == 0);
		wheel_advance(&w, now);
		while (wheel_pop(&w) != NULL) {
			fired++;
			MUST(wheel_expires(&t) == start + fired * period);
			MUST(wheel_expires(&t) <= now);
			wheel_arm(&w, &t, wheel_expires(&t) + period);
		}
	}
}
END_TEST

/* clang-format off */
SUITE("wheel, bugs of others",
      T1_a_far_timer_never_stalls_the_wheel,
      T2_the_largest_delta_does_not_fire_at_once,
      T3_a_past_expiry_does_not_rewind_the_clock,
      T4_no_delta_is_beyond_the_capacity,
      T5_deadlines_at_the_end_of_time,
      T5_slack_saturates,
      T6_rearm_exactly_at_now,
      T7_every_delta_at_every_phase_of_a_slot,
      T7_every_delta_at_once_tick_by_tick,
      T8_rearm_while_popping_after_a_huge_jump,
      T9_a_fine_timer_does_not_hide_an_earlier_coarse_one,
      T9_next_is_the_least_of_one_timer_on_each_level,
      T10_slots_are_found_across_the_end_of_a_level,
      T11_irregular_polling_fires_all_that_is_due,
      T21_a_zero_timer_does_not_starve_the_others,
      T22_stop_start_and_free_of_self_and_siblings_while_firing,
      T23_cancel_of_a_periodic_timer_while_it_fires,
      T24_a_disarmed_timer_may_be_freed_at_once,
      T24_a_popped_timer_may_be_freed_at_once,
      T25_arming_twice_moves,
      T26_a_million_disarmed_timers_leave_nothing_behind,
      T27_the_count_is_right_at_each_step,
      T29_a_periodic_timer_does_not_drift)
/* clang-format on */
