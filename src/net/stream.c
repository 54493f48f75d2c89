/*
 * The handlers' lane: a bufferevent for a socket whose owner wants the data.
 * It is made when the first handler asks and undone when the socket is piped;
 * what it holds then goes along, in order.
 */
#include "config.h"

#include "net/socket_priv.h"

#include <sys/socket.h>

#include <errno.h>

#include <event2/bufferevent.h>
#include <event2/util.h>

/* What one write call takes at the most; libevent's own 16 KiB is little. */
#define WRITE_AT_MOST (256 * 1024)

#define READ_AT_MOST  4096 /* libevent's EVBUFFER_MAX_READ */
#define TURN_READS    4	   /* of the scratch buffer, then others have a turn */

static bool
input_empty(const struct weir_socket *s)
{
	return (weir__in(s) == NULL || evbuffer_get_length(weir__in(s)) == 0) &&
	       (weir__bev(s) == NULL ||
		   evbuffer_get_length(bufferevent_get_input(weir__bev(s))) ==
		       0);
}

/* Hand over what has come. A handler may pause, pipe, destroy or free. */
void
weir__stream_read(struct weir_socket *s)
{
	unsigned char *scratch = weir__loop_scratch(s->loop);
	struct evbuffer *from;
	int n;

	if (scratch == NULL) {
		weir_socket_destroy(s, -ENOMEM);
		return;
	}
	while (weir__bev(s) != NULL && weir__socket_flowing(s) &&
	       !input_empty(s)) {
		from =
		    weir__in(s) != NULL && evbuffer_get_length(weir__in(s)) > 0
			? weir__in(s)
			: bufferevent_get_input(weir__bev(s));
		n = evbuffer_remove(from, scratch, WEIR__SCRATCH);
		if (n <= 0)
			break;
		weir__tell_data(s, scratch, (size_t)n);
	}
	if (s->state == WEIR__OPEN && weir__bev(s) != NULL && s->eof &&
	    weir__socket_flowing(s) && input_empty(s))
		weir__socket_saw_end(s);
	if (s->state == WEIR__OPEN && weir__bev(s) != NULL && s->dying != 0 &&
	    (input_empty(s) || !weir__socket_flowing(s)))
		weir_socket_destroy(s, s->dying);
}

/*
 * A bufferevent reads 4096 bytes a turn, whatever it is told. Where it has
 * found so many, more may wait: as much as the scratch buffer holds is read at
 * once. An end is left for the bufferevent, which will read it again; an error
 * is told only once, and so it is ours.
 */
static void
read_on(struct weir_socket *s)
{
	unsigned char *scratch = weir__loop_scratch(s->loop);
	ssize_t n = WEIR__SCRATCH;
	int i;

	for (i = 0; i < TURN_READS && n == WEIR__SCRATCH; i++) {
		if (weir__bev(s) == NULL || s->state != WEIR__OPEN || s->eof ||
		    s->dying != 0 || !weir__socket_flowing(s) ||
		    !input_empty(s))
			return;
		n = recv(s->fd, scratch, WEIR__SCRATCH, MSG_DONTWAIT);
		if (n == -1 && errno != EAGAIN && errno != EINTR) {
			s->dying = -errno;
			weir__stream_read(s);
		}
		if (n <= 0)
			return;
		weir__count_read(s, (size_t)n);
		weir__socket_touch(s);
		weir__tell_data(s, scratch, (size_t)n);
	}
}

static void
on_read(struct bufferevent *bev, void *user)
{
	struct weir_socket *s = user;
	bool more = s->is_socket && evbuffer_get_length(bufferevent_get_input(
					bev)) >= READ_AT_MOST;

	weir__pin(s);
	weir__stream_read(s);
	if (more)
		read_on(s);
	weir__unpin(s);
}

static void
on_written(struct bufferevent *bev, void *user)
{
	struct weir_socket *s = user;

	(void)bev;
	weir__pin(s);
	s->writable = true;
	weir__socket_drained(s);
	weir__unpin(s);
}

