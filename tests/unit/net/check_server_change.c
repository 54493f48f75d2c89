/*
 * A server that is changed while it listens: options of its socket, of its
 * socket file, of who comes next; and a close that forgets nobody who waits.
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>

#include "support.h"

#define MANY 200

static struct weir_server *server;
static struct weir_socket *sockets[MANY];
static unsigned count, closes, listenings;
static int error;

static void
on_connection(struct weir_server *from, struct weir_socket *socket, void *user)
{
	(void)user;
	ck_assert_ptr_eq(from, server);
	ck_assert_uint_lt(count, MANY);
	sockets[count++] = socket;
}

static void
on_listening(struct weir_server *s, void *user)
{
	(void)s;
	(void)user;
	listenings++;
}

static void
on_error(struct weir_server *s, int err, void *user)
{
	(void)s;
	(void)user;
	error = err;
}

static void
on_close(struct weir_server *s, void *user)
{
	(void)s;
	(void)user;
	closes++;
}

static const struct weir_server_handlers handlers = {
    .on_listening = on_listening,
    .on_connection = on_connection,
    .on_error = on_error,
    .on_close = on_close,
};

static void
begin(void)
{
	support_begin();
	count = closes = listenings = 0;
	error = 0;
	ck_assert_int_eq(
	    weir_server_new(&server, loop, NULL, &handlers, NULL), 0);
}

static void
free_sockets(void)
{
	while (count > 0)
		weir_socket_free(sockets[--count]);
}

static void
end(void)
{
	free_sockets();
	weir_server_free(server);
	remove_paths();
	support_end();
}

/* Listen on an address of that kind; where it is, in *at. */
static void
listen_on(enum kind kind, const struct weir_listen_options *options,
    struct weir_address *at)
{
	struct weir_address address = address_for(kind);

	ck_assert_int_eq(weir_server_listen(server, &address, options), 0);
	until(listenings > 0);
	ck_assert_int_eq(weir_server_address(server, at), 0);
}

static int
option(int fd, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof(value);

	ck_assert_int_eq(getsockopt(fd, level, name, &value, &length), 0);
	return value;
}

START_TEST(options_of_a_bound_socket_are_changed_and_back)
{
	struct weir_listen_options o = {.backlog = 7};
	struct weir_address at;
	struct tcp_info info;
	socklen_t length = sizeof(info);
	int fd;

	listen_on(TCP4, &o, &at);
	fd = weir_server_fd(server);
	ck_assert_int_eq(option(fd, SOL_SOCKET, SO_REUSEPORT), 0);
	o.backlog = 9;
	o.reuse_port = o.defer_accept = o.fast_open = o.freebind = true;
	ck_assert_int_eq(weir_server_set_listen_options(server, &o), 0);
	ck_assert_int_eq(weir_server_fd(server), fd);
	ck_assert_int_eq(option(fd, SOL_SOCKET, SO_REUSEPORT), 1);
	ck_assert_int_gt(option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_FASTOPEN), 9);
	ck_assert_int_eq(option(fd, IPPROTO_IP, IP_FREEBIND), 1);
	ck_assert_int_eq(
	    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
	ck_assert_uint_eq(info.tcpi_sacked, 9); /* of a listener its backlog */
	o = (struct weir_listen_options){0};
	ck_assert_int_eq(weir_server_set_listen_options(server, &o), 0);
	ck_assert_int_eq(option(fd, SOL_SOCKET, SO_REUSEPORT), 0);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_FASTOPEN), 0);
	ck_assert_int_eq(option(fd, IPPROTO_IP, IP_FREEBIND), 0);
}
END_TEST

START_TEST(what_is_settled_by_binding_is_refused)
{
	struct weir_listen_options o = {.ipv6_only = true};
	struct weir_address at;

	listen_on(TCP6, &o, &at);
	ck_assert_int_eq(weir_server_set_listen_options(server, &o), 0);
	o.ipv6_only = false;
	ck_assert_int_eq(weir_server_set_listen_options(server, &o), -ENOTSUP);
	ck_assert(weir_server_listening(server));
	/* And again: it did not become so. */
	ck_assert_int_eq(weir_server_set_listen_options(server, &o), -ENOTSUP);
	o.ipv6_only = true;
	o.interface = "no name of an interface is as long as this";
	ck_assert_int_eq(weir_server_set_listen_options(server, &o), -EINVAL);
}
END_TEST

START_TEST(calls_that_make_no_sense_are_refused)
{
	const struct weir_listen_options o = {0};

	ck_assert_int_eq(weir_server_set_listen_options(server, &o),
	    WEIR_E_SERVER_NOT_RUNNING);
	ck_assert_int_eq(weir_server_set_listen_options(server, NULL), -EINVAL);
	ck_assert_int_eq(weir_server_set_listen_options(NULL, &o), -EINVAL);
	ck_assert_int_eq(weir_server_set_options(server, NULL), -EINVAL);
	ck_assert_int_eq(weir_server_set_options(NULL, NULL), -EINVAL);
	ck_assert_int_eq(weir_server_close_soon(NULL), -EINVAL);
	ck_assert_int_eq(
	    weir_server_close_soon(server), WEIR_E_SERVER_NOT_RUNNING);
}
END_TEST

