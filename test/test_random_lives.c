/*
 * Random programs: coroutines that sleep, open scopes and groups, spawn, join and cancel each
 * other by chance, until their budget is spent or they are cancelled. Nothing is known of a
 * program's result, but much that must hold in any:
 *
 *	each accepted spawn runs once and ends before its group does, a refused one never runs
 *	(C21, C22, C28);
 *	-ECANCELED comes only while a cause is visible, and then from every point (C6, C10);
 *	no sleep that succeeds is early (C2); a scope's end gives rc or what C11 allows;
 *	nothing is misuse, and the runtime ends with 0.
 */
#include "actor.h"

#define LIVES 400 /* coroutines in a program */
#define DEPTH 4	  /* scopes and groups of one coroutine */

struct life {
	co_ref ref;
	int started, ended;
	bool refused;
	struct family *family; /* NULL: detached */
};

struct family {
	co_group group;
	struct family *outer; /* of the same coroutine, or its parent's */
	int children;
};

static struct life life[LIVES];
static int born, ended;
static co_scope *open_scope[64]; /* of all coroutines; NULL: free */
static uint64_t dice;

static int roll(int n)
{
	return (int)(suite_random(&dice) % (unsigned)n);
}

/* --------------------------------------------------------------------------- what must hold */

/* After a cancellation point gave rc. */
static int point(int rc)
{
	struct co_cause cause;
	int cancelled = co_cancel_cause(&cause);

	if (rc == CANC) {
		IS(cancelled, 0);
		IS(co_time_left(), 0);
		ck_assert(co_deadline() <= co_now());
		IS(co_checkpoint(), CANC);
		IS(co_sleep(CO_SEC(9)), CANC);
	}
	ck_assert_int_ne(cause.kind == CO_CAUSE_NONE, cancelled == 0);
	return rc;
}

static int slept(co_ns dur)
{
	co_ns from = co_now();
	int rc = point(co_sleep(dur));

	ck_assert(rc == 0 || rc == CANC);
	ck_assert(rc || dur <= 0 || co_now() >= from + dur);
	return rc;
}

static void ends_as_it_may(co_scope *s, int rc)
{
	struct co_cause cause;
	bool cancelled = co_scope_cancelled(s);
	int known = co_scope_cause(s, &cause), end = co_scope_end(s, rc);

	IS(known, cancelled ? 0 : -ENOENT);
	ck_assert_int_eq(co_scope_caught(s), rc == CANC && end != CANC);
	if (rc != CANC || !cancelled)
		IS(end, rc);
	else if (end != CANC)
		IS(end, cause.kind == CO_CAUSE_DEADLINE ? TMO : -cause.err);
	ck_assert_int_eq(end == CANC, rc == CANC && !co_scope_caught(s));
}

/* ----------------------------------------------------------------------------------- living */

static int live(void *arg);
static int act(struct family *f, int depth, int acts);

static struct life *next_life(struct family *f)
{
	struct life *l = &life[born];

	if (born == LIVES)
		return NULL;
	born++;
	l->family = f;
	return l;
}

static void give_birth(struct family *f)
{
	struct life *l = next_life(f);
	int rc;

	if (!l)
		return;
	if (f)
		f->children++;
	rc = co_spawn(f ? &f->group : NULL, live, l, roll(2) ? &l->ref : NULL);
	ck_assert(rc == 0 || rc == CANC || (rc == -EAGAIN && f));
	l->refused = rc != 0;
	if (rc && f)
		f->children--;
}

static int start_one(struct family *f)
{
	struct life *l = next_life(f);
	int rc;

	if (!l)
		return 0;
	f->children++;
	rc = co_group_start(&f->group, live, l, NULL);
	if (!l->started) {
		l->refused = true;
		f->children--;
		ck_assert(rc == CANC || rc == -EAGAIN);
	}
	return rc == CANC && co_cancel_cause(&(struct co_cause){ .err = 0 }) == 0 ? CANC : 0;
}

/* A cancelled group refuses also who is behind a shield. */
static int admitted(struct family *f)
{
	int rc = co_group_admit(&f->group);

	ck_assert(rc == 0 || rc == CANC);
	return rc == CANC && co_cancel_cause(&(struct co_cause){ .err = 0 }) == 0 ? CANC : 0;
}

static co_ref some_ref(void)
{
	return born ? life[roll(born)].ref : (co_ref){ 0 };
}

static int join_some(void)
{
	int rc = roll(2) ? co_join(some_ref(), NULL)
			 : co_join_until(some_ref(), NULL, co_now() + MS(roll(20) - 5));

	ck_assert(rc == 0 || rc == CANC || rc == TMO || rc == -ESRCH || rc == -EBUSY ||
		  rc == -EDEADLK);
	return point(rc) == CANC ? CANC : 0;
}

