/* The loop: opening, passes, waiting, the end; and co_run, which is written with co_loop_*.
 *
 * A pass looks at descriptors, at the mail of other threads, and at timers, in this order, and
 * then runs coroutines until its budget of switches is used up or nobody is ready. Coroutines
 * switch straight to the next in the queue; the loop's own stack is only reached between passes.
 * On the real clock the budget is BUDGET switches, so the clock is read at least that often; on
 * the virtual one it is the length of the queue, so that what is woken in a pass runs in the next,
 * in the same order every time.
 *
 * Between passes with nothing to do the loop waits on one epoll set, in which is a timerfd armed
 * for the instant that wheel_next names, or a little later if the last wait has just ended. Timers
 * of a timerfd are precise without PR_SET_TIMERSLACK, and a guest's event loop can poll the set.
 * The virtual clock does not wait for timers: it jumps to the next one. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "queue.h"

enum { BUDGET = 64, SPIN = 1000000, CROWD = 256 };

#define POLL_INTERVAL CO_US(50)	 /* of running, on the real clock */
#define WAKE_INTERVAL CO_US(100) /* from the end of a wait to the next wake by a timer */
#define DEFAULT_GRACE CO_SEC(5)
#define DEFAULT_WATCHDOG CO_SEC(10)

WHORL__TLS struct co_loop *whorl__loop;
WHORL__TLS struct co *whorl__running;

/* ----------------------------------------------------------------------------------- all the loops
 *
 * Only to tell a mistake (an object of another runtime) from a stale reference, and to keep what a
 * stuck coroutine still uses reachable for leak checkers. */
static pthread_mutex_t loops_lock = PTHREAD_MUTEX_INITIALIZER;
static struct co_loop *loops, *stuck_loops;
static uint32_t last_serial;

/* This thread is inside from here on; then outside. */
static inline void enter(struct co_loop *l)
{
	whorl__loop = l;
	whorl__overflow_leave_alone = (l->opt.flags & CO_OPT_NO_SEGV_REPORT) != 0;
}

static inline void leave(void)
{
	whorl__overflow_leave_alone = false;
	whorl__loop = NULL;
	whorl__running = NULL;
}

static void close_fds(struct co_loop *l)
{
	close(l->epoll_fd);
	if (l->timer_fd >= 0)
		close(l->timer_fd);
}

static void before_fork(void)
{
	pthread_mutex_lock(&loops_lock);
}

static void in_parent(void)
{
	pthread_mutex_unlock(&loops_lock);
}

/* In the child of a fork the loops are the parent's. It is outside of them all, and has nothing by
 * which it could reach what the parent waits with: closed here, an epoll set and a timerfd live on
 * in the parent as they were. */
static void in_child(void)
{
	struct co_loop *l;

	while ((l = loops) != NULL) {
		close_fds(l);
		l->of_parent = true;
		loops = l->next;
		l->next = stuck_loops;
		stuck_loops = l;
	}
	leave();
	pthread_mutex_unlock(&loops_lock);
}

static void watch_forks(void)
{
	pthread_atfork(before_fork, in_parent, in_child);
}

static void enlist(struct co_loop *l)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, watch_forks);
	pthread_mutex_lock(&loops_lock);
	l->serial = ++last_serial;
	l->next = loops;
	loops = l;
	pthread_mutex_unlock(&loops_lock);
}

static void delist(struct co_loop *l, bool stuck)
{
	struct co_loop **at = &loops;

	pthread_mutex_lock(&loops_lock);
	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	if (stuck) {
		l->next = stuck_loops;
		stuck_loops = l;
	}
	pthread_mutex_unlock(&loops_lock);
}

static bool alive(uint32_t serial, uint32_t mask)
{
	struct co_loop *l;

	pthread_mutex_lock(&loops_lock);
	for (l = loops; l && ((l->serial ^ serial) & mask); l = l->next)
		;
	pthread_mutex_unlock(&loops_lock);
	return l != NULL;
}

bool whorl__loop_alive(uint32_t serial)
{
	return alive(serial, UINT32_MAX);
}

