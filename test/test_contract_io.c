/*
 * Clause C34 of the contract and what <whorl/io.h> promises, with C7, C10 and C17 as far as they
 * are about descriptors: who may wait, what a cancel or a deadline leaves behind, and closing.
 * Times are virtual.
 */
#define _GNU_SOURCE /* pipe2, POLLRDHUP */
#include "ends.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/uio.h>

/* Counted on their way: the library's calls bind to the program's definition. */
static int registrations;
static atomic_int waits; /* of the loop, in the kernel */
static int interrupted;	 /* of these, by signals */

int epoll_wait(int epfd, struct epoll_event *events, int n, int timeout)
{
	int rc;

	atomic_fetch_add(&waits, timeout != 0);
	rc = (int)syscall(SYS_epoll_pwait, epfd, events, n, timeout, NULL, 8);
	interrupted += rc < 0 && errno == EINTR;
	return rc;
}

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	registrations++;
	return (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
}

/* -------------------------------------------------------------- every call, by one shape */

struct target {
	int fd;
	struct place at; /* for connect */
	co_ns until;
};

static char spare[64]; /* what is read into, and written from */

static ssize_t do_wait_in(struct target *t)
{
	return co_wait_fd(t->fd, POLLIN);
}

static ssize_t do_wait_out(struct target *t)
{
	return co_wait_fd(t->fd, POLLOUT);
}

static ssize_t do_wait_in_until(struct target *t)
{
	return co_wait_fd_until(t->fd, POLLIN, t->until);
}

static ssize_t do_wait_out_until(struct target *t)
{
	return co_wait_fd_until(t->fd, POLLOUT, t->until);
}

static ssize_t do_read(struct target *t)
{
	return co_read(t->fd, spare, 4);
}

static ssize_t do_read_until(struct target *t)
{
	return co_read_until(t->fd, spare, 4, t->until);
}

static ssize_t do_write(struct target *t)
{
	return co_write(t->fd, spare, 4);
}

static ssize_t do_write_until(struct target *t)
{
	return co_write_until(t->fd, spare, 4, t->until);
}

static ssize_t do_readv(struct target *t)
{
	struct iovec v[2] = { { spare, 1 }, { spare + 1, 3 } };

	return co_readv(t->fd, v, 2);
}

static ssize_t do_writev(struct target *t)
{
	struct iovec v[2] = { { spare, 1 }, { spare + 1, 3 } };

	return co_writev(t->fd, v, 2);
}

static ssize_t do_read_full(struct target *t)
{
	size_t done = 99;
	int rc = co_read_full(t->fd, spare, 4, &done);

	ck_assert_uint_eq(done, rc == 0 ? 4 : 0);
	return rc;
}

static ssize_t do_write_all(struct target *t)
{
	size_t done = 99;
	int rc = co_write_all(t->fd, spare, 4, &done);

	ck_assert_uint_eq(done, rc == 0 ? 4 : 0);
	return rc;
}

static ssize_t do_accept(struct target *t)
{
	return co_accept(t->fd, NULL, NULL);
}

static ssize_t do_accept_until(struct target *t)
{
	return co_accept_until(t->fd, NULL, NULL, t->until);
}

static ssize_t do_connect(struct target *t)
{
	return co_connect(t->fd, &t->at.addr.any, t->at.len);
}

static ssize_t do_connect_until(struct target *t)
{
	return co_connect_until(t->fd, &t->at.addr.any, t->at.len, t->until);
}

enum side { INPUT, OUTPUT, ACCEPT, CONNECT };

