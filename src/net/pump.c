/*
 * The pump: bytes that only pass through, from one socket to the next.
 *
 * Nothing is stored while the destination keeps up: a turn reads into the
 * loop's one scratch buffer and writes from it at once. What the destination
 * did not take is held with the source, at most so many bytes; then reading
 * stops until all of it is out. A flow that fills the scratch several times in
 * a row is a bulk flow and is lent a kernel pipe: splice moves its bytes
 * without copying them here.
 *
 * A socket has one event. While its flow can take, it waits for bytes; while
 * it is full, for room; and otherwise it watches, edge-triggered, for a reset,
 * which would go unnoticed while nothing is read. A connection that keeps up
 * never changes what it waits for. A turn is bounded; what is left over is
 * still readable, and the loop comes back to it.
 *
 * pipe.c makes and undoes pipes; rate.c and splice.c have what few flows need.
 */
#include "config.h"

#include "net/pump_priv.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include <event2/util.h>

#include <weir/error.h>

#define TURN_BYTES (1024 * 1024) /* one flow, before others have a turn */
#define TURN_READS 16
#define BULK_AFTER 4	       /* full reads in a row */
#define BULK_LEAST (16 * 1024) /* bytes a turn, below it is no bulk */

/* ---- held bytes ---- */

static int
hold_bytes(struct weir_socket *s, const void *data, size_t length)
{
	if (s->in == NULL)
		s->in = evbuffer_new();
	if (s->in == NULL || evbuffer_add(s->in, data, length) == -1)
		return -ENOMEM;
	return 0;
}

static void
let_go(struct weir_socket *s)
{
	if (s->in != NULL && evbuffer_get_length(s->in) == 0) {
		evbuffer_free(s->in);
		s->in = NULL;
	}
}

/* ---- giving ---- */

enum given {
	GIVEN,	 /* nothing is held any more */
	BLOCKED, /* the destination takes no more now */
	GONE,	 /* the pipe is undone */
};

/* Bytes of our own that stand before a pipe's, a greeting say. */
bool
weir__pump_flush(struct weir_socket *s)
{
	ssize_t n;

	while (s->out != NULL && evbuffer_get_length(s->out) > 0) {
		if (!s->writable)
			return false;
		n = weir__socket_send_buffer(s, s->out);
		if (n < 0) {
			weir__socket_fail(s, (int)n);
			return false;
		}
		if (n == 0)
			return false;
		weir__note_written(s);
	}
	if (s->out != NULL) {
		evbuffer_free(s->out);
		s->out = NULL;
		weir__socket_drained(s);
	}
	return s->state == WEIR__OPEN;
}

/* Pass on what is held. Calls handlers only when the destination fails. */
static enum given
give(struct weir__flow *f)
{
	struct weir_socket *source = f->source, *to = f->destination;
	ssize_t n;

	while (f->piped > 0 || weir__held(source) > 0) {
		if (to->state != WEIR__OPEN || to->out != NULL || !to->writable)
			return BLOCKED;
		if (to->end_asked || to->dying != 0) {
			weir__pump_undo(f);
			return GONE;
		}
		n = f->piped > 0 ? weir__splice_out(f)
				 : weir__socket_send_buffer(to, source->in);
		if (n < 0) {
			weir__socket_fail(to, (int)n);
			return GONE;
		}
		to->bytes_written += (size_t)n;
	}
	let_go(source);
	return GIVEN;
}

/* ---- taking ---- */

static bool
may_take(const struct weir__flow *f)
{
	const struct weir_socket *s = f->source;

	return s->state == WEIR__OPEN && !s->eof && !s->explicit_pause &&
	       !f->stopped && !f->full && !f->rate_waits && f->piped == 0;
}

