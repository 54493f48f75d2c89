/* What the files of a reload share: reload.c (when, and in which order) and
 * reload_result.c (what came of it). */
#ifndef PROCESS_RELOAD_PRIV_H
#define PROCESS_RELOAD_PRIV_H

#include "process/reload.h"

/* Is made while a reload goes on; the rest of its parts last as long. */
struct result {
	struct reload_result result;
	struct config_changes *changes; /* from the running to the new one */
	struct config_changes *boot;	/* from that of the start to it */
	char **mistakes;
	size_t mistake_count;
	bool no_memory; /* something is missing in it */
	struct refused *refused;
	size_t refused_count;
};

void result_free(struct result *r);

/* A mistake; the text of printf. */
void result_mistake(struct result *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* It says no more than this: the texts stay the caller's. */
void result_mistakes(struct result *r, char *const *mistakes);

/* What config would change, and needs a restart. Returns 0 or -ENOMEM. */
int result_compare(struct result *r, const struct config *boot,
    const struct config *running, const struct config *config);

/* All there is to tell, of a proxy that has config in force, or does not yet.
 */
void result_finish(struct result *r, const struct proxy *proxy,
    const struct config *config, const char *workers);

void result_log(const struct result *r);

#endif
