/* The run queue: who is ready, FIFO within each of three levels.
 *
 * Of sixteen turns in a row that all levels want, HIGH gets twelve, NORMAL three, LOW one; a turn
 * whose level is empty goes to the highest that is not. So the first of NORMAL waits for seven
 * others at the most, the first of LOW for fifteen, whatever those do.
 *
 * A level is a ring of pointers, not a list through the control blocks: with a million coroutines
 * each is cold when its turn comes, and a ring tells long before whose turn that will be. Its room
 * is reserved as coroutines begin, so that to be made ready cannot fail. */
#ifndef WHORL_SCHED_QUEUE_H
#define WHORL_SCHED_QUEUE_H

#include "sched.h"

enum { HIGH, NORMAL, LOW, AHEAD = 8 };

static inline unsigned level_of(int priority)
{
	_Static_assert(CO_PRIO_HIGH - CO_PRIO_NORMAL == NORMAL, "levels are priorities downwards");
	return (unsigned)(CO_PRIO_HIGH - priority);
}

static inline void queue_push(struct run_queue *q, struct co *co)
{
	struct ring *r = &q->level[co->level];

	r->at[r->tail++ & r->mask] = co;
	q->occupied |= 1u << co->level;
}

static inline void make_ready(struct co *co)
{
	co->state = STATE_READY;
	queue_push(&co->loop->ready, co);
}

/* whorl__wake of one whose wait has nothing to leave. */
static inline void wake_plain(struct co *co, int result)
{
	list_unlink(&co->wait.waiter.link);
	co->rc = result;
	make_ready(co);
}

static inline unsigned next_level(struct run_queue *q)
{
	unsigned wanted = HIGH;

	if (WHORL__LIKELY(q->occupied == 1u << NORMAL))
		return NORMAL;
	if ((q->occupied & (q->occupied - 1)) != 0) {
		q->turn++;
		wanted = q->turn % 16 == 0 ? LOW : q->turn % 4 == 0 ? NORMAL : HIGH;
	}
	return q->occupied >> wanted & 1 ? wanted : (unsigned)__builtin_ctz(q->occupied);
}

/* Fetches the stack where it goes on, and a little of what it will look at there. (Functions of
 * prefetches alone are dropped by gcc as having no effect, unless they are inlined early.) */
static inline __attribute__((always_inline)) void warm(const struct co *co)
{
	const char *sp = co->on->sp;

	__builtin_prefetch(co->scope);
	for (int line = 0; line < 3; line++)
		__builtin_prefetch(sp + 64 * line);
}

/* Fetches its control block. */
static inline __attribute__((always_inline)) void warm_block(const struct co *co)
{
	for (size_t line = 0; line < offsetof(struct co, fiber.stack.slab); line += 64)
		__builtin_prefetch((const char *)co + line);
}

/* The stacks of those AHEAD to 2 * AHEAD places on, together (look_ahead_in_time tells why); and
 * before that can be, the control blocks of as many behind them. */
static inline __attribute__((always_inline)) void look_ahead(const struct ring *r)
{
	size_t left = r->tail - r->head;

	for (size_t i = AHEAD; i < 3 * AHEAD && i < left; i++) {
		const struct co *co = r->at[(r->head + i) & r->mask];

		if (i < 2 * AHEAD)
			warm(co);
		else
			warm_block(co);
	}
}

static inline bool pass_goes_on(const struct co_loop *l)
{
	return l->budget > 0 && l->ready.occupied;
}

/* It runs next. *crowd: where to look ahead now, or NULL. */
static inline struct co *first_of(struct co_loop *l, unsigned level, const struct ring **crowd)
{
	struct ring *r = &l->ready.level[level];
	struct co *next = r->at[r->head++ & r->mask];
	size_t left = r->tail - r->head;

	l->budget--;
	l->stats.switches++;
	if (left == 0)
		l->ready.occupied &= ~(1u << level);
	next->state = STATE_RUNNING;
	whorl__running = next;
	*crowd = WHORL__UNLIKELY(left > AHEAD) && r->head % AHEAD == 0 ? r : NULL;
	return next;
}

/* Whoever runs next. NULL: none, or the pass is over. */
static inline struct co *next_ready(struct co_loop *l)
{
	const struct ring *crowd;
	struct co *next;

	if (!pass_goes_on(l))
		return NULL;
	next = first_of(l, next_level(&l->ready), &crowd);
	if (crowd)
		look_ahead(crowd);
	return next;
}

/* Of one that was cold and became ready: unless many others run before it, which would drive it out
 * of the cache again. */
static inline __attribute__((always_inline)) void queue_warm(const struct run_queue *q,
							     const struct co *co)
{
	const struct ring *r = &q->level[co->level];

	if (r->tail - r->head < 8 * AHEAD)
		warm(co);
}

static inline size_t queue_length(const struct run_queue *q)
{
	size_t length = 0;

	for (unsigned n = 0; n < LEVELS; n++)
		length += q->level[n].tail - q->level[n].head;
	return length;
}

/* Twice the room, or the first. -ENOMEM. */
WHORL__HIDDEN int whorl__queue_grow(struct co_loop *l, struct ring *r);
WHORL__HIDDEN void whorl__queue_free(struct co_loop *l);
/* Less room, if it is much more than what lives and so many need. */
WHORL__HIDDEN void whorl__queue_fit(struct co_loop *l, size_t members);

/* For a coroutine that begins, and that ends. -ENOMEM. */
static inline int queue_join(struct co_loop *l, unsigned level)
{
	struct ring *r = &l->ready.level[level];
	int rc = r->members < r->room ? 0 : whorl__queue_grow(l, r);

	if (rc == 0)
		r->members++;
	return rc;
}

static inline void queue_leave(struct co_loop *l, unsigned level)
{
	l->ready.level[level].members--;
}

#endif
