/*
 * Starting this program once more.
 *
 * The file is found again by the name that it was started by, so that a new
 * one at that place, or behind a link, is the one that runs; only where that
 * name says nothing is it the file that runs now. What the service manager
 * said to this process, and to no other, is left out of the environment.
 *
 * Between the two stands a parent that does nothing: it is forked from here,
 * and the program from it. When it ends, the program becomes the child of
 * whoever watches over this one, init or the service manager, as a main process
 * has to be: systemd waits for the end of no other, and would end it at once
 * where it was to drain.
 */
#include "config.h"

#include "process/program.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process/failure.h"

#define FD_FROM 200 /* above what a configuration names as fd:N */

static struct {
	char *path;
	char **argv, **environment; /* owned */
	int folder;		    /* or -1 */
	int input;		    /* standard input, read already; or -1 */
} program = {.folder = -1, .input = -1};

/* ---- remembering ---- */

static void
free_list(char **list)
{
	size_t i;

	for (i = 0; list != NULL && list[i] != NULL; i++)
		free(list[i]);
	free(list);
}

void
program_forget(void)
{
	free(program.path);
	free_list(program.argv);
	free_list(program.environment);
	if (program.folder != -1)
		(void)close(program.folder);
	if (program.input != -1)
		(void)close(program.input);
	memset(&program, 0, sizeof(program));
	program.folder = program.input = -1;
}

static char **
copy_list(char *const *list, bool (*wanted)(const char *text))
{
	size_t count = 0, i, n = 0;
	char **copy;

	while (list[count] != NULL)
		count++;
	copy = calloc(count + 1, sizeof(*copy));
	for (i = 0; copy != NULL && i < count; i++) {
		if (!wanted(list[i]))
			continue;
		copy[n] = strdup(list[i]);
		if (copy[n++] == NULL) {
			free_list(copy);
			return NULL;
		}
	}
	return copy;
}

static bool
any(const char *text)
{
	(void)text;
	return true;
}

static bool
is_for_others(const char *text)
{
	static const char *const ours[] = {
	    "LISTEN_PID=", "LISTEN_FDS=", "LISTEN_FDNAMES=", "LISTEN_PIDFDID=",
	    "WATCHDOG_PID=", PROGRAM_UPGRADE "="};
	size_t i;

	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strncmp(text, ours[i], strlen(ours[i])) == 0)
			return false;
	return true;
}

