/* Memory that is refused: at each allocation in turn, reading a configuration
 * ends without a leak or a crash, and never gives half a configuration. */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

/* The linker leads the floor's allocations here (-Wl,--wrap). */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t length);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t length);

static long left = -1; /* allocations that are still granted; < 0: all */

static bool
granted(void)
{
	if (left > 0)
		left--;
	return left != 0;
}

void *
__wrap_malloc(size_t size)
{
	return granted() ? __real_malloc(size) : NULL;
}

void *
__wrap_calloc(size_t count, size_t size)
{
	return granted() ? __real_calloc(count, size) : NULL;
}

void *
__wrap_realloc(void *old, size_t size)
{
	return granted() ? __real_realloc(old, size) : NULL;
}

void *
__wrap_reallocarray(void *old, size_t count, size_t size)
{
	return granted() ? __real_reallocarray(old, count, size) : NULL;
}

char *
__wrap_strdup(const char *text)
{
	return granted() ? __real_strdup(text) : NULL;
}

char *
__wrap_strndup(const char *text, size_t length)
{
	return granted() ? __real_strndup(text, length) : NULL;
}

static const char good[] =
    "[weir]\nlog = file:/x\nuser = root\ncontrol = /x\npid_file = ${HOME}\n"
    "[defaults]\ntimeout = 5m\nallow = 10.0.0.0/8\nunix_mode = 600\n"
    "[listener a]\nlisten = 127.0.0.1:80\nlisten = /tmp/a\nmode = forward\n"
    "upstream = localhost:81\nupstream = localhost:82\ngreeting = hi\\n\n"
    "access_log = file:/y\ninterface = lo\n"
    "[listener b]\nlisten = :0\nunix_user = 0\nmode = pipe\n"
    "pipe = exec:sh -c 'a b'\ndeny = all\nallow = all\n";

static const char front[] =
    "[weir]\ndns = 1.2.3.4\n[defaults]\naccept_proxy = ::1\n"
    "[listener a]\nlisten = :0\nmode = forward\nupstream = u\n"
    "sni = A.b u\nsni = c.d e:1\nalpn = h2 e:1\nupstream_tls = on\n"
    "upstream_tls_certificate = /c\nupstream_tls_name = x\nsend_proxy = v2\n"
    "[listener b]\nlisten = :0\nmode = echo\ntls = on\n"
    "tls_certificate = /c\ntls_key = /k\ntls_alpn = a\ntls_ciphers = b\n"
    "[upstream u]\nserver = a:1 name=x weight=2\nserver = a:1\n"
    "server = a:1 backup\nhealth_check = send \"a\" expect \"b\"\n"
    "dns = ::1\n[upstream unused]\nserver = b:1\nqueue = 1\n";

static const char front_bad[] =
    "[listener a]\nlisten = :0\nmode = forward\nupstream = w\n"
    "sni = x\nalpn = h2 zz\nupstream_tls_name = :\n"
    "upstream_tls_certificate = /c\nupstream_tls = on\n"
    "upstream_tls_key = /k\naccept_proxy = no\naccept_proxy = 1\n"
    "[upstream u]\nserver = a:1 name=x wieght=1\nserver = a:1 name=y\n"
    "server = b:1 name=y\nhealth_check = x\ndns = x\nx = 1\n"
    "[upstream v]\n";

static const char bad[] =
    "x = 1\n[weir]\nlogg = 1\nlog = x\nworkers = 0\ninclude = /none\n[wier]\n"
    "[listener a]\nlisten = :80\nlisten = :80\nmode = x\nbroken\n"
    "[listener a]\n[listener b]\nmode = pipe\npipe = peer:c\n"
    "greeting = ${\n";

/* Read text while only so many allocations are granted. Returns whether that
 * was enough. */
static bool
attempt(const char *text, long allocations)
{
	struct config_builder *builder;
	struct config *config = NULL;
	size_t i, count;
	bool enough, failed = false;

	left = allocations;
	builder = config_builder_new();
	if (builder == NULL) {
		left = -1;
		return false;
	}
	config_builder_read_text(builder, "t", text, strlen(text));
	config_builder_set(builder, "listener", "z", "listen", ":0", "-l");
	config_builder_set(builder, "listener", "z", "mode", "echo", "-e");
	config_builder_finish(builder, &config);
	enough = left != 0;
	left = -1;
	count = config_builder_mistake_count(builder);
	for (i = 0; i < count; i++)
		if (strcmp(config_builder_mistake(builder, i),
			"out of memory") == 0)
			failed = true;
	ck_assert(config == NULL || count == 0);
	ck_assert_msg(enough || failed, "%ld allocations", allocations);
	ck_assert(!enough || !failed);
	config_unref(config);
	config_builder_free(builder);
	return enough;
}

START_TEST(a_good_configuration_is_made_whole_or_not_at_all)
{
	long i = 1;

	while (!attempt(good, i))
		i++;
	ck_assert_int_gt(i, 100);
	for (i = 1; !attempt(front, i);)
		i++;
	ck_assert_int_gt(i, 100);
}
END_TEST

START_TEST(mistakes_are_told_or_that_memory_was_short)
{
	long i = 1;

	while (!attempt(bad, i))
		i++;
	ck_assert_int_gt(i, 50);
	for (i = 1; !attempt(front_bad, i);)
		i++;
	ck_assert_int_gt(i, 50);
}
END_TEST

static Suite *
memory_suite(void)
{
	Suite *suite = suite_create("config/memory");
	TCase *tcase = tcase_create("memory");

	tcase_add_test(tcase, a_good_configuration_is_made_whole_or_not_at_all);
	tcase_add_test(tcase, mistakes_are_told_or_that_memory_was_short);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	return support_run(memory_suite());
}
