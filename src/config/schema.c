/*
 * The rows of the option table, the master copy of what weir.conf may hold. A
 * key stands here when it works, not before.
 */
#include <config.h>

#include <sys/types.h>

#include <limits.h>
#include <net/if.h>
#include <stddef.h>

#include "config/option.h"

#define SECONDS(n)     ((uint64_t)(n)*1000)
#define DAYS(n)	       (SECONDS(n) * 24 * 3600)
#define LONGEST	       DAYS(3650)
#define FIELD(type, f) offsetof(type, f), sizeof(((type *)NULL)->f)
#define WEIR(key, type, f)                                                     \
	OPTION_WEIR, key, OPTION_##type, FIELD(struct config, f)
#define LISTENER(key, type, f)                                                 \
	OPTION_LISTENER, key, OPTION_##type, FIELD(struct config_listener, f)

static const struct option_choice levels[] = {
    {"error", CONFIG_LEVEL_ERROR},
    {"warn", CONFIG_LEVEL_WARN},
    {"info", CONFIG_LEVEL_INFO},
    {"debug", CONFIG_LEVEL_DEBUG},
    {NULL, 0},
};

static const struct option_choice formats[] = {
    {"text", CONFIG_FORMAT_TEXT},
    {"json", CONFIG_FORMAT_JSON},
    {NULL, 0},
};

static const struct option_choice modes[] = {
    {"echo", CONFIG_ECHO},
    {"forward", CONFIG_FORWARD},
    {"pipe", CONFIG_PIPE},
    {NULL, 0},
};

static const struct option_choice limits[] = {
    {"reject", CONFIG_LIMIT_REJECT},
    {"wait", CONFIG_LIMIT_WAIT},
    {NULL, 0},
};

static const struct option_choice families[] = {
    {"any", 0},
    {"4", 4},
    {"6", 6},
    {NULL, 0},
};

static const struct option_choice splices[] = {
    {"auto", true},
    {"off", false},
    {NULL, 0},
};

