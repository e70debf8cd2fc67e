/* Stacks, their guards and their fallbacks. A white-box test: it includes src/stack.c, with system
 * calls that it can make fail, and sets what that file remembers of the process. */
#define _GNU_SOURCE 1
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void *test_mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset);
static int test_madvise(void *at, size_t length, int advice);
static int test_mprotect(void *at, size_t length, int protection);
static int test_pipe2(int ends[2], int flags);
static long test_sysconf(int name);
#define mmap test_mmap
#define madvise test_madvise
#define mprotect test_mprotect
#define pipe2 test_pipe2
#define sysconf test_sysconf
#include "../src/stack.c"
#undef mmap
#undef madvise
#undef mprotect
#undef pipe2
#undef sysconf

#include "suite.h"

/* ----------------------------------------------------------------------------------- the kernel */

static int calls_left = -1; /* before one fails; negative: none does */
static bool fail_all_after;
static bool holes; /* what is mapped over something else is unmapped, and then refused */
static bool no_huge_pages; /* nor advice about them */
static bool no_descriptors;
static int advice_in_vain = -1; /* >= 0: MADV_GUARD_INSTALL does nothing and gives this errno */
static size_t large_pages;	/* bytes; 0: pages are what they are here */

static bool fails(void)
{
	if (calls_left < 0)
		return false;
	if (calls_left > 0) {
		calls_left--;
		return false;
	}
	if (!fail_all_after)
		calls_left = -1;
	errno = ENOMEM;
	return true;
}

/* A kernel takes nothing else, or takes more of the stack than it was given. */
static void are_pages(const void *at, size_t length)
{
	ck_assert_uint_eq((uintptr_t)at % page_size(), 0);
	ck_assert_uint_eq(length % page_size(), 0);
}

static void *test_mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset)
{
	bool there = (flags & MAP_FIXED) != 0;
	char *map;

	if (there)
		are_pages(at, length);
	if (holes && there) {
		munmap(at, length);
		errno = ENOMEM;
		return MAP_FAILED;
	}
	if (fails())
		return MAP_FAILED;
	map = mmap(at, length + (there ? 0 : large_pages), protection, flags, fd, offset);
	if (there || large_pages == 0 || map == MAP_FAILED)
		return map;
	return map + (large_pages - (uintptr_t)map % large_pages);
}

static int test_madvise(void *at, size_t length, int advice)
{
	are_pages(at, length);
	if (advice == MADV_NOHUGEPAGE && no_huge_pages) {
		errno = EINVAL;
		return -1;
	}
	if (advice == MADV_GUARD_INSTALL && advice_in_vain >= 0) {
		errno = advice_in_vain;
		return errno == 0 ? 0 : -1;
	}
	return fails() ? -1 : madvise(at, length, advice);
}

static int test_mprotect(void *at, size_t length, int protection)
{
	are_pages(at, length);
	return fails() ? -1 : mprotect(at, length, protection);
}

static int test_pipe2(int ends[2], int flags)
{
	if (no_descriptors) {
		errno = EMFILE;
		return -1;
	}
	return fails() ? -1 : pipe2(ends, flags);
}

static long test_sysconf(int name)
{
	return name == _SC_PAGESIZE && large_pages != 0 ? (long)large_pages : sysconf(name);
}

/* The end of what belongs to a stack with a guard. */
static char *upper_end(const struct whorl__stack *stack)
{
	return stack->low + stack->size + WHORL__STACK_RECORD;
}

static int count_maps(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	int c, lines = 0;

	while ((c = getc(file)) != EOF)
		lines += c == '\n';
	fclose(file);
	return lines;
}

/* The signal of which a process dies that writes to this byte; 0: none. */
static int write_to(char *byte)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL); /* not a sanitizer's */
		*(volatile char *)byte = 1;
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* The best that can be had here. */
static enum whorl__guard best_guard(void)
{
	char *at =
		mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool works = madvise(at, page_size(), MADV_GUARD_INSTALL) == 0 && write_to(at) == SIGSEGV;

	munmap(at, page_size());
	return works ? WHORL__GUARD_MADVISE : WHORL__GUARD_MPROTECT;
}

/* --------------------------------------------------------------------------------------- a pool */

#define RECORD 704 /* bytes: some owner's */

static struct whorl__stack_pool pool = { .record = RECORD };

static struct whorl__stack get(size_t size)
{
	struct whorl__stack stack;

	ck_assert_int_eq(whorl__stack_get(&pool, size, 0, &stack), 0);
	return stack;
}

#define AT_LEAST(size) ((size) < smallest(false) ? smallest(false) : (size_t)(size))

