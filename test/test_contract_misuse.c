/*
 * Mistakes (C39): what the hook is told, and what happens when it returns; calls outside any
 * runtime; references that name nothing; arguments that are missing. Kinds that need sync
 * objects or callbacks are not here.
 */
#define _GNU_SOURCE /* RTLD_DEFAULT */
#include "actor.h"

#include <dlfcn.h>
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
	ck_assert_msg(strstr(misuses()->text[i], site), "%s: %s", site, misuses()->text[i]);
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

/* another's bytes over it: a copy of that one, until its own are back */
SCENARIO_WITH(C39_state_open_scope_overwritten, hearing())
{
	co_scope outer = CO_SCOPE_INIT, s = CO_SCOPE_INIT, kept;

	co_scope_begin(&outer, CO_FOREVER);
	co_scope_begin(&s, MS(10));
	memcpy(&kept, &s, sizeof(s));
	memcpy(&s, &outer, sizeof(s));
	IS(co_scope_end(&s, 0), -EINVAL);
	blamed(CO_MISUSE_SCOPE_STATE);
	IS(co_deadline(), MS(10));
	memcpy(&s, &kept, sizeof(s));
	IS(co_scope_end(&s, 5), 5);
	IS(co_scope_end(&outer, 6), 6);
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

/* zeroed, but for one byte of those that say what the object is */
SCENARIO_WITH(C39_state_garbage_in_part, hearing())
{
	for (size_t i = 0; i < 3 * sizeof(uintptr_t); i++) {
		unsigned char bytes[sizeof(co_scope)] = { 0 };
		co_scope s;

		bytes[i] = 4;
		memcpy(&s, bytes, sizeof(s));
		ck_assert(!co_scope_caught(&s));
		co_scope_begin(&s, MS(1));
		blamed(CO_MISUSE_SCOPE_STATE);
		IS(co_scope_cancel(&s, 0), -EINVAL);
		blamed(CO_MISUSE_SCOPE_STATE);
		IS(co_scope_end(&s, 3), -EINVAL);
		blamed(CO_MISUSE_SCOPE_STATE);
	}
	IS(co_deadline(), CO_FOREVER);
}

SCENARIO_WITH(C39_state_begin_with_an_unknown_flag, hearing())
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin_at(&s, MS(10), CO_SHIELD << 1);
	blamed(CO_MISUSE_SCOPE_STATE);
	co_scope_begin_at(&s, MS(10), CO_SHIELD | 1u << 31);
	blamed(CO_MISUSE_SCOPE_STATE);
	IS(co_deadline(), CO_FOREVER);
	co_scope_begin_at(&s, MS(10), CO_SHIELD);
	IS(co_scope_end(&s, 4), 4);
	blameless();
}

/* the inner one had stored a cause before its begin: that is not what its late end answers for */
SCENARIO_WITH(C39_order_a_late_end_is_not_judged, hearing())
{
	co_scope outer = CO_SCOPE_INIT, inner = CO_SCOPE_INIT;

	co_scope_begin(&outer, CO_FOREVER);
	IS(co_scope_cancel(&inner, EIO), 0);
	co_scope_begin(&inner, MS(10));
	IS(co_scope_end(&outer, 0), 0);
	blamed(CO_MISUSE_SCOPE_ORDER);
	IS(co_scope_end(&inner, CANC), CANC);
	ck_assert(!co_scope_caught(&inner));
	IS(co_scope_end(&inner, 5), 5);
	blameless();
}

/* ---------------------------------------------------------------------------- leaked scopes */

static ON_THE_STACK void leaves_frames(co_ns dur, int depth)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, dur);
	if (depth > 1)
		leaves_frames(dur, depth - 1);
	__asm__ volatile("" : : "r"(&s) : "memory"); /* no tail call */
}

/* some way down the stack, below whatever the caller calls next */
static ON_THE_STACK void leaves_frames_deep_down(co_ns dur, int depth)
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

static int counts_misuses(void *seen)
{
	*(int *)seen = misuses()->count;
	return 0;
}

