/* K15: a storm of signals, 10 000 a second. S215: a volley, one signal after another.
 *
 * They come wherever the thread is: in coroutines, whose stacks then hold the handler's frame too;
 * in the middle of a switch; in the loop and in its waits, which they interrupt. The handler posts
 * to the loop, as handlers may. A storm lasts until a number of signals has been handled; what the
 * coroutines do meanwhile is looked at, not how fast they are. */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <unistd.h>

#include "scenario.h"

enum { SIGNALS = 3000, PERIOD_US = 100 };

/* An assertion that is free while it holds, so that signals find the library at work: Check makes a
 * note of each of its own. */
#define HOLDS(cond) ((cond) ? (void)0 : ck_abort_msg("%s", #cond))

static struct {
	volatile sig_atomic_t handled, elsewhere; /* signals; not on the alternate stack */
	char *volatile frame;			  /* of the last handler */
	int sent, refused;			  /* posts, by the handler alone */
	int received;
	bool posts, over;
	co_loop_ref loop;
	struct co_post_node post;
} storm;

static stack_t alternate; /* the thread's */

static void on_alarm(int signo)
{
	int saved = errno, rc;
	char *frame = __builtin_frame_address(0);

	(void)signo;
	storm.handled++;
	storm.elsewhere += (size_t)(frame - (char *)alternate.ss_sp) >= alternate.ss_size;
	storm.frame = frame;
	rc = storm.posts ? co_post(storm.loop, &storm.post) : -EBUSY;
	storm.sent += rc == 0;
	storm.refused += rc != 0 && rc != -EBUSY;
	errno = saved;
}

static void on_post(struct co_post_node *node)
{
	IS(node == &storm.post, true);
	storm.received++;
}

static void set_timer(int us)
{
	const struct itimerval every = { { 0, us }, { 0, us } };

	IS(setitimer(ITIMER_REAL, &every, NULL), 0);
}

/* Where the handler shall not use coroutines' stacks, it uses the alternate one that the library
 * made. No SA_RESTART: what can be interrupted is. */
static void begin_storm(int sa_flags)
{
	const struct sigaction act = { .sa_handler = on_alarm, .sa_flags = sa_flags };

	storm.post.fn = on_post;
	IS(sigaltstack(NULL, &alternate), 0);
	IS(alternate.ss_flags, 0);
	IS(sigaction(SIGALRM, &act, NULL), 0);
	set_timer(PERIOD_US);
}

/* Waits until the storm is over; then no signal comes any more. */
static void end_storm(void)
{
	while (storm.handled < SIGNALS)
		IS(co_sleep(MS(1)), 0);
	set_timer(0);
	storm.over = true;
}

/* ----------------------------------------------------------------- what coroutines do meanwhile */

/* Sleeps, never for less. */
static int sleeps(void *seed)
{
	uint64_t dice = (uint64_t)(intptr_t)seed;

	while (!storm.over) {
		co_ns dur = (co_ns)(suite_random(&dice) % (uint64_t)CO_US(2000));
		co_ns until = co_now() + dur;

		HOLDS(co_sleep(dur) == 0);
		HOLDS(co_now() >= until);
	}
	return 0;
}

/* One step of a computation whose state lives in registers. */
static void step(uint64_t *bits, double *sum)
{
	*sum = *sum / 3 + (double)(suite_random(bits) >> 40);
}

/* Computes the same with a switch after each step and without. */
static int computes(void *seed)
{
	while (!storm.over) {
		uint64_t a = (uint64_t)(intptr_t)seed, b = a;
		double x = 0, y = 0;

		for (int i = 0; i < 500; i++) {
			step(&a, &x);
			HOLDS(co_yield_now() == 0);
		}
		for (int i = 0; i < 500; i++)
			step(&b, &y);
		HOLDS(a == b && memcmp(&x, &y, sizeof(x)) == 0);
	}
	return 0;
}

/* Keeps the thread until a signal comes, which then lies on the coroutine's stack, or where it
 * should. */
static int is_hit(void *on_alternate)
{
	char *here = __builtin_frame_address(0);

	while (!storm.over) {
		sig_atomic_t before = storm.handled;

		while (storm.handled == before)
			;
		if (on_alternate)
			HOLDS(storm.elsewhere == 0);
		else
			HOLDS(storm.frame < here && storm.frame > here - (64 << 10));
		HOLDS(co_sleep(MS(1)) == 0);
	}
	return 0;
}

struct table {
	co_chan *to, *back;
	int fd[2];
};

