/*
 * Groups with a limit (C41): who is let in, in what order, and that no place is lost.
 */
#include "actor.h"

/* C41: running children count, ended ones do not, joined or not */
SCENARIO(C41_full_group)
{
	co_group g;
	co_ref first;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_group_limit(&g, 2);
	first = spawn(&g, sleep_ms, num(10));
	spawn(&g, sleep_ms, num(20));
	refuses(&g, -EAGAIN);
	IS(co_sleep(MS(10)), 0);
	settle();
	spawn(&g, sleep_ms, num(30));
	refuses(&g, -EAGAIN);
	IS(join(first), 0);
	refuses(&g, -EAGAIN);
	IS(co_group_end(&g, 0), 0);
	refuses(&g, -ESHUTDOWN);
}

/* C22 before C41 */
SCENARIO(C41_full_and_cancelled)
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_group_limit(&g, 1);
	spawn(&g, sleep_ms, num(10));
	IS(co_group_cancel(&g, 0), 0);
	refuses(&g, CANC);
	IS(co_group_admit(&g), CANC);
	IS(co_group_end(&g, 0), 0);
}

/* asks for a place in g, notes that it has it, and spawns there */
struct guest {
	co_group *g;
	char letter;
	int rc;
	struct actor kid;
};

static int guest(void *arg)
{
	struct guest *u = arg;

	u->rc = co_group_admit(u->g);
	if (u->rc)
		return u->rc;
	note(u->letter);
	return co_spawn(u->g, actor, &u->kid, NULL);
}

/* C41 */
SCENARIO(C41_admit_is_first_come_first_in)
{
	struct guest u[4];
	co_group aside, g;

	co_group_begin(&aside, CO_GROUP_FAIL_FAST);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_group_limit(&g, 1);
	IS(co_group_admit(&g), 0);
	spawn(&g, sleep_ms, num(10));
	for (int i = 0; i < 4; i++) {
		u[i] = (struct guest){ .g = &g, .letter = (char)('a' + i), .kid = EXIT(10, 0) };
		spawn(&aside, guest, &u[i]);
	}
	for (int i = 0; i < 4; i++) {
		settle();
		IS((int)strlen(notes()), i);
		IS(co_spawn(&g, must_not_run, NULL, NULL), -EAGAIN);
		IS(co_sleep_until(MS(10 * i + 10)), 0);
		IS(co_spawn(&g, must_not_run, NULL, NULL), -EAGAIN);
	}
	settle();
	IS(co_group_end(&g, 0), 0);
	AT(50);
	ck_assert_str_eq(notes(), "abcd");
	IS(co_group_end(&aside, 0), 0);
}

/* C41: it is the caller's, for one spawn */
SCENARIO(C41_place_is_held_for_the_caller)
{
	struct guest u;
	co_group aside, g;

	co_group_begin(&aside, CO_GROUP_FAIL_FAST);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_group_limit(&g, 1);
	IS(co_group_admit(&g), 0);
	u = (struct guest){ .g = &g, .letter = 'u', .kid = EXIT(5, 0) };
	spawn(&aside, guest, &u);
	settle();
	ck_assert_str_eq(notes(), "");
	IS(co_sleep(MS(10)), 0);
	ck_assert_str_eq(notes(), "");
	spawn(&g, sleep_ms, num(10));
	IS(co_spawn(&g, must_not_run, NULL, NULL), -EAGAIN);
	advance(MS(10));
	ck_assert_str_eq(notes(), "u");
	IS(co_group_end(&g, 0), 0);
	AT(25);
	IS(co_group_end(&aside, 0), 0);
}

