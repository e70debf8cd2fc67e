/* Parking: the one way in which a coroutine stops, and the ways in which it is woken.
 *
 * Whoever waits, on whatever, does three things: describes the wait in its control block
 * (whorl__wait_for), stands in the line of what it waits for, if there is one, and parks. One of
 * three wakes it, and that one takes it out of the line and fixes the result, so that there is
 * exactly one outcome:
 *
 *	the other side	whorl__wake(co, its result)
 *	its deadline	the result given to wait_for
 *	a cancel	-ECANCELED, unless the waiter is deaf
 *
 * A coroutine has one timer for its operation and all its scopes, armed for the nearest when it
 * switches out. Waking leaves it armed, so a deadline that only moves later, or that is never
 * reached, costs a store; when the timer fires the coroutine is asked what is due, which may be
 * nothing. */
#include "queue.h"

/* --------------------------------------------------------------------------------------- switch */

/* To the next that is ready, or to the loop. Its place is remembered by fiber: it may be inside a
 * generator.
 *
 * The result is fixed by whoever wakes, so nothing is left to do when it goes on: from here, and
 * from a call that ends with park, the switch is a jump, and it goes on straight in the caller's
 * code (src/core.h). */
static inline int switch_to(struct co *next)
{
	if (next->on == whorl__fiber_current)
		return next->rc;
	return whorl__fiber_switch_int(next->on, whorl__resume_value(next));
}

static __attribute__((noinline)) int look_ahead_and_switch(const struct ring *crowd,
							   struct co *next)
{
	look_ahead(crowd);
	return switch_to(next);
}

static __attribute__((noinline)) int switch_among_levels(struct co_loop *l)
{
	return switch_to(next_ready(l));
}

static inline int switch_out(struct co *co)
{
	struct co_loop *l = co->loop;
	const struct ring *crowd;
	struct co *next;

	co->on = whorl__fiber_current;
	if (WHORL__LIKELY(l->budget > 0 && l->ready.occupied == 1u << NORMAL)) {
		next = first_of(l, NORMAL, &crowd);
		return WHORL__LIKELY(!crowd) ? switch_to(next) : look_ahead_and_switch(crowd, next);
	}
	return pass_goes_on(l) ? switch_among_levels(l) : whorl__fiber_switch_int(l->on, NULL);
}

/* --------------------------------------------------------------------------------------- timers */

/* With slack up to the last instant there is at the most: CO_FOREVER never comes. */
static __attribute__((noinline)) void arm_at(struct co *co, uint64_t tick)
{
	struct co_loop *l = co->loop;
	uint64_t slack = op_tick(l->opt.slack), most = scope_tick(CO_FOREVER - 1) - tick;

	co->tick = tick;
	if (tick == TICK_NEVER)
		wheel_disarm(&l->wheel, &co->timer);
	else
		wheel_arm_slack(&l->wheel, &co->timer, tick, slack < most ? slack : most);
}

static inline uint64_t next_deadline(const struct co *co)
{
	if (co->state == STATE_PARKED && co->wait.tick < co->nearest)
		return co->wait.tick;
	return co->nearest;
}

/* A timer that fires before `tick` does no harm; one that fires for nothing does, as the virtual
 * clock would jump there. */
static inline bool must_arm(const struct co *co, uint64_t tick)
{
	return tick < co->tick || (tick == TICK_NEVER && tick != co->tick);
}

void whorl__arm(struct co *co)
{
	uint64_t tick = next_deadline(co);

	if (must_arm(co, tick))
		arm_at(co, tick);
}

static __attribute__((noinline)) int arm_and_switch(struct co *co, uint64_t tick)
{
	arm_at(co, tick);
	return switch_out(co);
}

/* The scope that has the nearest deadline. */
static struct node *due_scope(struct co *co)
{
	struct node *n = co->scope;

	while (n->cause || scope_tick(n->deadline) > co->nearest)
		n = n->parent;
	return n;
}

void whorl__expire(struct co *co, uint64_t tick)
{
	uint64_t next;

	while ((next = next_deadline(co)) <= tick)
		if (next == co->nearest) {
			whorl__cancel(due_scope(co), CO_CAUSE_DEADLINE, 0, NULL);
		} else {
			queue_warm(&co->loop->ready, co);
			whorl__wake(co, co->rc);
		}
}

/* -------------------------------------------------------------------------------- park and wake */

int whorl__park(struct co *co)
{
	uint64_t tick;

	co->state = STATE_PARKED;
	co->patience = PATIENCE;
	co->checkpoints = 0;
	tick = next_deadline(co);
	if (tick != co->tick) /* exactly: a waking too many would be seen */
		return arm_and_switch(co, tick);
	return switch_out(co);
}

void whorl__wake(struct co *co, int result)
{
	wake_plain(co, result);
	if (co->wait.leave)
		co->wait.leave(co, result);
}

void whorl__interrupt(struct co *co)
{
	if (co->state == STATE_PARKED && !co->wait.deaf) {
		co->ignored++;
		whorl__wake(co, -ECANCELED);
	} else if (co->state == STATE_YIELDED) {
		co->ignored++;
		co->rc = -ECANCELED;
	}
}

/* Its scopes' deadlines count while it waits for its turn. */
static inline int requeue(struct co *co, enum co_state state)
{
	uint64_t tick = co->nearest;

	co->patience = PATIENCE;
	co->state = (unsigned char)state;
	queue_push(&co->loop->ready, co);
	if (WHORL__UNLIKELY(must_arm(co, tick)))
		return arm_and_switch(co, tick);
	return switch_out(co);
}

static __attribute__((noinline)) int yield_cancelled(struct co *co)
{
	co->rc = whorl__cancelled(co);
	return requeue(co, STATE_YIELDED);
}

int whorl__yield(struct co *co)
{
	if (WHORL__UNLIKELY(co->scope->effective))
		return yield_cancelled(co);
	co->ignored = 0;
	co->rc = 0;
	return requeue(co, STATE_YIELDED);
}

/* -------------------------------------------------------------------------- cancellation points */

enum { STORM = 10000 };

int whorl__cancelled(struct co *co)
{
	if (++co->ignored >= STORM && !co->stormed) {
		co->stormed = true;
		whorl__report(co->loop, CO_REPORT_STORM, co->fiber.site,
			      "cancel storm: coroutine '%s' ignored -ECANCELED %d times in a row",
			      whorl__name(co), STORM);
	}
	return -ECANCELED;
}

/* Every PATIENCE points that did not block, the loop looks at everything and the others get their
 * turn: so a loop around an operation that is always ready, or one that ignores -ECANCELED, delays
 * nobody for long. */
int whorl__point_slow(struct co *co, const void *frame)
{
	whorl__check_frames(co, frame);
	if (co->patience < 0 || --co->patience < 0) { /* negative: counted already */
		co->loop->budget = 0;
		requeue(co, STATE_READY);
	}
	if (co->scope->effective)
		return whorl__cancelled(co);
	co->ignored = 0;
	return 0;
}
