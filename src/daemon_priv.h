/* The daemon's state, and what its files call of each other. */
#ifndef DAEMON_PRIV_H
#define DAEMON_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "control/subject.h"
#include "log/log.h"
#include "process/listen_fds.h"
#include "process/privileges.h"

struct board;
struct cli;
struct config;
struct control;
struct detach;
struct fleet;
struct notify;
struct pidfile;
struct proxy;
struct proxy_reload;
struct reload;
struct signals;
struct fleet_message;
struct migrate_hands;
struct store;
struct takeover;
struct upgrade;
struct weir_loop;
struct weir_timer;

struct daemon {
	const struct cli *cli;
	struct config *config; /* in force, counted */
	struct detach *detach; /* until start-up is reported; or NULL */
	struct weir_loop *loop;
	struct board *board;
	struct proxy *proxy;
	struct fleet *fleet;
	struct reload *reload;
	struct proxy_reload *prepared; /* a worker's, or NULL */
	struct config *next;	       /* ... that it is for */
	uint32_t prepare_call;
	struct control *control; /* or NULL */
	int control_kept;	 /* its socket, of the program before; or -1 */
	struct control_subject subject;
	struct signals *signals;
	struct orphans *orphans; /* or NULL */
	struct notify *notify;
	struct pidfile *pidfile; /* or NULL */
	struct privileges privileges;
	struct listen_fds passed;
	struct weir_timer *status_timer, *watchdog_timer, *store_timer;
	uint64_t max_connections;
	uint64_t told_connections; /* by STATUS= */
	unsigned workers;
	bool serving, failed, over;
	bool done; /* the loop is left for good */

	/* daemon_upgrade.c's; each may be NULL. */
	struct upgrade *upgrade;   /* to another program */
	struct takeover *takeover; /* from the one before */
	struct migrate_hands *hands;
	struct store *store; /* of the service manager */
	unsigned slot;	     /* on the board */
	bool told_ready, handed_over;
	bool kept;	 /* the manager was told of the sockets */
	bool store_told; /* ... and that it does not keep them */
	unsigned store_tries;
	uint64_t stop_by_ms; /* when draining ends; 0: it does not stop */
};

/* ---- daemon_start.c ---- */

/* The log of the configuration. Returns 0 or what was logged. */
int daemon_open_log(const struct cli *cli);
/* What a log goes to, for a message about it. */
const char *daemon_log_name(const struct config *config);
void daemon_log_warnings(const struct config *config);
enum log_level daemon_log_level(
    const struct cli *cli, const struct config *config);

/* Find max_connections that the descriptors allow. Returns 0 or what was
 * logged. */
int daemon_set_limits(struct daemon *d, const struct config *config);
uint64_t daemon_max_connections(const struct daemon *d); /* 0: none */

/* All that is needed before anything is bound, and then the objects that
 * serve. Both return 0 or what was logged. */
int daemon_prepare(struct daemon *d);
int daemon_start(struct daemon *d);

/* How many processes are to serve. */
unsigned daemon_workers(const struct config *config);

/* ---- daemon_serve.c ---- */

extern const struct signals_handlers daemon_signals_handlers;
extern const struct proxy_handlers daemon_proxy_handlers;
extern const struct fleet_handlers daemon_fleet_handlers;

/* Leave the loop for good; and that because it cannot go on. */
void daemon_leave(struct daemon *d);
void daemon_fail(struct daemon *d);
void daemon_log_failure(const char *message, char *error);

/* All is bound, and this is the program that serves: the pid file, and the
 * service manager, are told so. */
void daemon_serves(struct daemon *d);

/* ---- daemon_upgrade.c ---- */

/* Where this program takes over from another one: wait for what it leaves.
 * Returns 0, also where there is none, or what was logged. */
int daemon_take_over(struct daemon *d);
int daemon_take_board(struct daemon *d);
/* Tell it that this one can serve. */
void daemon_tell_ready(struct daemon *d);

int daemon_upgrade_new(struct daemon *d);
void daemon_upgrade(struct daemon *d); /* SIGUSR2 */
/* In a worker: a question of its master. */
void daemon_question(struct fleet *fleet, uint32_t call,
    const struct fleet_message *message, void *user);
/* This is a worker now: it is the master's. */
void daemon_upgrade_forked(struct daemon *d);
void daemon_upgrade_free(struct daemon *d);
/* Detached, stderr is nobody's: the log goes elsewhere. */
void daemon_move_log(const struct config *config);

/* ---- daemon_reload.c ---- */

int daemon_start_reload(struct daemon *d);

/* In a worker: a question of its master; false where it is about something
 * else. And give up what was prepared. */
bool daemon_reload_question(
    struct daemon *d, uint32_t call, const struct fleet_message *message);
void daemon_reload_forget(struct daemon *d);

/* ---- daemon_check.c ---- */

/* Both return the exit status. */
int daemon_test(const struct cli *cli);
int daemon_dump(const struct cli *cli);

#endif
