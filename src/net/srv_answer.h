/*
 * An answer of a name server with SRV records, as it came over the wire.
 */
#ifndef NET_SRV_ANSWER_H
#define NET_SRV_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include <weir/resolve.h>

struct weir__srv_answer {
	struct weir_srv *records;
	size_t count;	/* at least 1 */
	uint32_t ttl_s; /* the shortest of all records and aliases */
};

/* Read it: 0 with *ret, whose records are the caller's to free; or
 * WEIR_E_NAME_FAILED, WEIR_E_NAME_NOT_FOUND where it has none, or -ENOMEM. */
int weir__srv_read(
    struct weir__srv_answer *ret, const unsigned char *data, size_t length);

#endif
