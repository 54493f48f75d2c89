/*
 * Worker processes: two children share one server's handle, and the system
 * gives each connection to one of them. The parent accepts none; SIGUSR1 asks
 * it how many there are, SIGTERM ends all.
 *
 *   workers ADDRESS        127.0.0.1:8124, /tmp/echo.sock
 */
#include <sys/types.h>
#include <sys/wait.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <weir/weir.h>

#define WORKERS 2

static struct weir_loop *loop;
static struct weir_server *server;
static pid_t workers[WORKERS];
static bool is_worker;
static int status;

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

/* Says who it is, and sends back what it gets. */
static void
on_connection(struct weir_server *s, struct weir_socket *client, void *user)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "worker %ld\r\n", (long)getpid());

	(void)s;
	(void)user;
	weir_socket_set_handlers(client, &client_handlers, NULL);
	(void)weir_socket_write(client, text, (size_t)n);
	if (weir_socket_pipe(client, client, NULL) != 0)
		weir_socket_free(client);
}

static void
on_listening(struct weir_server *s, void *user)
{
	struct weir_address address;
	char text[WEIR_ADDRESS_TEXT];

	(void)user;
	if (is_worker)
		return; /* what was asked before the fork is told to both */
	(void)weir_server_address(s, &address);
	printf("listening on %s\n",
	    weir_address_text(&address, text, sizeof(text)));
	(void)fflush(stdout);
}

static void
on_error(struct weir_server *s, int err, void *user)
{
	(void)s;
	(void)user;
	status = 1;
	if (is_worker)
		return;
	fprintf(stderr, "cannot listen: %s\n", weir_error_text(err));
}

static const struct weir_server_handlers handlers = {
    .on_connection = on_connection,
    .on_listening = on_listening,
    .on_error = on_error,
};

static int
start_workers(void)
{
	int i;

	for (i = 0; i < WORKERS; i++) {
		workers[i] = fork();
		if (workers[i] == -1)
			return -1;
		if (workers[i] == 0) {
			is_worker = true;
			return weir_loop_after_fork(loop);
		}
	}
	/* From here on the parent leaves the connections to them. */
	weir_server_pause(server);
	return 0;
}

static void
end_workers(void)
{
	int i;

	for (i = 0; i < WORKERS; i++)
		if (!is_worker && workers[i] > 0) {
			(void)kill(workers[i], SIGTERM);
			(void)waitpid(workers[i], NULL, 0);
		}
}

static void
on_term(struct weir_signal *signal, int signo, void *user)
{
	(void)signal;
	(void)signo;
	(void)user;
	weir_loop_stop(loop);
}

static void
on_counted(struct weir_server *s, int err, size_t count, void *user)
{
	(void)s;
	(void)err;
	(void)user;
	printf("%zu connections\n", count);
	(void)fflush(stdout);
}

static void
on_usr1(struct weir_signal *signal, int signo, void *user)
{
	(void)signal;
	(void)signo;
	(void)user;
	(void)weir_server_get_connections(server, on_counted, NULL);
}

/* In the parent alone: a worker ends by SIGTERM as any process does. */
static int
run(void)
{
	struct weir_signal *term = NULL, *usr1 = NULL;
	int err = 0;

	if (!is_worker) {
		err = weir_signal_new(&term, loop, SIGTERM, on_term, NULL);
		if (err == 0)
			err = weir_signal_new(
			    &usr1, loop, SIGUSR1, on_usr1, NULL);
	}
	if (err == 0)
		(void)weir_loop_run(loop);
	weir_signal_free(usr1);
	weir_signal_free(term);
	return err;
}

static int
listen_on(const char *text)
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
	if (argc != 2) {
		fprintf(stderr, "usage: workers ADDRESS\n");
		return 2;
	}
	if (weir_loop_new(&loop, NULL) != 0)
		return 1;
	if (weir_server_new(&server, loop, NULL, &handlers, NULL) != 0 ||
	    listen_on(argv[1]) != 0 || start_workers() != 0 || run() != 0)
		status = 1;
	end_workers();
	weir_server_free(server);
	weir_loop_free(loop);
	return status;
}
