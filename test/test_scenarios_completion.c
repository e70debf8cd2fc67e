/*
 * Conformance scenarios, group H: completion against cancellation on one tick. What is
 * received in the scenarios is the exit of a coroutine here, and receiving it is a join.
 */
#include "actor.h"

struct receiver {
	co_ref from;
	co_scope *in; /* NULL: none */
	co_ns for_ns;
	int rc, code, next, end;
};

static int receiver(void *arg)
{
	struct receiver *r = arg;

	r->code = 99;
	if (r->in)
		co_scope_begin(r->in, r->for_ns);
	r->rc = co_join(r->from, &r->code);
	r->next = co_yield_now();
	r->end = r->in ? co_scope_end(r->in, r->rc) : r->rc;
	return 0;
}

/* C8: cancelled first, so nothing is handed over; what comes then is kept for the next one */
SCENARIO(S103_cancel_then_send)
{
	struct actor sender = { .nap = 10, .exit = 7 };
	struct receiver r = { .in = NULL };
	co_group g;
	co_ref ref;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	r.from = spawn(&g, actor, &sender);
	ref = spawn(&g, receiver, &r);
	IS(co_sleep_until(MS(10)), 0);
	IS(co_cancel(ref, 0), 0);
	IS(sender.left, 0);
	settle();
	IS(sender.left, 10);
	IS(r.rc, CANC);
	IS(r.code, 99);
	IS(r.next, CANC);
	IS(join(r.from), 7);
	IS(co_group_end(&g, 0), 0);
}

/* C8, C9: the deadline is looked at before the sender runs */
SCENARIO(S105_item_arrives_on_the_tick_of_the_deadline)
{
	struct actor sender = { .nap = 10, .exit = 7 };
	co_scope s = CO_SCOPE_INIT;
	struct receiver r = { .in = &s, .for_ns = MS(10) };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	r.from = spawn(&g, actor, &sender);
	spawn(&g, receiver, &r);
	IS(co_sleep(MS(20)), 0);
	IS(sender.left, 10);
	IS(r.rc, CANC);
	IS(r.end, TMO);
	IS(r.code, 99);
	IS(join(r.from), 7);
	IS(co_group_end(&g, 0), 0);
}

/* C9 */
SCENARIO(S107_sleep_due_with_its_scope)
{
	co_scope s = CO_SCOPE_INIT, t = CO_SCOPE_INIT;

	co_scope_begin_at(&s, MS(10), 0);
	IS(co_sleep_until(MS(10)), 0);
	AT(10);
	ck_assert(co_scope_cancelled(&s));
	IS(co_scope_end(&s, 0), 0);
	ck_assert(!co_scope_caught(&s));

	co_scope_begin_at(&t, MS(20), 0);
	IS(co_sleep(MS(10)), 0);
	IS(co_yield_now(), CANC);
	IS(co_scope_end(&t, CANC), TMO);
}

struct batch {
	co_ns scope, sleep;
	int rc, next, end;
};

static int batch(void *arg)
{
	struct batch *b = arg;
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin_at(&s, b->scope, 0);
	b->rc = co_sleep_until(b->sleep);
	b->next = co_yield_now();
	b->end = co_scope_end(&s, b->next);
	return 0;
}

/* C9 */
SCENARIO(S108_late_batch_in_deadline_order)
{
	struct batch sleep_first = { .scope = MS(20), .sleep = MS(10) };
	struct batch scope_first = { .scope = MS(10), .sleep = MS(20) };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, batch, &sleep_first);
	spawn(&g, batch, &scope_first);
	settle();
	stall(MS(50));
	IS(co_group_end(&g, 0), 0);
	AT(50);
	IS(sleep_first.rc, 0);
	IS(sleep_first.next, CANC);
	IS(sleep_first.end, TMO);
	IS(scope_first.rc, CANC);
	IS(scope_first.end, TMO);
}

/* C8: t ends, then the joiner is cancelled in the same pass, main running between the two */
SCENARIO(S111_join_completes_then_the_joiner_is_cancelled)
{
	struct actor t = { .nap = 10, .exit = 5 };
	struct receiver r = { .in = NULL };
	co_group g;
	co_ref ref;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	r.from = spawn(&g, actor, &t);
	ref = spawn(&g, receiver, &r);
	settle();
	IS(co_sleep_until(MS(10)), 0);
	IS(t.left, 10);
	IS(co_cancel(ref, 0), 0);
	settle();
	IS(r.rc, 0);
	IS(r.code, 5);
	IS(r.next, CANC);
	IS(co_group_end(&g, 0), 0);
}

/* C8: each round has exactly one of {exit, -ECANCELED}, and nothing is lost */
SCENARIO(S114_both_outcomes_are_exclusive)
{
	uint64_t dice = suite_seed();
	int received = 0, cut = 0, kept = 0;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 10000; i++) {
		struct actor sender = { .nap = 1 + (int)(suite_random(&dice) % 8), .exit = i };
		co_scope s = CO_SCOPE_INIT;
		struct receiver r = { .in = &s, .for_ns = MS(1 + suite_random(&dice) % 8) };
		co_ref ref;

		if (suite_random(&dice) & 1) {
			r.from = spawn(&g, actor, &sender);
			ref = spawn(&g, receiver, &r);
		} else {
			ref = spawn(&g, receiver, &r);
			r.from = spawn(&g, actor, &sender);
		}
		IS(join(ref), 0);
		if (r.rc == 0) {
			IS(r.code, i);
			IS(co_join(r.from, NULL), -ESRCH);
			received++;
		} else {
			IS(r.rc, CANC);
			IS(r.end, TMO);
			IS(r.code, 99);
			cut++;
			kept += join(r.from) == i;
		}
	}
	IS(kept, cut);
	IS(received + kept, 10000);
	ck_assert_int_gt(received, 1000);
	ck_assert_int_gt(cut, 1000);
	IS(co_group_end(&g, 0), 0);
}

SUITE("scenarios-completion", S103_cancel_then_send, S105_item_arrives_on_the_tick_of_the_deadline,
      S107_sleep_due_with_its_scope, S108_late_batch_in_deadline_order,
      S111_join_completes_then_the_joiner_is_cancelled, S114_both_outcomes_are_exclusive)
