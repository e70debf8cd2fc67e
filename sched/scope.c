/* Scopes: the tree of deadlines and cancellation.
 *
 *	loop root, group of detached
 *	├── root of a coroutine ── scope ── group
 *	│                                   ├── root of a child ── scope
 *	│                                   └── root of a child ── shield ── scope
 *	└── root of a coroutine
 *
 * Cancelling a node makes it `effective` and with it everything inward, up to but without the
 * shields on the way; each coroutine whose innermost scope became effective is woken. That walk is
 * the only place that writes `effective` after a scope's begin, so a cancellation point needs no
 * walk. It is a loop over a work list, not a recursion: trees may be deep.
 *
 * The user's object holds a node's address and generation. Whatever happened to the node meanwhile,
 * and whatever became of the frame the object was in, the two are compared before anything is
 * believed. */
#include "sched.h"

/* co_scope.magic_: the state of the object. 0 is a fresh one. */
enum { PRESET = 0x5c01, OPEN = WHORL__SCOPE_OPEN, CLOSED, REFUSED, NO_MEMORY };

/* co_scope.bits_ */
enum { BIT_SHIELD = 1, BIT_OUTER = 2, BIT_CAUGHT = 4, BIT_RELATIVE = 8, BIT_ABSOLUTE = 16 };

SIZED(co_scope, 8);

/* ----------------------------------------------------------------------------- nodes and memory */

/* Then the innermost is none of the loop's, nor the spare one, which is only taken when these are
 * in use. */
static inline bool has_own_node(const struct co *co)
{
	return co->depth < INLINE_NODES;
}

/* The coroutine's own first, in order; then from the loop; then the spare one, which is born
 * cancelled. */
static struct node *node_get(struct co *co)
{
	struct co_loop *l = co->loop;
	struct node *n = l->free_nodes;

	if (has_own_node(co))
		return &co->home->nodes[co->depth++];
	if (n)
		l->free_nodes = n->next;
	else
		n = whorl__alloc(l, sizeof *n);
	if (n) {
		co->depth++;
		return n;
	}
	return co->home->spare.gen ? NULL : &co->home->spare;
}

static void node_put(struct co *co, struct node *n)
{
	if (n == &co->home->spare)
		return;
	if (--co->depth >= INLINE_NODES) {
		n->next = co->loop->free_nodes;
		co->loop->free_nodes = n;
	}
}

/* After a deadline or a cause changed: from here inward. */
static void refresh_nearest(struct node *n)
{
	for (; n && !is_root(n); n = n->inner) {
		uint64_t own = n->cause ? TICK_NEVER : scope_tick(n->deadline);

		n->nearest = own < n->parent->nearest ? own : n->parent->nearest;
		n->owner->nearest = n->nearest;
	}
}

/* --------------------------------------------------------------------------------------- cancel */

struct spreading {
	struct node *first, **end;
	struct co_loop *watches; /* its watchdog has somebody more to watch; or NULL */
};

static void work_add(struct spreading *work, struct node *n)
{
	n->effective = true;
	n->next = NULL;
	*work->end = n;
	work->end = &n->next;
}

/* The children go to the work list in the order in which they were spawned. Who waits for a place
 * in the group, maybe from outside of it, will get none. */
static void spread_to_group(struct spreading *work, struct group *g)
{
	struct waiter *w;

	while ((w = first_waiter(&g->admits)) != NULL)
		whorl__wake(w->co, -ECANCELED);
	for (struct link *c = g->live.next; c != &g->live; c = c->next) {
		struct node *root = &CONTAINER(c, struct co, sibling)->home->root;

		if (!root->effective)
			work_add(work, root);
	}
}

/* From a node that became effective inward, to the innermost or a shield. */
static void spread(struct spreading *work, struct node *from)
{
	if (from->owner && is_root(from) && whorl__watch(from->owner))
		work->watches = from->owner->loop;
	for (struct node *n = from; n; n = n->inner) {
		if (n != from && (n->shield || n->effective))
			return;
		n->effective = true;
		if (n->group)
			spread_to_group(work, n->group);
	}
	if (from->owner)
		whorl__interrupt(from->owner);
}

