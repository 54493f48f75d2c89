/*
 * The program itself: how it was started, to be started once more in the same
 * way, from a file that may be another one by then.
 */
#ifndef PROCESS_PROGRAM_H
#define PROCESS_PROGRAM_H

#include <sys/types.h>

#include <stdbool.h>

/* Tells the new program the descriptor that leads to the old one. */
#define PROGRAM_UPGRADE "WEIR_UPGRADE"

/*
 * Remember arguments, environment, folder and file, and where a configuration
 * comes from standard input, that too. To be called first, once. Returns 0 or
 * -errno.
 */
int program_remember(int argc, char **argv);
void program_forget(void);

/* The file that is started; NULL before. */
const char *program_path(void);

/* One that was started, and the process between it and this one. */
struct program_run {
	pid_t pid, parent;
};

/*
 * Start it anew, with fd as what PROGRAM_UPGRADE names. One of the three calls
 * below is to end what *ret stands for. Returns 0, or -errno with *error, and
 * there is no process.
 */
int program_start(int fd, struct program_run *ret, char **error);

/* Whether it has ended, and how, as waitpid() tells; never waits. */
bool program_ended(const struct program_run *run, int *status);
/* End it at once. False where how it ended is not known. */
bool program_end(const struct program_run *run, int *status);
/* It is no child of this process any more, but of whoever would have it if
 * this one had ended. */
void program_let_go(const struct program_run *run);

/* In the new program: that descriptor, closed by exec, or -1 where it was not
 * started so; nobody who is started by it sees the variable. */
int program_upgrade_fd(void);

#endif
