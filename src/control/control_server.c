/*
 * The control socket: a unix socket of mode 0600 on which each client is
 * served by control_client.c.
 *
 * It answers for as long as weir runs, also while the proxy drains, and is
 * removed at the end. Nothing of it holds up the proxy: clients, their
 * requests and the answers that wait for them are bounded. When weir ends is
 * decided by the owner, whom on_shutdown only asks.
 */
#include "config.h"

#include "control/control_server.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/address.h>
#include <weir/error.h>
#include <weir/loop.h>
#include <weir/move.h>
#include <weir/server.h>
#include <weir/socket.h>

#include "control/control_client_priv.h"
#include "log/log.h"

struct control {
	struct control_client_owner owner; /* of the clients; owned */
	const struct control_handlers *handlers;
	void *user;
	struct weir_server *server; /* owned */
	char *path;		    /* owned */
	struct weir_timer *timer;   /* owned; of stopping */
	uint64_t stop_ms;
	unsigned depth; /* of handlers that are being called */
	bool doomed;	/* to be freed when depth is 0 */
	bool stopping;
	bool full;	/* clients were refused since the last was accepted */
	bool finishing; /* clients were told to finish */
	bool over;	/* on_stopped was called */
};

static void
destroy(struct control *control)
{
	struct control_client *client;

	while ((client = LIST_FIRST(&control->owner.clients)) != NULL)
		control_client_free(client);
	weir_timer_free(control->timer);
	weir_server_free(control->server);
	free(control->path);
	free(control);
}

void
control_free(struct control *control)
{
	if (control == NULL)
		return;
	if (control->depth > 0)
		control->doomed = true;
	else
		destroy(control);
}

/* After a handler that may have freed it. False where it did. */
static bool
leave(struct control *control)
{
	if (--control->depth > 0 || !control->doomed)
		return true;
	destroy(control);
	return false;
}

static bool
on_shutdown(bool now, void *user)
{
	struct control *control = user;

	control->depth++;
	control->handlers->on_shutdown(control, now, control->user);
	return leave(control);
}

/* Tell the owner that it is over; it may free. */
static void
stopped(struct control *control)
{
	weir_timer_stop(control->timer);
	if (control->over)
		return;
	control->over = true;
	if (control->handlers->on_stopped != NULL)
		control->handlers->on_stopped(control, control->user);
}

static void
on_gone(void *user)
{
	struct control *control = user;

	if (control->finishing && LIST_EMPTY(&control->owner.clients))
		stopped(control);
}

/* First let clients finish; the second time there is no more waiting. */
static void
on_timer(struct weir_timer *timer, void *user)
{
	struct control *control = user;
	struct control_client *client, *next;

	client = LIST_FIRST(&control->owner.clients);
	for (; client != NULL; client = next) {
		next = control_client_next(client);
		if (control->finishing)
			control_client_free(client);
		else
			control_client_finish(client);
	}
	control->finishing = true;
	if (LIST_EMPTY(&control->owner.clients) ||
	    weir_timer_start(timer, control->stop_ms) != 0)
		stopped(control);
}

void
control_stop(struct control *control)
{
	if (control->stopping)
		return;
	control->stopping = true;
	(void)weir_server_close(control->server);
	if (weir_timer_start(control->timer, 0) != 0)
		log_error("control socket: out of memory at its end");
}

const char *
control_path(const struct control *control)
{
	return control->path;
}

int
control_fd(const struct control *control)
{
	return weir_server_fd(control->server);
}

void
control_hold(struct control *control, bool on)
{
	if (on)
		weir_server_pause(control->server);
	else
		weir_server_resume(control->server);
}

void
control_own_path(struct control *control)
{
	(void)weir_server_own_path(control->server);
}

void
control_release(struct control *control)
{
	(void)weir_server_release(control->server);
}

unsigned
control_clients(const struct control *control)
{
	struct control_client *client;
	unsigned count = 0;

	client = LIST_FIRST(&control->owner.clients);
	for (; client != NULL; client = control_client_next(client))
		count++;
	return count;
}

size_t
control_buffered(const struct control *control)
{
	struct control_client *client;
	size_t bytes = 0;

	client = LIST_FIRST(&control->owner.clients);
	for (; client != NULL; client = control_client_next(client))
		bytes += control_client_buffered(client);
	return bytes;
}

