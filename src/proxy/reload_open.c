/*
 * The new sockets of another configuration: bound and listening beside those
 * that are there, or given back. One whose port is taken by a socket that is
 * about to be closed comes beside it, by SO_REUSEPORT.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/server.h>

#include "proxy/proxy_priv.h"
#include "proxy/reload_priv.h"

/* ---- opening ---- */

static void
cannot_listen(struct reload_socket *s, int err)
{
	char text[WEIR_ADDRESS_TEXT];

	reload_mistake(s->item->reload, &s->config->origin,
	    "listen: cannot listen on %s: %s",
	    s->socket != NULL
		? listener_socket_text(s->socket, text, sizeof(text))
		: s->config->text,
	    weir_error_text(err));
}

/* Whether a socket that is about to be closed has the port of another. */
static bool
is_in_the_way(
    const struct listener_socket *socket, const struct listener_socket *of)
{
	uint16_t port =
	    of->address.length > 0 ? weir_address_port(&of->address) : of->port;
	uint16_t other = socket->address.length > 0
			     ? weir_address_port(&socket->address)
			     : socket->port;

	return socket->prepared == NULL && socket->fd == -1 && port != 0 &&
	       port == other && weir_server_listening(socket->server);
}

/*
 * *:80 becomes 127.0.0.1:80: the new socket is bound beside the old one, which
 * is let by SO_REUSEPORT for the time that both are there.
 */
static bool
make_way(struct proxy_reload *reload, const struct listener_socket *of)
{
	struct proxy *proxy = reload->proxy;
	struct weir_listen_options options;
	struct listener_socket *socket;
	bool any = false;
	size_t i;

	for (i = 0; i < proxy->listener_count; i++)
		STAILQ_FOREACH(socket, &proxy->listeners[i]->sockets, next)
		{
			if (!is_in_the_way(socket, of))
				continue;
			options = socket->bound.options;
			options.reuse_port = true;
			any = weir_server_set_listen_options(
				  socket->server, &options) == 0 ||
			      any;
		}
	reload->any_beside = reload->any_beside || any;
	return any;
}

static void
listen_on(struct reload_socket *s)
{
	struct listener_socket *socket = s->socket;
	int err;

	weir_server_free(socket->server);
	socket->server = NULL;
	err = listener_socket_make_server(socket, s->item->config);
	if (err != 0) {
		cannot_listen(s, err);
		return;
	}
	s->waiting = true;
	s->item->reload->waiting++;
	listener_socket_listen(socket, s->item->config);
}

bool
reload_socket_done(struct reload_socket *s, int err)
{
	struct proxy_reload *reload = s->item->reload;

	if (!s->waiting)
		return s->fresh;
	s->waiting = false;
	if (err == -EADDRINUSE && !s->socket->beside &&
	    make_way(reload, s->socket)) {
		s->socket->beside = true;
		listen_on(s);
	} else if (err != 0) {
		cannot_listen(s, err);
	}
	reload_one_done(reload);
	return true;
}

/* A copy of one of systemd's, so that giving up loses nothing. */
static int
copy_passed(struct reload_socket *s)
{
	const struct proxy_passed_fd *passed =
	    &s->item->reload->proxy->passed[s->passed];

	s->fd = fcntl(passed->fd, F_DUPFD_CLOEXEC, 3);
	return s->fd == -1 ? -errno : 0;
}

static void
open_socket(struct reload_socket *s)
{
	int err = 0;

	if (s->socket != NULL)
		return;
	if (s->passed >= 0)
		err = copy_passed(s);
	if (err == 0)
		err = listener_socket_new(&s->socket, s->item->listener,
		    s->config, s->address.length > 0 ? &s->address : NULL,
		    s->port, s->fd);
	if (err != 0) {
		cannot_listen(s, err);
		return;
	}
	s->fresh = true;
	s->socket->prepared = s;
	if (!s->item->listener->closed || s->fd != -1)
		listen_on(s);
	else if (listener_socket_make_server(s->socket, s->item->config) != 0)
		cannot_listen(s, -ENOMEM);
}

void
reload_open_sockets(struct proxy_reload *reload)
{
	struct reload_socket *s;
	size_t i;

	reload->waiting++;
	if (!proxy_is_worker(reload->proxy))
		reload_claim(reload);
	for (i = 0; i < reload->item_count && !reload->failed; i++)
		STAILQ_FOREACH(s, &reload->items[i].sockets, next)
	open_socket(s);
	reload_one_done(reload);
}

/* ---- giving back ---- */

static void
give_back(struct reload_socket *s)
{
	if (s->socket == NULL)
		return;
	s->socket->prepared = NULL;
	if (s->fresh)
		listener_socket_free(s->socket);
	else if (s->passed >= 0 && s->fd != -1)
		(void)close(s->fd);
}

/* Nobody comes beside any more. */
static void
stand_alone(struct proxy *proxy)
{
	struct listener_socket *socket;
	size_t i;

	for (i = 0; i < proxy->listener_count; i++)
		STAILQ_FOREACH(socket, &proxy->listeners[i]->sockets, next)
	if (weir_server_listening(socket->server))
		(void)weir_server_set_listen_options(
		    socket->server, &socket->bound.options);
}

void
reload_give_back_sockets(struct proxy_reload *reload)
{
	struct reload_socket *s;
	size_t i;

	for (i = 0; i < reload->item_count; i++)
		if (reload->items[i].reload != NULL)
			STAILQ_FOREACH(s, &reload->items[i].sockets, next)
	give_back(s);
	if (reload->any_beside)
		stand_alone(reload->proxy);
}
