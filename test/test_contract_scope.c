/*
 * Clauses C3 to C8 and C11 to C16 of the contract: how scopes nest, become cancelled, are ended,
 * moved and shielded. First a model: every stack of four scopes, each plain or a shield, alive,
 * expired or cancelled, in a coroutine that is cancelled or not, against the sentences of C5, C7
 * and C11 written down as code. Then each sentence by itself.
 */
#include "scenario.h"

static co_ns shown;	/* by the injected clock */

static co_ns show(void *ctx)
{
	(void)ctx;
	return shown;
}

static struct co_options injected = { .clock = CO_CLOCK_MONOTONIC, .now = show };

static void begin_cancelled(co_scope *s, int err)
{
	co_scope_begin(s, CO_FOREVER);
	IS(co_scope_cancel(s, err), 0);
}

static enum co_cause_kind cause_of(const co_scope *s, int *err)
{
	struct co_cause cause = { CO_CAUSE_SIBLING, 12345, NULL, { 0 } };
	int rc = co_scope_cause(s, &cause);

	*err = cause.err;
	IS(rc, cause.kind == CO_CAUSE_NONE ? -ENOENT : 0);
	return cause.kind;
}

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

/* -------------------------------------------------------------------------- the model */

enum { DEPTH = 4 };
enum state { ALIVE, EXPIRED, STOPPED, FAILED, STATES };

/* A level: what it is, and its state. FAILED: cancelled with the err 100 + level. */
struct level {
	bool shield;
	enum state state;
};

enum manner {
	CANCELLED_AT_BEGIN,	/* rc is -ECANCELED at each end */
	CANCELLED_LATER,	/* the same, the scopes being cancelled when all are open */
	PASSED_ON,		/* rc is what the checkpoint said, then what the inner end gave */
	OWN_VALUE,		/* rc is something else */
	MANNERS
};

struct stack {
	struct level level[DEPTH];	/* outermost first */
	bool root;			/* whether the coroutine is cancelled, with err 99 */
	enum manner manner;
	int number;
};

/* The outermost cancelled level that is seen from level `k`; -1 the coroutine, DEPTH none. */
static int seen_from(const struct stack *m, int k)
{
	int seen = DEPTH;

	for (; k >= 0; k--) {
		if (m->level[k].state != ALIVE)
			seen = k;
		if (m->level[k].shield)
			return seen;
	}
	return m->root ? -1 : seen;
}

/* C11, for rc -ECANCELED. */
static int end_of(const struct stack *m, int k)
{
	if (!m->level[k].shield && seen_from(m, k - 1) != DEPTH)
		return CANC;
	switch (m->level[k].state) {
	case EXPIRED:
		return TMO;
	case STOPPED:
		return 0;
	case FAILED:
		return -(100 + k);
	default:
		return CANC;
	}
}

/* ck_assert writes a record each time; here only where it fails. */
static void same(const struct stack *m, int k, const char *what, long got, long want)
{
	if (got != want)
		ck_abort_msg("stack %d manner %d level %d: %s is %ld, not %ld", m->number,
			     m->manner, k, what, got, want);
}

static void cancel_as(const struct stack *m, int k, co_scope *s)
{
	if (m->level[k].state == EXPIRED)
		same(m, k, "move", co_scope_set_deadline(s, co_now()), 0);
	else if (m->level[k].state == STOPPED)
		same(m, k, "cancel", co_scope_cancel(s, 0), 0);
	else if (m->level[k].state == FAILED)
		same(m, k, "cancel", co_scope_cancel(s, 100 + k), 0);
}

static void open_level(const struct stack *m, int k, co_scope *s)
{
	*s = (co_scope)CO_SCOPE_INIT;
	if (m->manner != CANCELLED_LATER)
		cancel_as(m, k, s);
	co_scope_begin_at(s, co_now() + MS(1000), m->level[k].shield ? CO_SHIELD : 0);
}

static void look_from(const struct stack *m, int k, const co_scope *s)
{
	static const enum co_cause_kind kinds[STATES] = {
		CO_CAUSE_NONE, CO_CAUSE_DEADLINE, CO_CAUSE_EXPLICIT, CO_CAUSE_EXPLICIT,
	};
	struct co_cause cause = { CO_CAUSE_NONE, 0, NULL, { 0 } };
	int seen = seen_from(m, k);

	same(m, k, "checkpoint", co_checkpoint(), seen == DEPTH ? 0 : CANC);
	same(m, k, "time left", co_time_left(), seen == DEPTH ? MS(1000) : 0);
	same(m, k, "deadline", co_deadline() <= co_now(), seen != DEPTH);
	same(m, k, "cancelled", co_scope_cancelled(s), m->level[k].state != ALIVE);
	same(m, k, "cause", co_cancel_cause(&cause), seen == DEPTH ? -ENOENT : 0);
	if (seen == DEPTH)
		return;
	same(m, k, "kind", cause.kind, seen < 0 ? CO_CAUSE_EXPLICIT : kinds[m->level[seen].state]);
	if (seen < 0 || m->level[seen].state == FAILED)
		same(m, k, "err", cause.err, seen < 0 ? 99 : 100 + seen);
	else if (m->level[seen].state == STOPPED)
		same(m, k, "err", cause.err, 0);
	same(m, k, "site", cause.site != NULL, true);
}

static int play_stack(void *arg)
{
	static const int values[] = { 0, 7, -EIO, TMO, INT32_MAX, INT32_MIN };
	const struct stack *m = arg;
	co_scope s[DEPTH];
	int rc;

	for (int k = 0; k < DEPTH; k++)
		open_level(m, k, &s[k]);
	for (int k = 0; k < DEPTH && m->manner == CANCELLED_LATER; k++)
		cancel_as(m, k, &s[k]);
	if (m->root)
		same(m, -1, "cancel", co_cancel(co_self(), 99), 0);
	rc = co_checkpoint();
	for (int k = DEPTH - 1; k >= 0; k--) {
		int want, got;

		look_from(m, k, &s[k]);
		if (m->manner == OWN_VALUE)
			rc = values[(m->number + k) % (int)LENGTH(values)];
		else if (m->manner != PASSED_ON)
			rc = CANC;
		want = rc == CANC ? end_of(m, k) : rc;
		got = co_scope_end(&s[k], rc);
		same(m, k, "end", got, want);
		same(m, k, "caught", co_scope_caught(&s[k]), rc == CANC && want != CANC);
		rc = got;
	}
	return 0;
}

