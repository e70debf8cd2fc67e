/*
 * Those in a group: how they come in (C22, limits of C41, co_group_start, co_gather) and that none outlives it (C28).
 */
#include "actor.h"

#define EXIT(ms, rc)	{ .nap = ms, .exit = rc }
#define SITS		{ .nap = EVER }
#define SLOW(ms)	{ .nap = EVER, .cleanup = ms }

/* a child with three of its own */
static int family(void *arg)
{
	struct actor *kid = arg;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 3; i++)
		spawn(&g, actor, &kid[i]);
	return co_group_end(&g, co_sleep(CO_FOREVER));
}

/* C28, C4: down the whole tree at once; the owners end after their children */
SCENARIO(C28_a_whole_tree_is_cancelled_in_one_pass)
{
	struct actor kid[9] = { { 0 } };
	co_group g;

	for (int i = 0; i < 9; i++)
		kid[i] = (struct actor){ .nap = i % 2 ? EVER : 1000 };
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 9; i += 3)
		spawn(&g, family, &kid[i]);
	advance(MS(5));
	IS(co_group_cancel(&g, 0), 0);
	settle();
	AT(5);
	for (int i = 0; i < 9; i++) {
		IS(kid[i].woke, CANC);
		IS(kid[i].left, 5);
	}
	IS(co_group_end(&g, 0), 0);
	AT(5);
}

/* C17, C28: it waits without looking at cancels, for late children too */
SCENARIO(C28_group_end_waits_uninterrupted)
{
	struct actor slow = SLOW(50);
	co_scope s = CO_SCOPE_INIT;
	co_group g;

	co_scope_begin(&s, MS(10));
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, actor, &slow);
	IS(co_group_end(&g, 0), CANC);
	AT(60);
	IS(slow.at, 10);
	IS(co_scope_end(&s, CANC), TMO);
}

static int spawn_chain(void *arg);

struct chain {
	co_group *g;
	int left;
};

static int spawn_chain(void *arg)
{
	struct chain *c = arg;

	IS(co_sleep(MS(10)), 0);
	if (c->left-- > 0)
		spawn(c->g, spawn_chain, c);
	return 0;
}

/* C22: members may spawn while the owner waits in group_end, the last one too */
SCENARIO(C22_members_spawn_during_group_end)
{
	co_group g;
	struct chain c = { .g = &g, .left = 9 };

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, spawn_chain, &c);
	IS(co_group_end(&g, 0), 0);
	AT(100);
	IS(c.left, -1);
}

static int never(void *arg)
{
	ck_abort_msg("a refused spawn ran");
	return arg != NULL;
}

static void refuses(co_group *g, int want)
{
	int64_t value;
	co_ref ref;

	IS(co_spawn(g, never, NULL, &ref), want);
	IS(co_spawn(g, never, NULL, NULL), want);
	IS(co_spawn_with(g, never, NULL, NULL, &(struct co_attr){ .name = "never" }), want);
	IS(co_group_start(g, never, NULL, &value), want);
	IS(co_test_settle(), 0);
}

/* C22, C5: the group's own scope, one outside it; not one that a shield hides, not the spawner's own */
SCENARIO(C22_spawning_into_a_cancelled_group)
{
	co_scope s = CO_SCOPE_INIT, shield = CO_SCOPE_INIT, own = CO_SCOPE_INIT;
	co_group outer, g, calm;

	co_scope_begin(&s, CO_FOREVER);
	co_group_begin(&outer, CO_GROUP_COLLECT);
	co_scope_begin_shield(&shield, CO_SEC(1));
	co_group_begin(&calm, CO_GROUP_FAIL_FAST);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_scope_begin(&own, 0);
	IS(co_yield_now(), CANC);
	spawn(&g, sleep_ms, num(1));
	IS(co_scope_end(&own, CANC), TMO);
	IS(co_group_cancel(&g, EPIPE), 0);
	refuses(&g, CANC);
	IS(co_group_end(&g, 0), -EPIPE);
	refuses(&g, -ESHUTDOWN);

	IS(co_scope_cancel(&s, 0), 0);
	refuses(&outer, CANC);
	spawn(&calm, sleep_ms, num(10));
	IS(co_group_end(&calm, 0), 0);
	IS(co_scope_end(&shield, 0), 0);
	IS(co_group_end(&outer, 0), 0);
	IS(co_scope_end(&s, CANC), 0);
}

