/*
 * The first message of TLS: what a client says of itself before anything is
 * encrypted. It is read to choose an upstream, and passed on as it came.
 */
#ifndef PROTO_HELLO_H
#define PROTO_HELLO_H

#include <stdbool.h>
#include <stddef.h>

/* The longest server name, and the most bytes that a hello may take, the
 * headers of its records included. */
#define HELLO_NAME_MAX 255
#define HELLO_MAX      65536

enum hello_result {
	HELLO_NEED_MORE,
	HELLO_NOT_TLS, /* something else, an SSL 2.0 hello included */
	HELLO_BROKEN,  /* it began as TLS; problem says what is wrong */
	HELLO_DONE,
};

/* All zero before the first call. */
struct hello {
	char name[HELLO_NAME_MAX + 1]; /* in lower case; "": none */
	size_t alpn_length;	       /* 0: no protocols offered */
	const char *problem;	       /* a static text */

	/* How far the reader is. */
	size_t record;	/* where the record that is under way begins */
	size_t got;	/* bytes of the message in the records before it */
	size_t alpn_at; /* where the list begins in the message */
};

/*
 * Read a hello from the bytes that came so far: length of them, from the first
 * one on. With HELLO_NEED_MORE it is called again once there are more, however
 * they come; the bytes of earlier calls must be the same then. With another
 * result it is over.
 */
enum hello_result hello_read(
    struct hello *hello, const void *bytes, size_t length);

/* Whether the protocol is one of those that the client offers (ALPN). bytes
 * are those of the call that was HELLO_DONE. */
bool hello_offers(const struct hello *hello, const void *bytes, size_t length,
    const char *protocol);

/*
 * Whether a server name is what a pattern means: the name itself, or with
 * "*.example.org" any name below example.org, at whatever depth. The case of
 * letters does not count.
 */
bool hello_name_matches(const char *pattern, const char *name);

#endif
