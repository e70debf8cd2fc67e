/* <whorl/co.hpp>: what the C++ calls add to those of co.h, and that they take nothing from the
 * contract.
 *
 * Without Check: test/check_mini.h runs the tests, each in a process of its own. check_cxx.sh
 * builds this file with the compilers and standards that are here. */
#include <limits>
#include <stdexcept>
#include <string>

#include "suite.h"
#include <whorl/co.hpp>

/* A function, so that one may stand in a callable that is an argument of another. */
#define IS(got, want) is(#got, __LINE__, (got), (want))
static void is(const char *what, int line, intmax_t got, intmax_t want)
{
	ck_assert_msg(got == want, "line %d: %s is %jd, not %jd", line, what, got, want);
}

using namespace std::chrono_literals;
using std::chrono::duration;
using std::chrono::nanoseconds;

/* ----------------------------------------------------------------------------------- the stage */

/* The body is main, on the virtual clock, started from C++ or, without CO_KEEP_CXX_EH, from C. */
template <class F> static void play(F body)
{
	co_options opt = {};
	int code = -1;

	opt.clock = CO_CLOCK_VIRTUAL;
	IS(whorl::run(body, &opt, &code), 0);
	IS(code, 0);
}

static void play_from_c(co_fn *body)
{
	co_options opt = {};
	int code = -1;

	opt.clock = CO_CLOCK_VIRTUAL;
	IS(co_run(body, nullptr, &opt, &code), 0);
	IS(code, 0);
}

static int nap(co_ns dur)
{
	return co_sleep(dur);
}

/* In a process of its own: true if it ends by std::terminate. */
template <class F> static bool terminates(F body)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		std::set_terminate([] { _exit(42); });
		play([&body] { return body(), 0; });
		_exit(1);
	}
	IS(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 42;
}

/* That f throws a runtime_error with this text. */
template <class F> static void throws(const char *what, F f)
{
	std::string thrown = "nothing";

	try {
		f();
	} catch (const std::runtime_error &e) {
		thrown = e.what();
	}
	ck_assert_str_eq(thrown.c_str(), what);
}

[[noreturn]] static void fail(const char *what)
{
	throw std::runtime_error(what);
}

template <class F> static void add(whorl::group &g, F &&f)
{
	IS(g.spawn(std::forward<F>(f)), 0);
}

/* Counts the lives of what it is captured by. */
struct token {
	int *alive;

	explicit token(int *count) : alive(count)
	{
		++*alive;
	}
	token(token &&other) noexcept : alive(std::exchange(other.alive, nullptr)) {}
	~token()
	{
		if (alive)
			--*alive;
	}
};

/* ---------------------------------------------------------------------------------------- time */

using ticks_44100 = duration<int64_t, std::ratio<1, 44100>>;
using picoseconds = duration<int64_t, std::pico>;
using seconds_in_double = duration<double>;

/* C2: as constants. */
static_assert(whorl::ns(5ms) == CO_MS(5));
static_assert(whorl::ns(picoseconds(1)) == 1 && whorl::ns(picoseconds(1001)) == 2);
static_assert(whorl::ns(picoseconds(-1999)) == -1);
static_assert(whorl::ns(ticks_44100(1)) == 22676 && whorl::ns(ticks_44100(44100)) == CO_SEC(1));
static_assert(whorl::ns(duration<unsigned char>(255)) == CO_SEC(255));
static_assert(whorl::ns(duration<uint64_t, std::pico>(UINT64_MAX)) == 18446744073709552);
static_assert(whorl::ns(seconds_in_double(0.25)) == CO_MS(250));
static_assert(whorl::ns(duration<float, std::nano>(0.5f)) == 1);
/* C1: for ever, and due. */
static_assert(whorl::ns(nanoseconds::max()) == CO_FOREVER);
static_assert(whorl::ns(std::chrono::hours::max()) == CO_FOREVER);
static_assert(whorl::ns(duration<uint64_t>(UINT64_MAX)) == CO_FOREVER);
static_assert(whorl::ns(seconds_in_double(std::numeric_limits<double>::infinity())) == CO_FOREVER);
static_assert(whorl::ns(seconds_in_double(std::numeric_limits<double>::quiet_NaN())) == CO_FOREVER);
static_assert(whorl::ns(std::chrono::hours::min()) == INT64_MIN);
static_assert(whorl::ns(-5ms) == -CO_MS(5));

