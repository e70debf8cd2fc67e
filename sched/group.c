/* Groups: coroutines that end before the code that started them goes on.
 *
 * A group is a scope of its owner with children under it. What a child's exit means is decided
 * once, when it finishes (whorl__child_done): success, error, or cut short by a cancellation of the
 * group; by the group's mode that cancels the others. The end waits for every child, and only then
 * is the outcome put together (outcome). The state lives with the loop, not in the user's object,
 * so that children of a group whose frame is gone still have where to report. */
#include "sched.h"

SIZED(co_group, 24);

enum { KEPT_ERRORS = 4 };

/* ------------------------------------------------------------------------------------ the state */

void whorl__group_init(struct group *g, struct node *node, enum co_group_mode mode)
{
	*g = (struct group){ .node = node, .mode = mode };
	list_init(&g->live);
	list_init(&g->done);
	list_init(&g->waiters);
	list_init(&g->admits);
}

static struct group *group_get(struct co_loop *l)
{
	struct group *g = l->free_groups;

	if (!g)
		return whorl__alloc(l, sizeof *g);
	l->free_groups = g->next;
	return g;
}

static void group_put(struct co_loop *l, struct group *g)
{
	g->node = NULL;
	g->next = l->free_groups;
	l->free_groups = g;
}

void whorl__group_free(struct co_loop *l, struct group *g)
{
	struct waiter *w;
	struct link *c;

	while ((c = list_first(&g->done)) != NULL) {
		list_remove(c);
		whorl__co_free(CONTAINER(c, struct co, sibling));
	}
	while ((w = first_waiter(&g->admits)) != NULL)
		whorl__wake(w->co, -ESHUTDOWN);
	group_put(l, g);
}

static int not_begun(const void *site)
{
	return whorl__misuse(CO_MISUSE_GROUP, -EINVAL, site, "a group that was not begun");
}

/* The state of an open group. FIND_OVER, FIND_NO_NODE, or negative, as whorl__find; *out NULL:
 * there was no memory for it. */
static inline int group_of(const co_group *user, struct group **out, const void *site)
{
	struct node *n = NULL;
	int rc = user ? whorl__find(&user->scope_, &n, site) : -EINVAL;

	*out = rc == 0 ? n->group : NULL;
	return rc == FIND_FRESH ? not_begun(site) : rc;
}

/* ---------------------------------------------------------------------------- limits and places */

static bool holds_place(const struct co *co, const struct group *g)
{
	return co && co->admitted == g && g->node && co->admitted_gen == g->node->gen;
}

static bool has_place(const struct group *g)
{
	return g->limit <= 0 || g->running + g->held < (size_t)g->limit;
}

/* Returns the group in which the coroutine has given up a place for this one, or NULL. */
static struct group *hold_place(struct co *co, struct group *g)
{
	struct group *old = co->admitted;
	bool held = old && holds_place(co, old);

	g->held++;
	co->admitted = g;
	co->admitted_gen = g->node->gen;
	if (!held)
		return NULL;
	old->held--;
	return old;
}

/* Whom it may let in. A group that is about to end has no place to give. */
static struct waiter *next_in(const struct group *g)
{
	return has_place(g) && !(g->ending && g->running == 0) ? first_waiter(&g->admits) : NULL;
}

static struct group *to_grant(struct group *g, struct group *others)
{
	if (!g || g->granting)
		return others;
	g->granting = true;
	g->next = others;
	return g;
}

/* A place became free: it goes to the one that waits longest, before anybody else can take it. What
 * that one gives back elsewhere may let in another there, and so on: a list, not a recursion, as
 * chains may be long. */
static void grant_places(struct group *g)
{
	struct group *work = to_grant(g, NULL);
	struct waiter *w;

	while ((g = work) != NULL) {
		w = next_in(g);
		if (w) {
			whorl__wake(w->co, 0);
			work = to_grant(hold_place(w->co, g), work);
		} else {
			g->granting = false;
			work = g->next;
		}
	}
}

void whorl__give_back(struct co *co)
{
	struct group *g = co->admitted;
	bool held = g && holds_place(co, g);

	co->admitted = NULL;
	if (held) {
		g->held--;
		grant_places(g);
	}
}

void co_group_limit(co_group *user, int at_most)
{
	struct group *g;

	if (group_of(user, &g, SITE()) == 0 && g) {
		g->limit = at_most;
		grant_places(g);
	}
}

