/*
 * From the accept to the beginning of a session, for clients that have
 * something to say before: in this order a PROXY header, where one is expected
 * from who connected, and either the handshake of TLS or the hello of a TLS
 * that is passed on. All of it together has handshake_timeout.
 *
 * Nothing is done for such a client before it is through: no server is
 * connected to, and what it has sent goes on unchanged to whoever is next. A
 * client that leaves before its header or hello is whole, as those do that only
 * look whether a port is open, has just left.
 */
#include "config.h"

#include "proxy/session_front.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/socket.h>
#include <weir/tls.h>

#include "log/log.h"
#include "proto/hello.h"
#include "proto/proxy_header.h"
#include "proxy/acl.h"
#include "proxy/proxy_priv.h"
#include "proxy/session_log.h"
#include "proxy/session_priv.h"
#include "proxy/tls.h"

static const struct weir_socket_handlers reading_handlers;
static const struct weir_socket_handlers securing_handlers;

/* ---- the end of it ---- */

void
session_stop_front(struct session *session)
{
	struct front *front = session->front;

	if (front == NULL)
		return;
	front->stage = FRONT_DONE;
	if (front->timer != NULL)
		weir_timer_free(front->timer);
	front->timer = NULL;
	strbuf_free(&front->bytes);
	free(front->hello);
	front->hello = NULL;
}

void
session_free_front(struct session *session)
{
	struct front *front = session->front;

	session_stop_front(session);
	if (front == NULL)
		return;
	strbuf_free(&front->header);
	free(front->sni);
	free(front->tls);
	free(front);
	session->front = NULL;
}

static enum session_end
end_of(enum front_stage stage)
{
	return stage == FRONT_HEADER ? END_PROXY_HEADER : END_TLS_FAILED;
}

/* Strangers do this all day: it is no error of ours. */
static void
note_failure(const struct session *session, const char *problem)
{
	struct weir_address address;
	char text[WEIR_ADDRESS_TEXT];

	session_client_address(session, &address);
	log_debug(session->front->stage == FRONT_HEADER ? "no PROXY header"
							: "no TLS",
	    LOG_T("listener", session->config->name), LOG_N("id", session->id),
	    LOG_T("client", weir_address_text(&address, text, sizeof(text))),
	    LOG_T("error", problem));
}

static void
fail(struct session *session, const char *problem)
{
	enum session_end end = end_of(session->front->stage);

	note_failure(session, problem);
	session_destroy(session, end);
}

static void
fail_without_memory(struct session *session)
{
	log_error("no memory for a client, closing the connection",
	    LOG_T("listener", session->config->name), LOG_N("id", session->id));
	session_destroy(session, END_CONNECT_FAILED);
}

static void
on_timer(struct weir_timer *timer, void *user)
{
	struct session *session = user;
	char text[80];

	(void)timer;
	(void)snprintf(text, sizeof(text), "not there within %ju ms",
	    (uintmax_t)session->config->handshake_timeout_ms);
	fail(session, text);
}

/* ---- through ---- */

/* Give what was not ours back, to be read by whoever is next. */
static bool
give_back(struct session *session)
{
	struct strbuf *bytes = &session->front->bytes;

	weir_socket_pause(session->client);
	if (weir_socket_unshift(
		session->client, strbuf_get(bytes), bytes->length) != 0) {
		fail_without_memory(session);
		return false;
	}
	strbuf_free(bytes);
	return true;
}

static bool
is_worth_keeping(const struct front *front)
{
	return front->source.length > 0 || front->header.length > 0 ||
	       front->sni != NULL || front->tls != NULL;
}

static void
begin(struct session *session)
{
	weir_socket_set_handlers(
	    session->client, &session_client_handlers, session);
	session_stop_front(session);
	if (!is_worth_keeping(session->front))
		session_free_front(session);
	session_serve(session);
}

/* ---- TLS ---- */

static char *
describe_tls(const struct weir_tls_info *info)
{
	char *text;

	return asprintf(&text, "%s/%s", info->protocol, info->cipher) != -1
		   ? text
		   : NULL;
}

static void
on_secure(struct weir_socket *socket, void *user)
{
	struct session *session = user;
	struct front *front = session->front;
	struct weir_tls_info info;

	if (session->ending)
		return;
	if (weir_socket_tls_info(socket, &info) == 0 &&
	    session->listener->access_log != NULL) {
		front->tls = describe_tls(&info);
		front->sni = info.sni != NULL ? strdup(info.sni) : NULL;
	}
	begin(session);
}

