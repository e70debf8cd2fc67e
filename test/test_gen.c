/* Generators: clause C40 of the contract, and what whorl/coro.h says beyond it. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <whorl/coro.h>

#include "play.h"

static void *number(intptr_t n)
{
	return (void *)n;
}

static co_gen *make(co_gen_fn *fn, void *arg)
{
	co_gen *gen = NULL;

	ck_assert_int_eq(co_gen_make(&gen, fn, arg, NULL), 0);
	ck_assert_ptr_nonnull(gen);
	return gen;
}

/* The next value, which has to be there. */
static intptr_t next_value(co_gen *gen)
{
	void *value = number(-1);

	ck_assert_int_eq(co_gen_next(gen, &value), 1);
	return (intptr_t)value;
}

static intptr_t send_value(co_gen *gen, intptr_t in)
{
	void *value = number(-1);

	ck_assert_int_eq(co_gen_send(gen, number(in), &value), 1);
	return (intptr_t)value;
}

/* Emits 1..n and returns -n. */
static int count_to(co_gen *gen, void *n)
{
	for (intptr_t i = 1; i <= (intptr_t)n; i++)
		ck_assert_int_eq(co_gen_emit(gen, number(i), NULL), 0);
	return -(int)(intptr_t)n;
}

/* ------------------------------------------------------------------------------------ next, end */

START_TEST(c40_next_gives_each_value)
{
	co_gen *gen = make(count_to, number(1000));

	for (intptr_t i = 1; i <= 1000; i++)
		ck_assert_int_eq(next_value(gen), i);
	ck_assert_int_eq(co_gen_next(gen, NULL), -1000);
	co_gen_free(gen);
}
END_TEST

START_TEST(c40_the_end_stays)
{
	for (intptr_t n = 0; n < 3; n++) {
		co_gen *gen = make(count_to, number(n));

		for (intptr_t i = 1; i <= n; i++)
			ck_assert_int_eq(co_gen_next(gen, NULL), 1);
		for (int i = 0; i < 3; i++) {
			ck_assert_int_eq(co_gen_next(gen, NULL), -n);
			ck_assert_int_eq(co_gen_send(gen, number(1), NULL), -n);
		}
		co_gen_free(gen);
	}
}
END_TEST

static int return_seven(co_gen *gen, void *arg)
{
	(void)gen, (void)arg;
	return 7;
}

START_TEST(a_positive_result_is_an_end)
{
	co_gen *gen = make(return_seven, NULL);

	ck_assert_int_eq(co_gen_next(gen, NULL), 0);
	ck_assert_int_eq(co_gen_next(gen, NULL), 0);
	co_gen_free(gen);
}
END_TEST

static int note_that_it_ran(co_gen *gen, void *ran)
{
	(void)gen;
	*(bool *)ran = true;
	return 0;
}

START_TEST(the_body_starts_with_the_first_next)
{
	bool ran = false;
	co_gen *gen = make(note_that_it_ran, &ran);

	ck_assert(!ran);
	ck_assert_int_eq(co_gen_next(gen, NULL), 0);
	ck_assert(ran);
	co_gen_free(gen);
}
END_TEST

/* ----------------------------------------------------------------------------------------- send */

/* Emits the sum of all it received. */
static int sum(co_gen *gen, void *arg)
{
	intptr_t total = 0;
	void *in = number(77);

	(void)arg;
	while (co_gen_emit(gen, number(total), &in) == 0)
		total += (intptr_t)in;
	return 0;
}

START_TEST(c40_send_reaches_the_emit)
{
	co_gen *gen = make(sum, NULL);
	intptr_t total = 0;

	ck_assert_int_eq(next_value(gen), 0);
	for (intptr_t i = 1; i < 1000; i++)
		ck_assert_int_eq(send_value(gen, i), total += i);
	co_gen_free(gen);
}
END_TEST

START_TEST(next_sends_null)
{
	co_gen *gen = make(sum, NULL);

	next_value(gen);
	ck_assert_int_eq(send_value(gen, 5), 5);
	ck_assert_int_eq(next_value(gen), 5);
	ck_assert_int_eq(send_value(gen, 1), 6);
	co_gen_free(gen);
}
END_TEST

