/*
 * One client of the control socket: lines in, answers out, in their order.
 *
 * A request may be answered later, when workers were asked, and a long answer
 * comes in parts, each made once the one before has been taken. What a client
 * holds is bounded: at most one request (CONTROL_REQUEST_MAX) and what one read
 * brought in, and a part of one answer. While a request is being carried out or
 * an answer waits for the client to take it, nothing more is read; a client
 * that takes none of it for stall_ms is dropped. A client that sends requests
 * faster than they can be carried out gets CLIENT_BATCH of them done in a
 * turn of the loop; and after requests that took time, those of all clients
 * rest for as long, so that the proxy has at least half of it.
 *
 * A last line without a line's end counts when the client has shut its side,
 * as "printf ping | nc -NU ..." sends it; but as that may be half of what a
 * client meant that has died, it changes nothing. What requests mean is the
 * affair of command.c.
 */
#include "config.h"

#include "control/control_client_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/loop.h>
#include <weir/socket.h>

#include "control/answer.h"
#include "control/command.h"
#include "control/requests.h"
#include "log/log.h"

#define CLIENT_BATCH 32

struct control_client {
	LIST_ENTRY(control_client) next; /* owner.clients */
	struct control_client_owner *owner;
	struct weir_socket *socket; /* owned */
	struct weir_timer *turn;    /* owned; more requests are to be done */
	struct command *command;    /* owned; being carried out; or NULL */
	struct command_caller caller;
	char *in; /* owned; read, and not carried out yet */
	size_t in_length;
	size_t in_size; /* bytes allocated */
	bool ended;	/* the client has shut its side */
	bool waiting;	/* for the client to take its answer */
	bool finishing; /* when that one is answered it is closed */
	bool closing;	/* nothing more is sent */
};

struct control_client *
control_client_next(struct control_client *client)
{
	return LIST_NEXT(client, next);
}

size_t
control_client_buffered(const struct control_client *client)
{
	return client->in_size + weir_socket_buffered(client->socket) +
	       weir_socket_held(client->socket);
}

void
control_client_free(struct control_client *client)
{
	LIST_REMOVE(client, next);
	command_free(client->command);
	weir_timer_free(client->turn);
	weir_socket_free(client->socket);
	free(client->in);
	free(client);
}

/* The end of a client that its owner did not ask for. */
static void
gone(struct control_client *client)
{
	struct control_client_owner *owner = client->owner;

	control_client_free(client);
	owner->on_gone(owner->user);
}

static void
drop_command(struct control_client *client)
{
	command_free(client->command);
	client->command = NULL;
}

static void
drop_in(struct control_client *client)
{
	free(client->in);
	client->in = NULL;
	client->in_length = client->in_size = 0;
}

/* What was answered is all that it gets. */
static void
close_soon(struct control_client *client)
{
	client->closing = true;
	drop_command(client);
	drop_in(client);
	weir_timer_stop(client->turn);
	weir_socket_pause(client->socket);
	weir_socket_destroy_soon(client->socket);
}

/* Nothing can be sent; on_close follows. */
static void
close_now(struct control_client *client, int err)
{
	client->closing = true;
	drop_command(client);
	weir_socket_destroy(client->socket, err);
}

void
control_client_finish(struct control_client *client)
{
	if (client->command == NULL)
		close_soon(client);
	else
		client->finishing = true;
}

/* Send what there is of an answer, and note whether it waits for the client. */
static int
send_answer(struct control_client *client, struct answer *answer)
{
	size_t length;
	const char *line = answer_line(answer, &length);
	int err = line == NULL
		      ? -ENOMEM
		      : weir_socket_write(client->socket, line, length);

	if (err == WEIR_WAIT) {
		client->waiting = true;
		(void)weir_socket_set_timeout(
		    client->socket, client->owner->stall_ms);
	}
	return err < 0 ? err : 0;
}

/* Send what its command has made. False where the client has been freed
 * meanwhile. */
