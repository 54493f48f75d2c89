/*
 * Names of servers: looked up again and again, and their addresses told to the
 * board. Promises that an answer stays until there is a newer one: what fails
 * takes no server away, an answer that there is nothing does.
 *
 * A lookup begins when the one before has aged: after its time to live, at
 * least MIN_TTL_S and at most `resolve`; earlier where a connect failed; and
 * after a failure in 1 s, 2 s, 4 s, to `resolve`. One of a service asks for the
 * records first and then for each host in them, one after the other.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/resolve.h>

#include "log/log.h"
#include "proxy/keeper_priv.h"

#define MIN_TTL_S    1
#define MIN_AGAIN_MS 1000 /* between two lookups */
#define WEIGHT_MOST  256
#define RECORDS_MOST 1024 /* of one service */
#define ANSWERS_MOST 4096 /* addresses of one name */

/* An address, and the host that it is one of (of a service). */
struct found {
	struct kept_address to;
	size_t record; /* in name.records */
	char host[WEIR_HOST_TEXT];
};

struct answer {
	struct found *found;
	size_t count;
};

struct name {
	struct kept_server *server;
	struct weir_lookup *lookup; /* under way, or NULL */
	struct weir_timer *timer;
	bool ended, answered; /* a first time */
	bool failing;	      /* said so */
	unsigned failures;    /* in a row */
	uint64_t begun_ms, due_ms;

	struct answer known; /* the last good one */

	/* The lookup that is under way. */
	struct answer next;
	uint32_t ttl_s;
	struct weir_srv *records;
	size_t record_count, record;
};

static void begin(struct name *name);
static void ask_record(struct name *name);

static const struct kept_upstream *
upstream_of(const struct name *name)
{
	return name->server->upstream;
}

static bool
is_service(const struct name *name)
{
	return name->server->config->endpoint.kind == WEIR_ENDPOINT_SRV;
}

bool
name_looking(const struct name *name)
{
	return !name->ended;
}

bool
name_unanswered(const struct name *name)
{
	return !name->answered;
}

/* ---- when ---- */

static void
schedule(struct name *name, uint64_t ms)
{
	name->due_ms = weir_loop_now_ms(upstream_of(name)->keeper->loop) + ms;
	(void)weir_timer_start(name->timer, ms);
}

static void
on_timer(struct weir_timer *timer, void *user)
{
	(void)timer;
	begin(user);
}

static uint64_t
resolve_ms(const struct name *name)
{
	return upstream_of(name)->config->resolve_ms;
}

static void
schedule_next(struct name *name)
{
	uint64_t ms = resolve_ms(name), ttl_ms;

	if (name->ttl_s != WEIR_TTL_NONE) {
		ttl_ms = UINT64_C(1000) *
			 (name->ttl_s > MIN_TTL_S ? name->ttl_s : MIN_TTL_S);
		ms = ttl_ms < ms ? ttl_ms : ms;
	}
	schedule(name, ms);
}

static void
schedule_retry(struct name *name)
{
	uint64_t ms = resolve_ms(name);

	if (name->failures < 20 && UINT64_C(1000) << (name->failures - 1) < ms)
		ms = UINT64_C(1000) << (name->failures - 1);
	schedule(name, ms);
}

void
name_doubt(struct name *name)
{
	uint64_t now = weir_loop_now_ms(upstream_of(name)->keeper->loop);
	uint64_t next = name->begun_ms + MIN_AGAIN_MS;

	if (name->lookup != NULL || name->due_ms <= next)
		return;
	schedule(name, next > now ? next - now : 0);
}

/* ---- answers ---- */

static void
free_answer(struct answer *answer)
{
	free(answer->found);
	*answer = (struct answer){NULL, 0};
}

static bool
add_found(struct answer *answer, const struct found *found)
{
	struct found *grown;
	size_t i;

	if (answer->count == ANSWERS_MOST)
		return true;
	for (i = 0; i < answer->count; i++)
		if (weir_address_equal(
			&answer->found[i].to.address, &found->to.address))
			return true; /* doubles are one */
	grown = reallocarray(answer->found, answer->count + 1, sizeof(*grown));
	if (grown == NULL)
		return false;
	answer->found = grown;
	grown[answer->count++] = *found;
	return true;
}

static bool
add_addresses(struct name *name, const struct weir_address *addresses,
    size_t count, const struct weir_srv *record)
{
	struct found found = {.record = name->record};
	size_t i;

	if (record != NULL)
		strcpy(found.host, record->host);
	for (i = 0; i < count; i++) {
		found.to.address = addresses[i];
		if (!add_found(&name->next, &found))
			return false;
	}
	return true;
}

