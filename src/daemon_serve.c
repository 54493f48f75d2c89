/*
 * The daemon while it serves: what is done once all is bound, what signals and
 * requests mean, and how it ends. Leaves to daemon.c what comes before and
 * after the loop.
 */
#include "config.h"

#include "daemon_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/version.h>

#include "cli.h"
#include "config/config.h"
#include "control/control_server.h"
#include "log/log.h"
#include "process/detach.h"
#include "process/failure.h"
#include "process/fleet.h"
#include "process/notify.h"
#include "process/pidfile.h"
#include "process/privileges.h"
#include "process/reload.h"
#include "process/signals.h"
#include "process/store.h"
#include "process/takeover.h"
#include "proxy/proxy.h"

#define STATUS_MS 1000 /* STATUS= at the most so often */

/* The manager's queue is short: after so long the rest of the sockets is told,
 * so often until it counts as one that takes none. */
#define STORE_MS    5
#define STORE_TRIES 2000

/* What an end may take beyond the draining, and until the next word of it. */
#define STOP_GRACE_MS 10000

/* ---- ending ---- */

void
daemon_leave(struct daemon *d)
{
	d->done = true;
	weir_loop_stop(d->loop);
}

void
daemon_fail(struct daemon *d)
{
	d->failed = true;
	daemon_leave(d);
}

void
daemon_log_failure(const char *message, char *error)
{
	log_error(message, LOG_T("error", failure_text(error)));
	free(error);
}

static void
on_control_stopped(struct control *control, void *user)
{
	struct daemon *d = user;

	(void)control;
	daemon_leave(d);
}

static void
on_drained(struct fleet *fleet, uint64_t destroyed, void *user)
{
	struct daemon *d = user;

	d->over = true;
	if (fleet_is_worker(fleet)) {
		daemon_leave(d);
		return;
	}
	if (destroyed > 0)
		log_warn("stopped, connections were destroyed",
		    LOG_N("destroyed", destroyed));
	else
		log_info("stopped, every connection had ended");
	if (d->control == NULL) {
		daemon_leave(d);
		return;
	}
	/* Who comes now is answered by the next one. */
	if (store_has_control(d->store))
		control_release(d->control);
	control_stop(d->control);
}

static void
begin_stop(struct daemon *d, bool now)
{
	uint64_t timeout_ms = d->config->drain_timeout_ms;
	char status[64];

	if (d->over) {
		daemon_leave(d);
		return;
	}
	(void)snprintf(status, sizeof(status), "stopping, %llu connections",
	    (unsigned long long)proxy_connections(d->proxy));
	(void)notify_stopping(d->notify, status);
	d->stop_by_ms = weir_loop_now_ms(d->loop) + timeout_ms;
	if (d->status_timer != NULL)
		(void)weir_timer_start(d->status_timer, 0);
	/* What the manager keeps is served on: its files have to stay. */
	if (store_used(d->store))
		proxy_release(d->proxy);
	if (now)
		fleet_stop(d->fleet);
	else
		fleet_drain(d->fleet, timeout_ms);
}

static void
on_graceful(void *user)
{
	struct daemon *d = user;

	log_info("stopping gracefully",
	    LOG_N("connections", proxy_connections(d->proxy)),
	    LOG_N("drain_timeout_ms", d->config->drain_timeout_ms));
	begin_stop(d, false);
}

static void
on_immediate(void *user)
{
	struct daemon *d = user;

	log_info("stopping at once",
	    LOG_N("connections", proxy_connections(d->proxy)));
	begin_stop(d, true);
}

static void
on_reopen(void *user)
{
	struct daemon *d = user;
	const char *path;
	int err = fleet_reopen_logs(d->fleet, &path);

	if (err != 0)
		log_error("cannot reopen a log file, the old one stays",
		    LOG_T("file", path),
		    LOG_T("error", weir_error_text(err)));
}

static void
on_upgrade(void *user)
{
	daemon_upgrade(user);
}

static void
on_hangup(void *user)
{
	struct daemon *d = user;

	reload_signal(d->reload);
}

const struct signals_handlers daemon_signals_handlers = {
    .on_reload = on_hangup,
    .on_graceful = on_graceful,
    .on_immediate = on_immediate,
    .on_reopen = on_reopen,
    .on_upgrade = on_upgrade,
};

/* ---- serving ---- */

