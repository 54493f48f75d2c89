/* Which of the sockets that another program left is whose. */
#include "config.h"

#include "proxy/handed.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/address.h>

#include "proxy/proxy_priv.h"
#include "support.h"

#define ROWS 5

static struct proxy proxy; /* of which only what was handed is looked at */
static struct proxy_handed_fd rows[ROWS];
static char path[64];

static int
bound(const struct weir_address *address)
{
	int fd = socket(address->u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(bind(fd, &address->u.sa, address->length), 0);
	return fd;
}

static struct weir_address
ip(const char *host, uint16_t port)
{
	struct weir_address address;

	ck_assert_int_eq(weir_address_set_ip(&address, host, port), 0);
	return address;
}

static struct weir_address
unix_path(void)
{
	struct weir_address address = {.length = sizeof(address.u.un)};

	address.u.un.sun_family = AF_UNIX;
	strcpy(address.u.un.sun_path, path);
	address.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				     strlen(path) + 1);
	return address;
}

static uint16_t
port_of(int fd)
{
	struct weir_address address = {.length = sizeof(address.u)};

	ck_assert_int_eq(getsockname(fd, &address.u.sa, &address.length), 0);
	return weir_address_port(&address);
}

static void
setup(void)
{
	struct weir_address any = ip("0.0.0.0", 0), one = ip("127.0.0.1", 0),
			    file;

	(void)snprintf(path, sizeof(path), "/tmp/weir-handed-%d", getpid());
	file = unix_path();
	rows[0] = (struct proxy_handed_fd){bound(&one), "a", "127.0.0.1:0"};
	rows[1] = (struct proxy_handed_fd){bound(&any), "b", "*:0"};
	rows[2] = (struct proxy_handed_fd){bound(&file), "c", path};
	rows[3] = (struct proxy_handed_fd){bound(&one), NULL, NULL};
	rows[4] = (struct proxy_handed_fd){-1, "a", "127.0.0.1:0"};
	memset(&proxy, 0, sizeof(proxy));
	proxy.handed = rows;
	proxy.handed_count = ROWS;
}

static void
teardown(void)
{
	handed_close(&proxy);
	ck_assert_uint_eq(proxy.handed_count, 0);
	(void)unlink(path);
}

/* Taken once, by whoever asks for that address, and then gone. */
static void
is(int fd, size_t row)
{
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(rows[row].fd, -1);
	(void)close(fd);
}

START_TEST(one_of_that_address_is_taken_whoever_had_it)
{
	uint16_t port = port_of(rows[3].fd);
	struct weir_address one = ip("127.0.0.1", port);
	struct weir_address other = ip("127.0.0.2", port);
	struct weir_address six = ip("::1", port);

	ck_assert_int_eq(handed_take(&proxy, "z", "?", &other, 0), -1);
	ck_assert_int_eq(handed_take(&proxy, "z", "?", &six, 0), -1);
	ck_assert_int_eq(handed_take(&proxy, "z", "?", NULL, port), -1);
	is(handed_take(&proxy, "z", "?", &one, 0), 3);
	ck_assert_int_eq(handed_take(&proxy, "z", "?", &one, 0), -1);
}
END_TEST

START_TEST(a_port_of_any_address_is_another_one)
{
	uint16_t port = port_of(rows[1].fd);
	struct weir_address one = ip("127.0.0.1", port);
	struct weir_address any = ip("0.0.0.0", port);

	ck_assert_int_eq(handed_take(&proxy, "b", "*:0", &one, 0), -1);
	if (_i == 0)
		is(handed_take(&proxy, "z", "?", &any, 0), 1);
	else
		is(handed_take(&proxy, "z", "?", NULL, port), 1);
}
END_TEST

START_TEST(a_port_that_was_picked_is_only_the_same_listeners)
{
	struct weir_address one = ip("127.0.0.1", 0);

	ck_assert_int_eq(handed_take(&proxy, "z", "127.0.0.1:0", &one, 0), -1);
	ck_assert_int_eq(handed_take(&proxy, "a", "other:0", &one, 0), -1);
	is(handed_take(&proxy, "a", "127.0.0.1:0", &one, 0), 0);
	ck_assert_int_eq(handed_take(&proxy, "a", "127.0.0.1:0", &one, 0), -1);
	is(handed_take(&proxy, "b", "*:0", NULL, 0), 1);
}
END_TEST

START_TEST(one_that_has_lost_its_file_is_not_taken)
{
	struct weir_address file = unix_path();

	if (_i == 0) {
		is(handed_take(&proxy, "z", "?", &file, 0), 2);
		return;
	}
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(handed_take(&proxy, "c", path, &file, 0), -1);
}
END_TEST

START_TEST(one_without_an_address_goes_by_name_and_text)
{
	ck_assert_int_eq(handed_take_same(&proxy, "a", "fd:3"), -1);
	ck_assert_int_eq(handed_take_same(&proxy, "z", "127.0.0.1:0"), -1);
	is(handed_take_same(&proxy, "a", "127.0.0.1:0"), 0);
	ck_assert_int_eq(handed_take_same(&proxy, "a", "127.0.0.1:0"), -1);
}
END_TEST

START_TEST(what_nobody_wanted_is_closed)
{
	int before = bench_fds();

	handed_close(&proxy);
	ck_assert_int_eq(bench_fds(), before - 4);
	ck_assert_int_eq(rows[0].fd, -1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("handed");
	TCase *tc = tcase_create("handed");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, one_of_that_address_is_taken_whoever_had_it);
	tcase_add_loop_test(tc, a_port_of_any_address_is_another_one, 0, 2);
	tcase_add_test(tc, a_port_that_was_picked_is_only_the_same_listeners);
	tcase_add_loop_test(tc, one_that_has_lost_its_file_is_not_taken, 0, 2);
	tcase_add_test(tc, one_without_an_address_goes_by_name_and_text);
	tcase_add_test(tc, what_nobody_wanted_is_closed);
	suite_add_tcase(suite, tc);
	return support_run(suite);
}
