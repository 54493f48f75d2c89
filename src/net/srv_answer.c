/*
 * What an answer says of SRV records. c-ares has a reader of them, but that
 * keeps no time to live; so it is read here. Promises to take no more than the
 * answer has, whatever is in it: an answer that is cut, or a record that makes
 * no sense, is an error and not a part of the truth.
 */
#include "config.h"

#include "net/srv_answer.h"

#include <ares.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>

#include "net/address_priv.h"

#define CLASS_IN      1
#define TYPE_SRV      33
#define HEADER_LENGTH 12
#define LENGTH_MAX    65535 /* of a message over TCP */

/* ---- reading ---- */

/* An answer, and how far it was read. */
struct reader {
	const unsigned char *data;
	int length, at;
	bool cut;
};

static unsigned
read16(struct reader *r)
{
	unsigned value;

	if (r->length - r->at < 2) {
		r->cut = true;
		return 0;
	}
	value = (unsigned)r->data[r->at] << 8 | r->data[r->at + 1];
	r->at += 2;
	return value;
}

static uint32_t
read32(struct reader *r)
{
	uint32_t high = read16(r);

	return high << 16 | read16(r);
}

static void
skip(struct reader *r, unsigned length)
{
	if ((unsigned)(r->length - r->at) < length)
		r->cut = true;
	else
		r->at += (int)length;
}

/* A name, which may be compressed. ret may be NULL. */
static void
read_name(struct reader *r, char *ret, size_t size)
{
	char *name = NULL;
	long length = 0;

	if (r->cut || r->at >= r->length ||
	    ares_expand_name(r->data + r->at, r->data, r->length, &name,
		&length) != ARES_SUCCESS ||
	    length > r->length - r->at) {
		r->cut = true;
	} else {
		r->at += (int)length;
		if (ret != NULL &&
		    !weir__copy_text(ret, size, name, strlen(name)))
			r->cut = true;
	}
	if (name != NULL)
		ares_free_string(name);
}

/* The host "." (here empty) says that there is no such service. */
static int
add_record(struct weir__srv_answer *answer, const struct weir_srv *record)
{
	struct weir_srv *grown;

	if (record->host[0] == '\0')
		return 0;
	if (weir__host_problem(record->host) != NULL ||
	    weir_is_ipv4(record->host))
		return WEIR_E_NAME_FAILED;
	grown =
	    reallocarray(answer->records, answer->count + 1, sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	answer->records = grown;
	grown[answer->count++] = *record;
	return 0;
}

static int
read_record(struct weir__srv_answer *answer, struct reader *r)
{
	struct weir_srv record = {.port = 0};
	unsigned type, class, length;
	uint32_t ttl_s;
	int end;

	read_name(r, NULL, 0);
	type = read16(r);
	class = read16(r);
	ttl_s = read32(r);
	length = read16(r);
	end = r->at;
	skip(r, length);
	if (r->cut)
		return WEIR_E_NAME_FAILED;
	/* The aliases on the way age, too (RFC 2181: the top bit is 0). */
	ttl_s = ttl_s > INT32_MAX ? 0 : ttl_s;
	answer->ttl_s = ttl_s < answer->ttl_s ? ttl_s : answer->ttl_s;
	if (type != TYPE_SRV || class != CLASS_IN)
		return 0;
	r->at = end;
	record.priority = (uint16_t)read16(r);
	record.weight = (uint16_t)read16(r);
	record.port = (uint16_t)read16(r);
	read_name(r, record.host, sizeof(record.host));
	if (r->cut || r->at != end + (int)length)
		return WEIR_E_NAME_FAILED;
	return add_record(answer, &record);
}

static int
read_answer(struct weir__srv_answer *answer, struct reader *r)
{
	unsigned questions, answers;
	int err = 0;

	r->at = 4;
	questions = read16(r);
	answers = read16(r);
	r->at = HEADER_LENGTH;
	while (questions-- > 0 && !r->cut) {
		read_name(r, NULL, 0);
		skip(r, 4);
	}
	while (answers-- > 0 && err == 0)
		err = read_record(answer, r);
	if (err == 0 && r->cut)
		err = WEIR_E_NAME_FAILED;
	if (err == 0 && answer->count == 0)
		err = WEIR_E_NAME_NOT_FOUND;
	return err;
}

int
weir__srv_read(
    struct weir__srv_answer *ret, const unsigned char *data, size_t length)
{
	struct weir__srv_answer answer = {.ttl_s = UINT32_MAX};
	struct reader r = {.data = data, .length = (int)length};
	int err;

	if (length < HEADER_LENGTH || length > LENGTH_MAX)
		return WEIR_E_NAME_FAILED;
	err = read_answer(&answer, &r);
	if (err != 0)
		free(answer.records);
	else
		*ret = answer;
	return err;
}
