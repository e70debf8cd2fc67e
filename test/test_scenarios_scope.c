/*
 * Conformance scenarios, group B: one scope with a deadline. S30 waits for I/O; its operation
 * that is always ready is played here by the wait for an empty group.
 */
#include "scenario.h"

/* C4, C6, C11 */
SCENARIO(S15_basic_expiry)
{
	co_scope s = CO_SCOPE_INIT;
	struct co_cause cause = { CO_CAUSE_NONE, 0, NULL, { 0 } };

	co_scope_begin(&s, MS(100));
	IS(co_sleep(MS(10000)), CANC);
	AT(100);
	IS(co_scope_cause(&s, &cause), 0);
	IS(cause.kind, CO_CAUSE_DEADLINE);
	IS(co_scope_end(&s, CANC), TMO);
	ck_assert(co_scope_caught(&s));
	ck_assert(co_scope_cancelled(&s));
	memset(&cause, 0, sizeof(cause));
	IS(co_scope_cause(&s, &cause), 0);
	IS(cause.kind, CO_CAUSE_DEADLINE);
	AT(100);
}

/* C11; the deadline left behind wakes nobody */
SCENARIO(S16_not_reached)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(1000));
	IS(co_sleep(MS(10)), 0);
	IS(co_scope_end(&s, 0), 0);
	AT(10);
	ck_assert(!co_scope_cancelled(&s));
	ck_assert(!co_scope_caught(&s));
	IS(co_sleep(MS(5000)), 0);
	AT(5010);
}

/* C11, C20 */
SCENARIO(S17_no_cancellation_point_at_all)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(1));
	IS(co_scope_end(&s, 0), 0);
}

/* C11 */
SCENARIO(S18_body_value_survives)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(100));
	IS(co_scope_end(&s, 42), 42);
	ck_assert(!co_scope_caught(&s));
}

/* C1, C13 */
SCENARIO(S20_zero_timeout)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, 0);
	IS(co_sleep(MS(10)), CANC);
	AT(0);
	IS(co_scope_end(&s, CANC), TMO);
}

/* C13, C18: the first call, not one pass later */
SCENARIO(S21_zero_timeout_zero_sleep)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, 0);
	IS(co_yield_now(), CANC);
	IS(co_scope_end(&s, CANC), TMO);

	s = (co_scope)CO_SCOPE_INIT;
	co_scope_begin(&s, 0);
	IS(co_sleep(0), CANC);
	IS(co_scope_end(&s, CANC), TMO);
}

static int set_and_sleep(void *arg)
{
	*(int *)arg = 1;
	return co_sleep(MS(1));
}

/* C13 */
SCENARIO(S23_body_of_an_expired_scope_still_starts)
{
	co_scope s = CO_SCOPE_INIT;
	int x = 0;

	co_scope_begin(&s, 0);
	x = 1;
	IS(co_sleep(MS(1)), CANC);
	IS(co_scope_end(&s, CANC), TMO);
	IS(x, 1);

	x = 0;
	IS(co_timeout(0, set_and_sleep, &x), TMO);
	IS(x, 1);
	AT(0);
}

/* C15 */
SCENARIO(S24_relative_deadline_starts_at_begin)
{
	co_scope s = CO_SCOPE_INIT;

	IS(co_scope_rearm(&s, MS(5)), 0);
	advance(MS(3));
	co_scope_begin(&s, CO_FOREVER);
	IS(co_deadline(), MS(8));
	IS(co_scope_end(&s, co_sleep(MS(100))), TMO);
	AT(8);
}

/* C11 */
SCENARIO(S26_foreign_error_after_expiry)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	IS(co_sleep(MS(1000)), CANC);
	IS(co_scope_end(&s, -EIO), -EIO);
	ck_assert(co_scope_cancelled(&s));
	ck_assert(!co_scope_caught(&s));
}

/* C11 */
SCENARIO(S27_swallowed_then_success)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	IS(co_sleep(MS(1000)), CANC);
	IS(co_scope_end(&s, 7), 7);
	ck_assert(co_scope_cancelled(&s));
	ck_assert(!co_scope_caught(&s));
}

