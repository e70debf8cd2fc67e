/*
 * Mistakes (C39): what the hook is told, and what happens when it returns; calls outside any
 * runtime; references that name nothing; arguments that are missing. Kinds that need sync
 * objects or callbacks are not here.
 */
#include "actor.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void check_blame(int i, enum co_misuse kind)
{
	char site[256] = "";

	IS(misuses()->kind[i], kind);
	ck_assert_uint_gt(strlen(misuses()->text[i]), 8);
	ck_assert_ptr_nonnull(misuses()->site[i]);
	ck_assert_int_gt(co_site_format(misuses()->site[i], site, sizeof(site)), 0);
	ck_assert_uint_gt(strlen(site), 0);
}

/* The hook was called once since the last of these. */
static void blamed(enum co_misuse kind)
{
	IS(misuses()->count, 1);
	check_blame(0, kind);
	misuses()->count = 0;
}

/* At least once: some mistakes are several. */
static void blamed_for_all(enum co_misuse kind)
{
	ck_assert_int_ge(misuses()->count, 1);
	for (int i = 0; i < misuses()->count; i++)
		check_blame(i, kind);
	misuses()->count = 0;
}

static void blameless(void)
{
	IS(misuses()->count, 0);
}

/* -------------------------------------------------------------------------- a scope's state */

SCENARIO_WITH(C39_state_begin_of_an_open_scope, hearing())
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	co_scope_begin(&s, MS(1000));
	blamed(CO_MISUSE_SCOPE_STATE);
	co_scope_begin_at(&s, 0, 0);
	blamed(CO_MISUSE_SCOPE_STATE);
	co_scope_begin_shield(&s, MS(5));
	blamed(CO_MISUSE_SCOPE_STATE);
	IS(co_deadline(), MS(10));
	IS(co_sleep(CO_FOREVER), CANC);
	AT(10);
	IS(co_scope_end(&s, CANC), TMO);
	IS(co_deadline(), CO_FOREVER);
	blameless();
}

SCENARIO_WITH(C39_state_begin_and_end_of_an_ended_scope, hearing())
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	IS(co_scope_end(&s, 5), 5);
	blameless();
	IS(co_scope_end(&s, 5), -EINVAL);
	blamed(CO_MISUSE_SCOPE_STATE);
	co_scope_begin(&s, MS(10));
	blamed(CO_MISUSE_SCOPE_STATE);
	IS(co_deadline(), CO_FOREVER);
	IS(co_scope_end(&s, CANC), -EINVAL);
	blamed(CO_MISUSE_SCOPE_STATE);
	IS(co_sleep(MS(20)), 0);
	blameless();
}

SCENARIO_WITH(C39_state_end_of_a_scope_never_begun, hearing())
{
	co_scope s = CO_SCOPE_INIT, around = CO_SCOPE_INIT;

	IS(co_scope_end(&s, 0), -EINVAL);
	blamed(CO_MISUSE_SCOPE_STATE);
	co_scope_begin(&around, MS(10));
	IS(co_scope_end(&s, CANC), -EINVAL);
	blamed(CO_MISUSE_SCOPE_STATE);
	IS(co_deadline(), MS(10));
	IS(co_scope_end(&around, 1), 1);
	co_scope_begin(&s, MS(10));
	IS(co_scope_end(&s, 2), 2);
	blameless();
}

SCENARIO_WITH(C39_state_garbage, hearing())
{
	static const unsigned char fill[] = { 0xA5, 0xFF, 0x01, 0x80, 0x55 };
	co_scope s;

	for (size_t i = 0; i < LENGTH(fill); i++) {
		memset(&s, fill[i], sizeof(s));
		co_scope_begin(&s, MS(1));
		blamed(CO_MISUSE_SCOPE_STATE);
		IS(co_deadline(), CO_FOREVER);
		IS(co_scope_end(&s, 3), -EINVAL);
		blamed(CO_MISUSE_SCOPE_STATE);
		IS(co_scope_result(&s, 3), -EINVAL);
		blamed(CO_MISUSE_SCOPE_STATE);
	}
	IS(co_sleep(MS(2)), 0);
	blameless();
}

