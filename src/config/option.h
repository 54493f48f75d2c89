/*
 * The table of options: what is known of each key stands in one row, and the
 * parser, the dump, the defaults, the messages and the check of the manual are
 * driven from it.
 */
#ifndef CONFIG_OPTION_H
#define CONFIG_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

struct strbuf;

enum option_section { OPTION_WEIR, OPTION_LISTENER, OPTION_UPSTREAM };

/* The form of a value; in brackets what the field is. */
enum option_type {
	OPTION_BOOLEAN,	  /* (bool) */
	OPTION_NUMBER,	  /* (any unsigned number, or int) */
	OPTION_HEX,	  /* the same; 0x... too */
	OPTION_DURATION,  /* (uint64_t, milliseconds) */
	OPTION_SIZE,	  /* (size_t, bytes) */
	OPTION_RATE,	  /* (uint64_t, bytes a second) */
	OPTION_CHOICE,	  /* one of choices (enum, int or bool) */
	OPTION_TEXT,	  /* at most max bytes (char *; NULL: none) */
	OPTION_USER_NAME, /* a user that exists (char *) */
	OPTION_GROUP_NAME,
	OPTION_USER_ID, /* the same (uid_t, and a bool that it is set) */
	OPTION_GROUP_ID,
	OPTION_MODE,	   /* octal (mode_t) */
	OPTION_WORKERS,	   /* number of processes, or auto */
	OPTION_CONTROL,	   /* a path, or off */
	OPTION_LOG,	   /* where the log goes */
	OPTION_ACCESS_LOG, /* where the access log goes */
	OPTION_INCLUDE,	   /* acts at once, has no field */
	OPTION_LISTEN,	   /* ADDRESS to listen on */
	OPTION_FORWARD,	   /* ADDRESS to connect to, or NAME */
	OPTION_SNI,	   /* a row of the list that both share */
	OPTION_ALPN,
	OPTION_TARGET,	 /* of a pipe */
	OPTION_GREETING, /* bytes, with escapes outside of quotes too */
	OPTION_ALLOW,	 /* a row of the list that both share */
	OPTION_DENY,
	OPTION_LOCAL_ADDRESS, /* an IP address, or any */
	OPTION_ACCEPT_PROXY,  /* CIDR, all or no */
	OPTION_CERTIFICATE,   /* a file of a pair (struct config_tls) */
	OPTION_KEY,
	OPTION_PROTOCOLS, /* names, divided by commas (char *) */
	OPTION_HOST,	  /* a host name or IP address (char *) */
	OPTION_DNS,	  /* ADDRESS of a name server */
	OPTION_SERVER,
	OPTION_HEALTH_CHECK,
};

struct option_choice {
	const char *name; /* NULL ends the list */
	int value;
};

#define OPTION_REPEATABLE   0x01 /* each line adds a row */
#define OPTION_ZERO	    0x02 /* 0 (off) is fine, though below min */
#define OPTION_COMMAND_LINE 0x04 /* no key of the file, nor of -o */
#define OPTION_REBIND	    0x08 /* comes into force when bound anew */
#define OPTION_RESTART	    0x10 /* comes into force at a start only */

struct config_option {
	enum option_section section;
	const char *key;
	enum option_type type;
	size_t offset, size; /* the field, in struct config(_...) */
	uint64_t min, max;   /* of numbers; max 0: what the type holds */
	uint64_t step;	     /* the value is a multiple of it; 0: any */
	unsigned flags;
	const char *value; /* default as text; NULL: none */
	const struct option_choice *choices;
	const char *form; /* how a value looks, for the usage and the manual */
	const char *help;
};

/* All rows, those of [weir] first. */
size_t option_count(void);
const struct config_option *option_at(size_t index);

/* The row of a key, or NULL. */
const struct config_option *option_find(
    enum option_section section, const char *key);

/* The key of that section that is most likely meant, or NULL. */
const char *option_nearest(enum option_section section, const char *key);

/* "weir", "listener" or "upstream". */
const char *option_section_text(enum option_section section);

/* Whether a and b fill the same list: allow and deny do, sni and alpn too. */
bool option_same_field(
    const struct config_option *a, const struct config_option *b);

/* Whether it fills a list together with another one. */
bool option_shares_list(const struct config_option *option);

/* Whether a list that two options share is printed by the other one. */
bool option_is_second(const struct config_option *option);

/*
 * Set the option in base, a struct config(_listener, _upstream), from a value
 * whose escapes and variables are done; value[length] is a NUL. A repeatable
 * one adds a row, another replaces what was there. origin is copied where the
 * field keeps one. Returns 0, -ENOMEM, or -EINVAL with what is wrong in
 * problem; the field is as before then.
 */
int option_parse(const struct config_option *option, void *base,
    const char *value, size_t length, const struct config_origin *origin,
    struct strbuf *problem);

/*
 * Call emit for each value of the option in base, as text that option_parse()
 * takes; key is the option's, but for rows of a list that two options share,
 * which come all with the first of them, in their order. No call for a field
 * that has no value.
 */
typedef void option_emit(
    const char *key, const char *value, size_t length, void *user);
typedef void option_printer(const struct config_option *option,
    const void *base, option_emit *emit, void *user);
option_printer option_print;

#endif
