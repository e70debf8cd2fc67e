/* A stack overflow ends the program with a message that says whose stack it was.
 *
 * The guard below a stack turns an overflow into SIGSEGV. While anyone watches, a handler for it
 * runs on an alternate stack of the thread (the overflown one has no room), compares the address
 * with the guard of the fiber that runs, and writes the message. Whether it was a guard or not, the
 * handler then gives the signal back to SIG_DFL and returns: the instruction faults again, and the
 * program dies of the very signal it would have died of, with its core dump.
 *
 * Two things are set up: the handler for the process, counted in threads under a lock, and the
 * alternate stack for the thread, counted in watches without one; handlers of the user's run there
 * too, if they are installed with SA_ONSTACK. A thread that ends while it lingers in unwatch_later
 * cleans up by its key. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core.h"

#define ALT_STACK_SIZE ((size_t)64 << 10) /* no page of it is used before the end */

WHORL__TLS bool whorl__overflow_leave_alone;

static WHORL__TLS size_t watches;
static WHORL__TLS bool set_up;	   /* the alternate stack and the key */
static WHORL__TLS bool counted;	   /* among the threads that need the handler */
static WHORL__TLS void *alt_stack; /* NULL: the thread had one of its own */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static size_t threads; /* under lock: that are counted */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_thread_end;
static int key_error; /* written under `once` */

/* --------------------------------------------- the message: nothing but async-signal-safe calls */

struct message {
	char text[768];
	size_t used;
};

static void add(struct message *m, const char *text)
{
	size_t room = sizeof(m->text) - m->used, n = strlen(text);

	n = n < room ? n : room;
	memcpy(m->text + m->used, text, n);
	m->used += n;
}

static void add_number(struct message *m, uintptr_t n, unsigned base)
{
	char digits[24], *d = digits + sizeof(digits);

	*--d = '\0';
	do
		*--d = "0123456789abcdef"[n % base];
	while ((n /= base) != 0);
	add(m, base == 16 ? "0x" : "");
	add(m, d);
}

static uintptr_t take_hex(const char **text)
{
	static const char digits[] = "0123456789abcdef";
	uintptr_t n = 0;
	const char *d;

	for (; **text != '\0' && (d = strchr(digits, **text)) != NULL; (*text)++)
		n = n << 4 | (uintptr_t)(d - digits);
	return n;
}

/* `row`: "start-end perms offset device inode path" of /proc/self/maps. */
static bool add_if_mapped_here(struct message *m, const char *row, uintptr_t address)
{
	uintptr_t start, end, offset;
	const char *path = strchr(row, '/');

	start = take_hex(&row);
	row++;
	end = take_hex(&row);
	if (address < start || address >= end || path == NULL)
		return false;
	row += sizeof(" r-xp ") - 1;
	offset = take_hex(&row);
	add(m, " (");
	add(m, path);
	add(m, "+");
	add_number(m, address - start + offset, 16);
	add(m, ")");
	return true;
}

/* File and offset, for addr2line, of code at a random address. dladdr(3) may not be called in a
 * signal handler. */
static void add_place(struct message *m, uintptr_t address)
{
	char row[512], chunk[512];
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	size_t filled = 0;
	bool found = false;
	ssize_t n;

	add_number(m, address, 16);
	while (fd >= 0 && !found && (n = read(fd, chunk, sizeof(chunk))) > 0) {
		for (ssize_t i = 0; i < n && !found; i++) {
			if (chunk[i] != '\n') {
				if (filled < sizeof(row) - 1)
					row[filled++] = chunk[i];
				continue;
			}
			row[filled] = '\0';
			filled = 0;
			found = add_if_mapped_here(m, row, address);
		}
	}
	if (fd >= 0)
		close(fd);
}

static void print(const struct whorl__fiber *f, const char *how)
{
	struct message m = { .used = 0 };

	add(&m, "whorl: stack overflow: coroutine ");
	if (f->name != NULL && f->name[0] != '\0') {
		add(&m, "'");
		add(&m, f->name);
		add(&m, "'");
	} else {
		add(&m, "without a name");
	}
	add(&m, " (running) ");
	add(&m, how);
	add(&m, " its stack of ");
	add_number(&m, f->stack.size, 10);
	add(&m, " bytes");
	if (f->site != NULL) {
		add(&m, "; created at ");
		add_place(&m, (uintptr_t)f->site);
	}
	add(&m, "\nwhorl: it may need a larger stack_size in its struct co_attr\n");
	while (write(STDERR_FILENO, m.text, m.used) < 0 && errno == EINTR)
		;
}

void whorl__overflow_report(const struct whorl__fiber *f, const char *how)
{
	print(f, how);
	abort();
}

