/* Connections in other hands; handed.c says more. */
#ifndef NET_HANDED_PRIV_H
#define NET_HANDED_PRIV_H

#include <sys/queue.h>

struct weir_loop;
struct weir_server;

/* Held by the process that a connection went to. */
struct weir__token {
	int fd;
	LIST_ENTRY(weir__token) next; /* weir_loop.tokens */
};

/* A token for a descriptor, which is its own from here on; NULL without
 * memory, and the descriptor stays the caller's. */
struct weir__token *weir__token_new(struct weir_loop *loop, int fd);
void weir__token_free(struct weir__token *token); /* NULL is fine */

struct weir__handed; /* the server's side of one */
LIST_HEAD(weir__handed_list, weir__handed);

/*
 * A connection of the server's is about to go: *fd is the token to send along,
 * the caller's. Returns NULL and sets errno where that cannot be.
 */
struct weir__handed *weir__handed_new(struct weir_server *server, int *fd);
void weir__handed_free(struct weir__handed *handed);

#endif
