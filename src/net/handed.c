/*
 * Connections in other hands. A server goes on counting a connection that was
 * handed to another process until it has ended there. How it learns that: a
 * pipe, whose one end goes along with the connection and is closed with it, by
 * whatever way, the end of that process included.
 */
#include "config.h"

#include "net/handed_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "net/loop_priv.h"
#include "net/server_priv.h"

struct weir__handed {
	struct weir_server *server;
	int fd;
	struct event event;
	LIST_ENTRY(weir__handed) next; /* weir_server.handed */
};

struct weir__token *
weir__token_new(struct weir_loop *loop, int fd)
{
	struct weir__token *token = malloc(sizeof(*token));

	if (token == NULL)
		return NULL;
	token->fd = fd;
	weir__loop_enter_token(loop, token);
	return token;
}

void
weir__token_free(struct weir__token *token)
{
	if (token == NULL)
		return;
	LIST_REMOVE(token, next);
	if (token->fd != -1)
		(void)close(token->fd);
	free(token);
}

void
weir__handed_free(struct weir__handed *h)
{
	LIST_REMOVE(h, next);
	(void)event_del(&h->event);
	(void)close(h->fd);
	free(h);
}

/* Nothing is ever written: all copies of the other end are closed. */
static void
on_ended(evutil_socket_t fd, short what, void *user)
{
	struct weir__handed *h = user;
	struct weir_server *server = h->server;

	(void)fd;
	(void)what;
	weir__handed_free(h);
	weir__server_handed_ended(server);
}

struct weir__handed *
weir__handed_new(struct weir_server *server, int *fd)
{
	struct weir__handed *h = malloc(sizeof(*h));
	int fds[2];

	if (h == NULL || pipe2(fds, O_CLOEXEC | O_NONBLOCK) == -1) {
		free(h);
		return NULL;
	}
	h->server = server;
	h->fd = fds[0];
	LIST_INSERT_HEAD(&server->handed, h, next);
	if (event_assign(&h->event, weir_loop_base(server->loop), h->fd,
		EV_READ, on_ended, h) == -1 ||
	    event_add(&h->event, NULL) == -1) {
		weir__handed_free(h);
		(void)close(fds[1]);
		errno = ENOMEM;
		return NULL;
	}
	*fd = fds[1];
	return h;
}
