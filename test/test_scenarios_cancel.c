/*
 * Conformance scenarios, group E: explicit cancels, and that they stay in force. The points
 * "recv" and "lock" are played by the join of a coroutine and the wait for a group.
 */
#include "scenario.h"

/* C6 */
SCENARIO(S65_every_point_fails_while_cancelled)
{
	struct lone f;
	co_scope s = CO_SCOPE_INIT;
	int code = 99;

	lone_start(&f, sleep_ms, num(100));
	co_scope_begin(&s, CO_FOREVER);
	IS(co_scope_cancel(&s, 0), 0);
	IS(co_sleep(MS(10)), CANC);
	IS(co_join(f.ref, &code), CANC);
	IS(code, 99);
	IS(co_yield_now(), CANC);
	IS(co_group_wait(&f.group), CANC);
	IS(co_checkpoint(), CANC);
	AT(0);
	IS(co_scope_end(&s, CANC), 0);
	IS(lone_end(&f), 0);
	AT(100);
}

static int ignore_one(void *arg)
{
	int rc;

	co_sleep(MS(1000));
	rc = co_sleep(MS(1000));
	*(co_ns *)arg = co_now();
	return rc;
}

/* C6 */
SCENARIO(S66_an_ignored_return_code_cannot_lose_a_cancel)
{
	struct lone f;
	co_ns left = -1;

	lone_start(&f, ignore_one, &left);
	IS(co_sleep(MS(10)), 0);
	IS(co_cancel(f.ref, 0), 0);
	IS(lone_end(&f), CANC);
	IS(left, MS(10));
}

static int cancel_self_return_12(void *unused)
{
	(void)unused;
	IS(co_cancel(co_self(), 0), 0);
	return 12;
}

/* C23, C26 */
SCENARIO(S68_cancel_self_then_return)
{
	struct lone f;

	lone_start(&f, cancel_self_return_12, NULL);
	settle();
	ck_assert(co_was_cancelled(f.ref));
	IS(lone_end(&f), 12);
}

static int sleep_in_scope(void *arg)
{
	co_scope *s = arg;
	int rc;

	co_scope_begin(s, MS(1000));
	rc = co_sleep(MS(100));
	note(rc == CANC ? 'c' : '?');
	return co_scope_end(s, rc);
}

/* C15 */
SCENARIO(S69_cancel_before_begin)
{
	co_scope s = CO_SCOPE_INIT;
	struct lone b;

	IS(co_scope_cancel(&s, 0), 0);
	lone_start(&b, sleep_in_scope, &s);
	IS(lone_end(&b), 0);
	ck_assert_str_eq(notes(), "c");
	AT(0);
}

/* C11 */
SCENARIO(S71_err_is_reported)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(100));
	IS(co_scope_cancel(&s, ENOSPC), 0);
	IS(co_scope_end(&s, co_sleep(MS(10))), -ENOSPC);
	ck_assert(co_scope_caught(&s));
}

/* C14 */
SCENARIO(S72_cancel_of_an_ended_scope)
{
	co_scope s = CO_SCOPE_INIT;
	co_scope after = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(100));
	IS(co_scope_end(&s, 0), 0);
	co_scope_begin(&after, MS(100));
	IS(co_scope_cancel(&s, EPIPE), -ESRCH);
	ck_assert(!co_scope_cancelled(&s));
	ck_assert(!co_scope_cancelled(&after));
	IS(co_sleep(MS(1)), 0);
	IS(co_scope_end(&after, 0), 0);
}

static int unwind_slowly(void *arg)
{
	co_scope *s = arg;
	co_scope h = CO_SCOPE_INIT;

	co_scope_begin(s, MS(20));
	IS(co_sleep(CO_FOREVER), CANC);
	AT(10);
	co_scope_begin_shield(&h, MS(100));
	IS(co_scope_end(&h, co_sleep(MS(20))), 0);
	AT(30);
	return co_scope_end(s, CANC);
}

/* C4 */
SCENARIO(S74_explicit_then_deadline)
{
	co_scope s = CO_SCOPE_INIT;
	struct lone f;

	lone_start(&f, unwind_slowly, &s);
	IS(co_sleep(MS(10)), 0);
	IS(co_scope_cancel(&s, EPIPE), 0);
	IS(lone_end(&f), -EPIPE);
	AT(30);
}

/*
 * The tree of S75. P has two coroutines, the owners of the groups T and U. Each of these groups
 * has two children, and each child a group of its own with two grandchildren. Each coroutine
 * counts its own outcome.
 */
struct tally {
	int cancelled;
	int slept;
};

static int leaf(void *arg)
{
	struct tally *t = arg;
	int rc = co_sleep(MS(100));

	if (rc == 0)
		t->slept++;
	else if (rc == CANC)
		t->cancelled++;
	return rc;
}

static int branch(void *arg)
{
	co_group g;
	int rc;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, leaf, arg);
	spawn(&g, leaf, arg);
	rc = leaf(arg);
	return co_group_end(&g, rc);
}

