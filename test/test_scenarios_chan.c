/*
 * Conformance scenarios that are played with channels: group L, those of group H that send and
 * receive, and some of others.
 */
#include "peer.h"

/* C7: S95 */
SCENARIO(S95_until_tries_first)
{
	co_chan *c = ints(1);
	int x = 7;

	IS(co_sleep(MS(10)), 0);
	IS(co_chan_send_until(c, &x, 0), 0);
	IS(co_chan_send_until(c, &x, MS(5)), TMO);
	IS(co_chan_recv_until(c, &x, INT64_MIN), 0);
	IS(x, 7);
	x = 1;
	IS(co_chan_recv_until(c, &x, MS(10)), TMO);
	IS(x, 1);
	AT(10);
	co_chan_free(c);
}

/* C7: S96 */
SCENARIO(S96_until_in_a_cancelled_scope)
{
	co_chan *c = ints(2);
	co_scope s = CO_SCOPE_INIT;
	int x = 1;

	IS(send_int(c, 7), 0);
	begin_cancelled(&s, 0);
	IS(co_chan_recv_until(c, &x, 0), CANC);
	IS(co_chan_send_until(c, &x, 0), CANC);
	IS(x, 1);
	ck_assert_uint_eq(co_chan_len(c), 1);
	IS(co_scope_end(&s, CANC), 0);
	IS(recv_int(c), 7);
	co_chan_free(c);
}

/* C2: S8 */
SCENARIO(S8_a_scope_for_ever_around_a_receive)
{
	struct peer r = { .c = ints(0), .within = CO_FOREVER };

	start(&r, receiver);
	advance(INT64_C(10) * 365 * 24 * 3600 * CO_SEC(1));
	ck_assert(!r.over);
	IS(send_int(r.c, 1), 0);
	finish(&r);
	IS(r.rc, 0);
	IS(r.end, 0);
	co_chan_free(r.c);
}

/* C14: S57 */
SCENARIO(S57_idle_timer_over_receives)
{
	co_chan *c = ints(0);
	co_scope s = CO_SCOPE_INIT;
	struct peer p[3] = { { .c = c } };
	co_group g;

	co_group_begin(&g, CO_GROUP_COLLECT);
	for (int i = 0; i < 3; i++) {
		p[i].c = c;
		spawn(&g, sender, &p[i]);
	}
	co_scope_begin(&s, MS(30));
	for (int i = 0; i < 3; i++) {
		co_scope calm = CO_SCOPE_INIT;

		co_scope_begin_shield(&calm, MS(100));
		IS(co_sleep(MS(20)), 0);
		IS(co_scope_end(&calm, 0), 0);
		IS(recv_int(c), 0);
		IS(co_scope_rearm(&s, MS(30)), 0);
	}
	IS(recv_int(c), CANC);
	AT(90);
	IS(co_scope_end(&s, CANC), TMO);
	IS(co_group_end(&g, 0), 0);
	co_chan_free(c);
}

/* C12: S44 */
SCENARIO(S44_retry_loop_around_a_receive)
{
	co_chan *c = ints(0);
	co_scope o = CO_SCOPE_INIT;
	int r, timeouts = 0;

	co_scope_begin(&o, MS(500));
	do {
		co_scope i = CO_SCOPE_INIT;

		co_scope_begin(&i, MS(100));
		r = co_scope_end(&i, recv_int(c));
		timeouts += r == TMO;
	} while (r == TMO);
	IS(timeouts, 4);
	IS(r, CANC);
	AT(500);
	IS(co_scope_end(&o, r), TMO);
	co_chan_free(c);
}

/* C8: S102 */
SCENARIO(S102_receive_done_then_cancel)
{
	for (size_t capacity = 0; capacity < 2; capacity++) {
		struct peer r = { .c = ints(capacity) };

		start(&r, receiver);
		IS(try_send(r.c, 7), 0);
		IS(co_cancel(r.lone.ref, 0), 0);
		finish(&r);
		IS(r.rc, 0);
		IS(r.value, 7);
		IS(r.next, CANC);
		co_chan_free(r.c);
	}
}

/* C8: the same for a send */
SCENARIO(send_done_then_cancel)
{
	for (size_t capacity = 0; capacity < 2; capacity++) {
		struct peer s = { .c = ints(capacity), .value = 7 };

		if (capacity > 0)
			IS(send_int(s.c, 6), 0);
		start(&s, sender);
		IS(try_recv(s.c), capacity > 0 ? 6 : 7);
		IS(co_cancel(s.lone.ref, 0), 0);
		finish(&s);
		IS(s.rc, 0);
		IS(s.next, CANC);
		if (capacity > 0)
			IS(try_recv(s.c), 7);
		IS(try_recv(s.c), -EAGAIN);
		co_chan_free(s.c);
	}
}