/* No hook is called before all are reached. */
void whorl__cancel(struct node *n, enum co_cause_kind kind, int err, const void *site)
{
	struct spreading work = { .end = &work.first };

	if (n->cause)
		return;
	n->cause = (unsigned char)kind;
	n->cause_err = err;
	n->cause_site = site ? site : n->site;
	refresh_nearest(n);
	if (n->effective)
		return;
	for (work_add(&work, n); work.first;) {
		n = work.first;
		work.first = n->next;
		if (!work.first)
			work.end = &work.first;
		spread(&work, n);
	}
	if (work.watches)
		whorl__report_overdue(work.watches);
}

/* A scope was found overdue: so are those around it that the loop has not looked at yet, and the
 * outermost shall win. */
static void expire_outward(struct node *n, co_ns now)
{
	for (; n; n = n->parent)
		if (n->deadline <= now)
			whorl__cancel(n, CO_CAUSE_DEADLINE, 0, NULL);
}

bool whorl__bad_err(int err)
{
	return err < 0 || err == ECANCELED || err == ETIMEDOUT;
}

/* -------------------------------------------------------------------------------- begin and end */

static inline bool is_blank(const co_scope *s) /* as CO_SCOPE_INIT, so far as it is looked at */
{
	uint64_t first; /* magic_, kind_, bits_, loop_ */

	memcpy(&first, s, sizeof first);
	return (first | s->gen_ | (uintptr_t)s->node_) == 0;
}

static inline bool is_fresh(const co_scope *s)
{
	return is_blank(s) || s->magic_ == PRESET;
}

static co_ns first_deadline(const co_scope *s, co_ns abs, co_ns now)
{
	co_ns preset = CO_FOREVER;

	if (s->bits_ & BIT_ABSOLUTE)
		preset = s->preset_;
	else if (s->bits_ & BIT_RELATIVE)
		preset = sat_add(now, s->preset_);
	return preset < abs ? preset : abs;
}

/* Field by field: a node is as long as two lines of cache, and what a cause adds is written when
 * there is one. */
static inline void open_scope(co_scope *s, struct node *n, struct co *co, struct group *group,
			      co_ns abs, bool shield, const void *site)
{
	struct node *parent = co->scope;
	uint64_t own = scope_tick(abs);

	n->parent = parent;
	n->inner = NULL;
	n->owner = co;
	n->group = group;
	n->user = s;
	n->share = NULL;
	n->gen = ++co->loop->next_gen;
	n->site = site;
	n->deadline = abs;
	n->nearest = own < parent->nearest ? own : parent->nearest;
	n->cause = CO_CAUSE_NONE;
	n->shield = shield;
	n->effective = !shield && parent->effective;
	parent->inner = n;
	co->scope = n;
	co->nearest = n->nearest;
	s->loop_ = co->loop->serial;
	s->bits_ = shield ? BIT_SHIELD : 0;
	s->magic_ = OPEN;
	s->self_ = s;
	s->node_ = n;
	s->gen_ = n->gen;
}

/* No node was to be had, not even the spare one. */
static int begin_without_node(co_scope *s, const struct co *co, bool shield, const void *site)
{
	s->loop_ = co->loop->serial;
	s->bits_ = shield ? BIT_SHIELD : 0;
	s->magic_ = NO_MEMORY;
	s->kind_ = CO_CAUSE_EXPLICIT;
	s->err_ = ENOMEM;
	s->site_ = site;
	return -ENOMEM;
}

/* Cancelled for want of a node, before its begin, or at once by its deadline. */
static int begin_cancelled(co_scope *s, struct node *n, co_ns now)
{
	bool spare = n == &n->owner->home->spare;

	if (spare)
		whorl__cancel(n, CO_CAUSE_EXPLICIT, ENOMEM, NULL);
	else if (s->kind_)
		whorl__cancel(n, CO_CAUSE_EXPLICIT, s->err_, s->site_);
	if (n->deadline <= now)
		expire_outward(n, now);
	return spare ? -ENOMEM : 0;
}

static int refuse(co_scope *s, const struct co *co, const void *site)
{
	if (!s || !is_fresh(s))
		return whorl__misuse(CO_MISUSE_SCOPE_STATE, -EINVAL, site,
				     "begin of a scope that is open, over or garbage");
	return whorl__misuse(CO_MISUSE_SCOPE_STATE, -EINVAL, site, "begin of a scope %s",
			     co ? "with an unknown flag" : "outside a coroutine");
}

/* Of a coroutine's scope. 0: it is open, maybe cancelled. -ENOMEM: cancelled for want of a node.
 * -EINVAL: refused after misuse. */
