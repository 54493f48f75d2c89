/*
 * Descriptors: how many there may be, and how many connections that makes.
 */
#ifndef PROCESS_LIMITS_H
#define PROCESS_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No limit. */
#define LIMITS_NONE UINT64_MAX

/* The most descriptors this process may have at once, once limits_raise_fds()
 * was called: the hard limit. Returns 0 or -errno. */
int limits_fds(uint64_t *ret);

/* Raise the soft limit to the hard one; *ret is what is in force then, also
 * where it could not be raised. Returns 0 or -errno. */
int limits_raise_fds(uint64_t *ret);

/* How many descriptors so many connections need; LIMITS_NONE where that is
 * more than a number holds. */
uint64_t limits_fds_needed(
    uint64_t connections, size_t per_connection, size_t reserved);

/* How many connections so many descriptors allow, at least 0; LIMITS_NONE
 * where there is no limit. */
uint64_t limits_connections(
    uint64_t fds, size_t per_connection, size_t reserved);

/*
 * "max_connections 9000 needs 18032 descriptors; the limit is 1024", and
 * what to do where the limit is lower. Several workers have a limit each, and
 * a share of the connections. *text is the caller's, to free().
 * Returns 1 when the limit suffices, 0 when it does not, or -ENOMEM.
 */
int limits_describe(char **text, uint64_t connections, size_t per_connection,
    size_t reserved, uint64_t fds, unsigned workers);

#endif
