/*
 * Names to addresses, by c-ares on the loop. Promises that an answer never
 * comes from inside weir_resolve(). What a lookup is, and its end, is
 * lookup.c's; which of the addresses to use is for others.
 */
#include "config.h"

#include <weir/resolve.h>

#include <ares.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/loop.h>

#include "net/address_priv.h"
#include "net/lookup_priv.h"

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
	for (node = answer->nodes; node != NULL; node = node->ai_next) {
		add_address(lookup, node->ai_family, ip_of(node->ai_addr));
		if (node->ai_ttl < 0)
			lookup->ttl_s = 0;
		else if ((uint32_t)node->ai_ttl < lookup->ttl_s)
			lookup->ttl_s = (uint32_t)node->ai_ttl;
	}
	return 0;
}

/* From c-ares, perhaps from inside of ares_getaddrinfo(). */
static void
on_answer(void *user, int status, int timeouts, struct ares_addrinfo *answer)
{
	struct weir_lookup *lookup = weir__lookup_answered(user);

	(void)timeouts;
	if (lookup != NULL) {
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
	struct weir__query *query = weir__lookup_query(lookup);

	if (query == NULL) {
		lookup->err = -ENOMEM;
		return false;
	}
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

/* The time to live of what the hosts file says is 0, too, and means nothing. */
static bool
is_from_hosts(struct weir_lookup *lookup)
{
	struct hostent *entry;
	int i;

	if (lookup->channel == NULL)
		return false;
	for (i = 0; i < 2; i++) {
		if (ares_gethostbyname_file(lookup->channel->ares, lookup->host,
			i == 0 ? AF_INET : AF_INET6, &entry) != ARES_SUCCESS)
			continue;
		ares_free_hostent(entry);
		return true;
	}
	return false;
}

static void
tell(struct weir_lookup *lookup)
{
	const struct weir_address *addresses = NULL;
	size_t count = 0;

	if (lookup->err == 0) {
		addresses = lookup->addresses;
		count = lookup->count;
	}
	if (lookup->done != NULL)
		lookup->done(lookup->err, addresses, count, lookup->user);
	else
		lookup->done_ttl(lookup->err, addresses, count,
		    lookup->err == 0 ? lookup->ttl_s : 0, lookup->user);
}

static void
on_task(struct weir__task *task)
{
	struct weir_lookup *lookup =
	    weir__container_of(task, struct weir_lookup, task);
	int family = ask_again(lookup);

	if (family != 0 && ask(lookup, family))
		return;
	if (lookup->done_ttl != NULL && lookup->ttl_s == 0 &&
	    is_from_hosts(lookup))
		lookup->ttl_s = WEIR_TTL_NONE;
	weir__lookup_end(lookup);
	tell(lookup);
	weir__lookup_release(lookup);
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
	lookup->err = weir__lookup_channel(lookup);
	if (lookup->err == 0) {
		if (is_localhost(lookup->host))
			lookup->err = add_localhost(lookup);
		else if (ask(lookup, lookup->family))
			return;
	}
	weir__loop_defer(lookup->resolver->loop, &lookup->task);
}

static bool
is_host(const char *host)
{
	struct weir_address address;

	return weir_address_set_ip(&address, host, 0) == 0 ||
	       weir__host_problem(host) == NULL;
}

/* The caller sets who is told. */
static int
resolve(struct weir_lookup **ret, struct weir_loop *loop, const char *host,
    uint16_t port, int family, const char *name_servers, void *user)
{
	struct weir_lookup *lookup;
	int err;

	if (loop == NULL || host == NULL ||
	    (family != 0 && family != 4 && family != 6))
		return -EINVAL;
	if (*host == '\0')
		host = "localhost";
	if (!is_host(host))
		return -EINVAL;
	err =
	    weir__lookup_new(&lookup, loop, host, name_servers, on_task, user);
	if (err < 0)
		return err;
	lookup->family = family == 0   ? AF_UNSPEC
			 : family == 4 ? AF_INET
				       : AF_INET6;
	lookup->port = port;
	start(lookup);
	*ret = lookup;
	return 0;
}

int
weir_resolve(struct weir_lookup **ret, struct weir_loop *loop, const char *host,
    uint16_t port, int family,
    void (*done)(int err, const struct weir_address *addresses, size_t count,
	void *user),
    void *user)
{
	struct weir_lookup *lookup;
	int err = done != NULL
		      ? resolve(&lookup, loop, host, port, family, NULL, user)
		      : -EINVAL;

	if (err < 0)
		return err;
	lookup->done = done;
	if (ret != NULL)
		*ret = lookup;
	return 0;
}

int
weir_resolve_ttl(struct weir_lookup **ret, struct weir_loop *loop,
    const char *host, uint16_t port, const struct weir_resolve_options *options,
    void (*done)(int err, const struct weir_address *addresses, size_t count,
	uint32_t ttl_s, void *user),
    void *user)
{
	static const struct weir_resolve_options defaults = {0};
	struct weir_lookup *lookup;
	int err;

	if (options == NULL)
		options = &defaults;
	err = done != NULL ? resolve(&lookup, loop, host, port, options->family,
				 options->name_servers, user)
			   : -EINVAL;
	if (err < 0)
		return err;
	lookup->done_ttl = done;
	if (ret != NULL)
		*ret = lookup;
	return 0;
}
