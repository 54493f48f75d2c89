/* Contexts of TLS: what they are made of, and what they say is wrong. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <check.h>

#include <weir/error.h>
#include <weir/tls.h>
#include <weir/version.h>

#include "tls_support.h"

static struct credentials authority, server, other;

static void
set_up(void)
{
	(void)directory_make();
	credentials_make(&authority, NULL, &(struct wish){.name = "ca"});
	credentials_make(&server, &authority,
	    &(struct wish){.name = "server", .san = "DNS:example.org"});
	credentials_make(&other, &authority,
	    &(struct wish){.name = "other", .pass_phrase = "open sesame"});
}

static void
tear_down(void)
{
	credentials_free(&authority);
	credentials_free(&server);
	credentials_free(&other);
	directory_remove();
}

/* Making one fails with err, and says each of the texts (NULL ends them). */
static void
refused(const struct weir_tls_context_options *options, int err, ...)
{
	struct weir_tls_context *context = NULL;
	char text[512] = "";
	const char *wanted;
	va_list args;

	ck_assert_int_eq(
	    weir_tls_context_new(&context, options, text, sizeof(text)), err);
	ck_assert_ptr_null(context);
	va_start(args, err);
	while ((wanted = va_arg(args, const char *)) != NULL)
		ck_assert_msg(strstr(text, wanted) != NULL, "no \"%s\" in: %s",
		    wanted, text);
	va_end(args);
	/* The text is no must. */
	ck_assert_int_eq(weir_tls_context_new(&context, options, NULL, 0), err);
}

static void
refused_pair(const char *certificate, const char *key, int err,
    const char *first, const char *second)
{
	const struct weir_tls_pair pair = {
	    .certificate_file = certificate, .key_file = key};

	refused(
	    &(struct weir_tls_context_options){
		.server = true, .pairs = &pair, .pair_count = 1},
	    err, first, second, NULL);
}

START_TEST(a_server_needs_a_certificate)
{
	refused(&(struct weir_tls_context_options){.server = true}, -EINVAL,
	    "certificate", NULL);
	ck_assert_int_eq(weir_tls_context_new(NULL, NULL, NULL, 0), -EINVAL);
}
END_TEST

START_TEST(a_client_needs_nothing)
{
	weir_tls_context_unref(make_context(NULL));
	weir_tls_context_unref(NULL);
	ck_assert_ptr_null(weir_tls_context_ref(NULL));
}
END_TEST

START_TEST(a_context_lives_until_its_last_owner_leaves)
{
	struct weir_tls_context *context =
	    make_context(&(struct weir_tls_context_options){
		.ca_file = authority.certificate_file});

	ck_assert_ptr_eq(weir_tls_context_ref(context), context);
	weir_tls_context_unref(context);
	ck_assert(!weir_tls_context_is_server(context));
	weir_tls_context_unref(context);
}
END_TEST

START_TEST(a_certificate_is_good_for_a_time)
{
	struct credentials past;
	struct weir_tls_pair pairs[2];
	struct weir_tls_context *context;
	int64_t from, until, now = (int64_t)time(NULL);

	credentials_make(&past, &authority,
	    &(struct wish){.name = "past", .from_days = -3, .days = 1});
	pairs[0] = pair_of(&server);
	pairs[1] = pair_of(&past);
	context = make_context(&(struct weir_tls_context_options){
	    .server = true, .pairs = pairs, .pair_count = 2});
	ck_assert_int_eq(
	    weir_tls_context_validity(context, 0, &from, &until), 0);
	ck_assert(from <= now && now < until);
	ck_assert_int_eq(
	    weir_tls_context_validity(context, 1, &from, &until), 0);
	ck_assert(from < until && until < now);
	ck_assert_int_eq(weir_tls_context_validity(context, 1, NULL, NULL), 0);
	ck_assert_int_eq(
	    weir_tls_context_validity(context, 2, &from, &until), -EINVAL);
	weir_tls_context_unref(context);
	credentials_free(&past);
}
END_TEST

START_TEST(a_file_that_is_not_there_is_named)
{
	const char *gone = in_directory("gone.pem");

	refused_pair(gone, server.key_file, -ENOENT, gone, "No such file");
	refused_pair(
	    server.certificate_file, gone, -ENOENT, gone, "No such file");
	refused_pair(in_directory(""), server.key_file, -EISDIR, "directory",
	    in_directory(""));
	refused_pair("/dev/null", server.key_file, -EINVAL, "/dev/null",
	    "no regular file");
}
END_TEST

START_TEST(a_file_without_pem_is_named)
{
	const char *empty = in_directory("empty.pem");
	const char *text = in_directory("text.pem");

	write_file(empty, "", 0);
	write_file(text, "hello\n", 6);
	refused_pair(empty, server.key_file, WEIR_E_TLS_CREDENTIALS, empty,
	    "no certificate");
	refused_pair(text, server.key_file, WEIR_E_TLS_CREDENTIALS, text,
	    "no certificate");
	refused_pair(server.certificate_file, text, WEIR_E_TLS_CREDENTIALS,
	    text, "no private key");
	/* A certificate is no key. */
	refused_pair(server.certificate_file, NULL, WEIR_E_TLS_CREDENTIALS,
	    server.certificate_file, "no private key");
}
END_TEST

