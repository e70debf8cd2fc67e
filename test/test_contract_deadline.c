/*
 * Clauses C13 to C15 of the contract: scopes begun late, deadlines stored, moved and missed, and
 * what happens to a scope before it begins and after it has ended.
 */
#include "scenario.h"

/* ---------------------------------------------------------------------------------- C13 */

SCENARIO(C13_begun_due_is_cancelled_at_once)
{
	static const co_ns due[] = { INT64_MIN, -1, 0, MS(9), MS(10) - 1, MS(10) };

	IS(co_sleep(MS(10)), 0);
	for (size_t i = 0; i < LENGTH(due); i++) {
		for (unsigned flags = 0; flags <= CO_SHIELD; flags++) {
			co_scope s = CO_SCOPE_INIT;
			int err;

			co_scope_begin_at(&s, due[i], flags);
			ck_assert(co_scope_cancelled(&s));
			IS(cause_of(&s, &err), CO_CAUSE_DEADLINE);
			IS(co_time_left(), 0);
			IS(co_sleep(MS(1)), CANC);
			IS(co_scope_end(&s, CANC), TMO);
		}
	}
	AT(10);
}

SCENARIO(C13_begun_a_moment_before_is_not)
{
	co_scope s = CO_SCOPE_INIT;

	IS(co_sleep(MS(10)), 0);
	co_scope_begin_at(&s, MS(10) + 1, 0);
	ck_assert(!co_scope_cancelled(&s));
	IS(co_checkpoint(), 0);
	IS(co_scope_end(&s, co_sleep(CO_FOREVER)), TMO);
	IS(co_now(), MS(10) + 1);
}

/* The begin reads the clock; what the loop remembers is older. */
SCENARIO_WITH(C13_due_by_the_clock_as_it_is, injected())
{
	co_scope s = CO_SCOPE_INIT;

	shown = MS(20);
	co_scope_begin_at(&s, MS(15), 0);
	ck_assert(co_scope_cancelled(&s));
	IS(co_scope_end(&s, co_checkpoint()), TMO);
}

/* ---------------------------------------------------------------------------------- C14 */

enum store { NONE, AT_30, AT_70, AT_PAST, AT_EVER, IN_30, IN_70, IN_NONE, IN_EVER, STORES };

/* Stores before begin, at time 0. */
static void store(co_scope *s, enum store what)
{
	static const co_ns values[STORES] = {
		[AT_30] = MS(30), [AT_70] = MS(70), [AT_PAST] = MS(5), [AT_EVER] = CO_FOREVER,
		[IN_30] = MS(30), [IN_70] = MS(70), [IN_NONE] = 0, [IN_EVER] = CO_FOREVER,
	};

	if (what >= IN_30)
		IS(co_scope_rearm(s, values[what]), 0);
	else if (what != NONE)
		IS(co_scope_set_deadline(s, values[what]), 0);
}

/* What a store means for a scope begun at 10 ms. */
static co_ns meant(enum store what)
{
	/* clang-format off */
	static const co_ns values[STORES] = {
		[NONE] = CO_FOREVER,
		[AT_30] = MS(30), [AT_70] = MS(70), [AT_PAST] = MS(5), [AT_EVER] = CO_FOREVER,
		[IN_30] = MS(40), [IN_70] = MS(80), [IN_NONE] = MS(10), [IN_EVER] = CO_FOREVER,
	};
	/* clang-format on */

	return values[what];
}

/* Every pair of stores, then a begin with each of several deadlines of its own. C15 too. */
SCENARIO(C14_the_last_store_holds_and_the_earlier_of_it_and_begin_counts)
{
	static const co_ns own[] = { CO_FOREVER, MS(20), MS(50), MS(100), -1 };
	int n = STORES * STORES * (int)LENGTH(own);
	co_scope *s = calloc((size_t)n, sizeof(*s));

	for (int k = 0; k < n; k++) {
		store(&s[k], (enum store)(k % STORES));
		store(&s[k], (enum store)(k / STORES % STORES));
	}
	IS(co_sleep(MS(10)), 0);
	for (int k = 0; k < n; k++) {
		int last = k / STORES % STORES ? k / STORES % STORES : k % STORES;
		co_ns dur = own[k / STORES / STORES];
		co_ns want = meant((enum store)last);

		if (dur != CO_FOREVER && want > MS(10) + dur)
			want = MS(10) + dur;
		co_scope_begin(&s[k], dur);
		IS(co_scope_cancelled(&s[k]), want <= MS(10));
		if (want > MS(10))
			IS(co_deadline(), want);
		else
			ck_assert_int_le(co_deadline(), MS(10));
		IS(co_scope_end(&s[k], co_checkpoint()), want <= MS(10) ? TMO : 0);
	}
	free(s);
}

