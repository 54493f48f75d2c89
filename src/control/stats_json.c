/*
 * The figures of the proxy as JSON.
 *
 * Names and order of the members are those of the manual; scripts and
 * dashboards are written against them. The figures themselves are counted by
 * the proxy; how an answer gets to the client is the affair of the control
 * server.
 */
#include "config.h"

#include "control/stats_json.h"

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <weir/version.h>

#include "control/answer.h"
#include "control/subject.h"
#include "process/fleet.h"
#include "proxy/proxy.h"
#include "proxy/upstream.h"

/* json_object_set_new() and friends fail, and free the value, where the
 * object or the value is NULL; so one look at the end is enough. */
struct members {
	json_t *object; /* owned */
	bool failed;
};

static struct members
members_begin(void)
{
	struct members m = {json_object(), false};

	return m;
}

static void
add(struct members *m, const char *key, json_t *value)
{
	if (json_object_set_new_nocheck(m->object, key, value) != 0)
		m->failed = true;
}

static void
add_text(struct members *m, const char *key, const char *text)
{
	add(m, key, answer_text(text));
}

static void
add_number(struct members *m, const char *key, uint64_t number)
{
	/* JSON integers are signed in jansson. */
	add(m, key,
	    json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number));
}

/* A time in seconds, to the millisecond. */
static void
add_seconds(struct members *m, const char *key, double seconds)
{
	add(m, key, json_real(round(seconds * 1000) / 1000));
}

static json_t *
members_end(struct members *m)
{
	if (!m->failed)
		return m->object;
	json_decref(m->object);
	return NULL;
}

struct addresses {
	json_t *array;
	bool failed;
};

static void
on_address(const char *address, void *user)
{
	struct addresses *list = user;

	if (json_array_append_new(list->array, answer_text(address)) != 0)
		list->failed = true;
}

static json_t *
addresses_json(const struct proxy *proxy, size_t index)
{
	struct addresses list = {json_array(), false};

	proxy_listener_addresses(proxy, index, on_address, &list);
	if (!list.failed)
		return list.array;
	json_decref(list.array);
	return NULL;
}

static json_t *
listener_json(const struct proxy *proxy, size_t index)
{
	struct members m = members_begin();
	struct listener_figures f;

	proxy_listener_figures(proxy, index, &f);
	add_text(&m, "name", f.name);
	add_text(&m, "mode", f.mode);
	add(&m, "addresses", addresses_json(proxy, index));
	add_text(&m, "state", listener_state_text(f.state));
	add_number(&m, "connections", f.connections);
	add_number(&m, "connections_peak", f.connections_peak);
	add_number(&m, "max_connections", f.max_connections);
	add_number(&m, "accepted", f.accepted);
	add_number(&m, "rejected", f.rejected);
	add_number(&m, "denied", f.denied);
	add_number(&m, "closed", f.closed);
	add_number(&m, "errors", f.errors);
	add_number(&m, "timeouts", f.timeouts);
	add_number(&m, "bytes_in", f.bytes_in);
	add_number(&m, "bytes_out", f.bytes_out);
	add_number(&m, "buffered", f.buffered);
	return members_end(&m);
}

