/*
 * The server: bind, listen, accept; and its life: not open, open, closing
 * until its last connection has ended, not open again.
 *
 * When accept has no descriptor left, the listening socket stays readable and
 * a loop that asked again would spin. The server rests instead: it is woken
 * when a connection of its loop ends, and looks by itself from time to time.
 */
#include "config.h"

#include "net/server_priv.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/resolve.h>

#include "net/socket_priv.h"

#define ACCEPT_BATCH 64 /* a turn of the loop */
#define REST_MS	     250

enum {
	DUE_LISTENING = 1 << 0,
	DUE_ERROR = 1 << 1,
	DUE_WAKE = 1 << 2,
	DUE_CLOSE = 1 << 3,
	DUE_LOOK = 1 << 4, /* at what was asked */
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

static void fail(struct weir_server *server, int err);

/* Wait for connections, or do not. */
static void
update(struct weir_server *server)
{
	bool want = server->listening && !server->paused && !server->resting &&
		    server->fd != -1;

	if (server->fd == -1)
		return;
	if (want && event_add(&server->event, NULL) == -1)
		fail(server, -ENOMEM);
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
	struct weir_address local = {0}, remote = {0};

	local.length = remote.length = sizeof(local.u);
	if (getsockname(fd, &local.u.sa, &local.length) == -1)
		local.length = 0;
	if (getpeername(fd, &remote.u.sa, &remote.length) == -1)
		remote.length = 0;
	(void)close(fd);
	tell(server, on_drop, , &local, &remote);
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
	err = weir__socket_accepted(&socket, server, fd);
	if (err != 0) {
		(void)close(fd);
		return err;
	}
	if (remote->sin6_family == AF_INET || remote->sin6_family == AF_INET6)
		socket->remote = *remote;
	server->connections++;
	weir__count_add(server->count, 1);
	TAILQ_INSERT_TAIL(&server->sockets, socket, server_next);
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

static void
on_readable(evutil_socket_t fd, short what, void *user)
{
	struct weir_server *server = user;
	struct sockaddr_in6 remote;
	socklen_t length;
	int batch = server->told_resting ? ACCEPT_BATCH : server->batch;
	int i, err = 0, new;

	(void)what;
	server->depth++;
	/* Most often one waits, and a second look would be in vain; when more
	 * do, more are taken a turn. */
	for (i = 0; i < batch && server->fd == fd && !server->paused; i++) {
		remote.sin6_family = AF_UNSPEC;
		length = sizeof(remote); /* a unix one is cut, and not kept */
		new = accept4(fd, (struct sockaddr *)&remote, &length,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		err = new == -1 ? -errno : hand_over(server, new, &remote);
		if (err == -EAGAIN || is_shortage(err) || is_broken(err))
			break;
		/* Anything else is one connection's bad luck. */
	}
	server->batch = err == -EAGAIN ? 1 : server->batch * 2;
	if (server->batch > ACCEPT_BATCH)
		server->batch = ACCEPT_BATCH;
	if (server->fd == fd && is_shortage(err))
		rest(server, err);
	else if (server->fd == fd && is_broken(err))
		fail(server, err);
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

/* Our own socket file, and no other that has come in its place. */
static void
remove_path(struct weir_server *server)
{
	struct stat st;

	if (server->path[0] == '\0')
		return;
	if (lstat(server->path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    st.st_dev == server->path_device && st.st_ino == server->path_inode)
		(void)unlink(server->path);
	server->path[0] = '\0';
}

static void forget_name(struct weir_server *server);

static void
shut(struct weir_server *server)
{
	stop_resting(server);
	server->told_resting = false;
	server->listening = false;
	forget_name(server);
	if (server->fd == -1)
		return;
	(void)event_del(&server->event);
	remove_path(server);
	(void)close(server->fd);
	server->fd = -1;
	weir__loop_fd_closed(server->loop);
}

static void
fail(struct weir_server *server, int err)
{
	shut(server);
	server->error = err;
	server->due &= ~(unsigned)DUE_LISTENING;
	defer(server, DUE_ERROR | DUE_CLOSE);
}

static void
tell_closed(struct weir_server *server)
{
	if (!server->open || server->fd != -1 || !weir__server_drained(server))
		return;
	server->open = false;
	hold(server, false);
	tell(server, on_close);
	weir__server_answer(server, true);
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
	if (due & DUE_WAKE && server->listening && !server->paused)
		on_readable(server->fd, EV_READ, server);
	if (due & DUE_ERROR)
		tell(server, on_error, , server->error);
	if (due & DUE_CLOSE)
		tell_closed(server);
	if (due & DUE_LOOK) /* who closes what was not open need not wait */
		weir__server_answer(server, !server->open);
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
	if (server->open && server->fd == -1 && server->naming == NULL &&
	    weir__server_drained(server))
		defer(server, DUE_CLOSE);
}

void
weir__server_socket_closed(
    struct weir_server *server, struct weir_socket *socket)
{
	TAILQ_REMOVE(&server->sockets, socket, server_next);
	server->connections--;
	weir__count_add(server->count, -1);
	one_less(server);
}

void
weir__server_handed_over(struct weir_server *server, struct weir_socket *socket)
{
	TAILQ_REMOVE(&server->sockets, socket, server_next);
	socket->server = NULL;
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
	server->due &= ~(unsigned)DUE_LISTENING;
	defer(server, DUE_CLOSE);
	return 0;
}

/* Its connections live on without it. */
static void
let_go(struct weir_server *server)
{
	struct weir_socket *socket;
	struct weir__handed *handed;

	while ((socket = TAILQ_FIRST(&server->sockets)) != NULL) {
		TAILQ_REMOVE(&server->sockets, socket, server_next);
		socket->server = NULL;
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
	TAILQ_INIT(&server->sockets);
	LIST_INIT(&server->handed);
	STAILQ_INIT(&server->asks);
	weir__loop_enter(loop, server);
	(void)evtimer_assign(
	    &server->retry, weir_loop_base(loop), on_retry, server);
	*ret = server;
	return 0;
}

/* ---- listening ---- */

static int
set_flag(int fd, int level, int name, bool on)
{
	int value = 1;

	if (on && setsockopt(fd, level, name, &value, sizeof(value)) == -1)
		return -errno;
	return 0;
}

static int
set_number(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)) == -1)
		return -errno;
	return 0;
}

/* What connections inherit is set once, on the listening socket. */
static void
tune(const struct weir_server *server, int fd)
{
	const struct weir_server_options *s = &server->options;
	const struct weir__tuning tuning = {
	    .no_delay_set = s->no_delay,
	    .no_delay = s->no_delay,
	    .keep_alive_set = s->keep_alive,
	    .keep_alive = s->keep_alive,
	    .initial_delay_ms = s->keep_alive_initial_delay_ms,
	    .interval_ms = s->keep_alive_interval_ms,
	    .count = s->keep_alive_count,
	    .user_timeout_ms = s->user_timeout_ms,
	};

	weir__tuning_apply(fd, &tuning);
}

static int
set_options(const struct weir_server *server, int fd, int family,
    const struct weir_listen_options *o)
{
	bool six = family == AF_INET6;
	int err = 0, queue = o->backlog > 0 ? o->backlog : WEIR_BACKLOG;

	if (family == AF_UNIX)
		return 0;
	tune(server, fd);
	err = set_flag(fd, SOL_SOCKET, SO_REUSEADDR, true);
	if (err == 0 && six)
		err = set_number(fd, IPPROTO_IPV6, IPV6_V6ONLY, o->ipv6_only);
	if (err == 0)
		err = set_flag(fd, SOL_SOCKET, SO_REUSEPORT, o->reuse_port);
	if (err == 0)
		err = set_flag(fd, six ? IPPROTO_IPV6 : IPPROTO_IP,
		    six ? IPV6_TRANSPARENT : IP_TRANSPARENT, o->transparent);
	if (err == 0)
		err = set_flag(fd, six ? IPPROTO_IPV6 : IPPROTO_IP,
		    six ? IPV6_FREEBIND : IP_FREEBIND, o->freebind);
	if (err == 0 && o->fast_open)
		err = set_number(fd, IPPROTO_TCP, TCP_FASTOPEN, queue);
	if (err == 0)
		err = set_flag(
		    fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, o->defer_accept);
	if (err == 0 && o->mark != 0)
		err = set_number(fd, SOL_SOCKET, SO_MARK, (int)o->mark);
	if (err == 0 && o->interface != NULL &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, o->interface,
		(socklen_t)strlen(o->interface)) == -1)
		err = -errno;
	return err;
}

/*
 * Whether somebody answers on a socket file. One that nobody does refuses;
 * one whose queue is full says EAGAIN, and is very much alive.
 */
static int
remove_stale(const struct weir_address *address)
{
	struct stat st;
	int fd, r;

	if (lstat(address->u.un.sun_path, &st) == -1)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return WEIR_E_NOT_A_SOCKET_FILE;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -errno;
	r = connect(fd, &address->u.sa, address->length) == -1 ? errno : 0;
	(void)close(fd);
	if (r != ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(address->u.un.sun_path) == -1 ? -errno : 0;
}

static bool
is_path(const struct weir_address *address)
{
	return address->u.sa.sa_family == AF_UNIX &&
	       address->u.un.sun_path[0] != '\0';
}

static int
bind_address(int fd, const struct weir_address *address,
    const struct weir_listen_options *o)
{
	int err;

	if (bind(fd, &address->u.sa, address->length) == 0)
		return 0;
	err = -errno;
	if (err != -EADDRINUSE || !o->replace_stale || !is_path(address))
		return err;
	err = remove_stale(address);
	if (err != 0)
		return err;
	return bind(fd, &address->u.sa, address->length) == 0 ? 0 : -errno;
}

/* Who may connect is settled before anyone can: the socket is bound but does
 * not listen yet, and refuses. */
static int
claim_path(struct weir_server *server, const struct weir_address *address,
    const struct weir_listen_options *o)
{
	const char *path = address->u.un.sun_path;
	struct stat st;

	if (lstat(path, &st) == -1)
		return -errno;
	memcpy(server->path, path, sizeof(server->path));
	server->path[sizeof(server->path) - 1] = '\0';
	server->path_device = st.st_dev;
	server->path_inode = st.st_ino;
	if ((o->set_uid || o->set_gid) &&
	    lchown(path, o->set_uid ? o->uid : (uid_t)-1,
		o->set_gid ? o->gid : (gid_t)-1) == -1)
		return -errno;
	if (o->set_mode && chmod(path, o->mode) == -1)
		return -errno;
	return 0;
}

static int
begin(struct weir_server *server, int fd, const struct weir_listen_options *o)
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
	if (event_assign(&server->event, weir_loop_base(server->loop), fd,
		EV_READ | EV_PERSIST, on_readable, server) == -1) {
		server->fd = -1;
		return -ENOMEM;
	}
	defer(server, DUE_LISTENING);
	return 0;
}

static int
open_address(struct weir_server *server, const struct weir_address *address,
    const struct weir_listen_options *o)
{
	int family = address->u.sa.sa_family, err;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return -errno;
	err = set_options(server, fd, family, o);
	if (err == 0)
		err = bind_address(fd, address, o);
	if (err == 0 && is_path(address))
		err = claim_path(server, address, o);
	if (err == 0)
		err = begin(server, fd, o);
	if (err != 0) {
		remove_path(server);
		(void)close(fd);
	}
	return err;
}

/* What every listen call begins with. */
static int
prepare(struct weir_server *server)
{
	if (server == NULL || server->doomed)
		return -EINVAL;
	if (server->open)
		return WEIR_E_SERVER_ALREADY_LISTEN;
	return 0;
}

static void
opened(struct weir_server *server, int err)
{
	server->open = true;
	hold(server, true);
	if (err != 0)
		fail(server, err);
}

static const struct weir_listen_options defaults = {0};

int
weir_server_listen(struct weir_server *server,
    const struct weir_address *address,
    const struct weir_listen_options *options)
{
	int err = prepare(server);

	if (err != 0)
		return err;
	if (address == NULL || address->length == 0)
		return -EINVAL;
	opened(server, open_address(server, address,
			   options != NULL ? options : &defaults));
	return 0;
}

int
weir_server_listen_any(struct weir_server *server, uint16_t port,
    const struct weir_listen_options *options)
{
	const struct weir_listen_options *o =
	    options != NULL ? options : &defaults;
	struct weir_address any;
	int err = prepare(server);

	if (err != 0)
		return err;
	(void)weir_address_set_ip(&any, "::", port);
	err = open_address(server, &any, o);
	if ((err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL) && !o->ipv6_only) {
		(void)weir_address_set_ip(&any, "0.0.0.0", port);
		err = open_address(server, &any, o);
	}
	opened(server, err);
	return 0;
}

/* ---- listening on a name ---- */

struct weir__naming {
	struct weir_server *server;
	struct weir_lookup *lookup;
	struct weir_listen_options options;
	char interface[IF_NAMESIZE];
};

static void
forget_name(struct weir_server *server)
{
	if (server->naming == NULL)
		return;
	weir_resolve_cancel(server->naming->lookup);
	free(server->naming);
	server->naming = NULL;
}

static void
on_named(
    int err, const struct weir_address *addresses, size_t count, void *user)
{
	struct weir_server *server = user;
	struct weir__naming *n = server->naming;

	(void)count;
	n->lookup = NULL;
	if (err == 0)
		err = open_address(server, &addresses[0], &n->options);
	forget_name(server);
	if (err != 0)
		fail(server, err);
}

static int
look_up(struct weir_server *server, const char *host, uint16_t port,
    const struct weir_listen_options *o)
{
	struct weir__naming *n = calloc(1, sizeof(*n));
	int err;

	if (n == NULL)
		return -ENOMEM;
	n->server = server;
	n->options = *o;
	if (o->interface != NULL) {
		if (strlen(o->interface) >= sizeof(n->interface)) {
			free(n);
			return -EINVAL;
		}
		memcpy(n->interface, o->interface, strlen(o->interface) + 1);
		n->options.interface = n->interface;
	}
	err = weir_resolve(
	    &n->lookup, server->loop, host, port, 0, on_named, server);
	if (err != 0) {
		free(n);
		return err;
	}
	server->naming = n;
	opened(server, 0);
	return 0;
}

int
weir_server_listen_host(struct weir_server *server, const char *host,
    uint16_t port, const struct weir_listen_options *options)
{
	struct weir_address address;
	int err = prepare(server);

	if (err != 0)
		return err;
	if (host == NULL || *host == '\0')
		return weir_server_listen_any(server, port, options);
	if (weir_address_set_ip(&address, host, port) == 0)
		return weir_server_listen(server, &address, options);
	return look_up(
	    server, host, port, options != NULL ? options : &defaults);
}

/* ---- listening on a handle ---- */

/* An inherited descriptor: a stream socket, bound, not connected. */
static int
check_fd(int fd, struct weir_address *bound)
{
	struct sockaddr_storage peer;
	socklen_t length;
	int type;

	length = sizeof(type);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == -1)
		return errno == ENOTSOCK ? WEIR_E_NOT_A_STREAM : -errno;
	if (type != SOCK_STREAM)
		return WEIR_E_NOT_A_STREAM;
	length = sizeof(peer);
	if (getpeername(fd, (struct sockaddr *)&peer, &length) == 0)
		return -EISCONN;
	bound->length = sizeof(bound->u);
	if (getsockname(fd, &bound->u.sa, &bound->length) == -1)
		return -errno;
	if (bound->u.sa.sa_family == AF_INET && bound->u.in.sin_port == 0)
		return -EINVAL;
	if (bound->u.sa.sa_family == AF_INET6 && bound->u.in6.sin6_port == 0)
		return -EINVAL;
	if (bound->length <= offsetof(struct sockaddr_un, sun_path) &&
	    bound->u.sa.sa_family == AF_UNIX)
		return -EINVAL;
	return 0;
}

static int
open_fd(struct weir_server *server, int fd, const struct weir_listen_options *o)
{
	struct weir_address bound;
	int flags = fcntl(fd, F_GETFL), err;

	if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
		return -errno;
	err = check_fd(fd, &bound);
	if (err != 0)
		return err;
	/* Its options are its maker's; what connections inherit is ours. */
	if (bound.u.sa.sa_family != AF_UNIX)
		tune(server, fd);
	return begin(server, fd, o);
}

int
weir_server_listen_fd(struct weir_server *server, int fd,
    const struct weir_listen_options *options)
{
	int err = prepare(server);

	if (err != 0)
		return err;
	if (fd < 0)
		return -EINVAL;
	err = open_fd(server, fd, options != NULL ? options : &defaults);
	if (err != 0 && err != -EBADF)
		(void)close(fd);
	opened(server, err);
	return 0;
}

static int
listen_copy(struct weir_server *server, int fd,
    const struct weir_listen_options *options)
{
	int copy, err = prepare(server);

	if (err != 0)
		return err;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy == -1)
		return -errno;
	return weir_server_listen_fd(server, copy, options);
}

int
weir_server_listen_server(struct weir_server *server,
    const struct weir_server *other, const struct weir_listen_options *options)
{
	if (server == NULL || other == NULL || other->doomed)
		return -EINVAL;
	if (other->fd == -1)
		return WEIR_E_SERVER_NOT_RUNNING;
	return listen_copy(server, other->fd, options);
}

int
weir_server_listen_socket(struct weir_server *server,
    const struct weir_socket *socket, const struct weir_listen_options *options)
{
	if (server == NULL || socket == NULL || socket->doomed)
		return -EINVAL;
	if (socket->fd == -1)
		return WEIR_E_SOCKET_CLOSED;
	return listen_copy(server, socket->fd, options);
}

/* ---- questions ---- */

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
	ret->length = sizeof(ret->u);
	if (getsockname(server->fd, &ret->u.sa, &ret->length) == -1) {
		ret->length = 0;
		return -errno;
	}
	return 0;
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
