/*
 * Addresses raced, and resolvers of the caller's, which also say which
 * addresses there are. An address that does not answer is a listener whose
 * queue is full.
 */
#include "config.h"

#include <sys/socket.h>

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/resolve.h>
#include <weir/socket.h>

#include "net/connect_priv.h"

#define TRIED 4

static struct weir_loop *loop;
static struct weir_socket *client;
static char told[1024];

/* What the resolver answers, and what it was asked. */
static struct weir_address answers[TRIED];
static size_t answer_count;
static int answer_error;
static bool answer_later;
static unsigned asked, cancelled;
static struct weir_query *query;

static void
note(const char *what)
{
	if (told[0] != '\0')
		strcat(told, " ");
	strcat(told, what);
}

static void
on_lookup(struct weir_socket *s, int err, const struct weir_address *address,
    const char *host, void *user)
{
	(void)s;
	(void)user;
	ck_assert_str_eq(host, "name.test");
	ck_assert(err != 0 ? address == NULL : address != NULL);
	note(err != 0 ? weir_error_name(err) : "lookup");
}

static void
on_attempt(
    struct weir_socket *s, const struct weir_address *address, void *user)
{
	(void)s;
	(void)user;
	note(weir_address_family(address) == 6 ? "six" : "four");
}

static void
on_attempt_failed(struct weir_socket *s, const struct weir_address *address,
    int err, void *user)
{
	(void)s;
	(void)user;
	(void)address;
	note(weir_error_name(err));
}

static void
on_attempt_timeout(
    struct weir_socket *s, const struct weir_address *address, void *user)
{
	(void)s;
	(void)user;
	note(weir_address_family(address) == 6 ? "six-late" : "four-late");
}

static void
on_connect(struct weir_socket *s, void *user)
{
	(void)user;
	note("connect");
	weir_socket_destroy(s, 0);
}

static void
on_error(struct weir_socket *s, int err, void *user)
{
	(void)s;
	(void)user;
	note("error");
	note(weir_error_name(err));
}

static void
on_close(struct weir_socket *s, int err, void *user)
{
	(void)s;
	(void)user;
	(void)err;
	note("close");
}

static const struct weir_socket_handlers handlers = {
    .on_lookup = on_lookup,
    .on_attempt = on_attempt,
    .on_attempt_failed = on_attempt_failed,
    .on_attempt_timeout = on_attempt_timeout,
    .on_connect = on_connect,
    .on_error = on_error,
    .on_close = on_close,
};

/* ---- a resolver ---- */

static void
on_ask(struct weir_query *q, const char *host, uint16_t port, int family,
    void *user)
{
	(void)port;
	ck_assert_ptr_eq(user, answers);
	ck_assert_str_eq(host, "name.test");
	ck_assert_int_eq(family, 0);
	asked++;
	query = q;
	if (!answer_later)
		ck_assert_int_eq(
		    weir_query_answer(q, answer_error, answers, answer_count),
		    0);
}

static void
on_cancel(struct weir_query *q, void *user)
{
	(void)user;
	ck_assert_ptr_eq(q, query);
	/* Too late, and no harm. */
	ck_assert_int_eq(weir_query_answer(q, -EIO, NULL, 0), -ECANCELED);
	cancelled++;
}

static const struct weir_resolver resolver = {
    .ask = on_ask,
    .cancel = on_cancel,
    .user = answers,
};
static const struct weir_resolver no_cancel = {.ask = on_ask, .user = answers};

static const struct weir_connect_options race = {
    .lookup = &resolver,
    .auto_select_family = true,
    .attempt_delay_ms = 10,
};
static const struct weir_connect_options in_turn = {.lookup = &resolver};

/* ---- addresses ---- */

static struct weir_address
address_of(int fd)
{
	struct weir_address at = {.length = sizeof(at.u)};

	ck_assert_int_eq(getsockname(fd, &at.u.sa, &at.length), 0);
	return at;
}

