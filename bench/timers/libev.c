/* libev: ev_timer; periodic ones by its own repeat, moves by ev_timer_again, as its manual advises.
 */
#include <ev.h>

struct timer {
	ev_timer in;
};

#define CALLS_BACK
#include "timers.h"
#include "simulated.h"

static const struct contender contender = {
	.name = "libev",
	.note = "4-heap with cached keys; its clock and epoll_wait are simulated in the program; "
		"ns without the turns of its loop",
	.bytes = sizeof(ev_timer) + sizeof(double) + sizeof(void *),
};

static struct ev_loop *loop;

static const char *version(void)
{
	static char text[16];

	snprintf(text, sizeof text, "%d.%d", ev_version_major(), ev_version_minor());
	return text;
}

static void expire(struct ev_loop *l, ev_timer *w, int events)
{
	(void)events;
	if (!periodic)
		ev_timer_stop(l, w); /* ev_timer_again made it repeat */
	fired((struct timer *)w);
}

static void open_timers(void)
{
	simulate();
	loop = ev_loop_new(EVBACKEND_EPOLL);
	for (size_t i = 0; i < timer_count; i++)
		ev_timer_init(&timers[i].in, expire, 0, 0);
}

static inline bool armed(struct timer *t)
{
	return ev_is_active(&t->in);
}

/* ev_now is as of the last step, which is now. */
static inline double seconds_to(uint64_t expires)
{
	return (double)(expires - now) * 1e-9;
}

static inline void start(struct timer *t, uint64_t expires)
{
	ev_timer_set(&t->in, seconds_to(expires), 0);
	ev_timer_start(loop, &t->in);
}

static inline bool stop(struct timer *t)
{
	bool was = ev_is_active(&t->in);

	ev_timer_stop(loop, &t->in);
	return was;
}

static inline void move(struct timer *t, uint64_t expires)
{
	t->in.repeat = seconds_to(expires);
	ev_timer_again(loop, &t->in);
}

static inline void start_periodic(struct timer *t, uint64_t first, uint64_t period)
{
	ev_timer_set(&t->in, seconds_to(first), (double)period * 1e-9);
	ev_timer_start(loop, &t->in);
}

static inline void advance(void)
{
	simulate();
	ev_run(loop, EVRUN_NOWAIT);
}

static inline void sleep_to_next(void)
{
	ev_run(loop, EVRUN_ONCE);
}
