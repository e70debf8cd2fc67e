/* What the contenders of this folder share. Each is a program of its own:
 *
 *	PROG --list			who it is and which workloads it has
 *	PROG WORKLOAD N [SEED]		runs one, and prints its figures
 *
 * Both answer with one line of JSON. A workload that cannot be had at this N says so, {"skip":
 * why}, and the exit status is 0. It is 1 when a result is wrong: every workload checks its own.
 *
 * A workload of kind RATE does run->ops operations or some more, and says how many and how long
 * they took, in CPU time of the process: nothing waits in them, and what others do on the machine
 * shall not count. It is called again with more until one call takes LONG_ENOUGH; that call is the
 * figure, those before it were the warm-up. ADDED is the difference between the same with
 * run->deadline and without: both are called in turn, and the median of the differences is the
 * figure. OWN prints figures of its own.
 *
 * All of this is called in a coroutine, the runtime's first. The programs leave by _exit, so no
 * runtime has to unwind coroutines that sleep for ever. C11, and C++. */
#ifndef WHORL_BENCH_COROUTINES_H
#define WHORL_BENCH_COROUTINES_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LONG_ENOUGH INT64_C(300000000) /* ns */
#define PAIRS 9			       /* of ADDED, each */
#define PAIR_LONG_ENOUGH (LONG_ENOUGH / PAIRS)
#define MOST_JOINED 1000 /* the largest N of C2 */

struct run {
	const char *workload;
	uint64_t n, seed;
	bool deadline; /* ADDED: with it, or without */
	uint64_t ops;  /* how many operations to do; then, how many were done */
	int64_t ns;    /* and how long these took, of CPU */
};

enum kind { RATE, ADDED, OWN };

struct workload {
	const char *name;
	enum kind kind;
	void (*run)(struct run *r);
};

struct contender {
	const char *name, *version;
	const char *note;		  /* how it was set up */
	const struct workload *workloads; /* behind the last, one without a name */
};

/* ------------------------------------------------------------------------------------- the end */

__attribute__((noreturn)) static inline void leave(int status)
{
	if (fflush(stdout) != 0)
		status = 1;
	_exit(status);
}

/* Also where nothing is wrong with NDEBUG: a result is always looked at. */
#define require(what)                                                                              \
	do {                                                                                       \
		if (__builtin_expect(!(what), 0)) {                                                \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);         \
			leave(1);                                                                  \
		}                                                                                  \
	} while (0)

__attribute__((noreturn)) static inline void skip(const struct run *r, const char *why)
{
	printf("{\"workload\":\"%s\",\"n\":%" PRIu64 ",\"skip\":\"%s\"}\n", r->workload, r->n, why);
	leave(0);
}

/* --------------------------------------------------------------------------------- what is read */

static inline int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts); /* cannot fail: every Linux has these */
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static inline int64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* Of the process, user and system. */
static inline int64_t cpu_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

/* Bytes of resident memory and of the page tables that map it. */
static inline int64_t memory_now(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	long rss = -1, tables = -1;
	char line[256];

	require(status != NULL);
	while (fgets(line, sizeof(line), status) != NULL) {
		sscanf(line, "VmRSS: %ld", &rss);
		sscanf(line, "VmPTE: %ld", &tables);
	}
	fclose(status);
	require(rss >= 0 && tables >= 0);
	return (int64_t)(rss + tables) * 1024;
}

/* Nanoseconds that sleep number `i` lasts: 100..1000 ms in whole microseconds, uniform. Output i of
 * SplitMix64, any of which can be had directly (Steele, Lea, Flood: Fast splittable pseudorandom
 * number generators, OOPSLA 2014), scaled. All contenders sleep for the same times. */
static inline int64_t draw_ns(uint64_t seed, uint64_t i)
{
	uint64_t z = seed + (i + 1) * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return (int64_t)(100000 + ((z >> 32) * 900001 >> 32)) * 1000;
}

static inline int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* -------------------------------------------------------------------------------------- running */

