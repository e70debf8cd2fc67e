/*
 * Regressions T20, T21, T31, T34 and T38: waits that are not refreshed, loops that starve their
 * descriptors or spin, wakes that are missed. And what C38 says of the virtual clock and
 * descriptors. Nothing is measured in time: who missed a wake would hang, and spinning is counted
 * in passes of the loop.
 */
#define _GNU_SOURCE /* pipe2 */
#include "ends.h"

#include <sys/eventfd.h>

/* ------------------------------------------------------------------------- moved timers */

struct idle {
	int fd;
	co_scope scope;
	co_ns dur;
	int rc;
};

static int idles(void *arg)
{
	struct idle *i = arg;
	char buf[8];

	co_scope_begin(&i->scope, i->dur);
	i->rc = co_scope_end(&i->scope, (int)co_read(i->fd, buf, sizeof(buf)));
	return 0;
}

static struct idle idle = { .scope = CO_SCOPE_INIT };

static void on_post_hurry(struct co_post_node *node)
{
	(void)node;
	IS(co_scope_rearm(&idle.scope, MS(1)), 0);
}

static struct co_post_node hurry = { .fn = on_post_hurry };

/* Posts when the loop sleeps. */
static void *hurries_up(void *to)
{
	until_asleep(getpid());
	IS(co_post(*(co_loop_ref *)to, &hurry), 0);
	return NULL;
}

/* REAL. A wait of an hour becomes one of a millisecond, by a coroutine or by a post. */
SCENARIO_WITH(T20_moving_the_first_timer_refreshes_the_wait, real_clock())
{
	co_loop_ref self = co_loop_self();
	pthread_t thread = pthread_self();
	struct lone f;
	int ends[2];

	pair(ends);
	for (int remote = 0; remote < 2; remote++) {
		idle = (struct idle){ .fd = ends[0], .dur = CO_SEC(3600), .rc = 1 };
		lone_start(&f, idles, &idle);
		if (remote) {
			thread = start(hurries_up, &self);
		} else {
			IS(co_sleep(MS(2)), 0);
			IS(co_scope_rearm(&idle.scope, MS(1)), 0);
		}
		IS(lone_end(&f), 0);
		IS(idle.rc, TMO);
		if (remote)
			finish(thread);
	}
	close_both(ends);
}

/* Modifies a timer that would come after `dur`, and looks on for ten times as long; false if it came
 * first, as the machine was too slow for that. */
static bool modifies(int how, int fd, co_ns dur)
{
	struct co_stats before, after;
	int rc = -EALREADY;
	struct lone f;

	idle = (struct idle){ .fd = fd, .dur = dur, .rc = 1 };
	lone_start(&f, idles, &idle);
	IS(co_yield_now(), 0);
	if (idle.rc != 1)
		;
	else if (how == 0)
		rc = co_scope_rearm(&idle.scope, CO_SEC(3600));
	else if (how == 1)
		rc = co_scope_set_deadline(&idle.scope, CO_FOREVER);
	else
		rc = co_scope_cancel(&idle.scope, EIO);
	if (rc != 0) {
		IS(rc, -EALREADY);
	} else {
		IS(co_stats(&before), 0);
		IS(co_sleep(10 * dur), 0);
		IS(co_stats(&after), 0);
		ck_assert_uint_le(after.passes - before.passes, 20);
		if (how < 2)
			IS(co_scope_cancel(&idle.scope, EIO), 0);
	}
	IS(lone_end(&f), 0);
	IS(idle.rc, rc == 0 ? -EIO : TMO);
	return rc == 0;
}

/* REAL. The first timer goes away, or moves back: the next one is still met, and nobody spins. */
SCENARIO_WITH(T34_no_spinning_after_a_timer_was_modified, real_clock())
{
	int ends[2];

	pair(ends);
	for (int how = 0; how < 3; how++)
		for (co_ns dur = MS(5); !modifies(how, ends[0], dur); dur *= 2)
			ck_assert_int_lt(dur, CO_SEC(60));
	close_both(ends);
}

/* REAL. Data that nobody waits for, and the end of a peer, wake nobody. */
SCENARIO_WITH(T34_no_spinning_because_of_unread_data, real_clock())
{
	struct co_stats before, after;
	char buf[8];
	int ends[2];

	pair(ends);
	IS(co_read_until(ends[0], buf, 1, co_now() + MS(1)), TMO);
	for (int hung_up = 0; hung_up < 2; hung_up++) {
		if (hung_up)
			IS(co_close(ends[1]), 0);
		else
			put(ends[1], "data");
		IS(co_read(ends[0], buf, 1), 1);
		IS(co_stats(&before), 0);
		IS(co_sleep(MS(50)), 0);
		IS(co_stats(&after), 0);
		ck_assert_uint_le(after.passes - before.passes, 20);
	}
	IS(co_close(ends[0]), 0);
}

