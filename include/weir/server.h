#ifndef WEIR_SERVER_H
#define WEIR_SERVER_H

#include <sys/types.h>

#include <weir/address.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

struct weir_loop;
struct weir_server;
struct weir_socket;

/* net.Server.listen: the default length of the queue of pending connections. */
#define WEIR_BACKLOG 511

/*
 * What a server tells its owner. A handler may be NULL but for on_connection.
 * None is called from inside a call that asked for the work; any call is
 * allowed in any of them, weir_server_free() included.
 */
struct weir_server_handlers {
	/* Bound and listening; weir_server_address() tells where. */
	void (*on_listening)(struct weir_server *server, void *user);

	/*
	 * A connection came. The socket is the owner's, who frees it, and sets
	 * its handlers here with weir_socket_set_handlers(). Required.
	 */
	void (*on_connection)(
	    struct weir_server *server, struct weir_socket *socket, void *user);

	/* One was closed at once, at max_connections (net.Server 'drop'). */
	void (*on_drop)(struct weir_server *server,
	    const struct weir_address *local, const struct weir_address *remote,
	    void *user);

	/*
	 * Accepting rests: accept failed with err (-EMFILE, -ENFILE, -ENOMEM,
	 * -ENOBUFS). It is tried again by itself when a connection of this
	 * loop ends, and from time to time; on_accepting when it works again.
	 */
	void (*on_resting)(struct weir_server *server, int err, void *user);
	void (*on_accepting)(struct weir_server *server, void *user);

	/* Listening failed; on_close comes directly after it. */
	void (*on_error)(struct weir_server *server, int err, void *user);

	/* Closed, and the last of its connections has ended. Once a listen. */
	void (*on_close)(struct weir_server *server, void *user);

	/* With weir_server_set_tls(): the handshake of a socket that
	 * on_connection brought is done (tls.Server 'secureConnection'); the
	 * socket's on_secure follows. */
	void (*on_secure_connection)(
	    struct weir_server *server, struct weir_socket *socket, void *user);

	/* It failed with err; weir_socket_tls_error() says more, and the
	 * socket's on_error and on_close follow. */
	void (*on_tls_client_error)(struct weir_server *server,
	    struct weir_socket *socket, int err, void *user);
};

/* net.createServer's options: what each accepted socket starts with. */
struct weir_server_options {
	bool allow_half_open;  /* default false */
	bool pause_on_connect; /* default false */
	bool no_delay;
	bool keep_alive;
	uint64_t keep_alive_initial_delay_ms;
	uint64_t keep_alive_interval_ms; /* 0 leaves these as the system's */
	unsigned keep_alive_count;
	uint64_t user_timeout_ms;
	size_t high_water_mark; /* weir_socket_set_high_water_mark() */
};

/* net.Server.listen's options, and the socket options of Linux. Zero is the
 * default of each. */
struct weir_listen_options {
	int backlog;	/* 0: WEIR_BACKLOG */
	bool exclusive; /* a forked child does not share it */
	bool ipv6_only;
	bool reuse_port;
	bool transparent;
	bool freebind;
	bool fast_open;
	bool defer_accept;
	const char *interface; /* SO_BINDTODEVICE; read during the call */
	uint32_t mark;	       /* SO_MARK */

	/* Unix paths. */
	bool replace_stale; /* take over a socket file nobody answers on */
	bool set_mode, set_uid, set_gid;
	mode_t mode; /* set before anyone can connect */
	uid_t uid;
	gid_t gid;
};

/*
 * A server that does not listen yet (net.createServer). handlers and their
 * user are kept by reference; options may be NULL. *ret is the caller's.
 * Returns 0, -EINVAL or -ENOMEM. Since 0.1.
 */
int weir_server_new(struct weir_server **ret, struct weir_loop *loop,
    const struct weir_server_options *options,
    const struct weir_server_handlers *handlers, void *user);

/*
 * Close at once and free: no handler is called any more. Its open connections
 * live on. NULL is fine. Since 0.1.
 */
void weir_server_free(struct weir_server *server);

/*
 * Listen on an address (net.Server.listen with a numeric host, or a path).
 * Port 0 lets the system pick. SO_REUSEADDR is always set. A failure to bind
 * comes as on_error, then on_close; listening again is fine after those.
 * Returns 0, -EINVAL, -ENOMEM or WEIR_E_SERVER_ALREADY_LISTEN. Since 0.1.
 */
int weir_server_listen(struct weir_server *server,
    const struct weir_address *address,
    const struct weir_listen_options *options);

/*
 * Listen on any address: "::" for both families where IPv6 is available, else
 * 0.0.0.0 (net.Server.listen with no host). Else as above. Since 0.1.
 */
int weir_server_listen_any(struct weir_server *server, uint16_t port,
    const struct weir_listen_options *options);

