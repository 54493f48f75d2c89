/*
 * The echo server with TLS. Try it with:
 *
 *   openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost \
 *       -keyout key.pem -out cert.pem
 *   tls_echo 127.0.0.1:8443 cert.pem key.pem
 *   openssl s_client -connect 127.0.0.1:8443
 */
#include <stdio.h>
#include <string.h>

#include <weir/weir.h>

static void
on_close(struct weir_socket *socket, int err, void *user)
{
	(void)err;
	(void)user;
	weir_socket_free(socket);
}

static const struct weir_socket_handlers client_handlers = {
    .on_close = on_close,
};

/* The handshake is still to come: what is written here waits for it. */
static void
on_connection(
    struct weir_server *server, struct weir_socket *client, void *user)
{
	static const char hello[] = "hello\r\n";

	(void)server;
	(void)user;
	weir_socket_set_handlers(client, &client_handlers, NULL);
	(void)weir_socket_write(client, hello, strlen(hello));
	if (weir_socket_pipe(client, client, NULL) != 0)
		weir_socket_free(client);
}

static void
on_secure_connection(
    struct weir_server *server, struct weir_socket *client, void *user)
{
	struct weir_tls_info info;

	(void)server;
	(void)user;
	if (weir_socket_tls_info(client, &info) == 0)
		printf("%s, %s\n", info.protocol, info.cipher);
	(void)fflush(stdout);
}

static void
on_tls_client_error(
    struct weir_server *server, struct weir_socket *client, int err, void *user)
{
	const char *more = weir_socket_tls_error(client);

	(void)server;
	(void)user;
	fprintf(stderr, "%s: %s\n", weir_error_text(err),
	    more != NULL ? more : "no more is known");
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
    .on_secure_connection = on_secure_connection,
    .on_tls_client_error = on_tls_client_error,
    .on_listening = on_listening,
    .on_error = on_error,
};

/* The server keeps the context; whoever made it has no more use for it. */
static int
set_tls(struct weir_server *server, const char *certificate_file,
    const char *key_file)
{
	const struct weir_tls_pair pair = {
	    .certificate_file = certificate_file,
	    .key_file = key_file,
	};
	const struct weir_tls_context_options options = {
	    .server = true,
	    .pairs = &pair,
	    .pair_count = 1,
	};
	struct weir_tls_context *context;
	char text[256];
	int err;

	err = weir_tls_context_new(&context, &options, text, sizeof(text));
	if (err != 0) {
		fprintf(stderr, "%s\n", text);
		return err;
	}
	err = weir_server_set_tls(server, context, NULL);
	weir_tls_context_unref(context);
	return err;
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
	struct weir_loop *loop;
	struct weir_server *server = NULL;
	struct weir_address address;
	int status = 0;

	if (argc != 4) {
		fprintf(stderr, "usage: tls_echo ADDRESS CERTIFICATE KEY\n");
		return 2;
	}
	if (read_address(&address, argv[1]) != 0)
		return 2;
	if (weir_loop_new(&loop, NULL) != 0)
		return 1;
	if (weir_server_new(&server, loop, NULL, &server_handlers, &status) !=
		0 ||
	    set_tls(server, argv[2], argv[3]) != 0 ||
	    weir_server_listen(server, &address, NULL) != 0)
		status = 1;
	else
		(void)weir_loop_run(loop);
	weir_server_free(server);
	weir_loop_free(loop);
	return status;
}
