/* Stacks: cut from slabs, guarded when first handed out, kept for the next owner.
 *
 * A slab is one mapping of stacks of one size class. Each new slab of a class is as large as all
 * before it, so that a million stacks need some fifteen mappings. Nothing of a stack is touched
 * before its owner does: MAP_NORESERVE, and no huge pages, since one page of most stacks is all
 * that is ever used.
 *
 *	| slab | guard | stack 0 | record | guard | stack 1 | record | ...
 *
 * A stack that was put back keeps its guard and its pages, and waits in a list through its own
 * upper end, the last one first. Slabs are unmapped only with their pool.
 *
 * The guard is the best that can be had when the stack is cut: MADV_GUARD_INSTALL, which splits no
 * mapping; mprotect, which costs two, as long as the process has spent less than half of
 * vm.max_map_count on guards; or none but a canary. That is the line of 64 bytes below the stack:
 * zero as the kernel gave it, so that reading it costs no page, and no longer zero once a return
 * address or a saved register was written there. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core.h"
#ifdef WHORL_VALGRIND
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#define VALGRIND_STACK_REGISTER(low, high) 0
#define VALGRIND_STACK_DEREGISTER(id) (void)(id)
#define VALGRIND_DISABLE_ERROR_REPORTING (void)0
#define VALGRIND_ENABLE_ERROR_REPORTING (void)0
#endif
#if WHORL__ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif

#define SMALLEST ((size_t)16 << 10) /* bytes: class 0 */
#define BY_DEFAULT ((size_t)64 << 10)
#define LEAST (WHORL__SANITIZED ? (size_t)256 << 10 : SMALLEST) /* its frames are large */
#define FIRST_SLAB ((size_t)8 << 20)				/* about */
#define COLOURS 16						/* of a cache line each */
#define LINE 64

struct whorl__slab { /* in the first page of its mapping */
	struct whorl__slab *next;
	size_t length;	   /* bytes mapped */
	size_t in_use;	   /* stacks handed out and not put back */
	size_t mprotected; /* guards that count against the process's maps */
	unsigned size_class;
};

struct whorl__idle_stack { /* the last bytes of a stack that waits */
	struct whorl__idle_stack *next;
	struct whorl__stack stack;
};

/* All pools of the process share these. */
static _Atomic enum { UNKNOWN, WORKS, MISSING } guard_install;
static atomic_long mprotected;
static atomic_long mprotect_limit; /* 0: not yet known */

static size_t round_up(size_t n, size_t unit)
{
	return (n + unit - 1) / unit * unit;
}

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* --------------------------------------------------------------------------------------- guards */

/* A quarter of vm.max_map_count: each guard takes two maps, and half of them are for the rest of
 * the program. */
static long read_mprotect_limit(void)
{
	char text[24] = "";
	int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
	long maps = 65530;

	if (fd >= 0) {
		if (read(fd, text, sizeof(text) - 1) > 0)
			maps = strtol(text, NULL, 10);
		close(fd);
	}
	return maps / 4 > 0 ? maps / 4 : 1;
}

static bool take_maps(void)
{
	long limit = atomic_load(&mprotect_limit);

	if (limit == 0)
		atomic_store(&mprotect_limit, limit = read_mprotect_limit());
	if (atomic_fetch_add(&mprotected, 1) < limit)
		return true;
	atomic_fetch_sub(&mprotected, 1);
	return false;
}

/* The kernel reports what it may not read with EFAULT, where we would die. */
static bool readable(const char *byte)
{
	bool yes = true;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return true;
	yes = write(ends[1], byte, 1) == 1 || errno != EFAULT;
	close(ends[0]);
	close(ends[1]);
	return yes;
}

/* EINVAL is the answer of kernels before 6.13, and for locked memory; what the first stack meets
 * goes for the process. Some emulators of system calls say yes to all advice, hence the second
 * look. */
static bool guard_by_madvise(char *guard)
{
	int state = atomic_load(&guard_install);

	if (state == MISSING)
		return false;
	if (madvise(guard, WHORL__GUARD_SIZE, MADV_GUARD_INSTALL) < 0) {
		if (state == UNKNOWN && errno == EINVAL)
			atomic_store(&guard_install, MISSING);
		return false;
	}
	if (state == UNKNOWN)
		atomic_store(&guard_install, state = readable(guard) ? MISSING : WORKS);
	return state == WORKS;
}

