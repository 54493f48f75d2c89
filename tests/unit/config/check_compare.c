/* Unit tests of config/compare: what differs, and how far a reload can go. */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "config/compare.h"
#include "support.h"
#include "util/strbuf.h"

/* All changes as text, a line a section that is not kept, or a key. */
static char *
compare(const char *old_text, const char *new_text)
{
	struct config *old = support_config(old_text);
	struct config *fresh = support_config(new_text);
	struct config_changes *changes = NULL;
	struct strbuf text = STRBUF_NULL;
	const struct config_key_change *key;
	const struct config_change *c;
	char *ret;
	size_t i, j;

	ck_assert_int_eq(config_compare(old, fresh, &changes), 0);
	for (i = 0; i < changes->count; i++) {
		c = &changes->rows[i];
		if (c->kind == CONFIG_KEPT)
			continue;
		strbuf_format(&text, "%s %s%s\n",
		    config_change_kind_text(c->kind), c->name ? c->name : "-",
		    c->listens ? " listens" : "");
		for (j = 0; j < c->key_count; j++) {
			key = &c->keys[j];
			strbuf_format(&text, " %s %s: %s -> %s (%s)\n",
			    config_effect_text(key->effect), key->key,
			    key->before ? key->before : "none",
			    key->after ? key->after : "none", key->origin);
		}
	}
	strbuf_format(&text, "%zu %zu %zu %zu %d %d", changes->kept,
	    changes->added, changes->removed, changes->changed, changes->rebind,
	    changes->restart);
	config_changes_free(changes);
	config_unref(old);
	config_unref(fresh);
	ret = strbuf_take(&text);
	ck_assert_ptr_nonnull(ret);
	return ret;
}

static void
differs(const char *old, const char *fresh, const char *want)
{
	char *found = compare(old, fresh);

	ck_assert_str_eq(found, want);
	free(found);
}

#define L(name) "[listener " name "]\nlisten = :0\nmode = echo\n"

START_TEST(what_is_written_otherwise_is_the_same)
{
	differs("", "", "0 0 0 0 0 0");
	differs("[weir]\nworkers = 1\n" L("a") "timeout = 60s\n[upstream u]\n"
					       "server = 127.0.0.1:1\n",
	    "# other\n[defaults]\ntimeout = 1m\n" L(
		"a") "[weir]\n"
		     "[upstream u]\nserver = '127.0.0.1:1' weight=1\n",
	    "2 0 0 0 0 0");
	/* The default, where it is written. */
	differs(
	    "", "[weir]\ncontrol = /run/weir/control.sock\n", "0 0 0 0 0 0");
}
END_TEST

START_TEST(sections_come_and_go)
{
	differs(
	    L("a") L("b"), L("b") L("c"), "added c\nremoved a\n1 1 1 0 0 0");
	differs("[upstream u]\nserver = a:1\n", "[upstream v]\nserver = a:1\n",
	    "added v\nremoved u\n0 1 1 0 0 0");
}
END_TEST

START_TEST(keys_tell_both_values_and_where_the_new_one_stands)
{
	differs("[weir]\nlog_level = warn\n" L("a"),
	    "[weir]\nworkers = auto\n" L(
		"a") "greeting = hi\\n\nfreebind = yes\n",
	    "changed -\n"
	    " live workers: 1 -> auto (t:2)\n"
	    " live log_level: warn -> info (default)\n"
	    "changed a\n"
	    " live greeting: none -> hi\\n (t:6)\n"
	    " rebind freebind: no -> yes (t:7)\n"
	    "0 0 0 1 1 0");
	differs("", "[weir]\npid_file = /x\ncontrol = off\n",
	    "changed -\n"
	    " restart pid_file: none -> /x (t:2)\n"
	    " restart control: /run/weir/control.sock -> off (t:3)\n"
	    "0 0 0 0 0 1");
}
END_TEST

START_TEST(lists_are_compared_in_their_order)
{
	differs(L("a") "allow = 10.0.0.0/8\ndeny = all\n",
	    L("a") "deny = all\nallow = 10.0.0.0/8\n",
	    "changed a\n live allow: allow 10.0.0.0/8, deny all -> deny all, allow "
	    "10.0.0.0/8 (t:4)\n0 0 0 1 0 0");
}
END_TEST

