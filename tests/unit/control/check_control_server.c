/*
 * The control socket as its clients meet it, over real unix sockets. Server
 * and clients share one loop and one thread: a test turns the loop until what
 * it waits for has come, or a generous time has passed.
 */
#include "config.h"

#include "control/control_server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/loop.h>

#include "control/requests.h"
#include "log/log.h"
#include "tests/unit/control/fake_fleet.h"
#include "util/strbuf.h"

#define PATIENCE_MS   30000
#define MANY_SESSIONS 2500 /* more than the kernel holds */

/* A part of an answer about that many, and what a read may bring. */
#define BUFFERED_MAX (256 * 1024)

static char directory[] = "/tmp/weir-control-XXXXXX";
static char path[64];
static struct weir_loop *loop;
static struct weir_timer *timer;
static struct proxy proxy;
static struct fleet fleet;
static struct control_subject subject;
static struct control *control;
static uint64_t stall_ms, stop_ms;
static char events[64]; /* of the control's, a letter each */
static int failure;	/* of on_failed */
static bool stop_on_shutdown, free_on_shutdown;
static size_t buffered_peak;

static void
note(char event)
{
	size_t length = strlen(events);

	ck_assert_uint_lt(length, sizeof(events) - 1);
	events[length] = event;
}

static void
on_ready(struct control *c, void *user)
{
	(void)c;
	ck_assert_ptr_eq(user, &fleet);
	note('r');
}

static void
on_failed(struct control *c, int err, void *user)
{
	(void)user;
	failure = err;
	note('f');
	control_free(c);
	control = NULL;
}

static void
on_shutdown(struct control *c, bool now, void *user)
{
	(void)user;
	note(now ? 'S' : 's');
	proxy.draining = true;
	if (stop_on_shutdown)
		control_stop(c);
	if (free_on_shutdown) {
		control_free(c);
		control = NULL;
	}
}

static void
on_stopped(struct control *c, void *user)
{
	(void)user;
	note('x');
	control_free(c);
	control = NULL;
}

static const struct control_handlers handlers = {
    .on_ready = on_ready,
    .on_failed = on_failed,
    .on_shutdown = on_shutdown,
    .on_stopped = on_stopped,
};

/* ---- turning the loop ---- */

struct wait {
	bool (*met)(void *user);
	void *user;
	uint64_t deadline_ms;
	bool result;
};

static void
on_tick(struct weir_timer *t, void *user)
{
	struct wait *wait = *(struct wait **)user;

	if (control != NULL && buffered_peak < control_buffered(control))
		buffered_peak = control_buffered(control);
	wait->result = wait->met(wait->user);
	if (wait->result || weir_loop_now_ms(loop) >= wait->deadline_ms)
		weir_loop_stop(loop);
	else
		ck_assert_int_eq(weir_timer_start(t, 1), 0);
}

static struct wait *waiting;

/* Turn the loop until it is met. */
static void
until(bool (*met)(void *user), void *user)
{
	struct wait wait = {
	    met, user, weir_loop_now_ms(loop) + PATIENCE_MS, false};

	waiting = &wait;
	ck_assert_int_eq(weir_timer_start(timer, 0), 0);
	(void)weir_loop_run(loop);
	ck_assert_msg(wait.result, "did not come; events: %s", events);
}

static bool
event_came(void *user)
{
	return strchr(events, *(const char *)user) != NULL;
}

static void
until_event(char event)
{
	until(event_came, &event);
}

/* ---- clients ---- */

struct client {
	int fd;
	struct strbuf out; /* to be sent */
	size_t sent;
	struct strbuf in; /* received */
	size_t lines;	  /* in in */
	size_t wanted;	  /* lines to wait for */
	bool shut;	  /* shut its side when all is sent */
	bool broken;	  /* nothing more can be sent */
	bool ended;	  /* the other side has ended, or reset */
};

static void
client_open(struct client *client)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memset(client, 0, sizeof(*client));
	client->fd =
	    socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(client->fd, 0);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	ck_assert_int_eq(
	    connect(client->fd, (void *)&address, sizeof(address)), 0);
}

static void
client_close(struct client *client)
{
	strbuf_free(&client->out);
	strbuf_free(&client->in);
	(void)close(client->fd);
}

