/* whorl/co.hpp - the calls of <whorl/co.h> as C++17 likes them: callables, durations of
 * std::chrono, exceptions, objects that end what they began.
 *
 *	using namespace std::chrono_literals;
 *
 *	int rc = whorl::timeout(500ms, [&] {			// as co_timeout
 *		return whorl::with_group([&](whorl::group &g) {	// begin and end of a co_group
 *			int rc = 0;
 *
 *			for (auto &site : sites)
 *				if (rc == 0)
 *					rc = g.spawn([&site] { return fetch(site); });
 *			return rc;
 *		});
 *	});
 *
 * Only inline code over the calls of co.h, whose comments and clauses hold here too; each function
 * suspends, and is a cancellation point, where the call is that it names. What is not here, sleep,
 * locks, select, descriptors, is called as in C: `co_sleep(whorl::ns(5ms))`,
 * `co_join_until(ref, &code, whorl::after(2s))`, `co_group_limit(g.get(), 8)`.
 *
 * Errors are an int, 0 or more or a negative errno, as in C: what the library itself has to say is
 *   never thrown. `whorl::check(rc)` makes std::system_error of it for programs that prefer that.
 * Callables take no argument, unless something else is said, and return an int by the convention of
 *   co_fn, or nothing, which is 0. They may be movable only.
 * Exceptions that leave a callable
 *	run, timeout, shield, work	are thrown again by that call, once its scope, its runtime
 *					or its thread is done with the callable.
 *	a child of a group		count as its error, exit code whorl::threw: group::end throws
 *					the first of them where it would else return it.
 *	a detached coroutine		nobody waits for: std::terminate, as for a std::thread.
 * Cancellation. A std::system_error of ECANCELED, which check() makes of an -ECANCELED, is one: a
 *   callable that it leaves counts as having returned -ECANCELED. So who was meant is decided by
 *   the end of a scope or group, contract C11, for exceptions as for results, and a deadline of
 *   ten calls further out comes out there, as -ETIMEDOUT.
 * Destructors of a scope or group that is still open: if an exception passes, a group cancels its
 *   children and awaits them, and the scope is ended; the exception goes on, and tells the rest. If
 *   none passes, end() was forgotten, and with it a result that must be looked at:
 *   std::terminate, as for a std::thread that nobody joined. timeout() and with_group() have no end
 *   to forget; out of them one may return at any place.
 * Coroutines that are started here have CO_KEEP_CXX_EH (whorl::attr): they may wait in handlers,
 *   and in destructors while an exception passes, as the one of a group does. That costs about 6 ns
 *   at each switch to or from them. With attributes of one's own, or by co_spawn, one can do
 *   without, where no coroutine waits in such a place. One that does, and was started otherwise,
 *   needs it too.
 * Threads, and what is inside and outside a runtime: as in co.h. */
#ifndef WHORL_CO_HPP
#define WHORL_CO_HPP

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <system_error>
#include <type_traits>
#include <utility>
#include <whorl/co.h>

namespace whorl
{

/* ---------------------------------------------------------------------------------------- time */

/* A duration in nanoseconds, rounded up, so that nothing is early. One of 9.2e9 s, 291 years, or
 * more, or that is no number, is CO_FOREVER; one as negative is INT64_MIN, due at once. */
template <class Rep, class Period> constexpr co_ns ns(std::chrono::duration<Rep, Period> d) noexcept
{
	const double about = std::chrono::duration<double>(d).count();

	if (!(about < 9.2e9))
		return CO_FOREVER;
	if (about < -9.2e9)
		return INT64_MIN;
	const auto whole = std::chrono::floor<std::chrono::seconds>(d);
	return co_ns{ whole.count() } * 1000000000 +
	       std::chrono::ceil<std::chrono::nanoseconds>(d - whole).count();
}

/* The point on the runtime's clock that is so far from now: what *_until calls take. Saturates. */
template <class Rep, class Period> co_ns after(std::chrono::duration<Rep, Period> d) noexcept
{
	const co_ns now = co_now(), dur = ns(d);

	return dur > CO_FOREVER - now ? CO_FOREVER : now + dur;
}

/* -------------------------------------------------------------------------- errors, exceptions */

/* The exit code of a child, or of main, that ended by an exception. */
constexpr int threw = -ENOTRECOVERABLE;

/* rc, unless it is negative: then std::system_error, of the generic category. */
template <class Int> Int check(Int rc)
{
	if (rc < 0)
		throw std::system_error(static_cast<int>(-rc), std::generic_category());
	return rc;
}

/* Not for programs. */
namespace detail
{

template <class F, class... Args> int call(F &f, Args &...args)
{
	using result = std::invoke_result_t<F &, Args &...>;

	static_assert(std::is_void_v<result> || std::is_same_v<result, int>,
		      "a callable returns int, 0 or more or a negative errno, or nothing");
	try {
		if constexpr (std::is_void_v<result>)
			return std::invoke(f, args...), 0;
		else
			return std::invoke(f, args...);
	} catch (const std::system_error &e) {
		if (e.code() != std::errc::operation_canceled)
			throw;
		return -ECANCELED;
	}
}

/* Runs a callable behind a co_fn, and carries an exception past the C between the two. */
template <class F> struct carrier {
	F &f;
	std::exception_ptr thrown = nullptr;

	static int entry(void *arg) noexcept
	{
		auto *self = static_cast<carrier *>(arg);

		try {
			return call(self->f);
		} catch (...) {
			self->thrown = std::current_exception();
			return threw;
		}
	}

	int deliver(int rc)
	{
		if (thrown)
			std::rethrow_exception(std::move(thrown));
		return rc;
	}
};

/* Whether an exception passes that did not when this was made. */
class passing
{
	int before_ = std::uncaught_exceptions();

