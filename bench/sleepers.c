/* whorl-sleepers: N coroutines, each of which sleeps a few times for a random while, and a report
 * of how well they were woken.
 *
 * The library is not taken at its word: each sleep reads CLOCK_MONOTONIC before the call, adds what
 * it asks for, and reads the clock again when the call has returned. The difference is the
 * lateness, counted in a histogram of fixed size (histogram.h); a negative one is an early wake,
 * which must not happen. One sleep in ten runs under a co_timeout that is shorter: it must come
 * back with -ETIMEDOUT, and not before that deadline.
 *
 * A coroutine keeps nothing but its number and its loop counter. How long a sleep lasts is a
 * function of the seed and of the number of the sleep, whatever the order in which they run.
 *
 * Exit status: 0 all is well; 1 a wake was early, a timeout was missed or the run
 * failed; 2 usage. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "sleepers_report.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <whorl/co.h>
#if defined(HAVE_JEMALLOC) && HAVE_JEMALLOC
#include <whorl/jemalloc.h>
#define ALLOCATOR "jemalloc"
#else
#define ALLOCATOR "malloc"
#endif
#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "(version unknown)"
#endif

#define MAX_COROUTINES UINT64_C(100000000)
#define MAX_LOOPS UINT64_C(1000000)
#define MAX_MS UINT64_C(3600000) /* an hour: in microseconds it fits in 32 bits */
#define TIMEOUT_EVERY 10	 /* one sleep in so many is cut short */
#define SAMPLE_EVERY CO_MS(200)	 /* of memory, and the progress line's pace */

static struct options options = {
	.coroutines = 10000,
	.loops = 5,
	.min_ms = 100,
	.max_ms = 1000,
	.seed = 1,
};
/* Only the coroutines write here, all on one thread. */
static struct tally tally = { .version = PACKAGE_VERSION, .allocator = ALLOCATOR };

/* ---------------------------------------------------------------------------------- measuring */

static co_ns read_clock(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts); /* cannot fail: every Linux has both clocks */
	return CO_SEC(ts.tv_sec) + ts.tv_nsec;
}

static struct mark mark(void)
{
	return (struct mark){ read_clock(CLOCK_MONOTONIC), read_clock(CLOCK_PROCESS_CPUTIME_ID) };
}

/* KiB that /proc/self/status gives for `field`, -1 if it has no such line. */
static long status_field(const char *status, const char *field)
{
	const char *line = strstr(status, field);

	return line != NULL ? strtol(line + strlen(field), NULL, 10) : -1;
}

/* KiB of resident memory and of the page tables that map it; -1 if unknown. */
static long memory_now(void)
{
	static char status[8192]; /* of about 1.5 KiB; not on a coroutine's stack */
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	long rss, tables;
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, status, sizeof(status) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	status[n] = '\0';
	rss = status_field(status, "\nVmRSS:");
	tables = status_field(status, "\nVmPTE:");
	return rss < 0 || tables < 0 ? -1 : rss + tables;
}

static void sample_memory(void)
{
	long now = memory_now();

	if (now > tally.memory_peak)
		tally.memory_peak = now;
}

/* ----------------------------------------------------------------------------------- the work */

/* Microseconds that sleep number `n` lasts, uniform in min..max, both included: output n of
 * SplitMix64, any of which can be had directly (Steele, Lea, Flood: Fast splittable pseudorandom
 * number generators, OOPSLA 2014), scaled. */
static uint64_t draw_us(uint64_t n)
{
	uint64_t span = (options.max_ms - options.min_ms) * 1000 + 1;
	uint64_t z = options.seed + (n + 1) * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return options.min_ms * 1000 + ((z >> 32) * span >> 32);
}

static int oversleep(void *arg)
{
	const co_ns *timeout = arg;

	return co_sleep(*timeout + CO_SEC(1));
}

/* 0, or the error of a sleep that ended in a way that it must not. A missed timeout is no error
 * here: the report shows it. */
