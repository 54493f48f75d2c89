/*
 * The server: it accepts; and its life: not open, open, closing until its last
 * connection has ended, not open again. What to listen on is listen.c's.
 *
 * When accept has no descriptor left, the listening socket stays readable and
 * a loop that asked again would spin. The server rests instead: it is woken
 * when a connection of its loop ends, and looks by itself from time to time.
 */
#include "config.h"

#include "net/server_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/loop.h>

#include "net/address_priv.h"
#include "net/socket_priv.h"

#define ACCEPT_BATCH 64 /* a turn of the loop */
#define REST_MS	     250

enum {
	DUE_LISTENING = 1 << 0,
	DUE_ERROR = 1 << 1,
	DUE_WAKE = 1 << 2,
	DUE_CLOSE = 1 << 3,
	DUE_LOOK = 1 << 4, /* at what was asked */
	DUE_LAST = 1 << 5, /* accept those that wait, and close */
};

static const struct weir_server_handlers silent = {0};

#define tell(server, handler, ...)                                             \
	do {                                                                   \
		if ((server)->handlers->handler != NULL)                       \
			(server)->handlers->handler(                           \
			    (server)__VA_ARGS__, (server)->user);              \
	} while (0)

static void
unpin(struct weir_server *server)
{
	if (--server->depth > 0 || !server->doomed)
		return;
	weir__count_free(server->count);
	free(server);
}

/* What is due is told, also of one that does not hold the loop. */
static void
hold(struct weir_server *server, bool on)
{
	on = on && (!server->unref || server->due != 0);
	if (on == server->held)
		return;
	server->held = on;
	if (on)
		weir__loop_hold(server->loop);
	else
		weir__loop_release(server->loop);
}

static void
defer(struct weir_server *server, unsigned due)
{
	server->due |= due;
	hold(server, true);
	weir__loop_defer(server->loop, &server->task);
}

/* ---- accepting ---- */

/* Wait for connections, or do not. */
static void
update(struct weir_server *server)
{
	bool want = server->listening && !server->paused && !server->resting &&
		    !server->closing && server->fd != -1;

	if (server->fd == -1)
		return;
	if (want && event_add(&server->event, NULL) == -1)
		weir__server_fail(server, -ENOMEM);
	else if (!want)
		(void)event_del(&server->event);
}

static void
rest(struct weir_server *server, int err)
{
	static const struct timeval while_resting = {
	    .tv_usec = REST_MS * 1000,
	};

	if (!server->resting) {
		server->resting = true;
		weir__loop_rest(server->loop, server);
	}
	(void)event_add(&server->retry, &while_resting);
	update(server);
	if (!server->told_resting) {
		server->told_resting = true;
		tell(server, on_resting, , err);
	}
}

static void
stop_resting(struct weir_server *server)
{
	if (!server->resting)
		return;
	server->resting = false;
	weir__loop_unrest(server->loop, server);
	(void)event_del(&server->retry);
	update(server);
}

/* Look at once, also where nobody waits: only accept tells whether it works
 * again. */
void
weir__server_wake(struct weir_server *server)
{
	stop_resting(server);
	defer(server, DUE_WAKE);
}

static void
on_retry(evutil_socket_t fd, short what, void *user)
{
	(void)fd;
	(void)what;
	weir__server_wake(user);
}

static void
drop(struct weir_server *server, int fd)
{
	struct weir_address local, remote;

	(void)weir__ask_address(getsockname, fd, &local);
	(void)weir__ask_address(getpeername, fd, &remote);
	(void)close(fd);
	tell(server, on_drop, , &local, &remote);
}

struct weir_server *
weir__server_of(const struct weir_socket *socket)
{
	return socket->accepted ? socket->origin->server : NULL;
}

static void
origin_unref(struct weir__origin *origin)
{
	if (--origin->refs == 0)
		free(origin);
}

void
weir__origin_leave(struct weir_socket *socket)
{
	if (!socket->accepted)
		return;
	origin_unref(socket->origin);
	socket->accepted = false;
	socket->connect = NULL;
}

static int
make_origin(struct weir_server *server)
{
	if (server->origin != NULL)
		return 0;
	server->origin = malloc(sizeof(*server->origin));
	if (server->origin == NULL)
		return -ENOMEM;
	*server->origin = (struct weir__origin){.server = server, .refs = 1};
	return 0;
}

