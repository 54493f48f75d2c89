/* The proxy as a whole: drained, stopped and freed in every state. */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/loop.h>

#include "config/config.h"
#include "proxy/proxy_priv.h"
#include "support.h"

#define WEIR "[weir]\ncontrol = off\n"
#define ONE                                                                    \
	WEIR "[listener a]\nlisten = 127.0.0.1:0\naccess_log = on\n"           \
	     "pause_on_connect = no\n"

static struct bench bench;
static struct bench *const b = &bench;

static void
setup(void)
{
	memset(b, 0, sizeof(*b));
	bench_directory(b);
}

/* ---- one session in every state ---- */

enum state {
	CONNECTING,
	WAITING,
	OPEN,
	HALF_CLOSED,
	SLOWED,
	FIFO,
	PROGRAM,
	STUBBORN, /* a program that ignores SIGTERM */
	FULL,
	STATES
};

struct scene {
	int client, other, listening;
	int mutes[8];
};

static uint16_t
mute_port(struct scene *s)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	uint16_t port;
	int i;

	s->listening = upstream(&port);
	ck_assert_int_eq(listen(s->listening, 0), 0);
	to.sin_port = htons(port);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (i = 0; i < 8; i++) {
		s->mutes[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(
		    s->mutes[i], (const struct sockaddr *)&to, sizeof(to));
	}
	return port;
}

static void
start_in(enum state state, struct scene *s)
{
	uint16_t port;

	switch (state) {
	case CONNECTING:
		bench_start(b, ONE "mode = forward\nupstream = 127.0.0.1:%u\n",
		    mute_port(s));
		break;
	case WAITING:
		bench_start(b, ONE "mode = pipe\npipe = peer\n");
		break;
	case FIFO:
		bench_start(
		    b, ONE "mode = pipe\npipe = fifo:%s/f\n", b->directory);
		break;
	case PROGRAM:
		bench_start(b, ONE "mode = pipe\npipe = exec:cat\n");
		break;
	case STUBBORN:
		bench_start(b,
		    ONE "mode = pipe\npipe = exec:sh -c "
			"\"trap '' TERM; sleep 1000; sleep 1000\"\n");
		break;
	case FULL:
		bench_start(b, ONE "mode = pipe\npipe = file:/dev/full\n");
		break;
	default:
		s->listening = upstream(&port);
		bench_start(
		    b, ONE "mode = forward\nupstream = 127.0.0.1:%u\n", port);
	}
}

/* One session of a proxy, in that state. */
static struct scene
scene(enum state state)
{
	static const char *const texts[STATES] = {
	    [CONNECTING] = "connecting",
	    [WAITING] = "waiting",
	    [HALF_CLOSED] = "half-closed",
	    [FIFO] = "connecting",
	};
	struct scene s = {.other = -1, .listening = -1};
	int i;

	for (i = 0; i < 8; i++)
		s.mutes[i] = -1;
	start_in(state, &s);
	b->proxy->child_grace_ms = 50;
	s.client = client(b, 0);
	if (state == OPEN || state == HALF_CLOSED || state == SLOWED)
		s.other = upstream_accept(b, s.listening);
	if (state == HALF_CLOSED)
		ck_assert_int_eq(shutdown(s.client, SHUT_WR), 0);
	if (state == SLOWED)
		(void)stuff(b, s.client);
	if (state == FULL) {
		put(s.client, "abc");
		until(b, bench_logged(b, "no room") == 1);
	}
	until(b, strcmp(bench_session(b, 0),
		     texts[state] != NULL ? texts[state] : "open") == 0);
	return s;
}

static void
leave(const struct scene *s)
{
	int i;

	(void)close(s->client);
	if (s->other != -1)
		(void)close(s->other);
	if (s->listening != -1)
		(void)close(s->listening);
	for (i = 0; i < 8; i++)
		if (s->mutes[i] != -1)
			(void)close(s->mutes[i]);
}

START_TEST(freed_in_any_state_nothing_is_left)
{
	struct scene s = scene((enum state)_i);
	unsigned drained = b->drained, changes = b->changes;

	bench_check_sums(b);
	proxy_free(b->proxy);
	b->proxy = NULL;
	ck_assert_uint_eq(b->drained, drained);
	ck_assert_uint_eq(b->changes, changes);
	ck_assert_uint_eq(bench_logged(b, "info connection"), 1);
	leave(&s);
	bench_close(b);
}
END_TEST

START_TEST(freed_while_it_drains_it_tells_nobody)
{
	struct scene s = scene(OPEN);

	proxy_drain(b->proxy, 0);
	proxy_free(b->proxy);
	b->proxy = NULL;
	ck_assert_uint_eq(b->drained, 0);
	leave(&s);
	bench_close(b);
}
END_TEST

