/*
 * Going into the background. Promises that the command that was typed tells
 * by its exit status whether the daemon serves, however that ended; leaves
 * exiting to the caller.
 */
#include "config.h"

#include "process/detach.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process/failure.h"

struct detach {
	int fd; /* to the process that was typed */
};

int
detach_fill_standard_fds(void)
{
	int fd;

	/* open() takes the lowest that is free. */
	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			return -errno;
	} while (fd <= STDERR_FILENO);
	close(fd);
	return 0;
}

/* How the daemon ended that never reported. */
static int
wait_for_end(pid_t pid, char **error)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR) {
			failure(error, -errno,
			    "cannot learn how the daemon, pid %ld, ended: %m",
			    (long)pid);
			return 1;
		}
	}
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	failure(error, -EIO,
	    "the daemon, pid %ld, was ended by signal %d (%s) before it "
	    "served",
	    (long)pid, WTERMSIG(status), strsignal(WTERMSIG(status)));
	return 1;
}

static int
wait_for_report(int fd, pid_t pid, char **error)
{
	unsigned char status;
	ssize_t count;

	do {
		count = read(fd, &status, 1);
	} while (count < 0 && errno == EINTR);
	return count == 1 ? status : wait_for_end(pid, error);
}

static int
fork_failed(struct detach *detach, const int fds[2], char **error)
{
	int result =
	    failure(error, -errno, "cannot go into the background: %m");

	if (fds[0] >= 0) {
		close(fds[0]);
		close(fds[1]);
	}
	free(detach);
	return result;
}

int
detach_start(
    struct detach **ret, enum detach_side *side, int *status, char **error)
{
	struct detach *detach = calloc(1, sizeof(*detach));
	int fds[2] = {-1, -1};
	pid_t pid;

	*ret = NULL;
	if (error != NULL)
		*error = NULL;
	if (detach == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return fork_failed(detach, fds, error);
	pid = fork();
	if (pid < 0)
		return fork_failed(detach, fds, error);
	close(fds[pid == 0 ? 0 : 1]);
	if (pid > 0) {
		free(detach);
		*side = DETACH_TYPED;
		*status = wait_for_report(fds[0], pid, error);
		close(fds[0]);
		return 0;
	}
	setsid();
	detach->fd = fds[1];
	*side = DETACH_DAEMON;
	*status = 0;
	*ret = detach;
	return 0;
}

bool
detach_keeps_stderr(void)
{
	struct stat status;

	return fstat(STDERR_FILENO, &status) == 0 && S_ISREG(status.st_mode);
}

static int
leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int result = 0;

	if (null < 0)
		return -errno;
	if (dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    (!detach_keeps_stderr() && dup2(null, STDERR_FILENO) < 0))
		result = -errno;
	close(null);
	return result;
}

int
detach_report(struct detach *detach, int status)
{
	unsigned char byte = (unsigned char)status;
	int result = 0;

	if (detach == NULL)
		return 0;
	/* First leave, then report: who reads our output until it ends must
	 * not wait for it longer than for the command. */
	if (status == 0)
		result = leave_terminal();
	if (result == 0 && send(detach->fd, &byte, 1, MSG_NOSIGNAL) < 0 &&
	    errno != EPIPE && errno != ECONNRESET)
		result = -errno;
	close(detach->fd);
	free(detach);
	return result;
}
