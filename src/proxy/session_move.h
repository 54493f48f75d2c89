/*
 * Sessions that go on in another process: frozen and told of here, adopted
 * there, and only then given up here. Both run the same version of the parcel.
 */
#ifndef PROXY_SESSION_MOVE_H
#define PROXY_SESSION_MOVE_H

#include <stddef.h>
#include <stdint.h>

struct config;
struct proxy;
struct session;
struct strbuf;

/* Of the parcel's layout; another number cannot be read. */
#define SESSION_PARCEL 2

#define SESSION_FDS    2 /* its sockets */

/* Look at all sessions anew, from the first on. */
void session_move_begin(struct proxy *proxy);

/* The next one that was not looked at since; NULL: that was all. */
struct session *session_move_next(struct proxy *proxy);

/* What it began under; still the session's. */
struct config *session_config(const struct session *session);

/*
 * Freeze one, and add to parcel what it is; its sockets are in fds, still its
 * own. *ref is the session until it is thawed, released or gone, and NULL then.
 * config is what stands in the parcel for the session's configuration.
 * Returns how many descriptors there are, or a negative error and it goes on:
 * -EAGAIN where it may be moved later, -ENOTSUP where it can never be.
 */
int session_freeze(struct session *session, unsigned config,
    struct strbuf *parcel, int fds[SESSION_FDS], struct session **ref);

/* It goes on here after all. */
void session_thaw(struct session *session);

/* It goes on elsewhere: gone here, without a word to anybody. */
void session_release(struct session *session);

/* The configuration that a parcel's session is under, as session_freeze() was
 * told; 0, or -EBADMSG. */
int session_parcel_config(const void *parcel, size_t length, unsigned *ret);

/* The name of its listener; NULL where that is no parcel. */
const char *session_parcel_listener(const void *parcel, size_t length);

/*
 * Go on with a session that was released elsewhere, under config. The
 * descriptors are the session's, or closed. Returns 0, -ENOENT where there is
 * no such listener, -EBADMSG or -ENOMEM.
 */
int session_adopt(struct proxy *proxy, const struct config *config,
    const void *parcel, size_t length, const int *fds, size_t fd_count);

/* One that was released elsewhere could not go on here: it has ended, and the
 * figures of its listener say so. */
void session_lost(struct proxy *proxy, const void *parcel, size_t length);

#endif
