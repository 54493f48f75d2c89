/*
 * A flow's kernel pipe: the bytes of a bulk flow go through it and are not
 * copied here. What splice has taken can be unloaded into the held bytes, as
 * long as the source is open. When a flow is bulk is for pump.c to say.
 */
#include "config.h"

#include "net/pump_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void
weir__splice_return(struct weir__flow *f)
{
	if (f->pipe == NULL)
		return;
	weir__loop_return_pipe(weir__source(f)->loop, f->pipe, f->piped == 0);
	f->pipe = NULL;
	f->piped = 0;
}

/* What splice has taken becomes held bytes, for who cannot splice it on. */
int
weir__splice_unload(struct weir__flow *f)
{
	struct weir_socket *s = weir__source(f);
	struct evbuffer_iovec room;
	ssize_t n;

	/* Not by way of the scratch buffer: a handler may be looking at it
	 * that has undone this flow. */
	while (f->piped > 0) {
		if (s->in == NULL)
			s->in = evbuffer_new();
		if (s->in == NULL || evbuffer_reserve_space(s->in,
					 (ev_ssize_t)f->piped, &room, 1) != 1)
			return -ENOMEM;
		n = read(f->pipe->read_fd, room.iov_base,
		    room.iov_len < f->piped ? room.iov_len : f->piped);
		if (n <= 0)
			return n == 0 ? -EIO : -errno;
		room.iov_len = (size_t)n;
		if (evbuffer_commit_space(s->in, &room, 1) == -1)
			return -ENOMEM;
		f->piped -= (uint32_t)n;
	}
	return 0;
}

size_t
weir__splice_in(struct weir__flow *f, size_t wanted)
{
	struct weir_socket *s = weir__source(f);
	ssize_t n;

	if (f->pipe == NULL)
		f->pipe = weir__loop_borrow_pipe(s->loop);
	if (f->pipe == NULL) {
		f->bulk = false; /* no pipe to be had: copy, ask again later */
		f->full_reads = 0;
		return 0;
	}
	if (wanted > f->pipe->capacity)
		wanted = f->pipe->capacity;
	n = splice(s->fd, NULL, f->pipe->write_fd, NULL, wanted,
	    SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n > 0) {
		f->piped = (uint32_t)n;
		weir__count_read(s, (size_t)n);
		weir__socket_touch(s);
		return (size_t)n;
	}
	if (n == -1 && errno == EINVAL) {
		f->may_splice = f->bulk = false;
		return 0;
	}
	s->readable = false;
	if (n == 0)
		s->eof = true;
	else if (errno != EAGAIN && errno != EINTR && s->dying == 0)
		s->dying = -errno;
	else if (errno == EINTR)
		s->readable = true;
	return 0;
}

ssize_t
weir__splice_out(struct weir__flow *f)
{
	struct weir_socket *to = f->destination;
	ssize_t n = splice(f->pipe->read_fd, NULL, to->fd, NULL, f->piped,
	    SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	if (n == -1 && errno == EAGAIN) {
		to->writable = false;
		return 0;
	}
	if (n == -1 && errno == EINVAL) { /* it takes no splice: copy */
		f->may_splice = f->bulk = false;
		n = weir__splice_unload(f);
		return n < 0 ? n : 0;
	}
	if (n <= 0)
		return n == 0 ? -EIO : -errno;
	f->piped -= (uint32_t)n;
	weir__count_delivered(to, (size_t)n);
	weir__socket_touch(to);
	return n;
}
