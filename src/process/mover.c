/*
 * Moving sessions: the wire between the two who do it, and what both of them
 * keep.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/loop.h>

#include "config/config.h"
#include "log/log.h"
#include "process/mover_priv.h"

/* The owner may free the mover when told: from the timer, where nothing else
 * of it runs. */
void
mover_done(struct mover *m)
{
	if (m->over)
		return;
	m->over = true;
	weir_timer_stop(m->patience);
	if (weir_timer_start(m->pass_timer, 0) != 0)
		log_error("no memory for a timer, connections stay");
}

int
mover_tell(struct mover *m, enum mover_kind kind, uint32_t number)
{
	const struct mover_head head = {.kind = kind, .number = number};

	return wire_send(m->wire, &head, sizeof(head), NULL, 0);
}

bool
mover_keep_config(struct mover *m, uint32_t place, struct config *config)
{
	struct config **rows;

	if (place >= MOVER_CONFIGS || place < m->config_count)
		return false;
	rows = reallocarray(m->configs, place + 1, sizeof(*m->configs));
	if (rows == NULL)
		return false;
	m->configs = rows;
	while (m->config_count < place)
		rows[m->config_count++] = NULL;
	rows[m->config_count++] = config != NULL ? config_ref(config) : NULL;
	return true;
}

/* ---- the wire ---- */

static void
on_message(struct wire *wire, const struct wire_message *message, void *user)
{
	struct mover *m = user;
	struct mover_head head = {0};

	(void)wire;
	if (message->length >= sizeof(head))
		memcpy(&head, message->data, sizeof(head));
	if (!m->giving) {
		mover_taken_in(m, message, &head);
		return;
	}
	wire_close_fds(message);
	if (head.kind == MOVER_HAVE || head.kind == MOVER_NO)
		mover_answered(m, head.number, head.kind == MOVER_HAVE);
}

/* Out of descriptors: the next one in turn. */
static void
on_lost(struct wire *wire, int err, void *user)
{
	struct mover *m = user;

	(void)wire;
	(void)err;
	if (!m->giving)
		(void)mover_tell(m, MOVER_NO, ++m->number);
}

/* The giver has died: what it had not taken back is nobody's but ours. The
 * taker has: what was under way goes on here. */
static void
on_close(struct wire *wire, void *user)
{
	struct mover *m = user;

	(void)wire;
	mover_settle_all(m, true);
	m->failed = !m->over;
	mover_cancel_all(m);
	mover_done(m);
}

static const struct wire_handlers wire_handlers = {
    .on_message = on_message,
    .on_lost = on_lost,
    .on_close = on_close,
};

/* ---- new and free ---- */

static int
new_mover(struct mover **ret, struct weir_loop *loop, int fd, bool giving,
    struct proxy *proxy, const struct mover_handlers *handlers, void *user)
{
	struct mover *m = calloc(1, sizeof(*m));
	int err;

	if (m == NULL)
		return -ENOMEM;
	m->giving = giving;
	m->proxy = proxy;
	m->handlers = handlers;
	m->user = user;
	STAILQ_INIT(&m->taken);
	err = weir_timer_new(&m->patience, loop, mover_on_impatient, m);
	if (err == 0)
		err = weir_timer_new(&m->pass_timer, loop, mover_on_pass, m);
	if (err == 0 && giving)
		err = weir_timer_start(m->pass_timer, 0);
	/* The last: the descriptor is the caller's where it fails. */
	if (err == 0)
		err = wire_new(&m->wire, loop, fd, &wire_handlers, m);
	if (err != 0) {
		mover_free(m);
		return err;
	}
	*ret = m;
	return 0;
}

int
mover_give(struct mover **ret, struct weir_loop *loop, int fd,
    struct proxy *proxy, const struct mover_handlers *handlers, void *user)
{
	return new_mover(ret, loop, fd, true, proxy, handlers, user);
}

int
mover_take(struct mover **ret, struct weir_loop *loop, int fd,
    struct proxy *proxy, const struct mover_handlers *handlers, void *user)
{
	return new_mover(ret, loop, fd, false, proxy, handlers, user);
}

struct mover_counts
mover_counts(const struct mover *m)
{
	return m->counts;
}

bool
mover_failed(const struct mover *m)
{
	return m->failed;
}

void
mover_free(struct mover *m)
{
	if (m == NULL)
		return;
	m->over = true;
	if (m->wire != NULL)
		mover_cancel_all(m);
	wire_free(m->wire);
	mover_settle_all(m, false);
	while (m->config_count > 0)
		config_unref(m->configs[--m->config_count]);
	free(m->configs);
	weir_timer_free(m->patience);
	weir_timer_free(m->pass_timer);
	free(m);
}
