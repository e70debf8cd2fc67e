/*
 * Clause C35 of the contract and what <whorl/work.h> promises: functions on threads of their own.
 * Where a function must last, it lasts until the test lets it go.
 */
#define _GNU_SOURCE /* pipe2, in ends.h */
#include "ends.h"

#include <signal.h>
#include <sys/syscall.h>

struct job {
	atomic_int entered, open, left, dropped; /* open: it may return */
	int result, rc, next, got;
	unsigned flags;
	pthread_t ran_on, dropped_on;
	pid_t thread;	/* the id of ran_on */
	bool unsettled; /* the call has not returned */
	co_ns at;
};

static int job(void *arg)
{
	struct job *j = arg;

	j->ran_on = pthread_self();
	j->thread = (pid_t)syscall(SYS_gettid);
	atomic_fetch_add(&j->entered, 1);
	await(&j->open, 1);
	atomic_fetch_add(&j->left, 1);
	return j->result;
}

/* After the function, never beside it. */
static void drop(void *arg)
{
	struct job *j = arg;

	IS(atomic_load(&j->left), 1);
	j->dropped_on = pthread_self();
	atomic_fetch_add(&j->dropped, 1);
}

static int does(void *arg)
{
	struct job *j = arg;

	j->got = 77;
	j->unsettled = true;
	j->rc = co_work_with(job, j, &j->got, j->flags, drop);
	j->unsettled = false;
	j->at = co_now();
	j->next = co_checkpoint();
	return j->next;
}

/* Lets others run until the function has begun. On the virtual clock time does not pass. */
static void until_entered(struct job *j)
{
	while (atomic_load(&j->entered) == 0)
		IS(co_yield_now(), 0);
}

static int minus_five(void *unused)
{
	(void)unused;
	return -5;
}

static int minus_canceled(void *unused)
{
	(void)unused;
	return CANC;
}

/* The result is the function's; it says nothing about the call. */
SCENARIO(C35_the_result_of_the_function)
{
	int result = 77;

	IS(co_work(five, NULL, &result), 0);
	IS(result, 5);
	IS(co_work(minus_five, NULL, &result), 0);
	IS(result, -5);
	IS(co_work(minus_canceled, NULL, &result), 0);
	IS(result, CANC);
	IS(co_work(five, NULL, NULL), 0);
	IS(co_work_with(five, NULL, NULL, CO_ABANDON, NULL), 0);
	IS(co_work_with(five, NULL, &result, 0, drop), 0);
	IS(result, 5);
	IS(co_checkpoint(), 0);
	AT(0);
}

SCENARIO(C35_what_is_refused)
{
	int result = 77;

	IS(co_work(NULL, NULL, &result), -EINVAL);
	IS(co_work_with(NULL, NULL, &result, 0, drop), -EINVAL);
	IS(co_work_with(five, NULL, &result, 2, NULL), -EINVAL);
	IS(co_work_with(five, NULL, &result, ~0u, NULL), -EINVAL);
	IS(result, 77);
}

START_TEST(C39_outside_there_is_no_work)
{
	int result = 77;

	IS(co_work(five, NULL, &result), -EPERM);
	IS(co_work_with(five, NULL, &result, CO_ABANDON, NULL), -EPERM);
	IS(result, 77);
}
END_TEST

struct inside {
	pthread_t loop;
	sigset_t blocked;
	co_ref self;
	co_loop_ref runtime;
	bool same;
};

static int looks_around(void *arg)
{
	struct inside *i = arg;

	i->same = pthread_equal(i->loop, pthread_self());
	IS(pthread_sigmask(SIG_BLOCK, NULL, &i->blocked), 0);
	i->self = co_self();
	i->runtime = co_loop_self();
	return 0;
}

/* On another thread, outside of any runtime, with all signals blocked. */
SCENARIO(C35_where_the_function_runs)
{
	static const int all[] = { SIGINT, SIGTERM, SIGUSR1, SIGCHLD, SIGALRM, SIGPIPE, SIGHUP };
	struct inside i = { .loop = pthread_self(), .same = true };

	IS(co_work(looks_around, &i, NULL), 0);
	ck_assert(!i.same);
	ck_assert_uint_eq(i.self.id, 0);
	ck_assert_uint_eq(i.runtime.id, 0);
	for (size_t n = 0; n < LENGTH(all); n++)
		IS(sigismember(&i.blocked, all[n]), 1);
}

/* ------------------------------------------------------------------------------ cancels */

