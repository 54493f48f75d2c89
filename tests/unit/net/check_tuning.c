/* TCP settings: at once, before there is a descriptor, and where there is no
 * TCP. */
#include "config.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <weir/move.h>

#include "net/socket_priv.h"
#include "support.h"

static int
option(const struct watcher *w, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof(value);

	ck_assert_int_eq(
	    getsockopt(weir_socket_fd(w->socket), level, name, &value, &length),
	    0);
	return value;
}

static void
tune(struct watcher *w)
{
	ck_assert_int_eq(weir_socket_set_no_delay(w->socket, true), 0);
	ck_assert_int_eq(weir_socket_set_keep_alive(w->socket, true, 1), 0);
	ck_assert_int_eq(
	    weir_socket_set_keep_alive_probes(w->socket, 2001, 1000, 7000), 0);
}

static void
check_tuned(const struct watcher *w)
{
	ck_assert_int_ne(option(w, IPPROTO_TCP, TCP_NODELAY), 0);
	ck_assert_int_ne(option(w, SOL_SOCKET, SO_KEEPALIVE), 0);
	/* Whole seconds, at least one, and no fewer than was asked for. */
	ck_assert_int_eq(option(w, IPPROTO_TCP, TCP_KEEPIDLE), 1);
	ck_assert_int_eq(option(w, IPPROTO_TCP, TCP_KEEPINTVL), 3);
	ck_assert_int_eq(option(w, IPPROTO_TCP, TCP_KEEPCNT), 127);
	ck_assert_int_eq(option(w, IPPROTO_TCP, TCP_USER_TIMEOUT), 7000);
}

