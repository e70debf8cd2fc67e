/*
 * Conformance scenarios, group J: groups. Times are virtual milliseconds.
 */
#include "actor.h"

/* C27 */
SCENARIO(S129_empty_group)
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_group_wait_until(&g, CO_FOREVER), 0);
	IS(co_group_end(&g, 0), 0);
	AT(0);
}

/* C28 */
SCENARIO(S131_late_spawn)
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, sleep_ms, num(100));
	IS(co_sleep(MS(150)), 0);
	spawn(&g, sleep_ms, num(200));
	IS(co_group_end(&g, 0), 0);
	AT(350);
}

/* C26, C27 */
SCENARIO(S132_first_error_cancels_siblings_and_body)
{
	struct actor a = { .nap = 100, .exit = -EIO }, b = { .nap = 5000 };
	co_group g;
	int rc;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, actor, &a);
	spawn(&g, actor, &b);
	rc = co_sleep(MS(10000));
	IS(rc, CANC);
	AT(100);
	IS(co_group_end(&g, rc), -EIO);
	AT(100);
	IS(b.woke, CANC);
	IS(b.at, 100);
}

/* C27 */
SCENARIO(S134_several_errors)
{
	struct actor a = { .nap = 100, .exit = -EIO };
	struct actor b = { .nap = 5000, .answers = true, .answer = -EPROTO };
	int error[4] = { 0 };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, actor, &a);
	spawn(&g, actor, &b);
	IS(co_group_end(&g, 0), -EIO);
	IS(co_group_errors(&g, error, 4), 2);
	IS(error[0], -EIO);
	IS(error[1], -EPROTO);
}

/* C26 */
SCENARIO(S135_body_error_cancels_children)
{
	struct actor a = { .nap = 1000 }, b = { .nap = EVER };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, actor, &a);
	spawn(&g, actor, &b);
	IS(co_sleep(MS(10)), 0);
	IS(co_group_end(&g, -EINVAL), -EINVAL);
	AT(10);
	IS(a.woke, CANC);
	IS(b.woke, CANC);
}

/* C26 */
SCENARIO(S137_child_returns_canceled_with_nobody_cancelled)
{
	struct actor a = { .nap = 10, .exit = CANC }, b = { .nap = EVER };
	int error = 0;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, actor, &a);
	spawn(&g, actor, &b);
	IS(co_group_end(&g, 0), CANC);
	AT(10);
	IS(b.woke, CANC);
	IS(co_group_errors(&g, &error, 1), 1);
	IS(error, CANC);
}

struct runner {
	struct actor kid[5], body;
	int end, at;
};

static int runner(void *arg)
{
	struct runner *r = arg;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 5; i++)
		spawn(&g, actor, &r->kid[i]);
	r->end = co_group_end(&g, actor(&r->body));
	r->at = now_ms();
	return r->end;
}

/* C5, C27 */
SCENARIO(S138_outer_cancel)
{
	struct runner r = { .body = { .nap = EVER } };
	co_group g;
	co_ref ref;

	for (int i = 0; i < 5; i++)
		r.kid[i] = (struct actor){ .nap = 1000 * (i + 1) };
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ref = spawn(&g, runner, &r);
	IS(co_sleep(MS(100)), 0);
	IS(co_cancel(ref, 0), 0);
	IS(join(ref), CANC);
	IS(r.end, CANC);
	IS(r.at, 100);
	IS(r.body.woke, CANC);
	for (int i = 0; i < 5; i++) {
		IS(r.kid[i].woke, CANC);
		IS(r.kid[i].left, 100);
	}
	IS(co_group_end(&g, 0), 0);
}

/* C27: body and child are cut at 100; the child, behind a shield, fails at 300, the body's
 * lasts to 600 */
