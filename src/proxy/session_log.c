/*
 * What the logs tell of a session: the access log's line at its end, and an
 * upstream that cannot be reached, once, until it can again.
 */
#include "config.h"

#include "proxy/session_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/socket.h>
#include <weir/tls.h>

#include "log/log.h"
#include "proxy/proxy_priv.h"
#include "proxy/session.h"
#include "proxy/session_front.h"

static const struct config_listener *
config_of(const struct session *session)
{
	return session->config;
}

/* Whether the access log will tell of it. */
static bool
is_logged(const struct session *session)
{
	return session->extra != NULL && session->extra->access_log != NULL;
}

void
session_note_client(struct session *session)
{
	struct weir_address address;
	char text[WEIR_ADDRESS_TEXT];

	if (!is_logged(session))
		return;
	session_client_address(session, &address);
	free(session->extra->client_text); /* without the PROXY header */
	session->extra->client_text =
	    strdup(weir_address_text(&address, text, sizeof(text)));
}

void
session_note_server(struct session *session, const char *text)
{
	struct session_extra *x = session_extra(session);

	if (x == NULL)
		return;
	free(x->server_text);
	x->server_text = strdup(text);
}

/* "a,b": what was tried before, and this. */
static void
append_tried(struct session_extra *x, const char *text)
{
	char *all;

	if (x->tried == NULL) {
		x->tried = strdup(text);
	} else if (asprintf(&all, "%s,%s", x->tried, text) != -1) {
		free(x->tried);
		x->tried = all;
	}
}

/* Without an access log the text is made when somebody asks for it. */
void
session_note_tried(struct session *session, const struct weir_address *address)
{
	char text[WEIR_ADDRESS_TEXT];

	if (!is_logged(session))
		return;
	(void)weir_address_text(address, text, sizeof(text));
	session_note_server(session, text);
	append_tried(session->extra, text);
}

const char *
session_server_text(const struct session *session, char *room, size_t size)
{
	const struct weir_address *address =
	    upstream_server_address(&session->use);

	if (address != NULL)
		return weir_address_text(address, room, size);
	return session->extra != NULL ? session->extra->server_text : NULL;
}

void
session_note_failed(
    struct session *session, const struct weir_address *address, int err)
{
	struct listener *listener = session->listener;
	char text[WEIR_ADDRESS_TEXT];
	const char *server = session_server_text(session, text, sizeof(text));
	const char *why =
	    session->securing ? weir_socket_tls_error(session->server) : NULL;
	const struct log_field fields[] = {
	    LOG_T("listener", config_of(session)->name),
	    LOG_T("server", address != NULL
				? weir_address_text(address, text, sizeof(text))
			    : server != NULL ? server
					     : config_of(session)->target_text),
	    LOG_T("error", why != NULL ? why : weir_error_text(err)),
	    LOG_END,
	};

	log_write(listener->upstream_failing ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN,
	    fields, "cannot connect");
	if (address != NULL) /* it is used no more, and was the last */
		session_note_server(session, text);
	if (!listener->upstream_failing && address != NULL)
		listener->failing = *address;
	listener->upstream_failing = true;
	session->attempt_failed = true;
}

void
session_note_no_server(struct session *session)
{
	struct listener *listener = session->listener;
	const struct log_field fields[] = {
	    LOG_T("listener", config_of(session)->name),
	    LOG_T("upstream", session->pool->name),
	    LOG_END,
	};

	log_write(listener->upstream_failing ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN,
	    fields, "no server is usable");
	listener->upstream_failing = true;
}

/* Which of its servers that is, as it was configured when it came. */
void
session_note_chosen(struct session *session)
{
	const struct config_upstream *pool = session->pool;
	const char *name = upstream_server_name(&session->use);
	size_t i;

	for (i = 0; i < pool->server_count; i++)
		if (strcmp(pool->servers[i].name, name) == 0)
			session->chosen = &pool->servers[i];
}

static void
note_time(struct session *session)
{
	if (is_logged(session))
		session->extra->connected_ms =
		    weir_loop_now_ms(session->listener->proxy->loop);
}

void
session_note_connected(struct session *session)
{
	struct listener *listener = session->listener;
	struct weir_address address;
	char text[WEIR_ADDRESS_TEXT];

	note_time(session);
	/* The next in the list has answered; the one before is still down. */
	if (!listener->upstream_failing || session->attempt_failed)
		return;
	if (listener->failing.length > 0 &&
	    (weir_socket_remote_address(session->server, &address) != 0 ||
		!weir_address_equal(&address, &listener->failing)))
		return;
	listener->upstream_failing = false;
	listener->failing.length = 0;
	log_info("connected again", LOG_T("listener", config_of(session)->name),
	    LOG_T("server", session_server_text(session, text, sizeof(text))));
}

void
session_note_peers(struct session *a, struct session *b)
{
	struct session *each[] = {a, b};
	struct weir_address address;
	char text[WEIR_ADDRESS_TEXT];
	int i;

	for (i = 0; i < 2; i++) {
		note_time(each[i]);
		session_client_address(each[1 - i], &address);
		session_note_server(
		    each[i], weir_address_text(&address, text, sizeof(text)));
	}
}

/* The name of its [upstream], or its listener's ADDRESS. */
static const char *
forward_text(const struct session *session)
{
	const struct config_upstream *pool = session->pool;

	if (pool == NULL)
		return "-";
	if (!pool->implicit)
		return pool->name;
	if (session->chosen == NULL && pool->server_count == 1)
		return pool->servers[0].text;
	return session->chosen != NULL ? session->chosen->text : "-";
}

/* What the client was to be connected to, as it is configured. */
static const char *
upstream_text(const struct session *session)
{
	const struct config_listener *config = config_of(session);

	if (config->mode == CONFIG_ECHO)
		return "echo";
	if (config->mode == CONFIG_FORWARD)
		return forward_text(session);
	switch (config->target) {
	case CONFIG_TARGET_NULL:
		return "null";
	case CONFIG_TARGET_PEER:
		return "peer";
	case CONFIG_TARGET_EXEC:
		return "exec";
	case CONFIG_TARGET_FILE:
		return "file";
	case CONFIG_TARGET_FIFO:
		return "fifo";
	case CONFIG_TARGET_STDOUT:
		return "stdout";
	}
	return "-";
}

void
session_log(const struct session *session)
{
	static const struct session_extra none = {0};
	const struct session_extra *x =
	    session->extra != NULL ? session->extra : &none;
	struct weir_loop *loop = session->listener->proxy->loop;
	uint64_t now = weir_loop_now_ms(loop);
	const struct log_field fields[] = {
	    LOG_N("id", session->id),
	    LOG_T("listener", config_of(session)->name),
	    LOG_T("client", x->client_text),
	    LOG_T("upstream", upstream_text(session)),
	    LOG_T("server", x->server_text),
	    LOG_T("tried", x->tried != NULL ? x->tried : x->server_text),
	    LOG_N("connect_ms", x->connected_ms > 0
				    ? x->connected_ms - session->started_ms
				    : 0),
	    LOG_N("duration_ms", now - session->started_ms),
	    LOG_N("bytes_in", session_bytes_in(session)),
	    LOG_N("bytes_out", session_bytes_out(session)),
	    LOG_T("end", session_end_text(session->end)),
	    LOG_T("tls", session_tls(session)),
	    LOG_T("sni", session_sni(session)),
	    LOG_END,
	};

	if (is_logged(session))
		log_file_write(x->access_log, "connection", fields);
}
