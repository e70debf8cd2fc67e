/*
 * Conformance scenarios, group Q: the timer wheel seen through sleeps and the deadlines of
 * scopes. Times are virtual milliseconds; each test starts at 0.
 */
#include "actor.h"

#define YEAR (CO_SEC(86400) * 365)

/* one blocked in a scope; when it was woken, in ms */
struct waiter {
	co_scope scope;
	int in; /* ms of its deadline when begun */
	int rc, at;
	char letter;
};

static int waiter(void *arg)
{
	struct waiter *w = arg;

	co_scope_begin(&w->scope, MS(w->in));
	w->rc = co_sleep(CO_FOREVER);
	w->at = now_ms();
	if (w->letter)
		note(w->letter);
	IS(co_scope_end(&w->scope, 0), 0);
	return 0;
}

static void move(struct waiter *w, int ms)
{
	IS(co_scope_set_deadline(&w->scope, MS(ms)), 0);
}

SCENARIO(S239_insert_in_the_past_fires_at_once)
{
	struct waiter w = { .in = 500 };
	struct nap n[] = { { .dur = 0 }, { .dur = -MS(5) }, { .dur = INT64_MIN } };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_sleep(MS(100)), 0);
	IS(co_sleep_until(MS(50)), 0);
	IS(co_sleep_until(INT64_MIN), 0);
	for (int i = 0; i < 3; i++)
		spawn(&g, nap, &n[i]);
	spawn(&g, waiter, &w);
	settle();
	for (int i = 0; i < 3; i++)
		ck_assert(n[i].over);
	move(&w, 50);
	settle();
	IS(w.rc, CANC);
	IS(w.at, 100);
	IS(co_group_end(&g, 0), 0);
	AT(100);
}

SCENARIO(S240_earlier_insert_after_a_later_one)
{
	struct actor late = { .nap = 10000, .letter = 'l' }, soon = { .nap = 600, .letter = 's' };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, actor, &late);
	spawn(&g, actor, &soon);
	IS(co_group_end(&g, 0), 0);
	ck_assert_str_eq(notes(), "sl");
	IS(soon.at, 600);
	IS(late.at, 10000);
}

/* each line: begun with `in`, moved at `when[]` to `to[]`, fires at `fires` */
SCENARIO(S242_reset_within_and_across_levels)
{
	/* clang-format off */
	static const struct {
		int in, when[3], to[3], fires;
	} lines[] = {
		{ 200, { 4 }, { 10 }, 10 },
		{ 200, { 0, 0 }, { 50, 40 }, 40 },
		{ 200, { 4, 5 }, { 50, 40 }, 40 },
		{ 50, { 40 }, { 4000000 }, 4000000 },
		{ 10, { 5, 9, 99999 }, { 100, 100000, 100003 }, 100003 },
		{ 400000, { 7, 8, 9 }, { 70, 700000, 10 }, 10 },
		{ 64, { 63 }, { 65 }, 65 },
		{ 64, { 63 }, { 64 }, 64 },
	};
	/* clang-format on */
	co_group g;

	for (size_t i = 0; i < LENGTH(lines); i++) {
		struct waiter w = { .in = lines[i].in };
		int from = now_ms();

		co_group_begin(&g, CO_GROUP_FAIL_FAST);
		spawn(&g, waiter, &w);
		settle();
		for (int k = 0; k < 3 && lines[i].to[k]; k++) {
			advance(MS(from + lines[i].when[k]) - co_now());
			IS(w.rc, 0);
			move(&w, from + lines[i].to[k]);
		}
		IS(co_group_end(&g, 0), 0);
		IS(w.rc, CANC);
		IS(w.at - from, lines[i].fires);
	}
}

SCENARIO(S243_multi_reset)
{
	struct waiter one = { .in = 200 }, two[2] = { { .in = 250 }, { .in = 250 } };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, waiter, &one);
	spawn(&g, waiter, &two[0]);
	spawn(&g, waiter, &two[1]);
	advance(MS(50));
	move(&one, 300);
	move(&two[0], 350);
	move(&two[1], 350);
	advance(MS(50));
	move(&one, 400);
	IS(co_group_end(&g, 0), 0);
	IS(one.at, 400);
	IS(two[0].at, 350);
	IS(two[1].at, 350);
}

