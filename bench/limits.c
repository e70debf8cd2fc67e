/* What the machine allows: N nodes of 32 bytes, the size of a timer, and the least that any queue
 * of timers must do to one of them; N stacks, the least that any scheduler must touch to wake a
 * coroutine; and a reading of the clock. Figures to hold against those of timers and coroutines. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "measure.h"

struct node {
	struct node *next;
	struct node **back;
	uint64_t value[2];
};

#define HEADS 4096 /* lists; about as many as a wheel has */

static struct node *nodes;
static size_t count;
static struct node *heads[HEADS];

static inline size_t any(void)
{
	return below(draw(), count);
}

/* All nodes in one circle of random order (Sattolo's shuffle). */
static void make_circle(void)
{
	for (size_t i = 0; i < count; i++)
		nodes[i].next = &nodes[i];
	for (size_t i = count - 1; i > 0; i--) {
		size_t j = below(draw(), i);
		struct node *next = nodes[i].next;

		nodes[i].next = nodes[j].next;
		nodes[j].next = next;
	}
}

/* One walk: each step waits for the one before. */
static void walk(size_t steps)
{
	struct node *at = nodes;

	for (size_t i = 0; i < steps; i++)
		at = at->next;
	__asm__ volatile("" : : "r"(at));
}

/* Eight walks at once. */
static void walk8(size_t steps)
{
	struct node *at[8];

	for (int j = 0; j < 8; j++)
		at[j] = &nodes[any()];
	for (size_t i = 0; i < steps / 8; i++)
		for (int j = 0; j < 8; j++)
			at[j] = at[j]->next;
	for (int j = 0; j < 8; j++)
		__asm__ volatile("" : : "r"(at[j]));
}

static inline void insert(struct node *node, struct node **head)
{
	node->next = *head;
	node->back = head;
	if (node->next)
		node->next->back = &node->next;
	*head = node;
}

static void make_lists(void)
{
	for (size_t i = 0; i < count; i++)
		insert(&nodes[i], &heads[below(draw(), HEADS)]);
}

/* Takes a random node out of its list and puts it at the head of a random one. */
static void move(size_t steps)
{
	for (size_t i = 0; i < steps; i++) {
		uint64_t r = draw();
		struct node *node = &nodes[below(r, count)];

		*node->back = node->next;
		if (node->next)
			node->next->back = node->back;
		insert(node, &heads[r % HEADS]);
	}
}

static void store(size_t steps)
{
	for (size_t i = 0; i < steps; i++)
		nodes[any()].value[0] = i;
}

/* Cold stacks: a line of a block among blocks and two of the top of a stack among stacks, as Whorl
 * has them, the blocks in huge pages: what is woken was linked somewhere, and its registers were
 * saved. In an order that is known ahead, in steps so short that the processor has several at work
 * at once: to fetch ahead gains nothing. */
enum { BLOCK = 368, APART = 132 << 10, LINE = 64 };

static char *blocks, *stacks;
static size_t *turns, turn; /* in random order, and where that has got to */

static void *map(size_t size, int advice)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	madvise(memory, size, advice);
	return memory;
}

static void make_stacks(void)
{
	blocks = map(count * BLOCK, MADV_HUGEPAGE);
	stacks = map(count * APART, MADV_NOHUGEPAGE);
	turns = map(count * sizeof *turns, MADV_HUGEPAGE);
	for (size_t i = 0; i < count; i++) {
		size_t j = below(draw(), i + 1);

		turns[i] = turns[j];
		turns[j] = i;
	}
}

static inline void write_to(char *line)
{
	++*(uint64_t *)(void *)line;
}

/* Tops not all at the same place in their pages: those would share few sets of the cache. */
static void wake(size_t steps)
{
	while (steps-- > 0) {
		size_t i = turns[turn];
		char *top = stacks + i * APART + i % 32 * (2 * LINE);

		write_to(blocks + i * BLOCK);
		write_to(top);
		write_to(top + LINE);
		turn = turn + 1 < count ? turn + 1 : 0;
	}
}

static void read_clock(size_t steps)
{
	struct timespec ts;

	for (size_t i = 0; i < steps; i++)
		clock_gettime(CLOCK_MONOTONIC, &ts);
}

static const struct workload {
	const char *name;
	void (*prepare)(void);
	void (*run)(size_t steps);
} workloads[] = {
	{ "miss", make_circle, walk },
	{ "chains8", make_circle, walk8 },
	{ "list", make_lists, move },
	{ "store", NULL, store },
	{ "stacks", make_stacks, wake },
	{ "clock", NULL, read_clock },
};

static void measure(const struct workload *work)
{
	size_t steps = count < 100000 ? 100000 : count;
	uint64_t began, spent;
	size_t done = 0;

	if (work->prepare)
		work->prepare();
	work->run(steps);
	began = spent_ns();
	do {
		work->run(steps);
		done += steps;
		spent = spent_ns() - began;
	} while (spent < 200 * MS);
	printf("{\"workload\":\"%s\",\"n\":%zu,\"ns\":%.3f}\n", work->name, count,
	       (double)spent / (double)done);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		puts("{\"name\":\"limits\",\"version\":\"1\",\"kind\":\"limits\",\"workloads\":"
		     "[\"miss\",\"chains8\",\"list\",\"store\",\"stacks\",\"clock\"],\"bytes\":32,"
		     "\"note\":\"nodes of 32 bytes\"}");
		return 0;
	}
	count = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	chance = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
	nodes = count ? aligned_alloc(64, (count * sizeof *nodes + 63) & ~(size_t)63) : NULL;
	for (size_t i = 0; nodes && i < sizeof workloads / sizeof *workloads; i++) {
		if (strcmp(workloads[i].name, argv[1]) != 0)
			continue;
		memset(nodes, 0, count * sizeof *nodes);
		measure(&workloads[i]);
		return 0;
	}
	fprintf(stderr, "usage: %s --list | WORKLOAD N [SEED]\n", argv[0]);
	return 2;
}
