/*
 * Conformance scenarios, group S: shutdown, detached coroutines, re-entrancy. Times are
 * virtual milliseconds.
 */
#include "actor.h"

static int leaves_at_10(void *detached)
{
	IS(co_spawn_with(NULL, actor, detached, NULL, &(struct co_attr){ .name = "straggler" }), 0);
	return co_sleep(MS(10));
}

/* C29 */
START_TEST(S264_detached_cancelled_after_main_returns)
{
	struct actor detached = { .nap = 10000 };

	PLAY_WITH(leaves_at_10, &detached, hearing());
	IS(detached.woke, CANC);
	IS(detached.at, 10);
	IS(reports()->count, 0);
}
END_TEST

/* C29 */
START_TEST(S266_detached_ignores_the_cancel)
{
	struct actor detached = { .nap = EVER, .cleanup = 1000 };
	struct co_options *opt = hearing();
	int code = -1;

	opt->grace = MS(50);
	IS(co_run(leaves_at_10, &detached, opt, &code), -ETIMEDOUT);
	IS(code, 0);
	IS(detached.at, 10);
	IS(detached.left, 0);
	IS(reports()->count, 1);
	IS(reports()->kind[0], CO_REPORT_STUCK_AT_EXIT);
	ck_assert_ptr_nonnull(strstr(reports()->text[0], "straggler"));
}
END_TEST

static int spawns_late(void *refused)
{
	IS(co_sleep(CO_FOREVER), CANC);
	*(int *)refused = co_spawn(NULL, must_not_run, NULL, NULL);
	return 0;
}

static int leaves_one_that_spawns(void *refused)
{
	IS(co_spawn(NULL, spawns_late, refused, NULL), 0);
	return co_sleep(MS(10));
}

/* C10, C22 */
START_TEST(S267_spawn_detached_during_shutdown)
{
	int refused = 0;

	PLAY_WITH(leaves_one_that_spawns, &refused, hearing());
	IS(refused, CANC);
}
END_TEST

/* C39 */
SCENARIO_WITH(S269_error_in_a_detached_coroutine, hearing())
{
	struct actor fails = { .nap = 5, .exit = -EIO };

	IS(co_spawn_with(NULL, actor, &fails, NULL, &(struct co_attr){ .name = "unlucky" }), 0);
	IS(co_sleep(MS(10)), 0);
	IS(reports()->count, 1);
	IS(reports()->kind[0], CO_REPORT_DETACHED_ERROR);
	ck_assert_ptr_nonnull(strstr(reports()->text[0], "unlucky"));
	ck_assert(!co_was_cancelled(co_self()));
}

struct feud {
	co_ref other;
	int woke, struck;
};

static int feud(void *arg)
{
	struct feud *f = arg;

	f->woke = co_sleep(CO_FOREVER);
	f->struck = co_cancel(f->other, EIO);
	note('x');
	return f->woke;
}

/* C23: marks and enqueues, no more */
SCENARIO(S270_cancel_called_from_a_cleanup)
{
	struct feud f = { .woke = 0 }, h = { .woke = 0 };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	h.other = spawn(&g, feud, &f);
	f.other = spawn(&g, feud, &h);
	settle();
	IS(co_cancel(h.other, 0), 0);
	IS(co_group_end(&g, 0), 0);
	AT(0);
	ck_assert_str_eq(notes(), "xx");
	IS(f.woke, CANC);
	IS(h.woke, CANC);
	IS(f.struck, 0);
	IS(h.struck, -ESRCH);
}

static struct actor orphan = { .nap = EVER, .cleanup = 20 };

static int leaves_a_group(void *unused)
{
	static co_group g;

	(void)unused;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, actor, &orphan);
	IS(co_sleep(MS(10)), 0);
	return 3;
}

/* C39 */
START_TEST(S272_main_returns_with_an_open_group)
{
	int code = -1;

	IS(co_run(leaves_a_group, NULL, hearing(), &code), 0);
	IS(code, 3);
	IS(misuses()->count, 1);
	IS(misuses()->kind[0], CO_MISUSE_GROUP);
	IS(orphan.woke, CANC);
	IS(orphan.left, 30);
}
END_TEST

