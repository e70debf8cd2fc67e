/* Raw coroutines. The system calls that can fail are interposed: this program's mmap and its like
 * are what the library calls. So is the C++ runtime's __cxa_get_globals, which a C program does not
 * have. */
#define _GNU_SOURCE 1
#include <alloca.h>
#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <whorl/coro.h>

#include "direct_mmap.h"
#include "suite.h"

static void *number(intptr_t n)
{
	return (void *)n;
}

static struct co_raw *create(co_raw_fn *fn, const struct co_attr *attr)
{
	struct co_raw *co = NULL;

	ck_assert_int_eq(co_raw_create(&co, fn, attr), 0);
	ck_assert_ptr_nonnull(co);
	return co;
}

static void *resume(struct co_raw *co, intptr_t in, int code)
{
	void *out = number(-1);

	ck_assert_int_eq(co_raw_resume(co, number(in), &out), code);
	return out;
}

/* ------------------------------------------------------------------------------ the life of one */

static void *echo_until_zero(void *value)
{
	while (value != NULL)
		value = co_raw_suspend((char *)value + 1);
	return number(-7);
}

START_TEST(values_go_in_and_out)
{
	struct co_raw *co = create(echo_until_zero, NULL);

	for (intptr_t i = 1; i < 1000; i++)
		ck_assert_ptr_eq(resume(co, i, 1), number(i + 1));
	ck_assert_ptr_eq(resume(co, 0, 0), number(-7));
	co_raw_destroy(co);
}
END_TEST

START_TEST(out_may_be_null)
{
	struct co_raw *co = create(echo_until_zero, NULL);

	ck_assert_int_eq(co_raw_resume(co, number(1), NULL), 1);
	ck_assert_ptr_eq(resume(co, 5, 1), number(6));
	ck_assert_int_eq(co_raw_resume(co, NULL, NULL), 0);
	co_raw_destroy(co);
}
END_TEST

static struct co_raw *itself;

static void *look_at_state(void *value)
{
	ck_assert_int_eq(co_raw_state(itself), CO_RAW_RUNNING);
	co_raw_suspend(value);
	ck_assert_int_eq(co_raw_state(itself), CO_RAW_RUNNING);
	return NULL;
}

START_TEST(state_follows)
{
	itself = create(look_at_state, NULL);
	ck_assert_int_eq(co_raw_state(itself), CO_RAW_NEW);
	resume(itself, 0, 1);
	ck_assert_int_eq(co_raw_state(itself), CO_RAW_SUSPENDED);
	resume(itself, 0, 0);
	ck_assert_int_eq(co_raw_state(itself), CO_RAW_DONE);
	co_raw_destroy(itself);
}
END_TEST

START_TEST(a_finished_one_is_not_resumed)
{
	struct co_raw *co = create(echo_until_zero, NULL);

	resume(co, 0, 0);
	ck_assert_ptr_eq(resume(co, 1, -ESRCH), number(-1));
	ck_assert_ptr_eq(resume(co, 1, -ESRCH), number(-1));
	co_raw_destroy(co);
}
END_TEST

#define DEPTH 50
static struct co_raw *chain[DEPTH];

/* Number n resumes n + 1, which suspends once. */
static void *nest(void *value)
{
	intptr_t n = (intptr_t)value;

	if (n < DEPTH - 1) {
		ck_assert_ptr_eq(resume(chain[n + 1], n + 1, 1), number(n + 1));
		ck_assert_ptr_eq(resume(chain[n + 1], 0, 0), number(0));
	}
	return co_raw_suspend(value);
}

START_TEST(resume_nests)
{
	for (int i = 0; i < DEPTH; i++)
		chain[i] = create(nest, NULL);
	ck_assert_ptr_eq(resume(chain[0], 0, 1), number(0));
	for (int i = 1; i < DEPTH; i++)
		ck_assert_int_eq(co_raw_state(chain[i]), CO_RAW_DONE);
	resume(chain[0], 0, 0);
	for (int i = 0; i < DEPTH; i++)
		co_raw_destroy(chain[i]);
}
END_TEST

