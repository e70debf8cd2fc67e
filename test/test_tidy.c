/* Memory goes back after a burst, by itself; a load that comes and goes pays nothing for it; and
 * what went is as dead as it was before: references of the burst are stale, what lives is whole. */
#define _GNU_SOURCE 1
#include <alloca.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <whorl/co.h>

#include "suite.h"

/* System calls about memory, counted; and what is mapped by them. */
static size_t calls, mapped;
static bool no_arenas; /* a huge page is not to be had */

enum { ARENA = 2 << 20 };

static size_t pages(size_t length)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (length + page - 1) / page * page;
}

/* Arenas that are huge pages now, and how many there were in all; and how often memory went from
 * the middle of one, which khugepaged would fill up again. */
static struct {
	uintptr_t at[64];
	size_t count, all, torn;
} huge;

static void forget_huge(uintptr_t at, size_t length)
{
	for (size_t i = 0; i < huge.count;)
		if (huge.at[i] - at < length)
			huge.at[i] = huge.at[--huge.count];
		else
			i++;
}

static void watch_huge(uintptr_t at, size_t length, int advice)
{
	if (advice == MADV_HUGEPAGE && length == ARENA && huge.count < 64) {
		huge.at[huge.count++] = at;
		huge.all++;
	} else if (advice == MADV_NOHUGEPAGE) {
		forget_huge(at, length);
	} else if (advice == MADV_DONTNEED) {
		for (size_t i = 0; i < huge.count; i++)
			huge.torn += at - huge.at[i] < ARENA;
	}
}

void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset)
{
	calls++;
	if (no_arenas && length == 2 * ARENA) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	at = (void *)syscall(SYS_mmap, at, length, protection, flags, fd, offset);
	if (at != MAP_FAILED && !(flags & MAP_FIXED)) /* that is in place of something */
		mapped += pages(length);
	return at;
}

int munmap(void *at, size_t length)
{
	calls++;
	mapped -= pages(length);
	forget_huge((uintptr_t)at, length);
	return (int)syscall(SYS_munmap, at, length);
}

int madvise(void *at, size_t length, int advice)
{
	calls++;
	watch_huge((uintptr_t)at, length, advice);
	return (int)syscall(SYS_madvise, at, length, advice);
}

static time_t ahead; /* s, of a clock that raw coroutines use */

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, clock, ts);

	if (clock == CLOCK_MONOTONIC_COARSE)
		ts->tv_sec += ahead;
	return rc;
}

/* ---------------------------------------------------------------------------------- measures */

static size_t live_bytes; /* of the runtime's own */

/* One that gives back what is large. */
static void *counted_alloc(size_t size, void *ctx)
{
	void *ptr;

	(void)ctx;
	live_bytes += size;
	if (size < 16384 || SANITIZED)
		return malloc(size);
	ptr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return ptr != MAP_FAILED ? ptr : NULL;
}

static void counted_free(void *ptr, size_t size, void *ctx)
{
	(void)ctx;
	live_bytes -= size;
	if (size < 16384 || SANITIZED)
		free(ptr);
	else
		munmap(ptr, size);
}

static size_t resident(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long total, pages = 0;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%lu %lu", &total, &pages), 2);
	fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void run(co_fn *fn, void *arg, const struct co_options *opt)
{
	int code = -1;

	ck_assert_int_eq(co_run(fn, arg, opt, &code), 0);
	ck_assert_int_eq(code, 0);
}

/* ------------------------------------------------------------------------------------- bursts */

static size_t many(void)
{
	return SANITIZED ? 2000 : suite_long() ? 50000 : 20000;
}

static int sleeps(void *arg)
{
	(void)arg;
	return co_sleep(CO_SEC(1));
}

static void spawn_all(co_ref *refs, size_t n, const struct co_attr *attr)
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (size_t i = 0; i < n; i++)
		if (co_spawn_with(&g, sleeps, NULL, &refs[i], attr) != 0)
			ck_abort_msg("no room for %zu", i);
	ck_assert_int_eq(co_group_end(&g, 0), 0);
}

