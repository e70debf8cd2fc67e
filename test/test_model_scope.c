/*
 * Random programs of scopes against a model that knows no timers and no queues, only the sentences
 * of the contract (C4 to C16). Deadlines lie on a grid of milliseconds, so that many are equal.
 *
 * In the first test several coroutines begin, end, move and cancel scopes, their own and each
 * other's, and sleep. The model of a coroutine is the list of its scopes and, while it sleeps, what
 * the sleep will give as soon as that is certain. In the second test a random tree of groups is
 * struck at random places, and each coroutine of it must see exactly what lies on its way outward.
 */
#include "scenario.h"

#include <inttypes.h>

static uint64_t random_state;

static int below(int n)
{
	return (int)(suite_random(&random_state) % (uint64_t)n);
}

/* ck_assert writes a record each time; here only where it fails. */
static int round_no;

static void same(int who, const char *what, int64_t got, int64_t want)
{
	if (got != want)
		ck_abort_msg("round %d coroutine %d at %" PRId64 " ns: %s is %" PRId64
			     ", not %" PRId64, round_no, who, co_now(), what, got, want);
}

/* ------------------------------------------------------------------- programs of scopes */

enum { ACTORS = 5, DEPTH = 8 };
enum state { ALIVE, EXPIRED, CANCELLED };

struct layer {
	co_scope scope;
	bool shield;
	enum state state;
	int err;		/* of CANCELLED */
	co_ns deadline;
};

/* A sleep that is open has no outcome yet; it is picked when its outcome is fixed (C8). */
struct actor {
	int number;
	int depth;
	struct layer layer[DEPTH];	/* outermost first */
	bool asleep, picked;
	co_ns until;			/* of the sleep */
	int outcome;			/* of the sleep that is picked */
	co_ns at;			/* when it was */
};

static struct actor actors[ACTORS];

static bool sees_cancel(const struct actor *a)
{
	for (int k = a->depth - 1; k >= 0; k--) {
		if (a->layer[k].state != ALIVE)
			return true;
		if (a->layer[k].shield)
			return false;
	}
	return false;
}

/* C5, C7: of the living scopes in sight. */
static co_ns nearest_deadline(const struct actor *a)
{
	co_ns nearest = CO_FOREVER;

	for (int k = a->depth - 1; k >= 0; k--) {
		if (a->layer[k].deadline < nearest)
			nearest = a->layer[k].deadline;
		if (a->layer[k].shield)
			break;
	}
	return nearest;
}

static void pick(struct actor *a, int outcome, co_ns at)
{
	a->picked = true;
	a->outcome = outcome;
	a->at = at;
}

/* Brings the model of an actor up to `now`. C9: at one instant the sleep is over first. */
static void age(struct actor *a, co_ns now)
{
	co_ns nearest = nearest_deadline(a);

	if (a->asleep && !a->picked && a->until <= now && a->until <= nearest)
		pick(a, 0, a->until);
	else if (a->asleep && !a->picked && nearest <= now)
		pick(a, CANC, nearest);
	for (int k = 0; k < a->depth; k++) {
		if (a->layer[k].state == ALIVE && a->layer[k].deadline <= now)
			a->layer[k].state = EXPIRED;
	}
}

/* What a layer of `a` was given by somebody, now. */
static void struck(struct actor *a)
{
	if (a->asleep && !a->picked && sees_cancel(a))
		pick(a, CANC, co_now());
}

static co_ns some_dur(bool endless)
{
	int n = below(20);

	if (n == 0)
		return endless ? CO_FOREVER : MS(30);
	return n == 1 ? INT64_MIN : MS(n - 4);
}

static co_ns later(co_ns dur)
{
	return dur == CO_FOREVER ? CO_FOREVER : dur < 0 ? co_now() - 1 : co_now() + dur;
}

static void do_begin(struct actor *a)
{
	struct layer *l = &a->layer[a->depth];
	co_ns stored = CO_FOREVER;
	co_ns dur;

	memset(l, 0, sizeof(*l));
	l->shield = below(4) == 0;
	dur = some_dur(!l->shield);
	if (below(4) == 0) {
		stored = some_dur(true);
		same(a->number, "store", co_scope_set_deadline(&l->scope, later(stored)), 0);
	}
	if (below(8) == 0) {
		l->state = CANCELLED;
		l->err = below(3);
		same(a->number, "early cancel", co_scope_cancel(&l->scope, l->err), 0);
	}
	if (l->shield)
		co_scope_begin_shield(&l->scope, dur);
	else
		co_scope_begin(&l->scope, dur);
	l->deadline = later(stored < dur ? stored : dur);
	if (l->state == ALIVE && l->deadline <= co_now())
		l->state = EXPIRED;
	a->depth++;
}

/* C11 */
static int end_of(struct actor *a, int rc)
{
	const struct layer *l = &a->layer[--a->depth];

	if (rc != CANC || (!l->shield && sees_cancel(a)) || l->state == ALIVE)
		return rc;
	return l->state == EXPIRED ? TMO : -l->err;
}