SCENARIO(C14_stored_deadlines_count_for_shields_too)
{
	co_scope h = CO_SCOPE_INIT;

	IS(co_scope_set_deadline(&h, MS(30)), 0);
	co_scope_begin_shield(&h, MS(100));
	IS(co_deadline(), MS(30));
	IS(co_scope_end(&h, co_sleep(CO_FOREVER)), TMO);
	AT(30);
}

SCENARIO(C14_a_move_counts_at_once_and_more_than_once)
{
	static const struct {
		co_ns begin, moves[4];	/* made at 0, 1, 2, 3 ms; the last holds */
	} cases[] = {
		{ MS(200), { MS(10), MS(10), MS(10), MS(10) } },
		{ MS(10), { MS(200), MS(300), MS(400), MS(500) } },
		{ MS(200), { MS(50), MS(40), MS(30), MS(20) } },
		{ MS(10), { CO_FOREVER, MS(20), CO_FOREVER, MS(15) } },
		{ CO_FOREVER, { MS(5), MS(100000), MS(5), MS(6) } },
		{ MS(4), { MS(5), MS(6), MS(7), MS(8) } },
		{ MS(1) + 1, { MS(2) + 1, MS(3) + 1, MS(4) + 1, MS(4) + 1 } },
		{ CO_FOREVER, { CO_FOREVER - 1, MS(5), CO_FOREVER - 1, MS(50) } },
	};

	for (size_t n = 0; n < LENGTH(cases); n++) {
		co_ns base = co_now();
		co_scope s = CO_SCOPE_INIT;

		co_scope_begin(&s, cases[n].begin);
		for (int k = 0; k < 4; k++) {
			co_ns at = cases[n].moves[k];

			at = at >= CO_FOREVER - 1 ? at : base + at;
			IS(co_scope_set_deadline(&s, at), 0);
			IS(co_deadline(), at);
			if (k < 3)
				IS(co_sleep(MS(1)), 0);
		}
		IS(co_scope_end(&s, co_sleep(CO_FOREVER)), TMO);
		IS(co_now(), base + cases[n].moves[3]);
	}
}

enum mover { SET, REARM };

static int move(enum mover how, co_scope *s, co_ns dur)
{
	return how == SET ? co_scope_set_deadline(s, co_now() + dur) : co_scope_rearm(s, dur);
}

/* Only the clock has moved, no loop has looked: the move itself does. */
SCENARIO_WITH(C14_a_due_old_deadline_beats_the_move, injected())
{
	static const co_ns by[] = { -MS(1), 0, 1, MS(100), MS(100000) };

	for (size_t n = 0; n < LENGTH(by) * 4; n++) {
		enum mover how = n % 2 ? SET : REARM;
		co_scope s = CO_SCOPE_INIT;
		int err;

		co_scope_begin(&s, MS(10));
		shown += MS(10) + (n % 4 < 2 ? 0 : MS(20));
		ck_assert(!co_scope_cancelled(&s));
		IS(move(how, &s, by[n / 4]), -EALREADY);
		ck_assert(co_scope_cancelled(&s));
		IS(cause_of(&s, &err), CO_CAUSE_DEADLINE);
		IS(co_scope_end(&s, co_checkpoint()), TMO);
	}
}

SCENARIO_WITH(C14_nor_does_infinity_save_it, injected())
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	shown = MS(10) - 1;
	IS(co_scope_rearm(&s, MS(10)), 0);
	shown = MS(20) - 1;
	IS(co_scope_set_deadline(&s, CO_FOREVER), -EALREADY);
	IS(co_scope_end(&s, co_checkpoint()), TMO);
}

SCENARIO_WITH(C14_moved_to_now_it_is_cancelled_at_once, injected())
{
	static const co_ns by[] = { -MS(1000), -1, 0 };

	for (size_t n = 0; n < LENGTH(by) * 2; n++) {
		enum mover how = n % 2 ? SET : REARM;
		co_scope s = CO_SCOPE_INIT;

		co_scope_begin(&s, MS(10));
		shown += MS(5);
		IS(move(how, &s, by[n / 2]), 0);
		ck_assert(co_scope_cancelled(&s));
		IS(move(how, &s, MS(50)), -EALREADY);
		IS(co_checkpoint(), CANC);
		IS(co_scope_end(&s, CANC), TMO);
	}
}