START_TEST(settings_of_an_open_socket_hold_at_once)
{
	struct watcher w = {0};
	int fd = watched_pair(_i == 0 ? TCP4 : TCP6, &w, &quiet, true);

	tune(&w);
	check_tuned(&w);
	ck_assert_int_eq(weir_socket_set_no_delay(w.socket, false), 0);
	ck_assert_int_eq(weir_socket_set_keep_alive(w.socket, false, 0), 0);
	ck_assert_int_eq(option(&w, IPPROTO_TCP, TCP_NODELAY), 0);
	ck_assert_int_eq(option(&w, SOL_SOCKET, SO_KEEPALIVE), 0);
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(settings_made_before_hold_after_every_opening)
{
	struct weir_address at;
	struct watcher w = {0};
	int listener = listening_fd(TCP4, &at), i;

	watch_new(&w, &quiet, true);
	tune(&w);
	for (i = 1; i <= 2; i++) {
		w.told[0] = '\0';
		ck_assert_int_eq(weir_socket_connect(w.socket, &at, NULL), 0);
		until(was_told(&w, "ready"));
		check_tuned(&w);
		weir_socket_destroy(w.socket, 0);
		until(w.closes == (unsigned)i);
	}
	forget_watcher(&w);
	ck_assert_int_eq(close(listener), 0);
}
END_TEST

START_TEST(options_of_connect_hold_for_its_connection)
{
	const struct weir_connect_options options = {
	    .no_delay = true,
	    .keep_alive = true,
	    .keep_alive_initial_delay_ms = 1,
	    .keep_alive_interval_ms = 2001,
	    .keep_alive_count = 1000,
	    .user_timeout_ms = 7000,
	};
	struct weir_address at;
	struct watcher w = {0};
	int listener = listening_fd(TCP4, &at);

	watch_new(&w, &quiet, true);
	ck_assert_int_eq(weir_socket_connect(w.socket, &at, &options), 0);
	until(was_told(&w, "ready"));
	check_tuned(&w);
	forget_watcher(&w);
	ck_assert_int_eq(close(listener), 0);
}
END_TEST

/* ---- late ---- */

static const struct weir_connect_options usual = {
    .no_delay = true,
    .keep_alive = true,
    .keep_alive_initial_delay_ms = 5000,
    .keep_alive_interval_ms = 2000,
    .keep_alive_count = 7,
};

/* Without asking for the descriptor, which makes the settings. */
static int
seen(const struct watcher *w, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof(value);

	ck_assert_int_eq(
	    getsockopt(w->socket->fd, level, name, &value, &length), 0);
	return value;
}

static int
connected(struct watcher *w)
{
	struct weir_address at;
	int listener = listening_fd(TCP4, &at);

	watch_new(w, &quiet, true);
	ck_assert_int_eq(weir_socket_connect(w->socket, &at, &usual), 0);
	until(was_told(w, "ready"));
	return listener;
}

static void
check_usual(const struct watcher *w)
{
	ck_assert_int_ne(seen(w, IPPROTO_TCP, TCP_NODELAY), 0);
	ck_assert_int_ne(seen(w, SOL_SOCKET, SO_KEEPALIVE), 0);
	ck_assert_int_eq(seen(w, IPPROTO_TCP, TCP_KEEPIDLE), 5);
	ck_assert_int_eq(seen(w, IPPROTO_TCP, TCP_KEEPINTVL), 2);
	ck_assert_int_eq(seen(w, IPPROTO_TCP, TCP_KEEPCNT), 7);
}

START_TEST(a_connection_that_lives_gets_its_settings)
{
	struct watcher w = {0};
	int listener = connected(&w);

	if (_i == 1) /* whether its owner wants bytes or not */
		weir_socket_resume(w.socket);
	until(seen(&w, SOL_SOCKET, SO_KEEPALIVE) != 0);
	check_usual(&w);
	forget_watcher(&w);
	ck_assert_int_eq(close(listener), 0);
}
END_TEST

START_TEST(a_second_write_is_not_held_back)
{
	struct watcher w = {0};
	int listener = connected(&w);

	ck_assert_int_eq(weir_socket_write(w.socket, "a", 1), 0);
	ck_assert_int_eq(weir_socket_write(w.socket, "b", 1), 0);
	check_usual(&w);
	forget_watcher(&w);
	ck_assert_int_eq(close(listener), 0);
}
END_TEST

/* Its last segment would wait for the first ones to be acknowledged. */
START_TEST(a_first_write_of_several_segments_is_not_held_back)
{
	static const char bytes[600];
	struct watcher w = {0};
	int listener = connected(&w);

	ck_assert_int_eq(weir_socket_write(w.socket, bytes, 600), 0);
	check_usual(&w);
	forget_watcher(&w);
	ck_assert_int_eq(close(listener), 0);
}
END_TEST

START_TEST(who_asks_for_the_descriptor_sees_the_settings)
{
	struct weir_socket_state state;
	struct watcher w = {0};
	int listener = connected(&w);

	if (_i == 0)
		ck_assert_int_ne(weir_socket_fd(w.socket), -1);
	else
		ck_assert_int_eq(weir_socket_freeze(w.socket, &state), 0);
	check_usual(&w);
	forget_watcher(&w);
	ck_assert_int_eq(close(listener), 0);
}
END_TEST

START_TEST(what_is_set_since_is_not_undone)
{
	struct watcher w = {0};
	int listener = connected(&w);

	ck_assert_int_eq(weir_socket_set_no_delay(w.socket, false), 0);
	until(seen(&w, SOL_SOCKET, SO_KEEPALIVE) != 0);
	ck_assert_int_eq(weir_socket_write(w.socket, "a", 1), 0);
	ck_assert_int_eq(weir_socket_write(w.socket, "b", 1), 0);
	ck_assert_int_eq(seen(&w, IPPROTO_TCP, TCP_NODELAY), 0);
	forget_watcher(&w);
	ck_assert_int_eq(close(listener), 0);
}
END_TEST

START_TEST(without_tcp_they_do_nothing)
{
	struct watcher w = {0};
	int fd = watched_pair(UNIX, &w, &loud, true);

	tune(&w);
	say(fd, "x");
	until(w.length == 1);
	ck_assert_int_eq(weir_socket_set_no_delay(NULL, true), -EINVAL);
	ck_assert_int_eq(weir_socket_set_keep_alive(NULL, true, 0), -EINVAL);
	ck_assert_int_eq(
	    weir_socket_set_keep_alive_probes(NULL, 1, 1, 1), -EINVAL);
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

static Suite *
tuning_suite(void)
{
	Suite *suite = suite_create("tuning");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, support_begin, support_end);
	tcase_add_loop_test(
	    tests, settings_of_an_open_socket_hold_at_once, 0, 2);
	tcase_add_test(tests, settings_made_before_hold_after_every_opening);
	tcase_add_test(tests, options_of_connect_hold_for_its_connection);
	tcase_add_loop_test(
	    tests, a_connection_that_lives_gets_its_settings, 0, 2);
	tcase_add_test(tests, a_second_write_is_not_held_back);
	tcase_add_test(
	    tests, a_first_write_of_several_segments_is_not_held_back);
	tcase_add_loop_test(
	    tests, who_asks_for_the_descriptor_sees_the_settings, 0, 2);
	tcase_add_test(tests, what_is_set_since_is_not_undone);
	tcase_add_test(tests, without_tcp_they_do_nothing);
	suite_add_tcase(suite, tests);
	return suite;
}

int
main(void)
{
	return run_suite(tuning_suite());
}
