/* Mutex and condition.
 *
 * A mutex is handed over: who unlocks it makes the first in line its owner and wakes it. So it is
 * never free while somebody waits, and nobody can come in between. A mutex's waiter carries
 * nothing, as its coroutine is what the mutex is given to.
 *
 * Who waits for a condition stands in two lines, one after the other. In the condition's, a signal,
 * a deadline or a cancel fixes what the wait returns; in the mutex's it is deaf, so that it always
 * comes back with the mutex. A cancel that comes then meets the next cancellation point. */
#include "line.h"

SIZED(co_mutex, 6);
SIZED(co_cond, 4);

/* ---------------------------------------------------------------------------------------- mutex */

static bool is_owner(const struct co *co, const co_mutex *m)
{
	return co && m->owner_ == whorl__ref(co).id;
}

static void own(struct co *co, co_mutex *m)
{
	m->owner_ = whorl__ref(co).id;
	m->line_.held_ = 1;
	co->mutexes++;
}

static void hand_over(struct co *co, co_mutex *m)
{
	struct waiter *next = first_in(&m->line_);

	m->owner_ = 0;
	m->line_.held_ = 0;
	co->mutexes--;
	if (next) {
		own(next->co, m);
		whorl__wake(next->co, 0);
	}
}

static int acquire(struct co *co, co_mutex *m, co_ns abs, bool deaf)
{
	struct wait *w;

	if (m->line_.held_ == 0) {
		own(co, m);
		return 0;
	}
	w = whorl__wait_for(co, "a mutex", abs, -ETIMEDOUT);
	w->deaf = deaf;
	return whorl__stand_in(&m->line_, w);
}

static int lock(co_mutex *m, co_ns abs, const void *frame, const void *site)
{
	struct co *co = whorl__suspender(site);
	int rc = whorl__approach(m ? &m->line_ : NULL, co, frame, site);

	if (rc < 0)
		return rc;
	return is_owner(co, m) ? -EDEADLK : acquire(co, m, abs, false);
}

FRAMED int co_mutex_lock(co_mutex *m)
{
	return lock(m, CO_FOREVER, FRAME(), SITE());
}

FRAMED int co_mutex_lock_until(co_mutex *m, co_ns abs)
{
	return lock(m, abs, FRAME(), SITE());
}

int co_mutex_trylock(co_mutex *m)
{
	struct co *co = whorl__self();
	int rc;

	if (!co || !m)
		return co ? -EINVAL : -EPERM;
	rc = whorl__claim(&m->line_, SITE());
	if (rc < 0)
		return rc;
	return m->line_.held_ ? -EBUSY : acquire(co, m, CO_FOREVER, false);
}

void co_mutex_lock_nc(co_mutex *m)
{
	struct co *co = whorl__self();

	if (!m)
		return;
	if (!co)
		whorl__misuse(CO_MISUSE_CALLBACK, 0, SITE(), "a mutex locked outside a coroutine");
	else if (is_owner(co, m))
		whorl__misuse(CO_MISUSE_MUTEX, 0, SITE(), "a mutex locked again by its owner");
	else if (whorl__claim(&m->line_, SITE()) == 0)
		acquire(co, m, CO_FOREVER, true);
}

int co_mutex_unlock(co_mutex *m)
{
	struct co *co = whorl__self();
	int rc;

	if (!m)
		return -EINVAL;
	rc = whorl__claim(&m->line_, SITE());
	if (rc < 0)
		return rc;
	if (!is_owner(co, m))
		return whorl__misuse(CO_MISUSE_MUTEX, -EPERM, SITE(),
				     "unlock of a mutex by one that does not hold it");
	hand_over(co, m);
	return 0;
}

/* ------------------------------------------------------------------------------------ condition */

static int wait_without(struct co *co, co_cond *c, co_mutex *m, co_ns abs)
{
	struct wait *w = whorl__wait_for(co, "a condition", abs, -ETIMEDOUT);
	int rc;

	if (past(co, abs))
		return -ETIMEDOUT;
	hand_over(co, m);
	rc = whorl__stand_in(&c->line_, w);
	acquire(co, m, CO_FOREVER, true);
	return rc;
}

static int wait_until(co_cond *c, co_mutex *m, co_ns abs, const void *frame, const void *site)
{
	struct co *co = whorl__suspender(site);
	int rc = whorl__approach(c && m ? &c->line_ : NULL, co, frame, site);

	if (rc == 0)
		rc = whorl__claim(&m->line_, site);
	if (rc < 0)
		return rc;
	if (!is_owner(co, m))
		return whorl__misuse(CO_MISUSE_MUTEX, -EPERM, site,
				     "a condition waited for without its mutex");
	return wait_without(co, c, m, abs);
}

FRAMED int co_cond_wait(co_cond *c, co_mutex *m)
{
	return wait_until(c, m, CO_FOREVER, FRAME(), SITE());
}

FRAMED int co_cond_wait_until(co_cond *c, co_mutex *m, co_ns abs)
{
	return wait_until(c, m, abs, FRAME(), SITE());
}

void co_cond_signal(co_cond *c)
{
	struct waiter *first;

	if (!c || whorl__claim(&c->line_, SITE()) < 0)
		return;
	first = first_in(&c->line_);
	if (first)
		whorl__wake(first->co, 0);
}

void co_cond_broadcast(co_cond *c)
{
	if (c && whorl__claim(&c->line_, SITE()) == 0)
		wake_all_in(&c->line_);
}
