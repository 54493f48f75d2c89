/*
 * What the files of a socket share: socket.c (verbs and lifecycle), write.c,
 * idle.c (its timeout), socket_ask.c, connect.c (from a name to a connection),
 * stream.c (the handlers' lane, a bufferevent), pump.c (the lane of pipes, no
 * buffer at all), await.c (its event) and tls.c (beneath the pump).
 */
#ifndef NET_SOCKET_PRIV_H
#define NET_SOCKET_PRIV_H

#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include <weir/socket.h>

#include "net/extra_priv.h"
#include "net/loop_priv.h"

struct weir_server;
struct weir__connect;
struct weir__flow;
struct weir__origin;

enum weir__state {
	WEIR__IDLE,	  /* not opened yet, or closed */
	WEIR__CONNECTING, /* looking up or connecting */
	WEIR__OPEN,
	WEIR__CLOSING, /* no I/O any more; on_close is due */
};

/* What the socket's task has to do, in this order. */
enum {
	WEIR__DUE_CONNECT = 1 << 0, /* try the next address */
	WEIR__DUE_OPENED = 1 << 1,  /* on_connect, on_ready */
	WEIR__DUE_READ = 1 << 2,   /* look for bytes: resumed, piped, yielded */
	WEIR__DUE_FULL = 1 << 4,   /* on_full */
	WEIR__DUE_BROKEN = 1 << 5, /* on_broken */
	WEIR__DUE_CLOSE = 1 << 6,  /* on_error, on_close */
	WEIR__DUE_WRITTEN = 1 << 7, /* writes that tell; after READ */
	WEIR__DUE_SESSION = 1 << 8, /* on_session; before READ */
	WEIR__DUE_LATER = 1 << 9,   /* READ in the next turn */
};

/* What the pump's event waits for; 0 is nothing. An event that tells of edges
 * has READ for good, and WRITE from the first time that it was wanted. */
enum {
	WEIR__READ = 1 << 0,
	WEIR__WRITE = 1 << 1,
	WEIR__WATCH = 1 << 2, /* a reset only */
	WEIR__FIN = 1 << 3,   /* ... and, with it, an end without bytes */
};

/* A pipe, from the socket that it is part of. */
struct weir__flow {
	struct weir_socket *destination; /* NULL: there is none */
	uint32_t buffer;
	uint8_t full_reads;
	bool keep_open : 1, may_splice : 1;
	bool stopped : 1; /* reads no more; ends once all is given */
	bool full : 1;	  /* buffer is full: drain it before reading on */
	bool bulk : 1;
	bool corked : 1;     /* the last bytes wait in the kernel for the FIN */
	bool rate_waits : 1; /* for the timer of limit */
};

/* Settings that wait for a descriptor. */
struct weir__tuning {
	bool no_delay_set, no_delay;
	bool keep_alive_set, keep_alive;
	uint64_t initial_delay_ms, interval_ms, user_timeout_ms;
	unsigned count;
};

struct weir__idle {
	struct weir_socket *socket;
	struct event event;
	uint64_t ms;
	bool told; /* until there is activity again */
};

/*
 * There is one for each side of each connection, and mostly nothing happens to
 * it: what is not needed at rest is in extra, which few have.
 */
struct weir_socket {
	struct weir_loop *loop;
	const struct weir_socket_handlers *handlers;
	void *user;
	int fd;

	enum weir__state state : 2;
	bool allow_half_open : 1;
	bool is_socket : 1, pollable : 1;
	bool unref : 1, held : 1;
	bool explicit_pause : 1, explicit_flow : 1;
	bool eof : 1;	   /* FIN was read */
	bool rd_ended : 1; /* ... and told */
	bool end_asked : 1, fin_sent : 1, soon : 1;
	bool need_drain : 1;
	bool fresh : 1;	      /* its owner is being told: no lane before that */
	bool frozen : 1;      /* no I/O: it may go to another process */
	bool stop_source : 1; /* adopted: who will be piped to it reads no more
			       */
	bool doomed : 1;      /* freed; goes when nothing pins it */

