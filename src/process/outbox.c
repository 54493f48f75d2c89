/*
 * A queue before a channel. A process that is stopped reads nothing, and who
 * writes to it must not wait: messages are kept here, in their order, up to a
 * number at which the other side is given up by whoever owns the outbox.
 */
#include "config.h"

#include "process/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/channel.h>

struct post {
	STAILQ_ENTRY(post) next;
	size_t length, fd_count;
	int fds[WEIR_MESSAGE_FDS]; /* copies */
	char data[];
};

void
outbox_init(struct outbox *outbox, struct weir_channel *channel, size_t most)
{
	*outbox = (struct outbox){.channel = channel, .most = most};
	STAILQ_INIT(&outbox->posts);
}

static void
post_free(struct post *post)
{
	while (post->fd_count > 0)
		(void)close(post->fds[--post->fd_count]);
	free(post);
}

static void
remove_first(struct outbox *outbox)
{
	struct post *post = STAILQ_FIRST(&outbox->posts);

	STAILQ_REMOVE_HEAD(&outbox->posts, next);
	outbox->count--;
	post_free(post);
}

void
outbox_free(struct outbox *outbox)
{
	while (!STAILQ_EMPTY(&outbox->posts))
		remove_first(outbox);
	outbox->channel = NULL;
}

static int
queue(struct outbox *outbox, const void *data, size_t length, const int *fds,
    size_t fd_count)
{
	struct post *post;
	int fd;

	if (outbox->count >= outbox->most)
		return -ENOBUFS;
	post = malloc(sizeof(*post) + length);
	if (post == NULL)
		return -ENOMEM;
	post->length = length;
	memcpy(post->data, data, length);
	for (post->fd_count = 0; post->fd_count < fd_count; post->fd_count++) {
		fd = fcntl(fds[post->fd_count], F_DUPFD_CLOEXEC, 0);
		if (fd == -1) {
			post_free(post);
			return -errno;
		}
		post->fds[post->fd_count] = fd;
	}
	STAILQ_INSERT_TAIL(&outbox->posts, post, next);
	outbox->count++;
	return 0;
}

int
outbox_send(struct outbox *outbox, const void *data, size_t length,
    const int *fds, size_t fd_count)
{
	int err;

	if (outbox->channel == NULL)
		return -EPIPE;
	if (!STAILQ_EMPTY(&outbox->posts))
		return queue(outbox, data, length, fds, fd_count);
	err =
	    weir_channel_send_fds(outbox->channel, data, length, fds, fd_count);
	return err == -EAGAIN ? queue(outbox, data, length, fds, fd_count)
			      : err;
}

void
outbox_flush(struct outbox *outbox)
{
	struct post *post;

	while (outbox->channel != NULL &&
	       (post = STAILQ_FIRST(&outbox->posts)) != NULL) {
		/* One that can never be sent would hold up all after it; the
		 * channel's on_close tells of the rest. */
		if (weir_channel_send_fds(outbox->channel, post->data,
			post->length, post->fds, post->fd_count) == -EAGAIN)
			return;
		remove_first(outbox);
	}
}
