/*
 * The socket's verbs and its life: idle, connecting, open, closing, idle
 * again. Nothing here calls a handler from inside a verb: verbs change state
 * and leave word with the socket's task, which tells the owner from the loop.
 *
 * Any handler may free the socket. Code that calls handlers therefore pins
 * it; a freed socket has handlers that do nothing, and its memory goes with
 * the last pin.
 *
 * Writing is write.c's, the timeout idle.c's, and socket_ask.c has the
 * questions.
 */
#include "config.h"

#include "net/socket_priv.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>

#include "net/extra_priv.h"
#include "net/server_priv.h"

static const struct weir_socket_handlers silent = {0};

/* ---- memory ---- */

static void
reap(struct weir_socket *s)
{
	weir__tls_forget(s);
	weir__extra_free(s);
	free(s);
}

void
weir__unpin(struct weir_socket *s)
{
	if (--s->pins == 0 && s->doomed)
		reap(s);
}

/* A close that is due is told, also of one that does not hold the loop. */
static void
hold(struct weir_socket *s, bool on)
{
	on = on && (!s->unref || s->state == WEIR__CLOSING);
	if (on == s->held)
		return;
	s->held = on;
	if (on)
		weir__loop_hold(s->loop);
	else
		weir__loop_release(s->loop);
}

static void
free_buffer(struct evbuffer **buffer)
{
	if (*buffer != NULL)
		evbuffer_free(*buffer);
	*buffer = NULL;
}

/* What was queued is not going to be written. */
static void
drop_queued(struct weir_socket *s)
{
	if (s->extra != NULL)
		s->extra->dropped += weir__socket_queued(s);
}

/* No more I/O: the descriptor and all that served it go. */
static void
shut(struct weir_socket *s)
{
	drop_queued(s);
	weir__connect_free(s);
	weir__tuning_forget_late(s);
	weir__pump_drop(s);
	(void)weir__stream_leave(s);
	weir__pump_leave(s);
	if (s->extra != NULL) {
		free_buffer(&s->extra->in);
		free_buffer(&s->extra->out);
	}
	if (weir__tls(s) != NULL)
		weir__tls_shut(s);
	weir__idle_free(s);
	weir__write_free(s);
	if (s->fd != -1) {
		(void)close(s->fd);
		s->fd = -1;
		weir__loop_fd_closed(s->loop);
	}
	weir__extra_shut(s);
	s->due = 0;
	s->dying = 0;
	s->need_drain = false;
}

static void
leave_server(struct weir_socket *s)
{
	struct weir_server *server = weir__server_of(s);

	weir__origin_leave(s);
	if (server != NULL)
		weir__server_socket_closed(server);
}

/* ---- the task ---- */

static void
tell_closed(struct weir_socket *s)
{
	int err = s->error;

	weir__extra_closed(s);
	if (s->doomed)
		return;
	if (err != 0)
		weir__tell(s, on_error, , err);
	if (s->doomed)
		return;
	s->state = WEIR__IDLE;
	leave_server(s);
	hold(s, false);
	weir__tell(s, on_close, , err);
}

static void
tell_opened(struct weir_socket *s)
{
	weir__tell(s, on_connect);
	if (s->state == WEIR__OPEN)
		weir__tell(s, on_ready);
}

static bool
take_due(struct weir_socket *s, unsigned due)
{
	bool was = (s->due & due) != 0;

	s->due &= ~due;
	return was;
}

static void
run_task(struct weir__task *task)
{
	struct weir_socket *s =
	    weir__container_of(task, struct weir_socket, task);

	if (s->doomed) { /* it was only waiting for this */
		weir__unpin(s);
		return;
	}
	weir__pin(s);
	if (take_due(s, WEIR__DUE_CONNECT))
		weir__connect_next(s);
	if (take_due(s, WEIR__DUE_OPENED)) {
		tell_opened(s);
		weir__socket_unwrap(s);
	}
	if (take_due(s, WEIR__DUE_FULL))
		weir__extra_tell_full(s);
	if (take_due(s, WEIR__DUE_BROKEN))
		weir__tell(s, on_broken, , s->dying);
	if (take_due(s, WEIR__DUE_SESSION))
		weir__tell(s, on_session);
	if (take_due(s, WEIR__DUE_READ)) {
		/* Nothing waits for the bytes of one that fails: just look. An
		 * event of levels tells once more. */
		s->readable = s->dying != 0 || (s->edges && s->readable);
		if (weir__bev(s) != NULL)
			weir__stream_read(s);
		else
			weir__pump_run(s);
	}
	/* An end that was asked for before there was anything to end. */
	weir__socket_progress(s);
	if (take_due(s, WEIR__DUE_WRITTEN))
		weir__extra_written(s);
	/* Whoever asked for the close did so before this turn or in it; it is
	 * last in any case. */
	if (take_due(s, WEIR__DUE_CLOSE))
		tell_closed(s);
	if (take_due(s, WEIR__DUE_LATER))
		weir__socket_defer(s, WEIR__DUE_READ);
	weir__unpin(s);
}

