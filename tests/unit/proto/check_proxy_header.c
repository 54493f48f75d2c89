/* Unit tests of proto/proxy_header: the PROXY protocol, read and written. */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <weir/address.h>

#include "proto/proxy_header.h"
#include "util/strbuf.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

static enum proxy_header_result
read_bytes(
    struct proxy_header *ret, size_t *used, const void *bytes, size_t length)
{
	const char *problem = "";
	enum proxy_header_result result;

	*used = 4711;
	result = proxy_header_read(ret, used, &problem, bytes, length);
	ck_assert_int_eq(result == PROXY_HEADER_BROKEN, problem[0] != '\0');
	ck_assert_int_eq(result == PROXY_HEADER_DONE, *used != 4711);
	return result;
}

static void
assert_address(const struct weir_address *address, const char *expected)
{
	char text[WEIR_ADDRESS_TEXT];

	ck_assert_str_eq(
	    weir_address_text(address, text, sizeof(text)), expected);
}

/* Whole, what stands behind it included; and every beginning of it is one. */
static void
read_whole(
    struct proxy_header *ret, const void *bytes, size_t length, size_t total)
{
	unsigned char *copy;
	size_t n, used;

	for (n = 0; n < length; n++) {
		copy = malloc(n > 0 ? n : 1);
		ck_assert_ptr_nonnull(copy);
		memcpy(copy, bytes, n);
		ck_assert_int_eq(
		    read_bytes(ret, &used, copy, n), PROXY_HEADER_NEED_MORE);
		free(copy);
	}
	ck_assert_int_eq(
	    read_bytes(ret, &used, bytes, total), PROXY_HEADER_DONE);
	ck_assert_uint_eq(used, length);
}

static void
read_line(struct proxy_header *ret, const char *line)
{
	read_whole(
	    ret, line, (size_t)(strstr(line, "\r\n") + 2 - line), strlen(line));
}

static void
assert_broken(const void *bytes, size_t length, const char *expected)
{
	struct proxy_header header;
	const char *problem = "";
	size_t used;

	ck_assert_int_eq(
	    proxy_header_read(&header, &used, &problem, bytes, length),
	    PROXY_HEADER_BROKEN);
	ck_assert_str_eq(problem, expected);
}

static void
assert_broken_line(const char *line, const char *expected)
{
	assert_broken(line, strlen(line), expected);
}

/* ---- version 1 ---- */

START_TEST(a_line_says_addresses_and_ports)
{
	struct proxy_header header;

	read_line(&header,
	    "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\nGET / HTTP/1.0");
	ck_assert(!header.local);
	assert_address(&header.source, "192.0.2.1:56324");
	assert_address(&header.destination, "198.51.100.2:443");

	read_line(&header, "PROXY TCP6 2001:db8::1 ::1 0 65535\r\n");
	ck_assert(!header.local);
	assert_address(&header.source, "[2001:db8::1]:0");
	assert_address(&header.destination, "[::1]:65535");

	read_line(&header,
	    "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n");
	ck_assert(!header.local);
}
END_TEST

START_TEST(unknown_is_local_whatever_follows)
{
	struct proxy_header header;

	read_line(&header, "PROXY UNKNOWN\r\n");
	ck_assert(header.local);
	ck_assert_uint_eq(header.source.length, 0);
	read_line(&header,
	    "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n");
	ck_assert(header.local);
	read_line(&header, "PROXY UNKNOWN  what ever \r\nmore");
	ck_assert(header.local);
}
END_TEST

START_TEST(a_line_that_is_none_is_broken_at_once)
{
	assert_broken("G", 1, "no PROXY header");
	assert_broken("PROXy", 5, "no PROXY header");
	assert_broken("PROXYTCP4", 6, "no PROXY header");
	assert_broken("\n", 1, "no PROXY header");
	assert_broken("\0", 1, "no PROXY header");
	assert_broken_line(
	    "PROXY TCP4 \n", "a line that does not end with CR LF");
	assert_broken_line(
	    "PROXY TCP4\r ", "a line that does not end with CR LF");
	assert_broken_line("PROXY \r\n", "no protocol behind PROXY");
	assert_broken_line("PROXY  TCP4\r\n", "no protocol behind PROXY");
}
END_TEST