/* C22, C26: cancelled by its own children */
SCENARIO(C22_spawning_after_an_error_or_a_winner)
{
	struct actor fails = EXIT(10, -EIO), wins = EXIT(10, 0);
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, actor, &fails);
	IS(co_sleep(MS(20)), CANC);
	refuses(&g, CANC);
	IS(co_group_end(&g, 0), -EIO);

	co_group_begin(&g, CO_GROUP_FIRST);
	spawn(&g, actor, &wins);
	IS(co_sleep(MS(20)), CANC);
	refuses(&g, CANC);
	IS(co_group_end(&g, 0), 0);

	fails = (struct actor)EXIT(10, -EIO);
	co_group_begin(&g, CO_GROUP_COLLECT);
	spawn(&g, actor, &fails);
	IS(co_sleep(MS(20)), 0);
	spawn(&g, sleep_ms, num(1));
	IS(co_group_end(&g, 0), 0);
}

/* both hooks recorded, and a watchdog of so many ms */
static struct co_options *watching(int ms)
{
	struct co_options *opt = hearing();

	opt->watchdog = MS(ms);
	return opt;
}

static int count_reports_at(void *ms)
{
	IS(co_sleep_until(MS((intptr_t)ms)), 0);
	note((char)('0' + reports()->count));
	return 0;
}

/* C28: the watchdog names who goes on, once each, counted from the cancel */
SCENARIO_WITH(C28_watchdog_names_children_that_ignore_a_cancel, watching(50))
{
	struct actor mule = SLOW(300), quick = SLOW(40);
	co_group aside, g;

	co_group_begin(&aside, CO_GROUP_FAIL_FAST);
	co_group_begin(&g, CO_GROUP_COLLECT);
	IS(co_spawn_with(&g, actor, &mule, NULL, &(struct co_attr){ .name = "mule" }), 0);
	IS(co_spawn_with(&g, actor, &quick, NULL, &(struct co_attr){ .name = "quick" }), 0);
	spawn(&aside, count_reports_at, num(55));
	spawn(&aside, count_reports_at, num(70));
	IS(co_sleep(MS(10)), 0);
	IS(co_group_end(&g, -EIO), -EIO);
	AT(310);
	IS(co_group_end(&aside, 0), 0);
	ck_assert_str_eq(notes(), "01");
	IS(reports()->count, 1);
	IS(reports()->kind[0], CO_REPORT_STUCK_CHILD);
	ck_assert_ptr_nonnull(strstr(reports()->text[0], "mule"));
	ck_assert_ptr_nonnull(reports()->site[0]);
}

struct starter {
	int before, after;	/* ms of sleep around co_started */
	bool starts;
	int64_t value;
	int rc, cleanup;
	int got, left;		/* what the sleeps gave; when it ended */
};

static int starter(void *arg)
{
	struct starter *t = arg;

	t->got = co_sleep(MS(t->before));
	if (t->got && t->cleanup)
		calm_ms(t->cleanup);
	if (t->starts)
		co_started(t->value);
	if (!t->got && t->after)
		t->got = co_sleep(MS(t->after));
	t->left = now_ms();
	return t->got && !t->rc ? t->got : t->rc;
}

/* ------------------------------------------------------------------------------------------------------------ limits */

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
SCENARIO(C41_admit_is_first_come_first_served)
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
		IS(co_spawn(&g, never, NULL, NULL), -EAGAIN);
		IS(co_sleep_until(MS(10 * i + 10)), 0);
		IS(co_spawn(&g, never, NULL, NULL), -EAGAIN);
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
	IS(co_spawn(&g, never, NULL, NULL), -EAGAIN);
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

/* C41, C8: the place was given, then the cancel came. Main runs between the child's end and the guest. */
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
	IS(co_spawn(&g, never, NULL, NULL), -EAGAIN);
	IS(co_group_end(&g, 0), 0);
	AT(500);
	IS(co_group_end(&aside, 0), 0);
}

