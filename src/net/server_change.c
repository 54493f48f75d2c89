/*
 * What changes about a server while it listens: what those who come from now
 * on start with, and the options of its socket. Promises that it never stops
 * listening for that; what the system allows only of a socket that is not
 * bound yet is refused, and stays as it was.
 */
#include "config.h"

#include "net/server_priv.h"

#include <sys/stat.h>

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>

#include "net/socket_priv.h"

static int
family_of(int fd)
{
	int family = 0;
	socklen_t length = sizeof(family);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) == -1)
		return -errno;
	return family;
}

/* ---- who is accepted ---- */

static bool
same_tuning(
    const struct weir_server_options *a, const struct weir_server_options *b)
{
	return a->no_delay == b->no_delay && a->keep_alive == b->keep_alive &&
	       a->keep_alive_initial_delay_ms ==
		   b->keep_alive_initial_delay_ms &&
	       a->keep_alive_interval_ms == b->keep_alive_interval_ms &&
	       a->keep_alive_count == b->keep_alive_count &&
	       a->user_timeout_ms == b->user_timeout_ms;
}

/* As a socket has it that was told nothing. */
static void
forget(int fd, int name)
{
	int value, fresh = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t length = sizeof(value);

	if (fresh == -1)
		return;
	if (getsockopt(fresh, IPPROTO_TCP, name, &value, &length) == 0)
		(void)setsockopt(fd, IPPROTO_TCP, name, &value, length);
	(void)close(fresh);
}

/* Also what is not set any more; of TCP alone. */
static void
tune_anew(struct weir_server *server, const struct weir_server_options *old)
{
	const struct weir_server_options *new = &server->options;
	const struct weir__tuning tuning = {
	    .no_delay_set = true,
	    .no_delay = new->no_delay,
	    .keep_alive_set = true,
	    .keep_alive = new->keep_alive,
	    .initial_delay_ms = new->keep_alive_initial_delay_ms,
	    .interval_ms = new->keep_alive_interval_ms,
	    .count = new->keep_alive_count,
	    .user_timeout_ms = new->user_timeout_ms,
	};
	int fd = server->fd;

	if (old->keep_alive_initial_delay_ms > 0 &&
	    new->keep_alive_initial_delay_ms == 0)
		forget(fd, TCP_KEEPIDLE);
	if (old->keep_alive_interval_ms > 0 && new->keep_alive_interval_ms == 0)
		forget(fd, TCP_KEEPINTVL);
	if (old->keep_alive_count > 0 && new->keep_alive_count == 0)
		forget(fd, TCP_KEEPCNT);
	if (old->user_timeout_ms > 0 && new->user_timeout_ms == 0)
		forget(fd, TCP_USER_TIMEOUT);
	weir__tuning_apply(fd, &tuning);
}

int
weir_server_set_options(
    struct weir_server *server, const struct weir_server_options *options)
{
	struct weir_server_options old;

	if (server == NULL || server->doomed || options == NULL)
		return -EINVAL;
	old = server->options;
	server->options = *options;
	if (server->fd != -1 && !same_tuning(&old, options) &&
	    family_of(server->fd) != AF_UNIX)
		tune_anew(server, &old);
	return 0;
}

/* ---- the socket ---- */

static int
set(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)) == -1)
		return -errno;
	return 0;
}

static int
queue_of(const struct weir_listen_options *o)
{
	return o->backlog > 0 ? o->backlog : WEIR_BACKLOG;
}

static int
change_backlog(int fd, struct weir_listen_options *now,
    const struct weir_listen_options *o)
{
	if (queue_of(now) == queue_of(o))
		return 0;
	if (listen(fd, queue_of(o)) == -1)
		return -errno;
	now->backlog = o->backlog;
	return 0;
}

/* One that is yes or no; *now is what is in force. */
static int
change_flag(int fd, int level, int name, bool *now, bool on)
{
	int err;

	if (*now == on)
		return 0;
	err = set(fd, level, name, on);
	if (err == 0)
		*now = on;
	return err;
}

static int
change_fast_open(int fd, struct weir_listen_options *now,
    const struct weir_listen_options *o)
{
	int err;

	if (now->fast_open == o->fast_open)
		return 0;
	err =
	    set(fd, IPPROTO_TCP, TCP_FASTOPEN, o->fast_open ? queue_of(o) : 0);
	if (err == 0)
		now->fast_open = o->fast_open;
	return err;
}

