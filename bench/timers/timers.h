/* The timer workloads, as code over a few inline functions.
 *
 * An adapter defines struct timer, includes this header, and then defines the functions declared
 * below over its library. All of it is one translation unit, so no contender pays an indirect call
 * more than another. The program that results speaks the command line of bench/README.md.
 *
 * Time is simulated: `now` moves in whole milliseconds, and the adapter hands it on. Deadlines are
 * odd nanoseconds, so that a library that rounds them up to microseconds or milliseconds, or keeps
 * them as a double, expires each timer in the same step as an exact one. Thus all contenders do the
 * same work, and `check` says so: a sum over what expired in which step, of a fixed first part of
 * the run, the same for all that are right.
 *
 * Each run ends with a proof that no timer was lost or expired twice (finish, below); a run that
 * fails it prints no figure and exits with 1. */
#ifndef BENCH_TIMERS_H
#define BENCH_TIMERS_H

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../measure.h"

/* What an adapter says of itself. */
struct contender {
	const char *name;
	const char *note;
	size_t bytes; /* a timer and its share of the library's arrays */
};
static const struct contender contender;

/* ------------------------------------------------------------------ what an adapter must define */

static const char *version(void);
static void open_timers(void);
static inline bool armed(struct timer *t);
static inline void start(struct timer *t, uint64_t expires); /* t is not armed */
static inline bool stop(struct timer *t);		     /* whether it was armed */
static inline void move(struct timer *t, uint64_t expires);  /* to a later time, or start */

#ifdef CALLS_BACK
/* For a library that calls back, as an event loop does; its callback calls fired(). */
static inline void fired(struct timer *t);
static inline void advance(void);	/* time is `now`: expires what is due */
static inline void sleep_to_next(void); /* the same after a sleep, which sets `now` */
static inline void start_periodic(struct timer *t, uint64_t first, uint64_t period);
#else
/* For one from which what is due is taken. */
static inline void set_time(void); /* it is `now` */
static inline struct timer *take(void);
static inline void start_again(struct timer *t, uint64_t period); /* after when it was due */
#define TELLS_NEXT
#endif

/* If it has that. */
#ifdef TELLS_NEXT
static inline uint64_t next_expiry(void);
#endif
#ifdef HAS_SLACK
static inline void start_slack(struct timer *t, uint64_t expires, uint64_t slack);
#endif

/* -------------------------------------------------------------------------------- what they use */

static uint64_t seed;
static uint64_t now = 1000 * SECOND;
static struct timer *timers;
static size_t timer_count;

static uint64_t expired; /* how many times a timer expired */
static uint64_t check;
static uint64_t check_weight; /* the step's number */
static uint64_t steps;
static bool periodic;

/* Milliseconds, from the number alone: a table of them would cost a cache miss. */
static inline uint64_t period_of(size_t i)
{
	return (10 + (uint32_t)(i * 0x9e3779b1u) * UINT64_C(991) / (UINT64_C(1) << 32)) * MS;
}

/* t expired. */
static inline void fired(struct timer *t)
{
	size_t i = (size_t)(t - timers);

	expired++;
	check += (i + 1) * check_weight;
#ifndef CALLS_BACK
	if (periodic)
		start_again(t, period_of(i));
#endif
}

#ifndef CALLS_BACK
static inline void advance(void)
{
	set_time();
	for (struct timer *t; (t = take()) != NULL;)
		fired(t);
}

static inline void sleep_to_next(void)
{
	now = next_expiry();
	advance();
}

static inline void start_periodic(struct timer *t, uint64_t first, uint64_t period)
{
	(void)period;
	start(t, first);
}
#endif

/* Of the lower 40 bits of r: an odd deadline that far from now. */
static inline uint64_t deadline(uint64_t r, uint64_t least, uint64_t span)
{
	return (now + least + below(r << 24, span)) | 1;
}

static inline void step(uint64_t duration)
{
	now += duration;
	steps++;
	check_weight++;
	advance();
}

