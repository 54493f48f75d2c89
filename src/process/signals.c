/*
 * What signals mean. Promises that handlers are called from the loop, and
 * that a second wish to stop is not as patient as the first; leaves what
 * stopping is to the daemon.
 */
#include "config.h"

#include "process/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include <weir/loop.h>

#include "log/log.h"

static const int taken[] = {SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGHUP, SIGUSR2};

#define TAKEN_COUNT (sizeof(taken) / sizeof(taken[0]))

struct signals {
	struct weir_signal *watches[TAKEN_COUNT]; /* owned */
	const struct signals_handlers *handlers;
	void *user;
	bool stopping; /* a graceful stop was asked for */
};

static void
handle_stop(struct signals *signals)
{
	if (signals->stopping) {
		signals->handlers->on_immediate(signals->user);
		return;
	}
	signals->stopping = true;
	signals->handlers->on_graceful(signals->user);
}

static void
on_signal(struct weir_signal *watch, int signo, void *user)
{
	struct signals *signals = user;

	(void)watch;
	switch (signo) {
	case SIGTERM:
	case SIGINT:
		handle_stop(signals);
		break;
	case SIGQUIT:
		signals->handlers->on_immediate(signals->user);
		break;
	case SIGUSR1:
		signals->handlers->on_reopen(signals->user);
		break;
	case SIGHUP:
		signals->handlers->on_reload(signals->user);
		break;
	default:
		signals->handlers->on_upgrade(signals->user);
		break;
	}
}

int
signals_start(struct signals **ret, struct weir_loop *loop,
    const struct signals_handlers *handlers, void *user)
{
	struct signals *signals = calloc(1, sizeof(*signals));
	sigset_t none;
	int result;

	*ret = NULL;
	if (signals == NULL)
		return -ENOMEM;
	signals->handlers = handlers;
	signals->user = user;
	for (size_t i = 0; i < TAKEN_COUNT; i++) {
		result = weir_signal_new(
		    &signals->watches[i], loop, taken[i], on_signal, signals);
		if (result < 0) {
			signals_stop(signals);
			return result;
		}
	}
	signal(SIGPIPE, SIG_IGN);
	/* Whoever started us may have blocked some of them. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	*ret = signals;
	return 0;
}

void
signals_stop(struct signals *signals)
{
	if (signals == NULL)
		return;
	for (size_t i = 0; i < TAKEN_COUNT; i++)
		weir_signal_free(signals->watches[i]);
	free(signals);
}
