/*
 * Mutex, condition, semaphore, event, barrier, reader-writer lock (C30-C32, and what C7, C8, C17
 * and C39 say of them), and the conformance scenarios of group K. Times are virtual milliseconds.
 */
#include "actor.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* A coroutine that waits for an object once, keeps it for a while and gives it back. */
struct party {
	int (*take)(struct party *p);  /* waits */
	void (*give)(struct party *p); /* NULL: there is nothing to give back */
	void *object;
	uint32_t n;	/* permits */
	co_ns within;	/* of the scope around the wait; 0: no deadline */
	int hold;	/* ms, whatever is cancelled */
	char letter;	/* noted when it has got it; 0: not noted */
	co_scope scope; /* around the wait */
	int rc, end;	/* what the wait gave; what the scope made of it */
	int next;	/* what the next cancellation point gave */
	int at;		/* ms: when the wait was over */
	bool over, left;
};

static int party(void *arg)
{
	struct party *p = arg;

	co_scope_begin(&p->scope, p->within ? p->within : CO_FOREVER);
	p->rc = p->take(p);
	p->over = true;
	p->at = now_ms();
	p->end = co_scope_end(&p->scope, p->rc);
	p->next = co_checkpoint();
	if (p->rc >= 0 && p->letter)
		note(p->letter);
	if (p->rc >= 0 && p->hold)
		calm_ms(p->hold);
	if (p->rc >= 0 && p->give)
		p->give(p);
	p->left = true;
	return 0;
}

static int take_mutex(struct party *p)
{
	return co_mutex_lock(p->object);
}

static void give_mutex(struct party *p)
{
	IS(co_mutex_unlock(p->object), 0);
}

static int take_permits(struct party *p)
{
	return co_sem_wait_n(p->object, p->n);
}

static void give_permits(struct party *p)
{
	co_sem_post_n(p->object, p->n);
}

static int take_event(struct party *p)
{
	return co_event_wait(p->object);
}

static int take_barrier(struct party *p)
{
	return co_barrier_wait(p->object);
}

static int take_read(struct party *p)
{
	return co_rwlock_rdlock(p->object);
}

static int take_write(struct party *p)
{
	return co_rwlock_wrlock(p->object);
}

static void give_rwlock(struct party *p)
{
	IS(co_rwlock_unlock(p->object), 0);
}

#define MUTEX_PARTY .take = take_mutex, .give = give_mutex
#define PERMITS_PARTY .take = take_permits, .give = give_permits
#define READ_PARTY .take = take_read, .give = give_rwlock
#define WRITE_PARTY .take = take_write, .give = give_rwlock

/* A condition and its mutex. */
struct desk {
	co_mutex mutex;
	co_cond cond;
};

/* However the wait ends, the mutex is its own: nobody else can have it, and it can unlock it. */
static int take_signal(struct party *p)
{
	struct desk *d = p->object;
	int rc;

	co_mutex_lock_nc(&d->mutex);
	rc = co_cond_wait(&d->cond, &d->mutex);
	IS(co_mutex_trylock(&d->mutex), -EBUSY);
	IS(co_mutex_unlock(&d->mutex), 0);
	return rc;
}

/* The hook was called once since the last of these. */
static void blamed(enum co_misuse kind)
{
	IS(misuses()->count, 1);
	IS(misuses()->kind[0], kind);
	ck_assert_uint_gt(strlen(misuses()->text[0]), 8);
	misuses()->count = 0;
}

static void blameless(void)
{
	IS(misuses()->count, 0);
}

static bool is_free(co_mutex *m)
{
	int rc = co_mutex_trylock(m);

	if (rc == 0)
		IS(co_mutex_unlock(m), 0);
	else
		IS(rc, -EBUSY);
	return rc == 0;
}

static void free_again(co_rwlock *l)
{
	IS(co_rwlock_trywrlock(l), 0);
	IS(co_rwlock_unlock(l), 0);
}

/* ---------------------------------------------------------------------------------------- mutex */

/* C8: B gives up at 10, and leaves nothing behind */
SCENARIO(S161_waiter_timed_out_leaves_the_queue)
{
	co_mutex m = CO_MUTEX_INIT;
	struct party b = { MUTEX_PARTY, .object = &m, .within = MS(10) };
	struct party c = { MUTEX_PARTY, .object = &m };
	co_group g;

	IS(co_mutex_lock(&m), 0);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, party, &b);
	advance(MS(20));
	IS(b.rc, CANC);
	IS(b.end, TMO);
	IS(b.at, 10);
	IS(co_mutex_unlock(&m), 0);
	ck_assert(is_free(&m));
	spawn(&g, party, &c);
	IS(co_group_end(&g, 0), 0);
	IS(c.rc, 0);
	AT(20);
}

/* The end of a scope unlocks nothing. */
SCENARIO(S162_a_holder_cut_short_still_holds)
{
	co_mutex m = CO_MUTEX_INIT;
	struct party other = { MUTEX_PARTY, .object = &m };
	co_scope s = CO_SCOPE_INIT;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_scope_begin(&s, MS(10));
	IS(co_mutex_lock(&m), 0);
	spawn(&g, party, &other);
	IS(co_sleep(MS(100)), CANC);
	IS(co_scope_end(&s, CANC), TMO);
	settle();
	ck_assert(!other.over);
	IS(co_mutex_unlock(&m), 0);
	settle();
	IS(other.rc, 0);
	IS(co_group_end(&g, 0), 0);
}

static int locks_and_returns(void *m)
{
	IS(co_mutex_lock(m), 0);
	return 7;
}

/* C39: it is reported, and the mutex stays locked; a coroutine in the same place later is not
 * blamed for it */
SCENARIO_WITH(S162_a_coroutine_that_returns_with_a_mutex_locked, hearing())
{
	co_mutex m = CO_MUTEX_INIT, other = CO_MUTEX_INIT;
	struct party good = { MUTEX_PARTY, .object = &other };
	char site[256];
	struct lone f;

	lone_start(&f, locks_and_returns, &m);
	IS(lone_end(&f), 7);
	blamed(CO_MISUSE_MUTEX);
	co_site_format(misuses()->site[0], site, sizeof(site));
	ck_assert_uint_gt(strlen(site), 1);
	IS(co_mutex_trylock(&m), -EBUSY);
	IS(co_mutex_lock_until(&m, MS(5)), TMO);
	lone_start(&f, party, &good);
	IS(lone_end(&f), 0);
	IS(good.rc, 0);
	blameless();
}

/* Released, and its first waiter cancelled, in one step, in either order: exactly one has it. */
static void race_of_cancel_and_release(bool cancel_first)
{
	co_mutex m = CO_MUTEX_INIT;
	struct party a = { MUTEX_PARTY, .object = &m, .hold = 10 };
	struct party b = { MUTEX_PARTY, .object = &m, .hold = 10 };
	co_ns begin = co_now();
	co_group g;
	co_ref first;

	IS(co_mutex_lock(&m), 0);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	first = spawn(&g, party, &a);
	spawn(&g, party, &b);
	settle();
	if (cancel_first)
		IS(co_cancel(first, 0), 0);
	IS(co_mutex_unlock(&m), 0);
	if (!cancel_first)
		IS(co_cancel(first, 0), 0);
	ck_assert(!is_free(&m));
	settle();
	IS(a.over, true);
	IS(a.rc, cancel_first ? CANC : 0);
	IS(a.next, CANC);
	IS(b.over, cancel_first);
	ck_assert(!is_free(&m));
	IS(co_group_end(&g, 0), 0);
	IS(b.rc, 0);
	ck_assert_int_eq(co_now() - begin, cancel_first ? MS(10) : MS(20));
	ck_assert(is_free(&m));
}

/* C8 */
SCENARIO(S164_only_one_owner_after_cancel_and_release)
{
	race_of_cancel_and_release(true);
	race_of_cancel_and_release(false);
}

/* C30 */
SCENARIO(S165_unlock_then_cancel)
{
	co_mutex m = CO_MUTEX_INIT;
	struct party b = { MUTEX_PARTY, .object = &m, .hold = 30 };
	struct party c = { MUTEX_PARTY, .object = &m };
	co_group g;
	co_ref ref;

	IS(co_mutex_lock(&m), 0);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ref = spawn(&g, party, &b);
	spawn(&g, party, &c);
	settle();
	IS(co_mutex_unlock(&m), 0);
	IS(co_cancel(ref, 0), 0);
	advance(MS(29));
	IS(b.rc, 0);
	IS(b.next, CANC);
	ck_assert(!c.over);
	advance(MS(1));
	ck_assert(b.left);
	IS(c.rc, 0);
	IS(c.at, 30);
	IS(c.next, 0);
	IS(co_group_end(&g, 0), 0);
}

/* C8, C30 */
SCENARIO(S110_lock_handed_over_then_cancelled)
{
	co_mutex m = CO_MUTEX_INIT;
	struct party w = { MUTEX_PARTY, .object = &m };
	struct lone f;

	IS(co_mutex_lock(&m), 0);
	lone_start(&f, party, &w);
	settle();
	IS(co_mutex_unlock(&m), 0);
	IS(co_cancel(f.ref, 0), 0);
	ck_assert(!is_free(&m));
	settle();
	IS(w.rc, 0);
	IS(w.next, CANC);
	ck_assert(is_free(&m));
	IS(lone_end(&f), 0);
}

