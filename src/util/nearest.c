/*
 * Finds the nearest of some names by the number of letters to add, to leave
 * out, to replace or to swap with their neighbour. It promises to suggest
 * nothing that shares too little with the word: about a third of its letters
 * may differ. Words longer than any name are not compared.
 */
#include "config.h"

#include "util/nearest.h"

#include <string.h>

#define LONGEST 48

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The distance of two words, neither longer than LONGEST. */
static size_t
distance(const char *a, const char *b)
{
	size_t rows[3][LONGEST + 1];
	size_t *before = rows[0], *last = rows[1], *row = rows[2], *spare;
	size_t length = strlen(b), i, j;

	for (j = 0; j <= length; j++) {
		before[j] = 0;
		last[j] = j;
	}
	for (i = 1; a[i - 1] != '\0'; i++) {
		row[0] = i;
		for (j = 1; j <= length; j++) {
			row[j] = last[j - 1] + (a[i - 1] != b[j - 1]);
			row[j] = least(row[j], last[j] + 1);
			row[j] = least(row[j], row[j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				row[j] = least(row[j], before[j - 2] + 1);
		}
		spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[length];
}

void
nearest_begin(struct nearest *nearest, const char *word)
{
	nearest->word = word;
	nearest->best = NULL;
	nearest->distance = strlen(word) / 3 + 1;
	if (nearest->distance < 2 && strlen(word) > 1)
		nearest->distance = 2;
}

void
nearest_try(struct nearest *nearest, const char *name)
{
	size_t found;

	if (strlen(nearest->word) > LONGEST || strlen(name) > LONGEST)
		return;
	found = distance(nearest->word, name);
	if (found >= nearest->distance)
		return;
	nearest->distance = found;
	nearest->best = name;
}

const char *
nearest_get(const struct nearest *nearest)
{
	return nearest->best;
}