/* before others run, who might find it open still */
SCENARIO_WITH(C39_leaked_is_noticed_before_others_run, hearing())
{
	int seen = -1;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, counts_misuses, &seen);
	leaves_frames_deep_down(MS(10), 1);
	IS(co_yield_now(), 0);
	IS(seen, 1);
	blamed(CO_MISUSE_SCOPE_LEAKED);
	IS(co_group_end(&g, 0), 0);
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

static int yields_in_between(co_gen *gen, void *unused)
{
	(void)unused;
	IS(co_yield_now(), 0);
	return co_gen_emit(gen, NULL, NULL);
}

static int calls_generator(void *gen)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	IS(co_gen_next(gen, NULL), 1);
	blameless();
	return co_scope_end(&s, 0);
}

/* Made before the runtime, it has a stack above those that are mapped later, where mappings grow
 * downwards: what lies in the coroutine's is below its frames. */
START_TEST(C39_leaked_is_not_what_calls_a_generator)
{
	co_gen *gen;

	IS(co_gen_make(&gen, yields_in_between, NULL, NULL), 0);
	PLAY_WITH(calls_generator, gen, hearing());
	co_gen_free(gen);
}
END_TEST

/* noticed by begins and ends as well: before anything is done with the scopes around them */
SCENARIO_WITH(C39_leaked_is_noticed_by_begins_and_ends, hearing())
{
	co_scope around = CO_SCOPE_INIT, s = CO_SCOPE_INIT;
	co_group g;

	co_scope_begin(&around, CO_SEC(100));
	leaves_frames_deep_down(MS(10), 1); /* with the other few enough for the usual way */
	co_scope_begin(&s, CO_SEC(50));
	blamed_for_all(CO_MISUSE_SCOPE_LEAKED);
	IS(co_scope_end(&s, 0), 0);
	s = (co_scope)CO_SCOPE_INIT;
	leaves_frames_deep_down(MS(10), 3);
	co_scope_begin(&s, CO_SEC(50));
	blamed_for_all(CO_MISUSE_SCOPE_LEAKED);
	leaves_frames_deep_down(MS(10), 3);
	IS(co_scope_end(&s, 0), 0);
	blamed_for_all(CO_MISUSE_SCOPE_LEAKED);
	leaves_frames_deep_down(MS(10), 3);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	blamed_for_all(CO_MISUSE_SCOPE_LEAKED);
	leaves_frames_deep_down(MS(10), 3);
	IS(co_group_end(&g, 0), 0);
	blamed_for_all(CO_MISUSE_SCOPE_LEAKED);
	leaves_frames_deep_down(MS(10), 3);
	IS(co_timeout(MS(1), five, NULL), 5);
	blamed_for_all(CO_MISUSE_SCOPE_LEAKED);
	IS(co_deadline(), CO_SEC(100));
	IS(co_scope_end(&around, 0), 0);
	blameless();
}

/* Far down the stack, where what is called later does not overwrite them. */
struct dead_frame {
	co_scope scope;
	co_group group;
	char room[16384];
};

static ON_THE_STACK void leaves_a_frame(struct dead_frame **out, bool group)
{
	struct dead_frame here = { .scope = CO_SCOPE_INIT };
	struct dead_frame *volatile at = &here;

	if (group)
		co_group_begin(&at->group, CO_GROUP_FAIL_FAST);
	else
		co_scope_begin(&at->scope, MS(10));
	*out = at;
}

/* valgrind, which by right minds any look at a dead frame */
static bool looked_over(void)
{
	const char *preloaded = getenv("LD_PRELOAD");

	return preloaded && strstr(preloaded, "vgpreload");
}

/* the frame is gone, and then its scope is ended through a pointer that was kept: it was closed
 * as leaked, so that the end is silent */
