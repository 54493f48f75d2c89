/*
 * Connections of many processes, which go over one mover each. A master has
 * none itself: it makes the channels, gives one end of each to a worker and
 * says the other end on the wire. Who takes spreads what comes over its own
 * workers, whose number may be another one.
 */
#include "config.h"

#include "process/migrate.h"

#include <sys/queue.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/channel.h>
#include <weir/error.h>
#include <weir/loop.h>

#include "log/log.h"
#include "process/fleet.h"
#include "process/wire.h"
#include "proxy/board.h"
#include "proxy/proxy.h"

#define GIVE_PATIENCE_MS 60000

struct migrate {
	struct weir_loop *loop;
	struct fleet *fleet;
	struct wire *wire;
	void (*done)(const struct mover_counts *, bool, void *);
	void *user;
	struct mover *mover; /* of this process; or NULL */
	struct fleet_call *call;
	struct mover_counts counts;
	bool failed;
};

/* ---- asking ---- */

static void
ignore(int err, unsigned silent, void *user)
{
	(void)err;
	(void)silent;
	(void)user;
}

static void
order(struct fleet *fleet, uint32_t kind, const void *data, size_t length,
    const int *fds, size_t fd_count)
{
	const struct fleet_question question = {
	    .message =
		{
		    .kind = kind,
		    .data = data,
		    .length = length,
		    .fds = fds,
		    .fd_count = fd_count,
		},
	    .done = ignore,
	};

	(void)fleet_ask(fleet, &question, NULL);
}

void
migrate_hold(struct fleet *fleet, struct proxy *proxy, bool on)
{
	if (fleet_is_master(fleet))
		order(
		    fleet, on ? MIGRATE_HOLD : MIGRATE_GO_ON, NULL, 0, NULL, 0);
	else
		proxy_hold(proxy, on);
}

/* ---- giving ---- */

static void
on_given(struct mover *mover, void *user)
{
	struct migrate *m = user;

	m->counts = mover_counts(mover);
	m->failed = mover_failed(mover);
	m->done(&m->counts, m->failed, m->user);
}

static const struct mover_handlers give_handlers = {
    .on_done = on_given,
};

static void
on_part(pid_t pid, int err, const void *data, size_t length, void *user)
{
	struct migrate *m = user;
	struct mover_counts counts;

	(void)pid;
	if (err != 0)
		m->failed = true;
	if (length != sizeof(counts))
		return;
	memcpy(&counts, data, sizeof(counts));
	m->counts.moved += counts.moved;
	m->counts.stayed += counts.stayed;
}

static void
on_all_given(int err, unsigned silent, void *user)
{
	struct migrate *m = user;

	/* A worker that is silent keeps what it has. */
	(void)err;
	(void)silent;
	m->call = NULL;
	m->done(&m->counts, m->failed, m->user);
}

static void
close_all(int *fds, size_t count)
{
	while (count > 0)
		(void)close(fds[--count]);
}

/* A channel, whose other end is said. */
static int
open_mover(struct migrate *m, int *ret)
{
	int fds[2], err = weir_channel_pair(fds);

	if (err != 0)
		return err;
	err = wire_say(m->wire, fds[1], "mover", NULL);
	(void)close(fds[1]);
	if (err != 0)
		(void)close(fds[0]);
	else
		*ret = fds[0];
	return err;
}

static int
give_own(struct migrate *m, struct proxy *proxy)
{
	int fd, err = open_mover(m, &fd);

	if (err != 0)
		return err;
	err = mover_give(&m->mover, m->loop, fd, proxy, &give_handlers, m);
	if (err != 0)
		(void)close(fd);
	return err;
}

static int
give_workers(struct migrate *m)
{
	int fds[BOARD_WORKERS], err = 0;
	size_t count = fleet_places(m->fleet), i;
	const struct fleet_question question = {
	    .message =
		{
		    .kind = MIGRATE_GIVE,
		    .fds = fds,
		    .fd_count = count,
		},
	    .patience_ms = GIVE_PATIENCE_MS,
	    .part = on_part,
	    .done = on_all_given,
	    .user = m,
	};

	for (i = 0; i < count && err == 0; i++)
		err = open_mover(m, &fds[i]);
	if (err == 0)
		err = fleet_ask(m->fleet, &question, &m->call);
	else
		i--;
	close_all(fds, i);
	return err;
}

int
migrate_give(struct migrate **ret, struct weir_loop *loop, struct fleet *fleet,
    struct proxy *proxy, struct wire *wire,
    void (*done)(const struct mover_counts *counts, bool failed, void *user),
    void *user)
{
	struct migrate *m = calloc(1, sizeof(*m));
	int err;

	if (m == NULL)
		return -ENOMEM;
	m->loop = loop;
	m->fleet = fleet;
	m->wire = wire;
	m->done = done;
	m->user = user;
	err = fleet_is_master(fleet) ? give_workers(m) : give_own(m, proxy);
	if (err != 0) {
		free(m);
		return err;
	}
	*ret = m;
	return 0;
}

void
migrate_free(struct migrate *m)
{
	if (m == NULL)
		return;
	fleet_cancel(m->call);
	mover_free(m->mover);
	free(m);
}

/* ---- the hands ---- */

