/*
 * Columns of text for people.
 *
 * A table is filled cell by cell and printed at once, since only then the
 * widths are known. What goes into it, and whether it can be written, is left
 * to others.
 */
#include "config.h"

#include "weirctl/table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/strbuf.h"

#define TABLE_GAP "  "

void
table_init(struct table *table, size_t columns, bool heading)
{
	memset(table, 0, sizeof(*table));
	table->columns = columns;
	table->heading = heading;
}

void
table_finish(struct table *table)
{
	size_t i;

	for (i = 0; i < table->count; i++)
		free(table->cells[i].text);
	free(table->cells);
	memset(table, 0, sizeof(*table));
}

/* How many bytes at text make a control character, of the C1 set (0xc2 0x80 to
 * 0xc2 0x9f) too; 0 where it is another one. */
static size_t
obeyed(const char *text)
{
	unsigned char c = (unsigned char)text[0];

	if (c < 0x20 || c == 0x7f)
		return 1;
	if (c != 0xc2)
		return 0;
	c = (unsigned char)text[1];
	return c >= 0x80 && c < 0xa0 ? 2 : 0;
}

/* A copy that a terminal shows as one piece of one line, or NULL. */
static char *
show(const char *text)
{
	struct strbuf copy = STRBUF_NULL;
	size_t length;

	while (*text != '\0') {
		length = obeyed(text);
		if (length == 0)
			strbuf_char(&copy, *text++);
		for (; length > 0; length--)
			strbuf_format(&copy, "\\x%02x", (unsigned char)*text++);
	}
	return strbuf_take(&copy);
}

/* Characters of UTF-8 text; each takes one column. */
static size_t
width(const char *text)
{
	size_t count = 0;

	for (; *text != '\0'; text++)
		count += ((unsigned char)*text & 0xc0) != 0x80;
	return count;
}

static bool
reserve(struct table *table)
{
	size_t size = table->size > 0 ? 2 * table->size : 64;
	struct table_cell *cells;

	if (table->count < table->size)
		return true;
	if (size > SIZE_MAX / sizeof(*cells))
		return false;
	cells = realloc(table->cells, size * sizeof(*cells));
	if (cells == NULL)
		return false;
	table->cells = cells;
	table->size = size;
	return true;
}

void
table_add(struct table *table, const char *text, enum table_kind kind)
{
	struct table_cell *cell;
	char *copy;

	if (table->failed)
		return;
	copy = show(text[0] != '\0' ? text : "-");
	if (copy == NULL || !reserve(table)) {
		free(copy);
		table->failed = true;
		return;
	}
	cell = &table->cells[table->count++];
	cell->text = copy;
	cell->width = width(copy);
	cell->kind = kind;
}

struct column {
	size_t width;
	bool right;
};

static void
measure(const struct table *table, struct column *columns)
{
	size_t i, first = table->heading ? table->columns : 0;

	for (i = 0; i < table->columns; i++) {
		columns[i].width = 0;
		columns[i].right = table->count > first + i;
	}
	for (i = 0; i < table->count; i++) {
		struct column *c = &columns[i % table->columns];

		if (c->width < table->cells[i].width)
			c->width = table->cells[i].width;
		if (i >= first && table->cells[i].kind != TABLE_NUMBER)
			c->right = false;
	}
}

static void
print_cell(const struct table_cell *cell, const struct column *column,
    bool last, FILE *out)
{
	int pad = (int)(column->width - cell->width);

	if (column->right)
		(void)fprintf(out, "%*s%s", pad, "", cell->text);
	else
		(void)fprintf(out, "%s%*s", cell->text, last ? 0 : pad, "");
}

int
table_print(const struct table *table, FILE *out)
{
	struct column *columns;
	size_t i;

	if (table->failed)
		return -1;
	if (table->count == 0)
		return 0;
	columns = calloc(table->columns, sizeof(*columns));
	if (columns == NULL)
		return -1;
	measure(table, columns);
	for (i = 0; i < table->count; i++) {
		size_t c = i % table->columns;
		bool last = c + 1 == table->columns || i + 1 == table->count;

		print_cell(&table->cells[i], &columns[c], last, out);
		(void)fputs(last ? "\n" : TABLE_GAP, out);
	}
	free(columns);
	return 0;
}
