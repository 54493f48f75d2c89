/*
 * What signals mean to the daemon, as calls from the loop.
 */
#ifndef PROCESS_SIGNALS_H
#define PROCESS_SIGNALS_H

struct weir_loop;
struct signals;

/* All are required. */
struct signals_handlers {
	/* The first SIGTERM or SIGINT. */
	void (*on_graceful)(void *user);
	/* SIGQUIT, and each further SIGTERM or SIGINT. */
	void (*on_immediate)(void *user);
	/* SIGHUP: read the configuration again. */
	void (*on_reload)(void *user);
	/* SIGUSR1: reopen log files, log figures. */
	void (*on_reopen)(void *user);
	/* SIGUSR2: start the program file anew. */
	void (*on_upgrade)(void *user);
};

/*
 * Take the signals; SIGPIPE is ignored from now on. handlers and user are kept
 * by reference. Handlers may call signals_stop(). *ret is the caller's. Returns
 * 0 or a negative weir error.
 */
int signals_start(struct signals **ret, struct weir_loop *loop,
    const struct signals_handlers *handlers, void *user);

/* Put back what was in force, SIGPIPE excepted; NULL is fine. */
void signals_stop(struct signals *signals);

#endif
