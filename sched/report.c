/* What the library says: misuse, reports, and how a place in the program is written.
 *
 * Sites are return addresses, recorded where a call is made and looked up only when a text is made
 * of them. Hooks run while the loop counts as one that runs no coroutine: a call that would suspend
 * gives -EPERM there. */
#define _GNU_SOURCE	/* dladdr */
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

void whorl__describe(struct text *t, const struct co *co)
{
	whorl__print(t, "coroutine '%s' #%u, ", whorl__name(co), (unsigned)co->index);
	if (co->state == STATE_PARKED)
		whorl__print(t, "for %lld ms waiting for %s",
			     (long long)((co->loop->latest - co->wait.since) / 1000000),
			     co->wait.what);
	else
		whorl__print(t, co->state == STATE_RUNNING ? "running" : "ready to run");
}

int whorl__misuse(enum co_misuse kind, int rc, const void *site, const char *format, ...)
{
	struct co_loop *l = whorl__loop;
	struct co *current = l ? l->current : NULL;
	char buf[TEXT_SIZE];
	struct text t = { buf, buf + sizeof buf };
	va_list args;

	va_start(args, format);
	vprint(&t, format, args);
	va_end(args);
	whorl__print(&t, ", at ");
	whorl__print_site(&t, site);
	if (current)
		whorl__print(&t, ", in coroutine '%s'", whorl__name(current));
	if (!l || !l->opt.on_misuse) {
		fprintf(stderr, "whorl: misuse: %s\n", buf);
		abort();
	}
	l->current = NULL;
	l->opt.on_misuse(kind, buf, site, l->opt.hook_ctx);
	l->current = current;
	return rc;
}

struct co *whorl__misplaced(const void *site)
{
	if (whorl__loop)
		whorl__misuse(CO_MISUSE_CALLBACK, 0, site,
			      "a call that suspends, in a callback of the loop");
	return NULL;
}

void whorl__report(struct co_loop *l, enum co_report kind, const void *site, const char *format,
		   ...)
{
	struct co *current = l->current;
	char buf[4096 + TEXT_SIZE];
	struct text t = { buf, buf + sizeof buf };
	va_list args;

	va_start(args, format);
	vprint(&t, format, args);
	va_end(args);
	if (site) {
		whorl__print(&t, ", spawned at ");
		whorl__print_site(&t, site);
	}
	if (!l->opt.on_report) {
		fprintf(stderr, "whorl: %s\n", buf);
		return;
	}
	l->current = NULL;
	l->opt.on_report(kind, buf, site, l->opt.hook_ctx);
	l->current = current;
}

/* ------------------------------------------------------------------------------------- watchdog */

void whorl__watch(struct co *co)
{
	struct co_loop *l = co->loop;

	if (co->group == &l->detached)
		return;		/* the grace at the end is for those */
	co->home->cancelled_at = l->latest;
	list_append(&l->cancelled, &co->home->overdue);
	whorl__report_overdue(l);
}

void whorl__unwatch(struct co *co)
{
	struct co_loop *l = co->loop;

	list_remove(&co->home->overdue);
	if (list_empty(&l->cancelled))
		wheel_disarm(&l->wheel, &l->watchdog);
}

/* All have the same patience, so the first in the list is the first to try it. */
void whorl__report_overdue(struct co_loop *l)
{
	co_ns patience = l->opt.watchdog, due;
	struct link *first;

	while ((first = list_first(&l->cancelled)) != NULL) {
		struct home *home = CONTAINER(first, struct home, overdue);
		struct co *co = home->root.owner;
		char buf[256];
		struct text t = { buf, buf + sizeof buf };

		due = sat_add(home->cancelled_at, patience);
		if (due == CO_FOREVER)
			return;
		if (due > l->latest) {
			if (!wheel_armed(&l->watchdog))
				wheel_arm(&l->wheel, &l->watchdog, op_tick(due));
			return;
		}
		list_remove(first);
		whorl__describe(&t, co);
		whorl__report(l, CO_REPORT_STUCK_CHILD, co->fiber.site,
			      "cancelled %lld ms ago and still here: %s",
			      (long long)((l->latest - home->cancelled_at) / 1000000), buf);
	}
}
