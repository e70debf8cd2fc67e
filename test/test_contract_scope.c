/*
 * Clauses C3 to C6 of the contract: how scopes nest, what cancels them, how far that reaches, and
 * that it stays so.
 */
#include "scenario.h"

#include <limits.h>

/* Groups one in another. */
static int deep(void *arg)
{
	intptr_t depth = (intptr_t)arg;
	co_group g;

	if (depth == 0)
		return co_sleep(MS(1000));
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, deep, num(depth - 1));
	return co_group_end(&g, 0);
}

/* ---------------------------------------------------------------------------------- C3 */

SCENARIO_WITH(C3_scopes_and_groups_nest, hearing())
{
	co_scope a = CO_SCOPE_INIT;
	co_scope b = CO_SCOPE_INIT;
	co_group g, inner;

	co_scope_begin(&a, MS(100));
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, sleep_ms, num(5));
	co_scope_begin(&b, MS(50));
	co_group_begin(&inner, CO_GROUP_FAIL_FAST);
	spawn(&inner, sleep_ms, num(10));
	IS(co_deadline(), MS(50));
	IS(co_group_end(&inner, 0), 0);
	AT(10);
	IS(co_scope_end(&b, 0), 0);
	IS(co_deadline(), MS(100));
	IS(co_group_end(&g, 0), 0);
	IS(co_scope_end(&a, 0), 0);
	IS(co_deadline(), CO_FOREVER);
	IS(misuses()->count, 0);
}

static co_scope in_static_memory;

static int keep_a_frame(void *arg)
{
	co_scope lent = CO_SCOPE_INIT;

	*(co_scope **)arg = &lent;
	return co_sleep(MS(100));
}

SCENARIO(C3_the_object_may_lie_anywhere)
{
	co_scope *on_heap = calloc(1, sizeof(*on_heap));
	co_scope *lent = NULL;
	struct lone f;

	lone_start(&f, keep_a_frame, &lent);
	settle();
	co_scope_begin(&in_static_memory, MS(30));
	co_scope_begin(on_heap, MS(20));
	co_scope_begin(lent, MS(10));
	IS(co_scope_end(lent, co_sleep(CO_FOREVER)), TMO);
	AT(10);
	IS(co_scope_end(on_heap, co_sleep(CO_FOREVER)), TMO);
	AT(20);
	memset(on_heap, 0xa5, sizeof(*on_heap));
	free(on_heap);
	IS(co_scope_end(&in_static_memory, co_sleep(CO_FOREVER)), TMO);
	AT(30);
	IS(lone_end(&f), 0);
}

struct interleaved {
	co_ns first, second;
};

static int interleave(void *arg)
{
	const struct interleaved *i = arg;
	co_scope outer = CO_SCOPE_INIT;
	co_scope inner = CO_SCOPE_INIT;
	co_ns begun = co_now();

	co_scope_begin(&outer, i->second);
	IS(co_yield_now(), 0);
	co_scope_begin(&inner, i->first);
	IS(co_scope_end(&inner, co_sleep(CO_FOREVER)), TMO);
	IS(co_now(), begun + i->first);
	IS(co_scope_end(&outer, co_sleep(CO_FOREVER)), TMO);
	IS(co_now(), begun + i->second);
	return 0;
}

SCENARIO_WITH(C3_nesting_is_per_coroutine, hearing())
{
	struct interleaved a = { MS(10), MS(40) };
	struct interleaved b = { MS(20), MS(30) };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, interleave, &a);
	spawn(&g, interleave, &b);
	IS(co_group_end(&g, 0), 0);
	IS(misuses()->count, 0);
}

struct spawner {
	co_group *group;
	struct nap nap;
};

/* Spawns into another's group from within a cancelled shield of its own. */
static int spawn_from_afar(void *arg)
{
	struct spawner *s = arg;
	co_scope h = CO_SCOPE_INIT;

	co_scope_begin_shield(&h, MS(1000));
	IS(co_scope_cancel(&h, 0), 0);
	spawn(s->group, nap, &s->nap);
	return co_scope_end(&h, 0);
}

