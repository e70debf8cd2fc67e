/* What the scheduler may know of the coroutine core: fibers, the switch between them, stacks,
 * overflow reports.
 *
 * A fiber is one stack and the place where its execution stands. The core switches fibers and knows
 * nothing of queues or time: raw coroutines and generators (src/raw.c, src/gen.c) are fibers that
 * remember who resumed them, the scheduler's coroutines are fibers that a run queue picks. Each
 * thread has one fiber more, for the stack that the system gave it. A fiber never changes thread:
 * compilers keep addresses of thread-local variables across calls.
 *
 * What a stopped fiber keeps is on its own stack, below the pointer in `sp` (src/arch/<cpu>/frame.h
 * draws it). */
#ifndef WHORL_SRC_CORE_H
#define WHORL_SRC_CORE_H

#include <whorl/coro.h>

#define WHORL__HIDDEN __attribute__((visibility("hidden")))
#define WHORL__LIKELY(x) __builtin_expect(!!(x), 1)
#define WHORL__UNLIKELY(x) __builtin_expect(!!(x), 0)
/* glibc lets a dlopened library use a little of the static TLS block; in return an access is one
 * instruction. musl refuses to open such a library. */
#ifdef __GLIBC__
#define WHORL__TLS _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define WHORL__TLS _Thread_local
#endif

/* ------------------------------------------------------------------------------------------ stacks
 *
 * A stack lies in a slab, with a guard region below it, and above it WHORL__STACK_RECORD bytes more
 * than was asked for. The owner's record (struct co_raw, the scheduler's home of a coroutine) lies
 * there, so that the bytes asked for are all the user's; where it ends differs by a few cache lines
 * from one stack to the next.
 *
 *	low - WHORL__GUARD_SIZE   low                          low + size      top
 *	| guard                   | usable, grows downwards ... | ... record   | unused |
 *	                                                        | WHORL__STACK_RECORD   |
 *
 * Small stacks (CO_SMALL_STACK) are packed, with a line of poison in place of the guard, and no
 * more above them than the record:
 *
 *	low - 64   low                          low + size   top = low + size + record
 *	| poison   | usable, grows downwards ... | record    | poison of the next | ...
 */
#define WHORL__GUARD_SIZE ((size_t)64 << 10) /* a larger frame jumps it (glibc bug 26691) */
#define WHORL__STACK_RECORD ((size_t)4096)
#define WHORL__RECORD_MAX ((size_t)2048) /* an owner's record is not larger: assert it */
#define WHORL__LINE ((size_t)64)	 /* of the cache; records are whole lines */

enum whorl__guard {
	WHORL__GUARD_MADVISE,  /* MADV_GUARD_INSTALL: costs no map */
	WHORL__GUARD_MPROTECT, /* each costs two of the process's vm.max_map_count */
	WHORL__GUARD_CANARY,   /* zeros below `low`, looked at when the fiber stops */
	WHORL__GUARD_SMALL,    /* a small stack: poison there, looked at in the same way */
	WHORL__GUARD_KINDS
};

struct whorl__slab;

struct whorl__stack {
	char *low;		  /* first usable byte */
	size_t size;		  /* usable bytes: what was asked for, rounded up */
	struct whorl__slab *slab; /* where it was cut from; the pool's own */
	uint32_t index;		  /* its place there */
	unsigned char guard;	  /* enum whorl__guard */
	unsigned char above;	  /* lines from low + size to the top */
};

/* A pool keeps the stacks of one loop (not locked), or of all raw coroutines of the process
 * (src/raw.c locks). `record`: bytes of its owners' records, whole lines. `no_probe` is
 * CO_OPT_NO_GUARD_PROBE's meaning: do as on kernels without MADV_GUARD_INSTALL. Fini unmaps all but
 * the slabs in which a stack is still in use: those stay, on purpose, and the pool with them. */
