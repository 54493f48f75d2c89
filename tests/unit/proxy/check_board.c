/* What processes share, with writers that are killed at any moment. */
#include "config.h"

#include <sys/mman.h>
#include <sys/wait.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <weir/address.h>

#include "proxy/board.h"
#include "support.h"

#define WRITERS 4
#define ROUNDS	(under_valgrind() ? 1000U : 20000U)

static struct board *board;

static void
setup(void)
{
	ck_assert_int_eq(board_new(&board), 0);
}

static void
teardown(void)
{
	board_free(board);
}

static struct weir_address
address_of(const char *host)
{
	struct weir_address address;

	ck_assert_int_eq(weir_address_set_ip(&address, host, 80), 0);
	return address;
}

/* ---- rows ---- */

START_TEST(a_row_is_found_by_its_name_and_made_once)
{
	long a = board_listener_row(board, "a");
	long b = board_listener_row(board, "b");

	ck_assert_int_ge(a, 0);
	ck_assert_int_ne(a, b);
	ck_assert_int_eq(board_listener_row(board, "a"), a);
	ck_assert_int_eq(board_listener_find(board, "b"), b);
	ck_assert_int_eq(board_listener_find(board, "c"), -ENOENT);
	ck_assert_str_eq(board_listener(board, b)->name, "b");
}
END_TEST

START_TEST(a_name_that_does_not_fit_is_told)
{
	char name[BOARD_NAME + 1];
	const struct weir_address address = address_of("::1");

	memset(name, 'x', BOARD_NAME);
	name[BOARD_NAME] = '\0';
	ck_assert_int_eq(board_listener_row(board, name), -ENAMETOOLONG);
	ck_assert_int_eq(board_upstream_row(board, name), -ENAMETOOLONG);
	ck_assert_int_eq(
	    board_server_row(board, 0, name, &address), -ENAMETOOLONG);
	name[BOARD_NAME - 1] = '\0';
	ck_assert_int_ge(board_listener_row(board, name), 0);
}
END_TEST

START_TEST(a_full_board_is_told)
{
	const struct weir_address address = address_of("::1");
	char name[32];
	long i;

	for (i = 0; i < BOARD_UPSTREAMS; i++) {
		(void)snprintf(name, sizeof(name), "%ld", i);
		ck_assert_int_eq(board_upstream_row(board, name), i);
	}
	ck_assert_int_eq(board_upstream_row(board, "more"), -ENOSPC);
	ck_assert_int_eq(board_upstream_row(board, "17"), 17);
	board_upstream_gone(board, 17);
	ck_assert_int_eq(board_upstream_row(board, "more"), 17);
	/* Of the others there are too many for a test of each. */
	ck_assert_int_eq(board_server_row(board, 0, "a", &address), 0);
}
END_TEST

START_TEST(a_row_that_is_gone_waits_for_its_last_connection)
{
	long a = board_listener_row(board, "a"), b;
	struct board_listener_slot *slot = board_listener_slot(board, 0, a);

	board_add(&slot->connections, 1);
	board_add(&slot->accepted, 7);
	board_listener_gone(board, a);
	b = board_listener_row(board, "b");
	ck_assert_int_ne(a, b);
	/* Who comes back goes on with the figures. */
	ck_assert_int_eq(board_listener_row(board, "a"), a);
	ck_assert_uint_eq(board_get(&slot->accepted), 7);
	board_listener_gone(board, a);
	board_sub(&slot->connections, 1);
	ck_assert_int_eq(board_listener_row(board, "c"), a);
	ck_assert_uint_eq(board_get(&slot->accepted), 0);
	ck_assert_int_eq(board_listener_find(board, "a"), -ENOENT);
}
END_TEST

