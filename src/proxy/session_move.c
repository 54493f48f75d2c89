/*
 * Sessions on their way to another process.
 *
 * Only those move whose bytes merely pass through: echo, and forward where the
 * server is connected and neither side speaks TLS. What the session began
 * under goes along by name and number, its times as ages, since clocks that
 * never go back have no meaning elsewhere.
 */
#include "config.h"

#include "proxy/session_move.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/move.h>
#include <weir/socket.h>

#include "proxy/proxy_priv.h"
#include "proxy/session.h"
#include "proxy/session_front.h"
#include "proxy/session_log.h"
#include "proxy/session_priv.h"
#include "proxy/upstream.h"
#include "util/strbuf.h"

#define MAGIC 0x77650000U
#define NEVER UINT64_MAX

enum {
	HAS_CLIENT = 1 << 0,
	HAS_SERVER = 1 << 1,
	HAS_SOURCE = 1 << 2,
	LINGERING = 1 << 3,
};

enum {
	TEXT_LISTENER,
	TEXT_POOL,
	TEXT_CLIENT,
	TEXT_SERVER,
	TEXT_TRIED,
	TEXT_SNI,
	TEXTS
};
enum { CLIENT_HELD, CLIENT_QUEUED, SERVER_HELD, SERVER_QUEUED, PIECES };

/* What a parcel begins with; texts, each with its NUL, and bytes follow. */
struct head {
	uint32_t magic, flags, config, end;
	uint64_t id;
	uint64_t age_ms, connected_ago_ms, half_closed_ago_ms;
	uint64_t bytes_in, bytes_out;
	struct source_key source;
	struct weir_address from, to; /* of a PROXY header; length 0: none */
	struct weir_socket_state client, server; /* without their bytes */
	uint64_t texts[TEXTS];			 /* lengths; 0: NULL */
	uint64_t pieces[PIECES];
};

/* ---- one after the other ---- */

void
session_move_begin(struct proxy *proxy)
{
	proxy->move_turn++;
}

struct session *
session_move_next(struct proxy *proxy)
{
	struct listener *listener;
	struct session *session;
	size_t i;

	for (i = 0; i < proxy->listener_count; i++) {
		listener = proxy->listeners[i];
		session = TAILQ_FIRST(&listener->sessions);
		if (session == NULL || session->move_turn == proxy->move_turn)
			continue;
		/* Behind those that were not looked at yet. */
		TAILQ_REMOVE(&listener->sessions, session, next);
		TAILQ_INSERT_TAIL(&listener->sessions, session, next);
		session->move_turn = proxy->move_turn;
		return session;
	}
	return NULL;
}

struct config *
session_config(const struct session *session)
{
	return session->config->owner;
}

/* ---- packing ---- */

static int
may_move(const struct session *session)
{
	const struct config_listener *config = session->config;

	if (config->mode != CONFIG_ECHO && config->mode != CONFIG_FORWARD)
		return -ENOTSUP;
	if (session->ending || session->frozen)
		return -ENOTSUP;
	return session->connecting || session_is_before(session) ? -EAGAIN : 0;
}

static uint64_t
ago(const struct session *session, uint64_t when_ms)
{
	uint64_t now = weir_loop_now_ms(session_loop(session));

	if (when_ms == 0)
		return NEVER;
	return now > when_ms ? now - when_ms : 0;
}

static void
describe(const struct session *session, unsigned config, struct head *head)
{
	const struct session_extra *x = session->extra;

	*head = (struct head){
	    .magic = MAGIC + SESSION_PARCEL,
	    .flags = (session->client != NULL ? HAS_CLIENT : 0) |
		     (session->server != NULL ? HAS_SERVER : 0) |
		     (session->has_source ? HAS_SOURCE : 0) |
		     (session->lingering ? LINGERING : 0),
	    .config = config,
	    .end = session->end,
	    .id = session->id,
	    .age_ms = ago(session, session->started_ms),
	    .connected_ago_ms = ago(session, x != NULL ? x->connected_ms : 0),
	    .half_closed_ago_ms = ago(session, session->half_closed_ms),
	    .bytes_in = session->bytes_in,
	    .bytes_out = session->bytes_out,
	};
	if (session->has_source)
		head->source = x->source;
	if (session->front != NULL) {
		head->from = session->front->source;
		head->to = session->front->destination;
	}
}

