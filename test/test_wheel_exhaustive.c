/* A wheel of three levels of four slots, ticks 0 to 63, under all sequences of up to six operations
 * on two timers, compared with the oracle after each.
 *
 * The operations: arm a timer at an offset from now or in the past, disarm it, advance by an
 * offset, pop, ask wheel_next. The offsets lie around the edges of the levels, 4, 16 and 64.
 * Sequences that lead to the same state are followed from there once, for a wheel is its memory and
 * nothing else; and timer 1 is armed after timer 0 was, for they are alike. From each state met, a
 * copy is followed by wheel_next until it is empty.
 *
 * White-box: it includes wheel.c with a geometry of its own.
 */
#define WHEEL_SLOT_BITS 2
#define WHEEL_LEVELS 3
#include "../wheel/wheel.c"

#include "wheel_oracle.h"
#include "suite.h"

#define LAST 63 /* the last tick */

static const uint64_t offsets[] = { 0, 1, 3, 4, 5, 15, 16, 17, 63 };

#define OFFSETS (sizeof(offsets) / sizeof(offsets[0]))

/* All that a state consists of; it never moves, since the wheel's lists point into it. */
static struct world {
	struct twin twin;
	struct twin_timer timer[2];
	struct oracle_timer truth[2];
} world;

static struct twin_trace trace;

/* ------------------------------------------------------------------------------- the states met */

/* A hash table of states: the low 3 bits of an entry are how many operations more were tried from
 * there, plus 1; the others are of the state's hash. Two of some ten million states collide in 61
 * bits once in 40 000 runs. */
static struct {
	uint64_t *entry;
	size_t size, used; /* size: a power of two, at least twice `used` */
} met;

/* Of all bytes of the state, but for what the future does not depend on: the numbers of armings
 * matter by their order only, and what the oracle knows of a timer that is not armed not at all.
 * Most words are empty slots, and skipped. */
static uint64_t hash_world(void)
{
	union {
		struct world world;
		uint64_t word[sizeof(struct world) / sizeof(uint64_t)];
	} u;
	uint64_t h = 0;
	bool swapped = world.truth[0].order > world.truth[1].order;

	memcpy(&u, &world, sizeof(u));
	u.world.twin.oracle.order = world.truth[0].order > 0;
	u.world.twin.wheel.seq_ = 0;
	for (size_t i = 0; i < 2; i++) {
		struct oracle_timer *truth = &u.world.truth[i];

		truth->order = truth->armed && swapped;
		u.world.timer[i].timer.seq_ &= truth->armed; /* the mark */
		u.world.timer[i].timer.seq_ |= truth->order << 1;
		if (!truth->armed)
			truth->expires = truth->due = 0;
	}
	_Static_assert(sizeof(u.word) == sizeof(u), "no byte is left out");
	for (size_t i = 0; i < sizeof(u.word) / sizeof(u.word[0]); i++)
		if (u.word[i] != 0) {
			h = (h ^ (u.word[i] + ((uint64_t)i << 56))) * UINT64_C(0x9e3779b97f4a7c15);
			h ^= h >> 32;
		}
	h *= UINT64_C(0xbf58476d1ce4e5b9);
	return h ^ h >> 32;
}

static uint64_t *find_entry(uint64_t hash)
{
	size_t i = (size_t)(hash >> 3) & (met.size - 1);

	while (met.entry[i] != 0 && (met.entry[i] ^ hash) >> 3 != 0)
		i = (i + 1) & (met.size - 1);
	return &met.entry[i];
}

static void resize(size_t size)
{
	uint64_t *old = met.entry;
	size_t n = met.size;

	met.entry = calloc(size, sizeof(*met.entry));
	if (met.entry == NULL)
		ck_abort_msg("no memory for %zu states", size);
	met.size = size;
	for (size_t i = 0; i < n; i++)
		if (old[i] != 0)
			*find_entry(old[i]) = old[i];
	free(old);
}

/* True if this state was met before with as many operations left; else notes it. */
static bool was_met(unsigned left)
{
	uint64_t hash = hash_world(), *entry = find_entry(hash);

	if (*entry != 0 && (*entry & 7) >= left + 1)
		return true;
	met.used += *entry == 0;
	*entry = (hash & ~UINT64_C(7)) | (left + 1);
	if (met.used > met.size / 2)
		resize(2 * met.size);
	return false;
}

