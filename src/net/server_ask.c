/*
 * What is asked of a server. Answered at once: where and whether it listens,
 * its own connections. Answered later, from its task: how many connections it
 * has in all processes, and a close with a callback.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>

#include "net/address_priv.h"
#include "net/server_priv.h"

struct weir__ask {
	STAILQ_ENTRY(weir__ask) next; /* weir_server.asks */
	bool due;		      /* else on_close is waited for */
	int err;
	void (*on_closed)(struct weir_server *, int err, void *user);
	void (*on_counted)(
	    struct weir_server *, int err, size_t count, void *user);
	void *user;
};

/* An ask holds the loop until it is answered. */
static void
remove_ask(struct weir_server *server, struct weir__ask *ask)
{
	STAILQ_REMOVE(&server->asks, ask, weir__ask, next);
	weir__loop_release(server->loop);
	free(ask);
}

void
weir__server_forget_asks(struct weir_server *server)
{
	while (!STAILQ_EMPTY(&server->asks))
		remove_ask(server, STAILQ_FIRST(&server->asks));
}

static void
answer(struct weir_server *server, struct weir__ask *ask)
{
	const struct weir__ask a = *ask;
	size_t count;

	remove_ask(server, ask);
	if (a.on_closed != NULL) {
		a.on_closed(server, a.err, a.user);
		return;
	}
	count = server->count != NULL ? weir__count_total(server->count) : 0;
	a.on_counted(server, 0, count, a.user);
}

/* The first that can be answered. A handler may have freed the server, or
 * asked anew, so that nothing is kept across one. */
static struct weir__ask *
next_ask(struct weir_server *server)
{
	struct weir__ask *ask;

	STAILQ_FOREACH(ask, &server->asks, next)
	if (ask->due)
		return ask;
	return NULL;
}

void
weir__server_answer(struct weir_server *server)
{
	struct weir__ask *ask;

	while (!server->doomed && (ask = next_ask(server)) != NULL)
		answer(server, ask);
}

void
weir__server_asks_due(struct weir_server *server)
{
	struct weir__ask *ask;

	STAILQ_FOREACH(ask, &server->asks, next)
	ask->due = true;
}

static struct weir__ask *
new_ask(struct weir_server *server, void *user)
{
	struct weir__ask *ask = calloc(1, sizeof(*ask));

	if (ask == NULL)
		return NULL;
	ask->user = user;
	STAILQ_INSERT_TAIL(&server->asks, ask, next);
	weir__loop_hold(server->loop);
	weir__server_look(server);
	return ask;
}

int
weir_server_get_connections(struct weir_server *server,
    void (*fn)(struct weir_server *, int err, size_t count, void *user),
    void *user)
{
	struct weir__ask *ask;

	if (server == NULL || server->doomed || fn == NULL)
		return -EINVAL;
	ask = new_ask(server, user);
	if (ask == NULL)
		return -ENOMEM;
	ask->due = true;
	ask->on_counted = fn;
	return 0;
}

int
weir_server_close_cb(struct weir_server *server,
    void (*fn)(struct weir_server *, int err, void *user), void *user)
{
	struct weir__ask *ask;

	if (server == NULL || server->doomed || fn == NULL)
		return -EINVAL;
	ask = new_ask(server, user);
	if (ask == NULL)
		return -ENOMEM;
	ask->due = !server->open;
	ask->on_closed = fn;
	ask->err = weir_server_close(server);
	return 0;
}

/* ---- answered at once ---- */

bool
weir_server_listening(const struct weir_server *server)
{
	if (server == NULL)
		return false;
	return server->listening;
}

int
weir_server_address(const struct weir_server *server, struct weir_address *ret)
{
	if (server == NULL || ret == NULL)
		return -EINVAL;
	memset(ret, 0, sizeof(*ret));
	if (!server->listening)
		return WEIR_E_SERVER_NOT_RUNNING;
	return weir__ask_address(getsockname, server->fd, ret);
}

int
weir_server_fd(const struct weir_server *server)
{
	if (server == NULL)
		return -1;
	return server->fd;
}

size_t
weir_server_connections(const struct weir_server *server)
{
	if (server == NULL)
		return 0;
	return server->connections;
}

void
weir_server_set_max_connections(struct weir_server *server, long max)
{
	if (server == NULL)
		return;
	server->max_connections = max;
}
