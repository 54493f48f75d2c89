/*
 * The figures of listeners and sessions, summed when somebody asks.
 */
#include "config.h"

#include <weir/loop.h>
#include <weir/server.h>
#include <weir/socket.h>

#include "log/log.h"
#include "proxy/proxy_priv.h"
#include "proxy/session.h"
#include "proxy/session_log.h"

const char *
listener_state_text(enum listener_state state)
{
	static const char *const text[] = {
	    [LISTENER_STARTING] = "starting",
	    [LISTENER_OPEN] = "open",
	    [LISTENER_WAITING] = "waiting",
	    [LISTENER_RESTING] = "resting",
	    [LISTENER_CLOSED] = "closed",
	};

	return text[state];
}

static const char *
mode_text(enum config_mode mode)
{
	static const char *const text[] = {
	    [CONFIG_ECHO] = "echo",
	    [CONFIG_FORWARD] = "forward",
	    [CONFIG_PIPE] = "pipe",
	};

	return text[mode];
}

/* The only figure that is no counter. */
static void
publish_buffered(const struct listener *listener)
{
	const struct session *session;
	uint64_t sum = 0;

	if (listener->paused & PAUSE_MASTER)
		return; /* has none, and the slot is a worker's */
	TAILQ_FOREACH (session, &listener->sessions, next)
		sum += session_buffered(session);
	atomic_store(&listener->slot->buffered, sum);
}

void
proxy_publish(const struct proxy *proxy)
{
	size_t i;

	for (i = 0; i < proxy->listener_count; i++)
		publish_buffered(proxy->listeners[i]);
}

struct config *
proxy_config(const struct proxy *proxy)
{
	return proxy->config;
}

size_t
proxy_listener_count(const struct proxy *proxy)
{
	return proxy->listener_count;
}

void
proxy_listener_figures(
    const struct proxy *proxy, size_t index, struct listener_figures *ret)
{
	const struct listener *l = proxy->listeners[index];
	struct board_listener_sum sum;

	publish_buffered(l);
	board_listener_sum(proxy->board, l->row, &sum);
	*ret = (struct listener_figures){
	    .name = l->config->name,
	    .mode = mode_text(l->config->mode),
	    .state = listener_get_state(l),
	    .connections = sum.connections,
	    .connections_peak = sum.peak,
	    .max_connections = l->config->max_connections,
	    .accepted = sum.accepted,
	    .rejected = sum.rejected,
	    .denied = sum.denied,
	    .closed = sum.closed,
	    .errors = sum.errors,
	    .timeouts = sum.timeouts,
	    .bytes_in = sum.bytes_in,
	    .bytes_out = sum.bytes_out,
	    .buffered = sum.buffered,
	};
}

void
proxy_listener_addresses(const struct proxy *proxy, size_t index,
    void (*fn)(const char *address, void *user), void *user)
{
	const struct listener_socket *socket;
	struct weir_address address;
	char text[WEIR_ADDRESS_TEXT];

	STAILQ_FOREACH(socket, &proxy->listeners[index]->sockets, next)
	if (socket->place <= 0 &&
	    weir_server_address(socket->server, &address) == 0)
		fn(weir_address_text(&address, text, sizeof(text)), user);
}

uint64_t
proxy_connections(const struct proxy *proxy)
{
	return board_connections(proxy->board);
}

uint64_t
proxy_uptime_s(const struct proxy *proxy)
{
	return (weir_loop_now_ms(proxy->loop) -
		   board_started_ms(proxy->board)) /
	       1000;
}

void
proxy_tell_session(const struct proxy *proxy, const struct session *session,
    void (*fn)(const struct session_figures *, void *), void *user)
{
	uint64_t age = weir_loop_now_ms(proxy->loop) - session->started_ms;
	struct weir_address client;
	char text[WEIR_ADDRESS_TEXT], other[WEIR_ADDRESS_TEXT];
	const char *server = session_server_text(session, other, sizeof(other));
	struct session_figures figures;

	session_client_address(session, &client);
	figures = (struct session_figures){
	    .id = session->id,
	    .listener = session->config->name,
	    .client = weir_address_text(&client, text, sizeof(text)),
	    .server = server != NULL ? server : "-",
	    .age_s = (double)age / 1000,
	    .idle_s = (double)session_idle_ms(session) / 1000,
	    .bytes_in = session_bytes_in(session),
	    .bytes_out = session_bytes_out(session),
	    .state = session_state_text(session),
	};
	fn(&figures, user);
}

void
proxy_each_session(const struct proxy *proxy, long index,
    void (*fn)(const struct session_figures *, void *), void *user)
{
	const struct session *session;
	size_t i;

	for (i = 0; i < proxy->listener_count; i++)
		if (index < 0 || (size_t)index == i)
			TAILQ_FOREACH (
			    session, &proxy->listeners[i]->sessions, next)
				proxy_tell_session(proxy, session, fn, user);
}

void
proxy_log_figures(const struct proxy *proxy)
{
	struct listener_figures f;
	size_t i;

	for (i = 0; i < proxy->listener_count; i++) {
		proxy_listener_figures(proxy, i, &f);
		log_info("figures", LOG_T("listener", f.name),
		    LOG_T("state", listener_state_text(f.state)),
		    LOG_N("connections", f.connections),
		    LOG_N("connections_peak", f.connections_peak),
		    LOG_N("accepted", f.accepted),
		    LOG_N("rejected", f.rejected), LOG_N("denied", f.denied),
		    LOG_N("closed", f.closed), LOG_N("errors", f.errors),
		    LOG_N("timeouts", f.timeouts),
		    LOG_N("bytes_in", f.bytes_in),
		    LOG_N("bytes_out", f.bytes_out),
		    LOG_N("buffered", f.buffered));
	}
}

void
proxy_each_listener(const struct proxy *proxy,
    void (*fn)(const char *, uint64_t, void *), void *user)
{
	const struct listener *listener;
	size_t i;

	for (i = 0; i < proxy->listener_count; i++) {
		listener = proxy->listeners[i];
		fn(listener->config->name,
		    board_listener_connections(proxy->board, listener->row),
		    user);
	}
}
