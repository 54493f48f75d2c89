/*
 * TLS begins: what a socket needs for it is made from a context and options,
 * and what the socket had read and queued before is put where it belongs. The
 * handshake itself, and all that follows, is tls.c's.
 *
 * OpenSSL takes some 40 KiB from its first byte on. Strangers who connect and
 * stall are to cost little, so a server's part of it is made only when the
 * client's hello is whole, or what came is none: then OpenSSL says so in its
 * words. Until then the bytes stand with those that were read before TLS.
 */
#include "config.h"

#include <sys/socket.h>

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <weir/address.h>
#include <weir/error.h>

#include "net/server_priv.h"
#include "net/socket_priv.h"
#include "net/tls_priv.h"
#include "proto/hello.h"

#define HANDSHAKE_MS (120 * 1000)

void
weir__tls_begin(struct weir_socket *s)
{
	struct weir__tls *t = s->extra->tls;
	const struct timeval after = {
	    .tv_sec = (time_t)(t->timeout_ms / 1000),
	    .tv_usec = (suseconds_t)(t->timeout_ms % 1000 * 1000),
	};

	t->begun = true;
	s->writable = false;
	if (t->timeout_ms != WEIR_TLS_NO_TIMEOUT)
		(void)event_add(&t->timer, &after);
	weir__socket_defer(s, WEIR__DUE_READ);
}

static int
set_name(struct weir__tls *t, const char *name)
{
	size_t i;

	t->name = name != NULL ? strdup(name) : NULL;
	if (name != NULL && t->name == NULL)
		return -ENOMEM;
	for (i = 0; name != NULL && name[i] != '\0'; i++)
		t->name[i] = (char)tolower((unsigned char)name[i]);
	if (i > 1 && t->name[i - 1] == '.')
		t->name[i - 1] = '\0';
	return 0;
}

/* Whom a client wants to speak with. */
static int
set_peer(struct weir__tls *t, const struct weir_secure_options *o)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
	bool ip;
	int err = set_name(t, o->server_name);

	if (err != 0)
		return err;
	if (t->name == NULL)
		return 0;
	ip = weir_is_ip(t->name) != 0;
	X509_VERIFY_PARAM_set_hostflags(
	    param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (!o->any_name &&
	    (ip ? X509_VERIFY_PARAM_set1_ip_asc(param, t->name)
		: X509_VERIFY_PARAM_set1_host(param, t->name, 0)) != 1)
		return -EINVAL;
	if (ip || o->no_sni)
		return 0;
	if (SSL_set_tlsext_host_name(t->ssl, t->name) != 1)
		return -EINVAL; /* longer than SNI can say */
	t->sni = strdup(t->name);
	return t->sni != NULL ? 0 : -ENOMEM;
}

static int
set_session(struct weir__tls *t, const struct weir_tls_session *session)
{
	const char *name = t->name != NULL ? t->name : "";

	if (session == NULL || session->context != t->context->number ||
	    strcmp(session->name, name) != 0)
		return 0;
	return SSL_set_session(t->ssl, session->ssl) == 1 ? 0 : -ENOMEM;
}

static int
set_client(struct weir__tls *t, const struct weir_secure_options *o)
{
	const unsigned char *alpn =
	    t->alpn != NULL ? t->alpn : t->context->alpn;
	size_t length =
	    t->alpn != NULL ? t->alpn_length : t->context->alpn_length;
	int err = set_peer(t, o);

	SSL_set_connect_state(t->ssl);
	if (err == 0 && alpn != NULL &&
	    SSL_set_alpn_protos(t->ssl, alpn, (unsigned)length) != 0)
		err = -ENOMEM;
	if (err == 0)
		err = set_session(t, o->session);
	return err;
}

