/*
 * What a socket in the pump's lane waits for, by its one event.
 *
 * One of a plain socket tells of edges: it is added once, and what it has told
 * is remembered until a read or a write comes back short. Only where bytes keep
 * coming that nothing waits for, since the flow is full or paused, it is
 * exchanged for one that watches for a reset, which would go unnoticed while
 * nothing is read. All others (TLS, a terminal, a fifo) wait for levels: for
 * bytes while the flow can take, for room while it is full, and else for a
 * reset.
 */
#include "config.h"

#include "net/pump_priv.h"

#include <sys/mman.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include <event2/util.h>

#include <weir/error.h>

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

	if (weir__tls(s) != NULL
		? weir__tls_ended(s)
		: recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		weir__socket_saw_end(s);
}

static bool
waits_for_end(const struct weir_socket *s)
{
	return s->end_asked && !s->eof && weir__from(s) == NULL &&
	       s->is_socket && !s->explicit_pause && weir__held(s) == 0;
}

/* Whether bytes or room are of use now. */
static bool
takes_bytes(const struct weir_socket *s)
{
	return weir__from(s) != NULL
		   ? weir__may_take(weir__from(s)) && s->dying == 0
		   : weir__socket_flowing(s) && !s->eof;
}

static bool
takes_room(const struct weir_socket *s)
{
	return weir__out(s) != NULL || weir__flow_waits(s->to);
}

/* ---- doubts ---- */

/*
 * An edge is told once. A reset that comes between the bytes and the read of
 * them is told with them, and libevent does not say so; a second read after
 * each would find it, and cost a twentieth of what passing on a message does.
 * So who was read short is looked at once more when it has been silent.
 */
#define DOUBT_MS     100
#define DOUBTS_LEAST 512 /* in the list: a page of the smallest */

struct weir__doubts {
	struct event timer;
	struct weir_socket **list;
	unsigned count, room;
};

/* Pages of its own: what a moment with many needed goes back to the system,
 * and is not a hole in the heap for as long as they are idle. */
static bool
resize(struct weir__doubts *d, unsigned room)
{
	size_t was = d->room * sizeof(*d->list), is = room * sizeof(*d->list);
	void *list;

	list = d->list == NULL ? mmap(NULL, is, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
			       : mremap(d->list, was, is, MREMAP_MAYMOVE);
	if (list == MAP_FAILED)
		return false;
	d->list = list;
	d->room = room;
	return true;
}

static bool
make_room(struct weir__doubts *d)
{
	return d->count < d->room ||
	       resize(d, d->room > 0 ? d->room * 2 : DOUBTS_LEAST);
}

static void
forget_doubt(struct weir_socket *s)
{
	struct weir__doubts *d;
	struct weir_socket *last;

	if (s->doubted == 0)
		return;
	d = *weir__loop_doubts(s->loop);
	last = d->list[--d->count];
	d->list[s->doubted - 1] = last;
	last->doubted = s->doubted;
	s->doubted = 0;
}

/* Calls handlers. */
static void
look_again(struct weir_socket *s)
{
	char byte;
	ssize_t n = recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n == -1 && errno == EAGAIN)
		return;
	weir__pin(s);
	if (n == -1) {
		weir__socket_fail(s, -errno);
	} else {
		s->readable = true;
		s->hup = s->hup || n == 0;
		if (takes_bytes(s))
			weir__pump_run(s);
		else if (n == 0 && waits_for_end(s))
			look_for_end(s);
	}
	weir__unpin(s);
}

static void
on_doubts(evutil_socket_t fd, short what, void *user)
{
	static const struct timeval later = {.tv_usec = DOUBT_MS * 1000};
	struct weir__doubts *d = user;
	struct weir_socket *s;
	unsigned i = 0;

	(void)fd;
	(void)what;
	while (i < d->count) {
		s = d->list[i];
		weir__tuning_make_late(s);
		if (weir_socket_idle_ms(s) < DOUBT_MS) {
			i++;
			continue;
		}
		forget_doubt(s);
		look_again(s); /* which may end it, or any other */
	}
	if (d->count > 0)
		(void)event_add(&d->timer, &later);
	else if (d->room > DOUBTS_LEAST)
		(void)resize(d, DOUBTS_LEAST);
}

static struct weir__doubts *
doubts_of(struct weir_loop *loop)
{
	struct weir__doubts **d = weir__loop_doubts(loop);

	if (*d == NULL && (*d = calloc(1, sizeof(**d))) != NULL)
		(void)evtimer_assign(
		    &(*d)->timer, weir_loop_base(loop), on_doubts, *d);
	return *d;
}

bool
weir__doubt(struct weir_socket *s)
{
	static const struct timeval later = {.tv_usec = DOUBT_MS * 1000};
	struct weir__doubts *d;

	if (s->doubted > 0)
		return true;
	d = doubts_of(s->loop);
	if (d == NULL || !make_room(d))
		return false;
	if (!evtimer_pending(&d->timer, NULL) &&
	    event_add(&d->timer, &later) == -1)
		return false;
	d->list[d->count++] = s;
	s->doubted = d->count;
	return true;
}

void
weir__doubts_free(struct weir__doubts *d)
{
	if (d == NULL)
		return;
	(void)event_del(&d->timer);
	if (d->list != NULL)
		(void)munmap(d->list, d->room * sizeof(*d->list));
	free(d);
}

/* ---- the event ---- */

/* Nothing waited for it: a reset, an end that is all that is left to come, or
 * bytes for which there is no room; who sends those is not to wake us again. */