START_TEST(servers_are_found_by_upstream_name_and_address)
{
	const struct weir_address one = address_of("192.0.2.1");
	const struct weir_address two = address_of("192.0.2.2");
	long u = board_upstream_row(board, "u");
	long v = board_upstream_row(board, "v");
	long a = board_server_row(board, u, "s", &one);

	ck_assert_int_eq(board_server_row(board, u, "s", &one), a);
	ck_assert_int_ne(board_server_row(board, u, "s", &two), a);
	ck_assert_int_ne(board_server_row(board, v, "s", &one), a);
	ck_assert_int_ne(board_server_row(board, u, "t", &one), a);
	ck_assert_int_eq(board_servers(board), 4);
	ck_assert(board_server_used(board, a));
	board_add(&board_server_slot(board, 0, a)->connections, 1);
	board_upstream_gone(board, u);
	ck_assert(!board_server_used(board, a));
	/* Its place is kept as long as somebody is connected there. */
	ck_assert_int_gt(board_upstream_row(board, "w"), v);
	board_sub(&board_server_slot(board, 0, a)->connections, 1);
	ck_assert_int_eq(board_upstream_row(board, "x"), u);
	ck_assert_int_eq(board_server_find(board, u, "s", &one), -ENOENT);
}
END_TEST

#define MANY 1000

static long
row_of(char kind, long i)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "%c%ld", kind, i);
	return board_listener_row(board, name);
}

static long
find_of(char kind, long i)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "%c%ld", kind, i);
	return board_listener_find(board, name);
}

/* Rows that go and are used anew change from one chain to another. */
START_TEST(each_of_many_is_found_by_the_name_it_has_now)
{
	long i, rows[MANY];

	for (i = 0; i < MANY; i++)
		rows[i] = row_of('a', i);
	for (i = 0; i < MANY; i += 2)
		board_listener_gone(board, rows[i]);
	for (i = 0; i < MANY / 2; i++)
		ck_assert_int_lt(row_of('b', i), MANY);
	ck_assert_int_eq(row_of('b', MANY), MANY);
	for (i = 0; i < MANY; i++)
		ck_assert_int_eq(
		    find_of('a', i), i % 2 == 0 ? -ENOENT : rows[i]);
	/* None is made a second time. */
	for (i = 1; i < MANY; i += 2)
		ck_assert_int_eq(row_of('a', i), rows[i]);
	for (i = 0; i < MANY / 2; i++) {
		ck_assert_int_ge(find_of('b', i), 0);
		ck_assert_int_eq(row_of('b', i), find_of('b', i));
	}
}
END_TEST

START_TEST(an_upstreams_servers_are_told_one_after_the_other)
{
	const struct weir_address address = address_of("::1");
	const char *const names[] = {"a", "b", "c"};
	long u = board_upstream_row(board, "u");
	long v = board_upstream_row(board, "v"), row = -1;
	size_t i;

	ck_assert_int_eq(board_server_next(board, u, -1), -ENOENT);
	ck_assert_int_eq(board_server_next(board, -1, -1), -ENOENT);
	for (i = 0; i < 3; i++) {
		(void)board_server_row(board, u, names[i], &address);
		(void)board_server_row(board, v, names[i], &address);
	}
	for (i = 0; i < 3; i++) {
		row = board_server_next(board, v, row);
		ck_assert_int_ge(row, 0);
		ck_assert_str_eq(board_server(board, row)->name, names[i]);
		ck_assert_uint_eq(
		    board_server(board, row)->upstream, (uint32_t)v);
	}
	ck_assert_int_eq(board_server_next(board, v, row), -ENOENT);
	/* From a row that became another upstream's, all that come after. */
	row = board_server_next(board, u, -1);
	board_server_gone(board, row);
	atomic_store(&board_server(board, row)->gone_ms, 0);
	ck_assert_int_eq(board_server_row(board, v, "d", &address), row);
	row = board_server_next(board, u, row);
	ck_assert_int_ge(row, 0);
	ck_assert_str_eq(board_server(board, row)->name, "b");
}
END_TEST

/* ---- sums ---- */