static void
pack_texts(
    const struct session *session, struct head *head, struct strbuf *texts)
{
	const struct session_extra *x = session->extra;
	char server[WEIR_ADDRESS_TEXT];
	const char *const text[TEXTS] = {
	    [TEXT_LISTENER] = session->config->name,
	    [TEXT_POOL] = session->pool != NULL ? session->pool->name : NULL,
	    [TEXT_CLIENT] = x->client_text,
	    [TEXT_SERVER] =
		session_server_text(session, server, sizeof(server)),
	    [TEXT_TRIED] = x->tried,
	    [TEXT_SNI] = session_sni(session),
	};
	size_t i;

	for (i = 0; i < TEXTS; i++) {
		head->texts[i] = text[i] != NULL ? strlen(text[i]) + 1 : 0;
		strbuf_add(texts, text[i], head->texts[i]);
	}
}

static void
pack_bytes(struct head *head, struct strbuf *parcel)
{
	struct weir_socket_state *c = &head->client, *s = &head->server;
	const void *const data[PIECES] = {
	    c->held, c->queued, s->held, s->queued};
	const size_t length[PIECES] = {
	    c->held_length, c->queued_length, s->held_length, s->queued_length};
	size_t i;

	for (i = 0; i < PIECES; i++) {
		head->pieces[i] = length[i];
		strbuf_add(parcel, data[i], length[i]);
	}
	c->held = c->queued = s->held = s->queued = NULL;
}

static int
freeze_sockets(struct session *session, struct head *head)
{
	int err = 0;

	if (session->client != NULL)
		err = weir_socket_freeze(session->client, &head->client);
	if (err != 0 || session->server == NULL)
		return err;
	err = weir_socket_freeze(session->server, &head->server);
	if (err != 0)
		weir_socket_thaw(session->client);
	return err;
}

int
session_freeze(struct session *session, unsigned config, struct strbuf *parcel,
    int fds[SESSION_FDS], struct session **ref)
{
	struct head head;
	struct strbuf rest = STRBUF_NULL;
	int err = may_move(session), count = 0;

	if (err != 0)
		return err;
	if (session_extra(session) == NULL)
		return -ENOMEM;
	describe(session, config, &head);
	err = freeze_sockets(session, &head);
	if (err != 0) /* TLS, or it is just ending */
		return -ENOTSUP;
	session->frozen = true;
	session->extra->frozen_ref = ref;
	*ref = session;
	deadline_clear(&session->listener->proxy->deadlines, session);
	pack_texts(session, &head, &rest);
	pack_bytes(&head, &rest);
	strbuf_add(parcel, &head, sizeof(head));
	strbuf_add(parcel, rest.data, rest.length);
	err = rest.failed || parcel->failed ? -ENOMEM : 0;
	strbuf_free(&rest);
	if (err != 0) {
		session_thaw(session);
		return err;
	}
	if (session->client != NULL)
		fds[count++] = weir_socket_fd(session->client);
	if (session->server != NULL)
		fds[count++] = weir_socket_fd(session->server);
	return count;
}

void
session_thaw(struct session *session)
{
	if (!session->frozen)
		return;
	session->frozen = false;
	session_forget_ref(session);
	weir_socket_thaw(session->server);
	weir_socket_thaw(session->client);
	session_update_timer(session);
}

void
session_release(struct session *session)
{
	if (session->client != NULL)
		(void)weir_socket_release(session->client);
	if (session->server != NULL)
		(void)weir_socket_release(session->server);
	board_sub(&session->listener->slot->moved, 1);
	session_forget(session);
}

/* ---- unpacking ---- */

struct parcel {
	struct head head;
	const char *text[TEXTS];
	const void *piece[PIECES];
};

