/* What the logs tell of a session. */
#ifndef PROXY_SESSION_LOG_H
#define PROXY_SESSION_LOG_H

#include <stddef.h>

struct session;
struct weir_address;

/* Who came: kept only where an access log will ask for it. */
void session_note_client(struct session *session);

/* The server that is tried next, as it is configured; then each address. */
void session_note_server(struct session *session, const char *text);
void session_note_tried(
    struct session *session, const struct weir_address *address);

/* The address that it is connected to, or was last tried; NULL for none. The
 * room is for a text that is not kept. */
const char *session_server_text(
    const struct session *session, char *room, size_t size);

/* One could not be reached; address may be NULL. Logged when it is news. */
void session_note_failed(
    struct session *session, const struct weir_address *address, int err);
/* There was none to try. */
void session_note_no_server(struct session *session);
/* Which server of its upstream it has now. */
void session_note_chosen(struct session *session);
void session_note_connected(struct session *session);

/* Two clients were joined: each is the other's server. */
void session_note_peers(struct session *a, struct session *b);

/* The line of the access log, at the session's end. */
void session_log(const struct session *session);

#endif
