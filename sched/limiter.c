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
#include "wide.h"

SIZED(co_limiter, 8);

int co_limiter_init(co_limiter *l, uint64_t n, co_ns per, uint64_t burst)
{
	if (!l || n == 0 || per <= 0 || burst == 0)
		return -EINVAL;
	*l = (co_limiter){ .n_ = n, .per_ = per, .burst_ = burst };
	return 0;
}

/* What flows in during this time, in parts of a token: also n-ths of a nanosecond. */
static struct wide flow(const co_limiter *l, co_ns time)
{
	return wide_product(time > 0 ? (uint64_t)time : 0, l->n_);
}

static struct wide cost(const co_limiter *l, uint64_t n)
{
	return wide_product(n, (uint64_t)l->per_);
}

static struct wide full(const co_limiter *l)
{
	return (struct wide){ l->full_[0], l->full_[1] };
}

static void set_full(co_limiter *l, struct wide at)
{
	l->full_[0] = at.low;
	l->full_[1] = at.high;
}

/* From when on n tokens are there; while somebody waits that is not long ago. */
static co_ns ready_at(const co_limiter *l, uint64_t n)
{
	struct wide at = full(l), before = cost(l, l->burst_ - n), one = { 1, 0 };
	uint64_t whole;

	if (!wide_less(before, at))
		return 0;
	whole = wide_quotient(wide_difference(wide_difference(at, before), one), l->n_);
	return whole < (uint64_t)CO_FOREVER ? (co_ns)whole + 1 : CO_FOREVER;
}

static bool try_take(co_limiter *l, uint64_t n, co_ns now)
{
	struct wide at = flow(l, now), fullest = full(l);

	if (anybody_in(&l->line_) || wide_less(wide_sum(at, cost(l, l->burst_ - n)), fullest))
		return false;
	set_full(l, wide_sum(wide_less(at, fullest) ? fullest : at, cost(l, n)));
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
		set_full(l, wide_sum(full(l), cost(l, co->wait.n)));
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