static bool
deliver(struct control_client *client)
{
	struct control_client_owner *owner = client->owner;
	struct answer *answer = command_answer(client->command);
	enum command_effect effect;
	int err = answer_given(answer) ? send_answer(client, answer) : 0;

	if (err != 0) {
		/* It has gone already, or there is no memory for it. */
		close_now(client, err);
		return true;
	}
	if (!answer_failed(answer) &&
	    command_state(client->command) != COMMAND_FINISHED) {
		answer_sent(answer);
		return true;
	}
	effect = command_effect(client->command);
	drop_command(client);
	if (client->finishing)
		close_soon(client);
	if (effect == COMMAND_DONE)
		return true;
	return owner->on_shutdown(effect == COMMAND_SHUTDOWN_NOW, owner->user);
}

static void on_told(struct command *command, void *user);

/* Begin to carry out one line. False where the client has been freed. */
static bool
run_line(
    struct control_client *client, const char *line, size_t length, bool whole)
{
	int err;

	if (length > 0 && line[length - 1] == '\r')
		length--;
	err = command_start(&client->command, client->owner->subject,
	    &client->caller, line, length, whole, on_told, client);
	if (err != 0) {
		close_now(client, err);
		return true;
	}
	if (client->command == NULL)
		return true;
	client->finishing = client->finishing || length > CONTROL_REQUEST_MAX;
	return command_state(client->command) == COMMAND_WORKING ||
	       deliver(client);
}

/*
 * The next line in what was read, from offset on: its length, and where the
 * one after it begins. A line that is too long is one although its end was
 * not read. False where more must be read first.
 */
static bool
next_line(const struct control_client *client, size_t offset, size_t *length,
    size_t *after)
{
	size_t rest = client->in_length - offset;
	const char *end;

	if (rest == 0)
		return false;
	end = memchr(client->in + offset, '\n', rest);
	*length = end != NULL ? (size_t)(end - client->in) - offset : rest;
	*after = offset + *length + (end != NULL);
	/* One byte more may be the CR of CRLF. */
	return end != NULL || client->ended || rest > CONTROL_REQUEST_MAX + 1;
}

/* Keep what is left from offset on, in no more memory than a line needs. */
static void
consume(struct control_client *client, size_t offset)
{
	size_t rest = client->in_length - offset;

	if (rest == 0) {
		drop_in(client);
		return;
	}
	memmove(client->in, client->in + offset, rest);
	client->in_length = rest;
}

/* Whether its command can make the next part of its answer. */
static bool
may_go_on(const struct control_client *client)
{
	return client->command != NULL && !client->waiting &&
	       command_state(client->command) == COMMAND_RESTING;
}

/* Whether it can be carried out now what is next. */
static bool
has_work(const struct control_client *client)
{
	size_t length, after;

	if (client->command != NULL || client->waiting)
		return may_go_on(client);
	return next_line(client, 0, &length, &after);
}

/* Decide what comes next, after some was carried out. */
static void
go_on(struct control_client *client)
{
	if (client->closing)
		return;
	if (has_work(client)) {
		weir_socket_pause(client->socket);
		if (weir_timer_start(client->turn, 0) != 0)
			close_soon(client);
	} else if (client->command != NULL || client->waiting) {
		weir_socket_pause(client->socket);
	} else if (client->ended) {
		(void)weir_socket_end(client->socket);
	} else {
		weir_socket_resume(client->socket);
	}
}

/* Its command, which waited for others, has made some of its answer. */
static void
on_told(struct command *command, void *user)
{
	struct control_client *client = user;

	(void)command;
	if (deliver(client))
		go_on(client);
}

/* Carry out a batch of lines. False where the client has been freed. */
static bool
run_lines(struct control_client *client)
{
	size_t offset = 0, length, after;
	unsigned i;

	for (i = 0; i < CLIENT_BATCH; i++) {
		if (client->command != NULL || client->waiting ||
		    client->closing ||
		    !next_line(client, offset, &length, &after))
			break;
		if (!run_line(client, client->in + offset, length,
			after > offset + length))
			return false;
		offset = after;
	}
	if (!client->closing)
		consume(client, offset);
	return true;
}

