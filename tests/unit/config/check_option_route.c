/* Unit tests of config/option_route, option_tls and the rows of accept_proxy:
 * where a listener forwards to, and whom it trusts. */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"
#include "util/strbuf.h"

#define F "[listener a]\nlisten = :0\nmode = forward\n"

static void
accepts(const char *line, const char *dumped)
{
	struct strbuf text = STRBUF_NULL;
	struct config *config;

	strbuf_format(&text, F "upstream = x:1\n%s\n", line);
	config = support_config(strbuf_get(&text));
	support_dump_has(config, dumped);
	config_unref(config);
	strbuf_free(&text);
}

static void
refuses(const char *line, const char *problem)
{
	struct strbuf text = STRBUF_NULL, expected = STRBUF_NULL;

	strbuf_format(&text, F "upstream = x:1\n%s\n", line);
	strbuf_format(&expected, "t:5: %s\n", problem);
	support_refuses(strbuf_get(&text), strbuf_get(&expected));
	strbuf_free(&text);
	strbuf_free(&expected);
}

START_TEST(routes_are_one_list_in_the_order_of_the_file)
{
	struct config *config = support_config(
	    F "sni = WWW.Example.ORG. app\nalpn = h2 127.0.0.1:1\n"
	      "sni = *.example.org   unix:/x\n"
	      "[upstream app]\nserver = b:1\n");
	const struct config_listener *a = config->listeners[0];

	ck_assert_uint_eq(a->route_count, 3);
	ck_assert_ptr_null(a->pool);
	ck_assert_int_eq(a->routes[0].kind, CONFIG_ROUTE_SNI);
	ck_assert_str_eq(a->routes[0].pattern, "www.example.org");
	ck_assert_str_eq(a->routes[0].pool->name, "app");
	ck_assert_int_eq(a->routes[1].kind, CONFIG_ROUTE_ALPN);
	ck_assert_str_eq(a->routes[1].pattern, "h2");
	ck_assert_str_eq(a->routes[1].pool->name, "a/127.0.0.1:1");
	ck_assert_str_eq(a->routes[2].pattern, "*.example.org");
	ck_assert_uint_eq(a->routes[2].origin.line, 6);
	support_dump_has(config, "sni = www.example.org app\n"
				 "alpn = h2 127.0.0.1:1\n"
				 "sni = *.example.org unix:/x");
	config_unref(config);
}
END_TEST

START_TEST(routes_say_what_is_wrong)
{
	refuses("sni = www.example.org",
	    "sni: \"www.example.org\" is not a server name and, after a blank, "
	    "an ADDRESS or the NAME of an [upstream]");
	refuses("alpn = h2 a:1 b:1",
	    "alpn: \"h2 a:1 b:1\" is not a protocol and, after a blank, an "
	    "ADDRESS or the NAME of an [upstream]");
	refuses("sni = * a:1",
	    "sni: \"* a:1\" stands for any name: that is what upstream = is "
	    "for");
#define NO_NAME(value)                                                         \
	refuses("sni = " value " a:1",                                         \
	    "sni: \"" value " a:1\" does not begin with a server name "        \
	    "(www.example.org, or *.example.org for all below it)")
	NO_NAME("*x.org");
	NO_NAME("a.*.org");
	NO_NAME("*.");
	NO_NAME("127.0.0.1");
	NO_NAME("::1");
	NO_NAME("a_b..c");
	NO_NAME("*.*.a");
#undef NO_NAME
	refuses("sni = a.b :1",
	    "sni: \":1\" has no host; any address is only for listen "
	    "(127.0.0.1 is this machine)");
	refuses("alpn = h2 nothing",
	    "alpn: \"nothing\" is neither the NAME of an [upstream] nor an "
	    "ADDRESS, which has a port (HOST:PORT)");
}
END_TEST

START_TEST(networks_that_send_a_header)
{
	struct config *config =
	    support_config(F "upstream = x:1\naccept_proxy = 10.0.0.0/8\n"
			     "accept_proxy = ::1\naccept_proxy = all\n");
	const struct config_listener *a = config->listeners[0];

	ck_assert_uint_eq(a->accept_proxy_count, 3);
	ck_assert_uint_eq(a->acl_count, 0);
	ck_assert_int_eq(a->accept_proxy[0].kind, CONFIG_ACL_CIDR);
	ck_assert_uint_eq(a->accept_proxy[0].prefix, 8);
	ck_assert_uint_eq(a->accept_proxy[1].prefix, 128);
	ck_assert_int_eq(a->accept_proxy[2].kind, CONFIG_ACL_ALL);
	config_unref(config);
	accepts("accept_proxy = no", "accept_proxy = no");
	refuses("accept_proxy = yes",
	    "accept_proxy: \"yes\" is no network (10.0.0.0/8, 2001:db8::/32, "
	    "an address, all or no)");
	refuses("accept_proxy = user:root",
	    "accept_proxy: \"user:root\" is no network (10.0.0.0/8, "
	    "2001:db8::/32, an address, all or no)");
	refuses("accept_proxy = no\naccept_proxy = all",
	    "accept_proxy: \"no\" stands alone, and listener a has others");
	/* The listener's own replaces that of [defaults]. */
	config = support_config("[defaults]\naccept_proxy = all\n" F
				"upstream = x:1\naccept_proxy = no\n");
	ck_assert_uint_eq(config->listeners[0]->accept_proxy_count, 0);
	config_unref(config);
}
END_TEST

