/*
 * Prints the option table, a line a key: SECTION KEY DEFAULT ("-" where there
 * is none). tools/check-options compares it with the manual.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/option.h"

int
main(void)
{
	const struct config_option *option;
	size_t i;

	for (i = 0; i < option_count(); i++) {
		option = option_at(i);
		if (!(option->flags & OPTION_COMMAND_LINE))
			printf("%s %s %s\n",
			    option_section_text(option->section), option->key,
			    option->value ? option->value : "-");
	}
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