/* C6, C9, C20 */
SCENARIO(S29_busy_loop_with_yields_is_stopped)
{
	co_scope s = CO_SCOPE_INIT;
	int rc = 0;

	co_scope_begin(&s, MS(100));
	for (int i = 0; i < 1000 && rc == 0; i++) {
		stall(MS(1));
		rc = co_yield_now();
	}
	IS(co_scope_end(&s, rc), TMO);
	AT(100);
}

static int count_passes(void *arg)
{
	int *passes = arg;

	while (*passes >= 0) {
		(*passes)++;
		co_yield_now();
	}
	return 0;
}

/* C19, C20: REAL. Nothing blocks, yet the scope ends and the other coroutine had its turns */
SCENARIO_WITH(S30_always_ready_operations_are_stopped, real_clock())
{
	co_group idle;
	struct lone other;
	co_scope s = CO_SCOPE_INIT;
	int passes = 0;
	int rc, waits = 0;

	lone_start(&other, count_passes, &passes);
	co_group_begin(&idle, CO_GROUP_FAIL_FAST);
	co_scope_begin(&s, MS(1));
	while ((rc = co_group_wait(&idle)) == 0)
		waits++;
	IS(co_scope_end(&s, rc), TMO);
	IS(co_group_end(&idle, 0), 0);
	ck_assert_int_ge(passes, waits / 65);	/* few, on a slow machine */
	passes = -1;
	IS(lone_end(&other), 0);
}

/* Bytes that the library holds, by its own allocator. */
static size_t held;

static void *hold(size_t size, void *ctx)
{
	(void)ctx;
	held += size;
	return malloc(size);
}

static void release(void *ptr, size_t size, void *ctx)
{
	(void)ctx;
	if (ptr)
		held -= size;
	free(ptr);
}

static struct co_options counted = { .clock = CO_CLOCK_VIRTUAL, .alloc = { hold, release, NULL } };

static void begin_and_end(int times)
{
	for (int i = 0; i < times; i++) {
		co_scope s = CO_SCOPE_INIT;

		co_scope_begin(&s, MS(1000));
		if (co_scope_end(&s, 0) != 0)
			ck_abort_msg("end of an idle scope");
	}
}

/* C3, T26 */
SCENARIO_WITH(S32_ten_thousand_pairs_leave_nothing, &counted)
{
	size_t before;

	begin_and_end(100);
	before = held;
	begin_and_end(10000);
	ck_assert_uint_eq(held, before);
	IS(co_sleep(MS(2000)), 0);
	AT(2000);
}

static int five_after_timeout(void *unused)
{
	co_scope s = CO_SCOPE_INIT;

	(void)unused;
	co_scope_begin(&s, MS(1));
	IS(co_scope_end(&s, co_sleep(MS(10))), TMO);
	return 5;
}

/* C5, C26 */
SCENARIO(S33_coroutine_not_marked_cancelled_by_its_own_timeout)
{
	struct lone f;

	lone_start(&f, five_after_timeout, NULL);
	IS(co_sleep(MS(20)), 0);
	ck_assert(!co_was_cancelled(f.ref));
	IS(lone_end(&f), 5);
}

/* C5, C11, C16 */
SCENARIO(S35_nested_timeout_inside_cleanup)
{
	co_scope a = CO_SCOPE_INIT;
	co_scope b = CO_SCOPE_INIT;

	co_scope_begin(&a, MS(10));
	IS(co_sleep(MS(1000)), CANC);
	AT(10);
	co_scope_begin_shield(&b, MS(10));
	IS(co_scope_end(&b, co_sleep(MS(1000))), TMO);
	AT(20);
	IS(co_scope_end(&a, CANC), TMO);
	AT(20);
}

SUITE("scenarios B: one scope",
	S15_basic_expiry,
	S16_not_reached,
	S17_no_cancellation_point_at_all,
	S18_body_value_survives,
	S20_zero_timeout,
	S21_zero_timeout_zero_sleep,
	S23_body_of_an_expired_scope_still_starts,
	S24_relative_deadline_starts_at_begin,
	S26_foreign_error_after_expiry,
	S27_swallowed_then_success,
	S29_busy_loop_with_yields_is_stopped,
	S30_always_ready_operations_are_stopped,
	S32_ten_thousand_pairs_leave_nothing,
	S33_coroutine_not_marked_cancelled_by_its_own_timeout,
	S35_nested_timeout_inside_cleanup)