SCENARIO_WITH(C39_state_a_copy, hearing())
{
	co_scope s = CO_SCOPE_INIT, copy, idle = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	memcpy(&copy, &s, sizeof(s));
	co_scope_begin(&copy, MS(1));
	blamed(CO_MISUSE_SCOPE_STATE);
	IS(co_scope_end(&copy, 0), -EINVAL);
	blamed(CO_MISUSE_SCOPE_STATE);
	IS(co_deadline(), MS(10));
	IS(co_sleep(CO_FOREVER), CANC);
	IS(co_scope_end(&copy, CANC), -EINVAL);
	blamed(CO_MISUSE_SCOPE_STATE);
	IS(co_scope_end(&s, CANC), TMO);
	blameless();
	IS(co_scope_end(&copy, CANC), -EINVAL);
	blamed(CO_MISUSE_SCOPE_STATE);
	memcpy(&copy, &idle, sizeof(idle));
	co_scope_begin(&copy, MS(1));
	IS(co_scope_end(&copy, 0), 0);
	blameless();
}

SCENARIO_WITH(C39_state_result_of_an_open_scope, hearing())
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	IS(co_scope_result(&s, 4), -EINVAL);
	blamed(CO_MISUSE_SCOPE_STATE);
	IS(co_scope_end(&s, 4), 4);
	IS(co_scope_result(&s, 4), 4);
	blameless();
}

/* initialised while it is open: the object is a stranger now, its scope is still there until
 * an outer one ends */
SCENARIO_WITH(C39_state_open_scope_wiped, hearing())
{
	co_scope outer = CO_SCOPE_INIT, s = CO_SCOPE_INIT;

	co_scope_begin(&outer, CO_FOREVER);
	co_scope_begin(&s, MS(10));
	memset(&s, 0, sizeof(s));
	IS(co_scope_end(&s, 0), -EINVAL);
	blamed(CO_MISUSE_SCOPE_STATE);
	IS(co_deadline(), MS(10));
	IS(co_scope_end(&outer, 6), 6);
	blamed(CO_MISUSE_SCOPE_ORDER);
	IS(co_sleep(MS(20)), 0);
	blameless();
}

/* ------------------------------------------------------------------------- end out of order */

SCENARIO_WITH(C39_order_inner_scopes_are_closed, hearing())
{
	co_scope s[4] = { CO_SCOPE_INIT, CO_SCOPE_INIT, CO_SCOPE_INIT, CO_SCOPE_INIT };

	for (int i = 0; i < 4; i++)
		co_scope_begin(&s[i], MS(100 - i));
	IS(co_scope_end(&s[1], 8), 8);
	blamed_for_all(CO_MISUSE_SCOPE_ORDER);
	IS(co_deadline(), MS(100));
	ck_assert(co_scope_cancelled(&s[3]));
	ck_assert(co_scope_cancelled(&s[2]));
	ck_assert(!co_scope_cancelled(&s[1]));
	IS(co_scope_set_deadline(&s[3], MS(5)), -ESRCH);
	IS(co_scope_cancel(&s[2], 0), -ESRCH);
	IS(co_sleep(MS(99)), 0);
	IS(co_scope_end(&s[3], 7), 7);
	IS(co_scope_end(&s[2], CANC), CANC);
	blameless();
	IS(co_sleep(CO_FOREVER), CANC);
	AT(100);
	IS(co_scope_end(&s[0], CANC), TMO);
	blameless();
}

/* the end itself is judged as any other */
SCENARIO_WITH(C39_order_it_is_a_proper_end, hearing())
{
	co_scope outer = CO_SCOPE_INIT, inner = CO_SCOPE_INIT;

	co_scope_begin(&outer, MS(10));
	co_scope_begin(&inner, MS(50));
	IS(co_sleep(CO_FOREVER), CANC);
	IS(co_scope_end(&outer, CANC), TMO);
	ck_assert(co_scope_caught(&outer));
	blamed(CO_MISUSE_SCOPE_ORDER);
	IS(co_scope_end(&inner, CANC), CANC);
	ck_assert(!co_scope_caught(&inner));
	blameless();
	IS(co_sleep(MS(100)), 0);
}

SCENARIO_WITH(C39_order_group_end_with_an_open_scope, hearing())
{
	struct actor kid = { .nap = 20 };
	co_scope s = CO_SCOPE_INIT;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, actor, &kid);
	co_scope_begin(&s, MS(10));
	IS(co_group_end(&g, 5), 5);
	blamed(CO_MISUSE_SCOPE_ORDER);
	AT(20);
	IS(kid.woke, 0);
	IS(co_scope_end(&s, 9), 9);
	blameless();
}