/* C41: a place in one group is no place in another, and none is needed where there is no limit */
SCENARIO(C41_place_is_of_one_group)
{
	struct starter t = { 1, 1, true, 6, .rc = 0 };
	int64_t value = 0;
	co_group a, b;

	co_group_begin(&a, CO_GROUP_FAIL_FAST);
	co_group_limit(&a, 1);
	co_group_begin(&b, CO_GROUP_FAIL_FAST);
	IS(co_group_admit(&b), 0);
	IS(co_group_admit(&a), 0);
	for (int i = 0; i < 3; i++)
		spawn(&b, sleep_ms, num(10));
	IS(co_group_start(&a, starter, &t, &value), 0);
	IS(value, 6);
	IS(co_spawn(&a, never, NULL, NULL), -EAGAIN);
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

/* ------------------------------------------------------------------------------------------------------------- start */

/* C26 and the note of co_group_start */
SCENARIO(start_outcomes)
{
	static const struct {
		enum co_group_mode mode;
		struct starter child;
		int start, at, end, ended;
	} cases[] = {
		{ CO_GROUP_FAIL_FAST, { 1, 1, true, 77, .rc = 0 }, 0, 1, 0, 2 },
		{ CO_GROUP_FAIL_FAST, { 1, 1, true, -5, .rc = 3 }, 0, 1, 0, 2 },
		{ CO_GROUP_FAIL_FAST, { 1, 1, true, INT64_MIN, .rc = -EIO }, 0, 1, -EIO, 2 },
		{ CO_GROUP_FAIL_FAST, { 1, 0, true, INT64_MAX, .rc = -EIO }, 0, 1, -EIO, 1 },
		{ CO_GROUP_FAIL_FAST, { 1, .rc = -EIO }, -EIO, 1, -EIO, 1 },
		{ CO_GROUP_FAIL_FAST, { 1, .rc = 0 }, -EPIPE, 1, 0, 1 },
		{ CO_GROUP_FAIL_FAST, { 1, .rc = 9 }, -EPIPE, 1, 0, 1 },
		{ CO_GROUP_COLLECT, { 1, .rc = -EIO }, -EIO, 1, 0, 1 },
		{ CO_GROUP_COLLECT, { 1, .rc = 0 }, -EPIPE, 1, 0, 1 },
		{ CO_GROUP_FIRST, { 1, .rc = -EIO }, -EIO, 1, -EIO, 1 },
		{ CO_GROUP_FIRST, { 1, 5, true, 4, .rc = 0 }, 0, 1, 0, 6 },
	};

	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct starter t = cases[i].child;
		int64_t value = 1234;
		int from = now_ms();
		co_group g;

		co_group_begin(&g, cases[i].mode);
		IS(co_group_start(&g, starter, &t, &value), cases[i].start);
		IS(now_ms() - from, cases[i].at);
		IS(value, t.starts ? t.value : 1234);
		IS(co_group_end(&g, 0), cases[i].end);
		IS(t.left - from, cases[i].ended);
	}
}

/* the caller is cut while the child starts: child cancelled and awaited, no error of the group */
SCENARIO(start_cut_by_the_callers_deadline)
{
	struct starter t = { .before = 1000, .cleanup = 20 }, late = { .before = 1000, .starts = true, .value = 8 };
	co_scope s = CO_SCOPE_INIT;
	int64_t value = 1;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_scope_begin(&s, MS(10));
	IS(co_group_start(&g, starter, &t, &value), CANC);
	AT(30);
	IS(t.left, 30);
	IS(co_scope_end(&s, CANC), TMO);

	s = (co_scope)CO_SCOPE_INIT;
	co_scope_begin(&s, MS(10));
	IS(co_group_start(&g, starter, &late, &value), CANC);
	AT(40);
	IS(co_scope_end(&s, CANC), TMO);
	spawn(&g, sleep_ms, num(10));
	IS(co_group_end(&g, 3), 3);
}

/* its error counts although nobody waits for its start any more */
SCENARIO(start_cut_and_the_child_fails)
{
	struct starter t = { .before = 1000, .rc = -EPROTO };
	co_scope s = CO_SCOPE_INIT;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_scope_begin(&s, MS(10));
	IS(co_group_start(&g, starter, &t, NULL), CANC);
	IS(co_scope_end(&s, CANC), CANC);
	IS(co_group_end(&g, CANC), -EPROTO);
}

/* a sibling fails meanwhile */
SCENARIO(start_cut_by_a_sibling)
{
	struct actor fails = EXIT(10, -EIO);
	struct starter t = { .before = 1000 };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, actor, &fails);
	IS(co_group_start(&g, starter, &t, NULL), CANC);
	AT(10);
	IS(co_group_end(&g, CANC), -EIO);
}

struct start_call {
	co_group *g;
	struct starter child;
	int64_t value;
	int rc, next;
};

