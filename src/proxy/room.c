/*
 * Room for connections, counted for all workers together without a lock.
 *
 * A place is taken by counting oneself first, and then looking at the sum:
 * when it is too high the place is given back. Two that take the last place at
 * one moment may both see too many, so each looks again; that it is never
 * exceeded is what is promised. With on_limit = wait a client was accepted by
 * then: it is held, and is the first when there is room.
 *
 * Who is paused at a limit is not told when a connection of another worker
 * ends. It looks by itself every LOOK_MS, and only where there are others.
 */
#include "config.h"

#include "proxy/room.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include <weir/loop.h>
#include <weir/socket.h>

#include "log/log.h"
#include "proxy/proxy_priv.h"
#include "proxy/session.h"
#include "proxy/sources.h"

#define LOOK_MS	    20
#define TRIES	    4
#define NS_PER_S    UINT64_C(1000000000)
#define NS_PER_MS   UINT64_C(1000000)
#define SHARE_MS    1 /* others are let first for so long */
#define SHARE_BATCH 4 /* and if they did not take it, so many are */
#define SHARE_SLACK 8 /* connections above the mean that do not matter */

struct held {
	struct weir_socket *client;
	STAILQ_ENTRY(held) next;
};

static bool
alone(const struct listener *listener)
{
	return listener->proxy->workers == 1;
}

/* ---- max_connections ---- */

static bool
above(const struct listener *listener, uint64_t more)
{
	const struct proxy *proxy = listener->proxy;
	uint64_t max = listener->config->max_connections;

	if (max > 0 &&
	    board_listener_connections(proxy->board, listener->row) + more >
		max)
		return true;
	return proxy->max_connections > 0 &&
	       board_connections(proxy->board) + more > proxy->max_connections;
}

static void
count(struct listener *listener, uint64_t change)
{
	struct proxy *proxy = listener->proxy;
	_Atomic uint64_t *all =
	    &board_worker(proxy->board, proxy->worker)->connections;
	_Atomic uint64_t *one = &listener->slot->connections;

	proxy->connections += change;
	/* In this order for all: whoever looks at the sum after this sees it.
	 */
	atomic_store(one, board_get(one) + change);
	atomic_store(all, board_get(all) + change);
}

bool
room_take(struct listener *listener)
{
	int i;

	for (i = 0; i < TRIES; i++) {
		if (above(listener, 1))
			return false;
		count(listener, 1);
		if (!above(listener, 0))
			return true;
		count(listener, (uint64_t)-1);
	}
	return false;
}

void
room_enter(struct listener *listener)
{
	count(listener, 1);
}

void
room_give(struct listener *listener)
{
	count(listener, (uint64_t)-1);
}

int
room_take_source(struct listener *listener, const struct source_key *source)
{
	struct proxy *proxy = listener->proxy;

	return sources_add(proxy->board, proxy->worker,
	    source_hash(source, board_seed(proxy->board), listener->row),
	    listener->config->max_per_source);
}

void
room_give_source(struct listener *listener, const struct source_key *source)
{
	struct proxy *proxy = listener->proxy;

	sources_remove(proxy->board, proxy->worker,
	    source_hash(source, board_seed(proxy->board), listener->row));
}

/* ---- on_limit = wait ---- */

int
room_hold(struct listener *listener, struct weir_socket *client)
{
	struct held *held = malloc(sizeof(*held));

	if (held == NULL)
		return -ENOMEM;
	held->client = client;
	STAILQ_INSERT_TAIL(&listener->room.held, held, next);
	return 0;
}

static void
let_in_held(struct listener *listener)
{
	struct held *held;

	while (!above(listener, 1) &&
	       (held = STAILQ_FIRST(&listener->room.held)) != NULL) {
		STAILQ_REMOVE_HEAD(&listener->room.held, next);
		if (weir_socket_ready_state(held->client) == WEIR_CLOSED)
			weir_socket_free(held->client); /* it has left */
		else
			session_start(listener, held->client);
		free(held);
	}
}

void
room_shut(struct listener *listener)
{
	struct held *held;

	while ((held = STAILQ_FIRST(&listener->room.held)) != NULL) {
		STAILQ_REMOVE_HEAD(&listener->room.held, next);
		weir_socket_free(held->client);
		free(held);
	}
}

static void
on_limit_timer(struct weir_timer *timer, void *user)
{
	(void)timer;
	room_check(user);
}

static void
look_again(struct listener *listener)
{
	struct weir_timer **timer = &listener->room.limit_timer;

	if (*timer == NULL) {
		if (weir_timer_new(timer, listener->proxy->loop, on_limit_timer,
			listener) != 0) {
			listener_unpause(listener, PAUSE_LIMIT);
			return;
		}
		weir_timer_unref(*timer);
	}
	if (weir_timer_start(*timer, LOOK_MS) != 0)
		listener_unpause(listener, PAUSE_LIMIT);
}

void
room_check(struct listener *listener)
{
	if (listener->config->on_limit != CONFIG_LIMIT_WAIT ||
	    listener->proxy->draining)
		return;
	if (!STAILQ_EMPTY(&listener->room.held))
		let_in_held(listener);
	if (STAILQ_EMPTY(&listener->room.held) && !above(listener, 1)) {
		listener_unpause(listener, PAUSE_LIMIT);
		return;
	}
	listener_pause(listener, PAUSE_LIMIT);
	if (!alone(listener))
		look_again(listener);
}

