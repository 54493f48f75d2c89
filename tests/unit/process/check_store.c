/*
 * Sockets that the service manager keeps, against a socket like the manager's;
 * and what it gives back.
 */
#include "config.h"

#include "process/store.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <check.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process/notify.h"
#include "proxy/proxy.h"
#include "support.h"

static struct bench bench;
static struct bench *const b = &bench;
static struct store *store;
static struct notify *notify;
static int manager;
static char text[4096];

/* A datagram as "NAME=VALUE|NAME=VALUE, N descriptors"; "" where none came. */
static const char *
heard(void)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int) * 8)];
	} control;
	struct iovec part = {.iov_base = text, .iov_len = 4000};
	struct msghdr message = {.msg_iov = &part,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(manager, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&message) : NULL;
	size_t count = 0, i;
	char *end;
	int fd;

	text[n < 0 ? 0 : n] = '\0';
	for (end = text; *end != '\0'; end++)
		if (*end == '\n')
			*end = '|';
	if (c == NULL)
		return text;
	count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(fd);
	for (i = 0; i < count; i++) {
		memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
		ck_assert_int_eq(close(fd), 0);
	}
	(void)sprintf(end, ", %zu", count);
	return text;
}

static void
hears(const char *part)
{
	const char *all = heard();

	ck_assert_msg(*part == '\0' ? *all == '\0' : strstr(all, part) != NULL,
	    "\"%s\", not \"%s\"", all, part);
}

static void
setup(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char name[64], *error = NULL;
	socklen_t length;

	memset(b, 0, sizeof(*b));
	(void)snprintf(name, sizeof(name), "@weir-check-store-%d", getpid());
	memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
	length =
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(manager, (struct sockaddr *)&address, length), 0);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
	ck_assert_int_eq(notify_new(&notify, &error), 0);
	store = NULL;
}

static void
teardown(void)
{
	store_free(store);
	notify_free(notify);
	(void)close(manager);
}

/* What is passed under these names, each a copy of standard input. */
static struct listen_fds
passed(char *const *names, size_t count)
{
	struct listen_fds fds = {.count = count};
	size_t i;

	fds.fds = calloc(count + 1, sizeof(*fds.fds));
	for (i = 0; i < count; i++) {
		fds.fds[i].name = names[i];
		fds.fds[i].fd = dup(0);
	}
	return fds;
}

START_TEST(what_came_back_is_told_apart_from_what_was_passed)
{
	static char names[][32] = {"web", "weir=a=127.0.0.1:80", "",
	    "weir=b%20c=/run/x%3Dy%25", "weir=none", "weir=%zz%4=%", "weir=="};
	char *rows[7];
	struct proxy_handed_fd *sockets;
	struct listen_fds fds;
	size_t count, i;

	for (i = 0; i < 7; i++)
		rows[i] = names[i];
	fds = passed(rows, 7);
	ck_assert_int_eq(store_new(&store, &fds), 0);
	/* Those that are not ours, in their order. */
	ck_assert_uint_eq(fds.count, 3);
	ck_assert_str_eq(fds.fds[0].name, "web");
	ck_assert_str_eq(fds.fds[1].name, "");
	ck_assert_str_eq(fds.fds[2].name, "weir=none");
	sockets = store_sockets(store, &count);
	ck_assert_uint_eq(count, 4);
	ck_assert_str_eq(sockets[0].listener, "a");
	ck_assert_str_eq(sockets[0].text, "127.0.0.1:80");
	ck_assert_str_eq(sockets[1].listener, "b c");
	ck_assert_str_eq(sockets[1].text, "/run/x=y%");
	ck_assert_str_eq(sockets[2].listener, "%zz%4");
	ck_assert_str_eq(sockets[2].text, "%");
	ck_assert_str_eq(sockets[3].listener, "");
	ck_assert(!store_used(store));
	for (i = 0; i < count; i++)
		(void)close(sockets[i].fd);
	for (i = 0; i < fds.count; i++)
		(void)close(fds.fds[i].fd);
	free(fds.fds);
}
END_TEST

static void
note_fd(const char *listener, const char *listen, int fd, bool inherited,
    void *user)
{
	(void)listener;
	(void)listen;
	(void)inherited;
	*(int *)user = fd;
}

static int
listening_fd(void)
{
	int fd = -1;

	proxy_each_listening(b->proxy, note_fd, &fd);
	return fd;
}

static const struct store_control_socket no_control = {.path = NULL};

static void
sync_all(const struct store_control_socket *control)
{
	ck_assert_int_eq(store_sync(store, notify, b->proxy, control), 0);
}

