/* The promises of whorl/wheel.h, one test each, and the bugs that other timer queues had: T1-T11 and T21-T29, each under its id.
 * T12, which counts how often a timer is moved inside the wheel, is in test_wheel_model.c. The tests know the header only; those of
 * wheel_check write into its private fields, as a stray pointer would.
 */
#include <errno.h>

#include <whorl/wheel.h>

#include "suite.h"

#define TOP	UINT64_MAX
#define LENGTH(array)	(sizeof(array) / sizeof((array)[0]))

/* Check notes each assertion that holds, which costs more than a pop: loops use this. */
#define MUST(holds) \
	do { \
		if (!(holds)) \
			ck_abort_msg("line %d: %s", __LINE__, #holds); \
	} while (0)

static uint64_t sat_add(uint64_t a, uint64_t b)
{
	return a > TOP - b ? TOP : a + b;
}

static void must_be_sound(const struct wheel *w)
{
	const char *why = NULL;

	if (wheel_check(w, &why) != 0)
		ck_abort_msg("wheel_check: %s", why == NULL ? "no reason given" : why);
}

/* Advances to `now`, pops all that is due and gives their number; *last is the last one. */
static unsigned pop_all(struct wheel *w, uint64_t now, struct wheel_timer **last)
{
	struct wheel_timer *t;
	unsigned n = 0;

	wheel_advance(w, now);
	while ((t = wheel_pop(w)) != NULL) {
		MUST(!wheel_armed(t));
		MUST(wheel_expires(t) <= wheel_now(w));
		if (last != NULL)
			*last = t;
		n++;
	}
	return n;
}

/* Follows wheel_next until something is due, which is left in the wheel. Gives the number of wakes. */
static unsigned follow(struct wheel *w)
{
	unsigned wakes = 0;
	uint64_t next;

	for (;;) {
		next = wheel_next(w);
		wheel_advance(w, next > wheel_now(w) ? next : wheel_now(w));
		wakes++;
		if (wheel_next(w) <= wheel_now(w) || wakes > 1000)
			return wakes;
	}
}

/* One timer at `expires` in an otherwise empty wheel: not popped one tick before, popped at its tick, and wheel_next leads there. */
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

/* Calls each(w, start) with the clock at every 2^k, 2^k+-1, 2^k+-2. */
static void each_start(struct wheel *w, void (*each)(struct wheel *w, uint64_t start))
{
	for (int k = 0; k < 64; k++)
		for (int off = -2; off <= 2; off++)
			each(w, (UINT64_C(1) << k) + (uint64_t)(int64_t)off);
	each(w, 0);
	each(w, TOP / 2);
}

/* ---------------------------------------------------------------------------------------------- arithmetic and geometry */

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

/* The clock stands in the last slots of a level and of all below it; the timers lie in its first ones, one turn on. */
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
				wheel_arm(&w, &t[i], edge + ((UINT64_C(1) << (bits * i / LENGTH(t))) - 1));
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

/* ---------------------------------------------------------------------------------------------- re-entrancy and lifetime */

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

/* Five timers due on one tick and one pending; while the third fires, something is done to one of them, twice. */
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

/* Half of the timers are disarmed and their memory is freed, on every level, pending and due: the rest fires, and under ASan
 * nothing touches the freed ones. */
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

/* The clock is late by up to 9 periods: the k-th expiry stays at start + k * period, and none is left out. */
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

/* ------------------------------------------------------------------------------------------------ the promises of the header */

START_TEST(sizes_are_as_promised)
{
	ck_assert_uint_eq(sizeof(struct wheel_timer), 32);
	ck_assert_uint_le(sizeof(struct wheel), 48 * 1024);
}
END_TEST

START_TEST(a_new_wheel_is_empty_at_its_time)
{
	uint64_t starts[] = { 0, 1, 12345, TOP - 1, TOP };
	static struct wheel w;

	for (size_t i = 0; i < LENGTH(starts); i++) {
		memset(&w, 0xa5, sizeof(w));
		wheel_init(&w, starts[i]);
		ck_assert_uint_eq(wheel_now(&w), starts[i]);
		ck_assert_uint_eq(wheel_count(&w), 0);
		ck_assert_uint_eq(wheel_next(&w), WHEEL_NEVER);
		ck_assert_ptr_null(wheel_pop(&w));
		must_be_sound(&w);
		wheel_advance(&w, TOP);
		ck_assert_ptr_null(wheel_pop(&w));
		ck_assert_uint_eq(wheel_next(&w), WHEEL_NEVER);
		must_be_sound(&w);
	}
}
END_TEST

START_TEST(a_zeroed_timer_is_a_valid_unarmed_one)
{
	struct wheel_timer zeroed, made;
	static struct wheel w;

	memset(&zeroed, 0, sizeof(zeroed));
	memset(&made, 0xa5, sizeof(made));
	wheel_timer_init(&made);
	ck_assert_mem_eq(&zeroed, &made, sizeof(made));
	wheel_init(&w, 7);
	ck_assert(!wheel_armed(&zeroed));
	ck_assert(!wheel_disarm(&w, &zeroed));
	ck_assert_uint_eq(wheel_count(&w), 0);
	wheel_arm(&w, &zeroed, 8);
	ck_assert(wheel_armed(&zeroed));
	ck_assert_uint_eq(pop_all(&w, 8, NULL), 1);
}
END_TEST

static void to_the_tick(struct wheel *w, uint64_t start)
{
	static struct wheel_timer t[64];
	unsigned fired = 0;

	wheel_init(w, start);
	for (unsigned k = 0; k < LENGTH(t); k++)
		wheel_arm(w, &t[k], sat_add(start, UINT64_C(1) << k));
	while (wheel_count(w) > 0) {
		uint64_t least = TOP;
		unsigned due = 0;

		for (unsigned k = 0; k < LENGTH(t); k++)
			if (wheel_armed(&t[k]) && wheel_expires(&t[k]) < least)
				least = wheel_expires(&t[k]);
		for (unsigned k = 0; k < LENGTH(t); k++)
			due += wheel_armed(&t[k]) && wheel_expires(&t[k]) == least;
		if (least > wheel_now(w))
			MUST(pop_all(w, least - 1, NULL) == 0);
		must_be_sound(w);
		MUST(pop_all(w, least, NULL) == due);
		fired += due;
	}
	MUST(fired == LENGTH(t));
}

START_TEST(never_popped_before_its_tick_and_never_kept_beyond_it)
{
	static struct wheel w;

	each_start(&w, to_the_tick);
}
END_TEST

START_TEST(equal_deadlines_pop_in_arming_order)
{
	uint64_t at[] = { 101, 163, 164, 4196, 70000, UINT64_C(1) << 33, TOP };
	static struct wheel_timer t[3000];
	static struct wheel w;

	for (size_t a = 0; a < LENGTH(at); a++) {
		wheel_init(&w, 100);
		for (unsigned i = 0; i < LENGTH(t); i++)
			wheel_arm(&w, &t[(i * 7) % LENGTH(t)], at[a]);
		must_be_sound(&w);
		wheel_advance(&w, at[a]);
		for (unsigned i = 0; i < LENGTH(t); i++)
			MUST(wheel_pop(&w) == &t[(i * 7) % LENGTH(t)]);
		MUST(wheel_pop(&w) == NULL);
	}
}
END_TEST

/* They were armed at different distances, so that they met on their slot from different levels. */
START_TEST(equal_deadlines_pop_in_arming_order_from_all_levels)
{
	uint64_t meet = UINT64_C(1) << 62;
	struct wheel_timer t[63];
	static struct wheel w;

	wheel_init(&w, 0);
	for (unsigned i = 0; i < LENGTH(t); i++) {
		wheel_timer_init(&t[i]);
		wheel_advance(&w, meet - (UINT64_C(1) << (62 - i)));
		ck_assert_ptr_null(wheel_pop(&w));
		wheel_arm(&w, &t[i], meet);
		must_be_sound(&w);
	}
	wheel_advance(&w, meet);
	for (unsigned i = 0; i < LENGTH(t); i++)
		ck_assert_ptr_eq(wheel_pop(&w), &t[i]);
	ck_assert_ptr_null(wheel_pop(&w));
}
END_TEST

START_TEST(moving_counts_as_arming_again)
{
	struct wheel_timer a = { 0 }, b = { 0 }, c = { 0 };
	static struct wheel w;

	wheel_init(&w, 0);
	wheel_arm(&w, &a, 10);
	wheel_arm(&w, &b, 10);
	wheel_arm(&w, &c, 10);
	wheel_arm(&w, &a, 10);
	wheel_arm(&w, &b, 5000);
	wheel_arm(&w, &b, 10);
	wheel_advance(&w, 10);
	ck_assert_ptr_eq(wheel_pop(&w), &c);
	ck_assert_ptr_eq(wheel_pop(&w), &a);
	ck_assert_ptr_eq(wheel_pop(&w), &b);
	ck_assert_ptr_null(wheel_pop(&w));
}
END_TEST

/* The order is over all that is due, not over what one advance found. */
START_TEST(the_order_is_over_several_advances)
{
	struct wheel_timer a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };
	static struct wheel w;

	wheel_init(&w, 100);
	wheel_arm(&w, &a, 150);
	wheel_arm(&w, &b, 140);
	wheel_advance(&w, 150);
	wheel_arm(&w, &c, 145);
	wheel_arm(&w, &d, 10);
	must_be_sound(&w);
	wheel_advance(&w, 150);
	must_be_sound(&w);
	ck_assert_ptr_eq(wheel_pop(&w), &d);
	ck_assert_ptr_eq(wheel_pop(&w), &b);
	wheel_arm(&w, &b, 145);
	wheel_arm(&w, &d, 151);
	wheel_advance(&w, 151);
	ck_assert_ptr_eq(wheel_pop(&w), &c);
	ck_assert_ptr_eq(wheel_pop(&w), &b);
	ck_assert_ptr_eq(wheel_pop(&w), &a);
	ck_assert_ptr_eq(wheel_pop(&w), &d);
	ck_assert_ptr_null(wheel_pop(&w));
}
END_TEST

