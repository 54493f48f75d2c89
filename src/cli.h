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
	int status;	       /* CLI_EXIT */
	const char *source;    /* the file, or "command line" */
	struct config *config; /* the caller's, but for CLI_EXIT */
	int verbose;	       /* levels more; negative: errors only */
	int argc;	       /* to read it all again */
	char **argv;
};

/*
 * Read the command line and the configuration that it names, and check all
 * files of TLS. Mistakes are told on stderr, all of them. argv is kept by
 * reference.
 */
void cli_read(struct cli *cli, int argc, char **argv);

/*
 * Read the configuration again, as the same command line has it, and check it
 * in the same way, for a reload. Returns 0 with *ret the caller's; or -1 with
 * all mistakes in *mistakes, "FILE:LINE: message" each and NULL at the end, to
 * cli_mistakes_free(); NULL is a want of memory. Tells nothing itself.
 */
int cli_read_again(
    const struct cli *cli, struct config **ret, char ***mistakes);
void cli_mistakes_free(char **mistakes);

#endif
