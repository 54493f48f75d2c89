/*
 * Writing to a socket, in either lane or beneath TLS. Promises that what the
 * kernel takes is given to it at once, that the rest waits in order, and that
 * a file without room is waited for. What comes after the last byte, a drain
 * or an end, is begun here; the end itself is socket.c's.
 */
#include "config.h"

#include "net/socket_priv.h"

#include <sys/uio.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <event2/bufferevent.h>

#include <weir/error.h>

#include "net/extra_priv.h"

/* How often a file without room is tried again. */
#define FULL_RETRY_MS 500

void
weir__write_free(struct weir_socket *s)
{
	if (s->extra == NULL)
		return;
	if (s->extra->retry != NULL)
		event_free(s->extra->retry);
	s->extra->retry = NULL;
	s->extra->full = 0;
}

static void
on_retry(evutil_socket_t fd, short what, void *user)
{
	struct weir_socket *s = user;

	(void)fd;
	(void)what;
	s->writable = true;
	weir__socket_defer(s, WEIR__DUE_READ);
}

/* A file without room is a reader that does not read: wait for it. */
static ssize_t
wait_for_room(struct weir_socket *s, int err)
{
	static const struct timeval after = {.tv_usec = FULL_RETRY_MS * 1000};

	struct weir__extra *x = weir__extra(s);

	if (x == NULL)
		return err;
	if (x->retry == NULL)
		x->retry = evtimer_new(weir_loop_base(s->loop), on_retry, s);
	if (x->retry == NULL || event_add(x->retry, &after) == -1)
		return err;
	s->writable = false;
	if (x->full == 0) {
		x->full = err;
		weir__socket_defer(s, WEIR__DUE_FULL);
	}
	return 0;
}

#define LEAST_SEGMENT 536 /* bytes, RFC 9293 section 3.7.1 */

/* One segment on its own is never held back for an answer; the last of several
 * is, until the first are acknowledged. */
static void
before_write(struct weir_socket *s, size_t length)
{
	if (weir__is_late(s) &&
	    (s->bytes_delivered > 0 || length > LEAST_SEGMENT))
		weir__tuning_make_late(s);
}

/* What a write call said: bytes, 0 to wait, or an error. */
static ssize_t
written(struct weir_socket *s, ssize_t n, size_t wanted)
{
	if (n == -1 && !s->pollable && (errno == ENOSPC || errno == EDQUOT))
		return wait_for_room(s, -errno);
	if (n == -1 && errno != EAGAIN)
		return -errno;
	if (n == -1)
		n = 0;
	if ((size_t)n < wanted && s->pollable)
		s->writable = false;
	if (n > 0) {
		if (s->extra != NULL)
			s->extra->full = 0;
		weir__count_delivered(s, (size_t)n);
		weir__socket_touch(s);
	}
	return n;
}

ssize_t
weir__socket_send(
    struct weir_socket *s, const void *data, size_t length, bool fin_follows)
{
	const int flags =
	    MSG_NOSIGNAL | MSG_DONTWAIT | (fin_follows ? MSG_MORE : 0);
	ssize_t n;

	if (weir__tls(s) != NULL)
		return weir__tls_send(s, data, length);
	before_write(s, length);
	do {
		n = s->is_socket ? send(s->fd, data, length, flags)
				 : write(s->fd, data, length);
	} while (n == -1 && errno == EINTR);
	return written(s, n, length);
}

void
weir__socket_push(struct weir_socket *s)
{
	/* Setting it pushes, whatever it was; what it was is then as before. */
	int on = 1, was = 0;
	socklen_t length = sizeof(was);

	(void)getsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &was, &length);
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (!was)
		(void)setsockopt(
		    s->fd, IPPROTO_TCP, TCP_NODELAY, &was, sizeof(was));
}