#define WHORL__SMALL_CLASSES 5				       /* 1 KiB << class: up to 16 KiB */
#define WHORL__LARGE_CLASSES (SIZE_MAX > UINT32_MAX ? 20 : 16) /* 16 KiB << n: to 8 GiB, 512 MiB */
#define WHORL__STACK_CLASSES (WHORL__SMALL_CLASSES + WHORL__LARGE_CLASSES)
#define WHORL__STACK_MAX ((size_t)16 << 10 << (WHORL__LARGE_CLASSES - 1))
#define WHORL__SMALL_MAX ((size_t)1 << 10 << (WHORL__SMALL_CLASSES - 1))
enum { WHORL__SLABS = 32 }; /* of a class; each is as large as all before it */
struct whorl__stack_pool {
	struct whorl__stack_class {
		uint32_t open;	/* bit n: slab[n] has a stack to hand out */
		size_t stacks;	/* in all slabs */
		size_t busy;	/* handed out */
		size_t warm;	/* idle, and with their pages */
		size_t stay;	/* more of these are untidy */
		size_t peak[2]; /* of busy: in this period, and in the last */
		struct whorl__slab *slab[WHORL__SLABS];
	} classes[WHORL__STACK_CLASSES];
	size_t in_use[WHORL__GUARD_KINDS]; /* stacks handed out, by guard */
	size_t mapped;			   /* bytes of address space */
	size_t record;
	bool no_probe;
	bool untidy; /* see src/stack.c */
};
WHORL__HIDDEN void whorl__stack_pool_init(struct whorl__stack_pool *pool, size_t record,
					  bool no_probe);
WHORL__HIDDEN void whorl__stack_pool_fini(struct whorl__stack_pool *pool);
/* The class of stacks with `size` usable bytes, rounded up; 0 = 64 KiB. Of `flags`, CO_SMALL_STACK
 * is honoured: then 0 = 4 KiB, and what is larger than the largest small stack is not small.
 * WHORL__STACK_CLASSES: larger than the largest. */
WHORL__HIDDEN unsigned whorl__stack_class(size_t size, unsigned flags);
/* One of a class. -ENOMEM. The last one put back comes first, of those in the oldest slab: its
 * pages are warm. What the memory holds is left from the last owner. */
WHORL__HIDDEN int whorl__stack_take(struct whorl__stack_pool *pool, unsigned n,
				    struct whorl__stack *out);
/* The two in one. -EINVAL: there is no such class. */
WHORL__HIDDEN int whorl__stack_get(struct whorl__stack_pool *pool, size_t size, unsigned flags,
				   struct whorl__stack *out);
WHORL__HIDDEN void whorl__stack_put(struct whorl__stack_pool *pool,
				    const struct whorl__stack *stack);
/* What was not needed goes back to the system. The owner counts periods: of each class, as many
 * stacks keep their pages as were in use at one time in this period or the one before, a quarter
 * more, and a few.
 * Trim takes the pages of some of the others; true: there are more to be had now. Untidy: there are
 * stacks that may lose their pages, now or in later periods, if no more are used than now. */
WHORL__HIDDEN void whorl__stack_pool_next_period(struct whorl__stack_pool *pool);
WHORL__HIDDEN bool whorl__stack_pool_trim(struct whorl__stack_pool *pool);
WHORL__HIDDEN size_t whorl__stack_pool_peak(const struct whorl__stack_pool *pool);
static inline bool whorl__stack_pool_untidy(const struct whorl__stack_pool *pool)
{
	return pool->untidy;
}

/* Whether a get of that size may as well have this one, which its owner will not use any more: if
 * so, it is the new owner's, without the way through the pool. */
WHORL__HIDDEN bool whorl__stack_again(const struct whorl__stack *stack, size_t size,
				      unsigned flags);
/* 64-byte aligned; the record lies below it. */
static inline char *whorl__stack_top(const struct whorl__stack *stack)
{
	return stack->low + stack->size + stack->above * WHORL__LINE;
}
/* Bytes below the record ever written, by whoever had the stack so far; at most `size`. */
WHORL__HIDDEN size_t whorl__stack_used(const struct whorl__stack *stack, size_t record);
/* False: a guard that is only looked at, and something was written there. */
WHORL__HIDDEN bool whorl__stack_intact(const struct whorl__stack *stack);

