/* whorl/wheel.h - a hierarchical hashed timer wheel.
 *
 * The wheel keeps timers and says which are due. It has no clock: the caller tells it the time, in
 * ticks of the caller's choice (all of uint64 is legal), and takes what is due, in order:
 *
 *	wheel_advance(&w, now);
 *	while ((t = wheel_pop(&w)) != NULL)
 *		WHEEL_CONTAINER(t, struct conn, idle)->...
 *
 * It allocates nothing and calls nothing back. The timers are the caller's, usually members of
 * larger objects; an armed one must stay where it is until it is popped or disarmed. No call
 * suspends, and none is safe against another one on the same wheel from a second thread or a signal
 * handler. wheel.c and this header work alone, in freestanding C too.
 *
 * Promises, at every size of the wheel and for every jump of the clock:
 *
 * - No timer is popped before `expires`. After wheel_advance(now), each timer with `expires <=
 *   now` can be popped.
 * - wheel_pop returns the least, by (expires, order of arming), of all that is due. A move counts
 *   as arming again.
 * - A timer armed at wheel_now() or earlier is due from the next wheel_advance on, also one to
 *   the same now: a loop of pops that arms again what it pops therefore ends.
 * - Between pops any timer may be disarmed or moved, due or not; a popped one may be armed again,
 *   freed or left.
 *
 * The calls look for no mistakes, NULL included: they are a handful of instructions. wheel_check is
 * there for the hunt.
 *
 * After G. Varghese and T. Lauck, "Hashed and Hierarchical Timing Wheels", SOSP 1987 (scheme 7),
 * with levels chosen as in a radix heap: R. Ahuja, K. Mehlhorn, J. Orlin, R. Tarjan, "Faster
 * Algorithms for the Shortest Path Problem", J. ACM 37(2), 1990, section 3. docs/wheel.md has the
 * arithmetic and its proof. */
#ifndef WHORL_WHEEL_H
#define WHORL_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A call without the stub of the procedure linkage table, by gcc on x86-64: 1 ns less, and no first
 * call that looks the name up, for which a coroutine's stack needs 3.3 KiB. */
#if defined(__x86_64__) && defined(__has_attribute)
#if __has_attribute(noplt)
#define WHEEL_API_ __attribute__((noplt))
#endif
#endif
#ifndef WHEEL_API_
#define WHEEL_API_
#endif