START_TEST(stopped_in_any_state_every_session_is_destroyed)
{
	struct scene s = scene((enum state)_i);

	proxy_stop(b->proxy);
	ck_assert(proxy_draining(b->proxy));
	until(b, b->drained > 0);
	ck_assert_uint_eq(b->drained, 1);
	ck_assert_uint_eq(b->destroyed, 1);
	ck_assert_uint_eq(bench_figures(b, 0).closed, 1);
	ck_assert_uint_eq(bench_figures(b, 0).errors, 0);
	ck_assert_uint_eq(bench_logged(b, "end=drain"), 1);
	proxy_stop(b->proxy);
	proxy_drain(b->proxy, 10);
	bench_pass(b, 30);
	ck_assert_uint_eq(b->drained, 1);
	leave(&s);
	bench_close(b);
}
END_TEST

START_TEST(drained_in_any_state_what_is_left_is_destroyed_and_counted)
{
	struct scene s = scene((enum state)_i);

	proxy_drain(b->proxy, 50);
	ck_assert_uint_eq(b->drained, 0);
	until(b, b->drained > 0);
	/* One that waits for a peer that can not come is not kept so long. */
	ck_assert_uint_eq(b->destroyed, _i == WAITING ? 0 : 1);
	ck_assert_uint_eq(bench_figures(b, 0).closed, 1);
	ck_assert_uint_eq(bench_children(b), 0);
	bench_pass(b, 80);
	ck_assert_uint_eq(b->drained, 1);
	leave(&s);
	bench_close(b);
}
END_TEST

START_TEST(drained_an_open_connection_ends_by_itself)
{
	struct scene s = scene(OPEN);
	char address[64];

	(void)snprintf(address, sizeof(address), "%s", bench_address(b, 0, 0));
	proxy_drain(b->proxy, 0);
	proxy_drain(b->proxy, 1); /* nothing */
	ck_assert_str_eq(
	    listener_state_text(bench_figures(b, 0).state), "closed");
	ck_assert_int_eq(client_of(address), -1);
	ck_assert_int_eq(proxy_listener_open(b->proxy, "a"), -EBUSY);
	ck_assert_int_eq(proxy_listener_close(b->proxy, "a"), -EBUSY);
	put(s.client, "question");
	got(b, s.other, "question");
	bench_pass(b, 30);
	put(s.other, "answer");
	(void)close(s.other);
	s.other = -1;
	got(b, s.client, "answer");
	ck_assert_uint_eq(b->drained, 0);
	ck_assert_int_eq(shutdown(s.client, SHUT_WR), 0);
	until(b, b->drained == 1);
	ck_assert_uint_eq(b->destroyed, 0);
	leave(&s);
	bench_close(b);
}
END_TEST

START_TEST(a_drain_can_become_a_stop)
{
	struct scene s = scene((enum state)_i);

	proxy_drain(b->proxy, 60000);
	bench_pass(b, 10);
	proxy_stop(b->proxy);
	until(b, b->drained == 1);
	leave(&s);
	bench_close(b);
}
END_TEST

START_TEST(drained_without_connections_it_is_over_at_once)
{
	bench_start(b, ONE "mode = echo\n");
	if (_i == 0)
		proxy_drain(b->proxy, 0);
	else
		proxy_stop(b->proxy);
	until(b, b->drained == 1);
	ck_assert_uint_eq(b->destroyed, 0);
	bench_close(b);
}
END_TEST

START_TEST(drained_while_it_starts_it_never_is_ready)
{
	uint16_t port;
	int fd = upstream(&port);

	bench_open(b, 0, NULL, 0,
	    WEIR "[listener a]\nlisten = 127.0.0.1:%u\nbind_retry = 10ms\n"
		 "mode = echo\n[listener b]\nlisten = 127.0.0.1:0\n"
		 "listen = localhost:0\nmode = echo\n",
	    port);
	proxy_start(b->proxy);
	if (_i > 1)
		until(b, bench_logged(b, "the address is in use") == 1);
	if (_i % 2 == 0)
		proxy_drain(b->proxy, 1000);
	else
		proxy_stop(b->proxy);
	until(b, b->drained == 1);
	(void)close(fd);
	bench_pass(b, 60);
	ck_assert_uint_eq(b->ready + b->failed, 0);
	ck_assert_uint_eq(
	    bench_address_count(b, 0) + bench_address_count(b, 1), 0);
	bench_close(b);
}
END_TEST

START_TEST(freed_while_it_starts_nothing_is_left)
{
	uint16_t port;
	int fd = upstream(&port);

	bench_open(b, 0, NULL, 0,
	    WEIR "[listener a]\nlisten = 127.0.0.1:%u\nbind_retry = 10ms\n"
		 "mode = echo\n[listener b]\nlisten = 127.0.0.1:0\n"
		 "listen = localhost:0\nmode = echo\n",
	    port);
	if (_i > 0)
		proxy_start(b->proxy);
	if (_i > 1)
		until(b, bench_logged(b, "the address is in use") == 1);
	(void)close(fd);
	bench_close(b);
}
END_TEST

