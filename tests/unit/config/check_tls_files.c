/* Unit tests of config/tls_files: contexts from keys of a listener, and what is
 * told of files that are no good. */
#include "config.h"

#include <sys/stat.h>

#include <check.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/tls.h>

#include "config/tls_files.h"
#include "support.h"
#include "util/strbuf.h"

/* Keys of nobody: the certificates are good from 2020 to 2120, in 2020 alone,
 * and from 2100 on; the phrase of the locked key is "open sesame". */
static const char good_pem[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBHzCBxgIBATAKBggqhkjOPQQDAjAbMRkwFwYDVQQDDBBnb29kLmV4YW1wbGUu\n"
    "b3JnMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAbMRkwFwYDVQQD\n"
    "DBBnb29kLmV4YW1wbGUub3JnMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEbsDs\n"
    "277+yIn1dClszdVjOhlUlM9iXudzD0tbRCYbX4g0GpJnys9Y3vgHDITVtML4R/Nf\n"
    "Y9K9ch55UyBAVVMtMDAKBggqhkjOPQQDAgNIADBFAiEA9eL/tCmzcEbyRHaHs4T0\n"
    "MkAkKb36Abjy6K6aooW5jTECIApcS9CNI1MaOB2HqN0K83Jxvy+QiSW+e2/Me7r5\n"
    "R75M\n"
    "-----END CERTIFICATE-----\n";

static const char good_key[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEILXmzUmlGPHIsJT+2SUsAuYD8Kx4OwEDNhrJeEemZ0n+oAoGCCqGSM49\n"
    "AwEHoUQDQgAEbsDs277+yIn1dClszdVjOhlUlM9iXudzD0tbRCYbX4g0GpJnys9Y\n"
    "3vgHDITVtML4R/NfY9K9ch55UyBAVVMtMA==\n"
    "-----END EC PRIVATE KEY-----\n";

static const char locked_key[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "Proc-Type: 4,ENCRYPTED\n"
    "DEK-Info: AES-128-CBC,A34BA2BF8E36A43FB5154D9838EB744E\n"
    "\n"
    "4Xli7gwtwtZlcbw+JAIofKakggSyBYlBy19ZOi8isZsmS3Zx4t2J68fY5VTK123R\n"
    "Sq5/6GwN/++G9hq8lO5KdCRv7dUzB6kryaYl6v31rFQA8e+VG9kJm3NTlY3OVPp6\n"
    "oMkIo07snWJFKP3/82epPiGGpAPZ1Xjg0TWdeTuEqcw=\n"
    "-----END EC PRIVATE KEY-----\n";

static const char past_pem[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBHDCBxAIBAjAKBggqhkjOPQQDAjAbMRkwFwYDVQQDDBBwYXN0LmV4YW1wbGUu\n"
    "b3JnMB4XDTIwMDEwMTAwMDAwMFoXDTIxMDEwMTAwMDAwMFowGzEZMBcGA1UEAwwQ\n"
    "cGFzdC5leGFtcGxlLm9yZzBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABAs+16XR\n"
    "bXhuqozV7JrCEG7Uw4j0U3bM2HLWoPIiDjOWYOjYOPuJLZ0S6VTtN6eFq22IggmV\n"
    "gBbDw9XVDjzPlvwwCgYIKoZIzj0EAwIDRwAwRAIgO9HJQa1c3rKOj38lPG/JKUD1\n"
    "C6uiGfdu4RnwT3+LPBECIB06oDqPbi8ota4QzEuc1VUoXdPWLEpv+Ig0SVo+4Xv6\n"
    "-----END CERTIFICATE-----\n";

static const char past_key[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEINAuc0KUlP/0dvD4hC8JggPdnM8cNVVjgyA9JScA3dSqoAoGCCqGSM49\n"
    "AwEHoUQDQgAECz7XpdFteG6qjNXsmsIQbtTDiPRTdszYctag8iIOM5Zg6Ng4+4kt\n"
    "nRLpVO03p4WrbYiCCZWAFsPD1dUOPM+W/A==\n"
    "-----END EC PRIVATE KEY-----\n";

static const char later_pem[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBIzCBygIBAzAKBggqhkjOPQQDAjAcMRowGAYDVQQDDBFsYXRlci5leGFtcGxl\n"
    "Lm9yZzAiGA8yMTAwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAcMRowGAYD\n"
    "VQQDDBFsYXRlci5leGFtcGxlLm9yZzBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IA\n"
    "BFA7Hf1K1jNWIAsBPPcKbVtCHAwXNFEp1AnScuBVSA7829b8eRis5+ZmkLm9KYFW\n"
    "wHz30bFmXkBsE5B2pQ4T7XAwCgYIKoZIzj0EAwIDSAAwRQIhAIVwCU5IHMkTCOdX\n"
    "pBT4JwyfZ6eSlVQcYcazLiGNs8SHAiBvNCkILq1zBTu46y6J2moGmwnzEHoKY9Z0\n"
    "rQqzJVM3WQ==\n"
    "-----END CERTIFICATE-----\n";

static const char later_key[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEIOIPHio6BCdInoq05t2JoiBYOv3zMOOzBI17qujZ4TiOoAoGCCqGSM49\n"
    "AwEHoUQDQgAEUDsd/UrWM1YgCwE89wptW0IcDBc0USnUCdJy4FVIDvzb1vx5GKzn\n"
    "5maQub0pgVbAfPfRsWZeQGwTkHalDhPtcA==\n"
    "-----END EC PRIVATE KEY-----\n";

static char folder[sizeof("/tmp/weir-tls-XXXXXX")];

static void
write_file(const char *name, const char *text)
{
	char path[64];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

static void
set_up(void)
{
	memcpy(folder, "/tmp/weir-tls-XXXXXX", sizeof(folder));
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
	write_file("good.pem", good_pem);
	write_file("good.key", good_key);
	write_file("locked.key", locked_key);
	write_file("past.pem", past_pem);
	write_file("past.key", past_key);
	write_file("later.pem", later_pem);
	write_file("later.key", later_key);
	write_file("phrases", "wrong\n\r\nopen sesame\r\n");
	write_file("wrong", "wrong");
	write_file("text", "no certificate\n");
	write_file("empty", "");
}

static void
tear_down(void)
{
	char command[64];

	ck_assert_int_eq(chdir("/"), 0);
	(void)snprintf(command, sizeof(command), "rm -r %s", folder);
	ck_assert_int_eq(system(command), 0);
}

static void
on_mistake(const char *text, bool only_time, void *user)
{
	strbuf_format(user, "%s%s\n", only_time ? "time " : "", text);
}

/* The mistakes of a listener with these lines, the first of which is 4. */
static char *
mistakes(const char *lines)
{
	struct strbuf text = STRBUF_NULL, found = STRBUF_NULL;
	struct config *config;
	char *ret;

	strbuf_format(&text,
	    "[listener a]\nlisten = :0\nmode = forward\n%s\nupstream = b:1\n",
	    lines);
	config = support_config(strbuf_get(&text));
	strbuf_text(&found, "");
	ck_assert_int_eq(config_check_tls_files(config, on_mistake, &found), 0);
	config_unref(config);
	strbuf_free(&text);
	ret = strbuf_take(&found);
	ck_assert_ptr_nonnull(ret);
	return ret;
}

static void
is_good(const char *lines)
{
	char *found = mistakes(lines);

	ck_assert_str_eq(found, "");
	free(found);
}

/* There is one mistake, and it has each of the texts; the first of them at its
 * beginning. */
static void
is_bad(const char *lines, const char *beginning, const char *word)
{
	char *found = mistakes(lines);

	ck_assert_msg(strncmp(found, beginning, strlen(beginning)) == 0,
	    "not \"%s\": %s", beginning, found);
	ck_assert_msg(
	    strstr(found, word) != NULL, "no \"%s\": %s", word, found);
	ck_assert_msg(strchr(found, '\n') == strrchr(found, '\n'),
	    "more than one: %s", found);
	free(found);
}

#define C(name) "tls_certificate = " name ".pem\n"
#define K(name) "tls_key = " name ".key\n"

START_TEST(good_files_are_good)
{
	is_good("tls = on\n" C("good") K("good"));
	is_good(
	    "tls = on\n" C("good") K("locked") "tls_password_file = phrases\n");
	is_good("tls = on\ntls_client_ca = good.pem\n" C("good")
		K("good") "tls_client_verify = optional\ntls_ciphers = HIGH\n"
			  "tls_ciphersuites = TLS_AES_128_GCM_SHA256\n"
			  "tls_max_version = 1.3\ntls_alpn = h2\n");
	is_good("upstream_tls = on\nupstream_tls_ca = past.pem\n"
		"upstream_tls_certificate = good.pem\n"
		"upstream_tls_key = good.key\n");
	/* What is off is not looked at. */
	is_good(C("none"));
}
END_TEST

START_TEST(each_file_is_told_with_its_line)
{
	is_bad("tls = on\n" C("none") K("good"),
	    "t:5: tls_certificate: none.pem: ", "No such file");
	is_bad("tls = on\n" C("good") K("none"),
	    "t:6: tls_key: none.key: ", "No such file");
	is_bad("tls = on\ntls_certificate = text\n" K("good"),
	    "t:5: tls_certificate: text: ", "certificate");
	is_bad("tls = on\n" C("good") "tls_key = empty\n",
	    "t:6: tls_key: empty: ", "key");
	is_bad(
	    "tls = on\n" C("good"), "t:5: tls_certificate: good.pem: ", "key");
	is_bad("tls = on\n" C("good") K("good") C("good") K("none"),
	    "t:8: tls_key: none.key: ", "");
	is_bad(
	    "tls = on\n" C("good") K(
		"good") "tls_client_verify = required\ntls_client_ca = text\n",
	    "t:8: tls_client_ca: text: ", "");
	is_bad("upstream_tls = on\nupstream_tls_ca = none\n",
	    "t:5: upstream_tls_ca: none: ", "No such file");
	is_bad("upstream_tls = on\nupstream_tls_certificate = none\n",
	    "t:5: upstream_tls_certificate: none: ", "No such file");
}
END_TEST

START_TEST(a_key_fits_its_certificate)
{
	is_bad("tls = on\n" C("good") K("past"), "t:", "past.key");
}
END_TEST

START_TEST(pass_phrases_open_keys)
{
	is_bad("tls = on\n" C("good") K("locked"),
	    "t:6: tls_key: locked.key: ", "pass phrase");
	is_bad("tls = on\n" C("good") K("locked") "tls_password_file = wrong\n",
	    "t:6: tls_key: locked.key: ", "");
	is_bad("tls = on\n" C("good") K("good") "tls_password_file = none\n",
	    "t:7: tls_password_file: none: ", "No such file");
	is_bad("tls = on\n" C("good")
		   K("good") "tls_password_file = /dev/zero\n",
	    "t:7: tls_password_file: /dev/zero: ", "too large");
}
END_TEST

START_TEST(dates_are_told_apart)
{
	is_bad("tls = on\n" C("past") K("past"),
	    "time t:5: tls_certificate: past.pem: the certificate has expired "
	    "at 2021-01-01 00:00:00 UTC\n",
	    "");
	is_bad("tls = on\n" C("later") K("later"),
	    "time t:5: tls_certificate: later.pem: the certificate is not "
	    "valid before 2100-01-01 00:00:00 UTC\n",
	    "");
}
END_TEST

START_TEST(settings_that_nobody_knows)
{
	is_bad("tls = on\n" C("good") K("good") "tls_ciphers = NONSENSE\n",
	    "t:7: tls_ciphers: \"NONSENSE\"", "");
	is_bad("tls = on\n" C("good") K("good") "tls_ciphersuites = NONSENSE\n",
	    "t:7: tls_ciphersuites: \"NONSENSE\"", "");
	is_bad("upstream_tls = on\nupstream_tls_ciphers = NONSENSE\n",
	    "t:5: upstream_tls_ciphers: \"NONSENSE\"", "");
}
END_TEST

START_TEST(all_that_is_wrong_is_told)
{
	char *found = mistakes("tls = on\n" C("none") K("good") C("past")
		K("past") "tls_ciphers = X\nupstream_tls = on\n"
			  "upstream_tls_ca = none\n");
	const char *p = found;
	unsigned lines = 0;

	while ((p = strchr(p, '\n')) != NULL) {
		lines++;
		p++;
	}
	ck_assert_msg(lines == 4, "%s", found);
	free(found);
}
END_TEST

/* ---- contexts ---- */

static struct config *
listener_with(const char *lines)
{
	struct strbuf text = STRBUF_NULL;
	struct config *config;

	strbuf_format(&text,
	    "[listener a]\nlisten = :0\nmode = forward\nupstream = b:1\n%s",
	    lines);
	config = support_config(strbuf_get(&text));
	strbuf_free(&text);
	return config;
}

START_TEST(a_context_has_what_the_keys_say)
{
	static const char key[80] = {0};
	const struct config_tls_shared shared = {key, NULL};
	struct config *config = listener_with("tls = on\n" C("good")
		K("locked") "tls_password_file = phrases\ntls_client_ca = "
			    "good.pem\ntls_client_verify = required\n"
			    "upstream_tls = on\nupstream_tls_verify = no\n");
	struct weir_tls_context *context = NULL;
	char text[256] = "";

	ck_assert_msg(config_tls_context(&config->listeners[0]->tls, true,
			  &shared, &context, text, sizeof(text)) == 0,
	    "%s", text);
	ck_assert(weir_tls_context_is_server(context));
	ck_assert_int_eq(weir_tls_context_validity(context, 0, NULL, NULL), 0);
	weir_tls_context_unref(context);
	ck_assert_int_eq(config_tls_context(&config->listeners[0]->upstream_tls,
			     false, NULL, &context, text, sizeof(text)),
	    0);
	ck_assert(!weir_tls_context_is_server(context));
	weir_tls_context_unref(context);
	config_unref(config);
}
END_TEST

START_TEST(a_context_says_what_is_wrong)
{
	struct config *config = listener_with(
	    "tls = on\n" C("good") K("good") "tls_password_file = none\n");
	struct weir_tls_context *context = NULL;
	char text[256] = "";

	ck_assert_int_eq(config_tls_context(&config->listeners[0]->tls, true,
			     NULL, &context, text, sizeof(text)),
	    -ENOENT);
	ck_assert_str_eq(text, "none: No such file or directory");
	config_unref(config);
	config = listener_with("tls = on\n" C("good") K("past"));
	ck_assert_int_ne(config_tls_context(&config->listeners[0]->tls, true,
			     NULL, &context, text, sizeof(text)),
	    0);
	ck_assert_ptr_nonnull(strstr(text, "past.key"));
	ck_assert_ptr_null(context);
	config_unref(config);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config/tls_files");
	TCase *files = tcase_create("files");
	TCase *contexts = tcase_create("contexts");

	tcase_add_checked_fixture(files, set_up, tear_down);
	tcase_add_checked_fixture(contexts, set_up, tear_down);
	tcase_add_test(files, good_files_are_good);
	tcase_add_test(files, each_file_is_told_with_its_line);
	tcase_add_test(files, a_key_fits_its_certificate);
	tcase_add_test(files, pass_phrases_open_keys);
	tcase_add_test(files, dates_are_told_apart);
	tcase_add_test(files, settings_that_nobody_knows);
	tcase_add_test(files, all_that_is_wrong_is_told);
	tcase_add_test(contexts, a_context_has_what_the_keys_say);
	tcase_add_test(contexts, a_context_says_what_is_wrong);
	/* The system's certificates are read anew for each context, which
	 * takes most of the time; these hold no more than they need. */
	(void)setenv("SSL_CERT_FILE", "good.pem", 1);
	(void)setenv("SSL_CERT_DIR", "/", 1);
	suite_add_tcase(suite, files);
	suite_add_tcase(suite, contexts);
	return support_run(suite);
}
