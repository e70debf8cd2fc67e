/* Death by stack overflow: K1 and K2, and the deaths that are none of the library's business. Where
 * there are guards is up to this program: madvise and mprotect are interposed. Under ASan, which
 * has a report of its own, less is to be seen. */
#define _GNU_SOURCE 1
#include <alloca.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <whorl/co.h>

#include "frame.h"
#include "suite.h"

#ifdef WHORL__NO_SMALL_STACKS
#define SMALL 0
#else
#define SMALL !ASAN /* small stacks are what they are asked to be */
#endif

/* What can be had: the best that the kernel has, or less. */
static enum { ALL, NO_MADVISE, NO_GUARDS } guards;

int madvise(void *at, size_t length, int advice)
{
	return guards != ALL ? -1 : (int)syscall(SYS_madvise, at, length, advice);
}

int mprotect(void *at, size_t length, int protection)
{
	return guards == NO_GUARDS ? -1 : (int)syscall(SYS_mprotect, at, length, protection);
}

/* --------------------------------------------------------------------------------------- deaths */

struct death {
	int signo;
	char said[4096];
};

/* Runs fn(arg) in a child, where SIGSEGV is nobody's, and sees it die. */
static struct death die(void (*fn)(size_t arg), size_t arg)
{
	struct death d = { 0 };
	size_t n = 0;
	ssize_t got;
	int fds[2], status;
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		if (!ASAN)
			signal(SIGSEGV, SIG_DFL);
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		fn(arg);
		_exit(0);
	}
	close(fds[1]);
	while (n < sizeof(d.said) - 1 &&
	       (got = read(fds[0], d.said + n, sizeof(d.said) - 1 - n)) > 0)
		n += (size_t)got;
	close(fds[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(status != 0, "it lives");
	d.signo = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	return d;
}

static void expect_said(const struct death *d, const char *what)
{
	ck_assert_msg(strstr(d->said, what) != NULL, "no '%s' in: %s", what, d->said);
}

static void expect_overflow(const struct death *d, const char *who, size_t stack_size)
{
	char what[64];

	if (ASAN) {
		expect_said(d, "AddressSanitizer");
		return;
	}
	ck_assert_int_eq(d->signo, SIGSEGV);
	expect_said(d, who);
	expect_said(d, "(running) ran into the guard below");
	snprintf(what, sizeof(what), "its stack of %zu bytes", stack_size);
	expect_said(d, what);
	expect_said(d, "test_overflow"); /* where it was created */
}

static void run(co_raw_fn *fn, void *value, const char *name, size_t stack_size)
{
	struct co_attr attr = { .name = name, .stack_size = stack_size };
	struct co_raw *co;

	if (co_raw_create(&co, fn, &attr) == 0) {
		co_raw_resume(co, value, NULL);
		co_raw_destroy(co);
	}
}

/* Each call puts its frame `n` bytes further down and touches nothing of it but the lowest byte. */
static volatile bool endless = true;
__attribute__((noinline)) static int sink(size_t n)
{
	volatile char *frame = alloca(n);

	frame[0] = 1;
	return endless ? sink(n) + frame[0] : 0;
}

static void *sink_in(void *n)
{
	return (void *)(intptr_t)sink((size_t)(uintptr_t)n);
}

static void overflow_by_frames(size_t n)
{
	run(sink_in, (void *)n, "deep", 0);
}

START_TEST(k1_overflow_names_the_coroutine)
{
	for (guards = ALL; guards < NO_GUARDS; guards++) {
		struct death d = die(overflow_by_frames, 64);

		expect_overflow(&d, "'deep'", 65536);
	}
}
END_TEST

/* By alloca: of every page of a frame up to 64 KiB the last one touched may be the guard's first. */
START_TEST(k2_no_frame_up_to_64_kib_jumps_the_guard)
{
	size_t step = suite_long() ? 509 : 3001;

	for (guards = ALL; guards < NO_GUARDS; guards++)
		for (size_t n = 16; n <= 65536 - 256; n += n < 4096 ? n : step) {
			struct death d = die(overflow_by_frames, n);

			expect_overflow(&d, "'deep'", 65536);
		}
}
END_TEST

/* One frame, in a function that nobody else calls. With ASan stacks are 192 KiB larger. */
#define LARGE_FRAME(size)                                                                          \
	__attribute__((noinline)) static int frame_of_##size(void)                                 \
	{                                                                                          \
		char frame[size + (ASAN ? 192 << 10 : 0)];                                         \
                                                                                                   \
		frame[0] = 1;                                                                      \
		__asm__ volatile("" : : "r"(frame) : "memory"); /* all of it is there */           \
		return frame[0];                                                                   \
	}
LARGE_FRAME(70000)
LARGE_FRAME(100000)
LARGE_FRAME(125000)

static int (*const large_frames[])(void) = { frame_of_70000, frame_of_100000, frame_of_125000 };

static void *enter_frame(void *which)
{
	return (void *)(intptr_t)large_frames[(size_t)(uintptr_t)which]();
}

static void overflow_by_one_frame(size_t which)
{
	run(enter_frame, (void *)which, "large", 0);
}

START_TEST(one_frame_larger_than_the_stack)
{
	for (guards = ALL; guards < NO_GUARDS; guards++)
		for (size_t i = 0; i < sizeof(large_frames) / sizeof(large_frames[0]); i++) {
			struct death d = die(overflow_by_one_frame, i);

			expect_overflow(&d, "'large'", 65536);
		}
}
END_TEST

static int sink_in_coroutine(void *n)
{
	return co_sleep(1) + sink((size_t)(uintptr_t)n);
}

static int spawn_one(void *n)
{
	const struct co_attr attr = { .name = "spawned", .stack_size = 16384 };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	return co_group_end(&g, co_spawn_with(&g, sink_in_coroutine, n, NULL, &attr));
}

static void overflow_in_runtime(size_t n)
{
	co_run(spawn_one, (void *)n, NULL, NULL);
}

START_TEST(a_spawned_one_is_named_too)
{
	for (guards = ALL; guards < NO_GUARDS; guards++)
		for (size_t n = 16; n <= 65536 - 256; n *= 15) {
			struct death d = die(overflow_in_runtime, n);

			expect_overflow(&d, "'spawned'", 16384);
		}
}
END_TEST

static void overflow_a_larger_one(size_t size)
{
	run(sink_in, (void *)(uintptr_t)1000, "a name that is longer than thirty-one bytes", size);
}

START_TEST(the_message_gives_its_own_size_and_31_bytes_of_name)
{
	struct death d = die(overflow_a_larger_one, (size_t)1 << 20);

	expect_overflow(&d, "'a name that is longer than thir'", (size_t)1 << 20);
}
END_TEST

static void overflow_a_nameless_one(size_t size)
{
	struct co_raw *co;

	if (co_raw_create(&co, sink_in, NULL) == 0)
		co_raw_resume(co, (void *)size, NULL);
}

START_TEST(a_coroutine_may_have_no_name)
{
	struct death d = die(overflow_a_nameless_one, 100);

	expect_overflow(&d, "without a name", 65536);
}
END_TEST

static int sink_in_generator(co_gen *gen, void *n)
{
	return co_gen_emit(gen, NULL, NULL) + sink((size_t)(uintptr_t)n);
}

static void overflow_in_generator(size_t n)
{
	struct co_attr attr = { .name = "producer" };
	co_gen *gen;

	if (co_gen_make(&gen, sink_in_generator, (void *)n, &attr) == 0)
		while (co_gen_next(gen, NULL) == 1)
			;
}

START_TEST(a_generator_is_named_too)
{
	struct death d = die(overflow_in_generator, 500);

	expect_overflow(&d, "'producer'", 65536);
}
END_TEST

static void *overflow_in_thread(void *n)
{
	overflow_by_frames((size_t)(uintptr_t)n);
	return NULL;
}

static void *nothing(void *value)
{
	return value;
}

static void overflow_on_second_thread(size_t n)
{
	pthread_t thread;

	run(nothing, NULL, "guest", 0);
	if (pthread_create(&thread, NULL, overflow_in_thread, (void *)n) == 0)
		pthread_join(thread, NULL);
}

START_TEST(threads_have_alternate_stacks_of_their_own)
{
	struct death d = die(overflow_on_second_thread, 200);

	expect_overflow(&d, "'deep'", 65536);
}
END_TEST

/* --------------------------------------------------------------------------------- other deaths */

static void *write_to_null(void *value)
{
	*(volatile char *)value = 1;
	return NULL;
}

static void fault_elsewhere(size_t at)
{
	run(write_to_null, (void *)at, "careless", 0);
}

static void *kill_itself(void *value)
{
	kill(getpid(), SIGSEGV);
	return value;
}

static void be_killed(size_t unused)
{
	(void)unused;
	run(kill_itself, NULL, "victim", 0);
}

static void fault_outside(size_t at)
{
	run(write_to_null, &at, "harmless", 0);
	*(volatile char *)(uintptr_t)at = 1;
}

START_TEST(other_faults_are_passed_on)
{
	static void (*const ways[])(size_t) = { fault_elsewhere, be_killed, fault_outside };

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct death d = die(ways[i], 64);

		if (ASAN)
			continue;
		ck_assert_int_eq(d.signo, SIGSEGV);
		ck_assert_msg(strstr(d.said, "whorl") == NULL, "%s", d.said);
	}
}
END_TEST

