/* First steps: run functions side by side, wait for them, cancel one. Whoever comes from Python's
 * asyncio finds here what gather, create_task and cancel are called.
 *
 *	cc gather.c $(pkg-config --cflags --libs whorl) && ./a.out */
#include <errno.h>
#include <stdio.h>
#include <whorl/co.h>

struct dish {
	const char *name;
	int takes_ms;
	int portions;			/* or a negative errno: it goes wrong */
};

static int cook(void *arg)
{
	const struct dish *dish = arg;
	int rc = co_sleep(CO_MS(dish->takes_ms));

	if (rc < 0) {
		printf("   %s: taken off the fire\n", dish->name);
		return rc;		/* on its way to whoever cancelled */
	}
	printf("   %s: %s\n", dish->name, dish->portions < 0 ? "burnt" : "ready");
	return dish->portions;
}

static int surprise(const char *what, int as_expected)
{
	printf("%s %s\n", as_expected ? "ok" : "NOT", what);
	return !as_expected;
}

/* results = await gather(a, b, c): they sleep side by side. */
static int gather_three(void)
{
	struct dish soup = { "soup", 30, 4 }, rice = { "rice", 20, 3 }, tea = { "tea", 10, 2 };
	co_fn *const fns[] = { cook, cook, cook };
	void *const args[] = { &soup, &rice, &tea };
	int exits[3] = { 0, 0, 0 };
	int rc = co_gather(3, fns, args, exits);

	return surprise("three results, in the order of the call",
			rc == 0 && exits[0] == 4 && exits[1] == 3 && exits[2] == 2);
}

/* The first error ends the others. Gather returns when all of them have ended, not before. */
static int gather_with_error(void)
{
	struct dish roast = { "roast", 10000, 6 }, toast = { "toast", 10, -EIO };
	co_fn *const fns[] = { cook, cook };
	void *const args[] = { &roast, &toast };
	int exits[2] = { 0, 0 };
	int rc = co_gather(2, fns, args, exits);

	return surprise("the error of one, and the other was stopped",
			rc == -EIO && exits[0] == -ECANCELED && exits[1] == -EIO);
}

/* task = create_task(...); ...; task.cancel(); await task. Tasks belong to a group, which ends when
 * they have. */
static int create_and_cancel(void)
{
	struct dish eggs = { "eggs", 5, 2 }, stew = { "stew", 10000, 8 };
	co_ref task[2];
	int exits[2] = { 0, 0 };
	bool cancelled = false;
	co_group kitchen;
	int rc;

	co_group_begin(&kitchen, CO_GROUP_FAIL_FAST);
	rc = co_spawn(&kitchen, cook, &eggs, &task[0]);
	if (rc == 0)
		rc = co_spawn(&kitchen, cook, &stew, &task[1]);
	if (rc == 0)
		rc = co_join(task[0], &exits[0]);
	if (rc == 0)
		rc = co_cancel(task[1], 0);	/* does not wait for it */
	if (rc == 0) {
		cancelled = co_was_cancelled(task[1]);
		rc = co_join(task[1], &exits[1]);
	}
	rc = co_group_end(&kitchen, rc);
	return surprise("one joined, one cancelled; to be cancelled is no error",
			rc == 0 && exits[0] == 2 && exits[1] == -ECANCELED && cancelled);
}

static int show(void *arg)
{
	int surprises = 0;

	(void)arg;
	printf("Gather:\n");
	surprises += gather_three();
	printf("Gather, and one fails:\n");
	surprises += gather_with_error();
	printf("Create, join, cancel:\n");
	surprises += create_and_cancel();
	return surprises;
}

int main(void)
{
	int surprises = 1;
	int rc = co_run(show, NULL, NULL, &surprises);

	return rc < 0 || surprises != 0;
}
