/* Simulated time for an event loop that reads the clock itself: the program defines the calls by
 * which the library does so, and they answer from memory. No call enters the kernel; a sleep moves
 * the time by as long as it would have lasted. */
#ifndef BENCH_SIMULATED_H
#define BENCH_SIMULATED_H

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/time.h>

static struct timespec clock_now; /* `now` */

static inline void simulate(void)
{
	clock_now.tv_sec = (time_t)(now / SECOND);
	clock_now.tv_nsec = (long)(now % SECOND);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	(void)id;
	*ts = clock_now;
	return 0;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	(void)zone;
	tv->tv_sec = clock_now.tv_sec;
	tv->tv_usec = clock_now.tv_nsec / 1000;
	return 0;
}

int epoll_wait(int fd, struct epoll_event *events, int most, int timeout)
{
	(void)fd, (void)events, (void)most;
	if (timeout < 0)
		abort(); /* a timer is armed: the loop must not sleep for ever */
	now += (uint64_t)timeout * MS;
	simulate();
	return 0;
}

int epoll_pwait(int fd, struct epoll_event *events, int most, int timeout, const sigset_t *mask)
{
	(void)mask;
	return epoll_wait(fd, events, most, timeout);
}

#endif