static int start_call(void *arg)
{
	struct start_call *c = arg;

	c->rc = co_group_start(c->g, starter, &c->child, &c->value);
	c->next = co_yield_now();
	return 0;
}

/* C8: started, then cancelled in the same pass: the start stands. Main runs between the two. */
SCENARIO(C8_started_then_cancelled)
{
	co_group aside, g;
	struct start_call c = { .g = &g, .child = { 10, 10, true, 5, .rc = 0 } };
	co_ref ref;

	co_group_begin(&aside, CO_GROUP_FAIL_FAST);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ref = spawn(&aside, start_call, &c);
	settle();
	IS(co_sleep_until(MS(10)), 0);
	IS(co_cancel(ref, 0), 0);
	settle();
	IS(c.rc, 0);
	IS(c.value, 5);
	IS(c.next, CANC);
	IS(co_group_end(&g, 0), 0);
	AT(20);
	IS(c.child.got, 0);
	IS(co_group_end(&aside, 0), 0);
}

/* C8: the caller is cancelled, and before it runs the child ends by itself, or by the same cancel: main runs first */
SCENARIO(start_cut_and_the_child_ends_before_the_caller_runs)
{
	static const int exits[] = { 0, 7, -EIO };
	co_group aside, g;
	co_ref ref;

	for (size_t i = 0; i < LENGTH(exits); i++)
		for (int whole = 0; whole < 2; whole++) {
			struct start_call c = { .g = &g, .child = { 10, .rc = exits[i] } };

			co_group_begin(&aside, CO_GROUP_COLLECT);
			co_group_begin(&g, CO_GROUP_COLLECT);
			ref = spawn(&aside, start_call, &c);
			IS(co_sleep(MS(10)), 0);
			IS(c.child.left, 0);
			IS(co_cancel(ref, 0), 0);
			if (whole)
				IS(co_group_cancel(&g, 0), 0);
			settle();
			IS(c.child.left, now_ms());
			IS(c.rc, CANC);
			IS(co_group_errors(&g, NULL, 0), exits[i] < 0);
			IS(co_group_end(&g, 0), 0);
			IS(co_group_end(&aside, 0), 0);
		}
}

static int starts_twice(void *arg)
{
	co_started(*(int *)arg);
	co_started(-1);
	IS(co_sleep(MS(1)), 0);
	co_started(-2);
	return 0;
}

/* co_started again, or where nobody waits for it, does nothing */
SCENARIO(started_elsewhere_or_again)
{
	int seven = 7;
	int64_t value = 0;
	co_group g;

	co_started(3);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, starts_twice, &seven);
	IS(co_group_start(&g, starts_twice, &seven, &value), 0);
	IS(value, 7);
	IS(co_group_start(&g, starts_twice, &seven, NULL), 0);
	IS(co_group_end(&g, 0), 0);
	IS(value, 7);
}

/* ------------------------------------------------------------------------------------------------------------ gather */

/* C26, C27 through co_gather: a FAIL_FAST group with rc 0 */
SCENARIO(gather_outcomes)
{
	static const struct {
		int n;
		struct actor part[4];
		int outer, rc, at, exits[4];
	} cases[] = {
		{ 0, .rc = 0 },
		{ 3, { EXIT(30, 0), EXIT(10, 7), EXIT(0, 2) }, .rc = 0, .at = 30, .exits = { 0, 7, 2 } },
		{ 3, { EXIT(30, 0), EXIT(10, -EIO), EXIT(5, 2) }, .rc = -EIO, .at = 10, .exits = { CANC, -EIO, 2 } },
		{ 2, { EXIT(20, -EPERM), EXIT(10, -EIO) }, .rc = -EIO, .at = 10, .exits = { CANC, -EIO } },
		{ 2, { { .nap = EVER, .answers = true, .answer = -EPROTO }, EXIT(10, -EIO) },
		  .rc = -EIO, .at = 10, .exits = { -EPROTO, -EIO } },
		{ 2, { EXIT(10, 4), SITS }, .outer = 20, .rc = CANC, .at = 20, .exits = { 4, CANC } },
		{ 2, { EXIT(10, 4), SLOW(30) }, .outer = 20, .rc = CANC, .at = 50, .exits = { 4, CANC } },
		{ 2, { EXIT(10, 4), { .nap = EVER, .answers = true, .answer = 1 } },
		  .outer = 20, .rc = 0, .at = 20, .exits = { 4, 1 } },
		{ 2, { SITS, EXIT(10, CANC) }, .rc = CANC, .at = 10, .exits = { CANC, CANC } },
	};
	co_fn *const fns[] = { actor, actor, actor, actor };

	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct actor part[4];
		void *const args[] = { &part[0], &part[1], &part[2], &part[3] };
		int exits[4] = { 99, 99, 99, 99 }, from = now_ms(), rc;
		co_scope s = CO_SCOPE_INIT;

		memcpy(part, cases[i].part, sizeof(part));
		co_scope_begin(&s, cases[i].outer ? MS(cases[i].outer) : CO_FOREVER);
		rc = co_gather(cases[i].n, fns, args, exits);
		ck_assert_msg(rc == cases[i].rc, "case %zu: %d", i, rc);
		ck_assert_msg(now_ms() - from == cases[i].at, "case %zu: at %d", i, now_ms() - from);
		for (int k = 0; k < 4; k++)
			ck_assert_msg(exits[k] == (k < cases[i].n ? cases[i].exits[k] : 99), "case %zu: %d", i, k);
		IS(co_scope_end(&s, rc), cases[i].outer && rc ? TMO : rc);
	}
}

