/*
 * Answers of weir as text for people.
 *
 * What is printed follows from the shape of the data alone, so that figures
 * which a newer weir adds are shown too. Numbers are printed in full; scripts
 * are better served by the JSON itself.
 */
#include "config.h"

#include "weirctl/render.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "util/strbuf.h"
#include "weirctl/table.h"

/* Room for any integer, and for seconds to the millisecond. */
#define NUMBER_TEXT 64

static bool
is_list_of_objects(const json_t *value)
{
	return json_is_array(value) && json_array_size(value) > 0 &&
	       json_is_object(json_array_get(value, 0));
}

/* Lists that stand below an object, not in one of its lines. */
static bool
stands_below(const json_t *value)
{
	return json_is_object(value) || is_list_of_objects(value);
}

static void
add_real(struct table *table, double value)
{
	char text[NUMBER_TEXT];

	(void)snprintf(text, sizeof(text), "%.3f", value);
	table_add(table, text, TABLE_NUMBER);
}

static void
add_integer(struct table *table, json_int_t value)
{
	char text[NUMBER_TEXT];

	(void)snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, value);
	table_add(table, text, TABLE_NUMBER);
}

static bool
is_list_of_texts(const json_t *value)
{
	const json_t *item;
	size_t i;

	json_array_foreach(
	    value, i, item) if (!json_is_string(item)) return false;
	return json_is_array(value);
}

/* Texts divided by commas. */
static void
add_texts(struct table *table, const json_t *array)
{
	struct strbuf text = STRBUF_NULL;
	const json_t *item;
	size_t i;

	json_array_foreach(array, i, item)
	{
		if (i > 0)
			strbuf_char(&text, ',');
		strbuf_text(&text, json_string_value(item));
	}
	if (text.failed)
		table->failed = true;
	table_add(table, strbuf_get(&text), TABLE_TEXT);
	strbuf_free(&text);
}

/* What has no form of its own is shown as it came. */
static void
add_json(struct table *table, const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	if (text == NULL)
		table->failed = true;
	else
		table_add(table, text, TABLE_TEXT);
	free(text);
}

static void
add_value(struct table *table, const json_t *value)
{
	if (value == NULL || json_is_null(value))
		table_add(table, "", TABLE_TEXT);
	else if (json_is_string(value))
		table_add(table, json_string_value(value), TABLE_TEXT);
	else if (json_is_integer(value))
		add_integer(table, json_integer_value(value));
	else if (json_is_real(value))
		add_real(table, json_real_value(value));
	else if (json_is_boolean(value))
		table_add(
		    table, json_is_true(value) ? "yes" : "no", TABLE_TEXT);
	else if (is_list_of_texts(value))
		add_texts(table, value);
	else
		add_json(table, value);
}

static void
add_heading(struct table *table, const char *key)
{
	char *text = strdup(key), *p;

	if (text == NULL) {
		table->failed = true;
		return;
	}
	for (p = text; *p != '\0'; p++)
		*p = (char)toupper((unsigned char)*p);
	table_add(table, text, TABLE_TEXT);
	free(text);
}

/* The names of the members of all rows, each once, in their order; NULL where
 * memory was refused. */
static json_t *
all_keys(const json_t *rows)
{
	json_t *keys = json_object(), *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		if (json_is_object(row) &&
		    json_object_update_missing(keys, row) != 0) {
			json_decref(keys);
			return NULL;
		}
	}
	return keys;
}

/* Whether a member is a list of objects in any row. */
static bool
is_nested(const json_t *rows, const char *key)
{
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i,
	    row) if (is_list_of_objects(json_object_get(row, key))) return true;
	return false;
}

/* The objects of a member of all rows, each with the name of its row first.
 * NULL where memory was refused. */
static json_t *
nested_rows(const json_t *rows, const char *key)
{
	json_t *all = json_array(), *copy, *item, *row;
	bool failed = all == NULL;
	size_t i, j;

	json_array_foreach(rows, i, row)
	{
		json_array_foreach(json_object_get(row, key), j, item)
		{
			copy = json_pack(
			    "{s:O?}", "of", json_object_get(row, "name"));
			if (json_object_update(copy, item) != 0)
				failed = true;
			if (json_array_append_new(all, copy) != 0)
				failed = true;
		}
	}
	if (!failed)
		return all;
	json_decref(all);
	return NULL;
}