/* 0 or bytes; the end and errors are noted with the socket. */
static size_t
read_bytes(struct weir_socket *s, unsigned char *to, size_t wanted)
{
	ssize_t n;

	if (s->tls != NULL)
		return weir__tls_read(s, to, wanted);
	do {
		n = s->is_socket ? recv(s->fd, to, wanted, MSG_DONTWAIT)
				 : read(s->fd, to, wanted);
	} while (n == -1 && errno == EINTR);
	if (n > 0) {
		s->bytes_read += (size_t)n;
		weir__socket_touch(s);
		if ((size_t)n < wanted) /* the kernel has no more now */
			s->readable = false;
		return (size_t)n;
	}
	s->readable = false;
	if (n == 0)
		s->eof = true;
	else if (errno != EAGAIN && s->dying == 0)
		s->dying = -errno;
	return 0;
}

static void
note_bulk(struct weir__flow *f, size_t n, size_t wanted)
{
	if (n < wanted || !f->may_splice) {
		f->full_reads = 0;
		return;
	}
	if (++f->full_reads >= BULK_AFTER)
		f->bulk = true;
}

/* Read into the scratch buffer, write from it, hold what is left. The
 * handler that listens in may undo the pipe: then the bytes are held. */
static size_t
copy(struct weir__flow *f, size_t wanted)
{
	struct weir_socket *s = f->source, *to = f->destination;
	unsigned char *scratch = weir__loop_scratch(s->loop);
	size_t room = f->buffer - weir__held(s), n;
	ssize_t sent = 0;

	if (scratch == NULL) {
		weir_socket_destroy(s, -ENOMEM);
		return 0;
	}
	if (weir__held(s) >= f->buffer) { /* by what a kernel pipe had taken */
		f->full = true;
		return 0;
	}
	if (wanted > room)
		wanted = room;
	if (wanted > WEIR__SCRATCH)
		wanted = WEIR__SCRATCH;
	n = read_bytes(s, scratch, wanted);
	if (n == 0)
		return 0;
	note_bulk(f, n, wanted);
	weir__rate_spend(f, n);
	if (s->handlers->on_data != NULL) {
		weir__tell_data(s, scratch, n);
		if (s->state != WEIR__OPEN)
			return n;
		f = s->from;
	}
	if (f != NULL && f->destination == to && weir__held(s) == 0 &&
	    to->state == WEIR__OPEN && to->out == NULL && to->writable &&
	    !to->end_asked && to->dying == 0)
		sent = weir__socket_send(to, scratch, n);
	if (sent > 0)
		to->bytes_written += (size_t)sent;
	if ((size_t)(sent > 0 ? sent : 0) < n &&
	    hold_bytes(s, scratch + (sent > 0 ? sent : 0),
		n - (size_t)(sent > 0 ? sent : 0)) != 0) {
		weir_socket_destroy(s, -ENOMEM);
		return n;
	}
	if (f != NULL && weir__held(s) >= f->buffer)
		f->full = true;
	if (sent < 0)
		weir__socket_fail(to, (int)sent);
	return n;
}

static size_t
take(struct weir__flow *f)
{
	size_t wanted = weir__rate_allows(f, TURN_BYTES), n;

	if (wanted == 0)
		return 0;
	/* Not to files: what has no room is waited for by weir__socket_send. */
	if (f->bulk && weir__held(f->source) == 0 &&
	    f->destination->state == WEIR__OPEN && f->destination->pollable &&
	    f->destination->out == NULL && f->destination->writable &&
	    f->source->handlers->on_data == NULL) {
		n = weir__splice_in(f, wanted);
		if (n > 0) {
			weir__rate_spend(f, n);
		}
		if (n > 0 || !f->source->readable || f->bulk)
			return n;
		/* bulk was given up just now: copy */
	}
	return copy(f, wanted);
}

/* ---- a turn ---- */

/* All was passed on and no more will come. */
static void
finish(struct weir__flow *f)
{
	struct weir_socket *source = f->source, *to = f->destination;
	bool ended = source->eof, end = !f->keep_open || f->stopped;

	weir__pin(to);
	weir__pump_undo(f);
	if (ended)
		source->explicit_pause = false;
	if (end)
		(void)weir_socket_end(to);
	if (ended)
		weir__socket_saw_end(source);
	else if (source->end_asked)
		/* Both of a pair have been ended: what still comes has nowhere
		 * to go, and the peer's end is all that it waits for. */
		weir_socket_resume(source);
	weir__unpin(to);
}

