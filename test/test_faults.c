/* Failure of everything that can fail: for all n, the n-th allocation, and the n-th of each system call that the library makes
 * for memory and timers. What may come of it is -ENOMEM (or the call's own error), or the fallback that the headers promise;
 * never a leak, and the library works the next time.
 *
 * The system calls are caught by defining them here: the library's calls bind to the program's definitions. */
#define _GNU_SOURCE	/* mremap's flags, syscall */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "direct_mmap.h"
#include "ends.h"

enum fault { NO_FAULT, FAULT_ALLOC, FAULT_MMAP, FAULT_MADVISE, FAULT_MPROTECT, FAULT_TIMERFD, FAULT_KINDS };

static enum fault fault_kind;
static int fault_in;		/* calls until the one that fails; <= 0: it has */
static int with_guard_install;	/* madvise that installs guards works, if the kernel has it */

static bool fails(enum fault kind)
{
	return kind == fault_kind && --fault_in == 0;
}

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	if (fd == -1 && (flags & MAP_NORESERVE) && fails(FAULT_MMAP)) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return direct_mmap(addr, length, prot, flags, fd, offset);
}

int madvise(void *addr, size_t length, int advice)
{
	if ((advice == MADV_GUARD_INSTALL && !with_guard_install) || fails(FAULT_MADVISE)) {
		errno = ENOMEM;
		return -1;
	}
	return (int)syscall(SYS_madvise, addr, length, advice);
}

int mprotect(void *addr, size_t length, int prot)
{
	if (prot == PROT_NONE && fails(FAULT_MPROTECT)) {
		errno = ENOMEM;
		return -1;
	}
	return (int)syscall(SYS_mprotect, addr, length, prot);
}

int timerfd_create(int clock, int flags)
{
	if (fails(FAULT_TIMERFD)) {
		errno = EMFILE;
		return -1;
	}
	return (int)syscall(SYS_timerfd_create, clock, flags);
}

/* ------------------------------------------------------------------------------------------------- an allocator that counts */

static size_t live_bytes;
static int live_blocks;

static void *counted_alloc(size_t size, void *ctx)
{
	void *p = fails(FAULT_ALLOC) ? NULL : malloc(size);

	ck_assert_ptr_eq(ctx, &live_bytes);
	if (p) {
		memset(p, 0xa5, size);
		live_bytes += size;
		live_blocks++;
	}
	return p;
}

static void counted_free(void *ptr, size_t size, void *ctx)
{
	ck_assert_ptr_eq(ctx, &live_bytes);
	live_bytes -= size;
	live_blocks--;
	memset(ptr, 0x5a, size);
	free(ptr);
}

static struct co_options counting(unsigned flags)
{
	return (struct co_options){ .clock = CO_CLOCK_VIRTUAL, .alloc = { counted_alloc, counted_free, &live_bytes },
				    .flags = flags };
}

/* --------------------------------------------------------------------------------------------------------- the workload
 *
 * Goes through every allocation that the library makes, and accepts from each call what its header allows when there is
 * no memory. */
static int sleeper(void *arg)
{
	return co_sleep(MS((intptr_t)arg));
}

static int may(int rc, int expected)
{
	ck_assert_msg(rc == expected || rc == -ENOMEM || rc == -ECANCELED, "%d instead of %d", rc, expected);
	return rc;
}

/* Scopes in scopes, beyond those that a coroutine has in itself. One that got no memory is born cancelled. */
static int nest(int depth)
{
	co_scope s = CO_SCOPE_INIT;
	int rc;

	if (depth == 0)
		return co_sleep(MS(1));
	co_scope_begin(&s, MS(100 * depth));
	rc = nest(depth - 1);
	return may(co_scope_end(&s, rc), 0);
}

static int groups_in_groups(int depth)
{
	co_group g;
	int rc = 0;

	if (depth == 0)
		return 0;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (intptr_t i = 0; i < 3 && rc == 0; i++)
		rc = may(co_spawn(&g, sleeper, (void *)i, NULL), 0);
	if (rc == 0)
		rc = groups_in_groups(depth - 1);
	return may(co_group_end(&g, rc), 0);
}

static int many(void *arg)
{
	static co_ref refs[200];
	co_group g;
	int rc = 0, code = 0, n = 0;

	(void)arg;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (; n < 200 && rc == 0; n++)
		rc = may(co_spawn_with(&g, sleeper, (void *)(intptr_t)1, &refs[n],
				       &(struct co_attr){ .stack_size = n % 2 ? 0 : 256 << 10 }), 0);
	for (int i = 0; i < n - 1 && rc == 0; i++)
		rc = may(co_join(refs[i], &code), 0);
	return may(co_group_end(&g, rc), 0);
}

static int workload(void *arg)
{
	int rc = many(arg);

	if (rc == 0)
		rc = nest(7);
	if (rc == 0)
		rc = groups_in_groups(4);
	return rc;
}

