/*
 * Upgrade, as the program that is replaced does it (SIGUSR2): the program file
 * is started anew, it is handed everything, and when it has said that it can
 * serve, it accepts, the live connections go over to it, and this one drains.
 * Until all of that is done this one can go on as if nothing had been, and
 * does so when the new one fails, ends or hangs.
 */
#ifndef PROCESS_UPGRADE_H
#define PROCESS_UPGRADE_H

#include <stdbool.h>

#include "log/log.h"

struct board;
struct fleet;
struct notify;
struct pidfile;
struct proxy;
struct upgrade;
struct weir_loop;

/* Of the messages between the two programs: this one understands no other. */
#define UPGRADE_FORMAT "1"

/* How long the new program may take to be ready; WEIR_UPGRADE_TIMEOUT in
 * milliseconds overrides it. */
#define UPGRADE_PATIENCE_MS 30000

struct upgrade_options {
	struct proxy *proxy;
	struct fleet *fleet;
	struct board *board;
	struct pidfile *pidfile; /* or NULL */
	struct notify *notify;
};

/* What it tells its owner, from the loop. All are required. */
struct upgrade_handlers {
	/* The path and the descriptor of the control socket; -1: none. */
	int (*control)(const char **path, void *user);

	/* The level of the log that is configured, whatever was set since. */
	enum log_level (*log_level)(void *user);

	/* No more connections are accepted: the control socket's not either.
	 * Off: go on, as the new one has failed. */
	void (*on_hold)(bool on, void *user);

	/* The new one serves, and has what could be handed over: leave it the
	 * sockets, and drain. */
	void (*on_over)(void *user);
};

/* What is in options, and handlers and user, are kept by reference. Returns 0
 * or -ENOMEM. */
int upgrade_new(struct upgrade **ret, struct weir_loop *loop,
    const struct upgrade_options *options,
    const struct upgrade_handlers *handlers, void *user);

/* Begin; what comes of it is in the log. */
void upgrade_begin(struct upgrade *upgrade);

/* Whether one is under way, or over. */
bool upgrade_running(const struct upgrade *upgrade);

/* In a forked child: it is the parent's. NULL is not fine. */
void upgrade_forked(struct upgrade *upgrade);

/* One that is under way is given up, and its process ended; NULL is fine. */
void upgrade_free(struct upgrade *upgrade);

#endif
