/*
 * Actors: coroutines whose part stands in a table. An actor naps, then returns `exit`; cut
 * short it cleans up under a shield and returns -ECANCELED, or `answer` where `answers` says
 * so. What happened to it is written beside its part.
 */
#ifndef WHORL_TEST_ACTOR_H
#define WHORL_TEST_ACTOR_H

#include "scenario.h"

#define EVER (-1) /* a nap that only a cancel ends */

struct actor {
	int nap; /* ms; 0: none, it does not even yield */
	int exit;
	bool answers;
	int answer;
	int cleanup;   /* ms of shielded sleep after a cut */
	char letter;   /* noted when the nap ends; 0: not noted */
	int ran, woke; /* how often it was started; what the nap returned */
	int at, left;  /* ms: when the nap ended, when it returned */
};

/* parts: returns rc after ms; stays until cut; answers a cut with rc; cleans up for ms after it */
/* clang-format off */
#define EXIT(ms, rc)	{ .nap = ms, .exit = rc }
#define SITS		{ .nap = EVER }
#define SAYS(rc)	{ .nap = EVER, .answers = true, .answer = rc }
#define SLOW(ms)	{ .nap = EVER, .cleanup = ms }
/* clang-format on */

/* The time in whole milliseconds. */
static inline int now_ms(void)
{
	return (int)(co_now() / CO_MS(1));
}

static inline int nap_ms(int ms)
{
	return co_sleep(ms == EVER ? CO_FOREVER : CO_MS(ms));
}

/* Sleeps that long whatever is cancelled outside. */
static inline void calm_ms(int ms)
{
	co_scope s = CO_SCOPE_INIT;

	co_scope_begin_shield(&s, CO_MS(ms + 1));
	IS(nap_ms(ms), 0);
	IS(co_scope_end(&s, 0), 0);
}

static inline int actor(void *arg)
{
	struct actor *a = arg;

	a->ran++;
	a->woke = a->nap ? nap_ms(a->nap) : 0;
	a->at = now_ms();
	if (a->letter)
		note(a->letter);
	if (a->woke && a->cleanup)
		calm_ms(a->cleanup);
	a->left = now_ms();
	if (!a->woke)
		return a->exit;
	return a->answers ? a->answer : -ECANCELED;
}

/* The function of a spawn that is refused. */
static inline int must_not_run(void *arg)
{
	ck_abort_msg("a refused spawn ran");
	return arg != NULL;
}

/* No way into g: each gives `want`, and nothing runs. */
static inline void refuses(co_group *g, int want)
{
	int64_t value;
	co_ref ref;

	IS(co_spawn(g, must_not_run, NULL, &ref), want);
	IS(co_spawn(g, must_not_run, NULL, NULL), want);
	IS(co_spawn_with(g, must_not_run, NULL, NULL, &(struct co_attr){ .name = "never" }), want);
	IS(co_group_start(g, must_not_run, NULL, &value), want);
	IS(co_test_settle(), 0);
}

/* Plays a body on the real clock, both hooks recorded. */
static inline void play_real(co_fn *body, void *arg)
{
	struct co_options opt = *hearing();
	int code = -1;

	opt.clock = CO_CLOCK_MONOTONIC;
	IS(co_run(body, arg, &opt, &code), 0);
	IS(code, 0);
}

/* Joins `*arg`, a co_ref, and returns what the join returned. */
static inline int join_of(void *arg)
{
	int code;

	return co_join(*(const co_ref *)arg, &code);
}

/* Cancellation points that wait until they are cancelled, called with these about them. */
struct props {
	co_group *full, *open; /* one at its limit with an endless child; one without limit */
	co_ref idle;	       /* that child */
};

static inline int do_sleep(void *props)
{
	(void)props;
	return co_sleep(CO_SEC(1000));
}

static inline int do_sleep_until(void *props)
{
	(void)props;
	return co_sleep_until(CO_SEC(2000));
}

static inline int do_join(void *props)
{
	return co_join(((struct props *)props)->idle, NULL);
}

static inline int do_join_until(void *props)
{
	return co_join_until(((struct props *)props)->idle, NULL, CO_SEC(2000));
}

static inline int do_group_wait(void *props)
{
	return co_group_wait(((struct props *)props)->full);
}

static inline int do_group_wait_until(void *props)
{
	return co_group_wait_until(((struct props *)props)->full, CO_SEC(2000));
}

static inline int do_group_admit(void *props)
{
	return co_group_admit(((struct props *)props)->full);
}

static inline int do_group_start(void *props)
{
	return co_group_start(((struct props *)props)->open, sleep_forever, NULL, NULL);
}

static inline int do_gather(void *props)
{
	co_fn *const fns[] = { sleep_forever };

	(void)props;
	return co_gather(1, fns, NULL, NULL);
}

static const struct {
	const char *name;
	co_fn *call;
} waiting_calls[] = {
	{ "sleep", do_sleep },
	{ "sleep_until", do_sleep_until },
	{ "join", do_join },
	{ "join_until", do_join_until },
	{ "group_wait", do_group_wait },
	{ "group_wait_until", do_group_wait_until },
	{ "group_admit", do_group_admit },
	{ "group_start", do_group_start },
	{ "gather", do_gather },
};

/* Begins the two groups, full first, open inside it. */
static inline void set_up(struct props *p, co_group *full, co_group *open)
{
	p->full = full;
	p->open = open;
	co_group_begin(full, CO_GROUP_COLLECT);
	co_group_limit(full, 1);
	p->idle = spawn(full, sleep_forever, NULL);
	co_group_begin(open, CO_GROUP_COLLECT);
}

static inline void tear_down(struct props *p)
{
	IS(co_group_end(p->open, 0), 0);
	IS(co_cancel(p->idle, 0), 0);
	IS(join(p->idle), CANC);
	IS(co_group_end(p->full, 0), 0);
}

#endif