bool whorl__ref_alive_elsewhere(co_ref ref)
{
	return alive((uint32_t)ref.id >> 24, 0xff);
}

/* --------------------------------------------------------------------------------------- memory */

/* Of the default allocator: large pieces are mapped, so that they go back when they are freed,
 * whatever malloc has put above them. */
static bool is_mapped(size_t size)
{
	return size >= (size_t)16 << 10 && !whorl__lsan_present();
}

static void *system_alloc(size_t size, void *ctx)
{
	void *ptr;

	(void)ctx;
	if (!is_mapped(size))
		return malloc(size);
	ptr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return ptr != MAP_FAILED ? ptr : NULL;
}

static void system_free(void *ptr, size_t size, void *ctx)
{
	(void)ctx;
	if (is_mapped(size))
		munmap(ptr, size);
	else
		free(ptr);
}

bool whorl__maps(const struct co_loop *l, size_t size)
{
	return l->opt.alloc.alloc == system_alloc && is_mapped(size);
}

void *whorl__alloc(struct co_loop *l, size_t size)
{
	return l->opt.alloc.alloc(size, l->opt.alloc.ctx);
}

void whorl__free(struct co_loop *l, void *ptr, size_t size)
{
	if (ptr)
		l->opt.alloc.free(ptr, size, l->opt.alloc.ctx);
}

/* ----------------------------------------------------------------------------------------- open */

static bool bad_options(const struct co_options *o)
{
	return (unsigned)o->clock > CO_CLOCK_VIRTUAL || o->grace < 0 || o->slack < 0 ||
	       o->watchdog < 0 || !o->alloc.alloc != !o->alloc.free || whorl__bad_attr(&o->attr) ||
	       (o->flags & ~(CO_OPT_NO_GUARD_PROBE | CO_OPT_NO_SEGV_REPORT |
			     CO_OPT_POLL_ENGINE_EPOLL | CO_OPT_POLL_ENGINE_URING));
}

static struct co_options with_defaults(const struct co_options *opt)
{
	struct co_options o = opt ? *opt : (struct co_options){ .clock = CO_CLOCK_MONOTONIC };

	if (!o.alloc.alloc)
		o.alloc = (struct co_alloc){ system_alloc, system_free, NULL };
	if (o.grace == 0)
		o.grace = DEFAULT_GRACE;
	if (o.watchdog == 0)
		o.watchdog = DEFAULT_WATCHDOG;
	return o;
}

static void loop_init(struct co_loop *l, const struct co_options *o)
{
	memset(l, 0, offsetof(struct co_loop, wheel));
	l->opt = *o;
	if (o->attr.name) {
		strncpy(l->name, o->attr.name, sizeof l->name - 1);
		l->opt.attr.name = l->name;
	}
	l->guest = true;
	l->fd_armed = CO_FOREVER;
	if (o->now || o->clock != CO_CLOCK_VIRTUAL)
		whorl__clock(l); /* where a virtual one begins: it is not read again */
	l->virtual_clock = o->clock == CO_CLOCK_VIRTUAL;
	l->now = l->latest;
	whorl__group_init(&l->detached, &l->root, CO_GROUP_COLLECT);
	whorl__node_root(&l->root, NULL, NULL);
	l->root.group = &l->detached;
	list_init(&l->cancelled);
	wheel_init(&l->wheel, scope_tick(l->now));
	l->tidy_at = l->period_end = l->now;
	l->stack_class = whorl__stack_class(o->attr.stack_size, o->attr.flags);
	whorl__stack_pool_init(&l->stacks, HOME_SIZE, o->flags & CO_OPT_NO_GUARD_PROBE);
}

/* The epoll set with the timerfd in it. */
static int open_fds(struct co_loop *l)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int rc;

	l->timer_fd = -1;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0)
		return -errno;
	ev.data.fd = l->timer_fd =
		timerfd_create(l->opt.clock == CO_CLOCK_BOOTTIME ? CLOCK_BOOTTIME : CLOCK_MONOTONIC,
			       TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->timer_fd >= 0 && epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->timer_fd, &ev) == 0)
		return 0;
	rc = -errno;
	close_fds(l);
	return rc;
}

