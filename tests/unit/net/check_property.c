/*
 * Whatever two peers do, in whatever lane their bytes move: each gets what the
 * other has sent, all of it and in order, then its end, and the counters are
 * right. What they do is drawn by lot: sizes from 1 byte to 1 MB, pauses, slow
 * readers, half-closes, resets, changes of the lane in mid-stream, rates,
 * shortage of kernel pipes and of descriptors.
 *
 * A failure tells the seed of its round. WEIR_SEED=N plays that one alone,
 * WEIR_ROUNDS=N plays so many of each lane.
 */
#include "config.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/move.h>
#include <weir/tls.h>

#include "net/loop_priv.h"
#include "support.h"
#include "tls_support.h"

#define ROUNDS 12	     /* of each lane, plain */
#define MOST   (1024 * 1024) /* bytes of one piece */
#define ENOUGH MOST	     /* bytes one way */
#define PIPES  40

enum lane { COPY, SPLICE, HANDLERS, MIXED, WITH_TLS, LANES };

/* ---- chance ---- */

static uint64_t seed, state;

static uint64_t
chance(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static bool
one_in(unsigned n)
{
	return chance() % n == 0;
}

/* As many small ones as large ones. */
static size_t
some_size(size_t most)
{
	size_t n = (size_t)1 << chance() % 21;

	n += chance() % n;
	return n < most ? n : most;
}

/* ---- peers ---- */

/* One end: what it sends, and what has come. */
struct peer {
	int fd;
	uint64_t salt;		/* of the bytes that it sends */
	uint64_t to_send, sent; /* of all */
	uint64_t piece;		/* of it left, then a pause perhaps */
	uint64_t got;
	uint64_t sent_hash, got_hash;
	size_t at_once; /* reads at most so many bytes */
	unsigned sleeps_write, sleeps_read;
	bool ended, saw_end, resets, was_reset;
};

static struct peer peers[2];
static unsigned char piece[MOST];

static unsigned char
byte_at(uint64_t salt, uint64_t at)
{
	uint64_t x = (at / 8 + 1) * 0x9e3779b97f4a7c15U ^ salt;

	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9U;
	return (unsigned char)(x >> at % 8 * 8);
}

static uint64_t
hashed(uint64_t hash, const unsigned char *bytes, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3U;
	return hash;
}

static void
prepare(struct peer *p, bool slow)
{
	size_t most = slow ? 64 * 1024 : ENOUGH;

	memset(p, 0, sizeof(*p));
	p->salt = chance();
	p->to_send = one_in(8) ? 0 : some_size(most);
	p->at_once = one_in(3) ? some_size(4096) : MOST;
	p->resets = one_in(10);
	p->sent_hash = p->got_hash = 0xcbf29ce484222325U;
}

/* Returns whether something was done. */
static bool
write_some(struct peer *p)
{
	size_t n, i;
	ssize_t done;

	if (p->ended || p->was_reset)
		return false;
	if (p->sleeps_write > 0) {
		p->sleeps_write--;
		return false;
	}
	if (p->sent == p->to_send) {
		p->ended = true;
		if (p->resets) {
			reset_fd(p->fd);
			p->fd = -1;
		} else {
			(void)shutdown(p->fd, SHUT_WR);
		}
		return true;
	}
	if (p->piece == 0)
		p->piece = some_size(MOST);
	n = p->to_send - p->sent < p->piece ? p->to_send - p->sent : p->piece;
	for (i = 0; i < n; i++)
		piece[i] = byte_at(p->salt, p->sent + i);
	done = send(p->fd, piece, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (done == -1) {
		p->was_reset = errno != EAGAIN;
		return p->was_reset;
	}
	p->sent_hash = hashed(p->sent_hash, piece, (size_t)done);
	p->sent += (uint64_t)done;
	p->piece -= (uint64_t)done;
	if (one_in(4))
		p->sleeps_write = chance() % 20;
	return true;
}

static bool
read_some(struct peer *p, const struct peer *other)
{
	ssize_t n, i;

	if (p->fd == -1 || p->saw_end || p->was_reset)
		return false;
	if (p->sleeps_read > 0) {
		p->sleeps_read--;
		return false;
	}
	n = recv(p->fd, piece, p->at_once, MSG_DONTWAIT);
	if (n == -1) {
		p->was_reset = errno != EAGAIN;
		return p->was_reset;
	}
	/* An assertion each would tell each to Check, which takes far longer. */
	for (i = 0; i < n; i++)
		if (piece[i] != byte_at(other->salt, p->got + (uint64_t)i))
			ck_abort_msg("byte %llu is wrong: WEIR_SEED=%llu",
			    (unsigned long long)p->got + (unsigned long long)i,
			    (unsigned long long)seed);
	p->got_hash = hashed(p->got_hash, piece, (size_t)n);
	p->got += (uint64_t)n;
	p->saw_end = n == 0;
	if (one_in(16))
		p->sleeps_read = chance() % 40;
	return true;
}

/* ---- the sockets between them ---- */

/* near - line[0] - ... - far; two of them, or four with TLS in the middle. */
struct stop {
	struct weir_socket *socket;
	struct stop *joined; /* what it passes on to, and gets from */
	bool piped;	     /* else its handlers pass on */
	bool closed;
};

static struct stop line[4];
static size_t stops;
static struct weir_tls_context *at_server, *at_client;
static struct weir__pipe *borrowed[PIPES];
static int taken[64];
static size_t borrowed_count, taken_count;

static void
on_data(struct weir_socket *socket, const void *data, size_t n, void *user)
{
	struct stop *s = user;

	if (s->piped || s->joined->closed)
		return;
	if (weir_socket_write(s->joined->socket, data, n) == WEIR_WAIT)
		weir_socket_pause(socket);
}

static void
on_drain(struct weir_socket *socket, void *user)
{
	struct stop *s = user;

	(void)socket;
	if (!s->joined->closed && !s->joined->piped)
		weir_socket_resume(s->joined->socket);
}

static void
on_end(struct weir_socket *socket, void *user)
{
	struct stop *s = user;

	(void)socket;
	if (!s->joined->closed)
		(void)weir_socket_end(s->joined->socket);
}

static void
on_close(struct weir_socket *socket, int err, void *user)
{
	struct stop *s = user;

	(void)socket;
	s->closed = true;
	if (s->joined->closed)
		return;
	if (err != 0)
		weir_socket_reset_and_destroy(s->joined->socket);
	else
		weir_socket_destroy_soon(s->joined->socket);
}

static const struct weir_socket_handlers passing = {
    .on_data = on_data,
    .on_drain = on_drain,
    .on_end = on_end,
    .on_close = on_close,
};

static const struct weir_socket_handlers piping = {
    .on_drain = on_drain,
    .on_end = on_end,
    .on_close = on_close,
};

static void
join(struct stop *s, bool no_splice, bool slow)
{
	const struct weir_pipe_options options = {
	    .buffer = one_in(2) ? 0 : some_size(256 * 1024),
	    .rate = slow && one_in(2) ? 200000 + chance() % 2000000 : 0,
	    .no_splice = no_splice,
	};
	int err;

	weir_socket_set_handlers(s->socket, &piping, s);
	err = weir_socket_pipe(s->socket, s->joined->socket, &options);
	s->piped = err == 0;
	if (err == WEIR_E_SOCKET_CLOSED) /* all that it read was passed on */
		return;
	ck_assert_msg(err == 0, "pipe: %s: WEIR_SEED=%llu",
	    weir_error_text(err), (unsigned long long)seed);
}

static void
pass_by_handlers(struct stop *s)
{
	s->piped = false;
	weir_socket_set_handlers(s->socket, &passing, s);
	if (weir_socket_buffered(s->joined->socket) == 0)
		weir_socket_resume(s->socket);
}

/* In mid-stream. */
static void
change_lane(struct stop *s, bool slow)
{
	if (s->closed || s->joined->closed ||
	    weir_socket_ready_state(s->socket) == WEIR_CLOSED ||
	    weir_socket_write_ended(s->joined->socket))
		return;
	if (s->piped && weir_socket_unpipe(s->socket) != 0)
		return; /* it has ended */
	if (one_in(2))
		pass_by_handlers(s);
	else
		join(s, one_in(2), slow);
}

/* As before a move to another process that came to nothing. */
static void
freeze_a_while(struct stop *s)
{
	struct weir_socket_state ignored;
	int i;

	if (s->closed || weir_socket_freeze(s->socket, &ignored) != 0)
		return;
	for (i = 0; i < 3; i++)
		glance();
	weir_socket_thaw(s->socket);
}

static void
place(struct stop *s, int fd, struct stop *joined)
{
	const struct weir_socket_options options = {.allow_half_open = true};

	*s = (struct stop){.joined = joined};
	ck_assert_int_eq(
	    weir_socket_new(&s->socket, loop, &options, &piping, s), 0);
	ck_assert_int_eq(weir_socket_open_fd(s->socket, fd, true, true), 0);
}

static void
lay_out(enum lane lane)
{
	const struct weir_secure_options any = {.any_name = true};
	enum kind near_kind = (enum kind)(chance() % 3);
	enum kind far_kind = (enum kind)(chance() % 3);
	int fds[2], ends[4];

	stops = lane == WITH_TLS ? 4 : 2;
	stream_pair(near_kind, fds);
	peers[0].fd = fds[0];
	ends[0] = fds[1];
	if (stops == 4) {
		stream_pair((enum kind)(chance() % 3), fds);
		ends[1] = fds[0];
		ends[2] = fds[1];
	}
	stream_pair(far_kind, fds);
	ends[stops - 1] = fds[0];
	peers[1].fd = fds[1];
	for (size_t i = 0; i < stops; i++)
		place(&line[i], ends[i], &line[i ^ 1]);
	if (stops < 4)
		return;
	ck_assert_int_eq(
	    weir_socket_set_secure(line[1].socket, at_client, &any), 0);
	ck_assert_int_eq(
	    weir_socket_set_secure(line[2].socket, at_server, NULL), 0);
}

/* ---- shortage ---- */

static void
take_resources(void)
{
	struct rlimit limit;
	int fd;

	if (one_in(4))
		while (borrowed_count < PIPES &&
		       (borrowed[borrowed_count] =
			       weir__loop_borrow_pipe(loop)) != NULL)
			borrowed_count++;
	if (!one_in(4))
		return;
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = descriptors() + 32;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while (taken_count < 64 && (fd = dup(peers[0].fd)) != -1)
		taken[taken_count++] = fd;
}

/* A copy of a descriptor would keep its connection open. */
static void
give_back_descriptors(void)
{
	struct rlimit limit;

	if (taken_count == 0)
		return;
	while (taken_count > 0)
		ck_assert_int_eq(close(taken[--taken_count]), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* ---- a round ---- */

static unsigned
number_of(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text != NULL && atoi(text) > 0 ? (unsigned)atoi(text)
					      : otherwise;
}

static bool
all_closed(void)
{
	for (size_t i = 0; i < stops; i++)
		if (!line[i].closed)
			return false;
	return true;
}

static void
check_end(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		const struct peer *p = &peers[i], *other = &peers[1 - i];

		ck_assert_msg(p->got <= other->sent, "more came than was sent");
		ck_assert_msg(p->saw_end && p->got == other->sent &&
				  p->got_hash == other->sent_hash,
		    "%llu of %llu bytes came: WEIR_SEED=%llu",
		    (unsigned long long)p->got, (unsigned long long)other->sent,
		    (unsigned long long)seed);
	}
	ck_assert_uint_eq(
	    weir_socket_bytes_read(line[0].socket), peers[0].sent);
	ck_assert_uint_eq(
	    weir_socket_bytes_delivered(line[0].socket), peers[0].got);
	ck_assert_uint_eq(
	    weir_socket_bytes_read(line[stops - 1].socket), peers[1].sent);
	ck_assert_uint_eq(
	    weir_socket_bytes_delivered(line[stops - 1].socket), peers[1].got);
}

static bool
is_over(void)
{
	if (!all_closed())
		return false;
	return peers[0].fd == -1 || peers[1].fd == -1 ||
	       (peers[0].saw_end && peers[1].saw_end);
}

/* Each peer does a little. Returns whether anything was done. */
static bool
step(enum lane lane, bool slow)
{
	bool busy = write_some(&peers[0]);

	busy = write_some(&peers[1]) || busy;
	busy = read_some(&peers[0], &peers[1]) || busy;
	busy = read_some(&peers[1], &peers[0]) || busy;
	if (lane == MIXED && one_in(12))
		change_lane(&line[chance() % stops], slow);
	if (lane == MIXED && one_in(24))
		freeze_a_while(&line[chance() % stops]);
	if (peers[0].ended || peers[1].ended || one_in(64))
		give_back_descriptors();
	return busy;
}

static bool
one_sleeps(void)
{
	return peers[0].sleeps_write + peers[0].sleeps_read +
		   peers[1].sleeps_write + peers[1].sleeps_read >
	       0;
}

static uint64_t
deadline_ms(void)
{
	return 20000 * (uint64_t)number_of("WEIR_TIME_SCALE", 1);
}

static void
tell_what_hangs(void)
{
	size_t i;

	fprintf(stderr, "WEIR_SEED=%llu\n", (unsigned long long)seed);
	for (i = 0; i < 2; i++)
		fprintf(stderr,
		    "peer %zu: %llu of %llu sent, %llu come, ended %d, "
		    "saw end %d, resets %d, was reset %d\n",
		    i, (unsigned long long)peers[i].sent,
		    (unsigned long long)peers[i].to_send,
		    (unsigned long long)peers[i].got, peers[i].ended,
		    peers[i].saw_end, peers[i].resets, peers[i].was_reset);
	for (i = 0; i < stops; i++)
		fprintf(stderr,
		    "socket %zu: closed %d, piped %d, state %d, held %zu, "
		    "queued %zu, paused %d\n",
		    i, line[i].closed, line[i].piped,
		    weir_socket_ready_state(line[i].socket),
		    weir_socket_held(line[i].socket),
		    weir_socket_buffered(line[i].socket),
		    weir_socket_paused(line[i].socket));
	ck_abort_msg("it hangs: WEIR_SEED=%llu", (unsigned long long)seed);
}

static void
play(enum lane lane)
{
	bool slow = one_in(10), broken;
	uint64_t since = weir_loop_now_ms(loop), patience = deadline_ms();
	size_t i;

	prepare(&peers[0], slow);
	prepare(&peers[1], slow);
	for (i = 0; i < 2; i++) /* slow, but not for ever */
		if (peers[i].at_once < peers[1 - i].to_send / 256)
			peers[i].at_once = peers[1 - i].to_send / 256;
	lay_out(lane);
	take_resources();
	for (i = 0; i < stops; i++)
		if (lane == HANDLERS || (lane == MIXED && one_in(3)))
			pass_by_handlers(&line[i]);
		else
			join(&line[i], lane == COPY, slow);
	while (!is_over()) {
		if (step(lane, slow))
			since = weir_loop_now_ms(loop);
		if (one_sleeps())
			glance();
		else
			turn();
		if (weir_loop_now_ms(loop) - since > patience)
			tell_what_hangs();
	}
	broken = peers[0].fd == -1 || peers[1].fd == -1;
	if (!broken)
		check_end();
	give_back_descriptors();
	while (borrowed_count > 0)
		weir__loop_return_pipe(loop, borrowed[--borrowed_count]);
	for (i = 0; i < stops; i++)
		weir_socket_free(line[i].socket);
	for (i = 0; i < 2; i++)
		if (peers[i].fd != -1)
			ck_assert_int_eq(close(peers[i].fd), 0);
}

static void
make_contexts(void)
{
	struct weir_tls_context_options options = {.server = true};
	struct credentials self;
	struct weir_tls_pair pair;

	directory_make();
	credentials_make(&self, NULL, &(struct wish){.name = "self"});
	pair = pair_of(&self);
	options.pairs = &pair;
	options.pair_count = 1;
	at_server = make_context(&options);
	at_client = make_context(
	    &(struct weir_tls_context_options){.verify = WEIR_TLS_VERIFY_NONE});
	credentials_free(&self);
	directory_remove();
}

START_TEST(what_one_sends_the_other_gets)
{
	const char *wish = getenv("WEIR_SEED");
	unsigned rounds = number_of("WEIR_ROUNDS", ROUNDS);
	unsigned scale = number_of("WEIR_TIME_SCALE", 1);
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	seed = (uint64_t)now.tv_nsec + (uint64_t)now.tv_sec * 1000000007U;
	if (getenv("WEIR_ROUNDS") == NULL && scale > 1)
		rounds = 3;
	if (wish != NULL)
		rounds = 1;
	if (_i == WITH_TLS)
		make_contexts();
	while (rounds-- > 0) {
		seed = wish != NULL ? strtoull(wish, NULL, 10) : seed + 1;
		state = seed * 0x9e3779b97f4a7c15U | 1;
		(void)chance();
		play((enum lane)_i);
	}
	if (_i == WITH_TLS) {
		weir_tls_context_unref(at_server);
		weir_tls_context_unref(at_client);
	}
}
END_TEST

static Suite *
property_suite(void)
{
	Suite *suite = suite_create("property");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, support_begin, support_end);
	tcase_set_timeout(tests, 0); /* until() is the judge */
	tcase_add_loop_test(tests, what_one_sends_the_other_gets, 0, LANES);
	suite_add_tcase(suite, tests);
	return suite;
}

int
main(void)
{
	return run_suite(property_suite());
}
