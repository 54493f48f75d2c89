/*
 * Splits a command line into words. It promises that each word is exactly
 * what was written, less the quotes, and that unbalanced quoting is refused;
 * finding and starting the command is the caller's.
 */
#include "config.h"

#include "util/argv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/strbuf.h"

static const char blanks[] = " \t\r\n";

/* Put one character, or what it quotes, into the word. Returns the next one,
 * or NULL and *problem. */
static const char *
take_quoted(const char *p, struct strbuf *word, const char **problem)
{
	const char quote = *p++;

	for (; *p != quote; p++) {
		if (*p == '\0') {
			*problem = quote == '"' ? "a \" is not closed"
						: "a ' is not closed";
			return NULL;
		}
		if (quote == '"' && *p == '\\' && (p[1] == '"' || p[1] == '\\'))
			p++;
		strbuf_char(word, *p);
	}
	return p + 1;
}

/* Read a word from its first character on. Returns what follows it. */
static const char *
take_word(const char *p, struct strbuf *word, const char **problem)
{
	while (p != NULL && *p != '\0' && strchr(blanks, *p) == NULL) {
		if (*p == '"' || *p == '\'') {
			p = take_quoted(p, word, problem);
			continue;
		}
		if (*p == '\\' && *++p == '\0') {
			*problem = "a \\ stands at the end";
			return NULL;
		}
		strbuf_char(word, *p++);
	}
	return p;
}

static int
append(char ***argv, size_t count, char *word)
{
	char **grown;

	if (word == NULL)
		return -ENOMEM;
	grown = realloc(*argv, (count + 2) * sizeof(*grown));
	if (grown == NULL) {
		free(word);
		return -ENOMEM;
	}
	grown[count] = word;
	grown[count + 1] = NULL;
	*argv = grown;
	return 0;
}

int
argv_split(const char *text, char ***ret, const char **problem)
{
	struct strbuf word = STRBUF_NULL;
	const char *unused, *p = text;
	char **argv = calloc(1, sizeof(*argv));
	size_t count = 0;
	int r = argv ? 0 : -ENOMEM;

	if (problem == NULL)
		problem = &unused;
	while (r == 0 && *(p += strspn(p, blanks)) != '\0') {
		p = take_word(p, &word, problem);
		r = p ? append(&argv, count++, strbuf_take(&word)) : -EINVAL;
	}
	strbuf_free(&word);
	if (r < 0) {
		argv_free(argv);
		return r;
	}
	*ret = argv;
	return 0;
}

void
argv_free(char **argv)
{
	size_t i;

	for (i = 0; argv != NULL && argv[i] != NULL; i++)
		free(argv[i]);
	free(argv);
}

size_t
argv_count(char *const *argv)
{
	size_t count = 0;

	while (argv[count] != NULL)
		count++;
	return count;
}