__extension__ typedef __int128 wide;

/* The least number of nanoseconds that is no less. */
template <class Duration> static void rounds_up(int64_t count)
{
	using unit = std::ratio_divide<typename Duration::period, std::nano>;
	const wide least = static_cast<wide>(count) * unit::num;
	const wide got = static_cast<wide>(whorl::ns(Duration(count))) * unit::den;

	ck_assert(got >= least && got - least < unit::den);
}

START_TEST(C2_durations_are_rounded_up)
{
	uint64_t dice = suite_seed();

	for (int i = 0; i < 200000; i++) {
		const int64_t count = static_cast<int64_t>(suite_random(&dice)) >> (i % 63);

		/* less than 291 years each */
		rounds_up<picoseconds>(count);
		rounds_up<ticks_44100>(count >> 15);
		rounds_up<std::chrono::microseconds>(count >> 11);
		rounds_up<duration<int64_t, std::ratio<1, 3>>>(count >> 30);
	}
}
END_TEST

START_TEST(C1_a_point_in_time_saturates)
{
	play([] {
		IS(co_sleep(CO_SEC(1)), 0);
		IS(whorl::after(2s), CO_SEC(3));
		IS(whorl::after(nanoseconds::max()), CO_FOREVER);
		IS(whorl::after(nanoseconds(CO_SEC(9199999999))), CO_SEC(9200000000));
		IS(whorl::after(-2s), -CO_SEC(1));
		return co_sleep_until(whorl::after(-2s));
	});
}
END_TEST

/* -------------------------------------------------------------------------------------- scopes */

START_TEST(C11_timeout_gives_the_result_of_its_scope)
{
	play([] {
		IS(whorl::timeout(5ms, [] { return nap(CO_SEC(1)); }), -ETIMEDOUT);
		IS(co_now(), CO_MS(5));
		IS(whorl::timeout(5ms, [] { return 7; }), 7);
		IS(whorl::timeout(5ms, [] { return -EIO; }), -EIO);
		IS(whorl::timeout(5ms, [] {}), 0);
		IS(whorl::timeout(nanoseconds::max(), [] { return nap(CO_SEC(1)); }), 0);
	});
}
END_TEST

START_TEST(C12_of_equal_timeouts_the_outermost_gives_it)
{
	play([] {
		int inner = 0;

		const int rc = whorl::timeout(5ms, [&] {
			return inner = whorl::timeout(5ms, [] { return nap(CO_SEC(1)); });
		});
		IS(rc, -ETIMEDOUT);
		IS(inner, -ECANCELED);
	});
}
END_TEST

START_TEST(C39_timeout_outside_calls_nothing)
{
	bool called = false;

	IS(whorl::timeout(5ms, [&] { called = true; }), -EPERM);
	IS(whorl::shield(5ms, [&] { called = true; }), -EPERM);
	IS(whorl::work([&] { called = true; }), -EPERM);
	ck_assert(!called);
}
END_TEST

/* The scope of a timeout that was left by an exception is over: later waits do not end by it, and
 * nothing is misuse. */
START_TEST(C11_an_exception_goes_through_a_timeout)
{
	play([] {
		throws("disk", [] { return whorl::timeout(5ms, [] { fail("disk"); }); });
		IS(co_deadline(), CO_FOREVER);
		IS(co_sleep(CO_SEC(1)), 0);
		throws("tape", [] { return whorl::shield(5ms, [] { fail("tape"); }); });
		IS(co_deadline(), CO_FOREVER);
	});
}
END_TEST