/* --------------------------------------------------------------------------------------- fibers */

#define WHORL__NAME_SIZE 32
static inline void whorl__copy_name(char to[WHORL__NAME_SIZE], const char *name)
{
	size_t i = 0;

	for (; name != NULL && name[i] != '\0' && i < WHORL__NAME_SIZE - 1; i++)
		to[i] = name[i];
	to[i] = '\0';
}

struct whorl__env; /* FP control words, C++ exception state, sanitizers' words: see fiber.c */

#define WHORL__ATTR_FLAGS (CO_KEEP_FPENV | CO_KEEP_CXX_EH | CO_SMALL_STACK)
/* Beside CO_KEEP_*: */
#define WHORL__FIBER_CANARY 0x100u    /* look at the canary when it stops */
#define WHORL__FIBER_SANITIZED 0x200u /* all fibers have it, or none: see src/sanitizer.h */

struct whorl__fiber {
	void *sp;		      /* where it stands while it does not run */
	unsigned flags;		      /* CO_KEEP_*, WHORL__FIBER_*: nonzero = the slow path */
	struct whorl__stack stack;    /* low NULL: the thread's own */
	struct whorl__fiber *resumer; /* of a raw coroutine: where it suspends to; else NULL */
	const char *name;	      /* for reports; may be NULL */
	const void *site;	      /* where it was created, for reports; may be NULL */
	struct whorl__env *env;	      /* with CO_KEEP_* or SANITIZED: on its own stack */
};

/* The fiber that runs on this thread. NULL: the thread has made no fiber yet. */
extern WHORL__HIDDEN WHORL__TLS struct whorl__fiber *whorl__fiber_current;
/* Makes the thread's own stack a fiber. */
WHORL__HIDDEN struct whorl__fiber *whorl__fiber_adopt(void);
static inline struct whorl__fiber *whorl__fiber_running(void)
{
	struct whorl__fiber *f = whorl__fiber_current;

	return WHORL__LIKELY(f != NULL) ? f : whorl__fiber_adopt();
}

/* `entry` runs on f->stack, which the owner has filled in, at the first switch to it and gets `arg`
 * and that switch's value; it never returns (it ends with whorl__fiber_exit). What lies above
 * `base` (a multiple of 16) stays the owner's; *f may lie there. Of `flags`, CO_KEEP_* are
 * honoured. name and site are set to NULL: the owner's to fill. The thread that does this is the
 * one that may switch to the fiber: whorl__fiber_current is set from then on. */
typedef void whorl__entry_fn(void *arg, void *value);
/* In each function between whorl__fiber_start and the user's: has the compiler make a frame record,
 * so that who follows frame pointers gets from the user's frames to the 0 in which they end. */
#define WHORL__FRAME_RECORD() __asm__ volatile("" : : "r"(__builtin_frame_address(0)))
WHORL__HIDDEN void whorl__fiber_init(struct whorl__fiber *f, void *base, unsigned flags,
				     whorl__entry_fn *entry, void *arg);

/* The assembly stub: stores the state of the caller in *from, takes up `to`, and returns `value`
 * there. The second name is the same code for callers that return an int, so that they too can end
 * with a jump to it: a function that calls the switch and then returns is mispredicted on its
 * return (the return predictor has the other fiber's calls), 4 ns that a jump saves. For that its
 * usual way must have nothing left to do and no register to restore: what is seldom done before the
 * switch is for functions of their own, which end with it too. */
WHORL__HIDDEN void *whorl__switch(void **from, void *to, void *value);
WHORL__HIDDEN int whorl__switch_int(void **from, void *to, void *value);

/* With flags: what else is to be done, and the stub. */
WHORL__HIDDEN void *whorl__fiber_switch_slow(struct whorl__fiber *from, struct whorl__fiber *to,
					     void *value);