/* Move on; NULL where so much is not there. */
static const char *
cut(const char **at, size_t *left, uint64_t length)
{
	const char *here = *at;

	if (length > *left)
		return NULL;
	*at += length;
	*left -= (size_t)length;
	return here;
}

static int
read_parcel(const void *data, size_t length, struct parcel *ret)
{
	const char *at = data;
	size_t left = length, i;

	*ret = (struct parcel){.head.magic = 0};
	if (length < sizeof(ret->head))
		return -EBADMSG;
	memcpy(
	    &ret->head, cut(&at, &left, sizeof(ret->head)), sizeof(ret->head));
	if (ret->head.magic != MAGIC + SESSION_PARCEL ||
	    !session_is_end(ret->head.end) ||
	    ret->head.texts[TEXT_LISTENER] == 0)
		return -EBADMSG;
	for (i = 0; i < TEXTS; i++) {
		uint64_t n = ret->head.texts[i];

		if (n == 0)
			continue;
		ret->text[i] = cut(&at, &left, n);
		if (ret->text[i] == NULL || ret->text[i][n - 1] != '\0')
			return -EBADMSG;
	}
	for (i = 0; i < PIECES; i++) {
		ret->piece[i] = cut(&at, &left, ret->head.pieces[i]);
		if (ret->piece[i] == NULL)
			return -EBADMSG;
	}
	return 0;
}

int
session_parcel_config(const void *parcel, size_t length, unsigned *ret)
{
	struct parcel p;
	int err = read_parcel(parcel, length, &p);

	*ret = p.head.config;
	return err;
}

const char *
session_parcel_listener(const void *parcel, size_t length)
{
	struct parcel p;

	return read_parcel(parcel, length, &p) == 0 ? p.text[TEXT_LISTENER]
						    : NULL;
}

static const struct config_listener *
find_config(const struct config *config, const char *name)
{
	size_t i;

	for (i = 0; i < config->listener_count; i++)
		if (strcmp(config->listeners[i]->name, name) == 0)
			return config->listeners[i];
	return NULL;
}

/* When that was by the clock of this process; at least 1, as 0 is never. */
static uint64_t
when(const struct proxy *proxy, uint64_t ago_ms)
{
	uint64_t now = weir_loop_now_ms(proxy->loop);

	if (ago_ms == NEVER)
		return 0;
	return now > ago_ms ? now - ago_ms : 1;
}

static bool
keep_text(char **ret, const char *text)
{
	*ret = text != NULL ? strdup(text) : NULL;
	return text == NULL || *ret != NULL;
}

/* For the access log, where there is one. */
static bool
keep_texts(struct session *session, const struct parcel *p)
{
	struct session_extra *x = session->extra;

	return x == NULL ||
	       (keep_text(&x->client_text, p->text[TEXT_CLIENT]) &&
		   keep_text(&x->server_text, p->text[TEXT_SERVER]) &&
		   keep_text(&x->tried, p->text[TEXT_TRIED]));
}

static void
fill_times(
    struct session *session, const struct proxy *proxy, const struct head *head)
{
	session->started_ms = when(proxy, head->age_ms);
	if (session->extra != NULL)
		session->extra->connected_ms =
		    when(proxy, head->connected_ago_ms);
	session->half_closed_ms = when(proxy, head->half_closed_ago_ms);
	session->bytes_in = head->bytes_in;
	session->bytes_out = head->bytes_out;
	session->end = (enum session_end)head->end;
	session->lingering = (head->flags & LINGERING) != 0;
	session->id = head->id;
}

static struct session *
make_session(struct listener *listener, const struct config_listener *config,
    const struct parcel *p)
{
	struct session *session = session_alloc(listener, config);

	if (session == NULL)
		return NULL;
	fill_times(session, listener->proxy, &p->head);
	if (p->text[TEXT_POOL] != NULL)
		session->pool =
		    config_find_upstream(config->owner, p->text[TEXT_POOL]);
	if (session_know_front(
		session, &p->head.from, &p->head.to, p->text[TEXT_SNI]) == 0 &&
	    keep_texts(session, p))
		return session;
	session_forget(session);
	return NULL;
}