static void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", contender.name, what);
	exit(1);
}

/* -------------------------------------------------------------------------------------- the turns
 * A workload is a state, made by `fill`, and a turn that does some `operations` on it. */

static uint64_t operations; /* done in the timed part */
static uint64_t started;    /* of the workloads that cancel: what must expire or be stopped */
static uint64_t stopped;

/* Time moves a step each `batch` operations: at least 64, as an event loop does some work between
 * two looks at the clock. */
static uint64_t batch;
static uint64_t batch_duration;

/* N operations take `lifetime`. */
static void set_pace(uint64_t n, uint64_t lifetime)
{
	uint64_t ms = 64 * lifetime / n / MS;

	batch_duration = (ms ? ms : 1) * MS;
	batch = batch_duration * n / lifetime;
	if (batch < 64)
		batch = 64;
}

/* W1: arm a timer to expire in 1..30 s, then cancel a random one; a random one of N lives for 0.89
 * s in the mean, so that 1 % expire. The one cancelled is the next to be armed, as a freed object
 * is the next to be allocated. */
static struct timer *spare;

static void fill_w1(uint64_t n)
{
	set_pace(n, 890 * MS);
	for (spare = timers + n; started < n; started++)
		start(&timers[started], deadline(draw(), SECOND, 29 * SECOND));
}

static void turn_w1(void)
{
	for (uint64_t i = 0; i < batch; i++) {
		uint64_t r = draw();
		struct timer *picked = &timers[below(r, timer_count)];

		start(spare, deadline(r, SECOND, 29 * SECOND));
		stopped += stop(picked);
		spare = picked;
	}
	started += batch;
	operations += batch;
	step(batch_duration);
}

/* W1f: the same, cancelling the oldest; each lives for 1.29 s, so that 1 % expire. */
static struct timer *oldest;

static void fill_w1f(uint64_t n)
{
	set_pace(n, 1290 * MS);
	oldest = timers;
	for (spare = timers + n; started < n; started++)
		start(&timers[started], deadline(draw(), SECOND, 29 * SECOND));
}

static void turn_w1f(void)
{
	for (uint64_t i = 0; i < batch; i++) {
		start(spare, deadline(draw(), SECOND, 29 * SECOND));
		stopped += stop(oldest);
		spare = oldest;
		if (++oldest == timers + timer_count)
			oldest = timers;
	}
	started += batch;
	operations += batch;
	step(batch_duration);
}

/* W2: push a random timeout of 60 s out to now + 60 s; each is pushed out ten times in 60 s in the
 * mean, so hardly one expires. Filled so that where timers lie and when they expire are as after a
 * long time, both for those that file a moved timer anew and for those that put it off. */
static void fill_w2(uint64_t n)
{
	set_pace(n, 6 * SECOND);
	for (size_t i = 0; i < n; i++)
		start(&timers[i], deadline(draw(), MS, 54 * SECOND));
	for (size_t i = 0; i < n; i++)
		move(&timers[i], deadline(draw(), 54 * SECOND, 6 * SECOND));
}

static void turn_w2(void)
{
	for (uint64_t i = 0; i < batch; i++)
		move(&timers[below(draw(), timer_count)], (now + 60 * SECOND) | 1);
	operations += batch;
	step(batch_duration);
}

/* W3: N timers, to expire in 0..10 s; time moves by 1 ms until all have. */
static void turn_w3(void)
{
	uint64_t end = now + 10 * SECOND;

	for (size_t i = 0; i < timer_count; i++)
		start(&timers[i], deadline(draw(), 0, 10 * SECOND));
	while (now < end)
		step(MS);
	operations += timer_count;
}

/* The same with each call timed: the longest one, and the longest step as a whole. */
static uint64_t longest_call, longest_step;

/* A call that began at `since` has ended. */
static uint64_t longer(uint64_t *longest, uint64_t since)
{
	uint64_t until = spent_ns();

	if (until - since > *longest)
		*longest = until - since;
	return until;
}