/* Sends numbers one by one, and gets each back. */
static int serves(void *arg)
{
	struct table *t = arg;

	for (int i = 0, back; !storm.over; i++) {
		HOLDS(co_chan_send(t->to, &i) == 0);
		HOLDS(co_chan_recv(t->back, &back) == 0);
		HOLDS(back == i);
	}
	return co_chan_close(t->to);
}

static int returns(void *arg)
{
	struct table *t = arg;
	int i, rc;

	while ((rc = co_chan_recv(t->to, &i)) == 0)
		HOLDS(co_chan_send(t->back, &i) == 0);
	HOLDS(rc == -EPIPE);
	return 0;
}

/* Writes numbers into a pipe, more at a time than it holds. */
static int writes(void *arg)
{
	struct table *t = arg;
	static uint32_t numbers[40000];
	uint32_t n = 0;

	while (!storm.over) {
		for (size_t i = 0; i < LENGTH(numbers); i++)
			numbers[i] = n++;
		HOLDS(co_write_all(t->fd[1], numbers, sizeof(numbers), NULL) == 0);
	}
	return co_close(t->fd[1]);
}

static int reads(void *arg)
{
	struct table *t = arg;
	uint32_t numbers[100], want = 0;
	int rc;

	while ((rc = co_read_full(t->fd[0], numbers, sizeof(numbers), NULL)) == 0)
		for (size_t i = 0; i < LENGTH(numbers); i++)
			HOLDS(numbers[i] == want++);
	IS(rc, -ENODATA);
	return co_close(t->fd[0]);
}

static int counts(co_gen *gen, void *unused)
{
	for (intptr_t i = 0; co_gen_emit(gen, num(i), NULL) == 0; i++)
		;
	return unused != NULL;
}

/* Runs a generator, a switch within the coroutine's turn. */
static int generates(void *unused)
{
	co_gen *gen;
	void *value;

	IS(co_gen_make(&gen, counts, unused, NULL), 0);
	for (intptr_t i = 0; !storm.over; i++) {
		HOLDS(co_gen_next(gen, &value) == 1);
		HOLDS(value == num(i));
		if (i % 64 == 0)
			HOLDS(co_yield_now() == 0);
	}
	co_gen_free(gen);
	return 0;
}

/* ----------------------------------------------------------------------------------- the storms */

struct weather {
	int sa_flags;
	bool posts, busy; /* else the loop mostly waits */
};

static void spawn_waiting(co_group *g, struct table *t)
{
	for (int i = 0; i < 8; i++)
		spawn(g, sleeps, num(i));
	spawn(g, reads, t);
}

static void spawn_busy(co_group *g, struct table *t, bool on_alternate)
{
	for (int i = 0; i < 4; i++)
		spawn(g, computes, num(i));
	spawn(g, is_hit, on_alternate ? num(1) : NULL);
	spawn(g, generates, NULL);
	spawn(g, serves, t);
	spawn(g, returns, t);
	spawn(g, writes, t);
}

static int weathers(void *arg)
{
	const struct weather *w = arg;
	struct table t;
	co_group g;

	storm.loop = co_loop_self();
	storm.posts = w->posts;
	IS(co_chan_make(&t.to, sizeof(int), 0), 0);
	IS(co_chan_make(&t.back, sizeof(int), 0), 0);
	IS(pipe2(t.fd, O_NONBLOCK | O_CLOEXEC), 0);
	begin_storm(w->sa_flags);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn_waiting(&g, &t);
	if (w->busy)
		spawn_busy(&g, &t, w->sa_flags == SA_ONSTACK);
	end_storm();
	if (!w->busy)
		IS(co_close(t.fd[1]), 0);
	IS(co_group_end(&g, 0), 0);
	co_chan_free(t.to);
	co_chan_free(t.back);
	return 0;
}

static void weather(int sa_flags, bool posts, bool busy)
{
	struct weather w = { sa_flags, posts, busy };
	int code = -1;

	IS(co_run(weathers, &w, real_clock(), &code), 0);
	IS(code, 0);
	ck_assert_int_ge(storm.handled, SIGNALS);
	IS(storm.elsewhere, sa_flags == SA_ONSTACK ? 0 : storm.handled);
	IS(storm.sent > 0, posts);
	IS(storm.received, storm.sent);
	IS(storm.refused, 0);
}

START_TEST(K15_handled_on_the_stacks_of_coroutines)
{
	weather(0, true, true);
}
END_TEST

