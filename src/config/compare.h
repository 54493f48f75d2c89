/*
 * What differs between two configurations: section by section and key by key,
 * and how far a reload can go with it.
 */
#ifndef CONFIG_COMPARE_H
#define CONFIG_COMPARE_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

enum config_change_kind {
	CONFIG_KEPT,
	CONFIG_ADDED,
	CONFIG_REMOVED,
	CONFIG_CHANGED,
};

/* How a changed key comes into force. */
enum config_effect {
	CONFIG_LIVE,	/* at once, for what comes from now on */
	CONFIG_REBIND,	/* on listening sockets, where they allow it */
	CONFIG_RESTART, /* only when weir is started again */
};

/* One key of a section that is CHANGED. Rows of allow and deny are one list
 * under allow, those of sni and alpn one under sni. */
struct config_key_change {
	const char *key;
	enum config_effect effect;
	/* As they are written, the values of one that repeats divided by
	 * ", "; owned; NULL: none. */
	char *before, *after;
	char *origin; /* of what is now: "weir.conf:12" or "default"; owned */
};

/* One section. Of UPSTREAM the sections and the implicit ones. */
struct config_change {
	enum config_change_kind kind;
	enum config_section_kind section; /* WEIR, LISTENER or UPSTREAM */
	const char *name;		  /* WEIR: NULL; of one of both */
	const struct config_listener *old_listener, *listener; /* or NULL */
	const struct config_upstream *old_upstream, *upstream; /* or NULL */
	struct config_key_change *keys;
	size_t key_count;
	bool rebind, restart; /* some key has that effect */
	bool listens;	      /* LISTENER: its addresses are others */
};

/* [weir] first, then the listeners and then the upstreams: those of the new
 * configuration in its order, then those that are gone. */
struct config_changes {
	struct config_change *rows;
	size_t count;
	/* Listeners and [upstream]s; not the implicit ones. */
	size_t kept, added, removed, changed;
	bool rebind, restart; /* some key has that effect */
};

/*
 * Compare. Rows point into both configurations, which must outlive them.
 * Returns 0 or -ENOMEM; *ret is the caller's, to config_changes_free().
 */
int config_compare(const struct config *old, const struct config *fresh,
    struct config_changes **ret);
void config_changes_free(struct config_changes *changes);

/* Whether a server means the same in both, its name included. */
bool config_server_equal(
    const struct config_server *a, const struct config_server *b);

/* "live", "rebind" or "restart"; "kept", "added", "removed" or "changed". */
const char *config_effect_text(enum config_effect effect);
const char *config_change_kind_text(enum config_change_kind kind);

#endif
