/* Other threads and signal handlers: posts, and the cancelling of shared scopes.
 *
 * A mailbox has two stacks onto which anybody may push, a post or a request to cancel. The loop
 * takes a whole stack at once and turns it round, so posts run in the order in which they came.
 * Nothing here locks, allocates or waits, except opening and closing, which are the loop's.
 *
 * Going to sleep. The loop must not miss a push, and most pushes should cost no system call:
 *
 *	loop				pusher
 *	----				------
 *	asleep = true			push
 *	stacks empty?			if (exchange(asleep, false))
 *	  no:  asleep = false, go on		write to the eventfd
 *	  yes: wait for the eventfd
 *
 * All of these are sequentially consistent. Either the loop's look at the stacks comes after the
 * push, and it does not wait; or the push, and so the exchange, comes after the loop's store, and
 * the exchange finds it and writes. Of many pushers one writes.
 *
 * Closing. `id` is cleared, then `callers` is waited for. A caller counts itself before it looks at
 * `id`: either it finds 0 and goes, or the closing loop finds it counted and waits for the few
 * instructions that it needs.
 *
 * Fork. The child closes each mailbox that is open, so that what comes there is refused, and wakes
 * nobody in the parent.
 *
 * A shared scope has its generation and its request in one word, so that a request can only be made
 * of the scope that was meant: once that is over the generation is another. A share in the list of
 * cancels is not used again before the loop has taken it out. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sched.h"

/* --------------------------------------------------------------------- things that are never freed
 *
 * Found by number from anywhere, made in chunks, under a lock that only their makers take. */
enum { PER_CHUNK = 256, CHUNKS = 65536 / PER_CHUNK, SHARE_CHUNKS = 1 << 16 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct mailbox *) mailboxes[CHUNKS];
static _Atomic(struct share *) shares[SHARE_CHUNKS];
static uint32_t mailbox_chunks, share_chunks;
static struct mailbox *free_mailboxes;
static struct share *free_shares;

static struct mailbox *mailbox_at(uint64_t id)
{
	uint32_t index = (uint32_t)id;
	struct mailbox *chunk =
		index / PER_CHUNK < CHUNKS ? atomic_load(&mailboxes[index / PER_CHUNK]) : NULL;

	return chunk ? &chunk[index % PER_CHUNK] : NULL;
}

static struct share *share_at(uint64_t id)
{
	uint32_t index = (uint32_t)id;
	struct share *chunk =
		index / PER_CHUNK < SHARE_CHUNKS ? atomic_load(&shares[index / PER_CHUNK]) : NULL;

	return chunk ? &chunk[index % PER_CHUNK] : NULL;
}

static void add_mailboxes(void)
{
	struct mailbox *chunk = mailbox_chunks < CHUNKS ? calloc(PER_CHUNK, sizeof *chunk) : NULL;

	for (uint32_t i = chunk ? PER_CHUNK : 0; i-- > 0;) {
		chunk[i].index = mailbox_chunks * PER_CHUNK + i;
		chunk[i].next_free = free_mailboxes;
		free_mailboxes = &chunk[i];
	}
	if (chunk)
		atomic_store(&mailboxes[mailbox_chunks++], chunk);
}

static void add_shares(void)
{
	struct share *chunk = share_chunks < SHARE_CHUNKS ? calloc(PER_CHUNK, sizeof *chunk) : NULL;

	for (uint32_t i = chunk ? PER_CHUNK : 0; i-- > 0;) {
		chunk[i].index = share_chunks * PER_CHUNK + i;
		chunk[i].next = free_shares;
		free_shares = &chunk[i];
	}
	if (chunk)
		atomic_store(&shares[share_chunks++], chunk);
}

/* ----------------------------------------------------------------------------------------- fork */

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void in_parent(void)
{
	pthread_mutex_unlock(&lock);
}

/* The loops are the parent's, and so is what comes here for them. No mailbox that was open will be
 * used again: old shares refer to it. */
static void in_child(void)
{
	for (uint32_t i = 0; i < mailbox_chunks * PER_CHUNK; i++) {
		struct mailbox *m = mailbox_at(i);

		if (REMOTE_LOAD(&m->id) != 0)
			close(m->event_fd);
		REMOTE_STORE(&m->id, 0);
		REMOTE_STORE(&m->callers, 0); /* on threads that are not here */
	}
	pthread_mutex_unlock(&lock);
}

static void watch_forks(void)
{
	pthread_atfork(before_fork, in_parent, in_child);
}

/* ------------------------------------------------------------------------------ the loop's side */

