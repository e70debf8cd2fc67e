/* Reader-writer lock.
 *
 * Readers and writers stand in one line. Whenever the lock is given back, and whenever one in line
 * gives up, the first in line come in (grant) as long as they can share the lock with those inside.
 * So the first in line never could come in, and nobody else does before it. */
#include "line.h"

SIZED(co_rwlock, 8);

enum { READ, WRITE }; /* what a waiter wants: its n */

static bool is_writer(const struct co *co, const co_rwlock *l)
{
	return l->writer_ == whorl__ref(co).id;
}

static bool enter(struct co *co, co_rwlock *l, bool write)
{
	if (write ? l->line_.held_ > 0 : l->writer_ != 0)
		return false;
	if (write)
		l->writer_ = whorl__ref(co).id;
	l->line_.held_++;
	return true;
}

static void grant(co_rwlock *l)
{
	struct waiter *w;

	while ((w = first_in(&l->line_)) != NULL && enter(w->co, l, w->co->wait.n == WRITE))
		whorl__wake(w->co, 0);
}

/* A writer may have held back the readers behind it. */
static void leave(struct co *co, int result)
{
	if (result < 0)
		grant(co->wait.waiter.item);
}

static bool try_enter(struct co *co, co_rwlock *l, bool write)
{
	return !anybody_in(&l->line_) && enter(co, l, write);
}

static int acquire(struct co *co, co_rwlock *l, bool write, co_ns abs)
{
	struct wait *w;

	if (try_enter(co, l, write))
		return 0;
	w = whorl__wait_for(co, write ? "a lock, to write" : "a lock, to read", abs, -ETIMEDOUT);
	w->waiter.item = l;
	w->n = write ? WRITE : READ;
	w->leave = leave;
	return whorl__stand_in(&l->line_, w);
}

static int lock(co_rwlock *l, bool write, co_ns abs, const void *frame, const void *site)
{
	struct co *co = whorl__suspender(site);
	int rc = whorl__approach(l ? &l->line_ : NULL, co, frame, site);

	if (rc < 0)
		return rc;
	return is_writer(co, l) ? -EDEADLK : acquire(co, l, write, abs);
}

FRAMED int co_rwlock_rdlock(co_rwlock *l)
{
	return lock(l, false, CO_FOREVER, FRAME(), SITE());
}

FRAMED int co_rwlock_wrlock(co_rwlock *l)
{
	return lock(l, true, CO_FOREVER, FRAME(), SITE());
}

FRAMED int co_rwlock_rdlock_until(co_rwlock *l, co_ns abs)
{
	return lock(l, false, abs, FRAME(), SITE());
}

FRAMED int co_rwlock_wrlock_until(co_rwlock *l, co_ns abs)
{
	return lock(l, true, abs, FRAME(), SITE());
}

static int trylock(co_rwlock *l, bool write, const void *site)
{
	struct co *co = whorl__self();
	int rc;

	if (!co || !l)
		return co ? -EINVAL : -EPERM;
	rc = whorl__claim(&l->line_, site);
	if (rc < 0)
		return rc;
	return try_enter(co, l, write) ? 0 : -EBUSY;
}

int co_rwlock_tryrdlock(co_rwlock *l)
{
	return trylock(l, false, SITE());
}

int co_rwlock_trywrlock(co_rwlock *l)
{
	return trylock(l, true, SITE());
}

int co_rwlock_unlock(co_rwlock *l)
{
	struct co *co = whorl__self();
	int rc;

	if (!l)
		return -EINVAL;
	rc = whorl__claim(&l->line_, SITE());
	if (rc < 0)
		return rc;
	if (!co || l->line_.held_ == 0 || (l->writer_ != 0 && !is_writer(co, l)))
		return whorl__misuse(CO_MISUSE_MUTEX, -EPERM, SITE(),
				     "unlock of a lock by one that does not hold it");
	l->writer_ = 0;
	l->line_.held_--;
	grant(l);
	return 0;
}
