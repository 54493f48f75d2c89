/*
 * Addresses: from text, to text, compared. What is an IP address was asked of
 * Node 20's net.isIP(); the table is its answer.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/address.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define TEN	     "0123456789"
#define FIFTY	     TEN TEN TEN TEN TEN
#define SIXTY	     FIFTY TEN
#define LABEL63	     "a" SIXTY "bc"
#define LABEL61	     "a" SIXTY

static const struct {
	const char *text;
	int family;
} ips[] = {
    {"127.0.0.1", 4},
    {"0.0.0.0", 4},
    {"255.255.255.255", 4},
    {"256.1.1.1", 0},
    {"1.2.3", 0},
    {"1.2.3.4.5", 0},
    {"1.2.3.04", 0},
    {"01.2.3.4", 0},
    {"1.2.3.00", 0},
    {"0x7f.0.0.1", 0},
    {"127.1", 0},
    {"1.2.3.4 ", 0},
    {" 1.2.3.4", 0},
    {"1.2.3.", 0},
    {".1.2.3.4", 0},
    {"1..2.3", 0},
    {"1.2.3.-4", 0},
    {"1.2.3.4/8", 0},
    {"1.2.3.4:80", 0},
    {"1.2.3.4%eth0", 0},
    {"1.2.3.1234", 0},
    {"::", 6},
    {"::1", 6},
    {"1::", 6},
    {"::ffff:1.2.3.4", 6},
    {"::1.2.3.4", 6},
    {"::1.2.3.04", 0},
    {"::1.2.3", 0},
    {"::1.2.3.256", 0},
    {"64:ff9b::192.0.2.33", 6},
    {"1:2:3:4:5:6:7:8", 6},
    {"1:2:3:4:5:6:7:8:9", 0},
    {"1:2:3:4:5:6:7", 0},
    {"1:2:3:4:5:6:7::", 6},
    {"::2:3:4:5:6:7:8", 6},
    {"1::3:4:5:6:7:8", 6},
    {"1:2:3:4:5:6::8", 6},
    {"1::2:3:4:5:6:7:8", 0},
    {"1:2:3:4:5:6:7:8::", 0},
    {"1:2:3:4:5:6:1.2.3.4", 6},
    {"1:2:3:4:5:6:7:1.2.3.4", 0},
    {"1:2:3:4:5::1.2.3.4", 6},
    {"::1.2.3.4:5", 0},
    {"1.2.3.4::", 0},
    {"::1::", 0},
    {":::", 0},
    {":::1", 0},
    {":1", 0},
    {"1:", 0},
    {":", 0},
    {"::g", 0},
    {"::12345", 0},
    {"::00001", 0},
    {"::0001", 6},
    {"ABCD:EF01::abcd", 6},
    {"fe80::1%eth0", 6},
    {"fe80::1%", 0},
    {"fe80::1%1", 6},
    {"fe80::1%a.b-c:d", 6},
    {"fe80::1%eth0_1", 0},
    {"fe80::1%eth0%1", 0},
    {"fe80::1%eth 0", 0},
    {"fe80::1%eth/0", 0},
    {"::1%lo", 6},
    {"%eth0", 0},
    {"1.2.3.4::1%x", 0},
    {"[::1]", 0},
    {"::1]", 0},
    {"::1/128", 0},
    {"localhost", 0},
    {"a", 0},
    {"1", 0},
    {"0", 0},
    {"0000:0000:0000:0000:0000:0000:255.255.255.255", 6},
    {"00000:0000:0000:0000:0000:0000:255.255.255.255", 0},
    {"0000:0000:0000:0000:0000:0000:0000:0001", 6},
    {"1:2:3:4:5:6:7::8", 0},
    {"1:2:3:4:5:6::7:8", 0},
    {"::ffff:1.2.3.4%eth0", 6},
    {"", 0},
};

START_TEST(an_ip_address_is_what_node_takes_for_one)
{
	size_t i;

	for (i = 0; i < COUNT(ips); i++) {
		ck_assert_msg(weir_is_ip(ips[i].text) == ips[i].family,
		    "\"%s\" is %d, not %d", ips[i].text,
		    weir_is_ip(ips[i].text), ips[i].family);
		ck_assert_int_eq(weir_is_ipv4(ips[i].text), ips[i].family == 4);
		ck_assert_int_eq(weir_is_ipv6(ips[i].text), ips[i].family == 6);
	}
	ck_assert_int_eq(weir_is_ip(NULL), 0);
}
END_TEST

/* What is read, and how it is written then (NULL: the same). */
static const struct {
	const char *text, *canonical;
	enum weir_endpoint_kind kind;
	const char *name;
	unsigned first, last;
} endpoints[] = {
    {"127.0.0.1:8124", NULL, WEIR_ENDPOINT_TCP, "127.0.0.1", 8124, 8124},
    {"[::1]:80", NULL, WEIR_ENDPOINT_TCP, "::1", 80, 80},
    {"[0:0::0001]:80", "[::1]:80", WEIR_ENDPOINT_TCP, "::1", 80, 80},
    {"[2001:DB8::A]:80", "[2001:db8::a]:80", WEIR_ENDPOINT_TCP, "2001:db8::a",
	80, 80},
    {"[::ffff:1.2.3.4]:80", NULL, WEIR_ENDPOINT_TCP, "::ffff:1.2.3.4", 80, 80},
    {"[fe80::1%eth0]:80", NULL, WEIR_ENDPOINT_TCP, "fe80::1%eth0", 80, 80},
    {"[fe80::1%br_0.5]:80", NULL, WEIR_ENDPOINT_TCP, "fe80::1%br_0.5", 80, 80},
    {"[::]:0", NULL, WEIR_ENDPOINT_TCP, "::", 0, 0},
    {"0.0.0.0:0", NULL, WEIR_ENDPOINT_TCP, "0.0.0.0", 0, 0},
    {"*:80", NULL, WEIR_ENDPOINT_TCP, "", 80, 80},
    {":80", "*:80", WEIR_ENDPOINT_TCP, "", 80, 80},
    {":0", "*:0", WEIR_ENDPOINT_TCP, "", 0, 0},
    {":65535", "*:65535", WEIR_ENDPOINT_TCP, "", 65535, 65535},
    {"host:80", NULL, WEIR_ENDPOINT_TCP, "host", 80, 80},
    {"a-b.c_d.example.org.:80", NULL, WEIR_ENDPOINT_TCP, "a-b.c_d.example.org.",
	80, 80},
    {"4u:080", "4u:80", WEIR_ENDPOINT_TCP, "4u", 80, 80},
    {LABEL63 ":80", NULL, WEIR_ENDPOINT_TCP, LABEL63, 80, 80},
    {LABEL63 "." LABEL63 "." LABEL63 "." LABEL61 ":80", NULL, WEIR_ENDPOINT_TCP,
	LABEL63 "." LABEL63 "." LABEL63 "." LABEL61, 80, 80},
    {LABEL63 "." LABEL63 "." LABEL63 "." LABEL61 ".:80", NULL,
	WEIR_ENDPOINT_TCP, LABEL63 "." LABEL63 "." LABEL63 "." LABEL61 ".", 80,
	80},
    {"10.0.0.1:8000-8009", NULL, WEIR_ENDPOINT_TCP, "10.0.0.1", 8000, 8009},
    {"[::1]:8000-8009", NULL, WEIR_ENDPOINT_TCP, "::1", 8000, 8009},
    {"*:1-65535", NULL, WEIR_ENDPOINT_TCP, "", 1, 65535},
    {":80-80", "*:80", WEIR_ENDPOINT_TCP, "", 80, 80},
    {"unix:/run/app.sock", NULL, WEIR_ENDPOINT_UNIX, "/run/app.sock", 0, 0},
    {"/run/app.sock", "unix:/run/app.sock", WEIR_ENDPOINT_UNIX, "/run/app.sock",
	0, 0},
    {"unix:app.sock", NULL, WEIR_ENDPOINT_UNIX, "app.sock", 0, 0},
    {"unix:/a:80", NULL, WEIR_ENDPOINT_UNIX, "/a:80", 0, 0},
    {"unix:/" FIFTY FIFTY "123456", NULL, WEIR_ENDPOINT_UNIX,
	"/" FIFTY FIFTY "123456", 0, 0},
    {"fd:3", NULL, WEIR_ENDPOINT_FD, "", 0, 0},
    {"systemd:", NULL, WEIR_ENDPOINT_SYSTEMD, "", 0, 0},
    {"systemd:web-1", NULL, WEIR_ENDPOINT_SYSTEMD, "web-1", 0, 0},
    {"systemd:" FIFTY FIFTY FIFTY FIFTY FIFTY "12345", NULL,
	WEIR_ENDPOINT_SYSTEMD, FIFTY FIFTY FIFTY FIFTY FIFTY "12345", 0, 0},
    {"srv:_app._tcp.example.org", NULL, WEIR_ENDPOINT_SRV,
	"_app._tcp.example.org", 0, 0},
    {"srv:web.service.consul", NULL, WEIR_ENDPOINT_SRV, "web.service.consul", 0,
	0},
};

