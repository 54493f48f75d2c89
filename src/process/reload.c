/*
 * When a reload is carried out, and in which order: read and compare, have the
 * proxy prepare, take what is the process's own, and put all in force; one
 * after the other, however many are asked for. Promises that each who asked
 * gets an answer of his own, and that with anything that fails nothing was
 * changed. What is told of it is reload_result.c's.
 */
#include "config.h"

#include "process/reload.h"

#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/loop.h>

#include "log/log.h"
#include "process/failure.h"
#include "process/fleet.h"
#include "process/notify.h"
#include "process/reload_priv.h"
#include "proxy/proxy.h"
#include "proxy/reload.h"

/* With a worker; many listeners take their time. */
#define PATIENCE_MS	     2000
#define PATIENCE_LISTENER_MS 2

struct reload_call {
	bool check;
	reload_done *done; /* NULL: nobody asks any more */
	void *user;
	STAILQ_ENTRY(reload_call) next;
};

struct reload {
	struct weir_loop *loop;
	struct reload_options options;
	const struct reload_handlers *handlers;
	void *user;
	struct config *boot, *running;	  /* of the start, and now */
	struct weir_timer *timer;	  /* the next one begins */
	STAILQ_HEAD(, reload_call) calls; /* the first is the one under way */
	bool busy;

	/* The one under way. */
	struct config *config, *before;
	struct proxy_reload *prepared;
	struct result result;
	uint64_t started_ms;
	bool told; /* RELOADING=1 */
};

static void
begin_next(struct reload *reload)
{
	if (STAILQ_EMPTY(&reload->calls) || reload->busy)
		return;
	(void)weir_timer_start(reload->timer, 0);
}

/* Why there cannot be as many processes as are configured now; or NULL. */
static const char *
workers_refused(const struct reload *reload)
{
	if (reload->config == NULL || fleet_is_master(reload->options.fleet) ||
	    reload->config->workers == reload->boot->workers)
		return NULL;
	return "whether one process does it all is settled at the start";
}

/* ---- the end of one ---- */

static void
finish(struct reload *reload)
{
	struct reload_call *call = STAILQ_FIRST(&reload->calls);
	struct result result = reload->result;
	struct config *config = reload->config, *before = reload->before;

	result.result.duration_ms =
	    weir_loop_now_ms(reload->loop) - reload->started_ms;
	result_finish(
	    &result, reload->options.proxy, config, workers_refused(reload));
	result_log(&result);
	fleet_hold(reload->options.fleet, false);
	if (reload->told)
		(void)notify_ready(reload->options.notify, NULL);
	STAILQ_REMOVE_HEAD(&reload->calls, next);
	reload->result = (struct result){0};
	reload->config = reload->before = NULL;
	reload->busy = reload->told = false;
	begin_next(reload);
	/* The last, as it may ask again. */
	if (call->done != NULL)
		call->done(&result.result, call->user);
	free(call);
	result_free(&result);
	config_unref(before);
	config_unref(config);
}

static int ask(struct reload *reload, uint32_t kind, const void *data,
    size_t length, fleet_part *part, fleet_done *done, int fd);
static void on_nothing(int err, unsigned silent, void *user);

static void
give_up(struct reload *reload)
{
	if (fleet_is_master(reload->options.fleet))
		(void)ask(reload, RELOAD_ABORT, NULL, 0, NULL, on_nothing, -1);
	proxy_reload_abort(reload->prepared);
	reload->prepared = NULL;
	finish(reload);
}

/* ---- in its order ---- */

static void
note_mistakes(struct reload *reload)
{
	const struct proxy_reload *prepared = reload->prepared;
	size_t i;

	for (i = 0; i < proxy_reload_mistake_count(prepared); i++)
		result_mistake(
		    &reload->result, "%s", proxy_reload_mistake(prepared, i));
}

/* Everybody has what he needs. */
static void
on_all_done(int err, unsigned silent, void *user)
{
	struct reload *reload = user;

	(void)err;
	if (silent > 0)
		fleet_give_up(reload->options.fleet, 0,
		    "it did not take part in a reload");
	finish(reload);
}

/* It would go on with what was before. */
static void
on_committed(pid_t pid, int err, const void *data, size_t length, void *user)
{
	struct reload *reload = user;

	(void)data;
	(void)length;
	if (err != 0)
		fleet_give_up(reload->options.fleet, pid,
		    "it could not take part in a reload");
}

static void
on_nothing(int err, unsigned silent, void *user)
{
	(void)err;
	(void)silent;
	(void)user;
}

