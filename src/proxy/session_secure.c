/*
 * What a server is told before the client's bytes: a PROXY header, and TLS.
 *
 * The header goes first and in clear, as receivers expect it, so that it is
 * there before the handshake. TLS is part of connecting: until it is done the
 * server counts as one that is not connected to, and where it fails the next
 * one is tried, to whom nothing of the client's was lost.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>
#include <weir/socket.h>
#include <weir/tls.h>

#include "log/log.h"
#include "proto/proxy_header.h"
#include "proxy/board.h"
#include "proxy/proxy_priv.h"
#include "proxy/session.h"
#include "proxy/session_front.h"
#include "proxy/session_log.h"
#include "proxy/session_priv.h"
#include "proxy/tls.h"
#include "util/strbuf.h"

#define ID_TEXT 48

/* ---- the PROXY header ---- */

static void
set_bytes(struct proxy_bytes *to, const char *text)
{
	if (text == NULL || *text == '\0')
		return;
	to->data = (const unsigned char *)text;
	to->length = strlen(text);
}

/* What a header from the client said, where there was one of version 2. */
static void
pass_on(struct proxy_header *header, const struct strbuf *from)
{
	struct proxy_header given;
	const char *problem;
	size_t used;

	if (from->length == 0 ||
	    proxy_header_read(&given, &used, &problem, strbuf_get(from),
		from->length) != PROXY_HEADER_DONE)
		return;
	given.local = header->local;
	given.source = header->source;
	given.destination = header->destination;
	given.netns = (struct proxy_bytes){NULL, 0};
	*header = given;
}

/* What is known of the client's TLS; certificate is what it showed, or NULL. */
static void
describe_tls(const struct session *session, struct proxy_header *header,
    struct weir_tls_info *info, const struct weir_tls_certificate *certificate)
{
	set_bytes(&header->alpn, info->alpn);
	set_bytes(&header->authority, info->sni);
	header->has_ssl = true;
	header->ssl_client = PROXY_CLIENT_SSL;
	header->ssl_verify = 1;
	set_bytes(&header->ssl_version, info->protocol);
	set_bytes(&header->ssl_cipher, info->cipher);
	if (certificate == NULL)
		return;
	header->ssl_client |= PROXY_CLIENT_CERT_SESS;
	if (!info->resumed)
		header->ssl_client |= PROXY_CLIENT_CERT_CONN;
	if (weir_socket_verify_peer(session->client, NULL) == 0)
		header->ssl_verify = 0;
	set_bytes(&header->ssl_cn, certificate->common_name);
}

/* No two connections have the same, of all that this weir and those that it is
 * restarted as will ever have; the id of the access log stands behind it. */
static void
make_id(const struct session *session, char text[ID_TEXT])
{
	(void)snprintf(text, ID_TEXT, "%016jx-%ju",
	    (uintmax_t)board_seed(session->listener->proxy->board),
	    (uintmax_t)session->id);
}

static void
add_v2(struct session *session, struct proxy_header *header, struct strbuf *out)
{
	struct weir_tls_certificate *certificate = NULL;
	struct weir_tls_info info;
	char id[ID_TEXT];

	if (session->front != NULL)
		pass_on(header, &session->front->header);
	if (header->authority.data == NULL)
		set_bytes(&header->authority, session_sni(session));
	if (header->unique_id.data == NULL) {
		make_id(session, id);
		set_bytes(&header->unique_id, id);
	}
	if (weir_socket_tls_info(session->client, &info) == 0) {
		(void)weir_socket_peer_certificate(
		    session->client, &certificate);
		describe_tls(session, header, &info, certificate);
	}
	proxy_header_write_v2(out, header, false);
	weir_tls_certificate_free(certificate);
}

/* Who the client is, to be told to the server. */
static void
add_header(struct session *session, struct strbuf *out)
{
	struct proxy_header header = {.local = false};

	if (session->config->send_proxy == CONFIG_PROXY_OFF)
		return;
	session_client_address(session, &header.source);
	session_local_address(session, &header.destination);
	if (session->config->send_proxy == CONFIG_PROXY_V1)
		proxy_header_write_v1(out, &header);
	else
		add_v2(session, &header, out);
}

/* ---- TLS ---- */

static int
start_tls(struct session *session, const char *server, const char *host,
    const struct strbuf *header)
{
	const struct config_listener *config = session->config;
	const struct config_tls *tls = &config->upstream_tls;
	struct weir_tls_context *context = tls_of_servers(config);
	const struct weir_tls_session *resumed =
	    tls->session_reuse ? tls_session_find(config, server) : NULL;
	const struct weir_secure_options options = {
	    .server_name = tls->name != NULL ? tls->name : host,
	    .no_sni = !tls->sni,
	    .handshake_timeout_ms = config->handshake_timeout_ms > 0
					? config->handshake_timeout_ms
					: WEIR_TLS_NO_TIMEOUT,
	    .allow_truncation = true,
	    .session = resumed,
	    .preface = strbuf_get(header),
	    .preface_length = header->length,
	};
	int err;

	if (context == NULL)
		return WEIR_E_TLS_CREDENTIALS;
	if (session_extra(session) == NULL)
		return -ENOMEM;
	free(session->extra->tls_server);
	session->extra->tls_server = strdup(server); /* NULL: not kept */
	err = weir_socket_set_secure(session->server, context, &options);
	tls_session_used(config, resumed);
	return err;
}

int
session_secure_server(
    struct session *session, const char *server, const char *host)
{
	struct strbuf header = STRBUF_NULL;
	int err = 0;

	session->securing = false;
	add_header(session, &header);
	if (header.failed)
		err = -ENOMEM;
	else if (session->config->upstream_tls.on)
		err = start_tls(session, server, host, &header);
	else if (header.length > 0)
		err = weir_socket_write(
		    session->server, strbuf_get(&header), header.length);
	strbuf_free(&header);
	return err < 0 ? err : 0;
}

bool
session_is_securing(struct session *session)
{
	session->securing = session->config->upstream_tls.on;
	return session->securing;
}

void
session_keep_tls(struct session *session)
{
	struct weir_tls_session *kept;
	struct weir_tls_info info;

	if (!session->config->upstream_tls.session_reuse ||
	    session->extra == NULL || session->extra->tls_server == NULL ||
	    weir_socket_tls_info(session->server, &info) != 0 ||
	    weir_socket_tls_session(session->server, &kept) != 0)
		return;
	tls_session_keep(session->config, session->extra->tls_server, kept,
	    strcmp(info.protocol, "TLSv1.3") == 0);
}