static int take_mutex_nc(struct party *p)
{
	co_mutex_lock_nc(p->object);
	return 0;
}

/* C30: neither a scope cancelled before nor one that is cancelled meanwhile ends the wait */
SCENARIO(S167_lock_nc_waits_in_a_cancelled_scope)
{
	co_mutex m = CO_MUTEX_INIT;
	struct party before = { .take = take_mutex_nc, .give = give_mutex, .object = &m };
	struct party meanwhile = {
		.take = take_mutex_nc, .give = give_mutex, .object = &m, .within = MS(5)
	};
	co_group g;
	co_ref ref;

	IS(co_mutex_lock(&m), 0);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ref = spawn(&g, party, &before);
	IS(co_cancel(ref, 0), 0);
	ref = spawn(&g, party, &meanwhile);
	settle();
	IS(co_cancel(ref, 0), 0);
	IS(co_sleep_until(MS(20)), 0);
	ck_assert(!before.over && !meanwhile.over);
	IS(co_mutex_unlock(&m), 0);
	IS(co_group_end(&g, 0), 0);
	AT(20);
	IS(before.at, 20);
	IS(before.next, CANC);
	IS(meanwhile.at, 20);
	IS(meanwhile.end, 0);
	IS(meanwhile.next, CANC);
}

/* C30: first come, first served, and nobody comes in between */
SCENARIO(a_mutex_is_handed_over_in_order)
{
	co_mutex m = CO_MUTEX_INIT;
	struct party p[3];
	co_group g;

	IS(co_mutex_lock(&m), 0);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 3; i++) {
		p[i] = (struct party){ MUTEX_PARTY, .object = &m, .hold = 10,
				       .letter = (char)('a' + i) };
		spawn(&g, party, &p[i]);
	}
	settle();
	IS(co_mutex_unlock(&m), 0);
	IS(co_mutex_trylock(&m), -EBUSY);
	IS(co_mutex_lock_until(&m, 0), TMO);
	IS(co_mutex_lock(&m), 0);
	note('z');
	AT(30);
	IS(co_mutex_unlock(&m), 0);
	IS(co_group_end(&g, 0), 0);
	ck_assert_str_eq(notes(), "abcz");
	IS(p[0].at, 0);
	IS(p[1].at, 10);
	IS(p[2].at, 20);
}

/* C7: a deadline that has passed matters only where it would have to wait, and then nobody else
 * runs */
SCENARIO(lock_until_tries_first)
{
	co_mutex m = CO_MUTEX_INIT;
	struct party other = { MUTEX_PARTY, .object = &m, .hold = 100 };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_sleep(MS(10)), 0);
	IS(co_mutex_lock_until(&m, MS(5)), 0);
	IS(co_mutex_unlock(&m), 0);
	IS(co_mutex_lock_until(&m, -1), 0);
	IS(co_mutex_unlock(&m), 0);
	spawn(&g, party, &other);
	settle();
	spawn(&g, write_x, NULL);
	IS(co_mutex_lock_until(&m, MS(10)), TMO);
	IS(co_mutex_lock_until(&m, INT64_MIN), TMO);
	ck_assert_str_eq(notes(), "");
	IS(co_mutex_lock_until(&m, MS(50)), TMO);
	AT(50);
	IS(co_mutex_lock_until(&m, MS(111)), 0);
	AT(110);
	IS(co_mutex_unlock(&m), 0);
	IS(co_group_end(&g, 0), 0);
}

/* A lock of one's own, by each of the ways to lock. */
SCENARIO_WITH(a_mutex_of_ones_own, hearing())
{
	co_mutex m = CO_MUTEX_INIT;

	IS(co_mutex_trylock(&m), 0);
	IS(co_mutex_lock(&m), -EDEADLK);
	IS(co_mutex_lock_until(&m, CO_FOREVER), -EDEADLK);
	IS(co_mutex_trylock(&m), -EBUSY);
	blameless();
	co_mutex_lock_nc(&m);
	blamed(CO_MISUSE_MUTEX);
	IS(co_mutex_unlock(&m), 0);
	co_mutex_lock_nc(&m);
	IS(co_mutex_lock(&m), -EDEADLK);
	IS(co_mutex_unlock(&m), 0);
	blameless();
}

static int unlocks(void *m)
{
	return co_mutex_unlock(m);
}

/* C39 */
SCENARIO_WITH(unlock_by_another_is_misuse, hearing())
{
	co_mutex m = CO_MUTEX_INIT;
	struct lone f;

	IS(co_mutex_unlock(&m), -EPERM);
	blamed(CO_MISUSE_MUTEX);
	IS(co_mutex_lock(&m), 0);
	lone_start(&f, unlocks, &m);
	IS(lone_end(&f), -EPERM);
	blamed(CO_MISUSE_MUTEX);
	ck_assert(!is_free(&m));
	IS(co_mutex_unlock(&m), 0);
	IS(co_mutex_unlock(&m), -EPERM);
	blamed(CO_MISUSE_MUTEX);
}

/* C19: operations that never have to wait let others run all the same */
SCENARIO(a_loop_around_a_free_mutex_lets_others_run)
{
	co_mutex m = CO_MUTEX_INIT;
	co_group g;
	int rounds = 0;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, write_x, NULL);
	for (; strcmp(notes(), "") == 0; rounds++) {
		IS(co_mutex_lock(&m), 0);
		IS(co_mutex_unlock(&m), 0);
		ck_assert_int_lt(rounds, 65);
	}
	ck_assert_int_gt(rounds, 60);
	IS(co_group_end(&g, 0), 0);
}

static int locks_and_emits(co_gen *gen, void *m)
{
	int rc = co_mutex_lock(m);

	return rc < 0 ? rc : co_gen_emit(gen, m, NULL);
}

/* What a generator locks is its caller's, who waits for it. */
SCENARIO(a_generator_locks_for_its_caller)
{
	co_mutex m = CO_MUTEX_INIT;
	struct party other = { MUTEX_PARTY, .object = &m, .hold = 10 };
	co_gen *gen;
	struct lone f;
	void *value;

	lone_start(&f, party, &other);
	settle();
	IS(co_gen_make(&gen, locks_and_emits, &m, NULL), 0);
	IS(co_gen_next(gen, &value), 1);
	AT(10);
	IS(co_mutex_lock(&m), -EDEADLK);
	IS(co_mutex_unlock(&m), 0);
	co_gen_free(gen);
	IS(lone_end(&f), 0);
}

/* ------------------------------------------------------------------------------------ condition */

/* C31 */
SCENARIO(S168_a_cancelled_wait_takes_the_mutex_back)
{
	struct desk d = { CO_MUTEX_INIT, CO_COND_INIT };
	struct party w = { .take = take_signal, .object = &d };
	struct lone f;

	lone_start(&f, party, &w);
	settle();
	IS(co_mutex_lock(&d.mutex), 0);
	IS(co_cancel(f.ref, 0), 0);
	IS(co_sleep_until(MS(50)), 0);
	ck_assert(!w.over);
	IS(co_mutex_unlock(&d.mutex), 0);
	IS(lone_end(&f), 0);
	IS(w.rc, CANC);
	IS(w.at, 50);
	ck_assert(is_free(&d.mutex));
}

/* C31: of the coroutine too, while it waits for the mutex because its scope was cancelled */
SCENARIO(S170_a_second_cancel_while_taking_the_mutex_back)
{
	struct desk d = { CO_MUTEX_INIT, CO_COND_INIT };
	struct party w = { .take = take_signal, .object = &d };
	struct lone f;

	lone_start(&f, party, &w);
	settle();
	IS(co_mutex_lock(&d.mutex), 0);
	IS(co_scope_cancel(&w.scope, 0), 0);
	settle();
	IS(co_cancel(f.ref, 0), 0);
	settle();
	ck_assert(!w.over);
	IS(co_mutex_unlock(&d.mutex), 0);
	IS(lone_end(&f), 0);
	IS(w.rc, CANC);
	IS(w.end, CANC);
	IS(w.next, CANC);
	ck_assert(is_free(&d.mutex));
}

/* C31: signalled, and cancelled before it has the mutex back */
SCENARIO(S171_signalled_then_cancelled)
{
	struct desk d = { CO_MUTEX_INIT, CO_COND_INIT };
	struct party w = { .take = take_signal, .object = &d };
	struct lone f;

	lone_start(&f, party, &w);
	settle();
	IS(co_mutex_lock(&d.mutex), 0);
	co_cond_signal(&d.cond);
	settle();
	IS(co_cancel(f.ref, 0), 0);
	settle();
	ck_assert(!w.over);
	IS(co_mutex_unlock(&d.mutex), 0);
	IS(lone_end(&f), 0);
	IS(w.rc, 0);
	IS(w.end, 0);
	IS(w.next, CANC);
}

/* Two wait, and one signal and a cancel of the first come in one step. */
static void signal_and_cancel(bool cancel_first)
{
	struct desk d = { CO_MUTEX_INIT, CO_COND_INIT };
	struct party w[2] = { { .take = take_signal, .object = &d },
			      { .take = take_signal, .object = &d } };
	co_group g;
	co_ref first;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	first = spawn(&g, party, &w[0]);
	spawn(&g, party, &w[1]);
	settle();
	if (cancel_first)
		IS(co_cancel(first, 0), 0);
	co_cond_signal(&d.cond);
	if (!cancel_first)
		IS(co_cancel(first, 0), 0);
	settle();
	ck_assert(w[0].over);
	IS(w[0].rc, cancel_first ? CANC : 0);
	IS(w[0].next, CANC);
	IS(w[1].over, cancel_first);
	co_cond_signal(&d.cond);
	IS(co_group_end(&g, 0), 0);
	IS(w[1].rc, 0);
	IS(w[1].next, 0);
}

