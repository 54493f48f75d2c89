/*
 * Messages that wait for room. The order is kept: while one waits, all that
 * come after it do. Descriptors that wait are copies, so that a sender may
 * close its own at once.
 */
#include "config.h"

#include "process/wire.h"

#include <sys/queue.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/channel.h>
#include <weir/socket.h>

#include "util/strbuf.h"

struct waiting {
	STAILQ_ENTRY(waiting) next;
	size_t length, fd_count;
	int *fds;
	char data[];
};

struct wire {
	struct weir_channel *channel;
	const struct wire_handlers *handlers;
	void *user;
	STAILQ_HEAD(, waiting) waiting;
	void (*when_writable)(void *user);
	void *when_user;
};

/* ---- sending ---- */

static void
free_waiting(struct waiting *w)
{
	while (w->fd_count > 0)
		(void)close(w->fds[--w->fd_count]);
	free(w->fds);
	free(w);
}

static struct waiting *
copy(const void *data, size_t length, const int *fds, size_t fd_count)
{
	struct waiting *w = malloc(sizeof(*w) + length);
	size_t i;

	if (w == NULL)
		return NULL;
	w->length = length;
	w->fd_count = 0;
	if (length > 0)
		memcpy(w->data, data, length);
	w->fds = calloc(fd_count + 1, sizeof(*w->fds));
	if (w->fds == NULL)
		goto fail;
	for (i = 0; i < fd_count; i++) {
		w->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
		if (w->fds[i] == -1)
			goto fail;
		w->fd_count++;
	}
	return w;
fail:
	free_waiting(w);
	return NULL;
}

int
wire_try(struct wire *wire, const void *data, size_t length, const int *fds,
    size_t fd_count)
{
	if (!STAILQ_EMPTY(&wire->waiting))
		return -EAGAIN;
	return weir_channel_send_fds(
	    wire->channel, data, length, fds, fd_count);
}

int
wire_send(struct wire *wire, const void *data, size_t length, const int *fds,
    size_t fd_count)
{
	struct waiting *w;
	int err = wire_try(wire, data, length, fds, fd_count);

	if (err != -EAGAIN)
		return err;
	w = copy(data, length, fds, fd_count);
	if (w == NULL)
		return errno == EMFILE ? -EMFILE : -ENOMEM;
	STAILQ_INSERT_TAIL(&wire->waiting, w, next);
	return 0;
}

int
wire_say(struct wire *wire, int fd, const char *first, ...)
{
	struct strbuf texts = STRBUF_NULL;
	const char *text;
	va_list list;
	int err;

	va_start(list, first);
	for (text = first; text != NULL; text = va_arg(list, const char *)) {
		strbuf_text(&texts, text);
		strbuf_char(&texts, '\0');
	}
	va_end(list);
	err = texts.failed ? -ENOMEM
			   : wire_send(wire, texts.data, texts.length, &fd,
				 fd == -1 ? 0 : 1);
	strbuf_free(&texts);
	return err;
}

void
wire_when_writable(struct wire *wire, void (*fn)(void *user), void *user)
{
	wire->when_writable = fn;
	wire->when_user = user;
}

bool
wire_waits(const struct wire *wire)
{
	return !STAILQ_EMPTY(&wire->waiting);
}

static void
on_writable(struct weir_channel *channel, void *user)
{
	struct wire *wire = user;
	struct waiting *w;
	void (*fn)(void *);

	(void)channel;
	while ((w = STAILQ_FIRST(&wire->waiting)) != NULL) {
		if (weir_channel_send_fds(wire->channel, w->data, w->length,
			w->fds, w->fd_count) == -EAGAIN)
			return;
		STAILQ_REMOVE_HEAD(&wire->waiting, next);
		free_waiting(w);
	}
	fn = wire->when_writable;
	wire->when_writable = NULL;
	if (fn != NULL)
		fn(wire->when_user);
}

/* ---- receiving ---- */

void
wire_close_fds(const struct wire_message *message)
{
	size_t i;

	for (i = 0; i < message->fd_count; i++)
		(void)close(message->fds[i]);
}

size_t
wire_texts(const struct wire_message *message, const char *texts[WIRE_TEXTS])
{
	const char *at = message->data, *end = at + message->length;
	size_t count = 0, i;

	for (i = 0; i < WIRE_TEXTS; i++)
		texts[i] = "";
	if (message->length == 0 || end[-1] != '\0')
		return 0;
	while (at < end && count < WIRE_TEXTS) {
		texts[count++] = at;
		at += strlen(at) + 1;
	}
	return count;
}

static void
on_fds(struct weir_channel *channel, const int *fds, size_t count,
    const void *data, size_t length, void *user)
{
	struct wire *wire = user;
	const struct wire_message message = {
	    .data = data,
	    .length = length,
	    .fds = fds,
	    .fd_count = count,
	};

	(void)channel;
	wire->handlers->on_message(wire, &message, wire->user);
}

/* Nobody of ours sends such. */
static void
on_message(struct weir_channel *channel, struct weir_socket *socket,
    const void *data, size_t length, void *user)
{
	(void)channel;
	(void)data;
	(void)length;
	(void)user;
	weir_socket_free(socket);
}

static void
on_lost(struct weir_channel *channel, int err, void *user)
{
	struct wire *wire = user;

	(void)channel;
	if (wire->handlers->on_lost != NULL)
		wire->handlers->on_lost(wire, err, wire->user);
}

static void
on_close(struct weir_channel *channel, int err, void *user)
{
	struct wire *wire = user;

	(void)channel;
	(void)err;
	wire->handlers->on_close(wire, wire->user);
}

static const struct weir_channel_handlers handlers = {
    .on_message = on_message,
    .on_fds = on_fds,
    .on_lost = on_lost,
    .on_writable = on_writable,
    .on_close = on_close,
};

/* ---- new and free ---- */

int
wire_new(struct wire **ret, struct weir_loop *loop, int fd,
    const struct wire_handlers *wire_handlers, void *user)
{
	struct wire *wire = calloc(1, sizeof(*wire));
	int err;

	if (wire == NULL)
		return -ENOMEM;
	wire->handlers = wire_handlers;
	wire->user = user;
	STAILQ_INIT(&wire->waiting);
	err = weir_channel_new(&wire->channel, loop, fd, &handlers, wire);
	if (err != 0) {
		free(wire);
		return err;
	}
	*ret = wire;
	return 0;
}

void
wire_free(struct wire *wire)
{
	struct waiting *w;

	if (wire == NULL)
		return;
	while ((w = STAILQ_FIRST(&wire->waiting)) != NULL) {
		STAILQ_REMOVE_HEAD(&wire->waiting, next);
		free_waiting(w);
	}
	weir_channel_free(wire->channel);
	free(wire);
}
