/* Connections counted by source. */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/address.h>

#include "proxy/board.h"
#include "proxy/sources.h"
#include "support.h"

static struct source_key
key_of(const char *host)
{
	struct weir_address address;
	struct source_key key;

	ck_assert_int_eq(weir_address_set_ip(&address, host, 7), 0);
	source_key_set(&key, &address, 0);
	return key;
}

static bool
same(const char *a, const char *b)
{
	const struct source_key x = key_of(a), y = key_of(b);

	return memcmp(&x, &y, sizeof(x)) == 0;
}

START_TEST(an_ipv6_network_of_64_bits_is_one_source)
{
	ck_assert(same("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff"));
	ck_assert(!same("2001:db8::1", "2001:db8:0:1::1"));
	ck_assert(!same("192.0.2.1", "192.0.2.2"));
	ck_assert(same("192.0.2.1", "::ffff:192.0.2.1"));
	/* The bytes of one family are not those of another. */
	ck_assert(!same("32.1.13.184", "2001:db8::"));
}
END_TEST

START_TEST(users_of_a_unix_socket_are_sources)
{
	struct weir_address address;
	struct source_key a, b;

	ck_assert_int_eq(weir_address_set_unix(&address, "x", true), 0);
	source_key_set(&a, &address, 1000);
	source_key_set(&b, &address, 1001);
	ck_assert_int_ne(memcmp(&a, &b, sizeof(a)), 0);
	source_key_set(&b, &address, 1000);
	ck_assert_int_eq(memcmp(&a, &b, sizeof(a)), 0);
}
END_TEST

static struct board *board;

static void
setup(void)
{
	ck_assert_int_eq(board_new(&board), 0);
	board_worker_began(board, 0, 100);
	board_worker_began(board, 1, 101);
}

static void
teardown(void)
{
	board_free(board);
}

static uint64_t
hash_of(const char *host, long row)
{
	const struct source_key key = key_of(host);

	return source_hash(&key, board_seed(board), row);
}

/* Places of a worker's table that are taken. */
static unsigned
taken(unsigned worker)
{
	const struct board_source *table = board_sources(board, worker);
	unsigned i, n = 0;

	for (i = 0; i < BOARD_SOURCES; i++)
		n += atomic_load(&table[i].key) != 0;
	return n;
}

START_TEST(one_more_than_the_most_is_refused_until_one_leaves)
{
	uint64_t a = hash_of("192.0.2.1", 0), b = hash_of("::1", 0);

	ck_assert_int_eq(sources_add(board, 0, a, 2), 0);
	ck_assert_int_eq(sources_add(board, 0, a, 2), 0);
	ck_assert_int_eq(sources_add(board, 0, a, 2), -EUSERS);
	ck_assert_int_eq(sources_add(board, 0, b, 2), 0);
	sources_remove(board, 0, a);
	ck_assert_int_eq(sources_add(board, 0, a, 2), 0);
	ck_assert_int_eq(sources_add(board, 0, a, 2), -EUSERS);
	ck_assert_uint_eq(sources_count(board, a), 2);
}
END_TEST

static uint64_t wanted;
static bool has[2];

static void
stay(unsigned worker)
{
	has[worker] = false;
}

static bool
take_one(unsigned worker)
{
	has[worker] = sources_add(board, worker, wanted, 1) == 0;
	return has[worker];
}

static void
give_one(unsigned worker)
{
	if (has[worker])
		sources_remove(board, worker, wanted);
}

START_TEST(two_that_come_at_one_moment_never_have_the_last_place)
{
	const struct race race = {stay, take_one, give_one};

	wanted = hash_of("192.0.2.1", 0);
	ck_assert(race_is_fair(&race));
	ck_assert_uint_eq(taken(0), 0);
	ck_assert_uint_eq(taken(1), 0);
}
END_TEST

