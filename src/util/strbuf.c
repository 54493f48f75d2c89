/*
 * A growable buffer of bytes that always ends with a NUL. It promises never
 * to lose bytes without saying so: what could not be stored sets failed, and
 * strbuf_take() gives nothing then. What the bytes mean is the caller's.
 */
#include "config.h"

#include "util/strbuf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"

/* Make room for so many more bytes and the NUL. */
static bool
reserve(struct strbuf *buffer, size_t more)
{
	size_t room = buffer->room ? buffer->room : 64;
	char *data;

	if (buffer->failed)
		return false;
	if (more >= SIZE_MAX / 4 - buffer->length) {
		buffer->failed = true;
		return false;
	}
	while (room < buffer->length + more + 1)
		room *= 2;
	if (room == buffer->room)
		return true;
	data = realloc(buffer->data, room);
	if (data == NULL) {
		buffer->failed = true;
		return false;
	}
	buffer->data = data;
	buffer->room = room;
	return true;
}

void
strbuf_add(struct strbuf *buffer, const void *data, size_t length)
{
	if (!reserve(buffer, length))
		return;
	if (length > 0)
		memcpy(buffer->data + buffer->length, data, length);
	buffer->length += length;
	buffer->data[buffer->length] = '\0';
}

void
strbuf_char(struct strbuf *buffer, char c)
{
	strbuf_add(buffer, &c, 1);
}

void
strbuf_text(struct strbuf *buffer, const char *text)
{
	strbuf_add(buffer, text, strlen(text));
}

void
strbuf_vformat(struct strbuf *buffer, const char *format, va_list list)
{
	va_list again;
	int length;

	va_copy(again, list);
	length = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (length < 0) {
		buffer->failed = true;
		return;
	}
	if (!reserve(buffer, (size_t)length))
		return;
	vsnprintf(
	    buffer->data + buffer->length, (size_t)length + 1, format, list);
	buffer->length += (size_t)length;
}

void
strbuf_format(struct strbuf *buffer, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	strbuf_vformat(buffer, format, list);
	va_end(list);
}

void
strbuf_quote(struct strbuf *buffer, const void *data, size_t length)
{
	const unsigned char *bytes = data;
	char escape[TEXT_ESCAPE];
	size_t i;

	strbuf_char(buffer, '"');
	for (i = 0; i < length; i++)
		strbuf_text(buffer, text_escape(bytes[i], escape));
	strbuf_char(buffer, '"');
}

const char *
strbuf_get(const struct strbuf *buffer)
{
	return buffer->data ? buffer->data : "";
}

void
strbuf_reset(struct strbuf *buffer)
{
	buffer->length = 0;
	buffer->failed = false;
	if (buffer->data)
		buffer->data[0] = '\0';
}

char *
strbuf_take(struct strbuf *buffer)
{
	char *data;

	strbuf_add(buffer, "", 0); /* an empty text is a text too */
	if (buffer->failed) {
		strbuf_free(buffer);
		return NULL;
	}
	data = buffer->data;
	*buffer = (struct strbuf)STRBUF_NULL;
	return data;
}

void
strbuf_free(struct strbuf *buffer)
{
	free(buffer->data);
	*buffer = (struct strbuf)STRBUF_NULL;
}
