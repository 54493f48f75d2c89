/*
 * What the tests of sockets and servers share. Peers are plain descriptors of
 * the same thread, so that one turn of the loop is all that ever happens
 * between two lines of a test.
 */
#include "config.h"

#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

/* A prime, so that no buffer's size hides bytes that moved. */
#define PATTERN 65521

struct weir_loop *loop;

static struct event *tick;
static size_t descriptors_before;
static uint64_t waiting_since;
static unsigned char table[PATTERN];
static unsigned paths;

/* ---- the loop ---- */

size_t
descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL)
		n++;
	(void)closedir(dir);
	return n;
}

static void
on_tick(evutil_socket_t fd, short what, void *user)
{
	(void)fd;
	(void)what;
	(void)user;
}

static void
fill_table(void)
{
	uint32_t x = 1;
	size_t i;

	for (i = 0; i < PATTERN; i++) {
		x = x * 1664525U + 1013904223U;
		table[i] = (unsigned char)(x >> 24);
	}
}

void
support_tick(void)
{
	fill_table();
	tick = event_new(weir_loop_base(loop), -1, 0, on_tick, NULL);
	ck_assert_ptr_nonnull(tick);
	waiting_since = 0;
}

void
support_untick(void)
{
	event_free(tick);
}

void
support_begin(void)
{
	descriptors_before = descriptors();
	ck_assert_int_eq(weir_loop_new(&loop, NULL), 0);
	support_tick();
}

void
support_end(void)
{
	support_untick();
	weir_loop_free(loop);
	remove_paths();
	ck_assert_uint_eq(descriptors(), descriptors_before);
}

void
turn(void)
{
	static const struct timeval soon = {.tv_usec = 2000};

	/* Where memory is refused it may be this: then do not wait. */
	ck_assert_int_ne(
	    event_base_loop(weir_loop_base(loop),
		event_add(tick, &soon) == 0 ? EVLOOP_ONCE : EVLOOP_NONBLOCK),
	    -1);
}

void
glance(void)
{
	(void)event_base_loop(weir_loop_base(loop), EVLOOP_NONBLOCK);
}

void
still_in_time(const char *what, const char *file, int line)
{
	const char *scale = getenv("WEIR_TIME_SCALE");
	uint64_t now = weir_loop_now_ms(loop);
	uint64_t most =
	    15000 *
	    (scale != NULL && atoi(scale) > 0 ? (uint64_t)atoi(scale) : 1);

	if (what == NULL)
		waiting_since = 0;
	else if (waiting_since == 0)
		waiting_since = now;
	else if (now - waiting_since > most)
		ck_abort_msg("%s:%d: never came: %s", file, line, what);
}

static void
on_over(struct weir_timer *timer, void *user)
{
	(void)timer;
	*(bool *)user = true;
}

unsigned
turns_in(unsigned ms)
{
	struct weir_timer *timer;
	bool over = false;
	unsigned n = 0;

	(void)event_del(tick);
	ck_assert_int_eq(weir_timer_new(&timer, loop, on_over, &over), 0);
	ck_assert_int_eq(weir_timer_start(timer, ms), 0);
	for (; !over; n++)
		(void)event_base_loop(weir_loop_base(loop), EVLOOP_ONCE);
	weir_timer_free(timer);
	return n;
}

void
settle(void)
{
	int i;

	for (i = 0; i < 16; i++)
		glance();
}

/* ---- watchers ---- */

static void
note(struct watcher *w, const char *what)
{
	size_t length = strlen(w->told);

	w->calls++;
	/* Data in many pieces is one word. */
	if (strcmp(what, "data") != 0 || length < 5 ||
	    strcmp(w->told + length - 5, "data ") != 0) {
		ck_assert_uint_lt(length + strlen(what) + 2, sizeof(w->told));
		(void)snprintf(
		    w->told + length, sizeof(w->told) - length, "%s ", what);
	}
	if (w->act != NULL)
		w->act(w, what);
}

bool
was_told(const struct watcher *w, const char *name)
{
	const char *at = w->told;
	size_t length = strlen(name);

	while (*at != '\0') {
		size_t word = strcspn(at, " ");

		if (word == length && memcmp(at, name, length) == 0)
			return true;
		at += word + 1;
	}
	return false;
}

static void
on_lookup(struct weir_socket *socket, int err,
    const struct weir_address *address, const char *host, void *user)
{
	(void)socket;
	(void)err;
	(void)address;
	(void)host;
	note(user, "lookup");
}

static void
on_attempt(
    struct weir_socket *socket, const struct weir_address *address, void *user)
{
	(void)socket;
	(void)address;
	note(user, "attempt");
}