void
weir__socket_defer(struct weir_socket *s, unsigned due)
{
	s->due |= due;
	weir__loop_defer(s->loop, &s->task);
}

/* ---- new and free ---- */

/* With room for so much of a remote address. */
static struct weir_socket *
make(
    struct weir_loop *loop, const struct weir_socket_options *options, size_t n)
{
	/* Of glibc's two, calloc takes nothing from what the thread has at
	 * hand; that costs ten times as much. */
	struct weir_socket *s = malloc(sizeof(*s) + n);

	if (s == NULL)
		return NULL;
	*s = (struct weir_socket){
	    .loop = loop,
	    .handlers = &silent,
	    .fd = -1,
	    .task.fn = run_task,
	    .allow_half_open = options->allow_half_open,
	};
	if (weir_socket_set_high_water_mark(s, options->high_water_mark) != 0) {
		reap(s);
		return NULL;
	}
	return s;
}

int
weir_socket_new(struct weir_socket **ret, struct weir_loop *loop,
    const struct weir_socket_options *options,
    const struct weir_socket_handlers *handlers, void *user)
{
	static const struct weir_socket_options none = {0};
	struct weir_socket *s;

	if (ret == NULL || loop == NULL)
		return -EINVAL;
	s = make(loop, options != NULL ? options : &none, 0);
	if (s == NULL)
		return -ENOMEM;
	if (handlers != NULL)
		s->handlers = handlers;
	s->user = user;
	*ret = s;
	return 0;
}

void
weir_socket_free(struct weir_socket *s)
{
	if (s == NULL || s->doomed)
		return;
	weir__pin(s);
	s->doomed = true;
	s->handlers = &silent;
	shut(s);
	s->state = WEIR__IDLE;
	leave_server(s);
	hold(s, false);
	if (!weir__is_deferred(&s->task)) /* else its task does so */
		weir__unpin(s);
}

void
weir_socket_set_handlers(struct weir_socket *s,
    const struct weir_socket_handlers *handlers, void *user)
{
	if (s == NULL)
		return;
	if (s->doomed)
		return;
	s->handlers = handlers != NULL ? handlers : &silent;
	s->user = user;
	weir__socket_settle(s);
}

void
weir_socket_set_totals(struct weir_socket *s, struct weir_totals *totals)
{
	if (s != NULL)
		s->totals = totals;
}

/* ---- opening ---- */

/* A fresh opening forgets the one before it. */
static void
forget(struct weir_socket *s)
{
	s->eof = s->rd_ended = false;
	s->end_asked = s->fin_sent = s->soon = false;
	s->readable = s->writable = s->fresh = s->seen_twice = false;
	s->hup = s->stray = false;
	s->frozen = s->stop_source = false;
	s->error = s->dying = 0;
	weir__tls_forget(s);
	weir__extra_forget(s);
	s->bytes_read = s->bytes_delivered = 0;
	s->remote_known = false;
	s->active_ms = weir_loop_now_ms(s->loop);
}

void
weir__socket_connecting(struct weir_socket *s)
{
	forget(s);
	s->state = WEIR__CONNECTING;
	hold(s, true);
}

/* Stream sockets, pipes and what can be written to by name. 0 or an error. */
static int
classify(int fd, bool *is_socket, bool *is_tcp, bool *pollable)
{
	struct stat st;
	int type, domain;
	socklen_t length = sizeof(type);

	if (fstat(fd, &st) == -1)
		return -errno;
	*is_socket = S_ISSOCK(st.st_mode);
	*is_tcp = false;
	*pollable = *is_socket || S_ISFIFO(st.st_mode);
	if (*is_socket) {
		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == -1 ||
		    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) ==
			-1)
			return -errno;
		*is_tcp = domain == AF_INET || domain == AF_INET6;
		return type == SOCK_STREAM ? 0 : WEIR_E_NOT_A_STREAM;
	}
	if (S_ISCHR(st.st_mode)) { /* a terminal can be waited for */
		*pollable = isatty(fd) == 1;
		return 0;
	}
	return S_ISFIFO(st.st_mode) || S_ISREG(st.st_mode)
		   ? 0
		   : WEIR_E_NOT_A_STREAM;
}

