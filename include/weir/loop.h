#ifndef WEIR_LOOP_H
#define WEIR_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

struct event_base;
struct weir_loop;
struct weir_timer;
struct weir_signal;

/*
 * A loop: where objects live, on an event_base of the caller's or, with base
 * NULL, one of its own. *ret is the caller's, to weir_loop_free(). A loop and
 * its objects belong to one thread. Returns 0, -EINVAL, -ENOMEM, or -EOPNOTSUPP
 * for a base that cannot tell of edges and of an early close. Since 0.1.
 */
int weir_loop_new(struct weir_loop **ret, struct event_base *base);

/*
 * Free the loop, and its event_base where that is its own. All objects on it
 * must have been freed before; what handlers are still due are not called.
 * NULL is fine. Not from a handler. Since 0.1.
 */
void weir_loop_free(struct weir_loop *loop);

/*
 * Call handlers until no referenced object is open, or weir_loop_stop(). A
 * close that is due holds the loop until on_close has told it.
 * Returns 0, or 1 when it was stopped; -EBUSY from a handler of the same loop,
 * -EIO where the event_base cannot go on. Who runs the event_base by other means
 * gets all handlers too, but ref and unref have no say there. Since 0.1.
 */
int weir_loop_run(struct weir_loop *loop);

/*
 * Let weir_loop_run() return soon: after the handler that runs now, and those
 * that are due with it for the same object. Since 0.1.
 */
void weir_loop_stop(struct weir_loop *loop);

/*
 * Call this in the child first of all after fork(), so that parent and child
 * may both go on with the loop and what lives on it; not while a lookup is
 * under way. Servers that are not exclusive accept in both from here on, which
 * is how worker processes share one handle; exclusive ones are the parent's,
 * and those here are as if they had never listened. A server's connections of
 * before are the parent's to count, and so is its socket file to remove. What
 * the child has no use for it frees, which ends nothing of the parent's.
 * Returns 0, -EINVAL, or -ENOMEM and the loop is of no use. Since 0.1.
 */
int weir_loop_after_fork(struct weir_loop *loop);

/* The event_base underneath; the loop's. Since 0.1. */
struct event_base *weir_loop_base(const struct weir_loop *loop);

/*
 * Milliseconds of a clock that never goes back and has no meaning but by
 * difference. Since 0.1.
 */
uint64_t weir_loop_now_ms(const struct weir_loop *loop);

/*
 * Ask these name servers instead of the system's: numeric addresses with
 * optional ports, divided by commas; NULL goes back to the system's. Returns 0,
 * -EINVAL or -ENOMEM. Since 0.1.
 */
int weir_loop_set_name_servers(struct weir_loop *loop, const char *servers);

/*
 * A timer, not started. fn is called from the loop each time it ends; it may
 * start, stop or free the timer. *ret is the caller's. Returns 0 or -ENOMEM.
 * Since 0.1.
 */
int weir_timer_new(struct weir_timer **ret, struct weir_loop *loop,
    void (*fn)(struct weir_timer *timer, void *user), void *user);

/* Call fn once after ms milliseconds; a timer that runs starts anew. Returns
 * 0 or -ENOMEM. Since 0.1. */
int weir_timer_start(struct weir_timer *timer, uint64_t ms);

/* Do not call fn any more; also when it does not run. Since 0.1. */
void weir_timer_stop(struct weir_timer *timer);

/* Whether fn is still to be called. Since 0.1. */
bool weir_timer_running(const struct weir_timer *timer);

/* A running timer holds the loop, unless it was unref'd. Since 0.1. */
void weir_timer_ref(struct weir_timer *timer);
void weir_timer_unref(struct weir_timer *timer);

/* Stop and free; NULL is fine. Since 0.1. */
void weir_timer_free(struct weir_timer *timer);

/*
 * Call fn from the loop for each signal signo (several that come at once may
 * be one call). A signal does not hold the loop. One event_base a process may
 * have signals. *ret is the caller's. Returns 0, -EINVAL or -ENOMEM.
 * Since 0.1.
 */
int weir_signal_new(struct weir_signal **ret, struct weir_loop *loop, int signo,
    void (*fn)(struct weir_signal *signal, int signo, void *user), void *user);

/* Put back what was in force for the signal; NULL is fine. Since 0.1. */
void weir_signal_free(struct weir_signal *signal);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
