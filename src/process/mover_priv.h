/*
 * What the files of a mover share: mover.c (its wire, its beginning and end),
 * mover_give.c (who gives) and mover_take.c (who takes).
 *
 * A message is a letter, a number and what belongs to it. Those with
 * descriptors are numbered, each by one more than the one before, so that the
 * taker can name one that was lost for lack of descriptors.
 */
#ifndef PROCESS_MOVER_PRIV_H
#define PROCESS_MOVER_PRIV_H

#include <sys/queue.h>

#include <stddef.h>

#include "process/mover.h"
#include "process/wire.h"
#include "proxy/session_move.h"

struct weir_timer;

#define MOVER_WINDOW 16 /* sessions under way */

enum mover_kind {
	MOVER_CONFIG = 'F',  /* what sessions are under; number, file */
	MOVER_SESSION = 'S', /* one; its parcel, its sockets */
	MOVER_PARCEL = 'P',  /* one; its sockets, a file with its parcel */
	MOVER_RUN = 'R',     /* it was given up: it is yours */
	MOVER_CANCEL = 'C',  /* it goes on here */
	MOVER_END = 'E',     /* that was all */
	MOVER_HAVE = 'H',    /* it can go on here */
	MOVER_NO = 'N',	     /* it cannot */
};

struct mover_head {
	uint32_t kind, number;
};

/* Of MOVER_CONFIG: which number of a parcel stands for it. */
struct mover_config {
	struct mover_head head;
	uint32_t place;
};

#define MOVER_CONFIGS 4096 /* of one mover at the most */

struct mover_given {
	bool used;
	uint32_t number;
	struct session *session; /* NULL: gone meanwhile */
};

struct mover_taken {
	STAILQ_ENTRY(mover_taken) next;
	uint32_t number;
	struct config *config; /* the mover's */
	int fds[SESSION_FDS];
	size_t fd_count, length;
	char parcel[];
};

struct mover {
	struct wire *wire;
	struct proxy *proxy;
	const struct mover_handlers *handlers;
	void *user;
	struct mover_counts counts;
	bool giving, over, failed;
	uint32_t number; /* of the last message with descriptors */

	/* What sessions are under: the givers' own, or those made of the text
	 * that came; by the number in a parcel. References. */
	struct config **configs;
	size_t config_count;

	/* Giving. */
	struct mover_given given[MOVER_WINDOW];
	unsigned under_way, again, passes;
	struct weir_timer *patience, *pass_timer;

	STAILQ_HEAD(, mover_taken) taken;
};

/* ---- mover.c ---- */

/* All is over: on_done comes from the loop. */
void mover_done(struct mover *m);

int mover_tell(struct mover *m, enum mover_kind kind, uint32_t number);

/* That number stands for config, of which it takes a reference; NULL: one that
 * is not understood, as are those that never came. False for want of memory, or
 * where there are too many. */
bool mover_keep_config(struct mover *m, uint32_t place, struct config *config);

/* ---- mover_give.c ---- */

/* Look at all sessions (again), or say that all is over. */
void mover_on_pass(struct weir_timer *timer, void *user);

/* The other end says nothing. */
void mover_on_impatient(struct weir_timer *timer, void *user);

/* It has that one, or will not have it. */
void mover_answered(struct mover *m, uint32_t number, bool have);

/* What is under way goes on here. */
void mover_cancel_all(struct mover *m);

/* ---- mover_take.c ---- */

/* A message of the giver, with its descriptors. */
void mover_taken_in(struct mover *m, const struct wire_message *message,
    const struct mover_head *head);

/* What has neither been given up nor taken back goes on here; or it does not,
 * and is closed. */
void mover_settle_all(struct mover *m, bool ours);

#endif
