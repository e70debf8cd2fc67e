/* As much of Check as our suites use, for hosts that have none: those of most cross compilers
 * (configure --with-check=mini). The same names and meanings; each test is a process of its own,
 * its result a line of TAP. Of the environment in suite.h CK_RUN_CASE is heeded. A host with Check
 * uses Check. */
#ifndef WHORL_TEST_CHECK_MINI_H
#define WHORL_TEST_CHECK_MINI_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ----------------------------------------------------------------------------------- assertions */

__attribute__((format(printf, 3, 4), noreturn))
static inline void check_mini_fail(const char *file, int line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("# %s:%d: ", file, line);
	vprintf(format, args);
	printf("\n");
	va_end(args);
	fflush(stdout);
	_exit(EXIT_FAILURE);
}

#define ck_abort_msg(...) check_mini_fail(__FILE__, __LINE__, __VA_ARGS__)
#define ck_assert_msg(expr, ...) ((expr) ? (void)0 : ck_abort_msg(__VA_ARGS__))
#define ck_assert(expr) ck_assert_msg((expr), "%s", #expr)

#define CHECK_MINI_COMPARE(type, format, x, op, y) do {						\
	type _ck_x = (x);									\
	type _ck_y = (y);									\
	ck_assert_msg(_ck_x op _ck_y, "%s: %" format ", %" format, #x " " #op " " #y,		\
		      _ck_x, _ck_y);								\
} while (0)
#define ck_assert_int_eq(x, y) CHECK_MINI_COMPARE(intmax_t, "jd", x, ==, y)
#define ck_assert_int_ne(x, y) CHECK_MINI_COMPARE(intmax_t, "jd", x, !=, y)
#define ck_assert_int_lt(x, y) CHECK_MINI_COMPARE(intmax_t, "jd", x, <, y)
#define ck_assert_int_le(x, y) CHECK_MINI_COMPARE(intmax_t, "jd", x, <=, y)
#define ck_assert_int_gt(x, y) CHECK_MINI_COMPARE(intmax_t, "jd", x, >, y)
#define ck_assert_int_ge(x, y) CHECK_MINI_COMPARE(intmax_t, "jd", x, >=, y)
#define ck_assert_uint_eq(x, y) CHECK_MINI_COMPARE(uintmax_t, "ju", x, ==, y)
#define ck_assert_uint_ne(x, y) CHECK_MINI_COMPARE(uintmax_t, "ju", x, !=, y)
#define ck_assert_uint_lt(x, y) CHECK_MINI_COMPARE(uintmax_t, "ju", x, <, y)
#define ck_assert_uint_le(x, y) CHECK_MINI_COMPARE(uintmax_t, "ju", x, <=, y)
#define ck_assert_uint_gt(x, y) CHECK_MINI_COMPARE(uintmax_t, "ju", x, >, y)
#define ck_assert_uint_ge(x, y) CHECK_MINI_COMPARE(uintmax_t, "ju", x, >=, y)
#define ck_assert_ptr_eq(x, y) CHECK_MINI_COMPARE(const void *, "p", x, ==, y)
#define ck_assert_ptr_ne(x, y) CHECK_MINI_COMPARE(const void *, "p", x, !=, y)
#define ck_assert_ptr_null(x) ck_assert_ptr_eq(x, NULL)
#define ck_assert_ptr_nonnull(x) ck_assert_ptr_ne(x, NULL)

#define CHECK_MINI_COMPARE_STR(x, op, y) do {							\
	const char *_ck_x = (x);								\
	const char *_ck_y = (y);								\
	ck_assert_msg(_ck_x != NULL && _ck_y != NULL && strcmp(_ck_x, _ck_y) op 0,		\
		      "%s: \"%s\", \"%s\"", #x " " #op " " #y,					\
		      _ck_x != NULL ? _ck_x : "(null)", _ck_y != NULL ? _ck_y : "(null)");	\
} while (0)
#define ck_assert_str_eq(x, y) CHECK_MINI_COMPARE_STR(x, ==, y)
#define ck_assert_str_ne(x, y) CHECK_MINI_COMPARE_STR(x, !=, y)
#define ck_assert_mem_eq(x, y, n) ck_assert_msg(memcmp((x), (y), (n)) == 0, "%s == %s", #x, #y)
#define ck_assert_mem_ne(x, y, n) ck_assert_msg(memcmp((x), (y), (n)) != 0, "%s != %s", #x, #y)

/* ---------------------------------------------------------------------------------------- tests */

typedef struct {
	const char *name;
	void (*fn)(void);
} TTest;

#define START_TEST(test)					\
	static void test##_fn(void);				\
	static const TTest test##_ttest = { #test, test##_fn };	\
	static const TTest *test = &test##_ttest;		\
	static void test##_fn(void)
#define END_TEST

/* The status of a process that ran the test: 0 is success. */
static inline int check_mini_run(const TTest *test)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		test->fn();
		exit(EXIT_SUCCESS);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	if (pid > 0 && WIFSIGNALED(status))
		printf("# signal %d\n", WTERMSIG(status));
	return status;
}

static inline int check_mini_main(const TTest *const *tests, size_t n)
{
	const char *only = getenv("CK_RUN_CASE");
	int run = 0, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < n; i++) {
		int bad;

		if (only != NULL && strcmp(only, tests[i]->name) != 0)
			continue;
		bad = check_mini_run(tests[i]) != 0;
		failed += bad;
		printf("%s %d - %s\n", bad ? "not ok" : "ok", ++run, tests[i]->name);
	}
	printf("1..%d\n", run);
	return failed != 0;
}

#endif
