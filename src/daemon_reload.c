/*
 * The daemon's part in a reload: where another configuration comes from, what
 * of it concerns the process itself, and when there can be none.
 */
#include "config.h"

#include "daemon_priv.h"

#include <errno.h>
#include <string.h>

#include <weir/error.h>

#include "cli.h"
#include "config/config.h"
#include "log/log.h"
#include "process/detach.h"
#include "process/failure.h"
#include "process/fleet.h"
#include "process/limits.h"
#include "process/reload.h"
#include "process/upgrade.h"
#include "proxy/proxy.h"
#include "proxy/reload.h"

static int
on_read(struct config **ret, char ***mistakes, void *user)
{
	struct daemon *d = user;

	return cli_read_again(d->cli, ret, mistakes);
}

static void
on_free_mistakes(char **mistakes, void *user)
{
	(void)user;
	cli_mistakes_free(mistakes);
}

static bool
same_log(const struct config *a, const struct config *b)
{
	return a->log == b->log && a->log_format == b->log_format &&
	       (a->log != CONFIG_LOG_FILE ||
		   strcmp(a->log_path, b->log_path) == 0);
}

static int
change_log(const struct config *now, const struct config *config)
{
	if (same_log(now, config))
		return 0;
	if (config->daemon && config->log == CONFIG_LOG_STDERR &&
	    !detach_keeps_stderr()) {
		daemon_move_log(config);
		return 0;
	}
	return log_open((enum log_target)config->log, config->log_path,
	    (enum log_format)config->log_format);
}

static int
on_take(struct config *config, char **error, void *user)
{
	struct daemon *d = user;
	int err;

	if (config->listener_count == 0)
		return failure(error, -EINVAL,
		    "%s: there is no listener; shutdown ends weir",
		    d->cli->source);
	err = daemon_set_limits(d, config);
	if (err != 0)
		return failure(
		    error, err, "max_connections: %s", weir_error_text(err));
	err = change_log(d->config, config);
	if (err != 0)
		return failure(error, err, "log: cannot open %s: %s",
		    daemon_log_name(config), weir_error_text(err));
	return 0;
}

static void
on_done(struct config *config, struct reload_orders *orders, void *user)
{
	struct daemon *d = user;

	if (fleet_is_master(d->fleet)) {
		d->workers = daemon_workers(config);
		proxy_set_workers(d->proxy, d->workers);
	}
	fleet_set_workers(d->fleet, d->workers, config->drain_timeout_ms);
	/* One that was set by weirctl stays, unless the file has another. */
	if (config->log_level != d->config->log_level)
		log_set_level(daemon_log_level(d->cli, config));
	proxy_set_max_connections(d->proxy, daemon_max_connections(d));
	daemon_log_warnings(config);
	config_unref(d->config);
	d->config = config_ref(config);
	*orders = (struct reload_orders){
	    .max_connections = daemon_max_connections(d),
	    .drain_timeout_ms = config->drain_timeout_ms,
	    .workers = d->workers,
	    .log_level = (uint32_t)log_get_level(),
	};
}

static const char *
on_refuse(void *user)
{
	const struct daemon *d = user;

	if (!d->serving)
		return "weir is starting; reload it when it is ready";
	if (upgrade_running(d->upgrade))
		return "an upgrade is under way: the new program reads the "
		       "configuration itself";
	if (proxy_draining(d->proxy))
		return "weir is draining: it ends with what it has";
	return NULL;
}

static const struct reload_handlers handlers = {
    .read = on_read,
    .free_mistakes = on_free_mistakes,
    .take = on_take,
    .done = on_done,
    .refuse = on_refuse,
};

int
daemon_start_reload(struct daemon *d)
{
	const struct reload_options options = {
	    .proxy = d->proxy,
	    .fleet = d->fleet,
	    .notify = d->notify,
	    .config = d->config,
	};

	return reload_new(&d->reload, d->loop, &options, &handlers, d);
}

/* ---- in a worker ---- */

void
daemon_reload_forget(struct daemon *d)
{
	proxy_reload_abort(d->prepared);
	d->prepared = NULL;
	config_unref(d->next);
	d->next = NULL;
}

static void
on_prepared(struct proxy_reload *prepared, bool ok, void *user)
{
	struct daemon *d = user;
	const char *why = "";
	size_t length;

	if (!ok && proxy_reload_mistake_count(prepared) > 0)
		why = proxy_reload_mistake(prepared, 0);
	length = strlen(why);
	(void)fleet_reply(d->fleet, d->prepare_call, ok ? 0 : -EINVAL, why,
	    length < FLEET_MESSAGE_MAX ? length : FLEET_MESSAGE_MAX);
	if (!ok)
		daemon_reload_forget(d);
}

static void
refuse(struct daemon *d, uint32_t call, int err)
{
	const char *why = weir_error_text(err);

	daemon_reload_forget(d);
	(void)fleet_reply(d->fleet, call, err, why, strlen(why));
}

static void
be_prepared(
    struct daemon *d, uint32_t call, const struct fleet_message *message)
{
	int err;

	daemon_reload_forget(d);
	d->prepare_call = call;
	err = message->fd_count == 1 ? reload_receive(&d->next, message->fds[0])
				     : -EBADMSG;
	if (err == 0) {
		d->next->daemon = d->config->daemon;
		err = proxy_reload_prepare(
		    &d->prepared, d->proxy, d->next, on_prepared, d);
	}
	if (err != 0)
		refuse(d, call, err);
}

static void
commit(struct daemon *d, uint32_t call, const struct fleet_message *message)
{
	struct reload_orders orders;
	int err = d->prepared != NULL && message->length == sizeof(orders)
		      ? proxy_reload_take(d->prepared)
		      : -ENOENT;

	if (err != 0) {
		refuse(d, call, err);
		return;
	}
	memcpy(&orders, message->data, sizeof(orders));
	err = change_log(d->config, d->next);
	if (err != 0)
		log_error("cannot open the log, the old one stays",
		    LOG_T("log", daemon_log_name(d->next)),
		    LOG_T("error", weir_error_text(err)));
	proxy_reload_commit(d->prepared);
	d->prepared = NULL;
	config_unref(d->config);
	d->config = d->next;
	d->next = NULL;
	log_set_level((enum log_level)orders.log_level);
	proxy_set_workers(d->proxy, orders.workers);
	fleet_set_workers(d->fleet, orders.workers, orders.drain_timeout_ms);
	proxy_set_max_connections(d->proxy, orders.max_connections);
	(void)fleet_reply(d->fleet, call, 0, NULL, 0);
}

bool
daemon_reload_question(
    struct daemon *d, uint32_t call, const struct fleet_message *message)
{
	switch (message->kind) {
	case RELOAD_PREPARE:
		be_prepared(d, call, message);
		return true;
	case RELOAD_COMMIT:
		commit(d, call, message);
		return true;
	case RELOAD_ABORT:
		daemon_reload_forget(d);
		(void)fleet_reply(d->fleet, call, 0, NULL, 0);
		return true;
	default:
		return false;
	}
}
