/*
 * Connections and servers that move: frozen, released and adopted, in one
 * process where that is enough; and pairs that are thrown to and fro between
 * two processes while both of their peers write, read slowly and end.
 */
#include "config.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include <weir/channel.h>
#include <weir/error.h>
#include <weir/move.h>

#include "support.h"

static const struct weir_socket_options half_open = {.allow_half_open = true};

/* ---- one pair, in one process ---- */

static struct watcher left, right;
static int client, backend;

static void
begin(void)
{
	support_begin();
	client = watched_pair(TCP4, &left, &quiet, true);
	backend = watched_pair(UNIX, &right, &quiet, true);
}

static void
finish(void)
{
	forget_watcher(&left);
	forget_watcher(&right);
	(void)close(client);
	(void)close(backend);
	support_end();
}

static void
join(void)
{
	ck_assert_int_eq(weir_socket_pipe(left.socket, right.socket, NULL), 0);
	ck_assert_int_eq(weir_socket_pipe(right.socket, left.socket, NULL), 0);
}

/* To a new socket, as it would be in another process. */
static void
move(struct watcher *w)
{
	struct weir_socket_state state;
	struct watcher other = {0};
	int fd;

	ck_assert_int_eq(weir_socket_freeze(w->socket, &state), 0);
	fd = fcntl(weir_socket_fd(w->socket), F_DUPFD_CLOEXEC, 0);
	ck_assert_int_ne(fd, -1);
	watch_new(&other, &quiet, false);
	ck_assert_int_eq(weir_socket_adopt(other.socket, fd, &state), 0);
	ck_assert_int_eq(weir_socket_release(w->socket), 0);
	until(was_told(w, "close"));
	ck_assert_int_eq(w->closed, 0);
	forget_watcher(w);
	*w = other;
	weir_socket_set_handlers(w->socket, &quiet, w);
}

START_TEST(a_frozen_pair_does_nothing_until_it_is_thawed)
{
	struct weir_socket_state a, b;

	join();
	say(client, "one");
	expect(backend, "one");
	ck_assert_int_eq(weir_socket_freeze(left.socket, &a), 0);
	ck_assert_int_eq(weir_socket_freeze(right.socket, &b), 0);
	ck_assert_int_eq(weir_socket_freeze(right.socket, &b), 0);
	ck_assert_uint_eq(a.bytes_read, 3);
	ck_assert_uint_eq(b.bytes_delivered, 3);
	say(client, "two");
	ck_assert_int_eq(shutdown(client, SHUT_WR), 0);
	settle();
	ck_assert(silent_fd(backend));
	ck_assert_int_eq(weir_socket_write(left.socket, "late", 4), WEIR_WAIT);
	ck_assert(silent_fd(client));
	weir_socket_thaw(right.socket);
	weir_socket_thaw(left.socket);
	weir_socket_thaw(left.socket);
	expect(backend, "two");
	expect_end(backend);
	expect(client, "late");
	say(backend, "answer");
	expect(client, "answer");
}
END_TEST

START_TEST(a_moved_pair_goes_on_where_it_was)
{
	join();
	say(client, "hello");
	expect(backend, "hello");
	move(&left);
	move(&right);
	join();
	say(client, "again");
	expect(backend, "again");
	ck_assert_uint_eq(weir_socket_bytes_read(left.socket), 10);
	ck_assert_uint_eq(weir_socket_bytes_delivered(right.socket), 10);
	ck_assert_int_eq(shutdown(client, SHUT_WR), 0);
	expect_end(backend);
	move(&right);
	move(&left);
	ck_assert_int_eq(weir_socket_pipe(right.socket, left.socket, NULL), 0);
	say(backend, "answer");
	expect(client, "answer");
	ck_assert_int_eq(close(backend), 0);
	expect_end(client);
	until(was_told(&left, "close"));
}
END_TEST

/* Until nothing on the way takes more. */
static uint64_t
stuff_all(uint64_t most)
{
	uint64_t sent = 0, more;

	do {
		more = stuff_most(client, sent, most - sent);
		sent += more;
		settle();
	} while (more > 0 && sent < most);
	return sent;
}

