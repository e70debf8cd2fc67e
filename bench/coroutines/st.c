/* State Threads. It has no channels and no bare yield: its own condition variables make a channel
 * of one place here, and st_usleep(0) is how its programs yield. Waiting by epoll, as its authors
 * recommend. No guards. Its deadlines belong to waits, so there is no C5-ready. */
#include <st.h>
#include "bench.h"

#define NEVER_US UINT64_C(5000000000)

typedef void *result;
typedef result body_fn(void *arg);

static st_thread_t *spawned;
static size_t count, room;

static inline void spawn(body_fn *body, void *arg)
{
	if (count == room) {
		room = 2 * room + 1000;
		spawned = realloc(spawned, room * sizeof(st_thread_t));
		require(spawned != NULL);
	}
	spawned[count] = st_thread_create(body, arg, 1, 0);
	require(spawned[count++] != NULL);
}

static inline void spawn_alone(body_fn *body, void *arg)
{
	require(st_thread_create(body, arg, 0, 0) != NULL);
}

static inline void join_all(void)
{
	for (size_t i = 0; i < count; i++)
		require(st_thread_join(spawned[i], NULL) == 0);
	count = 0;
}

static inline void turn(void)
{
	st_usleep(0);
}

static inline void nap(int64_t ns)
{
	require(st_usleep((st_utime_t)ns / 1000) == 0);
}

static inline void spawn_and_join(body_fn *body, uint64_t n)
{
	static st_thread_t made[MOST_JOINED];

	for (uint64_t i = 0; i < n; i++) {
		made[i] = st_thread_create(body, NULL, 1, 0);
		require(made[i] != NULL);
	}
	for (uint64_t i = 0; i < n; i++)
		require(st_thread_join(made[i], NULL) == 0);
}

static struct {
	bool full;
	uint64_t number;
	st_cond_t changed; /* one coroutine at each end: never both wait */
} chan[2];

static inline void open_channels(unsigned places)
{
	(void)places; /* 1 */
	for (int i = 0; i < 2; i++) {
		chan[i].full = false;
		if (chan[i].changed == NULL)
			chan[i].changed = st_cond_new();
	}
}

static inline void put(int to, uint64_t number)
{
	while (chan[to].full)
		st_cond_wait(chan[to].changed);
	chan[to].number = number;
	chan[to].full = true;
	st_cond_signal(chan[to].changed);
}

static inline uint64_t taken(int from)
{
	chan[from].full = false;
	st_cond_signal(chan[from].changed);
	return chan[from].number;
}

static inline uint64_t take(int from)
{
	while (!chan[from].full)
		st_cond_wait(chan[from].changed);
	return taken(from);
}

static inline uint64_t take_in_time(int from)
{
	while (!chan[from].full)
		require(st_cond_timedwait(chan[from].changed, NEVER_US) == 0);
	return taken(from);
}

#include "channels.h"

static const struct workload workloads[] = {
	{ "yield", RATE, yields },
	{ "C2", RATE, spawns },
	{ "C3", OWN, memory },
	{ "C4", OWN, sleeps },
	{ "C5-parked", ADDED, parked },
	{ "C5-parked-until", ADDED, parked },
	{ "C7", RATE, messages },
	{ NULL, OWN, NULL },
};
static const struct contender contender = {
	"st",
	ST_VERSION,
	"epoll, no guards; yields by st_usleep(0), channels made of its condition variables",
	workloads,
};

int main(int argc, char **argv)
{
	struct run r;
	const struct workload *workload = parse(&contender, argc, argv, &r);

	require(st_set_eventsys(ST_EVENTSYS_ALT) == 0 && st_init() == 0);
	measure(workload, &r);
}