static int
bound(const char *host)
{
	struct weir_address at;
	int fd;

	ck_assert_int_eq(weir_address_set_ip(&at, host, 0), 0);
	fd = socket(
	    at.u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(bind(fd, &at.u.sa, at.length), 0);
	return fd;
}

/* Refuses for as long as it is open: bound, and no listener. */
static int
add_refusing(const char *host)
{
	int fd = bound(host);

	answers[answer_count++] = address_of(fd);
	return fd;
}

static int
add_listening(const char *host)
{
	int fd = bound(host);

	ck_assert_int_eq(listen(fd, 16), 0);
	answers[answer_count++] = address_of(fd);
	return fd;
}

/* A queue of one, and who stands in it. */
struct silent {
	int fd, waiting[2];
};

static struct silent
add_silent(const char *host)
{
	struct silent r = {.fd = bound(host)};
	struct weir_address at = address_of(r.fd);
	size_t i;

	ck_assert_int_eq(listen(r.fd, 0), 0);
	for (i = 0; i < 2; i++) {
		r.waiting[i] = socket(at.u.sa.sa_family,
		    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		ck_assert_int_ne(r.waiting[i], -1);
		(void)connect(r.waiting[i], &at.u.sa, at.length);
	}
	answers[answer_count++] = at;
	return r;
}

static void
close_silent(struct silent *r)
{
	ck_assert_int_eq(close(r->fd), 0);
	ck_assert_int_eq(close(r->waiting[0]), 0);
	ck_assert_int_eq(close(r->waiting[1]), 0);
}

static int
open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL)
		n++;
	ck_assert_int_eq(closedir(dir), 0);
	return n;
}

static void
set_up(void)
{
	told[0] = '\0';
	answer_count = 0;
	answer_error = 0;
	answer_later = false;
	asked = cancelled = 0;
	query = NULL;
	ck_assert_int_eq(weir_loop_new(&loop, NULL), 0);
	ck_assert_int_eq(
	    weir_socket_new(&client, loop, NULL, &handlers, NULL), 0);
}

static void
tear_down(void)
{
	weir_socket_free(client);
	weir_loop_free(loop);
}

static void
run(const struct weir_connect_options *options)
{
	int before = open_descriptors();

	ck_assert_int_eq(
	    weir_socket_connect_host(client, "name.test", 80, options), 0);
	ck_assert_str_eq(told, "");
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_int_eq(open_descriptors(), before);
}

/* ---- races ---- */

START_TEST(families_take_turns_and_keep_their_order)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
	    {"1", "1"},
	    {"1a2b", "1a2b"},
	    {"12ab", "1a2b"},
	    {"abc1", "a1bc"},
	    {"ab12cd", "a1b2cd"},
	    {"123", "123"},
	};
	struct weir_address list[8];
	char out[9];
	size_t i, n = strlen(rows[_i].in);

	memset(list, 0, sizeof(list));
	for (i = 0; i < n; i++) {
		list[i].u.sa.sa_family =
		    rows[_i].in[i] < 'a' ? AF_INET : AF_INET6;
		list[i].length = (socklen_t)rows[_i].in[i];
	}
	weir__race_order(list, n);
	for (i = 0; i < n; i++)
		out[i] = (char)list[i].length;
	out[n] = '\0';
	ck_assert_str_eq(out, rows[_i].out);
}
END_TEST

START_TEST(a_refusal_begins_the_next_at_once)
{
	const struct weir_connect_options slow = {
	    .lookup = &resolver,
	    .auto_select_family = true,
	    .attempt_delay_ms = 3600 * 1000,
	};
	int dead = add_refusing("::1"), alive = add_listening("127.0.0.1");

	run(&slow);
	ck_assert_str_eq(
	    told, "lookup lookup six ECONNREFUSED four connect close");
	ck_assert_int_eq(close(dead), 0);
	ck_assert_int_eq(close(alive), 0);
}
END_TEST

START_TEST(a_silent_address_is_overtaken_and_closed)
{
	struct silent mute = add_silent("::1");
	int alive = add_listening("127.0.0.1");

	run(&race);
	ck_assert_str_eq(told, "lookup lookup six six-late four connect close");
	close_silent(&mute);
	ck_assert_int_eq(close(alive), 0);
}
END_TEST

