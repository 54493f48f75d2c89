/* Programs, files, FIFOs and standard output as the other side. */
#include "config.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log/log.h"
#include "proxy/proxy_priv.h"
#include "support.h"

#define PIPE                                                                   \
	"[weir]\ncontrol = off\n[listener a]\nlisten = 127.0.0.1:0\n"          \
	"mode = pipe\naccess_log = on\n"

static struct bench bench;
static struct bench *const b = &bench;

static void
setup(void)
{
	memset(b, 0, sizeof(*b));
	bench_directory(b);
}

static void
quick_grace(void)
{
	b->proxy->child_grace_ms = 60;
}

/* A path in the bench's directory; static. */
static const char *
path(const char *name)
{
	static char text[128];

	(void)snprintf(text, sizeof(text), "%s/%s", b->directory, name);
	return text;
}

static void
script(const char *text)
{
	FILE *f = fopen(path("script"), "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static void
start_script(const char *text, const char *options)
{
	script(text);
	bench_start(b, PIPE "pipe = exec:sh %s\n%s", path("script"), options);
	quick_grace();
}

static bool
file_is(const char *name, const char *wanted)
{
	char text[256] = "";
	FILE *f = fopen(path(name), "r");
	size_t n;

	if (f == NULL)
		return false;
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	(void)fclose(f);
	return strcmp(text, wanted) == 0;
}

/* Whether a process runs: one that nobody has reaped does not. */
static bool
runs(long pid)
{
	char name[64], state = 'Z';
	FILE *f;

	(void)snprintf(name, sizeof(name), "/proc/%ld/stat", pid);
	f = fopen(name, "r");
	if (f == NULL)
		return false;
	if (fscanf(f, "%*d %*s %c", &state) != 1)
		state = 'Z';
	(void)fclose(f);
	return state != 'Z';
}

/* A line from a program that tells a process's number. */
static long
got_pid(int fd)
{
	char text[32] = "";
	size_t have = 0;
	ssize_t n;

	bench_begin_wait(b);
	while (have == 0 || text[have - 1] != '\n') {
		n = recv(fd, text + have, sizeof(text) - 1 - have, 0);
		if (n > 0)
			have += (size_t)n;
		else
			ck_assert(n == -1 && bench_step(b));
	}
	return strtol(text, NULL, 10);
}

static void
connect_failed(const char *why)
{
	int c = client(b, 0);

	put(c, "x");
	until(b, bench_figures(b, 0).closed == 1);
	until(b, *ended(c) != '\0');
	ck_assert_uint_eq(bench_figures(b, 0).errors, 1);
	ck_assert_uint_eq(bench_logged(b, "cannot connect"), 1);
	ck_assert_uint_eq(bench_logged(b, why), 1);
	ck_assert_uint_eq(bench_logged(b, "end=connect_failed"), 1);
	(void)close(c);
}

/* ---- programs ---- */

START_TEST(a_program_speaks_with_its_client)
{
	int c;

	bench_start(b, PIPE "pipe = exec:cat\n");
	c = client(b, 0);
	put(c, "hello");
	got(b, c, "hello");
	ck_assert_uint_eq(bench_children(b), 1);
	ck_assert_int_eq(shutdown(c, SHUT_WR), 0);
	until(b, strcmp(ended(c), "end") == 0);
	until(b, proxy_connections(b->proxy) == 0);
	until(b, bench_children(b) == 0);
	ck_assert_uint_eq(bench_figures(b, 0).bytes_in, 5);
	ck_assert_uint_eq(bench_figures(b, 0).bytes_out, 5);
	(void)close(c);
	bench_close(b);
}
END_TEST

START_TEST(a_program_that_is_not_there_is_an_upstream_that_is_not)
{
	bench_start(b, PIPE "pipe = exec:/nowhere/program\n");
	connect_failed("No such file");
	ck_assert_uint_eq(bench_children(b), 0);
	bench_close(b);
}
END_TEST

START_TEST(a_program_that_ends_at_once_ends_the_connection)
{
	int c;

	bench_start(b, PIPE "pipe = exec:true\n");
	c = client(b, 0);
	until(b, strcmp(ended(c), "end") == 0);
	(void)close(c);
	until(b, proxy_connections(b->proxy) == 0);
	until(b, bench_children(b) == 0);
	ck_assert_uint_eq(bench_logged(b, "end=upstream"), 1);
	ck_assert_uint_eq(bench_figures(b, 0).errors, 0);
	bench_close(b);
}
END_TEST

START_TEST(a_program_that_leaves_input_unread_is_no_reset)
{
	int c;

	start_script("read a; echo $a\n", "");
	c = client(b, 0);
	put(c, "one\ntwo\n");
	got(b, c, "one\n");
	until(b, strcmp(ended(c), "end") == 0);
	put(c, "more");
	ck_assert_int_eq(shutdown(c, SHUT_WR), 0);
	until(b, proxy_connections(b->proxy) == 0);
	ck_assert_uint_eq(bench_figures(b, 0).bytes_in, 12);
	ck_assert_uint_eq(bench_logged(b, "end=upstream"), 1);
	(void)close(c);
	bench_close(b);
}
END_TEST

START_TEST(a_program_that_ignores_being_asked_is_made_to_end)
{
	long pid;
	int c;

	start_script(
	    "trap '' TERM\necho $$\nwhile :; do sleep 1000; done\n", "");
	c = client(b, 0);
	pid = got_pid(c);
	reset(c);
	until(b, proxy_connections(b->proxy) == 0);
	ck_assert_uint_eq(bench_children(b), 1);
	until(b, bench_children(b) == 0);
	ck_assert(!runs(pid));
	bench_close(b);
}
END_TEST

START_TEST(what_a_program_has_started_ends_with_it)
{
	long pid;
	int c;

	/* The program goes when it is asked to, its own child does not. */
	start_script("sh -c 'trap \"\" TERM; echo $$; exec sleep 1000' "
		     "2>/dev/null &\nexec sleep 1000\n",
	    "");
	c = client(b, 0);
	pid = got_pid(c);
	ck_assert(runs(pid));
	reset(c);
	until(b, bench_children(b) == 0);
	until(b, !runs(pid));
	bench_close(b);
}
END_TEST

START_TEST(a_program_is_not_waited_for_by_who_holds_its_stderr)
{
	long pid;
	int c;

	/* A session of its own is a group of its own: not ours to kill. */
	start_script("setsid sh -c 'echo $$; exec sleep 1000' &\n"
		     "exec sleep 1000\n",
	    "");
	c = client(b, 0);
	pid = got_pid(c);
	reset(c);
	until(b, bench_children(b) == 0);
	ck_assert(runs(pid));
	ck_assert_int_eq(kill((pid_t)pid, SIGKILL), 0);
	bench_close(b);
}
END_TEST

START_TEST(a_program_can_be_killed_as_soon_as_it_is_started)
{
	int c;

	start_script("exec sleep 1000\n", "");
	c = client(b, 0);
	until(b, proxy_connections(b->proxy) == 1);
	ck_assert_int_eq(proxy_kill(b->proxy, bench_session_id(b, 0)), 0);
	until(b, bench_children(b) == 0);
	ck_assert_uint_eq(bench_logged(b, "end=killed"), 1);
	(void)close(c);
	bench_close(b);
}
END_TEST

START_TEST(ten_megabytes_of_complaint_hold_nothing_up)
{
	int c;

	start_script("yes complaint | head -c 10000000 >&2\necho done\n", "");
	log_set_level(LOG_LEVEL_ERROR);
	c = client(b, 0);
	got(b, c, "done\n");
	(void)close(c);
	until(b, bench_children(b) == 0);
	log_set_level(LOG_LEVEL_INFO);
	bench_close(b);
}
END_TEST

START_TEST(what_a_program_complains_of_is_logged_by_lines)
{
	int c, i;
	char tail[32];

	start_script("printf 'one\\r\\n\\ntwo\\n' >&2\n"
		     "printf 'nul \\000 here\\n' >&2\n"
		     "printf '%0511d%s\\n' 7 rest >&2\n"
		     "printf 'no end' >&2\n",
	    "");
	c = client(b, 0);
	until(b, strcmp(ended(c), "end") == 0);
	(void)close(c);
	until(b, bench_children(b) == 0);
	ck_assert_uint_eq(bench_logged(b, " one listener=a pid="), 1);
	ck_assert_uint_eq(bench_logged(b, " two listener=a pid="), 1);
	ck_assert_uint_eq(
	    bench_logged(b, " nul \xe2\x90\x80 here listener=a"), 1);
	for (i = 0; i < 20; i++)
		tail[i] = '0';
	(void)snprintf(tail + 20, sizeof(tail) - 20, "7 listen");
	ck_assert_uint_eq(bench_logged(b, tail), 1);
	ck_assert_uint_eq(bench_logged(b, " rest listener=a"), 1);
	ck_assert_uint_eq(bench_logged(b, " no end listener=a"), 1);
	bench_close(b);
}
END_TEST

START_TEST(a_program_has_no_descriptor_of_ours)
{
	int c;

	start_script("ls -l /proc/self/fd | grep -c -e socket: -e anon_\n", "");
	c = client(b, 0);
	got(b, c, "1\n"); /* its standard input; its output is a pipe here */
	until(b, strcmp(ended(c), "end") == 0);
	(void)close(c);
	bench_close(b);
}
END_TEST

/* ---- files ---- */

START_TEST(a_file_takes_what_clients_send_one_after_the_other)
{
	int c, i;

	bench_start(b, PIPE "pipe = file:%s\n", path("out"));
	for (i = 1; i <= 2; i++) {
		c = client(b, 0);
		put(c, i == 1 ? "one\n" : "two\n");
		ck_assert_int_eq(shutdown(c, SHUT_WR), 0);
		until(b, strcmp(ended(c), "end") == 0);
		until(b, bench_figures(b, 0).closed == (unsigned)i);
		(void)close(c);
	}
	ck_assert(file_is("out", "one\ntwo\n"));
	ck_assert_uint_eq(bench_figures(b, 0).bytes_in, 8);
	ck_assert_uint_eq(bench_figures(b, 0).bytes_out, 0);
	ck_assert_uint_eq(bench_logged(b, "end=client"), 2);
	bench_close(b);
}
END_TEST

START_TEST(a_directory_is_no_file)
{
	bench_start(b, PIPE "pipe = file:%s\n", b->directory);
	connect_failed("Is a directory");
	bench_close(b);
}
END_TEST

START_TEST(a_file_in_no_directory_cannot_be_made)
{
	bench_start(b, PIPE "pipe = file:%s/x\n", path("nowhere"));
	connect_failed("No such file");
	bench_close(b);
}
END_TEST

START_TEST(a_fifo_without_a_reader_is_no_file)
{
	ck_assert_int_eq(mkfifo(path("fifo"), 0600), 0);
	bench_start(b, PIPE "pipe = file:%s\n", path("fifo"));
	connect_failed("No such device or address");
	bench_close(b);
}
END_TEST

START_TEST(a_full_disk_holds_the_client_and_is_told_once)
{
	int c;

	bench_start(b, PIPE "pipe = file:/dev/full\n");
	c = client(b, 0);
	put(c, "abc");
	until(b, bench_logged(b, "no room") == 1);
	put(c, "def");
	bench_pass(b, 50);
	ck_assert_uint_eq(bench_logged(b, "no room"), 1);
	ck_assert_uint_eq(proxy_connections(b->proxy), 1);
	ck_assert_int_eq(proxy_kill(b->proxy, bench_session_id(b, 0)), 0);
	until(b, proxy_connections(b->proxy) == 0);
	(void)close(c);
	bench_close(b);
}
END_TEST

/* ---- FIFOs ---- */

static int
reader(void)
{
	int fd = open(path("fifo"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	ck_assert_int_ne(fd, -1);
	return fd;
}

START_TEST(a_fifo_waits_for_its_reader)
{
	char bytes[8] = "";
	int c, r;
	ssize_t n = -1;

	bench_start(b, PIPE "pipe = fifo:%s\n", path("fifo"));
	c = client(b, 0);
	put(c, "early");
	until(b, strcmp(bench_session(b, 0), "connecting") == 0);
	r = reader();
	until(b, (n = read(r, bytes, sizeof(bytes))) > 0);
	ck_assert_int_eq(n, 5);
	ck_assert_str_eq(bytes, "early");
	ck_assert_int_eq(shutdown(c, SHUT_WR), 0);
	until(b, read(r, bytes, sizeof(bytes)) == 0);
	until(b, proxy_connections(b->proxy) == 0);
	ck_assert_uint_eq(bench_figures(b, 0).errors, 0);
	(void)close(r);
	(void)close(c);
	bench_close(b);
}
END_TEST

START_TEST(a_fifo_that_nobody_reads_is_a_connect_timeout)
{
	int c;

	bench_start(
	    b, PIPE "connect_timeout = 250ms\npipe = fifo:%s\n", path("fifo"));
	c = client(b, 0);
	until(b, bench_figures(b, 0).closed == 1);
	until(b, *ended(c) != '\0');
	ck_assert_uint_eq(bench_figures(b, 0).errors, 1);
	ck_assert_uint_eq(bench_logged(b, "end=connect_timeout"), 1);
	ck_assert_uint_eq(bench_logged(b, "was not made in time"), 1);
	(void)close(c);
	bench_close(b);
}
END_TEST

START_TEST(a_lifetime_holds_while_a_fifo_has_no_reader)
{
	int c;

	bench_start(b, PIPE "connect_timeout = 0\n%s\npipe = fifo:%s\n",
	    _i == 0 ? "lifetime = 100ms" : "timeout = 100ms", path("fifo"));
	c = client(b, 0);
	until(b, bench_figures(b, 0).closed == 1);
	ck_assert_uint_eq(bench_figures(b, 0).timeouts, 1);
	ck_assert_uint_eq(bench_figures(b, 0).errors, 0);
	(void)close(c);
	bench_close(b);
}
END_TEST

START_TEST(one_that_waits_for_a_reader_may_go)
{
	int c;

	bench_start(b, PIPE "pipe = fifo:%s\n", path("fifo"));
	c = client(b, 0);
	until(b, strcmp(bench_session(b, 0), "connecting") == 0);
	if (_i == 0) {
		reset(c);
	} else {
		ck_assert_int_eq(
		    proxy_kill(b->proxy, bench_session_id(b, 0)), 0);
		(void)close(c);
	}
	until(b, proxy_connections(b->proxy) == 0);
	bench_pass(b, 300); /* no timer is left over */
	ck_assert_uint_eq(bench_figures(b, 0).errors, 0);
	ck_assert_uint_eq(bench_logged(b, "cannot connect"), 0);
	bench_close(b);
}
END_TEST

START_TEST(a_reader_that_leaves_ends_the_client)
{
	int c, r;

	ck_assert_int_eq(mkfifo(path("fifo"), 0600), 0);
	r = reader();
	bench_start(b, PIPE "pipe = fifo:%s\n", path("fifo"));
	c = client(b, 0);
	until(b, strcmp(bench_session(b, 0), "open") == 0);
	(void)close(r);
	if (_i == 1)
		put(c, "x");
	until(b, strcmp(ended(c), "reset") == 0);
	until(b, proxy_connections(b->proxy) == 0);
	(void)close(c);
	bench_close(b);
}
END_TEST

START_TEST(what_is_no_fifo_is_not_taken_for_one)
{
	script("");
	bench_start(b, PIPE "pipe = fifo:%s\n", path("script"));
	connect_failed("File exists");
	ck_assert(file_is("script", ""));
	bench_close(b);
}
END_TEST

/* ---- standard output ---- */

START_TEST(standard_output_is_written_to)
{
	int saved = dup(1), fd, c;

	ck_assert_int_eq(fflush(stdout), 0);
	fd = open(path("out"), O_WRONLY | O_CREAT, 0600);
	ck_assert_int_eq(dup2(fd, 1), 1);
	(void)close(fd);
	b->fds_before++; /* saved */
	bench_start(b, PIPE "pipe = stdout\n");
	c = client(b, 0);
	put(c, "abc");
	(void)close(c);
	until(b, bench_figures(b, 0).closed == 1);
	ck_assert(file_is("out", "abc"));
	bench_close(b);
	ck_assert_int_eq(dup2(saved, 1), 1);
	(void)close(saved);
}
END_TEST

START_TEST(standard_output_that_nobody_reads_ends_the_client)
{
	int saved = dup(1), ends[2], c;

	ck_assert_int_eq(fflush(stdout), 0);
	ck_assert_int_eq(pipe(ends), 0);
	(void)close(ends[0]);
	ck_assert_int_eq(dup2(ends[1], 1), 1);
	(void)close(ends[1]);
	b->fds_before++; /* saved */
	bench_start(b, PIPE "pipe = stdout\n");
	c = client(b, 0);
	put(c, "abc");
	until(b, strcmp(ended(c), "reset") == 0);
	until(b, proxy_connections(b->proxy) == 0);
	(void)close(c);
	bench_close(b);
	ck_assert_int_eq(dup2(saved, 1), 1);
	(void)close(saved);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("target");
	TCase *tc = tcase_create("target");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, a_program_speaks_with_its_client);
	if (!under_valgrind())
		tcase_add_test(
		    tc, a_program_that_is_not_there_is_an_upstream_that_is_not);
	tcase_add_test(tc, a_program_that_ends_at_once_ends_the_connection);
	tcase_add_test(tc, a_program_that_leaves_input_unread_is_no_reset);
	tcase_add_test(tc, a_program_that_ignores_being_asked_is_made_to_end);
	tcase_add_test(tc, what_a_program_has_started_ends_with_it);
	tcase_add_test(tc, a_program_is_not_waited_for_by_who_holds_its_stderr);
	tcase_add_test(tc, a_program_can_be_killed_as_soon_as_it_is_started);
	tcase_add_test(tc, ten_megabytes_of_complaint_hold_nothing_up);
	tcase_add_test(tc, what_a_program_complains_of_is_logged_by_lines);
	tcase_add_test(tc, a_program_has_no_descriptor_of_ours);
	tcase_add_test(tc, a_file_takes_what_clients_send_one_after_the_other);
	tcase_add_test(tc, a_directory_is_no_file);
	tcase_add_test(tc, a_file_in_no_directory_cannot_be_made);
	tcase_add_test(tc, a_fifo_without_a_reader_is_no_file);
	tcase_add_test(tc, a_full_disk_holds_the_client_and_is_told_once);
	tcase_add_test(tc, a_fifo_waits_for_its_reader);
	tcase_add_test(tc, a_fifo_that_nobody_reads_is_a_connect_timeout);
	tcase_add_loop_test(
	    tc, a_lifetime_holds_while_a_fifo_has_no_reader, 0, 2);
	tcase_add_loop_test(tc, one_that_waits_for_a_reader_may_go, 0, 2);
	tcase_add_loop_test(tc, a_reader_that_leaves_ends_the_client, 0, 2);
	tcase_add_test(tc, what_is_no_fifo_is_not_taken_for_one);
	tcase_add_test(tc, standard_output_is_written_to);
	tcase_add_test(tc, standard_output_that_nobody_reads_ends_the_client);
	suite_add_tcase(suite, tc);
	return support_run(suite);
}
