/* For suites of the scheduler: tests that are played on the virtual clock, so that an hour takes no
 * time.
 *
 * A test's body is the main coroutine of a runtime. It asserts with Check like any other; it ends
 * well if it returns 0 and the runtime ends well after it. */
#ifndef WHORL_TEST_PLAY_H
#define WHORL_TEST_PLAY_H

#include "suite.h"
#include <whorl/co.h>

#define MS(x) CO_MS(x)

/* Runs `int body(void *arg)`. PLAY_WITH: with these options (a pointer, or NULL), the clock apart.
 * */
#define PLAY(body) play_(#body, (body), NULL, NULL)
#define PLAY_WITH(body, arg, opts) play_(#body, (body), (arg), (opts))

static inline void play_(const char *name, co_fn *body, void *arg, const struct co_options *opts)
{
	struct co_options virtual_time = { .clock = CO_CLOCK_VIRTUAL };
	int exit_code = -1, rc;

	if (opts != NULL) {
		virtual_time = *opts;
		virtual_time.clock = CO_CLOCK_VIRTUAL;
	}
	rc = co_run(body, arg, &virtual_time, &exit_code);
	ck_assert_msg(rc == 0, "co_run(%s) gives %d, main's exit is %d", name, rc, exit_code);
	ck_assert_msg(exit_code == 0, "%s returns %d", name, exit_code);
}

#endif
