/*
 * Certificates, keys and CAs from PEM, of files or of memory. Whatever is
 * wrong is told with the file's name. Which certificate is for whom, and what
 * is done with them, is tls_context.c's.
 */
#include "config.h"

#include <sys/stat.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <weir/error.h>

#include "net/tls_priv.h"

#define FILE_AT_MOST (64L * 1024 * 1024)

int
weir__complain(
    struct weir__complaint *complaint, int err, const char *format, ...)
{
	va_list args;

	if (complaint->text != NULL && complaint->size > 0) {
		va_start(args, format);
		(void)vsnprintf(complaint->text, complaint->size, format, args);
		va_end(args);
	}
	ERR_clear_error();
	return err;
}

/* ---- reading ---- */

/* PEM text: a file's, which is read and wiped again, or the caller's. */
struct text {
	const char *name;
	char *own;
	const void *data;
	size_t length;
};

static void
text_free(struct text *text)
{
	if (text->own != NULL)
		OPENSSL_cleanse(text->own, text->length);
	free(text->own);
	text->own = NULL;
}

static int
read_all(int fd, char *to, size_t length)
{
	size_t done = 0;
	ssize_t n;

	while (done < length) {
		n = read(fd, to + done, length - done);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 ? -EIO : -errno;
		done += (size_t)n;
	}
	return 0;
}

static int
read_open_file(struct text *text, int fd)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > FILE_AT_MOST)
		return -EFBIG;
	text->length = (size_t)st.st_size;
	text->own = malloc(text->length + 1);
	if (text->own == NULL)
		return -ENOMEM;
	text->data = text->own;
	return read_all(fd, text->own, text->length);
}

static int
read_file(
    struct text *text, const char *file, struct weir__complaint *complaint)
{
	int fd, err;

	*text = (struct text){.name = file};
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1)
		return weir__complain(complaint, -errno,
		    "%s: cannot be read: %s", file, weir_error_text(-errno));
	err = read_open_file(text, fd);
	(void)close(fd);
	if (err == 0)
		return 0;
	text_free(text);
	return weir__complain(complaint, err, "%s: cannot be read: %s", file,
	    err == -EINVAL ? "it is no regular file" : weir_error_text(err));
}

static int
get_text(struct text *text, const char *file, const void *data, size_t length,
    const char *what, struct weir__complaint *complaint)
{
	if (file != NULL)
		return read_file(text, file, complaint);
	*text = (struct text){.name = what, .data = data, .length = length};
	return 0;
}

static BIO *
open_text(const struct text *text)
{
	if (text->length > INT32_MAX)
		return NULL;
	return BIO_new_mem_buf(
	    text->length > 0 ? text->data : "", (int)text->length);
}

/* What is wrong with a PEM text, of which something was expected. */
static int
complain_pem(struct weir__complaint *complaint, const struct text *text,
    const char *what)
{
	unsigned long e = ERR_peek_error();
	const char *reason = ERR_reason_error_string(e);

	if (e == 0 || (ERR_GET_LIB(e) == ERR_LIB_PEM &&
			  ERR_GET_REASON(e) == PEM_R_NO_START_LINE))
		return weir__complain(complaint, WEIR_E_TLS_CREDENTIALS,
		    "%s: there is no %s in it (PEM is expected)", text->name,
		    what);
	return weir__complain(complaint, WEIR_E_TLS_CREDENTIALS,
	    "%s: the %s in it is damaged: %s", text->name, what,
	    reason != NULL ? reason : "unknown reason");
}

/* A reader of PEM stops at the end of it, or at what it cannot read. */
static bool
at_end(void)
{
	unsigned long e = ERR_peek_last_error();

	return e == 0 || (ERR_GET_LIB(e) == ERR_LIB_PEM &&
			     ERR_GET_REASON(e) == PEM_R_NO_START_LINE);
}

/* ---- a chain ---- */

static int
read_chain(struct weir__tls_identity *to, const struct text *text,
    struct weir__complaint *complaint)
{
	BIO *bio = open_text(text);
	X509 *next;
	int err = 0;

	to->chain = sk_X509_new_null();
	if (bio == NULL || to->chain == NULL) {
		BIO_free(bio);
		return weir__complain(complaint, -ENOMEM, "out of memory");
	}
	ERR_clear_error();
	to->certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
	if (to->certificate == NULL)
		err = complain_pem(complaint, text, "certificate");
	while (err == 0) {
		next = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		if (next == NULL)
			break;
		if (sk_X509_push(to->chain, next) == 0) {
			X509_free(next);
			err =
			    weir__complain(complaint, -ENOMEM, "out of memory");
		}
	}
	if (err == 0 && !at_end())
		err = complain_pem(complaint, text, "certificate");
	ERR_clear_error();
	BIO_free(bio);
	return err;
}