static int
ask(struct reload *reload, uint32_t kind, const void *data, size_t length,
    fleet_part *part, fleet_done *done, int fd)
{
	const struct fleet_question question = {
	    .message = {.kind = kind,
		.data = data,
		.length = length,
		.fds = &fd,
		.fd_count = fd != -1 ? 1 : 0},
	    .patience_ms =
		PATIENCE_MS +
		PATIENCE_LISTENER_MS * (reload->config != NULL
					       ? reload->config->listener_count
					       : 0),
	    .part = part,
	    .done = done,
	    .user = reload,
	};

	return fleet_ask(reload->options.fleet, &question, NULL);
}

/* The orders come in their order: who has answered the last question has all
 * sockets. */
static void
tell_workers(struct reload *reload, const struct reload_orders *orders)
{
	struct fleet *fleet = reload->options.fleet;

	if (ask(reload, RELOAD_COMMIT, orders, sizeof(*orders), on_committed,
		on_nothing, -1) != 0)
		log_error("no memory to tell the workers of a reload");
	fleet_sync_sockets(fleet);
	if (ask(reload, RELOAD_ABORT, NULL, 0, NULL, on_all_done, -1) != 0)
		on_all_done(0, 0, reload);
}

static void
put_in_force(struct reload *reload)
{
	const char *refused = reload->handlers->refuse(reload->user);
	struct reload_orders orders = {0};
	char *error = NULL;

	if (refused != NULL) {
		result_mistake(&reload->result, "%s", refused);
		give_up(reload);
		return;
	}
	if (proxy_reload_take(reload->prepared) != 0) {
		note_mistakes(reload);
		give_up(reload);
		return;
	}
	if (reload->handlers->take(reload->config, &error, reload->user) != 0) {
		result_mistake(&reload->result, "%s", failure_text(error));
		free(error);
		give_up(reload);
		return;
	}
	proxy_reload_commit(reload->prepared);
	reload->prepared = NULL;
	reload->before = reload->running; /* the result points into it */
	reload->running = config_ref(reload->config);
	reload->result.result.ok = true;
	reload->handlers->done(reload->config, &orders, reload->user);
	if (fleet_is_master(reload->options.fleet))
		tell_workers(reload, &orders);
	else
		finish(reload);
}

/* ---- workers ---- */

static void
on_worker_prepared(
    pid_t pid, int err, const void *data, size_t length, void *user)
{
	struct reload *reload = user;

	if (err != 0)
		result_mistake(&reload->result, "worker %ld: %.*s", (long)pid,
		    (int)length, length > 0 ? (const char *)data : "-");
}

static void
on_workers_prepared(int err, unsigned silent, void *user)
{
	struct reload *reload = user;

	if (err != 0) {
		give_up(reload);
		return;
	}
	/* Who is stopped holds up nobody: another is forked of the new. */
	if (silent > 0)
		fleet_give_up(reload->options.fleet, 0,
		    "it did not take part in a reload");
	put_in_force(reload);
}

static int
make_text(const struct config *config)
{
	int fd = memfd_create("weir-config", MFD_CLOEXEC);
	FILE *file = fd != -1 ? fdopen(fd, "w") : NULL;
	int copy = -1;

	if (file == NULL) {
		if (fd != -1)
			(void)close(fd);
		return -1;
	}
	if (config_dump_brief(config, file) == 0 && fflush(file) == 0)
		copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	(void)fclose(file);
	return copy;
}

int
reload_receive(struct config **ret, int fd)
{
	struct config_builder *builder = config_builder_new();
	struct stat st;
	char *text = NULL;
	int err = -ENOMEM;

	if (fstat(fd, &st) == 0)
		text = malloc((size_t)st.st_size + 1);
	if (text != NULL && builder != NULL) {
		err = pread(fd, text, (size_t)st.st_size, 0) == st.st_size
			  ? 0
			  : -EIO;
		if (err == 0 && (config_builder_read_text(builder, "master",
				     text, (size_t)st.st_size) != 0 ||
				    config_builder_finish(builder, ret) != 0))
			err = -EBADMSG;
	}
	(void)close(fd);
	free(text);
	config_builder_free(builder);
	return err;
}

static void
ask_workers(struct reload *reload)
{
	int fd = make_text(reload->config), err = -ENOMEM;

	if (fd != -1) {
		err = ask(reload, RELOAD_PREPARE, NULL, 0, on_worker_prepared,
		    on_workers_prepared, fd);
		(void)close(fd);
	}
	if (err == 0)
		return;
	result_mistake(&reload->result,
	    "cannot tell the workers of the configuration: %s",
	    weir_error_text(err));
	give_up(reload);
}

