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

/* Refuse what cannot be connected to. Returns 0 or the refusal. */
static int
check_connect(
    const struct option_input *in, const struct weir_endpoint *endpoint)
{
	switch (endpoint->kind) {
	case WEIR_ENDPOINT_FD:
	case WEIR_ENDPOINT_SYSTEMD:
		return option_refuse(
		    in, "is a socket to listen on, not one to connect to");
	case WEIR_ENDPOINT_UNIX:
	case WEIR_ENDPOINT_SRV:
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

int
option_endpoint(const struct option_input *whole, const char *text,
    struct weir_endpoint *ret)
{
	struct option_input in = *whole;
	bool listen = in.option->type == OPTION_LISTEN;
	const char *problem = NULL;
	int r;

	in.value = text;
	in.length = strlen(text);
	if (weir_endpoint_parse(ret, text, &problem) < 0)
		return option_refuse(&in, "is not an address: %s",
		    problem ? problem : "its form is not known");
	if (listen && ret->kind == WEIR_ENDPOINT_SRV)
		return option_refuse(
		    &in, "is a name to connect to, not one to listen on");
	r = check_unix(&in, ret);
	if (r == 0 && !listen)
		r = check_connect(&in, ret);
	return r;
}

bool
option_is_name(const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				      "_.-";

	return text[0] != '\0' && text[strspn(text, letters)] == '\0';
}

bool
option_is_host(const char *text)
{
	struct weir_endpoint endpoint;
	char address[WEIR_HOST_TEXT + sizeof(":1")];

	if (weir_is_ip(text))
		return true;
	if (!option_is_name(text) || strlen(text) >= WEIR_HOST_TEXT)
		return false;
	snprintf(address, sizeof(address), "%s:1", text);
	return weir_endpoint_parse(&endpoint, address, NULL) == 0;
}

static int
parse_listen(const struct option_input *in)
{
	struct config_listener *listener = in->base;
	struct config_address row, *rows;
	int r;

	memset(&row, 0, sizeof(row));
	r = option_endpoint(in, in->value, &row.endpoint);
	if (r < 0)
		return r;
	rows =
	    option_grow(listener->listen, listener->listen_count, sizeof(row));
	if (rows != NULL)
		listener->listen = rows;
	row.text = strdup(in->value);
	r = option_copy_origin(&row.origin, in->origin);
	if (rows == NULL || row.text == NULL || r < 0) {
		free(row.text);
		free(row.origin.file);
		return -ENOMEM;
	}
	rows[listener->listen_count++] = row;
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
							: parse_listen(in);
}

void
option_print_address(const struct config_option *option, const void *base,
    option_emit *emit, void *user)
{
	const struct config_listener *listener = base;
	char text[WEIR_ADDRESS_TEXT + WEIR_HOST_TEXT];
	size_t i;

	if (option->type == OPTION_LOCAL_ADDRESS) {
		snprintf(text, sizeof(text), "any");
		if (listener->local_address.length > 0)
			weir_address_host(
			    &listener->local_address, text, sizeof(text));
		emit(option->key, text, strlen(text), user);
		return;
	}
	for (i = 0; i < listener->listen_count; i++) {
		weir_endpoint_text(
		    &listener->listen[i].endpoint, text, sizeof(text));
		emit(option->key, text, strlen(text), user);
	}
}
