/*
 * Checks of a server: connect to it every so often, and perhaps say something
 * and see what it answers. Promises that a server is asked by one process
 * alone, that no check takes longer than its timeout, and that the log has one
 * line for each change.
 *
 * The first check decides at once whether a server is well; after that `fall`
 * bad ones in a row take it down and `rise` good ones bring it back.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/socket.h>

#include "log/log.h"
#include "proxy/balance.h"
#include "proxy/keeper_priv.h"

#define ANSWER_MOST 16384 /* what is expected must come within it */
#define FIRST_MS    500	  /* the first checks are spread over so long */

struct check {
	struct kept_upstream *upstream;
	long row;
	struct weir_timer *timer;   /* the next check, or this one's time */
	struct weir_socket *socket; /* of the check under way, or NULL */
	uint64_t begun_ms;
	unsigned good, bad; /* in a row */
	char *answer;	    /* what came so far */
	size_t length;
};

static struct board_server *
state_of(const struct check *check)
{
	return board_server(check->upstream->keeper->board, check->row);
}

static uint64_t
now_of(const struct check *check)
{
	return weir_loop_now_ms(check->upstream->keeper->loop);
}

/* ---- results ---- */

static void
log_change(const struct check *check, bool up, const char *reason)
{
	struct board_server *state = state_of(check);
	char text[WEIR_ADDRESS_TEXT];
	const struct log_field fields[] = {
	    LOG_T("upstream", check->upstream->config->name),
	    LOG_T("server", state->name),
	    LOG_T("address",
		weir_address_text(&state->address, text, sizeof(text))),
	    LOG_T("reason", reason),
	    LOG_END,
	};

	log_write(up ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, fields,
	    up ? "server is up" : "server is down");
}

/* Those who read it look at the number before and after. */
static void
publish(struct check *check, const char *text)
{
	struct board_server *state = state_of(check);

	atomic_fetch_add(&state->check_version, 1);
	(void)snprintf(state->check, sizeof(state->check), "%s", text);
	atomic_fetch_add(&state->check_version, 1);
	atomic_store(&state->checked_ms, now_of(check));
}

static enum server_health
next_health(const struct check *check, enum server_health was)
{
	const struct config_upstream *config = check->upstream->config;

	if (was == SERVER_UNCHECKED)
		return check->good > 0 ? SERVER_WELL : SERVER_ILL;
	if (was == SERVER_WELL && check->bad >= config->fall)
		return SERVER_ILL;
	if (was == SERVER_ILL && check->good >= config->rise)
		return SERVER_WELL;
	return was;
}

static void
note(struct check *check, bool good, const char *text)
{
	struct board_server *state = state_of(check);
	enum server_health was = atomic_load(&state->health), now;

	check->good = good ? check->good + 1 : 0;
	check->bad = good ? 0 : check->bad + 1;
	publish(check, text);
	now = next_health(check, was);
	if (!server_set_health(state, now, now_of(check)))
		return;
	/* That one is as well as it was thought to be is no news. */
	if (was != SERVER_UNCHECKED || now == SERVER_ILL)
		log_change(check, now == SERVER_WELL, text);
	keeper_told(check->upstream->keeper);
}

/* ---- one check ---- */

static void
stop(struct check *check)
{
	weir_socket_free(check->socket);
	check->socket = NULL;
	free(check->answer);
	check->answer = NULL;
	check->length = 0;
}

static void
schedule(struct check *check)
{
	uint64_t interval = check->upstream->config->health_interval_ms;
	uint64_t passed = now_of(check) - check->begun_ms;

	(void)weir_timer_start(
	    check->timer, passed < interval ? interval - passed : 1);
}

static void
done(struct check *check, bool good, const char *text)
{
	stop(check);
	schedule(check);
	note(check, good, text);
}

static void
done_well(struct check *check, const char *what)
{
	char text[BOARD_CHECK];

	(void)snprintf(text, sizeof(text), "%s in %llu ms", what,
	    (unsigned long long)(now_of(check) - check->begun_ms));
	done(check, true, text);
}

