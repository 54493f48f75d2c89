/* The command line: what it makes of its flags, and what it says of mistakes.
 */
#include "config.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "config/config.h"

static char said[8192]; /* on both outputs */

/* Read the words of a line; no quoting, "~" stands for a blank. */
static struct cli
run(const char *line)
{
	char *copy = strdup(line), *rest = copy, *word, *blank;
	char program[] = "weir", *argv[32] = {program};
	int argc = 1, saved[2], fd;
	char name[] = "/tmp/weir-cli-XXXXXX";
	struct cli cli;
	ssize_t n;

	while ((word = strsep(&rest, " ")) != NULL) {
		while ((blank = strchr(word, '~')) != NULL)
			*blank = ' ';
		if (*word != '\0')
			argv[argc++] = word;
	}
	ck_assert_int_eq(fflush(NULL), 0);
	fd = mkstemp(name);
	ck_assert_int_ne(fd, -1);
	(void)unlink(name);
	saved[0] = dup(1);
	saved[1] = dup(2);
	(void)dup2(fd, 1);
	(void)dup2(fd, 2);
	cli_read(&cli, argc, argv);
	(void)fflush(NULL);
	(void)dup2(saved[0], 1);
	(void)dup2(saved[1], 2);
	(void)close(saved[0]);
	(void)close(saved[1]);
	n = pread(fd, said, sizeof(said) - 1, 0);
	ck_assert_int_ge(n, 0);
	said[n] = '\0';
	(void)close(fd);
	free(copy);
	return cli;
}

/* It is refused with status 2, and this is said. */
static void
refuses(const char *line, const char *text)
{
	struct cli cli = run(line);

	ck_assert_int_eq(cli.action, CLI_EXIT);
	ck_assert_int_eq(cli.status, 2);
	ck_assert_ptr_null(cli.config);
	ck_assert_msg(strstr(said, text) != NULL, "%s: said %s", line, said);
}

static struct cli
accepts(const char *line)
{
	struct cli cli = run(line);

	ck_assert_msg(cli.action != CLI_EXIT, "%s: said %s", line, said);
	ck_assert_str_eq(said, "");
	ck_assert_ptr_nonnull(cli.config);
	return cli;
}

START_TEST(each_listen_flag_opens_a_listener)
{
	struct cli cli = accepts("-l :0 -e -o greeting=hi -l 127.0.0.1:0 "
				 "-f 10.0.0.1:80,h:81 --listen=/x -P null");
	struct config *c = cli.config;

	ck_assert_int_eq(cli.action, CLI_RUN);
	ck_assert_str_eq(cli.source, "command line");
	ck_assert_uint_eq(c->listener_count, 3);
	ck_assert_str_eq(c->listeners[0]->name, "cli1");
	ck_assert_int_eq(c->listeners[0]->mode, CONFIG_ECHO);
	ck_assert_str_eq(c->listeners[0]->greeting, "hi");
	ck_assert_str_eq(c->listeners[1]->name, "cli2");
	ck_assert_int_eq(c->listeners[1]->mode, CONFIG_FORWARD);
	ck_assert_uint_eq(c->listeners[1]->upstream_count, 2);
	ck_assert_str_eq(c->listeners[1]->upstream[0].text, "10.0.0.1:80");
	ck_assert_str_eq(c->listeners[1]->upstream[1].text, "h:81");
	ck_assert_ptr_null(c->listeners[1]->greeting);
	ck_assert_int_eq(c->listeners[2]->mode, CONFIG_PIPE);
	ck_assert_int_eq(c->listeners[2]->target, CONFIG_TARGET_NULL);
	config_unref(c);
}
END_TEST

START_TEST(an_option_before_any_listener_is_one_of_weir)
{
	struct cli cli = accepts("-o drain_timeout=7s -l :0 -e -o timeout=9s");

	ck_assert_uint_eq(cli.config->drain_timeout_ms, 7000);
	ck_assert_uint_eq(cli.config->listeners[0]->timeout_ms, 9000);
	config_unref(cli.config);
}
END_TEST

START_TEST(flags_of_weir_mean_the_same_behind_a_listener)
{
	struct cli cli = accepts("-l :0 -e -w 1 -p /run/x.pid -d");

	ck_assert_uint_eq(cli.config->workers, 1);
	ck_assert_str_eq(cli.config->pid_file, "/run/x.pid");
	ck_assert(cli.config->daemon);
	config_unref(cli.config);
}
END_TEST

START_TEST(an_option_keeps_what_stands_behind_its_first_equals_sign)
{
	struct cli cli = accepts("-l :0 -e -o greeting=a=b~c");

	ck_assert_str_eq(cli.config->listeners[0]->greeting, "a=b c");
	config_unref(cli.config);
}
END_TEST

START_TEST(actions_and_levels_are_taken)
{
	struct cli cli = accepts("-t -l :0 -e -vv -v");

	ck_assert_int_eq(cli.action, CLI_TEST);
	ck_assert_int_eq(cli.verbose, 3);
	config_unref(cli.config);
	cli = accepts("--dump -l :0 --echo -q");
	ck_assert_int_eq(cli.action, CLI_DUMP);
	ck_assert_int_lt(cli.verbose, 0);
	config_unref(cli.config);
}
END_TEST

