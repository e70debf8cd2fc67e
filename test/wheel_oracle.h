/* An oracle of the timer wheel, and the wheel and its oracle as twins.
 *
 * The oracle is an array: each question is answered by a scan of all of it, so that it is right at
 * sight. A timer armed at `now` or earlier is not due until the next advance, because only an
 * advance makes timers due.
 *
 * The twins do each operation on both and compare all that the header promises. The first
 * difference stays in `wrong`; the operations of the twins do no more after that. Nothing here is
 * tied to a test framework: the model test, the exhaustive test and the fuzzer share it.
 */
#ifndef WHEEL_ORACLE_H
#define WHEEL_ORACLE_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <whorl/wheel.h>

#define ORACLE_NONE SIZE_MAX

struct oracle_timer {
	uint64_t expires;
	uint64_t order; /* of arming */
	bool armed;
	bool due; /* an advance has reached it */
};

struct oracle {
	uint64_t now;
	uint64_t order; /* armings so far */
	size_t timers;
	struct oracle_timer *timer; /* the caller's array of `timers` */
};

static inline void oracle_arm(struct oracle *o, size_t i, uint64_t expires)
{
	o->order++;
	o->timer[i] = (struct oracle_timer){ .expires = expires, .order = o->order, .armed = true };
}

static inline bool oracle_disarm(struct oracle *o, size_t i)
{
	bool was_armed = o->timer[i].armed;

	o->timer[i].armed = false;
	return was_armed;
}

static inline void oracle_advance(struct oracle *o, uint64_t now)
{
	if (now < o->now)
		return;
	o->now = now;
	for (size_t i = 0; i < o->timers; i++)
		if (o->timer[i].armed)
			o->timer[i].due = o->timer[i].expires <= now;
}

/* The first timer that is due, by (expires, order of arming); with `pending`, of all armed ones. */
static inline size_t oracle_first(const struct oracle *o, bool pending)
{
	const struct oracle_timer *best = NULL;

	for (size_t i = 0; i < o->timers; i++) {
		const struct oracle_timer *t = &o->timer[i];

		if (!t->armed || (!t->due && !pending))
			continue;
		if (best == NULL || t->expires < best->expires ||
		    (t->expires == best->expires && t->order < best->order))
			best = t;
	}
	return best == NULL ? ORACLE_NONE : (size_t)(best - o->timer);
}

static inline size_t oracle_pop(struct oracle *o)
{
	size_t i = oracle_first(o, false);

	if (i != ORACLE_NONE)
		o->timer[i].armed = false;
	return i;
}

static inline size_t oracle_count(const struct oracle *o)
{
	size_t n = 0;

	for (size_t i = 0; i < o->timers; i++)
		n += o->timer[i].armed;
	return n;
}

/* The latest value that wheel_next may have. */
static inline uint64_t oracle_latest_wake(const struct oracle *o)
{
	size_t i = oracle_first(o, true);

	if (i == ORACLE_NONE)
		return WHEEL_NEVER;
	return o->timer[i].expires > o->now ? o->timer[i].expires : o->now;
}

/* ------------------------------------------------------------------------------------ the twins */

struct twin_timer {
	struct wheel_timer timer;
	unsigned filed; /* times put into a slot since the last arming, where a test counts it */
	bool scribbled; /* its memory was overwritten after its last use */
};

enum twin_op { TWIN_ARM, TWIN_ARM_SLACK, TWIN_DISARM, TWIN_NEXT, TWIN_ADVANCE, TWIN_POP };

struct twin_step {
	enum twin_op op;
	size_t timer;
	uint64_t tick, slack;
};

#define TWIN_STEPS 200

/* The last steps, so that a failure can be replayed by hand. */
struct twin_trace {
	uint64_t start; /* the wheel's time at its init */
	uint64_t steps; /* made so far */
	struct twin_step step[TWIN_STEPS];
};

struct twin {
	struct wheel wheel;
	struct oracle oracle;
	struct twin_timer *timer; /* the caller's array of oracle.timers */
	struct twin_trace *trace; /* the caller's, or NULL */
	size_t count;	/* oracle_count(), kept up to date since a scan costs more than a step */
	bool scribbles; /* overwrite the memory of timers that are not armed, as their owners may */
	const char *wrong; /* the first difference; NULL: none */
};

