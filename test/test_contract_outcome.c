/*
 * Clauses C7 and C8 of the contract: what a call looks at before it does anything, and that each
 * operation has one outcome, fixed when its waiter is picked.
 */
#include "scenario.h"

/* ---------------------------------------------------------------------------------- C7 */

SCENARIO(C7_no_time_is_left_in_a_cancelled_scope)
{
	co_scope s = CO_SCOPE_INIT;
	co_scope i = CO_SCOPE_INIT;

	IS(co_sleep(MS(10)), 0);
	co_scope_begin(&s, MS(100));
	IS(co_time_left(), MS(100));
	IS(co_scope_cancel(&s, 0), 0);
	ck_assert_int_le(co_deadline(), MS(10));
	IS(co_time_left(), 0);
	co_scope_begin(&i, MS(50));
	ck_assert_int_le(co_deadline(), MS(10));
	IS(co_time_left(), 0);
	IS(co_scope_end(&i, 0), 0);
	IS(co_scope_end(&s, 0), 0);
	IS(co_time_left(), CO_FOREVER);
}

/* Each point in a cancelled scope: no time passes, nothing is joined, nobody is started. */
SCENARIO(C7_a_point_checks_before_any_side_effect)
{
	co_fn *fns[] = { write_x };
	void *args[] = { NULL };
	co_scope s = CO_SCOPE_INIT;
	int code = 99;
	int exits[1] = { 99 };
	int64_t value = 99;
	struct lone f;
	co_group g;

	lone_start(&f, sleep_ms, num(0));
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	settle();
	begin_cancelled(&s, 0);
	IS(co_join(f.ref, &code), CANC);
	IS(co_join_until(f.ref, &code, CO_FOREVER), CANC);
	IS(co_group_start(&g, write_x, NULL, &value), CANC);
	IS(co_gather(1, fns, args, exits), CANC);
	IS(co_sleep(MS(10)), CANC);
	IS(co_scope_end(&s, CANC), 0);
	IS(code, 99);
	IS(value, 99);
	AT(0);
	IS(co_group_end(&g, 0), 0);
	ck_assert_str_eq(notes(), "");
	IS(lone_end(&f), 0);
}

SCENARIO(C7_an_admission_refused_takes_no_place)
{
	co_scope s = CO_SCOPE_INIT;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_group_limit(&g, 1);
	begin_cancelled(&s, 0);
	IS(co_group_admit(&g), CANC);
	IS(co_scope_end(&s, CANC), 0);
	spawn(&g, sleep_ms, num(1));
	IS(co_spawn(&g, write_x, NULL, NULL), -EAGAIN);
	IS(co_group_end(&g, 0), 0);
	AT(1);
}

SCENARIO(C7_a_call_with_its_own_deadline_tries_first)
{
	static const co_ns past[] = { INT64_MIN, -1, 0, MS(9), MS(10) };

	IS(co_sleep(MS(10)), 0);
	for (size_t i = 0; i < LENGTH(past); i++) {
		int code = 99;
		co_group g;
		co_ref ref;

		co_group_begin(&g, CO_GROUP_FAIL_FAST);
		ref = spawn(&g, five, NULL);
		IS(co_join_until(ref, &code, past[i]), TMO);
		IS(co_group_wait_until(&g, past[i]), TMO);
		IS(code, 99);
		settle();
		IS(co_join_until(ref, &code, past[i]), 0);
		IS(code, 5);
		IS(co_group_wait_until(&g, past[i]), 0);
		IS(co_group_end(&g, 0), 0);
	}
	AT(10);
}

SCENARIO(C7_a_cancelled_scope_beats_the_call_s_own_deadline)
{
	co_scope s = CO_SCOPE_INIT;
	int code = 99;
	co_group g;
	co_ref ref;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ref = spawn(&g, five, NULL);
	settle();
	begin_cancelled(&s, 0);
	IS(co_join_until(ref, &code, -1), CANC);
	IS(co_group_wait_until(&g, -1), CANC);
	IS(co_join_until(ref, &code, MS(100)), CANC);
	IS(co_scope_end(&s, 0), 0);
	IS(co_join_until(ref, &code, -1), 0);
	IS(code, 5);
	IS(co_group_end(&g, 0), 0);
}