START_TEST(certificates_and_keys_are_pairs_by_their_order)
{
	struct config *config =
	    support_config(F "upstream = x:1\ntls = on\ntls_key = /k1\n"
			     "tls_certificate = /c1\ntls_certificate = /c2\n"
			     "tls_key = /k2\n");
	const struct config_tls *tls = &config->listeners[0]->tls;

	ck_assert(tls->on && tls->tickets);
	ck_assert_uint_eq(tls->pair_count, 2);
	ck_assert_str_eq(tls->pairs[0].certificate, "/c1");
	ck_assert_str_eq(tls->pairs[0].key, "/k1");
	ck_assert_uint_eq(tls->pairs[0].key_origin.line, 6);
	ck_assert_str_eq(tls->pairs[1].certificate, "/c2");
	ck_assert_str_eq(tls->pairs[1].key, "/k2");
	ck_assert_uint_eq(tls->pairs[1].certificate_origin.line, 8);
	ck_assert_uint_eq(tls->session_cache, 20480);
	ck_assert_int_eq(tls->min_version, CONFIG_TLS_1_2);
	ck_assert_int_eq(tls->max_version, CONFIG_TLS_DEFAULT);
	ck_assert_int_eq(tls->verify, CONFIG_VERIFY_OFF);
	tls = &config->listeners[0]->upstream_tls;
	ck_assert(!tls->on && tls->sni && tls->session_reuse);
	ck_assert_int_eq(tls->verify, CONFIG_VERIFY_REQUIRED);
	support_dump_has(config, "tls_certificate = /c1\n"
				 "tls_certificate = /c2\n"
				 "tls_key = /k1\ntls_key = /k2");
	config_unref(config);
}
END_TEST

#define T  "tls = on\ntls_certificate = /c\n"
#define TU "upstream_tls = on\n"

START_TEST(values_of_tls_have_a_form)
{
	accepts(T "tls_alpn = h2,http/1.1", "tls_alpn = h2,http/1.1");
	accepts(T "tls_session_cache = 0", "tls_session_cache = 0");
	accepts(T "tls_tickets = off", "tls_tickets = no");
	accepts(TU "upstream_tls_verify = off", "upstream_tls_verify = no");
	accepts(TU "upstream_tls_verify = true", "upstream_tls_verify = yes");
	accepts(TU "upstream_tls_name = ::1", "upstream_tls_name = ::1");
	accepts(TU "upstream_tls_name = a.b", "upstream_tls_name = a.b");
	refuses("tls_alpn = h2, http/1.1",
	    "tls_alpn: \"h2, http/1.1\" is no list of protocols (try "
	    "h2,http/1.1)");
	refuses("tls_alpn = h2,",
	    "tls_alpn: \"h2,\" is no list of protocols (try h2,http/1.1)");
	refuses("tls_certificate = \"\"", "tls_certificate: \"\" is no path");
	refuses("tls_key = \"\\x01\"",
	    "tls_key: \"\\x01\" holds a control character");
	refuses("tls_min_version = 1.4",
	    "tls_min_version: \"1.4\" is not known (1.0, 1.1, 1.2 or 1.3)");
	refuses("tls_client_verify = yes",
	    "tls_client_verify: \"yes\" is not known (off, optional or "
	    "required)");
	refuses("upstream_tls_name = a:1",
	    "upstream_tls_name: \"a:1\" is neither a host name nor an IP "
	    "address");
	support_refuses(F "upstream = x:1\nupstream_tls_certificate = /a\n"
			  "upstream_tls_certificate = /b\n",
	    "t:6: upstream_tls_certificate: given twice (first at t:5)\n");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config/option_route");
	TCase *tcase = tcase_create("route");

	tcase_add_test(tcase, routes_are_one_list_in_the_order_of_the_file);
	tcase_add_test(tcase, routes_say_what_is_wrong);
	tcase_add_test(tcase, networks_that_send_a_header);
	tcase_add_test(tcase, certificates_and_keys_are_pairs_by_their_order);
	tcase_add_test(tcase, values_of_tls_have_a_form);
	suite_add_tcase(suite, tcase);
	return support_run(suite);
}
