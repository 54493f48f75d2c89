/*
 * The configuration: checked, immutable, counted.
 *
 * A config_builder gathers assignments from files and from the command line,
 * notes every mistake with where it stands, and makes a struct config only
 * when there was none. Nothing here logs or opens a port.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <weir/address.h>

enum config_log {
	CONFIG_LOG_STDERR,
	CONFIG_LOG_SYSLOG,
	CONFIG_LOG_JOURNAL,
	CONFIG_LOG_FILE,
};

enum config_log_level { /* as enum log_level */
	CONFIG_LEVEL_ERROR,
	CONFIG_LEVEL_WARN,
	CONFIG_LEVEL_INFO,
	CONFIG_LEVEL_DEBUG,
};

enum config_log_format { CONFIG_FORMAT_TEXT, CONFIG_FORMAT_JSON };

enum config_mode { CONFIG_ECHO, CONFIG_FORWARD, CONFIG_PIPE };

enum config_target {
	CONFIG_TARGET_NULL,
	CONFIG_TARGET_PEER,
	CONFIG_TARGET_EXEC,
	CONFIG_TARGET_FILE,
	CONFIG_TARGET_FIFO,
	CONFIG_TARGET_STDOUT,
};

enum config_on_limit { CONFIG_LIMIT_REJECT, CONFIG_LIMIT_WAIT };

enum config_access_log {
	CONFIG_ACCESS_OFF,
	CONFIG_ACCESS_LOG,
	CONFIG_ACCESS_FILE,
};

/* Where a value came from; text such as "weir.conf:12", "-o" or "default". */
struct config_origin {
	char *file;    /* owned by the config */
	unsigned line; /* 0: not a file */
};

/* One row of allow or deny, in the order of the file. */
enum config_acl_kind {
	CONFIG_ACL_ALL,
	CONFIG_ACL_CIDR,
	CONFIG_ACL_USER,
	CONFIG_ACL_GROUP,
};

struct config_acl {
	bool allow;
	enum config_acl_kind kind;
	int family;		 /* CIDR: 4 or 6 */
	unsigned char bytes[16]; /* CIDR: the network, host bits zero */
	unsigned prefix;	 /* CIDR: bits */
	uint32_t id;		 /* USER, GROUP: uid or gid */
	char *text;		 /* as it was written */
};

/* One listen = ADDRESS or upstream = ADDRESS. */
struct config_address {
	struct weir_endpoint endpoint;
	char *text; /* as it was written */
	struct config_origin origin;
};

struct config_listener {
	char *name;
	struct config_origin origin; /* of the section's header */
	size_t index;		     /* in config.listeners */

	struct config_address *listen;
	size_t listen_count;
	enum config_mode mode;
	struct config_address *upstream;
	size_t upstream_count;

	enum config_target target;
	char *target_text;  /* path; name of the other listener, NULL: this */
	char **target_argv; /* EXEC: ends with NULL */

	char *greeting; /* NULL: none; escapes are undone, may hold NULs */
	size_t greeting_length;

	int backlog;
	bool exclusive, reuse_port, ipv6_only, transparent, freebind;
	bool fast_open, defer_accept;
	char *interface; /* NULL: none */
	uint32_t mark;	 /* 0: none */
	bool unix_user_set, unix_group_set;
	mode_t unix_mode;
	uid_t unix_user;
	gid_t unix_group;
	uint64_t bind_retry_ms; /* 0: off */

	uint64_t max_connections; /* 0: none */
	enum config_on_limit on_limit;
	uint64_t max_per_source; /* 0: none */
	uint64_t max_rate;	 /* a second; 0: none */
	struct config_acl *acl;
	size_t acl_count;

	bool allow_half_open, pause_on_connect;
	size_t buffer;
	uint64_t timeout_ms, half_close_timeout_ms, lifetime_ms;
	uint64_t connect_timeout_ms; /* all: 0 is none */
	uint64_t keep_alive_ms;	     /* 0: off */
	uint64_t keep_alive_interval_ms;
	unsigned keep_alive_count;
	uint64_t user_timeout_ms; /* 0: the system's */
	bool no_delay;
	struct weir_address local_address; /* length 0: any; port included */
	uint16_t local_port;		   /* 0: any */
	int family;			   /* 4, 6, 0 any */
	uint64_t rate_in, rate_out;	   /* bytes a second, 0: off */
	bool splice;			   /* auto: true; off: false */

	enum config_access_log access_log;
	char *access_log_path; /* FILE */
};

struct config {
	unsigned refs;

	unsigned workers;   /* 0: auto */
	char *user, *group; /* NULL: none */
	char *pid_file;	    /* NULL: none */
	char *control;	    /* path, NULL: off */
	bool control_set;   /* not the default: a failure is an error */
	enum config_log log;
	char *log_path; /* FILE */
	enum config_log_level log_level;
	enum config_log_format log_format;
	uint64_t drain_timeout_ms; /* 0: waits for ever */
	uint64_t max_connections;  /* 0: what the limit allows */
	bool daemon;		   /* -d; no key of the file */

	struct config_listener **listeners;
	size_t listener_count;

	char **warnings; /* FILE:LINE: message; no mistakes */
	size_t warning_count;
};

/* Take and give back a reference; unref accepts NULL. */
struct config *config_ref(struct config *config);
void config_unref(struct config *config);

/* The listener of that name, or NULL. */
struct config_listener *config_find_listener(
    const struct config *config, const char *name);

struct config_builder;

/* Never NULL but for want of memory. */
struct config_builder *config_builder_new(void);
void config_builder_free(struct config_builder *builder);

/*
 * Read a file ("-" is standard input) and what it includes. Mistakes are
 * noted. Returns 0, or -1 when there was any, in this file or before.
 */
int config_builder_read_file(struct config_builder *builder, const char *path);

/* The same from text; name stands for the file in messages. */
int config_builder_read_text(struct config_builder *builder, const char *name,
    const char *text, size_t length);

/*
 * An assignment of the command line: section is "weir" or "listener" (then
 * name is its name, and the section begins with the first assignment to it).
 * A value from the command line goes before one from a file, whatever the
 * order; -o twice with one key that may not be repeated is a mistake. origin
 * stands where a message has FILE:LINE, "-o" say.
 */
int config_builder_set(struct config_builder *builder, const char *section,
    const char *name, const char *key, const char *value, const char *origin);

/*
 * Check all and make the configuration. *ret is the caller's, with one
 * reference. Returns 0, or -1 when there were mistakes.
 */
int config_builder_finish(struct config_builder *builder, struct config **ret);

/* All mistakes so far, in the order of files and lines: "FILE:LINE: text". */
size_t config_builder_mistake_count(const struct config_builder *builder);
const char *config_builder_mistake(
    const struct config_builder *builder, size_t index);

/*
 * Print the effective configuration, defaults included, as a valid
 * configuration with the same meaning (-T). Returns 0 or -1 (errno).
 */
int config_dump(const struct config *config, FILE *out);

#endif
