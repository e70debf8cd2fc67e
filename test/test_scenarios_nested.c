/*
 * Conformance scenarios, group C: nested scopes, and which of them expired.
 */
#include "scenario.h"

/* C11 */
SCENARIO(S36_inner_first)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope i = CO_SCOPE_INIT;

	co_scope_begin(&o, MS(50));
	co_scope_begin(&i, MS(10));
	IS(co_scope_end(&i, co_sleep(MS(100))), TMO);
	AT(10);
	IS(co_sleep(MS(5)), 0);
	AT(15);
	IS(co_scope_end(&o, 0), 0);
}

/* C11 */
SCENARIO(S37_outer_first)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope i = CO_SCOPE_INIT;
	int ri;

	co_scope_begin(&o, MS(5));
	co_scope_begin(&i, MS(10));
	ri = co_scope_end(&i, co_sleep(MS(20)));
	IS(ri, CANC);
	AT(5);
	ck_assert(!co_scope_caught(&i));
	IS(co_scope_end(&o, ri), TMO);
	ck_assert(co_scope_caught(&o));
	AT(5);
}

/*
 * Four ways to two equal deadlines: as begun, the outer moved there, the inner moved there,
 * and both moved, the outer last.
 */
static void begin_equal(co_scope *o, co_scope *i, co_ns when, int way)
{
	co_scope_begin_at(o, way & 1 ? when + MS(1) : when, 0);
	co_scope_begin_at(i, way & 2 ? when + MS(1) : when, 0);
	if (way & 2)
		IS(co_scope_set_deadline(i, when), 0);
	if (way & 1)
		IS(co_scope_set_deadline(o, when), 0);
}

/* C12 */
SCENARIO(S38_equal_deadlines_outermost_wins)
{
	for (int run = 0; run < 1000; run++) {
		co_scope o = CO_SCOPE_INIT;
		co_scope i = CO_SCOPE_INIT;
		co_ns when = co_now() + MS(10);

		begin_equal(&o, &i, when, run % 4);
		IS(co_scope_end(&i, co_sleep(MS(50))), CANC);
		IS(co_scope_end(&o, CANC), TMO);
		ck_assert(!co_scope_caught(&i));
		ck_assert(co_scope_caught(&o));
		IS(co_now(), when);
	}
}

/* C9, C12 */
SCENARIO(S39_both_overdue_after_a_stall)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope i = CO_SCOPE_INIT;

	co_scope_begin_at(&o, MS(20), 0);
	co_scope_begin_at(&i, MS(10), 0);
	stall(MS(50));
	IS(co_scope_end(&i, co_sleep(MS(10))), CANC);
	IS(co_scope_end(&o, CANC), TMO);
	AT(50);
}

/* C11: the outer wins although the inner was first */
SCENARIO(S41_outer_cancelled_while_the_inner_is_unwound)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope i = CO_SCOPE_INIT;
	int ri;

	co_scope_begin(&o, CO_FOREVER);
	co_scope_begin(&i, CO_FOREVER);
	IS(co_scope_cancel(&i, 0), 0);
	IS(co_sleep(MS(10)), CANC);
	IS(co_scope_cancel(&o, 0), 0);
	ri = co_scope_end(&i, CANC);
	IS(ri, CANC);
	ck_assert(!co_scope_caught(&i));
	IS(co_scope_end(&o, ri), 0);
	ck_assert(co_scope_caught(&o));
}

/* C11 */
SCENARIO(S42_an_uncancelled_scope_never_swallows)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope i = CO_SCOPE_INIT;

	co_scope_begin(&o, CO_FOREVER);
	co_scope_begin(&i, MS(100));
	IS(co_scope_cancel(&o, 0), 0);
	IS(co_scope_end(&i, co_sleep(MS(10))), CANC);
	ck_assert(!co_scope_caught(&i));
	ck_assert(!co_scope_cancelled(&i));
	IS(co_scope_end(&o, CANC), 0);
	AT(0);
}

/* C12: retries end with the outer timeout, also where a retry is due with it */
SCENARIO(S44_retry_loop_is_not_fooled_by_the_outer_timeout)
{
	co_scope o = CO_SCOPE_INIT;
	int r = TMO;
	int tries = 0;

	co_scope_begin(&o, MS(500));
	while (r == TMO && tries < 10) {
		co_scope i = CO_SCOPE_INIT;

		co_scope_begin(&i, MS(100));
		r = co_scope_end(&i, co_sleep(CO_FOREVER));
		tries++;
		AT(100 * tries);
	}
	IS(tries, 5);
	IS(r, CANC);
	IS(co_scope_end(&o, r), TMO);
	AT(500);
}

