/* Rate limiter: a token bucket, kept as the instant at which it will be full.
 *
 * Taking k tokens puts that instant off by k * per / n; the bucket lacks as many tokens as flow in
 * until then. So k are there from the instant on that lies (burst - k) * per / n before it. All of
 * this is reckoned in n-ths of a nanosecond, where each of the terms is a whole number. A clock is
 * less than 2^63 ns and k <= burst < 2^64 are only taken when they are there, so no sum reaches
 * 2^128; and nothing is ever rounded but the instant of a wake, up. (GCRA, ITU-T I.371 annex A: the
 * instant is its theoretical arrival time, and (burst - 1) * per / n its limit.)
 *
 * Only the first in line has a deadline: from when on its tokens are there. Woken by it, it has
 * taken them; and whenever one leaves the line, for whatever reason, the first gets its deadline
 * (let_up). While somebody waits the bucket is not full, so a loop that is late loses no token. */
#include "line.h"

_Static_assert(sizeof(co_limiter) == 8 * sizeof(uintptr_t), "part of the interface");

__extension__ typedef unsigned __int128 wide;

int co_limiter_init(co_limiter *l, uint64_t n, co_ns per, uint64_t burst)
{
	if (!l || n == 0 || per <= 0 || burst == 0)
		return -EINVAL;
	*l = (co_limiter){ .n_ = n, .per_ = per, .burst_ = burst };
	return 0;
}

/* What flows in during this time, in parts of a token: also n-ths of a nanosecond. */
static wide flow(const co_limiter *l, co_ns time)
{
	return time > 0 ? (wide)(uint64_t)time * l->n_ : 0;
}

static wide cost(const co_limiter *l, uint64_t n)
{
	return (wide)n * (uint64_t)l->per_;
}

static wide full(const co_limiter *l)
{
	return (wide)l->full_[1] << 64 | l->full_[0];
}

static void set_full(co_limiter *l, wide at)
{
	l->full_[0] = (uint64_t)at;
	l->full_[1] = (uint64_t)(at >> 64);
}

/* From when on n tokens are there; while somebody waits that is not long ago. */
static co_ns ready_at(const co_limiter *l, uint64_t n)
{
	wide at = full(l), before = cost(l, l->burst_ - n);

	if (at <= before)
		return 0;
	at = (at - before - 1) / l->n_ + 1;
	return at < CO_FOREVER ? (co_ns)at : CO_FOREVER;
}

static bool try_take(co_limiter *l, uint64_t n, co_ns now)
{
	wide at = flow(l, now);

	if (anybody_in(&l->line_) || full(l) > at + cost(l, l->burst_ - n))
		return false;
	set_full(l, (full(l) > at ? full(l) : at) + cost(l, n));
	return true;
}

static void let_up(co_limiter *l)
{
	struct waiter *w = first_in(&l->line_);

	if (!w)
		return;
	w->co->wait.tick = op_tick(ready_at(l, w->co->wait.n));
	whorl__arm(w->co);
}

static void leave(struct co *co, int result)
{
	co_limiter *l = co->wait.waiter.item;

	if (result == 0)
		set_full(l, full(l) + cost(l, co->wait.n));
	let_up(l);
}

static int wait_for_tokens(struct co *co, co_limiter *l, uint64_t n)
{
	co_ns at = anybody_in(&l->line_) ? CO_FOREVER : ready_at(l, n);
	struct wait *w = whorl__wait_for(co, "tokens of a limiter", at, 0);

	w->waiter.item = l;
	w->n = n;
	w->leave = leave;
	list_append(line_of(&l->line_), &w->waiter.link);
	return whorl__park(co);
}

static bool bad_number(const co_limiter *l, uint64_t n)
{
	return n == 0 || n > l->burst_;
}

FRAMED int co_limiter_wait(co_limiter *l, uint64_t n)
{
	struct co *co = whorl__suspender(SITE());
	int rc = whorl__approach(l ? &l->line_ : NULL, co, FRAME(), SITE());

	if (rc < 0)
		return rc;
	if (bad_number(l, n))
		return -EINVAL;
	return try_take(l, n, whorl__clock(co->loop)) ? 0 : wait_for_tokens(co, l, n);
}

int co_limiter_try(co_limiter *l, uint64_t n)
{
	int rc;

	if (!l || bad_number(l, n))
		return -EINVAL;
	if (!whorl__loop)
		return -EPERM;
	rc = whorl__claim(&l->line_, SITE());
	if (rc < 0)
		return rc;
	return try_take(l, n, whorl__clock(whorl__loop)) ? 0 : -EAGAIN;
}
