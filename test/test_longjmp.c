/* K11: longjmp within a coroutine.
 *
 * With _FORTIFY_SOURCE, glibc ends a program whose longjmp leads down the stack: so may one that is
 * meant to switch to another coroutine. The library never switches so, and a program that jumps up
 * the stack of one coroutine is left alone. Here coroutines jump from deep frames to ones above,
 * and suspend on the way down, between setjmp and longjmp, while others do the same. The last test
 * shows that the check is in force. */
#ifdef __OPTIMIZE__ /* else there is no check */
#undef _FORTIFY_SOURCE
#define _FORTIFY_SOURCE 3
#endif
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scenario.h"

enum { CAST = 16, ROUNDS = 40, DEPTH = 12 };

static uint64_t dice;

/* Lets others go on. */
static void (*rest)(void);

struct jumper {
	int who;
	sigjmp_buf top;
	jmp_buf half; /* half way down */
	bool by_half; /* the jump from below leads there first */
	int jumps;    /* to the top */
};

/* What a frame holds while others run. */
struct block {
	volatile char bytes[160];
};

static void fill(struct block *b, int with)
{
	for (size_t i = 0; i < sizeof(b->bytes); i++)
		b->bytes[i] = (char)with;
}

static void is_filled(const struct block *b, int with)
{
	size_t right = 0;

	for (size_t i = 0; i < sizeof(b->bytes); i++)
		right += b->bytes[i] == (char)with;
	ck_assert_uint_eq(right, sizeof(b->bytes));
}

/* Goes `left` frames down, and jumps from the last. */
__attribute__((noinline)) static void descend(struct jumper *j, int left)
{
	struct block b;

	fill(&b, j->who + left);
	rest();
	is_filled(&b, j->who + left);
	if (left == DEPTH / 2 && setjmp(j->half) != 0) {
		rest();
		is_filled(&b, j->who + left);
		siglongjmp(j->top, 1);
	}
	if (left > 0)
		descend(j, left - 1);
	else if (j->by_half)
		longjmp(j->half, 1);
	else
		siglongjmp(j->top, 1);
	is_filled(&b, 0); /* not reached; no call above is the last of its frame */
	ck_abort_msg("nobody jumped");
}

/* Jumps ROUNDS times. */
static void jumps(int who)
{
	struct jumper j = { .who = who };
	struct block b;

	fill(&b, who);
	for (j.jumps = 0; j.jumps < ROUNDS; j.jumps++) {
		j.by_half = j.jumps % 2 == 0;
		if (sigsetjmp(j.top, j.jumps % 3) == 0)
			descend(&j, DEPTH);
		is_filled(&b, who);
		rest();
		is_filled(&b, who);
	}
}

/* ------------------------------------------------------------------------------- raw coroutines */

static void *jumps_raw(void *who)
{
	jumps((int)(intptr_t)who);
	return who;
}

static void suspend(void)
{
	co_raw_suspend(NULL);
}

/* Resumed by lot until all have ended. */
START_TEST(K11_raw_coroutines_jump)
{
	struct co_raw *cast[CAST];
	int left = CAST;

	dice = suite_seed();
	rest = suspend;
	for (int i = 0; i < CAST; i++)
		IS(co_raw_create(&cast[i], jumps_raw, NULL), 0);
	while (left > 0) {
		int i = (int)(suite_random(&dice) % CAST);
		void *out = NULL;

		if (co_raw_state(cast[i]) == CO_RAW_DONE ||
		    co_raw_resume(cast[i], num(i), &out) == 1)
			continue;
		ck_assert_ptr_eq(out, num(i));
		left--;
	}
	for (int i = 0; i < CAST; i++)
		co_raw_destroy(cast[i]);
}
END_TEST

/* -------------------------------------------------------------------------------- the scheduler */

static void naps(void)
{
	IS(co_sleep(CO_MS(suite_random(&dice) % 3)), 0);
}

static int jumps_spawned(void *who)
{
	jumps((int)(intptr_t)who);
	return (int)(intptr_t)who;
}

SCENARIO(K11_coroutines_jump)
{
	co_ref cast[CAST];
	co_group g;

	dice = suite_seed();
	rest = naps;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < CAST; i++)
		cast[i] = spawn(&g, jumps_spawned, num(i));
	for (int i = 0; i < CAST; i++)
		IS(join(cast[i]), i);
	IS(co_group_end(&g, 0), 0);
}

/* A scope that is jumped out of is one whose function has returned. */
static ON_THE_STACK void jumps_out_of_a_scope(jmp_buf to)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, CO_MS(5));
	IS(co_sleep(MS(1)), 0);
	longjmp(to, 1);
}

SCENARIO_WITH(K11_a_scope_jumped_out_of_is_noticed, hearing())
{
	jmp_buf here;

	if (setjmp(here) == 0)
		jumps_out_of_a_scope(here);
	IS(misuses()->count, 0);
	IS(co_sleep(MS(10)), 0);
	IS(misuses()->count, 1);
	IS(misuses()->kind[0], CO_MISUSE_SCOPE_LEAKED);
	AT(11);
}

/* ------------------------------------------------------------------------ the check is in force */

#if defined(__OPTIMIZE__) && defined(__GLIBC__)
static jmp_buf within[2];

static void *jumps_to_the_other(void *which)
{
	const int me = (int)(intptr_t)which;

	if (setjmp(within[me]) == 0) {
		co_raw_suspend(__builtin_frame_address(0));
		longjmp(within[!me], 1);
	}
	_exit(0);
	return which;
}

/* The one that lies above the other jumps. */
START_TEST(K11_a_jump_to_another_stack_is_caught)
{
	struct co_raw *co[2];
	void *at[2];
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		close(STDERR_FILENO);
		for (int i = 0; i < 2; i++) {
			co_raw_create(&co[i], jumps_to_the_other, NULL);
			co_raw_resume(co[i], num(i), &at[i]);
		}
		co_raw_resume(co[(uintptr_t)at[1] > (uintptr_t)at[0]], NULL, NULL);
	}
	IS(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %d", status);
}
END_TEST
#define SHOWN , K11_a_jump_to_another_stack_is_caught
#else
#define SHOWN
#endif

SUITE("longjmp", K11_raw_coroutines_jump, K11_coroutines_jump,
      K11_a_scope_jumped_out_of_is_noticed SHOWN)