/* C8: S103 */
SCENARIO(S103_cancel_then_send)
{
	struct peer r = { .c = ints(0), .value = -1 };

	start(&r, receiver);
	IS(co_cancel(r.lone.ref, 0), 0);
	IS(try_send(r.c, 7), -EAGAIN);
	finish(&r);
	IS(r.rc, CANC);
	IS(r.value, -1);
	co_chan_free(r.c);
}

static int send_every_200(void *arg)
{
	for (int i = 0; i < 10; i++) {
		IS(co_sleep(MS(200)), 0);
		IS(send_int(arg, i), 0);
	}
	return 0;
}

/* C8: S104 */
SCENARIO(S104_timeouts_between_items_lose_none)
{
	for (size_t capacity = 0; capacity < 2; capacity++) {
		co_chan *c = ints(capacity);
		int timeouts = 0;
		struct lone l;

		lone_start(&l, send_every_200, c);
		for (int got = 0; got < 10;) {
			co_scope s = CO_SCOPE_INIT;
			int rc;

			co_scope_begin(&s, MS(100));
			rc = co_scope_end(&s, recv_int(c));
			ck_assert(rc == TMO || rc == got);
			if (rc == got)
				got++;
			else
				timeouts++;
		}
		ck_assert_int_ge(timeouts, 10);
		IS(lone_end(&l), 0);
		co_chan_free(c);
	}
}

struct at_tick {
	co_chan *c;
	co_ns at;
	int rc;
};

static int send_7_at(void *arg)
{
	struct at_tick *t = arg;

	IS(co_sleep_until(t->at), 0);
	t->rc = send_int(t->c, 7);
	return 0;
}

/* C8, C9: S105 */
SCENARIO(S105_item_arrives_on_the_tick_of_the_deadline)
{
	for (size_t capacity = 0; capacity < 2; capacity++) {
		struct peer r = { .c = ints(capacity), .value = -1, .within = MS(10) };
		struct at_tick t = { .c = r.c, .at = co_now() + MS(10), .rc = -1 };
		struct lone l;

		lone_start(&l, send_7_at, &t);
		start(&r, receiver);
		advance(MS(20));
		IS(r.rc, CANC);
		IS(r.value, -1);
		IS(r.end, TMO);
		IS(t.rc, capacity > 0 ? 0 : -1); /* in the queue, or it waits */
		IS(recv_int(r.c), 7);
		finish(&r);
		IS(lone_end(&l), 0);
		IS(t.rc, 0);
		co_chan_free(r.c);
	}
}

/* C9: at one instant the deadline of the call comes before that of a scope */
SCENARIO(until_comes_before_the_scope)
{
	struct peer r = { .c = ints(0), .within = MS(10), .until = MS(10) };

	start(&r, receiver);
	advance(MS(10));
	IS(r.rc, TMO);
	IS(r.next, CANC);
	finish(&r);
	co_chan_free(r.c);
}

/* C8: S183 */
SCENARIO(S183_cancelled_receiver_leaves_no_trace)
{
	struct peer r = { .c = ints(1), .within = MS(10) };

	start(&r, receiver);
	advance(MS(10));
	IS(r.end, TMO);
	finish(&r);
	IS(send_int(r.c, 1), 0);
	AT(10);
	ck_assert_uint_eq(co_chan_len(r.c), 1);
	co_chan_free(r.c);
}

/* C33: S185 */
SCENARIO(S185_put_cancelled_then_put_again)
{
	struct peer s = { .c = ints(1), .value = 7 }, again;

	IS(send_int(s.c, 1), 0);
	start(&s, sender);
	IS(co_cancel(s.lone.ref, 0), 0);
	finish(&s);
	IS(s.rc, CANC);
	again = s;
	again.over = false;
	start(&again, sender);
	IS(recv_int(s.c), 1);
	IS(recv_int(s.c), 7);
	IS(try_recv(s.c), -EAGAIN);
	finish(&again);
	IS(again.rc, 0);
	co_chan_free(s.c);
}

static void three_readers(bool cancel_first)
{
	struct peer r[3] = { { .c = ints(0), .value = -1 } };

	for (int i = 0; i < 3; i++) {
		r[i] = r[0];
		start(&r[i], receiver);
	}
	if (cancel_first)
		IS(co_cancel(r[0].lone.ref, 0), 0);
	IS(try_send(r[0].c, 1), 0);
	IS(try_send(r[0].c, 2), 0);
	if (!cancel_first)
		IS(co_cancel(r[0].lone.ref, 0), 0);
	settle();
	IS(r[0].rc, cancel_first ? CANC : 0);
	IS(r[0].value, cancel_first ? -1 : 1);
	IS(r[1].value, cancel_first ? 1 : 2);
	ck_assert(r[2].over == cancel_first);
	IS(r[2].value, cancel_first ? 2 : -1);
	IS(co_chan_close(r[0].c), 0);
	for (int i = 3; i-- > 0;)
		finish(&r[i]);
	co_chan_free(r[0].c);
}

