/*
 * Descriptors passed by the service manager. Promises that a value that does
 * not add up is an error, since guessing would serve the wrong port; leaves
 * what each descriptor is to the listener that takes it.
 */
#include "config.h"

#include "process/listen_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process/failure.h"
#include "util/text.h"

/* How many are for this process: 0 or more, or -errno. */
static long
read_count(char **error)
{
	const char *pid_text = getenv("LISTEN_PID");
	const char *count_text = getenv("LISTEN_FDS");
	uint64_t pid, count;

	if (pid_text == NULL || count_text == NULL)
		return 0;
	if (text_number(pid_text, &pid) < 0)
		return failure(error, -EINVAL,
		    "LISTEN_PID: \"%s\" is no process id", pid_text);
	if (pid != (uint64_t)getpid())
		return 0;
	if (text_number(count_text, &count) < 0 ||
	    count > INT_MAX - LISTEN_FDS_START)
		return failure(error, -EINVAL,
		    "LISTEN_FDS: \"%s\" is no number of descriptors",
		    count_text);
	return (long)count;
}

static int
set_close_on_exec(int fd, char **error)
{
	int flags = fcntl(fd, F_GETFD);

	if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0)
		return failure(error, -errno,
		    "LISTEN_FDS promises descriptor %d, which is not open: %m",
		    fd);
	return 0;
}

/* Names are divided by colons; each descriptor has one, or none has. */
static int
set_names(struct listen_fds *fds, const char *text, char **error)
{
	char *rest;

	for (size_t i = 0; i < fds->count; i++)
		fds->fds[i].name = "unknown";
	if (text == NULL || (*text == '\0' && fds->count == 1))
		return 0;
	fds->names = strdup(text);
	if (fds->names == NULL)
		return failure(error, -ENOMEM, "out of memory");
	rest = fds->names;
	for (size_t i = 0; i < fds->count; i++) {
		char *name = strsep(&rest, ":");

		if (name == NULL)
			return failure(error, -EINVAL,
			    "LISTEN_FDNAMES: \"%s\" has %zu names for %zu "
			    "descriptors",
			    text, i, fds->count);
		if (*name != '\0')
			fds->fds[i].name = name;
	}
	if (rest != NULL)
		return failure(error, -EINVAL,
		    "LISTEN_FDNAMES: \"%s\" has more names than the %zu "
		    "descriptors of LISTEN_FDS",
		    text, fds->count);
	return 0;
}

static int
take(struct listen_fds *ret, char **error)
{
	long count = read_count(error);

	if (count <= 0)
		return (int)count;
	/* Before anything is allocated for them: the number may be absurd. */
	for (long i = 0; i < count; i++) {
		int result =
		    set_close_on_exec(LISTEN_FDS_START + (int)i, error);

		if (result < 0)
			return result;
	}
	ret->fds = calloc((size_t)count, sizeof(*ret->fds));
	if (ret->fds == NULL)
		return failure(error, -ENOMEM, "out of memory");
	ret->count = (size_t)count;
	for (size_t i = 0; i < ret->count; i++)
		ret->fds[i].fd = LISTEN_FDS_START + (int)i;
	return set_names(ret, getenv("LISTEN_FDNAMES"), error);
}

int
listen_fds_take(struct listen_fds *ret, char **error)
{
	int result;

	*ret = (struct listen_fds){0};
	result = take(ret, error);
	if (result < 0)
		listen_fds_free(ret);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return result;
}

void
listen_fds_free(struct listen_fds *fds)
{
	free(fds->fds);
	free(fds->names);
	*fds = (struct listen_fds){0};
}
