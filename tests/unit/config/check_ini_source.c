/* Unit tests of config/ini_source: lines, comments, quotes, and what libinih
 * would do to them. */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/ini_source.h"
#include "support.h"
#include "util/strbuf.h"

static void
on_section(const char *name, unsigned line, void *user)
{
	strbuf_format(user, "%u[%s]\n", line, name);
}

static void
on_pair(
    const char *key, const char *value, bool quoted, unsigned line, void *user)
{
	strbuf_format(user, "%u%s=%s%s%s\n", line, key, quoted ? "<" : "",
	    value, quoted ? ">" : "");
}

static void
on_mistake(unsigned line, const char *problem, void *user)
{
	strbuf_format(user, "%u!%s\n", line, problem);
}

static const struct ini_source_handlers handlers = {
    on_section, on_pair, on_mistake};

static void
check_bytes(const char *text, size_t length, const char *events)
{
	struct strbuf got = STRBUF_NULL;

	ck_assert_int_eq(ini_source_read(text, length, &handlers, &got), 0);
	ck_assert_str_eq(strbuf_get(&got), events);
	strbuf_free(&got);
}

static void
check_text(const char *text, const char *events)
{
	check_bytes(text, strlen(text), events);
}

START_TEST(sections_and_keys_come_with_their_lines)
{
	check_text("[a]\nx = 1\n\ny=2\n[b]\n[b]\nz =3",
	    "1[a]\n2x=1\n4y=2\n5[b]\n"
	    "6[b]\n7z=3\n");
	check_text("", "");
	check_text("\n\n", "");
	check_text("x=1", "1x=1\n");
}
END_TEST

START_TEST(line_ends_and_a_byte_order_mark_do_not_matter)
{
	check_text(
	    "\xef\xbb\xbf[a]\r\nx = 1\r\n\r\ny = 2\r\n", "1[a]\n2x=1\n4y=2\n");
	check_text("[a]\n\xef\xbb\xbfx=1\n",
	    "1[a]\n2!\"\xef\xbb\xbfx\" is no name of a key (letters, digits "
	    "and _)\n");
}
END_TEST

START_TEST(an_indented_line_is_a_line)
{
	check_text("[a]\n  x = 1\n\ty = 2\n   ; c\n  [b]\n",
	    "1[a]\n2x=1\n3y=2\n5[b]\n");
}
END_TEST

START_TEST(comments_begin_a_line_or_follow_a_blank)
{
	check_text(
	    "; c\n# c\n[a] ; c\n[b]# c\nx = 1 ; c\ny = 2 # c\nz = 3\t;c\n",
	    "3[a]\n4[b]\n5x=1\n6y=2\n7z=3\n");
	check_text("x = a;b#c\ny = ;1\nz = ab#\n",
	    "1x=a;b#c\n"
	    "2!y: the value is missing (\"\" is an empty one)\n3z=ab#\n");
}
END_TEST

START_TEST(quotes_keep_blanks_and_comment_signs)
{
	check_text("x = \" a ; b # c \" ; d\n", "1x=< a ; b # c >\n");
	check_text("x = \"a \\\" ; b\"\n", "1x=<a \\\" ; b>\n");
	check_text("x = \"\"\n", "1x=<>\n");
	check_text("x = \"\\\\\"\n", "1x=<\\\\>\n");
	check_text("x = a \"b ; c\"\n", "1x=a \"b\n");
	check_text("x = \"=[;\"\n", "1x=<=[;>\n");
}
END_TEST

START_TEST(quotes_must_be_closed_at_the_end)
{
	check_text("x = \"a\ny = 1\n",
	    "1!the value begins with a quote (\") that is not closed\n2y=1\n");
	check_text("x = \"a\\\"\n",
	    "1!the value begins with a quote (\") that is not closed\n");
	check_text("x = \"\n",
	    "1!the value begins with a quote (\") that is not closed\n");
	check_text("x = \"a\" b\n",
	    "1!text stands after the quote (\") that closes the value; a quote "
	    "inside of it is written \\\"\n");
}
END_TEST

START_TEST(a_backslash_at_the_end_goes_on_in_the_next_line)
{
	check_text("x = a \\\n   b\\\n\tc\ny = 1\n", "1x=a bc\n4y=1\n");
	check_text("x = \"a ; \\\n # b\" ; c\ny = 1\n", "1x=<a ; # b>\n3y=1\n");
	check_text("x = a\\\\\ny = 1\n", "1x=a\\\\\n2y=1\n");
	check_text("x = a # c \\\ny = 1\n", "1x=a\n2y=1\n");
	check_text("; c \\\ny = 1\n", "2y=1\n");
	check_text("x = a \\\n; c\ny = 1\n", "1x=a\n3y=1\n");
	check_text(
	    "x = a\\", "1!the value goes on (\\) after the end of the file\n");
	check_text("x = a\\\n",
	    "1!the value goes on (\\) after the end of the file\n");
}
END_TEST

START_TEST(long_values_on_several_lines_come_whole)
{
	struct strbuf text = STRBUF_NULL, events = STRBUF_NULL;
	size_t i;

	strbuf_text(&text, "x = \"");
	strbuf_text(&events, "1x=<");
	for (i = 0; i < 500; i++) {
		strbuf_format(&text, "%zu ;  # [a] = b\\\n", i);
		strbuf_format(&events, "%zu ;  # [a] = b", i);
	}
	strbuf_text(&text, "\"\ny = 1\n");
	strbuf_text(&events, ">\n502y=1\n");
	check_text(strbuf_get(&text), strbuf_get(&events));
	strbuf_free(&text);
	strbuf_free(&events);
}
END_TEST