static void timed_step(void)
{
	uint64_t began = spent_ns(), since = began;

	now += MS;
	check_weight++;
#ifdef CALLS_BACK
	advance();
#else
	set_time();
	since = longer(&longest_call, since);
	for (struct timer *t; (t = take()) != NULL;) {
		since = longer(&longest_call, since);
		fired(t);
	}
#endif
	longer(&longest_call, since);
	longer(&longest_step, began);
}

static void turn_w3_timed(void)
{
	for (size_t i = 0; i < timer_count; i++)
		start(&timers[i], deadline(draw(), 0, 10 * SECOND));
	for (int i = 0; i < 10000; i++)
		timed_step();
}

/* W4: N periodic timers, periods of 10 ms..1 s; time moves by 1 ms; per expiry. */
static uint64_t filled_at;

static uint64_t first_of(size_t i)
{
	return (filled_at + MS + i * UINT64_C(0x9e3779b97f4a7c15) % period_of(i)) | 1;
}

static void fill_w4(uint64_t n)
{
	periodic = true;
	filled_at = now;
	for (size_t i = 0; i < n; i++)
		start_periodic(&timers[i], first_of(i), period_of(i));
}

static void turn_w4(void)
{
	uint64_t before = expired;

	for (int i = 0; i < 100; i++)
		step(MS);
	operations += expired - before;
}

/* W5: ask when to wake, N timers armed; only the asking is timed, between turns things change. */
static uint64_t asking_ns;

static void turn_w5(void)
{
	uint64_t began;

	for (int i = 0; i < 16; i++)
		move(&timers[below(draw(), timer_count)], (now + 60 * SECOND) | 1);
	step(MS);
	began = spent_ns();
	for (int i = 0; i < 4096; i++) {
#ifdef TELLS_NEXT
		uint64_t next = next_expiry();

		__asm__ volatile("" : : "r"(next) : "memory");
#endif
	}
	asking_ns += spent_ns() - began;
	operations += 4096;
}

/* W6: time moves by 100 ms, all timers are years away. */
static void fill_w6(uint64_t n)
{
	for (size_t i = 0; i < n; i++)
		start(&timers[i], deadline(draw(), 100000000 * SECOND, 900 * SECOND));
}

static void turn_w6(void)
{
	for (int i = 0; i < 1000; i++)
		step(100 * MS);
	operations += 1000;
}

/* W7: N timers, one each 10 ms in the mean; sleep until the next until all have expired. What
 * expires when depends on how the library rounds its sleep. */
static uint64_t wakes;

static void turn_w7(void)
{
	uint64_t all = expired + timer_count;

	check_weight = 1;
	for (size_t i = 0; i < timer_count; i++)
		start(&timers[i], deadline(draw(), 0, timer_count * 10 * MS));
	for (; expired < all; wakes++, steps++)
		sleep_to_next();
	now += MS - now % MS;
	operations += timer_count;
}

#ifdef HAS_SLACK
/* slack: N connections, each kept alive after 10..60 s; how often the sleeper wakes in a second
 * when that may be so much later. */
static double wakes_per_second(uint64_t slack)
{
	uint64_t end, woken = 0;

	for (size_t i = 0; i < timer_count; i++)
		start_slack(&timers[i], deadline(draw(), 0, 60 * SECOND), slack);
	end = now + 120 * SECOND;
	while ((now = next_expiry()) < end) {
		woken += now >= end - 60 * SECOND;
		set_time();
		for (struct timer *t; (t = take()) != NULL;)
			start_slack(t, deadline(draw(), 10 * SECOND, 50 * SECOND), slack);
	}
	for (size_t i = 0; i < timer_count; i++)
		if (!stop(&timers[i]))
			fail("a connection is not kept alive");
	return (double)woken / 60;
}

