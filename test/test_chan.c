/*
 * Channels: every sentence of <whorl/chan.h> that is not about select. The scenarios are in
 * test_scenarios_chan.c, a random model in test_chan_model.c.
 */
#include "peer.h"

/* ------------------------------------------------------------------------------- making */

static int allocs, frees;
static bool no_memory;

static void *count_alloc(size_t size, void *ctx)
{
	(void)ctx;
	allocs++;
	return no_memory ? NULL : malloc(size);
}

static void count_free(void *ptr, size_t size, void *ctx)
{
	(void)ctx;
	memset(ptr, 0x5a, size);
	frees++;
	free(ptr);
}

static struct co_options *counting(void)
{
	static struct co_options opt = { .clock = CO_CLOCK_VIRTUAL };

	opt.alloc = (struct co_alloc){ count_alloc, count_free, NULL };
	return &opt;
}

static int hundred_each_way(void *arg)
{
	for (int i = 0; i < 100; i++)
		IS(send_int(arg, i), 0);
	return 0;
}

SCENARIO_WITH(one_piece_of_memory_and_none_per_message, counting())
{
	struct lone l;
	int before;
	co_chan *c;

	before = allocs;
	c = ints(3);
	IS(allocs, before + 1);
	lone_start(&l, hundred_each_way, c);
	before = allocs;
	for (int i = 0; i < 100; i++)
		IS(recv_int(c), i);
	IS(allocs, before);
	IS(lone_end(&l), 0);
	before = frees;
	co_chan_free(c);
	IS(frees, before + 1);
	co_chan_free(NULL);
}

SCENARIO_WITH(sizes_that_cannot_be, counting())
{
	co_chan *c = (co_chan *)&allocs;

	IS(co_chan_make(NULL, 4, 4), -EINVAL);
	IS(co_chan_make(&c, SIZE_MAX, 1), -ENOMEM);
	ck_assert_ptr_null(c);
	IS(co_chan_make(&c, 2, SIZE_MAX / 2 + 1), -ENOMEM);
	IS(co_chan_make(&c, SIZE_MAX / 2, 2), -ENOMEM);
	no_memory = true;
	IS(co_chan_make(&c, 4, 4), -ENOMEM);
	ck_assert_ptr_null(c);
	no_memory = false;
	c = chan_of(0, SIZE_MAX);
	IS(co_chan_trysend(c, NULL), 0);
	ck_assert_uint_eq(co_chan_len(c), 1);
	co_chan_free(c);
}

static co_chan *left;

static int leave_one(void *unused)
{
	(void)unused;
	left = ints(2);
	return try_send(left, 7);
}

/* Outside, and after the end of its runtime. */
START_TEST(outside_it_can_only_be_freed)
{
	struct co_options opt = *counting();
	int code = -1, x = 1;
	co_chan *c = (co_chan *)&code;

	IS(co_chan_make(&c, 4, 1), -EPERM);
	ck_assert_ptr_null(c);
	IS(co_run(leave_one, NULL, &opt, &code), 0);
	IS(code, 0);
	IS(co_chan_send(left, &x), -EPERM);
	IS(co_chan_recv(left, &x), -EPERM);
	IS(co_chan_send_until(left, &x, 0), -EPERM);
	IS(co_chan_recv_until(left, &x, 0), -EPERM);
	IS(co_chan_trysend(left, &x), -EPERM);
	IS(co_chan_tryrecv(left, &x), -EPERM);
	IS(co_chan_close(left), -EPERM);
	ck_assert_uint_eq(co_chan_len(left), 1);
	IS(frees, allocs - 1);
	co_chan_free(left);
	IS(frees, allocs);
}
END_TEST

