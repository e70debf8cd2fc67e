/* whorl/chan.h - channels: values from coroutine to coroutine, and select.
 *
 * A channel carries elements of one size. With a capacity it is a queue: a send waits while the
 * queue is full, a receive while it is empty. With capacity 0 it holds nothing: a send waits until
 * a receive takes the element from it, or has been waiting for one (a rendezvous). After C. A. R.
 * Hoare, "Communicating sequential processes", 1978, and the channels of Go.
 *
 *	static int producer(void *arg)
 *	{
 *		for (int i = 0; i < 10; i++)
 *			if (co_chan_send(arg, &i) < 0)
 *				break;				// cancelled, or closed
 *		return co_chan_close(arg);
 *	}
 *	static int consumer(void *arg)
 *	{
 *		int i, rc;
 *
 *		while ((rc = co_chan_recv(arg, &i)) == 0)
 *			printf("%d\n", i);
 *		return rc == -EPIPE ? 0 : rc;			// -EPIPE: all have come
 *	}
 *
 * What holds for every call, besides the rules in <whorl/co.h>:
 *
 * Order. Elements come out in the order in which their sends were called or, in a select, began to
 *   wait. Those who wait to send, and those who wait to receive, are served in the order in which
 *   they began to wait, in a select or not. Whoever comes later does not overtake them.
 * One outcome. An element is copied at the moment in which it changes hands, even if one of the
 *   two still has to be resumed: from then on both calls are done, whatever is cancelled. A send
 *   that failed was not sent, a receive that failed took nothing, and left *elem as it was.
 * Elements. Copied like bytes; what they point to goes with them. While a call waits it uses *elem
 *   in place. With element size 0 there are only signals to count: elem may be NULL.
 * Ownership. A channel belongs to the runtime in which it was made. It may be passed to all
 *   coroutines of that one; what is in it at the end is the caller's to drain. Another runtime's
 *   is misuse (CO_MISUSE_LOOP), -EXDEV.
 * Cost. O(1); a message allocates nothing.
 */
#ifndef WHORL_CHAN_H
#define WHORL_CHAN_H

#include <whorl/co.h>

#if defined(__GNUC__)
#pragma GCC visibility push(default) /* the library is built with -fvisibility=hidden */
#endif
#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_chan co_chan;

/* Makes a channel for `capacity` elements of elem_size bytes, which are allocated here, all in one
 * piece with it, by the runtime's allocator. *out is NULL after an error.
 *
 * -ENOMEM	there is not so much memory, or such a size cannot be.
 * -EINVAL	no out. -EPERM outside.
 *
 * Suspends: no. Cancellation point: no. Also in callbacks of the loop. */
CO_API_ int co_chan_make(co_chan **out, size_t elem_size, size_t capacity) CO_MUST_CHECK;

/* Gives its memory back. By then nobody may wait in it, or use it again; those who still wait are
 * woken with -EPIPE, as by a close. Elements in it are dropped. NULL is allowed. It may be called
 * outside too, when the runtime has ended: options.alloc must last until then.
 * Suspends: no. Cancellation point: no. Also in callbacks of the loop. */
CO_API_ void co_chan_free(co_chan *c);

/* Send *elem: to a receive that waits, into the queue, or by waiting for one of the two.
 *
 * -EPIPE	the channel is closed, or was closed meanwhile. It was not sent.
 * -ETIMEDOUT	abs came first. It was not sent.
 * -ECANCELED	it was not sent.
 * -EINVAL	no channel or no elem. -EPERM outside.
 *
 * Suspends: yes. Cancellation point: yes. */
CO_API_ int co_chan_send(co_chan *c, const void *elem) CO_MUST_CHECK;
CO_API_ int co_chan_send_until(co_chan *c, const void *elem, co_ns abs) CO_MUST_CHECK;

/* Receive into *elem: from the queue, from a send that waits, or by waiting for one.
 *
 * -EPIPE	the channel is closed, and nothing is left in it.
 * -ETIMEDOUT	abs came first. Nothing was taken.
 * -ECANCELED	nothing was taken.
 * -EINVAL	no channel or no elem. -EPERM outside.
 *
 * Suspends: yes. Cancellation point: yes. */
CO_API_ int co_chan_recv(co_chan *c, void *elem) CO_MUST_CHECK;
CO_API_ int co_chan_recv_until(co_chan *c, void *elem, co_ns abs) CO_MUST_CHECK;

/* The same if it can be done at once, else -EAGAIN. So without a queue a trysend succeeds only if
 * a receive waits already, and a tryrecv only if a send does.
 * Suspends: no. Cancellation point: no. Also in callbacks of the loop. */
CO_API_ int co_chan_trysend(co_chan *c, const void *elem) CO_MUST_CHECK;
CO_API_ int co_chan_tryrecv(co_chan *c, void *elem) CO_MUST_CHECK;

/* Says that nothing more will be sent. Those who wait to send get -EPIPE, and so do all later
 * sends; receives get what is in the queue, then -EPIPE. Everybody can see it: any side may close.
 *
 * -EPIPE	it is closed already.
 * -EINVAL	no channel. -EPERM outside.
 *
 * O(those who wait). Suspends: no. Cancellation point: no. Also in callbacks of the loop. */
CO_API_ int co_chan_close(co_chan *c);

/* How many elements are in the queue; without one, or for NULL, 0. Elements of sends that wait are
 * not in it.
 * Suspends: no. Cancellation point: no. Also in callbacks of the loop, and outside. */
CO_API_ size_t co_chan_len(const co_chan *c);

/* -------------------------------------------------------------------------------------- select */

enum co_op { CO_RECV, CO_SEND };

/* One thing to wait for: `elem` is where the element comes from or goes to, the caller's until the
 * select returns. With chan NULL it never happens: so a case is switched off and keeps its index.
 * `result` is written for the case that happened, and no other: 0; or -EPIPE, when a send or
 * receive would have returned that. */
struct co_case {
	enum co_op op;
	co_chan *chan;
	void *elem;
	int result;
};

/* Does one of n cases and returns its index: the first in the order of the array that can be done
 * at once, else the first that can be after that. Exactly one is done, or, after an error, none.
 * A closed channel can be done at once, with -EPIPE in `result`. A channel may be in several cases,
 * also for both directions: a select does not send to itself. With no case (n 0, or no channel in
 * any) it waits for abs or a cancel.
 *
 *	struct co_case either[] = {
 *		{ CO_RECV, work, &job, 0 },
 *		{ CO_RECV, stop, NULL, 0 },		// of elements of size 0
 *	};
 *	int i = co_select(either, 2);
 *
 * The order is the order of preference: a case that is always ready keeps those behind it waiting
 * for ever. Who wants turns, turns the array.
 *
 * -ETIMEDOUT	abs came first. Nothing was sent or taken.
 * -ECANCELED	nothing was sent or taken.
 * -EINVAL	n is negative, cases is missing, or one has an unknown op or no elem.
 * -ENOMEM	only if it had to wait in more than 16 cases: for those memory is needed.
 * -EPERM outside.
 *
 * O(n). Suspends: yes. Cancellation point: yes. */
CO_API_ int co_select(struct co_case *cases, int n) CO_MUST_CHECK;
CO_API_ int co_select_until(struct co_case *cases, int n, co_ns abs) CO_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#endif