SCENARIO_WITH(C39_leaked_and_ended_late, hearing())
{
	struct dead_frame *dead = NULL;
	co_scope around = CO_SCOPE_INIT;

	if (looked_over())
		return;
	co_scope_begin(&around, CO_SEC(100));
	leaves_a_frame(&dead, false);
	IS(co_scope_end(&dead->scope, 17), 17);
	blamed(CO_MISUSE_SCOPE_LEAKED);
	leaves_a_frame(&dead, true);
	IS(co_group_end(&dead->group, 18), 18);
	blamed(CO_MISUSE_GROUP);
	IS(co_deadline(), CO_SEC(100));
	IS(co_scope_end(&around, 0), 0);
	blameless();
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

static int meets_lasting(void *unused)
{
	struct co_cause cause;

	(void)unused;
	for (int k = 0; k < 3; k++) {
		IS(co_scope_cancel(&lasting[k], 0), -ESRCH);
		IS(co_scope_rearm(&lasting[k], MS(1)), -ESRCH);
		IS(co_scope_cause(&lasting[k], &cause), 0);
		IS(co_scope_end(&lasting[k], 4), 4);
	}
	return 0;
}

/* and their runtime has ended as well: in another one they are over; outside, no scope is */
START_TEST(C39_leaked_scopes_outlive_their_runtime)
{
	int code = -1;

	IS(co_run(returns_with_scopes, num(6), hearing(), &code), 0);
	blamed_for_all(CO_MISUSE_SCOPE_LEAKED);
	PLAY_WITH(meets_lasting, NULL, hearing());
	blameless();
	for (int k = 0; k < 3; k++) {
		IS(co_scope_cancel(&lasting[k], 0), -EPERM);
		IS(co_scope_set_deadline(&lasting[k], 0), -EPERM);
		IS(co_scope_end(&lasting[k], 4), -EPERM);
	}
}
END_TEST

/* ----------------------------------------------------------------------------------- groups */

SCENARIO_WITH(C39_group_never_begun, hearing())
{
	co_group g;
	co_ref ref;

	memset(&g, 0, sizeof(g));
	IS(co_spawn(&g, must_not_run, NULL, &ref), -EINVAL);
	blamed(CO_MISUSE_GROUP);
	IS(co_group_wait(&g), -EINVAL);
	blamed(CO_MISUSE_GROUP);
	IS(co_group_admit(&g), -EINVAL);
	blamed(CO_MISUSE_GROUP);
	IS(co_group_start(&g, must_not_run, NULL, NULL), -EINVAL);
	blamed(CO_MISUSE_GROUP);
	IS(co_group_cancel(&g, 0), -EINVAL);
	blamed(CO_MISUSE_GROUP);
	IS(co_group_errors(&g, NULL, 0), -EINVAL);
	blamed(CO_MISUSE_GROUP);
	IS(co_group_end(&g, 0), -EINVAL);
	blamed(CO_MISUSE_GROUP);
	co_group_limit(&g, 1);
	blamed(CO_MISUSE_GROUP);
	co_group_begin(&g, CO_GROUP_FIRST);
	IS(co_group_end(&g, 3), 3);
	blameless();
}

SCENARIO_WITH(C39_group_of_an_unknown_mode, hearing())
{
	co_scope around = CO_SCOPE_INIT;
	co_group g;

	memset(&g, 0, sizeof(g));
	co_scope_begin(&around, CO_FOREVER);
	co_group_begin(&g, (enum co_group_mode)(CO_GROUP_FIRST + 1));
	blamed(CO_MISUSE_GROUP);
	co_group_begin(&g, (enum co_group_mode)77);
	blamed(CO_MISUSE_GROUP);
	IS(co_group_end(&g, 0), -EINVAL);
	blamed(CO_MISUSE_GROUP);
	IS(co_scope_end(&around, 2), 2);
	blameless();
}

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

/* also with scopes and other groups begun since: what is open stays as it is */
SCENARIO_WITH(C39_group_begun_twice_from_inside, hearing())
{
	struct actor kid = { .nap = 30 };
	co_scope s = CO_SCOPE_INIT;
	co_group g, inner;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, actor, &kid);
	co_scope_begin(&s, CO_SEC(1));
	co_group_begin(&g, CO_GROUP_COLLECT);
	blamed(CO_MISUSE_GROUP);
	co_group_begin(&inner, CO_GROUP_COLLECT);
	co_group_begin(&g, CO_GROUP_COLLECT);
	blamed(CO_MISUSE_GROUP);
	IS(co_group_end(&inner, 3), 3);
	IS(co_scope_end(&s, 2), 2);
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

static size_t in_use;

static void *counted(size_t size, void *unused)
{
	(void)unused;
	in_use += size;
	return malloc(size);
}

static void uncounted(void *ptr, size_t size, void *unused)
{
	(void)unused;
	in_use -= ptr ? size : 0;
	free(ptr);
}

/* a group left open takes no memory with it */
START_TEST(C39_group_left_open_gives_its_memory_back)
{
	struct actor kid = { .nap = EVER, .cleanup = 20 };
	struct co_options opt = *hearing();
	int code = -1;

	opt.alloc = (struct co_alloc){ counted, uncounted, NULL };
	opt.clock = CO_CLOCK_VIRTUAL;
	IS(co_run(returns_with_both, &kid, &opt, &code), 0);
	IS(code, 7);
	ck_assert_int_ge(misuses()->count, 1);
	ck_assert_uint_eq(in_use, 0);
}
END_TEST

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

static void visit_another(void)
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

START_TEST(C39_loop_things_of_another_runtime)
{
	visit_another();
}
END_TEST

/* a reference holds only a part of its runtime's number: also when that does not suffice */
START_TEST(C39_loop_things_of_another_runtime_after_many)
{
	int code = -1;

	for (int i = 0; i < 300; i++)
		IS(co_run(five, NULL, NULL, &code), 0);
	visit_another();
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

static int begins_outside(void *arg)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, 0);
	return arg != NULL;
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

static int runs_with_defaults(void *arg)
{
	co_fn *const *main_fn = arg;

	return co_run(*main_fn, NULL, NULL, NULL) ? 1 : 0;
}

/* Calls fn(arg) in a process of its own; what it wrote to stderr, and how it ended. */
static int run_apart(co_fn *fn, void *arg, char *said, size_t size)
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
		_exit(fn(arg));
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
	co_fn *main_fn = ends_twice;
	int status = run_apart(runs_with_defaults, &main_fn, said, sizeof(said));

	ck_assert(WIFSIGNALED(status));
	IS(WTERMSIG(status), SIGABRT);
	ck_assert_ptr_nonnull(strstr(said, "misuse: "));
	memset(said, 0, sizeof(said));
	main_fn = has_a_failing_one;
	status = run_apart(runs_with_defaults, &main_fn, said, sizeof(said));
	ck_assert(WIFEXITED(status));
	IS(WEXITSTATUS(status), 0);
	ck_assert_ptr_nonnull(strstr(said, "rash"));
	ck_assert_ptr_nonnull(strstr(said, ", spawned at "));
}
END_TEST

