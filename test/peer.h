/*
 * For suites of channels: calls in the form in which they are told in a line, and coroutines that
 * send or receive one int. All is inline: a test takes what it needs.
 */
#ifndef WHORL_TEST_PEER_H
#define WHORL_TEST_PEER_H

#include "scenario.h"

#include <whorl/chan.h>

static inline co_chan *chan_of(size_t elem_size, size_t capacity)
{
	co_chan *c;

	IS(co_chan_make(&c, elem_size, capacity), 0);
	return c;
}

/* A channel of int. */
static inline co_chan *ints(size_t capacity)
{
	return chan_of(sizeof(int), capacity);
}

static inline int try_send(co_chan *c, int value)
{
	return co_chan_trysend(c, &value);
}

static inline int send_int(co_chan *c, int value)
{
	return co_chan_send(c, &value);
}

/* The value, or the error; values are >= 0 here. */
static inline int try_recv(co_chan *c)
{
	int value = -1, rc = co_chan_tryrecv(c, &value);

	if (rc < 0)
		IS(value, -1);
	return rc < 0 ? rc : value;
}

static inline int recv_int(co_chan *c)
{
	int value = -1, rc = co_chan_recv(c, &value);

	if (rc < 0)
		IS(value, -1);
	return rc < 0 ? rc : value;
}

/* A coroutine that sends or receives one int, and how that went. */
struct peer {
	co_chan *c;
	int value;    /* to send; received, else unchanged */
	co_ns within; /* in a scope, if not 0 */
	co_ns until;  /* if not 0 */
	bool over;
	int rc, end, next; /* of the call, of the scope, of a cancellation point after it */
	co_ns at;
	struct lone lone;
};

static inline int peer(struct peer *p, bool sends)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, p->within ? p->within : CO_FOREVER);
	if (p->until)
		p->rc = sends ? co_chan_send_until(p->c, &p->value, p->until)
			      : co_chan_recv_until(p->c, &p->value, p->until);
	else
		p->rc = sends ? co_chan_send(p->c, &p->value) : co_chan_recv(p->c, &p->value);
	p->at = co_now();
	p->over = true;
	p->next = co_yield_now();
	p->end = co_scope_end(&s, p->rc);
	return 0;
}

static inline int sender(void *arg)
{
	return peer(arg, true);
}

static inline int receiver(void *arg)
{
	return peer(arg, false);
}

static inline void start(struct peer *p, co_fn *fn)
{
	lone_start(&p->lone, fn, p);
	settle();
}

static inline void finish(struct peer *p)
{
	IS(lone_end(&p->lone), 0);
	ck_assert(p->over);
}

#endif