/* The last one tries itself and all that wait for it. */
static void *try_all_that_wait(void *value)
{
	intptr_t n = (intptr_t)value;

	if (n < DEPTH - 1)
		return resume(chain[n + 1], n + 1, 0);
	for (int i = 0; i < DEPTH; i++) {
		ck_assert_int_eq(co_raw_state(chain[i]), CO_RAW_RUNNING);
		resume(chain[i], 0, -EINVAL);
	}
	return number(123);
}

START_TEST(one_that_waits_for_another_is_not_resumed)
{
	for (int i = 0; i < DEPTH; i++)
		chain[i] = create(try_all_that_wait, NULL);
	ck_assert_ptr_eq(resume(chain[0], 0, 0), number(123));
	for (int i = 0; i < DEPTH; i++)
		co_raw_destroy(chain[i]);
}
END_TEST

static struct co_raw *other;

static void *resume_other(void *value)
{
	void *out;

	ck_assert_int_eq(co_raw_resume(other, value, &out), 1);
	return co_raw_suspend(out);
}

START_TEST(the_last_resumer_gets_control)
{
	struct co_raw *a = create(resume_other, NULL);

	other = create(echo_until_zero, NULL);
	ck_assert_ptr_eq(resume(other, 1, 1), number(2)); /* by main, then by a, then by main */
	ck_assert_ptr_eq(resume(a, 10, 1), number(11));
	ck_assert_ptr_eq(resume(other, 20, 1), number(21));
	ck_assert_ptr_eq(resume(a, 30, 0), number(30));
	co_raw_destroy(a);
	co_raw_destroy(other);
}
END_TEST

START_TEST(suspend_outside_gives_null)
{
	struct co_raw *co;

	ck_assert_ptr_null(co_raw_suspend(number(1)));
	co = create(echo_until_zero, NULL);
	resume(co, 1, 1);
	ck_assert_ptr_null(co_raw_suspend(number(1)));
	ck_assert_int_eq(co_raw_state(co), CO_RAW_SUSPENDED);
	co_raw_destroy(co);
	ck_assert_ptr_null(co_raw_suspend(number(1)));
}
END_TEST

/* ------------------------------------------------------------------------------------ bad input */

START_TEST(bad_arguments)
{
	struct co_raw *const untouched = number(77);
	struct co_raw *co = untouched;
	struct co_attr unknown_flag = { .flags = 8 }, huge = { .stack_size = SIZE_MAX };
	struct co_attr large = {
		.stack_size = ((size_t)(SIZE_MAX > UINT32_MAX ? 8192 : 512) << 20) + 1
	};
	void *out = number(5);

	errno = 1234;
	ck_assert_int_eq(co_raw_create(NULL, echo_until_zero, NULL), -EINVAL);
	ck_assert_int_eq(co_raw_create(&co, NULL, NULL), -EINVAL);
	ck_assert_int_eq(co_raw_create(&co, echo_until_zero, &unknown_flag), -EINVAL);
	ck_assert_int_eq(co_raw_create(&co, echo_until_zero, &huge), -EINVAL);
	ck_assert_int_eq(co_raw_create(&co, echo_until_zero, &large), -EINVAL);
	ck_assert_ptr_eq(co, untouched);
	ck_assert_int_eq(co_raw_resume(NULL, NULL, &out), -EINVAL);
	ck_assert_ptr_eq(out, number(5));
	ck_assert_int_eq(co_raw_state(NULL), CO_RAW_DONE);
	ck_assert_uint_eq(co_raw_stack_used(NULL), 0);
	co_raw_destroy(NULL);
	ck_assert_int_eq(errno, 1234);
}
END_TEST

START_TEST(errno_is_left_alone)
{
	struct co_attr attr = { .stack_size = 1 };
	struct co_raw *co;

	for (errno = 1234; attr.stack_size < (size_t)1 << 26; attr.stack_size *= 2) {
		co = create(echo_until_zero, &attr);
		resume(co, 1, 1);
		co_raw_stack_used(co);
		co_raw_destroy(co);
		ck_assert_int_eq(errno, 1234);
	}
}
END_TEST