/* C11 */
SCENARIO(S45_inner_timeouts_with_the_outer_in_the_middle)
{
	co_scope o = CO_SCOPE_INIT;
	int r = TMO;
	int count = 0;

	co_scope_begin(&o, MS(320));
	for (int tries = 0; r == TMO && tries < 10; tries++) {
		co_scope i = CO_SCOPE_INIT;

		co_scope_begin(&i, MS(150));
		r = co_scope_end(&i, co_sleep(CO_FOREVER));
		if (r == TMO) {
			count++;
			AT(150 * count);
		}
	}
	IS(count, 2);
	IS(r, CANC);
	AT(320);
	IS(co_scope_end(&o, r), TMO);
}

/* C7 */
SCENARIO(S47_effective_deadline)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope i = CO_SCOPE_INIT;
	co_scope h = CO_SCOPE_INIT;

	IS(co_deadline(), CO_FOREVER);
	co_scope_begin_at(&o, MS(5), 0);
	co_scope_begin_at(&i, MS(10), 0);
	IS(co_deadline(), MS(5));
	IS(co_time_left(), MS(5));
	IS(co_scope_set_deadline(&i, MS(3)), 0);
	IS(co_deadline(), MS(3));
	IS(co_scope_set_deadline(&i, MS(10)), 0);
	IS(co_deadline(), MS(5));
	IS(co_scope_cancel(&o, 0), 0);
	IS(co_time_left(), 0);
	ck_assert_int_le(co_deadline(), co_now());
	co_scope_begin_at(&h, MS(10), CO_SHIELD);
	IS(co_deadline(), MS(10));
	IS(co_time_left(), MS(10));
	IS(co_scope_end(&h, 0), 0);
	IS(co_time_left(), 0);
	IS(co_scope_end(&i, 0), 0);
	IS(co_scope_end(&o, 0), 0);
	IS(co_deadline(), CO_FOREVER);
}

/* C5, C7 */
SCENARIO(S48_inner_longer_than_outer_does_not_extend)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope i = CO_SCOPE_INIT;

	co_scope_begin(&o, MS(10));
	co_scope_begin(&i, MS(1000));
	IS(co_sleep(MS(500)), CANC);
	AT(10);
	IS(co_scope_end(&i, CANC), CANC);
	IS(co_scope_end(&o, CANC), TMO);
}

/* C14, C15 */
SCENARIO(S50_sibling_scopes_in_sequence)
{
	co_scope s1 = CO_SCOPE_INIT;
	co_scope s2 = CO_SCOPE_INIT;

	co_scope_begin(&s1, MS(10));
	IS(co_scope_end(&s1, co_sleep(MS(5))), 0);
	co_scope_begin(&s2, MS(10));
	IS(co_scope_end(&s2, co_sleep(MS(8))), 0);
	AT(13);
}

static int __attribute__((noinline)) cancel_here(co_scope *s)
{
	int rc = co_scope_cancel(s, EPIPE);

	note('c');	/* so that the call above returns to this function */
	return rc;
}

/* C4: the site of a cause is the call of the cancel */
SCENARIO(S51_cause_names_the_scope_and_the_site)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope i = CO_SCOPE_INIT;
	struct co_cause cause, of_o;
	__typeof__(cancel_here) *volatile cancel = cancel_here;	/* that function, no copy of it */
	uintptr_t fn = (uintptr_t)cancel;
	char text[256] = "";

	co_scope_begin(&o, CO_FOREVER);
	co_scope_begin(&i, MS(100));
	IS(cancel(&o), 0);
	IS(co_sleep(MS(1)), CANC);
	IS(co_cancel_cause(&cause), 0);
	IS(cause.kind, CO_CAUSE_EXPLICIT);
	IS(cause.err, EPIPE);
	ck_assert_uint_gt((uintptr_t)cause.site, fn);
	ck_assert_uint_lt((uintptr_t)cause.site, fn + 4096);
	IS(co_scope_cause(&o, &of_o), 0);
	IS(of_o.kind, cause.kind);
	IS(of_o.err, cause.err);
	ck_assert_ptr_eq(of_o.site, cause.site);
	IS(co_scope_cause(&i, &of_o), -ENOENT);
	ck_assert_int_ge(co_site_format(cause.site, text, sizeof(text)), 0);
	ck_assert_str_ne(text, "");
	IS(co_scope_end(&i, CANC), CANC);
	IS(co_scope_end(&o, CANC), -EPIPE);
}

SUITE("scenarios C: nested scopes",
	S36_inner_first,
	S37_outer_first,
	S38_equal_deadlines_outermost_wins,
	S39_both_overdue_after_a_stall,
	S41_outer_cancelled_while_the_inner_is_unwound,
	S42_an_uncancelled_scope_never_swallows,
	S44_retry_loop_is_not_fooled_by_the_outer_timeout,
	S45_inner_timeouts_with_the_outer_in_the_middle,
	S47_effective_deadline,
	S48_inner_longer_than_outer_does_not_extend,
	S50_sibling_scopes_in_sequence,
	S51_cause_names_the_scope_and_the_site)
