/* Where there is little of something: address space, memory that may be promised, maps, memory that
 * need not be locked. Coroutines get the next kind of guard then, or spawning gives -ENOMEM; co_stats
 * tells which; and the library goes on. Limits that a shared machine cannot be given are played by
 * defining the system calls here: the library's calls bind to the program's definitions. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <whorl/co.h>

#include "suite.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

static size_t promised, promises = SIZE_MAX; /* bytes mapped and writable; how many there may be */
static size_t guards, maps = SIZE_MAX;	     /* by mprotect; how many there may be */
static bool old_kernel;			     /* no MADV_GUARD_INSTALL */
static const char *max_map_count;	     /* what is read there; NULL: the true one */

void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset)
{
	bool counts = (protection & PROT_WRITE) != 0 &&
		      (flags & (MAP_ANONYMOUS | MAP_FIXED)) == MAP_ANONYMOUS;

	if (counts && length > promises - promised) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	promised += counts ? length : 0;
	return (void *)syscall(SYS_mmap, at, length, protection, flags, fd, offset);
}

int munmap(void *at, size_t length)
{
	promised -= length < promised ? length : promised;
	return (int)syscall(SYS_munmap, at, length);
}

int madvise(void *at, size_t length, int advice)
{
	if (advice == MADV_GUARD_INSTALL && old_kernel) {
		errno = EINVAL;
		return -1;
	}
	return (int)syscall(SYS_madvise, at, length, advice);
}

int mprotect(void *at, size_t length, int protection)
{
	if (protection == PROT_NONE && ++guards > maps) {
		errno = ENOMEM;
		return -1;
	}
	return (int)syscall(SYS_mprotect, at, length, protection);
}

