/*
 * co_group_start and co_gather: every way in which they end (C26 and C27 for the groups they
 * work in, C8 for the races).
 */
#include "actor.h"

struct starter {
	int before, after; /* ms of sleep around co_started */
	bool starts;
	int64_t value;
	int rc, cleanup;
	int got, left; /* what the sleeps gave; when it ended */
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

/* C26 and the note of co_group_start */
SCENARIO(start_outcomes)
{
	/* clang-format off */
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
	struct starter t = { .before = 1000, .cleanup = 20 };
	struct starter late = { .before = 1000, .starts = true, .value = 8 };
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

/* C8: the caller is cancelled, and before it runs the child ends by itself, or by the same
 * cancel: main runs first */
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

/* C8: cancelled, and only then started: the cancel stands, the child is cut all the same */
SCENARIO(start_cut_and_the_child_starts_before_the_caller_runs)
{
	co_group aside, g;
	struct start_call c = { .g = &g, .child = { 10, 50, true, 5, .rc = 0 } };
	co_ref ref;

	co_group_begin(&aside, CO_GROUP_FAIL_FAST);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ref = spawn(&aside, start_call, &c);
	IS(co_sleep(MS(10)), 0);
	IS(co_cancel(ref, 0), 0);
	settle();
	IS(c.rc, CANC);
	IS(c.child.got, CANC);
	IS(c.child.left, 10);
	IS(co_group_end(&g, 0), 0);
	IS(co_group_end(&aside, 0), 0);
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

static int starts_for_another(void *unused)
{
	(void)unused;
	co_started(5);
	return 0;
}

static int has_its_child_call(void *unused)
{
	co_group g;

	(void)unused;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, starts_for_another, NULL);
	return co_group_end(&g, 0);
}

/* co_started counts in the child itself only */
SCENARIO(started_by_a_grandchild)
{
	int64_t value = 1;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_group_start(&g, has_its_child_call, NULL, &value), -EPIPE);
	IS(value, 1);
	IS(co_group_end(&g, 0), 0);
}

static int waits_for_its_own_group(void *g)
{
	return co_group_wait(g);
}

/* like joining oneself (C25) */
SCENARIO(a_member_cannot_wait_for_its_group)
{
	co_group g;

	co_group_begin(&g, CO_GROUP_COLLECT);
	IS(join(spawn(&g, waits_for_its_own_group, &g)), -EDEADLK);
	IS(co_group_end(&g, 0), 0);
}

static int starts_and_cleans_up(void *arg)
{
	IS(co_sleep(CO_FOREVER), CANC);
	co_started(7);
	calm_ms(20);
	note('k');
	return *(int *)arg;
}

/* it was cut, and says all the same that it has started: the caller waits for its end as before */
SCENARIO(start_cut_and_a_late_start_ends_nothing)
{
	static const int exits[] = { 0, -EIO };

	for (size_t i = 0; i < LENGTH(exits); i++) {
		int from = now_ms(), exit_code = exits[i];
		co_scope s = CO_SCOPE_INIT;
		int64_t value = 1;
		co_group g;

		co_group_begin(&g, CO_GROUP_COLLECT);
		co_scope_begin(&s, MS(10));
		IS(co_group_start(&g, starts_and_cleans_up, &exit_code, &value), CANC);
		IS(now_ms() - from, 30);
		IS((int)strlen(notes()), (int)i + 1);
		IS(value, 1);
		IS(co_scope_end(&s, CANC), TMO);
		IS(co_group_end(&g, 0), 0);
	}
}

/* ----------------------------------------------------------------------------------- gather */

/* C26, C27 through co_gather: a FAIL_FAST group with rc 0 */
SCENARIO(gather_outcomes)
{
	static const struct {
		int n;
		struct actor part[4];
		int outer, rc, at, exits[4];
	} cases[] = {
		{ 0, .rc = 0 },
		{ 3, { EXIT(30, 0), EXIT(10, 7), EXIT(0, 2) },
		  .rc = 0, .at = 30, .exits = { 0, 7, 2 } },
		{ 3, { EXIT(30, 0), EXIT(10, -EIO), EXIT(5, 2) },
		  .rc = -EIO, .at = 10, .exits = { CANC, -EIO, 2 } },
		{ 2, { EXIT(20, -EPERM), EXIT(10, -EIO) },
		  .rc = -EIO, .at = 10, .exits = { CANC, -EIO } },
		{ 2, { { .nap = EVER, .answers = true, .answer = -EPROTO }, EXIT(10, -EIO) },
		  .rc = -EIO, .at = 10, .exits = { -EPROTO, -EIO } },
		{ 2, { EXIT(10, 4), SITS },
		  .outer = 20, .rc = CANC, .at = 20, .exits = { 4, CANC } },
		{ 2, { EXIT(10, 4), SLOW(30) },
		  .outer = 20, .rc = CANC, .at = 50, .exits = { 4, CANC } },
		{ 2, { EXIT(10, 4), { .nap = EVER, .answers = true, .answer = 1 } },
		  .outer = 20, .rc = 0, .at = 20, .exits = { 4, 1 } },
		{ 2, { SITS, EXIT(10, CANC) }, .rc = CANC, .at = 10, .exits = { CANC, CANC } },
	};
	/* clang-format on */
	co_fn *const fns[] = { actor, actor, actor, actor };

	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct actor part[4];
		void *const args[] = { &part[0], &part[1], &part[2], &part[3] };
		int exits[4] = { 99, 99, 99, 99 }, from = now_ms(), rc, at;
		co_scope s = CO_SCOPE_INIT;

		memcpy(part, cases[i].part, sizeof(part));
		co_scope_begin(&s, cases[i].outer ? MS(cases[i].outer) : CO_FOREVER);
		rc = co_gather(cases[i].n, fns, args, exits);
		ck_assert_msg(rc == cases[i].rc, "case %zu: %d", i, rc);
		at = now_ms() - from;
		ck_assert_msg(at == cases[i].at, "case %zu: at %d", i, at);
		for (int k = 0; k < 4; k++)
			ck_assert_msg(exits[k] == (k < cases[i].n ? cases[i].exits[k] : 99),
				      "case %zu: %d", i, k);
		IS(co_scope_end(&s, rc), cases[i].outer && rc ? TMO : rc);
	}
}

