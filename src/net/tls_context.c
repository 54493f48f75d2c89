/*
 * Contexts: credentials, trust and settings, made whole or not at all, then
 * never changed; and the choice between certificates by a client's hello. A
 * context is counted, so that connections keep the one they began with when
 * their server's is exchanged.
 *
 * Off for good: renegotiation, early data, compression.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <weir/error.h>

#include "net/socket_priv.h"
#include "net/tls_priv.h"

#define SESSIONS_DEFAULT 20480
#define TICKET_KEY	 80

/* ---- settings ---- */

int
weir__tls_alpn(unsigned char **ret, size_t *length, const char *list)
{
	size_t size, at = 0, n;

	*ret = NULL;
	*length = 0;
	if (list == NULL || *list == '\0')
		return 0;
	size = strlen(list) + 1;
	*ret = malloc(size);
	if (*ret == NULL)
		return -ENOMEM;
	for (;;) {
		n = strcspn(list, ",");
		if (n == 0 || n > 255 || size > 65535) {
			free(*ret);
			*ret = NULL;
			return -EINVAL;
		}
		(*ret)[at] = (unsigned char)n;
		memcpy(*ret + at + 1, list, n);
		at += n + 1;
		if (list[n] == '\0')
			break;
		list += n + 1;
	}
	*length = at;
	return 0;
}

static int
version_number(enum weir_tls_version version)
{
	switch (version) {
	case WEIR_TLS_1_0:
		return TLS1_VERSION;
	case WEIR_TLS_1_1:
		return TLS1_1_VERSION;
	case WEIR_TLS_1_2:
		return TLS1_2_VERSION;
	case WEIR_TLS_1_3:
		return TLS1_3_VERSION;
	case WEIR_TLS_VERSION_DEFAULT:
	default:
		return 0;
	}
}

static int
set_versions(SSL_CTX *ssl, const struct weir_tls_context_options *o,
    struct weir__complaint *complaint)
{
	int least = version_number(o->min_version);
	int most = version_number(o->max_version);

	if (least == 0)
		least =
		    most != 0 && most < TLS1_2_VERSION ? most : TLS1_2_VERSION;
	if (most != 0 && most < least)
		return weir__complain(complaint, -EINVAL,
		    "the highest TLS version is below the lowest");
	if (SSL_CTX_set_min_proto_version(ssl, least) != 1 ||
	    SSL_CTX_set_max_proto_version(ssl, most) != 1)
		return weir__complain(complaint, -EINVAL,
		    "the TLS version is not supported by OpenSSL");
	return 0;
}

static int
set_ciphers(SSL_CTX *ssl, const struct weir_tls_context_options *o,
    struct weir__complaint *complaint)
{
	if (o->ciphers != NULL && SSL_CTX_set_cipher_list(ssl, o->ciphers) != 1)
		return weir__complain(complaint, -EINVAL,
		    "\"%s\" names no cipher of TLS 1.2 that OpenSSL knows",
		    o->ciphers);
	if (o->ciphersuites != NULL &&
	    SSL_CTX_set_ciphersuites(ssl, o->ciphersuites) != 1)
		return weir__complain(complaint, -EINVAL,
		    "\"%s\" is no list of TLS 1.3 cipher suites that OpenSSL "
		    "knows",
		    o->ciphersuites);
	return 0;
}

/* For ASK: what verification said is kept, and told when asked for. */
static int
let_in(int good, X509_STORE_CTX *context)
{
	(void)good;
	(void)context;
	return 1;
}

static void
set_verify(struct weir_tls_context *c, bool has_ca)
{
	if (c->verify == WEIR_TLS_VERIFY_DEFAULT && c->server)
		c->verify =
		    has_ca ? WEIR_TLS_VERIFY_OPTIONAL : WEIR_TLS_VERIFY_NONE;
	if (!c->server && c->verify == WEIR_TLS_VERIFY_NONE)
		c->verify = WEIR_TLS_VERIFY_ASK;
	else if (!c->server && c->verify != WEIR_TLS_VERIFY_ASK)
		c->verify = WEIR_TLS_VERIFY_REQUIRED;
	if (c->verify == WEIR_TLS_VERIFY_ASK)
		SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, let_in);
	else if (c->verify == WEIR_TLS_VERIFY_OPTIONAL)
		SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, NULL);
	else if (c->verify == WEIR_TLS_VERIFY_REQUIRED)
		SSL_CTX_set_verify(c->ssl,
		    SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	else
		SSL_CTX_set_verify(c->ssl, SSL_VERIFY_NONE, NULL);
}