START_TEST(help_and_version_are_told_and_end)
{
	struct cli cli = run("--help");

	ck_assert_int_eq(cli.action, CLI_EXIT);
	ck_assert_int_eq(cli.status, 0);
	ck_assert_ptr_nonnull(strstr(said, "usage: weir"));
	ck_assert_ptr_nonnull(strstr(said, "--pid-file FILE"));
	cli = run("-V -l nonsense");
	ck_assert_int_eq(cli.action, CLI_EXIT);
	ck_assert_int_eq(cli.status, 0);
	ck_assert_int_eq(strncmp(said, "weir ", 5), 0);
	ck_assert_ptr_nonnull(strstr(said, "libevent "));
	ck_assert_ptr_nonnull(strstr(said, "inih "));
	ck_assert_ptr_nonnull(strstr(said, "OpenSSL "));
}
END_TEST

static const struct {
	const char *line, *text;
} wrong[] = {
    {"-e", "-e needs a -l ADDRESS before it"},
    {"-f h:1", "-f needs a -l ADDRESS before it"},
    {"-P null -l :0", "-P needs a -l ADDRESS before it"},
    {"-l :0 -e extra", "what is \"extra\"?"},
    {"-l :0 -e -q -v", "-q and -v exclude each other"},
    {"-c x -l :0 -e", "-c and -l exclude each other"},
    {"-l :0 -e -o timeout", "\"timeout\" is not KEY=VALUE"},
    {"-l :0 -e -o =x", "\"=x\" is not KEY=VALUE"},
    {"-l :0 -e --nonsense", "usage: weir"},
    {"-l", "usage: weir"},
    {"-l :0", "mode"},
    {"-l :99999 -e", "-l: "},
    {"-l :0 -e -o timeoot=1", "timeout"},
    {"-l :0 -e -o timeout=1 -o timeout=2", "timeout"},
    {"-l :0 -e -f h:1", "mode"},
    {"-l :0 -f h:1,,h:2", "-f: "},
    {"-l :0 -P nonsense", "-P: "},
    {"-l :0 -e -w many", "-w: "},
    {"-o nonsense=1 -l :0 -e", "-o: "},
    {"-c /nowhere/weir.conf", "/nowhere/weir.conf"},
};

static void
write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

#define ECHO "[listener a]\nlisten = :0\nmode = echo\n"

START_TEST(the_same_is_read_again)
{
	char path[] = "/tmp/weir-cli-XXXXXX", line[64], **mistakes;
	struct config *config = NULL;
	struct cli cli;

	ck_assert_int_eq(close(mkstemp(path)), 0);
	write_file(path, ECHO);
	(void)snprintf(line, sizeof(line), "-c %s -w 3", path);
	cli = accepts(line);
	ck_assert_uint_eq(cli.config->listener_count, 1);
	write_file(path, ECHO "[listener b]\nlisten = :0\nmode = echo\n");
	cli.argv = (char *[]){(char[]){"weir"}, (char[]){"-c"}, path,
	    (char[]){"-w"}, (char[]){"3"}, NULL};
	ck_assert_int_eq(cli_read_again(&cli, &config, &mistakes), 0);
	ck_assert_ptr_null(mistakes);
	ck_assert_uint_eq(config->listener_count, 2);
	ck_assert_uint_eq(config->workers, 3);
	config_unref(config);
	write_file(path, ECHO "x = 1\ntls = on\n");
	ck_assert_int_eq(cli_read_again(&cli, &config, &mistakes), -1);
	ck_assert_ptr_nonnull(strstr(mistakes[0], ":4: unknown key \"x\""));
	ck_assert_ptr_nonnull(strstr(mistakes[1], ":5: tls: "));
	ck_assert_ptr_null(mistakes[2]);
	cli_mistakes_free(mistakes);
	write_file(path, ECHO "tls = on\ntls_certificate = /none/x.pem\n");
	ck_assert_int_eq(cli_read_again(&cli, &config, &mistakes), -1);
	ck_assert_ptr_nonnull(
	    strstr(mistakes[0], ":5: tls_certificate: /none/x.pem: "));
	cli_mistakes_free(mistakes);
	(void)unlink(path);
	config_unref(cli.config);
}
END_TEST

START_TEST(standard_input_is_not_read_again)
{
	struct config *config = NULL;
	char **mistakes;
	struct cli cli = {.argc = 3,
	    .argv = (char *[]){
		(char[]){"weir"}, (char[]){"-c"}, (char[]){"-"}, NULL}};

	ck_assert_int_eq(cli_read_again(&cli, &config, &mistakes), -1);
	ck_assert_ptr_nonnull(
	    strstr(mistakes[0], "standard input cannot be read again"));
	cli_mistakes_free(mistakes);
}
END_TEST

START_TEST(what_is_wrong_is_said)
{
	refuses(wrong[_i].line, wrong[_i].text);
}
END_TEST

START_TEST(all_mistakes_are_said_at_once)
{
	refuses("-l :x -e -o timeout=never -l :0 -o nonsense=1 -e", "never");
	ck_assert_ptr_nonnull(strstr(said, ":x"));
	ck_assert_ptr_nonnull(strstr(said, "nonsense"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("cli");
	TCase *tc = tcase_create("cli");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, each_listen_flag_opens_a_listener);
	tcase_add_test(tc, an_option_before_any_listener_is_one_of_weir);
	tcase_add_test(tc, flags_of_weir_mean_the_same_behind_a_listener);
	tcase_add_test(
	    tc, an_option_keeps_what_stands_behind_its_first_equals_sign);
	tcase_add_test(tc, actions_and_levels_are_taken);
	tcase_add_test(tc, help_and_version_are_told_and_end);
	tcase_add_test(tc, the_same_is_read_again);
	tcase_add_test(tc, standard_input_is_not_read_again);
	tcase_add_loop_test(tc, what_is_wrong_is_said, 0,
	    (int)(sizeof(wrong) / sizeof(wrong[0])));
	tcase_add_test(tc, all_mistakes_are_said_at_once);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
