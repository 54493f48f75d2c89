/*
 * Deadlines of sessions, in a heap. Promises that a session whose deadline is
 * over is told once, and never before its time; one that was cleared, never.
 *
 * The timer may fire for a deadline that was cleared or moved meanwhile: then
 * it runs for the next one. To move it each time would be dearer.
 */
#include "config.h"

#include "proxy/deadlines.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <weir/loop.h>

#include "proxy/session.h"

#define ROOM_LEAST 64
#define ROOM_MOST  (UINT32_MAX / 2)

struct deadline {
	uint64_t at_ms;
	struct session *session;
};

void
deadlines_init(struct deadlines *all, struct weir_loop *loop,
    void (*fn)(struct session *session))
{
	*all = (struct deadlines){.loop = loop, .fn = fn};
}

void
deadlines_free(struct deadlines *all)
{
	weir_timer_free(all->timer);
	free(all->heap);
	all->timer = NULL;
	all->heap = NULL;
}

/* ---- the heap ---- */

static void
put(struct deadlines *all, uint32_t place, struct deadline deadline)
{
	all->heap[place] = deadline;
	deadline.session->deadline = place;
}

/* Where it belongs, at this place or nearer to the first. */
static void
rise(struct deadlines *all, uint32_t place, struct deadline deadline)
{
	while (place > 1 && all->heap[place / 2].at_ms > deadline.at_ms) {
		put(all, place, all->heap[place / 2]);
		place /= 2;
	}
	put(all, place, deadline);
}

/* The same, or farther from it. */
static void
sink(struct deadlines *all, uint32_t place, struct deadline deadline)
{
	uint32_t child;

	while ((child = place * 2) <= all->count) {
		if (child < all->count &&
		    all->heap[child + 1].at_ms < all->heap[child].at_ms)
			child++;
		if (all->heap[child].at_ms >= deadline.at_ms)
			break;
		put(all, place, all->heap[child]);
		place = child;
	}
	put(all, place, deadline);
}

static void
settle(struct deadlines *all, uint32_t place, struct deadline deadline)
{
	if (place > 1 && all->heap[place / 2].at_ms > deadline.at_ms)
		rise(all, place, deadline);
	else
		sink(all, place, deadline);
}

static bool
resize(struct deadlines *all, uint32_t room)
{
	struct deadline *heap =
	    reallocarray(all->heap, room + (size_t)1, sizeof(*heap));

	if (heap == NULL)
		return false;
	all->heap = heap;
	all->room = room;
	return true;
}

static bool
make_room(struct deadlines *all)
{
	if (all->count < all->room)
		return true;
	return all->room < ROOM_MOST &&
	       resize(all, all->room > 0 ? all->room * 2 : ROOM_LEAST);
}

/* ---- the timer ---- */

static void on_timer(struct weir_timer *timer, void *user);

/* It fires for the first at the latest. */
static int
arm(struct deadlines *all, uint64_t now_ms)
{
	uint64_t at_ms;
	int err = 0;

	if (all->count == 0)
		return 0;
	at_ms = all->heap[1].at_ms;
	if (all->armed_ms != 0 && all->armed_ms <= at_ms)
		return 0;
	if (all->timer == NULL) {
		err = weir_timer_new(&all->timer, all->loop, on_timer, all);
		weir_timer_unref(all->timer);
	}
	if (err == 0)
		err = weir_timer_start(
		    all->timer, at_ms > now_ms ? at_ms - now_ms : 1);
	if (err == 0)
		all->armed_ms = at_ms;
	return err;
}

static void
on_timer(struct weir_timer *timer, void *user)
{
	struct deadlines *all = user;
	uint64_t now = weir_loop_now_ms(all->loop);
	struct session *session;

	(void)timer;
	all->armed_ms = 0;
	/* Those that are set meanwhile are later than now. */
	while (all->count > 0 && all->heap[1].at_ms <= now) {
		session = all->heap[1].session;
		deadline_clear(all, session);
		all->fn(session);
	}
	(void)arm(all, weir_loop_now_ms(all->loop));
}

/* ---- one ---- */

int
deadline_set(struct deadlines *all, struct session *session, uint64_t after_ms)
{
	uint64_t now = weir_loop_now_ms(all->loop);
	struct deadline deadline = {
	    .at_ms = now + (after_ms > 0 ? after_ms : 1),
	    .session = session,
	};
	int err;

	if (deadline.at_ms < now)
		deadline.at_ms = UINT64_MAX;
	if (session->deadline != 0) {
		settle(all, session->deadline, deadline);
	} else {
		if (!make_room(all))
			return -ENOMEM;
		rise(all, ++all->count, deadline);
	}
	err = arm(all, now);
	if (err != 0)
		deadline_clear(all, session);
	return err;
}

void
deadline_clear(struct deadlines *all, struct session *session)
{
	uint32_t place = session->deadline;
	struct deadline last;

	if (place == 0)
		return;
	session->deadline = 0;
	last = all->heap[all->count--];
	if (place <= all->count)
		settle(all, place, last);
	/* What thousands took is not kept for a few; to be refused is fine. */
	if (all->room > ROOM_LEAST && all->count < all->room / 4)
		(void)resize(all, all->room / 2);
}
