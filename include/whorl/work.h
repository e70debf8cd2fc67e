/* whorl/work.h - functions that block, run on a thread of their own while other coroutines go on.
 *
 * For what has no non-blocking form: files, getaddrinfo(3), a library that waits, a long
 * computation. Each runtime has up to 8 threads for this, started when they are needed and ended
 * with the runtime. What <whorl/co.h> says of all calls holds here too. */
#ifndef WHORL_WORK_H
#define WHORL_WORK_H

#include <whorl/co.h>

#if defined(__GNUC__)
#pragma GCC visibility push(default) /* the library is built with -fvisibility=hidden */
#endif
#ifdef __cplusplus
extern "C" {
#endif

#define CO_ABANDON 1u		/* a cancel does not wait for fn */

/* Runs fn(arg) on a thread of the runtime's pool and waits for it; *result, unless NULL, is what it
 * returned. fn must not call the runtime, except by co_post and co_scope_cancel_remote; it has all
 * signals blocked.
 *
 * Once handed over, fn cannot be cancelled: the call returns when fn has, and the next cancellation
 * point tells of the cancel. With CO_ABANDON a cancel makes the call return -ECANCELED at once:
 * *result is never written, and arg, which must stay valid until fn has returned, is given to
 * `drop` (unless NULL) after that, once, on the loop's thread; the end of the runtime waits for it,
 * within options.grace. Work that was not abandoned is never dropped.
 *
 * 0; -ECANCELED: fn was not handed over, or abandoned; -EINVAL: no fn, or an unknown flag; -ENOMEM;
 * -EAGAIN: no thread could be had. Suspends: yes. Cancellation point: yes. A thread's hand-over and
 * back: some microseconds. */
CO_API_ int co_work(co_fn *fn, void *arg, int *result) CO_MUST_CHECK;
CO_API_ int co_work_with(co_fn *fn, void *arg, int *result, unsigned flags,
			 void (*drop)(void *arg)) CO_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#endif