START_TEST(what_is_listened_on_is_kept_and_what_was_is_forgotten)
{
	static char old[] = "weir=old=*%3A1";
	char *rows[] = {old};
	struct listen_fds fds = passed(rows, 1);

	ck_assert_int_eq(store_new(&store, &fds), 0);
	(void)close(store_sockets(store, &(size_t){0})->fd);
	free(fds.fds);
	bench_start(b,
	    "[weir]\ncontrol = off\n[listener a]\nlisten = 127.0.0.1:0\n"
	    "mode = echo\n[listener c]\nlisten = unix:@weir=check%d\nmode = echo\n",
	    getpid());
	sync_all(&no_control);
	hears("FDSTOREREMOVE=1|FDNAME=weir=old=*%3A1");
	hears("FDSTORE=1");
	ck_assert_ptr_nonnull(strstr(text, "FDNAME=weir=a=127.0.0.1%3A0"));
	ck_assert_ptr_nonnull(strstr(text, ", 1"));
	hears("FDNAME=weir=c=unix%3A@weir%3Dcheck");
	hears("");
	ck_assert(store_used(store));
	/* What stays is not told again. */
	sync_all(&no_control);
	hears("");
	/* One that is closed is not kept any more; another is, when it is
	 * opened again. */
	ck_assert_int_eq(proxy_listener_close(b->proxy, "c"), 0);
	sync_all(&no_control);
	hears("FDSTOREREMOVE=1|FDNAME=weir=c=");
	hears("");
	ck_assert_int_eq(proxy_listener_open(b->proxy, "c"), 0);
	sync_all(&no_control);
	hears("FDSTORE=1");
	ck_assert_ptr_nonnull(strstr(text, "FDNAME=weir=c="));
	hears("");
	bench_close(b);
}
END_TEST

/* Of a range, say: a name stands for all of its sockets. */
START_TEST(one_of_a_name_that_goes_takes_the_others_along)
{
	static char name[] = "weir=a=127.0.0.1%3A0";
	struct proxy_handed_fd before = {.listener = "a"};
	char *rows[] = {name};
	struct listen_fds fds = passed(rows, 1);

	ck_assert_int_eq(store_new(&store, &fds), 0);
	free(fds.fds);
	bench_start(b,
	    "[weir]\ncontrol = off\n[listener a]\nlisten = 127.0.0.1:0\n"
	    "mode = echo\n");
	sync_all(&no_control);
	hears("FDSTOREREMOVE=1");
	hears("FDSTORE=1");
	hears("");
	before.text = "127.0.0.1:0";
	before.fd = store_sockets(store, &(size_t){0})->fd;
	ck_assert_int_eq(store_inherit(store, &before, 1), 0);
	sync_all(&no_control);
	hears("FDSTOREREMOVE=1");
	hears("FDSTORE=1");
	hears("");
	bench_close(b);
	(void)close(before.fd);
}
END_TEST

/* Its program may have kept them or not. */
START_TEST(what_the_program_before_listened_on_is_told_again_or_forgotten)
{
	struct proxy_handed_fd before[] = {
	    {.listener = "gone", .text = "*:1"}, {.listener = "a"}};
	struct listen_fds fds = {.count = 0};
	const char *at;

	ck_assert_int_eq(store_new(&store, &fds), 0);
	bench_start(b,
	    "[weir]\ncontrol = off\n[listener a]\nlisten = unix:@weir-in%d\n"
	    "mode = echo\n",
	    getpid());
	sync_all(&no_control);
	hears("FDNAME=weir=a=");
	store_free(store);
	ck_assert_int_eq(store_new(&store, &fds), 0);
	at = b->config->listeners[0]->listen[0].text;
	before[1].text = at;
	before[1].fd = listening_fd();
	before[0].fd = STDIN_FILENO;
	ck_assert_int_eq(store_inherit(store, before, 2), 0);
	sync_all(&no_control);
	hears("FDSTOREREMOVE=1|FDNAME=weir=gone=*%3A1");
	hears("FDSTORE=1");
	hears("");
	sync_all(&no_control);
	hears("");
	bench_close(b);
}
END_TEST

