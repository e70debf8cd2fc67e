/*
 * Those in a group: how they come in (C22, limits of C41, co_group_start, co_gather) and that
 * none outlives it (C28).
 */
#include "actor.h"

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

/* C22, C5: the group's own scope, one outside it; not one that a shield hides, not the
 * spawner's own */
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

/* C28, options.watchdog: "a child that ignores a cancel this long": one cancelled alone, one
 * cut by an outer deadline */
SCENARIO_WITH(C28_watchdog_of_any_cancel, watching(50))
{
	struct actor mule = SLOW(300), ass = SLOW(200), quick = SLOW(49);
	co_scope s = CO_SCOPE_INIT;
	co_group g;
	co_ref ref;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_spawn_with(&g, actor, &mule, &ref, &(struct co_attr){ .name = "mule" }), 0);
	IS(co_sleep(MS(10)), 0);
	IS(co_cancel(ref, 0), 0);
	IS(co_group_end(&g, 0), 0);
	AT(310);
	IS(reports()->count, 1);

	co_scope_begin(&s, MS(10));
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_spawn_with(&g, actor, &ass, NULL, &(struct co_attr){ .name = "ass" }), 0);
	IS(co_spawn_with(&g, actor, &quick, NULL, &(struct co_attr){ .name = "quick" }), 0);
	IS(co_group_end(&g, 0), CANC);
	IS(co_scope_end(&s, CANC), TMO);
	AT(520);
	IS(reports()->count, 2);
	for (int i = 0; i < 2; i++) {
		IS(reports()->kind[i], CO_REPORT_STUCK_CHILD);
		ck_assert_ptr_nonnull(strstr(reports()->text[i], i ? "ass" : "mule"));
	}
}

/* C28: each when its own time is over, first come first; several at once if the loop was late */
SCENARIO_WITH(C28_watchdog_of_several, watching(50))
{
	static const int looks[] = { 55, 65, 75, 85 };
	struct actor mules[] = { SLOW(300), SLOW(300), SLOW(300) };
	co_group aside, g;
	co_ref ref[3];

	co_group_begin(&aside, CO_GROUP_FAIL_FAST);
	for (size_t i = 0; i < LENGTH(looks); i++)
		spawn(&aside, count_reports_at, num(looks[i]));
	co_group_begin(&g, CO_GROUP_COLLECT);
	for (int i = 0; i < 3; i++)
		ref[i] = spawn(&g, actor, &mules[i]);
	IS(co_sleep(MS(10)), 0);
	IS(co_cancel(ref[1], 0), 0);
	IS(co_sleep(MS(20)), 0);
	IS(co_cancel(ref[0], 0), 0);
	IS(co_cancel(ref[2], 0), 0);
	IS(co_group_end(&g, 0), 0);
	IS(co_group_end(&aside, 0), 0);
	ck_assert_str_eq(notes(), "0113");
	IS(reports()->count, 3);

	co_group_begin(&g, CO_GROUP_COLLECT);
	for (int i = 0; i < 3; i++)
		ref[i] = spawn(&g, actor, &mules[i]);
	settle();
	for (int i = 0; i < 3; i++) {
		IS(co_cancel(ref[i], 0), 0);
		IS(co_sleep(MS(1)), 0);
	}
	stall(MS(100));
	IS(co_yield_now(), 0);
	IS(reports()->count, 6);
	IS(co_group_end(&g, 0), 0);
	IS(reports()->count, 6);
}

/* C28: from the time of the cancel, though the loop saw the clock long before that */
SCENARIO_WITH(C28_watchdog_after_a_stall, watching(50))
{
	struct actor quick = SLOW(45);
	co_group g;

	co_group_begin(&g, CO_GROUP_COLLECT);
	spawn(&g, actor, &quick);
	IS(co_sleep(MS(10)), 0);
	stall(MS(40));
	IS(co_group_cancel(&g, 0), 0);
	IS(co_group_end(&g, 0), 0);
	AT(95);
	IS(reports()->count, 0);
}

static int has_a_slow_child(void *unused)
{
	struct actor mule = SLOW(3600000);
	co_group g;

	(void)unused;
	co_group_begin(&g, CO_GROUP_COLLECT);
	spawn(&g, actor, &mule);
	IS(co_sleep(MS(10)), 0);
	IS(co_group_cancel(&g, 0), 0);
	IS(co_group_end(&g, 0), 0);
	AT(3600010);
	return 0;
}

