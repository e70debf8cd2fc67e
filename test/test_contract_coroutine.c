/*
 * Coroutines: that each one starts (C21), cancelling one (C23, C4, C6, C8), joining one (C25,
 * C7, C8), and what is kept of one that has ended. C22, and C21 in groups, are in
 * test_contract_members.c.
 */
#include "actor.h"

/* ----------------------------------------------------------------------- a start is certain */

struct owner_of {
	int *memory;	   /* its own from the start on */
	int first, second; /* what its first two cancellation points gave */
	int ran;
};

static int owner_of(void *arg)
{
	struct owner_of *o = arg;

	o->ran++;
	free(o->memory);
	o->memory = NULL;
	o->first = co_sleep(MS(10));
	o->second = co_yield_now();
	return o->first;
}

static struct owner_of *newborn(void)
{
	static struct owner_of o;

	o = (struct owner_of){ .memory = malloc(sizeof(int)) };
	ck_assert_ptr_nonnull(o.memory);
	return &o;
}

static void check_newborn(const struct owner_of *o)
{
	IS(o->ran, 1);
	ck_assert_ptr_null(o->memory);
	IS(o->first, CANC);
	IS(o->second, CANC);
}

/* C21 */
SCENARIO(C21_cancelled_before_its_first_run)
{
	struct owner_of *o = newborn();
	co_group g;
	co_ref ref;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ref = spawn(&g, owner_of, o);
	IS(co_cancel(ref, EPIPE), 0);
	IS(o->ran, 0);
	IS(join(ref), CANC);
	IS(co_group_end(&g, 0), 0);
	check_newborn(o);
}

/* C21: by the group, by the scope around it, by the body's error, by a sibling that runs
 * before it */
SCENARIO(C21_group_cancelled_before_its_first_run)
{
	struct actor fails = { .exit = -EIO };
	struct owner_of *o;
	co_scope s = CO_SCOPE_INIT;
	co_group g;

	co_scope_begin(&s, MS(10));
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	o = newborn();
	spawn(&g, owner_of, o);
	IS(co_group_cancel(&g, 0), 0);
	IS(co_group_end(&g, 0), 0);
	check_newborn(o);

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	o = newborn();
	spawn(&g, owner_of, o);
	IS(co_group_end(&g, -EIO), -EIO);
	check_newborn(o);

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	o = newborn();
	spawn(&g, actor, &fails);
	spawn(&g, owner_of, o);
	IS(co_group_end(&g, 0), -EIO);
	check_newborn(o);

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	o = newborn();
	spawn(&g, owner_of, o);
	IS(co_scope_cancel(&s, EPIPE), 0);
	IS(co_group_end(&g, 0), CANC);
	check_newborn(o);
	IS(co_scope_end(&s, CANC), -EPIPE);
}

static int spawns_and_leaves(void *arg)
{
	IS(co_spawn(NULL, owner_of, arg, NULL), 0);
	return 0;
}

/* C21, C29: main returns before a detached one has run */
START_TEST(C21_detached_at_the_end_of_main)
{
	struct co_options opt = { .clock = CO_CLOCK_VIRTUAL };
	struct owner_of *o = newborn();

	PLAY_WITH(spawns_and_leaves, o, &opt);
	check_newborn(o);
}
END_TEST

/* ------------------------------------------------------------------------------- cancelling */

static int notes_on_wake(void *arg)
{
	int rc = co_sleep(CO_FOREVER);

	note((char)(intptr_t)arg);
	return rc;
}

/* C23: marks, wakes, and goes on */
SCENARIO(C23_cancel_does_not_switch)
{
	co_group g;
	co_ref a, b;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	a = spawn(&g, notes_on_wake, num('a'));
	b = spawn(&g, notes_on_wake, num('b'));
	settle();
	note('1');
	IS(co_cancel(b, 0), 0);
	note('2');
	IS(co_cancel(a, 0), 0);
	note('3');
	IS(co_cancel(a, EPIPE), 0);
	note('4');
	IS(co_group_end(&g, 0), 0);
	ck_assert_str_eq(notes(), "1234ba");
}

