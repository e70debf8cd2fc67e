/* Sleep, yield, checkpoint: the points at which a coroutine waits for nothing but time. */
#include "sched.h"

static __attribute__((noinline)) int yield_of_leaky(struct co *co, const void *frame)
{
	whorl__leaked_frames(co, frame);
	return whorl__yield(co);
}

static inline int yield(struct co *co, const void *frame)
{
	return whorl__may_leak(co, frame) ? yield_of_leaky(co, frame) : whorl__yield(co);
}

static int sleep_until(struct co *co, co_ns abs, const void *frame)
{
	int rc = whorl__point(co, frame);

	if (rc < 0)
		return rc;
	whorl__wait_for(co, "sleep", abs, 0);
	return whorl__park(co);
}

FRAMED int co_sleep(co_ns dur)
{
	struct co *co = whorl__suspender(SITE());

	if (!co)
		return -EPERM;
	if (dur <= 0)
		return yield(co, FRAME());
	return sleep_until(co, sat_add(whorl__clock(co->loop), dur), FRAME());
}

FRAMED int co_sleep_until(co_ns abs)
{
	struct co *co = whorl__suspender(SITE());

	if (!co)
		return -EPERM;
	if (abs <= whorl__clock(co->loop))
		return yield(co, FRAME());
	return sleep_until(co, abs, FRAME());
}

FRAMED int co_yield_now(void)
{
	struct co *co = whorl__self();

	if (WHORL__UNLIKELY(!co))
		return whorl__misplaced(SITE());
	return yield(co, FRAME());
}

enum { CHECKPOINTS = 64 };	/* one of so many reads the clock */

FRAMED int co_checkpoint(void)
{
	struct co *co = whorl__suspender(SITE());

	if (!co)
		return -EPERM;
	whorl__check_frames(co, FRAME());
	if (co->checkpoints++ % CHECKPOINTS == 0)
		whorl__expire(co, scope_tick(whorl__clock(co->loop)));
	if (co->scope->effective)
		return whorl__cancelled(co);
	co->ignored = 0;
	return 0;
}
