/* The control socket: where weirctl and scripts ask a running weir. */
#ifndef CONTROL_CONTROL_SERVER_H
#define CONTROL_CONTROL_SERVER_H

#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>

struct control;
struct control_subject;
struct weir_loop;

/* Clients beyond so many are closed at once. */
#define CONTROL_CLIENTS_MAX 64

/* A client that takes none of its answer for this long is dropped. */
#define CONTROL_STALL_MS 60000

/* How long control_stop() waits for answers to be taken. */
#define CONTROL_STOP_MS 2000

/* What it tells its owner, from the loop. Any may be NULL, but on_shutdown.
 * control_stop() and control_free() are allowed in all of them. */
struct control_handlers {
	/* The socket is there. */
	void (*on_ready)(struct control *control, void *user);

	/* The socket could not be made: -errno or a weir_error. */
	void (*on_failed)(struct control *control, int err, void *user);

	/* A client, whose answer has been written, wants weir to end:
	 * gracefully, or now. Required. */
	void (*on_shutdown)(struct control *control, bool now, void *user);

	/* After control_stop(): no client is left. Once. */
	void (*on_stopped)(struct control *control, void *user);
};

struct control_options {
	/* Where the socket is made, mode 0600. Its directory is made, mode
	 * 0755, where only that is missing. Read during the call. */
	const char *path;

	/* Whose they shall be, so that weir can remove the socket at its end
	 * although it gave up its privileges. */
	bool set_owner;
	uid_t uid;
	gid_t gid;

	/* With take_up, fd listens there already, for the program before this
	 * one; it is the control's from here on, its file by
	 * control_own_path(). */
	bool take_up;
	int fd;

	uint64_t stall_ms; /* 0: CONTROL_STALL_MS */
	uint64_t stop_ms;  /* 0: CONTROL_STOP_MS */
};

/*
 * Begin to listen for requests about subject, which must outlive *ret; handlers
 * and user are kept by reference. *ret is the caller's. Returns 0; or -errno
 * (-ENOMEM, -ENAMETOOLONG, or why the directory cannot be made), and then
 * nothing is called. A failure to bind comes as on_failed.
 */
int control_start(struct control **ret, struct weir_loop *loop,
    const struct control_subject *subject,
    const struct control_options *options,
    const struct control_handlers *handlers, void *user);

/*
 * Remove the socket, and close each client once it has taken its answer, at
 * the latest after stop_ms. on_stopped tells when it is over. Called
 * again: nothing.
 */
void control_stop(struct control *control);

/* The listening descriptor, still the control's; -1 where there is none. */
int control_fd(const struct control *control);
/* As it was given, whatever the configuration says by now. */
const char *control_path(const struct control *control);

/* The socket that was taken up is no other program's any more. */
void control_own_path(struct control *control);

/* Leave new clients in the backlog, for another program that shares the socket;
 * and accept them again. control_release() leaves it the socket for good. */
void control_hold(struct control *control, bool on);
void control_release(struct control *control);

/* The clients there are. */
unsigned control_clients(const struct control *control);

/* Bytes that its clients have in user memory: of requests that were not
 * carried out yet, and of answers that were not taken yet. */
size_t control_buffered(const struct control *control);

/* Close everything at once, remove the socket and free; NULL is fine. */
void control_free(struct control *control);

#endif
