/*
 * Reads the files that TLS needs. Whatever is wrong with them is told with the
 * file, and by config_check_tls_files() with the line of the key that names it
 * as well: for that each of them is tried by itself. That it is all of use to
 * OpenSSL is libweir's to say.
 */
#include <config.h>

#include "config/tls_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <weir/tls.h>

#include "config/option_priv.h"
#include "config/source.h"

#define PHRASES_SIZE_MAX 65536 /* bytes of the file */
#define TEXT_SIZE	 (PATH_MAX + 512)

_Static_assert((int)CONFIG_TLS_DEFAULT == (int)WEIR_TLS_VERSION_DEFAULT &&
		   (int)CONFIG_TLS_1_0 == (int)WEIR_TLS_1_0 &&
		   (int)CONFIG_TLS_1_1 == (int)WEIR_TLS_1_1 &&
		   (int)CONFIG_TLS_1_2 == (int)WEIR_TLS_1_2 &&
		   (int)CONFIG_TLS_1_3 == (int)WEIR_TLS_1_3,
    "versions are numbered as libweir's");

/* ---- pass phrases ---- */

struct phrases {
	char *text; /* owned; the rows point into it, line ends are NULs */
	size_t length;
	const char **rows;
	size_t count;
};

static void
wipe(struct phrases *phrases)
{
	if (phrases->text != NULL)
		explicit_bzero(phrases->text, phrases->length);
	free(phrases->text);
	free(phrases->rows);
	memset(phrases, 0, sizeof(*phrases));
}

static int
complain(char *text, size_t size, int error, const char *path)
{
	(void)snprintf(text, size, "%s: %s", path, strerror(-error));
	return error;
}

/* Read a small file. Returns 0 or -errno. */
static int
read_small(const char *path, struct phrases *phrases)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t n = 0;
	int r = 0;

	if (fd < 0)
		return -errno;
	phrases->text = malloc(PHRASES_SIZE_MAX + 1);
	if (phrases->text == NULL)
		r = -ENOMEM;
	while (r == 0) {
		n = read(fd, phrases->text + phrases->length,
		    PHRASES_SIZE_MAX + 1 - phrases->length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		phrases->length += (size_t)n;
		if (phrases->length > PHRASES_SIZE_MAX)
			r = -EFBIG;
	}
	if (r == 0 && n < 0)
		r = -errno;
	(void)close(fd);
	return r;
}

/* One a line; an empty line is none. */
static int
cut_lines(struct phrases *phrases)
{
	char *line = phrases->text, *end = line + phrases->length, *stop;
	const char **rows;
	size_t length;

	for (; line < end; line = stop + 1) {
		stop = memchr(line, '\n', (size_t)(end - line));
		if (stop == NULL)
			stop = end;
		*stop = '\0';
		length = strlen(line);
		if (length > 0 && line[length - 1] == '\r')
			line[--length] = '\0';
		if (length == 0)
			continue;
		rows =
		    option_grow(phrases->rows, phrases->count, sizeof(*rows));
		if (rows == NULL)
			return -ENOMEM;
		phrases->rows = rows;
		rows[phrases->count++] = line;
	}
	return 0;
}

static int
read_phrases(const char *path, struct phrases *phrases, char *text, size_t size)
{
	int r;

	memset(phrases, 0, sizeof(*phrases));
	if (path == NULL)
		return 0;
	r = read_small(path, phrases);
	if (r == 0)
		r = cut_lines(phrases);
	if (r < 0) {
		wipe(phrases);
		return complain(text, size, r, path);
	}
	return 0;
}

/* ---- contexts ---- */

static enum weir_tls_verify
verify_of(const struct config_tls *tls, bool server)
{
	switch (tls->verify) {
	case CONFIG_VERIFY_OFF:
		return server ? WEIR_TLS_VERIFY_NONE : WEIR_TLS_VERIFY_ASK;
	case CONFIG_VERIFY_OPTIONAL:
		return WEIR_TLS_VERIFY_OPTIONAL;
	case CONFIG_VERIFY_REQUIRED:
		break;
	}
	return WEIR_TLS_VERIFY_REQUIRED;
}

static void
set_pair(struct weir_tls_pair *to, const struct config_pair *from)
{
	memset(to, 0, sizeof(*to));
	to->certificate_file = from->certificate;
	to->key_file = from->key;
}