/* What the pool knows of its stacks, of which so many are in use, agrees. */
static void count_all(size_t lives)
{
	size_t busy = 0;

	for (unsigned n = 0; n < WHORL__STACK_CLASSES; n++) {
		const struct whorl__stack_class *class = &pool.classes[n];
		size_t of_class = 0;

		for (unsigned slot = 0; slot < WHORL__SLABS; slot++) {
			const struct whorl__slab *slab = class->slab[slot];

			for (uint32_t i = 0; slab != NULL && i < slab->idle_count; i++) {
				of_class += (slab->guard[slab->idle[i]] & COLD) == 0;
				ck_assert(i >= slab->cold_count ||
					  (slab->guard[slab->idle[i]] & COLD) != 0);
			}
			busy += slab != NULL ? slab->fresh - slab->idle_count : 0;
			if (slab != NULL)
				ck_assert_int_eq(class->open >> slab->slot & 1,
						 slab->idle_count > 0 ||
							 slab->fresh < slab->stacks);
		}
		ck_assert_uint_eq(of_class, class->warm);
	}
	ck_assert_uint_eq(busy, lives);
}

START_TEST(sizes_are_rounded_up)
{
	static const struct {
		size_t asked, got;
	} sizes[] = {
		{ 0, 65536 },	    { 1, 16384 },	  { 16384, 16384 },
		{ 16385, 32768 },   { 65536, 65536 },	  { 65537, 131072 },
		{ 100000, 131072 }, { 1 << 20, 1 << 20 }, { 3 << 20, 4 << 20 },
	};
	struct whorl__stack none;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		ck_assert_uint_eq(get(sizes[i].asked).size, AT_LEAST(sizes[i].got));
	ck_assert_int_eq(whorl__stack_get(&pool, usable(WHORL__STACK_CLASSES - 1) + 1, 0, &none),
			 -EINVAL);
	ck_assert_int_eq(whorl__stack_get(&pool, SIZE_MAX, 0, &none), -EINVAL);
}
END_TEST

START_TEST(the_largest_size)
{
	struct whorl__stack stack;

	if (whorl__stack_get(&pool, usable(WHORL__STACK_CLASSES - 1), 0, &stack) == 0) {
		ck_assert_int_eq(write_to(stack.low), 0);
		ck_assert_int_eq(write_to(whorl__stack_top(&stack) - 1), 0);
		whorl__stack_put(&pool, &stack);
	}
	whorl__stack_pool_fini(&pool);
}
END_TEST

START_TEST(the_record_lies_above_what_was_asked_for)
{
	size_t lines = 0;
	bool seen[64] = { false };

	for (int i = 0; i < 1000; i++) {
		struct whorl__stack stack = get(0);
		uintptr_t top = (uintptr_t)whorl__stack_top(&stack);

		ck_assert_uint_eq(top % 64, 0);
		ck_assert_uint_le(top, (uintptr_t)upper_end(&stack));
		ck_assert_uint_ge(top - WHORL__RECORD_MAX, (uintptr_t)stack.low + stack.size);
		lines += !seen[top / 64 % 64];
		seen[top / 64 % 64] = true;
	}
	ck_assert_uint_ge(lines, 8); /* of the 64 sets of a first-level cache */
}
END_TEST

START_TEST(last_in_first_out)
{
	struct whorl__stack a = get(0), b = get(0), c = get(1 << 20);

	whorl__stack_put(&pool, &a);
	whorl__stack_put(&pool, &c);
	whorl__stack_put(&pool, &b);
	ck_assert_ptr_eq(get(0).low, b.low);
	ck_assert_ptr_eq(get(0).low, a.low);
	ck_assert_ptr_eq(get(1 << 20).low, c.low);
	whorl__stack_put(&pool, &b);
	ck_assert_ptr_eq(get(0).low, b.low);
}
END_TEST

START_TEST(stacks_do_not_overlap)
{
	uint64_t seed = suite_seed();
	struct whorl__stack stacks[300];

	for (int i = 0; i < 300; i++) {
		stacks[i] = get((size_t)(suite_random(&seed) % 200000));
		for (int k = 0; k < i; k++)
			ck_assert(stacks[i].low - WHORL__GUARD_SIZE >= upper_end(&stacks[k]) ||
				  stacks[k].low - WHORL__GUARD_SIZE >= upper_end(&stacks[i]));
	}
}
END_TEST

START_TEST(an_unused_pool_maps_nothing)
{
	int maps = count_maps();

	whorl__stack_pool_init(&pool, RECORD, false);
	whorl__stack_pool_fini(&pool);
	ck_assert_int_eq(count_maps(), maps);
}
END_TEST

START_TEST(fini_unmaps_all_but_slabs_in_use)
{
	struct whorl__stack kept, other[200];
	size_t mapped;

	for (int i = 0; i < 200; i++)
		other[i] = get(0); /* several slabs */
	kept = get((size_t)1 << 20);
	for (int i = 0; i < 200; i++)
		whorl__stack_put(&pool, &other[i]);
	mapped = pool.mapped;
	ck_assert_uint_ge(mapped, 200 * stride(&pool, WHORL__SMALL_CLASSES + 2));
	whorl__stack_pool_fini(&pool);
	ck_assert_uint_eq(pool.mapped, kept.slab->length);
	ck_assert_int_eq(write_to(other[0].low), SIGSEGV);
	ck_assert_int_eq(write_to(other[199].low), SIGSEGV);
	ck_assert_int_eq(write_to(kept.low), 0);
	count_all(1);
	ck_assert_int_eq(write_to(get(0).low), 0);
	whorl__stack_put(&pool, &kept); /* by a thread that outlives the pool */
	ck_assert_ptr_eq(get((size_t)1 << 20).low, kept.low);
	count_all(2);
}
END_TEST