START_TEST(a_drain_waits_for_programs_that_are_at_work)
{
	char path[100], text[400];
	FILE *f;
	int c;

	(void)snprintf(path, sizeof(path), "%s/script", b->directory);
	f = fopen(path, "w");
	(void)snprintf(text, sizeof(text),
	    "trap 'sleep 0.1; echo > %s/done; exit' TERM\n"
	    "echo up\nsleep 1000 & wait\n",
	    b->directory);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
	bench_start(b, ONE "mode = pipe\npipe = exec:sh %s\n", path);
	c = client(b, 0);
	got(b, c, "up\n");
	proxy_drain(b->proxy, 0);
	reset(c);
	until(b, b->drained == 1);
	(void)snprintf(path, sizeof(path), "%s/done", b->directory);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_uint_eq(bench_children(b), 0);
	bench_close(b);
}
END_TEST

START_TEST(a_proxy_knows_its_listeners_by_name)
{
	bench_start(b, ONE "mode = echo\n");
	ck_assert_int_eq(proxy_find_listener(b->proxy, "a"), 0);
	ck_assert_int_eq(proxy_find_listener(b->proxy, "b"), -1);
	ck_assert_int_eq(proxy_listener_close(b->proxy, "b"), -ENOENT);
	ck_assert_int_eq(proxy_listener_open(b->proxy, "b"), -ENOENT);
	ck_assert_int_eq(proxy_kill(b->proxy, 1), -ENOENT);
	ck_assert_int_eq(proxy_listener_open(b->proxy, "a"), -EALREADY);
	bench_close(b);
}
END_TEST

/* ---- descriptors ---- */

static const struct {
	const char *mode;
	size_t each;
} needs[] = {
    {"mode = echo", 1},
    {"mode = forward\nupstream = 127.0.0.1:1", 2},
    {"mode = pipe\npipe = null", 1},
    {"mode = pipe\npipe = peer", 1},
    {"mode = pipe\npipe = file:/x", 2},
    {"mode = pipe\npipe = fifo:/x", 2},
    {"mode = pipe\npipe = stdout", 2},
    {"mode = pipe\npipe = exec:x", 3},
};

START_TEST(each_mode_needs_its_descriptors)
{
	bench_open(b, 0, NULL, 0,
	    ONE "%s\n[listener b]\nlisten = :0\n"
		"mode = echo\n",
	    needs[_i].mode);
	ck_assert_uint_eq(proxy_fds_per_connection(b->config), needs[_i].each);
	bench_close(b);
}
END_TEST

START_TEST(each_port_of_a_listener_is_a_descriptor)
{
	size_t one, more;

	bench_open(b, 0, NULL, 0, ONE "mode = echo\n");
	one = proxy_fds_reserved(b->config);
	bench_close(b);
	setup();
	bench_open(b, 0, NULL, 0,
	    ONE "mode = echo\nlisten = 127.0.0.1:8000-8009\n"
		"listen = unix:/x\nlisten = systemd:\nlisten = name:1-2\n");
	more = proxy_fds_reserved(b->config);
	ck_assert_uint_eq(more - one, 10 + 1 + 1 + 8);
	bench_close(b);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("proxy");
	TCase *tc = tcase_create("proxy");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, freed_in_any_state_nothing_is_left, 0, STATES);
	tcase_add_test(tc, freed_while_it_drains_it_tells_nobody);
	tcase_add_loop_test(
	    tc, stopped_in_any_state_every_session_is_destroyed, 0, STATES);
	tcase_add_loop_test(tc,
	    drained_in_any_state_what_is_left_is_destroyed_and_counted, 0,
	    STATES);
	tcase_add_test(tc, drained_an_open_connection_ends_by_itself);
	tcase_add_loop_test(tc, a_drain_can_become_a_stop, 0, STATES);
	tcase_add_loop_test(
	    tc, drained_without_connections_it_is_over_at_once, 0, 2);
	tcase_add_loop_test(
	    tc, drained_while_it_starts_it_never_is_ready, 0, 4);
	tcase_add_loop_test(tc, freed_while_it_starts_nothing_is_left, 0, 3);
	tcase_add_test(tc, a_drain_waits_for_programs_that_are_at_work);
	tcase_add_test(tc, a_proxy_knows_its_listeners_by_name);
	tcase_add_loop_test(tc, each_mode_needs_its_descriptors, 0, 8);
	tcase_add_test(tc, each_port_of_a_listener_is_a_descriptor);
	suite_add_tcase(suite, tc);
	return support_run(suite);
}
