/*
 * Conformance scenarios, group F: shields.
 */
#include "scenario.h"

/* C5, C16 */
SCENARIO(S81_outer_cancel_is_invisible)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope h = CO_SCOPE_INIT;

	co_scope_begin(&o, CO_FOREVER);
	IS(co_scope_cancel(&o, 0), 0);
	co_scope_begin_shield(&h, MS(100));
	IS(co_sleep(MS(10)), 0);
	AT(10);
	IS(co_scope_end(&h, 0), 0);
	IS(co_yield_now(), CANC);
	IS(co_scope_end(&o, CANC), 0);
}

/* C16 */
SCENARIO(S83_inner_scope_inside_a_shield_works)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope h = CO_SCOPE_INIT;
	co_scope i = CO_SCOPE_INIT;

	co_scope_begin(&o, CO_FOREVER);
	IS(co_scope_cancel(&o, 0), 0);
	co_scope_begin_shield(&h, MS(100));
	co_scope_begin(&i, MS(5));
	IS(co_scope_end(&i, co_sleep(MS(50))), TMO);
	AT(5);
	IS(co_sleep(MS(5)), 0);
	IS(co_scope_end(&h, 0), 0);
	IS(co_scope_end(&o, 0), 0);
}

/* C5, C11: a shield's own cancel counts inside it, and is its own to catch */
SCENARIO(S84_shield_cancelled_explicitly)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope h = CO_SCOPE_INIT;

	co_scope_begin(&o, CO_FOREVER);
	IS(co_scope_cancel(&o, EPIPE), 0);
	co_scope_begin_shield(&h, MS(100));
	IS(co_scope_cancel(&h, 0), 0);
	IS(co_sleep(MS(1)), CANC);
	IS(co_scope_end(&h, CANC), 0);
	ck_assert(co_scope_caught(&h));
	IS(co_yield_now(), CANC);
	IS(co_scope_end(&o, CANC), -EPIPE);
}

/* C3, C5, C16 */
SCENARIO(S86_shield_does_not_stop_a_cancel_of_children_outside)
{
	struct nap a = { .dur = MS(1000) };
	struct nap b = { .dur = MS(1000) };
	co_scope o = CO_SCOPE_INIT;
	co_scope h = CO_SCOPE_INIT;
	struct strike at_10 = { MS(10), &o, 0 };
	struct lone striker;
	co_group g;

	lone_start(&striker, strike, &at_10);
	co_scope_begin(&o, CO_FOREVER);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, nap, &a);
	spawn(&g, nap, &b);
	co_scope_begin_shield(&h, MS(500));
	IS(co_sleep(MS(100)), 0);
	AT(100);
	IS(co_scope_end(&h, 0), 0);
	IS(a.rc, CANC);
	IS(a.at, MS(10));
	IS(b.rc, CANC);
	IS(b.at, MS(10));
	IS(co_group_end(&g, co_yield_now()), CANC);
	IS(co_scope_end(&o, CANC), 0);
	IS(lone_end(&striker), 0);
}

/* C7, C16 */
SCENARIO(S87_effective_deadline_in_a_shield)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope h = CO_SCOPE_INIT;

	co_scope_begin_at(&o, MS(5), 0);
	co_scope_begin_at(&h, MS(10), CO_SHIELD);
	IS(co_deadline(), MS(10));
	IS(co_scope_end(&h, 0), 0);
	IS(co_deadline(), MS(5));
	IS(co_scope_end(&o, 0), 0);
}

static int two_shields(void *unused)
{
	co_scope h1 = CO_SCOPE_INIT;
	co_scope h2 = CO_SCOPE_INIT;

	(void)unused;
	co_scope_begin_shield(&h1, MS(100));
	note('1');
	IS(co_yield_now(), 0);
	note('1');
	IS(co_scope_end(&h1, 0), 0);
	co_scope_begin_shield(&h2, MS(100));
	IS(co_yield_now(), 0);
	note('2');
	IS(co_scope_end(&h2, 0), 0);
	return co_yield_now();
}

/* C16 */
SCENARIO(S89_two_shields_in_a_row_with_a_cancel_between)
{
	struct lone f;

	lone_start(&f, two_shields, NULL);
	IS(co_yield_now(), 0);
	ck_assert_str_eq(notes(), "1");
	IS(co_cancel(f.ref, 0), 0);
	IS(lone_end(&f), CANC);
	ck_assert_str_eq(notes(), "112");
}

/* A level of a program whose peer is dead: its cleanup waits for an answer, 100 ms at most. */
static int level(void *arg)
{
	intptr_t depth = (intptr_t)arg;
	co_scope h = CO_SCOPE_INIT;
	int rc = depth == 1 ? co_sleep(CO_FOREVER) : level(num(depth - 1));

	co_scope_begin_shield(&h, MS(100));
	IS(co_scope_end(&h, co_sleep(CO_FOREVER)), TMO);
	return rc;
}

/* C16 */
SCENARIO(S90_total_cleanup_is_bounded)
{
	struct lone f;

	lone_start(&f, level, num(3));
	IS(co_sleep(MS(50)), 0);
	IS(co_cancel(f.ref, 0), 0);
	IS(lone_end(&f), CANC);
	AT(350);
}

static int cleanup_in_three_shields(void *unused)
{
	co_scope h[3] = { CO_SCOPE_INIT, CO_SCOPE_INIT, CO_SCOPE_INIT };
	int rc = co_sleep(CO_FOREVER);

	(void)unused;
	for (int i = 0; i < 3; i++)
		co_scope_begin_shield(&h[i], MS(100));
	for (int i = 2; i >= 0; i--)
		IS(co_scope_end(&h[i], co_sleep(CO_FOREVER)), TMO);
	return rc;
}

/* C11, C16: shields one in another share their time */
SCENARIO(S90_nested_shields_are_bounded_by_the_outermost)
{
	struct lone f;

	lone_start(&f, cleanup_in_three_shields, NULL);
	IS(co_sleep(MS(50)), 0);
	IS(co_cancel(f.ref, 0), 0);
	IS(lone_end(&f), CANC);
	AT(150);
}

SUITE("scenarios F: shields",
	S81_outer_cancel_is_invisible,
	S83_inner_scope_inside_a_shield_works,
	S84_shield_cancelled_explicitly,
	S86_shield_does_not_stop_a_cancel_of_children_outside,
	S87_effective_deadline_in_a_shield,
	S89_two_shields_in_a_row_with_a_cancel_between,
	S90_total_cleanup_is_bounded,
	S90_nested_shields_are_bounded_by_the_outermost)