/* A call's own deadline gives -ETIMEDOUT and cancels nothing; the scope's is the scope's. */
SCENARIO(C7_the_earlier_of_the_call_s_and_the_scope_s_deadline)
{
	/* clang-format off */
	static const struct {
		co_ns call, scope;
		int rc, end;
	} cases[] = {
		{ MS(10), MS(20), TMO, 3 },
		{ MS(20), MS(10), CANC, TMO },
		{ MS(10), MS(10), TMO, 3 },	/* C9: operations before scopes */
		{ MS(10), CO_FOREVER, TMO, 3 },
		{ CO_FOREVER, MS(10), CANC, TMO },
	};
	/* clang-format on */
	struct lone f;

	lone_start(&f, sleep_forever, NULL);
	for (size_t i = 0; i < LENGTH(cases); i++) {
		co_ns base = co_now();
		co_scope s = CO_SCOPE_INIT;
		co_ns until = cases[i].call == CO_FOREVER ? CO_FOREVER : base + cases[i].call;
		int code, rc;

		co_scope_begin(&s, cases[i].scope);
		rc = co_join_until(f.ref, &code, until);
		IS(rc, cases[i].rc);
		IS(co_now(), base + MS(10));
		IS(co_scope_end(&s, rc == CANC ? rc : 3), cases[i].end);
	}
	IS(co_cancel(f.ref, 0), 0);
	IS(lone_end(&f), CANC);
}

/* ---------------------------------------------------------------------------------- C8 */

static int sleep_then_check(void *arg)
{
	struct nap *n = arg;

	IS(nap(n), 0);
	return co_checkpoint();
}

/* Both timers of the instant are processed before the canceller runs: the sleep is over. */
SCENARIO(C8_a_sleep_that_was_picked_is_over)
{
	struct nap n = { .dur = MS(10) };
	struct strike_ref k = { MS(10), { 0 }, 0 };
	struct lone canceller, f;

	lone_start(&canceller, strike_ref, &k);
	settle();
	lone_start(&f, sleep_then_check, &n);
	k.ref = f.ref;
	IS(lone_end(&f), CANC);
	IS(n.at, MS(10));
	IS(lone_end(&canceller), 0);
}

static int join_then_check(void *arg)
{
	int code = 99;

	IS(co_join(*(co_ref *)arg, &code), 0);
	IS(code, 0);
	return co_checkpoint();
}

SCENARIO(C8_a_join_that_was_picked_is_over)
{
	struct strike_ref k = { MS(10), { 0 }, 0 };
	struct lone target, canceller, joiner;

	lone_start(&target, sleep_ms, num(10));
	settle();
	lone_start(&canceller, strike_ref, &k);
	lone_start(&joiner, join_then_check, &target.ref);
	k.ref = joiner.ref;
	IS(lone_end(&joiner), CANC);
	AT(10);
	IS(lone_end(&canceller), 0);
	IS(co_group_end(&target.group, 0), 0);
}

static int wait_group_then_check(void *unused)
{
	co_group g;

	(void)unused;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, sleep_ms, num(10));
	IS(co_group_wait(&g), 0);
	IS(co_checkpoint(), CANC);
	return co_group_end(&g, 0);
}

SCENARIO(C8_a_group_wait_that_was_picked_is_over)
{
	struct strike_ref k = { MS(10), { 0 }, 0 };
	struct lone canceller, owner;

	lone_start(&owner, wait_group_then_check, NULL);
	settle();
	lone_start(&canceller, strike_ref, &k);
	k.ref = owner.ref;
	IS(lone_end(&canceller), 0);
	IS(lone_end(&owner), 0);
	AT(10);
}

static int start_at_10(void *unused)
{
	(void)unused;
	IS(co_sleep(MS(10)), 0);
	co_started(5);
	return co_sleep(MS(10));
}

static int start_then_check(void *unused)
{
	int64_t value = 99;
	co_group g;
	int rc;

	(void)unused;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_group_start(&g, start_at_10, NULL, &value), 0);
	IS(value, 5);
	rc = co_checkpoint();
	IS(co_group_end(&g, rc), CANC);
	return rc;
}

