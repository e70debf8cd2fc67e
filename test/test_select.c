/*
 * Select: every sentence about it in <whorl/chan.h>, the scenarios that are played with it, and a
 * random model of selects, sends and receives over several channels.
 */
#include "scenario.h"

#include <inttypes.h>
#include <whorl/chan.h>

#define UNTOUCHED 12345

static co_chan *ints(size_t capacity)
{
	co_chan *c;

	IS(co_chan_make(&c, sizeof(int), capacity), 0);
	return c;
}

static int try_send(co_chan *c, int value)
{
	return co_chan_trysend(c, &value);
}

/* The value, or the error; values are >= 0 here. */
static int try_recv(co_chan *c)
{
	int value = -1, rc = co_chan_tryrecv(c, &value);

	return rc < 0 ? rc : value;
}

static struct co_case recv_case(co_chan *c, int *value)
{
	*value = -1;
	return (struct co_case){ CO_RECV, c, value, UNTOUCHED };
}

static struct co_case send_case(co_chan *c, int *value)
{
	return (struct co_case){ CO_SEND, c, value, UNTOUCHED };
}

/* A coroutine that selects once, and how that went. */
struct chooser {
	struct co_case cases[40];
	int values[40];
	int n;
	co_ns until, within; /* if not 0 */
	bool over;
	int rc, next, end;
	co_ns at;
	struct lone lone;
};

static void add(struct chooser *h, enum co_op op, co_chan *c, int value)
{
	h->values[h->n] = value;
	h->cases[h->n] = (struct co_case){ op, c, &h->values[h->n], UNTOUCHED };
	h->n++;
}

static int choose(void *arg)
{
	struct chooser *h = arg;
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, h->within ? h->within : CO_FOREVER);
	h->rc = h->until ? co_select_until(h->cases, h->n, h->until) : co_select(h->cases, h->n);
	h->at = co_now();
	h->over = true;
	h->next = co_yield_now();
	h->end = co_scope_end(&s, h->rc);
	return 0;
}

static void start(struct chooser *h)
{
	lone_start(&h->lone, choose, h);
	settle();
}

static void finish(struct chooser *h)
{
	IS(lone_end(&h->lone), 0);
	ck_assert(h->over);
}

/* Only case i has a result, and it is that. */
static void only(const struct chooser *h, int i, int result)
{
	for (int k = 0; k < h->n; k++)
		IS(h->cases[k].result, k == i ? result : UNTOUCHED);
}

/* ------------------------------------------------------------------------- what is ready */

SCENARIO(the_first_ready_in_order)
{
	co_chan *empty = ints(1), *a = ints(1), *b = ints(1);
	int x, y, z;
	struct co_case cases[3] = { recv_case(empty, &x), recv_case(a, &y), recv_case(b, &z) };

	IS(try_send(a, 1), 0);
	IS(try_send(b, 2), 0);
	IS(co_select(cases, 3), 1);
	IS(y, 1);
	IS(x, -1);
	IS(z, -1);
	IS(cases[0].result, UNTOUCHED);
	IS(cases[1].result, 0);
	IS(cases[2].result, UNTOUCHED);
	ck_assert_uint_eq(co_chan_len(b), 1);
	IS(co_select(cases, 3), 2);
	IS(z, 2);
	AT(0);
	co_chan_free(empty);
	co_chan_free(a);
	co_chan_free(b);
}

SCENARIO(sends_and_receives_together)
{
	co_chan *full = ints(1), *room = ints(1);
	int x = 3, y = 4, z;
	struct co_case cases[3] = { send_case(full, &x), send_case(room, &y), recv_case(full, &z) };

	IS(try_send(full, 1), 0);
	IS(co_select(cases, 3), 1);
	IS(try_recv(room), 4);
	IS(try_send(room, 9), 0);
	IS(co_select(cases, 3), 2);
	IS(z, 1);
	IS(co_select(cases, 3), 0);
	IS(try_recv(full), 3);
	co_chan_free(full);
	co_chan_free(room);
}

