/*
 * Groups against a model: random children, body, deadline around the group and cancel by a
 * stranger. The model follows the sentences of C26 and C27 over a list of events in order of
 * time and knows nothing of scheduling; plays in which two events fall on one instant are
 * passed over, since there the order of waking would count.
 */
#include "actor.h"

#define KIDS 5

struct play {
	enum co_group_mode mode;
	struct actor part[KIDS + 1];  /* the last one is the body's */
	int kids, outer, cancel, err; /* ms, 0: none; errno */
	co_group *group;
	int end, at, errors, error[4], winner, code; /* what happened */
};

struct model {
	int cut; /* ms: when the group is cancelled; INT32_MAX: never */
	int exit_at[KIDS + 1], code[KIDS + 1];
	bool short_[KIDS + 1], error[KIDS + 1], success[KIDS + 1];
};

/* -------------------------------------------------------------------------------- the model */

/* When and how part i ends, if the group is cancelled at m->cut. */
static void end_part(const struct play *p, struct model *m, int i)
{
	const struct actor *a = &p->part[i == p->kids ? KIDS : i];
	bool cut = a->nap == EVER || a->nap > m->cut;

	m->exit_at[i] = cut ? m->cut + a->cleanup : a->nap;
	m->code[i] = !cut ? a->exit : a->answers ? a->answer : CANC;
	m->short_[i] = cut && m->code[i] == CANC;
	m->error[i] = m->code[i] < 0 && !m->short_[i];
	m->success[i] = m->code[i] >= 0 && i < p->kids;
}

static bool cancels(const struct play *p, const struct model *m, int i)
{
	if (m->error[i])
		return i == p->kids || p->mode == CO_GROUP_FAIL_FAST;
	return m->success[i] && p->mode == CO_GROUP_FIRST;
}

/* Finds the moment of the cancel: the earliest of all that may cause it. */
static void run_model(const struct play *p, struct model *m)
{
	int by;

	m->cut = INT32_MAX;
	if (p->outer)
		m->cut = p->outer;
	if (p->cancel && p->cancel < m->cut)
		m->cut = p->cancel;
	do {
		by = -1;
		for (int i = 0; i <= p->kids; i++) {
			if (m->cut == INT32_MAX && p->part[i == p->kids ? KIDS : i].nap == EVER) {
				m->exit_at[i] = INT32_MAX;
				m->error[i] = m->success[i] = m->short_[i] = false;
				continue;
			}
			end_part(p, m, i);
			if (cancels(p, m, i) && m->exit_at[i] < m->cut &&
			    (by < 0 || m->exit_at[i] < m->exit_at[by]))
				by = i;
		}
		if (by >= 0)
			m->cut = m->exit_at[by];
	} while (by >= 0);
}

static int last_exit(const struct play *p, const struct model *m)
{
	int at = 0;

	for (int i = 0; i <= p->kids; i++)
		if (m->exit_at[i] > at)
			at = m->exit_at[i];
	return at;
}

/* The earliest of those marked; -1: none. */
static int earliest(const struct model *m, const bool *mark, int n)
{
	int first = -1;

	for (int i = 0; i < n; i++)
		if (mark[i] && (first < 0 || m->exit_at[i] < m->exit_at[first]))
			first = i;
	return first;
}

/* C27 */
static int model_end(const struct play *p, const struct model *m)
{
	int body = p->kids, first;
	bool cut = m->short_[body];

	if (p->mode == CO_GROUP_FAIL_FAST && (first = earliest(m, m->error, body + 1)) >= 0)
		return m->code[first];
	if (p->mode == CO_GROUP_FIRST && earliest(m, m->success, body) >= 0)
		return 0;
	if (m->error[body])
		return m->code[body];
	if (p->mode == CO_GROUP_FIRST && (first = earliest(m, m->error, body)) >= 0)
		return m->code[first];
	for (int i = 0; i < p->kids; i++)
		cut |= m->short_[i];
	if (!cut)
		return m->code[body];
	if (p->outer && p->outer <= last_exit(p, m))
		return CANC;
	return -p->err;
}

/* Whether it is a play for the model: it ends, and all its moments differ. */
static bool clear_cut(const struct play *p, const struct model *m)
{
	int moment[KIDS + 3], n = 0;

	for (int i = 0; i <= p->kids; i++)
		moment[n++] = m->exit_at[i];
	moment[n++] = p->outer;
	if (p->cancel || !p->outer)
		moment[n++] = p->cancel;
	for (int i = 0; i < n; i++)
		for (int k = 0; k < i; k++)
			if (moment[i] == moment[k] || moment[i] == INT32_MAX)
				return false;
	return true;
}