static int
hand_over(struct weir_server *server, int fd, const struct sockaddr_in6 *remote)
{
	struct weir_socket *socket;
	int err;

	if (server->max_connections >= 0 &&
	    server->connections >= (size_t)server->max_connections) {
		drop(server, fd);
		return 0;
	}
	err = make_origin(server);
	if (err == 0)
		err = weir__socket_accepted(
		    &socket, server, server->origin, fd, remote);
	if (err != 0) {
		(void)close(fd);
		return err;
	}
	server->connections++;
	weir__count_add(server->count, 1);
	weir__pin(socket);
	/* First of all, so that nothing can be written past TLS. */
	if (server->tls != NULL &&
	    (err = weir__tls_accept(socket, server->tls, &server->secure)) != 0)
		weir_socket_destroy(socket, err);
	server->handlers->on_connection(server, socket, server->user);
	weir__socket_unwrap(socket);
	weir__unpin(socket);
	return 0;
}

/* What accept says of the server itself, not of one connection. */
static bool
is_shortage(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM ||
	       err == -ENOBUFS;
}

static bool
is_broken(int err)
{
	return err == -EBADF || err == -EINVAL || err == -ENOTSOCK ||
	       err == -EOPNOTSUPP;
}

static void
accepting_again(struct weir_server *server)
{
	if (!server->told_resting)
		return;
	server->told_resting = false;
	tell(server, on_accepting);
}

/* Up to so many of those that wait, less which are told in *left; how accept
 * ended it. */
