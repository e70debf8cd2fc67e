/* What the tests of the wheel share. They know its header only. */
#ifndef WHEEL_TESTS_H
#define WHEEL_TESTS_H

#include <whorl/wheel.h>

#include "suite.h"

#define TOP UINT64_MAX
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Check notes each assertion that holds, which costs more than a pop: loops use this. */
#define MUST(holds)                                                                                \
	do {                                                                                       \
		if (!(holds))                                                                      \
			ck_abort_msg("line %d: %s", __LINE__, #holds);                             \
	} while (0)

static inline uint64_t sat_add(uint64_t a, uint64_t b)
{
	return a > TOP - b ? TOP : a + b;
}

static inline void must_be_sound(const struct wheel *w)
{
	const char *why = NULL;

	if (wheel_check(w, &why) != 0)
		ck_abort_msg("wheel_check: %s", why == NULL ? "no reason given" : why);
}

/* Advances to `now`, pops all that is due and gives its number; *last is the last one, or NULL. */
static inline unsigned pop_all(struct wheel *w, uint64_t now, struct wheel_timer **last)
{
	struct wheel_timer *t;
	unsigned n = 0;

	if (last != NULL)
		*last = NULL;
	wheel_advance(w, now);
	while ((t = wheel_pop(w)) != NULL) {
		MUST(!wheel_armed(t));
		MUST(wheel_expires(t) <= wheel_now(w));
		if (last != NULL)
			*last = t;
		n++;
	}
	return n;
}

/* Follows wheel_next until something is due, which stays in the wheel. Gives the count of wakes. */
static inline unsigned follow(struct wheel *w)
{
	unsigned wakes = 0;
	uint64_t next;

	for (;;) {
		next = wheel_next(w);
		wheel_advance(w, next > wheel_now(w) ? next : wheel_now(w));
		wakes++;
		if (wheel_next(w) <= wheel_now(w) || wakes > 1000)
			return wakes;
	}
}

/* Calls each(w, start) with the clock at every 2^k, 2^k+-1, 2^k+-2. */
static inline void each_start(struct wheel *w, void (*each)(struct wheel *w, uint64_t start))
{
	for (int k = 0; k < 64; k++)
		for (int off = -2; off <= 2; off++)
			each(w, (UINT64_C(1) << k) + (uint64_t)(int64_t)off);
	each(w, 0);
	each(w, TOP / 2);
}

#endif