struct item {
	struct wheel_timer timer;
	uint64_t order;			/* of arming */
};

static struct item items[60000];	/* far beyond what a cache holds, where a wheel may work in other ways */

/* Pops all that is due at `now` and checks the order; then nothing that is left is due. */
static void pop_in_order(struct wheel *w, uint64_t now)
{
	const struct item *last = NULL;
	struct wheel_timer *t;

	wheel_advance(w, now);
	while ((t = wheel_pop(w)) != NULL) {
		const struct item *item = WHEEL_CONTAINER(t, struct item, timer);

		MUST(wheel_expires(t) <= now);
		MUST(last == NULL || wheel_expires(&last->timer) < wheel_expires(t) ||
		     (wheel_expires(&last->timer) == wheel_expires(t) && last->order < item->order));
		last = item;
	}
	for (size_t i = 0; i < LENGTH(items); i++)
		MUST(!wheel_armed(&items[i].timer) || wheel_expires(&items[i].timer) > now);
	must_be_sound(w);
}

START_TEST(the_order_holds_for_tens_of_thousands_of_timers)
{
	static const uint64_t spreads[] = { 1, 60, 64, 1000, 4096, 100000, 1 << 30, UINT64_C(1) << 50 };
	uint64_t random = suite_seed(), order = 0;
	static struct wheel w;

	for (size_t s = 0; s < LENGTH(spreads); s++) {
		uint64_t start = suite_random(&random) >> 2, spread = spreads[s];

		wheel_init(&w, start);
		for (size_t i = 0; i < LENGTH(items); i++) {
			wheel_arm(&w, &items[i].timer, start + 1 + suite_random(&random) % spread);
			items[i].order = ++order;
		}
		for (size_t i = 0; i < LENGTH(items); i++)
			if (suite_random(&random) % 3 != 0)
				MUST(wheel_disarm(&w, &items[i].timer));
		must_be_sound(&w);
		for (size_t i = 0; i < LENGTH(items); i += 2) {
			wheel_arm(&w, &items[i].timer, start + 1 + suite_random(&random) % spread);
			items[i].order = ++order;
		}
		must_be_sound(&w);
		for (uint64_t part = 1; part < 4; part++)
			pop_in_order(&w, start + spread / 4 * part);
		pop_in_order(&w, start + spread);
		MUST(wheel_count(&w) == 0);
	}
}
END_TEST