WHORL__HIDDEN int whorl__fiber_switch_slow_int(struct whorl__fiber *from, struct whorl__fiber *to,
					       void *value);

/* Runs `to` and returns, when someone switches back here, the value given there. */
static inline void *whorl__fiber_switch(struct whorl__fiber *to, void *value)
{
	struct whorl__fiber *from = whorl__fiber_current;

	if (WHORL__UNLIKELY((from->flags | to->flags) != 0))
		return whorl__fiber_switch_slow(from, to, value);
	whorl__fiber_current = to;
	return whorl__switch(&from->sp, to->sp, value);
}

/* The same, and the value given there is an int. */
static inline int whorl__fiber_switch_int(struct whorl__fiber *to, void *value)
{
	struct whorl__fiber *from = whorl__fiber_current;

	if (WHORL__UNLIKELY((from->flags | to->flags) != 0))
		return whorl__fiber_switch_slow_int(from, to, value);
	whorl__fiber_current = to;
	return whorl__switch_int(&from->sp, to->sp, value);
}

/* The same for a fiber that will never run again. Whoever runs next may put its stack back. */
WHORL__HIDDEN _Noreturn void whorl__fiber_exit(struct whorl__fiber *to, void *value);

/* Where a stopped fiber goes on: behind the call that stopped it, or if that had something left to
 * do, inside. NULL: not known. For reports. */
WHORL__HIDDEN const void *whorl__fiber_place(const struct whorl__fiber *f);

/* For the owner of a stopped fiber that will never run again and did not exit, before its stack is
 * put back. */
WHORL__HIDDEN void whorl__fiber_drop(struct whorl__fiber *f);

/* ----------------------------------------------------------------------------------- sanitizers
 *
 * What a program was built with is looked for when it runs: src/sanitizer.h. */
#define WHORL__WEAK __attribute__((weak))
WHORL__WEAK void __lsan_register_root_region(const void *low, size_t size);
WHORL__WEAK void __tsan_acquire(void *at);
WHORL__WEAK void __tsan_release(void *at);

/* It follows pointers in what malloc gave, and not in what else is mapped. */
static inline bool whorl__lsan_present(void)
{
	return __lsan_register_root_region != NULL;
}

/* What was done before a release was done before what comes after the acquire of the same address
 * that follows it: for TSan, which sees no atomic operation of a library that is not built with
 * it. */
static inline void whorl__tsan_release(void *at)
{
	if (WHORL__UNLIKELY(__tsan_release != NULL))
		__tsan_release(at);
}

static inline void whorl__tsan_acquire(void *at)
{
	if (WHORL__UNLIKELY(__tsan_acquire != NULL))
		__tsan_acquire(at);
}

/* --------------------------------------------------------------------------------- overflow report
 *
 * While a thread watches, a SIGSEGV in the guard below the running fiber ends the program with a
 * message that names it; every other SIGSEGV goes where it went before. The handler is installed
 * with the first watch of the process, only where the disposition is SIG_DFL, on an alternate
 * stack, and removed with the last. Calls nest. -ENOMEM.
 *
 * unwatch_later counts down like unwatch but leaves all in place, for the next watch, the next
 * unwatch or the thread's end: the system calls would cost more than all else in the life of a
 * short raw coroutine. */
WHORL__HIDDEN int whorl__overflow_watch(void);
WHORL__HIDDEN void whorl__overflow_unwatch(void);
WHORL__HIDDEN void whorl__overflow_unwatch_later(void);
/* Set by a loop that was told to leave SIGSEGV alone, while it runs: watches of this thread then
 * install no handler. The alternate stack is there in any case, for handlers of the user's. */
extern WHORL__HIDDEN WHORL__TLS bool whorl__overflow_leave_alone;
/* Says what `f` did to its stack ("ran into the guard below") and aborts. */
WHORL__HIDDEN _Noreturn void whorl__overflow_report(const struct whorl__fiber *f, const char *how);

#endif
