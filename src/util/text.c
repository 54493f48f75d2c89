/*
 * Reads and writes the small forms of weir.conf. It promises that a text is
 * taken whole or refused, that nothing wraps around, and that what is written
 * here is read back as the same number. Ranges and the wording of mistakes are
 * the caller's.
 */
#include "config.h"

#include "util/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
};

/* Each list from the largest to the smallest. */
static const struct unit durations[] = {
    {"d", 24 * 3600 * 1000},
    {"h", 3600 * 1000},
    {"m", 60 * 1000},
    {"s", 1000},
    {"ms", 1},
    {NULL, 0},
};

static const struct unit sizes[] = {
    {"g", UINT64_C(1) << 30},
    {"m", UINT64_C(1) << 20},
    {"k", UINT64_C(1) << 10},
    {"", 1},
    {NULL, 0},
};

/* The value of a digit in a base up to 16, or -1. */
static int
digit_value(char c, unsigned base)
{
	int value = -1;

	if (c >= '0' && c <= '9')
		value = c - '0';
	else if (c >= 'a' && c <= 'f')
		value = c - 'a' + 10;
	else if (c >= 'A' && c <= 'F')
		value = c - 'A' + 10;
	return value < (int)base ? value : -1;
}

/* Read digits up to the first other character, which *end tells. */
static int
read_digits(const char *text, unsigned base, const char **end, uint64_t *ret)
{
	uint64_t number = 0;
	bool overflow = false;
	const char *p = text;
	int digit;

	for (; (digit = digit_value(*p, base)) >= 0; p++) {
		if (number > (UINT64_MAX - (unsigned)digit) / base)
			overflow = true;
		else
			number = number * base + (unsigned)digit;
	}
	*end = p;
	if (p == text)
		return -EINVAL;
	if (overflow)
		return -ERANGE;
	*ret = number;
	return 0;
}

static int
read_whole(const char *text, unsigned base, uint64_t *ret)
{
	const char *end;
	uint64_t number = 0;
	int r = read_digits(text, base, &end, &number);

	if (*end != '\0')
		return -EINVAL;
	if (r == 0)
		*ret = number;
	return r;
}

int
text_number(const char *text, uint64_t *ret)
{
	return read_whole(text, 10, ret);
}

int
text_number_hex(const char *text, uint64_t *ret)
{
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		return read_whole(text + 2, 16, ret);
	return read_whole(text, 10, ret);
}

int
text_octal(const char *text, uint64_t *ret)
{
	return read_whole(text, 8, ret);
}

/* Digits and a unit of the list; without a unit, factor bare. */
static int
read_unit(const char *text, const struct unit *units, uint64_t bare,
    const char *tail, uint64_t *ret)
{
	size_t length;
	const char *end;
	uint64_t number = 0, factor = 0;
	int r = read_digits(text, 10, &end, &number);

	if (r == -EINVAL)
		return r;
	length = strlen(end);
	if (length < strlen(tail) ||
	    strcmp(end + length - strlen(tail), tail) != 0)
		return -EINVAL;
	length -= strlen(tail);
	if (length == 0)
		factor = bare;
	for (; factor == 0 && units->name != NULL; units++)
		if (length == strlen(units->name) &&
		    memcmp(end, units->name, length) == 0)
			factor = units->factor;
	if (factor == 0)
		return -EINVAL;
	if (r < 0 || number > UINT64_MAX / factor)
		return -ERANGE;
	*ret = number * factor;
	return 0;
}

int
text_duration(const char *text, uint64_t *ret)
{
	if (strcmp(text, "off") == 0) {
		*ret = 0;
		return 0;
	}
	return read_unit(text, durations, 1000, "", ret);
}

int
text_size(const char *text, uint64_t *ret)
{
	return read_unit(text, sizes, 1, "", ret);
}

int
text_rate(const char *text, uint64_t *ret)
{
	if (strcmp(text, "off") == 0 || strcmp(text, "0") == 0) {
		*ret = 0;
		return 0;
	}
	return read_unit(text, sizes, 1, "/s", ret);
}

int
text_boolean(const char *text, bool *ret)
{
	static const char *const words[] = {
	    "no", "yes", "off", "on", "false", "true"};
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(text, words[i]) == 0) {
			*ret = i % 2 == 1;
			return 0;
		}
	return -EINVAL;
}

/* The number in front of a text that was refused, when it is short enough to
 * be shown again; *end is what follows it, without spaces. */
