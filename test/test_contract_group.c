/*
 * Groups: what group_end and group_wait promise (C26, C27; C3, C4, C14 where they speak of
 * groups). A stage is a row of a table: children, a body, what cancels the group from outside,
 * and the outcome with its time.
 */
#include "actor.h"

#define ERRORS(n, ...) .errors = n, .error = { __VA_ARGS__ }

struct stage {
	const char *what;
	int kids;
	struct actor kid[6], body;
	int outer;	 /* ms: deadline of the scope around the group; 0: none */
	int cancel, err; /* ms: a stranger cancels the group, with err; 0: nobody */
	int end, at;	 /* what group_end returns, and when in ms */
	int winner;	 /* 1 for kid[0], ...; 0: none */
	int errors, error[4];
	enum co_group_mode mode;
	co_group *group;
};

static int stranger(void *arg)
{
	struct stage *s = arg;

	ck_assert_int_eq(nap_ms(s->cancel), 0);
	return co_group_cancel(s->group, s->err);
}

static void check_books(const struct stage *s, const co_ref who[])
{
	int error[4] = { 0 }, code = INT32_MIN, i;
	co_ref winner = { 0 };

	ck_assert_msg(co_group_errors(s->group, error, 4) == s->errors, "%s: errors", s->what);
	for (i = 0; i < s->errors && i < 4; i++)
		ck_assert_msg(error[i] == s->error[i], "%s: error %d is %d", s->what, i, error[i]);
	if (!s->winner) {
		ck_assert_msg(co_group_winner(s->group, &winner, &code) == -ESRCH, "%s: a winner",
			      s->what);
		return;
	}
	ck_assert_msg(co_group_winner(s->group, &winner, &code) == 0, "%s: no winner", s->what);
	ck_assert_msg(winner.id == who[s->winner - 1].id, "%s: another winner", s->what);
	ck_assert_int_eq(co_group_winner(s->group, NULL, NULL), 0);
}

static int play_stage(void *arg)
{
	struct stage *s = arg;
	co_scope outer = CO_SCOPE_INIT;
	co_group aside, g;
	co_ref who[6];
	int rc, i;

	s->group = &g;
	co_group_begin(&aside, CO_GROUP_FAIL_FAST);
	co_scope_begin(&outer, s->outer ? MS(s->outer) : CO_FOREVER);
	co_group_begin(&g, s->mode);
	if (s->cancel)
		spawn(&aside, stranger, s);
	for (i = 0; i < s->kids; i++)
		who[i] = spawn(&g, actor, &s->kid[i]);
	rc = actor(&s->body);
	rc = co_group_end(&g, rc);
	ck_assert_msg(rc == s->end, "%s: end is %d, not %d", s->what, rc, s->end);
	ck_assert_msg(now_ms() == s->at, "%s: at %d, not %d", s->what, now_ms(), s->at);
	for (i = 0; i < s->kids; i++)
		ck_assert_msg(s->kid[i].ran == 1, "%s: kid %d", s->what, i);
	check_books(s, who);
	co_ignore(co_scope_end(&outer, rc));
	return co_group_end(&aside, 0);
}

static void play_stages(enum co_group_mode mode, const struct stage *table, int n)
{
	struct co_options opt = { .clock = CO_CLOCK_VIRTUAL };
	struct stage s;
	int i;

	for (i = 0; i < n; i++) {
		s = table[i];
		s.mode = mode;
		PLAY_WITH(play_stage, &s, &opt);
	}
}

