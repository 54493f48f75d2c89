/* No object at all: every function says so, and none falls over it. */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include <weir/weir.h>

static struct weir_loop *loop;

static void
on_written(struct weir_socket *socket, int err, void *user)
{
	(void)socket;
	(void)err;
	(void)user;
}

static void
set_up(void)
{
	ck_assert_int_eq(weir_loop_new(&loop, NULL), 0);
}

static void
tear_down(void)
{
	weir_loop_free(loop);
}

static void
on_timer(struct weir_timer *timer, void *user)
{
	(void)timer;
	(void)user;
}

static void
on_signal(struct weir_signal *s, int signo, void *user)
{
	(void)s;
	(void)signo;
	(void)user;
}

START_TEST(no_loop_timer_or_signal)
{
	struct weir_timer *timer;
	struct weir_signal *s;

	ck_assert_int_eq(weir_loop_new(NULL, NULL), -EINVAL);
	ck_assert_int_eq(weir_loop_run(NULL), -EINVAL);
	ck_assert_ptr_null(weir_loop_base(NULL));
	ck_assert_int_eq(weir_loop_after_fork(NULL), -EINVAL);
	ck_assert_int_eq(
	    weir_loop_set_name_servers(NULL, "127.0.0.1"), -EINVAL);
	ck_assert_int_eq(weir_loop_set_name_servers(NULL, NULL), -EINVAL);
	weir_loop_stop(NULL);
	weir_loop_free(NULL);
	ck_assert_int_eq(weir_timer_new(NULL, loop, on_timer, NULL), -EINVAL);
	ck_assert_int_eq(weir_timer_new(&timer, NULL, on_timer, NULL), -EINVAL);
	ck_assert_int_eq(weir_timer_new(&timer, loop, NULL, NULL), -EINVAL);
	ck_assert_int_eq(weir_timer_start(NULL, 1), -EINVAL);
	ck_assert(!weir_timer_running(NULL));
	weir_timer_stop(NULL);
	weir_timer_ref(NULL);
	weir_timer_unref(NULL);
	weir_timer_free(NULL);
	ck_assert_int_eq(
	    weir_signal_new(NULL, loop, SIGUSR1, on_signal, NULL), -EINVAL);
	ck_assert_int_eq(
	    weir_signal_new(&s, NULL, SIGUSR1, on_signal, NULL), -EINVAL);
	ck_assert_int_eq(
	    weir_signal_new(&s, loop, SIGUSR1, NULL, NULL), -EINVAL);
	weir_signal_free(NULL);
}
END_TEST

START_TEST(no_address)
{
	struct weir_address some = {0};
	char text[WEIR_ADDRESS_TEXT];

	ck_assert_str_eq(weir_address_text(NULL, text, sizeof(text)), "-");
	ck_assert_str_eq(weir_address_host(NULL, text, sizeof(text)), "-");
	ck_assert_uint_eq(weir_address_port(NULL), 0);
	ck_assert_int_eq(weir_address_family(NULL), 0);
	ck_assert_int_eq(weir_address_set_ip(&some, NULL, 80), -EINVAL);
	ck_assert_int_eq(weir_address_set_ip(NULL, "127.0.0.1", 80), -EINVAL);
	ck_assert_int_eq(weir_address_set_unix(&some, NULL, false), -EINVAL);
	ck_assert_int_eq(weir_address_set_unix(NULL, "/x", false), -EINVAL);
	ck_assert_uint_eq(some.length, 0);
	ck_assert_int_eq(weir_is_ip(NULL), 0);
	ck_assert(!weir_is_ipv4(NULL));
	ck_assert(!weir_is_ipv6(NULL));
}
END_TEST

START_TEST(no_address_is_equal_to_none_alone)
{
	struct weir_address none = {0}, some;

	ck_assert_int_eq(weir_address_set_ip(&some, "127.0.0.1", 80), 0);
	ck_assert(weir_address_equal(NULL, NULL));
	ck_assert(weir_address_equal(NULL, &none));
	ck_assert(weir_address_equal(&none, NULL));
	ck_assert(!weir_address_equal(NULL, &some));
	ck_assert(!weir_address_equal(&some, NULL));
}
END_TEST

START_TEST(no_room_for_an_address)
{
	struct weir_endpoint endpoint;
	struct weir_address some;
	char text[] = "untouched";

	ck_assert_int_eq(weir_address_set_ip(&some, "::1", 80), 0);
	ck_assert_int_eq(weir_endpoint_parse(&endpoint, "x:80", NULL), 0);
	ck_assert_ptr_null(weir_address_text(&some, NULL, 9));
	ck_assert_ptr_null(weir_address_host(&some, NULL, 9));
	ck_assert_ptr_null(weir_endpoint_text(&endpoint, NULL, 9));
	ck_assert_str_eq(weir_address_text(&some, text, 0), "untouched");
	ck_assert_str_eq(weir_address_host(&some, text, 0), "untouched");
	ck_assert_str_eq(weir_endpoint_text(&endpoint, text, 0), "untouched");
}
END_TEST

