/* mmap(2) itself, for suites that put a function of their own in the place of mmap(3). */
#ifndef WHORL_TEST_DIRECT_MMAP_H
#define WHORL_TEST_DIRECT_MMAP_H

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static inline void *direct_mmap(void *at, size_t length, int protection, int flags, int fd,
				off_t offset)
{
#if defined(SYS_mmap2) /* 32-bit CPUs: counts in 4 KiB */
	return (void *)syscall(SYS_mmap2, at, length, protection, flags, fd, offset >> 12);
#elif defined(__s390x__) /* takes them from memory: more than five are too many for it */
	long arguments[] = { (long)at, (long)length, protection, flags, fd, offset };

	return (void *)syscall(SYS_mmap, arguments);
#else
	return (void *)syscall(SYS_mmap, at, length, protection, flags, fd, offset);
#endif
}

#endif
