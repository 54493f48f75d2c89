/*
 * One answer of the control socket as a growing line of JSON, which may be
 * sent piece by piece.
 *
 * jansson makes every value; only the frame of an answer and the commas of a
 * list are put around them here. Memory that is refused is noted, not acted
 * on, so that callers need not look after each step: the answer then says so
 * itself. What is in an answer is the affair of command.c and stats_json.c.
 */
#include "config.h"

#include "control/answer.h"

#include <stdarg.h>
#include <stdbool.h>

/* Milliseconds of an age of centuries are exact in 15 digits. */
#define ANSWER_JSON_FLAGS                                                      \
	(JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15))

static const char no_memory[] =
    "{\"ok\":false,\"error\":\"weir is out of memory\"}\n";

/* Of jansson's callback type. */
static int
append(const char *text, size_t length, void *user)
{
	struct strbuf *buffer = user;

	strbuf_add(buffer, text, length);
	return buffer->failed ? -1 : 0;
}

static void
append_value(struct answer *answer, json_t *value)
{
	if (value == NULL || json_dump_callback(value, append, &answer->text,
				 ANSWER_JSON_FLAGS) != 0)
		answer->text.failed = true;
	json_decref(value);
}

void
answer_warn(struct answer *answer, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	strbuf_vformat(&answer->warning, format, ap);
	va_end(ap);
}

/* After the data. */
static void
append_end(struct answer *answer)
{
	if (answer->warning.failed)
		answer->text.failed = true;
	if (answer->warning.length > 0) {
		strbuf_text(&answer->text, ",\"warning\":");
		append_value(answer, answer_text(strbuf_get(&answer->warning)));
	}
	strbuf_text(&answer->text, "}\n");
}

void
answer_ok(struct answer *answer, json_t *data)
{
	strbuf_text(&answer->text, "{\"ok\":true,\"data\":");
	append_value(answer, data);
	append_end(answer);
}

void
answer_error(struct answer *answer, const char *format, ...)
{
	struct strbuf text = STRBUF_NULL;
	va_list ap;

	va_start(ap, format);
	strbuf_vformat(&text, format, ap);
	va_end(ap);
	strbuf_text(&answer->text, "{\"ok\":false,\"error\":");
	append_value(
	    answer, text.failed ? NULL : answer_text(strbuf_get(&text)));
	strbuf_text(&answer->text, "}\n");
	strbuf_free(&text);
}

void
answer_list_begin(struct answer *answer)
{
	answer->rows = 0;
	answer->listing = true;
	strbuf_text(&answer->text, "{\"ok\":true,\"data\":[");
}

void
answer_list_row(struct answer *answer, json_t *row)
{
	if (answer->rows++ > 0)
		strbuf_text(&answer->text, ",");
	append_value(answer, row);
}

void
answer_list_end(struct answer *answer)
{
	strbuf_text(&answer->text, "]");
	append_end(answer);
}

bool
answer_given(const struct answer *answer)
{
	return answer->text.length > 0 || answer->text.failed;
}

bool
answer_failed(const struct answer *answer)
{
	return answer->text.failed;
}

const char *
answer_line(const struct answer *answer, size_t *length)
{
	if (answer->text.failed && answer->sent)
		return NULL;
	if (answer->text.failed) {
		*length = sizeof(no_memory) - 1;
		return no_memory;
	}
	*length = answer->text.length;
	return strbuf_get(&answer->text);
}

void
answer_sent(struct answer *answer)
{
	strbuf_reset(&answer->text);
	answer->sent = true;
}

void
answer_free(struct answer *answer)
{
	strbuf_free(&answer->text);
	strbuf_free(&answer->warning);
	*answer = (struct answer)ANSWER_NULL;
}

json_t *
answer_text(const char *text)
{
	struct strbuf escaped = STRBUF_NULL;
	json_t *value = json_string(text);

	if (value != NULL)
		return value;
	/* Not UTF-8: the name of a client's unix socket may hold anything. */
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x80)
			strbuf_char(&escaped, *text);
		else
			strbuf_format(
			    &escaped, "\\x%02x", (unsigned char)*text);
	}
	if (!escaped.failed)
		value = json_string(strbuf_get(&escaped));
	strbuf_free(&escaped);
	return value;
}