static bool guard_by_mprotect(char *guard, struct whorl__slab *slab)
{
	if (!take_maps())
		return false;
	if (mprotect(guard, WHORL__GUARD_SIZE, PROT_NONE) < 0) {
		atomic_fetch_sub(&mprotected, 1);
		return false;
	}
	slab->mprotected++;
	return true;
}

static unsigned char install_guard(bool probe, struct whorl__slab *slab, char *low)
{
	if (probe && guard_by_madvise(low - WHORL__GUARD_SIZE))
		return WHORL__GUARD_MADVISE;
	if (guard_by_mprotect(low - WHORL__GUARD_SIZE, slab))
		return WHORL__GUARD_MPROTECT;
	return WHORL__GUARD_CANARY;
}

bool whorl__stack_intact(const struct whorl__stack *stack)
{
	const char *line = stack->low - LINE;
	uintptr_t word, any = 0;

	if (stack->guard != WHORL__GUARD_CANARY)
		return true;
	for (size_t i = 0; i < LINE; i += sizeof(word)) {
		memcpy(&word, line + i, sizeof(word));
		any |= word;
	}
	return any == 0;
}

/* ---------------------------------------------------------------------------------------- slabs */

static size_t usable(unsigned size_class)
{
	return SMALLEST << size_class;
}

/* From one stack of the class to the next. */
static size_t stride(unsigned size_class)
{
	return round_up(WHORL__GUARD_SIZE + usable(size_class) + WHORL__STACK_RECORD, page_size());
}

static size_t wanted(size_t size)
{
	size = size == 0 ? BY_DEFAULT : size;
	return size < LEAST ? LEAST : size;
}

static unsigned size_class(size_t size)
{
	unsigned n = 0;

	size = wanted(size);
	while (n < WHORL__STACK_CLASSES && usable(n) < size)
		n++;
	return n;
}

