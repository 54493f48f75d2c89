/*
 * The master's workers, once they are forked (fleet_fork.c): what they are
 * told, what they tell, and how they end.
 *
 * One that dies, or begins to end by itself, is replaced in its place: at once,
 * unless it died within a second; then after a pause that doubles each time.
 * What one had open when it died is closed by the kernel and on the board; its
 * figures stay. While all end nobody is replaced, and who has not ended in time
 * is killed, stopped or not.
 *
 * A worker is gone when it was reaped and its channel is closed: what it had
 * told before is read by then.
 */
#include "config.h"

#include "process/fleet_priv.h"

#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/loop.h>

#define PAUSE_MS     100
#define PAUSE_MAX_MS 10000
#define SYNC_MS	     1 /* sockets of a range come one by one */

/* ---- sending ---- */

static void
give_up(struct member *member, const char *why)
{
	if (member->given_up || member->reaped)
		return;
	log_error("a worker is killed", LOG_N("worker", member->pid),
	    LOG_T("reason", why));
	member->given_up = true;
	(void)kill(member->pid, SIGKILL);
}

int
master_send(struct member *member, uint32_t kind, uint32_t call,
    const void *data, size_t length, const int *fds, size_t fd_count)
{
	const struct message_header header = {.kind = kind, .call = call};
	char message[WEIR_MESSAGE_MAX];
	int err;

	if (length > sizeof(message) - sizeof(header))
		return -EMSGSIZE;
	memcpy(message, &header, sizeof(header));
	if (length > 0)
		memcpy(message + sizeof(header), data, length);
	err = outbox_send(
	    &member->outbox, message, sizeof(header) + length, fds, fd_count);
	/* An order that is lost would leave it in a state of its own. */
	if (err != 0 && err != -EPIPE)
		give_up(member, err == -ENOBUFS ? "it takes no orders"
						: weir_error_text(err));
	return err;
}

void
master_order(
    struct fleet *fleet, uint32_t kind, const void *data, size_t length)
{
	struct member *member;

	TAILQ_FOREACH (member, &fleet->members, next)
		(void)master_send(member, kind, 0, data, length, NULL, 0);
}

/* ---- sockets ---- */

struct batch {
	struct fleet *fleet;
	struct message_sockets message;
	int fds[WEIR_MESSAGE_FDS];
};

static void
send_batch(struct batch *batch)
{
	struct member *member;

	TAILQ_FOREACH (member, &batch->fleet->members, next)
		(void)master_send(member, ORDER_SOCKETS, 0, &batch->message,
		    sizeof(batch->message), batch->fds, batch->message.count);
	batch->message.begin = 0;
	batch->message.count = 0;
}

static void
add_socket(int fd, int place, void *user)
{
	struct batch *batch = user;

	if (batch->message.count == WEIR_MESSAGE_FDS)
		send_batch(batch);
	batch->fds[batch->message.count] = fd;
	batch->message.places[batch->message.count++] = place;
}

void
master_sync_sockets(struct fleet *fleet)
{
	struct proxy *proxy = fleet->options.proxy;
	struct listener_figures figures;
	size_t i, n = proxy_listener_count(proxy);
	struct batch batch;

	for (i = 0; i < n; i++) {
		if (!proxy_take_sockets_changed(proxy, i) || fleet->ending)
			continue;
		batch = (struct batch){.fleet = fleet};
		batch.message.begin = 1;
		proxy_listener_figures(proxy, i, &figures);
		strcpy(batch.message.listener, figures.name);
		proxy_each_socket(proxy, i, add_socket, &batch);
		send_batch(&batch);
	}
}

static void
on_sync_timer(struct weir_timer *timer, void *user)
{
	(void)timer;
	master_sync_sockets(user);
}

void
fleet_sockets_changed(struct fleet *fleet)
{
	if (fleet->role == FLEET_MASTER && fleet->started && !fleet->ending &&
	    !weir_timer_running(fleet->sync_timer))
		(void)weir_timer_start(fleet->sync_timer, SYNC_MS);
}

