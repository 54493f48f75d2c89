/* One client of the control socket; private to the control server. */
#ifndef CONTROL_CONTROL_CLIENT_PRIV_H
#define CONTROL_CONTROL_CLIENT_PRIV_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct control_client;
struct control_subject;
struct weir_loop;
struct weir_socket;

LIST_HEAD(control_client_list, control_client);

/* What a client needs of its server, whose list it is on while it lives. */
struct control_client_owner {
	struct weir_loop *loop;
	const struct control_subject *subject;
	struct control_client_list clients;
	uint64_t stall_ms;
	uint64_t rest_until_ms; /* no request is carried out before that */

	/* A client asked for the end. False where the owner, and the client
	 * with it, has been freed meanwhile. */
	bool (*on_shutdown)(bool now, void *user);

	/* A client has gone. */
	void (*on_gone)(void *user);
	void *user;
};

/*
 * Serve a connection until it ends. The socket is taken over, also on failure,
 * when it is freed. Returns 0 or -ENOMEM.
 */
int control_client_new(
    struct control_client_owner *owner, struct weir_socket *socket);

/* Take no more requests, and free the client once the one that is being carried
 * out is answered, and its answers are taken. */
void control_client_finish(struct control_client *client);

/* The next one of the list. */
struct control_client *control_client_next(struct control_client *client);

/* As control_buffered(), of this client. */
size_t control_client_buffered(const struct control_client *client);

/* Close at once, without on_gone. */
void control_client_free(struct control_client *client);

#endif
