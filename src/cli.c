/*
 * The command line: flags to assignments of the configuration, so that a
 * one-liner and a file mean the same and are checked by the same table.
 */
#include "config.h"

#include "cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/version.h>

#include "config/config.h"
#include "config/tls_files.h"
#include "process/takeover.h"

#define DEFAULT_FILE SYSCONFDIR "/weir/weir.conf"

static const char usage[] =
    "usage: weir [-c FILE] [-t | -T] [-d] [-p FILE] [-w N] [-v | -q]\n"
    "            [-o KEY=VALUE]...\n"
    "       weir -l ADDRESS (-e | -f ADDRESS[,ADDRESS]... | -P TARGET)\n"
    "            [-o KEY=VALUE]... [-l ADDRESS ...]...\n";

static const char help[] =
    "\n"
    "  -c, --config FILE     configuration file, \"-\" is standard input;\n"
    "                        default " DEFAULT_FILE "\n"
    "  -t, --test            check the configuration and exit: 0 or 2\n"
    "  -T, --dump            print the effective configuration and exit\n"
    "  -l, --listen ADDRESS  a listener without a file; may be repeated\n"
    "  -e, --echo            it sends back what it receives\n"
    "  -f, --forward ADDRESS[,ADDRESS]...\n"
    "                        it connects each client to one of these\n"
    "  -P, --pipe TARGET     peer, peer:LISTENER, exec:COMMAND, file:PATH,\n"
    "                        fifo:PATH, stdout or null\n"
    "  -o, --option KEY=VALUE\n"
    "                        a key of the -l before it, else of [weir]\n"
    "  -w, --workers N       processes that serve; auto is one for each core\n"
    "  -d, --daemon          detach once the listeners are bound\n"
    "  -p, --pid-file FILE\n"
    "  -v, --verbose         one log level more; may be repeated\n"
    "  -q, --quiet           errors only\n"
    "  -V, --version         version, and those of the libraries in use\n"
    "  -h, --help            this text\n"
    "\n"
    "ADDRESS is HOST:PORT, [IPV6]:PORT, :PORT, /PATH, unix:@NAME, fd:N or\n"
    "systemd:NAME. Keys are told by weir.conf(5), the rest by weir(8).\n"
    "\n"
    "  weir -l :8124 -e -o 'greeting=hello\\r\\n'\n"
    "  weir -l 127.0.0.1:8080 -f 10.0.0.1:80,10.0.0.2:80\n";

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"test", no_argument, NULL, 't'},
    {"dump", no_argument, NULL, 'T'},
    {"listen", required_argument, NULL, 'l'},
    {"echo", no_argument, NULL, 'e'},
    {"forward", required_argument, NULL, 'f'},
    {"pipe", required_argument, NULL, 'P'},
    {"option", required_argument, NULL, 'o'},
    {"workers", required_argument, NULL, 'w'},
    {"daemon", no_argument, NULL, 'd'},
    {"pid-file", required_argument, NULL, 'p'},
    {"verbose", no_argument, NULL, 'v'},
    {"quiet", no_argument, NULL, 'q'},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* What is gathered on the way through argv. */
struct reading {
	struct cli *cli;
	struct config_builder *builder;
	const char *file;
	bool daemon, quiet;
	unsigned listeners;
	char listener[24]; /* "cli1"; empty before any -l */
};

static void
leave(struct cli *cli, int status)
{
	cli->action = CLI_EXIT;
	cli->status = status;
}

static void
print_version(void)
{
	const char *tls = weir_version_of("OpenSSL");

	printf("weir %s (libevent %s, inih %s, OpenSSL %s, c-ares %s)\n",
	    weir_version(), weir_version_of("libevent"), INIH_VERSION,
	    tls != NULL ? tls : "not used", weir_version_of("c-ares"));
}

static void
set(struct reading *r, const char *key, const char *value, const char *origin)
{
	bool listener = r->listener[0] != '\0';

	(void)config_builder_set(r->builder, listener ? "listener" : "weir",
	    listener ? r->listener : NULL, key, value, origin);
}

/* A mode flag stands behind the -l that it is for. */
static int
set_mode(struct reading *r, const char *mode, const char *origin)
{
	if (r->listener[0] == '\0') {
		fprintf(
		    stderr, "weir: %s needs a -l ADDRESS before it\n", origin);
		return -1;
	}
	set(r, "mode", mode, origin);
	return 0;
}

