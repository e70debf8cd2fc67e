/* What a burst has left goes back to the system, when nobody has needed it for a while.
 *
 * Time is divided into periods of PERIOD. As many stacks and control blocks are kept as were in use
 * at one time in this period or the one before, a quarter more, and a few: so a load that comes and
 * goes within a period pays nothing, and what has been idle for one to two of them goes. Stacks are
 * the pool's affair (src/stack.c), rings of the run queue are made smaller in one go. It is done in
 * steps of some 130 us, one in each pass of the loop, so that nobody is late; a loop that waits is
 * woken for it.
 *
 * Control blocks can only go by the chunk. When there are too many, the free ones are sorted into
 * their chunks, and the chunks all of whose blocks are there are freed. (Nodes of scopes and groups
 * are not: what refers to them has no place and generation, but an address.) */
#include "queue.h"

#define PERIOD CO_SEC(5)
enum { STEP = 256, SWEEP = 4096, FEW = 2 * CHUNK };

/* ------------------------------------------------------------------------------- control blocks */

static size_t kept(const struct co_loop *l)
{
	size_t peak = whorl__stack_pool_peak(&l->stacks);

	return peak + peak / 4 + FEW;
}

/* Some free blocks to their chunks. */
static void sort(struct co_loop *l)
{
	struct co *co;

	for (unsigned n = STEP; n > 0 && (co = l->free) != NULL; n--) {
		size_t i = co->index / PLACES;
		struct chunk *c = &l->chunks[i];

		l->free = co->next;
		co->next = c->idle;
		c->idle = co;
		c->idle_count++;
		l->sorted++;
		if (i < l->first_sorted)
			l->first_sorted = i;
	}
	l->sorting = l->free != NULL;
}

/* Looks at some chunks, the last ones first. */
static void sweep(struct co_loop *l)
{
	unsigned looked = 0, freed = 0;

	for (; l->unswept > 0 && looked < SWEEP && freed < STEP / CHUNK; looked++) {
		l->unswept--;
		if (l->blocks < kept(l) + CHUNK)
			l->unswept = 0;
		else if (l->chunks[l->unswept].idle_count == CHUNK) {
			whorl__chunk_free(l, l->unswept);
			freed++;
		}
	}
	if (l->unswept == 0)
		whorl__queue_fit(l, kept(l));
}

/* ---------------------------------------------------------------------------------------- steps */

static void next_period(struct co_loop *l)
{
	whorl__stack_pool_next_period(&l->stacks);
	if (l->blocks < kept(l) + CHUNK)
		return;
	l->sorting = true;
	l->unswept = l->chunk_count;
}

/* True: there is more to do. */
static bool step(struct co_loop *l)
{
	if (l->sorting)
		sort(l);
	else if (l->unswept > 0)
		sweep(l);
	else
		return whorl__stack_pool_trim(&l->stacks);
	return true;
}

/* Virtual time can wait for all of it. */
void whorl__tidy(struct co_loop *l)
{
	bool more;

	for (int n = 0; n < 2 && l->now >= l->period_end; n++) {
		next_period(l);
		l->period_end = sat_add(l->period_end, PERIOD);
	}
	if (l->now >= l->period_end)
		l->period_end = sat_add(l->now, PERIOD);
	do
		more = step(l);
	while (more && l->virtual_clock);
	l->tidy_at = more ? l->now : l->period_end;
}