	bool is_tcp : 1;
	bool accepted : 1;     /* it has an origin, and no connect */
	bool remote_known : 1; /* it has a remote */
	bool edges : 1;	       /* what event tells of; else of levels */
	bool stray : 1;	       /* ... it told what nothing waited for */
	bool hup : 1;	       /* the FIN is in the kernel, to be read */
	bool seen_twice : 1;   /* a FIN, by an event of levels */
	bool readable : 1;     /* until a read comes back short; where the
				* event tells of levels, of this turn */
	bool writable : 1;     /* until a write comes back short */
	unsigned interest : 4; /* what event waits for, WEIR__READ ... */

	uint16_t pins, due;
	unsigned doubted; /* its place in weir__doubts, from 1; or 0 */
	int error;
	int dying; /* fails with this once the pipe has passed on the rest */
	struct weir__task task;

	struct event event;	/* pump.c's, and a connect's */
	struct weir__flow flow; /* the pipe that it is the source of */
	struct weir__flow *to;	/* ... the destination of; or NULL */

	union {
		struct weir__connect *connect; /* while connecting */
		struct weir__origin *origin;   /* counted */
		struct weir__late *late;       /* else, or NULL */
	};
	struct weir__extra *extra; /* what few need; or NULL */

	/* What was written is what was delivered, dropped or is queued. */
	uint64_t bytes_read, bytes_delivered;
	struct weir_totals *totals; /* the owner's; or NULL */
	uint64_t active_ms;

	/* Who is at the other end of an accepted TCP one, known for good: a
	 * sockaddr_in6, or of a sockaddr_in as much as has a meaning. */
	unsigned char remote[];
};

/* A pointer more is 16 bytes for each side of each idle connection: what few
 * need belongs into struct weir__extra. */
_Static_assert(sizeof(void *) != 8 || offsetof(struct weir_socket, remote) <=
					  sizeof(struct event) + 136,
    "struct weir_socket has grown");

/* Of what it has only while it needs it; or NULL. */
static inline struct bufferevent * /* stream.c's; NULL in the pump's lane */
weir__bev(const struct weir_socket *s)
{
	return s->extra != NULL ? s->extra->bev : NULL;
}

static inline struct evbuffer * /* read, not passed on yet */
weir__in(const struct weir_socket *s)
{
	return s->extra != NULL ? s->extra->in : NULL;
}

static inline struct evbuffer * /* to be written */
weir__out(const struct weir_socket *s)
{
	return s->extra != NULL ? s->extra->out : NULL;
}

static inline struct weir__tls *
weir__tls(const struct weir_socket *s)
{
	return s->extra != NULL ? s->extra->tls : NULL;
}

/* The pipe that it is the source of, or NULL. */
static inline struct weir__flow *
weir__from(const struct weir_socket *s)
{
	return s->flow.destination != NULL ? (struct weir__flow *)&s->flow
					   : NULL;
}

/* Tell the owner, who may free the socket meanwhile: the caller holds a pin. */
#define weir__tell(socket, handler, ...)                                       \
	do {                                                                   \
		if ((socket)->handlers->handler != NULL)                       \
			(socket)->handlers->handler(                           \
			    (socket)__VA_ARGS__, (socket)->user);              \
	} while (0)

static inline void
weir__pin(struct weir_socket *s)
{
	s->pins++;
}

void weir__unpin(struct weir_socket *s);

/* Who else reads a total may be another process; who adds is this one. */
static inline void
weir__total_add(uint64_t *total, uint64_t n)
{
	__atomic_store_n(total, *total + n, __ATOMIC_RELAXED);
}

/* n bytes came in; n were taken by the kernel. */
static inline void
weir__count_read(struct weir_socket *s, size_t n)
{
	s->bytes_read += n;
	if (s->totals != NULL)
		weir__total_add(&s->totals->read, n);
}

