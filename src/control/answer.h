/*
 * One answer of the control socket: a line of JSON, made piece by piece so
 * that a list of many thousand rows is never held as objects.
 */
#ifndef CONTROL_ANSWER_H
#define CONTROL_ANSWER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "util/strbuf.h"

struct answer {
	struct strbuf text;
	size_t rows; /* of the list that is being made */
};

/* clang-format off */
#define ANSWER_NULL { STRBUF_NULL, 0 }
/* clang-format on */

/* {"ok":true,"data":DATA}; data is taken over, NULL is memory refused. */
void answer_ok(struct answer *answer, json_t *data);

/* {"ok":false,"error":"..."} */
void answer_error(struct answer *answer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* {"ok":true,"data":[ROW,ROW,...]}; each row is taken over. */
void answer_list_begin(struct answer *answer);
void answer_list_row(struct answer *answer, json_t *row);
void answer_list_end(struct answer *answer);

/* Whether there is something to send. */
bool answer_given(const struct answer *answer);

/*
 * The finished line, its end included: the answer's, until answer_free().
 * Where memory was refused meanwhile, a line that says so.
 */
const char *answer_line(const struct answer *answer, size_t *length);

/* Empty it, for the next one. */
void answer_free(struct answer *answer);

/*
 * A JSON string of any bytes: those that are not UTF-8 become \xHH. NULL is
 * memory refused.
 */
json_t *answer_text(const char *text);

#endif
