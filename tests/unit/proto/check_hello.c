/* Unit tests of proto/hello: server name and protocols of a TLS hello. */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "proto/hello.h"

/* A hello that is being built; what is added goes to the message's end. */
struct maker {
	unsigned char bytes[70000];
	size_t length;
};

static void
add(struct maker *maker, const void *bytes, size_t length)
{
	ck_assert_uint_le(maker->length + length, sizeof(maker->bytes));
	if (length > 0)
		memcpy(maker->bytes + maker->length, bytes, length);
	maker->length += length;
}

static void
add_number(struct maker *maker, size_t number, int width)
{
	unsigned char byte;

	while (width-- > 0) {
		byte = (unsigned char)(number >> (8 * width));
		add(maker, &byte, 1);
	}
}

/* A vector: its length, of so many bytes, and its content. */
static void
add_vector(struct maker *maker, int width, const void *bytes, size_t length)
{
	add_number(maker, length, width);
	add(maker, bytes, length);
}

static void
add_name_of_type(struct maker *to, int type, const void *name, size_t length)
{
	add_number(to, (size_t)type, 1);
	add_vector(to, 2, name, length);
}

/* An extension whose content is one vector with a length of two bytes. */
static void
add_list(struct maker *extensions, int type, const struct maker *list)
{
	add_number(extensions, (size_t)type, 2);
	add_number(extensions, list->length + 2, 2);
	add_vector(extensions, 2, list->bytes, list->length);
}

static void
add_server_name(struct maker *extensions, const void *name, size_t length)
{
	struct maker list = {.length = 0};

	add_name_of_type(&list, 0, name, length);
	add_list(extensions, 0, &list);
}

static void
add_protocols(struct maker *extensions, const char *first, const char *second)
{
	struct maker list = {.length = 0};

	add_vector(&list, 1, first, strlen(first));
	if (second != NULL)
		add_vector(&list, 1, second, strlen(second));
	add_list(extensions, 16, &list);
}

/* The message that has these extensions; NULL: from before there were any. */
static void
make_message(struct maker *ret, const struct maker *extensions)
{
	struct maker body = {.length = 0};

	add_number(&body, 0x0303, 2);
	add(&body, "0123456789abcdef0123456789abcdef", 32);
	add_vector(&body, 1, "session", 7);
	add_vector(&body, 2, "\x13\x01\x13\x02", 4);
	add_vector(&body, 1, "", 1);
	if (extensions != NULL)
		add_vector(&body, 2, extensions->bytes, extensions->length);
	ret->length = 0;
	add_number(ret, 1, 1);
	add_vector(ret, 3, body.bytes, body.length);
}

/* Cut a message into records of so many bytes. */
static void
make_records(struct maker *ret, const struct maker *message, size_t each)
{
	size_t at, part;

	ret->length = 0;
	for (at = 0; at < message->length; at += part) {
		part = message->length - at;
		part = part < each ? part : each;
		add_number(ret, 22, 1);
		add_number(ret, 0x0301, 2);
		add_vector(ret, 2, message->bytes + at, part);
	}
}

static void
make_hello(struct maker *ret, const struct maker *extensions)
{
	struct maker message;

	make_message(&message, extensions);
	make_records(ret, &message, 16384);
}

static enum hello_result
read_all(struct hello *hello, const struct maker *maker)
{
	memset(hello, 0, sizeof(*hello));
	return hello_read(hello, maker->bytes, maker->length);
}

static void
assert_broken(const struct maker *maker, const char *problem)
{
	struct hello hello;

	ck_assert_int_eq(read_all(&hello, maker), HELLO_BROKEN);
	ck_assert_str_eq(hello.problem, problem);
}

static void
usual(struct maker *ret)
{
	struct maker extensions = {.length = 0};

	add_number(&extensions, 0x0a0a, 2);
	add_vector(&extensions, 2, NULL, 0);
	add_server_name(&extensions, "WWW.Example.org", 15);
	add_number(&extensions, 43, 2);
	add_vector(&extensions, 2, "\x02\x03\x04", 3);
	add_protocols(&extensions, "h2", "http/1.1");
	make_message(ret, &extensions);
}