START_TEST(an_address_is_read_and_written)
{
	char text[WEIR_ADDRESS_TEXT + WEIR_HOST_TEXT];
	struct weir_endpoint endpoint, again;
	const char *problem = NULL, *want;
	size_t i;

	for (i = 0; i < COUNT(endpoints); i++) {
		ck_assert_msg(weir_endpoint_parse(
				  &endpoint, endpoints[i].text, &problem) == 0,
		    "%s: %s", endpoints[i].text, problem);
		ck_assert_int_eq(endpoint.kind, endpoints[i].kind);
		ck_assert_str_eq(endpoint.name, endpoints[i].name);
		ck_assert_uint_eq(endpoint.port_first, endpoints[i].first);
		ck_assert_uint_eq(endpoint.port_last, endpoints[i].last);
		ck_assert(!endpoint.abstract);
		want = endpoints[i].canonical != NULL ? endpoints[i].canonical
						      : endpoints[i].text;
		ck_assert_str_eq(
		    weir_endpoint_text(&endpoint, text, sizeof(text)), want);
		ck_assert_int_eq(weir_endpoint_parse(&again, text, NULL), 0);
		ck_assert_mem_eq(&again, &endpoint, sizeof(again));
	}
}
END_TEST

START_TEST(an_abstract_name_is_kept_without_its_mark)
{
	char text[WEIR_ADDRESS_TEXT + WEIR_HOST_TEXT];
	struct weir_endpoint endpoint;

	ck_assert_int_eq(weir_endpoint_parse(&endpoint, "unix:@name", NULL), 0);
	ck_assert_int_eq(endpoint.kind, WEIR_ENDPOINT_UNIX);
	ck_assert(endpoint.abstract);
	ck_assert_str_eq(endpoint.name, "name");
	ck_assert_str_eq(
	    weir_endpoint_text(&endpoint, text, sizeof(text)), "unix:@name");
}
END_TEST

