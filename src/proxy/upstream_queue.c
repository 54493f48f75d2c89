/*
 * Who waits for a server: in the order in which they came, each worker having
 * its own row of them, and all together no more than the upstream's queue.
 *
 * A place that becomes free in this process is looked for at once, as is what
 * the keeper of this process changes. What others do is seen by looking again,
 * and only while somebody waits.
 */
#include "config.h"

#include <weir/loop.h>

#include "proxy/upstream_priv.h"

#define LOOK_MS	      20  /* others may have given a place back */
#define LOOK_ALONE_MS 250 /* a server may be tried again, a client has left */

static void on_timer(struct weir_timer *timer, void *user);

static void
start_timer(struct upstream *upstream, uint64_t ms)
{
	if (upstream->timer == NULL &&
	    weir_timer_new(
		&upstream->timer, upstream->all->loop, on_timer, upstream) != 0)
		return;
	(void)weir_timer_start(upstream->timer, ms);
}

/* When to look again, unless something happens before. */
static uint64_t
next_look(const struct upstream *upstream)
{
	uint64_t ms =
	    board_workers(upstream->all->board) > 1 ? LOOK_MS : LOOK_ALONE_MS;
	uint64_t now = upstream_now(upstream);
	const struct upstream_use *use;

	TAILQ_FOREACH (use, &upstream->waiting, next) {
		if (use->try->deadline_ms == 0)
			continue;
		if (use->try->deadline_ms <= now)
			return 1;
		if (use->try->deadline_ms - now < ms)
			ms = use->try->deadline_ms - now;
	}
	return ms;
}

/*
 * Each asks again, the first first. Once one has to wait on, those behind it
 * have nothing to hope for, unless it is only that servers are left to them
 * which it has tried.
 */
static void
let_in(struct upstream *upstream)
{
	const struct upstream_handlers *handlers = upstream->all->handlers;
	uint64_t now = upstream_now(upstream);
	struct upstream_use *use, *after;
	bool hopeless = false, had_tried;

	for (use = TAILQ_FIRST(&upstream->waiting); use != NULL; use = after) {
		after = TAILQ_NEXT(use, next);
		had_tried = use->try->count > 0;
		if (hopeless && !handlers->has_left(use) &&
		    (use->try->deadline_ms == 0 || use->try->deadline_ms > now))
			continue;
		handlers->on_turn(use);
		/* It may be gone; if not, it is still the one before after. */
		if (after != NULL
			? TAILQ_PREV(after, upstream_uses, next) == use
			: TAILQ_LAST(&upstream->waiting, upstream_uses) == use)
			hopeless = !had_tried;
	}
}

static void
on_timer(struct weir_timer *timer, void *user)
{
	struct upstream *upstream = user;

	upstream->refs++;
	let_in(upstream);
	if (!TAILQ_EMPTY(&upstream->waiting))
		(void)weir_timer_start(timer, next_look(upstream));
	upstream_unref(upstream);
}

void
upstream_wake(struct upstream *upstream)
{
	start_timer(upstream, 0);
}

static uint64_t
deadline(const struct upstream_use *use, bool for_answer)
{
	const struct upstream *upstream = use->upstream;
	uint64_t ms = for_answer ? use->try->wish.answer_wait_ms
				 : upstream->config->queue_timeout_ms;

	return ms > 0 ? upstream_now(upstream) + ms : 0;
}

/* Count first and look then. */
static bool
take_place(struct upstream *upstream, bool for_answer)
{
	_Atomic uint64_t *mine = &upstream->slot->queued;

	atomic_store(mine, board_get(mine) + 1);
	if (for_answer || board_upstream_queued(upstream->all->board,
			      upstream->row) <= upstream->config->queue)
		return true;
	atomic_store(mine, board_get(mine) - 1);
	return false;
}

bool
upstream_may_wait(struct upstream_use *use, bool for_answer)
{
	struct upstream *upstream = use->upstream;
	struct upstream_try *try = use->try;

	if (use->waiting && try->for_answer == for_answer)
		return try->deadline_ms == 0 ||
		       upstream_now(upstream) < try->deadline_ms;
	if (use->waiting) {
		/* The name is known now, and its servers are full. */
		try->for_answer = for_answer;
		try->deadline_ms = deadline(use, for_answer);
		return for_answer || upstream->config->queue > 0;
	}
	if (!take_place(upstream, for_answer))
		return false;
	try->for_answer = for_answer;
	try->deadline_ms = deadline(use, for_answer);
	use->waiting = true;
	TAILQ_INSERT_TAIL(&upstream->waiting, use, next);
	if (upstream->timer == NULL || !weir_timer_running(upstream->timer))
		start_timer(upstream, next_look(upstream));
	return true;
}

void
upstream_leave(struct upstream_use *use)
{
	struct upstream *upstream = use->upstream;

	if (!use->waiting)
		return;
	use->waiting = false;
	TAILQ_REMOVE(&upstream->waiting, use, next);
	board_sub(&upstream->slot->queued, 1);
	if (TAILQ_EMPTY(&upstream->waiting) && upstream->timer != NULL)
		weir_timer_stop(upstream->timer);
}
