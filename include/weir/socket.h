#ifndef WEIR_SOCKET_H
#define WEIR_SOCKET_H

#include <sys/types.h>

#include <weir/address.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

struct weir_loop;
struct weir_resolver;
struct weir_socket;

/* weir_socket_write(): some of it waits in user memory; on_drain will come,
 * unless the socket is ended or destroyed before. */
#define WEIR_WAIT 1

/*
 * What a socket tells its owner. Any may be NULL. None is called from inside a
 * call that asked for the work; any call is allowed in any of them,
 * weir_socket_free() included.
 */
struct weir_socket_handlers {
	/* A name was resolved, or not (err, and address NULL); not for unix
	 * sockets, nor for a host that is an address. With
	 * auto_select_family once for each address found. */
	void (*on_lookup)(struct weir_socket *socket, int err,
	    const struct weir_address *address, const char *host, void *user);

	/* One address is tried; it could not be reached (net.Socket
	 * 'connectionAttempt', 'connectionAttemptFailed'). */
	void (*on_attempt)(struct weir_socket *socket,
	    const struct weir_address *address, void *user);
	void (*on_attempt_failed)(struct weir_socket *socket,
	    const struct weir_address *address, int err, void *user);

	/* With auto_select_family: this one has not been reached yet after
	 * the delay, and the next begins beside it (net.Socket
	 * 'connectionAttemptTimeout'). */
	void (*on_attempt_timeout)(struct weir_socket *socket,
	    const struct weir_address *address, void *user);

	/* Connected; on_ready follows. */
	void (*on_connect)(struct weir_socket *socket, void *user);
	void (*on_ready)(struct weir_socket *socket, void *user);

	/* Bytes came. They are the library's, and last until this returns. */
	void (*on_data)(struct weir_socket *socket, const void *data,
	    size_t length, void *user);

	/* The peer's FIN was read; with a pipe, once all of its bytes have
	 * been passed on. */
	void (*on_end)(struct weir_socket *socket, void *user);

	/* Idle for as long as weir_socket_set_timeout() says. */
	void (*on_timeout)(struct weir_socket *socket, void *user);

	/* All that weir_socket_write() queued has been given to the kernel,
	 * after a WEIR_WAIT. Not once an end has been asked for, by this side
	 * or by the peer's without allow_half_open: nothing more can be
	 * written then. */
	void (*on_drain)(struct weir_socket *socket, void *user);

	/* A file that is written to has no room (err, such as -ENOSPC): what
	 * waits for it is held and tried again by and by. Once, until there
	 * was room again. */
	void (*on_full)(struct weir_socket *socket, int err, void *user);

	/* Nothing can be written any more (err), but it is the source of a
	 * pipe, and what its peer had sent is passed on first. on_error and
	 * on_close follow when that is done. */
	void (*on_broken)(struct weir_socket *socket, int err, void *user);

	/* What ends the socket; on_close comes directly after it. */
	void (*on_error)(struct weir_socket *socket, int err, void *user);

	/* Closed; err as in on_error, or 0. Once an opening, and last. */
	void (*on_close)(struct weir_socket *socket, int err, void *user);

	/* weir_socket_set_secure(): the TLS handshake is done. */
	void (*on_secure)(struct weir_socket *socket, void *user);

	/* The server gave a session that can be resumed, the first one or a
	 * newer one: weir_socket_tls_session() has it. */
	void (*on_session)(struct weir_socket *socket, void *user);
};

/* new net.Socket's options. */
struct weir_socket_options {
	bool allow_half_open;	/* default false */
	size_t high_water_mark; /* weir_socket_set_high_water_mark() */
};

/* net.Socket.connect's options. Zero is the default of each; texts and
 * addresses are read during the call. */
struct weir_connect_options {
	const struct weir_address *local; /* localAddress and localPort */
	uint16_t local_port;		  /* where local is NULL */
	int family;			  /* 4, 6; 0 either: of names */
	uint64_t attempt_timeout_ms;	  /* for a lookup, and for one
					   * address; 0: none of ours */
	bool no_delay;
	bool keep_alive;
	uint64_t keep_alive_initial_delay_ms;
	uint64_t keep_alive_interval_ms;
	unsigned keep_alive_count;
	uint64_t user_timeout_ms;
	uint64_t timeout_ms; /* as weir_socket_set_timeout() */

