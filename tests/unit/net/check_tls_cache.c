/* Sessions that processes share: kept, found, bounded; and one that dies. */
#include "config.h"

#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <check.h>
#include <openssl/ssl.h>

#include <weir/weir.h>

#include "net/tls_priv.h"

static struct weir_tls_cache *cache;
static struct weir_tls_context context;
static struct weir__tls tls;
static SSL *ssl;

static void
make_cache(size_t sessions)
{
	ck_assert_int_eq(weir_tls_cache_new(&cache, sessions), 0);
	context.ssl = SSL_CTX_new(TLS_method());
	ck_assert_ptr_nonnull(context.ssl);
	weir__tls_cache_use(&context, cache);
	tls.context = &context;
	ssl = SSL_new(context.ssl);
	ck_assert_ptr_nonnull(ssl);
	(void)SSL_set_app_data(ssl, &tls);
	(void)SSL_set_options(ssl, SSL_OP_NO_TICKET);
}

static void
tear_down(void)
{
	SSL_free(ssl);
	SSL_CTX_free(context.ssl);
	weir_tls_cache_unref(context.cache);
	weir_tls_cache_unref(cache);
}

static void
make_id(unsigned number, unsigned char id[32])
{
	unsigned i;

	memset(id, 0, 32);
	for (i = 0; i < 8; i++)
		number = number * 1664525U + 1013904223U + i,
		id[i] = (unsigned char)(number >> 24);
	memcpy(id + 8, &number, sizeof(number));
}

/* Of that number, begun so many seconds ago, with so much more in it. */
static SSL_SESSION *
make_session(unsigned number, long ago, size_t more)
{
	static const unsigned char key[48] = {1}, filling[8192];
	SSL_SESSION *session = SSL_SESSION_new();
	unsigned char id[32];

	ck_assert_ptr_nonnull(session);
	make_id(number, id);
	ck_assert_int_eq(SSL_SESSION_set1_id(session, id, sizeof(id)), 1);
	ck_assert_int_eq(
	    SSL_SESSION_set_protocol_version(session, TLS1_2_VERSION), 1);
	ck_assert_int_eq(SSL_SESSION_set_cipher(session,
			     sk_SSL_CIPHER_value(SSL_get_ciphers(ssl), 0)),
	    1);
	ck_assert_int_eq(
	    SSL_SESSION_set1_master_key(session, key, sizeof(key)), 1);
	ck_assert_int_eq(
	    SSL_SESSION_set1_ticket_appdata(session, filling, more), 1);
	(void)SSL_SESSION_set_time(session, (long)time(NULL) - ago);
	(void)SSL_SESSION_set_timeout(session, 300);
	return session;
}

static void
keep(unsigned number, long ago, size_t more)
{
	SSL_SESSION *session = make_session(number, ago, more);

	ck_assert_int_eq(SSL_CTX_sess_get_new_cb(context.ssl)(ssl, session), 0);
	SSL_SESSION_free(session);
}

static bool
is_there(unsigned number)
{
	unsigned char id[32], key[48];
	SSL_SESSION *session;
	int copy = 1;

	make_id(number, id);
	session =
	    SSL_CTX_sess_get_get_cb(context.ssl)(ssl, id, sizeof(id), &copy);
	ck_assert_int_eq(copy, 0);
	if (session == NULL)
		return false;
	ck_assert_uint_eq(
	    SSL_SESSION_get_master_key(session, key, sizeof(key)), 48);
	ck_assert_uint_eq(key[0], 1);
	SSL_SESSION_free(session);
	return true;
}

START_TEST(what_is_kept_is_found_until_it_is_removed)
{
	SSL_SESSION *session;

	make_cache(1000);
	ck_assert(!is_there(1));
	keep(1, 0, 0);
	keep(2, 0, 1000);
	ck_assert(is_there(1) && is_there(2) && !is_there(3));
	session = make_session(1, 0, 0);
	SSL_CTX_sess_get_remove_cb(context.ssl)(context.ssl, session);
	SSL_SESSION_free(session);
	ck_assert(!is_there(1) && is_there(2));
}
END_TEST

START_TEST(what_is_over_or_too_large_is_not_there)
{
	make_cache(1000);
	keep(1, 299, 0);
	keep(2, 301, 0);
	keep(3, 0, 4000);
	ck_assert(is_there(1) && !is_there(2) && !is_there(3));
}
END_TEST

