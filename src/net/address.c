/*
 * Addresses: from text, to text, and compared. Nothing is resolved here and
 * nothing blocks; a name stays a name until resolve.c has looked it up. A text
 * that could mean two things is refused with a problem that says how to write
 * it, rather than guessed at.
 */
#include "config.h"

#include <weir/address.h>

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "net/address_priv.h"

#define DIGITS "0123456789"
#define LETTERS                                                                \
	"abcdefghijklmnopqrstuvwxyz"                                           \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define HEX DIGITS "abcdefABCDEF"

/* RFC 1035: the octets of one label, and of a name as text. */
#define LABEL_MAX     63
#define NAME_MAX_TEXT 253

#define PATH_OFFSET   offsetof(struct sockaddr_un, sun_path)

static bool
is_digits(const char *text)
{
	return *text != '\0' && text[strspn(text, DIGITS)] == '\0';
}

/* Decimal digits alone, at most max; false for all else. */
static bool
read_number(const char *text, unsigned long max, unsigned long *ret)
{
	unsigned long n = 0, digit;

	if (!is_digits(text))
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

/* Copy n bytes and an end; false where they do not fit. */
static bool
copy_text(char *ret, size_t size, const char *text, size_t n)
{
	if (n >= size)
		return false;
	memcpy(ret, text, n);
	ret[n] = '\0';
	return true;
}

/* The IPv6 address before a '%'; *zone is what comes after it, or NULL. */
static bool
split_ip6(const char *text, struct in6_addr *ret, const char **zone)
{
	char plain[INET6_ADDRSTRLEN];
	size_t n = strcspn(text, "%");

	*zone = text[n] == '%' ? text + n + 1 : NULL;
	return copy_text(plain, sizeof(plain), text, n) &&
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

	if (text == NULL || !split_ip6(text, &ip, &zone))
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

/* The index of an interface by its name, or by its number. */
static bool
read_zone(const char *zone, uint32_t *ret)
{
	unsigned long index;

	index = if_nametoindex(zone);
	if (index == 0 && !read_number(zone, UINT32_MAX, &index))
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
	} else if (split_ip6(host, &address.u.in6.sin6_addr, &zone)) {
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

char *
weir_address_host(const struct weir_address *address, char *text, size_t size)
{
	struct in_addr ip;
	char plain[INET_ADDRSTRLEN];

	if (text == NULL || size == 0)
		return text;
	switch (shown_family(address)) {
	case AF_INET:
	case AF_INET6:
		if (as_ip4(address, &ip))
			(void)snprintf(text, size, "%s",
			    inet_ntop(AF_INET, &ip, plain, sizeof(plain)));
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

	if (text == NULL || size == 0)
		return text;
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

/*
 * What follows reads endpoints. Each function returns NULL, or the problem.
 */

static const char *
parse_unix(struct weir_endpoint *ret, const char *path)
{
	struct weir_address address;

	ret->kind = WEIR_ENDPOINT_UNIX;
	ret->abstract = *path == '@';
	if (ret->abstract)
		path++;
	if (*path == '\0')
		return ret->abstract ? "the name after unix:@ is missing"
				     : "the path after unix: is missing";
	if (weir_address_set_unix(&address, path, ret->abstract) < 0)
		return ret->abstract
			   ? "an abstract name is at most 107 bytes long"
			   : "the path of a unix socket is at most 107 bytes long";
	(void)copy_text(ret->name, sizeof(ret->name), path, strlen(path));
	return NULL;
}

static const char *
parse_fd(struct weir_endpoint *ret, const char *number)
{
	unsigned long fd;

	ret->kind = WEIR_ENDPOINT_FD;
	if (!read_number(number, INT_MAX, &fd))
		return "after fd: must come the number of a descriptor, "
		       "such as fd:3";
	ret->fd = (int)fd;
	return NULL;
}

/* As systemd's FileDescriptorName=: printable ASCII, no ':', at most 255. */
static const char *
parse_systemd(struct weir_endpoint *ret, const char *name)
{
	const char *p;

	ret->kind = WEIR_ENDPOINT_SYSTEMD;
	for (p = name; *p != '\0'; p++)
		if (*p < ' ' || *p > '~' || *p == ':')
			return "the name after systemd: must be printable "
			       "ASCII without ':'";
	if (!copy_text(ret->name, sizeof(ret->name), name, strlen(name)))
		return "the name after systemd: is at most 255 bytes long";
	return NULL;
}

static const char *
parse_port(uint16_t *ret, const char *text)
{
	unsigned long port;

	if (!read_number(text, UINT16_MAX, &port))
		return "the port must be a number from 0 to 65535";
	*ret = (uint16_t)port;
	return NULL;
}

static const char *
parse_range(struct weir_endpoint *ret, const char *text, size_t dash)
{
	char first[16];
	const char *problem;

	if (text[dash + 1] == '\0')
		return "the last port of the range is missing";
	if (!copy_text(first, sizeof(first), text, dash))
		return "the port must be a number from 0 to 65535";
	problem = parse_port(&ret->port_first, first);
	if (problem == NULL)
		problem = parse_port(&ret->port_last, text + dash + 1);
	if (problem != NULL)
		return problem;
	if (ret->port_first == 0)
		return "a range of ports cannot begin with 0";
	if (ret->port_first > ret->port_last)
		return "the first port of a range must not be above the last";
	return NULL;
}

static const char *
parse_ports(struct weir_endpoint *ret, const char *text)
{
	size_t dash = strcspn(text, "-");
	const char *problem;

	if (*text == '\0')
		return "the port after the ':' is missing";
	if (dash > 0 && text[dash] == '-')
		return parse_range(ret, text, dash);
	problem = parse_port(&ret->port_first, text);
	ret->port_last = ret->port_first;
	return problem;
}

/* The IPv6 address in brackets, in its shortest form, and its zone. */
static const char *
parse_ip6(struct weir_endpoint *ret, const char *host, size_t length)
{
	char text[INET6_ADDRSTRLEN + IF_NAMESIZE], plain[INET6_ADDRSTRLEN];
	struct in6_addr ip;
	const char *zone;

	if (!copy_text(text, sizeof(text), host, length) ||
	    !split_ip6(text, &ip, &zone))
		return "what is between [ and ] is not an IPv6 address";
	if (zone != NULL && (*zone == '\0' || strlen(zone) >= IF_NAMESIZE ||
				strpbrk(zone, " /[]%:") != NULL))
		return "after % must come the name of an interface, such as "
		       "[fe80::1%eth0]:80";
	(void)inet_ntop(AF_INET6, &ip, plain, sizeof(plain));
	(void)snprintf(ret->name, sizeof(ret->name), "%s%s%s", plain,
	    zone != NULL ? "%" : "", zone != NULL ? zone : "");
	return NULL;
}

static const char *
parse_bracketed(struct weir_endpoint *ret, const char *text)
{
	const char *end = strchr(text, ']'), *problem;

	if (end == NULL)
		return "the ']' after the IPv6 address is missing";
	problem = parse_ip6(ret, text + 1, (size_t)(end - text - 1));
	if (problem != NULL)
		return problem;
	if (end[1] == '\0')
		return "the port is missing; write [ADDRESS]:PORT";
	if (end[1] != ':')
		return "after the ']' must come ':' and the port";
	return parse_ports(ret, end + 2);
}

static const char *
check_label(const char *label, size_t length)
{
	if (length == 0)
		return "a host name must not have an empty part between dots";
	if (length > LABEL_MAX)
		return "a part of a host name is at most 63 bytes long";
	if (label[0] == '-' || label[length - 1] == '-')
		return "a part of a host name must not begin or end with '-'";
	return NULL;
}

/*
 * Letters, digits, '-' and, since names in real networks have it, '_'. A dot
 * at the end is fine. A name whose last label is a number would be read as an
 * IPv4 address by some programs and as a name by others.
 */
const char *
weir__host_problem(const char *host)
{
	const char *label = host, *problem;
	size_t length = strlen(host), n;

	if (weir_is_ipv4(host))
		return NULL;
	if (host[strspn(host, DIGITS LETTERS "-_.")] != '\0')
		return "a host name is letters, digits, '-', '_' and '.' "
		       "(others in their xn-- form)";
	if (length > 0 && host[length - 1] == '.')
		length--;
	if (length > NAME_MAX_TEXT)
		return "a host name is at most 253 bytes long";
	for (;;) {
		n = strcspn(label, ".");
		problem = check_label(label, n);
		if (problem != NULL)
			return problem;
		if (label + n >= host + length)
			break;
		label += n + 1;
	}
	if (strspn(label, DIGITS) == n)
		return "the host is neither an IPv4 address nor a name";
	return NULL;
}

/* A text without brackets that has not exactly one ':'. */
static const char *
colons_problem(const char *text, size_t colons)
{
	if (colons == 0 && is_digits(text))
		return "a number alone is not an address; write :PORT for any "
		       "address, or HOST:PORT";
	if (colons == 0)
		return "the port is missing; write HOST:PORT";
	if (text[strspn(text, HEX ":.")] == '\0' || strchr(text, '%') != NULL)
		return "an IPv6 address goes in brackets, such as [::1]:80";
	return "there must be one ':' only, before the port";
}

static const char *
parse_host(struct weir_endpoint *ret, const char *text)
{
	const char *colon = strrchr(text, ':'), *p, *problem;
	size_t colons = 0;

	for (p = text; *p != '\0'; p++)
		colons += *p == ':';
	if (colon == NULL || colons != 1)
		return colons_problem(text, colons);
	if (!copy_text(
		ret->name, sizeof(ret->name), text, (size_t)(colon - text)))
		return "a host name is at most 253 bytes long";
	if (strcmp(ret->name, "*") == 0)
		ret->name[0] = '\0';
	problem = ret->name[0] == '\0' ? NULL : weir__host_problem(ret->name);
	return problem != NULL ? problem : parse_ports(ret, colon + 1);
}

static const char *
parse(struct weir_endpoint *ret, const char *text)
{
	if (*text == '\0')
		return "the address is empty; write HOST:PORT or unix:PATH";
	if (*text == '/')
		return parse_unix(ret, text);
	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(ret, text + 5);
	if (strncmp(text, "fd:", 3) == 0)
		return parse_fd(ret, text + 3);
	if (strncmp(text, "systemd:", 8) == 0)
		return parse_systemd(ret, text + 8);
	if (strncmp(text, "srv:", 4) == 0)
		return "a srv: name stands for several addresses, and is not "
		       "one itself";
	ret->kind = WEIR_ENDPOINT_TCP;
	return *text == '[' ? parse_bracketed(ret, text)
			    : parse_host(ret, text);
}

int
weir_endpoint_parse(
    struct weir_endpoint *ret, const char *text, const char **problem)
{
	struct weir_endpoint endpoint;
	const char *found;

	memset(&endpoint, 0, sizeof(endpoint));
	endpoint.fd = -1;
	found = ret != NULL && text != NULL ? parse(&endpoint, text)
					    : "there is no address";
	if (found != NULL) {
		if (problem != NULL)
			*problem = found;
		return -EINVAL;
	}
	*ret = endpoint;
	return 0;
}

static void
tcp_text(const struct weir_endpoint *endpoint, char *text, size_t size)
{
	bool brackets = strchr(endpoint->name, ':') != NULL;
	char last[sizeof("-65535")] = "";

	if (endpoint->port_last != endpoint->port_first)
		(void)snprintf(
		    last, sizeof(last), "-%u", (unsigned)endpoint->port_last);
	(void)snprintf(text, size, "%s%s%s:%u%s", brackets ? "[" : "",
	    endpoint->name[0] == '\0' ? "*" : endpoint->name,
	    brackets ? "]" : "", (unsigned)endpoint->port_first, last);
}

char *
weir_endpoint_text(
    const struct weir_endpoint *endpoint, char *text, size_t size)
{
	if (text == NULL || size == 0)
		return text;
	(void)snprintf(text, size, "-"); /* for none */
	if (endpoint == NULL)
		return text;
	switch (endpoint->kind) {
	case WEIR_ENDPOINT_TCP:
		tcp_text(endpoint, text, size);
		break;
	case WEIR_ENDPOINT_UNIX:
		(void)snprintf(text, size, "unix:%s%s",
		    endpoint->abstract ? "@" : "", endpoint->name);
		break;
	case WEIR_ENDPOINT_FD:
		(void)snprintf(text, size, "fd:%d", endpoint->fd);
		break;
	case WEIR_ENDPOINT_SYSTEMD:
		(void)snprintf(text, size, "systemd:%s", endpoint->name);
		break;
	}
	return text;
}

int
weir_endpoint_address(
    const struct weir_endpoint *endpoint, struct weir_address *ret)
{
	if (endpoint == NULL)
		return -EINVAL;
	switch (endpoint->kind) {
	case WEIR_ENDPOINT_TCP:
		return weir_address_set_ip(
		    ret, endpoint->name, endpoint->port_first);
	case WEIR_ENDPOINT_UNIX:
		return weir_address_set_unix(
		    ret, endpoint->name, endpoint->abstract);
	case WEIR_ENDPOINT_FD:
	case WEIR_ENDPOINT_SYSTEMD:
		break;
	}
	return -EINVAL;
}