static const struct io_call {
	const char *name;
	ssize_t (*call)(struct target *t);
	enum side side;
	bool until;
	ssize_t good; /* what it gives when it can be had; -1: a new descriptor */
} io_calls[] = {
	{ "wait_fd in", do_wait_in, INPUT, false, POLLIN },
	{ "wait_fd out", do_wait_out, OUTPUT, false, POLLOUT },
	{ "wait_fd_until in", do_wait_in_until, INPUT, true, POLLIN },
	{ "wait_fd_until out", do_wait_out_until, OUTPUT, true, POLLOUT },
	{ "read", do_read, INPUT, false, 4 },
	{ "read_until", do_read_until, INPUT, true, 4 },
	{ "write", do_write, OUTPUT, false, 4 },
	{ "write_until", do_write_until, OUTPUT, true, 4 },
	{ "readv", do_readv, INPUT, false, 4 },
	{ "writev", do_writev, OUTPUT, false, 4 },
	{ "read_full", do_read_full, INPUT, false, 0 },
	{ "write_all", do_write_all, OUTPUT, false, 0 },
	{ "accept", do_accept, ACCEPT, false, -1 },
	{ "accept_until", do_accept_until, ACCEPT, true, -1 },
	{ "connect", do_connect, CONNECT, false, 0 },
	{ "connect_until", do_connect_until, CONNECT, true, 0 },
};

#define FOR_CALLS(c)									\
	for (const struct io_call *c = io_calls; c < io_calls + LENGTH(io_calls); c++)

/* A target of a call that can be had at once, or must wait. `other`: what stands at its other
 * end. The black hole is shared: an attempt at it always waits. */
static int set_stage(const struct io_call *c, struct target *t, bool ready)
{
	static struct black_hole hole;
	int ends[2], other;

	switch (c->side) {
	case INPUT:
	case OUTPUT:
		pair(ends);
		t->fd = ends[0];
		if (ready && c->side == INPUT)
			put(ends[1], "data");
		else if (!ready && c->side == OUTPUT)
			fill(ends[0]);
		return ends[1];
	case ACCEPT:
		t->fd = listener(AF_UNIX, &t->at, 8);
		other = new_socket(AF_UNIX);
		if (ready)
			IS(connect(other, &t->at.addr.any, t->at.len), 0);
		return other;
	case CONNECT:
		t->fd = new_socket(ready ? AF_UNIX : AF_INET);
		if (ready)
			return listener(AF_UNIX, &t->at, 8);
		if (hole.listener == 0)
			black_hole(&hole);
		t->at = hole.at;
		return dup(hole.listener);
	}
	return -1;
}

/* Whether what the call was to do has been left undone. */
static void nothing_moved(const struct io_call *c, const struct target *t, int other)
{
	int fd;

	switch (c->side) {
	case INPUT:
		holds(t->fd, "data");
		break;
	case OUTPUT:
		holds(other, "");
		break;
	case ACCEPT:
		fd = accept(t->fd, NULL, NULL);
		ck_assert_int_ge(fd, 0);
		close(fd);
		break;
	case CONNECT:
		IS(accept(other, NULL, NULL), -1);
		IS(errno, EAGAIN);
		break;
	}
}

static void was_good(const struct io_call *c, ssize_t rc)
{
	if (c->good >= 0)
		ck_assert_msg(rc == c->good, "%s gives %zd", c->name, rc);
	else
		ck_assert_msg(rc >= 0 && close((int)rc) == 0, "%s gives %zd", c->name, rc);
}

/* Transfers of no bytes: each a call like any other. */
static int nothing_at_all(struct target *t)
{
	size_t done[2] = { 99, 99 };
	int rc = co_read_full(t->fd, spare, 0, &done[0]);

	IS(co_write_all(t->fd, spare, 0, &done[1]), rc);
	ck_assert_uint_eq(done[0], 0);
	ck_assert_uint_eq(done[1], 0);
	return rc;
}

/* C7, C17: also what could be had at once, and what is wrong */
SCENARIO(C17_every_call_looks_for_a_cancel_first)
{
	struct target t = { .fd = -1 };
	ssize_t rc;

	FOR_CALLS(c) {
		int other = set_stage(c, &t, true);
		co_scope s = CO_SCOPE_INIT;

		begin_cancelled(&s, EIO);
		for (int i = 0; i < 3; i++) {
			t.until = i == 0 ? -1 : i == 1 ? MS(10) : CO_FOREVER;
			rc = c->call(&t);
			ck_assert_msg(rc == CANC, "%s gives %zd", c->name, rc);
		}
		nothing_moved(c, &t, other);
		IS(co_close(t.fd), 0);
		t.fd = -1;
		rc = c->call(&t);
		ck_assert_msg(rc == CANC, "%s of no descriptor gives %zd", c->name, rc);
		IS(nothing_at_all(&t), CANC);
		IS(co_scope_end(&s, CANC), -EIO);
		IS(co_close(other), 0);
	}
	AT(0);
}