START_TEST(K15_handled_on_an_alternate_stack)
{
	weather(SA_ONSTACK, true, true);
}
END_TEST

START_TEST(K15_while_the_loop_waits)
{
	weather(0, false, false);
}
END_TEST

START_TEST(K15_waking_the_loop_by_posts)
{
	weather(SA_ONSTACK, true, false);
}
END_TEST

/* All frames of the handler would be too large for these stacks. */
static int small_ones(void *arg)
{
	const struct co_attr attr = { .stack_size = 2048, .flags = CO_SMALL_STACK };
	static co_fn *const fns[] = { sleeps, computes, is_hit, serves, returns };
	struct table t;
	co_group g;

	(void)arg;
	IS(co_chan_make(&t.to, sizeof(int), 0), 0);
	IS(co_chan_make(&t.back, sizeof(int), 0), 0);
	begin_storm(SA_ONSTACK);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (size_t i = 0; i < LENGTH(fns); i++)
		IS(co_spawn_with(&g, fns[i], &t, NULL, &attr), 0);
	for (int i = 0; i < 20; i++)
		IS(co_spawn_with(&g, i % 2 ? sleeps : computes, num(i), NULL, &attr), 0);
	end_storm();
	IS(co_group_end(&g, 0), 0);
	co_chan_free(t.to);
	co_chan_free(t.back);
	return 0;
}

START_TEST(K15_on_small_stacks)
{
	int code = -1;

	IS(co_run(small_ones, NULL, real_clock(), &code), 0);
	IS(code, 0);
	ck_assert_int_ge(storm.handled, SIGNALS);
	IS(storm.elsewhere, 0);
}
END_TEST

/* ------------------------------------------------------------------------------------ the volley */

enum { SHOTS = 10000 };

static struct {
	_Atomic uint64_t scope; /* the one of this moment */
	atomic_int handled, refused;
	atomic_bool over;
	pthread_t target;
	int naps;
} volley;

static void on_shot(int signo)
{
	int saved = errno, rc;

	(void)signo;
	rc = co_scope_cancel_remote((co_scope_ref){ atomic_load(&volley.scope) }, EIO);
	if (rc != 0 && rc != -ESRCH)
		atomic_fetch_add(&volley.refused, 1);
	atomic_fetch_add(&volley.handled, 1);
	errno = saved;
}

static void *shoots(void *unused)
{
	for (int i = 0; i < SHOTS; i++) {
		IS(pthread_kill(volley.target, SIGUSR1), 0);
		while (atomic_load(&volley.handled) <= i)
			sched_yield();
	}
	atomic_store(&volley.over, true);
	IS(pthread_kill(volley.target, SIGUSR1), 0);
	return unused;
}

static int takes_naps(void *unused)
{
	(void)unused;
	while (!atomic_load(&volley.over)) {
		IS(co_sleep(CO_US(100)), 0);
		volley.naps++;
	}
	return 0;
}

/* REAL. C24. Each signal cancels the scope of that moment; the next one begins at once. */
SCENARIO_WITH(S215_signal_storm, real_clock())
{
	const struct sigaction act = { .sa_handler = on_shot, .sa_flags = SA_ONSTACK };
	int cancelled = 0;
	pthread_t thread;
	struct lone f;

	volley.target = pthread_self();
	IS(sigaction(SIGUSR1, &act, NULL), 0);
	lone_start(&f, takes_naps, NULL);
	IS(pthread_create(&thread, NULL, shoots, NULL), 0);
	do {
		co_scope s = CO_SCOPE_INIT;

		co_scope_begin(&s, CO_FOREVER);
		atomic_store(&volley.scope, co_scope_share(&s).id);
		IS(co_scope_end(&s, co_sleep(CO_FOREVER)), -EIO);
		cancelled++;
	} while (!atomic_load(&volley.over));
	IS(pthread_join(thread, NULL), 0);
	IS(lone_end(&f), 0);
	ck_assert_int_ge(atomic_load(&volley.handled), SHOTS);
	ck_assert_int_gt(cancelled, 0);
	ck_assert_int_le(cancelled, SHOTS + 1);
	ck_assert_int_gt(volley.naps, 0);
	IS(atomic_load(&volley.refused), 0);
}

SUITE("signals", K15_handled_on_the_stacks_of_coroutines, K15_handled_on_an_alternate_stack,
      K15_while_the_loop_waits, K15_waking_the_loop_by_posts, K15_on_small_stacks,
      S215_signal_storm)
