/*
 * The forms in which people write numbers: durations, sizes, rates, booleans,
 * and C escapes; each with its way back.
 *
 * The readers return 0, -EINVAL for a text of another form, or -ERANGE for a
 * number that does not fit; *ret is set only with 0. They take the whole text
 * or nothing: no spaces, signs or fractions.
 */
#ifndef UTIL_TEXT_H
#define UTIL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for any number, duration, size or rate as text, its end included. */
#define TEXT_NUMBER 32

/* Room for one byte as a C escape, its end included. */
#define TEXT_ESCAPE 5

/* Decimal digits. */
int text_number(const char *text, uint64_t *ret);

/* Decimal digits, or "0x" and hexadecimal ones. */
int text_number_hex(const char *text, uint64_t *ret);

/* Octal digits, with or without a leading 0. */
int text_octal(const char *text, uint64_t *ret);

/* "500ms", "30s", "5m", "2h", "1d", "30" (seconds), "0" or "off" (0). In
 * milliseconds. */
int text_duration(const char *text, uint64_t *ret);

/* "4096", "64k", "1m", "1g": powers of 1024. In bytes. */
int text_size(const char *text, uint64_t *ret);

/* A size and "/s", "0" or "off" (0). In bytes a second. */
int text_rate(const char *text, uint64_t *ret);

/* "yes", "on", "true"; "no", "off", "false". */
int text_boolean(const char *text, bool *ret);

/*
 * What a text that is no duration, size or rate may have meant ("10mm": "10m";
 * "64": "64/s"). Returns text, which has room for TEXT_NUMBER; an example
 * where nothing can be made of it.
 */
char *text_duration_hint(const char *wrong, char *text);
char *text_size_hint(const char *wrong, char *text);
char *text_rate_hint(const char *wrong, char *text);

/*
 * The shortest exact form that the reader takes back; 0 is "off" as a duration
 * or rate. Returns text, which has room for TEXT_NUMBER.
 */
char *text_from_duration(uint64_t ms, char *text);
char *text_from_size(uint64_t bytes, char *text);
char *text_from_rate(uint64_t bytes, char *text);

/*
 * Undo one C escape: \a \b \f \n \r \t \v \\ \" \' \xHH (two digits) \OOO (one
 * to three octal digits). text begins with the backslash. Returns how many
 * characters it took, or 0 where it is no escape.
 */
size_t text_unescape_one(const char *text, char *ret);

/* One byte as it may stand between quotes: itself, or its escape. Bytes above
 * 0x7f are themselves. Returns text. */
char *text_escape(unsigned char byte, char text[TEXT_ESCAPE]);

#endif
