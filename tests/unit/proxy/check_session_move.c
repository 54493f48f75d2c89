/*
 * Sessions that go on in another process; here it is the same one, which
 * adopts what it has released.
 */
#include "config.h"

#include "proxy/session_move.h"

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/proxy_priv.h"
#include "support.h"
#include "util/strbuf.h"

static struct bench bench;
static struct bench *const b = &bench;

#define ONE                                                                    \
	"[weir]\ncontrol = off\n[listener a]\nlisten = 127.0.0.1:0\n"          \
	"access_log = on\n"

/* One that was frozen. */
static struct strbuf parcel;
static int fds[SESSION_FDS], count;
static struct session *ref;

static void
setup(void)
{
	memset(b, 0, sizeof(*b));
	parcel = (struct strbuf)STRBUF_NULL;
}

static void
echoes(int fd)
{
	put(fd, "ping");
	got(b, fd, "ping");
}

static int
begin(const char *mode)
{
	int fd;

	bench_start(b, ONE "%s\n", mode);
	fd = client(b, 0);
	echoes(fd);
	return fd;
}

/* Freeze the only one there is; with copies of its descriptors. */
static struct session *
freeze(void)
{
	struct session *session;
	int i;

	session_move_begin(b->proxy);
	session = session_move_next(b->proxy);
	ck_assert_ptr_nonnull(session);
	ck_assert_ptr_null(session_move_next(b->proxy));
	parcel.length = 0;
	count = session_freeze(session, 7, &parcel, fds, &ref);
	ck_assert_int_gt(count, 0);
	ck_assert_ptr_eq(ref, session);
	for (i = 0; i < count; i++)
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
	return session;
}

static void
end(int fd)
{
	strbuf_free(&parcel);
	(void)close(fd);
	until(b, proxy_connections(b->proxy) == 0);
	bench_close(b);
}

START_TEST(a_frozen_one_reads_nothing_until_it_is_thawed)
{
	int fd = begin("mode = echo"), i;
	struct session *session = freeze();

	put(fd, "later");
	bench_pass(b, 20);
	ck_assert(quiet(fd));
	session_thaw(session);
	ck_assert_ptr_null(ref);
	got(b, fd, "later");
	for (i = 0; i < count; i++)
		(void)close(fds[i]);
	end(fd);
}
END_TEST

START_TEST(one_goes_on_where_it_was_adopted)
{
	int fd = begin("mode = echo");
	uint64_t id = bench_session_id(b, 0);
	struct session *session = freeze();
	unsigned config;

	put(fd, "under way");
	session_release(session);
	ck_assert_ptr_null(ref);
	ck_assert_uint_eq(proxy_connections(b->proxy), 0);
	ck_assert(quiet(fd));
	ck_assert_int_eq(
	    session_parcel_config(parcel.data, parcel.length, &config), 0);
	ck_assert_uint_eq(config, 7);
	ck_assert_str_eq(
	    session_parcel_listener(parcel.data, parcel.length), "a");
	ck_assert_int_eq(session_adopt(b->proxy, b->config, parcel.data,
			     parcel.length, fds, (size_t)count),
	    0);
	got(b, fd, "under way");
	echoes(fd);
	ck_assert_uint_eq(proxy_connections(b->proxy), 1);
	ck_assert_uint_eq(bench_session_id(b, 0), id);
	end(fd);
}
END_TEST

/* Adopt what is in parcel; the descriptors are closed whatever comes of it. */
static int
adopt(const struct config *config, size_t length, int fd)
{
	int before = bench_fds(), copy = fcntl(fd, F_DUPFD_CLOEXEC, 3), err;

	err = session_adopt(b->proxy, config, parcel.data, length, &copy, 1);
	ck_assert_int_eq(bench_fds(), before);
	return err;
}

START_TEST(what_is_no_parcel_is_refused)
{
	int fd = begin("mode = echo");
	struct session *session = freeze();
	size_t length, i;
	unsigned config;
	char was;

	for (length = 0; length < parcel.length; length++) {
		ck_assert_int_eq(
		    session_parcel_config(parcel.data, length, &config),
		    -EBADMSG);
		ck_assert_ptr_null(
		    session_parcel_listener(parcel.data, length));
		if (length % 16 == 0)
			ck_assert_int_eq(
			    adopt(b->config, length, fds[0]), -EBADMSG);
	}
	/* Any other byte is either refused or read, and never too far. */
	for (i = 0; i < parcel.length; i++) {
		was = parcel.data[i];
		parcel.data[i] = (char)~was;
		(void)session_parcel_config(
		    parcel.data, parcel.length, &config);
		(void)session_parcel_listener(parcel.data, parcel.length);
		parcel.data[i] = was;
	}
	parcel.data[0] = (char)~parcel.data[0];
	ck_assert_int_eq(adopt(b->config, parcel.length, fds[0]), -EBADMSG);
	parcel.data[0] = (char)~parcel.data[0];
	/* Another number of descriptors than it has. */
	ck_assert_int_eq(session_adopt(b->proxy, b->config, parcel.data,
			     parcel.length, NULL, 0),
	    -EBADMSG);
	session_thaw(session);
	(void)close(fds[0]);
	echoes(fd);
	end(fd);
}
END_TEST

START_TEST(one_of_a_listener_that_is_not_there_is_refused)
{
	struct config_builder *builder = config_builder_new();
	struct config *other;
	int fd = begin("mode = echo");
	struct session *session = freeze();
	static const char text[] =
	    "[listener z]\nlisten = 127.0.0.1:0\nmode = echo\n";

	(void)config_builder_read_text(builder, "t", text, strlen(text));
	ck_assert_int_eq(config_builder_finish(builder, &other), 0);
	config_builder_free(builder);
	ck_assert_int_eq(adopt(other, parcel.length, fds[0]), -ENOENT);
	config_unref(other);
	session_thaw(session);
	(void)close(fds[0]);
	echoes(fd);
	end(fd);
}
END_TEST

START_TEST(one_that_cannot_move_says_so_and_goes_on)
{
	int fd = begin("mode = pipe\npipe = exec:cat");
	struct session *session;

	session_move_begin(b->proxy);
	session = session_move_next(b->proxy);
	ck_assert_int_eq(
	    session_freeze(session, 0, &parcel, fds, &ref), -ENOTSUP);
	ck_assert_uint_eq(parcel.length, 0);
	session_thaw(session); /* does nothing */
	echoes(fd);
	(void)close(fd);
	until(b, bench_children(b) == 0);
	end(-1);
}
END_TEST

START_TEST(one_that_is_killed_meanwhile_tells_who_froze_it)
{
	int fd = begin("mode = echo");

	(void)freeze();
	ck_assert_int_eq(proxy_kill(b->proxy, bench_session_id(b, 0)), 0);
	until(b, ref == NULL);
	(void)close(fds[0]);
	until(b, *ended(fd) != '\0');
	end(fd);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("session_move");
	TCase *tc = tcase_create("session_move");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, a_frozen_one_reads_nothing_until_it_is_thawed);
	tcase_add_test(tc, one_goes_on_where_it_was_adopted);
	tcase_add_test(tc, what_is_no_parcel_is_refused);
	tcase_add_test(tc, one_of_a_listener_that_is_not_there_is_refused);
	tcase_add_test(tc, one_that_cannot_move_says_so_and_goes_on);
	tcase_add_test(tc, one_that_is_killed_meanwhile_tells_who_froze_it);
	suite_add_tcase(suite, tc);
	return support_run(suite);
}
