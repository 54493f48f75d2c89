/*
 * When sessions are to be looked at: thousands of them have a timeout, which
 * hardly ever comes. One timer for all, and a few bytes for each.
 */
#ifndef PROXY_DEADLINES_H
#define PROXY_DEADLINES_H

#include <stddef.h>
#include <stdint.h>

struct session;
struct weir_loop;
struct weir_timer;

struct deadlines {
	struct weir_loop *loop;
	void (*fn)(struct session *session);
	struct weir_timer *timer; /* or NULL */
	uint64_t armed_ms;	  /* when it fires; 0: it does not run */
	struct deadline *heap;	  /* from 1 on: the earliest first */
	uint32_t count, room;
};

/* fn is called with each session whose time has come; it may do with it what
 * it likes. */
void deadlines_init(struct deadlines *all, struct weir_loop *loop,
    void (*fn)(struct session *session));
void deadlines_free(struct deadlines *all);

/* session->deadline is its place, 0 for none. Set anew, or for the first time.
 * Returns 0 or -ENOMEM, when it has none. */
int deadline_set(
    struct deadlines *all, struct session *session, uint64_t after_ms);
void deadline_clear(struct deadlines *all, struct session *session);

#endif
