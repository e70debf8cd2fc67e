/* A user's program, for check_sanitizers.sh: built with a sanitizer and linked to a library that
 * knows of none. `sanitized clean` and `sanitized exits` shall be found without fault; every other
 * word names the bug to commit. */
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <whorl/chan.h>
#include <whorl/co.h>
#include <whorl/coro.h>
#include <whorl/work.h>

#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* So that what p points to has to be in memory. Not inlined: clang leaves frames with assembly where
 * they are. */
static __attribute__((noinline)) void look_at(volatile void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

static void *run(void *fn)
{
	struct co_options opt = { .attr.name = "by name" };
	int exit_code = -1;

	MUST(co_run(*(co_fn **)fn, NULL, &opt, &exit_code) == 0);
	MUST(exit_code == 0);
	return NULL;
}

/* ------------------------------------------------------------------------- what has no fault in it */

static int switches; /* of all coroutines of the thread */

static __attribute__((noinline)) int recurse(int depth)
{
	char frame[100];
	int rc;

	memset(frame, depth, sizeof(frame));
	look_at(frame);
	rc = depth > 0 ? recurse(depth - 1) : co_sleep(CO_US(20));
	switches++;
	MUST(frame[99] == depth);
	return rc;
}

static int sleeps_deeply(void *arg)
{
	char *block = malloc(100);
	int rc = 0;

	(void)arg;
	look_at(&block);
	for (int i = 0; i < 5 && rc == 0; i++)
		rc = recurse(i);
	free(block);
	return rc;
}

static int sleeps_for_ever(void *arg)
{
	char *blocks[2] = { malloc(100), NULL };
	int rc;

	(void)arg;
	look_at(blocks);
	rc = co_sleep(CO_FOREVER);
	free(blocks[0]);
	return rc;
}

static __attribute__((noinline)) void jump(jmp_buf to, int depth)
{
	char frame[100];

	look_at(frame);
	if (depth == 0)
		longjmp(to, 1);
	jump(to, depth - 1);
	look_at(frame);
}

static int jumps(void *arg)
{
	jmp_buf here;

	(void)arg;
	for (volatile int i = 0; i < 3; i++)
		if (setjmp(here) == 0)
			jump(here, 5);
	return recurse(5);
}

static int counts(co_gen *gen, void *arg)
{
	int numbers[16] = { 0 }, rc = 0;

	(void)arg;
	for (int i = 0; i < 16 && rc == 0; i++) {
		numbers[i] = i;
		rc = co_gen_emit(gen, &numbers[i], NULL);
	}
	return rc;
}

static void *stops(void *frame)
{
	char here[300];

	look_at(here);
	co_raw_suspend(memset(here, 1, sizeof(here)));
	look_at(here);
	return frame;
}

static void *uses_much(void *arg)
{
	char here[3000];

	look_at(memset(here, 1, sizeof(here)));
	return arg;
}

/* Frames that never return poison nothing for whoever gets their stack. */
static void drop_and_begin(void)
{
	struct co_raw *stopped, *next;
	void *there;

	for (int i = 0; i < 10; i++) {
		MUST(co_raw_create(&stopped, stops, NULL) == 0);
		MUST(co_raw_resume(stopped, NULL, &there) == 1);
		MUST(((char *)there)[299] == 1);
		co_raw_destroy(stopped);
		MUST(co_raw_create(&next, uses_much, NULL) == 0);
		MUST(i % 2 == 0 || co_raw_resume(next, NULL, NULL) == 0);
		co_raw_destroy(next);
	}
}

static void generate(void)
{
	int sum = 0;
	co_gen *gen;
	void *value;

	MUST(co_gen_make(&gen, counts, NULL, NULL) == 0);
	while (co_gen_next(gen, &value) == 1)
		sum += *(int *)value;
	MUST(sum == 120);
	co_gen_free(gen);
	MUST(co_gen_make(&gen, counts, NULL, NULL) == 0);
	MUST(co_gen_next(gen, &value) == 1);
	co_gen_free(gen);
}

static int sends(void *chan)
{
	int rc = 0;

	for (int i = 0; i < 100 && rc == 0; i++)
		rc = co_chan_send(chan, &i);
	return rc;
}

static int increments(void *n)
{
	return ++*(int *)n;
}

static void pass_around(void)
{
	int n = 0, got = -1;
	co_chan *chan;
	co_group g;

	MUST(co_chan_make(&chan, sizeof(int), 3) == 0);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	MUST(co_spawn(&g, sends, chan, NULL) == 0);
	for (int i = 0; i < 100; i++)
		MUST(co_chan_recv(chan, &got) == 0 && got == i);
	MUST(co_group_end(&g, 0) == 0);
	co_chan_free(chan);
	MUST(co_work(increments, &n, &got) == 0 && n == 1 && got == 1);
}

/* ---------------------------------------------------------- what threads give to each other is no race */

struct letter {
	struct co_post_node node;
	char text[64];
	char *block;
	bool came;
};

static co_loop_ref reader;
static co_scope_ref scope;

static void read_it(struct co_post_node *node)
{
	struct letter *letter = (struct letter *)node;

	MUST(letter->text[63] == 'x');
	memset(letter->text, 'y', sizeof(letter->text));
	free(letter->block);
	letter->came = true;
}

static void *writes(void *arg)
{
	struct letter *letter = arg;

	for (int i = 0; i < 64; i++)
		letter->text[i] = 'x';
	letter->block = malloc(10);
	letter->block[9] = 1;
	letter->node.fn = read_it;
	MUST(co_post(reader, &letter->node) == 0);
	return NULL;
}

static void *cancels(void *told)
{
	*(int *)told = 1;
	MUST(co_scope_cancel_remote(scope, 5) == 0);
	return NULL;
}

static void correspond(void)
{
	struct letter *letters = calloc(20, sizeof(*letters));
	pthread_t thread[20], canceller;
	int told = 0;
	co_scope s = CO_SCOPE_INIT;

	reader = co_loop_self();
	for (int i = 0; i < 20; i++)
		MUST(pthread_create(&thread[i], NULL, writes, &letters[i]) == 0);
	for (int i = 0; i < 20; i++) {
		while (!letters[i].came)
			MUST(co_sleep(CO_US(100)) == 0);
		MUST(letters[i].text[0] == 'y');
	}
	for (int i = 0; i < 20; i++)
		pthread_join(thread[i], NULL);
	free(letters);
	co_scope_begin(&s, CO_FOREVER);
	scope = co_scope_share(&s);
	MUST(pthread_create(&canceller, NULL, cancels, &told) == 0);
	MUST(co_sleep(CO_FOREVER) < 0);
	MUST(told == 1);
	pthread_join(canceller, NULL);
	co_ignore(co_scope_end(&s, 0));
}

static int clean(void *arg)
{
	co_group g;

	(void)arg;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 30; i++)
		MUST(co_spawn(&g, i == 9 ? jumps : sleeps_deeply, NULL, NULL) == 0);
	MUST(co_group_end(&g, 0) == 0);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	MUST(co_spawn(&g, sleeps_for_ever, NULL, NULL) == 0);
	MUST(co_sleep(CO_US(50)) == 0);
	co_group_cancel(&g, 0);
	co_ignore(co_group_end(&g, 0));
	MUST(co_timeout(CO_MS(1), sleeps_for_ever, NULL) < 0);
	drop_and_begin();
	generate();
	pass_around();
	correspond();
	return 0;
}

