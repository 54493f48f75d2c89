/* What few sockets need; extra.c says more. */
#ifndef NET_EXTRA_PRIV_H
#define NET_EXTRA_PRIV_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stdint.h>

#include <weir/socket.h>

#include "net/encoding_priv.h"

struct weir__token;

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
	struct weir__decoder decoder;
	STAILQ_HEAD(, weir__write) writes; /* in their order */
	size_t high_water;		   /* 0: write tells of any byte */
	struct weir__token *token;	   /* it came from another process */
	struct weir__tuning *tuning;	   /* or NULL */
	struct weir__idle *idle;	   /* or NULL */
	struct event *retry;		   /* a file had no room; or NULL */
	int full;			   /* why */
};

/* The socket's, made where there is none yet; NULL without memory. */
struct weir__extra *weir__extra(struct weir_socket *s);
void weir__extra_free(struct weir_socket *s);

/* Another opening begins; written is what it does not count any more. */
void weir__extra_forget(struct weir_socket *s, uint64_t written);

/* What is left in the decoder goes to on_data. Returns false where that wants
 * no on_end now. */
bool weir__extra_data_end(struct weir_socket *s);

/* Whether something waits that only this process can go on with. */
bool weir__extra_waits(const struct weir_socket *s);

/* The descriptor is gone. */
void weir__extra_shut(struct weir_socket *s);

/* Tell of the writes that are out; of all that are left, at the close. */
void weir__extra_written(struct weir_socket *s);
void weir__extra_closed(struct weir_socket *s);

#endif
