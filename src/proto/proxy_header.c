/*
 * Reading the header of the PROXY protocol.
 *
 * Both versions say with their first byte which they are. A reader that waits
 * for more than it needs would hang on a client that sends something else, so
 * a header is broken as soon as no further byte could mend it.
 */
#include "config.h"

#include "proto/proxy_header.h"

#include <arpa/inet.h>
#include <string.h>

#include "proto/proxy_header_priv.h"

#define PREFIX_V1	 "PROXY "
#define PREFIX_V1_LENGTH 6

static enum proxy_header_result
broken(const char **problem, const char *text)
{
	*problem = text;
	return PROXY_HEADER_BROKEN;
}

/* ---- version 1 ---- */

struct token {
	const char *text;
	size_t length;
};

/* The next token of a line; exactly one space ends it, or the line does. */
static bool
next_token(struct token *token, const char **at, const char *end)
{
	const char *space;

	if (*at > end)
		return false;
	space = memchr(*at, ' ', (size_t)(end - *at));
	token->text = *at;
	token->length = (size_t)((space != NULL ? space : end) - *at);
	*at += token->length + 1;
	return token->length > 0;
}

static bool
token_is(const struct token *token, const char *text)
{
	return token->length == strlen(text) &&
	       memcmp(token->text, text, token->length) == 0;
}

/* "0" to "65535", without further zeros in front. */
static bool
read_port(const struct token *token, in_port_t *ret)
{
	unsigned long port = 0;
	size_t i;

	if (token->length > 5 || (token->length > 1 && token->text[0] == '0'))
		return false;
	for (i = 0; i < token->length; i++) {
		if (token->text[i] < '0' || token->text[i] > '9')
			return false;
		port = port * 10 + (unsigned long)(token->text[i] - '0');
	}
	*ret = htons((uint16_t)port);
	return port <= 65535;
}

static bool
read_host(const struct token *token, int family, struct weir_address *ret)
{
	char text[INET6_ADDRSTRLEN];

	if (token->length >= sizeof(text) ||
	    memchr(token->text, '\0', token->length) != NULL)
		return false;
	memcpy(text, token->text, token->length);
	text[token->length] = '\0';
	ret->u.sa.sa_family = (sa_family_t)family;
	if (family == AF_INET) {
		ret->length = sizeof(ret->u.in);
		return inet_pton(family, text, &ret->u.in.sin_addr) == 1;
	}
	ret->length = sizeof(ret->u.in6);
	return inet_pton(family, text, &ret->u.in6.sin6_addr) == 1;
}

static in_port_t *
port_of(struct weir_address *address)
{
	return address->u.sa.sa_family == AF_INET ? &address->u.in.sin_port
						  : &address->u.in6.sin6_port;
}

/* The line, from behind "PROXY " to its CR. */
static const char *
read_line(struct proxy_header *ret, const char *at, const char *end)
{
	struct token protocol, source, destination, from, to;
	int family;

	if (!next_token(&protocol, &at, end))
		return "no protocol behind PROXY";
	if (token_is(&protocol, "UNKNOWN")) {
		ret->local = true; /* whatever follows */
		return NULL;
	}
	if (token_is(&protocol, "TCP4"))
		family = AF_INET;
	else if (token_is(&protocol, "TCP6"))
		family = AF_INET6;
	else
		return "a protocol other than TCP4, TCP6 and UNKNOWN";
	if (!next_token(&source, &at, end) ||
	    !next_token(&destination, &at, end) ||
	    !next_token(&from, &at, end) || !next_token(&to, &at, end) ||
	    at <= end)
		return "not two addresses and two ports";
	if (!read_host(&source, family, &ret->source) ||
	    !read_host(&destination, family, &ret->destination))
		return "an address that is none of its protocol";
	if (!read_port(&from, port_of(&ret->source)) ||
	    !read_port(&to, port_of(&ret->destination)))
		return "a port that is not 0 to 65535";
	return NULL;
}

static enum proxy_header_result
read_v1(struct proxy_header *ret, size_t *used, const char **problem,
    const char *bytes, size_t length)
{
	size_t common = length < PREFIX_V1_LENGTH ? length : PREFIX_V1_LENGTH;
	size_t most =
	    length < PROXY_HEADER_V1_MAX ? length : PROXY_HEADER_V1_MAX;
	const char *cr, *lf;
	const char *text;

	if (memcmp(bytes, PREFIX_V1, common) != 0)
		return broken(problem, "no PROXY header");
	cr = memchr(bytes, '\r', most);
	lf = memchr(bytes, '\n', most);
	if ((lf != NULL && (cr == NULL || lf < cr)) ||
	    (cr != NULL && cr + 1 < bytes + most && cr[1] != '\n'))
		return broken(problem, "a line that does not end with CR LF");
	if (cr == NULL || cr + 1 >= bytes + most)
		return length < PROXY_HEADER_V1_MAX
			   ? PROXY_HEADER_NEED_MORE
			   : broken(problem, "a line of more than 107 bytes");
	text = read_line(ret, bytes + PREFIX_V1_LENGTH, cr);
	if (text != NULL)
		return broken(problem, text);
	*used = (size_t)(cr + 2 - bytes);
	return PROXY_HEADER_DONE;
}