START_TEST(a_hello_says_its_name_in_lower_case_and_its_protocols)
{
	struct maker message, records;
	struct hello hello;

	usual(&message);
	make_records(&records, &message, 16384);
	ck_assert_int_eq(read_all(&hello, &records), HELLO_DONE);
	ck_assert_str_eq(hello.name, "www.example.org");
	ck_assert(hello_offers(&hello, records.bytes, records.length, "h2"));
	ck_assert(
	    hello_offers(&hello, records.bytes, records.length, "http/1.1"));
	ck_assert(
	    !hello_offers(&hello, records.bytes, records.length, "http/1.0"));
	ck_assert(!hello_offers(&hello, records.bytes, records.length, "h"));
	ck_assert(!hello_offers(&hello, records.bytes, records.length, ""));
}
END_TEST

START_TEST(records_and_pieces_may_be_cut_anywhere)
{
	struct maker message, records;
	struct hello hello, whole;
	unsigned char *copy;
	size_t each, n;

	usual(&message);
	for (each = 1; each <= message.length; each++) {
		make_records(&records, &message, each);
		memset(&hello, 0, sizeof(hello));
		for (n = 0; n < records.length; n++) {
			/* A block of its own, so that a byte too far shows. */
			copy = malloc(n > 0 ? n : 1);
			ck_assert_ptr_nonnull(copy);
			memcpy(copy, records.bytes, n);
			ck_assert_int_eq(
			    hello_read(&hello, copy, n), HELLO_NEED_MORE);
			free(copy);
		}
		ck_assert_int_eq(
		    hello_read(&hello, records.bytes, n), HELLO_DONE);
		ck_assert_int_eq(read_all(&whole, &records), HELLO_DONE);
		ck_assert_mem_eq(&hello, &whole, sizeof(hello));
		ck_assert_str_eq(hello.name, "www.example.org");
		ck_assert(hello_offers(
		    &hello, records.bytes, records.length, "http/1.1"));
	}
}
END_TEST

START_TEST(what_comes_behind_it_does_not_matter)
{
	struct maker message, records;
	struct hello hello;

	usual(&message);
	make_records(&records, &message, 100);
	add(&records, "\xff\xff\xff early data", 14);
	ck_assert_int_eq(read_all(&hello, &records), HELLO_DONE);
	ck_assert_str_eq(hello.name, "www.example.org");
}
END_TEST

START_TEST(without_extensions_there_is_no_name)
{
	struct maker records, extensions = {.length = 0};
	struct hello hello;

	make_hello(&records, NULL);
	ck_assert_int_eq(read_all(&hello, &records), HELLO_DONE);
	ck_assert_str_eq(hello.name, "");
	ck_assert(!hello_offers(&hello, records.bytes, records.length, "h2"));

	make_hello(&records, &extensions);
	ck_assert_int_eq(read_all(&hello, &records), HELLO_DONE);
	ck_assert_str_eq(hello.name, "");
}
END_TEST

START_TEST(other_protocols_are_told_by_their_first_bytes)
{
	static const char *const others[] = {"GET / HTTP/1.1\r\n", "\r\n",
	    "SSH-2.0-OpenSSH_9.2", "\x80\x2e\x01\x03\x01", "\x16\x02\x01",
	    "\x15\x03\x01"};
	struct hello hello;
	size_t i;

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		memset(&hello, 0, sizeof(hello));
		ck_assert_int_eq(
		    hello_read(&hello, others[i], strlen(others[i])),
		    HELLO_NOT_TLS);
	}
	memset(&hello, 0, sizeof(hello));
	ck_assert_int_eq(hello_read(&hello, "", 0), HELLO_NEED_MORE);
	ck_assert_int_eq(hello_read(&hello, "\x16", 1), HELLO_NEED_MORE);
}
END_TEST

START_TEST(a_name_has_255_bytes_at_most)
{
	struct maker records, extensions = {.length = 0};
	struct hello hello;
	char name[300];

	memset(name, 'a', sizeof(name));
	add_server_name(&extensions, name, 255);
	make_hello(&records, &extensions);
	ck_assert_int_eq(read_all(&hello, &records), HELLO_DONE);
	ck_assert_uint_eq(strlen(hello.name), 255);

	extensions.length = 0;
	add_server_name(&extensions, name, 300);
	make_hello(&records, &extensions);
	assert_broken(&records, "a server name of more than 255 bytes");
}
END_TEST

START_TEST(a_name_is_text)
{
	static const char *const bad[] = {"a b", "a\nb", "a\x7f", "\xc3\xa4"};
	struct maker records, extensions;
	struct hello hello;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		extensions.length = 0;
		add_server_name(&extensions, bad[i], strlen(bad[i]));
		make_hello(&records, &extensions);
		assert_broken(&records, "a server name that is no text");
	}
	extensions.length = 0;
	add_server_name(&extensions, "a\0b", 3);
	make_hello(&records, &extensions);
	assert_broken(&records, "a server name that is no text");

	extensions.length = 0;
	add_server_name(&extensions, "example.org.", 12);
	make_hello(&records, &extensions);
	ck_assert_int_eq(read_all(&hello, &records), HELLO_DONE);
	ck_assert_str_eq(hello.name, "example.org");
}
END_TEST

