/*
 * The header of the PROXY protocol, versions 1 and 2: what a proxy in front
 * says of a client, as the first bytes of a connection.
 */
#ifndef PROTO_PROXY_HEADER_H
#define PROTO_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/address.h>

struct strbuf;

/* The longest header that is read. The protocol would allow 64 KiB, for which
 * nobody has a use. */
#define PROXY_HEADER_MAX 16384

/* The longest of version 1, its CR LF included. */
#define PROXY_HEADER_V1_MAX 107

/* The longest unique id. */
#define PROXY_HEADER_ID_MAX 128

/* Bytes somewhere else; data NULL: not there. */
struct proxy_bytes {
	const unsigned char *data;
	size_t length;
};

/* Bits of proxy_header.ssl_client. */
enum {
	PROXY_CLIENT_SSL = 0x01,
	PROXY_CLIENT_CERT_CONN = 0x02, /* in this connection */
	PROXY_CLIENT_CERT_SESS = 0x04, /* in its TLS session */
};

struct proxy_header {
	/* LOCAL, UNKNOWN, or of a kind that weir does not forward: the
	 * addresses of the connection itself count. */
	bool local;
	struct weir_address source, destination; /* length 0 where local */

	/* What version 2 may say besides. */
	struct proxy_bytes alpn, authority, unique_id, netns;
	bool has_ssl;
	uint8_t ssl_client;
	uint32_t ssl_verify; /* 0: a good certificate was presented */
	struct proxy_bytes ssl_version, ssl_cn, ssl_cipher, ssl_sig_alg;
	struct proxy_bytes ssl_key_alg;
};

enum proxy_header_result {
	PROXY_HEADER_NEED_MORE,
	PROXY_HEADER_BROKEN,
	PROXY_HEADER_DONE,
};

/*
 * Read a header from the bytes that came so far, from the first one on. With
 * PROXY_HEADER_DONE *ret is filled, its bytes point into those given, and *used
 * is how many were the header's; with PROXY_HEADER_BROKEN *problem is a static
 * text. What cannot become a header is broken with its first wrong byte.
 */
enum proxy_header_result proxy_header_read(struct proxy_header *ret,
    size_t *used, const char **problem, const void *bytes, size_t length);

/*
 * Add a header to what is to be sent. Addresses of two families are written as
 * IPv6; of version 1, what is local or not IP is UNKNOWN, and nothing but
 * addresses is said.
 */
void proxy_header_write_v1(
    struct strbuf *out, const struct proxy_header *header);

/* With check a CRC32C is added. What has no room in PROXY_HEADER_MAX is left
 * out, by itself; room is given to the unique id first, then to ALPN, the
 * authority, SSL and the name of a network. */
void proxy_header_write_v2(
    struct strbuf *out, const struct proxy_header *header, bool check);

/* The CRC32C of RFC 4960, appendix B; crc is 0 or that of the bytes before. */
uint32_t proxy_header_crc32c(uint32_t crc, const void *bytes, size_t length);

#endif