START_TEST(armed_at_now_or_earlier_is_due_from_the_next_advance)
{
	uint64_t at[] = { 0, 1, 999, 1000 };
	struct wheel_timer t[4] = { 0 };
	static struct wheel w;

	wheel_init(&w, 1000);
	for (unsigned i = 0; i < 4; i++) {
		wheel_arm(&w, &t[3 - i], at[3 - i]);
		ck_assert_ptr_null(wheel_pop(&w));
		ck_assert_uint_le(wheel_next(&w), 1000);
		must_be_sound(&w);
	}
	wheel_advance(&w, 1000);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_ptr_eq(wheel_pop(&w), &t[i]);
	ck_assert_ptr_null(wheel_pop(&w));
}
END_TEST

START_TEST(a_due_timer_moved_to_the_past_waits_for_the_next_advance)
{
	struct wheel_timer a = { 0 }, b = { 0 };
	static struct wheel w;

	wheel_init(&w, 0);
	wheel_arm(&w, &a, 10);
	wheel_arm(&w, &b, 10);
	wheel_advance(&w, 10);
	wheel_arm(&w, &a, 5);
	must_be_sound(&w);
	ck_assert_ptr_eq(wheel_pop(&w), &b);
	ck_assert_ptr_null(wheel_pop(&w));
	ck_assert_uint_le(wheel_next(&w), 10);
	wheel_advance(&w, 10);
	ck_assert_ptr_eq(wheel_pop(&w), &a);
	ck_assert_uint_eq(wheel_expires(&a), 5);
}
END_TEST

START_TEST(an_advance_to_before_now_changes_nothing)
{
	struct wheel_timer past = { 0 }, far = { 0 };
	static struct wheel w;

	wheel_init(&w, 1000);
	wheel_arm(&w, &past, 400);
	wheel_arm(&w, &far, 3000);
	wheel_advance(&w, 999);
	wheel_advance(&w, 500);
	wheel_advance(&w, 0);
	ck_assert_uint_eq(wheel_now(&w), 1000);
	ck_assert_ptr_null(wheel_pop(&w));
	ck_assert_uint_eq(wheel_count(&w), 2);
	must_be_sound(&w);
	wheel_advance(&w, 1000);
	ck_assert_ptr_eq(wheel_pop(&w), &past);
	ck_assert_uint_eq(pop_all(&w, 2999, NULL), 0);
	ck_assert_uint_eq(pop_all(&w, 3000, NULL), 1);
}
END_TEST

START_TEST(armed_until_popped_or_disarmed)
{
	struct wheel_timer popped = { 0 }, disarmed = { 0 };
	static struct wheel w;

	wheel_init(&w, 0);
	wheel_arm(&w, &popped, 10);
	wheel_arm(&w, &disarmed, 10);
	ck_assert(wheel_armed(&popped));
	wheel_advance(&w, 20);
	ck_assert(wheel_armed(&popped));
	ck_assert(wheel_armed(&disarmed));
	ck_assert(wheel_disarm(&w, &disarmed));
	ck_assert(!wheel_armed(&disarmed));
	ck_assert_ptr_eq(wheel_pop(&w), &popped);
	ck_assert(!wheel_armed(&popped));
	ck_assert(!wheel_disarm(&w, &popped));
	ck_assert(!wheel_disarm(&w, &disarmed));
	ck_assert_ptr_null(wheel_pop(&w));
}
END_TEST

