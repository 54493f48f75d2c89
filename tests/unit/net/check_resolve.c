/*
 * Lookups, against name servers of the test's own: a thread with a UDP and a
 * TCP socket on one port, which answers as the first label of a name says.
 */
#include "config.h"

#include <sys/eventfd.h>

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/resolve.h>

#define MANY 100

/* ---- a name server ---- */

struct server {
	pthread_t thread;
	int udp, tcp, stop;
	uint16_t port;
	unsigned char ip4; /* the last byte of the address it answers with */
	atomic_uint asked;
	atomic_uint asked_by_tcp;
};

struct packet {
	unsigned char data[8192];
	size_t length;
};

static void
put16(struct packet *p, unsigned value)
{
	p->data[p->length++] = (unsigned char)(value >> 8);
	p->data[p->length++] = (unsigned char)value;
}

static void
put_record(struct packet *p, unsigned type, const void *ip, unsigned length)
{
	put16(p, 0xc00c); /* the name of the question */
	put16(p, type);
	put16(p, 1);
	put16(p, 0);
	put16(p, 60);
	put16(p, length);
	memcpy(p->data + p->length, ip, length);
	p->length += length;
}

static void
set_header(struct packet *p, unsigned flags, unsigned rcode, unsigned answers)
{
	p->data[2] = (unsigned char)(0x81 | flags);
	p->data[3] = (unsigned char)(0x80 | rcode);
	p->data[6] = (unsigned char)(answers >> 8);
	p->data[7] = (unsigned char)answers;
}

static void
answer_many(struct packet *p, bool tcp)
{
	unsigned char ip[4] = {192, 0, 2, 0};
	unsigned i;

	if (!tcp) {
		set_header(p, 0x02, 0, 0);
		return;
	}
	set_header(p, 0, 0, MANY + 1);
	for (i = 0; i < MANY; i++) {
		ip[3] = (unsigned char)i;
		put_record(p, ns_t_a, ip, sizeof(ip));
	}
	put_record(p, ns_t_a, ip, sizeof(ip)); /* a double */
}

/* Make the question in p the answer; false for none. */
static bool
answer(const struct server *server, struct packet *p, bool tcp)
{
	const char *name = (const char *)p->data + 13;
	size_t end = 12;
	unsigned char ip4[4] = {192, 0, 2, server->ip4};
	struct in6_addr ip6;
	unsigned type;

	ck_assert_int_eq(inet_pton(AF_INET6, "2001:db8::1", &ip6), 1);
	while (end < p->length && p->data[end] != 0)
		end += p->data[end] + 1U;
	p->length = end + 5;
	type = p->data[end + 2];
	set_header(p, 0, 0, 0);

#define IS(label)                                                              \
	(p->data[12] == sizeof(label) - 1 &&                                   \
	    memcmp(name, label, sizeof(label) - 1) == 0)
	if (IS("silent"))
		return false;
	if (IS("nx")) {
		set_header(p, 0, ns_r_nxdomain, 0);
	} else if (IS("refused")) {
		set_header(p, 0, ns_r_refused, 0);
	} else if (IS("halfdead") && type == ns_t_a) {
		set_header(p, 0, ns_r_servfail, 0);
	} else if (IS("short")) {
		p->length = 5;
	} else if (IS("garbage")) {
		set_header(p, 0, 0, 1);
		put16(p, 0xffff);
		put16(p, 0xffff);
	} else if (IS("cut")) {
		set_header(p, 0, 0, 1);
		put_record(p, type, &ip6, type == ns_t_a ? 4 : 16);
		p->length -= 2;
	} else if (IS("many") && type == ns_t_a) {
		answer_many(p, tcp);
	} else if ((IS("four") || IS("both")) && type == ns_t_a) {
		set_header(p, 0, 0, 1);
		put_record(p, ns_t_a, ip4, sizeof(ip4));
	} else if (IS("both") && type == ns_t_aaaa) {
		set_header(p, 0, 0, 1);
		put_record(p, ns_t_aaaa, &ip6, sizeof(ip6));
	}
#undef IS
	return true;
}

static void
serve_udp(struct server *server)
{
	struct sockaddr_in from;
	socklen_t length = sizeof(from);
	struct packet p = {.length = 0};
	ssize_t got = recvfrom(
	    server->udp, p.data, 512, 0, (struct sockaddr *)&from, &length);

	if (got < 17)
		return;
	p.length = (size_t)got;
	atomic_fetch_add(&server->asked, 1);
	if (answer(server, &p, false))
		(void)sendto(server->udp, p.data, p.length, 0,
		    (struct sockaddr *)&from, length);
}

