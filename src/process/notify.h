/*
 * Telling the service manager how it goes: systemd's notification protocol,
 * without its library. Without NOTIFY_SOCKET every call does nothing and
 * returns 0. What the manager has no room for is -EAGAIN; but a change of state
 * waits for that a moment first, since nobody would tell of it again.
 */
#ifndef PROCESS_NOTIFY_H
#define PROCESS_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct notify;

/*
 * Read NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and unset them so that
 * no program started later takes them for its own. *ret is the caller's, to
 * notify_free(); it is made even when an error is returned, and then tells
 * nobody. Returns 0, -ENOMEM (only then *ret is NULL), or another -errno with
 * *error: a value is malformed, or there is no socket to be had.
 */
int notify_new(struct notify **ret, char **error);
void notify_free(struct notify *notify);

/* Whether there is anybody to tell. */
bool notify_enabled(const struct notify *notify);

/* READY=1 with STATUS=; status may be NULL. */
int notify_ready(struct notify *notify, const char *status);
int notify_stopping(struct notify *notify, const char *status);
/* MAINPID=: another process is the service from here on. This one would not be
 * listened to any more, so it says nothing more. */
int notify_main_pid(struct notify *notify, pid_t pid);
/* RELOADING=1 with the time; to be followed by notify_ready(). */
int notify_reloading(struct notify *notify);
/* STATUS=; a line's end in it becomes a space. */
int notify_status(struct notify *notify, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* STATUS= while it stops, and that this may take so much longer than now. */
int notify_draining(struct notify *notify, const char *status, uint64_t ms);

/* How often notify_watchdog() is to be called, half of what the manager
 * allows; 0: it is not asked for. */
uint64_t notify_watchdog_ms(const struct notify *notify);
int notify_watchdog(struct notify *notify);

/*
 * Have the manager keep descriptors over a restart, when they come back by
 * LISTEN_FDS under name (1 to 255 printable characters but ":"). fds remain
 * the caller's. Returns 0 or -errno.
 */
int notify_store_fds(
    struct notify *notify, const char *name, const int *fds, size_t count);
/* Forget those kept under name. */
int notify_remove_fds(struct notify *notify, const char *name);

#endif