/* Runs with more and more operations until that takes so long. The first run never counts. */
static inline void run_until(const struct workload *w, struct run *r, int64_t least_ns)
{
	double more = 1;

	r->ops = 1000;
	for (bool warm = false;; warm = true) {
		w->run(r);
		require(r->ops > 0 && r->ns > 0);
		if (warm && r->ns >= least_ns)
			return;
		more = 1.2 * (double)least_ns / (double)r->ns;
		r->ops = (uint64_t)((double)r->ops * (more < 1 ? 1 : more > 16 ? 16 : more));
	}
}

static inline void rate(const struct workload *w, struct run *r)
{
	run_until(w, r, LONG_ENOUGH);
	printf("{\"workload\":\"%s\",\"n\":%" PRIu64 ",\"ns\":%.3f,\"ops\":%" PRIu64 "}\n",
	       r->workload, r->n, (double)r->ns / (double)r->ops, r->ops);
}

static inline void added(const struct workload *w, struct run *r)
{
	int64_t ps[2][PAIRS], difference[PAIRS]; /* ps: picoseconds for an operation */
	uint64_t ops;

	r->deadline = true;
	run_until(w, r, PAIR_LONG_ENOUGH);
	ops = r->ops;
	for (int i = 0; i < 2 * PAIRS; i++) {
		r->deadline = i % 2 != 0;
		r->ops = ops;
		w->run(r);
		ps[i % 2][i / 2] = (int64_t)(1000 * (double)r->ns / (double)r->ops);
	}
	for (int i = 0; i < PAIRS; i++)
		difference[i] = ps[1][i] - ps[0][i];
	qsort(ps[0], PAIRS, sizeof(ps[0][0]), by_value);
	qsort(ps[1], PAIRS, sizeof(ps[1][0]), by_value);
	qsort(difference, PAIRS, sizeof(difference[0]), by_value);
	printf("{\"workload\":\"%s\",\"n\":%" PRIu64
	       ",\"ns\":%.3f,\"with\":%.3f,\"without\":%.3f}\n",
	       r->workload, r->n, (double)difference[PAIRS / 2] / 1000,
	       (double)ps[1][PAIRS / 2] / 1000, (double)ps[0][PAIRS / 2] / 1000);
}

__attribute__((noreturn)) static inline void measure(const struct workload *w, struct run *r)
{
	switch (w->kind) {
	case RATE:
		rate(w, r);
		break;
	case ADDED:
		added(w, r);
		break;
	case OWN:
		w->run(r);
	}
	leave(0);
}

/* --------------------------------------------------------------------------------- command line */

__attribute__((noreturn)) static inline void list(const struct contender *c)
{
	const struct workload *w = c->workloads;

	printf("{\"name\":\"%s\",\"version\":\"%s\",\"kind\":\"coroutines\",\"workloads\":[",
	       c->name, c->version);
	for (; w->name != NULL; w++)
		printf("%s\"%s\"", w == c->workloads ? "" : ",", w->name);
	printf("],\"note\":\"%s\"}\n", c->note);
	leave(0);
}

/* The number in `text`: digits and nothing else; or the end of the program. */
static inline uint64_t number(const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 10);

	if (text[0] >= '0' && text[0] <= '9' && *end == '\0')
		return value;
	fprintf(stderr, "'%s' is not a number\n", text);
	leave(2);
}

/* What the command line asks for, in *r. Answers --list itself, and ends with what it does not
 * understand. */
static inline const struct workload *parse(const struct contender *c, int argc, char **argv,
					   struct run *r)
{
	const struct workload *w = c->workloads;

	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		list(c);
	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: %s --list | WORKLOAD N [SEED]\n", argv[0]);
		leave(2);
	}
	memset(r, 0, sizeof(*r));
	r->workload = argv[1];
	r->n = number(argv[2]);
	r->seed = argc > 3 ? number(argv[3]) : 1;
	while (w->name != NULL && strcmp(w->name, argv[1]) != 0)
		w++;
	if (w->name == NULL)
		skip(r, "it has no such thing");
	return w;
}

#endif