/* C7, and what can be had at once, is, without a switch */
SCENARIO(C7_until_tries_first)
{
	static const co_ns past[] = { -1, 0, MS(5), CO_FOREVER, INT64_MIN };
	struct target t = { .fd = -1 };

	IS(co_sleep(MS(5)), 0);
	FOR_CALLS(c)
		for (size_t i = 0; i < LENGTH(past); i++) {
			int other = set_stage(c, &t, true);

			t.until = past[i];
			was_good(c, c->call(&t));
			IS(co_close(t.fd), 0);
			IS(co_close(other), 0);
		}
	AT(5);
}

/* C1, C10: at that time, no sooner, and what is due already at once */
SCENARIO(C10_the_deadline_of_a_call_is_minus_etimedout)
{
	struct target t = { .fd = -1 };
	int passed = 0;

	FOR_CALLS(c) {
		int other = set_stage(c, &t, false);

		for (int late = 0; c->until && late < 2; late++) {
			t.until = MS(late ? passed : ++passed);
			IS(c->call(&t), TMO);
			AT(passed);
		}
		IS(co_close(t.fd), 0);
		IS(co_close(other), 0);
	}
	IS(passed, 6);
}

/* C7: due by the clock as it is, though the loop has not looked: nobody else runs meanwhile */
SCENARIO_WITH(C7_a_deadline_that_is_due_does_not_block, injected())
{
	struct target t = { .fd = -1 };

	FOR_CALLS(c)
		for (co_ns late = 0; c->until && late <= MS(5); late += MS(5)) {
			int other = set_stage(c, &t, false);
			co_group g;

			co_group_begin(&g, CO_GROUP_FAIL_FAST);
			spawn(&g, write_x, NULL);
			shown += MS(10);
			t.until = shown - late;
			IS(c->call(&t), TMO);
			ck_assert_msg(strlen(notes()) == 0, "%s blocks", c->name);
			IS(co_group_end(&g, 0), 0);
			notes()[0] = '\0';
			IS(co_close(t.fd), 0);
			IS(co_close(other), 0);
		}
}

/* api.h: errno is neither set nor read, whatever comes of a call */
SCENARIO(errno_is_left_alone)
{
	struct target t;

	FOR_CALLS(c)
		for (int ready = 1; ready >= 0; ready--) {
			int other = set_stage(c, &t, ready);
			ssize_t rc = 0;

			t.until = co_now() + MS(1);
			errno = 77;
			if (ready || c->until)
				rc = c->call(&t);
			IS(errno, 77);
			if (c->good == -1 && rc > 0)
				IS(co_close((int)rc), 0);
			IS(co_close(t.fd), 0);
			IS(co_close(t.fd), -EBADF);
			IS(co_close(other), 0);
			IS(errno, 77);
			IS(c->call(&t), -EBADF);
			IS(errno, 77);
		}
}

/* also where the number was closed by close(2) and used again, so that the loop guesses wrong */
SCENARIO(errno_is_left_alone_by_a_wrong_guess)
{
	int ends[2];

	for (int i = 0; i < 2; i++) {
		pair(ends);
		errno = 77;
		IS(co_wait_fd_until(ends[0], POLLIN, co_now() + 1), TMO);
		IS(errno, 77);
		IS(close(ends[0]), 0);
		IS(close(ends[1]), 0);
	}
}

static void on_sigalrm(int signo)
{
	(void)signo;
}

static void *interrupts(void *loop)
{
	await(&waits, 1);
	IS(pthread_kill(*(pthread_t *)loop, SIGALRM), 0);
	return NULL;
}

/* and by a signal while the loop waits: one that comes before or after does not count */
SCENARIO_WITH(errno_is_left_alone_by_a_signal, real_clock())
{
	pthread_t self = pthread_self(), thread;

	signal(SIGALRM, on_sigalrm);
	while (interrupted == 0) {
		atomic_store(&waits, 0);
		thread = start(interrupts, &self);
		errno = 77;
		IS(co_sleep(MS(20)), 0);
		IS(errno, 77);
		finish(thread);
	}
}

