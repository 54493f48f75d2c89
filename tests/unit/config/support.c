/* Helpers of the tests of src/config. */
#include "config.h"

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/strbuf.h"

char *
support_join(const struct config_builder *builder)
{
	struct strbuf text = STRBUF_NULL;
	char *joined;
	size_t i;

	for (i = 0; i < config_builder_mistake_count(builder); i++)
		strbuf_format(
		    &text, "%s\n", config_builder_mistake(builder, i));
	joined = strbuf_take(&text);
	ck_assert_ptr_nonnull(joined);
	return joined;
}

static struct config *
make(const char *text, char **mistakes)
{
	struct config_builder *builder = config_builder_new();
	struct config *config = NULL;
	int r;

	ck_assert_ptr_nonnull(builder);
	config_builder_read_text(builder, "t", text, strlen(text));
	r = config_builder_finish(builder, &config);
	ck_assert_int_eq(
	    r, config_builder_mistake_count(builder) == 0 ? 0 : -1);
	ck_assert((config != NULL) == (r == 0));
	*mistakes = support_join(builder);
	config_builder_free(builder);
	return config;
}

struct config *
support_config(const char *text)
{
	char *mistakes;
	struct config *config = make(text, &mistakes);

	ck_assert_str_eq(mistakes, "");
	free(mistakes);
	return config;
}

char *
support_mistakes(const char *text)
{
	char *mistakes;

	config_unref(make(text, &mistakes));
	return mistakes;
}

void
support_refuses(const char *text, const char *mistakes)
{
	char *found = support_mistakes(text);

	ck_assert_str_eq(found, mistakes);
	free(found);
}

char *
support_dump(const struct config *config)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	ck_assert_ptr_nonnull(out);
	ck_assert_int_eq(config_dump(config, out), 0);
	fclose(out);
	return text;
}

void
support_dump_has(const struct config *config, const char *line)
{
	char *text = support_dump(config), *at = text;
	size_t length = strlen(line);

	while ((at = strstr(at, line)) != NULL &&
	       !((at == text || at[-1] == '\n') && at[length] == '\n'))
		at++;
	ck_assert_msg(at != NULL, "no line \"%s\" in:\n%s", line, text);
	free(text);
}

int
support_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
