/*
 * Conformance scenarios, group G: cancellation points and fairness. Times are virtual
 * milliseconds, except where it says REAL. Those of the listed calls that exist are in the
 * tables.
 */
#include "actor.h"

static int point_yield(void *unused)
{
	(void)unused;
	return co_yield_now();
}

static int point_checkpoint(void *unused)
{
	(void)unused;
	return co_checkpoint();
}

static int point_sleep_0(void *unused)
{
	(void)unused;
	return co_sleep(0);
}

static int point_sleep_past(void *unused)
{
	(void)unused;
	return co_sleep_until(-1);
}

static int point_join_ended(void *ended)
{
	return co_join(*(co_ref *)ended, NULL);
}

static int point_join_until_ended(void *ended)
{
	return co_join_until(*(co_ref *)ended, NULL, 0);
}

static int point_start(void *g)
{
	return co_group_start(g, must_not_run, NULL, NULL);
}

static int point_wait_empty(void *g)
{
	return co_group_wait(g);
}

static int point_gather(void *unused)
{
	co_fn *const fns[] = { must_not_run, must_not_run };

	(void)unused;
	return co_gather(2, fns, NULL, NULL);
}

/* C6, C7, C17: each one fails at its entry and does nothing, also what could be had at once */
SCENARIO(S92_every_point_checks_at_entry)
{
	co_group full, open, empty;
	co_scope s = CO_SCOPE_INIT;
	struct props p;
	co_ref ended;
	int rc;
	/* clang-format off */
	const struct {
		const char *name;
		co_fn *call;
		void *arg;
	} points[] = {
		{ "yield", point_yield, NULL }, { "checkpoint", point_checkpoint, NULL },
		{ "sleep 0", point_sleep_0, NULL }, { "sleep_until in the past", point_sleep_past,
		  NULL },
		{ "join of an ended one", point_join_ended, &ended },
		{ "join_until of an ended one", point_join_until_ended, &ended },
		{ "group_start", point_start, &open }, { "group_wait, nobody there",
		  point_wait_empty, &empty },
		{ "gather", point_gather, NULL },
	};
	/* clang-format on */

	set_up(&p, &full, &open);
	ended = spawn(&open, sleep_ms, num(0));
	co_group_begin(&empty, CO_GROUP_COLLECT);
	settle();
	co_scope_begin(&s, CO_FOREVER);
	IS(co_scope_cancel(&s, EIO), 0);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < LENGTH(points); i++) {
			rc = points[i].call(points[i].arg);
			ck_assert_msg(rc == CANC, "%s: %d", points[i].name, rc);
		}
		for (size_t i = 0; i < LENGTH(waiting_calls); i++) {
			rc = waiting_calls[i].call(&p);
			ck_assert_msg(rc == CANC, "%s: %d", waiting_calls[i].name, rc);
		}
	}
	IS(co_scope_end(&s, CANC), -EIO);
	IS(join(ended), 0);
	IS(co_group_wait(&open), 0);
	IS(co_group_end(&empty, 0), 0);
	tear_down(&p);
	AT(0);
}

/* C17: what is no cancellation point works as ever */
SCENARIO(S93_others_never_fail_with_it)
{
	co_scope s = CO_SCOPE_INIT, t = CO_SCOPE_INIT, u = CO_SCOPE_INIT;
	struct co_cause cause;
	co_group aside, g;
	co_ref ref;

	co_group_begin(&aside, CO_GROUP_COLLECT);
	co_scope_begin(&s, CO_FOREVER);
	IS(co_scope_cancel(&s, EIO), 0);

	AT(0);
	IS(co_loop_now(), 0);
	ck_assert_uint_ne(co_self().id, 0);
	co_scope_begin(&t, MS(50));
	IS(co_scope_set_deadline(&t, MS(70)), 0);
	IS(co_scope_rearm(&t, MS(20)), 0);
	ck_assert(!co_scope_cancelled(&t));
	IS(co_scope_end(&t, 3), 3);
	co_scope_begin_shield(&u, MS(5));
	IS(co_scope_cancel(&u, 0), 0);
	IS(co_scope_end(&u, 4), 4);
	ref = spawn(&aside, sleep_forever, NULL);
	ck_assert(!co_was_cancelled(ref));
	IS(co_cancel(ref, 0), 0);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_group_limit(&g, 4);
	IS(co_group_cancel(&g, 0), 0);
	IS(co_group_errors(&g, NULL, 0), 0);
	IS(co_group_winner(&g, NULL, NULL), -ESRCH);
	IS(co_group_end(&g, 5), 5);
	IS(co_time_left(), 0);
	IS(co_cancel_cause(&cause), 0);
	IS(co_scope_cause(&s, &cause), 0);
	co_set_local(&g);
	ck_assert_ptr_eq(co_local(), &g);
	settle();

	IS(co_scope_end(&s, CANC), -EIO);
	IS(join(ref), CANC);
	IS(co_group_end(&aside, 0), 0);
}