START_TEST(a_line_has_107_bytes_at_most)
{
	char line[108] = "PROXY UNKNOWN ";
	struct proxy_header header;
	size_t used;

	memset(line + 14, 'x', sizeof(line) - 14);
	memcpy(line + 105, "\r\n", 2);
	ck_assert_int_eq(
	    read_bytes(&header, &used, line, 107), PROXY_HEADER_DONE);
	ck_assert_uint_eq(used, 107);
	memcpy(line + 105, "x\r\n", 3);
	ck_assert_int_eq(
	    read_bytes(&header, &used, line, 106), PROXY_HEADER_NEED_MORE);
	assert_broken(line, 107, "a line of more than 107 bytes");
	assert_broken(line, 108, "a line of more than 107 bytes");
}
END_TEST

START_TEST(a_line_is_exact)
{
	static const char *const fields[] = {
	    "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
	    "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n",
	    "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
	    "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
	    "PROXY TCP4 1.2.3.4 5.6.7.8 1  2\r\n",
	    "PROXY TCP4\r\n",
	};
	static const char *const hosts[] = {
	    "PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n",
	    "PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n",
	    "PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n",
	    "PROXY TCP4 1.2.3.4 ::1 1 2\r\n",
	    "PROXY TCP6 1.2.3.4 ::1 1 2\r\n",
	    "PROXY TCP6 fe80::1%lo ::1 1 2\r\n",
	    "PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n",
	    "PROXY TCP4 localhost 5.6.7.8 1 2\r\n",
	    "PROXY TCP6 1111111111111111111111111111111111111111111111 ::1 1 "
	    "2\r\n",
	};
	static const char *const ports[] = {
	    "PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n",
	    "PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
	    "PROXY TCP4 1.2.3.4 5.6.7.8 1 00\r\n",
	    "PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n",
	    "PROXY TCP4 1.2.3.4 5.6.7.8 1 0x2\r\n",
	    "PROXY TCP4 1.2.3.4 5.6.7.8 1 100000\r\n",
	};
	static const char nul[] = "PROXY TCP4 1.2.3.4\0 5.6.7.8 1 2\r\n";
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		assert_broken_line(
		    fields[i], "not two addresses and two ports");
	for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		assert_broken_line(
		    hosts[i], "an address that is none of its protocol");
	for (i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		assert_broken_line(ports[i], "a port that is not 0 to 65535");
	assert_broken(
	    nul, sizeof(nul) - 1, "an address that is none of its protocol");
	assert_broken_line("PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
	    "a protocol other than TCP4, TCP6 and UNKNOWN");
}
END_TEST

/* ---- version 2 ---- */

/* The beginning of a header whose length counts what follows. */
static void
start_v2(struct strbuf *out, unsigned command, unsigned family, size_t length)
{
	strbuf_reset(out);
	strbuf_add(out, SIGNATURE, 12);
	strbuf_char(out, (char)command);
	strbuf_char(out, (char)family);
	strbuf_char(out, (char)(length >> 8));
	strbuf_char(out, (char)length);
}

static void
assert_broken_v2(const struct strbuf *bytes, const char *expected)
{
	assert_broken(bytes->data, bytes->length, expected);
}

START_TEST(version_2_says_addresses_and_ports)
{
	struct strbuf out = STRBUF_NULL;
	struct proxy_header header;
	char paths[216] = "/run/a";

	start_v2(&out, 0x21, 0x11, 12);
	strbuf_add(&out, "\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb", 12);
	read_whole(&header, out.data, out.length, out.length);
	assert_address(&header.source, "192.0.2.1:56324");
	assert_address(&header.destination, "198.51.100.2:443");

	start_v2(&out, 0x21, 0x21, 36);
	strbuf_add(&out, "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	strbuf_add(&out, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\1\0\2", 20);
	strbuf_text(&out, "data");
	read_whole(&header, out.data, out.length - 4, out.length);
	assert_address(&header.source, "[2001:db8::1]:1");
	assert_address(&header.destination, "[::1]:2");

	start_v2(&out, 0x21, 0x31, 216);
	memcpy(paths + 108, "\0abstract", 9);
	strbuf_add(&out, paths, sizeof(paths));
	read_whole(&header, out.data, out.length, out.length);
	assert_address(&header.source, "unix:/run/a");
	assert_address(&header.destination, "unix:@abstract");

	/* All 108 bytes may be the path. */
	start_v2(&out, 0x21, 0x31, 216);
	memset(paths, 'x', 108);
	memset(paths + 108, 0, 108);
	strbuf_add(&out, paths, sizeof(paths));
	read_whole(&header, out.data, out.length, out.length);
	ck_assert_uint_eq(
	    header.source.length, offsetof(struct sockaddr_un, sun_path) + 108);
	assert_address(&header.destination, "unix:");
	strbuf_free(&out);
}
END_TEST

START_TEST(local_and_kinds_that_are_not_forwarded_keep_the_connections_own)
{
	static const struct {
		unsigned command, family;
		size_t length;
	} rows[] = {
	    {0x20, 0x00, 0},
	    {0x20, 0xff, 7}, /* of LOCAL all is skipped */
	    {0x20, 0x11, 3},
	    {0x21, 0x00, 0},
	    {0x21, 0x00, 5},
	    {0x21, 0x12, 12},
	    {0x21, 0x22, 36},
	    {0x21, 0x32, 216},
	    {0x21, 0x10, 12},
	    {0x21, 0x01, 0},
	};
	struct strbuf out = STRBUF_NULL;
	struct proxy_header header;
	size_t i, n;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start_v2(&out, rows[i].command, rows[i].family, rows[i].length);
		for (n = 0; n < rows[i].length; n++)
			strbuf_char(&out, (char)n);
		read_whole(&header, out.data, out.length, out.length);
		ck_assert(header.local);
		ck_assert_uint_eq(header.source.length, 0);
	}
	strbuf_free(&out);
}
END_TEST