/* ---- a key ---- */

struct phrase {
	const char *text; /* NULL: there is none */
	bool asked;
};

static int
give_phrase(char *to, int size, int writing, void *user)
{
	struct phrase *phrase = user;
	size_t length;

	(void)writing;
	phrase->asked = true;
	if (phrase->text == NULL)
		return -1;
	length = strlen(phrase->text);
	if (length > (size_t)size)
		return -1;
	memcpy(to, phrase->text, length);
	return (int)length;
}

static EVP_PKEY *
read_key_with(const struct text *text, struct phrase *phrase)
{
	BIO *bio = open_text(text);
	EVP_PKEY *key = NULL;

	if (bio != NULL)
		key = PEM_read_bio_PrivateKey(bio, NULL, give_phrase, phrase);
	BIO_free(bio);
	return key;
}

static int
read_key(struct weir__tls_identity *to, const struct text *text,
    const struct weir_tls_context_options *o, struct weir__complaint *complaint)
{
	struct phrase phrase = {0};
	size_t i;

	ERR_clear_error();
	to->key = read_key_with(text, &phrase);
	for (i = 0; to->key == NULL && phrase.asked && i < o->pass_phrase_count;
	     i++) {
		phrase.text = o->pass_phrases[i];
		to->key = read_key_with(text, &phrase);
	}
	if (to->key != NULL) {
		ERR_clear_error();
		return 0;
	}
	if (!phrase.asked) {
		/* OpenSSL's decoders do not tell nothing from nonsense. */
		if (memmem(text->data, text->length, "PRIVATE KEY-----", 16) ==
		    NULL)
			ERR_clear_error();
		return complain_pem(complaint, text, "private key");
	}
	return weir__complain(complaint, WEIR_E_TLS_CREDENTIALS,
	    o->pass_phrase_count == 0
		? "%s: the private key is encrypted, and no pass phrase is "
		  "given"
		: "%s: the private key is encrypted, and no pass phrase fits",
	    text->name);
}

/* ---- names ---- */