/* --------------------------------------------------------------------------------------- guards */

static void expect_guard(const struct whorl__stack *stack, enum whorl__guard guard)
{
	int death = guard == WHORL__GUARD_CANARY ? 0 : SIGSEGV;

	ck_assert_int_eq(stack->guard, guard);
	ck_assert_int_eq(write_to(stack->low), 0);
	ck_assert_int_eq(write_to(upper_end(stack) - 1), 0);
	ck_assert_int_eq(write_to(stack->low - 1), death);
	ck_assert_int_eq(write_to(stack->low - WHORL__GUARD_SIZE / 2), death);
	ck_assert_int_eq(write_to(stack->low - WHORL__GUARD_SIZE), death);
	ck_assert_int_eq(write_to(stack->low - WHORL__GUARD_SIZE - 1), 0);
}

START_TEST(guards_of_the_best_kind)
{
	struct whorl__stack a, b;

	get(0);
	a = get(0);
	b = get(100000);
	expect_guard(&a, best_guard());
	expect_guard(&b, best_guard());
	whorl__stack_put(&pool, &a);
	a = get(0);
	expect_guard(&a, best_guard());
}
END_TEST

START_TEST(K3_a_million_guarded_stacks_in_under_100_maps)
{
	/* 32 bits address no more; with a sanitizer each takes ten times as long */
	size_t n = SIZE_MAX == UINT32_MAX ? 8000 : SANITIZED ? 100000 : 1000000;
	size_t limit = (size_t)read_mprotect_limit();
	enum whorl__guard best = best_guard();
	int maps = count_maps();

	for (size_t i = 0; i < n; i++)
		get(0);
	ck_assert_uint_lt(get(0).slab->slot, 20);
	if (best == WHORL__GUARD_MADVISE) {
		ck_assert_uint_eq(pool.in_use[WHORL__GUARD_MADVISE], n + 1);
		ck_assert_int_lt(count_maps() - maps, 100);
	} else {
		ck_assert_uint_eq(pool.in_use[WHORL__GUARD_MPROTECT], n < limit ? n + 1 : limit);
		ck_assert_uint_eq(pool.in_use[WHORL__GUARD_CANARY], n < limit ? 0 : n + 1 - limit);
	}
}
END_TEST

START_TEST(no_probe_means_mprotect)
{
	struct whorl__stack stack;

	whorl__stack_pool_init(&pool, RECORD, true);
	get(0);
	stack = get(0);
	expect_guard(&stack, WHORL__GUARD_MPROTECT);
	ck_assert_int_eq(atomic_load(&guard_install), UNKNOWN);
}
END_TEST

START_TEST(a_kernel_without_guards_is_asked_once)
{
	struct whorl__stack stack;

	advice_in_vain = EINVAL;
	get(0);
	ck_assert_int_eq(atomic_load(&guard_install), MISSING);
	advice_in_vain = -1;
	stack = get(0);
	expect_guard(&stack, WHORL__GUARD_MPROTECT);
}
END_TEST

START_TEST(a_kernel_that_lies_is_found_out)
{
	struct whorl__stack stack;

	advice_in_vain = 0;
	stack = get(0);
	expect_guard(&stack, WHORL__GUARD_MPROTECT);
	ck_assert_int_eq(atomic_load(&guard_install), MISSING);
}
END_TEST

/* Nor are guards that cannot be looked at left where a canary would be read. */
START_TEST(without_descriptors_the_question_stays_open)
{
	struct whorl__stack stack;

	no_descriptors = true;
	stack = get(0);
	expect_guard(&stack, WHORL__GUARD_MPROTECT);
	atomic_store(&mprotect_limit, 1);
	stack = get(0);
	expect_guard(&stack, WHORL__GUARD_CANARY);
	ck_assert(whorl__stack_intact(&stack));
	no_descriptors = false;
	atomic_store(&mprotect_limit, 10);
	stack = get(0);
	expect_guard(&stack, best_guard());
}
END_TEST

START_TEST(locked_memory_gets_mprotect)
{
	struct whorl__stack stack = get(0);
	size_t next = stride(&pool, stack.slab->size_class);

	/* Not mlock(3): ASan ignores that. */
	ck_assert_int_eq(syscall(SYS_mlock, upper_end(&stack), next), 0);
	stack = get(0);
	expect_guard(&stack, WHORL__GUARD_MPROTECT);
}
END_TEST