static int
read_listen(struct reading *r, const char *address)
{
	(void)snprintf(
	    r->listener, sizeof(r->listener), "cli%u", ++r->listeners);
	set(r, "listen", address, "-l");
	return 0;
}

static int
read_forward(struct reading *r, const char *list)
{
	char *copy = strdup(list), *rest = copy, *one;

	if (copy == NULL) {
		fputs("weir: no memory\n", stderr);
		return -1;
	}
	if (set_mode(r, "forward", "-f") != 0) {
		free(copy);
		return -1;
	}
	while ((one = strsep(&rest, ",")) != NULL)
		set(r, "upstream", one, "-f");
	free(copy);
	return 0;
}

static int
read_pipe(struct reading *r, const char *target)
{
	if (set_mode(r, "pipe", "-P") != 0)
		return -1;
	set(r, "pipe", target, "-P");
	return 0;
}

static int
read_option(struct reading *r, const char *text)
{
	const char *equals = strchr(text, '=');
	char *key;

	if (equals == NULL || equals == text) {
		fprintf(stderr,
		    "weir: -o: \"%s\" is not KEY=VALUE (try -o timeout=30s)\n",
		    text);
		return -1;
	}
	key = strndup(text, (size_t)(equals - text));
	if (key == NULL) {
		fputs("weir: no memory\n", stderr);
		return -1;
	}
	set(r, key, equals + 1, "-o");
	free(key);
	return 0;
}

/* Flags of [weir] keep their meaning behind a -l as well. */
static int
set_weir(
    struct reading *r, const char *key, const char *value, const char *origin)
{
	(void)config_builder_set(r->builder, "weir", NULL, key, value, origin);
	return 0;
}

static int
read_flag(struct reading *r, int flag, const char *value)
{
	switch (flag) {
	case 'c':
		r->file = value;
		return 0;
	case 't':
		r->cli->action = CLI_TEST;
		return 0;
	case 'T':
		r->cli->action = CLI_DUMP;
		return 0;
	case 'l':
		return read_listen(r, value);
	case 'e':
		return set_mode(r, "echo", "-e");
	case 'f':
		return read_forward(r, value);
	case 'P':
		return read_pipe(r, value);
	case 'o':
		return read_option(r, value);
	case 'w':
		return set_weir(r, "workers", value, "-w");
	case 'p':
		return set_weir(r, "pid_file", value, "-p");
	case 'd':
		r->daemon = true;
		return 0;
	case 'v':
		r->cli->verbose++;
		return 0;
	case 'q':
		r->quiet = true;
		return 0;
	case 'V':
		print_version();
		leave(r->cli, 0);
		return 0;
	case 'h':
		printf("%s%s", usage, help);
		leave(r->cli, 0);
		return 0;
	default:
		return -1;
	}
}

static int
read_flags(struct reading *r, int argc, char **argv)
{
	int flag;

	optind = 0; /* from the beginning, whatever was read before */
	while ((flag = getopt_long(argc, argv, "c:tTl:ef:P:o:w:dp:vqVh",
		    options, NULL)) != -1) {
		if (read_flag(r, flag, optarg) != 0)
			return -1;
		if (r->cli->action == CLI_EXIT)
			return 0;
	}
	if (optind < argc) {
		fprintf(stderr, "weir: what is \"%s\"? (flags only)\n",
		    argv[optind]);
		return -1;
	}
	if (r->quiet && r->cli->verbose > 0) {
		fputs("weir: -q and -v exclude each other\n", stderr);
		return -1;
	}
	if (r->file != NULL && r->listeners > 0) {
		fputs("weir: -c and -l exclude each other: a configuration is"
		      " a file or the command line\n",
		    stderr);
		return -1;
	}
	if (r->quiet)
		r->cli->verbose = -1;
	return 0;
}

/* ---- the configuration ---- */

static const char *
file_of(const struct reading *r)
{
	return r->file != NULL ? r->file : DEFAULT_FILE;
}

/* Mistakes as a list that ends with NULL. */
struct list {
	char **rows;
	size_t count;
	bool failed; /* memory was refused */
};

static void
list_add(struct list *list, const char *text)
{
	char **rows = reallocarray(list->rows, list->count + 2, sizeof(*rows));

	if (rows == NULL) {
		list->failed = true;
		return;
	}
	list->rows = rows;
	rows[list->count] = strdup(text);
	if (rows[list->count] == NULL)
		list->failed = true;
	else
		rows[++list->count] = NULL;
}

