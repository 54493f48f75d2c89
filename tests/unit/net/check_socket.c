/*
 * The socket's verbs in every state, its life from opening to on_close and
 * over again, and handlers that free what they please.
 */
#include "config.h"

#include <sys/resource.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>

#include "support.h"

/* ---- writing ---- */

START_TEST(a_write_that_the_kernel_takes_is_done_at_once)
{
	struct watcher w = {0};
	int fd = watched_pair((enum kind)_i, &w, &loud, true);

	ck_assert_int_eq(weir_socket_write(w.socket, "hello", 5), 0);
	ck_assert_int_eq(weir_socket_write(w.socket, NULL, 0), 0);
	ck_assert_uint_eq(weir_socket_buffered(w.socket), 0);
	ck_assert_uint_eq(weir_socket_bytes_written(w.socket), 5);
	ck_assert_uint_eq(weir_socket_bytes_delivered(w.socket), 5);
	expect(fd, "hello");
	say(fd, "answer");
	until(w.length == 6);
	ck_assert_uint_eq(weir_socket_bytes_read(w.socket), 6);
	ck_assert_uint_eq(w.drains, 0);
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

/* In the handlers' lane and in that of pipes. */
START_TEST(a_write_that_waits_drains_once_and_in_order)
{
	struct watcher w = {0};
	int fd = watched_pair(TCP4, &w, _i == 0 ? &loud : &quiet, true);
	size_t length = 8 * 1024 * 1024, waits;
	unsigned char *bytes = pattern_bytes(0, 2 * length);
	uint64_t got = 0;

	ck_assert_int_eq(weir_socket_write(w.socket, bytes, length), WEIR_WAIT);
	waits = weir_socket_buffered(w.socket);
	ck_assert_uint_gt(waits, 0);
	ck_assert_uint_eq(weir_socket_bytes_written(w.socket), length);
	ck_assert_uint_eq(
	    weir_socket_bytes_delivered(w.socket), length - waits);
	ck_assert_int_eq(
	    weir_socket_write(w.socket, bytes + length, length), WEIR_WAIT);
	ck_assert_uint_lt(turns_in(30), 20);
	while (got < 2 * length) {
		until(!silent_fd(fd));
		ck_assert(take(fd, &got, 2 * length - got));
	}
	until(w.drains == 1);
	ck_assert_str_eq(w.told, "drain ");
	ck_assert_uint_eq(weir_socket_bytes_delivered(w.socket), 2 * length);
	/* Afterwards the kernel takes writes at once again. */
	ck_assert_int_eq(weir_socket_write(w.socket, "more", 4), 0);
	expect(fd, "more");
	ck_assert_uint_eq(w.drains, 1);
	free(bytes);
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(a_file_that_takes_a_part_of_a_write_is_written_on)
{
	struct watcher w = {0};
	struct rlimit was, small;
	char path[] = "/tmp/weir-check-XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &was), 0);
	small = was;
	small.rlim_cur = 10;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	watch_new(&w, &quiet, true);
	ck_assert_int_eq(weir_socket_open_fd(w.socket, fd, false, true), 0);
	ck_assert_int_eq(
	    weir_socket_write(w.socket, "0123456789abcdef", 16), WEIR_WAIT);
	ck_assert_uint_eq(weir_socket_buffered(w.socket), 6);
	until(w.closes == 1);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &was), 0);
	ck_assert_int_eq(w.closed, -EFBIG);
	ck_assert_uint_eq(weir_socket_bytes_delivered(w.socket), 10);
	forget_watcher(&w);
}
END_TEST

