/*
 * The servers of an upstream, and name servers. A server's own max_fails and
 * fail_timeout, where it has none, and the name that tells it from the others
 * are given when its upstream is whole; pool.c.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/option_priv.h"
#include "util/argv.h"
#include "util/nearest.h"
#include "util/text.h"

#define WEIGHT_MAX 256
#define NAME_MAX   128
#define FAILS_MAX  1000000
#define LONGEST	   (UINT64_C(3650) * 24 * 3600 * 1000) /* ms */
#define DNS_PORT   53

/* What may stand behind a server's ADDRESS. */
static const struct word {
	const char *name;
	bool value; /* name=VALUE */
	const char *form;
} words[] = {
    {"weight", true, "N"},
    {"backup", false, NULL},
    {"down", false, NULL},
    {"max_connections", true, "N"},
    {"max_fails", true, "N"},
    {"fail_timeout", true, "DURATION"},
    {"name", true, "TEXT"},
};

#define WORDS (sizeof(words) / sizeof(words[0]))

static int
refuse_word(const struct option_input *in, const char *word, size_t length)
{
	struct nearest nearest;
	const char *known;
	char *copy = strndup(word, length);
	size_t i;
	int r;

	if (copy == NULL)
		return -ENOMEM;
	nearest_begin(&nearest, copy);
	for (i = 0; i < WORDS; i++)
		nearest_try(&nearest, words[i].name);
	known = nearest_get(&nearest);
	if (known != NULL)
		r = option_refuse(
		    in, "holds \"%s\" (did you mean \"%s\"?)", copy, known);
	else
		r = option_refuse(in,
		    "holds \"%s\" (a server is ADDRESS [weight=N] [backup] "
		    "[down] [max_connections=N] [max_fails=N] "
		    "[fail_timeout=T] [name=TEXT])",
		    copy);
	free(copy);
	return r;
}

static int
read_number(const struct option_input *in, const char *name, const char *text,
    uint64_t max, uint64_t *ret)
{
	int r = text_number(text, ret);

	if (r == -EINVAL)
		return option_refuse(in, "has a %s that is not a number", name);
	if (r < 0 || *ret > max)
		return option_refuse(in, "has a %s above %" PRIu64, name, max);
	return 0;
}

static int
read_fail_timeout(const struct option_input *in, const char *text,
    struct config_server *server)
{
	char hint[TEXT_NUMBER];
	int r = text_duration(text, &server->fail_timeout_ms);

	if (r == -EINVAL)
		return option_refuse(in,
		    "has a fail_timeout that is not a duration (try %s)",
		    text_duration_hint(text, hint));
	if (r < 0 || server->fail_timeout_ms > LONGEST)
		return option_refuse(in, "has a fail_timeout above %s",
		    text_from_duration(LONGEST, hint));
	if (server->fail_timeout_ms == 0)
		return option_refuse(in,
		    "has a fail_timeout of nothing (max_fails=0 is never "
		    "down)");
	server->fail_timeout_set = true;
	return 0;
}

/* It stands in requests, tables and metrics. */
static int
read_name(const struct option_input *in, const char *text,
    struct config_server *server)
{
	size_t i, length = strlen(text);

	if (length == 0 || length > NAME_MAX)
		return option_refuse(
		    in, "has a name that is not 1 to %d bytes long", NAME_MAX);
	for (i = 0; i < length; i++)
		if ((unsigned char)text[i] <= 0x20 || text[i] == 0x7f)
			return option_refuse(in,
			    "has a name with a blank or a control character");
	free(server->name);
	server->name = strdup(text);
	server->named = true;
	return server->name != NULL ? 0 : -ENOMEM;
}

static int
read_value(const struct option_input *in, const char *name, const char *text,
    struct config_server *server)
{
	uint64_t number = 0;
	int r;

