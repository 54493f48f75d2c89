/* What the files of the pump share: pump.c, pipe.c, rate.c and splice.c. */
#ifndef NET_PUMP_PRIV_H
#define NET_PUMP_PRIV_H

#include "net/socket_priv.h"

/* One pipe: what source reads goes to destination. The source's. */
struct weir__flow {
	struct weir_socket *source, *destination;
	size_t buffer;
	bool keep_open, may_splice;
	bool stopped; /* reads no more; ends once all is given */
	bool full;    /* buffer is full: drain it before reading on */
	bool bulk;
	unsigned full_reads;

	struct weir__pipe *pipe; /* lent while bytes flow; or NULL */
	size_t piped;		 /* bytes in it */

	/* A rate: what may be read now, and when that was counted. */
	uint64_t rate, tokens, counted_us;
	struct event *rate_timer;
	bool rate_waits; /* for the timer */
};

/* Bytes that were read and not passed on yet. */
static inline size_t
weir__held(const struct weir_socket *s)
{
	return s->in != NULL ? evbuffer_get_length(s->in) : 0;
}

/* ---- rate.c ---- */

uint64_t weir__rate_now_us(void);
/* As weir__rate_allows(), of a flow that has a rate. */
size_t weir__rate_limit(struct weir__flow *f, size_t wanted);

/* How much of wanted may be read now; 0 has set a timer. */
static inline size_t
weir__rate_allows(struct weir__flow *f, size_t wanted)
{
	return f->rate == 0 ? wanted : weir__rate_limit(f, wanted);
}

static inline void
weir__rate_spend(struct weir__flow *f, size_t n)
{
	if (f->rate > 0)
		f->tokens -= n < f->tokens ? n : f->tokens;
}

/* ---- splice.c ---- */

/* Into the kernel pipe, which is borrowed for it; 0 or bytes, as a read. */
size_t weir__splice_in(struct weir__flow *f, size_t wanted);
/* Out of it: bytes, 0 where none are taken now, or an error. */
ssize_t weir__splice_out(struct weir__flow *f);
int weir__splice_unload(struct weir__flow *f);
void weir__splice_return(struct weir__flow *f); /* the pipe, if any */

#endif
