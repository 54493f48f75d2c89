/* Text that is no configuration: any bytes are read to their end, and what is
 * accepted can be dumped and read again. */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"
#include "util/strbuf.h"

/* All rounds of it, or a tenth of them where time is scaled as under valgrind:
 * the full number has run without it. */
static size_t
rounds(size_t all)
{
	const char *scale = getenv("WEIR_TIME_SCALE");

	return scale != NULL && atoi(scale) >= 10 ? all / 10 : all;
}

/* Read bytes; where they are a configuration, so is its dump. */
static void
feed(const char *bytes, size_t length)
{
	struct config_builder *builder = config_builder_new();
	struct config *config = NULL, *again;
	char *text, *dumped;
	int r;

	config_builder_read_text(builder, "t", bytes, length);
	r = config_builder_finish(builder, &config);
	ck_assert_int_eq(r, config_builder_mistake_count(builder) > 0 ? -1 : 0);
	if (r == 0) {
		text = support_dump(config);
		again = support_config(text);
		dumped = support_dump(again);
		ck_assert_str_eq(dumped, text);
		free(dumped);
		free(text);
		config_unref(again);
		config_unref(config);
	}
	config_builder_free(builder);
}

START_TEST(random_bytes_are_read_to_the_end)
{
	char bytes[4096];
	size_t i, j, length;

	srandom(11);
	for (i = 0; i < rounds(300); i++) {
		length = (size_t)random() % sizeof(bytes);
		for (j = 0; j < length; j++)
			bytes[j] = (char)random();
		feed(bytes, length);
	}
}
END_TEST

START_TEST(random_pieces_of_configurations_are_read_to_the_end)
{
	static const char *const pieces[] = {"[listener ", "a", "b", "]", "\n",
	    "\n", "\r\n", " ", "\t", "=", " = ", "\"", "\\", "\\\n", ";", " ;",
	    "#", "${", "}", "$$", "HOME", "[weir]\n", "[defaults]\n",
	    "[listener x]\n", "listen", "listen = :0\n", "mode = echo\n",
	    "mode = pipe\n",
	    "pipe = exec:", "pipe = peer:", "allow = ", "10.0.0.0/8",
	    "greeting = ", "timeout = 5", "m\n", "upstream = ", "localhost:80",
	    "[upstream u]\n", "[upstream ", "server = ", "a:1",
	    " weight=", " name=", " backup", "sni = ", "a.b ", "alpn = h2 ",
	    "upstream = u\n", "health_check = ", "send \"", "expect \"x\"",
	    "tls = on\n", "tls_certificate = /c\n", "tls_key = /k\n",
	    "accept_proxy = ", "dns = ", "::1", "mode = forward\n",
	    "upstream_tls = on\n", "/tmp/a", "\xef\xbb\xbf", "log = file:", "0",
	    "-",
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	struct strbuf text = STRBUF_NULL;
	size_t i, j, count;

	srandom(13);
	for (i = 0; i < rounds(1500); i++) {
		strbuf_reset(&text);
		count = (size_t)random() % 60;
		for (j = 0; j < count; j++)
			strbuf_text(&text,
			    pieces[(size_t)random() %
				   (sizeof(pieces) / sizeof(pieces[0]))]);
		feed(strbuf_get(&text), text.length);
	}
	strbuf_free(&text);
}
END_TEST

/* A configuration with one byte changed, left out or doubled. */
START_TEST(small_slips_are_read_to_the_end)
{
	static const char good[] =
	    "[weir]\nlog = syslog\n[defaults]\ntimeout = 5m\n"
	    "[listener a]\nlisten = 127.0.0.1:80-82\nmode = pipe\n"
	    "pipe = exec:sh -c 'a \"b\" c'\ngreeting = \"h \\x41\\\n  i\" ; c\n"
	    "allow = 10.0.0.0/8\ndeny = all\n[listener b]\nlisten = [::1]:80\n"
	    "mode = forward\nupstream = u\nsni = a.b [::1]:1\n"
	    "[upstream u]\nserver = a:1 weight=2 backup name=x\n"
	    "health_check = send \"a\\r\" expect \"b\"\n";
	char text[sizeof(good) + 1];
	size_t i, at;

	srandom(17);
	for (i = 0; i < rounds(1500); i++) {
		at = i % (sizeof(good) - 1);
		memcpy(text, good, sizeof(good));
		if (i % 3 == 0) {
			text[at] = (char)random();
			feed(text, sizeof(good) - 1);
		} else if (i % 3 == 1) {
			memmove(
			    text + at, good + at + 1, sizeof(good) - at - 1);
			feed(text, sizeof(good) - 2);
		} else {
			memcpy(text + at + 1, good + at, sizeof(good) - at);
			feed(text, sizeof(good));
		}
	}
}
END_TEST

static void
feed_repeated(const char *piece, size_t bytes)
{
	struct strbuf text = STRBUF_NULL;

	while (text.length < rounds(bytes))
		strbuf_text(&text, piece);
	feed(text.data, text.length);
	strbuf_free(&text);
}

START_TEST(a_megabyte_of_anything_is_read_to_the_end)
{
	size_t megabyte = rounds(1 << 20); /* or as much as there is time for */

	feed_repeated("x", megabyte);
	feed_repeated("x\n", megabyte / 4);
	feed_repeated("x = 1\n", megabyte / 4);
	feed_repeated("[", megabyte);
	feed_repeated("[listener a]\n", megabyte / 4);
	feed_repeated("[defaults]\n", megabyte / 4);
	feed_repeated("[upstream u]\nserver = a:1\n", megabyte / 4);
	feed_repeated("\\\n", megabyte);
	feed_repeated("x = \\\n", megabyte);
	feed_repeated("\"", megabyte);
	feed_repeated("# comment", megabyte);
	feed_repeated(" ", megabyte);
	feed_repeated("\n", megabyte);
}
END_TEST

static Suite *
garbage_suite(void)
{
	Suite *suite = suite_create("config/garbage");
	TCase *tcase = tcase_create("garbage");

	tcase_add_test(tcase, random_bytes_are_read_to_the_end);
	tcase_add_test(
	    tcase, random_pieces_of_configurations_are_read_to_the_end);
	tcase_add_test(tcase, small_slips_are_read_to_the_end);
	tcase_add_test(tcase, a_megabyte_of_anything_is_read_to_the_end);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	return support_run(garbage_suite());
}
