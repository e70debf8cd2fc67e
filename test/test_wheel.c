/* The promises of whorl/wheel.h, one test each. */
#include "wheel_tests.h"

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
	uint64_t order; /* of arming */
};

/* More than a cache holds: a wheel may treat so many in other ways. */
static struct item items[60000];

/* Pops all that is due at `now` and checks the order; then nothing that is left is due. */
static void pop_in_order(struct wheel *w, uint64_t now)
{
	const struct item *last = NULL;
	struct wheel_timer *t;

	wheel_advance(w, now);
	while ((t = wheel_pop(w)) != NULL) {
		const struct item *item = WHEEL_CONTAINER(t, struct item, timer);

		MUST(wheel_expires(t) <= now);
		if (last != NULL && wheel_expires(&last->timer) == wheel_expires(t))
			MUST(last->order < item->order);
		else if (last != NULL)
			MUST(wheel_expires(&last->timer) < wheel_expires(t));
		last = item;
	}
	for (size_t i = 0; i < LENGTH(items); i++)
		MUST(!wheel_armed(&items[i].timer) || wheel_expires(&items[i].timer) > now);
	must_be_sound(w);
}

START_TEST(the_order_holds_for_tens_of_thousands_of_timers)
{
	static const uint64_t spreads[] = { 1,	  60,	  64,	   1000,
					    4096, 100000, 1 << 30, UINT64_C(1) << 50 };
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

/* Timers by the hundred are due, of which each, once it is popped, is armed again for a tick that has
 * passed too, but is later than those of the others: it is not put in its place among them. */
START_TEST(what_is_armed_in_the_past_does_not_walk_past_what_is_due_before_it)
{
	enum { N = 500, AT = 1000, LATE = 1 };
	static struct wheel w;
	static struct wheel_timer timer[N];
	struct wheel_timer *t;

	wheel_init(&w, 0);
	for (unsigned i = 0; i < N; i++)
		wheel_arm(&w, &timer[i], AT);
	wheel_advance(&w, AT + LATE);
	for (unsigned i = 0; i < N; i++) {
		MUST(wheel_pop(&w) == &timer[i]);
		wheel_arm(&w, &timer[i], AT + LATE);
		wheel_advance(&w, AT + LATE);
		for (t = wheel_peek(&w, NULL); t; t = wheel_peek(&w, t))
			MUST(wheel_expires(t) == AT);
		must_be_sound(&w);
	}
	for (unsigned i = 0; i < N; i++)
		MUST(wheel_pop(&w) == &timer[i]);
	MUST(wheel_pop(&w) == NULL);
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

/* A thousand deadlines on as many ticks, each with as much slack as they spread over: a quarter of
 * the wakes is far from the best, and out of reach for a wheel that ignores slack. */
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

/* The earliest timer is moved away, out of every level into every other; whatever wheel_next says
 * then, it leads to the tick. */
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

static void arm_within(struct wheel *w, struct wheel_timer *t, unsigned bits, uint64_t *random)
{
	wheel_arm(w, t, wheel_now(w) + (suite_random(random) >> (64 - bits)));
}

/* Timers over `bits` bits of time, armed again as they fire; some are moved or disarmed before. */
static void wakes_of_a_load(unsigned bits, unsigned moves)
{
	static struct wheel_timer t[64];
	uint64_t random = suite_seed(), arms = 0, wakes = 0;
	struct wheel_timer *any;
	static struct wheel w;

	memset(t, 0, sizeof(t));
	wheel_init(&w, UINT64_C(1) << bits);
	for (; arms < LENGTH(t); arms++)
		arm_within(&w, &t[arms], bits, &random);
	while (wheel_count(&w) > 0) {
		uint64_t next = wheel_next(&w), now = wheel_now(&w);

		wheel_advance(&w, next > now ? next : now);
		MUST(++wakes <= 16 * arms);
		while ((any = wheel_pop(&w)) != NULL)
			if (arms < 3000) {
				arm_within(&w, any, bits, &random);
				arms++;
			}
		for (unsigned m = 0; m < moves && arms < 3000; m++, arms++) {
			any = &t[suite_random(&random) % LENGTH(t)];
			if (m % 8 == 7)
				wheel_disarm(&w, any);
			arm_within(&w, any, bits, &random);
		}
	}
	must_be_sound(&w);
	if (wakes > 2 * arms)
		ck_abort_msg("%d bits, %u moves: %" PRIu64 " wakes for %" PRIu64 " arms", bits,
			     moves, wakes, arms);
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

START_TEST(peek_names_what_is_popped_next)
{
	static struct wheel_timer timers[50];
	static struct wheel w;

	wheel_init(&w, 0);
	ck_assert_ptr_null(wheel_peek(&w, NULL));
	for (unsigned i = 0; i < LENGTH(timers); i++)
		wheel_arm(&w, &timers[i], 1000 + i * 7 % LENGTH(timers));
	ck_assert_ptr_null(wheel_peek(&w, NULL)); /* nothing was sorted yet */
	wheel_advance(&w, 1000);
	ck_assert_ptr_eq(wheel_pop(&w), &timers[0]);
	ck_assert_ptr_nonnull(wheel_peek(&w, NULL));
	wheel_advance(&w, TOP);
	for (struct wheel_timer *t, *next; (t = wheel_pop(&w)) != NULL;) {
		if ((next = wheel_peek(&w, NULL)) == NULL)
			continue;
		ck_assert_uint_eq(wheel_expires(next), wheel_expires(t) + 1);
		for (; (t = wheel_peek(&w, next)) != NULL; next = t)
			ck_assert_uint_eq(wheel_expires(t), wheel_expires(next) + 1);
	}
	must_be_sound(&w);
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

/* clang-format off */
SUITE("wheel",
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
      what_is_armed_in_the_past_does_not_walk_past_what_is_due_before_it,
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
      peek_names_what_is_popped_next,
      container_is_the_object_of_which_the_timer_is_a_member)
/* clang-format on */
