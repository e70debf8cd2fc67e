/* libuv: uv_timer_t, whose time is in milliseconds: what is given in nanoseconds is rounded up to
 * its next. Periodic ones by its own repeat. */
#include <uv.h>

struct timer {
	uv_timer_t in;
};

#define CALLS_BACK
#define TELLS_NEXT
#include "timers.h"
#include "simulated.h"

static const struct contender contender = {
	.name = "libuv",
	.note = "uv_timer, ms ticks; its clock and epoll_pwait are simulated in the program; "
		"ns without the turns of its loop",
	.bytes = sizeof(uv_timer_t),
};

static uv_loop_t loop;

static const char *version(void)
{
	return uv_version_string();
}

static void open_timers(void)
{
	simulate();
	if (uv_loop_init(&loop) < 0)
		abort();
	for (size_t i = 0; i < timer_count; i++)
		uv_timer_init(&loop, &timers[i].in);
}

static void expire(uv_timer_t *t)
{
	fired((struct timer *)t);
}

static inline bool armed(struct timer *t)
{
	return uv_is_active((const uv_handle_t *)&t->in);
}

static inline uint64_t ms_to(uint64_t expires)
{
	return (expires - now + MS - 1) / MS;
}

static inline void start(struct timer *t, uint64_t expires)
{
	uv_timer_start(&t->in, expire, ms_to(expires), 0);
}

static inline bool stop(struct timer *t)
{
	bool was = armed(t);

	uv_timer_stop(&t->in);
	return was;
}

static inline void move(struct timer *t, uint64_t expires)
{
	start(t, expires);
}

static inline void start_periodic(struct timer *t, uint64_t first, uint64_t period)
{
	uv_timer_start(&t->in, expire, ms_to(first), period / MS);
}

static inline void advance(void)
{
	simulate();
	uv_run(&loop, UV_RUN_NOWAIT);
}

static inline uint64_t next_expiry(void)
{
	return now + (uint64_t)uv_backend_timeout(&loop) * MS;
}

static inline void sleep_to_next(void)
{
	uv_run(&loop, UV_RUN_ONCE);
}