SCENARIO(S140_crash_during_slow_unwinding)
{
	struct actor child = { .nap = EVER, .cleanup = 200, .answers = true, .answer = -EIO };
	struct actor body = { .nap = EVER, .cleanup = 500 };
	co_scope s = CO_SCOPE_INIT;
	co_group g;
	int rc;

	co_scope_begin(&s, MS(100));
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, actor, &child);
	rc = actor(&body);
	IS(rc, CANC);
	AT(600);
	IS(child.left, 300);
	rc = co_group_end(&g, rc);
	IS(rc, -EIO);
	AT(600);
	IS(co_scope_end(&s, rc), -EIO);
}

/* C5, C27 */
SCENARIO(S141_nested_groups_the_outer_child_fails)
{
	struct actor crash = { .nap = 100, .exit = -EIO }, inner = { .nap = 10000 };
	co_group out, in;
	int rc;

	co_group_begin(&out, CO_GROUP_FAIL_FAST);
	spawn(&out, actor, &crash);
	co_group_begin(&in, CO_GROUP_FAIL_FAST);
	spawn(&in, actor, &inner);
	rc = co_group_end(&in, 0);
	IS(rc, CANC);
	AT(100);
	IS(inner.woke, CANC);
	IS(co_group_end(&out, rc), -EIO);
	AT(100);
}

/* C11, C27 */
SCENARIO(S143_group_with_a_deadline)
{
	struct actor child = { .nap = 1000 };
	co_scope s = CO_SCOPE_INIT;
	co_group g;
	int rc;

	co_scope_begin(&s, MS(50));
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, actor, &child);
	rc = co_group_end(&g, 0);
	IS(rc, CANC);
	IS(co_scope_end(&s, rc), TMO);
	AT(50);
	IS(child.at, 50);
}

/* C28 */
SCENARIO(S144_wait_with_grace_then_cancel)
{
	struct actor a = { .nap = 100 }, b = { .nap = EVER, .cleanup = 200 };
	co_group g;
	co_ref ref;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, actor, &a);
	ref = spawn(&g, actor, &b);
	IS(co_group_wait_until(&g, MS(500)), TMO);
	AT(500);
	IS(b.left, 0);
	ck_assert(!co_was_cancelled(ref));
	IS(co_group_cancel(&g, 0), 0);
	IS(co_group_end(&g, 0), 0);
	AT(700);
	IS(b.left, 700);
}

/* C22 */
SCENARIO(S146_spawn_into_a_cancelled_group_is_refused)
{
	int *mine = malloc(sizeof(*mine));
	co_group g;

	ck_assert_ptr_nonnull(mine);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_group_cancel(&g, 0), 0);
	IS(co_spawn(&g, must_not_run, mine, NULL), CANC);
	settle();
	free(mine);
	IS(co_group_end(&g, 0), 0);
}

struct hydra {
	co_group *g;
	int heads, refused;
};

static int hydra(void *arg)
{
	struct hydra *h = arg;
	int rc;

	h->heads++;
	co_ignore(co_sleep(MS(10)));
	for (int i = 0; i < 2; i++) {
		rc = co_spawn(h->g, hydra, h, NULL);
		h->refused += rc == CANC;
		ck_assert(rc == 0 || rc == CANC);
	}
	return 0;
}

/* C22: by 35 there were 1, 2, 4 and 8 heads; the last 8 grow none */
SCENARIO(S147_hydra)
{
	struct actor fails = { .nap = 35, .exit = -EIO };
	co_group g;
	struct hydra h = { .g = &g };

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, actor, &fails);
	spawn(&g, hydra, &h);
	IS(co_group_end(&g, 0), -EIO);
	AT(35);
	IS(h.heads, 15);
	IS(h.refused, 16);
}

/* C22 */
SCENARIO(S149_spawn_after_end)
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_group_end(&g, 0), 0);
	IS(co_spawn(&g, must_not_run, NULL, NULL), -ESHUTDOWN);
	settle();
}

