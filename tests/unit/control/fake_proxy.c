/*
 * A proxy without sockets: what the control floor uses of proxy.h, with
 * figures that a test sets. It keeps what it was told to do, for the test to
 * look at.
 */
#include "config.h"

#include "tests/unit/control/fake_proxy.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

void
fake_proxy_init(struct proxy *proxy, uint64_t sessions)
{
	memset(proxy, 0, sizeof(*proxy));
	proxy->listeners[0] = (struct listener_figures){
	    .name = "web",
	    .mode = "forward",
	    .state = LISTENER_OPEN,
	    .connections = sessions,
	    .connections_peak = sessions + 1,
	    .max_connections = 20000,
	    .accepted = 1001,
	    .rejected = 1002,
	    .denied = 1003,
	    .closed = 1004,
	    .errors = 1005,
	    .timeouts = 1006,
	    .bytes_in = 1007,
	    .bytes_out = 5000000000,
	    .buffered = 1008,
	};
	proxy->listeners[1] = (struct listener_figures){
	    .name = "db",
	    .mode = "echo",
	    .state = LISTENER_OPEN,
	};
	proxy->listener_count = 2;
	proxy->servers[0] = (struct server_figures){
	    .name = "one",
	    .address = "10.0.0.1:80",
	    .state = "up",
	    .weight = 3,
	    .connections = 2001,
	    .max_connections = 2002,
	    .total = 2003,
	    .failures = 2004,
	    .connect_ms = 2005,
	    .bytes_in = 2006,
	    .bytes_out = 2007,
	    .check = "answered in 1 ms",
	    .checked_s = 1.2345,
	};
	proxy->servers[1] = (struct server_figures){
	    .name = "second",
	    .address = "10.0.0.2:80",
	    .state = "drain",
	    .backup = true,
	    .check = "",
	};
	proxy->session_count = sessions;
	proxy->client = "127.0.0.1:40000";
	proxy->uptime_s = 77;
}

struct config *
proxy_config(const struct proxy *proxy)
{
	return proxy->config;
}

bool
proxy_draining(const struct proxy *proxy)
{
	return proxy->draining;
}

const char *
listener_state_text(enum listener_state state)
{
	static const char *const texts[] = {
	    "starting", "open", "waiting", "resting", "closed"};

	return texts[state];
}

size_t
proxy_listener_count(const struct proxy *proxy)
{
	return proxy->listener_count;
}

void
proxy_listener_figures(
    const struct proxy *proxy, size_t index, struct listener_figures *ret)
{
	*ret = proxy->listeners[index];
}

void
proxy_listener_addresses(const struct proxy *proxy, size_t index,
    void (*fn)(const char *address, void *user), void *user)
{
	if (proxy->listeners[index].state == LISTENER_CLOSED)
		return;
	fn("127.0.0.1:8124", user);
	fn("[::1]:8124", user);
}

long
proxy_find_listener(const struct proxy *proxy, const char *name)
{
	size_t i;

	for (i = 0; i < proxy->listener_count; i++)
		if (strcmp(proxy->listeners[i].name, name) == 0)
			return (long)i;
	return -1;
}

uint64_t
proxy_connections(const struct proxy *proxy)
{
	return proxy->session_count;
}

uint64_t
proxy_uptime_s(const struct proxy *proxy)
{
	return proxy->uptime_s;
}

void
proxy_each_session(const struct proxy *proxy, long index,
    void (*fn)(const struct session_figures *figures, void *user), void *user)
{
	struct session_figures f = {
	    .listener = "web",
	    .client = proxy->client,
	    .server = "-",
	    .age_s = 12.3456,
	    .idle_s = 0.1,
	    .bytes_in = 11,
	    .bytes_out = 22,
	    .state = "open",
	};

	if (index > 0)
		return;
	for (f.id = 1; f.id <= proxy->session_count; f.id++)
		fn(&f, user);
}

int
proxy_kill(struct proxy *proxy, uint64_t id)
{
	if (id == 0 || id > proxy->session_count)
		return -ENOENT;
	proxy->killed = id;
	return 0;
}

static int
set_state(struct proxy *proxy, const char *name, enum listener_state state)
{
	long index = proxy_find_listener(proxy, name);

	if (proxy->listener_result != 0)
		return proxy->listener_result;
	if (index < 0)
		return -ENOENT;
	if (proxy->draining)
		return -EBUSY;
	if (proxy->listeners[index].state == state)
		return -EALREADY;
	proxy->listeners[index].state = state;
	return 0;
}

int
proxy_listener_close(struct proxy *proxy, const char *name)
{
	return set_state(proxy, name, LISTENER_CLOSED);
}

int
proxy_listener_open(struct proxy *proxy, const char *name)
{
	return set_state(proxy, name, LISTENER_OPEN);
}

void
proxy_listener_each_unbound(const struct proxy *proxy, const char *name,
    void (*fn)(const char *address, int err, uint64_t retry_ms, void *user),
    void *user)
{
	char address[32];
	unsigned i;

	ck_assert_str_eq(name, "web");
	for (i = 0; i < proxy->unbound; i++) {
		(void)snprintf(
		    address, sizeof(address), "127.0.0.1:%u", 80 + i);
		fn(address, i == 0 ? -EADDRINUSE : -EACCES, i == 0 ? 1500 : 0,
		    user);
	}
}

/* ---- upstreams ---- */

size_t
proxy_upstream_count(const struct proxy *proxy)
{
	(void)proxy;
	return 2;
}

void
proxy_upstream_figures(
    const struct proxy *proxy, size_t index, struct upstream_figures *ret)
{
	(void)proxy;
	*ret = (struct upstream_figures){
	    .name = index == 0 ? "pool" : "none",
	    .balance = index == 0 ? "round_robin" : "ordered",
	    .queued = index == 0 ? 2000 : 0,
	};
}

/* Each is told in the same place, as its texts need not last. */
void
proxy_each_server(const struct proxy *proxy, size_t index,
    void (*fn)(const struct server_figures *figures, void *user), void *user)
{
	char name[16], address[16];
	struct server_figures f;
	size_t i;

	for (i = 0; i < FAKE_SERVERS && index == 0; i++) {
		f = proxy->servers[i];
		(void)snprintf(name, sizeof(name), "%s", f.name);
		(void)snprintf(address, sizeof(address), "%s", f.address);
		f.name = name;
		f.address = address;
		fn(&f, user);
	}
}

static int
set_server(struct proxy *proxy, const char *upstream, const char *server,
    const char *what, unsigned number)
{
	size_t i;

	if (proxy->server_result != 0)
		return proxy->server_result;
	if (strcmp(upstream, "none") == 0)
		return -ESRCH;
	if (strcmp(upstream, "pool") != 0)
		return -ENOENT;
	for (i = 0; i < FAKE_SERVERS; i++)
		if (strcmp(proxy->servers[i].name, server) == 0)
			break;
	if (i == FAKE_SERVERS)
		return -ESRCH;
	(void)snprintf(proxy->server_set, sizeof(proxy->server_set),
	    "%s %s %s %u", upstream, server, what, number);
	return 0;
}

int
proxy_server_set(struct proxy *proxy, const char *upstream, const char *server,
    const char *action)
{
	return set_server(proxy, upstream, server, action, 0);
}

int
proxy_server_weight(struct proxy *proxy, const char *upstream,
    const char *server, unsigned weight)
{
	return set_server(proxy, upstream, server, "weight", weight);
}