/* C26, C27: the first error in time, of children and body alike */
/* clang-format off */
static const struct stage fail_fast_errors[] = {
	{ "body error, nobody there", .body = EXIT(0, -EIO), .end = -EIO },
	{ "body returns -ECANCELED, nobody cancelled", .body = EXIT(0, -ECANCELED),
	  .end = -ECANCELED },
	{ "a child", 2, { EXIT(10, -EIO), SITS }, SITS, .end = -EIO, .at = 10, ERRORS(1, -EIO) },
	{ "the last child", 2, { EXIT(10, 0), EXIT(20, -EIO) }, EXIT(0, 0),
	  .end = -EIO, .at = 20, ERRORS(1, -EIO) },
	{ "rc positive", 1, { EXIT(10, -EIO) }, EXIT(0, 5),
	  .end = -EIO, .at = 10, ERRORS(1, -EIO) },
	{ "a sibling's answer is the second", 2, { SAYS(-EPROTO), EXIT(10, -EIO) }, SITS,
	  .end = -EIO, .at = 10, ERRORS(2, -EIO, -EPROTO) },
	{ "a sibling succeeds after it", 2, { SAYS(3), EXIT(10, -EIO) }, SITS,
	  .end = -EIO, .at = 10, ERRORS(1, -EIO) },
	{ "body first", 2, { SITS, SITS }, EXIT(10, -EINVAL), .end = -EINVAL, .at = 10 },
	{ "body first, then a child's answer", 1, { SAYS(-EPROTO) }, EXIT(10, -EINVAL),
	  .end = -EINVAL, .at = 10, ERRORS(1, -EPROTO) },
	{ "body answers a child's error", 1, { EXIT(10, -EIO) }, SAYS(-EPROTO),
	  .end = -EIO, .at = 10, ERRORS(1, -EIO) },
	{ "body fails after an unseen error", 1, { EXIT(10, -EIO) },
	  { .nap = EVER, .cleanup = 20, .answers = true, .answer = -EPROTO }, .end = -EIO, .at = 30,
	  ERRORS(1, -EIO) },
	{ "body errs while the siblings unwind", 2, { EXIT(10, -EIO), SLOW(40) }, SAYS(-EPROTO),
	  .end = -EIO, .at = 50, ERRORS(1, -EIO) },
	{ "-ECANCELED, nobody cancelled", 2, { EXIT(10, -ECANCELED), SITS }, SITS,
	  .end = -ECANCELED, .at = 10, ERRORS(1, -ECANCELED) },
	{ "an error in the outer scope's unwinding", 2, { SITS, SAYS(-EIO) }, SITS,
	  .outer = 20, .end = -EIO, .at = 20, ERRORS(1, -EIO) },
	{ "an error in an explicit cancel's unwinding", 2, { SITS, SAYS(-EIO) }, SITS,
	  .cancel = 20, .err = EPIPE, .end = -EIO, .at = 20, ERRORS(1, -EIO) },
	{ "body's error in an explicit cancel", 1, { SITS }, SAYS(-EPROTO),
	  .cancel = 20, .err = EPIPE, .end = -EPROTO, .at = 20 },
	{ "-ETIMEDOUT is an error like others", 2, { EXIT(10, -ETIMEDOUT), SITS }, SITS,
	  .end = -ETIMEDOUT, .at = 10, ERRORS(1, -ETIMEDOUT) },
	{ "six errors are counted, four kept", 6,
	  { EXIT(10, -EIO), SAYS(-1), SAYS(-2), SAYS(-3), SAYS(-4), SAYS(-5) }, SITS, .end = -EIO,
	  .at = 10, ERRORS(6, -EIO, -1, -2, -3) },
	{ "-ECANCELED of the body is judged when it comes", 1, { SLOW(40) }, EXIT(0, CANC),
	  .cancel = 10, .err = EPIPE, .end = CANC, .at = 40 },
	{ "in time, not in order of spawning", 2, { EXIT(20, -EPERM), EXIT(10, -EIO) }, EXIT(0, 0),
	  .end = -EIO, .at = 10, ERRORS(1, -EIO) },
};
/* clang-format on */

START_TEST(C27_fail_fast_returns_the_first_error)
{
	play_stages(CO_GROUP_FAIL_FAST, fail_fast_errors, (int)LENGTH(fail_fast_errors));
}
END_TEST

/* C27: no error; cut short gives the mapped -ECANCELED, else rc */
/* clang-format off */
static const struct stage fail_fast_others[] = {
	{ "empty", .end = 0 },
	{ "empty, rc positive", .body = EXIT(0, 5), .end = 5 },
	{ "children succeed", 2, { EXIT(10, 0), EXIT(20, 7) }, EXIT(5, 0), .end = 0, .at = 20 },
	{ "children succeed, rc positive", 2, { EXIT(10, 7), EXIT(20, 0) }, EXIT(5, 5),
	  .end = 5, .at = 20 },
	{ "the owner's rc comes last", 1, { EXIT(10, 0) }, EXIT(30, 5), .end = 5, .at = 30 },
	{ "outer, all cut", 2, { SITS, SITS }, SITS, .outer = 20, .end = -ECANCELED, .at = 20 },
	{ "outer, body cut, no child", 0, .body = SITS, .outer = 20, .end = -ECANCELED, .at = 20 },
	{ "outer, body cut, children done", 1, { EXIT(10, 0) }, SITS,
	  .outer = 20, .end = -ECANCELED, .at = 20 },
	{ "outer, a child cut, rc 0", 2, { EXIT(10, 0), SITS }, EXIT(0, 0),
	  .outer = 20, .end = -ECANCELED, .at = 20 },
	{ "outer, a child cut, rc positive", 1, { SITS }, EXIT(0, 5),
	  .outer = 20, .end = -ECANCELED, .at = 20 },
	{ "outer, all finish, rc 0", 1, { SAYS(0) }, EXIT(0, 0), .outer = 20, .end = 0, .at = 20 },
	{ "outer, all finish, rc positive", 2, { SAYS(0), SAYS(3) }, SAYS(5),
	  .outer = 20, .end = 5, .at = 20 },
	{ "outer, a slow child holds the end", 1, { SLOW(40) }, SITS,
	  .outer = 20, .end = -ECANCELED, .at = 60 },
	{ "err, all cut", 2, { SITS, SITS }, SITS,
	  .cancel = 10, .err = EPIPE, .end = -EPIPE, .at = 10 },
	{ "err, only the body cut", 0, .body = SITS,
	  .cancel = 10, .err = EPIPE, .end = -EPIPE, .at = 10 },
	{ "err, only a child cut", 1, { SITS }, EXIT(0, 0),
	  .cancel = 10, .err = EPIPE, .end = -EPIPE, .at = 10 },
	{ "err, a child cut, rc positive", 1, { SITS }, EXIT(0, 5),
	  .cancel = 10, .err = EPIPE, .end = -EPIPE, .at = 10 },
	{ "err, nobody cut", 1, { SAYS(0) }, EXIT(0, 0),
	  .cancel = 10, .err = EPIPE, .end = 0, .at = 10 },
	{ "err, nobody cut, rc positive", 1, { SAYS(9) }, SAYS(5),
	  .cancel = 10, .err = EPIPE, .end = 5, .at = 10 },
	{ "err 0, all cut", 2, { SITS, SITS }, SITS, .cancel = 10, .end = 0, .at = 10 },
	{ "err 0, a child cut, rc positive", 1, { SITS }, EXIT(0, 5),
	  .cancel = 10, .end = 0, .at = 10 },
	{ "err, then the outer scope", 1, { SLOW(40) }, SITS,
	  .cancel = 10, .err = EPIPE, .outer = 30, .end = -ECANCELED, .at = 50 },
	{ "the outer scope, then err", 1, { SLOW(40) }, SITS,
	  .cancel = 30, .err = EPIPE, .outer = 10, .end = -ECANCELED, .at = 50 },
};
/* clang-format on */