/* C31: the signal is for the next */
SCENARIO(S172_cancelled_then_signalled)
{
	signal_and_cancel(true);
}

/* C8, C31: the signal is the first one's, and neither lost nor doubled */
SCENARIO(S182_signalled_then_cancelled_before_it_runs)
{
	signal_and_cancel(false);
}

static int waits_unlocked(void *arg)
{
	struct desk *d = arg;

	return co_cond_wait(&d->cond, &d->mutex);
}

/* C39: with the mutex free, and with the mutex of another */
SCENARIO_WITH(S173_a_wait_without_the_mutex, hearing())
{
	struct desk d = { CO_MUTEX_INIT, CO_COND_INIT };
	struct lone f;

	IS(co_cond_wait(&d.cond, &d.mutex), -EPERM);
	blamed(CO_MISUSE_MUTEX);
	IS(co_cond_wait_until(&d.cond, &d.mutex, 0), -EPERM);
	blamed(CO_MISUSE_MUTEX);
	ck_assert(is_free(&d.mutex));
	IS(co_mutex_lock(&d.mutex), 0);
	lone_start(&f, waits_unlocked, &d);
	IS(lone_end(&f), -EPERM);
	blamed(CO_MISUSE_MUTEX);
	IS(co_mutex_unlock(&d.mutex), 0);
	blameless();
}

/* A signal lets the first go on, a broadcast all; without a waiter neither is kept. */
SCENARIO(signals_go_in_order_and_are_not_kept)
{
	struct desk d = { CO_MUTEX_INIT, CO_COND_INIT };
	struct party w[5];
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	co_cond_signal(&d.cond);
	co_cond_broadcast(&d.cond);
	for (int i = 0; i < 5; i++) {
		w[i] = (struct party){ .take = take_signal, .object = &d, .letter = (char)('a' + i) };
		spawn(&g, party, &w[i]);
	}
	settle();
	ck_assert_str_eq(notes(), "");
	co_cond_signal(&d.cond);
	settle();
	ck_assert_str_eq(notes(), "a");
	IS(co_mutex_lock(&d.mutex), 0);
	co_cond_signal(&d.cond);
	co_cond_signal(&d.cond);
	settle();
	ck_assert_str_eq(notes(), "a");
	IS(co_mutex_unlock(&d.mutex), 0);
	settle();
	ck_assert_str_eq(notes(), "abc");
	co_cond_broadcast(&d.cond);
	IS(co_group_end(&g, 0), 0);
	ck_assert_str_eq(notes(), "abcde");
}

static co_cond shared = CO_COND_INIT;

static int waits_at_shared(void *m)
{
	IS(co_mutex_lock(m), 0);
	IS(co_cond_wait(&shared, m), 0);
	note('x');
	return co_mutex_unlock(m);
}

/* Waiters of one condition under two mutexes each take back their own. */
SCENARIO(one_condition_with_two_mutexes)
{
	co_mutex m[2] = { CO_MUTEX_INIT, CO_MUTEX_INIT };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, waits_at_shared, &m[0]);
	spawn(&g, waits_at_shared, &m[1]);
	settle();
	IS(co_mutex_lock(&m[0]), 0);
	co_cond_broadcast(&shared);
	settle();
	ck_assert_str_eq(notes(), "x");
	ck_assert(is_free(&m[1]));
	IS(co_mutex_unlock(&m[0]), 0);
	IS(co_group_end(&g, 0), 0);
	ck_assert_str_eq(notes(), "xx");
}

/* Its own deadline, whose waiter then waits for the mutex; who timed out takes no signal. */
SCENARIO(a_condition_wait_until)
{
	struct desk d = { CO_MUTEX_INIT, CO_COND_INIT };
	struct party holder = { MUTEX_PARTY, .object = &d.mutex, .hold = 30 };
	struct party w = { .take = take_signal, .object = &d };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_mutex_lock(&d.mutex), 0);
	spawn(&g, party, &holder);
	IS(co_cond_wait_until(&d.cond, &d.mutex, MS(10)), TMO);
	AT(30);
	IS(holder.at, 0);
	IS(co_mutex_unlock(&d.mutex), 0);
	spawn(&g, party, &w);
	settle();
	IS(co_mutex_lock(&d.mutex), 0);
	IS(co_cond_wait_until(&d.cond, &d.mutex, MS(40)), TMO);
	ck_assert(!w.over);
	IS(co_mutex_unlock(&d.mutex), 0);
	co_cond_signal(&d.cond);
	IS(co_group_end(&g, 0), 0);
	IS(w.rc, 0);
	AT(40);
}

/* C7: what cannot wait does not let the mutex go */
SCENARIO(a_condition_wait_that_ends_at_once_keeps_the_mutex)
{
	struct desk d = { CO_MUTEX_INIT, CO_COND_INIT };
	struct party other = { MUTEX_PARTY, .object = &d.mutex };
	co_scope s = CO_SCOPE_INIT;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	IS(co_mutex_lock(&d.mutex), 0);
	spawn(&g, party, &other);
	settle();
	IS(co_cond_wait_until(&d.cond, &d.mutex, 0), TMO);
	settle();
	co_scope_begin(&s, 0);
	IS(co_cond_wait(&d.cond, &d.mutex), CANC);
	IS(co_cond_wait_until(&d.cond, &d.mutex, CO_FOREVER), CANC);
	IS(co_scope_end(&s, CANC), TMO);
	settle();
	ck_assert(!other.over);
	IS(co_mutex_unlock(&d.mutex), 0);
	IS(co_group_end(&g, 0), 0);
	IS(other.rc, 0);
}

/* ------------------------------------------------------------------------------------ semaphore */

/* C32 */
SCENARIO(S174_cancelled_waiters_are_skipped)
{
	struct party w[4];
	co_ref ref[4];
	co_group g;
	co_sem s;

	co_sem_init(&s, 0);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 4; i++) {
		w[i] = (struct party){ .take = take_permits, .object = &s, .n = 1 };
		ref[i] = spawn(&g, party, &w[i]);
	}
	settle();
	IS(co_cancel(ref[0], 0), 0);
	IS(co_cancel(ref[1], 0), 0);
	co_sem_post(&s);
	settle();
	IS(w[0].rc, CANC);
	IS(w[1].rc, CANC);
	ck_assert(w[2].over && !w[3].over);
	IS(w[2].rc, 0);
	co_sem_post(&s);
	IS(co_group_end(&g, 0), 0);
	IS(w[3].rc, 0);
	IS(co_sem_value(&s), 0);
}

/* C32 */
SCENARIO(S176_permits_are_conserved_under_timeouts)
{
	enum { N = 5000 };
	static struct party w[N];
	int served = 0, late = 0;
	co_group g;
	co_sem s;

	co_sem_init(&s, 10);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < N; i++) {
		w[i] = (struct party){ PERMITS_PARTY, .object = &s, .n = 1, .within = MS(25),
				       .hold = 50 };
		spawn(&g, party, &w[i]);
	}
	IS(co_group_end(&g, 0), 0);
	for (int i = 0; i < N; i++) {
		served += w[i].end == 0;
		late += w[i].end == TMO;
	}
	IS(served, 10);
	IS(late, N - 10);
	IS(co_sem_value(&s), 10);
	AT(50);
}

/* The same with arrivals and holds of random length, so that permits are given away at all moments.
 * */
static int random_taker(void *arg)
{
	struct party *p = arg;

	if (co_sleep(p->within) < 0)
		return 0;
	p->within = MS(25);
	return party(p);
}

SCENARIO(permits_are_conserved_whatever_happens)
{
	enum { N = 2000 };
	static struct party w[N];
	uint64_t dice = suite_seed();
	int served = 0;
	co_ref ref[N];
	co_group g;
	co_sem s;

	co_sem_init(&s, 10);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < N; i++) {
		w[i] = (struct party){ PERMITS_PARTY, .object = &s,
				       .n = (uint32_t)(suite_random(&dice) % 11) };
		w[i].within = MS(suite_random(&dice) % 1000);
		w[i].hold = 1 + (int)(suite_random(&dice) % 10);
		ref[i] = spawn(&g, random_taker, &w[i]);
	}
	for (int i = 0; i < 500; i++) {
		IS(co_sleep(MS(2)), 0);
		co_ignore(co_cancel(ref[suite_random(&dice) % N], 0));
	}
	IS(co_group_end(&g, 0), 0);
	for (int i = 0; i < N; i++)
		served += w[i].left && w[i].rc == 0;
	ck_assert_int_gt(served, N / 20);
	ck_assert_int_lt(served, N);
	IS(co_sem_value(&s), 10);
}

