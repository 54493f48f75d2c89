/*
 * An answer of a name server with SRV records: what is taken of it are hosts
 * that can be looked up, and of an answer that is cut it is all or nothing.
 */
#include "config.h"

#include <sys/mman.h>

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/address.h>
#include <weir/error.h>

#include "fuzz.h"
#include "net/srv_answer.h"

#define CUTS	      512 /* of a longer answer, no more are tried */
#define HEADER_LENGTH 12
#define LENGTH_MAX    65535
#define ROOM	      65536 /* pages of any size */

static bool
is_name(const char *host)
{
	const char *p;

	for (p = host; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && strchr("-_.", *p) == NULL)
			return false;
	return p != host;
}

static void
check_records(const struct weir__srv_answer *answer)
{
	size_t i;

	FUZZ_ASSERT(answer->count > 0);
	FUZZ_ASSERT(answer->ttl_s <= INT32_MAX);
	for (i = 0; i < answer->count; i++) {
		FUZZ_ASSERT(is_name(answer->records[i].host));
		FUZZ_ASSERT(weir_is_ip(answer->records[i].host) != 4);
	}
}

static bool
is_same(const struct weir__srv_answer *a, const struct weir__srv_answer *b)
{
	size_t i;

	if (a->count != b->count || a->ttl_s != b->ttl_s)
		return false;
	for (i = 0; i < a->count; i++)
		if (strcmp(a->records[i].host, b->records[i].host) != 0 ||
		    a->records[i].port != b->records[i].port)
			return false;
	return true;
}

/* The end of so many bytes after which nothing can be read. */
static uint8_t *
before_the_wall(void)
{
	static uint8_t *end;
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *room;

	if (end != NULL)
		return end;
	room = mmap(NULL, ROOM + page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	FUZZ_ASSERT(room != MAP_FAILED);
	FUZZ_ASSERT(mprotect(room + ROOM, page, PROT_NONE) == 0);
	end = room + ROOM;
	return end;
}

/* No header, or one alone that tells of questions or answers. */
static bool
is_cut(const uint8_t *data, size_t size)
{
	return size < HEADER_LENGTH ||
	       (size == HEADER_LENGTH &&
		   (data[4] | data[5] | data[6] | data[7]) != 0);
}

/* Nothing that is not there is there, or is known not to be. */
static void
check_cut(
    const struct weir__srv_answer *whole, const uint8_t *data, size_t size)
{
	struct weir__srv_answer answer;
	uint8_t *copy = before_the_wall() - size;
	int err;

	memcpy(copy, data, size);
	err = weir__srv_read(&answer, copy, size);
	FUZZ_ASSERT(!is_cut(data, size) || err == WEIR_E_NAME_FAILED);
	if (err != 0) {
		FUZZ_ASSERT(whole == NULL || err == WEIR_E_NAME_FAILED);
		return;
	}
	FUZZ_ASSERT(whole != NULL && is_same(whole, &answer));
	free(answer.records);
}

/* What follows does not matter, unless it is too much. */
static void
check_padded(
    const struct weir__srv_answer *whole, const uint8_t *data, size_t size)
{
	static uint8_t padded[LENGTH_MAX + 1];
	struct weir__srv_answer answer;

	memset(padded, 0, sizeof(padded));
	memcpy(padded, data, size);
	FUZZ_ASSERT(weir__srv_read(&answer, padded, LENGTH_MAX) == 0);
	FUZZ_ASSERT(is_same(whole, &answer));
	free(answer.records);
	FUZZ_ASSERT(weir__srv_read(&answer, padded, sizeof(padded)) ==
		    WEIR_E_NAME_FAILED);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weir__srv_answer answer;
	int err = weir__srv_read(&answer, data, size);
	size_t i;

	FUZZ_ASSERT(err <= 0);
	if (err == 0)
		check_records(&answer);
	for (i = 0; i <= size && i < CUTS && size <= LENGTH_MAX; i++)
		check_cut(err == 0 ? &answer : NULL, data, size - i);
	if (err == 0)
		check_padded(&answer, data, size);
	if (err == 0)
		free(answer.records);
	return 0;
}
