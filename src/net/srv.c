/*
 * SRV records of a name. c-ares has a reader of them, but that keeps no time to
 * live; so the answer is read here. Promises to take no more than the answer
 * has, whatever is in it: an answer that is cut, or a record that makes no
 * sense, is an error and not a part of the truth.
 */
#include "config.h"

#include <ares.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <weir/error.h>

#include "net/address_priv.h"
#include "net/lookup_priv.h"

#define CLASS_IN      1
#define TYPE_SRV      33
#define HEADER_LENGTH 12

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
add_record(struct weir_lookup *lookup, const struct weir_srv *record)
{
	struct weir_srv *grown;

	if (record->host[0] == '\0')
		return 0;
	if (weir__host_problem(record->host) != NULL ||
	    weir_is_ipv4(record->host))
		return WEIR_E_NAME_FAILED;
	grown =
	    reallocarray(lookup->records, lookup->count + 1, sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	lookup->records = grown;
	grown[lookup->count++] = *record;
	return 0;
}

static int
read_record(struct weir_lookup *lookup, struct reader *r)
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
	lookup->ttl_s = ttl_s < lookup->ttl_s ? ttl_s : lookup->ttl_s;
	if (type != TYPE_SRV || class != CLASS_IN)
		return 0;
	r->at = end;
	record.priority = (uint16_t)read16(r);
	record.weight = (uint16_t)read16(r);
	record.port = (uint16_t)read16(r);
	read_name(r, record.host, sizeof(record.host));
	if (r->cut || r->at != end + (int)length)
		return WEIR_E_NAME_FAILED;
	return add_record(lookup, &record);
}

static int
read_answer(struct weir_lookup *lookup, struct reader *r)
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
		err = read_record(lookup, r);
	if (err == 0 && lookup->count == 0)
		err = WEIR_E_NAME_NOT_FOUND;
	return err;
}

/* ---- asking ---- */

static int
compare_records(const void *left, const void *right)
{
	const struct weir_srv *a = left, *b = right;

	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	if (a->weight != b->weight)
		return a->weight > b->weight ? -1 : 1;
	if (strcasecmp(a->host, b->host) != 0)
		return strcasecmp(a->host, b->host);
	return a->port < b->port ? -1 : a->port > b->port;
}

/* From c-ares, perhaps from inside of ares_query(). */
static void
on_answer(void *user, int status, int timeouts, unsigned char *data, int length)
{
	struct weir_lookup *lookup = weir__lookup_answered(user);
	struct reader r = {.data = data, .length = length};

	(void)timeouts;
	if (lookup == NULL)
		return;
	if (status != ARES_SUCCESS)
		lookup->err = weir__dns_error(status);
	else if (length < HEADER_LENGTH)
		lookup->err = WEIR_E_NAME_FAILED;
	else
		lookup->err = read_answer(lookup, &r);
	weir__loop_defer(lookup->resolver->loop, &lookup->task);
}

static void
on_task(struct weir__task *task)
{
	struct weir_lookup *lookup =
	    weir__container_of(task, struct weir_lookup, task);

	weir__lookup_end(lookup);
	if (lookup->err < 0) {
		lookup->done_srv(lookup->err, NULL, 0, 0, lookup->user);
	} else {
		qsort(lookup->records, lookup->count, sizeof(*lookup->records),
		    compare_records);
		lookup->done_srv(0, lookup->records, lookup->count,
		    lookup->ttl_s, lookup->user);
	}
	weir__lookup_release(lookup);
}

static int
ask(struct weir_lookup *lookup)
{
	int err = weir__lookup_channel(lookup);
	struct weir__query *query;

	if (err < 0)
		return err;
	query = weir__lookup_query(lookup);
	if (query == NULL)
		return -ENOMEM;
	ares_query(lookup->channel->ares, lookup->host, CLASS_IN, TYPE_SRV,
	    on_answer, query);
	weir__dns_wait(lookup->channel);
	return 0;
}

int
weir_resolve_srv(struct weir_lookup **ret, struct weir_loop *loop,
    const char *name, const struct weir_resolve_options *options,
    void (*done)(int err, const struct weir_srv *records, size_t count,
	uint32_t ttl_s, void *user),
    void *user)
{
	struct weir_lookup *lookup;
	int err;

	if (loop == NULL || name == NULL || done == NULL || *name == '\0' ||
	    weir_is_ip(name) != 0 || weir__host_problem(name) != NULL)
		return -EINVAL;
	err = weir__lookup_new(&lookup, loop, name,
	    options != NULL ? options->name_servers : NULL, on_task, user);
	if (err < 0)
		return err;
	lookup->done_srv = done;
	err = ask(lookup); /* the answer may be there already */
	if (err < 0) {
		lookup->err = err;
		weir__loop_defer(loop, &lookup->task);
	}
	if (ret != NULL)
		*ret = lookup;
	return 0;
}