/* C7 */
SCENARIO(S95_until_tries_first)
{
	struct actor done = { .exit = 3 }, busy = { .nap = 10, .letter = 'b' };
	co_group g;
	co_ref ref, other;
	int code = 99;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_group_wait_until(&g, -1), 0);
	ref = spawn(&g, actor, &done);
	IS(co_sleep(MS(5)), 0);
	IS(co_group_wait_until(&g, MS(1)), 0);
	IS(co_join_until(ref, &code, MS(1)), 0);
	IS(code, 3);
	other = spawn(&g, actor, &busy);
	IS(co_join_until(other, &code, MS(1)), TMO);
	IS(co_group_wait_until(&g, MS(1)), TMO);
	IS(busy.ran, 0);
	AT(5);
	IS(code, 3);
	IS(co_group_end(&g, 0), 0);
}

/* C7: the cancel beats the time that has passed, and what could be had */
SCENARIO(S96_until_in_a_cancelled_scope)
{
	struct actor done = { .exit = 3 }, busy = { .nap = 10 };
	co_scope s = CO_SCOPE_INIT;
	co_group g;
	co_ref ref, other;
	int code = 99;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ref = spawn(&g, actor, &done);
	other = spawn(&g, actor, &busy);
	IS(co_sleep(MS(5)), 0);
	co_scope_begin(&s, 0);
	IS(co_join_until(ref, &code, MS(1)), CANC);
	IS(co_join_until(ref, &code, CO_FOREVER), CANC);
	IS(co_join_until(other, &code, MS(1)), CANC);
	IS(co_group_wait_until(&g, MS(1)), CANC);
	IS(code, 99);
	IS(co_scope_end(&s, CANC), TMO);
	IS(join(ref), 3);
	IS(co_group_end(&g, 0), 0);
}

struct punctual {
	co_ns due;
	bool over;
};

static int punctual(void *arg)
{
	struct punctual *g = arg;

	IS(co_sleep_until(g->due), 0);
	ck_assert_int_ge(co_now(), g->due);
	g->over = true;
	return 0;
}

/* how often it went on in vain after g was due */
struct spinner {
	const struct punctual *g;
	int (*call)(void);
	long least, all, late;
};

static int spinner(void *arg)
{
	struct spinner *f = arg;

	for (f->all = 0; !f->g->over || f->all < f->least; f->all++) {
		f->late += !f->g->over && co_now() >= f->g->due;
		co_ignore(f->call());
	}
	return 0;
}

static int ignores_a_sleep(void)
{
	return co_sleep(CO_SEC(1000));
}

static int ignores_a_yield(void)
{
	return co_yield_now();
}

static int spin_on_a_cancel(void *unused)
{
	struct punctual p = { .due = co_now() + MS(5) };
	struct spinner f = { .g = &p, .call = ignores_a_sleep, .least = 1000000 };
	co_group g;
	co_ref ref;

	(void)unused;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, punctual, &p);
	IS(co_spawn_with(&g, spinner, &f, &ref, &(struct co_attr){ .name = "fidget" }), 0);
	IS(co_cancel(ref, 0), 0);
	IS(co_group_end(&g, 0), 0);
	ck_assert_int_le(f.late, 64 * 64 + 64);
	IS(reports()->count, 1);
	IS(reports()->kind[0], CO_REPORT_STORM);
	ck_assert_ptr_nonnull(strstr(reports()->text[0], "fidget"));
	return 0;
}

/* C19, C20, REAL: a pass at least every 64 points, a look at the clock at least every 64
 * switches */
START_TEST(S98_spinning_on_a_cancel_starves_none)
{
	play_real(spin_on_a_cancel, NULL);
}
END_TEST

static int spin_on_yields(void *unused)
{
	struct punctual p = { .due = co_now() + MS(10) };
	struct spinner f = { .g = &p, .call = ignores_a_yield };
	co_group g;

	(void)unused;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, punctual, &p);
	spawn(&g, spinner, &f);
	IS(co_group_end(&g, 0), 0);
	ck_assert_int_le(f.late, 2 * 64);
	IS(reports()->count, 0);
	return 0;
}

/* C20, REAL */
START_TEST(S99_yielding_sibling_does_not_delay_timers)
{
	play_real(spin_on_yields, NULL);
}
END_TEST

/* C17, C19: looks, and never switches */
SCENARIO(S101_checkpoint)
{
	struct actor other = { .letter = 'o' };
	co_scope s = CO_SCOPE_INIT;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, actor, &other);
	for (int i = 0; i < 1000; i++)
		IS(co_checkpoint(), 0);
	co_scope_begin(&s, CO_FOREVER);
	IS(co_checkpoint(), 0);
	IS(co_scope_cancel(&s, 0), 0);
	for (int i = 0; i < 1000; i++)
		IS(co_checkpoint(), CANC);
	IS(co_scope_end(&s, CANC), 0);
	IS(co_checkpoint(), 0);
	IS(other.ran, 0);
	IS(co_group_end(&g, 0), 0);
	IS(other.ran, 1);
}

SUITE("scenarios-points", S92_every_point_checks_at_entry, S93_others_never_fail_with_it,
      S95_until_tries_first, S96_until_in_a_cancelled_scope, S98_spinning_on_a_cancel_starves_none,
      S99_yielding_sibling_does_not_delay_timers, S101_checkpoint)