/* C23: of oneself */
static int cancels_itself(void *arg)
{
	struct co_cause cause;
	int now = now_ms();

	IS(co_cancel(co_self(), ENOSPC), 0);
	IS(co_cancel_cause(&cause), 0);
	IS(cause.kind, CO_CAUSE_EXPLICIT);
	IS(cause.err, ENOSPC);
	ck_assert_ptr_nonnull(cause.site);
	ck_assert(co_was_cancelled(co_self()));
	ck_assert_int_le(co_deadline(), co_now());
	IS(co_time_left(), 0);
	IS(co_sleep(MS(5)), CANC);
	IS(co_sleep(MS(5)), CANC);
	IS(co_checkpoint(), CANC);
	IS(now_ms(), now);
	return (int)(intptr_t)arg;
}

SCENARIO(C23_cancel_of_oneself_shows_at_the_next_point)
{
	static const int exits[] = { 0, 12, -ECANCELED };
	co_group g;
	co_ref ref;

	for (size_t i = 0; i < LENGTH(exits); i++) {
		co_group_begin(&g, CO_GROUP_FAIL_FAST);
		ref = spawn(&g, cancels_itself, num(exits[i]));
		IS(co_group_wait(&g), 0);
		ck_assert(co_was_cancelled(ref));
		IS(join(ref), exits[i]);
		ck_assert(!co_was_cancelled(ref));
		IS(co_group_end(&g, 0), 0);
	}
}

/* C23: main is a coroutine like others; the runtime ends well */
static int main_cancels_itself(void *arg)
{
	(void)arg;
	return cancels_itself(num(7));
}

START_TEST(C23_main_cancels_itself)
{
	struct co_options opt = { .clock = CO_CLOCK_VIRTUAL };
	int code = -1;

	IS(co_run(main_cancels_itself, NULL, &opt, &code), 0);
	IS(code, 7);
}
END_TEST

/* C23: whatever the target waits in; it leaves that queue at once (C8) */
SCENARIO(C23_cancel_in_every_wait)
{
	co_group full, open, g;
	struct props p;
	co_ref ref;
	int exit_code;

	set_up(&p, &full, &open);
	co_group_begin(&g, CO_GROUP_COLLECT);
	for (size_t i = 0; i < LENGTH(waiting_calls); i++) {
		ref = spawn(&g, waiting_calls[i].call, &p);
		IS(co_sleep(MS(10)), 0);
		IS(co_cancel(ref, EIO), 0);
		exit_code = join(ref);
		ck_assert_msg(exit_code == CANC, "%s: %d", waiting_calls[i].name, exit_code);
		AT(10 * (int)i + 10);
	}
	IS(co_group_end(&g, 0), 0);
	IS(co_group_errors(&g, NULL, 0), 0);
	tear_down(&p);
}

static int owns_a_group(void *arg)
{
	co_group g;
	int rc;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, actor, arg);
	rc = co_group_end(&g, 0);
	IS(co_yield_now(), CANC);
	return rc;
}

/* C23, C28: an owner in group_end is not a waiter to be woken; its children are cancelled */
SCENARIO(C23_cancel_of_one_that_ends_a_group)
{
	struct actor kid = { .nap = EVER, .cleanup = 30 };
	co_group g;
	co_ref ref;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ref = spawn(&g, owns_a_group, &kid);
	IS(co_sleep(MS(10)), 0);
	IS(co_cancel(ref, 0), 0);
	IS(join(ref), CANC);
	AT(40);
	IS(kid.at, 10);
	IS(co_group_end(&g, 0), 0);
}

/* C23: ended but not joined, joined, its group ended, and slots used again since: all stale,
 * none hits another */
