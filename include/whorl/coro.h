/* whorl/coro.h - stackful coroutines without a scheduler: raw coroutines and generators.
 *
 * A coroutine is a function on a stack of its own that can stop in the middle and go on later. Here
 * the caller does the scheduling: it resumes a coroutine and gets control back when that suspends
 * or ends. Coroutines that sleep, wait and have deadlines are in <whorl/co.h>.
 *
 * Results: 0 or a count on success, a negative errno on failure; errno itself is neither set nor
 * read. (It is the thread's, not the coroutine's: read it before anything else can run.) A
 * coroutine belongs to the thread that created it: every call on it comes from there. No call needs
 * a runtime; none suspends its caller, except co_raw_suspend and co_gen_emit, which is what they
 * are for; none is a cancellation point; none may be made from a signal handler.
 *
 * Stacks have a guard of 64 KiB below them where the kernel can provide it. A stack overflow ends
 * the program with SIGSEGV and a message on stderr that names the coroutine, its stack size and
 * where it was created. For that the library handles SIGSEGV, if its disposition is SIG_DFL, from
 * the first coroutine of a thread until the thread ends; what is no overflow is passed on.
 * docs/core.md tells what happens where there are no guards.
 *
 * A C++ exception must not leave a coroutine's function: nobody is there to catch it, so that
 * std::terminate is called. */
#ifndef WHORL_CORO_H
#define WHORL_CORO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A call without the stub of the procedure linkage table, by gcc on x86-64: 1 ns less, and no first
 * call that looks the name up, for which a coroutine's stack needs 3.3 KiB. */
#if defined(__x86_64__) && defined(__has_attribute)
#if __has_attribute(noplt)
#define CO_API_ __attribute__((noplt))
#endif
#endif
#ifndef CO_API_
#define CO_API_
#endif

