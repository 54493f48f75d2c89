/* One request to a running weir, and its answer. */
#ifndef WEIRCTL_EXCHANGE_H
#define WEIRCTL_EXCHANGE_H

#include <stddef.h>
#include <stdint.h>

#include "util/strbuf.h"

/* A longer answer is not weir's. */
#define EXCHANGE_ANSWER_MAX   ((size_t)256 * 1024 * 1024)

#define EXCHANGE_PROBLEM_TEXT 512

struct exchange {
	struct strbuf answer;		     /* the line, without its end */
	char problem[EXCHANGE_PROBLEM_TEXT]; /* on failure, why */
};

/*
 * Connect to the control socket at path, send the line and wait up to
 * timeout_ms (0: for ever) for all of the answer. Returns 0, or -1 with a
 * problem; exchange_finish() is due after both.
 */
int exchange_run(struct exchange *exchange, const char *path, const char *line,
    uint64_t timeout_ms);
void exchange_finish(struct exchange *exchange);

#endif
