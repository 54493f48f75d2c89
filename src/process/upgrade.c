/*
 * The old program's half of an upgrade. Messages are texts:
 *
 *	hello FORMAT VERSION, board, pidfile PATH, control PATH,
 *	listen LISTENER TEXT INHERITED, closed LISTENER,
 *	log_level NAME CONFIGURED, end
 *
 * each with its descriptor, where it has one; then `ready`, or `failed WHY`,
 *comes back, `go` and a `mover` for each process that has connections follow,
 *and `over` when these are done. takeover.c is the other half.
 */
#include "config.h"

#include "process/upgrade.h"

#include <sys/wait.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <weir/channel.h>
#include <weir/error.h>
#include <weir/loop.h>
#include <weir/version.h>

#include "log/log.h"
#include "process/failure.h"
#include "process/fleet.h"
#include "process/migrate.h"
#include "process/notify.h"
#include "process/pidfile.h"
#include "process/program.h"
#include "process/wire.h"
#include "proxy/board.h"
#include "proxy/proxy.h"

enum phase {
	IDLE,
	STARTING, /* it has everything, and is to say that it is ready */
	MOVING,	  /* it accepts; connections go over to it */
	OVER,	  /* it is on its own */
};

struct upgrade {
	struct weir_loop *loop;
	struct upgrade_options options;
	const struct upgrade_handlers *handlers;
	void *user;
	enum phase phase;
	struct program_run run;
	struct wire *wire;
	struct migrate *migrate;
	struct weir_timer *timer;
	int error; /* of what was to be sent */
};

static void
hold(struct upgrade *u, bool on)
{
	migrate_hold(u->options.fleet, u->options.proxy, on);
	u->handlers->on_hold(on, u->user);
}

/* ---- when it fails ---- */

/* How the new process ended, or is ended now. */
static char *
reap(struct upgrade *u)
{
	static const struct timespec moment = {.tv_nsec = 1000000};
	char *text = NULL;
	bool ended = false;
	int status, i;

	/* One that ends by itself closes its channel a moment before. */
	for (i = 0; !ended && i < 20; i++) {
		ended = program_ended(&u->run, &status);
		if (!ended)
			(void)nanosleep(&moment, NULL);
	}
	if (!ended && !program_end(&u->run, &status))
		return NULL;
	if (WIFEXITED(status))
		(void)failure(&text, 0, "it ended with exit status %d",
		    WEXITSTATUS(status));
	else
		(void)failure(&text, 0, "it was ended by signal %d (%s)",
		    WTERMSIG(status), strsignal(WTERMSIG(status)));
	return text;
}

/* why NULL: how it ended says it. */
static void
give_up(struct upgrade *u, const char *why)
{
	enum phase was = u->phase;
	char *ended;

	u->phase = IDLE;
	weir_timer_stop(u->timer);
	migrate_free(u->migrate); /* before the process may take its word */
	u->migrate = NULL;
	ended = reap(u);
	board_workers_check(u->options.board); /* what it had is closed */
	wire_free(u->wire);
	u->wire = NULL;
	log_error("upgrade failed, going on as before",
	    LOG_T("program", program_path()), LOG_N("pid", u->run.pid),
	    LOG_T("error", why != NULL ? why : failure_text(ended)));
	free(ended);
	if (was == MOVING)
		hold(u, false);
}

/* 0 is fine. Where it has ended already, how it ended says more. */
static void
failed_with(struct upgrade *u, int err)
{
	if (err == -EPIPE || err == -ECONNRESET)
		give_up(u, NULL);
	else if (err != 0)
		give_up(u, weir_error_text(err));
}

static void
on_timeout(struct weir_timer *timer, void *user)
{
	struct upgrade *u = user;

	(void)timer;
	give_up(u, "it was not ready in time");
}

/* ---- what is handed over ---- */

static void
note(struct upgrade *u, int err)
{
	if (err != 0 && u->error == 0)
		u->error = err;
}

static void
send_socket(
    const char *listener, const char *text, int fd, bool inherited, void *user)
{
	struct upgrade *u = user;

	note(u, wire_say(u->wire, fd, "listen", listener, text,
		    inherited ? "1" : "0", NULL));
}

static void
send_closed(struct upgrade *u)
{
	const struct proxy *proxy = u->options.proxy;
	struct listener_figures figures;
	size_t i;

	for (i = 0; i < proxy_listener_count(proxy); i++) {
		proxy_listener_figures(proxy, i, &figures);
		if (figures.state == LISTENER_CLOSED)
			note(u, wire_say(
				    u->wire, -1, "closed", figures.name, NULL));
	}
}

static int
hand_over(struct upgrade *u)
{
	const struct pidfile *pidfile = u->options.pidfile;
	const char *path = NULL;
	int fd = u->handlers->control(&path, u->user);

	u->error = 0;
	note(u, wire_say(u->wire, -1, "hello", UPGRADE_FORMAT, weir_version(),
		    NULL));
	note(u, wire_say(u->wire, board_fd(u->options.board), "board", NULL));
	if (pidfile != NULL && pidfile_fd(pidfile) != -1)
		note(u, wire_say(u->wire, pidfile_fd(pidfile), "pidfile",
			    pidfile_path(pidfile), NULL));
	if (fd != -1)
		note(u, wire_say(u->wire, fd, "control", path, NULL));
	proxy_each_listening(u->options.proxy, send_socket, u);
	send_closed(u);
	note(u,
	    wire_say(u->wire, -1, "log_level", log_level_text(log_get_level()),
		log_level_text(u->handlers->log_level(u->user)), NULL));
	note(u, wire_say(u->wire, -1, "end", NULL));
	return u->error;
}