static int
set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags == -1)
		return -errno;
	if ((flags & O_NONBLOCK) == 0 &&
	    fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1)
		return -errno;
	return 0;
}

int
weir__socket_opened(struct weir_socket *s, int fd)
{
	s->fd = fd;
	s->state = WEIR__OPEN;
	s->active_ms = weir_loop_now_ms(s->loop);
	hold(s, true);
	if (weir__tls(s) != NULL)
		weir__tls_begin(s);
	weir__note_written(s);
	return 0;
}

int
weir_socket_open_fd(struct weir_socket *s, int fd, bool readable, bool writable)
{
	bool is_socket, is_tcp, pollable;
	int err;

	if (s == NULL || s->doomed)
		return -EINVAL;
	if (s->state != WEIR__IDLE)
		return WEIR_E_SOCKET_CONNECTED;
	if (fd < 0)
		return -EBADF;
	err = classify(fd, &is_socket, &is_tcp, &pollable);
	if (err == 0 && !pollable && readable)
		err = WEIR_E_NOT_A_STREAM;
	if (err == 0 && pollable)
		err = set_nonblocking(fd);
	if (err != 0)
		return err;
	forget(s);
	s->is_socket = is_socket;
	s->is_tcp = is_tcp;
	s->pollable = pollable;
	s->eof = s->rd_ended = !readable;
	s->end_asked = s->fin_sent = !writable;
	s->writable = true;
	if (s->extra != NULL && s->extra->tuning != NULL && is_socket)
		weir__tuning_apply(fd, s->extra->tuning);
	(void)weir__socket_opened(s, fd);
	weir__socket_settle(s);
	if (s->state == WEIR__OPEN) /* what was written or piped to it before */
		weir__socket_defer(s, WEIR__DUE_READ);
	return 0;
}

int
weir__socket_accepted(struct weir_socket **ret, struct weir_server *server,
    struct weir__origin *origin, int fd, const struct sockaddr_in6 *remote)
{
	const struct weir_socket_options options = {
	    .allow_half_open = server->options.allow_half_open,
	    .high_water_mark = server->options.high_water_mark,
	};
	size_t n = weir__remote_length(remote->sin6_family);
	struct weir_socket *s = make(server->loop, &options, n);

	if (s == NULL)
		return -ENOMEM;
	s->is_socket = s->pollable = s->fresh = true;
	s->is_tcp = n > 0;
	s->remote_known = n > 0;
	memcpy(s->remote, remote, n);
	s->writable = true;
	s->explicit_pause = server->options.pause_on_connect;
	s->accepted = true;
	s->origin = origin;
	origin->refs++;
	(void)weir__socket_opened(s, fd);
	*ret = s;
	return 0;
}

/*
 * Take the lane that fits: handlers get their bytes by a bufferevent, all else
 * is the pump's. A lane that cannot be entered ends the socket.
 */
void
weir__socket_settle(struct weir_socket *s)
{
	bool stream;
	int err = 0;

	if (s->state != WEIR__OPEN || !s->pollable || s->fresh || s->frozen)
		return;
	stream = s->handlers->on_data != NULL && weir__tls(s) == NULL &&
		 weir__from(s) == NULL && s->to == NULL && !s->rd_ended &&
		 s->dying == 0;
	if (stream && weir__bev(s) == NULL) {
		weir__pump_leave(s);
		err = weir__stream_enter(s);
	} else if (!stream && weir__bev(s) != NULL &&
		   (weir__from(s) != NULL || s->to != NULL)) {
		err = weir__stream_leave(s);
	}
	if (err != 0)
		weir_socket_destroy(s, err);
	else if (weir__bev(s) != NULL)
		weir__stream_update(s);
	else
		weir__pump_update(s);
}

void
weir__socket_unwrap(struct weir_socket *s)
{
	s->fresh = false;
	weir__socket_settle(s);
}

/* ---- ending ---- */

