/* Channels, and select over them.
 *
 * Who has to wait offers: an element to send, or a place to receive one into; the offer is a
 * waiter, and that its item. A send or a receive makes one offer, a select one for each case; each
 * stands in the line of its channel, senders or receivers, in order of arrival. The other side
 * takes the first offer of a line: it copies the element, notes which of a select's offers it was,
 * and wakes whoever made it, with nobody running in between. Waking, by whomever, takes all the
 * offers of that one out of their lines. So an offer that stands in a line can always be taken, and
 * of the offers of a select at most one ever is.
 *
 *	receivers wait		the queue is empty, and no sender waits
 *	senders wait		the queue is full, and no receiver waits
 *	closed			nobody waits
 *
 * where a rendezvous has a queue that is always both; only there a select may stand in both lines
 * at once, and then nobody else stands in either who could meet it. Nothing looks at a channel
 * after it was woken, so a channel may be freed as soon as nobody stands in its lines. */
#include <stddef.h>
#include <whorl/chan.h>

#include "queue.h"

/* A select's, on its stack. */
struct selection {
	struct waiter *offers;
	int count;
	const struct waiter *taken; /* NULL: none */
};

struct co_chan {
	struct link senders, receivers; /* offers */
	size_t elem_size, capacity;
	size_t first, length; /* of what is in the queue: a ring */
	uint32_t loop;	      /* serial */
	bool closed;
	struct co_alloc alloc; /* the loop's, which it may outlive */
	_Alignas(max_align_t) unsigned char ring[];
};

/* --------------------------------------------------------------------------- elements */

static __attribute__((noinline)) int copy_any(void *to, const void *from, size_t size)
{
	memcpy(to, from, size);
	return 0;
}

/* Returns 0, so that who ends with it keeps nothing across a call. */
static inline int copy(const co_chan *c, void *to, const void *from)
{
	switch (c->elem_size) { /* the usual ones are a move each */
	case 4:
		memcpy(to, from, 4);
		return 0;
	case 8:
		memcpy(to, from, 8);
		return 0;
	case 16:
		memcpy(to, from, 16);
		return 0;
	case 0:
		return 0;
	default:
		return copy_any(to, from, c->elem_size);
	}
}

/* The place of the i-th element, i < capacity. */
static void *place(co_chan *c, size_t i)
{
	size_t to_end = c->capacity - c->first;

	return c->ring + (i < to_end ? c->first + i : i - to_end) * c->elem_size;
}

static inline int queue_put(co_chan *c, const void *elem)
{
	return copy(c, place(c, c->length++), elem);
}

static inline int queue_get(co_chan *c, void *elem)
{
	const void *from = place(c, 0);

	c->length--;
	if (++c->first == c->capacity)
		c->first = 0;
	return copy(c, elem, from);
}

/* ----------------------------------------------------------------------------- offers */

static inline bool is_of_select(const struct waiter *offer)
{
	return offer != &offer->co->wait.waiter;
}

static void take(struct waiter *offer, int result)
{
	if (is_of_select(offer))
		((struct selection *)offer->co->wait.waiter.item)->taken = offer;
	whorl__wake(offer->co, result);
}

static void withdraw(struct co *co, int result)
{
	struct selection *s = co->wait.waiter.item;

	(void)result;
	for (int i = 0; i < s->count; i++)
		list_remove(&s->offers[i].link);
}

/* ------------------------------------------------------------------- sending, receiving */

static inline int offer_and_park(struct link *line, void *item, co_ns abs, struct co *co,
				 const char *what)
{
	struct wait *w = whorl__wait_for(co, what, abs, -ETIMEDOUT);

	w->waiter.item = item;
	list_append(line, &w->waiter.link);
	return whorl__park(co);
}

static __attribute__((noinline)) int wait_if_not_past(struct link *line, void *item, co_ns abs,
						      struct co *co, const char *what)
{
	return past(co, abs) ? -ETIMEDOUT : offer_and_park(line, item, abs, co, what);
}

static int wait_in(struct link *line, void *item, co_ns abs, struct co *co, const char *what)
{
	if (may_be_past(co, abs))
		return wait_if_not_past(line, item, abs, co, what);
	return offer_and_park(line, item, abs, co, what);
}

static __attribute__((noinline)) int give_to_select(const co_chan *c, struct waiter *receiver,
						    const void *elem)
{
	copy(c, receiver->item, elem);
	take(receiver, 0);
	return 0;
}

/* Who gets it is awake, and does not run yet. */
static inline int give(const co_chan *c, struct waiter *receiver, const void *elem)
{
	if (is_of_select(receiver))
		return give_to_select(c, receiver, elem);
	wake_plain(receiver->co, 0);
	return copy(c, receiver->item, elem);
}

static __attribute__((noinline)) int take_from(co_chan *c, struct waiter *sender, void *elem)
{
	if (c->length > 0) {
		queue_get(c, elem);
		queue_put(c, sender->item);
	} else {
		copy(c, elem, sender->item);
	}
	take(sender, 0);
	return 0;
}

