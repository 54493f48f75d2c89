/*
 * A client: sends a line to a server, ends its side, and shows what comes
 * back until the server ends its own.
 *
 *   client ADDRESS TEXT        localhost:8124, [::1]:8124, /tmp/echo.sock
 */
#include <stdio.h>
#include <string.h>

#include <weir/weir.h>

static void
on_data(struct weir_socket *socket, const void *data, size_t length, void *user)
{
	(void)socket;
	(void)user;
	(void)fwrite(data, 1, length, stdout);
}

static void
on_close(struct weir_socket *socket, int err, void *user)
{
	int *status = user;

	(void)socket;
	if (err == 0)
		return;
	fprintf(stderr, "%s\n", weir_error_text(err));
	*status = 1;
}

static const struct weir_socket_handlers handlers = {
    .on_data = on_data,
    .on_close = on_close,
};

static int
connect_to(struct weir_socket *socket, const char *text)
{
	struct weir_endpoint endpoint;
	struct weir_address address;
	const char *problem;

	if (weir_endpoint_parse(&endpoint, text, &problem) != 0)
		fprintf(stderr, "%s: %s\n", text, problem);
	else if (endpoint.port_first != endpoint.port_last)
		fprintf(stderr, "%s: one port, no range\n", text);
	else if (endpoint.kind == WEIR_ENDPOINT_TCP)
		return weir_socket_connect_host(
		    socket, endpoint.name, endpoint.port_first, NULL);
	else if (weir_endpoint_address(&endpoint, &address) == 0)
		return weir_socket_connect(socket, &address, NULL);
	else
		fprintf(stderr, "%s: HOST:PORT or a path\n", text);
	return -1;
}

int
main(int argc, char **argv)
{
	struct weir_loop *loop;
	struct weir_socket *socket = NULL;
	int status = 0;

	if (argc != 3) {
		fprintf(stderr, "usage: client ADDRESS TEXT\n");
		return 2;
	}
	if (weir_loop_new(&loop, NULL) != 0)
		return 1;
	if (weir_socket_new(&socket, loop, NULL, &handlers, &status) != 0 ||
	    connect_to(socket, argv[1]) != 0) {
		status = 1;
	} else {
		/* All of it waits for the connection; so does the end. */
		(void)weir_socket_write(socket, argv[2], strlen(argv[2]));
		(void)weir_socket_write(socket, "\r\n", 2);
		(void)weir_socket_end(socket);
		(void)weir_loop_run(loop); /* until the socket has closed */
	}
	weir_socket_free(socket);
	weir_loop_free(loop);
	return status;
}
