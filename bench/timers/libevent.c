/* libevent: timer events of its min-heap. Not its common timeouts, queues for a few durations that
 * are given beforehand: in W2 alone they would serve. Periodic ones are armed again by the
 * callback, as its own repeat (EV_PERSIST) takes the first duration for all. */
#include <event2/event.h>
#include <event2/event_struct.h>

struct timer {
	struct event in;
};

#define CALLS_BACK
#include "timers.h"
#include "simulated.h"

static const struct contender contender = {
	.name = "libevent",
	.note = "min-heap, us ticks; its clock and epoll_wait are simulated in the program; "
		"ns without the turns of its loop",
	.bytes = sizeof(struct event) + sizeof(struct event *),
};

static struct event_base *base;

static const char *version(void)
{
	return event_get_version();
}

static void expire(evutil_socket_t fd, short events, void *t)
{
	(void)fd, (void)events;
	fired(t);
	if (periodic)
		start(t, now + period_of((size_t)((struct timer *)t - timers)));
}

static void open_timers(void)
{
	simulate();
	base = event_base_new();
	if (!base)
		abort();
	for (size_t i = 0; i < timer_count; i++)
		event_assign(&timers[i].in, base, -1, 0, expire, &timers[i]);
}

static inline bool armed(struct timer *t)
{
	return event_pending(&t->in, EV_TIMEOUT, NULL);
}

static inline struct timeval duration(uint64_t ns)
{
	uint64_t us = (ns + 999) / 1000;

	return (struct timeval){ (time_t)(us / 1000000), (suseconds_t)(us % 1000000) };
}

static inline void start(struct timer *t, uint64_t expires)
{
	struct timeval after = duration(expires - now);

	event_add(&t->in, &after);
}

static inline bool stop(struct timer *t)
{
	bool was = (t->in.ev_evcallback.evcb_flags & EVLIST_TIMEOUT) != 0;

	event_del(&t->in);
	return was;
}

static inline void move(struct timer *t, uint64_t expires)
{
	start(t, expires);
}

static inline void start_periodic(struct timer *t, uint64_t first, uint64_t period)
{
	(void)period;
	start(t, first);
}

static inline void advance(void)
{
	simulate();
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static inline void sleep_to_next(void)
{
	event_base_loop(base, EVLOOP_ONCE);
}
