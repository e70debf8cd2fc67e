/* K10: C++ exceptions of coroutines that take turns.
 *
 * A coroutine with CO_KEEP_CXX_EH has exceptions of its own: those that it handles, which `throw;`
 * and std::current_exception look at, and those that unwind it, which std::uncaught_exceptions
 * counts. Here coroutines stop in handlers, and in destructors that unwinding calls, and leave them
 * in another order than they came. Two of the tests are played without the flag too, and show the
 * mix-up that it prevents.
 *
 * Without Check: test/check_mini.h runs the tests, each in a process of its own. */
#include <exception>
#include <system_error>

#include <errno.h>

#include "suite.h"
#include <whorl/co.h>
#include <whorl/wheel.h>

#define IS(got, want) ck_assert_int_eq((got), (want))

enum { CAST = 12, DEPTH = 4 };

/* What is thrown: by whom, and how deep in its handlers. */
struct trouble {
	int who, depth;
};

/* Lets others go on. */
static void (*rest)();

/* `thrown`, this very object, is what the running coroutine handles. */
template <class T> static void handles(const T &thrown)
{
	std::exception_ptr now = std::current_exception();

	ck_assert(now != nullptr);
	try {
		std::rethrow_exception(now);
	} catch (const T &handled) {
		ck_assert_ptr_eq(&handled, &thrown);
	}
}

static void handles_nothing()
{
	ck_assert(std::current_exception() == nullptr);
	IS(std::uncaught_exceptions(), 0);
}

static void *number(intptr_t n)
{
	return reinterpret_cast<void *>(n);
}

static int who_is(void *arg)
{
	return static_cast<int>(reinterpret_cast<intptr_t>(arg));
}

/* ------------------------------------------------------------------------ what a coroutine does */

typedef void story(int who, int depth);

/* Stops in handlers within handlers. */
static void nests(int who, int depth)
{
	try {
		throw trouble{ who, depth };
	} catch (const trouble &t) {
		rest();
		handles(t);
		if (depth > 0)
			nests(who, depth - 1);
		rest();
		handles(t);
		IS(t.who, who);
		IS(t.depth, depth);
	}
}

/* Stops in each handler that one exception passes through, and throws it on. */
static void passes_on(int who, int depth)
{
	try {
		if (depth == 0)
			throw trouble{ who, 0 };
		passes_on(who, depth - 1);
		ck_abort_msg("nothing was thrown on");
	} catch (trouble &t) {
		rest();
		handles(t);
		IS(t.who, who);
		IS(t.depth++, depth);
		if (depth < DEPTH)
			throw;
	}
}

static void is_unwound(int who, int depth);

/* Stops while it is unwound; in its destructor the next one is. */
struct unwound {
	int who, depth;

	~unwound()
	{
		IS(std::uncaught_exceptions(), DEPTH - depth + 1);
		rest();
		if (depth > 0)
			is_unwound(who, depth - 1);
		rest();
		IS(std::uncaught_exceptions(), DEPTH - depth + 1);
	}
};

/* A function of its own, from which the unwinder goes on to the next. */
[[gnu::noinline]] static void is_left(int who, int depth)
{
	unwound local{ who, depth };

	throw trouble{ who, depth };
}

static void is_unwound(int who, int depth)
{
	try {
		is_left(who, depth);
	} catch (const trouble &t) {
		rest();
		handles(t);
		IS(t.who, who);
		IS(t.depth, depth);
		IS(std::uncaught_exceptions(), DEPTH - depth);
	}
}

static void plays(story *own, int who)
{
	handles_nothing();
	own(who, DEPTH);
	handles_nothing();
	rest();
	handles_nothing();
}

/* ------------------------------------------------------------------------------- raw coroutines */

static story *played;

static void *plays_raw(void *who)
{
	plays(played, who_is(who));
	return nullptr;
}

static void suspend()
{
	co_raw_suspend(nullptr);
}

static struct co_raw *create(co_raw_fn *fn, unsigned flags)
{
	struct co_attr attr = {};
	struct co_raw *co = nullptr;

	attr.flags = flags;
	IS(co_raw_create(&co, fn, &attr), 0);
	return co;
}

/* Resumes them by lot until all have ended, and is in a handler of its own meanwhile. */
static void play_raw(story *all_play)
{
	struct co_raw *cast[CAST];
	uint64_t dice = suite_seed();
	int left = CAST;

	rest = suspend;
	played = all_play;
	for (int i = 0; i < CAST; i++)
		cast[i] = create(plays_raw, CO_KEEP_CXX_EH);
	try {
		throw trouble{ -1, 0 };
	} catch (const trouble &mine) {
		while (left > 0) {
			int i = static_cast<int>(suite_random(&dice) % CAST);

			if (co_raw_state(cast[i]) == CO_RAW_DONE)
				continue;
			left -= co_raw_resume(cast[i], number(i), nullptr) == 0;
			handles(mine);
			IS(std::uncaught_exceptions(), 0);
		}
	}
	handles_nothing();
	for (int i = 0; i < CAST; i++)
		co_raw_destroy(cast[i]);
}

