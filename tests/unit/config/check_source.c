/* Unit tests of config/source: all values, and where they came from. */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"
#include "util/strbuf.h"

static void
collect(const struct config_value *value, void *user)
{
	static const char *const kinds[] = {
	    [CONFIG_SECTION_WEIR] = "weir",
	    [CONFIG_SECTION_LISTENER] = "listener",
	    [CONFIG_SECTION_UPSTREAM] = "upstream",
	};

	strbuf_format(user, "%s%s%s.%s = %s (%s)\n", kinds[value->section],
	    value->name ? " " : "", value->name ? value->name : "", value->key,
	    value->value, value->origin);
}

/* All values of a configuration, which is unrefed. */
static char *
all(struct config *config)
{
	struct strbuf text = STRBUF_NULL;
	char *ret;

	ck_assert_int_eq(config_each_value(config, collect, &text), 0);
	config_unref(config);
	ret = strbuf_take(&text);
	ck_assert_ptr_nonnull(ret);
	return ret;
}

static void
has(const char *text, const char *line)
{
	const char *at = strstr(text, line);

	ck_assert_msg(at != NULL && (at == text || at[-1] == '\n') &&
			  at[strlen(line)] == '\n',
	    "no line \"%s\" in:\n%s", line, text);
}

START_TEST(each_value_tells_its_line)
{
	char *text = all(support_config(
	    "[weir]\nlog_level = warn\n[defaults]\ntimeout = 5s\n"
	    "[listener a]\nlisten = :1\nlisten = :2\nmode = forward\n"
	    "upstream = u\ngreeting = hi\\n\ndeny = 10.0.0.1\nallow = all\n"
	    "accept_proxy = ::1\n"
	    "[upstream u]\nserver = b:1\nserver = c:1 backup\n"
	    "health_check = expect \"\\r\"\n"));

	has(text, "weir.log_level = warn (t:2)");
	has(text, "weir.log_format = text (default)");
	has(text, "listener a.timeout = 5s (t:4)");
	has(text, "listener a.lifetime = off (default)");
	has(text, "listener a.listen = *:1 (t:6)");
	has(text, "listener a.listen = *:2 (t:7)");
	has(text, "listener a.greeting = hi\\n (t:10)");
	has(text, "listener a.deny = 10.0.0.1 (t:11)");
	has(text, "listener a.allow = all (t:12)");
	has(text, "listener a.accept_proxy = ::1 (t:13)");
	has(text, "upstream u.server = b:1 (t:15)");
	has(text, "upstream u.server = c:1 backup (t:16)");
	has(text, "upstream u.health_check = expect \"\\r\" (t:17)");
	has(text, "upstream u.balance = round_robin (default)");
	ck_assert_ptr_null(strstr(text, ".daemon"));
	free(text);
}
END_TEST

START_TEST(the_command_line_is_an_origin)
{
	struct config_builder *builder = config_builder_new();
	static const char file[] = "[weir]\nlog_level = warn\nworkers = 2\n";
	struct config *config = NULL;
	char *text;

	config_builder_read_text(builder, "c", file, strlen(file));
	config_builder_set(builder, "weir", NULL, "log_level", "debug", "-o");
	config_builder_set(builder, "listener", "a", "listen", ":0", "-l");
	config_builder_set(builder, "listener", "a", "mode", "echo", "-e");
	config_builder_set(builder, "upstream", "u", "server", "a:1", "-x");
	ck_assert_int_eq(config_builder_finish(builder, &config), 0);
	config_builder_free(builder);
	text = all(config);
	has(text, "weir.log_level = debug (-o)");
	has(text, "weir.workers = 2 (c:3)");
	has(text, "listener a.listen = *:0 (-l)");
	has(text, "listener a.mode = echo (-e)");
	has(text, "upstream u.server = a:1 (-x)");
	free(text);
}
END_TEST

START_TEST(implicit_upstreams_have_no_values_of_their_own)
{
	char *text = all(support_config("[listener a]\nlisten = :0\n"
					"mode = forward\nupstream = b:1\n"));

	has(text, "listener a.upstream = b:1 (t:4)");
	ck_assert_ptr_null(strstr(text, "upstream a."));
	free(text);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config/source");
	TCase *tcase = tcase_create("source");

	tcase_add_test(tcase, each_value_tells_its_line);
	tcase_add_test(tcase, the_command_line_is_an_origin);
	tcase_add_test(tcase, implicit_upstreams_have_no_values_of_their_own);
	suite_add_tcase(suite, tcase);
	return support_run(suite);
}