SCENARIO(null_is_an_error)
{
	co_chan *c = ints(1);
	int x = 0;

	IS(co_chan_send(NULL, &x), -EINVAL);
	IS(co_chan_recv(NULL, &x), -EINVAL);
	IS(co_chan_send_until(NULL, &x, 0), -EINVAL);
	IS(co_chan_recv_until(NULL, &x, 0), -EINVAL);
	IS(co_chan_trysend(NULL, &x), -EINVAL);
	IS(co_chan_tryrecv(NULL, &x), -EINVAL);
	IS(co_chan_close(NULL), -EINVAL);
	ck_assert_uint_eq(co_chan_len(NULL), 0);
	IS(co_chan_send(c, NULL), -EINVAL);
	IS(co_chan_recv(c, NULL), -EINVAL);
	IS(co_chan_trysend(c, NULL), -EINVAL);
	IS(co_chan_tryrecv(c, NULL), -EINVAL);
	ck_assert_uint_eq(co_chan_len(c), 0);
	co_chan_free(c);
}

/* The 65th point in a row lets others run first; then it waits, and not for ever. */
SCENARIO(C19_a_forced_pass_keeps_the_deadline)
{
	co_chan *row = ints(64), *c = ints(0);
	int x = 7;

	for (int i = 0; i < 64; i++)
		IS(send_int(row, i), 0);
	IS(co_chan_send_until(c, &x, MS(5)), TMO);
	AT(5);
	for (int i = 0; i < 64; i++)
		IS(recv_int(row), i);
	IS(co_chan_recv_until(c, &x, MS(10)), TMO);
	AT(10);
	co_chan_free(c);
	co_chan_free(row);
}

/* ------------------------------------------------------------------------------ elements */

static const unsigned char pattern[100] = { 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233 };

static int send_pattern(void *arg)
{
	return co_chan_send(arg, pattern);
}

/* Through the queue, to one that waits, and from one that waits: each byte, and no byte more. */
SCENARIO(elements_of_all_sizes_arrive_whole)
{
	for (size_t size = 0; size < sizeof(pattern); size++) {
		for (size_t capacity = 0; capacity < 3; capacity++) {
			co_chan *c = chan_of(size, capacity);
			unsigned char got[sizeof(pattern) + 1];
			struct lone l[4];

			for (int i = 0; i < 4; i++)
				lone_start(&l[i], send_pattern, c);
			settle();
			for (int i = 0; i < 4; i++) {
				memset(got, 0xee, sizeof(got));
				IS(co_chan_recv(c, got), 0);
				ck_assert_mem_eq(got, pattern, size);
				IS(got[size], 0xee);
			}
			for (int i = 4; i-- > 0;)
				IS(lone_end(&l[i]), 0);
			co_chan_free(c);
		}
	}
}

SCENARIO(an_element_is_copied_when_it_is_sent)
{
	co_chan *c = ints(1);
	int x = 5;

	IS(co_chan_send(c, &x), 0);
	x = 6;
	IS(recv_int(c), 5);
	co_chan_free(c);
}

static int signal_thrice(void *arg)
{
	for (int i = 0; i < 3; i++)
		IS(co_chan_send(arg, NULL), 0);
	return 0;
}

SCENARIO(signals_have_no_elements)
{
	for (size_t capacity = 0; capacity < 3; capacity++) {
		co_chan *c = chan_of(0, capacity);
		struct lone l;

		lone_start(&l, signal_thrice, c);
		settle();
		ck_assert_uint_eq(co_chan_len(c), capacity);
		for (int i = 0; i < 3; i++)
			IS(co_chan_recv(c, NULL), 0);
		IS(co_chan_tryrecv(c, NULL), -EAGAIN);
		IS(lone_end(&l), 0);
		co_chan_free(c);
	}
}

/* -------------------------------------------------------------------------------- waiting */

SCENARIO(a_send_without_a_queue_waits_for_a_receive)
{
	struct peer s = { .c = ints(0), .value = 7 };

	start(&s, sender);
	ck_assert(!s.over);
	ck_assert_uint_eq(co_chan_len(s.c), 0);
	IS(co_sleep(MS(10)), 0);
	IS(recv_int(s.c), 7);
	ck_assert(!s.over);
	finish(&s);
	IS(s.rc, 0);
	IS(s.at, MS(10));
	co_chan_free(s.c);
}

SCENARIO(a_receive_without_a_queue_waits_for_a_send)
{
	struct peer r = { .c = ints(0) };

	start(&r, receiver);
	IS(co_sleep(MS(10)), 0);
	ck_assert(!r.over);
	IS(send_int(r.c, 7), 0);
	ck_assert(!r.over); /* it was made runnable, no more */
	finish(&r);
	IS(r.value, 7);
	co_chan_free(r.c);
}