static int print_slack(uint64_t n)
{
	printf("{\"workload\":\"slack\",\"n\":%" PRIu64, n);
	printf(",\"wakes_0\":%.2f", wakes_per_second(0));
	printf(",\"wakes_1ms\":%.2f", wakes_per_second(MS));
	printf(",\"wakes_10ms\":%.2f", wakes_per_second(10 * MS));
	printf(",\"wakes_100ms\":%.2f", wakes_per_second(100 * MS));
	printf(",\"wakes_1s\":%.2f}\n", wakes_per_second(SECOND));
	return 0;
}
#endif

/* ------------------------------------------------------------------------------------ measuring */

struct workload {
	const char *name;
	void (*fill)(uint64_t n);
	void (*first_turn)(void); /* other than the timed ones, if there is one */
	void (*turn)(void);
	double first, least; /* operations before, and timed; in multiples of N */
	bool cancels;
	bool counts_loop; /* a turn of the library's loop is what is measured */
};

static const struct workload workloads[] = {
	/* W1, W1f: two seconds of simulated time; W4: one */
	{ "W1", fill_w1, NULL, turn_w1, 1.2, 2.4, true, false },
	{ "W1f", fill_w1f, NULL, turn_w1f, 1, 1.7, true, false },
	{ "W2", fill_w2, NULL, turn_w2, 1, 1, false, false },
	{ "W3", NULL, turn_w3_timed, turn_w3, 0, 1, false, false },
	{ "W4", fill_w4, NULL, turn_w4, 1, 4.65, false, false },
	{ "W5", fill_w2, NULL, turn_w5, 1, 1, false, false },
	{ "W6", fill_w6, NULL, turn_w6, 1, 1, false, true },
	{ "W7", NULL, NULL, turn_w7, 1, 1, false, false },
#ifdef HAS_SLACK
	{ .name = "slack" },
#endif
};

/* A run is timed for at least, and those that need long for no more after: */
#define LEAST_NS (200 * MS)
#define MOST_NS (timer_count <= 2500000 ? SECOND : 400 * timer_count)

/* Periodic timers expired as often as they should have, and none of those started was lost. With
 * seed 1, up to a million, also: each that is armed expires once, and then none is armed. That may
 * cost more than the run, so once is enough. */
static void finish(const struct workload *work)
{
	uint64_t left = 0, sum = 0, due = 0;

	for (size_t i = 0; i < timer_count; i++) {
		if (!armed(&timers[i]))
			continue;
		left++;
		sum += i + 1;
		if (periodic && first_of(i) <= now)
			due += 1 + (now - first_of(i)) / period_of(i);
	}
	if (periodic && (left != timer_count || expired != due))
		fail("periodic timers expired more or less often than they should have");
	if (work->cancels && expired + stopped + left != started)
		fail("a timer was lost, or expired twice");
	if (seed != 1 || timer_count > 1100000)
		return;
	for (size_t i = 0; periodic && i < timer_count; i++)
		left -= stop(&timers[i]);
	expired = check = check_weight = 0;
	step(900000000 * SECOND);
	if (expired != left || (!periodic && check != sum))
		fail("what was armed in the end did not expire once");
	for (size_t i = 0; i < timer_count; i++)
		if (armed(&timers[i]))
			fail("a timer that expired is armed");
}

/* Turns until `least` operations are done, which must take some time, but not too long: how long
 * they took. */
