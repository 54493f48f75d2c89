/*
 * A TLS ClientHello (RFC 8446 4.1.2, RFC 6066 3, RFC 7301 3.1), read from the
 * bytes that came so far.
 *
 * A message is cut into records as its sender likes. hello_read() only follows
 * the records until they hold the whole message, which costs nothing for bytes
 * that were seen before; then the message is read once, by a cursor that steps
 * over the records' headers. Nothing is copied but the server name.
 */
#include "config.h"

#include "proto/hello.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define RECORD_HEADER	      5
#define RECORD_MAX	      16384
#define RECORD_HANDSHAKE      22
#define MESSAGE_HEADER	      4
#define CLIENT_HELLO	      1

#define EXTENSION_SERVER_NAME 0
#define EXTENSION_ALPN	      16
#define NAME_IS_HOST	      0

/* A place in the message. left is what may be read of it. */
struct cursor {
	const unsigned char *at;
	size_t in_record; /* bytes up to the next record's header */
	size_t left;
};

static size_t
record_length(const unsigned char *header)
{
	return (size_t)header[3] << 8 | header[4];
}

/* The first length bytes of the message; they must have come. */
static void
cursor_set(struct cursor *cursor, const void *bytes, size_t length)
{
	cursor->at = bytes;
	cursor->in_record = 0;
	cursor->left = length;
}

/* The next n bytes; to is NULL for bytes that do not matter. */
static bool
take(struct cursor *cursor, void *to, size_t n)
{
	unsigned char *out = to;
	size_t part;

	if (n > cursor->left)
		return false;
	cursor->left -= n;
	for (; n > 0; n -= part) {
		if (cursor->in_record == 0) {
			cursor->in_record = record_length(cursor->at);
			cursor->at += RECORD_HEADER;
		}
		part = n < cursor->in_record ? n : cursor->in_record;
		if (out != NULL) {
			memcpy(out, cursor->at, part);
			out += part;
		}
		cursor->at += part;
		cursor->in_record -= part;
	}
	return true;
}

/* A number of one to three bytes. */
static bool
take_number(struct cursor *cursor, size_t width, size_t *ret)
{
	unsigned char bytes[3];
	size_t i;

	if (!take(cursor, bytes, width))
		return false;
	for (i = 0, *ret = 0; i < width; i++)
		*ret = *ret << 8 | bytes[i];
	return true;
}

/* Step into a vector whose length has so many bytes; *rest is what comes
 * behind it, for leave(). */
static bool
enter(struct cursor *cursor, size_t width, size_t *rest)
{
	size_t n;

	if (!take_number(cursor, width, &n) || n > cursor->left)
		return false;
	*rest = cursor->left - n;
	cursor->left = n;
	return true;
}

static void
leave(struct cursor *cursor, size_t rest)
{
	(void)take(cursor, NULL, cursor->left);
	cursor->left = rest;
}

/* A vector that does not matter, of min to max bytes. */
static bool
skip_vector(struct cursor *cursor, size_t width, size_t min, size_t max)
{
	size_t rest;

	if (!enter(cursor, width, &rest) || cursor->left < min ||
	    cursor->left > max)
		return false;
	leave(cursor, rest);
	return true;
}

/* ---- extensions ---- */

/* What is no letter of a name would be one in a log, or an end. */
static bool
is_clean(const char *name, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		if (!isascii((unsigned char)name[i]) ||
		    !isgraph((unsigned char)name[i]))
			return false;
	return true;
}

static const char *
set_name(struct hello *hello, struct cursor *cursor, size_t length)
{
	size_t i;

	if (hello->name[0] != '\0')
		return "two server names";
	if (length == 0)
		return "an empty server name";
	if (length > HELLO_NAME_MAX)
		return "a server name of more than 255 bytes";
	if (!take(cursor, hello->name, length))
		return "a server name that is cut";
	hello->name[length] = '\0';
	if (!is_clean(hello->name, length)) {
		hello->name[0] = '\0';
		return "a server name that is no text";
	}
	/* The root is not written; who does means the same name. */
	if (length > 1 && hello->name[length - 1] == '.')
		hello->name[--length] = '\0';
	for (i = 0; i < length; i++)
		hello->name[i] = (char)tolower((unsigned char)hello->name[i]);
	return NULL;
}

static const char *
read_server_name(struct hello *hello, struct cursor *cursor)
{
	const char *problem;
	size_t type, length, rest;

	if (!enter(cursor, 2, &rest) || rest != 0 || cursor->left == 0)
		return "a list of server names that does not fit";
	while (cursor->left > 0) {
		if (!take_number(cursor, 1, &type) ||
		    !take_number(cursor, 2, &length) || length > cursor->left)
			return "a server name that is cut";
		if (type != NAME_IS_HOST)
			(void)take(cursor, NULL, length);
		else if ((problem = set_name(hello, cursor, length)) != NULL)
			return problem;
	}
	return NULL;
}

static const char *
read_alpn(struct hello *hello, struct cursor *cursor, size_t at)
{
	size_t rest;

	if (hello->alpn_length > 0)
		return "two lists of protocols";
	if (!enter(cursor, 2, &rest) || rest != 0 || cursor->left == 0)
		return "a list of protocols that does not fit";
	hello->alpn_at = at + 2;
	hello->alpn_length = cursor->left;
	while (cursor->left > 0)
		if (!skip_vector(cursor, 1, 1, 255))
			return "a protocol that is cut or empty";
	return NULL;
}

