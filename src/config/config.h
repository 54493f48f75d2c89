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

/* What clients meet where no server of the upstream is usable. */
enum config_when_down {
	CONFIG_DOWN_ACCEPT,
	CONFIG_DOWN_RESET,
	CONFIG_DOWN_CLOSE, /* stop listening */
};

enum config_send_proxy { CONFIG_PROXY_OFF, CONFIG_PROXY_V1, CONFIG_PROXY_V2 };

enum config_balance {
	CONFIG_ROUND_ROBIN,
	CONFIG_LEAST_CONN,
	CONFIG_RANDOM,
	CONFIG_SOURCE,
	CONFIG_ORDERED, /* implicit ones: the first that is usable */
};

enum config_health {
	CONFIG_HEALTH_OFF,
	CONFIG_HEALTH_TCP,
	CONFIG_HEALTH_SEND_EXPECT,
};

enum config_on_down { CONFIG_ON_DOWN_KEEP, CONFIG_ON_DOWN_CLOSE };

enum config_tls_verify {
	CONFIG_VERIFY_OFF,
	CONFIG_VERIFY_OPTIONAL, /* of clients only */
	CONFIG_VERIFY_REQUIRED,
};

enum config_tls_version { /* as enum weir_tls_version */
	CONFIG_TLS_DEFAULT,
	CONFIG_TLS_1_0,
	CONFIG_TLS_1_1,
	CONFIG_TLS_1_2,
	CONFIG_TLS_1_3,
};

enum config_access_log {
	CONFIG_ACCESS_OFF,
	CONFIG_ACCESS_LOG,
	CONFIG_ACCESS_FILE,
};

enum config_section_kind {
	CONFIG_SECTION_WEIR,
	CONFIG_SECTION_DEFAULTS,
	CONFIG_SECTION_LISTENER,
	CONFIG_SECTION_UPSTREAM,
};

struct map;
struct config_source;

/* Where a value came from; text such as "weir.conf:12", "-o" or "default". */
struct config_origin {
	char *file;    /* owned by the config; NULL: a default */
	unsigned line; /* 0: not a file */
};

/* One row of allow, deny or accept_proxy, in the order of the file. */
enum config_acl_kind {
	CONFIG_ACL_ALL,
	CONFIG_ACL_CIDR,
	CONFIG_ACL_USER,
	CONFIG_ACL_GROUP,
};

struct config_acl {
	bool allow; /* of accept_proxy: true */
	enum config_acl_kind kind;
	int family;		 /* CIDR: 4 or 6 */
	unsigned char bytes[16]; /* CIDR: the network, host bits zero */
	unsigned prefix;	 /* CIDR: bits */
	uint32_t id;		 /* USER, GROUP: uid or gid */
	char *text;		 /* as it was written */
};

/* One listen = ADDRESS, or upstream = ADDRESS or NAME. */
struct config_address {
	struct weir_endpoint endpoint;
	char *text; /* as it was written */
	bool name;  /* of an [upstream]: there is no endpoint */
	struct config_origin origin;
};

/* A server of an upstream: server = ADDRESS ..., or an ADDRESS of the
 * listener that an implicit upstream is of. */
struct config_server {
	struct weir_endpoint endpoint; /* TCP, UNIX or SRV */
	char *text;		       /* the ADDRESS as it was written */
	char *name;		       /* name=, else text (with #2 where it is
					* taken); unique in its upstream */
	bool named;		       /* by name= */
	unsigned weight;	       /* 0 to 256; 0: no new connections */
	bool backup, down;
	uint64_t max_connections; /* 0: none */
	unsigned max_fails;	  /* 0: never; else that of the upstream */
	uint64_t fail_timeout_ms;
	bool max_fails_set, fail_timeout_set; /* here, by server = itself */
	struct config_origin origin;
};

/* An [upstream NAME], or an implicit one: the ADDRESSes of one listener. */
struct config_upstream {
	char *name;   /* implicit: that of the listener, of a route LISTENER/
		       * ADDRESS; unique among all */
	size_t index; /* in config.upstreams */
	bool implicit;
	bool ordered;		     /* balance is CONFIG_ORDERED */
	bool used;		     /* by a listener */
	struct config_origin origin; /* of the section's header */

	struct config_server *servers;
	size_t server_count;
	enum config_balance balance;
	unsigned retries;
	uint64_t queue, queue_timeout_ms; /* 0: none; 0: for ever */
	unsigned max_fails;		  /* 0: never */
	uint64_t fail_timeout_ms;
	enum config_health health;
	unsigned char *health_send, *health_expect; /* may hold NULs */
	size_t health_send_length, health_expect_length;
	uint64_t health_interval_ms, health_timeout_ms;
	unsigned rise, fall;
	uint64_t slow_start_ms; /* 0: off */
	uint64_t resolve_ms;
	char **dns; /* ADDRESSes with port; none: those of [weir] */
	size_t dns_count;
	enum config_on_down on_down;

	struct config_source *sources;
	size_t source_count;
};

/* One sni = PATTERN UPSTREAM, or alpn = PROTOCOL UPSTREAM. */
enum config_route_kind { CONFIG_ROUTE_SNI, CONFIG_ROUTE_ALPN };

struct config_route {
	enum config_route_kind kind;
	char *pattern; /* SNI: lower case, "*.example.org" too */
	struct config_upstream *pool;
	char *text;		       /* the UPSTREAM as it was written */
	struct weir_endpoint endpoint; /* where that is an ADDRESS */
	bool name;		       /* it is the NAME of an [upstream] */
	struct config_origin origin;
};