/* C3, C5, C7, C11: all 8^4 stacks, in each manner, under a live root and a cancelled one. */
SCENARIO(C11_every_stack_of_four_against_the_sentences)
{
	int stacks = 8 * 8 * 8 * 8;

	for (int n = 0; n < stacks * 2 * MANNERS; n++) {
		struct stack m = { .root = n / stacks % 2, .number = n % stacks };
		co_group g;

		m.manner = (enum manner)(n / stacks / 2);
		for (int k = 0, digits = m.number; k < DEPTH; k++, digits /= 8) {
			m.level[k].shield = digits % 2;
			m.level[k].state = (enum state)(digits / 2 % STATES);
		}
		co_group_begin(&g, CO_GROUP_FAIL_FAST);
		same(&m, -1, "spawn", co_spawn(&g, play_stack, &m, NULL), 0);
		same(&m, -1, "group end", co_group_end(&g, 0), 0);
	}
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

/* ---------------------------------------------------------------------------------- C7 */

SCENARIO(C7_no_time_is_left_in_a_cancelled_scope)
{
	co_scope s = CO_SCOPE_INIT;
	co_scope i = CO_SCOPE_INIT;

	IS(co_sleep(MS(10)), 0);
	co_scope_begin(&s, MS(100));
	IS(co_time_left(), MS(100));
	IS(co_scope_cancel(&s, 0), 0);
	ck_assert_int_le(co_deadline(), MS(10));
	IS(co_time_left(), 0);
	co_scope_begin(&i, MS(50));
	ck_assert_int_le(co_deadline(), MS(10));
	IS(co_time_left(), 0);
	IS(co_scope_end(&i, 0), 0);
	IS(co_scope_end(&s, 0), 0);
	IS(co_time_left(), CO_FOREVER);
}

static int write_x(void *unused)
{
	(void)unused;
	note('x');
	return 0;
}

/* Each point in a cancelled scope: no time passes, nothing is joined, nobody is started. */
SCENARIO(C7_a_point_checks_before_any_side_effect)
{
	co_fn *fns[] = { write_x };
	void *args[] = { NULL };
	co_scope s = CO_SCOPE_INIT;
	int code = 99;
	int exits[1] = { 99 };
	int64_t value = 99;
	struct lone f;
	co_group g;

	lone_start(&f, sleep_ms, num(0));
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	settle();
	begin_cancelled(&s, 0);
	IS(co_join(f.ref, &code), CANC);
	IS(co_join_until(f.ref, &code, CO_FOREVER), CANC);
	IS(co_group_start(&g, write_x, NULL, &value), CANC);
	IS(co_gather(1, fns, args, exits), CANC);
	IS(co_sleep(MS(10)), CANC);
	IS(co_scope_end(&s, CANC), 0);
	IS(code, 99);
	IS(value, 99);
	AT(0);
	IS(co_group_end(&g, 0), 0);
	ck_assert_str_eq(notes(), "");
	IS(lone_end(&f), 0);
}

static int five(void *unused)
{
	(void)unused;
	return 5;
}

SCENARIO(C7_an_admission_refused_takes_no_place)
{
	co_scope s = CO_SCOPE_INIT;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_group_limit(&g, 1);
	begin_cancelled(&s, 0);
	IS(co_group_admit(&g), CANC);
	IS(co_scope_end(&s, CANC), 0);
	spawn(&g, sleep_ms, num(1));
	IS(co_spawn(&g, write_x, NULL, NULL), -EAGAIN);
	IS(co_group_end(&g, 0), 0);
	AT(1);
}

SCENARIO(C7_a_call_with_its_own_deadline_tries_first)
{
	static const co_ns past[] = { INT64_MIN, -1, 0, MS(9), MS(10) };

	IS(co_sleep(MS(10)), 0);
	for (size_t i = 0; i < LENGTH(past); i++) {
		int code = 99;
		co_group g;
		co_ref ref;

		co_group_begin(&g, CO_GROUP_FAIL_FAST);
		ref = spawn(&g, five, NULL);
		IS(co_join_until(ref, &code, past[i]), TMO);
		IS(co_group_wait_until(&g, past[i]), TMO);
		IS(code, 99);
		settle();
		IS(co_join_until(ref, &code, past[i]), 0);
		IS(code, 5);
		IS(co_group_wait_until(&g, past[i]), 0);
		IS(co_group_end(&g, 0), 0);
	}
	AT(10);
}

SCENARIO(C7_a_cancelled_scope_beats_the_call_s_own_deadline)
{
	co_scope s = CO_SCOPE_INIT;
	int code = 99;
	co_group g;
	co_ref ref;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ref = spawn(&g, five, NULL);
	settle();
	begin_cancelled(&s, 0);
	IS(co_join_until(ref, &code, -1), CANC);
	IS(co_group_wait_until(&g, -1), CANC);
	IS(co_join_until(ref, &code, MS(100)), CANC);
	IS(co_scope_end(&s, 0), 0);
	IS(co_join_until(ref, &code, -1), 0);
	IS(code, 5);
	IS(co_group_end(&g, 0), 0);
}

/* A call's own deadline gives -ETIMEDOUT and cancels nothing; the scope's is the scope's. */
SCENARIO(C7_the_earlier_of_the_call_s_and_the_scope_s_deadline)
{
	static const struct {
		co_ns call, scope;
		int rc, end;
	} cases[] = {
		{ MS(10), MS(20), TMO, 3 },
		{ MS(20), MS(10), CANC, TMO },
		{ MS(10), MS(10), TMO, 3 },	/* C9: operations before scopes */
		{ MS(10), CO_FOREVER, TMO, 3 },
		{ CO_FOREVER, MS(10), CANC, TMO },
	};
	struct lone f;

	lone_start(&f, sleep_forever, NULL);
	for (size_t i = 0; i < LENGTH(cases); i++) {
		co_ns base = co_now();
		co_scope s = CO_SCOPE_INIT;
		co_ns until = cases[i].call == CO_FOREVER ? CO_FOREVER : base + cases[i].call;
		int code, rc;

		co_scope_begin(&s, cases[i].scope);
		rc = co_join_until(f.ref, &code, until);
		IS(rc, cases[i].rc);
		IS(co_now(), base + MS(10));
		IS(co_scope_end(&s, rc == CANC ? rc : 3), cases[i].end);
	}
	IS(co_cancel(f.ref, 0), 0);
	IS(lone_end(&f), CANC);
}

/* ---------------------------------------------------------------------------------- C8 */

static int sleep_then_check(void *arg)
{
	struct nap *n = arg;

	IS(nap(n), 0);
	return co_checkpoint();
}

/* Both timers of the instant are processed before the canceller runs: the sleep is over. */
SCENARIO(C8_a_sleep_that_was_picked_is_over)
{
	struct nap n = { .dur = MS(10) };
	struct strike_ref k = { MS(10), { 0 }, 0 };
	struct lone canceller, f;

	lone_start(&canceller, strike_ref, &k);
	settle();
	lone_start(&f, sleep_then_check, &n);
	k.ref = f.ref;
	IS(lone_end(&f), CANC);
	IS(n.at, MS(10));
	IS(lone_end(&canceller), 0);
}

static int join_then_check(void *arg)
{
	int code = 99;

	IS(co_join(*(co_ref *)arg, &code), 0);
	IS(code, 0);
	return co_checkpoint();
}

SCENARIO(C8_a_join_that_was_picked_is_over)
{
	struct strike_ref k = { MS(10), { 0 }, 0 };
	struct lone target, canceller, joiner;

	lone_start(&target, sleep_ms, num(10));
	settle();
	lone_start(&canceller, strike_ref, &k);
	lone_start(&joiner, join_then_check, &target.ref);
	k.ref = joiner.ref;
	IS(lone_end(&joiner), CANC);
	AT(10);
	IS(lone_end(&canceller), 0);
	IS(co_group_end(&target.group, 0), 0);
}

static int wait_group_then_check(void *unused)
{
	co_group g;

	(void)unused;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, sleep_ms, num(10));
	IS(co_group_wait(&g), 0);
	IS(co_checkpoint(), CANC);
	return co_group_end(&g, 0);
}

