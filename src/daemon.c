/*
 * The daemon: what is started in which order, and what ends it.
 *
 * Start: configuration, log, descriptors and limits, listeners, control
 * socket; once all of that is bound, the pid file, other privileges, and only
 * then the first connection is accepted and the manager told. End: drained or
 * stopped, the last answer of the control socket, the exit status.
 */
#include "config.h"

#include "daemon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
#include "process/limits.h"
#include "process/listen_fds.h"
#include "process/notify.h"
#include "process/pidfile.h"
#include "process/privileges.h"
#include "process/signals.h"
#include "proxy/proxy.h"

#define STATUS_MS 1000 /* STATUS= at the most so often */

struct daemon {
	struct config *config;
	struct detach *detach; /* until start-up is reported; or NULL */
	struct weir_loop *loop;
	struct proxy *proxy;
	struct control *control; /* or NULL */
	struct signals *signals;
	struct notify *notify;
	struct pidfile *pidfile; /* or NULL */
	struct privileges privileges;
	struct listen_fds passed;
	struct weir_timer *status_timer, *watchdog_timer;
	uint64_t max_connections;
	bool serving, failed, over;
};

/* ---- ending ---- */

static void
fail(struct daemon *d)
{
	d->failed = true;
	weir_loop_stop(d->loop);
}

static void
log_failure(const char *message, char *error)
{
	log_error(message, LOG_T("error", failure_text(error)));
	free(error);
}

static void
on_control_stopped(struct control *control, void *user)
{
	struct daemon *d = user;

	(void)control;
	weir_loop_stop(d->loop);
}

static void
on_drained(struct proxy *proxy, uint64_t destroyed, void *user)
{
	struct daemon *d = user;

	(void)proxy;
	d->over = true;
	if (destroyed > 0)
		log_warn("stopped, connections were destroyed",
		    LOG_N("destroyed", destroyed));
	else
		log_info("stopped, every connection had ended");
	if (d->control != NULL)
		control_stop(d->control);
	else
		weir_loop_stop(d->loop);
}

static void
begin_stop(struct daemon *d, bool now)
{
	char status[64];

	if (d->over) {
		weir_loop_stop(d->loop);
		return;
	}
	(void)snprintf(status, sizeof(status), "stopping, %llu connections",
	    (unsigned long long)proxy_connections(d->proxy));
	(void)notify_stopping(d->notify, status);
	if (now)
		proxy_stop(d->proxy);
	else
		proxy_drain(d->proxy, d->config->drain_timeout_ms);
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
	int err = log_reopen();

	if (err != 0)
		log_error("cannot reopen a log file, the old one stays",
		    LOG_T("error", weir_error_text(err)));
	proxy_log_figures(d->proxy);
}

static const struct signals_handlers signals_handlers = {
    .on_graceful = on_graceful,
    .on_immediate = on_immediate,
    .on_reopen = on_reopen,
};

/* ---- serving ---- */

