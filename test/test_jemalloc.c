/* co_alloc_jemalloc: memory of an arena of its own, from any thread, back to it, and never a crash.
 *
 * jemalloc itself is the witness: arenas.lookup tells the arena of a pointer, stats.arenas.<i> what
 * is in use there. Each test runs in a process of its own, so each one makes the first call. */
#include <jemalloc/jemalloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <whorl/co.h>
#include <whorl/jemalloc.h>

#include "suite.h"

#define THREADS	4
#define ROUNDS	5000
#define HELD	64			/* regions that a thread holds at once */

static void *get(size_t size)
{
	return co_alloc_jemalloc.alloc(size, co_alloc_jemalloc.ctx);
}

static void put(void *ptr, size_t size)
{
	co_alloc_jemalloc.free(ptr, size, co_alloc_jemalloc.ctx);
}

static unsigned arena_of(void *ptr)
{
	unsigned arena;
	size_t size = sizeof(arena);

	ck_assert_int_eq(mallctl("arenas.lookup", &arena, &size, &ptr, sizeof(ptr)), 0);
	return arena;
}

static size_t figure(unsigned arena, const char *which)
{
	char name[64];
	size_t value, size = sizeof(value);

	snprintf(name, sizeof(name), "stats.arenas.%u.%s.allocated", arena, which);
	ck_assert_int_eq(mallctl(name, &value, &size, NULL, 0), 0);
	return value;
}

/* Bytes in use in the arena, now. */
static size_t in_use(unsigned arena)
{
	uint64_t epoch = 1;

	ck_assert_int_eq(mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch)), 0);
	return figure(arena, "small") + figure(arena, "large");
}

START_TEST(memory_is_of_an_arena_of_its_own)
{
	void *small = get(24), *large = get(1 << 20);
	void *theirs = mallocx(24, 0), *uncached = mallocx(24, MALLOCX_TCACHE_NONE);

	ck_assert_uint_eq(arena_of(small), arena_of(large));
	ck_assert_uint_ne(arena_of(small), arena_of(theirs));
	ck_assert_uint_ne(arena_of(small), arena_of(uncached));
	dallocx(theirs, 0);
	dallocx(uncached, 0);
	put(small, 24);
	put(large, 1 << 20);
}
END_TEST

/* With a thread's cache between, jemalloc would hand it out again at once. */
START_TEST(what_is_freed_stays_in_the_arena)
{
	void *freed[8], *theirs[8];
	int i, k;

	for (i = 0; i < 8; i++)
		freed[i] = get(48);
	for (i = 0; i < 8; i++)
		put(freed[i], 48);
	for (i = 0; i < 8; i++) {
		theirs[i] = mallocx(48, 0);
		for (k = 0; k < 8; k++)
			ck_assert_ptr_ne(theirs[i], freed[k]);
	}
	for (i = 0; i < 8; i++)
		dallocx(theirs[i], 0);
}
END_TEST

START_TEST(size_zero_is_a_region)
{
	char *a = get(0), *b = get(0);

	ck_assert_ptr_nonnull(a);
	ck_assert_ptr_nonnull(b);
	ck_assert_ptr_ne(a, b);
	*a = *b = 1;
	put(a, 0);
	put(b, 0);
}
END_TEST

START_TEST(null_can_be_freed_before_anything_was_had)
{
	void *p;

	put(NULL, 0);
	put(NULL, 100);
	p = get(100);
	ck_assert_uint_eq(in_use(arena_of(p)), sallocx(p, 0));
	put(p, 100);
}
END_TEST

START_TEST(what_cannot_be_had_is_null)
{
	static const size_t absurd[] = { SIZE_MAX, SIZE_MAX / 2, SIZE_MAX - 4095 };
	size_t i;
	void *p;

	for (i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++)
		ck_assert_ptr_null(get(absurd[i]));
	p = get(64);
	ck_assert_ptr_nonnull(p);
	put(p, 64);
}
END_TEST

START_TEST(any_size_is_aligned_for_its_objects)
{
	size_t size, align;
	void *p;

	for (size = 1; size <= 4096; size++) {
		for (align = 1; align * 2 <= size && align < _Alignof(max_align_t); align *= 2)
			;
		p = get(size);
		ck_assert_uint_eq((uintptr_t)p % align, 0);
		memset(p, 0xa5, size);
		put(p, size);
	}
}
END_TEST

START_TEST(all_that_is_freed_is_given_back)
{
	void *p[1000];
	unsigned arena;
	size_t i;

	for (i = 0; i < 1000; i++)
		p[i] = get(i * 37);
	arena = arena_of(p[0]);
	ck_assert_uint_ge(in_use(arena), (size_t)37 * 999 * 1000 / 2);
	for (i = 0; i < 1000; i++)
		put(p[i], i * 37);
	ck_assert_uint_eq(in_use(arena), 0);
}
END_TEST

