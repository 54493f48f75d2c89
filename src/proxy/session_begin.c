/*
 * The beginning of a session: who may come in, and how far each gets.
 *
 * A place is taken at once, so that clients who say nothing are counted too.
 * Whether this one may come is asked as soon as it is known who it is: at once,
 * or once its PROXY header was read. Then comes what its mode does.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/socket.h>

#include "log/log.h"
#include "proxy/acl.h"
#include "proxy/balance.h"
#include "proxy/proxy_priv.h"
#include "proxy/session.h"
#include "proxy/session_front.h"
#include "proxy/session_log.h"
#include "proxy/session_priv.h"

uint64_t
session_lower_rate(uint64_t in, uint64_t out)
{
	if (in == 0 || out == 0)
		return in + out;
	return in < out ? in : out;
}

/* Nothing but reading is needed; at a rate it is a pipe to /dev/null. */
static bool
is_thrown_away(const struct config_listener *config)
{
	return config->target == CONFIG_TARGET_NULL && config->rate_in == 0;
}

/* The other side's socket, for the modes that have one. */
static int
make_server(struct session *session)
{
	const struct config_listener *config = session->config;
	const struct weir_socket_options options = {
	    .allow_half_open = config->allow_half_open,
	};

	if (config->mode == CONFIG_ECHO ||
	    (config->mode == CONFIG_PIPE &&
		(is_thrown_away(config) ||
		    config->target == CONFIG_TARGET_PEER)))
		return 0;
	return weir_socket_new(&session->server, session_loop(session),
	    &options, &session_server_handlers, session);
}

/* Who it is, and as what user of this system. */
static void
identify(const struct session *session, struct weir_address *address,
    struct acl_user *user)
{
	/* One that a PROXY header tells of is none. */
	bool own = session->front == NULL || session->front->source.length == 0;
	pid_t pid;

	session_client_address(session, address);
	user->known = own && address->u.sa.sa_family == AF_UNIX &&
		      weir_socket_peer_credentials(
			  session->client, &pid, &user->uid, &user->gid) == 0;
	if (!user->known)
		user->uid = (uid_t)-1;
}

uint64_t
session_balance_key(const struct session *session)
{
	struct weir_address address;
	struct acl_user user;

	identify(session, &address, &user);
	return user.known ? balance_user_key(user.uid)
			  : balance_client_key(&address);
}

static enum session_end
check_access(const struct session *session)
{
	const struct config_listener *config = session->config;
	struct weir_address address;
	struct acl_user user;

	if (config->acl_count == 0)
		return END_NONE;
	identify(session, &address, &user);
	return acl_allows(config->acl, config->acl_count, &address, &user)
		   ? END_NONE
		   : END_DENIED;
}

static enum session_end
check_source(struct session *session)
{
	struct weir_address address;
	struct acl_user user;

	if (session->config->max_per_source == 0)
		return END_NONE;
	identify(session, &address, &user);
	if (session_extra(session) == NULL)
		return END_LIMIT;
	source_key_set(&session->extra->source, &address, user.uid);
	if (room_take_source(session->listener, &session->extra->source) != 0)
		return END_LIMIT;
	session->has_source = true;
	return END_NONE;
}

enum session_end
session_admit(struct session *session)
{
	enum session_end end = check_access(session);

	return end != END_NONE ? end : check_source(session);
}

/* What can be decided at the accept. */
static enum session_end
admit(struct session *session)
{
	bool later = session_expects_header(session);
	enum session_end end = later ? END_NONE : check_access(session);

	if (end != END_NONE)
		return end;
	if (!room_take(session->listener))
		return END_LIMIT;
	session->has_room = true;
	return later ? END_NONE : check_source(session);
}

/* Another worker took the last place between the accept and now. */
static bool
wait_for_room(struct session *session)
{
	if (session->config->on_limit != CONFIG_LIMIT_WAIT ||
	    room_hold(session->listener, session->client) != 0)
		return false;
	weir_socket_set_handlers(session->client, NULL, NULL);
	session_drop(session);
	return true;
}

static void
count_refusal(const struct session *session, enum session_end end)
{
	struct board_listener_slot *slot = session->listener->slot;

	board_add(end == END_DENIED ? &slot->denied : &slot->rejected, 1);
}