START_TEST(a_descriptor_is_a_number)
{
	struct weir_endpoint endpoint;

	ck_assert_int_eq(weir_endpoint_parse(&endpoint, "fd:3", NULL), 0);
	ck_assert_int_eq(endpoint.fd, 3);
	ck_assert_int_eq(
	    weir_endpoint_parse(&endpoint, "fd:2147483647", NULL), 0);
	ck_assert_int_eq(endpoint.fd, 2147483647);
	ck_assert_int_eq(weir_endpoint_parse(&endpoint, ":1", NULL), 0);
	ck_assert_int_eq(endpoint.fd, -1);
}
END_TEST

/* What is refused, and a part of the problem's text. */
static const struct {
	const char *text, *problem;
} mistakes[] = {
    {"", "the address is empty"},
    {"8124", "a number alone"},
    {"host", "the port is missing; write HOST:PORT"},
    {"127.0.0.1", "the port is missing; write HOST:PORT"},
    {"*", "the port is missing; write HOST:PORT"},
    {"host:", "the port after the ':' is missing"},
    {":", "the port after the ':' is missing"},
    {"[::1]:", "the port after the ':' is missing"},
    {"[::1]", "the port is missing; write [ADDRESS]:PORT"},
    {"host:65536", "from 0 to 65535"},
    {"host:4294967376", "from 0 to 65535"},
    {"host:18446744073709551696", "from 0 to 65535"},
    {"host:-1", "from 0 to 65535"},
    {"host:+1", "from 0 to 65535"},
    {"host: 80", "from 0 to 65535"},
    {"host:80 ", "from 0 to 65535"},
    {"host:80x", "from 0 to 65535"},
    {"host:0x50", "from 0 to 65535"},
    {"host:http", "from 0 to 65535"},
    {"host:80-", "the last port of the range is missing"},
    {"host:80-70", "must not be above the last"},
    {"host:0-70", "cannot begin with 0"},
    {"host:80-65536", "from 0 to 65535"},
    {"host:80--90", "from 0 to 65535"},
    {"host:80-90-100", "from 0 to 65535"},
    {"host:" TEN TEN "-1", "from 0 to 65535"},
    {"::1:80", "goes in brackets"},
    {"::1", "goes in brackets"},
    {"::", "goes in brackets"},
    {"2001:db8::1:80", "goes in brackets"},
    {"fe80::1%eth0:80", "goes in brackets"},
    {"::ffff:1.2.3.4:80", "goes in brackets"},
    {"host:80:90", "one ':' only"},
    {"http://host:80", "one ':' only"},
    {"[::1:80", "the ']' after the IPv6 address is missing"},
    {"[::1]80", "after the ']' must come ':'"},
    {"[::1]]:80", "after the ']' must come ':'"},
    {"[127.0.0.1]:80", "not an IPv6 address"},
    {"[host]:80", "not an IPv6 address"},
    {"[]:80", "not an IPv6 address"},
    {"[1::2::3]:80", "not an IPv6 address"},
    {"[" FIFTY FIFTY "]:80", "not an IPv6 address"},
    {"[fe80::1%]:80", "the name of an interface"},
    {"[fe80::1%a b]:80", "the name of an interface"},
    {"[fe80::1%a%b]:80", "the name of an interface"},
    {"[fe80::1%" TEN "123456]:80", "the name of an interface"},
    {"ho st:80", "letters, digits"},
    {"host/x:80", "letters, digits"},
    {"b\303\274cher.example:80", "letters, digits"},
    {"h@st:80", "letters, digits"},
    {"*.host:80", "letters, digits"},
    {"a..b:80", "an empty part between dots"},
    {".a:80", "an empty part between dots"},
    {".:80", "an empty part between dots"},
    {"a..:80", "an empty part between dots"},
    {"-a:80", "begin or end with '-'"},
    {"a-.b:80", "begin or end with '-'"},
    {LABEL63 "d:80", "at most 63 bytes"},
    {LABEL63 "." LABEL63 "." LABEL63 "." LABEL61 "z:80", "at most 253 bytes"},
    {LABEL63 "." LABEL63 "." LABEL63 "." LABEL63 "." LABEL63 ":80",
	"at most 253 bytes"},
    {"256.0.0.1:80", "neither an IPv4 address nor a name"},
    {"1.2.3.04:80", "neither an IPv4 address nor a name"},
    {"127.1:80", "neither an IPv4 address nor a name"},
    {"1:80", "neither an IPv4 address nor a name"},
    {"host.1:80", "neither an IPv4 address nor a name"},
    {"1.2.3.4.:80", "neither an IPv4 address nor a name"},
    {"unix:", "the path after unix: is missing"},
    {"unix:@", "the name after unix:@ is missing"},
    {"unix:/" FIFTY FIFTY "1234567", "at most 107 bytes"},
    {"/" FIFTY FIFTY "1234567", "at most 107 bytes"},
    {"unix:@" FIFTY FIFTY "12345678", "an abstract name is at most 107"},
    {"fd:", "the number of a descriptor"},
    {"fd:-1", "the number of a descriptor"},
    {"fd:3x", "the number of a descriptor"},
    {"fd:2147483648", "the number of a descriptor"},
    {"systemd:a:b", "printable ASCII"},
    {"systemd:a\tb", "printable ASCII"},
    {"systemd:" FIFTY FIFTY FIFTY FIFTY FIFTY "123456", "at most 255 bytes"},
    {"srv:", "the name after srv: is missing"},
    {"srv:_app._tcp.example.org:80", "a srv: name has no port"},
    {"srv:[::1]", "a srv: name has no port"},
    {"srv:_app._tcp..org", "must not have an empty part"},
    {"srv:_app._tcp.\xc3\xb6.org", "letters, digits"},
    {"srv:127.0.0.1", "a name, not an address"},
    {"srv:" FIFTY "." FIFTY "." FIFTY "." FIFTY "." FIFTY "123456",
	"at most 253"},
};

