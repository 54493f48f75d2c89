#ifndef WEIR_ADDRESS_H
#define WEIR_ADDRESS_H

#include <sys/socket.h>
#include <sys/un.h>

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* Room for any address as text, its end included. */
#define WEIR_ADDRESS_TEXT 160

/* The longest host name, its end included (RFC 1035: 253 octets as text). */
#define WEIR_HOST_TEXT 256

/* A socket's address: a value, copied freely. length 0 is "none". */
struct weir_address {
	socklen_t length;
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} u;
};

/*
 * What an ADDRESS says as text, before a name in it is resolved:
 *
 *   127.0.0.1:80  [::1]:80  host:80     TCP, host
 *   *:80  :80                           TCP, host empty: any address
 *   10.0.0.1:8000-8009                  TCP, a range of ports
 *   unix:/path  /path                   UNIX, path
 *   unix:@name                          UNIX, abstract
 *   fd:3                                FD
 *   systemd:NAME  systemd:              SYSTEMD, name (empty: all)
 *   srv:_app._tcp.example.org           SRV, name: a DNS record tells hosts
 *                                       and ports
 */
enum weir_endpoint_kind {
	WEIR_ENDPOINT_TCP,
	WEIR_ENDPOINT_UNIX,
	WEIR_ENDPOINT_FD,
	WEIR_ENDPOINT_SYSTEMD,
	WEIR_ENDPOINT_SRV,
};

struct weir_endpoint {
	enum weir_endpoint_kind kind;
	uint16_t port_first, port_last; /* equal where there is no range */
	int fd;
	bool abstract;		   /* UNIX: name is without the '@' */
	char name[WEIR_HOST_TEXT]; /* host, path, descriptor or SRV name */
};

/*
 * Read an ADDRESS. On failure returns -EINVAL and points *problem (may be
 * NULL) to a static text that says what is wrong, such as "the port must be 0
 * to 65535". Since 0.1.
 */
int weir_endpoint_parse(
    struct weir_endpoint *ret, const char *text, const char **problem);

/*
 * The canonical text of an endpoint, which weir_endpoint_parse() reads back;
 * "-" for NULL. Returns text. size should be WEIR_ADDRESS_TEXT +
 * WEIR_HOST_TEXT. Since 0.1.
 */
char *weir_endpoint_text(
    const struct weir_endpoint *endpoint, char *text, size_t size);

/*
 * The address of an endpoint that needs no resolving: a numeric host (with
 * port_first), or a unix path. Returns 0, or -EINVAL where a name would have
 * to be resolved or the kind has no address. Since 0.1.
 */
int weir_endpoint_address(
    const struct weir_endpoint *endpoint, struct weir_address *ret);

/*
 * An address from a numeric host ("127.0.0.1", "::1", "fe80::1%eth0") and a
 * port. Returns 0 or -EINVAL. Since 0.1.
 */
int weir_address_set_ip(
    struct weir_address *ret, const char *host, uint16_t port);

/*
 * An address of a unix socket; with abstract, name is the part after the '@'.
 * Returns 0, -EINVAL, or -ENAMETOOLONG where it does not fit sun_path.
 * Since 0.1.
 */
int weir_address_set_unix(
    struct weir_address *ret, const char *name, bool abstract);

/*
 * "127.0.0.1:80", "[::1]:80", "unix:/path", "unix:@name", "unix:" for an
 * unnamed one, "-" for none. An IPv4-mapped IPv6 address is shown as the IPv4
 * one that it stands for. NULL is none. Returns text; it always fits
 * WEIR_ADDRESS_TEXT. Since 0.1.
 */
char *weir_address_text(
    const struct weir_address *address, char *text, size_t size);

/* The host alone ("::1"), or the unix path ("@name"), as weir_address_text()
 * shows it. Returns text. Since 0.1. */
char *weir_address_host(
    const struct weir_address *address, char *text, size_t size);

/* The port; 0 for a unix socket or none. Since 0.1. */
uint16_t weir_address_port(const struct weir_address *address);

/* 4, 6, or 0 for a unix socket or none; IPv4-mapped is 6. Since 0.1. */
int weir_address_family(const struct weir_address *address);

/* Whether two addresses are the same, port or path included; NULL is none.
 * Since 0.1. */
bool weir_address_equal(
    const struct weir_address *a, const struct weir_address *b);

/*
 * 4, 6, or 0 where text is no IP address; a zone index is IPv6 only, leading
 * zeros are not IPv4 (net.isIP). NULL is 0. Since 0.1.
 */
int weir_is_ip(const char *text);
bool weir_is_ipv4(const char *text);
bool weir_is_ipv6(const char *text);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
