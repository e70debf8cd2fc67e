/* Stacks: cut from slabs, guarded when first handed out, kept for the next owner.
 *
 * A slab is one mapping of stacks of one size class. Each new slab of a class is as large as all
 * before it, so that a million stacks need some fifteen mappings. Nothing of a stack is touched
 * before its owner does: MAP_NORESERVE, and no huge pages, since one page of most stacks is all
 * that is ever used.
 *
 *	| slab, what is known of its stacks | guard | stack 0 | record | guard | stack 1 | ...
 *
 * A stack that was put back keeps its guard. Which ones of a slab are idle stands at its beginning,
 * the last one put back on top; what is handed out comes from the first slab that has one, so that
 * a load that has shrunk leaves the later, larger slabs.
 *
 * Idle stacks beyond the peak of late lose their pages, those at the bottom first, of the last slab
 * first: they are cold then, and all the others warm. A slab that nobody uses, and that the peak
 * would not need, is mapped anew over itself: so its page tables and guards go too, but its
 * addresses stay and read as zeros, since what a scope object refers to may have been there.
 *
 * The guard is the best that can be had when the stack is cut: MADV_GUARD_INSTALL, which splits no
 * mapping; mprotect, which costs two, as long as the process has spent less than half of
 * vm.max_map_count on guards; or none but a canary. That is the line of 64 bytes below the stack:
 * zero as the kernel gave it, so that reading it costs no page, and no longer zero once a return
 * address or a saved register was written there.
 *
 * Small stacks are packed, several in a page, with a canary between each and the next: there it is
 * poison, as the page is in use anyway, and so sees zeros too. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core.h"
#include "frame.h"
#include "sanitizer.h"
#ifdef WHORL_VALGRIND
#include <valgrind/valgrind.h>
#define VALGRIND RUNNING_ON_VALGRIND
#else
#define VALGRIND 0
#define VALGRIND_STACK_REGISTER(low, high) ((void)(low), (void)(high), 0u)
#define VALGRIND_STACK_DEREGISTER(id) (void)(id)
#define VALGRIND_DISABLE_ERROR_REPORTING (void)0
#define VALGRIND_ENABLE_ERROR_REPORTING (void)0
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif

#define SMALLEST ((size_t)16 << 10) /* bytes: of those with guards */
#define BY_DEFAULT ((size_t)64 << 10)
#define SMALL_SMALLEST ((size_t)1 << 10)
#define SMALL_BY_DEFAULT ((size_t)4 << 10)
#define SANITIZED_SMALLEST ((size_t)256 << 10) /* frames have red zones then */
#define FIRST_SLAB ((size_t)8 << 20)	       /* about */
#define COLOURS 0xf			       /* how many lines less above a stack */
#define POISON 0xa5
#define RESERVE ((size_t)512 << 10) /* bytes */
enum { BATCH = 256 };		    /* stacks that lose their pages in one go: some 130 us */
#define COLD 0x80		    /* beside enum whorl__guard: idle, and has lost its pages */