static int
accept_some(struct weir_server *server, int *left)
{
	struct sockaddr_in6 remote;
	socklen_t length;
	int fd = server->fd, err = 0, new;

	for (; *left > 0 && server->fd == fd &&
	       (!server->paused || server->closing);
	     --*left) {
		remote.sin6_family = AF_UNSPEC;
		length = sizeof(remote); /* a unix one is cut, and not kept */
		new = accept4(fd, (struct sockaddr *)&remote, &length,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		err = new == -1 ? -errno : hand_over(server, new, &remote);
		if (err == -EAGAIN || is_shortage(err) || is_broken(err))
			break;
		/* Anything else is one connection's bad luck. */
	}
	return err;
}

static void
on_readable(evutil_socket_t fd, short what, void *user)
{
	struct weir_server *server = user;
	int left = server->told_resting ? ACCEPT_BATCH : server->batch, err;

	(void)what;
	server->depth++;
	/* Most often one waits, and a second look would be in vain; when more
	 * do, more are taken a turn. */
	err = accept_some(server, &left);
	server->batch = err == -EAGAIN ? 1 : server->batch * 2;
	if (server->batch > ACCEPT_BATCH)
		server->batch = ACCEPT_BATCH;
	if (server->fd == fd && is_shortage(err))
		rest(server, err);
	else if (server->fd == fd && is_broken(err))
		weir__server_fail(server, err);
	else if (server->fd == fd && err == -EAGAIN)
		accepting_again(server);
	unpin(server);
}

void
weir_server_pause(struct weir_server *server)
{
	if (server == NULL)
		return;
	server->paused = true;
	update(server);
}

void
weir_server_resume(struct weir_server *server)
{
	if (server == NULL)
		return;
	server->paused = false;
	update(server);
}

/* ---- TLS ---- */

static void
forget_tls(struct weir_server *server)
{
	weir_tls_context_unref(server->tls);
	server->tls = NULL;
	free((void *)(uintptr_t)server->secure.alpn);
	server->secure.alpn = NULL;
}

int
weir_server_set_tls(struct weir_server *server,
    struct weir_tls_context *context, const struct weir_secure_options *options)
{
	struct weir_secure_options secure = {0};

	if (server == NULL || server->doomed)
		return -EINVAL;
	if (context != NULL && !weir_tls_context_is_server(context))
		return -EINVAL;
	if (options != NULL) {
		secure.handshake_timeout_ms = options->handshake_timeout_ms;
		secure.allow_truncation = options->allow_truncation;
	}
	if (options != NULL && options->alpn != NULL) {
		secure.alpn = strdup(options->alpn);
		if (secure.alpn == NULL)
			return -ENOMEM;
	}
	(void)weir_tls_context_ref(context);
	forget_tls(server);
	server->tls = context;
	server->secure = secure;
	return 0;
}

void
weir__server_tls_done(struct weir_server *server, struct weir_socket *socket)
{
	server->depth++;
	tell(server, on_secure_connection, , socket);
	unpin(server);
}

void
weir__server_tls_failed(
    struct weir_server *server, struct weir_socket *socket, int err)
{
	server->depth++;
	tell(server, on_tls_client_error, , socket, err);
	unpin(server);
}

/* ---- closing ---- */

static void
shut(struct weir_server *server)
{
	stop_resting(server);
	server->told_resting = server->closing = false;
	server->listening = false;
	weir__listen_forget_name(server);
	if (server->fd == -1)
		return;
	(void)event_del(&server->event);
	weir__listen_remove_path(server);
	(void)close(server->fd);
	server->fd = -1;
	weir__loop_fd_closed(server->loop);
}

void
weir__server_fail(struct weir_server *server, int err)
{
	shut(server);
	server->error = err;
	defer(server, DUE_ERROR | DUE_CLOSE);
}

static void
tell_closed(struct weir_server *server)
{
	if (!server->open || server->fd != -1 || !weir__server_drained(server))
		return;
	server->open = false;
	hold(server, false);
	weir__server_asks_due(server); /* those of the next listen are not */
	tell(server, on_close);
	weir__server_answer(server);
}

/* No more than the queue holds: whoever comes faster than they are accepted
 * does not keep it open. */
static void
accept_last(struct weir_server *server)
{
	int most = server->left < ACCEPT_BATCH ? server->left : ACCEPT_BATCH;
	int left = most, err = accept_some(server, &left);

	server->left -= most - left;
	if (server->doomed || server->fd == -1 || !server->closing)
		return;
	if (is_shortage(err))
		rest(server, err);
	else if (err == -EAGAIN || is_broken(err) || server->left == 0)
		(void)weir_server_close(server);
	else
		defer(server, DUE_LAST);
}

static void
run_task(struct weir__task *task)
{
	struct weir_server *server =
	    weir__container_of(task, struct weir_server, task);
	unsigned due = server->due;

	server->due = 0;
	server->depth++;
	if (due & DUE_LISTENING && server->fd != -1) {
		server->listening = true;
		tell(server, on_listening);
		update(server);
	}
	if (due & DUE_WAKE && server->listening && !server->paused &&
	    !server->closing)
		on_readable(server->fd, EV_READ, server);
	if (due & (DUE_LAST | DUE_WAKE) && server->closing)
		accept_last(server);
	if (due & DUE_ERROR)
		tell(server, on_error, , server->error);
	if (due & DUE_CLOSE)
		tell_closed(server);
	if (due & DUE_LOOK)
		weir__server_answer(server);
	if (!server->doomed)
		hold(server, server->open || server->due != 0);
	unpin(server);
}

void
weir__server_look(struct weir_server *server)
{
	defer(server, DUE_LOOK);
}

static void
one_less(struct weir_server *server)
{
	if (server->open && server->fd == -1 && weir__server_drained(server))
		defer(server, DUE_CLOSE);
}

void
weir__server_socket_closed(struct weir_server *server)
{
	server->connections--;
	weir__count_add(server->count, -1);
	one_less(server);
}

void
weir__server_handed_over(struct weir_server *server, struct weir_socket *socket)
{
	weir__origin_leave(socket);
	server->connections--; /* but for all processes it is still there */
}

void
weir__server_handed_ended(struct weir_server *server)
{
	weir__count_add(server->count, -1);
	one_less(server);
}

int
weir_server_close(struct weir_server *server)
{
	if (server == NULL)
		return -EINVAL;
	if (server->fd == -1 && server->naming == NULL)
		return WEIR_E_SERVER_NOT_RUNNING;
	shut(server);
	defer(server, DUE_CLOSE);
	return 0;
}

int
weir_server_close_soon(struct weir_server *server)
{
	if (server == NULL)
		return -EINVAL;
	if (server->fd == -1 || !server->listening)
		return weir_server_close(server);
	if (server->closing)
		return 0;
	server->closing = true;
	server->left =
	    server->listen.backlog > 0 ? server->listen.backlog : WEIR_BACKLOG;
	update(server);
	defer(server, DUE_LAST);
	return 0;
}

/* Its connections live on without it. */
static void
let_go(struct weir_server *server)
{
	struct weir__handed *handed;

	if (server->origin != NULL) {
		server->origin->server = NULL;
		origin_unref(server->origin);
		server->origin = NULL;
	}
	server->connections = 0;
	while ((handed = LIST_FIRST(&server->handed)) != NULL)
		weir__handed_free(handed);
}

void
weir_server_free(struct weir_server *server)
{
	if (server == NULL || server->doomed)
		return;
	server->depth++;
	server->doomed = true;
	server->handlers = &silent;
	forget_tls(server);
	shut(server);
	weir__loop_undefer(server->loop, &server->task);
	weir__loop_leave(server->loop, server);
	weir__server_forget_asks(server);
	hold(server, false);
	let_go(server);
	unpin(server);
}

/* Whether it listens or not, the child's object begins without connections;
 * what was to be told is told by both. */
void
weir__server_forked(struct weir_server *server)
{
	bool waited = server->open && server->fd == -1 &&
		      server->naming == NULL && (server->due & DUE_CLOSE) == 0;

	let_go(server);
	if (server->count != NULL)
		weir__count_forked(server->count);
	server->path[0] = '\0';
	if (server->exclusive && server->fd != -1) {
		shut(server);
		server->open = false;
		server->due &= (unsigned)DUE_LOOK;
		hold(server, false);
	} else if (waited) {
		defer(server, DUE_CLOSE);
	}
}

int
weir_server_new(struct weir_server **ret, struct weir_loop *loop,
    const struct weir_server_options *options,
    const struct weir_server_handlers *handlers, void *user)
{
	struct weir_server *server;

	if (ret == NULL || loop == NULL || handlers == NULL ||
	    handlers->on_connection == NULL)
		return -EINVAL;
	server = calloc(1, sizeof(*server));
	if (server == NULL)
		return -ENOMEM;
	server->loop = loop;
	server->handlers = handlers;
	server->user = user;
	if (options != NULL)
		server->options = *options;
	server->fd = -1;
	server->task.fn = run_task;
	server->max_connections = -1;
	server->batch = 1;
	LIST_INIT(&server->handed);
	STAILQ_INIT(&server->asks);
	weir__loop_enter(loop, server);
	(void)evtimer_assign(
	    &server->retry, weir_loop_base(loop), on_retry, server);
	*ret = server;
	return 0;
}

/* ---- opening: listen.c has the descriptor ---- */

int
weir__server_begin(
    struct weir_server *server, int fd, const struct weir_listen_options *o)
{
	struct weir__count *count = weir__count_new();

	if (count == NULL)
		return -ENOMEM;
	/* The count of the listen before this one goes on in the processes
	 * that share that. */
	weir__count_free(server->count);
	server->count = count;
	if (listen(fd, o->backlog > 0 ? o->backlog : WEIR_BACKLOG) == -1)
		return -errno;
	server->fd = fd;
	server->exclusive = o->exclusive;
	server->closing = false;
	server->listen = *o;
	server->listen.interface = NULL;
	(void)snprintf(server->interface, sizeof(server->interface), "%s",
	    o->interface != NULL ? o->interface : "");
	if (event_assign(&server->event, weir_loop_base(server->loop), fd,
		EV_READ | EV_PERSIST, on_readable, server) == -1) {
		server->fd = -1;
		return -ENOMEM;
	}
	defer(server, DUE_LISTENING);
	return 0;
}

void
weir__server_opened(struct weir_server *server, int err)
{
	server->open = true;
	hold(server, true);
	if (err != 0)
		weir__server_fail(server, err);
}

/* ---- holding the loop ---- */

void
weir_server_ref(struct weir_server *server)
{
	if (server == NULL)
		return;
	server->unref = false;
	hold(server, server->open);
}

void
weir_server_unref(struct weir_server *server)
{
	if (server == NULL)
		return;
	server->unref = true;
	hold(server, server->open);
}
