/* Columns of text for people. */
#ifndef WEIRCTL_TABLE_H
#define WEIRCTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum table_kind { TABLE_TEXT, TABLE_NUMBER };

struct table_cell {
	char *text; /* owned */
	size_t width;
	enum table_kind kind;
};

struct table {
	size_t columns;
	bool heading;		  /* the first row is one */
	struct table_cell *cells; /* owned; row by row */
	size_t count;
	size_t size; /* cells allocated */
	bool failed; /* memory was refused */
};

/* A table of so many columns, without rows. */
void table_init(struct table *table, size_t columns, bool heading);
void table_finish(struct table *table);

/*
 * Put in the next cell, from left to right and from top to bottom; text is
 * copied. What would not be seen as one cell of one line, and what a terminal
 * would obey, is shown as \xHH; no text at all as "-".
 */
void table_add(struct table *table, const char *text, enum table_kind kind);

/*
 * Print it: columns as wide as their widest cell, two blanks between them, and
 * to the right where all cells below the heading are numbers. A last row that
 * is not full has empty cells. Returns 0, or -1 when memory was refused, also
 * in table_add(); then nothing was printed.
 */
int table_print(const struct table *table, FILE *out);

#endif