#if defined(__GNUC__)
#pragma GCC visibility push(default) /* the library is built with -fvisibility=hidden */
#endif
#ifdef __cplusplus
extern "C" {
#endif

/* The geometry, for those who compile wheel.c into their own program (define it there and wherever
 * this header is included; the shared library has the defaults). Ticks are below 2^(WHEEL_SLOT_BITS
 * * WHEEL_LEVELS), at most all of uint64. */
#ifndef WHEEL_SLOT_BITS
#define WHEEL_SLOT_BITS	6
#endif
#ifndef WHEEL_LEVELS
#define WHEEL_LEVELS	11
#endif
#define WHEEL_SLOTS	(1 << WHEEL_SLOT_BITS)
/* the last level has fewer where the digits have more than 64 bits */
#define WHEEL_TOP_SLOTS                                                                            \
	(64 - WHEEL_SLOT_BITS * (WHEEL_LEVELS - 1) < WHEEL_SLOT_BITS                               \
		 ? 1 << (64 - WHEEL_SLOT_BITS * (WHEEL_LEVELS - 1))                                \
		 : WHEEL_SLOTS)
/* lists per slot: that many cache misses are in flight when a slot is emptied */
#define WHEEL_CHAINS	8

/* What wheel_next says of an empty wheel. Legal as a deadline: due after wheel_advance(UINT64_MAX).
 * */
#define WHEEL_NEVER	UINT64_MAX

/* All fields of both structs are private. All-zero is a valid, unarmed timer. */
struct wheel_timer {
	struct wheel_timer *next_;
	struct wheel_timer **back_;	/* what points here; NULL: not armed */
	uint64_t expires_;
	uint64_t seq_;			/* number of the arming, breaks ties; odd: not in a slot */
};

struct wheel_slot_ {
	struct wheel_timer *chain[WHEEL_CHAINS];
};

struct wheel {
	uint64_t now_;
	uint64_t cursor_;		/* filing is relative to it; <= now_ */
	uint64_t soonest_;		/* no timer in a slot expires earlier */
	uint64_t seq_;
	size_t count_;
	struct wheel_timer *run_;	/* in order: those that come next */
	struct wheel_timer *past_;	/* armed at now_ or earlier, since the last advance */
	bool exact_;			/* soonest_ needs no second look */
	uint64_t occupied_levels_;	/* bit n: occupied_[n] is not 0 */
	uint64_t occupied_[WHEEL_LEVELS];	/* [n] bit s: slot s of level n is not empty */
	uint64_t occupied_ahead_;	/* the same of the row ahead */
	size_t ahead_;			/* index of the slot that this row divides, or SIZE_MAX */
	size_t popped_;			/* since the last advance */
	uint64_t spare_[7];
	/* the rows of the levels, and the row ahead */
	struct wheel_slot_ slot_[(WHEEL_LEVELS - 1) * WHEEL_SLOTS + WHEEL_TOP_SLOTS + WHEEL_SLOTS];
};

/* Makes an empty wheel at time `now`. O(size of the wheel). */
WHEEL_API_ void wheel_init(struct wheel *w, uint64_t now);

/* Makes an unarmed timer; the same as zeroing it. */
WHEEL_API_ void wheel_timer_init(struct wheel_timer *t);

/* Arms the timer for tick `expires`; an armed one is moved. The timer is in one wheel at a time.
 * O(1), cannot fail. */
WHEEL_API_ void wheel_arm(struct wheel *w, struct wheel_timer *t, uint64_t expires);

/* The same, and the timer may be up to `slack` ticks late: the wheel picks a tick in [expires,
 * expires + slack] (cut at UINT64_MAX) that timers with slack tend to share, so that fewer wakes
 * serve them all. wheel_expires() then is that tick, and the order of pops is by it. What is due
 * already is not put off. O(1), cannot fail. */
WHEEL_API_ void wheel_arm_slack(struct wheel *w, struct wheel_timer *t, uint64_t expires,
				uint64_t slack);

/* Takes the timer out, pending or due. True if it was armed. O(1). */
WHEEL_API_ bool wheel_disarm(struct wheel *w, struct wheel_timer *t);

/* True from arming until the timer is popped or disarmed. O(1). */
WHEEL_API_ bool wheel_armed(const struct wheel_timer *t);

/* The tick at which the timer expires, or expired: a periodic timer arms again at wheel_expires(t)
 * + period. O(1). */
WHEEL_API_ uint64_t wheel_expires(const struct wheel_timer *t);

/* When to advance next: never late, so that waking then misses nothing; at most wheel_now() while
 * anything is due or was armed in the past; WHEEL_NEVER for an empty wheel. It may be early, but
 * following it leads on: at most 16 wakes for each arm, 2 on average. O(1) amortised. */
WHEEL_API_ uint64_t wheel_next(struct wheel *w);

/* Sets the time. An advance to before wheel_now() changes nothing, one to wheel_now() makes what
 * was armed in the past due. O(timers that were armed in the past); for ticks as early as that of
 * the last pop, also a walk along those that come before. With thousands of timers it does some of
 * the work of later pops too, moving 512 of them at the most, and two for each that was popped
 * since the advance before: so, where time moves in small steps and the timers are spread over
 * many, no call moves more than a small part of them. */
WHEEL_API_ void wheel_advance(struct wheel *w, uint64_t now);

/* Takes the first of the timers that are due, NULL if none is. O(1) amortised over the levels a
 * timer passes. */
WHEEL_API_ struct wheel_timer *wheel_pop(struct wheel *w);

/* A guess at what is popped next: the first of the timers that are sorted already, due or not, or
 * with `t`, one of those, the one after it; NULL: not known. Others that are armed meanwhile may
 * come before. For prefetching what a timer belongs to. O(1). */
WHEEL_API_ struct wheel_timer *wheel_peek(const struct wheel *w, const struct wheel_timer *t);

/* The time last advanced to. O(1). */
WHEEL_API_ uint64_t wheel_now(const struct wheel *w);

/* How many timers are armed, due ones that were not popped included. O(1). */
WHEEL_API_ size_t wheel_count(const struct wheel *w);

/* Checks every invariant. 0: sound. -EINVAL (as a number: this header needs no <errno.h>): not, and
 * *why, unless `why` is NULL, names what is broken. O(wheel + timers); for tests and for the hunt
 * after a write into freed memory. */
WHEEL_API_ int wheel_check(const struct wheel *w, const char **why);

/* The object of which `timer` is the member. */
#define WHEEL_CONTAINER(timer, type, member)                                                       \
	((type *)(void *)((char *)(timer)-offsetof(type, member)))

#ifdef __cplusplus
}
#endif
#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#endif