START_TEST(a_mistake_is_told_by_its_own_text)
{
	struct weir_endpoint endpoint, before;
	const char *problem;
	size_t i;

	memset(&before, 0x5a, sizeof(before));
	for (i = 0; i < COUNT(mistakes); i++) {
		problem = "taken";
		endpoint = before;
		ck_assert_msg(weir_endpoint_parse(&endpoint, mistakes[i].text,
				  &problem) == -EINVAL,
		    "\"%s\" is taken", mistakes[i].text);
		ck_assert_msg(strstr(problem, mistakes[i].problem) != NULL,
		    "\"%s\": \"%s\", not \"%s\"", mistakes[i].text, problem,
		    mistakes[i].problem);
		ck_assert_mem_eq(&endpoint, &before, sizeof(before));
		ck_assert_int_eq(
		    weir_endpoint_parse(&endpoint, mistakes[i].text, NULL),
		    -EINVAL);
	}
}
END_TEST

/* ---- socket addresses ---- */

static const char *
text_of(const struct weir_address *address)
{
	static char text[WEIR_ADDRESS_TEXT];

	return weir_address_text(address, text, sizeof(text));
}

static const char *
host_of(const struct weir_address *address)
{
	static char text[WEIR_ADDRESS_TEXT];

	return weir_address_host(address, text, sizeof(text));
}

