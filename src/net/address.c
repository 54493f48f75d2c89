/*
 * Addresses: from text, to text, and compared. Nothing is resolved here and
 * nothing blocks. An ADDRESS as people write it is an endpoint, endpoint.c's.
 */
#include "config.h"

#include <weir/address.h>

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "net/address_priv.h"

#define PATH_OFFSET offsetof(struct sockaddr_un, sun_path)

bool
weir__is_digits(const char *text)
{
	return *text != '\0' && text[strspn(text, DIGITS)] == '\0';
}

bool
weir__read_number(const char *text, unsigned long max, unsigned long *ret)
{
	unsigned long n = 0, digit;

	if (!weir__is_digits(text))
		return false;
	for (; *text != '\0'; text++) {
		digit = (unsigned long)(*text - '0');
		if (n > (max - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*ret = n;
	return true;
}

bool
weir__copy_text(char *ret, size_t size, const char *text, size_t n)
{
	if (n >= size)
		return false;
	memcpy(ret, text, n);
	ret[n] = '\0';
	return true;
}

bool
weir__split_ip6(const char *text, struct in6_addr *ret, const char **zone)
{
	char plain[INET6_ADDRSTRLEN];
	size_t n = strcspn(text, "%");

	*zone = text[n] == '%' ? text + n + 1 : NULL;
	return weir__copy_text(plain, sizeof(plain), text, n) &&
	       inet_pton(AF_INET6, plain, ret) == 1;
}

bool
weir_is_ipv4(const char *text)
{
	struct in_addr ip;

	return text != NULL && inet_pton(AF_INET, text, &ip) == 1;
}

bool
weir_is_ipv6(const char *text)
{
	struct in6_addr ip;
	const char *zone;

	if (text == NULL || !weir__split_ip6(text, &ip, &zone))
		return false;
	return zone == NULL ||
	       (*zone != '\0' &&
		   zone[strspn(zone, DIGITS LETTERS "-.:")] == '\0');
}

int
weir_is_ip(const char *text)
{
	if (weir_is_ipv4(text))
		return 4;
	return weir_is_ipv6(text) ? 6 : 0;
}

int
weir__ask_address(int (*ask)(int, struct sockaddr *, socklen_t *), int fd,
    struct weir_address *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->length = sizeof(ret->u);
	if (ask(fd, &ret->u.sa, &ret->length) == -1) {
		ret->length = 0;
		return -errno;
	}
	/* A path that fills sun_path is told with an end that it has no room
	 * for. */
	if (ret->length > sizeof(ret->u))
		ret->length = sizeof(ret->u);
	return 0;
}

/* The index of an interface by its name, or by its number. */
static bool
read_zone(const char *zone, uint32_t *ret)
{
	unsigned long index;

	index = if_nametoindex(zone);
	if (index == 0 && !weir__read_number(zone, UINT32_MAX, &index))
		return false;
	*ret = (uint32_t)index;
	return true;
}

int
weir_address_set_ip(struct weir_address *ret, const char *host, uint16_t port)
{
	struct weir_address address;
	const char *zone;

	if (ret == NULL || host == NULL)
		return -EINVAL;
	memset(&address, 0, sizeof(address));
	if (inet_pton(AF_INET, host, &address.u.in.sin_addr) == 1) {
		address.length = sizeof(address.u.in);
		address.u.in.sin_family = AF_INET;
		address.u.in.sin_port = htons(port);
	} else if (weir__split_ip6(host, &address.u.in6.sin6_addr, &zone)) {
		address.length = sizeof(address.u.in6);
		address.u.in6.sin6_family = AF_INET6;
		address.u.in6.sin6_port = htons(port);
		if (zone != NULL &&
		    !read_zone(zone, &address.u.in6.sin6_scope_id))
			return -EINVAL;
	} else {
		return -EINVAL;
	}
	*ret = address;
	return 0;
}

int
weir_address_set_unix(struct weir_address *ret, const char *name, bool abstract)
{
	struct weir_address address;
	size_t length;

	if (ret == NULL || name == NULL)
		return -EINVAL;
	length = strlen(name);
	/* A path keeps room for its end; an abstract name starts with a NUL
	 * and has no end but the length. */
	if (length > sizeof(address.u.un.sun_path) - 1)
		return -ENAMETOOLONG;
	memset(&address, 0, sizeof(address));
	address.u.un.sun_family = AF_UNIX;
	memcpy(address.u.un.sun_path + (abstract ? 1 : 0), name, length);
	address.length = (socklen_t)(PATH_OFFSET + length + 1);
	*ret = address;
	return 0;
}

/* The bytes of a unix address's name; an abstract one's leading NUL counts. */
static size_t
unix_length(const struct weir_address *address)
{
	size_t length;

	if (address->length <= PATH_OFFSET)
		return 0;
	length = address->length - PATH_OFFSET;
	if (length > sizeof(address->u.un.sun_path))
		length = sizeof(address->u.un.sun_path);
	if (address->u.un.sun_path[0] == '\0')
		return length;
	return strnlen(address->u.un.sun_path, length);
}

/* A NUL inside of an abstract name is shown as '@', like its first one. */
static void
unix_text(const struct weir_address *address, char *text, size_t size)
{
	size_t i, length = unix_length(address);

	if (length > size - 1)
		length = size - 1;
	for (i = 0; i < length; i++) {
		text[i] = address->u.un.sun_path[i];
		if (text[i] == '\0')
			text[i] = '@';
	}
	text[length] = '\0';
}

/* Whether an address is IPv4, also as IPv4-mapped; then *ret is that. */
static bool
as_ip4(const struct weir_address *address, struct in_addr *ret)
{
	const struct sockaddr_in6 *in6 = &address->u.in6;

	if (address->u.sa.sa_family == AF_INET) {
		*ret = address->u.in.sin_addr;
		return true;
	}
	if (!IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		return false;
	memcpy(ret, in6->sin6_addr.s6_addr + 12, sizeof(*ret));
	return true;
}

static void
ip6_text(const struct sockaddr_in6 *in6, char *text, size_t size)
{
	char ip[INET6_ADDRSTRLEN], zone[IF_NAMESIZE];

	(void)inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
	if (in6->sin6_scope_id == 0)
		(void)snprintf(text, size, "%s", ip);
	else if (if_indextoname(in6->sin6_scope_id, zone) != NULL)
		(void)snprintf(text, size, "%s%%%s", ip, zone);
	else
		(void)snprintf(text, size, "%s%%%u", ip, in6->sin6_scope_id);
}

/* The AF_ of an address that is one, else AF_UNSPEC. */
static int
shown_family(const struct weir_address *address)
{
	if (address == NULL || address->length == 0)
		return AF_UNSPEC;
	return address->u.sa.sa_family;
}

/* Most addresses are these, and each connection writes some. Returns the end
 * of what was written, which snprintf would take ten times as long for. */
static char *
put_number(char *at, unsigned n)
{
	char digits[10];
	size_t count = 0;

	do {
		digits[count++] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	while (count > 0)
		*at++ = digits[--count];
	return at;
}

static char *
put_ip4(char *at, const struct in_addr *ip)
{
	const unsigned char *part = (const unsigned char *)&ip->s_addr;
	int i;

	for (i = 0; i < 4; i++) {
		if (i > 0)
			*at++ = '.';
		at = put_number(at, part[i]);
	}
	return at;
}

/* As much of it as there is room for. */
static void
put_text(char *text, size_t size, const char *from, size_t length)
{
	if (length > size - 1)
		length = size - 1;
	memcpy(text, from, length);
	text[length] = '\0';
}

static void
ip4_text(const struct in_addr *ip, char *text, size_t size)
{
	char plain[INET_ADDRSTRLEN];

	put_text(text, size, plain, (size_t)(put_ip4(plain, ip) - plain));
}

static void
ip4_port_text(const struct in_addr *ip, unsigned port, char *text, size_t size)
{
	char plain[INET_ADDRSTRLEN + sizeof(":65535")], *at;

	at = put_ip4(plain, ip);
	*at++ = ':';
	at = put_number(at, port);
	put_text(text, size, plain, (size_t)(at - plain));
}

char *
weir_address_host(const struct weir_address *address, char *text, size_t size)
{
	struct in_addr ip;

	if (text == NULL || size == 0)
		return text;
	switch (shown_family(address)) {
	case AF_INET:
	case AF_INET6:
		if (as_ip4(address, &ip))
			ip4_text(&ip, text, size);
		else
			ip6_text(&address->u.in6, text, size);
		break;
	case AF_UNIX:
		unix_text(address, text, size);
		break;
	default:
		(void)snprintf(text, size, "-");
		break;
	}
	return text;
}

char *
weir_address_text(const struct weir_address *address, char *text, size_t size)
{
	char host[WEIR_ADDRESS_TEXT - sizeof("unix:[]:65535")];
	unsigned port = weir_address_port(address);
	struct in_addr ip;

	if (text == NULL || size == 0)
		return text;
	if ((shown_family(address) == AF_INET ||
		shown_family(address) == AF_INET6) &&
	    as_ip4(address, &ip)) {
		ip4_port_text(&ip, port, text, size);
		return text;
	}
	(void)weir_address_host(address, host, sizeof(host));
	switch (shown_family(address)) {
	case AF_INET:
	case AF_INET6:
		if (strchr(host, ':') != NULL)
			(void)snprintf(text, size, "[%s]:%u", host, port);
		else
			(void)snprintf(text, size, "%s:%u", host, port);
		break;
	case AF_UNIX:
		(void)snprintf(text, size, "unix:%s", host);
		break;
	default:
		(void)snprintf(text, size, "-");
		break;
	}
	return text;
}

uint16_t
weir_address_port(const struct weir_address *address)
{
	switch (weir_address_family(address)) {
	case 4:
		return ntohs(address->u.in.sin_port);
	case 6:
		return ntohs(address->u.in6.sin6_port);
	default:
		return 0;
	}
}

int
weir_address_family(const struct weir_address *address)
{
	switch (shown_family(address)) {
	case AF_INET:
		return 4;
	case AF_INET6:
		return 6;
	default:
		return 0;
	}
}

static bool
ip6_equal(const struct sockaddr_in6 *a, const struct sockaddr_in6 *b)
{
	return IN6_ARE_ADDR_EQUAL(&a->sin6_addr, &b->sin6_addr) &&
	       a->sin6_scope_id == b->sin6_scope_id &&
	       a->sin6_port == b->sin6_port;
}

bool
weir_address_equal(const struct weir_address *a, const struct weir_address *b)
{
	size_t length;

	if (a == NULL || a->length == 0)
		return b == NULL || b->length == 0;
	if (b == NULL || b->length == 0)
		return false;
	if (a->u.sa.sa_family != b->u.sa.sa_family)
		return false;
	switch (a->u.sa.sa_family) {
	case AF_INET:
		return a->u.in.sin_addr.s_addr == b->u.in.sin_addr.s_addr &&
		       a->u.in.sin_port == b->u.in.sin_port;
	case AF_INET6:
		return ip6_equal(&a->u.in6, &b->u.in6);
	case AF_UNIX:
		length = unix_length(a);
		return length == unix_length(b) &&
		       memcmp(a->u.un.sun_path, b->u.un.sun_path, length) == 0;
	default:
		return a->length == b->length && a->length <= sizeof(a->u) &&
		       memcmp(&a->u, &b->u, a->length) == 0;
	}
}
