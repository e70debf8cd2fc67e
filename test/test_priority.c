/*
 * Priorities: of sixteen turns in a row that all levels want, HIGH gets 12, NORMAL 3 and LOW 1.
 * A turn that a level does not want goes to the highest that does. FIFO within a level. So nobody
 * starves, and among equals there are no priorities.
 */
#include "scenario.h"

enum { TURNS = 1600 };

static char turns[TURNS + 1];
static int taken;

/* Writes its letter at each of its turns, until all are taken. */
static int takes_turns(void *arg)
{
	while (taken < TURNS) {
		turns[taken++] = (char)(intptr_t)arg;
		IS(co_yield_now(), 0);
	}
	return 0;
}

static co_ref spawn_at(co_group *g, co_fn *fn, int priority, void *arg)
{
	co_ref ref = { 0 };

	IS(co_spawn_with(g, fn, arg, &ref, &(struct co_attr){ .priority = priority }), 0);
	return ref;
}

/* How many of the letters from..to are in the sixteen turns from the i-th on. */
static int share(int i, char from, char to)
{
	int n = 0;

	for (int k = i; k < i + 16; k++)
		n += turns[k] >= from && turns[k] <= to;
	return n;
}

/* Once all have begun, every sixteen turns in a row are shared so. */
static void is_shared(int high, int normal, int low)
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < high; i++)
		spawn_at(&g, takes_turns, CO_PRIO_HIGH, num('A' + i));
	for (int i = 0; i < normal; i++)
		spawn_at(&g, takes_turns, CO_PRIO_NORMAL, num('a' + i));
	for (int i = 0; i < low; i++)
		spawn_at(&g, takes_turns, CO_PRIO_LOW, num('0' + i));
	IS(co_group_end(&g, 0), 0);
	for (int i = 0; i + 16 <= TURNS; i++) {
		int want_high = !high ? 0 : 12 + (normal ? 0 : 3) + (low ? 0 : 1);
		int want_low = !low ? 0 : high || normal ? 1 : 16;

		IS(share(i, 'A', 'Z'), want_high);
		IS(share(i, '0', '9'), want_low);
		IS(share(i, 'a', 'z'), 16 - want_high - want_low);
	}
}

SCENARIO(twelve_three_one)
{
	is_shared(1, 1, 1);
}

SCENARIO(twelve_three_one_however_many_there_are)
{
	is_shared(5, 9, 2);
}

SCENARIO(twelve_three_one_where_the_low_are_many)
{
	is_shared(1, 2, 10);
}

SCENARIO(high_and_low)
{
	is_shared(2, 0, 2);
}

SCENARIO(normal_and_low)
{
	is_shared(0, 3, 1);
}

/* Each letter of a level comes once, before any comes again. */
static void round_robin(char first, int n)
{
	int next = 0;

	for (int i = 0; i < TURNS; i++)
		if (turns[i] >= first && turns[i] < first + n) {
			IS(turns[i], first + next);
			next = (next + 1) % n;
		}
}

SCENARIO(fifo_within_a_level)
{
	is_shared(4, 3, 5);
	round_robin('A', 4);
	round_robin('a', 3);
	round_robin('0', 5);
}

/* One level alone: the order is as if there were no levels. */
SCENARIO(equals_take_turns)
{
	static const int levels[] = { CO_PRIO_HIGH, CO_PRIO_NORMAL, CO_PRIO_LOW };

	for (size_t k = 0; k < LENGTH(levels); k++) {
		co_group g;

		taken = 0;
		co_group_begin(&g, CO_GROUP_FAIL_FAST);
		for (int i = 0; i < 7; i++)
			spawn_at(&g, takes_turns, levels[k], num('a' + i));
		IS(co_group_end(&g, 0), 0);
		for (int i = 0; i < TURNS; i++)
			IS(turns[i], 'a' + i % 7);
	}
}

/* A crowd that always wants more: a LOW one has one turn of sixteen, so that 15 others come
 * between; a NORMAL one each fourth, but for the turn of LOW, so that 7 do. */
static void waits_for_few(int crowd_at, int lone_at, int at_most)
{
	co_group g;
	int last = 0;

	taken = 0;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (int i = 0; i < 100; i++)
		spawn_at(&g, takes_turns, crowd_at, num('x'));
	spawn_at(&g, takes_turns, lone_at, num('1'));
	IS(co_group_end(&g, 0), 0);
	for (int i = 0; i < TURNS; i++) {
		if (turns[i] == '1')
			last = i;
		ck_assert_int_le(i - last, at_most);
	}
	ck_assert_int_gt(last, 0);
}

