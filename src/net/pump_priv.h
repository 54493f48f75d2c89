/* What the files of the pump share: pump.c, pipe.c, rate.c and splice.c. */
#ifndef NET_PUMP_PRIV_H
#define NET_PUMP_PRIV_H

#include "net/socket_priv.h"

/* Whose flow it is: what it reads goes to the flow's destination. */
static inline struct weir_socket *
weir__source(struct weir__flow *f)
{
	return weir__container_of(f, struct weir_socket, flow);
}

static inline const struct weir_socket *
weir__source_const(const struct weir__flow *f)
{
	return weir__container_of(f, const struct weir_socket, flow);
}

/* Bytes that were read and not passed on yet. */
static inline size_t
weir__held(const struct weir_socket *s)
{
	return weir__in(s) != NULL ? evbuffer_get_length(weir__in(s)) : 0;
}

/* ... and of those that splice has read. */
static inline size_t
weir__piped(const struct weir__flow *f)
{
	const struct weir__extra *x = weir__source_const(f)->extra;

	return x != NULL && x->pipe != NULL ? x->pipe->length : 0;
}

/* Whether the source may be read now. */
static inline bool
weir__may_take(const struct weir__flow *f)
{
	const struct weir_socket *s = weir__source_const(f);

	return s->state == WEIR__OPEN && !s->eof && !s->explicit_pause &&
	       !f->stopped && !f->full && !f->rate_waits && weir__piped(f) == 0;
}

/* Whether something waits that the destination is to take. */
static inline bool
weir__flow_waits(const struct weir__flow *f)
{
	const struct weir_socket *s;

	if (f == NULL)
		return false;
	s = weir__source_const(f);
	return weir__piped(f) > 0 || weir__held(s) > 0 || s->eof ||
	       f->stopped || s->dying != 0;
}

/* ---- rate.c ---- */

/* What may be read now, and when that was counted. */
struct weir__limit {
	uint64_t rate, tokens, counted_us;
	struct event *timer; /* or NULL */
};

static inline struct weir__limit *
weir__limit(const struct weir__flow *f)
{
	const struct weir__extra *x = weir__source_const(f)->extra;

	return x != NULL ? x->limit : NULL;
}

/* A flow that may read so many bytes a second. 0 or -ENOMEM. */
int weir__rate_begin(struct weir__flow *f, uint64_t rate);
void weir__rate_end(struct weir__flow *f);
/* As weir__rate_allows(), of a flow that has a rate. */
size_t weir__rate_limit(
    struct weir__flow *f, struct weir__limit *l, size_t wanted);

/* How much of wanted may be read now; 0 has set a timer. */
static inline size_t
weir__rate_allows(struct weir__flow *f, size_t wanted)
{
	struct weir__limit *l = weir__limit(f);

	return l == NULL ? wanted : weir__rate_limit(f, l, wanted);
}

static inline void
weir__rate_spend(struct weir__flow *f, size_t n)
{
	struct weir__limit *l = weir__limit(f);

	if (l != NULL)
		l->tokens -= n < l->tokens ? n : l->tokens;
}

/* ---- splice.c ---- */

/* Into the kernel pipe, which is borrowed for it; 0 or bytes, as a read. */
size_t weir__splice_in(struct weir__flow *f, size_t wanted);
/* Out of it: bytes, 0 where none are taken now, or an error. */
ssize_t weir__splice_out(struct weir__flow *f);
int weir__splice_unload(struct weir__flow *f);
void weir__splice_return(struct weir__flow *f); /* the pipe, if any */

#endif