SCENARIO_WITH(C39_order_scope_end_around_an_open_group, hearing())
{
	struct actor kid = { .nap = EVER, .cleanup = 20 };
	co_scope s = CO_SCOPE_INIT;
	co_group g;

	co_scope_begin(&s, CO_FOREVER);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, actor, &kid);
	settle();
	IS(co_scope_end(&s, 5), 5);
	blamed_for_all(CO_MISUSE_SCOPE_ORDER);
	co_ignore(co_group_end(&g, 0));
	blameless();
	IS(kid.woke, CANC);
	IS(kid.left, 20);
	AT(20);
}

/* -------------------------------------------------------------------------- another's scope */

static co_scope *anothers;

static int ends_anothers(void *arg)
{
	IS(co_scope_end(anothers, (int)(intptr_t)arg), -EINVAL);
	blamed(CO_MISUSE_SCOPE_OWNER);
	IS(co_scope_end(anothers, CANC), -EINVAL);
	blamed(CO_MISUSE_SCOPE_OWNER);
	return 0;
}

static int opens_a_scope(void *arg)
{
	co_scope s = CO_SCOPE_INIT;

	anothers = arg ? arg : &s;
	co_scope_begin(anothers, MS(10));
	IS(co_sleep(CO_FOREVER), CANC);
	AT(10);
	return co_scope_end(anothers, CANC);
}

SCENARIO_WITH(C39_owner_ends_by_others_change_nothing, hearing())
{
	co_scope s = CO_SCOPE_INIT;
	co_group g;
	co_ref ref;

	co_group_begin(&g, CO_GROUP_COLLECT);
	ref = spawn(&g, opens_a_scope, NULL);
	settle();
	IS(join(spawn(&g, ends_anothers, num(0))), 0);
	IS(co_scope_end(anothers, 0), -EINVAL);
	blamed(CO_MISUSE_SCOPE_OWNER);
	IS(join(ref), TMO);
	IS(co_group_end(&g, 0), 0);

	co_group_begin(&g, CO_GROUP_COLLECT);
	co_scope_begin(&s, MS(10));
	anothers = &s;
	IS(join(spawn(&g, ends_anothers, num(1))), 0);
	IS(co_sleep(CO_FOREVER), CANC);
	IS(co_scope_end(&s, CANC), TMO);
	IS(co_group_end(&g, 0), 0);
	AT(20);
	blameless();
}

/* ---------------------------------------------------------------------------- leaked scopes */

static __attribute__((noinline)) void leaves_frames(co_ns dur, int depth)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, dur);
	if (depth > 1)
		leaves_frames(dur, depth - 1);
	__asm__ volatile("" : : "r"(&s) : "memory"); /* no tail call */
}

/* some way down the stack, below whatever the caller calls next */
static __attribute__((noinline)) void leaves_frames_deep_down(co_ns dur, int depth)
{
	char room[4096];

	__asm__ volatile("" : : "r"(room) : "memory"); /* the room must be there */
	leaves_frames(dur, depth);
	__asm__ volatile("" : : "r"(room) : "memory");
}

static int call_yield(void)
{
	return co_yield_now();
}

static int call_sleep(void)
{
	return co_sleep(MS(20));
}

static int call_checkpoint(void)
{
	return co_checkpoint();
}

static int call_wait(void)
{
	co_group g;
	int rc;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	rc = co_group_wait(&g);
	return co_group_end(&g, rc);
}

/* noticed at the next point; its deadline is gone; several at once */
SCENARIO_WITH(C39_leaked_by_a_frame_that_is_gone, hearing())
{
	static int (*const calls[])(void) = { call_yield, call_sleep, call_checkpoint, call_wait };
	co_scope around = CO_SCOPE_INIT;

	co_scope_begin(&around, CO_SEC(100));
	for (size_t i = 0; i < LENGTH(calls); i++)
		for (int depth = 1; depth <= 7; depth += 2) {
			leaves_frames_deep_down(MS(10), depth);
			IS(calls[i](), 0);
			blamed_for_all(CO_MISUSE_SCOPE_LEAKED);
			IS(co_deadline(), CO_SEC(100));
			IS(co_sleep(MS(20)), 0);
			blameless();
		}
	IS(co_scope_end(&around, 0), 0);
	blameless();
}

