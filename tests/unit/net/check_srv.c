/*
 * Records of services and times to live, against a name server of the test's
 * own: a thread with a UDP socket, which answers as the first label of a name
 * says, with what a table of records has for it.
 */
#include "config.h"

#include <sys/socket.h>

#include <arpa/nameser.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/resolve.h>

#define MANY 20

/* ---- a name server ---- */

struct packet {
	unsigned char data[2048];
	size_t length;
};

static struct {
	pthread_t thread;
	int udp;
	uint16_t port;
	atomic_uint asked;
} server;

static void
put16(struct packet *p, unsigned value)
{
	p->data[p->length++] = (unsigned char)(value >> 8);
	p->data[p->length++] = (unsigned char)value;
}

static void
put_name(struct packet *p, const char *name)
{
	size_t n;

	for (; *name != '\0'; name += n + (name[n] == '.')) {
		n = strcspn(name, ".");
		p->data[p->length++] = (unsigned char)n;
		memcpy(p->data + p->length, name, n);
		p->length += n;
	}
	p->data[p->length++] = 0;
}

/* One more record of the name asked for; its length is the caller's to set. */
static size_t
begin_record(struct packet *p, unsigned type, unsigned ttl_s)
{
	unsigned count = (unsigned)p->data[6] << 8 | p->data[7];

	p->data[6] = (unsigned char)((count + 1) >> 8);
	p->data[7] = (unsigned char)(count + 1);
	put16(p, 0xc00c);
	put16(p, type);
	put16(p, 1);
	put16(p, ttl_s >> 16);
	put16(p, ttl_s & 0xffff);
	put16(p, 0);
	return p->length;
}

static void
end_record(struct packet *p, size_t begin)
{
	p->data[begin - 2] = (unsigned char)((p->length - begin) >> 8);
	p->data[begin - 1] = (unsigned char)(p->length - begin);
}

static void
put_srv(struct packet *p, unsigned ttl_s, unsigned priority, unsigned weight,
    unsigned port, const char *host)
{
	size_t begin = begin_record(p, ns_t_srv, ttl_s);

	put16(p, priority);
	put16(p, weight);
	put16(p, port);
	put_name(p, host);
	end_record(p, begin);
}

static void
put_a(struct packet *p, unsigned ttl_s, unsigned last)
{
	size_t begin = begin_record(p, ns_t_a, ttl_s);

	put16(p, 192 << 8);
	put16(p, 2 << 8 | last);
	end_record(p, begin);
}

static void
put_cname(struct packet *p, unsigned ttl_s)
{
	size_t begin = begin_record(p, ns_t_cname, ttl_s);

	put16(p, 0xc00c); /* itself, which nobody looks at */
	end_record(p, begin);
}

static void
answer_srv(struct packet *p, const char *label)
{
	if (strcmp(label, "three") == 0) {
		put_srv(p, 300, 20, 5, 8003, "c.example.org");
		put_srv(p, 60, 10, 5, 8001, "a.example.org");
		put_srv(p, 120, 10, 7, 8002, "b.example.org");
	} else if (strcmp(label, "alias") == 0) {
		put_cname(p, 7);
		put_srv(p, 300, 1, 2, 3, "a.example.org");
	} else if (strcmp(label, "none") == 0) {
		put_srv(p, 300, 0, 0, 0, "");
	} else if (strcmp(label, "old") == 0) {
		put_srv(p, 0x80000001U, 0, 0, 1, "a.example.org");
	} else if (strcmp(label, "cut") == 0) {
		put_srv(p, 300, 0, 0, 1, "a.example.org");
		p->length -= 3;
	} else if (strcmp(label, "cut-other") == 0) {
		put_srv(p, 300, 0, 0, 1, "a.example.org");
		put_a(p, 300, 1);
		p->length--;
	} else if (strcmp(label, "longer") == 0) {
		put_srv(p, 300, 0, 0, 1, "a.example.org");
		p->data[p->length++] = 0;
		p->data[p->length - sizeof("a.example.org") - 9]++;
	} else if (strcmp(label, "address") == 0) {
		put_srv(p, 300, 0, 0, 1, "192.0.2.1");
	} else if (strcmp(label, "strange") == 0) {
		put_srv(p, 300, 0, 0, 1, "a b.example.org");
	} else if (strcmp(label, "more") == 0) {
		put_srv(p, 300, 0, 0, 1, "a.example.org");
		p->data[7] = 200; /* than there are */
	} else if (strcmp(label, "other") == 0) {
		put_a(p, 300, 1);
	}
}

