/* The system's CAs: one for all contexts, until there are others. */
#include "config.h"

#include <sys/stat.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <check.h>
#include <openssl/ssl.h>

#include <weir/weir.h>

#include "net/tls_priv.h"
#include "tls_support.h"

static struct credentials one, other;

static void
set_up(void)
{
	directory_make();
	credentials_make(&one, NULL, &(struct wish){.name = "one"});
	credentials_make(&other, NULL, &(struct wish){.name = "other"});
	ck_assert_int_eq(
	    symlink(one.certificate_file, in_directory("bundle")), 0);
	ck_assert_int_eq(
	    setenv("SSL_CERT_FILE", in_directory("bundle"), 1), 0);
	ck_assert_int_eq(setenv("SSL_CERT_DIR", "/nowhere:/nor/here", 1), 0);
}

static void
tear_down(void)
{
	credentials_free(&one);
	credentials_free(&other);
	directory_remove();
}

static bool
trusts(struct weir_tls_context *context, const struct credentials *whom)
{
	X509_STORE_CTX *check = X509_STORE_CTX_new();
	bool yes;

	ck_assert_ptr_nonnull(check);
	ck_assert_int_eq(X509_STORE_CTX_init(check,
			     SSL_CTX_get_cert_store(context->ssl),
			     whom->certificate, NULL),
	    1);
	yes = X509_verify_cert(check) == 1;
	X509_STORE_CTX_free(check);
	return yes;
}

static struct weir_tls_context *
a_client(void)
{
	return make_context(&(struct weir_tls_context_options){0});
}

static bool
share(struct weir_tls_context *a, struct weir_tls_context *b)
{
	return SSL_CTX_get_cert_store(a->ssl) == SSL_CTX_get_cert_store(b->ssl);
}

START_TEST(contexts_share_what_is_read_once)
{
	struct weir_tls_context *first = a_client(), *second = a_client();

	ck_assert(share(first, second));
	ck_assert(trusts(first, &one) && !trusts(first, &other));
	weir_tls_context_unref(first);
	ck_assert(trusts(second, &one));
	first = a_client();
	ck_assert(share(first, second));
	weir_tls_context_unref(first);
	weir_tls_context_unref(second);
}
END_TEST

START_TEST(what_has_changed_is_read_anew)
{
	struct weir_tls_context *before = a_client(), *after;

	ck_assert_int_eq(unlink(in_directory("bundle")), 0);
	ck_assert_int_eq(
	    symlink(other.certificate_file, in_directory("bundle")), 0);
	after = a_client();
	ck_assert(!share(before, after));
	ck_assert(trusts(before, &one) && !trusts(before, &other));
	ck_assert(trusts(after, &other) && !trusts(after, &one));
	weir_tls_context_unref(before);
	weir_tls_context_unref(after);
}
END_TEST

START_TEST(the_last_of_many_directories_counts_too)
{
	struct weir_tls_context *before, *after;
	char folders[512];

	(void)snprintf(folders, sizeof(folders), "/nowhere:%s",
	    in_directory("many"));
	ck_assert_int_eq(setenv("SSL_CERT_DIR", folders, 1), 0);
	before = a_client();
	ck_assert_int_eq(mkdir(in_directory("many"), 0700), 0);
	after = a_client();
	ck_assert(!share(before, after));
	weir_tls_context_unref(before);
	weir_tls_context_unref(after);
}
END_TEST

START_TEST(own_cas_are_nobody_elses)
{
	struct weir_tls_context *of_all = a_client(), *own;

	own = make_context(&(struct weir_tls_context_options){
	    .ca_file = other.certificate_file});
	ck_assert(!share(of_all, own));
	ck_assert(trusts(own, &other) && !trusts(own, &one));
	ck_assert(!trusts(of_all, &other));
	weir_tls_context_unref(of_all);
	weir_tls_context_unref(own);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("net/tls_system");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, all);
	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, contexts_share_what_is_read_once);
	tcase_add_test(all, what_has_changed_is_read_anew);
	tcase_add_test(all, the_last_of_many_directories_counts_too);
	tcase_add_test(all, own_cas_are_nobody_elses);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