	/* Instead of weir_resolve(); read during the call. */
	const struct weir_resolver *lookup;

	/* Race the addresses of a host as RFC 8305 has it: the families by
	 * turns, the next begun when one fails or after the delay. */
	bool auto_select_family;
	uint64_t attempt_delay_ms; /* 0: 250; at least 10 */
};

/* How a pipe passes bytes on. Zero is the default of each. */
struct weir_pipe_options {
	size_t buffer;	/* most bytes held in user memory; 0: 64 KiB */
	uint64_t rate;	/* most bytes a second; 0: no limit */
	bool keep_open; /* the source's end does not end the destination */
	bool no_splice; /* never let the kernel move the bytes */
};

/* How on_data shows what came: bytes, or text in UTF-8 (setEncoding). */
enum weir_encoding {
	WEIR_RAW,
	WEIR_UTF8,   /* what is no UTF-8 becomes U+FFFD */
	WEIR_ASCII,  /* the lower seven bits of each byte */
	WEIR_LATIN1, /* a byte is the character of that number */
	WEIR_BASE64, /* padded at the end only */
	WEIR_HEX,    /* lower case */
};

enum weir_ready_state {
	WEIR_CLOSED,
	WEIR_OPENING,
	WEIR_OPEN,
	WEIR_READ_ONLY,
	WEIR_WRITE_ONLY,
};

/*
 * A socket that is not connected (new net.Socket). handlers and user are kept
 * by reference; options may be NULL. *ret is the caller's. Returns 0, -EINVAL
 * or -ENOMEM. Since 0.1.
 */
int weir_socket_new(struct weir_socket **ret, struct weir_loop *loop,
    const struct weir_socket_options *options,
    const struct weir_socket_handlers *handlers, void *user);

/*
 * Put the socket around a descriptor that exists: a connected stream socket, a
 * pipe or FIFO, a character device or a regular file (the last two only to be
 * piped to). It is the socket's from here on and is made non-blocking. With
 * readable or writable false that side counts as ended. The socket is open
 * when the call returns. Returns 0, -EINVAL, -EBADF, -ENOMEM,
 * WEIR_E_NOT_A_STREAM, WEIR_E_SOCKET_CONNECTED; fd stays the caller's then.
 * Since 0.1.
 */
int weir_socket_open_fd(
    struct weir_socket *socket, int fd, bool readable, bool writable);

/* Exchange handlers and user; for sockets that on_connection hands over.
 * Since 0.1. */
void weir_socket_set_handlers(struct weir_socket *socket,
    const struct weir_socket_handlers *handlers, void *user);

/*
 * Destroy and free: its descriptor is closed at once, nothing is called for
 * it any more. From any handler. NULL is fine. Since 0.1.
 */
void weir_socket_free(struct weir_socket *socket);

/*
 * Connect to an address, or to a host by name: each of its addresses is tried
 * in turn. on_connect, or on_error and on_close, tell how it went. What was
 * written or piped to the socket before is sent once it is connected. Returns
 * 0, -EINVAL, -ENOMEM or WEIR_E_SOCKET_CONNECTED. Since 0.1.
 */
int weir_socket_connect(struct weir_socket *socket,
    const struct weir_address *address,
    const struct weir_connect_options *options);
int weir_socket_connect_host(struct weir_socket *socket, const char *host,
    uint16_t port, const struct weir_connect_options *options);

/*
 * Queue length bytes; they are copied. Returns 0 when the kernel has taken all
 * that was queued, WEIR_WAIT when some of it waits (all of it was taken; stop
 * until on_drain), or a negative error that took nothing: -EINVAL, -ENOMEM,
 * WEIR_E_WRITE_AFTER_END, WEIR_E_SOCKET_CLOSED. Since 0.1.
 */
int weir_socket_write(
    struct weir_socket *socket, const void *data, size_t length);

/*
 * What tells of one write, or of an end: err is 0 when all of it has been given
 * to the kernel, or why it never will be (WEIR_E_SOCKET_CLOSED where the socket
 * was destroyed without an error). Once each, in the order of the calls, from
 * the loop and before on_close; not at all once the socket was freed.
 */