START_TEST(figures_are_summed_over_the_workers)
{
	long a = board_listener_row(board, "a");
	struct board_listener_slot *slot;
	struct board_listener_sum sum;
	unsigned worker;

	for (worker = 0; worker < 3; worker++) {
		board_worker_began(board, worker, 100 + (pid_t)worker);
		slot = board_listener_slot(board, worker, a);
		board_add(&slot->connections, 1 + worker);
		board_add(&slot->accepted, 10);
		slot->totals.read = 5;
		slot->totals.delivered = 7;
		board_add(
		    &board_worker(board, worker)->connections, 1 + worker);
	}
	board_raise(&board_listener(board, a)->peak, 9);
	board_raise(&board_listener(board, a)->peak, 8);
	board_listener_sum(board, a, &sum);
	ck_assert_uint_eq(sum.connections, 6);
	ck_assert_uint_eq(board_listener_connections(board, a), 6);
	ck_assert_uint_eq(board_connections(board), 6);
	ck_assert_uint_eq(sum.accepted, 30);
	ck_assert_uint_eq(sum.bytes_in, 15);
	ck_assert_uint_eq(sum.bytes_out, 21);
	ck_assert_uint_eq(sum.peak, 9);
}
END_TEST

START_TEST(what_a_dead_worker_had_open_is_closed_and_its_totals_stay)
{
	const struct weir_address one = address_of("192.0.2.1");
	long a = board_listener_row(board, "a");
	long u = board_upstream_row(board, "u");
	long s = board_server_row(board, u, "s", &one);
	struct board_listener_slot *slot = board_listener_slot(board, 1, a);
	struct board_listener_sum sum;
	struct board_server_sum server;

	board_worker_began(board, 0, 100);
	board_worker_began(board, 1, 101);
	board_add(&board_listener_slot(board, 0, a)->connections, 1);
	board_add(&slot->connections, 4);
	board_add(&slot->accepted, 10);
	board_add(&slot->closed, 6);
	slot->totals.read = 1000;
	board_add(&board_worker(board, 1)->connections, 4);
	board_add(&board_server_slot(board, 1, s)->connections, 4);
	board_add(&board_server_slot(board, 1, s)->total, 10);
	board_add(&board_upstream_slot(board, 1, u)->queued, 2);
	atomic_store(&board_sources(board, 1)[77].key, 1);
	board_worker_ended(board, 1);
	board_listener_sum(board, a, &sum);
	ck_assert_uint_eq(sum.connections, 1);
	ck_assert_uint_eq(sum.closed, 10);
	ck_assert_uint_eq(sum.errors, 4);
	ck_assert_uint_eq(sum.accepted, 10);
	ck_assert_uint_eq(sum.bytes_in, 1000);
	board_server_sum(board, s, &server);
	ck_assert_uint_eq(server.connections, 0);
	ck_assert_uint_eq(server.total, 10);
	ck_assert_uint_eq(board_upstream_queued(board, u), 0);
	ck_assert_uint_eq(board_connections(board), 0);
	ck_assert_uint_eq(atomic_load(&board_sources(board, 1)[77].key), 0);
	ck_assert_int_eq(atomic_load(&board_worker(board, 1)->pid), 0);
}
END_TEST

/* ---- processes ---- */

static void
write_for_ever(unsigned worker, long row, bool for_ever)
{
	struct board_listener_slot *slot =
	    board_listener_slot(board, worker, row);
	unsigned i;

	for (i = 0; for_ever || i < ROUNDS; i++) {
		board_add(&slot->connections, 1);
		board_add(&slot->accepted, 1);
		(void)board_next_id(board);
		board_raise(&board_listener(board, row)->peak,
		    board_listener_connections(board, row));
		board_add(&slot->closed, 1);
		board_sub(&slot->connections, 1);
	}
	_exit(0);
}

static pid_t
start_writer(unsigned worker, long row, bool for_ever)
{
	pid_t pid = fork();

	ck_assert_int_ne(pid, -1);
	if (pid == 0)
		write_for_ever(worker, row, for_ever);
	board_worker_began(board, worker, pid);
	return pid;
}

