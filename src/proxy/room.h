/*
 * Room for connections: max_connections of a listener and of all, max_rate,
 * and max_per_source, each for all workers together; and that the workers have
 * about the same number of them.
 */
#ifndef PROXY_ROOM_H
#define PROXY_ROOM_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stdint.h>

struct held;
struct listener;
struct source_key;
struct weir_socket;
struct weir_timer;

struct room {
	/* Clients that were accepted when another worker had just taken the
	 * last place, with on_limit = wait. */
	STAILQ_HEAD(, held) held;
	struct weir_timer *limit_timer; /* another worker may have room */
	struct weir_timer *rate_timer;
	struct weir_timer *share_timer;
	unsigned unshared; /* to be accepted whatever others have */
};

void room_init(struct listener *listener);
void room_free(struct listener *listener);

/* Take a place for one more connection. False at a limit. */
bool room_take(struct listener *listener);
void room_give(struct listener *listener);
/* It has one already: it comes from another process. */
void room_enter(struct listener *listener);

/* The same for a source: 0, -EUSERS at max_per_source, or -ENOSPC where there
 * are more sources than BOARD_SOURCES has place for. */
int room_take_source(
    struct listener *listener, const struct source_key *source);
void room_give_source(
    struct listener *listener, const struct source_key *source);

/* There was no place for this one after all: it waits, unread, until there is.
 * The socket is the room's. Returns 0 or -ENOMEM. */
int room_hold(struct listener *listener, struct weir_socket *client);

/* A connection was accepted: pause where there is no room for another one. */
void room_taken(struct listener *listener);

/* Some connection began or ended: go on, or pause. */
void room_check(struct listener *listener);

/* The listener's configuration is another one. */
void room_changed(struct listener *listener);

/* No more are accepted: those that wait are closed. */
void room_shut(struct listener *listener);

#endif
