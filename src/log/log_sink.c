/*
 * Where lines go: a file, stderr, or one of the datagram sockets. Promises
 * never to wait and never to fail the caller: a line that cannot be written
 * now is counted, and the next that can be is preceded by one that tells how
 * many were lost. Leaves choosing sinks and levels to log.c.
 *
 * Lines stay whole: what a short write left of one is kept and goes first
 * before anything else does.
 *
 * stderr's open file description is shared with whoever started us, so it is
 * not set to O_NONBLOCK: a pipe or a terminal is opened a second time by way
 * of /proc, and where that is refused (it is another user's, say) it is asked
 * with poll() and given no more than PIPE_BUF at a time. A socket is written
 * to with MSG_DONTWAIT. A regular file is taken as it is: opened a second
 * time it would have an offset of its own.
 */
#include "config.h"

#include "log/log_priv.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *log_syslog_path = "/dev/log";
const char *log_journal_path = "/run/systemd/journal/socket";

void
log_sink_init(struct log_sink *sink)
{
	*sink = (struct log_sink){.kind = LOG_SINK_STREAM, .fd = -1};
}

static int
open_append(const char *path)
{
	/* O_NONBLOCK: a FIFO without a reader is an error, not a wait. */
	int fd = open(path,
	    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
	    0640);

	return fd < 0 ? -errno : fd;
}

int
log_sink_open_file(struct log_sink *sink, const char *path)
{
	char *copy = strdup(path);
	int fd;

	if (copy == NULL)
		return -ENOMEM;
	fd = open_append(path);
	if (fd < 0) {
		free(copy);
		return fd;
	}
	log_sink_init(sink);
	sink->fd = fd;
	sink->owns_fd = true;
	sink->path = copy;
	return 0;
}

/* Whether stderr goes to the journal: it says which stream is its own. */
static bool
is_journal_stream(const struct stat *status)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	int end = 0;

	if (stream == NULL)
		return false;
	if (sscanf(stream, "%llu:%llu%n", &device, &inode, &end) != 2 ||
	    stream[end] != '\0')
		return false;
	return device == status->st_dev && inode == status->st_ino;
}

int
log_sink_open_stderr(struct log_sink *sink)
{
	struct stat status;

	if (fstat(STDERR_FILENO, &status) < 0)
		return -errno;
	log_sink_init(sink);
	sink->fd = STDERR_FILENO;
	sink->prefix = is_journal_stream(&status);
	sink->is_socket = S_ISSOCK(status.st_mode);
	if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)) {
		int fd = open("/proc/self/fd/2",
		    O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

		sink->owns_fd = fd >= 0;
		sink->may_block = fd < 0;
		if (fd >= 0)
			sink->fd = fd;
	}
	return 0;
}

static int
socket_address(struct sockaddr_un *address, const char *path)
{
	size_t length = strlen(path);

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (length >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	memcpy(address->sun_path, path, length + 1);
	return 0;
}

/*
 * The socket is not left connected: each message is sent by name, so that a
 * logging daemon that was started anew is found again.
 */
int
log_sink_open_datagram(
    struct log_sink *sink, enum log_sink_kind kind, const char *path)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	struct sockaddr_un address;
	int fd, result = socket_address(&address, path);
	char *copy;

	if (result < 0)
		return result;
	copy = strdup(path);
	if (copy == NULL)
		return -ENOMEM;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    connect(fd, &none, sizeof(none)) < 0) {
		result = -errno;
		if (fd >= 0)
			close(fd);
		free(copy);
		return result;
	}
	log_sink_init(sink);
	sink->kind = kind;
	sink->fd = fd;
	sink->owns_fd = true;
	sink->path = copy;
	return 0;
}

/* ---- writing ---- */

/* write() that does not wait: bytes written, or -errno. */
static ssize_t
stream_put(const struct log_sink *sink, const char *data, size_t length)
{
	ssize_t count;

	if (sink->may_block) {
		struct pollfd ready = {.fd = sink->fd, .events = POLLOUT};

		if (poll(&ready, 1, 0) != 1)
			return -EAGAIN;
		if (length > PIPE_BUF)
			length = PIPE_BUF;
	}
	do {
		count = sink->is_socket ? send(sink->fd, data, length,
					      MSG_DONTWAIT | MSG_NOSIGNAL)
					: write(sink->fd, data, length);
	} while (count < 0 && errno == EINTR);
	return count < 0 ? -errno : count;
}

/* As much as goes now: bytes written, or -errno when there were none. */
static ssize_t
stream_put_all(const struct log_sink *sink, const char *data, size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t count = stream_put(sink, data + done, length - done);

		if (count <= 0 && done > 0)
			break;
		if (count <= 0)
			return count == 0 ? -EIO : count;
		done += (size_t)count;
	}
	return (ssize_t)done;
}

/* What a short write left goes first. 0, or -errno while there is any. */
static int
stream_put_rest(struct log_sink *sink)
{
	ssize_t count;

	if (sink->rest_length == 0)
		return 0;
	count = stream_put_all(sink, sink->rest, sink->rest_length);
	if (count < 0)
		return (int)count;
	sink->rest_length -= (size_t)count;
	memmove(sink->rest, sink->rest + count, sink->rest_length);
	if (sink->rest_length > 0)
		return -EAGAIN;
	free(sink->rest);
	sink->rest = NULL;
	return 0;
}

