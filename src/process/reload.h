/*
 * Reload: the configuration is read again and checked whole, all that it needs
 * is opened, and only then it is put in force, in every process. A mistake
 * anywhere, or something that cannot be opened, changes nothing anywhere.
 */
#ifndef PROCESS_RELOAD_H
#define PROCESS_RELOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/compare.h"

struct config;
struct fleet;
struct notify;
struct proxy;
struct reload;
struct reload_call;
struct weir_loop;

/* ---- what came of it ---- */

/* A key that has another value now. */
struct reload_key {
	const char *key;
	const char *before, *after; /* as text; NULL: none */
	const char *origin;	    /* of the new value, "weir.conf:12" */
	bool restart;		    /* needs one to be in force; else applied */
	const char *why;	    /* with restart: why, or NULL */
};

/* A listener, an upstream, or [weir]. */
struct reload_row {
	enum config_section_kind section; /* WEIR, LISTENER or UPSTREAM */
	const char *name;		  /* WEIR: NULL */
	enum config_change_kind kind;
	/* Those that were changed, now or by a reload before that has to wait
	 * for a restart. */
	const struct reload_key *keys;
	size_t key_count;
	/* Open ones that it is about: they go on as they began. */
	uint64_t connections;
};

struct reload_result {
	bool ok;    /* done; with check: would be done */
	bool check; /* `reload check`: nothing was done */
	/* Why not: "weir.conf:12: message" each. */
	const char *const *mistakes;
	size_t mistake_count;

	const struct reload_row *rows; /* [weir], listeners, upstreams */
	size_t row_count;
	size_t kept, added, removed, changed; /* listeners and upstreams */
	bool restart; /* some key needs a restart to be in force */
	uint64_t duration_ms;
};

/* ---- what it is made of ---- */

/* What a master asks its workers, as kinds of a fleet_message: with the
 * configuration as text in a descriptor; with struct reload_orders; with
 * nothing. The first is answered with what is wrong, as text. */
enum {
	RELOAD_PREPARE = 300,
	RELOAD_COMMIT,
	RELOAD_ABORT,
};

struct reload_orders {
	uint64_t max_connections, drain_timeout_ms;
	uint32_t workers, log_level;
};

/* All are required, and are called from the loop. */
struct reload_handlers {
	/* Read the configuration again and check it. Returns 0 with *ret, the
	 * caller's; or -1 with all mistakes, NULL at the end, to
	 * free_mistakes(); NULL is a want of memory. */
	int (*read)(struct config **ret, char ***mistakes, void *user);
	void (*free_mistakes)(char **mistakes, void *user);

	/* Everything is open: take what concerns this process alone, such as
	 * the log. Returns 0, or -1 with *error, to free(); then all is as
	 * before, and nothing comes of the reload. */
	int (*take)(struct config *config, char **error, void *user);

	/* It is in force here. With workers they are told so next: how, in
	 * *orders. */
	void (*done)(struct config *config, struct reload_orders *orders,
	    void *user);

	/* Why there can be none now ("weir is draining"); or NULL. */
	const char *(*refuse)(void *user);
};

struct reload_options {
	struct proxy *proxy;
	struct fleet *fleet;
	struct notify *notify;
	struct config *config; /* that is in force since the start */
};

/*
 * What is in options outlives it, but for config, of which it takes a
 * reference; handlers and user are kept by reference. *ret is the caller's.
 * Returns 0 or -ENOMEM.
 */
int reload_new(struct reload **ret, struct weir_loop *loop,
    const struct reload_options *options,
    const struct reload_handlers *handlers, void *user);

/* What is under way is given up; nobody is told. NULL is fine. */
void reload_free(struct reload *reload);

/* The configuration that came with RELOAD_PREPARE, in a worker. Closes fd.
 * Returns 0, or -errno. */
int reload_receive(struct config **ret, int fd);

/* ---- asking for one ---- */

/* The result lasts until this returns. */
typedef void reload_done(const struct reload_result *result, void *user);

/*
 * Reload, or (check) only tell what that would do. One is carried out at a
 * time, in the order of asking, each with what the files say when its turn
 * comes. done is called from the loop, once. *call may be NULL where it is
 * never taken back. Returns 0 or -ENOMEM.
 */
int reload_ask(struct reload *reload, bool check, reload_done *done, void *user,
    struct reload_call **call);

/* Who asked is gone: done is not called any more; what was begun goes on. NULL
 * is fine. */
void reload_cancel(struct reload_call *call);

/* SIGHUP: nobody asks, the log tells. */
void reload_signal(struct reload *reload);

/* Whether one is under way or waits. */
bool reload_busy(const struct reload *reload);

#endif
