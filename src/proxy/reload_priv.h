/*
 * What the files of a reload share: reload.c (preparing, and giving up),
 * reload_match.c (which sockets there are to be, and which of them there are),
 * reload_open.c (the others) and reload_commit.c (putting in force).
 */
#ifndef PROXY_RELOAD_PRIV_H
#define PROXY_RELOAD_PRIV_H

#include <sys/queue.h>

#include "proxy/listener.h"
#include "proxy/reload.h"

struct map;

/* One socket that a listener is to have. */
struct reload_socket {
	struct reload_item *item;
	const struct config_address *config;
	struct weir_address address; /* length 0: any, or inherited */
	uint16_t port;		     /* any */
	int fd;			     /* inherited; else -1 */
	long passed;		     /* in proxy.passed; else -1 */
	struct listener_socket *socket;
	struct listener_sockets siblings; /* of socket, while it is moved */
	bool fresh;			  /* socket is new, and ours */
	bool waiting;			  /* for what listening comes to */
	STAILQ_ENTRY(reload_socket) next;
};

/* A name that is looked up for it. */
struct reload_lookup {
	struct reload_item *item;
	const struct config_address *config;
	struct weir_lookup *lookup;
	STAILQ_ENTRY(reload_lookup) next;
};

/* One listener of the new configuration. */
struct reload_item {
	struct proxy_reload *reload;
	struct config_listener *config;
	struct listener *listener;
	bool added; /* listener is new, and ours */
	STAILQ_HEAD(, reload_socket) sockets;
	struct log_file *access_log; /* or NULL */
};

struct proxy_reload {
	struct proxy *proxy;
	struct config *config;
	proxy_reload_prepared *prepared;
	void *user;

	struct reload_item *items; /* of config, in its order */
	size_t item_count;
	struct listener **listeners; /* room for those of proxy to be */
	STAILQ_HEAD(, reload_lookup) lookups;
	size_t waiting; /* lookups, or sockets, and one for the caller */
	bool opening;	/* names are known */
	bool failed, told;
	bool taken;		  /* servers are those of config */
	struct weir_timer *timer; /* to tell it from the loop */
	/* Have had their reuse_port set, so that others come beside. */
	bool any_beside;

	char **mistakes;
	size_t mistake_count;
};

/* A mistake at an origin, or (NULL) of the whole; the text of printf. */
void reload_mistake(struct proxy_reload *reload,
    const struct config_origin *origin, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* One thing less to wait for: a name, a socket. */
void reload_one_done(struct proxy_reload *reload);

/* All of it but what it opened. */
void reload_free_all(struct proxy_reload *reload);

/* ---- reload_open.c ---- */

/* Names are known: open what is not there yet; and close that again. */
void reload_open_sockets(struct proxy_reload *reload);
void reload_give_back_sockets(struct proxy_reload *reload);

/* listener_socket.c: it listens, or why not. False where the reload does not
 * care, as it was there before. */
bool reload_socket_done(struct reload_socket *socket, int err);

/* ---- reload_match.c ---- */

/* Which sockets each item is to have; reload.waiting counts the names that are
 * looked up. */
void reload_expand(struct proxy_reload *reload);

/* Find those that are there. */
void reload_claim(struct proxy_reload *reload);

#endif