static int begin_here(struct co *co, co_scope *s, struct group *group, struct instant at,
		      unsigned flags, const void *site)
{
	bool shield = flags & CO_SHIELD;
	struct node *n;
	co_ns abs = at.abs;

	if (!s || !is_fresh(s) || !co || (flags & ~CO_SHIELD))
		return refuse(s, co, site);
	if (s->magic_ == PRESET) {
		at.now = whorl__clock(co->loop);
		abs = first_deadline(s, abs, at.now);
	}
	if (shield && abs == CO_FOREVER) {
		s->magic_ = REFUSED;
		return whorl__misuse(CO_MISUSE_SHIELD, -EINVAL, site, "a shield without an end");
	}
	n = node_get(co);
	if (!n)
		return begin_without_node(s, co, shield, site);
	open_scope(s, n, co, group, abs, shield, site);
	if (s->kind_ || abs <= at.now || n == &co->home->spare)
		return begin_cancelled(s, n, at.now);
	return 0;
}

int whorl__begin(co_scope *s, struct group *group, const void *site)
{
	return begin_here(whorl__self(), s, group, WHORL__NO_DEADLINE, 0, site);
}

/* Takes the innermost scope off. What its end returns is judged now, and kept in the object, if
 * there is one to trust. */
static inline void take_off(struct co *co, struct node *n, co_scope *s)
{
	struct node *parent = n->parent;

	if (s) {
		s->magic_ = CLOSED;
		s->kind_ = n->cause;
		if (WHORL__UNLIKELY(n->cause)) {
			s->err_ = n->cause_err;
			s->site_ = n->cause_site;
		}
		if (!n->shield && parent->effective)
			s->bits_ |= BIT_OUTER;
	}
	if (n->effective && !parent->effective)
		co->ignored = 0;	/* it was heeded */
	co->scope = parent;
	parent->inner = NULL;
	co->nearest = parent->nearest;
	n->gen = 0;
}

void whorl__close(struct node *n, co_scope *s)
{
	struct co *co = n->owner;

	take_off(co, n, s);
	if (n->share)
		whorl__share_over(n->share);
	node_put(co, n);
}

int whorl__judge(co_scope *s, int rc)
{
	if (rc != -ECANCELED || (s->bits_ & BIT_OUTER) || !s->kind_)
		return rc;
	s->bits_ |= BIT_CAUGHT;
	return s->kind_ == CO_CAUSE_DEADLINE ? -ETIMEDOUT : -s->err_;
}

/* A scope that got no node: there was none for its spare either, so an outer one of this coroutine
 * is cancelled. */
void whorl__close_without_node(co_scope *s)
{
	s->magic_ = CLOSED;
	if (!(s->bits_ & BIT_SHIELD))
		s->bits_ |= BIT_OUTER;
}

/* --------------------------------------------------------------------------- scopes left behind */

/* Closes the innermost, which nobody will end any more; a group's children are cancelled and
 * awaited first. */
static void close_left(struct co *co, struct node *n)
{
	struct group *g = n->group;

	if (g) {
		whorl__cancel(n, CO_CAUSE_EXPLICIT, 0, NULL);
		whorl__group_drain(g, co);
		whorl__group_free(co->loop, g);
	}
	whorl__close(n, NULL);
}

static void report_left(const struct node *n, const char *how)
{
	if (n->group)
		whorl__misuse(CO_MISUSE_GROUP, 0, n->site, "a group was left open%s", how);
	else
		whorl__misuse(CO_MISUSE_SCOPE_LEAKED, 0, n->site, "a scope was left open%s", how);
}

void whorl__leaked_frames(struct co *co, const char *frame)
{
	uintptr_t low = (uintptr_t)co->fiber.stack.low, depth = (uintptr_t)frame - low;

	if (depth >= co->fiber.stack.size + 4096)
		return; /* a generator's */
	while ((uintptr_t)co->scope->user - low < depth) {
		report_left(co->scope, " by a function that has returned");
		close_left(co, co->scope);
	}
}

void whorl__close_all(struct co *co)
{
	while (!is_root(co->scope)) {
		report_left(co->scope, " by a coroutine that has returned");
		close_left(co, co->scope);
	}
}

/* Closes what was begun inside `n` and not ended. */
void whorl__close_inner(struct co *co, struct node *n)
{
	while (co->scope != n) {
		whorl__misuse_order(n->site, co->scope->site);
		close_left(co, co->scope);
	}
}

/* ---------------------------------------------------------------------------- the user's object */

