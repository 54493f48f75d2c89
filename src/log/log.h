/*
 * The daemon's voice: one line a message, as text or JSON, to stderr, syslog,
 * the journal's stderr or a file. Global, as a process has one log. libweir
 * never uses it.
 *
 * A line that cannot be written (full disk, closed pipe, slow reader) is
 * dropped and counted, never waited for; the next one that can be written is
 * preceded by a line that tells how many were lost.
 */
#ifndef LOG_LOG_H
#define LOG_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };
enum log_target { LOG_TO_STDERR, LOG_TO_SYSLOG, LOG_TO_JOURNAL, LOG_TO_FILE };

/* One key=value of a line. An array of them ends with one whose key is NULL. */
enum log_value { LOG_TEXT, LOG_NUMBER };
struct log_field {
	const char *key;
	enum log_value kind;
	const char *text; /* TEXT; NULL is "-" */
	uint64_t number;  /* NUMBER */
};
#define LOG_T(k, v) { (k), LOG_TEXT, (v), 0 }
#define LOG_N(k, v) { (k), LOG_NUMBER, NULL, (uint64_t)(v) }
#define LOG_END { NULL, LOG_TEXT, NULL, 0 }

/*
 * Set where lines go; path for LOG_TO_FILE, which is opened for appending
 * (mode 0640). Until then: stderr, text, info. Returns 0, or -errno when the
 * file cannot be opened, and what was in force stays.
 */
int log_open(enum log_target target, const char *path, enum log_format format);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
const char *log_level_text(enum log_level level);
/* What so many -v (-1: -q) make of a level. */
enum log_level log_level_by_flags(enum log_level level, int verbose);
/* The level of that name: 0 with *ret, or -EINVAL. */
int log_level_find(const char *text, enum log_level *ret);
enum log_format log_get_format(void);

/* Open all log files anew by their names (SIGUSR1), the access logs included.
 * Returns 0, or -errno of the first that could not be, whose name is *path;
 * the old one stays. */
int log_reopen(const char **path);
void log_close(void);

/* In a child that goes on with the log: the rest of a line that could not be
 * written whole is the parent's to write. */
void log_forked(void);

/*
 * Give all log files that are open to a user and group ((uid_t)-1, (gid_t)-1:
 * as it is), so that log_reopen() still may write to them once the process
 * has become that user. Returns 0, or -errno of the first that could not be.
 */
int log_chown(uid_t user, gid_t group);

/* "LEVEL message key=value ..."; fields may be NULL. */
void log_write(enum log_level level, const struct log_field *fields,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* With one call and no fields array of one's own:
 * log_info("listening", LOG_T("listener", name), LOG_T("address", text)); */
#define log_at_(level, message, ...)                                           \
	log_write((level), (const struct log_field[]){__VA_ARGS__}, "%s", (message))
#define log_error(message, ...) log_at_(LOG_LEVEL_ERROR, (message), ##__VA_ARGS__, LOG_END)
#define log_warn(message, ...) log_at_(LOG_LEVEL_WARN, (message), ##__VA_ARGS__, LOG_END)
#define log_info(message, ...) log_at_(LOG_LEVEL_INFO, (message), ##__VA_ARGS__, LOG_END)
#define log_debug(message, ...)                                                \
	do {                                                                   \
		if (log_get_level() >= LOG_LEVEL_DEBUG)                        \
			log_at_(LOG_LEVEL_DEBUG, (message), ##__VA_ARGS__, LOG_END); \
	} while (0)

/*
 * A further file in the log's format (access logs). Files of one path are one
 * object, counted. With path NULL lines go to the log itself, at level info.
 * *ret is the caller's, to log_file_unref(). Returns 0 or -errno.
 */
struct log_file;
int log_file_open(struct log_file **ret, const char *path);
struct log_file *log_file_ref(struct log_file *file); /* NULL is fine */
void log_file_unref(struct log_file *file);
void log_file_write(
    struct log_file *file, const char *message, const struct log_field *fields);

#endif
