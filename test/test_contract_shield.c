/*
 * Clause C16 of the contract: shields.
 */
#include "scenario.h"

/* ---------------------------------------------------------------------------------- C16 */

static int body_ran;

static int run_body(void *unused)
{
	(void)unused;
	body_ran++;
	return co_sleep(MS(1));
}

static void expect_refusal(int count)
{
	IS(misuses()->count, count);
	IS(misuses()->kind[count - 1], CO_MISUSE_SHIELD);
}

SCENARIO_WITH(C16_an_endless_shield_is_refused, hearing())
{
	static const int values[] = { 0, 7, CANC, -EIO };
	int count = 0;

	for (size_t i = 0; i < LENGTH(values); i++) {
		co_scope o = CO_SCOPE_INIT;
		co_scope h = CO_SCOPE_INIT;
		co_scope at = CO_SCOPE_INIT;

		begin_cancelled(&o, 0);
		co_scope_begin_shield(&h, CO_FOREVER);
		expect_refusal(++count);
		IS(co_yield_now(), CANC);
		co_scope_begin_at(&at, CO_FOREVER, CO_SHIELD);
		expect_refusal(++count);
		IS(co_yield_now(), CANC);
		IS(co_scope_end(&at, values[i]), values[i]);
		IS(co_scope_end(&o, CANC), 0);
		IS(co_scope_end(&h, values[i]), values[i]);
		IS(misuses()->count, count);
	}
}

/* C7: an end that is only reached by saturation is none. */
SCENARIO_WITH(C16_endless_by_saturation, hearing())
{
	co_scope h = CO_SCOPE_INIT;

	IS(co_sleep(MS(10)), 0);
	co_scope_begin_shield(&h, CO_FOREVER - 1);
	expect_refusal(1);
	IS(co_scope_end(&h, 7), 7);
	IS(co_shield(CO_FOREVER - MS(10), run_body, NULL), -EINVAL);
	expect_refusal(2);
	IS(body_ran, 0);
	IS(co_shield(CO_FOREVER - MS(10) - 1, run_body, NULL), 0);
	IS(body_ran, 1);
	IS(misuses()->count, 2);
}

SCENARIO_WITH(C16_an_endless_co_shield_does_not_call, hearing())
{
	IS(co_shield(CO_FOREVER, run_body, NULL), -EINVAL);
	expect_refusal(1);
	IS(body_ran, 0);
	AT(0);
}

SCENARIO_WITH(C16_an_endless_block_is_skipped, hearing())
{
	co_scope h;

	co_with_shield(&h, CO_FOREVER)
		body_ran++;
	expect_refusal(1);
	IS(body_ran, 0);
	IS(co_deadline(), CO_FOREVER);
	IS(co_sleep(MS(1)), 0);
}

SCENARIO_WITH(C16_co_shield_runs_under_a_cancelled_scope, hearing())
{
	co_scope o = CO_SCOPE_INIT;

	begin_cancelled(&o, EPIPE);
	IS(co_shield(MS(10), run_body, NULL), 0);
	AT(1);
	IS(co_shield(MS(10), sleep_forever, NULL), TMO);
	AT(11);
	IS(co_shield(MS(10), five, NULL), 5);
	IS(co_yield_now(), CANC);
	IS(co_scope_end(&o, CANC), -EPIPE);
	IS(misuses()->count, 0);
}

SCENARIO(C16_a_shield_hides_outer_cancels_only)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope h = CO_SCOPE_INIT;
	co_scope i = CO_SCOPE_INIT;

	begin_cancelled(&o, EIO);
	co_scope_begin_shield(&h, MS(100));
	co_scope_begin(&i, MS(50));
	IS(co_time_left(), MS(50));
	IS(co_scope_cancel(&i, EPIPE), 0);
	IS(co_sleep(MS(1)), CANC);
	IS(co_scope_end(&i, CANC), -EPIPE);
	IS(co_sleep(MS(1)), 0);
	IS(co_scope_end(&h, co_sleep(CO_FOREVER)), TMO);
	AT(100);
	IS(co_scope_end(&o, CANC), -EIO);
}

