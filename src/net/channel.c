/*
 * A channel between two processes: messages, and connections or descriptors
 * along with them. A message is one packet of a unix socket, so none is ever
 * cut or joined with the next. A connection travels as its descriptor: what the
 * kernel has of it, unread bytes above all, is not touched by that.
 */
#include "config.h"

#include <weir/channel.h>

#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>

#include "net/extra_priv.h"
#include "net/handed_priv.h"
#include "net/server_priv.h"
#include "net/socket_priv.h"

#define MAGIC	 0x77656972U
#define MESSAGES 16 /* a turn of the loop */
#define HANDLES	 2  /* a connection, and the token of who counts it */

enum {
	WITH_SOCKET = 1 << 0,
	READ_ENDED = 1 << 1,
	WRITE_ENDED = 1 << 2,
	PAUSED = 1 << 3,
	FLOWING = 1 << 4, /* without a handler, too */
	HALF_OPEN = 1 << 5,
	WITH_FDS = 1 << 6, /* FDS_SHIFT tells how many */
};

#define FDS_SHIFT 16

/* What stands before the bytes of a message. Both processes run this code on
 * one machine: the order of its bytes does not matter. */
struct header {
	uint32_t magic;
	uint32_t flags;
};

struct weir_channel {
	struct weir_loop *loop;
	const struct weir_channel_handlers *handlers;
	void *user;
	int fd;
	struct event readable, writable;
	bool unref, held;
	unsigned depth; /* handlers that run now */
	bool doomed;	/* freed; goes when depth is 0 */
};

static void
unpin(struct weir_channel *c)
{
	if (--c->depth == 0 && c->doomed)
		free(c);
}

static void
hold(struct weir_channel *c, bool on)
{
	on = on && !c->unref;
	if (on == c->held)
		return;
	c->held = on;
	if (on)
		weir__loop_hold(c->loop);
	else
		weir__loop_release(c->loop);
}

static void
shut(struct weir_channel *c)
{
	if (c->fd == -1)
		return;
	(void)event_del(&c->readable);
	(void)event_del(&c->writable);
	(void)close(c->fd);
	c->fd = -1;
	hold(c, false);
	weir__loop_fd_closed(c->loop);
}

void
weir_channel_free(struct weir_channel *c)
{
	if (c == NULL || c->doomed)
		return;
	c->depth++;
	c->doomed = true;
	shut(c);
	unpin(c);
}

static void
ended(struct weir_channel *c, int err)
{
	shut(c);
	if (c->handlers->on_close != NULL)
		c->handlers->on_close(c, err, c->user);
}

static void
lost(struct weir_channel *c, int err)
{
	if (c->handlers->on_lost != NULL)
		c->handlers->on_lost(c, err, c->user);
}

/* ---- receiving ---- */

struct packet {
	struct header header;
	char data[WEIR_MESSAGE_MAX];
};

static void
close_all(const int *fds, size_t count)
{
	while (count > 0)
		(void)close(fds[--count]);
}

/* The descriptors of a message; there is room for no more than are taken. */
static size_t
take_handles(struct msghdr *message, int fds[WEIR_MESSAGE_FDS])
{
	struct cmsghdr *c;
	size_t count = 0, i, n;
	int fd;

	for (c = CMSG_FIRSTHDR(message); c != NULL;
	     c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(fd);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (count < WEIR_MESSAGE_FDS)
				fds[count++] = fd;
			else
				(void)close(fd);
		}
	}
	return count;
}

/* A socket around what came. The descriptors are closed where it fails. */
static int
new_socket(struct weir_socket **ret, struct weir_channel *c, unsigned flags,
    const int *fds, size_t count)
{
	const struct weir_socket_options options = {
	    .allow_half_open = (flags & HALF_OPEN) != 0,
	};
	struct weir_socket *s = NULL;
	int err = weir_socket_new(&s, c->loop, &options, NULL, NULL);

	if (err == 0)
		err = weir_socket_open_fd(s, fds[0], (flags & READ_ENDED) == 0,
		    (flags & WRITE_ENDED) == 0);
	if (err != 0) {
		weir_socket_free(s);
		close_all(fds, count);
		return err;
	}
	s->explicit_pause = (flags & PAUSED) != 0;
	s->explicit_flow = (flags & FLOWING) != 0;
	if (count == 2) {
		if (weir__extra(s) != NULL)
			s->extra->token = weir__token_new(c->loop, fds[1]);
		if (s->extra == NULL || s->extra->token == NULL) {
			(void)close(fds[1]);
			weir_socket_free(s);
			return -ENOMEM;
		}
	}
	*ret = s;
	return 0;
}

static void
hand_over(struct weir_channel *c, struct weir_socket *s, const void *data,
    size_t length)
{
	if (s != NULL)
		weir__pin(s);
	c->handlers->on_message(c, s, data, length, c->user);
	if (s == NULL)
		return;
	weir__socket_settle(s);
	weir__unpin(s);
}