SCENARIO(a_closed_channel_is_ready)
{
	co_chan *empty = ints(1), *closed = ints(1);
	int x, y, z = 1;
	struct co_case cases[2] = { recv_case(empty, &x), recv_case(closed, &y) };

	IS(try_send(closed, 5), 0);
	IS(co_chan_close(closed), 0);
	IS(co_select(cases, 2), 1);
	IS(cases[1].result, 0);
	IS(y, 5);
	IS(co_select(cases, 2), 1);
	IS(cases[1].result, -EPIPE);
	IS(y, 5);
	cases[1] = send_case(closed, &z);
	IS(co_select(cases, 2), 1);
	IS(cases[1].result, -EPIPE);
	IS(cases[0].result, UNTOUCHED);
	co_chan_free(empty);
	co_chan_free(closed);
}

SCENARIO(a_case_without_a_channel_never_happens)
{
	co_chan *c = ints(1);
	int x, y;
	struct co_case cases[2] = { recv_case(NULL, &x), recv_case(c, &y) };

	IS(try_send(c, 1), 0);
	IS(co_select(cases, 2), 1);
	cases[0].elem = NULL;
	cases[1].chan = NULL;
	IS(co_select_until(cases, 2, MS(10)), TMO);
	AT(10);
	co_chan_free(c);
}

SCENARIO(mistakes_do_nothing)
{
	co_chan *c = ints(1);
	int x, y;
	struct co_case cases[2] = { recv_case(c, &x), recv_case(c, &y) };

	IS(try_send(c, 1), 0);
	IS(co_select(cases, -1), -EINVAL);
	IS(co_select(NULL, 1), -EINVAL);
	IS(co_select_until(NULL, 1, 0), -EINVAL);
	cases[1].elem = NULL;
	IS(co_select(cases, 2), -EINVAL);
	cases[1] = recv_case(c, &y);
	memset(&cases[1].op, 0x3f, sizeof(cases[1].op));
	IS(co_select(cases, 2), -EINVAL);
	ck_assert_uint_eq(co_chan_len(c), 1);
	IS(x, -1);
	co_chan_free(c);
}

START_TEST(outside_there_is_no_select)
{
	IS(co_select(NULL, 0), -EPERM);
	IS(co_select_until(NULL, 0, 0), -EPERM);
}
END_TEST

SCENARIO(elements_of_size_zero)
{
	struct co_case cases[1] = { { CO_SEND, NULL, NULL, UNTOUCHED } };
	co_chan *c;

	IS(co_chan_make(&c, 0, 1), 0);
	cases[0].chan = c;
	IS(co_select(cases, 1), 0);
	ck_assert_uint_eq(co_chan_len(c), 1);
	cases[0].op = CO_RECV;
	IS(co_select(cases, 1), 0);
	ck_assert_uint_eq(co_chan_len(c), 0);
	co_chan_free(c);
}

/* -------------------------------------------------------------------------------- waiting */

/* Whichever of its channels comes first: it is in no line afterwards. */
SCENARIO(a_wait_ends_with_the_first_that_happens)
{
	for (int which = 0; which < 4; which++) {
		co_chan *c[4] = { ints(0), ints(1), ints(0), ints(1) };
		struct chooser h = { .n = 0 };

		IS(try_send(c[3], 9), 0);
		add(&h, CO_RECV, c[0], -1);
		add(&h, CO_RECV, c[1], -1);
		add(&h, CO_SEND, c[2], 2);
		add(&h, CO_SEND, c[3], 3);
		start(&h);
		ck_assert(!h.over);
		if (which < 2)
			IS(try_send(c[which], 5), 0);
		else
			IS(try_recv(c[which]), which == 2 ? 2 : 9);
		IS(try_send(c[0], 6), -EAGAIN);
		IS(try_recv(c[2]), -EAGAIN);
		ck_assert_uint_eq(co_chan_len(c[1]), 0);
		finish(&h);
		IS(h.rc, which);
		only(&h, which, 0);
		IS(h.values[0], which == 0 ? 5 : -1);
		IS(h.values[1], which == 1 ? 5 : -1);
		ck_assert_uint_eq(co_chan_len(c[3]), 1);
		IS(try_recv(c[3]), which == 3 ? 3 : 9);
		for (int i = 0; i < 4; i++)
			co_chan_free(c[i]);
	}
}

