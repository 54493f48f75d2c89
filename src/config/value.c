/*
 * The outer form of values: quotes, escapes, environment variables, and lines
 * that are not too long. It promises that value_write() is undone by the
 * reader of the file, byte for byte; the meaning of a value is its option's.
 */
#include <config.h>

#include "config/value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/strbuf.h"
#include "util/text.h"

/* Where value_write() breaks a line. What is too long for libinih is 199. */
#define LINE_BREAK 150

static const char name_letters[] = "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";

/* Put in the variable at text, which begins with ${. Returns what follows the
 * closing brace, or NULL. */
static const char *
put_variable(const char *text, struct strbuf *ret, struct strbuf *problem)
{
	size_t length = strspn(text + 2, name_letters);
	const char *value;
	char *name;

	if (length == 0 || text[2 + length] != '}' ||
	    (text[2] >= '0' && text[2] <= '9')) {
		strbuf_text(problem,
		    "after ${ the name of an environment variable and a } are "
		    "missing ($${ is a ${ itself)");
		return NULL;
	}
	name = strndup(text + 2, length);
	if (name == NULL) {
		ret->failed = true;
		return NULL;
	}
	value = getenv(name);
	if (value != NULL)
		strbuf_text(ret, value);
	else
		strbuf_format(problem,
		    "the environment variable %s is not set ($${ is a ${ "
		    "itself)",
		    name);
	free(name);
	return value ? text + 2 + length + 1 : NULL;
}

/* Put in the escape at text. Returns what follows it, or NULL. */
static const char *
put_escape(const char *text, struct strbuf *ret, struct strbuf *problem)
{
	char byte;
	size_t taken = text_unescape_one(text, &byte);

	if (taken == 0) {
		strbuf_text(problem, "\\");
		if (text[1] != '\0')
			strbuf_char(problem, text[1]);
		strbuf_text(problem,
		    " is no escape (\\r \\n \\t \\\\ \\\" \\xHH \\0; "
		    "\\\\ is a backslash)");
		return NULL;
	}
	strbuf_char(ret, byte);
	return text + taken;
}

int
value_undo(
    const char *text, bool escapes, struct strbuf *ret, struct strbuf *problem)
{
	strbuf_reset(ret);
	strbuf_add(ret, "", 0);
	while (text != NULL && *text != '\0') {
		if (strncmp(text, "$${", 3) == 0) {
			strbuf_text(ret, "${");
			text += 3;
		} else if (strncmp(text, "${", 2) == 0) {
			text = put_variable(text, ret, problem);
		} else if (escapes && *text == '\\') {
			text = put_escape(text, ret, problem);
		} else {
			strbuf_char(ret, *text++);
		}
	}
	return text != NULL && !ret->failed ? 0 : -EINVAL;
}

/* Whether a value can stand as it is, whatever its option. */
static bool
is_plain(const char *value, size_t length)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_./:,@%+=*?!|&()<>[]~^'- ";

	size_t i;

	for (i = 0; i < length; i++)
		if (memchr(plain, value[i], sizeof(plain) - 1) == NULL)
			return false;
	return length > 0 && value[0] != ' ' && value[length - 1] != ' ';
}

void
value_write(
    const char *key, const char *value, size_t length, struct strbuf *ret)
{
	size_t start = ret->length, i;
	char escape[TEXT_ESCAPE];
	unsigned char byte;

	strbuf_format(ret, "%s = ", key);
	if (is_plain(value, length) &&
	    ret->length - start + length < LINE_BREAK) {
		strbuf_add(ret, value, length);
		strbuf_char(ret, '\n');
		return;
	}
	strbuf_char(ret, '"');
	for (i = 0; i < length; i++) {
		byte = (unsigned char)value[i];
		/* Not inside of a UTF-8 character; a blank at the start of a
		 * line would be lost. */
		if (ret->length - start >= LINE_BREAK + 8 ||
		    (ret->length - start >= LINE_BREAK &&
			(byte & 0xc0) != 0x80)) {
			strbuf_text(ret, "\\\n\t");
			start = ret->length;
			if (byte == ' ') {
				strbuf_text(ret, "\\x20");
				continue;
			}
		}
		if (byte == '$' && i + 1 < length && value[i + 1] == '{') {
			strbuf_text(ret, "$${");
			i++;
		} else {
			strbuf_text(ret, text_escape(byte, escape));
		}
	}
	strbuf_text(ret, "\"\n");
}