static bool
digest_text(EVP_MD_CTX *digest, const char *text)
{
	return EVP_DigestUpdate(digest, text != NULL ? text : "",
		   text != NULL ? strlen(text) + 1 : 1) == 1;
}

/* What sessions are bound to, so that a ticket of one trust is none in the
 * other, and a cipher that is no longer wanted is not used any longer. */
static int
set_trust(struct weir_tls_context *c, const struct weir_tls_context_options *o,
    struct weir__complaint *complaint)
{
	bool has_ca =
	    o->ca_file != NULL || o->ca_directory != NULL || o->ca != NULL;
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
	unsigned char verify;
	int err = 0;

	if (digest == NULL || names == NULL ||
	    EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1)
		err = weir__complain(complaint, -ENOMEM, "out of memory");
	if (err == 0)
		err = weir__tls_load_ca(SSL_CTX_get_cert_store(c->ssl), names,
		    o, digest, complaint);
	if (err == 0 && !has_ca && !c->server &&
	    !weir__tls_trust_system(c->ssl))
		err = weir__complain(complaint, WEIR_E_TLS_CREDENTIALS,
		    "the system's CAs cannot be used");
	if (err == 0 && c->server && !has_ca &&
	    (c->verify == WEIR_TLS_VERIFY_OPTIONAL ||
		c->verify == WEIR_TLS_VERIFY_REQUIRED))
		err = weir__complain(complaint, -EINVAL,
		    "clients' certificates are to be verified, and no CA is "
		    "given");
	if (err == 0) {
		set_verify(c, has_ca);
		verify = (unsigned char)c->verify;
		if (EVP_DigestUpdate(digest, &verify, 1) != 1 ||
		    !digest_text(digest, o->ciphers) ||
		    !digest_text(digest, o->ciphersuites) ||
		    EVP_DigestFinal_ex(digest, c->trust, NULL) != 1)
			err =
			    weir__complain(complaint, -ENOMEM, "out of memory");
	}
	if (err == 0 && c->server) {
		SSL_CTX_set_client_CA_list(c->ssl, names);
		names = NULL;
	}
	sk_X509_NAME_pop_free(names, X509_NAME_free);
	EVP_MD_CTX_free(digest);
	return err;
}

/* ---- what a client asks for ---- */

/* The server name of a hello, lower case and without a last dot. */
static int
read_sni(SSL *ssl, char **ret)
{
	const unsigned char *p;
	size_t length, n, i;

	*ret = NULL;
	if (SSL_client_hello_get0_ext(
		ssl, TLSEXT_TYPE_server_name, &p, &length) != 1)
		return 0;
	/* A list of one: its length, the kind, the name's length. */
	if (length < 5 || p[2] != TLSEXT_NAMETYPE_host_name)
		return 0;
	n = (size_t)p[3] << 8 | p[4];
	if (n == 0 || n > 255 || n > length - 5 || memchr(p + 5, 0, n) != NULL)
		return 0; /* OpenSSL says the rest */
	*ret = malloc(n + 1);
	if (*ret == NULL)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		(*ret)[i] = (char)tolower(p[5 + i]);
	if (n > 1 && (*ret)[n - 1] == '.')
		n--;
	(*ret)[n] = '\0';
	return 0;
}

static bool
has_name(const struct weir__tls_identity *identity, const char *name, bool wild)
{
	const char *rest = wild ? strchr(name, '.') : NULL;
	size_t i;

	if (wild && (rest == NULL || rest == name))
		return false;
	for (i = 0; i < identity->name_count; i++) {
		const char *own = identity->names[i];

		if (wild && own[0] == '*' && strcmp(own + 1, rest) == 0)
			return true;
		if (!wild && strcmp(own, name) == 0)
			return true;
	}
	return false;
}

static int
use(SSL *ssl, const struct weir__tls_identity *identity)
{
	return SSL_use_cert_and_key(
	    ssl, identity->certificate, identity->key, identity->chain, 1);
}

/* Give SSL the identities for a name, one a kind of key; the first of them. */
static const struct weir__tls_identity *
use_all(SSL *ssl, const struct weir_tls_context *c, const char *name, bool wild)
{
	const struct weir__tls_identity *first = NULL, *each;
	int kinds[8];
	size_t i, k, count = 0;

	for (i = 0; i < c->identity_count && count < 8; i++) {
		each = &c->identities[i];
		if (!has_name(each, name, wild))
			continue;
		for (k = 0; k < count; k++)
			if (kinds[k] == EVP_PKEY_get_base_id(each->key))
				break;
		if (k < count)
			continue;
		if (first == NULL)
			SSL_certs_clear(ssl);
		if (use(ssl, each) != 1)
			continue; /* OpenSSL's security level forbids it */
		kinds[count++] = EVP_PKEY_get_base_id(each->key);
		if (first == NULL)
			first = each;
	}
	return first;
}