/* --------------------------------------------------------------------------------------- canary */

static void *write_below_and_suspend(void *n)
{
	volatile char *frame = alloca((size_t)(uintptr_t)n);

	for (size_t i = 0; i < (size_t)(uintptr_t)n; i++)
		frame[i] = 1;
	co_raw_suspend(NULL);
	return NULL;
}

static void overflow_without_guard(size_t n)
{
	guards = NO_GUARDS;
	run(write_below_and_suspend, (void *)n, "blind", (size_t)256 << 10);
}

START_TEST(a_canary_is_seen_when_the_coroutine_stops)
{
	for (size_t n = 261; n < 320; n += 7) {
		struct death d = die(overflow_without_guard, n << 10);

		ck_assert_int_eq(d.signo, SIGABRT);
		expect_said(&d, "'blind' (running) wrote below its stack of 262144 bytes");
		expect_said(&d, "test_overflow"); /* where it was created */
	}
}
END_TEST

/* It stands below its stack when it stops, though the canary is as it was. */
static void *jump_and_suspend(void *n)
{
	volatile char *frame = alloca((size_t)(uintptr_t)n);

	frame[0] = 1;
	co_raw_suspend(NULL);
	return (void *)(intptr_t)frame[0];
}

static void jump_the_canary(size_t n)
{
	guards = NO_GUARDS;
	run(jump_and_suspend, (void *)n, "blind", (size_t)256 << 10);
}

