/*
 * What the rest of libweir sees of a loop: deferred calls, the count of what
 * holds it, and what all its sockets share.
 */
#ifndef NET_LOOP_PRIV_H
#define NET_LOOP_PRIV_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/loop.h>

struct event_base;
struct weir_server;
struct weir__resolver;
struct weir__pipe;
struct weir__token;

/* One call from the loop, soon. Embedded in the object it is for. */
struct weir__task {
	void (*fn)(struct weir__task *task);
	struct weir__task *next; /* NULL: not queued; itself: the last */
};

/* Bytes that one turn of a pump can read: one buffer a loop, not one a
 * connection. */
#define WEIR__SCRATCH (64 * 1024)

/* The owner of the innermost struct member. */
#define weir__container_of(pointer, type, member)                              \
	((type *)((char *)(pointer)-offsetof(type, member)))

void weir__loop_defer(struct weir_loop *loop, struct weir__task *task);
/* Looks through all that are queued: for objects of which there are few. */
void weir__loop_undefer(struct weir_loop *loop, struct weir__task *task);

static inline bool
weir__is_deferred(const struct weir__task *task)
{
	return task->next != NULL;
}

/*
 * A socket has its turn: until that is over, all that moves moves at one time.
 * Asking the clock for each piece costs a twentieth of passing on a message.
 */
void weir__loop_turn(struct weir_loop *loop, bool begins);
uint64_t weir__loop_turn_ms(struct weir_loop *loop);

/* Others than the task that runs now. */
bool weir__loop_has_tasks(const struct weir_loop *loop);

/* So many bytes were read, or those that were held written. After a share of
 * them it is busy: who comes now waits for a task, and tasks wait for events.
 */
void weir__loop_passed_on(struct weir_loop *loop, size_t bytes);
bool weir__loop_is_busy(const struct weir_loop *loop);

/* What is open and referenced holds the loop. */
void weir__loop_hold(struct weir_loop *loop);
void weir__loop_release(struct weir_loop *loop);

/* Sockets that are looked at once more when they have been silent for a while;
 * await.c's. */
struct weir__doubts;
struct weir__doubts **weir__loop_doubts(struct weir_loop *loop);
void weir__doubts_free(struct weir__doubts *doubts);

/* The settings that were made late last; most are the same. */
struct weir__late;
struct weir__late **weir__loop_late(struct weir_loop *loop);

/* Where the resolver keeps its state; NULL at first. */
struct weir__resolver **weir__loop_resolver(struct weir_loop *loop);
void weir__resolver_free(struct weir__resolver *resolver);

/* The scratch buffer; its contents last until the next call to anything. */
unsigned char *weir__loop_scratch(struct weir_loop *loop);

/* A buffer for text, of size bytes at least, by the same rule; NULL without
 * memory. */
unsigned char *weir__loop_text(struct weir_loop *loop, size_t size);

/* What fork has to do with: every server, and every token. */
void weir__loop_enter(struct weir_loop *loop, struct weir_server *server);
void weir__loop_leave(struct weir_loop *loop, struct weir_server *server);
void weir__server_forked(struct weir_server *server);
void weir__loop_enter_token(struct weir_loop *loop, struct weir__token *token);

/* Servers that wait for a descriptor; weir__loop_fd_closed() wakes them. */
void weir__loop_rest(struct weir_loop *loop, struct weir_server *server);
void weir__loop_unrest(struct weir_loop *loop, struct weir_server *server);
void weir__loop_fd_closed(struct weir_loop *loop);
void weir__server_wake(struct weir_server *server);

/*
 * Kernel pipes for splice, lent while bytes flow. Returns NULL where there is
 * none to be had, and errno is lost on purpose: the caller copies instead.
 */
struct weir__pipe {
	int read_fd, write_fd;
	size_t capacity, length; /* length: bytes that are in it */
	bool lent;
	SLIST_ENTRY(weir__pipe) next; /* weir_loop.pipes */
	LIST_ENTRY(weir__pipe) made;  /* weir_loop.made */
};
struct weir__pipe *weir__loop_borrow_pipe(struct weir_loop *loop);
/* Give one back: to the pool when it is empty, else it is closed. */
void weir__loop_return_pipe(struct weir_loop *loop, struct weir__pipe *pipe);

#endif