START_TEST(C27_fail_fast_without_an_error)
{
	play_stages(CO_GROUP_FAIL_FAST, fail_fast_others, (int)LENGTH(fail_fast_others));
}
END_TEST

/* C26, C27: a child's error cancels nothing and does not come back; the body's does both */
/* clang-format off */
static const struct stage collect[] = {
	{ "empty", .end = 0 },
	{ "empty, rc positive", .body = EXIT(0, 5), .end = 5 },
	{ "an error cancels nothing", 2, { EXIT(10, -EIO), EXIT(30, 0) }, EXIT(20, 0),
	  .end = 0, .at = 30, ERRORS(1, -EIO) },
	{ "an error, rc positive", 1, { EXIT(10, -EIO) }, EXIT(0, 5),
	  .end = 5, .at = 10, ERRORS(1, -EIO) },
	{ "errors in order of time", 4, { EXIT(40, -1), EXIT(10, -2), EXIT(30, 0), EXIT(20, -3) },
	  EXIT(0, 0), .end = 0, .at = 40, ERRORS(3, -2, -3, -1) },
	{ "six errors are counted, four kept", 6,
	  { EXIT(6, -1), EXIT(5, -2), EXIT(4, -3), EXIT(3, -4), EXIT(2, -5), EXIT(1, -6) },
	  EXIT(0, 0), .end = 0, .at = 6, ERRORS(6, -6, -5, -4, -3) },
	{ "-ECANCELED, nobody cancelled", 2, { EXIT(10, -ECANCELED), EXIT(30, 0) }, EXIT(0, 0),
	  .end = 0, .at = 30, ERRORS(1, -ECANCELED) },
	{ "the body's error cancels", 2, { SITS, SITS }, EXIT(10, -EINVAL),
	  .end = -EINVAL, .at = 10 },
	{ "the body's error after a child's", 2, { EXIT(5, -EIO), SITS }, EXIT(10, -EINVAL),
	  .end = -EINVAL, .at = 10, ERRORS(1, -EIO) },
	{ "body returns -ECANCELED, nobody cancelled", 1, { SITS }, EXIT(10, -ECANCELED),
	  .end = -ECANCELED, .at = 10 },
	{ "outer, all cut", 2, { SITS, SITS }, SITS, .outer = 20, .end = -ECANCELED, .at = 20 },
	{ "outer, a child cut, another failed", 2, { EXIT(10, -EIO), SITS }, EXIT(0, 0),
	  .outer = 20, .end = -ECANCELED, .at = 20, ERRORS(1, -EIO) },
	{ "outer, a child cut, rc positive", 1, { SITS }, EXIT(0, 5),
	  .outer = 20, .end = -ECANCELED, .at = 20 },
	{ "outer, an error in the unwinding, nobody cut", 1, { SAYS(-EIO) }, EXIT(0, 0),
	  .outer = 20, .end = 0, .at = 20, ERRORS(1, -EIO) },
	{ "outer, the body errs in the unwinding", 1, { SITS }, SAYS(-EPROTO),
	  .outer = 20, .end = -EPROTO, .at = 20 },
	{ "outer, all finish", 1, { SAYS(0) }, SAYS(0), .outer = 20, .end = 0, .at = 20 },
	{ "err, all cut", 2, { SITS, SITS }, SITS,
	  .cancel = 10, .err = EPIPE, .end = -EPIPE, .at = 10 },
	{ "err, a child failed before", 2, { EXIT(5, -EIO), SITS }, SITS,
	  .cancel = 10, .err = EPIPE, .end = -EPIPE, .at = 10, ERRORS(1, -EIO) },
	{ "err 0, all cut", 2, { SITS, SITS }, SITS, .cancel = 10, .end = 0, .at = 10 },
	{ "err, nobody cut", 1, { SAYS(0) }, EXIT(0, 5),
	  .cancel = 10, .err = EPIPE, .end = 5, .at = 10 },
};
/* clang-format on */

