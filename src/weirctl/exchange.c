/*
 * One request to a running weir, and its answer, over a socket of libweir's.
 *
 * The answer is one line of any length up to EXCHANGE_ANSWER_MAX. What it
 * says, and what a failure means for the exit status, is left to the caller.
 */
#include "config.h"

#include "weirctl/exchange.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/address.h>
#include <weir/error.h>
#include <weir/loop.h>
#include <weir/socket.h>

struct run {
	struct exchange *exchange;
	const char *path;
	uint64_t timeout_ms;
	struct weir_loop *loop;	    /* owned */
	struct weir_socket *socket; /* owned */
	struct weir_timer *timer;   /* owned */
	size_t size;		    /* of exchange.answer */
	bool connected;
	bool done; /* with an answer or a problem */
	bool answered;
};

static void __attribute__((format(printf, 2, 3)))
fail(struct run *run, const char *format, ...)
{
	va_list ap;

	if (run->done)
		return;
	run->done = true;
	va_start(ap, format);
	(void)vsnprintf(
	    run->exchange->problem, sizeof(run->exchange->problem), format, ap);
	va_end(ap);
	weir_loop_stop(run->loop);
}

static void
on_connect(struct weir_socket *socket, void *user)
{
	struct run *run = user;

	(void)socket;
	run->connected = true;
}

static void
on_data(struct weir_socket *socket, const void *data, size_t length, void *user)
{
	const char *end = memchr(data, '\n', length);
	struct run *run = user;
	struct strbuf *answer = &run->exchange->answer;

	(void)socket;
	if (run->done)
		return;
	if (end != NULL)
		length = (size_t)(end - (const char *)data);
	if (length > EXCHANGE_ANSWER_MAX - answer->length) {
		fail(run, "the answer from %s is longer than %zu bytes",
		    run->path, EXCHANGE_ANSWER_MAX);
		return;
	}
	strbuf_add(answer, data, length);
	if (answer->failed) {
		fail(run, "out of memory for the answer from %s", run->path);
		return;
	}
	if (end == NULL)
		return;
	run->done = run->answered = true;
	weir_loop_stop(run->loop);
}

static void
on_end(struct weir_socket *socket, void *user)
{
	struct run *run = user;

	(void)socket;
	if (run->exchange->answer.length > 0)
		fail(run, "%s closed the connection within its answer",
		    run->path);
	else
		fail(run,
		    "%s closed the connection without an answer; perhaps too "
		    "many clients are connected to it",
		    run->path);
}

static void
on_error(struct weir_socket *socket, int err, void *user)
{
	struct run *run = user;

	(void)socket;
	if (run->connected)
		fail(run, "%s: %s", run->path, weir_error_text(err));
	else if (err == -EACCES || err == -EPERM)
		fail(run, "cannot connect to %s: %s", run->path,
		    weir_error_text(err));
	else
		fail(run,
		    "cannot connect to %s: %s; is weir running? (-s SOCKET is "
		    "another one)",
		    run->path, weir_error_text(err));
}

static void
on_close(struct weir_socket *socket, int err, void *user)
{
	struct run *run = user;

	(void)err;
	on_end(socket, run);
}

static void
on_timeout(struct weir_timer *timer, void *user)
{
	struct run *run = user;

	(void)timer;
	fail(run, "%s did not answer within %g s", run->path,
	    (double)run->timeout_ms / 1000);
}

static const struct weir_socket_handlers handlers = {
    .on_connect = on_connect,
    .on_data = on_data,
    .on_end = on_end,
    .on_error = on_error,
    .on_close = on_close,
};

/* Begin; what goes wrong later comes by a handler. */
static int
begin(struct run *run, const char *line)
{
	struct weir_address address;
	int err;

	err = weir_address_set_unix(&address, run->path, false);
	if (err == 0)
		err = weir_loop_new(&run->loop, NULL);
	if (err == 0)
		err = weir_timer_new(&run->timer, run->loop, on_timeout, run);
	if (err == 0 && run->timeout_ms > 0)
		err = weir_timer_start(run->timer, run->timeout_ms);
	if (err == 0)
		err = weir_socket_new(
		    &run->socket, run->loop, NULL, &handlers, run);
	if (err == 0)
		err = weir_socket_connect(run->socket, &address, NULL);
	if (err == 0)
		err = weir_socket_write(run->socket, line, strlen(line));
	return err > 0 ? 0 : err;
}

int
exchange_run(struct exchange *exchange, const char *path, const char *line,
    uint64_t timeout_ms)
{
	struct run run = {
	    .exchange = exchange,
	    .path = path,
	    .timeout_ms = timeout_ms,
	};
	int err;

	memset(exchange, 0, sizeof(*exchange));
	err = begin(&run, line);
	if (err != 0)
		(void)snprintf(exchange->problem, sizeof(exchange->problem),
		    "cannot connect to %s: %s", path, weir_error_text(err));
	else
		(void)weir_loop_run(run.loop);
	weir_socket_free(run.socket);
	weir_timer_free(run.timer);
	weir_loop_free(run.loop);
	return run.answered ? 0 : -1;
}

void
exchange_finish(struct exchange *exchange)
{
	strbuf_free(&exchange->answer);
}