SCENARIO(a_close_ends_the_wait)
{
	for (int which = 0; which < 2; which++) {
		co_chan *c[2] = { ints(0), ints(0) };
		struct chooser h = { .n = 0 };

		add(&h, CO_RECV, c[0], -1);
		add(&h, CO_SEND, c[1], 7);
		start(&h);
		IS(co_chan_close(c[which]), 0);
		finish(&h);
		IS(h.rc, which);
		only(&h, which, -EPIPE);
		IS(h.values[0], -1);
		IS(try_recv(c[1]), which ? -EPIPE : -EAGAIN);
		co_chan_free(c[0]);
		co_chan_free(c[1]);
	}
}

/* Both ends in one select: they do not meet, but others meet either. */
SCENARIO(a_select_does_not_send_to_itself)
{
	for (int sends = 0; sends < 2; sends++) {
		struct chooser h = { .n = 0 };
		co_chan *c = ints(0);

		add(&h, CO_SEND, c, 7);
		add(&h, CO_RECV, c, -1);
		start(&h);
		ck_assert(!h.over);
		if (sends)
			IS(try_send(c, 3), 0);
		else
			IS(try_recv(c), 7);
		IS(try_send(c, 4), -EAGAIN);
		IS(try_recv(c), -EAGAIN);
		finish(&h);
		IS(h.rc, sends);
		IS(h.values[1], sends ? 3 : -1);
		co_chan_free(c);
	}
}

SCENARIO(two_selects_meet)
{
	struct chooser a = { .n = 0 }, b = { .n = 0 };
	co_chan *c = ints(0), *d = ints(0);

	add(&a, CO_SEND, c, 7);
	add(&a, CO_RECV, c, -1);
	add(&b, CO_RECV, d, -1);
	add(&b, CO_SEND, c, 8);
	add(&b, CO_RECV, c, -1);
	start(&a);
	start(&b);
	finish(&b);
	finish(&a);
	IS(b.rc, 1);
	only(&b, 1, 0);
	IS(a.rc, 1);
	only(&a, 1, 0);
	IS(a.values[1], 8);
	IS(try_send(d, 1), -EAGAIN);
	co_chan_free(c);
	co_chan_free(d);
}

SCENARIO(a_channel_in_several_cases)
{
	struct chooser h = { .n = 0 };
	co_chan *c = ints(0);

	for (int i = 0; i < 3; i++)
		add(&h, CO_RECV, c, -1);
	start(&h);
	IS(try_send(c, 4), 0);
	IS(try_send(c, 5), -EAGAIN);
	finish(&h);
	IS(h.rc, 0);
	only(&h, 0, 0);
	IS(h.values[0], 4);
	IS(h.values[1], -1);
	co_chan_free(c);
}

static int receive(void *arg)
{
	int *value = arg;
	co_chan *c;

	memcpy(&c, value + 2, sizeof(c));
	return co_chan_recv(c, value);
}

/* In one line with plain receives, in the order of arrival. */
SCENARIO(a_select_waits_its_turn)
{
	int first[2 + sizeof(co_chan *) / sizeof(int)] = { -1 };
	int last[2 + sizeof(co_chan *) / sizeof(int)] = { -1 };
	struct chooser h = { .n = 0 };
	co_chan *c = ints(0), *d = ints(0);
	struct lone l[2];

	memcpy(first + 2, &c, sizeof(c));
	memcpy(last + 2, &c, sizeof(c));
	lone_start(&l[0], receive, first);
	settle();
	add(&h, CO_RECV, d, -1);
	add(&h, CO_RECV, c, -1);
	start(&h);
	lone_start(&l[1], receive, last);
	settle();
	for (int i = 1; i <= 3; i++)
		IS(try_send(c, i), 0);
	IS(try_send(c, 4), -EAGAIN);
	IS(lone_end(&l[1]), 0);
	finish(&h);
	IS(lone_end(&l[0]), 0);
	IS(first[0], 1);
	IS(h.values[1], 2);
	IS(last[0], 3);
	co_chan_free(c);
	co_chan_free(d);
}

SCENARIO(who_waits_at_the_free_is_told)
{
	struct chooser h = { .n = 0 };
	co_chan *c = ints(0), *d = ints(0);

	add(&h, CO_RECV, c, -1);
	add(&h, CO_RECV, d, -1);
	start(&h);
	co_chan_free(d);
	finish(&h);
	IS(h.rc, 1);
	only(&h, 1, -EPIPE);
	co_chan_free(c);
}

