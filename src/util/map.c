/*
 * A hash table of texts, with open addressing: it is never more than half
 * full, and nothing is ever taken out, so that a look-up is short.
 */
#include "config.h"

#include "util/map.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 64 /* a power of two, as all sizes */

struct entry {
	char *key; /* NULL: free */
	uint64_t hash;
	void *value;
};

struct map {
	struct entry *entries;
	size_t size, count;
};

struct map *
map_new(void)
{
	struct map *map = calloc(1, sizeof(*map));

	if (map == NULL)
		return NULL;
	map->entries = calloc(FIRST_SIZE, sizeof(*map->entries));
	if (map->entries == NULL) {
		free(map);
		return NULL;
	}
	map->size = FIRST_SIZE;
	return map;
}

void
map_free(struct map *map)
{
	size_t i;

	if (map == NULL)
		return;
	for (i = 0; i < map->size; i++)
		free(map->entries[i].key);
	free(map->entries);
	free(map);
}

/* FNV-1a. */
static uint64_t
hash_of(const char *key)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (; *key != '\0'; key++)
		hash = (hash ^ (unsigned char)*key) * UINT64_C(1099511628211);
	return hash;
}

/* The entry of the key, or the free one where it belongs. */
static struct entry *
find(const struct map *map, const char *key, uint64_t hash)
{
	size_t i = hash & (map->size - 1);

	while (map->entries[i].key != NULL &&
	       (map->entries[i].hash != hash ||
		   strcmp(map->entries[i].key, key) != 0))
		i = (i + 1) & (map->size - 1);
	return &map->entries[i];
}

static int
grow(struct map *map)
{
	struct map bigger = {.size = map->size * 2, .count = map->count};
	size_t i;

	bigger.entries = calloc(bigger.size, sizeof(*bigger.entries));
	if (bigger.entries == NULL)
		return -ENOMEM;
	for (i = 0; i < map->size; i++)
		if (map->entries[i].key != NULL)
			*find(&bigger, map->entries[i].key,
			    map->entries[i].hash) = map->entries[i];
	free(map->entries);
	*map = bigger;
	return 0;
}

int
map_put(struct map *map, const char *key, void *value)
{
	uint64_t hash = hash_of(key);
	struct entry *entry;

	if ((map->count + 1) * 2 > map->size && grow(map) != 0)
		return -ENOMEM;
	entry = find(map, key, hash);
	if (entry->key != NULL)
		return 1;
	entry->key = strdup(key);
	if (entry->key == NULL)
		return -ENOMEM;
	entry->hash = hash;
	entry->value = value;
	map->count++;
	return 0;
}

void *
map_get(const struct map *map, const char *key)
{
	return find(map, key, hash_of(key))->value;
}
