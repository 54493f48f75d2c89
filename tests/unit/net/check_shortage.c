/*
 * Memory that is refused: each allocation of a scenario in turn, in libweir
 * and in libevent. Nothing may crash, be lost silently or be left over, and
 * each thing that was opened is told as closed.
 *
 * The linker turns libweir's malloc, calloc and realloc into ours (--wrap).
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include <weir/channel.h>
#include <weir/error.h>

#include "support.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

/* The allocation that is refused, 0 for none; how many there have been. */
static unsigned refuse, asked;
static bool counting;

static bool
refused(void)
{
	return counting && ++asked == refuse;
}

void *
__wrap_malloc(size_t size)
{
	return refused() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
	return refused() ? NULL : __real_calloc(count, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
	return refused() ? NULL : __real_realloc(old, size);
}

/* Check is linked in as well, and takes a refusal badly. */
void *__real_emalloc(size_t size) __attribute__((weak));
void *__real_erealloc(void *old, size_t size) __attribute__((weak));
void *__wrap_emalloc(size_t size);
void *__wrap_erealloc(void *old, size_t size);

void *
__wrap_emalloc(size_t size)
{
	bool was = counting;
	void *p;

	counting = false;
	p = __real_emalloc(size);
	counting = was;
	return p;
}

void *
__wrap_erealloc(void *old, size_t size)
{
	bool was = counting;
	void *p;

	counting = false;
	p = __real_erealloc(old, size);
	counting = was;
	return p;
}

/* ---- scenarios: true when all went well ---- */

static unsigned char letter[1024 * 1024];
static struct weir_socket *came;
static struct weir_server *server;
static struct watcher server_side;
static bool server_closed;

static void
on_connection(struct weir_server *by, struct weir_socket *socket, void *user)
{
	(void)by;
	(void)user;
	came = server_side.socket = socket;
	weir_socket_set_handlers(socket, &loud, &server_side);
	if (weir_socket_set_timeout(socket, 60000) != 0 ||
	    weir_socket_pipe(socket, socket, NULL) != 0)
		weir_socket_destroy(socket, -ENOMEM);
}

static void
on_close(struct weir_server *by, void *user)
{
	(void)by;
	(void)user;
	server_closed = true;
}

static const struct weir_server_handlers handlers = {
    .on_connection = on_connection,
    .on_close = on_close,
};

static bool
echo(void)
{
	struct weir_address at = address_for(TCP4);
	struct watcher client = {.discard = true};
	const size_t length = sizeof(letter);
	bool well = false;

	memset(&server_side, 0, sizeof(server_side));
	server_side.discard = true;
	came = NULL;
	server = NULL;
	server_closed = false;
	if (weir_server_new(&server, loop, NULL, &handlers, NULL) != 0 ||
	    weir_socket_new(&client.socket, loop, NULL, &loud, &client) != 0 ||
	    weir_server_listen(server, &at, NULL) != 0)
		goto out;
	until(server_closed || weir_server_address(server, &at) == 0);
	if (server_closed || weir_socket_connect(client.socket, &at, NULL) != 0)
		goto out;
	until(server_closed || client.closes > 0 || was_told(&client, "ready"));
	if (server_closed || client.closes > 0 ||
	    weir_socket_write(client.socket, letter, length) < 0 ||
	    weir_socket_end(client.socket) != 0)
		goto out;
	until(server_closed || client.closes > 0 || server_side.closes > 0);
	if (!server_closed && server_side.closes > 0 && client.closes == 0)
		until(client.closes > 0);
	well = client.closed == 0 && client.length == length;
	if (client.closes > 0 && client.closed == 0 && came != NULL &&
	    server_side.closed == 0)
		ck_assert_uint_eq(client.length, length);
out:
	weir_socket_free(client.socket);
	weir_socket_free(came);
	weir_server_free(server);
	remove_paths();
	return well;
}

/* A blocked flow that is undone and joined again, out of the other lane. */
static bool
rejoin(void)
{
	struct watcher a = {0}, b = {0}, c = {0};
	int near[2], far[2], next[2];
	uint64_t sent = 0, got = 0, n;
	int idle = 0;
	bool well = false;

	stream_pair(UNIX, near);
	stream_pair(UNIX, far);
	stream_pair(UNIX, next);
	if (weir_socket_new(&a.socket, loop, NULL, &loud, &a) != 0 ||
	    weir_socket_new(&b.socket, loop, NULL, &quiet, &b) != 0 ||
	    weir_socket_new(&c.socket, loop, NULL, &quiet, &c) != 0)
		goto out;
	if (weir_socket_open_fd(a.socket, near[0], true, true) == 0)
		near[0] = -1;
	if (weir_socket_open_fd(b.socket, far[0], true, true) == 0)
		far[0] = -1;
	if (weir_socket_open_fd(c.socket, next[0], true, true) == 0)
		next[0] = -1;
	weir_socket_set_handlers(a.socket, &quiet, &a);
	if (weir_socket_pipe(a.socket, b.socket, NULL) != 0)
		goto out;
	while (idle < 3 && a.closes == 0 && b.closes == 0) {
		n = stuff(near[1], sent);
		idle = n == 0 ? idle + 1 : 0;
		sent += n;
		glance();
	}
	if (a.closes > 0 || b.closes > 0)
		goto out;
	(void)shutdown(near[1], SHUT_WR);
	if (weir_socket_unpipe(a.socket) != 0)
		goto out;
	while (!silent_fd(far[1]))
		ck_assert(take(far[1], &got, 1 << 20));
	ck_assert_uint_eq(got, weir_socket_bytes_delivered(b.socket));
	if (weir_socket_pipe(a.socket, c.socket, NULL) != 0)
		goto out;
	/* Never wrong bytes; and what the kernel has outlives the sockets. */
	while (got < sent) {
		until(!silent_fd(next[1]) || a.closes > 0 || c.closes > 0);
		if (silent_fd(next[1]) || !take(next[1], &got, 1 << 20))
			break;
	}
	well = got == sent;
out:
	weir_socket_free(a.socket);
	weir_socket_free(b.socket);
	weir_socket_free(c.socket);
	for (idle = 0; idle < 2; idle++) {
		if (near[idle] != -1)
			ck_assert_int_eq(close(near[idle]), 0);
		if (far[idle] != -1)
			ck_assert_int_eq(close(far[idle]), 0);
		if (next[idle] != -1)
			ck_assert_int_eq(close(next[idle]), 0);
	}
	return well;
}

static unsigned lost;

static void
on_message(struct weir_channel *c, struct weir_socket *socket, const void *data,
    size_t length, void *user)
{
	(void)c;
	(void)data;
	(void)length;
	(void)user;
	came = socket;
}

static void
on_lost(struct weir_channel *c, int err, void *user)
{
	(void)c;
	(void)user;
	ck_assert_int_eq(err, -ENOMEM);
	lost++;
}

static const struct weir_channel_handlers channel_handlers = {
    .on_message = on_message,
    .on_lost = on_lost,
};

static bool
by_channel(void)
{
	struct weir_channel *channels[2] = {NULL, NULL};
	struct watcher w = {0};
	int near[2], fds[2], i;
	bool well = false;

	came = NULL;
	lost = 0;
	stream_pair(UNIX, near);
	ck_assert_int_eq(weir_channel_pair(fds), 0);
	for (i = 0; i < 2; i++)
		if (weir_channel_new(&channels[i], loop, fds[i],
			&channel_handlers, NULL) == 0)
			fds[i] = -1;
	if (channels[0] == NULL || channels[1] == NULL ||
	    weir_socket_new(&w.socket, loop, NULL, &quiet, &w) != 0 ||
	    weir_socket_open_fd(w.socket, near[0], true, true) != 0)
		goto out;
	near[0] = -1;
	if (weir_channel_send(channels[0], w.socket, "x", 1) == 0) {
		until(came != NULL || lost > 0);
		well = came != NULL;
	}
out:
	weir_socket_free(w.socket);
	weir_socket_free(came);
	for (i = 0; i < 2; i++) {
		weir_channel_free(channels[i]);
		if (fds[i] != -1)
			ck_assert_int_eq(close(fds[i]), 0);
		if (near[i] != -1)
			ck_assert_int_eq(close(near[i]), 0);
	}
	return well;
}

static void
never(struct weir_timer *timer, void *user)
{
	(void)timer;
	(void)user;
	ck_abort();
}

/* Whatever room libevent has for timers, it is used up when the loop defers a
 * task from inside of one. */
static bool
among_timers(void)
{
	struct weir_timer *timers[16];
	struct weir_address at;
	struct watcher client = {0};
	int listener = listening_fd(TCP4, &at);
	size_t count = 0;
	bool well = false;

	for (; count < 16; count++) {
		if (weir_timer_new(&timers[count], loop, never, NULL) != 0)
			goto out;
		if (weir_timer_start(timers[count], 3600000) != 0 ||
		    weir_socket_new(
			&client.socket, loop, NULL, &loud, &client) != 0 ||
		    weir_socket_connect_host(client.socket, "127.0.0.1",
			weir_address_port(&at), NULL) != 0) {
			count++;
			goto out;
		}
		until(was_told(&client, "ready") || client.closes > 0);
		forget_watcher(&client);
		memset(&client, 0, sizeof(client));
	}
	well = true;
out:
	forget_watcher(&client);
	while (count > 0)
		weir_timer_free(timers[--count]);
	ck_assert_int_eq(close(listener), 0);
	return well;
}

static bool
by_name(void)
{
	struct weir_address at;
	const struct weir_connect_options options = {
	    .attempt_timeout_ms = 60000,
	    .timeout_ms = 60000,
	};
	struct watcher client = {0};
	int listener = listening_fd(TCP4, &at);
	bool well = false;

	if (weir_socket_new(&client.socket, loop, NULL, &loud, &client) == 0 &&
	    weir_socket_set_no_delay(client.socket, true) == 0 &&
	    weir_socket_set_keep_alive(client.socket, true, 1000) == 0 &&
	    weir_socket_connect_host(client.socket, "127.0.0.1",
		weir_address_port(&at), &options) == 0) {
		until(was_told(&client, "ready") || client.closes > 0);
		well = client.closes == 0;
	}
	weir_socket_free(client.socket);
	ck_assert_int_eq(close(listener), 0);
	return well;
}

static bool (*const scenarios[])(void) = {
    echo, rejoin, by_name, by_channel, among_timers};
#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

/* A loop of its own, so that its making is refused memory as well. */
static bool
run(bool (*scenario)(void), unsigned which)
{
	bool well = false;

	asked = 0;
	refuse = which;
	counting = true;
	if (weir_loop_new(&loop, NULL) == 0) {
		counting = false;
		support_tick();
		counting = true;
		well = scenario();
		counting = false;
		support_untick();
		weir_loop_free(loop);
	}
	counting = false;
	return well;
}

START_TEST(each_refused_allocation_is_survived)
{
	bool (*scenario)(void) = scenarios[_i];
	size_t before = descriptors();
	unsigned n, worked = 0;

	ck_assert(run(scenario, 0)); /* all goes well with all memory */
	ck_assert_uint_gt(asked, 5);
	for (n = 1; n < 2000; n++) {
		if (run(scenario, n))
			worked++;
		ck_assert_msg(descriptors() == before,
		    "a descriptor was left when allocation %u was refused", n);
		if (asked < n)
			break; /* there were no more */
	}
	ck_assert_uint_lt(worked, n); /* some must have failed */
}
END_TEST

static Suite *
shortage_suite(void)
{
	Suite *suite = suite_create("shortage");
	TCase *all = tcase_create("all");

	tcase_add_loop_test(
	    all, each_refused_allocation_is_survived, 0, SCENARIOS);
	suite_add_tcase(suite, all);
	return suite;
}

static void
say_nothing(int severity, const char *message)
{
	(void)severity;
	(void)message;
}

int
main(void)
{
	event_set_log_callback(say_nothing);
	event_set_mem_functions(__wrap_malloc, __wrap_realloc, free);
	return run_suite(shortage_suite());
}