START_TEST(a_damaged_file_is_named)
{
	const char *path = in_directory("damaged.pem");
	char *text = read_text(server.certificate_file);

	memset(text + 60, 'A', 200);
	write_file(path, text, strlen(text));
	refused_pair(
	    path, server.key_file, WEIR_E_TLS_CREDENTIALS, path, "damaged");
	free(text);
	text = read_text(server.key_file);
	memset(text + 40, '!', 20);
	write_file(path, text, strlen(text));
	refused_pair(server.certificate_file, path, WEIR_E_TLS_CREDENTIALS,
	    path, "damaged");
	free(text);
}
END_TEST

START_TEST(a_damaged_chain_is_not_taken_in_part)
{
	const char *path = in_directory("chain.pem");
	char *first = read_text(server.certificate_file);
	char *second = read_text(authority.certificate_file), both[65536];

	memset(second + 60, 'A', 200);
	(void)snprintf(both, sizeof(both), "%s%s", first, second);
	write_file(path, both, strlen(both));
	refused_pair(
	    path, server.key_file, WEIR_E_TLS_CREDENTIALS, path, "damaged");
	free(first);
	free(second);
}
END_TEST

START_TEST(a_key_of_another_certificate_is_refused)
{
	refused_pair(server.certificate_file, authority.key_file,
	    WEIR_E_TLS_CREDENTIALS, authority.key_file,
	    server.certificate_file);
}
END_TEST

START_TEST(an_encrypted_key_needs_a_pass_phrase_that_fits)
{
	static const char *const phrases[] = {"one", "open sesame"};
	const struct weir_tls_pair pair = pair_of(&other);
	struct weir_tls_context_options options = {
	    .server = true, .pairs = &pair, .pair_count = 1};

	refused(&options, WEIR_E_TLS_CREDENTIALS, other.key_file, "encrypted",
	    "no pass phrase is given", NULL);
	options.pass_phrases = phrases;
	options.pass_phrase_count = 1;
	refused(&options, WEIR_E_TLS_CREDENTIALS, other.key_file,
	    "no pass phrase fits", NULL);
	options.pass_phrase_count = 2;
	weir_tls_context_unref(make_context(&options));
}
END_TEST

START_TEST(pem_may_be_in_memory_and_in_one_piece)
{
	char *certificate = read_text(server.certificate_file);
	char *key = read_text(server.key_file), both[65536];
	struct weir_tls_pair pair = {.certificate = certificate,
	    .certificate_length = strlen(certificate),
	    .key = key,
	    .key_length = strlen(key)};
	const struct weir_tls_context_options options = {
	    .server = true, .pairs = &pair, .pair_count = 1};

	weir_tls_context_unref(make_context(&options));
	(void)snprintf(both, sizeof(both), "%s%s", key, certificate);
	pair = (struct weir_tls_pair){
	    .certificate = both, .certificate_length = strlen(both)};
	weir_tls_context_unref(make_context(&options));
	pair.certificate_length = 0;
	refused(&options, WEIR_E_TLS_CREDENTIALS, "the certificate",
	    "no certificate", NULL);
	free(certificate);
	free(key);
}
END_TEST

START_TEST(the_second_pair_is_checked_like_the_first)
{
	const struct weir_tls_pair pairs[2] = {
	    pair_of(&server), {.certificate_file = server.certificate_file}};

	refused(
	    &(struct weir_tls_context_options){
		.server = true, .pairs = pairs, .pair_count = 2},
	    WEIR_E_TLS_CREDENTIALS, server.certificate_file, NULL);
	refused(
	    &(struct weir_tls_context_options){
		.pairs = &(struct weir_tls_pair){0}, .pair_count = 1},
	    -EINVAL, "no certificate", NULL);
}
END_TEST

START_TEST(cas_that_are_none_are_named)
{
	const char *gone = in_directory("gone");

	refused(&(struct weir_tls_context_options){.ca_file = gone}, -ENOENT,
	    gone, NULL);
	refused(&(struct weir_tls_context_options){.ca_file = server.key_file},
	    WEIR_E_TLS_CREDENTIALS, server.key_file, "no CA certificate", NULL);
	refused(&(struct weir_tls_context_options){.ca_directory = gone},
	    -ENOENT, gone, NULL);
	refused(
	    &(struct weir_tls_context_options){.ca_directory = server.key_file},
	    -ENOTDIR, server.key_file, NULL);
	refused(&(struct weir_tls_context_options){.ca = "x", .ca_length = 1},
	    WEIR_E_TLS_CREDENTIALS, "the CAs", NULL);
}
END_TEST

START_TEST(verifying_clients_needs_cas)
{
	const struct weir_tls_pair pair = pair_of(&server);
	struct weir_tls_context_options options = {.server = true,
	    .pairs = &pair,
	    .pair_count = 1,
	    .verify = WEIR_TLS_VERIFY_REQUIRED};

	refused(&options, -EINVAL, "no CA", NULL);
	options.ca_file = authority.certificate_file;
	weir_tls_context_unref(make_context(&options));
}
END_TEST

