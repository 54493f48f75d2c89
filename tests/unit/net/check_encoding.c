/* Bytes as text: each encoding, and cuts at every place. */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "net/encoding_priv.h"

/* Decode n bytes in pieces of step bytes; the text is in a static buffer. */
static const char *
decode(enum weir_encoding encoding, const char *data, size_t n, size_t step,
    size_t *length)
{
	static unsigned char text[4096];
	struct weir__decoder d = {.encoding = encoding};
	size_t at, piece;

	*length = 0;
	for (at = 0; at < n; at += piece) {
		piece = n - at < step ? n - at : step;
		ck_assert_uint_le(
		    *length + weir__decoder_room(piece), sizeof(text));
		*length +=
		    weir__decoder_feed(&d, data + at, piece, text + *length);
	}
	*length += weir__decoder_end(&d, text + *length);
	return (const char *)text;
}

struct row {
	enum weir_encoding encoding;
	const char *bytes, *text;
};

#define BAD "\xef\xbf\xbd"

static const struct row rows[] = {
    {WEIR_UTF8, "", ""},
    {WEIR_UTF8, "plain", "plain"},
    {WEIR_UTF8, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
	"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
    {WEIR_UTF8, "\xef\xbb\xbfx", "\xef\xbb\xbfx"}, /* a mark is kept */
    {WEIR_UTF8, "a\x80z", "a" BAD "z"},
    {WEIR_UTF8, "\xc0\xaf", BAD BAD},		      /* longer than it needs */
    {WEIR_UTF8, "\xe0\x80\xaf", BAD BAD BAD},	      /* likewise */
    {WEIR_UTF8, "\xed\xa0\x80", BAD BAD BAD},	      /* a surrogate */
    {WEIR_UTF8, "\xf4\x90\x80\x80", BAD BAD BAD BAD}, /* too high */
    {WEIR_UTF8, "\xf5\xff", BAD BAD},
    {WEIR_UTF8, "\xe2\x82z", BAD "z"}, /* one for a whole beginning */
    {WEIR_UTF8, "\xf0\x9f\x98\xc3\xa9", BAD "\xc3\xa9"},
    {WEIR_UTF8, "\xf0\x9f\xf0\x9f\x98\x80", BAD "\xf0\x9f\x98\x80"},
    {WEIR_UTF8, "z\xe2", "z" BAD}, /* the end comes too early */
    {WEIR_UTF8, "z\xf0\x9f\x98", "z" BAD},
    {WEIR_LATIN1, "caf\xe9 \x80\xff", "caf\xc3\xa9 \xc2\x80\xc3\xbf"},
    {WEIR_ASCII, "caf\xe9\x80", "cafi"},
    {WEIR_HEX, "\x01\xab\xff", "01abff"},
    {WEIR_BASE64, "", ""},
    {WEIR_BASE64, "M", "TQ=="},
    {WEIR_BASE64, "Ma", "TWE="},
    {WEIR_BASE64, "Man", "TWFu"},
    {WEIR_BASE64, "\xfb\xff\xfe\xff", "+//+/w=="},
    {WEIR_RAW, "\xff\xfe", "\xff\xfe"},
};

START_TEST(text_is_the_same_however_bytes_are_cut)
{
	const struct row *row = &rows[_i];
	size_t n = strlen(row->bytes), want = strlen(row->text), step, length;
	const char *text;

	if (row->encoding == WEIR_ASCII)
		want = n; /* there is a NUL in it */
	for (step = 1; step <= n + 1; step++) {
		text = decode(row->encoding, row->bytes, n, step, &length);
		ck_assert_uint_eq(length, want);
		ck_assert_mem_eq(text, row->text, want);
	}
}
END_TEST

START_TEST(a_nul_is_a_character)
{
	size_t length;
	const char *text = decode(WEIR_UTF8, "a\0b", 3, 2, &length);

	ck_assert_uint_eq(length, 3);
	ck_assert_mem_eq(text, "a\0b", 3);
}
END_TEST

START_TEST(a_character_begun_writes_nothing_yet)
{
	struct weir__decoder d = {.encoding = WEIR_UTF8};
	unsigned char text[64];

	ck_assert_uint_eq(weir__decoder_feed(&d, "\xe2\x82", 2, text), 0);
	ck_assert_uint_eq(weir__decoder_feed(&d, "", 0, text), 0);
	ck_assert_uint_eq(weir__decoder_feed(&d, "\xac", 1, text), 3);
	ck_assert_mem_eq(text, "\xe2\x82\xac", 3);
	ck_assert_uint_eq(weir__decoder_end(&d, text), 0);
}
END_TEST

START_TEST(a_change_of_encoding_loses_nothing)
{
	struct weir__decoder d = {.encoding = WEIR_UTF8};
	unsigned char text[64];
	size_t n;

	ck_assert_uint_eq(weir__decoder_feed(&d, "\xe2\x82", 2, text), 0);
	weir__decoder_change(&d, WEIR_HEX);
	n = weir__decoder_feed(&d, "\x01", 1, text);
	ck_assert_uint_eq(n, 6);
	ck_assert_mem_eq(text, "e28201", 6);

	weir__decoder_change(&d, WEIR_BASE64);
	ck_assert_uint_eq(weir__decoder_feed(&d, "Ma", 2, text), 0);
	weir__decoder_change(&d, WEIR_RAW);
	weir__decoder_change(&d, WEIR_UTF8); /* before any more came */
	n = weir__decoder_end(&d, text);
	ck_assert_uint_eq(n, 2);
	ck_assert_mem_eq(text, "Ma", 2);
}
END_TEST

START_TEST(room_is_enough_for_the_worst)
{
	struct weir__decoder d = {.encoding = WEIR_UTF8};
	unsigned char bytes[100], *text;
	size_t n;

	memset(bytes, 0xff, sizeof(bytes));
	text = malloc(weir__decoder_room(sizeof(bytes)));
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_eq(weir__decoder_feed(&d, "\xf0\x9f\x98", 3, text), 0);
	n = weir__decoder_feed(&d, bytes, sizeof(bytes), text);
	ck_assert_uint_eq(n, 3 * (sizeof(bytes) + 1));
	ck_assert_uint_le(n, weir__decoder_room(sizeof(bytes)));
	free(text);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("net/encoding");
	TCase *c = tcase_create("encoding");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(c, text_is_the_same_however_bytes_are_cut, 0,
	    sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(c, a_nul_is_a_character);
	tcase_add_test(c, a_character_begun_writes_nothing_yet);
	tcase_add_test(c, a_change_of_encoding_loses_nothing);
	tcase_add_test(c, room_is_enough_for_the_worst);
	suite_add_tcase(s, c);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
