/* Generators: Python's yield and send, in C. A body hands out values with co_gen_emit; its user takes
 * them with co_gen_next, or with co_gen_send, which gives something back.
 *
 *	cc generator.c $(pkg-config --cflags --libs whorl) && ./a.out */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <whorl/coro.h>

/*	def count(n):
 *		for i in range(n):
 *			yield i */
static int count(co_gen *gen, void *arg)
{
	intptr_t n = (intptr_t)arg;
	int rc = 0;

	for (intptr_t i = 0; i < n && rc == 0; i++)
		rc = co_gen_emit(gen, (void *)i, NULL);
	return rc;
}

/*	def running_average():
 *		total, n, average = 0.0, 0, 0.0
 *		while True:
 *			x = yield average
 *			total, n = total + x, n + 1
 *			average = total / n
 *
 * Nobody exhausts it. When it is freed, its emit returns -ECANCELED, and the loop ends. */
static int running_average(co_gen *gen, void *arg)
{
	double total = 0, average = 0;
	int *samples = arg;
	void *x;

	while (co_gen_emit(gen, &average, &x) == 0) {
		total += *(const double *)x;
		average = total / ++*samples;
	}
	printf("   freed after %d samples\n", *samples);
	return -ECANCELED;
}

/* Says what was shown; 1 if it is not what was to be expected. */
static int surprise(const char *what, int as_expected)
{
	printf("%s %s\n", as_expected ? "ok" : "NOT", what);
	return !as_expected;
}

static int show_count(void)
{
	intptr_t sum = 0;
	void *value;
	co_gen *gen;
	int rc;

	if (co_gen_make(&gen, count, (void *)10, NULL) < 0)
		return 1;
	printf("A counter:");
	while ((rc = co_gen_next(gen, &value)) == 1) {
		printf(" %d", (int)(intptr_t)value);
		sum += (intptr_t)value;
	}
	printf("\n");
	co_gen_free(gen);
	return surprise("ten numbers, then the end", rc == 0 && sum == 45);
}

static int show_running_average(void)
{
	static double samples[] = { 10, 20, 30, 40 };
	int n = 0, surprises = 0;
	void *average;
	co_gen *gen;

	if (co_gen_make(&gen, running_average, &n, NULL) < 0)
		return 1;
	printf("A running average:\n");
	co_gen_next(gen, NULL); /* to the first emit, which can receive */
	for (int i = 0; i < 4; i++) {
		if (co_gen_send(gen, &samples[i], &average) != 1)
			return 1;
		printf("   %g makes it %g\n", samples[i], *(const double *)average);
		surprises += *(const double *)average != 10 + 5 * i;
	}
	co_gen_free(gen);
	return surprise("10, 15, 20, 25", surprises == 0 && n == 4);
}

int main(void)
{
	return show_count() + show_running_average();
}