FRAMED int co_group_admit(co_group *user)
{
	struct co *co = whorl__suspender(SITE());
	struct group *g;
	struct wait *w;
	int rc;

	if (!co)
		return -EPERM;
	rc = whorl__point(co, FRAME());
	if (rc < 0)
		return rc;
	rc = group_of(user, &g, SITE());
	if (rc != 0)
		return rc == FIND_OVER ? -ESHUTDOWN : rc == FIND_NO_NODE ? -ECANCELED : rc;
	if (!g || g->node->effective)
		return -ECANCELED;
	if (holds_place(co, g))
		return 0;
	if (has_place(g)) {
		grant_places(hold_place(co, g));
		return 0;
	}
	w = whorl__wait_for(co, "a place in a group", CO_FOREVER, 0);
	list_append(&g->admits, &w->waiter.link);
	return whorl__park(co);
}

/* ---------------------------------------------------------------------------------------- spawn */

static int spawn_into(co_group *user, const struct spawn *what, struct co **out)
{
	struct co_loop *l = whorl__loop;
	struct group *g;
	int rc = 0;

	if (!l)
		return -EPERM;
	if (user)
		rc = group_of(user, &g, what->site);
	else
		g = &l->detached;
	if (rc < 0)
		return rc;
	if (rc == FIND_OVER)
		return -ESHUTDOWN;
	if (!g || g->node->effective || l->grace_over)
		return -ECANCELED;
	if (!has_place(g) && !holds_place(whorl__self(), g))
		return -EAGAIN;
	rc = whorl__spawn(l, g, what, out);
	if (rc == 0 && holds_place(whorl__self(), g))
		whorl__give_back(whorl__self());
	return rc;
}

static int spawn(co_group *user, const struct spawn *what, co_ref *out)
{
	struct co *co;
	int rc = spawn_into(user, what, &co);

	if (!out)
		return rc;
	*out = (co_ref){ 0 };
	if (rc == 0) {
		co->keep = true;
		*out = whorl__ref(co);
	}
	return rc;
}

int co_spawn(co_group *g, co_fn *fn, void *arg, co_ref *out)
{
	return spawn(g, &(struct spawn){ .fn = fn, .arg = arg, .site = SITE() }, out);
}

int co_spawn_with(co_group *g, co_fn *fn, void *arg, co_ref *out, const struct co_attr *attr)
{
	return spawn(g, &(struct spawn){ .fn = fn, .arg = arg, .attr = attr, .site = SITE() }, out);
}

/* ---------------------------------------------------------------------------- exits of children */

static int error_of(int exit)	/* as a positive errno */
{
	return exit == INT_MIN ? INT_MAX : -exit;
}

static void child_failed(struct group *g, const struct co *co)
{
	if (g->error_count < KEPT_ERRORS)
		g->errors[g->error_count] = co->exit;
	g->error_count++;
	if (g->first_error == 0)
		g->first_error = co->exit;
	if (g->mode == CO_GROUP_FAIL_FAST)
		whorl__cancel(g->node, CO_CAUSE_SIBLING, error_of(co->exit), co->fiber.site);
}

static void child_succeeded(struct group *g, const struct co *co)
{
	if (g->mode != CO_GROUP_FIRST || g->winner != 0)
		return;
	g->winner = whorl__ref(co).id;
	g->winner_exit = co->exit;
	whorl__cancel(g->node, CO_CAUSE_SIBLING, 0, co->fiber.site);
}

static void detached_done(const struct co *co, bool error)
{
	if (error && co != co->loop->main)
		whorl__report(co->loop, CO_REPORT_DETACHED_ERROR, co->fiber.site,
			      "detached coroutine '%s' returned %d", whorl__name(co), co->exit);
}

/* The coroutine has its exit code and is no more among the live. An owner in group_wait must hear
 * of a cancel before it hears that no child is left. */
void whorl__child_done(struct co *co)
{
	struct group *g = co->group;
	bool cut = co->exit == -ECANCELED && co->was_cancelled;
	struct waiter *w;

	if (g == &co->loop->detached)
		detached_done(co, co->exit < 0 && !cut);
	else if (co->exit >= 0)
		child_succeeded(g, co);
	else if (!cut)
		child_failed(g, co);
	else if (g->node->effective)
		g->child_cut = true;
	g->running--;
	while (g->running == 0 && (w = first_waiter(&g->waiters)) != NULL)
		whorl__wake(w->co, 0);
	if (!list_empty(&g->admits))
		grant_places(g);
}

/* -------------------------------------------------------------------------------- begin and end */

/* A group object needs no initial value, so it cannot be asked whether it was begun already; the
 * coroutine's scopes can. */
static bool is_open(const struct co *co, const co_group *user)
{
	const struct node *n = co->scope;

	while (!is_root(n) && n->user != user)
		n = n->parent;
	return !is_root(n);
}

