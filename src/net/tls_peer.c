/*
 * What TLS tells of the other side, and of itself when it fails: the texts of
 * errors, what the handshake agreed upon, the peer's certificate, sessions.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <weir/error.h>

#include "net/socket_priv.h"
#include "net/tls_priv.h"

/* ---- errors ---- */

void
weir__tls_set_error(struct weir__tls *t, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	free(t->error);
	t->error = strdup(text); /* without memory there is no text */
}

static int
judge_certificate(struct weir__tls *t)
{
	t->verify_result = SSL_get_verify_result(t->ssl);
	weir__tls_set_error(t, "the peer's certificate: %s%s%s",
	    X509_verify_cert_error_string(t->verify_result),
	    t->name != NULL ? ", for " : "", t->name != NULL ? t->name : "");
	return WEIR_E_TLS_CERTIFICATE;
}

static int
judge_ssl(struct weir__tls *t, unsigned long e, bool handshake)
{
	int code = ERR_GET_REASON(e);
	const char *reason = ERR_reason_error_string(e);

	if (ERR_GET_LIB(e) == ERR_LIB_SSL && code > SSL_AD_REASON_OFFSET &&
	    code < SSL_AD_REASON_OFFSET + 256) {
		/* "tlsv1 alert unknown ca"; newer ones have no other text. */
		if (reason != NULL && strstr(reason, "alert ") != NULL)
			reason = strstr(reason, "alert ") + strlen("alert ");
		weir__tls_set_error(t, "the peer sent an alert: %s",
		    reason != NULL ? reason : "unknown");
		return WEIR_E_TLS_ALERT;
	}
	if (code == SSL_R_CERTIFICATE_VERIFY_FAILED)
		return judge_certificate(t);
	weir__tls_set_error(
	    t, "%s", reason != NULL ? reason : "OpenSSL does not say why");
	if (code == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
		return WEIR_E_TLS_NO_CERTIFICATE;
	if (code == ERR_R_MALLOC_FAILURE)
		return -ENOMEM;
	return handshake ? WEIR_E_TLS_HANDSHAKE : WEIR_E_TLS_PROTOCOL;
}

int
weir__tls_judge(struct weir__tls *t, bool handshake)
{
	unsigned long e = ERR_peek_error();
	int err;

	if (t->io_error != 0) {
		err = t->io_error;
		weir__tls_set_error(
		    t, "the connection broke: %s", weir_error_text(err));
	} else if (t->io_eof) {
		weir__tls_set_error(t, "the peer ended the connection %s",
		    handshake ? "during the handshake" : "without closing TLS");
		err = handshake ? WEIR_E_TLS_HANDSHAKE : WEIR_E_TLS_TRUNCATED;
	} else {
		err = judge_ssl(t, e, handshake);
	}
	ERR_clear_error();
	return err;
}

static const struct weir__tls *
tls_of(const struct weir_socket *s)
{
	return s != NULL ? weir__tls(s) : NULL;
}

/* ... where its handshake is done and it is open; or NULL. */
static const struct weir__tls *
secured(const struct weir_socket *s)
{
	const struct weir__tls *t = tls_of(s);

	return t != NULL && t->ready && t->ssl != NULL ? t : NULL;
}

const char *
weir_socket_tls_error(const struct weir_socket *s)
{
	const struct weir__tls *t = tls_of(s);

	return t != NULL ? t->error : NULL;
}

bool
weir_socket_tls_no_hello(const struct weir_socket *s)
{
	const struct weir__tls *t = tls_of(s);

	return t != NULL && t->no_hello;
}

/* ---- the handshake's result ---- */

/* OpenSSL lets a server choose what nobody offered. */
static bool
was_offered(
    const struct weir__tls *t, const unsigned char *name, unsigned length)
{
	bool own = t->alpn != NULL;
	const unsigned char *list = own ? t->alpn : t->context->alpn;
	size_t i, size = own ? t->alpn_length : t->context->alpn_length;

	for (i = 0; i < size; i += 1u + list[i])
		if (list[i] == length &&
		    memcmp(list + i + 1, name, length) == 0)
			return true;
	return false;
}

static int
note_alpn(struct weir__tls *t)
{
	const unsigned char *name;
	unsigned length;

	SSL_get0_alpn_selected(t->ssl, &name, &length);
	if (length == 0)
		return 0;
	if (!was_offered(t, name, length)) {
		weir__tls_set_error(
		    t, "the server chose a protocol that was not offered");
		return WEIR_E_TLS_HANDSHAKE;
	}
	t->chosen_alpn = strndup((const char *)name, length);
	return t->chosen_alpn != NULL ? 0 : -ENOMEM;
}

int
weir__tls_note_peer(struct weir__tls *t)
{
	t->protocol = SSL_get_version(t->ssl);
	t->cipher = SSL_get_cipher_name(t->ssl);
	t->resumed = SSL_session_reused(t->ssl) == 1;
	t->has_peer = SSL_get0_peer_certificate(t->ssl) != NULL;
	t->verify_result = SSL_get_verify_result(t->ssl);
	return note_alpn(t);
}

bool
weir_socket_is_tls(const struct weir_socket *s)
{
	return tls_of(s) != NULL;
}

bool
weir_socket_is_secure(const struct weir_socket *s)
{
	return secured(s) != NULL;
}

int
weir_socket_tls_info(const struct weir_socket *s, struct weir_tls_info *ret)
{
	const struct weir__tls *t = tls_of(s);

	if (ret == NULL)
		return -EINVAL;
	*ret = (struct weir_tls_info){0};
	if (t == NULL || !t->ready)
		return WEIR_E_NOT_SECURE;
	ret->protocol = t->protocol;
	ret->cipher = t->cipher;
	ret->alpn = t->chosen_alpn;
	ret->sni = t->sni;
	ret->resumed = t->resumed;
	return 0;
}

int
weir_socket_verify_peer(const struct weir_socket *s, const char **text)
{
	const struct weir__tls *t = tls_of(s);
	int err = 0;

	if (t == NULL || (!t->ready && t->verify_result == X509_V_OK))
		err = WEIR_E_NOT_SECURE;
	else if (t->verify_result != X509_V_OK)
		err = WEIR_E_TLS_CERTIFICATE;
	else if (!t->has_peer)
		err = WEIR_E_TLS_NO_CERTIFICATE;
	if (text != NULL)
		*text = err == WEIR_E_TLS_CERTIFICATE
			    ? X509_verify_cert_error_string(t->verify_result)
			    : weir_error_text(err);
	if (text != NULL && err == 0)
		*text = "the certificate is good";
	return err;
}

/* ---- the certificate ---- */

static void
print_serial(BIO *to, const X509 *certificate)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
	BIGNUM *number = ASN1_INTEGER_to_BN(serial, NULL);

	if (number != NULL)
		(void)BN_print(to, number);
	BN_free(number);
}