SCENARIO(C8_a_group_wait_that_was_picked_is_over)
{
	struct strike_ref k = { MS(10), { 0 }, 0 };
	struct lone canceller, owner;

	lone_start(&owner, wait_group_then_check, NULL);
	settle();
	lone_start(&canceller, strike_ref, &k);
	k.ref = owner.ref;
	IS(lone_end(&canceller), 0);
	IS(lone_end(&owner), 0);
	AT(10);
}

static int only_join(void *arg)
{
	int code;

	return co_join(*(co_ref *)arg, &code);
}

/* The joiner has not run yet, but its place is free and the exit is still there. */
SCENARIO(C8_a_cancelled_joiner_leaves_at_once)
{
	struct lone target, joiner;
	int code = 99;

	lone_start(&target, sleep_ms, num(10));
	lone_start(&joiner, only_join, &target.ref);
	settle();
	IS(co_join(target.ref, &code), -EBUSY);
	IS(co_cancel(joiner.ref, 0), 0);
	IS(co_join_until(target.ref, &code, -1), TMO);
	IS(code, 99);
	IS(co_join(target.ref, &code), 0);
	IS(code, 0);
	AT(10);
	IS(lone_end(&joiner), CANC);
	IS(co_group_end(&target.group, 0), 0);
}

/* The other order: first the cancel, then the end of the target, all before the joiner runs. */
SCENARIO(C8_a_cancelled_joiner_gets_nothing)
{
	struct strike_ref k = { MS(10), { 0 }, 0 };
	struct lone canceller, target, joiner;
	int code = 99;

	lone_start(&canceller, strike_ref, &k);
	settle();
	lone_start(&target, sleep_ms, num(10));
	lone_start(&joiner, only_join, &target.ref);
	k.ref = joiner.ref;
	IS(lone_end(&joiner), CANC);
	AT(10);
	IS(co_join_until(target.ref, &code, -1), 0);
	IS(code, 0);
	IS(co_group_end(&target.group, 0), 0);
	IS(lone_end(&canceller), 0);
}

static int only_wait_for_group(void *unused)
{
	co_group g;
	int rc;

	(void)unused;
	co_group_begin(&g, CO_GROUP_COLLECT);
	spawn(&g, sleep_ms, num(10));
	rc = co_group_wait(&g);
	note(rc == CANC ? 'c' : '?');
	return co_group_end(&g, 0);
}

SCENARIO(C8_a_cancelled_owner_is_not_told_of_the_last_child)
{
	struct strike_ref k = { MS(10), { 0 }, 0 };
	struct lone canceller, owner;

	lone_start(&canceller, strike_ref, &k);
	settle();
	lone_start(&owner, only_wait_for_group, NULL);
	k.ref = owner.ref;
	IS(lone_end(&owner), 0);
	ck_assert_str_eq(notes(), "c");
	AT(10);
	IS(lone_end(&canceller), 0);
}

/* ---------------------------------------------------------------------------------- C11 */

SCENARIO(C11_other_values_come_back_unchanged)
{
	static const int values[] = { 0, 1, 42, INT32_MAX, -1, -EIO, TMO, -EPIPE, INT32_MIN };

	for (size_t i = 0; i < LENGTH(values); i++) {
		co_scope o = CO_SCOPE_INIT;
		co_scope s = CO_SCOPE_INIT;

		begin_cancelled(&o, EIO);
		co_scope_begin(&s, 0);
		IS(co_scope_end(&s, values[i]), values[i]);
		ck_assert(!co_scope_caught(&s));
		ck_assert(co_scope_cancelled(&s));
		IS(co_scope_end(&o, values[i]), values[i]);
		ck_assert(!co_scope_caught(&o));
	}
}

SCENARIO(C11_a_live_scope_passes_a_strange_cancel_on)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	IS(co_scope_end(&s, CANC), CANC);
	ck_assert(!co_scope_caught(&s));
	ck_assert(!co_scope_cancelled(&s));
}

static int expire_inside(void *arg)
{
	co_scope s = CO_SCOPE_INIT;
	int rc;

	co_scope_begin(&s, 0);
	rc = co_scope_end(&s, co_checkpoint());
	*(int *)arg = rc;
	return rc;
}

/* The way outward goes on through the group to the scopes of its owner. */
SCENARIO(C11_the_owner_s_scope_beats_the_child_s)
{
	co_scope o = CO_SCOPE_INIT;
	int rc = 99;
	co_group g;

	co_scope_begin(&o, CO_FOREVER);
	co_group_begin(&g, CO_GROUP_COLLECT);
	spawn(&g, expire_inside, &rc);
	IS(co_scope_cancel(&o, EPIPE), 0);
	IS(co_group_end(&g, 0), CANC);
	IS(rc, CANC);
	IS(co_scope_end(&o, CANC), -EPIPE);
}

/* But not past a shield of the owner. */
SCENARIO(C11_a_shield_of_the_owner_lets_the_child_s_win)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope h = CO_SCOPE_INIT;
	int rc = 99;
	co_group g;

	begin_cancelled(&o, EPIPE);
	co_scope_begin_shield(&h, MS(10));
	co_group_begin(&g, CO_GROUP_COLLECT);
	spawn(&g, expire_inside, &rc);
	IS(co_group_end(&g, 0), 0);
	IS(rc, TMO);
	IS(co_scope_end(&h, 0), 0);
	IS(co_scope_end(&o, 0), 0);
}

