/*
 * Conformance scenarios, group I: the life of a coroutine, and joining it. Times are virtual
 * milliseconds.
 */
#include "actor.h"

#include <fcntl.h>
#include <unistd.h>

struct fd_owner {
	int fd, first, closed;
};

static int fd_owner(void *arg)
{
	struct fd_owner *o = arg;

	o->first = co_sleep(MS(1));
	o->closed = close(o->fd);
	return o->first;
}

/* C21 */
SCENARIO(S116_cancel_before_first_run)
{
	struct fd_owner o = { .closed = -1 };
	co_group g;
	co_ref ref;
	int fd[2];

	IS(pipe(fd), 0);
	o.fd = fd[1];
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ref = spawn(&g, fd_owner, &o);
	IS(co_cancel(ref, 0), 0);
	IS(join(ref), CANC);
	IS(co_group_end(&g, 0), 0);
	IS(o.first, CANC);
	IS(o.closed, 0);
	IS(fcntl(fd[1], F_GETFD), -1);
	close(fd[0]);
}

/* C23: also when its slot was used again */
SCENARIO(S117_cancel_a_finished_coroutine)
{
	struct actor kid = { .exit = 1 }, next = { .nap = 10 };
	co_group g, h;
	co_ref old, new;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	old = spawn(&g, actor, &kid);
	settle();
	IS(co_cancel(old, 0), -ESRCH);
	IS(join(old), 1);
	IS(co_group_end(&g, 0), 0);
	co_group_begin(&h, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 1000; i++) {
		new = spawn(&h, actor, &next);
		ck_assert_uint_ne(new.id, old.id);
		IS(co_cancel(old, 0), -ESRCH);
		IS(join(new), 0);
	}
	IS(next.woke, 0);
	IS(co_group_end(&h, 0), 0);
}

static int notes_c(void *unused)
{
	int rc = co_sleep(CO_FOREVER);

	(void)unused;
	note('c');
	return rc;
}

/* C23 */
SCENARIO(S119_cancel_does_not_switch)
{
	co_group g;
	co_ref f;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	f = spawn(&g, notes_c, NULL);
	settle();
	note('a');
	IS(co_cancel(f, 0), 0);
	note('b');
	IS(co_group_end(&g, 0), 0);
	ck_assert_str_eq(notes(), "abc");
}

/* C25 */
SCENARIO(S120_join_result)
{
	struct actor f = { .nap = 100, .exit = 42 };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(join(spawn(&g, actor, &f)), 42);
	AT(100);
	IS(co_group_end(&g, 0), 0);
}

/* C7 */
SCENARIO(S122_join_until_in_the_past_on_a_finished_coroutine)
{
	struct actor f = { .nap = 10, .exit = 42 };
	co_group g;
	co_ref ref;
	int code = 99;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ref = spawn(&g, actor, &f);
	IS(co_sleep(MS(50)), 0);
	IS(co_join_until(ref, &code, MS(20)), 0);
	IS(code, 42);
	IS(co_group_end(&g, 0), 0);
}

/* C25 */
SCENARIO(S123_joiner_cancelled_target_lives)
{
	struct actor t = { .nap = 100, .exit = 5 };
	co_group g;
	co_ref target, j;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	target = spawn(&g, actor, &t);
	j = spawn(&g, join_of, &target);
	IS(co_sleep(MS(10)), 0);
	IS(co_cancel(j, 0), 0);
	IS(join(j), CANC);
	AT(10);
	ck_assert(!co_was_cancelled(target));
	IS(co_group_end(&g, 0), 0);
	AT(100);
	IS(t.woke, 0);
}

/* C25 */
SCENARIO(S125_join_twice)
{
	struct actor f = { .nap = 1 };
	co_group g;
	co_ref ref;
	int code = 99;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ref = spawn(&g, actor, &f);
	IS(join(ref), 0);
	IS(co_join(ref, &code), -ESRCH);
	IS(co_join_until(ref, &code, MS(100)), -ESRCH);
	IS(code, 99);
	IS(co_group_end(&g, 0), 0);
	AT(1);
}

/* C25 */
SCENARIO(S126_scope_timeout_around_join)
{
	struct actor t = { .nap = 50, .exit = 6 };
	co_scope s = CO_SCOPE_INIT;
	co_group g;
	co_ref ref;
	int code = 99;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ref = spawn(&g, actor, &t);
	co_scope_begin(&s, MS(10));
	IS(co_scope_end(&s, co_join(ref, &code)), TMO);
	AT(10);
	ck_assert(!co_was_cancelled(ref));
	IS(code, 99);
	IS(join(ref), 6);
	AT(50);
	IS(co_group_end(&g, 0), 0);
}

/* C28: it swallows the cancel and finishes behind a shield */
SCENARIO(S128_target_ignores_the_cancel_for_a_while)
{
	struct actor t = { .nap = EVER, .cleanup = 150, .answers = true, .answer = 9 };
	co_group g;
	co_ref ref;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ref = spawn(&g, actor, &t);
	IS(co_sleep(MS(50)), 0);
	IS(co_cancel(ref, 0), 0);
	IS(co_group_end(&g, 0), 0);
	AT(200);
	IS(t.left, 200);
}

SUITE("scenarios-join", S116_cancel_before_first_run, S117_cancel_a_finished_coroutine,
      S119_cancel_does_not_switch, S120_join_result,
      S122_join_until_in_the_past_on_a_finished_coroutine, S123_joiner_cancelled_target_lives,
      S125_join_twice, S126_scope_timeout_around_join, S128_target_ignores_the_cancel_for_a_while)
