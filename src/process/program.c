/*
 * Starting this program once more.
 *
 * The file is found again by the name that it was started by, so that a new
 * one at that place, or behind a link, is the one that runs; only where that
 * name says nothing is it the file that runs now. What the service manager
 * said to this process, and to no other, is left out of the environment.
 */
#include "config.h"

#include "process/program.h"

#include <sys/mman.h>
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

/* What the child says of its exec: nothing, or why it failed. */
static int
wait_for_exec(int fd, pid_t pid, char **error)
{
	int err = 0;
	ssize_t n;

	do {
		n = read(fd, &err, sizeof(err));
	} while (n == -1 && errno == EINTR);
	if (n <= 0)
		return 0;
	(void)waitpid(pid, NULL, 0);
	return failure(
	    error, -err, "cannot start %s: %s", program.path, strerror(err));
}

int
program_start(int fd, pid_t *pid, char **error)
{
	char variable[64];
	int told[2], err;

	if (program.path == NULL || make_room() != 0)
		return failure(error, -ENOMEM, "out of memory");
	if (pipe2(told, O_CLOEXEC) == -1)
		return failure(
		    error, -errno, "cannot start %s: %m", program.path);
	*pid = fork();
	if (*pid == 0) {
		run(fd, variable);
		err = errno;
		(void)!write(told[1], &err, sizeof(err));
		_exit(127);
	}
	err = *pid == -1 ? failure(error, -errno, "cannot fork: %m") : 0;
	(void)close(told[1]);
	if (err == 0)
		err = wait_for_exec(told[0], *pid, error);
	(void)close(told[0]);
	return err;
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