SCENARIO(C35_cancelled_at_entry)
{
	struct job j = { .open = 1, .got = 77 };
	co_scope s = CO_SCOPE_INIT;

	begin_cancelled(&s, EIO);
	IS(co_work(job, &j, &j.got), CANC);
	IS(co_work_with(job, &j, &j.got, CO_ABANDON, drop), CANC);
	IS(co_scope_end(&s, CANC), -EIO);
	IS(co_work(five, NULL, NULL), 0);
	IS(atomic_load(&j.entered), 0);
	IS(atomic_load(&j.dropped), 0);
	IS(j.got, 77);
}

/* A cancel waits for the function; the next cancellation point tells of it. */
SCENARIO(C35_not_cancellable_once_started)
{
	struct job j = { .result = 9 };
	struct lone f;

	lone_start(&f, does, &j);
	until_entered(&j);
	IS(co_cancel(f.ref, EIO), 0);
	for (int i = 0; i < 1000; i++)
		IS(co_yield_now(), 0);
	ck_assert(j.unsettled);
	atomic_store(&j.open, 1);
	IS(lone_end(&f), CANC);
	IS(j.rc, 0);
	IS(j.got, 9);
	IS(j.next, CANC);
	IS(atomic_load(&j.dropped), 0);
}

/* The call is over at once; the function goes on, and its argument is dropped after it. */
SCENARIO(C35_abandoned)
{
	struct job j = { .result = 9, .flags = CO_ABANDON };
	struct lone f;

	lone_start(&f, does, &j);
	until_entered(&j);
	IS(co_cancel(f.ref, EIO), 0);
	IS(lone_end(&f), CANC);
	IS(j.rc, CANC);
	IS(atomic_load(&j.left), 0);
	for (int i = 0; i < 100; i++)
		IS(co_yield_now(), 0);
	IS(atomic_load(&j.dropped), 0);
	atomic_store(&j.open, 1);
	while (atomic_load(&j.dropped) == 0)
		IS(co_yield_now(), 0);
	for (int i = 0; i < 100; i++)
		IS(co_yield_now(), 0);
	IS(atomic_load(&j.dropped), 1);
	IS(pthread_equal(j.dropped_on, pthread_self()), 1);
	IS(j.got, 77);
}

struct late_strike {
	struct job *job;
	co_ref ref;
};

static int cancels_what_is_done(void *arg)
{
	struct late_strike *k = arg;

	atomic_store(&k->job->open, 1);
	for (int i = 0; i < 1000 && atomic_load(&k->job->left) == 0; i++)
		usleep(100);
	if (atomic_load(&k->job->left))
		until_asleep(k->job->thread); /* it has handed it back */
	return co_cancel(k->ref, 0);
}

/* C8: cancelled first, it is abandoned, though it comes back before the caller runs. */
SCENARIO(C35_cancelled_as_it_comes_back)
{
	struct job j = { .result = 9, .flags = CO_ABANDON };
	struct late_strike k = { .job = &j };
	struct lone f, h;

	lone_start(&f, does, &j);
	until_entered(&j);
	k.ref = f.ref;
	lone_start(&h, cancels_what_is_done, &k);
	IS(lone_end(&h), 0);
	atomic_store(&j.open, 1); /* it is, unless that one was cut off */
	IS(lone_end(&f), CANC);
	IS(j.rc, CANC);
	IS(j.got, 77);
	while (atomic_load(&j.dropped) == 0)
		IS(co_yield_now(), 0);
	IS(atomic_load(&j.dropped), 1);
}

static int works_into_a_storm(void *arg)
{
	struct job *j = arg;

	IS(co_work_with(job, j, NULL, CO_ABANDON, drop), CANC);
	for (int i = 0; i < 9998; i++)
		if (co_work(five, NULL, NULL) != CANC)
			ck_abort_msg("call %d is not cut off", i);
	IS(reports()->count, 0);
	IS(co_work(five, NULL, NULL), CANC);
	return reports()->count;
}

/* C19: the -ECANCELED that ended a wait is one of the 10 000 that are ignored. */
SCENARIO_WITH(C19_a_storm_counts_from_the_first, hearing())
{
	struct job j = { .result = 9 };
	struct lone f;

	lone_start(&f, works_into_a_storm, &j);
	until_entered(&j);
	IS(co_cancel(f.ref, 0), 0);
	IS(lone_end(&f), 1);
	atomic_store(&j.open, 1);
	while (atomic_load(&j.dropped) == 0)
		IS(co_yield_now(), 0);
}

