/*
 * Clause C34 of the contract and <whorl/io.h>, with the descriptors there are: which are accepted
 * and in what state they stay, counts of bytes, ends of files, connections, and numbers that are
 * closed and given out again behind the runtime's back. Where TCP is played, no timer is about.
 */
#define _GNU_SOURCE /* pipe2 */
#include "ends.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/uio.h>

/* ------------------------------------------------------------------- kinds of descriptors */

static int plain_file(void)
{
	char path[] = "/tmp/whorl-io-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	IS(unlink(path), 0);
	return fd;
}

/* Those that are no sockets must not block. */
SCENARIO(C34_blocking_pipes_are_refused)
{
	struct iovec v = { (char[]){ "x" }, 1 };
	size_t done = 99;
	char buf[8];
	int ends[2];

	IS(pipe2(ends, O_CLOEXEC), 0);
	IS(co_write(ends[1], "x", 1), -EINVAL);
	IS(co_write_until(ends[1], "x", 1, MS(1)), -EINVAL);
	IS(co_writev(ends[1], &v, 1), -EINVAL);
	IS(co_write_all(ends[1], "x", 1, &done), -EINVAL);
	ck_assert_uint_eq(done, 0);
	put(ends[1], "data");
	IS(co_read(ends[0], buf, 4), -EINVAL);
	IS(co_read_until(ends[0], buf, 4, MS(1)), -EINVAL);
	IS(co_readv(ends[0], &v, 1), -EINVAL);
	IS(co_read_full(ends[0], buf, 4, &done), -EINVAL);
	IS(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	holds(ends[0], "data");
	close_both(ends);
}

SCENARIO(C34_blocking_sockets_cannot_accept_or_connect)
{
	struct place at;
	int server = listener(AF_UNIX, &at, 8), client = socket(AF_UNIX, SOCK_STREAM, 0);

	IS(co_connect(client, &at.addr.any, at.len), -EINVAL);
	IS(co_connect_until(client, &at.addr.any, at.len, MS(1)), -EINVAL);
	IS(connect(client, &at.addr.any, at.len), 0);
	IS(fcntl(server, F_SETFL, 0), 0);
	IS(co_accept(server, NULL, NULL), -EINVAL);
	IS(co_accept_until(server, NULL, NULL, MS(1)), -EINVAL);
	IS(fcntl(server, F_SETFL, O_NONBLOCK), 0);
	IS(co_close(accept(server, NULL, NULL)), 0);
	IS(co_close(server), 0);
	IS(co_close(client), 0);
}

static int reads_4(void *arg)
{
	char buf[8];

	return (int)co_read(*(int *)arg, buf, 4);
}

static int writes_4(void *arg)
{
	return (int)co_write(*(int *)arg, "four", 4);
}

/* A blocking socket waits like any other, and others go on meanwhile. */
SCENARIO(C34_blocking_sockets_read_and_write)
{
	struct lone f;
	int ends[2];

	IS(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	lone_start(&f, reads_4, &ends[0]);
	IS(co_sleep(MS(1)), 0);
	put(ends[1], "data");
	IS(lone_end(&f), 4);
	while (co_write_until(ends[1], notes(), 200, 0) > 0)
		;
	lone_start(&f, writes_4, &ends[1]);
	IS(co_sleep(MS(1)), 0);
	AT(2);
	IS(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	drain(ends[0]);
	IS(lone_end(&f), 4);
	close_both(ends);
}

SCENARIO(C34_plain_files_never_wait)
{
	char buf[16] = "";
	size_t done = 0;
	int fd = plain_file();

	IS(co_write(fd, "abc", 3), 3);
	IS(co_write_all(fd, "def", 3, &done), 0);
	ck_assert_uint_eq(done, 3);
	IS(lseek(fd, 0, SEEK_SET), 0);
	IS(co_wait_fd(fd, POLLIN), POLLIN);
	IS(co_wait_fd_until(fd, POLLIN | POLLOUT, 0), POLLIN | POLLOUT);
	IS(co_read(fd, buf, 2), 2);
	IS(co_read_full(fd, buf + 2, 4, NULL), 0);
	ck_assert_str_eq(buf, "abcdef");
	IS(co_read(fd, buf, 4), 0);
	IS(co_read_full(fd, buf, 4, &done), -ENODATA);
	ck_assert_uint_eq(done, 0);
	AT(0);
	IS(co_close(fd), 0);
}

struct state {
	int fl, fd;
};

static struct state state_of(int fd)
{
	return (struct state){ fcntl(fd, F_GETFL), fcntl(fd, F_GETFD) };
}

/* It waits with each, and finds each as it was: blocking or not, closed on exec or not. */
SCENARIO(C34_no_flag_is_changed)
{
	char buf[8];

	for (int type = 0; type < 4; type++) {
		int flags = (type & 1 ? SOCK_NONBLOCK : 0) | (type & 2 ? SOCK_CLOEXEC : 0);
		struct state before[2];
		int ends[2];

		IS(socketpair(AF_UNIX, SOCK_STREAM | flags, 0, ends), 0);
		for (int i = 0; i < 2; i++)
			before[i] = state_of(ends[i]);
		IS(co_read_until(ends[0], buf, 4, co_now() + MS(1)), TMO);
		IS(co_write(ends[0], "data", 4), 4);
		IS(co_wait_fd(ends[1], POLLIN), POLLIN);
		IS(co_read(ends[1], buf, 4), 4);
		for (int i = 0; i < 2; i++) {
			struct state after = state_of(ends[i]);

			IS(after.fl, before[i].fl);
			IS(after.fd, before[i].fd);
		}
		close_both(ends);
	}
}

SCENARIO(C34_an_accepted_one_is_nonblocking_and_closed_on_exec)
{
	struct place at, peer = { .len = sizeof(peer.addr) }, name;
	int server = listener(AF_INET, &at, 8), client = new_socket(AF_INET), fd;
	struct state before = state_of(server), after;

	IS(co_connect(client, &at.addr.any, at.len), 0);
	fd = co_accept(server, &peer.addr.any, &peer.len);
	ck_assert_int_ge(fd, 0);
	after = state_of(fd);
	ck_assert_int_ne(after.fl & O_NONBLOCK, 0);
	ck_assert_int_ne(after.fd & FD_CLOEXEC, 0);
	name.len = sizeof(name.addr);
	IS(getsockname(client, &name.addr.any, &name.len), 0);
	IS(peer.len, name.len);
	IS(peer.addr.in.sin_port, name.addr.in.sin_port);
	after = state_of(server);
	IS(after.fl, before.fl);
	IS(after.fd, before.fd);
	IS(co_close(fd), 0);
	IS(co_close(client), 0);
	IS(co_close(server), 0);
}

/* ------------------------------------------------------------------- ends, errors, signals */

static atomic_int sigpipes;

static void on_sigpipe(int signo)
{
	(void)signo;
	atomic_fetch_add(&sigpipes, 1);
}

SCENARIO(C34_the_end_of_a_file_is_0)
{
	struct reading r;
	char buf[8];
	struct lone f;
	int ends[2];

	for (int pipes = 0; pipes < 2; pipes++) {
		(pipes ? pipe_pair : pair)(ends);
		r = (struct reading){ .fd = ends[0], .rc = 1 };
		lone_start(&f, reading, &r);
		settle();
		IS(co_close(ends[1]), 0);
		IS(lone_end(&f), 0);
		IS(r.rc, 0);
		IS(co_read(ends[0], buf, sizeof(buf)), 0);
		IS(co_read_until(ends[0], buf, sizeof(buf), -1), 0);
		IS(co_close(ends[0]), 0);
	}
}

/* A socket raises no SIGPIPE, a pipe does. */
SCENARIO(C34_sigpipe)
{
	struct iovec v = { (char[]){ "x" }, 1 };
	size_t done = 99;
	int ends[2];

	signal(SIGPIPE, on_sigpipe);
	pair(ends);
	IS(co_close(ends[1]), 0);
	IS(co_write(ends[0], "x", 1), -EPIPE);
	IS(co_write_until(ends[0], "x", 1, MS(1)), -EPIPE);
	IS(co_writev(ends[0], &v, 1), -EPIPE);
	IS(co_write_all(ends[0], "x", 1, &done), -EPIPE);
	ck_assert_uint_eq(done, 0);
	IS(atomic_load(&sigpipes), 0);
	IS(co_close(ends[0]), 0);
	pipe_pair(ends);
	IS(co_close(ends[0]), 0);
	IS(co_write(ends[1], "x", 1), -EPIPE);
	IS(atomic_load(&sigpipes), 1);
	IS(co_close(ends[1]), 0);
}

SCENARIO(C34_the_error_of_the_system_call)
{
	int ends[2];
	struct iovec v = { NULL, 1 };
	char buf[8] = "";
	struct place at;

	pair(ends);
	put(ends[1], "data");
	IS(co_readv(ends[0], &v, -1), -EINVAL);
	IS(co_writev(ends[0], &v, -1), -EINVAL);
	IS(co_read(ends[0], buf, 0), 0);
	IS(co_accept(ends[0], NULL, NULL), -EINVAL);
	nobody_at(&at);
	IS(co_connect(ends[0], &at.addr.any, 1), -EINVAL);
	holds(ends[0], "data");
	close_both(ends);
	pipe_pair(ends);
	IS(co_read(ends[1], buf, 4), -EBADF);
	IS(co_write(ends[0], buf, 4), -EBADF);
	IS(co_accept(ends[0], NULL, NULL), -ENOTSOCK);
	close_both(ends);
}

/* ------------------------------------------------------------------------- full and all */

struct transfer {
	int fd, rc;
	size_t n, done;
	unsigned char *bytes;
};

static int reads_full(void *arg)
{
	struct transfer *t = arg;

	t->rc = co_read_full(t->fd, t->bytes, t->n, &t->done);
	return t->rc;
}

static int writes_all(void *arg)
{
	struct transfer *t = arg;

	t->rc = co_write_all(t->fd, t->bytes, t->n, &t->done);
	return t->rc;
}

enum { MEGABYTE = 1 << 20 };

/* Far more than the kernel keeps, so that both sides wait by turns. */
SCENARIO(C34_all_of_a_megabyte)
{
	static unsigned char sent[MEGABYTE], got[MEGABYTE];
	uint64_t random = 7;
	struct transfer in, out;
	struct lone f, h;
	int ends[2];

	for (int i = 0; i < MEGABYTE; i++)
		sent[i] = (unsigned char)suite_random(&random);
	for (int pipes = 0; pipes < 2; pipes++) {
		(pipes ? pipe_pair : pair)(ends);
		in = (struct transfer){ .fd = ends[0], .n = MEGABYTE, .bytes = got };
		out = (struct transfer){ .fd = ends[1], .n = MEGABYTE, .bytes = sent };
		memset(got, 0, sizeof(got));
		lone_start(&f, writes_all, &out);
		lone_start(&h, reads_full, &in);
		IS(lone_end(&h), 0);
		IS(lone_end(&f), 0);
		ck_assert_uint_eq(in.done, MEGABYTE);
		ck_assert_uint_eq(out.done, MEGABYTE);
		IS(memcmp(sent, got, MEGABYTE), 0);
		close_both(ends);
	}
}

/* Each way to be cut short tells what was moved, and that went nowhere else. */
SCENARIO(C34_partial_counts_of_reads)
{
	unsigned char buf[100];
	int ends[2];

	for (int how = 0; how < 3; how++) {
		struct transfer in = { .n = 100, .bytes = buf };
		struct lone f;

		pair(ends);
		in.fd = ends[0];
		lone_start(&f, reads_full, &in);
		put(ends[1], "some");
		settle();
		put(ends[1], "more");
		settle();
		if (how == 0)
			IS(co_cancel(f.ref, 0), 0);
		else
			IS(co_close(ends[how - 1]), 0);
		IS(lone_end(&f), how == 0 ? CANC : how == 1 ? -EBADF : -ENODATA);
		ck_assert_uint_eq(in.done, 8);
		IS(memcmp(buf, "somemore", 8), 0);
		if (how != 1)
			IS(co_close(ends[0]), 0);
		if (how != 2)
			IS(co_close(ends[1]), 0);
	}
}

SCENARIO(C34_partial_counts_of_writes)
{
	static unsigned char bytes[MEGABYTE];
	int ends[2];

	for (int how = 0; how < 3; how++) {
		struct transfer out = { .n = MEGABYTE, .bytes = bytes };
		size_t taken;
		struct lone f;

		pair(ends);
		out.fd = ends[0];
		lone_start(&f, writes_all, &out);
		settle();
		taken = drain(ends[1]);
		ck_assert_uint_gt(taken, 0);
		settle();
		if (how == 0)
			IS(co_cancel(f.ref, 0), 0);
		taken += drain(ends[1]);
		if (how > 0)
			IS(co_close(ends[how - 1]), 0);
		IS(lone_end(&f), how == 0 ? CANC : how == 1 ? -EBADF : -EPIPE);
		ck_assert_uint_lt(out.done, MEGABYTE);
		ck_assert_uint_eq(out.done, taken);
		if (how != 1)
			IS(co_close(ends[0]), 0);
		if (how != 2)
			IS(co_close(ends[1]), 0);
	}
}

SCENARIO(C34_none_of_nothing)
{
	size_t done = 99;
	int ends[2];

	pair(ends);
	IS(co_read_full(ends[0], NULL, 0, &done), 0);
	ck_assert_uint_eq(done, 0);
	done = 99;
	IS(co_write_all(ends[0], NULL, 0, &done), 0);
	ck_assert_uint_eq(done, 0);
	put(ends[1], "data");
	IS(co_read_full(ends[0], (char[4]){ 0 }, 4, NULL), 0);
	close_both(ends);
}

/* As read(2): at once, and without effect. write(2) sends an empty datagram. */
SCENARIO(C34_a_read_into_no_room)
{
	char c;
	struct iovec none[2] = { { &c, 0 }, { &c, 0 } };
	int ends[2];

	pair(ends);
	IS(co_read_until(ends[0], &c, 0, co_now() + MS(5)), 0);
	IS(co_readv(ends[0], none, 2), 0);
	IS(co_readv(ends[0], NULL, 0), 0);
	IS(co_readv(ends[0], NULL, 1), -EINVAL);
	close_both(ends);
	IS(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
	IS(co_write(ends[1], "x", 1), 1);
	IS(co_read(ends[0], &c, 0), 0);
	IS(co_read_until(ends[0], &c, 1, co_now() + MS(5)), 1);
	IS(co_write(ends[1], "x", 0), 0);
	IS(recv(ends[0], &c, 1, MSG_DONTWAIT), 0);
	close_both(ends);
	AT(0);
}

/* --------------------------------------------------------------------------- connections */

SCENARIO(C34_a_refused_connect)
{
	struct place at;
	int fd = new_socket(AF_INET);

	nobody_at(&at);
	IS(co_connect(fd, &at.addr.any, at.len), -ECONNREFUSED);
	ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
	IS(co_close(fd), 0);
	fd = new_socket(AF_INET);
	IS(co_connect_until(fd, &at.addr.any, at.len, CO_FOREVER), -ECONNREFUSED);
	IS(co_close(fd), 0);
}

SCENARIO(C34_a_reset_connection)
{
	const struct linger at_once = { 1, 0 };
	struct place at;
	int server = listener(AF_INET, &at, 8), client = new_socket(AF_INET), fd;
	char buf[8];

	IS(co_connect(client, &at.addr.any, at.len), 0);
	fd = co_accept(server, NULL, NULL);
	IS(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	IS(co_close(fd), 0);
	IS(co_read(client, buf, sizeof(buf)), -ECONNRESET);
	IS(co_close(client), 0);
	IS(co_close(server), 0);
}

static int echoes(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buf[64];
	ssize_t n;

	while ((n = co_read(fd, buf, sizeof(buf))) > 0)
		IS(co_write_all(fd, buf, (size_t)n, NULL), 0);
	IS(co_close(fd), 0);
	return (int)n;
}

struct service {
	struct place at;
	int listener, clients, served;
};

static int serves(void *arg)
{
	struct service *s = arg;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (; s->served < s->clients; s->served++) {
		int fd = co_accept(s->listener, NULL, NULL);

		ck_assert_int_ge(fd, 0);
		spawn(&g, echoes, num(fd));
	}
	return co_group_end(&g, 0);
}

static int is_served(void *arg)
{
	struct service *s = arg;
	int fd = new_socket(AF_INET);
	char buf[64], text[64];

	IS(co_connect(fd, &s->at.addr.any, s->at.len), 0);
	for (int i = 0; i < 5; i++) {
		int n = snprintf(text, sizeof(text), "%d of descriptor %d", i, fd);

		IS(co_write(fd, text, (size_t)n), n);
		IS(co_read_full(fd, buf, (size_t)n, NULL), 0);
		IS(memcmp(buf, text, (size_t)n), 0);
	}
	IS(shutdown(fd, SHUT_WR), 0);
	IS(co_read(fd, buf, sizeof(buf)), 0);
	IS(co_close(fd), 0);
	return 0;
}

SCENARIO(C34_two_hundred_connections_at_once)
{
	struct service s = { .clients = 200 };
	int before;
	struct lone f;
	co_group g;

	s.listener = listener(AF_INET, &s.at, 256);
	before = open_descriptors();
	lone_start(&f, serves, &s);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < s.clients; i++)
		spawn(&g, is_served, &s);
	IS(co_group_end(&g, 0), 0);
	IS(lone_end(&f), 0);
	IS(s.served, 200);
	/* the runtime may have opened one or two of its own */
	ck_assert_int_le(open_descriptors(), before + 2);
	IS(co_close(s.listener), 0);
}

/* ------------------------------------------------------------------------ numbers used again */

/* The number of a descriptor, given to the read end of another pipe. */
static void renumber(int ends[2], int number)
{
	pipe_pair(ends);
	if (ends[0] == number)
		return;
	IS(dup2(ends[0], number), number);
	IS(close(ends[0]), 0);
	ends[0] = number;
}

/* Closed with close(2) or co_close between two waits: the second is for the new file. */
SCENARIO(C34_a_number_used_again)
{
	struct reading r;
	struct lone f;
	char buf[8];
	int old[2], new[2];

	for (int how = 0; how < 2; how++) {
		pipe_pair(old);
		IS(co_read_until(old[0], buf, 4, co_now() + MS(1)), TMO);
		IS((how ? co_close : close)(old[0]), 0);
		renumber(new, old[0]);
		r = (struct reading){ .fd = new[0] };
		lone_start(&f, reading, &r);
		settle();
		put(new[1], "new");
		IS(lone_end(&f), 0);
		ck_assert_str_eq(r.got, "new");
		close_both(new);
		IS(co_close(old[1]), 0);
	}
}

/* The old file lives on under another number: its data is not the new file's, and nobody spins
 * because of it. */
SCENARIO(C34_a_number_used_again_while_the_old_file_is_open)
{
	struct waiting w;
	struct co_stats before, after;
	int old[2], new[2], kept;
	char buf[8];
	struct lone f;

	pipe_pair(old);
	IS(co_read_until(old[0], buf, 4, MS(1)), TMO);
	kept = dup(old[0]);
	IS(close(old[0]), 0);
	renumber(new, old[0]);
	w = (struct waiting){ .fd = new[0], .events = POLLIN };
	lone_start(&f, waiting, &w);
	put(old[1], "old");
	IS(co_stats(&before), 0);
	IS(co_sleep(MS(1)), 0);
	IS(co_stats(&after), 0);
	ck_assert_msg(!w.over, "woken with %d", w.rc);
	ck_assert_uint_le(after.passes - before.passes, 10);
	put(new[1], "new");
	IS(lone_end(&f), 0);
	IS(w.rc, POLLIN);
	holds(kept, "old");
	close_both(new);
	IS(co_close(old[1]), 0);
	IS(co_close(kept), 0);
}

/* Closed with co_close it is out of the loop's sight, though the file is open elsewhere. */
SCENARIO(C34_co_close_of_a_file_that_is_open_elsewhere)
{
	struct co_stats before, between, after;
	struct reading r;
	struct lone f;
	int old[2], new[2], kept;
	char buf[8];

	pair(old);
	IS(co_read_until(old[0], buf, 4, MS(1)), TMO);
	kept = dup(old[0]);
	IS(co_close(old[0]), 0);
	renumber(new, old[0]);
	r = (struct reading){ .fd = new[0] };
	lone_start(&f, reading, &r);
	settle();
	IS(co_stats(&before), 0);
	settle();
	IS(co_stats(&between), 0);
	put(old[1], "old");
	settle();
	IS(co_stats(&after), 0);
	ck_assert_uint_eq(after.switches - between.switches, between.switches - before.switches);
	put(new[1], "new");
	IS(lone_end(&f), 0);
	ck_assert_str_eq(r.got, "new");
	holds(kept, "old");
	close_both(new);
	IS(co_close(old[1]), 0);
	IS(co_close(kept), 0);
}

/* An event of the old file, which is still open, is not the end of a connect. */
SCENARIO(C34_a_connect_on_a_number_used_again)
{
	struct black_hole hole;
	int old[2], kept, fd;

	black_hole(&hole);
	pair(old);
	fill(old[0]);
	IS(co_wait_fd_until(old[0], POLLOUT, MS(1)), TMO);
	kept = dup(old[0]);
	IS(close(old[0]), 0);
	fd = new_socket(AF_INET);
	if (fd != old[0]) {
		IS(dup2(fd, old[0]), old[0]);
		IS(close(fd), 0);
	}
	drain(old[1]);
	IS(co_connect_until(old[0], &hole.at.addr.any, hole.at.len, MS(20)), TMO);
	AT(20);
	close_both(old);
	IS(co_close(kept), 0);
	close_hole(&hole);
}

/* In one turn: who waited for the old file is woken, who waits next has the new one. */
SCENARIO(C34_closed_and_used_again_before_the_waiter_runs)
{
	struct reading r, again;
	struct lone f, h;
	int old[2], new[2];

	pipe_pair(old);
	r = (struct reading){ .fd = old[0] };
	lone_start(&f, reading, &r);
	settle();
	IS(co_close(old[0]), 0);
	renumber(new, old[0]);
	again = (struct reading){ .fd = new[0] };
	lone_start(&h, reading, &again);
	put(new[1], "new");
	IS(lone_end(&h), 0);
	IS(lone_end(&f), -EBADF);
	ck_assert_str_eq(again.got, "new");
	close_both(new);
	IS(co_close(old[1]), 0);
}

SUITE("contract_io_streams",
      C34_blocking_pipes_are_refused,
      C34_blocking_sockets_cannot_accept_or_connect,
      C34_blocking_sockets_read_and_write,
      C34_plain_files_never_wait,
      C34_no_flag_is_changed,
      C34_an_accepted_one_is_nonblocking_and_closed_on_exec,
      C34_the_end_of_a_file_is_0,
      C34_sigpipe,
      C34_the_error_of_the_system_call,
      C34_all_of_a_megabyte,
      C34_partial_counts_of_reads,
      C34_partial_counts_of_writes,
      C34_none_of_nothing,
      C34_a_read_into_no_room,
      C34_a_refused_connect,
      C34_a_reset_connection,
      C34_two_hundred_connections_at_once,
      C34_a_number_used_again,
      C34_a_number_used_again_while_the_old_file_is_open,
      C34_co_close_of_a_file_that_is_open_elsewhere,
      C34_a_connect_on_a_number_used_again,
      C34_closed_and_used_again_before_the_waiter_runs)