/* As an exception the -ECANCELED meets the same ends as a result. */
START_TEST(C11_a_cancel_that_is_thrown_finds_its_owner)
{
	const auto throws_it = [] { whorl::check(co_sleep(CO_SEC(1))); };

	play([&] {
		int inner = 0;

		IS(whorl::timeout(5ms, throws_it), -ETIMEDOUT);
		const int rc = whorl::timeout(5ms, [&] {
			inner = whorl::timeout(50ms, throws_it);
			whorl::check(inner);
			ck_abort_msg("goes on after a cancel");
		});
		IS(rc, -ETIMEDOUT);
		IS(inner, -ECANCELED);
		try { /* of one that none of these means nobody's */
			IS(whorl::timeout(5ms, [] { whorl::check(-EIO); }), 0);
		} catch (const std::system_error &e) {
			IS(e.code().value(), EIO);
			ck_assert(e.code() == std::errc::io_error);
			return 0;
		}
		return 1;
	});
}
END_TEST

START_TEST(C16_a_shield_hides_what_is_outside)
{
	play([] {
		int shielded = -1;

		const int rc = whorl::timeout(5ms, [&] {
			const int cut = nap(CO_SEC(1));

			shielded = whorl::shield(20ms, [] { return nap(CO_MS(10)); });
			IS(whorl::shield(20ms, [] { return nap(CO_SEC(1)); }), -ETIMEDOUT);
			return cut;
		});
		IS(rc, -ETIMEDOUT);
		IS(shielded, 0);
		IS(co_now(), CO_MS(35));
	});
}
END_TEST

static int misuses;

START_TEST(C16_an_endless_shield_calls_nothing)
{
	co_options opt = {};
	int code = -1;

	opt.on_misuse = [](enum co_misuse kind, const char *, const void *, void *) {
		misuses += kind == CO_MISUSE_SHIELD;
	};
	const int rc = whorl::run(
		[] {
			return whorl::shield(nanoseconds::max(),
					     [] { ck_abort_msg("it was called"); });
		},
		&opt, &code);
	IS(rc, 0);
	IS(code, -EINVAL);
	IS(misuses, 1);
}
END_TEST

START_TEST(C14_a_scope_can_be_moved_and_cancelled)
{
	play([] {
		whorl::scope s(5ms);

		IS(co_sleep(CO_MS(4)), 0);
		IS(s.rearm(5ms), 0);
		IS(co_sleep(CO_MS(4)), 0);
		{
			whorl::scope inner;

			IS(inner.cancel(EIO), 0);
			IS(inner.end(co_sleep(CO_SEC(1))), -EIO);
			ck_assert(co_scope_caught(inner.get()));
		}
		return s.end(co_sleep(CO_SEC(1))) == -ETIMEDOUT && co_now() == CO_MS(9) ? 0 : 1;
	});
}
END_TEST

START_TEST(C6_a_scope_that_an_exception_leaves_hides_no_cancel)
{
	play([] {
		const int rc = whorl::timeout(5ms, [] {
			throws("on the way", [] {
				whorl::scope s(1h);

				IS(co_sleep(CO_SEC(1)), -ECANCELED);
				fail("on the way");
			});
			return co_checkpoint();
		});
		IS(rc, -ETIMEDOUT);
		IS(co_deadline(), CO_FOREVER);
	});
}
END_TEST

START_TEST(an_end_that_was_forgotten_terminates)
{
	ck_assert(terminates([] { whorl::scope s(5ms); }));
	ck_assert(terminates([] { whorl::group g; }));
	ck_assert(!terminates([] {
		whorl::scope s(5ms);
		IS(s.end(0), 0);
	}));
}
END_TEST

/* Made and left while an exception passes: that one is not theirs. */
START_TEST(an_exception_that_passes_outside_excuses_nothing)
{
	struct forgets {
		~forgets()
		{
			whorl::scope s(5ms);
		}
	};

	ck_assert(terminates([] {
		throws("outside", [] {
			forgets local;

			fail("outside");
		});
	}));
}
END_TEST

/* -------------------------------------------------------------------------------------- groups */

START_TEST(C26_children_are_callables_of_any_kind)
{
	play([] {
		std::unique_ptr<int> forty(new int(40));
		int sum = 0, code = 0;
		co_ref ref = {};
		whorl::group g;
		const auto adds_two = [&sum] { sum += 2; };

		add(g, [&sum, forty = std::move(forty)]() mutable { sum += *forty; });
		add(g, adds_two);
		IS(g.spawn([] { return 7; }, &ref), 0);
		IS(g.wait(), 0);
		IS(sum, 42);
		IS(co_join(ref, &code), 0);
		IS(code, 7);
		return g.end(0);
	});
}
END_TEST

