/*
 * Another configuration for a proxy that serves: nothing of it is seen until
 * it is put in force, and nothing is left of one that is given up.
 */
#include "config.h"

#include "proxy/reload.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/address.h>

#include "proxy/proxy_priv.h"
#include "support.h"

static struct bench bench;
static struct bench *const b = &bench;
static unsigned told;
static bool good;

#define LISTENER(name) "[listener " name "]\nmode = echo\nlisten = "
#define ONE	       "[weir]\ncontrol = off\n" LISTENER("a") "127.0.0.1:0\n"

static void
setup(void)
{
	memset(b, 0, sizeof(*b));
	told = 0;
}

static void
on_prepared(struct proxy_reload *reload, bool ok, void *user)
{
	(void)reload;
	(void)user;
	told++;
	good = ok;
}

static struct config *
config_of(const char *format, ...)
{
	struct config_builder *builder = config_builder_new();
	struct config *config;
	char text[4096];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(void)config_builder_read_text(builder, "t", text, strlen(text));
	ck_assert_msg(config_builder_finish(builder, &config) == 0, "%s",
	    config_builder_mistake(builder, 0));
	config_builder_free(builder);
	return config;
}

/* Prepared, or not, as told. The caller's reference to config goes. */
static struct proxy_reload *
prepare(struct config *config)
{
	struct proxy_reload *reload;
	unsigned before = told;

	ck_assert_int_eq(
	    proxy_reload_prepare(&reload, b->proxy, config, on_prepared, NULL),
	    0);
	config_unref(config);
	until(b, told > before);
	return reload;
}

static void
commit(struct proxy_reload *reload)
{
	ck_assert(good);
	ck_assert_int_eq(proxy_reload_take(reload), 0);
	proxy_reload_commit(reload);
	config_unref(b->config);
	b->config = config_ref(b->proxy->config);
}

static void
echoes(int fd)
{
	put(fd, "ping");
	got(b, fd, "ping");
}

START_TEST(what_is_prepared_is_not_seen_until_it_is_put_in_force)
{
	struct proxy_reload *reload;
	char before[64];
	int old, new;

	bench_start(b, ONE);
	(void)snprintf(before, sizeof(before), "%s", bench_address(b, 0, 0));
	old = client(b, 0);
	echoes(old);
	reload = prepare(
	    config_of(ONE "greeting = hi\n" LISTENER("b") "127.0.0.1:0\n"));
	ck_assert(good);
	ck_assert_uint_eq(told, 1);
	ck_assert_uint_eq(proxy_listener_count(b->proxy), 1);
	new = client(b, 0);
	echoes(new);
	(void)close(new);
	commit(reload);
	ck_assert_uint_eq(proxy_listener_count(b->proxy), 2);
	/* The port that the system picked stays, and so does who is there. */
	ck_assert_str_eq(bench_address(b, 0, 0), before);
	echoes(old);
	new = client(b, 0);
	got(b, new, "hi");
	(void)close(new);
	new = client(b, 1);
	echoes(new);
	(void)close(new);
	(void)close(old);
	until(b, proxy_connections(b->proxy) == 0);
	bench_close(b);
}
END_TEST

START_TEST(nothing_is_left_of_one_that_is_given_up)
{
	struct proxy_reload *reload;
	int before, fd, i;

	bench_start(b, ONE);
	fd = client(b, 0);
	echoes(fd);
	before = bench_fds();
	for (i = 0; i < 3; i++) {
		reload =
		    prepare(config_of("[weir]\ncontrol = off\n" LISTENER(
					  "b") "127.0.0.1:0\nlisten = %s/s\n",
			b->directory));
		ck_assert(good);
		proxy_reload_abort(reload);
		ck_assert_int_eq(bench_fds(), before);
		ck_assert_uint_eq(proxy_listener_count(b->proxy), 1);
		ck_assert_int_eq(board_listener_find(b->board, "a"), 0);
	}
	/* And before it was told what came of it. */
	ck_assert_int_eq(proxy_reload_prepare(
			     &reload, b->proxy, b->config, on_prepared, NULL),
	    0);
	proxy_reload_abort(reload);
	bench_pass(b, 20);
	ck_assert_uint_eq(told, 3);
	proxy_reload_abort(NULL);
	echoes(fd);
	(void)close(fd);
	until(b, proxy_connections(b->proxy) == 0);
	bench_close(b);
}
END_TEST

