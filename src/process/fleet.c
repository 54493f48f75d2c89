/*
 * The fleet, as the floors above see it: one set of calls, whether this
 * process serves or its workers do.
 */
#include "config.h"

#include "process/fleet_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <weir/loop.h>

int
fleet_new(struct fleet **ret, struct weir_loop *loop,
    const struct fleet_options *options, const struct fleet_handlers *handlers,
    void *user)
{
	struct fleet *fleet = calloc(1, sizeof(*fleet));
	int err = 0;

	if (fleet == NULL)
		return -ENOMEM;
	fleet->loop = loop;
	fleet->options = *options;
	fleet->handlers = handlers;
	fleet->user = user;
	fleet->channel_fd = -1;
	fleet->role = options->workers > 1 ? FLEET_MASTER : FLEET_ALONE;
	TAILQ_INIT(&fleet->members);
	TAILQ_INIT(&fleet->calls);
	LIST_INIT(&fleet->lists);
	STAILQ_INIT(&fleet->owed);
	STAILQ_INIT(&fleet->outbox.posts);
	if (fleet->role == FLEET_MASTER)
		err = master_new(fleet);
	if (err != 0) {
		fleet_free(fleet);
		return err;
	}
	*ret = fleet;
	return 0;
}

void
fleet_free(struct fleet *fleet)
{
	if (fleet == NULL)
		return;
	calls_free_all(fleet);
	master_free(fleet);
	worker_free(fleet);
	free(fleet);
}

bool
fleet_is_master(const struct fleet *fleet)
{
	return fleet->role == FLEET_MASTER;
}

bool
fleet_is_worker(const struct fleet *fleet)
{
	return fleet->role == FLEET_WORKER;
}

bool
fleet_has_child(const struct fleet *fleet, pid_t pid)
{
	const struct member *member;

	TAILQ_FOREACH (member, &fleet->members, next)
		if (member->pid == pid && !member->reaped)
			return true;
	return false;
}

unsigned
fleet_places(const struct fleet *fleet)
{
	return fleet->options.workers;
}

unsigned
fleet_place(const struct fleet *fleet)
{
	return fleet->place;
}

void
fleet_start(struct fleet *fleet)
{
	if (fleet->role == FLEET_MASTER) {
		master_start(fleet);
		return;
	}
	board_worker_began(fleet->options.board, fleet->options.slot, getpid());
	proxy_accept(fleet->options.proxy);
}

void
fleet_drain(struct fleet *fleet, uint64_t timeout_ms)
{
	if (fleet->role == FLEET_MASTER)
		master_end(fleet, false, timeout_ms);
	proxy_drain(fleet->options.proxy, timeout_ms);
}

void
fleet_stop(struct fleet *fleet)
{
	if (fleet->role == FLEET_MASTER)
		master_end(fleet, true, 0);
	proxy_stop(fleet->options.proxy);
}

void
fleet_proxy_drained(struct fleet *fleet, uint64_t destroyed)
{
	switch (fleet->role) {
	case FLEET_ALONE:
		fleet->over = true;
		fleet->handlers->on_drained(fleet, destroyed, fleet->user);
		break;
	case FLEET_MASTER:
		fleet->proxy_drained = true;
		master_check_over(fleet);
		break;
	case FLEET_WORKER:
		worker_drained(fleet, destroyed);
		break;
	}
}

/* ---- workers ---- */

bool
fleet_worker(const struct fleet *fleet, size_t index, struct fleet_worker *ret)
{
	if (fleet->role == FLEET_MASTER)
		return master_worker(fleet, index, ret);
	if (index > 0)
		return false;
	*ret = (struct fleet_worker){
	    .pid = getpid(),
	    .connections = proxy_connections(fleet->options.proxy),
	    .draining = proxy_draining(fleet->options.proxy),
	};
	return true;
}

/* ---- calls ---- */

static int
answer(fleet_done *done, int err, void *user, struct fleet_call **call)
{
	if (call != NULL)
		*call = NULL;
	done(err, 0, user);
	return 0;
}

int
fleet_refresh(
    struct fleet *fleet, fleet_done *done, void *user, struct fleet_call **call)
{
	const struct fleet_question question = {.done = done, .user = user};