/* Files of TLS under check. */
struct check {
	struct config *config;
	struct list *mistakes;
	bool strict; /* a certificate that is over is a mistake, too */
};

static void
on_tls_mistake(const char *text, bool only_time, void *user)
{
	struct check *check = user;

	if (!only_time || check->strict)
		list_add(check->mistakes, text);
	else if (config_add_warning(check->config, text) < 0)
		check->mistakes->failed = true;
}

/*
 * Make the configuration of what was gathered, and check its files. A front
 * door whose certificate is over opens nevertheless, with a warning: only -t
 * calls that a mistake.
 */
static struct config *
finish(struct reading *r, struct list *mistakes)
{
	struct check check = {
	    .mistakes = mistakes, .strict = r->cli->action == CLI_TEST};
	size_t i, count;

	(void)config_builder_finish(r->builder, &check.config);
	count = config_builder_mistake_count(r->builder);
	for (i = 0; i < count; i++)
		list_add(mistakes, config_builder_mistake(r->builder, i));
	if (check.config == NULL)
		return NULL;
	check.config->daemon = r->daemon;
	if (r->cli->action != CLI_DUMP &&
	    config_check_tls_files(check.config, on_tls_mistake, &check) < 0)
		mistakes->failed = true;
	if (mistakes->count == 0 && !mistakes->failed)
		return check.config;
	config_unref(check.config);
	return NULL;
}

static void
read_configuration(struct reading *r)
{
	struct cli *cli = r->cli;
	struct list mistakes = {NULL, 0, false};
	size_t i;

	if (r->listeners == 0) {
		cli->source = file_of(r);
		(void)config_builder_read_file(r->builder, cli->source);
		if (strcmp(cli->source, "-") == 0)
			cli->source = "standard input";
	} else {
		cli->source = "command line";
	}
	cli->config = finish(r, &mistakes);
	for (i = 0; i < mistakes.count; i++)
		fprintf(stderr, "%s\n", mistakes.rows[i]);
	if (mistakes.failed)
		fputs("weir: no memory\n", stderr);
	/* Our stderr may be nobody's; the old program has a log. */
	if (mistakes.count > 0)
		takeover_refuse(mistakes.rows[0]);
	cli_mistakes_free(mistakes.rows);
	if (cli->config == NULL)
		leave(cli, 2);
}

void
cli_read(struct cli *cli, int argc, char **argv)
{
	struct reading r = {.cli = cli, .builder = config_builder_new()};

	*cli = (struct cli){.action = CLI_RUN, .argc = argc, .argv = argv};
	if (r.builder == NULL) {
		fputs("weir: no memory\n", stderr);
		leave(cli, 1);
		return;
	}
	if (read_flags(&r, argc, argv) != 0) {
		fputs(usage, stderr);
		leave(cli, 2);
	} else if (cli->action != CLI_EXIT) {
		read_configuration(&r);
	}
	config_builder_free(r.builder);
}

/* ---- again ---- */

int
cli_read_again(const struct cli *cli, struct config **ret, char ***mistakes)
{
	struct cli again = {.action = CLI_RUN};
	struct reading r = {.cli = &again, .builder = config_builder_new()};
	struct list list = {NULL, 0, false};
	struct config *config = NULL;

	*mistakes = NULL;
	if (r.builder == NULL)
		return -1;
	config_builder_read_again(r.builder);
	/* The flags were found to be right once. */
	if (read_flags(&r, cli->argc, cli->argv) != 0) {
		list.failed = true;
	} else if (r.listeners == 0 && strcmp(file_of(&r), "-") == 0) {
		list_add(&list,
		    "-: standard input cannot be read again (start weir with "
		    "a file, -c FILE)");
	} else {
		if (r.listeners == 0)
			(void)config_builder_read_file(r.builder, file_of(&r));
		config = finish(&r, &list);
	}
	config_builder_free(r.builder);
	if (config != NULL) {
		*ret = config;
		return 0;
	}
	if (list.failed) {
		cli_mistakes_free(list.rows);
		list.rows = NULL;
	}
	*mistakes = list.rows;
	return -1;
}

void
cli_mistakes_free(char **mistakes)
{
	char **row;

	for (row = mistakes; row != NULL && *row != NULL; row++)
		free(*row);
	free(mistakes);
}