SCENARIO(C23_stale_references)
{
	struct actor kid = { .nap = 10 }, other = { .nap = 500 };
	co_group g, later;
	co_ref ref[64], busy[64], none = { 0 };

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 64; i++)
		ref[i] = spawn(&g, actor, &kid);
	IS(co_sleep(MS(20)), 0);
	IS(co_cancel(ref[0], 0), -ESRCH);
	IS(join(ref[0]), 0);
	IS(co_cancel(ref[0], EIO), -ESRCH);
	IS(co_group_end(&g, 0), 0);
	co_group_begin(&later, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 64; i++)
		busy[i] = spawn(&later, actor, &other);
	for (int i = 0; i < 64; i++) {
		IS(co_cancel(ref[i], 0), -ESRCH);
		IS(co_join(ref[i], NULL), -ESRCH);
		IS(co_join_until(ref[i], NULL, 0), -ESRCH);
		ck_assert(!co_was_cancelled(ref[i]));
		for (int k = 0; k < 64; k++)
			ck_assert_uint_ne(ref[i].id, busy[k].id);
	}
	IS(co_cancel(none, 0), -ESRCH);
	IS(co_join(none, NULL), -ESRCH);
	IS(co_group_end(&later, 0), 0);
	IS(other.woke, 0);
	AT(520);
}

/* C6, C23: level triggered: a swallowed cancel comes back; cancelling again is no second edge */
static int swallows(void *arg)
{
	co_ignore(co_sleep(CO_FOREVER));
	co_ignore(co_sleep(CO_FOREVER));
	*(int *)arg = co_sleep(CO_FOREVER);
	return 0;
}

SCENARIO(C6_a_swallowed_cancel_comes_back)
{
	int rc = 0;
	co_group g;
	co_ref ref;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ref = spawn(&g, swallows, &rc);
	settle();
	IS(co_cancel(ref, 0), 0);
	IS(join(ref), 0);
	IS(rc, CANC);
	AT(0);
	IS(co_group_end(&g, 0), 0);
}

/* ---------------------------------------------------------------------------------- joining */

/* C25: what is joined gives its exit, once */
SCENARIO(C25_join_before_and_after_the_exit)
{
	static const int exits[] = { 0, 42, INT32_MAX, -EIO, -ECANCELED, -ETIMEDOUT, INT32_MIN };
	struct actor kid;
	co_group g;
	co_ref ref;
	int code;

	for (int late = 0; late < 2; late++)
		for (size_t i = 0; i < LENGTH(exits); i++) {
			co_group_begin(&g, CO_GROUP_COLLECT);
			kid = (struct actor){ .nap = 10, .exit = exits[i] };
			ref = spawn(&g, actor, &kid);
			IS(co_sleep(MS(late ? 20 : 5)), 0);
			code = 99;
			IS(co_join(ref, &code), 0);
			IS(code, exits[i]);
			code = 99;
			IS(co_join(ref, &code), -ESRCH);
			IS(co_join_until(ref, &code, 0), -ESRCH);
			IS(code, 99);
			IS(co_group_end(&g, 0), 0);
		}
}

/* C25 */
SCENARIO(C25_cancelled_joiner_leaves_the_target)
{
	struct actor kid = { .nap = 50, .exit = 3 };
	co_group g;
	co_ref target, joiner;

	co_group_begin(&g, CO_GROUP_COLLECT);
	target = spawn(&g, actor, &kid);
	joiner = spawn(&g, join_of, &target);
	IS(co_sleep(MS(10)), 0);
	IS(co_cancel(joiner, 0), 0);
	IS(join(joiner), CANC);
	AT(10);
	ck_assert(!co_was_cancelled(target));
	IS(join(target), 3);
	AT(50);
	IS(co_group_end(&g, 0), 0);
}

/* C25, C7, C9: times out, tries first, and timers go before the coroutine that would have
 * ended in time */