START_TEST(who_stops_below_its_stack_is_seen)
{
	for (size_t n = 262; n < 320 && !ASAN; n += 7) {
		struct death d = die(jump_the_canary, n << 10);

		ck_assert_int_eq(d.signo, SIGABRT);
		expect_said(&d, "'blind' (running) wrote below its stack of 262144 bytes");
	}
}
END_TEST

START_TEST(a_canary_bears_a_nearly_full_stack)
{
	struct co_attr attr = { .stack_size = (size_t)256 << 10 };
	struct co_raw *co;

	guards = NO_GUARDS;
	ck_assert_int_eq(co_raw_create(&co, write_below_and_suspend, &attr), 0);
	ck_assert_int_eq(co_raw_resume(co, (void *)(attr.stack_size - 8192), NULL), 1);
	ck_assert_int_eq(co_raw_resume(co, NULL, NULL), 0);
	co_raw_destroy(co);
}
END_TEST

/* ---------------------------------------------------------------------------------- small stacks */

static const struct co_attr tight = { .name = "tight",
				      .stack_size = 2048,
				      .flags = CO_SMALL_STACK };

static void overflow_small(co_raw_fn *fn, void *value)
{
	struct co_raw *before, *co;

	if (co_raw_create(&before, nothing, &tight) == 0 && co_raw_create(&co, fn, &tight) == 0)
		co_raw_resume(co, value, NULL);
}

static void write_below(size_t n)
{
	overflow_small(write_below_and_suspend, (void *)n);
}

/* Zeros, and then nothing that stops. */
static void *zero_below_and_end(void *n)
{
	volatile char *frame = alloca((size_t)(uintptr_t)n);

	for (size_t i = 0; i < (size_t)(uintptr_t)n; i++)
		frame[i] = 0;
	return (void *)(intptr_t)frame[0];
}

static void zero_below(size_t n)
{
	overflow_small(zero_below_and_end, (void *)n);
}

static void jump_below(size_t n)
{
	overflow_small(jump_and_suspend, (void *)n);
}

__attribute__((noinline)) static int descend(uintptr_t end)
{
	return (uintptr_t)__builtin_frame_address(0) <= end
		       ? (int)(intptr_t)co_raw_suspend(NULL)
		       : descend(end) + (int)endless;
}

static void *recurse_and_suspend(void *n)
{
	return (void *)(intptr_t)descend((uintptr_t)__builtin_frame_address(0) - (uintptr_t)n);
}

static void recurse_below(size_t n)
{
	overflow_small(recurse_and_suspend, (void *)n);
}

static int emit_from_below(co_gen *gen, void *n)
{
	volatile char *frame = alloca((size_t)(uintptr_t)n);

	for (size_t i = 0; i < (size_t)(uintptr_t)n; i++)
		frame[i] = 1;
	return co_gen_emit(gen, NULL, NULL);
}