SCENARIO(a_send_waits_only_for_a_full_queue)
{
	struct peer s = { .c = ints(2), .value = 3 };

	IS(send_int(s.c, 1), 0);
	IS(send_int(s.c, 2), 0);
	IS(try_send(s.c, 9), -EAGAIN);
	start(&s, sender);
	ck_assert(!s.over);
	ck_assert_uint_eq(co_chan_len(s.c), 2);
	IS(recv_int(s.c), 1);
	ck_assert_uint_eq(co_chan_len(s.c), 2); /* its element has moved in */
	IS(try_send(s.c, 9), -EAGAIN);
	finish(&s);
	IS(recv_int(s.c), 2);
	IS(recv_int(s.c), 3);
	IS(try_recv(s.c), -EAGAIN);
	co_chan_free(s.c);
}

SCENARIO(try_without_a_queue_needs_somebody_who_waits)
{
	struct peer r = { .c = ints(0) }, s = { .c = r.c, .value = 8 };

	IS(try_send(r.c, 1), -EAGAIN);
	IS(try_recv(r.c), -EAGAIN);
	start(&r, receiver);
	IS(try_recv(r.c), -EAGAIN);
	IS(try_send(r.c, 7), 0);
	IS(try_send(r.c, 9), -EAGAIN);
	finish(&r);
	IS(r.value, 7);
	start(&s, sender);
	IS(try_send(r.c, 9), -EAGAIN);
	IS(try_recv(r.c), 8);
	IS(try_recv(r.c), -EAGAIN);
	finish(&s);
	co_chan_free(r.c);
}

SCENARIO(a_queue_goes_round_in_order)
{
	co_chan *c = ints(5);
	int in = 0, out = 0;

	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 1 + round % 5; i++)
			IS(try_send(c, in++), 0);
		while (co_chan_len(c) > 0)
			IS(try_recv(c), out++);
	}
	IS(out, in);
	co_chan_free(c);
}

SCENARIO(senders_are_served_in_order_and_not_overtaken)
{
	for (size_t capacity = 0; capacity < 3; capacity++) {
		co_chan *c = ints(capacity);
		struct peer s[5] = { { .c = NULL } };

		for (int i = 0; i < 5; i++) {
			s[i].c = c;
			s[i].value = i;
			start(&s[i], sender);
		}
		IS(recv_int(c), 0);
		IS(try_send(c, 9), -EAGAIN);
		for (int i = 1; i < 5; i++)
			IS(recv_int(c), i);
		for (int i = 5; i-- > 0;)
			finish(&s[i]);
		co_chan_free(c);
	}
}

SCENARIO(receivers_are_served_in_order_and_not_overtaken)
{
	for (size_t capacity = 0; capacity < 3; capacity++) {
		co_chan *c = ints(capacity);
		struct peer r[5] = { { .c = NULL } };

		for (int i = 0; i < 5; i++) {
			r[i].c = c;
			start(&r[i], receiver);
		}
		IS(try_send(c, 0), 0);
		IS(try_recv(c), -EAGAIN);
		for (int i = 1; i < 5; i++)
			IS(try_send(c, i), 0);
		for (int i = 5; i-- > 0;) {
			finish(&r[i]);
			IS(r[i].value, i);
		}
		co_chan_free(c);
	}
}

/* Waking is not running: who sends to one that waits goes on. */
SCENARIO(handing_over_does_not_switch)
{
	struct peer r = { .c = ints(0) };
	struct co_stats before, after;

	start(&r, receiver);
	IS(co_stats(&before), 0);
	IS(send_int(r.c, 1), 0);
	IS(co_stats(&after), 0);
	ck_assert_uint_eq(after.switches, before.switches);
	finish(&r);
	co_chan_free(r.c);
}

/* ------------------------------------------------------------------------------ deadlines */

