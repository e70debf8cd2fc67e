/* Ours, by the public header. NAME tells apart the ways in which it was built. */
#include <stdint.h>
#include <whorl/wheel.h>

struct timer {
	struct wheel_timer in;
};

#define HAS_SLACK
#include "timers.h"

static const struct contender contender = {
	.name = NAME,
	.note = NOTE,
	.bytes = sizeof(struct wheel_timer),
};

static struct wheel wheel __attribute__((aligned(64)));

static const char *version(void)
{
	return VERSION;
}

static void open_timers(void)
{
	wheel_init(&wheel, now);
}

static inline bool armed(struct timer *t)
{
	return wheel_armed(&t->in);
}

static inline void start(struct timer *t, uint64_t expires)
{
	wheel_arm(&wheel, &t->in, expires);
}

static inline bool stop(struct timer *t)
{
	return wheel_disarm(&wheel, &t->in);
}

static inline void move(struct timer *t, uint64_t expires)
{
	wheel_arm(&wheel, &t->in, expires);
}

static inline void start_again(struct timer *t, uint64_t period)
{
	wheel_arm(&wheel, &t->in, wheel_expires(&t->in) + period);
}

static inline void set_time(void)
{
	wheel_advance(&wheel, now);
}

static inline struct timer *take(void)
{
	struct wheel_timer *t = wheel_pop(&wheel);

	return t ? WHEEL_CONTAINER(t, struct timer, in) : NULL;
}

static inline uint64_t next_expiry(void)
{
	return wheel_next(&wheel);
}

static inline void start_slack(struct timer *t, uint64_t expires, uint64_t slack)
{
	wheel_arm_slack(&wheel, &t->in, expires, slack);
}