static void
on_event(struct bufferevent *bev, short what, void *user)
{
	struct weir_socket *s = user;
	int err = EVUTIL_SOCKET_ERROR();

	(void)bev;
	weir__pin(s);
	if (what & BEV_EVENT_EOF) {
		s->eof = true;
	} else {
		s->dying = err != 0 ? -err : -EIO;
	}
	weir__stream_read(s);
	weir__unpin(s);
}

static void
on_input(
    struct evbuffer *input, const struct evbuffer_cb_info *info, void *user)
{
	struct weir_socket *s = user;

	(void)input;
	if (info->n_added > 0) {
		weir__count_read(s, info->n_added);
		weir__socket_touch(s);
	}
}

static void
on_output(
    struct evbuffer *output, const struct evbuffer_cb_info *info, void *user)
{
	struct weir_socket *s = user;

	(void)output;
	if (info->n_deleted > 0) {
		weir__count_delivered(s, info->n_deleted);
		weir__socket_touch(s);
		weir__note_written(s);
	}
}

void
weir__stream_update(struct weir_socket *s)
{
	if (weir__socket_flowing(s) && !s->eof && s->dying == 0)
		(void)bufferevent_enable(weir__bev(s), EV_READ);
	else
		(void)bufferevent_disable(weir__bev(s), EV_READ);
	if (weir__socket_flowing(s) && (!input_empty(s) || s->eof))
		weir__socket_defer(s, WEIR__DUE_READ);
}

int
weir__stream_enter(struct weir_socket *s)
{
	struct weir__extra *x = weir__extra(s);
	struct bufferevent *bev;
	struct evbuffer *output;

	bev = x != NULL
		  ? bufferevent_socket_new(weir_loop_base(s->loop), s->fd, 0)
		  : NULL;
	if (bev == NULL)
		return -ENOMEM;
	output = bufferevent_get_output(bev);
	if (x->out != NULL && evbuffer_add_buffer(output, x->out) == -1)
		goto fail;
	if (evbuffer_add_cb(bufferevent_get_input(bev), on_input, s) == NULL ||
	    evbuffer_add_cb(output, on_output, s) == NULL)
		goto fail;
	x->bev = bev;
	bufferevent_setcb(bev, on_read, on_written, on_event, s);
	(void)bufferevent_set_max_single_write(bev, WRITE_AT_MOST);
	/* This bounds the input too: a handler takes all of it or pauses. A
	 * high watermark would add nothing, and libevent does not survive
	 * that it is refused the memory for one. */
	(void)bufferevent_set_max_single_read(bev, WEIR__SCRATCH);
	(void)bufferevent_enable(bev, EV_WRITE);
	s->writable = true;
	return 0;
fail:
	bufferevent_free(bev);
	return -ENOMEM;
}

/* Take what lies in a bufferevent's buffer over into one of the socket's. */
static int
keep(struct evbuffer **to, struct evbuffer *from)
{
	if (evbuffer_get_length(from) == 0)
		return 0;
	if (*to == NULL)
		*to = evbuffer_new();
	/* libevent lets only the bufferevent take output from its front. */
	(void)evbuffer_unfreeze(from, 1);
	return *to != NULL && evbuffer_add_buffer(*to, from) == 0 ? 0 : -ENOMEM;
}

/* -ENOMEM: bytes were lost, and the socket can only be destroyed. */
int
weir__stream_leave(struct weir_socket *s)
{
	struct bufferevent *bev = weir__bev(s);
	int err;

	if (bev == NULL)
		return 0;
	bufferevent_setcb(bev, NULL, NULL, NULL, NULL);
	(void)evbuffer_remove_cb(bufferevent_get_input(bev), on_input, s);
	(void)evbuffer_remove_cb(bufferevent_get_output(bev), on_output, s);
	(void)bufferevent_disable(bev, EV_READ | EV_WRITE);
	err = keep(&s->extra->in, bufferevent_get_input(bev));
	if (keep(&s->extra->out, bufferevent_get_output(bev)) != 0)
		err = -ENOMEM;
	if (s->extra->out != NULL)
		s->writable = false; /* as far as we know: the event tells */
	s->extra->bev = NULL;
	bufferevent_free(bev);
	return err;
}
