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
#define UPSTREAM(key, type, f)                                                 \
	OPTION_UPSTREAM, key, OPTION_##type, FIELD(struct config_upstream, f)

#define CIPHERS_MAX 4096

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

static const struct option_choice downs[] = {
    {"accept", CONFIG_DOWN_ACCEPT},
    {"reset", CONFIG_DOWN_RESET},
    {"close", CONFIG_DOWN_CLOSE},
    {NULL, 0},
};

static const struct option_choice proxies[] = {
    {"off", CONFIG_PROXY_OFF},
    {"v1", CONFIG_PROXY_V1},
    {"v2", CONFIG_PROXY_V2},
    {NULL, 0},
};

static const struct option_choice client_verifies[] = {
    {"off", CONFIG_VERIFY_OFF},
    {"optional", CONFIG_VERIFY_OPTIONAL},
    {"required", CONFIG_VERIFY_REQUIRED},
    {NULL, 0},
};

/* A boolean of the same enum. */
static const struct option_choice verifies[] = {
    {"yes", CONFIG_VERIFY_REQUIRED},
    {"no", CONFIG_VERIFY_OFF},
    {"on", CONFIG_VERIFY_REQUIRED},
    {"off", CONFIG_VERIFY_OFF},
    {"true", CONFIG_VERIFY_REQUIRED},
    {"false", CONFIG_VERIFY_OFF},
    {NULL, 0},
};

static const struct option_choice versions[] = {
    {"1.0", CONFIG_TLS_1_0},
    {"1.1", CONFIG_TLS_1_1},
    {"1.2", CONFIG_TLS_1_2},
    {"1.3", CONFIG_TLS_1_3},
    {NULL, 0},
};

static const struct option_choice balances[] = {
    {"round_robin", CONFIG_ROUND_ROBIN},
    {"least_conn", CONFIG_LEAST_CONN},
    {"random", CONFIG_RANDOM},
    {"source", CONFIG_SOURCE},
    {NULL, 0},
};

static const struct option_choice on_downs[] = {
    {"keep", CONFIG_ON_DOWN_KEEP},
    {"close", CONFIG_ON_DOWN_CLOSE},
    {NULL, 0},
};