SCENARIO(C3_a_child_hangs_under_its_group_not_its_spawner)
{
	struct spawner far = { .nap = { .dur = MS(50) } };
	struct nap near = { .dur = MS(50) };
	co_scope s = CO_SCOPE_INIT;
	struct lone f;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	far.group = &g;
	lone_start(&f, spawn_from_afar, &far);
	begin_cancelled(&s, EPIPE);
	spawn(&g, nap, &near);
	IS(co_scope_end(&s, 0), 0);
	IS(lone_end(&f), 0);
	IS(co_group_end(&g, 0), 0);
	IS(near.rc, 0);
	IS(far.nap.rc, 0);
	IS(far.nap.at, MS(50));
}

SCENARIO(C3_a_child_spawned_in_a_shield_is_not_shielded)
{
	struct nap n = { .dur = MS(50) };
	co_scope h = CO_SCOPE_INIT;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_scope_begin_shield(&h, MS(100));
	spawn(&g, nap, &n);
	IS(co_sleep(MS(10)), 0);
	IS(co_group_cancel(&g, 0), 0);
	IS(co_sleep(MS(10)), 0);
	IS(co_scope_end(&h, 0), 0);
	IS(n.rc, CANC);
	IS(n.at, MS(10));
	IS(co_group_end(&g, 0), 0);
}

static int spawn_detached_nap(void *arg)
{
	co_scope s = CO_SCOPE_INIT;

	IS(co_cancel(co_self(), 0), 0);
	begin_cancelled(&s, 0);
	IS(co_spawn(NULL, nap, arg, NULL), 0);
	return co_scope_end(&s, CANC);
}

SCENARIO(C3_the_detached_hang_under_the_runtime)
{
	struct nap n = { .dur = MS(50) };
	struct lone f;

	lone_start(&f, spawn_detached_nap, &n);
	IS(lone_end(&f), CANC);
	IS(co_sleep(MS(60)), 0);
	ck_assert(n.over);
	IS(n.rc, 0);
	IS(n.at, MS(50));
}

/* Deeper than any block of nodes: inner ones due first, then outer ones due first. */
SCENARIO(C3_a_thousand_scopes_nest)
{
	enum { N = 1000 };
	co_scope *s = calloc(N, sizeof(*s));

	for (int k = 0; k < N; k++)
		co_scope_begin_at(&s[k], MS(2 * N - k), 0);
	for (int k = N - 1; k >= 0; k--) {
		IS(co_deadline(), MS(2 * N - k));
		IS(co_scope_end(&s[k], co_sleep(CO_FOREVER)), TMO);
		AT(2 * N - k);
	}
	memset(s, 0, N * sizeof(*s));
	for (int k = 0; k < N; k++)
		co_scope_begin_at(&s[k], MS(3 * N + k), 0);
	IS(co_sleep(CO_FOREVER), CANC);
	AT(3 * N);
	for (int k = N - 1; k >= 0; k--)
		IS(co_scope_end(&s[k], CANC), k ? CANC : TMO);
	free(s);
}

static int emit_in_scopes(co_gen *gen, void *unused)
{
	co_scope s = CO_SCOPE_INIT;

	(void)unused;
	co_scope_begin(&s, MS(10));
	IS(co_scope_end(&s, co_sleep(CO_FOREVER)), TMO);
	IS(co_timeout(MS(10), sleep_forever, NULL), TMO);
	IS(co_deadline(), MS(100));
	IS(co_gen_emit(gen, NULL, NULL), 0);
	s = (co_scope)CO_SCOPE_INIT;
	co_scope_begin(&s, MS(1000));
	return co_scope_end(&s, co_sleep(CO_FOREVER));
}