static void
set_settings(struct weir_tls_context_options *options,
    const struct config_tls *tls, const struct config_tls_shared *shared)
{
	options->min_version = (enum weir_tls_version)tls->min_version;
	options->max_version = (enum weir_tls_version)tls->max_version;
	options->ciphers = tls->ciphers;
	options->ciphersuites = tls->ciphersuites;
	options->alpn = tls->alpn;
	options->no_tickets = options->server && !tls->tickets;
	options->session_cache =
	    tls->session_cache > 0 ? (long)tls->session_cache : -1;
	if (shared == NULL)
		return;
	options->cache = shared->cache;
	if (shared->ticket_key != NULL) {
		options->ticket_key = shared->ticket_key;
		options->ticket_key_length = 80;
	}
}

int
config_tls_context(const struct config_tls *tls, bool server,
    const struct config_tls_shared *shared, struct weir_tls_context **ret,
    char *text, size_t text_size)
{
	struct weir_tls_context_options options;
	struct weir_tls_pair *pairs =
	    calloc(tls->pair_count + 1, sizeof(*pairs));
	struct phrases phrases;
	size_t i;
	int r;

	if (pairs == NULL)
		return complain(text, text_size, -ENOMEM, "TLS");
	r = read_phrases(tls->password_file, &phrases, text, text_size);
	if (r == 0) {
		memset(&options, 0, sizeof(options));
		for (i = 0; i < tls->pair_count; i++)
			set_pair(&pairs[i], &tls->pairs[i]);
		options.server = server;
		options.pairs = pairs;
		options.pair_count = tls->pair_count;
		options.pass_phrases = phrases.rows;
		options.pass_phrase_count = phrases.count;
		options.ca_file = tls->ca;
		options.verify = verify_of(tls, server);
		set_settings(&options, tls, shared);
		r = weir_tls_context_new(ret, &options, text, text_size);
		wipe(&phrases);
	}
	free(pairs);
	return r;
}

/* ---- checking, one by one ---- */

struct files {
	const struct config_listener *listener;
	const struct config_tls *tls;
	const char *prefix; /* "tls" or "upstream_tls" */
	bool server;
	struct phrases phrases;
	const char *ciphers; /* NULL where they are no good */
	config_tls_mistake_fn *fn;
	void *user;
	char text[TEXT_SIZE]; /* what libweir says */
	bool failed;	      /* memory was refused */
};

static void __attribute__((format(printf, 4, 5))) tell(struct files *files,
    const struct config_origin *origin, bool only_time, const char *format, ...)
{
	struct strbuf text = STRBUF_NULL;
	va_list list;

	strbuf_text(&text, origin->file ? origin->file : "default");
	if (origin->line > 0)
		strbuf_format(&text, ":%u", origin->line);
	strbuf_text(&text, ": ");
	va_start(list, format);
	strbuf_vformat(&text, format, list);
	va_end(list);
	if (text.failed)
		files->failed = true;
	else
		files->fn(strbuf_get(&text), only_time, files->user);
	strbuf_free(&text);
}

/* The same of a key that has no origin of its own; key is without prefix. */
static void
tell_of(struct files *files, const char *key, const char *problem)
{
	const struct config_listener *listener = files->listener;
	struct strbuf name = STRBUF_NULL;
	const struct config_option *option;
	const struct config_source *source = NULL;
	struct config_origin origin = {NULL, 0};

	strbuf_format(&name, "%s_%s", files->prefix, key);
	option = option_find(OPTION_LISTENER, strbuf_get(&name));
	if (option != NULL)
		source = config_source_find(
		    listener->sources, listener->source_count, option, 0);
	if (source != NULL) {
		origin.file = (char *)(uintptr_t)source->file;
		origin.line = source->line;
	}
	if (name.failed)
		files->failed = true;
	else
		tell(files, &origin, false, "%s: %s", strbuf_get(&name),
		    problem);
	strbuf_free(&name);
}

/* Try options as a client's, which may be without a certificate. */
static bool
try_client(struct files *files, struct weir_tls_context_options *options,
    const char *key)
{
	struct weir_tls_context *context = NULL;
	int r;

	r = weir_tls_context_new(
	    &context, options, files->text, sizeof(files->text));
	weir_tls_context_unref(context);
	if (r == 0)
		return true;
	if (r == -ENOMEM)
		files->failed = true;
	else
		tell_of(files, key, files->text);
	return false;
}