static int find_no_open(const co_scope *s, const void *site)
{
	if (s->magic_ == CLOSED || s->magic_ == REFUSED)
		return FIND_OVER;
	if (s->magic_ == NO_MEMORY)
		return FIND_NO_NODE;
	if (is_fresh(s))
		return FIND_FRESH;
	return whorl__misuse(CO_MISUSE_SCOPE_STATE, -EINVAL, site, "no scope: garbage");
}

static int find_elsewhere(uint32_t serial, const void *site)
{
	if (whorl__loop_alive(serial))
		return whorl__misuse(CO_MISUSE_LOOP, -EXDEV, site, "a scope of another runtime");
	return FIND_OVER;
}

int whorl__find_slow(const co_scope *s, struct node **out, const void *site)
{
	const struct co_loop *l = whorl__loop;

	if (!s)
		return -EINVAL;
	if (s->magic_ != OPEN)
		return find_no_open(s, site);
	if (!l)
		return -EPERM;
	if (s->loop_ != l->serial)
		return find_elsewhere(s->loop_, site);
	if (s->self_ != s)
		return whorl__misuse(CO_MISUSE_SCOPE_STATE, -EINVAL, site, "a copy of a scope");
	*out = s->node_;
	return FIND_OVER;
}

bool whorl__closed_behind(const co_scope *s)
{
	return s->magic_ == OPEN || s->magic_ == REFUSED;
}

static int close_no_open(co_scope *s, int found, const void *site)
{
	if (found == FIND_NO_NODE) {
		whorl__close_without_node(s);
		return 0;
	}
	if (found == FIND_FRESH || (found == FIND_OVER && !whorl__closed_behind(s)))
		return whorl__misuse(CO_MISUSE_SCOPE_STATE, -EINVAL, site,
				     "end of a scope that is not open");
	return found;
}

/* close_scope for the usual case. False: nothing was done. */
static inline bool close_innermost(co_scope *s, const void *frame)
{
	struct co *co = whorl__self();
	struct node *n;

	if (WHORL__UNLIKELY(!co || co->scope->user != s || whorl__may_leak(co, frame)))
		return false;
	n = co->scope;
	if (WHORL__UNLIKELY(s->gen_ != n->gen || n->share || !has_own_node(co)))
		return false; /* user and generation equal: it is open, no copy, and of this loop */
	take_off(co, n, s);
	co->depth--;
	return true;
}

/* Closes an open scope of this coroutine. 0: closed by this call; FIND_OVER: earlier, silently;
 * negative: misuse. */
static int close_scope(co_scope *s, const void *frame, const void *site)
{
	struct co *co = whorl__self();
	struct node *n = NULL;
	int rc = whorl__find(s, &n, site);

	if (rc)
		return close_no_open(s, rc, site);
	if (n->owner != co)
		return whorl__misuse(CO_MISUSE_SCOPE_OWNER, -EINVAL, site,
				     "end of another coroutine's scope");
	whorl__check_frames(co, frame);
	if (n->gen != s->gen_) /* its own frame is dead */
		return FIND_OVER;
	if (co->scope != n)
		whorl__close_inner(co, n);
	whorl__close(n, s);
	return 0;
}

static __attribute__((noinline)) int end_slow(co_scope *s, int rc, const void *frame,
					      const void *site)
{
	int closed = close_scope(s, frame, site);

	return closed == 0 ? whorl__judge(s, rc) : closed < 0 ? closed : rc;
}

FRAMED int co_scope_end(co_scope *s, int rc)
{
	if (WHORL__UNLIKELY(!close_innermost(s, FRAME())))
		return end_slow(s, rc, FRAME(), SITE());
	return WHORL__LIKELY(rc != -ECANCELED) ? rc : whorl__judge(s, rc);
}

int co_scope_result(co_scope *s, int rc)
{
	if (!s)
		return -EINVAL;
	if (s->magic_ == CLOSED)
		return whorl__judge(s, rc);
	if (s->magic_ == REFUSED)
		return rc;
	return whorl__misuse(CO_MISUSE_SCOPE_STATE, -EINVAL, SITE(),
			     "result of a scope that is open or was not begun");
}

/* The clock is read once at most: that costs more than the rest of a scope's life. */
static inline struct instant at(co_ns abs)
{
	return abs == CO_FOREVER ? WHORL__NO_DEADLINE : (struct instant){ co_now(), abs };
}