/* ------------------------------------------------------------------- waits that are ended */

struct caller {
	const struct io_call *call;
	struct target target;
	ssize_t rc;
	bool over;
};

static int calls(void *arg)
{
	struct caller *c = arg;

	c->target.until = CO_FOREVER;
	c->rc = c->call->call(&c->target);
	c->over = true;
	return c->rc < 0 ? (int)c->rc : 0;
}

/* C10 */
SCENARIO(C10_close_wakes_who_waits)
{
	FOR_CALLS(c) {
		struct caller it = { .call = c };
		int other = set_stage(c, &it.target, false);
		struct lone f;

		lone_start(&f, calls, &it);
		settle();
		ck_assert_msg(!it.over, "%s gives %zd", c->name, it.rc);
		IS(co_close(it.target.fd), 0);
		ck_assert_msg(!it.over, "%s runs within co_close", c->name);
		ck_assert_int_lt(fcntl(it.target.fd, F_GETFD), 0);
		IS(lone_end(&f), -EBADF);
		IS(co_close(other), 0);
	}
	AT(0);
}

/* Both directions at once. */
SCENARIO(C10_close_wakes_reader_and_writer)
{
	struct caller in = { .call = &io_calls[4] }, out = { .call = &io_calls[6] };
	struct lone f, h;
	int ends[2];

	pair(ends);
	fill(ends[0]);
	in.target.fd = out.target.fd = ends[0];
	lone_start(&f, calls, &in);
	lone_start(&h, calls, &out);
	settle();
	IS(co_close(ends[0]), 0);
	IS(lone_end(&h), -EBADF);
	IS(lone_end(&f), -EBADF);
	IS(co_close(ends[1]), 0);
}

/* A wait that is cancelled leaves the descriptor to others, at once and as it was. */
SCENARIO(C34_a_cancel_takes_nothing_and_closes_nothing)
{
	FOR_CALLS(c) {
		struct caller it = { .call = c };
		int other = set_stage(c, &it.target, false);
		struct lone f;

		for (int i = 0; i < 2; i++) {
			lone_start(&f, calls, &it);
			settle();
			IS(co_cancel(f.ref, 0), 0);
			IS(lone_end(&f), CANC);
		}
		ck_assert_int_ge(fcntl(it.target.fd, F_GETFD), 0);
		IS(co_close(it.target.fd), 0);
		IS(co_close(other), 0);
	}
	AT(0);
}

/* Data and cancel in one turn: either the bytes came, or they are still there. */
SCENARIO(C34_bytes_and_cancel_together)
{
	struct reading r = { .rc = 1 };
	struct lone f;
	int ends[2];

	pair(ends);
	for (int cancel_first = 0; cancel_first < 2; cancel_first++) {
		r = (struct reading){ .fd = ends[0] };
		lone_start(&f, reading, &r);
		settle();
		if (cancel_first)
			IS(co_cancel(f.ref, 0), 0);
		put(ends[1], "data");
		if (!cancel_first)
			IS(co_cancel(f.ref, 0), 0);
		lone_end(&f);
		IS(r.rc, CANC);	/* the waker had not picked it */
		holds(ends[0], "data");
	}
	close_both(ends);
}

/* Woken by data that another takes before it runs, and cancelled meanwhile: that is not lost. */
SCENARIO(C6_a_cancel_after_a_wake_for_nothing)
{
	struct reading r = { .rc = 1 };
	struct lone f;
	int ends[2];

	pair(ends);
	r.fd = ends[0];
	lone_start(&f, reading, &r);
	settle();
	put(ends[1], "x");
	IS(co_yield_now(), 0);
	ck_assert(!r.over);
	holds(ends[0], "x");
	IS(co_cancel(f.ref, 0), 0);
	IS(lone_end(&f), CANC);
	IS(r.rc, CANC);
	AT(0);
	close_both(ends);
}