struct mailbox *whorl__mailbox_open(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct mailbox *m;

	pthread_once(&once, watch_forks);
	if (fd < 0)
		return NULL;
	pthread_mutex_lock(&lock);
	if (!free_mailboxes)
		add_mailboxes();
	m = free_mailboxes;
	if (m)
		free_mailboxes = m->next_free;
	pthread_mutex_unlock(&lock);
	if (!m) {
		close(fd);
		return NULL;
	}
	m->event_fd = fd;
	m->gen += 1 + (m->gen == UINT32_MAX);
	REMOTE_STORE(&m->asleep, false);
	REMOTE_STORE(&m->id, (uint64_t)m->gen << 32 | m->index);
	return m;
}

void whorl__mailbox_shut(struct mailbox *m)
{
	REMOTE_STORE(&m->id, 0);
	while (REMOTE_LOAD(&m->callers) > 0)
		REMOTE_PAUSE();
	whorl__tsan_acquire(m);
}

void whorl__mailbox_free(struct mailbox *m)
{
	close(m->event_fd);
	pthread_mutex_lock(&lock);
	m->next_free = free_mailboxes;
	free_mailboxes = m;
	pthread_mutex_unlock(&lock);
}

co_loop_ref whorl__mailbox_ref(struct mailbox *m)
{
	return (co_loop_ref){ REMOTE_LOAD(&m->id) };
}

bool whorl__mailbox_has_mail(struct mailbox *m)
{
	return REMOTE_LOAD(&m->posts) || REMOTE_LOAD(&m->cancels);
}

bool whorl__mailbox_sleep(struct mailbox *m)
{
	REMOTE_STORE(&m->asleep, true);
	if (!whorl__mailbox_has_mail(m))
		return true;
	REMOTE_STORE(&m->asleep, false);
	return false;
}

void whorl__mailbox_awake(struct mailbox *m)
{
	REMOTE_STORE(&m->asleep, false);
}

/* A post's private words: the next one, and whether it is queued. */
enum { NEXT, QUEUED };

static struct co_post_node *next_post(const struct co_post_node *node)
{
	return (struct co_post_node *)node->private_[NEXT];
}

static _Atomic uintptr_t *queued(struct co_post_node *node)
{
	return (_Atomic uintptr_t *)&node->private_[QUEUED];
}

struct co_post_node *whorl__mailbox_posts(struct mailbox *m)
{
	struct co_post_node *newest = REMOTE_EXCHANGE(&m->posts, NULL), *oldest = NULL;

	whorl__tsan_acquire(m);
	while (newest) {
		struct co_post_node *node = newest;

		newest = next_post(node);
		node->private_[NEXT] = (uintptr_t)oldest;
		oldest = node;
	}
	return oldest;
}

struct co_post_node *whorl__post_take(struct co_post_node *node)
{
	struct co_post_node *next = next_post(node);

	REMOTE_STORE(queued(node), 0);
	return next;
}

/* ----------------------------------------------------------------------------- everybody's side */

static void wake(struct mailbox *m)
{
	if (REMOTE_EXCHANGE(&m->asleep, false))
		REMOTE_SIGNAL(m->event_fd);
}

void whorl__signal(int fd) /* a full counter is readable too */
{
	int saved = errno;
	uint64_t one = 1;

	while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
		;
	errno = saved;
}

/* The last that a caller does. */
static void gone(struct mailbox *m)
{
	whorl__tsan_release(m);
	REMOTE_ADD(&m->callers, -1u);
}

static void push_post(struct mailbox *m, struct co_post_node *node)
{
	struct co_post_node *newest = REMOTE_LOAD(&m->posts);

	whorl__tsan_release(m);
	do {
		node->private_[NEXT] = (uintptr_t)newest;
	} while (!REMOTE_CAS(&m->posts, &newest, node));
}

int co_post(co_loop_ref to, struct co_post_node *node)
{
	struct mailbox *m = mailbox_at(to.id);
	int rc = 0;

	if (!node || !node->fn)
		return -EINVAL;
	if (!m || to.id == 0)
		return -ESRCH;
	REMOTE_ADD(&m->callers, 1);
	if (REMOTE_LOAD(&m->id) != to.id) {
		rc = -ESRCH;
	} else if (REMOTE_EXCHANGE(queued(node), 1)) {
		rc = -EBUSY;
	} else {
		push_post(m, node);
		wake(m);
	}
	gone(m);
	return rc;
}

/* ----------------------------------------------------------------------------------- shared scopes
 *
 *	word	63         32  31          30    0
 *	        | generation | requested | err    |	generations begin at 1 */
#define REQUESTED (UINT64_C(1) << 31)
#define ERR_MASK (REQUESTED - 1)

static uint64_t generation(uint64_t word)
{
	return word >> 32;
}

struct share *whorl__share_open(struct mailbox *m, struct node *node)
{
	struct share *s;
	uint64_t gen;