/* The end of a turn: pipes go back, bulk that is none is forgotten. */
static void
settle_turn(struct weir__flow *f, size_t moved)
{
	if (f->pipe != NULL && f->piped == 0)
		weir__splice_return(f);
	if (f->bulk && moved > 0 && moved < BULK_LEAST && f->rate == 0) {
		f->bulk = false;
		f->full_reads = 0;
	}
}

static void
run_flow(struct weir__flow *f)
{
	struct weir_socket *s = f->source;
	size_t moved = 0;
	int reads = 0;

	weir__pin(s);
	for (;;) {
		enum given given = give(f);

		if (given == GONE || s->from != f)
			break;
		if (given == GIVEN) {
			f->full = false;
			if (s->dying != 0 && !s->readable) {
				weir_socket_destroy(s, s->dying);
				break;
			}
			/* An end waits for a destination to pass it on to. */
			if ((s->eof || f->stopped) &&
			    f->destination->state == WEIR__OPEN) {
				finish(f);
				break;
			}
		}
		if (!s->readable || !may_take(f))
			break;
		if (moved >= TURN_BYTES || ++reads > TURN_READS) {
			/* Still readable: the loop comes back, but not for
			 * one that it does not wait for any more. */
			if (s->dying != 0)
				weir__socket_defer(s, WEIR__DUE_READ);
			break;
		}
		moved += take(f);
		if (s->from != f)
			break;
	}
	if (s->from == f) {
		settle_turn(f, moved);
		weir__pump_update(f->destination);
	}
	if (s->state == WEIR__OPEN && s->from == NULL && s->dying != 0)
		weir_socket_destroy(s, s->dying);
	weir__pump_update(s);
	weir__unpin(s);
}

/* No pipe: to the handler, or away, as long as the socket flows. */
static void
read_for_handler(struct weir_socket *s)
{
	unsigned char *scratch = weir__loop_scratch(s->loop);
	int reads = 0;
	size_t n;
	int taken;

	if (scratch == NULL) {
		weir_socket_destroy(s, -ENOMEM);
		return;
	}
	while (s->state == WEIR__OPEN && s->from == NULL && s->bev == NULL &&
	       weir__socket_flowing(s)) {
		if (weir__held(s) > 0) {
			taken = evbuffer_remove(s->in, scratch, WEIR__SCRATCH);
			let_go(s);
			weir__tell_data(s, scratch, (size_t)taken);
			continue;
		}
		if (s->eof) {
			weir__socket_saw_end(s);
			return;
		}
		if (s->dying != 0 && !s->readable) {
			weir_socket_destroy(s, s->dying);
			return;
		}
		if (!s->readable)
			return;
		if (++reads > TURN_READS)
			return;
		n = read_bytes(s, scratch, WEIR__SCRATCH);
		if (n > 0)
			weir__tell_data(s, scratch, n);
	}
}

/*
 * The peer may have reset a socket from which nothing is read now: the pipe
 * is blocked, or its FIN came long ago. Only asking tells.
 */
static void
look_for_reset(struct weir_socket *s)
{
	struct pollfd p = {.fd = s->fd};
	int err = 0;
	socklen_t length = sizeof(err);

	if (poll(&p, 1, 0) != 1 || (p.revents & POLLERR) == 0)
		return;
	if (!s->is_socket)
		err = EPIPE;
	else if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &length) == -1)
		err = errno;
	weir__socket_fail(s, err != 0 ? -err : -ECONNRESET);
}

/*
 * Our side is ended and nobody wants what the peer sends: its FIN is all that
 * the socket is open for. Bytes before it stay where they are, for who resumes.
 */