SCENARIO(C25_join_until)
{
	struct actor kid = { .nap = 50, .exit = 3 };
	co_scope s = CO_SCOPE_INIT;
	co_group g;
	co_ref ref;
	int code = 99;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ref = spawn(&g, actor, &kid);
	IS(co_join_until(ref, &code, -5), TMO);
	IS(co_join_until(ref, &code, co_now()), TMO);
	IS(kid.ran, 0);
	IS(co_join_until(ref, &code, MS(20)), TMO);
	AT(20);
	co_scope_begin(&s, MS(10));
	IS(co_join_until(ref, &code, MS(40)), CANC);
	IS(co_join_until(ref, &code, 0), CANC);
	IS(co_scope_end(&s, CANC), TMO);
	AT(30);
	IS(co_join_until(ref, &code, MS(50)), TMO);
	AT(50);
	IS(code, 99);
	settle();
	s = (co_scope)CO_SCOPE_INIT;
	co_scope_begin(&s, 0);
	IS(co_join_until(ref, &code, MS(70)), CANC);
	IS(co_scope_end(&s, CANC), TMO);
	IS(code, 99);
	IS(co_join_until(ref, &code, 0), 0);
	IS(code, 3);
	IS(co_group_end(&g, 0), 0);
}

/* C25 */
SCENARIO(C25_oneself_and_two_at_once)
{
	struct actor kid = { .nap = 50, .exit = 3 };
	co_group g;
	co_ref target, first;
	int code = 99;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_join(co_self(), &code), -EDEADLK);
	IS(co_join_until(co_self(), &code, 0), -EDEADLK);
	target = spawn(&g, actor, &kid);
	first = spawn(&g, join_of, &target);
	settle();
	IS(co_join(target, &code), -EBUSY);
	IS(co_join_until(target, &code, MS(1000)), -EBUSY);
	AT(0);
	IS(co_cancel(first, 0), 0);
	IS(co_join(target, &code), 0);
	IS(code, 3);
	AT(50);
	IS(join(first), CANC);
	IS(co_group_end(&g, 0), 0);
}

struct join_call {
	co_ref target;
	int rc, code, next;
};

static int join_call(void *arg)
{
	struct join_call *j = arg;

	j->code = 99;
	j->rc = co_join(j->target, &j->code);
	j->next = co_yield_now();
	return 0;
}

/* C8: it ended, then the joiner is cancelled in the same pass: main runs between the two */
SCENARIO(C8_joined_then_cancelled)
{
	struct actor kid = { .nap = 10, .exit = 3 };
	struct join_call j;
	co_group g;
	co_ref ref;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	j.target = spawn(&g, actor, &kid);
	ref = spawn(&g, join_call, &j);
	settle();
	IS(co_sleep_until(MS(10)), 0);
	IS(kid.left, 10);
	IS(co_cancel(ref, 0), 0);
	IS(join(ref), 0);
	IS(j.rc, 0);
	IS(j.code, 3);
	IS(j.next, CANC);
	IS(co_join(j.target, NULL), -ESRCH);
	IS(co_group_end(&g, 0), 0);
}

/* C8: the other way round: main runs before the target, whose exit then waits for the next join */
SCENARIO(C8_cancelled_then_it_ends)
{
	struct actor kid = { .nap = 10, .exit = 3 };
	struct join_call j;
	co_group g;
	co_ref ref;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	j.target = spawn(&g, actor, &kid);
	ref = spawn(&g, join_call, &j);
	IS(co_sleep_until(MS(10)), 0);
	IS(kid.left, 0);
	IS(co_cancel(ref, 0), 0);
	IS(join(ref), 0);
	IS(j.rc, CANC);
	IS(j.code, 99);
	IS(join(j.target), 3);
	IS(co_group_end(&g, 0), 0);
}

