/*
 * Conformance scenarios, group M: I/O and offloaded work; and S30 and S113, which need
 * descriptors. Times are virtual milliseconds, except where it says REAL.
 */
#define _GNU_SOURCE /* pipe2 */
#include "ends.h"

/* ------------------------------------------------------------------------ always ready */

struct endless {
	int fd;
	long reads, turns;
	bool done;
};

static int reads_for_1_ms(void *arg)
{
	struct endless *e = arg;
	co_scope s = CO_SCOPE_INIT;
	char buf[16];
	ssize_t n;

	co_scope_begin(&s, MS(1));
	while ((n = co_read(e->fd, buf, sizeof(buf))) > 0)
		e->reads++;
	e->done = true;
	IS(n, CANC);
	IS(co_scope_end(&s, (int)n), TMO);
	return 0;
}

static int takes_turns(void *arg)
{
	struct endless *e = arg;

	while (!e->done) {
		e->turns++;
		IS(co_yield_now(), 0);
	}
	return 0;
}

/* Each turn of the other takes a microsecond. */
static int takes_turns_of_1_us(void *arg)
{
	struct endless *e = arg;

	while (!e->done) {
		e->turns++;
		stall(CO_US(1));
		IS(co_yield_now(), 0);
	}
	return 0;
}

static void endless_reads(struct endless *e, co_fn *other)
{
	co_group g;

	e->fd = open("/dev/zero", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ge(e->fd, 0);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, reads_for_1_ms, e);
	spawn(&g, other, e);
	IS(co_group_end(&g, 0), 0);
	IS(co_close(e->fd), 0);
	ck_assert_int_gt(e->turns, 0);
	/* C19: after 64 reads in a row the next one lets the other have its turn */
	ck_assert_int_le(e->reads, 65 * (e->turns + 1));
}

/* REAL. C19, C20 */
SCENARIO_WITH(S30_always_ready_operations_are_stopped, real_clock())
{
	struct endless e = { .fd = -1 };

	endless_reads(&e, takes_turns);
	ck_assert_int_gt(e.reads, 0);
}

/* C19, C20: in turns, not in time */
SCENARIO(S30_within_a_bounded_number_of_turns)
{
	struct endless e = { .fd = -1 };

	endless_reads(&e, takes_turns_of_1_us);
	ck_assert_int_ge(e.turns, 1000);
	ck_assert_int_le(e.turns, 1002);
}

/* The same with a socket that is refilled, so that it could be waited for. */
SCENARIO(S30_with_a_socket_that_is_always_ready)
{
	struct endless e = { .fd = -1 };
	char buf[16];
	struct lone f;
	int ends[2];
	co_scope s = CO_SCOPE_INIT;
	ssize_t n;

	pair(ends);
	lone_start(&f, takes_turns_of_1_us, &e);
	co_scope_begin(&s, MS(1));
	do {
		put(ends[1], "x");
		n = co_read(ends[0], buf, sizeof(buf));
	} while (n > 0 && ++e.reads);
	e.done = true;
	IS(co_scope_end(&s, (int)n), TMO);
	IS(lone_end(&f), 0);
	ck_assert_int_le(e.turns, 1002);
	ck_assert_int_le(e.reads, 65 * (e.turns + 1));
	close_both(ends);
}

/* ----------------------------------------------------------------------------- connect */

struct connecting {
	const struct place *to;
	int fd, rc, ended;
};

static int connects_for_10(void *arg)
{
	struct connecting *c = arg;
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	c->rc = co_connect(c->fd, &c->to->addr.any, c->to->len);
	c->ended = co_scope_end(&s, c->rc);
	return 0;
}

/* C8, C9 */
SCENARIO(S113_connect_completes_on_the_tick_of_the_deadline)
{
	struct connecting c = { .rc = 1 };
	struct black_hole h;
	struct lone f;

	black_hole(&h);
	c.to = &h.at;
	c.fd = new_socket(AF_INET);
	lone_start(&f, connects_for_10, &c);
	settle();
	IS(c.rc, 1);
	relieve(&h);
	block_until(c.fd, POLLOUT);
	stall(MS(10));
	IS(lone_end(&f), 0);
	AT(10);
	IS(c.rc, 0);
	IS(c.ended, 0);
	put(c.fd, "x");
	IS(co_close(c.fd), 0);
	close_hole(&h);
}

