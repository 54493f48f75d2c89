/*
 * c-ares on the loop: its descriptors and its timer, and which name servers it
 * asks. Promises that a channel which waits for nothing has no event, and that
 * a lookup which starts after resolv.conf or the name servers were changed
 * asks the new ones. What is asked, and what comes of it, is resolve.c's.
 *
 * A name server is asked for at most 6 s: 2 s, and once more for 4 s.
 */
#include "config.h"

#include "net/dns_channel_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/address.h>
#include <weir/error.h>
#include <weir/loop.h>

#define RESOLV_CONF "/etc/resolv.conf"
#define TRY_MS	    2000
#define TRIES	    2
#define DNS_PORT    53

/* A descriptor of c-ares and the event that watches it. */
struct weir__dns_watch {
	struct event event;
	struct weir__dns *channel;
	LIST_ENTRY(weir__dns_watch) next; /* channel.watches */
};

/* ---- c-ares on the loop ---- */

/* The timer runs only while c-ares waits for something. */
void
weir__dns_wait(struct weir__dns *channel)
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
	struct weir__dns *channel = user;

	(void)fd;
	(void)what;
	ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	weir__dns_wait(channel);
}

static void
on_socket(evutil_socket_t fd, short what, void *user)
{
	const struct weir__dns_watch *watch = user;
	struct weir__dns *channel = watch->channel;

	/* The watch may be gone after this. */
	ares_process_fd(channel->ares, what & EV_READ ? fd : ARES_SOCKET_BAD,
	    what & EV_WRITE ? fd : ARES_SOCKET_BAD);
	weir__dns_wait(channel);
}

static struct weir__dns_watch *
find_watch(struct weir__dns *channel, ares_socket_t fd)
{
	struct weir__dns_watch *watch;

	LIST_FOREACH (watch, &channel->watches, next)
		if (event_get_fd(&watch->event) == fd)
			return watch;
	return NULL;
}

static struct weir__dns_watch *
new_watch(struct weir__dns *channel)
{
	struct weir__dns_watch *watch = calloc(1, sizeof(*watch));

	if (watch == NULL)
		return NULL;
	watch->channel = channel;
	LIST_INSERT_HEAD(&channel->watches, watch, next);
	return watch;
}

static void
free_watch(struct weir__dns_watch *watch)
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
	struct weir__dns *channel = user;
	struct weir__dns_watch *watch = find_watch(channel, fd);
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

int
weir__dns_error(int status)
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
free_channel(struct weir__dns *channel)
{
	struct weir__dns_watch *watch;

	ares_destroy(channel->ares);
	(void)event_del(&channel->timer);
	while ((watch = LIST_FIRST(&channel->watches)) != NULL) {
		(void)event_del(&watch->event);
		free_watch(watch);
	}
	free(channel);
}

static int
open_channel(struct weir__dns *channel, struct ares_addr_port_node *servers)
{
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
		return weir__dns_error(status);
	if (servers != NULL)
		status = ares_set_servers_ports(channel->ares, servers);
	if (status != ARES_SUCCESS)
		ares_destroy(channel->ares);
	return weir__dns_error(status);
}

static int
new_channel(struct weir__dns **ret, struct weir__resolver *resolver,
    struct ares_addr_port_node *servers)
{
	struct weir__dns *channel = calloc(1, sizeof(*channel));
	int err;

	if (channel == NULL)
		return -ENOMEM;
	channel->resolver = resolver;
	LIST_INIT(&channel->watches);
	err = open_channel(channel, servers);
	if (err < 0) {
		free(channel);
		return err;
	}
	(void)evtimer_assign(
	    &channel->timer, weir_loop_base(resolver->loop), on_timer, channel);
	*ret = channel;
	return 0;
}

void
weir__dns_leave(struct weir__dns *channel)
{
	if (--channel->lookups > 0)
		return;
	if (channel != channel->resolver->channel) {
		free_channel(channel);
		return;
	}
	ares_cancel(channel->ares);
	weir__dns_wait(channel);
}

void
weir__dns_retire(struct weir__resolver *resolver)
{
	struct weir__dns *channel = resolver->channel;

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
int
weir__dns_current(struct weir__resolver *resolver, struct weir__dns **ret)
{
	struct stat now;
	int err = 0;

	if (stat(RESOLV_CONF, &now) == -1)
		memset(&now, 0, sizeof(now));
	if (resolver->channel != NULL &&
	    !same_file(&now, &resolver->resolv_conf))
		weir__dns_retire(resolver);
	if (resolver->channel == NULL)
		err = new_channel(
		    &resolver->channel, resolver, resolver->servers);
	resolver->resolv_conf = now;
	*ret = resolver->channel;
	return err;
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

int
weir__dns_own(struct weir__resolver *resolver, const char *servers,
    struct weir__dns **ret)
{
	struct ares_addr_port_node *parsed;
	int err = parse_servers(&parsed, servers);

	if (err < 0)
		return err;
	err = new_channel(ret, resolver, parsed);
	free(parsed);
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
	resolver = weir__resolver_of(loop);
	if (resolver == NULL)
		return -ENOMEM;
	if (servers != NULL)
		err = parse_servers(&parsed, servers);
	if (err < 0)
		return err;
	free(resolver->servers);
	resolver->servers = parsed;
	weir__dns_retire(resolver);
	return 0;
}
