/* allow and deny, decided without a socket. */
#include "config.h"

#include <check.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>

#include <weir/address.h>

#include "config/config.h"
#include "proxy/acl.h"
#include "support.h"

static const struct acl_user nobody;

/* Whether a client may come by these rows. */
static bool
allows_user(const char *rows, const struct weir_address *address,
    const struct acl_user *user)
{
	struct config_builder *builder = config_builder_new();
	struct config *config = NULL;
	const struct config_listener *l;
	char text[1024];
	bool allowed;

	ck_assert_int_lt(
	    snprintf(text, sizeof(text),
		"[listener a]\nlisten = 127.0.0.1:0\nmode = echo\n%s\n", rows),
	    sizeof(text));
	(void)config_builder_read_text(builder, "t", text, strlen(text));
	ck_assert_msg(config_builder_finish(builder, &config) == 0, "%s",
	    config_builder_mistake(builder, 0));
	l = config->listeners[0];
	allowed = acl_allows(l->acl, l->acl_count, address, user);
	config_builder_free(builder);
	config_unref(config);
	return allowed;
}

static bool
allows(const char *rows, const char *client)
{
	struct weir_address address;

	ck_assert_int_eq(weir_address_set_ip(&address, client, 1), 0);
	return allows_user(rows, &address, &nobody);
}

START_TEST(without_rows_everybody_may_come)
{
	ck_assert(allows("", "192.0.2.1"));
	ck_assert(allows("", "2001:db8::1"));
}
END_TEST

START_TEST(deny_alone_lets_all_others_in)
{
	ck_assert(!allows("deny = 192.0.2.0/24", "192.0.2.255"));
	ck_assert(allows("deny = 192.0.2.0/24", "192.0.3.0"));
	ck_assert(allows("deny = 192.0.2.0/24", "2001:db8::1"));
}
END_TEST

START_TEST(an_allow_keeps_all_others_out)
{
	ck_assert(allows("allow = 192.0.2.1", "192.0.2.1"));
	ck_assert(!allows("allow = 192.0.2.1", "192.0.2.2"));
	ck_assert(!allows("allow = 192.0.2.1", "::1"));
	ck_assert(!allows("deny = 10.0.0.0/8\nallow = ::1", "192.0.2.1"));
}
END_TEST

START_TEST(the_first_row_that_matches_decides)
{
	const char *rows = "allow = 10.1.0.0/16\ndeny = 10.0.0.0/8\n"
			   "allow = all";

	ck_assert(allows(rows, "10.1.2.3"));
	ck_assert(!allows(rows, "10.2.2.3"));
	ck_assert(allows(rows, "11.0.0.1"));
	ck_assert(!allows("deny = all\nallow = all", "10.1.2.3"));
}
END_TEST

START_TEST(prefixes_end_within_a_byte_too)
{
	ck_assert(allows("allow = 10.0.0.128/25", "10.0.0.128"));
	ck_assert(!allows("allow = 10.0.0.128/25", "10.0.0.127"));
	ck_assert(allows("allow = 0.0.0.0/0", "255.255.255.255"));
	ck_assert(!allows("allow = 0.0.0.0/0", "::2"));
	ck_assert(allows("allow = 2001:db8:8000::/33", "2001:db8:ffff::1"));
	ck_assert(!allows("allow = 2001:db8:8000::/33", "2001:db8:7fff::1"));
	ck_assert(allows("allow = 2001:db8::1", "2001:db8::1"));
	ck_assert(!allows("allow = 2001:db8::1", "2001:db8::2"));
}
END_TEST

START_TEST(a_mapped_address_is_the_ipv4_one)
{
	ck_assert(!allows("deny = 192.0.2.0/24", "::ffff:192.0.2.7"));
	ck_assert(allows("allow = 192.0.2.0/24", "::ffff:192.0.2.7"));
	ck_assert(allows("deny = ::/0", "::ffff:192.0.2.7"));
}
END_TEST

START_TEST(users_are_known_on_unix_sockets_only)
{
	const struct acl_user root = {.known = true};
	const struct acl_user other = {.known = true, .uid = 4242, .gid = 4242};
	struct weir_address at;

	ck_assert_int_eq(weir_address_set_unix(&at, "/x", false), 0);
	ck_assert(allows_user("allow = user:root", &at, &root));
	ck_assert(!allows_user("allow = user:root", &at, &other));
	ck_assert(!allows_user("allow = user:root", &at, &nobody));
	ck_assert(!allows("allow = user:root", "127.0.0.1"));
	ck_assert(!allows_user("allow = 0.0.0.0/0\nallow = ::/0", &at, &root));
	ck_assert(allows_user("allow = all", &at, &nobody));
}
END_TEST

/* One who is a member of a group that is not his own, from the database. */
static const struct group *
group_with_member(const struct passwd **ret)
{
	const struct group *group;
	const struct passwd *user;

	setgrent();
	while ((group = getgrent()) != NULL) {
		if (group->gr_mem[0] == NULL)
			continue;
		user = getpwnam(group->gr_mem[0]);
		if (user != NULL && user->pw_gid != group->gr_gid) {
			*ret = user;
			return group;
		}
	}
	return NULL;
}

START_TEST(a_group_is_the_clients_own_or_one_it_is_a_member_of)
{
	struct acl_user user = {.known = true, .uid = 4242};
	const struct passwd *member = NULL;
	const struct group *group = group_with_member(&member);
	struct weir_address at;
	char row[300];

	ck_assert_int_eq(weir_address_set_unix(&at, "/x", false), 0);
	ck_assert(allows_user("allow = group:root", &at, &user));
	user.gid = 4242;
	ck_assert(!allows_user("allow = group:root", &at, &user));
	if (group == NULL)
		return; /* nobody is in a second group here */
	(void)snprintf(row, sizeof(row), "allow = group:%s", group->gr_name);
	ck_assert(!allows_user(row, &at, &user));
	user.uid = member->pw_uid;
	ck_assert(allows_user(row, &at, &user));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("acl");
	TCase *tc = tcase_create("acl");

	tcase_add_test(tc, without_rows_everybody_may_come);
	tcase_add_test(tc, deny_alone_lets_all_others_in);
	tcase_add_test(tc, an_allow_keeps_all_others_out);
	tcase_add_test(tc, the_first_row_that_matches_decides);
	tcase_add_test(tc, prefixes_end_within_a_byte_too);
	tcase_add_test(tc, a_mapped_address_is_the_ipv4_one);
	tcase_add_test(tc, users_are_known_on_unix_sockets_only);
	tcase_add_test(tc, a_group_is_the_clients_own_or_one_it_is_a_member_of);
	suite_add_tcase(suite, tc);
	return support_run(suite);
}