/* C6, C7: a cancellation point with nothing started; and its bad arguments */
SCENARIO(gather_refusals)
{
	co_fn *const fns[] = { never, never }, *const holes[] = { never, NULL };
	int exits[2] = { 99, 99 };
	co_scope s = CO_SCOPE_INIT;

	IS(co_gather(-1, fns, NULL, exits), -EINVAL);
	IS(co_gather(1, NULL, NULL, exits), -EINVAL);
	IS(co_gather(2, holes, NULL, exits), -EINVAL);
	co_scope_begin(&s, 0);
	IS(co_gather(2, fns, NULL, exits), CANC);
	IS(co_scope_end(&s, CANC), TMO);
	settle();
	IS(exits[0], 99);
	IS(exits[1], 99);
	IS(co_gather(0, NULL, NULL, NULL), 0);
}

static int is_null(void *arg)
{
	return arg == NULL;
}

static int gather_deeper(void *arg)
{
	co_fn *const fns[] = { gather_deeper, gather_deeper, is_null };
	intptr_t depth = (intptr_t)arg;
	void *const args[] = { num(depth - 1), num(depth - 1), NULL };
	int exits[3] = { 0 };

	if (!depth)
		return 1;
	IS(co_gather(3, fns, args, exits), 0);
	IS(exits[2], 1);
	return exits[0] + exits[1];
}

SCENARIO(gather_nested_and_without_args_or_exits)
{
	co_fn *fns[300];
	int exits[300];

	for (size_t i = 0; i < LENGTH(fns); i++)
		fns[i] = is_null;
	IS(co_gather((int)LENGTH(fns), fns, NULL, exits), 0);
	for (size_t i = 0; i < LENGTH(fns); i++)
		IS(exits[i], 1);
	IS(co_gather((int)LENGTH(fns), fns, NULL, NULL), 0);
	IS(gather_deeper(num(6)), 64);
}

SUITE("contract-members",
      C28_a_whole_tree_is_cancelled_in_one_pass,
      C28_group_end_waits_uninterrupted,
      C22_members_spawn_during_group_end,
      C22_spawning_into_a_cancelled_group,
      C22_spawning_after_an_error_or_a_winner,
      C28_watchdog_names_children_that_ignore_a_cancel,
      C41_full_group,
      C41_full_and_cancelled,
      C41_admit_is_first_come_first_served,
      C41_place_is_held_for_the_caller,
      C41_cancelled_admit_leaves_the_queue,
      C41_admitted_then_cancelled,
      C41_cancelled_group_lets_nobody_wait,
      C41_ended_group_lets_nobody_wait,
      C41_a_higher_limit_lets_in,
      C41_place_is_of_one_group,
      C41_place_of_a_caller_that_ended,
      C41_places_are_conserved,
      start_outcomes,
      start_cut_by_the_callers_deadline,
      start_cut_and_the_child_fails,
      start_cut_by_a_sibling,
      C8_started_then_cancelled,
      start_cut_and_the_child_ends_before_the_caller_runs,
      started_elsewhere_or_again,
      gather_outcomes,
      gather_refusals,
      gather_nested_and_without_args_or_exits)