static int
adopt_one(struct session *session, struct weir_socket **ret,
    const struct weir_socket_handlers *handlers,
    struct weir_socket_state *state, const struct parcel *p, int piece, int fd)
{
	int err = weir_socket_new(
	    ret, session_loop(session), NULL, handlers, session);

	state->held = p->piece[piece];
	state->held_length = p->head.pieces[piece];
	state->queued = p->piece[piece + 1];
	state->queued_length = p->head.pieces[piece + 1];
	if (err == 0)
		err = weir_socket_adopt(*ret, fd, state);
	if (err != 0)
		(void)close(fd);
	return err;
}

/* Each descriptor is a socket's after it, or closed. */
static int
adopt_sockets(struct session *session, struct parcel *p, const int *fds)
{
	int err = 0, server_err = 0;

	if (p->head.flags & HAS_CLIENT)
		err = adopt_one(session, &session->client,
		    &session_client_handlers, &p->head.client, p, CLIENT_HELD,
		    *fds++);
	if (p->head.flags & HAS_SERVER)
		server_err = adopt_one(session, &session->server,
		    &session_server_handlers, &p->head.server, p, SERVER_HELD,
		    *fds);
	return err != 0 ? err : server_err;
}

/* As they were before; one that has ended has nothing left to pass on. */
static void
join_again(struct session *session)
{
	const struct config_listener *config = session->config;
	struct weir_socket *client = session->client, *server = session->server;

	if (config->mode == CONFIG_ECHO && client != NULL)
		(void)session_join(session, client, client,
		    session_lower_rate(config->rate_in, config->rate_out));
	else if (client != NULL && server != NULL &&
		 session_join(session, server, client, config->rate_out) == 0)
		(void)session_join(session, client, server, config->rate_in);
}

static size_t
fds_wanted(uint32_t flags)
{
	return ((flags & HAS_CLIENT) ? 1 : 0) + ((flags & HAS_SERVER) ? 1 : 0);
}

static int
adopt(struct session *session, struct parcel *p, const int *fds)
{
	int err = adopt_sockets(session, p, fds);

	if (err != 0) {
		session_forget(session);
		return err;
	}
	session_enter(
	    session, (p->head.flags & HAS_SOURCE) ? &p->head.source : NULL);
	weir_socket_set_totals(
	    session->client, &session->listener->slot->totals);
	session_count_server(session);
	if (session->use.server == NULL && p->text[TEXT_SERVER] != NULL)
		session_note_server(session, p->text[TEXT_SERVER]);
	join_again(session);
	if (!session->ending)
		session_update_timer(session);
	proxy_changed(session->listener->proxy);
	return 0;
}

static int
unpack(struct proxy *proxy, const struct config *config, struct parcel *p,
    const int *fds, size_t fd_count)
{
	const struct config_listener *began;
	struct session *session = NULL;
	long index = proxy_find_listener(proxy, p->text[TEXT_LISTENER]);

	began = find_config(config, p->text[TEXT_LISTENER]);
	if (index >= 0 && began != NULL)
		session = make_session(proxy->listeners[index], began, p);
	if (session != NULL)
		return adopt(session, p, fds);
	while (fd_count > 0)
		(void)close(fds[--fd_count]);
	return index < 0 || began == NULL ? -ENOENT : -ENOMEM;
}

int
session_adopt(struct proxy *proxy, const struct config *config,
    const void *parcel, size_t length, const int *fds, size_t fd_count)
{
	struct parcel p;

	if (read_parcel(parcel, length, &p) == 0 &&
	    fds_wanted(p.head.flags) == fd_count)
		return unpack(proxy, config, &p, fds, fd_count);
	while (fd_count > 0)
		(void)close(fds[--fd_count]);
	return -EBADMSG;
}

void
session_lost(struct proxy *proxy, const void *parcel, size_t length)
{
	const char *name = session_parcel_listener(parcel, length);
	long index = name != NULL ? proxy_find_listener(proxy, name) : -1;

	if (index < 0)
		return;
	board_add(&proxy->listeners[index]->slot->closed, 1);
	board_add(&proxy->listeners[index]->slot->errors, 1);
}
