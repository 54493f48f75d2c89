/*
 * Where a listener forwards to: upstream, and the rows of sni and alpn, which
 * are one list in the order of the file. A value is an ADDRESS, or the NAME of
 * an [upstream]; which sections there are is seen when all files are read.
 */
#include <config.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/option_priv.h"

#define PROTOCOL_MAX 255 /* RFC 7301 */

/* ADDRESS or NAME. */
static int
parse_to(const struct option_input *in, const char *text, bool *name,
    struct weir_endpoint *endpoint)
{
	memset(endpoint, 0, sizeof(*endpoint));
	*name = option_is_name(text);
	return *name ? 0 : option_endpoint(in, text, endpoint);
}

static int
parse_forward(const struct option_input *in)
{
	struct config_listener *listener = in->base;
	struct config_address row, *rows;
	int r;

	memset(&row, 0, sizeof(row));
	r = parse_to(in, in->value, &row.name, &row.endpoint);
	if (r < 0)
		return r;
	rows = option_grow(
	    listener->upstream, listener->upstream_count, sizeof(row));
	if (rows != NULL)
		listener->upstream = rows;
	row.text = strdup(in->value);
	r = option_copy_origin(&row.origin, in->origin);
	if (rows == NULL || row.text == NULL || r < 0) {
		free(row.text);
		free(row.origin.file);
		return -ENOMEM;
	}
	rows[listener->upstream_count++] = row;
	return 0;
}

/* A server name as hellos are compared with it: lower case, and without a dot
 * at its end. */
static int
check_pattern(const struct option_input *in, char *pattern)
{
	size_t length = strlen(pattern);
	const char *name;
	char *p;

	if (strcmp(pattern, "*") == 0)
		return option_refuse(
		    in, "stands for any name: that is what upstream = is for");
	if (length > 1 && pattern[length - 1] == '.')
		pattern[length - 1] = '\0';
	for (p = pattern; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	name = strncmp(pattern, "*.", 2) == 0 ? pattern + 2 : pattern;
	if (weir_is_ip(name) || !option_is_host(name))
		return option_refuse(in,
		    "does not begin with a server name (www.example.org, or "
		    "*.example.org for all below it)");
	return 0;
}

static int
check_word(const struct option_input *in, char *pattern)
{
	if (in->option->type == OPTION_SNI)
		return check_pattern(in, pattern);
	if (strlen(pattern) > PROTOCOL_MAX)
		return option_refuse(
		    in, "has a protocol of more than %d bytes", PROTOCOL_MAX);
	return 0;
}

/* The row of a value that was cut in two, all but its texts. */
static int
parse_words(const struct option_input *in, char *pattern, const char *to,
    struct config_route *row)
{
	int r = check_word(in, pattern);

	row->kind = in->option->type == OPTION_SNI ? CONFIG_ROUTE_SNI
						   : CONFIG_ROUTE_ALPN;
	if (r == 0)
		r = parse_to(in, to, &row->name, &row->endpoint);
	return r;
}

static int
add_route(const struct option_input *in, struct config_route *row,
    const char *pattern, const char *to)
{
	struct config_listener *listener = in->base;
	struct config_route *rows =
	    option_grow(listener->routes, listener->route_count, sizeof(*row));
	int r = option_copy_origin(&row->origin, in->origin);

	if (rows != NULL)
		listener->routes = rows;
	row->pattern = strdup(pattern);
	row->text = strdup(to);
	if (rows == NULL || row->pattern == NULL || row->text == NULL ||
	    r < 0) {
		free(row->pattern);
		free(row->text);
		free(row->origin.file);
		return -ENOMEM;
	}
	rows[listener->route_count++] = *row;
	return 0;
}

static int
parse_route(const struct option_input *in)
{
	static const char blanks[] = " \t";
	char *copy = strdup(in->value), *to, *end;
	struct config_route row;
	int r;

	memset(&row, 0, sizeof(row));
	if (copy == NULL)
		return -ENOMEM;
	to = copy + strcspn(copy, blanks);
	if (*to != '\0')
		*to++ = '\0';
	to += strspn(to, blanks);
	end = to + strcspn(to, blanks);
	if (*copy == '\0' || *to == '\0' || *end != '\0')
		r = option_refuse(in,
		    "is not %s and, after a blank, an ADDRESS or the NAME of "
		    "an [upstream]",
		    in->option->type == OPTION_SNI ? "a server name"
						   : "a protocol");
	else
		r = parse_words(in, copy, to, &row);
	if (r == 0)
		r = add_route(in, &row, copy, to);
	free(copy);
	return r;
}

int
option_parse_route(const struct option_input *in)
{
	return in->option->type == OPTION_FORWARD ? parse_forward(in)
						  : parse_route(in);
}

/* NAME or ADDRESS; text has room for any of both. */
static const char *
to_text(bool name, const char *written, const struct weir_endpoint *endpoint,
    char *text, size_t size)
{
	return name ? written : weir_endpoint_text(endpoint, text, size);
}

void
option_print_route(const struct config_option *option, const void *base,
    option_emit *emit, void *user)
{
	const struct config_listener *listener = base;
	char text[WEIR_ADDRESS_TEXT + WEIR_HOST_TEXT];
	struct strbuf value = STRBUF_NULL;
	const struct config_route *route;
	const char *to;
	size_t i;

	for (i = 0;
	     option->type == OPTION_FORWARD && i < listener->upstream_count;
	     i++) {
		to = to_text(listener->upstream[i].name,
		    listener->upstream[i].text, &listener->upstream[i].endpoint,
		    text, sizeof(text));
		emit(option->key, to, strlen(to), user);
	}
	for (i = 0; option->type == OPTION_SNI && i < listener->route_count;
	     i++) {
		route = &listener->routes[i];
		strbuf_reset(&value);
		strbuf_format(&value, "%s %s", route->pattern,
		    to_text(route->name, route->text, &route->endpoint, text,
			sizeof(text)));
		emit(route->kind == CONFIG_ROUTE_SNI ? "sni" : "alpn",
		    value.failed ? NULL : strbuf_get(&value), value.length,
		    user);
	}
	strbuf_free(&value);
}
