/*
 * Stands in front of libinih as its reader, because libinih alone gives no
 * line numbers, cuts section names at 49 bytes, takes the tail of a long line
 * for a line of its own, says nothing of an empty section and goes on with the
 * last value on an indented line. This module promises that each of those is
 * either handled or reported with its line, so that what reaches the handlers
 * is what was written. What sections, keys and values mean is the caller's.
 *
 * A line is: nothing, a comment, [SECTION], or KEY = VALUE. Blanks around each
 * are ignored, indentation too. A ; or # begins a comment at the start of a
 * line and after a blank; not inside of a value that begins with a double
 * quote, up to the quote that closes it. A value that ends with a backslash
 * goes on in the next line, whose indentation is ignored.
 *
 * To pass a value through libinih unchanged, the characters that mean
 * something to it are exchanged for control characters, which no line may
 * hold, and exchanged back in the handler. A value that was written on several
 * lines is handed over in pieces, the later ones indented: that is how libinih
 * itself continues a value.
 */
#include <config.h>

#include "config/ini_source.h"

#include <errno.h>
#include <ini.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/strbuf.h"

#define SECTION_MAX 49 /* bytes that libinih keeps of a section's name */

static const char blanks[] = " \t";
static const char hidden[] = ";# \t";	    /* what libinih must not see, */
static const char hidden_as[] = "\1\2\3\4"; /* and what it sees instead */

struct source {
	const char *next, *end; /* what is still to be read; not owned */
	const struct ini_source_handlers *handlers;
	void *user;
	unsigned line;	     /* the last one that was read */
	unsigned first_line; /* where the current value began */
	bool skipping;	     /* in a section that was refused */
	bool quoted;
	struct strbuf physical; /* one line */
	struct strbuf value;	/* the current value, as written */
	size_t handed;		/* bytes of value that libinih has had */
	struct strbuf got;	/* the value as it came back */
	bool failed;		/* memory was refused */
};

static void __attribute__((format(printf, 3, 4)))
mistake(struct source *source, unsigned line, const char *format, ...)
{
	struct strbuf text = STRBUF_NULL;
	va_list list;

	va_start(list, format);
	strbuf_vformat(&text, format, list);
	va_end(list);
	if (text.failed)
		source->failed = true;
	else
		source->handlers->on_mistake(
		    line, strbuf_get(&text), source->user);
	strbuf_free(&text);
}

/* Take the blanks off both ends of line. */
static char *
trim(char *line)
{
	size_t length;

	line += strspn(line, blanks);
	length = strlen(line);
	while (length > 0 && strchr(blanks, line[length - 1]) != NULL)
		line[--length] = '\0';
	return line;
}

static bool
begins_comment(char c)
{
	return c == ';' || c == '#';
}

/* Refuse what no line may hold. */
static bool
check_bytes(struct source *source, const char *line, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++) {
		unsigned char c = (unsigned char)line[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f) {
			mistake(source, source->line,
			    c == '\0'
				? "a NUL byte; this is no text"
				: "a control character (0x%02x); inside of "
				  "quotes it can be written as \\x%02x",
			    c, c);
			return false;
		}
	}
	return true;
}

/*
 * Read the next line into source->physical, without its end. Returns false at
 * the end of the text. *good tells whether its bytes may stand in a line.
 */
static bool
read_physical(struct source *source, bool *good)
{
	const char *start = source->next, *stop;
	size_t length;

	if (start == source->end)
		return false;
	stop = memchr(start, '\n', (size_t)(source->end - start));
	source->next = stop ? stop + 1 : source->end;
	length = (size_t)((stop ? stop : source->end) - start);
	if (length > 0 && start[length - 1] == '\r')
		length--;
	source->line++;
	if (source->line == 1 && length >= 3 &&
	    memcmp(start, "\xef\xbb\xbf", 3) == 0) {
		start += 3;
		length -= 3;
	}
	*good = check_bytes(source, start, length);
	strbuf_reset(&source->physical);
	strbuf_add(&source->physical, start, length);
	if (source->physical.failed)
		source->failed = true;
	return !source->failed;
}

/* Whether the text ends with a backslash that no other one quotes. */
static bool
goes_on(const char *text, size_t length)
{
	size_t count = 0;

	while (count < length && text[length - 1 - count] == '\\')
		count++;
	return count % 2 == 1;
}