/* C1, C28: an endless patience, and one that saturates */
START_TEST(C28_watchdog_that_never_barks)
{
	static const co_ns patience[] = { CO_FOREVER, CO_FOREVER - 1 };

	for (size_t i = 0; i < LENGTH(patience); i++) {
		struct co_options *opt = hearing();

		opt->watchdog = patience[i];
		PLAY_WITH(has_a_slow_child, NULL, opt);
		IS(reports()->count, 0);
	}
}
END_TEST

/* Says all that there is to say of one that is stuck. */
static void said(int i, const char *what)
{
	ck_assert_msg(strstr(reports()->text[i], what), "%s: %s", what, reports()->text[i]);
}

static int calms_twice(void *unused)
{
	(void)unused;
	IS(co_sleep(CO_FOREVER), CANC);
	calm_ms(20);
	calm_ms(80);
	return CANC;
}

/* C28: since when it is cancelled, for how long it waits and for what, and where it is from */
SCENARIO_WITH(C28_what_the_watchdog_says, watching(50))
{
	char site[256];
	co_group g;

	co_group_begin(&g, CO_GROUP_COLLECT);
	IS(co_spawn_with(&g, calms_twice, NULL, NULL, &(struct co_attr){ .name = "mule" }), 0);
	IS(co_sleep(MS(10)), 0);
	IS(co_group_cancel(&g, 0), 0);
	IS(co_group_end(&g, 0), 0);
	AT(110);
	IS(reports()->count, 1);
	said(0, "cancelled 50 ms ago");
	said(0, "coroutine 'mule'");
	said(0, "for 30 ms waiting for sleep");
	co_site_format(reports()->site[0], site, sizeof(site));
	said(0, site);
}

static int yields_on(void *flag)
{
	while (!*(bool *)flag)
		co_ignore(co_yield_now());
	return 0;
}

static int late_itself(void *other)
{
	co_ref *ref = other;

	IS(co_sleep(CO_FOREVER), CANC);
	stall(MS(60));
	IS(co_cancel(*ref, 0), 0);
	IS(reports()->count, 1);
	return 0;
}

/* C28: also of one that does not wait: noticed when it, or another, is next looked after */
SCENARIO_WITH(C28_the_watchdog_and_one_that_runs_on, watching(50))
{
	bool stop = false;
	co_ref sits, runs;
	co_group g;

	co_group_begin(&g, CO_GROUP_COLLECT);
	sits = spawn(&g, sleep_forever, NULL);
	runs = spawn(&g, late_itself, &sits);
	settle();
	IS(co_cancel(runs, 0), 0);
	IS(co_group_end(&g, 0), 0);
	IS(reports()->count, 1);
	said(0, "running");

	co_group_begin(&g, CO_GROUP_COLLECT);
	runs = spawn(&g, yields_on, &stop);
	IS(co_yield_now(), 0);
	IS(co_cancel(runs, 0), 0);
	stall(MS(60));
	IS(co_yield_now(), 0);
	IS(reports()->count, 2);
	said(1, "ready to run");
	stop = true;
	IS(co_group_end(&g, 0), 0);
}

static int unwinds_for(void *arg)
{
	IS(co_sleep(CO_FOREVER), CANC);
	calm_ms((int)(intptr_t)arg);
	return 0;
}

/* options.watchdog: 10 s where nothing else is said */
SCENARIO_WITH(C28_watchdog_by_default, hearing())
{
	co_group g;

	for (int late = 0; late < 2; late++) {
		co_group_begin(&g, CO_GROUP_FAIL_FAST);
		spawn(&g, unwinds_for, num(late ? 10100 : 9900));
		settle();
		IS(co_group_cancel(&g, 0), 0);
		IS(co_group_end(&g, 0), 0);
		IS(reports()->count, late);
	}
}

static bool no_memory;

static void *scarce_alloc(size_t size, void *unused)
{
	(void)unused;
	return no_memory ? NULL : malloc(size);
}

static void scarce_free(void *ptr, size_t size, void *unused)
{
	(void)size;
	(void)unused;
	free(ptr);
}

static struct co_options *scarce(void)
{
	static struct co_options opt = { .clock = CO_CLOCK_VIRTUAL,
					 .alloc = { .alloc = scarce_alloc, .free = scarce_free } };

