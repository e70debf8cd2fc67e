/*
 * Clauses C11 and C12 of the contract: what the end of a scope, of a group or of a block makes of
 * a cancel, and which of several scopes that are due owns it.
 */
#include "scenario.h"

/* ---------------------------------------------------------------------------------- C11 */

SCENARIO(C11_other_values_come_back_unchanged)
{
	static const int values[] = { 0, 1, 42, INT32_MAX, -1, -EIO, TMO, -EPIPE, INT32_MIN };

	for (size_t i = 0; i < LENGTH(values); i++) {
		co_scope o = CO_SCOPE_INIT;
		co_scope s = CO_SCOPE_INIT;

		begin_cancelled(&o, EIO);
		co_scope_begin(&s, 0);
		IS(co_scope_end(&s, values[i]), values[i]);
		ck_assert(!co_scope_caught(&s));
		ck_assert(co_scope_cancelled(&s));
		IS(co_scope_end(&o, values[i]), values[i]);
		ck_assert(!co_scope_caught(&o));
	}
}

SCENARIO(C11_a_live_scope_passes_a_strange_cancel_on)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	IS(co_scope_end(&s, CANC), CANC);
	ck_assert(!co_scope_caught(&s));
	ck_assert(!co_scope_cancelled(&s));
}

static int expire_inside(void *arg)
{
	co_scope s = CO_SCOPE_INIT;
	int rc;

	co_scope_begin(&s, 0);
	rc = co_scope_end(&s, co_checkpoint());
	*(int *)arg = rc;
	return rc;
}

/* The way outward goes on through the group to the scopes of its owner. */
SCENARIO(C11_the_owner_s_scope_beats_the_child_s)
{
	co_scope o = CO_SCOPE_INIT;
	int rc = 99;
	co_group g;

	co_scope_begin(&o, CO_FOREVER);
	co_group_begin(&g, CO_GROUP_COLLECT);
	spawn(&g, expire_inside, &rc);
	IS(co_scope_cancel(&o, EPIPE), 0);
	IS(co_group_end(&g, 0), CANC);
	IS(rc, CANC);
	IS(co_scope_end(&o, CANC), -EPIPE);
}

/* But not past a shield of the owner. */
SCENARIO(C11_a_shield_of_the_owner_lets_the_child_s_win)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope h = CO_SCOPE_INIT;
	int rc = 99;
	co_group g;

	begin_cancelled(&o, EPIPE);
	co_scope_begin_shield(&h, MS(10));
	co_group_begin(&g, CO_GROUP_COLLECT);
	spawn(&g, expire_inside, &rc);
	IS(co_group_end(&g, 0), 0);
	IS(rc, TMO);
	IS(co_scope_end(&h, 0), 0);
	IS(co_scope_end(&o, 0), 0);
}

SCENARIO(C11_a_group_maps_a_cut_like_a_scope)
{
	static const int errs[] = { 0, EPIPE, ENOSPC };

	for (size_t i = 0; i < LENGTH(errs); i++) {
		for (int outer = 0; outer < 2; outer++) {
			co_scope o = CO_SCOPE_INIT;
			co_group g;
			int rc;

			co_scope_begin(&o, CO_FOREVER);
			co_group_begin(&g, CO_GROUP_FAIL_FAST);
			IS(co_group_cancel(&g, errs[i]), 0);
			if (outer)
				IS(co_scope_cancel(&o, EIO), 0);
			rc = co_group_end(&g, co_checkpoint());
			IS(rc, outer ? CANC : -errs[i]);
			IS(co_scope_end(&o, rc), outer ? -EIO : -errs[i]);
		}
	}
}

/* ---------------------------------------------------------------------------------- C12 */

