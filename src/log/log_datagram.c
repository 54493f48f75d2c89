/*
 * The messages of the two datagram protocols: syslog's on /dev/log, and the
 * journal's own on its socket. Promises well-formed messages; leaves sending
 * them to the sinks. Neither needs a library: syslog(3) would wait for a
 * daemon that does not read, and libsystemd would be one more dependency.
 */
#include "config.h"

#include "log/log_priv.h"

#include <endian.h>
#include <inttypes.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

void
log_syslog_encode(struct log_buffer *buffer, const struct log_entry *entry,
    const char *line, size_t length)
{
	static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May",
	    "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct tm tm;

	/* The month's name must not follow the locale. */
	localtime_r(&entry->time.tv_sec, &tm);
	log_buffer_format(buffer, "<%d>%s %2d %02d:%02d:%02d ",
	    LOG_DAEMON | log_level_priority(entry->level), months[tm.tm_mon],
	    tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	log_buffer_format(buffer, "weir[%ld]: ", (long)getpid());
	log_buffer_add(buffer, line, length);
}

/* A value with a newline in it goes by length; any other as NAME=VALUE. */
static void
add_value(struct log_buffer *buffer, const char *value, size_t length)
{
	uint64_t size = htole64(length);

	if (memchr(value, '\n', length) == NULL) {
		log_buffer_add(buffer, "=", 1);
	} else {
		log_buffer_add(buffer, "\n", 1);
		log_buffer_add(buffer, (const char *)&size, sizeof(size));
	}
	log_buffer_add(buffer, value, length);
	log_buffer_add(buffer, "\n", 1);
}

/* The journal takes names of capital letters, digits and "_" only. */
static void
add_name(struct log_buffer *buffer, const char *key)
{
	log_buffer_text(buffer, "WEIR_");
	for (; *key != '\0'; key++) {
		char c = *key;

		if (c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		else if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9'))
			c = '_';
		log_buffer_add(buffer, &c, 1);
	}
}

static void
add_field(struct log_buffer *buffer, const struct log_field *field)
{
	const char *text = field->text == NULL ? "-" : field->text;

	add_name(buffer, field->key);
	if (field->kind == LOG_NUMBER)
		log_buffer_format(buffer, "=%" PRIu64 "\n", field->number);
	else
		add_value(buffer, text, strlen(text));
}

void
log_journal_encode(struct log_buffer *buffer, const struct log_entry *entry,
    const char *line, size_t length)
{
	log_buffer_text(buffer, "MESSAGE");
	add_value(buffer, line, length);
	log_buffer_format(
	    buffer, "PRIORITY=%d\n", log_level_priority(entry->level));
	log_buffer_text(buffer, "SYSLOG_IDENTIFIER=weir\n");
	log_buffer_format(buffer, "SYSLOG_FACILITY=%d\n", LOG_DAEMON >> 3);
	log_buffer_format(buffer, "SYSLOG_PID=%ld\n", (long)getpid());
	if (entry->fields == NULL)
		return;
	for (const struct log_field *f = entry->fields; f->key != NULL; f++)
		add_field(buffer, f);
}
