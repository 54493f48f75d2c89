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
	const struct session *session;

	*ret = (struct listener_figures){
	    .name = l->config->name,
	    .mode = mode_text(l->config->mode),
	    .state = listener_get_state(l),
	    .connections = l->connections,
	    .connections_peak = l->connections_peak,
	    .max_connections = l->config->max_connections,
	    .accepted = l->accepted,
	    .rejected = l->rejected,
	    .denied = l->denied,
	    .closed = l->closed_count,
	    .errors = l->errors,
	    .timeouts = l->timeouts,
	    .bytes_in = l->bytes_in,
	    .bytes_out = l->bytes_out,
	};
	TAILQ_FOREACH (session, &l->sessions, next) {
		ret->bytes_in += session_bytes_in(session);
		ret->bytes_out += session_bytes_out(session);
		ret->buffered += session_buffered(session);
	}
}

void
proxy_listener_addresses(const struct proxy *proxy, size_t index,
    void (*fn)(const char *address, void *user), void *user)
{
	const struct listener_socket *socket;
	struct weir_address address;
	char text[WEIR_ADDRESS_TEXT];

	STAILQ_FOREACH(socket, &proxy->listeners[index]->sockets, next)
	if (weir_server_address(socket->server, &address) == 0)
		fn(weir_address_text(&address, text, sizeof(text)), user);
}

uint64_t
proxy_connections(const struct proxy *proxy)
{
	return proxy->connections;
}

uint64_t
proxy_uptime_s(const struct proxy *proxy)
{
	return (weir_loop_now_ms(proxy->loop) - proxy->started_ms) / 1000;
}

static void
tell_session(const struct proxy *proxy, const struct session *session,
    void (*fn)(const struct session_figures *, void *), void *user)
{
	uint64_t age = weir_loop_now_ms(proxy->loop) - session->started_ms;
	struct weir_address client = {0};
	char text[WEIR_ADDRESS_TEXT];
	struct session_figures figures;

	if (session->client != NULL)
		(void)weir_socket_remote_address(session->client, &client);
	figures = (struct session_figures){
	    .id = session->id,
	    .listener = session->listener->config->name,
	    .client = weir_address_text(&client, text, sizeof(text)),
	    .server = session->server_text != NULL ? session->server_text : "-",
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
				tell_session(proxy, session, fn, user);
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
