/*
 * What comes before a session begins: a PROXY header, the handshake of TLS, or
 * the hello of a TLS that is not ended here.
 */
#ifndef PROXY_SESSION_FRONT_H
#define PROXY_SESSION_FRONT_H

#include <stdbool.h>

#include <weir/address.h>

#include "util/strbuf.h"

struct hello;
struct session;
struct weir_timer;

enum front_stage {
	FRONT_DONE,
	FRONT_HEADER, /* a PROXY header is read */
	FRONT_HELLO,  /* a hello is looked at */
	FRONT_TLS,    /* the handshake is under way */
};

struct front {
	enum front_stage stage;
	struct weir_timer *timer; /* handshake_timeout; or NULL */
	struct strbuf bytes;	  /* that came and nobody has taken yet */
	struct hello *hello;	  /* FRONT_HELLO; or NULL */

	/* What is known from then on. */
	struct weir_address source, destination; /* length 0: the socket's */
	struct strbuf header; /* of version 2, for what else it says */
	char *sni, *tls;      /* as in the access log; or NULL */
};

/* Whether a PROXY header has to come, by who connected. */
bool session_expects_header(const struct session *session);

/* Read and do what has to be first; session_serve() follows by itself, or the
 * session ends. */
void session_start_front(struct session *session);

/* The session is ending: nothing of it goes on. And the memory. */
void session_stop_front(struct session *session);
void session_free_front(struct session *session);

/* Whether it is still at that. */
bool session_is_before(const struct session *session);

/* What was known of it in another process. Returns 0 or -ENOMEM. */
int session_know_front(struct session *session,
    const struct weir_address *source, const struct weir_address *destination,
    const char *sni);

/* As in the access log; NULL for none. */
const char *session_sni(const struct session *session);
const char *session_tls(const struct session *session);

#endif
