/* The known name that a wrong one most likely stands for. */
#ifndef UTIL_NEAREST_H
#define UTIL_NEAREST_H

#include <stddef.h>

struct nearest {
	const char *word; /* what was written; not owned */
	const char *best; /* the nearest so far, or NULL; not owned */
	size_t distance;  /* of best; else the first that is too far */
};

/* Begin with the word that is not known; it lasts as long as the search. */
void nearest_begin(struct nearest *nearest, const char *word);

/* Consider a known name. The first of several equally near ones stays. */
void nearest_try(struct nearest *nearest, const char *name);

/* The nearest name, or NULL where none is near enough to be meant. */
const char *nearest_get(const struct nearest *nearest);

#endif
