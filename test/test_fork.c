/* K14: fork in a program with a running scheduler. A child says what was not so, and exits with
 * status 1. */
#define _GNU_SOURCE 1
#include <alloca.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "play.h"

/* What ck_assert is in the parent. */
#define SEE(expr) do {								\
	if (!(expr)) {								\
		fprintf(stderr, "child: %s:%d: %s\n", __FILE__, __LINE__, #expr);	\
		_exit(1);							\
	}									\
} while (0)

static int answer(void *arg)
{
	int rc = co_sleep(MS(5));

	(void)arg;
	return rc < 0 ? rc : 42;
}

/* What a child can do: it is outside, and runs runtimes of its own. */
static void starts_afresh(void)
{
	struct co_options opt = { .clock = CO_CLOCK_VIRTUAL };
	int code = 0;

	SEE(co_sleep(MS(1)) == -EPERM);
	SEE(co_self().id == 0 && co_loop_self().id == 0);
	SEE(co_run(answer, NULL, &opt, &code) == 0 && code == 42);
	SEE(co_run(answer, NULL, NULL, &code) == 0 && code == 42);
}

static int status_of(pid_t pid)
{
	int status = -1;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

/* Runs fn in a child, which succeeds. */
static void in_child(void (*fn)(void))
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		fn();
		_exit(0);
	}
	ck_assert_int_eq(status_of(pid), 0);
}

static int forks(void *arg)
{
	co_group g;

	(void)arg;
	in_child(starts_afresh);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);		/* and the parent goes on */
	ck_assert_int_eq(co_spawn(&g, answer, NULL, NULL), 0);
	return co_group_end(&g, 0);
}

START_TEST(K14_a_child_starts_afresh)
{
	PLAY(forks);
}
END_TEST

/* --------------------------------------------------------------------- what must not go on there */

static FILE *last_words;

/* What it says from now on is for ends_with_a_word. */
static void ends_here(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	dup2(fileno(last_words), STDERR_FILENO);
}

static void ends_with_a_word(pid_t pid, const char *word)
{
	char text[4096] = "";
	int status = status_of(pid);

	rewind(last_words);
	(void)!fread(text, 1, sizeof text - 1, last_words);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && strstr(text, word),
		      "status %#x: %s", (unsigned)status, text);
}

static int forks_and_returns(void *arg)
{
	pid_t pid;

	(void)arg;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		ends_here();
		return 0;
	}
	ends_with_a_word(pid, "coroutine 'forks' returned in a child of fork");
	return 0;
}

START_TEST(K14_a_coroutine_that_returns_in_the_child_ends_it)
{
	struct co_options opt = { .attr = { .name = "forks" } };

	last_words = tmpfile();
	PLAY_WITH(forks_and_returns, NULL, &opt);
}
END_TEST

static pid_t of_callback;

static void forks_in_callback(struct co_post_node *self)
{
	(void)self;
	fflush(NULL);
	of_callback = fork();
	if (of_callback == 0)
		ends_here();
}

static void exits_in_callback(struct co_post_node *self)
{
	(void)self;
	if (of_callback == 0)
		_exit(0);		/* would be taken for a success */
}

static int posts_forks(void *arg)
{
	struct co_post_node forking = { .fn = forks_in_callback };
	struct co_post_node next = { .fn = exits_in_callback };

	(void)arg;
	ck_assert_int_eq(co_post(co_loop_self(), &forking), 0);
	ck_assert_int_eq(co_post(co_loop_self(), &next), 0);
	ck_assert_int_eq(co_sleep(MS(1)), 0);
	if (of_callback == 0)
		_exit(0);
	ends_with_a_word(of_callback, "a callback returned in a child of fork");
	return 0;
}

START_TEST(K14_a_callback_that_returns_in_the_child_ends_it)
{
	last_words = tmpfile();
	PLAY(posts_forks);
}
END_TEST