static int
attach(struct weir__tls *t)
{
	BIO *bio = BIO_new(t->context->bio);

	t->ssl = SSL_new(t->context->ssl);
	if (bio == NULL || t->ssl == NULL) {
		BIO_free(bio);
		SSL_free(t->ssl);
		t->ssl = NULL;
		return -ENOMEM;
	}
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	(void)SSL_set_app_data(t->ssl, t);
	if (t->allow_truncation)
		(void)SSL_set_options(t->ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
	return 0;
}

/* ---- a client's hello ---- */

static int
expect_hello(struct weir__tls *t)
{
	t->hello = calloc(1, sizeof(*t->hello));
	if (t->prefix == NULL)
		t->prefix = evbuffer_new();
	return t->hello != NULL && t->prefix != NULL ? 0 : -ENOMEM;
}

static bool
hello_is_whole(struct weir__tls *t)
{
	size_t length = evbuffer_get_length(t->prefix);
	const void *bytes = evbuffer_pullup(t->prefix, -1);

	/* What is none, or too large a one, is for OpenSSL to judge. */
	return length > 0 && (bytes == NULL || hello_read(t->hello, bytes,
						   length) != HELLO_NEED_MORE);
}

/* Nothing more is needed than what is there. 1, 0 or an error. */
static int
read_hello(struct weir_socket *s)
{
	unsigned char *scratch = weir__loop_scratch(s->loop);
	ssize_t n;

	if (hello_is_whole(s->extra->tls))
		return 1;
	if (scratch == NULL)
		return -ENOMEM;
	do {
		n = recv(s->fd, scratch, WEIR__SCRATCH, MSG_DONTWAIT);
	} while (n == -1 && errno == EINTR);
	if (n == 0) {
		s->extra->tls->no_hello = true;
		return WEIR_E_TLS_HANDSHAKE;
	}
	if (n == -1)
		return errno == EAGAIN ? 0 : -errno;
	weir__socket_touch(s);
	if (evbuffer_add(s->extra->tls->prefix, scratch, (size_t)n) == -1)
		return -ENOMEM;
	return hello_is_whole(s->extra->tls) ? 1 : 0;
}

int
weir__tls_meet(struct weir_socket *s)
{
	struct weir__tls *t = s->extra->tls;
	int met = read_hello(s);

	if (met <= 0)
		return met;
	free(t->hello);
	t->hello = NULL;
	met = attach(t);
	if (met != 0)
		return met;
	SSL_set_accept_state(t->ssl);
	return 1;
}

/* ---- from options ---- */

static int
set_up(struct weir__tls *t, const struct weir_secure_options *o)
{
	int err = weir__tls_alpn(&t->alpn, &t->alpn_length, o->alpn);

	if (err != 0)
		return err;
	(void)evtimer_assign(
	    &t->timer, weir_loop_base(t->socket->loop), weir__tls_on_timer, t);
	t->timeout_ms = o->handshake_timeout_ms != 0 ? o->handshake_timeout_ms
						     : HANDSHAKE_MS;
	t->allow_truncation = o->allow_truncation;
	t->wire = evbuffer_new();
	if (t->wire == NULL)
		return -ENOMEM;
	if (o->received_length > 0) {
		t->prefix = evbuffer_new();
		if (t->prefix == NULL || evbuffer_add(t->prefix, o->received,
					     o->received_length) == -1)
			return -ENOMEM;
	}
	if (o->preface_length > 0 &&
	    evbuffer_add(t->wire, o->preface, o->preface_length) == -1)
		return -ENOMEM;
	if (t->context->server)
		return expect_hello(t);
	err = attach(t);
	if (err == 0)
		err = set_client(t, o);
	ERR_clear_error();
	return err;
}

/* TLS for the socket, which then has it, or an error and nothing changed. */
static int
make(struct weir_socket *s, struct weir_tls_context *context,
    const struct weir_secure_options *o)
{
	struct weir__extra *x = weir__extra(s);
	struct weir__tls *t = x != NULL ? calloc(1, sizeof(*t)) : NULL;
	int err;

	if (t == NULL)
		return -ENOMEM;
	t->socket = s;
	t->context = weir_tls_context_ref(context);
	x->tls = t;
	err = set_up(t, o);
	if (err != 0)
		weir__tls_forget(s);
	return err;
}

int
weir__tls_accept(struct weir_socket *s, struct weir_tls_context *context,
    const struct weir_secure_options *o)
{
	int err = make(s, context, o);

	if (err != 0)
		return err;
	s->extra->tls->by_server = true;
	weir__tls_begin(s);
	return 0;
}

/* What was queued goes first and as it is; what was read is TLS's. */
static int
take_over(struct weir_socket *s)
{
	struct weir__tls *t = s->extra->tls;
	struct weir__extra *x = s->extra;
	size_t queued;

	weir__stream_leave(s);
	if (x->out != NULL) {
		queued = evbuffer_get_length(x->out);
		if (evbuffer_prepend_buffer(t->wire, x->out) == -1)
			return -ENOMEM;
		t->plain = queued;
		evbuffer_free(x->out);
		x->out = NULL;
	}
	if (x->in != NULL && weir__from(s) == NULL) {
		weir__count_unread(s, evbuffer_get_length(x->in));
		if (t->prefix == NULL) {
			t->prefix = x->in;
		} else {
			if (evbuffer_add_buffer(t->prefix, x->in) == -1)
				return -ENOMEM;
			evbuffer_free(x->in);
		}
		x->in = NULL;
	}
	return weir__pump_secure(s);
}

static int
check(const struct weir_socket *s, const struct weir_tls_context *context,
    const struct weir_secure_options *o)
{
	if (s == NULL || s->doomed || context == NULL)
		return -EINVAL;
	if (s->state != WEIR__OPEN && s->state != WEIR__CONNECTING)
		return WEIR_E_SOCKET_CLOSED;
	if (weir__tls(s) != NULL)
		return WEIR_E_ALREADY_SECURE;
	if (s->end_asked || s->eof || s->dying != 0)
		return WEIR_E_SOCKET_CLOSED;
	if (s->state == WEIR__OPEN && !s->is_socket)
		return WEIR_E_NOT_A_STREAM;
	if ((o->received == NULL && o->received_length > 0) ||
	    (o->preface == NULL && o->preface_length > 0))
		return -EINVAL;
	if (!context->server && context->verify == WEIR_TLS_VERIFY_REQUIRED &&
	    !o->any_name && (o->server_name == NULL || *o->server_name == '\0'))
		return -EINVAL;
	return 0;
}

int
weir_socket_set_secure(struct weir_socket *s, struct weir_tls_context *context,
    const struct weir_secure_options *options)
{
	static const struct weir_secure_options none = {0};
	const struct weir_secure_options *o = options != NULL ? options : &none;
	int err = check(s, context, o);

	if (err == 0)
		err = make(s, context, o);
	if (err != 0 || s->state == WEIR__CONNECTING)
		return err;
	weir__tls_begin(s);
	err = take_over(s);
	if (err != 0) {
		/* Some of its bytes are gone from where they were. */
		weir_socket_destroy(s, err);
		return 0;
	}
	weir__socket_settle(s);
	return 0;
}
