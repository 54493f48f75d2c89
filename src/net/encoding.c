/*
 * Bytes as text. Promises that the text does not depend on how the bytes were
 * cut into pieces: what is not a whole character (or a whole group of base64)
 * waits for the next piece, or for the end. Text is UTF-8 throughout; what is
 * no UTF-8 becomes U+FFFD, one for each longest beginning of a character, as
 * the Unicode standard recommends.
 */
#include "config.h"

#include "net/encoding_priv.h"

#include <stdint.h>
#include <string.h>

static const char replacement[3] = "\xef\xbf\xbd";
static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t
weir__decoder_room(size_t n)
{
	/* UTF-8 is the worst: three bytes for one that is wrong. */
	return 3 * (n + sizeof(((struct weir__decoder *)0)->tail) +
		       sizeof(((struct weir__decoder *)0)->carry));
}

/* ---- utf8 ---- */

/* How many bytes a character has by its first; 0 where that is none. */
static size_t
utf8_length(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc2)
		return 0;
	if (first < 0xe0)
		return 2;
	if (first < 0xf0)
		return 3;
	return first < 0xf5 ? 4 : 0;
}

/* Whether the second byte may follow the first: not where the character is
 * longer than it needs to be, a surrogate, or above U+10FFFF. */
static bool
utf8_second(unsigned char first, unsigned char second)
{
	if (first == 0xe0)
		return second >= 0xa0 && second <= 0xbf;
	if (first == 0xed)
		return second >= 0x80 && second <= 0x9f;
	if (first == 0xf0)
		return second >= 0x90 && second <= 0xbf;
	if (first == 0xf4)
		return second >= 0x80 && second <= 0x8f;
	return second >= 0x80 && second <= 0xbf;
}

/*
 * Look at the character at p, of which n bytes are there, one at least.
 * Returns the bytes of a whole one; 0 where it is only begun; else it is
 * wrong, and the negative number says how many bytes of it one U+FFFD is for.
 */
static int
utf8_look(const unsigned char *p, size_t n)
{
	size_t i, length = utf8_length(p[0]);

	if (length == 0)
		return -1;
	for (i = 1; i < length; i++) {
		if (i == n)
			return 0;
		if (i == 1 ? !utf8_second(p[0], p[1]) : (p[i] & 0xc0) != 0x80)
			return -(int)i;
	}
	return (int)length;
}

static size_t
put(unsigned char *out, const void *data, size_t n)
{
	memcpy(out, data, n);
	return n;
}

/* The character that an earlier piece began. Moves *data on. */
static size_t
utf8_complete(struct weir__decoder *d, const unsigned char **data,
    const unsigned char *end, unsigned char *out)
{
	int looked;
	size_t n;

	/* tail is never full here: four bytes are whole, or wrong. */
	while (d->length > 0 && d->length < sizeof(d->tail) && *data < end) {
		d->tail[d->length++] = **data;
		looked = utf8_look(d->tail, d->length);
		if (looked < 0) { /* the new byte does not belong to it */
			d->length = 0;
			return put(out, replacement, sizeof(replacement));
		}
		++*data;
		if (looked > 0) {
			n = d->length;
			d->length = 0;
			return put(out, d->tail, n);
		}
	}
	return 0;
}

static size_t
utf8_feed(struct weir__decoder *d, const unsigned char *p, size_t n,
    unsigned char *out)
{
	const unsigned char *end = p + n, *good;
	size_t written = utf8_complete(d, &p, end, out);
	int looked;

	good = p; /* from here to p all is as it should be */
	while (p < end) {
		if (*p < 0x80) {
			p++;
			continue;
		}
		looked = utf8_look(p, (size_t)(end - p));
		if (looked > 0) {
			p += looked;
			continue;
		}
		written += put(out + written, good, (size_t)(p - good));
		if (looked == 0) {
			d->length = put(d->tail, p, (size_t)(end - p));
			return written;
		}
		written += put(out + written, replacement, sizeof(replacement));
		p -= looked;
		good = p;
	}
	return written + put(out + written, good, (size_t)(p - good));
}

/* ---- the others ---- */

