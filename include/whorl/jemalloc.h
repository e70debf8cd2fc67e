/* whorl/jemalloc.h - an allocator for runtimes: jemalloc, on an arena of its own.
 *
 *	struct co_options opt = { .alloc = co_alloc_jemalloc };
 *
 * It is a library of its own, libwhorl-jemalloc (pkg-config: whorl-jemalloc). libwhorl does not
 * need it and leaves the program's malloc alone; a program that links to libwhorl-jemalloc links to
 * libjemalloc too, and then has its malloc from there. After jemalloc(3), "Non-standard API".
 */
#ifndef WHORL_JEMALLOC_H
#define WHORL_JEMALLOC_H

#include <whorl/co.h>

#if defined(__GNUC__)
#pragma GCC visibility push(default)	/* the library is built with -fvisibility=hidden */
#endif
#ifdef __cplusplus
extern "C" {
#endif

/* Memory of all runtimes that use it comes from one arena, made when the first of them asks and
 * kept for good: apart from the program's other memory, so that neither scatters the other's pages,
 * and to be seen by itself in jemalloc's statistics. Where none can be made (jemalloc has about
 * 4000) it is taken from the program's, with the same promises.
 *
 * alloc: `size` bytes, 0 counts as 1; aligned for any object of that size; NULL if it cannot be
 * had. free: NULL is allowed; `size` is what alloc got. ctx is not used.
 *
 * Threads: all, at once; memory may be freed by another thread than the one that got it. Suspends:
 * no. Cancellation point: no. Cost: one lock of the arena; threads keep no cache of their own in
 * it, since jemalloc's caches do not tell arenas apart. */
extern const struct co_alloc co_alloc_jemalloc;

#ifdef __cplusplus
}
#endif
#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#endif
