/* The sweep: the bodies of other suites and the examples, each cut off wherever it can be.
 *
 * A body is played once as it is, which counts its suspend points and its calls that can fail. Then
 * it is played again for each point, where the one that is about to suspend is cancelled; once more
 * for each point, where main is; and for each call, which fails. Each play is a process of its own,
 * so that all begin alike. What calls return is no longer what the body expects, and it goes on
 * regardless (sweep.h). In every play:
 *
 *	co_run returns, and has nobody left: all that were cut off have unwound
 *	the memory of the loop is given back, its mappings and its descriptors are
 *	there is no misuse, but of kinds that the body itself plays
 *	ASan and LeakSanitizer, where they look on, find no fault
 *
 * A body may wait for one that was cut off: when nothing else happens any more, some centuries
 * later, main is cancelled. And it may loop for ever, since it does not look at what calls return,
 * or use what it did not get: then the play is given up, and counted.
 *
 * White-box: the linker wraps the library's ways to suspend and what it calls of the system, and
 * the rooms are linked as they are. Bodies on a real clock are not played: most of them wait in
 * loops for other threads.
 *
 *	CK_RUN_CASE=name	sweep this body only
 *	WHORL_SEED=n		for bodies that draw at random: 1, if not given
 *	WHORL_LONG=1		cut off at every place of each kind, or at 16 where there are more
 *				than 128; else at 8. Slow bodies too */
#define _GNU_SOURCE /* memfd_create, accept4 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <whorl/co.h>

#include "suite.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define END_OF_TIME CO_SEC(INT64_C(280) * 365 * 24 * 3600)

enum way { WHOLE, CUT_SELF, CUT_MAIN, FAIL, WAYS };

static const char *const way_names[] = {
	"not cut off: ",
	"the one that suspends is cancelled at point",
	"main is cancelled at point",
	"a failure of call",
};

/* How a play went, for the process that had it played. */
struct account {
	long points, calls; /* suspend points, calls that can fail */
	long opening;	    /* calls before the body begins: the same for all */
	long doubts;	    /* assertions that did not hold */
	long kept;	    /* mappings that outlast a co_run: of raw coroutines' stacks */
	unsigned misuses;   /* their kinds, a bit each */
	bool storm;	    /* a cancel storm was reported */
	int rc;		    /* an error of co_run */
	char text[512];	    /* what was wrong first */
};

/* Exits of a play beside 0 and 1. */
enum { GIVEN_UP = 70, NOT_PLAYED, PLAYED_BEFORE };

/* The play that this process is. */
static enum way way;
static long cut_at;
static bool stranger_came;
static struct account whole;		 /* that of the play without a cut */
static struct account *account = &whole; /* then one that is shared with the parent */
static co_ref main_ref, victim;

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
	va_list args;

	if (account->text[0] != '\0')
		return;
	va_start(args, format);
	vsnprintf(account->text, sizeof(account->text), format, args);
	va_end(args);
}

static void expect(const char *what, long got, long want)
{
	if (got == want)
		return;
	say("%s: %ld, not %ld", what, got, want);
	_exit(1);
}

void sweep_doubt(const char *file, int line, const char *format, ...)
{
	char text[256];
	va_list args;

	if (++account->doubts > 100000)
		sweep_give_up();
	if (way != WHOLE)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	say("%s:%d: %s", file, line, text);
}

void sweep_give_up(void)
{
	_exit(way == WHOLE ? 1 : GIVEN_UP);
}

/* -------------------------------------------------------------------------- where it is cut off */

/* Cancels, and is there at the end of time. */
static int stranger(void *unused)
{
	(void)unused;
	if (way != FAIL)
		co_ignore(co_cancel(victim, 0));
	if (co_sleep_until(END_OF_TIME) == 0)
		co_ignore(co_cancel(main_ref, 0));
	return 0;
}

static void suspend_point(void)
{
	bool due = way == FAIL ? account->calls >= cut_at : account->points + 1 >= cut_at;

	account->points++;
	if (stranger_came && account->points > 10 * whole.points + 10000)
		sweep_give_up();
	if (way == WHOLE || stranger_came || !due)
		return;
	stranger_came = true;
	victim = way == CUT_MAIN ? main_ref : co_self();
	if (way == CUT_SELF && victim.id == main_ref.id)
		_exit(PLAYED_BEFORE);
	co_ignore(co_spawn(NULL, stranger, NULL, NULL)); /* refused: all are cancelled already */
}

struct co;
int __real_whorl__park(struct co *co);
int __wrap_whorl__park(struct co *co);
int __real_whorl__yield(struct co *co);
int __wrap_whorl__yield(struct co *co);