static const struct config_option options[] = {
    {WEIR("workers", WORKERS, workers), .value = "1", .form = "1",
	.help = "processes that serve"},
    {WEIR("user", USER_NAME, user), .form = "USER",
	.help = "whom to become after binding"},
    {WEIR("group", GROUP_NAME, group), .form = "GROUP",
	.help = "the group to become after binding"},
    {WEIR("pid_file", TEXT, pid_file), .max = PATH_MAX - 1, .form = "PATH",
	.help = "where the number of the process is written"},
    {WEIR("control", CONTROL, control), .value = "/run/weir/control.sock",
	.form = "PATH|off", .help = "the control socket"},
    {WEIR("log", LOG, log), .value = "stderr",
	.form = "stderr|syslog|journal|file:PATH",
	.help = "where the log goes"},
    {WEIR("log_level", CHOICE, log_level), .value = "info", .choices = levels,
	.form = "error|warn|info|debug", .help = "what the log tells"},
    {WEIR("log_format", CHOICE, log_format), .value = "text",
	.choices = formats, .form = "text|json", .help = "how it is written"},
    {WEIR("drain_timeout", DURATION, drain_timeout_ms), .value = "30s",
	.min = 1, .max = LONGEST, .flags = OPTION_ZERO, .form = "DURATION",
	.help = "how long a graceful stop waits; 0 waits for ever"},
    {WEIR("max_connections", NUMBER, max_connections), .value = "0",
	.max = UINT32_MAX, .form = "NUMBER",
	.help = "of all listeners together; 0 is what the descriptors allow"},
    {OPTION_WEIR, "include", OPTION_INCLUDE, 0, 0, .flags = OPTION_REPEATABLE,
	.form = "GLOB", .help = "further files, relative to this one"},
    {WEIR("daemon", BOOLEAN, daemon), .value = "no",
	.flags = OPTION_COMMAND_LINE, .form = "BOOLEAN",
	.help = "detach once the listeners are bound"},

    {LISTENER("listen", LISTEN, listen), .flags = OPTION_REPEATABLE,
	.form = "ADDRESS", .help = "where clients connect to"},
    {LISTENER("mode", CHOICE, mode), .choices = modes,
	.form = "echo|forward|pipe", .help = "what is done with a client"},
    {LISTENER("upstream", UPSTREAM, upstream), .flags = OPTION_REPEATABLE,
	.form = "ADDRESS", .help = "where clients are forwarded to"},
    {LISTENER("pipe", TARGET, target), .form = "TARGET",
	.help = "what clients are piped to"},
    {LISTENER("greeting", GREETING, greeting), .form = "TEXT",
	.help = "sent first to each client"},
    {LISTENER("backlog", NUMBER, backlog), .value = "511", .min = 1,
	.max = INT_MAX, .form = "NUMBER",
	.help = "queue of pending connections"},
    {LISTENER("exclusive", BOOLEAN, exclusive), .value = "no",
	.form = "BOOLEAN", .help = "the handle is one worker's alone"},
    {LISTENER("reuse_port", BOOLEAN, reuse_port), .value = "no",
	.form = "BOOLEAN", .help = "one socket a worker with SO_REUSEPORT"},
    {LISTENER("ipv6_only", BOOLEAN, ipv6_only), .value = "no",
	.form = "BOOLEAN", .help = "IPV6_V6ONLY"},
    {LISTENER("transparent", BOOLEAN, transparent), .value = "no",
	.form = "BOOLEAN", .help = "IP_TRANSPARENT"},
    {LISTENER("freebind", BOOLEAN, freebind), .value = "no", .form = "BOOLEAN",
	.help = "IP_FREEBIND"},
    {LISTENER("fast_open", BOOLEAN, fast_open), .value = "no",
	.form = "BOOLEAN", .help = "TCP_FASTOPEN"},
    {LISTENER("defer_accept", BOOLEAN, defer_accept), .value = "no",
	.form = "BOOLEAN", .help = "TCP_DEFER_ACCEPT"},
    {LISTENER("interface", TEXT, interface), .max = IF_NAMESIZE - 1,
	.form = "NAME", .help = "SO_BINDTODEVICE"},
    {LISTENER("mark", HEX, mark), .value = "0", .max = UINT32_MAX,
	.form = "NUMBER", .help = "SO_MARK; 0 is none"},
    {LISTENER("unix_mode", MODE, unix_mode), .value = "0660", .max = 0777,
	.form = "MODE", .help = "of the socket file"},
    {LISTENER("unix_user", USER_ID, unix_user), .form = "USER",
	.help = "owner of the socket file"},
    {LISTENER("unix_group", GROUP_ID, unix_group), .form = "GROUP",
	.help = "group of the socket file"},
    {LISTENER("bind_retry", DURATION, bind_retry_ms), .value = "off", .min = 1,
	.max = LONGEST, .flags = OPTION_ZERO, .form = "DURATION",
	.help = "on EADDRINUSE, try again after this long"},
    {LISTENER("max_connections", NUMBER, max_connections), .value = "0",
	.max = UINT32_MAX, .form = "NUMBER",
	.help = "open connections of this listener; 0 is no limit"},
    {LISTENER("on_limit", CHOICE, on_limit), .value = "reject",
	.choices = limits, .form = "reject|wait",
	.help = "what happens at max_connections"},
    {LISTENER("max_per_source", NUMBER, max_per_source), .value = "0",
	.max = UINT32_MAX, .form = "NUMBER",
	.help = "open connections of one source address; 0 is no limit"},
    {LISTENER("max_rate", NUMBER, max_rate), .value = "0", .max = UINT32_MAX,
	.form = "NUMBER", .help = "new connections a second; 0 is no limit"},
    {LISTENER("allow", ALLOW, acl), .flags = OPTION_REPEATABLE,
	.form = "CIDR|all|user:NAME|group:NAME", .help = "who may connect"},
    {LISTENER("deny", DENY, acl), .flags = OPTION_REPEATABLE,
	.form = "CIDR|all|user:NAME|group:NAME", .help = "who may not"},
    {LISTENER("allow_half_open", BOOLEAN, allow_half_open), .value = "yes",
	.form = "BOOLEAN",
	.help = "one side's end leaves the other direction open"},
    {LISTENER("pause_on_connect", BOOLEAN, pause_on_connect), .value = "no",
	.form = "BOOLEAN", .help = "read nothing before the upstream is there"},
    {LISTENER("buffer", SIZE, buffer), .value = "64k", .min = 1,
	.max = UINT64_C(1) << 30, .form = "SIZE",
	.help = "most bytes held in memory per direction"},
    {LISTENER("timeout", DURATION, timeout_ms), .value = "off", .min = 1,
	.max = LONGEST, .flags = OPTION_ZERO, .form = "DURATION",
	.help = "a connection idle for this long is closed"},
    {LISTENER("half_close_timeout", DURATION, half_close_timeout_ms),
	.value = "5m", .min = 1, .max = LONGEST, .flags = OPTION_ZERO,
	.form = "DURATION", .help = "the same, once one side has ended"},
    {LISTENER("lifetime", DURATION, lifetime_ms), .value = "off", .min = 1,
	.max = LONGEST, .flags = OPTION_ZERO, .form = "DURATION",
	.help = "longest life of a connection"},
    {LISTENER("connect_timeout", DURATION, connect_timeout_ms), .value = "5s",
	.min = 1, .max = LONGEST, .flags = OPTION_ZERO, .form = "DURATION",
	.help = "for one upstream address; 0 is the system's"},
    {LISTENER("keep_alive", DURATION, keep_alive_ms), .value = "60s",
	.min = SECONDS(1), .max = SECONDS(32767), .step = SECONDS(1),
	.flags = OPTION_ZERO, .form = "DURATION",
	.help = "initial delay of TCP keep-alive"},
    {LISTENER("keep_alive_interval", DURATION, keep_alive_interval_ms),
	.value = "10s", .min = SECONDS(1), .max = SECONDS(32767),
	.step = SECONDS(1), .form = "DURATION",
	.help = "between two probes of keep-alive"},
    {LISTENER("keep_alive_count", NUMBER, keep_alive_count), .value = "6",
	.min = 1, .max = 127, .form = "NUMBER",
	.help = "probes without an answer that end a connection"},
    {LISTENER("user_timeout", DURATION, user_timeout_ms), .value = "off",
	.min = 1, .max = INT_MAX, .flags = OPTION_ZERO, .form = "DURATION",
	.help = "TCP_USER_TIMEOUT; off is the system's"},
    {LISTENER("no_delay", BOOLEAN, no_delay), .value = "yes", .form = "BOOLEAN",
	.help = "TCP_NODELAY, both sides"},
    {LISTENER("local_address", LOCAL_ADDRESS, local_address), .value = "any",
	.form = "IP|any", .help = "where upstream connections come from"},
    {LISTENER("local_port", NUMBER, local_port), .value = "0",
	.max = UINT16_MAX, .form = "NUMBER", .help = "their port; 0 is any"},
    {LISTENER("family", CHOICE, family), .value = "any", .choices = families,
	.form = "4|6|any", .help = "of resolved names"},
    {LISTENER("rate_in", RATE, rate_in), .value = "off", .min = 1,
	.max = UINT64_C(1) << 40, .flags = OPTION_ZERO, .form = "RATE",
	.help = "most bytes a second from one client"},
    {LISTENER("rate_out", RATE, rate_out), .value = "off", .min = 1,
	.max = UINT64_C(1) << 40, .flags = OPTION_ZERO, .form = "RATE",
	.help = "most bytes a second to one client"},
    {LISTENER("splice", CHOICE, splice), .value = "auto", .choices = splices,
	.form = "auto|off", .help = "let the kernel move the bytes"},
    {LISTENER("access_log", ACCESS_LOG, access_log), .value = "off",
	.form = "off|on|file:PATH", .help = "one line for each connection"},
};

size_t
option_count(void)
{
	return sizeof(options) / sizeof(options[0]);
}

const struct config_option *
option_at(size_t index)
{
	return &options[index];
}