/* C34. Then the same call waits on. */
SCENARIO(S198_connect_timeout_closes_nothing)
{
	struct connecting c = { .rc = 1 };
	struct black_hole h;

	black_hole(&h);
	c.to = &h.at;
	c.fd = new_socket(AF_INET);
	connects_for_10(&c);
	AT(10);
	IS(c.rc, CANC);
	IS(c.ended, TMO);
	ck_assert_int_ge(fcntl(c.fd, F_GETFD), 0);
	relieve(&h);
	IS(co_connect(c.fd, &h.at.addr.any, h.at.len), 0);
	put(c.fd, "x");
	IS(co_close(c.fd), 0);
	close_hole(&h);
}

/* The attempt at address i starts at 250 * i; a loser closes its descriptor. */
struct race {
	struct place places[3];
	int fds[3];
	int won;
};

struct attempt {
	struct race *race;
	int i;
};

static int attempts(void *arg)
{
	struct attempt *a = arg;
	const struct place *to = &a->race->places[a->i];
	int rc, fd;

	rc = co_sleep(MS(250 * a->i));
	if (rc != 0)
		return rc;
	fd = new_socket(AF_INET);
	rc = co_connect(fd, &to->addr.any, to->len);
	if (rc != 0)
		IS(co_close(fd), 0);
	else
		a->race->fds[a->i] = fd;
	return rc;
}

static int race(struct race *r)
{
	static struct attempt tries[3];
	co_ref who[3], winner;
	co_group g;
	int rc;

	r->won = -1;
	co_group_begin(&g, CO_GROUP_FIRST);
	for (int i = 0; i < 3; i++) {
		tries[i] = (struct attempt){ r, i };
		who[i] = spawn(&g, attempts, &tries[i]);
	}
	rc = co_group_end(&g, 0);
	for (int i = 0; i < 3 && co_group_winner(&g, &winner, NULL) == 0; i++)
		if (who[i].id == winner.id)
			r->won = i;
	return rc;
}

/* A black hole, then one that refuses, then one that answers. */
SCENARIO(S204_happy_eyeballs)
{
	struct race r = { .fds = { -1, -1, -1 } };
	struct black_hole h;
	int before, good;

	black_hole(&h);
	good = listener(AF_INET, &r.places[2], 8);
	r.places[0] = h.at;
	nobody_at(&r.places[1]);
	before = open_descriptors();
	IS(race(&r), 0);
	IS(r.won, 2);
	IS(open_descriptors(), before + 1);
	ck_assert_int_ge(r.fds[2], 0);
	put(r.fds[2], "x");
	IS(co_close(r.fds[2]), 0);
	IS(co_close(good), 0);
	close_hole(&h);
}

SCENARIO(S204_happy_eyeballs_all_fail)
{
	struct race r = { .fds = { -1, -1, -1 } };
	int before;

	for (int i = 0; i < 3; i++)
		nobody_at(&r.places[i]);
	before = open_descriptors();
	IS(race(&r), -ECONNREFUSED);
	IS(r.won, -1);
	IS(open_descriptors(), before);
}

/* ------------------------------------------------------------------------ read, accept */

/* C34 */
SCENARIO(S194_read_timeout_loses_no_bytes)
{
	co_scope s = CO_SCOPE_INIT;
	char buf[16] = "";
	struct putting p;
	struct lone f;
	int ends[2];

	pair(ends);
	p = (struct putting){ ends[1], MS(11), "all bytes" };
	lone_start(&f, putting, &p);
	co_scope_begin(&s, MS(10));
	IS(co_scope_end(&s, (int)co_read(ends[0], buf, sizeof(buf))), TMO);
	AT(10);
	IS(co_read(ends[0], buf, sizeof(buf)), 9);
	AT(11);
	ck_assert_str_eq(buf, "all bytes");
	IS(lone_end(&f), 0);
	close_both(ends);
}

/* C34 */
SCENARIO(S195_read_full_reports_partial)
{
	char sent[101], got[101] = "";
	co_scope s = CO_SCOPE_INIT;
	size_t done = 1234;
	int ends[2], rc;

	for (int i = 0; i < 100; i++)
		sent[i] = (char)('!' + i % 90);
	sent[100] = '\0';
	pair(ends);
	IS(write(ends[1], sent, 40), 40);
	co_scope_begin(&s, MS(10));
	rc = co_read_full(ends[0], got, 100, &done);
	IS(rc, CANC);
	IS(co_scope_end(&s, rc), TMO);
	ck_assert_uint_eq(done, 40);
	IS(write(ends[1], sent + 40, 60), 60);
	IS(co_read_full(ends[0], got + 40, 60, &done), 0);
	ck_assert_uint_eq(done, 60);
	ck_assert_str_eq(got, sent);
	close_both(ends);
}

struct accepting {
	int fd, rc, ended;
};

static int accepts_for_10(void *arg)
{
	struct accepting *a = arg;
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	a->rc = co_accept(a->fd, NULL, NULL);
	a->ended = co_scope_end(&s, a->rc);
	return 0;
}

