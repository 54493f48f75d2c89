/*
 * What a pipe = TARGET opens, as the session's other socket: a program, a
 * file, a FIFO, standard output.
 */
#ifndef PROXY_TARGET_H
#define PROXY_TARGET_H

#include <sys/queue.h>
#include <sys/types.h>

#include <stdbool.h>

struct config_listener;
struct proxy;
struct weir_socket;
struct weir_timer;

/* A program that was started and not reaped yet. */
struct child {
	long place; /* on the board */
	struct proxy *proxy;
	pid_t pid;
	struct weir_socket *errors; /* its standard error; NULL: closed */
	const struct config_listener *config; /* counted: it may outlive it */
	struct weir_timer *timer; /* from asking it to end to making it */
	bool released;		  /* its connection has ended */
	bool gone;		  /* it has ended */
	bool reaped;		  /* ... and its number may be another's */
	bool killed;		  /* the last that is done to its group */
	char line[512];		  /* of standard error, not ended yet */
	size_t line_length;
	TAILQ_ENTRY(child) next; /* proxy.children */
};

/*
 * Open a file, a FIFO or standard output for writing and put server around
 * it. Returns 0 or a negative error; -ENXIO is a FIFO that nobody reads yet.
 */
int target_open(
    const struct config_listener *config, struct weir_socket *server);

/* Start the program, its standard input and output on server. */
int target_exec(struct child **ret, struct proxy *proxy,
    const struct config_listener *config, struct weir_socket *server);

/* How long a group is given, in milliseconds, from SIGTERM to SIGKILL. */
#define CHILD_GRACE_MS 5000

/* Its connection has ended: ask its process group to end, then make it. */
void child_release(struct child *child);

/* Whether it is one of this process's programs. */
bool target_has_child(const struct proxy *proxy, pid_t pid);

/* drain_timeout is over: those that were asked get less time. */
void target_hurry(struct proxy *proxy);

/* At the end of the process: whatever is left is killed. */
void target_kill_all(struct proxy *proxy);

#endif
