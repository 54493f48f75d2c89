/*
 * The TLS of a configuration: a context for each listener that speaks it with
 * clients, and for each that speaks it with servers.
 */
#ifndef PROXY_TLS_H
#define PROXY_TLS_H

#include <stdbool.h>
#include <stddef.h>

struct config;
struct config_listener;
struct config_tls_shared;
struct weir_tls_cache;
struct weir_tls_context;
struct weir_tls_session;

/* What is wrong with the TLS of a listener: "tls: /etc/weir/a.pem: ...". */
typedef void tls_mistake_fn(
    const struct config_listener *listener, const char *text, void *user);

/*
 * Make all contexts of a configuration, or none. They are kept with it, and go
 * with it; so connections that began under it keep theirs. The shared ticket
 * key is the board's, so that each worker, and who comes after it, can read
 * the tickets of all. Files are read now and not again. Returns 0, or an error,
 * and mistake is called for each that there is (not for -ENOMEM). Called again
 * for the same configuration: nothing.
 */
int tls_make(struct config *config, const struct config_tls_shared *shared,
    tls_mistake_fn *mistake, void *user);

/*
 * A place for the sessions of clients that resume without a ticket, as large
 * as tls_session_cache of all listeners says and the default at least, since
 * it is made before workers are forked and stays. Returns 0 or -errno.
 */
int tls_cache_new(struct weir_tls_cache **ret, const struct config *config);

/* Of one listener; NULL where it has none. */
struct weir_tls_context *tls_of_clients(const struct config_listener *listener);
struct weir_tls_context *tls_of_servers(const struct config_listener *listener);

/*
 * Sessions with a server that can be resumed, by what the server is called
 * here. tls_session_keep() takes the session; once says that it is to be used
 * for one connection only, as those of TLS 1.3 are. tls_session_find() shows
 * one, or NULL; tls_session_used() tells that it was.
 */
void tls_session_keep(const struct config_listener *listener,
    const char *server, struct weir_tls_session *session, bool once);
const struct weir_tls_session *tls_session_find(
    const struct config_listener *listener, const char *server);
void tls_session_used(const struct config_listener *listener,
    const struct weir_tls_session *session);

#endif