START_TEST(expires_keeps_its_value_after_the_pop)
{
	uint64_t at[] = { 0, 10, 11, 64, 5000, UINT64_C(1) << 50, TOP - 1, TOP };
	struct wheel_timer t = { 0 };
	static struct wheel w;

	wheel_init(&w, 10);
	for (size_t i = 0; i < LENGTH(at); i++) {
		wheel_arm(&w, &t, at[i]);
		ck_assert_uint_eq(wheel_expires(&t), at[i]);
		wheel_advance(&w, at[i]);
		wheel_advance(&w, wheel_now(&w));
		ck_assert_uint_eq(wheel_expires(&t), at[i]);
		ck_assert_ptr_eq(wheel_pop(&w), &t);
		ck_assert_uint_eq(wheel_expires(&t), at[i]);
		wheel_advance(&w, sat_add(wheel_now(&w), 100));
		ck_assert_uint_eq(wheel_expires(&t), at[i]);
	}
}
END_TEST

START_TEST(due_timers_may_be_disarmed_and_moved_between_pops)
{
	static struct wheel_timer t[100];
	static struct wheel w;

	wheel_init(&w, 0);
	for (unsigned i = 0; i < LENGTH(t); i++)
		wheel_arm(&w, &t[i], 100 + i / 10);
	wheel_advance(&w, 1000);
	for (unsigned i = 0; i < LENGTH(t); i += 4) {
		MUST(wheel_pop(&w) == &t[i]);
		MUST(wheel_disarm(&w, &t[i + 1]));
		wheel_arm(&w, &t[i + 2], 2000);
		wheel_arm(&w, &t[i + 3], 0);
		must_be_sound(&w);
	}
	ck_assert_ptr_null(wheel_pop(&w));
	ck_assert_uint_eq(wheel_count(&w), 50);
	wheel_advance(&w, 1999);
	for (unsigned i = 0; i < LENGTH(t); i += 4)
		MUST(wheel_pop(&w) == &t[i + 3]);
	ck_assert_ptr_null(wheel_pop(&w));
	wheel_advance(&w, 2000);
	for (unsigned i = 0; i < LENGTH(t); i += 4)
		MUST(wheel_pop(&w) == &t[i + 2]);
	ck_assert_ptr_null(wheel_pop(&w));
}
END_TEST

START_TEST(disarming_the_last_timer_empties_the_wheel)
{
	uint64_t at[] = { 0, 100, 101, 164, 5000, UINT64_C(1) << 40, TOP };
	struct wheel_timer t = { 0 };
	static struct wheel w;

	wheel_init(&w, 100);
	for (size_t i = 0; i < LENGTH(at); i++) {
		wheel_arm(&w, &t, at[i]);
		wheel_next(&w);
		ck_assert(wheel_disarm(&w, &t));
		ck_assert_uint_eq(wheel_next(&w), WHEEL_NEVER);
		must_be_sound(&w);
	}
	ck_assert_uint_eq(pop_all(&w, TOP, NULL), 0);
}
END_TEST

START_TEST(slack_picks_one_tick_within_its_bounds)
{
	uint64_t random = suite_seed();
	struct wheel_timer t = { 0 };
	static struct wheel w;

	for (unsigned i = 0; i < 100000; i++) {
		uint64_t start = suite_random(&random) >> suite_random(&random) % 64;
		uint64_t delta = suite_random(&random) >> suite_random(&random) % 64;
		uint64_t slack = suite_random(&random) >> suite_random(&random) % 64;
		uint64_t expires = sat_add(start, delta), tick;

		wheel_init(&w, start);
		wheel_timer_init(&t);
		wheel_arm_slack(&w, &t, expires, slack);
		tick = wheel_expires(&t);
		MUST(tick >= expires && tick <= sat_add(expires, slack));
		MUST(wheel_count(&w) == 1);
		MUST(wheel_next(&w) <= (tick > start ? tick : start));
		if (tick > start)
			MUST(pop_all(&w, tick - 1, NULL) == 0);
		MUST(pop_all(&w, tick, NULL) == 1);
		MUST(wheel_expires(&t) == tick);
	}
}
END_TEST

START_TEST(slack_of_zero_is_exact)
{
	struct wheel_timer t = { 0 };
	static struct wheel w;

	wheel_init(&w, 500);
	for (uint64_t at = 0; at < 10000; at++) {
		wheel_arm_slack(&w, &t, at, 0);
		MUST(wheel_expires(&t) == at);
	}
	wheel_arm_slack(&w, &t, TOP, 0);
	ck_assert_uint_eq(wheel_expires(&t), TOP);
}
END_TEST

START_TEST(slack_does_not_put_off_what_is_due)
{
	uint64_t at[] = { 0, 1, 63, 64, 499, 500 };
	struct wheel_timer t = { 0 };
	static struct wheel w;

	wheel_init(&w, 500);
	for (size_t i = 0; i < LENGTH(at); i++) {
		wheel_arm_slack(&w, &t, at[i], TOP);
		ck_assert_uint_le(wheel_expires(&t), 500);
		ck_assert_uint_ge(wheel_expires(&t), at[i]);
		ck_assert_ptr_null(wheel_pop(&w));
		wheel_advance(&w, 500);
		ck_assert_ptr_eq(wheel_pop(&w), &t);
	}
}
END_TEST