START_TEST(ip_addresses_are_set_and_shown)
{
	struct weir_address address;

	ck_assert_int_eq(weir_address_set_ip(&address, "127.0.0.1", 80), 0);
	ck_assert_str_eq(text_of(&address), "127.0.0.1:80");
	ck_assert_str_eq(host_of(&address), "127.0.0.1");
	ck_assert_uint_eq(weir_address_port(&address), 80);
	ck_assert_int_eq(weir_address_family(&address), 4);
	ck_assert_uint_eq(address.length, sizeof(struct sockaddr_in));

	ck_assert_int_eq(weir_address_set_ip(&address, "0:0::1", 65535), 0);
	ck_assert_str_eq(text_of(&address), "[::1]:65535");
	ck_assert_str_eq(host_of(&address), "::1");
	ck_assert_uint_eq(weir_address_port(&address), 65535);
	ck_assert_int_eq(weir_address_family(&address), 6);
	ck_assert_uint_eq(address.length, sizeof(struct sockaddr_in6));
}
END_TEST

START_TEST(a_mapped_address_is_shown_as_ip4)
{
	struct weir_address address;

	ck_assert_int_eq(
	    weir_address_set_ip(&address, "::ffff:192.0.2.1", 80), 0);
	ck_assert_str_eq(text_of(&address), "192.0.2.1:80");
	ck_assert_str_eq(host_of(&address), "192.0.2.1");
	ck_assert_int_eq(weir_address_family(&address), 6);
	ck_assert_uint_eq(weir_address_port(&address), 80);
}
END_TEST

START_TEST(a_zone_is_an_interface_or_its_number)
{
	struct weir_address address;

	ck_assert_int_eq(weir_address_set_ip(&address, "fe80::1%lo", 80), 0);
	ck_assert_uint_ne(address.u.in6.sin6_scope_id, 0);
	ck_assert_str_eq(text_of(&address), "[fe80::1%lo]:80");
	ck_assert_int_eq(
	    weir_address_set_ip(&address, "fe80::1%4294967295", 80), 0);
	ck_assert_str_eq(text_of(&address), "[fe80::1%4294967295]:80");
}
END_TEST

START_TEST(what_is_no_ip_address_changes_nothing)
{
	static const char *const bad[] = {"", "localhost", "*", "127.1",
	    "1.2.3.04", "[::1]", "fe80::1%no-such-if", "fe80::1%",
	    "fe80::1%4294967296", "::1 ", "127.0.0.1:80"};
	struct weir_address address, before;
	size_t i;

	memset(&before, 0x5a, sizeof(before));
	address = before;
	for (i = 0; i < COUNT(bad); i++)
		ck_assert_msg(
		    weir_address_set_ip(&address, bad[i], 80) == -EINVAL, "%s",
		    bad[i]);
	ck_assert_mem_eq(&address, &before, sizeof(before));
}
END_TEST

