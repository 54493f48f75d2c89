#ifndef WEIR_TLS_H
#define WEIR_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

struct weir_server;
struct weir_socket;
struct weir_tls_cache;
struct weir_tls_context;
struct weir_tls_session;

/* Whether the peer's certificate is asked for and has to be good. */
enum weir_tls_verify {
	/* Client: REQUIRED. Server: OPTIONAL with CAs, else NONE. */
	WEIR_TLS_VERIFY_DEFAULT,
	/* Server: not asked for. Client: as ASK. */
	WEIR_TLS_VERIFY_NONE,
	/* Whatever comes, or nothing, is let in; weir_socket_verify_peer()
	 * tells what it was. */
	WEIR_TLS_VERIFY_ASK,
	/* Server: none is let in, a bad one fails the handshake. Client: as
	 * REQUIRED. */
	WEIR_TLS_VERIFY_OPTIONAL,
	/* None and a bad one fail the handshake. */
	WEIR_TLS_VERIFY_REQUIRED,
};

enum weir_tls_version {
	WEIR_TLS_VERSION_DEFAULT,
	WEIR_TLS_1_0, /* these two only with ciphers of "@SECLEVEL=0" */
	WEIR_TLS_1_1,
	WEIR_TLS_1_2,
	WEIR_TLS_1_3,
};

/*
 * A certificate chain (the own one first) and its key, both PEM: of a file, or
 * of memory where the file is NULL. Without a key it is looked for in the
 * chain's file or memory.
 */
struct weir_tls_pair {
	const char *certificate_file, *key_file;
	const void *certificate, *key;
	size_t certificate_length, key_length;
};

/* Zero is the default of each. All is read during the call. */
struct weir_tls_context_options {
	bool server; /* for the accepting side of the handshake */

	/*
	 * A server chooses by the client's server name: those with the exact
	 * name, else those with *. and the rest of it, else the first. Two
	 * for one name, of different kinds of key, serve both kinds of
	 * client. A client uses the first, where it is asked for one.
	 */
	const struct weir_tls_pair *pairs;
	size_t pair_count;
	const char *const *pass_phrases; /* tried in turn */
	size_t pass_phrase_count;

	/* Whom to trust; may be combined. Without any, a client trusts the
	 * system's CAs and a server nobody. ca_directory is one of "openssl
	 * rehash". */
	const char *ca_file, *ca_directory;
	const void *ca; /* PEM */
	size_t ca_length;
	enum weir_tls_verify verify;

	enum weir_tls_version min_version; /* default 1.2 */
	enum weir_tls_version max_version; /* default: the highest */
	const char *ciphers;		   /* TLS 1.2 and below, as OpenSSL's */
	const char *ciphersuites;	   /* TLS 1.3 */

	/*
	 * Protocols, divided by commas. Server: the first is the dearest; a
	 * client that offers none of them is refused with
	 * no_application_protocol, one that offers nothing is let in. Client:
	 * what it offers.
	 */
	const char *alpn;

	/* A server's resumption: tickets, and sessions kept in memory; 0 is
	 * 20480, a negative number none. */
	bool no_tickets;
	long session_cache;
	/* They are kept in there, which has its own bound, unless
	 * session_cache is negative. */
	struct weir_tls_cache *cache;
	/* 80 random bytes that processes share, so that each can read the
	 * others' tickets. NULL: keys of its own. */
	const void *ticket_key;
	size_t ticket_key_length;
};

/*
 * Make a cache: room for about so many sessions of a server's clients, in
 * memory that is shared with processes that are forked later. Any number of
 * contexts may have it; a session is resumed only with the certificate and the
 * trust that it began with. Memory is taken as it is needed, about 300 bytes a
 * session, and for a new one an old one goes. A process that dies in the
 * middle of a change does no harm. *ret is the caller's, to
 * weir_tls_cache_unref(). Returns 0, -EINVAL, or -errno. Never blocks; calls no
 * handler. Since 0.1.
 */
int weir_tls_cache_new(struct weir_tls_cache **ret, size_t sessions);

/* One more owner, one less; the last one of a process frees what is the
 * process's. Contexts own it too. Returns the cache; NULL is fine for both.
 * Since 0.1. */
