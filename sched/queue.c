/* The room of the run queue: see queue.h. */
#include "queue.h"

enum { FIRST_ROOM = 64 };

static int resize(struct co_loop *l, struct ring *r, size_t room)
{
	struct co **at = whorl__alloc(l, room * sizeof *at);
	size_t n = 0;

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

int whorl__queue_grow(struct co_loop *l, struct ring *r)
{
	return resize(l, r, r->room ? 2 * r->room : FIRST_ROOM);
}

void whorl__queue_fit(struct co_loop *l, size_t members)
{
	for (unsigned n = 0; n < LEVELS; n++) {
		struct ring *r = &l->ready.level[n];
		size_t room = FIRST_ROOM;

		while (room < r->members || room < members)
			room *= 2;
		if (r->room > 2 * room)
			resize(l, r, room);	/* without memory it stays as it is */
	}
}

void whorl__queue_free(struct co_loop *l)
{
	for (unsigned n = 0; n < LEVELS; n++) {
		struct ring *r = &l->ready.level[n];

		whorl__free(l, r->at, r->room * sizeof *r->at);
	}
}