/* C32: cancelled, or its time is over */
static void big_waiter_leaves(bool by_cancel)
{
	struct party a = { .take = take_permits, .n = 5, .within = by_cancel ? 0 : MS(10) };
	struct party b = { .take = take_permits, .n = 2 };
	struct party c = { .take = take_permits, .n = 2 };
	co_group g;
	co_ref ref;
	co_sem s;

	co_sem_init(&s, 3);
	a.object = b.object = c.object = &s;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	ref = spawn(&g, party, &a);
	spawn(&g, party, &b);
	spawn(&g, party, &c);
	settle();
	ck_assert(!a.over && !b.over);
	IS(co_sem_value(&s), 3);
	IS(co_sem_trywait(&s), -EAGAIN);
	if (by_cancel)
		IS(co_cancel(ref, 0), 0);
	else
		advance(MS(10));
	IS(co_sem_value(&s), 1);
	settle();
	IS(a.rc, CANC);
	ck_assert(b.over && !c.over);
	IS(b.rc, 0);
	co_sem_post(&s);
	IS(co_group_end(&g, 0), 0);
	IS(c.rc, 0);
	IS(co_sem_value(&s), 0);
}

SCENARIO(S177_a_big_waiter_cancelled_lets_smaller_ones_in)
{
	big_waiter_leaves(true);
	big_waiter_leaves(false);
}

/* Also one that leaves by the deadline of co_sem_wait_until. */
static int take_until_10(struct party *p)
{
	return co_sem_wait_until(p->object, p->n, MS(10));
}

SCENARIO(a_big_waiter_timed_out_lets_smaller_ones_in)
{
	struct party a = { .take = take_until_10, .n = 5 };
	struct party b = { .take = take_permits, .n = 2 };
	co_group g;
	co_sem s;

	co_sem_init(&s, 3);
	a.object = b.object = &s;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, party, &a);
	spawn(&g, party, &b);
	IS(co_group_end(&g, 0), 0);
	IS(a.rc, TMO);
	IS(a.at, 10);
	IS(b.rc, 0);
	IS(b.at, 10);
	IS(co_sem_value(&s), 1);
}

/* C32: the group that is cancelled may give permits to one that is next to be cancelled; none is
 * lost */
SCENARIO(permits_are_conserved_when_all_are_cancelled_together)
{
	struct party w[4] = {
		{ PERMITS_PARTY, .n = 5 },
		{ PERMITS_PARTY, .n = 2 },
		{ PERMITS_PARTY, .n = 4 },
		{ PERMITS_PARTY, .n = 1 },
	};
	co_group g;
	co_sem s;

	co_sem_init(&s, 3);
	co_group_begin(&g, CO_GROUP_COLLECT);
	for (int i = 0; i < 4; i++) {
		w[i].object = &s;
		spawn(&g, party, &w[i]);
	}
	settle();
	IS(co_group_cancel(&g, 0), 0);
	IS(co_group_end(&g, 0), 0);
	IS(w[0].rc, CANC);
	IS(w[1].rc, 0);
	IS(w[1].next, CANC);
	IS(w[2].rc, CANC);
	IS(w[3].rc, 0);
	IS(co_sem_value(&s), 3);
}

/* C30 holds here as well: nobody overtakes, though there is enough for it; n 0 takes nothing and
 * does not wait */
SCENARIO(permits_are_granted_in_order)
{
	static const uint32_t wants[] = { 2, 3, 1, 1 };
	struct party w[4];
	co_group g;
	co_sem s;

	co_sem_init(&s, 1);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 4; i++) {
		w[i] = (struct party){
			.take = take_permits, .object = &s, .n = wants[i], .letter = (char)('a' + i)
		};
		spawn(&g, party, &w[i]);
	}
	settle();
	IS(co_sem_trywait(&s), -EAGAIN);
	IS(co_sem_wait_until(&s, 1, 0), TMO);
	IS(co_sem_wait_n(&s, 0), 0);
	co_sem_post_n(&s, 3);
	IS(co_sem_value(&s), 2);
	IS(co_sem_trywait(&s), -EAGAIN);
	settle();
	ck_assert_str_eq(notes(), "a");
	co_sem_post_n(&s, 3);
	IS(co_sem_value(&s), 0);
	settle();
	ck_assert_str_eq(notes(), "abcd");
	co_sem_post_n(&s, 0);
	IS(co_sem_value(&s), 0);
	IS(co_group_end(&g, 0), 0);
}

/* What is free now, and no more than can be counted. */
SCENARIO(a_semaphore_counts)
{
	co_sem s;

	co_sem_init(&s, 3);
	IS(co_sem_wait(&s), 0);
	IS(co_sem_value(&s), 2);
	IS(co_sem_wait_n(&s, 3 - 1), 0);
	IS(co_sem_trywait(&s), -EAGAIN);
	IS(co_sem_wait_until(&s, 1, MS(10)), TMO);
	AT(10);
	co_sem_post(&s);
	IS(co_sem_wait_until(&s, 1, 0), 0);
	co_sem_post(&s);
	IS(co_sem_trywait(&s), 0);
	IS(co_sem_value(&s), 0);
	co_sem_post_n(&s, UINT32_MAX);
	ck_assert_uint_eq(co_sem_value(&s), UINT32_MAX);
	co_sem_post(&s);
	ck_assert_uint_eq(co_sem_value(&s), UINT32_MAX);
	co_sem_post_n(&s, UINT32_MAX);
	ck_assert_uint_eq(co_sem_value(&s), UINT32_MAX);
	IS(co_sem_wait_n(&s, UINT32_MAX), 0);
	IS(co_sem_value(&s), 0);
}

/* ---------------------------------------------------------------------------------------- event */

/* All that wait go on, in order, even if it is reset before they run or they are cancelled then. */
SCENARIO(an_event_lets_all_go_on)
{
	co_event e = CO_EVENT_INIT;
	struct party w[3];
	co_ref ref[3];
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 3; i++) {
		w[i] = (struct party){ .take = take_event, .object = &e, .letter = (char)('a' + i) };
		ref[i] = spawn(&g, party, &w[i]);
	}
	settle();
	ck_assert(!co_event_is_set(&e));
	co_event_set(&e);
	ck_assert(co_event_is_set(&e));
	co_event_reset(&e);
	ck_assert(!co_event_is_set(&e));
	IS(co_cancel(ref[1], 0), 0);
	IS(co_event_wait_until(&e, 0), TMO);
	settle();
	ck_assert_str_eq(notes(), "abc");
	IS(w[1].rc, 0);
	IS(w[1].next, CANC);
	IS(co_group_end(&g, 0), 0);
}

/* A set one holds nobody up, and a wait of limited time ends with it. */
SCENARIO(an_event_stays_set)
{
	co_event e = CO_EVENT_INIT;
	struct party w = { .take = take_event, .object = &e, .within = MS(25) };
	struct lone f;

	lone_start(&f, party, &w);
	IS(co_event_wait_until(&e, MS(10)), TMO);
	AT(10);
	IS(co_sleep_until(MS(30)), 0);
	IS(w.end, TMO);
	IS(w.at, 25);
	co_event_set(&e);
	co_event_set(&e);
	IS(co_event_wait(&e), 0);
	IS(co_event_wait_until(&e, 0), 0);
	co_event_reset(&e);
	co_event_reset(&e);
	IS(co_event_wait_until(&e, MS(40)), TMO);
	AT(40);
	IS(lone_end(&f), 0);
}

/* -------------------------------------------------------------------------------------- barrier */

/* t2, t3 and t4 pass; t1 does not count. */
SCENARIO(S179_a_cancelled_one_does_not_count)
{
	struct party t[4];
	co_ref ref[4];
	co_barrier b;
	co_group g;

	IS(co_barrier_init(&b, 3), 0);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 4; i++)
		t[i] = (struct party){ .take = take_barrier, .object = &b };
	for (int i = 0; i < 2; i++)
		ref[i] = spawn(&g, party, &t[i]);
	settle();
	IS(co_cancel(ref[0], 0), 0);
	spawn(&g, party, &t[2]);
	settle();
	IS(t[0].rc, CANC);
	ck_assert(!t[1].over && !t[2].over);
	spawn(&g, party, &t[3]);
	settle();
	IS(t[1].rc, 0);
	IS(t[2].rc, 0);
	IS(t[3].rc, 1);
	for (int i = 0; i < 3; i++) {
		t[i] = (struct party){ .take = take_barrier, .object = &b };
		spawn(&g, party, &t[i]);
		settle();
		IS(t[i].over, i == 2);
	}
	IS(co_group_end(&g, 0), 0);
}

static struct {
	co_barrier barrier;
	int led, done[5]; /* rounds, by member */
} rounds;

static int goes_round(void *arg)
{
	int me = (int)(intptr_t)arg;

	for (int i = 0; i < 100; i++) {
		int rc = co_barrier_wait(&rounds.barrier);

		ck_assert(rc == 0 || rc == 1);
		rounds.led += rc;
		rounds.done[me]++;
		for (int k = 0; k < 5; k++)
			ck_assert_int_le(abs(rounds.done[k] - rounds.done[me]), 1);
		if ((i + me) % 3 == 0)
			IS(co_sleep(MS(me + 1)), 0);
	}
	return 0;
}

/* Round after round: nobody is two ahead, and in each one is told to lead. */
SCENARIO(a_barrier_is_good_for_many_rounds)
{
	co_group g;

	IS(co_barrier_init(&rounds.barrier, 5), 0);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 5; i++)
		spawn(&g, goes_round, num(i));
	IS(co_group_end(&g, 0), 0);
	IS(rounds.led, 100);
	for (int i = 0; i < 5; i++)
		IS(rounds.done[i], 100);
}