/* How long it may still take, and that the manager is to wait for that. */
static void
tell_countdown(struct daemon *d, uint64_t connections)
{
	uint64_t now = weir_loop_now_ms(d->loop);
	uint64_t left = d->stop_by_ms > now ? d->stop_by_ms - now : 0;
	char status[96];

	if (d->config->drain_timeout_ms == 0)
		(void)snprintf(status, sizeof(status),
		    "stopping, %llu connections",
		    (unsigned long long)connections);
	else
		(void)snprintf(status, sizeof(status),
		    "stopping, %llu connections, %llu s left",
		    (unsigned long long)connections,
		    (unsigned long long)(left + 999) / 1000);
	(void)notify_draining(d->notify, status, left + STOP_GRACE_MS);
}

static void
on_status(struct weir_timer *timer, void *user)
{
	struct daemon *d = user;

	uint64_t connections = proxy_connections(d->proxy);

	if (d->stop_by_ms != 0) {
		tell_countdown(d, connections);
		(void)weir_timer_start(timer, STATUS_MS);
		return;
	}
	/* A master is not told when one begins or ends: it looks. */
	if (fleet_is_master(d->fleet))
		(void)weir_timer_start(timer, STATUS_MS);
	if (connections == d->told_connections && fleet_is_master(d->fleet))
		return;
	d->told_connections = connections;
	(void)notify_status(
	    d->notify, "%llu connections", (unsigned long long)connections);
}

static void
on_change(struct proxy *proxy, void *user)
{
	struct daemon *d = user;

	(void)proxy;
	if (d->status_timer != NULL && !weir_timer_running(d->status_timer))
		(void)weir_timer_start(d->status_timer, STATUS_MS);
}

static void
on_watchdog(struct weir_timer *timer, void *user)
{
	struct daemon *d = user;

	(void)notify_watchdog(d->notify);
	(void)weir_timer_start(timer, notify_watchdog_ms(d->notify));
}

/* Tell the manager which sockets to keep, by and by. */
static void
on_store(struct weir_timer *timer, void *user)
{
	struct daemon *d = user;
	struct store_control_socket control = {
	    .path = d->control != NULL ? control_path(d->control) : NULL,
	    .fd = d->control != NULL ? control_fd(d->control) : -1,
	};
	int err;

	if (d->handed_over || d->stop_by_ms != 0)
		return;
	err = store_sync(d->store, d->notify, d->proxy, &control);
	if (err == -EAGAIN && ++d->store_tries < STORE_TRIES &&
	    weir_timer_start(timer, STORE_MS) == 0)
		return;
	d->store_tries = 0;
	if (err == 0 || d->store_told)
		return;
	d->store_told = true;
	log_warn("the service manager does not keep all sockets over a restart",
	    LOG_T("error", weir_error_text(err)));
}

static int
start_timers(struct daemon *d)
{
	uint64_t ms = notify_watchdog_ms(d->notify);
	int err = 0;

	if (notify_enabled(d->notify)) {
		err = weir_timer_new(&d->status_timer, d->loop, on_status, d);
		if (err == 0)
			weir_timer_unref(d->status_timer);
		if (err == 0 && fleet_is_master(d->fleet))
			err = weir_timer_start(d->status_timer, STATUS_MS);
		if (err == 0)
			err = weir_timer_new(
			    &d->store_timer, d->loop, on_store, d);
		if (err == 0)
			weir_timer_unref(d->store_timer);
	}
	if (err == 0 && ms > 0) {
		err =
		    weir_timer_new(&d->watchdog_timer, d->loop, on_watchdog, d);
		if (err == 0) {
			weir_timer_unref(d->watchdog_timer);
			err = weir_timer_start(d->watchdog_timer, ms);
		}
	}
	return err;
}

/*
 * From here on nobody reads stderr, unless it is a file: the log goes to
 * syslog, where there is one. Until now it told whoever typed the command.
 */
void
daemon_move_log(const struct config *config)
{
	enum log_format format = (enum log_format)config->log_format;
	int err;

	if (!config->daemon || config->log != CONFIG_LOG_STDERR ||
	    detach_keeps_stderr())
		return;
	err = log_open(LOG_TO_SYSLOG, NULL, format);
	if (err == 0)
		return;
	log_warn("log = stderr ends with -d, and there is no syslog: set"
		 " log = file:PATH to keep it",
	    LOG_T("error", weir_error_text(err)));
	(void)log_open(LOG_TO_FILE, "/dev/null", format);
}