/* The same without a cancel: it waits again. */
SCENARIO(C34_a_wake_for_nothing)
{
	struct reading r = { .rc = 1 };
	struct lone f;
	int ends[2];

	pair(ends);
	r.fd = ends[0];
	lone_start(&f, reading, &r);
	settle();
	for (int i = 0; i < 3; i++) {
		put(ends[1], "x");
		IS(co_yield_now(), 0);
		holds(ends[0], "x");
		settle();
		ck_assert(!r.over);
	}
	put(ends[1], "data");
	IS(lone_end(&f), 0);
	ck_assert_str_eq(r.got, "data");
	close_both(ends);
}

static int reads_into_a_storm(void *arg)
{
	struct reading *r = arg;
	char byte;

	r->rc = co_read(r->fd, &byte, 1);
	r->over = true;
	for (int i = 0; i < 9998; i++)
		if (co_read(r->fd, &byte, 1) != CANC)
			ck_abort_msg("read %d is not cut off", i);
	IS(reports()->count, 0);
	IS(co_read(r->fd, &byte, 1), CANC);
	return reports()->count;
}

/* C19: the -ECANCELED that ended a wait, or that came when it was woken for nothing, is one of the
 * 10 000 that are ignored. */
SCENARIO_WITH(C19_a_storm_counts_from_the_first, hearing())
{
	int ends[2];

	pair(ends);
	for (int woken = 0; woken < 2; woken++) {
		struct reading r = { .fd = ends[0] };
		struct lone f;

		reports()->count = 0;
		lone_start(&f, reads_into_a_storm, &r);
		settle();
		if (woken) {
			put(ends[1], "x");
			IS(co_yield_now(), 0);
			holds(ends[0], "x");
		}
		ck_assert(!r.over);
		IS(co_cancel(f.ref, 0), 0);
		IS(lone_end(&f), 1);
		IS(r.rc, CANC);
	}
	close_both(ends);
}

static int holds_out(void *arg)
{
	struct waiting *w = arg;
	co_scope s = CO_SCOPE_INIT;

	IS(co_sleep(CO_FOREVER), CANC);
	co_scope_begin_shield(&s, MS(100));
	w->rc = co_wait_fd(w->fd, w->events);
	IS(co_scope_end(&s, w->rc), TMO);
	return CANC;
}

static struct co_options *watching(void)
{
	struct co_options *opt = hearing();

	opt->watchdog = MS(50);
	return opt;
}

/* C28: a report says which way it is waited for. */
SCENARIO_WITH(C28_what_a_report_says_of_a_descriptor, watching())
{
	static const char *const ways[] = { "to be readable", "to be writable" };
	struct waiting w = { .over = false };
	int ends[2];

	pair(ends);
	fill(ends[0]);
	w.fd = ends[0];
	for (int i = 0; i < 2; i++) {
		struct lone f;

		w.events = i ? POLLOUT : POLLIN;
		lone_start(&f, holds_out, &w);
		settle();
		IS(co_cancel(f.ref, 0), 0);
		IS(lone_end(&f), CANC);
		IS(w.rc, CANC);
		IS(reports()->count, i + 1);
		ck_assert_ptr_nonnull(strstr(reports()->text[i], ways[i]));
	}
	close_both(ends);
}

/* ------------------------------------------------------------------------- one at a time */

/* A second one of a direction gets -EBUSY at once, by any call; the other direction is free. */
SCENARIO(C34_one_waiter_for_each_direction)
{
	struct reading r;
	struct target t;
	struct lone f;
	int ends[2];

	pair(ends);
	r = (struct reading){ .fd = ends[0] };
	t = (struct target){ .fd = ends[0], .until = MS(10) };
	lone_start(&f, reading, &r);
	settle();
	FOR_CALLS(c) {
		if (c->side == INPUT)
			ck_assert_msg(c->call(&t) == -EBUSY, "%s", c->name);
		else if (c->side == OUTPUT)
			was_good(c, c->call(&t));
	}
	IS(co_wait_fd(ends[0], POLLIN | POLLOUT), POLLOUT);
	IS(co_wait_fd(ends[0], POLLRDHUP), -EBUSY);
	fill(ends[0]);
	IS(co_wait_fd(ends[0], POLLIN | POLLOUT), -EBUSY);
	AT(0);
	ck_assert(!r.over);
	put(ends[1], "x");
	IS(lone_end(&f), 0);
	IS(r.rc, 1);
	close_both(ends);
}

