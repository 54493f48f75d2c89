#ifndef WEIR_MOVE_H
#define WEIR_MOVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/*
 * Moving what is live to another process: a connection in the midst of its
 * bytes, a server with those that wait for it. The descriptor and the state are
 * sent by the owner, with weir_channel_send_fds() say, and used by the same
 * version of the library.
 */

struct weir_server;
struct weir_socket;

/* What a connection is besides its descriptor. */
struct weir_socket_state {
	/* Read and not passed on yet; to be written. Of a frozen socket these
	 * are the socket's, until it is thawed or released; those that a
	 * socket adopts are copied. */
	const void *held, *queued;
	size_t held_length, queued_length;

	bool allow_half_open;
	bool paused, flowing; /* by weir_socket_pause(), and _resume() */
	bool end_read;	  /* the peer's FIN was read */
	bool read_ended;  /* ... and all before it passed on: on_end came */
	bool write_ended; /* an end was asked for */
	bool fin_sent;	  /* ... and sent */
	bool destroy_soon;
	bool stop_source; /* who is piped to it reads no more */

	uint64_t bytes_read, bytes_delivered;
	uint64_t idle_ms;
};

/*
 * No I/O of the socket from here on, and tell what it is; again, the same.
 * Its pipes stay, so that both sockets of a pair are to be frozen. Bytes wait
 * in the system meanwhile, no handler tells of any, and what is written is
 * queued. It may be ended or destroyed as ever; an end waits to be thawed.
 * Returns 0, or a negative error that left it as it was: -EINVAL, -ENOMEM,
 * WEIR_E_SOCKET_CLOSED for one that is not open or fails, WEIR_E_NOT_A_STREAM
 * for one that is a pipe or a file, -EBUSY for one that speaks TLS, has
 * callbacks of writes or half a character to tell, that was never told to be
 * open, or one of whose handlers runs. Since 0.1.
 */
int weir_socket_freeze(
    struct weir_socket *socket, struct weir_socket_state *ret);

/* It goes on, as if nothing had been. Since 0.1. */
void weir_socket_thaw(struct weir_socket *socket);

/*
 * A frozen socket lives on elsewhere, with a copy of its descriptor: it closes
 * here without ending the connection, and on_close follows. Returns 0 or
 * -EINVAL. Since 0.1.
 */
int weir_socket_release(struct weir_socket *socket);

/*
 * Go on with a connection where another socket was frozen and released: as
 * weir_socket_open_fd(), and what was held is passed on first. Pipes, handlers,
 * encodings and timeouts are set anew. Returns as that, and then the descriptor
 * stays the caller's; -ENOMEM, and -EBUSY where bytes were written to the
 * socket before. Since 0.1.
 */
int weir_socket_adopt(
    struct weir_socket *socket, int fd, const struct weir_socket_state *state);

/*
 * As weir_server_close(), for a server that lives on elsewhere, with a copy of
 * its descriptor: the clients that wait in the backlog do so on, and its
 * socket file stays. Returns 0, -EINVAL or WEIR_E_SERVER_NOT_RUNNING. Since
 * 0.1.
 */
int weir_server_release(struct weir_server *server);

/*
 * The other half: a server that listens on a descriptor, by
 * weir_server_listen_fd(), has the socket file that is bound to it for its own
 * from here on, and removes it at its end. Nothing for other sockets. Returns
 * 0, -EINVAL, WEIR_E_SERVER_NOT_RUNNING, WEIR_E_NOT_A_SOCKET_FILE, or -errno
 * where there is no such file any more. Since 0.1.
 */
int weir_server_own_path(struct weir_server *server);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