/* One question of one client; the client closes. */
static void
serve_tcp(struct server *server)
{
	int fd = accept(server->tcp, NULL, NULL);
	unsigned char length[2];
	struct packet p = {.length = 0};

	if (fd == -1)
		return;
	atomic_fetch_add(&server->asked_by_tcp, 1);
	if (recv(fd, length, 2, MSG_WAITALL) == 2) {
		p.length = (size_t)length[0] << 8 | length[1];
		if (recv(fd, p.data, p.length, MSG_WAITALL) ==
			(ssize_t)p.length &&
		    answer(server, &p, true)) {
			length[0] = (unsigned char)(p.length >> 8);
			length[1] = (unsigned char)p.length;
			(void)send(fd, length, 2, MSG_NOSIGNAL);
			(void)send(fd, p.data, p.length, MSG_NOSIGNAL);
		}
	}
	(void)recv(fd, length, 1, 0);
	(void)close(fd);
}

static void *
run_server(void *user)
{
	struct server *server = user;
	struct pollfd fds[3] = {
	    {.fd = server->udp, .events = POLLIN},
	    {.fd = server->tcp, .events = POLLIN},
	    {.fd = server->stop, .events = POLLIN},
	};

	while (poll(fds, 3, -1) > 0 && fds[2].revents == 0) {
		if (fds[0].revents != 0)
			serve_udp(server);
		if (fds[1].revents != 0)
			serve_tcp(server);
	}
	return NULL;
}

/* A TCP and a UDP socket on one port, whichever is free for both. */
static void
bind_server(struct server *server)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t length = sizeof(in);
	int tries;

	for (tries = 0; tries < 20; tries++) {
		in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		in.sin_port = 0;
		server->tcp = socket(AF_INET, SOCK_STREAM, 0);
		server->udp = socket(AF_INET, SOCK_DGRAM, 0);
		ck_assert_int_eq(
		    bind(server->tcp, (struct sockaddr *)&in, sizeof(in)), 0);
		ck_assert_int_eq(
		    getsockname(server->tcp, (struct sockaddr *)&in, &length),
		    0);
		if (bind(server->udp, (struct sockaddr *)&in, sizeof(in)) == 0)
			break;
		(void)close(server->tcp);
		(void)close(server->udp);
	}
	ck_assert_int_lt(tries, 20);
	ck_assert_int_eq(listen(server->tcp, 5), 0);
	server->port = ntohs(in.sin_port);
}

static void
start_server(struct server *server, unsigned char ip4)
{
	memset(server, 0, sizeof(*server));
	server->ip4 = ip4;
	bind_server(server);
	server->stop = eventfd(0, 0);
	ck_assert_int_ge(server->stop, 0);
	ck_assert_int_eq(
	    pthread_create(&server->thread, NULL, run_server, server), 0);
}

static void
stop_server(struct server *server)
{
	const uint64_t one = 1;

	ck_assert_int_eq(write(server->stop, &one, sizeof(one)), sizeof(one));
	ck_assert_int_eq(pthread_join(server->thread, NULL), 0);
	(void)close(server->udp);
	(void)close(server->tcp);
	(void)close(server->stop);
}

/* ---- what each test starts with ---- */

struct result {
	int calls, err;
	size_t count;
	struct weir_address addresses[MANY];
	struct weir_lookup *to_cancel;
	struct weir_loop *to_stop;
};

static struct server server;
static struct weir_loop *loop;

static void
use_server(const struct server *which)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "127.0.0.1:%u", which->port);
	ck_assert_int_eq(weir_loop_set_name_servers(loop, text), 0);
}

static void
set_up(void)
{
	start_server(&server, 1);
	ck_assert_int_eq(weir_loop_new(&loop, NULL), 0);
	use_server(&server);
}

static void
tear_down(void)
{
	weir_loop_free(loop);
	stop_server(&server);
}

static void
on_done(int err, const struct weir_address *addresses, size_t count, void *user)
{
	struct result *result = user;

	result->calls++;
	result->err = err;
	result->count = count;
	ck_assert_uint_le(count, MANY);
	ck_assert(err == 0 ? count > 0 : count == 0);
	if (count > 0)
		memcpy(
		    result->addresses, addresses, count * sizeof(*addresses));
	weir_resolve_cancel(result->to_cancel);
	if (result->to_stop != NULL)
		weir_loop_stop(result->to_stop);
}

