/* Waiting for file descriptors, and the reads and writes that wait.
 *
 * Every call tries first, and waits only when the kernel says EAGAIN. A wait is one epoll
 * registration that fires once (EPOLLONESHOT) and is made anew for each wait: so it does not matter
 * what became of the descriptor between two waits, or whose it is now. One coroutine may wait for
 * input and one for output; who comes second is told so.
 *
 * Sockets are read and written with MSG_DONTWAIT. Anything else must be non-blocking, and so must a
 * socket for connect and accept: these calls have no such flag. No flag of a descriptor is
 * changed. */
#define _GNU_SOURCE	/* accept4 */
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <whorl/io.h>

#include "sched.h"

struct fd_wait {
	struct co *co;
	int fd;
	int wanted, happened;		/* poll(2) events */
};

struct fd_entry {
	struct fd_wait *in, *out;	/* who waits; both may be the same */
	bool registered;		/* was added to the epoll set, as far as we know */
};

enum { EVENTS = 64, IN_EVENTS = POLLIN | POLLPRI | POLLRDHUP, ALWAYS = POLLERR | POLLHUP };

/* -------------------------------------------------------------------------------- the epoll set */

/* The entry of a descriptor; the table grows to hold it. */
static int entry_of(struct co_loop *l, int fd, struct fd_entry **out)
{
	size_t room = l->fd_room ? l->fd_room : 64;
	struct fd_entry *fds;

	if (fd < 0)
		return -EBADF;
	while (room <= (size_t)fd)
		room *= 2;
	if (room > l->fd_room) {
		fds = whorl__alloc(l, room * sizeof *fds);
		if (!fds)
			return -ENOMEM;
		memset(fds, 0, room * sizeof *fds);
		if (l->fd_room)
			memcpy(fds, l->fds, l->fd_room * sizeof *fds);
		whorl__free(l, l->fds, l->fd_room * sizeof *fds);
		l->fds = fds;
		l->fd_room = room;
	}
	*out = &l->fds[fd];
	return 0;
}

static int control(struct co_loop *l, int op, int fd, int events)
{
	struct epoll_event ev = { .events = (uint32_t)events | EPOLLONESHOT, .data.fd = fd };

	return epoll_ctl(l->epoll_fd, op, fd, &ev) == 0 ? 0 : -errno;
}

/* Registers what the waiters of a descriptor want. Whether it is in the set is a guess: it may have
 * been closed since. */
static int watch(struct co_loop *l, int fd)
{
	struct fd_entry *e = &l->fds[fd];
	int events = (e->in ? e->in->wanted & IN_EVENTS : 0) |
		     (e->out ? e->out->wanted & POLLOUT : 0),
	    rc;

	rc = control(l, e->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, events);
	if (rc == -ENOENT)
		rc = control(l, EPOLL_CTL_ADD, fd, events);
	else if (rc == -EEXIST)
		rc = control(l, EPOLL_CTL_MOD, fd, events);
	e->registered = rc == 0;
	return rc;
}

static void leave(struct co *co, int result)
{
	struct fd_wait *fw = co->wait.waiter.item;
	struct fd_entry *e = &co->loop->fds[fw->fd];

	(void)result;
	e->in = e->in == fw ? NULL : e->in;
	e->out = e->out == fw ? NULL : e->out;
	co->loop->fd_waits--;
}

static void happened(struct fd_wait *fw, int events)
{
	fw->happened = events & (fw->wanted | ALWAYS);
	if (fw->happened)
		whorl__wake(fw->co, 0);
}

static void on_event(struct co_loop *l, int fd, int events)
{
	struct fd_entry *e = &l->fds[fd];

	if (e->in)
		happened(e->in, events);
	if (e->out)
		happened(e->out, events);
	if (e->in || e->out)
		watch(l, fd);	/* it has fired, for the other one */
}

static void drain(int event_fd)
{
	uint64_t count;

	while (read(event_fd, &count, sizeof count) < 0 && errno == EINTR)
		;
}