struct weir_tls_cache *weir_tls_cache_ref(struct weir_tls_cache *cache);
void weir_tls_cache_unref(struct weir_tls_cache *cache);

/*
 * Make a context: credentials, trust and settings, for any number of sockets
 * and of loops. It is counted; *ret is the caller's, to
 * weir_tls_context_unref(). Files are read during the call and not again.
 * Returns 0; -EINVAL, -ENOMEM, WEIR_E_TLS_CREDENTIALS, or -errno of a file,
 * and text (of text_size bytes, or NULL) says what is wrong, and with which
 * file. Blocks for as long as reading files does; calls no handler. Since 0.1.
 */
int weir_tls_context_new(struct weir_tls_context **ret,
    const struct weir_tls_context_options *options, char *text,
    size_t text_size);

/*
 * One more owner, one less; the last one frees. Sockets and servers that use
 * a context own it too. Returns the context; NULL is fine for both. Never
 * blocks, calls no handler. Since 0.1.
 */
struct weir_tls_context *weir_tls_context_ref(struct weir_tls_context *context);
void weir_tls_context_unref(struct weir_tls_context *context);

/* What it was made for. Since 0.1. */
bool weir_tls_context_is_server(const struct weir_tls_context *context);

/*
 * From when until when the certificate of a pair is good, the one at that
 * index of the options' pairs, in seconds since 1970. from and until may be
 * NULL. Returns 0, or -EINVAL for a NULL context or one without such a pair.
 * Since 0.1.
 */
int weir_tls_context_validity(const struct weir_tls_context *context,
    size_t index, int64_t *from, int64_t *until);

/* A handshake that may take as long as it likes. */
#define WEIR_TLS_NO_TIMEOUT UINT64_MAX

/* Zero is the default of each. All is read during the call. */
struct weir_secure_options {
	/*
	 * Client: the name or IP address that the server's certificate has to
	 * be for; a name is sent as SNI too. Needed where the certificate is
	 * verified, unless any_name says that any trusted one will do.
	 */
	const char *server_name;
	bool any_name;
	bool no_sni;

	const char *alpn;	       /* instead of the context's */
	uint64_t handshake_timeout_ms; /* 0: 120 s; WEIR_TLS_NO_TIMEOUT */

	/* An end without TLS's close_notify is a good end: the peer is one
	 * that never sends it, and its data tells by itself where it ends. */
	bool allow_truncation;

	/* Client: resume it. One of another context or server_name is not
	 * offered. It stays the caller's. */
	const struct weir_tls_session *session;

	/* Bytes that were read from the socket already and belong to TLS: what
	 * came behind a PROXY header or a STARTTLS, a hello that was peeked
	 * at. */
	const void *received;
	size_t received_length;

	/* Bytes to be sent as they are before the handshake, and behind what
	 * an open socket had queued: a PROXY header. */
	const void *preface;
	size_t preface_length;
};

/*
 * Speak TLS on an open or connecting socket (socket.setSecure), as a client or
 * a server by what the context is for. on_secure follows, or on_error and
 * on_close. What an open socket had queued before goes out as it was, all that
 * is written later (and all that was written to one that connects) waits for
 * the handshake and goes through TLS, in order. What was read before and not
 * handed over yet is taken for TLS. options may be NULL; the socket keeps a
 * reference to the context. From then on weir_socket_end() sends TLS's
 * close_notify and a FIN, the peer's close_notify is on_end, its FIN without
 * one WEIR_E_TLS_TRUNCATED.
 *
 * Returns 0, -EINVAL, -ENOMEM, WEIR_E_SOCKET_CLOSED (also one whose end was
 * read or asked for), WEIR_E_ALREADY_SECURE, WEIR_E_NOT_A_STREAM (a pipe or
 * file). Never blocks; calls no handler before it returns. Since 0.1.
 */
int weir_socket_set_secure(struct weir_socket *socket,
    struct weir_tls_context *context,
    const struct weir_secure_options *options);

/* Whether TLS was set on it, and whether its handshake is done and it is still
 * open. Since 0.1. */
