/*
 * What few sockets need, or all of them for a moment, kept apart so that an
 * idle one does not pay for it: bytes that wait, TLS, a decoder for those that
 * come in, callbacks of single writes, a high-water mark, settings that wait
 * for a descriptor, a timeout. Made when first asked for, and given back by the
 * pump once nothing is in it; the last of it goes with its socket.
 */
#include "config.h"

#include "net/extra_priv.h"

#include <errno.h>
#include <stdlib.h>

#include <weir/error.h>

#include "net/handed_priv.h"
#include "net/socket_priv.h"

struct weir__extra *
weir__extra(struct weir_socket *s)
{
	if (s->extra != NULL)
		return s->extra;
	s->extra = calloc(1, sizeof(*s->extra));
	if (s->extra != NULL)
		STAILQ_INIT(&s->extra->writes);
	return s->extra;
}

static void
forget_writes(struct weir__extra *x)
{
	struct weir__write *w;

	while ((w = STAILQ_FIRST(&x->writes)) != NULL) {
		STAILQ_REMOVE_HEAD(&x->writes, next);
		free(w);
	}
}

void
weir__extra_free(struct weir_socket *s)
{
	if (s->extra == NULL)
		return;
	forget_writes(s->extra);
	weir__token_free(s->extra->token);
	free(s->extra->tuning);
	free(s->extra);
	s->extra = NULL;
}

void
weir__extra_forget(struct weir_socket *s)
{
	struct weir__write *w;
	uint64_t written;

	if (s->extra == NULL)
		return;
	written = s->bytes_delivered + s->extra->dropped;
	s->extra->dropped = 0;
	s->extra->decoder.length = s->extra->decoder.carried = 0;
	/* What was queued before the opening counts from its beginning. */
	STAILQ_FOREACH(w, &s->extra->writes, next)
	w->end -= written;
}

void
weir__extra_shut(struct weir_socket *s)
{
	if (s->extra == NULL)
		return;
	weir__token_free(s->extra->token);
	s->extra->token = NULL;
}

bool
weir__extra_waits(const struct weir_socket *s)
{
	return s->extra != NULL &&
	       s->extra->decoder.length + s->extra->decoder.carried > 0;
}

static bool
is_needed(const struct weir__extra *x)
{
	return x->bev != NULL || x->in != NULL || x->out != NULL ||
	       x->tls != NULL || x->pipe != NULL || x->limit != NULL ||
	       x->dropped > 0 || x->decoder.encoding != WEIR_RAW ||
	       x->decoder.length + x->decoder.carried > 0 ||
	       !STAILQ_EMPTY(&x->writes) || x->high_water > 0 ||
	       x->token != NULL || x->tuning != NULL || x->idle != NULL ||
	       x->retry != NULL;
}

void
weir__extra_trim(struct weir_socket *s)
{
	if (s->extra == NULL || is_needed(s->extra))
		return;
	free(s->extra);
	s->extra = NULL;
}

static struct evbuffer *
made(struct evbuffer **buffer)
{
	if (*buffer == NULL)
		*buffer = evbuffer_new();
	return *buffer;
}

struct evbuffer *
weir__extra_in(struct weir_socket *s)
{
	return weir__extra(s) != NULL ? made(&s->extra->in) : NULL;
}

struct evbuffer *
weir__extra_out(struct weir_socket *s)
{
	return weir__extra(s) != NULL ? made(&s->extra->out) : NULL;
}

/* ---- text ---- */

int
weir_socket_set_encoding(struct weir_socket *s, enum weir_encoding encoding)
{
	if (s == NULL || s->doomed || (int)encoding < WEIR_RAW ||
	    encoding > WEIR_HEX)
		return -EINVAL;
	if (encoding == WEIR_RAW && s->extra == NULL)
		return 0;
	if (weir__extra(s) == NULL)
		return -ENOMEM;
	weir__decoder_change(&s->extra->decoder, encoding);
	return 0;
}

void
weir__extra_data(struct weir_socket *s, const void *data, size_t n)
{
	struct weir__decoder *d = &s->extra->decoder;
	unsigned char *text;
	size_t length;

	if (s->handlers->on_data == NULL)
		return;
	if (d->encoding == WEIR_RAW && d->carried == 0) {
		weir__tell(s, on_data, , data, n);
		return;
	}
	text = weir__loop_text(s->loop, weir__decoder_room(n));
	if (text == NULL) {
		weir_socket_destroy(s, -ENOMEM);
		return;
	}
	length = weir__decoder_feed(d, data, n, text);
	if (length > 0) /* not so where a character has only begun */
		weir__tell(s, on_data, , text, length);
}

