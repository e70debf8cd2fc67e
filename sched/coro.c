/* The life of a coroutine: spawn, run, finish, join; and references to it.
 *
 * A reference is a place among the control blocks, the generation of that place, and a few bits of
 * the loop's serial, so that any number whatever can be looked up: control blocks stay control
 * blocks while the loop lives. A coroutine that has finished gives its stack back at once; its
 * control block stays only if somebody asked for the reference, until it is joined or its group
 * ends.
 *
 * At the top of the stack lies its home (sched.h): what is needed only while it lives, and is not
 * needed to wake it. */
#include <stdio.h>

#include "queue.h"

/* -------------------------------------------------------------------------------------- references
 *
 *	63          32 31      24 23         0
 *	| generation  | loop     | place      |		generations begin at 1, so 0 is none */
enum { LOOP_BITS = 32 - PLACE_BITS };

static const uint32_t place_mask = (UINT32_C(1) << PLACE_BITS) - 1;

static uint32_t loop_bits(uint32_t serial)
{
	return serial & ((UINT32_C(1) << LOOP_BITS) - 1);
}

co_ref whorl__ref(const struct co *co)
{
	return (co_ref){ (uint64_t)co->gen << 32 | loop_bits(co->loop->serial) << PLACE_BITS |
			 co->index };
}

/* 0, also for one that is done but kept; -ESRCH; -EPERM outside a loop; -EXDEV after misuse. */
int whorl__lookup(co_ref ref, struct co **out, const void *site)
{
	struct co_loop *l = whorl__loop;
	uint32_t place = (uint32_t)ref.id & place_mask, bits = (uint32_t)ref.id >> PLACE_BITS;
	struct co *co;

	if (!l || ref.id == 0)
		return -ESRCH;
	if (bits != loop_bits(l->serial)) {
		if (whorl__ref_alive_elsewhere(ref))
			return whorl__misuse(CO_MISUSE_LOOP, -EXDEV, site,
					     "a coroutine of another runtime");
		return -ESRCH;
	}
	if (place / PLACES >= l->chunk_count || place % PLACES >= CHUNK)
		return -ESRCH;
	co = l->chunks[place / PLACES].at;
	if (!co)
		return -ESRCH;
	co += place % PLACES;
	if (co->state == STATE_FREE || co->gen != ref.id >> 32)
		return -ESRCH;
	*out = co;
	return 0;
}

/* --------------------------------------------------------------------------------------- finish */

/* Tells everybody who waits for this: the joiner, the one that waits for its start, the group. */
static void tell(struct co *co)
{
	struct waiter *joiner;

	if (co->start)
		whorl__start_failed(co->start, co->exit);
	list_remove(&co->sibling);
	whorl__child_done(co);
	joiner = first_waiter(&co->joiners);
	if (joiner) {
		co->keep = false;
		if (joiner->item)
			*(int *)joiner->item = co->exit;
		whorl__wake(joiner->co, 0);
	}
}

/* The last of it runs on a stack that was put back: before its switch nobody takes another. */
static _Noreturn void finish(struct co *co, int rc)
{
	struct co_loop *l = co->loop;
	struct co *next;

	if (!is_root(co->scope))
		whorl__close_all(co);
	if (co->admitted)
		whorl__give_back(co);
	if (co->mutexes)
		whorl__misuse(CO_MISUSE_MUTEX, 0, (const void *)(uintptr_t)co->home->fn,
			      "a coroutine returned with a mutex locked");
	co->exit = rc;
	co->was_cancelled = co->home->root.effective;
	if (co->home->exit_out)
		*co->home->exit_out = rc;
	if (co->tick != TICK_NEVER)
		wheel_disarm(&l->wheel, &co->timer);
	tell(co);
	if (!list_empty(&co->home->overdue))
		whorl__unwatch(co); /* not before: a hook may have cancelled it till now */
	if (co == l->main)
		l->main = NULL;
	co->state = STATE_DONE;
	co->home = NULL;
	l->stats.live--;
	queue_leave(l, co->level);
	if (co->keep && co->group != &l->detached)
		list_append(&co->group->done, &co->sibling);
	else
		whorl__co_free(co);
	whorl__stack_put(&l->stacks, &co->fiber.stack);
	next = next_ready(l);
	if (next)
		whorl__fiber_exit(next->on, whorl__resume_value(next));
	whorl__fiber_exit(l->on, NULL);
}

static void run(void *arg, void *value)
{
	struct co *co = arg;
	int rc;

	(void)value;
	WHORL__FRAME_RECORD();
	rc = co->home->fn(co->home->arg);
	whorl__stop_in_child(co->loop, whorl__name(co));
	finish(co, rc);
}

/* ---------------------------------------------------------------------------------------- spawn */

bool whorl__bad_attr(const struct co_attr *attr)
{
	return attr->priority < CO_PRIO_LOW || attr->priority > CO_PRIO_HIGH ||
	       attr->stack_size > WHORL__STACK_MAX || (attr->flags & ~WHORL__ATTR_FLAGS);
}

_Static_assert(HOME_SIZE <= WHORL__RECORD_MAX, "the stack's own bytes are the user's");

static void make_home(struct co *co, struct group *g, const struct spawn *what, const char *name)
{
	char *top = whorl__stack_top(&co->fiber.stack);
	struct home *home = (struct home *)(void *)(top - HOME_SIZE);

	co->home = home;
	whorl__node_root(&home->root, g->node, co);
	home->fn = what->fn;
	home->arg = what->arg;
	home->exit_out = what->exit_out;
	list_init(&home->overdue);
	whorl__copy_name(home->name, name);
	co->scope = &home->root;
	co->nearest = TICK_NEVER;
}