struct whorl__slab {	   /* at the beginning of its mapping */
	char *low;	   /* of stack 0 */
	size_t stride;	   /* from one stack to the next */
	size_t size;	   /* usable bytes of each */
	unsigned char above;   /* lines above each, at most, */
	unsigned char colours; /* and less by a number of these bits */
	size_t length;	   /* bytes mapped */
	unsigned size_class, slot;
	uint32_t stacks;
	uint32_t fresh;	      /* from this one on they were never handed out */
	uint32_t idle_count;  /* handed out and put back */
	uint32_t cold_count;  /* of these at the bottom all are cold */
	bool in_order;	      /* idle[i] is i */
	unsigned char *guard; /* of each that is not fresh: enum whorl__guard, COLD */
	unsigned *valgrind;   /* what it calls each that is not fresh; NULL: it does not watch */
	uint32_t idle[];      /* the last one put back on top */
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

/* Tries MADV_GUARD_INSTALL on one, and looks: some emulators of system calls say yes to all advice.
 * The kernel reports what a pipe may not read with EFAULT, where we would die; without a pipe the
 * question is left to another stack. EINVAL is the answer of kernels before 6.13, and for locked
 * memory; what the first stack meets goes for the process. */
static int try_guard(char *guard)
{
	int ends[2], found = UNKNOWN;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return UNKNOWN;
	if (madvise(guard, WHORL__GUARD_SIZE, MADV_GUARD_INSTALL) == 0)
		found = write(ends[1], guard, 1) < 0 && errno == EFAULT ? WORKS : MISSING;
	else if (errno == EINVAL)
		found = MISSING;
	close(ends[0]);
	close(ends[1]);
	if (found != UNKNOWN)
		atomic_store(&guard_install, found);
	return found;
}

static bool guard_by_madvise(char *guard)
{
	int state = atomic_load(&guard_install);

	if (state == UNKNOWN)
		return try_guard(guard) == WORKS;
	return state == WORKS && madvise(guard, WHORL__GUARD_SIZE, MADV_GUARD_INSTALL) == 0;
}

static bool guard_by_mprotect(char *guard)
{
	if (!take_maps())
		return false;
	if (mprotect(guard, WHORL__GUARD_SIZE, PROT_NONE) < 0) {
		atomic_fetch_sub(&mprotected, 1);
		return false;
	}
	return true;
}

static unsigned char install_guard(bool probe, const struct whorl__slab *slab, char *low)
{
	if (slab->size_class < WHORL__SMALL_CLASSES) {
		memset(low - WHORL__LINE, POISON, WHORL__LINE);
		return WHORL__GUARD_SMALL;
	}
	if (probe && guard_by_madvise(low - WHORL__GUARD_SIZE))
		return WHORL__GUARD_MADVISE;
	if (guard_by_mprotect(low - WHORL__GUARD_SIZE))
		return WHORL__GUARD_MPROTECT;
	return WHORL__GUARD_CANARY;
}

bool whorl__stack_intact(const struct whorl__stack *stack)
{
	const uintptr_t poison = UINTPTR_MAX / 0xff * POISON;
	uintptr_t word, expected = stack->guard == WHORL__GUARD_SMALL ? poison : 0, any = 0;
	const char *line = stack->low - WHORL__LINE;

	if (stack->guard < WHORL__GUARD_CANARY)
		return true;
	for (size_t i = 0; i < WHORL__LINE; i += sizeof(word)) {
		memcpy(&word, line + i, sizeof(word));
		any |= word ^ expected;
	}
	return any == 0;
}

/* ---------------------------------------------------------------------------------------- slabs */

static size_t usable(unsigned n)
{
	return n < WHORL__SMALL_CLASSES ? SMALL_SMALLEST << n
					: SMALLEST << (n - WHORL__SMALL_CLASSES);
}

/* Below the usable bytes: what keeps it from the stack before. */
static size_t below(unsigned n)
{
	return n < WHORL__SMALL_CLASSES ? WHORL__LINE : WHORL__GUARD_SIZE;
}

/* From one stack of the class to the next. */
static size_t stride(const struct whorl__stack_pool *pool, unsigned n)
{
	if (n < WHORL__SMALL_CLASSES)
		return below(n) + usable(n) + pool->record;
	return round_up(below(n) + usable(n) + WHORL__STACK_RECORD, page_size());
}

/* Whether frames are too large for small stacks: the switch's own, or a sanitizer's. */
static bool large_frames(void)
{
#ifdef WHORL__NO_SMALL_STACKS
	return true;
#else
	return whorl__sanitizer_frames();
#endif
}

static bool is_small(size_t size, unsigned flags)
{
	return (flags & CO_SMALL_STACK) != 0 && size <= WHORL__SMALL_MAX && !large_frames();
}

static size_t or_default(size_t size, bool small)
{
	if (size == 0)
		return small ? SMALL_BY_DEFAULT : BY_DEFAULT;
	return size;
}

static size_t smallest(bool small)
{
	if (small)
		return SMALL_SMALLEST;
	return whorl__sanitizer_frames() ? SANITIZED_SMALLEST : SMALLEST;
}

unsigned whorl__stack_class(size_t size, unsigned flags)
{
	bool small = is_small(size, flags);
	unsigned n = small ? 0 : WHORL__SMALL_CLASSES;

	size = or_default(size, small);
	if (size > WHORL__STACK_MAX)
		return WHORL__STACK_CLASSES;
	if (size < smallest(small))
		size = smallest(small);
	size = (size - 1) / (small ? SMALL_SMALLEST : SMALLEST);
	return size == 0 ? n
			 : n + CHAR_BIT * (unsigned)sizeof(long) - (unsigned)__builtin_clzl(size);
}

/* Bytes before the first stack, for so many. */
static size_t head_size(size_t stacks)
{
	size_t each = sizeof(uint32_t) + 1 + (VALGRIND ? sizeof(unsigned) : 0);

	return round_up(sizeof(struct whorl__slab) + stacks * each, page_size());
}

static void slab_init(struct whorl__slab *slab, unsigned n, size_t stacks, size_t length,
		      const struct whorl__stack_pool *pool)
{
	uint32_t *end = slab->idle + stacks;
	bool small = n < WHORL__SMALL_CLASSES;

	*slab = (struct whorl__slab){
		.low = (char *)slab + head_size(stacks) + below(n),
		.stride = stride(pool, n),
		.size = usable(n),
		.above =
			(unsigned char)((small ? pool->record : WHORL__STACK_RECORD) / WHORL__LINE),
		.colours = small ? 0 : COLOURS,
		.length = length,
		.size_class = n,
		.stacks = (uint32_t)stacks,
	};
	if (VALGRIND) {
		slab->valgrind = end;
		end += stacks;
	}
	slab->guard = (unsigned char *)end;
}

/* Of the first stack, guard included. */
static char *base(const struct whorl__slab *slab)
{
	return slab->low - below(slab->size_class);
}

/* Less than `*stacks` if there is no room for so many. NULL: not for one. */
static struct whorl__slab *map_slab(size_t each, size_t *stacks, size_t *length)
{
	int saved_errno = errno;
	struct whorl__slab *slab;

