/* The workloads with messages, for contenders in C and C++. Whoever includes this has defined what
 * workloads.h asks for, and
 *
 *	open_channels(places)		makes two channels of numbers, 0 and 1, anew; with 0 places, for
 *					those who have `rendezvous`, or 1, or the next number it can
 *	put(to, number)
 *	take(from)
 *	take_in_time(from)		the same, within 5000 s; ends the program when they are over
 */
#ifndef WHORL_BENCH_CHANNELS_H
#define WHORL_BENCH_CHANNELS_H

#include "workloads.h"

/* ------------------------------------------------------------------------------------------- C7
 * Ping-pong: a number goes out by channel 0 and comes back by channel 1, one larger. The channels
 * have a place; in C7-rendezvous none. An operation is a message, so two make a round. */

static uint64_t rounds;

static inline result echo(void *arg)
{
	(void)arg;
	for (uint64_t i = 0; i < rounds; i++)
		put(1, take(0) + 1);
	return 0;
}

static inline void ping_pong(struct run *r)
{
	spawn(echo, NULL);
	r->ns = cpu_ns();
	if (r->deadline) {
		for (uint64_t i = 0; i < rounds; i++) {
			put(0, i);
			require(take_in_time(1) == i + 1);
		}
	} else {
		for (uint64_t i = 0; i < rounds; i++) {
			put(0, i);
			require(take(1) == i + 1);
		}
	}
	r->ns = cpu_ns() - r->ns;
	join_all();
}

static inline void exchange(struct run *r, unsigned places)
{
	open_channels(places);
	rounds = r->ops / 2 + 1;
	ping_pong(r);
	r->ops = 2 * rounds;
}

static inline void messages(struct run *r)
{
	exchange(r, 1);
}

static inline void rendezvous(struct run *r)
{
	exchange(r, 0);
}

/* ------------------------------------------------------------------------------------------- C5
 * A deadline that never comes, around a receive; N other coroutines sleep meanwhile, till before it
 * and after it. In C5-parked the message comes after the receive has begun to wait, in C5-ready it
 * is there already. */

static inline void beside(const struct run *r)
{
	if (dormant.begun < r->n)
		sleep_beside(r->n);
}

static inline void parked(struct run *r)
{
	beside(r);
	open_channels(1);
	rounds = r->ops; /* in each, one receive has a deadline */
	ping_pong(r);
}

static inline void ready(struct run *r)
{
	beside(r);
	open_channels(1);
	r->ns = cpu_ns();
	if (r->deadline) {
		for (uint64_t i = 0; i < r->ops; i++) {
			put(0, i);
			require(take_in_time(0) == i);
		}
	} else {
		for (uint64_t i = 0; i < r->ops; i++) {
			put(0, i);
			require(take(0) == i);
		}
	}
	r->ns = cpu_ns() - r->ns;
}

#endif