START_TEST(a_source_is_one_for_all_workers_and_another_for_each_listener)
{
	uint64_t a = hash_of("192.0.2.1", 0), other = hash_of("192.0.2.1", 1);

	ck_assert_int_eq(sources_add(board, 0, a, 2), 0);
	ck_assert_int_eq(sources_add(board, 1, a, 2), 0);
	ck_assert_int_eq(sources_add(board, 0, a, 2), -EUSERS);
	ck_assert_int_eq(sources_add(board, 1, a, 2), -EUSERS);
	ck_assert_int_eq(sources_add(board, 0, other, 2), 0);
	sources_remove(board, 1, a);
	ck_assert_int_eq(sources_add(board, 0, a, 2), 0);
}
END_TEST

START_TEST(the_sources_of_a_worker_that_ended_are_free)
{
	uint64_t a = hash_of("192.0.2.1", 0);

	ck_assert_int_eq(sources_add(board, 1, a, 1), 0);
	ck_assert_int_eq(sources_add(board, 0, a, 1), -EUSERS);
	board_worker_ended(board, 1);
	ck_assert_int_eq(sources_add(board, 0, a, 1), 0);
}
END_TEST

START_TEST(half_the_table_holds_as_many_sources)
{
	struct weir_address address;
	struct source_key key;
	unsigned i, many = BOARD_SOURCES / (under_valgrind() ? 32 : 2);
	uint64_t *hash = calloc(many, sizeof(*hash));

	ck_assert_ptr_nonnull(hash);
	ck_assert_int_eq(weir_address_set_ip(&address, "10.0.0.0", 7), 0);
	for (i = 0; i < many; i++) {
		address.u.in.sin_addr.s_addr = htonl(0x0a000000 + i);
		source_key_set(&key, &address, 0);
		hash[i] = source_hash(&key, board_seed(board), 0);
		ck_assert_int_eq(sources_add(board, 0, hash[i], 1), 0);
	}
	ck_assert_uint_eq(taken(0), many);
	for (i = 0; i < many; i++)
		ck_assert_int_eq(
		    sources_add(board, i % 2, hash[i], 1), -EUSERS);
	for (i = 0; i < many; i++)
		sources_remove(board, 0, hash[(i * 7U) % many]);
	ck_assert_uint_eq(taken(0), 0);
	ck_assert_uint_eq(taken(1), 0);
	/* One that is not there changes nothing. */
	sources_remove(board, 0, hash[0]);
	ck_assert_uint_eq(taken(0), 0);
	free(hash);
}
END_TEST

START_TEST(a_full_table_refuses_and_goes_on)
{
	uint64_t hash;
	unsigned n;
	int err = 0;

	/* All of one bucket: the lower and the upper half are the same. */
	for (n = 0; err == 0; n++) {
		hash = ((uint64_t)n * BOARD_SOURCES << 32) |
		       (n * BOARD_SOURCES) | 1;
		err = sources_add(board, 0, hash, 1);
		ck_assert_uint_lt(n, BOARD_SOURCES);
	}
	ck_assert_int_eq(err, -ENOSPC);
	ck_assert_uint_ge(n, 9);
	ck_assert_int_eq(sources_add(board, 0, hash_of("::1", 0), 1), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("sources");
	TCase *tc = tcase_create("sources");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, an_ipv6_network_of_64_bits_is_one_source);
	tcase_add_test(tc, users_of_a_unix_socket_are_sources);
	tcase_add_test(tc, one_more_than_the_most_is_refused_until_one_leaves);
	tcase_add_test(
	    tc, two_that_come_at_one_moment_never_have_the_last_place);
	tcase_add_test(
	    tc, a_source_is_one_for_all_workers_and_another_for_each_listener);
	tcase_add_test(tc, the_sources_of_a_worker_that_ended_are_free);
	tcase_add_test(tc, half_the_table_holds_as_many_sources);
	tcase_add_test(tc, a_full_table_refuses_and_goes_on);
	suite_add_tcase(suite, tc);
	return support_run(suite);
}
