/* Small stacks: what fits on them, who lies beside whom, and that what the library says needs none
 * of their room. Checks of Check need more than such a stack has: the coroutines here note what
 * they find, and the tests look at it. (Overflow: test_overflow.c; signals: test_signals.c.) */
#define _GNU_SOURCE 1
#include <alloca.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <whorl/chan.h>
#include <whorl/co.h>
#include <whorl/sync.h>

#include "frame.h"
#include "suite.h"

/* Whether small stacks are ordinary ones: with a sanitizer, or a switch without assembly. */
#ifdef WHORL__NO_SMALL_STACKS
#define ORDINARY 1
#else
#define ORDINARY SANITIZED
#endif

/* What else needs 1 KiB needs twice of it here: no frame is below 160 bytes on s390x, and on ppc64le
 * a switch takes 544. */
#if defined(__s390x__) || defined(__powerpc64__)
#define FRAMES 2
#else
#define FRAMES 1
#endif

static const struct co_attr tiny = { .stack_size = FRAMES * 1024 - 1023, .flags = CO_SMALL_STACK };
static const struct co_attr small = { .stack_size = FRAMES * 2048, .flags = CO_SMALL_STACK };
static const struct co_attr two_kib = { .stack_size = 2048, .flags = CO_SMALL_STACK };

/* ---------------------------------------------------------------------------------- raw coroutines */

/* Fills so many bytes of its stack, at each resume with what comes in; NULL ends it. Hands out the
 * address of its frame, or NULL when it finds other bytes than those it wrote. */
static void *fill(void *size)
{
	size_t n = (size_t)(uintptr_t)size;
	char *volatile bytes = alloca(n);
	char *in = co_raw_suspend(__builtin_frame_address(0));
	bool same = true;

	while (in != NULL) {
		for (size_t i = 0; i < n; i++)
			((volatile char *)bytes)[i] = *in;
		char was = *in;

		in = co_raw_suspend(same ? __builtin_frame_address(0) : NULL);
		for (size_t i = 0; i < n; i++)
			same = same && ((volatile char *)bytes)[i] == was;
	}
	return same ? bytes : NULL;
}

static struct co_raw *make(co_raw_fn *fn, size_t stack_size, size_t argument, uintptr_t *frame)
{
	struct co_attr attr = { .stack_size = stack_size, .flags = CO_SMALL_STACK };
	struct co_raw *co;
	void *out;

	ck_assert_int_eq(co_raw_create(&co, fn, &attr), 0);
	ck_assert_int_eq(co_raw_resume(co, (void *)argument, &out), 1);
	*frame = (uintptr_t)out;
	return co;
}

/* What a frame needs beside its bytes: registers, the call of the suspend, the start. */
enum { BESIDE = FRAMES * 400, SOME = 100 };

START_TEST(each_has_what_was_asked_for)
{
	static char value[SOME];

	for (size_t size = FRAMES * 1024; size <= 16384; size *= 2) {
		struct co_raw *co[SOME];
		uintptr_t frame[SOME], nearest = UINTPTR_MAX;
		void *out;

		for (int i = 0; i < SOME; i++)
			co[i] = make(fill, size, size - BESIDE, &frame[i]);
		for (int i = 0; i < 2 * SOME; i++) { /* all are full, and none has harmed another */
			value[i % SOME] = (char)(i + 1);
			ck_assert_int_eq(co_raw_resume(co[i % SOME], &value[i % SOME], &out), 1);
			ck_assert_ptr_nonnull(out);
		}
		for (int i = 1; i < SOME; i++)
			if (frame[i] - frame[0] < nearest)
				nearest = frame[i] - frame[0];
		if (!ORDINARY)
			ck_assert_uint_le(nearest, size + 512);
		for (int i = 0; i < SOME; i++) {
			ck_assert_uint_le(co_raw_stack_used(co[i]), ORDINARY ? 1 << 18 : size);
			ck_assert_uint_ge(co_raw_stack_used(co[i]), size - BESIDE);
			ck_assert_int_eq(co_raw_resume(co[i], NULL, &out), 0);
			ck_assert_ptr_nonnull(out);
			co_raw_destroy(co[i]);
		}
	}
}
END_TEST

/* The stack's size, found by its high-water mark when all of it is written: of a kind that bears
 * it. */
static size_t size_of(size_t asked, unsigned flags, size_t depth)
{
	struct co_attr attr = { .stack_size = asked, .flags = flags };
	static char byte = 1;
	struct co_raw *co;
	size_t used;

	ck_assert_int_eq(co_raw_create(&co, fill, &attr), 0);
	ck_assert_int_eq(co_raw_resume(co, (void *)depth, NULL), 1);
	ck_assert_int_eq(co_raw_resume(co, &byte, NULL), 1);
	used = co_raw_stack_used(co);
	co_raw_destroy(co);
	return used;
}

