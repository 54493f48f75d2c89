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
 * A turn is bounded; a flow that has more comes back after the others.
 *
 * pipe.c makes and undoes pipes, await.c has what is waited for; rate.c and
 * splice.c have what few flows need.
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
	struct evbuffer *in = weir__extra_in(s);

	return in != NULL && evbuffer_add(in, data, length) == 0 ? 0 : -ENOMEM;
}

static void
let_go(struct weir_socket *s)
{
	if (weir__in(s) != NULL && weir__held(s) == 0) {
		evbuffer_free(s->extra->in);
		s->extra->in = NULL;
		weir__extra_trim(s);
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
	struct evbuffer *out;
	ssize_t n;

	while ((out = weir__out(s)) != NULL && evbuffer_get_length(out) > 0) {
		if (!s->writable)
			return false;
		n = weir__socket_send_buffer(s, out);
		if (n < 0) {
			weir__socket_fail(s, (int)n);
			return false;
		}
		if (n == 0)
			return false;
		weir__note_written(s);
	}
	if (out != NULL) {
		evbuffer_free(out);
		s->extra->out = NULL;
		weir__extra_trim(s);
		weir__socket_drained(s);
	}
	return s->state == WEIR__OPEN;
}

/* Pass on what is held. Calls handlers only when the destination fails. */
static enum given
give(struct weir__flow *f)
{
	struct weir_socket *source = weir__source(f), *to = f->destination;
	ssize_t n;

	while (weir__piped(f) > 0 || weir__held(source) > 0) {
		if (to->state != WEIR__OPEN || weir__out(to) != NULL ||
		    !to->writable)
			return BLOCKED;
		if (to->end_asked || to->dying != 0) {
			weir__pump_undo(f);
			return GONE;
		}
		n = weir__piped(f) > 0
			? weir__splice_out(f)
			: weir__socket_send_buffer(to, source->extra->in);
		if (n < 0) {
			weir__socket_fail(to, (int)n);
			return GONE;
		}
		weir__loop_passed_on(source->loop, (size_t)n);
	}
	let_go(source);
	return GIVEN;
}

/* ---- taking ---- */

/*
 * After a read that came back short: has the kernel no more now? It has where
 * the FIN is known to be there, and may have where a unix socket's reads end
 * with what one write passed. TCP's end at an urgent mark, too; who still uses
 * those are telnet and FTP, which put an IAC before it. And a reset that came
 * with the bytes is not told apart from them: for that it is looked at again.
 */
static bool
was_all(struct weir_socket *s, unsigned char last)
{
	if (!s->edges)
		return true;
	return s->is_tcp && !s->hup && last != 0xff && weir__doubt(s);
}

/* 0 or bytes; the end and errors are noted with the socket. */
static size_t
read_bytes(struct weir_socket *s, unsigned char *to, size_t wanted)
{
	ssize_t n;

	if (weir__tls(s) != NULL)
		return weir__tls_read(s, to, wanted);
	do {
		n = s->is_socket ? recv(s->fd, to, wanted, MSG_DONTWAIT)
				 : read(s->fd, to, wanted);
	} while (n == -1 && errno == EINTR);
	if (n > 0) {
		weir__count_read(s, (size_t)n);
		weir__socket_touch(s);
		if ((size_t)n < wanted && was_all(s, to[n - 1]))
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

/* The FIN is next. Where it ends both sides, what the other has sent at the
 * same time is to be seen before it. */
static bool
end_can_wait(const struct weir_socket *s)
{
	return s->hup && !s->allow_half_open && !s->end_asked;
}

/* The FIN comes with the next read, in this turn, and is passed on at once. One
 * packet is enough for both then. */
static bool
fin_follows(const struct weir__flow *f, bool was_short)
{
	const struct weir_socket *s = weir__source_const(f);

	return was_short && s->hup && !end_can_wait(s) && s->is_tcp &&
	       s->handlers->on_data == NULL && f->destination->is_tcp &&
	       weir__tls(f->destination) == NULL && !f->keep_open &&
	       weir__limit(f) == NULL;
}

static ssize_t
send_on(struct weir__flow *f, const void *data, size_t n, bool was_short)
{
	f->corked = fin_follows(f, was_short);
	return weir__socket_send(f->destination, data, n, f->corked);
}

/* Either the FIN takes it along, or it has not come after all. */
static void
let_corked_go(struct weir__flow *f)
{
	if (f->corked && !weir__source(f)->eof)
		weir__socket_push(f->destination);
	f->corked = false;
}

/* Read into the scratch buffer, write from it, hold what is left. The
 * handler that listens in may undo the pipe: then the bytes are held. */
static size_t
copy(struct weir__flow *f, size_t wanted)
{
	struct weir_socket *s = weir__source(f), *to = f->destination;
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
	let_corked_go(f);
	if (n == 0)
		return 0;
	note_bulk(f, n, wanted);
	weir__rate_spend(f, n);
	if (s->handlers->on_data != NULL) {
		weir__tell_data(s, scratch, n);
		if (s->state != WEIR__OPEN)
			return n;
		f = weir__from(s);
	}
	if (f != NULL && f->destination == to && weir__held(s) == 0 &&
	    to->state == WEIR__OPEN && weir__out(to) == NULL && to->writable &&
	    !to->end_asked && to->dying == 0)
		sent = send_on(f, scratch, n, n < wanted);
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
	if (f->bulk && weir__held(weir__source(f)) == 0 &&
	    f->destination->state == WEIR__OPEN && f->destination->pollable &&
	    weir__out(f->destination) == NULL && f->destination->writable &&
	    weir__source(f)->handlers->on_data == NULL) {
		n = weir__splice_in(f, wanted);
		if (n > 0) {
			weir__rate_spend(f, n);
		}
		if (n > 0 || !weir__source(f)->readable || f->bulk)
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
	struct weir_socket *source = weir__source(f), *to = f->destination;
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
	if (weir__piped(f) == 0)
		weir__splice_return(f);
	if (f->bulk && moved > 0 && moved < BULK_LEAST &&
	    weir__limit(f) == NULL) {
		f->bulk = false;
		f->full_reads = 0;
		weir__extra_trim(weir__source(f));
	}
}

/* Still readable, but others have their turn. Only an event of levels tells
 * again, and not of a socket that is about to be destroyed. */
static void
come_back(struct weir_socket *s)
{
	if (s->edges || s->dying != 0)
		weir__socket_defer(s, WEIR__DUE_LATER);
}

static void
run_flow(struct weir__flow *f)
{
	struct weir_socket *s = weir__source(f);
	size_t moved = 0;
	int reads = 0;

	weir__pin(s);
	for (;;) {
		enum given given = give(f);

		if (given == GONE || weir__from(s) != f)
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
		if (!s->readable || !weir__may_take(f))
			break;
		if (!f->corked &&
		    (moved >= TURN_BYTES || reads >= TURN_READS)) {
			come_back(s);
			break;
		}
		/* A second fill of a kernel pipe finds little; where others
		 * wait, more has come by the time that they had their turns. */
		reads +=
		    f->bulk && weir__loop_has_tasks(s->loop) ? TURN_READS : 1;
		moved += take(f);
		if (weir__from(s) != f)
			break;
		if (s->readable && end_can_wait(s)) {
			come_back(s);
			break;
		}
	}
	weir__loop_passed_on(s->loop, moved);
	if (weir__from(s) == f) {
		let_corked_go(f);
		settle_turn(f, moved);
		weir__pump_update(f->destination);
	}
	if (s->state == WEIR__OPEN && weir__from(s) == NULL && s->dying != 0)
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
	while (s->state == WEIR__OPEN && weir__from(s) == NULL &&
	       weir__bev(s) == NULL && weir__socket_flowing(s)) {
		if (weir__held(s) > 0) {
			taken = evbuffer_remove(
			    s->extra->in, scratch, WEIR__SCRATCH);
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
		if (++reads > TURN_READS) {
			come_back(s);
			return;
		}
		n = read_bytes(s, scratch, WEIR__SCRATCH);
		if (n > 0)
			weir__tell_data(s, scratch, n);
	}
}

void
weir__pump_run(struct weir_socket *s)
{
	struct weir_loop *loop = s->loop;

	if (s->frozen)
		return;
	weir__loop_turn(loop, true);
	weir__pin(s);
	if (s->state == WEIR__OPEN && weir__tls(s) != NULL)
		weir__tls_run(s);
	if (s->state == WEIR__OPEN && weir__out(s) != NULL)
		(void)weir__pump_flush(s);
	if (s->state == WEIR__OPEN && weir__from(s) != NULL)
		run_flow(weir__from(s));
	else if (s->state == WEIR__OPEN && s->pollable)
		read_for_handler(s);
	if (s->state == WEIR__OPEN && s->to != weir__from(s) &&
	    weir__flow_waits(s->to)) {
		/* Perhaps; after a wait it saves a turn. */
		if (s->to->full || weir__source(s->to)->dying != 0)
			weir__source(s->to)->readable = true;
		else if (!weir__source(s->to)->edges)
			weir__source(s->to)->readable = false;
		run_flow(s->to);
	}
	if (s->state == WEIR__OPEN && weir__from(s) == NULL && s->dying != 0)
		weir_socket_destroy(s, s->dying);
	weir__pump_update(s);
	weir__unpin(s);
	weir__loop_turn(loop, false);
}