static void
client_send(struct client *client)
{
	size_t rest = client->out.length - client->sent;
	ssize_t n;

	while (rest > 0 && !client->broken) {
		n = send(client->fd, client->out.data + client->sent, rest,
		    MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			client->broken = true;
			return;
		}
		client->sent += (size_t)n;
		rest -= (size_t)n;
	}
	if (client->shut) {
		(void)shutdown(client->fd, SHUT_WR);
		client->shut = false;
	}
}

static void
client_receive(struct client *client)
{
	char bytes[65536];
	ssize_t n, i;

	while (!client->ended) {
		n = recv(client->fd, bytes, sizeof(bytes), 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			client->ended = true;
			return;
		}
		strbuf_add(&client->in, bytes, (size_t)n);
		for (i = 0; i < n; i++)
			client->lines += bytes[i] == '\n';
	}
}

static bool
has_lines(void *user)
{
	struct client *client = user;

	client_send(client);
	client_receive(client);
	return client->lines >= client->wanted;
}

static bool
has_ended(void *user)
{
	struct client *client = user;

	client_send(client);
	client_receive(client);
	return client->ended;
}

/* Send bytes, and wait until there are so many answers in all. */
static void
client_ask_bytes(
    struct client *client, const char *bytes, size_t length, size_t answers)
{
	strbuf_add(&client->out, bytes, length);
	client->wanted = answers;
	until(has_lines, client);
	ck_assert_uint_eq(client->lines, answers);
}

static void
client_ask(struct client *client, const char *text, size_t answers)
{
	client_ask_bytes(client, text, strlen(text), answers);
}

/* Answer number index, parsed. */
static json_t *
client_answer(const struct client *client, size_t index)
{
	const char *line = strbuf_get(&client->in), *end;
	json_error_t problem;
	json_t *json;

	for (; index > 0; index--)
		line = strchr(line, '\n') + 1;
	end = strchr(line, '\n');
	json = json_loadb(line, (size_t)(end - line), 0, &problem);
	ck_assert_msg(json != NULL, "no JSON: %s", problem.text);
	return json;
}

static void
check_says(const struct client *client, size_t index, const char *data)
{
	json_t *json = client_answer(client, index);

	ck_assert(json_is_true(json_object_get(json, "ok")));
	ck_assert_str_eq(
	    json_string_value(json_object_get(json, "data")), data);
	json_decref(json);
}

/* The answer is an error that has this in its text. */
static void
check_refused(const struct client *client, size_t index, const char *part)
{
	json_t *json = client_answer(client, index);
	const char *error = json_string_value(json_object_get(json, "error"));

	ck_assert(json_is_false(json_object_get(json, "ok")));
	ck_assert_ptr_nonnull(error);
	ck_assert_msg(strstr(error, part) != NULL, "%s", error);
	json_decref(json);
}

/* ---- fixtures ---- */

