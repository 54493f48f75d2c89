/*
 * The pid file. Promises that no reader sees it half written, that two
 * daemons never both hold it, and that a file which is no pid file is not
 * touched; leaves when to write it to the daemon.
 *
 * It is made under another name, locked and filled, and then linked to its
 * place, which fails where there is one already. Such a one is opened and
 * locked: if that works it is stale, and is unlinked under its lock.
 */
#include "config.h"

#include "process/pidfile.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process/failure.h"

/* So often another daemon may get in between before we give up. */
#define ATTEMPTS 10

struct pidfile {
	char *path;   /* as given, for messages */
	char *name;   /* the last part of it */
	int folder;   /* O_PATH */
	int fd;	      /* -1: not written */
	pid_t writer; /* who wrote it */
};

/* The process id in a pid file, 0 where it is empty, or -EINVAL. */
static long
read_pid(int fd)
{
	char text[32];
	char *end;
	ssize_t count = pread(fd, text, sizeof(text) - 1, 0);
	long pid;

	if (count < 0)
		return -errno;
	text[count] = '\0';
	if (count == 0)
		return 0;
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	pid = strtol(text, &end, 10);
	while (*end == '\n')
		end++;
	return errno != 0 || end != text + count ? -EINVAL : pid;
}

static int
check_content(const struct pidfile *pidfile, int fd, char **error)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return failure(error, -errno, "%s: %m", pidfile->path);
	if (!S_ISREG(status.st_mode))
		return failure(error, -EINVAL,
		    "%s: not a regular file, and so no pid file; it is left "
		    "alone",
		    pidfile->path);
	if (read_pid(fd) < 0)
		return failure(error, -EINVAL,
		    "%s: holds something else than a process id; it is left "
		    "alone",
		    pidfile->path);
	return 0;
}

static int
already_running(const struct pidfile *pidfile, int fd, char **error)
{
	long pid = read_pid(fd);

	if (pid > 0)
		return failure(error, -EEXIST, "%s: already running, pid %ld",
		    pidfile->path, pid);
	return failure(error, -EEXIST,
	    "%s: already running, or just ending: the file is locked",
	    pidfile->path);
}

/*
 * Open and lock what is there now: *ret is the descriptor of a stale file,
 * or -1 where there is none.
 */
