/*
 * What the files of the fleet share: fleet.c (what the floors above call),
 * fleet_call.c (questions to workers, and their answers), fleet_fork.c
 * (how they begin), fleet_master.c (what they are told, and their end) and
 * fleet_worker.c (a worker's own side).
 */
#ifndef PROCESS_FLEET_PRIV_H
#define PROCESS_FLEET_PRIV_H

#include <sys/queue.h>

#include <weir/channel.h>

#include "process/fleet.h"
#include "process/outbox.h"
#include "proxy/board.h"

struct weir_signal;
struct weir_timer;

/* ---- messages: a header, and what is told below ---- */

enum message_kind {
	/* To a worker; an order has no answer, a question has one. */
	ORDER_DRAIN,	 /* uint64_t timeout_ms */
	ORDER_STOP,	 /* */
	ORDER_LOGS,	 /* open them anew */
	ORDER_LOG_LEVEL, /* uint32_t */
	ORDER_SOCKETS,	 /* struct message_sockets; descriptors */
	ORDER_FORGET,	 /* the question's list is not wanted any more */
	ASK_REFRESH,	 /* */
	ASK_KILL,	 /* uint64_t id */
	ASK_LIST,	 /* a listener's name, or nothing: the first rows */
	ASK_MORE,	 /* the next ones */

	/* From a worker. */
	TELL_ROWS,     /* of a list: rows.h */
	TELL_ANSWER,   /* struct message_answer, and bytes */
	TELL_DRAINING, /* it ends by itself: SIGTERM */
	TELL_OVER,     /* uint64_t destroyed: it has ended */

	/* Questions that others have: MESSAGE_OTHER + kind. */
	MESSAGE_OTHER = 64,
};

struct message_header {
	uint32_t kind;
	uint32_t call; /* 0: none */
};

struct message_answer {
	int32_t err;
};

struct message_sockets {
	uint32_t begin, count;
	int32_t places[WEIR_MESSAGE_FDS];
	char listener[BOARD_NAME];
};

/* An answer to ASK_LIST and ASK_MORE: there is more. */
#define ANSWER_MORE 1

/* Messages that wait for a worker that does not read; with more it is given
 * up. And those that wait for the master, which may be busy. */
#define POSTS_TO_WORKER (2 * BOARD_LISTENERS)
#define POSTS_TO_MASTER 4096

/* How long a process that has to end may take, beyond the time it was given. */
#define END_GRACE_MS 2000

/* ---- the fleet ---- */

enum fleet_role { FLEET_ALONE, FLEET_MASTER, FLEET_WORKER };

/* A worker, as its master sees it. */
struct member {
	TAILQ_ENTRY(member) next; /* fleet.members */
	struct fleet *fleet;
	unsigned slot, place;
	pid_t pid;
	struct weir_channel *channel; /* NULL: closed */
	struct outbox outbox;
	uint64_t started_ms;
	uint64_t destroyed;
	bool draining; /* it is not the one of its place any more */
	bool over;     /* it said that it has ended in order */
	bool silent;
	bool given_up; /* was sent SIGKILL */
	bool reaped;
	int status;
};

/* One of the workers that serve at a time, whoever that is. */
struct place {
	struct member *member; /* NULL: to be forked */
	uint64_t restarts;
	uint64_t pause_ms; /* before the next one, as it died early */
	uint64_t due_ms;   /* not before that */
};

struct fleet {
	struct weir_loop *loop;
	struct fleet_options options;
	const struct fleet_handlers *handlers;
	void *user;
	enum fleet_role role;
	bool started, ending, over;
	bool held; /* nobody is forked now */
	bool proxy_drained;
	uint64_t destroyed;

	/* A master's. */
	TAILQ_HEAD(, member) members;
	TAILQ_HEAD(, fleet_call) calls;
	struct place places[BOARD_WORKERS];
	uint32_t last_call;
	struct weir_signal *sigchld;
	struct weir_timer *fork_timer, *end_timer, *sync_timer;

	/* A worker's. */
	unsigned slot, place;
	int channel_fd;
	struct weir_channel *channel;
	struct outbox outbox;
	struct weir_signal *sigterm;
	LIST_HEAD(, list) lists;
	STAILQ_HEAD(, owed) owed; /* answers */
	struct weir_timer *owed_timer;
	bool leaving; /* ends by itself */
};

/* A question: of a master to its workers, or a list that this process tells
 * by and by. */
struct fleet_call {
	TAILQ_ENTRY(fleet_call) next; /* fleet.calls */
	struct fleet *fleet;
	uint32_t id;
	fleet_done *done;
	fleet_part *part;	       /* or NULL */
	const struct fleet_rows *rows; /* of a list; or NULL */
	bool opening; /* nobody is asked before the listener is bound */
	void *user;
	uint64_t patience_ms;

	struct proxy_walk *walk; /* a list of this process */

	uint64_t waiting;      /* slots that have not answered: bits */
	uint64_t todo;	       /* of a list: slots to be asked after that */
	uint64_t todo_of_more; /* ... the one that was asked last */
	bool more;	       /* it has more rows */
	bool any_is_enough;    /* one that says 0 is the answer */
	unsigned silent;
	int err;
	char *listener;
	struct weir_timer *timer;
};

_Static_assert(BOARD_WORKERS <= 64, "slots are bits of a uint64_t");

/* ---- fleet_call.c ---- */

/* Ask all workers. As fleet_ask(), with a kind of message.h. */
int calls_ask(struct fleet *fleet, const struct fleet_question *question,
    uint32_t kind, struct fleet_call **ret);
int calls_list(struct fleet *fleet, const char *listener,
    const struct fleet_rows *rows, void *user, struct fleet_call **ret);
void calls_more(struct fleet_call *call);

/* Wait until a listener that was told to open is open, in all workers; or it
 * is known that it cannot be. */
int calls_open(struct fleet *fleet, const char *listener, fleet_done *done,
    void *user, struct fleet_call **ret);

/* A worker has answered, or never will. */
void calls_rows(struct fleet *fleet, const struct member *member, uint32_t id,
    const char *data, size_t length);
void calls_answer(struct fleet *fleet, struct member *member, uint32_t id,
    int err, const char *data, size_t length);
void calls_member_gone(struct fleet *fleet, const struct member *member);
void calls_free_all(struct fleet *fleet);

/* ---- fleet_master.c ---- */

int master_new(struct fleet *fleet);
void master_free(struct fleet *fleet);
void master_start(struct fleet *fleet);
void master_end(struct fleet *fleet, bool now, uint64_t timeout_ms);
void master_check_over(struct fleet *fleet);
bool master_worker(
    const struct fleet *fleet, size_t index, struct fleet_worker *ret);

/* Send to one worker; one that cannot be reached is given up. */
int master_send(struct member *member, uint32_t kind, uint32_t call,
    const void *data, size_t length, const int *fds, size_t fd_count);
void master_order(
    struct fleet *fleet, uint32_t kind, const void *data, size_t length);

/* Tell all workers which sockets have changed. */
void master_sync_sockets(struct fleet *fleet);

extern const struct weir_channel_handlers master_channel_handlers;
void master_member_free(struct member *member);

/* ---- fleet_fork.c ---- */

/* Dead so early, a worker will be again: not at once. */
#define EARLY_MS 1000

/* Ask to be called where no handler runs, or be back when one is due. */
void master_want_forks(struct fleet *fleet);

/* ---- fleet_worker.c ---- */

void worker_free(struct fleet *fleet);
void worker_drained(struct fleet *fleet, uint64_t destroyed);

#endif