/* The scopes of the coroutine that asked, on another stack than its own. */
SCENARIO_WITH(C3_scopes_on_a_generator_s_stack, hearing())
{
	co_scope o = CO_SCOPE_INIT;
	co_gen *gen = NULL;
	void *value;

	IS(co_gen_make(&gen, emit_in_scopes, NULL, NULL), 0);
	co_scope_begin(&o, MS(100));
	IS(co_gen_next(gen, &value), 1);
	AT(20);
	IS(co_gen_next(gen, &value), CANC);
	AT(100);
	IS(co_scope_end(&o, CANC), TMO);
	co_gen_free(gen);
	IS(misuses()->count, 0);
}

/* ------------------------------------------------------------- C4: begins without memory */

static bool refuse_memory;
static size_t held;	/* bytes */

static void *hold(size_t size, void *ctx)
{
	void *ptr = refuse_memory ? NULL : malloc(size);

	(void)ctx;
	held += ptr ? size : 0;
	return ptr;
}

static void release(void *ptr, size_t size, void *ctx)
{
	(void)ctx;
	held -= ptr ? size : 0;
	free(ptr);
}

static void use_born_cancelled(co_scope *s)
{
	int err;

	IS(cause_of(s, &err), CO_CAUSE_EXPLICIT);
	IS(err, ENOMEM);
	IS(co_time_left(), 0);
	IS(co_scope_rearm(s, MS(10)), -EALREADY);
	IS(co_sleep(MS(1)), CANC);
	IS(co_scope_end(s, CANC), -ENOMEM);
	ck_assert(co_scope_caught(s));
}

static int begin_without_memory(void *unused)
{
	enum { N = 4096 };
	co_scope *s = calloc(N, sizeof(*s));
	struct nap never = { .dur = 1 };
	co_group g;
	int k = 0;

	(void)unused;
	refuse_memory = true;
	do {
		ck_assert_int_lt(k, N);
		co_scope_begin(&s[k], MS(100));
	} while (!co_scope_cancelled(&s[k++]));
	ck_assert_int_gt(k, 4);
	use_born_cancelled(&s[--k]);
	IS(co_checkpoint(), 0);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_checkpoint(), CANC);
	IS(co_spawn(&g, nap, &never, NULL), CANC);
	IS(co_group_end(&g, CANC), -ENOMEM);
	refuse_memory = false;
	while (k-- > 0)
		IS(co_scope_end(&s[k], co_sleep(MS(1))), 0);
	ck_assert(!never.over);
	IS(deep(num(5)), 0);
	free(s);
	return 0;
}

/* C4, C13; and nothing is left of it. */
START_TEST(C4_a_scope_without_memory_is_born_cancelled)
{
	struct co_options opt = *hearing();

	opt.alloc = (struct co_alloc){ hold, release, NULL };
	run_well("begin_without_memory", begin_without_memory, &opt);
	ck_assert_uint_eq(held, 0);
	IS(misuses()->count, 0);
}
END_TEST

/* With a state of a group at hand: the scope is what there is no memory for. */
static int group_without_a_node(void *unused)
{
	co_scope s[64];
	co_group g;
	int k = 0;

	(void)unused;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_group_end(&g, 0), 0);
	refuse_memory = true;
	do {
		ck_assert_int_lt(k, 64);
		s[k] = (co_scope)CO_SCOPE_INIT;
		co_scope_begin(&s[k], MS(100));
	} while (!co_scope_cancelled(&s[k++]));
	use_born_cancelled(&s[--k]);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_spawn(&g, nap, NULL, NULL), CANC);
	IS(co_group_end(&g, co_group_wait(&g)), -ENOMEM);
	refuse_memory = false;
	while (k-- > 0)
		IS(co_scope_end(&s[k], 0), 0);
	IS(deep(num(5)), 0);
	return 0;
}

START_TEST(C4_a_group_without_a_node_is_born_cancelled)
{
	struct co_options opt = *hearing();

	opt.alloc = (struct co_alloc){ hold, release, NULL };
	run_well("group_without_a_node", group_without_a_node, &opt);
	ck_assert_uint_eq(held, 0);
	IS(misuses()->count, 0);
}
END_TEST