START_TEST(a_version_2_that_is_none_is_broken_at_once)
{
	struct strbuf out = STRBUF_NULL;

	assert_broken("\r\r", 2, "no PROXY header");
	assert_broken("\r\n\r\n\0\r\nQUIX", 11, "no PROXY header");
	start_v2(&out, 0x11, 0x11, 12);
	assert_broken(out.data, 13, "a version other than 1 and 2");
	start_v2(&out, 0x22, 0x11, 12);
	assert_broken(out.data, 13, "a command other than LOCAL and PROXY");
	start_v2(&out, 0x21, 0x11, PROXY_HEADER_MAX - 15);
	assert_broken_v2(&out, "a header of more than 16384 bytes");
	start_v2(&out, 0x21, 0x41, 0);
	assert_broken_v2(&out, "an address family that there is not");
	start_v2(&out, 0x21, 0x13, 0);
	assert_broken_v2(&out, "a transport protocol that there is not");
	start_v2(&out, 0x21, 0x11, 11);
	strbuf_add(&out, "01234567890", 11);
	assert_broken_v2(&out, "addresses that are cut");
	strbuf_free(&out);
}
END_TEST

/* A header of IPv4 with these TLVs. */
static void
with_tlvs(struct strbuf *out, const char *tlvs, size_t length)
{
	start_v2(out, 0x21, 0x11, 12 + length);
	strbuf_add(out, "\1\2\3\4\5\6\7\10\0\1\0\2", 12);
	strbuf_add(out, tlvs, length);
}

