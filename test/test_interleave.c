/* All schedules of the protocol in sched/remote.c with up to three preemptions (M. Musuvathi,
 * S. Qadeer, "Iterative Context Bounding for Systematic Testing of Multithreaded Programs", PLDI
 * 2007: most races need no more).
 *
 * White-box: the real code is included, its atomics and its signal behind macros that first give
 * way to the schedule. A thread of the model is a raw coroutine. At each step the schedule decides
 * who goes on; it is a list of such choices, and the next one differs in the last that had another
 * way to go. Between two steps nothing else runs: that is sequential consistency, which all of
 * remote.c's operations have. */
#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "suite.h"
#include <whorl/co.h>

static void step(void);
static void pause_until_others(void);
static bool signalled;
static int signals;

#define REMOTE_LOAD(at) (step(), atomic_load(at))
#define REMOTE_STORE(at, value) (step(), atomic_store(at, value))
#define REMOTE_EXCHANGE(at, value) (step(), atomic_exchange(at, value))
#define REMOTE_CAS(at, expected, value) \
	(step(), atomic_compare_exchange_strong(at, expected, value))
#define REMOTE_ADD(at, n) (step(), atomic_fetch_add(at, n))
#define REMOTE_PAUSE() pause_until_others()
#define REMOTE_SIGNAL(fd) (step(), (void)(fd), signals++, signalled = true)

static bool no_memory;
#define calloc(n, size) (no_memory ? NULL : calloc(n, size))

#include "../sched/remote.c"

/* --------------------------------------------------------------------------------- the schedule */

#ifdef __SANITIZE_THREAD__
enum { PREEMPTIONS = 1, MANY = 10 };	/* there is one thread only, and each switch is slow */
#else
enum { PREEMPTIONS = 3, MANY = 1000 };
#endif
enum { THREADS = 3, STEPS = 400 };

struct thread {
	struct co_raw *co;
	int (*body)(int self);
	bool blocked;			/* waits for the signal */
	bool paused;			/* until another one has gone a step */
	bool done;
	int rc;
};

static struct thread threads[THREADS];
static int thread_count, running = -1;
static int choice[STEPS], width[STEPS], length;

static void step(void)
{
	if (running >= 0)
		co_raw_suspend(NULL);
}

static void pause_until_others(void)
{
	threads[running].paused = true;
	step();
}

static void wait_for_signal(void)
{
	while (!signalled) {
		threads[running].blocked = true;
		step();
	}
	signalled = false;
}

static bool can_run(const struct thread *t)
{
	return !t->done && !t->paused && (!t->blocked || signalled);
}

static void *run_thread(void *self)
{
	int n = (int)(intptr_t)self;

	threads[n].rc = threads[n].body(n);
	return NULL;
}

static void go_on(int n)
{
	for (int i = 0; i < thread_count; i++)
		threads[i].paused = threads[i].paused && i == n;
	threads[n].blocked = false;
	running = n;
	if (co_raw_resume(threads[n].co, (void *)(intptr_t)n, NULL) == 0)
		threads[n].done = true;
	running = -1;
}

/* Whom the choice of this step names: 0 is whoever ran last, if it can; others cost a preemption
 * then. Fills in how many ways there are. */
static int choose(int at, int last, int *preemptions)
{
	int ways[THREADS], n = 0;
	bool may_stay = last >= 0 && can_run(&threads[last]);

	if (may_stay)
		ways[n++] = last;
	for (int i = 0; i < thread_count; i++)
		if (i != last && can_run(&threads[i]) && (!may_stay || *preemptions < PREEMPTIONS))
			ways[n++] = i;
	if (n == 0)
		return -1;
	if (at == length) {
		ck_assert_int_lt(length, STEPS);
		choice[length++] = 0;
	}
	width[at] = n;
	*preemptions += may_stay && choice[at] > 0;
	return ways[choice[at]];
}

/* Plays one schedule to its end: everybody is done. */
static void play(void)
{
	int last = -1, preemptions = 0, at = 0, next;

	signalled = false;
	for (int i = 0; i < thread_count; i++) {
		threads[i].blocked = threads[i].paused = threads[i].done = false;
		ck_assert_int_eq(co_raw_create(&threads[i].co, run_thread, NULL), 0);
	}
	while ((next = choose(at, last, &preemptions)) >= 0) {
		go_on(next);
		last = next;
		at++;
	}
	for (int i = 0; i < thread_count; i++) {
		ck_assert_msg(threads[i].done, "thread %d never ends: a wake was lost", i);
		co_raw_destroy(threads[i].co);
	}
	length = at;
}

static bool next_schedule(void)
{
	while (length > 0 && choice[length - 1] + 1 >= width[length - 1])
		length--;
	if (length == 0)
		return false;
	choice[length - 1]++;
	return true;
}

