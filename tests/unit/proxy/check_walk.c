/* Walks over open connections, while these come and go. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support.h"

#define TWO                                                                    \
	"[weir]\ncontrol = off\n[listener a]\nlisten = 127.0.0.1:0\n"          \
	"mode = echo\n[listener b]\nlisten = 127.0.0.1:0\nmode = echo\n"

static struct bench bench;
static struct bench *const b = &bench;

/* Four clients: 1 and 3 of "a", 2 and 4 of "b". */
#define CLIENTS 4

static int fd[CLIENTS];
static char told[64];

static void
setup(void)
{
	size_t i;

	memset(b, 0, sizeof(*b));
	bench_directory(b);
	bench_start(b, TWO);
	for (i = 0; i < CLIENTS; i++) {
		fd[i] = client(b, i % 2);
		until(b, proxy_connections(b->proxy) == i + 1);
	}
	told[0] = '\0';
}

static void
teardown(void)
{
	size_t i;

	for (i = 0; i < CLIENTS; i++)
		if (fd[i] != -1)
			(void)close(fd[i]);
	bench_close(b);
}

static void
leave(size_t i)
{
	uint64_t before = proxy_connections(b->proxy);

	(void)close(fd[i]);
	fd[i] = -1;
	until(b, proxy_connections(b->proxy) == before - 1);
}

static void
tell(const struct session_figures *figures, void *user)
{
	size_t length = strlen(told);

	ck_assert_ptr_eq(user, b);
	(void)snprintf(told + length, sizeof(told) - length, "%s%d ",
	    figures->listener, (int)figures->id);
}

static struct proxy_walk *
walk_of(const char *listener)
{
	struct proxy_walk *walk = NULL;

	ck_assert_int_eq(proxy_walk_new(&walk, b->proxy, listener), 0);
	return walk;
}

START_TEST(all_are_told_oldest_first)
{
	struct proxy_walk *walk = walk_of(NULL);

	ck_assert(proxy_walk_next(walk, 3, tell, b));
	ck_assert_str_eq(told, "a1 b2 a3 ");
	ck_assert(!proxy_walk_next(walk, 3, tell, b));
	ck_assert(!proxy_walk_next(walk, 3, tell, b));
	ck_assert_str_eq(told, "a1 b2 a3 b4 ");
	proxy_walk_free(walk);
	proxy_walk_free(NULL);
}
END_TEST

START_TEST(one_listeners_are_told_alone)
{
	struct proxy_walk *walk = walk_of("b");

	ck_assert(!proxy_walk_next(walk, 9, tell, b));
	ck_assert_str_eq(told, "b2 b4 ");
	proxy_walk_free(walk);
}
END_TEST

START_TEST(one_that_ends_is_stepped_over)
{
	struct proxy_walk *walk = walk_of(NULL), *other = walk_of(NULL);

	ck_assert(proxy_walk_next(walk, 1, tell, b));
	leave(1);
	leave(2);
	ck_assert(!proxy_walk_next(walk, 9, tell, b));
	ck_assert_str_eq(told, "a1 b4 ");
	leave(0);
	ck_assert(!proxy_walk_next(other, 9, tell, b));
	ck_assert_str_eq(told, "a1 b4 b4 ");
	proxy_walk_free(other);
	proxy_walk_free(walk);
}
END_TEST

START_TEST(the_last_ends_and_so_does_the_walk)
{
	struct proxy_walk *walk = walk_of(NULL);

	ck_assert(proxy_walk_next(walk, 3, tell, b));
	leave(3);
	ck_assert(!proxy_walk_next(walk, 3, tell, b));
	ck_assert_str_eq(told, "a1 b2 a3 ");
	proxy_walk_free(walk);
}
END_TEST

START_TEST(one_that_begins_is_told_too)
{
	struct proxy_walk *walk = walk_of("a");
	int late;

	ck_assert(proxy_walk_next(walk, 1, tell, b));
	late = client(b, 0);
	until(b, proxy_connections(b->proxy) == CLIENTS + 1);
	ck_assert(!proxy_walk_next(walk, 9, tell, b));
	ck_assert_str_eq(told, "a1 a3 a5 ");
	(void)close(late);
	proxy_walk_free(walk);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("walk");
	TCase *tc = tcase_create("walk");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, all_are_told_oldest_first);
	tcase_add_test(tc, one_listeners_are_told_alone);
	tcase_add_test(tc, one_that_ends_is_stepped_over);
	tcase_add_test(tc, the_last_ends_and_so_does_the_walk);
	tcase_add_test(tc, one_that_begins_is_told_too);
	suite_add_tcase(suite, tc);
	return support_run(suite);
}