START_TEST(all_that_cannot_be_opened_is_told)
{
	struct proxy_reload *reload;
	uint16_t port;
	int taken = upstream(&port), fd;

	bench_start(b, ONE);
	reload = prepare(config_of(ONE
	    "access_log = file:/nowhere/log\n" LISTENER("b") "127.0.0.1:%u\n",
	    port));
	ck_assert(!good);
	ck_assert_uint_ge(proxy_reload_mistake_count(reload), 1);
	ck_assert_ptr_nonnull(strstr(proxy_reload_mistake(reload, 0),
	    "access_log: cannot open /nowhere/log: No such file"));
	proxy_reload_abort(reload);
	reload = prepare(config_of(ONE LISTENER("b") "127.0.0.1:%u\n", port));
	ck_assert(!good);
	ck_assert_uint_eq(proxy_reload_mistake_count(reload), 1);
	ck_assert_ptr_nonnull(strstr(proxy_reload_mistake(reload, 0),
	    "listen: cannot listen on 127.0.0.1:"));
	ck_assert_int_eq(strncmp(proxy_reload_mistake(reload, 0), "t:", 2), 0);
	proxy_reload_abort(reload);
	reload = prepare(config_of(ONE LISTENER("b") "fd:%d\n", taken));
	ck_assert(!good);
	ck_assert_ptr_nonnull(
	    strstr(proxy_reload_mistake(reload, 0), "needs a restart"));
	proxy_reload_abort(reload);
	fd = client(b, 0);
	echoes(fd);
	(void)close(fd);
	until(b, proxy_connections(b->proxy) == 0);
	bench_close(b);
	(void)close(taken);
}
END_TEST

START_TEST(a_socket_goes_along_with_its_address)
{
	struct proxy_reload *reload;
	char path[128];
	int fd, i;

	bench_directory(b);
	(void)snprintf(path, sizeof(path), "unix:%s/s", b->directory);
	bench_start(b, "[weir]\ncontrol = off\n" LISTENER("a") "%s\n", path);
	for (i = 0; i < 4; i++) {
		/* Waits in the backlog while the listener is renamed. */
		fd = client_of(path);
		ck_assert_int_ne(fd, -1);
		put(fd, "ping");
		reload = prepare(config_of(
		    "[weir]\ncontrol = off\n[listener %c]\nmode = echo\n"
		    "listen = %s\n",
		    "ba"[i % 2], path));
		commit(reload);
		got(b, fd, "ping");
		(void)close(fd);
		until(b, proxy_connections(b->proxy) == 0);
		until(b, proxy_listener_count(b->proxy) == 1);
	}
	bench_close(b);
}
END_TEST

START_TEST(one_that_goes_serves_who_is_there)
{
	struct proxy_reload *reload;
	int fd, waits;

	bench_start(b, ONE LISTENER("b") "127.0.0.1:0\n");
	fd = client(b, 1);
	echoes(fd);
	waits = client(b, 1);
	put(waits, "ping");
	reload = prepare(config_of(ONE));
	commit(reload);
	got(b, waits, "ping");
	echoes(fd);
	ck_assert_uint_eq(proxy_listener_count(b->proxy), 2);
	(void)close(waits);
	(void)close(fd);
	until(b, proxy_listener_count(b->proxy) == 1);
	bench_close(b);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("reload");
	TCase *tc = tcase_create("reload");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(
	    tc, what_is_prepared_is_not_seen_until_it_is_put_in_force);
	tcase_add_test(tc, nothing_is_left_of_one_that_is_given_up);
	tcase_add_test(tc, all_that_cannot_be_opened_is_told);
	tcase_add_test(tc, a_socket_goes_along_with_its_address);
	tcase_add_test(tc, one_that_goes_serves_who_is_there);
	suite_add_tcase(suite, tc);
	return support_run(suite);
}