/* Three scopes, due together or overdue together, whose deadlines were set in any order. */
SCENARIO(C12_the_outermost_wins)
{
	static const int orders[][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};

	for (int n = 0; n < 6 * 2 * 6; n++) {
		const int *arming = orders[n % 6];
		const int *late = orders[n / 12];
		bool stalled = n / 6 % 2;
		co_ns base = co_now();
		co_scope s[3] = { CO_SCOPE_INIT, CO_SCOPE_INIT, CO_SCOPE_INIT };

		for (int k = 0; k < 3; k++)
			co_scope_begin(&s[k], MS(1000));
		for (int k = 0; k < 3; k++) {
			co_ns dur = MS(stalled ? 10 + 10 * late[arming[k]] : 10);

			IS(co_scope_set_deadline(&s[arming[k]], base + dur), 0);
		}
		if (stalled)
			stall(MS(50));
		IS(co_sleep(MS(500)), CANC);
		IS(co_now(), base + MS(stalled ? 50 : 10));
		IS(co_scope_end(&s[2], CANC), CANC);
		IS(co_scope_end(&s[1], CANC), CANC);
		IS(co_scope_end(&s[0], CANC), TMO);
	}
}

/* Where only the clock has moved, and a checkpoint is what looks. */
SCENARIO_WITH(C12_the_outermost_wins_at_a_checkpoint, injected())
{
	co_scope o = CO_SCOPE_INIT;
	co_scope i = CO_SCOPE_INIT;
	int rc = 0;

	co_scope_begin(&o, MS(20));
	co_scope_begin(&i, MS(10));
	shown = MS(50);
	for (int n = 0; n < 65 && rc == 0; n++)
		rc = co_checkpoint();
	IS(co_scope_end(&i, rc), CANC);
	IS(co_scope_end(&o, CANC), TMO);
}

enum finder { BEGIN_DUE, MOVE_DUE, MOVE_TO_NOW, FINDERS };

static void begin_inner(co_scope *i, enum finder how)
{
	if (how != BEGIN_DUE)
		co_scope_begin(i, how == MOVE_DUE ? MS(10) : MS(100));
	shown += MS(20);
	if (how == BEGIN_DUE)
		co_scope_begin(i, 0);
	else if (how == MOVE_DUE)
		IS(co_scope_rearm(i, MS(50)), -EALREADY);
	else
		IS(co_scope_set_deadline(i, shown), 0);
	ck_assert(co_scope_cancelled(i));
}

/* Where the inner is found to be due by a begin or a move, and the outer is overdue as well. */
SCENARIO_WITH(C12_the_outermost_wins_at_a_begin_and_a_move, injected())
{
	for (int how = 0; how < FINDERS; how++) {
		co_scope o = CO_SCOPE_INIT;
		co_scope i = CO_SCOPE_INIT;

		co_scope_begin(&o, MS(10));
		begin_inner(&i, (enum finder)how);
		IS(co_scope_end(&i, co_checkpoint()), CANC);
		IS(co_scope_end(&o, CANC), TMO);
	}
}

SCENARIO(C12_unless_a_shield_lies_between)
{
	for (int stalled = 0; stalled < 2; stalled++) {
		co_scope o = CO_SCOPE_INIT;
		co_scope h = CO_SCOPE_INIT;
		co_scope i = CO_SCOPE_INIT;

		co_scope_begin(&o, MS(10));
		co_scope_begin_shield(&h, MS(100));
		co_scope_begin(&i, MS(10));
		if (stalled)
			stall(MS(50));
		IS(co_scope_end(&i, co_sleep(CO_FOREVER)), TMO);
		IS(co_sleep(MS(1)), 0);
		IS(co_scope_end(&h, 0), 0);
		IS(co_scope_end(&o, co_sleep(MS(1))), TMO);
	}
}

SCENARIO(C12_a_shield_due_with_its_parent_owns_its_timeout)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope h = CO_SCOPE_INIT;

	co_scope_begin(&o, MS(10));
	co_scope_begin_shield(&h, MS(10));
	IS(co_scope_end(&h, co_sleep(CO_FOREVER)), TMO);
	ck_assert(co_scope_caught(&h));
	IS(co_scope_end(&o, co_checkpoint()), TMO);
	AT(10);
}

static int expire_at_10(void *arg)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin_at(&s, MS(10), 0);
	*(int *)arg = co_scope_end(&s, co_sleep(CO_FOREVER));
	return CANC;
}

SCENARIO(C12_the_owner_s_scope_is_the_outer_one)
{
	co_scope o = CO_SCOPE_INIT;
	int rc = 99;
	co_group g;

	co_scope_begin_at(&o, MS(10), 0);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, expire_at_10, &rc);
	IS(co_group_end(&g, 0), CANC);
	IS(rc, CANC);
	IS(co_scope_end(&o, CANC), TMO);
	AT(10);
}