/* Cut a comment off a piece of a value. *in_quotes is where the piece begins,
 * and afterwards where it ends. after is false only at the value's start.
 * Returns the length that is left, blanks at its end not counted. */
static size_t
cut_comment(const char *text, bool *in_quotes, bool after, bool *cut)
{
	size_t i, length = 0;
	bool blank = true;

	*cut = false;
	for (i = 0; text[i] != '\0'; i++) {
		if (*in_quotes) {
			if (text[i] == '\\' && text[i + 1] != '\0')
				i++;
			else if (text[i] == '"' && (i > 0 || after))
				*in_quotes = false;
		} else if (blank && begins_comment(text[i])) {
			*cut = true;
			break;
		}
		blank = strchr(blanks, text[i]) != NULL;
		if (!blank || *in_quotes)
			length = i + 1;
	}
	return length;
}

/* Check what stands behind the quotes, and take them off. */
static bool
take_quotes(struct source *source, bool in_quotes)
{
	char *text = source->value.data;
	size_t i;

	if (in_quotes) {
		mistake(source, source->first_line,
		    "the value begins with a quote (\") that is not closed");
		return false;
	}
	for (i = 1; text[i] != '"'; i++)
		if (text[i] == '\\')
			i++;
	if (i + 1 < source->value.length) {
		mistake(source, source->first_line,
		    "text stands after the quote (\") that closes the value; "
		    "a quote inside of it is written \\\"");
		return false;
	}
	return true;
}

/*
 * Gather a value that begins with start into source->value, from this line and
 * those that it goes on in. Returns false where there was a mistake.
 */
static bool
gather_value(struct source *source, const char *start, size_t room)
{
	bool quoted = start[0] == '"', in_quotes = quoted, good = true,
	     line_good;
	bool cut, more;
	size_t length;

	source->quoted = quoted;
	strbuf_reset(&source->value);
	for (;;) {
		length = cut_comment(start, &in_quotes,
		    source->line != source->first_line, &cut);
		/* Blanks before the backslash are the value's. */
		more = !cut && goes_on(start, length);
		if ((size_t)(start - source->physical.data) + length > room) {
			mistake(source, source->line,
			    "the line is longer than %zu bytes (a value may go "
			    "on in the next line after a \\ at the end)",
			    room);
			good = false;
		}
		strbuf_add(&source->value, start, more ? length - 1 : length);
		if (!more || !read_physical(source, &line_good))
			break;
		good = good && line_good;
		/* Its indentation does not count towards its length. */
		start = trim(source->physical.data);
		memmove(source->physical.data, start, strlen(start) + 1);
		start = source->physical.data;
	}
	if (more)
		mistake(source, source->first_line,
		    "the value goes on (\\) after the end of the file");
	while (!quoted && source->value.length > 0 &&
	       strchr(blanks, source->value.data[source->value.length - 1]))
		source->value.data[--source->value.length] = '\0';
	if (source->value.failed)
		source->failed = true;
	return good && !more && !source->failed &&
	       (!quoted || take_quotes(source, in_quotes));
}

/* Refuse names that libinih would read otherwise than they are written. */
static bool
check_key(struct source *source, const char *key)
{
	const char *p;

	for (p = key; *p != '\0'; p++) {
		if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
		    (*p >= '0' && *p <= '9') || *p == '_' || *p == '-' ||
		    *p == '.')
			continue;
		mistake(source, source->line,
		    "\"%s\" is no name of a key (letters, digits and _)", key);
		return false;
	}
	return true;
}

/* Write what libinih is to see of some bytes. */
static void
hide(char *out, const char *text, size_t length)
{
	const char *found;
	size_t i;

	for (i = 0; i < length; i++) {
		found = strchr(hidden, text[i]);
		out[i] = found ? hidden_as[found - hidden] : text[i];
	}
	out[length] = '\n';
	out[length + 1] = '\0';
}

/* The next piece of the current value, as a line that goes on. */
static void
hand_piece(struct source *source, char *out, size_t room)
{
	size_t left = source->value.length - source->handed;
	size_t length = left < room - 1 ? left : room - 1;

	out[0] = ' ';
	hide(out + 1, source->value.data + source->handed, length);
	source->handed += length;
}

