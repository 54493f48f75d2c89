/*
 * What a server listens on: an address, any address, a name once it has been
 * looked up, or a descriptor of somebody else's. Promises that a call which
 * fails leaves no descriptor and no socket file behind, and that no file is
 * removed but the server's own. Accepting, and what is told, is server.c's.
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
#include <weir/resolve.h>

#include "net/address_priv.h"
#include "net/socket_priv.h"

/* ---- listening on an address ---- */

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
void
weir__listen_tune(const struct weir_server *server, int fd)
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
	/* The system would cut it, and perhaps take another one. */
	if (o->interface != NULL && strlen(o->interface) >= IF_NAMESIZE)
		return -EINVAL;
	weir__listen_tune(server, fd);
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

/* Our own socket file, and no other that has come in its place. */
void
weir__listen_remove_path(struct weir_server *server)
{
	struct stat st;

	if (server->path[0] == '\0')
		return;
	if (lstat(server->path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    st.st_dev == server->path_device && st.st_ino == server->path_inode)
		(void)unlink(server->path);
	server->path[0] = '\0';
}

/* One that fills sun_path has no end there. */
static bool
has_end(const struct sockaddr_un *un)
{
	return memchr(un->sun_path, '\0', sizeof(un->sun_path)) != NULL;
}

int
weir__listen_own_path(
    struct weir_server *server, const struct weir_address *bound)
{
	const char *path = bound->u.un.sun_path;
	struct stat st;

	if (!has_end(&bound->u.un))
		return -ENAMETOOLONG;
	if (lstat(path, &st) == -1)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return WEIR_E_NOT_A_SOCKET_FILE;
	memcpy(server->path, path, sizeof(server->path));
	server->path_device = st.st_dev;
	server->path_inode = st.st_ino;
	return 0;
}

/* Who may connect is settled before anyone can: the socket is bound but does
 * not listen yet, and refuses. */
static int
claim_path(struct weir_server *server, const struct weir_address *address,
    const struct weir_listen_options *o)
{
	const char *path = address->u.un.sun_path;
	int err = weir__listen_own_path(server, address);

	if (err != 0)
		return err;
	if ((o->set_uid || o->set_gid) &&
	    lchown(path, o->set_uid ? o->uid : (uid_t)-1,
		o->set_gid ? o->gid : (gid_t)-1) == -1)
		return -errno;
	if (o->set_mode && chmod(path, o->mode) == -1)
		return -errno;
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
		err = weir__server_begin(server, fd, o);
	if (err != 0) {
		weir__listen_remove_path(server);
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

static const struct weir_listen_options defaults = {0};

int
weir_server_listen(struct weir_server *server,
    const struct weir_address *address,
    const struct weir_listen_options *options)
{
	int err = prepare(server);

	if (err != 0)
		return err;
	if (address == NULL || address->length == 0 ||
	    (is_path(address) && !has_end(&address->u.un)))
		return -EINVAL;
	weir__server_opened(server, open_address(server, address,
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
	weir__server_opened(server, err);
	return 0;
}

/* ---- listening on a name ---- */

struct weir__naming {
	struct weir_server *server;
	struct weir_lookup *lookup;
	struct weir_listen_options options;
	char interface[IF_NAMESIZE];
};

void
weir__listen_forget_name(struct weir_server *server)
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
	weir__listen_forget_name(server);
	if (err != 0)
		weir__server_fail(server, err);
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
	weir__server_opened(server, 0);
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
	int type, err;

	length = sizeof(type);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == -1)
		return errno == ENOTSOCK ? WEIR_E_NOT_A_STREAM : -errno;
	if (type != SOCK_STREAM)
		return WEIR_E_NOT_A_STREAM;
	length = sizeof(peer);
	if (getpeername(fd, (struct sockaddr *)&peer, &length) == 0)
		return -EISCONN;
	err = weir__ask_address(getsockname, fd, bound);
	if (err != 0)
		return err;
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
		weir__listen_tune(server, fd);
	return weir__server_begin(server, fd, o);
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
	weir__server_opened(server, err);
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