static void forks_in_report(enum co_report kind, const char *text, const void *site, void *ctx)
{
	(void)kind, (void)text, (void)site, (void)ctx;
	forks_in_callback(NULL);
}

static int fails(void *arg)
{
	(void)arg;
	return -EIO;
}

static int has_a_failing_one(void *arg)
{
	(void)arg;
	ck_assert_int_eq(co_spawn(NULL, fails, NULL, NULL), 0);
	ck_assert_int_eq(co_yield_now(), 0);
	if (of_callback == 0)
		_exit(0);
	ends_with_a_word(of_callback, "a callback returned in a child of fork");
	return 0;
}

START_TEST(K14_a_report_that_returns_in_the_child_ends_it)
{
	struct co_options opt = { .on_report = forks_in_report };

	last_words = tmpfile();
	PLAY_WITH(has_a_failing_one, NULL, &opt);
}
END_TEST

static void forks_in_misuse(enum co_misuse kind, const char *text, const void *site, void *ctx)
{
	(void)kind, (void)text, (void)site, (void)ctx;
	forks_in_callback(NULL);
}

static int keeps_a_mutex(void *mutex)
{
	ck_assert_int_eq(co_mutex_lock(mutex), 0);
	return 0;
}

/* The hook is called as that one ends, and the next to run would be this one, in the child. */
static int has_a_careless_one(void *arg)
{
	static co_mutex m;

	(void)arg;
	ck_assert_int_eq(co_spawn(NULL, keeps_a_mutex, &m, NULL), 0);
	ck_assert_int_eq(co_yield_now(), 0);
	if (of_callback == 0)
		_exit(0);
	ends_with_a_word(of_callback, "a callback returned in a child of fork");
	return 0;
}

START_TEST(K14_a_misuse_that_returns_in_the_child_ends_it)
{
	struct co_options opt = { .on_misuse = forks_in_misuse };

	last_words = tmpfile();
	PLAY_WITH(has_a_careless_one, NULL, &opt);
}
END_TEST

/* -------------------------------------------------------------------------- the parent's runtimes */

static co_loop *guest;

static void cannot_use_the_guest(void)
{
	SEE(co_loop_run_once(guest) == -EPERM);
	SEE(co_loop_spawn(guest, answer, NULL) == -EPERM);
	SEE(co_loop_fd(guest) == -EPERM);
	SEE(co_loop_timeout(guest) == CO_FOREVER);
	SEE(co_loop_close(guest) == -EPERM);
	SEE(co_loop_live(guest) == 1);
	starts_afresh();
	SEE(co_loop_open(&guest, NULL) == 0);
	SEE(co_loop_spawn(guest, answer, NULL) == 0);
	SEE(co_loop_close(guest) == 0);
}

static void host_of_the_guest(void)
{
	struct pollfd fd = { .fd = co_loop_fd(guest), .events = POLLIN };

	while (co_loop_live(guest) > 0) {
		while (co_loop_run_once(guest) > 0)
			;
		if (co_loop_live(guest) > 0)
			ck_assert_int_eq(poll(&fd, 1, -1), 1);
	}
}

/* Its timerfd is armed when it forks, and fires for the parent. */
START_TEST(K14_a_childs_calls_do_not_reach_the_parents_loop)
{
	ck_assert_int_eq(co_loop_open(&guest, NULL), 0);
	ck_assert_int_eq(co_loop_spawn(guest, answer, NULL), 0);
	ck_assert_int_eq(co_loop_run_once(guest), 0);
	in_child(cannot_use_the_guest);
	host_of_the_guest();
	ck_assert_int_eq(co_loop_close(guest), 0);
}
END_TEST

static struct {
	co_loop_ref loop;
	co_scope_ref scope;
	struct co_post_node node;
	int posted;
} shared;

static void counts(struct co_post_node *self)
{
	(void)self;
	shared.posted++;
}