/* C3 */
SCENARIO(S150_children_belong_to_the_groups_scope)
{
	struct actor child = { .nap = 30 };
	co_scope s = CO_SCOPE_INIT;
	co_group g;
	co_ref ref;
	int rc;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_scope_begin(&s, MS(10));
	ref = spawn(&g, actor, &child);
	rc = co_sleep(MS(100));
	IS(co_scope_end(&s, rc), TMO);
	AT(10);
	IS(join(ref), 0);
	AT(30);
	IS(child.woke, 0);
	IS(co_group_end(&g, 0), 0);
}

static struct co_options *watching(void)
{
	struct co_options *opt = hearing();

	opt->watchdog = MS(100);
	return opt;
}

/* C28 */
SCENARIO_WITH(S152_child_that_ignores_a_cancel_holds_the_end, watching())
{
	struct actor child = { .nap = EVER, .cleanup = 300 };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_spawn_with(&g, actor, &child, NULL, &(struct co_attr){ .name = "obstinate" }), 0);
	IS(co_sleep(MS(10)), 0);
	IS(co_group_cancel(&g, 0), 0);
	IS(reports()->count, 0);
	IS(co_group_end(&g, 0), 0);
	AT(310);
	IS(reports()->count, 1);
	IS(reports()->kind[0], CO_REPORT_STUCK_CHILD);
	ck_assert_ptr_nonnull(strstr(reports()->text[0], "obstinate"));
	ck_assert_ptr_nonnull(reports()->site[0]);
}

/* C26, C27 */
SCENARIO(S153_race_mode)
{
	struct actor a = { .nap = 30, .exit = 4 }, b = { .nap = 50 };
	struct actor c = { .nap = 10, .exit = -EIO };
	co_ref ref, winner = { 0 };
	co_group g;
	int code = 99;

	co_group_begin(&g, CO_GROUP_FIRST);
	ref = spawn(&g, actor, &a);
	spawn(&g, actor, &b);
	spawn(&g, actor, &c);
	IS(co_group_end(&g, 0), 0);
	AT(30);
	IS(b.woke, CANC);
	IS(co_group_winner(&g, &winner, &code), 0);
	ck_assert_uint_eq(winner.id, ref.id);
	IS(code, 4);
}

SCENARIO(S153_race_mode_all_fail)
{
	struct actor a = { .nap = 30, .exit = -EPERM }, b = { .nap = 50, .exit = -EPROTO };
	struct actor c = { .nap = 10, .exit = -EIO };
	co_group g;

	co_group_begin(&g, CO_GROUP_FIRST);
	spawn(&g, actor, &a);
	spawn(&g, actor, &b);
	spawn(&g, actor, &c);
	IS(co_group_end(&g, 0), -EIO);
	AT(50);
	IS(co_group_winner(&g, NULL, NULL), -ESRCH);
}

static int server(void *arg)
{
	int rc = co_sleep(MS(1));

	if (rc)
		return rc;
	if (arg)
		co_started(*(int64_t *)arg);
	return co_sleep(MS(1));
}

SCENARIO(S155_start_protocol)
{
	struct actor fails = { .nap = 1, .exit = -EIO };
	int64_t given = INT64_C(1) << 40, value = 0;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_group_start(&g, server, &given, &value), 0);
	AT(1);
	ck_assert(value == given);
	IS(co_group_end(&g, 0), 0);
	AT(2);

	co_group_begin(&g, CO_GROUP_COLLECT);
	IS(co_group_start(&g, server, NULL, &value), -EPIPE);
	AT(4);
	IS(co_group_start(&g, actor, &fails, &value), -EIO);
	AT(5);
	IS(co_group_end(&g, 0), 0);
}

struct starting {
	co_group *g;
	struct actor child;
	int rc, at;
};

static int starting(void *arg)
{
	struct starting *t = arg;

	t->rc = co_group_start(t->g, actor, &t->child, NULL);
	t->at = now_ms();
	return t->rc;
}