	for (;; *stacks /= 2) {
		*length = round_up(head_size(*stacks) + *stacks * each, page_size());
		slab = mmap(NULL, *length, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
		if (slab != MAP_FAILED || *stacks == 1)
			break;
	}
	if (slab != MAP_FAILED)
		madvise(slab, *length, MADV_NOHUGEPAGE); /* refused where there are none: as well */
	errno = saved_errno;
	return slab != MAP_FAILED ? slab : NULL;
}

/* Idle stacks of a class that stay warm in any case. */
static size_t reserve(unsigned n)
{
	return RESERVE / usable(n);
}

/* As large as all that the class has. */
static int add_slab(struct whorl__stack_pool *pool, unsigned n)
{
	struct whorl__stack_class *class = &pool->classes[n];
	size_t length, each = stride(pool, n), stacks = FIRST_SLAB / each;
	struct whorl__slab *slab;
	unsigned slot = 0;

	while (slot < WHORL__SLABS && class->slab[slot] != NULL)
		slot++;
	if (slot == WHORL__SLABS)
		return -ENOMEM;
	stacks = stacks > class->stacks ? stacks : class->stacks;
	stacks += stacks == 0;
	slab = map_slab(each, &stacks, &length);
	if (slab == NULL)
		return -ENOMEM;
	slab_init(slab, n, stacks, length, pool);
	slab->slot = slot;
	class->slab[slot] = slab;
	class->open |= UINT32_C(1) << slot;
	class->stacks += stacks;
	class->stay = class->stay > reserve(n) ? class->stay : reserve(n);
	pool->mapped += length;
	return 0;
}

/* Page-aligned tops would all fall into the same few sets of the first-level cache: they are spread
 * by a hash of the page number (Knuth, The Art of Computer Programming 3, 6.4: multiplication by
 * the golden ratio). Small ones are spread as they lie. */
static unsigned char lines_above(const struct whorl__slab *slab, const char *low)
{
	uint32_t page = (uint32_t)((uintptr_t)low >> 12);

	return (unsigned char)(slab->above - ((page * UINT32_C(2654435769) >> 28) & slab->colours));
}

static char *low_of(const struct whorl__slab *slab, size_t i)
{
	return slab->low + i * slab->stride;
}

static uint32_t cut(const struct whorl__stack_pool *pool, struct whorl__slab *slab)
{
	uint32_t i = slab->fresh++;
	int saved_errno = errno;

	slab->guard[i] = install_guard(!pool->no_probe, slab, low_of(slab, i));
	if (slab->valgrind != NULL)
		slab->valgrind[i] = VALGRIND_STACK_REGISTER(
			low_of(slab, i), low_of(slab, i + 1) - below(slab->size_class) - 1);
	errno = saved_errno;
	return i;
}

/* It has lost its pages. */
static __attribute__((noinline)) void warm_up(struct whorl__slab *slab, uint32_t i)
{
	if (slab->cold_count > slab->idle_count)
		slab->cold_count = slab->idle_count;
	slab->guard[i] &= (unsigned char)~COLD;
	if (slab->guard[i] == WHORL__GUARD_SMALL)
		memset(low_of(slab, i) - WHORL__LINE, POISON, WHORL__LINE);
}

/* The last one put back. */
static inline uint32_t pop(struct whorl__stack_class *class, struct whorl__slab *slab)
{
	uint32_t i = slab->idle[--slab->idle_count];

	slab->in_order = false;
	if (WHORL__UNLIKELY((slab->guard[i] & COLD) != 0)) {
		warm_up(slab, i);
		return i;
	}
	class->warm--;
	return i;
}

/* ---------------------------------------------------------------------------------------- pools */

void whorl__stack_pool_init(struct whorl__stack_pool *pool, size_t record, bool no_probe)
{
	*pool = (struct whorl__stack_pool){ .record = record, .no_probe = no_probe };
}

static inline void hand_out(struct whorl__stack_pool *pool, struct whorl__stack_class *class,
			    struct whorl__slab *slab, uint32_t i, struct whorl__stack *out)
{
	if (slab->idle_count == 0 && slab->fresh == slab->stacks)
		class->open &= class->open - 1;
	out->low = low_of(slab, i);
	out->size = slab->size;
	out->slab = slab;
	out->index = i;
	out->guard = slab->guard[i];
	out->above = lines_above(slab, out->low);
	pool->in_use[out->guard]++;
	if (++class->busy > class->peak[0])
		class->peak[0] = class->busy;
}

static struct whorl__slab *first_open(const struct whorl__stack_class *class)
{
	return class->slab[__builtin_ctz(class->open)];
}

/* Apart, so that it begins where the other's frame was: who runs on a small stack may come here. */
static __attribute__((noinline)) int take_fresh(struct whorl__stack_pool *pool, unsigned n,
						struct whorl__stack *out)
{
	struct whorl__stack_class *class = &pool->classes[n];
	struct whorl__slab *slab;
	int rc = class->open != 0 ? 0 : add_slab(pool, n);