struct hand {
	LIST_ENTRY(hand) next;
	struct migrate_hands *hands;
	struct mover *mover;
	struct fleet *fleet; /* giving: to be told how it went */
	uint32_t call;
};

struct migrate_hands {
	struct weir_loop *loop;
	struct proxy *proxy;
	LIST_HEAD(, hand) list;
};

int
migrate_hands_new(
    struct migrate_hands **ret, struct weir_loop *loop, struct proxy *proxy)
{
	struct migrate_hands *hands = calloc(1, sizeof(*hands));

	if (hands == NULL)
		return -ENOMEM;
	hands->loop = loop;
	hands->proxy = proxy;
	LIST_INIT(&hands->list);
	*ret = hands;
	return 0;
}

static void
free_hand(struct hand *hand)
{
	LIST_REMOVE(hand, next);
	mover_free(hand->mover);
	free(hand);
}

void
migrate_hands_free(struct migrate_hands *hands)
{
	struct hand *hand;

	if (hands == NULL)
		return;
	while ((hand = LIST_FIRST(&hands->list)) != NULL)
		free_hand(hand);
	free(hands);
}

static struct hand *
new_hand(struct migrate_hands *hands)
{
	struct hand *hand = calloc(1, sizeof(*hand));

	if (hand == NULL)
		return NULL;
	hand->hands = hands;
	LIST_INSERT_HEAD(&hands->list, hand, next);
	return hand;
}

static void
on_taken(struct mover *mover, void *user)
{
	struct hand *hand = user;

	log_info("connections were taken over",
	    LOG_N("connections", mover_counts(mover).moved));
	free_hand(hand);
}

static const struct mover_handlers take_handlers = {
    .on_done = on_taken,
};

static void
take_here(struct migrate_hands *hands, int fd)
{
	struct hand *hand = new_hand(hands);
	int err = -ENOMEM;

	if (hand != NULL)
		err = mover_take(&hand->mover, hands->loop, fd, hands->proxy,
		    &take_handlers, hand);
	if (err == 0)
		return;
	/* Nobody takes them: they stay where they are. */
	(void)close(fd);
	if (hand != NULL)
		free_hand(hand);
	log_error("cannot take over connections",
	    LOG_T("error", weir_error_text(err)));
}

void
migrate_take(
    struct migrate_hands *hands, struct fleet *fleet, int fd, unsigned place)
{
	uint32_t wanted;

	if (!fleet_is_master(fleet)) {
		take_here(hands, fd);
		return;
	}
	wanted = place % fleet_places(fleet);
	order(fleet, MIGRATE_TAKE, &wanted, sizeof(wanted), &fd, 1);
	(void)close(fd);
}

static void
on_hand_given(struct mover *mover, void *user)
{
	struct hand *hand = user;
	const struct mover_counts counts = mover_counts(mover);

	(void)fleet_reply(hand->fleet, hand->call,
	    mover_failed(mover) ? -EPIPE : 0, &counts, sizeof(counts));
	free_hand(hand);
}

static const struct mover_handlers hand_handlers = {
    .on_done = on_hand_given,
};

static int
give_here(
    struct migrate_hands *hands, struct fleet *fleet, uint32_t call, int fd)
{
	struct hand *hand = new_hand(hands);
	int err;

	if (hand == NULL)
		return -ENOMEM;
	hand->fleet = fleet;
	hand->call = call;
	err = mover_give(
	    &hand->mover, hands->loop, fd, hands->proxy, &hand_handlers, hand);
	if (err != 0)
		free_hand(hand);
	return err;
}

static void
give_mine(struct migrate_hands *hands, struct fleet *fleet, uint32_t call,
    unsigned place, const struct fleet_message *message)
{
	int err = -ENOENT;
	size_t i;

	for (i = 0; i < message->fd_count; i++) {
		if (i == place)
			err = give_here(hands, fleet, call, message->fds[i]);
		if (i != place || err != 0)
			(void)close(message->fds[i]);
	}
	if (err != 0) /* none was meant for this one: nothing to give */
		(void)fleet_reply(
		    fleet, call, err == -ENOENT ? 0 : err, NULL, 0);
}

static void
take_mine(struct migrate_hands *hands, unsigned place,
    const struct fleet_message *message)
{
	uint32_t wanted = 0;

	if (message->length == sizeof(wanted))
		memcpy(&wanted, message->data, sizeof(wanted));
	if (message->fd_count != 1)
		return;
	if (wanted == place)
		take_here(hands, message->fds[0]);
	else
		(void)close(message->fds[0]);
}

bool
migrate_answer(struct migrate_hands *hands, struct fleet *fleet, uint32_t call,
    unsigned place, const struct fleet_message *message)
{
	switch (message->kind) {
	case MIGRATE_HOLD:
	case MIGRATE_GO_ON:
		proxy_hold(hands->proxy, message->kind == MIGRATE_HOLD);
		break;
	case MIGRATE_GIVE:
		give_mine(hands, fleet, call, place, message);
		return true;
	case MIGRATE_TAKE:
		take_mine(hands, place, message);
		break;
	default:
		return false;
	}
	(void)fleet_reply(fleet, call, 0, NULL, 0);
	return true;
}