START_TEST(no_endpoint)
{
	struct weir_endpoint endpoint;
	struct weir_address at;
	const char *problem = NULL;
	char text[WEIR_ADDRESS_TEXT + WEIR_HOST_TEXT];

	ck_assert_int_eq(
	    weir_endpoint_parse(&endpoint, NULL, &problem), -EINVAL);
	ck_assert_ptr_nonnull(problem);
	ck_assert_int_eq(weir_endpoint_parse(NULL, "x:80", NULL), -EINVAL);
	ck_assert_str_eq(weir_endpoint_text(NULL, text, sizeof(text)), "-");
	ck_assert_int_eq(weir_endpoint_address(NULL, &at), -EINVAL);
	ck_assert_int_eq(weir_endpoint_parse(&endpoint, "[::1]:80", NULL), 0);
	ck_assert_int_eq(weir_endpoint_address(&endpoint, NULL), -EINVAL);
	ck_assert_int_eq(weir_endpoint_parse(&endpoint, "unix:/x", NULL), 0);
	ck_assert_int_eq(weir_endpoint_address(&endpoint, NULL), -EINVAL);
}
END_TEST

static void
on_resolved(
    int err, const struct weir_address *addresses, size_t count, void *user)
{
	(void)err;
	(void)addresses;
	(void)count;
	(void)user;
	ck_abort_msg("nothing was asked");
}

START_TEST(no_name_to_resolve)
{
	struct weir_lookup *lookup;
	struct weir_address at = {0};

	ck_assert_int_eq(
	    weir_resolve(&lookup, NULL, "::1", 1, 0, on_resolved, NULL),
	    -EINVAL);
	ck_assert_int_eq(
	    weir_resolve(&lookup, loop, NULL, 1, 0, on_resolved, NULL),
	    -EINVAL);
	ck_assert_int_eq(
	    weir_resolve(&lookup, loop, "::1", 1, 0, NULL, NULL), -EINVAL);
	ck_assert_int_eq(weir_query_answer(NULL, 0, &at, 1), -EINVAL);
	weir_resolve_cancel(NULL);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_ptr_null(weir_version_of(NULL));
}
END_TEST

START_TEST(no_socket_to_act_on)
{
	struct weir_address at = {0};
	struct weir_socket *s;

	ck_assert_int_eq(
	    weir_socket_new(NULL, loop, NULL, NULL, NULL), -EINVAL);
	ck_assert_int_eq(weir_socket_new(&s, NULL, NULL, NULL, NULL), -EINVAL);
	ck_assert_int_eq(weir_socket_open_fd(NULL, 0, true, true), -EINVAL);
	ck_assert_int_eq(weir_socket_connect(NULL, &at, NULL), -EINVAL);
	ck_assert_int_eq(weir_socket_connect_host(NULL, "x", 1, NULL), -EINVAL);
	ck_assert_int_eq(weir_socket_write(NULL, "x", 1), -EINVAL);
	ck_assert_int_eq(weir_socket_end(NULL), -EINVAL);
	ck_assert_int_eq(weir_socket_pipe(NULL, NULL, NULL), -EINVAL);
	ck_assert_int_eq(weir_socket_unpipe(NULL), -EINVAL);
	ck_assert_int_eq(weir_socket_set_timeout(NULL, 1), -EINVAL);
	ck_assert_int_eq(weir_socket_set_no_delay(NULL, true), -EINVAL);
	ck_assert_int_eq(weir_socket_set_keep_alive(NULL, true, 1), -EINVAL);
	ck_assert_int_eq(
	    weir_socket_set_keep_alive_probes(NULL, 1, 1, 1), -EINVAL);
	ck_assert_int_eq(
	    weir_socket_write_cb(NULL, "x", 1, on_written, NULL), -EINVAL);
	ck_assert_int_eq(
	    weir_socket_end_data(NULL, "x", 1, on_written, NULL), -EINVAL);
	ck_assert_int_eq(weir_socket_set_high_water_mark(NULL, 1), -EINVAL);
	ck_assert_int_eq(weir_socket_set_encoding(NULL, WEIR_UTF8), -EINVAL);
	weir_socket_set_handlers(NULL, NULL, NULL);
	weir_socket_destroy(NULL, 0);
	weir_socket_reset_and_destroy(NULL);
	weir_socket_destroy_soon(NULL);
	weir_socket_pause(NULL);
	weir_socket_resume(NULL);
	weir_socket_ref(NULL);
	weir_socket_unref(NULL);
	weir_socket_free(NULL);
}
END_TEST

