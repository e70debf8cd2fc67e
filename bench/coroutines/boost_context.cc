/* Boost.Context: raw coroutines only. Its fibers own their stacks and move at each resume. C2raw
 * takes stacks from a pool, the fastest of its allocators, which has no guards; C2raw-guarded maps
 * each anew, with a guard page. */
#include <boost/context/fiber.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>
#include <boost/context/protected_fixedsize_stack.hpp>
#include <boost/version.hpp>
#include <memory>
#include <utility>
#include "bench.h"

namespace ctx = boost::context;

/* C1. An operation is a resume and the one that comes back. */
static void pairs(struct run *r)
{
	uint64_t seen = 0;
	ctx::fiber f([&seen](ctx::fiber &&caller) {
		for (;;) {
			seen++;
			caller = std::move(caller).resume();
		}
		return std::move(caller);
	});

	r->ns = cpu_ns();
	for (uint64_t i = 0; i < r->ops; i++)
		f = std::move(f).resume();
	r->ns = cpu_ns() - r->ns;
	require(seen == r->ops);
}

/* Make, run to its end, free. */
template <typename Stacks> static void lives_on(Stacks stacks, struct run *r)
{
	uint64_t ran = 0;

	r->ns = cpu_ns();
	for (uint64_t i = 0; i < r->ops; i++) {
		ctx::fiber f(std::allocator_arg, stacks, [&ran](ctx::fiber &&caller) {
			ran++;
			return std::move(caller);
		});

		f = std::move(f).resume();
	}
	r->ns = cpu_ns() - r->ns;
	require(ran == r->ops);
}

static void lives(struct run *r)
{
	lives_on(ctx::pooled_fixedsize_stack(), r);
}

static void lives_guarded(struct run *r)
{
	lives_on(ctx::protected_fixedsize_stack(), r);
}

static const struct workload workloads[] = {
	{ "C1", RATE, pairs },
	{ "C2raw", RATE, lives },
	{ "C2raw-guarded", RATE, lives_guarded },
	{ NULL, OWN, NULL },
};
static const struct contender contender = {
	"boost.context",
	BOOST_LIB_VERSION,
	"-O3 -DNDEBUG; pooled stacks without guards, C2raw-guarded maps each with one",
	workloads,
};

int main(int argc, char **argv)
{
	struct run r;
	const struct workload *workload = parse(&contender, argc, argv, &r);

	measure(workload, &r);
}
