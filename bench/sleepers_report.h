/* What whorl-sleepers has to tell at the end: a table for people, or JSON with the same figures for
 * programs, one field a line so that sed reads it too. Functions only print; they count nothing. */
#ifndef WHORL_BENCH_REPORT_H
#define WHORL_BENCH_REPORT_H

#include "histogram.h"
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <whorl/co.h>

struct options {
	uint64_t coroutines;
	uint64_t loops;
	uint64_t min_ms, max_ms;
	uint64_t seed;
	bool json;
};

struct mark { /* a point of the run, in ns */
	co_ns wall;
	co_ns cpu; /* of the process, user and system */
};

struct tally {
	const char *version, *allocator; /* of this build */
	struct mark start, all_spawned, last_wake, end;
	uint64_t spawned;
	uint64_t wakes;
	uint64_t early;
	co_ns earliest;			     /* by which the worst early wake was early */
	uint64_t due, caught;		     /* timeouts */
	struct histogram lateness;	     /* ns; an early wake counts as 0 */
	long memory_before, memory_peak;     /* KiB; -1 or 0: /proc did not tell */
	struct co_stats stats_before, stats; /* the latter when all are asleep */
};

static const struct {
	const char *name, *key;
	unsigned per_mille;
} quantiles[] = {
	{ "p50", "lateness_p50_ns", 500 },  { "p90", "lateness_p90_ns", 900 },
	{ "p99", "lateness_p99_ns", 990 },  { "p99.9", "lateness_p99_9_ns", 999 },
	{ "max", "lateness_max_ns", 1000 },
};
#define QUANTILES (sizeof(quantiles) / sizeof(quantiles[0]))

/* ------------------------------------------------------------------------------------ figures */

static double seconds(co_ns from, co_ns to)
{
	return (double)(to - from) / 1e9;
}

/* Bytes that each coroutine added; 0 if unknown. */
static uint64_t memory_each(const struct tally *t)
{
	if (t->memory_before < 0 || t->memory_peak <= t->memory_before)
		return 0;
	return (uint64_t)(t->memory_peak - t->memory_before) * 1024 / t->spawned;
}

/* `n` with a space between thousands. */
static const char *grouped(char buf[32], uint64_t n)
{
	char *p = buf + 31;
	int digits = 0;

	*p = '\0';
	do {
		if (digits > 0 && digits % 3 == 0)
			*--p = ' ';
		*--p = (char)('0' + n % 10);
		digits++;
	} while ((n /= 10) > 0);
	return p;
}

/* Three digits and a unit; a whole number of units has no decimals. */
static const char *duration(char buf[32], uint64_t ns)
{
	static const struct {
		uint64_t ns;
		const char *name;
	} units[] = { { 1000000000, "s" }, { 1000000, "ms" }, { 1000, "us" }, { 1, "ns" } };
	unsigned i = 0;
	int decimals = 0;
	double value;

	while (i < 3 && ns < units[i].ns)
		i++;
	value = (double)ns / (double)units[i].ns;
	if (ns % units[i].ns != 0)
		decimals = value < 10 ? 2 : value < 100 ? 1 : 0;
	snprintf(buf, 32, "%.*f %s", decimals, value, units[i].name);
	return buf;
}

/* ---------------------------------------------------------------------------------- the table */

static void print_guards(const struct tally *t)
{
	char x[32], y[32], z[32];

	printf("stack guards   %s madvise, %s mprotect, %s canary\n",
	       grouped(x, t->stats.stacks_madvise - t->stats_before.stacks_madvise),
	       grouped(y, t->stats.stacks_mprotect - t->stats_before.stacks_mprotect),
	       grouped(z, t->stats.stacks_canary - t->stats_before.stacks_canary));
}

static void print_lateness(const struct tally *t)
{
	char x[32];

	fputs("lateness       ", stdout);
	for (unsigned i = 0; i < QUANTILES; i++)
		printf("%s%s %s", i > 0 ? ", " : "", quantiles[i].name,
		       duration(x, histogram_quantile(&t->lateness, quantiles[i].per_mille)));
	printf("\nearly wakes    %s", grouped(x, t->early));
	if (t->early > 0)
		printf(", by up to %s", duration(x, (uint64_t)t->earliest));
	putchar('\n');
}

