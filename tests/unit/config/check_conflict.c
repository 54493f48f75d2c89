/* Unit tests of config/conflict: addresses that are used twice. */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

/* Whether listeners with these lines conflict. */
static bool
conflict(const char *first, const char *second)
{
	char text[512], *mistakes;
	bool found;

	snprintf(text, sizeof(text),
	    "[listener a]\nmode = echo\n%s\n[listener b]\nmode = echo\n%s\n",
	    first, second);
	mistakes = support_mistakes(text);
	found = strstr(mistakes, "is taken already by") != NULL;
	ck_assert_msg(found || mistakes[0] == '\0', "%s", mistakes);
	free(mistakes);
	return found;
}

/* The same, of two addresses, in both orders. */
static bool
meet(const char *first, const char *second)
{
	char a[128], b[128];
	bool found;

	snprintf(a, sizeof(a), "listen = %s", first);
	snprintf(b, sizeof(b), "listen = %s", second);
	found = conflict(a, b);
	ck_assert_msg(found == conflict(b, a), "%s, %s", first, second);
	return found;
}

START_TEST(the_same_address_is_taken)
{
	ck_assert(meet("127.0.0.1:80", "127.0.0.1:80"));
	ck_assert(meet("[::1]:80", "[0:0::1]:80"));
	ck_assert(meet("localhost:80", "LOCALHOST:80"));
	ck_assert(meet("unix:/tmp/a", "/tmp/a"));
	ck_assert(meet("unix:@a", "unix:@a"));
	ck_assert(meet("fd:3", "fd:3"));
	ck_assert(meet("systemd:web", "systemd:web"));
	ck_assert(meet("systemd:", "systemd:web"));
	ck_assert(meet("*:80", ":80"));
	ck_assert(meet("[::ffff:1.2.3.4]:80", "1.2.3.4:80"));
}
END_TEST

START_TEST(other_addresses_are_not)
{
	ck_assert(!meet("127.0.0.1:80", "127.0.0.1:81"));
	ck_assert(!meet("127.0.0.1:80", "127.0.0.2:80"));
	ck_assert(!meet("127.0.0.1:80", "[::1]:80"));
	ck_assert(!meet("localhost:80", "127.0.0.1:80"));
	ck_assert(!meet("unix:@tmp/a", "tmp:80"));
	ck_assert(!meet("/tmp/a", "/tmp/b"));
	ck_assert(!meet("fd:3", "fd:4"));
	ck_assert(!meet("systemd:a", "systemd:b"));
}
END_TEST

START_TEST(any_address_takes_the_port_of_its_families)
{
	ck_assert(meet("*:80", "127.0.0.1:80"));
	ck_assert(meet("*:80", "[::1]:80"));
	ck_assert(meet("*:80", "0.0.0.0:80"));
	ck_assert(meet("*:80", "[::]:80"));
	ck_assert(meet("*:80", "localhost:80"));
	ck_assert(meet("0.0.0.0:80", "127.0.0.1:80"));
	ck_assert(!meet("0.0.0.0:80", "[::1]:80"));
	ck_assert(!meet("0.0.0.0:80", "localhost:80"));
	ck_assert(meet("[::]:80", "127.0.0.1:80"));
	ck_assert(meet("[::]:80", "0.0.0.0:80"));
	ck_assert(!conflict(
	    "listen = [::]:80\nipv6_only = yes", "listen = 0.0.0.0:80"));
	ck_assert(!conflict(
	    "listen = [::]:80\nipv6_only = yes", "listen = 127.0.0.1:80"));
	ck_assert(
	    conflict("listen = [::]:80\nipv6_only = yes", "listen = [::1]:80"));
}
END_TEST

START_TEST(port_0_is_never_taken_and_ranges_may_overlap)
{
	ck_assert(!meet("127.0.0.1:0", "127.0.0.1:0"));
	ck_assert(!meet("*:0", "*:0"));
	ck_assert(meet("127.0.0.1:80-90", "127.0.0.1:90-100"));
	ck_assert(meet("127.0.0.1:80-90", "127.0.0.1:85"));
	ck_assert(!meet("127.0.0.1:80-89", "127.0.0.1:90-100"));
	ck_assert(meet("*:80-90", "127.0.0.1:85"));
}
END_TEST

START_TEST(reuse_port_shares_a_port_but_not_an_address)
{
	ck_assert(!conflict("listen = *:80\nreuse_port = yes",
	    "listen = 127.0.0.1:80\nreuse_port = yes"));
	ck_assert(conflict(
	    "listen = *:80\nreuse_port = yes", "listen = 127.0.0.1:80"));
	ck_assert(conflict("listen = 127.0.0.1:80\nreuse_port = yes",
	    "listen = 127.0.0.1:80\nreuse_port = yes"));
}
END_TEST

START_TEST(two_devices_have_ports_of_their_own)
{
	ck_assert(!conflict("listen = *:80\ninterface = eth0",
	    "listen = *:80\ninterface = eth1"));
	ck_assert(conflict("listen = *:80\ninterface = eth0", "listen = *:80"));
}
END_TEST

START_TEST(the_later_line_is_reported_with_the_first_place)
{
	support_refuses(
	    "[listener a]\nlisten = 127.0.0.1:80\nlisten = :79-81\nmode = echo\n"
	    "[listener b]\nmode = echo\nlisten = 127.0.0.1:80\n",
	    "t:3: listen: \":79-81\" of listener a is taken already by "
	    "\"127.0.0.1:80\" of listener a (t:2)\n"
	    "t:7: listen: \"127.0.0.1:80\" of listener b is taken already by "
	    "\"127.0.0.1:80\" of listener a (t:2)\n");
}
END_TEST

static Suite *
conflict_suite(void)
{
	Suite *suite = suite_create("config/conflict");
	TCase *tcase = tcase_create("conflict");

	tcase_add_test(tcase, the_same_address_is_taken);
	tcase_add_test(tcase, other_addresses_are_not);
	tcase_add_test(tcase, any_address_takes_the_port_of_its_families);
	tcase_add_test(tcase, port_0_is_never_taken_and_ranges_may_overlap);
	tcase_add_test(tcase, reuse_port_shares_a_port_but_not_an_address);
	tcase_add_test(tcase, two_devices_have_ports_of_their_own);
	tcase_add_test(tcase, the_later_line_is_reported_with_the_first_place);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	return support_run(conflict_suite());
}
