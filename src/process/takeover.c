/*
 * The new program's half of an upgrade; upgrade.c has the messages.
 *
 * Until it is told to go it changes nothing of what the old one serves. An old
 * one that dies meanwhile leaves everything to it: then it goes by itself.
 */
#include "config.h"

#include "process/takeover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/loop.h>

#include "log/log.h"
#include "process/failure.h"
#include "process/program.h"
#include "process/upgrade.h"
#include "process/wire.h"

/* A descriptor with the path that it stands for. */
struct named_fd {
	char *path; /* or NULL */
	int fd;	    /* -1: none, or taken */
};

struct takeover {
	struct weir_loop *loop;
	struct wire *wire;
	struct weir_timer *timer;
	const struct takeover_handlers *handlers; /* NULL: not ready yet */
	void *user;
	unsigned movers;

	bool complete, gone; /* `end` came; the other end is closed */
	bool went, over;
	int error;
	char *version; /* of the other one */
	int board;
	struct named_fd pidfile, control;
	struct proxy_handed_fd *sockets;
	size_t socket_count;
	char **closed;
	size_t closed_count;
	bool has_log_level;
	enum log_level log_level, configured_log_level;
};

/* ---- what comes ---- */

static void
keep_named(struct takeover *t, struct named_fd *named, const char *path, int fd)
{
	free(named->path);
	if (named->fd != -1)
		(void)close(named->fd);
	named->path = strdup(path);
	named->fd = fd;
	if (named->path == NULL)
		t->error = -ENOMEM;
}

static void
keep_socket(struct takeover *t, const char *listener, const char *text, int fd)
{
	struct proxy_handed_fd *rows =
	    reallocarray(t->sockets, t->socket_count + 1, sizeof(*rows));
	struct proxy_handed_fd *row;

	if (rows == NULL) {
		(void)close(fd);
		t->error = -ENOMEM;
		return;
	}
	t->sockets = rows;
	row = &rows[t->socket_count++];
	*row = (struct proxy_handed_fd){
	    .fd = fd,
	    .listener = strdup(listener),
	    .text = strdup(text),
	};
	if (row->listener == NULL || row->text == NULL)
		t->error = -ENOMEM;
}

static void
keep_closed(struct takeover *t, const char *listener)
{
	char **rows =
	    reallocarray(t->closed, t->closed_count + 1, sizeof(*rows));

	if (rows != NULL) {
		t->closed = rows;
		rows[t->closed_count] = strdup(listener);
		if (rows[t->closed_count] != NULL) {
			t->closed_count++;
			return;
		}
	}
	t->error = -ENOMEM;
}

static void
keep_version(struct takeover *t, const char *format, const char *version)
{
	if (strcmp(format, UPGRADE_FORMAT) != 0)
		t->error = -EPROTO;
	free(t->version);
	t->version = strdup(version);
}

static void
keep_log_level(struct takeover *t, const char *level, const char *configured)
{
	t->has_log_level =
	    log_level_find(level, &t->log_level) == 0 &&
	    log_level_find(configured, &t->configured_log_level) == 0;
}

/* Before it is ready. */
static void
received(struct takeover *t, const char *const texts[WIRE_TEXTS], int fd)
{
	const char *what = texts[0];

	if (fd != -1 && strcmp(what, "board") == 0) {
		if (t->board != -1)
			(void)close(t->board);
		t->board = fd;
	} else if (fd != -1 && strcmp(what, "pidfile") == 0) {
		keep_named(t, &t->pidfile, texts[1], fd);
	} else if (fd != -1 && strcmp(what, "control") == 0) {
		keep_named(t, &t->control, texts[1], fd);
	} else if (fd != -1 && strcmp(what, "listen") == 0) {
		keep_socket(t, texts[1], texts[2], fd);
	} else if (fd != -1) {
		(void)close(fd);
	} else if (strcmp(what, "hello") == 0) {
		keep_version(t, texts[1], texts[2]);
	} else if (strcmp(what, "closed") == 0) {
		keep_closed(t, texts[1]);
	} else if (strcmp(what, "log_level") == 0) {
		keep_log_level(t, texts[1], texts[2]);
	} else if (strcmp(what, "end") == 0) {
		t->complete = true;
		weir_loop_stop(t->loop);
	}
}