SCENARIO(C35_abandoned_without_a_drop)
{
	static struct job j = { .result = 9 };
	co_scope s = CO_SCOPE_INIT;
	struct strike k = { 0, &s, EIO };
	struct lone f;
	int result = 77;

	lone_start(&f, strike, &k);
	co_scope_begin(&s, CO_FOREVER);
	IS(co_work_with(job, &j, &result, CO_ABANDON, NULL), CANC);
	IS(co_scope_end(&s, CANC), -EIO);
	IS(lone_end(&f), 0);
	atomic_store(&j.open, 1);
	IS(co_work(five, NULL, NULL), 0);
	IS(result, 77);
}

/* One that finished is not dropped, and nothing is that was not abandoned. */
SCENARIO(C35_what_finished_is_not_dropped)
{
	static struct job done = { .open = 1, .result = 9, .flags = CO_ABANDON };
	struct job other = done;
	struct lone f;

	IS(does(&done), 0);
	IS(done.rc, 0);
	IS(done.got, 9);
	other.flags = 0;
	lone_start(&f, does, &other);
	IS(co_cancel(f.ref, 0), 0);
	lone_end(&f);
	for (int i = 0; i < 100; i++)
		IS(co_yield_now(), 0);
	IS(atomic_load(&done.dropped), 0);
	IS(atomic_load(&other.dropped), 0);
}

/* ----------------------------------------------------------------------------- shutdown */

static struct job left_behind;

static int leaves_work(void *unused)
{
	struct lone f;

	(void)unused;
	lone_start(&f, does, &left_behind);
	until_entered(&left_behind);
	IS(co_cancel(f.ref, 0), 0);
	IS(lone_end(&f), CANC);
	return 0;
}

static void *opens_late(void *unused)
{
	await(&left_behind.entered, 1);
	until_asleep(getpid());
	atomic_store(&left_behind.open, 1);
	return unused;
}

/* The end of the runtime waits for abandoned work, and drops its argument. */
START_TEST(C35_shutdown_waits_for_abandoned_work)
{
	struct co_options opt = { .grace = CO_FOREVER };
	pthread_t thread;
	int code = -1;

	left_behind = (struct job){ .flags = CO_ABANDON };
	thread = start(opens_late, NULL);
	IS(co_run(leaves_work, NULL, &opt, &code), 0);
	IS(code, 0);
	IS(atomic_load(&left_behind.left), 1);
	IS(atomic_load(&left_behind.dropped), 1);
	IS(pthread_equal(left_behind.dropped_on, pthread_self()), 1);
	finish(thread);
}
END_TEST

/* A detached coroutine's too: it is cancelled when main returns. */
static int leaves_a_worker(void *arg)
{
	IS(co_spawn(NULL, does, arg, NULL), 0);
	until_entered(arg);
	return 0;
}

START_TEST(C35_shutdown_abandons_or_awaits)
{
	struct co_options opt = *real_clock();
	int code = -1;

	opt.grace = CO_FOREVER;
	for (unsigned flags = 0; flags <= CO_ABANDON; flags++) {
		pthread_t thread;

		left_behind = (struct job){ .flags = flags, .result = 9 };
		thread = start(opens_late, NULL);
		IS(co_run(leaves_a_worker, &left_behind, &opt, &code), 0);
		IS(code, 0);
		IS(atomic_load(&left_behind.left), 1);
		IS(left_behind.rc, flags ? CANC : 0);
		IS(left_behind.got, flags ? 77 : 9);
		IS(atomic_load(&left_behind.dropped), flags ? 1 : 0);
		finish(thread);
	}
}
END_TEST

/* Within the grace: work that does not end is left, and said so. It ends later, in peace. */
START_TEST(C35_the_grace_ends_the_wait)
{
	struct co_options opt = *hearing();
	int code = -1;

	opt.clock = CO_CLOCK_MONOTONIC;
	opt.grace = MS(20);
	left_behind = (struct job){ .flags = CO_ABANDON };
	IS(co_run(leaves_work, NULL, &opt, &code), -ETIMEDOUT);
	IS(code, 0);
	IS(reported(CO_REPORT_STUCK_AT_EXIT), 1);
	ck_assert_ptr_nonnull(strstr(reports()->text[0], "0 live, 1 pieces of offloaded work"));
	IS(atomic_load(&left_behind.left), 0);
	atomic_store(&left_behind.open, 1);
	await(&left_behind.left, 1);
	IS(co_run(five, NULL, NULL, &code), 0);
	IS(code, 5);
}
END_TEST