static void
resolve(struct result *result, const char *host, int family)
{
	memset(result, 0, sizeof(*result));
	ck_assert_int_eq(
	    weir_resolve(NULL, loop, host, 80, family, on_done, result), 0);
	ck_assert_int_eq(result->calls, 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_int_eq(result->calls, 1);
}

static bool
has(const struct result *result, const char *text)
{
	char buffer[WEIR_ADDRESS_TEXT];
	size_t i;

	for (i = 0; i < result->count; i++)
		if (strcmp(weir_address_text(
			       &result->addresses[i], buffer, sizeof(buffer)),
			text) == 0)
			return true;
	return false;
}

static void
expect_one(const char *host, int family, const char *text)
{
	struct result result;

	resolve(&result, host, family);
	ck_assert_int_eq(result.err, 0);
	ck_assert_uint_eq(result.count, 1);
	ck_assert_msg(has(&result, text), "%s: not %s", host, text);
}

static void
expect_error(const char *host, int family, int err)
{
	struct result result;

	resolve(&result, host, family);
	ck_assert_msg(result.err == err, "%s: %s, not %s", host,
	    weir_error_name(result.err), weir_error_name(err));
}

static bool
machine_has_ip6_loopback(void)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	bool ret;

	in6.sin6_addr = in6addr_loopback;
	ret = fd >= 0 && bind(fd, (struct sockaddr *)&in6, sizeof(in6)) == 0;
	if (fd >= 0)
		(void)close(fd);
	return ret;
}

/* ---- tests ---- */

START_TEST(a_numeric_address_is_its_own_answer_later)
{
	expect_one("127.0.0.1", 0, "127.0.0.1:80");
	expect_one("2001:db8::2", 0, "[2001:db8::2]:80");
	expect_one("2001:db8::2", 6, "[2001:db8::2]:80");
	expect_error("127.0.0.1", 6, WEIR_E_NAME_NOT_FOUND);
	expect_error("::1", 4, WEIR_E_NAME_NOT_FOUND);
	ck_assert_uint_eq(atomic_load(&server.asked), 0);
}
END_TEST

START_TEST(a_bad_question_is_refused_at_once)
{
	struct result result = {.calls = 0};
	struct weir_lookup *lookup = NULL;
	static const char *const bad[] = {"a b", "-a.test", "a..test", "[::1]",
	    "fe80::1%no-such-if", "1.2.3.256", "a:b", "*", "a/b"};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(weir_resolve(&lookup, loop, bad[i], 80, 0,
				  on_done, &result) == -EINVAL,
		    "%s", bad[i]);
	ck_assert_int_eq(
	    weir_resolve(&lookup, loop, "four.test", 80, 5, on_done, &result),
	    -EINVAL);
	ck_assert_int_eq(
	    weir_resolve(&lookup, loop, NULL, 80, 0, on_done, &result),
	    -EINVAL);
	ck_assert_ptr_null(lookup);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_int_eq(result.calls, 0);
}
END_TEST

START_TEST(localhost_needs_no_name_server)
{
	static const char *const names[] = {"localhost", "LocalHost",
	    "localhost.", "", "a.localhost", "a.b.LOCALHOST."};
	struct result result;
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		expect_one(names[i], 4, "127.0.0.1:80");
		resolve(&result, names[i], 0);
		ck_assert_int_eq(result.err, 0);
		ck_assert(has(&result, "127.0.0.1:80"));
		if (machine_has_ip6_loopback())
			expect_one(names[i], 6, "[::1]:80");
		else
			expect_error(names[i], 6, WEIR_E_NAME_NOT_FOUND);
	}
	resolve(&result, "nobody.has.this.in.hosts.localhost", 0);
	ck_assert_int_eq(has(&result, "[::1]:80"), machine_has_ip6_loopback());
	ck_assert_uint_eq(atomic_load(&server.asked), 0);
	expect_error("nolocalhost.", 0, WEIR_E_NAME_NOT_FOUND);
	ck_assert_uint_gt(atomic_load(&server.asked), 0);
}
END_TEST

START_TEST(the_family_chooses_what_is_asked)
{
	struct result result;

	expect_one("both.test", 4, "192.0.2.1:80");
	expect_one("both.test", 6, "[2001:db8::1]:80");
	resolve(&result, "both.test", 0);
	ck_assert_uint_eq(result.count, 2);
	ck_assert(has(&result, "192.0.2.1:80"));
	ck_assert(has(&result, "[2001:db8::1]:80"));
	expect_one("four.test", 0, "192.0.2.1:80");
	expect_error("four.test", 6, WEIR_E_NAME_NOT_FOUND);
}
END_TEST

