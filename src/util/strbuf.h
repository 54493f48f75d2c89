/*
 * Text and bytes that grow. A refused allocation is remembered, so that a
 * caller adds as it likes and asks once, at the end.
 */
#ifndef UTIL_STRBUF_H
#define UTIL_STRBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct strbuf {
	char *data; /* owned; ends with a NUL that length does not count */
	size_t length, room;
	bool failed; /* memory was refused; data is what came before that */
};

#define STRBUF_NULL                                                            \
	{                                                                      \
		NULL, 0, 0, false                                              \
	}

void strbuf_add(struct strbuf *buffer, const void *data, size_t length);
void strbuf_char(struct strbuf *buffer, char c);
void strbuf_text(struct strbuf *buffer, const char *text);
void strbuf_format(struct strbuf *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void strbuf_vformat(struct strbuf *buffer, const char *format, va_list list)
    __attribute__((format(printf, 2, 0)));

/* Add bytes in quotes as people are to see them: with C escapes. */
void strbuf_quote(struct strbuf *buffer, const void *data, size_t length);

/* The text so far, never NULL. */
const char *strbuf_get(const struct strbuf *buffer);

/* Forget the content, keep the room; forget a failure too. */
void strbuf_reset(struct strbuf *buffer);

/* Hand the text to the caller, who frees it; NULL where memory was refused.
 * The buffer is empty after it. */
char *strbuf_take(struct strbuf *buffer);

void strbuf_free(struct strbuf *buffer);

#endif
