/* What the tests of the configuration share. */
#ifndef TESTS_UNIT_CONFIG_SUPPORT_H
#define TESTS_UNIT_CONFIG_SUPPORT_H

#include <check.h>
#include <stddef.h>

#include "config/config.h"

/* The configuration of a text, named "t" in messages; fails the test where it
 * has mistakes. The caller's, to config_unref(). */
struct config *support_config(const char *text);

/* The mistakes of a text, each on a line of its own; "" for none. free(). */
char *support_mistakes(const char *text);

/* Fails unless the mistakes of text are these. */
void support_refuses(const char *text, const char *mistakes);

/* All mistakes of a builder, each on a line of its own. free(). */
char *support_join(const struct config_builder *builder);

/* config_dump() as text. free(). */
char *support_dump(const struct config *config);

/* The dump has this line. */
void support_dump_has(const struct config *config, const char *line);

int support_run(Suite *suite);

#endif
