/*
 * The board: figures and states that the processes of one weir share, in one
 * mapping that is inherited by fork and can be handed to another program as a
 * descriptor.
 *
 * Nothing on it is locked. A counter has one writer, the worker whose slot it
 * is in, and whoever asks sums them; a state has one writer, the keeper (the
 * master, or the only process), or is changed by one atomic operation. So a
 * process that is stopped or killed at any moment leaves nothing behind that
 * another one waits for. Rows are made and freed by the keeper alone.
 *
 * The mapping is sparse: what is not used takes no memory. What one worker
 * writes lies together, so that two never share a line of the cache.
 */
#ifndef PROXY_BOARD_H
#define PROXY_BOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <weir/address.h>
#include <weir/socket.h>

#define BOARD_WORKERS	64
#define BOARD_LISTENERS 4096
#define BOARD_UPSTREAMS 4096
#define BOARD_SERVERS	16384	    /* of all upstreams together */
#define BOARD_SOURCES	(64 * 1024) /* that one worker tells apart */
#define BOARD_CHILDREN	4096	    /* programs that one worker runs */
#define BOARD_NAME	256	    /* with its NUL */
#define BOARD_CHECK	128
#define BOARD_TICKET	80    /* bytes of board_ticket_key() */
#define BOARD_REST_MS	10000 /* a server's row is not used anew before */

/* ---- one worker ---- */

struct board_worker {
	_Atomic pid_t pid; /* 0: nobody is in this slot */
	_Atomic uint32_t alive;
	_Atomic uint64_t connections; /* of all of its listeners */
};

/* ---- listeners ---- */

/* What one worker counts of one listener. */
struct board_listener_slot {
	_Atomic uint64_t connections; /* open now */
	_Atomic uint64_t accepted, rejected, denied, closed, errors, timeouts;
	/* Came from another process, less those that went to one: below 0 is
	 * as the type wraps. */
	_Atomic uint64_t moved;
	_Atomic uint64_t buffered; /* published when somebody asks */
	_Atomic uint32_t waiting;  /* it is at a limit: clients wait */
	_Atomic uint32_t resting;  /* it is out of descriptors */
	struct weir_totals totals; /* read from clients, delivered to them */
};

/* What all of them count of it, summed. */
struct board_listener_sum {
	uint64_t connections, peak;
	uint64_t accepted, rejected, denied, closed, errors, timeouts;
	uint64_t buffered;
	uint64_t bytes_in, bytes_out;
	bool waiting, resting; /* some worker */
};

struct board_listener {
	_Atomic uint32_t use; /* board_rows.c's */
	_Atomic uint32_t flags;
	char name[BOARD_NAME];
	_Atomic uint64_t peak;
	_Atomic uint64_t rate_at_ns; /* max_rate: when the last that came was
				      * due, by CLOCK_MONOTONIC */
};

/* ---- upstreams ---- */

struct board_upstream {
	_Atomic uint32_t use;
	char name[BOARD_NAME];
	_Atomic uint64_t turn;	  /* of round_robin, all workers together */
	_Atomic uint64_t ticket;  /* the last one of who waits for a place */
	_Atomic uint64_t version; /* of its list of servers */
	_Atomic uint64_t doubts;  /* connects that failed: look names up */
	/* Names whose first lookup has not ended, and that have no answer. */
	_Atomic uint32_t looking, unanswered;
};

/* What one worker counts of one upstream. */
struct board_upstream_slot {
	_Atomic uint64_t queued; /* wait for a server now */
	_Atomic uint64_t first;	 /* the lowest ticket among them; 0: none */
};

/* What one worker counts of one server. */
struct board_server_slot {
	_Atomic uint64_t connections; /* open now, or being made */
	_Atomic uint64_t total, failures;
	struct weir_totals totals; /* read from the server, delivered to it */
};

struct board_server_sum {
	uint64_t connections, total, failures;
	uint64_t bytes_in, bytes_out; /* from the server, to it */
};

struct board_server {
	_Atomic uint32_t use;
	uint32_t upstream; /* row of its upstream */
	char name[BOARD_NAME];
	struct weir_address address; /* fixed while the row is used */
	_Atomic uint64_t gone_ms;    /* when it went; not used anew at once */

	/* By the keeper, from the configuration, a name's answer, weirctl. */
	_Atomic uint64_t origin; /* hash of what it is configured to be */
	_Atomic uint32_t order;	 /* among those of its upstream */
	_Atomic uint32_t tier;	 /* of backups, and priorities of SRV */
	_Atomic uint32_t flags;
	_Atomic uint32_t weight;
	_Atomic uint32_t admin; /* SERVER_... of server_state.h */

	/* Checks: by the keeper. */
	_Atomic uint32_t health;
	_Atomic uint32_t check_version; /* odd while check is written */
	char check[BOARD_CHECK];	/* how the last check went */
	_Atomic uint64_t checked_ms;

	/* By whoever connects: server_state.c. */
	_Atomic uint64_t down_until_ms; /* passive health, CLOCK_MONOTONIC */
	_Atomic uint64_t failing;	/* failures, and since when */
	_Atomic uint64_t up_since_ms;	/* slow_start counts from here */
	_Atomic uint64_t connect_ms;	/* the last connect took */
};

/* ---- sources ---- */

/* Open connections of one source to one listener, counted by one worker; the
 * logic is sources.c's. */
struct board_source {
	_Atomic uint64_t key; /* 0: free */
	_Atomic uint64_t count;
};

/* ---- the board ---- */

struct board;

/* A new one, empty. *ret is the caller's. Returns 0 or -errno. */
int board_new(struct board **ret);