/* where there is no runtime there is no hook: misuse outside ends the program */
START_TEST(C39_misuse_outside_any_runtime)
{
	static char said[65536];
	int status = run_apart(begins_outside, NULL, said, sizeof(said));

	ck_assert(WIFSIGNALED(status));
	IS(WTERMSIG(status), SIGABRT);
	ck_assert_ptr_nonnull(strstr(said, "misuse: begin of a scope outside a coroutine"));
}
END_TEST

/* ----------------------------------------------------------------------- what a hook can do */

/* What the hooks were told, and what came of a call that suspends in them. */
struct told {
	int calls, kinds[4];
	char text[1024];
	int slept;
	uint64_t self;
};

static void note_call(struct told *t, int kind, const char *text)
{
	ck_assert_int_lt(t->calls, (int)LENGTH(t->kinds));
	t->kinds[t->calls++] = kind;
	if (t->calls > 1)
		return;
	snprintf(t->text, sizeof(t->text), "%s", text);
	t->self = co_self().id;
	t->slept = co_sleep(1); /* misuse, of which the other hook is told */
}

static void on_told_misuse(enum co_misuse kind, const char *text, const void *site, void *ctx)
{
	ck_assert_ptr_nonnull(site);
	note_call(ctx, (int)kind, text);
}

static void on_told_report(enum co_report kind, const char *text, const void *site, void *ctx)
{
	ck_assert_ptr_nonnull(site);
	note_call(ctx, 100 + (int)kind, text);
}

static int errs_once(void *unused)
{
	co_scope s = CO_SCOPE_INIT;
	uint64_t self = co_self().id;

	(void)unused;
	IS(co_scope_end(&s, 0), -EINVAL);
	ck_assert_uint_eq(co_self().id, self);
	return co_sleep(MS(1));
}