	if (fleet->role == FLEET_MASTER)
		return calls_ask(fleet, &question, ASK_REFRESH, call);
	return answer(done, 0, user, call);
}

int
fleet_ask(struct fleet *fleet, const struct fleet_question *question,
    struct fleet_call **call)
{
	if (fleet->role == FLEET_MASTER)
		return calls_ask(fleet, question,
		    MESSAGE_OTHER + question->message.kind, call);
	return answer(question->done, 0, question->user, call);
}

void
fleet_more(struct fleet_call *call)
{
	const struct fleet_rows *handlers = call->rows;
	void *user = call->user;

	if (call->fleet != NULL) {
		calls_more(call);
		return;
	}
	if (proxy_walk_next(call->walk, FLEET_ROWS, handlers->row, user)) {
		handlers->rested(user);
		return;
	}
	fleet_cancel(call);
	handlers->done(0, 0, user);
}

int
fleet_connections(struct fleet *fleet, const char *listener,
    const struct fleet_rows *handlers, void *user, struct fleet_call **ret)
{
	struct proxy *proxy = fleet->options.proxy;
	struct fleet_call *call;

	if (listener != NULL && proxy_find_listener(proxy, listener) < 0)
		return answer(handlers->done, -ENOENT, user, ret);
	if (fleet->role == FLEET_MASTER)
		return calls_list(fleet, listener, handlers, user, ret);
	call = calloc(1, sizeof(*call));
	if (call == NULL || proxy_walk_new(&call->walk, proxy, listener) != 0) {
		free(call);
		return -ENOMEM;
	}
	call->rows = handlers;
	call->user = user;
	if (!proxy_walk_next(call->walk, FLEET_ROWS, handlers->row, user)) {
		fleet_cancel(call);
		return answer(handlers->done, 0, user, ret);
	}
	*ret = call;
	handlers->rested(user);
	return 0;
}

int
fleet_kill(struct fleet *fleet, uint64_t id, fleet_done *done, void *user,
    struct fleet_call **call)
{
	const struct fleet_question question = {
	    .message = {.data = &id, .length = sizeof(id)},
	    .done = done,
	    .user = user,
	};

	if (fleet->role == FLEET_MASTER)
		return calls_ask(fleet, &question, ASK_KILL, call);
	return answer(done, proxy_kill(fleet->options.proxy, id), user, call);
}

int
fleet_listener_close(struct fleet *fleet, const char *name, fleet_done *done,
    void *user, struct fleet_call **call)
{
	int err = proxy_listener_close(fleet->options.proxy, name);

	if (err != 0 || fleet->role != FLEET_MASTER)
		return answer(done, err, user, call);
	/* Messages are read in their order: who answers the second one has
	 * done what the first one says. */
	master_sync_sockets(fleet);
	return fleet_refresh(fleet, done, user, call);
}

int
fleet_listener_open(struct fleet *fleet, const char *name, fleet_done *done,
    void *user, struct fleet_call **call)
{
	int err = proxy_listener_open(fleet->options.proxy, name);

	if (err != 0)
		return answer(done, err, user, call);
	return calls_open(fleet, name, done, user, call);
}

/* ---- orders ---- */

void
fleet_set_log_level(struct fleet *fleet, enum log_level level)
{
	uint32_t number = level;

	log_set_level(level);
	if (fleet->role == FLEET_MASTER)
		master_order(fleet, ORDER_LOG_LEVEL, &number, sizeof(number));
}

static void
log_figures(int err, unsigned silent, void *user)
{
	const struct fleet *fleet = user;

	(void)err;
	(void)silent;
	proxy_log_figures(fleet->options.proxy);
}

int
fleet_reopen_logs(struct fleet *fleet, const char **path)
{
	int err = log_reopen(path);

	if (fleet->role == FLEET_MASTER)
		master_order(fleet, ORDER_LOGS, NULL, 0);
	if (fleet_refresh(fleet, log_figures, fleet, NULL) != 0)
		log_figures(-ENOMEM, 0, fleet);
	return err;
}

void
fleet_set_drain(struct fleet *fleet, bool on)
{
	board_set_drain(fleet->options.board, on);
}

bool
fleet_drain_set(const struct fleet *fleet)
{
	return board_drain(fleet->options.board);
}