/* C41, C8: who is cancelled, or times out, leaves the queue; the next one moves up */
SCENARIO(C41_cancelled_admit_leaves_the_queue)
{
	struct guest u[2];
	co_scope s = CO_SCOPE_INIT;
	co_group aside, g;
	co_ref first;

	co_group_begin(&aside, CO_GROUP_FAIL_FAST);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_group_limit(&g, 1);
	spawn(&g, sleep_ms, num(30));
	for (int i = 0; i < 2; i++)
		u[i] = (struct guest){ .g = &g, .letter = (char)('a' + i), .kid = EXIT(10, 0) };
	first = spawn(&aside, guest, &u[0]);
	settle();
	co_scope_begin(&s, MS(10));
	IS(co_group_admit(&g), CANC);
	IS(co_scope_end(&s, CANC), TMO);
	spawn(&aside, guest, &u[1]);
	IS(co_cancel(first, 0), 0);
	IS(join(first), CANC);
	advance(MS(20));
	ck_assert_str_eq(notes(), "b");
	IS(co_group_end(&g, 0), 0);
	AT(40);
	IS(co_group_end(&aside, 0), 0);
}

/* C41, C8: the place was given, then the cancel came. Main runs between the child's end and
 * the guest. */
SCENARIO(C41_admitted_then_cancelled)
{
	struct guest u;
	co_group aside, g;
	co_ref ref;

	co_group_begin(&aside, CO_GROUP_COLLECT);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_group_limit(&g, 1);
	spawn(&g, sleep_ms, num(10));
	u = (struct guest){ .g = &g, .letter = 'u', .kid = EXIT(5, 0) };
	ref = spawn(&aside, guest, &u);
	settle();
	IS(co_sleep_until(MS(10)), 0);
	IS(u.kid.ran, 0);
	IS(co_cancel(ref, 0), 0);
	IS(join(ref), 0);
	ck_assert_str_eq(notes(), "u");
	IS(co_group_end(&g, 0), 0);
	IS(u.kid.ran, 1);
	IS(co_group_end(&aside, 0), 0);
}

/* C41: a group's cancel ends the waits for a place in it */
SCENARIO(C41_cancelled_group_lets_nobody_wait)
{
	struct guest u[2];
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_group_limit(&g, 3);
	spawn(&g, sleep_ms, num(1000));
	for (int i = 0; i < 2; i++) {
		u[i] = (struct guest){ .g = &g, .letter = 'x' };
		spawn(&g, guest, &u[i]);
	}
	co_group_limit(&g, 1);
	IS(co_sleep(MS(10)), 0);
	IS(co_group_cancel(&g, EPIPE), 0);
	IS(co_group_admit(&g), CANC);
	IS(co_group_end(&g, CANC), -EPIPE);
	AT(10);
	IS(u[0].rc, CANC);
	IS(u[1].rc, CANC);
	ck_assert_str_eq(notes(), "");
}

/* C41, C22: the group ends while someone outside waits for a place */
SCENARIO(C41_ended_group_lets_nobody_wait)
{
	co_group aside, g;
	struct guest u = { .g = &g, .letter = 'x' };

	co_group_begin(&aside, CO_GROUP_COLLECT);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_group_limit(&g, 1);
	spawn(&g, sleep_ms, num(20));
	spawn(&aside, guest, &u);
	IS(co_group_end(&g, 0), 0);
	AT(20);
	IS(co_group_end(&aside, 0), 0);
	AT(20);
	IS(u.rc, -ESHUTDOWN);
}

/* C41: a limit can be moved */
SCENARIO(C41_a_higher_limit_lets_in)
{
	struct guest u[3];
	co_group aside, g;

	co_group_begin(&aside, CO_GROUP_FAIL_FAST);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_group_limit(&g, 1);
	spawn(&g, sleep_ms, num(100));
	for (int i = 0; i < 3; i++) {
		u[i] = (struct guest){ .g = &g, .letter = (char)('a' + i), .kid = EXIT(500, 0) };
		spawn(&aside, guest, &u[i]);
	}
	settle();
	co_group_limit(&g, 3);
	settle();
	ck_assert_str_eq(notes(), "ab");
	co_group_limit(&g, 0);
	settle();
	ck_assert_str_eq(notes(), "abc");
	spawn(&g, sleep_ms, num(1));
	co_group_limit(&g, 2);
	IS(co_spawn(&g, must_not_run, NULL, NULL), -EAGAIN);
	IS(co_group_end(&g, 0), 0);
	AT(500);
	IS(co_group_end(&aside, 0), 0);
}

