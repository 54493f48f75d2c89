/*
 * Open connections by source: an IPv4 address, an IPv6 /64, or the user of a
 * unix socket's client; of each listener, and of all workers together.
 */
#ifndef PROXY_SOURCES_H
#define PROXY_SOURCES_H

#include <stdint.h>
#include <sys/types.h>

struct board;
struct weir_address;

/* What counts as one source. */
struct source_key {
	unsigned char kind; /* 4, 6 or 'u' */
	unsigned char bytes[8];
};

void source_key_set(
    struct source_key *key, const struct weir_address *address, uid_t user);

/* A source of a listener as the board has it; seed is the board's. Two sources
 * that have the same hash are taken for one, once in 2^64. */
uint64_t source_hash(const struct source_key *key, uint64_t seed, long row);

/* Count one more, unless there are max in all workers. 0, -EUSERS at max, or
 * -ENOSPC where this worker has no place for one more source. */
int sources_add(
    struct board *board, unsigned worker, uint64_t hash, uint64_t max);
void sources_remove(struct board *board, unsigned worker, uint64_t hash);

/* What all workers count of it. */
uint64_t sources_count(struct board *board, uint64_t hash);

#endif