START_TEST(K10_handlers_within_handlers)
{
	play_raw(nests);
}
END_TEST

START_TEST(K10_thrown_on_after_a_switch)
{
	play_raw(passes_on);
}
END_TEST

START_TEST(K10_switches_while_unwound)
{
	play_raw(is_unwound);
}
END_TEST

static std::exception_ptr parcel;

static void *fills_the_parcel(void *)
{
	try {
		throw trouble{ 1, 2 };
	} catch (const trouble &) {
		parcel = std::current_exception();
		co_raw_suspend(nullptr);
	}
	return nullptr;
}

static void *opens_the_parcel(void *)
{
	try {
		std::rethrow_exception(parcel);
	} catch (const trouble &t) {
		parcel = nullptr;
		co_raw_suspend(nullptr);
		handles(t);
		IS(t.who, 1);
		IS(t.depth, 2);
	}
	return nullptr;
}

START_TEST(K10_carried_to_another)
{
	struct co_raw *from = create(fills_the_parcel, CO_KEEP_CXX_EH);
	struct co_raw *to = create(opens_the_parcel, CO_KEEP_CXX_EH);

	IS(co_raw_resume(from, nullptr, nullptr), 1);
	IS(co_raw_resume(to, nullptr, nullptr), 1);
	IS(co_raw_resume(from, nullptr, nullptr), 0);
	co_raw_destroy(from);
	IS(co_raw_resume(to, nullptr, nullptr), 0);
	co_raw_destroy(to);
}
END_TEST

/* ---------------------------------------------------------------- with the flag, and without it */

/* Returns what its `throw;` threw. */
static void *throws_again(void *what)
{
	try {
		try {
			throw reinterpret_cast<intptr_t>(what);
		} catch (intptr_t) {
			co_raw_suspend(nullptr);
			throw;
		}
	} catch (intptr_t thrown) {
		return number(thrown);
	}
}

/* Two are in a handler, of 1 and of 2; the first to come goes first. */
static void throw_two_again(unsigned flags, intptr_t of_first, intptr_t of_second)
{
	struct co_raw *first = create(throws_again, flags), *second = create(throws_again, flags);
	void *thrown;

	IS(co_raw_resume(first, number(1), nullptr), 1);
	IS(co_raw_resume(second, number(2), nullptr), 1);
	IS(co_raw_resume(first, nullptr, &thrown), 0);
	ck_assert_ptr_eq(thrown, number(of_first));
	IS(co_raw_resume(second, nullptr, &thrown), 0);
	ck_assert_ptr_eq(thrown, number(of_second));
	handles_nothing();
	co_raw_destroy(first);
	co_raw_destroy(second);
}

START_TEST(K10_each_throws_its_own_again)
{
	throw_two_again(CO_KEEP_CXX_EH, 1, 2);
}
END_TEST

START_TEST(K10_without_the_flag_each_throws_the_others)
{
	throw_two_again(0, 2, 1);
}
END_TEST

struct suspends_at_the_end {
	~suspends_at_the_end()
	{
		co_raw_suspend(nullptr);
	}
};

static void *unwinds_and_handles(void *)
{
	try {
		suspends_at_the_end local;

		throw 1;
	} catch (int) {
		co_raw_suspend(nullptr);
	}
	return nullptr;
}

/* Whether its resumer sees the exception: while it unwinds one, and while it handles it. */
static void look_at_one(unsigned flags, bool seen)
{
	struct co_raw *co = create(unwinds_and_handles, flags);

	IS(co_raw_resume(co, nullptr, nullptr), 1);
	IS(std::uncaught_exceptions(), seen);
	IS(co_raw_resume(co, nullptr, nullptr), 1);
	IS(std::uncaught_exceptions(), 0);
	IS(std::current_exception() != nullptr, seen);
	IS(co_raw_resume(co, nullptr, nullptr), 0);
	handles_nothing();
	co_raw_destroy(co);
}

START_TEST(K10_none_is_seen_by_others)
{
	look_at_one(CO_KEEP_CXX_EH, false);
}
END_TEST

START_TEST(K10_without_the_flag_all_see_it)
{
	look_at_one(0, true);
}
END_TEST

/* -------------------------------------------------------------------------------- the scheduler */

static uint64_t dice;

static void naps()
{
	IS(co_sleep(CO_MS(suite_random(&dice) % 3)), 0);
}

static int plays_all(void *who)
{
	for (story *own : { nests, passes_on, is_unwound })
		plays(own, who_is(who));
	return 0;
}

static int spawns_the_cast(void *)
{
	co_group g;

	try {
		throw trouble{ -1, 0 };
	} catch (const trouble &mine) {
		co_group_begin(&g, CO_GROUP_FAIL_FAST);
		for (int i = 0; i < CAST; i++)
			IS(co_spawn(&g, plays_all, number(i), nullptr), 0);
		IS(co_group_end(&g, 0), 0);
		handles(mine);
	}
	return 0;
}

