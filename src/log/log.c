/*
 * The front of the log: what is in force, and the list of further files.
 * Promises that a message below the level costs a comparison, and that
 * errno is the caller's; leaves formats to log_text.c and log_json.c, and
 * writing to log_sink.c.
 */
#include "config.h"

#include "log/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/log_priv.h"

struct log_file {
	unsigned refs;
	bool is_log; /* no file of its own */
	struct log_sink sink;
	struct log_file *next; /* log.files */
};

static struct {
	enum log_level level;
	enum log_format format;
	bool opened; /* else stderr is, with the first line */
	struct log_sink sink;
	struct log_file *files; /* those with a path */
	struct log_file self;	/* the one of path NULL */
} the_log = {
    .level = LOG_LEVEL_INFO,
    .format = LOG_FORMAT_TEXT,
    .sink = {.fd = -1},
    .self = {.is_log = true, .sink = {.fd = -1}},
};

static int
open_target(struct log_sink *sink, enum log_target target, const char *path)
{
	log_sink_init(sink);
	switch (target) {
	case LOG_TO_STDERR:
		return log_sink_open_stderr(sink);
	case LOG_TO_SYSLOG:
		return log_sink_open_datagram(
		    sink, LOG_SINK_SYSLOG, log_syslog_path);
	case LOG_TO_JOURNAL:
		return log_sink_open_datagram(
		    sink, LOG_SINK_JOURNAL, log_journal_path);
	case LOG_TO_FILE:
		return path == NULL ? -EINVAL : log_sink_open_file(sink, path);
	}
	return -EINVAL;
}

int
log_open(enum log_target target, const char *path, enum log_format format)
{
	struct log_sink sink;
	uint64_t lost = the_log.sink.lost;
	int lost_error = the_log.sink.lost_error;
	int result = open_target(&sink, target, path);

	if (result < 0)
		return result;
	log_sink_close(&the_log.sink);
	the_log.sink = sink;
	the_log.sink.lost = lost;
	the_log.sink.lost_error = lost_error;
	the_log.format = format;
	the_log.opened = true;
	return 0;
}

void
log_close(void)
{
	log_sink_close(&the_log.sink);
	the_log.opened = false;
}

void
log_set_level(enum log_level level)
{
	the_log.level = level;
}

enum log_level
log_get_level(void)
{
	return the_log.level;
}

enum log_format
log_get_format(void)
{
	return the_log.format;
}

int
log_reopen(const char **path)
{
	int first = log_sink_reopen(&the_log.sink);

	*path = the_log.sink.path;
	for (struct log_file *f = the_log.files; f != NULL; f = f->next) {
		int result = log_sink_reopen(&f->sink);

		if (first == 0) {
			first = result;
			*path = f->sink.path;
		}
	}
	return first;
}

void
log_forked(void)
{
	struct log_file *f;

	log_sink_forked(&the_log.sink);
	for (f = the_log.files; f != NULL; f = f->next)
		log_sink_forked(&f->sink);
}

int
log_chown(uid_t user, gid_t group)
{
	int first = log_sink_chown(&the_log.sink, user, group);

	for (struct log_file *f = the_log.files; f != NULL; f = f->next) {
		int result = log_sink_chown(&f->sink, user, group);

		if (first == 0)
			first = result;
	}
	return first;
}

static void
write_to_log(const struct log_entry *entry)
{
	if (!the_log.opened) {
		/* Where there is no stderr there is nobody to tell. */
		if (log_sink_open_stderr(&the_log.sink) < 0)
			return;
		the_log.opened = true;
	}
	log_sink_write(&the_log.sink, the_log.format, entry);
}

static struct log_entry
make_entry(
    enum log_level level, const char *message, const struct log_field *fields)
{
	struct log_entry entry = {
	    .level = level, .message = message, .fields = fields};

	clock_gettime(CLOCK_REALTIME, &entry.time);
	return entry;
}

static void
write_message(
    enum log_level level, const char *message, const struct log_field *fields)
{
	const struct log_entry entry = make_entry(level, message, fields);

	write_to_log(&entry);
}

void
log_write(enum log_level level, const struct log_field *fields,
    const char *format, ...)
{
	int saved = errno;
	char *message;
	va_list arguments;
	int length;

	if (level > the_log.level)
		return;
	va_start(arguments, format);
	if (strcmp(format, "%s") == 0) {
		/* The macros' case: nothing to copy. */
		write_message(level, va_arg(arguments, const char *), fields);
	} else {
		length = vasprintf(&message, format, arguments);
		/* Without memory the bare format still tells which. */
		write_message(level, length < 0 ? format : message, fields);
		if (length >= 0)
			free(message);
	}
	va_end(arguments);
	errno = saved;
}

int
log_file_open(struct log_file **ret, const char *path)
{
	struct log_file *file;
	int result;

	if (path == NULL) {
		the_log.self.refs++;
		*ret = &the_log.self;
		return 0;
	}
	for (file = the_log.files; file != NULL; file = file->next) {
		if (strcmp(file->sink.path, path) == 0) {
			file->refs++;
			*ret = file;
			return 0;
		}
	}
	file = calloc(1, sizeof(*file));
	if (file == NULL)
		return -ENOMEM;
	result = log_sink_open_file(&file->sink, path);
	if (result < 0) {
		free(file);
		return result;
	}
	file->refs = 1;
	file->next = the_log.files;
	the_log.files = file;
	*ret = file;
	return 0;
}

struct log_file *
log_file_ref(struct log_file *file)
{
	if (file != NULL)
		file->refs++;
	return file;
}

void
log_file_unref(struct log_file *file)
{
	struct log_file **link;

	if (file == NULL || --file->refs > 0 || file->is_log)
		return;
	for (link = &the_log.files; *link != file;)
		link = &(*link)->next;
	*link = file->next;
	log_sink_close(&file->sink);
	free(file);
}

void
log_file_write(
    struct log_file *file, const char *message, const struct log_field *fields)
{
	struct log_entry entry;

	if (file->is_log && the_log.level < LOG_LEVEL_INFO)
		return;
	entry = make_entry(LOG_LEVEL_INFO, message, fields);
	if (file->is_log)
		write_to_log(&entry);
	else
		log_sink_write(&file->sink, the_log.format, &entry);
}