/*
 * Listen on a descriptor that is bound, and listened on or not. It is the
 * server's from here on, and closed with it. WEIR_E_NOT_A_STREAM for one that
 * is no stream socket, -EISCONN for one that is connected, -EINVAL for one that
 * is not bound, as on_error. Else as above. Since 0.1.
 */
int weir_server_listen_fd(struct weir_server *server, int fd,
    const struct weir_listen_options *options);

/*
 * Listen on a host: an address, or a name, which is looked up, and its first
 * address is taken; NULL or "" is weir_server_listen_any() (net.Server
 * .listen(port, host)). That a name is not known comes as on_error, too.
 * Else as above. Since 0.1.
 */
int weir_server_listen_host(struct weir_server *server, const char *host,
    uint16_t port, const struct weir_listen_options *options);

/*
 * Listen on the handle of another server, or of a socket around a descriptor
 * that is bound: on a copy, so that each goes on when the other is closed.
 * Returns WEIR_E_SERVER_NOT_RUNNING or WEIR_E_SOCKET_CLOSED where that has no
 * handle, or -errno. Else as weir_server_listen_fd(). Since 0.1.
 */
int weir_server_listen_server(struct weir_server *server,
    const struct weir_server *other, const struct weir_listen_options *options);
int weir_server_listen_socket(struct weir_server *server,
    const struct weir_socket *socket,
    const struct weir_listen_options *options);

/*
 * Accept no more; on_close comes once all its connections have ended
 * (net.Server.close). Its own socket file is removed. Returns 0, or
 * WEIR_E_SERVER_NOT_RUNNING where it was not listening. Since 0.1.
 */
int weir_server_close(struct weir_server *server);

/*
 * The same, and fn after on_close; err is WEIR_E_SERVER_NOT_RUNNING where it
 * was not listening, and where it was not open either there is no on_close to
 * wait for. fn is called from the loop, and not once the server was freed.
 * Returns 0, -EINVAL or -ENOMEM. Since 0.1.
 */
int weir_server_close_cb(struct weir_server *server,
    void (*fn)(struct weir_server *server, int err, void *user), void *user);

/*
 * The same, once those that wait in the backlog now were accepted; on_close as
 * after weir_server_close(). Also of a server that is paused. Since 0.1.
 */
int weir_server_close_soon(struct weir_server *server);

/*
 * Other options for who is accepted from now on. Returns 0 or -EINVAL. Since
 * 0.1.
 */
int weir_server_set_options(
    struct weir_server *server, const struct weir_server_options *options);

/*
 * Change the options of a server that listens, which goes on listening:
 * those that differ from what it was told last, in no order that is promised.
 * Owner and mode are set where the socket file is the server's own.
 * Returns 0, WEIR_E_SERVER_NOT_RUNNING, or what stood in the way; then some
 * may have been changed: -ENOTSUP (ipv6_only is settled when a socket is
 * bound), WEIR_E_NOT_A_SOCKET_FILE where another file has come in the place of
 * its own, -EINVAL, -EPERM and whatever else the system says. Since 0.1.
 */
int weir_server_set_listen_options(
    struct weir_server *server, const struct weir_listen_options *options);

/* Leave new connections in the backlog, and accept again. Since 0.1. */
void weir_server_pause(struct weir_server *server);
void weir_server_resume(struct weir_server *server);

/* Whether it is bound and listening. Since 0.1. */
bool weir_server_listening(const struct weir_server *server);

/*
 * Where it listens, as the system tells. Returns 0, or
 * WEIR_E_SERVER_NOT_RUNNING before on_listening and after close. Since 0.1.
 */
int weir_server_address(
    const struct weir_server *server, struct weir_address *ret);

/* The listening descriptor, still the server's; -1 where there is none. */
int weir_server_fd(const struct weir_server *server);

/*
 * Count the open connections of all processes that share this listen by fork,
 * and those that were handed to others (net.Server.getConnections): fn is
 * called from the loop, with err 0, and not once the server was freed. Returns
 * 0, -EINVAL or -ENOMEM. Since 0.1.
 */
int weir_server_get_connections(struct weir_server *server,
    void (*fn)(struct weir_server *server, int err, size_t count, void *user),
    void *user);

/* Open connections that came by this server and are in this process, those
 * not that were handed to another (net.Server.connections). Since 0.1. */
size_t weir_server_connections(const struct weir_server *server);

/*
 * Close further connections at once when so many are open (net.Server
 * .maxConnections); 0 drops all, a negative number (the start) is no limit.
 * Since 0.1.
 */
void weir_server_set_max_connections(struct weir_server *server, long max);

/* Hold the loop while it is open (the start), or do not. Since 0.1. */
void weir_server_ref(struct weir_server *server);
void weir_server_unref(struct weir_server *server);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
