/* Semaphore.
 *
 * Whenever a permit comes back, and whenever one that waits in line gives up, the first in line get
 * what they wait for (grant), as long as there is enough. So, while somebody waits, less is free
 * than the first in line wants, and what is free belongs to nobody before its turn. */
#include "line.h"

SIZED(co_sem, 6);

void co_sem_init(co_sem *s, uint32_t permits)
{
	if (s)
		*s = (co_sem){ .permits_ = permits };
}

static bool take(co_sem *s, uint32_t n)
{
	if (s->permits_ < n)
		return false;
	s->permits_ -= n;
	return true;
}

static void grant(co_sem *s)
{
	struct waiter *w;

	while ((w = first_in(&s->line_)) != NULL && take(s, (uint32_t)w->co->wait.n))
		whorl__wake(w->co, 0);
}

/* One that wanted much may have held back those behind it. */
static void leave(struct co *co, int result)
{
	if (result < 0)
		grant(co->wait.waiter.item);
}

static int acquire(struct co *co, co_sem *s, uint32_t n, co_ns abs)
{
	struct wait *w;

	if (n == 0 || (!anybody_in(&s->line_) && take(s, n)))
		return 0;
	w = whorl__wait_for(co, "a semaphore", abs, -ETIMEDOUT);
	w->waiter.item = s;
	w->n = n;
	w->leave = leave;
	return whorl__stand_in(&s->line_, w);
}

static int wait_until(co_sem *s, uint32_t n, co_ns abs, const void *frame, const void *site)
{
	struct co *co = whorl__suspender(site);
	int rc = whorl__approach(s ? &s->line_ : NULL, co, frame, site);

	return rc == 0 ? acquire(co, s, n, abs) : rc;
}

FRAMED int co_sem_wait(co_sem *s)
{
	return wait_until(s, 1, CO_FOREVER, FRAME(), SITE());
}

FRAMED int co_sem_wait_n(co_sem *s, uint32_t n)
{
	return wait_until(s, n, CO_FOREVER, FRAME(), SITE());
}

FRAMED int co_sem_wait_until(co_sem *s, uint32_t n, co_ns abs)
{
	return wait_until(s, n, abs, FRAME(), SITE());
}

int co_sem_trywait(co_sem *s)
{
	int rc = s ? whorl__claim(&s->line_, SITE()) : -EINVAL;

	if (rc == 0 && (anybody_in(&s->line_) || !take(s, 1)))
		rc = -EAGAIN;
	return rc;
}

static void post(co_sem *s, uint32_t n, const void *site)
{
	if (!s || whorl__claim(&s->line_, site) < 0)
		return;
	if (__builtin_add_overflow(s->permits_, n, &s->permits_))
		s->permits_ = UINT32_MAX;
	grant(s);
}

void co_sem_post(co_sem *s)
{
	post(s, 1, SITE());
}

void co_sem_post_n(co_sem *s, uint32_t n)
{
	post(s, n, SITE());
}

uint32_t co_sem_value(const co_sem *s)
{
	return s ? s->permits_ : 0;
}