static void print_histogram(const struct histogram *h)
{
	static const char bar[] = "########################################";
	struct histogram_rows rows;
	char from[32], to[32], count[32];

	histogram_fill_rows(h, &rows);
	puts("\nhow late, and how many wakes");
	for (unsigned row = rows.first; row <= rows.last; row++) {
		uint64_t n = rows.count[row];
		int width = (int)((n * (sizeof(bar) - 1) + rows.largest - 1) / rows.largest);

		printf("  %6s .. %-6s  %13s%s%.*s\n",
		       row > 0 ? duration(from, histogram_row_end(row - 1)) : "0",
		       duration(to, histogram_row_end(row)), grouped(count, n),
		       width > 0 ? "  " : "", width, bar);
	}
}

static void print_table(const struct options *o, const struct tally *t)
{
	char x[32], y[32];

	printf("whorl-sleepers %s\n\n", t->version);
	printf("coroutines     %s\n", grouped(x, t->spawned));
	printf("sleeps         %" PRIu64 " each, of %" PRIu64 "..%" PRIu64 " ms, seed %" PRIu64 "\n",
	       o->loops, o->min_ms, o->max_ms, o->seed);
	printf("wakes          %s\n", grouped(x, t->wakes));
	printf("wall clock     %.3f s, of which %.3f after spawning\n",
	       seconds(t->start.wall, t->end.wall), seconds(t->all_spawned.wall, t->last_wake.wall));
	printf("CPU            %.3f s, of which %.3f after spawning\n",
	       seconds(t->start.cpu, t->end.cpu), seconds(t->all_spawned.cpu, t->last_wake.cpu));
	printf("memory         %s bytes a coroutine, page tables included (%s)\n",
	       memory_each(t) > 0 ? grouped(x, memory_each(t)) : "unknown", t->allocator);
	print_guards(t);
	print_lateness(t);
	printf("timeouts       %s due, %s caught\n", grouped(x, t->due), grouped(y, t->caught));
	print_histogram(&t->lateness);
}

/* --------------------------------------------------------------------------------------- JSON */

static void json_uint(const char *key, uint64_t value)
{
	printf("  \"%s\": %" PRIu64 ",\n", key, value);
}

static void json_seconds(const char *key, co_ns from, co_ns to)
{
	printf("  \"%s\": %.6f,\n", key, seconds(from, to));
}

static void json_cost(const struct tally *t)
{
	json_seconds("wall_s", t->start.wall, t->end.wall);
	json_seconds("wall_after_spawn_s", t->all_spawned.wall, t->last_wake.wall);
	json_seconds("cpu_s", t->start.cpu, t->end.cpu);
	json_seconds("cpu_after_spawn_s", t->all_spawned.cpu, t->last_wake.cpu);
	json_uint("bytes_per_coroutine", memory_each(t));
	json_uint("guards_madvise", t->stats.stacks_madvise - t->stats_before.stacks_madvise);
	json_uint("guards_mprotect", t->stats.stacks_mprotect - t->stats_before.stacks_mprotect);
	json_uint("guards_canary", t->stats.stacks_canary - t->stats_before.stacks_canary);
}

static void json_wakes(const struct tally *t)
{
	struct histogram_rows rows;

	json_uint("wakes", t->wakes);
	for (unsigned i = 0; i < QUANTILES; i++)
		json_uint(quantiles[i].key, histogram_quantile(&t->lateness, quantiles[i].per_mille));
	json_uint("early", t->early);
	json_uint("earliest_ns", (uint64_t)t->earliest);
	json_uint("timeouts_due", t->due);
	json_uint("timeouts_caught", t->caught);
	histogram_fill_rows(&t->lateness, &rows);
	puts("  \"histogram\": [");
	for (unsigned row = rows.first; row <= rows.last; row++)
		printf("    { \"below_ns\": %" PRIu64 ", \"wakes\": %" PRIu64 " }%s\n",
		       histogram_row_end(row), rows.count[row], row < rows.last ? "," : "");
	puts("  ]");
}

static void print_json(const struct options *o, const struct tally *t)
{
	printf("{\n  \"program\": \"whorl\",\n  \"version\": \"%s\",\n  \"allocator\": \"%s\",\n",
	       t->version, t->allocator);
	json_uint("coroutines", t->spawned);
	json_uint("loops", o->loops);
	json_uint("min_ms", o->min_ms);
	json_uint("max_ms", o->max_ms);
	json_uint("seed", o->seed);
	json_cost(t);
	json_wakes(t);
	puts("}");
}

#endif
