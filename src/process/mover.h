/*
 * Live sessions on their way from one process to another, over a channel of
 * their own.
 *
 * Who gives freezes a session and sends it; who takes says that it has it;
 * only then is it given up here, and only when that is told does it go on
 * there. So at no moment do both do its I/O, and whichever of the two dies, a
 * session that was not given up goes on where it was. Sessions that cannot
 * move, or that the other one does not want, stay.
 */
#ifndef PROCESS_MOVER_H
#define PROCESS_MOVER_H

#include <stdbool.h>
#include <stdint.h>

struct mover;
struct proxy;
struct weir_loop;

/* One that does not answer for so long is not waited for. */
#define MOVER_PATIENCE_MS 5000

struct mover_handlers {
	/* Giving: all were looked at, or it failed; what could not move goes
	 * on here. Taking: the other end gives no more. Once; the mover may be
	 * freed in it. */
	void (*on_done)(struct mover *mover, void *user);
};

struct mover_counts {
	uint64_t moved, stayed;
};

/* Give all sessions of a proxy; or take what comes. fd is the mover's with 0.
 * Returns 0 or a negative error. */
int mover_give(struct mover **ret, struct weir_loop *loop, int fd,
    struct proxy *proxy, const struct mover_handlers *handlers, void *user);
int mover_take(struct mover **ret, struct weir_loop *loop, int fd,
    struct proxy *proxy, const struct mover_handlers *handlers, void *user);

struct mover_counts mover_counts(const struct mover *mover);

/* Giving: the other end is gone, or did not answer. */
bool mover_failed(const struct mover *mover);

/* Sessions that are on the way go on here; NULL is fine. */
void mover_free(struct mover *mover);

#endif