/* On the virtual clock; the flag is in the options, for main and all that it spawns. */
static void run(co_fn *body)
{
	struct co_options opt = {};
	int code = -1;

	opt.clock = CO_CLOCK_VIRTUAL;
	opt.attr.flags = CO_KEEP_CXX_EH;
	IS(co_run(body, nullptr, &opt, &code), 0);
	IS(code, 0);
	handles_nothing();
}

START_TEST(K10_spawned)
{
	dice = suite_seed();
	rest = naps;
	run(spawns_the_cast);
}
END_TEST

/* What a program in C++ may make of an error. */
static void sleeps_or_throws(co_ns dur)
{
	int rc = co_sleep(dur);

	if (rc < 0)
		throw std::system_error(-rc, std::generic_category());
}

/* Is cut short in a handler, and leaves it by another exception. */
static int is_cut_short(void *who)
{
	try {
		try {
			throw trouble{ who_is(who), 0 };
		} catch (const trouble &) {
			sleeps_or_throws(CO_FOREVER);
		}
	} catch (const std::system_error &e) {
		IS(co_yield_now(), -ECANCELED);
		handles(e);
		return -e.code().value();
	}
	return 0;
}

static int cuts_all_short(void *)
{
	int exits[CAST];
	co_ref cast[CAST];
	co_group g;

	co_group_begin(&g, CO_GROUP_COLLECT);
	for (int i = 0; i < CAST; i++)
		IS(co_spawn(&g, is_cut_short, number(i), &cast[i]), 0);
	IS(co_sleep(CO_MS(1)), 0);
	for (int i = 0; i < CAST; i++)
		IS(co_cancel(cast[i], 0), 0);
	for (int i = 0; i < CAST; i++) {
		IS(co_join(cast[i], &exits[i]), 0);
		IS(exits[i], -ECANCELED);
	}
	return co_group_end(&g, 0);
}

START_TEST(K10_cut_short_in_a_handler)
{
	run(cuts_all_short);
}
END_TEST

static int leaves_a_block(void *)
{
	co_scope s = CO_SCOPE_INIT;
	int rc = 0;

	try {
		co_with_timeout(&s, CO_MS(10))
			sleeps_or_throws(CO_SEC(1));
	} catch (const std::system_error &e) {
		rc = -e.code().value();
	}
	IS(rc, -ECANCELED);
	IS(co_scope_result(&s, rc), -ETIMEDOUT);
	IS(co_scope_cancel(&s, 0), -ESRCH);
	IS(co_sleep(CO_MS(1)), 0);
	return 0;
}

/* A scope that were still open would be misuse, and abort. */
START_TEST(K10_a_throw_out_of_a_block_ends_its_scope)
{
	run(leaves_a_block);
}
END_TEST

/* ------------------------------------------------------------------------- out of the coroutine */

[[noreturn]] static void on_terminate()
{
	try {
		throw;
	} catch (const trouble &t) {
		_exit(t.who == 6 && t.depth == 7 ? 42 : 1);
	} catch (...) {
		_exit(2);
	}
}

static void terminates(void (*run_one)())
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		std::set_terminate(on_terminate);
		run_one();
		_exit(3);
	}
	IS(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 42, "status %d", status);
}

static void *throws_out_of_raw(void *)
{
	throw trouble{ 6, 7 };
}

static int throws_out_of_gen(co_gen *, void *)
{
	throw trouble{ 6, 7 };
}

static int throws_out_of_main(void *)
{
	throw trouble{ 6, 7 };
}

static void run_raw()
{
	co_raw_resume(create(throws_out_of_raw, 0), nullptr, nullptr);
}

static void run_gen()
{
	co_gen *gen;

	IS(co_gen_make(&gen, throws_out_of_gen, nullptr, nullptr), 0);
	co_gen_next(gen, nullptr);
}

static void run_main()
{
	co_run(throws_out_of_main, nullptr, nullptr, nullptr);
}

/* Also when whoever resumed it would catch anything. */
static void run_raw_in_a_try()
{
	try {
		run_raw();
	} catch (...) {
		_exit(4);
	}
}

START_TEST(K10_what_leaves_a_coroutine_terminates)
{
	terminates(run_raw);
	terminates(run_raw_in_a_try);
	terminates(run_gen);
	terminates(run_main);
}
END_TEST

SUITE("cxx", K10_handlers_within_handlers, K10_thrown_on_after_a_switch, K10_switches_while_unwound,
      K10_carried_to_another, K10_each_throws_its_own_again,
      K10_without_the_flag_each_throws_the_others, K10_none_is_seen_by_others,
      K10_without_the_flag_all_see_it, K10_spawned, K10_cut_short_in_a_handler,
      K10_a_throw_out_of_a_block_ends_its_scope, K10_what_leaves_a_coroutine_terminates)