START_TEST(C27_collect_returns_the_body_s_error)
{
	play_stages(CO_GROUP_COLLECT, collect, (int)LENGTH(collect));
}
END_TEST

/* C26, C27: the first success of a child decides, else rc, else the first error */
/* clang-format off */
static const struct stage first_won[] = {
	{ "the first", 2, { EXIT(30, 0), EXIT(50, 0) }, SITS, .end = 0, .at = 30, .winner = 1 },
	{ "a positive exit is a success", 2, { SITS, EXIT(30, 7) }, EXIT(0, 0),
	  .end = 0, .at = 30, .winner = 2 },
	{ "rc positive", 1, { EXIT(30, 0) }, EXIT(0, 5), .end = 0, .at = 30, .winner = 1 },
	{ "the body was cut by it", 1, { EXIT(30, 1) }, SITS, .end = 0, .at = 30, .winner = 1 },
	{ "the body errs after it", 1, { EXIT(30, 1) }, SAYS(-EPROTO),
	  .end = 0, .at = 30, .winner = 1 },
	{ "the body errs long after it", 1, { EXIT(10, 1) },
	  { .nap = EVER, .cleanup = 30, .answers = true, .answer = -EPROTO }, .end = 0, .at = 40,
	  .winner = 1 },
	{ "failures before it are no errors", 3, { EXIT(10, -EIO), EXIT(30, 0), SITS }, SITS,
	  .end = 0, .at = 30, .winner = 2, ERRORS(1, -EIO) },
	{ "failures after it are none either", 2, { EXIT(30, 0), SAYS(-EIO) }, SITS,
	  .end = 0, .at = 30, .winner = 1, ERRORS(1, -EIO) },
	{ "a second success changes nothing", 2, { SAYS(3), EXIT(30, 0) }, SITS,
	  .end = 0, .at = 30, .winner = 2 },
	{ "the outer scope expires while losers unwind", 2, { EXIT(10, 0), SLOW(40) }, SITS,
	  .outer = 30, .end = 0, .at = 50, .winner = 1 },
	{ "it succeeds although the outer scope expired", 2, { SAYS(0), SITS }, SITS,
	  .outer = 20, .end = 0, .at = 20, .winner = 1 },
	{ "it succeeds although the group was cancelled", 2, { SITS, SAYS(0) }, SITS,
	  .cancel = 20, .err = EPIPE, .end = 0, .at = 20, .winner = 2 },
	{ "it succeeds after the body's error", 2, { SITS, SAYS(4) }, EXIT(10, -EINVAL),
	  .end = 0, .at = 10, .winner = 2 },
};
/* clang-format on */

START_TEST(C27_first_with_a_winner_is_0)
{
	play_stages(CO_GROUP_FIRST, first_won, (int)LENGTH(first_won));
}
END_TEST

/* clang-format off */
static const struct stage first_lost[] = {
	{ "empty", .end = 0 },
	{ "empty, rc positive", .body = EXIT(0, 5), .end = 5 },
	{ "the body's success is no winner", .body = EXIT(10, 0), .end = 0, .at = 10 },
	{ "all fail", 2, { EXIT(20, -EPERM), EXIT(10, -EIO) }, EXIT(0, 0),
	  .end = -EIO, .at = 20, ERRORS(2, -EIO, -EPERM) },
	{ "all fail, rc positive", 1, { EXIT(10, -EIO) }, EXIT(0, 5),
	  .end = -EIO, .at = 10, ERRORS(1, -EIO) },
	{ "all fail, the body errs after them", 1, { EXIT(10, -EIO) }, EXIT(30, -EINVAL),
	  .end = -EINVAL, .at = 30, ERRORS(1, -EIO) },
	{ "the body's error cancels", 2, { SITS, SITS }, EXIT(10, -EINVAL),
	  .end = -EINVAL, .at = 10 },
	{ "-ECANCELED, nobody cancelled", 1, { EXIT(10, -ECANCELED) }, EXIT(0, 0),
	  .end = -ECANCELED, .at = 10, ERRORS(1, -ECANCELED) },
	{ "outer, all cut", 2, { SITS, SITS }, SITS, .outer = 20, .end = -ECANCELED, .at = 20 },
	{ "outer, a child cut, rc positive", 1, { SITS }, EXIT(0, 5),
	  .outer = 20, .end = -ECANCELED, .at = 20 },
	{ "outer, a child cut, another failed", 2, { EXIT(10, -EIO), SITS }, SITS,
	  .outer = 20, .end = -EIO, .at = 20, ERRORS(1, -EIO) },
	{ "outer, the body's answer before the child's", 2, { SAYS(-EIO), SITS }, SAYS(-EPROTO),
	  .outer = 20, .end = -EPROTO, .at = 20, ERRORS(1, -EIO) },
	{ "err, all cut", 2, { SITS, SITS }, SITS,
	  .cancel = 10, .err = EPIPE, .end = -EPIPE, .at = 10 },
	{ "err 0, all cut", 2, { SITS, SITS }, SITS, .cancel = 10, .end = 0, .at = 10 },
	{ "err, a child failed before", 2, { EXIT(5, -EIO), SITS }, SITS,
	  .cancel = 10, .err = EPIPE, .end = -EIO, .at = 10, ERRORS(1, -EIO) },
};
/* clang-format on */