/* Runs `fn` in a child that has to die of `signo`, and returns what it wrote on stderr. */
static const char *die(void (*fn)(void), int signo)
{
	static char said[4096];
	size_t n = 0;
	ssize_t got;
	int fds[2], status;
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		fn();
		_exit(0);
	}
	close(fds[1]);
	while (n < sizeof(said) - 1 && (got = read(fds[0], said + n, sizeof(said) - 1 - n)) > 0)
		n += (size_t)got;
	said[n] = '\0';
	close(fds[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == signo, "status %d: %s", status,
		      said);
	return said;
}

static void *destroy_itself(void *value)
{
	co_raw_destroy(itself);
	return value;
}

static void run_destroy_itself(void)
{
	struct co_attr attr = { .name = "suicide" };

	itself = create(destroy_itself, &attr);
	resume(itself, 0, 0);
}

START_TEST(destroying_a_running_one_aborts)
{
	const char *said = die(run_destroy_itself, SIGABRT);

	ck_assert_msg(strstr(said, "'suicide'") != NULL &&
			      strstr(said, "destroyed while it runs") != NULL,
		      "%s", said);
}
END_TEST

/* --------------------------------------------------------------------------------------- stacks */

START_TEST(stacks_are_reused_last_in_first_out)
{
	struct co_raw *a = create(echo_until_zero, NULL), *b = create(echo_until_zero, NULL);
	struct co_raw *c = create(echo_until_zero, NULL);

	resume(b, 1, 1); /* one of each: suspended, done, new */
	resume(c, 0, 0);
	co_raw_destroy(a);
	co_raw_destroy(c);
	co_raw_destroy(b);
	ck_assert_ptr_eq(create(echo_until_zero, NULL), b);
	ck_assert_ptr_eq(create(echo_until_zero, NULL), c);
	ck_assert_ptr_eq(create(echo_until_zero, NULL), a);
	co_raw_destroy(a);
	co_raw_destroy(b);
	co_raw_destroy(c);
}
END_TEST

/* Calls nothing that is not called before: to bind a symbol takes 3 KiB of stack. */
static void *use_stack(void *value)
{
	size_t n = (size_t)(intptr_t)value;
	volatile char *block = alloca(n);

	for (size_t i = 0; i < n; i++)
		block[i] = 1;
	return co_raw_suspend(NULL);
}

START_TEST(all_bytes_asked_for_can_be_used)
{
	struct co_attr attr = { .stack_size = 0 };
	struct co_raw *co, *neighbour;

	for (size_t size = 4096; size <= (size_t)1 << 20; size *= 2) {
		attr.stack_size = size;
		neighbour = create(echo_until_zero, &attr);
		ck_assert_ptr_eq(resume(neighbour, 41, 1), number(42));
		co = create(use_stack, &attr);
		resume(co, (intptr_t)size, 1);
		ck_assert_ptr_eq(resume(neighbour, 51, 1), number(52));
		resume(co, 0, 0);
		co_raw_destroy(co);
		co_raw_destroy(neighbour);
	}
}
END_TEST

START_TEST(high_water_mark)
{
	struct co_attr attr = { .stack_size = (size_t)512 << 10 };
	struct co_raw *co = create(use_stack, &attr);

	ck_assert_uint_gt(co_raw_stack_used(co), 0);
	ck_assert_uint_lt(co_raw_stack_used(co), 4096);
	resume(co, 300000, 1);
	ck_assert_uint_ge(co_raw_stack_used(co), 300000);
	ck_assert_uint_lt(co_raw_stack_used(co), 310000);
	resume(co, 0, 0);
	co_raw_destroy(co);
	co = create(use_stack, &attr);
	ck_assert_uint_ge(co_raw_stack_used(co), 300000); /* the former user's */
	resume(co, (512 << 10) - 100, 1);
	ck_assert_uint_le(co_raw_stack_used(co), attr.stack_size);
	co_raw_destroy(co);
}
END_TEST