static void
on_securing_error(struct weir_socket *socket, int err, void *user)
{
	struct session *session = user;
	const char *text = weir_socket_tls_error(socket);

	if (!session->ending)
		note_failure(
		    session, text != NULL ? text : weir_error_text(err));
	if (weir_socket_tls_no_hello(socket))
		session_note_end(session, END_CLIENT);
	else
		session_note_end(session, err == -ECONNRESET || err == -EPIPE
					      ? END_RESET
					      : END_TLS_FAILED);
}

static void
start_tls(struct session *session)
{
	struct weir_tls_context *context = tls_of_clients(session->config);
	const struct weir_secure_options options = {
	    .handshake_timeout_ms = WEIR_TLS_NO_TIMEOUT, /* ours counts */
	    .allow_truncation = true,
	};
	int err = WEIR_E_TLS_CREDENTIALS;

	session->front->stage = FRONT_TLS;
	if (!give_back(session))
		return;
	weir_socket_set_handlers(session->client, &securing_handlers, session);
	if (context != NULL)
		err =
		    weir_socket_set_secure(session->client, context, &options);
	if (err != 0)
		fail(session, weir_error_text(err));
}

/* ---- a hello that is passed on ---- */

static bool
route_matches(const struct session *session, const struct config_route *route)
{
	const struct front *front = session->front;

	if (route->kind == CONFIG_ROUTE_SNI)
		return hello_name_matches(route->pattern, front->hello->name);
	return hello_offers(front->hello, strbuf_get(&front->bytes),
	    front->bytes.length, route->pattern);
}

static void
choose_route(struct session *session)
{
	const struct config_listener *config = session->config;
	size_t i;

	for (i = 0; i < config->route_count; i++)
		if (route_matches(session, &config->routes[i])) {
			session->pool = config->routes[i].pool;
			return;
		}
}

/* Whether what came is enough to go on. */
static bool
read_hello(struct session *session)
{
	struct front *front = session->front;

	if (front->bytes.length == 0)
		return false;
	switch (hello_read(
	    front->hello, strbuf_get(&front->bytes), front->bytes.length)) {
	case HELLO_NEED_MORE:
		return false;
	case HELLO_BROKEN:
		fail(session, front->hello->problem);
		return false;
	case HELLO_DONE:
		choose_route(session);
		if (front->hello->name[0] != '\0')
			front->sni = strdup(front->hello->name);
		break;
	case HELLO_NOT_TLS:
		break; /* the listener's own upstream is for these */
	}
	return true;
}

static void
look_at_hello(struct session *session)
{
	if (!read_hello(session))
		return;
	if (give_back(session))
		begin(session);
}

static void
start_hello(struct session *session)
{
	struct front *front = session->front;

	front->stage = FRONT_HELLO;
	weir_socket_set_handlers(session->client, &reading_handlers, session);
	front->hello = calloc(1, sizeof(*front->hello));
	if (front->hello == NULL)
		fail_without_memory(session);
	else
		look_at_hello(session);
}

/* The header is done with, or was not to come. */
static void
after_header(struct session *session)
{
	const struct config_listener *config = session->config;

	if (config->tls.on)
		start_tls(session);
	else if (config->route_count > 0)
		start_hello(session);
	else if (give_back(session))
		begin(session);
}

/* ---- a PROXY header ---- */

bool
session_expects_header(const struct session *session)
{
	const struct config_listener *config = session->config;
	const struct acl_user nobody = {.known = false};
	struct weir_address address = {0};

	if (config->accept_proxy_count == 0)
		return false;
	(void)weir_socket_remote_address(session->client, &address);
	return acl_allows(config->accept_proxy, config->accept_proxy_count,
	    &address, &nobody);
}

/* Who the client is. What else a header says is kept for servers that are
 * told as much; the addresses and the four bits of the protocol are not. */
static bool
keep_header(
    struct session *session, const struct proxy_header *header, size_t length)
{
	struct front *front = session->front;
	bool more = header->alpn.data != NULL ||
		    header->authority.data != NULL ||
		    header->unique_id.data != NULL || header->has_ssl;