START_TEST(mprotect_has_half_of_the_maps)
{
	FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
	long maps = 0;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%ld", &maps), 1);
	fclose(file);
	ck_assert_int_eq(read_mprotect_limit(), maps / 2 / 2);
}
END_TEST

START_TEST(mprotect_ends_at_its_share_of_the_maps)
{
	struct whorl__stack_pool second;
	struct whorl__stack stack, stacks[10];

	atomic_store(&mprotect_limit, 7);
	whorl__stack_pool_init(&pool, RECORD, true);
	whorl__stack_pool_init(&second, RECORD, true);
	for (int i = 0; i < 5; i++)
		stacks[i] = get(0);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(whorl__stack_get(&second, 0, 0, &stacks[5 + i]), 0);
	ck_assert_uint_eq(pool.in_use[WHORL__GUARD_MPROTECT], 5);
	ck_assert_uint_eq(second.in_use[WHORL__GUARD_MPROTECT], 2);
	ck_assert_uint_eq(second.in_use[WHORL__GUARD_CANARY], 3);
	expect_guard(&stacks[9], WHORL__GUARD_CANARY);

	whorl__stack_put(&second, &stacks[9]); /* keeps what it has */
	for (int i = 0; i < 5; i++)
		whorl__stack_put(&pool, &stacks[i]);
	ck_assert_int_eq(atomic_load(&mprotected), 7);
	whorl__stack_pool_fini(&pool); /* gives back */
	ck_assert_int_eq(atomic_load(&mprotected), 2);
	stack = get(0);
	ck_assert_int_eq(stack.guard, WHORL__GUARD_MPROTECT);
	ck_assert_int_eq(whorl__stack_get(&second, 0, 0, &stack), 0);
	ck_assert_int_eq(stack.guard, WHORL__GUARD_CANARY);
}
END_TEST

START_TEST(a_canary_sees_any_word_of_its_line)
{
	struct whorl__stack stack;

	atomic_store(&mprotect_limit, 1);
	whorl__stack_pool_init(&pool, RECORD, true);
	get(0);
	stack = get(0);
	ck_assert_int_eq(stack.guard, WHORL__GUARD_CANARY);
	memset(stack.low, 0xff, stack.size);
	ck_assert(whorl__stack_intact(&stack));
	for (int i = 1; i <= 64; i++) {
		stack.low[-i] = 1;
		ck_assert(!whorl__stack_intact(&stack));
		stack.low[-i] = 0;
		ck_assert(whorl__stack_intact(&stack));
	}
}
END_TEST

/* ---------------------------------------------------------------------------------- small stacks */

static struct whorl__stack get_small(size_t size)
{
	struct whorl__stack stack;

	ck_assert_int_eq(whorl__stack_get(&pool, size, CO_SMALL_STACK, &stack), 0);
	return stack;
}

START_TEST(small_stacks_are_packed)
{
	struct whorl__stack stack[1000];

	for (size_t size = 1024; size <= 16384 && !large_frames(); size *= 2) {
		for (int i = 0; i < 1000; i++) {
			stack[i] = get_small(size - (size_t)(i % 500));
			ck_assert_uint_eq(stack[i].size, size);
			ck_assert_int_eq(stack[i].guard, WHORL__GUARD_SMALL);
			ck_assert_uint_eq((uintptr_t)whorl__stack_top(&stack[i]) % 64, 0);
			ck_assert_ptr_eq(whorl__stack_top(&stack[i]), stack[i].low + size + RECORD);
			if (i > 0 && stack[i].slab == stack[i - 1].slab)
				ck_assert_ptr_eq(stack[i].low,
						 whorl__stack_top(&stack[i - 1]) + WHORL__LINE);
		}
		for (int i = 0; i < 1000; i++) /* the record too */
			memset(stack[i].low, 0, size + RECORD);
		for (int i = 0; i < 1000; i++)
			ck_assert(whorl__stack_intact(&stack[i]));
	}
	ck_assert_uint_eq(pool.in_use[WHORL__GUARD_SMALL], large_frames() ? 0 : 5000);
}
END_TEST

START_TEST(poison_sees_any_byte_of_its_line)
{
	struct whorl__stack stack = get_small(2048);

	for (int i = 1; i <= 64 && !large_frames(); i++) {
		stack.low[-i] ^= i % 2 ? 1 : (char)POISON;
		ck_assert(!whorl__stack_intact(&stack));
		stack.low[-i] ^= i % 2 ? 1 : (char)POISON;
		ck_assert(whorl__stack_intact(&stack));
	}
	whorl__stack_put(&pool, &stack);
	ck_assert_ptr_eq(get_small(2048).low, stack.low);
	ck_assert(whorl__stack_intact(&stack));
}
END_TEST