#define THREADS 4
static void *churn(void *seed_of_thread)
{
	uint64_t seed = (uint64_t)(uintptr_t)seed_of_thread;
	struct co_raw *co[8] = { NULL };
	intptr_t sent;
	void *out;

	for (int i = 0; i < 20000; i++) {
		struct co_raw **c = &co[suite_random(&seed) % 8];
		struct co_attr attr = { .stack_size = (size_t)16384 << (suite_random(&seed) % 4) };

		if (*c == NULL && co_raw_create(c, echo_until_zero, &attr) != 0)
			return number(1);
		sent = (intptr_t)(suite_random(&seed) % 4);
		if (co_raw_resume(*c, number(sent), &out) != (sent != 0) ||
		    out != number(sent != 0 ? sent + 1 : -7))
			return number(2);
		if (sent == 0) {
			co_raw_destroy(*c);
			*c = NULL;
		}
	}
	for (int i = 0; i < 8; i++)
		co_raw_destroy(co[i]);
	for (int i = 1; i < 100000; i++) { /* little but the shared list of stacks */
		if (co_raw_create(&co[0], echo_until_zero, NULL) != 0 ||
		    co_raw_resume(co[0], number(i), &out) != 1 || out != number(i + 1))
			return number(3);
		co_raw_destroy(co[0]);
	}
	return NULL;
}

/* Their stacks only: no call takes a coroutine to another thread, so that nothing of a thread's that
 * the compiler remembers across a switch is ever another's (K9). */
START_TEST(threads_share_the_stacks)
{
	uint64_t seed = suite_seed();
	pthread_t thread[THREADS];
	void *wrong;

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, churn,
						number((intptr_t)suite_random(&seed))),
				 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], &wrong);
		ck_assert_ptr_null(wrong);
	}
}
END_TEST

/* --------------------------------------------------------- what a coroutine may have of its own */

__attribute__((noinline)) static double third(void)
{
	volatile double one = 1, three = 3, third = one / three; /* no more bits than it has */

	return third;
}

static void *round_upward(void *value)
{
	double before = third(), upward;

	fesetround(FE_UPWARD);
	upward = third();
	ck_assert(upward > before);
	co_raw_suspend(value);
	ck_assert(third() == upward);
	ck_assert_int_eq(fegetround(), FE_UPWARD);
	fesetround(FE_TOWARDZERO);
	co_raw_suspend(value);
	ck_assert_int_eq(fegetround(), FE_TOWARDZERO);
	return value;
}

START_TEST(K8_fp_control_of_its_own)
{
	struct co_attr attr = { .flags = CO_KEEP_FPENV };
	struct co_raw *a = create(round_upward, &attr), *b = create(round_upward, &attr);
	double nearest = third();

	for (int i = 0; i < 3; i++) {
		resume(a, 0, i < 2);
		ck_assert(third() == nearest);
		ck_assert_int_eq(fegetround(), FE_TONEAREST);
		resume(b, 0, i < 2);
		ck_assert(third() == nearest);
	}
	co_raw_destroy(a);
	co_raw_destroy(b);
}
END_TEST

/* Two that keep their setting, one that does not, resuming each other. */
static void *keep_inside_keep(void *value)
{
	struct co_attr attr = { .flags = CO_KEEP_FPENV };
	struct co_raw *inner, *plain;

	fesetround(FE_DOWNWARD);
	inner = create(round_upward, &attr); /* begins with what its creator has */
	plain = create(round_upward, NULL);
	resume(inner, 0, 1);
	ck_assert_int_eq(fegetround(), FE_DOWNWARD);
	resume(plain, 0, 1); /* sets the thread's */
	ck_assert_int_eq(fegetround(), FE_DOWNWARD);
	resume(inner, 0, 1);
	ck_assert_int_eq(fegetround(), FE_DOWNWARD);
	co_raw_destroy(inner);
	co_raw_destroy(plain);
	return value;
}

START_TEST(K8_fp_control_when_nested)
{
	struct co_attr attr = { .flags = CO_KEEP_FPENV };
	struct co_raw *co = create(keep_inside_keep, &attr);

	resume(co, 0, 0);
	ck_assert_int_eq(fegetround(), FE_UPWARD);
	fesetround(FE_TONEAREST);
	co_raw_destroy(co);
}
END_TEST

