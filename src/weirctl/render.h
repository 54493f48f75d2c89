/* Answers of weir as text for people. */
#ifndef WEIRCTL_RENDER_H
#define WEIRCTL_RENDER_H

#include <jansson.h>
#include <stdio.h>

/*
 * Print the data of an answer: a value as itself, a list of objects as a table
 * headed by the members' names, what is a list of objects in these as one more
 * table, an object as lines of name and value followed by its lists. Returns 0,
 * or -1 when memory was refused.
 */
int render(const json_t *data, FILE *out);

#endif