static void
print_fingerprint(BIO *to, const X509 *certificate)
{
	unsigned char print[EVP_MAX_MD_SIZE];
	unsigned i, length;

	if (X509_digest(certificate, EVP_sha256(), print, &length) != 1)
		return;
	for (i = 0; i < length; i++)
		(void)BIO_printf(to, i > 0 ? ":%02X" : "%02X", print[i]);
}

/* A name that has a comma in it could pass for two: it is quoted. */
static void
print_text(BIO *to, const ASN1_STRING *text)
{
	const unsigned char *p = ASN1_STRING_get0_data(text);
	int i, n = ASN1_STRING_length(text);
	bool quote = n == 0;

	for (i = 0; i < n; i++)
		quote = quote || p[i] <= ' ' || p[i] > '~' || p[i] == ',' ||
			p[i] == '"' || p[i] == '\\' || p[i] == '\'';
	if (quote)
		(void)BIO_puts(to, "\"");
	for (i = 0; i < n; i++) {
		if (p[i] < ' ' || p[i] > '~')
			(void)BIO_printf(to, "\\x%02X", p[i]);
		else if (p[i] == '"' || p[i] == '\\')
			(void)BIO_printf(to, "\\%c", p[i]);
		else
			(void)BIO_printf(to, "%c", p[i]);
	}
	if (quote)
		(void)BIO_puts(to, "\"");
}

static void
print_ip(BIO *to, const ASN1_OCTET_STRING *ip)
{
	char text[INET6_ADDRSTRLEN];
	int n = ASN1_STRING_length(ip);

	if ((n != 4 && n != 16) ||
	    inet_ntop(n == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(ip),
		text, sizeof(text)) == NULL)
		(void)BIO_puts(to, "<invalid>");
	else
		(void)BIO_puts(to, text);
}

static void
print_alternative(BIO *to, const GENERAL_NAME *name)
{
	switch (name->type) {
	case GEN_DNS:
		(void)BIO_puts(to, "DNS:");
		print_text(to, name->d.dNSName);
		break;
	case GEN_IPADD:
		(void)BIO_puts(to, "IP Address:");
		print_ip(to, name->d.iPAddress);
		break;
	case GEN_EMAIL:
		(void)BIO_puts(to, "email:");
		print_text(to, name->d.rfc822Name);
		break;
	case GEN_URI:
		(void)BIO_puts(to, "URI:");
		print_text(to, name->d.uniformResourceIdentifier);
		break;
	case GEN_DIRNAME:
		(void)BIO_puts(to, "DirName:");
		(void)X509_NAME_print_ex(
		    to, name->d.directoryName, 0, XN_FLAG_RFC2253);
		break;
	default:
		(void)BIO_puts(to, "other:<unsupported>");
		break;
	}
}

