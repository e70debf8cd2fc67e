/* co_alloc_jemalloc: the runtime's allocator hook on an arena of jemalloc.
 *
 * Guarantees that memory is taken from one arena that nothing else uses, made at the first call on
 * any thread; if that fails, from the arenas of the program. Which of the two is fixed for good in
 * `flags` before anything is allocated, so that every region is freed with the flags it was got
 * with.
 *
 * MALLOCX_TCACHE_NONE: a thread's cache holds regions by size and not by arena. Through it, what is
 * freed here would be handed to malloc, and the other way round. */
#include <jemalloc/jemalloc.h>
#include <pthread.h>
#include <stddef.h>
#include <whorl/jemalloc.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int flags = MALLOCX_TCACHE_NONE;		/* written by `once` only */

static void make_arena(void)
{
	unsigned arena;
	size_t size = sizeof(arena);

	if (mallctl("arenas.create", &arena, &size, NULL, 0) == 0)
		flags |= MALLOCX_ARENA(arena);
}

static size_t at_least_one(size_t size)
{
	return size != 0 ? size : 1;		/* mallocx(0) is undefined */
}

static void *arena_alloc(size_t size, void *ctx)
{
	(void)ctx;
	pthread_once(&once, make_arena);
	return mallocx(at_least_one(size), flags);
}

static void arena_free(void *ptr, size_t size, void *ctx)
{
	(void)ctx;
	if (ptr != NULL)
		sdallocx(ptr, at_least_one(size), flags);
}

__attribute__((visibility("default")))
const struct co_alloc co_alloc_jemalloc = { arena_alloc, arena_free, NULL };
