/* Sessions: each way a connection can go and end, its bytes and counters. */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/loop.h>

#include "support.h"

#define ONE	"[weir]\ncontrol = off\n[listener a]\nlisten = 127.0.0.1:0\n"
#define ECHO	ONE "mode = echo\naccess_log = on\n"
#define PEER	ONE "mode = pipe\npipe = peer\naccess_log = on\n"
#define FORWARD ONE "mode = forward\naccess_log = on\nupstream = 127.0.0.1:%u\n"

static struct bench bench;
static struct bench *const b = &bench;

static void
setup(void)
{
	memset(b, 0, sizeof(*b));
	bench_directory(b);
}

/* All connections are over; so many bytes came and went. */
static void
over(uint64_t in, uint64_t out)
{
	until(b, proxy_connections(b->proxy) == 0);
	ck_assert_uint_eq(bench_figures(b, 0).bytes_in, in);
	ck_assert_uint_eq(bench_figures(b, 0).bytes_out, out);
}

/* A client and its upstream, connected. */
struct pair {
	int listening, client, server;
};

static struct pair
pair(const char *options)
{
	struct pair p;
	uint16_t port;

	p.listening = upstream(&port);
	bench_start(b, FORWARD "%s", port, options);
	p.client = client(b, 0);
	p.server = upstream_accept(b, p.listening);
	until(b, strcmp(bench_session(b, 0), "open") == 0);
	return p;
}

static void
close_pair(const struct pair *p)
{
	(void)close(p->listening);
	if (p->client != -1)
		(void)close(p->client);
	if (p->server != -1)
		(void)close(p->server);
}

/* A port of 127.0.0.1 where nobody listens. */
static uint16_t
closed_port(void)
{
	uint16_t port;

	(void)close(upstream(&port));
	return port;
}

/* A port that never answers: its queue is full. */
struct mute {
	int fds[8];
	uint16_t port;
};

static void
mute(struct mute *m)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	unsigned i;

	m->fds[0] = upstream(&m->port);
	ck_assert_int_eq(listen(m->fds[0], 0), 0);
	to.sin_port = htons(m->port);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (i = 1; i < 8; i++) {
		m->fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		ck_assert_int_ne(m->fds[i], -1);
		(void)connect(
		    m->fds[i], (const struct sockaddr *)&to, sizeof(to));
	}
}

static void
unmute(const struct mute *m)
{
	unsigned i;

	for (i = 0; i < 8; i++)
		(void)close(m->fds[i]);
}

/* ---- bytes and ends ---- */

START_TEST(echo_sends_back_and_counts_each_byte)
{
	int c;

	bench_start(b, ECHO "greeting = hi\\n\n");
	c = client(b, 0);
	got(b, c, "hi\n");
	put(c, "hello");
	got(b, c, "hello");
	ck_assert_str_eq(bench_session(b, 0), "open");
	ck_assert_int_eq(shutdown(c, SHUT_WR), 0);
	until(b, strcmp(ended(c), "end") == 0);
	over(5, 8);
	ck_assert_uint_eq(bench_logged(b, "end=client"), 1);
	(void)close(c);
	bench_close(b);
}
END_TEST

START_TEST(a_forwarded_connection_is_counted_to_the_byte)
{
	struct pair p = pair("");

	put(p.client, "question");
	got(b, p.server, "question");
	put(p.server, "an answer");
	got(b, p.client, "an answer");
	ck_assert_uint_eq(bench_figures(b, 0).bytes_in, 8);
	ck_assert_uint_eq(bench_figures(b, 0).bytes_out, 9);
	ck_assert_int_eq(shutdown(p.server, SHUT_WR), 0);
	until(b, strcmp(ended(p.client), "end") == 0);
	ck_assert_str_eq(bench_session(b, 0), "half-closed");
	put(p.client, "!");
	got(b, p.server, "!");
	ck_assert_int_eq(shutdown(p.client, SHUT_WR), 0);
	until(b, strcmp(ended(p.server), "end") == 0);
	over(9, 9);
	ck_assert_uint_eq(bench_logged(b, "end=upstream"), 1);
	close_pair(&p);
	bench_close(b);
}
END_TEST