	if (strcmp(name, "name") == 0)
		return read_name(in, text, server);
	if (strcmp(name, "fail_timeout") == 0)
		return read_fail_timeout(in, text, server);
	if (strcmp(name, "weight") == 0) {
		r = read_number(in, name, text, WEIGHT_MAX, &number);
		server->weight = (unsigned)number;
	} else if (strcmp(name, "max_fails") == 0) {
		r = read_number(in, name, text, FAILS_MAX, &number);
		server->max_fails = (unsigned)number;
		server->max_fails_set = true;
	} else {
		r = read_number(in, name, text, UINT32_MAX, &number);
		server->max_connections = number;
	}
	return r;
}

/* The row of words that a word is, or WORDS. */
static size_t
find_word(const char *text, size_t length)
{
	size_t i;

	for (i = 0; i < WORDS; i++)
		if (strlen(words[i].name) == length &&
		    strncmp(words[i].name, text, length) == 0)
			break;
	return i;
}

/* One word behind the ADDRESS; seen has a bit for each that was there. */
static int
read_word(const struct option_input *in, const char *text, unsigned *seen,
    struct config_server *server)
{
	size_t length = strcspn(text, "="), i = find_word(text, length);
	bool value = text[length] == '=';

	if (i == WORDS)
		return refuse_word(in, text, length);
	if (value && !words[i].value)
		return option_refuse(
		    in, "gives %s a value, which takes none", words[i].name);
	if (!value && words[i].value)
		return option_refuse(in, "has %s without a value (write %s=%s)",
		    words[i].name, words[i].name, words[i].form);
	if (*seen & 1u << i)
		return option_refuse(in, "has %s twice", words[i].name);
	*seen |= 1u << i;
	if (value)
		return read_value(in, words[i].name, text + length + 1, server);
	if (strcmp(words[i].name, "backup") == 0)
		server->backup = true;
	else
		server->down = true;
	return 0;
}

static void
clear_server(struct config_server *server)
{
	free(server->text);
	free(server->name);
	free(server->origin.file);
}

static int
read_server(const struct option_input *in, char *const *argv,
    struct config_server *server)
{
	unsigned seen = 0;
	size_t i;
	int r;