/* The cancel comes while the coroutine is parked in its shield: it stays parked. */
SCENARIO(C16_a_cancel_does_not_wake_the_shielded)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope h = CO_SCOPE_INIT;
	struct strike at_10 = { MS(10), &o, 0 };
	struct lone striker;

	lone_start(&striker, strike, &at_10);
	co_scope_begin(&o, MS(20));
	co_scope_begin_shield(&h, MS(100));
	IS(co_sleep(MS(50)), 0);
	AT(50);
	IS(co_checkpoint(), 0);
	IS(co_scope_end(&h, 0), 0);
	IS(co_scope_end(&o, co_checkpoint()), 0);
	IS(lone_end(&striker), 0);
}

SCENARIO(C16_a_shield_block_shields)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope h;
	int rc = 0;

	begin_cancelled(&o, EPIPE);
	co_with_shield(&h, MS(10))
		rc = co_sleep(MS(5));
	IS(rc, 0);
	AT(5);
	co_with_shield(&h, MS(10))
		rc = co_sleep(CO_FOREVER);
	IS(co_scope_result(&h, rc), TMO);
	AT(15);
	IS(co_scope_end(&o, co_checkpoint()), -EPIPE);
}

/* What was stored before the begin is not told by a scope that never was one. */
SCENARIO_WITH(C16_a_refused_scope_answers_for_nothing, hearing())
{
	co_scope h = CO_SCOPE_INIT;
	co_scope b;

	IS(co_scope_cancel(&h, EIO), 0);
	co_scope_begin_shield(&h, CO_FOREVER);
	expect_refusal(1);
	IS(co_scope_end(&h, CANC), CANC);
	ck_assert(!co_scope_caught(&h));
	co_with_shield(&b, CO_FOREVER)
		body_ran++;
	expect_refusal(2);
	IS(body_ran, 0);
	IS(co_scope_result(&b, CANC), CANC);
	IS(co_scope_result(&b, 5), 5);
	IS(co_scope_cancel(&b, 0), -ESRCH);
	IS(misuses()->count, 2);
}

/* C14: nor by a move; the shield keeps the end it has. */
SCENARIO_WITH(C16_a_shield_is_not_moved_to_no_end, hearing())
{
	co_scope o = CO_SCOPE_INIT;
	co_scope h = CO_SCOPE_INIT;

	begin_cancelled(&o, EPIPE);
	co_scope_begin_shield(&h, MS(10));
	IS(co_scope_set_deadline(&h, CO_FOREVER), -EINVAL);
	expect_refusal(1);
	IS(co_scope_rearm(&h, CO_FOREVER), -EINVAL);
	expect_refusal(2);
	IS(co_deadline(), MS(10));
	IS(co_scope_rearm(&h, MS(20)), 0);
	IS(co_scope_end(&h, co_sleep(CO_FOREVER)), TMO);
	AT(20);
	IS(co_scope_end(&o, CANC), -EPIPE);
	IS(misuses()->count, 2);
}

/* The scopes around a shield expire on time all the same: what else is in them is cut then. */
SCENARIO(C16_a_deadline_outside_goes_on)
{
	struct nap child = { .dur = CO_FOREVER };
	co_scope o = CO_SCOPE_INIT;
	co_scope h = CO_SCOPE_INIT;
	co_group g;

	co_scope_begin(&o, MS(10));
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, nap, &child);
	co_scope_begin_shield(&h, MS(100));
	IS(co_sleep(MS(50)), 0);
	IS(child.rc, CANC);
	IS(child.at, MS(10));
	IS(co_scope_end(&h, 0), 0);
	IS(co_group_end(&g, CANC), CANC);
	IS(co_scope_end(&o, CANC), TMO);
	AT(50);
}

SUITE("contract: shields",
	C16_an_endless_shield_is_refused,
	C16_endless_by_saturation,
	C16_an_endless_co_shield_does_not_call,
	C16_an_endless_block_is_skipped,
	C16_co_shield_runs_under_a_cancelled_scope,
	C16_a_shield_hides_outer_cancels_only,
	C16_a_cancel_does_not_wake_the_shielded,
	C16_a_shield_block_shields,
	C16_a_refused_scope_answers_for_nothing,
	C16_a_shield_is_not_moved_to_no_end,
	C16_a_deadline_outside_goes_on)
