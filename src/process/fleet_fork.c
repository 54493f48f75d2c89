/*
 * Forking workers. There are so many places, and in each of them one worker
 * that serves; a place that is empty is due at once, or later where the one
 * before died early or where there was nothing to fork with.
 */
#include "config.h"

#include "process/fleet_priv.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/loop.h>

static bool
is_due(const struct fleet *fleet, const struct place *place)
{
	return place->member == NULL &&
	       place->due_ms <= weir_loop_now_ms(fleet->loop);
}

bool
fleet_fork_due(const struct fleet *fleet)
{
	unsigned i;

	if (fleet->role != FLEET_MASTER || !fleet->started || fleet->ending ||
	    fleet->held)
		return false;
	for (i = 0; i < fleet->options.workers; i++)
		if (is_due(fleet, &fleet->places[i]))
			return true;
	return false;
}

/* Ask to be called where no handler runs, or be back when one is due. */
void
master_want_forks(struct fleet *fleet)
{
	uint64_t now = weir_loop_now_ms(fleet->loop), first = UINT64_MAX;
	unsigned i;

	if (!fleet->started || fleet->ending || fleet->held)
		return;
	if (fleet_fork_due(fleet)) {
		fleet->handlers->on_fork(fleet, fleet->user);
		return;
	}
	for (i = 0; i < fleet->options.workers; i++)
		if (fleet->places[i].member == NULL &&
		    fleet->places[i].due_ms < first)
			first = fleet->places[i].due_ms;
	if (first != UINT64_MAX)
		(void)weir_timer_start(
		    fleet->fork_timer, first > now ? first - now : 1);
}

static int
member_new(struct member **ret, struct fleet *fleet, unsigned place, int fd)
{
	int slot = board_worker_claim(fleet->options.board, getpid()), err;
	struct member *member;

	if (slot < 0)
		return slot;
	member = calloc(1, sizeof(*member));
	if (member == NULL) {
		board_worker_ended(fleet->options.board, (unsigned)slot);
		return -ENOMEM;
	}
	member->fleet = fleet;
	member->slot = (unsigned)slot;
	member->place = place;
	err = weir_channel_new(&member->channel, fleet->loop, fd,
	    &master_channel_handlers, member);
	if (err != 0) {
		board_worker_ended(fleet->options.board, (unsigned)slot);
		free(member);
		return err;
	}
	outbox_init(&member->outbox, member->channel, POSTS_TO_WORKER);
	member->started_ms = weir_loop_now_ms(fleet->loop);
	TAILQ_INSERT_TAIL(&fleet->members, member, next);
	*ret = member;
	return 0;
}

/* What is the master's is no longer ours. */
static int
become_worker(struct fleet *fleet, const struct member *member, int fd)
{
	int err = weir_loop_after_fork(fleet->loop);

	fleet->role = FLEET_WORKER;
	fleet->slot = member->slot;
	fleet->place = member->place;
	fleet->channel_fd = fd;
	master_free(fleet);
	proxy_be_worker(fleet->options.proxy, fleet->slot, fleet->place);
	return err;
}

/* Fork one. *child tells which side this is. */
static int
fork_one(struct fleet *fleet, unsigned place, bool *child)
{
	struct member *member;
	int fds[2], err;
	pid_t pid;

	err = weir_channel_pair(fds);
	if (err != 0)
		return err;
	err = member_new(&member, fleet, place, fds[0]);
	if (err != 0) {
		(void)close(fds[0]);
		(void)close(fds[1]);
		return err;
	}
	pid = fork();
	if (pid == 0) {
		*child = true;
		return become_worker(fleet, member, fds[1]);
	}
	err = pid == -1 ? -errno : 0;
	(void)close(fds[1]);
	if (err != 0) {
		board_worker_ended(fleet->options.board, member->slot);
		TAILQ_REMOVE(&fleet->members, member, next);
		master_member_free(member);
		return err;
	}
	member->pid = pid;
	fleet->places[place].member = member;
	board_worker_began(fleet->options.board, member->slot, pid);
	log_info(
	    "a worker serves", LOG_N("worker", pid), LOG_N("place", place));
	return 0;
}

static void
fork_failed(struct fleet *fleet, struct place *place, int err)
{
	log_error("cannot start a worker, trying again",
	    LOG_T("error", weir_error_text(err)));
	place->due_ms = weir_loop_now_ms(fleet->loop) + EARLY_MS;
}

int
fleet_fork(struct fleet *fleet, bool *child)
{
	sigset_t all, before;
	unsigned i;
	int err;

	*child = false;
	/* A signal that comes to the child before it has handlers of its own
	 * would be told to the parent. */
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	proxy_before_fork(fleet->options.proxy);
	for (i = 0; i < fleet->options.workers; i++) {
		if (!is_due(fleet, &fleet->places[i]))
			continue;
		err = fork_one(fleet, i, child);
		if (*child)
			return err; /* signals stay blocked */
		if (err != 0)
			fork_failed(fleet, &fleet->places[i], err);
	}
	proxy_after_fork(fleet->options.proxy);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	master_want_forks(fleet);
	return 0;
}