START_TEST(C27_first_with_no_winner)
{
	play_stages(CO_GROUP_FIRST, first_lost, (int)LENGTH(first_lost));
}
END_TEST

/* C27: what an owner in group_wait is told, and what group_end then makes of it */
struct waiting {
	const char *what;
	enum co_group_mode mode;
	int kids;
	struct actor kid[2];
	int wait, at, end;
};

/* clang-format off */
static const struct waiting waits[] = {
	{ "nobody", CO_GROUP_FAIL_FAST, 0, .wait = 0 },
	{ "a success", CO_GROUP_FAIL_FAST, 1, { EXIT(10, 7) }, .at = 10 },
	{ "two", CO_GROUP_FAIL_FAST, 2, { EXIT(20, 0), EXIT(10, 0) }, .at = 20 },
	{ "only and last fails", CO_GROUP_FAIL_FAST, 1, { EXIT(10, -EIO) }, CANC, 10, -EIO },
	{ "fails, without awaiting the other", CO_GROUP_FAIL_FAST, 2, { EXIT(10, -EIO), SLOW(40) },
	  CANC, 10, -EIO },
	{ "-ECANCELED of nobody", CO_GROUP_FAIL_FAST, 1, { EXIT(10, CANC) }, CANC, 10, CANC },
	{ "collect: fails", CO_GROUP_COLLECT, 1, { EXIT(10, -EIO) }, .at = 10 },
	{ "collect: both", CO_GROUP_COLLECT, 2, { EXIT(10, -EIO), EXIT(30, 0) }, .at = 30 },
	{ "first: wins", CO_GROUP_FIRST, 1, { EXIT(10, 0) }, CANC, 10, 0 },
	{ "first: wins, without awaiting the loser", CO_GROUP_FIRST, 2, { EXIT(10, 2), SLOW(40) },
	  CANC, 10, 0 },
	{ "first: fails", CO_GROUP_FIRST, 1, { EXIT(10, -EIO) }, 0, 10, -EIO },
	{ "first: fails, then wins", CO_GROUP_FIRST, 2, { EXIT(10, -EIO), EXIT(30, 0) }, CANC, 30,
	  0 },
};
/* clang-format on */

static int play_waiting(void *arg)
{
	struct waiting *w = arg;
	co_group g;
	int i, rc;

	co_group_begin(&g, w->mode);
	for (i = 0; i < w->kids; i++)
		spawn(&g, actor, &w->kid[i]);
	rc = co_group_wait(&g);
	ck_assert_msg(rc == w->wait, "%s: %d", w->what, rc);
	ck_assert_msg(now_ms() == w->at, "%s: at %d", w->what, now_ms());
	IS(co_group_wait(&g), w->wait);
	rc = co_group_end(&g, rc);
	ck_assert_msg(rc == w->end, "%s: end %d", w->what, rc);
	return 0;
}

START_TEST(C27_owner_in_group_wait)
{
	struct co_options opt = { .clock = CO_CLOCK_VIRTUAL };
	struct waiting w;

	for (size_t i = 0; i < LENGTH(waits); i++) {
		w = waits[i];
		PLAY_WITH(play_waiting, &w, &opt);
	}
}
END_TEST

/* C27, C6: the children finished and then something outside was cancelled */
SCENARIO(C27_done_before_the_cancel_is_0_but_a_wait_is_a_cancellation_point)
{
	co_scope s = CO_SCOPE_INIT;
	co_group g;

	co_scope_begin(&s, CO_FOREVER);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, sleep_ms, num(10));
	advance(MS(20));
	IS(co_scope_cancel(&s, EPIPE), 0);
	IS(co_group_wait(&g), CANC);
	IS(co_group_wait_until(&g, 0), CANC);
	IS(co_group_end(&g, 0), 0);
	IS(co_scope_end(&s, CANC), -EPIPE);
}