START_TEST(a_late_answer_comes_after_the_clients_end)
{
	struct pair p = pair("half_close_timeout = off\n");

	put(p.client, "question");
	ck_assert_int_eq(shutdown(p.client, SHUT_WR), 0);
	got(b, p.server, "question");
	until(b, strcmp(ended(p.server), "end") == 0);
	bench_pass(b, 100);
	ck_assert(quiet(p.client));
	put(p.server, "answer");
	got(b, p.client, "answer");
	(void)close(p.server);
	p.server = -1;
	until(b, strcmp(ended(p.client), "end") == 0);
	over(8, 6);
	ck_assert_uint_eq(bench_logged(b, "end=client"), 1);
	close_pair(&p);
	bench_close(b);
}
END_TEST

START_TEST(a_reset_of_the_client_is_passed_on)
{
	struct pair p = pair("");

	put(p.client, "x");
	got(b, p.server, "x");
	reset(p.client);
	p.client = -1;
	until(b, strcmp(ended(p.server), "reset") == 0);
	over(1, 0);
	ck_assert_uint_eq(bench_logged(b, "end=reset"), 1);
	close_pair(&p);
	bench_close(b);
}
END_TEST

START_TEST(a_reset_of_the_upstream_is_passed_on)
{
	struct pair p = pair("");

	put(p.server, "y");
	got(b, p.client, "y");
	reset(p.server);
	p.server = -1;
	until(b, strcmp(ended(p.client), "reset") == 0);
	over(0, 1);
	ck_assert_uint_eq(bench_logged(b, "end=reset"), 1);
	close_pair(&p);
	bench_close(b);
}
END_TEST

START_TEST(a_client_that_resets_while_it_is_slowed_down_is_noticed)
{
	struct pair p = pair("splice = off\n");

	ck_assert_uint_gt(stuff(b, p.client), 65536);
	ck_assert_uint_gt(bench_figures(b, 0).buffered, 0);
	ck_assert_uint_le(bench_figures(b, 0).buffered, 65536);
	reset(p.client);
	p.client = -1;
	/* What had been read of it goes first. */
	until(b, strcmp(bench_session(b, 0), "half-closed") == 0);
	until(b, strcmp(ended(p.server), "reset") == 0);
	until(b, proxy_connections(b->proxy) == 0);
	ck_assert_uint_eq(bench_figures(b, 0).buffered, 0);
	ck_assert_uint_eq(bench_logged(b, "end=reset"), 1);
	close_pair(&p);
	bench_close(b);
}
END_TEST

/* ---- allow_half_open = no ---- */

START_TEST(without_half_open_the_clients_end_ends_both)
{
	struct pair p = pair("allow_half_open = no\n");

	put(p.client, "all of it");
	ck_assert_int_eq(shutdown(p.client, SHUT_WR), 0);
	got(b, p.server, "all of it");
	until(b, strcmp(ended(p.server), "end") == 0);
	until(b, strcmp(ended(p.client), "end") == 0);
	over(9, 0);
	close_pair(&p);
	bench_close(b);
}
END_TEST

START_TEST(without_half_open_the_upstreams_end_ends_both)
{
	struct pair p = pair("allow_half_open = no\n");

	put(p.server, "all of it");
	ck_assert_int_eq(shutdown(p.server, SHUT_WR), 0);
	got(b, p.client, "all of it");
	until(b, strcmp(ended(p.client), "end") == 0);
	over(0, 9);
	ck_assert_uint_eq(bench_logged(b, "end=upstream"), 1);
	close_pair(&p);
	bench_close(b);
}
END_TEST

static const char *const one_sided[] = {
    "mode = echo\n", "mode = pipe\npipe = null\n",
    "mode = pipe\npipe = exec:cat\n",
    "mode = pipe\npipe = file:", /* and a path */
};

START_TEST(without_half_open_every_mode_ends_with_its_client)
{
	bool file = _i == 3;
	int c;

	bench_start(b, ONE "allow_half_open = no\n%s%s%s", one_sided[_i],
	    file ? b->directory : "", file ? "/out\n" : "");
	c = client(b, 0);
	put(c, "abc");
	ck_assert_int_eq(shutdown(c, SHUT_WR), 0);
	until(b, strcmp(ended(c), "end") == 0);
	until(b, proxy_connections(b->proxy) == 0);
	ck_assert_uint_eq(bench_figures(b, 0).bytes_in, 3);
	(void)close(c);
	bench_close(b);
}
END_TEST

