#ifndef TESTS_API_WORDS_H
#define TESTS_API_WORDS_H

#include "tests/api/play.h"

/* One verb: the first word of a step, about the object of the second. */
struct verb {
	const char *name;
	void (*fn)(const struct step *step);
	bool declares; /* its object need not be known */
};

/* All end with a name of NULL. */
extern const struct verb verbs_server[]; /* verbs.c */
extern const struct verb verbs_socket[]; /* verbs_socket.c */
extern const struct verb verbs_tls[];	 /* verbs_tls.c */

/* TLS as the step says, on its server or its socket. */
void tls_server(const struct step *step);
void tls_client(const struct step *step);

/* The object of a step, and what is ours of it: there, or the play ends. */
struct object *step_object(const struct step *step);
struct weir_server *step_server(const struct step *step);
struct weir_socket *step_socket(const struct step *step);
struct weir_socket *step_socket_at(const struct step *step, size_t i);

/* The word at i, or NULL where the step is shorter. */
const char *step_word(const struct step *step, size_t i);
bool step_is(const struct step *step, size_t i, const char *text);
bool step_has(const struct step *step, const char *text);
unsigned long step_number(const struct step *step, size_t i);

/* A word that is milliseconds, as many times longer as WEIR_TIME_SCALE says;
 * 0 where there is none. */
unsigned long step_ms(const char *text);

/* The value of a word KEY=VALUE, or NULL. */
const char *step_value(const struct step *step, const char *key);

/* What a call refused is a row of the trace. */
void step_answer(const struct step *step, int err);

/* What has to work for the scenario to make sense; errno says why not. */
void step_must(const struct step *step, bool good);

/* An address, or that there is none, as a row of the trace. */
void step_say_address(const struct step *step, const char *what, int err,
    const struct weir_address *address);

#endif