void whorl__poll(struct co_loop *l, int timeout_ms)
{
	struct epoll_event ev[EVENTS];
	int saved = errno, n;	/* it is that of whoever runs next */

	do {
		n = epoll_wait(l->epoll_fd, ev, EVENTS, timeout_ms);
		for (int i = 0; i < n; i++)
			if (ev[i].data.fd == l->timer_fd)
				continue;	/* stays readable until it is armed anew */
			else if (l->mail && ev[i].data.fd == l->mail->event_fd)
				drain(ev[i].data.fd);
			else
				on_event(l, ev[i].data.fd, (int)ev[i].events);
		timeout_ms = 0;
	} while (n == EVENTS);
	errno = saved;
}

void whorl__free_fds(struct co_loop *l)
{
	whorl__free(l, l->fds, l->fd_room * sizeof *l->fds);
}

/* ----------------------------------------------------------------------------------------- wait */

static int wait_fd(struct co *co, int fd, int events, co_ns abs)
{
	struct co_loop *l = co->loop;
	struct fd_wait fw = { .co = co, .fd = fd, .wanted = events };
	struct fd_entry *e;
	struct wait *w;
	int rc = entry_of(l, fd, &e);

	if (rc < 0)
		return rc;
	if (co->scope->effective)	/* since it was woken last, and found nothing */
		return whorl__cancelled(co);
	if (((events & IN_EVENTS) && e->in) || ((events & POLLOUT) && e->out))
		return -EBUSY;
	if (past(co, abs))
		return -ETIMEDOUT;
	w = whorl__wait_for(co,
			    events & POLLOUT ? "a descriptor to be writable"
					     : "a descriptor to be readable",
			    abs, -ETIMEDOUT);
	w->waiter.item = &fw;
	w->leave = leave;
	e->in = events & IN_EVENTS ? &fw : e->in;
	e->out = events & POLLOUT ? &fw : e->out;
	l->fd_waits++;
	rc = watch(l, fd);
	if (rc < 0) {
		leave(co, rc);
		return rc == -EPERM ? -EINVAL : rc;	/* a plain file: it has no such event */
	}
	rc = whorl__park(co);
	return rc < 0 ? rc : fw.happened;
}

/* The same, and looks itself: an event may be that of a file which had the number before, and lives
 * on as another one. errno is the caller's: it is put back. */
static int wait_ready(struct co *co, int fd, int events, co_ns abs)
{
	struct pollfd p = { .fd = fd, .events = (short)events };
	int saved = errno, rc;

	do
		rc = wait_fd(co, fd, events, abs);
	while (rc > 0 && poll(&p, 1, 0) == 0);
	errno = saved;
	return rc < 0 ? rc : p.revents & POLLNVAL ? -EBADF : p.revents ? p.revents : rc;
}

static int wait_until(int fd, short events, co_ns abs, const struct caller *by)
{
	struct co *co = whorl__suspender(by->site);
	struct pollfd p = { .fd = fd, .events = events };
	int rc;

	if (!co)
		return -EPERM;
	rc = whorl__point(co, by->frame);
	if (rc < 0)
		return rc;
	if (events == 0 || (events & ~(IN_EVENTS | POLLOUT)))
		return -EINVAL;
	if (fd < 0 || (poll(&p, 1, 0) > 0 && (p.revents & POLLNVAL)))
		return -EBADF;
	return p.revents ? p.revents : wait_ready(co, fd, events, abs);
}

FRAMED int co_wait_fd(int fd, short events)
{
	return wait_until(fd, events, CO_FOREVER, CALLER());
}

FRAMED int co_wait_fd_until(int fd, short events, co_ns abs)
{
	return wait_until(fd, events, abs, CALLER());
}

/* ----------------------------------------------------------------------------- reads and writes */

/* One transfer: what is tried, and what to wait for when that would block. */
struct io {
	ssize_t (*attempt)(const struct io *io);
	int fd;
	short events;
	const struct iovec *iov;
	int iovs;
	struct sockaddr *addr;
	socklen_t *len;
};

typedef ssize_t transfer(int fd, const struct iovec *iov, int n);

