/* What other threads and signal handlers may reach of a loop: its mailbox.
 *
 * What two threads may touch at once is atomic, and nothing is ever freed, so whoever holds an old
 * reference can look. The atomic operations are macros, so that a test can play all schedules of
 * them. */
#ifndef WHORL_SCHED_REMOTE_H
#define WHORL_SCHED_REMOTE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <whorl/co.h>

#include "../src/core.h"

#ifndef REMOTE_LOAD	/* all sequentially consistent: see "going to sleep" in remote.c */
#define REMOTE_LOAD(at) atomic_load(at)
#define REMOTE_STORE(at, value) atomic_store(at, value)
#define REMOTE_EXCHANGE(at, value) atomic_exchange(at, value)
#define REMOTE_CAS(at, expected, value) atomic_compare_exchange_strong(at, expected, value)
#define REMOTE_ADD(at, n) atomic_fetch_add(at, n)
#define REMOTE_PAUSE() sched_yield()
#define REMOTE_SIGNAL(fd) whorl__signal(fd)	/* makes the eventfd readable */
#endif

/* Else a lock would be held where a signal handler posts. */
_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2 &&
		       ATOMIC_POINTER_LOCK_FREE == 2,
	       "posts have to be free of locks");

struct node;
struct share;

struct mailbox {
	_Atomic uint64_t id;			/* of the co_loop_ref; 0: of no loop */
	_Atomic unsigned callers;		/* inside co_post or cancel_remote with this mailbox
						 * */
	_Atomic(struct co_post_node *) posts;	/* newest first */
	_Atomic(struct share *) cancels;	/* newest first */
	_Atomic unsigned asleep;		/* the loop waits, or is about to, and wants a
						 * signal; not all CPUs swap single bytes */
	int event_fd;
	uint32_t index, gen;
	struct mailbox *next_free;
};

/* A scope that was shared. `word`: generation << 32 | REQUESTED | err. */
struct share {
	_Atomic uint64_t word;
	_Atomic(struct mailbox *) mailbox;
	struct share *next;			/* in mailbox->cancels, or among the free */
	struct node *node;			/* the loop's: NULL once the scope is over */
	bool taken;				/* the loop's: it has seen the request */
	const void *site;			/* of the request */
	uint32_t index;
};

WHORL__HIDDEN struct mailbox *whorl__mailbox_open(void);	/* NULL: no memory, or no eventfd */
/* No call on it is accepted, or still at work, afterwards. */
WHORL__HIDDEN void whorl__mailbox_shut(struct mailbox *m);
WHORL__HIDDEN void whorl__mailbox_free(struct mailbox *m);	/* once what was accepted is done */
WHORL__HIDDEN co_loop_ref whorl__mailbox_ref(struct mailbox *m);
WHORL__HIDDEN bool whorl__mailbox_has_mail(struct mailbox *m);
/* True: the loop may wait. False: something has come. */
WHORL__HIDDEN bool whorl__mailbox_sleep(struct mailbox *m);
WHORL__HIDDEN void whorl__mailbox_awake(struct mailbox *m);
/* Both take all: the oldest post; cancels, linked by next. */
WHORL__HIDDEN struct co_post_node *whorl__mailbox_posts(struct mailbox *m);
WHORL__HIDDEN struct share *whorl__mailbox_cancels(struct mailbox *m);
/* From now on its owner's; the next one. */
WHORL__HIDDEN struct co_post_node *whorl__post_take(struct co_post_node *node);

/* NULL: no memory. */
WHORL__HIDDEN struct share *whorl__share_open(struct mailbox *m, struct node *node);
WHORL__HIDDEN co_scope_ref whorl__share_ref(const struct share *s);
WHORL__HIDDEN void whorl__share_over(struct share *s);	/* its scope ended */
/* From the list; NULL: its scope ended. */
WHORL__HIDDEN struct node *whorl__share_take(struct share *s, int *err, const void **site);

WHORL__HIDDEN void whorl__signal(int fd);

#endif