START_TEST(nothing_is_sent_to_one_that_has_not_started)
{
	bool ran = false;
	co_gen *gen = make(note_that_it_ran, &ran);

	ck_assert_int_eq(co_gen_send(gen, number(1), NULL), -EINVAL);
	ck_assert(!ran);
	ck_assert_int_eq(co_gen_send(gen, NULL, NULL), 0);
	ck_assert(ran);
	co_gen_free(gen);
}
END_TEST

/* Listens only to every second emit: what is sent to the others is lost, and goes nowhere else. */
static int listen_now_and_then(co_gen *gen, void *arg)
{
	void *in = NULL;

	(void)arg;
	for (;;) {
		if (co_gen_emit(gen, in, &in) < 0 || co_gen_emit(gen, NULL, NULL) < 0)
			return 0;
	}
}

START_TEST(emit_may_not_listen)
{
	co_gen *gen = make(listen_now_and_then, NULL);

	next_value(gen);
	for (intptr_t i = 1; i < 10; i++) {
		ck_assert_int_eq(send_value(gen, i), 0);
		ck_assert_int_eq(send_value(gen, 1000), i);
	}
	co_gen_free(gen);
}
END_TEST

/* ----------------------------------------------------------------------------------------- free */

struct cleanup {
	int emits_refused;
	bool unwound;
};

static int clean_up(co_gen *gen, void *arg)
{
	struct cleanup *seen = arg;
	void *in = number(5);

	while (co_gen_emit(gen, number(1), NULL) == 0)
		;
	for (int i = 0; i < 3; i++)
		seen->emits_refused += co_gen_emit(gen, number(2), &in) == -ECANCELED;
	ck_assert_ptr_eq(in, number(5));
	seen->unwound = true;
	return -ECANCELED;
}

START_TEST(c40_free_unwinds)
{
	struct cleanup seen = { 0, false };
	co_gen *gen = make(clean_up, &seen);

	next_value(gen);
	next_value(gen);
	ck_assert(!seen.unwound);
	co_gen_free(gen);
	ck_assert(seen.unwound);
	ck_assert_int_eq(seen.emits_refused, 3);
}
END_TEST

START_TEST(free_does_not_start_the_body)
{
	bool ran = false;
	co_gen *gen = make(note_that_it_ran, &ran);

	co_gen_free(gen);
	ck_assert(!ran);
}
END_TEST

START_TEST(free_after_the_end_runs_nothing)
{
	bool ran = false;
	co_gen *gen = make(note_that_it_ran, &ran);

	co_gen_next(gen, NULL);
	ran = false;
	co_gen_free(gen);
	ck_assert(!ran);
}
END_TEST

static int free_itself(co_gen *gen, void *arg)
{
	(void)arg;
	co_gen_free(gen);
	return 0;
}

START_TEST(freeing_a_running_one_aborts)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		close(STDERR_FILENO);
		co_gen_next(make(free_itself, NULL), NULL);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
END_TEST

/* ------------------------------------------------------------------------------------ bad input */

static co_gen *first, *second;

static int call_from_the_wrong_side(co_gen *gen, void *arg)
{
	void *value = number(5), *in = number(6);

	(void)arg;
	ck_assert_int_eq(co_gen_emit(gen, NULL, &in), 0);
	ck_assert_ptr_eq(in, number(7));
	ck_assert_int_eq(co_gen_next(gen, &value), -EINVAL);
	ck_assert_int_eq(co_gen_send(gen, number(1), &value), -EINVAL);
	ck_assert_int_eq(co_gen_emit(second, number(1), &in), -EPERM);
	ck_assert_ptr_eq(value, number(5));
	ck_assert_ptr_eq(in, number(7));
	return -5;
}

