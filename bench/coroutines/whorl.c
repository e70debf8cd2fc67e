/* Whorl, by its public headers, with the calls that a user would write and default options.
 *
 * What others here have not: C1 with what CO_KEEP_* keeps; C3-small, with the smallest stacks that
 * can be had; C4-slack, where a wake may come 1 ms later; and wake, on the virtual clock. */
#include <whorl/co.h>
#include "bench.h"

#define NEVER CO_SEC(5000)

typedef int result;

static co_group group; /* of those that are joined all at once */
static struct co_attr attr;

static inline void spawn(co_fn *body, void *arg)
{
	require(co_spawn(&group, body, arg, NULL) == 0);
}

static inline void spawn_alone(co_fn *body, void *arg)
{
	require(co_spawn_with(NULL, body, arg, NULL, &attr) == 0);
}

static inline void join_all(void)
{
	require(co_group_end(&group, 0) == 0);
	co_group_begin(&group, CO_GROUP_FAIL_FAST);
}

static inline void turn(void)
{
	require(co_yield_now() == 0);
}

static inline void nap(int64_t ns)
{
	require(co_sleep(ns) == 0);
}

static inline void spawn_and_join(co_fn *body, uint64_t n)
{
	static co_ref refs[MOST_JOINED];

	for (uint64_t i = 0; i < n; i++)
		require(co_spawn(&group, body, NULL, &refs[i]) == 0);
	for (uint64_t i = 0; i < n; i++)
		require(co_join(refs[i], NULL) == 0);
}

static co_chan *chan[2];

static inline void open_channels(unsigned places)
{
	for (int i = 0; i < 2; i++) {
		co_chan_free(chan[i]);
		require(co_chan_make(&chan[i], sizeof(uint64_t), places) == 0);
	}
}

static inline void put(int to, uint64_t number)
{
	require(co_chan_send(chan[to], &number) == 0);
}

static inline uint64_t take(int from)
{
	uint64_t number;

	require(co_chan_recv(chan[from], &number) == 0);
	return number;
}

static bool until; /* C5-...-until: the receive's own deadline, not a scope's */

static inline uint64_t take_in_time(int from)
{
	co_scope scope = CO_SCOPE_INIT;
	uint64_t number = 0;
	int rc = -1;

	if (until) {
		require(co_chan_recv_until(chan[from], &number, co_now() + NEVER) == 0);
		return number;
	}
	co_with_timeout(&scope, NEVER)
		rc = co_chan_recv(chan[from], &number);
	require(co_scope_result(&scope, rc) == 0);
	return number;
}

#include "channels.h"

static void ready_until(struct run *r)
{
	until = true;
	ready(r);
}

static void parked_until(struct run *r)
{
	until = true;
	parked(r);
}

static void memory_small(struct run *r)
{
	attr.flags = CO_SMALL_STACK;
	attr.stack_size = 1; /* rounded up */
	memory(r);
}

/* ------------------------------------------------------------------------------ raw coroutines */

static void *hand_back(void *value)
{
	while (value != NULL)
		value = co_raw_suspend((char *)value + 1);
	return NULL;
}

/* C1. An operation is a resume and the suspend that comes back. */
static void pairs(struct run *r)
{
	struct co_raw *co;
	char *first = (char *)&group, *value = first;
	void *out;

	require(co_raw_create(&co, hand_back, &attr) == 0);
	r->ns = cpu_ns();
	for (uint64_t i = 0; i < r->ops; i++) {
		co_raw_resume(co, value, &out);
		value = out;
	}
	r->ns = cpu_ns() - r->ns;
	require((uintptr_t)value - (uintptr_t)first == r->ops);
	co_raw_destroy(co);
}

static void pairs_fpenv(struct run *r)
{
	attr.flags = CO_KEEP_FPENV;
	pairs(r);
}

static void pairs_cxx(struct run *r)
{
	attr.flags = CO_KEEP_CXX_EH;
	pairs(r);
}

static void *return_it(void *value)
{
	return value;
}

/* C2raw: make, run to its end, free. */
static void lives(struct run *r)
{
	struct co_raw *co;
	void *out = NULL;

	r->ns = cpu_ns();
	for (uint64_t i = 0; i < r->ops; i++) {
		require(co_raw_create(&co, return_it, NULL) == 0);
		require(co_raw_resume(co, &group, &out) == 0 && out == &group);
		co_raw_destroy(co);
	}
	r->ns = cpu_ns() - r->ns;
}

/* ---------------------------------------------------------------------------------------- wake
 * N coroutines sleep, time and again, on the virtual clock: what it costs to wake one and put it to
 * sleep. Measured when all have slept once. */

static struct {
	uint64_t n, ops, begun, wakes;
	int64_t begin, end;
} wakers;

static int wake_often(void *arg)
{
	uint64_t i = (uintptr_t)arg;

	for (;; i += wakers.n) {
		nap(draw_ns(1, i));
		wakers.wakes++;
		if (wakers.wakes == wakers.n)
			wakers.begin = cpu_ns();
		else if (wakers.wakes == wakers.n + wakers.ops)
			wakers.end = cpu_ns();
		if (wakers.wakes >= wakers.n + wakers.ops)
			return 0;
	}
}

static void wakes(struct run *r)
{
	memset(&wakers, 0, sizeof(wakers));
	wakers.n = r->n;
	if (r->ops < r->n)
		r->ops = r->n;
	wakers.ops = r->ops;
	for (uint64_t i = 0; i < r->n; i++)
		spawn(wake_often, (void *)(uintptr_t)i);
	join_all();
	require(wakers.wakes == r->n + r->ops + r->n - 1); /* the others' last */
	r->ns = wakers.end - wakers.begin;
}

/* ----------------------------------------------------------------------------------- workloads */

static const struct workload workloads[] = {
	{ "C1", RATE, pairs },
	{ "C1-fpenv", RATE, pairs_fpenv },
	{ "C1-cxx", RATE, pairs_cxx },
	{ "yield", RATE, yields },
	{ "C2", RATE, spawns },
	{ "C2raw", RATE, lives },
	{ "C2raw-guarded", RATE, lives }, /* they always are */
	{ "C3", OWN, memory },
	{ "C3-small", OWN, memory_small },
	{ "C4", OWN, sleeps },
	{ "C4-slack", OWN, sleeps },
	{ "C5-ready", ADDED, ready },
	{ "C5-ready-until", ADDED, ready_until },
	{ "C5-parked", ADDED, parked },
	{ "C5-parked-until", ADDED, parked_until },
	{ "C7", RATE, messages },
	{ "C7-rendezvous", RATE, rendezvous },
	{ "wake", RATE, wakes },
	{ NULL, OWN, NULL },
};
static const struct contender contender = {
	NAME,
	VERSION,
	NOTE "; stacks of 64 KiB with guards, but for C3-small",
	workloads,
};

static const struct workload *workload;

static int inside(void *arg)
{
	co_group_begin(&group, CO_GROUP_FAIL_FAST);
	measure(workload, arg);
}

int main(int argc, char **argv)
{
	struct co_options opt = { .clock = CO_CLOCK_MONOTONIC };
	struct run r;

	workload = parse(&contender, argc, argv, &r);
	if (workload->run == wakes)
		opt.clock = CO_CLOCK_VIRTUAL;
	if (strcmp(workload->name, "C4-slack") == 0)
		opt.slack = CO_MS(1);
	return co_run(inside, &r, &opt, NULL) < 0;
}
