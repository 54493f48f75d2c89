/*
 * The rules of forwarding that one key alone cannot show: what a listener says
 * to the servers of its upstreams, and whether an upstream has what it needs.
 * A name that cannot be resolved is no mistake, so only what stands in the
 * configuration itself is looked at.
 */
#include <config.h>

#include <string.h>

#include "config/option_priv.h"
#include "config/validate_priv.h"

/* Call one for each server that a listener may connect to. */
static void
each_server(const struct config_check *check,
    void (*one)(const struct config_check *, const struct config_server *))
{
	const struct config_listener *listener = check->listener;
	const struct config_upstream *pool = listener->pool;
	size_t i, j;

	for (i = 0; i <= listener->route_count; i++) {
		for (j = 0; pool != NULL && j < pool->server_count; j++)
			one(check, &pool->servers[j]);
		if (i < listener->route_count)
			pool = listener->routes[i].pool;
	}
}

/* A connection that starts at an address of one family cannot go to the
 * other. */
static void
check_local(
    const struct config_check *check, const struct config_server *server)
{
	int local = weir_address_family(&check->listener->local_address),
	    family;
	struct weir_address address;

	if (weir_endpoint_address(&server->endpoint, &address) < 0)
		return;
	family = weir_address_family(&address);
	if (family == 0)
		config_note(check->builder,
		    config_check_place(check, "local_address"),
		    "local_address: does not go with the upstream %s, which is "
		    "a unix socket",
		    server->text);
	else if (family != local)
		config_note(check->builder,
		    config_check_place(check, "local_address"),
		    "local_address: is IPv%d, but the upstream %s is IPv%d",
		    local, server->text, family);
}

/* A certificate is verified by the host's name or address, and a path is
 * neither. */
static void
check_name(const struct config_check *check, const struct config_server *server)
{
	if (server->endpoint.kind != WEIR_ENDPOINT_UNIX)
		return;
	config_note(check->builder, config_check_place(check, "upstream_tls"),
	    "upstream_tls: the certificate of the upstream %s can be verified "
	    "by no host's name (write upstream_tls_name = NAME, or "
	    "upstream_tls_verify = no)",
	    server->text);
}

static void
check_send_proxy(const struct config_check *check)
{
	struct config_listener *listener = check->listener;
	struct config_place own;

	if (listener->mode == CONFIG_FORWARD ||
	    config_check_bad(check, "mode") ||
	    !config_check_has(check, "mode", NULL))
		return;
	config_check_has(check, "send_proxy", &own);
	if (listener->send_proxy != CONFIG_PROXY_OFF && own.file != NULL)
		config_note(check->builder, own,
		    "send_proxy: listener %s does not have mode = forward, "
		    "which alone takes it",
		    listener->name);
	listener->send_proxy = CONFIG_PROXY_OFF;
	config_check_has(check, "when_down", &own);
	if (listener->when_down != CONFIG_DOWN_ACCEPT && own.file != NULL)
		config_warn(check->builder, check->config, own,
		    "when_down: has no effect, as listener %s does not have "
		    "mode = forward",
		    listener->name);
	listener->when_down = CONFIG_DOWN_ACCEPT;
}

/* accept_proxy = no says that there is no other row. */
static void
check_accept_proxy(const struct config_check *check)
{
	struct config_listener *listener = check->listener;
	const struct config_assignment *a;
	struct config_place own;

	if (listener->accept_proxy_count == 0 ||
	    !config_check_has(check, "accept_proxy", &own) || own.file == NULL)
		return;
	for (a = check->section->first; a != NULL; a = a->next)
		if (strcmp(a->option->key, "accept_proxy") == 0 && !a->bad &&
		    strcmp(a->value, "no") == 0)
			config_note(check->builder, a->place,
			    "accept_proxy: \"no\" stands alone, and listener "
			    "%s has others",
			    listener->name);
}

void
config_check_forward(const struct config_check *check)
{
	const struct config_listener *listener = check->listener;
	int local = weir_address_family(&listener->local_address);

	check_send_proxy(check);
	check_accept_proxy(check);
	if (listener->mode != CONFIG_FORWARD)
		return;
	if (local != 0 && listener->family != 0 && listener->family != local)
		config_note(check->builder,
		    config_check_place(check, "local_address"),
		    "local_address: is IPv%d, but family = %d", local,
		    listener->family);
	if (local != 0)
		each_server(check, check_local);
	if (listener->upstream_tls.on && listener->upstream_tls.name == NULL &&
	    listener->upstream_tls.verify != CONFIG_VERIFY_OFF)
		each_server(check, check_name);
}

/* ---- upstreams ---- */

static struct config_place
place_of(const struct config_section *section, const char *key)
{
	struct config_place own;

	config_section_has(section, option_find(OPTION_UPSTREAM, key), &own);
	return own.file != NULL ? own : section->place;
}

static bool
is_bad(const struct config_section *section, const char *key)
{
	const struct config_assignment *a;

	for (a = section->first; a != NULL; a = a->next)
		if (a->bad && strcmp(a->option->key, key) == 0)
			return true;
	return false;
}

static void
check_upstream(struct config_builder *builder, struct config *config,
    const struct config_section *section)
{
	const struct config_upstream *upstream = section->upstream;
	bool limit = false;
	size_t i;

	for (i = 0; i < upstream->server_count; i++)
		limit |= upstream->servers[i].max_connections > 0;
	if (upstream->server_count == 0 && !is_bad(section, "server"))
		config_note(builder, section->place,
		    "upstream %s has no server (write server = ADDRESS)",
		    upstream->name);
	else if (upstream->queue > 0 && !limit && !is_bad(section, "server"))
		config_warn(builder, config, place_of(section, "queue"),
		    "queue: has no effect, as no server of upstream %s has a "
		    "max_connections",
		    upstream->name);
	if (!upstream->used)
		config_warn(builder, config, section->place,
		    "upstream %s: no listener uses it", upstream->name);
}

void
config_check_upstreams(struct config_builder *builder, struct config *config)
{
	const struct config_section *section;

	for (section = builder->sections; section != NULL;
	     section = section->next)
		if (section->kind == CONFIG_SECTION_UPSTREAM &&
		    section->upstream != NULL)
			check_upstream(builder, config, section);
}
