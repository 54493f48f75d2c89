/* A count that processes share: what each counted, and what is left of it. */
#include "config.h"

#include <sys/wait.h>

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/count_priv.h"

#define MORE_THAN_SLOTS 260

static struct weir__count *count;

static void
set_up(void)
{
	count = weir__count_new();
	ck_assert_ptr_nonnull(count);
}

static void
tear_down(void)
{
	weir__count_free(count);
}

/* A child that has counted n when this returns, and then waits. */
static pid_t
child_that_counts(int n)
{
	int ready[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		weir__count_forked(count);
		weir__count_add(count, n);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	ck_assert_int_eq(close(ready[1]), 0);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_int_eq(close(ready[0]), 0);
	return pid;
}

START_TEST(one_process_counts_up_and_down)
{
	ck_assert_uint_eq(weir__count_total(count), 0);
	weir__count_add(count, 1);
	weir__count_add(count, 1);
	ck_assert_uint_eq(weir__count_total(count), 2);
	weir__count_add(count, -1);
	ck_assert_uint_eq(weir__count_total(count), 1);
}
END_TEST

START_TEST(processes_are_summed_while_they_live)
{
	siginfo_t info;
	pid_t one, two;

	weir__count_add(count, 1);
	one = child_that_counts(10);
	two = child_that_counts(100);
	ck_assert_uint_eq(weir__count_total(count), 111);
	ck_assert_int_eq(kill(one, SIGKILL), 0);
	/* Dead, and not waited for yet. */
	ck_assert_int_eq(waitid(P_PID, (id_t)one, &info, WEXITED | WNOWAIT), 0);
	ck_assert_uint_eq(weir__count_total(count), 101);
	ck_assert_int_eq(waitpid(one, NULL, 0), one);
	ck_assert_uint_eq(weir__count_total(count), 101);
	ck_assert_int_eq(kill(two, SIGKILL), 0);
	ck_assert_int_eq(waitpid(two, NULL, 0), two);
	ck_assert_uint_eq(weir__count_total(count), 1);
}
END_TEST

START_TEST(a_child_that_frees_it_takes_only_its_own_away)
{
	pid_t pid;

	weir__count_add(count, 3);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		weir__count_forked(count);
		weir__count_add(count, 5);
		weir__count_free(count);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_uint_eq(weir__count_total(count), 3);
}
END_TEST

START_TEST(more_processes_than_slots_are_counted_too)
{
	pid_t pids[MORE_THAN_SLOTS];
	size_t i;

	for (i = 0; i < MORE_THAN_SLOTS; i++)
		pids[i] = child_that_counts(1);
	ck_assert_uint_eq(weir__count_total(count), MORE_THAN_SLOTS);
	for (i = 0; i < MORE_THAN_SLOTS; i++) {
		ck_assert_int_eq(kill(pids[i], SIGKILL), 0);
		ck_assert_int_eq(waitpid(pids[i], NULL, 0), pids[i]);
	}
	/* The slots of the dead are taken over, with nothing in them. */
	weir__count_add(count, 2);
	ck_assert_uint_ge(weir__count_total(count), 2);
	ck_assert_uint_le(weir__count_total(count), 2 + MORE_THAN_SLOTS - 255);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("net/count");
	TCase *c = tcase_create("count");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_test(c, one_process_counts_up_and_down);
	tcase_add_test(c, processes_are_summed_while_they_live);
	tcase_add_test(c, a_child_that_frees_it_takes_only_its_own_away);
	tcase_add_test(c, more_processes_than_slots_are_counted_too);
	suite_add_tcase(s, c);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
