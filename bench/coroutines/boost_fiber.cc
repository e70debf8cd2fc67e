/* Boost.Fiber, with its default scheduler (round robin) on one thread; the main function is a fiber
 * too. C2 takes stacks from a pool. Where fibers are kept they have stacks by malloc, of 64 KiB:
 * with the pool, or those of the default size, they need two pages each. All are without guards.
 * Channels have at least two places, if they have any. */
#include <boost/fiber/all.hpp>
#include <boost/version.hpp>
#include <chrono>
#include <memory>
#include <vector>
#include "bench.h"

namespace fibers = boost::fibers;
using std::chrono::nanoseconds;

typedef int result;
typedef result body_fn(void *arg);

static const auto never = std::chrono::seconds(5000);
static std::vector<fibers::fiber> spawned;

static inline fibers::fiber make(body_fn *body, void *arg)
{
	return fibers::fiber(fibers::launch::post, std::allocator_arg,
			     fibers::fixedsize_stack(65536), [body, arg] { body(arg); });
}

static inline void spawn(body_fn *body, void *arg)
{
	spawned.push_back(make(body, arg));
}

static inline void spawn_alone(body_fn *body, void *arg)
{
	make(body, arg).detach();
}

static inline void join_all(void)
{
	for (auto &fiber : spawned)
		fiber.join();
	spawned.clear();
}

static inline void turn(void)
{
	boost::this_fiber::yield();
}

static inline void nap(int64_t ns)
{
	boost::this_fiber::sleep_for(nanoseconds(ns));
}

/* A single one is run at once, as in the library's own benchmarks; many are faster by way of the
 * queue. */
static inline void spawn_and_join(body_fn *body, uint64_t n)
{
	static fibers::pooled_fixedsize_stack stacks;
	static fibers::fiber made[MOST_JOINED];
	auto how = n == 1 ? fibers::launch::dispatch : fibers::launch::post;

	for (uint64_t i = 0; i < n; i++)
		made[i] = fibers::fiber(how, std::allocator_arg, stacks, [body] { body(NULL); });
	for (uint64_t i = 0; i < n; i++)
		made[i].join();
}

typedef fibers::unbuffered_channel<uint64_t> meeting;
typedef fibers::buffered_channel<uint64_t> queue;
static const auto done = fibers::channel_op_status::success;
static std::unique_ptr<meeting> meet[2]; /* NULL: with places */
static std::unique_ptr<queue> line[2];

static inline void open_channels(unsigned places)
{
	for (int i = 0; i < 2; i++) {
		meet[i].reset(places == 0 ? new meeting : NULL);
		line[i].reset(places == 0 ? NULL : new queue(2));
	}
}

static inline void put(int to, uint64_t number)
{
	require((meet[to] ? meet[to]->push(number) : line[to]->push(number)) == done);
}

static inline uint64_t take(int from)
{
	uint64_t number = 0;

	require((meet[from] ? meet[from]->pop(number) : line[from]->pop(number)) == done);
	return number;
}

static inline uint64_t take_in_time(int from)
{
	uint64_t number = 0;

	require(line[from]->pop_wait_for(number, never) == done);
	return number;
}

#include "channels.h"

static const struct workload workloads[] = {
	{ "yield", RATE, yields },
	{ "C2", RATE, spawns },
	{ "C3", OWN, memory },
	{ "C4", OWN, sleeps },
	{ "C5-ready", ADDED, ready },
	{ "C5-ready-until", ADDED, ready },
	{ "C5-parked", ADDED, parked },
	{ "C5-parked-until", ADDED, parked },
	{ "C7", RATE, messages },
	{ "C7-rendezvous", RATE, rendezvous },
	{ NULL, OWN, NULL },
};
static const struct contender contender = {
	"boost.fiber",
	BOOST_LIB_VERSION,
	"-O3 -DNDEBUG, round robin; stacks of 64 KiB by malloc, in C2 from a pool, without guards",
	workloads,
};

int main(int argc, char **argv)
{
	struct run r;
	const struct workload *workload = parse(&contender, argc, argv, &r);

	measure(workload, &r);
}
