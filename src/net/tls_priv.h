/*
 * What the files of TLS share: tls_pem.c (certificates and keys from files),
 * tls_context.c (credentials and settings), tls_cache.c (sessions that
 * processes share), tls_begin.c (from a context to a
 * socket's TLS), tls.c (the stream beneath a socket) and tls_peer.c (what is
 * known of the peer). The socket's other files see only what socket_priv.h has
 * of tls.c.
 */
#ifndef NET_TLS_PRIV_H
#define NET_TLS_PRIV_H

#include <sys/types.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include <event2/event_struct.h>

#include <weir/tls.h>

struct evbuffer;
struct hello;

/* Where the text of an error goes; text may be NULL. */
struct weir__complaint {
	char *text;
	size_t size;
};

/* Puts the text and gives back err. */
int weir__complain(struct weir__complaint *complaint, int err,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* ---- tls_pem.c ---- */

/* A certificate with its chain and key; names are its own. */
struct weir__tls_identity {
	X509 *certificate;
	STACK_OF(X509) * chain;
	EVP_PKEY *key;
	char **names; /* lower case */
	size_t name_count;
	unsigned char print[32]; /* SHA-256 of the certificate */
};

int weir__tls_identity_load(struct weir__tls_identity *ret,
    const struct weir_tls_pair *pair,
    const struct weir_tls_context_options *options,
    struct weir__complaint *complaint);
void weir__tls_identity_free(struct weir__tls_identity *identity);

/* Each CA is added to the store, and its name to names. */
int weir__tls_load_ca(X509_STORE *store, STACK_OF(X509_NAME) * names,
    const struct weir_tls_context_options *options, EVP_MD_CTX *digest,
    struct weir__complaint *complaint);

/* ---- tls_context.c ---- */

struct weir_tls_context {
	atomic_uint references;
	uint64_t number; /* of this context, for sessions */
	SSL_CTX *ssl;
	BIO_METHOD *bio;	      /* tls.c's */
	struct weir_tls_cache *cache; /* or NULL: OpenSSL's */
	bool server;
	enum weir_tls_verify verify; /* never DEFAULT */
	unsigned char *alpn;	     /* as on the wire; or NULL */
	size_t alpn_length;
	struct weir__tls_identity *identities;
	size_t identity_count;
	unsigned char trust[32]; /* digest of what sessions are bound to */
};

/* "a,b" as on the wire; *ret is the caller's, NULL for an empty list. */
int weir__tls_alpn(unsigned char **ret, size_t *length, const char *list);

/* ---- tls_cache.c ---- */

/* Keep a server's sessions there, and look for them. */
void weir__tls_cache_use(
    struct weir_tls_context *context, struct weir_tls_cache *cache);

/* ---- tls_system.c ---- */

/* Trust the CAs of the system, and no others. False where they cannot be read,
 * or without memory. Of any thread. */
bool weir__tls_trust_system(SSL_CTX *ssl);

/* ---- tls.c ---- */

/* The handshake takes too long; user is the struct weir__tls. */
void weir__tls_on_timer(evutil_socket_t fd, short what, void *user);

/* How OpenSSL reaches a socket; NULL without memory. */
BIO_METHOD *weir__tls_bio_method(void);

/* TLS of one socket. */
struct weir__tls {
	struct weir_socket *socket;
	struct weir_tls_context *context;
	SSL *ssl; /* NULL before a client's hello, and once the socket is closed
		   */
	struct event timer;
	uint64_t timeout_ms;

	struct evbuffer *wire;	 /* to be sent as it is */
	struct evbuffer *prefix; /* was read before TLS or SSL was; or NULL */
	struct hello *hello;	 /* until ssl is made for it; or NULL */
	size_t plain;		 /* the owner's bytes that are in wire */

	bool begun, ready;
	bool more;	/* SSL may have bytes though the kernel has none */
	bool blocked;	/* reading waits for the wire to empty */
	bool notified;	/* close_notify was given to the wire */
	bool failed;	/* SSL is of no use any more */
	bool broken;	/* nothing can be sent any more */
	bool by_server; /* a server's, which is told how it goes */
	bool no_hello;	/* the peer ended before its hello was whole */
	bool allow_truncation;

	int io_error; /* of the last call into SSL */
	bool io_eof;

	unsigned char *alpn; /* instead of the context's; or NULL */
	size_t alpn_length;
	char *name; /* the peer's, lower case; or NULL */

	/* What stays when the socket is closed. */
	char *error;
	char *chosen_alpn, *sni;
	const char *protocol, *cipher;
	bool resumed, has_peer;
	long verify_result;
};

/* A session to resume, and with whom. */
struct weir_tls_session {
	SSL_SESSION *ssl;
	uint64_t context;
	char *name;
};

/* ---- tls_begin.c ---- */

/* Read a client's hello, and make SSL for it once it is whole: 1 then, 0 while
 * more is to come, or an error. Only where there is no SSL yet. */
int weir__tls_meet(struct weir_socket *s);

/* ---- tls_peer.c ---- */

/* The handshake is done: remember what it agreed upon. */
int weir__tls_note_peer(struct weir__tls *tls);

/* What SSL's error queue says of a failure; err is our code for it. The text
 * is the socket's. */
int weir__tls_judge(struct weir__tls *tls, bool handshake);
void weir__tls_set_error(struct weir__tls *tls, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
