/*
 * What the files of the log share: the line under construction, the formats,
 * and the sinks that lines go to.
 */
#ifndef LOG_LOG_PRIV_H
#define LOG_LOG_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "log/log.h"

/*
 * Bytes that grow: on the stack while they are few, which is nearly always.
 * Once memory was refused, failed stays true and further bytes are ignored,
 * so that only the end need be checked.
 */
struct log_buffer {
	char *data; /* inline_data, or from malloc */
	size_t length, size;
	bool failed;
	char inline_data[1024];
};

void log_buffer_init(struct log_buffer *buffer);
void log_buffer_free(struct log_buffer *buffer);
void log_buffer_add(struct log_buffer *buffer, const char *data, size_t length);
void log_buffer_text(struct log_buffer *buffer, const char *text);
void log_buffer_format(struct log_buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* One message, before it has a format. */
struct log_entry {
	enum log_level level;
	struct timespec time;
	const char *message;
	const struct log_field *fields; /* NULL: none */
};

int log_level_priority(enum log_level level); /* as syslog's */

/* "2024-02-29T12:34:56.789Z" */
void log_buffer_time(struct log_buffer *buffer, struct timespec time);

/*
 * The length in bytes of the UTF-8 character that data begins with, and the
 * character in *ret; 0 where there is none that is valid.
 */
size_t log_utf8_decode(const char *data, uint32_t *ret);

/* The formats: one line without its end. Text has a time only if stamp. */
void log_text_encode(
    struct log_buffer *buffer, const struct log_entry *entry, bool stamp);
void log_json_encode(struct log_buffer *buffer, const struct log_entry *entry);

/* Where lines go. */
enum log_sink_kind {
	LOG_SINK_STREAM,  /* bytes: a file, pipe, terminal, stream socket */
	LOG_SINK_SYSLOG,  /* datagrams */
	LOG_SINK_JOURNAL, /* datagrams, with fields */
};

struct log_sink {
	enum log_sink_kind kind;
	int fd; /* -1: not open */
	bool owns_fd;
	bool is_socket; /* STREAM: may be written to by send() */
	bool may_block; /* STREAM: poll before writing */
	bool prefix;	/* STREAM: the journal reads it: "<N>", no time */
	char *path;	/* files, sockets; owned */
	char *rest;	/* what a short write left of a line; owned */
	size_t rest_length;
	uint64_t lost;	/* lines since the last that could be written */
	int lost_error; /* errno of the last lost */
};

void log_sink_init(struct log_sink *sink);

/* Each opens into an initialised sink; 0, or -errno and nothing is open. */
int log_sink_open_file(struct log_sink *sink, const char *path);
int log_sink_open_stderr(struct log_sink *sink);
int log_sink_open_datagram(
    struct log_sink *sink, enum log_sink_kind kind, const char *path);
void log_sink_close(struct log_sink *sink);

/* Open a file anew by its name; 0, or -errno and the old one stays. */
int log_sink_reopen(struct log_sink *sink);
void log_sink_forked(struct log_sink *sink);

/* Give a file away; 0 for what is none, or -errno. */
int log_sink_chown(const struct log_sink *sink, uid_t user, gid_t group);

/* Write one entry, or count it as lost. Keeps errno. */
void log_sink_write(struct log_sink *sink, enum log_format format,
    const struct log_entry *entry);

/* The messages of the two datagram protocols, line given. */
void log_syslog_encode(struct log_buffer *buffer, const struct log_entry *entry,
    const char *line, size_t length);
void log_journal_encode(struct log_buffer *buffer,
    const struct log_entry *entry, const char *line, size_t length);

/* Where the datagram sockets are; tests put their own there. */
extern const char *log_syslog_path;
extern const char *log_journal_path;

#endif