START_TEST(the_control_socket_is_kept_too)
{
	char path[64], name[80];
	char *rows[] = {name};
	struct store_control_socket control = {.path = path};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct listen_fds fds = {.count = 0};
	int fd;

	(void)snprintf(path, sizeof(path), "/tmp/check_store.%d", getpid());
	(void)snprintf(name, sizeof(name), "weir==%s", path);
	control.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(address.sun_path, path);
	ck_assert_int_eq(
	    bind(control.fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(store_new(&store, &fds), 0);
	bench_start(b,
	    "[weir]\ncontrol = off\n[listener a]\nlisten = 127.0.0.1:0\n"
	    "mode = echo\n");
	ck_assert(!store_has_control(store));
	sync_all(&control);
	ck_assert(store_has_control(store));
	hears(name);
	hears("FDNAME=weir=a=");
	hears("");
	sync_all(&no_control);
	ck_assert(!store_has_control(store));
	hears("FDSTOREREMOVE=1|FDNAME=weir==");
	store_free(store);
	/* It comes back, while it has its file. */
	fds = passed(rows, 1);
	ck_assert_int_eq(store_new(&store, &fds), 0);
	ck_assert_int_eq(store_control(store, "/tmp"), -1);
	fd = store_control(store, path);
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(store_control(store, path), -1);
	(void)close(fd);
	free(fds.fds);
	store_free(store);
	ck_assert_int_eq(unlink(path), 0);
	fds = passed(rows, 1);
	ck_assert_int_eq(store_new(&store, &fds), 0);
	ck_assert_int_eq(store_control(store, path), -1);
	(void)close(store_sockets(store, &(size_t){0})->fd);
	free(fds.fds);
	bench_close(b);
	(void)close(control.fd);
}
END_TEST

/* A manager that is slow holds up nobody, and in the end has all. */
START_TEST(what_there_is_no_room_for_is_told_later)
{
	struct listen_fds fds = {.count = 0};
	size_t heard_of = 0;
	int err = -EAGAIN, rounds;

	ck_assert_int_eq(store_new(&store, &fds), 0);
	bench_start(b,
	    "[weir]\ncontrol = off\n[listener a]\nlisten = 127.0.0.1:0\n"
	    "mode = echo\n");
	while (notify_status(notify, "full") == 0)
		;
	for (rounds = 0; err == -EAGAIN; rounds++) {
		err = store_sync(store, notify, b->proxy, &no_control);
		ck_assert(err == 0 || err == -EAGAIN);
		(void)heard();
	}
	ck_assert_int_gt(rounds, 1);
	while (*heard() != '\0')
		heard_of += strstr(text, "FDNAME=weir=a=") != NULL;
	ck_assert_uint_eq(heard_of, 1);
	bench_close(b);
}
END_TEST

START_TEST(a_name_that_would_be_too_long_tells_nothing)
{
	struct listen_fds fds = {.count = 0};
	char signs[81];

	memset(signs, '=', sizeof(signs) - 1);
	signs[sizeof(signs) - 1] = '\0';
	ck_assert_int_eq(store_new(&store, &fds), 0);
	bench_start(b,
	    "[weir]\ncontrol = off\n[listener a-name-of-some-length]\n"
	    "listen = unix:@%d%s\nmode = echo\n",
	    getpid(), signs);
	sync_all(&no_control);
	hears("FDNAME=weir==");
	bench_close(b);
}
END_TEST

START_TEST(without_a_manager_nothing_is_kept)
{
	struct listen_fds fds = {.count = 0};

	ck_assert_int_eq(store_new(&store, &fds), 0);
	bench_start(b,
	    "[weir]\ncontrol = off\n[listener a]\nlisten = 127.0.0.1:0\n"
	    "mode = echo\n");
	ck_assert_int_eq(store_sync(NULL, notify, b->proxy, &no_control), 0);
	ck_assert_int_eq(store_sync(store, NULL, b->proxy, &no_control), 0);
	hears("");
	ck_assert(!store_used(store));
	ck_assert(!store_used(NULL));
	store_free(NULL);
	bench_close(b);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("store");
	TCase *tc = tcase_create("store");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_came_back_is_told_apart_from_what_was_passed);
	tcase_add_test(
	    tc, what_is_listened_on_is_kept_and_what_was_is_forgotten);
	tcase_add_test(tc, one_of_a_name_that_goes_takes_the_others_along);
	tcase_add_test(
	    tc, what_the_program_before_listened_on_is_told_again_or_forgotten);
	tcase_add_test(tc, the_control_socket_is_kept_too);
	tcase_add_test(tc, what_there_is_no_room_for_is_told_later);
	tcase_add_test(tc, a_name_that_would_be_too_long_tells_nothing);
	tcase_add_test(tc, without_a_manager_nothing_is_kept);
	suite_add_tcase(suite, tc);
	return support_run(suite);
}
