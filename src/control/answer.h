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
	struct strbuf text;    /* of it that was not sent yet */
	struct strbuf warning; /* what is missing in it; empty: nothing */
	size_t rows;	       /* of the list that is being made */
	bool listing;	       /* a list was begun */
	bool sent;	       /* a part of it was */
};

/* clang-format off */
#define ANSWER_NULL { STRBUF_NULL, STRBUF_NULL, 0, false, false }
/* clang-format on */

/* Of what will be answered something is missing, although it is no error:
 * "warning" after "data". To be said before the answer ends. */
void answer_warn(struct answer *answer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

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
 * What there is of the line, at last with its end: the answer's, until
 * answer_sent() or answer_free(). Where memory was refused meanwhile, a line
 * that says so; NULL where it is too late for that, as a part was sent.
 */
const char *answer_line(const struct answer *answer, size_t *length);

/* Whether memory was refused: there will be no more of it. */
bool answer_failed(const struct answer *answer);

/* That was sent; what is added from here on follows it. */
void answer_sent(struct answer *answer);

/* Empty it, for the next one. */
void answer_free(struct answer *answer);

/*
 * A JSON string of any bytes: those that are not UTF-8 become \xHH. NULL is
 * memory refused.
 */
json_t *answer_text(const char *text);

#endif