/* Inside of one that was born cancelled: a shield hides that one, but has no memory of its own; all
 * else is cut by both, and the outer one answers. */
static void use_without_any_node(void)
{
	co_scope s = CO_SCOPE_INIT;
	co_scope h = CO_SCOPE_INIT;
	co_scope b;
	co_group g;
	int ran = 0, err;

	co_scope_begin_shield(&h, MS(100));
	IS(co_sleep(MS(1)), CANC);
	IS(co_scope_end(&h, CANC), -ENOMEM);
	ck_assert(co_scope_caught(&h));
	h = (co_scope)CO_SCOPE_INIT;
	co_scope_begin_shield(&h, MS(100));
	IS(co_scope_end(&h, 7), 7);
	ck_assert(!co_scope_caught(&h));
	co_scope_begin(&s, MS(100));
	IS(cause_of(&s, &err), CO_CAUSE_EXPLICIT);
	IS(err, ENOMEM);
	IS(co_scope_rearm(&s, MS(10)), -EALREADY);
	IS(co_scope_set_deadline(&s, MS(10)), -EALREADY);
	IS(co_scope_cancel(&s, EIO), 0);
	IS(co_sleep(MS(1)), CANC);
	IS(co_scope_end(&s, CANC), CANC);
	ck_assert(!co_scope_caught(&s));
	IS(cause_of(&s, &err), CO_CAUSE_EXPLICIT);
	IS(err, ENOMEM);
	IS(co_scope_cancel(&s, EIO), -ESRCH);
	co_with_timeout(&b, MS(100))
		ran += co_sleep(MS(1)) == CANC;
	IS(ran, 1);
	IS(co_scope_result(&b, CANC), CANC);
	co_group_begin(&g, CO_GROUP_COLLECT);
	IS(co_spawn(&g, nap, NULL, NULL), CANC);
	IS(co_group_end(&g, CANC), CANC);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_group_end(&g, -EIO), -EIO);
}

static int no_node_at_all(void *unused)
{
	co_scope s[64];
	int k = 0;

	(void)unused;
	refuse_memory = true;
	do {
		ck_assert_int_lt(k, 64);
		s[k] = (co_scope)CO_SCOPE_INIT;
		co_scope_begin(&s[k], MS(100));
	} while (!co_scope_cancelled(&s[k++]));
	use_without_any_node();
	refuse_memory = false;
	IS(co_scope_end(&s[--k], CANC), -ENOMEM);
	while (k-- > 0)
		IS(co_scope_end(&s[k], co_sleep(MS(1))), 0);
	return 0;
}

START_TEST(C4_shields_blocks_and_groups_without_memory)
{
	struct co_options opt = *hearing();

	opt.alloc = (struct co_alloc){ hold, release, NULL };
	run_well("no_node_at_all", no_node_at_all, &opt);
	ck_assert_uint_eq(held, 0);
	IS(misuses()->count, 0);
}
END_TEST

/* ---------------------------------------------------------------------------------- C4 */

enum blow { BY_DEADLINE, BY_MOVE, BY_STOP, BY_EPIPE, BY_EIO, BLOWS };

static void strike_scope(co_scope *s, enum blow blow)
{
	static const int errs[BLOWS] = { 0, 0, 0, EPIPE, EIO };

	if (blow == BY_DEADLINE)
		stall(MS(20));
	else if (blow == BY_MOVE)
		co_ignore(co_scope_set_deadline(s, co_now() - 1));
	else
		IS(co_scope_cancel(s, errs[blow]), 0);
	co_yield_now();
}