/* a scope that lies elsewhere may stay open when a function returns */
static __attribute__((noinline)) void begins(co_scope *s)
{
	co_scope_begin(s, MS(10));
}

SCENARIO_WITH(C39_leaked_is_guessed_on_the_own_stack_only, hearing())
{
	static co_scope in_data = CO_SCOPE_INIT;
	co_scope *on_heap = calloc(1, sizeof(*on_heap)), here = CO_SCOPE_INIT;
	co_scope *all[] = { &in_data, on_heap, &here };

	ck_assert_ptr_nonnull(on_heap);
	for (int i = 0; i < 3; i++) {
		begins(all[i]);
		IS(co_yield_now(), 0);
		IS(co_sleep(CO_FOREVER), CANC);
		IS(co_scope_end(all[i], CANC), TMO);
	}
	blameless();
	free(on_heap);
}

static co_scope lasting[3];

static int returns_with_scopes(void *arg)
{
	memset(lasting, 0, sizeof(lasting));
	for (int i = 0; i < 3; i++)
		co_scope_begin(&lasting[i], i == 1 ? 0 : CO_SEC(1000));
	return (int)(intptr_t)arg;
}

/* whatever it returned is its exit; the timers are gone, the objects ended */
SCENARIO_WITH(C39_leaked_by_a_coroutine_that_returns, hearing())
{
	static const int exits[] = { 0, 5, -EIO };
	co_group g;

	for (size_t i = 0; i < LENGTH(exits); i++) {
		co_group_begin(&g, CO_GROUP_COLLECT);
		IS(join(spawn(&g, returns_with_scopes, num(exits[i]))), exits[i]);
		blamed_for_all(CO_MISUSE_SCOPE_LEAKED);
		for (int k = 0; k < 3; k++) {
			IS(co_scope_cancel(&lasting[k], 0), -ESRCH);
			ck_assert(co_scope_cancelled(&lasting[k]));
		}
		IS(co_group_end(&g, 0), 0);
	}
	blameless();
	AT(0);
}

/* main too */
START_TEST(C39_leaked_by_main)
{
	int code = -1;

	IS(co_run(returns_with_scopes, num(6), hearing(), &code), 0);
	IS(code, 6);
	blamed_for_all(CO_MISUSE_SCOPE_LEAKED);
}
END_TEST

/* ----------------------------------------------------------------------------------- groups */

static int ends_group(void *g)
{
	IS(co_group_end(g, -EIO), -EINVAL);
	blamed(CO_MISUSE_GROUP);
	return 0;
}

SCENARIO_WITH(C39_group_ended_by_a_stranger, hearing())
{
	struct actor kid = { .nap = 30, .exit = 2 };
	co_group aside, g;
	co_ref ref;

	co_group_begin(&aside, CO_GROUP_FAIL_FAST);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ref = spawn(&g, actor, &kid);
	IS(join(spawn(&aside, ends_group, &g)), 0);
	IS(join(spawn(&g, ends_group, &g)), 0);
	IS(join(ref), 2);
	AT(30);
	IS(co_group_end(&g, 4), 4);
	IS(co_group_end(&aside, 0), 0);
	blameless();
}

SCENARIO_WITH(C39_group_ended_twice, hearing())
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_group_end(&g, 4), 4);
	IS(co_group_end(&g, 4), -EINVAL);
	blamed(CO_MISUSE_GROUP);
	IS(co_group_end(&g, CANC), -EINVAL);
	blamed(CO_MISUSE_GROUP);
	IS(co_group_cancel(&g, 0), -ESRCH);
	blameless();
}

SCENARIO_WITH(C39_group_begun_twice, hearing())
{
	struct actor kid = { .nap = 30 };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, actor, &kid);
	co_group_begin(&g, CO_GROUP_COLLECT);
	blamed(CO_MISUSE_GROUP);
	IS(co_group_end(&g, 4), 4);
	AT(30);
	IS(kid.woke, 0);
	blameless();
}

static int returns_with_a_group(void *arg)
{
	static co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, actor, arg);
	spawn(&g, sleep_forever, NULL);
	IS(co_sleep(MS(10)), 0);
	return 7;
}

