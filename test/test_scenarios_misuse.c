/*
 * Conformance scenarios, group R: misuse that must be caught. Each row of the table of kinds
 * is in test_contract_misuse.c.
 */
#include "actor.h"

/* The hook was called, with this kind alone, since the last of these. */
static void caught(enum co_misuse kind)
{
	ck_assert_int_ge(misuses()->count, 1);
	for (int i = 0; i < misuses()->count; i++) {
		IS(misuses()->kind[i], kind);
		ck_assert_ptr_nonnull(misuses()->site[i]);
		ck_assert_uint_gt(strlen(misuses()->text[i]), 0);
	}
	misuses()->count = 0;
}

/* C39 */
SCENARIO_WITH(S251_end_out_of_order, hearing())
{
	co_scope o = CO_SCOPE_INIT, i = CO_SCOPE_INIT;

	co_scope_begin(&o, MS(100));
	co_scope_begin(&i, MS(50));
	IS(co_scope_end(&o, 3), 3);
	IS(misuses()->count, 1);
	caught(CO_MISUSE_SCOPE_ORDER);
	IS(co_deadline(), CO_FOREVER);
	IS(co_scope_end(&i, 4), 4);
	IS(co_sleep(MS(200)), 0);
	IS(misuses()->count, 0);
}

static int ends_it(void *s)
{
	return co_scope_end(s, 0);
}

/* C39 */
SCENARIO_WITH(S252_end_from_another_coroutine, hearing())
{
	co_scope s = CO_SCOPE_INIT;
	co_group g;

	co_group_begin(&g, CO_GROUP_COLLECT);
	co_scope_begin(&s, MS(50));
	IS(join(spawn(&g, ends_it, &s)), -EINVAL);
	caught(CO_MISUSE_SCOPE_OWNER);
	IS(co_deadline(), MS(50));
	IS(co_sleep(MS(100)), CANC);
	IS(co_scope_end(&s, CANC), TMO);
	IS(co_group_end(&g, 0), 0);
	IS(misuses()->count, 0);
}

static ON_THE_STACK int returns_early(int rc)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	if (rc)
		return rc;
	return co_scope_end(&s, 0);
}

/* some way down the stack, so that whatever is called next lies above it */
static ON_THE_STACK int calls_it(int rc)
{
	char room[4096];

	__asm__ volatile("" : : "r"(room) : "memory"); /* the room must be there */
	rc = returns_early(rc);
	__asm__ volatile("" : : "r"(room) : "memory");
	return rc;
}

/* C39 */
SCENARIO_WITH(S254_early_return_without_end, hearing())
{
	IS(calls_it(0), 0);
	IS(co_yield_now(), 0);
	IS(misuses()->count, 0);
	IS(calls_it(-EIO), -EIO);
	IS(co_sleep(MS(20)), 0);
	caught(CO_MISUSE_SCOPE_LEAKED);
	AT(20);
	IS(co_deadline(), CO_FOREVER);
	IS(co_yield_now(), 0);
	IS(misuses()->count, 0);
}

static co_scope left_open[2];

static int leaves_open(void *unused)
{
	(void)unused;
	co_scope_begin(&left_open[0], MS(10));
	co_scope_begin(&left_open[1], MS(20));
	return 5;
}

/* C39 */
SCENARIO_WITH(S255_coroutine_returns_with_an_open_scope, hearing())
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(join(spawn(&g, leaves_open, NULL)), 5);
	caught(CO_MISUSE_SCOPE_LEAKED);
	IS(co_scope_set_deadline(&left_open[0], MS(30)), -ESRCH);
	IS(co_scope_set_deadline(&left_open[1], MS(30)), -ESRCH);
	IS(co_sleep(MS(50)), 0);
	IS(co_group_end(&g, 0), 0);
	IS(misuses()->count, 0);
}

static int leaves_by_return(co_scope *s)
{
	co_with_timeout (s, MS(10))
		return co_sleep(CO_FOREVER);
	return 99;
}

static int leaves_by_goto(co_scope *s, int rounds)
{
	int rc = 0;

again:
	co_with_timeout (s, MS(10)) {
		rc = co_yield_now();
		if (--rounds > 0)
			goto again;
		goto out;
	}
	rc = 99;
out:
	return rc;
}

/* C11: ended once each time; break and continue leave the block, not the loop around it */
SCENARIO_WITH(S257_block_left_by_return_break_continue_goto, hearing())
{
	co_scope s;
	int turns = 0, rc;

	rc = leaves_by_return(&s);
	IS(rc, CANC);
	IS(co_scope_result(&s, rc), TMO);
	IS(co_deadline(), CO_FOREVER);
	IS(leaves_by_goto(&s, 5), 0);
	IS(co_deadline(), CO_FOREVER);
	for (int i = 0; i < 3; i++) {
		co_with_timeout (&s, MS(10)) {
			if (i == 1)
				break;
			turns += 100;
		}
		co_with_shield (&s, MS(10)) {
			if (i == 2)
				continue;
			turns += 1000;
		}
		IS(co_scope_result(&s, i), i);
		IS(co_deadline(), CO_FOREVER);
		turns++;
	}
	IS(turns, 2203);
	IS(co_sleep(MS(50)), 0);
	IS(misuses()->count, 0);
}

/* C39 */
SCENARIO_WITH(S260_uninitialised_scope_object, hearing())
{
	co_scope s;

	memset(&s, 0xA5, sizeof(s));
	co_scope_begin(&s, MS(10));
	caught(CO_MISUSE_SCOPE_STATE);
	IS(co_sleep(MS(50)), 0);
	IS(misuses()->count, 0);
}

/* C39 */
START_TEST(S261_blocking_call_outside_the_runtime)
{
	IS(co_sleep(MS(1)), -EPERM);
	IS(co_yield_now(), -EPERM);
	IS(co_join((co_ref){ 0 }, NULL), -EPERM);
}
END_TEST

/* C39 */
SCENARIO_WITH(S263_scope_object_copied, hearing())
{
	co_scope s = CO_SCOPE_INIT, copy;

	co_scope_begin(&s, MS(10));
	memcpy(&copy, &s, sizeof(s));
	IS(co_scope_end(&copy, 0), -EINVAL);
	caught(CO_MISUSE_SCOPE_STATE);
	IS(co_deadline(), MS(10));
	IS(co_scope_end(&s, 0), 0);
	IS(misuses()->count, 0);
}

SUITE("scenarios-misuse", S251_end_out_of_order, S252_end_from_another_coroutine,
      S254_early_return_without_end, S255_coroutine_returns_with_an_open_scope,
      S257_block_left_by_return_break_continue_goto, S260_uninitialised_scope_object,
      S261_blocking_call_outside_the_runtime, S263_scope_object_copied)