START_TEST(slack_orders_by_the_tick_picked)
{
	static struct wheel_timer t[300];
	uint64_t random = suite_seed();
	struct wheel_timer *popped;
	uint64_t last = 0;
	static struct wheel w;

	wheel_init(&w, 1000);
	for (unsigned i = 0; i < LENGTH(t); i++)
		wheel_arm_slack(&w, &t[i], 1001 + suite_random(&random) % 500,
				suite_random(&random) % 300);
	wheel_advance(&w, 2000);
	for (unsigned i = 0; i < LENGTH(t); i++) {
		popped = wheel_pop(&w);
		MUST(popped != NULL && wheel_expires(popped) >= last);
		for (unsigned j = 0; j < LENGTH(t) && wheel_expires(popped) == last; j++)
			MUST(!wheel_armed(&t[j]) || wheel_expires(&t[j]) > last || &t[j] > popped);
		last = wheel_expires(popped);
	}
	ck_assert_ptr_null(wheel_pop(&w));
}
END_TEST

/* A thousand deadlines on as many ticks, each with as much slack as they spread over: a quarter of the wakes is far from the
 * best, and out of reach for a wheel that ignores slack. */
START_TEST(slack_lets_timers_share_a_wake)
{
	static struct wheel_timer t[1000];
	unsigned wakes = 0, popped = 0;
	static struct wheel w;

	wheel_init(&w, 5000);
	for (unsigned i = 0; i < LENGTH(t); i++)
		wheel_arm_slack(&w, &t[i], 7001 + i, 1000);
	while (wheel_count(&w) > 0) {
		uint64_t next = wheel_next(&w);

		popped += pop_all(&w, next, NULL);
		wakes++;
		ck_assert_uint_lt(wakes, LENGTH(t) / 4);
	}
	ck_assert_uint_eq(popped, LENGTH(t));
}
END_TEST

START_TEST(next_of_an_empty_wheel_is_never)
{
	struct wheel_timer t = { 0 };
	static struct wheel w;

	wheel_init(&w, 3);
	ck_assert_uint_eq(wheel_next(&w), WHEEL_NEVER);
	wheel_arm(&w, &t, 100);
	ck_assert_uint_le(wheel_next(&w), 100);
	ck_assert_uint_eq(pop_all(&w, 100, NULL), 1);
	ck_assert_uint_eq(wheel_next(&w), WHEEL_NEVER);
}
END_TEST

START_TEST(next_is_at_most_now_while_anything_is_due)
{
	struct wheel_timer a = { 0 }, b = { 0 }, far = { 0 };
	static struct wheel w;

	wheel_init(&w, 0);
	wheel_arm(&w, &a, 10);
	wheel_arm(&w, &b, 20);
	wheel_arm(&w, &far, 1 << 30);
	wheel_advance(&w, 25);
	ck_assert_uint_le(wheel_next(&w), 25);
	ck_assert_ptr_eq(wheel_pop(&w), &a);
	ck_assert_uint_le(wheel_next(&w), 25);
	wheel_advance(&w, 30);
	ck_assert_uint_le(wheel_next(&w), 30);
	ck_assert_ptr_eq(wheel_pop(&w), &b);
	ck_assert_uint_le(wheel_next(&w), 1 << 30);
	wheel_arm(&w, &a, 3);
	ck_assert_uint_le(wheel_next(&w), 30);
}
END_TEST

/* The earliest timer is moved away, out of every level into every other; whatever wheel_next says then, it leads to the tick. */
static void moved_later(struct wheel *w, uint64_t start)
{
	for (unsigned from = 0; from < 62; from++)
		for (unsigned to = from; to < 62; to++) {
			uint64_t first = sat_add(start, UINT64_C(1) << from);
			uint64_t then = sat_add(start, UINT64_C(3) << to);
			struct wheel_timer t = { 0 };
			unsigned wakes = 0;

			wheel_init(w, start);
			wheel_arm(w, &t, first);
			if ((from + to) % 2 == 0)
				MUST(wheel_next(w) <= (first > start ? first : start));
			wheel_arm(w, &t, then);
			if (then <= start)
				continue;
			while (wheel_now(w) < then) {
				uint64_t next = wheel_next(w);

				MUST(next <= then);
				MUST(++wakes <= 32);
				MUST(pop_all(w, next, NULL) == (next == then));
			}
			MUST(wheel_count(w) == 0);
		}
}

START_TEST(next_leads_on_after_a_move)
{
	static struct wheel w;

	moved_later(&w, 0);
	moved_later(&w, 1);
	moved_later(&w, (UINT64_C(1) << 30) - 1);
	moved_later(&w, UINT64_C(1) << 36);
	moved_later(&w, TOP / 2);
	moved_later(&w, TOP - 4096);
}
END_TEST