/* For what is no socket. A call that could block is refused; on a plain file none does. */
static ssize_t plainly(const struct io *io, transfer *call)
{
	int flags = fcntl(io->fd, F_GETFL);
	struct stat st;

	if (flags < 0)
		return -1;
	if (!(flags & O_NONBLOCK) && (fstat(io->fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		errno = EINVAL;
		return -1;
	}
	return call(io->fd, io->iov, io->iovs);
}

/* What read(2) does with it: nothing, at once. A receive would wait, and take a datagram. */
static bool has_no_room(const struct io *io)
{
	for (int i = 0; i < io->iovs; i++)
		if (io->iov[i].iov_len > 0)
			return false;
	return true;
}

static ssize_t attempt_read(const struct io *io)
{
	struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)io->iov,
			    .msg_iovlen = (size_t)io->iovs };
	ssize_t n;

	if (has_no_room(io))
		return readv(io->fd, io->iov, io->iovs);
	n = recvmsg(io->fd, &m, MSG_DONTWAIT);
	return n < 0 && errno == ENOTSOCK ? plainly(io, readv) : n;
}

static ssize_t attempt_write(const struct io *io)
{
	struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)io->iov,
			    .msg_iovlen = (size_t)io->iovs };
	ssize_t n = sendmsg(io->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);

	return n < 0 && errno == ENOTSOCK ? plainly(io, writev) : n;
}