      public:
	bool now() const noexcept
	{
		return std::uncaught_exceptions() > before_;
	}
};

} // namespace detail

/* --------------------------------------------------------------------------------- the runtime */

/* As co_run. All coroutines that are spawned without attributes have CO_KEEP_CXX_EH, main too. An
 * exception that leaves main is thrown again when all have ended. */
template <class F> int run(F &&main, const co_options *opt = nullptr, int *exit_code = nullptr)
{
	detail::carrier<F> c{ main };
	co_options o = opt ? *opt : co_options();

	o.attr.flags |= CO_KEEP_CXX_EH;
	return c.deliver(co_run(c.entry, &c, &o, exit_code));
}

/* As co_work: f runs on another thread, where nothing of the runtime may be called. */
template <class F> [[nodiscard]] int work(F &&f, int *result = nullptr)
{
	detail::carrier<F> c{ f };

	return c.deliver(co_work(c.entry, &c, result));
}

/* -------------------------------------------------------------------------------------- scopes */

/* As co_timeout and co_shield. */
template <class Rep, class Period, class F>
[[nodiscard, gnu::always_inline]] inline int timeout(std::chrono::duration<Rep, Period> d, F &&f)
{
	detail::carrier<F> c{ f };

	return c.deliver(co_timeout(ns(d), c.entry, &c));
}

template <class Rep, class Period, class F>
[[gnu::always_inline]] inline int shield(std::chrono::duration<Rep, Period> d, F &&f)
{
	detail::carrier<F> c{ f };

	return c.deliver(co_shield(ns(d), c.entry, &c));
}

/* A scope of the code that follows, for what timeout() cannot do: it can be cancelled, and its
 * deadline moved. */
class scope
{
	co_scope scope_ = {};
	detail::passing exception_;
	bool open_ = true;

      public:
	[[nodiscard, gnu::always_inline]] scope() noexcept
	{
		co_scope_begin(&scope_, CO_FOREVER);
	}
	template <class Rep, class Period>
	[[nodiscard,
	  gnu::always_inline]] explicit scope(std::chrono::duration<Rep, Period> d) noexcept
	{
		co_scope_begin(&scope_, ns(d));
	}
	scope(const scope &) = delete;
	scope &operator=(const scope &) = delete;
	~scope()
	{
		if (!open_)
			return;
		if (!exception_.now())
			std::terminate();
		co_ignore(co_scope_end(&scope_, 0));
	}

	/* As co_scope_end. */
	[[nodiscard, gnu::always_inline]] int end(int rc) noexcept
	{
		open_ = false;
		return co_scope_end(&scope_, rc);
	}
	[[gnu::always_inline]] int cancel(int err = 0) noexcept
	{
		return co_scope_cancel(&scope_, err);
	}
	template <class Rep, class Period>
	[[gnu::always_inline]] int rearm(std::chrono::duration<Rep, Period> d) noexcept
	{
		return co_scope_rearm(&scope_, ns(d));
	}
	co_scope *get() noexcept
	{
		return &scope_;
	}
};

/* ----------------------------------------------------------------------- coroutines and groups */

/* Attributes: those of the options do not apply, but for the size of the stack. */
struct attr : co_attr {
	attr() noexcept : co_attr()
	{
		flags = CO_KEEP_CXX_EH;
	}
};

class group;

namespace detail
{

/* A callable on its way to its coroutine, whose it is from the spawn on. */
template <class F> struct child {
	group *of; /* nullptr: detached */
	F f;

	static int entry(void *arg) noexcept;
};

template <class F>
[[gnu::always_inline]] inline int spawn(group *of, co_group *g, F &&f, co_ref *out, const attr &a)
{
	using child = detail::child<std::decay_t<F>>;
	std::unique_ptr<child> c(new (std::nothrow) child{ of, std::forward<F>(f) });
	co_ref ref = {};
	const int rc =
		c ? co_spawn_with(g, child::entry, c.get(), out ? &ref : nullptr, &a) : -ENOMEM;

	if (rc == 0)
		static_cast<void>(c.release());
	if (out)
		*out = ref;
	return rc;
}

} // namespace detail

/* A detached coroutine: as co_spawn with no group, but f is copied or moved into memory of its own.
 * After an error it was not called, and that copy is destroyed. */
template <class F>
[[nodiscard, gnu::always_inline]] inline int spawn(F &&f, co_ref *out = nullptr,
						   const attr &a = attr())
{
	return detail::spawn(nullptr, nullptr, std::forward<F>(f), out, a);
}

/* A group of the code that follows. For all that is not here, errors, winner, limit, there is
 * get(). */
class group
{
	co_group group_;
	std::exception_ptr thrown_; /* a child's, the first */
	detail::passing exception_;
	co_group_mode mode_;
	bool open_ = true;

