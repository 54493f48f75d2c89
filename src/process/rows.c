/*
 * The figures of connections as bytes: a fixed part, and the texts after it,
 * each with its NUL. Both ends are one program, forked, on one machine.
 */
#include "config.h"

#include "process/rows.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "proxy/proxy.h"

#define TEXTS	 4
#define TEXT_MAX 700 /* TEXTS of them, and the rest, fit into a message */

struct fixed {
	uint64_t id, bytes_in, bytes_out;
	double age_s, idle_s;
	uint32_t lengths[TEXTS]; /* with the NUL */
};

static size_t
text_length(const char *text)
{
	return strnlen(text, TEXT_MAX - 1) + 1;
}

size_t
rows_add(char *data, size_t size, size_t length,
    const struct session_figures *figures)
{
	const char *texts[TEXTS] = {figures->listener, figures->client,
	    figures->server, figures->state};
	struct fixed fixed = {
	    .id = figures->id,
	    .bytes_in = figures->bytes_in,
	    .bytes_out = figures->bytes_out,
	    .age_s = figures->age_s,
	    .idle_s = figures->idle_s,
	};
	size_t needed = sizeof(fixed), i;

	for (i = 0; i < TEXTS; i++) {
		fixed.lengths[i] = (uint32_t)text_length(texts[i]);
		needed += fixed.lengths[i];
	}
	if (size - length < needed)
		return 0;
	memcpy(data + length, &fixed, sizeof(fixed));
	length += sizeof(fixed);
	for (i = 0; i < TEXTS; i++) {
		memcpy(data + length, texts[i], fixed.lengths[i] - 1);
		length += fixed.lengths[i];
		data[length - 1] = '\0';
	}
	return length;
}

/* The texts of a row begin at *data; false where they are not whole. */
static bool
take_texts(const char **data, const char *end, const struct fixed *fixed,
    const char *texts[TEXTS])
{
	size_t i;

	for (i = 0; i < TEXTS; i++) {
		if (fixed->lengths[i] == 0 ||
		    (size_t)(end - *data) < fixed->lengths[i] ||
		    (*data)[fixed->lengths[i] - 1] != '\0')
			return false;
		texts[i] = *data;
		*data += fixed->lengths[i];
	}
	return true;
}

void
rows_each(const char *data, size_t length,
    void (*row)(const struct session_figures *figures, void *user), void *user)
{
	const char *end = data + length, *texts[TEXTS];
	struct session_figures figures;
	struct fixed fixed;

	while ((size_t)(end - data) >= sizeof(fixed)) {
		memcpy(&fixed, data, sizeof(fixed));
		data += sizeof(fixed);
		if (!take_texts(&data, end, &fixed, texts))
			return;
		figures = (struct session_figures){
		    .id = fixed.id,
		    .listener = texts[0],
		    .client = texts[1],
		    .server = texts[2],
		    .age_s = fixed.age_s,
		    .idle_s = fixed.idle_s,
		    .bytes_in = fixed.bytes_in,
		    .bytes_out = fixed.bytes_out,
		    .state = texts[3],
		};
		row(&figures, user);
	}
}