/* One part of an answer, or some lines. False where the client has been
 * freed. */
static bool
work(struct control_client *client)
{
	if (client->command == NULL)
		return run_lines(client);
	if (!may_go_on(client))
		return true;
	command_go_on(client->command);
	return command_state(client->command) == COMMAND_WORKING ||
	       deliver(client);
}

/* Carry out what can be now. The client may be freed afterwards. */
static void
serve(struct control_client *client)
{
	struct control_client_owner *owner = client->owner;
	uint64_t begin = weir_loop_now_ms(owner->loop), end;

	if (begin < owner->rest_until_ms) {
		weir_socket_pause(client->socket);
		if (weir_timer_start(
			client->turn, owner->rest_until_ms - begin) != 0)
			close_soon(client);
		return;
	}
	if (!work(client))
		return;
	end = weir_loop_now_ms(owner->loop);
	owner->rest_until_ms = end + (end - begin);
	go_on(client);
}

static void
on_turn(struct weir_timer *timer, void *user)
{
	(void)timer;
	serve(user);
}

/* Keep bytes that came. */
static int
keep(struct control_client *client, const void *data, size_t length)
{
	size_t needed = client->in_length + length;
	char *in;

	if (needed > client->in_size) {
		in = realloc(client->in, needed);
		if (in == NULL)
			return -ENOMEM;
		client->in = in;
		client->in_size = needed;
	}
	memcpy(client->in + client->in_length, data, length);
	client->in_length = needed;
	return 0;
}

static void
on_data(struct weir_socket *socket, const void *data, size_t length, void *user)
{
	struct control_client *client = user;

	if (client->closing)
		return;
	if (keep(client, data, length) != 0) {
		client->closing = true;
		weir_socket_destroy(socket, -ENOMEM);
		return;
	}
	if (!client->waiting && !weir_timer_running(client->turn))
		serve(client);
}

static void
on_end(struct weir_socket *socket, void *user)
{
	struct control_client *client = user;

	(void)socket;
	client->ended = true;
	if (!client->waiting && !weir_timer_running(client->turn))
		serve(client);
}

static void
on_drain(struct weir_socket *socket, void *user)
{
	struct control_client *client = user;

	(void)weir_socket_set_timeout(socket, 0);
	client->waiting = false;
	if (!client->closing)
		serve(client);
}

static void
on_timeout(struct weir_socket *socket, void *user)
{
	struct control_client *client = user;

	log_warn("control client dropped: it does not take its answer",
	    LOG_N("bytes", weir_socket_buffered(socket)));
	gone(client);
}

static void
on_error(struct weir_socket *socket, int err, void *user)
{
	(void)socket;
	(void)user;
	if (err == -ENOMEM)
		log_error("control client dropped: out of memory");
}

static void
on_close(struct weir_socket *socket, int err, void *user)
{
	(void)socket;
	(void)err;
	gone(user);
}

static const struct weir_socket_handlers socket_handlers = {
    .on_data = on_data,
    .on_end = on_end,
    .on_timeout = on_timeout,
    .on_drain = on_drain,
    .on_error = on_error,
    .on_close = on_close,
};

int
control_client_new(
    struct control_client_owner *owner, struct weir_socket *socket)
{
	struct control_client *client = calloc(1, sizeof(*client));
	gid_t gid;

	if (client == NULL ||
	    weir_timer_new(&client->turn, owner->loop, on_turn, client) != 0) {
		free(client);
		weir_socket_free(socket);
		return -ENOMEM;
	}
	client->owner = owner;
	client->socket = socket;
	client->caller.known =
	    weir_socket_peer_credentials(
		socket, &client->caller.pid, &client->caller.uid, &gid) == 0;
	LIST_INSERT_HEAD(&owner->clients, client, next);
	weir_socket_set_handlers(socket, &socket_handlers, client);
	return 0;
}
