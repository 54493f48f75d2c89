/*
 * The finished configuration: its references, its end, and finding a listener
 * in it. It is never changed once it was handed out.
 */
#include <config.h>

#include "config/config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "config/builder_priv.h"
#include "util/argv.h"
#include "util/map.h"

static void
clear_addresses(struct config_address *rows, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		free(rows[i].text);
		free(rows[i].origin.file);
	}
	free(rows);
}

static void
clear_acl(struct config_acl *rows, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		free(rows[i].text);
	free(rows);
}

static void
clear_texts(char **rows, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		free(rows[i]);
	free(rows);
}

static void
clear_tls(struct config_tls *tls)
{
	size_t i, rows = tls->pair_count > tls->key_count ? tls->pair_count
							  : tls->key_count;

	for (i = 0; i < rows; i++) {
		free(tls->pairs[i].certificate);
		free(tls->pairs[i].key);
		free(tls->pairs[i].certificate_origin.file);
		free(tls->pairs[i].key_origin.file);
	}
	free(tls->pairs);
	free(tls->password_file);
	free(tls->ca);
	free(tls->ciphers);
	free(tls->ciphersuites);
	free(tls->alpn);
	free(tls->name);
}

static void
clear_routes(struct config_route *rows, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		free(rows[i].pattern);
		free(rows[i].text);
		free(rows[i].origin.file);
	}
	free(rows);
}

void
config_upstream_clear(struct config_upstream *upstream)
{
	size_t i;

	free(upstream->name);
	free(upstream->origin.file);
	for (i = 0; i < upstream->server_count; i++) {
		free(upstream->servers[i].text);
		free(upstream->servers[i].name);
		free(upstream->servers[i].origin.file);
	}
	free(upstream->servers);
	free(upstream->health_send);
	free(upstream->health_expect);
	clear_texts(upstream->dns, upstream->dns_count);
	free(upstream->sources);
	memset(upstream, 0, sizeof(*upstream));
}

void
config_clear_forward(struct config_listener *listener)
{
	clear_addresses(listener->upstream, listener->upstream_count);
	clear_routes(listener->routes, listener->route_count);
	listener->upstream = NULL;
	listener->upstream_count = 0;
	listener->routes = NULL;
	listener->route_count = 0;
}

void
config_listener_clear(struct config_listener *listener)
{
	free(listener->name);
	free(listener->origin.file);
	clear_addresses(listener->listen, listener->listen_count);
	config_clear_forward(listener);
	free(listener->target_text);
	argv_free(listener->target_argv);
	free(listener->greeting);
	free(listener->interface);
	clear_acl(listener->acl, listener->acl_count);
	clear_acl(listener->accept_proxy, listener->accept_proxy_count);
	clear_tls(&listener->tls);
	clear_tls(&listener->upstream_tls);
	free(listener->access_log_path);
	free(listener->sources);
	memset(listener, 0, sizeof(*listener));
}

void
config_clear(struct config *config)
{
	size_t i;

	free(config->user);
	free(config->group);
	free(config->pid_file);
	free(config->control);
	free(config->log_path);
	for (i = 0; i < config->listener_count; i++) {
		config_listener_clear(config->listeners[i]);
		free(config->listeners[i]);
	}
	free(config->listeners);
	for (i = 0; i < config->upstream_count; i++) {
		config_upstream_clear(config->upstreams[i]);
		free(config->upstreams[i]);
	}
	free(config->upstreams);
	map_free(config->upstream_names);
	clear_texts(config->dns, config->dns_count);
	clear_texts(config->warnings, config->warning_count);
	clear_texts(config->files, config->file_count);
	free(config->sources);
	memset(config, 0, sizeof(*config));
}

struct config *
config_ref(struct config *config)
{
	assert(config->refs > 0);
	config->refs++;
	return config;
}

void
config_unref(struct config *config)
{
	if (config == NULL || --config->refs > 0)
		return;
	if (config->attached != NULL)
		config->attached_free(config->attached);
	config_clear(config);
	free(config);
}

struct config_listener *
config_find_listener(const struct config *config, const char *name)
{
	size_t i;

	for (i = 0; i < config->listener_count; i++)
		if (strcmp(config->listeners[i]->name, name) == 0)
			return config->listeners[i];
	return NULL;
}

struct config_upstream *
config_find_upstream(const struct config *config, const char *name)
{
	return config->upstream_names != NULL
		   ? map_get(config->upstream_names, name)
		   : NULL;
}