START_TEST(larger_ones_are_ordinary)
{
	size_t large = ORDINARY ? 300000 : 16385;

	ck_assert_uint_ge(size_of(large, CO_SMALL_STACK, large), large);
	ck_assert_uint_ge(size_of(large, 0, large), large);
	ck_assert_uint_ge(size_of(1, 0, 16000), 16000); /* and without the flag none is small */
	ck_assert_uint_ge(size_of(0, CO_SMALL_STACK, 4096 - BESIDE), 4096 - BESIDE);
}
END_TEST

static int count_up(co_gen *gen, void *last)
{
	for (intptr_t i = 1; i <= (intptr_t)last; i++)
		if (co_gen_emit(gen, (void *)i, NULL) < 0)
			return -ECANCELED;
	return 0;
}

START_TEST(generators_have_them_too)
{
	co_gen *gen[SOME];
	void *value;

	for (int i = 0; i < SOME; i++)
		ck_assert_int_eq(co_gen_make(&gen[i], count_up, (void *)3, &tiny), 0);
	for (intptr_t n = 1; n <= 3; n++)
		for (int i = 0; i < SOME; i++) {
			ck_assert_int_eq(co_gen_next(gen[i], &value), 1);
			ck_assert_int_eq((intptr_t)value, n);
		}
	for (int i = 0; i < SOME; i++) {
		ck_assert_int_eq(co_gen_next(gen[i], &value), 0);
		co_gen_free(gen[i]);
	}
}
END_TEST

/* --------------------------------------------------------------------- coroutines of the scheduler */

static void run(co_fn *fn, void *arg, const struct co_options *opt)
{
	int code = -1;

	ck_assert_int_eq(co_run(fn, arg, opt, &code), 0);
	ck_assert_int_eq(code, 0);
}

static const struct co_options virtual = { .clock = CO_CLOCK_VIRTUAL };

static int sleeps(void *arg)
{
	(void)arg;
	return co_sleep(CO_MS(1));
}

static co_chan *chan;
static co_mutex mutex = CO_MUTEX_INIT;

static int receives(void *arg)
{
	int number, rc = co_chan_recv(chan, &number);

	(void)arg;
	return rc < 0 ? rc : number;
}

/* A bit of everything; the line in which something was wrong. */
static int lives(void *arg)
{
	struct co_attr named = tiny;
	co_ref child = { 0 };
	int number = 7, code = 0, rc = 0;
	co_scope scope = CO_SCOPE_INIT;
	co_group g;

	(void)arg;
	named.name = "a child with a name that is too long to be kept";
	co_with_timeout (&scope, CO_MS(1))
		rc = co_sleep(CO_SEC(1));
	if (co_scope_result(&scope, rc) != -ETIMEDOUT)
		return __LINE__;
	if (co_mutex_lock(&mutex) != 0 || co_yield_now() != 0)
		return __LINE__;
	co_mutex_unlock(&mutex);
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	if (co_spawn_with(&g, receives, NULL, &child, &named) != 0 ||
	    co_spawn(&g, sleeps, NULL, NULL))
		return __LINE__;
	if (co_chan_send(chan, &number) != 0)
		return __LINE__;
	if (co_join(child, &code) != 0 || code < 0)
		return __LINE__;
	return co_group_end(&g, 0) == 0 ? 0 : __LINE__;
}

static int many_live(void *arg)
{
	co_ref refs[SOME];
	struct co_stats stats;
	co_group g;
	int code;

	(void)arg;
	ck_assert_int_eq(co_chan_make(&chan, sizeof(int), 0), 0);
	co_group_begin(&g, CO_GROUP_COLLECT);
	for (int i = 0; i < SOME; i++)
		ck_assert_int_eq(co_spawn_with(&g, lives, NULL, &refs[i], &two_kib), 0);
	ck_assert_int_eq(co_stats(&stats), 0);
	ck_assert_uint_eq(stats.stacks_small, ORDINARY ? 0 : SOME);
	ck_assert_uint_eq(stats.stacks_madvise + stats.stacks_mprotect + stats.stacks_canary,
			  1 + (ORDINARY ? SOME : 0));
	for (int i = 0; i < SOME; i++) {
		ck_assert_int_eq(co_join(refs[i], &code), 0);
		ck_assert_msg(code == 0, "line %d", code);
	}
	ck_assert_int_eq(co_group_end(&g, 0), 0);
	co_chan_free(chan);
	ck_assert_int_eq(co_stats(&stats), 0);
	ck_assert_uint_eq(stats.stacks_small, 0);
	return 0;
}

START_TEST(what_coroutines_do_fits_into_2_kib)
{
	run(many_live, NULL, &virtual);
}
END_TEST