/* A host of a service that cannot be asked about keeps what it had. */
static bool
keep_addresses(struct name *name, const struct weir_srv *record)
{
	const struct found *known;
	size_t i;

	for (i = 0; i < name->known.count; i++) {
		known = &name->known.found[i];
		if (strcasecmp(known->host, record->host) == 0 &&
		    weir_address_port(&known->to.address) == record->port &&
		    !add_addresses(name, &known->to.address, 1, record))
			return false;
	}
	return true;
}

/*
 * Priorities become ranks. Weights are a share of 65535, or whatever whoever
 * wrote them liked: where one is above WEIGHT_MOST all are made smaller, and
 * none becomes 0, which is "seldom" and not "never" (RFC 2782).
 */
static void
set_shares(struct name *name)
{
	unsigned heaviest = 0, weight, rank = 0;
	const struct weir_srv *record;
	struct found *found;
	size_t i;

	for (i = 0; i < name->record_count; i++)
		if (name->records[i].weight > heaviest)
			heaviest = name->records[i].weight;
	for (i = 0; i < name->next.count; i++) {
		found = &name->next.found[i];
		record = &name->records[found->record];
		if (i > 0 && record->priority !=
				 name->records[found[-1].record].priority)
			rank++;
		weight = record->weight;
		if (heaviest > WEIGHT_MOST)
			weight = weight * WEIGHT_MOST / heaviest;
		found->to.weight = weight > 0 ? weight : 1;
		found->to.priority = rank;
	}
}

static bool
same_answer(const struct answer *a, const struct answer *b)
{
	size_t i;

	if (a->count != b->count)
		return false;
	for (i = 0; i < a->count; i++)
		if (!weir_address_equal(
			&a->found[i].to.address, &b->found[i].to.address))
			return false;
	return true;
}

static void
set_addresses(struct name *name)
{
	const struct answer *known = &name->known;
	struct kept_address *addresses =
	    calloc(known->count + 1, sizeof(*addresses));
	size_t i;

	if (addresses == NULL) {
		log_error("no memory for what a name was answered",
		    LOG_T("upstream", upstream_of(name)->config->name),
		    LOG_T("server", name->server->config->name));
		return;
	}
	for (i = 0; i < known->count; i++) {
		addresses[i] = known->found[i].to;
		if (!is_service(name))
			addresses[i].weight = name->server->config->weight;
	}
	kept_set_addresses(name->server, addresses, known->count);
	free(addresses);
}

static void
log_answer(const struct name *name, bool changed)
{
	const char *upstream = upstream_of(name)->config->name;
	const char *server = name->server->config->name;

	if (changed && name->known.count == 0)
		log_warn("the name has no addresses, it has no servers",
		    LOG_T("upstream", upstream), LOG_T("server", server));
	else if (changed || name->failing)
		log_info("resolved", LOG_T("upstream", upstream),
		    LOG_T("server", server),
		    LOG_N("addresses", name->known.count));
}

/* name.next is the answer. */
static void
take_answer(struct name *name)
{
	bool changed =
	    !name->answered || !same_answer(&name->next, &name->known);

	free_answer(&name->known);
	name->known = name->next;
	name->next = (struct answer){NULL, 0};
	log_answer(name, changed);
	name->ended = name->answered = true;
	name->failing = false;
	name->failures = 0;
	schedule_next(name);
	set_addresses(name);
}

static void
take_failure(struct name *name, int err)
{
	free_answer(&name->next);
	name->failures++;
	if (!name->failing)
		log_warn(name->answered
			     ? "cannot resolve, the last answer stays"
			     : "cannot resolve",
		    LOG_T("upstream", upstream_of(name)->config->name),
		    LOG_T("server", name->server->config->name),
		    LOG_N("addresses", name->known.count),
		    LOG_T("error", weir_error_text(err)));
	name->failing = true;
	schedule_retry(name);
	if (!name->ended) {
		name->ended = true;
		keeper_changed(name->server->upstream);
	}
}

/* ---- lookups ---- */

/* The answer is there, or there is none and it is known. */
static void
end(struct name *name, int err)
{
	free(name->records);
	name->records = NULL;
	if (err == 0)
		take_answer(name);
	else
		take_failure(name, err);
}

static void
on_addresses(int err, const struct weir_address *addresses, size_t count,
    uint32_t ttl_s, void *user)
{
	struct name *name = user;

	name->lookup = NULL;
	name->ttl_s = err == 0 ? ttl_s : WEIR_TTL_NONE;
	if (err == WEIR_E_NAME_NOT_FOUND)
		err = 0;
	if (err == 0 && !add_addresses(name, addresses, count, NULL))
		err = -ENOMEM;
	end(name, err);
}