SCENARIO(C11_a_group_maps_a_cut_like_a_scope)
{
	static const int errs[] = { 0, EPIPE, ENOSPC };

	for (size_t i = 0; i < LENGTH(errs); i++) {
		for (int outer = 0; outer < 2; outer++) {
			co_scope o = CO_SCOPE_INIT;
			co_group g;
			int rc;

			co_scope_begin(&o, CO_FOREVER);
			co_group_begin(&g, CO_GROUP_FAIL_FAST);
			IS(co_group_cancel(&g, errs[i]), 0);
			if (outer)
				IS(co_scope_cancel(&o, EIO), 0);
			rc = co_group_end(&g, co_checkpoint());
			IS(rc, outer ? CANC : -errs[i]);
			IS(co_scope_end(&o, rc), outer ? -EIO : -errs[i]);
		}
	}
}

/* ---------------------------------------------------------------------------------- C12 */

/* Three scopes, due together or overdue together, whose deadlines were set in any order. */
SCENARIO(C12_the_outermost_wins)
{
	static const int orders[][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};

	for (int n = 0; n < 6 * 2 * 6; n++) {
		const int *arming = orders[n % 6];
		const int *late = orders[n / 12];
		bool stalled = n / 6 % 2;
		co_ns base = co_now();
		co_scope s[3] = { CO_SCOPE_INIT, CO_SCOPE_INIT, CO_SCOPE_INIT };

		for (int k = 0; k < 3; k++)
			co_scope_begin(&s[k], MS(1000));
		for (int k = 0; k < 3; k++) {
			co_ns dur = MS(stalled ? 10 + 10 * late[arming[k]] : 10);

			IS(co_scope_set_deadline(&s[arming[k]], base + dur), 0);
		}
		if (stalled)
			stall(MS(50));
		IS(co_sleep(MS(500)), CANC);
		IS(co_now(), base + MS(stalled ? 50 : 10));
		IS(co_scope_end(&s[2], CANC), CANC);
		IS(co_scope_end(&s[1], CANC), CANC);
		IS(co_scope_end(&s[0], CANC), TMO);
	}
}

/* Where only the clock has moved, and a checkpoint is what looks. */
SCENARIO_WITH(C12_the_outermost_wins_at_a_checkpoint, &injected)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope i = CO_SCOPE_INIT;
	int rc = 0;

	co_scope_begin(&o, MS(20));
	co_scope_begin(&i, MS(10));
	shown = MS(50);
	for (int n = 0; n < 65 && rc == 0; n++)
		rc = co_checkpoint();
	IS(co_scope_end(&i, rc), CANC);
	IS(co_scope_end(&o, CANC), TMO);
}

SCENARIO(C12_unless_a_shield_lies_between)
{
	for (int stalled = 0; stalled < 2; stalled++) {
		co_scope o = CO_SCOPE_INIT;
		co_scope h = CO_SCOPE_INIT;
		co_scope i = CO_SCOPE_INIT;

		co_scope_begin(&o, MS(10));
		co_scope_begin_shield(&h, MS(100));
		co_scope_begin(&i, MS(10));
		if (stalled)
			stall(MS(50));
		IS(co_scope_end(&i, co_sleep(CO_FOREVER)), TMO);
		IS(co_sleep(MS(1)), 0);
		IS(co_scope_end(&h, 0), 0);
		IS(co_scope_end(&o, co_sleep(MS(1))), TMO);
	}
}

SCENARIO(C12_a_shield_due_with_its_parent_owns_its_timeout)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope h = CO_SCOPE_INIT;

	co_scope_begin(&o, MS(10));
	co_scope_begin_shield(&h, MS(10));
	IS(co_scope_end(&h, co_sleep(CO_FOREVER)), TMO);
	ck_assert(co_scope_caught(&h));
	IS(co_scope_end(&o, co_checkpoint()), TMO);
	AT(10);
}

static int expire_at_10(void *arg)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin_at(&s, MS(10), 0);
	*(int *)arg = co_scope_end(&s, co_sleep(CO_FOREVER));
	return CANC;
}

SCENARIO(C12_the_owner_s_scope_is_the_outer_one)
{
	co_scope o = CO_SCOPE_INIT;
	int rc = 99;
	co_group g;

	co_scope_begin_at(&o, MS(10), 0);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, expire_at_10, &rc);
	IS(co_group_end(&g, 0), CANC);
	IS(rc, CANC);
	IS(co_scope_end(&o, CANC), TMO);
	AT(10);
}

/* ---------------------------------------------------------------------------------- C13 */

SCENARIO(C13_begun_due_is_cancelled_at_once)
{
	static const co_ns due[] = { INT64_MIN, -1, 0, MS(9), MS(10) - 1, MS(10) };

	IS(co_sleep(MS(10)), 0);
	for (size_t i = 0; i < LENGTH(due); i++) {
		for (unsigned flags = 0; flags <= CO_SHIELD; flags++) {
			co_scope s = CO_SCOPE_INIT;
			int err;

			co_scope_begin_at(&s, due[i], flags);
			ck_assert(co_scope_cancelled(&s));
			IS(cause_of(&s, &err), CO_CAUSE_DEADLINE);
			IS(co_time_left(), 0);
			IS(co_sleep(MS(1)), CANC);
			IS(co_scope_end(&s, CANC), TMO);
		}
	}
	AT(10);
}

SCENARIO(C13_begun_a_moment_before_is_not)
{
	co_scope s = CO_SCOPE_INIT;

	IS(co_sleep(MS(10)), 0);
	co_scope_begin_at(&s, MS(10) + 1, 0);
	ck_assert(!co_scope_cancelled(&s));
	IS(co_checkpoint(), 0);
	IS(co_scope_end(&s, co_sleep(CO_FOREVER)), TMO);
	IS(co_now(), MS(10) + 1);
}

/* The begin reads the clock; what the loop remembers is older. */
SCENARIO_WITH(C13_due_by_the_clock_as_it_is, &injected)
{
	co_scope s = CO_SCOPE_INIT;

	shown = MS(20);
	co_scope_begin_at(&s, MS(15), 0);
	ck_assert(co_scope_cancelled(&s));
	IS(co_scope_end(&s, co_checkpoint()), TMO);
}

/* ---------------------------------------------------------------------------------- C14 */

enum store { NONE, AT_30, AT_70, AT_PAST, AT_EVER, IN_30, IN_70, IN_NONE, IN_EVER, STORES };

/* Stores before begin, at time 0. */
static void store(co_scope *s, enum store what)
{
	static const co_ns values[STORES] = {
		[AT_30] = MS(30), [AT_70] = MS(70), [AT_PAST] = MS(5), [AT_EVER] = CO_FOREVER,
		[IN_30] = MS(30), [IN_70] = MS(70), [IN_NONE] = 0, [IN_EVER] = CO_FOREVER,
	};

	if (what >= IN_30)
		IS(co_scope_rearm(s, values[what]), 0);
	else if (what != NONE)
		IS(co_scope_set_deadline(s, values[what]), 0);
}