static void all_are_stale(const co_ref *refs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (co_cancel(refs[i], 0) != -ESRCH || co_name(refs[i]) != NULL ||
		    co_stack_used(refs[i]) != 0)
			ck_abort_msg("reference %zu is not stale", i);
}

struct floor {
	size_t rss, bytes;
};

/* What is left: of stacks as much as the library keeps, 1 MiB of those that were used, and what is
 * known of the others; the run queue's and the control blocks' table. */
static void near_the_floor(const struct floor *f, size_t n)
{
	if (!SANITIZED)
		ck_assert_uint_le(resident(), f->rss + ((size_t)2 << 20) + n * 2);
	ck_assert_uint_le(live_bytes, f->bytes + ((size_t)64 << 10) + n * 2);
}

static int two_bursts(void *attr)
{
	size_t n = many();
	co_ref *refs = calloc(n, sizeof(*refs)), *later = calloc(n, sizeof(*later));
	struct floor floor;

	ck_assert(refs != NULL && later != NULL);
	memset(refs, 1, n * sizeof(*refs));
	memset(later, 1, n * sizeof(*later));
	ck_assert_int_eq(co_sleep(CO_SEC(20)), 0);
	floor = (struct floor){ resident(), live_bytes };

	spawn_all(refs, n, attr);
	ck_assert_int_eq(co_sleep(CO_SEC(3)), 0); /* too early */
	if (!SANITIZED)
		ck_assert_uint_ge(resident(), floor.rss + n * 1700);
	ck_assert_uint_ge(live_bytes, floor.bytes + n * 300);
	ck_assert_int_eq(co_sleep(CO_SEC(8)), 0);
	near_the_floor(&floor, n);
	all_are_stale(refs, n);

	spawn_all(later, n, attr);
	for (size_t i = 0; i < n; i++)
		for (size_t k = i; k < n && k < i + 3; k++)
			ck_assert(later[i].id != refs[k].id);
	all_are_stale(refs, n);
	all_are_stale(later, n);
	ck_assert_int_eq(co_sleep(CO_SEC(11)), 0);
	near_the_floor(&floor, n);
	all_are_stale(refs, n);
	all_are_stale(later, n);
	free(refs);
	free(later);
	return 0;
}

static struct co_options counting = { .clock = CO_CLOCK_VIRTUAL,
				      .alloc = { counted_alloc, counted_free, NULL } };

START_TEST(a_burst_goes_back)
{
	struct co_attr ordinary = { .flags = 0 };

	run(two_bursts, &ordinary, &counting);
	ck_assert_uint_eq(live_bytes, 0);
}
END_TEST

START_TEST(a_burst_on_small_stacks_goes_back)
{
	struct co_attr small = { .stack_size = 1024, .flags = CO_SMALL_STACK };

	run(two_bursts, &small, &counting);
	ck_assert_uint_eq(live_bytes, 0);
}
END_TEST

/* The same with the allocator that nobody chose: so many are partly in huge pages. */
static int one_burst(void *arg)
{
	size_t n = many();
	co_ref *refs = calloc(n, sizeof(*refs));
	struct co_attr ordinary = { .flags = 0 };
	size_t floor;

	(void)arg;
	ck_assert_ptr_nonnull(refs);
	memset(refs, 1, n * sizeof(*refs));
	floor = resident();
	spawn_all(refs, n, &ordinary);
	ck_assert_int_eq(co_sleep(CO_SEC(11)), 0);
	if (!SANITIZED)
		ck_assert_uint_le(resident(), floor + ((size_t)2 << 20) + n * 4);
	free(refs);
	return 0;
}

START_TEST(a_burst_goes_back_through_malloc)
{
	struct co_options opt = { .clock = CO_CLOCK_VIRTUAL };

	run(one_burst, NULL, &opt);
}
END_TEST

/* ------------------------------------------------------------------------------ who stays */

static size_t whole; /* of those that stayed */

