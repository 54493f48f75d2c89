/*
 * The daemon's start: the log, what has to be known before anything is bound,
 * and the objects that live as long as the process.
 */
#include "config.h"

#include "daemon_priv.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/loop.h>

#include "cli.h"
#include "config/config.h"
#include "log/log.h"
#include "process/failure.h"
#include "process/fleet.h"
#include "process/limits.h"
#include "process/listen_fds.h"
#include "process/notify.h"
#include "process/orphans.h"
#include "process/pidfile.h"
#include "process/privileges.h"
#include "process/signals.h"
#include "process/store.h"
#include "process/takeover.h"
#include "proxy/board.h"
#include "proxy/proxy.h"
#include "proxy/target.h"

enum log_level
daemon_log_level(const struct cli *cli, const struct config *config)
{
	return log_level_by_flags(
	    (enum log_level)config->log_level, cli->verbose);
}

/* What a log goes to, for a message about it. */
const char *
daemon_log_name(const struct config *config)
{
	static const char *const names[] = {
	    [CONFIG_LOG_STDERR] = "stderr",
	    [CONFIG_LOG_SYSLOG] = "syslog",
	    [CONFIG_LOG_JOURNAL] = "journal",
	};

	return config->log == CONFIG_LOG_FILE ? config->log_path
					      : names[config->log];
}

int
daemon_open_log(const struct cli *cli)
{
	const struct config *config = cli->config;
	int err;

	log_set_level(daemon_log_level(cli, config));
	err = log_open((enum log_target)config->log, config->log_path,
	    (enum log_format)config->log_format);
	if (err != 0)
		log_error("cannot open the log",
		    LOG_T("log", daemon_log_name(config)),
		    LOG_T("error", weir_error_text(err)));
	return err;
}

void
daemon_log_warnings(const struct config *config)
{
	size_t i;

	for (i = 0; i < config->warning_count; i++)
		log_warn(config->warnings[i]);
}

unsigned
daemon_workers(const struct config *config)
{
	cpu_set_t cores;
	int n;

	if (config->workers > 0)
		return config->workers;
	if (sched_getaffinity(0, sizeof(cores), &cores) == -1)
		return 1;
	n = CPU_COUNT(&cores);
	return n > BOARD_WORKERS ? BOARD_WORKERS : (unsigned)n;
}

/* The limit there is becomes the limit we know of; each process has its own.
 */
int
daemon_set_limits(struct daemon *d, const struct config *config)
{
	size_t each = proxy_fds_per_connection(config);
	size_t reserved = proxy_fds_reserved(config);
	uint64_t wanted = config->max_connections, fds = 0, allowed;
	int err = limits_raise_fds(&fds);

	if (err != 0)
		log_warn("cannot raise the limit of descriptors",
		    LOG_T("error", weir_error_text(err)));
	allowed = limits_connections(fds, each, reserved);
	if (__builtin_mul_overflow(allowed, (uint64_t)d->workers, &allowed))
		allowed = LIMITS_NONE;
	if (allowed == 0) {
		log_error("the limit of descriptors allows no connection:"
			  " raise it (ulimit -n, LimitNOFILE=)",
		    LOG_N("limit", fds), LOG_N("needed", reserved + each));
		return -EMFILE;
	}
	if (wanted > 0 && wanted > allowed)
		log_warn("the limit of descriptors is too low for"
			 " max_connections",
		    LOG_N("max_connections", wanted),
		    LOG_N("needed", limits_fds_needed(
					(wanted + d->workers - 1) / d->workers,
					each, reserved)),
		    LOG_N("limit", fds), LOG_N("allowed", allowed));
	d->max_connections = wanted > 0 && wanted < allowed ? wanted : allowed;
	return 0;
}

/* The one that the program before this one wrote. */
static int
take_pidfile(struct daemon *d)
{
	const char *path = d->config->pid_file;
	char *error = NULL;
	int fd = d->takeover != NULL ? takeover_pidfile(d->takeover, path) : -1;

	if (fd == -1)
		return -ENOENT;
	if (pidfile_adopt(&d->pidfile, path, fd, &error) == 0)
		return 0;
	daemon_log_failure("the pid file is made anew", error);
	(void)close(fd);
	return -ENOENT;
}