int open(const char *path, int flags, ...)
{
	int ends[2];
	va_list args;
	mode_t mode;

	if (max_map_count != NULL && strcmp(path, "/proc/sys/vm/max_map_count") == 0) {
		if (pipe(ends) < 0 || write(ends[1], max_map_count, strlen(max_map_count)) < 0)
			return -1;
		close(ends[1]);
		return ends[0];
	}
	va_start(args, flags);
	mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
	va_end(args);
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* --------------------------------------------------------------------------------- the workload */

static int many = 2000;

static struct {
	int spawned, ended;    /* of `many` */
	struct co_stats stats; /* when all sleep */
} got;

static int sleeps(void *arg)
{
	int rc = co_sleep(CO_SEC(1));

	(void)arg;
	got.ended += rc == 0;
	return rc;
}

/* As many as can be had. */
static int spawns_many(void *arg)
{
	co_group g;
	int rc = 0;

	(void)arg;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (; rc == 0 && got.spawned < many; got.spawned += rc == 0)
		rc = co_spawn(&g, sleeps, NULL, NULL);
	ck_assert(rc == 0 || rc == -ENOMEM);
	ck_assert_int_eq(co_sleep(CO_MS(1)), 0);
	ck_assert_int_eq(co_stats(&got.stats), 0);
	ck_assert_int_eq(co_group_end(&g, 0), 0);
	return rc;
}

/* The result is spawning's. All that were spawned lived to their end. */
static int run_many(void)
{
	struct co_options opt = { .clock = CO_CLOCK_VIRTUAL };
	int code = 1;

	memset(&got, 0, sizeof(got));
	ck_assert_int_eq(co_run(spawns_many, NULL, &opt, &code), 0);
	ck_assert_int_eq(got.ended, got.spawned);
	ck_assert_uint_eq(got.stats.stacks_madvise + got.stats.stacks_mprotect +
				  got.stats.stacks_canary,
			  (size_t)got.spawned + 1);
	return code;
}

static void all_is_well(void)
{
	ck_assert_int_eq(run_many(), 0);
	ck_assert_int_eq(got.spawned, many);
}

/* --------------------------------------------------------------------------------------- limits */

START_TEST(K3_guards_of_an_old_kernel_end_at_a_quarter_of_the_maps)
{
	old_kernel = true;
	max_map_count = "4000\n";
	all_is_well();
	ck_assert_uint_eq(got.stats.stacks_madvise, 0);
	ck_assert_uint_eq(got.stats.stacks_mprotect, 1000);
	ck_assert_uint_eq(got.stats.stacks_canary, (size_t)many + 1 - 1000);
	all_is_well(); /* those of the first runtime were given back */
	ck_assert_uint_eq(got.stats.stacks_mprotect, 1000);
}
END_TEST

/* The maps are used up by others. */
START_TEST(without_maps_there_are_canaries)
{
	old_kernel = true;
	maps = 10;
	all_is_well();
	ck_assert_uint_eq(got.stats.stacks_mprotect, 10);
	ck_assert_uint_eq(got.stats.stacks_canary, (size_t)many + 1 - 10);
	maps = SIZE_MAX;
	all_is_well();
	ck_assert_uint_eq(got.stats.stacks_canary, 0);
}
END_TEST

/* vm.overcommit_memory=2 counts what is MAP_NORESERVE too. */
START_TEST(no_more_memory_is_promised_than_there_is)
{
	size_t least = SANITIZED ? 5 : 100;

	promises = promised + ((size_t)64 << 20);
	ck_assert_int_eq(run_many(), -ENOMEM);
	ck_assert_int_ge(got.spawned, (int)least); /* what fits was had, in smaller slabs */
	ck_assert_int_eq(run_many(), -ENOMEM);	   /* and was given back */
	ck_assert_int_ge(got.spawned, (int)least);
	promises = SIZE_MAX;
	all_is_well();
	promises = promised; /* none at all */
	ck_assert_int_eq(co_run(spawns_many, NULL, NULL, NULL), -ENOMEM);
	promises = SIZE_MAX;
	all_is_well();
}
END_TEST

static size_t address_space(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%lu", &pages), 1);
	fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

START_TEST(address_space_is_limited)
{
	struct rlimit limit, least;

	if (SANITIZED)
		return;
	ck_assert_int_eq(getrlimit(RLIMIT_AS, &limit), 0);
	least = limit;
	least.rlim_cur = address_space() + ((size_t)64 << 20);
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &least), 0);
	ck_assert_int_eq(run_many(), -ENOMEM);
	ck_assert_int_ge(got.spawned, 300); /* of 132 KiB each */
	ck_assert_int_eq(run_many(), -ENOMEM);
	ck_assert_int_ge(got.spawned, 300);
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
	all_is_well();
}
END_TEST

/* Locked memory cannot have guards by madvise, nor give pages back. A process that may not lock so
 * much gets none. */
static int idles(void *arg)
{
	int rc = spawns_many(arg);

	ck_assert_int_eq(co_sleep(CO_SEC(30)), 0); /* the time to give memory back */
	return rc;
}

START_TEST(all_memory_is_locked)
{
	struct co_options opt = { .clock = CO_CLOCK_VIRTUAL };
	int code = 1, rc;

	if (SANITIZED || mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		return;
	many = 150;
	rc = co_run(idles, NULL, &opt, &code);
	ck_assert(rc == 0 || rc == -ENOMEM);
	ck_assert(rc == -ENOMEM || code == 0 || code == -ENOMEM);
	ck_assert_uint_eq(got.stats.stacks_madvise, 0);
	if (rc == 0)
		ck_assert_int_eq((int)got.stats.stacks_mprotect, got.spawned + 1);
	ck_assert_int_eq(munlockall(), 0);
	all_is_well();
	ck_assert_uint_eq(got.stats.stacks_canary, 0);
}
END_TEST

SUITE("limits", K3_guards_of_an_old_kernel_end_at_a_quarter_of_the_maps,
      without_maps_there_are_canaries, no_more_memory_is_promised_than_there_is,
      address_space_is_limited, all_memory_is_locked)