static void
on_record(int err, const struct weir_address *addresses, size_t count,
    uint32_t ttl_s, void *user)
{
	struct name *name = user;
	const struct weir_srv *record = &name->records[name->record];
	bool fits;

	name->lookup = NULL;
	if (err == 0)
		name->ttl_s = ttl_s < name->ttl_s ? ttl_s : name->ttl_s;
	else if (err != WEIR_E_NAME_NOT_FOUND)
		name->ttl_s = MIN_TTL_S; /* what is kept is to be new soon */
	fits = err == 0 || err == WEIR_E_NAME_NOT_FOUND
		   ? add_addresses(name, addresses, count, record)
		   : keep_addresses(name, record);
	if (!fits) {
		end(name, -ENOMEM);
		return;
	}
	name->record++;
	ask_record(name);
}

static struct weir_resolve_options
options_of(const struct name *name)
{
	return (struct weir_resolve_options){
	    .family = upstream_of(name)->family,
	    .name_servers = upstream_of(name)->name_servers,
	};
}

/* The next host of the service. */
static void
ask_record(struct name *name)
{
	const struct weir_resolve_options options = options_of(name);
	const struct weir_srv *record;
	int err;

	if (name->record == name->record_count) {
		set_shares(name);
		end(name, 0);
		return;
	}
	record = &name->records[name->record];
	err = weir_resolve_ttl(&name->lookup, upstream_of(name)->keeper->loop,
	    record->host, record->port, &options, on_record, name);
	if (err != 0)
		end(name, err);
}

static void
on_records(int err, const struct weir_srv *records, size_t count,
    uint32_t ttl_s, void *user)
{
	struct name *name = user;

	name->lookup = NULL;
	if (err == WEIR_E_NAME_NOT_FOUND) {
		name->ttl_s = WEIR_TTL_NONE;
		end(name, 0);
		return;
	}
	if (err == 0) {
		count = count < RECORDS_MOST ? count : RECORDS_MOST;
		name->records = calloc(count, sizeof(*name->records));
		err = name->records != NULL ? 0 : -ENOMEM;
	}
	if (err != 0) {
		end(name, err);
		return;
	}
	memcpy(name->records, records, count * sizeof(*records));
	name->record_count = count;
	name->record = 0;
	name->ttl_s = ttl_s;
	ask_record(name);
}

static void
begin(struct name *name)
{
	const struct weir_endpoint *endpoint = &name->server->config->endpoint;
	const struct weir_resolve_options options = options_of(name);
	struct weir_loop *loop = upstream_of(name)->keeper->loop;
	int err;

	if (name->lookup != NULL)
		return;
	weir_timer_stop(name->timer);
	free_answer(&name->next);
	name->begun_ms = weir_loop_now_ms(loop);
	if (is_service(name))
		err = weir_resolve_srv(&name->lookup, loop, endpoint->name,
		    &options, on_records, name);
	else
		err = weir_resolve_ttl(&name->lookup, loop, endpoint->name,
		    endpoint->port_first, &options, on_addresses, name);
	if (err != 0)
		end(name, err);
}

/* ---- a name ---- */

struct name *
name_new(struct kept_server *server)
{
	struct name *name = calloc(1, sizeof(*name));

	if (name == NULL)
		return NULL;
	name->server = server;
	if (weir_timer_new(&name->timer, server->upstream->keeper->loop,
		on_timer, name) != 0) {
		free(name);
		return NULL;
	}
	weir_timer_unref(name->timer);
	return name;
}

void
name_free(struct name *name)
{
	if (name == NULL)
		return;
	weir_resolve_cancel(name->lookup);
	weir_timer_free(name->timer);
	free_answer(&name->known);
	free_answer(&name->next);
	free(name->records);
	free(name);
}

void
name_move(struct name *name, struct kept_server *server, bool changed)
{
	name->server = server;
	if (!changed)
		return;
	name_pause(name);
	name->due_ms = 0;
}

void
name_pause(struct name *name)
{
	weir_resolve_cancel(name->lookup);
	if (name->lookup != NULL)
		name->due_ms = 0; /* it begins anew */
	name->lookup = NULL;
	free(name->records);
	name->records = NULL;
	weir_timer_stop(name->timer);
}

void
name_start(struct name *name)
{
	uint64_t now = weir_loop_now_ms(upstream_of(name)->keeper->loop);

	if (name->lookup != NULL || weir_timer_running(name->timer))
		return;
	if (name->due_ms > now)
		(void)weir_timer_start(name->timer, name->due_ms - now);
	else
		begin(name);
}

/* What the board has of an earlier keeper is known. */
static void
recall(struct name *name)
{
	struct kept_address *addresses;
	size_t count = kept_find_addresses(name->server, &addresses), i;
	struct found found = {.record = 0};

	for (i = 0; i < count; i++) {
		found.to = addresses[i];
		if (!add_found(&name->known, &found))
			break;
	}
	free(addresses);
	name->ended = name->answered = count > 0;
}

void
name_apply(struct name *name)
{
	if (!name->answered)
		recall(name);
	if (name->answered)
		set_addresses(name);
}
