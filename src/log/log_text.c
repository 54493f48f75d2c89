/*
 * The line under construction, and its text format: "LEVEL message key=value
 * ...". Promises that one entry is one line of printable text that can be
 * taken apart again, whatever bytes a client put into a value; leaves writing
 * it to the sinks.
 *
 * A value is written bare, or in double quotes when it is empty or holds
 * anything but printable characters without space, quote and backslash.
 * Inside quotes, and in the message, stand \\ \n \r \t, \xHH for a byte that
 * is no valid UTF-8 or a control character, and \uHHHH for the characters
 * that end or turn round a line on a terminal; inside quotes also \".
 */
#include "config.h"

#include "log/log_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

void
log_buffer_init(struct log_buffer *buffer)
{
	buffer->data = buffer->inline_data;
	buffer->length = 0;
	buffer->size = sizeof(buffer->inline_data);
	buffer->failed = false;
}

void
log_buffer_free(struct log_buffer *buffer)
{
	if (buffer->data != buffer->inline_data)
		free(buffer->data);
	log_buffer_init(buffer);
}

static bool
buffer_reserve(struct log_buffer *buffer, size_t more)
{
	size_t size = buffer->size;
	char *data;

	if (buffer->failed)
		return false;
	if (more <= size - buffer->length)
		return true;
	while (size - buffer->length < more) {
		if (size > SIZE_MAX / 2)
			goto fail;
		size *= 2;
	}
	data = buffer->data == buffer->inline_data ? NULL : buffer->data;
	data = realloc(data, size);
	if (data == NULL)
		goto fail;
	if (buffer->data == buffer->inline_data)
		memcpy(data, buffer->inline_data, buffer->length);
	buffer->data = data;
	buffer->size = size;
	return true;
fail:
	buffer->failed = true;
	return false;
}

void
log_buffer_add(struct log_buffer *buffer, const char *data, size_t length)
{
	if (length == 0 || !buffer_reserve(buffer, length))
		return;
	memcpy(buffer->data + buffer->length, data, length);
	buffer->length += length;
}

void
log_buffer_text(struct log_buffer *buffer, const char *text)
{
	log_buffer_add(buffer, text, strlen(text));
}

/* For what is known to be short: numbers, escapes. */
void
log_buffer_format(struct log_buffer *buffer, const char *format, ...)
{
	char text[64];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= sizeof(text))
		buffer->failed = true;
	else
		log_buffer_add(buffer, text, (size_t)length);
}

void
log_buffer_time(struct log_buffer *buffer, struct timespec time)
{
	struct tm tm;
	char text[32];

	gmtime_r(&time.tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	log_buffer_text(buffer, text);
	log_buffer_format(buffer, ".%03dZ", (int)(time.tv_nsec / 1000000));
}

const char *
log_level_text(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "error";
	case LOG_LEVEL_WARN:
		return "warn";
	case LOG_LEVEL_INFO:
		return "info";
	case LOG_LEVEL_DEBUG:
		break;
	}
	return "debug";
}

enum log_level
log_level_by_flags(enum log_level level, int verbose)
{
	if (verbose < 0)
		return LOG_LEVEL_ERROR;
	return verbose > (int)LOG_LEVEL_DEBUG - (int)level
		   ? LOG_LEVEL_DEBUG
		   : (enum log_level)((int)level + verbose);
}

int
log_level_find(const char *text, enum log_level *ret)
{
	unsigned i;

	for (i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++)
		if (strcmp(text, log_level_text((enum log_level)i)) == 0) {
			*ret = (enum log_level)i;
			return 0;
		}
	return -EINVAL;
}

int
log_level_priority(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return LOG_ERR;
	case LOG_LEVEL_WARN:
		return LOG_WARNING;
	case LOG_LEVEL_INFO:
		return LOG_INFO;
	case LOG_LEVEL_DEBUG:
		break;
	}
	return LOG_DEBUG;
}

/* How many bytes the lead byte announces; 0 where it cannot lead. */
static size_t
utf8_length(unsigned char lead)
{
	if (lead < 0x80)
		return 1;
	if (lead >= 0xc2 && lead <= 0xdf)
		return 2;
	if (lead >= 0xe0 && lead <= 0xef)
		return 3;
	if (lead >= 0xf0 && lead <= 0xf4)
		return 4;
	return 0;
}