int __wrap_whorl__park(struct co *co)
{
	suspend_point();
	return __real_whorl__park(co);
}

int __wrap_whorl__yield(struct co *co)
{
	suspend_point();
	return __real_whorl__yield(co);
}

/* ----------------------------------------------------------------------------------- what fails */

static bool fails(void)
{
	account->calls++;
	return way == FAIL && account->calls == cut_at;
}

static int refused(int err)
{
	errno = err;
	return -1;
}

#define CALL(type, name, params, args, failure)						\
	type __real_##name params;							\
	type __wrap_##name params;							\
	type __wrap_##name params							\
	{										\
		return fails() ? failure : __real_##name args;				\
	}

/* clang-format off */
CALL(int, madvise, (void *at, size_t n, int advice), (at, n, advice), refused(ENOMEM))
CALL(int, mprotect, (void *at, size_t n, int prot), (at, n, prot), refused(ENOMEM))
CALL(void *, calloc, (size_t n, size_t size), (n, size), NULL)
CALL(int, timerfd_create, (int clock, int flags), (clock, flags), refused(EMFILE))
CALL(int, epoll_create1, (int flags), (flags), refused(EMFILE))
CALL(int, eventfd, (unsigned count, int flags), (count, flags), refused(EMFILE))
CALL(ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags), refused(EINTR))
CALL(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags), refused(EINTR))
CALL(int, accept4, (int fd, struct sockaddr *at, socklen_t *n, int flags), (fd, at, n, flags),
     refused(EMFILE))

int __real_sigaltstack(const stack_t *set, stack_t *old);
int __wrap_sigaltstack(const stack_t *set, stack_t *old);
int __real_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int __real_epoll_wait(int epfd, struct epoll_event *ev, int n, int ms);
int __wrap_epoll_wait(int epfd, struct epoll_event *ev, int n, int ms);
void *__real_mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t n);
int __wrap_munmap(void *at, size_t n);
/* clang-format on */

static bool opening; /* inside co_run, before the body begins */

/* A sanitizer's runtime may call it too. */
int __wrap_sigaltstack(const stack_t *set, stack_t *old)
{
	if (opening && set != NULL && fails())
		return refused(ENOMEM);
	return __real_sigaltstack(set, old);
}

int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	if (op != EPOLL_CTL_DEL && fails()) /* to take one out is not known to fail */
		return refused(ENOSPC);
	return __real_epoll_ctl(epfd, op, fd, event);
}

int __wrap_epoll_wait(int epfd, struct epoll_event *ev, int n, int ms)
{
	if (fails())
		return refused(EINTR);
	if (way == FAIL && account->calls > cut_at && !stranger_came && ms < 0)
		sweep_give_up(); /* perhaps for ever, and nobody else will come */
	return __real_epoll_wait(epfd, ev, n, ms);
}

static long mapped, live_blocks; /* what the library has */

void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset)
{
	void *p = MAP_FAILED;

	if (fails())
		errno = ENOMEM;
	else
		p = __real_mmap(at, n, prot, flags, fd, offset);
	mapped += p != MAP_FAILED;
	return p;
}

int __wrap_munmap(void *at, size_t n)
{
	mapped--;
	return __real_munmap(at, n);
}

static void *counted_alloc(size_t size, void *ctx)
{
	void *p = fails() ? NULL : malloc(size);

	(void)ctx;
	live_blocks += p != NULL;
	return p;
}

static void counted_free(void *p, size_t size, void *ctx)
{
	(void)size;
	(void)ctx;
	live_blocks--;
	free(p);
}

/* ----------------------------------------------------------------------------- what has to hold */

static struct co_options theirs; /* of the body that runs */

/* When a body is cut off it may unlock what it was not given, or leave what it has locked. */
static bool excused(enum co_misuse kind)
{
	if (way == WHOLE)
		return theirs.on_misuse != NULL;
	return (whole.misuses >> kind & 1) || kind == CO_MISUSE_MUTEX;
}

static void hear_misuse(enum co_misuse kind, const char *text, const void *site, void *ctx)
{
	account->misuses |= 1u << kind;
	if (!excused(kind)) {
		if (way == FAIL)
			sweep_give_up(); /* it uses what it did not get */
		say("misuse: %s", text);
		_exit(1);
	}
	if (theirs.on_misuse != NULL)
		theirs.on_misuse(kind, text, site, ctx);
}

static void hear_report(enum co_report kind, const char *text, const void *site, void *ctx)
{
	account->storm |= kind == CO_REPORT_STORM;
	if (account->storm && way != WHOLE && !whole.storm)
		sweep_give_up();
	if (theirs.on_report != NULL)
		theirs.on_report(kind, text, site, ctx);
}

