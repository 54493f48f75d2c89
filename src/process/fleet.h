/*
 * The fleet: the processes that serve. With one worker that is this process;
 * with more this one is the master, and asks them. Who asks need not know:
 * each question is a call whose answer comes to a function, at once where this
 * process does it all, else when the workers have answered. One that does not
 * answer within FLEET_PATIENCE_MS, because it is stopped or stuck, is waited
 * for no longer: the answer is what is known, and tells how many were silent.
 *
 * Figures need no call but fleet_refresh(): they are on the board, and
 * proxy_listener_figures() sums them over all workers.
 */
#ifndef PROCESS_FLEET_H
#define PROCESS_FLEET_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log/log.h"
#include "proxy/proxy.h"

struct board;
struct fleet;
struct fleet_call;
struct weir_loop;

#define FLEET_PATIENCE_MS 1000

struct fleet_options {
	struct proxy *proxy;
	struct board *board;
	unsigned workers; /* at least 1 */
	unsigned slot;	  /* on the board, of this process where it serves */
	uint64_t drain_timeout_ms; /* of a worker that ends alone */
};

/* What goes between a master and a worker; kind is the owner's affair. */
struct fleet_message {
	uint32_t kind;
	const void *data;
	size_t length; /* at most FLEET_MESSAGE_MAX */
	const int *fds;
	size_t fd_count; /* at most WEIR_MESSAGE_FDS */
};

#define FLEET_MESSAGE_MAX 4000

/* What it tells its owner, from the loop. Any may be NULL. */
struct fleet_handlers {
	/* After fleet_drain() or fleet_stop(): all processes have ended all of
	 * their connections; so many had to be destroyed for that. Once. */
	void (*on_drained)(struct fleet *fleet, uint64_t destroyed, void *user);

	/* A worker is to be forked: leave the loop, and call fleet_fork() where
	 * no handler runs. */
	void (*on_fork)(struct fleet *fleet, void *user);

	/*
	 * In a worker: the master asks by fleet_ask(). data, and the array of
	 * descriptors, last until this returns; the descriptors are the
	 * owner's. fleet_reply() with that call answers, at once or later.
	 */
	void (*on_question)(struct fleet *fleet, uint32_t call,
	    const struct fleet_message *message, void *user);
};

/*
 * A fleet that does not serve yet. What is in options outlives it; handlers
 * and user are kept by reference. *ret is the caller's. Returns 0 or -ENOMEM.
 */
int fleet_new(struct fleet **ret, struct weir_loop *loop,
    const struct fleet_options *options, const struct fleet_handlers *handlers,
    void *user);

/* Destroy and free, workers included; NULL is fine. */
void fleet_free(struct fleet *fleet);

/* Serve: this process accepts, or workers are forked that do. */
void fleet_start(struct fleet *fleet);

/* Whether this process is a master: it accepts nothing itself. And whether it
 * is one of its workers. */
bool fleet_is_master(const struct fleet *fleet);
bool fleet_is_worker(const struct fleet *fleet);

/* Whether this process has forked it and waits for its end. */
bool fleet_has_child(const struct fleet *fleet, pid_t pid);

/* How many processes serve at a time; and in a worker, which of them it is. */
unsigned fleet_places(const struct fleet *fleet);
unsigned fleet_place(const struct fleet *fleet);

/* Whether workers are to be forked now. */
bool fleet_fork_due(const struct fleet *fleet);

/*
 * Fork those that are due, where no handler runs. In a worker *child is true:
 * it goes on with the loop and all that is on it, as its own. What is the
 * master's alone (signals, the control socket, timers) is freed there before
 * fleet_be_worker(); until then all signals are blocked. Returns 0, or -errno
 * in a worker that is of no use; a fork that fails is tried again.
 */
int fleet_fork(struct fleet *fleet, bool *child);

/* In a worker: begin to serve. on_drained tells when its part is over. Returns
 * 0 or -errno. */
int fleet_be_worker(struct fleet *fleet);

/*
 * End: no more is accepted, and open connections end by themselves, at the
 * latest after timeout_ms (0: never) or, with fleet_stop(), at once.
 */
void fleet_drain(struct fleet *fleet, uint64_t timeout_ms);
void fleet_stop(struct fleet *fleet);

/* The proxy of this process has told its on_drained, or its on_sockets. */
void fleet_proxy_drained(struct fleet *fleet, uint64_t destroyed);
void fleet_sockets_changed(struct fleet *fleet);

/* ---- workers ---- */

struct fleet_worker {
	unsigned slot; /* on the board */
	pid_t pid;
	uint64_t connections;
	uint64_t restarts; /* how often it was replaced, in its place */
	bool draining;	   /* to be replaced, or one too many */
	bool silent;	   /* did not answer the last time it was asked */
};