/* ---- what workers tell ---- */

/* It leaves its place to another, and ends when its connections have. */
static void
leave_place(struct member *member)
{
	struct fleet *fleet = member->fleet;
	struct place *place = &fleet->places[member->place];

	member->draining = true;
	if (place->member != member)
		return;
	place->member = NULL;
	if (fleet->ending)
		return;
	place->restarts++;
	place->due_ms = weir_loop_now_ms(fleet->loop);
	master_want_forks(fleet);
}

static void
on_answer(struct member *member, uint32_t call, const char *data, size_t length)
{
	struct message_answer answer;

	if (length < sizeof(answer))
		return;
	memcpy(&answer, data, sizeof(answer));
	calls_answer(member->fleet, member, call, answer.err,
	    data + sizeof(answer), length - sizeof(answer));
}

static void
on_message(struct weir_channel *channel, struct weir_socket *socket,
    const void *data, size_t length, void *user)
{
	(void)channel;
	(void)data;
	(void)length;
	(void)user;
	weir_socket_free(socket); /* workers send none */
}

static void
on_fds(struct weir_channel *channel, const int *fds, size_t count,
    const void *data, size_t length, void *user)
{
	struct member *member = user;
	struct message_header header;
	const char *rest = (const char *)data + sizeof(header);

	(void)channel;
	while (count > 0)
		(void)close(fds[--count]);
	if (length < sizeof(header))
		return;
	memcpy(&header, data, sizeof(header));
	length -= sizeof(header);
	switch (header.kind) {
	case TELL_ROWS:
		calls_rows(member->fleet, member, header.call, rest, length);
		break;
	case TELL_ANSWER:
		on_answer(member, header.call, rest, length);
		break;
	case TELL_DRAINING:
		log_info("a worker ends, another takes its place",
		    LOG_N("worker", member->pid));
		leave_place(member);
		break;
	case TELL_OVER:
		member->over = true;
		if (length == sizeof(member->destroyed))
			memcpy(&member->destroyed, rest, length);
		break;
	default:
		break;
	}
}

static void
on_writable(struct weir_channel *channel, void *user)
{
	struct member *member = user;

	(void)channel;
	outbox_flush(&member->outbox);
}

static void
on_lost(struct weir_channel *channel, int err, void *user)
{
	(void)channel;
	give_up(user, weir_error_text(err));
}

/* ---- the end of one ---- */

static void
log_ended(const struct member *member, uint64_t connections, uint64_t pause_ms)
{
	bool killed = WIFSIGNALED(member->status);
	const struct log_field fields[] = {
	    LOG_N("worker", member->pid),
	    LOG_N(killed ? "signal" : "status",
		killed ? WTERMSIG(member->status)
		       : WEXITSTATUS(member->status)),
	    LOG_N("connections", connections),
	    LOG_N("pause_ms", pause_ms),
	    LOG_END,
	};

	if (member->over)
		log_write(LOG_LEVEL_DEBUG, fields, "a worker has ended");
	else
		log_write(LOG_LEVEL_ERROR, fields,
		    killed ? "a worker was killed, its connections are lost"
			   : "a worker ended, its connections are lost");
}

static void
kill_group(pid_t group)
{
	(void)kill(-group, SIGKILL);
}

/* Whoever dies early will do so again: not at once. */
static void
replace(struct member *member)
{
	struct fleet *fleet = member->fleet;
	struct place *place = &fleet->places[member->place];
	uint64_t now = weir_loop_now_ms(fleet->loop);

	if (place->member != member)
		return;
	place->member = NULL;
	if (now - member->started_ms >= EARLY_MS)
		place->pause_ms = 0;
	else if (place->pause_ms == 0)
		place->pause_ms = PAUSE_MS;
	else if (place->pause_ms < PAUSE_MAX_MS / 2)
		place->pause_ms *= 2;
	else
		place->pause_ms = PAUSE_MAX_MS;
	place->restarts++;
	place->due_ms = now + place->pause_ms;
}

