/* What time it is, and the virtual clock.
 *
 * The real clock is CLOCK_MONOTONIC or, by option, CLOCK_BOOTTIME; never the wall clock, never a
 * coarse one. A reading that is less than an earlier one counts as that. The virtual clock stands
 * still while anything can run, and jumps to the next timer when nothing can (loop.c).
 * co_test_advance does those jumps itself: it lets all others run until they are blocked (settle),
 * sets the clock to the next timer, and so on up to its target. */
#include <time.h>

#include "sched.h"

static co_ns system_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (co_ns)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

co_ns whorl__clock(struct co_loop *l)
{
	co_ns now;

	if (l->virtual_clock)
		return l->latest;
	if (l->opt.now)
		now = l->opt.now(l->opt.now_ctx);
	else
		now = system_clock(l->opt.clock == CO_CLOCK_BOOTTIME ? CLOCK_BOOTTIME
								     : CLOCK_MONOTONIC);
	if (now > l->latest)
		l->latest = now < CO_FOREVER ? now : CO_FOREVER - 1;
	return l->latest;
}

co_ns co_now(void)
{
	return whorl__loop ? whorl__clock(whorl__loop) : system_clock(CLOCK_MONOTONIC);
}

co_ns co_loop_now(void)
{
	return whorl__loop ? whorl__loop->now : system_clock(CLOCK_MONOTONIC);
}

/* Never is later than every time there is. */
static co_ns later(const struct co_loop *l, co_ns dur)
{
	co_ns at = sat_add(l->latest, dur);

	return at < CO_FOREVER ? at : CO_FOREVER - 1;
}

static void settle(struct co *co)
{
	whorl__wait_for(co, "all others to block", CO_FOREVER, 0)->deaf = true;
	co->loop->settler = co;
	whorl__park(co);
}

/* 0 and the loop, which then is testing; or what is wrong. */
static int begin_test(co_ns dur, struct co_loop **out, const void *site)
{
	struct co *co = whorl__suspender(site);

	if (!co)
		return -EPERM;
	if (!co->loop->virtual_clock || dur < 0)
		return -EINVAL;
	if (co->loop->testing)
		return -EBUSY;
	co->loop->testing = true;
	*out = co->loop;
	return 0;
}

int co_test_settle(void)
{
	struct co_loop *l;
	int rc = begin_test(0, &l, SITE());

	if (rc < 0)
		return rc;
	settle(whorl__self());
	l->testing = false;
	return 0;
}

int co_test_advance(co_ns dur)
{
	struct co_loop *l;
	int rc = begin_test(dur, &l, SITE());
	co_ns target, next;

	if (rc < 0)
		return rc;
	target = later(l, dur);
	for (settle(whorl__self()); (next = tick_time(wheel_next(&l->wheel))) <= target;
	     settle(whorl__self()))
		if (next > l->latest)
			l->latest = next;
	l->latest = target;
	l->testing = false;
	return 0;
}

int co_test_stall(co_ns dur)
{
	struct co_loop *l;
	int rc = begin_test(dur, &l, SITE());

	if (rc < 0)
		return rc;
	l->latest = later(l, dur);
	l->testing = false;
	return 0;
}
