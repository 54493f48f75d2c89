/*
 * What the files of a socket share: socket.c (verbs and lifecycle), write.c,
 * idle.c (its timeout), socket_ask.c, connect.c (from a name to a connection),
 * stream.c (the handlers' lane, a bufferevent), pump.c (the lane of pipes, no
 * buffer at all) and tls.c (beneath the pump).
 */
#ifndef NET_SOCKET_PRIV_H
#define NET_SOCKET_PRIV_H

#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include <weir/socket.h>

#include "net/loop_priv.h"

struct bufferevent;
struct weir_server;
struct weir__connect;
struct weir__extra;
struct weir__flow;
struct weir__tls;

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
};

/* What the pump's event waits for; 0 is nothing. */
enum {
	WEIR__READ = 1 << 0,
	WEIR__WRITE = 1 << 1,
	WEIR__WATCH = 1 << 2, /* a reset only */
	WEIR__FIN = 1 << 3,   /* ... and, with it, an end without bytes */
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

struct weir_socket {
	struct weir_loop *loop;
	const struct weir_socket_handlers *handlers;
	void *user;
	int fd;

	enum weir__state state : 3;
	bool allow_half_open : 1;
	bool is_socket : 1, pollable : 1;
	bool unref : 1, held : 1;
	bool explicit_pause : 1, explicit_flow : 1;
	bool eof : 1;	   /* FIN was read */
	bool rd_ended : 1; /* ... and told */
	bool end_asked : 1, fin_sent : 1, soon : 1;
	bool need_drain : 1, told_full : 1;
	bool fresh : 1;	 /* its owner is being told: no lane before that */
	bool doomed : 1; /* freed; goes when nothing pins it */

	bool seen_twice : 1;   /* a FIN, by the event */
	bool readable : 1;     /* this turn, until a read comes back short */
	bool writable : 1;     /* until a write comes back short */
	unsigned interest : 4; /* what event waits for, WEIR__READ ... */

	unsigned pins;
	unsigned due;
	int error;
	int dying; /* fails with this once the pipe has passed on the rest */
	struct weir__task task;

	struct bufferevent *bev; /* stream.c's; NULL in the pump's lane */
	struct event event;	 /* pump.c's, and a connect's */
	struct evbuffer *in;	 /* read, not passed on yet; or NULL */
	struct evbuffer *out;	 /* to be written; or NULL */
	struct weir__flow *from; /* the pipe that it is the source of */
	struct weir__flow *to;	 /* ... the destination of */

	struct weir__connect *connect; /* while connecting */
	struct weir__tuning *tuning;   /* or NULL */
	struct weir__idle *idle;       /* or NULL */
	struct weir__extra *extra;     /* what few need; or NULL */
	struct weir__tls *tls;	       /* or NULL */

	struct event *retry;	    /* a file had no room; or NULL */
	int full;		    /* why */
	struct sockaddr_in6 remote; /* of an accepted TCP one, to save a call;
				     * AF_UNSPEC: ask */

	uint64_t bytes_read, bytes_written, bytes_dropped;
	uint64_t active_ms;

	struct weir_server *server;	      /* it came by; or NULL */
	TAILQ_ENTRY(weir_socket) server_next; /* weir_server.sockets */
};

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
	if (s->extra != NULL)
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

/* Write without waiting; 0 where it would. Returns bytes or -errno. */
ssize_t weir__socket_send(
    struct weir_socket *s, const void *data, size_t length);
ssize_t weir__socket_send_buffer(struct weir_socket *s, struct evbuffer *data);

void weir__write_free(struct weir_socket *s); /* what waits for room */

/* ---- idle.c ---- */

/* Bytes moved: for weir_socket_idle_ms() and the timeout. */
void weir__socket_touch(struct weir_socket *s);
void weir__idle_free(struct weir_socket *s);

/* ---- tuning.c ---- */

void weir__tuning_apply(int fd, const struct weir__tuning *tuning);

/* For server.c: an accepted descriptor as a socket. */
int weir__socket_accepted(
    struct weir_socket **ret, struct weir_server *server, int fd);

/* ---- connect.c ---- */

/* The next address, from the task; the event or the timer of the one tried. */
void weir__connect_next(struct weir_socket *s);
void weir__connect_event(struct weir_socket *s);
void weir__connect_free(struct weir_socket *s);

/* ---- stream.c ---- */

int weir__stream_enter(struct weir_socket *s);
int weir__stream_leave(struct weir_socket *s);
void weir__stream_update(struct weir_socket *s); /* flowing changed */
void weir__stream_read(struct weir_socket *s);	 /* due; calls handlers */

/* ---- pump.c ---- */

/* Wait for what the socket's state asks for; in the pump's lane only. */
void weir__pump_update(struct weir_socket *s);
void weir__pump_leave(struct weir_socket *s);
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

/* ---- tls.c: all but forget only for a socket whose tls is not NULL ---- */

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