START_TEST(what_is_held_and_queued_goes_along)
{
	struct weir_socket_state state;
	static char much[4 * 1024 * 1024];
	uint64_t sent, got = 0;

	memset(much, 'x', sizeof(much));
	ck_assert_int_eq(weir_socket_pipe(left.socket, right.socket, NULL), 0);
	ck_assert_int_eq(
	    weir_socket_write(right.socket, much, sizeof(much)), WEIR_WAIT);
	sent = stuff_all(UINT64_MAX);
	ck_assert_int_eq(weir_socket_freeze(left.socket, &state), 0);
	ck_assert_uint_gt(state.held_length, 0);
	ck_assert_uint_eq(state.queued_length, 0);
	ck_assert_int_eq(weir_socket_freeze(right.socket, &state), 0);
	ck_assert_uint_gt(state.queued_length, 0);
	weir_socket_thaw(right.socket);
	weir_socket_thaw(left.socket);
	ck_assert_int_eq(weir_socket_unpipe(left.socket), 0);
	move(&right);
	move(&left);
	ck_assert_int_eq(weir_socket_pipe(left.socket, right.socket, NULL), 0);
	for (size_t n = 0; n < sizeof(much);) {
		char part[4096];
		size_t rest = sizeof(much) - n;
		ssize_t r = recv(backend, part,
		    rest < sizeof(part) ? rest : sizeof(part), MSG_DONTWAIT);

		ck_assert_int_ne(r, 0);
		if (r < 0) {
			turn();
			continue;
		}
		ck_assert_int_eq(memcmp(part, much, (size_t)r), 0);
		n += (size_t)r;
	}
	while (got < sent) {
		ck_assert(take(backend, &got, 65536));
		turn();
	}
	ck_assert_uint_eq(got, sent);
}
END_TEST

START_TEST(an_end_of_both_is_not_forgotten)
{
	struct weir_socket_state a, b;
	uint64_t sent, got = 0;
	struct watcher other_left = {0}, other_right = {0};
	int fds[2];

	/* Without allow_half_open: the backend's end stops the client. */
	forget_watcher(&left);
	forget_watcher(&right);
	(void)close(client);
	(void)close(backend);
	client = watched_pair(UNIX, &left, &quiet, true);
	backend = watched_pair(UNIX, &right, &quiet, false);
	join();
	sent = stuff_all(UINT64_MAX);
	ck_assert_int_eq(shutdown(backend, SHUT_WR), 0);
	until(was_told(&right, "end"));
	ck_assert_int_eq(weir_socket_freeze(left.socket, &a), 0);
	ck_assert_int_eq(weir_socket_freeze(right.socket, &b), 0);
	ck_assert(b.stop_source);
	fds[0] = fcntl(weir_socket_fd(left.socket), F_DUPFD_CLOEXEC, 0);
	fds[1] = fcntl(weir_socket_fd(right.socket), F_DUPFD_CLOEXEC, 0);
	watch_new(&other_left, &quiet, false);
	watch_new(&other_right, &quiet, false);
	ck_assert_int_eq(weir_socket_adopt(other_left.socket, fds[0], &a), 0);
	ck_assert_int_eq(weir_socket_adopt(other_right.socket, fds[1], &b), 0);
	ck_assert_int_eq(weir_socket_release(left.socket), 0);
	ck_assert_int_eq(weir_socket_release(right.socket), 0);
	until(was_told(&left, "close") && was_told(&right, "close"));
	forget_watcher(&left);
	forget_watcher(&right);
	left = other_left;
	right = other_right;
	weir_socket_set_handlers(left.socket, &quiet, &left);
	weir_socket_set_handlers(right.socket, &quiet, &right);
	ck_assert_int_eq(weir_socket_pipe(left.socket, right.socket, NULL), 0);
	while (take(backend, &got, 65536))
		turn();
	ck_assert_uint_le(got, sent);
	ck_assert_uint_gt(got, 0);
	until(was_told(&right, "close"));
}
END_TEST

START_TEST(a_handlers_lane_moves_too)
{
	struct weir_socket_state state;

	weir_socket_set_handlers(left.socket, &loud, &left);
	weir_socket_pause(left.socket);
	say(client, "kept");
	settle();
	ck_assert_int_eq(weir_socket_freeze(left.socket, &state), 0);
	ck_assert(state.paused);
	weir_socket_thaw(left.socket);
	weir_socket_resume(left.socket);
	until(left.length == 4);
	ck_assert_int_eq(memcmp(left.data, "kept", 4), 0);
	move(&left);
	weir_socket_set_handlers(left.socket, &loud, &left);
	say(client, "more");
	until(left.length == 4);
	ck_assert_int_eq(memcmp(left.data, "more", 4), 0);
}
END_TEST