START_TEST(no_socket_to_ask)
{
	struct weir_address at;
	struct weir_socket *s;
	pid_t pid;

	ck_assert(weir_socket_paused(NULL));
	weir_socket_set_totals(NULL, NULL);
	ck_assert_uint_eq(weir_socket_bytes_read(NULL), 0);
	ck_assert_uint_eq(weir_socket_bytes_written(NULL), 0);
	ck_assert_uint_eq(weir_socket_bytes_delivered(NULL), 0);
	ck_assert_uint_eq(weir_socket_buffered(NULL), 0);
	ck_assert_uint_eq(weir_socket_held(NULL), 0);
	ck_assert_uint_eq(weir_socket_idle_ms(NULL), 0);
	ck_assert_int_eq(weir_socket_local_address(NULL, &at), -EINVAL);
	ck_assert_int_eq(weir_socket_remote_address(NULL, &at), -EINVAL);
	ck_assert_int_eq(
	    weir_socket_peer_credentials(NULL, &pid, NULL, NULL), -EINVAL);
	ck_assert_int_eq(weir_socket_ready_state(NULL), WEIR_CLOSED);
	ck_assert(weir_socket_dormant(NULL));
	ck_assert(weir_socket_read_ended(NULL));
	ck_assert(weir_socket_end_seen(NULL));
	ck_assert(weir_socket_write_ended(NULL));
	ck_assert(!weir_socket_peer_closed(NULL));
	ck_assert_int_eq(weir_socket_fd(NULL), -1);

	ck_assert_int_eq(weir_socket_new(&s, loop, NULL, NULL, NULL), 0);
	ck_assert_int_eq(weir_socket_local_address(s, NULL), -EINVAL);
	ck_assert_int_eq(weir_socket_remote_address(s, NULL), -EINVAL);
	ck_assert_int_eq(weir_socket_local_address(s, &at), -ENOTCONN);
	ck_assert_int_eq(weir_socket_remote_address(s, &at), -ENOTCONN);
	weir_socket_free(s);
}
END_TEST

static void
on_counted(struct weir_server *server, int err, size_t count, void *user)
{
	(void)server;
	(void)err;
	(void)count;
	(void)user;
}

static void
on_closed(struct weir_server *server, int err, void *user)
{
	(void)server;
	(void)err;
	(void)user;
}

START_TEST(no_server)
{
	struct weir_address at = {0};
	struct weir_server *server;

	ck_assert_int_eq(
	    weir_server_new(NULL, loop, NULL, NULL, NULL), -EINVAL);
	ck_assert_int_eq(
	    weir_server_new(&server, loop, NULL, NULL, NULL), -EINVAL);
	ck_assert_int_eq(weir_server_listen(NULL, &at, NULL), -EINVAL);
	ck_assert_int_eq(weir_server_listen_any(NULL, 0, NULL), -EINVAL);
	ck_assert_int_eq(weir_server_listen_fd(NULL, 0, NULL), -EINVAL);
	ck_assert_int_eq(weir_server_listen_host(NULL, "x", 0, NULL), -EINVAL);
	ck_assert_int_eq(weir_server_listen_server(NULL, NULL, NULL), -EINVAL);
	ck_assert_int_eq(weir_server_listen_socket(NULL, NULL, NULL), -EINVAL);
	ck_assert_int_eq(weir_server_set_tls(NULL, NULL, NULL), -EINVAL);
	ck_assert_int_eq(
	    weir_server_get_connections(NULL, on_counted, NULL), -EINVAL);
	ck_assert_int_eq(weir_server_close_cb(NULL, on_closed, NULL), -EINVAL);
	ck_assert_int_eq(weir_server_close(NULL), -EINVAL);
	ck_assert(!weir_server_listening(NULL));
	ck_assert_int_eq(weir_server_address(NULL, &at), -EINVAL);
	ck_assert_int_eq(weir_server_fd(NULL), -1);
	ck_assert_uint_eq(weir_server_connections(NULL), 0);
	weir_server_pause(NULL);
	weir_server_resume(NULL);
	weir_server_set_max_connections(NULL, 1);
	weir_server_ref(NULL);
	weir_server_unref(NULL);
	weir_server_free(NULL);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("net/nothing");
	TCase *c = tcase_create("nothing");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_test(c, no_loop_timer_or_signal);
	tcase_add_test(c, no_address);
	tcase_add_test(c, no_address_is_equal_to_none_alone);
	tcase_add_test(c, no_room_for_an_address);
	tcase_add_test(c, no_endpoint);
	tcase_add_test(c, no_name_to_resolve);
	tcase_add_test(c, no_socket_to_act_on);
	tcase_add_test(c, no_socket_to_ask);
	tcase_add_test(c, no_server);
	suite_add_tcase(s, c);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
