/*
 * Names to addresses, by c-ares on the loop. Promises that nothing blocks,
 * that an answer never comes from inside weir_resolve(), that a cancelled
 * lookup is gone at once, and that an idle resolver has no descriptor and no
 * timer. Which of the addresses to use is for others.
 *
 * A name server is asked for at most 6 s: 2 s, and once more for 4 s.
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
#include <sys/stat.h>

#include <ares.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include <weir/error.h>
#include <weir/loop.h>

#include "net/address_priv.h"
#include "net/loop_priv.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define TRY_MS	    2000
#define TRIES	    2
#define DNS_PORT    53

/* A descriptor of c-ares and the event that watches it. */
struct watch {
	struct event event;
	struct channel *channel;
	LIST_ENTRY(watch) next; /* channel.watches */
};

/*
 * A c-ares channel. The newest takes new lookups; one whose name servers are
 * out of date lives on until its last lookup has ended.
 */
struct channel {
	struct weir__resolver *resolver;
	ares_channel ares;
	struct event timer;
	LIST_HEAD(, watch) watches;
	size_t lookups;
};

struct weir__resolver {
	struct weir_loop *loop;
	struct channel *channel; /* for new lookups; NULL where out of date */
	struct stat resolv_conf; /* when channel was made */
	struct ares_addr_port_node *servers; /* an array; NULL: the system's */
	TAILQ_HEAD(, weir_lookup) lookups;
};

/* What c-ares holds; lookup is NULL once that was cancelled. */
struct query {
	struct weir_lookup *lookup;
};

struct weir_lookup {
	struct weir__task task;
	struct weir__resolver *resolver;
	struct channel *channel; /* NULL where no name server is asked */
	struct query *query;	 /* NULL where none is under way */
	int family;		 /* that the caller asked for, AF_ */
	int asked;		 /* that the last query was for, AF_ */
	bool denied;		 /* the last answer was that there is none */
	bool ended;		 /* done is being called */
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

/* ---- c-ares on the loop ---- */

/* The timer runs only while c-ares waits for something. */
static void
set_timer(struct channel *channel)
{
	struct timeval buffer, *after;

	after = ares_timeout(channel->ares, NULL, &buffer);
	if (after == NULL) {
		(void)event_del(&channel->timer);
		return;
	}
	/* c-ares cuts to milliseconds, and would be asked too early. */
	after->tv_usec += 1000;
	if (after->tv_usec >= 1000000) {
		after->tv_sec++;
		after->tv_usec -= 1000000;
	}
	(void)event_add(&channel->timer, after);
}

static void
on_timer(evutil_socket_t fd, short what, void *user)
{
	struct channel *channel = user;

	(void)fd;
	(void)what;
	ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	set_timer(channel);
}

static void
on_socket(evutil_socket_t fd, short what, void *user)
{
	const struct watch *watch = user;
	struct channel *channel = watch->channel;

	/* The watch may be gone after this. */
	ares_process_fd(channel->ares, what & EV_READ ? fd : ARES_SOCKET_BAD,
	    what & EV_WRITE ? fd : ARES_SOCKET_BAD);
	set_timer(channel);
}

static struct watch *
find_watch(struct channel *channel, ares_socket_t fd)
{
	struct watch *watch;

	LIST_FOREACH (watch, &channel->watches, next)
		if (event_get_fd(&watch->event) == fd)
			return watch;
	return NULL;
}

static struct watch *
new_watch(struct channel *channel)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	if (watch == NULL)
		return NULL;
	watch->channel = channel;
	LIST_INSERT_HEAD(&channel->watches, watch, next);
	return watch;
}

static void
free_watch(struct watch *watch)
{
	LIST_REMOVE(watch, next);
	free(watch);
}

/*
 * c-ares opens, closes, or wants other events of a descriptor. It cannot be
 * told of a failure here; the query ends by its timeout then.
 */