START_TEST(bad_arguments)
{
	co_gen *gen = number(77);
	struct co_attr unknown_flag = { .flags = 8 }, huge = { .stack_size = SIZE_MAX };

	errno = 1234;
	ck_assert_int_eq(co_gen_make(NULL, count_to, NULL, NULL), -EINVAL);
	ck_assert_int_eq(co_gen_make(&gen, NULL, NULL, NULL), -EINVAL);
	ck_assert_int_eq(co_gen_make(&gen, count_to, NULL, &unknown_flag), -EINVAL);
	ck_assert_int_eq(co_gen_make(&gen, count_to, NULL, &huge), -EINVAL);
	ck_assert_ptr_eq(gen, number(77));
	ck_assert_int_eq(co_gen_next(NULL, NULL), -EINVAL);
	ck_assert_int_eq(co_gen_send(NULL, NULL, NULL), -EINVAL);
	ck_assert_int_eq(co_gen_emit(NULL, NULL, NULL), -EINVAL);
	co_gen_free(NULL);
	ck_assert_int_eq(errno, 1234);
}
END_TEST

START_TEST(calls_from_the_wrong_side)
{
	second = make(sum, NULL);
	ck_assert_int_eq(co_gen_emit(second, number(1), NULL), -EPERM);
	next_value(second);
	ck_assert_int_eq(co_gen_emit(second, number(1), NULL), -EPERM);
	first = make(call_from_the_wrong_side, NULL);
	next_value(first);
	ck_assert_int_eq(co_gen_send(first, number(7), NULL), -5);
	ck_assert_int_eq(send_value(second, 3), 3);
	co_gen_free(first);
	co_gen_free(second);
}
END_TEST

/* --------------------------------------------------------------------------------------- nested */

/* All numbers of [from, to) in order, by way of two generators of half the range. */
struct range {
	intptr_t from, to;
};

static int walk(co_gen *gen, void *arg)
{
	const struct range *r = arg;
	struct range half[2] = { { r->from, (r->from + r->to) / 2 },
				 { (r->from + r->to) / 2, r->to } };
	void *value;
	int rc = 0;

	if (r->to - r->from == 1)
		return co_gen_emit(gen, number(r->from), NULL);
	for (int i = 0; i < 2 && rc == 0; i++) {
		co_gen *child = make(walk, &half[i]);

		while ((rc = co_gen_next(child, &value)) == 1 &&
		       (rc = co_gen_emit(gen, value, NULL)) == 0)
			;
		co_gen_free(child);
	}
	return rc;
}

START_TEST(generators_within_generators)
{
	struct range all = { 0, 300 };
	co_gen *gen = make(walk, &all);

	for (intptr_t i = 0; i < 300; i++)
		ck_assert_int_eq(next_value(gen), i);
	ck_assert_int_eq(co_gen_next(gen, NULL), 0);
	co_gen_free(gen);
	gen = make(walk, &all);
	for (intptr_t i = 0; i < 150; i++)
		next_value(gen);
	co_gen_free(gen); /* eight of them, each in its emit */
}
END_TEST

static void *sum_in_a_coroutine(void *arg)
{
	co_gen *gen = make(sum, NULL);
	intptr_t total = next_value(gen);

	(void)arg;
	while (total < 100)
		total = send_value(gen, (intptr_t)co_raw_suspend(number(total)));
	co_gen_free(gen);
	return number(total);
}

START_TEST(generators_in_raw_coroutines)
{
	struct co_raw *co[10];
	void *out;

	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(co_raw_create(&co[i], sum_in_a_coroutine, NULL), 0);
		ck_assert_int_eq(co_raw_resume(co[i], NULL, &out), 1);
	}
	for (intptr_t round = 1; round <= 10; round++) {
		for (int i = 0; i < 10; i++) {
			ck_assert_int_eq(co_raw_resume(co[i], number(10), &out), round < 10);
			ck_assert_ptr_eq(out, number(10 * round));
		}
	}
	for (int i = 0; i < 10; i++)
		co_raw_destroy(co[i]);
}
END_TEST