/* at return its children are cancelled and awaited; the exit is what was returned */
SCENARIO_WITH(C39_group_left_open, hearing())
{
	struct actor kid = { .nap = EVER, .cleanup = 20 };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(join(spawn(&g, returns_with_a_group, &kid)), 7);
	blamed(CO_MISUSE_GROUP);
	AT(30);
	IS(kid.woke, CANC);
	IS(kid.left, 30);
	IS(co_group_end(&g, 0), 0);
}

static int returns_with_both(void *kid)
{
	static co_group g;
	static co_scope s[2];

	co_scope_begin(&s[0], CO_SEC(1));
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, actor, kid);
	co_scope_begin(&s[1], CO_SEC(1));
	IS(co_sleep(MS(10)), 0);
	return 7;
}

/* a scope in a group in a scope, all left open */
SCENARIO_WITH(C39_group_and_scopes_left_open, hearing())
{
	struct actor kid = { .nap = EVER, .cleanup = 20 };
	int groups = 0, scopes = 0;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(join(spawn(&g, returns_with_both, &kid)), 7);
	AT(30);
	IS(kid.left, 30);
	for (int i = 0; i < misuses()->count; i++) {
		groups += misuses()->kind[i] == CO_MISUSE_GROUP;
		scopes += misuses()->kind[i] == CO_MISUSE_SCOPE_LEAKED;
	}
	ck_assert_int_ge(groups, 1);
	ck_assert_int_ge(scopes, 1);
	IS(groups + scopes, misuses()->count);
	IS(co_group_end(&g, 0), 0);
}

/* ----------------------------------------------------------------- another runtime's things */

struct foreign {
	co_ref self, member;
	co_scope scope;
	co_group group;
	sem_t ready, done;
};

static int foreign_main(void *arg)
{
	struct foreign *f = arg;

	f->self = co_self();
	co_scope_begin(&f->scope, CO_SEC(1));
	co_group_begin(&f->group, CO_GROUP_FAIL_FAST);
	co_group_limit(&f->group, 2);
	f->member = spawn(&f->group, sleep_ms, num(10));
	settle();
	sem_post(&f->ready);
	while (sem_wait(&f->done))
		;
	IS(co_group_end(&f->group, 3), 3);
	return co_scope_end(&f->scope, 0);
}

static void *foreign_thread(void *arg)
{
	PLAY_WITH(foreign_main, arg, NULL);
	return NULL;
}

static void denied(int rc)
{
	IS(rc, -EXDEV);
	blamed(CO_MISUSE_LOOP);
}

static int visits(void *arg)
{
	struct foreign *f = arg;
	int code;

	denied(co_cancel(f->self, 0));
	denied(co_cancel(f->member, EIO));
	denied(co_join(f->member, &code));
	denied(co_join_until(f->member, &code, 0));
	denied(co_scope_cancel(&f->scope, 0));
	denied(co_scope_set_deadline(&f->scope, 0));
	denied(co_scope_rearm(&f->scope, 0));
	denied(co_group_cancel(&f->group, 0));
	denied(co_spawn(&f->group, must_not_run, NULL, NULL));
	denied(co_group_wait(&f->group));
	denied(co_group_wait_until(&f->group, 0));
	denied(co_group_admit(&f->group));
	denied(co_group_start(&f->group, must_not_run, NULL, NULL));
	ck_assert(!co_was_cancelled(f->member));
	misuses()->count = 0;
	IS(co_yield_now(), 0);
	return 0;
}

static int visits_what_is_gone(void *arg)
{
	struct foreign *f = arg;

	IS(co_cancel(f->self, 0), -ESRCH);
	IS(co_cancel(f->member, 0), -ESRCH);
	IS(co_join(f->member, NULL), -ESRCH);
	blameless();
	return 0;
}

START_TEST(C39_loop_things_of_another_runtime)
{
	struct foreign f = { .scope = CO_SCOPE_INIT };
	pthread_t t;

	IS(sem_init(&f.ready, 0, 0), 0);
	IS(sem_init(&f.done, 0, 0), 0);
	IS(pthread_create(&t, NULL, foreign_thread, &f), 0);
	while (sem_wait(&f.ready))
		;
	PLAY_WITH(visits, &f, hearing());
	sem_post(&f.done);
	IS(pthread_join(t, NULL), 0);
	PLAY_WITH(visits_what_is_gone, &f, hearing());
}
END_TEST