static void meddle(void)
{
	co_scope *s = open_scope[roll((int)LENGTH(open_scope))];
	co_ref ref = some_ref();
	int rc = roll(3) ? 0 : co_cancel(ref, roll(2) ? EIO : 0);

	ck_assert(rc == 0 || rc == -ESRCH);
	if (!s || roll(3) == 0)
		return;
	rc = roll(2)   ? co_scope_cancel(s, roll(2) ? EPIPE : 0)
	     : roll(2) ? co_scope_rearm(s, MS(roll(30) - 3))
		       : co_scope_set_deadline(s, co_now() + MS(roll(30) - 3));
	ck_assert(rc == 0 || rc == -EALREADY);
}

static int in_scope(struct family *f, int depth, int acts)
{
	co_scope s = CO_SCOPE_INIT;
	int slot = roll((int)LENGTH(open_scope)), rc;
	bool listed = open_scope[slot] == NULL;

	if (roll(4) == 0)
		co_scope_begin_shield(&s, MS(roll(20)));
	else
		co_scope_begin(&s, roll(5) ? MS(roll(40) - 2) : CO_FOREVER);
	if (listed)
		open_scope[slot] = &s;
	rc = act(f, depth - 1, acts);
	if (listed)
		open_scope[slot] = NULL;
	ends_as_it_may(&s, rc);
	return co_cancel_cause(&(struct co_cause){ .err = 0 }) ? 0 : CANC;
}

static int in_group(struct family *outer, int depth, int acts)
{
	struct family f = { .outer = outer };
	int rc;

	co_group_begin(&f.group, (enum co_group_mode)roll(3));
	if (roll(3) == 0)
		co_group_limit(&f.group, 1 + roll(3));
	for (int i = roll(5); i > 0; i--)
		give_birth(&f);
	rc = act(&f, depth - 1, acts);
	if (roll(8) == 0)
		rc = -EPROTO;
	rc = co_group_end(&f.group, rc);
	IS(f.children, 0);
	IS(co_spawn(&f.group, live, NULL, NULL), -ESHUTDOWN);
	return co_cancel_cause(&(struct co_cause){ .err = 0 }) ? 0 : CANC;
}

static int one_act(struct family *f, int depth, int acts)
{
	switch (roll(14)) {
	case 0:
	case 1:
		return slept(MS(roll(12) - 1));
	case 2:
		return roll(4) ? slept(1) : slept(CO_FOREVER);
	case 3:
		return point(co_yield_now());
	case 4:
		return point(co_checkpoint());
	case 5:
	case 6:
		return depth ? in_scope(f, depth, acts) : 0;
	case 7:
	case 8:
		return depth ? in_group(f, depth, acts) : 0;
	case 9:
		give_birth(roll(6) ? f : NULL);
		return 0;
	case 10:
		return join_some();
	case 11:
		meddle();
		return 0;
	case 12:
		return f ? start_one(f) : 0;
	default:
		if (f && roll(2))
			return admitted(f);
		IS(co_test_stall(MS(roll(3))), 0);
		return 0;
	}
}

/* Some acts one after another; the result is 0, or -ECANCELED when one of them was cut and it
 * was heeded. */
static int act(struct family *f, int depth, int acts)
{
	while (acts-- > 0)
		if (one_act(f, depth, acts) == CANC && roll(5))
			return CANC;
	return 0;
}

static int live(void *arg)
{
	struct life *l = arg;
	int rc;

	ck_assert(!l->refused);
	IS(l->started++, 0);
	if (roll(2))
		co_started(1);
	rc = act(l->family, DEPTH, roll(10));
	if (l->family)
		l->family->children--;
	l->ended++;
	ended++;
	return roll(10) == 0 ? -EIO : rc ? rc : roll(3);
}

static int world(void *unused)
{
	co_scope s = CO_SCOPE_INIT;
	int rc;

	(void)unused;
	co_scope_begin(&s, MS(200));
	while (born < LIVES / 2 && !co_scope_cancelled(&s))
		co_ignore(in_group(NULL, DEPTH, 6));
	rc = co_sleep(0);
	co_ignore(co_scope_end(&s, rc));
	return 0;
}

START_TEST(random_lives)
{
	struct co_options opt = *hearing();
	int accepted;

	dice = suite_seed();
	opt.grace = CO_FOREVER;
	opt.watchdog = CO_SEC(1000);
	for (int n = 0; n < (suite_long() ? 1000 : 150); n++) {
		memset(life, 0, sizeof(life));
		born = ended = accepted = 0;
		PLAY_WITH(world, NULL, &opt);
		for (int i = 0; i < born; i++) {
			accepted += !life[i].refused;
			IS(life[i].started, !life[i].refused);
			IS(life[i].ended, !life[i].refused);
		}
		IS(ended, accepted);
		IS(misuses()->count, 0);
		IS(reported(CO_REPORT_DETACHED_ERROR), reports()->count < 8 ? reports()->count : 8);
		reports()->count = 0;
	}
}
END_TEST

SUITE("random-lives", random_lives)
