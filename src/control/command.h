/* Carry out requests of the control socket. */
#ifndef CONTROL_COMMAND_H
#define CONTROL_COMMAND_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>

struct answer;
struct proxy;

/* Who asks, for the log. */
struct command_caller {
	bool known;
	pid_t pid;
	uid_t uid;
};

/* What is left to be done once the answer has been written. */
enum command_effect {
	COMMAND_DONE,
	COMMAND_SHUTDOWN,
	COMMAND_SHUTDOWN_NOW,
};

/*
 * Carry out one request: length bytes without the line's end. A line of blanks
 * is no request and leaves the answer as it is; any other gets one. whole is
 * false where the connection ended before the line did: then it may be half a
 * request, and is carried out only where it changes nothing.
 */
enum command_effect command_run(struct proxy *proxy,
    const struct command_caller *caller, const char *line, size_t length,
    bool whole, struct answer *answer);

#endif
