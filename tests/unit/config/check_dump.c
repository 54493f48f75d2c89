/* Unit tests of config/dump: what it prints is the same configuration. */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/value.h"
#include "support.h"
#include "util/strbuf.h"

static char *
brief(const struct config *config)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	ck_assert_int_eq(config_dump_brief(config, out), 0);
	fclose(out);
	return text;
}

/* The dump of text, read and dumped again, is the same; of the brief one,
 * too. */
static void
same_as(const char *text, bool short_one)
{
	struct config *config = support_config(text), *again;
	char *first = support_dump(config), *second, *between;

	between = short_one ? brief(config) : strdup(first);
	again = support_config(between);
	free(between);
	second = support_dump(again);
	ck_assert_str_eq(second, first);
	ck_assert_uint_eq(again->listener_count, config->listener_count);
	ck_assert_uint_eq(again->upstream_count, config->upstream_count);
	ck_assert_int_eq(again->control_set, config->control_set);
	config_unref(config);
	config_unref(again);
	free(first);
	free(second);
}

static void
same_again(const char *text)
{
	same_as(text, false);
	same_as(text, true);
}

START_TEST(the_dump_is_the_same_configuration)
{
	same_again("");
	same_again("[weir]\nuser = root\ngroup = 0\npid_file = /a b;c # d\n"
		   "control = off\nlog = file:/x y\nlog_level = warn\n"
		   "log_format = json\ndrain_timeout = 0\nmax_connections = 9\n"
		   "[listener a]\nlisten = :0\nmode = echo\n");
	same_again(
	    "[listener a]\nlisten = *:80-82\nlisten = [::1]:90\n"
	    "listen = localhost:99\nlisten = unix:/tmp/a b\n"
	    "listen = unix:@x\nlisten = fd:3\nlisten = systemd:web\n"
	    "mode = forward\nupstream = localhost:1\nupstream = /tmp/x\n"
	    "greeting = a\\0\\xff;\\r\\n\nbacklog = 1\nexclusive = yes\n"
	    "interface = lo\nmark = 0x10\nunix_mode = 0600\nunix_user = root\n"
	    "unix_group = 5\nbind_retry = 1500ms\nmax_connections = 1\n"
	    "on_limit = wait\nmax_per_source = 2\nmax_rate = 3\n"
	    "deny = 10.0.0.1\nallow = 10.0.0.0/8\ndeny = all\n"
	    "allow_half_open = no\npause_on_connect = yes\nbuffer = 100000\n"
	    "timeout = 1h\nhalf_close_timeout = off\nlifetime = 1d\n"
	    "connect_timeout = 0\nkeep_alive = off\nkeep_alive_interval = 1m\n"
	    "keep_alive_count = 1\nuser_timeout = 1ms\nno_delay = no\n"
	    "local_port = 7\nfamily = 4\nrate_in = 1k/s\nrate_out = 1/s\n"
	    "splice = off\naccess_log = file:a\"b\n");
	same_again(
	    "[weir]\nworkers = auto\ndns = ::1\n"
	    "[defaults]\ntls_certificate = /c d\ntls_ciphers = A:!B\n"
	    "[listener a]\nlisten = :0\nmode = forward\nupstream = u\n"
	    "sni = a.b u\nalpn = x/1 [::1]:9\naccept_proxy = all\n"
	    "handshake_timeout = 0\nwhen_down = close\nsend_proxy = v1\n"
	    "upstream_tls = yes\nupstream_tls_ca = /ca\n"
	    "upstream_tls_verify = no\nupstream_tls_name = ::1\n"
	    "upstream_tls_sni = no\nupstream_tls_certificate = /c\n"
	    "upstream_tls_key = /k\nupstream_tls_password_file = /p\n"
	    "upstream_tls_alpn = a,b\nupstream_tls_min_version = 1.0\n"
	    "upstream_tls_max_version = 1.1\nupstream_tls_ciphers = ALL\n"
	    "upstream_tls_session_reuse = no\n"
	    "[listener b]\nlisten = :0\nmode = echo\ntls = on\n"
	    "tls_certificate = /c1\ntls_certificate = \"/c ;2\"\n"
	    "tls_key = /k1\ntls_key = /k2\ntls_password_file = /p\n"
	    "tls_client_ca = /ca\ntls_client_verify = optional\n"
	    "tls_max_version = 1.3\ntls_ciphersuites = X\n"
	    "tls_tickets = off\ntls_session_cache = 0\ntls_alpn = h2\n"
	    "[upstream u]\nserver = a:1 weight=0 max_connections=1\n"
	    "server = '/a \"b' name=\\'\nserver = srv:_a._tcp.b backup down\n"
	    "balance = random\nretries = 0\nqueue = 1\nqueue_timeout = off\n"
	    "max_fails = 0\nfail_timeout = 1ms\n"
	    "health_check = send \"\\0\\xff\\\"\" expect \"\\x23 $${\"\n"
	    "health_interval = 1d\nhealth_timeout = 1ms\nrise = 9\nfall = 1\n"
	    "slow_start = 2s\nresolve = 1s\ndns = 1.2.3.4\n"
	    "on_down = close\n");
	same_again("[listener a]\nlisten = :0\nmode = pipe\npipe = peer\n"
		   "[listener b]\nlisten = :0\nmode = pipe\npipe = peer:c\n"
		   "[listener c]\nlisten = :0\nmode = pipe\npipe = peer:b\n"
		   "[listener d]\nlisten = :0\nmode = pipe\npipe = null\n"
		   "[listener e]\nlisten = :0\nmode = pipe\npipe = stdout\n"
		   "[listener f]\nlisten = :0\nmode = pipe\npipe = fifo:x#y\n"
		   "[listener g]\nlisten = :0\nmode = pipe\npipe = file: z \n"
		   "[listener h]\nlisten = :0\nmode = pipe\n"
		   "pipe = \"exec:sh -c 'a ; \\\"b\\\" # $${X} \\\\ \\n'\"\n");
}
END_TEST