static int
change_mark(int fd, struct weir_listen_options *now,
    const struct weir_listen_options *o)
{
	int err;

	if (now->mark == o->mark)
		return 0;
	err = set(fd, SOL_SOCKET, SO_MARK, (int)o->mark);
	if (err == 0)
		now->mark = o->mark;
	return err;
}

static int
change_interface(struct weir_server *server, const char *interface)
{
	size_t length = interface != NULL ? strlen(interface) : 0;

	if (length >= sizeof(server->interface))
		return -EINVAL;
	if (strcmp(server->interface, length > 0 ? interface : "") == 0)
		return 0;
	if (setsockopt(server->fd, SOL_SOCKET, SO_BINDTODEVICE,
		length > 0 ? interface : "", (socklen_t)length) == -1)
		return -errno;
	memset(server->interface, 0, sizeof(server->interface));
	if (length > 0)
		memcpy(server->interface, interface, length);
	return 0;
}

static int
change_ip(
    struct weir_server *server, bool six, const struct weir_listen_options *o)
{
	struct weir_listen_options *now = &server->listen;
	int level = six ? IPPROTO_IPV6 : IPPROTO_IP, fd = server->fd, err;

	if (six && now->ipv6_only != o->ipv6_only)
		return -ENOTSUP;
	now->ipv6_only = o->ipv6_only;
	err = change_flag(
	    fd, SOL_SOCKET, SO_REUSEPORT, &now->reuse_port, o->reuse_port);
	if (err == 0)
		err = change_flag(fd, level,
		    six ? IPV6_TRANSPARENT : IP_TRANSPARENT, &now->transparent,
		    o->transparent);
	if (err == 0)
		err = change_flag(fd, level, six ? IPV6_FREEBIND : IP_FREEBIND,
		    &now->freebind, o->freebind);
	if (err == 0)
		err = change_flag(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT,
		    &now->defer_accept, o->defer_accept);
	if (err == 0)
		err = change_fast_open(fd, now, o);
	if (err == 0)
		err = change_mark(fd, now, o);
	if (err == 0)
		err = change_interface(server, o->interface);
	return err;
}

static int
change_owner(struct weir_server *server, const struct weir_listen_options *o)
{
	struct weir_listen_options *now = &server->listen;
	bool uid = o->set_uid && (!now->set_uid || now->uid != o->uid);
	bool gid = o->set_gid && (!now->set_gid || now->gid != o->gid);

	if ((uid || gid) && lchown(server->path, uid ? o->uid : (uid_t)-1,
				gid ? o->gid : (gid_t)-1) == -1)
		return -errno;
	now->set_uid = o->set_uid;
	now->uid = o->uid;
	now->set_gid = o->set_gid;
	now->gid = o->gid;
	return 0;
}

/* Of its own socket file alone: of another that has come in its place, or one
 * that is somebody else's to remove, nothing is changed. */
static int
change_file(struct weir_server *server, const struct weir_listen_options *o)
{
	struct weir_listen_options *now = &server->listen;
	struct stat st;
	int err;

	if (server->path[0] == '\0')
		return 0;
	if (lstat(server->path, &st) == -1)
		return -errno;
	if (!S_ISSOCK(st.st_mode) || st.st_dev != server->path_device ||
	    st.st_ino != server->path_inode)
		return WEIR_E_NOT_A_SOCKET_FILE;
	err = change_owner(server, o);
	if (err != 0)
		return err;
	if (o->set_mode && (!now->set_mode || now->mode != o->mode) &&
	    chmod(server->path, o->mode) == -1)
		return -errno;
	now->set_mode = o->set_mode;
	now->mode = o->mode;
	return 0;
}

int
weir_server_set_listen_options(
    struct weir_server *server, const struct weir_listen_options *options)
{
	int family, err;

	if (server == NULL || server->doomed || options == NULL)
		return -EINVAL;
	if (server->fd == -1)
		return WEIR_E_SERVER_NOT_RUNNING;
	family = family_of(server->fd);
	if (family < 0)
		return family;
	err = change_backlog(server->fd, &server->listen, options);
	if (err == 0 && family == AF_UNIX)
		err = change_file(server, options);
	else if (err == 0)
		err = change_ip(server, family == AF_INET6, options);
	if (err != 0)
		return err;
	server->exclusive = server->listen.exclusive = options->exclusive;
	server->listen.replace_stale = options->replace_stale;
	return 0;
}