/* The same with a writer. */
SCENARIO(C34_one_writer_waits)
{
	struct caller w = { .call = &io_calls[6] };
	struct target t;
	struct lone f;
	int ends[2];

	pair(ends);
	fill(ends[0]);
	put(ends[1], "data");
	w.target.fd = ends[0];
	t = (struct target){ .fd = ends[0], .until = MS(10) };
	lone_start(&f, calls, &w);
	settle();
	FOR_CALLS(c)
		if (c->side == OUTPUT)
			ck_assert_msg(c->call(&t) == -EBUSY, "%s", c->name);
	IS(co_read(ends[0], spare, sizeof(spare)), 4);
	AT(0);
	drain(ends[1]);
	IS(lone_end(&f), 0);
	IS(w.rc, 4);
	close_both(ends);
}

/* A reader and a writer wait at once, and each is woken by its own event. */
SCENARIO(C34_reader_and_writer_wait_at_once)
{
	struct caller w = { .call = &io_calls[6] };
	struct reading r;
	struct lone f, h;
	int ends[2];

	pair(ends);
	fill(ends[0]);
	w.target.fd = ends[0];
	r = (struct reading){ .fd = ends[0] };
	lone_start(&f, reading, &r);
	lone_start(&h, calls, &w);
	settle();
	put(ends[1], "data");
	settle();
	ck_assert(r.over && !w.over);
	drain(ends[1]);
	IS(lone_end(&h), 0);
	IS(lone_end(&f), 0);
	ck_assert_str_eq(r.got, "data");
	close_both(ends);
}

/* One is cut off, the other waits on. */
SCENARIO(C8_who_leaves_takes_nobody_along)
{
	struct caller w = { .call = &io_calls[6] };
	struct reading r;
	struct lone f, h;
	int ends[2];

	for (int reader_leaves = 0; reader_leaves < 2; reader_leaves++) {
		pair(ends);
		fill(ends[0]);
		w.target.fd = ends[0];
		w.over = false;
		r = (struct reading){ .fd = ends[0] };
		lone_start(&f, reading, &r);
		lone_start(&h, calls, &w);
		settle();
		IS(co_cancel(reader_leaves ? f.ref : h.ref, 0), 0);
		settle();
		ck_assert(r.over == reader_leaves && w.over == !reader_leaves);
		if (reader_leaves)
			drain(ends[1]);
		else
			put(ends[1], "data");
		settle();
		ck_assert(r.over && w.over);
		IS(lone_end(&h), reader_leaves ? 0 : CANC);
		IS(lone_end(&f), reader_leaves ? CANC : 0);
		close_both(ends);
	}
}

/* Switches that ten writes take which all have to wait, maybe beside one who reads. */
static uint64_t switches_of_writes(bool beside_a_reader)
{
	struct caller w = { .call = &io_calls[6] };
	struct co_stats before, after;
	struct reading r;
	struct lone f, h;
	int ends[2];

	pair(ends);
	fill(ends[0]);
	r = (struct reading){ .fd = ends[0] };
	lone_start(&f, beside_a_reader ? reading : sleep_forever, &r);
	settle();
	IS(co_stats(&before), 0);
	for (int i = 0; i < 10; i++) {
		w.target.fd = ends[0];
		lone_start(&h, calls, &w);
		settle();
		drain(ends[1]);
		IS(lone_end(&h), 0);
		fill(ends[0]);
	}
	IS(co_stats(&after), 0);
	IS(co_cancel(f.ref, 0), 0);
	IS(lone_end(&f), CANC);
	close_both(ends);
	return after.switches - before.switches;
}

/* What is for one direction wakes nobody who waits for the other. */
SCENARIO(C34_nobody_is_woken_by_the_others_event)
{
	ck_assert_uint_eq(switches_of_writes(true), switches_of_writes(false));
}

enum { CROWD = 150 };