void
master_member_free(struct member *member)
{
	outbox_free(&member->outbox);
	weir_channel_free(member->channel);
	free(member);
}

static void
check_gone(struct member *member)
{
	struct fleet *fleet = member->fleet;
	struct board *board = fleet->options.board;
	uint64_t connections;

	if (!member->reaped || member->channel != NULL)
		return;
	connections =
	    atomic_load(&board_worker(board, member->slot)->connections);
	if (fleet->ending)
		fleet->destroyed +=
		    member->over ? member->destroyed : connections;
	replace(member);
	log_ended(member, connections, fleet->places[member->place].pause_ms);
	board_children_left(board, member->slot, kill_group);
	board_worker_ended(board, member->slot);
	TAILQ_REMOVE(&fleet->members, member, next);
	calls_member_gone(fleet, member);
	master_member_free(member);
	master_want_forks(fleet);
	master_check_over(fleet);
}

static void
on_close(struct weir_channel *channel, int err, void *user)
{
	struct member *member = user;

	(void)err;
	outbox_free(&member->outbox);
	weir_channel_free(channel);
	member->channel = NULL;
	check_gone(member);
}

const struct weir_channel_handlers master_channel_handlers = {
    .on_message = on_message,
    .on_fds = on_fds,
    .on_lost = on_lost,
    .on_writable = on_writable,
    .on_close = on_close,
};

static void
on_sigchld(struct weir_signal *signal, int signo, void *user)
{
	struct fleet *fleet = user;
	struct member *member, *after;

	(void)signal;
	(void)signo;
	for (member = TAILQ_FIRST(&fleet->members); member != NULL;
	     member = after) {
		after = TAILQ_NEXT(member, next);
		if (member->reaped || waitpid(member->pid, &member->status,
					  WNOHANG) != member->pid)
			continue;
		member->reaped = true;
		check_gone(member);
	}
}

/* ---- the end of all ---- */

static void
on_end_timer(struct weir_timer *timer, void *user)
{
	struct fleet *fleet = user;
	struct member *member;

	(void)timer;
	TAILQ_FOREACH (member, &fleet->members, next)
		give_up(member, "it did not end in time");
}

void
master_end(struct fleet *fleet, bool now, uint64_t timeout_ms)
{
	fleet->ending = true;
	weir_timer_stop(fleet->fork_timer);
	master_order(fleet, now ? ORDER_STOP : ORDER_DRAIN, &timeout_ms,
	    sizeof(timeout_ms));
	if (now || timeout_ms > 0)
		(void)weir_timer_start(fleet->end_timer,
		    now ? END_GRACE_MS : timeout_ms + END_GRACE_MS);
}

void
master_check_over(struct fleet *fleet)
{
	if (!fleet->ending || fleet->over || !fleet->proxy_drained ||
	    !TAILQ_EMPTY(&fleet->members))
		return;
	fleet->over = true;
	weir_timer_stop(fleet->end_timer);
	fleet->handlers->on_drained(fleet, fleet->destroyed, fleet->user);
}

/* ---- the beginning ---- */

static void
on_fork_timer(struct weir_timer *timer, void *user)
{
	(void)timer;
	master_want_forks(user);
}

int
master_new(struct fleet *fleet)
{
	int err = weir_timer_new(
	    &fleet->fork_timer, fleet->loop, on_fork_timer, fleet);

	if (err == 0)
		err = weir_timer_new(
		    &fleet->end_timer, fleet->loop, on_end_timer, fleet);
	if (err == 0)
		err = weir_timer_new(
		    &fleet->sync_timer, fleet->loop, on_sync_timer, fleet);
	if (err == 0)
		err = weir_signal_new(
		    &fleet->sigchld, fleet->loop, SIGCHLD, on_sigchld, fleet);
	return err;
}