START_TEST(an_id_that_nobody_made_is_none)
{
	unsigned char id[32] = {0};
	int copy = 1;

	make_cache(1);
	ck_assert_ptr_null(
	    SSL_CTX_sess_get_get_cb(context.ssl)(ssl, id, 1, &copy));
	ck_assert_ptr_null(
	    SSL_CTX_sess_get_get_cb(context.ssl)(ssl, id, 32, &copy));
}
END_TEST

START_TEST(for_a_new_one_the_oldest_goes)
{
	unsigned i, found = 0;

	make_cache(1);
	for (i = 0; i < 1000; i++) {
		keep(i, 0, i % 7 * 100);
		ck_assert(is_there(i));
	}
	for (i = 0; i < 1000; i++) {
		ck_assert(i == 0 || !is_there(i - 1) || is_there(i));
		found += is_there(i);
	}
	ck_assert_uint_gt(found, 20);
	ck_assert_uint_lt(found, 300);
}
END_TEST

START_TEST(for_a_new_one_those_that_are_over_go_first)
{
	unsigned i;

	make_cache(1);
	for (i = 0; i < 20; i++)
		keep(i, 0, 0);
	for (; i < 1000; i++)
		keep(i, 301, 0);
	for (i = 0; i < 20; i++)
		ck_assert(is_there(i));
}
END_TEST

START_TEST(most_of_as_many_as_were_asked_for_are_there)
{
	unsigned i, found = 0;

	make_cache(2000);
	for (i = 0; i < 2000; i++)
		keep(i, 0, 100);
	for (i = 0; i < 2000; i++)
		found += is_there(i);
	ck_assert_uint_gt(found, 1700);
}
END_TEST

START_TEST(another_process_finds_them)
{
	int status;
	pid_t child;

	make_cache(100);
	keep(1, 0, 0);
	child = fork();
	if (child == 0) {
		status = is_there(1) && !is_there(2) ? 0 : 1;
		keep(2, 0, 0);
		_exit(status);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert(is_there(1) && is_there(2));
}
END_TEST

/* Asserts nothing: its words to who runs the test would be cut. */
static _Noreturn void
keep_for_ever(SSL_SESSION *session)
{
	unsigned char id[32];
	unsigned n;

	for (n = 1;; n++) {
		make_id(n, id);
		(void)SSL_SESSION_set1_id(session, id, sizeof(id));
		(void)SSL_CTX_sess_get_new_cb(context.ssl)(ssl, session);
	}
}

/* In the middle of whatever it does. */
START_TEST(one_that_is_killed_does_no_harm)
{
	SSL_SESSION *session;
	unsigned i;
	pid_t child;

	make_cache(1);
	session = make_session(1, 0, 0);
	for (i = 0; i < 40; i++) {
		child = fork();
		if (child == 0)
			keep_for_ever(session);
		(void)usleep(500 + i * 50);
		ck_assert_int_eq(kill(child, SIGKILL), 0);
		ck_assert_int_eq(waitpid(child, NULL, 0), child);
		keep(0, 0, 0);
		ck_assert(is_there(0));
	}
	SSL_SESSION_free(session);
}
END_TEST

START_TEST(wrong_numbers_are_refused)
{
	ck_assert_int_eq(weir_tls_cache_new(&cache, 0), -EINVAL);
	ck_assert_int_eq(weir_tls_cache_new(NULL, 1), -EINVAL);
	ck_assert_ptr_null(weir_tls_cache_ref(NULL));
	weir_tls_cache_unref(NULL);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("net/tls_cache");
	TCase *kept = tcase_create("kept"), *wrong = tcase_create("wrong");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, kept);
	suite_add_tcase(suite, wrong);
	tcase_add_checked_fixture(kept, NULL, tear_down);
	tcase_set_timeout(kept, 30);
	tcase_add_test(kept, what_is_kept_is_found_until_it_is_removed);
	tcase_add_test(kept, what_is_over_or_too_large_is_not_there);
	tcase_add_test(kept, an_id_that_nobody_made_is_none);
	tcase_add_test(kept, for_a_new_one_the_oldest_goes);
	tcase_add_test(kept, for_a_new_one_those_that_are_over_go_first);
	tcase_add_test(kept, most_of_as_many_as_were_asked_for_are_there);
	tcase_add_test(kept, another_process_finds_them);
	tcase_add_test(kept, one_that_is_killed_does_no_harm);
	tcase_add_test(wrong, wrong_numbers_are_refused);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