/* REAL. The same while somebody waits for the other direction. */
SCENARIO_WITH(T34_no_spinning_because_of_the_other_direction, real_clock())
{
	struct co_stats before, after;
	struct waiting w;
	struct lone f;
	int ends[2];

	pair(ends);
	fill(ends[0]);
	put(ends[1], "data");
	w = (struct waiting){ .fd = ends[0], .events = POLLOUT };
	lone_start(&f, waiting, &w);
	IS(co_yield_now(), 0);
	IS(co_stats(&before), 0);
	IS(co_sleep(MS(50)), 0);
	IS(co_stats(&after), 0);
	ck_assert(!w.over);
	ck_assert_uint_le(after.passes - before.passes, 20);
	drain(ends[1]);
	IS(lone_end(&f), 0);
	close_both(ends);
}

/* ------------------------------------------------------------------------------ starvation */

struct starving {
	co_ns nap;
	bool done;
};

static int naps_again_and_again(void *arg)
{
	struct starving *s = arg;

	while (!s->done)
		IS(co_sleep(s->nap), 0);
	return 0;
}

static int times_out_again_and_again(void *arg)
{
	struct starving *s = arg;

	while (!s->done) {
		co_scope scope = CO_SCOPE_INIT;

		co_scope_begin(&scope, s->nap);
		IS(co_scope_end(&scope, co_sleep(MS(1))), TMO);
	}
	return 0;
}

static int yields_again_and_again(void *arg)
{
	struct starving *s = arg;

	while (!s->done)
		IS(co_yield_now(), 0);
	return 0;
}

/* A wait for what is there already is over within so many passes. */
static void io_goes_on_beside(co_fn *busy, co_ns dur)
{
	struct starving s = { .nap = dur };
	struct co_stats before, after;
	struct reading r;
	struct lone f, h;
	int ends[2];

	pair(ends);
	r = (struct reading){ .fd = ends[0] };
	lone_start(&f, reading, &r);
	lone_start(&h, busy, &s);
	for (int i = 0; i < 10; i++)
		IS(co_yield_now(), 0);
	put(ends[1], "data");
	IS(co_stats(&before), 0);
	while (!r.over)
		IS(co_yield_now(), 0);
	IS(co_stats(&after), 0);
	ck_assert_uint_le(after.passes - before.passes, 1000000);
	s.done = true;
	IS(lone_end(&h), 0);
	IS(lone_end(&f), 0);
	IS(r.rc, 4);
	close_both(ends);
}

static void io_goes_on(void)
{
	io_goes_on_beside(naps_again_and_again, 0);
	io_goes_on_beside(naps_again_and_again, 1);
	io_goes_on_beside(times_out_again_and_again, 0);
	io_goes_on_beside(times_out_again_and_again, 1);
	io_goes_on_beside(yields_again_and_again, 0);
}

SCENARIO(T21_a_zero_timer_does_not_starve_the_loop)
{
	io_goes_on();
}

/* REAL */
SCENARIO_WITH(T21_nor_on_the_real_clock, real_clock())
{
	io_goes_on();
}

/* ----------------------------------------------------------------------------------- wakes */

enum { STORMERS = 4 };

struct storm {
	co_loop_ref loop;
	co_ref last; /* who is cancelled when all have run */
	int fd, rounds;
	atomic_int ran;
};

struct wake {
	struct co_post_node node;
	struct storm *storm;
	atomic_int ran;
};

static int sleeps_0(void *arg)
{
	struct wake *w = arg;
	struct storm *s = w->storm;

	IS(co_sleep(0), 0);
	atomic_fetch_add(&w->ran, 1); /* after its last round *w is gone */
	if (atomic_fetch_add(&s->ran, 1) + 1 == STORMERS * s->rounds)
		IS(co_cancel(s->last, 0), 0);
	return 0;
}

static void on_wake(struct co_post_node *node)
{
	IS(co_spawn(NULL, sleeps_0, node, NULL), 0);
}

/* Each wake is waited for before the next, so that the loop goes to sleep in between. */
static void *wakes_and_waits(void *arg)
{
	struct storm *s = arg;
	struct wake w = { .node = { .fn = on_wake }, .storm = s };

	for (int i = 1; i <= s->rounds; i++) {
		while (co_post(s->loop, &w.node) == -EBUSY)
			sched_yield();
		while (atomic_load(&w.ran) < i)
			sched_yield();
	}
	return NULL;
}

/* REAL. A timer of no delay, armed by a post, while the next one is an hour away. */
SCENARIO_WITH(T31_no_wake_is_missed, real_clock())
{
	struct storm s = { .loop = co_loop_self(), .rounds = suite_long() ? 100000 : 2000 };
	pthread_t threads[STORMERS];
	struct lone f;

	lone_start(&f, sleep_ms, num(3600000));
	s.last = f.ref;
	for (int i = 0; i < STORMERS; i++)
		threads[i] = start(wakes_and_waits, &s);
	IS(lone_end(&f), CANC);
	for (int i = 0; i < STORMERS; i++)
		finish(threads[i]);
	IS(atomic_load(&s.ran), STORMERS * s.rounds);
}