bool weir_socket_is_tls(const struct weir_socket *socket);
bool weir_socket_is_secure(const struct weir_socket *socket);

/*
 * Why TLS failed, for people, in more words than weir_error_text() has:
 * "certificate has expired". The socket's, until its next opening or its end;
 * NULL where TLS did not fail. Since 0.1.
 */
const char *weir_socket_tls_error(const struct weir_socket *socket);

/*
 * Whether TLS failed because the peer of a server's socket ended before it had
 * said a whole hello: as one that only looks whether the port is open. Since
 * 0.1.
 */
bool weir_socket_tls_no_hello(const struct weir_socket *socket);

/*
 * Whether the peer's certificate is good (verifyPeer): signed by a trusted CA,
 * in its time and, on a client with a server_name, for that name. *text, where
 * text is not NULL, says it for people; a static string. Also after on_close,
 * until the next opening. Returns 0 when it is good, WEIR_E_TLS_CERTIFICATE
 * when not, WEIR_E_TLS_NO_CERTIFICATE when there is none, WEIR_E_NOT_SECURE
 * before on_secure. Since 0.1.
 */
int weir_socket_verify_peer(
    const struct weir_socket *socket, const char **text);

/* What a certificate says. An absent field is the empty text. */
struct weir_tls_certificate {
	const char *subject, *issuer;	   /* CN=example.org,O=Example */
	const char *valid_from, *valid_to; /* Jan  1 00:00:00 2026 GMT */
	const char *fingerprint256;	   /* AB:CD:..., SHA-256 */
	const char *serial_number;	   /* hexadecimal */
	const char *subject_alt_name;	   /* DNS:example.org, IP Address:::1 */
	const char *common_name;	   /* the subject's last CN, in UTF-8 */
};

/*
 * The peer's certificate (getPeerCertificate). Names that could be taken for
 * several are quoted. *ret is the caller's, to weir_tls_certificate_free().
 * Returns 0, -ENOMEM, WEIR_E_TLS_NO_CERTIFICATE, or WEIR_E_NOT_SECURE before
 * on_secure and after on_close. Since 0.1.
 */
int weir_socket_peer_certificate(
    const struct weir_socket *socket, struct weir_tls_certificate **ret);
/* NULL is fine. Since 0.1. */
void weir_tls_certificate_free(struct weir_tls_certificate *certificate);

/* What the handshake agreed upon. The texts are the socket's and last until
 * its next opening or its end; NULL where there is none. */
struct weir_tls_info {
	const char *protocol; /* TLSv1.3 */
	const char *cipher;   /* TLS_AES_256_GCM_SHA384 */
	const char *alpn;     /* chosen protocol */
	const char *sni;      /* server name that the client sent */
	bool resumed;
};

/*
 * Fill *ret. Returns 0, or WEIR_E_NOT_SECURE before on_secure; after on_close
 * it still tells. Since 0.1.
 */
int weir_socket_tls_info(
    const struct weir_socket *socket, struct weir_tls_info *ret);

/*
 * The newest session that a client may resume; on_session tells that there is
 * one. With TLS 1.3 each should be used once. *ret is the caller's, to
 * weir_tls_session_free(). Returns 0, -ENOMEM, WEIR_E_NOT_SECURE (also after
 * on_close), or -ENODATA where the server gave none. Since 0.1.
 */
int weir_socket_tls_session(
    const struct weir_socket *socket, struct weir_tls_session **ret);
/* NULL is fine. Since 0.1. */
void weir_tls_session_free(struct weir_tls_session *session);

/*
 * Begin TLS on each socket accepted from now on (tls.Server), before
 * on_connection is called with it; on_secure_connection or on_tls_client_error
 * follow. Again exchanges the context: connections that live keep theirs. A
 * NULL context: no TLS. Of options, which may be NULL, alpn, allow_truncation
 * and handshake_timeout_ms count. The server keeps a reference to the context.
 * Returns 0, -ENOMEM, or -EINVAL (also for a client's context). Never blocks;
 * calls no handler. Since 0.1.
 */
int weir_server_set_tls(struct weir_server *server,
    struct weir_tls_context *context,
    const struct weir_secure_options *options);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