static bool
hint_number(const char *wrong, uint64_t *number, const char **end)
{
	if (read_digits(wrong, 10, end, number) < 0 ||
	    *number > UINT64_C(999999999999))
		return false;
	*end += strspn(*end, " \t");
	return true;
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

char *
text_duration_hint(const char *wrong, char *text)
{
	const char *unit = "s", *end;
	uint64_t number;
	size_t i;

	if (!hint_number(wrong, &number, &end)) {
		snprintf(text, TEXT_NUMBER, "30s");
		return text;
	}
	for (i = 0; durations[i].name != NULL; i++)
		if (lower(end[0]) == durations[i].name[0]) {
			unit = durations[i].name;
			break;
		}
	if (lower(end[0]) == 'm' &&
	    (lower(end[1]) == 's' ||
		(lower(end[1]) == 'i' && lower(end[2]) == 'l')))
		unit = "ms";
	snprintf(text, TEXT_NUMBER, "%" PRIu64 "%s", number, unit);
	return text;
}

char *
text_size_hint(const char *wrong, char *text)
{
	const char *unit = "", *end;
	uint64_t number;
	size_t i;

	if (!hint_number(wrong, &number, &end)) {
		snprintf(text, TEXT_NUMBER, "64k");
		return text;
	}
	for (i = 0; sizes[i].name != NULL; i++)
		if (end[0] != '\0' && lower(end[0]) == sizes[i].name[0])
			unit = sizes[i].name;
	snprintf(text, TEXT_NUMBER, "%" PRIu64 "%s", number, unit);
	return text;
}

char *
text_rate_hint(const char *wrong, char *text)
{
	text_size_hint(wrong, text);
	strcat(text, "/s"); /* a hint has 12 digits and a letter at most */
	return text;
}

/* The largest unit that divides it; never one of which it is only one, for
 * 60s reads better than 1m beside 10s. */
static char *
write_unit(uint64_t number, const struct unit *units, bool plural, char *text)
{
	while (units->factor > 1 &&
	       (number % units->factor != 0 ||
		   (plural && units->factor > 1000 && number == units->factor)))
		units++;
	snprintf(text, TEXT_NUMBER, "%" PRIu64 "%s", number / units->factor,
	    units->name);
	return text;
}

char *
text_from_duration(uint64_t ms, char *text)
{
	if (ms == 0) {
		snprintf(text, TEXT_NUMBER, "off");
		return text;
	}
	return write_unit(ms, durations, true, text);
}

char *
text_from_size(uint64_t bytes, char *text)
{
	if (bytes == 0) {
		snprintf(text, TEXT_NUMBER, "0");
		return text;
	}
	return write_unit(bytes, sizes, false, text);
}

char *
text_from_rate(uint64_t bytes, char *text)
{
	if (bytes == 0) {
		snprintf(text, TEXT_NUMBER, "off");
		return text;
	}
	text_from_size(bytes, text);
	strcat(text, "/s"); /* 20 digits, a letter and this fit TEXT_NUMBER */
	return text;
}

static const char escape_letters[] = "abfnrtv\\\"'";
static const char escape_bytes[] = "\a\b\f\n\r\t\v\\\"'";

size_t
text_unescape_one(const char *text, char *ret)
{
	const char *letter;
	int value = 0, digit;
	size_t i;

	if (text[0] != '\\' || text[1] == '\0')
		return 0;
	letter = strchr(escape_letters, text[1]);
	if (letter != NULL) {
		*ret = escape_bytes[letter - escape_letters];
		return 2;
	}
	if (text[1] == 'x') {
		for (i = 2; i < 4; i++) {
			digit = digit_value(text[i], 16);
			if (digit < 0)
				return 0;
			value = value * 16 + digit;
		}
		*ret = (char)value;
		return i;
	}
	for (i = 1; i < 4; i++) {
		digit = digit_value(text[i], 8);
		if (digit < 0)
			break;
		value = value * 8 + digit;
	}
	if (i == 1 || value > 255)
		return 0;
	*ret = (char)value;
	return i;
}

char *
text_escape(unsigned char byte, char text[TEXT_ESCAPE])
{
	static const char named[] = "\a\b\f\n\r\t\v\\\"";
	const char *found = byte ? strchr(named, byte) : NULL;

	if (found != NULL)
		snprintf(
		    text, TEXT_ESCAPE, "\\%c", escape_letters[found - named]);
	else if (byte < 0x20 || byte == 0x7f)
		snprintf(text, TEXT_ESCAPE, "\\x%02x", byte);
	else
		snprintf(text, TEXT_ESCAPE, "%c", byte);
	return text;
}
