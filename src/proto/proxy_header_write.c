/*
 * Writing the header of the PROXY protocol.
 *
 * It says what weir knows, and never what it does not: with addresses that the
 * protocol cannot say, it is UNKNOWN, and the receiver takes the connection's
 * own.
 */
#include "config.h"

#include <arpa/inet.h>
#include <string.h>

#include "proto/proxy_header.h"
#include "proto/proxy_header_priv.h"
#include "util/strbuf.h"

/* The family that can say both; an IPv4-mapped pair is IPv4. */
static int
common_family(const struct proxy_header *header)
{
	const struct weir_address *both[] = {
	    &header->source, &header->destination};
	bool all4 = true;
	int i, family;

	if (header->local)
		return AF_UNSPEC;
	for (i = 0; i < 2; i++) {
		if (both[i]->length == 0)
			return AF_UNSPEC;
		family = both[i]->u.sa.sa_family;
		if (family != both[0]->u.sa.sa_family &&
		    (family == AF_UNIX || both[0]->u.sa.sa_family == AF_UNIX))
			return AF_UNSPEC;
		if (family == AF_UNIX)
			all4 = false;
		else if (family == AF_INET6 &&
			 !IN6_IS_ADDR_V4MAPPED(&both[i]->u.in6.sin6_addr))
			all4 = false;
		else if (family != AF_INET && family != AF_INET6)
			return AF_UNSPEC;
	}
	if (header->source.u.sa.sa_family == AF_UNIX)
		return AF_UNIX;
	return all4 ? AF_INET : AF_INET6;
}

/* The host's bytes in a family; an IPv4 one as IPv6 is mapped. */
static void
host_bytes(const struct weir_address *address, int family, unsigned char *ret)
{
	const unsigned char *bytes = address->u.in6.sin6_addr.s6_addr;
	bool is4 = address->u.sa.sa_family == AF_INET;

	if (family == AF_INET && is4) {
		memcpy(ret, &address->u.in.sin_addr, 4);
	} else if (family == AF_INET) {
		memcpy(ret, bytes + 12, 4);
	} else if (!is4) {
		memcpy(ret, bytes, 16);
	} else {
		memset(ret, 0, 10);
		memset(ret + 10, 0xff, 2);
		memcpy(ret + 12, &address->u.in.sin_addr, 4);
	}
}

/* In the order of the network. */
static in_port_t
port_of(const struct weir_address *address)
{
	return address->u.sa.sa_family == AF_INET ? address->u.in.sin_port
						  : address->u.in6.sin6_port;
}

void
proxy_header_write_v1(struct strbuf *out, const struct proxy_header *header)
{
	char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
	int family = common_family(header);
	unsigned char bytes[16];

	if (family != AF_INET && family != AF_INET6) {
		strbuf_text(out, "PROXY UNKNOWN\r\n");
		return;
	}
	host_bytes(&header->source, family, bytes);
	(void)inet_ntop(family, bytes, source, sizeof(source));
	host_bytes(&header->destination, family, bytes);
	(void)inet_ntop(family, bytes, destination, sizeof(destination));
	strbuf_format(out, "PROXY %s %s %s %u %u\r\n",
	    family == AF_INET ? "TCP4" : "TCP6", source, destination,
	    ntohs(port_of(&header->source)),
	    ntohs(port_of(&header->destination)));
}

/* ---- version 2 ---- */

static void
add16(struct strbuf *out, size_t number)
{
	const char bytes[] = {(char)(number >> 8), (char)number};

	strbuf_add(out, bytes, sizeof(bytes));
}

static void
add32(struct strbuf *out, uint32_t number)
{
	add16(out, number >> 16);
	add16(out, number & 0xffff);
}

static void
add_unix(struct strbuf *out, const struct weir_address *address)
{
	unsigned char path[UNIX_PATH_LENGTH] = {0};
	size_t before = offsetof(struct sockaddr_un, sun_path);

	if (address->length > before)
		memcpy(path, address->u.un.sun_path, address->length - before);
	strbuf_add(out, path, sizeof(path));
}

static void
add_addresses(struct strbuf *out, const struct proxy_header *header, int family)
{
	const struct weir_address *both[] = {
	    &header->source, &header->destination};
	size_t length = family == AF_INET ? 4 : 16;
	unsigned char bytes[16];
	in_port_t port;
	int i;

	for (i = 0; i < 2; i++) {
		if (family == AF_UNIX) {
			add_unix(out, both[i]);
			continue;
		}
		host_bytes(both[i], family, bytes);
		strbuf_add(out, bytes, length);
	}
	for (i = 0; family != AF_UNIX && i < 2; i++) {
		port = port_of(both[i]);
		strbuf_add(out, &port, sizeof(port));
	}
}

