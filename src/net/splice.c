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
	struct weir_socket *s = weir__source(f);

	if (s->extra == NULL || s->extra->pipe == NULL)
		return;
	weir__loop_return_pipe(s->loop, s->extra->pipe);
	s->extra->pipe = NULL;
}

/* What splice has taken becomes held bytes, for who cannot splice it on. */
int
weir__splice_unload(struct weir__flow *f)
{
	struct weir_socket *s = weir__source(f);
	struct weir__pipe *pipe;
	struct evbuffer_iovec room;
	struct evbuffer *in;
	ssize_t n;

	/* Not by way of the scratch buffer: a handler may be looking at it
	 * that has undone this flow. */
	while (weir__piped(f) > 0) {
		pipe = s->extra->pipe;
		in = weir__extra_in(s);
		if (in == NULL || evbuffer_reserve_space(in,
				      (ev_ssize_t)pipe->length, &room, 1) != 1)
			return -ENOMEM;
		n = read(pipe->read_fd, room.iov_base,
		    room.iov_len < pipe->length ? room.iov_len : pipe->length);
		if (n <= 0)
			return n == 0 ? -EIO : -errno;
		room.iov_len = (size_t)n;
		if (evbuffer_commit_space(in, &room, 1) == -1)
			return -ENOMEM;
		pipe->length -= (size_t)n;
	}
	return 0;
}

size_t
weir__splice_in(struct weir__flow *f, size_t wanted)
{
	struct weir_socket *s = weir__source(f);
	struct weir__extra *x = weir__extra(s);
	ssize_t n;

	if (x != NULL && x->pipe == NULL)
		x->pipe = weir__loop_borrow_pipe(s->loop);
	if (x == NULL || x->pipe == NULL) {
		f->bulk = false; /* no pipe to be had: copy, ask again later */
		f->full_reads = 0;
		return 0;
	}
	if (wanted > x->pipe->capacity)
		wanted = x->pipe->capacity;
	n = splice(s->fd, NULL, x->pipe->write_fd, NULL, wanted,
	    SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n > 0) {
		x->pipe->length = (size_t)n;
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
	struct weir__pipe *pipe = weir__source(f)->extra->pipe;
	struct weir_socket *to = f->destination;
	ssize_t n = splice(pipe->read_fd, NULL, to->fd, NULL, pipe->length,
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
	pipe->length -= (size_t)n;
	weir__count_delivered(to, (size_t)n);
	weir__socket_touch(to);
	return n;
}