	template <class F> friend struct detail::child;
	template <class F> int run(F &f) noexcept
	{
		try {
			return detail::call(f);
		} catch (...) {
			if (!thrown_)
				thrown_ = std::current_exception();
			return threw;
		}
	}

      public:
	[[nodiscard,
	  gnu::always_inline]] explicit group(co_group_mode mode = CO_GROUP_FAIL_FAST) noexcept
	    : mode_(mode)
	{
		co_group_begin(&group_, mode);
	}
	group(const group &) = delete;
	group &operator=(const group &) = delete;
	~group()
	{
		if (!open_)
			return;
		if (!exception_.now())
			std::terminate();
		co_group_cancel(&group_, 0);
		co_ignore(co_group_end(&group_, 0));
	}

	/* A child, as by co_spawn; of f the same is true as for a detached one. */
	template <class F>
	[[nodiscard, gnu::always_inline]] int spawn(F &&f, co_ref *out = nullptr,
						    const attr &a = attr())
	{
		return detail::spawn(this, &group_, std::forward<F>(f), out, a);
	}

	/* As co_group_wait. */
	[[nodiscard]] int wait() noexcept
	{
		return co_group_wait(&group_);
	}
	[[gnu::always_inline]] int cancel(int err = 0) noexcept
	{
		return co_group_cancel(&group_, err);
	}

	/* As co_group_end. An exception takes the place of its child's error: if that is the
	 * result, it is thrown. In COLLECT, where a child's error never is, the first exception is
	 * thrown all the same, so that none is lost. */
	[[nodiscard]] int end(int rc = 0)
	{
		open_ = false;
		rc = co_group_end(&group_, rc);
		if (thrown_ && (rc == threw || mode_ == CO_GROUP_COLLECT))
			std::rethrow_exception(std::move(thrown_));
		return rc;
	}
	co_group *get() noexcept
	{
		return &group_;
	}
};

template <class F> int detail::child<F>::entry(void *arg) noexcept
{
	const std::unique_ptr<child> self(static_cast<child *>(arg));

	return self->of ? self->of->run(self->f) : call(self->f);
}

/* Calls f(g) with a new group g as its body, and ends it with the result. An exception that leaves
 * f goes on when the children, who are cancelled, have ended; theirs are dropped. */
template <class F> [[nodiscard]] int with_group(F &&f, co_group_mode mode = CO_GROUP_FAIL_FAST)
{
	group g(mode);

	return g.end(detail::call(f, g));
}

/* ------------------------------------------------------------------------------------ channels */

/* A co_chan for elements of one type. Without open() it is none: calls give -EINVAL. */
template <class T> class channel
{
	static_assert(std::is_trivially_copyable_v<T>, "elements are copied like bytes");
	struct closer {
		void operator()(co_chan *c) const noexcept
		{
			co_chan_free(c);
		}
	};
	std::unique_ptr<co_chan, closer> chan_;

      public:
	/* As co_chan_make. What was open before is freed. */
	[[nodiscard]] int open(std::size_t capacity) noexcept
	{
		co_chan *c = nullptr;
		const int rc = co_chan_make(&c, sizeof(T), capacity);

		chan_.reset(c);
		return rc;
	}
	/* As co_chan_send, co_chan_recv, and, with abs, the *_until of them. */
	[[nodiscard]] int send(const T &elem, co_ns abs = CO_FOREVER) noexcept
	{
		return co_chan_send_until(get(), &elem, abs);
	}
	[[nodiscard]] int recv(T &elem, co_ns abs = CO_FOREVER) noexcept
	{
		return co_chan_recv_until(get(), &elem, abs);
	}
	[[nodiscard]] int trysend(const T &elem) noexcept
	{
		return co_chan_trysend(get(), &elem);
	}
	[[nodiscard]] int tryrecv(T &elem) noexcept
	{
		return co_chan_tryrecv(get(), &elem);
	}
	int close() noexcept
	{
		return co_chan_close(get());
	}
	co_chan *get() const noexcept
	{
		return chan_.get();
	}
};

} // namespace whorl

#endif
