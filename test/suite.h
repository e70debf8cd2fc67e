/* One program of Check tests per file: the tests by START_TEST, and last the list of them, which is
 * main():
 *
 *	SUITE("wheel", rearm_while_popping, equal_deadlines_in_arming_order)
 *
 * The compiler names a test that is missing there. Each test is a process of its own, and a line of
 * TAP on stdout. What the environment says:
 *
 *	CK_RUN_CASE=name	run this test only
 *	CK_FORK=no		run all in this process, for a debugger
 *	CK_DEFAULT_TIMEOUT=s	end a test after s seconds; else it has all the time it needs
 *	WHORL_SEED=n		where random tests start; else each draws a seed, and prints it
 *	WHORL_LONG=1		ask model tests for their long form
 */
#ifndef WHORL_TEST_SUITE_H
#define WHORL_TEST_SUITE_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#ifdef WHORL_SWEEP
#include "sweep.h"
#elif defined(WHORL_CHECK_MINI)
#include "check_mini.h"
#else
#include <check.h>
#endif

/* What this was built with: gcc tells by a macro, clang by a feature. A sanitizer needs more of
 * everything, and more time. */
#ifdef __has_feature
#define SUITE_HAS(feature) __has_feature(feature)
#else
#define SUITE_HAS(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || SUITE_HAS(address_sanitizer)
#define ASAN 1
#else
#define ASAN 0
#endif
#if ASAN || defined(__SANITIZE_THREAD__) || SUITE_HAS(thread_sanitizer)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* A function whose variables lie in its frame. Those of others ASan puts elsewhere, where it looks
 * for uses after return. */
#define ON_THE_STACK __attribute__((noinline, no_sanitize_address))

#ifndef SUITE
#define SUITE(name, ...)								\
	int main(void)									\
	{										\
		const TTest *const suite_tests_[] = { __VA_ARGS__ };			\
											\
		return suite_main_(name, suite_tests_,					\
				   sizeof(suite_tests_) / sizeof(suite_tests_[0]));	\
	}

#ifdef WHORL_CHECK_MINI
#define suite_main_(name, tests, n) check_mini_main(tests, n)
#else
static inline int suite_main_(const char *name, const TTest *const *tests, size_t n)
{
	Suite *suite = suite_create(name);
	SRunner *runner = srunner_create(suite);
	int failed;

	setvbuf(stdout, NULL, _IOLBF, 0);	/* a child must not print again what we printed */
	for (size_t i = 0; i < n; i++) {
		TCase *tc = tcase_create(tests[i]->name);	/* what CK_RUN_CASE selects */

		if (getenv("CK_DEFAULT_TIMEOUT") == NULL)
			tcase_set_timeout(tc, 0);
		tcase_add_test(tc, tests[i]);
		suite_add_tcase(suite, tc);
	}
	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
#endif
#endif /* SUITE */

/* The next of a sequence of 64 random bits. `state`: where it stands, any number to begin with.
 * This is SplitMix64: G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number
 * Generators", OOPSLA 2014, figure 16. */
static inline uint64_t suite_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Where random tests start. The same at each call of a process; printed at the first. */
static inline uint64_t suite_seed(void)
{
	static uint64_t seed;
	static bool known;
	const char *given = getenv("WHORL_SEED");
	struct timespec now;

	if (!known && given != NULL) {
		seed = strtoull(given, NULL, 0);
	} else if (!known) {
		clock_gettime(CLOCK_REALTIME, &now);
		seed = (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
		seed = suite_random(&seed);
	}
	if (!known)
		printf("# WHORL_SEED=%" PRIu64 "\n", seed);
	known = true;
	return seed;
}

/* Whether model tests have the time for their long form. */
static inline bool suite_long(void)
{
	const char *given = getenv("WHORL_LONG");

	return given != NULL && given[0] == '1';
}

#endif