/* C9: one look finds all that is ready, however many these are. */
SCENARIO(C9_one_look_finds_all_descriptors)
{
	static struct reading r[CROWD];
	int ends[CROWD][2];
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < CROWD; i++) {
		pair(ends[i]);
		r[i].fd = ends[i][0];
		spawn(&g, reading, &r[i]);
	}
	settle();
	for (int i = 0; i < CROWD; i++)
		put(ends[i][1], "x");
	IS(co_yield_now(), 0);	/* they are found */
	IS(co_yield_now(), 0);	/* they run */
	for (int i = 0; i < CROWD; i++)
		ck_assert_msg(r[i].over, "%d of %d", i, CROWD);
	IS(co_group_end(&g, 0), 0);
	for (int i = 0; i < CROWD; i++)
		close_both(ends[i]);
}

/* The epoll set is told once of each wait, and never of a call that need not wait. */
SCENARIO(C34_a_wait_is_one_registration)
{
	struct lone f;
	int ends[2];

	pair(ends);
	registrations = 0;
	for (int i = 0; i < 100; i++) {
		struct reading r = { .fd = ends[0] };

		lone_start(&f, reading, &r);
		settle();
		put(ends[1], "x");
		IS(lone_end(&f), 0);
	}
	IS(registrations, 100);
	for (int i = 0; i < 100; i++) {
		put(ends[1], "x");
		IS(co_read(ends[0], spare, 1), 1);
	}
	IS(registrations, 100);
	IS(co_close(ends[0]), 0);
	IS(registrations, 101);
	IS(co_close(ends[1]), 0);
	IS(registrations, 101);
	for (int i = 0; i < 10; i++) {	/* the same numbers again */
		pair(ends);
		IS(co_wait_fd_until(ends[0], POLLIN, co_now() + 1), TMO);
		close_both(ends);
	}
	IS(registrations, 121);
}

/* ------------------------------------------------------------------------------- wait_fd */

/* A plain file has no other events than those that are always there. */
SCENARIO(C34_wait_fd_for_what_a_plain_file_has_not)
{
	FILE *file = tmpfile();
	int fd = fileno(file);

	IS(co_wait_fd(fd, POLLIN | POLLPRI), POLLIN);
	IS(co_wait_fd(fd, POLLPRI), -EINVAL);
	IS(co_wait_fd_until(fd, POLLRDHUP, MS(1)), -EINVAL);
	AT(0);
	IS(fclose(file), 0);
}

SCENARIO(C34_wait_fd_returns_what_is_there)
{
	int ends[2];

	pair(ends);
	IS(co_wait_fd(ends[0], POLLOUT), POLLOUT);
	IS(co_wait_fd(ends[0], POLLIN | POLLOUT), POLLOUT);
	put(ends[1], "data");
	IS(co_wait_fd(ends[0], POLLIN | POLLOUT), POLLIN | POLLOUT);
	IS(co_wait_fd(ends[0], POLLIN), POLLIN);
	IS(co_close(ends[1]), 0);
	IS(co_wait_fd(ends[0], POLLIN), POLLIN | POLLHUP);
	IS(co_wait_fd(ends[0], POLLRDHUP), POLLRDHUP | POLLHUP);
	IS(co_close(ends[0]), 0);
}

/* An event of the other kind does not end the wait; an error ends every wait. */
SCENARIO(C34_wait_fd_waits_for_its_own_events)
{
	struct waiting w;
	struct lone f;
	int ends[2];

	pipe_pair(ends);
	fill(ends[1]);
	w = (struct waiting){ .fd = ends[1], .events = POLLOUT };
	lone_start(&f, waiting, &w);
	settle();
	ck_assert(!w.over);
	IS(co_close(ends[0]), 0);
	IS(lone_end(&f), 0);
	ck_assert_int_ne(w.rc & POLLERR, 0);
	IS(co_close(ends[1]), 0);

	pair(ends);
	w = (struct waiting){ .fd = ends[0], .events = POLLRDHUP };
	lone_start(&f, waiting, &w);
	put(ends[1], "data");
	settle();
	ck_assert(!w.over);
	IS(shutdown(ends[1], SHUT_WR), 0);
	IS(lone_end(&f), 0);
	IS(w.rc & ~POLLHUP, POLLRDHUP);
	close_both(ends);
}