typedef void weir_socket_write_fn(
    struct weir_socket *socket, int err, void *user);

/*
 * weir_socket_write(), and fn when this piece has been written out. Returns
 * what that does; with a negative error fn is not called. -EINVAL without fn.
 * Since 0.1.
 */
int weir_socket_write_cb(struct weir_socket *socket, const void *data,
    size_t length, weir_socket_write_fn *fn, void *user);

/*
 * How many bytes may wait before weir_socket_write() returns WEIR_WAIT: fewer
 * are taken with 0 (highWaterMark). 0, the start, is none at all. Returns 0,
 * -EINVAL or -ENOMEM. Since 0.1.
 */
int weir_socket_set_high_water_mark(struct weir_socket *socket, size_t bytes);

/* Write out what is queued, then send FIN. Further calls do nothing. Returns
 * 0, -EINVAL or WEIR_E_SOCKET_CLOSED. Since 0.1. */
int weir_socket_end(struct weir_socket *socket);

/*
 * The same after a last piece of data (length may be 0); fn (may be NULL) is
 * called once the FIN has been sent. Returns 0 or a negative error that did
 * nothing: -EINVAL, -ENOMEM, WEIR_E_SOCKET_CLOSED, or WEIR_E_WRITE_AFTER_END
 * for data after an end. Since 0.1.
 */
int weir_socket_end_data(struct weir_socket *socket, const void *data,
    size_t length, weir_socket_write_fn *fn, void *user);

/*
 * No more I/O: the descriptor is closed, on_error (where err is not 0) and
 * on_close follow from the loop. Again, or when closed: nothing. Since 0.1.
 */
void weir_socket_destroy(struct weir_socket *socket, int err);

/* The same with a TCP reset instead of a FIN. Since 0.1. */
void weir_socket_reset_and_destroy(struct weir_socket *socket);

/* Destroy once what is queued has been written. Since 0.1. */
void weir_socket_destroy_soon(struct weir_socket *socket);

/* Read nothing, so that the peer is slowed down; go on. A socket starts
 * flowing when it has handlers with on_data. Since 0.1. */
void weir_socket_pause(struct weir_socket *socket);
void weir_socket_resume(struct weir_socket *socket);
bool weir_socket_paused(const struct weir_socket *socket);

/*
 * Put bytes back that on_data brought: they are read again, before all that has
 * not been read yet, by whoever reads the socket then: on_data, a pipe, or TLS
 * that begins on it (readable.unshift). They are copied, and are not counted
 * as read once more. Bytes put back in two calls are read in the order that is
 * the reverse of the calls. Whoever wants no more for now pauses first. Returns
 * 0, -EINVAL, -ENOMEM, or WEIR_E_SOCKET_CLOSED where the socket is not open or
 * its end was told. Since 0.1.
 */
int weir_socket_unshift(
    struct weir_socket *socket, const void *data, size_t length);

/*
 * Pass all that source reads on to destination (stream.pipe), which may be the
 * source itself, or not be connected yet: then up to buffer bytes are read and
 * held with the source. The source's on_data, where it has one, sees the bytes
 * too. When the source has ended, the destination is ended after the last
 * byte. A destination that closes is unpiped; what it had not taken stays with
 * the source and goes to the next one. One pipe a source, one a destination.
 * options may be NULL. Returns 0, -EINVAL, -ENOMEM, WEIR_E_ALREADY_PIPED,
 * WEIR_E_SOCKET_CLOSED (source). Since 0.1.
 */
int weir_socket_pipe(struct weir_socket *source,
    struct weir_socket *destination, const struct weir_pipe_options *options);

/* Undo weir_socket_pipe(); the source is paused. Returns 0 or
 * WEIR_E_NOT_PIPED. Since 0.1. */
int weir_socket_unpipe(struct weir_socket *source);

/*
 * on_timeout after so many milliseconds without activity in either direction,
 * once a period (net.Socket.setTimeout); 0 disables. Since 0.1.
 */
int weir_socket_set_timeout(struct weir_socket *socket, uint64_t ms);