/* C21: also of one that was cancelled before it ran. */
START_TEST(C21_a_callable_is_gone_when_its_coroutine_is)
{
	play([] {
		int alive = 0, ran = 0;
		whorl::group g;
		co_ref ref = {};

		IS(g.spawn([&ran, t = token(&alive)] { ran++; }, &ref), 0);
		IS(alive, 1);
		IS(co_cancel(ref, 0), 0);
		IS(co_join(ref, nullptr), 0);
		IS(ran, 1);
		IS(alive, 0);
		return g.end(0);
	});
}
END_TEST

START_TEST(C22_a_spawn_that_is_refused_calls_nothing)
{
	play([] {
		int alive = 0;
		whorl::group g;
		co_ref ref = { 1 };
		const auto never = [] { ck_abort_msg("it was called"); };

		IS(g.cancel(), 0);
		IS(g.spawn([t = token(&alive), never] { never(); }, &ref), -ECANCELED);
		IS(ref.id, 0);
		IS(alive, 0);
		IS(g.end(0), 0);
		IS(g.spawn([t = token(&alive), never] { never(); }), -ESHUTDOWN);
		IS(alive, 0);
	});
}
END_TEST

static bool no_memory;

void *operator new(std::size_t size, const std::nothrow_t &) noexcept
{
	return no_memory ? nullptr : ::operator new(size);
}

START_TEST(a_spawn_without_memory_says_so)
{
	play([] {
		whorl::group g;
		co_ref ref = { 1 };

		no_memory = true;
		IS(g.spawn([] { ck_abort_msg("it was called"); }, &ref), -ENOMEM);
		no_memory = false;
		IS(ref.id, 0);
		return g.end(0);
	});
}
END_TEST

/* ---------------------------------------------------------------------- exceptions of children */

START_TEST(C26_an_exception_of_a_child_cancels_the_others)
{
	play([] {
		int sibling = 0, alive = 0;
		whorl::group g;

		add(g, [&, t = token(&alive)] { sibling = nap(CO_SEC(1)); });
		add(g, [t = token(&alive)] {
			co_ignore(nap(CO_MS(5)));
			fail("first");
		});
		add(g, [t = token(&alive)] {
			co_ignore(nap(CO_SEC(1)));
			fail("second");
		});
		IS(co_sleep(CO_SEC(1)), -ECANCELED);
		throws("first", [&] { return g.end(-ECANCELED); });
		IS(sibling, -ECANCELED);
		IS(alive, 0);
		IS(co_now(), CO_MS(5));
		IS(co_group_errors(g.get(), nullptr, 0), 2);
	});
}
END_TEST

/* C27: the first in time is the result, be it thrown or returned. */
START_TEST(C27_an_error_before_an_exception_is_the_result)
{
	play([] {
		whorl::group g;
		int errors[2];

		add(g, [] { return -EIO; });
		add(g, [] {
			co_ignore(nap(CO_SEC(1)));
			fail("later");
		});
		IS(g.end(0), -EIO);
		IS(co_group_errors(g.get(), errors, 2), 2);
		IS(errors[1], whorl::threw);
	});
}
END_TEST

START_TEST(C27_with_collect_all_go_on_and_the_first_exception_is_thrown)
{
	play([] {
		whorl::group g(CO_GROUP_COLLECT);
		int done = 0;

		add(g, [] { fail("one"); });
		add(g, [&] { done = nap(CO_SEC(1)) == 0; });
		add(g, [] { fail("two"); });
		throws("one", [&] { return g.end(0); });
		IS(done, 1);
		IS(co_group_errors(g.get(), nullptr, 0), 2);
	});
}
END_TEST

START_TEST(C27_with_first_an_exception_counts_if_nobody_wins)
{
	play([] {
		whorl::group won(CO_GROUP_FIRST), lost(CO_GROUP_FIRST);

		add(lost, [] { fail("loser"); });
		add(lost, [] { return -EIO; });
		throws("loser", [&] { return lost.end(0); });
		add(won, [] { fail("loser"); });
		add(won, [] { return nap(CO_MS(1)); });
		return won.end(0);
	});
}
END_TEST

