/*
 * The types that hold an address. What an ADDRESS is, libweir says; here it is
 * said which of them make sense to listen on and which to connect to. No name
 * is resolved.
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/option_priv.h"

/* Refuse what an upstream cannot be. Returns 0 or the refusal. */
static int
check_upstream(
    const struct option_input *in, const struct weir_endpoint *endpoint)
{
	switch (endpoint->kind) {
	case WEIR_ENDPOINT_FD:
	case WEIR_ENDPOINT_SYSTEMD:
		return option_refuse(
		    in, "is a socket to listen on, not one to connect to");
	case WEIR_ENDPOINT_UNIX:
		return 0;
	case WEIR_ENDPOINT_TCP:
		break;
	}
	if (endpoint->name[0] == '\0')
		return option_refuse(in,
		    "has no host; any address is only for listen "
		    "(127.0.0.1 is this machine)");
	if (endpoint->port_first != endpoint->port_last)
		return option_refuse(
		    in, "is a range of ports, which is only for listen");
	if (endpoint->port_first == 0)
		return option_refuse(
		    in, "has port 0, which is only for listen");
	return 0;
}

/* Refuse a path that no socket could have. */
static int
check_unix(const struct option_input *in, const struct weir_endpoint *endpoint)
{
	struct weir_address address;

	if (endpoint->kind != WEIR_ENDPOINT_UNIX)
		return 0;
	if (weir_address_set_unix(
		&address, endpoint->name, endpoint->abstract) < 0)
		return option_refuse(in,
		    "is too long for a unix socket (at most %zu bytes)",
		    sizeof(address.u.un.sun_path) - 1);
	return 0;
}

static int
parse_endpoint(const struct option_input *in, struct weir_endpoint *ret)
{
	const char *problem = NULL;
	int r;

	if (strncmp(in->value, "srv:", 4) == 0)
		return option_refuse(in,
		    "asks for a DNS SRV record, which this build cannot look "
		    "up");
	if (weir_endpoint_parse(ret, in->value, &problem) < 0)
		return option_refuse(in, "is not an address: %s",
		    problem ? problem : "its form is not known");
	r = check_unix(in, ret);
	if (r == 0 && in->option->type == OPTION_UPSTREAM)
		r = check_upstream(in, ret);
	return r;
}

static int
parse_row(const struct option_input *in)
{
	struct config_listener *listener = in->base;
	bool listen = in->option->type == OPTION_LISTEN;
	struct weir_endpoint endpoint;
	struct config_address row, *rows, **field;
	size_t *count;
	int r = parse_endpoint(in, &endpoint);

	if (r < 0)
		return r;
	field = listen ? &listener->listen : &listener->upstream;
	count = listen ? &listener->listen_count : &listener->upstream_count;
	row.endpoint = endpoint;
	row.text = strdup(in->value);
	row.origin.file = in->origin->file ? strdup(in->origin->file) : NULL;
	row.origin.line = in->origin->line;
	rows = option_grow(*field, *count, sizeof(row));
	if (rows != NULL)
		*field = rows;
	if (rows == NULL || row.text == NULL ||
	    (row.origin.file == NULL && in->origin->file != NULL)) {
		free(row.text);
		free(row.origin.file);
		return -ENOMEM;
	}
	rows[(*count)++] = row;
	return 0;
}

static int
parse_local(const struct option_input *in)
{
	struct config_listener *listener = in->base;
	struct weir_address address;

	memset(&address, 0, sizeof(address));
	if (strcmp(in->value, "any") != 0 &&
	    weir_address_set_ip(&address, in->value, 0) < 0)
		return option_refuse(in,
		    "is neither any nor an IP address (the port is of "
		    "local_port)");
	listener->local_address = address;
	return 0;
}

int
option_parse_address(const struct option_input *in)
{
	return in->option->type == OPTION_LOCAL_ADDRESS ? parse_local(in)
							: parse_row(in);
}

void
option_print_address(const struct config_option *option, const void *base,
    option_emit *emit, void *user)
{
	const struct config_listener *listener = base;
	bool listen = option->type == OPTION_LISTEN;
	const struct config_address *rows =
	    listen ? listener->listen : listener->upstream;
	size_t i,
	    count = listen ? listener->listen_count : listener->upstream_count;
	char text[WEIR_ADDRESS_TEXT + WEIR_HOST_TEXT];

	if (option->type == OPTION_LOCAL_ADDRESS) {
		snprintf(text, sizeof(text), "any");
		if (listener->local_address.length > 0)
			weir_address_host(
			    &listener->local_address, text, sizeof(text));
		emit(option->key, text, strlen(text), user);
		return;
	}
	for (i = 0; i < count; i++) {
		weir_endpoint_text(&rows[i].endpoint, text, sizeof(text));
		emit(option->key, text, strlen(text), user);
	}
}
