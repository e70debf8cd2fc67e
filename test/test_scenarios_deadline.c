/*
 * Conformance scenarios, group D: deadlines that are moved. "recv succeeds at t" is a sleep
 * that ends at t.
 */
#include "scenario.h"

/* C14 */
SCENARIO(S53_shrink_to_the_past)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	advance(MS(5));
	IS(co_scope_set_deadline(&s, MS(1)), 0);
	ck_assert(co_scope_cancelled(&s));
	IS(co_sleep(MS(1)), CANC);
	IS(co_sleep(MS(1)), CANC);
	AT(5);
	IS(co_scope_end(&s, CANC), TMO);
}

/* C7, C14 */
SCENARIO(S54_to_infinity)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	IS(co_sleep(MS(5)), 0);
	IS(co_scope_set_deadline(&s, CO_FOREVER), 0);
	IS(co_deadline(), CO_FOREVER);
	IS(co_sleep(MS(100)), 0);
	AT(105);
	IS(co_scope_end(&s, 0), 0);
}

/* C4, C14 */
SCENARIO(S56_too_late)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	IS(co_sleep(CO_FOREVER), CANC);
	IS(co_scope_rearm(&s, MS(100)), -EALREADY);
	IS(co_sleep(MS(1)), CANC);
	IS(co_checkpoint(), CANC);
	AT(10);
	IS(co_scope_end(&s, CANC), TMO);
}

/* C14 */
SCENARIO(S57_idle_timer)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(30));
	for (int i = 1; i <= 3; i++) {
		IS(co_sleep(MS(20)), 0);
		AT(20 * i);
		IS(co_scope_rearm(&s, MS(30)), 0);
	}
	IS(co_scope_end(&s, co_sleep(CO_FOREVER)), TMO);
	AT(90);
}

/* f: blocked in a scope of its own, which others may move; `left` tells when it came out. */
struct blocked {
	co_scope scope;
	co_ns deadline;
	co_ns left;
};

static int blocked(void *arg)
{
	struct blocked *b = arg;
	int rc;

	co_scope_begin_at(&b->scope, b->deadline, 0);
	rc = co_scope_end(&b->scope, co_sleep(CO_FOREVER));
	b->left = co_now();
	return rc;
}

/* C14 */
SCENARIO(S59_another_coroutine_moves_it)
{
	struct blocked b = { CO_SCOPE_INIT, MS(50), -1 };
	struct lone f;

	lone_start(&f, blocked, &b);
	IS(co_sleep(MS(10)), 0);
	IS(co_scope_set_deadline(&b.scope, MS(20)), 0);
	IS(lone_end(&f), TMO);
	IS(b.left, MS(20));
}

/* C14 */
SCENARIO(S60_another_coroutine_moves_it_into_the_past)
{
	struct blocked b = { CO_SCOPE_INIT, MS(50), -1 };
	struct lone f;

	lone_start(&f, blocked, &b);
	IS(co_sleep(MS(10)), 0);
	IS(co_scope_set_deadline(&b.scope, MS(5)), 0);
	ck_assert(co_scope_cancelled(&b.scope));
	IS(b.left, -1);
	IS(lone_end(&f), TMO);
	IS(b.left, MS(10));
}

/* C14 */
SCENARIO(S62_after_end)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	IS(co_scope_end(&s, 0), 0);
	IS(co_scope_set_deadline(&s, MS(1)), -ESRCH);
	IS(co_scope_rearm(&s, MS(1)), -ESRCH);
	IS(co_deadline(), CO_FOREVER);
	IS(co_sleep(MS(50)), 0);
	AT(50);
}

/* C9, C14: all timers of a tick are processed before any coroutine runs */
SCENARIO(S63_move_on_the_very_tick_it_is_due)
{
	struct blocked b = { CO_SCOPE_INIT, MS(10), -1 };
	struct lone f;

	lone_start(&f, blocked, &b);
	IS(co_sleep_until(MS(10)), 0);
	IS(b.left, -1);
	IS(co_scope_set_deadline(&b.scope, MS(20)), -EALREADY);
	IS(lone_end(&f), TMO);
	IS(b.left, MS(10));
}

SUITE("scenarios D: moved deadlines",
	S53_shrink_to_the_past,
	S54_to_infinity,
	S56_too_late,
	S57_idle_timer,
	S59_another_coroutine_moves_it,
	S60_another_coroutine_moves_it_into_the_past,
	S62_after_end,
	S63_move_on_the_very_tick_it_is_due)