/* All that lives is in the hands of coroutines that are stopped. */
static int exits(void *arg)
{
	co_group g;

	(void)arg;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 10; i++)
		MUST(co_spawn(&g, sleeps_for_ever, NULL, NULL) == 0);
	MUST(co_sleep(CO_US(50)) == 0);
	exit(0);
}

/* -------------------------------------------------------------------------------------------- bugs */

static int beyond_a_variable(void *arg)
{
	volatile char frame[10];
	volatile int n = 10;

	(void)arg;
	look_at(frame);
	MUST(co_yield_now() == 0);
	frame[n] = 1;
	return 0;
}

static __attribute__((noinline)) volatile char *dead_frame(void)
{
	volatile char frame[10], *volatile p = frame;

	look_at(frame);
	return p;
}

static int after_return(void *arg)
{
	volatile char *frame = dead_frame();

	(void)arg;
	MUST(co_yield_now() == 0);
	frame[0] = 1;
	return 0;
}

static char *block;

static int frees(void *arg)
{
	(void)arg;
	free(block);
	return 0;
}

static int after_free(void *arg)
{
	co_group g;

	(void)arg;
	block = malloc(10);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	MUST(co_spawn(&g, frees, NULL, NULL) == 0);
	MUST(co_yield_now() == 0);
	block[0] = 1;
	return co_group_end(&g, 0);
}

static int loses(void *arg)
{
	char *volatile lost = malloc(100);

	(void)arg;
	look_at(lost);
	MUST(co_yield_now() == 0);
	lost = NULL;
	return 0;
}

static __attribute__((noinline)) int without_end(int depth)
{
	char frame[1000];

	look_at(memset(frame, depth, sizeof(frame)));
	return without_end(depth + 1) + frame[depth % 1000];
}

static int overflows(void *arg)
{
	(void)arg;
	return without_end(0);
}

static int adds(void *arg)
{
	volatile int n = INT_MAX;

	(void)arg;
	MUST(co_yield_now() == 0);
	n = n + 1;
	return 0;
}

static atomic_int arrived; /* of the two; relaxed, which orders nothing */
static volatile int counter;

static int races(void *arg)
{
	(void)arg;
	atomic_fetch_add_explicit(&arrived, 1, memory_order_relaxed);
	while (atomic_load_explicit(&arrived, memory_order_relaxed) < 2)
		MUST(co_sleep(CO_US(20)) == 0);
	for (int i = 0; i < 20; i++) {
		counter++;
		MUST(co_sleep(CO_US(20)) == 0);
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *word;
		co_fn *fn;
	} tasks[] = {
		{ "clean", clean },
		{ "exits", exits },
		{ "overrun", beyond_a_variable },
		{ "return", after_return },
		{ "free", after_free },
		{ "leak", loses },
		{ "overflow", overflows },
		{ "add", adds },
		{ "race", races },
	};
	pthread_t other;

	for (size_t i = 0; i < sizeof(tasks) / sizeof(tasks[0]); i++) {
		co_fn *fn = tasks[i].fn;

		if (argc != 2 || strcmp(argv[1], tasks[i].word) != 0)
			continue;
		/* clean twice, as stacks are used again */
		if (fn == clean)
			run(&fn);
		if (fn == races)
			MUST(pthread_create(&other, NULL, run, &fn) == 0);
		run(&fn);
		if (fn == races)
			pthread_join(other, NULL);
		return 0;
	}
	return 2;
}
