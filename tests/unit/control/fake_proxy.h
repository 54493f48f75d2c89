/* A proxy without sockets, for tests of what stands above it. */
#ifndef TESTS_FAKE_PROXY_H
#define TESTS_FAKE_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/proxy.h"
#include "proxy/upstream.h"

#define FAKE_LISTENERS_MAX 4
#define FAKE_SERVERS	   2

struct proxy {
	struct listener_figures listeners[FAKE_LISTENERS_MAX];
	size_t listener_count;
	uint64_t session_count; /* their ids are 1, 2, ...; all of "web" */
	const char *client;	/* of each session */
	uint64_t uptime_s;
	bool draining;
	struct server_figures servers[FAKE_SERVERS]; /* of "pool" */
	char server_set[64];   /* what was set last, in words */
	int server_result;     /* of that, where it is not 0 */
	struct config *config; /* the test's */
	uint64_t killed;       /* the id that was killed last */
	int listener_result;   /* of open and close, where it is not 0 */
	unsigned unbound;      /* addresses of "web" */
};

/* Two open listeners, "web" with so many sessions and "db" without; and two
 * upstreams, "pool" with servers and "none" without. */
void fake_proxy_init(struct proxy *proxy, uint64_t sessions);

#endif