static int calls_started(void *unused)
{
	(void)unused;
	co_started(0);
	return co_sleep(MS(5));
}

/* C41: a place in one group is no place in another, and none is needed where there is no limit */
SCENARIO(C41_place_is_of_one_group)
{
	co_group a, b;

	co_group_begin(&a, CO_GROUP_FAIL_FAST);
	co_group_limit(&a, 1);
	co_group_begin(&b, CO_GROUP_FAIL_FAST);
	IS(co_group_admit(&b), 0);
	IS(co_group_admit(&a), 0);
	for (int i = 0; i < 3; i++)
		spawn(&b, sleep_ms, num(10));
	IS(co_group_start(&a, calls_started, NULL, NULL), 0);
	IS(co_spawn(&a, must_not_run, NULL, NULL), -EAGAIN);
	IS(co_group_end(&b, 0), 0);
	IS(co_group_end(&a, 0), 0);
}

static int admits_and_leaves(void *arg)
{
	return co_group_admit(arg);
}

/* C41: a caller that ends will not spawn: its place is free again */
SCENARIO(C41_place_of_a_caller_that_ended)
{
	co_group aside, g;

	co_group_begin(&aside, CO_GROUP_FAIL_FAST);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_group_limit(&g, 1);
	IS(join(spawn(&aside, admits_and_leaves, &g)), 0);
	spawn(&g, sleep_ms, num(10));
	IS(co_group_end(&g, 0), 0);
	IS(co_group_end(&aside, 0), 0);
}

/* C41: many with short patience; there are never more than the limit, and no place is lost */
static co_group closing;

static int waits_to_get_in(void *at)
{
	int rc = co_group_admit(&closing);

	*(int *)at = now_ms();
	return rc;
}

/* C22, C41: a cancel of the group ends the waits of those who stand outside, at once */
SCENARIO(C41_group_cancelled_while_others_wait)
{
	struct actor holds = SLOW(60);
	co_group aside;
	co_ref ref[2];
	int at[2];

	co_group_begin(&aside, CO_GROUP_COLLECT);
	co_group_begin(&closing, CO_GROUP_COLLECT);
	co_group_limit(&closing, 1);
	spawn(&closing, actor, &holds);
	for (int i = 0; i < 2; i++)
		ref[i] = spawn(&aside, waits_to_get_in, &at[i]);
	IS(co_sleep(MS(10)), 0);
	IS(co_group_cancel(&closing, 0), 0);
	IS(co_group_end(&closing, 0), 0);
	AT(70);
	for (int i = 0; i < 2; i++) {
		IS(join(ref[i]), CANC);
		IS(at[i], 10);
	}
	IS(co_group_end(&aside, 0), 0);
}

struct crowd {
	co_group *g;
	int limit, running, most, served, cut;
	uint64_t dice;
};

static int toss(struct crowd *c, int n)
{
	c->dice = c->dice * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (int)((c->dice >> 33) % (unsigned)n);
}

static int served(void *arg)
{
	struct crowd *c = arg;
	int rc;

	if (++c->running > c->most)
		c->most = c->running;
	rc = co_sleep(MS(1 + toss(c, 5)));
	c->running--;
	c->served++;
	return rc;
}

static int patient(void *arg)
{
	struct crowd *c = arg;
	co_scope s = CO_SCOPE_INIT;
	int rc;

	IS(co_sleep(MS(toss(c, 50))), 0);
	co_scope_begin(&s, MS(toss(c, 20)));
	rc = co_group_admit(c->g);
	if (!rc)
		IS(co_spawn(c->g, served, c, NULL), 0);
	c->cut += rc == CANC;
	IS(co_scope_end(&s, rc), rc ? TMO : 0);
	return 0;
}