static void
print_alternatives(BIO *to, const X509 *certificate)
{
	GENERAL_NAMES *all =
	    X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	int i;

	for (i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		if (i > 0)
			(void)BIO_puts(to, ", ");
		print_alternative(to, sk_GENERAL_NAME_value(all, i));
	}
	GENERAL_NAMES_free(all);
}

#define FIELDS	   8
#define NAME_FLAGS (XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB)

/* The most specific CN as it is, for machines; a NUL in it would end it. */
static void
print_common_name(BIO *to, const X509 *x)
{
	const X509_NAME *subject = X509_get_subject_name(x);
	unsigned char *text = NULL;
	int at = -1, last = -1, n;

	while (
	    (at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0)
		last = at;
	if (last < 0)
		return;
	n = ASN1_STRING_to_UTF8(&text,
	    X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last)));
	if (n > 0 && memchr(text, '\0', (size_t)n) == NULL)
		(void)BIO_write(to, text, n);
	OPENSSL_free(text);
}

static void
print_field(BIO *to, int field, X509 *x)
{
	switch (field) {
	case 0:
		(void)X509_NAME_print_ex(
		    to, X509_get_subject_name(x), 0, NAME_FLAGS);
		break;
	case 1:
		(void)X509_NAME_print_ex(
		    to, X509_get_issuer_name(x), 0, NAME_FLAGS);
		break;
	case 2:
		(void)ASN1_TIME_print(to, X509_get0_notBefore(x));
		break;
	case 3:
		(void)ASN1_TIME_print(to, X509_get0_notAfter(x));
		break;
	case 4:
		print_fingerprint(to, x);
		break;
	case 5:
		print_serial(to, x);
		break;
	case 6:
		print_alternatives(to, x);
		break;
	default:
		print_common_name(to, x);
		break;
	}
}

/* The certificate and its texts, which follow it, in one piece. */
static int
describe(X509 *x, struct weir_tls_certificate **ret)
{
	struct weir_tls_certificate *c;
	const char **field[FIELDS];
	long starts[FIELDS], length;
	char *text, *copy;
	BIO *bio = BIO_new(BIO_s_mem());
	int i;

	if (bio == NULL)
		return -ENOMEM;
	for (i = 0; i < FIELDS; i++) {
		starts[i] = (long)BIO_pending(bio);
		print_field(bio, i, x);
		(void)BIO_write(bio, "", 1);
	}
	length = BIO_get_mem_data(bio, &text);
	c = calloc(1, sizeof(*c) + (size_t)length);
	if (c != NULL) {
		copy = (char *)(c + 1);
		memcpy(copy, text, (size_t)length);
		field[0] = &c->subject;
		field[1] = &c->issuer;
		field[2] = &c->valid_from;
		field[3] = &c->valid_to;
		field[4] = &c->fingerprint256;
		field[5] = &c->serial_number;
		field[6] = &c->subject_alt_name;
		field[7] = &c->common_name;
		for (i = 0; i < FIELDS; i++)
			*field[i] = copy + starts[i];
	}
	BIO_free(bio);
	ERR_clear_error();
	*ret = c;
	return c != NULL ? 0 : -ENOMEM;
}

int
weir_socket_peer_certificate(
    const struct weir_socket *s, struct weir_tls_certificate **ret)
{
	const struct weir__tls *t = secured(s);
	X509 *x;

	if (ret == NULL)
		return -EINVAL;
	*ret = NULL;
	if (t == NULL)
		return WEIR_E_NOT_SECURE;
	x = SSL_get0_peer_certificate(t->ssl);
	return x != NULL ? describe(x, ret) : WEIR_E_TLS_NO_CERTIFICATE;
}

void
weir_tls_certificate_free(struct weir_tls_certificate *certificate)
{
	free(certificate);
}

/* ---- sessions ---- */

int
weir_socket_tls_session(
    const struct weir_socket *s, struct weir_tls_session **ret)
{
	struct weir_tls_session *session;
	const struct weir__tls *t = secured(s);
	SSL_SESSION *now;

	if (ret == NULL)
		return -EINVAL;
	*ret = NULL;
	if (t == NULL)
		return WEIR_E_NOT_SECURE;
	now = SSL_get0_session(t->ssl);
	if (t->context->server || now == NULL ||
	    SSL_SESSION_is_resumable(now) != 1)
		return -ENODATA;
	session = calloc(1, sizeof(*session));
	if (session == NULL)
		return -ENOMEM;
	/* A copy: what becomes of this connection is not its affair. */
	session->ssl = SSL_SESSION_dup(now);
	session->context = t->context->number;
	session->name = strdup(t->name != NULL ? t->name : "");
	if (session->ssl == NULL || session->name == NULL) {
		weir_tls_session_free(session);
		return -ENOMEM;
	}
	*ret = session;
	return 0;
}

void
weir_tls_session_free(struct weir_tls_session *session)
{
	if (session == NULL)
		return;
	SSL_SESSION_free(session->ssl);
	free(session->name);
	free(session);
}
