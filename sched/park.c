/* Parking: the one way in which a coroutine stops, and the ways in which it is woken.
 *
 * Whoever waits, on whatever, does three things: describes the wait in a waiter on its own stack
 * (whorl__wait_for), puts that into the list of what it waits for, if there is one, and parks. One
 * of three wakes it, and that one takes the waiter out of its list and fixes the result, so that
 * there is exactly one outcome:
 *
 *	the other side	whorl__wake(w, its result)
 *	its deadline	the result given to wait_for
 *	a cancel	-ECANCELED, unless the waiter is deaf
 *
 * A coroutine has one timer for its operation and all its scopes, armed for the nearest when it
 * switches out. Waking leaves it armed, so a deadline that only moves later, or that is never
 * reached, costs a store; when the timer fires the coroutine is asked what is due, which may be
 * nothing. */
#include "sched.h"

/* ------------------------------------------------------------------------------------ run queue */

void whorl__run_queue_init(struct run_queue *q)
{
	*q = (struct run_queue){ .length = 0 };
	for (unsigned n = 0; n < LEVELS; n++)
		q->end[n] = &q->first[n];
}

void whorl__make_ready(struct co *co)
{
	struct run_queue *q = &co->loop->ready;
	unsigned n = (unsigned)(CO_PRIO_HIGH - co->priority);

	co->state = STATE_READY;
	co->next = NULL;
	*q->end[n] = co;
	q->end[n] = &co->next;
	q->occupied |= 1u << n;
	q->length++;
}

/* FIFO within a level. Of sixteen turns in a row that all levels want, HIGH gets twelve, NORMAL
 * three, LOW one; a turn whose level is empty goes to the highest that is not. So the first of
 * NORMAL waits for seven others at the most, the first of LOW for fifteen, whatever those do. */
static unsigned next_level(struct run_queue *q)
{
	unsigned wanted = 0;

	if (WHORL__UNLIKELY((q->occupied & (q->occupied - 1)) != 0)) {
		q->turn++;
		wanted = q->turn % 16 == 0 ? 2 : q->turn % 4 == 0 ? 1 : 0;
	}
	return q->occupied >> wanted & 1 ? wanted : (unsigned)__builtin_ctz(q->occupied);
}

struct co *whorl__next_ready(struct co_loop *l)
{
	struct run_queue *q = &l->ready;
	struct co *co;
	unsigned n;

	if (!q->occupied || l->budget == 0)
		return NULL;
	n = next_level(q);
	co = q->first[n];
	l->budget--;
	q->first[n] = co->next;
	if (!co->next) {
		q->end[n] = &q->first[n];
		q->occupied &= ~(1u << n);
	}
	q->length--;
	co->state = STATE_RUNNING;
	l->current = co;
	l->stats.switches++;
	return co;
}

/* To the next that is ready, or to the loop. Its place is remembered by fiber: it may be inside a
 * generator. */
static void switch_out(struct co *co)
{
	struct co_loop *l = co->loop;
	struct co *next;

	co->on = whorl__fiber_current;
	next = whorl__next_ready(l);
	if (next == co)
		return;
	if (!next)
		l->current = NULL;
	whorl__fiber_switch(next ? next->on : l->on, NULL);
}

/* --------------------------------------------------------------------------------------- timers */

static void arm_at(struct co *co, uint64_t tick)
{
	struct co_loop *l = co->loop;

	co->tick = tick;
	wheel_arm_slack(&l->wheel, &co->timer, tick, op_tick(l->opt.slack));
}

/* At a park: exactly the nearest of all. */
static void arm_to_park(struct co *co, const struct waiter *w)
{
	uint64_t tick = co->scope->nearest < w->tick ? co->scope->nearest : w->tick;

	if (tick == TICK_NEVER)
		wheel_disarm(&co->loop->wheel, &co->timer);
	else if (!wheel_armed(&co->timer) || tick != co->tick)
		arm_at(co, tick);
}

void whorl__arm(struct co *co)
{
	uint64_t tick = co->scope->nearest;

	if (co->waiter && co->waiter->tick < tick)
		tick = co->waiter->tick;
	if (tick == TICK_NEVER)
		wheel_disarm(&co->loop->wheel, &co->timer);
	else if ((!wheel_armed(&co->timer) || tick < co->tick))
		arm_at(co, tick);
}

/* The scope that has the nearest deadline. */
static struct node *due_scope(struct co *co)
{
	struct node *n = co->scope;

	while (n->cause || scope_tick(n->deadline) > co->scope->nearest)
		n = n->parent;
	return n;
}

void whorl__expire(struct co *co, uint64_t tick)
{
	while (true) {
		struct waiter *w = co->waiter;

		if (w && w->tick <= tick && w->tick < co->scope->nearest)
			whorl__wake(w, w->result);
		else if (co->scope->nearest <= tick)
			whorl__cancel(due_scope(co), CO_CAUSE_DEADLINE, 0, NULL);
		else
			return;
	}
}

/* -------------------------------------------------------------------------------- park and wake */

void whorl__wait_for(struct waiter *w, struct co *co, const char *what, co_ns abs, int at_deadline)
{
	*w = (struct waiter){ .co = co, .tick = op_tick(abs), .result = at_deadline, .what = what,
			      .since = co->loop->latest };
	list_init(&w->link);
}

int whorl__park(struct waiter *w)
{
	struct co *co = w->co;

	co->waiter = w;
	co->state = STATE_PARKED;
	co->streak = co->checkpoints = 0;
	arm_to_park(co, w);
	switch_out(co);
	return w->result;
}

void whorl__wake(struct waiter *w, int result)
{
	list_remove(&w->link);
	w->result = result;
	w->co->waiter = NULL;
	whorl__make_ready(w->co);
	if (w->leave)
		w->leave(w, result);
}

void whorl__yield(struct co *co)
{
	co->streak = 0;
	whorl__arm(co);
	whorl__make_ready(co);
	switch_out(co);
}

void whorl__pass(struct co *co)
{
	co->loop->budget = 0;
	whorl__yield(co);
}

/* -------------------------------------------------------------------------- cancellation points */

enum { STREAK = 64, STORM = 10000 };

static int cancelled(struct co *co)
{
	if (++co->ignored == STORM && !co->stormed) {
		co->stormed = true;
		whorl__report(co->loop, CO_REPORT_STORM, co->fiber.site,
			      "cancel storm: coroutine '%s' ignored -ECANCELED %d times in a row",
			      whorl__name(co), STORM);
	}
	return -ECANCELED;
}

/* Every STREAK points that did not block, the others get their turn: so a loop around an operation
 * that is always ready, or one that ignores -ECANCELED, delays nobody for long. */
int whorl__point(struct co *co, const void *frame)
{
	whorl__check_frames(co, frame);
	if (WHORL__UNLIKELY(++co->streak > STREAK))
		whorl__pass(co);
	if (WHORL__UNLIKELY(co->scope->effective))
		return cancelled(co);
	co->ignored = 0;
	return 0;
}

int whorl__outcome(struct co *co, int rc)
{
	return rc == -ECANCELED ? cancelled(co) : rc;
}
