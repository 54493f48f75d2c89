/* Unit tests of config/validate_tls and validate_forward: what keys of TLS, of
 * PROXY and of upstreams need of one another. */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

#define E "[listener a]\nlisten = :0\nmode = echo\n"
#define F "[listener a]\nlisten = :0\nmode = forward\nupstream = b:1\n"
#define U "[upstream u]\nserver = b:1\n"

/* What is warned of, and nothing refused. */
static void
warns(const char *text, const char *warning)
{
	struct config *config = support_config(text);

	ck_assert_uint_eq(config->warning_count, 1);
	ck_assert_str_eq(config->warnings[0], warning);
	config_unref(config);
}

static void
is_fine(const char *text)
{
	struct config *config = support_config(text);

	ck_assert_msg(config->warning_count == 0, "%s",
	    config->warning_count ? config->warnings[0] : "");
	config_unref(config);
}

START_TEST(tls_needs_a_certificate)
{
	support_refuses(E "tls = on\n",
	    "t:4: tls: listener a has no certificate (write tls_certificate = "
	    "PATH and tls_key = PATH)\n");
	support_refuses("[defaults]\ntls = on\n" E,
	    "t:3: tls: listener a has no certificate (write tls_certificate = "
	    "PATH and tls_key = PATH)\n");
	is_fine(E "tls = on\ntls_certificate = /c\n");
	is_fine("[defaults]\ntls_certificate = /c\ntls_key = /k\n" E);
}
END_TEST

START_TEST(keys_are_as_many_as_certificates_or_none)
{
	support_refuses(E
	    "tls = on\ntls_certificate = /a\ntls_certificate = /b\n"
	    "tls_key = /c\n",
	    "t:7: tls_key: listener a has 1 of it for 2 of tls_certificate "
	    "(they are pairs, by their order; without any, each key is in its "
	    "certificate's file)\n");
	support_refuses(F "upstream_tls = on\nupstream_tls_key = /c\n",
	    "t:6: upstream_tls_key: listener a has 1 of it for 0 of "
	    "upstream_tls_certificate (they are pairs, by their order; without "
	    "any, each key is in its certificate's file)\n");
	is_fine(E "tls = on\ntls_certificate = /a\ntls_certificate = /b\n");
}
END_TEST

START_TEST(the_highest_version_is_not_below_the_lowest)
{
	support_refuses(E
	    "tls = on\ntls_certificate = /a\ntls_max_version = 1.1\n",
	    "t:6: tls_max_version: is below tls_min_version, so listener a "
	    "would speak no version of TLS\n");
	support_refuses(F "upstream_tls = on\nupstream_tls_min_version = 1.3\n"
			  "upstream_tls_max_version = 1.2\n",
	    "t:7: upstream_tls_max_version: is below "
	    "upstream_tls_min_version, so listener a would speak no version of "
	    "TLS\n");
	is_fine(E "tls = on\ntls_certificate = /a\ntls_min_version = 1.3\n"
		  "tls_max_version = 1.3\n");
}
END_TEST

START_TEST(clients_are_verified_by_someone)
{
	support_refuses(E
	    "tls = on\ntls_certificate = /a\ntls_client_verify = required\n",
	    "t:6: tls_client_verify: listener a has no tls_client_ca to verify "
	    "clients by (write tls_client_ca = PATH)\n");
	warns(E "tls = on\ntls_certificate = /a\ntls_client_ca = /b\n",
	    "t:6: tls_client_ca: has no effect, as listener a asks for no "
	    "certificate (write tls_client_verify = optional or required)");
}
END_TEST

START_TEST(keys_without_tls_are_warned_of)
{
	warns(E "tls_alpn = h2\n",
	    "t:4: tls_alpn: has no effect, as listener a has no tls = on");
	warns(F "upstream_tls_sni = no\n",
	    "t:5: upstream_tls_sni: has no effect, as listener a has no "
	    "upstream_tls = on");
	is_fine("[defaults]\ntls_alpn = h2\nupstream_tls_sni = no\n" F);
}
END_TEST

START_TEST(tls_that_ends_here_is_not_looked_into)
{
	support_refuses(F "sni = a.b c:1\ntls = on\ntls_certificate = /c\n",
	    "t:6: tls: listener a also has sni, which looks at a TLS that is "
	    "not ended here (leave one of them out)\n");
	support_refuses(F "alpn = h2 c:1\ntls = on\ntls_certificate = /c\n",
	    "t:6: tls: listener a also has alpn, which looks at a TLS that is "
	    "not ended here (leave one of them out)\n");
}
END_TEST