/* C8: it was open already */
SCENARIO(a_barrier_passed_then_cancelled)
{
	struct party w = { .take = take_barrier };
	struct lone f;
	co_barrier b;

	IS(co_barrier_init(&b, 2), 0);
	w.object = &b;
	lone_start(&f, party, &w);
	settle();
	IS(co_barrier_wait(&b), 1);
	IS(co_cancel(f.ref, 0), 0);
	IS(lone_end(&f), 0);
	IS(w.rc, 0);
	IS(w.next, CANC);
}

SCENARIO(barriers_for_one_and_for_none)
{
	co_barrier b;

	memset(&b, 0, sizeof(b));
	IS(co_barrier_wait(&b), -EINVAL);
	IS(co_barrier_init(&b, 0), -EINVAL);
	IS(co_barrier_init(&b, 1), 0);
	IS(co_barrier_wait(&b), 1);
	IS(co_barrier_wait(&b), 1);
}

/* --------------------------------------------------------------------------- reader-writer lock */

/* C32 for locks: the reader behind the writer gets in when that one leaves, not before */
SCENARIO(S180_a_writer_that_times_out_lets_the_readers_in)
{
	co_rwlock l = CO_RWLOCK_INIT;
	struct party writer = { WRITE_PARTY, .object = &l, .within = MS(10) };
	struct party reader = { READ_PARTY, .object = &l };
	co_group g;

	IS(co_rwlock_rdlock(&l), 0);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, party, &writer);
	spawn(&g, party, &reader);
	advance(MS(9));
	ck_assert(!reader.over);
	advance(MS(11));
	IS(writer.rc, CANC);
	IS(writer.end, TMO);
	IS(writer.at, 10);
	IS(reader.rc, 0);
	IS(reader.at, 10);
	IS(co_rwlock_unlock(&l), 0);
	free_again(&l);
	IS(co_group_end(&g, 0), 0);
}

static int write_until_10(struct party *p)
{
	return co_rwlock_wrlock_until(p->object, MS(10));
}

/* By its own deadline, and by a cancel: then the readers up to the next writer get in. */
SCENARIO(a_writer_that_leaves_lets_in_the_readers_behind_it)
{
	co_rwlock l = CO_RWLOCK_INIT;
	struct party p[] = {
		{ .take = write_until_10, .object = &l },
		{ READ_PARTY, .object = &l, .hold = 20 },
		{ WRITE_PARTY, .object = &l },
		{ READ_PARTY, .object = &l },
	};
	co_group g;
	co_ref ref[4];

	IS(co_rwlock_rdlock(&l), 0);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 4; i++)
		ref[i] = spawn(&g, party, &p[i]);
	advance(MS(15));
	IS(p[0].rc, TMO);
	IS(p[1].rc, 0);
	IS(p[1].at, 10);
	ck_assert(!p[2].over && !p[3].over);
	IS(co_cancel(ref[2], 0), 0);
	settle();
	IS(p[2].rc, CANC);
	IS(p[3].rc, 0);
	IS(p[3].at, 15);
	IS(co_rwlock_unlock(&l), 0);
	IS(co_group_end(&g, 0), 0);
	AT(30);
	free_again(&l);
}

/* Readers together, writers alone, and all in the order in which they came. */
SCENARIO(a_rwlock_is_fair)
{
	static const char kinds[] = "rrwrrwwr";
	static const int at[] = { 0, 0, 10, 20, 20, 30, 40, 50 };
	co_rwlock l = CO_RWLOCK_INIT;
	struct party p[LENGTH(kinds) - 1];
	co_group g;

	IS(co_rwlock_wrlock(&l), 0);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (size_t i = 0; i < LENGTH(p); i++) {
		p[i] = (struct party){ READ_PARTY, .object = &l, .hold = 10,
				       .letter = (char)('a' + (int)i) };
		if (kinds[i] == 'w')
			p[i].take = take_write;
		spawn(&g, party, &p[i]);
	}
	settle();
	IS(co_rwlock_unlock(&l), 0);
	IS(co_group_end(&g, 0), 0);
	for (size_t i = 0; i < LENGTH(p); i++)
		IS(p[i].at, at[i]);
	AT(60);
	ck_assert_str_eq(notes(), "abcdefgh");
	free_again(&l);
}

/* C8 */
SCENARIO(a_rwlock_given_then_cancelled)
{
	co_rwlock l = CO_RWLOCK_INIT;
	struct party w = { WRITE_PARTY, .object = &l };
	struct lone f;

	IS(co_rwlock_rdlock(&l), 0);
	lone_start(&f, party, &w);
	settle();
	IS(co_rwlock_unlock(&l), 0);
	IS(co_cancel(f.ref, 0), 0);
	IS(co_rwlock_tryrdlock(&l), -EBUSY);
	IS(lone_end(&f), 0);
	IS(w.rc, 0);
	IS(w.next, CANC);
	free_again(&l);
}

SCENARIO(rwlock_tries)
{
	co_rwlock l = CO_RWLOCK_INIT;
	struct party writer = { WRITE_PARTY, .object = &l };
	struct lone f;

	IS(co_sleep(MS(10)), 0);
	IS(co_rwlock_tryrdlock(&l), 0);
	IS(co_rwlock_rdlock_until(&l, 0), 0);
	IS(co_rwlock_trywrlock(&l), -EBUSY);
	IS(co_rwlock_wrlock_until(&l, 0), TMO);
	IS(co_rwlock_wrlock_until(&l, MS(20)), TMO);
	AT(20);
	lone_start(&f, party, &writer);
	settle();
	IS(co_rwlock_tryrdlock(&l), -EBUSY);
	IS(co_rwlock_rdlock_until(&l, 0), TMO);
	IS(co_rwlock_unlock(&l), 0);
	IS(co_rwlock_unlock(&l), 0);
	IS(lone_end(&f), 0);
	IS(co_rwlock_wrlock_until(&l, 0), 0);
	IS(co_rwlock_unlock(&l), 0);
	IS(co_rwlock_trywrlock(&l), 0);
	IS(co_rwlock_trywrlock(&l), -EBUSY);
	IS(co_rwlock_tryrdlock(&l), -EBUSY);
	IS(co_rwlock_wrlock(&l), -EDEADLK);
	IS(co_rwlock_rdlock(&l), -EDEADLK);
	IS(co_rwlock_unlock(&l), 0);
	free_again(&l);
}

static int unlocks_rw(void *l)
{
	return co_rwlock_unlock(l);
}

/* C39 */
SCENARIO_WITH(unlock_of_a_rwlock_not_held_is_misuse, hearing())
{
	co_rwlock l = CO_RWLOCK_INIT;
	struct lone f;

	IS(co_rwlock_unlock(&l), -EPERM);
	blamed(CO_MISUSE_MUTEX);
	IS(co_rwlock_wrlock(&l), 0);
	lone_start(&f, unlocks_rw, &l);
	IS(lone_end(&f), -EPERM);
	blamed(CO_MISUSE_MUTEX);
	IS(co_rwlock_tryrdlock(&l), -EBUSY);
	IS(co_rwlock_unlock(&l), 0);
	blameless();
	IS(co_rwlock_rdlock(&l), 0);
	IS(co_rwlock_unlock(&l), 0);
	IS(co_rwlock_unlock(&l), -EPERM);
	blamed(CO_MISUSE_MUTEX);
	free_again(&l);
}

/* ----------------------------------------------------------------------- all that wait: a table */

/* One of each. What the keeper holds, others have to wait for. */
static struct things {
	co_mutex mutex, free; /* `free` is the condition's */
	co_cond cond;
	co_sem sem;
	co_event event, home_time;
	co_barrier barrier;
	co_rwlock lock;
} things;

static int keeper(void *unused)
{
	(void)unused;
	co_mutex_lock_nc(&things.mutex);
	IS(co_rwlock_wrlock(&things.lock), 0);
	co_ignore(co_event_wait(&things.home_time));
	IS(co_mutex_unlock(&things.mutex), 0);
	IS(co_rwlock_unlock(&things.lock), 0);
	return 0;
}

static void make_things(void)
{
	memset(&things, 0, sizeof(things));
	co_sem_init(&things.sem, 1);
	IS(co_barrier_init(&things.barrier, 2), 0);
}

#define SOON MS(100)

static int lock(void)
{
	return co_mutex_lock(&things.mutex);
}

static int lock_until(void)
{
	return co_mutex_lock_until(&things.mutex, SOON);
}

static int cond_wait(void)
{
	int rc;

	co_mutex_lock_nc(&things.free);
	rc = co_cond_wait(&things.cond, &things.free);
	IS(co_mutex_unlock(&things.free), 0);
	return rc;
}

static int cond_wait_until(void)
{
	int rc;

	co_mutex_lock_nc(&things.free);
	rc = co_cond_wait_until(&things.cond, &things.free, SOON);
	IS(co_mutex_unlock(&things.free), 0);
	return rc;
}

static int sem_wait(void)
{
	return co_sem_wait(&things.sem);
}

static int sem_wait_n(void)
{
	return co_sem_wait_n(&things.sem, 2);
}

static int sem_wait_until(void)
{
	return co_sem_wait_until(&things.sem, 2, SOON);
}

static int event_wait(void)
{
	return co_event_wait(&things.event);
}

static int event_wait_until(void)
{
	return co_event_wait_until(&things.event, SOON);
}