#define MANY 500
START_TEST(many_in_random_order)
{
	uint64_t seed = suite_seed();
	co_gen *gen[MANY] = { NULL };
	intptr_t total[MANY];

	for (int i = 0; i < 100000; i++) {
		size_t n = suite_random(&seed) % MANY;
		intptr_t in = (intptr_t)(suite_random(&seed) % 1000);

		if (gen[n] == NULL) {
			gen[n] = make(sum, NULL);
			total[n] = next_value(gen[n]);
		} else if (in < 10) {
			co_gen_free(gen[n]);
			gen[n] = NULL;
		} else {
			ck_assert_int_eq(send_value(gen[n], in), total[n] += in);
		}
	}
	for (int n = 0; n < MANY; n++)
		co_gen_free(gen[n]);
}
END_TEST

/* -------------------------------------------------------------------------- in a runtime */

static co_ref caller; /* of the generator's next */
static co_gen *shared;

/* Emits the time, every 10 ms. */
static int clock_of_the_runtime(co_gen *gen, void *arg)
{
	int rc = 0;

	(void)arg;
	while (rc == 0) {
		ck_assert_uint_eq(co_self().id, caller.id);
		rc = co_sleep(CO_MS(10));
		ck_assert_uint_eq(co_self().id, caller.id);
		if (rc == 0)
			rc = co_gen_emit(gen, number((intptr_t)(co_now() / CO_MS(1))), NULL);
	}
	co_ignore(co_sleep(CO_MS(5))); /* unwinding may suspend as well */
	return rc;
}

/* Runs while the one that called next waits, and has a generator of its own. */
static int bystander(void *ticks)
{
	co_gen *gen = make(sum, NULL);

	next_value(gen);
	for (int i = 1; i <= 10; i++) {
		ck_assert_int_eq(co_sleep(CO_MS(3)), 0);
		ck_assert_int_eq(send_value(gen, 1), i);
		ck_assert_int_eq(co_gen_next(shared, NULL), -EINVAL);
		ck_assert_int_eq(co_gen_emit(shared, NULL, NULL), -EPERM);
		ck_assert_ptr_null(co_raw_suspend(NULL));
		++*(int *)ticks;
	}
	co_gen_free(gen);
	return 0;
}

static int use_generator(void *arg)
{
	int ticks = 0;
	co_group g;

	(void)arg;
	caller = co_self();
	shared = make(clock_of_the_runtime, NULL);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ck_assert_int_eq(co_spawn(&g, bystander, &ticks, NULL), 0);
	for (intptr_t i = 1; i <= 3; i++) {
		ck_assert_int_eq(next_value(shared), 10 * i);
		ck_assert_int_eq(ticks, (10 * i - 1) / 3);
	}
	co_gen_free(shared);
	ck_assert_int_eq(co_now(), CO_MS(35));
	return co_group_end(&g, 0);
}

START_TEST(the_body_may_suspend_in_a_runtime)
{
	PLAY(use_generator);
}
END_TEST

/* A cancelled scope is seen in the body: what waits there ends, and so does the generator. */
static int use_under_timeout(void *arg)
{
	void *value;
	int rc;

	(void)arg;
	caller = co_self();
	shared = make(clock_of_the_runtime, NULL);
	while ((rc = co_gen_next(shared, &value)) == 1)
		;
	co_gen_free(shared);
	return rc;
}

static int time_out(void *arg)
{
	ck_assert_int_eq(co_timeout(CO_MS(25), use_under_timeout, arg), -ETIMEDOUT);
	ck_assert_int_eq(co_now(), CO_MS(25));
	return 0;
}

START_TEST(a_timeout_reaches_the_body)
{
	PLAY(time_out);
}
END_TEST

SUITE("gen", c40_next_gives_each_value, c40_the_end_stays, a_positive_result_is_an_end,
      the_body_starts_with_the_first_next, c40_send_reaches_the_emit, next_sends_null,
      nothing_is_sent_to_one_that_has_not_started, emit_may_not_listen, c40_free_unwinds,
      free_does_not_start_the_body, free_after_the_end_runs_nothing, freeing_a_running_one_aborts,
      bad_arguments, calls_from_the_wrong_side, generators_within_generators,
      generators_in_raw_coroutines, many_in_random_order, the_body_may_suspend_in_a_runtime,
      a_timeout_reaches_the_body)
