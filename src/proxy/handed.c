/*
 * Sockets that are taken up again. What decides is what the system says they
 * are bound to; names only where an address says too little.
 */
#include "config.h"

#include "proxy/handed.h"

#include <sys/stat.h>

#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include <weir/address.h>

#include "proxy/proxy_priv.h"

static bool
bound_to(int fd, struct weir_address *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->length = sizeof(ret->u);
	return getsockname(fd, &ret->u.sa, &ret->length) == 0;
}

static bool
same_name(
    const struct proxy_handed_fd *h, const char *listener, const char *text)
{
	return h->listener != NULL && h->text != NULL &&
	       strcmp(h->listener, listener) == 0 && strcmp(h->text, text) == 0;
}

static bool
is_any(const struct weir_address *bound)
{
	if (bound->u.sa.sa_family == AF_INET)
		return bound->u.in.sin_addr.s_addr == htonl(INADDR_ANY);
	return bound->u.sa.sa_family == AF_INET6 &&
	       IN6_IS_ADDR_UNSPECIFIED(&bound->u.in6.sin6_addr);
}

/* But for the port. */
static bool
same_host(const struct weir_address *a, const struct weir_address *b)
{
	struct weir_address copy = *a;

	if (weir_address_family(a) == 0)
		return weir_address_equal(a, b);
	if (a->u.sa.sa_family != b->u.sa.sa_family)
		return false;
	copy.u.in.sin_port = b->u.in.sin_port;
	return weir_address_equal(&copy, b);
}

/* A socket without its file is nobody's to reach. */
static bool
has_file(const struct weir_address *address)
{
	const char *path = address->u.un.sun_path;
	struct stat st;

	return path[0] == '\0' ||
	       (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode));
}

static bool
fits(const struct proxy_handed_fd *h, const char *listener, const char *text,
    const struct weir_address *address, uint16_t port)
{
	struct weir_address bound;

	if (h->fd == -1 || !bound_to(h->fd, &bound))
		return false;
	if (address != NULL ? !same_host(address, &bound) : !is_any(&bound))
		return false;
	if (address != NULL && weir_address_family(address) == 0)
		return has_file(address);
	if (address != NULL)
		port = weir_address_port(address);
	return port == 0 ? same_name(h, listener, text)
			 : weir_address_port(&bound) == port;
}

static int
take(struct proxy_handed_fd *h)
{
	int fd = h->fd;

	h->fd = -1;
	return fd;
}

int
handed_take(struct proxy *proxy, const char *listener, const char *text,
    const struct weir_address *address, uint16_t port)
{
	size_t i;

	for (i = 0; i < proxy->handed_count; i++)
		if (fits(&proxy->handed[i], listener, text, address, port))
			return take(&proxy->handed[i]);
	return -1;
}

int
handed_take_same(struct proxy *proxy, const char *listener, const char *text)
{
	size_t i;

	for (i = 0; i < proxy->handed_count; i++)
		if (proxy->handed[i].fd != -1 &&
		    same_name(&proxy->handed[i], listener, text))
			return take(&proxy->handed[i]);
	return -1;
}

void
handed_close(struct proxy *proxy)
{
	size_t i;

	for (i = 0; i < proxy->handed_count; i++)
		if (proxy->handed[i].fd != -1)
			(void)close(take(&proxy->handed[i]));
	proxy->handed_count = 0;
}