static void
on_written(struct weir_socket *s, int err, void *user)
{
	(void)s;
	(void)err;
	*(bool *)user = true;
}

START_TEST(what_cannot_be_moved_stays_as_it_is)
{
	struct weir_socket_state state = {0};
	struct weir_socket *idle;
	bool written = false;
	int fds[2];

	ck_assert_int_eq(weir_socket_freeze(NULL, &state), -EINVAL);
	ck_assert_int_eq(weir_socket_freeze(left.socket, NULL), -EINVAL);
	ck_assert_int_eq(weir_socket_release(left.socket), -EINVAL);
	ck_assert_int_eq(weir_socket_release(NULL), -EINVAL);
	weir_socket_thaw(NULL);
	weir_socket_thaw(left.socket);
	ck_assert_int_eq(
	    weir_socket_new(&idle, loop, &half_open, NULL, NULL), 0);
	ck_assert_int_eq(
	    weir_socket_freeze(idle, &state), WEIR_E_SOCKET_CLOSED);
	ck_assert_int_eq(
	    weir_socket_adopt(left.socket, 0, &state), WEIR_E_SOCKET_CONNECTED);
	ck_assert_int_eq(weir_socket_adopt(idle, -1, &state), -EBADF);
	ck_assert_int_eq(weir_socket_adopt(idle, 0, NULL), -EINVAL);
	ck_assert_int_eq(weir_socket_adopt(NULL, 0, &state), -EINVAL);
	ck_assert_int_eq(weir_socket_write(idle, "x", 1), WEIR_WAIT);
	ck_assert_int_eq(weir_socket_adopt(idle, 0, &state), -EBUSY);
	weir_socket_free(idle);

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_eq(weir_socket_new(&idle, loop, NULL, NULL, NULL), 0);
	ck_assert_int_eq(weir_socket_open_fd(idle, fds[0], true, false), 0);
	ck_assert_int_eq(weir_socket_freeze(idle, &state), WEIR_E_NOT_A_STREAM);
	weir_socket_free(idle);
	ck_assert_int_eq(close(fds[1]), 0);

	ck_assert_int_eq(
	    weir_socket_write_cb(left.socket, "x", 1, on_written, &written), 0);
	ck_assert_int_eq(weir_socket_freeze(left.socket, &state), -EBUSY);
	until(written);
	ck_assert_int_eq(weir_socket_freeze(left.socket, &state), 0);
	weir_socket_destroy(left.socket, 0);
	weir_socket_thaw(left.socket);
	ck_assert_int_eq(weir_socket_release(left.socket), -EINVAL);
	until(was_told(&left, "close"));
}
END_TEST

/* ---- servers ---- */

static void
on_connection(struct weir_server *s, struct weir_socket *socket, void *user)
{
	(void)s;
	++*(int *)user;
	weir_socket_free(socket);
}

static void
on_server_close(struct weir_server *s, void *user)
{
	(void)s;
	*(int *)user = -1;
}

static const struct weir_server_handlers server_handlers = {
    .on_connection = on_connection,
    .on_close = on_server_close,
};

START_TEST(a_server_that_moves_refuses_nobody)
{
	struct weir_address at = address_for(UNIX);
	struct weir_server *old, *new;
	int olds = 0, news = 0, fd, clients[3];
	struct stat st;

	ck_assert_int_eq(
	    weir_server_new(&old, loop, NULL, &server_handlers, &olds), 0);
	ck_assert_int_eq(weir_server_release(old), WEIR_E_SERVER_NOT_RUNNING);
	ck_assert_int_eq(weir_server_own_path(old), WEIR_E_SERVER_NOT_RUNNING);
	ck_assert_int_eq(weir_server_release(NULL), -EINVAL);
	ck_assert_int_eq(weir_server_own_path(NULL), -EINVAL);
	ck_assert_int_eq(weir_server_listen(old, &at, NULL), 0);
	until(weir_server_listening(old));
	weir_server_pause(old);
	clients[0] = connected_fd(&at);
	fd = fcntl(weir_server_fd(old), F_DUPFD_CLOEXEC, 0);
	ck_assert_int_eq(
	    weir_server_new(&new, loop, NULL, &server_handlers, &news), 0);
	ck_assert_int_eq(weir_server_listen_fd(new, fd, NULL), 0);
	ck_assert_int_eq(weir_server_own_path(new), 0);
	ck_assert_int_eq(weir_server_release(old), 0);
	until(olds == -1);
	clients[1] = connected_fd(&at);
	weir_server_free(old);
	clients[2] = connected_fd(&at);
	until(news == 3);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(close(clients[i]), 0);
	weir_server_free(new);
	ck_assert_int_eq(lstat(at.u.un.sun_path, &st), -1);
	ck_assert_int_eq(errno, ENOENT);
}
END_TEST