SCENARIO(C4_the_first_cause_sticks)
{
	static const int ends[BLOWS] = { TMO, TMO, 0, -EPIPE, -EIO };
	static const int errs[BLOWS] = { 0, 0, 0, EPIPE, EIO };

	for (int first = 0; first < BLOWS; first++) {
		for (int second = 0; second < BLOWS; second++) {
			bool late = first == BY_DEADLINE || first == BY_MOVE;
			co_scope s = CO_SCOPE_INIT;
			int err;

			co_scope_begin(&s, MS(10));
			strike_scope(&s, (enum blow)first);
			ck_assert(co_scope_cancelled(&s));
			strike_scope(&s, (enum blow)second);
			IS(cause_of(&s, &err), late ? CO_CAUSE_DEADLINE : CO_CAUSE_EXPLICIT);
			if (!late)
				IS(err, errs[first]);
			IS(co_scope_end(&s, co_checkpoint()), ends[first]);
		}
	}
}

SCENARIO(C4_a_cancel_is_never_undone)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	IS(co_scope_cancel(&s, EPIPE), 0);
	IS(co_scope_set_deadline(&s, MS(50)), -EALREADY);
	IS(co_scope_set_deadline(&s, CO_FOREVER), -EALREADY);
	IS(co_scope_rearm(&s, CO_FOREVER), -EALREADY);
	IS(co_scope_rearm(&s, -1), -EALREADY);
	for (int i = 0; i < 5; i++)
		IS(co_sleep(MS(1)), CANC);
	ck_assert(co_scope_cancelled(&s));
	IS(co_scope_end(&s, CANC), -EPIPE);
	ck_assert(co_scope_cancelled(&s));
}

struct told {
	struct co_cause cause;
	int rc;
};

static int tell_cause(void *arg)
{
	struct told *t = arg;

	t->rc = co_sleep(MS(1000));
	if (t->rc == CANC)
		IS(co_cancel_cause(&t->cause), 0);
	return t->rc;
}

static int fail_at_10(void *unused)
{
	(void)unused;
	IS(co_sleep(MS(10)), 0);
	return -EIO;
}

SCENARIO(C4_a_failed_sibling_is_the_cause)
{
	struct told sibling = { .rc = 99 };
	struct told body = { .rc = 99 };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, fail_at_10, NULL);
	spawn(&g, tell_cause, &sibling);
	IS(tell_cause(&body), CANC);
	IS(co_group_end(&g, CANC), -EIO);
	IS(sibling.cause.kind, CO_CAUSE_SIBLING);
	IS(sibling.cause.err, EIO);
	IS(body.cause.kind, CO_CAUSE_SIBLING);
	IS(body.cause.err, EIO);
	AT(10);
}

SCENARIO(C4_a_winning_sibling_is_a_cause_without_err)
{
	struct told loser = { .rc = 99 };
	co_group g;

	loser.cause.err = 99;
	co_group_begin(&g, CO_GROUP_FIRST);
	spawn(&g, sleep_ms, num(10));
	spawn(&g, tell_cause, &loser);
	IS(co_group_end(&g, 0), 0);
	IS(loser.rc, CANC);
	IS(loser.cause.kind, CO_CAUSE_SIBLING);
	IS(loser.cause.err, 0);
	AT(10);
}

/* What cuts the children is an error of the body: to them it is a sibling's. */
SCENARIO(C4_an_error_of_the_body_is_a_sibling_s)
{
	static const enum co_group_mode modes[] = { CO_GROUP_FAIL_FAST, CO_GROUP_COLLECT,
						    CO_GROUP_FIRST };

	for (size_t i = 0; i < LENGTH(modes); i++) {
		struct told child = { .rc = 99 };
		co_group g;

		co_group_begin(&g, modes[i]);
		spawn(&g, tell_cause, &child);
		settle();
		IS(co_group_end(&g, -EPROTO), -EPROTO);
		IS(child.rc, CANC);
		IS(child.cause.kind, CO_CAUSE_SIBLING);
		IS(child.cause.err, EPROTO);
	}
	AT(0);
}

static int return_the_least_int(void *unused)
{
	(void)unused;
	return INT_MIN;
}