static void on_segv(int signo, siginfo_t *info, void *context)
{
	const struct whorl__fiber *f = whorl__fiber_current;
	uintptr_t at = (uintptr_t)info->si_addr;
	bool fault = info->si_code > 0; /* else someone sent it */

	(void)context;
	if (fault && f != NULL && f->stack.low != NULL && at < (uintptr_t)f->stack.low &&
	    at >= (uintptr_t)f->stack.low - WHORL__GUARD_SIZE)
		print(f, "ran into the guard below");
	signal(signo, SIG_DFL);
	if (!fault)
		raise(signo);
}

/* ----------------------------------------------------------------------- handler of the process */

static void install(void)
{
	struct sigaction now, ours = {
		.sa_sigaction = on_segv,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};

	sigemptyset(&ours.sa_mask);
	if (sigaction(SIGSEGV, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) == 0 &&
	    now.sa_handler == SIG_DFL)
		sigaction(SIGSEGV, &ours, NULL);
}

static void uninstall(void)
{
	struct sigaction now, standard = { .sa_handler = SIG_DFL };

	sigemptyset(&standard.sa_mask);
	if (sigaction(SIGSEGV, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) != 0 &&
	    now.sa_sigaction == on_segv)
		sigaction(SIGSEGV, &standard, NULL);
}

static void take_lock(void)
{
	pthread_mutex_lock(&lock);
}

static void give_lock(void)
{
	pthread_mutex_unlock(&lock);
}

static void count_threads(bool more)
{
	take_lock();
	if (more && threads++ == 0)
		install();
	if (!more && --threads == 0)
		uninstall();
	give_lock();
}

/* ---------------------------------------------------------------- alternate stack of the thread */

static int provide_alt_stack(void)
{
	stack_t alt = { .ss_size = ALT_STACK_SIZE }, now;

	if (sigaltstack(NULL, &now) == 0 && (now.ss_flags & SS_DISABLE) == 0)
		return 0;
	alt.ss_sp = mmap(NULL, ALT_STACK_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (alt.ss_sp == MAP_FAILED)
		return -ENOMEM;
	if (sigaltstack(&alt, NULL) < 0) {
		munmap(alt.ss_sp, ALT_STACK_SIZE);
		return -ENOMEM;
	}
	alt_stack = alt.ss_sp;
	return 0;
}

static void remove_alt_stack(void)
{
	stack_t none = { .ss_flags = SS_DISABLE }, now;

	if (alt_stack == NULL)
		return;
	if (sigaltstack(NULL, &now) == 0 && now.ss_sp == alt_stack)
		sigaltstack(&none, NULL);
	munmap(alt_stack, ALT_STACK_SIZE);
	alt_stack = NULL;
}

/* ------------------------------------------------------------------------------------- counting */

static void tear_down(void)
{
	if (!set_up)
		return;
	set_up = false;
	if (counted)
		count_threads(false);
	counted = false;
	remove_alt_stack();
	pthread_setspecific(at_thread_end, NULL);
}

static void thread_ends(void *unused)
{
	(void)unused;
	tear_down();
}

/* In the child of a fork the lock is free; the threads that are not there go on being counted, so
 * the handler stays. */
static void make_key(void)
{
	key_error = pthread_key_create(&at_thread_end, thread_ends);
	pthread_atfork(take_lock, give_lock, give_lock);
}

/* dlclose of the library: nothing may point into it. Other threads' alternate stacks stay. */
__attribute__((destructor)) static void unload(void)
{
	pthread_once(&once, make_key);
	tear_down();
	uninstall();
	if (key_error == 0)
		pthread_key_delete(at_thread_end);
}

static int build(void)
{
	pthread_once(&once, make_key);
	if (key_error != 0 || pthread_setspecific(at_thread_end, &alt_stack) != 0)
		return -ENOMEM;
	if (provide_alt_stack() < 0) {
		pthread_setspecific(at_thread_end, NULL);
		return -ENOMEM;
	}
	set_up = true;
	return 0;
}

static __attribute__((noinline)) int begin(void)
{
	int saved_errno = errno, rc = set_up ? 0 : build();

	if (rc == 0 && !whorl__overflow_leave_alone) {
		count_threads(true);
		counted = true;
	}
	errno = saved_errno;
	return rc;
}

int whorl__overflow_watch(void)
{
	int rc = counted ? 0 : begin();

	watches += rc == 0;
	return rc;
}

void whorl__overflow_unwatch(void)
{
	int saved_errno = errno;

	if (--watches == 0)
		tear_down();
	errno = saved_errno;
}

void whorl__overflow_unwatch_later(void)
{
	watches--;
}