	return &opt;
}

/* as many scopes as need no memory, and then some groups */
static void crowd_in(int depth, const int *rcs, const int *ends)
{
	co_scope s = CO_SCOPE_INIT;
	co_group g;

	if (depth > 0) {
		co_scope_begin(&s, CO_FOREVER);
		crowd_in(depth - 1, rcs, ends);
		IS(co_scope_end(&s, 0), 0);
		return;
	}
	for (int i = 0; i < 3; i++) {
		no_memory = true;
		co_group_begin(&g, (enum co_group_mode)i);
		IS(co_spawn(&g, must_not_run, NULL, NULL), CANC);
		IS(co_sleep(MS(1)), CANC);
		IS(co_group_wait(&g), CANC);
		IS(co_group_cancel(&g, EIO), 0);
		IS(co_group_end(&g, rcs[i]), ends[i]);
		no_memory = false;
		IS(co_sleep(MS(1)), 0);
	}
}

/* api.md: begin never fails; for want of memory a group is born cancelled with ENOMEM */
SCENARIO_WITH(group_begun_without_memory, scarce())
{
	static const int cut[] = { CANC, CANC, CANC }, enomem[] = { -ENOMEM, -ENOMEM, -ENOMEM };
	static const int own[] = { 0, 7, -EIO };

	crowd_in(8, cut, enomem);
	crowd_in(8, own, own);
}

/* The first scopes of a coroutine need no memory, a group does */
SCENARIO_WITH(group_begun_without_a_state, scarce())
{
	static const int cut[] = { CANC, CANC, CANC }, enomem[] = { -ENOMEM, -ENOMEM, -ENOMEM };

	crowd_in(0, cut, enomem);
}

/* api.h: it never runs, and arg stays the caller's */
SCENARIO_WITH(spawn_without_memory, scarce())
{
	co_group g;
	int rc = 0, n = 0;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	no_memory = true;
	while (rc == 0 && n++ < 100000)
		rc = co_spawn(&g, sleep_ms, num(1), NULL);
	IS(rc, -ENOMEM);
	IS(co_spawn(&g, must_not_run, NULL, NULL), -ENOMEM);
	IS(co_group_start(&g, must_not_run, NULL, NULL), -ENOMEM);
	no_memory = false;
	spawn(&g, sleep_ms, num(2));
	IS(co_group_end(&g, 0), 0);
	AT(2);
}

/* spawns into a group that it is not in, at a time */
struct stranger {
	co_group *g;
	struct actor kid;
};

static int spawns_at_10(void *arg)
{
	struct stranger *s = arg;

	IS(co_sleep_until(MS(10)), 0);
	return co_spawn(s->g, actor, &s->kid, NULL);
}

/* C22, C28: the last child has ended, and before the owner runs there is another */
SCENARIO(C22_a_spawn_between_the_last_exit_and_the_end)
{
	co_group aside, g;
	struct stranger s = { .g = &g, .kid = EXIT(20, 0) };

	co_group_begin(&aside, CO_GROUP_FAIL_FAST);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, sleep_ms, num(10));
	spawn(&aside, spawns_at_10, &s);
	IS(co_group_end(&g, 0), 0);
	AT(30);
	IS(s.kid.left, 30);
	IS(co_group_end(&aside, 0), 0);
}

/* C28: cancelled twice, by itself and with its group, in whichever order: the first counts, and
 * there is one report */
SCENARIO_WITH(C28_watchdog_counts_from_the_first_cancel, watching(50))
{
	co_group aside, g;
	co_ref ref;

	for (int group_first = 0; group_first < 2; group_first++) {
		struct actor mule = SLOW(300), quick = SLOW(10);
		int from = now_ms(), before = reports()->count;

		memset(notes(), 0, 256);
		co_group_begin(&aside, CO_GROUP_FAIL_FAST);
		co_group_begin(&g, CO_GROUP_COLLECT);
		ref = spawn(&g, actor, &mule);
		spawn(&g, actor, &quick);
		spawn(&aside, count_reports_at, num(from + 49));
		spawn(&aside, count_reports_at, num(from + 51));
		settle();
		IS(group_first ? co_group_cancel(&g, 0) : co_cancel(ref, 0), 0);
		IS(co_sleep(MS(20)), group_first ? CANC : 0);
		if (group_first)
			calm_ms(20);
		IS(group_first ? co_cancel(ref, 0) : co_group_cancel(&g, 0), 0);
		IS(co_group_end(&g, 0), 0);
		IS(now_ms() - from, 300);
		IS(co_group_end(&aside, 0), 0);
		IS(notes()[0], '0' + before);
		IS(notes()[1], '1' + before);
		IS(reports()->count, before + 1);
	}
}