/* ---- two processes ---- */

#define PAIRS 6

/* A pair of sockets of one of the two proxies. */
struct pair {
	struct weir_socket *a, *b;
	struct weir_timer *timer;
	bool gone;
};

/* What goes along with its descriptors; the bytes are in a file. */
struct parcel {
	struct weir_socket_state a, b;
};

static struct pair pairs[PAIRS];
static struct weir_channel *channel;
static unsigned seed;
static unsigned buffer_size;

static unsigned
chance(unsigned below)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 8) % below;
}

static void
on_pair_close(struct weir_socket *s, int err, void *user)
{
	struct pair *p = user;

	if (p->gone) { /* to the other process */
		if (s == p->a)
			p->a = NULL;
		else
			p->b = NULL;
		weir_socket_free(s);
		return;
	}
	if (err != 0)
		abort();
	if (p->a == NULL || p->b == NULL || !weir_socket_dormant(p->a) ||
	    !weir_socket_dormant(p->b))
		return;
	if (weir_socket_bytes_read(p->a) != weir_socket_bytes_delivered(p->b) ||
	    weir_socket_bytes_read(p->b) != weir_socket_bytes_delivered(p->a))
		abort();
	weir_timer_stop(p->timer);
	weir_socket_free(p->a);
	weir_socket_free(p->b);
	p->a = p->b = NULL;
}

static const struct weir_socket_handlers pair_handlers = {
    .on_close = on_pair_close,
};

static void
join_pair(struct pair *p)
{
	const struct weir_pipe_options options = {.buffer = buffer_size};
	int err = weir_socket_pipe(p->a, p->b, &options);

	if (err != 0 && err != WEIR_E_SOCKET_CLOSED)
		abort();
	err = weir_socket_pipe(p->b, p->a, &options);
	if (err != 0 && err != WEIR_E_SOCKET_CLOSED)
		abort();
	if (weir_timer_start(p->timer, 1 + chance(8)) != 0)
		abort();
}

static bool
put(int file, const void *data, size_t length)
{
	return length == 0 || write(file, data, length) == (ssize_t)length;
}

static void
throw_pair(struct weir_timer *timer, void *user)
{
	struct pair *p = user;
	struct parcel parcel;
	int fds[3], err, file;

	(void)weir_timer_start(timer, 1 + chance(8));
	if (weir_socket_freeze(p->a, &parcel.a) != 0)
		return; /* it has just ended */
	if (weir_socket_freeze(p->b, &parcel.b) != 0) {
		weir_socket_thaw(p->a);
		return;
	}
	file = memfd_create("bytes", MFD_CLOEXEC);
	if (file == -1 || !put(file, parcel.a.held, parcel.a.held_length) ||
	    !put(file, parcel.a.queued, parcel.a.queued_length) ||
	    !put(file, parcel.b.held, parcel.b.held_length) ||
	    !put(file, parcel.b.queued, parcel.b.queued_length))
		abort();
	fds[0] = weir_socket_fd(p->a);
	fds[1] = weir_socket_fd(p->b);
	fds[2] = file;
	/* The index of the pair is in a byte behind. */
	unsigned char data[sizeof(parcel) + 1];

	memcpy(data, &parcel, sizeof(parcel));
	data[sizeof(parcel)] = (unsigned char)(p - pairs);
	err = weir_channel_send_fds(channel, data, sizeof(data), fds, 3);
	(void)close(file);
	if (err != 0) {
		weir_socket_thaw(p->a);
		weir_socket_thaw(p->b);
		return;
	}
	weir_timer_stop(timer);
	p->gone = true;
	if (weir_socket_release(p->a) != 0 || weir_socket_release(p->b) != 0)
		abort();
}