START_TEST(no_such_name_and_no_address_are_not_found)
{
	expect_error("nx.test", 0, WEIR_E_NAME_NOT_FOUND);
	expect_error("nx.test", 4, WEIR_E_NAME_NOT_FOUND);
	expect_error("none.test", 0, WEIR_E_NAME_NOT_FOUND);
	expect_error("none.test", 6, WEIR_E_NAME_NOT_FOUND);
}
END_TEST

START_TEST(a_server_that_fails_is_to_be_tried_again)
{
	expect_error("refused.test", 0, WEIR_E_NAME_TRY_AGAIN);
	expect_error("refused.test", 4, WEIR_E_NAME_TRY_AGAIN);
}
END_TEST

START_TEST(half_an_answer_is_not_a_denial)
{
	expect_error("halfdead.test", 0, WEIR_E_NAME_TRY_AGAIN);
}
END_TEST

START_TEST(nobody_on_the_port_is_to_be_tried_again)
{
	struct server gone;

	start_server(&gone, 1);
	stop_server(&gone);
	use_server(&gone);
	expect_error("four.test", 0, WEIR_E_NAME_TRY_AGAIN);
}
END_TEST

START_TEST(a_server_that_cannot_be_sent_to_is_to_be_tried_again)
{
	/* sending to the broadcast address fails from inside the question */
	ck_assert_int_eq(
	    weir_loop_set_name_servers(loop, "255.255.255.255"), 0);
	expect_error("four.test", 0, WEIR_E_NAME_TRY_AGAIN);
	expect_error("four.test", 4, WEIR_E_NAME_TRY_AGAIN);
}
END_TEST

START_TEST(a_broken_answer_fails)
{
	expect_error("garbage.test", 4, WEIR_E_NAME_FAILED);
	expect_error("cut.test", 0, WEIR_E_NAME_FAILED);
	expect_error("cut.test", 6, WEIR_E_NAME_FAILED);
}
END_TEST

