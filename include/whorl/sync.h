/* whorl/sync.h - what coroutines of one runtime use to wait for one another: mutex and condition,
 * semaphore, event, barrier, reader-writer lock. Part of <whorl/co.h>, whose rules hold here.
 *
 * Between two calls that suspend a coroutine has the thread to itself, and data that it leaves in
 * order at each needs no lock. These are for what has to hold across a suspension.
 *
 *	static co_mutex journal = CO_MUTEX_INIT;
 *
 *	static int append(void *entry)
 *	{
 *		int rc = co_mutex_lock(&journal);
 *
 *		if (rc < 0)
 *			return rc;			// cancelled: not locked
 *		rc = write_entry(entry);		// any work that waits
 *		co_mutex_unlock(&journal);		// also after an -ECANCELED
 *		return rc;
 *	}
 *
 * Rules that hold for every call in this file, and are not repeated at each:
 *
 * Objects. The caller's, anywhere in memory, made by an INIT, by all zero where there is one, or by
 *   the init call; they need no end. From the first use on they must not be copied or moved, and
 *   while anybody holds one or waits for it, it stays, and is not initialised again.
 * Waiting. In one line, first come first served; nobody overtakes. Who makes something available
 *   gives it away within that call: it belongs to the one that was chosen before that one runs, and
 *   its wait gives 0, even if it is cancelled in between (the next cancellation point tells). Who
 *   is cancelled or times out leaves the line at once, and is not chosen any more. Giving runs
 *   nobody: the chosen are made runnable, in the order of the line.
 * Errors of calls that wait. -ECANCELED: the caller is cancelled. -ETIMEDOUT, of *_until: abs came
 *   first. After both nothing was taken. -EINVAL: NULL. -EPERM: not in a coroutine. What else a
 *   call may give is said there.
 * Runtimes. While coroutines of a runtime hold or wait for an object, it is used inside that
 *   runtime only: else misuse (CO_MISUSE_LOOP), -EXDEV, nothing changed. After that any other may
 *   have it. What is still locked when its runtime ends stays locked.
 * Where. Locks belong to coroutines, so to try one anywhere else, say in a callback of the loop,
 *   gives -EPERM. All else that does not wait (signal, broadcast, post, co_sem_trywait, set, reset,
 *   and the questions) can be called anywhere inside, and, as long as nobody waits, outside.
 * Cost. O(1), and O(1) more for each coroutine that is given something.
 */
#ifndef WHORL_SYNC_H
#define WHORL_SYNC_H

#include <stdbool.h>
#include <stdint.h>

struct co_line_ {			/* private: those that hold an object, or wait for it */
	void *next_, *prev_;		/* the first and the last that wait; NULL: not used yet */
	uint32_t loop_;			/* their runtime; 0: none yet */
	uint32_t held_;			/* how many hold it */
};

#include <whorl/co.h>	/* which includes others that have lines */