static int goes_on_in_a_cancelled_scope(void *unused)
{
	co_scope s = CO_SCOPE_INIT;

	(void)unused;
	co_scope_begin(&s, MS(10));
	IS(co_sleep(CO_FOREVER), CANC);
	calm_ms(100);
	IS(co_scope_end(&s, CANC), TMO);
	return 0;
}

/* C28: of those that are cancelled themselves; a scope inside is the child's own affair */
SCENARIO_WITH(C28_watchdog_minds_no_inner_scope, watching(50))
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, goes_on_in_a_cancelled_scope, NULL);
	IS(co_group_end(&g, 0), 0);
	AT(110);
	IS(reports()->count, 0);
}

/* C28: the child whose error cancels the group has ended: only the others are watched */
SCENARIO_WITH(C28_watchdog_minds_nobody_who_has_ended, watching(50))
{
	struct actor fails = EXIT(10, -EIO), mule = SLOW(300);
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_spawn_with(&g, actor, &fails, NULL, &(struct co_attr){ .name = "fails" }), 0);
	IS(co_spawn_with(&g, actor, &mule, NULL, &(struct co_attr){ .name = "mule" }), 0);
	IS(co_group_end(&g, 0), -EIO);
	AT(310);
	IS(reports()->count, 1);
	ck_assert_ptr_nonnull(strstr(reports()->text[0], "mule"));
}

static co_ref from_hook[3];

static void cancel_in_hook(enum co_report kind, const char *text, const void *site, void *ctx)
{
	hear_report(kind, text, site, ctx);
	for (size_t i = 0; i < LENGTH(from_hook); i++)
		IS(co_cancel(from_hook[i], EIO), 0);
}

static struct co_options *cancelling_in_reports(void)
{
	struct co_options *opt = watching(50);

	opt->on_report = cancel_in_hook;
	return opt;
}

/* C24, C26, C28: a report falls due while a cancel goes through a group, and its hook cancels the
 * same children: all wake, each once, in their order */
SCENARIO_WITH(C24_a_hook_cancels_amid_a_cancel, cancelling_in_reports())
{
	struct actor mule = SLOW(300), kid[3];
	co_group aside, g;

	co_group_begin(&aside, CO_GROUP_COLLECT);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_cancel(spawn(&aside, actor, &mule), 0), 0);
	for (int i = 0; i < 3; i++) {
		kid[i] = (struct actor){ .nap = EVER, .letter = (char)('a' + i) };
		from_hook[i] = spawn(&g, actor, &kid[i]);
	}
	settle();
	stall(MS(60));
	IS(reports()->count, 0);
	IS(co_group_cancel(&g, 0), 0);
	IS(reports()->count, 1);
	settle();
	ck_assert_str_eq(notes(), "abc");
	IS(co_group_end(&g, 0), 0);
	AT(60);
	IS(co_group_end(&aside, 0), 0);
	IS(reports()->count, 1);
}

enum { CROWD = 20 };
static co_ref crowd[CROWD];
static int hooks_at_work;

static void cancel_one_more(enum co_report kind, const char *text, const void *site, void *ctx)
{
	IS(hooks_at_work++, 0);
	IS(co_cancel(crowd[reports()->count], EIO), 0);
	hear_report(kind, text, site, ctx);
	hooks_at_work--;
}

static struct co_options *cancelling_one_more(void)
{
	struct co_options *opt = watching(50);

	opt->on_report = cancel_one_more;
	return opt;
}

/* C24, C28: many reports fall due at once, and the hook answers each by a cancel: they come one
 * after the other, not one inside the other, which needs a stack without end */
