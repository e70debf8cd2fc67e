/* The line of those that wait for an object of the user's (struct co_line_ in <whorl/sync.h>): a
 * list of waiters that is good when it is all zero, and remembers which runtime uses it.
 *
 * The calls that wait are all of one shape. The caller approaches: it looks for a cancel, and makes
 * the line its runtime's. What can be had at once it takes. Else it describes the wait
 * (whorl__wait_for), with what more it carries, and stands in line. The other side wakes the first
 * in line, as long as it has something for it. */
#ifndef WHORL_SCHED_LINE_H
#define WHORL_SCHED_LINE_H

#include "sched.h"

static inline struct link *line_of(struct co_line_ *line)
{
	_Static_assert(offsetof(struct co_line_, next_) == offsetof(struct link, next), "a link");
	_Static_assert(offsetof(struct co_line_, prev_) == offsetof(struct link, prev), "a link");
	return (struct link *)(void *)line;
}

static inline bool anybody_in(struct co_line_ *line)
{
	return !list_empty(line_of(line));
}

static inline struct waiter *first_in(struct co_line_ *line) /* NULL: there is none */
{
	return first_waiter(line_of(line));
}

static inline void wake_all_in(struct co_line_ *line)
{
	struct waiter *w;

	while ((w = first_in(line)) != NULL)
		whorl__wake(w->co, 0);
}

/* What every call on an object begins with. 0: the line is this runtime's, or, outside, nobody's.
 * -EXDEV after misuse: coroutines of another runtime hold the object or wait for it. */
WHORL__HIDDEN int whorl__claim(struct co_line_ *line, const void *site);

/* The same for a call that may wait, by `co`. NULL, in place of a coroutine or an object: -EPERM,
 * -EINVAL. */
WHORL__HIDDEN int whorl__approach(struct co_line_ *line, struct co *co, const void *frame,
				  const void *site);

/* Parks at the end of the line, unless the deadline has passed, and gives the outcome. */
WHORL__HIDDEN int whorl__stand_in(struct co_line_ *line, struct wait *w);

#endif