/* Whatever a child returns, the err of a cause is an errno: never negative. */
SCENARIO(C4_the_err_of_a_cause_is_never_negative)
{
	struct told sibling = { .rc = 99 };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, tell_cause, &sibling);
	spawn(&g, return_the_least_int, NULL);
	IS(co_group_end(&g, 0), INT_MIN);
	IS(sibling.cause.kind, CO_CAUSE_SIBLING);
	ck_assert_int_gt(sibling.cause.err, 0);
}

static void fail_from_here(co_group *g)
{
	spawn(g, fail_at_10, NULL);
}

static __attribute__((noinline)) void fail_from_there(co_group *g)
{
	IS(co_spawn(g, fail_at_10, NULL, NULL), 0);
}

static const void *site_of_failure(void (*spawns)(co_group *g))
{
	struct told sibling = { .rc = 99 };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, tell_cause, &sibling);
	spawns(&g);
	IS(co_group_end(&g, 0), -EIO);
	ck_assert_ptr_nonnull(sibling.cause.site);
	return sibling.cause.site;
}

/* Where the child that failed was spawned, not where its group began. */
SCENARIO(C4_a_failed_sibling_is_named_by_its_spawn)
{
	const void *here = site_of_failure(fail_from_here);

	ck_assert_ptr_eq(site_of_failure(fail_from_here), here);
	ck_assert_ptr_ne(site_of_failure(fail_from_there), here);
}

static struct told at_shutdown;

static int leave_at_10(void *unused)
{
	(void)unused;
	at_shutdown.rc = 99;
	IS(co_spawn(NULL, tell_cause, &at_shutdown, NULL), 0);
	return co_sleep(MS(10));
}

START_TEST(C4_shutdown_is_a_cause)
{
	PLAY(leave_at_10);
	IS(at_shutdown.rc, CANC);
	IS(at_shutdown.cause.kind, CO_CAUSE_SHUTDOWN);
}
END_TEST

SCENARIO(C4_a_cancel_of_a_coroutine_or_a_group_is_explicit)
{
	struct told f = { .rc = 99 };
	struct told child = { .rc = 99 };
	struct lone l;
	co_group g;

	lone_start(&l, tell_cause, &f);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, tell_cause, &child);
	settle();
	IS(co_cancel(l.ref, EPIPE), 0);
	IS(co_cancel(l.ref, EIO), 0);
	IS(co_group_cancel(&g, ENOSPC), 0);
	IS(co_group_cancel(&g, EIO), 0);
	IS(co_group_end(&g, 0), -ENOSPC);
	IS(lone_end(&l), CANC);
	IS(f.cause.kind, CO_CAUSE_EXPLICIT);
	IS(f.cause.err, EPIPE);
	ck_assert_ptr_nonnull(f.cause.site);
	IS(child.cause.kind, CO_CAUSE_EXPLICIT);
	IS(child.cause.err, ENOSPC);
	ck_assert_ptr_nonnull(child.cause.site);
	ck_assert_ptr_ne(child.cause.site, f.cause.site);
}

SCENARIO(C4_the_cause_of_a_deadline_has_a_site)
{
	co_scope s = CO_SCOPE_INIT;
	struct co_cause cause;

	co_scope_begin(&s, 0);
	IS(co_scope_cause(&s, &cause), 0);
	IS(cause.kind, CO_CAUSE_DEADLINE);
	ck_assert_ptr_nonnull(cause.site);
	IS(co_scope_end(&s, 0), 0);
}

/* ----------------------------------------------------------------------------- C5, C6 */

SCENARIO(C5_a_shield_around_a_group_shields_its_children)
{
	struct nap n = { .dur = MS(10) };
	co_scope o = CO_SCOPE_INIT;
	co_scope h = CO_SCOPE_INIT;
	co_group g;

	begin_cancelled(&o, 0);
	co_scope_begin_shield(&h, MS(100));
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, nap, &n);
	IS(co_group_end(&g, 0), 0);
	IS(n.rc, 0);
	IS(n.at, MS(10));
	IS(co_scope_end(&h, 0), 0);
	IS(co_scope_end(&o, co_checkpoint()), 0);
}