static void
on_stray(struct weir_socket *s, short what)
{
	if ((what & EV_READ) == 0)
		return;
	/* A reset is told as both. */
	if ((s->interest & WEIR__WRITE) == 0 || (what & EV_WRITE) != 0)
		look_for_reset(s);
	if (s->state == WEIR__OPEN && s->hup && waits_for_end(s))
		look_for_end(s);
	if (s->state == WEIR__OPEN && !s->eof) {
		s->stray = true;
		weir__pump_update(s);
	}
}

/* The other side is being connected, and perhaps will be before the turn is
 * over: then nothing need be held until it is. */
static bool
is_early(const struct weir_socket *s)
{
	const struct weir__flow *f = weir__from(s);

	return f != NULL && f->destination->state == WEIR__CONNECTING;
}

/* Its turn is a long one, or others had one: who else was told of is first. */
static bool
can_wait(const struct weir_socket *s)
{
	const struct weir__flow *f = weir__from(s);

	return (f != NULL && f->bulk) || (s->to != NULL && s->to->bulk) ||
	       weir__loop_is_busy(s->loop);
}

/* Remember what is told once only. */
static void
on_edge(struct weir_socket *s, short what)
{
	if (what & EV_CLOSED)
		s->hup = true;
	if (what & (EV_READ | EV_CLOSED))
		s->readable = true;
	if (what & EV_WRITE && s->state == WEIR__OPEN)
		s->writable = true;
	if (s->state == WEIR__CONNECTING) {
		weir__connect_event(s, (what & EV_READ) != 0);
		return;
	}
	/* Its task is about to look, after it was told or has had its turn. */
	if (s->fresh || (s->due & (WEIR__DUE_READ | WEIR__DUE_LATER)) != 0)
		return;
	if (!takes_bytes(s) && !takes_room(s))
		on_stray(s, what);
	else if (is_early(s) || can_wait(s))
		weir__socket_defer(s, WEIR__DUE_READ);
	else
		weir__pump_run(s);
}

static void
on_event(evutil_socket_t fd, short what, void *user)
{
	struct weir_socket *s = user;

	(void)fd;
	weir__pin(s);
	if (s->edges) {
		on_edge(s, what);
	} else if (s->state == WEIR__CONNECTING) {
		weir__connect_event(s, true);
	} else if (s->interest & WEIR__WATCH) {
		look_for_reset(s);
		if (s->state == WEIR__OPEN && s->interest & WEIR__FIN)
			look_for_end(s);
	} else {
		s->seen_twice = s->eof;
		s->readable = (what & EV_READ) != 0;
		if (what & EV_WRITE && weir__tls(s) == NULL)
			s->writable = true;
		weir__pump_run(s);
	}
	weir__unpin(s);
}

/* What the socket's state asks for. */
static unsigned
interest(const struct weir_socket *s)
{
	unsigned want = 0;

	if (s->state == WEIR__CONNECTING)
		return WEIR__WRITE;
	if (takes_bytes(s))
		want |= WEIR__READ;
	if (!s->writable && takes_room(s))
		want |= WEIR__WRITE;
	if (weir__tls(s) != NULL)
		want = weir__tls_interest(s, want);
	if (want != 0)
		return want;
	return waits_for_end(s) ? WEIR__WATCH | WEIR__FIN : WEIR__WATCH;
}

/* What an event of edges is to tell then. TCP tells of room only after there
 * was none, so that it may go on; unix sockets, after each read at their other
 * end. */
static unsigned
edge_interest(const struct weir_socket *s, unsigned want)
{
	if (s->is_tcp && s->edges)
		want |= s->interest;
	return WEIR__READ | (want & WEIR__WRITE);
}

static short
event_flags(unsigned want, bool edges)
{
	short events = EV_PERSIST;

	if (want & WEIR__READ)
		events |= EV_READ;
	if (want & WEIR__WRITE)
		events |= EV_WRITE;
	if (want & WEIR__WATCH)
		events |= EV_WRITE | EV_ET;
	if (want & WEIR__FIN)
		events |= EV_CLOSED;
	if (edges)
		events |= EV_ET | EV_CLOSED;
	return events;
}

void
weir__pump_rearm(struct weir_socket *s)
{
	unsigned want;
	bool edges;

	if (s->fd == -1 || weir__bev(s) != NULL || !s->pollable || s->fresh ||
	    s->frozen ||
	    (s->state != WEIR__OPEN && s->state != WEIR__CONNECTING))
		return;
	want = interest(s);
	if ((want & WEIR__WATCH) == 0)
		s->stray = false;
	if (weir__tls(s) != NULL && want & WEIR__READ && weir__tls_more(s))
		weir__socket_defer(s, WEIR__DUE_READ);
	edges = s->is_socket && weir__tls(s) == NULL && !s->stray;
	if (edges)
		want = edge_interest(s, want);
	if (want == s->interest && edges == s->edges)
		return;
	/* A FIN is often followed by the other side's at once. Only if it is
	 * still readable in the next turn is it worth two calls to watch. */
	if (!edges && want == WEIR__WATCH && s->interest == WEIR__READ &&
	    s->eof && !s->seen_twice)
		return;
	if (s->interest != 0)
		(void)event_del(&s->event);
	s->interest = want;
	s->edges = edges;
	if (event_assign(&s->event, weir_loop_base(s->loop), s->fd,
		event_flags(want, edges), on_event, s) == -1 ||
	    event_add(&s->event, NULL) == -1) {
		s->interest = 0;
		s->edges = false;
		weir_socket_destroy(s, -ENOMEM);
	}
}

void
weir__pump_leave(struct weir_socket *s)
{
	if (s->interest != 0)
		(void)event_del(&s->event);
	s->interest = 0;
	weir__tuning_make_late(s);
	forget_doubt(s);
	s->edges = s->stray = s->hup = false;
	s->readable = false;
}
