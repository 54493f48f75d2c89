/*
 * Options of sockets that listen: those that a configuration changes are in
 * force, or it is known why not, for the kinds of sockets that they are about.
 */
#include "config.h"

#include "proxy/listener_bind.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/server.h>

#include "proxy/proxy_priv.h"
#include "support.h"

static struct bench bench;
static struct bench *const b = &bench;
static char refused[256];

#define BASE "[weir]\ncontrol = off\n[listener a]\nmode = echo\n"

static void
setup(void)
{
	memset(b, 0, sizeof(*b));
	bench_directory(b);
}

static struct config *
config_of(const char *listen, const char *more)
{
	struct config_builder *builder = config_builder_new();
	struct config *config;
	char text[512];

	(void)snprintf(
	    text, sizeof(text), BASE "listen = %s\n%s", listen, more);
	(void)config_builder_read_text(builder, "t", text, strlen(text));
	ck_assert_msg(config_builder_finish(builder, &config) == 0, "%s",
	    config_builder_mistake(builder, 0));
	config_builder_free(builder);
	return config;
}

static void
on_refused(const char *key, int why, void *user)
{
	size_t n = strlen(refused);

	(void)user;
	(void)snprintf(refused + n, sizeof(refused) - n, "%s=%d ", key, why);
}

/* The keys that cannot be as config has them. */
static const char *
refuses(const struct config *config, bool tried)
{
	refused[0] = '\0';
	bind_each_refused(b->proxy->listeners[0], config->listeners[0], tried,
	    on_refused, NULL);
	return refused;
}

static struct listener_socket *
first(void)
{
	return STAILQ_FIRST(&b->proxy->listeners[0]->sockets);
}

static int
option(int level, int name)
{
	int value = -1;
	socklen_t length = sizeof(value);

	ck_assert_int_eq(getsockopt(weir_server_fd(first()->server), level,
			     name, &value, &length),
	    0);
	return value;
}

START_TEST(what_can_be_changed_is)
{
	struct config *config =
	    config_of("127.0.0.1:0", "backlog = 7\ndefer_accept = yes\n");

	bench_start(b, BASE "listen = 127.0.0.1:0\n");
	ck_assert_int_eq(option(IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
	ck_assert_str_eq(refuses(config, false), "");
	bind_apply(first(), config->listeners[0]);
	ck_assert_int_gt(option(IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
	ck_assert_int_eq(first()->bound.options.backlog, 7);
	ck_assert_str_eq(refuses(config, true), "");
	/* And back. */
	bind_apply(first(), b->config->listeners[0]);
	ck_assert_int_eq(option(IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
	config_unref(config);
	bench_close(b);
}
END_TEST

START_TEST(what_cannot_be_changed_is_known_beforehand)
{
	struct config *config = config_of("[::1]:0", "ipv6_only = yes\n");
	char wanted[32];

	bench_start(b, BASE "listen = [::1]:0\n");
	(void)snprintf(wanted, sizeof(wanted), "ipv6_only=%d ", -ENOTSUP);
	ck_assert_str_eq(refuses(config, false), wanted);
	/* Tried, it is so only once it was. */
	ck_assert_str_eq(refuses(config, true), "");
	bind_apply(first(), config->listeners[0]);
	ck_assert_str_eq(refuses(config, true), wanted);
	ck_assert_str_eq(refuses(b->config, true), "");
	config_unref(config);
	bench_close(b);
}
END_TEST

START_TEST(a_device_that_is_not_there_is_told_when_it_was_tried)
{
	struct config *config =
	    config_of("127.0.0.1:0", "interface = weir-none\n");

	bench_start(b, BASE "listen = 127.0.0.1:0\n");
	ck_assert_str_eq(refuses(config, false), "");
	bind_apply(first(), config->listeners[0]);
	ck_assert_int_eq(strncmp(refuses(config, true), "interface=-", 11), 0);
	/* What was refused is not in force. */
	ck_assert_ptr_null(first()->bound.options.interface);
	bind_apply(first(), b->config->listeners[0]);
	ck_assert_str_eq(refuses(b->config, true), "");
	config_unref(config);
	bench_close(b);
}
END_TEST

START_TEST(each_key_is_about_sockets_of_its_kind)
{
	char path[96];
	struct config *config;
	struct stat st;

	(void)snprintf(path, sizeof(path), "unix:%s/s", b->directory);
	config = config_of(
	    path, "unix_mode = 0604\nipv6_only = yes\ninterface = weir-none\n");
	bench_start(b, BASE "unix_mode = 0660\nlisten = %s\n", path);
	bind_apply(first(), config->listeners[0]);
	ck_assert_str_eq(refuses(config, true), "");
	ck_assert_int_eq(stat(path + strlen("unix:"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0604);
	config_unref(config);
	bench_close(b);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("listener_bind");
	TCase *tc = tcase_create("listener_bind");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, what_can_be_changed_is);
	tcase_add_test(tc, what_cannot_be_changed_is_known_beforehand);
	tcase_add_test(
	    tc, a_device_that_is_not_there_is_told_when_it_was_tried);
	tcase_add_test(tc, each_key_is_about_sockets_of_its_kind);
	suite_add_tcase(suite, tc);
	return support_run(suite);
}