FRAMED void co_group_begin(co_group *user, enum co_group_mode mode)
{
	struct co *co = whorl__self();
	struct group *g;

	if (!co || !user || (unsigned)mode > CO_GROUP_FIRST || is_open(co, user)) {
		whorl__misuse(CO_MISUSE_GROUP, 0, SITE(), "begin of a group %s",
			      !co ? "outside a coroutine" : "that is open, or of an unknown mode");
		return;
	}
	whorl__check_frames(co, FRAME());
	memset(user, 0, sizeof *user);
	g = group_get(co->loop);
	if (g)
		whorl__group_init(g, NULL, mode);
	if (whorl__begin(&user->scope_, g, SITE()) == 0 && g) {
		g->node = co->scope;
		return;
	}
	if (g)
		group_put(co->loop, g);
	if (co->scope->user == user) {
		co->scope->group = NULL;
		whorl__cancel(co->scope, CO_CAUSE_EXPLICIT, ENOMEM, NULL);
	}
}

/* Who is no child may spawn another between the wake and the next turn of the owner. */
void whorl__group_drain(struct group *g, struct co *owner)
{
	while (g->running > 0) {
		struct wait *w = whorl__wait_for(owner, "its children", CO_FOREVER, 0);

		w->deaf = true;
		list_append(&g->waiters, &w->waiter.link);
		whorl__park(owner);
	}
}

/* Contract C27, when all children are done and the scope is closed and judged. */
static int outcome(const struct group *g, co_scope *s, int rc, bool body_cut)
{
	bool body_error = rc < 0 && !body_cut;

	if (g->mode == CO_GROUP_FAIL_FAST && g->first_error < 0)
		return g->first_error;
	if (g->mode == CO_GROUP_FIRST && g->winner != 0)
		return 0;
	if (body_error)
		return rc;
	if (g->mode == CO_GROUP_FIRST && g->error_count > 0)
		return g->errors[0];
	return body_cut || g->child_cut ? whorl__judge(s, -ECANCELED) : rc;
}

static void keep_results(co_group *user, const struct group *g)
{
	memcpy(user->errors_, g->errors, sizeof user->errors_);
	user->error_count_ = g->error_count;
	user->winner_ = g->winner;
	user->winner_exit_ = g->winner_exit;
}

static int end(struct co *co, co_group *user, struct node *n, int rc)
{
	struct group *g = n->group;
	bool body_cut;

	whorl__close_inner(co, n);
	body_cut = rc == -ECANCELED && n->effective;
	if (!g) {
		whorl__close(n, &user->scope_);
		return whorl__judge(&user->scope_, rc);
	}
	if (rc < 0 && !body_cut) {
		if (g->first_error == 0)
			g->first_error = rc;
		whorl__cancel(n, CO_CAUSE_SIBLING, error_of(rc), NULL);
	}
	g->ending = true;
	whorl__group_drain(g, co);
	whorl__close(n, &user->scope_);
	keep_results(user, g);
	rc = outcome(g, &user->scope_, rc, body_cut);
	whorl__group_free(co->loop, g);
	return rc;
}

FRAMED int co_group_end(co_group *user, int rc)
{
	struct co *co = whorl__self();
	struct node *n = NULL;
	int found = user ? whorl__find(&user->scope_, &n, SITE()) : -EINVAL;

	if (found < 0)
		return found;
	if (found == FIND_NO_NODE) {
		whorl__close_without_node(&user->scope_);
		return whorl__judge(&user->scope_, rc);
	}
	if (found == FIND_OVER && whorl__closed_behind(&user->scope_))
		return rc;
	if (found != 0 || n->owner != co)
		return whorl__misuse(CO_MISUSE_GROUP, -EINVAL, SITE(), "end of a group %s",
				     found ? "that is not open" : "that another coroutine began");
	whorl__check_frames(co, FRAME());
	return n->gen == user->scope_.gen_ ? end(co, user, n, rc) : rc;
}

/* ------------------------------------------------------------------------------ wait and cancel */

static int wait_until(co_group *user, co_ns abs, const void *frame, const void *site)
{
	struct co *co = whorl__suspender(site);
	struct group *g;
	struct wait *w;
	int rc;

	if (!co)
		return -EPERM;
	rc = whorl__point(co, frame);
	if (rc < 0)
		return rc;
	rc = group_of(user, &g, site);
	if (rc < 0)
		return rc;
	if (!g || g->running == 0)
		return 0;
	if (co->group == g)
		return -EDEADLK;
	if (past(co, abs))
		return -ETIMEDOUT;
	w = whorl__wait_for(co, "the children of a group", abs, -ETIMEDOUT);
	list_append(&g->waiters, &w->waiter.link);
	return whorl__park(co);
}