/* Descriptors of the kinds that a loop opens for itself. */
static long own_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	char to[32];
	long n = 0;

	while ((entry = readdir(dir)) != NULL) {
		ssize_t length = readlinkat(dirfd(dir), entry->d_name, to, sizeof(to) - 1);

		to[length > 0 ? length : 0] = '\0';
		n += strncmp(to, "anon_inode:", 11) == 0;
	}
	closedir(dir);
	return n;
}

struct lead {
	co_fn *fn;
	void *arg;
};

static int lead(void *arg)
{
	struct lead *to = arg;

	opening = false;
	if (account->opening == 0)
		account->opening = account->calls;
	main_ref = co_self();
	return to->fn(to->arg);
}

/* What a co_run may give: what it gives to the whole body; after a failure, that it did not
 * start. */
static void expect_rc(int rc)
{
	if (way == WHOLE && rc < 0)
		account->rc = rc;
	else if (rc < 0 && rc != whole.rc && (way != FAIL || rc == -ETIMEDOUT))
		expect("co_run", rc, 0);
}

int __real_co_run(co_fn *fn, void *arg, const struct co_options *opt, int *exit_code);
int __wrap_co_run(co_fn *fn, void *arg, const struct co_options *opt, int *exit_code);

int __wrap_co_run(co_fn *fn, void *arg, const struct co_options *opt, int *exit_code)
{
	struct co_options o = opt ? *opt : (struct co_options){ .clock = CO_CLOCK_VIRTUAL };
	long descriptors = own_descriptors(), blocks = live_blocks, maps = mapped;
	struct lead to = { fn, arg };
	int rc;

	if (o.clock != CO_CLOCK_VIRTUAL)
		_exit(NOT_PLAYED);
	theirs = o;
	o.on_misuse = hear_misuse;
	o.on_report = hear_report;
	if (o.alloc.alloc == NULL)
		o.alloc = (struct co_alloc){ counted_alloc, counted_free, NULL };
	opening = true;
	rc = __real_co_run(lead, &to, &o, exit_code);
	opening = false;
	expect_rc(rc);
	expect("descriptors after co_run", own_descriptors(), descriptors);
	if (rc == -ETIMEDOUT)
		return rc; /* who is stuck keeps its memory */
	expect("blocks after co_run", live_blocks, blocks);
	if (way == WHOLE)
		account->kept += mapped - maps;
	if (whole.kept == 0)
		expect("mappings after co_run", mapped, maps + account->kept);
	return rc;
}

/* ------------------------------------------------------------------------------- what is played */

struct body {
	const char *suite;
	const TTest *test;
};

static struct body bodies[512];
static size_t body_count;

void sweep_enlist(const char *suite, const TTest *const *tests, size_t n)
{
	for (size_t i = 0; i < n && body_count < LENGTH(bodies); i++)
		bodies[body_count++] = (struct body){ suite, tests[i] };
}

/* Bodies that are played in the long form only, and cut off at a few places of each kind; or at
 * none, since they cannot go on. */
static const struct rare {
	const char *suite, *test;
	int places;
} rare[] = {
	/* uses a scope on its stack again while another may still end it */
	{ "scenarios-completion", "S114_both_outcomes_are_exclusive", 0 },
	/* frees a group that another is about to cancel */
	{ "scenarios-group", "S159_cancel_group_while_others_wait_for_it", 0 },
	/* has a model of a line that nobody may leave unseen */
	{ "pace", "a_bucket_filled_by_hand", 0 },
	/* has a runtime on another thread too */
	{ "pace", "another_runtime_waits", 0 },
	/* each play waits until TCP tries again, a second of real time */
	{ "scenarios_io", "S113_connect_completes_on_the_tick_of_the_deadline", 4 },
	{ "scenarios_io", "S198_connect_timeout_closes_nothing", 4 },
	/* each play takes some tenths of a second */
	{ "scenarios_io", "S30_within_a_bounded_number_of_turns", 4 },
	{ "scenarios_io", "S30_with_a_socket_that_is_always_ready", 4 },
	{ "scenarios-shutdown", "S276_yield_spin_under_a_virtual_clock", 4 },
};

static bool long_form;

/* At how many places of n a body is cut off. Where there are more than 128 it is in a loop. */
static long places(const struct body *body, long n)
{
	long most = n > 128 ? 16 : n, few = SANITIZED ? 3 : 8;

	if (!long_form && most > few)
		most = n > 128 ? 2 : few;
	for (size_t i = 0; i < LENGTH(rare); i++)
		if (strcmp(rare[i].suite, body->suite) == 0 &&
		    strcmp(rare[i].test, body->test->name) == 0)
			most = !long_form ? 0 : n < rare[i].places ? n : rare[i].places;
	return most;
}