/* ---------------------------------------------------------------------------------- shields */

SCENARIO_WITH(C39_shield_without_an_end, hearing())
{
	co_scope s = CO_SCOPE_INIT, t = CO_SCOPE_INIT;
	int ran = 0;

	IS(co_shield(CO_FOREVER, must_not_run, NULL), -EINVAL);
	blamed(CO_MISUSE_SHIELD);
	co_scope_begin_shield(&s, CO_FOREVER);
	blamed(CO_MISUSE_SHIELD);
	IS(co_scope_end(&s, 17), 17);
	co_scope_begin_at(&t, CO_FOREVER, CO_SHIELD);
	blamed(CO_MISUSE_SHIELD);
	IS(co_scope_end(&t, CANC), CANC);
	co_with_shield (&s, CO_FOREVER)
		ran++;
	blamed(CO_MISUSE_SHIELD);
	IS(ran, 0);
	blameless();
}

/* ------------------------------------------------------------------------ without any hooks */

static int ends_twice(void *arg)
{
	co_scope s = CO_SCOPE_INIT;

	(void)arg;
	co_scope_begin(&s, 0);
	co_ignore(co_scope_end(&s, 0));
	co_ignore(co_scope_end(&s, 0));
	return 0;
}

static int returns_an_error(void *arg)
{
	(void)arg;
	return -EIO;
}

static int has_a_failing_one(void *arg)
{
	struct co_attr rash = { .name = "rash" };

	(void)arg;
	IS(co_spawn_with(NULL, returns_an_error, NULL, NULL, &rash), 0);
	return co_yield_now();
}

/* Runs main in a process of its own with default hooks; what it wrote to stderr, and how it
 * ended. */
static int run_apart(co_fn *main_fn, char *said, size_t size)
{
	struct rlimit no_core = { 0, 0 };
	int fd[2], status = 0;
	ssize_t n;
	pid_t pid;

	IS(pipe(fd), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		dup2(fd[1], STDERR_FILENO);
		_exit(co_run(main_fn, NULL, NULL, NULL) ? 1 : 0);
	}
	close(fd[1]);
	for (size_t at = 0; (n = read(fd[0], said + at, size - 1 - at)) > 0; at += (size_t)n)
		said[at + (size_t)n] = '\0';
	close(fd[0]);
	IS(waitpid(pid, &status, 0), pid);
	return status;
}

/* C39: misuse prints and aborts, reports print and never abort */
START_TEST(C39_default_hooks)
{
	static char said[65536];
	int status = run_apart(ends_twice, said, sizeof(said));

	ck_assert(WIFSIGNALED(status));
	IS(WTERMSIG(status), SIGABRT);
	ck_assert_uint_gt(strlen(said), 8);
	memset(said, 0, sizeof(said));
	status = run_apart(has_a_failing_one, said, sizeof(said));
	ck_assert(WIFEXITED(status));
	IS(WEXITSTATUS(status), 0);
	ck_assert_ptr_nonnull(strstr(said, "rash"));
}
END_TEST

/* ---------------------------------------------------------------------- outside any runtime */

static void all_refused(void)
{
	co_fn *const fns[] = { must_not_run };
	static co_group none;
	struct timespec before, after;
	int code = 99;
	co_ns now;

	IS(co_sleep(MS(1)), -EPERM);
	IS(co_sleep(0), -EPERM);
	IS(co_sleep_until(CO_FOREVER), -EPERM);
	IS(co_yield_now(), -EPERM);
	IS(co_checkpoint(), -EPERM);
	IS(co_join((co_ref){ 1 }, &code), -EPERM);
	IS(co_join_until((co_ref){ 0 }, &code, 0), -EPERM);
	IS(co_group_wait(&none), -EPERM);
	IS(co_group_wait_until(&none, 0), -EPERM);
	IS(co_group_admit(&none), -EPERM);
	IS(co_group_start(&none, must_not_run, NULL, NULL), -EPERM);
	IS(co_gather(1, fns, NULL, NULL), -EPERM);
	IS(co_timeout(MS(1), must_not_run, NULL), -EPERM);
	IS(co_spawn(NULL, must_not_run, NULL, NULL), -EPERM);
	IS(co_test_settle(), -EPERM);
	IS(co_test_advance(0), -EPERM);
	IS(co_test_stall(0), -EPERM);
	IS(code, 99);
	ck_assert_uint_eq(co_self().id, 0);
	IS(co_cancel(co_self(), 0), -ESRCH);
	ck_assert(!co_was_cancelled(co_self()));
	ck_assert_ptr_null(co_name(co_self()));
	IS(co_deadline(), CO_FOREVER);
	clock_gettime(CLOCK_MONOTONIC, &before);
	now = co_now();
	clock_gettime(CLOCK_MONOTONIC, &after);
	ck_assert_int_ge(now, CO_SEC(before.tv_sec) + before.tv_nsec);
	ck_assert_int_le(now, CO_SEC(after.tv_sec) + after.tv_nsec);
}

