/*
 * One answer of the control socket as a growing line of JSON.
 *
 * jansson makes every value; only the frame of an answer and the commas of a
 * list are put around them here. Memory that is refused is noted, not acted
 * on, so that callers need not look after each step: the answer then says so
 * itself. What is in an answer is the affair of command.c and stats_json.c.
 */
#include "config.h"

#include "control/answer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_FIRST_SIZE 512

/* Milliseconds of an age of centuries are exact in 15 digits. */
#define ANSWER_JSON_FLAGS                                                      \
	(JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15))

static const char no_memory[] =
    "{\"ok\":false,\"error\":\"weir is out of memory\"}\n";

static bool
reserve(struct answer *answer, size_t more)
{
	size_t size = answer->size > 0 ? answer->size : ANSWER_FIRST_SIZE;
	char *text;

	if (more > SIZE_MAX / 2 - answer->length)
		return false;
	while (size < answer->length + more)
		size *= 2;
	if (size == answer->size)
		return true;
	text = realloc(answer->text, size);
	if (text == NULL)
		return false;
	answer->text = text;
	answer->size = size;
	return true;
}

/* Of jansson's callback type. */
static int
append(const char *text, size_t length, void *user)
{
	struct answer *answer = user;

	if (answer->failed)
		return -1;
	if (!reserve(answer, length)) {
		answer->failed = true;
		return -1;
	}
	memcpy(answer->text + answer->length, text, length);
	answer->length += length;
	return 0;
}

static void
append_text(struct answer *answer, const char *text)
{
	(void)append(text, strlen(text), answer);
}

static void
append_value(struct answer *answer, json_t *value)
{
	if (value == NULL ||
	    json_dump_callback(value, append, answer, ANSWER_JSON_FLAGS) != 0)
		answer->failed = true;
	json_decref(value);
}

void
answer_ok(struct answer *answer, json_t *data)
{
	append_text(answer, "{\"ok\":true,\"data\":");
	append_value(answer, data);
	append_text(answer, "}\n");
}

void
answer_error(struct answer *answer, const char *format, ...)
{
	char *text = NULL;
	va_list ap;
	int length;

	va_start(ap, format);
	length = vasprintf(&text, format, ap);
	va_end(ap);
	if (length < 0) {
		answer->failed = true;
		return;
	}
	append_text(answer, "{\"ok\":false,\"error\":");
	append_value(answer, answer_text(text));
	append_text(answer, "}\n");
	free(text);
}

void
answer_list_begin(struct answer *answer)
{
	answer->rows = 0;
	append_text(answer, "{\"ok\":true,\"data\":[");
}

void
answer_list_row(struct answer *answer, json_t *row)
{
	if (answer->rows++ > 0)
		append_text(answer, ",");
	append_value(answer, row);
}

void
answer_list_end(struct answer *answer)
{
	append_text(answer, "]}\n");
}

const char *
answer_line(const struct answer *answer, size_t *length)
{
	if (answer->failed) {
		*length = sizeof(no_memory) - 1;
		return no_memory;
	}
	*length = answer->length;
	return answer->text;
}

void
answer_free(struct answer *answer)
{
	free(answer->text);
	memset(answer, 0, sizeof(*answer));
}

json_t *
answer_text(const char *text)
{
	static const char digits[] = "0123456789abcdef";
	json_t *value = json_string(text);
	char *escaped, *p;

	if (value != NULL)
		return value;
	/* Not UTF-8: the name of a client's unix socket may hold anything. */
	p = escaped = malloc(4 * strlen(text) + 1);
	if (escaped == NULL)
		return NULL;
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x80) {
			*p++ = *text;
			continue;
		}
		*p++ = '\\';
		*p++ = 'x';
		*p++ = digits[c >> 4];
		*p++ = digits[c & 15];
	}
	*p = '\0';
	value = json_string(escaped);
	free(escaped);
	return value;
}