static void
on_state(void *user, ares_socket_t fd, int readable, int writable)
{
	struct channel *channel = user;
	struct watch *watch = find_watch(channel, fd);
	short events = (short)((readable ? EV_READ : 0) |
			       (writable ? EV_WRITE : 0) | EV_PERSIST);

	if (watch != NULL)
		(void)event_del(&watch->event);
	else if (readable || writable)
		watch = new_watch(channel);
	if (watch == NULL)
		return;
	if ((!readable && !writable) ||
	    event_assign(&watch->event, weir_loop_base(channel->resolver->loop),
		fd, events, on_socket, watch) == -1 ||
	    event_add(&watch->event, NULL) == -1)
		free_watch(watch);
}

/* ---- channels ---- */

static int
error_of(int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return 0;
	case ARES_ENODATA:
	case ARES_ENOTFOUND:
	case ARES_ENONAME:
	case ARES_EBADNAME:
		return WEIR_E_NAME_NOT_FOUND;
	case ARES_ETIMEOUT:
	case ARES_ECONNREFUSED:
	case ARES_ESERVFAIL:
	case ARES_EREFUSED:
		return WEIR_E_NAME_TRY_AGAIN;
	case ARES_ENOMEM:
		return -ENOMEM;
	default:
		return WEIR_E_NAME_FAILED;
	}
}

static void
free_channel(struct channel *channel)
{
	struct watch *watch;

	ares_destroy(channel->ares);
	(void)event_del(&channel->timer);
	while ((watch = LIST_FIRST(&channel->watches)) != NULL) {
		(void)event_del(&watch->event);
		free_watch(watch);
	}
	free(channel);
}

static int
open_channel(struct channel *channel)
{
	struct weir__resolver *resolver = channel->resolver;
	struct ares_options options = {
	    .flags = ARES_FLAG_NOALIASES,
	    .timeout = TRY_MS,
	    .tries = TRIES,
	    .lookups = (char[]){"fb"},
	    .sock_state_cb = on_state,
	    .sock_state_cb_data = channel,
	};
	int status;

	status = ares_init_options(&channel->ares, &options,
	    ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
		ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);
	if (status != ARES_SUCCESS)
		return error_of(status);
	if (resolver->servers != NULL)
		status =
		    ares_set_servers_ports(channel->ares, resolver->servers);
	if (status != ARES_SUCCESS)
		ares_destroy(channel->ares);
	return error_of(status);
}

static int
new_channel(struct channel **ret, struct weir__resolver *resolver)
{
	struct channel *channel = calloc(1, sizeof(*channel));
	int err;

	if (channel == NULL)
		return -ENOMEM;
	channel->resolver = resolver;
	LIST_INIT(&channel->watches);
	err = open_channel(channel);
	if (err < 0) {
		free(channel);
		return err;
	}
	(void)evtimer_assign(
	    &channel->timer, weir_loop_base(resolver->loop), on_timer, channel);
	*ret = channel;
	return 0;
}

/* A lookup needs the channel no more. Not from inside c-ares. */
static void
leave_channel(struct channel *channel)
{
	if (--channel->lookups > 0)
		return;
	if (channel != channel->resolver->channel) {
		free_channel(channel);
		return;
	}
	ares_cancel(channel->ares);
	set_timer(channel);
}

/* Further lookups take a new channel. */
static void
retire_channel(struct weir__resolver *resolver)
{
	struct channel *channel = resolver->channel;

	resolver->channel = NULL;
	if (channel != NULL && channel->lookups == 0)
		free_channel(channel);
}

static bool
same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	       a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* The channel for a new lookup. c-ares reads resolv.conf only once, so it is
 * for us to see that it has changed. */