START_TEST(writers_do_not_lose_anything_to_each_other)
{
	long row = board_listener_row(board, "a");
	struct board_listener_sum sum;
	pid_t pids[WRITERS];
	unsigned i;
	int status;

	for (i = 0; i < WRITERS; i++)
		board_worker_began(board, i, 1);
	for (i = 0; i < WRITERS; i++)
		pids[i] = start_writer(i, row, false);
	for (i = 0; i < WRITERS; i++) {
		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_int_eq(status, 0);
	}
	board_listener_sum(board, row, &sum);
	ck_assert_uint_eq(sum.accepted, WRITERS * ROUNDS);
	ck_assert_uint_eq(sum.closed, WRITERS * ROUNDS);
	ck_assert_uint_eq(sum.connections, 0);
	ck_assert_uint_le(sum.peak, WRITERS);
	ck_assert_uint_eq(board_next_id(board), WRITERS * ROUNDS + 1);
}
END_TEST

START_TEST(a_writer_that_is_killed_leaves_nothing_open)
{
	long row = board_listener_row(board, "a");
	struct board_listener_sum sum;
	unsigned round;
	pid_t pid;

	for (round = 0; round < 20; round++) {
		pid = start_writer(1, row, true);
		board_listener_sum(board, row, &sum);
		while (
		    board_get(&board_listener_slot(board, 1, row)->accepted) <=
		    sum.accepted + 100)
			;
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
		board_worker_ended(board, 1);
		board_listener_sum(board, row, &sum);
		ck_assert_uint_eq(sum.connections, 0);
		ck_assert_uint_eq(sum.accepted, sum.closed);
		ck_assert_uint_le(sum.errors, round + 1);
	}
}
END_TEST

START_TEST(another_program_goes_on_with_the_board)
{
	long row = board_listener_row(board, "a");
	struct board *other;
	int fd = dup(board_fd(board));

	ck_assert_int_ne(fd, -1);
	board_set_drain(board, true);
	ck_assert_int_eq(board_open(&other, fd), 0);
	ck_assert_int_eq(board_listener_find(other, "a"), row);
	ck_assert(board_drain(other));
	ck_assert_uint_eq(board_seed(other), board_seed(board));
	ck_assert_uint_eq(board_started_ms(other), board_started_ms(board));
	board_add(&board_listener_slot(other, 3, row)->accepted, 5);
	ck_assert_uint_eq(
	    board_get(&board_listener_slot(board, 3, row)->accepted), 5);
	board_free(other);
}
END_TEST

START_TEST(another_layout_is_refused_and_its_descriptor_stays)
{
	struct board *other;
	int fd = memfd_create("x", MFD_CLOEXEC);
	uint64_t magic = 0;
	int copy;

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(board_open(&other, fd), -EPROTO);
	ck_assert_int_eq(close(fd), 0);
	copy = dup(board_fd(board));
	ck_assert_int_eq(pwrite(copy, &magic, sizeof(magic), 0), sizeof(magic));
	ck_assert_int_eq(board_open(&other, copy), -EPROTO);
	ck_assert_int_eq(close(copy), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("board");
	TCase *tc = tcase_create("board");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_row_is_found_by_its_name_and_made_once);
	tcase_add_test(tc, a_name_that_does_not_fit_is_told);
	tcase_add_test(tc, a_full_board_is_told);
	tcase_add_test(tc, a_row_that_is_gone_waits_for_its_last_connection);
	tcase_add_test(tc, servers_are_found_by_upstream_name_and_address);
	tcase_add_test(tc, each_of_many_is_found_by_the_name_it_has_now);
	tcase_add_test(tc, an_upstreams_servers_are_told_one_after_the_other);
	tcase_add_test(tc, figures_are_summed_over_the_workers);
	tcase_add_test(
	    tc, what_a_dead_worker_had_open_is_closed_and_its_totals_stay);
	tcase_add_test(tc, writers_do_not_lose_anything_to_each_other);
	tcase_add_test(tc, a_writer_that_is_killed_leaves_nothing_open);
	tcase_add_test(tc, another_program_goes_on_with_the_board);
	tcase_add_test(tc, another_layout_is_refused_and_its_descriptor_stays);
	suite_add_tcase(suite, tc);
	return support_run(suite);
}