START_TEST(unix_addresses_are_set_and_shown)
{
	struct weir_address address;

	ck_assert_int_eq(weir_address_set_unix(&address, "/run/a", false), 0);
	ck_assert_str_eq(text_of(&address), "unix:/run/a");
	ck_assert_str_eq(host_of(&address), "/run/a");
	ck_assert_uint_eq(weir_address_port(&address), 0);
	ck_assert_int_eq(weir_address_family(&address), 0);
	ck_assert_uint_eq(
	    address.length, offsetof(struct sockaddr_un, sun_path) + 7);

	ck_assert_int_eq(weir_address_set_unix(&address, "name", true), 0);
	ck_assert_str_eq(text_of(&address), "unix:@name");
	ck_assert_str_eq(host_of(&address), "@name");
	ck_assert_uint_eq(
	    address.length, offsetof(struct sockaddr_un, sun_path) + 5);
	ck_assert_int_eq(address.u.un.sun_path[0], '\0');

	/* as the kernel tells it: unnamed, and with a NUL in the name */
	address.length = sizeof(sa_family_t);
	ck_assert_str_eq(text_of(&address), "unix:");
	memcpy(address.u.un.sun_path, "\0a\0b", 4);
	address.length = offsetof(struct sockaddr_un, sun_path) + 4;
	ck_assert_str_eq(text_of(&address), "unix:@a@b");
}
END_TEST

START_TEST(the_longest_unix_address_fits)
{
	static const char path[] = "/" FIFTY FIFTY "123456";
	struct weir_address address, before;

	ck_assert_uint_eq(sizeof(path) - 1, 107);
	ck_assert_int_eq(weir_address_set_unix(&address, path, false), 0);
	ck_assert_str_eq(text_of(&address), "unix:/" FIFTY FIFTY "123456");
	ck_assert_int_eq(weir_address_set_unix(&address, path, true), 0);
	ck_assert_uint_eq(address.length, sizeof(struct sockaddr_un));
	ck_assert_str_eq(text_of(&address), "unix:@/" FIFTY FIFTY "123456");

	before = address;
	ck_assert_int_eq(
	    weir_address_set_unix(&address, "/" FIFTY FIFTY "1234567", false),
	    -ENAMETOOLONG);
	ck_assert_int_eq(
	    weir_address_set_unix(&address, "/" FIFTY FIFTY "1234567", true),
	    -ENAMETOOLONG);
	ck_assert_mem_eq(&address, &before, sizeof(before));

	/* the kernel may fill sun_path without an end */
	memset(address.u.un.sun_path, 'x', sizeof(address.u.un.sun_path));
	ck_assert_uint_eq(strlen(text_of(&address)), 5 + 108);
}
END_TEST

START_TEST(no_address_is_shown_as_a_dash)
{
	struct weir_address none;

	memset(&none, 0, sizeof(none));
	none.u.sa.sa_family = AF_INET;
	ck_assert_str_eq(text_of(&none), "-");
	ck_assert_str_eq(host_of(&none), "-");
	ck_assert_uint_eq(weir_address_port(&none), 0);
	ck_assert_int_eq(weir_address_family(&none), 0);
}
END_TEST

START_TEST(a_short_buffer_is_never_overrun)
{
	struct weir_address address;
	char text[8];
	size_t size;

	ck_assert_int_eq(weir_address_set_unix(&address, "/run/a", false), 0);
	for (size = 1; size < sizeof(text); size++) {
		memset(text, '!', sizeof(text));
		ck_assert_uint_lt(
		    strlen(weir_address_text(&address, text, size)), size);
		ck_assert_int_eq(text[size], '!');
		ck_assert_uint_lt(
		    strlen(weir_address_host(&address, text, size)), size);
		ck_assert_int_eq(text[size], '!');
	}
}
END_TEST

