/*
 * Open connections by source: an IPv4 address, an IPv6 /64, or the user of a
 * unix socket's client.
 */
#ifndef PROXY_SOURCES_H
#define PROXY_SOURCES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct weir_address;

struct sources {
	void *tree; /* of struct source, libc's tsearch() */
};

/* What counts as one source. */
struct source_key {
	unsigned char kind; /* 4, 6 or 'u' */
	unsigned char bytes[8];
};

void source_key_set(
    struct source_key *key, const struct weir_address *address, uid_t user);

/* Count one more, unless there are max. 0, -EUSERS at max, or -ENOMEM. */
int sources_add(
    struct sources *sources, const struct source_key *key, uint64_t max);
void sources_remove(struct sources *sources, const struct source_key *key);
void sources_free(struct sources *sources);

#endif