static const void *
get(unsigned char **at, size_t length)
{
	const void *here = *at;

	*at += length;
	return length > 0 ? here : NULL;
}

static void
catch_pair(struct weir_channel *c, const int *fds, size_t count,
    const void *data, size_t length, void *user)
{
	struct parcel parcel;
	struct pair *p;
	struct stat st;
	unsigned char *bytes = NULL, *at;

	(void)c;
	(void)user;
	if (count != 3 || length != sizeof(parcel) + 1 ||
	    fstat(fds[2], &st) != 0)
		abort();
	memcpy(&parcel, data, sizeof(parcel));
	p = &pairs[((const unsigned char *)data)[sizeof(parcel)]];
	if (st.st_size > 0)
		bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE,
		    fds[2], 0);
	at = bytes;
	parcel.a.held = get(&at, parcel.a.held_length);
	parcel.a.queued = get(&at, parcel.a.queued_length);
	parcel.b.held = get(&at, parcel.b.held_length);
	parcel.b.queued = get(&at, parcel.b.queued_length);
	weir_socket_free(p->a); /* of the throw before */
	weir_socket_free(p->b);
	p->gone = false;
	if (weir_socket_new(&p->a, loop, NULL, &pair_handlers, p) != 0 ||
	    weir_socket_new(&p->b, loop, NULL, &pair_handlers, p) != 0 ||
	    weir_socket_adopt(p->a, fds[0], &parcel.a) != 0 ||
	    weir_socket_adopt(p->b, fds[1], &parcel.b) != 0)
		abort();
	if (bytes != NULL)
		(void)munmap(bytes, (size_t)st.st_size);
	(void)close(fds[2]);
	join_pair(p);
}

static void
on_message(struct weir_channel *c, struct weir_socket *s, const void *data,
    size_t length, void *user)
{
	(void)c;
	(void)s;
	(void)data;
	(void)length;
	(void)user;
	abort();
}

static void
on_lost(struct weir_channel *c, int err, void *user)
{
	(void)c;
	(void)err;
	(void)user;
	abort();
}

static void
on_channel_close(struct weir_channel *c, int err, void *user)
{
	(void)c;
	(void)err;
	(void)user;
	_exit(0);
}

static const struct weir_channel_handlers channel_handlers = {
    .on_message = on_message,
    .on_fds = catch_pair,
    .on_lost = on_lost,
    .on_close = on_channel_close,
};

/* What both processes run; the first begins with all pairs. */
static void
proxy(int fd, int (*ends)[2])
{
	/* Known still, so that valgrind does not call it lost. */
	static struct weir_loop *volatile inherited;

	inherited = loop;
	if (inherited == NULL || weir_loop_new(&loop, NULL) != 0 ||
	    weir_channel_new(&channel, loop, fd, &channel_handlers, NULL) != 0)
		abort();
	for (int i = 0; i < PAIRS; i++) {
		struct pair *p = &pairs[i];

		if (weir_timer_new(&p->timer, loop, throw_pair, p) != 0)
			abort();
		if (ends == NULL)
			continue;
		if (weir_socket_new(
			&p->a, loop, &half_open, &pair_handlers, p) != 0 ||
		    weir_socket_new(
			&p->b, loop, &half_open, &pair_handlers, p) != 0 ||
		    weir_socket_open_fd(p->a, ends[i][0], true, true) != 0 ||
		    weir_socket_open_fd(p->b, ends[i][1], true, true) != 0)
			abort();
		join_pair(p);
	}
	(void)weir_loop_run(loop);
	_exit(1);
}

/* One end of one pair, as a peer plays it. */
struct player {
	int fd;
	uint64_t sent, total, got;
	unsigned most_out, most_in; /* bytes a step */
	unsigned lazy;		    /* steps of so many that are left out */
	bool ended, saw_end;
};

