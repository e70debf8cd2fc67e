/* The workloads, for contenders in C and C++. Whoever includes this has defined, before,
 *
 *	result				what the body of a coroutine returns: int, or void *
 *	spawn(body, arg)		makes a coroutine that runs body(arg)
 *	join_all()			waits for all that were spawned so
 *	spawn_alone(body, arg)		makes one that nobody waits for
 *	turn()				lets the others run
 *	nap(ns)				sleeps
 *	spawn_and_join(body, n)		makes n coroutines, then waits for each
 *
 * and, if it includes channels.h too, what stands there. These are the contender's own calls and
 * nothing else, inlined: the loops around them are the same for all. */
#ifndef WHORL_BENCH_WORKLOADS_H
#define WHORL_BENCH_WORKLOADS_H

#include "bench.h"

/* ---------------------------------------------------------------------------------------- yield
 * N coroutines take turns. Every switch from the moment in which the last of them has begun until
 * the last one is done belongs to one call of turn(), and is counted: the rounds, and the few calls
 * of those that are done earlier, whose end must not be measured. */

static struct {
	uint64_t n, rounds;
	uint64_t begun, done;
	uint64_t extra; /* calls of those that were done */
	int64_t begin, end;
} yielders;

static inline result yielder(void *arg)
{
	(void)arg;
	if (++yielders.begun == yielders.n)
		yielders.begin = cpu_ns();
	while (yielders.begun < yielders.n)
		turn();
	for (uint64_t i = yielders.rounds; i > 0; i--)
		turn();
	if (++yielders.done == yielders.n)
		yielders.end = cpu_ns();
	for (; yielders.done < yielders.n; yielders.extra++)
		turn();
	return 0;
}

static inline void yields(struct run *r)
{
	memset(&yielders, 0, sizeof(yielders));
	yielders.n = r->n;
	yielders.rounds = r->ops / r->n + 1;
	for (uint64_t i = 0; i < r->n; i++)
		spawn(yielder, NULL);
	join_all();
	require(yielders.done == r->n);
	require(yielders.extra <= (yielders.rounds + 1) * r->n); /* all had turns */
	r->ops = yielders.rounds * r->n + yielders.extra;
	r->ns = yielders.end - yielders.begin;
}

/* ------------------------------------------------------------------------------------------- C2
 * Spawn, run, join; N at once. */

static uint64_t ran;

static inline result nothing(void *arg)
{
	(void)arg;
	ran++;
	return 0;
}

static inline void spawns(struct run *r)
{
	uint64_t rounds = r->ops / r->n + 1;

	if (r->n > MOST_JOINED)
		skip(r, "not so many at once");
	ran = 0;
	r->ns = cpu_ns();
	for (uint64_t i = 0; i < rounds; i++)
		spawn_and_join(nothing, r->n);
	r->ns = cpu_ns() - r->ns;
	r->ops = rounds * r->n;
	require(ran == r->ops);
}

/* ------------------------------------------------------------------------------------------- C3
 * Memory of coroutines that sleep, all at once: each for 1000..10000 s, longer than the program
 * runs. */

static struct {
	uint64_t begun, woken;
} dormant;

static inline result sleep_long(void *arg)
{
	(void)arg;
	nap(draw_ns(1, dormant.begun++) * 10000);
	dormant.woken++;
	return 0;
}

/* When it returns all are asleep: this coroutine was woken after the last of them had begun, and
 * so had parked. */
static inline void sleep_beside(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		spawn_alone(sleep_long, NULL);
	while (dormant.begun < n)
		nap(1000000);
	nap(1000000);
	require(dormant.woken == 0);
}

static inline void memory(struct run *r)
{
	int64_t before = memory_now();

	sleep_beside(r->n);
	printf("{\"workload\":\"%s\",\"n\":%" PRIu64 ",\"bytes\":%.1f}\n", r->workload, r->n,
	       (double)(memory_now() - before) / (double)r->n);
}

/* ------------------------------------------------------------------------------------------- C4
 * N coroutines, five sleeps each, on the real clock. The library is not taken at its word: the
 * clock is read before each sleep and after it. Spawning ends when all coroutines are made; most
 * libraries run them only after that. */

#define SLEEPS 5

static struct {
	uint64_t seed, wakes;
	int64_t *late; /* ns, of each wake */
} sleepers;

static inline result sleeper(void *arg)
{
	uint64_t i = (uintptr_t)arg * SLEEPS;

	for (uint64_t last = i + SLEEPS; i < last; i++) {
		int64_t dur = draw_ns(sleepers.seed, i);
		int64_t deadline = now_ns() + dur;

		nap(dur);
		sleepers.late[sleepers.wakes++] = now_ns() - deadline;
	}
	return 0;
}

/* The least value that `per_mille` of all are at or below. us. */
static inline double late_us(unsigned per_mille)
{
	return (double)sleepers.late[(sleepers.wakes * per_mille + 999) / 1000 - 1] / 1000;
}

static inline void print_sleepers(const struct run *r, int64_t spawn_cpu, int64_t cpu)
{
	uint64_t early = 0;

	qsort(sleepers.late, sleepers.wakes, sizeof(*sleepers.late), by_value);
	while (early < sleepers.wakes && sleepers.late[early] < 0)
		early++;
	printf("{\"workload\":\"%s\",\"n\":%" PRIu64 ",\"cpu_s\":%.4f,\"spawn_cpu_s\":%.4f,"
	       "\"after_cpu_s\":%.4f,\"late_us\":[[50,%.1f],[90,%.1f],[99,%.1f],[99.9,%.1f],"
	       "[100,%.1f]],\"early\":%" PRIu64 ",\"most_early_us\":%.1f}\n",
	       r->workload, r->n, (double)cpu / 1e9, (double)spawn_cpu / 1e9,
	       (double)(cpu - spawn_cpu) / 1e9, late_us(500), late_us(900), late_us(990),
	       late_us(999), late_us(1000), early,
	       early > 0 ? (double)-sleepers.late[0] / 1000 : 0.0);
}

static inline void sleeps(struct run *r)
{
	size_t size = r->n * SLEEPS * sizeof(*sleepers.late);
	int64_t start, made;

	sleepers.seed = r->seed;
	sleepers.late = (int64_t *)malloc(size);
	require(sleepers.late != NULL);
	memset(sleepers.late, 0xff, size); /* the pages are here before the clock runs */
	start = cpu_ns();
	for (uint64_t i = 0; i < r->n; i++)
		spawn(sleeper, (void *)(uintptr_t)i);
	made = cpu_ns();
	join_all();
	require(sleepers.wakes == r->n * SLEEPS);
	print_sleepers(r, made - start, cpu_ns() - start);
}

#endif
