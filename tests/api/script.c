/*
 * Reads a scenario into steps. It knows the shape of the lines and none of the
 * verbs: those are the player's.
 */
#include "config.h"

#include "tests/api/script.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *
trim(char *text)
{
	char *end = text + strlen(text);

	while (isspace((unsigned char)*text))
		text++;
	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return text;
}

static const char *
read_step(struct step *step, unsigned line, const char *text)
{
	char *word, *rest;

	step->line = line;
	step->words = 0;
	if (strlen(text) >= sizeof(step->text))
		return "the step is too long";
	strcpy(step->text, text);
	strcpy(step->split, text);
	for (word = strtok_r(step->split, " \t", &rest); word != NULL;
	     word = strtok_r(NULL, " \t", &rest)) {
		if (step->words == SCRIPT_WORDS)
			return "the step has too many words";
		step->word[step->words++] = word;
	}
	step->word[step->words] = NULL;
	return step->words > 0 ? NULL : "an empty step";
}

static const char *
read_reply(struct script *script, unsigned line, const char *head, char *steps)
{
	struct reply *reply = &script->reply[script->replies];
	char how[SCRIPT_TEXT], *text, *rest;
	const char *problem;

	if (script->replies == SCRIPT_HANDLERS)
		return "too many handlers";
	if (strlen(head) >= SCRIPT_TEXT ||
	    sscanf(head, "%s %s %s", how, reply->object, reply->event) != 3)
		return "want: on OBJECT EVENT: STEP; STEP";
	reply->once = strcmp(how, "once") == 0;
	for (text = strtok_r(steps, ";", &rest); text != NULL;
	     text = strtok_r(NULL, ";", &rest)) {
		if (reply->steps == SCRIPT_REPLIES)
			return "too many steps in a handler";
		problem =
		    read_step(&reply->step[reply->steps++], line, trim(text));
		if (problem != NULL)
			return problem;
	}
	script->replies++;
	return NULL;
}

static bool
starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static const char *
read_line(struct script *script, unsigned line, char *text)
{
	char *colon;

	if (*text == '\0' || *text == '#')
		return NULL;
	if (starts(text, "differs:")) {
		script->differs = true;
		return NULL;
	}
	if (strcmp(text, "order: global") == 0) {
		script->global = true;
		return NULL;
	}
	if (starts(text, "on ") || starts(text, "once ")) {
		colon = strchr(text, ':');
		if (colon == NULL)
			return "want: on OBJECT EVENT: STEP; STEP";
		*colon = '\0';
		return read_reply(script, line, text, colon + 1);
	}
	if (script->steps == SCRIPT_STEPS)
		return "too many steps";
	return read_step(&script->step[script->steps++], line, text);
}

bool
script_read(struct script *script, const char *file)
{
	FILE *f = fopen(file, "r");
	const char *problem = NULL;
	char *text = NULL;
	size_t size = 0;
	unsigned line = 0;

	memset(script, 0, sizeof(*script));
	if (f == NULL) {
		fprintf(stderr, "%s: %s\n", file, strerror(errno));
		return false;
	}
	while (problem == NULL && getline(&text, &size, f) != -1)
		problem = read_line(script, ++line, trim(text));
	free(text);
	(void)fclose(f);
	if (problem != NULL)
		fprintf(stderr, "%s:%u: %s\n", file, line, problem);
	return problem == NULL;
}