START_TEST(the_first_may_still_win_after_its_delay)
{
	struct silent first = add_silent("::1"), second;
	int fds[8], n = 0;

	second = add_silent("127.0.0.1");
	ck_assert_int_eq(
	    weir_socket_connect_host(client, "name.test", 80, &race), 0);
	while (strstr(told, "four") == NULL)
		(void)event_base_loop(weir_loop_base(loop), EVLOOP_ONCE);
	/* From here on there is room for whoever sends SYN again. */
	ck_assert_int_eq(fcntl(first.fd, F_SETFL, O_NONBLOCK), 0);
	while (strstr(told, "close") == NULL) {
		while (n < 8 && (fds[n] = accept(first.fd, NULL, NULL)) != -1)
			n++;
		(void)event_base_loop(
		    weir_loop_base(loop), EVLOOP_ONCE | EVLOOP_NONBLOCK);
		(void)poll(NULL, 0, 1);
	}
	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(told, "lookup lookup six six-late four connect close");
	while (n > 0)
		ck_assert_int_eq(close(fds[--n]), 0);
	close_silent(&first);
	close_silent(&second);
}
END_TEST

START_TEST(when_all_fail_the_last_error_is_told)
{
	int dead[2] = {add_refusing("::1"), add_refusing("127.0.0.1")};

	run(&race);
	ck_assert_str_eq(told,
	    "lookup lookup six ECONNREFUSED four ECONNREFUSED "
	    "error ECONNREFUSED close");
	ck_assert_int_eq(close(dead[0]), 0);
	ck_assert_int_eq(close(dead[1]), 0);
}
END_TEST

START_TEST(each_attempt_has_its_own_time)
{
	const struct weir_connect_options hasty = {
	    .lookup = &resolver,
	    .auto_select_family = true,
	    .attempt_timeout_ms = 100,
	    .attempt_delay_ms = 10,
	};
	struct silent mute[2] = {add_silent("::1"), add_silent("127.0.0.1")};

	run(&hasty);
	ck_assert_str_eq(told,
	    "lookup lookup six six-late four WEIR_E_CONNECT_TIMEOUT "
	    "WEIR_E_CONNECT_TIMEOUT error WEIR_E_CONNECT_TIMEOUT close");
	close_silent(&mute[0]);
	close_silent(&mute[1]);
}
END_TEST

/* The delay after the first, which was refused, is over. */
START_TEST(the_last_one_is_not_late_for_another)
{
	const struct weir_connect_options hasty = {
	    .lookup = &resolver,
	    .auto_select_family = true,
	    .attempt_timeout_ms = 60,
	    .attempt_delay_ms = 20,
	};
	int dead = add_refusing("::1");
	struct silent mute = add_silent("127.0.0.1");

	run(&hasty);
	ck_assert_str_eq(told,
	    "lookup lookup six ECONNREFUSED four WEIR_E_CONNECT_TIMEOUT "
	    "error WEIR_E_CONNECT_TIMEOUT close");
	ck_assert_int_eq(close(dead), 0);
	close_silent(&mute);
}
END_TEST

START_TEST(a_race_can_be_destroyed)
{
	struct silent mute[2] = {add_silent("::1"), add_silent("127.0.0.1")};
	int before = open_descriptors();

	ck_assert_int_eq(
	    weir_socket_connect_host(client, "name.test", 80, &race), 0);
	while (strstr(told, "four") == NULL)
		(void)event_base_loop(weir_loop_base(loop), EVLOOP_ONCE);
	ck_assert_int_eq(open_descriptors(), before + 2);
	weir_socket_destroy(client, 0);
	ck_assert_int_eq(open_descriptors(), before);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(told, "lookup lookup six six-late four close");
	close_silent(&mute[0]);
	close_silent(&mute[1]);
}
END_TEST

START_TEST(one_address_is_no_race)
{
	int alive = add_listening("127.0.0.1");

	run(&race);
	ck_assert_str_eq(told, "lookup four connect close");
	ck_assert_int_eq(close(alive), 0);
}
END_TEST

/* ---- resolvers ---- */