static void
go(struct takeover *t)
{
	if (t->went)
		return;
	t->went = true;
	t->handlers->on_go(t->user);
}

static void
be_over(struct takeover *t)
{
	if (t->over)
		return;
	t->over = true;
	t->handlers->on_over(t->user);
}

/* When it is ready. */
static void
told(struct takeover *t, const char *what, int fd)
{
	if (fd != -1 && strcmp(what, "mover") == 0)
		t->handlers->on_connections(fd, t->movers++, t->user);
	else if (fd != -1)
		(void)close(fd);
	else if (strcmp(what, "go") == 0)
		go(t);
	else if (strcmp(what, "over") == 0)
		be_over(t);
}

static void
on_message(struct wire *wire, const struct wire_message *message, void *user)
{
	struct takeover *t = user;
	const char *texts[WIRE_TEXTS];

	(void)wire;
	if (wire_texts(message, texts) == 0 || message->fd_count > 1) {
		wire_close_fds(message);
		return;
	}
	if (t->handlers == NULL)
		received(
		    t, texts, message->fd_count == 1 ? message->fds[0] : -1);
	else
		told(
		    t, texts[0], message->fd_count == 1 ? message->fds[0] : -1);
}

static void
on_lost(struct wire *wire, int err, void *user)
{
	struct takeover *t = user;

	(void)wire;
	t->error = err;
}

static void
on_close(struct wire *wire, void *user)
{
	struct takeover *t = user;

	(void)wire;
	t->gone = true;
	if (t->handlers == NULL) {
		weir_loop_stop(t->loop);
		return;
	}
	if (!t->over)
		log_warn("the program before this one has ended, going on"
			 " without it");
	go(t);
	be_over(t);
}

static const struct wire_handlers wire_handlers = {
    .on_message = on_message,
    .on_lost = on_lost,
    .on_close = on_close,
};

/* ---- beginning ---- */

static void
on_timeout(struct weir_timer *timer, void *user)
{
	struct takeover *t = user;

	(void)timer;
	t->error = -ETIMEDOUT;
	weir_loop_stop(t->loop);
}

static int
receive_all(struct takeover *t, int fd, char **error)
{
	int err = wire_new(&t->wire, t->loop, fd, &wire_handlers, t);

	if (err != 0) {
		(void)close(fd);
		return failure(error, err, PROGRAM_UPGRADE "=%d: %s", fd,
		    weir_error_text(err));
	}
	err = weir_timer_new(&t->timer, t->loop, on_timeout, t);
	if (err == 0)
		err = weir_timer_start(t->timer, UPGRADE_PATIENCE_MS);
	if (err != 0)
		return failure(error, err, "out of memory");
	(void)weir_loop_run(t->loop);
	weir_timer_stop(t->timer);
	if (t->error == -EPROTO)
		return failure(error, -EPROTO,
		    "the program before this one, version %s, hands over in"
		    " another way: restart instead",
		    t->version != NULL ? t->version : "?");
	if (t->error != 0)
		return failure(error, t->error,
		    "what the program before this one left did not come: %s",
		    weir_error_text(t->error));
	if (!t->complete)
		return failure(error, -EPIPE,
		    "the program before this one ended before it left"
		    " anything");
	return 0;
}

static int
receive(struct takeover **ret, struct weir_loop *loop, char **error)
{
	int fd = program_upgrade_fd(), err;
	struct takeover *t;

	*ret = NULL;
	if (fd == -1)
		return 0;
	t = calloc(1, sizeof(*t));
	if (t == NULL) {
		(void)close(fd);
		return failure(error, -ENOMEM, "out of memory");
	}
	t->loop = loop;
	t->board = t->pidfile.fd = t->control.fd = -1;
	err = receive_all(t, fd, error);
	if (err != 0) {
		takeover_failed(t, failure_text(*error));
		takeover_free(t);
		return err;
	}
	*ret = t;
	return 0;
}

