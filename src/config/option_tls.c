/*
 * The types that only TLS has: the files of certificates and keys, which are
 * pairs by their order, names of protocols, and the name of a peer. No file is
 * opened here; check_tls.c does that.
 */
#include <config.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "config/option_priv.h"

#define PROTOCOL_MAX  255 /* RFC 7301: one, and all with their lengths */
#define PROTOCOLS_MAX 65535

static int
check_path(const struct option_input *in)
{
	size_t i;

	if (in->length == 0)
		return option_refuse(in, "is no path");
	if (in->length >= PATH_MAX)
		return option_refuse(
		    in, "is longer than %d bytes", PATH_MAX - 1);
	for (i = 0; i < in->length; i++)
		if ((unsigned char)in->value[i] < 0x20 || in->value[i] == 0x7f)
			return option_refuse(in, "holds a control character");
	return 0;
}

/* The pair at index, made where there is none yet. */
static struct config_pair *
get_pair(struct config_tls *tls, size_t index)
{
	size_t rows =
	    tls->pair_count > tls->key_count ? tls->pair_count : tls->key_count;
	struct config_pair *pairs;

	if (index < rows)
		return &tls->pairs[index];
	pairs = option_grow(tls->pairs, rows, sizeof(*pairs));
	if (pairs == NULL)
		return NULL;
	tls->pairs = pairs;
	return &pairs[index];
}

static int
parse_pair(const struct option_input *in)
{
	struct config_tls *tls = option_field(in->option, in->base);
	bool key = in->option->type == OPTION_KEY;
	size_t *count = key ? &tls->key_count : &tls->pair_count;
	struct config_pair *pair;
	char *path;
	int r = check_path(in);

	if (r < 0)
		return r;
	pair = get_pair(tls, *count);
	path = strdup(in->value);
	if (pair == NULL || path == NULL ||
	    option_copy_origin(
		key ? &pair->key_origin : &pair->certificate_origin,
		in->origin) < 0) {
		free(path);
		return -ENOMEM;
	}
	*(key ? &pair->key : &pair->certificate) = path;
	(*count)++;
	return 0;
}

static int
parse_protocols(const struct option_input *in)
{
	const char *p = in->value;
	size_t n;

	for (;;) {
		n = strcspn(p, ", \t");
		if (n == 0 || (p[n] != '\0' && p[n] != ','))
			return option_refuse(
			    in, "is no list of protocols (try h2,http/1.1)");
		if (n > PROTOCOL_MAX)
			return option_refuse(in,
			    "has a protocol of more than %d bytes",
			    PROTOCOL_MAX);
		if (p[n] == '\0')
			break;
		p += n + 1;
	}
	if (in->length + 1 > PROTOCOLS_MAX)
		return option_refuse(
		    in, "is longer than %d bytes", PROTOCOLS_MAX - 1);
	return option_set_text(
	    option_field(in->option, in->base), in->value, in->length);
}

static int
parse_host(const struct option_input *in)
{
	if (!option_is_host(in->value))
		return option_refuse(
		    in, "is neither a host name nor an IP address");
	return option_set_text(
	    option_field(in->option, in->base), in->value, in->length);
}

int
option_parse_tls(const struct option_input *in)
{
	switch (in->option->type) {
	case OPTION_PROTOCOLS:
		return parse_protocols(in);
	case OPTION_HOST:
		return parse_host(in);
	default:
		return parse_pair(in);
	}
}

void
option_print_tls(const struct config_option *option, const void *base,
    option_emit *emit, void *user)
{
	const void *field = option_const_field(option, base);
	bool key = option->type == OPTION_KEY;
	const struct config_tls *tls = field;
	const char *text;
	size_t i;

	if (option->type == OPTION_PROTOCOLS || option->type == OPTION_HOST) {
		text = *(char *const *)field;
		if (text != NULL)
			emit(option->key, text, strlen(text), user);
		return;
	}
	for (i = 0; i < (key ? tls->key_count : tls->pair_count); i++) {
		text = key ? tls->pairs[i].key : tls->pairs[i].certificate;
		emit(option->key, text, strlen(text), user);
	}
}