static void
setup(void)
{
	(void)snprintf(
	    directory, sizeof(directory), "%s", "/tmp/weir-control-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	(void)snprintf(path, sizeof(path), "%s/run/c.sock", directory);
	log_set_level(LOG_LEVEL_ERROR);
	fake_proxy_init(&proxy, 3);
	fake_fleet_init(&fleet, &proxy);
	subject = fake_subject(&fleet);
	ck_assert_int_eq(weir_loop_new(&loop, NULL), 0);
	ck_assert_int_eq(weir_timer_new(&timer, loop, on_tick, &waiting), 0);
	control = NULL;
	stall_ms = stop_ms = 0;
	failure = 0;
	stop_on_shutdown = free_on_shutdown = false;
	buffered_peak = 0;
	memset(events, 0, sizeof(events));
}

static void
teardown(void)
{
	char *slash;

	control_free(control);
	weir_timer_free(timer);
	weir_loop_free(loop);
	/* The socket is gone, so its directory is empty. */
	slash = strrchr(path, '/');
	*slash = '\0';
	ck_assert(rmdir(path) == 0 || errno == ENOENT);
	ck_assert_int_eq(rmdir(directory), 0);
}

static int
try_start(void)
{
	struct control_options options = {
	    .path = path,
	    .stall_ms = stall_ms,
	    .stop_ms = stop_ms,
	};

	return control_start(
	    &control, loop, &subject, &options, &handlers, &fleet);
}

static void
start(void)
{
	ck_assert_int_eq(try_start(), 0);
	ck_assert_str_eq(events, "");
	until_event('r');
}

static bool
clients_are(void *user)
{
	return control_clients(control) == *(unsigned *)user;
}

static void
until_clients(unsigned count)
{
	until(clients_are, &count);
}

/* ---- the socket ---- */

START_TEST(the_socket_is_its_owners_alone)
{
	struct stat st;

	start();
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert(S_ISSOCK(st.st_mode));
	ck_assert_int_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(a_missing_directory_is_made)
{
	struct stat st;
	mode_t mask = umask(022);

	start();
	(void)umask(mask);
	*strrchr(path, '/') = '\0';
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0755);
	strcat(path, "/c.sock");
}
END_TEST

START_TEST(two_missing_directories_are_an_error)
{
	(void)snprintf(path, sizeof(path), "%s/a/b/c.sock", directory);
	ck_assert_int_eq(try_start(), -ENOENT);
	ck_assert_ptr_null(control);
}
END_TEST

START_TEST(a_path_that_is_too_long_is_an_error)
{
	char text[300];
	struct control_options options = {.path = text};

	memset(text, 'a', sizeof(text));
	text[0] = '/';
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(control_start(&control, loop, &subject, &options,
			     &handlers, &fleet),
	    -ENAMETOOLONG);
	ck_assert_ptr_null(control);
}
END_TEST

START_TEST(the_socket_is_removed_at_the_end)
{
	start();
	control_free(control);
	control = NULL;
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(a_stale_socket_is_replaced)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct client client;
	int fd;

	*strrchr(path, '/') = '\0';
	ck_assert_int_eq(mkdir(path, 0755), 0);
	strcat(path, "/c.sock");
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, (void *)&address, sizeof(address)), 0);
	(void)close(fd);
	start();
	client_open(&client);
	client_ask(&client, "ping\n", 1);
	check_says(&client, 0, "pong");
	client_close(&client);
}
END_TEST

START_TEST(a_socket_that_is_in_use_is_an_error)
{
	struct control *first;
	struct client client;

	start();
	first = control;
	ck_assert_int_eq(try_start(), 0);
	until_event('f');
	ck_assert_int_eq(failure, -EADDRINUSE);
	control = first;
	client_open(&client);
	client_ask(&client, "ping\n", 1);
	check_says(&client, 0, "pong");
	client_close(&client);
}
END_TEST

