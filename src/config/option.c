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
	return section == OPTION_WEIR ? "weir" : "listener";
}

static bool
is_acl(const struct config_option *option)
{
	return option->type == OPTION_ALLOW || option->type == OPTION_DENY;
}

bool
option_same_field(const struct config_option *a, const struct config_option *b)
{
	return a == b || (is_acl(a) && is_acl(b));
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
option_parse(const struct config_option *option, void *base, const char *value,
    size_t length, const struct config_origin *origin, struct strbuf *problem)
{
	const struct option_input in = {
	    option, base, value, length, origin, problem};

	if (option->type != OPTION_GREETING && strlen(value) != length)
		return option_refuse(&in, "holds a NUL byte");
	switch (option->type) {
	case OPTION_CONTROL:
	case OPTION_LOG:
	case OPTION_ACCESS_LOG:
	case OPTION_INCLUDE:
	case OPTION_TARGET:
	case OPTION_GREETING:
		return option_parse_place(&in);
	case OPTION_LISTEN:
	case OPTION_UPSTREAM:
	case OPTION_LOCAL_ADDRESS:
		return option_parse_address(&in);
	case OPTION_ALLOW:
	case OPTION_DENY:
		return option_parse_acl(&in);
	default:
		return option_parse_scalar(&in);
	}
}

void
option_print(const struct config_option *option, const void *base,
    option_emit *emit, void *user)
{
	switch (option->type) {
	case OPTION_CONTROL:
	case OPTION_LOG:
	case OPTION_ACCESS_LOG:
	case OPTION_INCLUDE:
	case OPTION_TARGET:
	case OPTION_GREETING:
		option_print_place(option, base, emit, user);
		break;
	case OPTION_LISTEN:
	case OPTION_UPSTREAM:
	case OPTION_LOCAL_ADDRESS:
		option_print_address(option, base, emit, user);
		break;
	case OPTION_ALLOW:
	case OPTION_DENY:
		option_print_acl(option, base, emit, user);
		break;
	default:
		option_print_scalar(option, base, emit, user);
		break;
	}
}