static void
on_attempt_failed(struct weir_socket *socket,
    const struct weir_address *address, int err, void *user)
{
	(void)socket;
	(void)address;
	ck_assert_int_lt(err, 0);
	note(user, "failed");
}

static void
on_connect(struct weir_socket *socket, void *user)
{
	(void)socket;
	note(user, "connect");
}

static void
on_ready(struct weir_socket *socket, void *user)
{
	(void)socket;
	note(user, "ready");
}

static void
on_data(struct weir_socket *socket, const void *data, size_t length, void *user)
{
	struct watcher *w = user;

	(void)socket;
	ck_assert_uint_gt(length, 0);
	if (w->discard) {
		w->length += length;
		note(w, "data");
		return;
	}
	if (w->length + length > w->room) {
		w->room = (w->length + length) * 2;
		w->data = realloc(w->data, w->room);
		ck_assert_ptr_nonnull(w->data);
	}
	memcpy(w->data + w->length, data, length);
	w->length += length;
	note(w, "data");
}

static void
on_end(struct weir_socket *socket, void *user)
{
	(void)socket;
	note(user, "end");
}

static void
on_timeout(struct weir_socket *socket, void *user)
{
	struct watcher *w = user;

	(void)socket;
	w->timeouts++;
	note(user, "timeout");
}

static void
on_drain(struct weir_socket *socket, void *user)
{
	struct watcher *w = user;

	ck_assert_uint_eq(weir_socket_buffered(socket), 0);
	w->drains++;
	note(user, "drain");
}

static void
on_full(struct weir_socket *socket, int err, void *user)
{
	struct watcher *w = user;

	(void)socket;
	w->full = err;
	note(user, "full");
}

static void
on_broken(struct weir_socket *socket, int err, void *user)
{
	struct watcher *w = user;

	(void)socket;
	ck_assert_int_lt(err, 0);
	w->broken = err;
	note(user, "broken");
}

static void
on_error(struct weir_socket *socket, int err, void *user)
{
	struct watcher *w = user;

	(void)socket;
	ck_assert_int_lt(err, 0);
	w->error = err;
	note(user, "error");
}

static void
on_close(struct weir_socket *socket, int err, void *user)
{
	struct watcher *w = user;

	ck_assert(weir_socket_dormant(socket));
	ck_assert_int_eq(weir_socket_fd(socket), -1);
	ck_assert_int_eq(err, w->error);
	w->closed = err;
	w->closes++;
	note(user, "close");
}

#define ALL_BUT_DATA                                                           \
	.on_lookup = on_lookup, .on_attempt = on_attempt,                      \
	.on_attempt_failed = on_attempt_failed, .on_connect = on_connect,      \
	.on_ready = on_ready, .on_end = on_end, .on_timeout = on_timeout,      \
	.on_drain = on_drain, .on_full = on_full, .on_broken = on_broken,      \
	.on_error = on_error, .on_close = on_close

const struct weir_socket_handlers loud = {ALL_BUT_DATA, .on_data = on_data};
const struct weir_socket_handlers quiet = {ALL_BUT_DATA};

void
watch_new(struct watcher *w, const struct weir_socket_handlers *handlers,
    bool allow_half_open)
{
	const struct weir_socket_options options = {
	    .allow_half_open = allow_half_open,
	};

	ck_assert_int_eq(
	    weir_socket_new(&w->socket, loop, &options, handlers, w), 0);
}

void
watch_fd(struct watcher *w, const struct weir_socket_handlers *handlers,
    bool allow_half_open, int fd)
{
	watch_new(w, handlers, allow_half_open);
	ck_assert_int_eq(weir_socket_open_fd(w->socket, fd, true, true), 0);
}

void
forget_watcher(struct watcher *w)
{
	weir_socket_free(w->socket);
	free(w->data);
	memset(w, 0, sizeof(*w));
}

/* ---- peers ---- */

