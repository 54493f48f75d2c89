/*
 * Prints the option table, a line a key: SECTION KEY DEFAULT EFFECT, "-" where
 * there is no default; EFFECT is when a reload applies it. tools/check-options
 * and check-manual compare it with the manual.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/option.h"

static const char *
effect(const struct config_option *option)
{
	if (option->flags & OPTION_RESTART)
		return "restart";
	return option->flags & OPTION_REBIND ? "rebind" : "live";
}

int
main(void)
{
	const struct config_option *option;
	size_t i;

	for (i = 0; i < option_count(); i++) {
		option = option_at(i);
		if (!(option->flags & OPTION_COMMAND_LINE))
			printf("%s %s %s %s\n",
			    option_section_text(option->section), option->key,
			    option->value ? option->value : "-",
			    effect(option));
	}
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