/* ---- version 2 ---- */

static size_t
number16(const unsigned char *at)
{
	return (size_t)at[0] << 8 | at[1];
}

static uint32_t
number32(const unsigned char *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
	       (uint32_t)at[2] << 8 | at[3];
}

static void
set_inet(struct weir_address *ret, const unsigned char *host,
    const unsigned char *port)
{
	ret->length = sizeof(ret->u.in);
	ret->u.in.sin_family = AF_INET;
	memcpy(&ret->u.in.sin_addr, host, 4);
	memcpy(&ret->u.in.sin_port, port, 2);
}

static void
set_inet6(struct weir_address *ret, const unsigned char *host,
    const unsigned char *port)
{
	ret->length = sizeof(ret->u.in6);
	ret->u.in6.sin6_family = AF_INET6;
	memcpy(&ret->u.in6.sin6_addr, host, 16);
	memcpy(&ret->u.in6.sin6_port, port, 2);
}

/* A path ends with its first NUL; a name in the abstract namespace begins with
 * one, and its padding is not told from it. */
static void
set_unix(struct weir_address *ret, const unsigned char *path)
{
	size_t n = UNIX_PATH_LENGTH;

	_Static_assert(sizeof(ret->u.un.sun_path) == UNIX_PATH_LENGTH,
	    "the protocol has the paths of Linux");
	if (path[0] != '\0')
		n = strnlen((const char *)path, n);
	else
		while (n > 0 && path[n - 1] == '\0')
			n--;
	ret->u.un.sun_family = AF_UNIX;
	memcpy(ret->u.un.sun_path, path, n);
	if (path[0] != '\0' && n < UNIX_PATH_LENGTH)
		n++;
	ret->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

static void
read_addresses(
    struct proxy_header *ret, unsigned family, const unsigned char *at)
{
	switch (family) {
	case FAMILY_INET:
		set_inet(&ret->source, at, at + 8);
		set_inet(&ret->destination, at + 4, at + 10);
		break;
	case FAMILY_INET6:
		set_inet6(&ret->source, at, at + 32);
		set_inet6(&ret->destination, at + 16, at + 34);
		break;
	default:
		set_unix(&ret->source, at);
		set_unix(&ret->destination, at + UNIX_PATH_LENGTH);
	}
}

/* The next type, length and value; 1, 0 at the end, or -1 where it is cut. */
static int
next_tlv(struct proxy_bytes *rest, unsigned *type, struct proxy_bytes *value)
{
	if (rest->length == 0)
		return 0;
	if (rest->length < TLV_HEADER)
		return -1;
	*type = rest->data[0];
	value->length = number16(rest->data + 1);
	value->data = rest->data + TLV_HEADER;
	if (value->length > rest->length - TLV_HEADER)
		return -1;
	rest->data += TLV_HEADER + value->length;
	rest->length -= TLV_HEADER + value->length;
	return 1;
}

static const char *
read_ssl(struct proxy_header *ret, struct proxy_bytes rest)
{
	struct proxy_bytes value;
	unsigned type;
	int more;

	if (rest.length < SSL_HEADER)
		return "a TLV of SSL that is cut";
	ret->has_ssl = true;
	ret->ssl_client = rest.data[0];
	ret->ssl_verify = number32(rest.data + 1);
	rest.data += SSL_HEADER;
	rest.length -= SSL_HEADER;
	while ((more = next_tlv(&rest, &type, &value)) == 1) {
		switch (type) {
		case TLV_SSL_VERSION:
			ret->ssl_version = value;
			break;
		case TLV_SSL_CN:
			ret->ssl_cn = value;
			break;
		case TLV_SSL_CIPHER:
			ret->ssl_cipher = value;
			break;
		case TLV_SSL_SIG_ALG:
			ret->ssl_sig_alg = value;
			break;
		case TLV_SSL_KEY_ALG:
			ret->ssl_key_alg = value;
			break;
		default:
			break; /* of a later time */
		}
	}
	return more < 0 ? "a TLV within SSL that is cut" : NULL;
}

/* The sum over the whole header, with zeros where it stands itself. */
static bool
sum_is_right(
    const unsigned char *header, size_t length, const struct proxy_bytes *sum)
{
	static const unsigned char zeros[4];
	size_t at = (size_t)(sum->data - header);
	uint32_t crc = proxy_header_crc32c(0, header, at);

	crc = proxy_header_crc32c(crc, zeros, sizeof(zeros));
	crc = proxy_header_crc32c(crc, header + at + 4, length - at - 4);
	return crc == number32(sum->data);
}

/* What stands behind the addresses of a header of length bytes. */
static const char *
read_tlvs(struct proxy_header *ret, const unsigned char *header, size_t length,
    size_t at)
{
	struct proxy_bytes rest = {header + at, length - at}, value;
	const char *problem = NULL;
	unsigned type;
	int more;

	while ((more = next_tlv(&rest, &type, &value)) == 1) {
		switch (type) {
		case TLV_ALPN:
			ret->alpn = value;
			break;
		case TLV_AUTHORITY:
			ret->authority = value;
			break;
		case TLV_CRC32C:
			if (value.length != 4 ||
			    !sum_is_right(header, length, &value))
				problem = "a CRC32C that is wrong";
			break;
		case TLV_UNIQUE_ID:
			if (value.length > PROXY_HEADER_ID_MAX)
				problem = "a unique id of more than 128 bytes";
			ret->unique_id = value;
			break;
		case TLV_SSL:
			problem = read_ssl(ret, value);
			break;
		case TLV_NETNS:
			ret->netns = value;
			break;
		default:
			break; /* padding, or of a later time */
		}
		if (problem != NULL)
			return problem;
	}
	return more < 0 ? "a TLV that is cut" : NULL;
}

/* A whole header of length bytes. */
static const char *
read_block(struct proxy_header *ret, const unsigned char *header, size_t length)
{
	static const size_t sizes[] = {
	    [FAMILY_UNSPEC] = 0,
	    [FAMILY_INET] = INET_LENGTH,
	    [FAMILY_INET6] = INET6_LENGTH,
	    [FAMILY_UNIX] = UNIX_LENGTH,
	};
	unsigned family = header[13] >> 4, protocol = header[13] & 15;

	ret->local = true;
	/* Of LOCAL all is to be skipped, whatever it is. */
	if ((header[12] & 15) == COMMAND_LOCAL)
		return NULL;
	if (family > FAMILY_UNIX)
		return "an address family that there is not";
	if (protocol > PROTOCOL_DGRAM)
		return "a transport protocol that there is not";
	if (length - FIXED_LENGTH < sizes[family])
		return "addresses that are cut";
	if (family == FAMILY_UNSPEC)
		return NULL; /* nobody knows where its TLVs would begin */
	if (protocol == PROTOCOL_STREAM) {
		ret->local = false;
		read_addresses(ret, family, header + FIXED_LENGTH);
	}
	return read_tlvs(ret, header, length, FIXED_LENGTH + sizes[family]);
}

static enum proxy_header_result
read_v2(struct proxy_header *ret, size_t *used, const char **problem,
    const unsigned char *bytes, size_t length)
{
	size_t common = length < SIGNATURE_LENGTH ? length : SIGNATURE_LENGTH;
	const char *text;
	size_t total;

	if (memcmp(bytes, SIGNATURE, common) != 0)
		return broken(problem, "no PROXY header");
	if (length > 12 && bytes[12] >> 4 != VERSION_2)
		return broken(problem, "a version other than 1 and 2");
	if (length > 12 && (bytes[12] & 15) > COMMAND_PROXY)
		return broken(problem, "a command other than LOCAL and PROXY");
	if (length < FIXED_LENGTH)
		return PROXY_HEADER_NEED_MORE;
	total = FIXED_LENGTH + number16(bytes + 14);
	if (total > PROXY_HEADER_MAX)
		return broken(problem, "a header of more than 16384 bytes");
	if (length < total)
		return PROXY_HEADER_NEED_MORE;
	text = read_block(ret, bytes, total);
	if (text != NULL)
		return broken(problem, text);
	*used = total;
	return PROXY_HEADER_DONE;
}

enum proxy_header_result
proxy_header_read(struct proxy_header *ret, size_t *used, const char **problem,
    const void *bytes, size_t length)
{
	memset(ret, 0, sizeof(*ret));
	if (length == 0)
		return PROXY_HEADER_NEED_MORE;
	if (*(const unsigned char *)bytes == SIGNATURE[0])
		return read_v2(ret, used, problem, bytes, length);
	return read_v1(ret, used, problem, bytes, length);
}

/* ---- both ways ---- */

uint32_t
proxy_header_crc32c(uint32_t crc, const void *bytes, size_t length)
{
	const unsigned char *at = bytes;
	int bit;

	for (crc = ~crc; length > 0; length--) {
		crc ^= *at++;
		for (bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
	}
	return ~crc;
}