static int
stream_write(struct log_sink *sink, const char *data, size_t length)
{
	int result = stream_put_rest(sink);
	ssize_t count;
	size_t left;

	if (result < 0)
		return result;
	/* Room for the rest is found beforehand: a line that was begun can
	 * then always be ended. */
	sink->rest = malloc(length);
	if (sink->rest == NULL)
		return -ENOMEM;
	count = stream_put_all(sink, data, length);
	left = count < 0 ? 0 : length - (size_t)count;
	if (left == 0) {
		free(sink->rest);
		sink->rest = NULL;
	} else {
		memcpy(sink->rest, data + count, left);
		sink->rest_length = left;
	}
	return count < 0 ? (int)count : 0;
}

static int
datagram_write(struct log_sink *sink, const char *data, size_t length)
{
	struct sockaddr_un address;
	ssize_t count;
	int result = socket_address(&address, sink->path);

	if (result < 0)
		return result;
	do {
		count =
		    sendto(sink->fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL,
			(struct sockaddr *)&address, sizeof(address));
	} while (count < 0 && errno == EINTR);
	return count < 0 ? -errno : 0;
}

static void
encode_line(struct log_buffer *buffer, const struct log_sink *sink,
    enum log_format format, const struct log_entry *entry)
{
	bool stamp = sink->kind == LOG_SINK_STREAM && !sink->prefix;

	if (sink->prefix)
		log_buffer_format(
		    buffer, "<%d>", log_level_priority(entry->level));
	if (format == LOG_FORMAT_JSON)
		log_json_encode(buffer, entry);
	else
		log_text_encode(buffer, entry, stamp);
	if (sink->kind == LOG_SINK_STREAM)
		log_buffer_add(buffer, "\n", 1);
}

static int
write_datagram(struct log_sink *sink, const struct log_entry *entry,
    const struct log_buffer *line)
{
	struct log_buffer message;
	int result;

	log_buffer_init(&message);
	if (sink->kind == LOG_SINK_SYSLOG)
		log_syslog_encode(&message, entry, line->data, line->length);
	else
		log_journal_encode(&message, entry, line->data, line->length);
	result = message.failed
		     ? -ENOMEM
		     : datagram_write(sink, message.data, message.length);
	log_buffer_free(&message);
	return result;
}

static int
write_entry(struct log_sink *sink, enum log_format format,
    const struct log_entry *entry)
{
	struct log_buffer line;
	int result;

	log_buffer_init(&line);
	encode_line(&line, sink, format, entry);
	if (line.failed)
		result = -ENOMEM;
	else if (sink->kind == LOG_SINK_STREAM)
		result = stream_write(sink, line.data, line.length);
	else
		result = write_datagram(sink, entry, &line);
	log_buffer_free(&line);
	return result;
}

static int
write_loss(struct log_sink *sink, enum log_format format, struct timespec time)
{
	const struct log_field fields[] = {
	    LOG_N("lost", sink->lost),
	    LOG_T("error", strerror(sink->lost_error)),
	    LOG_END,
	};
	const struct log_entry entry = {.level = LOG_LEVEL_WARN,
	    .time = time,
	    .message = "log lines were lost: they could not be written",
	    .fields = fields};
	int result = write_entry(sink, format, &entry);

	if (result == 0)
		sink->lost = 0;
	return result;
}

void
log_sink_write(struct log_sink *sink, enum log_format format,
    const struct log_entry *entry)
{
	int saved = errno;
	int result = 0;

	if (sink->lost > 0)
		result = write_loss(sink, format, entry->time);
	if (result == 0)
		result = write_entry(sink, format, entry);
	if (result < 0) {
		sink->lost++;
		sink->lost_error = -result;
	}
	errno = saved;
}

void
log_sink_close(struct log_sink *sink)
{
	/* What cannot be written now never will be. */
	if (sink->fd >= 0)
		(void)stream_put_rest(sink);
	if (sink->owns_fd)
		close(sink->fd);
	free(sink->path);
	free(sink->rest);
	log_sink_init(sink);
}

int
log_sink_reopen(struct log_sink *sink)
{
	int fd;

	/* The datagram sockets are found by name with each message, and
	 * stderr has no name. */
	if (sink->kind != LOG_SINK_STREAM || sink->path == NULL)
		return 0;
	fd = open_append(sink->path);
	if (fd < 0)
		return fd;
	/* Half a line belongs to the old file, or nowhere. */
	if (stream_put_rest(sink) < 0) {
		sink->lost++;
		sink->lost_error = ENOSPC;
	}
	free(sink->rest);
	sink->rest = NULL;
	sink->rest_length = 0;
	close(sink->fd);
	sink->fd = fd;
	return 0;
}

void
log_sink_forked(struct log_sink *sink)
{
	free(sink->rest);
	sink->rest = NULL;
	sink->rest_length = 0;
	sink->lost = 0;
}

int
log_sink_chown(const struct log_sink *sink, uid_t user, gid_t group)
{
	struct stat status;

	if (sink->kind != LOG_SINK_STREAM || sink->path == NULL)
		return 0;
	if (fstat(sink->fd, &status) < 0)
		return -errno;
	/* file:/dev/stdout and its like are not ours to give. */
	if (!S_ISREG(status.st_mode))
		return 0;
	return fchown(sink->fd, user, group) < 0 ? -errno : 0;
}