SCENARIO(C41_places_are_conserved)
{
	co_group aside, g;
	struct crowd c = { .g = &g, .limit = 4, .dice = 20 };

	co_group_begin(&aside, CO_GROUP_FAIL_FAST);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_group_limit(&g, c.limit);
	for (int i = 0; i < 200; i++)
		spawn(&aside, patient, &c);
	IS(co_sleep(MS(100)), 0);
	IS(c.most, c.limit);
	IS(c.served + c.cut, 200);
	ck_assert_int_gt(c.cut, 0);
	for (int i = 0; i < c.limit; i++)
		spawn(&g, sleep_ms, num(1));
	refuses(&g, -EAGAIN);
	IS(co_group_end(&g, 0), 0);
	IS(co_group_end(&aside, 0), 0);
}

static int admits(void *g)
{
	return co_group_admit(g);
}

static int admits_and_holds(void *g)
{
	IS(co_group_admit(g), 0);
	note('h');
	IS(co_sleep(MS(100)), 0);
	return 0;
}

/* C41, C22: what the group says, asked from outside of it */
SCENARIO(C41_admit_to_a_group_that_takes_nobody)
{
	co_scope shield = CO_SCOPE_INIT;
	co_group aside, g;
	co_ref waits;

	co_group_begin(&aside, CO_GROUP_COLLECT);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_group_limit(&g, 1);
	spawn(&g, sleep_forever, NULL);
	waits = spawn(&aside, admits, &g);
	settle();
	IS(co_group_cancel(&g, EPIPE), 0);
	co_scope_begin_shield(&shield, MS(10));
	IS(join(waits), CANC);
	IS(join(spawn(&aside, admits, &g)), CANC);
	co_group_limit(&g, 0);
	IS(join(spawn(&aside, admits, &g)), CANC);
	IS(co_scope_end(&shield, 0), 0);
	IS(co_group_end(&g, CANC), -EPIPE);
	IS(join(spawn(&aside, admits, &g)), -ESHUTDOWN);
	IS(co_group_admit(&g), -ESHUTDOWN);
	IS(co_group_end(&aside, 0), 0);
}

/* C41: whoever holds a place and asks again holds that one */
SCENARIO(C41_admitted_twice_is_one_place)
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_group_limit(&g, 2);
	for (int i = 0; i < 5; i++)
		IS(co_group_admit(&g), 0);
	spawn(&g, sleep_ms, num(10));
	for (int i = 0; i < 5; i++)
		IS(co_group_admit(&g), 0);
	AT(0);
	spawn(&g, sleep_ms, num(10));
	IS(co_spawn(&g, must_not_run, NULL, NULL), -EAGAIN);
	IS(co_group_end(&g, 0), 0);
}

static int spawns_there(void *g)
{
	return co_spawn(g, sleep_ms, num(1), NULL);
}

/* C41: a spawn that failed, or went elsewhere, was not the one that the place is for */
SCENARIO(C41_place_outlasts_other_spawns)
{
	co_group aside, g;

	co_group_begin(&aside, CO_GROUP_COLLECT);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_group_limit(&g, 1);
	IS(co_group_admit(&g), 0);
	IS(co_spawn(&g, NULL, NULL, NULL), -EINVAL);
	IS(join(spawn(&aside, spawns_there, &g)), -EAGAIN);
	IS(co_spawn(NULL, sleep_ms, num(1), NULL), 0);
	IS(join(spawn(&aside, spawns_there, &g)), -EAGAIN);
	spawn(&g, sleep_ms, num(1));
	IS(co_group_end(&g, 0), 0);
	IS(co_group_end(&aside, 0), 0);
}

/* C41: one place for one caller: to be admitted elsewhere gives back the first, to the next in
 * line */