/* ------------------------------------------------------------------------- many cases */

static int alloc_count, live_blocks;
static bool no_memory;

static void *count_alloc(size_t size, void *ctx)
{
	(void)ctx;
	alloc_count++;
	live_blocks += !no_memory;
	return no_memory ? NULL : malloc(size);
}

static void count_free(void *ptr, size_t size, void *ctx)
{
	(void)ctx;
	memset(ptr, 0x5a, size);
	live_blocks--;
	free(ptr);
}

static struct co_options *counting(void)
{
	static struct co_options opt = { .clock = CO_CLOCK_VIRTUAL };

	opt.alloc = (struct co_alloc){ count_alloc, count_free, NULL };
	return &opt;
}

static void wait_in_many(int n, int ending)
{
	co_chan *c[40];
	struct chooser h = { .n = 0 };
	int allocs, blocks = live_blocks;

	for (int i = 0; i < n; i++)
		c[i] = ints(0);
	for (int i = 0; i < n; i++)
		add(&h, CO_RECV, c[i], -1);
	lone_start(&h.lone, choose, &h);
	allocs = alloc_count;
	settle();
	IS(alloc_count, allocs + (n > 16));
	if (ending == CANC)
		IS(co_cancel(h.lone.ref, 0), 0);
	else
		IS(try_send(c[ending], 6), 0);
	finish(&h);
	IS(h.rc, ending);
	only(&h, ending, 0);
	for (int i = 0; i < n; i++) {
		IS(try_send(c[i], 1), -EAGAIN);
		co_chan_free(c[i]);
	}
	IS(live_blocks, blocks);
}

SCENARIO_WITH(more_than_16_cases_need_memory_to_wait, counting())
{
	struct lone l;

	lone_start(&l, sleep_ms, num(0)); /* the runtime keeps what this one needed */
	IS(lone_end(&l), 0);
	wait_in_many(1, 0);
	wait_in_many(16, 15);
	wait_in_many(17, 16);
	wait_in_many(40, 20);
	wait_in_many(40, CANC);
}

SCENARIO_WITH(without_memory_nothing_is_done, counting())
{
	struct co_case cases[17];
	int x[17];
	co_chan *c = ints(0);

	for (int i = 0; i < 17; i++)
		cases[i] = recv_case(c, &x[i]);
	no_memory = true;
	IS(co_select(cases, 17), -ENOMEM);
	IS(co_select_until(cases, 17, 0), TMO); /* did not have to wait */
	IS(co_select_until(cases, 17, MS(1)), -ENOMEM);
	no_memory = false;
	IS(try_send(c, 1), -EAGAIN);
	IS(co_chan_close(c), 0);
	no_memory = true;
	IS(co_select(cases, 17), 0);
	no_memory = false;
	IS(cases[0].result, -EPIPE);
	co_chan_free(c);
}

/* -------------------------------------------------------------- deadlines and cancelling */

/* C7: S95 */
SCENARIO(S95_until_tries_first)
{
	co_chan *c = ints(1);
	int x;
	struct co_case cases[1] = { recv_case(c, &x) };

	IS(try_send(c, 1), 0);
	IS(co_select_until(cases, 1, INT64_MIN), 0);
	IS(co_select_until(cases, 1, 0), TMO);
	IS(co_select_until(cases, 1, MS(5)), TMO);
	AT(5);
	IS(try_send(c, 2), 0);
	ck_assert_uint_eq(co_chan_len(c), 1);
	co_chan_free(c);
}

/* C7: S92, S96 */
SCENARIO(S92_in_a_cancelled_scope)
{
	co_chan *c = ints(2);
	int x, y = 3;
	struct co_case cases[2] = { recv_case(c, &x), send_case(c, &y) };
	co_scope s = CO_SCOPE_INIT;

	IS(try_send(c, 1), 0);
	begin_cancelled(&s, 0);
	IS(co_select(cases, 2), CANC);
	IS(co_select_until(cases, 2, 0), CANC);
	IS(co_select(NULL, 0), CANC);
	IS(co_scope_end(&s, CANC), 0);
	IS(x, -1);
	ck_assert_uint_eq(co_chan_len(c), 1);
	IS(cases[0].result, UNTOUCHED);
	co_chan_free(c);
}