/* C7, C27: tries first, leaves the children alone, does not run anybody when the time has passed */
SCENARIO(C7_group_wait_until)
{
	struct actor kid = { .nap = 50, .letter = 'k' };
	co_scope s = CO_SCOPE_INIT;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_group_wait_until(&g, -1), 0);
	spawn(&g, actor, &kid);
	IS(co_group_wait_until(&g, 0), TMO);
	ck_assert(!kid.ran);
	IS(co_group_wait_until(&g, MS(20)), TMO);
	AT(20);
	co_scope_begin(&s, MS(10));
	IS(co_group_wait_until(&g, MS(40)), CANC);
	IS(co_scope_end(&s, CANC), TMO);
	AT(30);
	IS(co_group_wait_until(&g, MS(60)), 0);
	AT(50);
	IS(kid.woke, 0);
	IS(co_group_wait_until(&g, 0), 0);
	IS(co_group_wait_until(&g, CO_FOREVER), 0);
	IS(co_group_end(&g, 0), 0);
}

/* C27: an emptied group goes on living */
SCENARIO(C27_group_can_be_filled_again_after_a_wait)
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 1; i <= 3; i++) {
		spawn(&g, sleep_ms, num(10));
		IS(co_group_wait(&g), 0);
		AT(10 * i);
	}
	IS(co_group_end(&g, 0), 0);
}

/* C4, C26: the cause of those who were cut */
struct witness {
	int rc;
	struct co_cause cause;
};

static int witness(void *arg)
{
	struct witness *w = arg;

	w->rc = co_sleep(CO_FOREVER);
	IS(co_cancel_cause(&w->cause), 0);
	return w->rc;
}

static void cause_is(enum co_group_mode mode, struct actor *culprit, int err)
{
	struct witness w = { 0 };
	struct co_cause own;
	co_group g;

	co_group_begin(&g, mode);
	spawn(&g, witness, &w);
	spawn(&g, actor, culprit);
	IS(co_sleep(CO_FOREVER), CANC);
	IS(co_cancel_cause(&own), 0);
	co_ignore(co_group_end(&g, CANC));
	IS(own.kind, CO_CAUSE_SIBLING);
	IS(own.err, err);
	IS(w.cause.kind, CO_CAUSE_SIBLING);
	IS(w.cause.err, err);
}

SCENARIO(C4_cause_of_a_failed_and_of_a_winning_sibling)
{
	struct actor fails = EXIT(10, -EIO), wins = EXIT(10, 3), odd = EXIT(10, CANC);

	cause_is(CO_GROUP_FAIL_FAST, &fails, EIO);
	cause_is(CO_GROUP_FAIL_FAST, &odd, ECANCELED);
	cause_is(CO_GROUP_FIRST, &wins, 0);
}

/* C4: the first cause sticks */
SCENARIO(C4_cancelling_a_group_again_changes_nothing)
{
	struct witness w = { 0 };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, witness, &w);
	settle();
	IS(co_group_cancel(&g, EPIPE), 0);
	IS(co_group_cancel(&g, EIO), 0);
	IS(co_group_cancel(&g, 0), 0);
	IS(co_group_end(&g, CANC), -EPIPE);
	IS(w.cause.kind, CO_CAUSE_EXPLICIT);
	IS(w.cause.err, EPIPE);
	ck_assert_ptr_nonnull(w.cause.site);
	IS(co_group_cancel(&g, EIO), -ESRCH);
}

/* C14 */
SCENARIO(C14_errs_that_no_cancel_takes)
{
	static const int bad[] = { -1, -EIO, ECANCELED, ETIMEDOUT, INT32_MIN };
	co_group g;
	co_ref ref;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ref = spawn(&g, sleep_ms, num(10));
	for (size_t i = 0; i < LENGTH(bad); i++) {
		IS(co_group_cancel(&g, bad[i]), -EINVAL);
		IS(co_cancel(ref, bad[i]), -EINVAL);
	}
	IS(join(ref), 0);
	IS(co_group_end(&g, 0), 0);
}

/* C26: in the order of spawning, whatever they wait for; C28: all in one pass */
SCENARIO(C26_cut_siblings_wake_in_the_order_of_spawning)
{
	struct actor kid[] = {
		{ .nap = 700, .letter = 'a' }, { .nap = EVER, .letter = 'b' },
		{ .nap = 300, .letter = 'c' }, { .nap = 500, .letter = 'd' },
		{ .nap = 10, .exit = -EIO },   { .nap = 200, .letter = 'e' },
	};
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (size_t i = 0; i < LENGTH(kid); i++)
		spawn(&g, actor, &kid[i]);
	IS(co_group_end(&g, 0), -EIO);
	ck_assert_str_eq(notes(), "abcde");
	AT(10);
	for (size_t i = 0; i < LENGTH(kid); i++)
		IS(kid[i].left, 10);
}