/* C7 */
SCENARIO(a_past_deadline_does_not_wait)
{
	co_chan *c = ints(0), *full = ints(1);
	struct co_case one = { CO_RECV, c, &(int){ 0 }, 0 };
	struct co_stats before, after;
	int x = 1;

	IS(send_int(full, 1), 0);
	IS(co_sleep(MS(10)), 0);
	IS(co_stats(&before), 0);
	IS(co_chan_recv_until(c, &x, MS(10)), TMO);
	IS(co_chan_send_until(c, &x, MS(9)), TMO);
	IS(co_chan_send_until(full, &x, -1), TMO);
	IS(co_select_until(&one, 1, MS(10)), TMO);
	IS(co_stats(&after), 0);
	ck_assert_uint_eq(after.switches, before.switches);
	co_chan_free(c);
	co_chan_free(full);
}

SCENARIO(until_ends_the_wait_at_its_instant)
{
	struct peer r = { .c = ints(0), .value = -1, .until = MS(20) };
	struct peer s = { .c = ints(0), .until = MS(30) };

	start(&r, receiver);
	start(&s, sender);
	advance(MS(20) - 1);
	ck_assert(!r.over);
	advance(MS(20));
	IS(r.rc, TMO);
	IS(r.at, MS(20));
	IS(r.value, -1);
	IS(s.rc, TMO);
	IS(s.at, MS(30));
	IS(try_send(r.c, 1), -EAGAIN); /* nobody is left in either line */
	IS(try_recv(s.c), -EAGAIN);
	finish(&s);
	finish(&r);
	co_chan_free(r.c);
	co_chan_free(s.c);
}

/* C7 */
SCENARIO(a_deadline_for_ever_arms_nothing)
{
	struct peer r = { .c = ints(0), .until = CO_FOREVER };
	struct co_stats stats;

	start(&r, receiver);
	IS(co_stats(&stats), 0);
	ck_assert_uint_eq(stats.timers, 0);
	IS(send_int(r.c, 3), 0);
	finish(&r);
	IS(r.value, 3);
	co_chan_free(r.c);
}

/* ------------------------------------------------------------------------- close and free */

SCENARIO(after_a_close_the_queue_drains)
{
	co_chan *c = ints(3);

	IS(send_int(c, 1), 0);
	IS(send_int(c, 2), 0);
	IS(co_chan_close(c), 0);
	IS(send_int(c, 9), -EPIPE);
	IS(try_send(c, 9), -EPIPE);
	IS(co_chan_close(c), -EPIPE);
	ck_assert_uint_eq(co_chan_len(c), 2);
	IS(recv_int(c), 1);
	IS(try_recv(c), 2);
	IS(recv_int(c), -EPIPE);
	IS(try_recv(c), -EPIPE);
	co_chan_free(c);
}

SCENARIO(a_close_ends_all_receives_in_order)
{
	struct peer r[3] = { { .c = ints(1), .value = -1 } };

	for (int i = 0; i < 3; i++) {
		r[i] = r[0];
		start(&r[i], receiver);
	}
	IS(co_chan_close(r[0].c), 0);
	for (int i = 3; i-- > 0;) {
		finish(&r[i]);
		IS(r[i].rc, -EPIPE);
		IS(r[i].value, -1);
	}
	co_chan_free(r[0].c);
}

SCENARIO(a_close_ends_all_sends_and_sends_nothing)
{
	struct peer s[3] = { { .c = ints(1), .value = 7 } };

	IS(send_int(s[0].c, 1), 0);
	for (int i = 0; i < 3; i++) {
		s[i] = s[0];
		start(&s[i], sender);
	}
	IS(co_chan_close(s[0].c), 0);
	for (int i = 3; i-- > 0;) {
		finish(&s[i]);
		IS(s[i].rc, -EPIPE);
	}
	IS(recv_int(s[0].c), 1);
	IS(recv_int(s[0].c), -EPIPE);
	co_chan_free(s[0].c);
}

SCENARIO(who_waits_at_the_free_is_told)
{
	struct peer r = { .c = ints(0) }, s = { .c = ints(1), .value = 2 };

	IS(send_int(s.c, 1), 0);
	start(&r, receiver);
	start(&s, sender);
	co_chan_free(r.c);
	co_chan_free(s.c);
	finish(&s);
	finish(&r);
	IS(r.rc, -EPIPE);
	IS(s.rc, -EPIPE);
}