FRAMED int co_group_wait(co_group *g)
{
	return wait_until(g, CO_FOREVER, FRAME(), SITE());
}

FRAMED int co_group_wait_until(co_group *g, co_ns abs)
{
	return wait_until(g, abs, FRAME(), SITE());
}

int co_group_cancel(co_group *user, int err)
{
	struct group *g;
	int rc;

	if (whorl__bad_err(err))
		return -EINVAL;
	rc = group_of(user, &g, SITE());
	return rc < 0 ? rc : whorl__scope_cancel(&user->scope_, err, SITE());
}

/* ---------------------------------------------------------------------------------------- start */

/* The child refers to it until it has started or ended; so the one that waits learns of the end
 * even if a cancel woke it before, and it has not run since. */
struct start {
	struct co *co;			/* who waits */
	int64_t value;
	bool over;			/* the child ended without co_started */
};

static bool is_parked(const struct start *start)
{
	return start->co->state == STATE_PARKED;
}

void whorl__start_failed(struct start *start, int exit)
{
	start->over = true;
	if (is_parked(start))
		whorl__wake(start->co, exit < 0 ? exit : -EPIPE);
}

static int wait_for_start(struct co *co, struct co *child, struct start *start, const void *site)
{
	int rc;

	whorl__wait_for(co, "a child to start", CO_FOREVER, 0);
	child->start = start;
	rc = whorl__park(co);
	if (rc != -ECANCELED)
		return rc;
	if (!start->over) {	/* cancelled: the child is not left behind half started */
		whorl__cancel(&child->home->root, CO_CAUSE_EXPLICIT, 0, site);
		whorl__wait_for(co, "a child to end", CO_FOREVER, 0)->deaf = true;
		whorl__park(co);
	}
	return -ECANCELED;
}

FRAMED int co_group_start(co_group *user, co_fn *fn, void *arg, int64_t *value)
{
	struct co *co = whorl__suspender(SITE()), *child;
	struct start start = { .co = co };
	int rc;

	if (!co)
		return -EPERM;
	rc = whorl__point(co, FRAME());
	if (rc == 0 && (!user || !fn))
		rc = -EINVAL;
	if (rc == 0)
		rc = spawn_into(user, &(struct spawn){ .fn = fn, .arg = arg, .site = SITE() },
				&child);
	if (rc == 0)
		rc = wait_for_start(co, child, &start, SITE());
	if (rc == 0 && value)
		*value = start.value;
	return rc;
}

/* Does nothing once the caller was cancelled: that one waits for the end of the child. */
void co_started(int64_t value)
{
	struct co *co = whorl__self();
	struct start *start = co ? co->start : NULL;

	if (!start || !is_parked(start) || start->co->wait.deaf)
		return;
	co->start = NULL;
	start->value = value;
	whorl__wake(start->co, 0);
}

/* -------------------------------------------------------------------------------------- results */

int co_group_errors(const co_group *user, int *out, int n)
{
	const int *errors;
	struct group *g;
	int count;

	if (!user || n < 0 || (n > 0 && !out) || group_of(user, &g, SITE()) < 0)
		return -EINVAL;
	errors = g ? g->errors : user->errors_;
	count = g ? g->error_count : user->error_count_;
	for (int i = 0; i < n && i < count && i < KEPT_ERRORS; i++)
		out[i] = errors[i];
	return count;
}

int co_group_winner(const co_group *user, co_ref *who, int *exit_code)
{
	struct group *g;
	uint64_t winner;

	if (!user || group_of(user, &g, SITE()) < 0)
		return -EINVAL;
	winner = g ? g->winner : user->winner_;
	if (winner == 0)
		return -ESRCH;
	if (who)
		who->id = winner;
	if (exit_code)
		*exit_code = g ? g->winner_exit : user->winner_exit_;
	return 0;
}

FRAMED int co_gather(int n, co_fn *const fns[], void *const args[], int exits[])
{
	struct co *co = whorl__suspender(SITE()), *child;
	co_group group;
	int rc;

	if (!co)
		return -EPERM;
	rc = whorl__point(co, FRAME());
	if (rc < 0)
		return rc;
	if (n < 0 || (n > 0 && !fns))
		return -EINVAL;
	for (int i = 0; i < n; i++)
		if (!fns[i])
			return -EINVAL;
	for (int i = 0; exits && i < n; i++)
		exits[i] = -ECANCELED;
	co_group_begin(&group, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < n && rc == 0; i++)
		rc = spawn_into(&group,
				&(struct spawn){ .fn = fns[i],
						 .arg = args ? args[i] : NULL,
						 .site = SITE(),
						 .exit_out = exits ? &exits[i] : NULL },
				&child);
	return co_group_end(&group, rc);
}
