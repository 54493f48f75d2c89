/* What the rest of libweir sees of a server. */
#ifndef NET_SERVER_PRIV_H
#define NET_SERVER_PRIV_H

#include <sys/queue.h>

#include <net/if.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include <weir/server.h>
#include <weir/tls.h>

#include "net/count_priv.h"
#include "net/handed_priv.h"
#include "net/loop_priv.h"

struct weir__ask;    /* of the count, or of the close; server_ask.c's */
struct weir__naming; /* a host to listen on is looked up; listen.c's */

/* What the sockets of a server know of it, which may be freed before them. */
struct weir__origin {
	struct weir_server *server; /* NULL: it was freed */
	unsigned long refs;	    /* the server's and the sockets' */
};

struct weir_server {
	struct weir_loop *loop;
	const struct weir_server_handlers *handlers;
	void *user;
	struct weir_server_options options;
	struct weir_listen_options listen; /* but its interface: */
	char interface[IF_NAMESIZE];

	int fd;
	struct event event; /* readable: connections wait */
	struct event retry; /* while resting */
	struct weir__task task;
	unsigned due; /* what task has to tell, DUE_... in server.c */
	int error;

	bool closing; /* once those that wait, at most left, were accepted */
	int left;
	bool open;	/* between a good listen call and on_close */
	bool listening; /* on_listening was or is about to be called */
	bool paused, resting, told_resting;
	bool unref, held;
	unsigned depth; /* handlers that run now */
	bool doomed;	/* freed; goes when depth is 0 */

	struct weir_tls_context *tls; /* for who is accepted; or NULL */
	struct weir_secure_options secure;

	long max_connections;
	int batch; /* accepts a turn: grows while more wait */
	size_t connections;
	bool exclusive;
	struct weir__count *count;	   /* with all processes; or NULL */
	struct weir__handed_list handed;   /* to other processes, and open */
	struct weir__naming *naming;	   /* or NULL */
	STAILQ_HEAD(, weir__ask) asks;	   /* to be answered */
	LIST_ENTRY(weir_server) loop_next; /* weir_loop.servers */

	/* Of its own socket file, to be removed; path empty: none. */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t path_device;
	ino_t path_inode;

	TAILQ_ENTRY(weir_server) resting_next; /* weir_loop.resting */

	struct weir__origin *origin; /* of its sockets; NULL: has had none */
};

/* Whether there is a connection of its, here or in other hands. */
static inline bool
weir__server_drained(const struct weir_server *server)
{
	return server->connections == 0 && LIST_EMPTY(&server->handed);
}

/* Listen on a bound descriptor, which is the server's with 0; what a listen
 * call ends with: it is open, and err, where there is one, will be told. */
int weir__server_begin(struct weir_server *server, int fd,
    const struct weir_listen_options *options);
void weir__server_opened(struct weir_server *server, int err);
void weir__server_fail(struct weir_server *server, int err);

/* Have the socket pass on the server's options to who is accepted. */
void weir__listen_tune(const struct weir_server *server, int fd);

/* listen.c: do not look up any more; the socket file that it is bound to is its
 * own (0, or why not); remove that, if any. */
void weir__listen_forget_name(struct weir_server *server);
int weir__listen_own_path(
    struct weir_server *server, const struct weir_address *bound);
void weir__listen_remove_path(struct weir_server *server);

/* Its task has to look at the asks. */
void weir__server_look(struct weir_server *server);

/* Answer what waits, once it is due; it is closed, and all of it is. */
void weir__server_answer(struct weir_server *server);
void weir__server_asks_due(struct weir_server *server);
void weir__server_forget_asks(struct weir_server *server);

/* The server that a socket came by, as long as both are there; or NULL. */
struct weir_server *weir__server_of(const struct weir_socket *socket);
/* Never mind which. */
void weir__origin_leave(struct weir_socket *socket);

/* A connection has gone to another process, and has ended there. */
void weir__server_handed_over(
    struct weir_server *server, struct weir_socket *socket);
void weir__server_handed_ended(struct weir_server *server);

/* A socket that came by the server has ended, and left it. */
void weir__server_socket_closed(struct weir_server *server);

/* How the handshake of one of its sockets went. Both call a handler. */
void weir__server_tls_done(
    struct weir_server *server, struct weir_socket *socket);
void weir__server_tls_failed(
    struct weir_server *server, struct weir_socket *socket, int err);

/* tls.c: TLS for an accepted socket. 0, or an error and it has none. */
int weir__tls_accept(struct weir_socket *socket,
    struct weir_tls_context *context,
    const struct weir_secure_options *options);

#endif