/* ----------------------------------------------------------------------------- cancelling */

/* C7, S92: the check comes first, and nothing is changed. S93: try and close are no points. */
SCENARIO(S92_S93_in_a_cancelled_scope)
{
	co_chan *c = ints(3), *d = ints(0);
	struct peer r = { .c = d };
	co_scope s = CO_SCOPE_INIT;
	int x = 9;

	IS(send_int(c, 1), 0);
	start(&r, receiver);
	begin_cancelled(&s, 0);
	IS(co_chan_send(c, &x), CANC);
	IS(co_chan_recv(c, &x), CANC);
	IS(co_chan_send(d, &x), CANC);
	IS(x, 9);
	ck_assert_uint_eq(co_chan_len(c), 1);
	ck_assert(!r.over);
	IS(try_send(c, 2), 0);
	IS(try_recv(c), 1);
	IS(try_send(d, 5), 0);
	IS(co_chan_close(d), 0);
	IS(co_chan_send(d, &x), CANC); /* a cancel comes before what is wrong with the channel */
	IS(co_scope_end(&s, CANC), 0);
	finish(&r);
	IS(r.value, 5);
	co_chan_free(c);
	co_chan_free(d);
}

/* ------------------------------------------------------------------------- where it is used */

static int turns;

static int count_turns(void *unused)
{
	(void)unused;
	for (; turns < 100; turns++)
		IS(co_yield_now(), 0);
	return 0;
}

/* C19 */
SCENARIO(operations_that_never_wait_let_others_run)
{
	co_chan *c = ints(1);
	struct lone l;

	lone_start(&l, count_turns, NULL);
	for (int i = 0; i < 200 && turns < 3; i++) {
		IS(send_int(c, i), 0);
		IS(recv_int(c), i);
	}
	IS(turns, 3);
	turns = 100;
	IS(lone_end(&l), 0);
	co_chan_free(c);
}

static int storm_in_recv(void *arg)
{
	co_chan *c = arg;

	for (int i = 0; i < 9999; i++)
		IS(recv_int(c), CANC);
	IS(reported(CO_REPORT_STORM), 0);
	IS(recv_int(c), CANC);
	IS(reported(CO_REPORT_STORM), 1);
	return 0;
}

/* C19: the -ECANCELED that ended a wait is one of the 10 000. */
SCENARIO_WITH(a_cancel_storm_counts_from_the_first, hearing())
{
	co_chan *c = ints(0);
	struct lone l;

	lone_start(&l, storm_in_recv, c);
	settle();
	IS(co_cancel(l.ref, 0), 0);
	IS(lone_end(&l), 0);
	co_chan_free(c);
}

static struct peer told;
static int in_hook[8];

static void hook_uses_it(enum co_misuse kind, const char *text, const void *site, void *ctx)
{
	co_chan *c;
	int x = 7;

	hear_misuse(kind, text, site, ctx);
	if (misuses()->count > 1)
		return;
	in_hook[0] = co_chan_trysend(told.c, &x);
	in_hook[1] = co_chan_tryrecv(told.c, &x);
	in_hook[2] = co_chan_make(&c, 4, 1);
	in_hook[3] = co_chan_trysend(c, &x);
	in_hook[4] = (int)co_chan_len(c);
	in_hook[5] = co_chan_close(c);
	co_chan_free(c);
	in_hook[6] = co_chan_send(told.c, &x);
	in_hook[7] = co_chan_recv(told.c, &x);
}

static struct co_options *hook_options(void)
{
	struct co_options *opt = hearing();

	opt->on_misuse = hook_uses_it;
	return opt;
}

/* C24 */
SCENARIO_WITH(in_a_callback_all_but_waiting, hook_options())
{
	const int want[8] = { 0, -EAGAIN, 0, 0, 1, 0, -EPERM, -EPERM };
	co_scope s = CO_SCOPE_INIT;

	told.c = ints(0);
	start(&told, receiver);
	IS(co_scope_end(&s, 0), -EINVAL);
	for (int i = 0; i < 8; i++)
		IS(in_hook[i], want[i]);
	IS(misuses()->count, 3);
	IS(misuses()->kind[1], CO_MISUSE_CALLBACK);
	IS(misuses()->kind[2], CO_MISUSE_CALLBACK);
	finish(&told);
	IS(told.value, 7);
	co_chan_free(told.c);
}