/* `co` waits until it can be done; NULL: -EAGAIN. */
static int send_elem(co_chan *c, const void *elem, co_ns abs, struct co *co)
{
	struct waiter *receiver = first_waiter(&c->receivers);

	if (receiver)
		return give(c, receiver, elem);
	if (c->closed)
		return -EPIPE;
	if (c->length < c->capacity)
		return queue_put(c, elem);
	if (!co)
		return -EAGAIN;
	return wait_in(&c->senders, (void *)(uintptr_t)elem, abs, co, "a channel to send to");
}

static int recv_elem(co_chan *c, void *elem, co_ns abs, struct co *co)
{
	struct waiter *sender = first_waiter(&c->senders);

	if (sender)
		return take_from(c, sender, elem);
	if (c->length > 0)
		return queue_get(c, elem);
	if (c->closed)
		return -EPIPE;
	if (!co)
		return -EAGAIN;
	return wait_in(&c->receivers, elem, abs, co, "a channel to receive from");
}

static int try_send(co_chan *c, const void *elem)
{
	return send_elem(c, elem, 0, NULL);
}

static int try_recv(co_chan *c, void *elem)
{
	return recv_elem(c, elem, 0, NULL);
}

static bool is_ours(const co_chan *c)
{
	return whorl__loop && c->loop == whorl__loop->serial;
}

static inline bool usable(const co_chan *c, const void *elem, const struct co_loop *l)
{
	return c && (elem || c->elem_size == 0) && c->loop == l->serial;
}

/* Why it is not usable; or there is no channel, or no element. */
static __attribute__((cold)) int refuse(const co_chan *c, const void *site)
{
	if (!c || is_ours(c))
		return -EINVAL;
	if (!whorl__loop)
		return -EPERM;
	return whorl__misuse(CO_MISUSE_LOOP, -EXDEV, site, "a channel of another runtime");
}

/* 0: the channel is usable, and the caller not cancelled. */
static __attribute__((noinline)) int approach(const co_chan *c, const void *elem, const void *frame,
					      const void *site)
{
	struct co *co = whorl__self();

	if (!co)
		return whorl__misplaced(site);
	if (!usable(c, elem, co->loop))
		return refuse(c, site);
	return whorl__point_slow(co, frame);
}

static __attribute__((noinline)) int send_slow(co_chan *c, const void *elem, co_ns abs,
					       const void *frame, const void *site)
{
	int rc = approach(c, elem, frame, site);

	return rc == 0 ? send_elem(c, elem, abs, whorl__self()) : rc;
}

static __attribute__((noinline)) int recv_slow(co_chan *c, void *elem, co_ns abs, const void *frame,
					       const void *site)
{
	int rc = approach(c, elem, frame, site);

	return rc == 0 ? recv_elem(c, elem, abs, whorl__self()) : rc;
}

static inline int send_until(co_chan *c, const void *elem, co_ns abs, const void *frame,
			     const void *site)
{
	struct co *co = whorl__self();

	if (WHORL__LIKELY(co && usable(c, elem, co->loop) && whorl__pass_point(co, frame)))
		return send_elem(c, elem, abs, co);
	return send_slow(c, elem, abs, frame, site);
}

static inline int recv_until(co_chan *c, void *elem, co_ns abs, const void *frame, const void *site)
{
	struct co *co = whorl__self();

	if (WHORL__LIKELY(co && usable(c, elem, co->loop) && whorl__pass_point(co, frame)))
		return recv_elem(c, elem, abs, co);
	return recv_slow(c, elem, abs, frame, site);
}

FRAMED int co_chan_send(co_chan *c, const void *elem)
{
	return send_until(c, elem, CO_FOREVER, FRAME(), SITE());
}

FRAMED int co_chan_send_until(co_chan *c, const void *elem, co_ns abs)
{
	return send_until(c, elem, abs, FRAME(), SITE());
}

FRAMED int co_chan_recv(co_chan *c, void *elem)
{
	return recv_until(c, elem, CO_FOREVER, FRAME(), SITE());
}

FRAMED int co_chan_recv_until(co_chan *c, void *elem, co_ns abs)
{
	return recv_until(c, elem, abs, FRAME(), SITE());
}

int co_chan_trysend(co_chan *c, const void *elem)
{
	return whorl__loop && usable(c, elem, whorl__loop) ? try_send(c, elem) : refuse(c, SITE());
}

int co_chan_tryrecv(co_chan *c, void *elem)
{
	return whorl__loop && usable(c, elem, whorl__loop) ? try_recv(c, elem) : refuse(c, SITE());
}

/* ------------------------------------------------------------------- making, closing */

static bool size_of(size_t elem_size, size_t capacity, size_t *out) /* false: no such size */
{
	return !__builtin_mul_overflow(elem_size, capacity, out) &&
	       !__builtin_add_overflow(*out, sizeof(struct co_chan), out);
}