static uint64_t run(const struct workload *work, double least, uint64_t least_ns, uint64_t most_ns)
{
	uint64_t look = least < 20000 * 8 ? 20000 : (uint64_t)least / 8;
	uint64_t began = spent_ns(), spent = 0;

	operations = asking_ns = wakes = steps = 0;
	for (uint64_t until = look;; until += look) {
		while (operations < until)
			work->turn();
		spent = spent_ns() - began;
		if (spent >= most_ns || (spent >= least_ns && (double)operations >= least))
			return asking_ns ? asking_ns : spent;
	}
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* What a turn of the library's loop costs beside its timers: with a single one, far away. For all
 * contenders time passes here. */
static double loop_turn_ns(void)
{
	uint64_t spent[41];

	start(timers, deadline(0, 1000000 * SECOND, 0));
	for (int i = 0; i < 41; i++) {
		uint64_t began = spent_ns();

		for (int j = 0; j < 5000; j++)
			step(MS);
		spent[i] = spent_ns() - began;
	}
	stop(timers);
	check_weight = 0;
	qsort(spent, 41, sizeof *spent, by_value);
#ifdef CALLS_BACK
	return (double)spent[20] / 5000;
#else
	return 0; /* the time passes with its timers, in no loop */
#endif
}

/* First what is not timed, the same amount for all contenders: for caches and page tables, and for
 * the check. */
static void measure(const struct workload *work, uint64_t n)
{
	uint64_t turned, first_check, first_expired;
	double spent, loop = loop_turn_ns();

	if (work->fill)
		work->fill(n);
	if (work->first_turn)
		work->first_turn();
	else
		run(work, work->first * (double)n, 0, UINT64_MAX);
	first_check = check;
	first_expired = expired;
	spent = (double)run(work, work->least * (double)n, LEAST_NS, MOST_NS);
	turned = work->counts_loop || asking_ns ? 0 : steps;
	finish(work);
	printf("{\"workload\":\"%s\",\"n\":%" PRIu64 ",\"ns\":%.3f", work->name, n,
	       (spent - loop * (double)turned) / (double)operations);
	if (loop > 0)
		printf(",\"with_loop_ns\":%.3f,\"loop_turn_ns\":%.3f", spent / (double)operations,
		       loop);
	if (longest_step)
		printf(",\"spike_ns\":%" PRIu64 ",\"step_ns\":%" PRIu64, longest_call,
		       longest_step);
	if (wakes)
		printf(",\"wakes_per_timer\":%.3f", (double)wakes / (double)operations);
	printf(",\"operations\":%" PRIu64 ",\"expired\":%" PRIu64 ",\"check\":\"%016" PRIx64
	       "\"}\n",
	       operations, first_expired, first_check);
}

static int skip(const char *name, uint64_t n, const char *why)
{
	printf("{\"workload\":\"%s\",\"n\":%" PRIu64 ",\"skip\":\"%s\"}\n", name, n, why);
	return 0;
}

static int list(void)
{
	printf("{\"name\":\"%s\",\"version\":\"%s\",\"kind\":\"timers\",\"workloads\":[",
	       contender.name, version());
	for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
		printf("%s\"%s\"", i ? "," : "", workloads[i].name);
	printf("],\"bytes\":%zu,\"note\":\"%s\"}\n", contender.bytes, contender.note);
	return 0;
}

static const struct workload *find(const char *name)
{
	for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
		if (strcmp(workloads[i].name, name) == 0)
			return &workloads[i];
	return NULL;
}

int main(int argc, char **argv)
{
	const struct workload *work = argc > 2 ? find(argv[1]) : NULL;
	uint64_t n = work ? strtoull(argv[2], NULL, 10) : 0;
	uint64_t memory = (uint64_t)sysconf(_SC_AVPHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		return list();
	if (n == 0) {
		fprintf(stderr, "usage: %s --list | WORKLOAD N [SEED]\n", argv[0]);
		return 2;
	}
#ifndef TELLS_NEXT
	if (work->turn == turn_w5)
		return skip(work->name, n, "no public call tells when the next timer is due");
#endif
	if (n * (contender.bytes + sizeof(struct timer)) > memory)
		return skip(work->name, n, "not enough memory");
	chance = seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
	timer_count = n + work->cancels; /* the spare one */
	timers = aligned_alloc(64, (timer_count * sizeof *timers + 63) & ~(size_t)63);
	if (!timers)
		return skip(work->name, n, "no memory");
	memset(timers, 0, timer_count * sizeof *timers);
	open_timers();
#ifdef HAS_SLACK
	if (!work->turn)
		return print_slack(n);
#endif
	measure(work, n);
	return 0;
}

#endif