START_TEST(the_brief_one_has_no_defaults)
{
	struct config *config = support_config(
	    "[weir]\ncontrol = off\n[defaults]\ntimeout = 9s\n"
	    "[listener a]\nlisten = :0\nmode = forward\nupstream = u\n"
	    "keep_alive = 60s\nallow = all\nlifetime = 1d\n"
	    "[upstream u]\nserver = 127.0.0.1:1\nretries = 2\n");
	char *text = brief(config), *from = strstr(text, "\n[listener a]");

	ck_assert_ptr_nonnull(from);
	ck_assert_str_eq(from,
	    "\n[listener a]\nlisten = *:0\nmode = forward\nupstream = u\n"
	    "allow = all\ntimeout = 9s\nlifetime = 24h\n"
	    /* No more than spelled otherwise. */
	    "tls = no\nupstream_tls = no\n"
	    "\n[upstream u]\nserver = 127.0.0.1:1\n");
	free(text);
	config_unref(config);
}
END_TEST

START_TEST(defaults_and_order_are_shown)
{
	struct config *config = support_config(
	    "[defaults]\ntimeout = 9s\n[listener a]\nlisten = :0\nmode = "
	    "echo\n");

	support_dump_has(config, "timeout = 9s");
	support_dump_has(config, "keep_alive = 60s");
	support_dump_has(config, "half_close_timeout = 5m");
	support_dump_has(config, "buffer = 64k");
	support_dump_has(config, "# unix_mode = 0660");
	support_dump_has(config, "# greeting: none");
	support_dump_has(config, "log_level = info");
	config_unref(config);
	config = support_config("[listener a]\nlisten = :0\nmode = echo\n"
				"deny = 1.2.3.4\nallow = all\n");
	support_dump_has(config, "deny = 1.2.3.4\nallow = all");
	config_unref(config);
}
END_TEST

/* A greeting of any bytes comes back from the dump. */
static void
check_greeting(const char *bytes, size_t length)
{
	struct strbuf text = STRBUF_NULL;
	struct config *config;
	const char *line, *end;

	strbuf_text(&text, "[listener a]\nlisten = :0\nmode = echo\n");
	value_write("greeting", bytes, length, &text);
	for (line = text.data; *line != '\0'; line = end + 1) {
		end = strchr(line, '\n');
		ck_assert_uint_le((size_t)(end - line), 190);
	}
	config = support_config(text.data);
	ck_assert_uint_eq(config->listeners[0]->greeting_length, length);
	if (length > 0)
		ck_assert_mem_eq(config->listeners[0]->greeting, bytes, length);
	config_unref(config);
	strbuf_free(&text);
}

START_TEST(any_bytes_come_back)
{
	static const char letters[] = "  \\\\\"$${{};#\n\r\t a\x80\xc3\xa9=[]";
	char bytes[700];
	size_t i, j, length;

	srandom(7);
	for (i = 0; i < 400; i++) {
		length = (size_t)random() % sizeof(bytes);
		for (j = 0; j < length; j++)
			bytes[j] =
			    i % 2 == 0
				? (char)random()
				: letters[(size_t)random() % sizeof(letters)];
		check_greeting(bytes, length);
	}
	memset(bytes, ' ', sizeof(bytes));
	check_greeting(bytes, sizeof(bytes));
	memset(bytes, '\x80', sizeof(bytes));
	check_greeting(bytes, sizeof(bytes));
	memset(bytes, '\\', sizeof(bytes));
	check_greeting(bytes, sizeof(bytes));
	check_greeting("", 0);
}
END_TEST

START_TEST(a_full_disk_is_an_error)
{
	struct config *config = support_config("");
	FILE *out = fopen("/dev/full", "w");

	ck_assert_ptr_nonnull(out);
	ck_assert_int_eq(config_dump(config, out), -1);
	ck_assert_int_eq(errno, ENOSPC);
	fclose(out);
	config_unref(config);
}
END_TEST

static Suite *
dump_suite(void)
{
	Suite *suite = suite_create("config/dump");
	TCase *tcase = tcase_create("dump");

	tcase_add_test(tcase, the_dump_is_the_same_configuration);
	tcase_add_test(tcase, the_brief_one_has_no_defaults);
	tcase_add_test(tcase, defaults_and_order_are_shown);
	tcase_add_test(tcase, any_bytes_come_back);
	tcase_add_test(tcase, a_full_disk_is_an_error);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	return support_run(dump_suite());
}