static const char *
read_extensions(struct hello *hello, struct cursor *cursor, size_t total)
{
	const char *problem = NULL;
	size_t type, rest;

	while (problem == NULL && cursor->left > 0) {
		if (!take_number(cursor, 2, &type) || !enter(cursor, 2, &rest))
			return "an extension that is cut";
		/* They are the last: what is left of the message is rest. */
		if (type == EXTENSION_SERVER_NAME)
			problem = read_server_name(hello, cursor);
		else if (type == EXTENSION_ALPN)
			problem = read_alpn(
			    hello, cursor, total - rest - cursor->left);
		leave(cursor, rest);
	}
	return problem;
}

/* The whole message, of total bytes; all of them have come. */
static const char *
read_message(struct hello *hello, const void *bytes, size_t total)
{
	struct cursor cursor;
	size_t rest;

	cursor_set(&cursor, bytes, total);
	if (!take(&cursor, NULL, MESSAGE_HEADER + 2 + 32) ||
	    !skip_vector(&cursor, 1, 0, 32) ||
	    !skip_vector(&cursor, 2, 2, 65534) ||
	    !skip_vector(&cursor, 1, 1, 255))
		return "a message that is cut";
	if (cursor.left == 0)
		return NULL; /* of a time before there were extensions */
	if (!enter(&cursor, 2, &rest) || rest != 0)
		return "extensions that do not fit";
	return read_extensions(hello, &cursor, total);
}

/* ---- records ---- */

static enum hello_result
broken(struct hello *hello, const char *problem)
{
	hello->problem = problem;
	return HELLO_BROKEN;
}

/* The header of a record, as much of it as is there. */
static enum hello_result
check_header(struct hello *hello, const unsigned char *header, size_t length)
{
	bool first = hello->record == 0;
	size_t n;

	if ((length > 0 && header[0] != RECORD_HANDSHAKE) ||
	    (length > 1 && header[1] != 3))
		return first ? HELLO_NOT_TLS
			     : broken(hello, "another record in the hello");
	if (length < RECORD_HEADER)
		return HELLO_NEED_MORE;
	n = record_length(header);
	if (n == 0)
		return broken(hello, "an empty record");
	if (n > RECORD_MAX)
		return broken(hello, "a record of more than 16384 bytes");
	return HELLO_DONE;
}

/* Whether the message is whole, of which got bytes have come. */
static enum hello_result
check_message(struct hello *hello, const void *bytes, size_t got, size_t *total)
{
	struct cursor cursor;
	size_t type, length;

	if (got == 0)
		return HELLO_NEED_MORE;
	cursor_set(&cursor, bytes, got);
	if (take_number(&cursor, 1, &type) && type != CLIENT_HELLO)
		return broken(hello, "another message than a hello");
	if (!take_number(&cursor, 3, &length))
		return HELLO_NEED_MORE;
	*total = MESSAGE_HEADER + length;
	if (*total > HELLO_MAX)
		return broken(hello, "a hello of more than 65536 bytes");
	return got < *total ? HELLO_NEED_MORE : HELLO_DONE;
}

enum hello_result
hello_read(struct hello *hello, const void *bytes, size_t length)
{
	const unsigned char *header;
	enum hello_result result;
	size_t have, n, total;

	for (;;) {
		header = (const unsigned char *)bytes + hello->record;
		have = length - hello->record;
		result = check_header(hello, header, have);
		if (result != HELLO_DONE)
			break;
		n = record_length(header);
		have -= RECORD_HEADER;
		result = check_message(
		    hello, bytes, hello->got + (have < n ? have : n), &total);
		if (result != HELLO_NEED_MORE || have < n)
			break;
		hello->record += RECORD_HEADER + n;
		hello->got += n;
	}
	if (result == HELLO_NEED_MORE && length >= HELLO_MAX)
		return broken(hello, "no end within 65536 bytes");
	if (result != HELLO_DONE)
		return result;
	hello->problem = read_message(hello, bytes, total);
	return hello->problem != NULL ? HELLO_BROKEN : HELLO_DONE;
}

/* ---- what it says ---- */

bool
hello_offers(const struct hello *hello, const void *bytes, size_t length,
    const char *protocol)
{
	size_t wanted = strlen(protocol), rest;
	unsigned char name[255];
	struct cursor cursor;
	bool same;

	if (hello->alpn_length == 0 || length < hello->alpn_at)
		return false;
	cursor_set(&cursor, bytes, hello->alpn_at + hello->alpn_length);
	(void)take(&cursor, NULL, hello->alpn_at);
	while (enter(&cursor, 1, &rest)) {
		same = cursor.left == wanted && take(&cursor, name, wanted) &&
		       memcmp(name, protocol, wanted) == 0;
		if (same)
			return true;
		leave(&cursor, rest);
	}
	return false;
}

bool
hello_name_matches(const char *pattern, const char *name)
{
	size_t below, length;

	if (strncmp(pattern, "*.", 2) != 0)
		return name[0] != '\0' && strcasecmp(pattern, name) == 0;
	below = strlen(pattern) - 1; /* ".example.org" */
	length = strlen(name);
	return length > below &&
	       strcasecmp(pattern + 1, name + length - below) == 0;
}
