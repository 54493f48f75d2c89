/*
 * Names to addresses, by c-ares on the loop. Promises that nothing blocks,
 * that an answer never comes from inside weir_resolve(), that a cancelled
 * lookup is gone at once, and that an idle resolver has no descriptor and no
 * timer. Which name servers are asked, and when, is dns_channel.c's; which of
 * the addresses to use is for others.
 *
 * c-ares cannot forget one query of many. So what it holds is not the lookup
 * but a small struct query, which a cancelled lookup leaves behind; once a
 * channel has no lookup any more, all that is left in it is cancelled. Its
 * callbacks never touch more than the lookup's fields and the queue of tasks:
 * all else happens outside of c-ares, in on_task().
 */
#include "config.h"

#include <weir/resolve.h>

#include <sys/queue.h>

#include <ares.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/loop.h>

#include "net/address_priv.h"
#include "net/dns_channel_priv.h"
#include "net/loop_priv.h"

/* What c-ares holds; lookup is NULL once that was cancelled. */
struct query {
	struct weir_lookup *lookup;
};

struct weir_lookup {
	struct weir__task task;
	struct weir__resolver *resolver;
	struct weir__dns *channel; /* NULL where no name server is asked */
	struct query *query;	   /* NULL where none is under way */
	int family;		   /* that the caller asked for, AF_ */
	int asked;		   /* that the last query was for, AF_ */
	bool denied;		   /* the last answer was that there is none */
	bool ended;		   /* done is being called */
	uint16_t port;
	int err;
	struct weir_address *addresses;
	size_t count;
	void (*done)(int err, const struct weir_address *addresses,
	    size_t count, void *user);
	void *user;
	TAILQ_ENTRY(weir_lookup) next; /* resolver.lookups */
	char host[];
};

/* ---- a lookup's addresses ---- */

static bool
has_address(
    const struct weir_lookup *lookup, const struct weir_address *address)
{
	size_t i;

	for (i = 0; i < lookup->count; i++)
		if (weir_address_equal(&lookup->addresses[i], address))
			return true;
	return false;
}

/* There must be room. Doubles, such as a hosts file has, are one. */
static void
add_address(struct weir_lookup *lookup, int family, const void *ip)
{
	struct weir_address address;

	memset(&address, 0, sizeof(address));
	if (family == AF_INET) {
		address.length = sizeof(address.u.in);
		address.u.in.sin_family = AF_INET;
		address.u.in.sin_port = htons(lookup->port);
		memcpy(&address.u.in.sin_addr, ip, sizeof(struct in_addr));
	} else {
		address.length = sizeof(address.u.in6);
		address.u.in6.sin6_family = AF_INET6;
		address.u.in6.sin6_port = htons(lookup->port);
		memcpy(&address.u.in6.sin6_addr, ip, sizeof(struct in6_addr));
	}
	if (!has_address(lookup, &address))
		lookup->addresses[lookup->count++] = address;
}

static bool
reserve_addresses(struct weir_lookup *lookup, size_t count)
{
	struct weir_address *grown;

	grown = reallocarray(lookup->addresses, lookup->count + count,
	    sizeof(*lookup->addresses));
	if (grown == NULL)
		return false;
	lookup->addresses = grown;
	return true;
}

/* ---- localhost ---- */

/* "localhost" and all below it, which name servers are not to be asked for
 * (RFC 6761). c-ares knows only the former, and in lower case. */
static bool
is_localhost(const char *host)
{
	static const char name[] = "localhost";
	size_t length = strlen(host), want = sizeof(name) - 1;

	if (length > 0 && host[length - 1] == '.')
		length--;
	if (length < want || strncasecmp(host + length - want, name, want) != 0)
		return false;
	return length == want || host[length - want - 1] == '.';
}

/* Whether ::1 is there: without it nobody can listen on or connect to it. */
static bool
has_ip6_loopback(void)
{
	const struct sockaddr_in6 in6 = {
	    .sin6_family = AF_INET6,
	    .sin6_addr = IN6ADDR_LOOPBACK_INIT,
	};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ret;

	if (fd == -1)
		return false;
	ret = bind(fd, (const struct sockaddr *)&in6, sizeof(in6)) == 0;
	(void)close(fd);
	return ret;
}

/* What the hosts file says. -ENOMEM, or 0: also where it says nothing. */
static int
add_from_hosts(struct weir_lookup *lookup, int family)
{
	struct hostent *entry;
	size_t count = 0;
	int err, i;

	err = ares_gethostbyname_file(
	    lookup->channel->ares, lookup->host, family, &entry);
	if (err != ARES_SUCCESS)
		return err == ARES_ENOMEM ? -ENOMEM : 0;
	while (entry->h_addr_list[count] != NULL)
		count++;
	err = reserve_addresses(lookup, count) ? 0 : -ENOMEM;
	for (i = 0; err == 0 && entry->h_addr_list[i] != NULL; i++)
		add_address(lookup, entry->h_addrtype, entry->h_addr_list[i]);
	ares_free_hostent(entry);
	return err;
}