int co_loop_open(co_loop **out, const struct co_options *opt)
{
	struct co_options o;
	struct co_loop *l;
	int rc;

	if (!out)
		return -EINVAL;
	*out = NULL;
	if (whorl__loop)
		return -EBUSY;
	if (opt && bad_options(opt))
		return -EINVAL;
	o = with_defaults(opt);
	l = o.alloc.alloc(sizeof *l, o.alloc.ctx);
	if (!l)
		return -ENOMEM;
	loop_init(l, &o);
	rc = open_fds(l);
	if (rc < 0)
		goto no_fd;
	whorl__overflow_leave_alone = (o.flags & CO_OPT_NO_SEGV_REPORT) != 0;
	rc = whorl__overflow_watch();
	whorl__overflow_leave_alone = false;
	if (rc < 0)
		goto no_watch;
	enlist(l);
	*out = l;
	return 0;
no_watch:
	close_fds(l);
no_fd:
	whorl__free(l, l, sizeof *l);
	return rc;
}

/* --------------------------------------------------------------------------------------- a pass */

/* Of a timer that is none of the loop's own. */
static struct co *co_of(struct wheel_timer *t)
{
	return WHEEL_CONTAINER(t, struct co, timer);
}

/* With a crowd of sleepers each is cold when its time comes, most of all the page table's entry for
 * its stack; and a fetch from there holds the processor up until that is read, since it looks ahead
 * by less than what runs between two wakes. So the stacks of the next AHEAD are fetched together,
 * to wait for them once, and before that their control blocks and those of as many behind them:
 * where a slot's timers are few, nobody has fetched the first. Returns how many stacks. */
static __attribute__((noinline)) unsigned look_ahead_in_time(const struct co_loop *l)
{
	const struct co *next[2 * AHEAD];
	struct wheel_timer *t = wheel_peek(&l->wheel, NULL);
	unsigned n = 0;

	for (; n < 2 * AHEAD && t; t = wheel_peek(&l->wheel, t))
		if (t != &l->grace && t != &l->watchdog) {
			next[n] = co_of(t);
			warm_block(next[n++]);
		}
	if (n > AHEAD)
		n = AHEAD;
	for (unsigned i = 0; i < n; i++)
		queue_warm(&l->ready, next[i]);
	return n;
}

/* Lets everything happen that is due. What a coroutine has left to fire in the same batch, or gives
 * another to fire (the next in line for a limiter), joins it in order. */
static void look_at_timers(struct co_loop *l)
{
	struct wheel_timer *t;

	l->now = whorl__clock(l);
	wheel_advance(&l->wheel, scope_tick(l->now));
	while ((t = wheel_pop(&l->wheel)) != NULL) {
		struct co *co = co_of(t);

		if (l->fetched > 0)
			l->fetched--;
		else if (l->stats.live > CROWD)
			l->fetched = look_ahead_in_time(l);
		l->quiet_passes = 0;
		if (t == &l->grace) {
			l->grace_over = true;
		} else if (t == &l->watchdog) {
			whorl__report_overdue(l);
		} else {
			co->tick = TICK_NEVER;
			whorl__expire(co, wheel_expires(t));
			whorl__arm(co);
		}
		wheel_advance(&l->wheel, wheel_now(&l->wheel)); /* what was armed in the past */
	}
}

/* While nobody can run: what is due happens, then the one that waits for just this goes on, or else
 * time goes on to the next timer. */
static void jump(struct co_loop *l)
{
	l->now = l->latest;
	while (!l->ready.occupied) {
		co_ns next = tick_time(wheel_next(&l->wheel));

		if (l->settler && next > l->latest) {
			struct co *settler = l->settler;

			l->settler = NULL;
			whorl__wake(settler, 0);
			return;
		}
		if (next == CO_FOREVER)
			return;
		if (next > l->latest)
			l->latest = next;
		look_at_timers(l);
		if (l->grace_over)
			return;
	}
}