/* C8: the target's group is over before the joiner runs */
SCENARIO(C8_joined_as_its_group_ends)
{
	struct actor kid = { .nap = 10, .exit = 6 };
	struct join_call j = { .rc = 99 };
	co_group aside, *g = malloc(sizeof(*g));

	ck_assert_ptr_nonnull(g);
	co_group_begin(&aside, CO_GROUP_FAIL_FAST);
	co_group_begin(g, CO_GROUP_FAIL_FAST);
	j.target = spawn(g, actor, &kid);
	spawn(&aside, join_call, &j);
	IS(co_group_end(g, 0), 0);
	free(g);
	IS(co_join(j.target, NULL), -ESRCH);
	IS(co_group_end(&aside, 0), 0);
	IS(j.rc, 0);
	IS(j.code, 6);
	IS(j.next, 0);
}

/* ----------------------------------------------------------------------------- what is kept */

static int tells_self(void *arg)
{
	*(co_ref *)arg = co_self();
	IS(co_sleep(MS(10)), 0);
	return 5;
}

/* api.md, records: kept until the group ends if the reference was asked for, else not; a
 * detached one's never */
SCENARIO(records_of_ended_coroutines)
{
	co_ref kept, unasked = { 0 }, detached = { 0 }, asked, self = { 0 };
	co_group g;
	int code = 0;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	kept = spawn(&g, tells_self, &self);
	IS(co_spawn(&g, tells_self, &unasked, NULL), 0);
	IS(co_spawn(NULL, tells_self, &detached, &asked), 0);
	IS(co_sleep(MS(20)), 0);
	ck_assert_uint_eq(self.id, kept.id);
	ck_assert_uint_eq(detached.id, asked.id);
	ck_assert_uint_ne(unasked.id, 0);
	IS(co_join(unasked, &code), -ESRCH);
	IS(co_join(asked, &code), -ESRCH);
	IS(co_group_end(&g, 0), 0);
	IS(co_join(kept, &code), -ESRCH);
}

static size_t in_use;
static bool none_left;

static void *count_alloc(size_t size, void *ctx)
{
	(void)ctx;
	if (none_left)
		return NULL;
	in_use += size;
	return malloc(size);
}

static void count_free(void *ptr, size_t size, void *ctx)
{
	(void)ctx;
	in_use -= ptr ? size : 0;
	free(ptr);
}

static int returns_at_once(void *unused)
{
	(void)unused;
	return 0;
}

static size_t in_use_after(co_group *g, int n, bool ask)
{
	co_ref ref;

	for (int i = 0; i < n; i++) {
		IS(co_spawn(g, returns_at_once, NULL, ask ? &ref : NULL), 0);
		IS(co_yield_now(), 0);
	}
	return in_use;
}

static int grows(void *unused)
{
	size_t before, after;
	co_group g;

	(void)unused;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	before = in_use_after(&g, 100, false);
	ck_assert_uint_eq(in_use_after(&g, 10000, false), before);
	ck_assert_uint_eq(in_use_after(NULL, 10000, true), before);
	after = in_use_after(&g, 10000, true);
	IS(co_group_end(&g, 0), 0);
	ck_assert_uint_le(in_use, after);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ck_assert_uint_le(in_use_after(&g, 10000, true), after);
	return co_group_end(&g, 0);
}

/* what is not kept costs nothing; what is kept is used again; all goes with the runtime */
START_TEST(records_memory)
{
	struct co_options opt = { .alloc = { .alloc = count_alloc, .free = count_free } };

	PLAY_WITH(grows, NULL, &opt);
	ck_assert_uint_eq(in_use, 0);
}
END_TEST

static int naps_under_a_long_deadline(void *unused)
{
	co_scope s = CO_SCOPE_INIT;

	(void)unused;
	co_scope_begin(&s, CO_SEC(1000));
	IS(co_yield_now(), 0);
	return co_scope_end(&s, 0);
}