static void runs_clean(enum fault kind, int n, unsigned flags)
{
	struct co_options opt = counting(flags);
	int before = open_descriptors(), code = 1, rc;

	fault_kind = kind;
	fault_in = n;
	rc = co_run(workload, NULL, &opt, &code);
	fault_kind = NO_FAULT;
	ck_assert_msg(rc == 0 || rc == -ENOMEM || (kind == FAULT_TIMERFD && rc == -EMFILE), "co_run gave %d", rc);
	if (rc == 0)
		ck_assert_msg(code == 0 || code == -ENOMEM, "exit code %d, fault %d at %d", code, kind, n);
	ck_assert_int_eq(live_blocks, 0);
	ck_assert_uint_eq(live_bytes, 0);
	ck_assert_int_eq(open_descriptors(), before);
}

static int for_all_n(enum fault kind, unsigned flags)
{
	int n = 0;

	do {
		runs_clean(kind, ++n, flags);
	} while (fault_in <= 0);	/* the n-th call was made */
	runs_clean(NO_FAULT, 0, flags);
	return n - 1;
}

START_TEST(nth_allocation_fails)
{
	with_guard_install = 1;
	ck_assert_int_gt(for_all_n(FAULT_ALLOC, 0), 10);
}
END_TEST

START_TEST(nth_mmap_fails)
{
	with_guard_install = 1;
	ck_assert_int_gt(for_all_n(FAULT_MMAP, 0), 1);
}
END_TEST

START_TEST(nth_madvise_fails)
{
	with_guard_install = 1;
	ck_assert_int_gt(for_all_n(FAULT_MADVISE, 0), 1);
}
END_TEST

START_TEST(nth_mprotect_fails)
{
	ck_assert_int_gt(for_all_n(FAULT_MPROTECT, CO_OPT_NO_GUARD_PROBE), 100);
}
END_TEST

START_TEST(no_timerfd)
{
	with_guard_install = 1;
	ck_assert_int_eq(for_all_n(FAULT_TIMERFD, 0), 1);
}
END_TEST

/* Without any guard of the kernel's the canary is what is left. */
static int has_only_canaries(void *arg)
{
	struct co_stats stats;

	(void)arg;
	ck_assert_int_eq(co_stats(&stats), 0);
	ck_assert_uint_eq(stats.stacks_madvise + stats.stacks_mprotect, 0);
	ck_assert_uint_eq(stats.stacks_canary, 1);
	return 0;
}

START_TEST(guards_fall_back_to_canaries)
{
	struct co_options opt = counting(0);
	int code = 1;

	fault_kind = FAULT_MPROTECT;
	fault_in = 1;
	ck_assert_int_eq(co_run(has_only_canaries, NULL, &opt, &code), 0);
	ck_assert_int_eq(code, 0);
}
END_TEST

/* A scope without memory: its first cancellation point gives -ECANCELED, its end -ENOMEM. */
static int born_cancelled(void *arg)
{
	co_scope s[6] = { CO_SCOPE_INIT, CO_SCOPE_INIT, CO_SCOPE_INIT, CO_SCOPE_INIT, CO_SCOPE_INIT, CO_SCOPE_INIT };
	struct co_cause cause;
	co_group g;

	(void)arg;
	for (int i = 0; i < 4; i++)
		co_scope_begin(&s[i], CO_FOREVER);
	fault_kind = FAULT_ALLOC;
	fault_in = 1;
	co_scope_begin(&s[4], CO_FOREVER);
	ck_assert_int_eq(co_sleep(0), -ECANCELED);
	ck_assert(co_scope_cancelled(&s[4]));
	ck_assert_int_eq(co_cancel_cause(&cause), 0);
	ck_assert_int_eq(cause.err, ENOMEM);
	fault_in = 1;
	co_scope_begin(&s[5], CO_FOREVER);
	ck_assert_int_eq(co_sleep(0), -ECANCELED);
	ck_assert_int_eq(co_scope_end(&s[5], -ECANCELED), -ECANCELED);
	ck_assert_int_eq(co_scope_end(&s[4], -ECANCELED), -ENOMEM);
	for (int i = 4; i-- > 0;)
		ck_assert_int_eq(co_scope_end(&s[i], co_sleep(0)), 0);

	fault_in = 1;		/* the group's own state this time */
	co_group_begin(&g, CO_GROUP_COLLECT);
	ck_assert_int_eq(co_spawn(&g, sleeper, NULL, NULL), -ECANCELED);
	ck_assert_int_eq(co_sleep(0), -ECANCELED);
	ck_assert_int_eq(co_group_errors(&g, NULL, 0), 0);
	ck_assert_int_eq(co_group_end(&g, -ECANCELED), -ENOMEM);
	return co_sleep(0);
}

START_TEST(a_scope_without_memory_is_born_cancelled)
{
	struct co_options opt = counting(0);
	int code = 1;

	ck_assert_int_eq(co_run(born_cancelled, NULL, &opt, &code), 0);
	ck_assert_int_eq(code, 0);
	ck_assert_int_eq(live_blocks, 0);
}
END_TEST

SUITE("faults",
      nth_allocation_fails,
      nth_mmap_fails,
      nth_madvise_fails,
      nth_mprotect_fails,
      no_timerfd,
      guards_fall_back_to_canaries,
      a_scope_without_memory_is_born_cancelled)