/* C8: S186 */
SCENARIO(S186_many_readers_one_chosen_then_cancelled)
{
	three_readers(false);
}

SCENARIO(S186_many_readers_one_cancelled_then_passed_over)
{
	three_readers(true);
}

/* C8: S188 */
SCENARIO(S188_cancel_and_close_on_one_tick)
{
	struct peer r[2] = { { .c = ints(0) }, { .c = ints(0) } };

	start(&r[0], receiver);
	start(&r[1], receiver);
	IS(co_cancel(r[0].lone.ref, 0), 0);
	IS(co_chan_close(r[0].c), 0);
	IS(co_chan_close(r[1].c), 0);
	IS(co_cancel(r[1].lone.ref, 0), 0);
	finish(&r[1]);
	finish(&r[0]);
	IS(r[0].rc, CANC);
	IS(r[1].rc, -EPIPE);
	IS(r[1].next, CANC);
	co_chan_free(r[0].c);
	co_chan_free(r[1].c);
}

/* C33: S192 */
SCENARIO(S192_rendezvous_with_the_sender_timing_out)
{
	struct peer s = { .c = ints(0), .value = 7, .within = MS(10) };
	struct peer r = { .c = s.c, .value = -1 };

	start(&s, sender);
	advance(MS(11));
	IS(s.rc, CANC);
	IS(s.end, TMO);
	IS(s.at, MS(10));
	start(&r, receiver);
	ck_assert(!r.over);
	IS(co_chan_close(s.c), 0);
	finish(&r);
	IS(r.value, -1);
	finish(&s);
	co_chan_free(s.c);
}

struct storm {
	co_chan *c;
	int rounds;
	uint64_t random;
	int sent, received, left;
	bool done;
};

static int storm_sender(void *arg)
{
	struct storm *s = arg;

	while (!s->done) {
		co_scope scope = CO_SCOPE_INIT;
		int rc;

		IS(co_sleep((co_ns)(suite_random(&s->random) % 50)), 0);
		co_scope_begin(&scope, (co_ns)(suite_random(&s->random) % 50));
		rc = co_scope_end(&scope, send_int(s->c, s->sent));
		ck_assert(rc == 0 || rc == TMO);
		s->sent += rc == 0;
	}
	return 0;
}

/* C8: S114 */
static void both_outcomes(size_t capacity)
{
	struct storm s = { .c = ints(capacity), .random = suite_seed() };
	struct lone l;

	s.rounds = suite_long() ? 400000 : 10000;
	lone_start(&l, storm_sender, &s);
	for (int i = 0; i < s.rounds; i++) {
		co_scope scope = CO_SCOPE_INIT;
		int rc;

		co_scope_begin(&scope, (co_ns)(suite_random(&s.random) % 100));
		rc = co_scope_end(&scope, recv_int(s.c));
		if (rc != TMO && rc != s.received)
			ck_abort_msg("round %d: %d, not %d", i, rc, s.received);
		s.received += rc != TMO;
	}
	s.done = true;
	IS(lone_end(&l), 0);
	IS(s.sent, s.received + (int)co_chan_len(s.c));
	ck_assert_int_gt(s.received, 0);
	ck_assert_int_lt(s.received, s.rounds);
	co_chan_free(s.c);
}

SCENARIO(S114_both_outcomes_are_exclusive)
{
	for (size_t capacity = 0; capacity < 3; capacity++)
		both_outcomes(capacity);
}

SUITE("scenarios_chan", S95_until_tries_first, S96_until_in_a_cancelled_scope,
      S8_a_scope_for_ever_around_a_receive, S57_idle_timer_over_receives,
      S44_retry_loop_around_a_receive, S102_receive_done_then_cancel, send_done_then_cancel,
      S103_cancel_then_send, S104_timeouts_between_items_lose_none,
      S105_item_arrives_on_the_tick_of_the_deadline, until_comes_before_the_scope,
      S183_cancelled_receiver_leaves_no_trace, S185_put_cancelled_then_put_again,
      S186_many_readers_one_chosen_then_cancelled, S186_many_readers_one_cancelled_then_passed_over,
      S188_cancel_and_close_on_one_tick, S192_rendezvous_with_the_sender_timing_out,
      S114_both_outcomes_are_exclusive)