/* The members that are lists of objects, as tables of their own. */
static int
render_nested(const json_t *rows, json_t *nested, FILE *out)
{
	const char *key;
	json_t *value, *below;
	int r = 0;

	json_object_foreach(nested, key, value)
	{
		(void)fprintf(out, "\n%s:\n", key);
		below = nested_rows(rows, key);
		if (below == NULL || render(below, out) != 0)
			r = -1;
		json_decref(below);
	}
	return r;
}

/* Move the members that are lists of objects from keys to *nested. */
static int
part_nested(const json_t *rows, json_t *keys, json_t **nested)
{
	const char *key;
	json_t *value;
	void *next;

	*nested = json_object();
	if (*nested == NULL)
		return -1;
	json_object_foreach_safe(keys, next, key, value)
	{
		if (!is_nested(rows, key))
			continue;
		if (json_object_set(*nested, key, value) != 0 ||
		    json_object_del(keys, key) != 0)
			return -1;
	}
	return 0;
}

static int
render_table(const json_t *rows, json_t *keys, FILE *out)
{
	struct table table;
	const char *key;
	const json_t *row;
	json_t *value;
	size_t i;
	int r;

	table_init(&table, json_object_size(keys), true);
	json_object_foreach(keys, key, value) add_heading(&table, key);
	json_array_foreach(rows, i, row) json_object_foreach(keys, key, value)
	    add_value(&table, json_object_get(row, key));
	r = table_print(&table, out);
	table_finish(&table);
	return r;
}

static int
render_rows(const json_t *rows, FILE *out)
{
	json_t *keys = all_keys(rows), *nested = NULL;
	int r = -1;

	if (keys != NULL && part_nested(rows, keys, &nested) == 0 &&
	    render_table(rows, keys, out) == 0)
		r = render_nested(rows, nested, out);
	json_decref(nested);
	json_decref(keys);
	return r;
}

static int
render_list(const json_t *list, FILE *out)
{
	struct table table;
	const json_t *item;
	size_t i;
	int r;

	if (is_list_of_objects(list))
		return render_rows(list, out);
	table_init(&table, 1, false);
	json_array_foreach(list, i, item) add_value(&table, item);
	if (table.count == 0)
		table_add(&table, "none", TABLE_TEXT);
	r = table_print(&table, out);
	table_finish(&table);
	return r;
}

/* The members of an object that fit a line. */
static int
render_lines(const json_t *object, FILE *out)
{
	struct table table;
	const char *key;
	json_t *value;
	int r;

	table_init(&table, 2, false);
	json_object_foreach((json_t *)object, key, value)
	{
		if (stands_below(value))
			continue;
		table_add(&table, key, TABLE_TEXT);
		if (json_is_array(value) && json_array_size(value) == 0)
			table_add(&table, "none", TABLE_TEXT);
		else
			add_value(&table, value);
	}
	/* Values of one kind each line: all to the left. */
	if (table.count > 1)
		table.cells[1].kind = TABLE_TEXT;
	r = table_print(&table, out);
	table_finish(&table);
	return r;
}

static int
render_object(const json_t *object, FILE *out)
{
	bool first = true;
	const char *key;
	json_t *value;

	if (render_lines(object, out) != 0)
		return -1;
	json_object_foreach((json_t *)object, key,
	    value) if (!stands_below(value)) first = false;
	json_object_foreach((json_t *)object, key, value)
	{
		if (!stands_below(value))
			continue;
		(void)fprintf(out, "%s%s:\n", first ? "" : "\n", key);
		first = false;
		if (render(value, out) != 0)
			return -1;
	}
	return 0;
}

static int
render_value(const json_t *value, FILE *out)
{
	struct table table;
	int r;

	table_init(&table, 1, false);
	add_value(&table, value);
	r = table_print(&table, out);
	table_finish(&table);
	return r;
}

int
render(const json_t *data, FILE *out)
{
	if (json_is_array(data))
		return render_list(data, out);
	if (json_is_object(data))
		return render_object(data, out);
	return render_value(data, out);
}
