/* Event and barrier: all in line go on together.
 *
 * At a set event nobody is in line, at a barrier fewer than n. Whoever leaves a barrier's line, for
 * whatever reason, is off the count in that moment (leave), so the next to come counts right. */
#include "line.h"

SIZED(co_event, 4);
SIZED(co_barrier, 6);

/* ---------------------------------------------------------------------------------------- event */

static int wait_until(co_event *e, co_ns abs, const void *frame, const void *site)
{
	struct co *co = whorl__suspender(site);
	int rc = whorl__approach(e ? &e->line_ : NULL, co, frame, site);

	if (rc < 0 || e->set_)
		return rc;
	return whorl__stand_in(&e->line_, whorl__wait_for(co, "an event", abs, -ETIMEDOUT));
}

FRAMED int co_event_wait(co_event *e)
{
	return wait_until(e, CO_FOREVER, FRAME(), SITE());
}

FRAMED int co_event_wait_until(co_event *e, co_ns abs)
{
	return wait_until(e, abs, FRAME(), SITE());
}

void co_event_set(co_event *e)
{
	if (!e || whorl__claim(&e->line_, SITE()) < 0)
		return;
	e->set_ = true;
	wake_all_in(&e->line_);
}

void co_event_reset(co_event *e)
{
	if (e && whorl__claim(&e->line_, SITE()) == 0)
		e->set_ = false;
}

bool co_event_is_set(const co_event *e)
{
	return e && e->set_;
}

/* -------------------------------------------------------------------------------------- barrier */

int co_barrier_init(co_barrier *b, uint32_t n)
{
	if (!b || n == 0)
		return -EINVAL;
	*b = (co_barrier){ .n_ = n };
	return 0;
}

static void leave(struct co *co, int result)
{
	co_barrier *b = co->wait.waiter.item;

	(void)result;
	b->arrived_--;
}

static int arrive(struct co *co, co_barrier *b)
{
	struct wait *w;

	if (b->arrived_ + 1 == b->n_) {
		wake_all_in(&b->line_);
		return 1;
	}
	b->arrived_++;
	w = whorl__wait_for(co, "a barrier", CO_FOREVER, 0);
	w->waiter.item = b;
	w->leave = leave;
	return whorl__stand_in(&b->line_, w);
}

FRAMED int co_barrier_wait(co_barrier *b)
{
	struct co *co = whorl__suspender(SITE());
	int rc = whorl__approach(b ? &b->line_ : NULL, co, FRAME(), SITE());

	if (rc < 0)
		return rc;
	return b->n_ > 0 ? arrive(co, b) : -EINVAL;
}