static void report_spin(struct co_loop *l)
{
	const struct ring *r = &l->ready.level[__builtin_ctz(l->ready.occupied)];
	const struct co *co = r->at[r->head & r->mask];

	whorl__report(l, CO_REPORT_SPIN, co->fiber.site,
		      "virtual time stands still: after %d passes coroutine '%s' is still runnable",
		      SPIN, whorl__name(co));
}

static bool has_mail(const struct co_loop *l)
{
	return l->mail && whorl__mailbox_has_mail(l->mail);
}

/* Descriptors: at each pass of the virtual clock or an injected one, after each wait of a guest,
 * and else every POLL_INTERVAL. True: mail was there, so that descriptors may be ready since. */
static bool look_outside(struct co_loop *l)
{
	bool mail = has_mail(l);

	if (l->idle || (l->fd_waits > 0 && (l->virtual_clock || l->opt.now ||
					    whorl__clock(l) - l->polled >= POLL_INTERVAL))) {
		whorl__poll(l, 0);
		l->polled = l->latest;
	}
	whorl__run_mail(l);
	return mail;
}

static void pass(struct co_loop *l)
{
	struct co *first;
	bool mail;

	enter(l);
	l->on = whorl__fiber_running();
	l->stats.passes++;
	mail = look_outside(l);
	if (l->virtual_clock && !mail && !l->ready.occupied && l->abroad == 0)
		jump(l);
	else
		look_at_timers(l);
	if (l->virtual_clock && ++l->quiet_passes == SPIN && l->ready.occupied)
		report_spin(l);
	if (l->now >= l->tidy_at)
		whorl__tidy(l);
	l->budget = l->virtual_clock ? (unsigned)queue_length(&l->ready) : BUDGET;
	first = next_ready(l);
	if (first)
		whorl__fiber_switch(first->on, whorl__resume_value(first));
	while (l->errand)
		whorl__run_errand(l);
	leave();
}

/* When the next pass has something to do: an instant, at most l->now if at once. On the virtual
 * clock while a timer is armed: none is for CO_FOREVER. */
static co_ns next_work(struct co_loop *l)
{
	if (l->ready.occupied || has_mail(l))
		return l->now;
	if (!l->virtual_clock)
		return tick_time(wheel_next(&l->wheel));
	if (l->abroad == 0 && (wheel_count(&l->wheel) > 0 || l->settler))
		return l->now;
	return CO_FOREVER;
}

/* The same, and when memory can be given back. */
static co_ns next_wake(struct co_loop *l)
{
	co_ns next = next_work(l);

	if (l->tidy_at < next && !l->virtual_clock && whorl__stack_pool_untidy(&l->stacks))
		return l->tidy_at;
	return next;
}

/* Makes timer_fd readable at that instant; it stays so until armed anew. An injected clock goes at
 * a pace of its own: for that one the wait is relative, and looked at again. */
static void arm_fd(struct co_loop *l, co_ns at)
{
	struct itimerspec its = { .it_value = { 0, 0 } };
	bool relative = l->opt.now || at <= l->now;
	co_ns value = at <= l->now ? 1 : relative ? at - l->now : at;

	if (at == l->fd_armed || (at <= l->now && l->fd_armed <= l->now && !l->opt.now))
		return;
	if (at != CO_FOREVER) {
		its.it_value.tv_sec = value / 1000000000;
		its.it_value.tv_nsec = value % 1000000000;
	}
	timerfd_settime(l->timer_fd, relative ? 0 : TFD_TIMER_ABSTIME, &its, NULL);
	l->fd_armed = l->opt.now ? INT64_MIN : at;
}

/* When to wake for a timer: a wake costs much more than what a coroutine does in it, so those that
 * are due in quick succession share one. 100 000 sleepers: half the CPU, p50 50 us later. */
static co_ns wake_time(const struct co_loop *l, co_ns next)
{
	co_ns least;

	if (l->virtual_clock || l->opt.now)
		return next;
	least = l->woke + WAKE_INTERVAL; /* of a real clock: far from the end of time */
	return next > least ? next : least;
}

