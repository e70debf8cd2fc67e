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

SUITE("contract-limit", C41_full_group, C41_full_and_cancelled, C41_admit_is_first_come_first_in,
      C41_place_is_held_for_the_caller, C41_cancelled_admit_leaves_the_queue,
      C41_admitted_then_cancelled, C41_cancelled_group_lets_nobody_wait,
      C41_ended_group_lets_nobody_wait, C41_a_higher_limit_lets_in, C41_place_is_of_one_group,
      C41_place_of_a_caller_that_ended, C41_places_are_conserved)
