/* What few sockets need; extra.c says more. */
#ifndef NET_EXTRA_PRIV_H
#define NET_EXTRA_PRIV_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stdint.h>

#include <weir/socket.h>

#include "net/encoding_priv.h"

struct bufferevent;
struct evbuffer;
struct event;
struct weir__idle;
struct weir__limit;
struct weir__pipe;
struct weir__tls;
struct weir__token;
struct weir__tuning;

/* A write, or an end, whose owner wants to be told. */
struct weir__write {
	STAILQ_ENTRY(weir__write) next; /* weir__extra.writes */
	uint64_t end; /* out when so many bytes of the socket are */
	bool fin;     /* ... when the FIN is */
	bool lost;    /* never */
	weir_socket_write_fn *fn;
	void *user;
};

struct weir__extra {
	struct bufferevent *bev;   /* of the handlers' lane; or NULL */
	struct evbuffer *in;	   /* read, not passed on yet; or NULL */
	struct evbuffer *out;	   /* to be written; or NULL */
	struct weir__tls *tls;	   /* or NULL */
	struct weir__pipe *pipe;   /* of its flow while bytes flow; or NULL */
	struct weir__limit *limit; /* of its flow's rate; or NULL */
	uint64_t dropped;	   /* bytes that were written, not delivered */

	struct weir__decoder decoder;
	STAILQ_HEAD(, weir__write) writes; /* in their order */
	size_t high_water;		   /* 0: write tells of any byte */
	struct weir__token *token;	   /* it came from another process */
	struct weir__tuning *tuning;	   /* or NULL */
	struct weir__idle *idle;	   /* or NULL */
	struct event *retry;		   /* a file had no room; or NULL */
	int full; /* why, once that was told or is about to be; or 0 */
};

/* The socket's, made where there is none yet; NULL without memory. */
struct weir__extra *weir__extra(struct weir_socket *s);
void weir__extra_free(struct weir_socket *s);

/* Give it back where nothing is in it: from the pump's turn only, as a verb
 * that is under way may just be filling it. */
void weir__extra_trim(struct weir_socket *s);

/* The buffers, made where there is none yet; NULL without memory. */
struct evbuffer *weir__extra_in(struct weir_socket *s);
struct evbuffer *weir__extra_out(struct weir_socket *s);

/* Another opening begins, which counts from 0. */
void weir__extra_forget(struct weir_socket *s);

/* What is left in the decoder goes to on_data. Returns false where that wants
 * no on_end now. */
bool weir__extra_data_end(struct weir_socket *s);

/* Whether something waits that only this process can go on with. */
bool weir__extra_waits(const struct weir_socket *s);

/* The descriptor is gone. */
void weir__extra_shut(struct weir_socket *s);

/* Tell that a file has no room. */
void weir__extra_tell_full(struct weir_socket *s);

/* Tell of the writes that are out; of all that are left, at the close. */
void weir__extra_written(struct weir_socket *s);
void weir__extra_closed(struct weir_socket *s);

#endif
