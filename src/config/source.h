/* Where the values of a configuration came from. */
#ifndef CONFIG_SOURCE_H
#define CONFIG_SOURCE_H

#include <stddef.h>

#include "config/config.h"
#include "config/option.h"

/* A value that is no default; of a list one for each row, in its order. */
struct config_source {
	const struct config_option *option;
	const char *file; /* one of config.files */
	unsigned line;	  /* 0: not a file */
};

/* The source of row index of an option's list (0 for any other), or NULL for a
 * default. */
const struct config_source *config_source_find(
    const struct config_source *sources, size_t count,
    const struct config_option *option, size_t index);

/* "weir.conf:12", "-o" or "default". Added to text. */
void config_source_text(
    struct strbuf *text, const struct config_source *source);

#endif
