/*
 * Finds addresses that are used twice. It promises to report what bind(2) is
 * sure to refuse on Linux, and nothing that it may accept: names are compared
 * as names, since only the system knows what they resolve to.
 */
#include <config.h>

#include "config/validate_priv.h"

#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What a TCP address takes up. */
enum host_kind {
	HOST_ANY,  /* IPv6 and IPv4 */
	HOST_ANY4, /* 0.0.0.0 */
	HOST_ANY6, /* [::], and IPv4 unless ipv6_only */
	HOST_IP,
	HOST_NAME,
};

/* One listen = ADDRESS. */
struct use {
	const struct config_listener *listener;
	const struct config_address *row;
	const struct weir_endpoint *endpoint;
	enum host_kind kind;
	bool four, six;		     /* families it takes up */
	struct weir_address address; /* IP; IPv4-mapped as IPv4 */
};

static void
set_families(struct use *use)
{
	bool only6 = use->listener->ipv6_only;

	use->four =
	    use->kind == HOST_ANY4 ||
	    ((use->kind == HOST_ANY || use->kind == HOST_ANY6) && !only6) ||
	    (use->kind == HOST_IP && use->address.u.sa.sa_family == AF_INET);
	use->six =
	    use->kind == HOST_ANY || use->kind == HOST_ANY6 ||
	    (use->kind == HOST_IP && use->address.u.sa.sa_family == AF_INET6);
}

/* An IPv4-mapped address takes up the IPv4 one. */
static void
unmap(struct weir_address *address)
{
	struct weir_address four;

	if (address->u.sa.sa_family != AF_INET6 ||
	    !IN6_IS_ADDR_V4MAPPED(&address->u.in6.sin6_addr))
		return;
	memset(&four, 0, sizeof(four));
	four.length = sizeof(four.u.in);
	four.u.in.sin_family = AF_INET;
	memcpy(&four.u.in.sin_addr, &address->u.in6.sin6_addr.s6_addr[12], 4);
	*address = four;
}

static void
set_host(struct use *use)
{
	static const struct in6_addr any6 = IN6ADDR_ANY_INIT;

	use->kind = HOST_NAME;
	if (use->endpoint->name[0] == '\0') {
		use->kind = HOST_ANY;
	} else if (weir_address_set_ip(&use->address, use->endpoint->name, 0) ==
		   0) {
		unmap(&use->address);
		use->kind = HOST_IP;
		if (use->address.u.sa.sa_family == AF_INET) {
			if (use->address.u.in.sin_addr.s_addr == INADDR_ANY)
				use->kind = HOST_ANY4;
		} else if (memcmp(&use->address.u.in6.sin6_addr, &any6,
			       sizeof(any6)) == 0) {
			use->kind = HOST_ANY6;
		}
	}
	set_families(use);
}

/* By kind, then by path or first port, so that only neighbours need comparing.
 */
static int
compare_uses(const void *a, const void *b)
{
	const struct use *x = a, *y = b;
	int order = 0;

	if (x->endpoint->kind != y->endpoint->kind)
		return x->endpoint->kind < y->endpoint->kind ? -1 : 1;
	if (x->endpoint->kind == WEIR_ENDPOINT_UNIX)
		order = strcmp(x->endpoint->name, y->endpoint->name);
	if (order != 0)
		return order;
	if (x->endpoint->port_first != y->endpoint->port_first)
		return x->endpoint->port_first < y->endpoint->port_first ? -1
									 : 1;
	if (x->row->origin.line != y->row->origin.line)
		return x->row->origin.line < y->row->origin.line ? -1 : 1;
	return x->row < y->row ? -1 : x->row > y->row;
}

/* Both on the same device, or one on all: else they do not meet. */
static bool
devices_meet(const struct use *a, const struct use *b)
{
	const char *x = a->listener->interface, *y = b->listener->interface;

	return x == NULL || y == NULL || strcmp(x, y) == 0;
}

static bool
hosts_meet(const struct use *a, const struct use *b)
{
	if (a->kind == HOST_NAME || b->kind == HOST_NAME) {
		if (a->kind == b->kind)
			return strcasecmp(
				   a->endpoint->name, b->endpoint->name) == 0;
		/* Whatever it resolves to is taken. */
		return (a->four && a->six && a->kind == HOST_ANY) ||
		       (b->four && b->six && b->kind == HOST_ANY);
	}
	if (a->kind == HOST_IP && b->kind == HOST_IP)
		return weir_address_equal(&a->address, &b->address);
	return (a->four && b->four) || (a->six && b->six);
}

static bool
same_address(const struct use *a, const struct use *b)
{
	return a->kind == b->kind &&
	       a->endpoint->port_first == b->endpoint->port_first &&
	       a->endpoint->port_last == b->endpoint->port_last;
}