/* Closed by close(2) when the event has come and the waiter has not run. */
SCENARIO(C34_wait_fd_of_what_is_closed_meanwhile)
{
	struct waiting w = { .events = POLLIN };
	struct lone f;
	int ends[2];

	pair(ends);
	w.fd = ends[0];
	lone_start(&f, waiting, &w);
	settle();
	put(ends[1], "x");
	IS(co_yield_now(), 0);
	ck_assert(!w.over);
	IS(close(ends[0]), 0);
	IS(lone_end(&f), -EBADF);
	IS(co_close(ends[1]), 0);
}

SCENARIO(C34_wait_fd_refuses)
{
	static const short wrong[] = { 0, POLLERR, POLLHUP, POLLNVAL, POLLIN | POLLNVAL, -1 };
	int ends[2];

	pair(ends);
	put(ends[1], "data");
	for (size_t i = 0; i < LENGTH(wrong); i++) {
		IS(co_wait_fd(ends[0], wrong[i]), -EINVAL);
		IS(co_wait_fd_until(ends[0], wrong[i], MS(1)), -EINVAL);
	}
	IS(co_wait_fd(-1, POLLIN), -EBADF);
	IS(co_close(ends[0]), 0);
	IS(co_wait_fd(ends[0], POLLIN), -EBADF);
	IS(co_close(ends[1]), 0);
}

/* --------------------------------------------------------------- outside, and no descriptor */

START_TEST(C39_outside_all_but_close_are_refused)
{
	struct target t;

	FOR_CALLS(c) {
		int other = set_stage(c, &t, true);

		t.until = CO_FOREVER;
		ck_assert_msg(c->call(&t) == -EPERM, "%s", c->name);
		IS(nothing_at_all(&t), -EPERM);
		nothing_moved(c, &t, other);
		IS(co_close(t.fd), 0);
		IS(co_close(t.fd), -EBADF);
		IS(co_close(other), 0);
	}
}
END_TEST

SCENARIO(C34_no_descriptor_is_minus_ebadf)
{
	struct target t = { .until = CO_FOREVER };

	for (int i = 0; i < 2; i++) {
		t.fd = i == 0 ? -1 : dup(0);
		if (i == 1)
			IS(close(t.fd), 0);
		FOR_CALLS(c)
			ck_assert_msg(c->call(&t) == -EBADF, "%s gives %zd", c->name, c->call(&t));
		IS(co_close(t.fd), -EBADF);
	}
}

SUITE("contract_io",
      C17_every_call_looks_for_a_cancel_first,
      C7_until_tries_first,
      C10_the_deadline_of_a_call_is_minus_etimedout,
      C7_a_deadline_that_is_due_does_not_block,
      errno_is_left_alone,
      errno_is_left_alone_by_a_wrong_guess,
      errno_is_left_alone_by_a_signal,
      C10_close_wakes_who_waits,
      C10_close_wakes_reader_and_writer,
      C34_a_cancel_takes_nothing_and_closes_nothing,
      C34_bytes_and_cancel_together,
      C6_a_cancel_after_a_wake_for_nothing,
      C34_a_wake_for_nothing,
      C19_a_storm_counts_from_the_first,
      C28_what_a_report_says_of_a_descriptor,
      C34_one_waiter_for_each_direction,
      C34_one_writer_waits,
      C34_reader_and_writer_wait_at_once,
      C8_who_leaves_takes_nobody_along,
      C34_nobody_is_woken_by_the_others_event,
      C9_one_look_finds_all_descriptors,
      C34_a_wait_is_one_registration,
      C34_wait_fd_returns_what_is_there,
      C34_wait_fd_waits_for_its_own_events,
      C34_wait_fd_of_what_is_closed_meanwhile,
      C34_wait_fd_for_what_a_plain_file_has_not,
      C34_wait_fd_refuses,
      C39_outside_all_but_close_are_refused,
      C34_no_descriptor_is_minus_ebadf)