static const struct config_option options[] = {
    {WEIR("workers", WORKERS, workers), .value = "1", .min = 1, .max = 64,
	.form = "NUMBER|auto", .help = "processes that serve"},
    {WEIR("user", USER_NAME, user), .flags = OPTION_RESTART, .form = "USER",
	.help = "whom to become after binding"},
    {WEIR("group", GROUP_NAME, group), .flags = OPTION_RESTART, .form = "GROUP",
	.help = "the group to become after binding"},
    {WEIR("pid_file", TEXT, pid_file), .max = PATH_MAX - 1,
	.flags = OPTION_RESTART, .form = "PATH",
	.help = "where the number of the process is written"},
    {WEIR("control", CONTROL, control), .value = "/run/weir/control.sock",
	.flags = OPTION_RESTART, .form = "PATH|off",
	.help = "the control socket"},
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
    {WEIR("dns", DNS, dns), .flags = OPTION_REPEATABLE, .form = "IP[:PORT]",
	.help = "name servers instead of the system's"},
    {OPTION_WEIR, "include", OPTION_INCLUDE, 0, 0, .flags = OPTION_REPEATABLE,
	.form = "GLOB", .help = "further files, relative to this one"},
    {WEIR("daemon", BOOLEAN, daemon), .value = "no",
	.flags = OPTION_COMMAND_LINE, .form = "BOOLEAN",
	.help = "detach once the listeners are bound"},

    {LISTENER("listen", LISTEN, listen), .flags = OPTION_REPEATABLE,
	.form = "ADDRESS", .help = "where clients connect to"},
    {LISTENER("mode", CHOICE, mode), .choices = modes,
	.form = "echo|forward|pipe", .help = "what is done with a client"},
    {LISTENER("upstream", FORWARD, upstream), .flags = OPTION_REPEATABLE,
	.form = "ADDRESS|NAME", .help = "where clients are forwarded to"},
    {LISTENER("pipe", TARGET, target), .form = "TARGET",
	.help = "what clients are piped to"},
    {LISTENER("greeting", GREETING, greeting), .form = "TEXT",
	.help = "sent first to each client"},
    {LISTENER("backlog", NUMBER, backlog), .value = "511", .min = 1,
	.max = INT_MAX, .form = "NUMBER",
	.help = "queue of pending connections"},
    {LISTENER("exclusive", BOOLEAN, exclusive), .value = "no",
	.flags = OPTION_REBIND, .form = "BOOLEAN",
	.help = "the handle is one worker's alone"},
    {LISTENER("reuse_port", BOOLEAN, reuse_port), .value = "no",
	.flags = OPTION_REBIND, .form = "BOOLEAN",
	.help = "one socket a worker with SO_REUSEPORT"},
    {LISTENER("ipv6_only", BOOLEAN, ipv6_only), .value = "no",
	.flags = OPTION_REBIND, .form = "BOOLEAN", .help = "IPV6_V6ONLY"},
    {LISTENER("transparent", BOOLEAN, transparent), .value = "no",
	.flags = OPTION_REBIND, .form = "BOOLEAN", .help = "IP_TRANSPARENT"},
    {LISTENER("freebind", BOOLEAN, freebind), .value = "no",
	.flags = OPTION_REBIND, .form = "BOOLEAN", .help = "IP_FREEBIND"},
    {LISTENER("fast_open", BOOLEAN, fast_open), .value = "no",
	.flags = OPTION_REBIND, .form = "BOOLEAN", .help = "TCP_FASTOPEN"},
    {LISTENER("defer_accept", BOOLEAN, defer_accept), .value = "no",
	.flags = OPTION_REBIND, .form = "BOOLEAN", .help = "TCP_DEFER_ACCEPT"},
    {LISTENER("interface", TEXT, interface), .max = IF_NAMESIZE - 1,
	.flags = OPTION_REBIND, .form = "NAME", .help = "SO_BINDTODEVICE"},
    {LISTENER("mark", HEX, mark), .value = "0", .max = UINT32_MAX,
	.flags = OPTION_REBIND, .form = "NUMBER", .help = "SO_MARK; 0 is none"},
    {LISTENER("unix_mode", MODE, unix_mode), .value = "0660", .max = 0777,
	.flags = OPTION_REBIND, .form = "MODE", .help = "of the socket file"},
    {LISTENER("unix_user", USER_ID, unix_user), .flags = OPTION_REBIND,
	.form = "USER", .help = "owner of the socket file"},
    {LISTENER("unix_group", GROUP_ID, unix_group), .flags = OPTION_REBIND,
	.form = "GROUP", .help = "group of the socket file"},
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
    {LISTENER("accept_proxy", ACCEPT_PROXY, accept_proxy), .value = "no",
	.flags = OPTION_REPEATABLE, .form = "CIDR|all|no",
	.help = "who sends a PROXY header first"},
    {LISTENER("handshake_timeout", DURATION, handshake_timeout_ms),
	.value = "10s", .min = 1, .max = LONGEST, .flags = OPTION_ZERO,
	.form = "DURATION", .help = "for what comes before the first byte"},
    {LISTENER("when_down", CHOICE, when_down), .value = "accept",
	.choices = downs, .form = "accept|reset|close",
	.help = "what clients meet without a usable server"},
    {LISTENER("send_proxy", CHOICE, send_proxy), .value = "off",
	.choices = proxies, .form = "off|v1|v2",
	.help = "send a PROXY header to the upstream"},
    {LISTENER("tls", BOOLEAN, tls.on), .value = "off", .form = "BOOLEAN",
	.help = "clients speak TLS"},
    {LISTENER("tls_certificate", CERTIFICATE, tls), .flags = OPTION_REPEATABLE,
	.form = "PATH", .help = "a certificate and its chain, PEM"},
    {LISTENER("tls_key", KEY, tls), .flags = OPTION_REPEATABLE, .form = "PATH",
	.help = "its key, PEM"},
    {LISTENER("tls_password_file", TEXT, tls.password_file),
	.max = PATH_MAX - 1, .form = "PATH",
	.help = "pass phrases of the keys, one a line"},
    {LISTENER("tls_client_ca", TEXT, tls.ca), .max = PATH_MAX - 1,
	.form = "PATH", .help = "who signs clients' certificates, PEM"},
    {LISTENER("tls_client_verify", CHOICE, tls.verify), .value = "off",
	.choices = client_verifies, .form = "off|optional|required",
	.help = "whether clients need a certificate"},
    {LISTENER("tls_min_version", CHOICE, tls.min_version), .value = "1.2",
	.choices = versions, .form = "1.0|1.1|1.2|1.3",
	.help = "the lowest version of TLS"},
    {LISTENER("tls_max_version", CHOICE, tls.max_version), .choices = versions,
	.form = "1.0|1.1|1.2|1.3", .help = "the highest version of TLS"},
    {LISTENER("tls_ciphers", TEXT, tls.ciphers), .max = CIPHERS_MAX,
	.form = "LIST", .help = "of TLS 1.2 and below"},
    {LISTENER("tls_ciphersuites", TEXT, tls.ciphersuites), .max = CIPHERS_MAX,
	.form = "LIST", .help = "of TLS 1.3"},
    {LISTENER("tls_tickets", BOOLEAN, tls.tickets), .value = "on",
	.form = "BOOLEAN", .help = "sessions are resumed by tickets"},
    {LISTENER("tls_session_cache", SIZE, tls.session_cache), .value = "20k",
	.max = UINT64_C(1) << 24, .form = "NUMBER",
	.help = "sessions kept, of all workers together"},
    {LISTENER("tls_alpn", PROTOCOLS, tls.alpn), .form = "LIST",
	.help = "protocols, the first the dearest"},
    {LISTENER("upstream_tls", BOOLEAN, upstream_tls.on), .value = "off",
	.form = "BOOLEAN", .help = "speak TLS to the upstream"},
    {LISTENER("upstream_tls_ca", TEXT, upstream_tls.ca), .max = PATH_MAX - 1,
	.form = "PATH", .help = "whom to trust, PEM"},
    {LISTENER("upstream_tls_verify", CHOICE, upstream_tls.verify),
	.value = "yes", .choices = verifies, .form = "BOOLEAN",
	.help = "its certificate must be good"},
    {LISTENER("upstream_tls_name", HOST, upstream_tls.name), .form = "NAME",
	.help = "whom its certificate must be for"},
    {LISTENER("upstream_tls_sni", BOOLEAN, upstream_tls.sni), .value = "yes",
	.form = "BOOLEAN", .help = "send the name"},
    {LISTENER("upstream_tls_certificate", CERTIFICATE, upstream_tls),
	.form = "PATH", .help = "weir's own certificate, PEM"},
    {LISTENER("upstream_tls_key", KEY, upstream_tls), .form = "PATH",
	.help = "its key, PEM"},
    {LISTENER("upstream_tls_password_file", TEXT, upstream_tls.password_file),
	.max = PATH_MAX - 1, .form = "PATH",
	.help = "pass phrases of the key, one a line"},
    {LISTENER("upstream_tls_alpn", PROTOCOLS, upstream_tls.alpn),
	.form = "LIST", .help = "protocols to offer"},
    {LISTENER("upstream_tls_min_version", CHOICE, upstream_tls.min_version),
	.value = "1.2", .choices = versions, .form = "1.0|1.1|1.2|1.3",
	.help = "the lowest version of TLS"},
    {LISTENER("upstream_tls_max_version", CHOICE, upstream_tls.max_version),
	.choices = versions, .form = "1.0|1.1|1.2|1.3",
	.help = "the highest version of TLS"},
    {LISTENER("upstream_tls_ciphers", TEXT, upstream_tls.ciphers),
	.max = CIPHERS_MAX, .form = "LIST", .help = "of TLS 1.2 and below"},
    {LISTENER(
	 "upstream_tls_session_reuse", BOOLEAN, upstream_tls.session_reuse),
	.value = "yes", .form = "BOOLEAN", .help = "sessions are resumed"},
    {LISTENER("sni", SNI, routes), .flags = OPTION_REPEATABLE,
	.form = "PATTERN ADDRESS|NAME", .help = "the upstream by server name"},
    {LISTENER("alpn", ALPN, routes), .flags = OPTION_REPEATABLE,
	.form = "PROTOCOL ADDRESS|NAME", .help = "the upstream by protocol"},
    {LISTENER("access_log", ACCESS_LOG, access_log), .value = "off",
	.form = "off|on|file:PATH", .help = "one line for each connection"},

    {UPSTREAM("server", SERVER, servers), .flags = OPTION_REPEATABLE,
	.form = "ADDRESS [weight=N] [backup] [down] [max_connections=N] "
		"[max_fails=N] [fail_timeout=T] [name=TEXT]",
	.help = "one that connections are spread over"},
    {UPSTREAM("balance", CHOICE, balance), .value = "round_robin",
	.choices = balances, .form = "round_robin|least_conn|random|source",
	.help = "which server is next"},
    {UPSTREAM("retries", NUMBER, retries), .value = "2", .max = 1000,
	.form = "NUMBER", .help = "further servers tried"},
    {UPSTREAM("queue", NUMBER, queue), .value = "0", .max = UINT32_MAX,
	.form = "NUMBER", .help = "connections that wait for a server"},
    {UPSTREAM("queue_timeout", DURATION, queue_timeout_ms), .value = "5s",
	.min = 1, .max = LONGEST, .flags = OPTION_ZERO, .form = "DURATION",
	.help = "for how long they wait"},
    {UPSTREAM("max_fails", NUMBER, max_fails), .value = "1", .max = 1000000,
	.form = "NUMBER", .help = "failures that take a server down"},
    {UPSTREAM("fail_timeout", DURATION, fail_timeout_ms), .value = "10s",
	.min = 1, .max = LONGEST, .form = "DURATION",
	.help = "within this time, and for this long"},
    {UPSTREAM("health_check", HEALTH_CHECK, health), .value = "off",
	.form = "off|tcp|send \"...\" expect \"...\"",
	.help = "how servers are checked"},
    {UPSTREAM("health_interval", DURATION, health_interval_ms), .value = "2s",
	.min = 1, .max = LONGEST, .form = "DURATION",
	.help = "between two checks"},
    {UPSTREAM("health_timeout", DURATION, health_timeout_ms), .value = "1s",
	.min = 1, .max = LONGEST, .form = "DURATION", .help = "for one check"},
    {UPSTREAM("rise", NUMBER, rise), .value = "2", .min = 1, .max = 1000,
	.form = "NUMBER", .help = "good checks that bring a server up"},
    {UPSTREAM("fall", NUMBER, fall), .value = "3", .min = 1, .max = 1000,
	.form = "NUMBER", .help = "bad checks that take it down"},
    {UPSTREAM("slow_start", DURATION, slow_start_ms), .value = "off", .min = 1,
	.max = LONGEST, .flags = OPTION_ZERO, .form = "DURATION",
	.help = "a server that is back takes up its weight over this long"},
    {UPSTREAM("resolve", DURATION, resolve_ms), .value = "30s", .min = 100,
	.max = LONGEST, .form = "DURATION",
	.help = "names are looked up again after this at the latest"},
    {UPSTREAM("dns", DNS, dns), .flags = OPTION_REPEATABLE, .form = "IP[:PORT]",
	.help = "name servers; else those of [weir]"},
    {UPSTREAM("on_down", CHOICE, on_down), .value = "keep", .choices = on_downs,
	.form = "keep|close", .help = "what happens to its open connections"},
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