START_TEST(without_a_race_each_is_tried_in_turn)
{
	int dead = add_refusing("127.0.0.1"), alive = add_listening("::1");

	run(&in_turn);
	ck_assert_str_eq(told, "lookup four ECONNREFUSED six connect close");
	ck_assert_uint_eq(asked, 1);
	ck_assert_int_eq(close(dead), 0);
	ck_assert_int_eq(close(alive), 0);
}
END_TEST

START_TEST(an_answer_may_come_later)
{
	int alive = add_listening("127.0.0.1");

	answer_later = true;
	ck_assert_int_eq(
	    weir_socket_connect_host(client, "name.test", 80, &in_turn), 0);
	ck_assert_uint_eq(asked, 0); /* from the loop */
	while (query == NULL)
		(void)event_base_loop(weir_loop_base(loop), EVLOOP_ONCE);
	ck_assert_int_eq(weir_query_answer(query, 0, answers, 1), 0);
	ck_assert_str_eq(told, "");
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(told, "lookup four connect close");
	ck_assert_uint_eq(cancelled, 0);
	ck_assert_int_eq(close(alive), 0);
}
END_TEST

START_TEST(the_port_is_filled_in)
{
	int alive = add_listening("127.0.0.1");
	uint16_t port = weir_address_port(&answers[0]);

	answers[0].u.in.sin_port = 0;
	ck_assert_int_eq(
	    weir_socket_connect_host(client, "name.test", port, &in_turn), 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(told, "lookup four connect close");
	ck_assert_int_eq(close(alive), 0);
}
END_TEST

START_TEST(a_resolver_may_say_no)
{
	answer_error = WEIR_E_NAME_NOT_FOUND;
	run(&in_turn);
	ck_assert_str_eq(
	    told, "WEIR_E_NAME_NOT_FOUND error WEIR_E_NAME_NOT_FOUND close");
}
END_TEST

START_TEST(a_resolver_that_is_silent_is_waited_for_as_long_as_an_attempt)
{
	struct weir_connect_options soon = in_turn;

	soon.attempt_timeout_ms = 20;
	answer_later = true;
	run(&soon);
	ck_assert_str_eq(
	    told, "WEIR_E_CONNECT_TIMEOUT error WEIR_E_CONNECT_TIMEOUT close");
	ck_assert_uint_eq(cancelled, 1);
}
END_TEST

/* The loop comes to the timer of a lookup right after its answer. */
START_TEST(an_answer_is_in_time_before_the_timeout_was_seen)
{
	struct weir_connect_options soon = _i == 0 ? in_turn : race;
	int alive = add_listening("127.0.0.1");

	answers[1] = answers[0];
	answer_count = 2;
	soon.attempt_timeout_ms = 1;
	ck_assert_int_eq(
	    weir_socket_connect_host(client, "name.test", 80, &soon), 0);
	(void)usleep(5000);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(told, _i == 0 ? "lookup four connect close"
				       : "lookup lookup four connect close");
	ck_assert_int_eq(close(alive), 0);
}
END_TEST

START_TEST(nonsense_is_no_answer)
{
	struct weir_address nowhere = {0};
	int alive = add_listening("127.0.0.1");

	answer_later = true;
	ck_assert_int_eq(
	    weir_socket_connect_host(client, "name.test", 80, &in_turn), 0);
	while (query == NULL)
		(void)event_base_loop(weir_loop_base(loop), EVLOOP_ONCE);
	ck_assert_int_eq(weir_query_answer(NULL, 0, answers, 1), -EINVAL);
	ck_assert_int_eq(weir_query_answer(query, 0, NULL, 1), -EINVAL);
	ck_assert_int_eq(weir_query_answer(query, 0, answers, 0), -EINVAL);
	ck_assert_int_eq(weir_query_answer(query, 1, answers, 1), -EINVAL);
	ck_assert_int_eq(weir_query_answer(query, 0, &nowhere, 1), -EINVAL);
	ck_assert_int_eq(weir_query_answer(query, 0, answers, 1), 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(told, "lookup four connect close");
	ck_assert_int_eq(close(alive), 0);
}
END_TEST

START_TEST(a_destroyed_socket_cancels_its_question)
{
	answer_later = true;
	ck_assert_int_eq(
	    weir_socket_connect_host(client, "name.test", 80, &in_turn), 0);
	while (query == NULL)
		(void)event_base_loop(weir_loop_base(loop), EVLOOP_ONCE);
	if (_i == 0) {
		weir_socket_destroy(client, 0);
	} else {
		weir_socket_free(client);
		client = NULL;
	}
	ck_assert_uint_eq(cancelled, 1);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(told, _i == 0 ? "close" : "");
}
END_TEST

START_TEST(a_question_not_asked_yet_is_not_cancelled)
{
	ck_assert_int_eq(
	    weir_socket_connect_host(client, "name.test", 80, &in_turn), 0);
	weir_socket_destroy(client, 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_uint_eq(asked + cancelled, 0);
	ck_assert_str_eq(told, "close");
}
END_TEST

START_TEST(a_late_answer_without_cancel_is_declined)
{
	const struct weir_connect_options o = {.lookup = &no_cancel};
	int alive = add_listening("127.0.0.1");

	answer_later = true;
	ck_assert_int_eq(
	    weir_socket_connect_host(client, "name.test", 80, &o), 0);
	while (query == NULL)
		(void)event_base_loop(weir_loop_base(loop), EVLOOP_ONCE);
	weir_socket_free(client);
	client = NULL;
	ck_assert_int_eq(weir_query_answer(query, 0, answers, 1), -ECANCELED);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_int_eq(close(alive), 0);
}
END_TEST

START_TEST(a_host_that_is_an_address_is_not_asked_for)
{
	int alive = add_listening("127.0.0.1");

	ck_assert_int_eq(weir_socket_connect_host(client, "127.0.0.1",
			     weir_address_port(&answers[0]), &race),
	    0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(told, "four connect close");
	ck_assert_uint_eq(asked, 0);
	ck_assert_int_eq(close(alive), 0);
}
END_TEST

START_TEST(a_resolver_that_cannot_be_asked_is_refused)
{
	const struct weir_resolver none = {0};
	const struct weir_connect_options o = {.lookup = &none};

	ck_assert_int_eq(
	    weir_socket_connect_host(client, "name.test", 80, &o), -EINVAL);
	ck_assert(weir_socket_dormant(client));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("net/race");
	TCase *c = tcase_create("race"), *q = tcase_create("resolver");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_loop_test(c, families_take_turns_and_keep_their_order, 0, 6);
	tcase_add_test(c, a_refusal_begins_the_next_at_once);
	tcase_add_test(c, a_silent_address_is_overtaken_and_closed);
	tcase_add_test(c, the_first_may_still_win_after_its_delay);
	tcase_add_test(c, when_all_fail_the_last_error_is_told);
	tcase_add_test(c, each_attempt_has_its_own_time);
	tcase_add_test(c, the_last_one_is_not_late_for_another);
	tcase_add_test(c, a_race_can_be_destroyed);
	tcase_add_test(c, one_address_is_no_race);
	suite_add_tcase(s, c);

	tcase_add_checked_fixture(q, set_up, tear_down);
	tcase_add_test(q, without_a_race_each_is_tried_in_turn);
	tcase_add_test(q, an_answer_may_come_later);
	tcase_add_test(q, the_port_is_filled_in);
	tcase_add_test(q, a_resolver_may_say_no);
	tcase_add_test(
	    q, a_resolver_that_is_silent_is_waited_for_as_long_as_an_attempt);
	tcase_add_loop_test(
	    q, an_answer_is_in_time_before_the_timeout_was_seen, 0, 2);
	tcase_add_test(q, nonsense_is_no_answer);
	tcase_add_loop_test(q, a_destroyed_socket_cancels_its_question, 0, 2);
	tcase_add_test(q, a_question_not_asked_yet_is_not_cancelled);
	tcase_add_test(q, a_late_answer_without_cancel_is_declined);
	tcase_add_test(q, a_host_that_is_an_address_is_not_asked_for);
	tcase_add_test(q, a_resolver_that_cannot_be_asked_is_refused);
	suite_add_tcase(s, q);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