/* C11: o is cancelled by one that runs in the pass in which i ends, before that or after it */
SCENARIO(S275_cancel_during_scope_end)
{
	for (int before = 0; before < 2; before++) {
		co_scope o = CO_SCOPE_INIT, i = CO_SCOPE_INIT;
		struct strike k = { .at = co_now() + MS(10), .scope = &o };
		co_group g;
		int rc;

		co_group_begin(&g, CO_GROUP_FAIL_FAST);
		if (before) {
			spawn(&g, strike, &k);
			settle();
		}
		co_scope_begin(&o, CO_FOREVER);
		co_scope_begin_at(&i, k.at, 0);
		rc = co_sleep(CO_FOREVER);
		IS(rc, CANC);
		rc = co_scope_end(&i, rc);
		IS(rc, before ? CANC : TMO);
		IS(co_scope_caught(&i), !before);
		if (!before)
			IS(co_scope_cancel(&o, 0), 0);
		IS(co_yield_now(), CANC);
		IS(co_scope_end(&o, rc), before ? 0 : TMO);
		IS(co_group_end(&g, 0), 0);
	}
}

static bool flag;

static int sets_the_flag(void *unused)
{
	(void)unused;
	IS(co_sleep(MS(10)), 0);
	flag = true;
	return 0;
}

/* C38: time stands while one spins, which is said once. It gives up when it has spun as long
 * again. */
SCENARIO_WITH(S276_yield_spin_under_a_virtual_clock, hearing())
{
	long spins = 0, reported_at = 0;
	int rc = 0;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, sets_the_flag, NULL);
	while (!flag && (!reported_at || spins < 2 * reported_at + 1000)) {
		rc |= co_yield_now();
		if (++spins == 50 * 1000 * 1000)
			ck_abort_msg("never reported");
		if (!reported_at && reports()->count)
			reported_at = spins;
	}
	IS(rc, 0);
	ck_assert(!flag);
	AT(0);
	IS(reports()->count, 1);
	IS(reports()->kind[0], CO_REPORT_SPIN);
	IS(co_group_end(&g, 0), 0);
	ck_assert(flag);
}

static void on_post_nothing(struct co_post_node *node)
{
	(void)node;
}

/* Nor is it a spin when something happens from time to time: a timer, or a post. */
SCENARIO_WITH(S276_busy_but_no_spin, hearing())
{
	static struct co_post_node node = { .fn = on_post_nothing };
	int rc = 0;

	for (int i = 0; i < 2400000; i++) {
		if (i % 1200000 == 600000)
			IS(co_post(co_loop_self(), &node), 0);
		if (i == 1200000)
			IS(co_sleep(1), 0);
		rc |= co_yield_now();
	}
	IS(rc, 0);
	IS(co_now(), 1);
	IS(reports()->count, 0);
}

/* C27 */
SCENARIO(S278_positive_body_value_a_child_cut_short)
{
	struct actor child = { .nap = EVER }, done = { .nap = 5 };
	co_scope s = CO_SCOPE_INIT;
	co_group g;

	co_scope_begin(&s, MS(10));
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, actor, &done);
	spawn(&g, actor, &child);
	IS(co_group_end(&g, 5), CANC);
	AT(10);
	IS(co_scope_end(&s, CANC), TMO);
}

SUITE("scenarios-shutdown", S264_detached_cancelled_after_main_returns,
      S266_detached_ignores_the_cancel, S267_spawn_detached_during_shutdown,
      S269_error_in_a_detached_coroutine, S270_cancel_called_from_a_cleanup,
      S272_main_returns_with_an_open_group, S275_cancel_during_scope_end,
      S276_yield_spin_under_a_virtual_clock, S276_busy_but_no_spin,
      S278_positive_body_value_a_child_cut_short)
