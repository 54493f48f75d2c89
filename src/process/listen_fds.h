/*
 * Descriptors passed by the service manager: socket activation, and the ones
 * it kept over a restart.
 */
#ifndef PROCESS_LISTEN_FDS_H
#define PROCESS_LISTEN_FDS_H

#include <stddef.h>

#include "proxy/proxy.h"

/* The first descriptor that is passed. */
#define LISTEN_FDS_START 3

struct listen_fds {
	struct proxy_passed_fd *fds; /* owned; the descriptors are not */
	size_t count;
	char *names; /* owned; what fds' names point into */
};

/*
 * Read LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES, and unset them. Where
 * they are not set, or meant for another process, there are none. The
 * descriptors get close-on-exec. Returns 0, or -errno with *error, and then
 * there are none.
 */
int listen_fds_take(struct listen_fds *ret, char **error);

/* Free the array and the names; the descriptors stay open. */
void listen_fds_free(struct listen_fds *fds);

#endif
