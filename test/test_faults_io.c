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

enum fault { NO_FAULT, FAULT_ALLOC, FAULT_CTL, FAULT_CREATE, FAULT_EVENTFD, FAULT_THREAD };

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

int pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
	return fails(FAULT_THREAD) ? EAGAIN : real(out, attr, fn, arg);
}
/* clang-format on */

static int live_blocks;

static void *counted_alloc(size_t size, void *ctx)
{
	void *p = fails(FAULT_ALLOC) ? NULL : malloc(size);

	(void)ctx;
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
	int ends[2], result = -1, rc;

	(void)arg;
	pair(ends);
	for (int i = 0; i < 2; i++)
		transfers(ends);
	posts();
	rc = co_work(five, NULL, &result);
	if (!may_fail(rc))
		IS(result, 5);
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

SUITE("faults_io",
      nth_epoll_ctl_fails,
      nth_epoll_create_fails,
      nth_eventfd_fails,
      nth_thread_fails,
      nth_allocation_fails,
      no_thread_is_minus_eagain,
      no_place_in_epoll_is_told_at_once)