START_TEST(without_half_open_a_program_that_ends_ends_both)
{
	int c;

	/* It leaves unread what the client sent: no reset comes of that. */
	bench_start(b,
	    ONE "allow_half_open = no\nmode = pipe\naccess_log = on\n"
		"pipe = exec:sh -c \"read a; echo $a; exit\"\n");
	c = client(b, 0);
	put(c, "one\ntwo\nthree\n");
	got(b, c, "one\n");
	until(b, proxy_connections(b->proxy) == 0);
	ck_assert_uint_eq(bench_logged(b, "end=upstream"), 1);
	(void)close(c);
	bench_close(b);
}
END_TEST

START_TEST(without_half_open_one_of_a_pair_ends_the_other)
{
	int one, two;

	bench_start(b, PEER "allow_half_open = no\n");
	one = client(b, 0);
	until(b, strcmp(bench_session(b, 0), "waiting") == 0);
	two = client(b, 0);
	put(one, "abc");
	got(b, two, "abc");
	ck_assert_int_eq(shutdown(one, SHUT_WR), 0);
	until(b, strcmp(ended(two), "end") == 0);
	until(b, strcmp(ended(one), "end") == 0);
	over(3, 3);
	(void)close(one);
	(void)close(two);
	bench_close(b);
}
END_TEST

/* ---- connecting ---- */

START_TEST(bytes_sent_before_the_upstream_is_there_are_not_lost)
{
	int c, s, listening;
	uint16_t port;

	listening = upstream(&port);
	bench_start(b,
	    ONE "mode = forward\nupstream = 127.0.0.1:%u\n"
		"upstream = 127.0.0.1:%u\npause_on_connect = %s\n",
	    closed_port(), port, _i == 0 ? "no" : "yes");
	c = client(b, 0);
	put(c, "early");
	ck_assert_int_eq(shutdown(c, SHUT_WR), 0);
	s = upstream_accept(b, listening);
	got(b, s, "early");
	until(b, strcmp(ended(s), "end") == 0);
	put(s, "late");
	(void)close(s);
	got(b, c, "late");
	until(b, strcmp(ended(c), "end") == 0);
	over(5, 4);
	ck_assert_uint_eq(bench_figures(b, 0).errors, 0);
	(void)close(c);
	(void)close(listening);
	bench_close(b);
}
END_TEST

START_TEST(nobody_at_any_upstream_closes_the_client)
{
	uint16_t one = closed_port(), two = closed_port();
	char tried[64];
	int c, i;

	bench_start(b, FORWARD "upstream = 127.0.0.1:%u\n", one, two);
	for (i = 1; i <= 3; i++) {
		c = client(b, 0);
		put(c, "x");
		until(b, bench_figures(b, 0).closed == (unsigned)i);
		until(b, *ended(c) != '\0');
		(void)close(c);
	}
	ck_assert_uint_eq(bench_figures(b, 0).errors, 3);
	ck_assert_uint_eq(bench_logged(b, "end=connect_failed"), 3);
	ck_assert_uint_eq(bench_logged(b, "cannot connect"), 1);
	(void)snprintf(
	    tried, sizeof(tried), "tried=127.0.0.1:%u,127.0.0.1:%u ", one, two);
	ck_assert_uint_eq(bench_logged(b, tried), 3);
	bench_close(b);
}
END_TEST

START_TEST(one_upstream_down_is_news_once_and_back_once)
{
	uint16_t down = closed_port(), up;
	int c, s, i, listening = upstream(&up);
	uint64_t n = 0;

	bench_start(b, FORWARD "upstream = 127.0.0.1:%u\n", down, up);
	for (i = 0; i < 3; i++) {
		c = client(b, 0);
		s = upstream_accept(b, listening);
		(void)close(c);
		(void)close(s);
		n++;
		until(b, bench_figures(b, 0).closed == n);
	}
	ck_assert_uint_eq(bench_logged(b, "cannot connect"), 1);
	ck_assert_uint_eq(bench_logged(b, "connected again"), 0);
	(void)close(listening);
	bench_close(b);
}
END_TEST