static inline struct instant from_now(co_ns dur)
{
	struct instant to = at(dur);

	if (dur != CO_FOREVER)
		to.abs = sat_add(to.now, dur);
	return to;
}

static __attribute__((noinline)) int begin_slow(co_scope *s, struct instant at, unsigned flags,
						const void *frame, const void *site)
{
	struct co *co = whorl__self();

	if (co)
		whorl__check_frames(co, frame);
	return begin_here(co, s, NULL, at, flags, site);
}

/* As begin_here, and without a call in the usual case: blank, due later, among its own nodes. */
static inline __attribute__((always_inline)) int
begin(co_scope *s, struct instant at, unsigned flags, const void *frame, const void *site)
{
	struct co *co = whorl__self();

	if (WHORL__UNLIKELY(!co || !s || whorl__may_leak(co, frame) || !is_blank(s) || flags != 0 ||
			    at.abs <= at.now || !has_own_node(co)))
		return begin_slow(s, at, flags, frame, site);
	open_scope(s, &co->home->nodes[co->depth++], co, NULL, at.abs, false, site);
	return 0;
}

FRAMED void co_scope_begin(co_scope *s, co_ns dur)
{
	struct instant to = from_now(dur);	/* first: so nothing is kept while the clock is read */

	begin(s, to, 0, FRAME(), SITE());
}

FRAMED void co_scope_begin_at(co_scope *s, co_ns abs, unsigned flags)
{
	struct instant to = at(abs);

	begin(s, to, flags, FRAME(), SITE());
}

FRAMED void co_scope_begin_shield(co_scope *s, co_ns dur)
{
	struct instant to = from_now(dur);

	begin(s, to, CO_SHIELD, FRAME(), SITE());
}

/* A scope that was refused has no body, and nothing to leave. */
FRAMED struct co_block_ co_block_enter_(co_scope *s, co_ns dur, unsigned flags)
{
	bool refused;

	if (s)
		*s = (co_scope)CO_SCOPE_INIT;
	refused = begin(s, from_now(dur), flags, FRAME(), SITE()) == -EINVAL;
	return (struct co_block_){ .scope = refused ? NULL : s, .once = !refused };
}

FRAMED void co_block_leave_(struct co_block_ *b)
{
	if (b->scope && !close_innermost(b->scope, FRAME()))
		close_scope(b->scope, FRAME(), SITE());
}

static int run_in_scope(co_ns dur, unsigned flags, co_fn *fn, void *arg, const struct caller *by)
{
	co_scope s = CO_SCOPE_INIT;

	if (!fn)
		return -EINVAL;
	if (!whorl__self())
		return -EPERM;
	if (begin(&s, from_now(dur), flags, by->frame, by->site) == -EINVAL)
		return -EINVAL;
	return co_scope_end(&s, fn(arg));
}

FRAMED int co_timeout(co_ns dur, co_fn *fn, void *arg)
{
	return run_in_scope(dur, 0, fn, arg, CALLER());
}

FRAMED int co_shield(co_ns dur, co_fn *fn, void *arg)
{
	return run_in_scope(dur, CO_SHIELD, fn, arg, CALLER());
}

/* --------------------------------------------------------------------------- moving, cancelling */

static int preset(co_scope *s, co_ns when, uint8_t how)
{
	s->magic_ = PRESET;
	s->preset_ = when;
	s->bits_ = how;
	return 0;
}

static int move(struct node *n, struct instant to, const void *site)
{
	if (to.abs == CO_FOREVER)
		to.now = co_now();
	if (n->cause)
		return -EALREADY;
	if (n->shield && to.abs == CO_FOREVER)
		return whorl__misuse(CO_MISUSE_SHIELD, -EINVAL, site,
				     "a shield's deadline moved to no end");
	if (n->deadline <= to.now) {
		expire_outward(n, to.now);
		return -EALREADY;
	}
	n->deadline = to.abs;
	if (to.abs <= to.now) {
		expire_outward(n, to.now);
		return 0;
	}
	refresh_nearest(n);
	if (n->owner != whorl__self())
		whorl__arm(n->owner);
	return 0;
}

int co_scope_set_deadline(co_scope *s, co_ns abs)
{
	struct node *n = NULL;
	int rc = whorl__find(s, &n, SITE());

	if (rc == FIND_FRESH)
		return preset(s, abs, BIT_ABSOLUTE);
	if (rc > 0)
		return rc == FIND_NO_NODE ? -EALREADY : -ESRCH;
	return rc < 0 ? rc : move(n, at(abs), SITE());
}