/* Keeps what it had on its stack over three minutes. */
static int stays(void *arg)
{
	unsigned char mine[500];
	int rc = 0;

	memset(mine, (int)(intptr_t)arg, sizeof(mine));
	for (int i = 0; i < 9 && rc == 0; i++) {
		rc = co_sleep(CO_SEC(20));
		for (size_t k = 0; k < sizeof(mine); k++)
			rc = mine[k] == (unsigned char)(intptr_t)arg ? rc : -EIO;
	}
	whole += rc == 0;
	return rc;
}

static int some_stay(void *attr)
{
	size_t n = many() * 3 / 4, stayed = 0;
	size_t floor = resident();
	co_ref ref, *last = calloc(n, sizeof(*last));
	co_group all;

	ck_assert_ptr_nonnull(last);
	co_group_begin(&all, CO_GROUP_FAIL_FAST);
	for (int burst = 0; burst < 3; burst++) {
		for (size_t i = 0; i < n; i++) {
			bool one = i % 1000 == 77;

			stayed += one;
			if (co_spawn_with(&all, one ? stays : sleeps, (void *)i, one ? &ref : NULL,
					  attr) != 0)
				ck_abort_msg("no room");
			if (one)
				last[stayed - 1] = ref;
		}
		ck_assert_int_eq(co_sleep(CO_SEC(20)), 0);
	}
	if (!SANITIZED) /* 8 KiB of a stack and 32 of control blocks each */
		ck_assert_uint_le(resident(),
				  floor + ((size_t)2 << 20) + stayed * ((size_t)48 << 10) + n * 4);
	for (size_t i = 0; i < stayed; i++)
		ck_assert_ptr_nonnull(co_name(last[i]));
	ck_assert_int_eq(co_group_end(&all, 0), 0);
	ck_assert_uint_eq(whole, stayed);
	all_are_stale(last, stayed);
	free(last);
	return 0;
}

START_TEST(who_stays_is_whole)
{
	struct co_options opt = { .clock = CO_CLOCK_VIRTUAL };
	struct co_attr ordinary = { .flags = 0 };

	run(some_stay, &ordinary, &opt);
	ck_assert(huge.all > 0 || SANITIZED);
	ck_assert_uint_eq(huge.torn, 0);
	ck_assert_uint_eq(huge.count, 0);
}
END_TEST

START_TEST(who_stays_on_a_small_stack_is_whole)
{
	struct co_options opt = { .clock = CO_CLOCK_VIRTUAL };
	struct co_attr small = { .stack_size = 4096, .flags = CO_SMALL_STACK };

	run(some_stay, &small, &opt);
}
END_TEST

static int bursts_in_arenas(void *attr)
{
	size_t n = many(), first;
	co_ref *refs = calloc(n, sizeof(*refs));

	ck_assert_ptr_nonnull(refs);
	spawn_all(refs, n, attr);
	first = huge.count;
	ck_assert(first > 0 || SANITIZED);
	ck_assert_int_eq(co_sleep(CO_SEC(20)), 0);
	ck_assert_uint_eq(huge.count, 0);
	spawn_all(refs, n, attr);
	ck_assert_uint_eq(huge.count, first);
	free(refs);
	return 0;
}

START_TEST(each_burst_has_huge_pages)
{
	struct co_options opt = { .clock = CO_CLOCK_VIRTUAL };
	struct co_attr ordinary = { .flags = 0 };

	run(bursts_in_arenas, &ordinary, &opt);
}
END_TEST