int co_chan_make(co_chan **out, size_t elem_size, size_t capacity)
{
	struct co_loop *l = whorl__loop;
	size_t size;
	co_chan *c;

	if (!out)
		return -EINVAL;
	*out = NULL;
	if (!l)
		return -EPERM;
	c = size_of(elem_size, capacity, &size) ? whorl__alloc(l, size) : NULL;
	if (!c)
		return -ENOMEM;
	*c = (struct co_chan){
		.elem_size = elem_size,
		.capacity = capacity,
		.loop = l->serial,
		.alloc = l->opt.alloc,
	};
	list_init(&c->senders);
	list_init(&c->receivers);
	*out = c;
	return 0;
}

static void shut(co_chan *c)
{
	struct waiter *w;

	c->closed = true;
	while ((w = first_waiter(&c->receivers)) != NULL ||
	       (w = first_waiter(&c->senders)) != NULL)
		take(w, -EPIPE);
}

int co_chan_close(co_chan *c)
{
	if (!c || !is_ours(c))
		return refuse(c, SITE());
	if (c->closed)
		return -EPIPE;
	shut(c);
	return 0;
}

void co_chan_free(co_chan *c)
{
	size_t size;

	if (!c)
		return;
	if (whorl__loop && !is_ours(c) && whorl__loop_alive(c->loop)) {
		refuse(c, SITE());
		return;
	}
	shut(c);
	size_of(c->elem_size, c->capacity, &size);
	c->alloc.free(c, size, c->alloc.ctx);
}

size_t co_chan_len(const co_chan *c)
{
	if (!c || (whorl__loop && !is_ours(c) && refuse(c, SITE()) < 0))
		return 0;
	return c->length;
}

/* ----------------------------------------------------------------------------- select */

enum { FEW = 16 }; /* so many offers lie on the stack */

static int check_cases(const struct co_case *cases, int n, const struct co_loop *l,
		       const void *site)
{
	int rc = n < 0 || (n > 0 && !cases) ? -EINVAL : 0;

	for (int i = 0; i < n && rc == 0; i++) {
		if (cases[i].op != CO_RECV && cases[i].op != CO_SEND)
			rc = -EINVAL;
		else if (cases[i].chan && !usable(cases[i].chan, cases[i].elem, l))
			rc = refuse(cases[i].chan, site);
	}
	return rc;
}

/* The index of the first that is ready, and done; or -EAGAIN. */
static int try_cases(struct co_case *cases, int n)
{
	for (int i = 0; i < n; i++) {
		co_chan *c = cases[i].chan;
		int rc;

		if (!c)
			continue;
		if (cases[i].op == CO_SEND)
			rc = try_send(c, cases[i].elem);
		else
			rc = try_recv(c, cases[i].elem);
		if (rc == -EAGAIN)
			continue;
		cases[i].result = rc;
		return i;
	}
	return -EAGAIN;
}

static int wait_in_all(struct co *co, struct co_case *cases, struct waiter *offers, int n,
		       co_ns abs)
{
	struct selection s = { .offers = offers, .count = n };
	struct wait *w = whorl__wait_for(
		co, n > 0 ? "one of its channels" : "the end of a select without cases", abs,
		-ETIMEDOUT);
	int rc, i;

	w->waiter.item = &s;
	w->leave = withdraw;
	for (i = 0; i < n; i++) {
		co_chan *c = cases[i].chan;

		offers[i].co = co;
		offers[i].item = cases[i].elem;
		list_init(&offers[i].link);
		if (c)
			list_append(cases[i].op == CO_SEND ? &c->senders : &c->receivers,
				    &offers[i].link);
	}
	rc = whorl__park(co);
	if (!s.taken)
		return rc;
	i = (int)(s.taken - offers);
	cases[i].result = rc;
	return i;
}

static int choose(struct co_case *cases, int n, co_ns abs, const void *frame, const void *site)
{
	struct co *co = whorl__suspender(site);
	struct waiter few[FEW], *offers = few;
	int rc;

	if (!co)
		return -EPERM;
	rc = check_cases(cases, n, co->loop, site);
	if (rc == 0)
		rc = whorl__point(co, frame);
	if (rc == 0)
		rc = try_cases(cases, n);
	if (rc != -EAGAIN)
		return rc;
	if (past(co, abs))
		return -ETIMEDOUT;
	if (n > FEW)
		offers = whorl__alloc(co->loop, (size_t)n * sizeof *offers);
	if (!offers)
		return -ENOMEM;
	rc = wait_in_all(co, cases, offers, n, abs);
	if (offers != few)
		whorl__free(co->loop, offers, (size_t)n * sizeof *offers);
	return rc;
}

FRAMED int co_select(struct co_case *cases, int n)
{
	return choose(cases, n, CO_FOREVER, FRAME(), SITE());
}

FRAMED int co_select_until(struct co_case *cases, int n, co_ns abs)
{
	return choose(cases, n, abs, FRAME(), SITE());
}