	if (rc < 0)
		return rc;
	slab = first_open(class);
	hand_out(pool, class, slab, cut(pool, slab), out);
	return 0;
}

int whorl__stack_take(struct whorl__stack_pool *pool, unsigned n, struct whorl__stack *out)
{
	struct whorl__stack_class *class = &pool->classes[n];
	struct whorl__slab *slab = class->open != 0 ? first_open(class) : NULL;

	if (WHORL__UNLIKELY(slab == NULL || slab->idle_count == 0))
		return take_fresh(pool, n, out);
	hand_out(pool, class, slab, pop(class, slab), out);
	return 0;
}

int whorl__stack_get(struct whorl__stack_pool *pool, size_t size, unsigned flags,
		     struct whorl__stack *out)
{
	unsigned n = whorl__stack_class(size, flags);

	return n < WHORL__STACK_CLASSES ? whorl__stack_take(pool, n, out) : -EINVAL;
}

bool whorl__stack_again(const struct whorl__stack *stack, size_t size, unsigned flags)
{
	bool small = is_small(size, flags);

	size = or_default(size, small);
	if (small != (stack->guard == WHORL__GUARD_SMALL) || size > stack->size)
		return false;
	return size > stack->size / 2 || stack->size == smallest(small);
}

void whorl__stack_put(struct whorl__stack_pool *pool, const struct whorl__stack *stack)
{
	struct whorl__slab *slab = stack->slab;
	struct whorl__stack_class *class = &pool->classes[slab->size_class];

	pool->in_use[stack->guard]--;
	slab->idle[slab->idle_count++] = stack->index;
	class->open |= UINT32_C(1) << slab->slot;
	class->busy--;
	if (++class->warm > class->stay)
		pool->untidy = true;
}

/* ------------------------------------------------------------------- memory that nobody needs */

static int by_index(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* The whole pages of stacks `first` to `last`, all of them cold, and of cold ones beside these with
 * which they share pages. Guards stay (madvise(2), MADV_GUARD_INSTALL). */
static void free_pages(const struct whorl__slab *slab, uint32_t first, uint32_t last)
{
	size_t each = slab->stride, unit = page_size(), from, to;

	while (first * each % unit != 0 && (slab->guard[first - 1] & COLD) != 0)
		first--;
	while ((last + 1) * each % unit != 0 && last + 1 < slab->fresh &&
	       (slab->guard[last + 1] & COLD) != 0)
		last++;
	from = round_up(first * each, unit);
	to = (last + 1) * each / unit * unit;
	if (from < to)
		madvise(base(slab) + from, to - from, MADV_DONTNEED);
}

/* Makes `n` of the warm ones cold, at most a batch. How many there were? */
static size_t cool(struct whorl__stack_pool *pool, struct whorl__slab *slab, size_t n)
{
	uint32_t picked[BATCH];
	size_t count = 0, first = 0;

	n = n < BATCH ? n : BATCH;
	for (; count < n && slab->cold_count < slab->idle_count; slab->cold_count++) {
		uint32_t i = slab->idle[slab->cold_count];

		if ((slab->guard[i] & COLD) == 0)
			picked[count++] = i;
		slab->guard[i] |= COLD;
	}
	qsort(picked, count, sizeof(*picked), by_index);
	for (size_t i = 0; i < count; i++)
		if (i + 1 == count || picked[i + 1] != picked[i] + 1) {
			free_pages(slab, picked[first], picked[i]);
			first = i + 1;
		}
	pool->classes[slab->size_class].warm -= count;
	return count;
}

/* Stacks from `first` on, all idle, have lost their pages, or will. */
static void chill(struct whorl__stack_pool *pool, struct whorl__slab *slab, uint32_t first)
{
	for (uint32_t i = first; i < slab->fresh; i++) {
		if ((slab->guard[i] & COLD) != 0)
			continue;
		slab->guard[i] |= COLD;
		pool->classes[slab->size_class].warm--;
	}
}

/* They are fresh again, too. */
static void forget(struct whorl__stack_pool *pool, struct whorl__slab *slab, uint32_t first)
{
	chill(pool, slab, first);
	for (uint32_t i = first; i < slab->fresh; i++) {
		if (slab->guard[i] == (WHORL__GUARD_MPROTECT | COLD))
			atomic_fetch_sub(&mprotected, 1);
		if (slab->valgrind != NULL)
			VALGRIND_STACK_DEREGISTER(slab->valgrind[i]);
	}
	slab->fresh = slab->idle_count = first;
}

/* Of a slab that nobody uses: it is not the pool's any more, but still mapped. */
static void let_go(struct whorl__stack_pool *pool, struct whorl__slab *slab)
{
	struct whorl__stack_class *class = &pool->classes[slab->size_class];

	forget(pool, slab, 0);
	class->open &= ~(UINT32_C(1) << slab->slot);
	class->slab[slab->slot] = NULL;
	class->stacks -= slab->stacks;
	pool->mapped -= slab->length;
}

void whorl__stack_pool_fini(struct whorl__stack_pool *pool)
{
	for (unsigned n = 0; n < WHORL__STACK_CLASSES; n++)
		for (unsigned slot = 0; slot < WHORL__SLABS; slot++) {
			struct whorl__slab *slab = pool->classes[n].slab[slot];

			if (slab == NULL || slab->idle_count < slab->fresh)
				continue;
			let_go(pool, slab);
			munmap(slab, slab->length);
		}
}

/* Of one that has a hole, where others may have mapped something since. */
static void lose(struct whorl__stack_pool *pool, struct whorl__slab *slab, char *hole,
		 size_t length)
{
	char *end = (char *)slab + slab->length;

	let_go(pool, slab);
	if (hole + length < end)
		munmap(hole + length, (size_t)(end - hole) - length);
	munmap(slab, (size_t)(hole - (char *)slab));
}

static bool map_again(char *at, size_t length)
{
	return mmap(at, length, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK | MAP_FIXED, -1,
		    0) != MAP_FAILED;
}

/* Of a slab that nobody uses: maps a batch of its last stacks anew. False: that failed, for want of
 * a mapping; kernels before 6.12 may leave a hole then. */
static bool remap(struct whorl__stack_pool *pool, struct whorl__slab *slab)
{
	uint32_t first = slab->fresh > BATCH ? slab->fresh - BATCH : 0;
	size_t each = slab->stride, from = round_up(first * each, page_size());
	size_t length = round_up(slab->fresh * each, page_size()) - from;

	if (madvise(base(slab) + from, length, MADV_DONTNEED) < 0)
		return false; /* locked memory would come back with the mapping */
	chill(pool, slab, first);
	if (!map_again(base(slab) + from, length)) {
		if (madvise(base(slab) + from, length, MADV_DONTNEED) < 0 && errno == ENOMEM)
			lose(pool, slab, base(slab) + from, length);
		return false;
	}
	madvise(base(slab) + from, length, MADV_NOHUGEPAGE);
	if (!slab->in_order)
		for (uint32_t i = 0; i < slab->fresh; i++)
			slab->idle[i] = i;
	slab->in_order = first > 0;
	slab->cold_count = 0;
	forget(pool, slab, first);
	if (first == 0)
		madvise((char *)slab + page_size(),
			(size_t)(base(slab) - (char *)slab) - page_size(), MADV_DONTNEED);
	return true;
}

static size_t peak(const struct whorl__stack_class *class)
{
	return class->peak[0] > class->peak[1] ? class->peak[0] : class->peak[1];
}

/* How many idle ones are kept beside so many: peaks are never quite the same. */
static size_t beside(size_t busy, unsigned n)
{
	return busy / 4 + reserve(n);
}

static size_t keep(const struct whorl__stack_class *class, unsigned n)
{
	return peak(class) + beside(peak(class), n);
}

/* Of one slab: true if something was done. `spare`: how many of the class's stacks that are not
 * fresh are not to be kept. */
static bool trim_slab(struct whorl__stack_pool *pool, struct whorl__stack_class *class,
		      unsigned slot, size_t kept, size_t spare)
{
	const struct whorl__slab *slab = class->slab[slot];

	if (slab->fresh > 0 && slab->idle_count == slab->fresh && spare >= slab->fresh &&
	    remap(pool, class->slab[slot]))
		return true;
	return class->slab[slot] != NULL && class->busy + class->warm > kept &&
	       cool(pool, class->slab[slot], class->busy + class->warm - kept) > 0;
}

static bool trim_class(struct whorl__stack_pool *pool, unsigned n)
{
	struct whorl__stack_class *class = &pool->classes[n];
	size_t kept = keep(class, n), cut_once = 0;

	for (unsigned slot = 0; slot < WHORL__SLABS; slot++)
		cut_once += class->slab[slot] != NULL ? class->slab[slot]->fresh : 0;
	for (unsigned slot = WHORL__SLABS; slot-- > 0;)
		if (class->slab[slot] != NULL &&
		    trim_slab(pool, class, slot, kept, cut_once > kept ? cut_once - kept : 0))
			return true;
	return false;
}

/* A pool is tidy if all its classes keep as few warm ones as they ever will with so many in use.
 * Till the next trim no stack turns cold, so a class with no more warm ones than now has no fewer
 * in use, and is tidy still: untidy is what a put makes it. */
bool whorl__stack_pool_trim(struct whorl__stack_pool *pool)
{
	int saved_errno = errno;
	bool untidy = false, more = false;

	for (unsigned n = 0; n < WHORL__STACK_CLASSES && !more; n++) {
		struct whorl__stack_class *class = &pool->classes[n];

		if (class->stacks == 0)
			continue;
		more = trim_class(pool, n);
		class->stay = class->warm > reserve(n) ? class->warm : reserve(n);
		untidy = untidy || class->warm > beside(class->busy, n);
	}
	pool->untidy = untidy || more;
	errno = saved_errno;
	return more;
}

void whorl__stack_pool_next_period(struct whorl__stack_pool *pool)
{
	for (unsigned n = 0; n < WHORL__STACK_CLASSES; n++) {
		pool->classes[n].peak[1] = pool->classes[n].peak[0];
		pool->classes[n].peak[0] = pool->classes[n].busy;
	}
}

size_t whorl__stack_pool_peak(const struct whorl__stack_pool *pool)
{
	size_t sum = 0;

	for (unsigned n = 0; n < WHORL__STACK_CLASSES; n++)
		sum += peak(&pool->classes[n]);
	return sum;
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

/* Small stacks share their pages, which are all in memory. */
size_t whorl__stack_used(const struct whorl__stack *stack, size_t record)
{
	char *end, *last = whorl__stack_top(stack) - record, *page;
	const char *word = last;
	size_t used, unit = page_size();
	int saved_errno = errno;

	VALGRIND_DISABLE_ERROR_REPORTING; /* nobody may have written what is read */
	for (char *p = stack->low; p < last && word == last; p = end) {
		page = p - (uintptr_t)p % unit;
		end = (size_t)(last - page) < unit ? last : page + unit;
		if (stack->guard == WHORL__GUARD_SMALL || in_memory(page))
			word = first_word_set(p, end);
		if (word == end)
			word = last;
	}
	VALGRIND_ENABLE_ERROR_REPORTING;
	errno = saved_errno;
	used = (size_t)(last - word);
	return used < stack->size ? used : stack->size;
}
