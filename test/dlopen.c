/* libwhorl.so as a plugin host meets it: opened at run time, its calls found by name. LIBRARY is
 * its path; this program is not linked with it. An opened library gets little of the static TLS
 * block, and a second time only if the first left it. */
#include "suite.h"
#include <dlfcn.h>
#include <string.h>
#include <whorl/co.h>
#include <whorl/wheel.h>

/* The calls of one opening. */
static struct {
	__typeof__(co_run) *run;
	__typeof__(co_sleep) *sleep;
	__typeof__(co_now) *now;
	__typeof__(wheel_init) *init;
	__typeof__(wheel_arm) *arm;
	__typeof__(wheel_advance) *advance;
	__typeof__(wheel_pop) *pop;
} whorl;

static void find(void *library, const char *name, void *call)
{
	void *found = dlsym(library, name);

	ck_assert_msg(found != NULL, "%s", dlerror());
	memcpy(call, &found, sizeof(found));	/* ISO C has no cast from data to function */
}

static void *open_whorl(void)
{
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	ck_assert_msg(library != NULL, "%s", dlerror());
	find(library, "co_run", &whorl.run);
	find(library, "co_sleep", &whorl.sleep);
	find(library, "co_now", &whorl.now);
	find(library, "wheel_init", &whorl.init);
	find(library, "wheel_arm", &whorl.arm);
	find(library, "wheel_advance", &whorl.advance);
	find(library, "wheel_pop", &whorl.pop);
	return library;
}

static int sleeps(void *arg)
{
	co_ns begun = whorl.now();

	(void)arg;
	ck_assert_int_eq(whorl.sleep(CO_SEC(3600)), 0);
	ck_assert_int_eq(whorl.now() - begun, CO_SEC(3600));
	return 42;
}

static void run_coroutine(void)
{
	struct co_options virtual_time = { .clock = CO_CLOCK_VIRTUAL };
	int exit_code = 0;

	ck_assert_int_eq(whorl.run(sleeps, NULL, &virtual_time, &exit_code), 0);
	ck_assert_int_eq(exit_code, 42);
}

START_TEST(the_wheel_turns)
{
	static struct wheel wheel;
	struct wheel_timer timer = { 0 };

	open_whorl();
	whorl.init(&wheel, 0);
	whorl.arm(&wheel, &timer, 7);
	whorl.advance(&wheel, 6);
	ck_assert_ptr_null(whorl.pop(&wheel));
	whorl.advance(&wheel, 7);
	ck_assert_ptr_eq(whorl.pop(&wheel), &timer);
}
END_TEST

START_TEST(coroutines_run)
{
	open_whorl();
	run_coroutine();
}
END_TEST

START_TEST(closed_and_opened_again)
{
	for (int i = 0; i < 100; i++) {
		void *library = open_whorl();

		run_coroutine();
		ck_assert_int_eq(dlclose(library), 0);
	}
}
END_TEST

SUITE("dlopen", the_wheel_turns, coroutines_run, closed_and_opened_again)
