/* Unit tests of config/validate: what keys need of one another. */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

START_TEST(forward_needs_an_upstream_and_pipe_a_target)
{
	support_refuses("[listener a]\nlisten = :0\nmode = forward\n"
			"[listener b]\nlisten = :0\nmode = pipe\n",
	    "t:1: listener a has mode = forward but no upstream (write upstream "
	    "= ADDRESS)\n"
	    "t:4: listener b has mode = pipe but no pipe (write pipe = "
	    "TARGET)\n");
}
END_TEST

START_TEST(keys_of_another_mode_are_refused)
{
	support_refuses(
	    "[listener a]\nlisten = :0\nmode = echo\nupstream = localhost:1\n"
	    "pipe = null\n",
	    "t:4: upstream: listener a does not have mode = forward, which "
	    "alone takes it\n"
	    "t:5: pipe: listener a does not have mode = pipe, which alone takes "
	    "it\n");
}
END_TEST

#define P "listen = :0\nmode = pipe\npipe = "

START_TEST(an_exclusive_port_is_nobody_elses)
{
	support_refuses("[listener a]\nlisten = :0\nmode = echo\n"
			"exclusive = yes\nreuse_port = yes\n",
	    "t:4: exclusive: listener a also has reuse_port = yes, which lets "
	    "others have its port (leave one of them out)\n");
}
END_TEST
START_TEST(peers_of_two_listeners_must_name_each_other)
{
	struct config *config = support_config(
	    "[listener a]\n" P "peer:b\n[listener b]\n" P "peer:a\n");

	ck_assert_str_eq(config->listeners[0]->target_text, "b");
	config_unref(config);
	support_refuses("[listener a]\n" P "peer:b\n[listener b]\n" P "peer\n",
	    "t:4: pipe: peer:b joins clients of both listeners, so listener b "
	    "must say so too (write mode = pipe and pipe = peer:a there)\n");
	support_refuses("[listener a]\n" P
			"peer:b\n[listener b]\nlisten = :0\nmode = "
			"echo\n",
	    "t:4: pipe: peer:b joins clients of both listeners, so listener b "
	    "must say so too (write mode = pipe and pipe = peer:a there)\n");
	support_refuses("[listener a]\n" P "peer:z\n",
	    "t:4: pipe: there is no listener z to take peers from\n");
	/* What is wrong there is told there. */
	support_refuses("[listener a]\n" P "peer:b\n[listener b]\n" P
			"pear:a\n",
	    "t:8: pipe: \"pear:a\" is not known (peer, peer:LISTENER, "
	    "exec:COMMAND, file:PATH, fifo:PATH, stdout or null)\n");
}
END_TEST

START_TEST(a_listener_that_names_itself_joins_its_own_clients)
{
	struct config *config = support_config("[listener a]\n" P "peer:a\n");

	ck_assert_ptr_null(config->listeners[0]->target_text);
	support_dump_has(config, "pipe = peer");
	config_unref(config);
}
END_TEST

#define F "[listener a]\nlisten = :0\nmode = forward\n"

START_TEST(the_local_address_must_reach_the_upstream)
{
	config_unref(support_config(
	    F "upstream = 1.2.3.4:1\nlocal_address = 127.0.0.1\n"));
	config_unref(support_config(
	    F "upstream = localhost:1\nlocal_address = ::1\nfamily = 6\n"));
	support_refuses(F "upstream = 1.2.3.4:1\nlocal_address = ::1\n",
	    "t:5: local_address: is IPv6, but the upstream 1.2.3.4:1 is IPv4\n");
	support_refuses(F "upstream = /tmp/x\nlocal_address = ::1\n",
	    "t:5: local_address: does not go with the upstream /tmp/x, which is "
	    "a unix socket\n");
	support_refuses(F
	    "upstream = localhost:1\nlocal_address = ::1\nfamily = 4\n",
	    "t:5: local_address: is IPv6, but family = 4\n");
}
END_TEST

static void
check_warning(const char *text, const char *warning)
{
	struct config *config = support_config(text);

	ck_assert_uint_eq(config->warning_count, warning ? 1 : 0);
	if (warning != NULL)
		ck_assert_str_eq(config->warnings[0], warning);
	config_unref(config);
}

START_TEST(what_has_no_effect_is_warned_of)
{
	check_warning(
	    "[listener a]\nlisten = :0\nmode = echo\nunix_mode = 600\n",
	    "t:4: unix_mode: has no effect, as listener a makes no socket file");
	check_warning(
	    "[listener a]\nlisten = unix:@a\nmode = echo\nunix_user = 0\n",
	    "t:4: unix_user: has no effect, as listener a makes no socket file");
	check_warning(
	    "[listener a]\nlisten = :0\nlisten = /tmp/a\nmode = echo\n"
	    "unix_mode = 600\n",
	    NULL);
	check_warning("[defaults]\nunix_mode = 600\n[listener a]\nlisten = :0\n"
		      "mode = echo\n",
	    NULL);
	check_warning("[listener a]\nlisten = :0\nmode = forward\n"
		      "upstream = u\n[upstream u]\nserver = 10.0.0.1:80\n"
		      "queue = 5\n",
	    "t:7: queue: has no effect, as no server of upstream u has a "
	    "max_connections");
	check_warning("[weir]\nlog = stderr\n",
	    "t: there is no listener, so nothing is served");
}
END_TEST

static Suite *
validate_suite(void)
{
	Suite *suite = suite_create("config/validate");
	TCase *tcase = tcase_create("validate");

	tcase_add_test(tcase, forward_needs_an_upstream_and_pipe_a_target);
	tcase_add_test(tcase, keys_of_another_mode_are_refused);
	tcase_add_test(tcase, an_exclusive_port_is_nobody_elses);
	tcase_add_test(tcase, peers_of_two_listeners_must_name_each_other);
	tcase_add_test(
	    tcase, a_listener_that_names_itself_joins_its_own_clients);
	tcase_add_test(tcase, the_local_address_must_reach_the_upstream);
	tcase_add_test(tcase, what_has_no_effect_is_warned_of);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	return support_run(validate_suite());
}
