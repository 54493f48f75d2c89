/*
 * Upgrade, as the program that takes over does it: what the old one left to
 * it, and how it says that it is ready. upgrade.h is the other half.
 */
#ifndef PROCESS_TAKEOVER_H
#define PROCESS_TAKEOVER_H

#include <stdbool.h>
#include <stddef.h>

#include "log/log.h"
#include "proxy/handed.h"

struct takeover;
struct weir_loop;

/* What it tells its owner, from the loop, after takeover_ready(). */
struct takeover_handlers {
	/* The old one accepts no more. */
	void (*on_go)(void *user);

	/* Connections come over from it, or from one of its workers: fd, which
	 * is the owner's, leads to a mover, the place-th. */
	void (*on_connections)(int fd, unsigned place, void *user);

	/* All came that will: the old one is on its own. The pid file and the
	 * service manager are this one's from here on. */
	void (*on_over)(void *user);
};

/*
 * In a program that was started by upgrade_begin(): wait for all that the old
 * one has to give. *ret is NULL in any other program. Returns 0, or -errno with
 * *error where what came cannot be used.
 */
int takeover_begin(struct takeover **ret, struct weir_loop *loop, char **error);

/* The descriptors are the caller's from here on; -1: there is none, or not of
 * that path. */
int takeover_board(struct takeover *takeover);
int takeover_pidfile(struct takeover *takeover, const char *path);
int takeover_control(struct takeover *takeover, const char *path);

/* The control socket as a listener's without a name; it is not taken. False:
 * there is none. */
bool takeover_see_control(
    const struct takeover *takeover, struct proxy_handed_fd *ret);

/* For proxy_options; the takeover's. */
struct proxy_handed_fd *takeover_sockets(
    struct takeover *takeover, size_t *count);

/* fn for each listener that was closed at the control socket. */
void takeover_each_closed(const struct takeover *takeover,
    void (*fn)(const char *listener, void *user), void *user);

/* The level of the log that was in force there, and the one that was
 * configured; false where that is not known. */
bool takeover_log_level(const struct takeover *takeover,
    enum log_level *in_force, enum log_level *configured);

/* Say that this one can serve. */
void takeover_ready(struct takeover *takeover,
    const struct takeover_handlers *handlers, void *user);

/* Say why not, at the end of one that never was ready. */
void takeover_failed(struct takeover *takeover, const char *why);

/* The same of one that ends before takeover_begin(), as it does not know what
 * to do; nothing in any other program. */
void takeover_refuse(const char *why);

/* Close what nobody took; NULL is fine. */
void takeover_free(struct takeover *takeover);

#endif