static void
forget_members(struct fleet *fleet)
{
	struct member *member;

	while ((member = TAILQ_FIRST(&fleet->members)) != NULL) {
		TAILQ_REMOVE(&fleet->members, member, next);
		master_member_free(member);
	}
}

void
master_free(struct fleet *fleet)
{
	struct member *member;

	if (fleet->role == FLEET_MASTER)
		TAILQ_FOREACH (member, &fleet->members, next)
			if (!member->reaped) {
				(void)kill(member->pid, SIGKILL);
				(void)waitpid(member->pid, NULL, 0);
				board_children_left(fleet->options.board,
				    member->slot, kill_group);
			}
	forget_members(fleet);
	weir_timer_free(fleet->fork_timer);
	weir_timer_free(fleet->end_timer);
	weir_timer_free(fleet->sync_timer);
	weir_signal_free(fleet->sigchld);
	fleet->fork_timer = fleet->end_timer = fleet->sync_timer = NULL;
	fleet->sigchld = NULL;
}

void
master_start(struct fleet *fleet)
{
	size_t i, n = proxy_listener_count(fleet->options.proxy);

	/* Workers begin with what there is now. */
	for (i = 0; i < n; i++)
		(void)proxy_take_sockets_changed(fleet->options.proxy, i);
	proxy_accept(fleet->options.proxy);
	fleet->started = true;
	master_want_forks(fleet);
}

/* ---- changes ---- */

void
fleet_hold(struct fleet *fleet, bool on)
{
	if (fleet->role != FLEET_MASTER)
		return;
	fleet->held = on;
	if (!on)
		master_want_forks(fleet);
}

void
fleet_give_up(struct fleet *fleet, pid_t pid, const char *why)
{
	struct member *member;

	if (fleet->role != FLEET_MASTER)
		return;
	TAILQ_FOREACH (member, &fleet->members, next)
		if (pid == 0 ? member->silent : member->pid == pid)
			give_up(member, why);
}

void
fleet_sync_sockets(struct fleet *fleet)
{
	if (fleet->role == FLEET_MASTER)
		master_sync_sockets(fleet);
}

void
fleet_set_workers(
    struct fleet *fleet, unsigned workers, uint64_t drain_timeout_ms)
{
	unsigned i, before = fleet->options.workers;
	struct member *member;

	fleet->options.drain_timeout_ms = drain_timeout_ms;
	if (fleet->role != FLEET_MASTER || workers == 0)
		return;
	fleet->options.workers = workers;
	for (i = workers; i < before; i++) {
		member = fleet->places[i].member;
		fleet->places[i] = (struct place){0};
		if (member == NULL)
			continue;
		log_info("a worker too many ends", LOG_N("worker", member->pid),
		    LOG_N("place", i));
		member->draining = true;
		(void)master_send(member, ORDER_DRAIN, 0, &drain_timeout_ms,
		    sizeof(drain_timeout_ms), NULL, 0);
	}
	master_want_forks(fleet);
}

/* ---- questions ---- */

static void
tell_worker(const struct fleet *fleet, const struct member *member,
    struct fleet_worker *ret)
{
	*ret = (struct fleet_worker){
	    .slot = member->slot,
	    .pid = member->pid,
	    .connections = atomic_load(
		&board_worker(fleet->options.board, member->slot)->connections),
	    .restarts = fleet->places[member->place].restarts,
	    .draining = member->draining || fleet->ending,
	    .silent = member->silent,
	};
}

bool
master_worker(const struct fleet *fleet, size_t index, struct fleet_worker *ret)
{
	const struct member *member;
	unsigned i;

	for (i = 0; i < fleet->options.workers; i++) {
		member = fleet->places[i].member;
		if (member != NULL && index-- == 0) {
			tell_worker(fleet, member, ret);
			return true;
		}
	}
	TAILQ_FOREACH (member, &fleet->members, next)
		if (fleet->places[member->place].member != member &&
		    index-- == 0) {
			tell_worker(fleet, member, ret);
			return true;
		}
	return false;
}