START_TEST(small_and_ordinary_ones_are_not_mixed)
{
	struct whorl__stack small = get_small(16384), ordinary = get(16384), tiny = get_small(1);

	if (large_frames())
		return;
	ck_assert_int_ne(ordinary.guard, WHORL__GUARD_SMALL);
	ck_assert(whorl__stack_again(&small, 16384, CO_SMALL_STACK));
	ck_assert(whorl__stack_again(&ordinary, 16384, 0));
	ck_assert(!whorl__stack_again(&small, 16384, 0));
	ck_assert(!whorl__stack_again(&ordinary, 16384, CO_SMALL_STACK));
	ck_assert(!whorl__stack_again(&small, 8192, CO_SMALL_STACK));
	ck_assert(whorl__stack_again(&tiny, 1, CO_SMALL_STACK));
	ck_assert(!whorl__stack_again(&tiny, 1025, CO_SMALL_STACK));
	ck_assert_uint_eq(get_small(0).size, 4096);
	ck_assert_int_ne(get_small(16385).guard, WHORL__GUARD_SMALL);
	whorl__stack_put(&pool, &small);
	whorl__stack_put(&pool, &ordinary);
	ck_assert_ptr_eq(get(16384).low, ordinary.low);
	ck_assert_ptr_eq(get_small(16384).low, small.low);
}
END_TEST

START_TEST(used_of_a_small_stack)
{
	struct whorl__stack stack = get_small(2048);

	ck_assert_uint_eq(whorl__stack_used(&stack, RECORD), 0);
	memset(whorl__stack_top(&stack) - RECORD, 1, RECORD);
	ck_assert_uint_eq(whorl__stack_used(&stack, RECORD), 0);
	for (size_t depth = 8; depth <= 2048 && !large_frames(); depth += 8) {
		stack.low[stack.size - depth] = 1;
		ck_assert_uint_eq(whorl__stack_used(&stack, RECORD), depth);
	}
}
END_TEST

/* ------------------------------------------------------------------------------ high-water mark */

START_TEST(used_is_the_lowest_byte_ever_written)
{
	struct whorl__stack stack = get((size_t)1 << 20);
	const char *top = whorl__stack_top(&stack) - RECORD;
	unsigned char in_core;

	ck_assert_uint_eq(whorl__stack_used(&stack, RECORD), 0);
	for (size_t depth = 8; depth < (size_t)1 << 20; depth += depth / 3 / 8 * 8 + 8) {
		upper_end(&stack)[-(ptrdiff_t)depth] = 1;
		if (upper_end(&stack) - depth < top) /* else it is the record's */
			ck_assert_uint_eq(whorl__stack_used(&stack, RECORD),
					  (size_t)(top - upper_end(&stack)) + depth);
	}
	stack.low[0] = 1;
	ck_assert_uint_eq(whorl__stack_used(&stack, RECORD), stack.size);
	whorl__stack_put(&pool, &stack);
	stack = get((size_t)1 << 20);
	ck_assert_uint_eq(whorl__stack_used(&stack, RECORD), stack.size);

	stack = get((size_t)1 << 20); /* to look maps nothing */
	whorl__stack_used(&stack, RECORD);
	ck_assert_int_eq(mincore(stack.low, 1, &in_core), 0);
	ck_assert_int_eq(in_core & 1, 0);
}
END_TEST

/* ------------------------------------------------------------------- memory that nobody needs */

static size_t resident(const struct whorl__slab *slab)
{
	unsigned char flags;
	size_t n = 0;

	/* One by one: qemu refuses an area with guards. */
	for (size_t i = 0; i < slab->length; i += page_size())
		n += mincore((char *)(uintptr_t)slab + i, 1, &flags) == 0 && (flags & 1) != 0;
	return n;
}

/* As much as anybody would touch. */
static void use(const struct whorl__stack *stack)
{
	memset(whorl__stack_top(stack) - RECORD, 1, RECORD);
	memset(stack->low + stack->size - 512, 2, 512);
}

static void trim_all(void)
{
	while (whorl__stack_pool_trim(&pool))
		;
}

enum { MANY = 2000 };
static struct whorl__stack many[MANY];

/* They come and go, but for each `stays`th; 0: all go. */
static void burst(size_t size, unsigned flags, size_t stays)
{
	for (size_t i = 0; i < MANY; i++) {
		ck_assert_int_eq(whorl__stack_get(&pool, size, flags, &many[i]), 0);
		use(&many[i]);
	}
	for (size_t i = 0; i < MANY; i++)
		if (stays == 0 || i % stays != 0)
			whorl__stack_put(&pool, &many[i]);
}

static size_t resident_in_all(unsigned n)
{
	size_t pages = 0;

	for (unsigned i = 0; i < WHORL__SLABS; i++)
		pages += pool.classes[n].slab[i] != NULL ? resident(pool.classes[n].slab[i]) : 0;
	return pages;
}