START_TEST(names_of_another_type_are_passed_over)
{
	struct maker records, extensions = {.length = 0}, list = {.length = 0};
	struct hello hello;

	add_name_of_type(&list, 7, "whatever", 8);
	add_name_of_type(&list, 0, "b.example", 9);
	add_list(&extensions, 0, &list);
	make_hello(&records, &extensions);
	ck_assert_int_eq(read_all(&hello, &records), HELLO_DONE);
	ck_assert_str_eq(hello.name, "b.example");
}
END_TEST

START_TEST(what_is_there_twice_is_broken)
{
	struct maker records, extensions = {.length = 0}, list = {.length = 0};

	add_server_name(&extensions, "a", 1);
	add_server_name(&extensions, "b", 1);
	make_hello(&records, &extensions);
	assert_broken(&records, "two server names");

	extensions.length = 0;
	add_name_of_type(&list, 0, "a", 1);
	add_name_of_type(&list, 0, "b", 1);
	add_list(&extensions, 0, &list);
	make_hello(&records, &extensions);
	assert_broken(&records, "two server names");

	extensions.length = 0;
	add_protocols(&extensions, "h2", NULL);
	add_protocols(&extensions, "h3", NULL);
	make_hello(&records, &extensions);
	assert_broken(&records, "two lists of protocols");
}
END_TEST

START_TEST(what_is_empty_is_broken)
{
	struct maker records, extensions = {.length = 0}, list = {.length = 0};

	add_list(&extensions, 0, &list);
	make_hello(&records, &extensions);
	assert_broken(&records, "a list of server names that does not fit");

	extensions.length = 0;
	add_server_name(&extensions, "", 0);
	make_hello(&records, &extensions);
	assert_broken(&records, "an empty server name");

	extensions.length = 0;
	add_list(&extensions, 16, &list);
	make_hello(&records, &extensions);
	assert_broken(&records, "a list of protocols that does not fit");

	extensions.length = 0;
	add_protocols(&extensions, "h2", "");
	make_hello(&records, &extensions);
	assert_broken(&records, "a protocol that is cut or empty");
}
END_TEST

/* Each length that is made wrong by one has to be noticed, or to be one that
 * nobody reads. */
START_TEST(a_message_that_ends_early_is_broken)
{
	struct maker message, records;
	struct hello hello;
	size_t cut;

	usual(&message);
	for (cut = 4; cut < message.length; cut++) {
		message.bytes[1] = 0;
		message.bytes[2] = (unsigned char)((cut - 4) >> 8);
		message.bytes[3] = (unsigned char)(cut - 4);
		make_records(&records, &message, 16384);
		/* One that ends before its extensions is whole. */
		if (cut == 4 + 2 + 32 + 8 + 6 + 2)
			ck_assert_int_eq(
			    read_all(&hello, &records), HELLO_DONE);
		else
			ck_assert_int_eq(
			    read_all(&hello, &records), HELLO_BROKEN);
	}
}
END_TEST

/* A message with vectors of these lengths: session, ciphers, compression. */
static enum hello_result
read_with_vectors(size_t session, size_t ciphers, size_t compression)
{
	static const unsigned char zeros[65535];
	struct maker body = {.length = 0}, message = {.length = 0}, records;
	struct hello hello;

	add_number(&body, 0x0303, 2);
	add(&body, zeros, 32);
	add_vector(&body, 1, zeros, session);
	add_vector(&body, 2, zeros, ciphers);
	add_vector(&body, 1, zeros, compression);
	add_number(&message, 1, 1);
	add_vector(&message, 3, body.bytes, body.length);
	make_records(&records, &message, 16384);
	return read_all(&hello, &records);
}

START_TEST(vectors_have_the_lengths_of_the_protocol)
{
	ck_assert_int_eq(read_with_vectors(0, 2, 1), HELLO_DONE);
	ck_assert_int_eq(read_with_vectors(32, 60000, 255), HELLO_DONE);
	ck_assert_int_eq(read_with_vectors(33, 2, 1), HELLO_BROKEN);
	ck_assert_int_eq(read_with_vectors(0, 0, 1), HELLO_BROKEN);
	ck_assert_int_eq(read_with_vectors(0, 2, 0), HELLO_BROKEN);
}
END_TEST

