/*
 * Endpoints: an ADDRESS as people write it, from text and to text. A name stays
 * a name until resolve.c has looked it up. A text that could mean two things is
 * refused with a problem that says how to write it, rather than guessed at.
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

#define HEX DIGITS "abcdefABCDEF"

/* RFC 1035: the octets of one label, and of a name as text. */
#define LABEL_MAX     63
#define NAME_MAX_TEXT 253

/* ---- reading; each function returns NULL, or the problem ---- */

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
	(void)weir__copy_text(ret->name, sizeof(ret->name), path, strlen(path));
	return NULL;
}

static const char *
parse_fd(struct weir_endpoint *ret, const char *number)
{
	unsigned long fd;

	ret->kind = WEIR_ENDPOINT_FD;
	if (!weir__read_number(number, INT_MAX, &fd))
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
	if (!weir__copy_text(ret->name, sizeof(ret->name), name, strlen(name)))
		return "the name after systemd: is at most 255 bytes long";
	return NULL;
}

static const char *
parse_port(uint16_t *ret, const char *text)
{
	unsigned long port;

	if (!weir__read_number(text, UINT16_MAX, &port))
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
	if (!weir__copy_text(first, sizeof(first), text, dash))
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

	if (!weir__copy_text(text, sizeof(text), host, length) ||
	    !weir__split_ip6(text, &ip, &zone))
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
	if (colons == 0 && weir__is_digits(text))
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
	if (!weir__copy_text(
		ret->name, sizeof(ret->name), text, (size_t)(colon - text)))
		return "a host name is at most 253 bytes long";
	if (strcmp(ret->name, "*") == 0)
		ret->name[0] = '\0';
	problem = ret->name[0] == '\0' ? NULL : weir__host_problem(ret->name);
	return problem != NULL ? problem : parse_ports(ret, colon + 1);
}

/* Any name may have SRV records; most begin with _SERVICE._PROTOCOL. */
static const char *
parse_srv(struct weir_endpoint *ret, const char *name)
{
	const char *problem;

	ret->kind = WEIR_ENDPOINT_SRV;
	if (*name == '\0')
		return "the name after srv: is missing, such as "
		       "srv:_app._tcp.example.org";
	if (strchr(name, ':') != NULL)
		return "a srv: name has no port; its records tell the ports";
	if (!weir__copy_text(ret->name, sizeof(ret->name), name, strlen(name)))
		return "a host name is at most 253 bytes long";
	problem = weir__host_problem(ret->name);
	if (problem == NULL && weir_is_ipv4(ret->name))
		problem = "after srv: must come a name, not an address";
	return problem;
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
		return parse_srv(ret, text + 4);
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
	case WEIR_ENDPOINT_SRV:
		(void)snprintf(text, size, "srv:%s", endpoint->name);
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
	case WEIR_ENDPOINT_SRV:
		break;
	}
	return -EINVAL;
}