SCENARIO(C14_an_outer_scope_is_moved_from_inside)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope i = CO_SCOPE_INIT;

	co_scope_begin(&o, MS(10));
	co_scope_begin(&i, MS(20));
	IS(co_scope_rearm(&o, MS(30)), 0);
	IS(co_deadline(), MS(20));
	IS(co_scope_end(&i, co_sleep(CO_FOREVER)), TMO);
	AT(20);
	IS(co_scope_set_deadline(&o, MS(1)), 0);
	IS(co_scope_end(&o, co_checkpoint()), TMO);
	AT(20);
}

/* Only the scope's own state counts. */
SCENARIO(C14_moves_go_on_under_a_cancelled_scope)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope i = CO_SCOPE_INIT;
	co_scope h = CO_SCOPE_INIT;

	begin_cancelled(&o, 0);
	co_scope_begin(&i, MS(10));
	IS(co_scope_rearm(&i, MS(20)), 0);
	IS(co_scope_set_deadline(&i, MS(30)), 0);
	ck_assert(!co_scope_cancelled(&i));
	co_scope_begin_shield(&h, MS(10));
	IS(co_scope_rearm(&h, MS(5)), 0);
	IS(co_scope_end(&h, co_sleep(CO_FOREVER)), TMO);
	AT(5);
	IS(co_scope_end(&i, CANC), CANC);
	IS(co_scope_end(&o, CANC), 0);
}

SCENARIO(C14_an_ended_scope_is_gone)
{
	co_scope s = CO_SCOPE_INIT;
	co_scope cancelled = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	IS(co_scope_end(&s, 0), 0);
	begin_cancelled(&cancelled, EPIPE);
	IS(co_scope_end(&cancelled, CANC), -EPIPE);
	for (int after = 0; after < 2; after++) {
		IS(co_scope_set_deadline(&s, CO_FOREVER), -ESRCH);
		IS(co_scope_rearm(&s, 0), -ESRCH);
		IS(co_scope_cancel(&s, 0), -ESRCH);
		IS(co_scope_cancel(&cancelled, EIO), -ESRCH);
		IS(co_scope_rearm(&cancelled, MS(10)), -ESRCH);
		IS(co_sleep(MS(20)), 0);
	}
	ck_assert(!co_scope_cancelled(&s));
}

SCENARIO(C14_some_errs_are_refused)
{
	static const int errs[] = { -1, -EPIPE, INT32_MIN, ECANCELED, ETIMEDOUT };
	co_scope early = CO_SCOPE_INIT;
	co_scope s = CO_SCOPE_INIT;
	struct lone f;
	co_group g;

	lone_start(&f, sleep_ms, num(10));
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_scope_begin(&s, MS(100));
	for (size_t i = 0; i < LENGTH(errs); i++) {
		IS(co_scope_cancel(&early, errs[i]), -EINVAL);
		IS(co_scope_cancel(&s, errs[i]), -EINVAL);
		IS(co_group_cancel(&g, errs[i]), -EINVAL);
		IS(co_cancel(f.ref, errs[i]), -EINVAL);
	}
	ck_assert(!co_scope_cancelled(&s));
	co_scope_begin(&early, MS(100));
	ck_assert(!co_scope_cancelled(&early));
	IS(co_sleep(MS(1)), 0);
	IS(co_scope_end(&early, 0), 0);
	IS(co_scope_end(&s, 0), 0);
	IS(co_group_end(&g, 0), 0);
	IS(lone_end(&f), 0);
	AT(10);
}

/* A deadline that is moved ahead again and again is never met, and met when that stops. */
SCENARIO(C14_an_idle_timer_of_a_million_bytes)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(30));
	for (int byte = 0; byte < 1000000; byte++) {
		int rc = byte % 1000 ? 0 : co_sleep(MS(1));

		if (rc || co_scope_rearm(&s, MS(30)))
			ck_abort_msg("byte %d", byte);
	}
	AT(1000);
	IS(co_scope_end(&s, co_sleep(CO_FOREVER)), TMO);
	AT(1030);
}

/* ---------------------------------------------------------------------------------- C15 */