static void
set_nonblocking(int fd)
{
	ck_assert_int_eq(
	    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

static char *
path_for(char *path, size_t size, unsigned n)
{
	(void)snprintf(
	    path, size, "/tmp/weir-check-%ld-%u.sock", (long)getpid(), n);
	return path;
}

struct weir_address
address_for(enum kind kind)
{
	struct weir_address address;
	char path[64];

	if (kind == UNIX) {
		(void)unlink(path_for(path, sizeof(path), paths));
		ck_assert_int_eq(
		    weir_address_set_unix(
			&address, path_for(path, sizeof(path), paths++), false),
		    0);
	} else {
		ck_assert_int_eq(weir_address_set_ip(&address,
				     kind == TCP4 ? "127.0.0.1" : "::1", 0),
		    0);
	}
	return address;
}

void
remove_paths(void)
{
	char path[64];

	while (paths > 0)
		(void)unlink(path_for(path, sizeof(path), --paths));
}

int
listening_fd(enum kind kind, struct weir_address *at)
{
	int fd;

	*at = address_for(kind);
	fd = socket(at->u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(bind(fd, &at->u.sa, at->length), 0);
	ck_assert_int_eq(listen(fd, 16), 0);
	at->length = sizeof(at->u);
	ck_assert_int_eq(getsockname(fd, &at->u.sa, &at->length), 0);
	return fd;
}

int
connected_fd(const struct weir_address *to)
{
	int fd = socket(to->u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(connect(fd, &to->u.sa, to->length), 0);
	set_nonblocking(fd);
	return fd;
}

void
stream_pair(enum kind kind, int fds[2])
{
	struct weir_address at;
	int fd;

	if (kind == UNIX) {
		ck_assert_int_eq(
		    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	} else {
		fd = listening_fd(kind, &at);
		fds[1] = connected_fd(&at);
		fds[0] = accept(fd, NULL, NULL);
		ck_assert_int_ne(fds[0], -1);
		ck_assert_int_eq(close(fd), 0);
	}
	set_nonblocking(fds[0]);
	set_nonblocking(fds[1]);
}

int
watched_pair(enum kind kind, struct watcher *w,
    const struct weir_socket_handlers *handlers, bool allow_half_open)
{
	int fds[2];

	stream_pair(kind, fds);
	watch_fd(w, handlers, allow_half_open, fds[0]);
	return fds[1];
}

void
say(int fd, const char *text)
{
	ck_assert_int_eq(
	    send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static bool
readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

bool
silent_fd(int fd)
{
	return !readable(fd);
}

void
expect(int fd, const char *text)
{
	char got[4096];
	size_t length = 0, wanted = strlen(text);
	ssize_t n;

	ck_assert_uint_lt(wanted, sizeof(got));
	while (length < wanted) {
		until(readable(fd));
		n = read(fd, got + length, wanted - length);
		if (n <= 0)
			ck_abort_msg("instead of \"%s\" came \"%.*s\" and %s",
			    text, (int)length, got,
			    n == 0 ? "the end" : strerror(errno));
		length += (size_t)n;
	}
	got[length] = '\0';
	ck_assert_str_eq(got, text);
}

void
expect_end(int fd)
{
	char byte;

	until(readable(fd));
	ck_assert_int_eq(read(fd, &byte, 1), 0);
}

void
expect_reset(int fd)
{
	char byte;

	until(readable(fd));
	ck_assert_int_eq(read(fd, &byte, 1), -1);
	ck_assert_int_eq(errno, ECONNRESET);
}

void
reset_fd(int fd)
{
	static const struct linger now = {.l_onoff = 1, .l_linger = 0};

	ck_assert_int_eq(
	    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	ck_assert_int_eq(close(fd), 0);
}

/* ---- the pattern ---- */

unsigned char
pattern(uint64_t n)
{
	return table[n % PATTERN];
}

unsigned char *
pattern_bytes(uint64_t from, size_t length)
{
	unsigned char *bytes = malloc(length);
	size_t i;

	ck_assert_ptr_nonnull(bytes);
	for (i = 0; i < length; i++)
		bytes[i] = pattern(from + i);
	return bytes;
}

size_t
stuff_most(int fd, uint64_t from, uint64_t most)
{
	size_t at = 0, part;
	ssize_t n;

	while (at < most) {
		part = PATTERN - (from + at) % PATTERN;
		if (part > most - at)
			part = most - at;
		n = write(fd, table + (from + at) % PATTERN, part);
		if (n == -1 && errno == EAGAIN)
			break;
		ck_assert_int_gt(n, 0);
		at += (size_t)n;
	}
	return at;
}

size_t
stuff(int fd, uint64_t from)
{
	return stuff_most(fd, from, UINT64_MAX);
}

bool
take(int fd, uint64_t *at, size_t most)
{
	static unsigned char got[PATTERN];
	size_t part = PATTERN - *at % PATTERN;
	ssize_t n;

	n = read(fd, got, most < part ? most : part);
	if (n == -1 && errno == EAGAIN)
		return true;
	if (n == -1)
		ck_abort_msg("read: %s", strerror(errno));
	ck_assert_msg(memcmp(got, table + *at % PATTERN, (size_t)n) == 0,
	    "wrong bytes between %ju and %ju", (uintmax_t)*at,
	    (uintmax_t)*at + (uintmax_t)n);
	*at += (uint64_t)n;
	return n > 0;
}

void
shrink(int fd)
{
	int size = 4096;

	ck_assert_int_eq(
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	ck_assert_int_eq(
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
}

int
run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
