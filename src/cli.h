/* The command line of weir. */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>

struct config;

enum cli_action {
	CLI_RUN,
	CLI_TEST,
	CLI_DUMP,
	CLI_EXIT, /* done already: help, version, or a mistake */
};

struct cli {
	enum cli_action action;
	int status;            /* CLI_EXIT */
	const char *source;    /* the file, or "command line" */
	struct config *config; /* the caller's, but for CLI_EXIT */
	int verbose;           /* levels more; negative: errors only */
};

/*
 * Read the command line and the configuration that it names. Mistakes are
 * told on stderr, all of them. argv is kept by reference.
 */
void cli_read(struct cli *cli, int argc, char **argv);

#endif
