/*
 * Messages between processes of weir that must not get lost: what finds no
 * room waits here, with copies of its descriptors. A message is bytes, or a
 * few texts, of which the first says what it is.
 */
#ifndef PROCESS_WIRE_H
#define PROCESS_WIRE_H

#include <stdbool.h>
#include <stddef.h>

struct weir_loop;
struct wire;

#define WIRE_TEXTS 8 /* of one message at the most */

struct wire_message {
	const void *data;
	size_t length;
	const int *fds; /* the receiver's, to close */
	size_t fd_count;
};

/* Any call is allowed in each of them, wire_free() included. */
struct wire_handlers {
	/* A message came; it lasts until this returns. */
	void (*on_message)(
	    struct wire *wire, const struct wire_message *message, void *user);

	/* One was lost, for -EMFILE or -ENOMEM here. May be NULL. */
	void (*on_lost)(struct wire *wire, int err, void *user);

	/* The other end is closed. The last. */
	void (*on_close)(struct wire *wire, void *user);
};

/* On a descriptor of weir_channel_pair(), which is the wire's with 0. Returns
 * 0 or a negative error. */
int wire_new(struct wire **ret, struct weir_loop *loop, int fd,
    const struct wire_handlers *handlers, void *user);

/* What still waits is dropped; NULL is fine. */
void wire_free(struct wire *wire);

/* Send bytes, and copies of descriptors, which stay the caller's. Returns 0,
 * also where they wait, or a negative error. */
int wire_send(struct wire *wire, const void *data, size_t length,
    const int *fds, size_t fd_count);

/* The same at once, or -EAGAIN: nothing else waits, and there is room. */
int wire_try(struct wire *wire, const void *data, size_t length, const int *fds,
    size_t fd_count);

/* Called once when there may be room after -EAGAIN. */
void wire_when_writable(struct wire *wire, void (*fn)(void *user), void *user);

/* Send texts, up to a NULL, with a descriptor or -1. */
int wire_say(struct wire *wire, int fd, const char *first, ...)
    __attribute__((sentinel));

/* The texts of a message; "" stands for those that it does not have. Returns
 * how many there are; 0 where it is no texts. */
size_t wire_texts(
    const struct wire_message *message, const char *texts[WIRE_TEXTS]);

/* Whether something waits to be sent. */
bool wire_waits(const struct wire *wire);

/* A message that nobody understands: nothing of it is kept open. */
void wire_close_fds(const struct wire_message *message);

#endif