static int storms_once(void *unused)
{
	co_scope s = CO_SCOPE_INIT;
	uint64_t self = co_self().id;

	(void)unused;
	begin_cancelled(&s, 0);
	for (int i = 0; i < 10000; i++)
		if (co_checkpoint() != CANC)
			ck_abort_msg("checkpoint %d", i);
	ck_assert_uint_eq(co_self().id, self);
	IS(co_scope_end(&s, 0), 0);
	return co_sleep(MS(1));
}

/* C24, C39: it is a callback of the loop, though a coroutine is the cause: it may ask, and not
 * suspend; and that coroutine goes on. The text names the coroutine and the place. */
START_TEST(C39_a_hook_is_a_callback)
{
	static const struct {
		co_fn *fn;
		int kind;
		const char *says;
	} cases[] = {
		{ errs_once, CO_MISUSE_SCOPE_STATE, ", in coroutine 'clumsy'" },
		{ storms_once, 100 + CO_REPORT_STORM, "coroutine 'clumsy' ignored" },
	};

	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct told told = { .calls = 0 };
		struct co_options opt = {
			.clock = CO_CLOCK_VIRTUAL,
			.attr = { .name = "clumsy" },
			.on_misuse = on_told_misuse,
			.on_report = on_told_report,
			.hook_ctx = &told,
		};
		int code = -1;

		IS(co_run(cases[i].fn, NULL, &opt, &code), 0);
		IS(code, 0);
		IS(told.calls, 2);
		IS(told.kinds[0], cases[i].kind);
		IS(told.kinds[1], CO_MISUSE_CALLBACK);
		IS(told.slept, -EPERM);
		ck_assert_uint_eq(told.self, 0);
		ck_assert_msg(strstr(told.text, cases[i].says), "%s", told.text);
	}
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
	ck_assert_int_ge(co_loop_now(), now);
	ck_assert_int_le(co_loop_now(), co_now());
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

/* a begin has no result: NULL is misuse there */
SCENARIO_WITH(null_begin, hearing())
{
	co_scope_begin(NULL, MS(1));
	blamed(CO_MISUSE_SCOPE_STATE);
	co_scope_begin_at(NULL, MS(1), 0);
	blamed(CO_MISUSE_SCOPE_STATE);
	co_scope_begin_shield(NULL, MS(1));
	blamed(CO_MISUSE_SCOPE_STATE);
	co_group_begin(NULL, CO_GROUP_COLLECT);
	blamed(CO_MISUSE_GROUP);
	IS(co_sleep(MS(2)), 0);
}

/* ------------------------------------------------------------------------------------ sites */

/* What is written of a site: whole where there is room, else cut. */
static const char *written(const void *site)
{
	static char text[512];
	char copy[512];
	int n = co_site_format(site, text, sizeof(text));

	ck_assert_int_eq(n, (int)strlen(text));
	for (int size = 1; size <= n + 1; size += 1 + n / 2) {
		memset(copy, '#', sizeof(copy));
		IS(co_site_format(site, copy, (size_t)size), n);
		ck_assert_uint_eq(strlen(copy), (size_t)size - 1);
		IS(memcmp(copy, text, (size_t)size - 1), 0);
		IS(copy[size], '#');
	}
	IS(co_site_format(site, NULL, 0), n);
	IS(co_site_format(site, NULL, 1), -EINVAL);
	return text;
}