static int spawns_in_vain(void *unused)
{
	size_t before;
	co_group g;

	(void)unused;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 40; i++)
		spawn(&g, returns_at_once, NULL);
	IS(co_group_end(&g, 0), 0);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	before = in_use;
	none_left = true;
	for (int i = 0; i < 1000; i++) {
		int rc = co_spawn_with(&g, returns_at_once, NULL, NULL,
				       &(struct co_attr){ .priority = CO_PRIO_LOW });

		ck_assert_msg(rc == 0 || rc == -ENOMEM, "spawn %d gives %d", i, rc);
		IS(co_group_wait(&g), 0);
	}
	none_left = false;
	for (int i = 0; i < 40; i++)
		spawn(&g, returns_at_once, NULL);
	ck_assert_uint_eq(in_use, before);
	return co_group_end(&g, 0);
}

/* nor does one that could not be spawned cost anything: its place is the next one's */
START_TEST(records_of_failed_spawns)
{
	struct co_options opt = { .alloc = { .alloc = count_alloc, .free = count_free } };

	PLAY_WITH(spawns_in_vain, NULL, &opt);
	ck_assert_uint_eq(in_use, 0);
}
END_TEST

/* a place whose record was kept is not kept for the next one, who asked for nothing */
SCENARIO(records_of_those_in_the_same_place)
{
	co_ref kept, self = { 0 };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	kept = spawn(&g, tells_self, &self);
	IS(co_sleep(MS(20)), 0);
	IS(join(kept), 5);
	for (int i = 0; i < 3; i++) {
		IS(co_spawn(&g, tells_self, &self, NULL), 0);
		IS(co_sleep(MS(20)), 0);
		ck_assert_uint_ne(self.id, kept.id);
		IS(co_join(self, NULL), -ESRCH);
	}
	IS(co_group_end(&g, 0), 0);
}

/* whoever has ended has no timer, though a deadline of it lies in the future */
SCENARIO(records_have_no_timer)
{
	struct co_stats stats;
	co_ref ref[100];
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (size_t i = 0; i < LENGTH(ref); i++)
		ref[i] = spawn(&g, naps_under_a_long_deadline, NULL);
	IS(co_group_wait(&g), 0);
	IS(co_stats(&stats), 0);
	IS((int)stats.timers, 0);
	IS(co_stack_used(ref[0]), 0);
	IS(join(ref[0]), 0);
	IS(co_group_end(&g, 0), 0);
}

/* co_stats: each counts when it is spawned, and at each of its turns */
SCENARIO(figures_of_spawns_and_switches)
{
	struct co_stats before, after;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_stats(&before), 0);
	for (int i = 0; i < 10; i++)
		spawn(&g, returns_at_once, NULL);
	ck_assert_int_lt(co_spawn(&g, NULL, NULL, NULL), 0);
	IS(co_stats(&after), 0);
	IS((int)(after.spawned - before.spawned), 10);
	IS((int)(after.live - before.live), 10);
	IS((int)(after.switches - before.switches), 0);
	IS(co_group_wait(&g), 0);
	IS(co_stats(&after), 0);
	IS((int)(after.live - before.live), 0);
	IS((int)(after.switches - before.switches), 11);
	IS(co_group_end(&g, 0), 0);
}

/* while they live all three can be joined */
SCENARIO(records_of_living_coroutines)
{
	co_ref unasked = { 0 }, detached = { 0 }, self = { 0 };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_spawn(&g, tells_self, &unasked, NULL), 0);
	IS(co_spawn(NULL, tells_self, &detached, NULL), 0);
	settle();
	IS(join(unasked), 5);
	spawn(&g, tells_self, &self);
	IS(co_spawn(NULL, tells_self, &detached, NULL), 0);
	settle();
	IS(join(detached), 5);
	IS(co_group_end(&g, 0), 0);
	AT(20);
}

/* joining while the owner waits in group_end */
SCENARIO(a_member_joins_a_sibling_during_group_end)
{
	struct actor kid = { .nap = 10, .exit = 4 };
	co_group g;
	struct join_call j = { .rc = 99 };

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, join_call, &j);
	j.target = spawn(&g, actor, &kid);
	IS(co_group_end(&g, 0), 0);
	IS(j.rc, 0);
	IS(j.code, 4);
	IS(j.next, 0);
}