static void *strikes_the_eventfd(void *arg)
{
	struct storm *s = arg;
	const uint64_t one = 1;

	for (int i = 0; i < s->rounds; i++)
		while (write(s->fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
			sched_yield();
	return NULL;
}

/* REAL. Nothing but the eventfd would wake the loop. */
SCENARIO_WITH(T38_an_eventfd_storm, real_clock())
{
	struct storm s = { .rounds = suite_long() ? 1000000 : 20000 };
	pthread_t threads[STORMERS];
	uint64_t sum = 0, count;

	s.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	for (int i = 0; i < STORMERS; i++)
		threads[i] = start(strikes_the_eventfd, &s);
	while (sum < (uint64_t)STORMERS * (uint64_t)s.rounds) {
		IS(co_read(s.fd, &count, sizeof(count)), (ssize_t)sizeof(count));
		sum += count;
	}
	ck_assert_uint_eq(sum, (uint64_t)STORMERS * (uint64_t)s.rounds);
	for (int i = 0; i < STORMERS; i++)
		finish(threads[i]);
	IS(co_close(s.fd), 0);
}

/* ------------------------------------------------------------- the virtual clock and I/O */

static int answers(void *arg)
{
	int fd = *(int *)arg;
	char buf[8];
	ssize_t n;

	while ((n = co_read(fd, buf, sizeof(buf))) > 0)
		IS(co_write(fd, buf, (size_t)n), n);
	return (int)n;
}

/* C38: a thousand exchanges take no time, though a timer is near. */
SCENARIO(C38_no_jump_while_io_is_ready)
{
	struct nap n = { .dur = 1 };
	struct lone f, h;
	char buf[8];
	int ends[2];

	pair(ends);
	lone_start(&f, nap, &n);
	lone_start(&h, answers, &ends[0]);
	for (int i = 0; i < 1000; i++) {
		IS(co_write(ends[1], "ping", 4), 4);
		IS(co_read(ends[1], buf, sizeof(buf)), 4);
	}
	AT(0);
	ck_assert(!n.over);
	IS(co_close(ends[1]), 0);
	IS(lone_end(&h), 0);
	AT(0);
	IS(lone_end(&f), 0);
	IS(n.at, 1);
	IS(co_close(ends[0]), 0);
}

/* C38: where nothing is ready it jumps, with waits on descriptors as without. */
SCENARIO(C38_waits_on_descriptors_do_not_stop_the_clock)
{
	struct reading r[3];
	struct putting p;
	struct lone f, h, k;
	int ends[2][2];

	pair(ends[0]);
	pair(ends[1]);
	r[0] = (struct reading){ .fd = ends[0][0], .until = CO_SEC(86400) };
	r[1] = (struct reading){ .fd = ends[1][0] };
	p = (struct putting){ ends[1][1], CO_SEC(3600), "late" };
	lone_start(&f, reading, &r[0]);
	lone_start(&h, reading, &r[1]);
	lone_start(&k, putting, &p);
	IS(lone_end(&k), 0);
	IS(lone_end(&h), 0);
	IS(r[1].at, CO_SEC(3600));
	ck_assert_str_eq(r[1].got, "late");
	IS(lone_end(&f), TMO);
	IS(r[0].at, CO_SEC(86400));
	close_both(ends[0]);
	close_both(ends[1]);
}

static void *puts_late(void *arg)
{
	until_asleep(getpid());
	put(*(int *)arg, "from afar");
	return NULL;
}

/* C38: one that waits for a descriptor is no deadlock; the loop waits in the kernel. */
SCENARIO(C38_a_wait_for_a_descriptor_is_no_deadlock)
{
	pthread_t thread;
	char buf[16];
	int ends[2];

	pair(ends);
	thread = start(puts_late, &ends[1]);
	IS(co_read(ends[0], buf, sizeof(buf)), 9);
	AT(0);
	finish(thread);
	close_both(ends);
}

SUITE("regressions_io",
      T20_moving_the_first_timer_refreshes_the_wait,
      T21_a_zero_timer_does_not_starve_the_loop,
      T21_nor_on_the_real_clock,
      T31_no_wake_is_missed,
      T34_no_spinning_after_a_timer_was_modified,
      T34_no_spinning_because_of_unread_data,
      T34_no_spinning_because_of_the_other_direction,
      T38_an_eventfd_storm,
      C38_no_jump_while_io_is_ready,
      C38_waits_on_descriptors_do_not_stop_the_clock,
      C38_a_wait_for_a_descriptor_is_no_deadlock)
