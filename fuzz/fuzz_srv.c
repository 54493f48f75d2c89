/*
 * An answer of a name server with SRV records: what is taken of it are hosts
 * that can be looked up, and of an answer that is cut it is all or nothing.
 */
#include "config.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <weir/address.h>
#include <weir/error.h>

#include "fuzz.h"
#include "net/srv_answer.h"

#define CUTS 512 /* of an answer that is longer, no more are tried */

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

/* The first bytes of it, in a block of their own. */
static void
check_cut(
    const struct weir__srv_answer *whole, const uint8_t *data, size_t size)
{
	struct weir__srv_answer answer;
	uint8_t *copy = malloc(size + 1);
	int err;

	FUZZ_ASSERT(copy != NULL);
	memcpy(copy, data, size);
	err = weir__srv_read(&answer, copy, size);
	free(copy);
	if (err != 0)
		return;
	FUZZ_ASSERT(whole != NULL && is_same(whole, &answer));
	free(answer.records);
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
	for (i = 0; i < size && i < CUTS; i++)
		check_cut(err == 0 ? &answer : NULL, data, size - 1 - i);
	if (err == 0)
		free(answer.records);
	return 0;
}
