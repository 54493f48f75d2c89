/* What option.c and the files of its types share. */
#ifndef CONFIG_OPTION_PRIV_H
#define CONFIG_OPTION_PRIV_H

#include <stdarg.h>

#include "config/option.h"
#include "util/strbuf.h"

/* A value on its way into a field. */
struct option_input {
	const struct config_option *option;
	void *base;
	const char *value; /* ends with a NUL */
	size_t length;
	const struct config_origin *origin;
	struct strbuf *problem;
};

/* The field of an option. */
void *option_field(const struct config_option *option, void *base);
const void *option_const_field(
    const struct config_option *option, const void *base);

/* Say what is wrong: "VALUE" and the text. Returns -EINVAL. */
int option_refuse(const struct option_input *in, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Replace an owned text; length 0 makes it NULL. Returns 0 or -ENOMEM. */
int option_set_text(char **field, const char *value, size_t length);

/* Make room for one more row, which is zeroed, behind count of them. Returns
 * where the rows are now; NULL where memory is refused, and nothing changed. */
void *option_grow(void *rows, size_t count, size_t size);

/* Ids of names or numbers. Returns 0 or -ENOENT. */
int option_user_id(const char *name, uid_t *ret);
int option_group_id(const char *name, gid_t *ret);

/*
 * Read an ADDRESS to connect to, or in->value to listen on. In a value that
 * holds more, text is the part that is the ADDRESS. Returns 0 or the refusal.
 */
int option_endpoint(
    const struct option_input *in, const char *text, struct weir_endpoint *ret);

/* Whether text can be the NAME of a section, and so is no ADDRESS. */
bool option_is_name(const char *text);

/* Whether text is a host name or an IP address. */
bool option_is_host(const char *text);

/* Keys of a socket file, where a listener makes no such file, and of TLS
 * without it; dump.c. */
bool option_has_no_effect(const struct config_option *option, const void *base);

/* Add a value as it can be shown: itself, but for bytes that no text has. */
void option_shown(struct strbuf *text, const char *value, size_t length);

/* A copy of an origin. Returns 0 or -ENOMEM. */
int option_copy_origin(
    struct config_origin *ret, const struct config_origin *origin);

/* The types, each in the file that says so. */
int option_parse_scalar(const struct option_input *in);	 /* option_scalar.c */
int option_parse_place(const struct option_input *in);	 /* option_place.c */
int option_parse_address(const struct option_input *in); /* option_address.c */
int option_parse_acl(const struct option_input *in);	 /* option_acl.c */
int option_parse_route(const struct option_input *in);	 /* option_route.c */
int option_parse_tls(const struct option_input *in);	 /* option_tls.c */
int option_parse_dns(const struct option_input *in);	 /* option_server.c */
int option_parse_server(const struct option_input *in);	 /* option_server.c */
int option_parse_health(const struct option_input *in);	 /* option_health.c */

option_printer option_print_scalar, option_print_place, option_print_address,
    option_print_acl, option_print_route, option_print_tls, option_print_dns,
    option_print_server, option_print_health;

#endif
