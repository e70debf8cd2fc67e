/*
 * Failure of what the library asks of the kernel for descriptors, other threads and offloaded
 * work: for all n, the n-th epoll_ctl, epoll_create1, eventfd, pthread_create, and the n-th
 * allocation. Each call gives what its header allows, no bytes are lost, nothing leaks, and the
 * library works the next time.
 *
 * The system calls are caught by defining them here: the library's calls bind to the program's
 * definitions.
 */
#define _GNU_SOURCE /* RTLD_NEXT */
#include "ends.h"

#include <dlfcn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

enum fault {
	NO_FAULT,
	FAULT_ALLOC,
	FAULT_CTL,
	FAULT_CREATE,
	FAULT_EVENTFD,
	FAULT_THREAD,
	FAULT_EINTR
};

static enum fault fault_kind;
static int fault_in; /* calls until the one that fails; <= 0: it has */

static bool fails(enum fault kind)
{
	return kind == fault_kind && --fault_in == 0;
}

static int refused(int err)
{
	errno = err;
	return -1;
}

/* clang-format off */
int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	/* to take one out is not known to fail */
	if (op != EPOLL_CTL_DEL && fails(FAULT_CTL))
		return refused(ENOSPC);
	return (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
}

int epoll_create1(int flags)
{
	return fails(FAULT_CREATE) ? refused(EMFILE) : (int)syscall(SYS_epoll_create1, flags);
}

int eventfd(unsigned count, int flags)
{
	return fails(FAULT_EVENTFD) ? refused(EMFILE) : (int)syscall(SYS_eventfd2, count, flags);
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	return fails(FAULT_EINTR) ? refused(EINTR) : syscall(SYS_recvmsg, fd, m, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	return fails(FAULT_EINTR) ? refused(EINTR) : syscall(SYS_sendmsg, fd, m, flags);
}

ssize_t read(int fd, void *buf, size_t n)
{
	return fails(FAULT_EINTR) ? refused(EINTR) : syscall(SYS_read, fd, buf, n);
}

ssize_t write(int fd, const void *buf, size_t n)
{
	return fails(FAULT_EINTR) ? refused(EINTR) : syscall(SYS_write, fd, buf, n);
}

int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	return fails(FAULT_EINTR) ? refused(EINTR) : (int)syscall(SYS_accept4, fd, addr, len, flags);
}

/* interrupted, it goes on in the kernel */
int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	int rc = (int)syscall(SYS_connect, fd, addr, len);

	return fails(FAULT_EINTR) ? refused(EINTR) : rc;
}

int close(int fd)
{
	int rc = (int)syscall(SYS_close, fd);

	return fails(FAULT_EINTR) ? refused(EINTR) : rc;
}

int pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
	return fails(FAULT_THREAD) ? EAGAIN : real(out, attr, fn, arg);
}
/* clang-format on */

enum { BEYOND = 64 }; /* bytes after each block, which nobody may believe */

static int live_blocks;

static void *counted_alloc(size_t size, void *ctx)
{
	void *p = fails(FAULT_ALLOC) ? NULL : malloc(size + BEYOND);

	(void)ctx;
	if (p != NULL)
		memset(p, 0xa5, size + BEYOND);
	live_blocks += p != NULL;
	return p;
}

static void counted_free(void *p, size_t size, void *ctx)
{
	(void)size;
	(void)ctx;
	live_blocks--;
	free(p);
}

/* ------------------------------------------------------------------------------ the workload */

/* A call that fails does so with the error that was planted, or for want of memory. */
static bool may_fail(long rc)
{
	if (rc >= 0)
		return false;
	ck_assert_msg(rc == -ENOSPC || rc == -EMFILE || rc == -ENOMEM || rc == -EAGAIN ||
			      rc == CANC,
		      "%ld", rc);
	return true;
}

/* Reads all, and tries again after a failure. */
static int takes(void *arg)
{
	int fd = *(int *)arg;
	size_t sum = 0, done;
	char buf[8];

	for (int tries = 0; sum < sizeof(buf) && tries < 3; tries++) {
		may_fail(co_read_full(fd, buf + sum, sizeof(buf) - sum, &done));
		sum += done;
	}
	ck_assert_uint_eq(sum, sizeof(buf));
	IS(memcmp(buf, "abcdefgh", 8), 0);
	return 0;
}

static int gives(void *arg)
{
	int fd = *(int *)arg;

	may_fail(co_yield_now());
	put(fd, "abcd");
	may_fail(co_yield_now());
	put(fd, "efgh");
	return 0;
}

