/*
 * What the verbs read of a step, and what they say of it. A step that makes no
 * sense ends the play.
 */
#include "config.h"

#include "tests/api/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct object *
step_object(const struct step *step)
{
	return play_find(step->word[1]);
}

/* The word at i, or NULL where the step is shorter. */
const char *
step_word(const struct step *step, size_t i)
{
	return i < step->words ? step->word[i] : NULL;
}

bool
step_is(const struct step *step, size_t i, const char *text)
{
	return i < step->words && strcmp(step->word[i], text) == 0;
}

bool
step_has(const struct step *step, const char *text)
{
	size_t i;

	for (i = 2; i < step->words; i++)
		if (strcmp(step->word[i], text) == 0)
			return true;
	return false;
}

/* The value of a word KEY=VALUE, or NULL. */
const char *
step_value(const struct step *step, const char *key)
{
	size_t i, n = strlen(key);

	for (i = 2; i < step->words; i++)
		if (strncmp(step->word[i], key, n) == 0 &&
		    step->word[i][n] == '=')
			return step->word[i] + n + 1;
	return NULL;
}

unsigned long
step_number(const struct step *step, size_t i)
{
	char *end = NULL;
	const char *text = step_word(step, i);
	unsigned long n = text != NULL ? strtoul(text, &end, 10) : 0;

	if (text == NULL || end == text || *end != '\0')
		play_mistake(step, "want a number");
	return n;
}

unsigned long
step_ms(const char *text)
{
	unsigned long n = text != NULL ? strtoul(text, NULL, 10) : 0;

	return n * play_time_scale();
}

struct weir_server *
step_server(const struct step *step)
{
	struct object *object = step_object(step);

	if (object == NULL || object->server == NULL)
		play_mistake(step, "no such server");
	return object->server;
}

struct weir_socket *
step_socket_at(const struct step *step, size_t i)
{
	struct object *object =
	    step_word(step, i) != NULL ? play_find(step->word[i]) : NULL;

	if (object == NULL || object->socket == NULL)
		play_mistake(step, "no such socket (yet)");
	return object->socket;
}

struct weir_socket *
step_socket(const struct step *step)
{
	return step_socket_at(step, 1);
}

void
step_answer(const struct step *step, int err)
{
	if (err < 0)
		trace_add(step_object(step), "%s refused: %s", step->word[0],
		    trace_error(err));
}

void
step_must(const struct step *step, bool good)
{
	if (!good)
		play_mistake(step, strerror(errno));
}

/* Ports differ from run to run; whose they are does not. */
static const char *
whose(uint16_t port)
{
	size_t i;

	for (i = 0; i < play.objects; i++)
		if (weir_address_port(&play.object[i].address) == port)
			return play.object[i].name;
	return "port";
}

void
step_say_address(const struct step *step, const char *what, int err,
    const struct weir_address *address)
{
	char host[WEIR_ADDRESS_TEXT];
	const char *name;

	if (err != 0) {
		trace_add(step_object(step), "%s none", what);
		return;
	}
	(void)weir_address_host(address, host, sizeof(host));
	if (address->u.sa.sa_family == AF_UNIX) {
		name = strrchr(host, '/');
		trace_add(step_object(step), "%s unix:%s", what,
		    name != NULL ? name + 1 : host);
		return;
	}
	trace_add(step_object(step),
	    strchr(host, ':') ? "%s [%s]:%s" : "%s %s:%s", what, host,
	    whose(weir_address_port(address)));
}
