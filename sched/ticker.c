/* Ticker: one instant, the next tick, that moves on when a tick is taken.
 *
 * Only the first in line has a deadline, the next tick. Woken by it, it has taken that tick; and
 * whenever one leaves the line, for whatever reason, or the ticker is reset, the first gets its
 * deadline anew (let_up). So each tick goes to one, in order, and a wait that is cancelled has
 * taken none. */
#include "line.h"

SIZED(co_ticker, 6);

int co_ticker_init(co_ticker *t, co_ns first_abs, co_ns period, enum co_tick_mode mode)
{
	if (!t || period <= 0 || (unsigned)mode > CO_TICK_DELAY)
		return -EINVAL;
	*t = (co_ticker){ .next_ = first_abs, .period_ = period, .mode_ = (uint32_t)mode };
	return 0;
}

/* Takes the tick that is due; returns how many were missed. */
static uint64_t take(co_ticker *t, co_ns now)
{
	uint64_t late = (uint64_t)now - (uint64_t)t->next_, period = (uint64_t)t->period_;

	switch (t->mode_) {
	case CO_TICK_BURST:
		t->next_ = sat_add(t->next_, t->period_);
		return 0;
	case CO_TICK_DELAY:
		t->next_ = sat_add(now, t->period_);
		return 0;
	default:
		t->next_ = sat_add(now - (co_ns)(late % period), t->period_);
		return late / period;
	}
}

static void let_up(co_ticker *t)
{
	struct waiter *w = first_in(&t->line_);

	if (!w)
		return;
	w->co->wait.tick = op_tick(t->next_);
	whorl__arm(w->co);
}

static void leave(struct co *co, int result)
{
	co_ticker *t = co->wait.waiter.item;

	co->wait.n = result == 0 ? take(t, whorl__clock(co->loop)) : 0;
	let_up(t);
}

static int wait_for_tick(struct co *co, co_ticker *t, uint64_t *missed)
{
	struct wait *w =
		whorl__wait_for(co, "a tick", anybody_in(&t->line_) ? CO_FOREVER : t->next_, 0);
	int rc;

	w->waiter.item = t;
	w->leave = leave;
	list_append(line_of(&t->line_), &w->waiter.link);
	rc = whorl__park(co);
	*missed = w->n;
	return rc;
}

FRAMED int co_ticker_wait(co_ticker *t, uint64_t *missed)
{
	struct co *co = whorl__suspender(SITE());
	int rc = whorl__approach(t ? &t->line_ : NULL, co, FRAME(), SITE());
	uint64_t late = 0;
	co_ns now;

	if (rc < 0)
		return rc;
	if (t->period_ <= 0)
		return -EINVAL;
	now = whorl__clock(co->loop);
	if (!anybody_in(&t->line_) && t->next_ <= now)
		late = take(t, now);
	else
		rc = wait_for_tick(co, t, &late);
	if (rc == 0 && missed)
		*missed = late;
	return rc;
}

void co_ticker_reset_at(co_ticker *t, co_ns abs)
{
	if (!t || whorl__claim(&t->line_, SITE()) < 0)
		return;
	t->next_ = abs;
	let_up(t);
}