static void
assert_bytes(const struct proxy_bytes *bytes, const char *expected)
{
	if (expected == NULL) {
		ck_assert_ptr_null(bytes->data);
		return;
	}
	ck_assert_uint_eq(bytes->length, strlen(expected));
	ck_assert_mem_eq(bytes->data, expected, bytes->length);
}

#define TLV(bytes) bytes, sizeof(bytes) - 1

START_TEST(tlvs_are_kept)
{
	static const char tlvs[] = "\x04\0\3pad\x01\0\2h2\x02\0\1a\x05\0\2id"
				   "\x30\0\2ns\xe0\0\1?"
				   "\x20\0\x1a\7\0\0\0\0\x21\0\7TLSv1.3"
				   "\x23\0\1C\x22\0\1N\x7f\0\0";
	struct strbuf out = STRBUF_NULL;
	struct proxy_header header;

	with_tlvs(&out, TLV(tlvs));
	read_whole(&header, out.data, out.length, out.length);
	assert_bytes(&header.alpn, "h2");
	assert_bytes(&header.authority, "a");
	assert_bytes(&header.unique_id, "id");
	assert_bytes(&header.netns, "ns");
	ck_assert(header.has_ssl);
	ck_assert_uint_eq(header.ssl_client, 7);
	ck_assert_uint_eq(header.ssl_verify, 0);
	assert_bytes(&header.ssl_version, "TLSv1.3");
	assert_bytes(&header.ssl_cipher, "C");
	assert_bytes(&header.ssl_cn, "N");
	assert_bytes(&header.ssl_key_alg, NULL);
	strbuf_free(&out);
}
END_TEST

START_TEST(tlvs_that_do_not_fit_are_broken)
{
	struct strbuf out = STRBUF_NULL;
	char id[3 + 129] = "\x05\0\x81";

	with_tlvs(&out, TLV("\x01\0"));
	assert_broken_v2(&out, "a TLV that is cut");
	with_tlvs(&out, TLV("\x01\0\3h2"));
	assert_broken_v2(&out, "a TLV that is cut");
	with_tlvs(&out, TLV("\x20\0\4\1\0\0\0"));
	assert_broken_v2(&out, "a TLV of SSL that is cut");
	with_tlvs(&out, TLV("\x20\0\x9\1\0\0\0\0\x21\0\2T"));
	assert_broken_v2(&out, "a TLV within SSL that is cut");
	with_tlvs(&out, TLV("\x03\0\3abc"));
	assert_broken_v2(&out, "a CRC32C that is wrong");
	with_tlvs(&out, id, sizeof(id));
	assert_broken_v2(&out, "a unique id of more than 128 bytes");
	strbuf_free(&out);
}
END_TEST

START_TEST(a_sum_is_checked)
{
	struct strbuf out = STRBUF_NULL;
	struct proxy_header header = {.local = false};
	size_t i, used;

	/* RFC 3720, B.4. */
	ck_assert_uint_eq(proxy_header_crc32c(0, "123456789", 9), 0xe3069283);
	ck_assert_uint_eq(
	    proxy_header_crc32c(proxy_header_crc32c(0, "1234", 4), "56789", 5),
	    0xe3069283);

	ck_assert_int_eq(weir_address_set_ip(&header.source, "::1", 80), 0);
	header.destination = header.source;
	header.authority.data = (const unsigned char *)"example.org";
	header.authority.length = 11;
	proxy_header_write_v2(&out, &header, true);
	ck_assert_int_eq(read_bytes(&header, &used, out.data, out.length),
	    PROXY_HEADER_DONE);
	/* No byte of addresses, ports, name or sum may be another. */
	for (i = 16; i < out.length; i++) {
		if (i >= 52 + 11 + 3 && i < out.length - 4)
			continue; /* type and length of the sum */
		out.data[i] ^= 1;
		ck_assert_int_eq(
		    read_bytes(&header, &used, out.data, out.length),
		    PROXY_HEADER_BROKEN);
		out.data[i] ^= 1;
	}
	strbuf_free(&out);
}
END_TEST