/* the scenario's numbers as ms and as ns */
SCENARIO(S245_cascade_boundaries)
{
	static const int64_t delays[] = { 1000, 2,  234,  262144 + 36864, 60,	10,	63,
					  64,	65, 4095, 4096,		  4097, 1 << 24 };
	struct nap n[2 * LENGTH(delays)];
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (size_t i = 0; i < LENGTH(n); i++) {
		n[i] = (struct nap){ .dur = delays[i / 2] * (i & 1 ? MS(1) : 1) };
		spawn(&g, nap, &n[i]);
	}
	IS(co_group_end(&g, 0), 0);
	for (size_t i = 0; i < LENGTH(n); i++) {
		IS(n[i].rc, 0);
		IS(n[i].at, n[i].dur);
	}
}

/* an operation and a scope, three years and 290 years off */
SCENARIO(S246_beyond_the_wheels_range)
{
	static const co_ns years[] = { 3 * YEAR, 290 * YEAR };
	co_scope s = CO_SCOPE_INIT;
	co_ns from;

	for (size_t i = 0; i < LENGTH(years); i++) {
		from = co_now();
		s = (co_scope)CO_SCOPE_INIT;
		co_scope_begin(&s, years[i] / 2 - 1);
		IS(co_sleep(CO_FOREVER), CANC);
		IS(co_now() - from, years[i] / 2 - 1);
		IS(co_scope_end(&s, CANC), TMO);
		if (i == 0)
			IS(co_sleep(years[i] / 2 + 1), 0);
	}
}

static struct waiter crowd[100];

static int cancels_the_crowd(void *unused)
{
	(void)unused;
	IS(co_sleep(MS(10)), 0);
	for (size_t i = 0; i < LENGTH(crowd); i++)
		IS(co_scope_cancel(&crowd[i].scope, 0), 0);
	return 0;
}

SCENARIO(S248_cancel_many_not_yet_due_inside_a_wake)
{
	struct actor last = { .nap = 15 };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (size_t i = 0; i < LENGTH(crowd); i++) {
		crowd[i] = (struct waiter){ .in = 20 };
		spawn(&g, waiter, &crowd[i]);
	}
	spawn(&g, cancels_the_crowd, NULL);
	spawn(&g, actor, &last);
	IS(co_group_end(&g, 0), 0);
	AT(15);
	for (size_t i = 0; i < LENGTH(crowd); i++) {
		IS(crowd[i].rc, CANC);
		IS(crowd[i].at, 10);
	}
	IS(co_sleep(MS(1)), 0);
	AT(16);
}

struct remover {
	co_ref b;
	int rc;
};

static int remover(void *arg)
{
	struct remover *a = arg;

	IS(co_sleep(MS(5)), 0);
	note('a');
	a->rc = co_cancel(a->b, 0);
	return 0;
}

/* b, due with a at first, is moved to c's instant and removed in a's wake */
SCENARIO(S249_same_slot_removal_during_iteration)
{
	struct waiter b = { .in = 5, .letter = 'b' };
	struct actor c = { .nap = 10, .letter = 'c' };
	struct remover a = { .rc = 99 };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, remover, &a);
	a.b = spawn(&g, waiter, &b);
	spawn(&g, actor, &c);
	settle();
	move(&b, 10);
	IS(co_group_end(&g, 0), 0);
	ck_assert_str_eq(notes(), "abc");
	IS(a.rc, 0);
	IS(b.at, 5);
	IS(c.at, 10);
	AT(10);
}

SUITE("scenarios-wheel", S239_insert_in_the_past_fires_at_once,
      S240_earlier_insert_after_a_later_one, S242_reset_within_and_across_levels, S243_multi_reset,
      S245_cascade_boundaries, S246_beyond_the_wheels_range,
      S248_cancel_many_not_yet_due_inside_a_wake, S249_same_slot_removal_during_iteration)
