/*
 * The trace: a row for each event and each answer, with what compares between
 * two implementations. How bytes were cut into pieces does not, so bytes that
 * came one after the other are one row.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>

#include "tests/api/play.h"

#define ROWS 512

static struct row {
	const struct object *object;
	bool is_data;
	uint64_t bytes;
	char text[96];
} row[ROWS];
static size_t rows;

static struct row *
add_row(struct object *object)
{
	if (rows == ROWS) {
		fprintf(stderr, "%s: the trace is too long\n", object->name);
		exit(1);
	}
	row[rows].object = object;
	object->tail = ++rows;
	return &row[rows - 1];
}

void
trace_add(struct object *object, const char *format, ...)
{
	struct row *r = add_row(object);
	va_list args;

	va_start(args, format);
	(void)vsnprintf(r->text, sizeof(r->text), format, args);
	va_end(args);
}

void
trace_data(struct object *object, const unsigned char *data, size_t n)
{
	struct row *r = object->tail > 0 ? &row[object->tail - 1] : NULL;
	size_t i;

	for (i = 0; i < n; i++) {
		if (object->next_byte != -1 && data[i] != object->next_byte)
			object->broken = true;
		object->next_byte = (data[i] + 1) % PLAY_PERIOD;
	}
	if (r == NULL || !r->is_data) {
		r = add_row(object);
		r->is_data = true;
	}
	r->bytes += n;
	(void)snprintf(r->text, sizeof(r->text), "data %" PRIu64 "%s", r->bytes,
	    object->broken ? ", out of order" : "");
}

void
trace_print(FILE *out, bool global)
{
	size_t i, o;

	for (i = 0; global && i < rows; i++)
		fprintf(out, "%s %s\n", row[i].object->name, row[i].text);
	for (o = 0; !global && o < play.objects; o++)
		for (i = 0; i < rows; i++)
			if (row[i].object == &play.object[o])
				fprintf(out, "%s %s\n", row[i].object->name,
				    row[i].text);
}

void
trace_clear(void)
{
	memset(row, 0, sizeof(row));
	rows = 0;
}

const char *
trace_error(int err)
{
	static const struct {
		int err;
		const char *name;
	} known[] = {
	    {WEIR_E_SERVER_ALREADY_LISTEN, "ERR_SERVER_ALREADY_LISTEN"},
	    {WEIR_E_SERVER_NOT_RUNNING, "ERR_SERVER_NOT_RUNNING"},
	    {WEIR_E_SOCKET_CLOSED, "closed"},
	    {WEIR_E_WRITE_AFTER_END, "ended"},
	    {WEIR_E_NAME_NOT_FOUND, "ENOTFOUND"},
	};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].err == err)
			return known[i].name;
	return weir_error_name(err);
}
