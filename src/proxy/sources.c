/*
 * Connections by source, in a table of each worker's own on the board.
 *
 * Only its worker writes to a table; the others read it to sum. So there is
 * nothing to lock, and of a worker that was killed the table is emptied. A
 * source has its place in one of two buckets that its hash tells; which has
 * more room gets it, and then a table that is half full has hardly a bucket
 * that is full.
 */
#include "config.h"

#include "proxy/sources.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include <weir/address.h>

#include "proxy/board.h"

#define BUCKET	8
#define BUCKETS (BOARD_SOURCES / BUCKET)

void
source_key_set(
    struct source_key *key, const struct weir_address *address, uid_t user)
{
	const struct in6_addr *six = &address->u.in6.sin6_addr;

	memset(key, 0, sizeof(*key));
	if (address->u.sa.sa_family == AF_INET) {
		key->kind = 4;
		memcpy(key->bytes, &address->u.in.sin_addr, 4);
	} else if (address->u.sa.sa_family != AF_INET6) {
		key->kind = 'u';
		memcpy(key->bytes, &user, sizeof(user));
	} else if (IN6_IS_ADDR_V4MAPPED(six)) {
		key->kind = 4;
		memcpy(key->bytes, six->s6_addr + 12, 4);
	} else {
		key->kind = 6;
		memcpy(key->bytes, six->s6_addr, 8); /* its /64 */
	}
}

/* A round of mixing that no bit of the input survives unchanged (the finalizer
 * of splitmix64); with a seed nobody outside can aim at one bucket. */
static uint64_t
mix(uint64_t x)
{
	x ^= x >> 30;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 27;
	x *= UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

uint64_t
source_hash(const struct source_key *key, uint64_t seed, long row)
{
	uint64_t bytes, hash;

	memcpy(&bytes, key->bytes, sizeof(bytes));
	hash = mix(seed ^ mix((uint64_t)row << 8 | key->kind));
	hash = mix(hash ^ mix(bytes ^ seed));
	return hash != 0 ? hash : 1;
}

/* ---- a table ---- */

static struct board_source *
bucket(struct board_source *table, uint64_t hash, int which)
{
	uint64_t at = which == 0 ? hash : hash >> 32;

	return table + at % BUCKETS * BUCKET;
}

static struct board_source *
find(struct board_source *table, uint64_t hash)
{
	struct board_source *at;
	int which, i;

	for (which = 0; which < 2; which++) {
		at = bucket(table, hash, which);
		for (i = 0; i < BUCKET; i++)
			if (atomic_load(&at[i].key) == hash)
				return &at[i];
	}
	return NULL;
}

/* A free place in the bucket that has more of them; NULL: none. */
static struct board_source *
find_free(struct board_source *table, uint64_t hash)
{
	struct board_source *at, *place[2] = {NULL, NULL};
	int which, i, n[2] = {0, 0};

	for (which = 0; which < 2; which++) {
		at = bucket(table, hash, which);
		for (i = 0; i < BUCKET; i++)
			if (atomic_load(&at[i].key) == 0) {
				place[which] = &at[i];
				n[which]++;
			}
	}
	return n[0] >= n[1] ? place[0] : place[1];
}

static uint64_t
count_in(struct board_source *table, uint64_t hash)
{
	struct board_source *at = find(table, hash);
	uint64_t n;

	if (at == NULL)
		return 0;
	n = atomic_load(&at->count);
	/* Meanwhile it may have become another's place. */
	return atomic_load(&at->key) == hash ? n : 0;
}

uint64_t
sources_count(struct board *board, uint64_t hash)
{
	unsigned i, n = board_workers(board);
	uint64_t sum = 0;

	for (i = 0; i < n; i++)
		sum += count_in(board_sources(board, i), hash);
	return sum;
}

/* ---- counting ---- */

int
sources_add(struct board *board, unsigned worker, uint64_t hash, uint64_t max)
{
	struct board_source *table = board_sources(board, worker);
	struct board_source *at = find(table, hash);

	if (at != NULL) {
		atomic_store(&at->count, board_get(&at->count) + 1);
	} else {
		at = find_free(table, hash);
		if (at == NULL)
			return -ENOSPC;
		atomic_store(&at->count, 1);
		atomic_store(&at->key, hash);
	}
	/* Counted first, looked at then: of two workers that do this at one
	 * moment at least one sees both. */
	if (sources_count(board, hash) <= max)
		return 0;
	sources_remove(board, worker, hash);
	return -EUSERS;
}

void
sources_remove(struct board *board, unsigned worker, uint64_t hash)
{
	struct board_source *at = find(board_sources(board, worker), hash);

	if (at == NULL)
		return;
	if (board_get(&at->count) > 1) {
		atomic_store(&at->count, board_get(&at->count) - 1);
		return;
	}
	atomic_store(&at->key, 0);
	atomic_store(&at->count, 0);
}
