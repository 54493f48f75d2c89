/*
 * The requests of the control socket, one row each: what the daemon
 * understands, what "help" lists, and what weirctl's usage shows.
 *
 * X(id, name, arguments, fewest, most, changes, help): name may be of several
 * words; fewest and most are of the words after it; changes tells whether it
 * does something to the running weir, which is then logged.
 */
#ifndef CONTROL_REQUESTS_H
#define CONTROL_REQUESTS_H

#include <stddef.h>

/* The longest request, without its line's end. */
#define CONTROL_REQUEST_MAX 4096

/* Where weir listens for requests unless it is told otherwise. */
#define CONTROL_DEFAULT_PATH "/run/weir/control.sock"

/* clang-format off */
#define CONTROL_REQUESTS(X)                                                    \
	X(ping, "ping", "", 0, 0, false,                                       \
	    "answer \"pong\"")                                                 \
	X(version, "version", "", 0, 0, false,                                 \
	    "the version that runs")                                           \
	X(stats, "stats", "", 0, 0, false,                                     \
	    "all figures in one object")                                       \
	X(listeners, "listeners", "", 0, 0, false,                             \
	    "each listener: its addresses, state and figures")                 \
	X(upstreams, "upstreams", "", 0, 0, false,                             \
	    "each upstream and its servers")                                   \
	X(workers, "workers", "", 0, 0, false,                                 \
	    "each process that serves")                                        \
	X(connections, "connections", "[LISTENER]", 0, 1, false,               \
	    "each open connection")                                            \
	X(count, "count", "[LISTENER]", 0, 1, false,                           \
	    "the number of open connections")                                  \
	X(kill, "kill", "ID", 1, 1, true,                                      \
	    "destroy a connection")                                            \
	X(close, "close", "LISTENER", 1, 1, true,                              \
	    "stop accepting; open connections go on")                          \
	X(open, "open", "LISTENER", 1, 1, true,                                \
	    "go on accepting")                                                 \
	X(server, "server", "UPSTREAM SERVER up|down|drain|weight N", 3, 4,    \
	    true, "use a server, or do not; or give it another weight")        \
	X(drain, "drain", "", 0, 0, true,                                      \
	    "health is drain; clients are served on")                          \
	X(undrain, "undrain", "", 0, 0, true,                                  \
	    "health is up again")                                              \
	X(set_log_level, "set log_level", "LEVEL", 1, 1, true,                 \
	    "log as much as error, warn, info or debug")                       \
	X(shutdown, "shutdown", "[now]", 0, 1, true,                           \
	    "close gracefully; with \"now\" connections are destroyed")        \
	X(config, "config", "", 0, 0, false,                                   \
	    "each value that is in force, and where it comes from")            \
	X(reload, "reload", "", 0, 0, true,                                    \
	    "put the configuration of the files in force")                     \
	X(reload_check, "reload check", "", 0, 0, false,                       \
	    "what a reload would change")                                      \
	X(health, "health", "", 0, 0, false,                                   \
	    "up, drain or down")                                               \
	X(help, "help", "", 0, 0, false,                                       \
	    "this list")
/* clang-format on */

#endif