static void emit_below(size_t n)
{
	co_gen *gen;

	if (co_gen_make(&gen, emit_from_below, (void *)n, &tight) == 0)
		co_gen_next(gen, NULL);
}

static int sleep_below(void *n)
{
	return write_below_and_suspend(n) == NULL ? co_sleep(1) : 0;
}

static int spawn_below(void *n)
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	return co_group_end(&g, co_spawn_with(&g, sleep_below, n, NULL, &tight));
}

static void spawned_below(size_t n)
{
	co_run(spawn_below, (void *)n, NULL, NULL);
}

START_TEST(small_stacks_are_looked_at_whenever_they_stop)
{
	static const struct {
		void (*how)(size_t);
		size_t n;
	} ways[] = {
		{ write_below, 2048 },	 { write_below, 3000 }, { zero_below, 2048 },
		{ zero_below, 2500 },	 { jump_below, 2048 },	{ jump_below, 3000 },
		{ recurse_below, 2500 }, { emit_below, 2048 },	{ spawned_below, 2048 },
		{ spawned_below, 3000 },
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]) && SMALL; i++) {
		struct death d = die(ways[i].how, ways[i].n);

		ck_assert_int_eq(d.signo, SIGABRT);
		expect_said(&d, "'tight' (running) wrote below its stack of 2048 bytes");
		expect_said(&d, "test_overflow");
	}
}
END_TEST

/* --------------------------------------------------------------------------- whose signal it is */

