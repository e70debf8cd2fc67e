/* whorl/pace.h - what makes coroutines keep a pace: tickers and rate limiters. Part of
 * <whorl/co.h>, whose rules hold here.
 *
 *	co_ticker t;
 *	uint64_t missed;
 *
 *	co_ticker_init(&t, co_now(), CO_MS(20), CO_TICK_SKIP);
 *	while ((rc = co_ticker_wait(&t, &missed)) == 0)		// now, and then every 20 ms
 *		draw_frame(1 + missed);
 *
 *	co_limiter l;
 *
 *	co_limiter_init(&l, 100, CO_SEC(1), 10);		// 100 a second, 10 of them at once
 *	while ((rc = co_limiter_wait(&l, 1)) == 0)
 *		send_request();
 *
 * Objects are the caller's, anywhere in memory, made by their init, which may be called outside a
 * runtime too; they need no end. From then on they are not copied, moved or initialised again while
 * anybody waits for them. While coroutines of a runtime wait, an object is used inside that runtime
 * only: else misuse (CO_MISUSE_LOOP), -EXDEV, nothing changed. Its times are those of the runtime's
 * clock.
 */
#ifndef WHORL_PACE_H
#define WHORL_PACE_H

#include <whorl/co.h>
#include <whorl/sync.h>

#if defined(__GNUC__)
#pragma GCC visibility push(default) /* the library is built with -fvisibility=hidden */
#endif
#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------------- tickers
 *
 * A ticker is due at first_abs and then every `period`. Each tick is taken once: by a wait that
 * finds it due, or for the first of those who wait, when the loop looks at the time. The mode says
 * what follows when that is late, at `now`, because the coroutine or the loop was busy: */
enum co_tick_mode {
	CO_TICK_SKIP,	/* all ticks up to now are taken with it, and counted as missed; the next is
			 * the first after now. Ticks stay on the grid that began with the first */
	CO_TICK_BURST,	/* the next is a period after it, as if it were not late: so those up to now
			 * are taken one by one, without waiting */
	CO_TICK_DELAY	/* the next is a period after now */
};

typedef struct co_ticker {		/* all private */
	struct co_line_ line_;		/* those who wait */
	co_ns next_;			/* when it is due */
	co_ns period_;
	uint32_t mode_;
	uint32_t spare_[1];
} co_ticker;

/* Makes a ticker. first_abs may be past: then it is late at once; or CO_FOREVER: it is due when it
 * is reset. A tick that would come after CO_FOREVER never comes.
 *
 * -EINVAL	a period <= 0, an unknown mode, or NULL.
 *
 * Suspends: no. Cancellation point: no. */
CO_API_ int co_ticker_init(co_ticker *t, co_ns first_abs, co_ns period, enum co_tick_mode mode);

/* Waits until the ticker is due, and takes the tick. *missed, if not NULL, gets how many more were
 * taken with it (see CO_TICK_SKIP; 0 in the other modes). Several may wait, in line, first come
 * first served.
 *
 * -ECANCELED	no tick was taken: the next wait gets it.
 * -EINVAL	NULL, or it was not initialised. -EPERM outside.
 *
 * Suspends: yes. Cancellation point: yes. */
CO_API_ int co_ticker_wait(co_ticker *t, uint64_t *missed) CO_MUST_CHECK;

/* Moves the next tick to `abs` and the others after it, also for those who wait. Ticks that
 * were due and not taken are dropped. To go on from now: co_now() + period; at once: co_now(). By
 * any coroutine of the runtime or in a callback of the loop; outside too, while nobody waits.
 * Suspends: no. Cancellation point: no. */
CO_API_ void co_ticker_reset_at(co_ticker *t, co_ns abs);

/* -------------------------------------------------------------------------------- rate limiters
 *
 * A token bucket: n tokens flow into it every `per`, evenly; it holds `burst` of them, is full at
 * first, and what does not fit is lost. The arithmetic is exact: over any time, at most burst +
 * n * time / per tokens are given, and, as long as somebody waits, no less, however late the loop
 * is. This is the generic cell rate algorithm in its form with virtual scheduling: ITU-T I.371
 * (03/2004), annex A; and J. S. Turner's leaky bucket, "New directions in communications (or which
 * way to the information age?)", 1986. */

typedef struct co_limiter {		/* all private */
	struct co_line_ line_;		/* those who wait */
	uint64_t n_, burst_;
	co_ns per_;
	uint64_t full_[2];		/* when the bucket is full, if no more is taken: in n-ths of
					 * a nanosecond, low word first */
} co_limiter;

/* Makes a limiter whose bucket is full.
 *
 * -EINVAL	n or burst is 0, per <= 0, or NULL.
 *
 * Suspends: no. Cancellation point: no. */
CO_API_ int co_limiter_init(co_limiter *l, uint64_t n, co_ns per, uint64_t burst);

/* Takes n tokens, all at once; waits for them if they are not there. Who waits stands in line, and
 * nobody is served before those in front of him, even if he wants less. They are taken at the
 * instant in which they are there for the first in line, even if it runs later.
 *
 * -ECANCELED	no token was taken; those behind move up at once.
 * -EINVAL	n is 0, or more than burst, so that it could never be; NULL; or it was not
 *		initialised. -EPERM outside.
 *
 * Suspends: yes. Cancellation point: yes. */
CO_API_ int co_limiter_wait(co_limiter *l, uint64_t n) CO_MUST_CHECK;

/* Takes n tokens if they are there and nobody waits, else -EAGAIN. -EINVAL, -EPERM: as above. Also
 * in callbacks of the loop.
 * Suspends: no. Cancellation point: no. */
CO_API_ int co_limiter_try(co_limiter *l, uint64_t n) CO_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#endif