SCENARIO(C5_a_cancel_reaches_through_any_depth_of_groups)
{
	co_scope s = CO_SCOPE_INIT;
	int rc;

	co_scope_begin(&s, MS(10));
	rc = deep(num(50));
	IS(rc, CANC);
	AT(10);
	IS(co_scope_end(&s, rc), TMO);
}

SCENARIO(C6_every_point_fails_until_the_scope_is_left)
{
	co_scope s = CO_SCOPE_INIT;
	co_scope h = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	IS(co_sleep(MS(20)), CANC);
	for (int i = 0; i < 10; i++) {
		IS(co_sleep(MS(1)), CANC);
		IS(co_sleep(0), CANC);
		IS(co_sleep(CO_FOREVER), CANC);
		IS(co_sleep_until(MS(1000)), CANC);
		IS(co_sleep_until(0), CANC);
		IS(co_yield_now(), CANC);
		IS(co_checkpoint(), CANC);
		co_scope_begin_shield(&h, MS(1));
		IS(co_checkpoint(), 0);
		IS(co_yield_now(), 0);
		IS(co_scope_end(&h, 0), 0);
		h = (co_scope)CO_SCOPE_INIT;
	}
	AT(10);
	IS(co_scope_end(&s, CANC), TMO);
	IS(co_sleep(MS(1)), 0);
}

/* One waiter for each kind of wait, in a scope that ends by an explicit cancel or its deadline. */
enum wait {
	IN_SLEEP,
	IN_SLEEP_UNTIL,
	IN_JOIN,
	IN_JOIN_UNTIL,
	IN_GROUP_WAIT,
	IN_GROUP_WAIT_UNTIL,
	IN_GROUP_START,
	IN_GROUP_ADMIT,
	IN_GATHER,
	WAITS
};

struct waiter {
	enum wait how;
	co_ref live;
	co_scope scope;
	co_ns deadline, woke;
	int rc, end;
};

static int wait_in_group(enum wait how)
{
	int64_t value;
	co_group g;
	int rc;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_group_limit(&g, how == IN_GROUP_START ? 2 : 1);
	spawn(&g, sleep_forever, NULL);
	if (how == IN_GROUP_START)
		rc = co_group_start(&g, sleep_forever, NULL, &value);
	else if (how == IN_GROUP_ADMIT)
		rc = co_group_admit(&g);
	else if (how == IN_GROUP_WAIT)
		rc = co_group_wait(&g);
	else
		rc = co_group_wait_until(&g, MS(1000));
	IS(co_group_end(&g, rc), CANC);
	return rc;
}

static int wait_as(const struct waiter *w)
{
	co_fn *fns[] = { sleep_forever, sleep_forever };
	void *args[] = { NULL, NULL };
	int exits[2], code;

	switch (w->how) {
	case IN_SLEEP:
		return co_sleep(CO_FOREVER);
	case IN_SLEEP_UNTIL:
		return co_sleep_until(MS(1000));
	case IN_JOIN:
		return co_join(w->live, &code);
	case IN_JOIN_UNTIL:
		return co_join_until(w->live, &code, MS(1000));
	case IN_GATHER:
		return co_gather(2, fns, args, exits);
	default:
		return wait_in_group(w->how);
	}
}

static int wait_in_scope(void *arg)
{
	struct waiter *w = arg;

	co_scope_begin(&w->scope, w->deadline);
	w->rc = wait_as(w);
	w->woke = co_now();
	w->end = co_scope_end(&w->scope, w->rc);
	return 0;
}

