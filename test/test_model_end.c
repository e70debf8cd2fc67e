/*
 * Every stack of four scopes, each plain or a shield, alive, expired or cancelled, in a coroutine
 * that is cancelled or not, against the sentences of C5, C7 and C11 written down as code.
 */
#include "scenario.h"

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

SUITE("model: ends of scopes",
	C11_every_stack_of_four_against_the_sentences)