/* TCP_NODELAY; also before connect. 0 or -errno. Since 0.1. */
int weir_socket_set_no_delay(struct weir_socket *socket, bool on);

/* SO_KEEPALIVE and its initial delay, 0 leaves that as it was; also before
 * connect. Whole seconds, at least one, are what Linux counts. Since 0.1. */
int weir_socket_set_keep_alive(
    struct weir_socket *socket, bool on, uint64_t initial_delay_ms);

/* The rest of keep-alive: between probes, how many, and TCP_USER_TIMEOUT; 0
 * leaves one as it was. Also before connect. Since 0.1. */
int weir_socket_set_keep_alive_probes(struct weir_socket *socket,
    uint64_t interval_ms, unsigned count, uint64_t user_timeout_ms);

/* Totals, which stay readable after close, until the next connect. written
 * counts what is queued, delivered only what the kernel took. Since 0.1. */
uint64_t weir_socket_bytes_read(const struct weir_socket *socket);
uint64_t weir_socket_bytes_written(const struct weir_socket *socket);
uint64_t weir_socket_bytes_delivered(const struct weir_socket *socket);

/* Bytes of any number of sockets, in any number of loops' processes where the
 * memory is shared; each has one process that adds to it. */
struct weir_totals {
	uint64_t read, delivered;
};

/*
 * From now on add to *totals what is added to the socket's own bytes read and
 * bytes delivered, at the same moment; NULL ends that. The totals are the
 * caller's, and stay until then or until the socket is freed. They are written
 * with relaxed atomic stores, without a lock, by the thread of the loop alone,
 * so that others may read them at any time. What was moved before the call is
 * not added, and an opening anew takes nothing away. Since 0.1.
 */
void weir_socket_set_totals(
    struct weir_socket *socket, struct weir_totals *totals);

/* Bytes that wait in user memory to be written (writableLength), and bytes
 * read that a pipe or a pause holds back. Since 0.1. */
size_t weir_socket_buffered(const struct weir_socket *socket);
size_t weir_socket_held(const struct weir_socket *socket);

/* Milliseconds since bytes last moved either way. Since 0.1. */
uint64_t weir_socket_idle_ms(const struct weir_socket *socket);

/* As the system tells; -ENOTCONN where there is none (any more). Since 0.1. */
int weir_socket_local_address(
    const struct weir_socket *socket, struct weir_address *ret);
int weir_socket_remote_address(
    const struct weir_socket *socket, struct weir_address *ret);

/* Who connected to a unix socket (SO_PEERCRED). 0 or -errno. Since 0.1. */
int weir_socket_peer_credentials(
    const struct weir_socket *socket, pid_t *pid, uid_t *uid, gid_t *gid);

/*
 * Show what comes as text from the next read on, before and after connect
 * alike (setEncoding). What is not a whole character, or a whole group of
 * base64, waits for the rest of it, or comes before on_end. A pipe passes on
 * the bytes themselves. Returns 0, -EINVAL or -ENOMEM. Since 0.1.
 */
int weir_socket_set_encoding(
    struct weir_socket *socket, enum weir_encoding encoding);

enum weir_ready_state weir_socket_ready_state(const struct weir_socket *socket);

/* Neither open, opening nor closing: no handler is due. Since 0.1. */
bool weir_socket_dormant(const struct weir_socket *socket);

/* The peer's FIN was read (on_end came or is due). */
bool weir_socket_read_ended(const struct weir_socket *socket);

/* The peer's FIN is there, though on_end is not due yet: bytes before it wait,
 * or the destination of a pipe is not connected. Since 0.1. */
bool weir_socket_end_seen(const struct weir_socket *socket);

/* This side's end was asked for. */
bool weir_socket_write_ended(const struct weir_socket *socket);

/* The peer of a unix socket has closed both of its sides: nothing that is
 * written will be read. TCP does not tell; false there. Since 0.1. */
bool weir_socket_peer_closed(const struct weir_socket *socket);

/* The descriptor, still the socket's; -1 where there is none. Since 0.1. */
int weir_socket_fd(const struct weir_socket *socket);

/* Hold the loop while it is open (the start), or do not. Since 0.1. */
void weir_socket_ref(struct weir_socket *socket);
void weir_socket_unref(struct weir_socket *socket);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
