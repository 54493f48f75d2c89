/*
 * SRV records of a name: asked for, and told in their order. What an answer
 * says is srv_answer.c's.
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
#include "net/srv_answer.h"

#define CLASS_IN 1
#define TYPE_SRV 33

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
	struct weir__srv_answer answer;

	(void)timeouts;
	if (lookup == NULL)
		return;
	if (status != ARES_SUCCESS)
		lookup->err = weir__dns_error(status);
	else
		lookup->err = weir__srv_read(&answer, data, (size_t)length);
	if (lookup->err == 0) {
		lookup->records = answer.records;
		lookup->count = answer.count;
		lookup->ttl_s = answer.ttl_s;
	}
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
