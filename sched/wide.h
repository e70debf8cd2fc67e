/* Numbers of 128 bits, for the limiter: not every CPU's compiler has them. */
#ifndef WHORL_SCHED_WIDE_H
#define WHORL_SCHED_WIDE_H

#include <stdbool.h>
#include <stdint.h>

struct wide {
	uint64_t low, high;
};

static inline struct wide wide_sum(struct wide a, struct wide b)
{
	uint64_t low = a.low + b.low;

	return (struct wide){ low, a.high + b.high + (low < a.low) };
}

static inline struct wide wide_difference(struct wide a, struct wide b)
{
	return (struct wide){ a.low - b.low, a.high - b.high - (a.low < b.low) };
}

static inline bool wide_less(struct wide a, struct wide b)
{
	return a.high != b.high ? a.high < b.high : a.low < b.low;
}

/* WIDE_BY_HAND is test_wide.c's. */
#if defined(__SIZEOF_INT128__) && !defined(WIDE_BY_HAND)
__extension__ typedef unsigned __int128 whorl__uint128;

static inline struct wide wide_product(uint64_t a, uint64_t b)
{
	whorl__uint128 product = (whorl__uint128)a * b;

	return (struct wide){ (uint64_t)product, (uint64_t)(product >> 64) };
}

/* a / n, rounded down; UINT64_MAX if that is more. */
static inline uint64_t wide_quotient(struct wide a, uint64_t n)
{
	whorl__uint128 quotient = ((whorl__uint128)a.high << 64 | a.low) / n;

	return quotient < UINT64_MAX ? (uint64_t)quotient : UINT64_MAX;
}
#else
/* Halves times halves; no sum in it reaches 2^64. */
static inline struct wide wide_product(uint64_t a, uint64_t b)
{
	uint64_t a1 = a >> 32, a0 = a & UINT32_MAX, b1 = b >> 32, b0 = b & UINT32_MAX;
	uint64_t low = a0 * b0, first = a1 * b0 + (low >> 32),
		 second = a0 * b1 + (first & UINT32_MAX);

	return (struct wide){ second << 32 | (low & UINT32_MAX),
			      a1 * b1 + (first >> 32) + (second >> 32) };
}

/* a / n, rounded down; UINT64_MAX if that is more. Bit by bit: `rest` is what is left of the bits
 * looked at so far, less than n. */
static inline uint64_t wide_quotient(struct wide a, uint64_t n)
{
	uint64_t rest = a.high, quotient = 0;

	if (rest >= n)
		return UINT64_MAX;
	for (int bit = 63; bit >= 0; bit--) {
		bool fits = rest >> 63 != 0; /* the 65th bit of what follows */

		rest = rest << 1 | (a.low >> bit & 1);
		fits = fits || rest >= n;
		if (fits)
			rest -= n;
		quotient = quotient << 1 | fits;
	}
	return quotient;
}
#endif

#endif