int co_scope_rearm(co_scope *s, co_ns dur)
{
	struct node *n = NULL;
	int rc = whorl__find(s, &n, SITE());

	if (rc == FIND_FRESH)
		return preset(s, dur, BIT_RELATIVE);
	if (rc > 0)
		return rc == FIND_NO_NODE ? -EALREADY : -ESRCH;
	return rc < 0 ? rc : move(n, from_now(dur), SITE());
}

int whorl__scope_cancel(co_scope *s, int err, const void *site)
{
	struct node *n = NULL;
	int rc;

	if (whorl__bad_err(err))
		return -EINVAL;
	rc = whorl__find(s, &n, site);
	if (rc == FIND_OVER)
		return -ESRCH;
	if (rc < 0)
		return rc;
	if (rc == 0) {
		whorl__cancel(n, CO_CAUSE_EXPLICIT, err, site);
	} else if (rc == FIND_FRESH && !s->kind_) {
		s->magic_ = PRESET;
		s->kind_ = CO_CAUSE_EXPLICIT;
		s->err_ = err;
		s->site_ = site;
	}
	return 0;
}

int co_scope_cancel(co_scope *s, int err)
{
	return whorl__scope_cancel(s, err, SITE());
}

co_scope_ref co_scope_share(co_scope *s)
{
	struct node *n = NULL;
	struct mailbox *m;

	if (whorl__find(s, &n, SITE()) != 0)
		return (co_scope_ref){ 0 };
	m = whorl__mailbox(whorl__loop);
	if (m && !n->share)
		n->share = whorl__share_open(m, n);
	whorl__loop->shared |= n->share != NULL;
	return n->share ? whorl__share_ref(n->share) : (co_scope_ref){ 0 };
}

/* ------------------------------------------------------------------------------------ questions */

static void cause_of_node(const struct node *n, struct co_cause *out)
{
	*out = (struct co_cause){ .kind = n->cause, .err = n->cause_err, .site = n->cause_site };
}

static int cause_of(const co_scope *s, struct co_cause *out, const void *site)
{
	struct node *n = NULL;
	int rc = whorl__find(s, &n, site);

	*out = (struct co_cause){ .kind = CO_CAUSE_NONE };
	if (rc < 0)
		return rc;
	if (rc == 0 && n->cause)
		cause_of_node(n, out);
	else if (rc != 0 && s->magic_ == OPEN)	/* closed behind its back, as cancelled */
		*out = (struct co_cause){ .kind = CO_CAUSE_EXPLICIT };
	else if (rc != 0 && s->kind_)
		*out = (struct co_cause){ .kind = s->kind_, .err = s->err_, .site = s->site_ };
	return out->kind == CO_CAUSE_NONE ? -ENOENT : 0;
}

int co_scope_cause(const co_scope *s, struct co_cause *out)
{
	return out ? cause_of(s, out, SITE()) : -EINVAL;
}

bool co_scope_cancelled(const co_scope *s)
{
	struct co_cause cause;

	return cause_of(s, &cause, SITE()) == 0;
}

bool co_scope_caught(const co_scope *s)
{
	return s && s->magic_ == CLOSED && (s->bits_ & BIT_CAUGHT);
}

co_ns co_deadline(void)
{
	struct co *co = whorl__self();
	co_ns least = CO_FOREVER;

	if (!co)
		return CO_FOREVER;
	for (const struct node *n = co->scope; n; n = n->shield ? NULL : n->parent)
		if (n->deadline < least)
			least = n->deadline;
	return co->scope->effective && least > co->loop->now ? co->loop->now : least;
}

co_ns co_time_left(void)
{
	struct co *co = whorl__self();
	co_ns deadline = co_deadline(), now;

	if (deadline == CO_FOREVER)
		return CO_FOREVER;
	now = whorl__clock(co->loop);
	return deadline <= now ? 0 : deadline - now;
}

int co_cancel_cause(struct co_cause *out)
{
	struct co *co = whorl__self();
	const struct node *outermost = NULL;

	if (!out)
		return -EINVAL;
	*out = (struct co_cause){ .kind = CO_CAUSE_NONE };
	for (const struct node *n = co ? co->scope : NULL; n; n = n->shield ? NULL : n->parent)
		if (n->cause)
			outermost = n;
	if (!outermost)
		return -ENOENT;
	cause_of_node(outermost, out);
	return 0;
}
