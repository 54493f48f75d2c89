/* What a socket can be asked at any time. Nothing is changed by it, and one
 * that is not open, or none at all, has an answer too. */
#include "config.h"

#include "net/socket_priv.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <event2/bufferevent.h>

#include "net/address_priv.h"

uint64_t
weir_socket_bytes_read(const struct weir_socket *s)
{
	if (s == NULL)
		return 0;
	return s->bytes_read;
}

uint64_t
weir_socket_bytes_written(const struct weir_socket *s)
{
	if (s == NULL)
		return 0;
	return s->bytes_delivered + (s->extra != NULL ? s->extra->dropped : 0) +
	       weir__socket_queued(s);
}

uint64_t
weir_socket_bytes_delivered(const struct weir_socket *s)
{
	if (s == NULL)
		return 0;
	return s->bytes_delivered;
}

size_t
weir_socket_buffered(const struct weir_socket *s)
{
	if (s == NULL)
		return 0;
	return weir__socket_queued(s);
}

size_t
weir_socket_held(const struct weir_socket *s)
{
	size_t n = 0;

	if (s == NULL)
		return 0;
	if (weir__in(s) != NULL)
		n = evbuffer_get_length(weir__in(s));
	if (weir__bev(s) != NULL)
		n += evbuffer_get_length(bufferevent_get_input(weir__bev(s)));
	return n;
}

enum weir_ready_state
weir_socket_ready_state(const struct weir_socket *s)
{
	if (s == NULL)
		return WEIR_CLOSED;
	if (s->state == WEIR__CONNECTING)
		return WEIR_OPENING;
	if (s->state != WEIR__OPEN || (s->rd_ended && s->end_asked))
		return WEIR_CLOSED;
	if (s->rd_ended)
		return WEIR_WRITE_ONLY;
	return s->end_asked ? WEIR_READ_ONLY : WEIR_OPEN;
}

bool
weir_socket_dormant(const struct weir_socket *s)
{
	if (s == NULL)
		return true;
	return s->state == WEIR__IDLE;
}

bool
weir_socket_read_ended(const struct weir_socket *s)
{
	if (s == NULL)
		return true;
	return s->rd_ended;
}

bool
weir_socket_end_seen(const struct weir_socket *s)
{
	return s == NULL || s->eof || s->rd_ended;
}

bool
weir_socket_write_ended(const struct weir_socket *s)
{
	if (s == NULL)
		return true;
	return s->end_asked || s->dying != 0;
}

int
weir_socket_fd(const struct weir_socket *s)
{
	if (s == NULL)
		return -1;
	weir__tuning_make_late((struct weir_socket *)(uintptr_t)s);
	return s->fd;
}

static int
not_open(struct weir_address *ret)
{
	memset(ret, 0, sizeof(*ret));
	return -ENOTCONN;
}

int
weir_socket_local_address(const struct weir_socket *s, struct weir_address *ret)
{
	if (s == NULL || ret == NULL)
		return -EINVAL;
	if (s->fd == -1)
		return not_open(ret);
	return weir__ask_address(getsockname, s->fd, ret);
}

int
weir_socket_remote_address(
    const struct weir_socket *s, struct weir_address *ret)
{
	sa_family_t family;

	if (s == NULL || ret == NULL)
		return -EINVAL;
	if (s->fd == -1)
		return not_open(ret);
	if (!s->remote_known)
		return weir__ask_address(getpeername, s->fd, ret);
	memcpy(&family, s->remote, sizeof(family));
	memset(ret, 0, sizeof(*ret));
	memcpy(&ret->u, s->remote, weir__remote_length(family));
	ret->length =
	    family == AF_INET6 ? sizeof(ret->u.in6) : sizeof(ret->u.in);
	return 0;
}

int
weir_socket_peer_credentials(
    const struct weir_socket *s, pid_t *pid, uid_t *uid, gid_t *gid)
{
	struct ucred who;
	socklen_t length = sizeof(who);

	if (s == NULL || pid == NULL || uid == NULL || gid == NULL)
		return -EINVAL;
	if (s->fd == -1)
		return -ENOTCONN;
	if (getsockopt(s->fd, SOL_SOCKET, SO_PEERCRED, &who, &length) == -1)
		return -errno;
	*pid = who.pid;
	*uid = who.uid;
	*gid = who.gid;
	return 0;
}

bool
weir_socket_peer_closed(const struct weir_socket *s)
{
	struct pollfd p = {.fd = s != NULL ? s->fd : -1};
	int domain;
	socklen_t length = sizeof(domain);

	return p.fd != -1 && s->is_socket &&
	       getsockopt(p.fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 &&
	       domain == AF_UNIX && poll(&p, 1, 0) == 1 &&
	       (p.revents & POLLHUP) != 0;
}