struct held {
	unsigned char *p;
	size_t size;
};

/* One row of regions per thread; the thread fills one and frees what its neighbour left there. */
static struct held rows[THREADS][HELD];
static pthread_barrier_t together;

static void fill_row(struct held *row, unsigned number, unsigned round)
{
	size_t i, size;

	for (i = 0; i < HELD; i++) {
		size = (i * 131 + round * 17) % 3000;
		row[i].p = get(size);
		row[i].size = size;
		if (row[i].p != NULL)
			memset(row[i].p, (int)number, size);
	}
}

/* How many regions are missing or do not hold what was written. */
static size_t drop_row(struct held *row, unsigned number)
{
	size_t i, k, bad = 0;

	for (i = 0; i < HELD; i++) {
		for (k = 0; row[i].p != NULL && k < row[i].size; k++)
			if (row[i].p[k] != (unsigned char)number)
				break;
		bad += row[i].p == NULL || k < row[i].size;
		put(row[i].p, row[i].size);
	}
	return bad;
}

static void *work(void *arg)
{
	unsigned self = (unsigned)(uintptr_t)arg, next = (self + 1) % THREADS, round;
	size_t bad = 0;

	for (round = 0; round < ROUNDS / HELD; round++) {
		pthread_barrier_wait(&together);
		fill_row(rows[self], self + 1, round);
		pthread_barrier_wait(&together);
		bad += drop_row(rows[next], next + 1);
	}
	return (void *)(uintptr_t)bad;
}

START_TEST(threads_may_use_it_at_once_and_free_for_each_other)
{
	pthread_t threads[THREADS];
	uintptr_t i;
	void *bad, *p;

	ck_assert_int_eq(pthread_barrier_init(&together, NULL, THREADS), 0);
	for (i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, (void *)i), 0);
	for (i = 0; i < THREADS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &bad), 0);
		ck_assert_uint_eq((uintptr_t)bad, 0);
	}
	p = get(1);
	ck_assert_uint_eq(in_use(arena_of(p)), sallocx(p, 0));
	put(p, 1);
}
END_TEST

/* The first call, at a moment when nothing can be mapped: no arena can be made. */
static void call_first_without_memory(void)
{
	struct rlimit none, usual;
	char stack[32768];			/* it must not have to grow meanwhile */
	void *p;

	explicit_bzero(stack, sizeof(stack));
	ck_assert_int_eq(getrlimit(RLIMIT_AS, &usual), 0);
	none = usual;
	none.rlim_cur = 1;
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &none), 0);
	p = get(64);
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &usual), 0);
	put(p, 64);
}

START_TEST(without_an_arena_it_takes_the_programs)
{
	unsigned of_program;
	size_t size = sizeof(of_program);
	void *p, *large;

	ck_assert_int_eq(mallctl("opt.narenas", &of_program, &size, NULL, 0), 0);
	call_first_without_memory();
	p = get(100);
	large = get(1 << 20);
	ck_assert_uint_lt(arena_of(p), of_program);
	ck_assert_uint_lt(arena_of(large), of_program);
	memset(p, 1, 100);
	memset(large, 1, 1 << 20);
	put(p, 100);
	put(large, 1 << 20);
}
END_TEST

struct usage {
	unsigned arena;
	size_t at_work;			/* bytes, while the coroutines sleep */
};

static int nap(void *arg)
{
	(void)arg;
	return co_sleep(CO_MS(1));
}

static int main_on_arena(void *arg)
{
	struct usage *usage = arg;
	co_group g;
	int i, rc = 0;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (i = 0; i < 1000 && rc == 0; i++)
		rc = co_spawn(&g, nap, NULL, NULL);
	usage->at_work = in_use(usage->arena);
	return co_group_end(&g, rc);
}

START_TEST(a_runtime_lives_on_it_and_gives_all_back)
{
	struct co_options opt = { .clock = CO_CLOCK_VIRTUAL, .alloc = co_alloc_jemalloc };
	void *p = get(1);
	struct usage usage = { .arena = arena_of(p) };
	int exit_code = 1;

	put(p, 1);
	ck_assert_int_eq(co_run(main_on_arena, &usage, &opt, &exit_code), 0);
	ck_assert_int_eq(exit_code, 0);
	ck_assert_uint_gt(usage.at_work, 0);
	ck_assert_uint_eq(in_use(usage.arena), 0);
}
END_TEST

SUITE("jemalloc",
      memory_is_of_an_arena_of_its_own,
      what_is_freed_stays_in_the_arena,
      size_zero_is_a_region,
      null_can_be_freed_before_anything_was_had,
      what_cannot_be_had_is_null,
      any_size_is_aligned_for_its_objects,
      all_that_is_freed_is_given_back,
      threads_may_use_it_at_once_and_free_for_each_other,
      without_an_arena_it_takes_the_programs,
      a_runtime_lives_on_it_and_gives_all_back)