uint64_t
daemon_max_connections(const struct daemon *d)
{
	return d->max_connections == LIMITS_NONE ? 0 : d->max_connections;
}

int
daemon_prepare(struct daemon *d)
{
	const struct config *config = d->config;
	char *error = NULL;

	if (notify_new(&d->notify, &error) != 0)
		daemon_log_failure("cannot notify the service manager", error);
	if (d->notify == NULL)
		return -1;
	error = NULL;
	if (listen_fds_take(&d->passed, &error) != 0) {
		daemon_log_failure(
		    "cannot take the sockets that were passed", error);
		return -1;
	}
	if (store_new(&d->store, &d->passed) != 0) {
		log_error("cannot take the sockets that were kept",
		    LOG_T("error", weir_error_text(-ENOMEM)));
		return -1;
	}
	if (privileges_find(
		&d->privileges, config->user, config->group, &error) != 0) {
		daemon_log_failure("cannot become another user", error);
		return -1;
	}
	if (config->pid_file != NULL && take_pidfile(d) != 0 &&
	    pidfile_new(&d->pidfile, config->pid_file, &error) != 0) {
		daemon_log_failure("cannot use the pid file", error);
		return -1;
	}
	d->workers = daemon_workers(config);
	return daemon_set_limits(d, config);
}

/* A master serves by its workers, which have slots of their own. */
static int
claim_slot(struct daemon *d)
{
	int slot = d->workers > 1 ? 0 : board_worker_claim(d->board, getpid());

	if (slot >= 0)
		d->slot = (unsigned)slot;
	return slot < 0 ? slot : 0;
}

/* What was listened on before this program. */
static int
take_sockets(struct daemon *d, struct proxy_options *options)
{
	const char *control = d->config->control;
	struct proxy_handed_fd before;
	int err = 0;

	if (d->takeover == NULL) {
		if (control != NULL)
			d->control_kept = store_control(d->store, control);
		options->handed =
		    store_sockets(d->store, &options->handed_count);
		return 0;
	}
	options->handed = takeover_sockets(d->takeover, &options->handed_count);
	err = store_inherit(d->store, options->handed, options->handed_count);
	if (err == 0 && takeover_see_control(d->takeover, &before))
		err = store_inherit(d->store, &before, 1);
	if (control != NULL)
		d->control_kept = takeover_control(d->takeover, control);
	return err;
}

static bool
is_ours(pid_t pid, void *user)
{
	const struct daemon *d = user;

	return fleet_has_child(d->fleet, pid) ||
	       target_has_child(d->proxy, pid);
}

int
daemon_start(struct daemon *d)
{
	struct proxy_options options = {
	    .config = d->config,
	    .max_connections = daemon_max_connections(d),
	    .workers = d->workers,
	    .passed = d->passed.fds,
	    .passed_count = d->passed.count,
	};
	struct fleet_options fleet_options = {
	    .workers = d->workers,
	    .drain_timeout_ms = d->config->drain_timeout_ms,
	};
	int err =
	    signals_start(&d->signals, d->loop, &daemon_signals_handlers, d);

	if (err == 0)
		err = daemon_take_board(d);
	if (err == 0)
		err = claim_slot(d);
	options.board = fleet_options.board = d->board;
	options.worker = fleet_options.slot = d->slot;
	if (err == 0)
		err = take_sockets(d, &options);
	if (err == 0)
		err = proxy_new(
		    &d->proxy, d->loop, &options, &daemon_proxy_handlers, d);
	fleet_options.proxy = d->proxy;
	if (err == 0)
		err = fleet_new(&d->fleet, d->loop, &fleet_options,
		    &daemon_fleet_handlers, d);
	if (err == 0 && getpid() == 1)
		err = orphans_new(&d->orphans, d->loop, is_ours, d);
	if (err == 0)
		err = daemon_upgrade_new(d);
	if (err == 0)
		err = daemon_start_reload(d);
	if (err != 0)
		log_error("cannot start", LOG_T("error", weir_error_text(err)));
	return err;
}