START_TEST(two_periods_after_the_peak_memory_goes_back)
{
	for (int small = 0; small < 2; small++) {
		size_t size = small ? 2048 : 65536, left, before;
		unsigned flags = small ? CO_SMALL_STACK : 0, n = whorl__stack_class(size, flags);

		left = reserve(n) * (usable(n) < page_size() ? 1 : 2) + 10;
		burst(size, flags, 0);
		before = resident_in_all(n);
		ck_assert(whorl__stack_pool_untidy(&pool));
		for (int period = 0; period < 2; period++) {
			trim_all();
			ck_assert_uint_eq(resident_in_all(n), before);
			whorl__stack_pool_next_period(&pool);
		}
		trim_all();
		ck_assert_uint_le(resident_in_all(n), left < before ? left : before);
		ck_assert(!whorl__stack_pool_untidy(&pool));
		burst(size, flags, 0);
		ck_assert_uint_ge(resident_in_all(n), before);
	}
}
END_TEST

/* As many idle ones are kept beside those in use as ever: nobody need look again. */
START_TEST(a_load_that_stays_is_tidy)
{
	burst(0, 0, 0);
	for (size_t i = 0; i < 500; i++)
		many[i] = get(0);
	for (int period = 0; period < 3; period++) {
		trim_all();
		ck_assert(whorl__stack_pool_untidy(&pool) == (period < 2));
		whorl__stack_pool_next_period(&pool);
	}
	ck_assert_uint_eq(pool.classes[whorl__stack_class(0, 0)].warm,
			  125 + reserve(whorl__stack_class(0, 0)));
	for (size_t i = 0; i < 500; i++)
		whorl__stack_put(&pool, &many[i]);
	ck_assert(whorl__stack_pool_untidy(&pool));
}
END_TEST

START_TEST(what_is_in_use_stays_and_so_do_guards)
{
	enum whorl__guard best = best_guard();
	struct whorl__stack stack;

	burst(0, 0, 100);
	for (int period = 0; period < 2; period++)
		whorl__stack_pool_next_period(&pool);
	trim_all();
	ck_assert_uint_le(pool.classes[whorl__stack_class(0, 0)].warm,
			  5 + reserve(whorl__stack_class(0, 0)));
	for (size_t i = 0; i < MANY; i++)
		if (i % 100 == 0)
			for (size_t k = 0; k < RECORD; k++)
				ck_assert_int_eq(whorl__stack_top(&many[i])[-1 - (ptrdiff_t)k], 1);
	for (int i = 0; i < 500; i++)
		stack = get(0);
	expect_guard(&stack, best);
	expect_guard(&many[100], best);
	ck_assert_uint_eq(pool.in_use[best], 520);
}
END_TEST

START_TEST(a_peak_that_comes_again_costs_no_system_call)
{
	burst(0, 0, 0);
	whorl__stack_pool_next_period(&pool);
	trim_all();
	calls_left = 0; /* who calls gets an error, and leaves a mark */
	for (int i = 0; i < 10; i++) {
		burst(0, 0, 0);
		trim_all();
		whorl__stack_pool_next_period(&pool);
		trim_all();
	}
	ck_assert_int_eq(calls_left, 0);
}
END_TEST

/* All at once, each once. */
static void get_all_and_look(void)
{
	for (size_t i = 0; i < MANY; i++) {
		many[i] = get(0);
		memcpy(many[i].low, &i, sizeof(i));
	}
	for (size_t i = 0; i < MANY; i++)
		ck_assert_int_eq(memcmp(many[i].low, &i, sizeof(i)), 0);
}

/* A slab of which a part is fresh again is used, and then is idle in another order. */
START_TEST(who_is_interrupted_goes_on_later)
{
	size_t order = 1;

	for (int steps = 1; steps < 30 && !whorl__sanitizer_frames(); steps++) {
		get_all_and_look();
		for (size_t i = 0; i < MANY; i++)
			whorl__stack_put(&pool, &many[i * order % MANY]);
		order = order == 7 ? 11 : 7; /* both are prime to MANY */
		for (int period = 0; period < 2; period++)
			whorl__stack_pool_next_period(&pool);
		for (int i = 0; i < steps % 7; i++)
			ck_assert(whorl__stack_pool_trim(&pool));
		if (steps % 3 == 0)
			trim_all();
	}
}
END_TEST

/* Poison is written anew, where its page was lost. */
START_TEST(small_stacks_have_their_poison_again)
{
	burst(1024, CO_SMALL_STACK, 300);
	for (int period = 0; period < 2; period++)
		whorl__stack_pool_next_period(&pool);
	trim_all();
	for (size_t i = 0; i < MANY; i++)
		if (i % 300 != 0)
			many[i] = get_small(1024);
	for (size_t i = 0; i < MANY; i++)
		ck_assert(whorl__stack_intact(&many[i]));
}
END_TEST

/* A system call that fails takes nothing from anybody. */
START_TEST(memory_that_the_system_does_not_take)
{
	for (int n = 0; n < 12; n++) {
		for (int all = 0; all < 2; all++) {
			whorl__stack_pool_fini(&pool);
			burst(0, 0, n % 2 ? 0 : 100);
			for (int period = 0; period < 2; period++)
				whorl__stack_pool_next_period(&pool);
			calls_left = n;
			fail_all_after = all;
			trim_all();
			calls_left = -1;
			for (size_t i = 0; n % 2 == 0 && i < MANY; i += 100)
				whorl__stack_put(&pool, &many[i]);
			burst(0, 0, 0);
			for (size_t i = 0; i < MANY; i++)
				ck_assert(whorl__stack_intact(&many[i]));
		}
	}
}
END_TEST

