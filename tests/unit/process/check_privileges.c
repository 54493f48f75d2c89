/*
 * Becoming another user, in processes made for it.
 */
#include "config.h"

#include <sys/wait.h>

#include <check.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process/privileges.h"

static void
expect_error(const char *user, const char *group, const char *text)
{
	struct privileges privileges;
	char *error = NULL;

	ck_assert_int_eq(
	    privileges_find(&privileges, user, group, &error), -ENOENT);
	ck_assert_str_eq(error, text);
	free(error);
}

START_TEST(a_user_brings_its_group)
{
	struct passwd *entry = getpwnam("nobody");
	struct privileges privileges;

	ck_assert_ptr_nonnull(entry);
	ck_assert_int_eq(privileges_find(&privileges, "nobody", NULL, NULL), 0);
	ck_assert_uint_eq(privileges.user, entry->pw_uid);
	ck_assert_uint_eq(privileges.group, entry->pw_gid);
	ck_assert_str_eq(privileges.name, "nobody");
	privileges_free(&privileges);
}
END_TEST

START_TEST(users_and_groups_may_be_numbers)
{
	struct privileges privileges;

	ck_assert_int_eq(privileges_find(&privileges, "0", NULL, NULL), 0);
	ck_assert_str_eq(privileges.name, "root");
	privileges_free(&privileges);
	ck_assert_int_eq(
	    privileges_find(&privileges, "3999999999", "3999999998", NULL), 0);
	ck_assert_uint_eq(privileges.user, 3999999999);
	ck_assert_uint_eq(privileges.group, 3999999998);
	ck_assert_ptr_null(privileges.name);
	privileges_free(&privileges);
}
END_TEST

START_TEST(who_does_not_exist_is_an_error)
{
	expect_error("no-such-user", NULL,
	    "user \"no-such-user\" does not exist (see \"getent passwd\"; a "
	    "number is fine too)");
	expect_error(NULL, "no-such-group",
	    "group \"no-such-group\" does not exist (see \"getent group\"; a "
	    "number is fine too)");
	expect_error("3999999999", NULL,
	    "user 3999999999 has no entry in the user database, so its group "
	    "is not known: set group as well");
	/* -1 to the system: "leave as it is". */
	expect_error("4294967295", "0",
	    "user \"4294967295\" does not exist (see \"getent passwd\"; a "
	    "number is fine too)");
	expect_error("-1", "0",
	    "user \"-1\" does not exist (see \"getent passwd\"; a number is "
	    "fine too)");
}
END_TEST

START_TEST(nothing_asked_is_nothing_done)
{
	struct privileges privileges;
	uid_t before = getuid();

	ck_assert_int_eq(privileges_find(&privileges, NULL, NULL, NULL), 0);
	ck_assert_int_eq(privileges_drop(&privileges, NULL), 0);
	ck_assert_uint_eq(getuid(), before);
	privileges_free(&privileges);
}
END_TEST

/* In a child that may first become first_user: drop, and check. Returns the
 * exit status: 0, or the number of the step that went wrong. */
static int
drop_in_child(uid_t first_user, const char *user, const char *group,
    uid_t then_user, gid_t then_group)
{
	pid_t child = fork();
	int status;

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct privileges privileges;
		gid_t groups[64];
		int count;

		if (first_user != 0 &&
		    (setresgid(first_user, first_user, first_user) < 0 ||
			setresuid(first_user, first_user, first_user) < 0))
			_exit(1);
		if (privileges_find(&privileges, user, group, NULL) < 0)
			_exit(2);
		if (privileges_drop(&privileges, NULL) < 0)
			_exit(3);
		privileges_free(&privileges);
		if (getuid() != then_user || geteuid() != then_user ||
		    getgid() != then_group || getegid() != then_group)
			_exit(4);
		if (then_user != 0 && setuid(0) == 0)
			_exit(5);
		count = getgroups(64, groups);
		if (first_user == 0 && (count != 1 || groups[0] != then_group))
			_exit(6);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

START_TEST(root_becomes_a_user_for_good)
{
	struct passwd *entry = getpwnam("nobody");

	ck_assert_ptr_nonnull(entry);
	ck_assert_int_eq(
	    drop_in_child(0, "nobody", NULL, entry->pw_uid, entry->pw_gid), 0);
	ck_assert_int_eq(
	    drop_in_child(0, "nobody", "4242", entry->pw_uid, 4242), 0);
	ck_assert_int_eq(drop_in_child(0, "4241", "4242", 4241, 4242), 0);
}
END_TEST

START_TEST(root_takes_a_group_alone)
{
	ck_assert_int_eq(drop_in_child(0, NULL, "4242", 0, 4242), 0);
}
END_TEST

START_TEST(who_is_that_user_already_need_not_be_root)
{
	ck_assert_int_eq(drop_in_child(4242, "4242", "4242", 4242, 4242), 0);
	ck_assert_int_eq(drop_in_child(4242, NULL, "4242", 4242, 4242), 0);
}
END_TEST

START_TEST(who_is_not_root_cannot_become_another)
{
	ck_assert_int_eq(drop_in_child(4242, "4243", "4242", 4243, 4242), 3);
	ck_assert_int_eq(drop_in_child(4242, "nobody", NULL, 0, 0), 3);
	ck_assert_int_eq(drop_in_child(4242, NULL, "0", 4242, 0), 3);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("privileges");
	TCase *tcase = tcase_create("privileges");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, a_user_brings_its_group);
	tcase_add_test(tcase, users_and_groups_may_be_numbers);
	tcase_add_test(tcase, who_does_not_exist_is_an_error);
	tcase_add_test(tcase, nothing_asked_is_nothing_done);
	/* Only root can become somebody else. */
	if (geteuid() == 0) {
		tcase_add_test(tcase, root_becomes_a_user_for_good);
		tcase_add_test(tcase, root_takes_a_group_alone);
		tcase_add_test(
		    tcase, who_is_that_user_already_need_not_be_root);
		tcase_add_test(tcase, who_is_not_root_cannot_become_another);
	}
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