/* Maps a slab as large as all that the class has; less if there is no room for that. */
static int add_slab(struct whorl__stack_pool *pool, unsigned n)
{
	struct whorl__stack_class *class = &pool->classes[n];
	size_t length, stacks = FIRST_SLAB / stride(n);
	struct whorl__slab *slab;

	stacks = stacks > class->stacks ? stacks : class->stacks;
	for (stacks += stacks == 0;; stacks /= 2) {
		length = page_size() + stacks * stride(n);
		slab = mmap(NULL, length, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
		if (slab != MAP_FAILED)
			break;
		if (stacks == 1)
			return -ENOMEM;
	}
	madvise(slab, length, MADV_NOHUGEPAGE); /* refused where there are none: as well */
	*slab = (struct whorl__slab){ .next = class->slabs, .length = length, .size_class = n };
	class->slabs = slab;
	class->fresh = (char *)slab + page_size();
	class->fresh_left = stacks;
	class->stacks += stacks;
	pool->mapped += length;
	return 0;
}

static char *upper_end(const struct whorl__stack *stack)
{
	return stack->low + stack->size + WHORL__STACK_RECORD;
}

static int cut(struct whorl__stack_pool *pool, unsigned n, struct whorl__stack *out)
{
	struct whorl__stack_class *class = &pool->classes[n];
	int saved_errno = errno, rc = 0;

	if (class->fresh_left == 0)
		rc = add_slab(pool, n);
	if (rc == 0) {
		out->slab = class->slabs;
		out->low = class->fresh + WHORL__GUARD_SIZE;
		out->size = usable(n);
		out->guard = install_guard(!pool->no_probe, out->slab, out->low);
		out->valgrind_id = VALGRIND_STACK_REGISTER(out->low, upper_end(out) - 1);
		class->fresh += stride(n);
		class->fresh_left--;
	}
	errno = saved_errno;
	return rc;
}

/* ---------------------------------------------------------------------------------------- pools */

void whorl__stack_pool_init(struct whorl__stack_pool *pool, bool no_probe)
{
	*pool = (struct whorl__stack_pool){ .no_probe = no_probe };
}

/* Valgrind shall not take what is mapped here next for stacks. */
static void forget(const struct whorl__idle_stack *idle)
{
	for (; RUNNING_ON_VALGRIND && idle != NULL; idle = idle->next)
		VALGRIND_STACK_DEREGISTER(idle->stack.valgrind_id);
}

void whorl__stack_pool_fini(struct whorl__stack_pool *pool)
{
	struct whorl__slab *slab, *next;

	for (unsigned n = 0; n < WHORL__STACK_CLASSES; n++) {
		forget(pool->classes[n].idle);
		for (slab = pool->classes[n].slabs; slab != NULL; slab = next) {
			next = slab->next;
			if (slab->in_use > 0)
				continue;
			atomic_fetch_sub(&mprotected, (long)slab->mprotected);
			munmap(slab, slab->length);
		}
	}
	whorl__stack_pool_init(pool, pool->no_probe);
}

/* What ASan and LeakSanitizer know of a stack: frames that were left behind on it poison nothing
 * for the next owner, and what a live one refers to is no leak. */
#if WHORL__ASAN
static void tell_sanitizer(const struct whorl__stack *stack, bool live)
{
	size_t length = stack->size + WHORL__STACK_RECORD;

	if (live) {
		__lsan_register_root_region(stack->low, length);
		return;
	}
	__lsan_unregister_root_region(stack->low, length);
	__asan_unpoison_memory_region(stack->low, length);
}
#else
static inline void tell_sanitizer(const struct whorl__stack *stack, bool live)
{
	(void)stack, (void)live;
}
#endif

int whorl__stack_get(struct whorl__stack_pool *pool, size_t size, struct whorl__stack *out)
{
	unsigned n = size_class(size);
	struct whorl__idle_stack *idle;
	int rc;

	if (n == WHORL__STACK_CLASSES)
		return -EINVAL;
	idle = pool->classes[n].idle;
	if (idle != NULL) {
		*out = idle->stack;
		pool->classes[n].idle = idle->next;
	} else if ((rc = cut(pool, n, out)) < 0) {
		return rc;
	}
	out->slab->in_use++;
	pool->in_use[out->guard]++;
	tell_sanitizer(out, true);
	return 0;
}

bool whorl__stack_again(const struct whorl__stack *stack, size_t size)
{
	size = wanted(size);
	if (size > stack->size || (size <= stack->size / 2 && stack->size > SMALLEST))
		return false;
	tell_sanitizer(stack, false);
	tell_sanitizer(stack, true);
	return true;
}

void whorl__stack_put(struct whorl__stack_pool *pool, const struct whorl__stack *stack)
{
	struct whorl__stack copy = *stack; /* *stack may lie where idle does */
	struct whorl__idle_stack *idle = (struct whorl__idle_stack *)(void *)upper_end(&copy) - 1;
	struct whorl__stack_class *class = &pool->classes[copy.slab->size_class];

	tell_sanitizer(&copy, false);
	copy.slab->in_use--;
	pool->in_use[copy.guard]--;
	*idle = (struct whorl__idle_stack){ .next = class->idle, .stack = copy };
	class->idle = idle;
}

/* Page-aligned tops would all fall into the same few sets of the first-level cache: they are spread
 * by a hash of the page number (Knuth, The Art of Computer Programming 3, 6.4: multiplication by
 * the golden ratio). */
char *whorl__stack_top(const struct whorl__stack *stack)
{
	uint32_t page = (uint32_t)((uintptr_t)stack->low >> 12);

	return upper_end(stack) - (page * UINT32_C(2654435769) >> 28) % COLOURS * LINE;
}

/* ------------------------------------------------------------------------------ high-water mark */

/* Reading a page that was never written would map it. One that was swapped out counts as never
 * written. */
static bool in_memory(char *page)
{
	unsigned char flags;

	return mincore(page, 1, &flags) < 0 || (flags & 1) != 0;
}

typedef uintptr_t __attribute__((may_alias)) any_word;

__attribute__((no_sanitize_address)) static const char *first_word_set(const char *from,
								       const char *end)
{
	const any_word *w = (const any_word *)(const void *)from;

	while ((const char *)w < end && *w == 0)
		w++;
	return (const char *)w;
}

size_t whorl__stack_used(const struct whorl__stack *stack)
{
	const char *top = whorl__stack_top(stack), *word = top, *end;
	size_t page = page_size(), used;
	int saved_errno = errno;

	VALGRIND_DISABLE_ERROR_REPORTING;	/* nobody may have written what is read */
	for (char *p = stack->low; p < top; p += page) {
		if (!in_memory(p))
			continue;
		end = (size_t)(top - p) < page ? top : p + page;
		word = first_word_set(p, end);
		if (word < end)
			break;
	}
	VALGRIND_ENABLE_ERROR_REPORTING;
	errno = saved_errno;
	used = (size_t)(top - word);
	return used < stack->size ? used : stack->size;
}