static int play_all(int count, int (*const bodies[])(int), void (*before)(void),
		    void (*after)(void))
{
	int schedules = 0;

	thread_count = count;
	for (int i = 0; i < count; i++)
		threads[i].body = bodies[i];
	length = 0;
	do {
		before();
		play();
		after();
		schedules++;
	} while (next_schedule());
	printf("# %d schedules\n", schedules);
	return schedules;
}

/* -------------------------------------------------------------------------- posts against sleep */

enum { POSTS = 2 };

static int posts_each;		/* 1; POSTS in the long form */
static struct mailbox *mail;
static co_loop_ref ref;
static struct co_post_node nodes[THREADS][POSTS];
static int delivered[THREADS][POSTS], accepted[THREADS][POSTS];
static int sleeps;			/* times that the loop wanted to */

static void is_fn(struct co_post_node *node)
{
	(void)node;
}

static void open_mail(void)
{
	mail = whorl__mailbox_open();
	ck_assert_ptr_nonnull(mail);
	ref = whorl__mailbox_ref(mail);
	signals = sleeps = 0;
	posts_each = suite_long() ? POSTS : 1;
	memset(nodes, 0, sizeof(nodes));
	memset(delivered, 0, sizeof(delivered));
	memset(accepted, 0, sizeof(accepted));
	for (int i = 0; i < THREADS * POSTS; i++)
		nodes[i / POSTS][i % POSTS].fn = is_fn;
}

static int deliver(void)
{
	struct co_post_node *node = whorl__mailbox_posts(mail);
	int n = 0;

	for (; node; n++) {
		int i = (int)(node - nodes[0]);

		node = whorl__post_take(node);
		ck_assert_int_eq(delivered[i / POSTS][i % POSTS]++, 0);
		if (i % POSTS > 0)	/* FIFO among those of one thread */
			ck_assert_int_eq(delivered[i / POSTS][i % POSTS - 1], 1);
	}
	return n;
}

/* As co_loop_run_once and wait: until all has come. */
static int loops(int self)
{
	int n = 0;

	(void)self;
	while (true) {
		whorl__mailbox_awake(mail);
		n += deliver();
		if (n == posts_each * (thread_count - 1))
			return 0;
		sleeps++;
		if (whorl__mailbox_sleep(mail))
			wait_for_signal();
	}
}

static int posts(int self)
{
	for (int i = 0; i < posts_each; i++)
		accepted[self][i] = co_post(ref, &nodes[self][i]) == 0;
	return 0;
}

/* Nothing is ever freed: what is over is there for the next to come. */
static void all_is_there_again(void)
{
	uint32_t n = 0;

	for (struct mailbox *m = free_mailboxes; m; m = m->next_free)
		n++;
	ck_assert_uint_eq(n, mailbox_chunks * PER_CHUNK);
	n = 0;
	for (struct share *s = free_shares; s; s = s->next)
		n++;
	ck_assert_uint_eq(n, share_chunks * PER_CHUNK);
}

static void all_came(void)
{
	for (int t = 1; t < thread_count; t++)
		for (int i = 0; i < posts_each; i++)
			ck_assert(accepted[t][i] && delivered[t][i] == 1);
	ck_assert_int_le(signals, sleeps);	/* of many who find it asleep one signals */
	whorl__mailbox_shut(mail);
	whorl__mailbox_free(mail);
	all_is_there_again();
}

START_TEST(no_post_is_lost_when_the_loop_goes_to_sleep)
{
	int (*const bodies[])(int) = { loops, posts, posts };

	ck_assert_int_gt(play_all(3, bodies, open_mail, all_came), MANY);
}
END_TEST

/* -------------------------------------------------------------------------- posts against close */

static int closes(int self)
{
	(void)self;
	deliver();
	whorl__mailbox_shut(mail);
	deliver();
	return 0;
}

/* What was accepted came, what was refused did not, and the mailbox is at rest. */
static void accepted_came(void)
{
	for (int t = 1; t < thread_count; t++)
		for (int i = 0; i < POSTS; i++)
			ck_assert_int_eq(accepted[t][i], delivered[t][i]);
	ck_assert_uint_eq(atomic_load(&mail->callers), 0);
	ck_assert_ptr_null(atomic_load(&mail->posts));
	whorl__mailbox_free(mail);
	all_is_there_again();
}

START_TEST(an_accepted_post_runs_before_the_loop_is_gone)
{
	int (*const bodies[])(int) = { closes, posts, posts };

	ck_assert_int_gt(play_all(3, bodies, open_mail, accepted_came), MANY);
}
END_TEST

/* ---------------------------------------------------------------------- cancels against the end */

static struct share *share;
static co_scope_ref scope_ref;
static struct node *const node = (struct node *)&share;	/* never looked into */
static int cancels_seen;

