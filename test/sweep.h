/* In place of Check, for suites whose bodies are swept (-DWHORL_SWEEP): test_sweep_bodies.c is
 * their main, and tells what is played and what has to hold. A cut changes what calls return; so an
 * assertion that does not hold ends nothing, it is counted. In the play that is not cut off all of
 * them hold. */
#ifndef WHORL_TEST_SWEEP_H
#define WHORL_TEST_SWEEP_H

#include "check_mini.h"

/* An assertion did not hold. */
__attribute__((format(printf, 3, 4)))
void sweep_doubt(const char *file, int line, const char *format, ...);

/* A body cannot go on: this play is over. */
_Noreturn void sweep_give_up(void);

/* Adds the tests of a suite; each suite of the program calls it before main(). */
void sweep_enlist(const char *suite, const TTest *const *tests, size_t n);

#undef ck_abort_msg
#define ck_abort_msg(...) sweep_doubt(__FILE__, __LINE__, __VA_ARGS__)
#undef ck_assert_ptr_nonnull
#define ck_assert_ptr_nonnull(x) ((x) != NULL ? (void)0 : sweep_give_up())

#define SUITE(name, ...)								\
	__attribute__((constructor)) static void suite_enlist_(void)			\
	{										\
		const TTest *const tests[] = { __VA_ARGS__ };				\
											\
		sweep_enlist(name, tests, sizeof(tests) / sizeof(tests[0]));			\
	}

#endif
