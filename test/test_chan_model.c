/*
 * A channel against a model.
 *
 * Coroutines send, receive, close, cancel one another and time out at random. The model is a list
 * of what is in the queue and two lists of who waits, with the rules of the header and no others.
 * Each operation is foretold when it is called or chosen, and compared when it returns. */

#include "peer.h"

#include <inttypes.h>

enum { ACTORS = 8, ROOM = 3, LONGEST = 64 };

enum outcome { PENDING = 1 }; /* no result of a call */

struct model_actor {
	bool waits, sends;
	int value;    /* to send */
	int foretold; /* PENDING while it waits; else 0 or an error */
	int foretold_value;
	co_ns until; /* the deadline of its scope */
	co_ref ref;
};

static struct model {
	co_chan *c;
	size_t capacity;
	bool closed;
	int queue[LONGEST], length;
	int line[2][ACTORS], count[2]; /* receivers, senders: who waits */
	int next_value;
	int64_t in, out;
	uint64_t random;
	int step, last_step;
	struct model_actor actors[ACTORS];
} m;

static int below(int n)
{
	return (int)(suite_random(&m.random) % (uint64_t)n);
}

static void leave_line(int side, int who)
{
	int at = 0;

	while (m.line[side][at] != who)
		at++;
	for (m.count[side]--; at < m.count[side]; at++)
		m.line[side][at] = m.line[side][at + 1];
}

static void foretell(int who, int rc, int value)
{
	struct model_actor *a = &m.actors[who];

	leave_line(a->sends, who);
	a->foretold = rc;
	a->foretold_value = value;
}

/* Deadlines up to now were looked at before anybody ran. */
static void expire(void)
{
	for (int side = 0; side < 2; side++)
		for (int i = m.count[side]; i-- > 0;)
			if (m.actors[m.line[side][i]].until <= co_now())
				foretell(m.line[side][i], CANC, -1);
}

static int model_send(int value)
{
	expire();
	if (m.closed)
		return -EPIPE;
	if (m.count[0] > 0)
		foretell(m.line[0][0], 0, value);
	else if ((size_t)m.length < m.capacity)
		m.queue[m.length++] = value;
	else
		return -EAGAIN;
	m.in++;
	return 0;
}

static int model_recv(int *value)
{
	int first;

	expire();
	first = m.count[1] > 0 ? m.line[1][0] : -1;
	if (m.length == 0 && first < 0)
		return m.closed ? -EPIPE : -EAGAIN;
	if (first >= 0) {
		m.queue[m.length++] = m.actors[first].value;
		m.in++;
		foretell(first, 0, 0);
	}
	*value = m.queue[0];
	memmove(&m.queue[0], &m.queue[1], (size_t)--m.length * sizeof(m.queue[0]));
	return 0;
}

static void model_close(void)
{
	expire();
	m.closed = true;
	while (m.count[0] > 0)
		foretell(m.line[0][0], -EPIPE, 0);
	while (m.count[1] > 0)
		foretell(m.line[1][0], -EPIPE, 0);
}

static void compare(const char *what, int64_t got, int64_t want)
{
	if (got != want)
		ck_abort_msg("step %d: %s is %" PRId64 ", not %" PRId64, m.step, what, got, want);
}

/* One call that may wait, in a scope with a deadline, both foretold. */
static void call(struct model_actor *a)
{
	int who = (int)(a - m.actors), value = -1, foretold_value = -1, rc;
	co_ns within = below(4) ? CO_FOREVER : 1 + below(20);
	co_scope s = CO_SCOPE_INIT;

	a->sends = below(2);
	a->value = m.next_value++;
	a->foretold = a->sends ? model_send(a->value) : model_recv(&foretold_value);
	a->foretold_value = foretold_value;
	if (a->foretold == -EAGAIN) {
		a->foretold = PENDING;
		m.line[a->sends][m.count[a->sends]++] = who;
	}
	co_scope_begin(&s, within);
	a->until = co_deadline();
	a->waits = true;
	rc = a->sends ? co_chan_send(m.c, &a->value) : co_chan_recv(m.c, &value);
	a->waits = false;
	expire();
	compare("the result", rc, a->foretold);
	if (!a->sends)
		compare("the value", value, rc == 0 ? a->foretold_value : -1);
	m.out += rc == 0 && !a->sends;
	co_ignore(co_scope_end(&s, rc));
}

static void call_try(void)
{
	int value = -1, foretold_value = -1, want;

	if (below(2)) {
		value = m.next_value++;
		want = model_send(value);
		compare("trysend", co_chan_trysend(m.c, &value), want);
		return;
	}
	want = model_recv(&foretold_value);
	compare("tryrecv", co_chan_tryrecv(m.c, &value), want);
	compare("its value", value, foretold_value);
	m.out += want == 0;
}

static void cancel_one(void)
{
	struct model_actor *a = &m.actors[below(ACTORS)];

	expire();
	if (!a->waits)
		return;
	if (a->foretold == PENDING)
		foretell((int)(a - m.actors), CANC, -1);
	IS(co_cancel(a->ref, 0), 0);
}

static int model_actor(void *arg)
{
	struct model_actor *a = arg;

	while (m.step < m.last_step && !m.closed && !co_was_cancelled(a->ref)) {
		int what = below(100);

		m.step++;
		compare("the length", (int64_t)co_chan_len(m.c), m.length);
		if (what < 60) {
			call(a);
		} else if (what < 80) {
			call_try();
		} else if (what < 97) {
			co_ignore(co_sleep(below(10)));
		} else if (what < 99) {
			cancel_one();
		} else if (below(10) == 0) {
			model_close();
			IS(co_chan_close(m.c), 0);
		}
	}
	a->waits = false;
	return 0;
}

static void play_model(uint64_t seed)
{
	co_group g;

	m = (struct model){ .random = seed, .last_step = 400 };
	m.capacity = (size_t)below(ROOM + 1);
	m.c = ints(m.capacity);
	co_group_begin(&g, CO_GROUP_COLLECT);
	for (int i = 0; i < ACTORS; i++)
		m.actors[i].ref = spawn(&g, model_actor, &m.actors[i]);
	co_ignore(co_group_wait_until(&g, co_now() + CO_SEC(1)));
	if (!m.closed) { /* let those go that nobody will meet any more */
		model_close();
		IS(co_chan_close(m.c), 0);
	}
	IS(co_group_end(&g, 0), 0);
	for (int value = -1, want = -1; model_recv(&want) == 0; m.out++) {
		IS(co_chan_recv(m.c, &value), 0);
		compare("what is left", value, want);
	}
	compare("items out", m.out, m.in);
	co_chan_free(m.c);
}

SCENARIO(what_goes_in_comes_out_in_order_once)
{
	uint64_t seed = suite_seed();
	int rounds = suite_long() ? 50000 : 500;

	for (int i = 0; i < rounds; i++)
		play_model(suite_random(&seed));
}

SUITE("chan_model", what_goes_in_comes_out_in_order_once)