/* C6, C7: a cancellation point with nothing started; and its bad arguments */
SCENARIO(gather_refusals)
{
	co_fn *const fns[] = { must_not_run, must_not_run };
	co_fn *const holes[] = { must_not_run, NULL };
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

static int allocations_left; /* then one fails; negative: none does */

static void *fails_once(size_t size, void *unused)
{
	(void)unused;
	return allocations_left-- == 0 ? NULL : malloc(size);
}

static void gives_back(void *ptr, size_t size, void *unused)
{
	(void)size;
	(void)unused;
	free(ptr);
}

static struct co_options *short_of_memory(void)
{
	static struct co_options opt = { .clock = CO_CLOCK_VIRTUAL,
					 .alloc = { .alloc = fails_once, .free = gives_back } };

	allocations_left = -1;
	return &opt;
}

/* one could not be spawned: those before it are cut, those after it are not started either */
SCENARIO_WITH(gather_without_memory_for_all, short_of_memory())
{
	static co_fn *fns[1000];
	static int exits[1000];
	int rc, started = 0, last;

	for (size_t i = 0; i < LENGTH(fns); i++) {
		fns[i] = i == 0 ? five : sleep_forever;
		exits[i] = 99;
	}
	allocations_left = 1;
	rc = co_gather((int)LENGTH(fns), fns, NULL, exits);
	ck_assert_int_lt(allocations_left, 0);
	allocations_left = -1;
	IS(rc, -ENOMEM);
	IS(exits[0], 5);
	last = exits[LENGTH(fns) - 1];
	IS(last, CANC);
	for (size_t i = 1; i < LENGTH(fns); i++)
		started += exits[i] != CANC;
	IS(started, 0);
}

static size_t stacks(void)
{
	struct co_stats now;

	IS(co_stats(&now), 0);
	IS((int)now.live, 1);
	return now.stacks_madvise + now.stacks_mprotect + now.stacks_canary;
}

/* whichever allocation it is that fails, no stack is lost */
SCENARIO_WITH(gather_without_memory_keeps_no_stack, short_of_memory())
{
	static co_fn *fns[300];
	size_t before;
	int rc;

	for (size_t i = 0; i < LENGTH(fns); i++)
		fns[i] = five;
	IS(co_gather(1, fns, NULL, NULL), 0);
	before = stacks();
	for (int n = 0; allocations_left < 0; n++) {
		allocations_left = n;
		rc = co_gather((int)LENGTH(fns), fns, NULL, NULL);
		IS(rc, allocations_left < 0 ? -ENOMEM : 0);
		ck_assert_uint_eq(stacks(), before);
	}
}

SUITE("contract-start", start_outcomes, start_cut_by_the_callers_deadline,
      start_cut_and_the_child_fails, start_cut_by_a_sibling, C8_started_then_cancelled,
      start_cut_and_the_child_ends_before_the_caller_runs,
      start_cut_and_the_child_starts_before_the_caller_runs, started_elsewhere_or_again,
      started_by_a_grandchild, a_member_cannot_wait_for_its_group, gather_outcomes, gather_refusals,
      gather_nested_and_without_args_or_exits, start_cut_and_a_late_start_ends_nothing,
      gather_without_memory_for_all, gather_without_memory_keeps_no_stack)