static void open_share(void)
{
	open_mail();
	share = whorl__share_open(mail, node);
	scope_ref = whorl__share_ref(share);
	cancels_seen = 0;
}

static void take_cancels(void)
{
	struct share *s = whorl__mailbox_cancels(mail), *next;

	for (; s; s = next) {
		const void *site;
		int err;

		next = s->next;
		ck_assert_ptr_eq(s, share);
		if (whorl__share_take(s, &err, &site)) {
			ck_assert(err == EPIPE || err == EIO);
			cancels_seen++;
		}
	}
}

/* The scope lives for one pass, and its place is at once another's. */
static int ends_the_scope(int self)
{
	struct share *other;

	(void)self;
	take_cancels();
	whorl__share_over(share);
	other = whorl__share_open(mail, node);
	ck_assert_uint_ne(whorl__share_ref(other).id, scope_ref.id);
	take_cancels();
	whorl__share_over(other);
	whorl__mailbox_shut(mail);
	take_cancels();
	return 0;
}

static int cancels(int self)
{
	return co_scope_cancel_remote(scope_ref, self == 1 ? EPIPE : EIO);
}

static void one_cancel_at_most(void)
{
	ck_assert_int_le(cancels_seen, 1);
	for (int t = 1; t < thread_count; t++)
		ck_assert(threads[t].rc == 0 || threads[t].rc == -ESRCH);
	if (cancels_seen > 0)
		ck_assert(threads[1].rc == 0 || threads[2].rc == 0);
	ck_assert_uint_eq(atomic_load(&mail->callers), 0);
	ck_assert_ptr_null(atomic_load(&mail->cancels));
	whorl__mailbox_free(mail);
	all_is_there_again();
}

START_TEST(a_cancel_meets_the_scope_it_was_meant_for_or_none)
{
	int (*const bodies[])(int) = { ends_the_scope, cancels, cancels };

	ck_assert_int_gt(play_all(3, bodies, open_share, one_cancel_at_most), MANY);
}
END_TEST

/* ----------------------------------------------------------------------- cancels of two scopes */

static struct share *two[2];
static co_scope_ref two_refs[2];
static int seen[2];

static void open_two(void)
{
	open_mail();
	for (int i = 0; i < 2; i++) {
		two[i] = whorl__share_open(mail, node);
		two_refs[i] = whorl__share_ref(two[i]);
		seen[i] = 0;
	}
}

static int takes_both(int self)
{
	(void)self;
	while (true) {
		struct share *s, *next;

		whorl__mailbox_awake(mail);
		for (s = whorl__mailbox_cancels(mail); s; s = next) {
			const void *site;
			int err;

			next = s->next;
			ck_assert_ptr_eq(whorl__share_take(s, &err, &site), node);
			ck_assert_ptr_eq(s, two[err - 1]);
			seen[err - 1]++;
		}
		if (seen[0] + seen[1] == 2)
			return 0;
		if (whorl__mailbox_sleep(mail))
			wait_for_signal();
	}
}

static int cancels_its_own(int self)
{
	return co_scope_cancel_remote(two_refs[self - 1], self);
}

static void both_came(void)
{
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(threads[i + 1].rc, 0);
		ck_assert_int_eq(seen[i], 1);
		whorl__share_over(two[i]);
	}
	whorl__mailbox_shut(mail);
	whorl__mailbox_free(mail);
	all_is_there_again();
}

START_TEST(no_cancel_is_lost_when_the_loop_goes_to_sleep)
{
	int (*const bodies[])(int) = { takes_both, cancels_its_own, cancels_its_own };

	ck_assert_int_gt(play_all(3, bodies, open_two, both_came), MANY);
}
END_TEST

/* ------------------------------------------------------------------------------ without memory */

/* None is had, nothing is kept, and the next one is. */
START_TEST(without_memory_there_is_no_mailbox_and_no_share)
{
	int fd = dup(0);

	no_memory = true;
	ck_assert_ptr_null(whorl__mailbox_open());
	close(fd);
	ck_assert_int_eq(dup(0), fd);	/* its descriptor was closed */
	no_memory = false;
	open_mail();
	no_memory = true;
	ck_assert_ptr_null(whorl__share_open(mail, node));
	no_memory = false;
	share = whorl__share_open(mail, node);
	ck_assert_ptr_nonnull(share);
	whorl__share_over(share);
	whorl__mailbox_shut(mail);
	whorl__mailbox_free(mail);
	all_is_there_again();
}
END_TEST

SUITE("interleave",
      no_post_is_lost_when_the_loop_goes_to_sleep,
      an_accepted_post_runs_before_the_loop_is_gone,
      a_cancel_meets_the_scope_it_was_meant_for_or_none,
      no_cancel_is_lost_when_the_loop_goes_to_sleep,
      without_memory_there_is_no_mailbox_and_no_share)