/* -------------------------------------------------------------------------------- threads */

enum { JOBS = 100 };

static atomic_int working, most, started_jobs;

/* Notes how many are at work at once. */
static int counts_itself(void *arg)
{
	int n = atomic_fetch_add(&working, 1) + 1, seen = atomic_load(&most);

	while (n > seen && !atomic_compare_exchange_weak(&most, &seen, n))
		;
	atomic_fetch_add(&started_jobs, 1);
	usleep(1000);
	atomic_fetch_sub(&working, 1);
	return (int)(intptr_t)arg;
}

static int one_of_many(void *arg)
{
	int result = -1;

	IS(co_work(counts_itself, arg, &result), 0);
	IS(result, (int)(intptr_t)arg);
	return 0;
}

/* More than there are threads: all are done, at most eight at once. */
SCENARIO(C35_more_jobs_than_threads)
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < JOBS; i++)
		spawn(&g, one_of_many, num(i));
	IS(co_group_end(&g, 0), 0);
	IS(atomic_load(&started_jobs), JOBS);
	ck_assert_int_le(atomic_load(&most), 8);
	AT(0);
}

/* Eight that wait for each other: so there are eight threads. */
static int meets_eight(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
	await(arg, 8);
	return 0;
}

static int works_with_eight(void *arg)
{
	return co_work(meets_eight, arg, NULL);
}

SCENARIO(C35_eight_at_once)
{
	atomic_int met = 0;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 8; i++)
		spawn(&g, works_with_eight, &met);
	IS(co_group_end(&g, 0), 0);
}

static int notes_itself(void *letter)
{
	note((char)(intptr_t)letter);
	return 0;
}

static int hands_over(void *letter)
{
	return co_work(notes_itself, letter, NULL);
}

/* What waits for a thread is begun in the order in which it came: seven never end meanwhile. */
SCENARIO(C35_first_come_first_served)
{
	struct job busy[8] = { { .flags = 0 } };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 8; i++)
		spawn(&g, does, &busy[i]);
	for (int i = 0; i < 8; i++)
		until_entered(&busy[i]);
	for (int i = 0; i < 5; i++)
		spawn(&g, hands_over, num('a' + i));
	IS(co_yield_now(), 0);
	ck_assert_str_eq(notes(), "");
	atomic_store(&busy[3].open, 1);
	IS(co_work(notes_itself, num('z'), NULL), 0);
	ck_assert_str_eq(notes(), "abcdez");
	for (int i = 0; i < 8; i++)
		atomic_store(&busy[i].open, 1);
	IS(co_group_end(&g, 0), 0);
}

static pthread_key_t at_thread_end;
static atomic_int threads_ended;

static void thread_ends(void *unused)
{
	(void)unused;
	usleep(20000);
	atomic_fetch_add(&threads_ended, 1);
}

static int marks_its_thread(void *met)
{
	IS(pthread_setspecific(at_thread_end, &threads_ended), 0);
	return meets_eight(met);
}

static int works_marked(void *met)
{
	return co_work(marks_its_thread, met, NULL);
}

static int marks_eight_threads(void *met)
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 8; i++)
		spawn(&g, works_marked, met);
	return co_group_end(&g, 0);
}

/* No thread outlives the runtime. */
START_TEST(C35_threads_end_with_the_runtime)
{
	atomic_int met = 0;

	IS(pthread_key_create(&at_thread_end, thread_ends), 0);
	PLAY_WITH(marks_eight_threads, &met, NULL);
	IS(atomic_load(&threads_ended), 8);
}
END_TEST

/* While threads are busy the next piece gets a new one. */
SCENARIO(C35_a_busy_thread_keeps_nobody_waiting)
{
	struct job busy[4] = { { .flags = 0 } };
	int result = -1;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 4; i++) {
		spawn(&g, does, &busy[i]);
		until_entered(&busy[i]);
		IS(co_work(five, NULL, &result), 0);
		IS(result, 5);
	}
	for (int i = 0; i < 4; i++)
		atomic_store(&busy[i].open, 1);
	IS(co_group_end(&g, 0), 0);
}

/* Signals go to the threads of the program as they did before. */
SCENARIO(C35_the_callers_signal_mask_stays)
{
	sigset_t before, after;

	IS(pthread_sigmask(SIG_BLOCK, NULL, &before), 0);
	IS(co_work(five, NULL, NULL), 0);
	IS(pthread_sigmask(SIG_BLOCK, NULL, &after), 0);
	for (int signo = 1; signo < 32; signo++)
		IS(sigismember(&after, signo), sigismember(&before, signo));
}

