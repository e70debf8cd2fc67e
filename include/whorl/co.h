/* whorl/co.h - coroutines that sleep, have deadlines and can be cancelled, many on one thread.
 *
 * A coroutine is a C function on a stack of its own. Where it would have to wait it suspends, and
 * others run. What limits a wait is said outside of it: a scope is a stretch of code that has a
 * deadline or can be cancelled, and once that happens every waiting call within it, however deep,
 * returns -ECANCELED, until the code has unwound to the end of the scope. There, and only there,
 * the -ECANCELED becomes -ETIMEDOUT. A group is a scope with coroutines of its own: it ends when
 * the last of them has ended, so none outlives the code that started it. After N. J. Smith,
 * "Timeouts and cancellation for humans" and "Notes on structured concurrency", both 2018.
 *
 *	static int fetch(void *arg)
 *	{
 *		return co_sleep(CO_SEC(3));			// any work that waits
 *	}
 *	static int app(void *arg)
 *	{
 *		int rc = co_timeout(CO_MS(500), fetch, arg);
 *
 *		if (rc == -ETIMEDOUT)
 *			puts("no answer within half a second");
 *		return rc;
 *	}
 *	int main(void) { return co_run(app, NULL, NULL, NULL) < 0; }
 *
 * Rules that hold for every call, and are not repeated at each:
 *
 * Results. 0 or a count on success, a negative errno on failure; errno itself is neither set nor
 *   read, and is not kept for a coroutine across a suspension. A NULL where none is allowed gives
 *   -EINVAL, or false, or does nothing; at a begin it is misuse. A result marked
 *   CO_MUST_CHECK is dropped with co_ignore() or not at all.
 * Cancellation points. Only these calls give -ECANCELED because of a cancelled scope. They look for
 *   one first, before any effect, and go on failing as long as it lasts: whoever ignores one
 *   -ECANCELED meets the next. An operation has one outcome: if it was completed before the cancel,
 *   it succeeded, and the next cancellation point tells of the cancel. Calls that are no
 *   cancellation points work as ever in a cancelled scope, so that cleanup can use them. -ECANCELED
 *   means nothing else, with one exception: a spawn that is refused because its group is cancelled
 *   or its runtime ends.
 * Time. co_ns is nanoseconds. `abs` is a point on the runtime's clock (that of co_now), `dur`
 *   starts at the call, which reads the clock. Sums saturate. A dur <= 0 or an abs <= now is due at
 *   once: no negative number means for ever. CO_FOREVER does, also when a sum reaches it. A *_until
 *   call tries first: what can be had at once succeeds, even if abs has passed; after that it gives
 *   -ETIMEDOUT. A cancelled scope comes before both. (The real clock is not read for an abs more
 *   than a second after the last reading: such a call waits till the loop looks, and may still
 *   succeed.)
 * Ownership. Scopes and groups are the caller's, anywhere in memory, and stay in place from begin
 *   to end. Names, options and attributes are copied; `arg` is passed on untouched.
 * Threads. All of this belongs to the thread that runs the runtime: nothing here may be called for
 *   a runtime from another thread or a signal handler, except co_post and co_scope_cancel_remote.
 *   Several threads may have one runtime each.
 * Inside and outside. A thread is inside a runtime while co_run, co_loop_run_once or co_loop_close
 *   runs on it. Outside, calls that suspend give -EPERM. What is passed to another runtime than its
 *   own is misuse (CO_MISUSE_LOOP), -EXDEV.
 * Fork. In the child of fork(2) the runtimes are the parent's, and nothing that the child does
 *   reaches them: it is outside of them, calls that suspend and those on a co_loop give -EPERM,
 *   references are stale (-ESRCH), and their descriptors are closed in it. Also from within a
 *   coroutine it may run runtimes of its own, exec or exit. A coroutine, or a function that the
 *   loop called, that returns in the child ends it (abort(3)); scopes and groups that are open
 *   there are not to be ended. All descriptors of the library are closed on exec.
 * Misuse. Calls a hook that by default ends the program: see enum co_misuse, where it is said what
 *   happens if the hook returns. Outside there is only the default.
 * Cost. O(1), and no allocation, unless something else is said.
 *
 * In this file: time; the runtime and its options; loops as guests; sleeping and yielding; scopes;
 * coroutines; groups; figures; the virtual clock. Included with it: <whorl/coro.h>, attributes, raw
 * coroutines and generators; <whorl/sync.h>, mutexes and the like; <whorl/chan.h>, channels and
 * select; <whorl/io.h>, descriptors; <whorl/work.h>, functions that block; <whorl/pace.h>, tickers
 * and limiters. A generator may suspend: then the coroutine that called co_gen_next does.
 */
#ifndef WHORL_CO_H
#define WHORL_CO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <whorl/coro.h>