/* ---- max_rate ---- */

static uint64_t
now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* How far ahead of the clock may those be that came: a tenth of a second. */
static uint64_t
slack_ns(uint64_t rate)
{
	return rate > 10 ? NS_PER_S / 10 - NS_PER_S / rate : 0;
}

/* Each connection is due one interval after the one before. Returns when the
 * one that came was. */
static uint64_t
take_turn(_Atomic uint64_t *at, uint64_t interval, uint64_t now)
{
	uint64_t was = board_get(at), is;

	do {
		is = (was > now ? was : now) + interval;
	} while (!atomic_compare_exchange_weak(at, &was, is));
	return is;
}

static void on_rate_timer(struct weir_timer *timer, void *user);

/* Rest until the next one may come, if that is not now. */
static void
rest_until(struct listener *listener, uint64_t due, uint64_t now)
{
	struct weir_timer **timer = &listener->room.rate_timer;
	uint64_t slack = slack_ns(listener->config->max_rate);

	if (due <= now + slack) {
		listener_unpause(listener, PAUSE_RATE);
		return;
	}
	if (*timer == NULL && weir_timer_new(timer, listener->proxy->loop,
				  on_rate_timer, listener) != 0)
		return;
	if (weir_timer_start(*timer, (due - now - slack) / NS_PER_MS + 1) == 0)
		listener_pause(listener, PAUSE_RATE);
	else
		listener_unpause(listener, PAUSE_RATE);
}

/* Another worker may have taken the turn in the meantime. */
static void
on_rate_timer(struct weir_timer *timer, void *user)
{
	struct listener *listener = user;
	const struct board_listener *row =
	    board_listener(listener->proxy->board, listener->row);

	(void)timer;
	rest_until(listener, board_get(&row->rate_at_ns), now_ns());
}

/* Whoever comes too fast waits in the backlog: accept so many, then rest. */
static void
check_rate(struct listener *listener)
{
	struct board_listener *row =
	    board_listener(listener->proxy->board, listener->row);
	uint64_t rate = listener->config->max_rate, now;

	if (rate == 0)
		return;
	now = now_ns();
	rest_until(
	    listener, take_turn(&row->rate_at_ns, NS_PER_S / rate, now), now);
}

/* ---- the same number for all ---- */

static void
on_share_timer(struct weir_timer *timer, void *user)
{
	struct listener *listener = user;

	(void)timer;
	listener->room.unshared = SHARE_BATCH;
	listener_unpause(listener, PAUSE_SHARE);
}

/* Whether this worker has clearly more than the mean of those that live. */
static bool
has_many(const struct proxy *proxy)
{
	unsigned i, n = board_workers(proxy->board), alive = 0;
	uint64_t all = 0, own = proxy->connections;
	const struct board_worker *worker;

	if (own <= SHARE_SLACK)
		return false;
	for (i = 0; i < n; i++) {
		worker = board_worker(proxy->board, i);
		if (atomic_load(&worker->alive) == 0)
			continue;
		all += board_get(&worker->connections);
		alive++;
	}
	return (own - SHARE_SLACK) * alive > all + all / 8;
}

/*
 * All workers are woken by a connection that comes to a shared socket, and who
 * is first takes it. One that has many already leaves it to the others for a
 * moment; then nobody else wanted it, or nobody else is awake.
 */
static void
check_share(struct listener *listener)
{
	struct weir_timer **timer = &listener->room.share_timer;

	if (alone(listener))
		return;
	if (listener->room.unshared > 0) {
		listener->room.unshared--;
		return;
	}
	if (!has_many(listener->proxy))
		return;
	if (*timer == NULL && weir_timer_new(timer, listener->proxy->loop,
				  on_share_timer, listener) != 0)
		return;
	if (weir_timer_start(*timer, SHARE_MS) == 0)
		listener_pause(listener, PAUSE_SHARE);
}

void
room_changed(struct listener *listener)
{
	struct room *room = &listener->room;
	struct held *held;

	if (listener->config->max_rate == 0 && room->rate_timer != NULL) {
		weir_timer_stop(room->rate_timer);
		listener_unpause(listener, PAUSE_RATE);
	}
	if (listener->config->on_limit == CONFIG_LIMIT_WAIT) {
		room_check(listener);
		return;
	}
	if (room->limit_timer != NULL)
		weir_timer_stop(room->limit_timer);
	listener_unpause(listener, PAUSE_LIMIT);
	/* Whoever waited for room is let in, or told that there is none. */
	while ((held = STAILQ_FIRST(&room->held)) != NULL) {
		STAILQ_REMOVE_HEAD(&room->held, next);
		session_start(listener, held->client);
		free(held);
	}
}

void
room_taken(struct listener *listener)
{
	check_rate(listener);
	room_check(listener);
	check_share(listener);
}

/* ---- new and free ---- */

void
room_init(struct listener *listener)
{
	STAILQ_INIT(&listener->room.held);
}

void
room_free(struct listener *listener)
{
	room_shut(listener);
	weir_timer_free(listener->room.limit_timer);
	weir_timer_free(listener->room.rate_timer);
	weir_timer_free(listener->room.share_timer);
}