static void
on_listening(struct weir_server *server, void *user)
{
	struct control *control = user;

	(void)server;
	if (control->handlers->on_ready != NULL)
		control->handlers->on_ready(control, control->user);
}

static void
on_connection(
    struct weir_server *server, struct weir_socket *socket, void *user)
{
	struct control *control = user;

	(void)server;
	control->full = false;
	if (control->stopping)
		weir_socket_free(socket);
	else if (control_client_new(&control->owner, socket) != 0)
		log_error("control client refused: out of memory");
}

static void
on_drop(struct weir_server *server, const struct weir_address *local,
    const struct weir_address *remote, void *user)
{
	struct control *control = user;

	(void)server;
	(void)local;
	(void)remote;
	if (control->full)
		return;
	control->full = true;
	log_warn("control clients refused: too many are connected",
	    LOG_N("max", CONTROL_CLIENTS_MAX));
}

static void
on_error(struct weir_server *server, int err, void *user)
{
	struct control *control = user;

	(void)server;
	if (control->handlers->on_failed != NULL)
		control->handlers->on_failed(control, err, control->user);
}

static const struct weir_server_handlers server_handlers = {
    .on_listening = on_listening,
    .on_connection = on_connection,
    .on_drop = on_drop,
    .on_error = on_error,
};

/* Make the directory of the socket where only that is missing. */
static int
make_directory(const struct control_options *options)
{
	const char *slash = strrchr(options->path, '/');
	char *directory;
	int err = 0;

	if (slash == NULL || slash == options->path)
		return 0;
	directory = strndup(options->path, (size_t)(slash - options->path));
	if (directory == NULL)
		return -ENOMEM;
	if (mkdir(directory, 0755) != 0) {
		err = -errno;
		/* EEXIST is not what all file systems say first. */
		if (access(directory, F_OK) == 0)
			err = 0;
	} else if (options->set_owner &&
		   chown(directory, options->uid, options->gid) != 0) {
		err = -errno;
		(void)rmdir(directory);
	}
	free(directory);
	return err;
}

static int
listen_on(struct control *control, const struct control_options *options)
{
	struct weir_listen_options listen = {
	    .replace_stale = true,
	    .set_mode = true,
	    .mode = 0600,
	    .set_uid = options->set_owner,
	    .uid = options->uid,
	    .set_gid = options->set_owner,
	    .gid = options->gid,
	};
	struct weir_address address;
	int err;

	if (options->take_up)
		return weir_server_listen_fd(
		    control->server, options->fd, &listen);
	err = weir_address_set_unix(&address, options->path, false);
	if (err == 0)
		err = make_directory(options);
	if (err == 0)
		err = weir_server_listen(control->server, &address, &listen);
	return err;
}

int
control_start(struct control **ret, struct weir_loop *loop,
    const struct control_subject *subject,
    const struct control_options *options,
    const struct control_handlers *handlers, void *user)
{
	/* A client that shuts its side still gets its answers. */
	static const struct weir_server_options server_options = {
	    .allow_half_open = true,
	};
	struct control *control = calloc(1, sizeof(*control));
	int err;

	if (control == NULL)
		return -ENOMEM;
	control->handlers = handlers;
	control->user = user;
	control->stop_ms =
	    options->stop_ms > 0 ? options->stop_ms : CONTROL_STOP_MS;
	control->owner.loop = loop;
	control->owner.subject = subject;
	control->owner.stall_ms =
	    options->stall_ms > 0 ? options->stall_ms : CONTROL_STALL_MS;
	control->owner.on_shutdown = on_shutdown;
	control->owner.on_gone = on_gone;
	control->owner.user = control;
	LIST_INIT(&control->owner.clients);
	control->path = strdup(options->path);
	err = control->path != NULL
		  ? weir_timer_new(&control->timer, loop, on_timer, control)
		  : -ENOMEM;
	if (err == 0)
		err = weir_server_new(&control->server, loop, &server_options,
		    &server_handlers, control);
	if (err == 0) {
		weir_server_set_max_connections(
		    control->server, CONTROL_CLIENTS_MAX);
		err = listen_on(control, options);
	}
	if (err != 0) {
		destroy(control);
		return err;
	}
	*ret = control;
	return 0;
}