static void
on_status(struct weir_timer *timer, void *user)
{
	struct daemon *d = user;

	(void)timer;
	(void)notify_status(d->notify, "%s%llu connections",
	    proxy_draining(d->proxy) ? "stopping, " : "",
	    (unsigned long long)proxy_connections(d->proxy));
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

static int
start_timers(struct daemon *d)
{
	uint64_t ms = notify_watchdog_ms(d->notify);
	int err = 0;

	if (notify_enabled(d->notify)) {
		err = weir_timer_new(&d->status_timer, d->loop, on_status, d);
		if (err == 0)
			weir_timer_unref(d->status_timer);
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
static void
move_log(const struct config *config)
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

	if (d->pidfile != NULL && pidfile_write(d->pidfile, &error) != 0) {
		log_failure("cannot write the pid file", error);
		fail(d);
		return;
	}
	/* Files that were opened as root must be opened anew as the other. */
	(void)log_chown(d->privileges.user_set ? d->privileges.user : (uid_t)-1,
	    d->privileges.user_set || d->privileges.group_set
		? d->privileges.group
		: (gid_t)-1);
	if (privileges_drop(&d->privileges, &error) != 0) {
		log_failure("cannot give up privileges", error);
		fail(d);
		return;
	}
	err = start_timers(d);
	if (err == 0) {
		move_log(d->config);
		err = detach_report(d->detach, 0);
	}
	d->detach = NULL;
	if (err != 0) {
		log_error("cannot start", LOG_T("error", weir_error_text(err)));
		fail(d);
		return;
	}
	d->serving = true;
	proxy_accept(d->proxy);
	log_info("ready", LOG_T("version", weir_version()),
	    LOG_N("max_connections", d->max_connections));
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
		fail(d);
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
	const struct control_options options = {
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
	err = control_start(
	    &d->control, d->loop, proxy, &options, &control_handlers, d);
	if (err != 0)
		control_failed(d, err);
}

static void
on_unbound(struct proxy *proxy, void *user)
{
	(void)proxy;
	fail(user);
}

static const struct proxy_handlers proxy_handlers = {
    .on_ready = on_bound,
    .on_failed = on_unbound,
    .on_drained = on_drained,
    .on_change = on_change,
};

/* ---- starting ---- */

static enum log_level
level_of(const struct cli *cli)
{
	int level = (int)cli->config->log_level + cli->verbose;

	if (cli->verbose < 0)
		return LOG_LEVEL_ERROR;
	return level > LOG_LEVEL_DEBUG ? LOG_LEVEL_DEBUG
				       : (enum log_level)level;
}

/* What a log goes to, for a message about it. */
static const char *
log_name(const struct config *config)
{
	static const char *const names[] = {
	    [CONFIG_LOG_STDERR] = "stderr",
	    [CONFIG_LOG_SYSLOG] = "syslog",
	    [CONFIG_LOG_JOURNAL] = "journal",
	};

	return config->log == CONFIG_LOG_FILE ? config->log_path
					      : names[config->log];
}

static int
open_log(const struct cli *cli)
{
	const struct config *config = cli->config;
	int err;

	log_set_level(level_of(cli));
	err = log_open((enum log_target)config->log, config->log_path,
	    (enum log_format)config->log_format);
	if (err != 0)
		log_error("cannot open the log", LOG_T("log", log_name(config)),
		    LOG_T("error", weir_error_text(err)));
	return err;
}

static void
log_warnings(const struct config *config)
{
	size_t i;

	for (i = 0; i < config->warning_count; i++)
		log_warn(config->warnings[i]);
}

/* The limit there is becomes the limit we know of. */
static int
set_limits(struct daemon *d)
{
	size_t each = proxy_fds_per_connection(d->config);
	size_t reserved = proxy_fds_reserved(d->config);
	uint64_t wanted = d->config->max_connections, fds, allowed;
	int err = limits_raise_fds(&fds);

	if (err != 0)
		log_warn("cannot raise the limit of descriptors",
		    LOG_T("error", weir_error_text(err)));
	allowed = limits_connections(fds, each, reserved);
	if (allowed == 0) {
		log_error("the limit of descriptors allows no connection",
		    LOG_N("limit", fds), LOG_N("needed", reserved + each));
		return -EMFILE;
	}
	if (wanted > 0 && wanted > allowed)
		log_warn("the limit of descriptors is too low for"
			 " max_connections",
		    LOG_N("max_connections", wanted),
		    LOG_N("needed", limits_fds_needed(wanted, each, reserved)),
		    LOG_N("limit", fds), LOG_N("allowed", allowed));
	d->max_connections = wanted > 0 && wanted < allowed ? wanted : allowed;
	return 0;
}

static int
prepare(struct daemon *d)
{
	const struct config *config = d->config;
	char *error = NULL;

	if (notify_new(&d->notify, &error) != 0)
		log_failure("cannot notify the service manager", error);
	if (d->notify == NULL)
		return -1;
	error = NULL;
	if (listen_fds_take(&d->passed, &error) != 0) {
		log_failure("cannot take the sockets that were passed", error);
		return -1;
	}
	if (privileges_find(
		&d->privileges, config->user, config->group, &error) != 0) {
		log_failure("cannot become another user", error);
		return -1;
	}
	if (config->pid_file != NULL &&
	    pidfile_new(&d->pidfile, config->pid_file, &error) != 0) {
		log_failure("cannot use the pid file", error);
		return -1;
	}
	return set_limits(d);
}

static int
start(struct daemon *d)
{
	uint64_t limit =
	    d->max_connections == LIMITS_NONE ? 0 : d->max_connections;
	int err = weir_loop_new(&d->loop, NULL);

	if (err == 0)
		err = signals_start(&d->signals, d->loop, &signals_handlers, d);
	if (err == 0)
		err = proxy_new(&d->proxy, d->loop, d->config, limit,
		    d->passed.fds, d->passed.count, &proxy_handlers, d);
	if (err != 0)
		log_error("cannot start", LOG_T("error", weir_error_text(err)));
	return err;
}

/* Sockets that were passed and no listener took. */
static void
close_passed(struct daemon *d)
{
	size_t i;

	for (i = 0; i < d->passed.count; i++)
		if (d->passed.fds[i].fd != -1)
			(void)close(d->passed.fds[i].fd);
	listen_fds_free(&d->passed);
}

static void
clean_up(struct daemon *d, int status)
{
	control_free(d->control);
	proxy_free(d->proxy);
	signals_stop(d->signals);
	weir_timer_free(d->status_timer);
	weir_timer_free(d->watchdog_timer);
	weir_loop_free(d->loop);
	pidfile_free(d->pidfile);
	close_passed(d);
	privileges_free(&d->privileges);
	notify_free(d->notify);
	(void)detach_report(d->detach, status);
}

static int
run(const struct cli *cli)
{
	struct daemon d = {.config = cli->config};
	enum detach_side side = DETACH_DAEMON;
	char *error = NULL;
	int status = 0;

	if (d.config->daemon &&
	    detach_start(&d.detach, &side, &status, &error) != 0) {
		fprintf(stderr, "weir: %s\n", failure_text(error));
		free(error);
		return 1;
	}
	if (side == DETACH_TYPED) {
		if (error != NULL)
			fprintf(stderr, "weir: %s\n", error);
		else if (status != 0 && d.config->log != CONFIG_LOG_STDERR)
			fprintf(stderr,
			    "weir: not started, the log (%s)"
			    " tells why\n",
			    log_name(d.config));
		free(error);
		return status;
	}
	if (open_log(cli) != 0) {
		(void)detach_report(d.detach, 1);
		return 1;
	}
	log_warnings(d.config);
	if (d.config->listener_count == 0)
		log_error("there is no listener: add a [listener NAME] section"
			  " to the configuration",
		    LOG_T("configuration", cli->source));
	if (d.config->listener_count == 0 || prepare(&d) != 0 ||
	    start(&d) != 0) {
		d.failed = true;
	} else {
		proxy_start(d.proxy);
		(void)weir_loop_run(d.loop);
	}
	status = d.failed ? 1 : 0;
	clean_up(&d, status);
	log_close();
	return status;
}

/* ---- -t and -T ---- */

static int
test(const struct cli *cli)
{
	const struct config *config = cli->config;
	size_t each = proxy_fds_per_connection(config);
	size_t reserved = proxy_fds_reserved(config);
	uint64_t fds, connections = config->max_connections;
	char *text = NULL;
	size_t i;

	for (i = 0; i < config->warning_count; i++)
		fprintf(stderr, "warning: %s\n", config->warnings[i]);
	if (limits_fds(&fds) == 0) {
		if (connections == 0)
			connections = limits_connections(fds, each, reserved);
		if (limits_describe(&text, connections, each, reserved, fds) ==
		    0)
			fprintf(stderr, "warning: %s\n", text);
		else if (text != NULL)
			printf("%s\n", text);
		free(text);
	}
	printf("%s: configuration ok\n", cli->source);
	return fflush(stdout) == 0 ? 0 : 1;
}

static int
dump(const struct cli *cli)
{
	if (config_dump(cli->config, stdout) == 0 && fflush(stdout) == 0)
		return 0;
	fprintf(stderr, "weir: cannot print the configuration: %s\n",
	    strerror(errno));
	return 1;
}

int
weir_daemon_main(int argc, char **argv)
{
	struct cli cli;
	int status = 1;

	if (detach_fill_standard_fds() != 0)
		return 1;
	cli_read(&cli, argc, argv);
	switch (cli.action) {
	case CLI_EXIT:
		return cli.status;
	case CLI_TEST:
		status = test(&cli);
		break;
	case CLI_DUMP:
		status = dump(&cli);
		break;
	case CLI_RUN:
		status = run(&cli);
		break;
	}
	config_unref(cli.config);
	return status;
}