/* It never was a session. */
static void
turn_away(struct session *session, enum session_end end)
{
	struct listener *listener = session->listener;

	session->end = end;
	if (session->has_source)
		room_give_source(listener, &session->extra->source);
	if (session->has_room)
		room_give(listener);
	else if (end == END_LIMIT && wait_for_room(session))
		return;
	count_refusal(session, end);
	session_log(session);
	weir_socket_free(session->client);
	session_drop(session);
}

void
session_refuse(struct session *session, enum session_end end)
{
	count_refusal(session, end);
	session_destroy(session, end);
}

static int
greet(struct session *session)
{
	const struct config_listener *config = session->config;
	int err;

	if (config->greeting == NULL)
		return 0;
	err = weir_socket_write(
	    session->client, config->greeting, config->greeting_length);
	if (err >= 0)
		return 0;
	log_error("cannot greet, closing the connection",
	    LOG_T("listener", config->name), LOG_N("id", session->id),
	    LOG_T("error", weir_error_text(err)));
	session_destroy(session, END_CONNECT_FAILED);
	return err;
}

/* Its mode has nowhere to go for this client. */
static bool
has_no_server(const struct session *session)
{
	return session->config->mode == CONFIG_FORWARD && session->pool == NULL;
}

void
session_serve(struct session *session)
{
	const struct config_listener *config = session->config;

	if (has_no_server(session)) {
		session_destroy(session, END_NO_SERVER);
		return;
	}
	if (session->ending || greet(session) != 0)
		return;
	switch (config->mode) {
	case CONFIG_ECHO:
		if (session_join(session, session->client, session->client,
			session_lower_rate(
			    config->rate_in, config->rate_out)) == 0)
			session_update_timer(session);
		break;
	case CONFIG_FORWARD:
		session_start_forward(session);
		session_update_timer(session);
		break;
	case CONFIG_PIPE:
		session_start_pipe(session);
		break;
	}
}

static void
begin(struct session *session)
{
	struct listener *listener = session->listener;
	struct board *board = listener->proxy->board;

	TAILQ_INSERT_TAIL(&listener->sessions, session, next);
	TAILQ_INSERT_TAIL(&listener->proxy->sessions, session, next_of_all);
	weir_socket_set_totals(session->client, &listener->slot->totals);
	board_add(&listener->slot->accepted, 1);
	board_raise(&board_listener(board, listener->row)->peak,
	    board_listener_connections(board, listener->row));
	proxy_changed(listener->proxy);
	session_start_front(session);
}

struct session *
session_alloc(struct listener *listener, const struct config_listener *config)
{
	struct session *session = malloc(sizeof(*session));

	if (session == NULL)
		return NULL;
	*session = (struct session){
	    .listener = listener,
	    .config = config,
	    .pool = config->pool,
	    .started_ms = weir_loop_now_ms(listener->proxy->loop),
	};
	if (listener->access_log != NULL && session_extra(session) == NULL) {
		free(session);
		return NULL;
	}
	if (listener->access_log != NULL)
		session->extra->access_log = log_file_ref(listener->access_log);
	(void)config_ref(config->owner);
	return session;
}

void
session_enter(struct session *session, const struct source_key *source)
{
	struct listener *listener = session->listener;

	TAILQ_INSERT_TAIL(&listener->sessions, session, next);
	TAILQ_INSERT_TAIL(&listener->proxy->sessions, session, next_of_all);
	room_enter(listener);
	board_add(&listener->slot->moved, 1);
	session->has_room = true;
	if (source == NULL || listener->config->max_per_source == 0 ||
	    session_extra(session) == NULL)
		return;
	session->extra->source = *source;
	session->has_source = room_take_source(listener, source) == 0;
}

void
session_start(struct listener *listener, struct weir_socket *client)
{
	struct session *session = session_alloc(listener, listener->config);
	enum session_end end;

	if (session == NULL) {
		board_add(&listener->slot->rejected, 1);
		weir_socket_free(client);
		return;
	}
	session->client = client;
	session->id = board_next_id(listener->proxy->board);
	weir_socket_set_handlers(client, &session_client_handlers, session);
	session_note_client(session);
	end = admit(session);
	if (end == END_NONE && make_server(session) != 0)
		end = END_LIMIT;
	if (end != END_NONE)
		turn_away(session, end);
	else
		begin(session);
}
