/* K14: fork in a program with a running scheduler. */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "play.h"

static int answer(void *arg)
{
	(void)arg;
	return co_sleep(MS(5)) < 0 ? -1 : 42;
}

/* What a child can do: it is outside, and runs a runtime of its own. */
static int in_child(void)
{
	struct co_options opt = { .clock = CO_CLOCK_VIRTUAL };
	int code = 0;

	if (co_sleep(MS(1)) != -EPERM || co_self().id != 0)
		return 1;
	if (co_run(answer, NULL, &opt, &code) != 0 || code != 42)
		return 2;
	return co_run(answer, NULL, NULL, &code) == 0 && code == 42 ? 0 : 3;
}

static int status_of(pid_t pid)
{
	int status = -1;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static int forks(void *arg)
{
	pid_t pid = fork();
	co_group g;

	(void)arg;
	if (pid == 0)
		_exit(in_child());
	ck_assert_int_eq(status_of(pid), 0);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);		/* and the parent goes on */
	ck_assert_int_eq(co_spawn(&g, answer, NULL, NULL), 0);
	return co_group_end(&g, 0);
}

START_TEST(K14_a_child_starts_afresh)
{
	PLAY(forks);
}
END_TEST

static int forks_and_returns(void *arg)
{
	pid_t pid;

	(void)arg;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		return 0;
	}
	ck_assert(WIFSIGNALED(status_of(pid)));
	return 0;
}

START_TEST(K14_a_coroutine_that_returns_in_the_child_ends_it)
{
	PLAY(forks_and_returns);
}
END_TEST

enum { DESCRIPTORS = 64 };

static void list_descriptors(bool open[])
{
	for (int fd = 0; fd < DESCRIPTORS; fd++)
		open[fd] = fcntl(fd, F_GETFD) >= 0;
}

/* Those that the runtime opened. */
static int looks_at_descriptors(void *arg)
{
	const bool *before = arg;
	int seen = 0;

	ck_assert_uint_ne(co_loop_self().id, 0);
	for (int fd = 0; fd < DESCRIPTORS; fd++) {
		int flags = fcntl(fd, F_GETFD);

		if (flags < 0 || before[fd])
			continue;
		ck_assert(flags & FD_CLOEXEC);
		seen++;
	}
	ck_assert_int_eq(seen, 3);	/* epoll, timer, mailbox */
	return 0;
}

START_TEST(K14_descriptors_are_closed_on_exec)
{
	bool before[DESCRIPTORS];

	list_descriptors(before);
	PLAY_WITH(looks_at_descriptors, before, NULL);
}
END_TEST

SUITE("fork",
      K14_a_child_starts_afresh,
      K14_a_coroutine_that_returns_in_the_child_ends_it,
      K14_descriptors_are_closed_on_exec)