/* What a store means for a scope begun at 10 ms. */
static co_ns meant(enum store what)
{
	static const co_ns values[STORES] = {
		[NONE] = CO_FOREVER,
		[AT_30] = MS(30), [AT_70] = MS(70), [AT_PAST] = MS(5), [AT_EVER] = CO_FOREVER,
		[IN_30] = MS(40), [IN_70] = MS(80), [IN_NONE] = MS(10), [IN_EVER] = CO_FOREVER,
	};

	return values[what];
}

/* Every pair of stores, then a begin with each of several deadlines of its own. C15 too. */
SCENARIO(C14_the_last_store_holds_and_the_earlier_of_it_and_begin_counts)
{
	static const co_ns own[] = { CO_FOREVER, MS(20), MS(50), MS(100), -1 };
	int n = STORES * STORES * (int)LENGTH(own);
	co_scope *s = calloc((size_t)n, sizeof(*s));

	for (int k = 0; k < n; k++) {
		store(&s[k], (enum store)(k % STORES));
		store(&s[k], (enum store)(k / STORES % STORES));
	}
	IS(co_sleep(MS(10)), 0);
	for (int k = 0; k < n; k++) {
		int last = k / STORES % STORES ? k / STORES % STORES : k % STORES;
		co_ns dur = own[k / STORES / STORES];
		co_ns want = meant((enum store)last);

		if (dur != CO_FOREVER && want > MS(10) + dur)
			want = MS(10) + dur;
		co_scope_begin(&s[k], dur);
		IS(co_scope_cancelled(&s[k]), want <= MS(10));
		if (want > MS(10))
			IS(co_deadline(), want);
		else
			ck_assert_int_le(co_deadline(), MS(10));
		IS(co_scope_end(&s[k], co_checkpoint()), want <= MS(10) ? TMO : 0);
	}
	free(s);
}

SCENARIO(C14_stored_deadlines_count_for_shields_too)
{
	co_scope h = CO_SCOPE_INIT;

	IS(co_scope_set_deadline(&h, MS(30)), 0);
	co_scope_begin_shield(&h, MS(100));
	IS(co_deadline(), MS(30));
	IS(co_scope_end(&h, co_sleep(CO_FOREVER)), TMO);
	AT(30);
}

SCENARIO(C14_a_move_counts_at_once_and_more_than_once)
{
	static const struct {
		co_ns begin, moves[4];	/* made at 0, 1, 2, 3 ms; the last holds */
	} cases[] = {
		{ MS(200), { MS(10), MS(10), MS(10), MS(10) } },
		{ MS(10), { MS(200), MS(300), MS(400), MS(500) } },
		{ MS(200), { MS(50), MS(40), MS(30), MS(20) } },
		{ MS(10), { CO_FOREVER, MS(20), CO_FOREVER, MS(15) } },
		{ CO_FOREVER, { MS(5), MS(100000), MS(5), MS(6) } },
		{ MS(4), { MS(5), MS(6), MS(7), MS(8) } },
		{ MS(1) + 1, { MS(2) + 1, MS(3) + 1, MS(4) + 1, MS(4) + 1 } },
		{ CO_FOREVER, { CO_FOREVER - 1, MS(5), CO_FOREVER - 1, MS(50) } },
	};

	for (size_t n = 0; n < LENGTH(cases); n++) {
		co_ns base = co_now();
		co_scope s = CO_SCOPE_INIT;

		co_scope_begin(&s, cases[n].begin);
		for (int k = 0; k < 4; k++) {
			co_ns at = cases[n].moves[k];

			at = at >= CO_FOREVER - 1 ? at : base + at;
			IS(co_scope_set_deadline(&s, at), 0);
			IS(co_deadline(), at);
			if (k < 3)
				IS(co_sleep(MS(1)), 0);
		}
		IS(co_scope_end(&s, co_sleep(CO_FOREVER)), TMO);
		IS(co_now(), base + cases[n].moves[3]);
	}
}

enum mover { SET, REARM };

static int move(enum mover how, co_scope *s, co_ns dur)
{
	return how == SET ? co_scope_set_deadline(s, co_now() + dur) : co_scope_rearm(s, dur);
}

/* Only the clock has moved, no loop has looked: the move itself does. */
SCENARIO_WITH(C14_a_due_old_deadline_beats_the_move, &injected)
{
	static const co_ns by[] = { -MS(1), 0, 1, MS(100), MS(100000) };

	for (size_t n = 0; n < LENGTH(by) * 4; n++) {
		enum mover how = n % 2 ? SET : REARM;
		co_scope s = CO_SCOPE_INIT;
		int err;

		co_scope_begin(&s, MS(10));
		shown += MS(10) + (n % 4 < 2 ? 0 : MS(20));
		ck_assert(!co_scope_cancelled(&s));
		IS(move(how, &s, by[n / 4]), -EALREADY);
		ck_assert(co_scope_cancelled(&s));
		IS(cause_of(&s, &err), CO_CAUSE_DEADLINE);
		IS(co_scope_end(&s, co_checkpoint()), TMO);
	}
}

SCENARIO_WITH(C14_nor_does_infinity_save_it, &injected)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	shown = MS(10) - 1;
	IS(co_scope_rearm(&s, MS(10)), 0);
	shown = MS(20) - 1;
	IS(co_scope_set_deadline(&s, CO_FOREVER), -EALREADY);
	IS(co_scope_end(&s, co_checkpoint()), TMO);
}

SCENARIO_WITH(C14_moved_to_now_it_is_cancelled_at_once, &injected)
{
	static const co_ns by[] = { -MS(1000), -1, 0 };

	for (size_t n = 0; n < LENGTH(by) * 2; n++) {
		enum mover how = n % 2 ? SET : REARM;
		co_scope s = CO_SCOPE_INIT;

		co_scope_begin(&s, MS(10));
		shown += MS(5);
		IS(move(how, &s, by[n / 2]), 0);
		ck_assert(co_scope_cancelled(&s));
		IS(move(how, &s, MS(50)), -EALREADY);
		IS(co_checkpoint(), CANC);
		IS(co_scope_end(&s, CANC), TMO);
	}
}