START_TEST(a_name_without_addresses_is_told_and_closes_the_client)
{
	char servers[32];
	int c;

	bench_open(b, 0, NULL, 0,
	    ONE "mode = forward\naccess_log = on\n"
		"upstream = nobody.example:80\nconnect_timeout = 200ms\n");
	(void)snprintf(servers, sizeof(servers), "127.0.0.1:%u", closed_port());
	ck_assert_int_eq(weir_loop_set_name_servers(b->loop, servers), 0);
	proxy_start(b->proxy);
	until(b, b->ready == 1);
	proxy_accept(b->proxy);
	c = client(b, 0);
	until(b, bench_figures(b, 0).closed == 1);
	until(b, *ended(c) != '\0');
	ck_assert_uint_eq(bench_figures(b, 0).errors, 1);
	ck_assert_uint_eq(bench_logged(b, "no server is usable"), 1);
	ck_assert_uint_eq(bench_logged(b, "cannot resolve"), 1);
	ck_assert_uint_eq(bench_logged(b, "server=nobody.example:80 "), 1);
	ck_assert_uint_eq(bench_logged(b, "end=connect_timeout"), 1);
	(void)close(c);
	bench_close(b);
}
END_TEST

START_TEST(each_address_has_its_own_connect_timeout)
{
	struct mute m;
	int c, s, listening;
	uint16_t port;

	mute(&m);
	listening = upstream(&port);
	bench_start(b,
	    FORWARD "upstream = 127.0.0.1:%u\nconnect_timeout = 100ms\n",
	    m.port, port);
	c = client(b, 0);
	put(c, "abc");
	until(b, strcmp(bench_session(b, 0), "connecting") == 0);
	s = upstream_accept(b, listening);
	got(b, s, "abc");
	(void)close(c);
	(void)close(s);
	over(3, 0);
	(void)close(listening);
	unmute(&m);
	bench_close(b);
}
END_TEST

START_TEST(an_upstream_that_never_answers_is_a_connect_timeout)
{
	struct mute m;
	int c;

	mute(&m);
	bench_start(b, FORWARD "connect_timeout = 100ms\n", m.port);
	c = client(b, 0);
	until(b, bench_figures(b, 0).closed == 1);
	until(b, *ended(c) != '\0');
	ck_assert_uint_eq(bench_logged(b, "end=connect_timeout"), 1);
	ck_assert_uint_eq(bench_figures(b, 0).errors, 1);
	ck_assert_uint_eq(bench_figures(b, 0).timeouts, 0);
	(void)close(c);
	unmute(&m);
	bench_close(b);
}
END_TEST

START_TEST(a_client_that_resets_while_connecting_is_let_go)
{
	struct mute m;
	int c;

	mute(&m);
	bench_start(b, FORWARD "pause_on_connect = %s\n", m.port,
	    _i == 0 ? "no" : "yes");
	c = client(b, 0);
	until(b, strcmp(bench_session(b, 0), "connecting") == 0);
	reset(c);
	over(0, 0);
	ck_assert_uint_eq(bench_logged(b, "end=reset"), 1);
	ck_assert_uint_eq(bench_figures(b, 0).errors, 0);
	unmute(&m);
	bench_close(b);
}
END_TEST

/* ---- the clock ---- */

START_TEST(an_idle_connection_ends_and_is_counted)
{
	struct pair p = pair("timeout = 150ms\n");
	int i;

	/* What moves keeps it: in all longer than its timeout. */
	for (i = 0; i < 4; i++) {
		bench_pass(b, 60);
		put(_i == 0 ? p.client : p.server, "x");
		got(b, _i == 0 ? p.server : p.client, "x");
	}
	until(b, strcmp(ended(p.client), "end") == 0);
	over(_i == 0 ? 4 : 0, _i == 0 ? 0 : 4);
	ck_assert_uint_eq(bench_figures(b, 0).timeouts, 1);
	ck_assert_uint_eq(bench_logged(b, "end=timeout"), 1);
	close_pair(&p);
	bench_close(b);
}
END_TEST

START_TEST(a_half_closed_connection_has_its_own_timeout)
{
	struct pair p = pair("half_close_timeout = 100ms\n");

	bench_pass(b, 250);
	ck_assert_str_eq(bench_session(b, 0), "open");
	ck_assert_int_eq(shutdown(_i == 0 ? p.client : p.server, SHUT_WR), 0);
	over(0, 0);
	ck_assert_uint_eq(bench_figures(b, 0).timeouts, 1);
	ck_assert_uint_eq(bench_logged(b, "end=timeout"), 1);
	close_pair(&p);
	bench_close(b);
}
END_TEST