/* The processes that serve now, draining ones after the others. False where
 * there is none with that index. */
bool fleet_worker(
    const struct fleet *fleet, size_t index, struct fleet_worker *ret);

/* ---- calls ---- */

/*
 * How a call ended: err is 0 or what the workers say, silent how many did not
 * answer in time.
 */
typedef void fleet_done(int err, unsigned silent, void *user);

/*
 * Each returns 0, and done (which is required) is called once: perhaps before
 * the call returns, and then *call is NULL; or -ENOMEM, and it is not. call may
 * be NULL where it is never taken back.
 */

/* Bring `buffered` of the figures up to date. */
int fleet_refresh(struct fleet *fleet, fleet_done *done, void *user,
    struct fleet_call **call);

/*
 * Each open connection, of one listener or (NULL) of all, some at a time, so
 * that neither the loop nor memory is held by a list of many: row for up to
 * FLEET_ROWS of them, whose figures last until it returns, then rested, and so
 * on after fleet_more(); at last done, whose err may be -ENOENT for the
 * listener. rested may be called before the call returns, too.
 */
#define FLEET_ROWS 256

struct fleet_rows {
	void (*row)(const struct session_figures *figures, void *user);
	void (*rested)(void *user);
	fleet_done *done;
};

int fleet_connections(struct fleet *fleet, const char *listener,
    const struct fleet_rows *handlers, void *user, struct fleet_call **call);
void fleet_more(struct fleet_call *call);

/* Destroy a connection; -ENOENT where no process has it. */
int fleet_kill(struct fleet *fleet, uint64_t id, fleet_done *done, void *user,
    struct fleet_call **call);

/* Close the sockets of a listener in all processes, and open them again;
 * -ENOENT, -EALREADY, or -EBUSY while draining. Opening them ends when it is
 * known what came of it, and each process accepts; -EHOSTDOWN, or as
 * proxy_listener_opened(). */
int fleet_listener_close(struct fleet *fleet, const char *name,
    fleet_done *done, void *user, struct fleet_call **call);
int fleet_listener_open(struct fleet *fleet, const char *name, fleet_done *done,
    void *user, struct fleet_call **call);

/*
 * For what the owner has to ask its workers: the message goes to each, whose
 * on_question gets it. part (or NULL) is called for each answer, before done;
 * err of done is 0, or the first that a worker gave. It takes as long as
 * patience_ms (0: FLEET_PATIENCE_MS). Where this process does it all, there is
 * nobody to ask, and done is called at once.
 */
typedef void fleet_part(
    pid_t pid, int err, const void *data, size_t length, void *user);

struct fleet_question {
	struct fleet_message message;
	uint64_t patience_ms;
	fleet_part *part;
	fleet_done *done;
	void *user;
};

int fleet_ask(struct fleet *fleet, const struct fleet_question *question,
    struct fleet_call **call);

/*
 * For a master that changes: nobody is forked while it is held, so that all
 * workers are those that were asked; and whoever does not keep step (pid 0: who
 * was silent when he was asked last) is killed, to be forked anew from what the
 * master is by then. Sockets that were changed are told now. Elsewhere these do
 * nothing.
 */
void fleet_hold(struct fleet *fleet, bool on);
void fleet_give_up(struct fleet *fleet, pid_t pid, const char *why);
void fleet_sync_sockets(struct fleet *fleet);

/* Another number of workers, of a master, and how long those that end may
 * take: more are forked, or those that are too many end. */
void fleet_set_workers(
    struct fleet *fleet, unsigned workers, uint64_t drain_timeout_ms);

/* In a worker: the answer to a question, of at most FLEET_MESSAGE_MAX bytes.
 * Returns 0 or -errno. */
int fleet_reply(struct fleet *fleet, uint32_t call, int err, const void *data,
    size_t length);

/* Who asked is gone: its functions are not called any more. NULL is fine. */
void fleet_cancel(struct fleet_call *call);

/* ---- orders, without an answer ---- */

void fleet_set_log_level(struct fleet *fleet, enum log_level level);

/* Open the log files anew, and log the figures. Returns 0, or -errno where
 * this process could not, and the first such file as *path. */
int fleet_reopen_logs(struct fleet *fleet, const char **path);

/*
 * Health: with drain on it is "drain", for all listeners, so that balancers in
 * front send no more; what comes nevertheless is served. It is on the board,
 * and holds until it is set back.
 */
void fleet_set_drain(struct fleet *fleet, bool on);
bool fleet_drain_set(const struct fleet *fleet);

#endif