SCENARIO(nobody_starves)
{
	waits_for_few(CO_PRIO_HIGH, CO_PRIO_LOW, 15);
	waits_for_few(CO_PRIO_NORMAL, CO_PRIO_LOW, 15);
	waits_for_few(CO_PRIO_HIGH, CO_PRIO_NORMAL, 7);
}

/* Timers too go on beside a crowd of HIGH, of any priority. On the virtual clock time stands while
 * they run, so that it is moved by hand. */
static int lets_time_pass(void *arg)
{
	while (!((struct nap *)arg)->over) {
		stall(CO_US(100));
		IS(co_yield_now(), 0);
	}
	taken = TURNS;
	return 0;
}

SCENARIO(a_low_sleeper_beside_a_crowd)
{
	struct nap n = { .dur = MS(1) };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn_at(&g, nap, CO_PRIO_LOW, &n);
	for (int i = 0; i < 20; i++)
		spawn_at(&g, lets_time_pass, CO_PRIO_HIGH, &n);
	IS(co_group_end(&g, 0), 0);
	ck_assert(n.over);
	ck_assert_int_ge(n.at, MS(1));
}

/* A wake is a turn like any other: HIGH comes before those that were runnable at its level or
 * below, and cancelled siblings of one level wake in order of spawning. */
static int notes_its_end(void *arg)
{
	int rc = co_sleep(CO_FOREVER);

	note((char)(intptr_t)arg);
	return rc;
}

SCENARIO(cancelled_siblings_wake_in_order_within_a_level)
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn_at(&g, notes_its_end, CO_PRIO_LOW, num('l'));
	for (int i = 0; i < 3; i++)
		spawn_at(&g, notes_its_end, CO_PRIO_NORMAL, num('n' + i));
	for (int i = 0; i < 3; i++)
		spawn_at(&g, notes_its_end, CO_PRIO_HIGH, num('a' + i));
	settle();
	IS(co_group_cancel(&g, 0), 0);
	IS(co_group_end(&g, CANC), 0);
	IS(strlen(notes()), 7);
	ck_assert_ptr_nonnull(strchr(notes(), 'l'));
	ck_assert(strchr(notes(), 'a') < strchr(notes(), 'b'));
	ck_assert(strchr(notes(), 'b') < strchr(notes(), 'c'));
	ck_assert(strchr(notes(), 'n') < strchr(notes(), 'o'));
	ck_assert(strchr(notes(), 'o') < strchr(notes(), 'p'));
}

static int writes_letter(void *arg)
{
	note((char)(intptr_t)arg);
	return 0;
}

/* Of those that became runnable together, HIGH begins first. */
SCENARIO(high_begins_first)
{
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn_at(&g, writes_letter, CO_PRIO_LOW, num('l'));
	spawn_at(&g, writes_letter, CO_PRIO_HIGH, num('h'));
	IS(co_group_end(&g, 0), 0);
	ck_assert_str_eq(notes(), "hl");
}

SCENARIO(unknown_priorities_are_refused)
{
	static const int wrong[] = { 2, -2, 100, INT32_MAX, INT32_MIN };
	struct co_options opt = { .clock = CO_CLOCK_VIRTUAL };
	co_group g;

	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	for (size_t i = 0; i < LENGTH(wrong); i++) {
		opt.attr.priority = wrong[i];
		IS(co_spawn_with(&g, five, NULL, NULL, &opt.attr), -EINVAL);
	}
	IS(co_group_end(&g, 0), 0);
}

/* Options give the priority of main and of those that are spawned without. */
static int main_is_low(void *unused)
{
	co_group g;

	(void)unused;
	co_group_begin(&g, CO_GROUP_FAIL_FAST);
	spawn(&g, writes_letter, num('l'));
	spawn_at(&g, writes_letter, CO_PRIO_NORMAL, num('n'));
	return co_group_end(&g, 0);
}

START_TEST(the_options_name_a_priority)
{
	struct co_options opt = { .attr = { .priority = CO_PRIO_LOW } };

	PLAY_WITH(main_is_low, NULL, &opt);
	ck_assert_str_eq(notes(), "nl");
}
END_TEST

SUITE("priority",
      twelve_three_one,
      twelve_three_one_however_many_there_are,
      twelve_three_one_where_the_low_are_many,
      high_and_low,
      normal_and_low,
      fifo_within_a_level,
      equals_take_turns,
      nobody_starves,
      a_low_sleeper_beside_a_crowd,
      cancelled_siblings_wake_in_order_within_a_level,
      high_begins_first,
      unknown_priorities_are_refused,
      the_options_name_a_priority)
