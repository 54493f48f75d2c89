/*
 * A proxy of several processes: the master's sockets in its workers.
 *
 * A worker begins with all that the master has, by fork, and gives back what
 * it has no use for. Afterwards it does as it is told: each listener's sockets
 * are those that the master has open.
 */
#include "config.h"

#include <string.h>
#include <unistd.h>

#include <weir/loop.h>
#include <weir/server.h>

#include "proxy/keeper.h"
#include "proxy/proxy_priv.h"
#include "proxy/upstream.h"

static bool
is_for(const struct proxy *proxy, int place)
{
	return place == PLACE_ALL || place == proxy->place;
}

static void
drop_others(struct listener *listener)
{
	struct listener_socket *socket, *after;

	for (socket = STAILQ_FIRST(&listener->sockets); socket != NULL;
	     socket = after) {
		after = STAILQ_NEXT(socket, next);
		if (!is_for(listener->proxy, socket->place) ||
		    listener->closed || weir_server_fd(socket->server) == -1)
			listener_drop(listener, socket);
	}
}

void
proxy_be_worker(struct proxy *proxy, unsigned slot, unsigned place)
{
	struct listener *listener;
	size_t i;

	proxy->worker = slot;
	proxy->place = (int)place;
	keeper_free(proxy->keeper);
	proxy->keeper = NULL;
	proxy_watch_down(proxy);
	upstreams_set_worker(proxy->upstreams, slot);
	for (i = 0; i < proxy->listener_count; i++) {
		listener = proxy->listeners[i];
		listener->slot =
		    board_listener_slot(proxy->board, slot, listener->row);
		drop_others(listener);
		listener_unpause(listener, PAUSE_MASTER);
	}
}

void
proxy_before_fork(struct proxy *proxy)
{
	keeper_pause(proxy->keeper);
}

void
proxy_after_fork(struct proxy *proxy)
{
	keeper_resume(proxy->keeper);
}

bool
proxy_take_sockets_changed(struct proxy *proxy, size_t index)
{
	bool changed = proxy->listeners[index]->changed;

	proxy->listeners[index]->changed = false;
	return changed;
}

void
proxy_each_socket(const struct proxy *proxy, size_t index,
    void (*fn)(int fd, int place, void *user), void *user)
{
	const struct listener *listener = proxy->listeners[index];
	const struct listener_socket *socket;
	int fd;

	if (listener->closed)
		return;
	STAILQ_FOREACH(socket, &listener->sockets, next)
	{
		fd = weir_server_fd(socket->server);
		if (fd != -1)
			fn(fd, socket->place, user);
	}
}

void
proxy_adopt_sockets(struct proxy *proxy, const char *name, bool begin,
    const int *fds, const int *places, size_t count)
{
	long index = proxy_find_listener(proxy, name);
	struct listener *listener =
	    index < 0 || proxy->draining ? NULL : proxy->listeners[index];
	size_t i;

	/* Those that are still the listener's are among the new ones, too. */
	while (listener != NULL && begin && !STAILQ_EMPTY(&listener->sockets))
		listener_let_go(listener, STAILQ_FIRST(&listener->sockets));
	for (i = 0; i < count; i++)
		if (listener != NULL && is_for(proxy, places[i]))
			listener_adopt(listener, fds[i]);
		else
			(void)close(fds[i]);
}

bool
proxy_is_closing(const struct proxy *proxy)
{
	const struct listener_socket *socket;
	size_t i;

	for (i = 0; i < proxy->listener_count; i++)
		STAILQ_FOREACH (socket, &proxy->listeners[i]->leaving, next)
			if (weir_server_fd(socket->server) != -1)
				return true;
	return false;
}

/* ---- so many workers ---- */

static void
set_siblings(struct listener *listener)
{
	struct listener_socket *socket, *after;
	int workers = (int)listener->proxy->workers;

	for (socket = STAILQ_FIRST(&listener->sockets); socket != NULL;
	     socket = after) {
		after = STAILQ_NEXT(socket, next);
		if (socket->primary == NULL) {
			if (weir_server_listening(socket->server))
				listener_add_siblings(socket);
			continue;
		}
		if (socket->place < workers)
			continue;
		socket->primary->siblings--;
		listener_let_go(listener, socket);
		listener_sockets_changed(listener);
	}
}

void
proxy_set_workers(struct proxy *proxy, unsigned workers)
{
	size_t i;

	if (workers == 0 || proxy->workers == workers)
		return;
	proxy->workers = workers;
	for (i = 0; i < proxy->listener_count && proxy_is_master(proxy); i++)
		set_siblings(proxy->listeners[i]);
}