json_t *
stats_json_listeners(const struct control_subject *subject)
{
	size_t i, count = proxy_listener_count(subject->proxy);
	json_t *list = json_array();

	for (i = 0; i < count; i++) {
		if (json_array_append_new(
			list, listener_json(subject->proxy, i)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static const char *
worker_state(const struct fleet_worker *worker)
{
	if (worker->silent)
		return "silent";
	return worker->draining ? "draining" : "serving";
}

static json_t *
worker_json(const struct fleet_worker *worker)
{
	struct members m = members_begin();

	add_number(&m, "pid", (uint64_t)worker->pid);
	add_number(&m, "connections", worker->connections);
	add_number(&m, "restarts", worker->restarts);
	add_text(&m, "state", worker_state(worker));
	return members_end(&m);
}

json_t *
stats_json_workers(const struct control_subject *subject)
{
	json_t *list = json_array();
	struct fleet_worker worker;
	size_t i;

	for (i = 0; fleet_worker(subject->fleet, i, &worker); i++) {
		if (json_array_append_new(list, worker_json(&worker)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

struct servers {
	json_t *array;
	bool failed;
};

static void
on_server(const struct server_figures *f, void *user)
{
	struct members m = members_begin();
	struct servers *list = user;

	add_text(&m, "name", f->name);
	add_text(&m, "address", f->address);
	add_text(&m, "state", f->state);
	add(&m, "backup", json_boolean(f->backup));
	add_number(&m, "weight", f->weight);
	add_number(&m, "connections", f->connections);
	add_number(&m, "total", f->total);
	add_number(&m, "failures", f->failures);
	add_number(&m, "connect_ms", f->connect_ms);
	add_number(&m, "bytes_in", f->bytes_in);
	add_number(&m, "bytes_out", f->bytes_out);
	add_number(&m, "max_connections", f->max_connections);
	add_text(&m, "check", f->check);
	add_seconds(&m, "checked_s", f->checked_s);
	if (json_array_append_new(list->array, members_end(&m)) != 0)
		list->failed = true;
}

static json_t *
servers_json(const struct proxy *proxy, size_t index)
{
	struct servers list = {json_array(), false};

	proxy_each_server(proxy, index, on_server, &list);
	if (!list.failed)
		return list.array;
	json_decref(list.array);
	return NULL;
}

static json_t *
upstream_json(const struct proxy *proxy, size_t index)
{
	struct members m = members_begin();
	struct upstream_figures f;

	proxy_upstream_figures(proxy, index, &f);
	add_text(&m, "name", f.name);
	add_text(&m, "balance", f.balance);
	add_number(&m, "queued", f.queued);
	add(&m, "servers", servers_json(proxy, index));
	return members_end(&m);
}

json_t *
stats_json_upstreams(const struct control_subject *subject)
{
	size_t i, count = proxy_upstream_count(subject->proxy);
	json_t *list = json_array();

	for (i = 0; i < count; i++) {
		if (json_array_append_new(
			list, upstream_json(subject->proxy, i)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

json_t *
stats_json(const struct control_subject *subject)
{
	const struct proxy *proxy = subject->proxy;
	struct members m = members_begin();

	add_text(&m, "version", weir_version());
	add_number(&m, "pid", (uint64_t)getpid());
	add_number(&m, "uptime_s", proxy_uptime_s(proxy));
	add_text(&m, "state", proxy_draining(proxy) ? "draining" : "running");
	add_number(&m, "connections", proxy_connections(proxy));
	add(&m, "workers", stats_json_workers(subject));
	add(&m, "listeners", stats_json_listeners(subject));
	add(&m, "upstreams", stats_json_upstreams(subject));
	return members_end(&m);
}

json_t *
stats_json_session(const struct session_figures *f)
{
	struct members m = members_begin();

	add_number(&m, "id", f->id);
	add_text(&m, "listener", f->listener);
	add_text(&m, "client", f->client);
	add_text(&m, "server", f->server);
	add_seconds(&m, "age_s", f->age_s);
	add_seconds(&m, "idle_s", f->idle_s);
	add_number(&m, "bytes_in", f->bytes_in);
	add_number(&m, "bytes_out", f->bytes_out);
	add_text(&m, "state", f->state);
	return members_end(&m);
}

const char *
stats_health(const struct control_subject *subject)
{
	size_t i, count = proxy_listener_count(subject->proxy);
	struct listener_figures f;

	if (proxy_draining(subject->proxy) || fleet_drain_set(subject->fleet))
		return "drain";
	for (i = 0; i < count; i++) {
		proxy_listener_figures(subject->proxy, i, &f);
		if (f.state == LISTENER_STARTING || f.state == LISTENER_CLOSED)
			return "down";
	}
	return "up";
}
