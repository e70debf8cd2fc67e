/* The examples as bodies of the sweep: each is compiled in here, its main under another name. That
 * they show what they say is looked at by check_examples.sh. */
#include "suite.h"

int main_of_echo(int argc, char **argv);
int main_of_gather(void), main_of_generator(void), main_of_timeout(void);

#define main main_of_echo
#include "../examples/echo.c"
#undef main

#define main main_of_gather
#define show show_gather
#define surprise surprise_of_gather
#include "../examples/gather.c"
#undef main
#undef show
#undef surprise

#define main main_of_generator
#define surprise surprise_of_generator
#include "../examples/generator.c"
#undef main
#undef surprise

#define main main_of_timeout
#include "../examples/timeout.c"
#undef main

/* Its clients talk TCP, which may take its time, while the clock is virtual here: what it returns
 * is not certain. */
START_TEST(echo)
{
	char name[] = "echo", *argv[] = { name, NULL };

	main_of_echo(1, argv);
}
END_TEST

START_TEST(gather)
{
	ck_assert_int_eq(main_of_gather(), 0);
}
END_TEST

START_TEST(generator)
{
	ck_assert_int_eq(main_of_generator(), 0);
}
END_TEST

START_TEST(timeout)
{
	ck_assert_int_eq(main_of_timeout(), 0);
}
END_TEST

SUITE("examples", echo, gather, generator, timeout)