/* True: the next pass, at once. False: all is ready for a wait. */
static bool pass_once(struct co_loop *l)
{
	co_ns next;

	if (l->mail)
		whorl__mailbox_awake(l->mail);
	pass(l);
	next = next_wake(l);
	if (next > l->now && l->mail && !whorl__mailbox_sleep(l->mail))
		next = l->now;
	l->idle = l->guest && next > l->now;
	if (next > l->now)
		arm_fd(l, wake_time(l, next));
	else if (l->guest)
		arm_fd(l, next);
	return next <= l->now;
}

/* 0, or why the caller may not. */
static int may_run(const struct co_loop *l)
{
	if (!l)
		return -EINVAL;
	if (whorl__loop)
		return -EBUSY;
	if (l->of_parent)
		return -EPERM;
	return 0;
}

int co_loop_run_once(co_loop *l)
{
	int rc = may_run(l);

	return rc < 0 ? rc : pass_once(l);
}

int co_loop_spawn(co_loop *l, co_fn *fn, void *arg)
{
	struct co *co;
	int rc;

	if (!l)
		return -EINVAL;
	if (l->of_parent)
		return -EPERM;
	if (l->root.effective)
		return -ECANCELED;
	rc = whorl__spawn(l, &l->detached, &(struct spawn){ .fn = fn, .arg = arg, .site = SITE() },
			  &co);
	if (rc == 0 && whorl__loop != l)
		arm_fd(l, l->now);
	return rc;
}

int co_loop_fd(const co_loop *l)
{
	return !l ? -EINVAL : l->of_parent ? -EPERM : l->epoll_fd;
}

co_ns co_loop_timeout(const co_loop *l)
{
	/* wheel_next may put its house in order */
	struct co_loop *loop = (struct co_loop *)(uintptr_t)l;
	co_ns next, now;

	if (!l || l->of_parent)
		return CO_FOREVER;
	next = next_wake(loop);
	if (next == CO_FOREVER || next <= l->now)
		return next == CO_FOREVER ? CO_FOREVER : 0;
	now = whorl__clock(loop);
	return next > now ? next - now : 0;
}

size_t co_loop_live(const co_loop *l)
{
	return l ? l->stats.live : 0;
}

/* -------------------------------------------------------------------------------------- the end */

static void shut_down(struct co_loop *l, int err)
{
	co_ns end;

	l->shutting_down = true;
	enter(l); /* hooks may be called, and ask */
	whorl__cancel(&l->root, CO_CAUSE_SHUTDOWN, err, NULL);
	leave();
	end = sat_add(whorl__clock(l), l->opt.grace);
	if (end != CO_FOREVER)
		wheel_arm(&l->wheel, &l->grace, scope_tick(end));
}

/* One report on all that live. */
static void report_all(struct co_loop *l, enum co_report kind, const char *headline)
{
	char buf[4096];
	struct text t = { buf, buf + sizeof buf };
	size_t shown = 0;

	whorl__print(&t, "%s: %zu live", headline, l->stats.live);
	if (l->abroad > 0)
		whorl__print(&t, ", %zu pieces of offloaded work", l->abroad);
	for (size_t i = 0; i < l->chunk_count * CHUNK && t.end - t.at > 512; i++) {
		const struct co *co = l->chunks[i / CHUNK].at;

		if (!co)
			continue;
		co += i % CHUNK;
		if (co->state == STATE_FREE || co->state == STATE_DONE)
			continue;
		whorl__print(&t, "\n  ");
		whorl__describe(&t, co);
		whorl__print(&t, ", spawned at ");
		whorl__print_site(&t, co->fiber.site);
		shown++;
	}
	if (shown < l->stats.live)
		whorl__print(&t, "\n  and %zu more", l->stats.live - shown);
	enter(l); /* the hook is called inside */
	whorl__report(l, kind, NULL, "%s", buf);
	leave();
}

/* After a pass that had nothing more to do. False: nothing will ever happen again. */
static bool wait(struct co_loop *l)
{
	if (next_work(l) == CO_FOREVER && l->fd_waits == 0 && l->abroad == 0 && !l->shared)
		return false;
	whorl__poll(l, -1); /* EINTR: look again */
	l->polled = l->woke = whorl__clock(l);
	return true;
}

