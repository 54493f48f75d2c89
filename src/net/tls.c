/*
 * TLS beneath a socket: a socket with TLS is always in the pump's lane, and
 * what the pump and the verbs read and write goes through here.
 *
 * OpenSSL never waits for room to write: what it has to send goes to the wire,
 * a buffer of ours, and nothing is encrypted while any of that waits. So no
 * write is ever half done inside OpenSSL, no owner's byte can be sent twice or
 * lost when a pipe is undone, and what waits is bounded. What it has to read
 * comes from the descriptor or, first of all, from what was read before TLS
 * began.
 *
 * Handlers are called from weir__tls_run() alone, which runs from the loop.
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <weir/error.h>

#include "net/server_priv.h"
#include "net/socket_priv.h"
#include "net/tls_priv.h"

#define WIRE_AT_MOST (256 * 1024) /* then even OpenSSL has to wait */
#define BATCH	     (64 * 1024)  /* encrypted before a call to the kernel */
#define RECORD	     (16 * 1024)
#define READ_AHEAD   (64 * 1024)
#define LEFT_OVER    (256 * 1024) /* read away before a failed one is closed */

/* ---- between OpenSSL and the descriptor ---- */

static size_t
waiting(const struct weir__tls *t)
{
	return t->wire != NULL ? evbuffer_get_length(t->wire) : 0;
}

static int
bio_write(BIO *bio, const char *data, int length)
{
	struct weir__tls *t = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (length <= 0)
		return 0;
	if (t->broken)
		return length; /* the reader learns why from the kernel */
	if (waiting(t) >= WIRE_AT_MOST) {
		BIO_set_retry_write(bio);
		return -1;
	}
	if (evbuffer_add(t->wire, data, (size_t)length) == -1) {
		t->io_error = -ENOMEM;
		return -1;
	}
	return length;
}

static int
bio_read(BIO *bio, char *to, int length)
{
	struct weir__tls *t = BIO_get_data(bio);
	ssize_t n;

	BIO_clear_retry_flags(bio);
	if (length <= 0)
		return 0;
	if (t->prefix != NULL) {
		n = evbuffer_remove(t->prefix, to, (size_t)length);
		if (evbuffer_get_length(t->prefix) == 0) {
			evbuffer_free(t->prefix);
			t->prefix = NULL;
		}
		if (n > 0)
			return (int)n;
	}
	do {
		n = recv(t->socket->fd, to, (size_t)length, MSG_DONTWAIT);
	} while (n == -1 && errno == EINTR);
	if (n > 0) {
		weir__socket_touch(t->socket);
		return (int)n;
	}
	if (n == 0)
		t->io_eof = true;
	else if (errno == EAGAIN)
		BIO_set_retry_read(bio);
	else
		t->io_error = -errno;
	return n == 0 ? 0 : -1;
}

static long
bio_ctrl(BIO *bio, int what, long number, void *pointer)
{
	const struct weir__tls *t = BIO_get_data(bio);

	(void)number;
	(void)pointer;
	if (what == BIO_CTRL_EOF)
		return t->io_eof ? 1 : 0;
	return what == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD *
weir__tls_bio_method(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "weir");

	if (method == NULL || BIO_meth_set_write(method, bio_write) != 1 ||
	    BIO_meth_set_read(method, bio_read) != 1 ||
	    BIO_meth_set_ctrl(method, bio_ctrl) != 1) {
		BIO_meth_free(method);
		return NULL;
	}
	return method;
}

