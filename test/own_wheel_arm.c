/* A program that has a wheel_arm of its own, as one that carries a copy of the wheel has. The
 * dynamic linker asks the program first, so without -Bsymbolic-functions the library's own calls
 * would end up here. */
#define _GNU_SOURCE		/* RTLD_DEFAULT */
#include "suite.h"
#include "play.h"
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <whorl/wheel.h>

/* Whatever the scheduler arms its timers with, no sleep ends without one of these. */
void wheel_arm(struct wheel *w, struct wheel_timer *t, uint64_t expires)
{
	(void)w;
	(void)t;
	(void)expires;
	abort();
}

void wheel_arm_slack(struct wheel *w, struct wheel_timer *t, uint64_t expires, uint64_t slack)
{
	(void)w;
	(void)t;
	(void)expires;
	(void)slack;
	abort();
}

struct wheel_timer *wheel_pop(struct wheel *w)
{
	(void)w;
	abort();
}

START_TEST(the_programs_own_comes_first)
{
	void *own = NULL;
	void (*arm)(struct wheel *, struct wheel_timer *, uint64_t) = wheel_arm;

	memcpy(&own, &arm, sizeof(own));
	ck_assert_ptr_eq(dlsym(RTLD_DEFAULT, "wheel_arm"), own);
}
END_TEST

static int sleeper(void *arg)
{
	(void)arg;
	return co_sleep(MS(100));
}

static int sleeps_and_times_out(void *arg)
{
	co_ns begun = co_now();

	(void)arg;
	ck_assert_int_eq(co_sleep(MS(10)), 0);
	ck_assert_int_eq(co_timeout(MS(5), sleeper, NULL), -ETIMEDOUT);
	ck_assert_int_eq(co_now() - begun, MS(15));
	return 0;
}

START_TEST(the_library_calls_its_own)
{
	PLAY(sleeps_and_times_out);
}
END_TEST

SUITE("own_wheel_arm", the_programs_own_comes_first, the_library_calls_its_own)