START_TEST(a_file_that_is_no_socket_is_an_error_and_stays)
{
	FILE *file;

	*strrchr(path, '/') = '\0';
	ck_assert_int_eq(mkdir(path, 0755), 0);
	strcat(path, "/c.sock");
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	(void)fclose(file);
	ck_assert_int_eq(try_start(), 0);
	until_event('f');
	ck_assert_int_eq(failure, WEIR_E_NOT_A_SOCKET_FILE);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

/* ---- lines ---- */

START_TEST(requests_are_answered_in_their_order)
{
	struct client client;

	start();
	client_open(&client);
	client_ask(&client, "ping\nhealth\npnig\nping\n", 4);
	check_says(&client, 0, "pong");
	check_says(&client, 1, "up");
	check_refused(&client, 2, "unknown request");
	check_says(&client, 3, "pong");
	client_close(&client);
}
END_TEST

START_TEST(a_thousand_pipelined_pings_get_a_thousand_pongs)
{
	struct client client;
	size_t i;

	start();
	client_open(&client);
	for (i = 0; i < 999; i++)
		strbuf_text(&client.out, "ping\n");
	client_ask(&client, "health\n", 1000);
	check_says(&client, 0, "pong");
	check_says(&client, 998, "pong");
	check_says(&client, 999, "up");
	client_close(&client);
}
END_TEST

START_TEST(a_request_may_come_byte_by_byte)
{
	struct client client;
	size_t i;

	start();
	client_open(&client);
	until_clients(1);
	for (i = 0; i < 4; i++)
		client_ask_bytes(&client, "ping" + i, 1, 0);
	client_ask(&client, "\n", 1);
	check_says(&client, 0, "pong");
	client_close(&client);
}
END_TEST

START_TEST(crlf_ends_a_line_and_empty_lines_are_nothing)
{
	struct client client;

	start();
	client_open(&client);
	client_ask(&client, "\r\n\n  \nping\r\n\r\nhealth\r\n", 2);
	check_says(&client, 0, "pong");
	check_says(&client, 1, "up");
	client_close(&client);
}
END_TEST

START_TEST(a_cr_within_a_line_is_refused)
{
	struct client client;

	start();
	client_open(&client);
	client_ask(&client, "pi\rng\nping\r\r\nping\n", 3);
	check_refused(&client, 0, "control character 0x0d");
	check_refused(&client, 1, "control character 0x0d");
	check_says(&client, 2, "pong");
	client_close(&client);
}
END_TEST

START_TEST(half_a_line_before_the_end_is_a_request)
{
	struct client client;

	start();
	client_open(&client);
	client.shut = true;
	client_ask(&client, "health\nping", 2);
	check_says(&client, 0, "up");
	check_says(&client, 1, "pong");
	until(has_ended, &client);
	until_clients(0);
	client_close(&client);
}
END_TEST

START_TEST(half_a_line_before_the_end_changes_nothing)
{
	struct client client;

	start();
	client_open(&client);
	client.shut = true;
	client_ask(&client, "ping\nshutdown now", 2);
	check_says(&client, 0, "pong");
	check_refused(&client, 1, "has no end");
	until(has_ended, &client);
	ck_assert_str_eq(events, "r");
	client_close(&client);
}
END_TEST

START_TEST(an_end_without_a_request_is_just_an_end)
{
	struct client client;

	start();
	client_open(&client);
	client.shut = true;
	until(has_ended, &client);
	ck_assert_uint_eq(client.in.length, 0);
	until_clients(0);
	client_close(&client);
}
END_TEST

START_TEST(a_big_answer_is_whole_although_the_client_has_ended)
{
	struct client client;
	json_t *json;

	fake_proxy_init(&proxy, MANY_SESSIONS);
	start();
	client_open(&client);
	client.shut = true;
	client_ask(&client, "connections\nping", 2);
	json = client_answer(&client, 0);
	ck_assert_uint_eq(
	    json_array_size(json_object_get(json, "data")), MANY_SESSIONS);
	json_decref(json);
	check_says(&client, 1, "pong");
	until(has_ended, &client);
	client_close(&client);
}
END_TEST

START_TEST(garbage_is_refused_and_the_next_request_answered)
{
	static const char garbage[] = "\0\0\n\377\376\n\033[2J\nGET / "
				      "HTTP/1.1\r\nping\n";
	struct client client;

	start();
	client_open(&client);
	client_ask_bytes(&client, garbage, sizeof(garbage) - 1, 5);
	check_refused(&client, 0, "control character 0x00");
	check_refused(&client, 1, "not UTF-8");
	check_refused(&client, 2, "control character 0x1b");
	check_refused(&client, 3, "unknown request \"GET\"");
	check_says(&client, 4, "pong");
	client_close(&client);
}
END_TEST

/* A line of so many bytes, without its end. */
static void
add_long_line(struct client *client, size_t length)
{
	for (; length > 0; length--)
		strbuf_char(&client->out, 'x');
}

START_TEST(the_longest_line_is_answered_and_the_next_too)
{
	struct client client;

	start();
	client_open(&client);
	add_long_line(&client, CONTROL_REQUEST_MAX);
	strbuf_text(&client.out, "\r\n");
	client_ask(&client, "ping\n", 2);
	check_refused(&client, 0, "unknown request");
	check_says(&client, 1, "pong");
	client_close(&client);
}
END_TEST

START_TEST(a_line_of_one_byte_more_ends_the_connection)
{
	struct client client;

	start();
	client_open(&client);
	add_long_line(&client, CONTROL_REQUEST_MAX + 1);
	client_ask(&client, "\nping\n", 1);
	check_refused(&client, 0, "longer than 4096 bytes");
	until(has_ended, &client);
	ck_assert_uint_eq(client.lines, 1);
	until_clients(0);
	client_close(&client);
}
END_TEST

START_TEST(a_line_of_a_megabyte_is_not_held)
{
	struct client client;

	start();
	client_open(&client);
	add_long_line(&client, 1024 * 1024);
	until(has_ended, &client);
	ck_assert_uint_eq(client.lines, 1);
	check_refused(&client, 0, "longer than 4096 bytes");
	ck_assert_uint_le(buffered_peak, 256 * 1024);
	until_clients(0);
	client_close(&client);
}
END_TEST

START_TEST(a_client_that_leaves_within_a_line_is_forgotten)
{
	struct client client;

	start();
	client_open(&client);
	client_ask(&client, "pi", 0);
	until_clients(1);
	client_close(&client);
	until_clients(0);
}
END_TEST

/* ---- answers that come later ---- */

static bool
call_waits(void *user)
{
	(void)user;
	return !TAILQ_EMPTY(&fleet.calls);
}

/* Wait until the workers are asked. */
static void
until_asked(void)
{
	until(call_waits, NULL);
}

START_TEST(a_later_answer_keeps_its_place)
{
	struct client client, other;
	json_t *json;

	fleet.later = true;
	start();
	client_open(&client);
	client_ask(&client, "ping\nlisteners\nkill 2\nping\n", 1);
	until_asked();
	client_open(&other);
	client_ask(&other, "ping\n", 1);
	check_says(&other, 0, "pong");
	ck_assert_uint_eq(client.lines, 1);
	ck_assert_uint_eq(proxy.killed, 0);
	ck_assert(fake_fleet_answer(&fleet));
	until_asked();
	client_ask(&client, "", 2);
	json = client_answer(&client, 1);
	ck_assert_uint_eq(json_array_size(json_object_get(json, "data")), 2);
	json_decref(json);
	ck_assert(fake_fleet_answer(&fleet));
	client_ask(&client, "", 4);
	check_says(&client, 2, "killed");
	check_says(&client, 3, "pong");
	client_close(&other);
	client_close(&client);
}
END_TEST

/* Answer whatever the workers are asked, until all lines are there. */
static bool
is_answered(void *user)
{
	(void)fake_fleet_answer(&fleet);
	return has_lines(user);
}

START_TEST(a_list_that_comes_later_comes_whole)
{
	struct client client;
	json_t *json;

	fake_proxy_init(&proxy, 2000);
	fleet.later = true;
	start();
	client_open(&client);
	client.shut = true;
	client_ask(&client, "connections\nping", 0);
	client.wanted = 2;
	until(is_answered, &client);
	client_ask(&client, "", 2);
	json = client_answer(&client, 0);
	ck_assert_uint_eq(json_array_size(json_object_get(json, "data")), 2000);
	json_decref(json);
	check_says(&client, 1, "pong");
	until(has_ended, &client);
	client_close(&client);
}
END_TEST

static bool
is_alone(void *user)
{
	(void)user;
	(void)fake_fleet_answer(&fleet);
	return control_clients(control) == 0;
}

START_TEST(a_client_may_leave_while_it_is_answered)
{
	struct client client;

	fleet.later = true;
	start();
	client_open(&client);
	client_ask(&client, "listeners\nkill 2\n", 0);
	until_asked();
	client_close(&client);
	until(is_alone, NULL);
	ck_assert(TAILQ_EMPTY(&fleet.calls));
}
END_TEST

START_TEST(stop_waits_for_an_answer_that_comes_later)
{
	struct client client;

	stop_ms = PATIENCE_MS;
	fleet.later = true;
	start();
	client_open(&client);
	client_ask(&client, "listeners\nping\n", 0);
	until_asked();
	control_stop(control);
	client_ask(&client, "", 0);
	ck_assert_str_eq(events, "r");
	ck_assert(fake_fleet_answer(&fleet));
	until(has_ended, &client);
	ck_assert_uint_eq(client.lines, 1);
	until_event('x');
	client_close(&client);
}
END_TEST

START_TEST(stop_does_not_wait_for_workers_for_ever)
{
	struct client client;

	stop_ms = 50;
	fleet.later = true;
	start();
	client_open(&client);
	client_ask(&client, "listeners\n", 0);
	until_asked();
	control_stop(control);
	until_event('x');
	ck_assert(TAILQ_EMPTY(&fleet.calls));
	ck_assert_uint_eq(fleet.cancelled, 1);
	client_close(&client);
}
END_TEST

/* ---- clients that do not behave ---- */

static bool
has_sent_all(void *user)
{
	struct client *client = user;

	client_send(client);
	return client->sent == client->out.length;
}

/* A client that sends so many requests and reads nothing. */
static void
open_silent(struct client *client, unsigned requests)
{
	client_open(client);
	for (; requests > 0; requests--)
		strbuf_text(&client->out, "connections\n");
	until(has_sent_all, client);
}

/* There is an answer that the kernel did not take. */
static bool
is_held(void *user)
{
	(void)user;
	return control_buffered(control) > 16 * 1024;
}

START_TEST(a_client_that_never_reads_is_held_within_bounds)
{
	struct client silent, other;

	fake_proxy_init(&proxy, MANY_SESSIONS);
	start();
	open_silent(&silent, 1000);
	until(is_held, NULL);
	client_open(&other);
	client_ask(&other, "ping\n", 1);
	client_ask(&other, "health\n", 2);
	check_says(&other, 1, "up");
	ck_assert_uint_le(buffered_peak, BUFFERED_MAX);
	client_close(&other);
	client_close(&silent);
	until_clients(0);
}
END_TEST

START_TEST(a_client_that_begins_to_read_late_gets_everything)
{
	struct client client;
	json_t *json;

	fake_proxy_init(&proxy, 500);
	start();
	open_silent(&client, 10);
	client_ask(&client, "ping\n", 11);
	json = client_answer(&client, 9);
	ck_assert_uint_eq(json_array_size(json_object_get(json, "data")), 500);
	json_decref(json);
	check_says(&client, 10, "pong");
	ck_assert_uint_le(buffered_peak, BUFFERED_MAX);
	client_close(&client);
}
END_TEST

START_TEST(a_client_that_never_reads_is_dropped_at_last)
{
	struct client silent, idle;

	fake_proxy_init(&proxy, MANY_SESSIONS);
	stall_ms = 50;
	start();
	client_open(&idle);
	client_ask(&idle, "ping\n", 1);
	open_silent(&silent, 3);
	until_clients(2);
	until_clients(1);
	/* Who waits for nothing may stay. */
	client_ask(&idle, "ping\n", 2);
	client_close(&idle);
	client_close(&silent);
}
END_TEST

START_TEST(the_client_beyond_the_limit_is_closed_at_once)
{
	struct client clients[CONTROL_CLIENTS_MAX], one;
	size_t i;

	start();
	for (i = 0; i < CONTROL_CLIENTS_MAX; i++)
		client_open(&clients[i]);
	until_clients(CONTROL_CLIENTS_MAX);
	client_open(&one);
	until(has_ended, &one);
	ck_assert_uint_eq(one.in.length, 0);
	client_close(&one);
	client_ask(&clients[0], "ping\n", 1);
	client_close(&clients[0]);
	until_clients(CONTROL_CLIENTS_MAX - 1);
	client_open(&one);
	client_ask(&one, "ping\n", 1);
	check_says(&one, 0, "pong");
	client_close(&one);
	for (i = 1; i < CONTROL_CLIENTS_MAX; i++)
		client_close(&clients[i]);
	until_clients(0);
}
END_TEST

/* ---- the end ---- */

START_TEST(shutdown_is_answered_before_it_is_asked_for)
{
	struct client client;

	start();
	client_open(&client);
	client_ask(&client, "shutdown\nhealth\nshutdown\nshutdown now\n", 4);
	check_says(&client, 0, "draining");
	check_says(&client, 1, "drain");
	check_refused(&client, 2, "already draining");
	check_says(&client, 3, "stopping");
	ck_assert_str_eq(events, "rsS");
	client_close(&client);
}
END_TEST

START_TEST(stop_in_on_shutdown_lets_the_answer_out)
{
	struct client client, idle;

	stop_on_shutdown = true;
	start();
	client_open(&idle);
	client_open(&client);
	until_clients(2);
	client_ask(&client, "shutdown\n", 1);
	check_says(&client, 0, "draining");
	until(has_ended, &client);
	until(has_ended, &idle);
	until_event('x');
	ck_assert_str_eq(events, "rsx");
	ck_assert_int_eq(access(path, F_OK), -1);
	client_close(&client);
	client_close(&idle);
}
END_TEST

START_TEST(free_in_on_shutdown_is_fine)
{
	struct client client;

	free_on_shutdown = true;
	start();
	client_open(&client);
	client_ask(&client, "shutdown now\nping\n", 1);
	check_says(&client, 0, "stopping");
	until(has_ended, &client);
	ck_assert_str_eq(events, "rS");
	ck_assert_int_eq(access(path, F_OK), -1);
	client_close(&client);
}
END_TEST

START_TEST(stop_waits_for_answers_that_are_being_read)
{
	struct client client;

	stop_ms = PATIENCE_MS;
	fake_proxy_init(&proxy, MANY_SESSIONS);
	start();
	open_silent(&client, 1);
	control_stop(control);
	control_stop(control);
	client.wanted = 1;
	until(has_lines, &client);
	until_event('x');
	ck_assert_str_eq(events, "rx");
	client_close(&client);
}
END_TEST

START_TEST(stop_does_not_wait_for_a_silent_client)
{
	struct client client;

	stop_ms = 50;
	fake_proxy_init(&proxy, MANY_SESSIONS);
	start();
	open_silent(&client, 2);
	control_stop(control);
	until_event('x');
	ck_assert_str_eq(events, "rx");
	client_close(&client);
}
END_TEST

START_TEST(stop_without_clients_is_told_later)
{
	start();
	control_stop(control);
	ck_assert_str_eq(events, "r");
	until_event('x');
	ck_assert_str_eq(events, "rx");
}
END_TEST

static Suite *
control_suite(void)
{
	Suite *suite = suite_create("control_server");
	TCase *tc = tcase_create("socket");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_socket_is_its_owners_alone);
	tcase_add_test(tc, a_missing_directory_is_made);
	tcase_add_test(tc, two_missing_directories_are_an_error);
	tcase_add_test(tc, a_path_that_is_too_long_is_an_error);
	tcase_add_test(tc, the_socket_is_removed_at_the_end);
	tcase_add_test(tc, a_stale_socket_is_replaced);
	tcase_add_test(tc, a_socket_that_is_in_use_is_an_error);
	tcase_add_test(tc, a_file_that_is_no_socket_is_an_error_and_stays);
	tcase_add_test(tc, requests_are_answered_in_their_order);
	tcase_add_test(tc, a_thousand_pipelined_pings_get_a_thousand_pongs);
	tcase_add_test(tc, a_request_may_come_byte_by_byte);
	tcase_add_test(tc, crlf_ends_a_line_and_empty_lines_are_nothing);
	tcase_add_test(tc, a_cr_within_a_line_is_refused);
	tcase_add_test(tc, half_a_line_before_the_end_is_a_request);
	tcase_add_test(tc, half_a_line_before_the_end_changes_nothing);
	tcase_add_test(tc, an_end_without_a_request_is_just_an_end);
	tcase_add_test(tc, a_big_answer_is_whole_although_the_client_has_ended);
	tcase_add_test(tc, garbage_is_refused_and_the_next_request_answered);
	tcase_add_test(tc, the_longest_line_is_answered_and_the_next_too);
	tcase_add_test(tc, a_line_of_one_byte_more_ends_the_connection);
	tcase_add_test(tc, a_line_of_a_megabyte_is_not_held);
	tcase_add_test(tc, a_client_that_leaves_within_a_line_is_forgotten);
	tcase_add_test(tc, a_later_answer_keeps_its_place);
	tcase_add_test(tc, a_list_that_comes_later_comes_whole);
	tcase_add_test(tc, a_client_may_leave_while_it_is_answered);
	tcase_add_test(tc, stop_waits_for_an_answer_that_comes_later);
	tcase_add_test(tc, stop_does_not_wait_for_workers_for_ever);
	tcase_add_test(tc, a_client_that_never_reads_is_held_within_bounds);
	tcase_add_test(tc, a_client_that_begins_to_read_late_gets_everything);
	tcase_add_test(tc, a_client_that_never_reads_is_dropped_at_last);
	tcase_add_test(tc, the_client_beyond_the_limit_is_closed_at_once);
	tcase_add_test(tc, shutdown_is_answered_before_it_is_asked_for);
	tcase_add_test(tc, stop_in_on_shutdown_lets_the_answer_out);
	tcase_add_test(tc, free_in_on_shutdown_is_fine);
	tcase_add_test(tc, stop_waits_for_answers_that_are_being_read);
	tcase_add_test(tc, stop_does_not_wait_for_a_silent_client);
	tcase_add_test(tc, stop_without_clients_is_told_later);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(control_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
