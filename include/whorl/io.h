/* whorl/io.h - waiting for file descriptors, and reads and writes that wait.
 *
 * Each of these calls tries first. Where the kernel says that it would block, the coroutine
 * suspends until the descriptor is ready, and it tries again. What <whorl/co.h> says of all calls
 * holds here too; each is a cancellation point.
 *
 * Descriptors. The library changes no flag of a descriptor that it was given. Sockets are read
 *   and written with MSG_DONTWAIT, whatever their flags. Other descriptors, and sockets given to
 *   connect and accept, must be non-blocking (O_NONBLOCK): -EINVAL if not. Plain files never wait
 *   and are exempt. Writing to a socket raises no SIGPIPE; writing to a pipe without a reader does.
 * Who may wait. One coroutine for input and one for output at a time; another one that would have
 *   to wait gets -EBUSY, at once.
 * Outcome. An error means that no bytes moved, with the exception of the calls that report how many
 *   did. A cancel or a deadline takes nothing out of the descriptor and closes nothing.
 * Closing. co_close wakes who waits on the descriptor: those calls give -EBADF. After a close(2)
 *   they would wait on. */
#ifndef WHORL_IO_H
#define WHORL_IO_H

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <whorl/co.h>

#if defined(__GNUC__)
#pragma GCC visibility push(default) /* the library is built with -fvisibility=hidden */
#endif
#ifdef __cplusplus
extern "C" {
#endif

/* Waits until one of the poll(2) events POLLIN, POLLPRI, POLLRDHUP, POLLOUT is there, and returns
 * those that are, with POLLERR and POLLHUP. -EINVAL: no event, another one, or one that a plain
 * file does not have. -EBADF; -EBUSY; -ENOMEM; -ETIMEDOUT for the second. */
CO_API_ int co_wait_fd(int fd, short events) CO_MUST_CHECK;
CO_API_ int co_wait_fd_until(int fd, short events, co_ns abs) CO_MUST_CHECK;

/* As read(2) and write(2): the number of bytes, which may be fewer than n; 0 at the end of a file.
 * Or the error of the system call, or one of those above. */
CO_API_ ssize_t co_read(int fd, void *buf, size_t n) CO_MUST_CHECK;
CO_API_ ssize_t co_read_until(int fd, void *buf, size_t n, co_ns abs) CO_MUST_CHECK;
CO_API_ ssize_t co_write(int fd, const void *buf, size_t n) CO_MUST_CHECK;
CO_API_ ssize_t co_write_until(int fd, const void *buf, size_t n, co_ns abs) CO_MUST_CHECK;
CO_API_ ssize_t co_readv(int fd, const struct iovec *iov, int n) CO_MUST_CHECK;
CO_API_ ssize_t co_writev(int fd, const struct iovec *iov, int n) CO_MUST_CHECK;

/* All n bytes, in as many steps as it takes: 0, or an error. *done (unless NULL) is how many moved,
 * in either case: going on from there loses nothing. -ENODATA: the file ended before. */
CO_API_ int co_read_full(int fd, void *buf, size_t n, size_t *done) CO_MUST_CHECK;
CO_API_ int co_write_all(int fd, const void *buf, size_t n, size_t *done) CO_MUST_CHECK;

/* As accept(2). The new descriptor is the caller's; it is non-blocking and closed on exec. */
CO_API_ int co_accept(int fd, struct sockaddr *addr, socklen_t *len) CO_MUST_CHECK;
CO_API_ int co_accept_until(int fd, struct sockaddr *addr, socklen_t *len, co_ns abs) CO_MUST_CHECK;

/* As connect(2): 0, or the error with which it failed. The descriptor stays the caller's to close;
 * after a cancel or the deadline it still is about to connect, and the same call waits on. */
CO_API_ int co_connect(int fd, const struct sockaddr *addr, socklen_t len) CO_MUST_CHECK;
CO_API_ int co_connect_until(int fd, const struct sockaddr *addr, socklen_t len,
			     co_ns abs) CO_MUST_CHECK;

/* Closes the descriptor and wakes who waits on it. 0, or the error of close(2); it is closed even
 * if that was EINTR. Suspends: no. Cancellation point: no. */
CO_API_ int co_close(int fd);

#ifdef __cplusplus
}
#endif
#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#endif
