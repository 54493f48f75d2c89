/*
 * Pipes between sockets: made, undone, stopped, and kept from splice where TLS
 * begins. What the destination of one that is undone had not taken stays held
 * with the source, or the source is destroyed. Moving the bytes is pump.c's.
 */
#include "config.h"

#include "net/pump_priv.h"

#include <errno.h>
#include <string.h>

#include <weir/error.h>

#define BUFFER_DEFAULT (64 * 1024)

void
weir__pump_undo(struct weir__flow *f)
{
	struct weir_socket *source = weir__source(f),
			   *destination = f->destination;
	int err = 0;

	if (weir__piped(f) > 0 && source->fd != -1)
		err = weir__splice_unload(f);
	weir__splice_return(f);
	weir__rate_end(f);
	memset(f, 0, sizeof(*f));
	destination->to = NULL;
	source->explicit_pause = true;
	source->explicit_flow = false;
	weir__pump_update(source);
	weir__pump_update(destination);
	if (err != 0) /* bytes are gone: nothing may come after them */
		weir_socket_destroy(source, err);
	/* One that has failed already lives for its pipe alone. */
	if (source->dying != 0 && source->state == WEIR__OPEN &&
	    !source->doomed)
		weir__socket_defer(source, WEIR__DUE_READ);
}

void
weir__pump_drop(struct weir_socket *s)
{
	if (weir__from(s) != NULL) {
		weir__pump_undo(weir__from(s));
		s->explicit_pause = false; /* another opening starts afresh */
	}
	if (s->to != NULL)
		weir__pump_undo(s->to);
}

void
weir__pump_stop(struct weir__flow *f)
{
	f->stopped = true;
	weir__socket_defer(weir__source(f), WEIR__DUE_READ);
}

static int
forbid_splice(struct weir__flow *f)
{
	if (f == NULL)
		return 0;
	f->may_splice = f->bulk = false;
	return weir__piped(f) > 0 ? weir__splice_unload(f) : 0;
}

int
weir__pump_secure(struct weir_socket *s)
{
	int err = forbid_splice(weir__from(s));

	return err != 0 ? err : forbid_splice(s->to);
}

static int
check_pipe(const struct weir_socket *source, const struct weir_socket *to)
{
	if (source == NULL || to == NULL || source->doomed || to->doomed)
		return -EINVAL;
	if (weir__from(source) != NULL || to->to != NULL)
		return WEIR_E_ALREADY_PIPED;
	if (source->state == WEIR__CLOSING || to->state == WEIR__CLOSING)
		return WEIR_E_SOCKET_CLOSED;
	if (source->state == WEIR__OPEN && source->rd_ended)
		return WEIR_E_SOCKET_CLOSED;
	return 0;
}

int
weir_socket_pipe(struct weir_socket *source, struct weir_socket *destination,
    const struct weir_pipe_options *options)
{
	static const struct weir_pipe_options none = {0};
	const struct weir_pipe_options *o = options != NULL ? options : &none;
	struct weir__flow *f;
	int err = check_pipe(source, destination);

	if (err != 0)
		return err;
	f = &source->flow;
	if (o->rate > 0 && weir__rate_begin(f, o->rate) != 0)
		return -ENOMEM;
	f->destination = destination;
	f->buffer = o->buffer == 0	     ? BUFFER_DEFAULT
		    : o->buffer < UINT32_MAX ? (uint32_t)o->buffer
					     : UINT32_MAX;
	f->keep_open = o->keep_open;
	f->stopped = destination->stop_source;
	destination->stop_source = false;
	f->may_splice = !o->no_splice && weir__tls(source) == NULL &&
			weir__tls(destination) == NULL;
	f->full = weir__held(source) >= f->buffer;
	destination->to = f;
	source->explicit_pause = false;
	weir__socket_settle(source);
	weir__socket_settle(destination);
	if (weir__held(source) > 0 || source->eof || f->stopped)
		weir__socket_defer(source, WEIR__DUE_READ);
	return 0;
}

int
weir_socket_unpipe(struct weir_socket *source)
{
	if (source == NULL)
		return -EINVAL;
	if (weir__from(source) == NULL)
		return WEIR_E_NOT_PIPED;
	weir__pump_undo(weir__from(source));
	return 0;
}