static int barrier_wait(void)
{
	return co_barrier_wait(&things.barrier);
}

static int rdlock(void)
{
	return co_rwlock_rdlock(&things.lock);
}

static int wrlock(void)
{
	return co_rwlock_wrlock(&things.lock);
}

static int rdlock_until(void)
{
	return co_rwlock_rdlock_until(&things.lock, SOON);
}

static int wrlock_until(void)
{
	return co_rwlock_wrlock_until(&things.lock, SOON);
}

static const struct {
	int (*call)(void);
	bool limited;	  /* by SOON */
	const char *what; /* it waits for, in reports */
} waits[] = {
	{ lock, false, "a mutex" },
	{ lock_until, true, "a mutex" },
	{ cond_wait, false, "a condition" },
	{ cond_wait_until, true, "a condition" },
	{ sem_wait_n, false, "a semaphore" },
	{ sem_wait_until, true, "a semaphore" },
	{ event_wait, false, "an event" },
	{ event_wait_until, true, "an event" },
	{ barrier_wait, false, "a barrier" },
	{ rdlock, false, "a lock, to read" },
	{ rdlock_until, true, "a lock, to read" },
	{ wrlock, false, "a lock, to write" },
	{ wrlock_until, true, "a lock, to write" },
};

/* Begins a group with the keeper in it, which has what it wants. */
static void keep(co_group *g)
{
	make_things();
	co_group_begin(g, CO_GROUP_FAIL_FAST);
	spawn(g, keeper, NULL);
	settle();
}

static void let_go(co_group *g)
{
	co_event_set(&things.home_time);
	IS(co_group_end(g, 0), 0);
}

static int play_wait(void *call)
{
	return (*(int (*const *)(void))call)();
}

/* Plays the wait in a coroutine that is cancelled before it begins, or while it waits. */
static void play_cancelled(int (*const *call)(void), bool before, struct things *after)
{
	struct lone f;

	lone_start(&f, play_wait, (void *)(uintptr_t)call);
	if (!before)
		settle();
	IS(co_cancel(f.ref, 0), 0);
	IS(lone_end(&f), CANC);
	*after = things;
}

/* C7, C17 (S92): looked at before anything is taken or changed. C8: and one that waits leaves no
 * trace */
SCENARIO(S92_a_cancelled_wait_changes_nothing)
{
	static struct things first, again;
	co_group g;

	keep(&g);
	for (size_t i = 0; i < LENGTH(waits); i++) {
		play_cancelled(&waits[i].call, false, &first);
		play_cancelled(&waits[i].call, true, &again);
		ck_assert_msg(memcmp(&first, &again, sizeof(first)) == 0, "%zu: %s", i,
			      waits[i].what);
		play_cancelled(&waits[i].call, false, &again);
		ck_assert_msg(memcmp(&first, &again, sizeof(first)) == 0, "%zu: %s", i,
			      waits[i].what);
	}
	AT(0);
	IS(co_sem_value(&things.sem), 1);
	let_go(&g);
	ck_assert(is_free(&things.mutex));
	free_again(&things.lock);
	IS(co_sem_trywait(&things.sem), 0);
}

/* The same where there would be something to take. */
SCENARIO(S92_a_cancelled_wait_takes_nothing)
{
	co_scope s = CO_SCOPE_INIT;

	make_things();
	co_event_set(&things.event);
	IS(co_barrier_init(&things.barrier, 1), 0);
	co_scope_begin(&s, 0);
	for (size_t i = 0; i < LENGTH(waits); i++)
		IS(waits[i].call(), CANC);
	IS(sem_wait(), CANC);
	IS(co_sem_wait_n(&things.sem, 0), CANC);
	IS(co_mutex_trylock(&things.mutex), 0);
	IS(co_rwlock_trywrlock(&things.lock), 0);
	IS(co_sem_trywait(&things.sem), 0);
	IS(co_mutex_lock(&things.mutex), CANC);
	IS(co_mutex_unlock(&things.mutex), 0);
	IS(co_rwlock_unlock(&things.lock), 0);
	IS(co_scope_end(&s, CANC), TMO);
}

/* S93: what is no cancellation point works in a cancelled scope as ever */
SCENARIO(S93_calls_that_do_not_wait_know_no_cancel)
{
	struct party w = { .take = take_event, .object = &things.event };
	co_scope s = CO_SCOPE_INIT;
	struct lone f;

	make_things();
	lone_start(&f, party, &w);
	settle();
	co_scope_begin(&s, 0);
	IS(co_mutex_trylock(&things.mutex), 0);
	IS(co_mutex_trylock(&things.mutex), -EBUSY);
	IS(co_mutex_unlock(&things.mutex), 0);
	co_mutex_lock_nc(&things.mutex);
	IS(co_mutex_unlock(&things.mutex), 0);
	co_cond_signal(&things.cond);
	co_cond_broadcast(&things.cond);
	IS(co_sem_trywait(&things.sem), 0);
	IS(co_sem_trywait(&things.sem), -EAGAIN);
	co_sem_post(&things.sem);
	co_sem_post_n(&things.sem, 2);
	IS(co_sem_value(&things.sem), 3);
	co_event_set(&things.event);
	ck_assert(co_event_is_set(&things.event));
	co_event_reset(&things.event);
	ck_assert(!co_event_is_set(&things.event));
	IS(co_barrier_init(&things.barrier, 3), 0);
	IS(co_rwlock_tryrdlock(&things.lock), 0);
	IS(co_rwlock_trywrlock(&things.lock), -EBUSY);
	IS(co_rwlock_unlock(&things.lock), 0);
	IS(co_rwlock_trywrlock(&things.lock), 0);
	IS(co_rwlock_unlock(&things.lock), 0);
	IS(co_scope_end(&s, CANC), TMO);
	IS(lone_end(&f), 0);
	IS(w.rc, 0);
}

/* C7, C10: exactly at abs, if it has one; and a scope's deadline gives -ECANCELED */
SCENARIO(waits_end_at_their_deadlines)
{
	co_ns begin;
	co_group g;
	int rc;

	keep(&g);
	for (size_t i = 0; i < LENGTH(waits); i++) {
		if (!waits[i].limited)
			continue;
		begin = co_now();
		rc = waits[i].call();
		ck_assert_msg(rc == TMO, "%zu: %d", i, rc);
		ck_assert_int_eq(co_now(), begin > SOON ? begin : SOON);
	}
	AT(100);
	for (size_t i = 0; i < LENGTH(waits); i++) {
		co_scope s = CO_SCOPE_INIT;

		if (waits[i].limited)
			continue;
		begin = co_now();
		co_scope_begin(&s, MS(10));
		IS(co_scope_end(&s, waits[i].call()), TMO);
		ck_assert_int_eq(co_now() - begin, MS(10));
		ck_assert(co_scope_caught(&s));
	}
	let_go(&g);
}

static int waits_for_ever(void *call)
{
	co_group g;
	int rc;

	keep(&g);
	rc = (*(int (*const *)(void))call)();
	IS(rc, CANC);
	co_ignore(co_group_end(&g, 0));
	return 0;
}

/* C38: a deadlock's report says what each waits for */
START_TEST(reports_name_what_is_waited_for)
{
	for (size_t i = 0; i < LENGTH(waits); i++) {
		int code = -1;

		if (waits[i].limited)
			continue;
		reports()->count = 0;
		IS(co_run(waits_for_ever, (void *)(uintptr_t)&waits[i].call, hearing(), &code),
		   -EDEADLK);
		IS(code, 0);
		IS(reported(CO_REPORT_DEADLOCK), 1);
		ck_assert_msg(strstr(reports()->text[0], waits[i].what) != NULL, "%s: %s",
			      waits[i].what, reports()->text[0]);
	}
}
END_TEST

/* -------------------------------------------------------------------------- places, and nothing */

static void check_null(void)
{
	co_mutex m = CO_MUTEX_INIT;
	co_cond c = CO_COND_INIT;

	IS(co_mutex_lock(NULL), -EINVAL);
	IS(co_mutex_lock_until(NULL, 0), -EINVAL);
	IS(co_mutex_trylock(NULL), -EINVAL);
	co_mutex_lock_nc(NULL);
	IS(co_mutex_unlock(NULL), -EINVAL);
	IS(co_mutex_lock(&m), 0);
	IS(co_cond_wait(NULL, &m), -EINVAL);
	IS(co_cond_wait(&c, NULL), -EINVAL);
	IS(co_cond_wait_until(NULL, &m, 0), -EINVAL);
	IS(co_cond_wait_until(&c, NULL, 0), -EINVAL);
	IS(co_mutex_unlock(&m), 0);
	co_cond_signal(NULL);
	co_cond_broadcast(NULL);
	co_sem_init(NULL, 1);
	IS(co_sem_wait(NULL), -EINVAL);
	IS(co_sem_wait_n(NULL, 0), -EINVAL);
	IS(co_sem_wait_until(NULL, 1, 0), -EINVAL);
	IS(co_sem_trywait(NULL), -EINVAL);
	co_sem_post(NULL);
	co_sem_post_n(NULL, 1);
	IS(co_sem_value(NULL), 0);
	IS(co_event_wait(NULL), -EINVAL);
	IS(co_event_wait_until(NULL, 0), -EINVAL);
	co_event_set(NULL);
	co_event_reset(NULL);
	ck_assert(!co_event_is_set(NULL));
	IS(co_barrier_init(NULL, 1), -EINVAL);
	IS(co_barrier_wait(NULL), -EINVAL);
	IS(co_rwlock_rdlock(NULL), -EINVAL);
	IS(co_rwlock_wrlock(NULL), -EINVAL);
	IS(co_rwlock_rdlock_until(NULL, 0), -EINVAL);
	IS(co_rwlock_wrlock_until(NULL, 0), -EINVAL);
	IS(co_rwlock_tryrdlock(NULL), -EINVAL);
	IS(co_rwlock_trywrlock(NULL), -EINVAL);
	IS(co_rwlock_unlock(NULL), -EINVAL);
}