/* Periodic and one-shot timers over `bits` bits of time, some moved and some disarmed before they fire. */
static void wakes_of_a_load(unsigned bits, unsigned moves)
{
	static struct wheel_timer t[64];
	uint64_t random = suite_seed(), arms = 0, wakes = 0;
	struct wheel_timer *popped;
	static struct wheel w;

	memset(t, 0, sizeof(t));
	wheel_init(&w, UINT64_C(1) << bits);
	for (unsigned i = 0; i < LENGTH(t); i++, arms++)
		wheel_arm(&w, &t[i], wheel_now(&w) + (suite_random(&random) >> (64 - bits)));
	while (wheel_count(&w) > 0) {
		uint64_t next = wheel_next(&w), now = wheel_now(&w);

		wheel_advance(&w, next > now ? next : now);
		MUST(++wakes <= 16 * arms);
		for (; (popped = wheel_pop(&w)) != NULL && arms < 3000; arms++)
			wheel_arm(&w, popped, wheel_now(&w) + (suite_random(&random) >> (64 - bits)));
		for (unsigned m = 0; m < moves && arms < 3000; m++, arms++) {
			struct wheel_timer *any = &t[suite_random(&random) % LENGTH(t)];

			if (m % 8 == 7)
				wheel_disarm(&w, any);
			wheel_arm(&w, any, wheel_now(&w) + (suite_random(&random) >> (64 - bits)));
		}
	}
	must_be_sound(&w);
	if (wakes > 2 * arms)
		ck_abort_msg("%d bits, %u moves: %" PRIu64 " wakes for %" PRIu64 " arms", bits, moves, wakes, arms);
}

START_TEST(next_costs_two_wakes_for_each_arm_on_average)
{
	for (unsigned bits = 1; bits <= 52; bits++)
		for (unsigned moves = 0; moves <= 8; moves += 4)
			wakes_of_a_load(bits, moves);
}
END_TEST

START_TEST(never_is_a_legal_deadline)
{
	struct wheel_timer never = { 0 }, soon = { 0 };
	static struct wheel w;

	wheel_init(&w, 10);
	wheel_arm(&w, &never, WHEEL_NEVER);
	ck_assert(wheel_armed(&never));
	ck_assert_uint_eq(wheel_count(&w), 1);
	ck_assert_uint_eq(wheel_expires(&never), WHEEL_NEVER);
	must_be_sound(&w);
	wheel_arm(&w, &soon, 20);
	ck_assert_uint_le(wheel_next(&w), 20);
	ck_assert_uint_eq(pop_all(&w, 20, NULL), 1);
	ck_assert_uint_eq(pop_all(&w, WHEEL_NEVER - 1, NULL), 0);
	ck_assert_uint_eq(wheel_count(&w), 1);
	wheel_advance(&w, UINT64_MAX);
	ck_assert_uint_eq(wheel_now(&w), UINT64_MAX);
	ck_assert_ptr_eq(wheel_pop(&w), &never);
	ck_assert_uint_eq(wheel_expires(&never), WHEEL_NEVER);
}
END_TEST

START_TEST(the_wheel_works_on_at_the_end_of_time)
{
	struct wheel_timer a = { 0 }, b = { 0 };
	static struct wheel w;

	wheel_init(&w, 0);
	wheel_arm(&w, &a, WHEEL_NEVER);
	wheel_advance(&w, UINT64_MAX);
	for (int i = 0; i < 5; i++) {
		wheel_arm(&w, &b, i % 2 ? UINT64_MAX : 5);
		must_be_sound(&w);
		ck_assert_ptr_eq(wheel_pop(&w), &a);
		ck_assert_ptr_null(wheel_pop(&w));
		wheel_arm(&w, &a, UINT64_MAX);
		wheel_advance(&w, UINT64_MAX);
		ck_assert_ptr_eq(wheel_pop(&w), &b);
	}
}
END_TEST

START_TEST(a_timer_may_go_to_another_wheel_once_it_is_unarmed)
{
	static struct wheel one, two;
	struct wheel_timer t = { 0 };

	wheel_init(&one, 0);
	wheel_init(&two, UINT64_C(1) << 40);
	wheel_arm(&one, &t, 10);
	ck_assert(wheel_disarm(&one, &t));
	wheel_arm(&two, &t, (UINT64_C(1) << 40) + 1);
	ck_assert_uint_eq(wheel_count(&one), 0);
	ck_assert_uint_eq(wheel_count(&two), 1);
	ck_assert_uint_eq(pop_all(&one, TOP, NULL), 0);
	ck_assert_uint_eq(pop_all(&two, (UINT64_C(1) << 40) + 1, NULL), 1);
	wheel_arm(&one, &t, 10);
	ck_assert_uint_eq(pop_all(&one, TOP, NULL), 1);
	must_be_sound(&one);
	must_be_sound(&two);
}
END_TEST

START_TEST(container_is_the_object_of_which_the_timer_is_a_member)
{
	struct conn {
		int fd;
		struct wheel_timer idle;
	} conn = { .fd = 7 };
	static struct wheel w;

	wheel_init(&w, 0);
	wheel_arm(&w, &conn.idle, 1);
	wheel_advance(&w, 1);
	ck_assert_int_eq(WHEEL_CONTAINER(wheel_pop(&w), struct conn, idle)->fd, 7);
}
END_TEST

/* --------------------------------------------------------------------------------------------- wheel_check finds corruption */