START_TEST(lines_that_libinih_would_split_are_refused)
{
	char text[512], events[512];
	size_t length;

	for (length = 1; length < 300; length++) {
		snprintf(text, sizeof(text), "k=%0*d\n", (int)length, 7);
		if (length + 2 <= 198)
			snprintf(events, sizeof(events), "1k=%0*d\n",
			    (int)length, 7);
		else
			snprintf(events, sizeof(events),
			    "1!the line is longer than 198 bytes (a value may "
			    "go on in the next line after a \\ at the end)\n");
		check_text(text, events);
	}
}
END_TEST

START_TEST(long_comments_and_blanks_are_no_harm)
{
	struct strbuf text = STRBUF_NULL;
	size_t i;

	strbuf_text(&text, "x = 1 ;");
	for (i = 0; i < 1000; i++)
		strbuf_text(&text, " y = 2");
	strbuf_text(&text, "\n#");
	for (i = 0; i < 1000; i++)
		strbuf_text(&text, " y = 2");
	strbuf_text(&text, "\n");
	for (i = 0; i < 1000; i++)
		strbuf_text(&text, "    ");
	strbuf_text(&text, "z = 3\n");
	check_text(strbuf_get(&text), "1x=1\n3z=3\n");
	strbuf_free(&text);
}
END_TEST

START_TEST(section_names_are_never_cut)
{
	char text[128], events[128];
	int length;

	for (length = 1; length < 80; length++) {
		snprintf(text, sizeof(text), "[%0*d]\nx = 1\n", length, 7);
		if (length <= 49)
			snprintf(events, sizeof(events), "1[%0*d]\n2x=1\n",
			    length, 7);
		else
			snprintf(events, sizeof(events),
			    "1!the section's name is longer than 49 bytes\n");
		check_text(text, events);
	}
}
END_TEST

START_TEST(broken_sections_swallow_their_keys_and_no_more)
{
	check_text("[a\nx = 1\n[b]\ny = 2\n",
	    "1!the ] of the section is missing\n3[b]\n4y=2\n");
	check_text("[a] b\nx = 1\n[ b  c ]\ny = 2\n",
	    "1!text stands after the ] of the section\n3[b  c]\n4y=2\n");
	check_text("[]\n", "1[]\n");
}
END_TEST

START_TEST(lines_without_key_or_value_are_refused)
{
	check_text("listen 127.0.0.1:80\nkey: 1\n= 1\na b = 1\nx =\nx = ; c\n",
	    "1!neither [SECTION] nor KEY = VALUE\n"
	    "2!neither [SECTION] nor KEY = VALUE\n"
	    "3!no key before the =\n"
	    "4!\"a b\" is no name of a key (letters, digits and _)\n"
	    "5!x: the value is missing (\"\" is an empty one)\n"
	    "6!x: the value is missing (\"\" is an empty one)\n");
	check_text("a:b = 1\n",
	    "1!\"a:b\" is no name of a key (letters, digits and _)\n");
	check_text(
	    "a123456789b123456789c123456789d123456789e123456789f123456789"
	    "g123 = 1\n",
	    "1!the name of the key is longer than any known one\n");
}
END_TEST

START_TEST(bytes_that_are_no_text_are_refused)
{
	check_bytes(
	    "x = a\0b\ny = 1\n", 14, "1!a NUL byte; this is no text\n2y=1\n");
	check_text("x = a\1b\ny = \rz\n",
	    "1!a control character (0x01); inside of quotes it can be written "
	    "as \\x01\n"
	    "2!a control character (0x0d); inside of quotes it can be written "
	    "as \\x0d\n");
	check_text("x = a\tb\xc3\xa9\n", "1x=a\tb\xc3\xa9\n");
}
END_TEST

START_TEST(a_bad_line_inside_a_value_spoils_only_that_value)
{
	check_text("x = a\\\nb\x01\\\nc\ny = 1\n",
	    "2!a control character (0x01); inside of quotes it can be written "
	    "as \\x01\n4y=1\n");
}
END_TEST

static Suite *
ini_source_suite(void)
{
	Suite *suite = suite_create("config/ini_source");
	TCase *tcase = tcase_create("ini_source");

	tcase_add_test(tcase, sections_and_keys_come_with_their_lines);
	tcase_add_test(tcase, line_ends_and_a_byte_order_mark_do_not_matter);
	tcase_add_test(tcase, an_indented_line_is_a_line);
	tcase_add_test(tcase, comments_begin_a_line_or_follow_a_blank);
	tcase_add_test(tcase, quotes_keep_blanks_and_comment_signs);
	tcase_add_test(tcase, quotes_must_be_closed_at_the_end);
	tcase_add_test(tcase, a_backslash_at_the_end_goes_on_in_the_next_line);
	tcase_add_test(tcase, long_values_on_several_lines_come_whole);
	tcase_add_test(tcase, lines_that_libinih_would_split_are_refused);
	tcase_add_test(tcase, long_comments_and_blanks_are_no_harm);
	tcase_add_test(tcase, section_names_are_never_cut);
	tcase_add_test(tcase, broken_sections_swallow_their_keys_and_no_more);
	tcase_add_test(tcase, lines_without_key_or_value_are_refused);
	tcase_add_test(tcase, bytes_that_are_no_text_are_refused);
	tcase_add_test(tcase, a_bad_line_inside_a_value_spoils_only_that_value);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	return support_run(ini_source_suite());
}