SCENARIO(C14_an_outer_scope_is_moved_from_inside)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope i = CO_SCOPE_INIT;

	co_scope_begin(&o, MS(10));
	co_scope_begin(&i, MS(20));
	IS(co_scope_rearm(&o, MS(30)), 0);
	IS(co_deadline(), MS(20));
	IS(co_scope_end(&i, co_sleep(CO_FOREVER)), TMO);
	AT(20);
	IS(co_scope_set_deadline(&o, MS(1)), 0);
	IS(co_scope_end(&o, co_checkpoint()), TMO);
	AT(20);
}

/* Only the scope's own state counts. */
SCENARIO(C14_moves_go_on_under_a_cancelled_scope)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope i = CO_SCOPE_INIT;
	co_scope h = CO_SCOPE_INIT;

	begin_cancelled(&o, 0);
	co_scope_begin(&i, MS(10));
	IS(co_scope_rearm(&i, MS(20)), 0);
	IS(co_scope_set_deadline(&i, MS(30)), 0);
	ck_assert(!co_scope_cancelled(&i));
	co_scope_begin_shield(&h, MS(10));
	IS(co_scope_rearm(&h, MS(5)), 0);
	IS(co_scope_end(&h, co_sleep(CO_FOREVER)), TMO);
	AT(5);
	IS(co_scope_end(&i, CANC), CANC);
	IS(co_scope_end(&o, CANC), 0);
}

SCENARIO(C14_an_ended_scope_is_gone)
{
	co_scope s = CO_SCOPE_INIT;
	co_scope cancelled = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	IS(co_scope_end(&s, 0), 0);
	begin_cancelled(&cancelled, EPIPE);
	IS(co_scope_end(&cancelled, CANC), -EPIPE);
	for (int after = 0; after < 2; after++) {
		IS(co_scope_set_deadline(&s, CO_FOREVER), -ESRCH);
		IS(co_scope_rearm(&s, 0), -ESRCH);
		IS(co_scope_cancel(&s, 0), -ESRCH);
		IS(co_scope_cancel(&cancelled, EIO), -ESRCH);
		IS(co_scope_rearm(&cancelled, MS(10)), -ESRCH);
		IS(co_sleep(MS(20)), 0);
	}
	ck_assert(!co_scope_cancelled(&s));
}

SCENARIO(C14_some_errs_are_refused)
{
	static const int errs[] = { -1, -EPIPE, INT32_MIN, ECANCELED, ETIMEDOUT };
	co_scope early = CO_SCOPE_INIT;
	co_scope s = CO_SCOPE_INIT;
	struct lone f;
	co_group g;

	lone_start(&f, sleep_ms, num(10));
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_scope_begin(&s, MS(100));
	for (size_t i = 0; i < LENGTH(errs); i++) {
		IS(co_scope_cancel(&early, errs[i]), -EINVAL);
		IS(co_scope_cancel(&s, errs[i]), -EINVAL);
		IS(co_group_cancel(&g, errs[i]), -EINVAL);
		IS(co_cancel(f.ref, errs[i]), -EINVAL);
	}
	ck_assert(!co_scope_cancelled(&s));
	co_scope_begin(&early, MS(100));
	ck_assert(!co_scope_cancelled(&early));
	IS(co_sleep(MS(1)), 0);
	IS(co_scope_end(&early, 0), 0);
	IS(co_scope_end(&s, 0), 0);
	IS(co_group_end(&g, 0), 0);
	IS(lone_end(&f), 0);
	AT(10);
}

/* A deadline that is moved ahead again and again is never met, and met when that stops. */
SCENARIO(C14_an_idle_timer_of_a_million_bytes)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(30));
	for (int byte = 0; byte < 1000000; byte++) {
		int rc = byte % 1000 ? 0 : co_sleep(MS(1));

		if (rc || co_scope_rearm(&s, MS(30)))
			ck_abort_msg("byte %d", byte);
	}
	AT(1000);
	IS(co_scope_end(&s, co_sleep(CO_FOREVER)), TMO);
	AT(1030);
}

/* ---------------------------------------------------------------------------------- C15 */

SCENARIO(C15_a_cancel_before_begin_is_honoured)
{
	static const int errs[] = { 0, EPIPE };

	for (size_t n = 0; n < LENGTH(errs); n++) {
		for (unsigned flags = 0; flags <= CO_SHIELD; flags++) {
			co_scope s = CO_SCOPE_INIT;
			int err;

			IS(co_scope_cancel(&s, errs[n]), 0);
			IS(co_scope_cancel(&s, EIO), 0);
			co_scope_begin_at(&s, co_now() + MS(50), flags);
			ck_assert(co_scope_cancelled(&s));
			IS(cause_of(&s, &err), CO_CAUSE_EXPLICIT);
			IS(err, errs[n]);
			IS(co_time_left(), 0);
			IS(co_sleep(MS(1)), CANC);
			IS(co_scope_end(&s, CANC), -errs[n]);
			ck_assert(co_scope_caught(&s));
		}
	}
	AT(0);
}

/* C4: the cancel came first. */
SCENARIO(C15_a_cancel_before_begin_precedes_a_due_deadline)
{
	co_scope s = CO_SCOPE_INIT;

	IS(co_scope_cancel(&s, EPIPE), 0);
	co_scope_begin(&s, 0);
	IS(co_scope_end(&s, co_checkpoint()), -EPIPE);
}

SCENARIO(C15_a_cancel_before_begin_reaches_nobody_else)
{
	co_scope s = CO_SCOPE_INIT;

	IS(co_scope_cancel(&s, EPIPE), 0);
	IS(co_sleep(MS(1)), 0);
	IS(co_deadline(), CO_FOREVER);
}

SCENARIO_WITH(C15_a_scope_is_single_use, hearing())
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin(&s, MS(10));
	co_scope_begin(&s, MS(5));
	IS(misuses()->count, 1);
	IS(misuses()->kind[0], CO_MISUSE_SCOPE_STATE);
	IS(co_deadline(), MS(10));
	IS(co_scope_end(&s, 3), 3);
	IS(misuses()->count, 1);
	co_scope_begin(&s, MS(5));
	IS(misuses()->count, 2);
	IS(misuses()->kind[1], CO_MISUSE_SCOPE_STATE);
	IS(co_deadline(), CO_FOREVER);
	IS(co_scope_end(&s, 3), -EINVAL);
	IS(misuses()->count, 3);
	IS(misuses()->kind[2], CO_MISUSE_SCOPE_STATE);
	s = (co_scope)CO_SCOPE_INIT;
	co_scope_begin(&s, MS(10));
	IS(co_scope_end(&s, co_sleep(CO_FOREVER)), TMO);
	IS(misuses()->count, 3);
}

/* ---------------------------------------------------------------------------------- C16 */

static int body_ran;

static int run_body(void *unused)
{
	(void)unused;
	body_ran++;
	return co_sleep(MS(1));
}