/* They are to be read once more, as what is encrypted in them. */
static inline void
weir__count_unread(struct weir_socket *s, size_t n)
{
	weir__count_read(s, (size_t)0 - n);
}

static inline void
weir__count_delivered(struct weir_socket *s, size_t n)
{
	s->bytes_delivered += n;
	if (s->totals != NULL)
		weir__total_add(&s->totals->delivered, n);
}

/* ---- extra.c ---- */

void weir__extra_data(struct weir_socket *s, const void *data, size_t n);

/* on_data, with the bytes as the owner wants them. */
static inline void
weir__tell_data(struct weir_socket *s, const void *data, size_t n)
{
	if (s->extra != NULL)
		weir__extra_data(s, data, n);
	else
		weir__tell(s, on_data, , data, n);
}

/* ---- socket.c ---- */

void weir__socket_defer(struct weir_socket *s, unsigned due);
bool weir__socket_flowing(const struct weir_socket *s);

/* Some of what was queued is out, or the FIN is. */
static inline void
weir__note_written(struct weir_socket *s)
{
	if (s->extra != NULL && !STAILQ_EMPTY(&s->extra->writes))
		weir__socket_defer(s, WEIR__DUE_WRITTEN);
}

/* A connected descriptor: open, and in the lane that fits. 0 or -errno, and
 * nothing was changed. */
int weir__socket_opened(struct weir_socket *s, int fd);
void weir__socket_settle(struct weir_socket *s);
/* The owner has been told of it: settle at last. */
void weir__socket_unwrap(struct weir_socket *s);

/* A connect has begun: what an opening before left behind is forgotten. */
void weir__socket_connecting(struct weir_socket *s);

/* The FIN, and the end of both sides; calls no handler. */
void weir__socket_progress(struct weir_socket *s);

/* The FIN was read and all before it passed on. Calls handlers. */
void weir__socket_saw_end(struct weir_socket *s);

/* I/O failed. What a pipe can still read of it is passed on first. */
void weir__socket_fail(struct weir_socket *s, int err);

/* ---- write.c ---- */

/* Bytes that wait to be written, in either lane. */
size_t weir__socket_queued(const struct weir_socket *s);

/* All that was queued is out: drain, FIN, close. Calls handlers. */
void weir__socket_drained(struct weir_socket *s);

/* Write without waiting; 0 where it would. Returns bytes or -errno. Where a
 * FIN follows at once, the last bytes may wait for it. */
ssize_t weir__socket_send(
    struct weir_socket *s, const void *data, size_t length, bool fin_follows);
/* It does not follow after all: let them go. */
void weir__socket_push(struct weir_socket *s);
ssize_t weir__socket_send_buffer(struct weir_socket *s, struct evbuffer *data);

void weir__write_free(struct weir_socket *s); /* what waits for room */

/* ---- idle.c ---- */

/* Bytes moved: for weir_socket_idle_ms() and the timeout. */
void weir__socket_touch(struct weir_socket *s);
void weir__idle_free(struct weir_socket *s);

/* ---- tuning.c ---- */

void weir__tuning_apply(int fd, const struct weir__tuning *tuning);

/*
 * Most connections that are made are over before any of their settings has a
 * meaning. So they are made late: before the second write, or a first one of
 * more than one segment (which alone is never held back), when it has lived
 * for a moment, or when somebody may look.
 */
struct weir__late {
	struct weir__tuning tuning;
	unsigned refs;
};

/* Of a socket that is open now. */
void weir__tuning_apply_late(
    struct weir_socket *s, const struct weir__tuning *tuning);
void weir__tuning_make_late(struct weir_socket *s);
void weir__tuning_forget_late(struct weir_socket *s);
void weir__late_unref(struct weir__late *late); /* NULL is fine */

static inline bool
weir__is_late(const struct weir_socket *s)
{
	return s->late != NULL && !s->accepted && s->state == WEIR__OPEN;
}