static int
open_stale(const struct pidfile *pidfile, int *ret, char **error)
{
	int fd = openat(pidfile->folder, pidfile->name,
	    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int result;

	*ret = -1;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 && errno == ELOOP)
		return failure(error, -ELOOP,
		    "%s: a symbolic link, and so no pid file; it is left "
		    "alone",
		    pidfile->path);
	if (fd < 0)
		return failure(error, -errno, "%s: %m", pidfile->path);
	result = check_content(pidfile, fd, error);
	if (result == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
		result = errno == EWOULDBLOCK
			     ? already_running(pidfile, fd, error)
			     : failure(error, -errno,
				   "%s: cannot be locked: %m", pidfile->path);
	if (result < 0)
		close(fd);
	else
		*ret = fd;
	return result;
}

static bool
is_same_file(const struct pidfile *pidfile, int fd)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 &&
	       fstatat(pidfile->folder, pidfile->name, &there,
		   AT_SYMLINK_NOFOLLOW) == 0 &&
	       ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

/* Only under its lock, and only where no other took its place meanwhile. */
static int
remove_stale(const struct pidfile *pidfile, char **error)
{
	int fd, result = open_stale(pidfile, &fd, error);

	if (result < 0 || fd < 0)
		return result;
	if (is_same_file(pidfile, fd) &&
	    unlinkat(pidfile->folder, pidfile->name, 0) < 0)
		result = failure(error, -errno,
		    "%s: stale, but cannot be removed: %m", pidfile->path);
	close(fd);
	return result;
}

static int
open_folder(struct pidfile *pidfile, char **error)
{
	char *copy = strdup(pidfile->path);

	if (copy == NULL)
		return failure(error, -ENOMEM, "out of memory");
	pidfile->folder = open(dirname(copy), O_PATH | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	if (pidfile->folder < 0)
		return failure(error, -errno,
		    "%s: the folder cannot be opened: %m", pidfile->path);
	return 0;
}

static int
init(struct pidfile *pidfile, const char *path, char **error)
{
	const char *name = strrchr(path, '/');
	int fd, result;

	name = name == NULL ? path : name + 1;
	if (*name == '\0')
		return failure(error, -EINVAL,
		    "\"%s\" is no path of a pid file: it has no file name",
		    path);
	pidfile->path = strdup(path);
	pidfile->name = strdup(name);
	if (pidfile->path == NULL || pidfile->name == NULL)
		return failure(error, -ENOMEM, "out of memory");
	result = open_folder(pidfile, error);
	if (result < 0)
		return result;
	result = open_stale(pidfile, &fd, error);
	if (fd >= 0)
		close(fd);
	return result;
}

int
pidfile_new(struct pidfile **ret, const char *path, char **error)
{
	struct pidfile *pidfile = calloc(1, sizeof(*pidfile));
	int result;

	*ret = NULL;
	if (pidfile == NULL)
		return failure(error, -ENOMEM, "out of memory");
	pidfile->folder = pidfile->fd = -1;
	result = init(pidfile, path, error);
	if (result < 0)
		pidfile_free(pidfile);
	else
		*ret = pidfile;
	return result;
}

/* Link the finished file to its place, where there must be none, or a stale
 * one. */
static int
put_in_place(struct pidfile *pidfile, const char *made, char **error)
{
	for (int i = 0; i < ATTEMPTS; i++) {
		int result;

		if (linkat(pidfile->folder, made, pidfile->folder,
			pidfile->name, 0) == 0)
			return 0;
		if (errno != EEXIST)
			break;
		result = remove_stale(pidfile, error);
		if (result < 0)
			return result;
	}
	return failure(
	    error, -errno, "%s: cannot be written: %m", pidfile->path);
}

/* Lock and fill. */
static int
fill(struct pidfile *pidfile, int fd, char **error)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	ssize_t count;

	/* The umask of a daemon may be narrow, but scripts read this. */
	if (fchmod(fd, 0644) < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return failure(
		    error, -errno, "%s: cannot be locked: %m", pidfile->path);
	count = write(fd, text, (size_t)length);
	if (count == length)
		return 0;
	if (count >= 0)
		errno = ENOSPC;
	return failure(
	    error, -errno, "%s: cannot be written: %m", pidfile->path);
}

int
pidfile_adopt(struct pidfile **ret, const char *path, int fd, char **error)
{
	struct pidfile *pidfile = calloc(1, sizeof(*pidfile));
	const char *name = strrchr(path, '/');
	int result;

	*ret = NULL;
	if (pidfile == NULL)
		return failure(error, -ENOMEM, "out of memory");
	pidfile->folder = pidfile->fd = -1;
	pidfile->path = strdup(path);
	pidfile->name = strdup(name == NULL ? path : name + 1);
	result = pidfile->path == NULL || pidfile->name == NULL
		     ? failure(error, -ENOMEM, "out of memory")
		     : open_folder(pidfile, error);
	if (result == 0 && !is_same_file(pidfile, fd))
		result = failure(error, -ESTALE,
		    "%s: not the file of the program before this one", path);
	if (result < 0) {
		pidfile_free(pidfile);
		return result;
	}
	pidfile->fd = fd;
	*ret = pidfile;
	return 0;
}

const char *
pidfile_path(const struct pidfile *pidfile)
{
	return pidfile->path;
}

int
pidfile_fd(const struct pidfile *pidfile)
{
	return pidfile->fd;
}

void
pidfile_leave(struct pidfile *pidfile)
{
	pidfile->writer = 0;
}

/*
 * It is ours, and locked; only the number changes. Never a reader sees half a
 * number, nor two: over what is left of a longer one go ends of lines, until
 * it is cut. `kill $(cat FILE)` with the rest of a number behind would meet
 * somebody else.
 */
static int
rewrite(struct pidfile *pidfile, char **error)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	memset(text + length, '\n', sizeof(text) - (size_t)length);
	if (pwrite(pidfile->fd, text, sizeof(text), 0) != sizeof(text) ||
	    ftruncate(pidfile->fd, length) < 0)
		return failure(
		    error, -errno, "%s: cannot be written: %m", pidfile->path);
	pidfile->writer = getpid();
	return 0;
}

static int
write_as(struct pidfile *pidfile, const char *made, char **error)
{
	int fd, result;

	/* Left over from a process of this id that was killed just here. */
	unlinkat(pidfile->folder, made, 0);
	fd = openat(pidfile->folder, made,
	    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return failure(
		    error, -errno, "%s: cannot be written: %m", pidfile->path);
	result = fill(pidfile, fd, error);
	if (result == 0)
		result = put_in_place(pidfile, made, error);
	unlinkat(pidfile->folder, made, 0);
	if (result < 0) {
		close(fd);
		return result;
	}
	pidfile->fd = fd;
	pidfile->writer = getpid();
	return 0;
}

int
pidfile_write(struct pidfile *pidfile, char **error)
{
	char *made;
	int result;

	if (pidfile->fd >= 0)
		return rewrite(pidfile, error);
	if (asprintf(&made, "%s.%ld", pidfile->name, (long)getpid()) < 0)
		return failure(error, -ENOMEM, "out of memory");
	result = write_as(pidfile, made, error);
	free(made);
	return result;
}

static void
remove_own(struct pidfile *pidfile)
{
	if (pidfile->fd < 0 || pidfile->writer != getpid())
		return;
	if (is_same_file(pidfile, pidfile->fd) &&
	    unlinkat(pidfile->folder, pidfile->name, 0) == 0)
		return;
	/* Gone already, replaced, or in a folder that is closed to us by now:
	 * what we hold open is ours in each case. If even this fails, the
	 * file stays, unlocked, and so stale. */
	if (ftruncate(pidfile->fd, 0) < 0)
		return;
}

void
pidfile_free(struct pidfile *pidfile)
{
	if (pidfile == NULL)
		return;
	remove_own(pidfile);
	if (pidfile->fd >= 0)
		close(pidfile->fd);
	if (pidfile->folder >= 0)
		close(pidfile->folder);
	free(pidfile->path);
	free(pidfile->name);
	free(pidfile);
}