/* ---- when it is ready ---- */

static void
over(struct upgrade *u, const struct mover_counts *counts)
{
	log_info("upgraded, the new program serves", LOG_N("pid", u->run.pid),
	    LOG_N("moved", counts->moved), LOG_N("stayed", counts->stayed));
	u->phase = OVER;
	if (u->options.pidfile != NULL)
		pidfile_leave(u->options.pidfile);
	program_let_go(&u->run); /* who is told of it must be its parent */
	(void)notify_main_pid(u->options.notify, u->run.pid);
	(void)wire_say(u->wire, -1, "over", NULL);
	u->handlers->on_over(u->user);
}

static void
on_given(const struct mover_counts *counts, bool failed, void *user)
{
	struct upgrade *u = user;

	if (u->phase != MOVING)
		return;
	if (failed)
		give_up(u, NULL);
	else
		over(u, counts);
}

static void
ready(struct upgrade *u)
{
	int err;

	if (u->phase != STARTING)
		return;
	weir_timer_stop(u->timer);
	u->phase = MOVING;
	hold(u, true);
	err = wire_say(u->wire, -1, "go", NULL);
	if (err == 0)
		err = migrate_give(&u->migrate, u->loop, u->options.fleet,
		    u->options.proxy, u->wire, on_given, u);
	failed_with(u, err);
}

/* ---- the wire ---- */

static void
on_message(struct wire *wire, const struct wire_message *message, void *user)
{
	struct upgrade *u = user;
	const char *texts[WIRE_TEXTS];
	char *why;

	(void)wire;
	wire_close_fds(message);
	if (wire_texts(message, texts) == 0)
		return;
	if (strcmp(texts[0], "ready") == 0) {
		ready(u);
	} else if (strcmp(texts[0], "failed") == 0) {
		why = strdup(texts[1]); /* it ends with the wire */
		give_up(u, why);
		free(why);
	}
}

static void
on_close(struct wire *wire, void *user)
{
	struct upgrade *u = user;

	(void)wire;
	if (u->phase == STARTING || u->phase == MOVING)
		give_up(u, NULL);
}

static const struct wire_handlers wire_handlers = {
    .on_message = on_message,
    .on_close = on_close,
};

/* ---- beginning ---- */

static uint64_t
patience_ms(void)
{
	const char *text = getenv("WEIR_UPGRADE_TIMEOUT");
	long ms = text != NULL ? atol(text) : 0;

	return ms > 0 ? (uint64_t)ms : UPGRADE_PATIENCE_MS;
}

static int
start(struct upgrade *u, char **error)
{
	int fds[2], err = weir_channel_pair(fds);

	if (err != 0)
		return failure(
		    error, err, "no channel: %s", weir_error_text(err));
	err = wire_new(&u->wire, u->loop, fds[0], &wire_handlers, u);
	if (err != 0) {
		(void)close(fds[0]);
		(void)close(fds[1]);
		return failure(error, err, "%s", weir_error_text(err));
	}
	err = program_start(fds[1], &u->run, error);
	(void)close(fds[1]);
	if (err != 0) {
		wire_free(u->wire);
		u->wire = NULL;
	}
	return err;
}

void
upgrade_begin(struct upgrade *u)
{
	char *error = NULL;
	int err;

	if (u->phase != IDLE) {
		log_warn(u->phase == OVER
			     ? "SIGUSR2: another program serves already"
			     : "SIGUSR2: an upgrade is under way",
		    LOG_N("pid", u->run.pid));
		return;
	}
	if (getpid() == 1) {
		log_error("upgrade refused: with process 1 its container ends, "
			  "and the new program with it");
		return;
	}
	if (start(u, &error) != 0) {
		log_error("upgrade failed, going on as before",
		    LOG_T("program", program_path()),
		    LOG_T("error", failure_text(error)));
		free(error);
		return;
	}
	u->phase = STARTING;
	log_info("upgrade, starting the program anew",
	    LOG_T("program", program_path()), LOG_N("pid", u->run.pid));
	err = hand_over(u);
	if (err == 0)
		err = weir_timer_start(u->timer, patience_ms());
	failed_with(u, err);
}

void
upgrade_forked(struct upgrade *u)
{
	u->phase = IDLE;
	upgrade_free(u);
}

bool
upgrade_running(const struct upgrade *u)
{
	return u->phase != IDLE;
}

int
upgrade_new(struct upgrade **ret, struct weir_loop *loop,
    const struct upgrade_options *options,
    const struct upgrade_handlers *handlers, void *user)
{
	struct upgrade *u = calloc(1, sizeof(*u));
	int err;

	if (u == NULL)
		return -ENOMEM;
	u->loop = loop;
	u->options = *options;
	u->handlers = handlers;
	u->user = user;
	err = weir_timer_new(&u->timer, loop, on_timeout, u);
	if (err != 0) {
		free(u);
		return err;
	}
	*ret = u;
	return 0;
}

void
upgrade_free(struct upgrade *u)
{
	if (u == NULL)
		return;
	migrate_free(u->migrate);
	if (u->phase == STARTING || u->phase == MOVING)
		(void)program_end(&u->run, NULL);
	wire_free(u->wire);
	weir_timer_free(u->timer);
	free(u);
}