/* C33: S189 */
SCENARIO(S189_select_takes_exactly_one)
{
	co_chan *a = ints(1), *b = ints(1);
	struct chooser h = { .n = 0 };

	add(&h, CO_RECV, a, -1);
	add(&h, CO_RECV, b, -1);
	IS(try_send(a, 1), 0);
	IS(try_send(b, 2), 0);
	start(&h);
	finish(&h);
	IS(h.rc, 0);
	IS(h.values[0], 1);
	IS(h.values[1], -1);
	IS(try_recv(a), -EAGAIN);
	IS(try_recv(b), 2);
	co_chan_free(a);
	co_chan_free(b);
}

/* C8, C33: S189: chosen, then cancelled in the same step */
SCENARIO(S189_chosen_then_cancelled)
{
	for (int sends = 0; sends < 2; sends++) {
		co_chan *a = ints(0), *b = ints(0);
		struct chooser h = { .n = 0 };

		add(&h, CO_RECV, a, -1);
		add(&h, CO_SEND, b, 8);
		start(&h);
		if (sends)
			IS(try_recv(b), 8);
		else
			IS(try_send(a, 1), 0);
		IS(co_cancel(h.lone.ref, 0), 0);
		IS(try_send(a, 2), -EAGAIN);
		IS(try_recv(b), -EAGAIN);
		finish(&h);
		IS(h.rc, sends);
		IS(h.next, CANC);
		only(&h, sends, 0);
		co_chan_free(a);
		co_chan_free(b);
	}
}

/* C8, C33 */
SCENARIO(cancelled_then_not_chosen)
{
	co_chan *a = ints(0), *b = ints(1);
	struct chooser h = { .n = 0 };

	add(&h, CO_SEND, a, 7);
	add(&h, CO_RECV, b, -1);
	start(&h);
	IS(co_cancel(h.lone.ref, 0), 0);
	IS(try_recv(a), -EAGAIN);
	IS(try_send(b, 1), 0);
	ck_assert_uint_eq(co_chan_len(b), 1);
	finish(&h);
	IS(h.rc, CANC);
	IS(h.values[1], -1);
	only(&h, -1, 0);
	co_chan_free(a);
	co_chan_free(b);
}

/* C9: the deadline of a scope is looked at before the sender of that instant runs */
SCENARIO(deadline_and_send_on_one_tick)
{
	co_chan *c = ints(1);
	struct chooser h = { .n = 0, .within = MS(10) };
	struct chooser u = { .n = 0, .until = MS(20), .within = MS(10) };

	add(&h, CO_RECV, c, -1);
	start(&h);
	IS(co_sleep(MS(10)), 0);
	IS(try_send(c, 1), 0);
	finish(&h);
	IS(h.rc, CANC);
	IS(h.end, TMO);
	IS(try_recv(c), 1);
	add(&u, CO_RECV, c, -1);
	start(&u);
	finish(&u);
	IS(u.rc, TMO); /* its own comes before that of the scope */
	IS(u.next, CANC);
	IS(u.at, MS(20));
	only(&u, -1, 0);
	co_chan_free(c);
}

/* S191 */
SCENARIO(S191_select_of_zero_cases)
{
	struct chooser h = { .n = 0 };

	IS(co_select_until(NULL, 0, MS(10)), TMO);
	AT(10);
	IS(co_select_until(NULL, 0, MS(10)), TMO);
	AT(10);
	start(&h);
	IS(co_sleep(CO_SEC(1000000)), 0);
	ck_assert(!h.over);
	IS(co_cancel(h.lone.ref, 0), 0);
	finish(&h);
	IS(h.rc, CANC);
}

static int select_for_ever(void *unused)
{
	int x;
	co_chan *c = ints(0);
	struct co_case cases[1] = { recv_case(c, &x) };

	(void)unused;
	IS(co_select(cases, 1), CANC);
	IS(co_select(NULL, 0), CANC);
	co_chan_free(c);
	return 0;
}

/* C38 */
START_TEST(a_deadlock_says_who_selects)
{
	int code = -1;

	IS(co_run(select_for_ever, NULL, hearing(), &code), -EDEADLK);
	IS(code, 0);
	ck_assert_ptr_nonnull(strstr(reports()->text[0], "one of its channels"));
}
END_TEST

