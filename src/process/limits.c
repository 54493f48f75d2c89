/*
 * Descriptors and connections: arithmetic that does not overflow. Leaves how
 * many descriptors a connection takes to the proxy.
 */
#include "config.h"

#include "process/limits.h"

#include <sys/resource.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static uint64_t
from_rlim(rlim_t value)
{
	return value == RLIM_INFINITY ? LIMITS_NONE : (uint64_t)value;
}

int
limits_fds(uint64_t *ret)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	*ret = from_rlim(limit.rlim_max);
	return 0;
}

int
limits_raise_fds(uint64_t *ret)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	*ret = from_rlim(limit.rlim_cur);
	if (limit.rlim_cur == limit.rlim_max)
		return 0;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	*ret = from_rlim(limit.rlim_max);
	return 0;
}

uint64_t
limits_fds_needed(uint64_t connections, size_t per_connection, size_t reserved)
{
	uint64_t needed;

	if (__builtin_mul_overflow(
		connections, (uint64_t)per_connection, &needed) ||
	    __builtin_add_overflow(needed, (uint64_t)reserved, &needed))
		return LIMITS_NONE;
	return needed;
}

uint64_t
limits_connections(uint64_t fds, size_t per_connection, size_t reserved)
{
	if (fds == LIMITS_NONE || per_connection == 0)
		return LIMITS_NONE;
	if (fds <= reserved)
		return 0;
	return (fds - reserved) / per_connection;
}

int
limits_describe(char **text, uint64_t connections, size_t per_connection,
    size_t reserved, uint64_t fds, unsigned workers)
{
	uint64_t share = connections / workers + (connections % workers != 0);
	uint64_t needed = limits_fds_needed(share, per_connection, reserved);
	uint64_t enough = limits_connections(fds, per_connection, reserved);
	bool suffices = enough > 0 && needed <= fds;
	char where[48] = "";
	int length;

	if (workers > 1)
		(void)snprintf(
		    where, sizeof(where), " in each of %u workers", workers);

	if (fds == LIMITS_NONE)
		length = asprintf(text,
		    "max_connections %" PRIu64 " needs %" PRIu64
		    " descriptors%s; there is no limit",
		    connections, needed, where);
	else if (enough == 0)
		length = asprintf(text,
		    "the limit of descriptors, %" PRIu64
		    ", allows no connection: weir will not start with fewer "
		    "than %" PRIu64 "; raise it (ulimit -n, LimitNOFILE=)",
		    fds, limits_fds_needed(1, per_connection, reserved));
	else if (suffices)
		length = asprintf(text,
		    "max_connections %" PRIu64 " needs %" PRIu64
		    " descriptors%s; the limit is %" PRIu64,
		    connections, needed, where, fds);
	else
		length = asprintf(text,
		    "max_connections %" PRIu64 " needs %" PRIu64
		    " descriptors%s; the limit is %" PRIu64
		    ", which is enough for %" PRIu64
		    " connections: raise it (ulimit -n, LimitNOFILE=) or "
		    "lower max_connections",
		    connections, needed, where, fds, enough * workers);
	if (length < 0)
		return -ENOMEM;
	return suffices;
}
