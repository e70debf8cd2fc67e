/*
 * Descriptors for tests: pairs, pipes and listeners, what is put into them and what they hold, and
 * a thread that a test starts. All of them are non-blocking where nothing else is said. Sockets of
 * AF_UNIX deliver within the system call; those of TCP may take their time, so that no test lets a
 * virtual deadline race with them.
 */
#ifndef WHORL_TEST_ENDS_H
#define WHORL_TEST_ENDS_H

#include "scenario.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <whorl/io.h>
#include <whorl/work.h>

static inline void pair(int ends[2])
{
	IS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
}

static inline void pipe_pair(int ends[2])
{
	IS(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
}

static inline void close_both(const int ends[2])
{
	IS(co_close(ends[0]), 0);
	IS(co_close(ends[1]), 0);
}

static inline void put(int fd, const char *text)
{
	IS(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* fd has these bytes to read, and no more; they are taken out. */
static inline void holds(int fd, const char *want)
{
	char got[256] = "";
	ssize_t n = read(fd, got, sizeof(got) - 1);

	if (n < 0)
		IS(errno, EAGAIN);
	ck_assert_str_eq(got, want);
}

/* Writes until no more goes in, and returns how much that was. */
static inline size_t fill(int fd)
{
	static const char zeros[4096];
	size_t sum = 0;
	ssize_t n;

	for (size_t step = sizeof(zeros); step > 0; step /= 2)
		while ((n = write(fd, zeros, step)) > 0)
			sum += (size_t)n;
	IS(errno, EAGAIN);
	return sum;
}

/* Reads until nothing is left, and returns how much that was. */
static inline size_t drain(int fd)
{
	char buf[4096];
	size_t sum = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		sum += (size_t)n;
	return sum;
}

static inline int open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

/* -------------------------------------------------------------------------------- listeners */

struct place {
	union {
		struct sockaddr any;
		struct sockaddr_un un;
		struct sockaddr_in in;
	} addr;
	socklen_t len;
};

static inline int new_socket(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	return fd;
}

/* A listener on a free port of 127.0.0.1, or on an AF_UNIX name that the kernel chose. */
static inline int listener(int family, struct place *at, int backlog)
{
	int fd = new_socket(family);

	memset(at, 0, sizeof(*at));
	at->addr.any.sa_family = (sa_family_t)family;
	at->len = sizeof(sa_family_t);
	if (family == AF_INET) {
		at->addr.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		at->len = sizeof(at->addr.in);
	}
	IS(bind(fd, &at->addr.any, at->len), 0);
	IS(listen(fd, backlog), 0);
	at->len = sizeof(at->addr);
	IS(getsockname(fd, &at->addr.any, &at->len), 0);
	return fd;
}

/* Waits in the kernel, the whole thread. */
static inline void block_until(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	do {
		n = poll(&p, 1, -1);
	} while (n < 0 && errno == EINTR);
	IS(n, 1);
}

/* A TCP listener whose queue is full, so that it answers no further connect until `relieve` takes
 * one out of it. */
struct black_hole {
	int listener, filler;
	struct place at;
};

static inline void black_hole(struct black_hole *h)
{
	h->listener = listener(AF_INET, &h->at, 0);
	h->filler = new_socket(AF_INET);
	if (connect(h->filler, &h->at.addr.any, h->at.len) < 0)
		IS(errno, EINPROGRESS);
	block_until(h->listener, POLLIN);
}

static inline void relieve(const struct black_hole *h)
{
	int fd = accept(h->listener, NULL, NULL);

	ck_assert_int_ge(fd, 0);
	IS(close(fd), 0);
}

static inline void close_hole(const struct black_hole *h)
{
	IS(co_close(h->listener), 0);
	IS(co_close(h->filler), 0);
}

/* Where nobody listens. */
static inline void nobody_at(struct place *at)
{
	IS(close(listener(AF_INET, at, 1)), 0);
}

/* ------------------------------------------------------------------------------- coroutines */

/* A coroutine that reads once. */
struct reading {
	int fd;
	co_ns until; /* 0: without a deadline */
	ssize_t rc;
	co_ns at;
	bool over;
	char got[64];
};

static inline int reading(void *arg)
{
	struct reading *r = arg;

	if (r->until != 0)
		r->rc = co_read_until(r->fd, r->got, sizeof(r->got) - 1, r->until);
	else
		r->rc = co_read(r->fd, r->got, sizeof(r->got) - 1);
	r->at = co_now();
	r->over = true;
	return r->rc < 0 ? (int)r->rc : 0;
}

/* One that waits for an event. */
struct waiting {
	int fd;
	short events;
	int rc;
	bool over;
};

static inline int waiting(void *arg)
{
	struct waiting *w = arg;

	w->rc = co_wait_fd(w->fd, w->events);
	w->over = true;
	return w->rc < 0 ? w->rc : 0;
}

/* One that puts text into a descriptor at a time. */
struct putting {
	int fd;
	co_ns at;
	const char *text;
};

static inline int putting(void *arg)
{
	struct putting *p = arg;

	IS(co_sleep_until(p->at), 0);
	put(p->fd, p->text);
	return 0;
}

/* ---------------------------------------------------------------------------------- threads */

static inline pthread_t start(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	IS(pthread_create(&thread, NULL, fn, arg), 0);
	return thread;
}

static inline void finish(pthread_t thread)
{
	IS(pthread_join(thread, NULL), 0);
}

/* Waits, the whole thread, until another one waits in the kernel, or is gone: the main thread's id
 * is getpid(). */
static inline void until_asleep(pid_t thread)
{
	char path[64], state = 0;
	FILE *stat;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)thread);
	while (state != 'S' && (stat = fopen(path, "r")) != NULL) {
		IS(fscanf(stat, "%*d (%*[^)]) %c", &state), 1);
		fclose(stat);
	}
}

/* Waits, the whole thread, until *value is at least that. */
static inline void await(atomic_int *value, int least)
{
	while (atomic_load(value) < least)
		usleep(100);
}

#endif