START_TEST(nothing_comes_behind_the_extensions)
{
	struct maker message, records, extensions = {.length = 0};
	size_t length;

	add_server_name(&extensions, "a.example", 9);
	make_message(&message, &extensions);
	add(&message, "x", 1);
	length = message.length - 4;
	message.bytes[2] = (unsigned char)(length >> 8);
	message.bytes[3] = (unsigned char)length;
	make_records(&records, &message, 16384);
	assert_broken(&records, "extensions that do not fit");
}
END_TEST

START_TEST(other_messages_and_records_are_broken)
{
	struct maker message, records;

	usual(&message);
	message.bytes[0] = 2;
	make_records(&records, &message, 16384);
	assert_broken(&records, "another message than a hello");

	usual(&message);
	make_records(&records, &message, 50);
	records.bytes[55] = 21;
	assert_broken(&records, "another record in the hello");
	records.bytes[55] = 22;
	records.bytes[56] = 2;
	assert_broken(&records, "another record in the hello");

	make_records(&records, &message, 50);
	records.bytes[3] = records.bytes[4] = 0;
	assert_broken(&records, "an empty record");
	records.bytes[3] = 0x40;
	records.bytes[4] = 1;
	assert_broken(&records, "a record of more than 16384 bytes");
}
END_TEST

START_TEST(a_hello_has_an_end)
{
	struct maker message = {.length = 0}, records;
	struct hello hello;
	static unsigned char zeros[65536];

	/* Its own length is too much. */
	add_number(&message, 1, 1);
	add_vector(&message, 3, zeros, 65533);
	make_records(&records, &message, 16384);
	records.length = 100;
	assert_broken(&records, "a hello of more than 65536 bytes");

	/* With the headers of the records it is. */
	message.length = 0;
	add_number(&message, 1, 1);
	add_vector(&message, 3, zeros, 65500);
	make_records(&records, &message, 1000);
	records.length = HELLO_MAX - 1;
	ck_assert_int_eq(read_all(&hello, &records), HELLO_NEED_MORE);
	records.length = HELLO_MAX;
	assert_broken(&records, "no end within 65536 bytes");
}
END_TEST

START_TEST(patterns_are_names_or_all_below_one)
{
	ck_assert(hello_name_matches("www.example.org", "www.example.org"));
	ck_assert(hello_name_matches("WWW.Example.ORG", "www.example.org"));
	ck_assert(!hello_name_matches("www.example.org", "example.org"));
	ck_assert(!hello_name_matches("example.org", "www.example.org"));
	ck_assert(!hello_name_matches("", ""));
	ck_assert(hello_name_matches("*.example.org", "www.example.org"));
	ck_assert(hello_name_matches("*.Example.org", "a.b.example.org"));
	ck_assert(!hello_name_matches("*.example.org", "example.org"));
	ck_assert(!hello_name_matches("*.example.org", ".example.org"));
	ck_assert(!hello_name_matches("*.example.org", "badexample.org"));
	ck_assert(!hello_name_matches("*.example.org", ""));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("hello");
	TCase *tcase = tcase_create("hello");
	SRunner *runner;
	int failed;

	tcase_add_test(
	    tcase, a_hello_says_its_name_in_lower_case_and_its_protocols);
	tcase_add_test(tcase, records_and_pieces_may_be_cut_anywhere);
	tcase_add_test(tcase, what_comes_behind_it_does_not_matter);
	tcase_add_test(tcase, without_extensions_there_is_no_name);
	tcase_add_test(tcase, other_protocols_are_told_by_their_first_bytes);
	tcase_add_test(tcase, a_name_has_255_bytes_at_most);
	tcase_add_test(tcase, a_name_is_text);
	tcase_add_test(tcase, names_of_another_type_are_passed_over);
	tcase_add_test(tcase, what_is_there_twice_is_broken);
	tcase_add_test(tcase, what_is_empty_is_broken);
	tcase_add_test(tcase, a_message_that_ends_early_is_broken);
	tcase_add_test(tcase, vectors_have_the_lengths_of_the_protocol);
	tcase_add_test(tcase, nothing_comes_behind_the_extensions);
	tcase_add_test(tcase, other_messages_and_records_are_broken);
	tcase_add_test(tcase, a_hello_has_an_end);
	tcase_add_test(tcase, patterns_are_names_or_all_below_one);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
