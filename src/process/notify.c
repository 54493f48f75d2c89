/*
 * systemd's notification protocol: datagrams of NAME=VALUE lines to the unix
 * socket that NOTIFY_SOCKET names. Promises never to wait and to do nothing
 * where nobody listens; leaves when to tell what to the daemon.
 */
#include "config.h"

#include "process/notify.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "process/failure.h"
#include "util/text.h"

/* The kernel takes no more descriptors than this in one message. */
#define FDS_A_MESSAGE 253

/* How long one that must not get lost may wait for room. */
#define SURELY_MS 200

struct notify {
	int fd; /* -1: there is nobody to tell */
	struct sockaddr_un address;
	socklen_t address_length;
	uint64_t watchdog_ms; /* 0: not asked for */
};

/* ---- the environment ---- */

static int
read_socket(struct notify *notify, char **error)
{
	const char *name = getenv("NOTIFY_SOCKET");
	size_t length;

	if (name == NULL || *name == '\0')
		return 0;
	length = strlen(name);
	if ((name[0] != '/' && name[0] != '@') || name[1] == '\0')
		return failure(error, -EINVAL,
		    "NOTIFY_SOCKET: \"%s\" is no address of a unix socket "
		    "(a path that begins with \"/\", or @NAME)",
		    name);
	if (length >= sizeof(notify->address.sun_path))
		return failure(error, -ENAMETOOLONG,
		    "NOTIFY_SOCKET: \"%s\" is longer than %zu bytes", name,
		    sizeof(notify->address.sun_path) - 1);
	notify->address.sun_family = AF_UNIX;
	memcpy(notify->address.sun_path, name, length);
	if (name[0] == '@')
		notify->address.sun_path[0] = '\0';
	notify->address_length =
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (notify->fd < 0)
		return failure(error, -errno,
		    "no socket to tell NOTIFY_SOCKET %s: %m", name);
	return 0;
}

static int
read_watchdog(struct notify *notify, char **error)
{
	const char *usec = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");
	uint64_t value;

	if (usec == NULL)
		return 0;
	if (pid != NULL) {
		if (text_number(pid, &value) < 0)
			return failure(error, -EINVAL,
			    "WATCHDOG_PID: \"%s\" is no process id", pid);
		if (value != (uint64_t)getpid())
			return 0;
	}
	if (text_number(usec, &value) < 0 || value == 0)
		return failure(error, -EINVAL,
		    "WATCHDOG_USEC: \"%s\" is no number of microseconds above "
		    "0",
		    usec);
	notify->watchdog_ms = value / 2000;
	if (notify->watchdog_ms == 0)
		notify->watchdog_ms = 1;
	return 0;
}

int
notify_new(struct notify **ret, char **error)
{
	struct notify *notify = calloc(1, sizeof(*notify));
	int result;

	*ret = notify;
	if (notify == NULL)
		return failure(error, -ENOMEM, "out of memory");
	notify->fd = -1;
	result = read_socket(notify, error);
	if (result == 0 && notify->fd >= 0)
		result = read_watchdog(notify, error);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	if (result < 0 && notify->fd >= 0) {
		close(notify->fd);
		notify->fd = -1;
	}
	return result;
}

void
notify_free(struct notify *notify)
{
	if (notify == NULL)
		return;
	if (notify->fd >= 0)
		close(notify->fd);
	free(notify);
}

bool
notify_enabled(const struct notify *notify)
{
	return notify->fd >= 0;
}

uint64_t
notify_watchdog_ms(const struct notify *notify)
{
	return notify->watchdog_ms;
}

/* ---- messages ---- */

