/* What the rest of libweir needs of addresses and has no place in public. */
#ifndef NET_ADDRESS_PRIV_H
#define NET_ADDRESS_PRIV_H

#include <sys/socket.h>

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#define DIGITS "0123456789"
#define LETTERS                                                                \
	"abcdefghijklmnopqrstuvwxyz"                                           \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZ"

bool weir__is_digits(const char *text);

/* Decimal digits alone, at most max; false for all else. */
bool weir__read_number(const char *text, unsigned long max, unsigned long *ret);

/* Copy n bytes and an end; false where they do not fit. */
bool weir__copy_text(char *ret, size_t size, const char *text, size_t n);

/* The IPv6 address before a '%'; *zone is what comes after it, or NULL. */
bool weir__split_ip6(const char *text, struct in6_addr *ret, const char **zone);

struct weir_address;

/* What getsockname or getpeername says. Returns 0 or -errno; *ret is none
 * then. */
int weir__ask_address(int (*ask)(int, struct sockaddr *, socklen_t *), int fd,
    struct weir_address *ret);

/* endpoint.c: NULL, or what is wrong with a host name; numeric IPv4 is none. */
const char *weir__host_problem(const char *host);

#endif
