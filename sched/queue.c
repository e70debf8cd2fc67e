/* The room of the run queue: see queue.h. */
#include "queue.h"

enum { FIRST_ROOM = 64 };

int whorl__queue_grow(struct co_loop *l, struct ring *r)
{
	size_t room = r->room ? 2 * r->room : FIRST_ROOM, n = 0;
	struct co **at = whorl__alloc(l, room * sizeof *at);

	if (!at)
		return -ENOMEM;
	while (r->head != r->tail)
		at[n++] = r->at[r->head++ & r->mask];
	whorl__free(l, r->at, r->room * sizeof *at);
	r->at = at;
	r->room = room;
	r->mask = room - 1;
	r->head = 0;
	r->tail = n;
	return 0;
}

void whorl__queue_free(struct co_loop *l)
{
	for (unsigned n = 0; n < LEVELS; n++) {
		struct ring *r = &l->ready.level[n];

		whorl__free(l, r->at, r->room * sizeof *r->at);
	}
}