static int uses(void *bytes)
{
	size_t n = (size_t)(uintptr_t)bytes;
	volatile char *frame = alloca(n);

	for (size_t i = 0; i < n; i++)
		frame[i] = 1;
	return co_sleep(CO_SEC(1)) + (frame[0] != 1);
}

static int sizes_by_the_mark(void *arg)
{
	co_ref ref;
	co_group g;

	(void)arg;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (size_t n = 64; n <= 3072; n += 512) {
		struct co_attr attr = { .stack_size = 4096, .flags = CO_SMALL_STACK };

		ck_assert_int_eq(co_spawn_with(&g, uses, (void *)n, &ref, &attr), 0);
		ck_assert_int_eq(co_sleep(CO_MS(1)), 0);
		ck_assert_uint_ge(co_stack_used(ref), n);
		ck_assert_uint_le(co_stack_used(ref), n + (ORDINARY ? 4096 : FRAMES * 800));
	}
	return co_group_end(&g, 0);
}

START_TEST(the_mark_tells_what_is_needed)
{
	run(sizes_by_the_mark, NULL, &virtual);
}
END_TEST

static int spawns_with_and_without(void *small_ones)
{
	const struct co_attr none = { .flags = 0 };
	struct co_stats before, after;
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	if (co_stats(&before) < 0 || co_spawn(&g, sleeps, NULL, NULL) < 0 ||
	    co_spawn_with(&g, sleeps, NULL, NULL, &none) < 0 || co_stats(&after) < 0)
		return 1;
	*(size_t *)small_ones = before.stacks_small * 10 + after.stacks_small;
	return co_group_end(&g, 0);
}

/* Main too. Who has attributes of its own has them all. */
START_TEST(they_can_be_the_default)
{
	struct co_options opt = { .clock = CO_CLOCK_VIRTUAL, .attr = small };
	size_t small_ones = 99;

	run(spawns_with_and_without, &small_ones, &opt);
	ck_assert_uint_eq(small_ones, ORDINARY ? 0 : 12);
}
END_TEST

/* ------------------------------------------------------------------------------ what is said */

static struct {
	int reports, misuses;
	char text[200];
} said;

static void hear(const char *text)
{
	char room[16384];

	memset(room, 1, sizeof(room)); /* a hook may need some */
	snprintf(said.text, sizeof(said.text), "%s%.0f", text, room[sizeof(room) - 1] - 1.0);
	said.misuses += co_sleep(1) == -EPERM; /* and is in no coroutine */
}

static void on_report(enum co_report kind, const char *text, const void *site, void *ctx)
{
	(void)site;
	(void)ctx;
	said.reports += kind == CO_REPORT_DETACHED_ERROR;
	hear(text);
}

static void on_misuse(enum co_misuse kind, const char *text, const void *site, void *ctx)
{
	(void)site;
	(void)ctx;
	if (kind != CO_MISUSE_SCOPE_STATE && kind != CO_MISUSE_SCOPE_ORDER)
		return;
	said.misuses++;
	hear(text);
}

static int fails(void *arg)
{
	(void)arg;
	return -EIO;
}

static int ends_twice(void *arg)
{
	co_scope s = CO_SCOPE_INIT;

	(void)arg;
	co_scope_begin(&s, CO_FOREVER);
	return co_scope_end(&s, 0) == 0 && co_scope_end(&s, 0) == -EINVAL ? 0 : -EIO;
}

static int ends_the_outer_first(void *arg)
{
	co_scope outer = CO_SCOPE_INIT, inner = CO_SCOPE_INIT;

	(void)arg;
	co_scope_begin(&outer, CO_FOREVER);
	co_scope_begin(&inner, CO_FOREVER);
	return co_scope_end(&outer, 0) + co_scope_end(&inner, 0);
}

static int spawn_one(void *fn)
{
	struct co_attr attr = tiny;

	attr.name = "tiny";
	ck_assert_int_eq(co_spawn_with(NULL, *(co_fn **)fn, NULL, NULL, &attr), 0);
	return co_sleep(CO_MS(1));
}

START_TEST(reports_and_hooks_need_no_room_of_theirs)
{
	struct co_options opt = virtual;
	co_fn *fn = fails;

	run(spawn_one, &fn, &opt); /* to stderr */
	opt.on_report = on_report;
	opt.on_misuse = on_misuse;
	run(spawn_one, &fn, &opt);
	ck_assert_int_eq(said.reports, 1);
	ck_assert_ptr_nonnull(strstr(said.text, "'tiny'"));
	said.misuses = said.reports = 0;
	fn = ends_twice;
	run(spawn_one, &fn, &opt);
	ck_assert_int_ge(said.misuses, 1);
	ck_assert_int_eq(said.reports, 0);
	ck_assert_ptr_nonnull(strstr(said.text, "'tiny'"));
	said.misuses = 0;
	fn = ends_the_outer_first;
	run(spawn_one, &fn, &opt);
	ck_assert_int_ge(said.misuses, 1);
	ck_assert_ptr_nonnull(strstr(said.text, "one inside it, which began at"));
}
END_TEST