static void
check_settings(struct files *files)
{
	const struct config_tls *tls = files->tls;

	if (tls->ciphers != NULL &&
	    try_client(files,
		&(struct weir_tls_context_options){.ciphers = tls->ciphers},
		"ciphers"))
		files->ciphers = tls->ciphers;
	if (tls->ciphersuites != NULL)
		try_client(files,
		    &(struct weir_tls_context_options){
			.ciphersuites = tls->ciphersuites},
		    "ciphersuites");
	if (tls->ca != NULL)
		try_client(files,
		    &(struct weir_tls_context_options){.ca_file = tls->ca},
		    files->server ? "client_ca" : "ca");
	try_client(files,
	    &(struct weir_tls_context_options){
		.min_version = (enum weir_tls_version)tls->min_version},
	    "min_version");
	if (tls->max_version != CONFIG_TLS_DEFAULT)
		try_client(files,
		    &(struct weir_tls_context_options){
			.max_version = (enum weir_tls_version)tls->max_version},
		    "max_version");
}

/* "2026-11-21 10:00:00 UTC" */
static const char *
date_text(int64_t seconds, char *text, size_t size)
{
	time_t time = (time_t)seconds;
	struct tm tm;

	if (gmtime_r(&time, &tm) == NULL ||
	    strftime(text, size, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		(void)snprintf(text, size, "another age");
	return text;
}

static void
check_dates(struct files *files, const struct config_pair *pair,
    const struct weir_tls_context *context)
{
	int64_t from, until, now = (int64_t)time(NULL);
	char date[64];

	if (weir_tls_context_validity(context, 0, &from, &until) < 0)
		return;
	if (now > until)
		tell(files, &pair->certificate_origin, true,
		    "%s_certificate: %s: the certificate has expired at %s",
		    files->prefix, pair->certificate,
		    date_text(until, date, sizeof(date)));
	else if (now < from)
		tell(files, &pair->certificate_origin, true,
		    "%s_certificate: %s: the certificate is not valid before "
		    "%s",
		    files->prefix, pair->certificate,
		    date_text(from, date, sizeof(date)));
}

static void
check_pair(struct files *files, const struct config_pair *pair)
{
	struct weir_tls_context *context = NULL;
	struct weir_tls_context_options options;
	struct weir_tls_pair one;
	bool key;
	int r;

	set_pair(&one, pair);
	memset(&options, 0, sizeof(options));
	options.server = files->server;
	options.pairs = &one;
	options.pair_count = 1;
	options.pass_phrases = files->phrases.rows;
	options.pass_phrase_count = files->phrases.count;
	options.ciphers = files->ciphers; /* they may lower the demands */
	r = weir_tls_context_new(
	    &context, &options, files->text, sizeof(files->text));
	if (r == 0) {
		check_dates(files, pair, context);
		weir_tls_context_unref(context);
	} else if (r == -ENOMEM) {
		files->failed = true;
	} else {
		/* It begins with the file that it is about. */
		key = pair->key != NULL &&
		      strcmp(pair->key, pair->certificate) != 0 &&
		      strncmp(files->text, pair->key, strlen(pair->key)) == 0 &&
		      files->text[strlen(pair->key)] == ':';
		tell(files, key ? &pair->key_origin : &pair->certificate_origin,
		    false, "%s_%s: %s", files->prefix,
		    key ? "key" : "certificate", files->text);
	}
}

static void
check_files(struct files *files)
{
	size_t i;

	if (!files->tls->on)
		return;
	files->ciphers = NULL;
	check_settings(files);
	if (read_phrases(files->tls->password_file, &files->phrases,
		files->text, sizeof(files->text)) < 0)
		tell_of(files, "password_file", files->text);
	for (i = 0; i < files->tls->pair_count; i++)
		check_pair(files, &files->tls->pairs[i]);
	wipe(&files->phrases);
}

int
config_check_tls_files(
    const struct config *config, config_tls_mistake_fn *fn, void *user)
{
	struct files *files = calloc(1, sizeof(*files));
	bool failed;
	size_t i;

	if (files == NULL)
		return -ENOMEM;
	files->fn = fn;
	files->user = user;
	for (i = 0; i < config->listener_count; i++) {
		files->listener = config->listeners[i];
		files->tls = &files->listener->tls;
		files->prefix = "tls";
		files->server = true;
		check_files(files);
		files->tls = &files->listener->upstream_tls;
		files->prefix = "upstream_tls";
		files->server = false;
		check_files(files);
	}
	failed = files->failed;
	free(files);
	return failed ? -ENOMEM : 0;
}
