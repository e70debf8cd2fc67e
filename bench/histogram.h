/* Counts durations in memory of fixed size, with a relative error of at most 1/64 at any magnitude.
 *
 * The idea is that of HdrHistogram (Gil Tene): log-linear buckets. Each power of two is divided
 * into 64 buckets of equal width, so that a value v with 2^e <= v < 2^(e+1), e >= 6, lies in a
 * bucket 2^(e-6) wide. Below 128 a bucket is one value wide. The index of v is the shift e - 6
 * times 64 plus v >> shift. As v >> shift is in 64..127, the ranges of successive shifts join
 * without a gap, and every uint64_t has a bucket. */
#ifndef WHORL_BENCH_HISTOGRAM_H
#define WHORL_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BITS 6
#define HISTOGRAM_PER_OCTAVE (1u << HISTOGRAM_BITS)
#define HISTOGRAM_BUCKETS ((65u - HISTOGRAM_BITS) * HISTOGRAM_PER_OCTAVE)

struct histogram { /* zero = empty */
	uint64_t count[HISTOGRAM_BUCKETS];
	uint64_t total;
	uint64_t max; /* exact */
};

static inline unsigned histogram_index(uint64_t value)
{
	unsigned shift = 0;

	if (value >= HISTOGRAM_PER_OCTAVE) /* nonzero: clz is defined */
		shift = 63 - HISTOGRAM_BITS - (unsigned)__builtin_clzll(value);
	return shift * HISTOGRAM_PER_OCTAVE + (unsigned)(value >> shift);
}

/* The least value of a bucket. */
static inline uint64_t histogram_floor(unsigned index)
{
	unsigned shift;

	if (index < 2 * HISTOGRAM_PER_OCTAVE)
		return index;
	shift = index / HISTOGRAM_PER_OCTAVE - 1;
	return (uint64_t)(index - shift * HISTOGRAM_PER_OCTAVE) << shift;
}

static inline void histogram_add(struct histogram *h, uint64_t value)
{
	h->count[histogram_index(value)]++;
	h->total++;
	if (value > h->max)
		h->max = value;
}

/* The least value that `per_mille` thousandths of all are at or below (nearest rank), rounded up to
 * the end of its bucket, but not beyond the largest value there was. 0 if there is none. */
static inline uint64_t histogram_quantile(const struct histogram *h, unsigned per_mille)
{
	uint64_t rank = (h->total * per_mille + 999) / 1000, seen = h->count[0];
	unsigned i = 0;

	while (seen < rank) /* ends: all the counts add up to total */
		seen += h->count[++i];
	if (i == HISTOGRAM_BUCKETS - 1 || histogram_floor(i + 1) > h->max)
		return h->max;
	return histogram_floor(i + 1) - 1;
}

/* For people, and coarser: rows that end at 1, 2, 5, 10, 20, ... us, up to 500 000 s. A bucket that
 * straddles the end of a row is counted in it whole; the last row takes what is beyond. */
#define HISTOGRAM_ROWS 36

struct histogram_rows {
	uint64_t count[HISTOGRAM_ROWS];
	unsigned first, last; /* of those that are not empty; first > last: none */
	uint64_t largest;     /* count */
};

static inline uint64_t histogram_row_end(unsigned row)
{
	static const uint64_t digit[] = { 1, 2, 5 };
	uint64_t end = digit[row % 3] * 1000;

	for (unsigned decade = row / 3; decade > 0; decade--)
		end *= 10;
	return end;
}

static inline void histogram_fill_rows(const struct histogram *h, struct histogram_rows *rows)
{
	unsigned row = 0;

	*rows = (struct histogram_rows){ .first = HISTOGRAM_ROWS };
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		while (row < HISTOGRAM_ROWS - 1 && histogram_floor(i) >= histogram_row_end(row))
			row++;
		if (h->count[i] == 0)
			continue;
		rows->count[row] += h->count[i];
		if (rows->first == HISTOGRAM_ROWS)
			rows->first = row;
		rows->last = row;
		if (rows->count[row] > rows->largest)
			rows->largest = rows->count[row];
	}
}

#endif
