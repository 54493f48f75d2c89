#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

/*
 * Errors of libweir.
 *
 * A function that can fail returns 0 (or a documented outcome above 0) when it
 * worked, and a negative number when it did not: -errno for what the system
 * said, or one of the codes below. Nothing was changed by a call that failed.
 */

#define WEIR_ERROR_BASE 20000

/* X(name, text): one row an error; enum, name and text come from here. */
#define WEIR_ERROR_MAP(X)                                                      \
	X(SERVER_ALREADY_LISTEN, "the server is already listening")            \
	X(SERVER_NOT_RUNNING, "the server is not listening")                   \
	X(SOCKET_CONNECTED, "the socket is already open or opening")           \
	X(SOCKET_CLOSED, "the socket is closed")                               \
	X(WRITE_AFTER_END, "written to after its end")                         \
	X(ALREADY_PIPED, "already piped")                                      \
	X(NOT_PIPED, "not piped")                                              \
	X(NAME_NOT_FOUND, "the name is not known")                             \
	X(NAME_TRY_AGAIN, "the name servers do not answer")                    \
	X(NAME_FAILED, "the name cannot be resolved")                          \
	X(CONNECT_TIMEOUT, "the connection was not made in time")              \
	X(NOT_A_SOCKET_FILE, "the file is there and is no socket")             \
	X(NOT_A_STREAM, "the descriptor is no stream socket")                  \
	X(TLS_CREDENTIALS, "a certificate, key or CA cannot be used")          \
	X(ALREADY_SECURE, "TLS was already set on the socket")                 \
	X(NOT_SECURE, "the socket has no TLS, or its handshake is not done")   \
	X(TLS_HANDSHAKE, "the TLS handshake failed")                           \
	X(TLS_TIMEOUT, "the TLS handshake was not done in time")               \
	X(TLS_CERTIFICATE, "the peer's certificate is not trusted")            \
	X(TLS_NO_CERTIFICATE, "the peer showed no certificate")                \
	X(TLS_ALERT, "the peer ended TLS with an alert")                       \
	X(TLS_PROTOCOL, "the peer broke the TLS protocol")                     \
	X(TLS_TRUNCATED, "the peer ended without closing TLS")

enum weir_error {
	WEIR_ERROR_FIRST_ = -WEIR_ERROR_BASE - 1000,
#define WEIR_ERROR_ENUM_(name, text) WEIR_E_##name,
	WEIR_ERROR_MAP(WEIR_ERROR_ENUM_)
#undef WEIR_ERROR_ENUM_
	    WEIR_ERROR_LAST_
};

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/*
 * The name of an error, such as "EADDRINUSE" or "WEIR_E_ALREADY_PIPED";
 * "EUNKNOWN" for a number that is none. A static string. Since 0.1.
 */
const char *weir_error_name(int error);

/*
 * What an error means, for people, without a full stop or a line's end;
 * "no error" for 0. A static string, or one that lasts until the next call in
 * this thread. Since 0.1.
 */
const char *weir_error_text(int error);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