/* A wheel at 1000 with timers in the past, due ones in order, and pending ones on many levels, the soonest at 1003, some of them
 * in one slot. */
struct sample {
	struct wheel w;
	struct wheel_timer popped, past[2], due[4], soonest, together[12], spread[50];
};

static struct sample sample;

static struct wheel_timer *sample_timer(unsigned i)
{
	struct { struct wheel_timer *t; unsigned n; } part[] = {
		{ sample.past, LENGTH(sample.past) }, { sample.due, LENGTH(sample.due) },
		{ &sample.soonest, 1 }, { sample.together, LENGTH(sample.together) },
		{ sample.spread, LENGTH(sample.spread) },
	};

	for (unsigned p = 0; p < LENGTH(part); i -= part[p++].n)
		if (i < part[p].n)
			return &part[p].t[i];
	return NULL;
}

static void make_sample(void)
{
	memset(&sample, 0, sizeof(sample));
	wheel_init(&sample.w, 0);
	wheel_arm(&sample.w, &sample.popped, 899);
	for (unsigned i = 0; i < LENGTH(sample.due); i++)
		wheel_arm(&sample.w, &sample.due[i], 900 + i / 2);
	wheel_arm(&sample.w, &sample.soonest, 1003);
	for (unsigned i = 0; i < LENGTH(sample.together); i++)
		wheel_arm(&sample.w, &sample.together[i], 7000);
	for (unsigned i = 0; i < LENGTH(sample.spread); i++)
		wheel_arm(&sample.w, &sample.spread[i], 8001 + (UINT64_C(1) << i));
	wheel_advance(&sample.w, 1000);
	MUST(wheel_pop(&sample.w) == &sample.popped);
	for (unsigned i = 0; i < LENGTH(sample.past); i++)
		wheel_arm(&sample.w, &sample.past[i], 950);
	must_be_sound(&sample.w);
}

static void must_be_found(const char *what, unsigned i)
{
	const char *why = NULL;
	int r = wheel_check(&sample.w, &why);

	if (r != -EINVAL || why == NULL || why[0] == '\0')
		ck_abort_msg("%s, timer or bit %u: %d, %s", what, i, r, why == NULL ? "no reason" : why);
	MUST(wheel_check(&sample.w, NULL) == -EINVAL);
}

START_TEST(check_takes_no_place_for_the_reason)
{
	make_sample();
	ck_assert_int_eq(wheel_check(&sample.w, NULL), 0);
	sample.w.count_++;
	ck_assert_int_eq(wheel_check(&sample.w, NULL), -EINVAL);
}
END_TEST

START_TEST(check_finds_an_armed_timer_that_was_overwritten)
{
	static const int bytes[] = { 0x00, 0xa5, 0xdf, 0xff };
	struct wheel_timer *t;

	for (unsigned b = 0; b < LENGTH(bytes); b++)
		for (unsigned i = 0; (t = sample_timer(i)) != NULL; i++) {
			make_sample();
			memset(t, bytes[b], sizeof(*t));
			must_be_found("overwritten", i);
		}
}
END_TEST

START_TEST(check_finds_a_flipped_bit_in_the_link_back)
{
	struct wheel_timer *t;
	uintptr_t back;

	for (unsigned i = 0; (t = sample_timer(i)) != NULL; i++)
		for (unsigned bit = 0; bit < 64; bit++) {
			make_sample();
			memcpy(&back, &t->back_, sizeof(back));
			back ^= UINT64_C(1) << bit;
			memcpy(&t->back_, &back, sizeof(back));
			must_be_found("back_", i);
		}
}
END_TEST

START_TEST(check_finds_a_list_that_was_cut_or_made_a_ring)
{
	struct wheel_timer *t, unarmed = { 0 };
	bool cut = false;

	for (unsigned i = 0; (t = sample_timer(i)) != NULL; i++) {
		make_sample();
		cut = cut || t->next_ != NULL;
		t->next_ = t->next_ != NULL ? NULL : &unarmed;
		must_be_found("cut", i);
		make_sample();
		t->next_ = t;
		must_be_found("ring", i);
		for (unsigned u = 0; sample_timer(u) != NULL; u++) {
			make_sample();
			if (t->next_ == sample_timer(u))
				continue;
			t->next_ = sample_timer(u);
			must_be_found("crossed", i);
		}
	}
	ck_assert(cut);
}
END_TEST

/* The owner wrote `expires` instead of arming again. Later ticks are allowed in a slot, where a move may leave a timer. */
START_TEST(check_finds_a_deadline_brought_forward_in_place)
{
	struct wheel_timer *t;

	for (unsigned i = LENGTH(sample.past) + LENGTH(sample.due); (t = sample_timer(i)) != NULL; i++) {
		make_sample();
		t->expires_ = 1;
		must_be_found("to long ago", i);
		if (t == &sample.soonest)
			continue;
		make_sample();
		t->expires_ = 1004;
		must_be_found("to an earlier slot", i);
	}
}
END_TEST

START_TEST(check_finds_a_due_timer_that_is_not_due)
{
	for (unsigned i = 0; i < LENGTH(sample.past) + LENGTH(sample.due); i++) {
		make_sample();
		sample_timer(i)->expires_ = 1001;
		must_be_found("put off", i);
	}
}
END_TEST