/* C26: a child that was cancelled alone is no error, and not cut short */
SCENARIO(C26_one_child_cancelled_alone)
{
	static const enum co_group_mode modes[] = { CO_GROUP_FAIL_FAST, CO_GROUP_COLLECT,
						    CO_GROUP_FIRST };
	co_group g;
	co_ref ref;

	for (size_t i = 0; i < LENGTH(modes); i++) {
		struct actor one = SITS, other = EXIT(30, modes[i] == CO_GROUP_FIRST ? -EIO : 0);

		co_group_begin(&g, modes[i]);
		ref = spawn(&g, actor, &one);
		spawn(&g, actor, &other);
		IS(co_sleep(MS(10)), 0);
		IS(co_cancel(ref, EPIPE), 0);
		IS(co_sleep(MS(30)), 0);
		IS(one.woke, CANC);
		IS(other.woke, 0);
		IS(co_group_errors(&g, NULL, 0), modes[i] == CO_GROUP_FIRST);
		ck_assert(co_was_cancelled(ref));
		IS(join(ref), CANC);
		IS(co_group_end(&g, 5), modes[i] == CO_GROUP_FIRST ? -EIO : 5);
	}
}

/* C26: cancelled alone, it still may fail with an error of its own */
SCENARIO(C26_one_child_cancelled_alone_fails)
{
	struct actor one = SAYS(-EPROTO);
	co_group g;
	co_ref ref;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ref = spawn(&g, actor, &one);
	settle();
	IS(co_cancel(ref, 0), 0);
	IS(co_sleep(MS(10)), CANC);
	IS(co_group_end(&g, CANC), -EPROTO);
}

/* C27: a child is cut short if the group's scope is cancelled when it exits, whoever cancelled
 * the child before */
SCENARIO(C27_cut_short_is_judged_at_the_exit)
{
	struct actor child = { .nap = EVER, .cleanup = 20 };
	co_group g;
	co_ref ref;

	for (int late = 0; late < 2; late++) {
		int from = now_ms();

		co_group_begin(&g, CO_GROUP_FAIL_FAST);
		ref = spawn(&g, actor, &child);
		IS(co_sleep(MS(10)), 0);
		IS(co_cancel(ref, 0), 0);
		IS(co_sleep(MS(late ? 30 : 10)), 0);
		IS(co_group_cancel(&g, EPIPE), 0);
		IS(co_group_end(&g, 5), late ? 5 : -EPIPE);
		IS(now_ms() - from, late ? 40 : 30);
	}
}

/* C11, C27: mapped by what lies outside, up to and including the first shield */
SCENARIO(C27_mapping_stops_at_a_shield)
{
	co_scope s = CO_SCOPE_INIT, shield = CO_SCOPE_INIT;
	co_group g;
	int rc;

	co_scope_begin(&s, 0);
	IS(co_yield_now(), CANC);
	co_scope_begin_shield(&shield, MS(100));
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, sleep_forever, NULL);
	IS(co_sleep(MS(10)), 0);
	IS(co_group_cancel(&g, EPIPE), 0);
	IS(co_group_end(&g, CANC), -EPIPE);
	co_group_begin(&g, CO_GROUP_COLLECT);
	spawn(&g, sleep_forever, NULL);
	rc = co_group_end(&g, 7);
	IS(rc, CANC);
	AT(100);
	IS(co_scope_end(&shield, rc), TMO);
	IS(co_scope_end(&s, TMO), TMO);
}

/* C5, C28: a child in a shield does not see it; what it begins after that does */
static int shielded_then_not(void *arg)
{
	int *rc = arg;

	calm_ms(30);
	rc[0] = co_sleep(MS(30));
	return rc[0];
}

SCENARIO(C28_a_childs_shield_outlasts_the_cancel)
{
	int rc[1] = { 99 };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, shielded_then_not, rc);
	IS(co_sleep(MS(10)), 0);
	IS(co_group_cancel(&g, EIO), 0);
	IS(co_group_end(&g, 0), -EIO);
	AT(30);
	IS(rc[0], CANC);
}

/* C26: -ECANCELED of a child whose inner scope alone was cancelled is an error */
static int leaks_a_cancel(void *arg)
{
	co_scope s = CO_SCOPE_INIT;

	(void)arg;
	co_scope_begin(&s, MS(10));
	IS(co_sleep(CO_FOREVER), CANC);
	IS(co_scope_end(&s, CANC), TMO);
	return CANC;
}

SCENARIO(C26_cancel_of_an_inner_scope_is_no_excuse)
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, leaks_a_cancel, NULL);
	IS(co_sleep(CO_FOREVER), CANC);
	IS(co_group_end(&g, CANC), CANC);
	IS(co_group_errors(&g, NULL, 0), 1);
}

