/* Control blocks: made by the chunk, and in a list while they are free. (When the memory of a chunk
 * goes back: tidy.c.)
 *
 * To wake one of a crowd the processor waits for its control block, and before that for the page
 * table's entry for it. So the chunks from FIRST_IN_ARENA on lie in arenas, which are huge pages
 * where the kernel gives them, with one entry for thousands of blocks: a wake of a million sleepers
 * on the virtual clock 1.05 to 0.84 us, the CPU of 100 000 on the real one 1.10 to 1.02 s, in turn.
 * When a chunk goes, its arena becomes ordinary memory, or khugepaged would fill it up again; when
 * the last one goes, so does the arena. An allocator of the user's is asked for each chunk. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "queue.h"

enum { PIECE = CHUNK_SIZE, ARENA = 2 << 20, PIECES = ARENA / PIECE };
enum { FIRST_IN_ARENA = 2 * PIECES };	/* then what an arena leaves unused counts little */

/* --------------------------------------------------------------------------------------- arenas */

/* NULL: there is no such memory. */
static char *arena_map(void)
{
	size_t length = 2 * ARENA, before;
	char *at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)at % ARENA;
	if (before > 0)
		munmap(at, before);
	munmap(at + before + ARENA, length - before - ARENA);
	madvise(at + before, ARENA, MADV_HUGEPAGE);
	return at + before;
}

static bool wants_arena(const struct co_loop *l, size_t i)
{
	return i >= FIRST_IN_ARENA && i % PIECES == 0 && !l->chunks[i].arena &&
	       whorl__maps(l, PIECE) && PIECE % sysconf(_SC_PAGESIZE) == 0;
}

/* Chunk i's place in an arena, or NULL. The first of an arena's chunks knows where it is. */
static char *piece(const struct co_loop *l, size_t i)
{
	char *arena = l->chunks[i - i % PIECES].arena;

	return arena ? arena + i % PIECES * PIECE : NULL;
}

/* errno, here and below, is that of whoever runs next. */
static struct co *chunk_alloc(struct co_loop *l, size_t i)
{
	int kept = errno;
	char *at;

	if (wants_arena(l, i))
		l->chunks[i].arena = arena_map();
	at = piece(l, i);
	errno = kept;
	return at ? (struct co *)(void *)at : whorl__alloc(l, CHUNK * sizeof(struct co));
}

static bool in_arena(const struct co_loop *l, size_t i)
{
	return l->chunks[i].at && (char *)l->chunks[i].at == piece(l, i);
}

/* Of the chunks of an arena, chunk i is all there is. */
static bool is_last(const struct co_loop *l, size_t i)
{
	size_t first = i - i % PIECES;

	for (size_t k = first; k < first + PIECES && k < l->chunk_count; k++)
		if (k != i && in_arena(l, k))
			return false;
	return true;
}

static void arena_give_back(struct co_loop *l, size_t i)
{
	char **arena = &l->chunks[i - i % PIECES].arena;
	int kept = errno;

	if (is_last(l, i)) {
		munmap(*arena, ARENA);
		*arena = NULL;
	} else {
		madvise(*arena, ARENA, MADV_NOHUGEPAGE);
		madvise(l->chunks[i].at, PIECE, MADV_DONTNEED);
	}
	errno = kept;
}

static void chunk_release(struct co_loop *l, size_t i)
{
	if (in_arena(l, i))
		arena_give_back(l, i);
	else
		whorl__free(l, l->chunks[i].at, CHUNK * sizeof(struct co));
	l->chunks[i].at = NULL;
}

/* --------------------------------------------------------------------------------------- chunks */

/* One more slot in the table of chunks; it doubles. */
static bool chunk_room(struct co_loop *l)
{
	size_t room = l->chunk_room ? 2 * l->chunk_room : 16;
	struct chunk *chunks;

	if (l->chunk_count < l->chunk_room)
		return true;
	chunks = whorl__alloc(l, room * sizeof *chunks);
	if (!chunks)
		return false;
	if (l->chunk_count > 0)
		memcpy(chunks, l->chunks, l->chunk_count * sizeof *chunks);
	whorl__free(l, l->chunks, l->chunk_room * sizeof *chunks);
	l->chunks = chunks;
	l->chunk_room = room;
	return true;
}

/* The first place of which no chunk is made, old or new; NULL: there is none. */
static struct chunk *chunk_place(struct co_loop *l)
{
	struct chunk *c;

	if (l->blocks < l->chunk_count * CHUNK) {
		while (l->chunks[l->hole].at)
			l->hole++;
		return &l->chunks[l->hole];
	}
	if (l->chunk_count == MOST_CHUNKS || !chunk_room(l))
		return NULL;
	c = &l->chunks[l->chunk_count++];
	*c = (struct chunk){ .gen = l->serial * UINT32_C(2654435769) };	/* its bits are few */
	return c;
}

static bool chunk_add(struct co_loop *l)
{
	struct chunk *c = chunk_place(l);
	size_t n = c ? (size_t)(c - l->chunks) : 0;
	struct co *at = c ? chunk_alloc(l, n) : NULL;

	if (!at)
		return false;
	memset(at, 0, CHUNK * sizeof *at);
	for (unsigned i = CHUNK; i-- > 0;) {
		at[i].loop = l;
		at[i].index = (uint32_t)(n * PLACES + i);
		at[i].gen = c->gen;
		at[i].next = l->free;
		l->free = &at[i];
	}
	c->at = at;
	l->blocks += CHUNK;
	return true;
}

/* What a stale reference needs is remembered: the latest generation that any of its blocks had. */
void whorl__chunk_free(struct co_loop *l, size_t n)
{
	struct chunk *c = &l->chunks[n];
	uint32_t latest = 0;

	for (unsigned i = 0; i < CHUNK; i++)
		if (c->at[i].gen - c->gen > latest)
			latest = c->at[i].gen - c->gen;
	chunk_release(l, n);
	*c = (struct chunk){ .gen = c->gen + latest, .arena = c->arena };
	l->blocks -= CHUNK;
	l->sorted -= CHUNK;
	if (n < l->hole)
		l->hole = n;
}

/* Those that tidy.c has sorted, of the first chunk that has some. */
static void take_sorted(struct co_loop *l)
{
	struct chunk *c;

	while (!l->chunks[l->first_sorted].idle)
		l->first_sorted++;
	c = &l->chunks[l->first_sorted];
	l->free = c->idle;
	l->sorted -= c->idle_count;
	c->idle = NULL;
	c->idle_count = 0;
}

bool whorl__more_blocks(struct co_loop *l)
{
	if (l->sorted == 0)
		return chunk_add(l);
	take_sorted(l);
	return true;
}

void whorl__blocks_free(struct co_loop *l)
{
	for (size_t i = 0; i < l->chunk_count; i++)
		if (!in_arena(l, i))
			chunk_release(l, i);
	for (size_t i = 0; i < l->chunk_count; i += PIECES)
		if (l->chunks[i].arena)
			munmap(l->chunks[i].arena, ARENA);
	whorl__free(l, l->chunks, l->chunk_room * sizeof *l->chunks);
}