/* The same references with a loop of the child's own, and mailboxes of its own. */
static int in_a_loop_of_its_own(void *arg)
{
	co_scope s = CO_SCOPE_INIT;
	int rc;

	(void)arg;
	co_scope_begin(&s, CO_FOREVER);
	SEE(co_loop_self().id != 0 && co_loop_self().id != shared.loop.id);
	SEE(co_scope_share(&s).id != 0 && co_scope_share(&s).id != shared.scope.id);
	SEE(co_post(shared.loop, &shared.node) == -ESRCH);
	SEE(co_scope_cancel_remote(shared.scope, 0) == -ESRCH);
	SEE(co_post(co_loop_self(), &shared.node) == 0);
	SEE(co_sleep(MS(1)) == 0 && shared.posted == 1);
	SEE(co_scope_cancel_remote(co_scope_share(&s), EIO) == 0);
	rc = co_sleep(CO_SEC(1));
	SEE(co_scope_end(&s, rc) == -EIO);
	return 0;
}

static void has_stale_references(void)
{
	int code = -1;

	SEE(co_post(shared.loop, &shared.node) == -ESRCH);
	SEE(co_scope_cancel_remote(shared.scope, EIO) == -ESRCH);
	for (int i = 0; i < 3; i++) {
		shared.posted = 0;
		SEE(co_run(in_a_loop_of_its_own, NULL, NULL, &code) == 0 && code == 0);
	}
}

static int shares(void *arg)
{
	co_scope s = CO_SCOPE_INIT;
	int rc;

	(void)arg;
	shared.node.fn = counts;
	shared.loop = co_loop_self();
	co_scope_begin(&s, CO_FOREVER);
	shared.scope = co_scope_share(&s);
	in_child(has_stale_references);
	ck_assert_int_eq(co_sleep(MS(5)), 0);
	ck_assert_int_eq(shared.posted, 0);
	ck_assert_int_eq(co_post(shared.loop, &shared.node), 0);
	ck_assert_int_eq(co_scope_cancel_remote(shared.scope, EIO), 0);
	rc = co_sleep(CO_SEC(1));
	ck_assert_int_eq(shared.posted, 1);
	ck_assert_int_eq(co_scope_end(&s, rc), -EIO);
	return 0;
}

START_TEST(K14_references_are_stale_in_the_child)
{
	PLAY(shares);
}
END_TEST

/* ------------------------------------------------------------------- descriptors, and who waits */

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

static const bool *before_runtime;

static void has_no_descriptors(void)
{
	for (int fd = 0; fd < DESCRIPTORS; fd++)
		SEE(before_runtime[fd] == (fcntl(fd, F_GETFD) >= 0));
}

static int looks_in_the_child(void *arg)
{
	int rc = looks_at_descriptors(arg);

	before_runtime = arg;
	in_child(has_no_descriptors);
	return rc;
}

START_TEST(K14_descriptors_are_closed_on_exec_and_in_the_child)
{
	bool before[DESCRIPTORS];

	list_descriptors(before);
	PLAY_WITH(looks_in_the_child, before, NULL);
}
END_TEST

static int pipe_of_parent[2];

/* The same descriptors, in another runtime: waited for, written to, closed. */
static int waits_there_too(void *arg)
{
	char c;

	(void)arg;
	SEE(co_write(pipe_of_parent[1], "c", 1) == 1);
	SEE(co_read(pipe_of_parent[0], &c, 1) == 1 && c == 'c');
	SEE(co_wait_fd_until(pipe_of_parent[0], POLLIN, co_now() + MS(1)) == -ETIMEDOUT);
	SEE(co_close(pipe_of_parent[0]) == 0 && co_close(pipe_of_parent[1]) == 0);
	return 0;
}

static void meddles(void)
{
	int code = -1;

	SEE(co_run(waits_there_too, NULL, NULL, &code) == 0 && code == 0);
	for (int fd = 3; fd < DESCRIPTORS; fd++)
		close(fd);
}

static int reads_two(void *arg)
{
	char c = 0;

	(void)arg;
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(co_read(pipe_of_parent[0], &c, 1), 1);
		ck_assert_int_eq(c, "pq"[i]);
		ck_assert_int_eq(co_sleep(MS(2)), 0);
	}
	return 0;
}

