/* GNU Pth. Its scheduler walks its queues at each switch, so workloads stop at sizes above which a
 * run would take hours. Raw coroutines are its user contexts, which switch the signal mask too.
 * Channels are its message ports: a message is filed, and the other side waits for an event. No
 * guards. Its deadlines belong to waits, so there is no C5-ready. */
#include <pth.h>
#include "bench.h"

#define NEVER_S 5000

typedef void *result;
typedef result body_fn(void *arg);

static pth_attr_t alone;
static pth_t *spawned;
static size_t count, room;

static inline void spawn(body_fn *body, void *arg)
{
	if (count == room) {
		room = 2 * room + 1000;
		spawned = realloc(spawned, room * sizeof(pth_t));
		require(spawned != NULL);
	}
	spawned[count] = pth_spawn(PTH_ATTR_DEFAULT, body, arg);
	require(spawned[count++] != NULL);
}

static inline void spawn_alone(body_fn *body, void *arg)
{
	require(pth_spawn(alone, body, arg) != NULL);
}

static inline void join_all(void)
{
	for (size_t i = 0; i < count; i++)
		require(pth_join(spawned[i], NULL));
	count = 0;
}

static inline void turn(void)
{
	pth_yield(NULL);
}

static inline void nap(int64_t ns)
{
	pth_nap(pth_time(ns / 1000000000, ns % 1000000000 / 1000));
}

static inline void spawn_and_join(body_fn *body, uint64_t n)
{
	static pth_t made[MOST_JOINED];

	for (uint64_t i = 0; i < n; i++) {
		made[i] = pth_spawn(PTH_ATTR_DEFAULT, body, NULL);
		require(made[i] != NULL);
	}
	for (uint64_t i = 0; i < n; i++)
		require(pth_join(made[i], NULL));
}

static struct {
	pth_msgport_t port;
	struct {
		pth_message_t head;
		uint64_t number;
	} message; /* one at a time is on its way */
} chan[2];

static inline void open_channels(unsigned places)
{
	(void)places; /* 1 */
	for (int i = 0; i < 2; i++)
		if (chan[i].port == NULL)
			chan[i].port = pth_msgport_create(NULL);
}

static inline void put(int to, uint64_t number)
{
	chan[to].message.number = number;
	require(pth_msgport_put(chan[to].port, &chan[to].message.head));
}

static inline uint64_t take(int from)
{
	static pth_key_t key = PTH_KEY_INIT; /* the event is made once */

	while (pth_msgport_get(chan[from].port) == NULL)
		pth_wait(pth_event(PTH_EVENT_MSG | PTH_MODE_STATIC, &key, chan[from].port));
	return chan[from].message.number;
}

static inline uint64_t take_in_time(int from)
{
	static pth_key_t late_key = PTH_KEY_INIT, key = PTH_KEY_INIT;
	pth_event_t late;

	late = pth_event(PTH_EVENT_TIME | PTH_MODE_STATIC, &late_key, pth_timeout(NEVER_S, 0));
	while (pth_msgport_get(chan[from].port) == NULL) {
		pth_wait(pth_event(PTH_EVENT_MSG | PTH_MODE_STATIC | PTH_MODE_CHAIN, &key,
				   chan[from].port, late));
		require(pth_event_status(late) != PTH_STATUS_OCCURRED);
		pth_event_isolate(late);
	}
	return chan[from].message.number;
}

#include "channels.h"

/* ------------------------------------------------------------------------------- user contexts */

static pth_uctx_t here, there;
static uint64_t seen;

static void hand_back(void *arg)
{
	(void)arg;
	for (;;) {
		seen++;
		pth_uctx_switch(there, here);
	}
}

/* C1. An operation is a switch there and one back. */
static void pairs(struct run *r)
{
	seen = 0;
	require(pth_uctx_create(&here) && pth_uctx_create(&there));
	require(pth_uctx_make(there, NULL, 65536, NULL, hand_back, NULL, NULL));
	r->ns = cpu_ns();
	for (uint64_t i = 0; i < r->ops; i++)
		pth_uctx_switch(here, there);
	r->ns = cpu_ns() - r->ns;
	require(seen == r->ops);
	pth_uctx_destroy(there);
	pth_uctx_destroy(here);
}

/* ----------------------------------------------------------------------------------- workloads */

static void few_yields(struct run *r)
{
	if (r->n > 1000)
		skip(r, "each switch walks the queue of all that can run");
	yields(r);
}

static void few_sleeps(struct run *r)
{
	if (r->n > 1000)
		skip(r, "each wake walks the events of all that wait");
	sleeps(r);
}

static void little_memory(struct run *r)
{
	if (r->n > 10000)
		skip(r, "each spawn walks the queue of all that can run");
	memory(r);
}

static void little_parked(struct run *r)
{
	if (r->n > 1000)
		skip(r, "each switch walks the events of all that wait");
	parked(r);
}

static const struct workload workloads[] = {
	{ "C1", RATE, pairs },
	{ "yield", RATE, few_yields },
	{ "C2", RATE, spawns },
	{ "C3", OWN, little_memory },
	{ "C4", OWN, few_sleeps },
	{ "C5-parked", ADDED, little_parked },
	{ "C5-parked-until", ADDED, little_parked },
	{ "C7", RATE, messages },
	{ NULL, OWN, NULL },
};
static const struct contender contender = {
	"pth",
	PTH_VERSION_STR,
	"no guards; raw pairs by its user contexts, channels are its message ports",
	workloads,
};

int main(int argc, char **argv)
{
	struct run r;
	const struct workload *workload = parse(&contender, argc, argv, &r);

	require(pth_init());
	alone = pth_attr_new();
	require(alone != NULL && pth_attr_set(alone, PTH_ATTR_JOINABLE, FALSE));
	measure(workload, &r);
}