static int
check_packet(const struct msghdr *message, const struct header *header,
    size_t n, size_t count)
{
	size_t least = 0, most = 0;

	if (message->msg_flags & MSG_CTRUNC)
		return -EMFILE;
	if ((message->msg_flags & MSG_TRUNC) || n < sizeof(*header) ||
	    header->magic != MAGIC)
		return -EBADMSG;
	if (header->flags & WITH_SOCKET) {
		least = 1;
		most = HANDLES;
	} else if (header->flags & WITH_FDS) {
		least = most = header->flags >> FDS_SHIFT;
	}
	return count >= least && count <= most ? 0 : -EBADMSG;
}

/* The descriptors are the owner's where this returns 0. */
static int
hand_over_fds(struct weir_channel *c, const int *fds, size_t count,
    const void *data, size_t length)
{
	if (c->handlers->on_fds == NULL)
		return -EBADMSG;
	c->handlers->on_fds(c, fds, count, data, length, c->user);
	return 0;
}

/* What came whole, to the owner; 0, or why it is lost. */
static int
deliver(struct weir_channel *c, const struct packet *packet, size_t length,
    const int *fds, size_t count)
{
	struct weir_socket *s = NULL;
	int err;

	if (packet->header.flags & WITH_FDS) {
		err = hand_over_fds(c, fds, count, packet->data, length);
		if (err != 0)
			close_all(fds, count);
		return err;
	}
	if (count > 0) {
		err = new_socket(&s, c, packet->header.flags, fds, count);
		if (err != 0)
			return err;
	}
	hand_over(c, s, packet->data, length);
	return 0;
}