	pthread_mutex_lock(&lock);
	if (!free_shares)
		add_shares();
	s = free_shares;
	if (s)
		free_shares = s->next;
	pthread_mutex_unlock(&lock);
	if (!s)
		return NULL;
	gen = generation(REMOTE_LOAD(&s->word)) + 1;
	s->node = node;
	s->taken = false;
	REMOTE_STORE(&s->mailbox, m);
	REMOTE_STORE(&s->word, (gen > UINT32_MAX ? 1 : gen) << 32);
	return s;
}

co_scope_ref whorl__share_ref(const struct share *s)
{
	return (co_scope_ref){ generation(REMOTE_LOAD(&s->word)) << 32 | s->index };
}

static void share_free(struct share *s)
{
	pthread_mutex_lock(&lock);
	s->next = free_shares;
	free_shares = s;
	pthread_mutex_unlock(&lock);
}

/* The next generation, requested, so that nothing can be asked of it: what a share is while it is
 * not open. */
void whorl__share_over(struct share *s)
{
	uint64_t open = generation(REMOTE_LOAD(&s->word)) << 32,
		 over = (open + (UINT64_C(1) << 32)) | REQUESTED;

	s->node = NULL;
	if (REMOTE_CAS(&s->word, &open, over)) {
		share_free(s);
		return;
	}
	REMOTE_STORE(&s->word, over);
	if (s->taken)
		share_free(s); /* else when the loop finds it in the list */
}

struct share *whorl__mailbox_cancels(struct mailbox *m)
{
	struct share *newest = REMOTE_EXCHANGE(&m->cancels, NULL);

	whorl__tsan_acquire(m);
	return newest;
}

struct node *whorl__share_take(struct share *s, int *err, const void **site)
{
	struct node *node = s->node;

	*err = (int)(REMOTE_LOAD(&s->word) & ERR_MASK);
	*site = s->site;
	s->taken = true;
	if (!node)
		share_free(s);
	return node;
}

static void push_cancel(struct mailbox *m, struct share *s)
{
	struct share *newest = REMOTE_LOAD(&m->cancels);

	whorl__tsan_release(m);
	do {
		s->next = newest;
	} while (!REMOTE_CAS(&m->cancels, &newest, s));
}

int co_scope_cancel_remote(co_scope_ref ref, int err)
{
	struct share *s = share_at(ref.id);
	uint64_t open = ref.id >> 32 << 32, word = open;
	struct mailbox *m;
	int rc = 0;

	if (whorl__bad_err(err))
		return -EINVAL;
	if (!s || open == 0 || generation(REMOTE_LOAD(&s->word)) != generation(open))
		return -ESRCH;
	m = REMOTE_LOAD(&s->mailbox);
	REMOTE_ADD(&m->callers, 1);
	if (REMOTE_LOAD(&m->id) == 0) {
		rc = -ESRCH;
	} else if (REMOTE_CAS(&s->word, &word, open | REQUESTED | (uint64_t)err)) {
		s->site = SITE();
		push_cancel(m, s);
		wake(m);
	} else if (generation(word) != generation(open)) {
		rc = -ESRCH;
	}
	gone(m);
	return rc;
}

/* ------------------------------------------------------------------- what the loop does with it */

struct mailbox *whorl__mailbox(struct co_loop *l)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct mailbox *m = l->mail ? l->mail : whorl__mailbox_open();

	if (!m || m == l->mail)
		return m;
	ev.data.fd = m->event_fd;
	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, m->event_fd, &ev) < 0) {
		whorl__mailbox_shut(m);
		whorl__mailbox_free(m);
		return NULL;
	}
	return l->mail = m;
}

co_loop_ref co_loop_self(void)
{
	struct mailbox *m = whorl__loop ? whorl__mailbox(whorl__loop) : NULL;

	if (!m)
		return (co_loop_ref){ 0 };
	whorl__loop->shared = true;
	return whorl__mailbox_ref(m);
}

/* In any order: those of one pass came from threads between which there is none. */
static void run_cancels(struct mailbox *m)
{
	struct share *s = whorl__mailbox_cancels(m), *next;

	for (; s; s = next) {
		const void *site;
		struct node *n;
		int err;

		next = s->next;
		n = whorl__share_take(s, &err, &site);
		if (n)
			whorl__cancel(n, CO_CAUSE_EXPLICIT, err, site);
	}
}

/* A fn may post its node again: that runs in the next pass, so a pass ends. */
void whorl__run_mail(struct co_loop *l)
{
	struct co_post_node *node;

	if (!l->mail || !whorl__mailbox_has_mail(l->mail))
		return;
	l->quiet_passes = 0;
	run_cancels(l->mail);
	node = whorl__mailbox_posts(l->mail);
	while (node) {
		struct co_post_node *next = whorl__post_take(node);

		node->fn(node);
		whorl__stop_in_child(l, NULL);
		node = next;
	}
}