static inline void twin_init(struct twin *tw, uint64_t now, size_t timers, struct twin_timer *timer,
			     struct oracle_timer *truth)
{
	memset(tw, 0, sizeof(*tw));
	memset(timer, 0, timers * sizeof(*timer));
	memset(truth, 0, timers * sizeof(*truth));
	tw->oracle = (struct oracle){ .now = now, .timers = timers, .timer = truth };
	tw->timer = timer;
	wheel_init(&tw->wheel, now);
}

static inline void twin_record(struct twin *tw, enum twin_op op, size_t i, uint64_t tick,
			       uint64_t slack)
{
	struct twin_trace *trace = tw->trace;

	if (trace != NULL)
		trace->step[trace->steps++ % TWIN_STEPS] = (struct twin_step){ op, i, tick, slack };
}

static inline void twin_must(struct twin *tw, bool holds, const char *promise)
{
	if (!holds && tw->wrong == NULL)
		tw->wrong = promise;
}

/* What holds of one timer, and of the wheel at no cost. */
static inline void twin_look(struct twin *tw, size_t i)
{
	const struct oracle_timer *truth = &tw->oracle.timer[i];
	const struct wheel_timer *t = &tw->timer[i].timer;

	twin_must(tw, wheel_now(&tw->wheel) == tw->oracle.now, "wheel_now differs");
	twin_must(tw, wheel_count(&tw->wheel) == tw->count, "wheel_count differs");
	if (tw->timer[i].scribbled)
		return;
	twin_must(tw, wheel_armed(t) == truth->armed, "wheel_armed differs");
	if (truth->armed)
		twin_must(tw, wheel_expires(t) == truth->expires, "wheel_expires differs");
}

/* All that can be compared without changing either. */
static inline void twin_check(struct twin *tw)
{
	const char *why = "wheel_check fails and names no reason";

	if (tw->wrong != NULL)
		return;
	for (size_t i = 0; i < tw->oracle.timers; i++)
		twin_look(tw, i);
	twin_must(tw, tw->count == oracle_count(&tw->oracle), "the count of the twins is wrong");
	if (wheel_check(&tw->wheel, &why) != 0)
		twin_must(tw, false, why);
}

/* A timer that is not armed belongs to its owner, who may do with its memory what he likes. */
static inline void twin_scribble(struct twin *tw, size_t i)
{
	if (!tw->scribbles)
		return;
	memset(&tw->timer[i].timer, 0xa5, sizeof(tw->timer[i].timer));
	tw->timer[i].scribbled = true;
}

static inline void twin_ready(struct twin *tw, size_t i)
{
	if (tw->timer[i].scribbled)
		wheel_timer_init(&tw->timer[i].timer);
	tw->timer[i].scribbled = false;
	tw->timer[i].filed = 0;
	tw->count += !tw->oracle.timer[i].armed;
}

static inline void twin_arm(struct twin *tw, size_t i, uint64_t expires)
{
	if (tw->wrong != NULL)
		return;
	twin_record(tw, TWIN_ARM, i, expires, 0);
	twin_ready(tw, i);
	wheel_arm(&tw->wheel, &tw->timer[i].timer, expires);
	oracle_arm(&tw->oracle, i, expires);
	twin_look(tw, i);
}

/* The tick is the wheel's choice: the oracle checks its bounds and takes it. */
static inline void twin_arm_slack(struct twin *tw, size_t i, uint64_t expires, uint64_t slack)
{
	uint64_t last = slack > UINT64_MAX - expires ? UINT64_MAX : expires + slack;
	uint64_t tick;

	if (tw->wrong != NULL)
		return;
	twin_record(tw, TWIN_ARM_SLACK, i, expires, slack);
	twin_ready(tw, i);
	wheel_arm_slack(&tw->wheel, &tw->timer[i].timer, expires, slack);
	tick = wheel_expires(&tw->timer[i].timer);
	twin_must(tw, tick >= expires && tick <= last, "slack: the tick is out of bounds");
	twin_must(tw, expires > tw->oracle.now || tick <= tw->oracle.now,
		  "slack: what is due was put off");
	oracle_arm(&tw->oracle, i, tick);
	twin_look(tw, i);
}