SCENARIO(C41_admitted_elsewhere_the_place_is_free)
{
	co_group aside, a, b;
	struct guest u = { .g = &a, .letter = 'u', .kid = EXIT(5, 0) };

	co_group_begin(&aside, CO_GROUP_FAIL_FAST);
	co_group_begin(&a, CO_GROUP_FAIL_FAST);
	co_group_limit(&a, 1);
	co_group_begin(&b, CO_GROUP_FAIL_FAST);
	co_group_limit(&b, 1);
	IS(co_group_admit(&a), 0);
	spawn(&aside, guest, &u);
	settle();
	ck_assert_str_eq(notes(), "");
	IS(co_group_admit(&b), 0);
	settle();
	ck_assert_str_eq(notes(), "u");
	IS(co_spawn(&a, must_not_run, NULL, NULL), -EAGAIN);
	spawn(&b, sleep_ms, num(1));
	IS(co_group_end(&b, 0), 0);
	IS(co_group_end(&a, 0), 0);
	IS(co_group_end(&aside, 0), 0);
}

/* holds a place in one group and asks for one in the other, then spawns there */
struct swap {
	co_group *from, *to;
	char letter;
};

static int swaps(void *arg)
{
	struct swap *w = arg;

	IS(co_group_admit(w->from), 0);
	IS(co_yield_now(), 0);
	IS(co_group_admit(w->to), 0);
	note(w->letter);
	return co_spawn(w->to, sleep_ms, num(1), NULL);
}

/* C41: a place that is given sets free another, which sets free one here: each goes to one. Both
 * groups are full; when a's child ends x moves over from b, y from a to b, and z comes into a. */
SCENARIO(C41_places_that_change_hands_in_a_ring)
{
	co_group aside, a, b;
	struct swap x = { &b, &a, 'x' }, y = { &a, &b, 'y' };
	struct guest z = { .g = &a, .letter = 'z' };

	co_group_begin(&aside, CO_GROUP_FAIL_FAST);
	co_group_begin(&a, CO_GROUP_FAIL_FAST);
	co_group_limit(&a, 2);
	co_group_begin(&b, CO_GROUP_FAIL_FAST);
	co_group_limit(&b, 1);
	spawn(&a, sleep_ms, num(10));
	spawn(&aside, swaps, &x);
	spawn(&aside, swaps, &y);
	settle();
	spawn(&aside, guest, &z);
	settle();
	ck_assert_str_eq(notes(), "");
	IS(co_sleep_until(MS(10)), 0);
	settle();
	ck_assert_str_eq(notes(), "xyz");
	IS(co_group_end(&b, 0), 0);
	IS(co_group_end(&a, 0), 0);
	IS(co_group_end(&aside, 0), 0);
	AT(11);
}

/* C41: a limit raised by two lets in two at once, though neither has spawned yet */
SCENARIO(C41_all_that_have_room_are_let_in)
{
	co_group aside, g;

	co_group_begin(&aside, CO_GROUP_FAIL_FAST);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_group_limit(&g, 1);
	spawn(&g, sleep_ms, num(500));
	for (int i = 0; i < 3; i++)
		spawn(&aside, admits_and_holds, &g);
	settle();
	ck_assert_str_eq(notes(), "");
	co_group_limit(&g, 3);
	settle();
	ck_assert_str_eq(notes(), "hh");
	advance(MS(100));
	ck_assert_str_eq(notes(), "hhh");
	IS(co_group_end(&g, 0), 0);
	IS(co_group_end(&aside, 0), 0);
}

/* C41: the place of a caller that ended goes to the next in line */
SCENARIO(C41_place_of_a_caller_that_ended_is_passed_on)
{
	co_group aside, g;
	co_ref last;

	co_group_begin(&aside, CO_GROUP_FAIL_FAST);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_group_limit(&g, 1);
	spawn(&aside, admits_and_holds, &g);
	settle();
	last = spawn(&aside, admits, &g);
	IS(join(last), 0);
	AT(100);
	IS(co_group_end(&g, 0), 0);
	IS(co_group_end(&aside, 0), 0);
}

static int admits_and_spawns(void *g)
{
	IS(co_group_admit(g), 0);
	note('a');
	return co_spawn(g, sleep_ms, num(10), NULL);
}