ssize_t
weir__socket_send_buffer(struct weir_socket *s, struct evbuffer *data)
{
	struct evbuffer_iovec part[16];
	struct msghdr message = {.msg_iov = (struct iovec *)part};
	size_t wanted = 0;
	ssize_t n;
	int i, parts;

	if (weir__tls(s) != NULL)
		return weir__tls_send_buffer(s, data);
	parts = evbuffer_peek(data, 256 * 1024, NULL, part, 16);
	if (parts > 16)
		parts = 16;
	for (i = 0; i < parts; i++)
		wanted += part[i].iov_len;
	message.msg_iovlen = (size_t)parts;
	before_write(s, wanted);
	do {
		n = s->is_socket
			? sendmsg(s->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT)
			: writev(s->fd, message.msg_iov, parts);
	} while (n == -1 && errno == EINTR);
	n = written(s, n, wanted);
	if (n > 0)
		(void)evbuffer_drain(data, (size_t)n);
	return n;
}

size_t
weir__socket_queued(const struct weir_socket *s)
{
	const struct weir__extra *x = s->extra;
	size_t n = 0;

	if (x == NULL)
		return 0;
	if (x->out != NULL)
		n = evbuffer_get_length(x->out);
	if (x->bev != NULL)
		n += evbuffer_get_length(bufferevent_get_output(x->bev));
	if (x->tls != NULL)
		n += weir__tls_unsent(s);
	return n;
}

static int
queue(struct weir_socket *s, const void *data, size_t length)
{
	struct evbuffer *out;

	if (weir__bev(s) != NULL)
		return bufferevent_write(weir__bev(s), data, length) == 0
			   ? 0
			   : -ENOMEM;
	out = weir__extra_out(s);
	if (out == NULL)
		return -ENOMEM;
	if (evbuffer_add(out, data, length) == -1) {
		if (evbuffer_get_length(out) == 0) {
			evbuffer_free(out);
			s->extra->out = NULL;
		}
		return -ENOMEM;
	}
	return 0;
}

/* Give the kernel what it takes at once, so that an answer need not wait for
 * another turn of the loop. Returns bytes or an error. */
static ssize_t
write_at_once(struct weir_socket *s, const void *data, size_t length)
{
	if (s->state != WEIR__OPEN || s->dying != 0 || s->frozen ||
	    weir__socket_queued(s) > 0 || !s->writable)
		return 0;
	return weir__socket_send(s, data, length, false);
}

int
weir_socket_write(struct weir_socket *s, const void *data, size_t length)
{
	ssize_t n;
	int err;

	if (s == NULL || (data == NULL && length > 0))
		return -EINVAL;
	if (s->doomed || s->state == WEIR__CLOSING || s->dying != 0)
		return WEIR_E_SOCKET_CLOSED;
	if (s->end_asked && s->state != WEIR__IDLE)
		return WEIR_E_WRITE_AFTER_END;
	n = write_at_once(s, data, length);
	if (n < 0) {
		weir__socket_fail(s, (int)n);
		return WEIR_WAIT; /* on_error says the rest */
	}
	if ((size_t)n < length) {
		err = queue(s, (const char *)data + n, length - (size_t)n);
		if (err != 0 && n == 0)
			return err;
		if (err != 0) { /* half of it is out: the stream is broken */
			weir__socket_fail(s, err);
			return WEIR_WAIT;
		}
	}
	if (weir__socket_queued(s) == 0)
		return 0;
	weir__pump_update(s);
	if (s->state == WEIR__OPEN && !s->pollable && s->writable)
		weir__socket_defer(s, WEIR__DUE_READ); /* no event will */
	if (s->extra != NULL && weir__socket_queued(s) < s->extra->high_water)
		return 0;
	s->need_drain = true;
	return WEIR_WAIT;
}

void
weir__socket_drained(struct weir_socket *s)
{
	if (weir__tls(s) != NULL && weir__tls_unsent(s) > 0)
		return; /* out of our hands, not yet out */
	if (s->need_drain) {
		s->need_drain = false;
		/* Who has asked for the end writes no more. */
		if (!s->end_asked)
			weir__tell(s, on_drain);
	}
	weir__socket_progress(s);
}