static bool
answer(struct packet *p)
{
	const size_t label_length = p->data[12];
	char label[64] = "";
	size_t end = 12;
	unsigned type;

	memcpy(label, p->data + 13, label_length);
	while (p->data[end] != 0)
		end += p->data[end] + 1U;
	p->length = end + 5;
	type = p->data[end + 2];
	p->data[2] = 0x81;
	p->data[3] = 0x80;
	memset(p->data + 6, 0, 6);
	if (strcmp(label, "silent") == 0)
		return false;
	if (strcmp(label, "nx") == 0)
		p->data[3] |= ns_r_nxdomain;
	else if (strcmp(label, "failing") == 0)
		p->data[3] |= ns_r_servfail;
	else if (strcmp(label, "ages") == 0 && type == ns_t_a) {
		put_a(p, 90, 1);
		put_a(p, 30, 2);
	} else if (strcmp(label, "now") == 0 && type == ns_t_a)
		put_a(p, 0, 1);
	else if (type == ns_t_srv)
		answer_srv(p, label);
	return true;
}

static void *
serve(void *user)
{
	struct sockaddr_in from;
	socklen_t length;
	struct packet p;
	ssize_t got;

	(void)user;
	for (;;) {
		length = sizeof(from);
		got = recvfrom(server.udp, p.data, 512, 0,
		    (struct sockaddr *)&from, &length);
		if (got < 17) /* the test's end */
			return NULL;
		atomic_fetch_add(&server.asked, 1);
		p.length = (size_t)got;
		if (answer(&p))
			(void)sendto(server.udp, p.data, p.length, 0,
			    (struct sockaddr *)&from, length);
	}
}

/* ---- what each test starts with ---- */

struct result {
	int calls, err;
	size_t count;
	uint32_t ttl_s;
	struct weir_srv records[MANY];
};

static struct weir_loop *loop;
static char name_server[32];

static void
set_up(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t length = sizeof(in);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server.udp = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(
	    bind(server.udp, (struct sockaddr *)&in, sizeof(in)), 0);
	ck_assert_int_eq(
	    getsockname(server.udp, (struct sockaddr *)&in, &length), 0);
	server.port = ntohs(in.sin_port);
	atomic_store(&server.asked, 0);
	(void)snprintf(
	    name_server, sizeof(name_server), "127.0.0.1:%u", server.port);
	ck_assert_int_eq(pthread_create(&server.thread, NULL, serve, NULL), 0);
	ck_assert_int_eq(weir_loop_new(&loop, NULL), 0);
	/* Nobody is there: what is asked must come from the options. */
	ck_assert_int_eq(weir_loop_set_name_servers(loop, "127.0.0.1:1"), 0);
}

static void
tear_down(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET};

	weir_loop_free(loop);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in.sin_port = htons(server.port);
	ck_assert_int_eq(
	    sendto(server.udp, "", 1, 0, (struct sockaddr *)&in, sizeof(in)),
	    1);
	ck_assert_int_eq(pthread_join(server.thread, NULL), 0);
	(void)close(server.udp);
}

static void
on_records(int err, const struct weir_srv *records, size_t count,
    uint32_t ttl_s, void *user)
{
	struct result *result = user;

	result->calls++;
	result->err = err;
	result->count = count;
	result->ttl_s = ttl_s;
	ck_assert(err == 0 ? count > 0 : count == 0 && ttl_s == 0);
	ck_assert_uint_le(count, MANY);
	if (count > 0)
		memcpy(result->records, records, count * sizeof(*records));
}

static void
on_addresses(int err, const struct weir_address *addresses, size_t count,
    uint32_t ttl_s, void *user)
{
	(void)addresses;
	((struct result *)user)->calls++;
	((struct result *)user)->err = err;
	((struct result *)user)->count = count;
	((struct result *)user)->ttl_s = ttl_s;
}