static int
send_with_fds(
    struct notify *notify, const char *text, const int *fds, size_t count)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(FDS_A_MESSAGE * sizeof(int))];
	} control;
	struct iovec data = {(void *)(uintptr_t)text, strlen(text)};
	struct msghdr message = {.msg_name = &notify->address,
	    .msg_namelen = notify->address_length,
	    .msg_iov = &data,
	    .msg_iovlen = 1};
	ssize_t sent;

	if (count > 0) {
		memset(&control, 0, sizeof(control));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	}
	do {
		sent =
		    sendmsg(notify->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/*
 * What must not get lost, even if the queue is full just now: of our sockets,
 * say. A manager that reads nothing for so long has other troubles.
 */
static int
send_surely(struct notify *notify, const char *text)
{
	static const struct timespec moment = {.tv_nsec = 1000000};
	int result, i;

	for (i = 0;; i++) {
		result = send_with_fds(notify, text, NULL, 0);
		if (result != -EAGAIN || i == SURELY_MS)
			return result;
		(void)nanosleep(&moment, NULL);
	}
}

/* Send "head" and "STATUS=status"; a line in status must not become a
 * statement of its own. */
static int
send_status(
    struct notify *notify, const char *head, const char *status, bool surely)
{
	char *text;
	int result;

	if (notify->fd < 0)
		return 0;
	/* Without memory for the status the state is told all the same. */
	if (status == NULL ||
	    asprintf(&text, "%sSTATUS=%s", head, status) < 0)
		return surely ? send_surely(notify, head)
			      : send_with_fds(notify, head, NULL, 0);
	for (char *c = text + strlen(head); *c != '\0'; c++)
		if (*c == '\n' || *c == '\r')
			*c = ' ';
	result = surely ? send_surely(notify, text)
			: send_with_fds(notify, text, NULL, 0);
	free(text);
	return result;
}

int
notify_ready(struct notify *notify, const char *status)
{
	return send_status(notify, "READY=1\n", status, true);
}

int
notify_stopping(struct notify *notify, const char *status)
{
	return send_status(notify, "STOPPING=1\n", status, true);
}

int
notify_main_pid(struct notify *notify, pid_t pid)
{
	char text[40];
	int result;

	snprintf(text, sizeof(text), "MAINPID=%ld", (long)pid);
	result = send_status(notify, text, NULL, true);
	if (notify->fd >= 0)
		close(notify->fd);
	notify->fd = -1;
	return result;
}

int
notify_reloading(struct notify *notify)
{
	struct timespec now;
	char text[80];

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
	    (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
	return send_status(notify, text, NULL, true);
}

int
notify_status(struct notify *notify, const char *format, ...)
{
	va_list arguments;
	char *status;
	int result;

	if (notify->fd < 0)
		return 0;
	va_start(arguments, format);
	result = vasprintf(&status, format, arguments);
	va_end(arguments);
	if (result < 0)
		return -ENOMEM;
	result = send_status(notify, "", status, false);
	free(status);
	return result;
}

int
notify_draining(struct notify *notify, const char *status, uint64_t ms)
{
	char head[60];

	snprintf(
	    head, sizeof(head), "EXTEND_TIMEOUT_USEC=%" PRIu64 "\n", ms * 1000);
	return send_status(notify, head, status, false);
}

int
notify_watchdog(struct notify *notify)
{
	return send_status(notify, "WATCHDOG=1", NULL, false);
}

/* ---- descriptors ---- */

static bool
is_fd_name(const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || length > 255)
		return false;
	for (; *name != '\0'; name++)
		if (*name <= ' ' || *name > '~' || *name == ':')
			return false;
	return true;
}

int
notify_store_fds(
    struct notify *notify, const char *name, const int *fds, size_t count)
{
	char text[320];

	if (notify->fd < 0)
		return 0;
	if (!is_fd_name(name))
		return -EINVAL;
	/* Without FDPOLL=0 a socket that is bound but does not listen would
	 * count as hung up, and be dropped. */
	snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	while (count > 0) {
		size_t part = count < FDS_A_MESSAGE ? count : FDS_A_MESSAGE;
		int result = send_with_fds(notify, text, fds, part);

		if (result < 0)
			return result;
		fds += part;
		count -= part;
	}
	return 0;
}

int
notify_remove_fds(struct notify *notify, const char *name)
{
	char text[320];

	if (notify->fd < 0)
		return 0;
	if (!is_fd_name(name))
		return -EINVAL;
	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	return send_with_fds(notify, text, NULL, 0);
}
