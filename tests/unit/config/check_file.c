/* Unit tests of config/file: files, and what they include. */
#include "config.h"

#include <sys/stat.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support.h"

static char folder[64];

static void
set_up(void)
{
	strcpy(folder, "/tmp/weir-check-file-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
}

static void
tear_down(void)
{
	char command[96];

	ck_assert_int_eq(chdir("/"), 0);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}

static void
write_file(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static struct config *
read_by(
    struct config_builder *builder, const char *path, const char *mistakes)
{
	struct config *config = NULL;
	char *found;

	config_builder_read_file(builder, path);
	config_builder_finish(builder, &config);
	found = support_join(builder);
	ck_assert_str_eq(found, mistakes);
	free(found);
	config_builder_free(builder);
	return config;
}

/* Read a file; its mistakes are these. Returns the configuration, or NULL. */
static struct config *
read_with(const char *path, const char *mistakes)
{
	return read_by(config_builder_new(), path, mistakes);
}

#define ECHO "\nlisten = :0\nmode = echo\n"

START_TEST(files_that_cannot_be_read_are_named)
{
	read_with("none.conf",
	    "none.conf: cannot be opened: No such file or directory\n");
	read_with(".", ".: cannot be read: Is a directory\n");
}
END_TEST

START_TEST(included_files_count_where_they_are_included)
{
	struct config *config;

	mkdir("conf.d", 0700);
	write_file("main.conf",
	    "[weir]\nlog = syslog\ninclude = conf.d/*.conf\n"
	    "log_level = debug\n[listener last]" ECHO);
	write_file("conf.d/20.conf", "[listener b]" ECHO);
	write_file("conf.d/10.conf",
	    "[listener a]" ECHO "[defaults]\ntimeout = 7s\n[weir]\n"
	    "pid_file = /x\n");
	write_file("conf.d/30.txt", "not read");
	config = read_with("main.conf", "");
	ck_assert_uint_eq(config->listener_count, 3);
	ck_assert_str_eq(config->listeners[0]->name, "a");
	ck_assert_str_eq(config->listeners[1]->name, "b");
	ck_assert_str_eq(
	    config->listeners[1]->listen[0].origin.file, "conf.d/20.conf");
	ck_assert_uint_eq(config->listeners[1]->listen[0].origin.line, 2);
	ck_assert_uint_eq(config->listeners[0]->timeout_ms, 0);
	ck_assert_uint_eq(config->listeners[1]->timeout_ms, 7000);
	ck_assert_uint_eq(config->listeners[2]->timeout_ms, 7000);
	ck_assert_int_eq(config->log_level, CONFIG_LEVEL_DEBUG);
	ck_assert_str_eq(config->pid_file, "/x");
	config_unref(config);
}
END_TEST

START_TEST(includes_are_relative_to_the_including_file)
{
	char path[96];
	struct config *config;

	mkdir("a[1]*", 0700);
	mkdir("a[1]*/b", 0700);
	write_file("a[1]*/main.conf", "[weir]\ninclude = b/x.conf\n");
	write_file("a[1]*/b/x.conf", "[weir]\ninclude = y.conf\n");
	write_file("a[1]*/b/y.conf", "[listener y]" ECHO);
	snprintf(path, sizeof(path), "%s/a[1]*/main.conf", folder);
	ck_assert_int_eq(chdir("/"), 0);
	config = read_with(path, "");
	ck_assert_uint_eq(config->listener_count, 1);
	config_unref(config);
}
END_TEST

START_TEST(a_pattern_may_match_nothing_but_a_name_must_be_there)
{
	write_file("main.conf",
	    "[weir]\ninclude = none/*.conf\ninclude = *.none\n"
	    "include = none.conf\ninclude = none/x.conf\n");
	read_with("main.conf",
	    "main.conf:4: include: \"none.conf\" is not there\n"
	    "main.conf:5: include: \"none/x.conf\" is not there\n");
}
END_TEST

START_TEST(a_file_cannot_include_itself)
{
	write_file("a.conf", "[weir]\ninclude = b.conf\n");
	write_file("b.conf", "[weir]\ninclude = ./a.conf\n");
	ck_assert_int_eq(symlink("a.conf", "c.conf"), 0);
	read_with("c.conf",
	    "b.conf:2: include: \"./a.conf\" is being read already: a file "
	    "cannot include itself\n");
	write_file("d.conf", "[weir]\ninclude = d.*\n");
	read_with("d.conf",
	    "d.conf:2: include: \"d.conf\" is being read already: a file cannot "
	    "include itself\n");
}
END_TEST

START_TEST(includes_end_at_a_depth)
{
	char name[32], text[64];
	int i;

	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "%d.conf", i);
		snprintf(
		    text, sizeof(text), "[weir]\ninclude = %d.conf\n", i + 1);
		write_file(name, text);
	}
	read_with("0.conf",
	    "15.conf:2: include: more than 16 files include one another\n");
}
END_TEST

