/*
 * All live connections of a program on their way to the next: a mover for each
 * process that has some, whether this process serves itself or its workers do.
 */
#ifndef PROCESS_MIGRATE_H
#define PROCESS_MIGRATE_H

#include <stdbool.h>
#include <stdint.h>

#include "process/mover.h"

struct fleet;
struct fleet_message;
struct migrate;
struct migrate_hands;
struct weir_loop;
struct wire;

/* What masters ask their workers, as kinds of a fleet_message. */
enum {
	MIGRATE_HOLD = 200, /* accept no more */
	MIGRATE_GO_ON,	    /* accept again */
	MIGRATE_GIVE,	    /* descriptors of movers, one for each place */
	MIGRATE_TAKE,	    /* descriptors, by places in turn */
};

/* Accept no more, in all processes, or again. */
void migrate_hold(struct fleet *fleet, struct proxy *proxy, bool on);

/*
 * Give them: `mover` is said on the wire, with its descriptor, for each process
 * that has any. done is called once, from the loop; failed, when the other end
 * did not take them, or what there was to take. *ret is the caller's. Returns
 * 0 or a negative error.
 */
int migrate_give(struct migrate **ret, struct weir_loop *loop,
    struct fleet *fleet, struct proxy *proxy, struct wire *wire,
    void (*done)(const struct mover_counts *counts, bool failed, void *user),
    void *user);

/* What is under way goes on here; NULL is fine. */
void migrate_free(struct migrate *migrate);

/* ---- the hands: in each process that serves ---- */

int migrate_hands_new(
    struct migrate_hands **ret, struct weir_loop *loop, struct proxy *proxy);
void migrate_hands_free(struct migrate_hands *hands);

/* Take what comes by fd, in this process or a worker that is asked to. place
 * counts those that came before. The descriptor is gone after it. */
void migrate_take(
    struct migrate_hands *hands, struct fleet *fleet, int fd, unsigned place);

/* In a worker: a question of the kinds above. False where it is another. */
bool migrate_answer(struct migrate_hands *hands, struct fleet *fleet,
    uint32_t call, unsigned place, const struct fleet_message *message);

#endif