/* Where there was no huge page at first, some of its chunks are elsewhere when there is. */
static int arenas_come_late(void *attr)
{
	size_t n = many() * 3 / 4, stayed = 0;
	co_ref *refs = calloc(n, sizeof(*refs));
	co_group all;

	ck_assert_ptr_nonnull(refs);
	co_group_begin(&all, CO_GROUP_FAIL_FAST);
	no_arenas = true;
	for (size_t i = 0; i < n; i++) {
		bool one = i % 1000 == 77;

		stayed += one;
		if (co_spawn_with(&all, one ? stays : sleeps, (void *)i, NULL, attr) != 0)
			ck_abort_msg("no room");
	}
	ck_assert_int_eq(co_sleep(CO_SEC(20)), 0);
	no_arenas = false;
	spawn_all(refs, n, attr);
	ck_assert_int_eq(co_group_end(&all, 0), 0);
	ck_assert_uint_eq(whole, stayed);
	ck_assert_int_eq(co_sleep(CO_SEC(20)), 0);
	all_are_stale(refs, n);
	free(refs);
	return 0;
}

START_TEST(arenas_that_come_late_are_told_from_what_is_there)
{
	struct co_options opt = { .clock = CO_CLOCK_VIRTUAL };
	struct co_attr ordinary = { .flags = 0 };
	size_t before = mapped;

	run(arenas_come_late, &ordinary, &opt);
	ck_assert_uint_eq(mapped, before);
}
END_TEST

/* --------------------------------------------------------------------------- a load that varies */

static int lives_for(void *seconds)
{
	return co_sleep((co_ns)(intptr_t)seconds * CO_MS(100));
}

/* Each tenth of a second some come that stay for up to 2 s: some 1500 at a time, and none at the
 * turn of each four seconds. */
static void a_minute(co_group *g)
{
	uint64_t dice = 5;

	for (int tenth = 0; tenth < 600; tenth++) {
		int come = tenth % 40 < 20 ? 100 + (int)(suite_random(&dice) % 50) : 0;

		for (int i = 0; i < come; i++)
			ck_assert_int_eq(co_spawn(g, lives_for,
						  (void *)(intptr_t)(suite_random(&dice) % 20),
						  NULL),
					 0);
		ck_assert_int_eq(co_sleep(CO_MS(100)), 0);
	}
}

static int varies(void *arg)
{
	co_group g;
	size_t before, bytes;

	(void)arg;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	a_minute(&g);
	before = calls;
	bytes = live_bytes;
	a_minute(&g); /* the very same load */
	ck_assert_uint_eq(calls, before);
	ck_assert_uint_eq(live_bytes, bytes);
	return co_group_end(&g, 0);
}

START_TEST(a_load_that_varies_costs_no_system_call)
{
	if (!SANITIZED) /* they map as they like */
		run(varies, NULL, &counting);
}
END_TEST

/* ----------------------------------------------------------------- a loop that has nothing else to do */

static co_ns injected;

static co_ns read_injected(void *ctx)
{
	(void)ctx;
	return injected;
}

static int spawns_many(void *arg)
{
	co_ref *refs = calloc(2000, sizeof(*refs));
	const struct co_attr ordinary = { .flags = 0 };

	spawn_all(refs, 2000, &ordinary);
	free(refs);
	return arg != NULL;
}

static void turn(co_loop *l)
{
	int passes = 0;

	while (co_loop_run_once(l) > 0)
		ck_assert_int_lt(passes++, 100000);
}

/* It wishes to be woken for it, does it in many small steps, and then has peace. */
START_TEST(a_loop_that_waits_is_woken_for_it)
{
	struct co_options opt = counting;
	size_t floor, wakes = 0;
	co_ns rest;
	co_loop *l;

	opt.clock = CO_CLOCK_MONOTONIC;
	opt.now = read_injected;
	injected = CO_SEC(1000);
	ck_assert_int_eq(co_loop_open(&l, &opt), 0);
	turn(l);
	floor = resident();
	ck_assert_int_eq(co_loop_spawn(l, spawns_many, NULL), 0);
	turn(l);
	injected += CO_SEC(1);
	turn(l);
	ck_assert_uint_eq(co_loop_live(l), 0);
	while ((rest = co_loop_timeout(l)) != CO_FOREVER) {
		ck_assert_int_le(rest, CO_SEC(5));
		ck_assert_int_gt(rest, 0);
		injected += rest;
		turn(l);
		ck_assert_uint_lt(wakes++, 4);
	}
	ck_assert_uint_ge(wakes, 1);
	if (!SANITIZED)
		ck_assert_uint_le(resident(), floor + ((size_t)2 << 20));
	ck_assert_int_eq(co_loop_close(l), 0);
	ck_assert_uint_eq(live_bytes, 0);
}
END_TEST