/* A session is for one certificate and one trust. */
static int
bind_sessions(SSL *ssl, const struct weir_tls_context *c,
    const struct weir__tls_identity *identity)
{
	unsigned char both[sizeof(c->trust)];
	unsigned i;

	for (i = 0; i < sizeof(both); i++)
		both[i] = identity->print[i] ^ c->trust[i];
	return SSL_set_session_id_context(ssl, both, sizeof(both));
}

/* First of all, before a session is looked up. */
static int
on_hello(SSL *ssl, int *alert, void *user)
{
	struct weir__tls *tls = SSL_get_app_data(ssl);
	const struct weir_tls_context *c = tls->context;
	const struct weir__tls_identity *chosen = NULL;

	(void)user;
	free(tls->sni);
	if (read_sni(ssl, &tls->sni) == 0) {
		if (tls->sni != NULL)
			chosen = use_all(ssl, c, tls->sni, false);
		if (tls->sni != NULL && chosen == NULL)
			chosen = use_all(ssl, c, tls->sni, true);
		if (bind_sessions(ssl, c,
			chosen != NULL ? chosen : &c->identities[0]) == 1)
			return SSL_CLIENT_HELLO_SUCCESS;
	}
	*alert = SSL_AD_INTERNAL_ERROR;
	return SSL_CLIENT_HELLO_ERROR;
}