/* ---- writing ---- */

static void
set_ip(struct weir_address *ret, const char *host, uint16_t port)
{
	ck_assert_int_eq(weir_address_set_ip(ret, host, port), 0);
}

static void
assert_line(const struct proxy_header *header, const char *expected)
{
	struct strbuf out = STRBUF_NULL;

	strbuf_text(&out, "x");
	proxy_header_write_v1(&out, header);
	ck_assert_str_eq(strbuf_get(&out) + 1, expected);
	strbuf_free(&out);
}

START_TEST(a_line_is_written)
{
	struct proxy_header header = {.local = false};

	set_ip(&header.source, "192.0.2.1", 56324);
	set_ip(&header.destination, "198.51.100.2", 443);
	assert_line(&header, "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n");
	set_ip(&header.source, "::ffff:192.0.2.1", 1);
	assert_line(&header, "PROXY TCP4 192.0.2.1 198.51.100.2 1 443\r\n");
	set_ip(&header.source, "2001:db8::1", 65535);
	assert_line(&header,
	    "PROXY TCP6 2001:db8::1 ::ffff:198.51.100.2 65535 443\r\n");
	header.local = true;
	assert_line(&header, "PROXY UNKNOWN\r\n");
	header.local = false;
	header.destination.length = 0;
	assert_line(&header, "PROXY UNKNOWN\r\n");
	ck_assert_int_eq(
	    weir_address_set_unix(&header.destination, "/run/a", false), 0);
	assert_line(&header, "PROXY UNKNOWN\r\n");
	header.source = header.destination;
	assert_line(&header, "PROXY UNKNOWN\r\n");
}
END_TEST

static void
write_and_read(struct proxy_header *header, struct strbuf *out, bool check)
{
	struct proxy_header back;

	strbuf_reset(out);
	proxy_header_write_v2(out, header, check);
	read_whole(&back, out->data, out->length, out->length);
	*header = back;
}

static void
set_bytes(struct proxy_bytes *bytes, const char *text)
{
	bytes->data = (const unsigned char *)text;
	bytes->length = strlen(text);
}

START_TEST(version_2_is_read_back_as_it_was_written)
{
	struct proxy_header header = {.local = false};
	struct strbuf out = STRBUF_NULL;

	set_ip(&header.source, "192.0.2.1", 56324);
	set_ip(&header.destination, "2001:db8::1", 443);
	set_bytes(&header.alpn, "h2");
	set_bytes(&header.authority, "example.org");
	set_bytes(&header.unique_id, "42");
	set_bytes(&header.netns, "blue");
	header.has_ssl = true;
	header.ssl_client = PROXY_CLIENT_SSL | PROXY_CLIENT_CERT_CONN;
	header.ssl_verify = 0x01020304;
	set_bytes(&header.ssl_version, "TLSv1.3");
	set_bytes(&header.ssl_cn, "client");
	set_bytes(&header.ssl_cipher, "TLS_AES_256_GCM_SHA384");
	write_and_read(&header, &out, true);
	ck_assert(!header.local);
	assert_address(&header.source, "192.0.2.1:56324");
	assert_address(&header.destination, "[2001:db8::1]:443");
	assert_bytes(&header.alpn, "h2");
	assert_bytes(&header.authority, "example.org");
	assert_bytes(&header.unique_id, "42");
	assert_bytes(&header.netns, "blue");
	ck_assert(header.has_ssl);
	ck_assert_uint_eq(header.ssl_client, 3);
	ck_assert_uint_eq(header.ssl_verify, 0x01020304);
	assert_bytes(&header.ssl_version, "TLSv1.3");
	assert_bytes(&header.ssl_cn, "client");
	assert_bytes(&header.ssl_cipher, "TLS_AES_256_GCM_SHA384");
	assert_bytes(&header.ssl_sig_alg, NULL);
	strbuf_free(&out);
}
END_TEST