/* One message. Returns false when there is none now, or no channel. */
static bool
receive(struct weir_channel *c)
{
	union {
		char space[CMSG_SPACE(WEIR_MESSAGE_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct packet packet;
	struct iovec part = {.iov_base = &packet, .iov_len = sizeof(packet)};
	struct msghdr message = {.msg_iov = &part,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    .msg_controllen = sizeof(control)};
	int fds[WEIR_MESSAGE_FDS], err;
	size_t count;
	ssize_t n;

	do {
		n = recvmsg(c->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n == -1 && errno == EINTR);
	if (n == -1 && errno == EAGAIN)
		return false;
	if (n <= 0) {
		ended(c, n == 0 ? 0 : -errno);
		return false;
	}
	count = take_handles(&message, fds);
	err = check_packet(&message, &packet.header, (size_t)n, count);
	if (err != 0)
		close_all(fds, count);
	else
		err = deliver(
		    c, &packet, (size_t)n - sizeof(packet.header), fds, count);
	if (err != 0)
		lost(c, err);
	return c->fd != -1;
}

static void
on_readable(evutil_socket_t fd, short what, void *user)
{
	struct weir_channel *c = user;
	int i;

	(void)fd;
	(void)what;
	c->depth++;
	for (i = 0; i < MESSAGES && receive(c); i++)
		;
	unpin(c);
}

static void
on_writable(evutil_socket_t fd, short what, void *user)
{
	struct weir_channel *c = user;

	(void)fd;
	(void)what;
	c->depth++;
	if (c->handlers->on_writable != NULL)
		c->handlers->on_writable(c, c->user);
	unpin(c);
}

/* ---- sending ---- */

static int
check_socket(const struct weir_socket *s)
{
	if (s->doomed)
		return -EINVAL;
	if (s->state != WEIR__OPEN || s->dying != 0)
		return WEIR_E_SOCKET_CLOSED;
	if (!s->is_socket)
		return WEIR_E_NOT_A_STREAM;
	if (weir__from(s) != NULL || s->to != NULL)
		return WEIR_E_ALREADY_PIPED;
	if (weir_socket_held(s) > 0 || weir_socket_buffered(s) > 0 ||
	    weir__extra_waits(s) || weir__tls(s) != NULL || s->frozen)
		return -EBUSY;
	return 0;
}

static uint32_t
flags_of(const struct weir_socket *s)
{
	uint32_t flags = WITH_SOCKET;

	if (s->rd_ended)
		flags |= READ_ENDED;
	if (s->end_asked)
		flags |= WRITE_ENDED;
	if (s->explicit_pause)
		flags |= PAUSED;
	if (s->explicit_flow)
		flags |= FLOWING;
	if (s->allow_half_open)
		flags |= HALF_OPEN;
	return flags;
}

static int
send_packet(struct weir_channel *c, const struct header *header,
    const void *data, size_t length, const int *fds, size_t count)
{
	union {
		char space[CMSG_SPACE(WEIR_MESSAGE_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec parts[2] = {
	    {.iov_base = (void *)(uintptr_t)header, .iov_len = sizeof(*header)},
	    {.iov_base = (void *)(uintptr_t)data, .iov_len = length},
	};
	struct msghdr message = {
	    .msg_iov = parts,
	    .msg_iovlen = length > 0 ? 2 : 1,
	};
	struct cmsghdr *m;
	ssize_t n;

	if (count > 0) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		m = &control.align; /* CMSG_FIRSTHDR() might be NULL to gcc */
		m->cmsg_level = SOL_SOCKET;
		m->cmsg_type = SCM_RIGHTS;
		m->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(m), fds, count * sizeof(int));
	}
	do {
		n = sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n == -1 && errno == EINTR);
	if (n == -1 && errno == EAGAIN)
		(void)event_add(&c->writable, NULL);
	return n == -1 ? -errno : 0;
}

/* The connection, and the token of whoever counts it: the server that it came
 * by, or one in a process that it came from. */
static int
send_socket(struct weir_channel *c, struct weir_socket *s, const void *data,
    size_t length)
{
	const struct header header = {.magic = MAGIC, .flags = flags_of(s)};
	struct weir_server *server = weir__server_of(s);
	struct weir__handed *handed = NULL;
	int fds[HANDLES] = {s->fd, -1}, err;

	weir__tuning_make_late(s);
	if (server != NULL) {
		handed = weir__handed_new(server, &fds[1]);
		if (handed == NULL)
			return -errno;
	} else if (s->extra != NULL && s->extra->token != NULL) {
		fds[1] = s->extra->token->fd;
	}
	err = send_packet(c, &header, data, length, fds, fds[1] != -1 ? 2 : 1);
	if (handed != NULL)
		(void)close(fds[1]);
	if (err != 0) {
		if (handed != NULL)
			weir__handed_free(handed);
		return err;
	}
	if (handed != NULL)
		weir__server_handed_over(server, s);
	weir_socket_destroy(s, 0);
	return 0;
}

int
weir_channel_send(struct weir_channel *c, struct weir_socket *s,
    const void *data, size_t length)
{
	const struct header header = {.magic = MAGIC};
	int err;

	if (c == NULL || c->doomed || (data == NULL && length > 0))
		return -EINVAL;
	if (length > WEIR_MESSAGE_MAX)
		return -EMSGSIZE;
	if (c->fd == -1)
		return -EPIPE;
	if (s == NULL)
		return send_packet(c, &header, data, length, NULL, 0);
	err = check_socket(s);
	return err != 0 ? err : send_socket(c, s, data, length);
}

int
weir_channel_send_fds(struct weir_channel *c, const void *data, size_t length,
    const int *fds, size_t count)
{
	struct header header = {.magic = MAGIC, .flags = WITH_FDS};

	if (c == NULL || c->doomed || (data == NULL && length > 0) ||
	    (fds == NULL && count > 0))
		return -EINVAL;
	if (length > WEIR_MESSAGE_MAX || count > WEIR_MESSAGE_FDS)
		return -EMSGSIZE;
	if (c->fd == -1)
		return -EPIPE;
	header.flags |= (uint32_t)count << FDS_SHIFT;
	return send_packet(c, &header, data, length, fds, count);
}

/* ---- new ---- */

int
weir_channel_pair(int fds[2])
{
	if (fds == NULL)
		return -EINVAL;
	return socketpair(AF_UNIX,
		   SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == -1
		   ? -errno
		   : 0;
}

static bool
is_channel(int fd)
{
	int type, domain;
	socklen_t length = sizeof(type), length2 = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length2) == 0 &&
	       type == SOCK_SEQPACKET && domain == AF_UNIX;
}

int
weir_channel_new(struct weir_channel **ret, struct weir_loop *loop, int fd,
    const struct weir_channel_handlers *handlers, void *user)
{
	struct weir_channel *c;
	struct event_base *base;

	if (ret == NULL || loop == NULL || handlers == NULL ||
	    handlers->on_message == NULL)
		return -EINVAL;
	if (!is_channel(fd))
		return -EPROTOTYPE;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	c->loop = loop;
	c->handlers = handlers;
	c->user = user;
	c->fd = fd;
	base = weir_loop_base(loop);
	if (event_assign(&c->readable, base, fd, EV_READ | EV_PERSIST,
		on_readable, c) == -1 ||
	    event_assign(&c->writable, base, fd, EV_WRITE, on_writable, c) ==
		-1 ||
	    event_add(&c->readable, NULL) == -1) {
		free(c);
		return -ENOMEM;
	}
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	hold(c, true);
	*ret = c;
	return 0;
}

void
weir_channel_ref(struct weir_channel *c)
{
	if (c == NULL)
		return;
	c->unref = false;
	hold(c, c->fd != -1);
}

void
weir_channel_unref(struct weir_channel *c)
{
	if (c == NULL)
		return;
	c->unref = true;
	hold(c, false);
}