size_t
log_utf8_decode(const char *data, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *bytes = (const unsigned char *)data;
	size_t length = utf8_length(bytes[0]);
	uint32_t character;

	if (length <= 1) {
		*ret = bytes[0];
		return length;
	}
	character = bytes[0] & (0xffu >> (length + 1));
	for (size_t i = 1; i < length; i++) {
		/* A NUL at the end is no continuation byte either. */
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		character = character << 6 | (bytes[i] & 0x3f);
	}
	if (character < least[length] || character > 0x10ffff ||
	    (character >= 0xd800 && character <= 0xdfff))
		return 0;
	*ret = character;
	return length;
}

/* Characters beyond ASCII that end a line, or reorder it on a terminal. */
static bool
is_treacherous(uint32_t character)
{
	return (character >= 0x80 && character <= 0x9f) ||
	       character == 0x200e || character == 0x200f ||
	       (character >= 0x2028 && character <= 0x202e) ||
	       (character >= 0x2066 && character <= 0x2069) ||
	       character == 0xfeff;
}

static void
add_escaped_ascii(struct log_buffer *buffer, char c, bool quoted)
{
	if (c == '\n')
		log_buffer_add(buffer, "\\n", 2);
	else if (c == '\r')
		log_buffer_add(buffer, "\\r", 2);
	else if (c == '\t')
		log_buffer_add(buffer, "\\t", 2);
	else if (c == '\\')
		log_buffer_add(buffer, "\\\\", 2);
	else if (c == '"' && quoted)
		log_buffer_add(buffer, "\\\"", 2);
	else if ((unsigned char)c < 0x20 || c == 0x7f)
		log_buffer_format(buffer, "\\x%02x", (unsigned char)c);
	else
		log_buffer_add(buffer, &c, 1);
}

static void
add_escaped(struct log_buffer *buffer, const char *text, bool quoted)
{
	while (*text != '\0') {
		uint32_t character;
		size_t length = log_utf8_decode(text, &character);

		if (length == 0) {
			log_buffer_format(
			    buffer, "\\x%02x", (unsigned char)*text);
			length = 1;
		} else if (length == 1) {
			add_escaped_ascii(buffer, *text, quoted);
		} else if (is_treacherous(character)) {
			log_buffer_format(buffer, "\\u%04" PRIx32, character);
		} else {
			log_buffer_add(buffer, text, length);
		}
		text += length;
	}
}

static bool
needs_quotes(const char *text)
{
	if (*text == '\0')
		return true;
	while (*text != '\0') {
		uint32_t character;
		size_t length = log_utf8_decode(text, &character);

		if (length == 0 || character <= 0x20 || character == 0x7f ||
		    character == '"' || character == '\\' ||
		    is_treacherous(character))
			return true;
		text += length;
	}
	return false;
}

static void
add_field(struct log_buffer *buffer, const struct log_field *field)
{
	log_buffer_add(buffer, " ", 1);
	log_buffer_text(buffer, field->key);
	log_buffer_add(buffer, "=", 1);
	if (field->kind == LOG_NUMBER) {
		log_buffer_format(buffer, "%" PRIu64, field->number);
	} else if (field->text == NULL) {
		log_buffer_add(buffer, "-", 1);
	} else if (needs_quotes(field->text)) {
		log_buffer_add(buffer, "\"", 1);
		add_escaped(buffer, field->text, true);
		log_buffer_add(buffer, "\"", 1);
	} else {
		log_buffer_text(buffer, field->text);
	}
}

void
log_text_encode(
    struct log_buffer *buffer, const struct log_entry *entry, bool stamp)
{
	if (stamp) {
		log_buffer_time(buffer, entry->time);
		log_buffer_add(buffer, " ", 1);
	}
	log_buffer_text(buffer, log_level_text(entry->level));
	log_buffer_add(buffer, " ", 1);
	add_escaped(buffer, entry->message, false);
	if (entry->fields == NULL)
		return;
	for (const struct log_field *f = entry->fields; f->key != NULL; f++)
		add_field(buffer, f);
}