/* KEY = VALUE. Returns true with a line for libinih in out. */
static bool
take_pair(struct source *source, char *line, char *out, size_t room)
{
	char *equals = strchr(line, '='), *value;
	char key[64];
	size_t used, length;

	source->first_line = source->line;
	if (equals == NULL) {
		mistake(
		    source, source->line, "neither [SECTION] nor KEY = VALUE");
		return false;
	}
	*equals = '\0';
	value = equals + 1 + strspn(equals + 1, blanks);
	line = trim(line);
	if (line[0] == '\0') {
		mistake(source, source->line, "no key before the =");
		return false;
	}
	if (strlen(line) >= sizeof(key)) {
		mistake(source, source->line,
		    "the name of the key is longer than any known one");
		return false;
	}
	if (!check_key(source, line))
		return false;
	snprintf(key, sizeof(key), "%s", line);
	if (!gather_value(source, value, room) || source->skipping)
		return false;
	if (source->value.length == 0) {
		mistake(source, source->first_line,
		    "%s: the value is missing (\"\" is an empty one)", key);
		return false;
	}

	used = (size_t)snprintf(out, room, "%s=", key);
	length = source->value.length;
	if (length > room - used)
		length = room - used;
	hide(out + used, source->value.data, length);
	source->handed = length;
	strbuf_reset(&source->got);
	return true;
}

/* [SECTION]. Returns true with a line for libinih in out. */
static bool
take_section(struct source *source, char *line, char *out, size_t room)
{
	char *close = strchr(line, ']'), *name, *rest;

	source->skipping = true;
	if (close == NULL) {
		mistake(
		    source, source->line, "the ] of the section is missing");
		return false;
	}
	rest = close + 1 + strspn(close + 1, blanks);
	if (*rest != '\0' && !begins_comment(*rest)) {
		mistake(source, source->line,
		    "text stands after the ] of the section");
		return false;
	}
	*close = '\0';
	name = trim(line + 1);
	if (strlen(name) > SECTION_MAX || strlen(name) + 2 > room) {
		mistake(source, source->line,
		    "the section's name is longer than %d bytes", SECTION_MAX);
		return false;
	}
	source->skipping = false;
	source->handlers->on_section(name, source->line, source->user);
	if (strpbrk(name, ";#") != NULL)
		return false; /* the caller has refused such a name */
	snprintf(out, room + 2, "[%s]\n", name);
	return true;
}

/* libinih's reader: one line a call, like fgets. */
static char *
read_line(char *out, int size, void *user)
{
	struct source *source = user;
	size_t room = (size_t)size - 2; /* the line's end and the NUL */
	bool good;
	char *line;

	if (source->handed < source->value.length) {
		hand_piece(source, out, room);
		return out;
	}
	while (!source->failed && read_physical(source, &good)) {
		line = source->physical.data;
		if (!good)
			continue;
		line = trim(line);
		memmove(source->physical.data, line, strlen(line) + 1);
		line = source->physical.data;
		if (line[0] == '\0' || begins_comment(line[0]))
			continue;
		if (line[0] == '[' ? take_section(source, line, out, room)
				   : take_pair(source, line, out, room))
			return out;
		strbuf_reset(&source->value); /* nothing is left to hand on */
		source->handed = 0;
	}
	return NULL;
}

/* libinih's handler: a value, or a piece of it. */
static int
on_value(void *user, const char *section, const char *name, const char *value)
{
	struct source *source = user;
	const char *found;
	char *text;
	size_t length;

	(void)section; /* known from read_line(), in full */
	for (; *value != '\0'; value++) {
		found = strchr(hidden_as, *value);
		strbuf_char(
		    &source->got, found ? hidden[found - hidden_as] : *value);
	}
	if (source->got.failed)
		source->failed = true;
	if (source->handed < source->value.length || source->failed)
		return 1;
	text = source->got.data;
	length = source->got.length;
	if (source->quoted) {
		text[length - 1] = '\0';
		text++;
	}
	source->handlers->on_pair(
	    name, text, source->quoted, source->first_line, source->user);
	return 1;
}

int
ini_source_read(const char *text, size_t length,
    const struct ini_source_handlers *handlers, void *user)
{
	struct source source = {
	    .next = text,
	    .end = text + length,
	    .handlers = handlers,
	    .user = user,
	};
	int r;

	r = ini_parse_stream(read_line, &source, on_value, &source);
	if (r > 0)
		mistake(&source, source.line,
		    "libinih does not understand this line or one before it");
	else if (r < 0)
		source.failed = true;
	strbuf_free(&source.physical);
	strbuf_free(&source.value);
	strbuf_free(&source.got);
	return source.failed ? -ENOMEM : 0;
}
