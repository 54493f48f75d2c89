/*
 * Handing connections over: the parent accepts, reads nothing, and sends each
 * connection to its child, who serves it.
 *
 *   handover ADDRESS        127.0.0.1:8124, /tmp/echo.sock
 */
#include <sys/types.h>

#include <stdio.h>
#include <unistd.h>

#include <weir/weir.h>

static void
on_close(struct weir_socket *socket, int err, void *user)
{
	(void)err;
	(void)user;
	weir_socket_free(socket);
}

static const struct weir_socket_handlers socket_handlers = {
    .on_close = on_close,
};

/* ---- the child ---- */

/* A connection came: say who serves, and send back what it sends. */
static void
on_message(struct weir_channel *channel, struct weir_socket *client,
    const void *data, size_t length, void *user)
{
	char text[64];
	int n =
	    snprintf(text, sizeof(text), "served by %ld\r\n", (long)getpid());

	(void)channel;
	(void)data;
	(void)length;
	(void)user;
	if (client == NULL)
		return;
	weir_socket_set_handlers(client, &socket_handlers, NULL);
	(void)weir_socket_write(client, text, (size_t)n);
	if (weir_socket_pipe(client, client, NULL) != 0)
		weir_socket_free(client);
}

static const struct weir_channel_handlers child_handlers = {
    .on_message = on_message,
};

/* Ends when the parent does: that closes the channel. */
static int
serve(int fd)
{
	struct weir_loop *loop;
	struct weir_channel *channel;

	if (weir_loop_new(&loop, NULL) != 0)
		return 1;
	if (weir_channel_new(&channel, loop, fd, &child_handlers, NULL) == 0) {
		(void)weir_loop_run(loop);
		weir_channel_free(channel);
	}
	weir_loop_free(loop);
	return 0;
}

/* ---- the parent ---- */

static void
on_answer(struct weir_channel *channel, struct weir_socket *client,
    const void *data, size_t length, void *user)
{
	(void)channel;
	(void)data;
	(void)length;
	(void)user;
	weir_socket_free(client); /* none is expected */
}

static void
on_channel_close(struct weir_channel *channel, int err, void *user)
{
	struct weir_server *server = user;

	(void)channel;
	(void)err;
	fprintf(stderr, "the child has ended\n");
	(void)weir_server_close(server);
}

static const struct weir_channel_handlers parent_handlers = {
    .on_message = on_answer,
    .on_close = on_channel_close,
};

static void
on_connection(
    struct weir_server *server, struct weir_socket *client, void *user)
{
	struct weir_channel *const *channel = user;
	int err = weir_channel_send(*channel, client, NULL, 0);

	(void)server;
	if (err != 0)
		fprintf(stderr, "not handed over: %s\n", weir_error_text(err));
	/* Once it has been sent this ends nothing. */
	weir_socket_free(client);
}

static void
on_listening(struct weir_server *server, void *user)
{
	struct weir_address address;
	char text[WEIR_ADDRESS_TEXT];

	(void)user;
	(void)weir_server_address(server, &address);
	printf("listening on %s\n",
	    weir_address_text(&address, text, sizeof(text)));
	(void)fflush(stdout);
}

static void
on_error(struct weir_server *server, int err, void *user)
{
	struct weir_channel *const *channel = user;

	(void)server;
	fprintf(stderr, "cannot listen: %s\n", weir_error_text(err));
	weir_channel_unref(*channel);
}

static const struct weir_server_handlers server_handlers = {
    .on_connection = on_connection,
    .on_listening = on_listening,
    .on_error = on_error,
};

static int
accept_for(int fd, const struct weir_address *address)
{
	static const struct weir_server_options paused = {
	    .pause_on_connect = true,
	};
	struct weir_loop *loop;
	struct weir_channel *channel = NULL;
	struct weir_server *server = NULL;

	if (weir_loop_new(&loop, NULL) != 0)
		return 1;
	if (weir_server_new(
		&server, loop, &paused, &server_handlers, &channel) == 0 &&
	    weir_channel_new(&channel, loop, fd, &parent_handlers, server) ==
		0 &&
	    weir_server_listen(server, address, NULL) == 0)
		(void)weir_loop_run(loop);
	weir_channel_free(channel);
	weir_server_free(server);
	weir_loop_free(loop);
	return 1; /* it goes on for as long as its child does */
}

static int
read_address(struct weir_address *ret, const char *text)
{
	struct weir_endpoint endpoint;
	const char *problem;

	if (weir_endpoint_parse(&endpoint, text, &problem) != 0)
		fprintf(stderr, "%s: %s\n", text, problem);
	else if (weir_endpoint_address(&endpoint, ret) != 0 ||
		 endpoint.port_first != endpoint.port_last)
		fprintf(stderr, "%s: one numeric address or path\n", text);
	else
		return 0;
	return -1;
}

int
main(int argc, char **argv)
{
	struct weir_address address;
	int fds[2];
	pid_t child;

	if (argc != 2) {
		fprintf(stderr, "usage: handover ADDRESS\n");
		return 2;
	}
	if (read_address(&address, argv[1]) != 0)
		return 2;
	if (weir_channel_pair(fds) != 0)
		return 1;
	child = fork();
	if (child == -1)
		return 1;
	(void)close(fds[child == 0 ? 0 : 1]);
	return child == 0 ? serve(fds[1]) : accept_for(fds[0], &address);
}