static int errors; /* what a play writes to stderr goes here */

static _Noreturn void play(const TTest *test)
{
	const char *seconds = getenv("CK_DEFAULT_TIMEOUT");

	if (seconds != NULL)
		alarm((unsigned)atoi(seconds));
	signal(SIGPIPE, SIG_IGN);
	if (freopen("/dev/null", "w", stdout) == NULL || dup2(errors, STDERR_FILENO) < 0)
		_exit(1);
	test->fn();
	exit(way == WHOLE && account->doubts > 0);
}

/* Has a play; its exit, or 1 if it died. */
static int have(const struct body *body, enum way how, long at)
{
	int status;
	pid_t pid;

	*account = (struct account){ .points = 0 };
	way = how;
	cut_at = at;
	if (ftruncate(errors, 0) < 0 || lseek(errors, 0, SEEK_SET) < 0)
		return 1;
	pid = fork();
	if (pid == 0)
		play(body->test);
	waitpid(pid, &status, 0);
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	say("died of signal %d", WTERMSIG(status));
	return 1;
}

/* Of all so far: bodies, those not played, plays by their cut, those that were given up. */
static long swept, skipped, cuts[WAYS], given_up;

static void tell(enum way how, long at)
{
	off_t from = 0;

	printf("# %s %ld: %s\n", way_names[how], at, account->text);
	while (sendfile(STDERR_FILENO, errors, &from, 1 << 20) > 0)
		;
}

/* Cuts off at places from + 1 to n. */
static bool sweep_way(const struct body *body, enum way how, long from, long n)
{
	long most = places(body, n - from);
	bool good = true;

	for (long i = 0; i < most && good; i++) {
		long at = 1 + from + i * (n - from) / most;
		int end = have(body, how, at);

		good = end == 0 || end == GIVEN_UP || end == PLAYED_BEFORE;
		cuts[how] += end != PLAYED_BEFORE;
		given_up += end == GIVEN_UP;
		if (!good)
			tell(how, at);
	}
	return good;
}

/* What is called before a body begins is the same for all: it fails in the first only. */
static bool sweep(const struct body *body)
{
	int end;

	whole = (struct account){ .points = 0 };
	end = places(body, 1) > 0 ? have(body, WHOLE, 0) : NOT_PLAYED;
	skipped += end == NOT_PLAYED;
	if (end == NOT_PLAYED)
		return true;
	swept++;
	if (end != 0) {
		tell(WHOLE, 0);
		return false;
	}
	whole = *account;
	return sweep_way(body, CUT_SELF, 0, whole.points) &&
	       sweep_way(body, CUT_MAIN, 0, whole.points) &&
	       sweep_way(body, FAIL, body == bodies ? 0 : whole.opening, whole.calls);
}

static int tried, bad;

static void result(bool good, const char *suite, const char *name)
{
	bad += !good;
	printf("%sok %d - %s: %s\n", good ? "" : "not ", ++tried, suite, name);
}

static void sweep_all(void)
{
	for (const struct body *b = bodies; b < bodies + body_count; b++)
		result(sweep(b), b->suite, b->test->name);
	result(cuts[CUT_SELF] > 100 && cuts[CUT_MAIN] > 100 && cuts[FAIL] > 100, "sweep",
	       "there were cuts of each kind");
}

static void sweep_only(const char *name)
{
	for (const struct body *b = bodies; b < bodies + body_count; b++)
		if (strcmp(b->test->name, name) == 0)
			result(sweep(b), b->suite, name);
}

int main(void)
{
	const char *only = getenv("CK_RUN_CASE");

	setvbuf(stdout, NULL, _IOLBF, 0);
	errors = memfd_create("stderr", MFD_CLOEXEC);
	account = mmap(NULL, sizeof(*account), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	setenv("WHORL_SEED", "1", 0); /* one for all plays */
	long_form = suite_long();
	unsetenv("WHORL_LONG"); /* the bodies stay short */
	if (only != NULL)
		sweep_only(only);
	else
		sweep_all();
	printf("# %ld bodies, %ld more not played; cut off %ld times by the cancel of one, %ld by "
	       "that of main, %ld by a failure; %ld of these plays were given up\n",
	       swept, skipped, cuts[CUT_SELF], cuts[CUT_MAIN], cuts[FAIL], given_up);
	printf("1..%d\n", tried);
	return bad > 0;
}