static void co_init(struct co *co, struct group *g, const struct spawn *what,
		    const struct co_attr *attr)
{
	co->gen++;
	co->gen += co->gen == 0;
	co->tick = TICK_NEVER;
	list_init(&co->joiners);
	co->start = NULL;
	co->group = g;
	co->local = NULL;
	co->level = (unsigned char)level_of(attr->priority);
	co->keep = co->was_cancelled = co->stormed = false;
	co->patience = PATIENCE;
	co->checkpoints = co->ignored = co->depth = co->mutexes = 0;
	make_home(co, g, what, attr->name);
	whorl__fiber_init(&co->fiber, co->home, attr->flags, run, co);
	co->fiber.name = co->home->name;
	co->fiber.site = what->site;
	co->on = &co->fiber;
}

/* A size that is not given is the loop's, if that is of the same kind. */
static unsigned stack_class(const struct co_loop *l, const struct co_attr *attr)
{
	if (attr->stack_size == 0 && !((attr->flags ^ l->opt.attr.flags) & CO_SMALL_STACK))
		return l->stack_class;
	return whorl__stack_class(attr->stack_size, attr->flags);
}

int whorl__spawn(struct co_loop *l, struct group *g, const struct spawn *what, struct co **out)
{
	const struct co_attr *attr = what->attr ? what->attr : &l->opt.attr;
	struct co *co;
	int rc;

	if (!what->fn || (what->attr && whorl__bad_attr(attr)))
		return -EINVAL;
	co = whorl__co_get(l);
	if (!co)
		return -ENOMEM;
	rc = whorl__stack_take(&l->stacks, stack_class(l, attr), &co->fiber.stack);
	if (rc < 0)
		goto no_stack;
	rc = queue_join(l, level_of(attr->priority));
	if (rc < 0)
		goto no_room;
	co_init(co, g, what, attr);
	list_append(&g->live, &co->sibling);
	g->running++;
	l->stats.live++;
	l->stats.spawned++;
	make_ready(co);
	*out = co;
	return 0;
no_room:
	whorl__stack_put(&l->stacks, &co->fiber.stack);
no_stack:
	whorl__co_free(co);
	return rc;
}

/* ----------------------------------------------------------------------------------------- join */

static void take_record(struct co *co, int *exit)
{
	if (exit)
		*exit = co->exit;
	list_remove(&co->sibling);
	whorl__co_free(co);
}

static int wait_for_exit(struct co *co, struct co *target, co_ns abs, int *exit)
{
	struct wait *w = whorl__wait_for(co, "a coroutine to end", abs, -ETIMEDOUT);

	w->waiter.item = exit;
	list_append(&target->joiners, &w->waiter.link);
	return whorl__park(co);
}

static int join_until(co_ref ref, int *exit_code, co_ns abs, const void *frame, const void *site)
{
	struct co *co = whorl__suspender(site), *target;
	int rc;

	if (!co)
		return -EPERM;
	rc = whorl__point(co, frame);
	if (rc == 0)
		rc = whorl__lookup(ref, &target, site);
	if (rc < 0)
		return rc;
	if (target == co)
		return -EDEADLK;
	if (!list_empty(&target->joiners))
		return -EBUSY;
	if (target->state == STATE_DONE) {
		take_record(target, exit_code);
		return 0;
	}
	if (past(co, abs))
		return -ETIMEDOUT;
	return wait_for_exit(co, target, abs, exit_code);
}

FRAMED int co_join(co_ref ref, int *exit_code)
{
	return join_until(ref, exit_code, CO_FOREVER, FRAME(), SITE());
}

FRAMED int co_join_until(co_ref ref, int *exit_code, co_ns abs)
{
	return join_until(ref, exit_code, abs, FRAME(), SITE());
}

/* ------------------------------------------------------------------------- cancel and questions */

int co_cancel(co_ref ref, int err)
{
	struct co *co;
	int rc;

	if (whorl__bad_err(err))
		return -EINVAL;
	rc = whorl__lookup(ref, &co, SITE());
	if (rc < 0)
		return rc;
	if (co->state == STATE_DONE)
		return -ESRCH;
	whorl__cancel(&co->home->root, CO_CAUSE_EXPLICIT, err, SITE());
	return 0;
}

bool co_was_cancelled(co_ref ref)
{
	struct co *co;

	if (whorl__lookup(ref, &co, SITE()) < 0)
		return false;
	return co->state == STATE_DONE ? co->was_cancelled : co->home->root.effective;
}

co_ref co_self(void)
{
	struct co *co = whorl__self();

	return co ? whorl__ref(co) : (co_ref){ 0 };
}

const char *whorl__name(const struct co *co)
{
	return co->home ? co->home->name : "";
}

const char *co_name(co_ref ref)
{
	struct co *co;

	return whorl__lookup(ref, &co, SITE()) < 0 || co->state == STATE_DONE ? NULL
									      : whorl__name(co);
}

void co_set_local(void *ptr)
{
	struct co *co = whorl__self();

	if (co)
		co->local = ptr;
}

void *co_local(void)
{
	struct co *co = whorl__self();

	return co ? co->local : NULL;
}

size_t co_stack_used(co_ref ref)
{
	struct co *co;

	if (whorl__lookup(ref, &co, SITE()) < 0 || co->state == STATE_DONE)
		return 0;
	return whorl__stack_used(&co->fiber.stack, HOME_SIZE);
}
