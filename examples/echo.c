/* An echo server: a deadline for each connection that every byte moves, and a stop on SIGINT that
 * lets those who are being served finish.
 *
 *	cc echo.c $(pkg-config --cflags --libs whorl)
 *	./a.out 7007		serves that port of the loopback address until SIGINT
 *	./a.out			plays server and clients, to show both deadlines
 *
 * There are two scopes around the server. Cancelling the inner one ends the accepting; the
 * connections are children of a group outside of it, and end by themselves or by the deadline that
 * the outer one then gets. */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <whorl/co.h>

#define IDLE CO_MS(150)			/* a connection that is silent for so long is closed */
#define GRACE CO_MS(300)		/* for those that are open at the stop */

static co_scope accepting = CO_SCOPE_INIT;
static co_scope_ref stop_ref;

/* ---------------------------------------------------------------------------------- the server */

static int echo_until_silent(int fd, co_scope *idle)
{
	char buf[4096];
	ssize_t n;
	int rc;

	while ((n = co_read(fd, buf, sizeof(buf))) > 0) {
		rc = co_scope_rearm(idle, IDLE);
		if (rc == 0)
			rc = co_write_all(fd, buf, (size_t)n, NULL);
		if (rc < 0)
			return rc;
	}
	return (int)n;
}

static int serve_connection(void *arg)
{
	int fd = (int)(intptr_t)arg, rc;
	co_scope idle = CO_SCOPE_INIT;

	co_scope_begin(&idle, IDLE);
	rc = co_scope_end(&idle, echo_until_silent(fd, &idle));
	printf("server: a connection ends: %s\n", rc < 0 ? strerror(-rc) : "closed by the client");
	co_close(fd);
	return 0;
}

static int accept_all(int listener, co_group *connections)
{
	int fd, rc;

	while ((fd = co_accept(listener, NULL, NULL)) >= 0) {
		rc = co_spawn(connections, serve_connection, (void *)(intptr_t)fd, NULL);
		if (rc < 0)
			co_close(fd);
	}
	return fd;
}

static int serve(void *arg)
{
	int listener = (int)(intptr_t)arg, rc;
	co_scope all = CO_SCOPE_INIT;
	co_group connections;

	co_scope_begin(&all, CO_FOREVER);
	co_group_begin(&connections, CO_GROUP_COLLECT);
	co_scope_begin(&accepting, CO_FOREVER);
	stop_ref = co_scope_share(&accepting);
	rc = co_scope_end(&accepting, accept_all(listener, &connections));
	printf("server: stops: %s\n", rc < 0 ? strerror(-rc) : "asked to");
	co_close(listener);
	co_ignore(co_scope_rearm(&all, GRACE));
	rc = co_group_end(&connections, rc);
	return co_scope_end(&all, rc);
}

static void on_signal(int signo)
{
	(void)signo;
	co_ignore(co_scope_cancel_remote(stop_ref, 0));
}

static int listen_on(uint16_t port, struct sockaddr_in *addr)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), yes = 1;
	socklen_t len = sizeof(*addr);

	*addr = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port) };
	addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
	    bind(fd, (struct sockaddr *)addr, len) < 0 || listen(fd, 128) < 0 ||
	    getsockname(fd, (struct sockaddr *)addr, &len) < 0) {
		perror("listen");
		exit(1);
	}
	return fd;
}

/* --------------------------------------------------------------------------------- the clients */

struct client {
	struct sockaddr_in addr;
	int words;			/* it says so many, 60 ms apart, and then nothing */
	int echoed;
	ssize_t last;			/* 0: the server closed the connection */
};

static int talk(struct client *client, int fd)
{
	char word[5];
	int rc = co_connect(fd, (struct sockaddr *)&client->addr, sizeof(client->addr));

	for (int i = 0; rc == 0 && i < client->words; i++) {
		rc = co_write_all(fd, "whorl", sizeof(word), NULL);
		if (rc == 0)
			rc = co_read_full(fd, word, sizeof(word), NULL);
		client->echoed += rc == 0 && memcmp(word, "whorl", sizeof(word)) == 0;
		if (rc == 0)
			rc = co_sleep(CO_MS(60));
	}
	client->last = rc == 0 ? co_read(fd, word, sizeof(word)) : rc;
	return 0;
}

static int be_client(void *arg)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc;

	rc = talk(arg, fd);
	co_close(fd);
	return rc;
}

/* One client falls silent at once, one after eight words: longer than IDLE, for each word moves the
 * deadline. Both are closed by the server. Then the server is told to stop. */
static int play(void *arg)
{
	struct client mute = { .words = 0 }, talker = { .words = 8 };
	co_group cast;
	co_ref a, b;
	int rc;

	mute.addr = talker.addr = *(struct sockaddr_in *)arg;
	co_group_begin(&cast, CO_GROUP_FAIL_FAST);
	rc = co_spawn(&cast, be_client, &mute, &a);
	if (rc == 0)
		rc = co_spawn(&cast, be_client, &talker, &b);
	if (rc == 0)
		rc = co_join(a, NULL);
	if (rc == 0)
		rc = co_join(b, NULL);
	raise(SIGINT);
	rc = co_group_end(&cast, rc);
	printf("client: %d of 8 words came back\n", talker.echoed);
	return rc < 0 ? rc : talker.echoed != 8 || talker.last != 0 || mute.last != 0;
}

static int act(void *arg)
{
	struct sockaddr_in addr;
	int listener = listen_on(0, &addr);
	co_fn *const parts[] = { serve, play };
	void *const args[] = { (void *)(intptr_t)listener, &addr };
	int exits[2], rc = co_gather(2, parts, args, exits);

	(void)arg;
	return rc < 0 ? rc : exits[1];
}

int main(int argc, char **argv)
{
	struct sockaddr_in addr;
	int code = 1, fd, rc;

	signal(SIGINT, on_signal);
	if (argc > 1) {
		fd = listen_on((uint16_t)atoi(argv[1]), &addr);
		rc = co_run(serve, (void *)(intptr_t)fd, NULL, &code);
	} else {
		rc = co_run(act, NULL, NULL, &code);
	}
	if (rc < 0 || code != 0)
		fprintf(stderr, "echo: %s\n", strerror(rc < 0 ? -rc : code < 0 ? -code : EIO));
	return rc < 0 || code != 0;
}