static ssize_t attempt_accept(const struct io *io)
{
	int flags = fcntl(io->fd, F_GETFL);

	if (flags >= 0 && !(flags & O_NONBLOCK)) {
		errno = EINVAL;
		return -1;
	}
	return accept4(io->fd, io->addr, io->len, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

/* Tries until it does not want to wait any more. errno is the caller's: it is put back. */
static ssize_t until_done(struct co *co, const struct io *io, co_ns abs)
{
	int saved = errno, rc;
	ssize_t n;

	do {
		do
			n = io->attempt(io);
		while (n < 0 && errno == EINTR);
		n = n < 0 ? -errno : n;
		if (n == -EAGAIN || n == -EWOULDBLOCK) {
			rc = wait_fd(co, io->fd, io->events, abs);
			n = rc < 0 ? rc : -EAGAIN;
		}
	} while (n == -EAGAIN);
	errno = saved;
	return n;
}

static ssize_t run(const struct io *io, co_ns abs, const struct caller *by)
{
	struct co *co = whorl__suspender(by->site);
	int rc;

	if (!co)
		return -EPERM;
	rc = whorl__point(co, by->frame);
	if (rc < 0)
		return rc;
	if (io->iovs < 0 || (io->iovs > 0 && !io->iov))
		return -EINVAL;
	return until_done(co, io, abs);
}

static ssize_t read_until(int fd, const struct iovec *iov, int n, co_ns abs,
			  const struct caller *by)
{
	struct io io = { attempt_read, fd, POLLIN, .iov = iov, .iovs = n };

	return run(&io, abs, by);
}

static ssize_t write_until(int fd, const struct iovec *iov, int n, co_ns abs,
			   const struct caller *by)
{
	struct io io = { attempt_write, fd, POLLOUT, .iov = iov, .iovs = n };

	return run(&io, abs, by);
}

static ssize_t write_from(int fd, const void *buf, size_t n, co_ns abs, const struct caller *by)
{
	struct iovec iov = { (void *)(uintptr_t)buf, n };

	return write_until(fd, &iov, 1, abs, by);
}

FRAMED ssize_t co_read(int fd, void *buf, size_t n)
{
	return read_until(fd, &(struct iovec){ buf, n }, 1, CO_FOREVER, CALLER());
}

FRAMED ssize_t co_read_until(int fd, void *buf, size_t n, co_ns abs)
{
	return read_until(fd, &(struct iovec){ buf, n }, 1, abs, CALLER());
}

FRAMED ssize_t co_readv(int fd, const struct iovec *iov, int n)
{
	return read_until(fd, iov, n, CO_FOREVER, CALLER());
}

FRAMED ssize_t co_write(int fd, const void *buf, size_t n)
{
	return write_from(fd, buf, n, CO_FOREVER, CALLER());
}

FRAMED ssize_t co_write_until(int fd, const void *buf, size_t n, co_ns abs)
{
	return write_from(fd, buf, n, abs, CALLER());
}

FRAMED ssize_t co_writev(int fd, const struct iovec *iov, int n)
{
	return write_until(fd, iov, n, CO_FOREVER, CALLER());
}

/* Nothing to move: a cancellation point all the same. */
static ssize_t attempt_nothing(const struct io *io)
{
	(void)io;
	return 1;
}

FRAMED int co_read_full(int fd, void *buf, size_t n, size_t *done)
{
	size_t have = 0;
	ssize_t rc = n > 0 ? 1 : run(&(struct io){ .attempt = attempt_nothing }, 0, CALLER());

	while (have < n && rc > 0) {
		struct iovec rest = { (char *)buf + have, n - have };

		rc = read_until(fd, &rest, 1, CO_FOREVER, CALLER());
		have += rc > 0 ? (size_t)rc : 0;
	}
	if (done)
		*done = have;
	return rc < 0 ? (int)rc : have < n ? -ENODATA : 0;
}

FRAMED int co_write_all(int fd, const void *buf, size_t n, size_t *done)
{
	size_t have = 0;
	ssize_t rc = n > 0 ? 0 : run(&(struct io){ .attempt = attempt_nothing }, 0, CALLER());

	while (have < n && rc >= 0) {
		rc = write_from(fd, (const char *)buf + have, n - have, CO_FOREVER, CALLER());
		have += rc > 0 ? (size_t)rc : 0;
	}
	if (done)
		*done = have;
	return rc < 0 ? (int)rc : 0;
}

/* ------------------------------------------------------------------------- sockets that connect */

static int accept_until(int fd, struct sockaddr *addr, socklen_t *len, co_ns abs,
			const struct caller *by)
{
	struct io io = { attempt_accept, fd, POLLIN, .addr = addr, .len = len };

	return (int)run(&io, abs, by);
}

FRAMED int co_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	return accept_until(fd, addr, len, CO_FOREVER, CALLER());
}

FRAMED int co_accept_until(int fd, struct sockaddr *addr, socklen_t *len, co_ns abs)
{
	return accept_until(fd, addr, len, abs, CALLER());
}

/* Under way when it was not done at once: the socket tells by being writable, and then how it
 * went. */
static int finish_connect(struct co *co, int fd, co_ns abs)
{
	int error = 0, rc = wait_ready(co, fd, POLLOUT, abs);
	socklen_t len = sizeof error;

	if (rc < 0)
		return rc;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	return -error;
}

static int connect_until(int fd, const struct sockaddr *addr, socklen_t len, co_ns abs,
			 const struct caller *by)
{
	struct co *co = whorl__suspender(by->site);
	int saved = errno, flags, rc;

	if (!co)
		return -EPERM;
	rc = whorl__point(co, by->frame);
	if (rc < 0)
		return rc;
	flags = fcntl(fd, F_GETFL);
	if (flags >= 0 && !(flags & O_NONBLOCK))
		return -EINVAL;
	rc = flags < 0 || connect(fd, addr, len) < 0 ? -errno : 0;
	if (rc == -EINPROGRESS || rc == -EALREADY || rc == -EINTR)
		rc = finish_connect(co, fd, abs);
	errno = saved;
	return rc;
}

FRAMED int co_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return connect_until(fd, addr, len, CO_FOREVER, CALLER());
}

FRAMED int co_connect_until(int fd, const struct sockaddr *addr, socklen_t len, co_ns abs)
{
	return connect_until(fd, addr, len, abs, CALLER());
}

int co_close(int fd)
{
	struct co_loop *l = whorl__loop;
	struct fd_entry *e = l && fd >= 0 && (size_t)fd < l->fd_room ? &l->fds[fd] : NULL;
	int saved = errno, rc;

	if (e && e->in)
		whorl__wake(e->in->co, -EBADF);
	if (e && e->out)
		whorl__wake(e->out->co, -EBADF);
	if (e && e->registered) {
		epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		e->registered = false;
	}
	rc = close(fd) < 0 && errno != EINTR ? -errno : 0;	/* on Linux it is closed even so */
	errno = saved;
	return rc;
}
