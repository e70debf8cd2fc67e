/* The baseline: a heap with the keys in its array and four children a node, ordered by (expires,
 * order of arming) as the wheel is. What is behind the last entry compares as later than all, so
 * the least child is always one of four. What fills a hole sinks to the bottom first and rises from
 * there, as it came from there. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct timer {
	size_t place; /* in the array; 0: not armed */
	uint64_t expires;
};

#include "timers.h"

#define ARITY 4
#define MANY 50000

struct entry {
	uint64_t expires;
	uint64_t seq;
	struct timer *timer;
};

static const struct contender contender = {
	.name = "heap",
	.note = "ours, as a baseline: 4 children, keys in the array, in order",
	.bytes = sizeof(struct timer) + sizeof(struct entry),
};

/* The root is at 1, the children of i at ARITY * (i - 1) + 2 and after. */
static struct entry *heap;
static size_t count;
static uint64_t seq;

static const char *version(void)
{
	return "1";
}

static void open_timers(void)
{
	heap = malloc((timer_count + 1 + ARITY) * sizeof *heap);
	if (!heap)
		abort();
	memset(heap, 0xff, (timer_count + 1 + ARITY) * sizeof *heap);
}

static inline bool armed(struct timer *t)
{
	return t->place != 0;
}

static inline bool less(const struct entry *a, const struct entry *b)
{
	unsigned __int128 x = (unsigned __int128)a->expires << 64 | a->seq;
	unsigned __int128 y = (unsigned __int128)b->expires << 64 | b->seq;

	return x < y;
}

static inline void put(size_t place, const struct entry *e)
{
	heap[place] = *e;
	e->timer->place = place;
}

static inline size_t parent(size_t place)
{
	return (place - 2) / ARITY + 1;
}

static inline void rise(size_t place, const struct entry *e)
{
	while (place > 1 && less(e, &heap[parent(place)])) {
		put(place, &heap[parent(place)]);
		place = parent(place);
	}
	put(place, e);
}

/* A branch, or arithmetic. */
static inline size_t lesser(size_t i, size_t j, bool guess)
{
	bool later = less(&heap[j], &heap[i]);

	if (!guess)
		return i + ((j - i) & -(size_t)later);
	if (later) {
		__asm__ volatile(""); /* stay a branch */
		return j;
	}
	return i;
}

static inline size_t least_child(size_t first, bool guess)
{
	size_t i = lesser(first, first + 1, guess);

	return lesser(i, lesser(first + 2, first + 3, guess), guess);
}

static inline struct entry take_last(void)
{
	struct entry last = heap[count];

	memset(&heap[count--], 0xff, sizeof *heap);
	return last;
}

static inline size_t sink(size_t hole, bool guess)
{
	size_t child;

	while ((child = ARITY * (hole - 1) + 2) <= count) {
		child = least_child(child, guess);
		put(hole, &heap[child]);
		hole = child;
	}
	return hole;
}

/* Fills the hole with e, which was the last. Arithmetic gains a third in a small heap: no branch is
 * mispredicted. In a large one it loses that: a guessed branch goes on to load what is below before
 * the comparison has its operands. */
static void fill_hole(size_t hole, const struct entry *e)
{
	rise(count < MANY ? sink(hole, false) : sink(hole, true), e);
}

static inline void start(struct timer *t, uint64_t expires)
{
	struct entry e = { expires, seq++, t };

	t->expires = expires;
	rise(++count, &e);
}

static inline bool stop(struct timer *t)
{
	size_t place = t->place;
	struct entry last;

	if (place == 0)
		return false;
	t->place = 0;
	last = take_last();
	if (last.timer == t)
		return true;
	if (place > 1 && less(&last, &heap[parent(place)]))
		rise(place, &last);
	else
		fill_hole(place, &last);
	return true;
}

static inline void move(struct timer *t, uint64_t expires)
{
	struct entry e = { expires, seq, t };
	size_t place = t->place, child;

	if (place == 0) {
		start(t, expires);
		return;
	}
	seq++;
	t->expires = expires;
	while ((child = ARITY * (place - 1) + 2) <= count) {
		child = count < MANY ? least_child(child, false) : least_child(child, true);
		if (!less(&heap[child], &e))
			break;
		put(place, &heap[child]);
		place = child;
	}
	put(place, &e);
}

static inline void start_again(struct timer *t, uint64_t period)
{
	start(t, t->expires + period);
}

static inline void set_time(void) {}

static inline struct timer *take(void)
{
	struct timer *t = heap[1].timer;
	struct entry last;

	if (count == 0 || heap[1].expires > now)
		return NULL;
	t->place = 0;
	last = take_last();
	if (count > 0)
		fill_hole(1, &last);
	return t;
}

static inline uint64_t next_expiry(void)
{
	return count ? heap[1].expires : UINT64_MAX;
}