static int sleeps(void *arg)
{
	co_ns until = co_now() + MS(30);

	(void)arg;
	ck_assert_int_eq(co_sleep_until(until), 0);
	ck_assert_int_ge(co_now(), until);
	return 0;
}

static int forks_among_those_who_wait(void *arg)
{
	co_group g;

	(void)arg;
	ck_assert_int_eq(pipe2(pipe_of_parent, O_NONBLOCK), 0);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ck_assert_int_eq(co_spawn(&g, reads_two, NULL, NULL), 0);
	ck_assert_int_eq(co_spawn(&g, sleeps, NULL, NULL), 0);
	ck_assert_int_eq(co_sleep(MS(1)), 0);	/* they are in the epoll set, the timer is armed */
	in_child(meddles);
	ck_assert_int_eq(co_write(pipe_of_parent[1], "p", 1), 1);
	ck_assert_int_eq(co_sleep(MS(1)), 0);
	in_child(meddles);
	ck_assert_int_eq(co_write(pipe_of_parent[1], "q", 1), 1);
	return co_group_end(&g, 0);
}

/* On the real clock: the waits are the kernel's. */
START_TEST(K14_the_child_does_not_disturb_who_waits_in_the_parent)
{
	int code = -1;

	ck_assert_int_eq(co_run(forks_among_those_who_wait, NULL, NULL, &code), 0);
	ck_assert_int_eq(code, 0);
}
END_TEST

/* -------------------------------------------------------------------------------------- threads */

static int which_process(void *arg)
{
	(void)arg;
	return getpid();
}

static int works(void *arg)
{
	int result = 0;

	(void)arg;
	SEE(co_work(which_process, NULL, &result) == 0 && result == getpid());
	return 0;
}

static void works_by_its_own(void)
{
	int code = -1, result;

	SEE(co_work(which_process, NULL, &result) == -EPERM);
	SEE(co_run(works, NULL, NULL, &code) == 0 && code == 0);
}

static int works_before_and_after(void *arg)
{
	int result = 0;

	(void)arg;
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(co_work(which_process, NULL, &result), 0);
		ck_assert_int_eq(result, getpid());
		in_child(works_by_its_own);
	}
	return 0;
}

START_TEST(K14_each_process_has_threads_for_its_work)
{
	PLAY(works_before_and_after);
}
END_TEST

static int forks_in_work(void *arg)
{
	(void)arg;
	forks_in_callback(NULL);
	return 0;
}

static int has_work_that_forks(void *arg)
{
	int result;

	(void)arg;
	ck_assert_int_eq(co_work(forks_in_work, NULL, &result), 0);
	ends_with_a_word(of_callback, "a callback returned in a child of fork");
	return 0;
}

START_TEST(K14_work_that_returns_in_the_child_ends_it)
{
	last_words = tmpfile();
	PLAY(has_work_that_forks);
}
END_TEST

static atomic_bool enough;

static void *comes_and_goes(void *value)
{
	return value;
}

static int shares_and_ends(void *arg)
{
	co_scope s = CO_SCOPE_INIT;

	(void)arg;
	co_scope_begin(&s, CO_FOREVER);
	SEE(co_loop_self().id != 0 && co_scope_share(&s).id != 0);
	return co_scope_end(&s, 0);
}

/* Stacks of two sizes: those that a thread does not keep go through the pool of all. */
static void uses_the_pool(void)
{
	struct co_attr sizes[] = { { .stack_size = 65536 }, { .stack_size = 131072 } };
	struct co_raw *co[2];

	for (int i = 0; i < 2; i++) {
		SEE(co_raw_create(&co[i], comes_and_goes, &sizes[i]) == 0);
		SEE(co_raw_resume(co[i], NULL, NULL) == 0);
	}
	co_raw_destroy(co[0]);
	co_raw_destroy(co[1]);
}