static int admit_then_check(void *unused)
{
	co_group g;

	(void)unused;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_group_limit(&g, 1);
	spawn(&g, sleep_ms, num(10));
	IS(co_group_admit(&g), 0);
	IS(co_group_end(&g, 0), 0);
	return co_checkpoint();
}

static void cancel_after_picking(co_fn *fn)
{
	struct strike_ref k = { MS(10), { 0 }, 0 };
	struct lone canceller, f;

	lone_start(&f, fn, NULL);
	settle();
	lone_start(&canceller, strike_ref, &k);
	k.ref = f.ref;
	IS(lone_end(&canceller), 0);
	IS(lone_end(&f), CANC);
	AT(10);
}

SCENARIO(C8_a_start_that_was_picked_is_over)
{
	cancel_after_picking(start_then_check);
}

SCENARIO(C8_an_admission_that_was_picked_is_over)
{
	cancel_after_picking(admit_then_check);
}

static int only_join(void *arg)
{
	int code;

	return co_join(*(co_ref *)arg, &code);
}

/* The joiner has not run yet, but its place is free and the exit is still there. */
SCENARIO(C8_a_cancelled_joiner_leaves_at_once)
{
	struct lone target, joiner;
	int code = 99;

	lone_start(&target, sleep_ms, num(10));
	lone_start(&joiner, only_join, &target.ref);
	settle();
	IS(co_join(target.ref, &code), -EBUSY);
	IS(co_cancel(joiner.ref, 0), 0);
	IS(co_join_until(target.ref, &code, -1), TMO);
	IS(code, 99);
	IS(co_join(target.ref, &code), 0);
	IS(code, 0);
	AT(10);
	IS(lone_end(&joiner), CANC);
	IS(co_group_end(&target.group, 0), 0);
}

/* The other order: first the cancel, then the end of the target, all before the joiner runs. */
SCENARIO(C8_a_cancelled_joiner_gets_nothing)
{
	struct strike_ref k = { MS(10), { 0 }, 0 };
	struct lone canceller, target, joiner;
	int code = 99;

	lone_start(&canceller, strike_ref, &k);
	settle();
	lone_start(&target, sleep_ms, num(10));
	lone_start(&joiner, only_join, &target.ref);
	k.ref = joiner.ref;
	IS(lone_end(&joiner), CANC);
	AT(10);
	IS(co_join_until(target.ref, &code, -1), 0);
	IS(code, 0);
	IS(co_group_end(&target.group, 0), 0);
	IS(lone_end(&canceller), 0);
}

static int only_wait_for_group(void *unused)
{
	co_group g;
	int rc;

	(void)unused;
	co_group_begin(&g, CO_GROUP_COLLECT);
	spawn(&g, sleep_ms, num(10));
	rc = co_group_wait(&g);
	note(rc == CANC ? 'c' : '?');
	return co_group_end(&g, 0);
}

SCENARIO(C8_a_cancelled_owner_is_not_told_of_the_last_child)
{
	struct strike_ref k = { MS(10), { 0 }, 0 };
	struct lone canceller, owner;

	lone_start(&canceller, strike_ref, &k);
	settle();
	lone_start(&owner, only_wait_for_group, NULL);
	k.ref = owner.ref;
	IS(lone_end(&owner), 0);
	ck_assert_str_eq(notes(), "c");
	AT(10);
	IS(lone_end(&canceller), 0);
}

SUITE("contract: outcomes",
	C7_no_time_is_left_in_a_cancelled_scope,
	C7_a_point_checks_before_any_side_effect,
	C7_an_admission_refused_takes_no_place,
	C7_a_call_with_its_own_deadline_tries_first,
	C7_a_cancelled_scope_beats_the_call_s_own_deadline,
	C7_the_earlier_of_the_call_s_and_the_scope_s_deadline,
	C8_a_sleep_that_was_picked_is_over,
	C8_a_join_that_was_picked_is_over,
	C8_a_group_wait_that_was_picked_is_over,
	C8_a_start_that_was_picked_is_over,
	C8_an_admission_that_was_picked_is_over,
	C8_a_cancelled_joiner_leaves_at_once,
	C8_a_cancelled_joiner_gets_nothing,
	C8_a_cancelled_owner_is_not_told_of_the_last_child)