START_TEST(the_mode_of_its_own_socket_file_is_changed)
{
	struct weir_listen_options o = {.set_mode = true, .mode = 0600};
	struct weir_address at;
	struct stat st;

	listen_on(UNIX, &o, &at);
	o.mode = 0666;
	o.backlog = 3;
	ck_assert_int_eq(weir_server_set_listen_options(server, &o), 0);
	ck_assert_int_eq(lstat(at.u.un.sun_path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0666);
	ck_assert_int_eq(unlink(at.u.un.sun_path), 0);
	o.mode = 0600;
	ck_assert_int_eq(weir_server_set_listen_options(server, &o), -ENOENT);
	ck_assert_int_eq(mkfifo(at.u.un.sun_path, 0644), 0);
	ck_assert_int_eq(weir_server_set_listen_options(server, &o),
	    WEIR_E_NOT_A_SOCKET_FILE);
	ck_assert_int_eq(lstat(at.u.un.sun_path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0644);
	(void)unlink(at.u.un.sun_path);
}
END_TEST

START_TEST(who_comes_next_starts_with_other_options)
{
	struct weir_server_options s = {.no_delay = true};
	struct weir_address at;
	int a, b, fd, usual;

	listen_on(TCP4, NULL, &at);
	a = connected_fd(&at);
	until(count == 1);
	ck_assert_int_eq(
	    option(weir_socket_fd(sockets[0]), IPPROTO_TCP, TCP_NODELAY), 0);
	ck_assert_int_eq(weir_server_set_options(server, &s), 0);
	b = connected_fd(&at);
	until(count == 2);
	ck_assert_int_ne(
	    option(weir_socket_fd(sockets[1]), IPPROTO_TCP, TCP_NODELAY), 0);
	ck_assert_int_eq(
	    option(weir_socket_fd(sockets[0]), IPPROTO_TCP, TCP_NODELAY), 0);
	/* And back. */
	s = (struct weir_server_options){.keep_alive = true,
	    .keep_alive_interval_ms = 7000,
	    .keep_alive_count = 3,
	    .user_timeout_ms = 5000,
	    .keep_alive_initial_delay_ms = 9000};
	usual = option(weir_server_fd(server), IPPROTO_TCP, TCP_KEEPINTVL);
	ck_assert_int_eq(weir_server_set_options(server, &s), 0);
	fd = weir_server_fd(server);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 7);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 5000);
	s = (struct weir_server_options){0};
	ck_assert_int_eq(weir_server_set_options(server, &s), 0);
	ck_assert_int_eq(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), usual);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
	(void)close(a);
	(void)close(b);
}
END_TEST

START_TEST(closed_soon_whoever_waits_is_accepted_first)
{
	struct weir_address at;
	int fds[MANY];
	unsigned i;

	weir_server_pause(server);
	listen_on(TCP4, NULL, &at);
	for (i = 0; i < 150; i++)
		fds[i] = connected_fd(&at);
	settle();
	ck_assert_uint_eq(count, 0);
	ck_assert_int_eq(weir_server_close_soon(server), 0);
	ck_assert_int_eq(weir_server_close_soon(server), 0);
	ck_assert_uint_eq(count, 0);
	until(!weir_server_listening(server));
	ck_assert_uint_eq(count, 150);
	ck_assert_uint_eq(closes, 0);
	free_sockets();
	until(closes == 1);
	for (i = 0; i < 150; i++) {
		expect_end(fds[i]);
		(void)close(fds[i]);
	}
	/* And it may listen again, and stays paused. */
	listenings = 0;
	listen_on(TCP4, NULL, &at);
	fds[0] = connected_fd(&at);
	settle();
	ck_assert_uint_eq(count, 0);
	weir_server_resume(server);
	until(count == 1);
	(void)close(fds[0]);
}
END_TEST

START_TEST(a_flood_does_not_keep_it_open)
{
	const struct weir_listen_options o = {.backlog = 4};
	struct weir_address at;
	int fds[5];
	unsigned i;

	weir_server_pause(server);
	listen_on(UNIX, &o, &at);
	for (i = 0; i < 5; i++)
		fds[i] = connected_fd(&at);
	ck_assert_int_eq(weir_server_close_soon(server), 0);
	until(!weir_server_listening(server));
	ck_assert_uint_eq(count, 4); /* a queue is one longer than told */
	for (i = 0; i < 5; i++)
		(void)close(fds[i]);
	ck_assert_int_ne(access(at.u.un.sun_path, F_OK), 0);
}
END_TEST

static void
free_it(struct weir_timer *timer, void *user)
{
	(void)user;
	weir_timer_free(timer);
	weir_server_free(server);
	server = NULL;
}

START_TEST(one_that_closes_soon_may_be_closed_or_freed)
{
	struct weir_address at;
	struct weir_timer *timer;

	listen_on(TCP4, NULL, &at);
	ck_assert_int_eq(weir_server_close_soon(server), 0);
	ck_assert_int_eq(weir_server_close(server), 0);
	until(closes == 1);
	listenings = 0;
	listen_on(TCP4, NULL, &at);
	ck_assert_int_eq(weir_server_close_soon(server), 0);
	ck_assert_int_eq(weir_timer_new(&timer, loop, free_it, NULL), 0);
	ck_assert_int_eq(weir_timer_start(timer, 0), 0);
	until(server == NULL);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("server_change");
	TCase *tc = tcase_create("change");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_test(tc, options_of_a_bound_socket_are_changed_and_back);
	tcase_add_test(tc, what_is_settled_by_binding_is_refused);
	tcase_add_test(tc, calls_that_make_no_sense_are_refused);
	tcase_add_test(tc, the_mode_of_its_own_socket_file_is_changed);
	tcase_add_test(tc, who_comes_next_starts_with_other_options);
	tcase_add_test(tc, closed_soon_whoever_waits_is_accepted_first);
	tcase_add_test(tc, a_flood_does_not_keep_it_open);
	tcase_add_test(tc, one_that_closes_soon_may_be_closed_or_freed);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
