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

/* The types, each in the file that says so. */
int option_parse_scalar(const struct option_input *in);	 /* option_scalar.c */
int option_parse_place(const struct option_input *in);	 /* option_place.c */
int option_parse_address(const struct option_input *in); /* option_address.c */
int option_parse_acl(const struct option_input *in);	 /* option_acl.c */

void option_print_scalar(const struct config_option *option, const void *base,
    option_emit *emit, void *user);
void option_print_place(const struct config_option *option, const void *base,
    option_emit *emit, void *user);
void option_print_address(const struct config_option *option, const void *base,
    option_emit *emit, void *user);
void option_print_acl(const struct config_option *option, const void *base,
    option_emit *emit, void *user);

#endif