START_TEST(the_half_close_clock_starts_with_the_end)
{
	struct pair p = pair("half_close_timeout = 400ms\n");

	/* Idle for longer than that before; the answer takes a while. */
	bench_pass(b, 600);
	ck_assert_int_eq(shutdown(p.client, SHUT_WR), 0);
	until(b, strcmp(ended(p.server), "end") == 0);
	bench_pass(b, 50);
	put(p.server, "answer");
	got(b, p.client, "answer");
	(void)close(p.server);
	p.server = -1;
	over(0, 6);
	ck_assert_uint_eq(bench_figures(b, 0).timeouts, 0);
	close_pair(&p);
	bench_close(b);
}
END_TEST

START_TEST(the_shorter_of_both_timeouts_counts_when_half_closed)
{
	struct pair p =
	    pair(_i == 0 ? "timeout = 100ms\nhalf_close_timeout = 1h\n"
			 : "timeout = 1h\nhalf_close_timeout = 100ms\n");

	ck_assert_int_eq(shutdown(p.client, SHUT_WR), 0);
	until(b, strcmp(ended(p.server), "end") == 0);
	over(0, 0);
	ck_assert_uint_eq(bench_figures(b, 0).timeouts, 1);
	close_pair(&p);
	bench_close(b);
}
END_TEST

START_TEST(a_lifetime_ends_what_is_busy)
{
	uint64_t begin;
	int c;

	bench_start(b, ECHO "lifetime = 150ms\n");
	c = client(b, 0);
	until(b, proxy_connections(b->proxy) == 1);
	begin = weir_loop_now_ms(b->loop);
	while (proxy_connections(b->proxy) == 1) {
		ck_assert_uint_lt(weir_loop_now_ms(b->loop) - begin, 30000);
		(void)send(c, "x", 1, MSG_NOSIGNAL);
		bench_pass(b, 5);
	}
	ck_assert_uint_eq(bench_figures(b, 0).timeouts, 1);
	ck_assert_uint_eq(bench_logged(b, "end=timeout"), 1);
	(void)close(c);
	bench_close(b);
}
END_TEST

START_TEST(without_timeouts_nothing_ends)
{
	struct pair p = pair("timeout = off\nhalf_close_timeout = off\n");

	ck_assert_int_eq(shutdown(p.client, SHUT_WR), 0);
	bench_pass(b, 250);
	ck_assert_str_eq(bench_session(b, 0), "half-closed");
	close_pair(&p);
	bench_close(b);
}
END_TEST

START_TEST(both_of_a_pair_are_counted_when_it_times_out)
{
	int one, two;

	bench_start(b, PEER "timeout = 100ms\n");
	one = client(b, 0);
	two = client(b, 0);
	until(b, strcmp(bench_session(b, 0), "open") == 0);
	over(0, 0);
	ck_assert_uint_eq(bench_figures(b, 0).timeouts, 2);
	ck_assert_uint_eq(bench_logged(b, "end=timeout"), 2);
	(void)close(one);
	(void)close(two);
	bench_close(b);
}
END_TEST

START_TEST(one_that_waits_for_a_peer_times_out)
{
	int one;

	bench_start(b, PEER "timeout = 100ms\n");
	one = client(b, 0);
	until(b, bench_figures(b, 0).closed == 1);
	ck_assert_uint_eq(bench_figures(b, 0).timeouts, 1);
	(void)close(one);
	bench_close(b);
}
END_TEST

/* ---- pairs ---- */

START_TEST(two_clients_are_joined_and_what_came_early_is_kept)
{
	int one, two;

	bench_start(b, PEER);
	one = client(b, 0);
	put(one, "early");
	ck_assert_int_eq(shutdown(one, SHUT_WR), 0);
	until(b, strcmp(bench_session(b, 0), "waiting") == 0);
	ck_assert_uint_eq(bench_figures(b, 0).bytes_in, 0);
	two = client(b, 0);
	got(b, two, "early");
	until(b, strcmp(ended(two), "end") == 0);
	put(two, "late");
	got(b, one, "late");
	(void)close(two);
	until(b, strcmp(ended(one), "end") == 0);
	over(9, 9);
	(void)close(one);
	bench_close(b);
}
END_TEST

START_TEST(a_reset_of_one_resets_its_peer)
{
	int one, two;

	bench_start(b, PEER);
	one = client(b, 0);
	two = client(b, 0);
	until(b, strcmp(bench_session(b, 0), "open") == 0);
	reset(_i == 0 ? one : two);
	until(b, strcmp(ended(_i == 0 ? two : one), "reset") == 0);
	over(0, 0);
	ck_assert_uint_eq(bench_logged(b, "end=reset"), 2);
	(void)close(_i == 0 ? two : one);
	bench_close(b);
}
END_TEST