static void expect_refusal(int count)
{
	IS(misuses()->count, count);
	IS(misuses()->kind[count - 1], CO_MISUSE_SHIELD);
}

SCENARIO_WITH(C16_an_endless_shield_is_refused, hearing())
{
	static const int values[] = { 0, 7, CANC, -EIO };
	int count = 0;

	for (size_t i = 0; i < LENGTH(values); i++) {
		co_scope o = CO_SCOPE_INIT;
		co_scope h = CO_SCOPE_INIT;
		co_scope at = CO_SCOPE_INIT;

		begin_cancelled(&o, 0);
		co_scope_begin_shield(&h, CO_FOREVER);
		expect_refusal(++count);
		IS(co_yield_now(), CANC);
		co_scope_begin_at(&at, CO_FOREVER, CO_SHIELD);
		expect_refusal(++count);
		IS(co_yield_now(), CANC);
		IS(co_scope_end(&at, values[i]), values[i]);
		IS(co_scope_end(&o, CANC), 0);
		IS(co_scope_end(&h, values[i]), values[i]);
		IS(misuses()->count, count);
	}
}

SCENARIO_WITH(C16_an_endless_co_shield_does_not_call, hearing())
{
	IS(co_shield(CO_FOREVER, run_body, NULL), -EINVAL);
	expect_refusal(1);
	IS(body_ran, 0);
	AT(0);
}

SCENARIO_WITH(C16_an_endless_block_is_skipped, hearing())
{
	co_scope h;

	co_with_shield(&h, CO_FOREVER)
		body_ran++;
	expect_refusal(1);
	IS(body_ran, 0);
	IS(co_deadline(), CO_FOREVER);
	IS(co_sleep(MS(1)), 0);
}

SCENARIO_WITH(C16_co_shield_runs_under_a_cancelled_scope, hearing())
{
	co_scope o = CO_SCOPE_INIT;

	begin_cancelled(&o, EPIPE);
	IS(co_shield(MS(10), run_body, NULL), 0);
	AT(1);
	IS(co_shield(MS(10), sleep_forever, NULL), TMO);
	AT(11);
	IS(co_shield(MS(10), five, NULL), 5);
	IS(co_yield_now(), CANC);
	IS(co_scope_end(&o, CANC), -EPIPE);
	IS(misuses()->count, 0);
}

SCENARIO(C16_a_shield_hides_outer_cancels_only)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope h = CO_SCOPE_INIT;
	co_scope i = CO_SCOPE_INIT;

	begin_cancelled(&o, EIO);
	co_scope_begin_shield(&h, MS(100));
	co_scope_begin(&i, MS(50));
	IS(co_time_left(), MS(50));
	IS(co_scope_cancel(&i, EPIPE), 0);
	IS(co_sleep(MS(1)), CANC);
	IS(co_scope_end(&i, CANC), -EPIPE);
	IS(co_sleep(MS(1)), 0);
	IS(co_scope_end(&h, co_sleep(CO_FOREVER)), TMO);
	AT(100);
	IS(co_scope_end(&o, CANC), -EIO);
}

/* The cancel comes while the coroutine is parked in its shield: it stays parked. */
SCENARIO(C16_a_cancel_does_not_wake_the_shielded)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope h = CO_SCOPE_INIT;
	struct strike at_10 = { MS(10), &o, 0 };
	struct lone striker;

	lone_start(&striker, strike, &at_10);
	co_scope_begin(&o, MS(20));
	co_scope_begin_shield(&h, MS(100));
	IS(co_sleep(MS(50)), 0);
	AT(50);
	IS(co_checkpoint(), 0);
	IS(co_scope_end(&h, 0), 0);
	IS(co_scope_end(&o, co_checkpoint()), 0);
	IS(lone_end(&striker), 0);
}

/* ------------------------------------------------------------------- wrappers and blocks */

static int minus_eio_after_expiry(void *unused)
{
	(void)unused;
	IS(co_sleep(CO_FOREVER), CANC);
	return -EIO;
}

SCENARIO(C11_co_timeout_gives_what_its_scope_gives)
{
	co_scope o = CO_SCOPE_INIT;

	IS(co_timeout(MS(10), five, NULL), 5);
	IS(co_timeout(MS(10), sleep_forever, NULL), TMO);
	AT(10);
	IS(co_timeout(MS(10), minus_eio_after_expiry, NULL), -EIO);
	AT(20);
	IS(co_timeout(CO_FOREVER, sleep_ms, num(5)), 0);
	AT(25);
	co_scope_begin(&o, MS(10));
	IS(co_timeout(MS(10), sleep_forever, NULL), CANC);
	IS(co_timeout(0, sleep_forever, NULL), CANC);
	IS(co_scope_end(&o, CANC), TMO);
	AT(35);
	IS(co_deadline(), CO_FOREVER);
}

SCENARIO(C11_a_block_has_a_result)
{
	co_scope s;
	int rc = 0;

	co_with_timeout(&s, MS(10))
		rc = co_sleep(CO_FOREVER);
	IS(rc, CANC);
	AT(10);
	IS(co_deadline(), CO_FOREVER);
	IS(co_scope_result(&s, rc), TMO);
	ck_assert(co_scope_caught(&s));

	co_with_timeout(&s, MS(10)) {
		IS(co_deadline(), MS(20));
		rc = 42;
	}
	IS(co_scope_result(&s, rc), 42);
	ck_assert(!co_scope_caught(&s));

	co_with_timeout(&s, 0) {
		note('x');
		rc = co_checkpoint();
	}
	ck_assert_str_eq(notes(), "x");
	IS(co_scope_result(&s, rc), TMO);

	co_with_timeout(&s, MS(10)) {
		IS(co_scope_cancel(&s, EPIPE), 0);
		rc = co_yield_now();
	}
	IS(co_scope_result(&s, rc), -EPIPE);
}

/* What happens after the block was left does not change its result. */
SCENARIO(C11_a_block_is_judged_as_of_when_it_was_left)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope s;
	int rc = 0;

	co_scope_begin(&o, CO_FOREVER);
	co_with_timeout(&s, MS(10))
		rc = co_sleep(CO_FOREVER);
	IS(co_scope_cancel(&o, 0), 0);
	IS(co_scope_result(&s, rc), TMO);
	co_with_timeout(&s, 0)
		rc = co_checkpoint();
	IS(co_scope_end(&o, CANC), 0);
	IS(co_scope_result(&s, rc), CANC);
	ck_assert(!co_scope_caught(&s));

	co_with_timeout(&s, MS(10))
		rc = co_sleep(MS(5));
	IS(co_sleep(MS(20)), 0);
	IS(co_scope_result(&s, CANC), CANC);
}