	if (argv[0] == NULL)
		return option_refuse(in, "has no ADDRESS");
	r = option_endpoint(in, argv[0], &server->endpoint);
	server->weight = 1;
	for (i = 1; argv[i] != NULL && r == 0; i++)
		r = read_word(in, argv[i], &seen, server);
	if (r == 0) {
		server->text = strdup(argv[0]);
		r = server->text != NULL ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = option_copy_origin(&server->origin, in->origin);
	return r;
}

int
option_parse_server(const struct option_input *in)
{
	struct config_upstream *upstream = in->base;
	struct config_server server, *rows;
	const char *problem = NULL;
	char **argv = NULL;
	int r = argv_split(in->value, &argv, &problem);

	if (r == -EINVAL)
		return option_refuse(in, "is no server: %s", problem);
	if (r < 0)
		return r;
	memset(&server, 0, sizeof(server));
	r = read_server(in, argv, &server);
	argv_free(argv);
	if (r == 0) {
		rows = option_grow(
		    upstream->servers, upstream->server_count, sizeof(server));
		if (rows != NULL) {
			rows[upstream->server_count++] = server;
			upstream->servers = rows;
			return 0;
		}
		r = -ENOMEM;
	}
	clear_server(&server);
	return r;
}

/* A word that argv_split() takes back. */
static void
print_word(struct strbuf *text, const char *word)
{
	const char *p;

	for (p = word; *p != '\0'; p++) {
		if (strchr(" \t\"'\\", *p) != NULL)
			strbuf_char(text, '\\');
		strbuf_char(text, *p);
	}
}

static void
print_server(const struct config_server *server, struct strbuf *text)
{
	char address[WEIR_ADDRESS_TEXT + WEIR_HOST_TEXT], number[TEXT_NUMBER];

	print_word(text,
	    weir_endpoint_text(&server->endpoint, address, sizeof(address)));
	if (server->weight != 1)
		strbuf_format(text, " weight=%u", server->weight);
	if (server->backup)
		strbuf_text(text, " backup");
	if (server->down)
		strbuf_text(text, " down");
	if (server->max_connections > 0)
		strbuf_format(
		    text, " max_connections=%" PRIu64, server->max_connections);
	if (server->max_fails_set)
		strbuf_format(text, " max_fails=%u", server->max_fails);
	if (server->fail_timeout_set)
		strbuf_format(text, " fail_timeout=%s",
		    text_from_duration(server->fail_timeout_ms, number));
	if (server->named) {
		strbuf_text(text, " name=");
		print_word(text, server->name);
	}
}

void
option_print_server(const struct config_option *option, const void *base,
    option_emit *emit, void *user)
{
	const struct config_upstream *upstream = base;
	struct strbuf text = STRBUF_NULL;
	size_t i;

	for (i = 0; i < upstream->server_count; i++) {
		strbuf_reset(&text);
		print_server(&upstream->servers[i], &text);
		emit(option->key, text.failed ? NULL : strbuf_get(&text),
		    text.length, user);
	}
	strbuf_free(&text);
}

/* ---- name servers ---- */

/* An IP address, with or without a port. */
static int
read_name_server(const char *text, struct weir_endpoint *ret)
{
	char address[WEIR_HOST_TEXT + sizeof("[]:65535")];
	struct weir_address numeric;
	bool six = weir_is_ipv6(text);
	size_t length = strlen(text);

	if (length >= WEIR_HOST_TEXT)
		return -EINVAL;
	if (six || weir_is_ipv4(text) ||
	    (text[0] == '[' && text[length - 1] == ']'))
		snprintf(address, sizeof(address), "%s%s%s:%d", six ? "[" : "",
		    text, six ? "]" : "", DNS_PORT);
	else
		snprintf(address, sizeof(address), "%s", text);
	if (weir_endpoint_parse(ret, address, NULL) < 0 ||
	    ret->kind != WEIR_ENDPOINT_TCP || ret->port_first == 0 ||
	    ret->port_first != ret->port_last || ret->name[0] == '\0')
		return -EINVAL;
	return weir_endpoint_address(ret, &numeric);
}

int
option_parse_dns(const struct option_input *in)
{
	struct config_upstream *upstream = in->base;
	struct config *config = in->base;
	bool weir = in->option->section == OPTION_WEIR;
	char ***field = weir ? &config->dns : &upstream->dns;
	size_t *count = weir ? &config->dns_count : &upstream->dns_count;
	char text[WEIR_ADDRESS_TEXT + WEIR_HOST_TEXT], **rows;
	struct weir_endpoint endpoint;

	if (read_name_server(in->value, &endpoint) < 0)
		return option_refuse(in,
		    "is no IP address of a name server (10.0.0.53, "
		    "10.0.0.53:5353 or [::1]:53)");
	if (strchr(endpoint.name, '%') != NULL)
		return option_refuse(
		    in, "has a zone, which name servers cannot have");
	rows = option_grow(*field, *count, sizeof(*rows));
	if (rows == NULL)
		return -ENOMEM;
	*field = rows;
	rows[*count] =
	    strdup(weir_endpoint_text(&endpoint, text, sizeof(text)));
	if (rows[*count] == NULL)
		return -ENOMEM;
	(*count)++;
	return 0;
}

void
option_print_dns(const struct config_option *option, const void *base,
    option_emit *emit, void *user)
{
	const struct config_upstream *upstream = base;
	const struct config *config = base;
	bool weir = option->section == OPTION_WEIR;
	char *const *rows = weir ? config->dns : upstream->dns;
	size_t i, count = weir ? config->dns_count : upstream->dns_count;

	for (i = 0; i < count; i++)
		emit(option->key, rows[i], strlen(rows[i]), user);
}