static bool segv_is(void (*handler)(int))
{
	struct sigaction now;

	sigaction(SIGSEGV, NULL, &now);
	return (now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == handler;
}

static void handler_of_mine(int signo)
{
	(void)signo;
}

START_TEST(a_handler_that_is_there_stays)
{
	signal(SIGSEGV, handler_of_mine);
	run(nothing, NULL, "guest", 0);
	ck_assert(segv_is(handler_of_mine));
	signal(SIGSEGV, SIG_IGN);
	run(nothing, NULL, "guest", 0);
	ck_assert(segv_is(SIG_IGN));
}
END_TEST

/* A thread that has had coroutines, and lives from one wait to the next. */
struct user {
	pthread_t thread;
	pthread_barrier_t barrier;
};

static void *had_coroutines(void *arg)
{
	struct user *user = arg;

	run(nothing, NULL, "guest", 0);
	run(nothing, NULL, "guest", 0);
	pthread_barrier_wait(&user->barrier);
	pthread_barrier_wait(&user->barrier);
	return NULL;
}

static void begin(struct user *user)
{
	ck_assert_int_eq(pthread_barrier_init(&user->barrier, NULL, 2), 0);
	ck_assert_int_eq(pthread_create(&user->thread, NULL, had_coroutines, user), 0);
	pthread_barrier_wait(&user->barrier);
}

static void end(struct user *user)
{
	pthread_barrier_wait(&user->barrier);
	pthread_join(user->thread, NULL);
}

START_TEST(the_handler_goes_with_the_last_thread)
{
	struct user a, b;

	signal(SIGSEGV, SIG_DFL);
	for (int round = 0; round < 3; round++) {
		begin(&a);
		begin(&b);
		ck_assert(!segv_is(SIG_DFL));
		end(&a);
		ck_assert(!segv_is(SIG_DFL));
		begin(&a);
		end(&b);
		ck_assert(!segv_is(SIG_DFL));
		end(&a);
		ck_assert(segv_is(SIG_DFL));
	}
}
END_TEST

static bool has_alternate_stack(void)
{
	stack_t now;

	return sigaltstack(NULL, &now) == 0 && (now.ss_flags & SS_DISABLE) == 0;
}

static int use_coroutines(void *expected)
{
	run(nothing, NULL, "guest", 0);
	ck_assert_int_eq(segv_is(SIG_DFL), *(bool *)expected);
	ck_assert(has_alternate_stack());
	return 0;
}

START_TEST(the_handler_goes_with_the_runtime)
{
	bool alone = false;

	signal(SIGSEGV, SIG_DFL);
	for (int i = 0; i < 3; i++) {
		struct co_raw *co;

		ck_assert_int_eq(co_raw_create(&co, nothing, NULL), 0);
		co_raw_destroy(co);
		ck_assert(!segv_is(SIG_DFL));
		ck_assert_int_eq(co_run(use_coroutines, &alone, NULL, NULL), 0);
		ck_assert(segv_is(SIG_DFL));
	}
}
END_TEST

START_TEST(a_runtime_may_leave_sigsegv_alone)
{
	struct co_options options = { .flags = CO_OPT_NO_SEGV_REPORT };
	bool alone = true;

	signal(SIGSEGV, SIG_DFL);
	ck_assert_int_eq(co_run(use_coroutines, &alone, &options, NULL), 0);
	ck_assert(segv_is(SIG_DFL));
	ck_assert(ASAN || !has_alternate_stack());
}
END_TEST

/* What it wished for is over with it. */
START_TEST(sigsegv_is_left_alone_as_long_as_the_runtime_lives)
{
	struct co_options options = { .flags = CO_OPT_NO_SEGV_REPORT };
	bool alone = true;
	struct co_raw *co;

	signal(SIGSEGV, SIG_DFL);
	ck_assert_int_eq(co_run(use_coroutines, &alone, &options, NULL), 0);
	ck_assert_int_eq(co_raw_create(&co, nothing, NULL), 0);
	ck_assert(!segv_is(SIG_DFL));
	co_raw_destroy(co);
	alone = false;
	ck_assert_int_eq(co_run(use_coroutines, &alone, NULL, NULL), 0);
}
END_TEST

/* Each as its own options say, also when another one on the thread has ended. */
START_TEST(two_runtimes_that_leave_sigsegv_alone)
{
	struct co_options options = { .flags = CO_OPT_NO_SEGV_REPORT };
	bool alone = true;
	co_loop *l;

	signal(SIGSEGV, SIG_DFL);
	ck_assert_int_eq(co_loop_open(&l, &options), 0);
	ck_assert_int_eq(co_run(use_coroutines, &alone, &options, NULL), 0);
	ck_assert_int_eq(co_loop_spawn(l, use_coroutines, &alone), 0);
	while (co_loop_run_once(l) > 0)
		;
	ck_assert_int_eq(co_loop_close(l), 0);
	ck_assert(segv_is(SIG_DFL));
}
END_TEST

static bool called_back;

static void makes_a_coroutine(struct co_post_node *node)
{
	bool alone = true;

	(void)node;
	use_coroutines(&alone);
	called_back = true;
}

static int posts_to_itself(void *loop)
{
	static struct co_post_node node = { .fn = makes_a_coroutine };

	*(co_loop_ref *)loop = co_loop_self();
	return co_post(*(co_loop_ref *)loop, &node);
}

/* In a pass, and when the runtime closes. */
START_TEST(what_it_calls_leaves_sigsegv_alone_too)
{
	struct co_options options = { .flags = CO_OPT_NO_SEGV_REPORT };
	struct co_post_node last = { .fn = makes_a_coroutine };
	co_loop_ref ref;
	co_loop *l;

	signal(SIGSEGV, SIG_DFL);
	ck_assert_int_eq(co_loop_open(&l, &options), 0);
	ck_assert_int_eq(co_loop_spawn(l, posts_to_itself, &ref), 0);
	while (co_loop_run_once(l) > 0)
		;
	ck_assert(called_back);
	called_back = false;
	ck_assert_int_eq(co_post(ref, &last), 0);
	ck_assert_int_eq(co_loop_close(l), 0);
	ck_assert(called_back);
	ck_assert(segv_is(SIG_DFL));
}
END_TEST

START_TEST(an_alternate_stack_that_is_there_stays)
{
	static char mine[1 << 16];
	stack_t stack = { .ss_sp = mine, .ss_size = sizeof(mine) }, now;

	ck_assert_int_eq(sigaltstack(&stack, NULL), 0);
	run(nothing, NULL, "guest", 0);
	ck_assert_int_eq(sigaltstack(NULL, &now), 0);
	ck_assert_ptr_eq(now.ss_sp, mine);
}
END_TEST

SUITE("overflow", k1_overflow_names_the_coroutine, k2_no_frame_up_to_64_kib_jumps_the_guard,
      one_frame_larger_than_the_stack, a_spawned_one_is_named_too,
      the_message_gives_its_own_size_and_31_bytes_of_name, a_coroutine_may_have_no_name,
      a_generator_is_named_too, threads_have_alternate_stacks_of_their_own,
      other_faults_are_passed_on, a_canary_is_seen_when_the_coroutine_stops,
      who_stops_below_its_stack_is_seen, a_canary_bears_a_nearly_full_stack,
      small_stacks_are_looked_at_whenever_they_stop, a_handler_that_is_there_stays,
      the_handler_goes_with_the_last_thread, the_handler_goes_with_the_runtime,
      a_runtime_may_leave_sigsegv_alone, sigsegv_is_left_alone_as_long_as_the_runtime_lives,
      two_runtimes_that_leave_sigsegv_alone, what_it_calls_leaves_sigsegv_alone_too,
      an_alternate_stack_that_is_there_stays)