/* One that waits for a thread: abandoned there, it is dropped; its function may never have run. */
static void count_drop(void *arg)
{
	atomic_fetch_add(&((struct job *)arg)->dropped, 1);
}

static int queued(void *arg)
{
	struct job *j = arg;

	j->rc = co_work_with(job, j, NULL, j->flags, count_drop);
	return j->rc;
}

SCENARIO(C35_abandoned_while_no_thread_is_free)
{
	struct job busy[8] = { { .flags = 0 } }, late = { .open = 1, .flags = CO_ABANDON };
	struct lone f;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 8; i++)
		spawn(&g, does, &busy[i]);
	for (int i = 0; i < 8; i++)
		until_entered(&busy[i]);
	lone_start(&f, queued, &late);
	for (int i = 0; i < 10; i++)
		IS(co_yield_now(), 0);
	IS(atomic_load(&late.entered), 0);
	IS(co_cancel(f.ref, 0), 0);
	IS(lone_end(&f), CANC);
	for (int i = 0; i < 8; i++)
		atomic_store(&busy[i].open, 1);
	IS(co_group_end(&g, 0), 0);
	/* handed over or not: fn and drop go together */
	while (atomic_load(&late.dropped) < atomic_load(&late.entered))
		IS(co_yield_now(), 0);
	IS(atomic_load(&late.dropped), 1);
}

/* ------------------------------------------------------------------------------- the clock */

/* Time stands while work is abroad, however long that takes. */
SCENARIO(S228_no_jump_while_offloaded_work_is_in_flight)
{
	struct job j = { .result = 9 };
	struct nap n = { .dur = MS(1000) };
	struct lone f, h;

	atomic_store(&j.open, 1);
	lone_start(&h, nap, &n);
	lone_start(&f, does, &j);
	IS(lone_end(&f), 0);
	IS(j.at, 0);
	ck_assert(!n.over);
	AT(0);
	IS(lone_end(&h), 0);
	IS(n.at, MS(1000));
}

static int lasts_until_the_loop_waits(void *unused)
{
	(void)unused;
	until_asleep(getpid());
	return 3;
}

SCENARIO(S228_not_even_if_all_wait)
{
	struct nap n = { .dur = 1 };
	struct lone h;
	int result = -1;

	lone_start(&h, nap, &n);
	IS(co_work(lasts_until_the_loop_waits, NULL, &result), 0);
	IS(result, 3);
	AT(0);
	ck_assert(!n.over);
	IS(lone_end(&h), 0);
}

static int ten_real_ms(void *unused)
{
	(void)unused;
	usleep(10000);
	return 3;
}

/* The loop waits for it in the kernel, and does not go round meanwhile. */
SCENARIO(S228_no_spinning_while_work_is_in_flight)
{
	struct nap n = { .dur = MS(1) };
	struct co_stats before, after;
	struct lone h;

	lone_start(&h, nap, &n);
	settle();
	IS(co_stats(&before), 0);
	IS(co_work(ten_real_ms, NULL, NULL), 0);
	IS(co_stats(&after), 0);
	ck_assert_uint_le(after.passes - before.passes, 20);
	IS(lone_end(&h), 0);
	AT(1);
}

SUITE("contract_work",
      C35_the_result_of_the_function,
      C35_what_is_refused,
      C39_outside_there_is_no_work,
      C35_where_the_function_runs,
      C35_cancelled_at_entry,
      C35_not_cancellable_once_started,
      C35_abandoned,
      C35_cancelled_as_it_comes_back,
      C19_a_storm_counts_from_the_first,
      C35_abandoned_without_a_drop,
      C35_what_finished_is_not_dropped,
      C35_shutdown_waits_for_abandoned_work,
      C35_shutdown_abandons_or_awaits,
      C35_the_grace_ends_the_wait,
      C35_more_jobs_than_threads,
      C35_eight_at_once,
      C35_first_come_first_served,
      C35_threads_end_with_the_runtime,
      C35_a_busy_thread_keeps_nobody_waiting,
      C35_the_callers_signal_mask_stays,
      C35_abandoned_while_no_thread_is_free,
      S228_no_jump_while_offloaded_work_is_in_flight,
      S228_not_even_if_all_wait,
      S228_no_spinning_while_work_is_in_flight)
