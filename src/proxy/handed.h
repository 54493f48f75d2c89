/*
 * Listening sockets that another program left to this one: the one before it,
 * at an upgrade, or the service manager, over a restart.
 */
#ifndef PROXY_HANDED_H
#define PROXY_HANDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct proxy;
struct weir_address;

struct proxy_handed_fd {
	int fd; /* the proxy's from here on; -1 once taken */
	/* Of the listener that it was, and its address as it was configured;
	 * NULL: not known. The caller's, lasting as long as the proxy. */
	const char *listener, *text;
};

/*
 * The socket that a listener would otherwise bind: one that is bound to this
 * address, whoever had it. Where the system is to pick the port, only that of
 * the same listener and text will do. address NULL is any address, with that
 * port. Returns it, the caller's, or -1.
 */
int handed_take(struct proxy *proxy, const char *listener, const char *text,
    const struct weir_address *address, uint16_t port);

/* Any socket of that listener and text, for addresses that name none: fd: and
 * systemd:. */
int handed_take_same(
    struct proxy *proxy, const char *listener, const char *text);

/* Nobody wanted these: who still waits in them is reset. */
void handed_close(struct proxy *proxy);

#endif