START_TEST(check_finds_due_timers_out_of_order)
{
	make_sample();
	sample.due[0].expires_ = 902;
	must_be_found("expires", 0);
	make_sample();
	sample.due[3].expires_ = 1;
	must_be_found("expires", 3);
	make_sample();
	sample.due[0].seq_ = sample.due[1].seq_;
	sample.due[1].seq_--;
	must_be_found("seq", 0);
}
END_TEST

START_TEST(check_finds_an_arming_number_from_the_future)
{
	struct wheel_timer *t;

	for (unsigned i = 0; (t = sample_timer(i)) != NULL; i++) {
		make_sample();
		t->seq_ = sample.w.seq_ + 1;
		must_be_found("seq", i);
	}
}
END_TEST

START_TEST(check_finds_a_wrong_count)
{
	make_sample();
	sample.w.count_++;
	must_be_found("more", 0);
	make_sample();
	sample.w.count_--;
	must_be_found("fewer", 0);
	make_sample();
	sample.w.count_ = 0;
	must_be_found("none", 0);
}
END_TEST

START_TEST(check_finds_a_wrong_bit_of_the_occupied_slots)
{
	for (unsigned level = 0; level < WHEEL_LEVELS; level++)
		for (unsigned bit = 0; bit < 64; bit++) {
			make_sample();
			sample.w.occupied_[level] ^= UINT64_C(1) << bit;
			must_be_found("occupied", 64 * level + bit);
		}
	for (unsigned bit = 0; bit < 64; bit++) {
		make_sample();
		sample.w.occupied_levels_ ^= UINT64_C(1) << bit;
		must_be_found("levels", bit);
	}
}
END_TEST

START_TEST(check_finds_clocks_that_contradict_each_other)
{
	make_sample();
	sample.w.cursor_ = sample.w.now_ + 1;
	must_be_found("cursor", 0);
	make_sample();
	sample.w.now_ = 899;
	must_be_found("now", 0);
	make_sample();
	sample.w.soonest_ = 2000;
	must_be_found("soonest", 0);
}
END_TEST

START_TEST(check_finds_a_slot_that_lost_its_timers)
{
	for (unsigned level = 0; level < WHEEL_LEVELS; level++)
		for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++) {
			bool held = false;

			make_sample();
			for (unsigned c = 0; c < WHEEL_CHAINS; c++) {
				held = held || sample.w.slot_[level][slot].chain[c] != NULL;
				sample.w.slot_[level][slot].chain[c] = NULL;
			}
			if (held)
				must_be_found("emptied", 64 * level + slot);
		}
}
END_TEST

START_TEST(check_finds_a_list_head_that_was_lost)
{
	make_sample();
	sample.w.due_ = NULL;
	must_be_found("due", 0);
	make_sample();
	sample.w.past_ = NULL;
	must_be_found("past", 0);
}
END_TEST

SUITE("wheel",
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
      T29_a_periodic_timer_does_not_drift,
      sizes_are_as_promised,
      a_new_wheel_is_empty_at_its_time,
      a_zeroed_timer_is_a_valid_unarmed_one,
      never_popped_before_its_tick_and_never_kept_beyond_it,
      equal_deadlines_pop_in_arming_order,
      equal_deadlines_pop_in_arming_order_from_all_levels,
      moving_counts_as_arming_again,
      the_order_is_over_several_advances,
      the_order_holds_for_tens_of_thousands_of_timers,
      armed_at_now_or_earlier_is_due_from_the_next_advance,
      a_due_timer_moved_to_the_past_waits_for_the_next_advance,
      an_advance_to_before_now_changes_nothing,
      armed_until_popped_or_disarmed,
      expires_keeps_its_value_after_the_pop,
      due_timers_may_be_disarmed_and_moved_between_pops,
      disarming_the_last_timer_empties_the_wheel,
      slack_picks_one_tick_within_its_bounds,
      slack_of_zero_is_exact,
      slack_does_not_put_off_what_is_due,
      slack_orders_by_the_tick_picked,
      slack_lets_timers_share_a_wake,
      next_of_an_empty_wheel_is_never,
      next_is_at_most_now_while_anything_is_due,
      next_leads_on_after_a_move,
      next_costs_two_wakes_for_each_arm_on_average,
      never_is_a_legal_deadline,
      the_wheel_works_on_at_the_end_of_time,
      a_timer_may_go_to_another_wheel_once_it_is_unarmed,
      container_is_the_object_of_which_the_timer_is_a_member,
      check_takes_no_place_for_the_reason,
      check_finds_an_armed_timer_that_was_overwritten,
      check_finds_a_flipped_bit_in_the_link_back,
      check_finds_a_list_that_was_cut_or_made_a_ring,
      check_finds_a_deadline_brought_forward_in_place,
      check_finds_a_due_timer_that_is_not_due,
      check_finds_due_timers_out_of_order,
      check_finds_an_arming_number_from_the_future,
      check_finds_a_wrong_count,
      check_finds_a_wrong_bit_of_the_occupied_slots,
      check_finds_clocks_that_contradict_each_other,
      check_finds_a_slot_that_lost_its_timers,
      check_finds_a_list_head_that_was_lost)
