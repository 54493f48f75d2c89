/*
 * The daemon between two programs: SIGUSR2 starts another one that takes over,
 * and this one may be such. What is handed over, and when, is upgrade.c's and
 * takeover.c's; here it is put into the daemon's objects, or taken from them.
 */
#include "config.h"

#include "daemon_priv.h"

#include <errno.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/loop.h>

#include "config/config.h"
#include "control/control_server.h"
#include "log/log.h"
#include "process/fleet.h"
#include "process/migrate.h"
#include "process/notify.h"
#include "process/pidfile.h"
#include "process/reload.h"
#include "process/store.h"
#include "process/takeover.h"
#include "process/upgrade.h"
#include "proxy/board.h"
#include "proxy/proxy.h"

/* ---- the old program ---- */

static int
control_of(const char **path, void *user)
{
	const struct daemon *d = user;

	if (d->control == NULL)
		return -1;
	*path = control_path(d->control);
	return control_fd(d->control);
}

static void
on_hold(bool on, void *user)
{
	const struct daemon *d = user;

	if (d->control != NULL)
		control_hold(d->control, on);
}

static void
on_handed_over(void *user)
{
	struct daemon *d = user;

	d->handed_over = true;
	if (d->control != NULL)
		control_release(d->control);
	proxy_release(d->proxy);
	fleet_drain(d->fleet, d->config->drain_timeout_ms);
}

static enum log_level
log_level_of(void *user)
{
	const struct daemon *d = user;

	return daemon_log_level(d->cli, d->config);
}

static const struct upgrade_handlers upgrade_handlers = {
    .control = control_of,
    .log_level = log_level_of,
    .on_hold = on_hold,
    .on_over = on_handed_over,
};

int
daemon_upgrade_new(struct daemon *d)
{
	const struct upgrade_options options = {
	    .proxy = d->proxy,
	    .fleet = d->fleet,
	    .board = d->board,
	    .pidfile = d->pidfile,
	    .notify = d->notify,
	};
	int err = migrate_hands_new(&d->hands, d->loop, d->proxy);

	if (err == 0)
		err = upgrade_new(
		    &d->upgrade, d->loop, &options, &upgrade_handlers, d);
	return err;
}

void
daemon_upgrade(struct daemon *d)
{
	if (!d->serving)
		log_warn("SIGUSR2: not serving yet, nothing was begun");
	else if (proxy_draining(d->proxy) || d->over)
		log_warn("SIGUSR2: stopping, nothing was begun");
	else if (reload_busy(d->reload))
		log_warn("SIGUSR2: a reload is under way, nothing was begun");
	else
		upgrade_begin(d->upgrade);
}

/* ---- the new program ---- */

/* What was set by weirctl stays, unless the file has another by now. */
static void
take_log_level(const struct daemon *d)
{
	enum log_level level, configured;

	if (d->takeover != NULL &&
	    takeover_log_level(d->takeover, &level, &configured) &&
	    configured == daemon_log_level(d->cli, d->config))
		log_set_level(level);
}

int
daemon_take_over(struct daemon *d)
{
	char *error = NULL;
	int err = takeover_begin(&d->takeover, d->loop, &error);

	if (err != 0)
		daemon_log_failure("cannot take over", error);
	take_log_level(d);
	return err;
}

/* The figures go on, where this program understands them. */
int
daemon_take_board(struct daemon *d)
{
	int fd = d->takeover != NULL ? takeover_board(d->takeover) : -1;
	int err = fd != -1 ? board_open(&d->board, fd) : -ENOENT;

	if (err == 0)
		return 0;
	if (fd != -1) {
		(void)close(fd);
		log_warn("the figures of the program before this one are kept"
			 " in another way, they begin anew",
		    LOG_T("error", weir_error_text(err)));
	}
	return board_new(&d->board);
}

static void
close_again(const char *listener, void *user)
{
	struct daemon *d = user;

	(void)proxy_listener_close(d->proxy, listener);
}

static void
on_go(void *user)
{
	(void)user;
}

static void
on_connections(int fd, unsigned place, void *user)
{
	struct daemon *d = user;

	migrate_take(d->hands, d->fleet, fd, place);
}

static void
on_over(void *user)
{
	daemon_serves(user);
}

static const struct takeover_handlers takeover_handlers = {
    .on_go = on_go,
    .on_connections = on_connections,
    .on_over = on_over,
};

void
daemon_tell_ready(struct daemon *d)
{
	if (d->takeover == NULL || d->told_ready)
		return;
	d->told_ready = true;
	takeover_each_closed(d->takeover, close_again, d);
	takeover_ready(d->takeover, &takeover_handlers, d);
}

/* ---- both ---- */

void
daemon_question(struct fleet *fleet, uint32_t call,
    const struct fleet_message *message, void *user)
{
	struct daemon *d = user;
	size_t i;

	if (daemon_reload_question(d, call, message))
		return;
	if (migrate_answer(d->hands, fleet, call, fleet_place(fleet), message))
		return;
	for (i = 0; i < message->fd_count; i++)
		(void)close(message->fds[i]);
	(void)fleet_reply(fleet, call, -ENOTSUP, NULL, 0);
}

void
daemon_upgrade_forked(struct daemon *d)
{
	if (d->upgrade != NULL)
		upgrade_forked(d->upgrade);
	d->upgrade = NULL;
	takeover_free(d->takeover);
	d->takeover = NULL;
}

void
daemon_upgrade_free(struct daemon *d)
{
	if (d->takeover != NULL && !d->told_ready)
		takeover_failed(
		    d->takeover, "it cannot serve, it has said why");
	upgrade_free(d->upgrade);
	migrate_hands_free(d->hands);
	takeover_free(d->takeover);
	store_free(d->store);
	d->store = NULL;
	d->upgrade = NULL;
	d->hands = NULL;
	d->takeover = NULL;
}