static co_chan *foreign;

static int make_foreign(void *unused)
{
	(void)unused;
	foreign = ints(1);
	return 0;
}

static int use_foreign(void *unused)
{
	int x = 1;

	(void)unused;
	IS(co_chan_send(foreign, &x), -EXDEV);
	IS(co_chan_recv(foreign, &x), -EXDEV);
	IS(co_chan_trysend(foreign, &x), -EXDEV);
	IS(co_chan_tryrecv(foreign, &x), -EXDEV);
	IS(co_chan_close(foreign), -EXDEV);
	ck_assert_uint_eq(co_chan_len(foreign), 0);
	co_chan_free(foreign); /* not freed: its runtime lives */
	return 0;
}

/* C39: misuse LOOP */
START_TEST(another_runtimes_channel)
{
	struct co_options opt = *hearing();
	int code = -1;
	co_loop *other;

	IS(co_loop_open(&other, &opt), 0);
	IS(co_loop_spawn(other, make_foreign, NULL), 0);
	while (co_loop_run_once(other) > 0)
		;
	IS(co_run(use_foreign, NULL, &opt, &code), 0);
	IS(code, 0);
	IS(misuses()->count, 7);
	for (int i = 0; i < 7; i++)
		IS(misuses()->kind[i], CO_MISUSE_LOOP);
	ck_assert_uint_eq(co_chan_len(foreign), 0);
	IS(co_loop_close(other), 0);
	co_chan_free(foreign);
}
END_TEST

static int wait_for_each_other(void *unused)
{
	struct peer s = { .c = ints(0) }, r = { .c = ints(0) };
	co_group g;

	(void)unused;
	co_group_begin(&g, CO_GROUP_COLLECT);
	spawn(&g, sender, &s);
	spawn(&g, receiver, &r);
	IS(co_group_end(&g, 0), 0);
	IS(s.rc, CANC);
	IS(r.rc, CANC);
	co_chan_free(s.c);
	co_chan_free(r.c);
	return 0;
}

/* C38 */
START_TEST(a_deadlock_says_who_waits_for_a_channel)
{
	int code = -1;

	IS(co_run(wait_for_each_other, NULL, hearing(), &code), -EDEADLK);
	IS(code, 0);
	IS(reports()->count, 1);
	ck_assert_ptr_nonnull(strstr(reports()->text[0], "a channel to send to"));
	ck_assert_ptr_nonnull(strstr(reports()->text[0], "a channel to receive from"));
}
END_TEST

SUITE("chan", one_piece_of_memory_and_none_per_message, sizes_that_cannot_be,
      outside_it_can_only_be_freed, null_is_an_error, C19_a_forced_pass_keeps_the_deadline,
      elements_of_all_sizes_arrive_whole, an_element_is_copied_when_it_is_sent,
      signals_have_no_elements, a_send_without_a_queue_waits_for_a_receive,
      a_receive_without_a_queue_waits_for_a_send, a_send_waits_only_for_a_full_queue,
      try_without_a_queue_needs_somebody_who_waits, a_queue_goes_round_in_order,
      senders_are_served_in_order_and_not_overtaken,
      receivers_are_served_in_order_and_not_overtaken, handing_over_does_not_switch,
      until_ends_the_wait_at_its_instant, a_past_deadline_does_not_wait,
      a_deadline_for_ever_arms_nothing, after_a_close_the_queue_drains,
      a_close_ends_all_receives_in_order, a_close_ends_all_sends_and_sends_nothing,
      who_waits_at_the_free_is_told, S92_S93_in_a_cancelled_scope,
      operations_that_never_wait_let_others_run, a_cancel_storm_counts_from_the_first,
      in_a_callback_all_but_waiting, another_runtimes_channel,
      a_deadlock_says_who_waits_for_a_channel)