static void transfers(int ends[2])
{
	co_group g;

	co_group_begin(&g, CO_GROUP_COLLECT);
	if (may_fail(co_spawn(&g, takes, &ends[0], NULL))) {
		may_fail(co_group_end(&g, 0));
		return;
	}
	gives(&ends[1]);
	may_fail(co_group_end(&g, 0));
}

static int posted;

static void on_post(struct co_post_node *node)
{
	(void)node;
	posted++;
}

static void posts(void)
{
	static struct co_post_node node;
	co_scope s = CO_SCOPE_INIT;
	co_loop_ref self = co_loop_self();
	co_scope_ref ref;
	int before = posted, rc;

	node = (struct co_post_node){ .fn = on_post };
	rc = co_post(self, &node);
	IS(rc, self.id ? 0 : -ESRCH);
	may_fail(co_sleep(MS(1)));
	IS(posted, before + (rc == 0));
	co_scope_begin(&s, MS(5));
	ref = co_scope_share(&s);
	rc = co_scope_cancel_remote(ref, EIO);
	if (ref.id != 0)
		IS(rc, 0);
	rc = co_scope_end(&s, co_sleep(MS(10)));
	if (ref.id != 0)
		IS(rc, -EIO);
}

static int workload(void *arg)
{
	int ends[2], high[2], result = -1, rc;

	(void)arg;
	pair(ends);
	for (int i = 0; i < 2; i++)
		transfers(ends);
	IS(co_close(fcntl(ends[0], F_DUPFD_CLOEXEC, 64)), 0);	/* the first beyond the table */
	for (int i = 0; i < 2; i++)	/* by numbers that need a larger table */
		high[i] = fcntl(ends[i], F_DUPFD_CLOEXEC, 300);
	transfers(high);
	close_both(high);
	posts();
	for (unsigned flags = 0; flags <= CO_ABANDON; flags++) {
		result = -1;
		rc = co_work_with(five, NULL, &result, flags, NULL);
		IS(result, may_fail(rc) ? -1 : 5);
	}
	close_both(ends);
	return 0;
}

static void runs_clean(enum fault kind, int n)
{
	struct co_options opt = {
		.clock = CO_CLOCK_VIRTUAL,
		.alloc = { counted_alloc, counted_free, NULL },
	};
	int before = open_descriptors(), code = 1, rc;

	fault_kind = kind;
	fault_in = n;
	rc = co_run(workload, NULL, &opt, &code);
	fault_kind = NO_FAULT;
	if (rc == 0)
		IS(code, 0);
	else
		may_fail(rc);
	IS(live_blocks, 0);
	IS(open_descriptors(), before);
}

static int for_all_n(enum fault kind)
{
	int n = 0;

	do {
		runs_clean(kind, ++n);
	} while (fault_in <= 0);
	runs_clean(NO_FAULT, 0);
	return n - 1;
}

START_TEST(nth_epoll_ctl_fails)
{
	ck_assert_int_gt(for_all_n(FAULT_CTL), 1);
}
END_TEST

START_TEST(nth_epoll_create_fails)
{
	ck_assert_int_ge(for_all_n(FAULT_CREATE), 1);
}
END_TEST

START_TEST(nth_eventfd_fails)
{
	ck_assert_int_ge(for_all_n(FAULT_EVENTFD), 1);
}
END_TEST

START_TEST(nth_thread_fails)
{
	ck_assert_int_ge(for_all_n(FAULT_THREAD), 1);
}
END_TEST

START_TEST(nth_allocation_fails)
{
	ck_assert_int_gt(for_all_n(FAULT_ALLOC), 3);
}
END_TEST

/* No thread: -EAGAIN, and the function was not called. */
static int no_thread(void *arg)
{
	int result = 77;

	(void)arg;
	fault_kind = FAULT_THREAD;
	fault_in = 1;
	IS(co_work(write_x, NULL, &result), -EAGAIN);
	IS(result, 77);
	ck_assert_str_eq(notes(), "");
	IS(co_work(write_x, NULL, &result), 0);
	IS(result, 0);
	return 0;
}

START_TEST(no_thread_is_minus_eagain)
{
	PLAY(no_thread);
}
END_TEST

static atomic_int entered, may_leave;

static int stays(void *unused)
{
	(void)unused;
	atomic_store(&entered, 1);
	await(&may_leave, 1);
	return 7;
}

static int works(void *result)
{
	return co_work(stays, NULL, result);
}

static int works_five(void *result)
{
	return co_work(five, NULL, result);
}