static void *thread_outside(void *arg)
{
	all_refused();
	return arg;
}

static int starts_a_thread(void *arg)
{
	pthread_t t;

	(void)arg;
	IS(pthread_create(&t, NULL, thread_outside, NULL), 0);
	IS(pthread_join(t, NULL), 0);
	IS(co_yield_now(), 0);
	ck_assert_uint_ne(co_self().id, 0);
	return 0;
}

/* C39: before a runtime, after it, beside one that is open, and on another thread while one runs */
START_TEST(C39_outside_any_runtime)
{
	co_loop *l = NULL;

	all_refused();
	PLAY(starts_a_thread);
	all_refused();
	IS(co_loop_open(&l, NULL), 0);
	all_refused();
	IS(co_loop_close(l), 0);
	all_refused();
}
END_TEST

/* ---------------------------------------------------------------------------- bad arguments */

SCENARIO_WITH(null_arguments, hearing())
{
	struct co_cause cause;
	co_scope s = CO_SCOPE_INIT;
	co_group g;
	int out;

	IS(co_timeout(MS(1), NULL, NULL), -EINVAL);
	IS(co_shield(MS(1), NULL, NULL), -EINVAL);
	IS(co_scope_end(NULL, 0), -EINVAL);
	IS(co_scope_result(NULL, 0), -EINVAL);
	IS(co_scope_set_deadline(NULL, 0), -EINVAL);
	IS(co_scope_rearm(NULL, 0), -EINVAL);
	IS(co_scope_cancel(NULL, 0), -EINVAL);
	ck_assert(!co_scope_cancelled(NULL));
	ck_assert(!co_scope_caught(NULL));
	IS(co_scope_cause(NULL, &cause), -EINVAL);
	IS(co_scope_cause(&s, NULL), -EINVAL);
	IS(co_cancel_cause(NULL), -EINVAL);
	IS(co_spawn(NULL, NULL, NULL, NULL), -EINVAL);
	co_group_begin(&g, CO_GROUP_FIRST);
	IS(co_group_admit(NULL), -EINVAL);
	IS(co_group_start(NULL, must_not_run, NULL, NULL), -EINVAL);
	IS(co_group_start(&g, NULL, NULL, NULL), -EINVAL);
	IS(co_group_wait(NULL), -EINVAL);
	IS(co_group_wait_until(NULL, 0), -EINVAL);
	IS(co_group_cancel(NULL, 0), -EINVAL);
	IS(co_group_end(NULL, 0), -EINVAL);
	IS(co_group_errors(NULL, &out, 1), -EINVAL);
	IS(co_group_errors(&g, NULL, 1), -EINVAL);
	IS(co_group_errors(&g, &out, -1), -EINVAL);
	IS(co_group_winner(NULL, NULL, NULL), -EINVAL);
	IS(co_group_winner(&g, NULL, NULL), -ESRCH);
	IS(co_group_end(&g, 0), 0);
}

/* -------------------------------------------------------------------- references to nothing */

/* every call that takes a reference, with one that names nobody */
static void nobody(uint64_t id)
{
	co_ref ref = { id };
	int code = 99;

	ck_assert_msg(co_cancel(ref, 0) == -ESRCH, "cancel of %" PRIx64, id);
	ck_assert_msg(co_join(ref, &code) == -ESRCH, "join of %" PRIx64, id);
	ck_assert_msg(co_join_until(ref, &code, 0) == -ESRCH, "join of %" PRIx64, id);
	ck_assert_msg(!co_was_cancelled(ref), "was_cancelled of %" PRIx64, id);
	ck_assert_msg(co_name(ref) == NULL, "name of %" PRIx64, id);
	ck_assert_msg(co_stack_used(ref) == 0, "stack_used of %" PRIx64, id);
	IS(code, 99);
}

