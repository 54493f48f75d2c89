/*
 * The taker of sessions. It keeps what came until it is told that it was given
 * up, and only then goes on with it.
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "log/log.h"
#include "process/mover_priv.h"
#include "proxy/proxy.h"

/* ---- what comes ---- */

static char *
text_of(int fd, size_t *length)
{
	struct stat st;
	size_t n = 0;
	ssize_t r;
	char *text;

	if (fstat(fd, &st) == -1)
		return NULL;
	text = malloc((size_t)st.st_size + 1);
	while (text != NULL && n < (size_t)st.st_size) {
		r = pread(fd, text + n, (size_t)st.st_size - n, (off_t)n);
		if (r <= 0) {
			free(text);
			return NULL;
		}
		n += (size_t)r;
	}
	if (text != NULL)
		text[n] = '\0';
	*length = n;
	return text;
}

/* What the giver's sessions are under. Where this program does not understand
 * it they stay there. */
static void
take_config(struct mover *m, const struct wire_message *message)
{
	struct config_builder *builder = config_builder_new();
	struct mover_config head = {.place = MOVER_CONFIGS};
	struct config *config = NULL;
	size_t length = 0;
	char *text = NULL;

	if (message->length == sizeof(head))
		memcpy(&head, message->data, sizeof(head));
	if (message->fd_count == 1)
		text = text_of(message->fds[0], &length);
	wire_close_fds(message);
	if (builder != NULL && text != NULL &&
	    config_builder_read_text(
		builder, "the old process", text, length) == 0 &&
	    config_builder_finish(builder, &config) != 0)
		config = NULL;
	if (config == NULL)
		log_warn("connections stay with the old process, their"
			 " configuration is not understood",
		    LOG_T("error",
			builder != NULL &&
				config_builder_mistake_count(builder) > 0
			    ? config_builder_mistake(builder, 0)
			    : NULL));
	/* What is not kept is wanted by no connection that comes. */
	if (config != NULL && !mover_keep_config(m, head.place, config))
		log_error("connections stay with the old process, no memory for"
			  " their configuration");
	config_unref(config);
	config_builder_free(builder);
	free(text);
}

static struct mover_taken *
unwrap(const struct wire_message *message, size_t fd_count)
{
	const char *data = message->data;
	size_t length = message->length - sizeof(struct mover_head);
	char *text = NULL;
	struct mover_taken *t;

	if (fd_count < message->fd_count) {
		text = text_of(message->fds[fd_count], &length);
		(void)close(message->fds[fd_count]);
		if (text == NULL)
			return NULL;
	}
	t = malloc(sizeof(*t) + length);
	if (t != NULL) {
		t->length = length;
		memcpy(t->parcel,
		    text != NULL ? text : data + sizeof(struct mover_head),
		    length);
	}
	free(text);
	return t;
}

static bool
wanted(struct mover *m, struct mover_taken *t)
{
	const char *listener = session_parcel_listener(t->parcel, t->length);
	unsigned number;

	if (listener == NULL || proxy_draining(m->proxy) ||
	    session_parcel_config(t->parcel, t->length, &number) != 0 ||
	    number >= m->config_count)
		return false;
	t->config = m->configs[number];
	return t->config != NULL &&
	       proxy_find_listener(m->proxy, listener) >= 0;
}

static void
drop(struct mover_taken *t)
{
	while (t->fd_count > 0)
		(void)close(t->fds[--t->fd_count]);
	free(t);
}

static void
take(struct mover *m, const struct wire_message *message, uint32_t number,
    size_t fd_count)
{
	struct mover_taken *t;
	size_t i;

	if (fd_count == 0 || fd_count > SESSION_FDS) {
		wire_close_fds(message);
		(void)mover_tell(m, MOVER_NO, number);
		return;
	}
	t = unwrap(message, fd_count);
	if (t == NULL) {
		for (i = 0; i < fd_count; i++)
			(void)close(message->fds[i]);
		(void)mover_tell(m, MOVER_NO, number);
		return;
	}
	t->number = number;
	t->fd_count = fd_count;
	memcpy(t->fds, message->fds, fd_count * sizeof(t->fds[0]));
	if (!wanted(m, t) || mover_tell(m, MOVER_HAVE, number) != 0) {
		drop(t);
		(void)mover_tell(m, MOVER_NO, number);
		return;
	}
	STAILQ_INSERT_TAIL(&m->taken, t, next);
	proxy_expect(m->proxy, 1);
}

static void
run(struct mover *m, struct mover_taken *t)
{
	int err = session_adopt(
	    m->proxy, t->config, t->parcel, t->length, t->fds, t->fd_count);

	t->fd_count = 0;
	if (err == 0) {
		m->counts.moved++;
	} else {
		session_lost(m->proxy, t->parcel, t->length);
		log_error("a connection of the old process is lost",
		    LOG_T("listener",
			session_parcel_listener(t->parcel, t->length)),
		    LOG_T("error", strerror(-err)));
	}
	free(t);
}

/* It goes on here, or nowhere but where it was. */
static void
settle(struct mover *m, struct mover_taken *t, bool ours)
{
	STAILQ_REMOVE(&m->taken, t, mover_taken, next);
	if (ours)
		run(m, t);
	else
		drop(t);
	proxy_expect(m->proxy, -1);
}

static void
decided(struct mover *m, uint32_t number, bool ours)
{
	struct mover_taken *t;

	STAILQ_FOREACH(t, &m->taken, next)
	if (t->number == number)
		break;
	if (t == NULL)
		return;
	settle(m, t, ours);
}

void
mover_taken_in(struct mover *m, const struct wire_message *message,
    const struct mover_head *head)
{
	switch (head->kind) {
	case MOVER_CONFIG:
		m->number = head->number;
		take_config(m, message);
		break;
	case MOVER_SESSION:
		m->number = head->number;
		take(m, message, head->number, message->fd_count);
		break;
	case MOVER_PARCEL:
		m->number = head->number;
		take(m, message, head->number, message->fd_count - 1);
		break;
	case MOVER_RUN:
	case MOVER_CANCEL:
		decided(m, head->number, head->kind == MOVER_RUN);
		break;
	case MOVER_END:
		mover_done(m);
		break;
	default:
		wire_close_fds(message);
		break;
	}
}

void
mover_settle_all(struct mover *m, bool ours)
{
	struct mover_taken *t;

	while ((t = STAILQ_FIRST(&m->taken)) != NULL)
		settle(m, t, ours);
}