START_TEST(writes_that_cannot_be_are_refused_and_change_nothing)
{
	struct watcher w = {0};
	int fd = watched_pair(TCP4, &w, &loud, true);

	ck_assert_int_eq(weir_socket_write(NULL, "x", 1), -EINVAL);
	ck_assert_int_eq(weir_socket_write(w.socket, NULL, 1), -EINVAL);
	ck_assert_int_eq(weir_socket_end(w.socket), 0);
	ck_assert_int_eq(
	    weir_socket_write(w.socket, "x", 1), WEIR_E_WRITE_AFTER_END);
	ck_assert_int_eq(weir_socket_end(w.socket), 0);
	ck_assert_uint_eq(weir_socket_bytes_written(w.socket), 0);
	expect_end(fd);
	weir_socket_destroy(w.socket, 0);
	ck_assert_int_eq(
	    weir_socket_write(w.socket, "x", 1), WEIR_E_SOCKET_CLOSED);
	ck_assert_int_eq(weir_socket_end(w.socket), WEIR_E_SOCKET_CLOSED);
	ck_assert_int_eq(weir_socket_end(NULL), -EINVAL);
	until(w.closes == 1);
	ck_assert_int_eq(weir_socket_end(w.socket), WEIR_E_SOCKET_CLOSED);
	ck_assert_str_eq(w.told, "close ");
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(a_write_to_a_peer_that_left_is_an_error_from_the_loop)
{
	struct watcher w = {0};
	int fd = watched_pair(UNIX, &w, _i == 0 ? &loud : &quiet, true), r;

	ck_assert_int_eq(close(fd), 0);
	r = weir_socket_write(w.socket, "x", 1);
	ck_assert_int_eq(r, WEIR_WAIT);
	ck_assert_uint_eq(w.calls, 0);
	until(w.closes == 1);
	ck_assert_str_eq(w.told, "error close ");
	ck_assert_int_eq(w.closed, -EPIPE);
	forget_watcher(&w);
}
END_TEST

/* ---- ends ---- */

START_TEST(an_end_comes_after_what_is_queued)
{
	struct watcher w = {0};
	int fd = watched_pair(TCP4, &w, _i == 0 ? &loud : &quiet, true);
	size_t length = 6 * 1024 * 1024;
	unsigned char *bytes = pattern_bytes(0, length);
	uint64_t got = 0;

	ck_assert_int_eq(weir_socket_write(w.socket, bytes, length), WEIR_WAIT);
	ck_assert_int_eq(weir_socket_end(w.socket), 0);
	ck_assert(weir_socket_write_ended(w.socket));
	while (got < length) {
		until(!silent_fd(fd));
		ck_assert(take(fd, &got, length - got));
	}
	expect_end(fd);
	weir_socket_resume(w.socket);
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	until(w.closes == 1);
	ck_assert_int_eq(w.closed, 0);
	ck_assert(was_told(&w, "end"));
	free(bytes);
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(without_half_open_the_peers_end_is_answered)
{
	struct watcher w = {0};
	int fd = watched_pair((enum kind)_i, &w, &loud, false);

	say(fd, "bye");
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	expect_end(fd);
	until(w.closes == 1);
	ck_assert_str_eq(w.told, "data end close ");
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

static void
open_half(struct watcher *w, bool readable, bool writable, int *peer)
{
	int fds[2];

	stream_pair(UNIX, fds);
	watch_new(w, &loud, true);
	ck_assert_int_eq(
	    weir_socket_open_fd(w->socket, fds[0], readable, writable), 0);
	*peer = fds[1];
}

START_TEST(a_side_that_is_not_open_counts_as_ended)
{
	struct watcher w = {0};
	int fd;

	open_half(&w, true, false, &fd);
	ck_assert_int_eq(weir_socket_ready_state(w.socket), WEIR_READ_ONLY);
	ck_assert_int_eq(
	    weir_socket_write(w.socket, "x", 1), WEIR_E_WRITE_AFTER_END);
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	until(w.closes == 1);
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);

	open_half(&w, false, true, &fd);
	ck_assert_int_eq(weir_socket_ready_state(w.socket), WEIR_WRITE_ONLY);
	ck_assert_int_eq(weir_socket_write(w.socket, "x", 1), 0);
	ck_assert_int_eq(weir_socket_end(w.socket), 0);
	until(w.closes == 1);
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);

	open_half(&w, false, false, &fd);
	until(w.closes == 1);
	ck_assert_str_eq(w.told, "close ");
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

/* ---- closing in every state ---- */

enum verb { DESTROY, DESTROY_SOON, RESET, END, FREE, VERBS };
enum state {
	NEW,
	LOOKING_UP,
	CONNECTING,
	OPEN,
	READ_ENDED,
	WRITE_ENDED,
	WAITING, /* to write */
	PAUSED,
	PIPED,
	CLOSING,
	CLOSED,
	STATES,
};

static void
bring_to(enum state state, struct watcher *w, int *fd, int *listener)
{
	struct weir_address at;
	unsigned char *bytes;

	*fd = *listener = -1;
	if (state <= CONNECTING) {
		watch_new(w, &loud, true);
		if (state == NEW)
			return;
		*listener = listening_fd(TCP4, &at);
		if (state == LOOKING_UP)
			ck_assert_int_eq(
			    weir_socket_connect_host(w->socket, "127.0.0.1",
				weir_address_port(&at), NULL),
			    0);
		else
			ck_assert_int_eq(
			    weir_socket_connect(w->socket, &at, NULL), 0);
		return;
	}
	*fd = watched_pair(TCP4, w, state == WAITING ? &quiet : &loud, true);
	if (state == READ_ENDED) {
		ck_assert_int_eq(shutdown(*fd, SHUT_WR), 0);
		until(was_told(w, "end"));
	} else if (state == WRITE_ENDED) {
		ck_assert_int_eq(weir_socket_end(w->socket), 0);
	} else if (state == WAITING) {
		bytes = pattern_bytes(0, 8 * 1024 * 1024);
		ck_assert_int_eq(
		    weir_socket_write(w->socket, bytes, 8 * 1024 * 1024),
		    WEIR_WAIT);
		free(bytes);
	} else if (state == PAUSED) {
		weir_socket_pause(w->socket);
		settle();
	} else if (state == PIPED) {
		ck_assert_int_eq(
		    weir_socket_pipe(w->socket, w->socket, NULL), 0);
		settle();
	} else if (state >= CLOSING) {
		weir_socket_destroy(w->socket, 0);
		if (state == CLOSED)
			until(w->closes == 1);
	}
}

static void
close_by(enum verb verb, struct watcher *w)
{
	switch (verb) {
	case DESTROY:
		weir_socket_destroy(w->socket, 0);
		break;
	case DESTROY_SOON:
		weir_socket_destroy_soon(w->socket);
		break;
	case RESET:
		weir_socket_reset_and_destroy(w->socket);
		break;
	case END:
		(void)weir_socket_end(w->socket);
		break;
	default:
		weir_socket_free(w->socket);
		w->socket = NULL;
		break;
	}
}

/* The peer ends too, so that each verb comes to its end. */
static void
peer_ends(int *fd, int *listener)
{
	static char bytes[64 * 1024];

	if (*listener != -1) {
		turn();
		until(!silent_fd(*listener));
		*fd = accept4(
		    *listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		ck_assert_int_ne(*fd, -1);
	}
	if (*fd == -1)
		return;
	(void)shutdown(*fd, SHUT_WR);
	for (;;) {
		ssize_t n;

		until(!silent_fd(*fd));
		n = read(*fd, bytes, sizeof(bytes));
		if (n == 0 || (n == -1 && errno != EAGAIN))
			break;
	}
}

START_TEST(every_verb_closes_once_in_every_state)
{
	struct watcher w = {0};
	enum state state = (enum state)(_i / VERBS);
	enum verb verb = (enum verb)(_i % VERBS);
	int fd, listener;
	unsigned closes;
	bool made;

	bring_to(state, &w, &fd, &listener);
	closes = state == NEW || state == CLOSED ? 0 : 1;
	if (state == CLOSED)
		w.closes = 0;
	close_by(verb, &w);
	if (verb == FREE)
		closes = 0;
	else
		ck_assert_uint_eq(w.closes, 0); /* only from the loop */
	/* One that was connecting gets there only if it was not dropped. */
	made = (state != LOOKING_UP && state != CONNECTING) || verb == END ||
	       verb == DESTROY_SOON;
	if (state == PAUSED && verb == END) /* it reads no end either */
		weir_socket_resume(w.socket);
	if (made)
		peer_ends(&fd, &listener);
	until(w.closes == closes);
	if (closes > 0) {
		ck_assert(weir_socket_dormant(w.socket));
		ck_assert_int_eq(
		    weir_socket_ready_state(w.socket), WEIR_CLOSED);
		close_by(verb, &w);
	}
	settle();
	ck_assert_uint_eq(w.closes, closes);
	forget_watcher(&w);
	if (fd != -1)
		ck_assert_int_eq(close(fd), 0);
	if (listener != -1)
		ck_assert_int_eq(close(listener), 0);
}
END_TEST

START_TEST(reset_and_destroy_sends_a_reset)
{
	struct watcher w = {0};
	int fd = watched_pair(TCP4, &w, &loud, true);

	weir_socket_reset_and_destroy(w.socket);
	expect_reset(fd);
	until(w.closes == 1);
	ck_assert_int_eq(w.closed, 0);
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(destroy_with_an_error_tells_it)
{
	struct watcher w = {0};
	int fd = watched_pair(TCP4, &w, &loud, true);

	weir_socket_destroy(w.socket, -EPROTO);
	weir_socket_destroy(w.socket, -EIO);
	ck_assert_int_eq(weir_socket_fd(w.socket), -1);
	until(w.closes == 1);
	ck_assert_int_eq(w.closed, -EPROTO);
	ck_assert_str_eq(w.told, "error close ");
	expect_end(fd);
	weir_socket_destroy(NULL, 0);
	weir_socket_destroy_soon(NULL);
	weir_socket_reset_and_destroy(NULL);
	weir_socket_free(NULL);
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(destroy_drops_what_is_queued_and_counts_it)
{
	struct watcher w = {0};
	int fd = watched_pair(TCP4, &w, _i == 0 ? &loud : &quiet, true);
	size_t length = 8 * 1024 * 1024;
	unsigned char *bytes = pattern_bytes(0, length);
	uint64_t got = 0, delivered;

	ck_assert_int_eq(weir_socket_write(w.socket, bytes, length), WEIR_WAIT);
	delivered = weir_socket_bytes_delivered(w.socket);
	weir_socket_destroy(w.socket, 0);
	until(w.closes == 1);
	ck_assert_uint_eq(weir_socket_bytes_written(w.socket), length);
	ck_assert_uint_eq(weir_socket_bytes_delivered(w.socket), delivered);
	do {
		until(!silent_fd(fd));
	} while (take(fd, &got, length));
	ck_assert_uint_eq(got, delivered);
	free(bytes);
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

/* ---- descriptors ---- */

START_TEST(descriptors_that_are_no_streams_are_refused_and_stay_the_callers)
{
	struct watcher w = {0};
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int file = open("/dev/null", O_RDWR | O_CLOEXEC);
	int directory = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fds[2];

	watch_new(&w, &quiet, true);
	ck_assert_int_eq(weir_socket_open_fd(NULL, file, false, true), -EINVAL);
	ck_assert_int_eq(weir_socket_open_fd(w.socket, -1, true, true), -EBADF);
	ck_assert_int_eq(
	    weir_socket_open_fd(w.socket, 9999, true, true), -EBADF);
	ck_assert_int_eq(weir_socket_open_fd(w.socket, udp, true, true),
	    WEIR_E_NOT_A_STREAM);
	ck_assert_int_eq(weir_socket_open_fd(w.socket, file, true, true),
	    WEIR_E_NOT_A_STREAM);
	ck_assert_int_eq(weir_socket_open_fd(w.socket, directory, false, true),
	    WEIR_E_NOT_A_STREAM);
	ck_assert(weir_socket_dormant(w.socket));
	stream_pair(UNIX, fds);
	ck_assert_int_eq(weir_socket_open_fd(w.socket, fds[0], true, true), 0);
	ck_assert_int_eq(weir_socket_open_fd(w.socket, file, false, true),
	    WEIR_E_SOCKET_CONNECTED);
	ck_assert_int_eq(weir_socket_fd(w.socket), fds[0]);
	forget_watcher(&w);
	ck_assert_int_eq(close(udp), 0);
	ck_assert_int_eq(close(file), 0);
	ck_assert_int_eq(close(directory), 0);
	ck_assert_int_eq(close(fds[1]), 0);
}
END_TEST

START_TEST(an_object_can_be_opened_again_and_again)
{
	struct watcher w = {0};
	int fds[2], i;

	watch_new(&w, &loud, true);
	for (i = 0; i < 4; i++) {
		w.length = 0;
		w.told[0] = '\0';
		stream_pair((enum kind)(i % 3), fds);
		ck_assert_int_eq(
		    weir_socket_open_fd(w.socket, fds[0], true, true), 0);
		ck_assert_uint_eq(weir_socket_bytes_read(w.socket), 0);
		ck_assert_uint_eq(weir_socket_bytes_written(w.socket), 0);
		say(fds[1], "ping");
		until(w.length == 4);
		ck_assert_int_eq(weir_socket_write(w.socket, "pong!", 5), 0);
		ck_assert_int_eq(weir_socket_end(w.socket), 0);
		expect(fds[1], "pong!");
		expect_end(fds[1]);
		ck_assert_int_eq(close(fds[1]), 0);
		until(w.closes == (unsigned)i + 1);
		ck_assert_str_eq(w.told, "data end close ");
		/* Totals stay until the next opening. */
		ck_assert_uint_eq(weir_socket_bytes_read(w.socket), 4);
		ck_assert_uint_eq(weir_socket_bytes_delivered(w.socket), 5);
	}
	forget_watcher(&w);
}
END_TEST

/* ---- pausing ---- */

START_TEST(a_paused_socket_reads_nothing_until_it_resumes)
{
	struct watcher w = {0};
	int fd = watched_pair(TCP4, &w, &loud, true);

	weir_socket_pause(w.socket);
	ck_assert(weir_socket_paused(w.socket));
	say(fd, "kept");
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	settle();
	ck_assert_uint_eq(w.calls, 0);
	ck_assert_uint_lt(turns_in(20), 15);
	weir_socket_resume(w.socket);
	ck_assert_uint_eq(w.calls, 0); /* from the loop */
	until(was_told(&w, "end"));
	ck_assert_str_eq(w.told, "data end ");
	ck_assert_uint_eq(w.length, 4);
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(without_handlers_for_data_it_is_read_only_when_asked)
{
	struct watcher w = {0};
	int fd = watched_pair(TCP4, &w, &quiet, true);

	say(fd, "thrown away");
	settle();
	ck_assert(weir_socket_paused(w.socket));
	ck_assert_uint_eq(weir_socket_bytes_read(w.socket), 0);
	weir_socket_resume(w.socket);
	until(weir_socket_bytes_read(w.socket) == 11);
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	until(was_told(&w, "end"));
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

/* ---- timeouts ---- */

START_TEST(a_timeout_is_told_once_until_something_moves)
{
	struct watcher w = {0};
	int fd = watched_pair(TCP4, &w, &loud, true);

	ck_assert_int_eq(weir_socket_set_timeout(NULL, 1), -EINVAL);
	ck_assert_int_eq(weir_socket_set_timeout(w.socket, 10), 0);
	until(w.timeouts == 1);
	ck_assert_uint_ge(weir_socket_idle_ms(w.socket), 10);
	(void)turns_in(40);
	ck_assert_uint_eq(w.timeouts, 1);
	say(fd, "x");
	until(w.timeouts == 2);
	ck_assert_int_eq(weir_socket_write(w.socket, "y", 1), 0);
	until(w.timeouts == 3);
	ck_assert_int_eq(weir_socket_set_timeout(w.socket, 0), 0);
	say(fd, "z");
	(void)turns_in(30);
	ck_assert_uint_eq(w.timeouts, 3);
	ck_assert(!was_told(&w, "close"));
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

static void
free_on_timeout(struct watcher *w, const char *what)
{
	if (strcmp(what, "timeout") == 0) {
		weir_socket_free(w->socket);
		w->socket = NULL;
	}
}

START_TEST(a_timeout_may_free_its_socket)
{
	struct watcher w = {.act = free_on_timeout};
	int fd = watched_pair(TCP4, &w, &loud, true);

	ck_assert_int_eq(weir_socket_set_timeout(w.socket, 1), 0);
	until(w.socket == NULL);
	settle();
	ck_assert_str_eq(w.told, "timeout ");
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(a_timeout_does_not_outlive_the_connection)
{
	struct watcher w = {0};
	int fd = watched_pair(TCP4, &w, &loud, true);

	ck_assert_int_eq(weir_socket_set_timeout(w.socket, 1), 0);
	weir_socket_destroy(w.socket, 0);
	ck_assert_int_eq(weir_socket_set_timeout(w.socket, 1), 0);
	until(w.closes == 1);
	(void)turns_in(10);
	ck_assert_str_eq(w.told, "close ");
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

/* ---- who holds the loop ---- */

static void
on_stop(struct weir_timer *timer, void *user)
{
	(void)timer;
	(void)user;
	weir_loop_stop(loop);
}

START_TEST(an_open_socket_holds_the_loop_unless_it_is_unrefd)
{
	struct watcher w = {0};
	struct weir_timer *timer;
	int fds[2];

	ck_assert_int_eq(weir_loop_run(loop), 0);
	watch_new(&w, &loud, false);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	stream_pair(UNIX, fds);
	ck_assert_int_eq(weir_socket_open_fd(w.socket, fds[0], true, true), 0);
	ck_assert_int_eq(weir_timer_new(&timer, loop, on_stop, NULL), 0);
	weir_timer_unref(timer);
	ck_assert_int_eq(weir_timer_start(timer, 5), 0);
	ck_assert_int_eq(weir_loop_run(loop), 1);
	weir_socket_unref(w.socket);
	weir_socket_unref(w.socket);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	weir_socket_ref(w.socket);
	weir_socket_ref(w.socket);
	ck_assert_int_eq(close(fds[1]), 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(w.told, "end close ");
	weir_timer_free(timer);
	forget_watcher(&w);
}
END_TEST

START_TEST(a_close_is_told_of_an_unreferenced_socket_too)
{
	struct watcher w = {0};
	int fd = watched_pair(UNIX, &w, &loud, false);

	weir_socket_unref(w.socket);
	weir_socket_destroy(w.socket, 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(w.told, "close ");
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

/* ---- questions ---- */

START_TEST(addresses_and_credentials_are_told_while_there_are_any)
{
	struct watcher w = {0};
	struct weir_address here, there, sun;
	pid_t pid;
	uid_t uid;
	gid_t gid;
	int fd;

	watch_new(&w, &quiet, true);
	ck_assert_int_eq(weir_socket_local_address(w.socket, &here), -ENOTCONN);
	ck_assert_int_eq(
	    weir_socket_remote_address(w.socket, &here), -ENOTCONN);
	ck_assert_int_eq(
	    weir_socket_peer_credentials(w.socket, &pid, &uid, &gid),
	    -ENOTCONN);
	forget_watcher(&w);
	fd = watched_pair(TCP6, &w, &quiet, true);
	ck_assert_int_eq(weir_socket_local_address(w.socket, &here), 0);
	ck_assert_int_eq(weir_socket_remote_address(w.socket, &there), 0);
	sun.length = sizeof(sun.u);
	ck_assert_int_eq(getsockname(fd, &sun.u.sa, &sun.length), 0);
	ck_assert(weir_address_equal(&sun, &there));
	ck_assert(!weir_address_equal(&here, &there));
	ck_assert_int_eq(close(fd), 0);
	forget_watcher(&w);
	fd = watched_pair(UNIX, &w, &quiet, true);
	ck_assert_int_eq(
	    weir_socket_peer_credentials(w.socket, &pid, &uid, &gid), 0);
	ck_assert_int_eq(pid, getpid());
	ck_assert_int_eq(uid, getuid());
	ck_assert_int_eq(gid, getgid());
	ck_assert_int_eq(close(fd), 0);
	forget_watcher(&w);
}
END_TEST

/* ---- handlers that free what they please ---- */

enum deed {
	FREE_OWN,
	FREE_PEER,
	FREE_BOTH,
	FREE_SERVER,
	FREE_ALL,
	DESTROY_OWN,
	DESTROY_PEER,
	RESET_BOTH,
	UNPIPE_BOTH,
	PAUSE_BOTH,
	END_BOTH,
	HANDLERS_NULL,
	DEEDS,
};

static const char *const occasions[] = {"connection", "attempt", "connect",
    "ready", "data", "drain", "end", "broken", "error", "close", "timeout",
    "failed"};
#define OCCASIONS (sizeof(occasions) / sizeof(occasions[0]))

/* client <-> a <-> b <-> upstream, where a came by a server. */
static struct chaos {
	struct watcher a, b;
	struct weir_server *server;
	enum deed deed;
	const char *occasion;
	unsigned times;
} chaos;

static void
free_one(struct watcher *w)
{
	weir_socket_free(w->socket);
	w->socket = NULL;
}

static void
do_to(struct watcher *w)
{
	if (w->socket == NULL)
		return;
	switch (chaos.deed) {
	case RESET_BOTH:
		weir_socket_reset_and_destroy(w->socket);
		break;
	case UNPIPE_BOTH:
		(void)weir_socket_unpipe(w->socket);
		break;
	case PAUSE_BOTH:
		weir_socket_pause(w->socket);
		weir_socket_resume(w->socket);
		break;
	case END_BOTH:
		(void)weir_socket_end(w->socket);
		break;
	case HANDLERS_NULL:
		weir_socket_set_handlers(w->socket, NULL, NULL);
		break;
	case DESTROY_OWN:
	case DESTROY_PEER:
		weir_socket_destroy(w->socket, -EPROTO);
		break;
	default:
		free_one(w);
		break;
	}
}

static void
wreak(struct watcher *w, const char *what)
{
	struct watcher *peer = w == &chaos.a ? &chaos.b : &chaos.a;

	if (strcmp(what, chaos.occasion) != 0)
		return;
	chaos.times++;
	if (chaos.deed == FREE_SERVER || chaos.deed == FREE_ALL) {
		weir_server_free(chaos.server);
		chaos.server = NULL;
		if (chaos.deed == FREE_SERVER)
			return;
	}
	if (chaos.deed != FREE_OWN && chaos.deed != DESTROY_OWN)
		do_to(peer);
	if (chaos.deed != FREE_PEER && chaos.deed != DESTROY_PEER)
		do_to(w);
}

static void
chaos_connection(
    struct weir_server *server, struct weir_socket *socket, void *user)
{
	(void)server;
	(void)user;
	chaos.a.socket = socket;
	weir_socket_set_handlers(socket, &loud, &chaos.a);
	ck_assert_int_eq(weir_socket_set_timeout(socket, 5), 0);
	if (chaos.b.socket != NULL) {
		(void)weir_socket_pipe(socket, chaos.b.socket, NULL);
		(void)weir_socket_pipe(chaos.b.socket, socket, NULL);
	}
	wreak(&chaos.a, "connection");
}

static const struct weir_server_handlers chaos_handlers = {
    .on_connection = chaos_connection,
};

static bool
over(const struct watcher *w)
{
	return w->socket == NULL || w->closes > 0 ||
	       weir_socket_dormant(w->socket);
}

/* Up to a megabyte of what has come; in small reads, since valgrind looks at
 * all of the room that each is given. */
static void
throw_away(int fd)
{
	char bytes[16 * 1024];
	int i;

	for (i = 0; i < 64; i++)
		if (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0)
			return;
}

/* What the kernel says is of no interest here, only that we live on:
 * text there and back, a write that waits, an end, and a reset. */
static void
play(int client, int upstream)
{
	unsigned char *bytes = calloc(4, 1024 * 1024);
	int i;

	ck_assert_ptr_nonnull(bytes);
	(void)send(client, "request", 7, MSG_NOSIGNAL);
	settle();
	(void)send(upstream, "answer", 6, MSG_NOSIGNAL);
	settle();
	if (chaos.a.socket != NULL)
		(void)weir_socket_write(chaos.a.socket, bytes, 4 * 1024 * 1024);
	if (chaos.b.socket != NULL)
		(void)weir_socket_write(chaos.b.socket, bytes, 4 * 1024 * 1024);
	settle();
	for (i = 0; i < 100; i++) {
		throw_away(client);
		throw_away(upstream);
		glance();
	}
	free(bytes);
	(void)turns_in(15); /* the timeout */
	(void)send(client, "more", 4, MSG_NOSIGNAL);
	settle();
	(void)shutdown(upstream, SHUT_WR);
	settle();
	reset_fd(client);
	settle();
}

START_TEST(handlers_may_free_what_they_please)
{
	struct weir_address at, up;
	int listener, client, upstream = -1;

	memset(&chaos, 0, sizeof(chaos));
	chaos.deed = (enum deed)(_i / (int)OCCASIONS);
	chaos.occasion = occasions[_i % (int)OCCASIONS];
	chaos.a.act = chaos.b.act = wreak;
	chaos.a.discard = chaos.b.discard = true;
	ck_assert_int_eq(
	    weir_server_new(&chaos.server, loop, NULL, &chaos_handlers, NULL),
	    0);
	at = address_for(TCP4);
	ck_assert_int_eq(weir_server_listen(chaos.server, &at, NULL), 0);
	until(weir_server_address(chaos.server, &at) == 0);
	listener = listening_fd(TCP4, &up);
	ck_assert_int_eq(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
	watch_new(&chaos.b, &loud, true);
	if (strcmp(chaos.occasion, "failed") == 0)
		ck_assert_int_eq(close(listener), 0);
	ck_assert_int_eq(weir_socket_connect(chaos.b.socket, &up, NULL), 0);
	client = connected_fd(&at);
	settle();
	if (strcmp(chaos.occasion, "failed") != 0) {
		upstream =
		    accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		ck_assert_int_eq(close(listener), 0);
	}
	play(client, upstream);
	if (upstream != -1)
		reset_fd(upstream);
	settle();
	ck_assert(over(&chaos.a) || chaos.deed == UNPIPE_BOTH ||
		  !was_told(&chaos.a, "close"));
	weir_server_free(chaos.server);
	chaos.a.act = chaos.b.act = NULL;
	forget_watcher(&chaos.a);
	forget_watcher(&chaos.b);
	settle();
}
END_TEST

static Suite *
socket_suite(void)
{
	Suite *suite = suite_create("socket");
	TCase *verbs = tcase_create("verbs"), *states = tcase_create("states"),
	      *frees = tcase_create("frees");

	tcase_add_checked_fixture(verbs, support_begin, support_end);
	tcase_add_checked_fixture(states, support_begin, support_end);
	tcase_add_checked_fixture(frees, support_begin, support_end);

	tcase_add_loop_test(
	    verbs, a_write_that_the_kernel_takes_is_done_at_once, 0, 3);
	tcase_add_loop_test(
	    verbs, a_write_that_waits_drains_once_and_in_order, 0, 2);
	tcase_add_test(
	    verbs, a_file_that_takes_a_part_of_a_write_is_written_on);
	tcase_add_test(
	    verbs, writes_that_cannot_be_are_refused_and_change_nothing);
	tcase_add_loop_test(
	    verbs, a_write_to_a_peer_that_left_is_an_error_from_the_loop, 0, 2);
	tcase_add_loop_test(verbs, an_end_comes_after_what_is_queued, 0, 2);
	tcase_add_loop_test(
	    verbs, without_half_open_the_peers_end_is_answered, 0, 3);
	tcase_add_test(verbs, a_side_that_is_not_open_counts_as_ended);
	tcase_add_test(verbs, reset_and_destroy_sends_a_reset);
	tcase_add_test(verbs, destroy_with_an_error_tells_it);
	tcase_add_loop_test(
	    verbs, destroy_drops_what_is_queued_and_counts_it, 0, 2);
	tcase_add_test(verbs,
	    descriptors_that_are_no_streams_are_refused_and_stay_the_callers);
	tcase_add_test(verbs, an_object_can_be_opened_again_and_again);
	tcase_add_test(verbs, a_paused_socket_reads_nothing_until_it_resumes);
	tcase_add_test(
	    verbs, without_handlers_for_data_it_is_read_only_when_asked);
	tcase_add_test(verbs, a_timeout_is_told_once_until_something_moves);
	tcase_add_test(verbs, a_timeout_may_free_its_socket);
	tcase_add_test(verbs, a_timeout_does_not_outlive_the_connection);
	tcase_add_test(
	    verbs, an_open_socket_holds_the_loop_unless_it_is_unrefd);
	tcase_add_test(verbs, a_close_is_told_of_an_unreferenced_socket_too);
	tcase_add_test(
	    verbs, addresses_and_credentials_are_told_while_there_are_any);
	suite_add_tcase(suite, verbs);

	tcase_add_loop_test(states, every_verb_closes_once_in_every_state, 0,
	    (int)VERBS * (int)STATES);
	suite_add_tcase(suite, states);

	tcase_add_loop_test(frees, handlers_may_free_what_they_please, 0,
	    (int)DEEDS * (int)OCCASIONS);
	suite_add_tcase(suite, frees);
	return suite;
}

int
main(void)
{
	return run_suite(socket_suite());
}
