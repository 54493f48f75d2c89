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

void
config_listener_clear(struct config_listener *listener)
{
	size_t i;

	free(listener->name);
	free(listener->origin.file);
	clear_addresses(listener->listen, listener->listen_count);
	clear_addresses(listener->upstream, listener->upstream_count);
	free(listener->target_text);
	argv_free(listener->target_argv);
	free(listener->greeting);
	free(listener->interface);
	for (i = 0; i < listener->acl_count; i++)
		free(listener->acl[i].text);
	free(listener->acl);
	free(listener->access_log_path);
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
	for (i = 0; i < config->warning_count; i++)
		free(config->warnings[i]);
	free(config->warnings);
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