/* No further thread: what is to be done waits for those that there are. */
static int no_second_thread(void *arg)
{
	int first = -1, second = -1;
	co_group g;

	(void)arg;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, works, &first);
	while (atomic_load(&entered) == 0)
		IS(co_yield_now(), 0);
	fault_kind = FAULT_THREAD;
	fault_in = 1;
	spawn(&g, works_five, &second);
	while (fault_in > 0)
		IS(co_yield_now(), 0);
	IS(second, -1);
	atomic_store(&may_leave, 1);
	IS(co_group_end(&g, 0), 0);
	IS(first, 7);
	IS(second, 5);
	return 0;
}

START_TEST(no_second_thread_is_no_error)
{
	PLAY(no_second_thread);
}
END_TEST

/* No epoll: what can be had at once can still be had; what must wait says why it cannot. */
static int no_epoll(void *arg)
{
	char buf[8];
	int ends[2];
	ssize_t rc;

	(void)arg;
	pair(ends);
	put(ends[1], "data");
	fault_kind = FAULT_CTL;
	fault_in = 1;
	IS(co_read(ends[0], buf, sizeof(buf)), 4);
	rc = co_read_until(ends[0], buf, sizeof(buf), MS(1));
	IS(rc, -ENOSPC);
	AT(0);
	rc = co_read_until(ends[0], buf, sizeof(buf), MS(1));
	IS(rc, TMO);
	close_both(ends);
	return 0;
}

START_TEST(no_place_in_epoll_is_told_at_once)
{
	PLAY(no_epoll);
}
END_TEST

/* A signal that interrupts a system call is not the end of the call that made it. */
static void interrupt(int nth)
{
	ck_assert_int_le(fault_in, 0);
	fault_kind = FAULT_EINTR;
	fault_in = nth;
}

static int is_interrupted(void *arg)
{
	struct place at;
	char buf[8];
	int ends[2], server = listener(AF_INET, &at, 8), client = new_socket(AF_INET), fd;

	(void)arg;
	pair(ends);
	put(ends[1], "data");
	interrupt(1);
	IS(co_read(ends[0], buf, sizeof(buf)), 4);
	interrupt(1);
	IS(co_read_until(ends[0], buf, sizeof(buf), MS(1)), TMO);
	interrupt(1);
	IS(co_write(ends[0], "data", 4), 4);
	holds(ends[1], "data");
	interrupt(1);
	IS(co_connect(client, &at.addr.any, at.len), 0);
	interrupt(1);
	fd = co_accept(server, NULL, NULL);
	ck_assert_int_ge(fd, 0);
	interrupt(1);
	IS(co_close(fd), 0);
	ck_assert_int_le(fault_in, 0);
	IS(co_close(fd), -EBADF);
	close_both(ends);
	IS(co_close(client), 0);
	IS(co_close(server), 0);
	return 0;
}

START_TEST(an_interrupted_call_goes_on)
{
	PLAY(is_interrupted);
}
END_TEST

static int names_itself(void *ref)
{
	*(co_loop_ref *)ref = co_loop_self();
	return co_sleep(CO_FOREVER);
}

/* The same when a post wakes the loop, and when the loop takes note of it; errno stays. */
START_TEST(an_interrupted_post_goes_on)
{
	struct co_options opt = { .clock = CO_CLOCK_MONOTONIC };
	struct co_post_node node = { .fn = on_post };
	struct pollfd p = { .events = POLLIN };
	co_loop_ref self;
	co_loop *l;

	IS(co_loop_open(&l, &opt), 0);
	IS(co_loop_spawn(l, names_itself, &self), 0);
	while (co_loop_run_once(l) > 0)
		;
	p.fd = co_loop_fd(l);
	IS(poll(&p, 1, 0), 0);
	interrupt(1);
	errno = 77;
	IS(co_post(self, &node), 0);
	IS(errno, 77);
	ck_assert_int_le(fault_in, 0);
	IS(poll(&p, 1, 0), 1);
	interrupt(1);
	while (co_loop_run_once(l) > 0)
		;
	ck_assert_int_le(fault_in, 0);
	IS(posted, 1);
	IS(poll(&p, 1, 0), 0);
	IS(co_loop_close(l), 0);
}
END_TEST

SUITE("faults_io",
      nth_epoll_ctl_fails,
      nth_epoll_create_fails,
      nth_eventfd_fails,
      nth_thread_fails,
      nth_allocation_fails,
      no_thread_is_minus_eagain,
      no_second_thread_is_no_error,
      no_place_in_epoll_is_told_at_once,
      an_interrupted_call_goes_on,
      an_interrupted_post_goes_on)
