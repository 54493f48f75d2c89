/* What the files of a session share: session.c (its life, its clock, the
 * client's side), session_begin.c (who may come in), session_front.c (what
 * clients say before), session_forward.c and session_secure.c (the server's
 * side) and session_pipe.c. */
#ifndef PROXY_SESSION_PRIV_H
#define PROXY_SESSION_PRIV_H

#include "proxy/session.h"

struct weir_loop;
struct weir_socket_handlers;

/* Of what few have; or NULL. */
static inline struct session *
session_peer(const struct session *session)
{
	return session->extra != NULL ? session->extra->peer : NULL;
}

static inline struct child *
session_child(const struct session *session)
{
	return session->extra != NULL ? session->extra->child : NULL;
}

struct weir_loop *session_loop(const struct session *session);

extern const struct weir_socket_handlers session_client_handlers;

/* A session that is under a configuration, which it references; nothing else
 * of it is there. NULL without memory. */
struct session *session_alloc(
    struct listener *listener, const struct config_listener *config);
/* It was let in elsewhere: count it here, limits or not. source may be NULL. */
void session_enter(struct session *session, const struct source_key *source);
/* Free it as if it had never been: no line in the log, no figure. */
void session_forget(struct session *session);

/* Who moves it has it no more. */
void session_forget_ref(struct session *session);

/* Whether there is such an enum session_end. */
bool session_is_end(unsigned end);

/* Who ended it, or why, unless something worse was noted before. */
void session_note_end(struct session *session, enum session_end end);

/* What one side's end means for the other: a reset is passed on as one. */
void session_end_other(
    struct session *session, struct weir_socket *other, int err);
void session_leave_peer(struct session *session);
/* Free it, where both of its sockets are closed. */
void session_finish_if_done(struct session *session);

/* Milliseconds until the session's time is up; UINT64_MAX: never. */
uint64_t session_time_left(const struct session *session);
void session_update_timer(struct session *session);
/* Its deadline has come. */
void session_on_deadline(struct session *session);
uint64_t session_earlier(uint64_t a, uint64_t b);

/* All that it holds but its sockets, which are gone. */
void session_drop(struct session *session);

/* ---- session_begin.c ---- */

/* May it come in, by who it is? END_NONE, or why not. */
enum session_end session_admit(struct session *session);
/* For balance = source. */
uint64_t session_balance_key(const struct session *session);
/* It may not, and was counted as a session already. */
void session_refuse(struct session *session, enum session_end end);
/* It is through all that comes before: do what its mode does. */
void session_serve(struct session *session);

/* Of two rates, 0 being none. */
uint64_t session_lower_rate(uint64_t in, uint64_t out);

/* Pipe one way. Where that fails the session is destroyed. Returns 0 or an
 * error. */
int session_join(struct session *session, struct weir_socket *from,
    struct weir_socket *to, uint64_t rate);

/* ---- session_forward.c ---- */

extern const struct weir_socket_handlers session_server_handlers;
extern const struct upstream_handlers session_upstream_handlers;

void session_start_forward(struct session *session);
void session_connect_next(struct session *session);
/* It came with a server that it is connected to: it counts there. */
void session_count_server(struct session *session);
/* There is no other side to be had. */
void session_give_up(struct session *session);

/* ---- session_secure.c ---- */

/*
 * The server's socket begins to connect to what is called server here, a host
 * of that name or address (or NULL): a PROXY header is queued, and TLS begun,
 * before any of the client's bytes. Returns 0 or an error.
 */
int session_secure_server(
    struct session *session, const char *server, const char *host);

/* The server's socket is connected. True when TLS is still to come, and
 * on_secure will tell. */
bool session_is_securing(struct session *session);

/* The server gave a session that can be resumed. */
void session_keep_tls(struct session *session);

/* ---- session_pipe.c ---- */

void session_start_pipe(struct session *session);

#endif