SCENARIO_WITH(null_is_refused, hearing())
{
	check_null();
	blameless();
}

/* What works, and what does not, where there is no coroutine. */
static void check_no_coroutine(void)
{
	make_things();
	IS(lock(), -EPERM);
	IS(lock_until(), -EPERM);
	IS(co_cond_wait(&things.cond, &things.free), -EPERM);
	IS(co_cond_wait_until(&things.cond, &things.free, 0), -EPERM);
	IS(sem_wait(), -EPERM);
	IS(sem_wait_n(), -EPERM);
	IS(sem_wait_until(), -EPERM);
	IS(event_wait(), -EPERM);
	IS(event_wait_until(), -EPERM);
	IS(barrier_wait(), -EPERM);
	IS(rdlock(), -EPERM);
	IS(wrlock(), -EPERM);
	IS(rdlock_until(), -EPERM);
	IS(wrlock_until(), -EPERM);
	IS(co_mutex_trylock(&things.mutex), -EPERM);
	IS(co_rwlock_tryrdlock(&things.lock), -EPERM);
	IS(co_rwlock_trywrlock(&things.lock), -EPERM);
	co_cond_signal(&things.cond);
	co_cond_broadcast(&things.cond);
	IS(co_sem_trywait(&things.sem), 0);
	IS(co_sem_trywait(&things.sem), -EAGAIN);
	co_sem_post(&things.sem);
	co_sem_post_n(&things.sem, 4);
	IS(co_sem_value(&things.sem), 5);
	co_event_set(&things.event);
	ck_assert(co_event_is_set(&things.event));
}

static int finds_what_was_done(void *unused)
{
	(void)unused;
	IS(co_event_wait(&things.event), 0);
	IS(co_sem_wait_n(&things.sem, 5), 0);
	IS(co_mutex_lock(&things.mutex), 0);
	IS(co_mutex_unlock(&things.mutex), 0);
	IS(co_rwlock_wrlock(&things.lock), 0);
	IS(co_rwlock_unlock(&things.lock), 0);
	return 0;
}

/* C39: before, between and after runtimes */
START_TEST(outside_any_runtime)
{
	check_no_coroutine();
	PLAY(finds_what_was_done);
	IS(co_sem_trywait(&things.sem), -EAGAIN);
	co_event_reset(&things.event);
	check_no_coroutine();
	PLAY(finds_what_was_done);
}
END_TEST

/* A hook: the loop's callback that there is everywhere. What it does there is asked for by `act`;
 * mistakes that it makes itself are only counted. */
static struct callback {
	void (*act)(void);
	bool inside;
	int called, mistakes;
} callback;

static void call_back(enum co_misuse kind, const char *text, const void *site, void *ctx)
{
	(void)text, (void)site, (void)ctx;
	if (callback.inside) {
		callback.mistakes += kind == CO_MISUSE_CALLBACK;
		return;
	}
	callback.inside = true;
	callback.called++;
	callback.act();
	callback.inside = false;
}

static struct co_options *calling_back(void (*act)(void))
{
	static struct co_options opt = { .clock = CO_CLOCK_VIRTUAL, .on_misuse = call_back };

	callback.act = act;
	return &opt;
}

static void provoke(void)
{
	co_mutex m = CO_MUTEX_INIT;

	IS(co_mutex_unlock(&m), -EPERM);
}

/* C24: a call that suspends gives -EPERM; what gives away works, and finds those that wait */
SCENARIO_WITH(in_a_callback_nothing_waits, calling_back(check_no_coroutine))
{
	provoke();
	IS(callback.called, 1);
	IS(callback.mistakes, 14); /* the calls that suspend */
	finds_what_was_done(NULL);
}

static void give_all(void)
{
	co_event_set(&things.event);
	co_sem_post(&things.sem);
	co_cond_broadcast(&things.cond);
}

SCENARIO_WITH(a_callback_gives_to_those_that_wait, calling_back(give_all))
{
	co_group g;

	make_things();
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (size_t i = 0; i < LENGTH(waits); i++)
		if (waits[i].call == event_wait || waits[i].call == sem_wait_n ||
		    waits[i].call == cond_wait)
			spawn(&g, play_wait, (void *)(uintptr_t)&waits[i].call);
	settle();
	provoke();
	IS(callback.called, 1);
	IS(co_group_end(&g, 0), 0);
}

static void lock_nc_and_unlock(void)
{
	co_mutex_lock_nc(&things.mutex);
	IS(callback.mistakes, 1);
	IS(co_mutex_unlock(&things.mutex), -EPERM);
	IS(co_rwlock_unlock(&things.lock), -EPERM);
}

/* It cannot tell of an error, so it is misuse; and the mutex is not taken. Nor is a lock given back
 * there. */
SCENARIO_WITH(lock_nc_in_a_callback_is_misuse, calling_back(lock_nc_and_unlock))
{
	make_things();
	IS(rdlock(), 0);
	provoke();
	IS(callback.called, 1);
	ck_assert(is_free(&things.mutex));
	IS(co_rwlock_trywrlock(&things.lock), -EBUSY);
	IS(co_rwlock_unlock(&things.lock), 0);
}

/* --------------------------------------------------------------------------------- two runtimes */

/* Each call is blamed once, and none has an effect. */
static int stranger(void *unused)
{
	static struct things before;
	co_mutex own = CO_MUTEX_INIT;
	co_cond cond = CO_COND_INIT;

	(void)unused;
	before = things;
#define REFUSED(call)                                                                              \
	do {                                                                                       \
		IS((call), -EXDEV);                                                                \
		blamed(CO_MISUSE_LOOP);                                                            \
	} while (0)
#define IGNORED(call)                                                                              \
	do {                                                                                       \
		(call);                                                                            \
		blamed(CO_MISUSE_LOOP);                                                            \
	} while (0)
	REFUSED(lock());
	REFUSED(lock_until());
	REFUSED(co_mutex_trylock(&things.mutex));
	REFUSED(co_mutex_unlock(&things.mutex));
	IGNORED(co_mutex_lock_nc(&things.mutex));
	IS(co_mutex_lock(&own), 0);
	REFUSED(co_cond_wait(&things.cond, &own));
	REFUSED(co_cond_wait_until(&things.cond, &own, 0));
	IS(co_mutex_unlock(&own), 0);
	REFUSED(co_cond_wait(&cond, &things.mutex));
	IGNORED(co_cond_signal(&things.cond));
	IGNORED(co_cond_broadcast(&things.cond));
	REFUSED(sem_wait());
	REFUSED(sem_wait_n());
	REFUSED(sem_wait_until());
	REFUSED(co_sem_trywait(&things.sem));
	IGNORED(co_sem_post(&things.sem));
	IGNORED(co_sem_post_n(&things.sem, 5));
	REFUSED(event_wait());
	REFUSED(event_wait_until());
	IGNORED(co_event_set(&things.event));
	IGNORED(co_event_reset(&things.event));
	REFUSED(barrier_wait());
	REFUSED(rdlock());
	REFUSED(wrlock());
	REFUSED(rdlock_until());
	REFUSED(wrlock_until());
	REFUSED(co_rwlock_tryrdlock(&things.lock));
	REFUSED(co_rwlock_trywrlock(&things.lock));
	REFUSED(co_rwlock_unlock(&things.lock));
	ck_assert(memcmp(&before, &things, sizeof(things)) == 0);
	return 0;
}

/* The same where somebody holds, and nobody waits. */
static int stranger_to_locks(void *unused)
{
	(void)unused;
	REFUSED(co_mutex_lock_until(&things.mutex, 0));
	REFUSED(co_rwlock_rdlock_until(&things.lock, 0));
	REFUSED(co_rwlock_unlock(&things.lock));
	return 0;
}

static int heir(void *unused)
{
	(void)unused;
	IS(lock(), 0);
	IS(co_mutex_unlock(&things.mutex), 0);
	co_cond_signal(&things.cond);
	IS(sem_wait(), 0);
	IS(co_event_wait_until(&things.event, 0), TMO);
	co_event_set(&things.event);
	IS(co_barrier_init(&things.barrier, 1), 0);
	IS(co_barrier_wait(&things.barrier), 1);
	IS(rdlock(), 0);
	IS(co_rwlock_unlock(&things.lock), 0);
	blameless();
	note('h');
	return 0;
}

static void run_dry(co_loop *l)
{
	while (co_loop_run_once(l) > 0)
		;
}

/* One that waits, ignoring that it is cut short when its runtime ends. */
static int waits_till_the_end(void *call)
{
	co_ignore((*(int (*const *)(void))call)());
	return 0;
}