/* co_site_format: the symbol that it lies in, or the file, or what can be said of any address */
START_TEST(sites_are_written)
{
	const char *in_libc = dlsym(RTLD_DEFAULT, "getpid"), *text, *plus;
	char address[32];

	ck_assert_ptr_nonnull(in_libc);
	ck_assert_str_eq(written(NULL), "?");
	snprintf(address, sizeof(address), "%p", (void *)address);
	ck_assert_str_eq(written(address), address);

	text = written(in_libc + 1);
	ck_assert_msg(strstr(text, "getpid+0x1"), "%s", text);

	text = written((const void *)(uintptr_t)must_not_run); /* a symbol or the program's file */
	plus = strrchr(text, '+');
	ck_assert_msg(plus > text, "%s", text);
	ck_assert_uint_lt(strtoul(plus + 1, NULL, 16), 64 << 20);
}
END_TEST

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
	for (int i = 0; i < (suite_long() ? 20000 : 5000); i++) {
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

/* C39, K12: references of runtimes that are gone name nobody in those that follow, however many: a
 * reference has eight bits of a runtime's number */
START_TEST(K12_refs_of_old_runtimes)
{
	static co_ref seen[300];

	for (int n = 0; n < (int)LENGTH(seen); n++)
		PLAY_WITH(outlives, &((struct era){ seen, n }), hearing());
	blameless();
}
END_TEST

/* C39, K12: places that no coroutine ever had, next to those that there are */
SCENARIO_WITH(K12_places_that_there_are_not, hearing())
{
	const uint64_t self = co_self().id, places = (UINT64_C(1) << 24) - 1;

	for (uint64_t place = 0; place <= 2000; place++)
		if (place != (self & places))
			nobody((self & ~places) | place);
	nobody(self | places);
	blameless();
}

static int meets_id_0(void *unused)
{
	(void)unused;
	nobody(0);
	return 0;
}

/* C24, K12: not even where there are so many runtimes that one of them is like 0 */
START_TEST(K12_id_0_is_of_no_runtime)
{
	for (int n = 0; n < 256; n++) {
		co_loop *l[2] = { NULL, NULL };

		for (int i = 0; i < 2; i++)
			IS(co_loop_open(&l[i], NULL), 0);
		PLAY_WITH(meets_id_0, NULL, hearing());
		for (int i = 0; i < 2; i++)
			IS(co_loop_close(l[i]), 0);
	}
	blameless();
}
END_TEST

static void spoils_errno(enum co_misuse kind, const char *text, const void *site, void *ctx)
{
	hear_misuse(kind, text, site, ctx);
	errno = EIO;
}

static struct co_options *spoiling_errno(void)
{
	struct co_options *opt = hearing();

	opt->on_misuse = spoils_errno;
	return opt;
}

/* co.h, results: errno is not set, nor by what a hook calls */
SCENARIO_WITH(C39_errno_is_the_caller_s, spoiling_errno())
{
	co_scope s = CO_SCOPE_INIT;

	errno = 0;
	IS(co_scope_end(&s, 0), -EINVAL);
	IS(errno, 0);
	IS(misuses()->count, 1);
}

SUITE("contract-misuse", C39_state_begin_of_an_open_scope,
      C39_state_begin_and_end_of_an_ended_scope, C39_state_end_of_a_scope_never_begun,
      C39_state_garbage, C39_state_a_copy, C39_state_result_of_an_open_scope,
      C39_state_open_scope_wiped, C39_order_inner_scopes_are_closed, C39_order_it_is_a_proper_end,
      C39_order_group_end_with_an_open_scope, C39_order_scope_end_around_an_open_group,
      C39_owner_ends_by_others_change_nothing, C39_leaked_by_a_frame_that_is_gone,
      C39_state_open_scope_overwritten, C39_leaked_is_not_what_calls_a_generator,
      C39_leaked_is_noticed_before_others_run, C39_leaked_is_guessed_on_the_own_stack_only,
      C39_leaked_by_a_coroutine_that_returns, C39_leaked_by_main, C39_group_ended_by_a_stranger,
      C39_group_ended_twice, C39_group_begun_twice, C39_group_left_open,
      C39_group_and_scopes_left_open, C39_loop_things_of_another_runtime,
      C39_loop_things_of_another_runtime_after_many, C39_shield_without_an_end, C39_default_hooks,
      C39_misuse_outside_any_runtime, C39_a_hook_is_a_callback, C39_outside_any_runtime,
      null_arguments, null_begin, sites_are_written, K12_references_fuzzed,
      K12_refs_of_old_runtimes, C39_state_garbage_in_part, C39_state_begin_with_an_unknown_flag,
      C39_order_a_late_end_is_not_judged, C39_leaked_is_noticed_by_begins_and_ends,
      C39_leaked_and_ended_late, C39_leaked_scopes_outlive_their_runtime, C39_group_never_begun,
      C39_group_of_an_unknown_mode, C39_group_left_open_gives_its_memory_back,
      K12_places_that_there_are_not, K12_id_0_is_of_no_runtime, C39_group_begun_twice_from_inside,
      C39_errno_is_the_caller_s)