/* The begin alone finds them both: no point after it looks at the clock. */
SCENARIO(C12_a_due_begin_expires_what_is_overdue_around_it)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope i = CO_SCOPE_INIT;

	co_scope_begin(&o, MS(10));
	stall(MS(50));
	co_scope_begin(&i, 0);
	ck_assert(co_scope_cancelled(&o));
	IS(co_scope_end(&i, co_sleep(MS(1))), CANC);
	IS(co_scope_end(&o, CANC), TMO);
}

static int begin_due_after_a_stall(void *arg)
{
	co_scope i = CO_SCOPE_INIT;

	stall(MS(50));
	co_scope_begin(&i, 0);
	*(int *)arg = co_scope_end(&i, co_sleep(MS(1)));
	return CANC;
}

/* And those of the owner, outside its group. */
SCENARIO(C12_a_due_begin_of_a_child_expires_the_owner_s)
{
	co_scope o = CO_SCOPE_INIT;
	int rc = 99;
	co_group g;

	co_scope_begin(&o, MS(10));
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, begin_due_after_a_stall, &rc);
	IS(co_group_end(&g, 0), CANC);
	IS(rc, CANC);
	IS(co_scope_end(&o, CANC), TMO);
	AT(50);
}

/* ------------------------------------------------------------------- wrappers and blocks */

static int minus_eio_after_expiry(void *unused)
{
	(void)unused;
	IS(co_sleep(CO_FOREVER), CANC);
	return -EIO;
}

SCENARIO(C11_co_timeout_gives_what_its_scope_gives)
{
	co_scope o = CO_SCOPE_INIT;

	IS(co_timeout(MS(10), five, NULL), 5);
	IS(co_timeout(MS(10), sleep_forever, NULL), TMO);
	AT(10);
	IS(co_timeout(MS(10), minus_eio_after_expiry, NULL), -EIO);
	AT(20);
	IS(co_timeout(CO_FOREVER, sleep_ms, num(5)), 0);
	AT(25);
	co_scope_begin(&o, MS(10));
	IS(co_timeout(MS(10), sleep_forever, NULL), CANC);
	IS(co_timeout(0, sleep_forever, NULL), CANC);
	IS(co_scope_end(&o, CANC), TMO);
	AT(35);
	IS(co_deadline(), CO_FOREVER);
}

SCENARIO(C11_a_block_has_a_result)
{
	co_scope s;
	int rc = 0;

	co_with_timeout(&s, MS(10))
		rc = co_sleep(CO_FOREVER);
	IS(rc, CANC);
	AT(10);
	IS(co_deadline(), CO_FOREVER);
	IS(co_scope_result(&s, rc), TMO);
	ck_assert(co_scope_caught(&s));

	co_with_timeout(&s, MS(10)) {
		IS(co_deadline(), MS(20));
		rc = 42;
	}
	IS(co_scope_result(&s, rc), 42);
	ck_assert(!co_scope_caught(&s));

	co_with_timeout(&s, 0) {
		note('x');
		rc = co_checkpoint();
	}
	ck_assert_str_eq(notes(), "x");
	IS(co_scope_result(&s, rc), TMO);

	co_with_timeout(&s, MS(10)) {
		IS(co_scope_cancel(&s, EPIPE), 0);
		rc = co_yield_now();
	}
	IS(co_scope_result(&s, rc), -EPIPE);
}

/* What happens after the block was left does not change its result. */
SCENARIO(C11_a_block_is_judged_as_of_when_it_was_left)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope s;
	int rc = 0;

	co_scope_begin(&o, CO_FOREVER);
	co_with_timeout(&s, MS(10))
		rc = co_sleep(CO_FOREVER);
	IS(co_scope_cancel(&o, 0), 0);
	IS(co_scope_result(&s, rc), TMO);
	co_with_timeout(&s, 0)
		rc = co_checkpoint();
	IS(co_scope_end(&o, CANC), 0);
	IS(co_scope_result(&s, rc), CANC);
	ck_assert(!co_scope_caught(&s));

	co_with_timeout(&s, MS(10))
		rc = co_sleep(MS(5));
	IS(co_sleep(MS(20)), 0);
	IS(co_scope_result(&s, CANC), CANC);
}