int
takeover_begin(struct takeover **ret, struct weir_loop *loop, char **error)
{
	int err = receive(ret, loop, error);

	if (*ret != NULL)
		log_info("taking over from the program before this one",
		    LOG_T("version", (*ret)->version),
		    LOG_N("sockets", (*ret)->socket_count));
	return err;
}

/* ---- asking ---- */

static int
take(int *fd)
{
	int was = *fd;

	*fd = -1;
	return was;
}

static int
take_named(struct named_fd *named, const char *path)
{
	return named->path != NULL && strcmp(named->path, path) == 0
		   ? take(&named->fd)
		   : -1;
}

int
takeover_board(struct takeover *t)
{
	return take(&t->board);
}

int
takeover_pidfile(struct takeover *t, const char *path)
{
	return take_named(&t->pidfile, path);
}

int
takeover_control(struct takeover *t, const char *path)
{
	return take_named(&t->control, path);
}

bool
takeover_see_control(const struct takeover *t, struct proxy_handed_fd *ret)
{
	*ret = (struct proxy_handed_fd){
	    .fd = t->control.fd,
	    .listener = "",
	    .text = t->control.path,
	};
	return ret->fd != -1;
}

struct proxy_handed_fd *
takeover_sockets(struct takeover *t, size_t *count)
{
	*count = t->socket_count;
	return t->sockets;
}

void
takeover_each_closed(const struct takeover *t,
    void (*fn)(const char *listener, void *user), void *user)
{
	size_t i;

	for (i = 0; i < t->closed_count; i++)
		fn(t->closed[i], user);
}

bool
takeover_log_level(const struct takeover *t, enum log_level *in_force,
    enum log_level *configured)
{
	*in_force = t->log_level;
	*configured = t->configured_log_level;
	return t->has_log_level;
}

/* ---- the answer ---- */

void
takeover_ready(
    struct takeover *t, const struct takeover_handlers *handlers, void *user)
{
	t->handlers = handlers;
	t->user = user;
	if (t->gone)
		on_close(t->wire, t);
	else
		(void)wire_say(t->wire, -1, "ready", NULL);
}

void
takeover_failed(struct takeover *t, const char *why)
{
	if (t->wire != NULL && !t->gone && t->handlers == NULL)
		(void)wire_say(t->wire, -1, "failed", why, NULL);
}

void
takeover_refuse(const char *why)
{
	struct weir_loop *loop = NULL;
	struct takeover *t = NULL;
	char *error = NULL;

	/* Only who has read all that came can end without cutting off what it
	 * has said. */
	if (weir_loop_new(&loop, NULL) == 0 && receive(&t, loop, &error) == 0 &&
	    t != NULL)
		takeover_failed(t, why);
	takeover_free(t);
	weir_loop_free(loop);
	free(error);
}

/* ---- the end ---- */

static void
free_named(struct named_fd *named)
{
	if (named->fd != -1)
		(void)close(named->fd);
	free(named->path);
}

void
takeover_free(struct takeover *t)
{
	size_t i;

	if (t == NULL)
		return;
	wire_free(t->wire);
	weir_timer_free(t->timer);
	if (t->board != -1)
		(void)close(t->board);
	free_named(&t->pidfile);
	free_named(&t->control);
	for (i = 0; i < t->socket_count; i++) {
		if (t->sockets[i].fd != -1)
			(void)close(t->sockets[i].fd);
		free((void *)(uintptr_t)t->sockets[i].listener);
		free((void *)(uintptr_t)t->sockets[i].text);
	}
	free(t->sockets);
	for (i = 0; i < t->closed_count; i++)
		free(t->closed[i]);
	free(t->closed);
	free(t->version);
	free(t);
}