/* C22, C41: while the owner is in group_end its members get places as ever */
SCENARIO(C41_members_are_admitted_during_group_end)
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_group_limit(&g, 2);
	spawn(&g, admits_and_spawns, &g);
	spawn(&g, sleep_ms, num(10));
	IS(co_group_end(&g, 0), 0);
	ck_assert_str_eq(notes(), "a");
	AT(20);
}

/* C41: a place in a group that is over is none in the next, whose own stay as they are */
SCENARIO(C41_a_place_ends_with_its_group)
{
	co_group aside, g;

	co_group_begin(&aside, CO_GROUP_COLLECT);
	for (int how = 0; how < 2; how++) {
		co_group_begin(&g, CO_GROUP_FAIL_FAST);
		co_group_limit(&g, 1);
		IS(co_group_admit(&g), 0);
		IS(co_group_end(&g, 0), 0);
		co_group_begin(&g, CO_GROUP_FAIL_FAST);
		co_group_limit(&g, 1);
		if (how == 0) {
			IS(join(spawn(&aside, spawns_there, &g)), 0);
			IS(co_spawn(&g, must_not_run, NULL, NULL), -EAGAIN);
		} else {
			IS(co_group_admit(&g), 0);
			IS(join(spawn(&aside, spawns_there, &g)), -EAGAIN);
			spawn(&g, sleep_ms, num(1));
		}
		IS(co_group_end(&g, 0), 0);
	}
	IS(co_group_end(&aside, 0), 0);
}

enum { CHAIN = 500 };
static co_group chain[CHAIN];
static int let_in;

/* Holds a place in the first, and waits for one in the next. */
static int holds_on(void *first)
{
	co_group *g = first;

	IS(co_group_admit(g), 0);
	IS(co_yield_now(), 0);
	IS(co_group_admit(g + 1), 0);
	let_in++;
	return 0;
}

static int lets_go(void *last)
{
	IS(co_group_admit(last), 0);
	return co_sleep(MS(1));
}

/* C41: whoever is let in lets another into the group before; it does not take more stack the longer
 * that goes on */
SCENARIO(C41_a_place_that_moves_down_a_long_chain)
{
	struct co_attr small = { .flags = CO_SMALL_STACK, .stack_size = 8192 };
	int n = CHAIN - 1;

	for (int i = 0; i < CHAIN; i++) {
		co_group_begin(&chain[i], CO_GROUP_FAIL_FAST);
		co_group_limit(&chain[i], 1);
	}
	for (int i = 0; i < n; i++)
		IS(co_spawn(NULL, holds_on, &chain[i], NULL), 0);
	IS(co_spawn_with(NULL, lets_go, &chain[n], NULL, &small), 0);
	settle();
	IS(let_in, 0);
	advance(MS(1));
	IS(let_in, n);
	for (int i = n; i >= 0; i--)
		IS(co_group_end(&chain[i], 0), 0);
}

SUITE("contract-limit", C41_full_group, C41_full_and_cancelled, C41_admit_is_first_come_first_in,
      C41_place_is_held_for_the_caller, C41_cancelled_admit_leaves_the_queue,
      C41_admitted_then_cancelled, C41_cancelled_group_lets_nobody_wait,
      C41_ended_group_lets_nobody_wait, C41_a_higher_limit_lets_in, C41_place_is_of_one_group,
      C41_place_of_a_caller_that_ended, C41_places_are_conserved,
      C41_admit_to_a_group_that_takes_nobody, C41_admitted_twice_is_one_place,
      C41_place_outlasts_other_spawns, C41_admitted_elsewhere_the_place_is_free,
      C41_places_that_change_hands_in_a_ring, C41_all_that_have_room_are_let_in,
      C41_place_of_a_caller_that_ended_is_passed_on, C41_members_are_admitted_during_group_end,
      C41_a_place_ends_with_its_group, C41_group_cancelled_while_others_wait,
      C41_a_place_that_moves_down_a_long_chain)