SCENARIO_WITH(C24_a_hook_cancels_at_each_of_many_reports, cancelling_one_more())
{
	struct actor mule = SLOW(300), waits = SITS;
	co_group others, g;

	co_group_begin(&others, CO_GROUP_COLLECT);
	co_group_begin(&g, CO_GROUP_COLLECT);
	for (int i = 0; i < CROWD; i++) {
		crowd[i] = spawn(&others, actor, &waits);
		spawn(&g, actor, &mule);
	}
	settle();
	IS(co_group_cancel(&g, 0), 0);
	advance(MS(60));
	IS(reports()->count, CROWD);
	IS(co_group_end(&g, 0), 0);
	IS(co_group_end(&others, 0), 0);
	AT(300);
	IS(reports()->count, CROWD);
}

static co_group inside;
static co_ref grandchild;
static int refused;

static void spawn_in_hook(enum co_report kind, const char *text, const void *site, void *ctx)
{
	hear_report(kind, text, site, ctx);
	ck_assert(co_was_cancelled(grandchild));
	refused = co_spawn(&inside, must_not_run, NULL, NULL);
}

static struct co_options *spawning_in_reports(void)
{
	struct co_options *opt = watching(50);

	opt->on_report = spawn_in_hook;
	return opt;
}

static int has_a_group(void *unused)
{
	struct actor waits = SITS;

	(void)unused;
	co_group_begin(&inside, CO_GROUP_COLLECT);
	grandchild = spawn(&inside, actor, &waits);
	return co_group_end(&inside, 0);
}

/* C5, C22, C28: a report that falls due with a cancel comes when that has reached everybody */
SCENARIO_WITH(C22_a_hook_spawns_amid_a_cancel, spawning_in_reports())
{
	struct actor mule = SLOW(300);
	co_group aside, g;

	co_group_begin(&aside, CO_GROUP_COLLECT);
	IS(co_cancel(spawn(&aside, actor, &mule), 0), 0);
	co_group_begin(&g, CO_GROUP_COLLECT);
	spawn(&g, has_a_group, NULL);
	settle();
	stall(MS(60));
	IS(co_group_cancel(&g, 0), 0);
	IS(reports()->count, 1);
	IS(refused, CANC);
	IS(co_group_end(&g, 0), 0);
	IS(co_group_end(&aside, 0), 0);
	IS(reports()->count, 1);
}

static int fails_late(void *unused)
{
	(void)unused;
	stall(MS(60));
	return -EIO;
}

/* C24, C28: the error of a child cancels its group, a report falls due while that goes through it,
 * and the hook cancels the child, which has all but ended: whoever has its stack next is not watched
 * in its place */
SCENARIO_WITH(C24_a_hook_cancels_one_that_ends, cancelling_in_reports())
{
	struct actor mule = SLOW(300), waits = SITS, next = EXIT(200, 0);
	co_group aside, g;

	co_group_begin(&aside, CO_GROUP_COLLECT);
	IS(co_cancel(spawn(&aside, actor, &mule), 0), 0);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, actor, &waits);
	from_hook[0] = from_hook[1] = from_hook[2] = spawn(&g, fails_late, NULL);
	IS(co_group_end(&g, 0), -EIO);
	AT(60);
	IS(reports()->count, 1);
	spawn(&aside, actor, &next);
	spawn(&aside, actor, &next);
	IS(co_group_end(&aside, 0), 0);
	IS(reports()->count, 1);
}

SUITE("contract-members", C28_a_whole_tree_is_cancelled_in_one_pass,
      C28_group_end_waits_uninterrupted, C22_members_spawn_during_group_end,
      C22_spawning_into_a_cancelled_group, C22_spawning_after_an_error_or_a_winner,
      C28_watchdog_names_children_that_ignore_a_cancel, C28_watchdog_of_any_cancel,
      C28_watchdog_of_several, C28_watchdog_after_a_stall, C28_watchdog_that_never_barks,
      C28_what_the_watchdog_says, C28_the_watchdog_and_one_that_runs_on, C28_watchdog_by_default,
      group_begun_without_memory, spawn_without_memory,
      C22_a_spawn_between_the_last_exit_and_the_end, C28_watchdog_counts_from_the_first_cancel,
      C28_watchdog_minds_no_inner_scope, C28_watchdog_minds_nobody_who_has_ended,
      C24_a_hook_cancels_amid_a_cancel, C22_a_hook_spawns_amid_a_cancel,
      C24_a_hook_cancels_at_each_of_many_reports, C24_a_hook_cancels_one_that_ends,
      group_begun_without_a_state)