	if (!header->local) {
		front->source = header->source;
		front->destination = header->destination;
	}
	if (more && session->config->send_proxy == CONFIG_PROXY_V2)
		strbuf_add(&front->header, strbuf_get(&front->bytes), length);
	return !front->header.failed;
}

static void
take_bytes(struct strbuf *bytes, size_t n)
{
	memmove(bytes->data, bytes->data + n, bytes->length - n);
	bytes->length -= n;
}

static void
read_header(struct session *session)
{
	struct front *front = session->front;
	struct proxy_header header;
	const char *problem;
	enum session_end end;
	size_t used;

	switch (proxy_header_read(&header, &used, &problem,
	    strbuf_get(&front->bytes), front->bytes.length)) {
	case PROXY_HEADER_NEED_MORE:
		return;
	case PROXY_HEADER_BROKEN:
		fail(session, problem);
		return;
	case PROXY_HEADER_DONE:
		break;
	}
	if (!keep_header(session, &header, used)) {
		fail_without_memory(session);
		return;
	}
	take_bytes(&front->bytes, used);
	session_note_client(session);
	end = session_admit(session);
	if (end != END_NONE)
		session_refuse(session, end);
	else
		after_header(session);
}

/* ---- what comes ---- */

static void
on_data(struct weir_socket *socket, const void *data, size_t length, void *user)
{
	struct session *session = user;
	struct front *front = session->front;

	(void)socket;
	if (session->ending)
		return;
	strbuf_add(&front->bytes, data, length);
	if (front->bytes.failed)
		fail_without_memory(session);
	else if (front->stage == FRONT_HEADER)
		read_header(session);
	else
		look_at_hello(session);
}

static void
on_end(struct weir_socket *socket, void *user)
{
	struct session *session = user;

	(void)socket;
	if (session->ending)
		return;
	if (session->front->bytes.length > 0)
		note_failure(session, "the client ended before it was whole");
	session_destroy(session, END_CLIENT);
}

static void
on_error(struct weir_socket *socket, int err, void *user)
{
	session_client_handlers.on_error(socket, err, user);
}

static void
on_close(struct weir_socket *socket, int err, void *user)
{
	session_client_handlers.on_close(socket, err, user);
}

static const struct weir_socket_handlers reading_handlers = {
    .on_data = on_data,
    .on_end = on_end,
    .on_error = on_error,
    .on_close = on_close,
};

static const struct weir_socket_handlers securing_handlers = {
    .on_secure = on_secure,
    .on_error = on_securing_error,
    .on_close = on_close,
};

static int
start_timer(struct session *session)
{
	uint64_t ms = session->config->handshake_timeout_ms;
	int err;

	if (ms == 0)
		return 0;
	err = weir_timer_new(
	    &session->front->timer, session_loop(session), on_timer, session);
	return err != 0 ? err : weir_timer_start(session->front->timer, ms);
}

void
session_start_front(struct session *session)
{
	bool header = session_expects_header(session);

	if (!header && !session->config->tls.on &&
	    session->config->route_count == 0) {
		session_serve(session);
		return;
	}
	session->front = calloc(1, sizeof(*session->front));
	if (session->front == NULL || start_timer(session) != 0) {
		fail_without_memory(session);
		return;
	}
	session->front->stage = FRONT_HEADER;
	if (header)
		weir_socket_set_handlers(
		    session->client, &reading_handlers, session);
	else
		after_header(session);
}

/* ---- what is known ---- */

bool
session_is_before(const struct session *session)
{
	return session->front != NULL && session->front->stage != FRONT_DONE;
}

int
session_know_front(struct session *session, const struct weir_address *source,
    const struct weir_address *destination, const char *sni)
{
	struct front *front;

	if (source->length == 0 && sni == NULL)
		return 0;
	front = session->front = calloc(1, sizeof(*front));
	if (front == NULL)
		return -ENOMEM;
	front->source = *source;
	front->destination = *destination;
	front->sni = sni != NULL ? strdup(sni) : NULL;
	return sni != NULL && front->sni == NULL ? -ENOMEM : 0;
}

const char *
session_sni(const struct session *session)
{
	return session->front != NULL ? session->front->sni : NULL;
}

const char *
session_tls(const struct session *session)
{
	return session->front != NULL ? session->front->tls : NULL;
}