#if defined(__GNUC__)
#pragma GCC visibility push(default) /* the library is built with -fvisibility=hidden */
#endif
#ifdef __cplusplus
extern "C" {
#endif

/* --------------------------------------------------------------------------------------- time */

#if defined(__GNUC__)
#define CO_MUST_CHECK __attribute__((warn_unused_result))
#else
#define CO_MUST_CHECK
#endif

/* A duration, or a point on the runtime's clock; nanoseconds. */
typedef int64_t co_ns;
#define CO_US(x)	((co_ns)((x) * INT64_C(1000)))
#define CO_MS(x)	((co_ns)((x) * INT64_C(1000000)))
#define CO_SEC(x)	((co_ns)((x) * INT64_C(1000000000)))
#define CO_FOREVER	INT64_MAX	/* never due; no timer is armed for it */

/* Says that a result is dropped on purpose: co_ignore(co_scope_end(&s, 0)). */
static inline void co_ignore(long result) { (void)result; }

/* The body of a coroutine, or of a call in a scope. By convention the result is >= 0 for success
 * and a negative errno for failure; groups and reports go by that. */
typedef int co_fn(void *arg);

/* -------------------------------------------------------------------------------- the runtime */

/* The clock of a runtime; never the wall clock. One that steps back stands still until it has made
 * up for it. See clock_gettime(2). */
enum co_clock {
	CO_CLOCK_MONOTONIC,		/* does not count the time a machine is suspended */
	CO_CLOCK_BOOTTIME,		/* counts it: what fell due meanwhile is due on resume */
	CO_CLOCK_VIRTUAL		/* for tests: starts at 0 and jumps to the next timer when
					 * there is nothing else to do. See the end of this file. */
};

/* Mistakes of the program. The hook gets a text, and as `site` the code that made the mistake (see
 * co_site_format). The default prints both and aborts. If the hook returns, this happens:
 *
 * SCOPE_ORDER	a scope is ended before one inside it: the inner ones are closed as cancelled, then
 *		this is a proper end. Their own ends, when they come, are silent and return their
 *		rc.
 * SCOPE_OWNER	a scope is ended by a coroutine that did not begin it: -EINVAL, nothing changed.
 * SCOPE_STATE	a scope is begun that is open, ended or was never initialised; one is ended that is
 *		not open, or is a copy; the result of an open one is asked for; a scope is begun
 *		outside a coroutine, or with an unknown flag: -EINVAL where there is a result,
 *		nothing changed.
 * SCOPE_LEAKED	a coroutine returned from the function whose frame holds an open scope (noticed
 *		later, for scopes on its own stack), or ends with one: closed as cancelled, inner
 *		ones first.
 * GROUP	a group is ended by a coroutine that did not begin it, or twice; begun outside a
 *		coroutine; used and was never begun: -EINVAL, nothing changed. Or its owner returns
 *		and leaves it open: the children are cancelled and awaited.
 * MUTEX	a lock is released by one that does not hold it, a condition waited for without its
 *		mutex: -EPERM, nothing changed. Or a coroutine returns with a mutex locked: it stays
 *		locked.
 * CALLBACK	a call that suspends, in a function that the loop calls, such as a hook: -EPERM.
 * LOOP		an object of another runtime: -EXDEV.
 * SHIELD	a shield without an end: see co_shield and co_scope_begin_shield. */
enum co_misuse {
	CO_MISUSE_SCOPE_ORDER = 1,
	CO_MISUSE_SCOPE_OWNER,
	CO_MISUSE_SCOPE_STATE,
	CO_MISUSE_SCOPE_LEAKED,
	CO_MISUSE_GROUP,
	CO_MISUSE_MUTEX,
	CO_MISUSE_CALLBACK,
	CO_MISUSE_LOOP,
	CO_MISUSE_SHIELD
};

/* What the runtime noticed and somebody should know of. Never ends the program. */
enum co_report {
	CO_REPORT_STORM = 1,		/* one coroutine ignored 10 000 -ECANCELED in a row */
	CO_REPORT_STUCK_CHILD,		/* cancelled, it runs on after options.watchdog */
	CO_REPORT_STUCK_AT_EXIT,	/* detached, it runs on after options.grace */
	CO_REPORT_SPIN,			/* virtual clock: someone always runs, so time stands */
	CO_REPORT_DEADLOCK,		/* who waits where; see co_run */
	CO_REPORT_DETACHED_ERROR	/* a detached coroutine returned an error */
};

/* Where the runtime's memory comes from, except stacks, which are mapped. What the runtime has not
 * needed for 5 to 10 s, stacks and this, goes back, but for what the peak of that time needs and a
 * little more (docs/core.md). alloc returns memory that
 * suits any object of that size, or NULL; free gets the size that alloc got. Both are called on the
 * loop's thread; if loops of several threads share an allocator, it must be thread-safe. Neither
 * may call the runtime. */
struct co_alloc {
	void *(*alloc)(size_t size, void *ctx);
	void (*free)(void *ptr, size_t size, void *ctx);
	void *ctx;
};

/* How a runtime is made. All zero: the defaults. Copied; what ctx pointers point to must last as
 * long as the runtime. -EINVAL: a negative duration, an unknown clock or flag, one allocator
 * function without the other, or attributes that co_spawn_with would refuse. */
struct co_options {
	enum co_clock clock;
	co_ns (*now)(void *ctx); /* read in place of the clock, for tests; calls nothing of
					 * the library. NULL = the real one. A virtual clock takes
					 * its start from it */
	void *now_ctx;
	struct co_alloc alloc;		/* NULL functions = malloc and free; large pieces: mmap */
	struct co_attr attr;		/* of coroutines that are spawned without, and of main */
	co_ns grace;			/* for detached coroutines at the end; 0 = 5 s */
	co_ns slack;			/* timers may be late by it, to share a wake; 0 = only as
					 * far as wakes come more often than each 100 us */
	co_ns watchdog;			/* see CO_REPORT_STUCK_CHILD; 0 = 10 s */
	/* The hooks run on the loop's thread, perhaps on a coroutine's stack. `text` is theirs
	 * until they return; `site` may be NULL. */
	void (*on_misuse)(enum co_misuse kind, const char *text, const void *site, void *ctx);
					/* NULL: print to stderr, abort */
	void (*on_report)(enum co_report kind, const char *text, const void *site, void *ctx);
					/* NULL: print to stderr */
	void *hook_ctx;			/* the hooks' ctx */
	unsigned flags;			/* CO_OPT_* */
	uintptr_t spare[8];		/* zero */
};
#define CO_OPT_NO_GUARD_PROBE	1u	/* guard stacks as on kernels without MADV_GUARD_INSTALL */
#define CO_OPT_NO_SEGV_REPORT	2u	/* leave SIGSEGV alone: no report of a stack overflow. The
					 * alternate signal stack is made all the same */
/* Wishes for what the loop waits with. It is epoll(7) in any case so far: there is no engine on
 * io_uring(7) yet, and a wish for it is passed over. */
#define CO_OPT_POLL_ENGINE_EPOLL 4u
#define CO_OPT_POLL_ENGINE_URING 8u

/* Makes a runtime on this thread, runs main_fn(arg) as its first coroutine and everything that one
 * spawns, and returns when all have ended. opt NULL: the defaults. exit_code, if not NULL, gets
 * what main_fn returned, if it did.
 *
 * When main_fn has returned, detached coroutines are cancelled and get options.grace to end.
 *
 * In a pass of the loop, descriptors come first, then posts, then timers: in order of their
 * deadlines, at one instant sleeps and *_until calls before the deadlines of scopes; a loop that is
 * late keeps that order. Then runs, in FIFO order, each coroutine that was runnable when the pass
 * began. On the real clock the loop looks at the time at least every 64 switches, so that
 * coroutines that only yield delay no timer by more; a coroutine that computes without a call
 * delays all others. No timer is ever early.
 *
 * 0		all have ended.
 * -ETIMEDOUT	a detached coroutine was still there after the grace: reported, its memory kept.
 * -EDEADLK	a deadlock: every coroutine waited, and no timer, descriptor, work or reference that
 *		another thread has was left to wake one. Reported, with who waited where; then main
 *		and the detached were cancelled (CO_CAUSE_SHUTDOWN, EDEADLK) and unwound. exit_code
 *		is main's, as ever.
 * -EBUSY	the thread is inside a runtime already.
 * -EINVAL	no main_fn, or bad options.
 * -ENOMEM	or the errno of a system call: it did not start.
 *
 * Suspends: no; it blocks the thread. Cancellation point: no. */
CO_API_ int co_run(co_fn *main_fn, void *arg, const struct co_options *opt, int *exit_code);

/* A runtime whose thread has an event loop of its own, of which it is a guest; co_run is written
 * with these calls. All of them come from the thread that opened the loop, and from outside
 * coroutines. The host repeats:
 *
 *	poll co_loop_fd(l) for reading, for at most co_loop_timeout(l);
 *	while (co_loop_run_once(l) > 0)
 *		;	// or once, and look after its own affairs in between
 *
 * Suspends: no. Cancellation point: no (all of them). */
typedef struct co_loop co_loop;

/* Makes a runtime that runs nothing yet. *out is NULL on failure: -EBUSY, -EINVAL, -ENOMEM, or the
 * errno of a system call, as for co_run. */
CO_API_ int co_loop_open(co_loop **out, const struct co_options *opt);

/* Spawns fn(arg) as a detached coroutine; it runs from the next co_loop_run_once on. -ENOMEM;
 * -ECANCELED: the loop is being closed. */
CO_API_ int co_loop_spawn(co_loop *l, co_fn *fn, void *arg);

/* One pass: what is due and runnable now. Does not wait. 1 or more: there is more to do now; 0: not
 * before the fd is readable or the timeout is over. -EBUSY: the thread is inside a runtime. */
CO_API_ int co_loop_run_once(co_loop *l);

/* A file descriptor, readable when something has happened that co_loop_run_once should see. The
 * loop's: neither read nor close it. */
CO_API_ int co_loop_fd(const co_loop *l);

/* How long from now until co_loop_run_once has work: 0 now, CO_FOREVER not before something
 * happens. Round it up, where the host has a coarser unit. */
CO_API_ co_ns co_loop_timeout(const co_loop *l);

/* How many coroutines have not ended. */
CO_API_ size_t co_loop_live(const co_loop *l);

/* Cancels all coroutines, runs the loop until they have ended, at most for options.grace, and frees
 * it. Blocks the thread meanwhile. 0, or -ETIMEDOUT: some would not end; reported, their memory
 * kept, the loop is gone all the same. -EBUSY: called inside a runtime; nothing happened. */
CO_API_ int co_loop_close(co_loop *l);

/* ------------------------------------------------------------------------------ other threads
 *
 * The only calls that other threads and signal handlers may make to a runtime are co_post and
 * co_scope_cancel_remote. They use atomics and at most one write to an eventfd; they never wait,
 * and allocate nothing. */

/* A runtime, for other threads. Once one was asked for, the runtime is never held to be deadlocked:
 * somebody may come. */
typedef struct {
	uint64_t id;
} co_loop_ref;

/* The runtime that this thread is inside of. id 0: outside, or out of memory or descriptors.
 * Suspends: no. Cancellation point: no. */
CO_API_ co_loop_ref co_loop_self(void);

/* A function to be called on the loop's thread, before its coroutines run. The caller's memory,
 * zeroed once; the library's from co_post until fn is entered, and fn may post it again or free it.
 * fn must not suspend: calls that would are misuse (CALLBACK) and give -EPERM there. */
struct co_post_node {
	void (*fn)(struct co_post_node *self);
	uintptr_t private_[3];
};

/* Has the loop call node->fn(node), in the order of posting. What was accepted is called, at the
 * latest before co_run or co_loop_close returns. 0; -EBUSY: the node is queued already; -ESRCH: the
 * runtime is gone; -EINVAL.
 * Any thread, any signal handler. Suspends: no. Cancellation point: no. */
CO_API_ int co_post(co_loop_ref to, struct co_post_node *node);

/* ---------------------------------------------------------------------- sleeping and yielding */

/* The time: a read of the clock. Outside a runtime: CLOCK_MONOTONIC.
 * Suspends: no. Cancellation point: no. */
CO_API_ co_ns co_now(void);

/* The time when this pass of the loop last read the clock: at most co_now(), and cheaper. Nothing
 * is reckoned from it by this library. Outside a runtime: as co_now.
 * Suspends: no. Cancellation point: no. */
CO_API_ co_ns co_loop_now(void);

/* Wait for `dur` from now, or until `abs`: never less. CO_FOREVER: until cancelled. Already due: as
 * co_yield_now. 0, -ECANCELED, -EPERM outside.
 * Suspends: yes. Cancellation point: yes. */
CO_API_ int co_sleep(co_ns dur);
CO_API_ int co_sleep_until(co_ns abs);

/* Lets the others that are runnable run, in a cancelled scope too, and looks for a cancel only
 * afterwards. 0, -ECANCELED, -EPERM outside.
 * Suspends: yes. Cancellation point: yes. */
CO_API_ int co_yield_now(void);

/* Looks for a cancel, for loops that compute. At each 64th call, and at the first since the
 * coroutine last waited, it reads the clock and lets the coroutine's own scopes expire. 0,
 * -ECANCELED, -EPERM outside.
 *
 * The other cancellation points take care of fairness themselves: after 64 in a row that did not
 * have to wait, the next lets one pass of the loop go by.
 * Suspends: no. Cancellation point: yes. */
CO_API_ int co_checkpoint(void);

/* -------------------------------------------------------------------------------------- scopes
 *
 * Scopes nest in each coroutine, last begun first ended, groups among them. The outermost one of a
 * coroutine comes with it and lies in the scope of its group; that of a detached one in the scope
 * of the runtime.
 *
 * A scope is cancelled by its deadline, by a call, by a child of its group, or by the end of the
 * runtime. The first of these is the cause and stays it; nothing undoes it. A coroutine is
 * cancelled while any of the scopes it is in is: it looks from the innermost outward, and not
 * beyond the first shield.
 *
 * Deadlines take effect when the loop looks at its timers, and in co_scope_begin*, co_scope_rearm,
 * co_scope_set_deadline and co_checkpoint. No other call reads the clock for them. */

/* The caller's. Starts as all zero, and is good for one begin and end: before another it is
 * initialised again. The library keeps what it needs with the coroutine, so that a forgotten end,
 * or a cancel that comes too late, never writes to memory that is something else by now. All
 * private. */
typedef struct co_scope {
	uint16_t magic_;		/* which state it is in; 0: fresh */
	uint8_t kind_;			/* of the cause: before begin and after end */
	uint8_t bits_;
	uint32_t loop_;			/* where it was begun: the runtime, */
	void *node_;			/* the place in its tree, */
	uint64_t gen_;			/* and who has had that place since */
	co_ns preset_;			/* deadline set before begin */
	const void *site_;		/* of the cause */
	int err_;
	const void *self_;		/* this object: tells a copy */
	uintptr_t spare_[1];
} co_scope;
#define CO_SCOPE_INIT	{ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, { 0 } }
#define CO_SHIELD	1u

enum co_cause_kind {
	CO_CAUSE_NONE,			/* not cancelled */
	CO_CAUSE_DEADLINE,
	CO_CAUSE_EXPLICIT,		/* a call; or no memory for the scope, err ENOMEM */
	CO_CAUSE_SIBLING,		/* a child of the group failed, or won */
	CO_CAUSE_SHUTDOWN		/* the runtime ends, or is deadlocked */
};
struct co_cause {
	enum co_cause_kind kind;
	int err;			/* EXPLICIT: what the call gave. SIBLING: the child's errno;
					 * 0 of a winner. SHUTDOWN: EDEADLK or 0. Never negative */
	const void *site;		/* EXPLICIT: the call. DEADLINE: where the scope began.
					 * SIBLING: where that child was spawned. May be NULL */
	uintptr_t spare[4];
};

/* Calls fn(arg) in a scope that expires after `dur`, in the same coroutine. fn is always called,
 * and runs at least to its first cancellation point, even if dur <= 0. Returns what co_scope_end
 * makes of its result: fn's own, or -ETIMEDOUT if the deadline was what ended it. (An -ETIMEDOUT of
 * fn's own looks the same: with a scope, co_scope_caught tells.) -EPERM outside a coroutine: fn is
 * not called.
 * Suspends: no; fn may. Cancellation point: no. */
CO_API_ int co_timeout(co_ns dur, co_fn *fn, void *arg) CO_MUST_CHECK;

/* Calls fn(arg) behind a shield, for cleanup that has to wait: cancels from outside do not reach
 * it, `dur` still ends it. Returns as co_timeout. A dur that never ends is misuse
 * (CO_MISUSE_SHIELD): -EINVAL, fn is not called.
 * Suspends: no; fn may. Cancellation point: no. */
CO_API_ int co_shield(co_ns dur, co_fn *fn, void *arg);

/* Begin a scope in this coroutine: with a deadline in `dur`, at `abs`, or as a shield, which is
 * begin_at with CO_SHIELD. CO_FOREVER: no deadline. A deadline that is due cancels the scope at
 * once; the body still runs, to its first cancellation point. A deadline, or a cancel, that was set
 * before counts too, the earlier of the two deadlines.
 *
 * A shield hides the scopes around it from those inside. Its own deadline, and the scopes inside
 * it, work as ever. It must have an end: CO_FOREVER is misuse (CO_MISUSE_SHIELD), and if that
 * returns, there is no scope: ending it returns rc, the body of a block is skipped.
 *
 * Beginning never fails. The first few scopes of a coroutine need no memory; where there is none
 * for a further one, it is born cancelled with ENOMEM, and its end turns the -ECANCELED into
 * -ENOMEM. The timer wheel is not touched before the coroutine waits.
 * Suspends: no. Cancellation point: no. */
CO_API_ void co_scope_begin(co_scope *s, co_ns dur);
CO_API_ void co_scope_begin_at(co_scope *s, co_ns abs, unsigned flags);
CO_API_ void co_scope_begin_shield(co_scope *s, co_ns dur);

/* Ends the scope, by the coroutine that began it. rc is the result of what was done in it. Whose an
 * -ECANCELED is, is decided here, by the first line that applies:
 *
 *	rc is not -ECANCELED				rc
 *	s is no shield, and the coroutine is cancelled
 *	from outside as well				-ECANCELED: the outer scope will answer it
 *	the deadline of s expired			-ETIMEDOUT
 *	s was cancelled, with err			-err; 0 if err is 0
 *	nobody was cancelled				-ECANCELED
 *
 * So when several deadlines are due together, the outermost one gives -ETIMEDOUT, always, unless a
 * shield lies between. -EINVAL: misuse.
 * Suspends: no. Cancellation point: no. */
CO_API_ int co_scope_end(co_scope *s, int rc) CO_MUST_CHECK;

/* The same answer for a scope that a block (co_with_timeout) has ended, as of the moment in which
 * it did. -EINVAL: misuse, the scope is still open.
 * Suspends: no. Cancellation point: no. */
CO_API_ int co_scope_result(co_scope *s, int rc) CO_MUST_CHECK;

/* Move the deadline, to `abs` or to `dur` from now; by any coroutine of the runtime. CO_FOREVER:
 * none, not allowed for a shield (misuse, -EINVAL). One that is due cancels the scope at once.
 * Before begin they only store, the last one holds, and a dur starts at begin. To move a deadline
 * later costs a store: an idle timeout may do so at every byte.
 *
 * -EALREADY	too late: the scope is cancelled, or its old deadline was due when the call looked.
 * -ESRCH	the scope has ended.
 *
 * Suspends: no. Cancellation point: no. */
CO_API_ int co_scope_set_deadline(co_scope *s, co_ns abs);
CO_API_ int co_scope_rearm(co_scope *s, co_ns dur);

/* Cancels the scope, by any coroutine of the runtime or in a hook. err: an errno, which
 * co_scope_end will return, negated; or 0, to stop without an error. Runs nobody: who waits in the
 * scope is made runnable, in the order in which they were spawned. Before begin: takes effect
 * there. 0, also if it was cancelled already, which changes nothing. O(scopes and coroutines
 * inside).
 *
 * -ESRCH	the scope has ended.
 * -EINVAL	err is negative, ECANCELED or ETIMEDOUT.
 *
 * Suspends: no. Cancellation point: no. */
CO_API_ int co_scope_cancel(co_scope *s, int err);

/* Whether s itself, not one outside it, was cancelled; and whether s turned an -ECANCELED into its
 * own result: where `caught` is true, s answered for it. Both keep their answer after the end.
 * Suspends: no. Cancellation point: no. */
CO_API_ bool co_scope_cancelled(const co_scope *s);
CO_API_ bool co_scope_caught(const co_scope *s);

/* The earliest deadline that this coroutine can see, and how long that is from now, never negative.
 * None, or outside: CO_FOREVER. In a cancelled scope: at most co_now(), and 0. O(scopes of the
 * coroutine and of the groups around it).
 * Suspends: no. Cancellation point: no. */
CO_API_ co_ns co_deadline(void);
CO_API_ co_ns co_time_left(void);

/* Why this coroutine is cancelled: the cause of the outermost of its cancelled scopes that it can
 * see. Why s was cancelled, also after its end. 0; -ENOENT and kind CO_CAUSE_NONE: not cancelled,
 * or the first outside. -EPERM, likewise: an open scope, asked for outside.
 * Suspends: no. Cancellation point: no. */
CO_API_ int co_cancel_cause(struct co_cause *out);
CO_API_ int co_scope_cause(const co_scope *s, struct co_cause *out);

/* Writes what code a site is: "symbol+offset", or more, where that can be had, else its address;
 * "?" for NULL. Cut at `size` bytes, always terminated; size 0: buf may be NULL. Returns the length
 * of the whole, like snprintf(3). Slow, for messages: it searches the symbols of the program
 * (dladdr(3)). On any thread, inside or outside.
 * Suspends: no. Cancellation point: no. */
CO_API_ int co_site_format(const void *site, char *buf, size_t size);

/* A scope around a block, ended however the block is left: at its end, by return, goto, break or
 * continue. The last two leave the block, not a loop around it. The scope is initialised by the
 * macro: blocks in a loop may use the same one, and nothing set before counts.
 *
 *	co_with_timeout(&s, CO_MS(100))
 *		rc = fetch(arg);
 *	rc = co_scope_result(&s, rc);
 *
 * Suspends: no. Cancellation point: no. */
struct co_block_ { co_scope *scope; int once; };	/* the macros' own, as are the two calls */
CO_API_ struct co_block_ co_block_enter_(co_scope *s, co_ns dur, unsigned flags);
CO_API_ void co_block_leave_(struct co_block_ *b);
#define CO_PASTE2_(a, b) a##b
#define CO_PASTE_(a, b) CO_PASTE2_(a, b)
#define CO_BLOCK_(s, dur, flags, b) \
	for (struct co_block_ b __attribute__((cleanup(co_block_leave_))) = \
		     co_block_enter_((s), (dur), (flags)); \
	     b.once; b.once = 0)
#define co_with_timeout(s, dur) CO_BLOCK_(s, dur, 0u, CO_PASTE_(co_block_, __COUNTER__))
#define co_with_shield(s, dur)	CO_BLOCK_(s, dur, CO_SHIELD, CO_PASTE_(co_block_, __COUNTER__))

/* A scope, for other threads: see "other threads" above. */
typedef struct {
	uint64_t id;
} co_scope_ref;

/* A reference to an open scope; the same one each time. id 0: it is not open, or out of memory.
 * O(1), and a system call when it is the first of the runtime.
 * Suspends: no. Cancellation point: no. */
CO_API_ co_scope_ref co_scope_share(co_scope *s);

/* As co_scope_cancel, from anywhere: the loop cancels the scope in its next pass. 0: recorded, also
 * if it was cancelled in this way before; dropped if the scope ends first. -ESRCH: the scope is
 * over. -EINVAL: no valid err.
 * Any thread, any signal handler. Suspends: no. Cancellation point: no. */
CO_API_ int co_scope_cancel_remote(co_scope_ref ref, int err);

/* ---------------------------------------------------------------------------------- coroutines */

/* Names a coroutine, of any age: once it is gone, calls say so (-ESRCH) and touch nothing. id 0
 * names none. What is kept of a coroutine that has ended, for join: nothing, unless the spawn asked
 * for its reference; then until it is joined or its group ends. Of a detached one, nothing. */
typedef struct { uint64_t id; } co_ref;

/* co_attr.priority. First come, first served within a level. Of sixteen turns in a row that all
 * levels want, HIGH gets twelve, NORMAL three and LOW one; so each runnable coroutine gets its
 * turn, whatever the others do. */
enum { CO_PRIO_HIGH = 1, CO_PRIO_NORMAL = 0, CO_PRIO_LOW = -1 };

typedef struct co_group co_group;

/* Makes a coroutine that runs fn(arg), in group g, or detached with g NULL: the runtime's own,
 * cancelled when main returns. It is put at the end of the run queue, and always starts, even if it
 * is cancelled before: arg is its to release from now on. After an error it never runs and arg
 * stays the caller's. Any coroutine may spawn into any group of its runtime, also while the owner
 * is in co_group_end. *out, if not NULL, gets the reference; id 0 after an error. attr NULL: those
 * of the options.
 *
 * -ECANCELED	the group, or a scope around it, is cancelled; or the runtime ends.
 * -ESHUTDOWN	the group has ended.
 * -EAGAIN	the group is full (co_group_limit).
 * -EINVAL	no fn; a stack larger than can be had, an unknown priority or flag. -ENOMEM.
 * -EPERM	outside.
 *
 * The stack that was given back last is used again; for want of one, memory is mapped.
 * Suspends: no. Cancellation point: no. */
CO_API_ int co_spawn(co_group *g, co_fn *fn, void *arg, co_ref *out) CO_MUST_CHECK;
CO_API_ int co_spawn_with(co_group *g, co_fn *fn, void *arg, co_ref *out,
			  const struct co_attr *attr) CO_MUST_CHECK;

/* The coroutine that runs; inside a generator, the one that called co_gen_next. id 0 outside.
 * Suspends: no. Cancellation point: no. */
CO_API_ co_ref co_self(void);

/* The name it was given, "" if none, NULL if it is gone. Valid until it is gone.
 * Suspends: no. Cancellation point: no. */
CO_API_ const char *co_name(co_ref ref);

/* Cancels the outermost scope of a coroutine. Never runs it: it learns of it at the cancellation
 * point it waits in, or the next one; oneself likewise. err as in co_scope_cancel; it is found in
 * the cause, the exit code is what the coroutine returns. 0, also if it was cancelled already.
 *
 * -ESRCH	it has ended, or outside.
 * -EINVAL	err is negative, ECANCELED or ETIMEDOUT.
 *
 * Suspends: no. Cancellation point: no. */
CO_API_ int co_cancel(co_ref ref, int err);

/* Whether the coroutine is cancelled, or was when it ended: its outermost scope, or one around its
 * group, by whatever cause. False once it is gone.
 * Suspends: no. Cancellation point: no. */
CO_API_ bool co_was_cancelled(co_ref ref);

/* Wait until the coroutine has ended. exit_code, if not NULL, gets what it returned. 0 once, to one
 * joiner; then the reference is stale. To cancel the joiner, or to let it time out, does nothing to
 * the coroutine: it can be joined again.
 *
 * -ECANCELED	the joiner was cancelled. -ETIMEDOUT: abs came first.
 * -ESRCH	it is gone: joined before, or nothing was kept of it.
 * -EBUSY	another one is joining it. -EDEADLK: it is the caller. -EPERM outside.
 *
 * Suspends: yes. Cancellation point: yes. */
CO_API_ int co_join(co_ref ref, int *exit_code) CO_MUST_CHECK;
CO_API_ int co_join_until(co_ref ref, int *exit_code, co_ns abs) CO_MUST_CHECK;

/* One pointer for each coroutine, NULL when it starts, for its own use; the library does not follow
 * it. Outside nothing is stored, and NULL read.
 * Suspends: no. Cancellation point: no. */
CO_API_ void co_set_local(void *ptr);
CO_API_ void *co_local(void);

/* Bytes of stack ever written, to size stacks by; by this coroutine or by those that had the same
 * stack before it. 0 if it has ended. Slow: it asks the kernel, unless the stack is a small one.
 * Suspends: no. Cancellation point: no. */
CO_API_ size_t co_stack_used(co_ref ref);

/* -------------------------------------------------------------------------------------- groups
 *
 * A group is a scope of the coroutine that begins it (its owner) and holds the coroutines spawned
 * into it (the children). What the owner does between begin and end is called the body.
 *
 * A result >= 0 is success. A negative one is an error, of a child or of the body, except
 * -ECANCELED from one that was cancelled: a child whose outermost scope is, by whatever cause; the
 * body if the group's scope is, when co_group_end is called. The mode says what an error or a
 * success does: */
enum co_group_mode {
	CO_GROUP_FAIL_FAST,	/* the first error cancels the other children and the body */
	CO_GROUP_COLLECT,	/* a child's error cancels nothing, the body's the children */
	CO_GROUP_FIRST		/* the first child to succeed wins, and cancels the rest and the
				 * body; an error of the body cancels the children */
};

/* The caller's, from begin until end has returned. All private; needs no initial value. */
struct co_group {
	co_scope scope_;
	uint64_t winner_;		/* the outcome, from the end on */
	int winner_exit_;
	int error_count_, errors_[4];
	uintptr_t spare_[12];
};

/* Begins a group in this coroutine. Like a scope's beginning it never fails: for want of memory it
 * is born cancelled with ENOMEM. An unknown mode is misuse (CO_MISUSE_GROUP).
 * Suspends: no. Cancellation point: no. */
CO_API_ void co_group_begin(co_group *g, enum co_group_mode mode);

/* At most so many children at once; 0 or less: no limit, as at first. Into a full group co_spawn
 * gives -EAGAIN. A higher limit lets in those that wait, a lower one stops nobody.
 * Suspends: no. Cancellation point: no. */
CO_API_ void co_group_limit(co_group *g, int at_most);

/* Waits, in FIFO order, for a place in a group with a limit, and holds it for the caller's next
 * spawn into it. 0 at once if there is no limit.
 *
 * -ECANCELED	the caller, or the group, is cancelled.
 * -ESHUTDOWN	the group has ended.
 * -EPERM	outside.
 *
 * Suspends: yes. Cancellation point: yes. */
CO_API_ int co_group_admit(co_group *g) CO_MUST_CHECK;

/* Spawns fn(arg) and waits until it calls co_started(value); *value, if not NULL, gets that, and
 * the child goes on as any other. If it returns before, the result is its error, or -EPIPE. If the
 * caller is cancelled meanwhile, the child is cancelled and awaited, and the result is -ECANCELED.
 * Else as co_spawn.
 * Suspends: yes. Cancellation point: yes. */
CO_API_ int co_group_start(co_group *g, co_fn *fn, void *arg, int64_t *value) CO_MUST_CHECK;

/* In a child of co_group_start: lets that return. Elsewhere, or again: does nothing.
 * Suspends: no. Cancellation point: no. */
CO_API_ void co_started(int64_t value);

/* Wait until the group has no child left, by any coroutine that is no child of it. 0, also if it
 * has ended.
 *
 * -ECANCELED	the caller is cancelled; the owner also by a child whose exit, be it the last one,
 *		cancels the group.
 * -ETIMEDOUT	abs came first; that cancels nothing.
 * -EDEADLK	the caller is a child of the group. -EPERM outside.
 *
 * Suspends: yes. Cancellation point: yes. */
CO_API_ int co_group_wait(co_group *g) CO_MUST_CHECK;
CO_API_ int co_group_wait_until(co_group *g, co_ns abs) CO_MUST_CHECK;

/* Cancels the group's scope: children and body, all in one pass. As co_scope_cancel, by any
 * coroutine, a child of it included.
 * Suspends: no. Cancellation point: no. */
CO_API_ int co_group_cancel(co_group *g, int err);

/* Ends the group, by its owner. rc is the result of the body. An rc that is an error cancels the
 * children. Waits until the last child has ended, and cannot be cancelled in this; a child that
 * goes on ignoring a cancel is reported (options.watchdog). Then the result is, by mode:
 *
 *	FAIL_FAST	the first error in order of time
 *	COLLECT		rc if it is an error
 *	FIRST		0 if there is a winner; else rc if it is an error; else the first error
 *			of a child
 *
 * and where that names none:
 *
 *	body or child was cut short	-ECANCELED, or what co_scope_end makes of it
 *	else				rc
 *
 * Cut short: it returned -ECANCELED while the group was cancelled, itself or from outside. So if
 * every child finished and rc is 0, the result is 0, even if something outside has been cancelled
 * meanwhile; and a group stopped by co_group_cancel(g, 0) ends with 0, unless something outside was
 * cancelled too. -EINVAL: misuse.
 * Suspends: yes. Cancellation point: no. */
CO_API_ int co_group_end(co_group *g, int rc) CO_MUST_CHECK;

/* How many children ended with an error, of which the first n, at most 4, are stored in order of
 * time, as they were returned. In every mode, also after the end. n 0: out may be NULL. -EINVAL: n
 * is negative.
 * Suspends: no. Cancellation point: no. */
CO_API_ int co_group_errors(const co_group *g, int *out, int n);

/* CO_GROUP_FIRST: which child won, and what it returned; both pointers may be NULL. Also after the
 * end, when the reference is stale but still tells the children apart. -ESRCH: none did.
 * Suspends: no. Cancellation point: no. */
CO_API_ int co_group_winner(const co_group *g, co_ref *who, int *exit_code);

/* Runs n functions as coroutines, fns[i](args[i]), in a group of its own (FAIL_FAST), waits for
 * them, and gives the result of that group: 0, the first error, or -ECANCELED. exits[i] gets what
 * each returned, -ECANCELED for one that was never started. args NULL: all get NULL; exits may be
 * NULL. n 0: 0.
 *
 * -ECANCELED	the caller was cancelled; if before the call, nothing is started or stored.
 * -EINVAL	n is negative, or a function is missing: nothing is started or stored.
 * -ENOMEM	or what a function returned: the others were cancelled. -EPERM outside.
 *
 * Suspends: yes. Cancellation point: yes. */
CO_API_ int co_gather(int n, co_fn *const fns[], void *const args[], int exits[]) CO_MUST_CHECK;

/* ------------------------------------------------------------------------------------- figures */

/* Of a runtime, as of now. */
struct co_stats {
	size_t live;			/* coroutines that have not ended */
	size_t timers;			/* armed in the wheel */
	size_t stacks_madvise;		/* stacks in use whose guard is by MADV_GUARD_INSTALL, */
	size_t stacks_mprotect;		/* ... by mprotect(2), */
	size_t stacks_canary;		/* ... 64 bytes that are looked at when the coroutine stops */
	size_t stack_mapped;		/* bytes of address space of all stacks, guards included */
	uint64_t passes;		/* of the loop, since it was opened */
	uint64_t switches;		/* to a coroutine, since then */
	uint64_t spawned;		/* coroutines, since then */
	size_t stacks_small;		/* stacks in use without a guard: CO_SMALL_STACK */
	uintptr_t spare[7];
};

/* Fills in the figures of the runtime that this thread is inside of. 0; -EPERM outside.
 * Suspends: no. Cancellation point: no. */
#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"	/* it hides the constructor, as stat(2) does */
#endif
CO_API_ int co_stats(struct co_stats *out);
#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

/* --------------------------------------------------------------------------- the virtual clock
 *
 * With CO_CLOCK_VIRTUAL time stands still while anything is runnable and then jumps to the next
 * timer: a test of an hour takes no time and has the same result each time. Every turn of the run
 * queue is a pass of the loop. These three make time pass by hand, in a coroutine.
 *
 * -EINVAL: a negative duration, or the clock is not virtual. -EBUSY: another of these calls is at
 * work. -EPERM outside. None is a cancellation point. */

/* Lets `dur` pass, timer by timer: at each, all that it wakes run until they wait again.
 * Suspends: yes. Cancellation point: no. */
CO_API_ int co_test_advance(co_ns dur);

/* Moves the clock by `dur` in one go, as a coroutine does that computes for so long: the loop is
 * late then, and finds all that fell due at once.
 * Suspends: no. Cancellation point: no. */
CO_API_ int co_test_stall(co_ns dur);

/* Lets the others run until all wait. Time stands.
 * Suspends: yes. Cancellation point: no. */
CO_API_ int co_test_settle(void);

#ifdef __cplusplus
}
#endif

#include <whorl/sync.h>
#include <whorl/io.h>
#include <whorl/work.h>
#include <whorl/chan.h>
#include <whorl/pace.h>

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#endif
