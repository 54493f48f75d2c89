/*
 * Texts to pointers. Keys are copied, values are the caller's. The first value
 * of a key stays.
 */
#ifndef UTIL_MAP_H
#define UTIL_MAP_H

#include <stddef.h>

struct map;

/* NULL for want of memory. */
struct map *map_new(void);
void map_free(struct map *map); /* NULL is fine */

/* Returns 0; 1 where the key was there, which changes nothing; or -ENOMEM. */
int map_put(struct map *map, const char *key, void *value);
void *map_get(const struct map *map, const char *key); /* or NULL */

#endif