/* As the hosts file says; else, and where it does not say it for the family
 * that is asked for, 127.0.0.1 and ::1. */
static int
add_localhost(struct weir_lookup *lookup)
{
	const struct in_addr ip4 = {htonl(INADDR_LOOPBACK)};
	bool want4 = lookup->family != AF_INET6;
	bool want6 = lookup->family != AF_INET && has_ip6_loopback();
	int err = 0;

	if (want6)
		err = add_from_hosts(lookup, AF_INET6);
	if (err == 0 && want4)
		err = add_from_hosts(lookup, AF_INET);
	if (err < 0 || lookup->count > 0)
		return err;
	if (!reserve_addresses(lookup, 2))
		return -ENOMEM;
	if (want6)
		add_address(lookup, AF_INET6, &in6addr_loopback);
	if (want4)
		add_address(lookup, AF_INET, &ip4);
	return lookup->count > 0 ? 0 : WEIR_E_NAME_NOT_FOUND;
}

/* ---- lookups ---- */

/* Leave everything but the memory; c-ares may still hold the query. */
static void
detach(struct weir_lookup *lookup)
{
	TAILQ_REMOVE(&lookup->resolver->lookups, lookup, next);
	weir__loop_undefer(lookup->resolver->loop, &lookup->task);
	if (lookup->query != NULL)
		lookup->query->lookup = NULL;
	lookup->query = NULL;
	if (lookup->channel != NULL)
		weir__dns_leave(lookup->channel);
	lookup->channel = NULL;
}

static void
release(struct weir_lookup *lookup)
{
	weir__loop_release(lookup->resolver->loop);
	free(lookup->addresses);
	free(lookup);
}

static const void *
ip_of(const struct sockaddr *sa)
{
	const void *any = sa;

	if (sa->sa_family == AF_INET)
		return &((const struct sockaddr_in *)any)->sin_addr;
	return &((const struct sockaddr_in6 *)any)->sin6_addr;
}

static int
take_answer(struct weir_lookup *lookup, const struct ares_addrinfo *answer)
{
	const struct ares_addrinfo_node *node;
	size_t count = 0;

	for (node = answer->nodes; node != NULL; node = node->ai_next)
		count++;
	if (count == 0)
		return WEIR_E_NAME_NOT_FOUND;
	if (!reserve_addresses(lookup, count))
		return -ENOMEM;
	for (node = answer->nodes; node != NULL; node = node->ai_next)
		add_address(lookup, node->ai_family, ip_of(node->ai_addr));
	return 0;
}

/* From c-ares, perhaps from inside of ares_getaddrinfo(). */
static void
on_answer(void *user, int status, int timeouts, struct ares_addrinfo *answer)
{
	struct query *query = user;
	struct weir_lookup *lookup = query->lookup;

	(void)timeouts;
	free(query);
	if (lookup != NULL) {
		lookup->query = NULL;
		lookup->denied = status == ARES_ENODATA;
		lookup->err = status == ARES_SUCCESS
				  ? take_answer(lookup, answer)
				  : weir__dns_error(status);
		weir__loop_defer(lookup->resolver->loop, &lookup->task);
	}
	if (answer != NULL)
		ares_freeaddrinfo(answer);
}

/* Whether an answer will come; it may have come, and be queued, already. Else
 * the lookup has its error. */
static bool
ask(struct weir_lookup *lookup, int family)
{
	const struct ares_addrinfo_hints hints = {
	    .ai_family = family,
	    .ai_socktype = SOCK_STREAM,
	};
	struct query *query = malloc(sizeof(*query));

	if (query == NULL) {
		lookup->err = -ENOMEM;
		return false;
	}
	query->lookup = lookup;
	lookup->query = query;
	lookup->asked = family;
	ares_getaddrinfo(lookup->channel->ares, lookup->host, NULL, &hints,
	    on_answer, query);
	weir__dns_wait(lookup->channel);
	return true;
}

/*
 * Of two queries at once, for IPv4 and IPv6, c-ares tells the outcome of the
 * one that ended last: "no address" where the other one was not answered at
 * all. A name that has no address is told from a name server that fails by
 * asking again, one family at a time. Returns the family to ask for, or 0.
 */