#if defined(__GNUC__)
#pragma GCC visibility push(default) /* the library is built with -fvisibility=hidden */
#endif
#ifdef __cplusplus
extern "C" {
#endif

/* How a coroutine is made. All zero: the defaults. */
struct co_attr {
	const char *name;   /* shown in reports; copied, cut at 31 bytes */
	size_t stack_size;  /* bytes usable, rounded up; 0 = 64 KiB */
	int priority;	    /* scheduler only; CO_PRIO_* */
	unsigned flags;	    /* CO_KEEP_FPENV, CO_KEEP_CXX_EH, CO_SMALL_STACK */
	uintptr_t spare[4]; /* zero */
};

/* The FP control words (x86: MXCSR and the x87 control word, aarch64: FPCR) belong to the thread,
 * and who changes the rounding mode in a coroutine changes it for all. With this flag the coroutine
 * has its own, at first those in force when it was created, and nobody else sees them. Costs about
 * 3 ns at each switch to or from the coroutine. */
#define CO_KEEP_FPENV 1u

/* The same for the C++ runtime's record of exceptions that are being handled. A coroutine that can
 * suspend within a catch block needs it. Without effect where no C++ runtime was loaded before this
 * library. Costs about 6 ns at each switch to or from the coroutine. */
#define CO_KEEP_CXX_EH 2u

/* A small stack without a guard, packed with others into pages: stack_size is rounded up to 1, 2,
 * 4, 8 or 16 KiB (0 = 4 KiB), and memory is used for little more than that. For great numbers of
 * coroutines whose code is known; co_stack_used and co_raw_stack_used tell how much it needs. A
 * larger stack_size makes an ordinary stack, as if the flag were not there, and so does a build
 * with a sanitizer, or one for a CPU that has no switch of its own (docs/porting.md).
 *
 * An overflow is found when the coroutine next stops or ends, by the 64 bytes below the stack; by
 * then it may have written to a neighbour. The program ends with SIGABRT and the same message.
 *
 * What needs more than it seems: the first call of each function of a shared library, 3.3 KiB,
 * unless the program is linked with -Wl,-z,now; printf and its kin, 2 KiB and more; a signal
 * handler, 3.2 KiB and its own frames, unless it is installed with SA_ONSTACK: each thread that
 * runs coroutines has an alternate signal stack, the library's of 64 KiB if it had none. */
#define CO_SMALL_STACK 4u

/* ------------------------------------------------------------------------------- raw coroutines */

struct co_raw;

/* The body. It gets what the first resume passes in; what it returns is the last value out. */
typedef void *co_raw_fn(void *first_value);

enum co_raw_state {
	CO_RAW_NEW,	/* was never resumed */
	CO_RAW_RUNNING, /* is running, or has resumed another one that is */
	CO_RAW_SUSPENDED,
	CO_RAW_DONE /* the body has returned */
};

/* Makes a coroutine that will run `fn`; nothing of it runs yet. `attr`: NULL for the defaults; it
 * and the name in it are copied. Stack sizes are rounded up to a power of two, at least 16 KiB.
 * *out is the caller's until co_raw_destroy.
 *
 *	0
 *	-EINVAL		out or fn is NULL, a flag is unknown, or the stack is larger than 8 GiB, on
 *			32-bit CPUs 512 MiB
 *	-ENOMEM		no address space for the stack, or for an alternate signal stack
 *
 * Cost: about 30 ns with a stack that was used before, else also some system calls. */
CO_API_ int co_raw_create(struct co_raw **out, co_raw_fn *fn, const struct co_attr *attr);

/* Runs the coroutine until it suspends or ends. `in` is what its co_raw_suspend returns, or, when
 * it is new, the argument of its body. *out, unless out is NULL, is the value that comes out; it is
 * left alone on errors. Calls nest: a coroutine may resume others.
 *
 *	1		it suspended
 *	0		it ended
 *	-EINVAL		co is NULL, or it is running: itself, or by way of those that it resumed
 *	-ESRCH		it had ended before
 *
 * Cost: about 3 ns, and as much again for the suspend. */
CO_API_ int co_raw_resume(struct co_raw *co, void *in, void **out);

/* Suspends the running coroutine: its co_raw_resume returns 1 and the value `out`. Returns what the
 * next resume passes in. Where no raw coroutine runs there is nothing to suspend: NULL, at once. */
CO_API_ void *co_raw_suspend(void *out);

/* O(1). NULL: CO_RAW_DONE. */
CO_API_ enum co_raw_state co_raw_state(const struct co_raw *co);

/* The high-water mark: bytes of stack that were written so far, at most the size of the stack.
 * Stacks are used again, and an earlier user's mark counts too; what was swapped out does not.
 * NULL: 0. O(stack size), with a system call for each page: to size stacks by, not for each day. */
CO_API_ size_t co_raw_stack_used(const struct co_raw *co);

/* Frees a coroutine that is new, suspended or done. Of a suspended one nothing more runs: what its
 * frames own is not released (co_gen_free does unwind). NULL: nothing happens. A running one is
 * misuse: a message is printed and the program aborts. The stack is kept for the next coroutine of
 * any thread; the memory of those that were not needed for 5 to 10 s goes back, a little with the
 * first call of a thread and each 64th after it. Cost: about 10 ns. */
CO_API_ void co_raw_destroy(struct co_raw *co);

/* -------------------------------------------------------------------------------------- generators
 *
 * A generator is a coroutine that hands out values one by one, and may get one back for each. It
 * runs anywhere, also inside a runtime's coroutine: then its body may call what suspends, and it is
 * the coroutine that called co_gen_next that waits.
 */

typedef struct co_gen co_gen;

/* The body. Returns 0 at the end, or a negative errno; a positive value counts as 0. */
typedef int co_gen_fn(co_gen *gen, void *arg);

/* Makes a generator; the body runs from the first co_gen_next on. `arg` stays the caller's; *out is
 * the caller's until co_gen_free. `attr` and errors are as in co_raw_create. Cost: about 40 ns. */
CO_API_ int co_gen_make(co_gen **out, co_gen_fn *fn, void *arg, const struct co_attr *attr);

/* Runs the body to its next co_gen_emit. *value, unless value is NULL, is meaningful only with 1.
 *
 *	1		*value was emitted
 *	0		the body has ended; further calls give 0 again
 *	negative	it has ended with this error; further calls give it again
 *	-EINVAL		gen is NULL, or its body is running
 *
 * Cost: about 3 ns, and as much again for the emit. */
CO_API_ int co_gen_next(co_gen *gen, void **value);

/* The same, and the co_gen_emit in which the body waits receives `in`. (From co_gen_next it
 * receives NULL.) A body that has not started has no emit that could receive: then anything but
 * NULL is -EINVAL, and nothing runs. */
CO_API_ int co_gen_send(co_gen *gen, void *in, void **value);

/* For the body: hands out `value` and waits for the next co_gen_next or co_gen_send.
 *
 *	0		*received, unless received is NULL, is what was sent
 *	-ECANCELED	the generator is being freed: return soon. Emit now gives this at once
 *	-EINVAL		gen is NULL
 *	-EPERM		called from anywhere but the body of this generator
 */
CO_API_ int co_gen_emit(co_gen *gen, void *value, void **received);

/* Frees the generator. If the body waits in an emit, that returns -ECANCELED, and the body runs to
 * its end first; if it never started, it never does. NULL: nothing happens. A running one is
 * misuse: a message is printed and the program aborts. */
CO_API_ void co_gen_free(co_gen *gen);

#ifdef __cplusplus
}
#endif
#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#endif