static void
play_out(struct player *p)
{
	static unsigned char bytes[65536];
	size_t n = 1 + chance(p->most_out), i;
	ssize_t w;

	if (p->ended)
		return;
	if (p->sent == p->total) {
		ck_assert_int_eq(shutdown(p->fd, SHUT_WR), 0);
		p->ended = true;
		return;
	}
	if (n > p->total - p->sent)
		n = (size_t)(p->total - p->sent);
	for (i = 0; i < n; i++)
		bytes[i] = pattern(p->sent + i);
	w = send(p->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	ck_assert(w > 0 || errno == EAGAIN);
	if (w > 0)
		p->sent += (uint64_t)w;
}

static void
play(struct player *p)
{
	if (chance(p->lazy) == 0)
		play_out(p);
	if (!p->saw_end && chance(p->lazy) == 0)
		p->saw_end = !take(p->fd, &p->got, 1 + chance(p->most_in));
}

static void
cast(struct player *p, int fd)
{
	bool bulk = chance(4) == 0;

	*p = (struct player){
	    .fd = fd,
	    .total = bulk ? 3000000 + chance(1000000) : chance(300000),
	    .most_out = bulk ? 65536 : 1 + chance(30000),
	    .most_in = bulk ? 262144 : 1 + chance(60000),
	    .lazy = bulk ? 1 : 1 + chance(6),
	};
}

static bool
all_played(const struct player *players)
{
	for (int i = 0; i < 2 * PAIRS; i++)
		if (!players[i].ended || !players[i].saw_end)
			return false;
	return true;
}

START_TEST(pairs_that_are_thrown_to_and_fro_lose_nothing)
{
	static const unsigned buffers[] = {0, 1, 4096, 1000000};
	struct player players[2 * PAIRS];
	int ends[PAIRS][2], fds[2], pair[2], status;
	pid_t pids[2];

	seed = (unsigned)_i * 7919 + 1;
	buffer_size = buffers[_i % 4];
	ck_assert_int_eq(weir_channel_pair(fds), 0);
	for (int i = 0; i < PAIRS; i++) {
		stream_pair(chance(2) == 0 ? TCP4 : UNIX, pair);
		cast(&players[2 * i], pair[0]);
		ends[i][0] = pair[1];
		stream_pair(chance(2) == 0 ? TCP4 : UNIX, pair);
		cast(&players[2 * i + 1], pair[0]);
		ends[i][1] = pair[1];
	}
	for (int k = 0; k < 2; k++) {
		pids[k] = fork();
		ck_assert_int_ne(pids[k], -1);
		if (pids[k] != 0)
			continue;
		seed += (unsigned)k;
		(void)close(fds[1 - k]);
		for (int i = 0; i < 2 * PAIRS; i++) {
			(void)close(players[i].fd);
			if (k == 1)
				(void)close(ends[i / 2][i % 2]);
		}
		proxy(fds[k], k == 0 ? ends : NULL);
	}
	(void)close(fds[0]);
	(void)close(fds[1]);
	for (int i = 0; i < 2 * PAIRS; i++)
		(void)close(ends[i / 2][i % 2]);
	while (!all_played(players)) {
		still_in_time("all played", __FILE__, __LINE__);
		for (int i = 0; i < 2 * PAIRS; i++)
			play(&players[i]);
	}
	still_in_time(NULL, NULL, 0);
	for (int i = 0; i < PAIRS; i++) {
		ck_assert_uint_eq(players[2 * i].got, players[2 * i + 1].total);
		ck_assert_uint_eq(players[2 * i + 1].got, players[2 * i].total);
	}
	for (int i = 0; i < 2 * PAIRS; i++)
		(void)close(players[i].fd);
	(void)kill(pids[0], SIGKILL); /* the other one ends by itself */
	ck_assert_int_eq(waitpid(pids[0], &status, 0), pids[0]);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	ck_assert_int_eq(waitpid(pids[1], &status, 0), pids[1]);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("net/move");
	TCase *c = tcase_create("sockets"), *t = tcase_create("processes");

	tcase_add_checked_fixture(c, begin, finish);
	tcase_add_test(c, a_frozen_pair_does_nothing_until_it_is_thawed);
	tcase_add_test(c, a_moved_pair_goes_on_where_it_was);
	tcase_add_test(c, what_is_held_and_queued_goes_along);
	tcase_add_test(c, an_end_of_both_is_not_forgotten);
	tcase_add_test(c, a_handlers_lane_moves_too);
	tcase_add_test(c, what_cannot_be_moved_stays_as_it_is);
	tcase_add_test(c, a_server_that_moves_refuses_nobody);
	suite_add_tcase(s, c);
	tcase_add_checked_fixture(t, support_begin, support_end);
	tcase_add_loop_test(
	    t, pairs_that_are_thrown_to_and_fro_lose_nothing, 0, 4);
	suite_add_tcase(s, t);
	return run_suite(s);
}
