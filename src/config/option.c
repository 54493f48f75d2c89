/*
 * Finds rows of the option table and leads a value to the functions of its
 * type. The rows stand in schema.c, the types in the option_*.c files.
 */
#include <config.h>

#include "config/option.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "config/option_priv.h"
#include "util/nearest.h"
#include "util/text.h"

const struct config_option *
option_find(enum option_section section, const char *key)
{
	const struct config_option *option;
	size_t i;

	for (i = 0; i < option_count(); i++) {
		option = option_at(i);
		if (option->section == section && strcmp(option->key, key) == 0)
			return option;
	}
	return NULL;
}

const char *
option_nearest(enum option_section section, const char *key)
{
	const struct config_option *option;
	struct nearest nearest;
	size_t i;

	nearest_begin(&nearest, key);
	for (i = 0; i < option_count(); i++) {
		option = option_at(i);
		if (option->section == section &&
		    !(option->flags & OPTION_COMMAND_LINE))
			nearest_try(&nearest, option->key);
	}
	return nearest_get(&nearest);
}

const char *
option_section_text(enum option_section section)
{
	static const char *const names[] = {
	    [OPTION_WEIR] = "weir",
	    [OPTION_LISTENER] = "listener",
	    [OPTION_UPSTREAM] = "upstream",
	};

	return names[section];
}

bool
option_is_second(const struct config_option *option)
{
	return option->type == OPTION_DENY || option->type == OPTION_ALPN;
}

bool
option_shares_list(const struct config_option *option)
{
	return option_is_second(option) || option->type == OPTION_ALLOW ||
	       option->type == OPTION_SNI;
}

/* The type that prints the list of an option. */
static enum option_type
list_type(const struct config_option *option)
{
	if (option->type == OPTION_DENY)
		return OPTION_ALLOW;
	return option->type == OPTION_ALPN ? OPTION_SNI : option->type;
}

bool
option_same_field(const struct config_option *a, const struct config_option *b)
{
	return a == b || ((option_is_second(a) || option_is_second(b)) &&
			     list_type(a) == list_type(b));
}

void *
option_field(const struct config_option *option, void *base)
{
	return (char *)base + option->offset;
}

const void *
option_const_field(const struct config_option *option, const void *base)
{
	return (const char *)base + option->offset;
}

int
option_refuse(const struct option_input *in, const char *format, ...)
{
	va_list list;

	strbuf_quote(in->problem, in->value, in->length);
	strbuf_char(in->problem, ' ');
	va_start(list, format);
	strbuf_vformat(in->problem, format, list);
	va_end(list);
	return in->problem->failed ? -ENOMEM : -EINVAL;
}

int
option_set_text(char **field, const char *value, size_t length)
{
	char *text = NULL;

	if (length > 0) {
		text = strndup(value, length);
		if (text == NULL)
			return -ENOMEM;
	}
	free(*field);
	*field = text;
	return 0;
}

void *
option_grow(void *rows, size_t count, size_t size)
{
	char *grown = rows;

	/* Doubled at each power of two, so that long lists stay cheap. */
	if ((count & (count - 1)) == 0) {
		grown = reallocarray(rows, count ? count * 2 : 1, size);
		if (grown == NULL)
			return NULL;
	}
	memset(grown + count * size, 0, size);
	return grown;
}

int
option_user_id(const char *name, uid_t *ret)
{
	const struct passwd *passwd;
	uint64_t number;

	if (text_number(name, &number) == 0 && number < UINT32_MAX) {
		*ret = (uid_t)number;
		return 0;
	}
	passwd = getpwnam(name);
	if (passwd == NULL)
		return -ENOENT;
	*ret = passwd->pw_uid;
	return 0;
}

int
option_group_id(const char *name, gid_t *ret)
{
	const struct group *group;
	uint64_t number;

	if (text_number(name, &number) == 0 && number < UINT32_MAX) {
		*ret = (gid_t)number;
		return 0;
	}
	group = getgrnam(name);
	if (group == NULL)
		return -ENOENT;
	*ret = group->gr_gid;
	return 0;
}

int
option_copy_origin(
    struct config_origin *ret, const struct config_origin *origin)
{
	ret->file = origin->file ? strdup(origin->file) : NULL;
	ret->line = origin->line;
	return ret->file != NULL || origin->file == NULL ? 0 : -ENOMEM;
}

/* The functions of a type; those of one field alone are the rest. */
struct type {
	int (*parse)(const struct option_input *in);
	option_printer *print;
};

static const struct type *
type_of(const struct config_option *option)
{
	static const struct type scalar = {
	    option_parse_scalar, option_print_scalar};
	static const struct type place = {
	    option_parse_place, option_print_place};
	static const struct type address = {
	    option_parse_address, option_print_address};
	static const struct type acl = {option_parse_acl, option_print_acl};
	static const struct type route = {
	    option_parse_route, option_print_route};
	static const struct type tls = {option_parse_tls, option_print_tls};
	static const struct type dns = {option_parse_dns, option_print_dns};
	static const struct type server = {
	    option_parse_server, option_print_server};
	static const struct type health = {
	    option_parse_health, option_print_health};

	switch (option->type) {
	case OPTION_CONTROL:
	case OPTION_LOG:
	case OPTION_ACCESS_LOG:
	case OPTION_INCLUDE:
	case OPTION_TARGET:
	case OPTION_GREETING:
		return &place;
	case OPTION_LISTEN:
	case OPTION_LOCAL_ADDRESS:
		return &address;
	case OPTION_FORWARD:
	case OPTION_SNI:
	case OPTION_ALPN:
		return &route;
	case OPTION_ALLOW:
	case OPTION_DENY:
	case OPTION_ACCEPT_PROXY:
		return &acl;
	case OPTION_CERTIFICATE:
	case OPTION_KEY:
	case OPTION_PROTOCOLS:
	case OPTION_HOST:
		return &tls;
	case OPTION_DNS:
		return &dns;
	case OPTION_SERVER:
		return &server;
	case OPTION_HEALTH_CHECK:
		return &health;
	default:
		return &scalar;
	}
}

int
option_parse(const struct config_option *option, void *base, const char *value,
    size_t length, const struct config_origin *origin, struct strbuf *problem)
{
	const struct option_input in = {
	    option, base, value, length, origin, problem};

	if (option->type != OPTION_GREETING && strlen(value) != length)
		return option_refuse(&in, "holds a NUL byte");
	return type_of(option)->parse(&in);
}

void
option_print(const struct config_option *option, const void *base,
    option_emit *emit, void *user)
{
	type_of(option)->print(option, base, emit, user);
}