static int
current_channel(struct weir__resolver *resolver, struct channel **ret)
{
	struct stat now;
	int err = 0;

	if (stat(RESOLV_CONF, &now) == -1)
		memset(&now, 0, sizeof(now));
	if (resolver->channel != NULL &&
	    !same_file(&now, &resolver->resolv_conf))
		retire_channel(resolver);
	if (resolver->channel == NULL)
		err = new_channel(&resolver->channel, resolver);
	resolver->resolv_conf = now;
	*ret = resolver->channel;
	return err;
}

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
		leave_channel(lookup->channel);
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
				  : error_of(status);
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
	set_timer(lookup->channel);
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
	lookup->err = current_channel(lookup->resolver, &lookup->channel);
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
static struct weir__resolver *
resolver_of(struct weir_loop *loop)
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
	retire_channel(resolver);
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
	resolver = resolver_of(loop);
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

/* ---- name servers ---- */

/* "127.0.0.1", "127.0.0.1:53", "::1", "[::1]", "[::1]:53". */
static int
parse_server(struct weir_address *ret, char *text)
{
	struct weir_endpoint endpoint;
	size_t length = strlen(text);

	if (length > 1 && text[0] == '[' && text[length - 1] == ']') {
		text[length - 1] = '\0';
		text++;
		if (!weir_is_ipv6(text))
			return -EINVAL;
	}
	if (weir_address_set_ip(ret, text, DNS_PORT) == 0)
		return 0;
	if (weir_endpoint_parse(&endpoint, text, NULL) < 0 ||
	    endpoint.kind != WEIR_ENDPOINT_TCP || endpoint.port_first == 0 ||
	    endpoint.port_first != endpoint.port_last)
		return -EINVAL;
	return weir_endpoint_address(&endpoint, ret);
}

static int
set_server(struct ares_addr_port_node *server, char *text)
{
	struct weir_address address;
	int err = parse_server(&address, text);

	if (err < 0)
		return err;
	server->family = address.u.sa.sa_family;
	server->udp_port = weir_address_port(&address);
	server->tcp_port = server->udp_port;
	if (server->family == AF_INET) {
		memcpy(&server->addr.addr4, &address.u.in.sin_addr,
		    sizeof(server->addr.addr4));
		return 0;
	}
	/* c-ares has no place for a zone. */
	if (address.u.in6.sin6_scope_id != 0)
		return -EINVAL;
	memcpy(&server->addr.addr6, &address.u.in6.sin6_addr,
	    sizeof(server->addr.addr6));
	return 0;
}

/* Fill an array, linked as c-ares wants it, from a text that is cut up. */
static int
set_servers(struct ares_addr_port_node *servers, char *text)
{
	struct ares_addr_port_node *server = servers;
	char *next, *end;
	int err = 0;

	for (; err == 0 && text != NULL; text = next, server++) {
		next = strchr(text, ',');
		if (next != NULL)
			*next++ = '\0';
		text += strspn(text, " ");
		for (end = text + strlen(text); end > text && end[-1] == ' ';)
			*--end = '\0';
		err = set_server(server, text);
		server->next = next != NULL ? server + 1 : NULL;
	}
	return err;
}

static int
parse_servers(struct ares_addr_port_node **ret, const char *text)
{
	struct ares_addr_port_node *servers;
	size_t count = 1, i;
	char *copy;
	int err;

	for (i = 0; text[i] != '\0'; i++)
		count += text[i] == ',';
	copy = strdup(text);
	servers = calloc(count, sizeof(*servers));
	err = copy != NULL && servers != NULL ? set_servers(servers, copy)
					      : -ENOMEM;
	free(copy);
	if (err < 0)
		free(servers);
	else
		*ret = servers;
	return err;
}

/* Lookups under way stay with the servers that they asked; NULL goes back to
 * the system's. */
int
weir_loop_set_name_servers(struct weir_loop *loop, const char *servers)
{
	struct weir__resolver *resolver;
	struct ares_addr_port_node *parsed = NULL;
	int err = 0;

	if (loop == NULL)
		return -EINVAL;
	resolver = resolver_of(loop);
	if (resolver == NULL)
		return -ENOMEM;
	if (servers != NULL)
		err = parse_servers(&parsed, servers);
	if (err < 0)
		return err;
	free(resolver->servers);
	resolver->servers = parsed;
	retire_channel(resolver);
	return 0;
}
