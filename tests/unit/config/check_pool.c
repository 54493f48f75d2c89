/* Unit tests of config/pool: which upstream a listener forwards to. */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"
#include "util/strbuf.h"

#define F "listen = :0\nmode = forward\n"

START_TEST(addresses_of_a_listener_are_an_upstream)
{
	struct config *config =
	    support_config("[listener e]\nlisten = :0\nmode = echo\n"
			   "[listener a]\n" F "upstream = 127.0.0.1:1\n"
			   "upstream = /x\nupstream = srv:_a._tcp.b\n");
	struct config_upstream *upstream = config->listeners[1]->pool;

	ck_assert_uint_eq(config->upstream_count, 1);
	ck_assert_ptr_null(config->listeners[0]->pool);
	ck_assert_ptr_eq(upstream, config->upstreams[0]);
	ck_assert_ptr_eq(upstream, config_find_upstream(config, "a"));
	ck_assert_ptr_null(config_find_upstream(config, "e"));
	ck_assert(upstream->implicit && upstream->ordered && upstream->used);
	ck_assert_int_eq(upstream->balance, CONFIG_ORDERED);
	ck_assert_uint_eq(upstream->server_count, 3);
	ck_assert_str_eq(upstream->servers[0].name, "127.0.0.1:1");
	ck_assert_int_eq(
	    upstream->servers[1].endpoint.kind, WEIR_ENDPOINT_UNIX);
	ck_assert_int_eq(upstream->servers[2].endpoint.kind, WEIR_ENDPOINT_SRV);
	ck_assert_uint_eq(upstream->servers[2].weight, 1);
	config_unref(config);
}
END_TEST

START_TEST(every_address_of_a_listener_is_tried)
{
	struct config *config =
	    support_config("[listener a]\n" F "upstream = a:1\nupstream = a:2\n"
			   "upstream = a:3\nupstream = a:4\n"
			   "upstream = a:5\n"
			   "[listener b]\n" F "upstream = a:1\n");

	ck_assert_uint_eq(config->upstreams[0]->retries, 4);
	ck_assert_uint_eq(config->upstreams[1]->retries, 2);
	config_unref(config);
}
END_TEST

START_TEST(a_name_is_that_of_a_section)
{
	struct config *config =
	    support_config("[upstream app]\nserver = a:1\n"
			   "[listener a]\n" F "upstream = app\n"
			   "[listener b]\n" F "upstream = app\nsni = c.d app\n"
			   "[upstream late]\n"
			   "server = b:1\n");

	ck_assert_uint_eq(config->upstream_count, 2);
	ck_assert_ptr_eq(config->listeners[0]->pool, config->upstreams[0]);
	ck_assert_ptr_eq(config->listeners[1]->pool, config->upstreams[0]);
	ck_assert_ptr_eq(
	    config->listeners[1]->routes[0].pool, config->upstreams[0]);
	ck_assert(config->upstreams[0]->used && !config->upstreams[1]->used);
	ck_assert(!config->upstreams[0]->implicit);
	ck_assert_uint_eq(config->upstreams[1]->index, 1);
	config_unref(config);
}
END_TEST

START_TEST(names_of_implicit_upstreams_are_nobody_elses)
{
	struct config *config = support_config(
	    "[upstream a]\nserver = a:1\n[listener a]\n" F "upstream = b:1\n"
	    "sni = x.y c:1\nsni = x.z c:1\nalpn = h2 d:1\n[listener b]\n" F
	    "upstream = a\nsni = x.y c:1\n");
	const struct config_listener *a = config->listeners[0];
	const struct config_listener *b = config->listeners[1];

	ck_assert_str_eq(a->pool->name, "a/upstream");
	ck_assert_str_eq(b->pool->name, "a");
	ck_assert_str_eq(a->routes[0].pool->name, "a/c:1");
	ck_assert_ptr_eq(a->routes[1].pool, a->routes[0].pool);
	ck_assert_str_eq(a->routes[2].pool->name, "a/d:1");
	ck_assert_str_eq(b->routes[0].pool->name, "b/c:1");
	ck_assert_uint_eq(config->upstream_count, 5);
	config_unref(config);
}
END_TEST

START_TEST(a_name_that_is_not_there_is_refused)
{
	support_refuses("[listener a]\n" F "upstream = ap\nsni = a.b zzz\n"
			"[upstream app]\nserver = a:1\n",
	    "t:4: upstream: there is no [upstream ap] (did you mean "
	    "\"app\"?)\n"
	    "t:5: sni: \"zzz\" is neither the NAME of an [upstream] nor an "
	    "ADDRESS, which has a port (HOST:PORT)\n");
	/* An address and names are not mixed, nor two names. */
	support_refuses("[listener a]\n" F "upstream = app\nupstream = b:1\n"
			"[upstream app]\nserver = a:1\n",
	    "t:4: upstream: \"app\" is the NAME of an [upstream], which "
	    "stands alone (write the others as servers of it)\n");
	support_refuses("[listener a]\n" F "upstream = app\nupstream = two\n"
			"[upstream app]\nserver = a:1\n"
			"[upstream two]\nserver = a:1\n",
	    "t:5: upstream: \"two\" is the NAME of an [upstream], which "
	    "stands alone (write the others as servers of it)\n");
	support_refuses("[upstream]\n[upstream a b]\n[upstream a]\n"
			"server = a:1\n[upstream a]\n[upsteam c]\n",
	    "t:1: [upstream] has no name (write [upstream NAME])\n"
	    "t:2: \"a b\" cannot be the name of an upstream: it takes "
	    "letters, digits, _ . and -\n"
	    "t:5: [upstream a] stands already at t:3\n"
	    "t:6: unknown section [upsteam c] (did you mean [upstream c]?)\n");
}
END_TEST

/* Many of one kind take no time that grows with their square. */
START_TEST(many_servers_and_routes_are_named)
{
	struct strbuf text = STRBUF_NULL;
	struct config *config;
	unsigned i;

	strbuf_text(&text, "[upstream u]\n");
	for (i = 0; i < 20000; i++)
		strbuf_text(&text, "server = a:1\n");
	strbuf_text(&text, "[listener a]\n" F);
	for (i = 0; i < 20000; i++)
		strbuf_format(&text, "sni = a.b c%u:1\n", i % 200);
	config = support_config(strbuf_get(&text));
	strbuf_free(&text);
	ck_assert_str_eq(
	    config->upstreams[0]->servers[19999].name, "a:1#20000");
	ck_assert_uint_eq(config->upstream_count, 201);
	config_unref(config);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config/pool");
	TCase *implicit = tcase_create("implicit");
	TCase *names = tcase_create("names");

	tcase_add_test(implicit, addresses_of_a_listener_are_an_upstream);
	tcase_add_test(implicit, every_address_of_a_listener_is_tried);
	tcase_add_test(implicit, names_of_implicit_upstreams_are_nobody_elses);
	tcase_add_test(names, a_name_is_that_of_a_section);
	tcase_add_test(names, a_name_that_is_not_there_is_refused);
	tcase_add_test(names, many_servers_and_routes_are_named);
	suite_add_tcase(suite, implicit);
	suite_add_tcase(suite, names);
	return support_run(suite);
}