/* ----------------------------------------------------------------------------- the real one */

static int stranger(void *arg)
{
	struct play *p = arg;

	IS(nap_ms(p->cancel), 0);
	co_ignore(co_group_cancel(p->group, p->err));
	return 0;
}

static int play_it(void *arg)
{
	struct play *p = arg;
	co_scope outer = CO_SCOPE_INIT;
	co_ref who[KIDS], won = { 0 };
	co_group aside, g;

	p->group = &g;
	co_group_begin(&aside, CO_GROUP_FAIL_FAST);
	co_scope_begin(&outer, p->outer ? MS(p->outer) : CO_FOREVER);
	co_group_begin(&g, p->mode);
	if (p->cancel)
		spawn(&aside, stranger, p);
	for (int i = 0; i < p->kids; i++)
		who[i] = spawn(&g, actor, &p->part[i]);
	p->end = co_group_end(&g, actor(&p->part[KIDS]));
	p->at = now_ms();
	p->errors = co_group_errors(&g, p->error, 4);
	p->winner = -1;
	if (co_group_winner(&g, &won, &p->code) == 0)
		for (int i = 0; i < p->kids; i++)
			if (who[i].id == won.id)
				p->winner = i;
	co_ignore(co_scope_end(&outer, p->end));
	return co_group_end(&aside, 0);
}

/* --------------------------------------------------------------------------------- the dice */

static int roll(uint64_t *dice, int n)
{
	return (int)(suite_random(dice) % (unsigned)n);
}

static int some_exit(uint64_t *dice)
{
	static const int exits[] = { 0, 0, 0, 5, 9, -EIO, -EPROTO, -ECANCELED, -ETIMEDOUT };

	return exits[roll(dice, (int)LENGTH(exits))];
}

static void deal(struct play *p, uint64_t *dice)
{
	*p = (struct play){ .mode = (enum co_group_mode)roll(dice, 3) };
	p->kids = roll(dice, KIDS + 1);
	for (int i = 0; i <= KIDS; i++) {
		struct actor *a = &p->part[i];

		a->nap = roll(dice, 3) ? 1 + roll(dice, 400) : EVER;
		a->exit = some_exit(dice);
		a->answers = roll(dice, 3) == 0;
		a->answer = some_exit(dice);
		a->cleanup = 1 + roll(dice, 200);
	}
	if (roll(dice, 3) == 0)
		p->outer = 1 + roll(dice, 500);
	if (roll(dice, 3) == 0)
		p->cancel = 1 + roll(dice, 500);
	if (roll(dice, 2))
		p->err = EPIPE;
}

static void compare(struct play *p, const struct model *m, int n)
{
	struct co_options opt = { .clock = CO_CLOCK_VIRTUAL };
	bool told[KIDS + 1];
	int i, k = 0, winner = -1, at = last_exit(p, m);

	PLAY_WITH(play_it, p, &opt);
	ck_assert_msg(p->end == model_end(p, m), "play %d: end %d, not %d", n, p->end,
		      model_end(p, m));
	ck_assert_msg(p->at == at, "play %d: at %d, not %d", n, p->at, at);
	memcpy(told, m->error, sizeof(told));
	for (; (i = earliest(m, told, p->kids)) >= 0; k++) {
		ck_assert_msg(k >= 4 || p->error[k] == m->code[i], "play %d: error %d", n, k);
		told[i] = false;
	}
	ck_assert_msg(p->errors == k, "play %d: %d errors, not %d", n, p->errors, k);
	if (p->mode == CO_GROUP_FIRST)
		winner = earliest(m, m->success, p->kids);
	ck_assert_msg(p->winner == winner, "play %d: winner %d, not %d", n, p->winner, winner);
	ck_assert_msg(winner < 0 || p->code == m->code[winner], "play %d: the winner's exit", n);
}

/* C26, C27 */
START_TEST(C27_random_plays_end_as_the_sentences_say)
{
	uint64_t dice = suite_seed();
	struct model m;
	struct play p;
	int played = 0;

	for (int n = 0; played < (suite_long() ? 30000 : 10000); n++) {
		deal(&p, &dice);
		run_model(&p, &m);
		if (!clear_cut(&p, &m))
			continue;
		compare(&p, &m, n);
		played++;
	}
}
END_TEST

SUITE("group-model", C27_random_plays_end_as_the_sentences_say)