/* Give the kernel what it takes of the wire. 0 or an error. */
static int
flush(struct weir__tls *t)
{
	struct evbuffer_iovec part[16];
	struct msghdr message = {.msg_iov = (struct iovec *)part};
	int parts;
	ssize_t n;

	while (waiting(t) > 0) {
		parts = evbuffer_peek(t->wire, WIRE_AT_MOST, NULL, part, 16);
		message.msg_iovlen = parts > 16 ? 16 : (size_t)parts;
		n = sendmsg(
		    t->socket->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return errno == EAGAIN ? 0 : -errno;
		(void)evbuffer_drain(t->wire, (size_t)n);
		weir__socket_touch(t->socket);
	}
	if (t->blocked) { /* OpenSSL may have bytes that no event tells of */
		t->blocked = false;
		t->more = true;
		weir__socket_defer(t->socket, WEIR__DUE_READ);
	}
	if (t->plain > 0) {
		weir__count_delivered(t->socket, t->plain);
		t->plain = 0;
		weir__note_written(t->socket);
	}
	return 0;
}

/* Before each call into OpenSSL. */
static void
enter(struct weir__tls *t)
{
	ERR_clear_error();
	t->io_error = 0;
}

/* ---- ending ---- */

void
weir__tls_broken(struct weir_socket *s)
{
	struct weir__tls *t = s->extra->tls;

	t->broken = true;
	t->plain = 0;
	(void)evbuffer_drain(t->wire, waiting(t));
}

bool
weir__tls_finish(struct weir_socket *s)
{
	struct weir__tls *t = s->extra->tls;

	if (t->failed || t->broken)
		return true;
	if (!t->ready)
		return false;
	if (!t->notified && flush(t) == 0 && waiting(t) == 0) {
		t->notified = true;
		enter(t);
		(void)SSL_shutdown(t->ssl);
		ERR_clear_error();
	}
	/* Where it cannot be sent, a read tells why. */
	if (flush(t) != 0)
		weir__tls_broken(s);
	if (waiting(t) == 0)
		return true;
	weir__pump_update(s);
	return false;
}

void
weir__tls_shut(struct weir_socket *s)
{
	struct weir__tls *t = s->extra->tls;

	if (t->wire == NULL)
		return;
	(void)event_del(&t->timer);
	/* Else OpenSSL takes an end without close_notify for an attack, and
	 * its session is resumed by nobody. */
	if (t->ready && !t->failed)
		SSL_set_shutdown(
		    t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(t->ssl);
	t->ssl = NULL;
	evbuffer_free(t->wire);
	t->wire = NULL;
	if (t->prefix != NULL)
		evbuffer_free(t->prefix);
	t->prefix = NULL;
	free(t->hello);
	t->hello = NULL;
	t->plain = 0;
}

void
weir__tls_forget(struct weir_socket *s)
{
	struct weir__tls *t = weir__tls(s);

	if (t == NULL)
		return;
	weir__tls_shut(s);
	s->extra->tls = NULL;
	weir_tls_context_unref(t->context);
	free(t->alpn);
	free(t->name);
	free(t->error);
	free(t->chosen_alpn);
	free(t->sni);
	free(t);
}

/* An alert is on its way; bytes left unread would make the close a reset, and
 * that would overtake it. */
static void
read_away(struct weir_socket *s)
{
	unsigned char *scratch = weir__loop_scratch(s->loop);
	size_t total = 0;
	ssize_t n;

	(void)shutdown(s->fd, SHUT_WR);
	while (scratch != NULL && total < LEFT_OVER) {
		n = recv(s->fd, scratch, WEIR__SCRATCH, MSG_DONTWAIT);
		if (n <= 0)
			return;
		total += (size_t)n;
	}
}

/* The handshake came to nothing. Calls handlers. */
static void
handshake_failed(struct weir_socket *s, int err)
{
	struct weir__tls *t = s->extra->tls;

	t->failed = true;
	(void)event_del(&t->timer);
	if (flush(t) == 0)
		read_away(s);
	if (t->by_server && weir__server_of(s) != NULL)
		weir__server_tls_failed(weir__server_of(s), s, err);
	if (s->state == WEIR__OPEN)
		weir_socket_destroy(s, err);
}

/* ---- the handshake ---- */

void
weir__tls_on_timer(evutil_socket_t fd, short what, void *user)
{
	struct weir__tls *t = user;
	struct weir_socket *s = t->socket;

	(void)fd;
	(void)what;
	weir__pin(s);
	weir__tls_set_error(t, "the handshake took longer than %llu ms",
	    (unsigned long long)t->timeout_ms);
	handshake_failed(s, WEIR_E_TLS_TIMEOUT);
	weir__unpin(s);
}

static void
handshake_done(struct weir_socket *s)
{
	struct weir__tls *t = s->extra->tls;
	int err;

	(void)event_del(&t->timer);
	err = weir__tls_note_peer(t);
	if (err != 0) {
		handshake_failed(s, err);
		return;
	}
	/* Only now: who stalls is to cost little. */
	SSL_set_default_read_buffer_len(t->ssl, READ_AHEAD);
	t->ready = t->more = true; /* OpenSSL may have read on */
	s->writable = waiting(t) == 0;
	if (t->by_server && weir__server_of(s) != NULL)
		weir__server_tls_done(weir__server_of(s), s);
	if (s->state == WEIR__OPEN)
		weir__tell(s, on_secure);
	/* An end that was asked for meanwhile. */
	if (s->state == WEIR__OPEN && weir__socket_queued(s) == 0)
		weir__socket_drained(s);
}

static void
handshake_broke(struct weir_socket *s, int err)
{
	struct weir__tls *t = s->extra->tls;

	if (t->no_hello)
		weir__tls_set_error(
		    t, "the peer ended the connection before its hello");
	else
		weir__tls_set_error(
		    t, "the connection broke: %s", weir_error_text(err));
	handshake_failed(s, err);
}

static void
handshake(struct weir_socket *s)
{
	struct weir__tls *t = s->extra->tls;
	int result, kind, err;

	if (t->ssl == NULL) {
		result = weir__tls_meet(s);
		if (result < 0)
			handshake_broke(s, result);
		if (result <= 0)
			return;
	}
	enter(t);
	result = SSL_do_handshake(t->ssl);
	kind = SSL_get_error(t->ssl, result);
	if (result != 1 && kind != SSL_ERROR_WANT_READ &&
	    kind != SSL_ERROR_WANT_WRITE) {
		handshake_failed(s, weir__tls_judge(t, true));
		return;
	}
	err = flush(t);
	if (err != 0)
		handshake_broke(s, err);
	else if (result == 1)
		handshake_done(s);
}

void
weir__tls_run(struct weir_socket *s)
{
	struct weir__tls *t = s->extra->tls;
	bool waited = waiting(t) > 0;
	int err;

	if (!t->begun || t->failed)
		return;
	err = flush(t);
	if (err != 0 && t->ready) {
		weir__socket_fail(s, err);
		return;
	}
	if (!t->ready && s->dying == 0)
		handshake(s);
	if (s->state != WEIR__OPEN || !t->ready)
		return;
	if (t->more)
		s->readable = true;
	s->writable = waiting(t) == 0;
	if (waited && s->writable && weir__socket_queued(s) == 0)
		weir__socket_drained(s);
}

/* ---- reading and writing ---- */

size_t
weir__tls_read(struct weir_socket *s, unsigned char *to, size_t wanted)
{
	struct weir__tls *t = s->extra->tls;
	size_t total = 0, n;
	int kind = SSL_ERROR_NONE, err;

	if (!t->ready || t->failed || s->eof) {
		s->readable = t->more = false;
		return 0;
	}
	while (total < wanted && kind == SSL_ERROR_NONE) {
		enter(t);
		if (SSL_read_ex(t->ssl, to + total, wanted - total, &n) == 1)
			total += n;
		else
			kind = SSL_get_error(t->ssl, 0);
	}
	if (total > 0)
		weir__count_read(s, total);
	s->readable = t->more = kind == SSL_ERROR_NONE;
	if (kind == SSL_ERROR_WANT_WRITE)
		t->blocked = true;
	else if (kind == SSL_ERROR_ZERO_RETURN)
		s->eof = true;
	else if (kind != SSL_ERROR_NONE && kind != SSL_ERROR_WANT_READ) {
		t->failed = true;
		err = weir__tls_judge(t, false);
		if (s->dying == 0)
			s->dying = err;
	}
	/* What OpenSSL answered by itself: a new key, an alert. */
	err = flush(t);
	if (err != 0 && s->dying == 0 && !s->eof)
		s->dying = err;
	return total;
}

bool
weir__tls_ended(struct weir_socket *s)
{
	struct weir__tls *t = s->extra->tls;
	char byte;
	size_t n;
	int kind;

	if (!t->ready || t->failed)
		return false;
	enter(t);
	t->more = SSL_peek_ex(t->ssl, &byte, 1, &n) == 1;
	kind = t->more ? SSL_ERROR_NONE : SSL_get_error(t->ssl, 0);
	if (kind == SSL_ERROR_SSL || kind == SSL_ERROR_SYSCALL) {
		t->failed = true;
		s->dying = weir__tls_judge(t, false);
		weir__socket_defer(s, WEIR__DUE_READ);
	}
	return kind == SSL_ERROR_ZERO_RETURN;
}

/* One call of OpenSSL's, which takes all or fails. */
static int
encrypt(struct weir__tls *t, const void *data, size_t length)
{
	size_t n;

	enter(t);
	if (SSL_write_ex(t->ssl, data, length, &n) == 1) {
		t->plain += length;
		return 0;
	}
	t->failed = true;
	return weir__tls_judge(t, false);
}

static bool
may_send(const struct weir_socket *s)
{
	const struct weir__tls *t = s->extra->tls;

	return t->ready && !t->failed && !t->broken && waiting(t) == 0;
}

ssize_t
weir__tls_send(struct weir_socket *s, const void *data, size_t length)
{
	size_t sent = 0, n;
	int err = 0;

	while (err == 0 && sent < length && may_send(s)) {
		n = length - sent < BATCH ? length - sent : BATCH;
		err = encrypt(s->extra->tls, (const char *)data + sent, n);
		if (err == 0) {
			sent += n;
			err = flush(s->extra->tls);
		}
	}
	s->writable = may_send(s);
	return err != 0 ? err : (ssize_t)sent;
}

ssize_t
weir__tls_send_buffer(struct weir_socket *s, struct evbuffer *data)
{
	size_t left = evbuffer_get_length(data), sent = 0, n;
	const unsigned char *record;
	int err = 0;

	if (!may_send(s)) {
		s->writable = false;
		return 0;
	}
	while (err == 0 && left > 0 && sent < BATCH) {
		n = left < RECORD ? left : RECORD;
		record = evbuffer_pullup(data, (ev_ssize_t)n);
		err = record != NULL ? encrypt(s->extra->tls, record, n)
				     : -ENOMEM;
		if (err != 0)
			break;
		(void)evbuffer_drain(data, n);
		sent += n;
		left -= n;
	}
	if (err == 0)
		err = flush(s->extra->tls);
	s->writable = may_send(s);
	return err != 0 ? err : (ssize_t)sent;
}

/* ---- what the pump asks ---- */

unsigned
weir__tls_interest(const struct weir_socket *s, unsigned want)
{
	const struct weir__tls *t = s->extra->tls;

	if (!t->ready && s->dying == 0)
		want |= WEIR__READ;
	if (t->blocked)
		want &= ~(unsigned)WEIR__READ;
	want &= ~(unsigned)WEIR__WRITE;
	if (waiting(t) > 0)
		want |= WEIR__WRITE;
	return want;
}

bool
weir__tls_more(const struct weir_socket *s)
{
	return s->extra->tls->more && s->extra->tls->ready &&
	       !s->extra->tls->blocked;
}

size_t
weir__tls_unsent(const struct weir_socket *s)
{
	return s->extra->tls->plain;
}