/* Endpoints and socket addresses of which no two are equal. */
static const char *const different[] = {"127.0.0.1:80", "127.0.0.2:80",
    "127.0.0.1:81", "[::1]:80", "[::1]:81", "[::2]:80", "[fe80::1%1]:80",
    "[fe80::1%2]:80", "[::ffff:127.0.0.1]:80", "unix:/a", "unix:/ab",
    "unix:@/a", "unix:@a", "unix:a"};

START_TEST(only_the_same_addresses_are_equal)
{
	struct weir_address a, b, none;
	struct weir_endpoint endpoint;
	size_t i, j;

	memset(&none, 0, sizeof(none));
	ck_assert(weir_address_equal(&none, &none));
	for (i = 0; i < COUNT(different); i++) {
		ck_assert_int_eq(
		    weir_endpoint_parse(&endpoint, different[i], NULL), 0);
		ck_assert_int_eq(weir_endpoint_address(&endpoint, &a), 0);
		ck_assert(!weir_address_equal(&a, &none));
		ck_assert(!weir_address_equal(&none, &a));
		for (j = 0; j < COUNT(different); j++) {
			ck_assert_int_eq(
			    weir_endpoint_parse(&endpoint, different[j], NULL),
			    0);
			ck_assert_int_eq(
			    weir_endpoint_address(&endpoint, &b), 0);
			ck_assert_msg(weir_address_equal(&a, &b) == (i == j),
			    "%s and %s", different[i], different[j]);
		}
	}
}
END_TEST

START_TEST(a_unix_path_is_equal_with_or_without_its_end)
{
	struct weir_address a, b;

	ck_assert_int_eq(weir_address_set_unix(&a, "/run/a", false), 0);
	b = a;
	b.length--;
	ck_assert(weir_address_equal(&a, &b));
	b.length = sizeof(struct sockaddr_un);
	ck_assert(weir_address_equal(&a, &b));
}
END_TEST

START_TEST(an_endpoint_without_an_address_has_none)
{
	static const char *const texts[] = {
	    "host:80", "*:80", "fd:3", "systemd:", "[fe80::1%no-such-if]:80"};
	struct weir_endpoint endpoint;
	struct weir_address address;
	size_t i;

	for (i = 0; i < COUNT(texts); i++) {
		ck_assert_int_eq(
		    weir_endpoint_parse(&endpoint, texts[i], NULL), 0);
		ck_assert_msg(
		    weir_endpoint_address(&endpoint, &address) == -EINVAL, "%s",
		    texts[i]);
	}
	ck_assert_int_eq(
	    weir_endpoint_parse(&endpoint, "127.0.0.1:70-80", NULL), 0);
	ck_assert_int_eq(weir_endpoint_address(&endpoint, &address), 0);
	ck_assert_str_eq(text_of(&address), "127.0.0.1:70");
}
END_TEST

static Suite *
address_suite(void)
{
	Suite *suite = suite_create("address");
	TCase *tc = tcase_create("address");

	tcase_add_test(tc, an_ip_address_is_what_node_takes_for_one);
	tcase_add_test(tc, an_address_is_read_and_written);
	tcase_add_test(tc, an_abstract_name_is_kept_without_its_mark);
	tcase_add_test(tc, a_descriptor_is_a_number);
	tcase_add_test(tc, a_mistake_is_told_by_its_own_text);
	tcase_add_test(tc, ip_addresses_are_set_and_shown);
	tcase_add_test(tc, a_mapped_address_is_shown_as_ip4);
	tcase_add_test(tc, a_zone_is_an_interface_or_its_number);
	tcase_add_test(tc, what_is_no_ip_address_changes_nothing);
	tcase_add_test(tc, unix_addresses_are_set_and_shown);
	tcase_add_test(tc, the_longest_unix_address_fits);
	tcase_add_test(tc, no_address_is_shown_as_a_dash);
	tcase_add_test(tc, a_short_buffer_is_never_overrun);
	tcase_add_test(tc, only_the_same_addresses_are_equal);
	tcase_add_test(tc, a_unix_path_is_equal_with_or_without_its_end);
	tcase_add_test(tc, an_endpoint_without_an_address_has_none);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	SRunner *sr = srunner_create(address_suite());
	int failed;

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