static int
ask_again(const struct weir_lookup *lookup)
{
	if (lookup->family != AF_UNSPEC ||
	    lookup->err != WEIR_E_NAME_NOT_FOUND || lookup->channel == NULL)
		return 0;
	if (lookup->asked == AF_UNSPEC)
		return AF_INET;
	return lookup->asked == AF_INET && lookup->denied ? AF_INET6 : 0;
}

static void
on_task(struct weir__task *task)
{
	struct weir_lookup *lookup =
	    weir__container_of(task, struct weir_lookup, task);
	int family = ask_again(lookup);

	if (family != 0 && ask(lookup, family))
		return;
	detach(lookup);
	lookup->ended = true;
	if (lookup->err < 0)
		lookup->done(lookup->err, NULL, 0, lookup->user);
	else
		lookup->done(0, lookup->addresses, lookup->count, lookup->user);
	release(lookup);
}

/* An address as a host: itself, where the family is the one asked for. */
static int
add_numeric(struct weir_lookup *lookup, const struct weir_address *address)
{
	if (lookup->family != AF_UNSPEC &&
	    lookup->family != address->u.sa.sa_family)
		return WEIR_E_NAME_NOT_FOUND;
	if (!reserve_addresses(lookup, 1))
		return -ENOMEM;
	lookup->addresses[lookup->count++] = *address;
	return 0;
}

/* Set the lookup going. Whatever comes of it is told from the loop. */
static void
start(struct weir_lookup *lookup)
{
	struct weir_address address;

	if (weir_address_set_ip(&address, lookup->host, lookup->port) == 0) {
		lookup->err = add_numeric(lookup, &address);
		weir__loop_defer(lookup->resolver->loop, &lookup->task);
		return;
	}
	lookup->err = weir__dns_current(lookup->resolver, &lookup->channel);
	if (lookup->err == 0) {
		lookup->channel->lookups++;
		if (is_localhost(lookup->host))
			lookup->err = add_localhost(lookup);
		else if (ask(lookup, lookup->family))
			return;
	}
	weir__loop_defer(lookup->resolver->loop, &lookup->task);
}

/* The loop's resolver, made when it is first needed; NULL for no memory. */
struct weir__resolver *
weir__resolver_of(struct weir_loop *loop)
{
	struct weir__resolver **resolver = weir__loop_resolver(loop);

	if (*resolver == NULL) {
		*resolver = calloc(1, sizeof(**resolver));
		if (*resolver == NULL)
			return NULL;
		(*resolver)->loop = loop;
		TAILQ_INIT(&(*resolver)->lookups);
	}
	return *resolver;
}

void
weir__resolver_free(struct weir__resolver *resolver)
{
	struct weir_lookup *lookup;

	if (resolver == NULL)
		return;
	while ((lookup = TAILQ_FIRST(&resolver->lookups)) != NULL) {
		detach(lookup);
		release(lookup);
	}
	weir__dns_retire(resolver);
	free(resolver->servers);
	free(resolver);
}

static struct weir_lookup *
new_lookup(const char *host)
{
	const size_t length = strlen(host) + 1;
	struct weir_lookup *lookup = calloc(1, sizeof(*lookup) + length);

	if (lookup != NULL)
		memcpy(lookup->host, host, length);
	return lookup;
}

static bool
is_host(const char *host)
{
	struct weir_address address;

	return weir_address_set_ip(&address, host, 0) == 0 ||
	       weir__host_problem(host) == NULL;
}

int
weir_resolve(struct weir_lookup **ret, struct weir_loop *loop, const char *host,
    uint16_t port, int family,
    void (*done)(int err, const struct weir_address *addresses, size_t count,
	void *user),
    void *user)
{
	struct weir__resolver *resolver;
	struct weir_lookup *lookup;

	if (loop == NULL || host == NULL || done == NULL ||
	    (family != 0 && family != 4 && family != 6))
		return -EINVAL;
	if (*host == '\0')
		host = "localhost";
	if (!is_host(host))
		return -EINVAL;
	resolver = weir__resolver_of(loop);
	lookup = resolver != NULL ? new_lookup(host) : NULL;
	if (lookup == NULL)
		return -ENOMEM;
	lookup->task.fn = on_task;
	lookup->resolver = resolver;
	lookup->family = family == 0   ? AF_UNSPEC
			 : family == 4 ? AF_INET
				       : AF_INET6;
	lookup->port = port;
	lookup->done = done;
	lookup->user = user;
	TAILQ_INSERT_TAIL(&resolver->lookups, lookup, next);
	weir__loop_hold(loop);
	start(lookup);
	if (ret != NULL)
		*ret = lookup;
	return 0;
}

void
weir_resolve_cancel(struct weir_lookup *lookup)
{
	/* From inside its own done it is too late, and harmless. */
	if (lookup == NULL || lookup->ended)
		return;
	detach(lookup);
	release(lookup);
}
