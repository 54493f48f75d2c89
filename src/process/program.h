/*
 * The program itself: how it was started, to be started once more in the same
 * way, from a file that may be another one by then.
 */
#ifndef PROCESS_PROGRAM_H
#define PROCESS_PROGRAM_H

#include <sys/types.h>

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

/*
 * Start it anew, with fd as what PROGRAM_UPGRADE names. *pid is to be waited
 * for by the caller. Returns 0, or -errno with *error, and there is no process.
 */
int program_start(int fd, pid_t *pid, char **error);

/* In the new program: that descriptor, closed by exec, or -1 where it was not
 * started so; nobody who is started by it sees the variable. */
int program_upgrade_fd(void);

#endif
