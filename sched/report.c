/* What the library says: misuse, reports, and how a place in the program is written.
 *
 * Sites are return addresses, recorded where a call is made and looked up only when a text is made
 * of them. Hooks run while the loop counts as one that runs no coroutine: a call that would suspend
 * gives -EPERM there. Small stacks have no room for any of it: texts are made, and hooks called,
 * on the loop's own then. (In what the loop calls that one is not at hand: a generator that speaks
 * there needs the room.) */
#define _GNU_SOURCE /* dladdr */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "sched.h"

enum { TEXT_SIZE = 512 };

static void vprint(struct text *t, const char *format, va_list args)
{
	int n = vsnprintf(t->at, (size_t)(t->end - t->at), format, args);

	if (n > 0)
		t->at += n < t->end - t->at ? n : t->end - t->at - 1;
}

void whorl__print(struct text *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprint(t, format, args);
	va_end(args);
}

int co_site_format(const void *site, char *buf, size_t size)
{
	uintptr_t at = (uintptr_t)site;
	Dl_info info;

	if (!buf && size > 0)
		return -EINVAL;
	if (!site)
		return snprintf(buf, size, "?");
	if (dladdr(site, &info) == 0)
		return snprintf(buf, size, "%p", site);
	if (info.dli_sname)
		return snprintf(buf, size, "%s+%#zx", info.dli_sname,
				(size_t)(at - (uintptr_t)info.dli_saddr));
	return snprintf(buf, size, "%s+%#zx", info.dli_fname,
			(size_t)(at - (uintptr_t)info.dli_fbase));
}

void whorl__print_site(struct text *t, const void *site)
{
	char buf[128];

	co_site_format(site, buf, sizeof buf);
	whorl__print(t, "%s", buf);
}

/* Most calls that wait end with a jump to the switch, so where such a coroutine goes on is the
 * user's code. A place in the library itself would tell nobody anything. */
static bool is_ours(const void *place)
{
#ifdef PIC /* libtool's, for the shared library: otherwise the program's code and ours are one */
	Dl_info its, ours;

	return dladdr(place, &its) != 0 &&
	       dladdr((const void *)(uintptr_t)whorl__describe, &ours) != 0 &&
	       its.dli_fbase == ours.dli_fbase;
#else
	(void)place;
	return false;
#endif
}

static void describe_wait(struct text *t, const struct co *co)
{
	const void *place = whorl__fiber_place(co->on);

	whorl__print(t, "for %lld ms waiting for %s",
		     (long long)((co->loop->latest - co->wait.since) / 1000000), co->wait.what);
	if (place && !is_ours(place)) {
		whorl__print(t, " at ");
		whorl__print_site(t, place);
	}
}

void whorl__describe(struct text *t, const struct co *co)
{
	whorl__print(t, "coroutine '%s' #%u, ", whorl__name(co), (unsigned)co->index);
	if (co->state == STATE_PARKED)
		describe_wait(t, co);
	else
		whorl__print(t, co->state == STATE_RUNNING ? "running" : "ready to run");
}

/* ------------------------------------------------------------------------------ on which stack */

struct errand {
	void (*fn)(void *arg);
	void *arg;
	struct whorl__fiber *back;
};

void whorl__run_errand(struct co_loop *l)
{
	struct errand *e = l->errand;

	l->errand = NULL;
	e->fn(e->arg);
	whorl__fiber_switch(e->back, NULL);
}

/* Calls fn(arg), which returns before anything else runs. While a coroutine runs, l->on stands in
 * pass() and looks for an errand; else it is whatever called us. errno is the caller's, whatever a
 * hook does. */
static void with_room(struct co_loop *l, void (*fn)(void *arg), void *arg)
{
	struct errand e = { fn, arg, whorl__fiber_running() };
	int saved_errno = errno;

	if (whorl__self() && e.back != l->on && e.back->stack.low &&
	    e.back->stack.guard == WHORL__GUARD_SMALL) {
		l->errand = &e;
		whorl__fiber_switch(l->on, NULL);
	} else {
		fn(arg);
	}
	errno = saved_errno;
}

/* --------------------------------------------------------------------------- misuse and reports */

/* What is to be said. */
struct saying {
	struct co_loop *loop;
	int kind;
	const void *site;
	const char *format;
	va_list args;
};

static void say_misuse(void *arg)
{
	struct saying *s = arg;
	struct co_loop *l = s->loop;
	struct co *current = whorl__self();
	char buf[TEXT_SIZE];
	struct text t = { buf, buf + sizeof buf };

	vprint(&t, s->format, s->args);
	whorl__print(&t, ", at ");
	whorl__print_site(&t, s->site);
	if (current)
		whorl__print(&t, ", in coroutine '%s'", whorl__name(current));
	if (!l || !l->opt.on_misuse) {
		fprintf(stderr, "whorl: misuse: %s\n", buf);
		abort();
	}
	whorl__running = NULL;
	l->opt.on_misuse((enum co_misuse)s->kind, buf, s->site, l->opt.hook_ctx);
	whorl__stop_in_child(l, NULL);
	whorl__running = current;
}