#if defined(__GNUC__)
#pragma GCC visibility push(default) /* the library is built with -fvisibility=hidden */
#endif
#ifdef __cplusplus
extern "C" {
#endif

/* -------------------------------------------------------------------------------------- mutex */

/* Held by one coroutine at a time, until that one unlocks it: no end of a scope and no -ECANCELED
 * does it. A coroutine that returns with a mutex locked is misuse (CO_MISUSE_MUTEX); the mutex
 * stays locked. */
typedef struct co_mutex {
	struct co_line_ line_;
	uint64_t owner_;		/* reference of the coroutine that holds it; 0: free */
	uintptr_t spare_[2];
} co_mutex;
#define CO_MUTEX_INIT	{ { 0, 0, 0, 0 }, 0, { 0 } }

/* Waits until the mutex is this coroutine's. 0. -EDEADLK: it is already.
 * Suspends: yes. Cancellation point: yes. */
CO_API_ int co_mutex_lock(co_mutex *m) CO_MUST_CHECK;
CO_API_ int co_mutex_lock_until(co_mutex *m, co_ns abs) CO_MUST_CHECK;

/* Takes the mutex if it is free. 0. -EBUSY: somebody holds it, be it the caller. -EINVAL, -EPERM,
 * -EXDEV.
 * Suspends: no. Cancellation point: no. */
CO_API_ int co_mutex_trylock(co_mutex *m) CO_MUST_CHECK;

/* The same for cleanup: no cancel and no deadline ends the wait, so the holder must not wait for
 * the caller in turn. There is no result; what would be an error is misuse, and does nothing:
 * CO_MISUSE_MUTEX if the caller has the mutex already, CO_MISUSE_CALLBACK outside a coroutine.
 * Suspends: yes. Cancellation point: no. */
CO_API_ void co_mutex_lock_nc(co_mutex *m);

/* Gives the mutex to the first in line; free if nobody waits. 0. -EPERM, misuse (CO_MISUSE_MUTEX):
 * it is not this coroutine's. -EINVAL, -EXDEV.
 * Suspends: no. Cancellation point: no. */
CO_API_ int co_mutex_unlock(co_mutex *m);

/* ---------------------------------------------------------------------------------- condition */

/* Where coroutines wait until something about the data under a mutex has changed. Waiters check in
 * a loop if it has, as others may come between the signal and the return. One condition may be used
 * with several mutexes. */
typedef struct co_cond {
	struct co_line_ line_;
	uintptr_t spare_[1];
} co_cond;
#define CO_COND_INIT	{ { 0, 0, 0, 0 }, { 0 } }

/* Unlocks m and waits for a signal, with nothing in between; then takes m back. It returns with m
 * held, whatever the result. Taking it back waits as co_mutex_lock_nc does, after a signal, a
 * cancel or a timeout. Who got the signal returns 0; any other leaves it to the next. If abs has
 * passed, or the caller is cancelled, at the call: m is not unlocked. 0.
 *
 * -EPERM	misuse (CO_MISUSE_MUTEX): m is not this coroutine's; or outside.
 *
 * Suspends: yes. Cancellation point: yes. */
CO_API_ int co_cond_wait(co_cond *c, co_mutex *m) CO_MUST_CHECK;
CO_API_ int co_cond_wait_until(co_cond *c, co_mutex *m, co_ns abs) CO_MUST_CHECK;

/* Let the first, or all, of those that wait now go on. Nobody waits: nothing happens, and nothing
 * is kept. With or without the mutex.
 * Suspends: no. Cancellation point: no. */
CO_API_ void co_cond_signal(co_cond *c);
CO_API_ void co_cond_broadcast(co_cond *c);

/* ---------------------------------------------------------------------------------- semaphore */

/* A number of permits, which belong to nobody: any coroutine may post. */
typedef struct co_sem {
	struct co_line_ line_;
	uint32_t permits_;		/* free */
	uintptr_t spare_[2];
} co_sem;

/* Makes a semaphore with so many free permits.
 * Suspends: no. Cancellation point: no. */
CO_API_ void co_sem_init(co_sem *s, uint32_t permits);

/* Take n permits, or one, all at once. Who wants many and is first in line holds back those behind
 * it, until there are enough or it leaves; then the others get theirs at once. n 0: 0 without
 * waiting, whoever waits. 0.
 * Suspends: yes. Cancellation point: yes. */
CO_API_ int co_sem_wait(co_sem *s) CO_MUST_CHECK;
CO_API_ int co_sem_wait_n(co_sem *s, uint32_t n) CO_MUST_CHECK;
CO_API_ int co_sem_wait_until(co_sem *s, uint32_t n, co_ns abs) CO_MUST_CHECK;

/* Takes one permit if there is one and nobody waits. 0. -EAGAIN: not so. -EINVAL, -EXDEV.
 * Suspends: no. Cancellation point: no. */
CO_API_ int co_sem_trywait(co_sem *s) CO_MUST_CHECK;

/* Give n permits, or one, and with what is free then those in line theirs, in order. There are
 * never more than UINT32_MAX free ones: what would be above that is dropped, before any is given
 * away.
 * Suspends: no. Cancellation point: no. */
CO_API_ void co_sem_post(co_sem *s);
CO_API_ void co_sem_post_n(co_sem *s, uint32_t n);

/* How many permits are free. Not 0 while somebody waits for more than these.
 * Suspends: no. Cancellation point: no. */
CO_API_ uint32_t co_sem_value(const co_sem *s);

/* -------------------------------------------------------------------------------------- event */

/* Something that happens once, until it is reset: at first not set. */
typedef struct co_event {
	struct co_line_ line_;
	bool set_;
} co_event;
#define CO_EVENT_INIT	{ { 0, 0, 0, 0 }, 0 }

/* Wait until the event is set. 0, at once if it is.
 * Suspends: yes. Cancellation point: yes. */
CO_API_ int co_event_wait(co_event *e) CO_MUST_CHECK;
CO_API_ int co_event_wait_until(co_event *e, co_ns abs) CO_MUST_CHECK;

/* Sets the event: all that wait return 0, even if it is reset before they run. Set already: nothing
 * happens.
 * Suspends: no. Cancellation point: no. */
CO_API_ void co_event_set(co_event *e);

/* From now on, waits wait.
 * Suspends: no. Cancellation point: no. */
CO_API_ void co_event_reset(co_event *e);

/* Suspends: no. Cancellation point: no. */
CO_API_ bool co_event_is_set(const co_event *e);

/* ------------------------------------------------------------------------------------ barrier */

/* Where n coroutines wait for one another, time and again. */
typedef struct co_barrier {
	struct co_line_ line_;
	uint32_t n_, arrived_;		/* how many make it open; how many wait */
	uintptr_t spare_[2];
} co_barrier;

/* Makes a barrier for n. 0. -EINVAL: n is 0, or NULL.
 * Suspends: no. Cancellation point: no. */
CO_API_ int co_barrier_init(co_barrier *b, uint32_t n);

/* Waits until n coroutines are here. The last to come gets 1 and does not wait, the others 0, and
 * the barrier begins anew. Who is cancelled while it waits does not count any more. -EINVAL: it was
 * not initialised.
 * Suspends: yes. Cancellation point: yes. */
CO_API_ int co_barrier_wait(co_barrier *b) CO_MUST_CHECK;

/* ------------------------------------------------------------------------- reader-writer lock */

/* Held by any number of readers, or by one writer. One line for both: a writer that waits holds
 * back the readers behind it, so neither kind starves the other; if it leaves, they get in at once.
 * So a reader must not read-lock it again: with a writer in between neither would go on. */
typedef struct co_rwlock {
	struct co_line_ line_;
	uint64_t writer_;		/* reference of the coroutine that writes; 0: none */
	uintptr_t spare_[4];
} co_rwlock;
#define CO_RWLOCK_INIT	{ { 0, 0, 0, 0 }, 0, { 0 } }

/* Wait until the lock is this coroutine's for reading, or for writing. 0. -EDEADLK: it is its own
 * for writing already. (Who reads and wants to write as well waits for itself: only a cancel or abs
 * ends that.)
 * Suspends: yes. Cancellation point: yes. */
CO_API_ int co_rwlock_rdlock(co_rwlock *l) CO_MUST_CHECK;
CO_API_ int co_rwlock_wrlock(co_rwlock *l) CO_MUST_CHECK;
CO_API_ int co_rwlock_rdlock_until(co_rwlock *l, co_ns abs) CO_MUST_CHECK;
CO_API_ int co_rwlock_wrlock_until(co_rwlock *l, co_ns abs) CO_MUST_CHECK;

/* Take the lock if it can be had and nobody waits for it. 0. -EBUSY: not so. -EINVAL, -EPERM,
 * -EXDEV.
 * Suspends: no. Cancellation point: no. */
CO_API_ int co_rwlock_tryrdlock(co_rwlock *l) CO_MUST_CHECK;
CO_API_ int co_rwlock_trywrlock(co_rwlock *l) CO_MUST_CHECK;

/* Gives back the lock, of either kind; those that come first in line and can share it get it. 0.
 * -EPERM, misuse (CO_MISUSE_MUTEX): nobody holds it, another coroutine writes, or the caller is no
 * coroutine. Who the readers are is not recorded. -EINVAL, -EXDEV.
 * Suspends: no. Cancellation point: no. */
CO_API_ int co_rwlock_unlock(co_rwlock *l);

#ifdef __cplusplus
}
#endif
#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#endif