START_TEST(keys_of_forwarding_need_its_mode)
{
	support_refuses(E "sni = a.b c:1\n",
	    "t:4: sni: listener a does not have mode = forward, which alone "
	    "takes it\n");
	support_refuses(E "send_proxy = v1\nupstream_tls = on\n",
	    "t:4: send_proxy: listener a does not have mode = forward, which "
	    "alone takes it\n"
	    "t:5: upstream_tls: listener a does not have mode = forward, which "
	    "alone takes it\n");
	warns(E "when_down = close\n",
	    "t:4: when_down: has no effect, as listener a does not have mode = "
	    "forward");
	is_fine(E "send_proxy = off\nupstream_tls = off\n");
	is_fine("[defaults]\nsend_proxy = v2\nupstream_tls = on\n"
		"when_down = reset\nsni = a.b c:1\n" E);
}
END_TEST

START_TEST(keys_of_forwarding_are_off_in_other_modes)
{
	struct config *config =
	    support_config("[defaults]\nsend_proxy = v2\nupstream_tls = on\n"
			   "when_down = reset\nsni = a.b c:1\n" E);
	const struct config_listener *a = config->listeners[0];

	ck_assert_int_eq(a->send_proxy, CONFIG_PROXY_OFF);
	ck_assert_int_eq(a->when_down, CONFIG_DOWN_ACCEPT);
	ck_assert(!a->upstream_tls.on);
	ck_assert_uint_eq(a->route_count, 0);
	ck_assert_uint_eq(config->upstream_count, 0);
	config_unref(config);
}
END_TEST

START_TEST(a_listener_with_routes_needs_no_upstream)
{
	is_fine("[listener a]\nlisten = :0\nmode = forward\nsni = a.b c:1\n");
	is_fine("[defaults]\nsni = a.b c:1\n"
		"[listener a]\nlisten = :0\nmode = forward\n");
	support_refuses("[listener a]\nlisten = :0\nmode = forward\n",
	    "t:1: listener a has mode = forward but no upstream (write "
	    "upstream = ADDRESS)\n");
}
END_TEST

START_TEST(a_certificate_is_verified_by_a_name)
{
	support_refuses("[listener a]\nlisten = :0\nmode = forward\n"
			"upstream = u\nupstream_tls = on\n" U "server = /x\n",
	    "t:5: upstream_tls: the certificate of the upstream /x can be "
	    "verified by no host's name (write upstream_tls_name = NAME, or "
	    "upstream_tls_verify = no)\n");
	is_fine("[listener a]\nlisten = :0\nmode = forward\n"
		"upstream = /x\nupstream_tls = on\nupstream_tls_name = x\n");
	is_fine("[listener a]\nlisten = :0\nmode = forward\n"
		"upstream = /x\nupstream_tls = on\nupstream_tls_verify = no\n");
}
END_TEST

START_TEST(a_local_address_goes_with_all_servers)
{
	support_refuses("[listener a]\nlisten = :0\nmode = forward\n"
			"upstream = u\nlocal_address = 127.0.0.1\n"
			"sni = a.b unix:/y\n[upstream u]\nserver = [::1]:1\n",
	    "t:5: local_address: is IPv4, but the upstream [::1]:1 is IPv6\n"
	    "t:5: local_address: does not go with the upstream unix:/y, which "
	    "is a unix socket\n");
}
END_TEST

START_TEST(upstreams_have_servers_and_are_used)
{
	support_refuses("[upstream u]\nbalance = random\n",
	    "t:1: upstream u has no server (write server = ADDRESS)\n");
	warns(E U, "t:4: upstream u: no listener uses it");
	warns("[listener a]\nlisten = :0\nmode = forward\nupstream = u\n" U
	      "queue = 5\n",
	    "t:7: queue: has no effect, as no server of upstream u has a "
	    "max_connections");
	is_fine("[listener a]\nlisten = :0\nmode = forward\nupstream = u\n" U
		"server = c:1 max_connections=1\nqueue = 5\n");
	/* What is refused is not also missing. */
	support_refuses("[upstream u]\nserver = x\n",
	    "t:2: server: \"x\" is not an address: the port is missing; write "
	    "HOST:PORT\n");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config/validate_tls");
	TCase *tls = tcase_create("tls");
	TCase *forward = tcase_create("forward");

	tcase_add_test(tls, tls_needs_a_certificate);
	tcase_add_test(tls, keys_are_as_many_as_certificates_or_none);
	tcase_add_test(tls, the_highest_version_is_not_below_the_lowest);
	tcase_add_test(tls, clients_are_verified_by_someone);
	tcase_add_test(tls, keys_without_tls_are_warned_of);
	tcase_add_test(tls, tls_that_ends_here_is_not_looked_into);
	tcase_add_test(forward, keys_of_forwarding_need_its_mode);
	tcase_add_test(forward, keys_of_forwarding_are_off_in_other_modes);
	tcase_add_test(forward, a_listener_with_routes_needs_no_upstream);
	tcase_add_test(forward, a_certificate_is_verified_by_a_name);
	tcase_add_test(forward, a_local_address_goes_with_all_servers);
	tcase_add_test(forward, upstreams_have_servers_and_are_used);
	suite_add_tcase(suite, tls);
	suite_add_tcase(suite, forward);
	return support_run(suite);
}