static void do_end(struct actor *a)
{
	static const int values[] = { 0, 5, -EIO, CANC, CANC, CANC };
	struct layer *l = &a->layer[a->depth - 1];
	int rc = values[below((int)LENGTH(values))];
	int want = end_of(a, rc);

	same(a->number, "end", co_scope_end(&l->scope, rc), want);
	same(a->number, "caught", co_scope_caught(&l->scope), rc == CANC && want != CANC);
	same(a->number, "move of the ended", co_scope_rearm(&l->scope, MS(1)), -ESRCH);
}

static void do_move(struct actor *owner, struct layer *l)
{
	co_ns dur = some_dur(!l->shield);
	bool alive = l->state == ALIVE;
	int rc = below(2) ? co_scope_rearm(&l->scope, dur) :
			    co_scope_set_deadline(&l->scope, later(dur));

	same(owner->number, "move", rc, alive ? 0 : -EALREADY);
	if (alive)
		l->deadline = later(dur);
	if (alive && l->deadline <= co_now())
		l->state = EXPIRED;
	struck(owner);
}

static void do_cancel(struct actor *owner, struct layer *l)
{
	int err = below(3);

	same(owner->number, "cancel", co_scope_cancel(&l->scope, err), 0);
	if (l->state == ALIVE) {
		l->state = CANCELLED;
		l->err = err;
	}
	struck(owner);
}

static void do_sleep(struct actor *a)
{
	co_ns dur = MS(below(12));
	co_ns begun = co_now();
	int rc;

	if (dur == 0 || sees_cancel(a)) {
		rc = dur ? co_sleep(dur) : co_yield_now();
		age(a, co_now());
		same(a->number, "yield", rc, sees_cancel(a) ? CANC : 0);
		same(a->number, "time", co_now(), begun);
		return;
	}
	a->until = begun + dur;
	a->asleep = true;
	rc = below(2) ? co_sleep(dur) : co_sleep_until(a->until);
	age(a, co_now());
	same(a->number, "sleep is picked", a->picked, true);
	same(a->number, "sleep", rc, a->outcome);
	same(a->number, "time of waking", co_now(), a->at);
	a->asleep = false;
	a->picked = false;
}

static void look(const struct actor *a)
{
	static const enum co_cause_kind kinds[] = {
		[ALIVE] = CO_CAUSE_NONE,
		[EXPIRED] = CO_CAUSE_DEADLINE,
		[CANCELLED] = CO_CAUSE_EXPLICIT,
	};
	bool cancelled = sees_cancel(a);

	same(a->number, "checkpoint", co_checkpoint(), cancelled ? CANC : 0);
	if (!cancelled)
		same(a->number, "deadline", co_deadline(), nearest_deadline(a));
	same(a->number, "no time", co_time_left() == 0, cancelled);
	for (int k = 0; k < a->depth; k++) {
		const struct layer *l = &a->layer[k];
		struct co_cause cause;

		same(a->number, "cancelled", co_scope_cancelled(&l->scope), l->state != ALIVE);
		co_scope_cause(&l->scope, &cause);
		same(a->number, "kind", cause.kind, kinds[l->state]);
		if (l->state == CANCELLED)
			same(a->number, "err", cause.err, l->err);
	}
}

/* An actor that has a scope; most often oneself. */
static struct actor *somebody(struct actor *self)
{
	struct actor *a = below(3) ? self : &actors[below(ACTORS)];

	if (a != self)
		age(a, co_now());
	return a->depth ? a : NULL;
}

static void step(struct actor *self)
{
	int what = below(16);
	struct actor *a;

	if (what < 4 && self->depth < DEPTH) {
		do_begin(self);
	} else if (what < 7 && self->depth) {
		do_end(self);
	} else if (what < 11) {
		a = somebody(self);
		if (a && what < 10)
			do_move(a, &a->layer[below(a->depth)]);
		else if (a)
			do_cancel(a, &a->layer[below(a->depth)]);
	} else {
		do_sleep(self);
	}
	look(self);
}

static int act(void *arg)
{
	struct actor *self = arg;

	for (int i = 0; i < 80; i++)
		step(self);
	while (self->depth)
		do_end(self);
	return 0;
}

SCENARIO_WITH(random_programs_of_scopes, hearing())
{
	random_state = suite_seed();
	for (round_no = 0; round_no < (suite_long() ? 20000 : 1000); round_no++) {
		co_group g;

		memset(actors, 0, sizeof(actors));
		co_group_begin(&g, CO_GROUP_FAIL_FAST);
		for (int i = 0; i < ACTORS; i++) {
			actors[i].number = i;
			spawn(&g, act, &actors[i]);
		}
		IS(co_group_end(&g, 0), 0);
	}
	IS(misuses()->count, 0);
	IS(reports()->count, 0);
}

/* ---------------------------------------------------------------------- trees of groups */

enum { NODES = 12, LAYERS = 2 };

/* A place that can be struck: a scope, a group or a coroutine. */
struct place {
	bool used, shield, struck;
	int err;
};