/* ----------------------------------------------------------------- names, stacks, one's own */

/* copied, cut at 31 bytes */
SCENARIO(names_are_copied_and_cut)
{
	char name[64] = "0123456789abcdefghijklmnopqrstuvwxyz";
	struct co_attr attr = { .name = name };
	co_group g;
	co_ref ref, plain;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_spawn_with(&g, sleep_ms, num(10), &ref, &attr), 0);
	plain = spawn(&g, sleep_ms, num(10));
	memset(name, 'x', sizeof(name) - 1);
	ck_assert_str_eq(co_name(ref), "0123456789abcdefghijklmnopqrstu");
	ck_assert_str_eq(co_name(plain), "");
	IS(join(ref), 0);
	ck_assert_ptr_null(co_name(ref));
	IS(co_group_end(&g, 0), 0);
}

static struct co_options *with_a_name(void)
{
	static struct co_options opt = { .clock = CO_CLOCK_VIRTUAL, .attr = { .name = "someone" } };

	return &opt;
}

/* api.h: options.attr is for those that name none */
SCENARIO_WITH(names_by_default, with_a_name())
{
	co_group g;
	co_ref ref;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ref = spawn(&g, sleep_ms, num(10));
	ck_assert_str_eq(co_name(ref), "someone");
	ck_assert_str_eq(co_name(co_self()), "someone");
	IS(co_spawn_with(&g, sleep_ms, num(10), &ref, &(struct co_attr){ .name = "other" }), 0);
	ck_assert_str_eq(co_name(ref), "other");
	IS(co_group_end(&g, 0), 0);
}

static int marks(void *arg)
{
	ck_assert_ptr_null(co_local());
	co_set_local(arg);
	IS(co_sleep(MS(1)), 0);
	ck_assert_ptr_eq(co_local(), arg);
	co_set_local(NULL);
	co_set_local(arg);
	IS(co_yield_now(), 0);
	ck_assert_ptr_eq(co_local(), arg);
	return 0;
}

/* NULL at the start, also where an ended coroutine's stack is used again */
SCENARIO(local_is_each_ones_own)
{
	co_group g;

	co_set_local(&g);
	for (int round = 0; round < 3; round++) {
		co_group_begin(&g, CO_GROUP_FAIL_FAST);
		for (int i = 1; i <= 20; i++)
			spawn(&g, marks, num(i));
		IS(co_group_end(&g, 0), 0);
	}
	ck_assert_ptr_eq(co_local(), &g);
}

static int deep(void *arg)
{
	volatile char room[40000];

	for (size_t i = 0; i < sizeof(room); i += 64)
		room[i] = 1;
	(void)arg;
	IS(co_yield_now(), 0);
	return room[128];
}

SCENARIO(stack_sizes_from_absurd_to_large)
{
	static const size_t good[] = { 0, 1, 4096, 65536, 65537, 1 << 20 };
	static const size_t bad[] = { SIZE_MAX, SIZE_MAX - 4095, SIZE_MAX / 2, SIZE_MAX / 4 };
	struct co_attr attr = { .name = NULL };
	co_group g;
	co_ref ref;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (size_t i = 0; i < LENGTH(good); i++) {
		attr.stack_size = good[i];
		IS(co_spawn_with(&g, good[i] && good[i] < 65536 ? sleep_ms : deep, num(1), &ref,
				 &attr),
		   0);
		settle();
		if (!good[i] || good[i] >= 65536)
			continue;
		ck_assert_uint_gt(co_stack_used(ref), 0);
	}
	for (size_t i = 0; i < LENGTH(bad); i++) {
		attr.stack_size = bad[i];
		ck_assert_int_lt(co_spawn_with(&g, actor, NULL, &ref, &attr), 0);
	}
	IS(co_group_end(&g, 0), 0);
}

enum { MUCH = 400000 };