/*
 * The board of another program, whose descriptor this is; it is the board's
 * from here on when 0 is returned. Returns -EPROTO where its layout is another
 * one, or -errno.
 */
int board_open(struct board **ret, int fd);

/* Its descriptor, still the board's. */
int board_fd(const struct board *board);

/* Give the mapping back; for the other processes it stays. NULL is fine. */
void board_free(struct board *board);

/* An id for a connection: no two are the same in all workers. */
uint64_t board_next_id(struct board *board);

/* When it was made, by weir_loop_now_ms(). */
uint64_t board_started_ms(const struct board *board);

/* A random number that is one for all processes (of hashes). */
uint64_t board_seed(const struct board *board);

/* Random bytes that are one for all processes, and nobody else's: tickets of
 * TLS are encrypted with them. */
const unsigned char *board_ticket_key(const struct board *board);

/* `drain`: balancers in front are told to go away; open ones go on. */
bool board_drain(const struct board *board);
void board_set_drain(struct board *board, bool on);

/* ---- counting ---- */

/* Add to a counter of which this process is the only writer. */
static inline void
board_add(_Atomic uint64_t *count, uint64_t n)
{
	atomic_store_explicit(count,
	    atomic_load_explicit(count, memory_order_relaxed) + n,
	    memory_order_relaxed);
}

static inline void
board_sub(_Atomic uint64_t *count, uint64_t n)
{
	board_add(count, 0 - n);
}

static inline uint64_t
board_get(const _Atomic uint64_t *count)
{
	return atomic_load_explicit(count, memory_order_relaxed);
}

/* Raise a highest value that several write. */
void board_raise(_Atomic uint64_t *highest, uint64_t value);

/* ---- workers ---- */

/* The slot of a worker, 0 … BOARD_WORKERS - 1. */
struct board_worker *board_worker(struct board *board, unsigned worker);

/* Slots that are or were in use: all sums look at so many. At least 1. */
unsigned board_workers(const struct board *board);

/* A slot that nobody is in, of this program or another, taken for pid; -EAGAIN
 * where there is none. Who died in one has left it. */
int board_worker_claim(struct board *board, pid_t pid);

/* Who died in a slot, of this program or another, has left it. */
void board_workers_check(struct board *board);

/* A worker begins in that slot. */
void board_worker_began(struct board *board, unsigned worker, pid_t pid);

/*
 * The worker of that slot has ended, or was killed: what it had open becomes
 * closed, and counts as errors; its totals stay. By the keeper.
 */
void board_worker_ended(struct board *board, unsigned worker);

/* Open connections of all workers and listeners. */
uint64_t board_connections(const struct board *board);

/* ---- rows ---- */

/*
 * The row of a listener by its name, made where there is none. Its figures go
 * on where it had some. A row (>= 0), -ENAMETOOLONG, or -ENOSPC where all
 * BOARD_LISTENERS are in use. By the keeper.
 */
long board_listener_row(struct board *board, const char *name);

/* The same without making one: a row, or -ENOENT. By anyone. */
long board_listener_find(const struct board *board, const char *name);

/* The listener is no more. Its row is used anew once its last connection has
 * ended. By the keeper. */
void board_listener_gone(struct board *board, long row);

struct board_listener *board_listener(struct board *board, long row);
struct board_listener_slot *board_listener_slot(
    struct board *board, unsigned worker, long row);
void board_listener_sum(
    struct board *board, long row, struct board_listener_sum *ret);
uint64_t board_listener_connections(const struct board *board, long row);

/* The same for upstreams; -ENOSPC at BOARD_UPSTREAMS. An upstream that is gone
 * takes its servers with it. */
long board_upstream_row(struct board *board, const char *name);
long board_upstream_find(const struct board *board, const char *name);
void board_upstream_gone(struct board *board, long row);
struct board_upstream *board_upstream(struct board *board, long row);
struct board_upstream_slot *board_upstream_slot(
    struct board *board, unsigned worker, long row);
uint64_t board_upstream_queued(const struct board *board, long row);
/* The lowest ticket of all workers but for one that is passed over; or 0. */
uint64_t board_upstream_first(
    const struct board *board, long row, uint64_t passed_over);

/* And for the servers of an upstream, by name and address; -ENOSPC at
 * BOARD_SERVERS. */
long board_server_row(struct board *board, long upstream, const char *name,
    const struct weir_address *address);
long board_server_find(const struct board *board, long upstream,
    const char *name, const struct weir_address *address);
/* The one of an upstream after a row, the first with -1; -ENOENT: that was the
 * last. Those that are gone are among them. */
long board_server_next(const struct board *board, long upstream, long row);
void board_server_gone(struct board *board, long row);
struct board_server *board_server(struct board *board, long row);
struct board_server_slot *board_server_slot(
    struct board *board, unsigned worker, long row);
void board_server_sum(
    struct board *board, long row, struct board_server_sum *ret);
uint64_t board_server_connections(const struct board *board, long row);

/* Rows that are or were in use: below this all servers are found. */
long board_servers(const struct board *board);
/* Whether the row is a server's now. */
bool board_server_used(const struct board *board, long row);

/*
 * Programs that a worker runs, by process group, so that whoever outlives it
 * can end them. Returns a place, or -1 where there is none; then it is not
 * known to others. board_child_set() is for the worker alone, with 0 when the
 * program has ended.
 */
long board_child_add(struct board *board, unsigned worker, pid_t group);
void board_child_set(
    struct board *board, unsigned worker, long place, pid_t group);
/* Call fn for each that a worker left, and forget it. */
void board_children_left(
    struct board *board, unsigned worker, void (*fn)(pid_t group));

/* The BOARD_SOURCES entries of a worker. */
struct board_source *board_sources(struct board *board, unsigned worker);

#endif