/* ---------------------------------------------------------- what is said, and not by a coroutine */

static int in_body;

static int sleeps_in_body(co_gen *gen, void *arg)
{
	(void)gen;
	(void)arg;
	in_body = co_sleep(CO_MS(1));
	said.reports = said.misuses; /* it was said before this went on */
	return -EIO;
}

static int sleeps_in_a_post[2];

static void uses_a_generator(struct co_post_node *node)
{
	struct co_attr attr = { .stack_size = 16384, .flags = CO_SMALL_STACK };
	co_gen *gen;

	(void)node;
	ck_assert_int_eq(co_gen_make(&gen, sleeps_in_body, NULL, &attr), 0);
	for (int i = 0; i < 2; i++)
		sleeps_in_a_post[i] = co_gen_next(gen, NULL);
	co_gen_free(gen);
}

static void count_misuse(enum co_misuse kind, const char *text, const void *site, void *ctx)
{
	(void)text;
	(void)site;
	(void)ctx;
	said.misuses += kind == CO_MISUSE_CALLBACK;
}

static int posts(void *arg)
{
	struct co_post_node node = { .fn = uses_a_generator };

	(void)arg;
	ck_assert_int_eq(co_post(co_loop_self(), &node), 0);
	return co_sleep(CO_MS(1));
}

START_TEST(misuse_in_a_generator_of_a_callback)
{
	struct co_options opt = virtual;

	opt.on_misuse = count_misuse;
	run(posts, NULL, &opt);
	ck_assert_int_eq(said.misuses, 1);
	ck_assert_int_eq(said.reports, 1);
	ck_assert_int_eq(in_body, -EPERM);
	ck_assert_int_eq(sleeps_in_a_post[0], -EIO);
	ck_assert_int_eq(sleeps_in_a_post[1], -EIO);
}
END_TEST

static int is_stuck(void *arg)
{
	co_scope s = CO_SCOPE_INIT;

	(void)arg;
	co_scope_begin_shield(&s, CO_SEC(60));
	return co_scope_end(&s, co_sleep(CO_SEC(40)));
}

/* The first is reported by the cancel of the second, that one by the loop. */
static int has_two_stuck(void *arg)
{
	co_group g[2];
	int rc = 0;

	(void)arg;
	for (int i = 0; i < 2; i++) {
		co_group_begin(&g[i], CO_GROUP_COLLECT);
		rc |= co_spawn(&g[i], is_stuck, NULL, NULL);
	}
	rc |= co_sleep(CO_MS(1));
	rc |= co_group_cancel(&g[1], 0);
	rc |= co_test_stall(CO_SEC(11));
	rc |= co_group_cancel(&g[0], 0); /* it is around the other */
	said.misuses = said.reports;
	rc |= co_group_end(&g[1], 0);
	return rc | co_group_end(&g[0], 0);
}

static void count_stuck(enum co_report kind, const char *text, const void *site, void *ctx)
{
	(void)text;
	(void)site;
	(void)ctx;
	said.reports += kind == CO_REPORT_STUCK_CHILD;
}

static void *runs_a_runtime(void *opt)
{
	static int code = -1;

	return co_run(has_two_stuck, NULL, opt, &code) == 0 && code == 0 ? opt : NULL;
}

START_TEST(reports_of_a_runtime_that_is_on_a_small_stack)
{
	struct co_options opt = virtual;
	struct co_attr attr = { .stack_size = 16384, .flags = CO_SMALL_STACK };
	struct co_raw *co;
	void *out;

	opt.attr = small;
	opt.on_report = count_stuck;
	ck_assert_int_eq(co_raw_create(&co, runs_a_runtime, &attr), 0);
	ck_assert_int_eq(co_raw_resume(co, &opt, &out), 0);
	ck_assert_ptr_eq(out, &opt);
	ck_assert_int_eq(said.misuses, 1);
	ck_assert_int_eq(said.reports, 2);
	co_raw_destroy(co);
}
END_TEST

SUITE("small", each_has_what_was_asked_for, larger_ones_are_ordinary, generators_have_them_too,
      what_coroutines_do_fits_into_2_kib, the_mark_tells_what_is_needed, they_can_be_the_default,
      reports_and_hooks_need_no_room_of_theirs, misuse_in_a_generator_of_a_callback,
      reports_of_a_runtime_that_is_on_a_small_stack)