static void
look_for_end(struct weir_socket *s)
{
	char byte;

	if (s->tls != NULL
		? weir__tls_ended(s)
		: recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		weir__socket_saw_end(s);
}

static bool
waits_for_end(const struct weir_socket *s)
{
	return s->end_asked && !s->eof && s->from == NULL && s->is_socket &&
	       !s->explicit_pause && weir__held(s) == 0;
}

static bool
flow_waits(const struct weir__flow *f)
{
	return f != NULL &&
	       (f->piped > 0 || weir__held(f->source) > 0 || f->source->eof ||
		   f->stopped || f->source->dying != 0);
}

void
weir__pump_run(struct weir_socket *s)
{
	weir__pin(s);
	if (s->state == WEIR__OPEN && s->tls != NULL)
		weir__tls_run(s);
	if (s->state == WEIR__OPEN && s->out != NULL)
		(void)weir__pump_flush(s);
	if (s->state == WEIR__OPEN && s->from != NULL)
		run_flow(s->from);
	else if (s->state == WEIR__OPEN && s->pollable)
		read_for_handler(s);
	if (s->state == WEIR__OPEN && s->to != s->from && flow_waits(s->to)) {
		/* Perhaps; after a wait it saves a turn. */
		s->to->source->readable =
		    s->to->full || s->to->source->dying != 0;
		run_flow(s->to);
	}
	if (s->state == WEIR__OPEN && s->from == NULL && s->dying != 0)
		weir_socket_destroy(s, s->dying);
	weir__pump_update(s);
	weir__unpin(s);
}

/* ---- the event ---- */

static void
on_event(evutil_socket_t fd, short what, void *user)
{
	struct weir_socket *s = user;

	(void)fd;
	weir__pin(s);
	if (s->state == WEIR__CONNECTING) {
		weir__connect_event(s);
	} else if (s->interest & WEIR__WATCH) {
		look_for_reset(s);
		if (s->state == WEIR__OPEN && s->interest & WEIR__FIN)
			look_for_end(s);
	} else {
		s->seen_twice = s->eof;
		s->readable = (what & EV_READ) != 0;
		if (what & EV_WRITE && s->tls == NULL)
			s->writable = true;
		weir__pump_run(s);
	}
	weir__unpin(s);
}

static unsigned
interest(const struct weir_socket *s)
{
	unsigned want = 0;

	if (s->state == WEIR__CONNECTING)
		return WEIR__WRITE;
	if (s->from != NULL ? may_take(s->from) && s->dying == 0
			    : weir__socket_flowing(s) && !s->eof)
		want |= WEIR__READ;
	if (!s->writable && (s->out != NULL || flow_waits(s->to)))
		want |= WEIR__WRITE;
	if (s->tls != NULL)
		want = weir__tls_interest(s, want);
	if (want != 0)
		return want;
	return waits_for_end(s) ? WEIR__WATCH | WEIR__FIN : WEIR__WATCH;
}

void
weir__pump_update(struct weir_socket *s)
{
	unsigned want;
	short events = EV_PERSIST;

	if (s->fd == -1 || s->bev != NULL || !s->pollable || s->fresh ||
	    (s->state != WEIR__OPEN && s->state != WEIR__CONNECTING))
		return;
	want = interest(s);
	if (s->tls != NULL && want & WEIR__READ && weir__tls_more(s))
		weir__socket_defer(s, WEIR__DUE_READ);
	if (want == s->interest)
		return;
	/* A FIN is often followed by the other side's at once. Only if it is
	 * still readable in the next turn is it worth two calls to watch. */
	if (want == WEIR__WATCH && s->interest == WEIR__READ && s->eof &&
	    !s->seen_twice)
		return;
	if (s->interest != 0)
		(void)event_del(&s->event);
	if (want & WEIR__READ)
		events |= EV_READ;
	if (want & WEIR__WRITE)
		events |= EV_WRITE;
	if (want & WEIR__WATCH)
		events |= EV_WRITE | EV_ET;
	if (want & WEIR__FIN)
		events |= EV_CLOSED;
	s->interest = want;
	if (event_assign(&s->event, weir_loop_base(s->loop), s->fd, events,
		on_event, s) == -1 ||
	    event_add(&s->event, NULL) == -1) {
		s->interest = 0;
		weir_socket_destroy(s, -ENOMEM);
	}
}

void
weir__pump_leave(struct weir_socket *s)
{
	if (s->interest != 0)
		(void)event_del(&s->event);
	s->interest = 0;
	s->readable = false;
}