static bool is_one_of(uint64_t id, const co_ref *ref, int n)
{
	for (int i = 0; i < n; i++)
		if (ref[i].id == id)
			return true;
	return false;
}

static void fuzz_ids(const co_ref *live, int n, const co_ref *gone, int gone_n, uint64_t *dice)
{
	for (int i = 0; i < 20000; i++) {
		uint64_t pick = suite_random(dice), base = live[pick % (unsigned)n].id, id;
		uint64_t r = suite_random(dice);

		switch (pick >> 60) {
		case 0:
		case 1:
		case 2:
		case 3:
			id = base ^ (UINT64_C(1) << (r & 63));
			break;
		case 4:
		case 5:
		case 6:
			id = base + (r & 0xff) - 128;
			break;
		case 7:
		case 8:
			id = base + ((r % 5) << (r >> 32 & 63));
			break;
		case 9:
		case 10:
			id = gone[r % (unsigned)gone_n].id;
			break;
		case 11:
			id = r >> (r & 63);
			break;
		case 12:
			id = ~base;
			break;
		default:
			id = r;
		}
		if (!is_one_of(id, live, n))
			nobody(id);
	}
}

/* C39, K12: random ids, near misses of living ones and stale ones name nobody */
SCENARIO_WITH(K12_references_fuzzed, hearing())
{
	uint64_t dice = suite_seed();
	co_ref live[41], gone[100];
	co_group g;

	co_group_begin(&g, CO_GROUP_COLLECT);
	for (int i = 0; i < 100; i++)
		gone[i] = spawn(&g, sleep_ms, num(1));
	IS(co_group_end(&g, 0), 0);
	co_group_begin(&g, CO_GROUP_COLLECT);
	for (int i = 0; i < 40; i++)
		live[i] = spawn(&g, sleep_forever, NULL);
	live[40] = co_self();
	nobody(0);
	nobody(UINT64_MAX);
	fuzz_ids(live, 41, gone, 100, &dice);
	for (int i = 0; i < 41; i++)
		ck_assert(!co_was_cancelled(live[i]));
	IS(co_group_cancel(&g, 0), 0);
	IS(co_group_end(&g, 0), 0);
	blameless();
}

struct era {
	co_ref *seen;
	int n;
};

static int outlives(void *arg)
{
	const struct era *e = arg;

	e->seen[e->n] = co_self();
	for (int i = 0; i < e->n; i++) {
		ck_assert_msg(e->seen[i].id != e->seen[e->n].id,
			      "runtime %d names its main as runtime %d did", e->n, i);
		IS(co_cancel(e->seen[i], 0), -ESRCH);
		IS(co_join(e->seen[i], NULL), -ESRCH);
	}
	return co_yield_now();
}

/* C39, K12: references of runtimes that are gone name nobody in those that follow, however many */
START_TEST(K12_refs_of_old_runtimes)
{
	static co_ref seen[600];

	for (int n = 0; n < (int)LENGTH(seen); n++)
		PLAY_WITH(outlives, &((struct era){ seen, n }), hearing());
	blameless();
}
END_TEST

SUITE("contract-misuse", C39_state_begin_of_an_open_scope,
      C39_state_begin_and_end_of_an_ended_scope, C39_state_end_of_a_scope_never_begun,
      C39_state_garbage, C39_state_a_copy, C39_state_result_of_an_open_scope,
      C39_state_open_scope_wiped, C39_order_inner_scopes_are_closed, C39_order_it_is_a_proper_end,
      C39_order_group_end_with_an_open_scope, C39_order_scope_end_around_an_open_group,
      C39_owner_ends_by_others_change_nothing, C39_leaked_by_a_frame_that_is_gone,
      C39_leaked_is_guessed_on_the_own_stack_only, C39_leaked_by_a_coroutine_that_returns,
      C39_leaked_by_main, C39_group_ended_by_a_stranger, C39_group_ended_twice,
      C39_group_begun_twice, C39_group_left_open, C39_group_and_scopes_left_open,
      C39_loop_things_of_another_runtime, C39_shield_without_an_end, C39_default_hooks,
      C39_outside_any_runtime, null_arguments, K12_references_fuzzed, K12_refs_of_old_runtimes)