SCENARIO(C6_a_cancel_wakes_from_every_kind_of_wait)
{
	for (int n = 0; n < WAITS * 2; n++) {
		struct waiter w = { .how = (enum wait)(n / 2), .rc = 99 };
		struct lone live, f;
		co_ns base = co_now();

		w.deadline = n % 2 ? MS(10) : CO_FOREVER;
		lone_start(&live, sleep_forever, NULL);
		w.live = live.ref;
		lone_start(&f, wait_in_scope, &w);
		advance(MS(10) - 1);
		IS(w.rc, 99);
		advance(1);
		if (n % 2 == 0) {
			IS(w.rc, 99);
			IS(co_scope_cancel(&w.scope, EPIPE), 0);
		}
		IS(lone_end(&f), 0);
		IS(w.rc, CANC);
		IS(w.end, n % 2 ? TMO : -EPIPE);
		IS(w.woke, base + MS(10));
		IS(co_cancel(live.ref, 0), 0);
		IS(lone_end(&live), CANC);
	}
}

/* ------------------------------------------------------------------------------- causes */

SCENARIO(C4_the_cause_is_that_of_the_outermost_visible)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope h = CO_SCOPE_INIT;
	co_scope i = CO_SCOPE_INIT;
	struct co_cause cause = { CO_CAUSE_SIBLING, 12345, NULL, { 0 } };
	int err;

	IS(co_cancel_cause(&cause), -ENOENT);
	IS(cause_of(&o, &err), CO_CAUSE_NONE);
	begin_cancelled(&o, EIO);
	co_scope_begin(&i, MS(10));
	IS(cause_of(&i, &err), CO_CAUSE_NONE);
	IS(co_scope_cancel(&i, EPIPE), 0);
	IS(cause_of(&i, &err), CO_CAUSE_EXPLICIT);
	IS(err, EPIPE);
	IS(co_cancel_cause(&cause), 0);
	IS(cause.err, EIO);
	IS(co_scope_end(&i, 0), 0);
	co_scope_begin_shield(&h, MS(10));
	IS(co_cancel_cause(&cause), -ENOENT);
	i = (co_scope)CO_SCOPE_INIT;
	co_scope_begin(&i, MS(20));
	IS(co_scope_cancel(&i, EPIPE), 0);
	IS(co_cancel_cause(&cause), 0);
	IS(cause.err, EPIPE);
	IS(co_scope_cancel(&h, ENOSPC), 0);
	IS(co_cancel_cause(&cause), 0);
	IS(cause.err, ENOSPC);
	IS(co_scope_end(&i, 0), 0);
	IS(co_scope_end(&h, 0), 0);
	IS(co_cancel_cause(&cause), 0);
	IS(cause.err, EIO);
	IS(co_scope_end(&o, 0), 0);
	IS(co_cancel_cause(&cause), -ENOENT);
}

SUITE("contract: scopes",
	C3_scopes_and_groups_nest,
	C3_the_object_may_lie_anywhere,
	C3_nesting_is_per_coroutine,
	C3_a_child_hangs_under_its_group_not_its_spawner,
	C3_a_child_spawned_in_a_shield_is_not_shielded,
	C3_the_detached_hang_under_the_runtime,
	C3_a_thousand_scopes_nest,
	C3_scopes_on_a_generator_s_stack,
	C4_a_scope_without_memory_is_born_cancelled,
	C4_the_first_cause_sticks,
	C4_a_cancel_is_never_undone,
	C4_a_failed_sibling_is_the_cause,
	C4_a_winning_sibling_is_a_cause_without_err,
	C4_shutdown_is_a_cause,
	C4_a_cancel_of_a_coroutine_or_a_group_is_explicit,
	C4_the_cause_of_a_deadline_has_a_site,
	C5_a_shield_around_a_group_shields_its_children,
	C5_a_cancel_reaches_through_any_depth_of_groups,
	C6_every_point_fails_until_the_scope_is_left,
	C6_a_cancel_wakes_from_every_kind_of_wait,
	C4_the_cause_is_that_of_the_outermost_visible,
	C4_a_group_without_a_node_is_born_cancelled,
	C4_shields_blocks_and_groups_without_memory,
	C4_an_error_of_the_body_is_a_sibling_s,
	C4_the_err_of_a_cause_is_never_negative,
	C4_a_failed_sibling_is_named_by_its_spawn)