/* A child that is cancelled and throws the -ECANCELED was cut short, which is no error. */
START_TEST(C26_a_cancel_that_is_thrown_is_no_error)
{
	play([] {
		int rc = whorl::timeout(5ms, [] {
			return whorl::with_group([](whorl::group &g) {
				add(g, [] { whorl::check(co_sleep(CO_SEC(1))); });
				whorl::check(co_sleep(CO_SEC(1)));
			});
		});
		IS(rc, -ETIMEDOUT);
		rc = whorl::with_group([](whorl::group &g) {
			add(g, [] { whorl::check(co_sleep(CO_SEC(1))); });
			IS(co_yield_now(), 0);
			IS(g.cancel(EIO), 0);
		});
		IS(rc, -EIO);
	});
}
END_TEST

/* What the body throws because a child failed is the child's. */
START_TEST(C27_a_body_that_a_child_cut_short_gives_the_childs)
{
	play([] {
		const int rc = whorl::with_group([](whorl::group &g) {
			add(g, [] { return -EIO; });
			whorl::check(co_sleep(CO_SEC(1)));
		});
		IS(rc, -EIO);
		throws("child", [] {
			return whorl::with_group([](whorl::group &g) {
				add(g, [] { fail("child"); });
				whorl::check(co_sleep(CO_SEC(1)));
			});
		});
	});
}
END_TEST

/* ------------------------------------------------------------- a body that an exception leaves */

/* C28: also a child that goes on for a while after its cancel. Others throw and catch meanwhile. */
static void is_left()
{
	int ended = 0, alive = 0;

	throws("body", [&] {
		whorl::group g;

		for (int i = 1; i <= 3; i++)
			add(g, [&ended, i, t = token(&alive)] {
				IS(co_sleep(CO_FOREVER), -ECANCELED);
				throws("its own", [i] {
					IS(whorl::shield(1s, [i] { return nap(CO_MS(i)); }), 0);
					fail("its own");
				});
				IS(std::uncaught_exceptions(), 0);
				ended++;
				fail("dropped");
			});
		IS(co_yield_now(), 0);
		fail("body");
	});
	IS(ended, 3);
	IS(alive, 0);
	IS(co_now(), CO_MS(3));
	IS(co_sleep(CO_MS(1)), 0);
}

START_TEST(C28_an_exception_awaits_the_children)
{
	play([] { is_left(); });
}
END_TEST

START_TEST(C28_an_exception_awaits_the_children_of_a_body_in_c)
{
	play_from_c([](void *) { return is_left(), 0; });
}
END_TEST

/* While its owner is cancelled too: nothing makes it return before the children do, and the cancel
 * is not lost. */
START_TEST(C28_a_cancel_does_not_hasten_it)
{
	play([] {
		bool ended = false;

		const int rc = whorl::timeout(5ms, [&] {
			throws("body", [&] {
				whorl::group g;

				add(g, [&] {
					IS(whorl::shield(1s, [] { return nap(CO_MS(50)); }), 0);
					ended = true;
				});
				IS(co_sleep(CO_SEC(1)), -ECANCELED);
				fail("body");
			});
			ck_assert(ended);
			return co_checkpoint();
		});
		IS(rc, -ETIMEDOUT);
	});
}
END_TEST

START_TEST(with_group_may_be_left_by_return)
{
	play([] {
		int rc = whorl::with_group([](whorl::group &g) {
			add(g, [] { IS(co_sleep(CO_FOREVER), -ECANCELED); });
			IS(co_yield_now(), 0);
			return -ENOENT;
		});
		IS(rc, -ENOENT);
		rc = whorl::with_group([](whorl::group &g) { return g.spawn([] { return 1; }); },
				       CO_GROUP_FIRST);
		IS(rc, 0);
		throws("body", [] {
			return whorl::with_group([](whorl::group &g) {
				add(g, [] { IS(co_sleep(CO_FOREVER), -ECANCELED); });
				IS(co_yield_now(), 0);
				fail("body");
			});
		});
	});
}
END_TEST

/* ------------------------------------------------------------------ exceptions across switches */

/* Stays in a handler while the others come into theirs, and throws its own on: who came first goes
 * first. */
