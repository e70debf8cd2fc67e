/* One operation, so many times: for counting its instructions.
 *
 *	counts OPERATION TIMES
 *	counts			lists the operations
 *
 * Run under callgrind with two numbers of times, the slope of its totals is what one operation
 * costs; start and end of the program cancel out. bench/counts.sh does that. The clock is virtual
 * where it must be read, so that the kernel's reading is not counted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <whorl/chan.h>
#include <whorl/co.h>
#include <whorl/coro.h>
#include <whorl/wheel.h>

static void must(int rc)
{
	if (rc < 0) {
		fprintf(stderr, "counts: %s\n", strerror(-rc));
		exit(1);
	}
}

/* ---------------------------------------------------------------------------------------- wheel */

enum { TIMERS = 1000 };

static struct wheel wheel;
static struct wheel_timer timers[TIMERS];

/* Deadlines spread over some four levels, the same in every run. */
static uint64_t delay(long i)
{
	return 1 + ((uint64_t)i * UINT64_C(0x9e3779b97f4a7c15) >> 40);
}

static void arm_all(void)
{
	wheel_init(&wheel, 0);
	for (long i = 0; i < TIMERS; i++)
		wheel_arm(&wheel, &timers[i], delay(i));
}

static int arm_and_disarm(long times)
{
	arm_all();
	for (long i = 0; i < times; i++) {
		struct wheel_timer *t = &timers[i % TIMERS];

		wheel_disarm(&wheel, t);
		wheel_arm(&wheel, t, delay(i));
	}
	return 0;
}

static int move_later(long times)
{
	arm_all();
	for (long i = 0; i < times; i++) {
		struct wheel_timer *t = &timers[i % TIMERS];

		wheel_arm(&wheel, t, wheel_expires(t) + 1);
	}
	return 0;
}

static int pop_and_arm(long times)
{
	struct wheel_timer *t;

	arm_all();
	for (long i = 0; i < times;) {
		wheel_advance(&wheel, wheel_next(&wheel));
		for (; (t = wheel_pop(&wheel)) != NULL; i++)
			wheel_arm(&wheel, t, wheel_now(&wheel) + delay(i));
	}
	return 0;
}

/* ----------------------------------------------------------------------- contexts and scheduler */

static void *suspends_for_ever(void *in)
{
	while (in)
		in = co_raw_suspend(in);
	return NULL;
}

static int resume_and_suspend(long times)
{
	struct co_raw *raw;
	void *out;

	must(co_raw_create(&raw, suspends_for_ever, NULL));
	for (long i = 0; i < times; i++)
		must(co_raw_resume(raw, &raw, &out));
	must(co_raw_resume(raw, NULL, &out));
	co_raw_destroy(raw);
	return 0;
}

static long times_each;
static co_chan *chan;

static int yields(void *arg)
{
	(void)arg;
	for (long i = 0; i < times_each; i++)
		must(co_yield_now());
	return 0;
}

static int sleeps(void *arg)
{
	(void)arg;
	for (long i = 0; i < times_each; i++)
		must(co_sleep(CO_US(1 + i % 100)));
	return 0;
}

static int opens_scopes(void *arg)
{
	co_scope s;

	(void)arg;
	for (long i = 0; i < times_each; i++) {
		s = (co_scope)CO_SCOPE_INIT;
		co_scope_begin(&s, CO_SEC(1));
		must(co_scope_end(&s, 0));
	}
	return 0;
}

static int returns(void *arg)
{
	(void)arg;
	return 0;
}

static int spawns(void *arg)
{
	co_group g;
	co_ref child;

	(void)arg;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (long i = 0; i < times_each; i++) {
		must(co_spawn(&g, returns, NULL, &child));
		must(co_join(child, NULL));
	}
	return co_group_end(&g, 0);
}

static int receives(void *arg)
{
	long message;

	(void)arg;
	for (long i = 0; i < times_each; i++)
		must(co_chan_recv(chan, &message));
	return 0;
}

static int sends(void *arg)
{
	co_group g;

	(void)arg;
	must(co_chan_make(&chan, sizeof(long), 0));
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	must(co_spawn(&g, receives, NULL, NULL));
	for (long i = 0; i < times_each; i++)
		must(co_chan_send(chan, &i));
	must(co_group_end(&g, 0));
	co_chan_free(chan);
	return 0;
}

static int play(co_fn *fn, long times, enum co_clock clock)
{
	struct co_options options = { .clock = clock };

	times_each = times;
	return co_run(fn, NULL, &options, NULL);
}

static int yield(long times)
{
	return play(yields, times, CO_CLOCK_MONOTONIC);
}

static int sleep_and_wake(long times)
{
	return play(sleeps, times, CO_CLOCK_VIRTUAL);
}

static int scope(long times)
{
	return play(opens_scopes, times, CO_CLOCK_VIRTUAL);
}

static int spawn_and_join(long times)
{
	return play(spawns, times, CO_CLOCK_MONOTONIC);
}

static int send_and_receive(long times)
{
	return play(sends, times, CO_CLOCK_MONOTONIC);
}

static const struct {
	const char *name;
	int (*run)(long times);
} operations[] = {
	{ "arm+disarm", arm_and_disarm },
	{ "move-later", move_later },
	{ "pop+arm", pop_and_arm },
	{ "resume+suspend", resume_and_suspend },
	{ "yield", yield },
	{ "sleep+wake", sleep_and_wake },
	{ "scope", scope },
	{ "spawn+join", spawn_and_join },
	{ "send+receive", send_and_receive },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
		if (argc == 1)
			puts(operations[i].name);
		else if (argc == 3 && strcmp(argv[1], operations[i].name) == 0)
			return operations[i].run(atol(argv[2])) != 0;
	return argc != 1;
}