static size_t
latin1_feed(const unsigned char *p, size_t n, unsigned char *out)
{
	size_t i, written = 0;

	for (i = 0; i < n; i++) {
		if (p[i] < 0x80) {
			out[written++] = p[i];
		} else {
			out[written++] = (unsigned char)(0xc0 | p[i] >> 6);
			out[written++] = (unsigned char)(0x80 | (p[i] & 0x3f));
		}
	}
	return written;
}

static size_t
ascii_feed(const unsigned char *p, size_t n, unsigned char *out)
{
	size_t i;

	for (i = 0; i < n; i++)
		out[i] = p[i] & 0x7f;
	return n;
}

static size_t
hex_feed(const unsigned char *p, size_t n, unsigned char *out)
{
	size_t i;

	for (i = 0; i < n; i++) {
		out[2 * i] = (unsigned char)hex_digits[p[i] >> 4];
		out[2 * i + 1] = (unsigned char)hex_digits[p[i] & 0xf];
	}
	return 2 * n;
}

/* One group: 3 bytes, or at the end 1 or 2 with '=' for the rest. */
static size_t
base64_group(const unsigned char *p, size_t n, unsigned char *out)
{
	uint32_t bits = (uint32_t)p[0] << 16;

	if (n > 1)
		bits |= (uint32_t)p[1] << 8;
	if (n > 2)
		bits |= p[2];
	out[0] = (unsigned char)base64_digits[bits >> 18];
	out[1] = (unsigned char)base64_digits[bits >> 12 & 63];
	out[2] = n > 1 ? (unsigned char)base64_digits[bits >> 6 & 63] : '=';
	out[3] = n > 2 ? (unsigned char)base64_digits[bits & 63] : '=';
	return 4;
}

static size_t
base64_feed(struct weir__decoder *d, const unsigned char *p, size_t n,
    unsigned char *out)
{
	const unsigned char *end = p + n;
	size_t written = 0;

	while (d->length > 0 && d->length < 3 && p < end)
		d->tail[d->length++] = *p++;
	if (d->length == 3) {
		written += base64_group(d->tail, 3, out);
		d->length = 0;
	}
	for (; end - p >= 3; p += 3)
		written += base64_group(p, 3, out + written);
	while (p < end)
		d->tail[d->length++] = *p++;
	return written;
}

/* ---- all ---- */

static size_t
feed(struct weir__decoder *d, const unsigned char *p, size_t n,
    unsigned char *out)
{
	switch (d->encoding) {
	case WEIR_UTF8:
		return utf8_feed(d, p, n, out);
	case WEIR_ASCII:
		return ascii_feed(p, n, out);
	case WEIR_LATIN1:
		return latin1_feed(p, n, out);
	case WEIR_BASE64:
		return base64_feed(d, p, n, out);
	case WEIR_HEX:
		return hex_feed(p, n, out);
	case WEIR_RAW:
		break;
	}
	return put(out, p, n);
}

static size_t
feed_carry(struct weir__decoder *d, unsigned char *out)
{
	size_t n = d->carried;

	d->carried = 0;
	return n > 0 ? feed(d, d->carry, n, out) : 0;
}

size_t
weir__decoder_feed(
    struct weir__decoder *d, const void *data, size_t n, unsigned char *out)
{
	size_t written = feed_carry(d, out);

	return n > 0 ? written + feed(d, data, n, out + written) : written;
}

size_t
weir__decoder_end(struct weir__decoder *d, unsigned char *out)
{
	size_t written = feed_carry(d, out), n = d->length;

	d->length = 0;
	if (n == 0)
		return written;
	if (d->encoding == WEIR_BASE64)
		return written + base64_group(d->tail, n, out + written);
	/* The beginning of a character, and never its end. */
	return written + put(out + written, replacement, sizeof(replacement));
}

void
weir__decoder_change(struct weir__decoder *d, enum weir_encoding encoding)
{
	if (encoding == d->encoding)
		return;
	if (d->length > 0) {
		/* A carry that has not been fed left no tail. */
		memcpy(d->carry, d->tail, sizeof(d->carry));
		d->carried = d->length;
		d->length = 0;
	}
	d->encoding = encoding;
}