static int
add_name(struct weir__tls_identity *to, const ASN1_STRING *name)
{
	int i, length = ASN1_STRING_length(name);
	const unsigned char *text = ASN1_STRING_get0_data(name);
	char **grown, *own;

	if (length <= 0 || memchr(text, '\0', (size_t)length) != NULL)
		return 0; /* can be nobody's */
	grown = realloc(to->names, (to->name_count + 1) * sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	to->names = grown;
	own = malloc((size_t)length + 1);
	if (own == NULL)
		return -ENOMEM;
	for (i = 0; i < length; i++)
		own[i] = (char)tolower(text[i]);
	own[length] = '\0';
	to->names[to->name_count++] = own;
	return 0;
}

/* The names it is for: the alternative ones or, where it has none, CN. */
static int
read_names(struct weir__tls_identity *to)
{
	GENERAL_NAMES *all =
	    X509_get_ext_d2i(to->certificate, NID_subject_alt_name, NULL, NULL);
	const X509_NAME *subject = X509_get_subject_name(to->certificate);
	int i, err = 0, at;

	for (i = 0; err == 0 && i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);

		if (name->type == GEN_DNS)
			err = add_name(to, name->d.dNSName);
	}
	GENERAL_NAMES_free(all);
	at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	if (err == 0 && to->name_count == 0 && at >= 0)
		err = add_name(to,
		    X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	ERR_clear_error();
	return err;
}

/* ---- an identity ---- */

static int
load_key(struct weir__tls_identity *to, const struct weir_tls_pair *pair,
    const struct text *chain, const struct weir_tls_context_options *o,
    struct weir__complaint *complaint)
{
	struct text text = *chain;
	bool own = pair->key_file != NULL || pair->key != NULL;
	int err = 0;

	if (own)
		err = get_text(&text, pair->key_file, pair->key,
		    pair->key_length, "the key", complaint);
	if (err != 0)
		return err;
	err = read_key(to, &text, o, complaint);
	if (err == 0 && X509_check_private_key(to->certificate, to->key) != 1)
		err = weir__complain(complaint, WEIR_E_TLS_CREDENTIALS,
		    "%s: the private key does not belong to the certificate "
		    "in %s",
		    text.name, chain->name);
	if (own)
		text_free(&text);
	return err;
}

int
weir__tls_identity_load(struct weir__tls_identity *ret,
    const struct weir_tls_pair *pair, const struct weir_tls_context_options *o,
    struct weir__complaint *complaint)
{
	struct text chain;
	int err;

	*ret = (struct weir__tls_identity){0};
	if (pair->certificate_file == NULL && pair->certificate == NULL)
		return weir__complain(
		    complaint, -EINVAL, "a pair has no certificate");
	err = get_text(&chain, pair->certificate_file, pair->certificate,
	    pair->certificate_length, "the certificate", complaint);
	if (err != 0)
		return err;
	err = read_chain(ret, &chain, complaint);
	if (err == 0)
		err = load_key(ret, pair, &chain, o, complaint);
	if (err == 0) {
		err = X509_digest(
			  ret->certificate, EVP_sha256(), ret->print, NULL) == 1
			  ? read_names(ret)
			  : -ENOMEM;
		if (err != 0)
			(void)weir__complain(complaint, err, "out of memory");
	}
	text_free(&chain);
	if (err != 0)
		weir__tls_identity_free(ret);
	return err;
}

void
weir__tls_identity_free(struct weir__tls_identity *identity)
{
	size_t i;

	X509_free(identity->certificate);
	sk_X509_pop_free(identity->chain, X509_free);
	EVP_PKEY_free(identity->key);
	for (i = 0; i < identity->name_count; i++)
		free(identity->names[i]);
	free(identity->names);
	*identity = (struct weir__tls_identity){0};
}

/* ---- CAs ---- */

static int
add_ca(X509_STORE *store, STACK_OF(X509_NAME) * names, X509 *ca,
    EVP_MD_CTX *digest)
{
	unsigned char print[EVP_MAX_MD_SIZE];
	unsigned length;
	X509_NAME *name;

	if (X509_STORE_add_cert(store, ca) != 1 ||
	    X509_digest(ca, EVP_sha256(), print, &length) != 1 ||
	    EVP_DigestUpdate(digest, print, length) != 1)
		return -ENOMEM;
	name = X509_NAME_dup(X509_get_subject_name(ca));
	if (name == NULL || sk_X509_NAME_push(names, name) == 0) {
		X509_NAME_free(name);
		return -ENOMEM;
	}
	return 0;
}

static int
load_ca_text(X509_STORE *store, STACK_OF(X509_NAME) * names,
    const struct text *text, EVP_MD_CTX *digest,
    struct weir__complaint *complaint)
{
	BIO *bio = open_text(text);
	int err = bio != NULL ? 0 : -ENOMEM, count = 0;
	X509 *ca;

	ERR_clear_error();
	while (err == 0) {
		ca = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
		if (ca == NULL)
			break;
		err = add_ca(store, names, ca, digest);
		X509_free(ca);
		count++;
	}
	BIO_free(bio);
	if (err != 0)
		return weir__complain(complaint, err, "out of memory");
	if (count == 0 || !at_end())
		return complain_pem(complaint, text, "CA certificate");
	ERR_clear_error();
	return 0;
}

static int
load_ca_directory(X509_STORE *store, const char *directory, EVP_MD_CTX *digest,
    struct weir__complaint *complaint)
{
	struct stat st;
	int err = 0;

	if (stat(directory, &st) == -1)
		err = -errno;
	else if (!S_ISDIR(st.st_mode))
		err = -ENOTDIR;
	else if (access(directory, R_OK | X_OK) == -1)
		err = -errno;
	if (err != 0)
		return weir__complain(complaint, err,
		    "%s: cannot be used as a directory of CAs: %s", directory,
		    weir_error_text(err));
	if (X509_STORE_load_path(store, directory) != 1 ||
	    EVP_DigestUpdate(digest, directory, strlen(directory)) != 1)
		return weir__complain(complaint, -ENOMEM, "out of memory");
	return 0;
}

int
weir__tls_load_ca(X509_STORE *store, STACK_OF(X509_NAME) * names,
    const struct weir_tls_context_options *o, EVP_MD_CTX *digest,
    struct weir__complaint *complaint)
{
	struct text text;
	int err = 0;

	if (o->ca_file != NULL) {
		err = read_file(&text, o->ca_file, complaint);
		if (err == 0)
			err = load_ca_text(
			    store, names, &text, digest, complaint);
		text_free(&text);
	}
	if (err == 0 && o->ca != NULL) {
		text = (struct text){
		    .name = "the CAs", .data = o->ca, .length = o->ca_length};
		err = load_ca_text(store, names, &text, digest, complaint);
	}
	if (err == 0 && o->ca_directory != NULL)
		err = load_ca_directory(
		    store, o->ca_directory, digest, complaint);
	return err;
}