bool
weir__extra_data_end(struct weir_socket *s)
{
	struct weir__decoder *d;
	unsigned char text[64];
	size_t length;

	if (s->extra == NULL || s->handlers->on_data == NULL)
		return true;
	d = &s->extra->decoder;
	length = weir__decoder_end(d, text);
	if (length == 0)
		return true;
	weir__tell(s, on_data, , text, length);
	return s->state == WEIR__OPEN && !s->explicit_pause;
}

/* ---- writes that tell ---- */

static struct weir__write *
new_write(struct weir_socket *s, weir_socket_write_fn *fn, void *user)
{
	struct weir__write *w;

	if (weir__extra(s) == NULL)
		return NULL;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return NULL;
	w->fn = fn;
	w->user = user;
	return w;
}

static void
add_write(struct weir_socket *s, struct weir__write *w)
{
	STAILQ_INSERT_TAIL(&s->extra->writes, w, next);
	/* One that is out already is told from the loop like any other; one
	 * that waits for an opening has nothing to look at before. */
	if (s->state == WEIR__OPEN)
		weir__socket_defer(s, WEIR__DUE_WRITTEN);
}

int
weir_socket_write_cb(struct weir_socket *s, const void *data, size_t length,
    weir_socket_write_fn *fn, void *user)
{
	struct weir__write *w;
	uint64_t before;
	int err;

	if (s == NULL || s->doomed || fn == NULL)
		return fn == NULL ? -EINVAL
				  : weir_socket_write(s, data, length);
	w = new_write(s, fn, user);
	if (w == NULL)
		return -ENOMEM;
	before = weir_socket_bytes_written(s);
	err = weir_socket_write(s, data, length);
	if (err < 0) {
		free(w);
		return err;
	}
	/* A write that failed counts nothing: its piece never gets out. */
	w->end = weir_socket_bytes_written(s);
	w->lost = w->end - before != length;
	add_write(s, w);
	return err;
}

int
weir_socket_end_data(struct weir_socket *s, const void *data, size_t length,
    weir_socket_write_fn *fn, void *user)
{
	struct weir__write *w = NULL;
	int err = 0;

	if (s == NULL || s->doomed || (data == NULL && length > 0))
		return -EINVAL;
	if (s->state == WEIR__IDLE || s->state == WEIR__CLOSING)
		return WEIR_E_SOCKET_CLOSED;
	if (fn != NULL && (w = new_write(s, fn, user)) == NULL)
		return -ENOMEM;
	if (length > 0)
		err = weir_socket_write(s, data, length);
	if (err < 0) {
		free(w);
		return err;
	}
	if (w != NULL) {
		w->fin = true;
		add_write(s, w);
	}
	(void)weir_socket_end(s); /* a write that failed has closed it */
	return 0;
}

static bool
is_out(const struct weir_socket *s, const struct weir__write *w)
{
	if (w->fin)
		return s->fin_sent;
	return !w->lost && weir_socket_bytes_delivered(s) >= w->end;
}

static void
tell_write(struct weir_socket *s, struct weir__write *w, int err)
{
	weir_socket_write_fn *fn = w->fn;
	void *user = w->user;

	STAILQ_REMOVE_HEAD(&s->extra->writes, next);
	free(w);
	fn(s, err, user);
}

void
weir__extra_written(struct weir_socket *s)
{
	struct weir__write *w;

	while (!s->doomed && s->extra != NULL && s->state == WEIR__OPEN &&
	       (w = STAILQ_FIRST(&s->extra->writes)) != NULL && is_out(s, w))
		tell_write(s, w, 0);
}

void
weir__extra_closed(struct weir_socket *s)
{
	int err = s->error != 0 ? s->error : WEIR_E_SOCKET_CLOSED;
	struct weir__write *w;

	while (!s->doomed && s->extra != NULL &&
	       (w = STAILQ_FIRST(&s->extra->writes)) != NULL)
		tell_write(s, w, is_out(s, w) ? 0 : err);
}

/* ---- no room ---- */

void
weir__extra_tell_full(struct weir_socket *s)
{
	/* There may be room again since. */
	if (s->extra != NULL && s->extra->full != 0)
		weir__tell(s, on_full, , s->extra->full);
}

/* ---- the high-water mark ---- */

int
weir_socket_set_high_water_mark(struct weir_socket *s, size_t bytes)
{
	if (s == NULL || s->doomed)
		return -EINVAL;
	if (bytes == 0 && s->extra == NULL)
		return 0;
	if (weir__extra(s) == NULL)
		return -ENOMEM;
	s->extra->high_water = bytes;
	return 0;
}
