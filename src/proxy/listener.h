/*
 * One configured listener: its sockets, who may come, how many, how fast, and
 * the sessions that came.
 */
#ifndef PROXY_LISTENER_H
#define PROXY_LISTENER_H

#include <sys/queue.h>

#include "proxy/listener_bind.h"
#include "proxy/proxy.h"
#include "proxy/room.h"

struct board_listener_slot;
struct listener;
struct log_file;
struct reload_socket;
struct session;
struct weir_lookup;
struct weir_server;
struct weir_timer;

/* Why its sockets are paused. */
enum {
	PAUSE_START = 1 << 0,	/* proxy_accept() has not been called */
	PAUSE_LIMIT = 1 << 1,	/* at a limit, and on_limit = wait */
	PAUSE_RATE = 1 << 2,	/* max_rate */
	PAUSE_CLOSED = 1 << 3,	/* closed by weirctl (inherited sockets) */
	PAUSE_SHARE = 1 << 4,	/* other workers have fewer connections */
	PAUSE_MASTER = 1 << 5,	/* this process leaves it to its workers */
	PAUSE_UPGRADE = 1 << 6, /* another program accepts them */
};

/* Which worker accepts from a socket, where it is not all of them. */
#define PLACE_ALL (-1)

/* One address that it is bound to. */
struct listener_socket {
	struct listener *listener;
	struct weir_server *server;
	struct weir_address address; /* length 0: any, or inherited */
	uint16_t port;		     /* any */
	/* The same as it is configured, where port 0 stays that. */
	struct weir_address wanted;
	uint16_t wanted_port;
	int fd;		    /* inherited; else -1 */
	int handed;	    /* of another program, to be taken up; else -1 */
	bool taken_up;	    /* it was; its socket file may not be ours yet */
	const char *passed; /* systemd's name for it; or NULL */
	int place;	    /* of the worker; or PLACE_ALL */
	/* reuse_port: so many other workers have theirs; and of those of
	 * theirs, which is the one of place 0. */
	unsigned siblings;
	struct listener_socket *primary;     /* or NULL */
	const struct config_address *config; /* NULL: the master's */
	struct bind_state bound;	     /* options in force */
	/* While a reload prepares it, and has not put it in force. */
	struct reload_socket *prepared;
	struct weir_timer *retry; /* to bind again; or NULL */
	uint64_t retry_ms;	  /* the pause before the last try */
	int err;		  /* why the last try failed */
	bool starting, retrying, open;
	bool opening; /* anew: what comes of it is not known yet */
	bool resting; /* out of descriptors */
	bool beside;  /* shares its port with one that is leaving */
	bool leaving; /* in listener.leaving */
	STAILQ_ENTRY(listener_socket) next; /* listener.sockets */
};

/* A listen address whose name is being resolved. */
struct listener_lookup {
	struct listener *listener;
	const struct config_address *config;
	struct weir_lookup *lookup;
	STAILQ_ENTRY(listener_lookup) next; /* listener.lookups */
};

struct listener {
	struct proxy *proxy;
	struct config_listener *config;
	STAILQ_HEAD(listener_sockets, listener_socket) sockets;
	/* No longer configured: they accept whoever waits, and close. */
	struct listener_sockets leaving;
	STAILQ_HEAD(, listener_lookup) lookups;
	unsigned starting; /* sockets and lookups that are not settled */
	bool closed;	   /* by weirctl, by draining, or down */
	bool down;	   /* closed as no server is usable */
	bool back;	   /* opened as one is again: until it listens */
	bool changed;	   /* which sockets are open, since somebody looked */
	bool stays;	   /* a reload's mark */
	bool gone;	 /* no longer configured; freed with its last session */
	unsigned paused; /* PAUSE_... */

	TAILQ_HEAD(, session) sessions;
	TAILQ_HEAD(, session) waiting; /* pipe = peer: the first of a pair */
	struct room room;
	struct log_file *access_log; /* or NULL */

