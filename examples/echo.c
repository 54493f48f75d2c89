/*
 * The echo server of the documents: it says hello, and sends back what it
 * gets. Try it with: telnet localhost 8124, nc -U /tmp/echo.sock
 *
 *   echo [ADDRESS]        any address, port 8124; or 127.0.0.1:8124, a path
 */
#include <stdio.h>
#include <string.h>

#include <weir/weir.h>

static void
on_close(struct weir_socket *socket, int err, void *user)
{
	(void)user;
	if (err != 0)
		fprintf(stderr, "client lost: %s\n", weir_error_text(err));
	weir_socket_free(socket);
}

static const struct weir_socket_handlers client_handlers = {
    .on_close = on_close,
};

static void
on_connection(
    struct weir_server *server, struct weir_socket *client, void *user)
{
	static const char hello[] = "hello\r\n";

	(void)server;
	(void)user;
	weir_socket_set_handlers(client, &client_handlers, NULL);
	(void)weir_socket_write(client, hello, strlen(hello));
	/* A pipe keeps to the pace of whoever reads it. */
	if (weir_socket_pipe(client, client, NULL) != 0)
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

/* "127.0.0.1:8124", "[::1]:0", "/tmp/echo.sock", "unix:@name" */
static int
listen_on(struct weir_server *server, const char *text)
{
	struct weir_endpoint endpoint;
	struct weir_address address;
	const char *problem;

	if (weir_endpoint_parse(&endpoint, text, &problem) != 0)
		fprintf(stderr, "%s: %s\n", text, problem);
	else if (weir_endpoint_address(&endpoint, &address) != 0 ||
		 endpoint.port_first != endpoint.port_last)
		fprintf(stderr, "%s: one numeric address or path\n", text);
	else
		return weir_server_listen(server, &address, NULL);
	return -1;
}

int
main(int argc, char **argv)
{
	struct weir_loop *loop;
	struct weir_server *server = NULL;
	int status = 0;

	if (weir_loop_new(&loop, NULL) != 0)
		return 1;
	if (weir_server_new(&server, loop, NULL, &server_handlers, &status) !=
		0 ||
	    (argc > 1 ? listen_on(server, argv[1])
		      : weir_server_listen_any(server, 8124, NULL)) != 0)
		status = 1;
	else
		(void)weir_loop_run(loop); /* until the server has closed */
	weir_server_free(server);
	weir_loop_free(loop);
	return status;
}