struct tree {
	co_group group;
	struct tally tally;
	int end;
};

static int grow(void *arg)
{
	struct tree *t = arg;

	co_group_begin(&t->group, CO_GROUP_FAIL_FAST);
	spawn(&t->group, branch, &t->tally);
	spawn(&t->group, branch, &t->tally);
	t->end = co_group_end(&t->group, leaf(&t->tally));
	return t->end;
}

/* C3, C5, C27 */
SCENARIO(S75_cancel_reaches_all_descendants_and_only_them)
{
	struct tree t = { .end = 99 };
	struct tree u = { .end = 99 };
	struct tally main_tally = { 0, 0 };
	co_group p;

	co_group_begin(&p, CO_GROUP_FAIL_FAST);
	spawn(&p, grow, &t);
	spawn(&p, grow, &u);
	IS(co_sleep(MS(10)), 0);
	IS(co_group_cancel(&t.group, 0), 0);
	settle();
	AT(10);
	IS(t.tally.cancelled, 7);
	IS(t.tally.slept, 0);
	IS(t.end, 0);
	IS(u.tally.cancelled + u.tally.slept, 0);
	IS(co_group_end(&p, leaf(&main_tally)), 0);
	AT(110);
	IS(u.tally.slept, 7);
	IS(u.tally.cancelled, 0);
	IS(main_tally.slept, 1);
}

static int sleep_in_three(void *arg)
{
	co_scope *p = arg;
	co_scope q = CO_SCOPE_INIT;
	co_scope r = CO_SCOPE_INIT;
	int rc;

	co_scope_begin(p, MS(1000));
	co_scope_begin(&q, CO_FOREVER);
	co_scope_begin(&r, MS(1000));
	rc = co_sleep(CO_FOREVER);
	AT(10);
	note(rc == CANC ? 'c' : '?');
	rc = co_scope_end(&r, rc);
	rc = co_scope_end(&q, rc);
	return co_scope_end(p, rc);
}

/* C5: a scope without a timer between does not cut the way */
SCENARIO(S77_intermediate_scope_without_a_timer)
{
	co_scope p = CO_SCOPE_INIT;
	struct lone f;

	lone_start(&f, sleep_in_three, &p);
	IS(co_sleep(MS(10)), 0);
	IS(co_scope_cancel(&p, ENOSPC), 0);
	IS(lone_end(&f), -ENOSPC);
	ck_assert_str_eq(notes(), "c");
}

/* C11 */
SCENARIO(S78_cancel_inside_a_cancelled_region)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope i = CO_SCOPE_INIT;

	co_scope_begin(&o, CO_FOREVER);
	IS(co_scope_cancel(&o, 0), 0);
	co_scope_begin(&i, CO_FOREVER);
	IS(co_scope_cancel(&i, EPIPE), 0);
	IS(co_scope_end(&i, co_yield_now()), CANC);
	IS(co_scope_end(&o, CANC), 0);
}

static int cancelled_before_timeout(void *unused)
{
	co_scope s = CO_SCOPE_INIT;

	(void)unused;
	IS(co_cancel(co_self(), 0), 0);
	co_scope_begin(&s, 0);
	IS(co_scope_end(&s, co_sleep(MS(1))), CANC);
	ck_assert(!co_scope_caught(&s));
	return co_sleep(MS(1));
}

/* C6, C11 */
SCENARIO(S79_prior_cancel_is_not_swallowed_by_timeout_zero)
{
	struct lone f;

	lone_start(&f, cancelled_before_timeout, NULL);
	IS(lone_end(&f), CANC);
	AT(0);
}

static int ten_then_more(void *arg)
{
	co_scope *s = arg;

	co_scope_begin(s, MS(10));
	IS(co_scope_end(s, co_sleep(CO_FOREVER)), CANC);
	ck_assert(!co_scope_caught(s));
	IS(co_yield_now(), CANC);
	return co_sleep(MS(1));
}

/* C9, C11: the timeout has fired, but the cancel came before the scope ended */
SCENARIO(S80_cancel_while_a_timeout_has_just_fired)
{
	co_scope s = CO_SCOPE_INIT;
	struct lone f;

	lone_start(&f, ten_then_more, &s);
	IS(co_sleep_until(MS(10)), 0);
	ck_assert(co_scope_cancelled(&s));
	IS(co_cancel(f.ref, 0), 0);
	IS(lone_end(&f), CANC);
	AT(10);
}

SUITE("scenarios E: cancels",
	S65_every_point_fails_while_cancelled,
	S66_an_ignored_return_code_cannot_lose_a_cancel,
	S68_cancel_self_then_return,
	S69_cancel_before_begin,
	S71_err_is_reported,
	S72_cancel_of_an_ended_scope,
	S74_explicit_then_deadline,
	S75_cancel_reaches_all_descendants_and_only_them,
	S77_intermediate_scope_without_a_timer,
	S78_cancel_inside_a_cancelled_region,
	S79_prior_cancel_is_not_swallowed_by_timeout_zero,
	S80_cancel_while_a_timeout_has_just_fired)