	long row;			  /* on the board */
	struct board_listener_slot *slot; /* what this process counts */

	bool upstream_failing;	     /* said so; not again until it works */
	struct weir_address failing; /* which server; length 0: all */
	bool resting_said;	     /* of the last rest */
	uint64_t resting_said_ms;    /* when last; 0: never */
};

/* What goes wrong is logged. */
int listener_new(
    struct listener **ret, struct proxy *proxy, struct config_listener *config);
/* The same without an access log, and silent. */
int listener_make(
    struct listener **ret, struct proxy *proxy, struct config_listener *config);
const char *listener_error_text(int err); /* of these; static */
void listener_free(struct listener *listener);

/* Bind all; proxy_listener_settled() is called when it is decided. */
void listener_start(struct listener *listener);

void listener_pause(struct listener *listener, unsigned why);
void listener_unpause(struct listener *listener, unsigned why);

/* Close its sockets; clients are refused. Inherited ones are closed only when
 * it is for good. */
void listener_shut(struct listener *listener, bool for_good);
/* The socket files of those that were taken up are this program's. */
void listener_own_paths(struct listener *listener);

/* Leave its sockets to another program, which has copies: they close here, and
 * nobody is refused. */
void listener_release(struct listener *listener);
/* Open them again. */
void listener_reopen(struct listener *listener);

/* A further socket, from the master; fd is the listener's. */
void listener_adopt(struct listener *listener, int fd);
/* Be without this socket, or all of them. */
void listener_drop(struct listener *listener, struct listener_socket *socket);
void listener_drop_all(struct listener *listener);
/* The same, once those that wait for it were accepted. */
void listener_let_go(struct listener *listener, struct listener_socket *socket);
/* Free those of them that are closed; whether there are more. */
bool listener_sweep(struct listener *listener);

/* Which worker accepts from its sockets; PLACE_ALL. */
int listener_place(const struct config_listener *config);
/* reuse_port: the sockets of the other workers, as far as they are missing. */
void listener_add_siblings(struct listener_socket *socket);
/* Workers are told which there are. */
void listener_sockets_changed(struct listener *listener);

/* At start: whether something of it is neither bound nor failed, nor waits
 * for an address that is in use. */
bool listener_unsettled(const struct listener *listener);

/* Whether a socket of it is still open. */
bool listener_open(const struct listener *listener);

/* Its access log as config has it: *ret is the caller's, NULL for off. Returns
 * 0 or -errno. */
int listener_open_access_log(
    const struct config_listener *config, struct log_file **ret);

/* A socket that is in no list yet; free it in whatever state it is, when it is
 * in none any more. Returns 0 or -ENOMEM. */
int listener_socket_new(struct listener_socket **ret, struct listener *listener,
    const struct config_address *config, const struct weir_address *address,
    uint16_t port, int fd);
void listener_socket_free(struct listener_socket *socket);

/* Make its server, paused where config's listener is, and listen; what comes
 * of it is told to the reload that prepares it, else logged. */
int listener_socket_make_server(
    struct listener_socket *socket, const struct config_listener *config);
void listener_socket_listen(
    struct listener_socket *socket, const struct config_listener *config);

/* "listening listener=NAME address=ADDRESS" */
void listener_socket_log(const struct listener_socket *socket);
/* Where it is bound, or else what it is to be bound to. */
const char *listener_socket_text(
    const struct listener_socket *socket, char *text, size_t size);

/* Its configuration is another one; its sockets are those of that already. */
void listener_changed(struct listener *listener);

/* It is gone, and nothing of it is left. */
bool listener_idle(const struct listener *listener);

/* A session of it has ended: count that. It is not here any more. */
void listener_session_ended(struct listener *listener, struct session *session);
void listener_session_left(struct listener *listener, struct session *session);

enum listener_state listener_get_state(const struct listener *listener);

#endif