/* On the way outward from its sleep: inner, group, outer, root; then its parent's group. */
struct node {
	int number;
	int parent;			/* -1: child of main's group */
	co_scope inner_scope[LAYERS], outer_scope[LAYERS];
	struct place inner[LAYERS], group_place, outer[LAYERS], root;
	co_group group;
	co_ref ref;
	int rc;
	co_ns woke;
	struct co_cause cause;
};

static struct node nodes[NODES];

static void open_layers(co_scope *scope, const struct place *place)
{
	for (int k = 0; k < LAYERS; k++) {
		if (place[k].shield)
			co_scope_begin_shield(&scope[k], MS(1000));
		else if (place[k].used)
			co_scope_begin(&scope[k], CO_FOREVER);
	}
}

static void close_layers(co_scope *scope, const struct place *place)
{
	for (int k = LAYERS - 1; k >= 0; k--) {
		if (place[k].used)
			IS(co_scope_end(&scope[k], 0), 0);
	}
}

static int live(void *arg)
{
	struct node *n = arg;

	open_layers(n->outer_scope, n->outer);
	co_group_begin(&n->group, CO_GROUP_COLLECT);
	for (int i = n->number + 1; i < NODES; i++) {
		if (nodes[i].parent == n->number)
			nodes[i].ref = spawn(&n->group, live, &nodes[i]);
	}
	open_layers(n->inner_scope, n->inner);
	n->rc = co_sleep(MS(100));
	n->woke = co_now();
	co_cancel_cause(&n->cause);
	close_layers(n->inner_scope, n->inner);
	IS(co_group_end(&n->group, 0), 0);
	close_layers(n->outer_scope, n->outer);
	return 0;
}

/* Goes outward over places, the last first. Keeps the outermost that is struck; true: a shield. */
static bool go_outward(const struct place *place, int n, const struct place **found)
{
	for (int k = n - 1; k >= 0; k--) {
		if (place[k].struck)
			*found = &place[k];
		if (place[k].shield)
			return true;
	}
	return false;
}

/* The outermost struck place that the sleep of a node sees. */
static const struct place *seen_by(const struct node *n)
{
	const struct place *found = NULL;

	if (go_outward(n->inner, LAYERS, &found))
		return found;
	for (; n; n = n->parent < 0 ? NULL : &nodes[n->parent]) {
		if (go_outward(&n->group_place, 1, &found) ||
		    go_outward(n->outer, LAYERS, &found) || go_outward(&n->root, 1, &found))
			break;
	}
	return found;
}

static void grow_layers(struct place *place)
{
	for (int k = 0; k < LAYERS; k++) {
		place[k].used = below(2);
		place[k].shield = place[k].used && below(3) == 0;
	}
}

static void grow(void)
{
	memset(nodes, 0, sizeof(nodes));
	for (int i = 0; i < NODES; i++) {
		nodes[i].number = i;
		nodes[i].parent = below(i + 1) - 1;
		nodes[i].group_place.used = true;
		nodes[i].root.used = true;
		grow_layers(nodes[i].inner);
		grow_layers(nodes[i].outer);
	}
}

static bool hit(struct place *place, int *err)
{
	if (!place->used || below(10))
		return false;
	place->struck = true;
	place->err = *err = 1 + below(100);
	return true;
}

static void strike_at_random(void)
{
	int err;

	for (int i = 0; i < NODES; i++) {
		struct node *n = &nodes[i];

		for (int k = 0; k < LAYERS; k++) {
			if (hit(&n->inner[k], &err))
				IS(co_scope_cancel(&n->inner_scope[k], err), 0);
			if (hit(&n->outer[k], &err))
				IS(co_scope_cancel(&n->outer_scope[k], err), 0);
		}
		if (hit(&n->group_place, &err))
			IS(co_group_cancel(&n->group, err), 0);
		if (hit(&n->root, &err))
			IS(co_cancel(n->ref, err), 0);
	}
}

static void compare(const struct node *n)
{
	const struct place *place = seen_by(n);

	same(n->number, "sleep", n->rc, place ? CANC : 0);
	same(n->number, "time of waking", n->woke, co_now() - MS(place ? 90 : 0));
	same(n->number, "kind", n->cause.kind, place ? CO_CAUSE_EXPLICIT : CO_CAUSE_NONE);
	if (place)
		same(n->number, "err", n->cause.err, place->err);
}

SCENARIO_WITH(random_trees_struck_at_random, hearing())
{
	random_state = suite_seed();
	for (round_no = 0; round_no < (suite_long() ? 20000 : 1000); round_no++) {
		co_ns begun = co_now();
		co_group g;

		grow();
		co_group_begin(&g, CO_GROUP_COLLECT);
		for (int i = 0; i < NODES; i++) {
			if (nodes[i].parent < 0)
				nodes[i].ref = spawn(&g, live, &nodes[i]);
		}
		advance(MS(10));
		strike_at_random();
		IS(co_sleep_until(begun + MS(100)), 0);
		IS(co_group_end(&g, 0), 0);
		for (int i = 0; i < NODES; i++)
			compare(&nodes[i]);
	}
	IS(misuses()->count, 0);
}

SUITE("model: scopes",
	random_programs_of_scopes,
	random_trees_struck_at_random)
