/* Connections counted by source. */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <string.h>

#include <weir/address.h>

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

START_TEST(one_more_than_the_most_is_refused_until_one_leaves)
{
	struct sources sources = {0};
	const struct source_key a = key_of("192.0.2.1"), b = key_of("::1");

	ck_assert_int_eq(sources_add(&sources, &a, 2), 0);
	ck_assert_int_eq(sources_add(&sources, &a, 2), 0);
	ck_assert_int_eq(sources_add(&sources, &a, 2), -EUSERS);
	ck_assert_int_eq(sources_add(&sources, &b, 2), 0);
	sources_remove(&sources, &a);
	ck_assert_int_eq(sources_add(&sources, &a, 2), 0);
	ck_assert_int_eq(sources_add(&sources, &a, 2), -EUSERS);
	sources_free(&sources);
	ck_assert_ptr_null(sources.tree);
}
END_TEST

START_TEST(a_source_without_connections_takes_no_memory)
{
	struct sources sources = {0};
	struct weir_address address;
	struct source_key keys[300];
	unsigned i;

	ck_assert_int_eq(weir_address_set_ip(&address, "10.0.0.0", 7), 0);
	for (i = 0; i < 300; i++) {
		address.u.in.sin_addr.s_addr = htonl(0x0a000000 + i * 7919);
		source_key_set(&keys[i], &address, 0);
		ck_assert_int_eq(sources_add(&sources, &keys[i], 1), 0);
	}
	for (i = 0; i < 300; i++)
		ck_assert_int_eq(sources_add(&sources, &keys[i], 1), -EUSERS);
	for (i = 0; i < 300; i++)
		sources_remove(&sources, &keys[(i * 7) % 300]);
	ck_assert_ptr_null(sources.tree);
	/* One that is not there changes nothing. */
	sources_remove(&sources, &keys[0]);
	ck_assert_ptr_null(sources.tree);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("sources");
	TCase *tc = tcase_create("sources");

	tcase_add_test(tc, an_ipv6_network_of_64_bits_is_one_source);
	tcase_add_test(tc, users_of_a_unix_socket_are_sources);
	tcase_add_test(tc, one_more_than_the_most_is_refused_until_one_leaves);
	tcase_add_test(tc, a_source_without_connections_takes_no_memory);
	suite_add_tcase(suite, tc);
	return support_run(suite);
}