START_TEST(K8_fp_control_is_the_threads_without_the_flag)
{
	struct co_raw *co = create(round_upward, NULL);

	resume(co, 0, 1);
	ck_assert_int_eq(fegetround(), FE_UPWARD);
	resume(co, 0, 1);
	ck_assert_int_eq(fegetround(), FE_TOWARDZERO);
	fesetround(FE_TONEAREST);
	co_raw_destroy(co);
}
END_TEST

static void mask_usr1(int how)
{
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, SIGUSR1);
	ck_assert_int_eq(pthread_sigmask(how, &one, NULL), 0);
}

static bool usr1_is_blocked(void)
{
	sigset_t all;

	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, NULL, &all), 0);
	return sigismember(&all, SIGUSR1);
}

static void *unblocks(void *value)
{
	ck_assert(usr1_is_blocked());
	mask_usr1(SIG_UNBLOCK);
	co_raw_suspend(NULL);
	ck_assert(usr1_is_blocked());
	return value;
}

START_TEST(the_signal_mask_is_the_threads)
{
	struct co_raw *co = create(unblocks, NULL);

	for (int code = 1; code >= 0; code--) {
		mask_usr1(SIG_BLOCK);
		resume(co, 0, code);
		ck_assert(usr1_is_blocked() == (code == 0));
	}
	co_raw_destroy(co);
}
END_TEST

/* Itanium C++ ABI, 2.2.2, and the Arm EHABI's appendix B. */
struct cxx_globals {
	void *caught;
	unsigned uncaught;
#ifdef __ARM_EABI__
	void *propagating;
#endif
};
static _Thread_local struct cxx_globals cxx;

/* All of them say `n`. */
static void set_globals(intptr_t n)
{
	cxx = (struct cxx_globals){ .caught = number(n), .uncaught = (unsigned)n };
#ifdef __ARM_EABI__
	cxx.propagating = number(n);
#endif
}

static void globals_are(intptr_t n)
{
	ck_assert_ptr_eq(cxx.caught, number(n));
	ck_assert_uint_eq(cxx.uncaught, (unsigned)n);
#ifdef __ARM_EABI__
	ck_assert_ptr_eq(cxx.propagating, number(n));
#endif
}

struct cxx_globals *__cxa_get_globals(void);
struct cxx_globals *__cxa_get_globals(void)
{
	return &cxx;
}

static void *catch_something(void *value)
{
	intptr_t n = (intptr_t)value;

	globals_are(0);
	set_globals(n);
	while (n > 0) {
		n = (intptr_t)co_raw_suspend(NULL);
		globals_are((intptr_t)value);
	}
	return NULL;
}

START_TEST(cxx_exceptions_of_its_own)
{
	struct co_attr attr = { .flags = CO_KEEP_CXX_EH | CO_KEEP_FPENV };
	struct co_raw *co[10];

	for (int round = 1; round >= 0; round--) {
		for (int i = 0; i < 10; i++) {
			if (round == 1)
				co[i] = create(catch_something, &attr);
			set_globals(1000 + i);
			resume(co[i], round * (i + 1), round);
			globals_are(1000 + i);
			set_globals(0);
		}
	}
	for (int i = 0; i < 10; i++)
		co_raw_destroy(co[i]);
}
END_TEST

/* ------------------------------------------------------------------- system calls that can fail */

static int calls_left = -1; /* before one fails; negative: none does */
static bool fail_all_after;
static int live_maps; /* of the library and this program */

static bool fails(void)
{
	if (calls_left < 0)
		return false;
	if (calls_left > 0) {
		calls_left--;
		return false;
	}
	if (!fail_all_after)
		calls_left = -1;
	errno = ENOMEM;
	return true;
}

void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset)
{
	void *map;

	if (fails())
		return MAP_FAILED;
	map = direct_mmap(at, length, protection, flags, fd, offset);
	live_maps += map != MAP_FAILED;
	return map;
}

/* With _FILE_OFFSET_BITS that one is mmap64, and in a static program libc calls this one. */
#if defined(__USE_FILE_OFFSET64) && __WORDSIZE == 32
void *mmap_of_libc(void *at, size_t length, int protection, int flags, int fd, long offset)
	__asm__("mmap");