START_TEST(one_that_is_killed_takes_its_peer_along)
{
	int one, two;

	bench_start(b, PEER);
	one = client(b, 0);
	two = client(b, 0);
	until(b, strcmp(bench_session(b, 0), "open") == 0);
	ck_assert_int_eq(
	    proxy_kill(b->proxy, bench_session_id(b, (size_t)_i)), 0);
	over(0, 0);
	ck_assert_uint_eq(bench_logged(b, "end=killed"), 2);
	(void)close(one);
	(void)close(two);
	bench_close(b);
}
END_TEST

START_TEST(one_that_has_left_is_nobodys_peer)
{
	int one, two, three;

	bench_start(b, PEER);
	one = client(b, 0);
	until(b, strcmp(bench_session(b, 0), "waiting") == 0);
	/* Both are seen in one turn of the loop. */
	reset(one);
	two = client(b, 0);
	until(b, bench_figures(b, 0).closed == 1);
	until(b, proxy_connections(b->proxy) == 1);
	ck_assert_str_eq(bench_session(b, 0), "waiting");
	three = client(b, 0);
	put(three, "abc");
	got(b, two, "abc");
	(void)close(two);
	(void)close(three);
	until(b, proxy_connections(b->proxy) == 0);
	bench_close(b);
}
END_TEST

START_TEST(clients_of_two_listeners_are_joined_either_way)
{
	int one, two;

	bench_start(b, ONE "mode = pipe\npipe = peer:b\n"
			   "[listener b]\nlisten = 127.0.0.1:0\nmode = pipe\n"
			   "pipe = peer:a\n");
	one = client(b, _i == 0 ? 0 : 1);
	until(b, strcmp(bench_session(b, 0), "waiting") == 0);
	two = client(b, _i == 0 ? 1 : 0);
	put(one, "abc");
	got(b, two, "abc");
	put(two, "defg");
	got(b, one, "defg");
	(void)close(one);
	(void)close(two);
	until(b, proxy_connections(b->proxy) == 0);
	ck_assert_uint_eq(bench_figures(b, 0).bytes_in, _i == 0 ? 3 : 4);
	ck_assert_uint_eq(bench_figures(b, 1).bytes_in, _i == 0 ? 4 : 3);
	bench_close(b);
}
END_TEST

/* ---- killed in every state ---- */

static void
kill_only(void)
{
	uint64_t id = bench_session_id(b, 0);

	ck_assert_int_eq(proxy_kill(b->proxy, id), 0);
	until(b, proxy_connections(b->proxy) == 0);
	ck_assert_int_eq(proxy_kill(b->proxy, id), -ENOENT);
	ck_assert_uint_eq(bench_logged(b, "end=killed"), 1);
	ck_assert_uint_eq(bench_figures(b, 0).errors, 0);
	ck_assert_uint_eq(bench_figures(b, 0).timeouts, 0);
}

START_TEST(one_that_connects_can_be_killed)
{
	struct mute m;
	int c;

	mute(&m);
	bench_start(b, FORWARD, m.port);
	c = client(b, 0);
	put(c, "abc");
	until(b, bench_figures(b, 0).bytes_in == 3);
	kill_only();
	until(b, *ended(c) != '\0');
	(void)close(c);
	unmute(&m);
	bench_close(b);
}
END_TEST

static void
kill_first(struct bench *bench_)
{
	bench_->hook = NULL;
	ck_assert_int_eq(
	    proxy_kill(bench_->proxy, bench_session_id(bench_, 0)), 0);
}

START_TEST(one_that_has_just_come_can_be_killed)
{
	uint16_t port;
	int c, listening = upstream(&port);

	bench_start(b, FORWARD "greeting = hi\n", port);
	b->hook = kill_first;
	c = client(b, 0);
	until(b, bench_figures(b, 0).closed == 1);
	ck_assert_uint_eq(bench_logged(b, "end=killed"), 1);
	ck_assert_uint_eq(bench_logged(b, "error "), 0);
	ck_assert_uint_eq(bench_figures(b, 0).errors, 0);
	ck_assert_int_eq(accept(listening, NULL, NULL), -1);
	(void)close(c);
	(void)close(listening);
	bench_close(b);
}
END_TEST