static inline void twin_disarm(struct twin *tw, size_t i)
{
	bool was_armed;

	if (tw->wrong != NULL)
		return;
	twin_record(tw, TWIN_DISARM, i, 0, 0);
	if (tw->timer[i].scribbled) {
		wheel_timer_init(&tw->timer[i].timer);
		tw->timer[i].scribbled = false;
	}
	tw->count -= tw->oracle.timer[i].armed;
	was_armed = oracle_disarm(&tw->oracle, i);
	twin_must(tw, wheel_disarm(&tw->wheel, &tw->timer[i].timer) == was_armed,
		  "wheel_disarm differs");
	twin_look(tw, i);
	twin_scribble(tw, i);
}

static inline uint64_t twin_next(struct twin *tw)
{
	uint64_t next;

	if (tw->wrong != NULL)
		return WHEEL_NEVER;
	twin_record(tw, TWIN_NEXT, 0, 0, 0);
	next = wheel_next(&tw->wheel);
	twin_must(tw, next <= oracle_latest_wake(&tw->oracle), "wheel_next is late");
	twin_must(tw, tw->count != 0 || next == WHEEL_NEVER,
		  "wheel_next of an empty wheel is not WHEEL_NEVER");
	return next;
}

static inline void twin_advance(struct twin *tw, uint64_t now)
{
	if (tw->wrong != NULL)
		return;
	twin_record(tw, TWIN_ADVANCE, 0, now, 0);
	wheel_advance(&tw->wheel, now);
	oracle_advance(&tw->oracle, now);
	twin_must(tw, wheel_now(&tw->wheel) == tw->oracle.now, "wheel_now is not the time");
	twin_must(tw, wheel_count(&tw->wheel) == tw->count, "wheel_count differs");
}

/* The index of the timer popped, or ORACLE_NONE. */
static inline size_t twin_pop(struct twin *tw)
{
	const struct wheel_timer *got;
	size_t want;

	if (tw->wrong != NULL)
		return ORACLE_NONE;
	want = oracle_pop(&tw->oracle);
	twin_record(tw, TWIN_POP, want, 0, 0);
	got = wheel_pop(&tw->wheel);
	if (want == ORACLE_NONE) {
		twin_must(tw, got == NULL, "wheel_pop gives a timer that is not due");
		return want;
	}
	tw->count--;
	twin_must(tw, got != NULL, "wheel_pop misses a timer that is due");
	twin_must(tw, got == &tw->timer[want].timer, "wheel_pop gives the wrong timer");
	twin_look(tw, want);
	twin_must(tw, wheel_expires(&tw->timer[want].timer) == tw->oracle.timer[want].expires,
		  "wheel_expires is lost by the pop");
	twin_scribble(tw, want);
	return want;
}

/* Says what is wrong, after the last steps as the calls that made them. */
static inline void twin_report(const struct twin *tw, FILE *to)
{
	const struct twin_trace *trace = tw->trace;
	uint64_t first = 0;

	if (trace != NULL && trace->steps > TWIN_STEPS)
		first = trace->steps - TWIN_STEPS;
	if (trace != NULL)
		fprintf(to, "# init %" PRIu64 ", then %" PRIu64 " steps; the last ones:\n",
			trace->start, trace->steps);
	for (uint64_t n = first; trace != NULL && n < trace->steps; n++) {
		const struct twin_step *s = &trace->step[n % TWIN_STEPS];

		switch (s->op) {
		case TWIN_ARM:
			fprintf(to, "#\tarm %zu at %" PRIu64 "\n", s->timer, s->tick);
			break;
		case TWIN_ARM_SLACK:
			fprintf(to, "#\tarm %zu at %" PRIu64 " slack %" PRIu64 "\n", s->timer,
				s->tick, s->slack);
			break;
		case TWIN_DISARM:
			fprintf(to, "#\tdisarm %zu\n", s->timer);
			break;
		case TWIN_NEXT:
			fprintf(to, "#\tnext\n");
			break;
		case TWIN_ADVANCE:
			fprintf(to, "#\tadvance to %" PRIu64 "\n", s->tick);
			break;
		case TWIN_POP:
			if (s->timer == ORACLE_NONE)
				fprintf(to, "#\tpop: none\n");
			else
				fprintf(to, "#\tpop: %zu\n", s->timer);
			break;
		}
	}
	fprintf(to, "# at %" PRIu64 ", %zu armed: %s\n", tw->oracle.now, tw->count,
		tw->wrong == NULL ? "nothing is wrong" : tw->wrong);
}

#endif
