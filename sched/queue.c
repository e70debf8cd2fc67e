/* The rooms of the run queue: see queue.h. */
#include "queue.h"

enum { FIRST_ROOM = 64 };

/* Twice the room, or the first. */
static int grow(struct co_loop *l, struct ring *r)
{
	size_t old = r->at ? r->mask + 1 : 0, room = old ? 2 * old : FIRST_ROOM, n = 0;
	struct co **at = whorl__alloc(l, room * sizeof *at);

	if (!at)
		return -ENOMEM;
	while (r->head != r->tail)
		at[n++] = r->at[r->head++ & r->mask];
	whorl__free(l, r->at, old * sizeof *at);
	*r = (struct ring){ .at = at, .mask = room - 1, .tail = n, .members = r->members };
	return 0;
}

int whorl__queue_join(struct co_loop *l, int priority)
{
	struct ring *r = &l->ready.level[level_of(priority)];
	int rc = 0;

	if (!r->at || r->members > r->mask)
		rc = grow(l, r);
	if (rc == 0)
		r->members++;
	return rc;
}

void whorl__queue_leave(struct co_loop *l, int priority)
{
	l->ready.level[level_of(priority)].members--;
}

void whorl__queue_free(struct co_loop *l)
{
	for (unsigned n = 0; n < LEVELS; n++) {
		struct ring *r = &l->ready.level[n];

		whorl__free(l, r->at, (r->mask + 1) * sizeof *r->at);
	}
}