START_TEST(one_that_is_open_or_half_closed_can_be_killed)
{
	struct pair p = pair("");

	if (_i > 0) {
		(void)shutdown(_i == 1 ? p.client : p.server, SHUT_WR);
		until(b, strcmp(bench_session(b, 0), "half-closed") == 0);
	}
	kill_only();
	close_pair(&p);
	bench_close(b);
}
END_TEST

START_TEST(one_that_waits_can_be_killed)
{
	int c;

	bench_start(b, PEER);
	c = client(b, 0);
	until(b, strcmp(bench_session(b, 0), "waiting") == 0);
	kill_only();
	(void)close(c);
	bench_close(b);
}
END_TEST

START_TEST(one_that_is_slowed_down_can_be_killed)
{
	struct pair p = pair("");

	(void)stuff(b, p.client);
	(void)stuff(b, p.server);
	kill_only();
	close_pair(&p);
	bench_close(b);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("session");
	TCase *tc = tcase_create("session");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, echo_sends_back_and_counts_each_byte);
	tcase_add_test(tc, a_forwarded_connection_is_counted_to_the_byte);
	tcase_add_test(tc, a_late_answer_comes_after_the_clients_end);
	tcase_add_test(tc, a_reset_of_the_client_is_passed_on);
	tcase_add_test(tc, a_reset_of_the_upstream_is_passed_on);
	tcase_add_test(
	    tc, a_client_that_resets_while_it_is_slowed_down_is_noticed);
	tcase_add_test(tc, without_half_open_the_clients_end_ends_both);
	tcase_add_test(tc, without_half_open_the_upstreams_end_ends_both);
	tcase_add_loop_test(
	    tc, without_half_open_every_mode_ends_with_its_client, 0, 4);
	tcase_add_test(tc, without_half_open_a_program_that_ends_ends_both);
	tcase_add_test(tc, without_half_open_one_of_a_pair_ends_the_other);
	tcase_add_loop_test(
	    tc, bytes_sent_before_the_upstream_is_there_are_not_lost, 0, 2);
	tcase_add_test(tc, nobody_at_any_upstream_closes_the_client);
	tcase_add_test(tc, one_upstream_down_is_news_once_and_back_once);
	tcase_add_test(
	    tc, a_name_without_addresses_is_told_and_closes_the_client);
	tcase_add_test(tc, each_address_has_its_own_connect_timeout);
	tcase_add_test(tc, an_upstream_that_never_answers_is_a_connect_timeout);
	tcase_add_loop_test(
	    tc, a_client_that_resets_while_connecting_is_let_go, 0, 2);
	tcase_add_loop_test(tc, an_idle_connection_ends_and_is_counted, 0, 2);
	tcase_add_loop_test(
	    tc, a_half_closed_connection_has_its_own_timeout, 0, 2);
	tcase_add_test(tc, the_half_close_clock_starts_with_the_end);
	tcase_add_loop_test(
	    tc, the_shorter_of_both_timeouts_counts_when_half_closed, 0, 2);
	tcase_add_test(tc, a_lifetime_ends_what_is_busy);
	tcase_add_test(tc, without_timeouts_nothing_ends);
	tcase_add_test(tc, both_of_a_pair_are_counted_when_it_times_out);
	tcase_add_test(tc, one_that_waits_for_a_peer_times_out);
	tcase_add_test(tc, two_clients_are_joined_and_what_came_early_is_kept);
	tcase_add_loop_test(tc, a_reset_of_one_resets_its_peer, 0, 2);
	tcase_add_loop_test(tc, one_that_is_killed_takes_its_peer_along, 0, 2);
	tcase_add_test(tc, one_that_has_left_is_nobodys_peer);
	tcase_add_loop_test(
	    tc, clients_of_two_listeners_are_joined_either_way, 0, 2);
	tcase_add_test(tc, one_that_connects_can_be_killed);
	tcase_add_test(tc, one_that_has_just_come_can_be_killed);
	tcase_add_loop_test(
	    tc, one_that_is_open_or_half_closed_can_be_killed, 0, 3);
	tcase_add_test(tc, one_that_waits_can_be_killed);
	tcase_add_test(tc, one_that_is_slowed_down_can_be_killed);
	suite_add_tcase(suite, tc);
	return support_run(suite);
}