static int sleep_once(co_ns dur, bool cut_short)
{
	co_ns deadline = read_clock(CLOCK_MONOTONIC) + dur;
	int rc = cut_short ? co_timeout(dur, oversleep, &dur) : co_sleep(dur);
	co_ns late = read_clock(CLOCK_MONOTONIC) - deadline;

	if (cut_short) {
		tally.due++;
		if (rc == -ETIMEDOUT) {
			tally.caught += late >= 0;
			rc = 0;
		}
	}
	if (rc < 0)
		return rc;
	tally.wakes++;
	tally.early += late < 0;
	if (-late > tally.earliest)
		tally.earliest = -late;
	histogram_add(&tally.lateness, late > 0 ? (uint64_t)late : 0);
	return 0;
}

/* The timeouts are spread over all loops: in each, one coroutine in ten has its own. */
static int sleeper(void *arg)
{
	uint64_t me = (uintptr_t)arg;
	int rc = 0;

	for (uint64_t i = 0; i < options.loops && rc == 0; i++) {
		co_ns dur = CO_US(draw_us(me * options.loops + i));

		rc = sleep_once(dur, (me + i) % TIMEOUT_EVERY == 0);
	}
	return rc;
}

static void show_progress(void)
{
	char spawned[32], done[32], all[32];

	fprintf(stderr, "\r%6.1f s  %s coroutines, %s of %s wakes, %" PRIu64 " early\033[K",
		seconds(tally.start.wall, read_clock(CLOCK_MONOTONIC)),
		grouped(spawned, tally.spawned), grouped(done, tally.wakes),
		grouped(all, options.coroutines * options.loops), tally.early);
}

static bool on_terminal(void)
{
	return !options.json && isatty(STDOUT_FILENO) && isatty(STDERR_FILENO);
}

/* Detached: it is cancelled when the main coroutine returns. */
static int watch(void *arg)
{
	const bool *progress = arg;

	while (co_sleep(SAMPLE_EVERY) == 0) {
		sample_memory();
		if (*progress)
			show_progress();
	}
	return 0;
}

static int spawn_and_wait(void *arg)
{
	const bool *progress = arg;
	co_group group;
	int rc = co_spawn(NULL, watch, arg, NULL);

	if (rc < 0)
		return rc;
	co_stats(&tally.stats_before);
	tally.memory_before = memory_now();
	co_group_begin(&group, CO_GROUP_FAIL_FAST);
	while (rc == 0 && tally.spawned < options.coroutines) {
		if (*progress && tally.spawned % 16384 == 0) /* watch does not run yet */
			show_progress();
		rc = co_spawn(&group, sleeper, (void *)(uintptr_t)tally.spawned, NULL);
		tally.spawned += rc == 0;
	}
	tally.all_spawned = mark();
	if (rc == 0)
		rc = co_yield_now(); /* the others run first: when it returns they are asleep */
	sample_memory();
	co_stats(&tally.stats);
	rc = co_group_end(&group, rc);
	tally.last_wake = mark();
	return rc;
}

/* 0, the main coroutine's error, or the runtime's. */
static int run(void)
{
	struct co_options opt = { .clock = CO_CLOCK_MONOTONIC };
	bool progress = on_terminal();
	int exit_code = 0, rc;

#if defined(HAVE_JEMALLOC) && HAVE_JEMALLOC
	opt.alloc = co_alloc_jemalloc;
#endif
	tally.start = mark();
	rc = co_run(spawn_and_wait, &progress, &opt, &exit_code);
	tally.end = mark();
	if (progress)
		fputs("\r\033[K", stderr);
	return rc < 0 ? rc : exit_code;
}

/* -------------------------------------------------------------------------------- the options */

enum { OPT_LOOPS = 256, OPT_MIN_MS, OPT_MAX_MS, OPT_SEED, OPT_JSON };

static const char usage_line[] = "usage: whorl-sleepers [-n N] [--loops N] [--min-ms N] "
				 "[--max-ms N] [--seed N] [--json]\n";