SCENARIO_WITH(C11_an_open_scope_has_no_result, hearing())
{
	co_scope s = CO_SCOPE_INIT;
	co_scope in_block;

	co_scope_begin(&s, MS(10));
	IS(co_scope_result(&s, 7), -EINVAL);
	IS(misuses()->count, 1);
	IS(misuses()->kind[0], CO_MISUSE_SCOPE_STATE);
	IS(co_deadline(), MS(10));
	IS(co_scope_end(&s, 7), 7);
	co_with_timeout(&in_block, MS(10))
		IS(co_scope_result(&in_block, 7), -EINVAL);
	IS(misuses()->count, 2);
	IS(co_scope_result(&in_block, 7), 7);
	IS(misuses()->count, 2);
}

static int return_from_blocks(co_scope *outer, co_scope *inner)
{
	co_with_timeout(outer, MS(100)) {
		co_with_shield(inner, MS(10)) {
			return co_sleep(CO_FOREVER);
		}
	}
	return 99;
}

SCENARIO_WITH(C11_a_block_is_left_by_return, hearing())
{
	co_scope outer, inner;
	int rc = return_from_blocks(&outer, &inner);

	IS(rc, CANC);
	IS(co_deadline(), CO_FOREVER);
	IS(co_scope_result(&inner, rc), TMO);
	IS(co_scope_result(&outer, 0), 0);
	IS(misuses()->count, 0);
}

SCENARIO_WITH(C11_a_block_is_left_by_break_and_continue, hearing())
{
	int after_break = 0;
	int after_continue = 0;

	for (int i = 0; i < 3; i++) {
		co_scope s;
		int rc = 0;

		co_with_timeout(&s, MS(10)) {
			rc = co_sleep(CO_FOREVER);
			break;
		}
		IS(co_deadline(), CO_FOREVER);
		IS(co_scope_result(&s, rc), TMO);
		after_break++;
		co_with_timeout(&s, MS(10)) {
			if (rc)
				continue;
			after_continue = 99;
		}
		IS(co_deadline(), CO_FOREVER);
		IS(co_scope_result(&s, 8), 8);
		after_continue++;
	}
	IS(after_break, 3);
	IS(after_continue, 3);
	AT(30);
	IS(misuses()->count, 0);
}

SCENARIO_WITH(C11_a_block_is_left_by_goto, hearing())
{
	co_scope a, b;
	int times = 0;

again:
	co_with_timeout(&a, MS(100)) {
		co_with_timeout(&b, MS(10)) {
			if (++times < 5)
				goto again;
			goto out;
		}
		times = 99;
	}
	times = 99;
out:
	IS(times, 5);
	IS(co_deadline(), CO_FOREVER);
	IS(co_scope_result(&b, 1), 1);
	IS(co_scope_result(&a, 2), 2);
	IS(misuses()->count, 0);
}

SCENARIO(C16_a_shield_block_shields)
{
	co_scope o = CO_SCOPE_INIT;
	co_scope h;
	int rc = 0;

	begin_cancelled(&o, EPIPE);
	co_with_shield(&h, MS(10))
		rc = co_sleep(MS(5));
	IS(rc, 0);
	AT(5);
	co_with_shield(&h, MS(10))
		rc = co_sleep(CO_FOREVER);
	IS(co_scope_result(&h, rc), TMO);
	AT(15);
	IS(co_scope_end(&o, co_checkpoint()), -EPIPE);
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
	C11_every_stack_of_four_against_the_sentences,
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
	C4_the_cause_is_that_of_the_outermost_visible,
	C5_a_shield_around_a_group_shields_its_children,
	C5_a_cancel_reaches_through_any_depth_of_groups,
	C6_every_point_fails_until_the_scope_is_left,
	C6_a_cancel_wakes_from_every_kind_of_wait,
	C7_no_time_is_left_in_a_cancelled_scope,
	C7_a_point_checks_before_any_side_effect,
	C7_an_admission_refused_takes_no_place,
	C7_a_call_with_its_own_deadline_tries_first,
	C7_a_cancelled_scope_beats_the_call_s_own_deadline,
	C7_the_earlier_of_the_call_s_and_the_scope_s_deadline,
	C8_a_sleep_that_was_picked_is_over,
	C8_a_join_that_was_picked_is_over,
	C8_a_group_wait_that_was_picked_is_over,
	C8_a_cancelled_joiner_leaves_at_once,
	C8_a_cancelled_joiner_gets_nothing,
	C8_a_cancelled_owner_is_not_told_of_the_last_child,
	C11_other_values_come_back_unchanged,
	C11_a_live_scope_passes_a_strange_cancel_on,
	C11_the_owner_s_scope_beats_the_child_s,
	C11_a_shield_of_the_owner_lets_the_child_s_win,
	C11_a_group_maps_a_cut_like_a_scope,
	C12_the_outermost_wins,
	C12_the_outermost_wins_at_a_checkpoint,
	C12_unless_a_shield_lies_between,
	C12_a_shield_due_with_its_parent_owns_its_timeout,
	C12_the_owner_s_scope_is_the_outer_one,
	C13_begun_due_is_cancelled_at_once,
	C13_begun_a_moment_before_is_not,
	C13_due_by_the_clock_as_it_is,
	C14_the_last_store_holds_and_the_earlier_of_it_and_begin_counts,
	C14_stored_deadlines_count_for_shields_too,
	C14_a_move_counts_at_once_and_more_than_once,
	C14_a_due_old_deadline_beats_the_move,
	C14_nor_does_infinity_save_it,
	C14_moved_to_now_it_is_cancelled_at_once,
	C14_an_outer_scope_is_moved_from_inside,
	C14_moves_go_on_under_a_cancelled_scope,
	C14_an_ended_scope_is_gone,
	C14_some_errs_are_refused,
	C14_an_idle_timer_of_a_million_bytes,
	C15_a_cancel_before_begin_is_honoured,
	C15_a_cancel_before_begin_precedes_a_due_deadline,
	C15_a_cancel_before_begin_reaches_nobody_else,
	C15_a_scope_is_single_use,
	C16_an_endless_shield_is_refused,
	C16_an_endless_co_shield_does_not_call,
	C16_an_endless_block_is_skipped,
	C16_co_shield_runs_under_a_cancelled_scope,
	C16_a_shield_hides_outer_cancels_only,
	C16_a_cancel_does_not_wake_the_shielded,
	C16_a_shield_block_shields,
	C11_co_timeout_gives_what_its_scope_gives,
	C11_a_block_has_a_result,
	C11_a_block_is_judged_as_of_when_it_was_left,
	C11_an_open_scope_has_no_result,
	C11_a_block_is_left_by_return,
	C11_a_block_is_left_by_break_and_continue,
	C11_a_block_is_left_by_goto)