static int deeper(void *unused)
{
	volatile char room[MUCH];

	(void)unused;
	for (size_t i = 0; i < sizeof(room); i += 64)
		room[i] = 1;
	return room[128];
}

static struct co_options *large_stacks(void)
{
	static struct co_options opt = { .clock = CO_CLOCK_VIRTUAL,
					 .attr = { .stack_size = 1 << 20 } };

	return &opt;
}

/* one's own size counts, and where none is named that of the runtime */
SCENARIO(stack_size_of_ones_own)
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_spawn_with(&g, deeper, NULL, NULL, &(struct co_attr){ .stack_size = 1 << 20 }), 0);
	IS(co_group_end(&g, 0), 0);
}

SCENARIO_WITH(stack_size_of_the_runtime, large_stacks())
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_spawn_with(&g, deeper, NULL, NULL, &(struct co_attr){ .name = "deeper" }), 0);
	IS(co_spawn(&g, deeper, NULL, NULL), 0);
	IS(co_group_end(&g, 0), 0);
}

/* whatever the error: who asked for a reference has one that names nobody */
SCENARIO(no_reference_after_a_failed_spawn)
{
	co_ref ref = { 1 };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_spawn(&g, NULL, NULL, &ref), -EINVAL);
	ck_assert_uint_eq(ref.id, 0);
	ref.id = 1;
	IS(co_group_cancel(&g, 0), 0);
	IS(co_spawn_with(&g, returns_at_once, NULL, &ref, NULL), CANC);
	ck_assert_uint_eq(ref.id, 0);
	IS(co_group_end(&g, 0), 0);
	ref.id = 1;
	IS(co_spawn(&g, returns_at_once, NULL, &ref), -ESHUTDOWN);
	ck_assert_uint_eq(ref.id, 0);
}

SCENARIO(bad_arguments_of_spawn)
{
	co_group g;
	co_ref ref = { 1 };

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_spawn(&g, NULL, NULL, &ref), -EINVAL);
	IS(co_spawn(NULL, NULL, NULL, NULL), -EINVAL);
	IS(co_spawn_with(&g, NULL, NULL, &ref, NULL), -EINVAL);
	IS(co_spawn_with(&g, actor, NULL, &ref, &(struct co_attr){ .priority = 77 }), -EINVAL);
	IS(co_spawn_with(&g, actor, NULL, &ref, &(struct co_attr){ .flags = 1u << 31 }), -EINVAL);
	IS(co_group_start(&g, NULL, NULL, NULL), -EINVAL);
	IS(co_spawn_with(&g, sleep_ms, num(1), &ref, NULL), 0);
	IS(join(ref), 0);
	IS(co_group_end(&g, 0), 0);
}

SUITE("contract-coroutine", C21_cancelled_before_its_first_run,
      C21_group_cancelled_before_its_first_run, C21_detached_at_the_end_of_main,
      C23_cancel_does_not_switch, C23_cancel_of_oneself_shows_at_the_next_point,
      C23_main_cancels_itself, C23_cancel_in_every_wait, C23_cancel_of_one_that_ends_a_group,
      C23_stale_references, C6_a_swallowed_cancel_comes_back, C25_join_before_and_after_the_exit,
      C25_cancelled_joiner_leaves_the_target, C25_join_until, C25_oneself_and_two_at_once,
      C8_joined_then_cancelled, C8_cancelled_then_it_ends, C8_joined_as_its_group_ends,
      records_of_ended_coroutines, records_memory, records_of_living_coroutines,
      a_member_joins_a_sibling_during_group_end, names_are_copied_and_cut, names_by_default,
      local_is_each_ones_own, stack_sizes_from_absurd_to_large, bad_arguments_of_spawn,
      records_have_no_timer, figures_of_spawns_and_switches, stack_size_of_ones_own,
      stack_size_of_the_runtime, records_of_failed_spawns, records_of_those_in_the_same_place,
      no_reference_after_a_failed_spawn)
