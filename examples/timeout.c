/* A request with a deadline, retried within a budget; and an idle timeout, moved at every sign of
 * life. The requests are sleeps: whatever waits in their place would be cut short the same way.
 * And as nobody outside takes part, the clock is virtual: it leaps to where the next sleep ends.
 *
 *	cc timeout.c $(pkg-config --cflags --libs whorl) && ./a.out */
#include <errno.h>
#include <stdio.h>
#include <whorl/co.h>

struct server {
	int silent;			/* so many requests get no answer */
	int asked;
};

/* One request: 42, after a millisecond or never. It knows nothing of deadlines. */
static int request(void *arg)
{
	struct server *server = arg;
	int rc = co_sleep(server->asked++ < server->silent ? CO_FOREVER : CO_MS(1));

	return rc < 0 ? rc : 42;
}

/* Asks until there is an answer, each time for 60 ms at most. An -ETIMEDOUT is that of one try.
 * When it is the caller's time that is over, the try gives -ECANCELED, and the loop ends. */
static int ask_again_and_again(struct server *server)
{
	int rc;

	do {
		rc = co_timeout(CO_MS(60), request, server);
		if (rc == -ETIMEDOUT)
			printf("   no answer to request %d\n", server->asked);
	} while (rc == -ETIMEDOUT);
	return rc;
}

/* All tries together have `budget`. */
static int ask(struct server *server, co_ns budget)
{
	co_scope all = CO_SCOPE_INIT;

	co_scope_begin(&all, budget);
	return co_scope_end(&all, ask_again_and_again(server));
}

struct stream {
	int chunks;			/* so many come, 5 ms apart; then it falls silent */
	int got;
	co_ns last;			/* when the last one came */
};

static int next_chunk(struct stream *stream)
{
	int rc = co_sleep(stream->got < stream->chunks ? CO_MS(5) : CO_FOREVER);

	if (rc == 0) {
		stream->got++;
		stream->last = co_now();
	}
	return rc;
}

/* Reads until the stream has been silent for `idle`, however long that takes in all. */
static int read_all(struct stream *stream, co_ns idle)
{
	co_scope s = CO_SCOPE_INIT;
	int rc;

	co_scope_begin(&s, idle);
	while ((rc = next_chunk(stream)) == 0)
		co_scope_rearm(&s, idle);	/* where it is too late, the next wait says so */
	return co_scope_end(&s, rc);
}

/* Says what was shown; 1 if it is not what was to be expected. */
static int surprise(const char *what, int as_expected)
{
	printf("%s %s\n", as_expected ? "ok" : "NOT", what);
	return !as_expected;
}

static int show(void *arg)
{
	struct server slow_to_start = { .silent = 2 }, dead = { .silent = 1000 };
	struct stream stream = { .chunks = 30 };
	int surprises = 0, rc;
	co_ns start;

	(void)arg;
	printf("A server that answers the third request, a budget of 10 s:\n");
	rc = ask(&slow_to_start, CO_SEC(10));
	surprises += surprise("42 from request 3", rc == 42 && slow_to_start.asked == 3);

	printf("A server that never answers, a budget of 150 ms:\n");
	start = co_now();
	rc = ask(&dead, CO_MS(150));
	surprises += surprise("given up when the budget was spent, not before",
			      rc == -ETIMEDOUT && co_now() - start >= CO_MS(150));

	printf("A stream of 30 chunks, an idle timeout of 100 ms:\n");
	rc = read_all(&stream, CO_MS(100));
	surprises += surprise("all 30, and the timeout 100 ms after the last one",
			      rc == -ETIMEDOUT && stream.got == 30 &&
			      co_now() - stream.last >= CO_MS(100));
	return surprises;
}

int main(void)
{
	struct co_options options = { .clock = CO_CLOCK_VIRTUAL };
	int surprises = 1;
	int rc = co_run(show, NULL, &options, &surprises);

	return rc < 0 || surprises != 0;
}