static bool
tcp_meets(const struct use *a, const struct use *b)
{
	bool shared = a->listener->reuse_port && b->listener->reuse_port &&
		      !same_address(a, b);

	/* Port 0 alone is one that the system picks. */
	return a->endpoint->port_last != 0 && b->endpoint->port_last != 0 &&
	       a->endpoint->port_first <= b->endpoint->port_last &&
	       b->endpoint->port_first <= a->endpoint->port_last && !shared &&
	       devices_meet(a, b) && hosts_meet(a, b);
}

static bool
uses_meet(const struct use *a, const struct use *b)
{
	if (a->endpoint->kind != b->endpoint->kind)
		return false;
	switch (a->endpoint->kind) {
	case WEIR_ENDPOINT_TCP:
		return tcp_meets(a, b);
	case WEIR_ENDPOINT_UNIX:
		return a->endpoint->abstract == b->endpoint->abstract &&
		       strcmp(a->endpoint->name, b->endpoint->name) == 0;
	case WEIR_ENDPOINT_FD:
		return a->endpoint->fd == b->endpoint->fd;
	case WEIR_ENDPOINT_SYSTEMD:
		return a->endpoint->name[0] == '\0' ||
		       b->endpoint->name[0] == '\0' ||
		       strcmp(a->endpoint->name, b->endpoint->name) == 0;
	case WEIR_ENDPOINT_SRV: /* is not for listen */
		break;
	}
	return false;
}

static struct config_place
place_of(struct config_builder *builder, const struct use *use)
{
	struct config_place place = {
	    config_file_get(builder, use->row->origin.file),
	    use->row->origin.line};

	return place;
}

static void
note_conflict(
    struct config_builder *builder, const struct use *a, const struct use *b)
{
	struct config_place first = place_of(builder, a);
	struct config_place second = place_of(builder, b), spare;
	struct strbuf text = STRBUF_NULL;
	const struct use *swap;

	if (first.file == NULL || second.file == NULL)
		return;
	if (first.file->index > second.file->index ||
	    (first.file == second.file && first.line > second.line)) {
		spare = first, first = second, second = spare;
		swap = a, a = b, b = swap;
	}
	config_place_text(&text, first);
	config_note(builder, second,
	    "listen: \"%s\" of listener %s is taken already by \"%s\" of "
	    "listener %s (%s)",
	    b->row->text, b->listener->name, a->row->text, a->listener->name,
	    strbuf_get(&text));
	strbuf_free(&text);
}

/* Whether none before a in order can meet b; no range of ports is wider. */
static bool
is_past(const struct use *a, const struct use *b, unsigned widest)
{
	if (a->endpoint->kind != b->endpoint->kind)
		return true;
	if (b->endpoint->kind == WEIR_ENDPOINT_TCP)
		return b->endpoint->port_last == 0 ||
		       a->endpoint->port_first + widest <
			   b->endpoint->port_first;
	return b->endpoint->kind == WEIR_ENDPOINT_UNIX &&
	       strcmp(a->endpoint->name, b->endpoint->name) != 0;
}

/* The first use before b in order that b meets, or none. */
static void
check_use(struct config_builder *builder, const struct use *uses, size_t b,
    unsigned widest)
{
	size_t a;

	for (a = b; a-- > 0;) {
		if (is_past(&uses[a], &uses[b], widest))
			return;
		if (uses_meet(&uses[a], &uses[b])) {
			note_conflict(builder, &uses[a], &uses[b]);
			return;
		}
	}
}

void
config_check_conflicts(
    struct config_builder *builder, const struct config *config)
{
	size_t count = 0, i, j;
	unsigned widest = 0, wide;
	struct use *uses;

	for (i = 0; i < config->listener_count; i++)
		count += config->listeners[i]->listen_count;
	uses = calloc(count + 1, sizeof(*uses));
	if (uses == NULL) {
		builder->failed = true;
		return;
	}
	count = 0;
	for (i = 0; i < config->listener_count; i++)
		for (j = 0; j < config->listeners[i]->listen_count; j++) {
			struct use *use = &uses[count++];

			use->listener = config->listeners[i];
			use->row = &use->listener->listen[j];
			use->endpoint = &use->row->endpoint;
			if (use->endpoint->kind == WEIR_ENDPOINT_TCP)
				set_host(use);
			wide = (unsigned)(use->endpoint->port_last -
					  use->endpoint->port_first);
			if (use->endpoint->kind == WEIR_ENDPOINT_TCP &&
			    wide > widest)
				widest = wide;
		}
	qsort(uses, count, sizeof(*uses), compare_uses);
	for (i = 1; i < count; i++)
		check_use(builder, uses, i, widest);
	free(uses);
}