static void print_help(void)
{
	printf("%s\n"
	       "Runs coroutines that sleep for random times on Whorl's timer wheel. Reports how\n"
	       "late they woke, what that cost, and whether any woke early or missed its timeout;\n"
	       "if so, the exit status is 1.\n\n"
	       "  -n, --coroutines N  how many coroutines (%" PRIu64 ")\n"
	       "      --loops N       how often each sleeps (%" PRIu64 ");\n"
	       "                      a timeout cuts short one sleep in %d\n"
	       "      --min-ms N      the shortest sleep, in milliseconds (%" PRIu64 ")\n"
	       "      --max-ms N      the longest (%" PRIu64 ")\n"
	       "      --seed N        of the random times: same seed, same times (%" PRIu64 ")\n"
	       "      --json          print the report for programs\n"
	       "  -h, --help          print this\n"
	       "  -V, --version       print the version\n",
	       usage_line, options.coroutines, options.loops, TIMEOUT_EVERY, options.min_ms,
	       options.max_ms, options.seed);
}

static _Noreturn void fail_usage(void)
{
	fputs(usage_line, stderr);
	exit(2);
}

/* The number in optarg: digits and nothing else, within the bounds; or the end of the program. */
static uint64_t number(const char *option, uint64_t least, uint64_t most)
{
	uint64_t value;
	char *end;

	errno = 0;
	value = strtoull(optarg, &end, 10);
	if (isdigit((unsigned char)optarg[0]) && *end == '\0' && errno == 0 && value >= least &&
	    value <= most)
		return value;
	fprintf(stderr,
		"whorl-sleepers: %s takes a number from %" PRIu64 " to %" PRIu64 ", not '%s'\n",
		option, least, most, optarg);
	fail_usage();
}

static void parse_option(int c)
{
	switch (c) {
	case 'n':
		options.coroutines = number("--coroutines", 1, MAX_COROUTINES);
		break;
	case OPT_LOOPS:
		options.loops = number("--loops", 1, MAX_LOOPS);
		break;
	case OPT_MIN_MS:
		options.min_ms = number("--min-ms", 0, MAX_MS);
		break;
	case OPT_MAX_MS:
		options.max_ms = number("--max-ms", 0, MAX_MS);
		break;
	case OPT_SEED:
		options.seed = number("--seed", 0, UINT64_MAX);
		break;
	case OPT_JSON:
		options.json = true;
		break;
	case 'h':
		print_help();
		exit(0);
	case 'V':
		puts("whorl-sleepers " PACKAGE_VERSION);
		exit(0);
	default: /* getopt_long has said what is wrong */
		fail_usage();
	}
}

static void parse_options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "coroutines", required_argument, NULL, 'n' },
		{ "loops", required_argument, NULL, OPT_LOOPS },
		{ "min-ms", required_argument, NULL, OPT_MIN_MS },
		{ "max-ms", required_argument, NULL, OPT_MAX_MS },
		{ "seed", required_argument, NULL, OPT_SEED },
		{ "json", no_argument, NULL, OPT_JSON },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "n:hV", longs, NULL)) != -1)
		parse_option(c);
	if (optind < argc) {
		fprintf(stderr, "whorl-sleepers: '%s' is not an option\n", argv[optind]);
		fail_usage();
	}
	if (options.min_ms > options.max_ms) {
		fprintf(stderr,
			"whorl-sleepers: --min-ms %" PRIu64 " is more than --max-ms %" PRIu64 "\n",
			options.min_ms, options.max_ms);
		fail_usage();
	}
}

int main(int argc, char **argv)
{
	int rc;

	parse_options(argc, argv);
	rc = run();
	if (rc < 0) {
		fprintf(stderr,
			"whorl-sleepers: %s (%" PRIu64 " coroutines spawned, %" PRIu64 " wakes)\n",
			strerror(-rc), tally.spawned, tally.wakes);
		return 1;
	}
	if (options.json)
		print_json(&options, &tally);
	else
		print_table(&options, &tally);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("whorl-sleepers: standard output");
		return 1;
	}
	return tally.early > 0 || tally.caught != tally.due ||
	       tally.wakes != options.coroutines * options.loops;
}
