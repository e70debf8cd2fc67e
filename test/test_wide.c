/* The arithmetic of 128 bits that CPUs of 32 bits do by hand, here on any CPU: by its laws, with
 * operands of all lengths. */
#define WIDE_BY_HAND
#include "../sched/wide.h"

#include "suite.h"

#define ROUNDS (SANITIZED ? 20000 : 200000)

static uint64_t seed;

/* Of any length; half of them end in ones or zeros, where carries are. */
static uint64_t draw(void)
{
	uint64_t n = suite_random(&seed) >> suite_random(&seed) % 64, how = suite_random(&seed) % 4;
	uint64_t tail = (UINT64_C(1) << suite_random(&seed) % 64) - 1;

	return how == 0 ? n | tail : how == 1 ? n & ~tail : n;
}

static bool same(struct wide a, struct wide b)
{
	return a.low == b.low && a.high == b.high;
}

static struct wide narrow(uint64_t n)
{
	return (struct wide){ n, 0 };
}

START_TEST(sums_and_differences)
{
	seed = suite_seed();
	for (int i = 0; i < ROUNDS; i++) {
		struct wide a = { draw(), draw() }, b = { draw(), draw() };
		struct wide sum = wide_sum(a, b), less_one = wide_difference(a, narrow(1));

		ck_assert(same(wide_difference(sum, b), a) && same(wide_difference(sum, a), b));
		ck_assert(same(wide_sum(less_one, narrow(1)), a));
		ck_assert(wide_less(less_one, a) == ((a.low | a.high) != 0));
		ck_assert(wide_less(a, b) + wide_less(b, a) + same(a, b) == 1);
	}
}
END_TEST

/* a * (b + c) by the carries of sums alone, down to a * 1. */
START_TEST(products)
{
	seed = suite_seed();
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t a = draw(), b = draw(), c = draw() & ~b;

		ck_assert(same(wide_product(a, 1), narrow(a)));
		ck_assert(same(wide_product(a, b), wide_product(b, a)));
		ck_assert(same(wide_product(a, b + c),
			       wide_sum(wide_product(a, b), wide_product(a, c))));
	}
}
END_TEST

START_TEST(quotients)
{
	seed = suite_seed();
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t n = draw(), q = draw();
		struct wide a;

		n += n == 0;
		a = wide_sum(wide_product(q, n), narrow(draw() % n));
		ck_assert(wide_quotient(a, n) == q);
		ck_assert(wide_quotient((struct wide){ a.low, n }, n) == UINT64_MAX);
	}
}
END_TEST

SUITE("wide", sums_and_differences, products, quotients)