static void stays_in_a_handler(int who)
{
	try {
		try {
			throw who;
		} catch (int) {
			IS(co_sleep(CO_MS(10 + who)), 0);
			throw;
		}
	} catch (int thrown) {
		IS(thrown, who);
	}
}

/* K10: with nothing said of attributes, and in a runtime that was started from C. */
START_TEST(K10_children_keep_their_exceptions)
{
	play_from_c([](void *) {
		whorl::group g;

		for (int i = 0; i < 8; i++)
			add(g, [i] { stays_in_a_handler(i); });
		return g.end(0);
	});
}
END_TEST

template <int who> static int in_a_handler(void *)
{
	return stays_in_a_handler(who), 0;
}

/* What was spawned in C, too. */
START_TEST(K10_main_and_the_detached_keep_theirs)
{
	play([] {
		whorl::group g;

		for (int i = 1; i < 4; i++)
			IS(whorl::spawn([i] { stays_in_a_handler(i); }), 0);
		for (co_fn *in_c : { in_a_handler<4>, in_a_handler<5>, in_a_handler<6> })
			IS(co_spawn(g.get(), in_c, nullptr, nullptr), 0);
		stays_in_a_handler(0);
		return g.end(0);
	});
}
END_TEST

static void goes_deep(size_t *used)
{
	char deep[150000];

	memset(deep, 1, sizeof deep);
	__asm__ volatile("" : : "r"(deep) : "memory");
	*used = co_stack_used(co_self());
}

static int spawns_with_attributes(void *)
{
	size_t used = 0;
	whorl::attr a;
	whorl::group g;
	const auto one = [&used](int who) {
		ck_assert_str_eq(co_name(co_self()), "deep");
		goes_deep(&used);
		stays_in_a_handler(who);
	};

	a.stack_size = 256 * 1024;
	a.name = "deep";
	IS(g.spawn([one] { one(0); }, nullptr, a), 0);
	IS(g.spawn([one] { one(1); }, nullptr, a), 0);
	IS(g.end(0), 0);
	return used >= 150000 ? 0 : 1;
}

START_TEST(K10_attributes_keep_them_too)
{
	play_from_c(spawns_with_attributes);
}
END_TEST

START_TEST(an_exception_of_a_detached_coroutine_terminates)
{
	ck_assert(terminates([] {
		IS(whorl::spawn([] { fail("detached"); }), 0);
		IS(co_sleep(CO_MS(1)), 0);
	}));
}
END_TEST

/* ---------------------------------------------------------------------------- run, work, sites */

START_TEST(run_throws_what_main_threw_when_all_have_ended)
{
	co_options opt = {};
	bool ended = false;
	int code = 0;

	opt.clock = CO_CLOCK_VIRTUAL;
	throws("main", [&] {
		whorl::run(
			[&] {
				const int rc = whorl::spawn([&] {
					IS(co_sleep(CO_FOREVER), -ECANCELED);
					ended = true;
				});
				IS(rc, 0);
				IS(co_yield_now(), 0);
				fail("main");
			},
			&opt, &code);
	});
	ck_assert(ended);
	IS(code, whorl::threw);
	IS(whorl::run([] { return 5; }, nullptr, &code), 0);
	IS(code, 5);
	opt.on_report = [](enum co_report, const char *, const void *, void *) {};
	IS(whorl::run([] { return co_sleep(CO_FOREVER); }, &opt, &code), -EDEADLK);
	IS(code, -ECANCELED);
}
END_TEST

START_TEST(C35_work_brings_back_results_and_exceptions)
{
	play([] {
		const pthread_t here = pthread_self();
		int result = 0;

		const int rc = whorl::work(
			[&] { return pthread_equal(pthread_self(), here) ? 1 : 2; }, &result);
		IS(rc, 0);
		IS(result, 2);
		throws("elsewhere", [] { return whorl::work([] { fail("elsewhere"); }); });
	});
}
END_TEST

/* Where a report points is the program, not this library's header: two lines are two sites. */
template <class F> static const void *site_of_cancel(F cancel)
{
	co_cause cause = {};
	whorl::scope s;

	cancel(s);
	IS(co_scope_cause(s.get(), &cause), 0);
	IS(s.end(0), 0);
	return cause.site;
}

