/* A program that gets stuck, to try a debugger on: docs/debugging.md goes through it. Two transfers
 * lock the same two accounts, each beginning with the other's second, and wait for ever. Time is
 * virtual, so every run is the same.
 *
 *	cc -g stuck.c $(pkg-config --cflags --libs whorl) && gdb a.out */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <whorl/chan.h>
#include <whorl/co.h>

struct account {
	co_mutex lock;
	int balance;
};

struct transfer {
	struct account *from, *to;
	int amount;
};

static int transfer(void *arg)
{
	const struct transfer *t = arg;
	int rc = co_mutex_lock(&t->from->lock);

	if (rc < 0)
		return rc;
	rc = co_sleep(CO_MS(10)); /* it all goes well without */
	if (rc == 0)
		rc = co_mutex_lock(&t->to->lock);
	if (rc == 0) {
		t->from->balance -= t->amount;
		t->to->balance += t->amount;
		co_mutex_unlock(&t->to->lock);
	}
	co_mutex_unlock(&t->from->lock);
	return rc;
}

static int receive(void *chan)
{
	int order;

	return co_chan_recv(chan, &order);
}

/* Orders come within a second, or not at all. */
static int clerk(void *chan)
{
	int rc = co_timeout(CO_SEC(1), receive, chan);

	return rc == -ETIMEDOUT ? 0 : rc;
}

static int opening_hours(co_gen *gen, void *arg)
{
	int rc = 0;

	(void)arg;
	for (intptr_t hour = 8; hour < 12 && rc == 0; hour++) {
		rc = co_sleep(CO_MS(60));
		if (rc == 0)
			rc = co_gen_emit(gen, (void *)hour, NULL);
	}
	return rc;
}

static int clock_tower(void *arg)
{
	co_gen *hours = NULL;
	int rc = co_gen_make(&hours, opening_hours, arg, NULL);

	while (rc == 0 && co_gen_next(hours, NULL) == 1)
		;
	co_gen_free(hours);
	return rc;
}

static int visitor(void *arg)
{
	(void)arg;
	return 7;
}

/* A place for a breakpoint: all that live are somewhere. */
static void __attribute__((noinline)) look_around(void)
{
	__asm__ volatile("");
}

static int open_bank(co_group *staff, struct transfer transfers[2], co_chan *orders)
{
	const struct co_attr anna = { .name = "anna" }, bert = { .name = "bert" },
			     desk = { .name = "desk" }, tower = { .name = "tower" },
			     late = { .name = "late" };
	co_ref visit;
	int rc = co_spawn_with(staff, transfer, &transfers[0], NULL, &anna);

	if (rc == 0)
		rc = co_spawn_with(staff, transfer, &transfers[1], NULL, &bert);
	if (rc == 0)
		rc = co_spawn_with(staff, clerk, orders, NULL, &desk);
	if (rc == 0)
		rc = co_spawn_with(staff, clock_tower, NULL, NULL, &tower);
	if (rc == 0)
		rc = co_spawn(staff, visitor, NULL, &visit);
	if (rc == 0)
		rc = co_sleep(CO_MS(100));
	if (rc == 0)
		rc = co_spawn_with(staff, visitor, NULL, NULL, &late);
	if (rc == 0)
		look_around();
	return rc == 0 ? co_join(visit, NULL) : rc;
}

static int bank(void *arg)
{
	struct account accounts[2] = { { .balance = 100 }, { .balance = 50 } };
	struct transfer transfers[] = {
		{ &accounts[0], &accounts[1], 30 },
		{ &accounts[1], &accounts[0], 10 },
	};
	co_chan *orders;
	co_group staff;
	int rc = co_chan_make(&orders, sizeof(int), 0);

	(void)arg;
	if (rc < 0)
		return rc;
	co_group_begin(&staff, CO_GROUP_FAIL_FAST);
	rc = open_bank(&staff, transfers, orders);
	rc = co_group_end(&staff, rc);
	co_chan_free(orders);
	return rc;
}

static void say(enum co_report kind, const char *text, const void *site, void *ctx)
{
	(void)kind, (void)site, (void)ctx;
	printf("%s\n", text);
}

int main(void)
{
	struct co_options options = {
		.clock = CO_CLOCK_VIRTUAL,
		.attr = { .name = "bank" },
		.on_report = say,
	};

	return co_run(bank, NULL, &options, NULL) != -EDEADLK;
}