/* Whether the name leads to the file that runs. */
static bool
is_this(const char *path, const char *running)
{
	struct stat a, b;

	return stat(path, &a) == 0 && stat(running, &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* In one of the folders of PATH, as the shell found it. */
static char *
search(const char *name, const char *running)
{
	const char *folders = getenv("PATH");
	char *path;
	size_t n;

	while (folders != NULL && *folders != '\0') {
		n = strcspn(folders, ":");
		if (asprintf(&path, "%.*s/%s", (int)n, folders, name) == -1)
			return NULL;
		if (n > 0 && is_this(path, running))
			return path;
		free(path);
		folders += n;
		folders += *folders == ':' ? 1 : 0;
	}
	return NULL;
}

static char *
find_path(const char *name)
{
	char running[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", running, sizeof(running) - 1);
	char *path;

	if (n < 0) /* no /proc: the name is all there is */
		return strdup(name);
	running[n] = '\0';
	if (strchr(name, '/') != NULL)
		return strdup(is_this(name, running) ? name : running);
	path = search(name, running);
	return path != NULL ? path : strdup(running);
}

/* -c -, in whichever way it is written. */
static bool
reads_input(char *const *argv)
{
	size_t i, n;

	for (i = 1; argv[i] != NULL; i++) {
		n = strlen(argv[i]);
		if (strcmp(argv[i], "-") == 0 ||
		    strcmp(argv[i], "--config=-") == 0 ||
		    (n > 2 && argv[i][0] == '-' && argv[i][1] != '-' &&
			strcmp(argv[i] + n - 2, "c-") == 0))
			return true;
	}
	return false;
}

/* It cannot be read twice: what comes is kept, and read from there. */
static int
keep_input(void)
{
	int fd = memfd_create("configuration", MFD_CLOEXEC);
	char part[4096];
	ssize_t n = 0;

	if (fd == -1)
		return -errno;
	while ((n = read(STDIN_FILENO, part, sizeof(part))) > 0)
		if (write(fd, part, (size_t)n) != n) {
			n = -1;
			break;
		}
	if (n < 0 || lseek(fd, 0, SEEK_SET) == -1 ||
	    dup2(fd, STDIN_FILENO) == -1) {
		n = -errno;
		(void)close(fd);
		return (int)n;
	}
	program.input = fd;
	return 0;
}

int
program_remember(int argc, char **argv)
{
	if (argc < 1)
		return -EINVAL;
	program.path = find_path(argv[0]);
	program.argv = copy_list(argv, any);
	program.environment = copy_list(environ, is_for_others);
	program.folder = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (program.path == NULL || program.argv == NULL ||
	    program.environment == NULL)
		return -ENOMEM;
	return reads_input(argv) ? keep_input() : 0;
}

const char *
program_path(void)
{
	return program.path;
}

/* ---- starting ---- */

static void
reset_signals(void)
{
	sigset_t none;
	int i;

	for (i = 1; i < NSIG; i++)
		(void)signal(i, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the child; returns only where that failed, and errno says why. */
static void
run(int fd, char *variable)
{
	size_t i;

	reset_signals();
	fd = fcntl(fd, F_DUPFD, FD_FROM);
	if (fd == -1)
		return;
	if (program.folder != -1 && fchdir(program.folder) == -1)
		return;
	if (program.input != -1 && (lseek(program.input, 0, SEEK_SET) == -1 ||
				       dup2(program.input, STDIN_FILENO) == -1))
		return;
	(void)sprintf(variable, "%s=%d", PROGRAM_UPGRADE, fd);
	for (i = 0; program.environment[i] != NULL; i++)
		;
	program.environment[i] = variable; /* where the NULL was */
	(void)execve(program.path, program.argv, program.environment);
}

/* The list as it is to be, with a NULL behind. */
static int
make_room(void)
{
	size_t n = 0;
	char **list;

	while (program.environment[n] != NULL)
		n++;
	list = reallocarray(program.environment, n + 2, sizeof(*list));
	if (list == NULL)
		return -ENOMEM;
	list[n + 1] = NULL;
	program.environment = list;
	return 0;
}

/* What is said of it: its id, and 0, or why it could not be started. */
struct word {
	pid_t pid;
	int err;
};

static void
say(int fd, pid_t pid, int err)
{
	const struct word word = {.pid = pid, .err = err};

	(void)!write(fd, &word, sizeof(word));
}

/* As the program did. */
_Noreturn static void
end_like(int status)
{
	sigset_t others;
	int sig;

	if (WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	sig = WTERMSIG(status);
	(void)prctl(PR_SET_DUMPABLE, 0); /* its core tells nothing */
	(void)signal(sig, SIG_DFL);
	(void)sigfillset(&others);
	(void)sigdelset(&others, sig);
	(void)kill(getpid(), sig);
	(void)sigprocmask(SIG_SETMASK, &others, NULL);
	_exit(128 + sig);
}

/* Wait for its end; SIGTERM brings it. Who else would end it by its id could
 * meet another process that has got that by then. */
_Noreturn static void
guard(pid_t pid)
{
	sigset_t awaited;
	int status;

	(void)sigemptyset(&awaited);
	(void)sigaddset(&awaited, SIGCHLD);
	(void)sigaddset(&awaited, SIGTERM);
	for (;;) {
		if (sigwaitinfo(&awaited, NULL) == SIGTERM)
			(void)kill(pid, SIGKILL);
		if (waitpid(pid, &status, WNOHANG) == pid)
			end_like(status);
	}
}

/* All signals are blocked. */
_Noreturn static void
be_parent(int fd, int told, pid_t old)
{
	char variable[64];
	pid_t pid;

	(void)signal(SIGCHLD, SIG_DFL);
	/* Without the old program the new one is on its own. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != old)
		_exit(127);
	pid = fork();
	if (pid == 0) {
		say(told, getpid(), 0);
		run(fd, variable);
		say(told, getpid(), errno);
		_exit(127);
	}
	if (pid == -1) {
		say(told, 0, errno);
		_exit(127);
	}
	/* No connection may stay open for this one. */
	closefrom(0);
	guard(pid);
}

/* The next word; false where there is none. */
static bool
hear(int fd, struct word *word)
{
	ssize_t n;

	do {
		n = read(fd, word, sizeof(*word));
	} while (n == -1 && errno == EINTR);
	return n == sizeof(*word);
}

static pid_t
wait_for(pid_t pid, int *status)
{
	pid_t ended;

	do {
		ended = waitpid(pid, status, 0);
	} while (ended == -1 && errno == EINTR);
	return ended;
}

static int
wait_for_exec(int fd, struct program_run *ret, char **error)
{
	struct word word = {.err = EIO}; /* said by none: it was killed */

	(void)hear(fd, &word);
	ret->pid = word.pid;
	if (word.err == 0 && !hear(fd, &word))
		return 0;
	(void)wait_for(ret->parent, NULL);
	return failure(error, -word.err, "cannot start %s: %s", program.path,
	    strerror(word.err));
}

/* No handler of ours may run in the child, which has our loop's descriptors. */
static pid_t
fork_quietly(void)
{
	sigset_t all, before;
	pid_t pid;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, &before);
	pid = fork();
	if (pid != 0)
		(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

int
program_start(int fd, struct program_run *ret, char **error)
{
	pid_t self = getpid();
	int told[2], err;

	*ret = (struct program_run){0};
	if (program.path == NULL || make_room() != 0)
		return failure(error, -ENOMEM, "out of memory");
	if (pipe2(told, O_CLOEXEC) == -1)
		return failure(
		    error, -errno, "cannot start %s: %m", program.path);
	ret->parent = fork_quietly();
	if (ret->parent == 0)
		be_parent(fd, told[1], self);
	err = ret->parent == -1 ? failure(error, -errno, "cannot fork: %m") : 0;
	(void)close(told[1]);
	if (err == 0)
		err = wait_for_exec(told[0], ret, error);
	(void)close(told[0]);
	return err;
}

bool
program_ended(const struct program_run *run, int *status)
{
	return waitpid(run->parent, status, WNOHANG) == run->parent;
}

bool
program_end(const struct program_run *run, int *status)
{
	(void)kill(run->parent, SIGTERM);
	return wait_for(run->parent, status) == run->parent;
}

void
program_let_go(const struct program_run *run)
{
	(void)kill(run->parent, SIGKILL);
	(void)wait_for(run->parent, NULL);
}

int
program_upgrade_fd(void)
{
	const char *text = getenv(PROGRAM_UPGRADE);
	char *end;
	long fd;

	if (text == NULL)
		return -1;
	fd = strtol(text, &end, 10);
	if (end == text || *end != '\0' || fd <= STDERR_FILENO || fd > INT_MAX)
		fd = -1;
	(void)unsetenv(PROGRAM_UPGRADE);
	if (fd != -1 && fcntl((int)fd, F_SETFD, FD_CLOEXEC) == -1)
		fd = -1;
	return (int)fd;
}