int whorl__misuse(enum co_misuse kind, int rc, const void *site, const char *format, ...)
{
	struct saying s = {
		.loop = whorl__loop, .kind = (int)kind, .site = site, .format = format
	};

	va_start(s.args, format);
	with_room(s.loop, say_misuse, &s);
	va_end(s.args);
	return rc;
}

struct order {
	const void *outer, *inner;
};

static void say_order(void *arg)
{
	const struct order *o = arg;
	char inner[128];

	co_site_format(o->inner, inner, sizeof inner);
	whorl__misuse(CO_MISUSE_SCOPE_ORDER, 0, o->outer,
		      "end of a scope before one inside it, which began at %s", inner);
}

void whorl__misuse_order(const void *outer, const void *inner)
{
	with_room(whorl__loop, say_order, &(struct order){ outer, inner });
}

int whorl__misplaced(const void *site)
{
	if (whorl__loop)
		whorl__misuse(CO_MISUSE_CALLBACK, 0, site,
			      "a call that suspends, in a callback of the loop");
	return -EPERM;
}

static void say_report(void *arg)
{
	struct saying *s = arg;
	struct co_loop *l = s->loop;
	struct co *current = whorl__self();
	char buf[4096 + TEXT_SIZE];
	struct text t = { buf, buf + sizeof buf };

	vprint(&t, s->format, s->args);
	if (s->site) {
		whorl__print(&t, ", spawned at ");
		whorl__print_site(&t, s->site);
	}
	if (!l->opt.on_report) {
		fprintf(stderr, "whorl: %s\n", buf);
		return;
	}
	whorl__running = NULL;
	l->opt.on_report((enum co_report)s->kind, buf, s->site, l->opt.hook_ctx);
	whorl__stop_in_child(l, NULL);
	whorl__running = current;
}

void whorl__report(struct co_loop *l, enum co_report kind, const void *site, const char *format,
		   ...)
{
	struct saying s = { .loop = l, .kind = (int)kind, .site = site, .format = format };

	va_start(s.args, format);
	with_room(l, say_report, &s);
	va_end(s.args);
}

void whorl__stop_in_child(const struct co_loop *l, const char *coroutine)
{
	if (WHORL__LIKELY(!l->of_parent))
		return;
	fprintf(stderr, "whorl: %s%s%s returned in a child of fork\n",
		coroutine ? "coroutine '" : "a callback", coroutine ? coroutine : "",
		coroutine ? "'" : "");
	abort();
}

/* ------------------------------------------------------------------------------------- watchdog */

bool whorl__watch(struct co *co)
{
	struct co_loop *l = co->loop;

	if (co->group == &l->detached)
		return false; /* the grace at the end is for those */
	co->home->cancelled_at = l->latest;
	list_append(&l->cancelled, &co->home->overdue);
	return true;
}

void whorl__unwatch(struct co *co)
{
	struct co_loop *l = co->loop;

	list_remove(&co->home->overdue);
	if (list_empty(&l->cancelled))
		wheel_disarm(&l->wheel, &l->watchdog);
}

static void report_stuck(void *arg)
{
	const struct co *co = arg;
	const struct co_loop *l = co->loop;
	char buf[256];
	struct text t = { buf, buf + sizeof buf };

	whorl__describe(&t, co);
	whorl__report(co->loop, CO_REPORT_STUCK_CHILD, co->fiber.site,
		      "cancelled %lld ms ago and still here: %s",
		      (long long)((l->latest - co->home->cancelled_at) / 1000000), buf);
}

/* All have the same patience, so the first in the list is the first to try it. False: not yet. */
static bool report_first(struct co_loop *l)
{
	struct link *first = list_first(&l->cancelled);
	struct home *home;
	co_ns due;

	if (!first)
		return false;
	home = CONTAINER(first, struct home, overdue);
	due = sat_add(home->cancelled_at, l->opt.watchdog);
	if (due > l->latest) {
		if (due != CO_FOREVER && !wheel_armed(&l->watchdog))
			wheel_arm(&l->wheel, &l->watchdog, op_tick(due));
		return false;
	}
	list_remove(first);
	with_room(l, report_stuck, home->root.owner);
	return true;
}

/* One after the other: what a hook cancels joins the list, and its turn comes when the hook has
 * returned. */
void whorl__report_overdue(struct co_loop *l)
{
	if (l->reporting)
		return;
	l->reporting = true;
	while (report_first(l))
		;
	l->reporting = false;
}
