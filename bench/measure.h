/* What the timer workloads and the limits share: the time they take, and chance. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)

/* The CPU time of this thread: what others do on the machine does not count. By the system call,
 * past what a program may have put in the place of clock_gettime. */
static uint64_t spent_ns(void)
{
	struct timespec ts;

	syscall(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec;
}

static uint64_t chance;

/* SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014):
 * no draw waits for the one before. */
static inline uint64_t draw(void)
{
	uint64_t r = chance += UINT64_C(0x9e3779b97f4a7c15);

	r = (r ^ r >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	r = (r ^ r >> 27) * UINT64_C(0x94d049bb133111eb);
	return r ^ r >> 31;
}

/* Of the upper bits of r: a number below `bound`. */
static inline uint64_t below(uint64_t r, uint64_t bound)
{
	return (uint64_t)((unsigned __int128)r * bound >> 64);
}

#endif
