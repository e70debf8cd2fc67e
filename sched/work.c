/* Offloaded work: blocking functions on a few threads per loop.
 *
 * A piece of work goes to a queue, a thread takes it, runs it, and posts it back to the loop like
 * any other thread would; the post wakes the coroutine. While it is abroad the virtual clock
 * stands, and the loop is not deadlocked. Work that may be abandoned does not lie on its
 * coroutine's stack, so that the coroutine can leave; its post then ends it. */
#include <pthread.h>
#include <signal.h>
#include <whorl/work.h>

#include "sched.h"

enum { THREADS = 8 };

struct work {
	struct co_post_node node;
	struct link link;		/* in the queue */
	struct co_loop *loop;
	co_loop_ref to;
	co_fn *fn;
	void *arg;
	int result;
	struct co *waiter;		/* NULL: abandoned */
	void (*drop)(void *arg);
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t queued;
	struct link queue;
	struct link lost;		/* done when the loop was gone: kept with all that is stuck */
	bool ending;
	unsigned idle, threads;
	pthread_t thread[THREADS];
};

/* ------------------------------------------------------------------------------- on the threads */

static struct work *take(struct pool *p)	/* NULL: the pool ends */
{
	struct work *work = NULL;
	struct link *first;

	pthread_mutex_lock(&p->lock);
	p->idle++;
	while (!(first = list_first(&p->queue)) && !p->ending)
		pthread_cond_wait(&p->queued, &p->lock);
	p->idle--;
	if (first) {
		list_remove(first);
		work = CONTAINER(first, struct work, link);
	}
	pthread_mutex_unlock(&p->lock);
	return work;
}

static void lose(struct pool *p, struct work *work)
{
	pthread_mutex_lock(&p->lock);
	list_append(&p->lost, &work->link);
	pthread_mutex_unlock(&p->lock);
}

static void *serve(void *pool)
{
	struct work *work;

	while ((work = take(pool)) != NULL) {
		work->result = work->fn(work->arg);
		whorl__stop_in_child(work->loop, NULL);
		if (co_post(work->to, &work->node) < 0)	/* else it is the loop's from here on */
			lose(pool, work);
	}
	return NULL;
}

/* ---------------------------------------------------------------------------------- on the loop */

static struct pool *pool_of(struct co_loop *l)
{
	struct pool *p = l->pool;

	if (p)
		return p;
	p = whorl__alloc(l, sizeof *p);
	if (!p)
		return NULL;
	memset(p, 0, sizeof *p);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->queued, NULL);
	list_init(&p->queue);
	list_init(&p->lost);
	return l->pool = p;
}

/* Signals are for the threads of the program. */
static int add_thread(struct pool *p)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&p->thread[p->threads], NULL, serve, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	p->threads += rc == 0;
	return rc == 0 || p->threads > 0 ? 0 : -rc;
}

static int hand_over(struct pool *p, struct work *work)
{
	bool wanting;
	int rc;

	pthread_mutex_lock(&p->lock);
	wanting = p->idle == 0 || !list_empty(&p->queue);
	pthread_mutex_unlock(&p->lock);
	if (wanting && p->threads < THREADS) {
		rc = add_thread(p);
		if (rc < 0)
			return rc;
	}
	pthread_mutex_lock(&p->lock);
	list_append(&p->queue, &work->link);
	pthread_cond_signal(&p->queued);
	pthread_mutex_unlock(&p->lock);
	work->loop->abroad++;
	return 0;
}

/* Woken by a cancel: the work is abandoned from this moment on. */
static void leave(struct co *co, int result)
{
	struct work *work = co->wait.waiter.item;

	if (result == -ECANCELED)
		work->waiter = NULL;
}

/* The post of a piece of work that is done. */
static void came_back(struct co_post_node *node)
{
	struct work *work = CONTAINER(node, struct work, node);
	struct co_loop *l = work->loop;

	l->abroad--;
	if (work->waiter) {
		whorl__wake(work->waiter, 0);
		return;
	}
	if (work->drop)
		work->drop(work->arg);
	whorl__free(l, work, sizeof *work);
}

static int work_with(struct co *co, struct work *work, bool abandonable)
{
	struct pool *p = pool_of(co->loop);
	struct mailbox *m = whorl__mailbox(co->loop);
	struct wait *w;
	int rc;

	if (!p || !m)
		return -ENOMEM;
	work->node.fn = came_back;
	work->loop = co->loop;
	work->to = whorl__mailbox_ref(m);
	w = whorl__wait_for(co, "offloaded work", CO_FOREVER, 0);
	w->deaf = !abandonable;
	w->waiter.item = work;
	w->leave = leave;
	work->waiter = co;
	rc = hand_over(p, work);
	return rc < 0 ? rc : whorl__park(co);
}

FRAMED int co_work_with(co_fn *fn, void *arg, int *result, unsigned flags, void (*drop)(void *arg))
{
	struct work here = { .fn = fn, .arg = arg }, *work = &here;
	struct co *co = whorl__suspender(SITE());
	int rc;

	if (!co)
		return -EPERM;
	rc = whorl__point(co, FRAME());
	if (rc < 0)
		return rc;
	if (!fn || (flags & ~CO_ABANDON))
		return -EINVAL;
	if (flags & CO_ABANDON) {
		work = whorl__alloc(co->loop, sizeof *work);
		if (!work)
			return -ENOMEM;
		*work = (struct work){ .fn = fn, .arg = arg, .drop = drop };
	}
	rc = work_with(co, work, flags & CO_ABANDON);
	if (rc == -ECANCELED)
		return rc;	/* it is abandoned, and frees itself */
	if (rc == 0 && result)
		*result = work->result;
	if (work != &here)
		whorl__free(co->loop, work, sizeof *work);
	return rc;
}

int co_work(co_fn *fn, void *arg, int *result)
{
	return co_work_with(fn, arg, result, 0, NULL);
}

void whorl__end_pool(struct co_loop *l)
{
	struct pool *p = l->pool;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->ending = true;
	pthread_cond_broadcast(&p->queued);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->threads; i++)
		pthread_join(p->thread[i], NULL);
	pthread_cond_destroy(&p->queued);
	pthread_mutex_destroy(&p->lock);
	whorl__free(l, p, sizeof *p);
}
