/*
 * Who waits for a server: in the order in which they came, of all workers, and
 * all together no more than the upstream's queue.
 *
 * Who waits for a place draws a ticket from the board, and each worker shows
 * the lowest that it has. A free place is for the lowest of all; who comes when
 * somebody waits draws one, too. Only those who were at a server already, or
 * cannot take each, take what they can get, and hold nobody up. A worker that
 * leaves its place free for half a second, as it is stopped, is passed over
 * until it goes on.
 *
 * A place that becomes free in this process is looked for at once, as is what
 * the keeper of this process changes. What others do is seen by looking again,
 * and only while somebody waits.
 */
#include "config.h"

#include <weir/loop.h>

#include "proxy/upstream_priv.h"

#define LOOK_PLACE_MS 2	  /* others may have given a place back */
#define LOOK_MS	      20  /* a name may have been answered */
#define LOOK_ALONE_MS 250 /* a server may be tried again, a client has left */
#define PATIENCE_MS   500 /* with a ticket whose place is free */

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
	uint64_t ms = LOOK_ALONE_MS;
	uint64_t now = upstream_now(upstream);
	const struct upstream_use *use;

	if (board_workers(upstream->all->board) > 1)
		ms = board_get(&upstream->slot->first) > 0 ? LOOK_PLACE_MS
							   : LOOK_MS;
	TAILQ_FOREACH (use, &upstream->waiting, try->next) {
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
 * which it has tried, or cannot take.
 */
static void
let_in(struct upstream *upstream)
{
	const struct upstream_handlers *handlers = upstream->all->handlers;
	uint64_t now = upstream_now(upstream);
	struct upstream_use *use, *after;
	bool hopeless = false, was_apart;

	for (use = TAILQ_FIRST(&upstream->waiting); use != NULL; use = after) {
		after = TAILQ_NEXT(use, try->next);
		was_apart = upstream_is_apart(use->try);
		if (hopeless && !handlers->has_left(use) &&
		    (use->try->deadline_ms == 0 || use->try->deadline_ms > now))
			continue;
		handlers->on_turn(use);
		/* It may be gone; if not, it is still the one before after. */
		if (after != NULL
			? TAILQ_PREV(after, upstream_uses, try->next) == use
			: TAILQ_LAST(&upstream->waiting, upstream_uses) == use)
			hopeless = !was_apart;
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

/* ---- tickets ---- */

bool
upstream_is_apart(const struct upstream_try *try)
{
	return try->count > 0 || try->choosy;
}

static void
show_first(struct upstream *upstream)
{
	const struct upstream_use *use;
	uint64_t first = 0;

	TAILQ_FOREACH (use, &upstream->waiting, try->next) {
		first = use->try->ticket;
		if (first != 0)
			break;
	}
	atomic_store(&upstream->slot->first, first);
}

static void
draw_ticket(struct upstream_use *use)
{
	struct upstream *upstream = use->upstream;

	if (use->try->for_answer || upstream_is_apart(use->try))
		return;
	use->try->ticket = 1 + atomic_fetch_add(&upstream->state->ticket, 1);
	if (board_get(&upstream->slot->first) == 0)
		atomic_store(&upstream->slot->first, use->try->ticket);
}

/* For too long, once somebody sees a place that it does not take. */
static bool
is_idle(struct upstream *upstream, uint64_t ticket)
{
	uint64_t now = upstream_now(upstream);

	if (ticket != upstream->idle_ticket) {
		upstream->idle_ticket = ticket;
		upstream->idle_since_ms = now;
	}
	return now - upstream->idle_since_ms >= PATIENCE_MS;
}

bool
upstream_is_first(const struct upstream_use *use)
{
	struct upstream *upstream = use->upstream;
	uint64_t ticket = use->try->ticket, first;

	if (upstream->config->queue == 0 || upstream_is_apart(use->try))
		return true;
	for (;;) {
		first = board_upstream_first(
		    upstream->all->board, upstream->row, upstream->passed_over);
		if (first == 0 || (ticket != 0 && ticket <= first))
			return true;
		if (first == board_get(&upstream->slot->first) ||
		    !is_idle(upstream, first))
			return false;
		upstream->passed_over = first;
	}
}

/* ---- waiting ---- */

bool
upstream_may_wait(struct upstream_use *use, bool for_answer)
{
	struct upstream *upstream = use->upstream;
	struct upstream_try *try = use->try;

	if (try->waiting && try->for_answer == for_answer)
		return try->deadline_ms == 0 ||
		       upstream_now(upstream) < try->deadline_ms;
	if (try->waiting) {
		/* The name is known now, and its servers are full. */
		try->for_answer = for_answer;
		try->deadline_ms = deadline(use, for_answer);
		TAILQ_REMOVE(&upstream->waiting, use, try->next);
		TAILQ_INSERT_TAIL(&upstream->waiting, use, try->next);
		draw_ticket(use);
		return for_answer || upstream->config->queue > 0;
	}
	if (!take_place(upstream, for_answer))
		return false;
	try->for_answer = for_answer;
	try->deadline_ms = deadline(use, for_answer);
	try->waiting = true;
	TAILQ_INSERT_TAIL(&upstream->waiting, use, try->next);
	draw_ticket(use);
	if (upstream->timer == NULL || !weir_timer_running(upstream->timer))
		start_timer(upstream, next_look(upstream));
	return true;
}

bool
upstream_waits(const struct upstream_use *use)
{
	return use->try != NULL && use->try->waiting;
}

void
upstream_leave(struct upstream_use *use)
{
	struct upstream *upstream = use->upstream;

	if (!upstream_waits(use))
		return;
	use->try->waiting = false;
	TAILQ_REMOVE(&upstream->waiting, use, try->next);
	board_sub(&upstream->slot->queued, 1);
	use->try->ticket = 0;
	show_first(upstream);
	if (TAILQ_EMPTY(&upstream->waiting) && upstream->timer != NULL)
		weir_timer_stop(upstream->timer);
}