SCENARIO(C15_a_cancel_before_begin_is_honoured)
{
	static const int errs[] = { 0, EPIPE };

	for (size_t n = 0; n < LENGTH(errs); n++) {
		for (unsigned flags = 0; flags <= CO_SHIELD; flags++) {
			co_scope s = CO_SCOPE_INIT;
			int err;

			IS(co_scope_cancel(&s, errs[n]), 0);
			IS(co_scope_cancel(&s, EIO), 0);
			co_scope_begin_at(&s, co_now() + MS(50), flags);
			ck_assert(co_scope_cancelled(&s));
			IS(cause_of(&s, &err), CO_CAUSE_EXPLICIT);
			IS(err, errs[n]);
			IS(co_time_left(), 0);
			IS(co_sleep(MS(1)), CANC);
			IS(co_scope_end(&s, CANC), -errs[n]);
			ck_assert(co_scope_caught(&s));
		}
	}
	AT(0);
}

/* C4: the cancel came first. */
SCENARIO(C15_a_cancel_before_begin_precedes_a_due_deadline)
{
	co_scope s = CO_SCOPE_INIT;

	IS(co_scope_cancel(&s, EPIPE), 0);
	co_scope_begin(&s, 0);
	IS(co_scope_end(&s, co_checkpoint()), -EPIPE);
}

SCENARIO(C15_a_cancel_before_begin_reaches_nobody_else)
{
	co_scope s = CO_SCOPE_INIT;

	IS(co_scope_cancel(&s, EPIPE), 0);
	IS(co_sleep(MS(1)), 0);
	IS(co_deadline(), CO_FOREVER);
}

SCENARIO_WITH(C15_a_scope_is_single_use, hearing())
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	co_scope_begin(&s, MS(5));
	IS(misuses()->count, 1);
	IS(misuses()->kind[0], CO_MISUSE_SCOPE_STATE);
	IS(co_deadline(), MS(10));
	IS(co_scope_end(&s, 3), 3);
	IS(misuses()->count, 1);
	co_scope_begin(&s, MS(5));
	IS(misuses()->count, 2);
	IS(misuses()->kind[1], CO_MISUSE_SCOPE_STATE);
	IS(co_deadline(), CO_FOREVER);
	IS(co_scope_end(&s, 3), -EINVAL);
	IS(misuses()->count, 3);
	IS(misuses()->kind[2], CO_MISUSE_SCOPE_STATE);
	s = (co_scope)CO_SCOPE_INIT;
	co_scope_begin(&s, MS(10));
	IS(co_scope_end(&s, co_sleep(CO_FOREVER)), TMO);
	IS(misuses()->count, 3);
}

static int sleep_in(void *s)
{
	co_scope_begin(s, MS(10));
	return co_scope_end(s, co_sleep(CO_FOREVER));
}

static size_t timers(void)
{
	struct co_stats now;

	IS(co_stats(&now), 0);
	return now.timers;
}

/* C7: moved to no end by another coroutine, it leaves no timer behind. */
SCENARIO(C14_moved_to_no_end_it_arms_nothing)
{
	co_scope s = CO_SCOPE_INIT;
	struct lone f;
	size_t before = timers();

	lone_start(&f, sleep_in, &s);
	settle();
	ck_assert_uint_eq(timers(), before + 1);
	IS(co_scope_set_deadline(&s, CO_FOREVER), 0);
	ck_assert_uint_eq(timers(), before);
	IS(co_scope_set_deadline(&s, MS(20)), 0);
	ck_assert_uint_eq(timers(), before + 1);
	IS(lone_end(&f), TMO);
	AT(20);
}

SUITE("contract: deadlines",
	C13_begun_due_is_cancelled_at_once,
	C13_begun_a_moment_before_is_not,
	C13_due_by_the_clock_as_it_is,
	C14_the_last_store_holds_and_the_earlier_of_it_and_begin_counts,
	C14_stored_deadlines_count_for_shields_too,
	C14_a_move_counts_at_once_and_more_than_once,
	C14_a_due_old_deadline_beats_the_move,
	C14_nor_does_infinity_save_it,
	C14_moved_to_now_it_is_cancelled_at_once,
	C14_an_outer_scope_is_moved_from_inside,
	C14_moves_go_on_under_a_cancelled_scope,
	C14_an_ended_scope_is_gone,
	C14_some_errs_are_refused,
	C14_an_idle_timer_of_a_million_bytes,
	C15_a_cancel_before_begin_is_honoured,
	C15_a_cancel_before_begin_precedes_a_due_deadline,
	C15_a_cancel_before_begin_reaches_nobody_else,
	C15_a_scope_is_single_use,
	C14_moved_to_no_end_it_arms_nothing)