void *mmap_of_libc(void *at, size_t length, int protection, int flags, int fd, long offset)
{
	return mmap(at, length, protection, flags, fd, offset);
}
#endif

int munmap(void *at, size_t length)
{
	live_maps--;
	return (int)syscall(SYS_munmap, at, length);
}

int madvise(void *at, size_t length, int advice)
{
	return fails() ? -1 : (int)syscall(SYS_madvise, at, length, advice);
}

int mprotect(void *at, size_t length, int protection)
{
	return fails() ? -1 : (int)syscall(SYS_mprotect, at, length, protection);
}

int sigaltstack(const stack_t *restrict stack, stack_t *restrict old)
{
	return stack != NULL && fails() ? -1 : (int)syscall(SYS_sigaltstack, stack, old);
}

/* False: there was no n-th call. */
static bool create_with_failures(int n)
{
	struct co_raw *co = number(77);
	int before = live_maps, rc;
	bool reached;

	calls_left = n;
	rc = co_raw_create(&co, echo_until_zero, NULL);
	reached = calls_left <= 0;
	if (rc == -ENOMEM) {
		ck_assert_ptr_eq(co, number(77));
		for (int i = 0; i < 200 && rc == -ENOMEM; i++) {
			ck_assert_int_le(live_maps, before + 1); /* the first slab: stacks go back */
			calls_left = fail_all_after ? 1 : -1;
			rc = co_raw_create(&co, echo_until_zero, NULL);
		}
		calls_left = -1;
		if (rc == -ENOMEM)
			rc = co_raw_create(&co, echo_until_zero, NULL);
	}
	calls_left = -1;
	ck_assert_int_eq(rc, 0);
	ck_assert_ptr_eq(resume(co, 1, 1), number(2));
	resume(co, 0, 0);
	co_raw_destroy(co);
	ck_assert_int_le(live_maps, before + 2); /* and an alternate stack */
	return reached;
}

/* Each n in a process of its own, where nothing is mapped yet. */
static int count_failing_calls(void)
{
	int status, n = 0;
	pid_t pid;

	do {
		pid = fork();
		if (pid == 0)
			_exit(create_with_failures(n) ? 0 : 64);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(WIFEXITED(status) && (WEXITSTATUS(status) & ~64) == 0);
	} while (WEXITSTATUS(status) == 0 && ++n);
	return n;
}

static void *have_a_coroutine(void *unused)
{
	co_raw_destroy(create(echo_until_zero, NULL));
	return unused;
}

START_TEST(threads_leave_nothing_mapped)
{
	pthread_t thread;
	int before = 0;

	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(pthread_create(&thread, NULL, have_a_coroutine, NULL), 0);
		pthread_join(thread, NULL);
		if (i == 0)
			before = live_maps; /* the slab, which all share */
		ck_assert_int_eq(live_maps, before);
	}
}
END_TEST

START_TEST(nth_system_call_fails)
{
	ck_assert_int_ge(count_failing_calls(), 3);
}
END_TEST

START_TEST(all_system_calls_from_the_nth_fail)
{
	fail_all_after = true;
	ck_assert_int_ge(count_failing_calls(), 3);
}
END_TEST

SUITE("raw", values_go_in_and_out, out_may_be_null, state_follows, a_finished_one_is_not_resumed,
      resume_nests, one_that_waits_for_another_is_not_resumed, the_last_resumer_gets_control,
      suspend_outside_gives_null, bad_arguments, errno_is_left_alone,
      destroying_a_running_one_aborts, stacks_are_reused_last_in_first_out,
      all_bytes_asked_for_can_be_used, high_water_mark, threads_share_the_stacks,
      K8_fp_control_of_its_own, K8_fp_control_when_nested,
      K8_fp_control_is_the_threads_without_the_flag, the_signal_mask_is_the_threads,
      cxx_exceptions_of_its_own, threads_leave_nothing_mapped, nth_system_call_fails,
      all_system_calls_from_the_nth_fail)
