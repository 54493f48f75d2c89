/*
 * The daemon: what is started in which order, and what ends it.
 *
 * Start: configuration, log, descriptors and limits, listeners, control
 * socket; once all of that is bound, the pid file, other privileges, and only
 * then the first connection is accepted and the manager told. End: drained or
 * stopped, the last answer of the control socket, the exit status.
 *
 * With several workers this process is their master. Each is forked between
 * two runs of the loop, where no handler is on the stack, and goes on with the
 * same loop: it gives back what is the master's, serves, and ends here too.
 */
#include "config.h"

#include "daemon.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/loop.h>

#include "cli.h"
#include "config/config.h"
#include "control/control_server.h"
#include "daemon_priv.h"
#include "log/log.h"
#include "process/detach.h"
#include "process/failure.h"
#include "process/fleet.h"
#include "process/notify.h"
#include "process/orphans.h"
#include "process/pidfile.h"
#include "process/program.h"
#include "process/reload.h"
#include "process/signals.h"
#include "process/takeover.h"
#include "proxy/board.h"
#include "proxy/proxy.h"

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

/*
 * This is a worker now: what is the master's is given back, which ends nothing
 * of it. err is what the fork came to.
 */
static int
become_worker(struct daemon *d, int err)
{
	control_free(d->control);
	d->control = NULL;
	reload_free(d->reload);
	d->reload = NULL;
	signals_stop(d->signals);
	d->signals = NULL;
	orphans_free(d->orphans);
	d->orphans = NULL;
	weir_timer_free(d->status_timer);
	weir_timer_free(d->watchdog_timer);
	weir_timer_free(d->store_timer);
	d->status_timer = d->watchdog_timer = d->store_timer = NULL;
	notify_free(d->notify);
	d->notify = NULL;
	pidfile_free(d->pidfile);
	d->pidfile = NULL;
	daemon_upgrade_forked(d);
	log_forked();
	if (err == 0)
		err = fleet_be_worker(d->fleet);
	if (err != 0)
		log_error("cannot serve as a worker", LOG_N("worker", getpid()),
		    LOG_T("error", weir_error_text(err)));
	return err;
}

/* The loop, and between its runs workers are forked. */
static void
serve_until_over(struct daemon *d)
{
	bool child, stopped = true;
	int err;

	while (stopped && !d->done) {
		/* While some were forked, another one may have come due. */
		if (!fleet_fork_due(d->fleet)) {
			stopped = weir_loop_run(d->loop) != 0;
			continue;
		}
		err = fleet_fork(d->fleet, &child);
		if (!child)
			daemon_tell_ready(d);
		else if (become_worker(d, err) != 0)
			d->failed = d->done = true;
	}
}

static void
clean_up(struct daemon *d, int status)
{
	bool alone = d->fleet != NULL && !fleet_is_master(d->fleet) &&
		     !fleet_is_worker(d->fleet);

	control_free(d->control);
	if (d->control_kept != -1)
		(void)close(d->control_kept);
	daemon_upgrade_free(d);
	reload_free(d->reload);
	daemon_reload_forget(d);
	fleet_free(d->fleet);
	proxy_free(d->proxy);
	if (alone) /* another program may go on with the board */
		board_worker_ended(d->board, d->slot);
	board_free(d->board);
	signals_stop(d->signals);
	orphans_free(d->orphans);
	weir_timer_free(d->status_timer);
	weir_timer_free(d->watchdog_timer);
	weir_timer_free(d->store_timer);
	weir_loop_free(d->loop);
	pidfile_free(d->pidfile);
	close_passed(d);
	privileges_free(&d->privileges);
	notify_free(d->notify);
	config_unref(d->config);
	(void)detach_report(d->detach, status);
}

static int
make_loop(struct daemon *d)
{
	int err = weir_loop_new(&d->loop, NULL);

	if (err != 0)
		log_error("cannot start", LOG_T("error", weir_error_text(err)));
	return err;
}

static int
run(const struct cli *cli)
{
	struct daemon d = {
	    .cli = cli,
	    .config = cli->config,
	    .control_kept = -1,
	};
	enum detach_side side = DETACH_DAEMON;
	char *error = NULL;
	int status = 0;

	/* A program that takes over is in the background already. */
	if (d.config->daemon && getenv(PROGRAM_UPGRADE) == NULL &&
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
			    daemon_log_name(d.config));
		free(error);
		return status;
	}
	if (daemon_open_log(cli) != 0) {
		takeover_refuse("it cannot open its log");
		(void)detach_report(d.detach, 1);
		return 1;
	}
	(void)config_ref(d.config);
	daemon_log_warnings(d.config);
	if (d.config->listener_count == 0)
		log_error("there is no listener: add a [listener NAME] section"
			  " to the configuration",
		    LOG_T("configuration", cli->source));
	if (d.config->listener_count == 0 || make_loop(&d) != 0 ||
	    daemon_take_over(&d) != 0 || daemon_prepare(&d) != 0 ||
	    daemon_start(&d) != 0) {
		d.failed = true;
	} else {
		proxy_start(d.proxy);
		serve_until_over(&d);
	}
	status = d.failed ? 1 : 0;
	clean_up(&d, status);
	log_close();
	return status;
}

int
weir_daemon_main(int argc, char **argv)
{
	struct cli cli;
	int status = 1;

	if (detach_fill_standard_fds() != 0 ||
	    program_remember(argc, argv) != 0)
		return 1;
	cli_read(&cli, argc, argv);
	switch (cli.action) {
	case CLI_EXIT:
		return cli.status;
	case CLI_TEST:
		status = daemon_test(&cli);
		break;
	case CLI_DUMP:
		status = daemon_dump(&cli);
		break;
	case CLI_RUN:
		status = run(&cli);
		break;
	}
	config_unref(cli.config);
	program_forget();
	return status;
}