/* ----------------------------------------------------------------------------------- operations */

#define ARMS (OFFSETS + 2) /* at each offset, one tick ago, at 0 */
#define OPERATIONS (2 * ARMS + 2 + OFFSETS + 2)

static bool arm(size_t i, size_t where)
{
	struct twin *tw = &world.twin;
	uint64_t now = tw->oracle.now;

	if (i == 1 && world.truth[0].order == 0)
		return false;
	if (where >= OFFSETS) {
		if (now == 0)
			return false;
		twin_arm(tw, i, where == OFFSETS ? now - 1 : 0);
		return true;
	}
	if (now + offsets[where] > LAST)
		return false;
	twin_arm(tw, i, now + offsets[where]);
	return true;
}

static bool advance(size_t by)
{
	struct twin *tw = &world.twin;

	if (tw->oracle.now + offsets[by] > LAST)
		return false;
	twin_advance(tw, tw->oracle.now + offsets[by]);
	return true;
}

/* False: there is no such operation in this state. */
static bool operate(size_t op)
{
	struct twin *tw = &world.twin;

	if (op < 2 * ARMS)
		return arm(op / ARMS, op % ARMS);
	op -= 2 * ARMS;
	if (op < 2) {
		twin_disarm(tw, op);
		return true;
	}
	op -= 2;
	if (op < OFFSETS)
		return advance(op);
	if (op == OFFSETS)
		twin_pop(tw);
	else
		twin_next(tw);
	return true;
}

static void must_agree(void)
{
	if (world.twin.wrong == NULL)
		return;
	twin_report(&world.twin, stdout);
	ck_abort_msg("%s", world.twin.wrong);
}

static void follow_to_the_end(void)
{
	struct twin *tw = &world.twin;
	unsigned wakes = 0;

	while (tw->count > 0 && tw->wrong == NULL) {
		uint64_t next = twin_next(tw);

		twin_advance(tw, next > tw->oracle.now ? next : tw->oracle.now);
		while (twin_pop(tw) != ORACLE_NONE)
			;
		twin_must(tw, ++wakes <= 16 * tw->oracle.order, "more than 16 wakes for each arm");
	}
	twin_next(tw);
	twin_check(tw);
	must_agree();
}

static void explore(unsigned left)
{
	struct world here;
	uint64_t steps = trace.steps;

	must_agree();
	if (was_met(left))
		return;
	twin_check(&world.twin);
	must_agree();
	memcpy(&here, &world, sizeof(here));
	follow_to_the_end();
	for (size_t op = 0; left > 0 && op < OPERATIONS; op++) {
		memcpy(&world, &here, sizeof(here));
		trace.steps = steps;
		if (operate(op))
			explore(left - 1);
	}
}

/* All sequences of up to `length` operations with the clock started at `now`. */
static void explore_from(uint64_t now, unsigned length, bool scribbles)
{
	twin_init(&world.twin, now, 2, world.timer, world.truth);
	world.twin.trace = &trace;
	world.twin.scribbles = scribbles;
	trace.start = now;
	trace.steps = 0;
	met.used = 0;
	resize(1 << 16);
	explore(length);
	free(met.entry);
	met.entry = NULL;
	met.size = 0;
}

/* Starts at the edges of the levels, the last tick, and the middle of a slot. The states are the
 * fewer the less time is left, so that the short form has six operations from the late starts, and
 * five from a few of the early ones; the long one has six from one of these too. With a sanitizer
 * all have five. */
static void explore_all(bool scribbles)
{
	static const uint64_t starts[] = { 0, 1, 4, 5, 15, 16, 31, 47, 48, 59, 60, 62, 63 };

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (starts[i] >= 47 || (suite_long() && i == (scribbles ? 2 : 0)))
			explore_from(starts[i], SANITIZED ? 5 : 6, scribbles);
		else if (i % 4 == (scribbles ? 2 : 0))
			explore_from(starts[i], 5, scribbles);
}

START_TEST(all_sequences_of_six_operations_on_two_timers)
{
	explore_all(false);
}
END_TEST

START_TEST(all_sequences_when_the_memory_of_unarmed_timers_is_overwritten)
{
	explore_all(true);
}
END_TEST

SUITE("wheel, exhaustive", all_sequences_of_six_operations_on_two_timers,
      all_sequences_when_the_memory_of_unarmed_timers_is_overwritten)