/* Everything is bound: become who we shall be, and open the door. */
static void
serve(struct daemon *d)
{
	char *error = NULL;
	int err;

	/* One that takes over writes it when the other one has let it go. */
	if (d->takeover == NULL && d->pidfile != NULL &&
	    pidfile_write(d->pidfile, &error) != 0) {
		daemon_log_failure("cannot write the pid file", error);
		daemon_fail(d);
		return;
	}
	/* Files that were opened as root must be opened anew as the other. */
	(void)log_chown(d->privileges.user_set ? d->privileges.user : (uid_t)-1,
	    d->privileges.user_set || d->privileges.group_set
		? d->privileges.group
		: (gid_t)-1);
	if (privileges_drop(&d->privileges, &error) != 0) {
		daemon_log_failure("cannot give up privileges", error);
		daemon_fail(d);
		return;
	}
	err = start_timers(d);
	if (err == 0) {
		daemon_move_log(d->config);
		err = detach_report(d->detach, 0);
	}
	d->detach = NULL;
	if (err != 0) {
		log_error("cannot start", LOG_T("error", weir_error_text(err)));
		daemon_fail(d);
		return;
	}
	d->serving = true;
	fleet_start(d->fleet);
	if (d->takeover == NULL)
		daemon_serves(d);
	else if (!fleet_is_master(d->fleet)) /* which has workers before */
		daemon_tell_ready(d);
}

void
daemon_serves(struct daemon *d)
{
	char *error = NULL;

	proxy_own_paths(d->proxy);
	if (d->control != NULL)
		control_own_path(d->control);
	if (d->takeover != NULL && d->pidfile != NULL &&
	    pidfile_write(d->pidfile, &error) != 0)
		daemon_log_failure("cannot write the pid file", error);
	log_info("ready", LOG_T("version", weir_version()),
	    LOG_N("workers", d->workers),
	    LOG_N("max_connections", d->max_connections));
	if (d->store_timer != NULL)
		on_store(d->store_timer, d);
	d->kept = true;
	(void)notify_ready(d->notify, "0 connections");
}

static void
on_control_ready(struct control *control, void *user)
{
	(void)control;
	serve(user);
}

static void
control_failed(struct daemon *d, int err)
{
	if (d->config->control_set) {
		log_error("cannot make the control socket",
		    LOG_T("path", d->config->control),
		    LOG_T("error", weir_error_text(err)));
		daemon_fail(d);
		return;
	}
	log_warn("no control socket, going on without it",
	    LOG_T("path", d->config->control),
	    LOG_T("error", weir_error_text(err)));
	serve(d);
}

static void
on_control_failed(struct control *control, int err, void *user)
{
	struct daemon *d = user;

	control_free(control);
	d->control = NULL;
	control_failed(d, err);
}

static void
on_shutdown(struct control *control, bool now, void *user)
{
	(void)control;
	if (now)
		on_immediate(user);
	else
		on_graceful(user);
}

static const struct control_handlers control_handlers = {
    .on_ready = on_control_ready,
    .on_failed = on_control_failed,
    .on_shutdown = on_shutdown,
    .on_stopped = on_control_stopped,
};

static void
on_bound(struct proxy *proxy, void *user)
{
	struct daemon *d = user;
	struct control_options options = {
	    .path = d->config->control,
	    .set_owner = d->privileges.user_set || d->privileges.group_set,
	    .uid = d->privileges.user_set ? d->privileges.user : geteuid(),
	    .gid = d->privileges.group,
	};
	int err;

	if (d->config->control == NULL) {
		serve(d);
		return;
	}
	d->subject = (struct control_subject){
	    .proxy = proxy,
	    .fleet = d->fleet,
	    .reload = d->reload,
	    .verbose = d->cli->verbose,
	};
	options.fd = d->control_kept;
	d->control_kept = -1;
	options.take_up = options.fd != -1;
	err = control_start(
	    &d->control, d->loop, &d->subject, &options, &control_handlers, d);
	if (err != 0)
		control_failed(d, err);
}

static void
on_unbound(struct proxy *proxy, void *user)
{
	(void)proxy;
	daemon_fail(user);
}

static void
on_proxy_drained(struct proxy *proxy, uint64_t destroyed, void *user)
{
	struct daemon *d = user;

	(void)proxy;
	fleet_proxy_drained(d->fleet, destroyed);
}

static void
on_sockets(struct proxy *proxy, void *user)
{
	struct daemon *d = user;

	(void)proxy;
	fleet_sockets_changed(d->fleet);
	/* A reload changes many, one after the other: they are told at once. */
	if (d->kept && d->store_timer != NULL)
		(void)weir_timer_start(d->store_timer, 0);
}

const struct proxy_handlers daemon_proxy_handlers = {
    .on_ready = on_bound,
    .on_failed = on_unbound,
    .on_drained = on_proxy_drained,
    .on_sockets = on_sockets,
    .on_change = on_change,
};

/* A fork is for where no handler runs: daemon.c's. */
static void
on_fork(struct fleet *fleet, void *user)
{
	struct daemon *d = user;

	(void)fleet;
	weir_loop_stop(d->loop);
}

const struct fleet_handlers daemon_fleet_handlers = {
    .on_drained = on_drained,
    .on_fork = on_fork,
    .on_question = daemon_question,
};