static struct result
ask_srv(const char *name)
{
	const struct weir_resolve_options options = {
	    .name_servers = name_server};
	struct result result = {.calls = 0};

	ck_assert_int_eq(
	    weir_resolve_srv(NULL, loop, name, &options, on_records, &result),
	    0);
	ck_assert_int_eq(result.calls, 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_int_eq(result.calls, 1);
	return result;
}

static struct result
ask_ttl(const char *host, int family)
{
	const struct weir_resolve_options options = {
	    .family = family, .name_servers = name_server};
	struct result result = {.calls = 0};

	ck_assert_int_eq(weir_resolve_ttl(NULL, loop, host, 80, &options,
			     on_addresses, &result),
	    0);
	ck_assert_int_eq(result.calls, 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_int_eq(result.calls, 1);
	return result;
}

/* ---- records ---- */

START_TEST(records_come_by_priority_and_weight)
{
	struct result r = ask_srv("three.example.org");

	ck_assert_int_eq(r.err, 0);
	ck_assert_uint_eq(r.count, 3);
	ck_assert_str_eq(r.records[0].host, "b.example.org");
	ck_assert_uint_eq(r.records[0].port, 8002);
	ck_assert_uint_eq(r.records[0].priority, 10);
	ck_assert_uint_eq(r.records[0].weight, 7);
	ck_assert_str_eq(r.records[1].host, "a.example.org");
	ck_assert_str_eq(r.records[2].host, "c.example.org");
	ck_assert_uint_eq(r.ttl_s, 60);
}
END_TEST

START_TEST(an_alias_on_the_way_ages_too)
{
	struct result r = ask_srv("alias.example.org");

	ck_assert_int_eq(r.err, 0);
	ck_assert_uint_eq(r.count, 1);
	ck_assert_uint_eq(r.ttl_s, 7);
}
END_TEST

START_TEST(a_time_to_live_beyond_reason_is_none)
{
	ck_assert_uint_eq(ask_srv("old.example.org").ttl_s, 0);
}
END_TEST

static const struct {
	const char *name;
	int err;
} failing[] = {
    {"nx.example.org", WEIR_E_NAME_NOT_FOUND},
    {"empty.example.org", WEIR_E_NAME_NOT_FOUND},
    {"other.example.org", WEIR_E_NAME_NOT_FOUND},
    {"none.example.org", WEIR_E_NAME_NOT_FOUND},
    {"failing.example.org", WEIR_E_NAME_TRY_AGAIN},
    {"cut.example.org", WEIR_E_NAME_FAILED},
    {"cut-other.example.org", WEIR_E_NAME_FAILED},
    {"longer.example.org", WEIR_E_NAME_FAILED},
    {"more.example.org", WEIR_E_NAME_FAILED},
    {"address.example.org", WEIR_E_NAME_FAILED},
    {"strange.example.org", WEIR_E_NAME_FAILED},
};

START_TEST(what_is_no_answer_is_an_error)
{
	ck_assert_int_eq(ask_srv(failing[_i].name).err, failing[_i].err);
}
END_TEST

START_TEST(a_cancelled_question_is_never_answered)
{
	const struct weir_resolve_options options = {
	    .name_servers = name_server};
	struct result result = {.calls = 0};
	struct weir_lookup *lookup;

	ck_assert_int_eq(weir_resolve_srv(&lookup, loop, "silent.example.org",
			     &options, on_records, &result),
	    0);
	weir_resolve_cancel(lookup);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	/* And one that its loop's end finds under way. */
	ck_assert_int_eq(weir_resolve_srv(&lookup, loop, "silent.example.org",
			     &options, on_records, &result),
	    0);
	weir_loop_free(loop);
	ck_assert_int_eq(weir_loop_new(&loop, NULL), 0);
	ck_assert_int_eq(result.calls, 0);
}
END_TEST

START_TEST(nonsense_is_refused)
{
	static const struct weir_resolve_options bad[] = {
	    {.name_servers = "localhost"},
	    {.name_servers = ""},
	    {.name_servers = "127.0.0.1:0"},
	};
	static const char *const names[] = {
	    "", "10.0.0.1", "::1", "a b", "a..b"};
	struct result r = {.calls = 0};
	size_t i;

	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(weir_resolve_srv(NULL, loop, "a.b", &bad[i],
				     on_records, &r),
		    -EINVAL);
		ck_assert_int_eq(weir_resolve_ttl(NULL, loop, "a.b", 1, &bad[i],
				     on_addresses, &r),
		    -EINVAL);
	}
	for (i = 0; i < 5; i++)
		ck_assert_int_eq(weir_resolve_srv(NULL, loop, names[i], NULL,
				     on_records, &r),
		    -EINVAL);
	ck_assert_int_eq(
	    weir_resolve_srv(NULL, NULL, "a.b", NULL, on_records, &r), -EINVAL);
	ck_assert_int_eq(
	    weir_resolve_srv(NULL, loop, NULL, NULL, on_records, &r), -EINVAL);
	ck_assert_int_eq(
	    weir_resolve_srv(NULL, loop, "a.b", NULL, NULL, &r), -EINVAL);
	ck_assert_int_eq(
	    weir_resolve_ttl(NULL, loop, "a.b", 1,
		&(struct weir_resolve_options){.family = 5}, on_addresses, &r),
	    -EINVAL);
	ck_assert_int_eq(
	    weir_resolve_ttl(NULL, loop, "a.b", 1, NULL, NULL, &r), -EINVAL);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_int_eq(r.calls, 0);
}
END_TEST

/* ---- times to live ---- */

START_TEST(addresses_hold_as_long_as_the_first_of_them)
{
	struct result r = ask_ttl("ages.example.org", 0);

	ck_assert_int_eq(r.err, 0);
	ck_assert_uint_eq(r.count, 2);
	ck_assert_uint_eq(r.ttl_s, 30);
	ck_assert_uint_eq(ask_ttl("ages.example.org", 4).ttl_s, 30);
	ck_assert_uint_eq(ask_ttl("now.example.org", 4).ttl_s, 0);
}
END_TEST

START_TEST(what_does_not_age_says_so)
{
	ck_assert_uint_eq(ask_ttl("192.0.2.1", 0).ttl_s, WEIR_TTL_NONE);
	ck_assert_uint_eq(ask_ttl("localhost", 4).ttl_s, WEIR_TTL_NONE);
	ck_assert_uint_eq(atomic_load(&server.asked), 0);
}
END_TEST

START_TEST(no_answer_has_no_time_to_live)
{
	struct result r = ask_ttl("nx.example.org", 0);

	ck_assert_int_eq(r.err, WEIR_E_NAME_NOT_FOUND);
	ck_assert_uint_eq(r.ttl_s, 0);
}
END_TEST

START_TEST(name_servers_of_a_question_leave_those_of_the_loop)
{
	struct result result = {.calls = 0};

	ck_assert_int_eq(weir_loop_set_name_servers(loop, name_server), 0);
	ck_assert_int_eq(
	    weir_resolve_ttl(NULL, loop, "ages.example.org", 80,
		&(struct weir_resolve_options){.name_servers = "127.0.0.1:1"},
		on_addresses, &result),
	    0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_int_eq(result.err, WEIR_E_NAME_TRY_AGAIN);
	ck_assert_int_eq(weir_resolve_ttl(NULL, loop, "ages.example.org", 80,
			     NULL, on_addresses, &result),
	    0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_int_eq(result.err, 0);
	ck_assert_uint_eq(result.calls, 2);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("net/srv");
	TCase *records = tcase_create("records"), *ttl = tcase_create("ttl");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(records, set_up, tear_down);
	tcase_add_test(records, records_come_by_priority_and_weight);
	tcase_add_test(records, an_alias_on_the_way_ages_too);
	tcase_add_test(records, a_time_to_live_beyond_reason_is_none);
	tcase_add_loop_test(records, what_is_no_answer_is_an_error, 0,
	    sizeof(failing) / sizeof(failing[0]));
	tcase_add_test(records, a_cancelled_question_is_never_answered);
	tcase_add_test(records, nonsense_is_refused);
	suite_add_tcase(suite, records);
	tcase_add_checked_fixture(ttl, set_up, tear_down);
	tcase_add_test(ttl, addresses_hold_as_long_as_the_first_of_them);
	tcase_add_test(ttl, what_does_not_age_says_so);
	tcase_add_test(ttl, no_answer_has_no_time_to_live);
	tcase_add_test(ttl, name_servers_of_a_question_leave_those_of_the_loop);
	suite_add_tcase(suite, ttl);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