static size_t
tlv_size(const struct proxy_bytes *value)
{
	return value->data != NULL ? TLV_HEADER + value->length : 0;
}

static void
add_tlv(struct strbuf *out, unsigned type, const struct proxy_bytes *value)
{
	if (value->data == NULL)
		return;
	strbuf_char(out, (char)type);
	add16(out, value->length);
	strbuf_add(out, value->data, value->length);
}

/* Of the header's, the value of the TLV of SSL. */
static size_t
ssl_size(const struct proxy_header *header)
{
	return SSL_HEADER + tlv_size(&header->ssl_version) +
	       tlv_size(&header->ssl_cn) + tlv_size(&header->ssl_cipher) +
	       tlv_size(&header->ssl_sig_alg) + tlv_size(&header->ssl_key_alg);
}

static void
add_ssl(struct strbuf *out, const struct proxy_header *header)
{
	strbuf_char(out, TLV_SSL);
	add16(out, ssl_size(header));
	strbuf_char(out, (char)header->ssl_client);
	add32(out, header->ssl_verify);
	add_tlv(out, TLV_SSL_VERSION, &header->ssl_version);
	add_tlv(out, TLV_SSL_CN, &header->ssl_cn);
	add_tlv(out, TLV_SSL_CIPHER, &header->ssl_cipher);
	add_tlv(out, TLV_SSL_SIG_ALG, &header->ssl_sig_alg);
	add_tlv(out, TLV_SSL_KEY_ALG, &header->ssl_key_alg);
}

/* Whether a TLV of so many bytes has room, of which it takes them. */
static bool
fits(size_t *room, size_t size)
{
	if (size > *room)
		return false;
	*room -= size;
	return true;
}

static void
add_tlvs(struct strbuf *out, const struct proxy_header *header, size_t room)
{
	if (fits(&room, tlv_size(&header->unique_id)))
		add_tlv(out, TLV_UNIQUE_ID, &header->unique_id);
	if (fits(&room, tlv_size(&header->alpn)))
		add_tlv(out, TLV_ALPN, &header->alpn);
	if (fits(&room, tlv_size(&header->authority)))
		add_tlv(out, TLV_AUTHORITY, &header->authority);
	if (header->has_ssl && fits(&room, TLV_HEADER + ssl_size(header)))
		add_ssl(out, header);
	if (fits(&room, tlv_size(&header->netns)))
		add_tlv(out, TLV_NETNS, &header->netns);
}

/* The sum, whose own four bytes, the last, are zeros so far. */
static void
set_sum(struct strbuf *out, size_t start)
{
	unsigned char *sum = (unsigned char *)out->data + out->length - 4;
	uint32_t crc =
	    proxy_header_crc32c(0, out->data + start, out->length - start);
	int i;

	for (i = 0; i < 4; i++)
		sum[i] = (unsigned char)(crc >> (24 - 8 * i));
}

void
proxy_header_write_v2(
    struct strbuf *out, const struct proxy_header *header, bool check)
{
	static const struct proxy_bytes no_sum = {
	    (const unsigned char *)"\0\0\0\0", 4};
	int family = common_family(header);
	unsigned code = family == AF_INET    ? FAMILY_INET
			: family == AF_INET6 ? FAMILY_INET6
			: family == AF_UNIX  ? FAMILY_UNIX
					     : FAMILY_UNSPEC;
	size_t start = out->length, room, length;

	strbuf_add(out, SIGNATURE, SIGNATURE_LENGTH);
	strbuf_char(
	    out, (char)(VERSION_2 << 4 |
			(header->local ? COMMAND_LOCAL : COMMAND_PROXY)));
	strbuf_char(out,
	    (char)(code == FAMILY_UNSPEC ? 0 : code << 4 | PROTOCOL_STREAM));
	add16(out, 0);
	if (code != FAMILY_UNSPEC) {
		add_addresses(out, header, family);
		room = PROXY_HEADER_MAX - TLV_HEADER - no_sum.length -
		       (out->length - start);
		add_tlvs(out, header, room);
		if (check)
			add_tlv(out, TLV_CRC32C, &no_sum);
	}
	if (out->failed)
		return;
	length = out->length - start - FIXED_LENGTH;
	out->data[start + 14] = (char)(length >> 8);
	out->data[start + 15] = (char)length;
	if (check && code != FAMILY_UNSPEC)
		set_sum(out, start);
}