START_TEST(silence_and_scraps_end_by_time)
{
	struct result silent = {.calls = 0}, scraps = {.calls = 0};

	ck_assert_int_eq(
	    weir_resolve(NULL, loop, "silent.test", 80, 0, on_done, &silent),
	    0);
	ck_assert_int_eq(
	    weir_resolve(NULL, loop, "short.test", 80, 4, on_done, &scraps), 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_int_eq(silent.calls, 1);
	ck_assert_int_eq(silent.err, WEIR_E_NAME_TRY_AGAIN);
	ck_assert_int_eq(scraps.calls, 1);
	ck_assert_int_eq(scraps.err, WEIR_E_NAME_TRY_AGAIN);
	/* two tries each, of three questions */
	ck_assert_uint_eq(atomic_load(&server.asked), 6);
}
END_TEST

START_TEST(what_udp_cuts_comes_by_tcp)
{
	struct result result;

	resolve(&result, "many.test", 4);
	ck_assert_int_eq(result.err, 0);
	ck_assert_uint_eq(atomic_load(&server.asked_by_tcp), 1);
	ck_assert_uint_eq(result.count, MANY);
	ck_assert(has(&result, "192.0.2.0:80"));
	ck_assert(has(&result, "192.0.2.99:80"));
}
END_TEST

START_TEST(two_at_once_get_their_own_answers)
{
	struct result four = {.calls = 0}, none = {.calls = 0};

	ck_assert_int_eq(
	    weir_resolve(NULL, loop, "four.test", 80, 0, on_done, &four), 0);
	ck_assert_int_eq(
	    weir_resolve(NULL, loop, "none.test", 81, 0, on_done, &none), 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_int_eq(four.calls, 1);
	ck_assert(has(&four, "192.0.2.1:80"));
	ck_assert_int_eq(none.calls, 1);
	ck_assert_int_eq(none.err, WEIR_E_NAME_NOT_FOUND);
}
END_TEST

START_TEST(a_lookup_holds_the_loop_until_it_is_cancelled)
{
	struct result result = {.calls = 0};
	struct weir_lookup *lookup;

	ck_assert_int_eq(
	    weir_resolve(&lookup, loop, "silent.test", 80, 0, on_done, &result),
	    0);
	weir_resolve_cancel(lookup);
	weir_resolve_cancel(NULL);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_int_eq(result.calls, 0);
}
END_TEST

START_TEST(a_queued_answer_can_be_cancelled)
{
	struct result result = {.calls = 0};
	struct weir_lookup *lookup;

	ck_assert_int_eq(
	    weir_resolve(&lookup, loop, "127.0.0.1", 80, 0, on_done, &result),
	    0);
	weir_resolve_cancel(lookup);
	ck_assert_int_eq(
	    weir_resolve(&lookup, loop, "localhost", 80, 0, on_done, &result),
	    0);
	weir_resolve_cancel(lookup);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_int_eq(result.calls, 0);
}
END_TEST

START_TEST(one_done_may_cancel_another_lookup)
{
	struct result first = {.calls = 0}, queued = {.calls = 0};
	struct result flying = {.calls = 0};

	ck_assert_int_eq(
	    weir_resolve(NULL, loop, "127.0.0.1", 80, 0, on_done, &first), 0);
	ck_assert_int_eq(weir_resolve(&first.to_cancel, loop, "127.0.0.2", 80,
			     0, on_done, &queued),
	    0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_int_eq(first.calls, 1);
	ck_assert_int_eq(queued.calls, 0);

	ck_assert_int_eq(
	    weir_resolve(NULL, loop, "four.test", 80, 0, on_done, &first), 0);
	ck_assert_int_eq(weir_resolve(&first.to_cancel, loop, "silent.test", 80,
			     0, on_done, &flying),
	    0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_int_eq(first.calls, 2);
	ck_assert_int_eq(flying.calls, 0);
}
END_TEST

START_TEST(a_done_may_cancel_itself)
{
	struct result result = {.calls = 0};

	ck_assert_int_eq(weir_resolve(&result.to_cancel, loop, "four.test", 80,
			     0, on_done, &result),
	    0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_int_eq(result.calls, 1);
}
END_TEST

START_TEST(cancelling_one_leaves_the_other)
{
	struct result gone = {.calls = 0}, four = {.calls = 0};
	struct weir_lookup *lookup;

	ck_assert_int_eq(
	    weir_resolve(&lookup, loop, "four.test", 80, 0, on_done, &gone), 0);
	ck_assert_int_eq(
	    weir_resolve(NULL, loop, "both.test", 80, 0, on_done, &four), 0);
	weir_resolve_cancel(lookup);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_int_eq(gone.calls, 0);
	ck_assert_int_eq(four.calls, 1);
	ck_assert_uint_eq(four.count, 2);
}
END_TEST

static void
resolve_again(
    int err, const struct weir_address *addresses, size_t count, void *user)
{
	ck_assert_int_eq(err, 0);
	ck_assert_uint_eq(count, 1);
	ck_assert_ptr_nonnull(addresses);
	ck_assert_int_eq(
	    weir_resolve(NULL, loop, "four.test", 80, 0, on_done, user), 0);
}

START_TEST(a_done_may_resolve)
{
	struct result result = {.calls = 0};

	ck_assert_int_eq(weir_resolve(NULL, loop, "four.test", 80, 0,
			     resolve_again, &result),
	    0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_int_eq(result.calls, 1);
}
END_TEST

START_TEST(a_loop_is_freed_with_lookups_under_way)
{
	struct result flying = {.calls = 0}, first = {.calls = 0};

	/* tear_down() frees the loop; leaks are for the sanitizer to find. */
	ck_assert_int_eq(
	    weir_resolve(NULL, loop, "silent.test", 80, 0, on_done, &flying),
	    0);
	first.to_stop = loop;
	ck_assert_int_eq(
	    weir_resolve(NULL, loop, "four.test", 80, 0, on_done, &first), 0);
	ck_assert_int_eq(weir_loop_run(loop), 1);
	ck_assert_int_eq(
	    weir_resolve(NULL, loop, "127.0.0.1", 80, 0, on_done, &flying), 0);
	use_server(&server);
	ck_assert_int_eq(
	    weir_resolve(NULL, loop, "silent.test", 80, 0, on_done, &flying),
	    0);
	ck_assert_int_eq(flying.calls, 0);
}
END_TEST

START_TEST(an_idle_resolver_waits_for_nothing)
{
	struct event_base *base = weir_loop_base(loop);
	const int before =
	    event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED);
	struct weir_lookup *lookup;
	struct result result;

	ck_assert_int_eq(
	    weir_resolve(&lookup, loop, "silent.test", 80, 0, on_done, &result),
	    0);
	ck_assert_int_gt(
	    event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), before);
	weir_resolve_cancel(lookup);
	ck_assert_int_eq(
	    event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), before);
	resolve(&result, "both.test", 0);
	ck_assert_int_eq(
	    event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), before);
}
END_TEST

START_TEST(new_name_servers_are_for_new_lookups)
{
	struct server second;
	struct result flying = {.calls = 0};

	start_server(&second, 2);
	expect_one("four.test", 4, "192.0.2.1:80");
	ck_assert_int_eq(
	    weir_resolve(NULL, loop, "four.test", 80, 4, on_done, &flying), 0);
	use_server(&second);
	expect_one("four.test", 4, "192.0.2.2:80");
	ck_assert_int_eq(flying.calls, 1);
	ck_assert(has(&flying, "192.0.2.1:80"));
	stop_server(&second);
}
END_TEST

START_TEST(a_second_name_server_stands_in)
{
	struct server gone;
	char text[64];

	start_server(&gone, 3);
	stop_server(&gone);
	(void)snprintf(text, sizeof(text), "127.0.0.1:%u, 127.0.0.1:%u",
	    gone.port, server.port);
	ck_assert_int_eq(weir_loop_set_name_servers(loop, text), 0);
	expect_one("four.test", 4, "192.0.2.1:80");
}
END_TEST

START_TEST(a_bad_list_of_name_servers_changes_nothing)
{
	static const char *const bad[] = {"", ",", "127.0.0.1,", "ns.test",
	    "ns.test:53", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536",
	    "127.0.0.1:53-54", "*:53", "[127.0.0.1]", "[::1", "[]", "unix:/a",
	    "127.0.0.1 127.0.0.2", "fe80::1%lo"};
	static const char *const good[] = {"127.0.0.1", "127.0.0.1:53", "::1",
	    "[::1]", "[::1]:53", "127.0.0.1,[::1]:5353"};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(
		    weir_loop_set_name_servers(loop, bad[i]) == -EINVAL, "%s",
		    bad[i]);
	expect_one("four.test", 4, "192.0.2.1:80");
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ck_assert_msg(weir_loop_set_name_servers(loop, good[i]) == 0,
		    "%s", good[i]);
	ck_assert_int_eq(weir_loop_set_name_servers(loop, NULL), 0);
}
END_TEST

static Suite *
resolve_suite(void)
{
	Suite *suite = suite_create("resolve");
	TCase *tc = tcase_create("resolve"), *slow = tcase_create("slow");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_numeric_address_is_its_own_answer_later);
	tcase_add_test(tc, a_bad_question_is_refused_at_once);
	tcase_add_test(tc, localhost_needs_no_name_server);
	tcase_add_test(tc, the_family_chooses_what_is_asked);
	tcase_add_test(tc, no_such_name_and_no_address_are_not_found);
	tcase_add_test(tc, a_server_that_fails_is_to_be_tried_again);
	tcase_add_test(tc, half_an_answer_is_not_a_denial);
	tcase_add_test(tc, nobody_on_the_port_is_to_be_tried_again);
	tcase_add_test(
	    tc, a_server_that_cannot_be_sent_to_is_to_be_tried_again);
	tcase_add_test(tc, a_broken_answer_fails);
	tcase_add_test(tc, what_udp_cuts_comes_by_tcp);
	tcase_add_test(tc, two_at_once_get_their_own_answers);
	tcase_add_test(tc, a_lookup_holds_the_loop_until_it_is_cancelled);
	tcase_add_test(tc, a_queued_answer_can_be_cancelled);
	tcase_add_test(tc, one_done_may_cancel_another_lookup);
	tcase_add_test(tc, a_done_may_cancel_itself);
	tcase_add_test(tc, cancelling_one_leaves_the_other);
	tcase_add_test(tc, a_done_may_resolve);
	tcase_add_test(tc, a_loop_is_freed_with_lookups_under_way);
	tcase_add_test(tc, an_idle_resolver_waits_for_nothing);
	tcase_add_test(tc, new_name_servers_are_for_new_lookups);
	tcase_add_test(tc, a_second_name_server_stands_in);
	tcase_add_test(tc, a_bad_list_of_name_servers_changes_nothing);
	suite_add_tcase(suite, tc);

	tcase_add_checked_fixture(slow, set_up, tear_down);
	tcase_set_timeout(slow, 60);
	tcase_add_test(slow, silence_and_scraps_end_by_time);
	suite_add_tcase(suite, slow);
	return suite;
}

int
main(void)
{
	SRunner *sr = srunner_create(resolve_suite());
	int failed;

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