static int
on_alpn(SSL *ssl, const unsigned char **ret, unsigned char *ret_length,
    const unsigned char *offered, unsigned length, void *user)
{
	const struct weir__tls *tls = SSL_get_app_data(ssl);
	bool own = tls->alpn != NULL;
	const unsigned char *list = own ? tls->alpn : tls->context->alpn;
	size_t size = own ? tls->alpn_length : tls->context->alpn_length;
	size_t i, k;

	(void)user;
	if (list == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	for (i = 0; i < size; i += 1u + list[i]) {
		for (k = 0; k < length && k + offered[k] < length;
		     k += 1u + offered[k]) {
			if (offered[k] != list[i] ||
			    memcmp(offered + k, list + i, 1u + list[i]) != 0)
				continue;
			*ret = offered + k + 1;
			*ret_length = offered[k];
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ---- resumption ---- */

static int
on_new_session(SSL *ssl, SSL_SESSION *session)
{
	struct weir__tls *tls = SSL_get_app_data(ssl);

	(void)session;
	weir__socket_defer(tls->socket, WEIR__DUE_SESSION);
	return 0; /* it stays OpenSSL's */
}

static int
set_sessions(struct weir_tls_context *c,
    const struct weir_tls_context_options *o, struct weir__complaint *complaint)
{
	SSL_CTX *ssl = c->ssl;
	long count =
	    o->session_cache != 0 ? o->session_cache : SESSIONS_DEFAULT;

	if (!o->server) {
		(void)SSL_CTX_set_session_cache_mode(
		    ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(ssl, on_new_session);
		return 0;
	}
	(void)SSL_CTX_set_session_cache_mode(
	    ssl, count > 0 ? SSL_SESS_CACHE_SERVER : SSL_SESS_CACHE_OFF);
	if (count > 0 && o->cache != NULL)
		weir__tls_cache_use(c, o->cache);
	else if (count > 0)
		(void)SSL_CTX_sess_set_cache_size(ssl, count);
	if (o->no_tickets)
		(void)SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
	if (o->no_tickets && count <= 0)
		(void)SSL_CTX_set_num_tickets(ssl, 0);
	if (o->ticket_key != NULL &&
	    (o->ticket_key_length != TICKET_KEY ||
		SSL_CTX_set_tlsext_ticket_keys(
		    ssl, (void *)(uintptr_t)o->ticket_key, TICKET_KEY) != 1))
		return weir__complain(complaint, -EINVAL,
		    "the ticket key has %zu bytes, and %d are needed",
		    o->ticket_key_length, TICKET_KEY);
	return 0;
}

/* ---- identities ---- */

static int
use_first(struct weir_tls_context *c, const char *file,
    struct weir__complaint *complaint)
{
	const struct weir__tls_identity *first = &c->identities[0];
	const char *reason;

	if (SSL_CTX_use_cert_and_key(
		c->ssl, first->certificate, first->key, first->chain, 1) == 1)
		return 0;
	reason = ERR_reason_error_string(ERR_peek_error());
	return weir__complain(complaint, WEIR_E_TLS_CREDENTIALS,
	    "%s: the certificate cannot be used: %s",
	    file != NULL ? file : "the certificate",
	    reason != NULL ? reason : "unknown reason");
}

static int
load_identities(struct weir_tls_context *c,
    const struct weir_tls_context_options *o, struct weir__complaint *complaint)
{
	size_t i;
	int err = 0;

	if (o->pair_count == 0)
		return o->server ? weir__complain(complaint, -EINVAL,
				       "a server needs a certificate and a key")
				 : 0;
	c->identities = calloc(o->pair_count, sizeof(*c->identities));
	if (c->identities == NULL)
		return weir__complain(complaint, -ENOMEM, "out of memory");
	for (i = 0; err == 0 && i < o->pair_count; i++) {
		err = weir__tls_identity_load(
		    &c->identities[i], &o->pairs[i], o, complaint);
		if (err == 0)
			c->identity_count++;
	}
	if (err == 0)
		err = use_first(c, o->pairs[0].certificate_file, complaint);
	return err;
}

/* ---- a context ---- */

static int
set_up(struct weir_tls_context *c, const struct weir_tls_context_options *o,
    struct weir__complaint *complaint)
{
	int err = set_versions(c->ssl, o, complaint);

	(void)SSL_CTX_set_options(
	    c->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	(void)SSL_CTX_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(c->ssl, 1);
	(void)SSL_CTX_set_dh_auto(c->ssl, 1);
	if (o->server) {
		SSL_CTX_set_client_hello_cb(c->ssl, on_hello, NULL);
		SSL_CTX_set_alpn_select_cb(c->ssl, on_alpn, NULL);
	}
	/* Ciphers first: they set the security level for what follows. */
	if (err == 0)
		err = set_ciphers(c->ssl, o, complaint);
	if (err == 0)
		err = load_identities(c, o, complaint);
	if (err == 0)
		err = set_trust(c, o, complaint);
	if (err == 0)
		err = set_sessions(c, o, complaint);
	if (err == 0) {
		err = weir__tls_alpn(&c->alpn, &c->alpn_length, o->alpn);
		if (err == -EINVAL)
			(void)weir__complain(complaint, err,
			    "\"%s\" is no list of protocols divided by commas",
			    o->alpn);
	}
	return err;
}

int
weir_tls_context_new(struct weir_tls_context **ret,
    const struct weir_tls_context_options *options, char *text,
    size_t text_size)
{
	static const struct weir_tls_context_options none = {0};
	static atomic_uint_fast64_t numbers;
	const struct weir_tls_context_options *o =
	    options != NULL ? options : &none;
	struct weir__complaint complaint = {.text = text, .size = text_size};
	struct weir_tls_context *c;
	int err;

	if (ret == NULL)
		return -EINVAL;
	c = calloc(1, sizeof(*c));
	if (c != NULL)
		c->ssl = SSL_CTX_new(TLS_method());
	if (c != NULL)
		c->bio = weir__tls_bio_method();
	if (c == NULL || c->ssl == NULL || c->bio == NULL) {
		if (c != NULL)
			SSL_CTX_free(c->ssl);
		free(c);
		return weir__complain(&complaint, -ENOMEM, "out of memory");
	}
	c->references = 1;
	c->number = ++numbers;
	c->server = o->server;
	c->verify = o->verify;
	err = set_up(c, o, &complaint);
	if (err != 0) {
		weir_tls_context_unref(c);
		return err;
	}
	*ret = c;
	return 0;
}

bool
weir_tls_context_is_server(const struct weir_tls_context *c)
{
	return c != NULL && c->server;
}

/* A date that is none is one that is over. */
static int64_t
seconds(const ASN1_TIME *time)
{
	struct tm tm;

	memset(&tm, 0, sizeof(tm));
	return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

int
weir_tls_context_validity(const struct weir_tls_context *c, size_t index,
    int64_t *from, int64_t *until)
{
	const X509 *certificate;

	if (c == NULL || index >= c->identity_count)
		return -EINVAL;
	certificate = c->identities[index].certificate;
	if (from != NULL)
		*from = seconds(X509_get0_notBefore(certificate));
	if (until != NULL)
		*until = seconds(X509_get0_notAfter(certificate));
	return 0;
}

struct weir_tls_context *
weir_tls_context_ref(struct weir_tls_context *c)
{
	if (c != NULL)
		c->references++;
	return c;
}

void
weir_tls_context_unref(struct weir_tls_context *c)
{
	size_t i;

	if (c == NULL || --c->references > 0)
		return;
	for (i = 0; i < c->identity_count; i++)
		weir__tls_identity_free(&c->identities[i]);
	free(c->identities);
	free(c->alpn);
	SSL_CTX_free(c->ssl);
	weir_tls_cache_unref(c->cache);
	BIO_meth_free(c->bio);
	free(c);
}