static void
on_connect(struct weir_socket *socket, void *user)
{
	struct check *check = user;
	const struct config_upstream *config = check->upstream->config;

	if (config->health == CONFIG_HEALTH_TCP) {
		done_well(check, "connected");
		return;
	}
	if (config->health_send_length > 0 &&
	    weir_socket_write(
		socket, config->health_send, config->health_send_length) < 0)
		done(check, false, "no memory for what is to be sent");
	else if (config->health_expect_length == 0)
		done_well(check, "connected");
}

static void
on_data(struct weir_socket *socket, const void *data, size_t length, void *user)
{
	struct check *check = user;
	const struct config_upstream *config = check->upstream->config;
	char *grown;

	(void)socket;
	if (config->health != CONFIG_HEALTH_SEND_EXPECT)
		return;
	if (check->length + length > ANSWER_MOST) {
		done(check, false,
		    "the answer is long and not what is expected");
		return;
	}
	grown = realloc(check->answer, check->length + length);
	if (grown == NULL) {
		done(check, false, "no memory for the answer");
		return;
	}
	check->answer = grown;
	memcpy(grown + check->length, data, length);
	check->length += length;
	if (memmem(check->answer, check->length, config->health_expect,
		config->health_expect_length) != NULL)
		done_well(check, "answered");
}

static void
on_end(struct weir_socket *socket, void *user)
{
	struct check *check = user;

	(void)socket;
	done(check, false,
	    check->length > 0 ? "the answer is not what is expected"
			      : "closed without an answer");
}

static void
on_close(struct weir_socket *socket, int err, void *user)
{
	char text[BOARD_CHECK];

	(void)socket;
	(void)snprintf(text, sizeof(text), "%s",
	    err != 0 ? weir_error_text(err) : "closed without an answer");
	done(user, false, text);
}

static const struct weir_socket_handlers handlers = {
    .on_connect = on_connect,
    .on_data = on_data,
    .on_end = on_end,
    .on_close = on_close,
};

static void
begin(struct check *check)
{
	const struct weir_connect_options options = {.no_delay = true};
	int err;

	check->begun_ms = now_of(check);
	err = weir_socket_new(&check->socket, check->upstream->keeper->loop,
	    NULL, &handlers, check);
	if (err == 0) {
		weir_socket_unref(check->socket);
		err = weir_socket_connect(
		    check->socket, &state_of(check)->address, &options);
	}
	if (err == 0)
		err = weir_timer_start(
		    check->timer, check->upstream->config->health_timeout_ms);
	/* What is missing here says nothing of the server. */
	if (err != 0) {
		stop(check);
		schedule(check);
	}
}

static void
on_timer(struct weir_timer *timer, void *user)
{
	struct check *check = user;
	char text[BOARD_CHECK];

	(void)timer;
	if (check->socket == NULL) {
		begin(check);
		return;
	}
	(void)snprintf(text, sizeof(text), "no %s within %llu ms",
	    weir_socket_ready_state(check->socket) == WEIR_OPENING
		? "connection"
		: "answer",
	    (unsigned long long)check->upstream->config->health_timeout_ms);
	done(check, false, text);
}

/* ---- checks of a row ---- */

struct check *
check_new(struct kept_upstream *upstream, long row)
{
	struct keeper *keeper = upstream->keeper;
	struct check *check = calloc(1, sizeof(*check));
	uint64_t within = upstream->config->health_interval_ms;

	if (check == NULL)
		return NULL;
	check->upstream = upstream;
	check->row = row;
	within = within < FIRST_MS ? within : FIRST_MS;
	if (weir_timer_new(&check->timer, keeper->loop, on_timer, check) != 0) {
		free(check);
		return NULL;
	}
	weir_timer_unref(check->timer);
	if (weir_timer_start(check->timer,
		balance_draw(&keeper->random) % (within + 1)) != 0) {
		check_free(check);
		return NULL;
	}
	return check;
}

void
check_move(struct check *check, struct kept_upstream *upstream)
{
	check->upstream = upstream;
}

void
check_free(struct check *check)
{
	if (check == NULL)
		return;
	stop(check);
	weir_timer_free(check->timer);
	free(check);
}