/* C8, C9: I/O comes before timers */
SCENARIO(S197_accept_timeout_leaks_no_connection)
{
	struct accepting a = { .rc = -1 };
	struct place at;
	struct lone f;
	int client;

	a.fd = listener(AF_UNIX, &at, 8);
	client = new_socket(AF_UNIX);
	lone_start(&f, accepts_for_10, &a);
	settle();
	IS(connect(client, &at.addr.any, at.len), 0);
	stall(MS(10));
	IS(lone_end(&f), 0);
	AT(10);
	ck_assert_int_ge(a.rc, 0);
	IS(a.ended, a.rc);
	put(client, "x");
	holds(a.rc, "x");
	IS(co_close(a.rc), 0);
	IS(co_close(client), 0);
	IS(co_close(a.fd), 0);
}

/* The connection that comes after the deadline waits for the next accept. */
SCENARIO(S197_a_later_connection_is_not_lost)
{
	struct accepting a = { .rc = -1 };
	struct place at;
	int client;

	a.fd = listener(AF_UNIX, &at, 8);
	client = new_socket(AF_UNIX);
	accepts_for_10(&a);
	AT(10);
	IS(a.ended, TMO);
	IS(connect(client, &at.addr.any, at.len), 0);
	accepts_for_10(&a);
	AT(10);
	ck_assert_int_ge(a.ended, 0);
	IS(co_close(a.ended), 0);
	IS(co_close(client), 0);
	IS(co_close(a.fd), 0);
}

/* C34 */
SCENARIO(S200_two_readers_on_one_fd)
{
	struct reading r;
	struct lone f;
	char buf[8];
	int ends[2];

	pair(ends);
	r = (struct reading){ .fd = ends[0] };
	lone_start(&f, reading, &r);
	settle();
	IS(co_read(ends[0], buf, sizeof(buf)), -EBUSY);
	AT(0);
	put(ends[1], "for the first");
	IS(lone_end(&f), 0);
	ck_assert_str_eq(r.got, "for the first");
	close_both(ends);
}

/* ---------------------------------------------------------------------- offloaded work */

/* Work that takes until the gate opens. */
struct gate {
	atomic_int entered, open;
	int rc, next, result;
};

static int passes_the_gate(void *arg)
{
	struct gate *g = arg;

	atomic_fetch_add(&g->entered, 1);
	await(&g->open, 1);
	return 7;
}

static int offloads(void *arg)
{
	struct gate *g = arg;

	g->rc = co_work(passes_the_gate, g, &g->result);
	g->next = co_checkpoint();
	return g->next;
}

/* REAL. C35. The work ends when it is told to, and that is after the cancel. */
SCENARIO_WITH(S201_offload_is_not_abandonable, real_clock())
{
	struct gate g = { .rc = 1 };
	struct lone f;

	lone_start(&f, offloads, &g);
	while (atomic_load(&g.entered) == 0)
		IS(co_sleep(CO_US(100)), 0);
	IS(co_cancel(f.ref, EIO), 0);
	for (int i = 0; i < 100; i++)
		IS(co_yield_now(), 0);
	IS(co_sleep(MS(1)), 0);
	IS(g.rc, 1);
	atomic_store(&g.open, 1);
	IS(lone_end(&f), CANC);
	IS(g.rc, 0);
	IS(g.result, 7);
	IS(g.next, CANC);
}

/* C17, C35 */
SCENARIO(S203_offload_when_already_cancelled)
{
	struct gate g = { .open = 1 };
	co_scope s = CO_SCOPE_INIT;
	int result = 77;

	begin_cancelled(&s, EIO);
	IS(co_work(passes_the_gate, &g, &result), CANC);
	IS(co_work_with(passes_the_gate, &g, &result, CO_ABANDON, NULL), CANC);
	IS(co_scope_end(&s, CANC), -EIO);
	IS(co_work(five, NULL, NULL), 0);
	IS(atomic_load(&g.entered), 0);
	IS(result, 77);
}

SUITE("scenarios_io",
      S30_always_ready_operations_are_stopped,
      S30_within_a_bounded_number_of_turns,
      S30_with_a_socket_that_is_always_ready,
      S113_connect_completes_on_the_tick_of_the_deadline,
      S194_read_timeout_loses_no_bytes,
      S195_read_full_reports_partial,
      S197_accept_timeout_leaks_no_connection,
      S197_a_later_connection_is_not_lost,
      S198_connect_timeout_closes_nothing,
      S200_two_readers_on_one_fd,
      S201_offload_is_not_abandonable,
      S203_offload_when_already_cancelled,
      S204_happy_eyeballs,
      S204_happy_eyeballs_all_fail)