/* A certificate chain and its key, both PEM files. */
struct config_pair {
	char *certificate;
	char *key; /* NULL: in the chain's file */
	struct config_origin certificate_origin, key_origin;
};

/* tls and tls_*, or upstream_tls and upstream_tls_*, of a listener. */
struct config_tls {
	bool on;
	struct config_pair *pairs;
	size_t pair_count, key_count;
	char *password_file; /* NULL: none */
	char *ca;	     /* NULL: clients none, upstreams the system's */
	enum config_tls_verify verify;
	enum config_tls_version min_version, max_version; /* max 0: highest */
	char *ciphers, *ciphersuites;			  /* NULL: OpenSSL's */
	bool tickets;
	uint64_t session_cache;	 /* sessions of all workers together; 0: none */
	char *alpn;		 /* NULL: none; divided by commas */
	char *name;		 /* upstream; NULL: the host's */
	bool sni, session_reuse; /* upstream */
};

struct config_listener {
	struct config *owner; /* counts for it, too */
	char *name;
	struct config_origin origin; /* of the section's header */
	size_t index;		     /* in config.listeners */

	struct config_address *listen;
	size_t listen_count;
	enum config_mode mode;
	struct config_address *upstream; /* as it was written */
	size_t upstream_count;
	/* What upstream = means: the [upstream] of that name, or an implicit
	 * one of the ADDRESSes. NULL: none. */
	struct config_upstream *pool;
	struct config_route *routes; /* in the order of the file */
	size_t route_count;

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

	struct config_acl *accept_proxy; /* ALL or CIDR */
	size_t accept_proxy_count;	 /* 0: no */
	uint64_t handshake_timeout_ms;	 /* 0: none */
	enum config_when_down when_down;
	enum config_send_proxy send_proxy;
	struct config_tls tls;
	struct config_tls upstream_tls;

	enum config_access_log access_log;
	char *access_log_path; /* FILE */

	struct config_source *sources;
	size_t source_count;
};

struct config {
	unsigned refs;

	/* What a floor above keeps for as long as the configuration lives;
	 * given to attached_free with it. */
	void *attached;
	void (*attached_free)(void *attached);

	unsigned workers;   /* 1 to 64, or 0: auto */
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
	char **dns;		   /* ADDRESSes with port; none: the system's */
	size_t dns_count;

	struct config_listener **listeners;
	size_t listener_count;
	struct config_upstream **upstreams; /* sections, then implicit ones */
	size_t upstream_count;
	struct map *upstream_names; /* of config_find_upstream() */

	struct config_source *sources; /* of [weir] */
	size_t source_count;
	char **files; /* what sources point to */
	size_t file_count;

	char **warnings; /* FILE:LINE: message; no mistakes */
	size_t warning_count;
};

/* Take and give back a reference; unref accepts NULL. */
struct config *config_ref(struct config *config);
void config_unref(struct config *config);

/* The listener or upstream of that name, or NULL. */
struct config_listener *config_find_listener(
    const struct config *config, const char *name);
struct config_upstream *config_find_upstream(
    const struct config *config, const char *name);

struct config_builder;

/* Never NULL but for want of memory. */
struct config_builder *config_builder_new(void);
void config_builder_free(struct config_builder *builder);

/* What is read from here on is read again, by a process that serves meanwhile:
 * a file that has to be waited for, such as a FIFO, is a mistake. */
void config_builder_read_again(struct config_builder *builder);

/*
 * Read a file ("-" is standard input) and what it includes. Mistakes are
 * noted. Returns 0, or -1 when there was any, in this file or before.
 */
int config_builder_read_file(struct config_builder *builder, const char *path);

/* The same from text; name stands for the file in messages. */
int config_builder_read_text(struct config_builder *builder, const char *name,
    const char *text, size_t length);

/*
 * An assignment of the command line: section is "weir", "listener" or
 * "upstream" (then name is its name, and the section begins with the first
 * assignment to it).
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

/* Add a warning to a configuration that nobody else has yet. Returns 0 or
 * -ENOMEM. */
int config_add_warning(struct config *config, const char *text);

/* All mistakes so far, in the order of files and lines: "FILE:LINE: text". */
size_t config_builder_mistake_count(const struct config_builder *builder);
const char *config_builder_mistake(
    const struct config_builder *builder, size_t index);

/* One value of the configuration. */
struct config_value {
	enum config_section_kind section; /* WEIR, LISTENER or UPSTREAM */
	const char *name;		  /* WEIR: NULL */
	const char *key;
	const char *value;  /* with C escapes where it has control characters */
	const char *origin; /* "weir.conf:12", "-o" or "default" */
};

/*
 * Call fn for each value, defaults included, section by section: [weir], the
 * listeners, the [upstream]s. Of a key that repeats there is one for each row.
 * The texts last until fn returns. Returns 0, or -ENOMEM where some are
 * missing.
 */
typedef void config_value_fn(const struct config_value *value, void *user);
int config_each_value(
    const struct config *config, config_value_fn *fn, void *user);

/* The same of one section: [weir], listeners[index] or upstreams[index]; of an
 * implicit upstream there are none. */
int config_section_values(const struct config *config,
    enum config_section_kind section, size_t index, config_value_fn *fn,
    void *user);

/*
 * Print the effective configuration, defaults included, as a valid
 * configuration with the same meaning (-T). Returns 0 or -1 (errno).
 */
int config_dump(const struct config *config, FILE *out);

/* The same for another process of weir: listeners and upstreams without what
 * is there by default. */
int config_dump_brief(const struct config *config, FILE *out);

#endif