static int fails()
{
	return -EIO;
}

template <class F> static const void *site_of_spawn(F spawn)
{
	co_cause cause = {};
	whorl::group g;

	spawn(g);
	IS(co_sleep(CO_SEC(1)), -ECANCELED);
	IS(co_cancel_cause(&cause), 0);
	IS(g.end(0), -EIO);
	return cause.site;
}

START_TEST(sites_are_the_programs)
{
	play([] {
		ck_assert_ptr_ne(site_of_cancel([](whorl::scope &s) { s.cancel(EIO); }),
				 site_of_cancel([](whorl::scope &s) { s.cancel(EIO); }));
		ck_assert_ptr_ne(site_of_spawn([](whorl::group &g) { IS(g.spawn(fails), 0); }),
				 site_of_spawn([](whorl::group &g) { IS(g.spawn(fails), 0); }));
	});
}
END_TEST

/* ------------------------------------------------------------------------------------ channels */

struct point {
	double x, y;
};

START_TEST(C33_a_channel_carries_its_type)
{
	play([] {
		whorl::channel<point> ch;
		point p = { 0, 0 };

		IS(ch.trysend(p), -EINVAL);
		IS(ch.open(0), 0);
		IS(ch.trysend(p), -EAGAIN);
		return whorl::with_group([&](whorl::group &g) {
			add(g, [&ch] {
				for (int i = 1; i <= 3; i++)
					IS(ch.send({ i * 1.0, i * 2.0 }), 0);
				return ch.close();
			});
			for (int i = 1; i <= 3; i++) {
				IS(ch.recv(p), 0);
				ck_assert(p.x == i && p.y == 2 * i);
			}
			IS(ch.recv(p), -EPIPE);
			ck_assert(p.x == 3 && p.y == 6);
			IS(ch.open(1), 0);
			IS(ch.send({ 7, 8 }, whorl::after(5ms)), 0);
			IS(ch.send({ 9, 9 }, whorl::after(5ms)), -ETIMEDOUT);
			IS(co_now(), CO_MS(5));
			whorl::channel<point> moved = std::move(ch);
			IS(moved.tryrecv(p), 0);
			ck_assert(p.x == 7);
			IS(moved.recv(p, whorl::after(5ms)), -ETIMEDOUT);
			return 0;
		});
	});
}
END_TEST

SUITE("co_hpp", C2_durations_are_rounded_up, C1_a_point_in_time_saturates,
      C11_timeout_gives_the_result_of_its_scope, C12_of_equal_timeouts_the_outermost_gives_it,
      C39_timeout_outside_calls_nothing, C11_an_exception_goes_through_a_timeout,
      C11_a_cancel_that_is_thrown_finds_its_owner, C16_a_shield_hides_what_is_outside,
      C16_an_endless_shield_calls_nothing, C14_a_scope_can_be_moved_and_cancelled,
      C6_a_scope_that_an_exception_leaves_hides_no_cancel, an_end_that_was_forgotten_terminates,
      an_exception_that_passes_outside_excuses_nothing, C26_children_are_callables_of_any_kind,
      C21_a_callable_is_gone_when_its_coroutine_is, C22_a_spawn_that_is_refused_calls_nothing,
      a_spawn_without_memory_says_so, C26_an_exception_of_a_child_cancels_the_others,
      C27_an_error_before_an_exception_is_the_result,
      C27_with_collect_all_go_on_and_the_first_exception_is_thrown,
      C27_with_first_an_exception_counts_if_nobody_wins, C26_a_cancel_that_is_thrown_is_no_error,
      C27_a_body_that_a_child_cut_short_gives_the_childs, C28_an_exception_awaits_the_children,
      C28_an_exception_awaits_the_children_of_a_body_in_c, C28_a_cancel_does_not_hasten_it,
      with_group_may_be_left_by_return, K10_children_keep_their_exceptions,
      K10_main_and_the_detached_keep_theirs, K10_attributes_keep_them_too,
      an_exception_of_a_detached_coroutine_terminates,
      run_throws_what_main_threw_when_all_have_ended, C35_work_brings_back_results_and_exceptions,
      sites_are_the_programs, C33_a_channel_carries_its_type)
