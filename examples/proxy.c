/*
 * A proxy: joins each client with a server, both ways. Half-closes travel, a
 * reader that stops makes its sender stop, and a reset is passed on as one.
 *
 *   proxy ADDRESS ADDRESS        from, to: 127.0.0.1:8080, [::1]:80, a path
 */
#include <stdio.h>
#include <stdlib.h>

#include <weir/weir.h>

static struct weir_loop *loop;
static struct weir_address from, to;

/* One client and its server; gone when both are closed. */
struct pair {
	struct weir_socket *client, *server;
};

static void
on_close(struct weir_socket *socket, int err, void *user)
{
	struct pair *pair = user;
	struct weir_socket *other;

	if (socket == pair->client)
		pair->client = NULL;
	else
		pair->server = NULL;
	other = pair->client != NULL ? pair->client : pair->server;
	weir_socket_free(socket);
	if (other == NULL)
		free(pair);
	else if (err != 0)
		weir_socket_reset_and_destroy(other);
}

static const struct weir_socket_handlers handlers = {.on_close = on_close};

static void
on_connection(
    struct weir_server *server, struct weir_socket *client, void *user)
{
	static const struct weir_socket_options half_open = {
	    .allow_half_open = true,
	};
	struct pair *pair = calloc(1, sizeof(*pair));

	(void)server;
	(void)user;
	if (pair == NULL || weir_socket_new(&pair->server, loop, &half_open,
				&handlers, pair) != 0) {
		free(pair);
		weir_socket_free(client);
		return;
	}
	pair->client = client;
	weir_socket_set_handlers(client, &handlers, pair);
	/* What the client sends before there is a connection is held. */
	if (weir_socket_connect(pair->server, &to, NULL) != 0 ||
	    weir_socket_pipe(client, pair->server, NULL) != 0 ||
	    weir_socket_pipe(pair->server, client, NULL) != 0) {
		weir_socket_free(pair->server);
		weir_socket_free(client);
		free(pair);
	}
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
	int *status = user;

	(void)server;
	fprintf(stderr, "cannot listen: %s\n", weir_error_text(err));
	*status = 1;
}

static const struct weir_server_handlers server_handlers = {
    .on_connection = on_connection,
    .on_listening = on_listening,
    .on_error = on_error,
};

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
	const struct weir_server_options half_open = {.allow_half_open = true};
	struct weir_server *server = NULL;
	int status = 0;

	if (argc != 3) {
		fprintf(stderr, "usage: proxy ADDRESS ADDRESS\n");
		return 2;
	}
	if (read_address(&from, argv[1]) != 0 ||
	    read_address(&to, argv[2]) != 0)
		return 2;
	if (weir_loop_new(&loop, NULL) != 0)
		return 1;
	if (weir_server_new(
		&server, loop, &half_open, &server_handlers, &status) != 0 ||
	    weir_server_listen(server, &from, NULL) != 0)
		status = 1;
	else
		(void)weir_loop_run(loop);
	weir_server_free(server);
	weir_loop_free(loop);
	return status;
}