/* How much of a remote address is kept, of what family; 0: nothing. */
static inline size_t
weir__remote_length(sa_family_t family)
{
	if (family == AF_INET6)
		return sizeof(struct sockaddr_in6);
	return family == AF_INET ? offsetof(struct sockaddr_in, sin_zero) : 0;
}

/* For server.c: an accepted descriptor as a socket, and who is at the other end
 * as accept told; AF_UNSPEC: it did not. The origin is referenced. */
int weir__socket_accepted(struct weir_socket **ret, struct weir_server *server,
    struct weir__origin *origin, int fd, const struct sockaddr_in6 *remote);

/* ---- connect.c ---- */

/* The next address, from the task; the event of the one tried, which has
 * failed perhaps. */
void weir__connect_next(struct weir_socket *s);
void weir__connect_event(struct weir_socket *s, bool perhaps_failed);
void weir__connect_free(struct weir_socket *s);

/* ---- stream.c ---- */

int weir__stream_enter(struct weir_socket *s);
int weir__stream_leave(struct weir_socket *s);
void weir__stream_update(struct weir_socket *s); /* flowing changed */
void weir__stream_read(struct weir_socket *s);	 /* due; calls handlers */

/* ---- await.c ---- */

/* Wait for what the socket's state asks for; in the pump's lane only. Where
 * the event tells of edges there is mostly nothing to do. */
void weir__pump_rearm(struct weir_socket *s);

/* A read came back short, so that no more is there; most probably. Or settings
 * are to be made late. False: look at once, there is no memory to do so later.
 */
bool weir__doubt(struct weir_socket *s);

static inline void
weir__pump_update(struct weir_socket *s)
{
	if (!s->edges || s->stray || weir__tls(s) != NULL ||
	    (!s->writable && (s->interest & WEIR__WRITE) == 0))
		weir__pump_rearm(s);
}

void weir__pump_leave(struct weir_socket *s);

/* ---- pump.c ---- */

void weir__pump_run(struct weir_socket *s); /* due; calls handlers */
bool weir__pump_flush(struct weir_socket *s);

/* ---- pipe.c ---- */

/* Undo a pipe; the source is paused. The socket's I/O ended: undo both. */
void weir__pump_undo(struct weir__flow *flow);
void weir__pump_drop(struct weir_socket *s);
/* Read no more for this destination; pass on what is held, then end it. */
void weir__pump_stop(struct weir__flow *flow);
/* TLS begins: no bytes may go past it by splice. 0 or an error. */
int weir__pump_secure(struct weir_socket *s);

/* ---- tls.c: all but forget only for a socket that has TLS ---- */

void weir__tls_begin(struct weir_socket *s); /* the socket is open */
void weir__tls_run(struct weir_socket *s);   /* from the loop; calls handlers */
size_t weir__tls_read(struct weir_socket *s, unsigned char *to, size_t wanted);
/* As weir__socket_send() and weir__socket_send_buffer(). */
ssize_t weir__tls_send(struct weir_socket *s, const void *data, size_t length);
ssize_t weir__tls_send_buffer(struct weir_socket *s, struct evbuffer *data);

/* What the event is to wait for, where the pump wants so much. */
unsigned weir__tls_interest(const struct weir_socket *s, unsigned want);
/* Bytes may be had that no event will tell of. */
bool weir__tls_more(const struct weir_socket *s);
/* The peer has ended, and all before it was read. */
bool weir__tls_ended(struct weir_socket *s);
/* The owner's bytes that are encrypted and not sent yet. */
size_t weir__tls_unsent(const struct weir_socket *s);

/* Send close_notify; true once it is out, or cannot be sent. */
bool weir__tls_finish(struct weir_socket *s);
void weir__tls_broken(struct weir_socket *s); /* nothing can be sent any more */
void weir__tls_shut(struct weir_socket *s);   /* no more I/O */
void weir__tls_forget(struct weir_socket *s); /* another opening, or the end */

#endif