static void uses_all(void)
{
	int code = -1;

	uses_the_pool();
	SEE(co_run(shares_and_ends, NULL, NULL, &code) == 0 && code == 0);
}

static void opens_and_closes(void)
{
	co_loop *l;

	SEE(co_loop_open(&l, NULL) == 0 && co_loop_close(l) == 0);
}

/* The mailbox is the next that is opened. */
static void posts_to_one_that_is_gone(void)
{
	struct co_post_node node = { .fn = counts };

	SEE(co_post(shared.loop, &node) == -ESRCH);
}

static void *goes_on(void *fn)
{
	while (!enough)
		(*(void (**)(void))fn)();
	return NULL;
}

static int is_soon_gone(void *arg)
{
	(void)arg;
	shared.loop = co_loop_self();
	return 0;
}

/* A hundred times, while two threads do this and that. */
static void forks_beside(void (*one)(void), void (*other)(void))
{
	void (*does[])(void) = { one, other };
	pthread_t thread[2];

	enough = false;
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, goes_on, &does[i]), 0);
	for (int i = 0; i < 100; i++)
		in_child(uses_all);
	enough = true;
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
}

/* Not with ASan: a lock of LeakSanitizer's (its root regions) is not free there, in gcc 12. */
START_TEST(K14_what_other_threads_held_is_free_in_the_child)
{
	PLAY(is_soon_gone);
	if (ASAN)
		return;
	forks_beside(uses_the_pool, posts_to_one_that_is_gone);
	forks_beside(opens_and_closes, opens_and_closes);
	forks_beside(uses_all, uses_all);
}
END_TEST

/* --------------------------------------------------------------------------------------- guards */

#if !ASAN
static void *overflows(void *value)
{
	volatile char *frame = alloca(30000);

	frame[0] = 1;
	if (frame[0])
		overflows(value);
	return frame[0] ? value : NULL;
}

static void quietly(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	SEE(freopen("/dev/null", "w", stderr) != NULL);
}

/* The stack is the parent's, used before and put back. */
static void overflows_a_raw_one(void)
{
	struct co_raw *co;

	quietly();
	SEE(co_raw_create(&co, overflows, NULL) == 0);
	co_raw_resume(co, NULL, NULL);
}

static void overflows_here(void)
{
	quietly();
	overflows(NULL);
}

static void dies_of_its_guard(void (*fn)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		fn();
		_exit(0);
	}
	status = status_of(pid);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "status %#x",
		      (unsigned)status);
}

static int has_guards_in_the_child(void *arg)
{
	(void)arg;
	dies_of_its_guard(overflows_here);
	dies_of_its_guard(overflows_a_raw_one);
	return 0;
}

START_TEST(K14_guards_are_there_in_the_child)
{
	struct co_options mprotected = { .flags = CO_OPT_NO_GUARD_PROBE };

	uses_the_pool();
	PLAY(has_guards_in_the_child);
	PLAY_WITH(has_guards_in_the_child, NULL, &mprotected);
}
END_TEST
#else
START_TEST(K14_guards_are_there_in_the_child)
{
	/* with ASan's own report there is nothing to see */
}
END_TEST
#endif

SUITE("fork", K14_a_child_starts_afresh, K14_a_coroutine_that_returns_in_the_child_ends_it,
      K14_a_callback_that_returns_in_the_child_ends_it,
      K14_a_report_that_returns_in_the_child_ends_it,
      K14_a_misuse_that_returns_in_the_child_ends_it,
      K14_a_childs_calls_do_not_reach_the_parents_loop, K14_references_are_stale_in_the_child,
      K14_descriptors_are_closed_on_exec_and_in_the_child,
      K14_the_child_does_not_disturb_who_waits_in_the_parent,
      K14_each_process_has_threads_for_its_work, K14_work_that_returns_in_the_child_ends_it,
      K14_what_other_threads_held_is_free_in_the_child, K14_guards_are_there_in_the_child)