/* A deadlock is seen at once all the same. */
static int returns(void *arg)
{
	return arg != NULL;
}

static int waits_for_nobody(void *arg)
{
	co_group g;

	(void)arg;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 200; i++)
		ck_assert_int_eq(co_spawn(&g, returns, NULL, NULL), 0);
	ck_assert_int_eq(co_group_end(&g, 0), 0);
	return co_sleep(CO_FOREVER);
}

static void say_nothing(enum co_report kind, const char *text, const void *site, void *ctx)
{
	(void)kind;
	(void)text;
	(void)site;
	(void)ctx;
}

START_TEST(a_deadlock_does_not_wait_for_it)
{
	struct co_options opt = counting;

	opt.clock = CO_CLOCK_MONOTONIC;
	opt.now = read_injected; /* which stands */
	opt.on_report = say_nothing;
	injected = CO_SEC(1000);
	ck_assert_int_eq(co_run(waits_for_nobody, NULL, &opt, NULL), -EDEADLK);
}
END_TEST

/* ------------------------------------------------------------------------------ raw coroutines */

static void *suspends(void *value)
{
	return co_raw_suspend(value);
}

static void create_and_destroy(size_t n)
{
	struct co_raw **co = calloc(n, sizeof(*co));

	ck_assert_ptr_nonnull(co);
	for (size_t i = 0; i < n; i++) {
		ck_assert_int_eq(co_raw_create(&co[i], suspends, NULL), 0);
		ck_assert_int_eq(co_raw_resume(co[i], NULL, NULL), 1);
	}
	for (size_t i = 0; i < n; i++)
		co_raw_destroy(co[i]);
	free(co);
}

START_TEST(stacks_of_raw_coroutines_go_back_as_others_are_destroyed)
{
	size_t floor, n = SANITIZED ? 500 : 5000;

	create_and_destroy(10);
	floor = resident();
	create_and_destroy(n);
	for (int i = 0; i < 100; i++)
		create_and_destroy(64);
	if (!SANITIZED)
		ck_assert_uint_ge(resident(), floor + n * 4096);
	for (int i = 0; i < 100; i++) {
		ahead += i % 50 == 0 ? 6 : 0;
		create_and_destroy(64);
	}
	if (!SANITIZED)
		ck_assert_uint_le(resident(), floor + ((size_t)2 << 20));
	create_and_destroy(n);
}
END_TEST

/* Also when each takes the stack that its thread has at hand. */
START_TEST(stacks_of_raw_coroutines_go_back_as_one_is_destroyed_again_and_again)
{
	size_t floor, n = SANITIZED ? 500 : 5000;

	create_and_destroy(10);
	floor = resident();
	create_and_destroy(n);
	if (!SANITIZED)
		ck_assert_uint_ge(resident(), floor + n * 4096);
	for (int i = 0; i < 100 * 64; i++) {
		ahead += i % (50 * 64) == 0 ? 6 : 0;
		create_and_destroy(1);
	}
	if (!SANITIZED)
		ck_assert_uint_le(resident(), floor + ((size_t)2 << 20));
}
END_TEST

SUITE("tidy", a_burst_goes_back, a_burst_on_small_stacks_goes_back,
      a_burst_goes_back_through_malloc, who_stays_is_whole, who_stays_on_a_small_stack_is_whole,
      each_burst_has_huge_pages, arenas_that_come_late_are_told_from_what_is_there,
      a_load_that_varies_costs_no_system_call, a_loop_that_waits_is_woken_for_it,
      a_deadlock_does_not_wait_for_it,
      stacks_of_raw_coroutines_go_back_as_others_are_destroyed,
      stacks_of_raw_coroutines_go_back_as_one_is_destroyed_again_and_again)