void
weir__socket_progress(struct weir_socket *s)
{
	if (s->state != WEIR__OPEN || s->dying != 0 || s->frozen)
		return;
	if (weir__socket_queued(s) > 0)
		return;
	if (s->end_asked && weir__tls(s) != NULL && !weir__tls_finish(s))
		return;
	if (s->soon) {
		weir_socket_destroy(s, 0);
		return;
	}
	if (s->end_asked && !s->fin_sent) {
		/* The only failure, ENOTCONN, is a reset that the next read
		 * tells. A pipe's end is its close; and where the other side
		 * has ended too, the close sends the FIN. */
		if (s->is_socket && !s->rd_ended)
			(void)shutdown(s->fd, SHUT_WR);
		s->fin_sent = true;
		weir__note_written(s);
	}
	if (s->fin_sent && s->rd_ended)
		weir_socket_destroy(s, 0);
}

int
weir_socket_end(struct weir_socket *s)
{
	if (s == NULL)
		return -EINVAL;
	if (s->doomed || s->state == WEIR__IDLE || s->state == WEIR__CLOSING)
		return WEIR_E_SOCKET_CLOSED;
	s->end_asked = true;
	weir__socket_progress(s);
	weir__pump_update(s);
	return 0;
}

void
weir__socket_saw_end(struct weir_socket *s)
{
	if (s->rd_ended || s->state != WEIR__OPEN)
		return;
	s->eof = true;
	if (!weir__extra_data_end(s))
		return; /* a handler has ended it, or wants it later */
	s->rd_ended = true;
	weir__tell(s, on_end);
	if (s->state != WEIR__OPEN)
		return;
	if (!s->allow_half_open && !s->end_asked) {
		if (s->to != NULL)
			weir__pump_stop(s->to);
		else
			s->end_asked = true;
	}
	weir__socket_progress(s);
}

void
weir_socket_destroy(struct weir_socket *s, int err)
{
	if (s == NULL || s->doomed || s->state == WEIR__IDLE ||
	    s->state == WEIR__CLOSING)
		return;
	shut(s);
	s->state = WEIR__CLOSING;
	s->error = err;
	hold(s, true);
	weir__socket_defer(s, WEIR__DUE_CLOSE);
}

void
weir_socket_reset_and_destroy(struct weir_socket *s)
{
	static const struct linger now = {.l_onoff = 1, .l_linger = 0};

	if (s != NULL && s->fd != -1 && s->is_socket)
		(void)setsockopt(
		    s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	weir_socket_destroy(s, 0);
}

void
weir_socket_destroy_soon(struct weir_socket *s)
{
	if (s == NULL || s->doomed || s->state == WEIR__IDLE ||
	    s->state == WEIR__CLOSING)
		return;
	s->soon = s->end_asked = true;
	if (s->dying != 0) /* what was queued can not be written */
		weir_socket_destroy(s, s->dying);
	weir__socket_progress(s);
}

void
weir__socket_fail(struct weir_socket *s, int err)
{
	if (s->state != WEIR__OPEN || s->dying != 0)
		return;
	if (weir__from(s) == NULL || weir__from(s) == s->to || s->rd_ended) {
		weir_socket_destroy(s, err);
		return;
	}
	if (s->to != NULL)
		weir__pump_undo(s->to);
	s->dying = err;
	drop_queued(s);
	if (s->extra != NULL)
		free_buffer(&s->extra->out);
	if (weir__tls(s) != NULL)
		weir__tls_broken(s);
	weir__socket_defer(s, WEIR__DUE_BROKEN | WEIR__DUE_READ);
}

/* ---- flowing ---- */

bool
weir__socket_flowing(const struct weir_socket *s)
{
	if (s->explicit_pause)
		return false;
	return s->explicit_flow || s->handlers->on_data != NULL;
}

void
weir_socket_pause(struct weir_socket *s)
{
	if (s == NULL)
		return;
	s->explicit_pause = true;
	s->explicit_flow = false;
	if (weir__bev(s) != NULL)
		weir__stream_update(s);
	else
		weir__pump_update(s);
}

void
weir_socket_resume(struct weir_socket *s)
{
	if (s == NULL)
		return;
	s->explicit_pause = false;
	s->explicit_flow = true;
	if (s->state != WEIR__OPEN)
		return;
	if (weir__bev(s) != NULL)
		weir__stream_update(s);
	weir__socket_defer(s, WEIR__DUE_READ);
}

bool
weir_socket_paused(const struct weir_socket *s)
{
	if (s == NULL)
		return true;
	return !weir__socket_flowing(s);
}

/* ---- holding the loop ---- */

void
weir_socket_ref(struct weir_socket *s)
{
	if (s == NULL)
		return;
	s->unref = false;
	hold(s, s->state != WEIR__IDLE);
}

void
weir_socket_unref(struct weir_socket *s)
{
	if (s == NULL)
		return;
	s->unref = true;
	hold(s, s->state != WEIR__IDLE);
}
