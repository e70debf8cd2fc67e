/*
 * What the tests of the contract share. A scenario is the main coroutine of one run on the virtual
 * clock; it asserts with Check, whose tests are processes of their own, so that static variables
 * start from zero in each. All is inline: a test takes what it needs.
 */
#ifndef WHORL_TEST_SCENARIO_H
#define WHORL_TEST_SCENARIO_H

#include "suite.h"
#include "play.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <whorl/co.h>

#define CANC (-ECANCELED)
#define TMO (-ETIMEDOUT)
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define IS(got, want) ck_assert_int_eq((got), (want))
/* The virtual clock stands exactly there. */
#define AT(ms) ck_assert_int_eq(co_now(), CO_MS(ms))

/* SCENARIO(name) { body } is the Check test `name`; the body is main of a run that ends well. */
#define SCENARIO(name)									\
	static void act_##name(void);							\
	static int main_##name(void *unused)						\
	{										\
		(void)unused;								\
		act_##name();								\
		return 0;								\
	}										\
	START_TEST(name)								\
	{										\
		PLAY(main_##name);							\
	}										\
	END_TEST									\
	static void act_##name(void)

/* A run that ends well, on the clock that the options name. */
static inline void run_well(const char *name, co_fn *body, const struct co_options *opt)
{
	int code = -1;
	int rc = co_run(body, NULL, opt, &code);

	ck_assert_msg(rc == 0, "co_run(%s) gives %d, main's exit is %d", name, rc, code);
	ck_assert_msg(code == 0, "%s returns %d", name, code);
}

/* The same with options of its own, an expression evaluated before the run. */
#define SCENARIO_WITH(name, options)							\
	static void act_##name(void);							\
	static int main_##name(void *unused)						\
	{										\
		(void)unused;								\
		act_##name();								\
		return 0;								\
	}										\
	START_TEST(name)								\
	{										\
		run_well(#name, main_##name, (options));				\
	}										\
	END_TEST									\
	static void act_##name(void)

/* -------------------------------------------------------- what was written, what was heard */

/* Letters in the order in which coroutines wrote them. */
static inline char *notes(void)
{
	static char text[256];

	return text;
}

static inline void note(char letter)
{
	size_t n = strlen(notes());

	ck_assert_uint_lt(n, 255);
	notes()[n] = letter;
}

/* Calls of the misuse and report hooks: all are counted, the first few kept. */
struct heard {
	int count;
	int kind[8];
	const void *site[8];
	char text[8][1024];
};

static inline struct heard *misuses(void)
{
	static struct heard heard;

	return &heard;
}

static inline struct heard *reports(void)
{
	static struct heard heard;

	return &heard;
}

static inline void hear(struct heard *h, int kind, const char *text, const void *site)
{
	if (h->count < (int)LENGTH(h->kind)) {
		h->kind[h->count] = kind;
		h->site[h->count] = site;
		snprintf(h->text[h->count], sizeof(h->text[0]), "%s", text);
	}
	h->count++;
}

static inline void hear_misuse(enum co_misuse kind, const char *text, const void *site, void *ctx)
{
	(void)ctx;
	hear(misuses(), (int)kind, text, site);
}

static inline void hear_report(enum co_report kind, const char *text, const void *site, void *ctx)
{
	(void)ctx;
	hear(reports(), (int)kind, text, site);
}

/* How many reports of a kind are among those kept. */
static inline int reported(enum co_report kind)
{
	int n = 0;

	for (int i = 0; i < reports()->count && i < (int)LENGTH(reports()->kind); i++)
		n += reports()->kind[i] == (int)kind;
	return n;
}

/* The virtual clock with both hooks recorded: SCENARIO_WITH(name, hearing()). */
static inline struct co_options *hearing(void)
{
	static struct co_options opt = { .clock = CO_CLOCK_VIRTUAL };

	opt.on_misuse = hear_misuse;
	opt.on_report = hear_report;
	return &opt;
}

/* ----------------------------------------------------------------------------- other clocks */

static inline struct co_options *real_clock(void)
{
	static struct co_options opt = { .clock = CO_CLOCK_MONOTONIC };

	return &opt;
}

/*
 * A clock that only the test moves, so that a test decides what the loop has seen of it. A run with
 * it must not become idle: the loop would wait in real time for a clock that stands.
 */
static co_ns shown __attribute__((unused));

static inline co_ns show(void *ctx)
{
	(void)ctx;
	return shown;
}

static inline struct co_options *injected(void)
{
	static struct co_options opt = { .clock = CO_CLOCK_MONOTONIC };

	opt.now = show;
	return &opt;
}

/* The virtual clock from another time than 0. */
static inline struct co_options *from(co_ns start)
{
	static struct co_options opt = { .clock = CO_CLOCK_VIRTUAL };

	shown = start;
	opt.now = show;
	return &opt;
}

static inline struct co_options *boottime(void)
{
	static struct co_options opt = { .clock = CO_CLOCK_BOOTTIME };

	return &opt;
}

/* ---------------------------------------------------------------------------------- scopes */

static inline void begin_cancelled(co_scope *s, int err)
{
	co_scope_begin(s, CO_FOREVER);
	IS(co_scope_cancel(s, err), 0);
}

static inline enum co_cause_kind cause_of(const co_scope *s, int *err)
{
	struct co_cause cause = { CO_CAUSE_SIBLING, 12345, NULL, { 0 } };
	int rc = co_scope_cause(s, &cause);

	*err = cause.err;
	IS(rc, cause.kind == CO_CAUSE_NONE ? -ENOENT : 0);
	return cause.kind;
}

/* ------------------------------------------------------------------------------ coroutines */

/* A small number as the argument of a coroutine. */
static inline void *num(intptr_t n)
{
	return (void *)n;
}

static inline co_ref spawn(co_group *g, co_fn *fn, void *arg)
{
	co_ref ref = { 0 };

	IS(co_spawn(g, fn, arg, &ref), 0);
	return ref;
}

static inline int join(co_ref ref)
{
	int exit_code = -1;

	IS(co_join(ref, &exit_code), 0);
	return exit_code;
}

static inline void settle(void)
{
	IS(co_test_settle(), 0);
}

static inline void advance(co_ns dur)
{
	IS(co_test_advance(dur), 0);
}

static inline void stall(co_ns dur)
{
	IS(co_test_stall(dur), 0);
}

/* `lone f`: a coroutine in a group of its own. Starts and ends nest like scopes. */
struct lone {
	co_group group;
	co_ref ref;
};

static inline void lone_start(struct lone *l, co_fn *fn, void *arg)
{
	co_group_begin(&l->group, CO_GROUP_COLLECT);
	l->ref = spawn(&l->group, fn, arg);
}

/* Its exit code. */
static inline int lone_end(struct lone *l)
{
	int exit_code = join(l->ref);

	IS(co_group_end(&l->group, 0), 0);
	return exit_code;
}

/* A coroutine that sleeps once and tells how that went. */
struct nap {
	co_ns dur;
	bool over;
	int rc;
	co_ns at;	/* when it woke */
};

static inline int nap(void *arg)
{
	struct nap *n = arg;

	n->rc = co_sleep(n->dur);
	n->at = co_now();
	n->over = true;
	return n->rc;
}

/* A coroutine that cancels a scope at a point of time. */
struct strike {
	co_ns at;
	co_scope *scope;
	int err;
};

static inline int strike(void *arg)
{
	struct strike *k = arg;

	IS(co_sleep_until(k->at), 0);
	return co_scope_cancel(k->scope, k->err);
}

/* One that does the same to a coroutine. */
struct strike_ref {
	co_ns at;
	co_ref ref;
	int err;
};

static inline int strike_ref(void *arg)
{
	struct strike_ref *k = arg;

	IS(co_sleep_until(k->at), 0);
	return co_cancel(k->ref, k->err);
}

/* One that sleeps for `arg` milliseconds and returns 0, or what cut it short. */
static inline int sleep_ms(void *arg)
{
	return co_sleep(CO_MS((intptr_t)arg));
}

/* One that is over at once. */
static inline int five(void *unused)
{
	(void)unused;
	return 5;
}

static inline int write_x(void *unused)
{
	(void)unused;
	note('x');
	return 0;
}

/* One that only a cancel ends. */
static inline int sleep_forever(void *unused)
{
	(void)unused;
	return co_sleep(CO_FOREVER);
}

#endif