SCENARIO(S156_start_cancelled)
{
	co_group aside, g;
	struct starting t = { .g = &g, .child = { .nap = EVER, .cleanup = 20 } };
	co_ref ref;

	co_group_begin(&aside, CO_GROUP_FAIL_FAST);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ref = spawn(&aside, starting, &t);
	IS(co_sleep(MS(10)), 0);
	IS(co_cancel(ref, 0), 0);
	IS(join(ref), CANC);
	IS(t.child.at, 10);
	IS(t.child.left, 30);
	IS(t.at, 30);
	IS(co_group_end(&g, 0), 0);
	IS(co_group_end(&aside, 0), 0);
}

struct canceller {
	co_group *g;
	co_ref also; /* cancelled right after it; id 0: nobody */
	int rc;	     /* of the sleep that follows */
};

static int canceller(void *arg)
{
	struct canceller *c = arg;

	IS(co_group_cancel(c->g, 0), 0);
	if (c->also.id)
		IS(co_cancel(c->also, 0), 0);
	c->rc = co_sleep(MS(10));
	return c->rc;
}

/* C4, C23: by a child, itself included */
SCENARIO(S158_cancel_group_from_a_member)
{
	struct actor sibling = { .nap = EVER };
	co_group g;
	struct canceller member = { .g = &g };

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, actor, &sibling);
	spawn(&g, canceller, &member);
	IS(co_group_wait(&g), CANC);
	IS(co_group_end(&g, CANC), 0);
	AT(0);
	IS(sibling.woke, CANC);
	IS(member.rc, CANC);
}

struct visitor {
	co_group *g;
	int rc;
};

static int visitor(void *arg)
{
	struct visitor *v = arg;

	v->rc = co_group_wait(v->g);
	return 0;
}

/* C8, C27: visitors wait, each by its own scopes; another cancels the group; its owner ends it
 * and forgets it */
SCENARIO(S159_cancel_group_while_others_wait_for_it)
{
	struct visitor a = { .rc = 99 }, b = { .rc = 99 };
	co_group aside, *g = malloc(sizeof(*g));
	struct canceller c = { .g = g };

	ck_assert_ptr_nonnull(g);
	a.g = b.g = g;
	co_group_begin(&aside, CO_GROUP_FAIL_FAST);
	co_group_begin(g, CO_GROUP_FAIL_FAST);
	spawn(g, sleep_forever, NULL);
	spawn(&aside, visitor, &a);
	c.also = spawn(&aside, visitor, &b);
	settle();
	spawn(&aside, canceller, &c);
	IS(co_group_end(g, 0), 0);
	AT(0);
	memset(g, 0xA5, sizeof(*g));
	free(g);
	IS(co_group_end(&aside, 0), 0);
	IS(a.rc, 0);
	IS(b.rc, CANC);
}

/* the owner itself waits */
SCENARIO(S159_cancel_group_while_its_owner_waits)
{
	co_group aside, g;
	struct canceller c = { .g = &g };

	co_group_begin(&aside, CO_GROUP_FAIL_FAST);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, sleep_forever, NULL);
	spawn(&aside, canceller, &c);
	IS(co_group_wait(&g), CANC);
	IS(co_group_end(&g, 0), 0);
	AT(0);
	IS(co_group_end(&aside, 0), 0);
	IS(c.rc, 0);
}

SUITE("scenarios-group", S129_empty_group, S131_late_spawn,
      S132_first_error_cancels_siblings_and_body, S134_several_errors,
      S135_body_error_cancels_children, S137_child_returns_canceled_with_nobody_cancelled,
      S138_outer_cancel, S140_crash_during_slow_unwinding, S141_nested_groups_the_outer_child_fails,
      S143_group_with_a_deadline, S144_wait_with_grace_then_cancel,
      S146_spawn_into_a_cancelled_group_is_refused, S147_hydra, S149_spawn_after_end,
      S150_children_belong_to_the_groups_scope, S152_child_that_ignores_a_cancel_holds_the_end,
      S153_race_mode, S153_race_mode_all_fail, S155_start_protocol, S156_start_cancelled,
      S158_cancel_group_from_a_member, S159_cancel_group_while_others_wait_for_it,
      S159_cancel_group_while_its_owner_waits)
