/*
 * What is to be sent over a channel: at once where there is room, else in its
 * turn.
 */
#ifndef PROCESS_OUTBOX_H
#define PROCESS_OUTBOX_H

#include <sys/queue.h>

#include <stddef.h>

struct post;
struct weir_channel;

struct outbox {
	struct weir_channel *channel; /* NULL: nothing is sent any more */
	STAILQ_HEAD(, post) posts;    /* that wait */
	size_t count, most;
};

/* At most so many wait. The channel stays the caller's, who calls
 * outbox_flush() when it is writable. */
void outbox_init(
    struct outbox *outbox, struct weir_channel *channel, size_t most);
void outbox_free(struct outbox *outbox);

/*
 * Send a message of at most WEIR_MESSAGE_MAX bytes and copies of up to
 * WEIR_MESSAGE_FDS descriptors. Returns 0, -ENOBUFS where too many wait, or
 * another error.
 */
int outbox_send(struct outbox *outbox, const void *data, size_t length,
    const int *fds, size_t fd_count);

void outbox_flush(struct outbox *outbox);

#endif
