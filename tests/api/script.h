#ifndef TESTS_API_SCRIPT_H
#define TESTS_API_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

/* What a scenario may hold; a larger one is an error, never cut. */
#define SCRIPT_TEXT	160
#define SCRIPT_WORDS	8
#define SCRIPT_STEPS	96
#define SCRIPT_HANDLERS 24
#define SCRIPT_REPLIES	8

/* One step: a verb and its words. word[words] is NULL. */
struct step {
	unsigned line;
	char text[SCRIPT_TEXT];
	char split[SCRIPT_TEXT]; /* what word points into */
	const char *word[SCRIPT_WORDS + 1];
	size_t words;
};

/* "on OBJECT EVENT: STEP; STEP" */
struct reply {
	char object[SCRIPT_TEXT], event[SCRIPT_TEXT];
	bool once, done;
	struct step step[SCRIPT_REPLIES];
	size_t steps;
};

struct script {
	bool global;  /* "order: global" */
	bool differs; /* "differs: WHY" */
	struct step step[SCRIPT_STEPS];
	size_t steps;
	struct reply reply[SCRIPT_HANDLERS];
	size_t replies;
};

/* Read a scenario; says on stderr what is wrong with it. */
bool script_read(struct script *script, const char *file);

#endif