START_TEST(other_addresses_are_listened_on)
{
	differs(L("a"), L("a") "listen = 127.0.0.1:0\n",
	    "changed a listens\n"
	    " live listen: *:0 -> *:0, 127.0.0.1:0 (t:2)\n"
	    "0 0 0 1 0 0");
}
END_TEST

/* Keys of a socket file count where there is one. */
START_TEST(keys_without_effect_are_no_change)
{
	differs(L("a") "tls_min_version = 1.3\n", L("a") "unix_mode = 600\n",
	    "1 0 0 0 0 0");
	differs("[listener a]\nlisten = /a\nmode = echo\n",
	    "[listener a]\nlisten = /a\nmode = echo\nunix_mode = 600\n",
	    "changed a\n rebind unix_mode: 0660 -> 0600 (t:4)\n0 0 0 1 1 0");
}
END_TEST

#define F "[listener a]\nlisten = :0\nmode = forward\n"

START_TEST(an_implicit_upstream_is_a_row_but_not_counted)
{
	differs(F "upstream = a:1\n", F "upstream = b:1\n",
	    "changed a\n"
	    " live upstream: a:1 -> b:1 (t:4)\n"
	    "changed a\n"
	    " live server: a:1 -> b:1 (default)\n"
	    "0 0 0 1 0 0");
	/* The same name, and another meaning. */
	differs(F "upstream = a:1\n[upstream b]\nserver = b:1\n",
	    F "upstream = b\n[upstream b]\nserver = b:1\n",
	    "changed a\n"
	    " live upstream: a:1 -> b (t:4)\n"
	    "removed a\n"
	    "1 0 0 1 0 0");
}
END_TEST

START_TEST(servers_are_the_same_or_not)
{
	static const struct {
		const char *server;
		bool equal;
	} rows[] = {
	    {"a:1 weight=1", true},
	    {"a:1 max_fails=1 fail_timeout=10s", true},
	    {"a:1 name=a:1", true},
	    {"a:2", false},
	    {"a:1 weight=2", false},
	    {"a:1 backup", false},
	    {"a:1 down", false},
	    {"a:1 max_connections=1", false},
	    {"a:1 max_fails=2", false},
	    {"a:1 fail_timeout=1s", false},
	    {"a:1 name=x", false},
	};
	struct config *one = support_config("[upstream u]\nserver = a:1\n");
	struct strbuf text = STRBUF_NULL;
	struct config *other;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		strbuf_reset(&text);
		strbuf_format(
		    &text, "[upstream u]\nserver = %s\n", rows[i].server);
		other = support_config(strbuf_get(&text));
		ck_assert_msg(
		    config_server_equal(&one->upstreams[0]->servers[0],
			&other->upstreams[0]->servers[0]) == rows[i].equal,
		    "%s", rows[i].server);
		config_unref(other);
	}
	config_unref(one);
	strbuf_free(&text);
}
END_TEST

/* A thousand listeners, of which one is other. */
START_TEST(one_of_many_is_found)
{
	struct strbuf old = STRBUF_NULL, fresh = STRBUF_NULL;
	unsigned i;

	for (i = 0; i < 1000; i++) {
		strbuf_format(&old, L("l%u"), i);
		strbuf_format(&fresh, L("l%u"), 999 - i);
	}
	strbuf_text(&fresh, "timeout = 1s\n");
	differs(strbuf_get(&old), strbuf_get(&fresh),
	    "changed l0\n live timeout: off -> 1s (t:3001)\n999 0 0 1 0 0");
	strbuf_free(&old);
	strbuf_free(&fresh);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config/compare");
	TCase *tcase = tcase_create("compare");

	tcase_add_test(tcase, what_is_written_otherwise_is_the_same);
	tcase_add_test(tcase, sections_come_and_go);
	tcase_add_test(
	    tcase, keys_tell_both_values_and_where_the_new_one_stands);
	tcase_add_test(tcase, lists_are_compared_in_their_order);
	tcase_add_test(tcase, other_addresses_are_listened_on);
	tcase_add_test(tcase, keys_without_effect_are_no_change);
	tcase_add_test(tcase, an_implicit_upstream_is_a_row_but_not_counted);
	tcase_add_test(tcase, servers_are_the_same_or_not);
	tcase_add_test(tcase, one_of_many_is_found);
	suite_add_tcase(suite, tcase);
	return support_run(suite);
}
