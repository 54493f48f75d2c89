/*
 * Going into the background (-d), so that the command that was typed ends
 * when the listeners are bound, with the exit status of that.
 */
#ifndef PROCESS_DETACH_H
#define PROCESS_DETACH_H

#include <stdbool.h>

struct detach;

enum detach_side {
	DETACH_DAEMON, /* the new process: go on, then detach_report() */
	DETACH_TYPED,  /* the one that was typed: end with the status */
};

/*
 * Open /dev/null for each of the descriptors 0 to 2 that is closed, so that
 * no socket becomes "stderr". To be called first of all. Returns 0 or -errno.
 */
int detach_fill_standard_fds(void);

/*
 * Fork. In the new process, which leads a session of its own, *side is
 * DETACH_DAEMON and *ret is for detach_report(). In the one that was typed,
 * this returns when the other has reported or ended: *side is DETACH_TYPED
 * and *status is what to exit with (1 where a signal ended the other, and
 * *error says so; it is NULL otherwise). Call it before there is a loop.
 * Returns 0, or -errno with *error, and then there is one process.
 */
int detach_start(
    struct detach **ret, enum detach_side *side, int *status, char **error);

/*
 * Report status and free detach. With status 0 the standard descriptors
 * become /dev/null, but for a stderr that detach_keeps_stderr(). The working
 * directory stays, since paths of the configuration may be relative. NULL is
 * fine and does nothing. Returns 0 or -errno; that nobody waits any more is
 * no error.
 */
int detach_report(struct detach *detach, int status);

/*
 * Whether stderr is a regular file ("weir -d 2>weir.log"), and so stays: a
 * log to it is kept. Otherwise a log must go elsewhere, or is lost.
 */
bool detach_keeps_stderr(void);

#endif
