#ifndef WEIR_CHANNEL_H
#define WEIR_CHANNEL_H

#include <stddef.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/*
 * A channel: messages between two processes, and sockets along with them, so
 * that one process accepts a connection and another goes on with it.
 */

struct weir_channel;
struct weir_loop;
struct weir_socket;

/* The longest message, in bytes. */
#define WEIR_MESSAGE_MAX 4096

/* The most descriptors that go with one message. */
#define WEIR_MESSAGE_FDS 64

/*
 * What a channel tells its owner. A handler may be NULL but for on_message.
 * None is called from inside a call that asked for the work; any call is
 * allowed in any of them, weir_channel_free() included.
 */
struct weir_channel_handlers {
	/*
	 * A message came, and where socket is not NULL a connection with it:
	 * the owner's, who frees it, and sets its handlers here with
	 * weir_socket_set_handlers(). It is open, and paused where the one who
	 * sent it had paused it. data lasts until this returns.
	 */
	void (*on_message)(struct weir_channel *channel,
	    struct weir_socket *socket, const void *data, size_t length,
	    void *user);

	/*
	 * A message came by weir_channel_send_fds(), with count descriptors,
	 * perhaps none. They are the owner's, who closes them, and closed by
	 * exec; the array and data last until this returns. Without this
	 * handler such a message is lost.
	 */
	void (*on_fds)(struct weir_channel *channel, const int *fds,
	    size_t count, const void *data, size_t length, void *user);

	/* A message came that is lost, with its connection or descriptors: no
	 * descriptor was free (-EMFILE), no memory (-ENOMEM), or it was no
	 * message (-EBADMSG). */
	void (*on_lost)(struct weir_channel *channel, int err, void *user);

	/* There may be room again, after -EAGAIN. */
	void (*on_writable)(struct weir_channel *channel, void *user);

	/* The other end is closed; or err, which is -ECONNRESET where it was
	 * closed with messages in it. The last. */
	void (*on_close)(struct weir_channel *channel, int err, void *user);
};

/*
 * Two descriptors for the two ends of a channel, to be inherited by fork or
 * sent; both are closed by exec. Returns 0 or -errno. Since 0.1.
 */
int weir_channel_pair(int fds[2]);

/*
 * A channel on a descriptor of weir_channel_pair()'s, or another connected
 * unix socket of the type SOCK_SEQPACKET. It is the channel's from here on.
 * handlers and user are kept by reference. *ret is the caller's. Returns 0,
 * -EINVAL, -ENOMEM, -EPROTOTYPE for another descriptor, which stays the
 * caller's. Since 0.1.
 */
int weir_channel_new(struct weir_channel **ret, struct weir_loop *loop, int fd,
    const struct weir_channel_handlers *handlers, void *user);

/* Close and free; no handler is called any more. NULL is fine. Since 0.1. */
void weir_channel_free(struct weir_channel *channel);

/*
 * Send a message of up to WEIR_MESSAGE_MAX bytes, perhaps none, and with it a
 * socket, or NULL. When this has returned 0 the connection is the other
 * process's: the socket here closes without ending it, and on_close follows.
 * What the kernel has of it that was not read comes to the other process; so
 * pause it first (pause_on_connect). Its server, if it came by one, counts it
 * until it has ended there.
 *
 * Returns 0, or a negative error that sent nothing: -EAGAIN when there is no
 * room (wait for on_writable), -EINVAL, -ENOMEM, -EMSGSIZE, -EPIPE,
 * WEIR_E_SOCKET_CLOSED for a socket that is not open, WEIR_E_ALREADY_PIPED for
 * one in a pipe, WEIR_E_NOT_A_STREAM for one that is a pipe or a file, -EBUSY
 * for one of which bytes wait in this process, read or to be written, or that
 * speaks TLS; or what the system says. Since 0.1.
 */
int weir_channel_send(struct weir_channel *channel, struct weir_socket *socket,
    const void *data, size_t length);

/*
 * Send a message of up to WEIR_MESSAGE_MAX bytes, perhaps none, and with it
 * copies of up to WEIR_MESSAGE_FDS descriptors of any kind, perhaps none, which
 * stay the caller's. The other end's on_fds gets them. Returns 0, or a negative
 * error that sent nothing: -EAGAIN when there is no room (wait for
 * on_writable), -EINVAL, -EBADF for one that is not open, -EMSGSIZE for too
 * many bytes or descriptors, -EPIPE, or what the system says. Since 0.1.
 */
int weir_channel_send_fds(struct weir_channel *channel, const void *data,
    size_t length, const int *fds, size_t count);

/* Hold the loop while it is open (the start), or do not. Since 0.1. */
void weir_channel_ref(struct weir_channel *channel);
void weir_channel_unref(struct weir_channel *channel);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
