/* A request that is being carried out, for the files that do. */
#ifndef CONTROL_COMMAND_PRIV_H
#define CONTROL_COMMAND_PRIV_H

#include "control/answer.h"
#include "control/command.h"
#include "control/requests.h"
#include "control/subject.h"
#include "log/log.h"

struct fleet_call;
struct reload_call;

/* More than any request has; what is beyond only has to be noticed. */
#define COMMAND_WORDS 8

struct command {
	const struct control_subject *subject;
	command_told *told;
	void *user;
	struct answer answer;
	enum command_state state;
	enum command_effect effect;
	bool inside; /* a call of command.h, which must not call told */
	struct fleet_call *call;	       /* that it waits for; or NULL */
	struct reload_call *reload;	       /* that it waits for; or NULL */
	void (*more)(struct command *command); /* of one that rests */
	void (*drop)(struct command *command); /* progress; or NULL */
	void *progress;		    /* what one kind of request keeps */
	char *words[COMMAND_WORDS]; /* in text */
	size_t count;		    /* of words, those beyond too */
	char **arguments;	    /* the words after the request's name */
	size_t argument_count;
	char text[CONTROL_REQUEST_MAX + 1];
};

/* All of the answer is there. */
void command_finish(struct command *command);

/* A part of it is; more makes the next one. */
void command_rest(
    struct command *command, void (*more)(struct command *command));

/* Finish it with an error that says so. */
void command_no_memory(struct command *command);
void command_unknown_listener(struct command *command, const char *name);

/* Workers that did not answer are not in it: say what that means. */
void command_warn_silent(
    struct command *command, unsigned silent, const char *what);

/* One function a row of requests.h: it finishes the command, or sees to it that
 * this is done later. */
#define COMMAND_RUN(id, name, arguments, fewest, most, changes, help)          \
	void command_run_##id(struct command *command);
CONTROL_REQUESTS(COMMAND_RUN)
#undef COMMAND_RUN

#endif