START_TEST(unix_and_unknown_are_written_in_version_2)
{
	struct proxy_header header = {.local = false};
	struct strbuf out = STRBUF_NULL;

	header.source.u.sa.sa_family = AF_UNIX;
	header.source.length = offsetof(struct sockaddr_un, sun_path);
	ck_assert_int_eq(
	    weir_address_set_unix(&header.destination, "app", true), 0);
	write_and_read(&header, &out, false);
	ck_assert(!header.local);
	assert_address(&header.source, "unix:");
	assert_address(&header.destination, "unix:@app");

	header.local = true;
	write_and_read(&header, &out, true);
	ck_assert_uint_eq(out.length, 16);
	ck_assert_int_eq(out.data[12], 0x20);
	ck_assert(header.local);

	header.local = false;
	header.destination.length = 0;
	write_and_read(&header, &out, true);
	ck_assert_uint_eq(out.length, 16);
	ck_assert_int_eq(out.data[12], 0x21);
	ck_assert(header.local);
	strbuf_free(&out);
}
END_TEST

START_TEST(what_does_not_fit_is_left_out)
{
	static unsigned char long_name[PROXY_HEADER_MAX - 100];
	struct proxy_header wanted = {.local = false}, header;
	struct strbuf out = STRBUF_NULL;

	set_ip(&wanted.source, "192.0.2.1", 56324);
	wanted.destination = wanted.source;
	wanted.has_ssl = true;
	wanted.ssl_cn.data = long_name;
	wanted.ssl_cn.length = sizeof(long_name);
	set_bytes(&wanted.authority, "example.org");
	wanted.netns = wanted.ssl_cn;
	header = wanted;
	write_and_read(&header, &out, true);
	ck_assert_uint_le(out.length, PROXY_HEADER_MAX);
	ck_assert_uint_gt(out.length, sizeof(long_name));
	ck_assert(header.has_ssl);
	ck_assert_ptr_null(header.netns.data);
	/* What is dearer takes SSL's room; a small name still has some. */
	set_bytes(&wanted.unique_id, "more than the bytes that were left for "
				     "it in this header, as was computed");
	set_bytes(&wanted.netns, "blue");
	header = wanted;
	write_and_read(&header, &out, true);
	ck_assert_uint_lt(out.length, 200);
	ck_assert(!header.has_ssl);
	assert_bytes(&header.authority, "example.org");
	assert_bytes(&header.netns, "blue");
	strbuf_free(&out);
}
END_TEST

static void
add_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_line_says_addresses_and_ports);
	tcase_add_test(tcase, unknown_is_local_whatever_follows);
	tcase_add_test(tcase, a_line_that_is_none_is_broken_at_once);
	tcase_add_test(tcase, a_line_has_107_bytes_at_most);
	tcase_add_test(tcase, a_line_is_exact);
	tcase_add_test(tcase, version_2_says_addresses_and_ports);
	tcase_add_test(tcase,
	    local_and_kinds_that_are_not_forwarded_keep_the_connections_own);
	tcase_add_test(tcase, a_version_2_that_is_none_is_broken_at_once);
	tcase_add_test(tcase, tlvs_are_kept);
	tcase_add_test(tcase, tlvs_that_do_not_fit_are_broken);
	tcase_add_test(tcase, a_sum_is_checked);
	tcase_add_test(tcase, a_line_is_written);
	tcase_add_test(tcase, version_2_is_read_back_as_it_was_written);
	tcase_add_test(tcase, unix_and_unknown_are_written_in_version_2);
	tcase_add_test(tcase, what_does_not_fit_is_left_out);
}

int
main(void)
{
	Suite *suite = suite_create("proxy_header");
	TCase *tcase = tcase_create("proxy_header");
	SRunner *runner;
	int failed;

	add_tests(tcase);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