static co_chan *foreign;

static int make_foreign(void *unused)
{
	(void)unused;
	foreign = ints(1);
	return 0;
}

static int use_foreign(void *unused)
{
	co_chan *c = ints(1);
	int x, y;
	struct co_case cases[2] = { recv_case(c, &x), recv_case(foreign, &y) };

	(void)unused;
	IS(try_send(c, 1), 0);
	IS(co_select(cases, 2), -EXDEV);
	ck_assert_uint_eq(co_chan_len(c), 1);
	co_chan_free(c);
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
	IS(misuses()->count, 1);
	IS(misuses()->kind[0], CO_MISUSE_LOOP);
	IS(co_loop_close(other), 0);
	co_chan_free(foreign);
}
END_TEST

/* -------------------------------------------------------------------------------- a model
 *
 * Coroutines select over the same few channels, for both directions, with random deadlines, and
 * cancel one another. Every item has a number of its own. Held against the model: each item that a
 * select says it sent comes out of the channel it was sent on, once, and no other does; a select
 * has one result or none; and nobody waits for what could be done. */

enum { ACTORS = 6, CHANNELS = 3, CASES = 5, ITEMS = 1 << 16 };

static struct {
	co_chan *c[CHANNELS];
	size_t capacity[CHANNELS];
	unsigned char state[ITEMS]; /* of an item */
	int items;
	int sent, received, waits, closes;
	bool waiting[ACTORS];
	int wants[ACTORS][2][CHANNELS]; /* what one that waits offers: receives, sends */
	co_ref ref[ACTORS];
	co_ns until[ACTORS];
	uint64_t random;
	int step, last_step;
} m;

enum { UNSENT, OFFERED, SENT = 8, RECEIVED = 16 }; /* OFFERED + channel, SENT + channel, ... */

static int below(int n)
{
	return (int)(suite_random(&m.random) % (uint64_t)n);
}

static void must(bool holds, const char *what)
{
	if (!holds)
		ck_abort_msg("step %d: %s", m.step, what);
}

/* What a sender knows only when it runs again, a receiver may know before. */
static void item_received(int item, int channel)
{
	must(item >= 0 && item < m.items, "an item that never was");
	must(m.state[item] == OFFERED + channel || m.state[item] == SENT + channel,
	     "an item that was not sent here, or came twice");
	m.state[item] = (unsigned char)(RECEIVED + channel + (m.state[item] >= SENT ? 4 : 0));
	m.received++;
}

static void item_sent(int item, int channel)
{
	if (m.state[item] == OFFERED + channel)
		m.state[item] = (unsigned char)(SENT + channel);
	else
		must(m.state[item] == RECEIVED + channel, "sent, but came out elsewhere");
	m.sent++;
}

static void item_not_sent(int item, int channel)
{
	must(m.state[item] == OFFERED + channel, "not sent, but received");
	m.state[item] = UNSENT;
}

/* Nobody waits for what could be done: with something in a queue nobody waits to receive, with room
 * nobody waits to send, and nobody offers what another one waits for. */
static void nothing_is_overlooked(void)
{
	for (int c = 0; c < CHANNELS; c++) {
		size_t length = co_chan_len(m.c[c]);
		int receivers = 0, senders = 0, both = 0;

		for (int i = 0; i < ACTORS; i++) {
			if (!m.waiting[i] || m.until[i] <= co_now())
				continue;
			receivers += m.wants[i][0][c] > 0;
			senders += m.wants[i][1][c] > 0;
			both += m.wants[i][0][c] > 0 && m.wants[i][1][c] > 0;
		}
		must(receivers == 0 || length == 0, "a receive waits beside an item");
		must(senders == 0 || length == m.capacity[c], "a send waits beside room");
		must(receivers == 0 || senders == 0 || (both == 1 && receivers + senders == 2),
		     "two wait for each other");
	}
}