/* Those that stay where they are have lost their pages all the same. */
START_TEST(small_stacks_have_their_poison_when_there_are_no_maps)
{
	burst(4096, CO_SMALL_STACK, 0); /* several slabs */
	for (int period = 0; period < 2; period++)
		whorl__stack_pool_next_period(&pool);
	calls_left = 1; /* the mapping is to fail, its advice is not */
	ck_assert(whorl__stack_pool_trim(&pool));
	ck_assert_int_eq(calls_left, -1);
	count_all(0);
	burst(4096, CO_SMALL_STACK, 1);
	for (size_t i = 0; i < MANY; i++)
		ck_assert(whorl__stack_intact(&many[i]));
	count_all(MANY);
}
END_TEST

/* Some emulators take any advice. */
static bool advice_on_nothing_is_refused(void)
{
	char *nothing = mmap(NULL, page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(nothing, page_size());
	return madvise(nothing, page_size(), MADV_DONTNEED) < 0 && errno == ENOMEM;
}

START_TEST(a_slab_with_a_hole_is_used_no_more)
{
	if (!advice_on_nothing_is_refused())
		return;
	no_huge_pages = true;
	burst(0, 0, 0);
	for (int period = 0; period < 2; period++)
		whorl__stack_pool_next_period(&pool);
	holes = true;
	trim_all();
	holes = false;
	burst(0, 0, 0);
	burst(100000, 0, 0);
	whorl__stack_pool_fini(&pool);
	burst(0, 0, 0);
}
END_TEST

/* ---------------------------------------------------------------------------- a model of the pool
 *
 * Any sequence of gets, puts, periods and steps: what is in use keeps what was written to it, no
 * stack is handed out twice, and the counters are true. */
enum { LIVE = 400 };
static struct {
	struct whorl__stack stack;
	uint32_t mark;
} live[LIVE];

static void mark(size_t i, uint32_t with)
{
	live[i].mark = with;
	memcpy(live[i].stack.low, &with, sizeof(with));
	memcpy(whorl__stack_top(&live[i].stack) - sizeof(with), &with, sizeof(with));
}

static void look(size_t i)
{
	uint32_t at_low, at_top;

	memcpy(&at_low, live[i].stack.low, sizeof(at_low));
	memcpy(&at_top, whorl__stack_top(&live[i].stack) - sizeof(at_top), sizeof(at_top));
	ck_assert_uint_eq(at_low, live[i].mark);
	ck_assert_uint_eq(at_top, live[i].mark);
	ck_assert(whorl__stack_intact(&live[i].stack));
}

static void live_at_random(long rounds)
{
	static const size_t sizes[] = { 1024, 4096, 16384, 65536 };
	uint64_t seed = suite_seed();
	size_t n = 0, target = LIVE;

	for (long round = 0; round < rounds; round++) {
		uint64_t dice = suite_random(&seed);
		size_t i = n > 0 ? (size_t)(dice >> 32) % n : 0;

		if (dice % 500 == 0)
			target = (dice >> 40) % 3 == 0 ? 0 : (size_t)(dice >> 44) % LIVE;
		if (dice % 7 == 1)
			whorl__stack_pool_trim(&pool);
		if (dice % 400 == 2)
			whorl__stack_pool_next_period(&pool);
		if (dice % 1000 == 3)
			count_all(n);
		if (n > target || (n == target && n > 0)) {
			look(i);
			whorl__stack_put(&pool, &live[i].stack);
			live[i] = live[--n];
		} else if (n < LIVE) {
			ck_assert_int_eq(whorl__stack_get(&pool, sizes[dice >> 50 & 3],
							  dice >> 52 & 1 ? CO_SMALL_STACK : 0,
							  &live[n].stack),
					 0);
			mark(n++, (uint32_t)dice);
		}
		if (n > 0)
			look((size_t)(dice >> 20) % n);
	}
	while (n > 0) {
		look(--n);
		whorl__stack_put(&pool, &live[n].stack);
	}
	count_all(0);
	whorl__stack_pool_fini(&pool);
}

START_TEST(whatever_comes_nothing_is_lost)
{
	live_at_random(suite_long() ? 600000 : 60000);
}
END_TEST

/* ---------------------------------------------------------------------------------- larger pages */

/* Kernels of ppc64le, aarch64, mips64el have them. */
static void live_with_pages_of(size_t bytes)
{
	large_pages = bytes;
	for (size_t size = smallest(false); size <= (size_t)1 << 20; size *= 2) {
		struct whorl__stack a = get(size), b = get(size), small = get_small(size);

		expect_guard(&a, best_guard());
		expect_guard(&b, best_guard());
		ck_assert_ptr_eq(b.low, a.low + stride(&pool, a.slab->size_class));
		ck_assert_uint_eq(a.slab->length % bytes, 0);
		ck_assert_uint_eq(whorl__stack_used(&b, RECORD), 0);
		b.low[0] = small.low[0] = 1;
		ck_assert_uint_eq(whorl__stack_used(&b, RECORD), b.size);
		ck_assert_uint_eq(whorl__stack_used(&small, RECORD), small.size);
		whorl__stack_put(&pool, &a);
		ck_assert_ptr_eq(get(size).low, a.low);
		whorl__stack_put(&pool, &a);
		whorl__stack_put(&pool, &b);
		whorl__stack_put(&pool, &small);
	}
	whorl__stack_pool_fini(&pool);
	ck_assert_uint_eq(pool.mapped, 0);
	live_at_random(suite_long() ? 200000 : 20000);
}

START_TEST(pages_of_16_kib)
{
	live_with_pages_of(16384);
}
END_TEST

START_TEST(pages_of_64_kib)
{
	live_with_pages_of(65536);
}
END_TEST

/* -------------------------------------------------------------------------------- failing calls */

/* Gets a few stacks, of which most need a slab, while the n-th system call fails. False: there was
 * no n-th. */
static bool survive(int n)
{
	struct whorl__stack stack[3];
	bool reached;
	int rc;

	calls_left = n;
	for (int i = 0; i < 3; i++) {
		rc = whorl__stack_get(&pool, (size_t)1 << 24, 0, &stack[i]);
		if (rc == -ENOMEM) {
			calls_left = -1;
			ck_assert_int_eq(whorl__stack_get(&pool, (size_t)1 << 24, 0, &stack[i]), 0);
		} else {
			ck_assert_int_eq(rc, 0);
		}
		ck_assert_int_eq(write_to(stack[i].low), 0);
	}
	reached = calls_left <= 0;
	calls_left = -1;
	for (int i = 0; i < 3; i++)
		whorl__stack_put(&pool, &stack[i]);
	whorl__stack_pool_fini(&pool);
	ck_assert_int_eq(atomic_load(&mprotected), 0);
	return reached;
}

START_TEST(nth_system_call_fails)
{
	int maps = count_maps(), n = 0;

	while (survive(n))
		n++;
	ck_assert_int_ge(n, 6);
	atomic_store(&guard_install, UNKNOWN);
	advice_in_vain = EINVAL;
	for (n = 0; survive(n); n++)
		;
	ck_assert_int_ge(n, 6);
	ck_assert_int_le(count_maps(), maps + 2);
}
END_TEST

START_TEST(all_system_calls_from_the_nth_fail)
{
	int n = 0;

	fail_all_after = true;
	while (survive(n))
		n++;
	ck_assert_int_ge(n, 6);
}
END_TEST

START_TEST(without_room_for_a_large_slab_a_small_one_will_do)
{
	unsigned n = whorl__stack_class((size_t)1 << 20, 0);

	for (int i = 0; i < 3; i++) {
		calls_left = 0; /* the first attempt to map one */
		get((size_t)1 << 20);
		calls_left = -1;
		ck_assert_uint_ne(pool.classes[n].open, 0);
		while (pool.classes[n].open != 0)
			get((size_t)1 << 20);
	}
}
END_TEST

SUITE("stack", sizes_are_rounded_up, the_largest_size, the_record_lies_above_what_was_asked_for,
      last_in_first_out, stacks_do_not_overlap, an_unused_pool_maps_nothing,
      fini_unmaps_all_but_slabs_in_use, guards_of_the_best_kind,
      K3_a_million_guarded_stacks_in_under_100_maps, no_probe_means_mprotect,
      a_kernel_without_guards_is_asked_once, a_kernel_that_lies_is_found_out,
      without_descriptors_the_question_stays_open, locked_memory_gets_mprotect,
      mprotect_has_half_of_the_maps, mprotect_ends_at_its_share_of_the_maps,
      a_canary_sees_any_word_of_its_line, small_stacks_are_packed, poison_sees_any_byte_of_its_line,
      small_and_ordinary_ones_are_not_mixed, used_of_a_small_stack,
      two_periods_after_the_peak_memory_goes_back, a_load_that_stays_is_tidy,
      what_is_in_use_stays_and_so_do_guards, a_peak_that_comes_again_costs_no_system_call,
      who_is_interrupted_goes_on_later, small_stacks_have_their_poison_again,
      small_stacks_have_their_poison_when_there_are_no_maps, memory_that_the_system_does_not_take,
      a_slab_with_a_hole_is_used_no_more, whatever_comes_nothing_is_lost, pages_of_16_kib,
      pages_of_64_kib, used_is_the_lowest_byte_ever_written, nth_system_call_fails,
      all_system_calls_from_the_nth_fail, without_room_for_a_large_slab_a_small_one_will_do)