START_TEST(mistakes_come_in_the_order_of_files_and_lines)
{
	write_file("main.conf",
	    "[weir]\nx = 1\ninclude = b.conf\ny = 1\n[listener a]\n"
	    "listen = 127.0.0.1:80\nmode = echo\n");
	write_file("b.conf",
	    "[listener b]\nz = 1\nlisten = 127.0.0.1:80\nmode = ech\n"
	    "[listener a]\n");
	read_with("main.conf",
	    "main.conf:2: unknown key \"x\" in [weir]\n"
	    "main.conf:4: unknown key \"y\" in [weir]\n"
	    "main.conf:5: [listener a] stands already at b.conf:5\n"
	    "b.conf:2: unknown key \"z\" in [listener b]\n"
	    "b.conf:4: mode: \"ech\" is not known (echo, forward or pipe)\n"
	    "b.conf:5: listener a has no listen (write listen = ADDRESS)\n"
	    "b.conf:5: listener a has no mode (write mode = echo, forward or "
	    "pipe)\n");
}
END_TEST

START_TEST(a_file_that_cannot_be_opened_is_told_at_its_include)
{
	write_file("main.conf", "[weir]\ninclude = dir\n");
	mkdir("dir", 0700);
	read_with("main.conf",
	    "main.conf:2: include: \"dir\" cannot be read: Is a directory\n");
}
END_TEST

START_TEST(standard_input_is_a_dash)
{
	int copy = dup(0);
	FILE *f;

	write_file("in.conf", "[weir]\nlog = x\n");
	f = freopen("in.conf", "r", stdin);
	ck_assert_ptr_nonnull(f);
	read_with("-",
	    "-:2: log: \"x\" is not known (stderr, syslog, journal or "
	    "file:PATH)\n");
	dup2(copy, 0);
	close(copy);
}
END_TEST

/* Whoever serves meanwhile would wait for the one who writes to it. */
START_TEST(a_fifo_is_not_read_again)
{
	struct config_builder *builder = config_builder_new();

	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	write_file("main.conf", "[weir]\ninclude = fifo\n");
	config_builder_read_again(builder);
	read_by(builder, "main.conf",
	    "main.conf:2: include: \"fifo\" is no regular file, which alone "
	    "can be read again\n");
	builder = config_builder_new();
	config_builder_read_again(builder);
	read_by(builder, "fifo",
	    "fifo: is no regular file, which alone can be read again\n");
}
END_TEST

START_TEST(endless_files_are_refused)
{
	read_with("/dev/zero",
	    "/dev/zero: is larger than 16 MiB, which is no configuration\n");
}
END_TEST

static Suite *
file_suite(void)
{
	Suite *suite = suite_create("config/file");
	TCase *tcase = tcase_create("file");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, files_that_cannot_be_read_are_named);
	tcase_add_test(tcase, included_files_count_where_they_are_included);
	tcase_add_test(tcase, includes_are_relative_to_the_including_file);
	tcase_add_test(
	    tcase, a_pattern_may_match_nothing_but_a_name_must_be_there);
	tcase_add_test(tcase, a_file_cannot_include_itself);
	tcase_add_test(tcase, includes_end_at_a_depth);
	tcase_add_test(tcase, mistakes_come_in_the_order_of_files_and_lines);
	tcase_add_test(
	    tcase, a_file_that_cannot_be_opened_is_told_at_its_include);
	tcase_add_test(tcase, standard_input_is_a_dash);
	tcase_add_test(tcase, a_fifo_is_not_read_again);
	tcase_add_test(tcase, endless_files_are_refused);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	return support_run(file_suite());
}