static void select_once(int who)
{
	struct co_case cases[CASES];
	int values[CASES], channel[CASES], n = below(CASES + 1), chosen;
	co_scope s = CO_SCOPE_INIT;

	memset(m.wants[who], 0, sizeof(m.wants[who]));
	for (int i = 0; i < n; i++) {
		channel[i] = below(CHANNELS);
		values[i] = -1;
		cases[i] = (struct co_case){ below(2) ? CO_SEND : CO_RECV, m.c[channel[i]],
					     &values[i], UNTOUCHED };
		m.wants[who][cases[i].op == CO_SEND][channel[i]]++;
		if (cases[i].op != CO_SEND)
			continue;
		values[i] = m.items++;
		m.state[values[i]] = (unsigned char)(OFFERED + channel[i]);
	}
	co_scope_begin(&s, 1 + below(20));
	m.until[who] = co_deadline();
	m.waiting[who] = true;
	chosen = co_select(cases, n);
	m.waits += m.waiting[who] && chosen < 0;
	m.waiting[who] = false;
	must(chosen < n && (chosen >= 0 || chosen == CANC), "no such result");
	for (int i = 0; i < n; i++) {
		must((cases[i].result == UNTOUCHED) == (i != chosen), "results of two cases");
		if (cases[i].op == CO_SEND && i == chosen)
			item_sent(values[i], channel[i]);
		else if (cases[i].op == CO_SEND)
			item_not_sent(values[i], channel[i]);
		else if (i == chosen)
			item_received(values[i], channel[i]);
		else
			must(values[i] == -1, "a receive that did not happen wrote");
	}
	co_ignore(co_scope_end(&s, chosen < 0 ? chosen : 0));
}

static int model_actor(void *arg)
{
	int who = (int)(intptr_t)arg;

	for (; m.step < m.last_step && !co_was_cancelled(m.ref[who]); m.step++) {
		int what = below(100);

		if (what < 70)
			select_once(who);
		else if (what < 98)
			co_ignore(co_sleep(below(5)));
		else
			co_ignore(co_cancel(m.ref[below(ACTORS)], 0));
	}
	return 0;
}

static int watch(void *unused)
{
	(void)unused;
	while (m.step < m.last_step && co_sleep(3) == 0) {
		settle(); /* so that all who were chosen have said so */
		nothing_is_overlooked();
	}
	return 0;
}

static void play_model(uint64_t seed)
{
	struct lone watcher;
	co_group g;

	memset(&m, 0, sizeof(m));
	m.random = seed;
	m.last_step = 300;
	for (int i = 0; i < CHANNELS; i++) {
		m.capacity[i] = (size_t)below(3);
		m.c[i] = ints(m.capacity[i]);
	}
	lone_start(&watcher, watch, NULL);
	co_group_begin(&g, CO_GROUP_COLLECT);
	for (int i = 0; i < ACTORS; i++)
		m.ref[i] = spawn(&g, model_actor, num(i));
	IS(co_group_end(&g, 0), 0);
	m.step = m.last_step;
	IS(lone_end(&watcher), 0);
	for (int i = 0; i < CHANNELS; i++) {
		while (co_chan_len(m.c[i]) > 0)
			item_received(try_recv(m.c[i]), i);
		co_chan_free(m.c[i]);
	}
	must(m.sent == m.received, "items that went in and did not come out");
}

SCENARIO(exactly_one_case_or_none)
{
	uint64_t seed = suite_seed();
	int rounds = suite_long() ? 20000 : 500;

	for (int i = 0; i < rounds; i++)
		play_model(suite_random(&seed));
}

SUITE("select", the_first_ready_in_order, sends_and_receives_together, a_closed_channel_is_ready,
      a_case_without_a_channel_never_happens, mistakes_do_nothing, outside_there_is_no_select,
      elements_of_size_zero, a_wait_ends_with_the_first_that_happens, a_close_ends_the_wait,
      a_select_does_not_send_to_itself, two_selects_meet, a_channel_in_several_cases,
      a_select_waits_its_turn, who_waits_at_the_free_is_told,
      more_than_16_cases_need_memory_to_wait, without_memory_nothing_is_done, S95_until_tries_first,
      S92_in_a_cancelled_scope, S189_select_takes_exactly_one, S189_chosen_then_cancelled,
      cancelled_then_not_chosen, deadline_and_send_on_one_tick, S191_select_of_zero_cases,
      a_deadlock_says_who_selects, another_runtimes_channel, exactly_one_case_or_none)
