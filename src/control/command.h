/* Carry out requests of the control socket. */
#ifndef CONTROL_COMMAND_H
#define CONTROL_COMMAND_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>

struct answer;
struct command;
struct control_subject;

/* Who asks, for the log. */
struct command_caller {
	bool known;
	pid_t pid;
	uid_t uid;
};

/* How far a request has come. */
enum command_state {
	COMMAND_WORKING,  /* told is called when there is more */
	COMMAND_RESTING,  /* a part of its answer is there; the rest comes after
			   * command_go_on() */
	COMMAND_FINISHED, /* all of its answer is there */
};

/* What is left to be done once the answer has been written. */
enum command_effect {
	COMMAND_DONE,
	COMMAND_SHUTDOWN,
	COMMAND_SHUTDOWN_NOW,
};

/* It rests or is finished; never called from inside a call of this header. */
typedef void command_told(struct command *command, void *user);

/*
 * Begin to carry out one request: length bytes without the line's end; look at
 * command_state() then. whole is false where the connection ended before the
 * line did: then it may be half a request, and is carried out only where it
 * changes nothing. subject, told and user are kept by reference; told may be
 * called until command_free(). *ret is the caller's; NULL for a line of blanks,
 * which is no request, while any other gets an answer. Returns 0 or -ENOMEM.
 */
int command_start(struct command **ret, const struct control_subject *subject,
    const struct command_caller *caller, const char *line, size_t length,
    bool whole, command_told *told, void *user);

enum command_state command_state(const struct command *command);

/* What there is of its answer, to be sent and emptied by the caller. */
struct answer *command_answer(struct command *command);

/* Of one that is finished. */
enum command_effect command_effect(const struct command *command);

/* Make the next part of the answer of one that rests. */
void command_go_on(struct command *command);

/* Forget it; what it was told to change is done nevertheless. NULL is fine. */
void command_free(struct command *command);

#endif