/* C39: while those of one runtime hold or wait, the other may not; after that it may */
START_TEST(an_object_belongs_to_one_runtime_at_a_time)
{
	co_loop *a, *b;

	make_things();
	IS(co_loop_open(&a, hearing()), 0);
	IS(co_loop_open(&b, hearing()), 0);
	IS(co_loop_spawn(a, keeper, NULL), 0);
	run_dry(a);
	IS(co_loop_spawn(b, stranger_to_locks, NULL), 0);
	run_dry(b);
	IS(co_loop_live(b), 0);
	for (size_t i = 0; i < LENGTH(waits); i++)
		if (!waits[i].limited)
			IS(co_loop_spawn(a, waits_till_the_end, (void *)(uintptr_t)&waits[i].call),
			   0);
	run_dry(a);
	IS(co_loop_spawn(b, stranger, NULL), 0);
	run_dry(b);
	IS(co_loop_live(b), 0);
	IS(co_loop_close(a), 0);
	IS(co_loop_spawn(b, heir, NULL), 0);
	run_dry(b);
	ck_assert_str_eq(notes(), "h");
	IS(co_loop_close(b), 0);
}
END_TEST

/* The same while the first still runs, but nobody in it uses them. */
START_TEST(an_object_at_rest_is_free_for_any_runtime)
{
	co_loop *a, *b;

	make_things();
	IS(co_loop_open(&a, hearing()), 0);
	IS(co_loop_open(&b, hearing()), 0);
	for (int i = 0; i < 3; i++) {
		co_event_reset(&things.event);
		co_sem_init(&things.sem, 1);
		IS(co_loop_spawn(i % 2 ? a : b, heir, NULL), 0);
		run_dry(i % 2 ? a : b);
	}
	ck_assert_str_eq(notes(), "hhh");
	IS(co_loop_close(a), 0);
	IS(co_loop_close(b), 0);
}
END_TEST

static int finds_it_locked(void *m)
{
	IS(co_mutex_trylock(m), -EBUSY);
	IS(co_mutex_lock_until(m, MS(10)), TMO);
	IS(co_mutex_unlock(m), -EPERM);
	blamed(CO_MISUSE_MUTEX);
	return 0;
}

/* What it guards may be half done. */
START_TEST(what_was_locked_at_the_end_of_a_runtime_stays_locked)
{
	co_mutex m = CO_MUTEX_INIT;
	int code = -1;

	IS(co_run(locks_and_returns, &m, hearing(), &code), 0);
	IS(code, 7);
	blamed(CO_MISUSE_MUTEX);
	IS(co_run(finds_it_locked, &m, hearing(), &code), 0);
	IS(code, 0);
}
END_TEST

/* Does in a process of its own what ends it; how it ended. */
static int run_apart(void (*act)(void))
{
	struct rlimit no_core = { 0, 0 };
	int status = 0;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		co_ignore(freopen("/dev/null", "w", stderr) == NULL);
		act();
		_exit(0);
	}
	IS(waitpid(pid, &status, 0), pid);
	return status;
}

static void sets_from_outside(void)
{
	static int (*const wait)(void) = event_wait;
	co_loop *l;

	make_things();
	co_loop_open(&l, NULL);
	co_loop_spawn(l, waits_till_the_end, (void *)(uintptr_t)&wait);
	run_dry(l);
	co_event_set(&things.event);
}

static void locks_nc_outside(void)
{
	make_things();
	co_mutex_lock_nc(&things.mutex);
}

static void unlocks_outside(void)
{
	make_things();
	co_ignore(co_mutex_unlock(&things.mutex));
}

/* C39: there is no hook outside, so misuse ends the program */
START_TEST(misuse_outside_any_runtime)
{
	void (*const acts[])(void) = { sets_from_outside, locks_nc_outside, unlocks_outside };

	for (size_t i = 0; i < LENGTH(acts); i++) {
		int status = run_apart(acts[i]);

		ck_assert(WIFSIGNALED(status));
		IS(WTERMSIG(status), SIGABRT);
	}
}
END_TEST

/* --------------------------------------------------------------------------------- many at once */

enum { MANY = 40 };

/* Who is where, as looked at by whoever has got something. */
struct crowd {
	co_mutex mutex;
	co_rwlock lock;
	uint64_t dice;
	int in_mutex, readers, writers;
	int got, cut;
};

static void stay(struct crowd *c)
{
	calm_ms(1 + (int)(suite_random(&c->dice) % 5));
}

static void visit_mutex(struct crowd *c, int rc)
{
	if (rc < 0)
		return;
	IS(c->in_mutex++, 0);
	stay(c);
	IS(c->in_mutex--, 1);
	IS(co_mutex_unlock(&c->mutex), 0);
}

static void visit_lock(struct crowd *c, bool write, int rc)
{
	int *mine = write ? &c->writers : &c->readers;

	if (rc < 0)
		return;
	++*mine;
	ck_assert(c->writers == 0 || (c->writers == 1 && c->readers == 0));
	stay(c);
	--*mine;
	IS(co_rwlock_unlock(&c->lock), 0);
}

static int one_of_many(void *arg)
{
	struct crowd *c = arg;

	for (int i = 0; i < 50; i++) {
		co_scope s = CO_SCOPE_INIT;
		co_ns abs = co_now() + MS(suite_random(&c->dice) % 60);
		int rc;

		co_scope_begin(&s, MS(1 + suite_random(&c->dice) % 60));
		switch (suite_random(&c->dice) % 5) {
		case 0:
			visit_mutex(c, rc = co_mutex_lock(&c->mutex));
			break;
		case 1:
			visit_mutex(c, rc = co_mutex_lock_until(&c->mutex, abs));
			break;
		case 2:
			visit_lock(c, true, rc = co_rwlock_wrlock(&c->lock));
			break;
		case 3:
			visit_lock(c, false, rc = co_rwlock_rdlock(&c->lock));
			break;
		default:
			visit_lock(c, false, rc = co_rwlock_rdlock_until(&c->lock, abs));
		}
		ck_assert(rc == 0 || rc == CANC || rc == TMO);
		c->got += rc == 0;
		c->cut += rc < 0;
		rc = co_scope_end(&s, rc);
		ck_assert(rc == 0 || rc == TMO);
	}
	return 0;
}

/* However waits end, a mutex has one owner, a lock one writer or some readers, and at the end both
 * are free. */
SCENARIO(locks_exclude_whatever_happens)
{
	struct crowd c = { CO_MUTEX_INIT, CO_RWLOCK_INIT, .dice = suite_seed() };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < MANY; i++)
		spawn(&g, one_of_many, &c);
	IS(co_group_end(&g, 0), 0);
	IS(c.got + c.cut, MANY * 50);
	ck_assert_int_gt(c.got, MANY);
	ck_assert_int_gt(c.cut, MANY);
	ck_assert(is_free(&c.mutex));
	free_again(&c.lock);
}

SUITE("sync", S161_waiter_timed_out_leaves_the_queue, S162_a_holder_cut_short_still_holds,
      S162_a_coroutine_that_returns_with_a_mutex_locked, S164_only_one_owner_after_cancel_and_release,
      S165_unlock_then_cancel, S110_lock_handed_over_then_cancelled,
      S167_lock_nc_waits_in_a_cancelled_scope, a_mutex_is_handed_over_in_order,
      lock_until_tries_first, a_mutex_of_ones_own, unlock_by_another_is_misuse,
      a_loop_around_a_free_mutex_lets_others_run, a_generator_locks_for_its_caller,
      S168_a_cancelled_wait_takes_the_mutex_back, S170_a_second_cancel_while_taking_the_mutex_back,
      S171_signalled_then_cancelled, S172_cancelled_then_signalled,
      S182_signalled_then_cancelled_before_it_runs, S173_a_wait_without_the_mutex,
      signals_go_in_order_and_are_not_kept, one_condition_with_two_mutexes, a_condition_wait_until,
      a_condition_wait_that_ends_at_once_keeps_the_mutex, S174_cancelled_waiters_are_skipped,
      S176_permits_are_conserved_under_timeouts, permits_are_conserved_whatever_happens,
      S177_a_big_waiter_cancelled_lets_smaller_ones_in, a_big_waiter_timed_out_lets_smaller_ones_in,
      permits_are_conserved_when_all_are_cancelled_together, permits_are_granted_in_order,
      a_semaphore_counts, an_event_lets_all_go_on, an_event_stays_set,
      S179_a_cancelled_one_does_not_count, a_barrier_is_good_for_many_rounds,
      a_barrier_passed_then_cancelled, barriers_for_one_and_for_none,
      S180_a_writer_that_times_out_lets_the_readers_in,
      a_writer_that_leaves_lets_in_the_readers_behind_it, a_rwlock_is_fair,
      a_rwlock_given_then_cancelled, rwlock_tries, unlock_of_a_rwlock_not_held_is_misuse,
      S92_a_cancelled_wait_changes_nothing, S92_a_cancelled_wait_takes_nothing,
      S93_calls_that_do_not_wait_know_no_cancel, waits_end_at_their_deadlines,
      reports_name_what_is_waited_for, null_is_refused, outside_any_runtime,
      in_a_callback_nothing_waits, a_callback_gives_to_those_that_wait,
      lock_nc_in_a_callback_is_misuse, an_object_belongs_to_one_runtime_at_a_time,
      an_object_at_rest_is_free_for_any_runtime, what_was_locked_at_the_end_of_a_runtime_stays_locked,
      misuse_outside_any_runtime, locks_exclude_whatever_happens)