START_TEST(settings_that_are_none_are_told)
{
	const struct weir_tls_pair pair = pair_of(&server);
	const char *ca = authority.certificate_file;

	refused(&(struct weir_tls_context_options){.ca_file = ca,
		    .ciphers = "NO-SUCH"},
	    -EINVAL, "NO-SUCH", NULL);
	refused(&(struct weir_tls_context_options){.ca_file = ca,
		    .ciphersuites = "TLS_NO"},
	    -EINVAL, "TLS_NO", NULL);
	refused(&(struct weir_tls_context_options){.ca_file = ca,
		    .min_version = WEIR_TLS_1_3,
		    .max_version = WEIR_TLS_1_2},
	    -EINVAL, "version", NULL);
	refused(&(struct weir_tls_context_options){.ca_file = ca,
		    .alpn = "h2,,http/1.1"},
	    -EINVAL, "h2,,http/1.1", NULL);
	refused(
	    &(struct weir_tls_context_options){.ca_file = ca, .alpn = "h2,"},
	    -EINVAL, "h2,", NULL);
	refused(&(struct weir_tls_context_options){.server = true,
		    .pairs = &pair,
		    .pair_count = 1,
		    .ticket_key = "short",
		    .ticket_key_length = 5},
	    -EINVAL, "5 bytes", "80", NULL);
}
END_TEST

START_TEST(nothing_at_all_is_answered)
{
	struct weir_tls_info info;
	struct weir_tls_certificate *certificate;
	struct weir_tls_session *session;
	const char *text;

	ck_assert(!weir_tls_context_is_server(NULL));
	ck_assert_int_eq(
	    weir_tls_context_validity(NULL, 0, NULL, NULL), -EINVAL);
	ck_assert(!weir_socket_is_tls(NULL));
	ck_assert(!weir_socket_is_secure(NULL));
	ck_assert_ptr_null(weir_socket_tls_error(NULL));
	ck_assert(!weir_socket_tls_no_hello(NULL));
	ck_assert_int_eq(weir_socket_tls_info(NULL, &info), WEIR_E_NOT_SECURE);
	ck_assert_int_eq(weir_socket_tls_info(NULL, NULL), -EINVAL);
	ck_assert_int_eq(
	    weir_socket_verify_peer(NULL, &text), WEIR_E_NOT_SECURE);
	ck_assert_int_eq(weir_socket_peer_certificate(NULL, &certificate),
	    WEIR_E_NOT_SECURE);
	ck_assert_int_eq(weir_socket_peer_certificate(NULL, NULL), -EINVAL);
	ck_assert_int_eq(
	    weir_socket_tls_session(NULL, &session), WEIR_E_NOT_SECURE);
	ck_assert_int_eq(weir_socket_tls_session(NULL, NULL), -EINVAL);
	ck_assert_int_eq(weir_socket_set_secure(NULL, NULL, NULL), -EINVAL);
	ck_assert_int_eq(weir_server_set_tls(NULL, NULL, NULL), -EINVAL);
}
END_TEST

START_TEST(the_library_tells_openssls_version)
{
	ck_assert_int_eq(strncmp(weir_version_of("OpenSSL"), "3.", 2), 0);
}
END_TEST

static Suite *
tls_context_suite(void)
{
	Suite *suite = suite_create("tls_context");
	TCase *tc = tcase_create("tls_context");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_server_needs_a_certificate);
	tcase_add_test(tc, a_client_needs_nothing);
	tcase_add_test(tc, a_certificate_is_good_for_a_time);
	tcase_add_test(tc, a_context_lives_until_its_last_owner_leaves);
	tcase_add_test(tc, a_file_that_is_not_there_is_named);
	tcase_add_test(tc, a_file_without_pem_is_named);
	tcase_add_test(tc, a_damaged_file_is_named);
	tcase_add_test(tc, a_damaged_chain_is_not_taken_in_part);
	tcase_add_test(tc, a_key_of_another_certificate_is_refused);
	tcase_add_test(tc, an_encrypted_key_needs_a_pass_phrase_that_fits);
	tcase_add_test(tc, pem_may_be_in_memory_and_in_one_piece);
	tcase_add_test(tc, the_second_pair_is_checked_like_the_first);
	tcase_add_test(tc, cas_that_are_none_are_named);
	tcase_add_test(tc, verifying_clients_needs_cas);
	tcase_add_test(tc, settings_that_are_none_are_told);
	tcase_add_test(tc, nothing_at_all_is_answered);
	tcase_add_test(tc, the_library_tells_openssls_version);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	SRunner *sr = srunner_create(tls_context_suite());
	int failed;

	/* The system's certificates are read anew for each context, which
	 * takes most of the time. */
	(void)setenv("SSL_CERT_FILE", "/dev/null", 1);
	(void)setenv("SSL_CERT_DIR", "/", 1);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