SCENARIO_WITH(C11_an_open_scope_has_no_result, hearing())
{
	co_scope s = CO_SCOPE_INIT;
	co_scope in_block;

	co_scope_begin(&s, MS(10));
	IS(co_scope_result(&s, 7), -EINVAL);
	IS(misuses()->count, 1);
	IS(misuses()->kind[0], CO_MISUSE_SCOPE_STATE);
	IS(co_deadline(), MS(10));
	IS(co_scope_end(&s, 7), 7);
	co_with_timeout(&in_block, MS(10))
		IS(co_scope_result(&in_block, 7), -EINVAL);
	IS(misuses()->count, 2);
	IS(co_scope_result(&in_block, 7), 7);
	IS(misuses()->count, 2);
}

static int return_from_blocks(co_scope *outer, co_scope *inner)
{
	co_with_timeout(outer, MS(100)) {
		co_with_shield(inner, MS(10)) {
			return co_sleep(CO_FOREVER);
		}
	}
	return 99;
}

SCENARIO_WITH(C11_a_block_is_left_by_return, hearing())
{
	co_scope outer, inner;
	int rc = return_from_blocks(&outer, &inner);

	IS(rc, CANC);
	IS(co_deadline(), CO_FOREVER);
	IS(co_scope_result(&inner, rc), TMO);
	IS(co_scope_result(&outer, 0), 0);
	IS(misuses()->count, 0);
}

SCENARIO_WITH(C11_a_block_is_left_by_break_and_continue, hearing())
{
	int after_break = 0;
	int after_continue = 0;

	for (int i = 0; i < 3; i++) {
		co_scope s;
		int rc = 0;

		co_with_timeout(&s, MS(10)) {
			rc = co_sleep(CO_FOREVER);
			break;
		}
		IS(co_deadline(), CO_FOREVER);
		IS(co_scope_result(&s, rc), TMO);
		after_break++;
		co_with_timeout(&s, MS(10)) {
			if (rc)
				continue;
			after_continue = 99;
		}
		IS(co_deadline(), CO_FOREVER);
		IS(co_scope_result(&s, 8), 8);
		after_continue++;
	}
	IS(after_break, 3);
	IS(after_continue, 3);
	AT(30);
	IS(misuses()->count, 0);
}

SCENARIO_WITH(C11_a_block_is_left_by_goto, hearing())
{
	co_scope a, b;
	int times = 0;

again:
	co_with_timeout(&a, MS(100)) {
		co_with_timeout(&b, MS(10)) {
			if (++times < 5)
				goto again;
			goto out;
		}
		times = 99;
	}
	times = 99;
out:
	IS(times, 5);
	IS(co_deadline(), CO_FOREVER);
	IS(co_scope_result(&b, 1), 1);
	IS(co_scope_result(&a, 2), 2);
	IS(misuses()->count, 0);
}

SUITE("contract: ends",
	C11_other_values_come_back_unchanged,
	C11_a_live_scope_passes_a_strange_cancel_on,
	C11_the_owner_s_scope_beats_the_child_s,
	C11_a_shield_of_the_owner_lets_the_child_s_win,
	C11_a_group_maps_a_cut_like_a_scope,
	C12_the_outermost_wins,
	C12_the_outermost_wins_at_a_checkpoint,
	C12_the_outermost_wins_at_a_begin_and_a_move,
	C12_unless_a_shield_lies_between,
	C12_a_shield_due_with_its_parent_owns_its_timeout,
	C12_the_owner_s_scope_is_the_outer_one,
	C11_co_timeout_gives_what_its_scope_gives,
	C11_a_block_has_a_result,
	C11_a_block_is_judged_as_of_when_it_was_left,
	C11_an_open_scope_has_no_result,
	C11_a_block_is_left_by_return,
	C11_a_block_is_left_by_break_and_continue,
	C11_a_block_is_left_by_goto,
	C12_a_due_begin_expires_what_is_overdue_around_it,
	C12_a_due_begin_of_a_child_expires_the_owner_s)