static void
on_prepared(struct proxy_reload *prepared, bool ok, void *user)
{
	struct reload *reload = user;

	(void)prepared;
	if (!ok) {
		note_mistakes(reload);
		give_up(reload);
	} else if (fleet_is_master(reload->options.fleet)) {
		ask_workers(reload);
	} else {
		put_in_force(reload);
	}
}

static void
prepare(struct reload *reload)
{
	int err;

	reload->told = true;
	fleet_hold(reload->options.fleet, true);
	(void)notify_reloading(reload->options.notify);
	err = proxy_reload_prepare(&reload->prepared, reload->options.proxy,
	    reload->config, on_prepared, reload);
	if (err == 0)
		return;
	result_mistake(&reload->result, "%s", weir_error_text(err));
	finish(reload);
}

static int
read_configuration(struct reload *reload)
{
	char **mistakes = NULL;
	int err =
	    reload->handlers->read(&reload->config, &mistakes, reload->user);

	if (err == 0)
		err = result_compare(&reload->result, reload->boot,
		    reload->running, reload->config);
	else if (mistakes != NULL)
		result_mistakes(&reload->result, mistakes);
	if (err != 0 && reload->result.mistake_count == 0)
		result_mistake(&reload->result, "no memory");
	reload->handlers->free_mistakes(mistakes, reload->user);
	return err;
}

static void
begin(struct weir_timer *timer, void *user)
{
	struct reload *reload = user;
	struct reload_call *call = STAILQ_FIRST(&reload->calls);
	const char *refused;

	(void)timer;
	if (call == NULL || reload->busy)
		return;
	reload->busy = true;
	reload->started_ms = weir_loop_now_ms(reload->loop);
	reload->result.result.check = call->check;
	refused = reload->handlers->refuse(reload->user);
	if (refused != NULL)
		result_mistake(&reload->result, "%s", refused);
	if (refused != NULL || read_configuration(reload) != 0) {
		finish(reload);
		return;
	}
	if (call->check) {
		reload->result.result.ok = true;
		finish(reload);
		return;
	}
	prepare(reload);
}

/* ---- asking ---- */

int
reload_ask(struct reload *reload, bool check, reload_done *done, void *user,
    struct reload_call **ret)
{
	struct reload_call *call = calloc(1, sizeof(*call));

	if (call == NULL)
		return -ENOMEM;
	call->check = check;
	call->done = done;
	call->user = user;
	STAILQ_INSERT_TAIL(&reload->calls, call, next);
	begin_next(reload);
	if (ret != NULL)
		*ret = call;
	return 0;
}

void
reload_cancel(struct reload_call *call)
{
	if (call != NULL)
		call->done = NULL;
}

void
reload_signal(struct reload *reload)
{
	struct reload_call *call;

	/* Signals that come together are one: who waits reads the files when
	 * his turn comes. */
	call = STAILQ_FIRST(&reload->calls);
	if (call != NULL && reload->busy)
		call = STAILQ_NEXT(call, next);
	for (; call != NULL; call = STAILQ_NEXT(call, next))
		if (call->done == NULL && !call->check)
			return;
	if (reload_ask(reload, false, NULL, NULL, NULL) != 0)
		log_error("no memory for a reload");
}

bool
reload_busy(const struct reload *reload)
{
	return !STAILQ_EMPTY(&reload->calls);
}

/* ---- new and free ---- */

int
reload_new(struct reload **ret, struct weir_loop *loop,
    const struct reload_options *options,
    const struct reload_handlers *handlers, void *user)
{
	struct reload *reload = calloc(1, sizeof(*reload));
	int err;

	if (reload == NULL)
		return -ENOMEM;
	err = weir_timer_new(&reload->timer, loop, begin, reload);
	if (err != 0) {
		free(reload);
		return err;
	}
	reload->loop = loop;
	reload->options = *options;
	reload->handlers = handlers;
	reload->user = user;
	reload->boot = config_ref(options->config);
	reload->running = config_ref(options->config);
	STAILQ_INIT(&reload->calls);
	*ret = reload;
	return 0;
}

void
reload_free(struct reload *reload)
{
	struct reload_call *call;

	if (reload == NULL)
		return;
	proxy_reload_abort(reload->prepared);
	while ((call = STAILQ_FIRST(&reload->calls)) != NULL) {
		STAILQ_REMOVE_HEAD(&reload->calls, next);
		free(call);
	}
	result_free(&reload->result);
	config_unref(reload->config);
	config_unref(reload->before);
	config_unref(reload->boot);
	config_unref(reload->running);
	weir_timer_free(reload->timer);
	free(reload);
}
