/*
 * When bytes last moved, and the timeout of a socket where none do. A timer
 * that is running is not moved by each byte: when it ends it looks how long it
 * has been silent, and runs for the rest.
 */
#include "config.h"

#include "net/socket_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "net/extra_priv.h"

void
weir__idle_free(struct weir_socket *s)
{
	struct weir__idle *idle = s->extra != NULL ? s->extra->idle : NULL;

	if (idle == NULL)
		return;
	(void)event_del(&idle->event);
	free(idle);
	s->extra->idle = NULL;
}

static void
on_idle(evutil_socket_t fd, short what, void *user)
{
	struct weir__idle *idle = user;
	struct weir_socket *s = idle->socket;
	uint64_t silent_ms = weir_socket_idle_ms(s);
	struct timeval rest;

	(void)fd;
	(void)what;
	if (silent_ms >= idle->ms) {
		idle->told = true;
		weir__pin(s);
		weir__tell(s, on_timeout);
		weir__unpin(s);
		return;
	}
	rest.tv_sec = (time_t)((idle->ms - silent_ms) / 1000);
	rest.tv_usec = (suseconds_t)((idle->ms - silent_ms) % 1000 * 1000);
	(void)event_add(&idle->event, &rest);
}

static int
start_idle(struct weir__idle *idle)
{
	const struct timeval after = {
	    .tv_sec = (time_t)(idle->ms / 1000),
	    .tv_usec = (suseconds_t)(idle->ms % 1000 * 1000),
	};

	idle->told = false;
	return event_add(&idle->event, &after) == -1 ? -ENOMEM : 0;
}

void
weir__socket_touch(struct weir_socket *s)
{
	s->active_ms = weir__loop_turn_ms(s->loop);
	if (s->extra != NULL && s->extra->idle != NULL && s->extra->idle->told)
		(void)start_idle(s->extra->idle);
}

uint64_t
weir_socket_idle_ms(const struct weir_socket *s)
{
	uint64_t now;

	if (s == NULL)
		return 0;
	now = weir_loop_now_ms(s->loop);
	return now > s->active_ms ? now - s->active_ms : 0;
}

int
weir_socket_set_timeout(struct weir_socket *s, uint64_t ms)
{
	struct weir__idle *idle;

	if (s == NULL || s->doomed)
		return -EINVAL;
	if (ms == 0) {
		weir__idle_free(s);
		return 0;
	}
	if (s->state == WEIR__CLOSING) /* nothing is told but its end */
		return 0;
	if (weir__extra(s) == NULL)
		return -ENOMEM;
	idle = s->extra->idle;
	if (idle == NULL) {
		idle = calloc(1, sizeof(*idle));
		if (idle == NULL)
			return -ENOMEM;
		s->extra->idle = idle;
		idle->socket = s;
		(void)evtimer_assign(
		    &idle->event, weir_loop_base(s->loop), on_idle, idle);
	}
	idle->ms = ms;
	s->active_ms = weir_loop_now_ms(s->loop);
	return start_idle(idle);
}