/* C26: co_was_cancelled, of the living, of the ended, of the joined */
SCENARIO(C26_was_cancelled)
{
	struct actor kid[] = { EXIT(5, 0), SITS, SAYS(12), SLOW(20) };
	co_ref ref[4], none = { 0 };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 4; i++)
		ref[i] = spawn(&g, actor, &kid[i]);
	IS(co_sleep(MS(10)), 0);
	for (int i = 0; i < 4; i++)
		ck_assert(!co_was_cancelled(ref[i]));
	IS(co_group_cancel(&g, 0), 0);
	ck_assert(co_was_cancelled(ref[3]));
	settle();
	for (int i = 0; i < 4; i++)
		IS(co_was_cancelled(ref[i]), i > 0);
	ck_assert(!co_was_cancelled(none));
	IS(co_group_end(&g, 0), 0);
	for (int i = 0; i < 4; i++)
		ck_assert(!co_was_cancelled(ref[i]));
}

/* C27: errors tells how many, stores what fits, before the end and after */
SCENARIO(C27_errors_as_many_as_asked_for)
{
	struct actor kid[6];
	int out[8];
	co_group g;

	co_group_begin(&g, CO_GROUP_COLLECT);
	IS(co_group_errors(&g, out, 8), 0);
	for (int i = 0; i < 6; i++) {
		kid[i] = (struct actor)EXIT(10 + i, -1 - i);
		spawn(&g, actor, &kid[i]);
	}
	for (int n = 0; n <= 8; n++) {
		if (n == 4)
			IS(co_group_end(&g, 0), 0);
		else
			advance(MS(n ? 0 : 11));
		memset(out, 0x55, sizeof(out));
		IS(co_group_errors(&g, out, n), n < 4 ? 2 : 6);
		for (int i = 0; i < 8; i++)
			IS(out[i], i < n && i < (n < 4 ? 2 : 4) ? -1 - i : 0x55555555);
	}
}

/* C3: the object may lie anywhere; and it can be begun again */
static co_group in_data;

SCENARIO(C3_group_objects_anywhere_and_again)
{
	co_group *on_heap = malloc(sizeof(*on_heap)), on_stack,
		 *all[] = { &in_data, on_heap, &on_stack };

	ck_assert_ptr_nonnull(on_heap);
	for (int i = 0; i < 6; i++) {
		memset(all[i % 3], i < 3 ? 0xA5 : 0, sizeof(co_group));
		co_group_begin(all[i % 3], CO_GROUP_FAIL_FAST);
		spawn(all[i % 3], sleep_ms, num(10));
		IS(co_group_end(all[i % 3], i), i);
	}
	AT(60);
	free(on_heap);
}

static int minus_ecanceled(void *unused)
{
	(void)unused;
	return CANC;
}

/* C26: an -ECANCELED of one that nobody cancelled is an error as any other: the body's comes before
 * a child's in FIRST, and no scope answers for it */
SCENARIO(C27_a_body_that_nobody_cancelled_failed)
{
	static const enum co_group_mode modes[] = { CO_GROUP_COLLECT, CO_GROUP_FIRST };

	for (size_t i = 0; i < LENGTH(modes); i++) {
		struct actor fails = { .exit = -EIO }, sits = SITS;
		co_group g;

		co_group_begin(&g, modes[i]);
		spawn(&g, actor, &fails);
		spawn(&g, minus_ecanceled, NULL);
		spawn(&g, actor, &sits);
		settle();
		IS(co_group_end(&g, CANC), CANC);
		IS(sits.woke, CANC);
		IS(co_group_errors(&g, NULL, 0), 2);
	}
	AT(0);
}

SUITE("contract-group", C27_fail_fast_returns_the_first_error, C27_fail_fast_without_an_error,
      C27_collect_returns_the_body_s_error, C27_first_with_a_winner_is_0, C27_first_with_no_winner,
      C27_owner_in_group_wait, C27_done_before_the_cancel_is_0_but_a_wait_is_a_cancellation_point,
      C7_group_wait_until, C27_group_can_be_filled_again_after_a_wait,
      C4_cause_of_a_failed_and_of_a_winning_sibling, C4_cancelling_a_group_again_changes_nothing,
      C14_errs_that_no_cancel_takes, C26_cut_siblings_wake_in_the_order_of_spawning,
      C26_one_child_cancelled_alone, C26_one_child_cancelled_alone_fails,
      C27_cut_short_is_judged_at_the_exit, C27_mapping_stops_at_a_shield,
      C28_a_childs_shield_outlasts_the_cancel, C26_cancel_of_an_inner_scope_is_no_excuse,
      C26_was_cancelled, C27_errors_as_many_as_asked_for, C3_group_objects_anywhere_and_again,
      C27_a_body_that_nobody_cancelled_failed)