/* Until main has returned and all others have ended; or -EDEADLK, -ETIMEDOUT. */
static int run_to_the_end(struct co_loop *l)
{
	int rc = 0;

	while (l->stats.live > 0 || l->abroad > 0) {
		if (!l->main && !l->shutting_down)
			shut_down(l, 0);
		if (pass_once(l) && !l->grace_over)
			continue;
		if ((l->stats.live == 0 && l->abroad == 0) || (!l->main && !l->shutting_down))
			continue;
		if (!l->grace_over && wait(l))
			continue;
		if (l->shutting_down) {
			l->grace_over = true;
			report_all(l, CO_REPORT_STUCK_AT_EXIT, "stuck at exit, memory kept");
			return rc ? rc : -ETIMEDOUT;
		} else {
			report_all(l, CO_REPORT_DEADLOCK, "deadlock");
			rc = -EDEADLK;
			shut_down(l, EDEADLK);
		}
	}
	return rc;
}

static void free_loop(struct co_loop *l)
{
	struct node *n;
	struct group *g;

	whorl__blocks_free(l);
	whorl__free_fds(l);
	whorl__queue_free(l);
	while ((n = l->free_nodes) != NULL) {
		l->free_nodes = n->next;
		whorl__free(l, n, sizeof *n);
	}
	while ((g = l->free_groups) != NULL) {
		l->free_groups = g->next;
		whorl__free(l, g, sizeof *g);
	}
	whorl__free(l, l, sizeof *l);
}

/* What was accepted is done; what a stuck coroutine shared refers to the mailbox, which then
 * stays. */
static void close_mailbox(struct co_loop *l, bool stuck)
{
	whorl__mailbox_shut(l->mail);
	enter(l);
	whorl__cancel(&l->root, CO_CAUSE_SHUTDOWN, 0, NULL); /* nobody is spawned any more */
	whorl__run_mail(l);
	leave();
	if (!stuck)
		whorl__mailbox_free(l->mail);
}

/* What still lives is stuck, and everything it may touch stays. */
static void dispose(struct co_loop *l)
{
	bool stuck = l->stats.live > 0 || l->abroad > 0;

	if (l->abroad == 0)
		whorl__end_pool(l);
	if (l->mail)
		close_mailbox(l, stuck);
	whorl__overflow_unwatch();
	delist(l, stuck); /* first: a fork in between closes what is listed */
	close_fds(l);
	if (stuck)
		return;
	whorl__stack_pool_fini(&l->stacks);
	free_loop(l);
}

int co_loop_close(co_loop *l)
{
	int rc = may_run(l);

	if (rc < 0)
		return rc;
	l->guest = false;
	rc = run_to_the_end(l);
	dispose(l);
	return rc;
}

int co_run(co_fn *main_fn, void *arg, const struct co_options *opt, int *exit_code)
{
	struct co_loop *l;
	int rc;

	if (!main_fn)
		return -EINVAL;
	rc = co_loop_open(&l, opt);
	if (rc < 0)
		return rc;
	rc = whorl__spawn(
		l, &l->detached,
		&(struct spawn){ .fn = main_fn, .arg = arg, .site = SITE(), .exit_out = exit_code },
		&l->main);
	if (rc == 0)
		rc = co_loop_close(l);
	else
		dispose(l);
	return rc;
}

int co_stats(struct co_stats *out)
{
	struct co_loop *l = whorl__loop;

	if (!out)
		return -EINVAL;
	if (!l)
		return -EPERM;
	*out = l->stats;
	out->timers = wheel_count(&l->wheel);
	out->stacks_madvise = l->stacks.in_use[WHORL__GUARD_MADVISE];
	out->stacks_mprotect = l->stacks.in_use[WHORL__GUARD_MPROTECT];
	out->stacks_canary = l->stacks.in_use[WHORL__GUARD_CANARY];
	out->stacks_small = l->stacks.in_use[WHORL__GUARD_SMALL];
	out->stack_mapped = l->stacks.mapped;
	return 0;
}
