/*
 * Plays the scenarios of tests/traces/ on libweir, each in a process of its
 * own, and compares the traces with those that are kept there: NAME.trace is
 * what Node.js does, and, where libweir differs on purpose, NAME.weir.trace is
 * what libweir does.
 *
 *	check_scenarios [FILE]...	play these, or all, and compare
 *	check_scenarios -p FILE		play one and print its trace
 */
#include "config.h"

#include <sys/wait.h>

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/api/play.h"

static int
play_file(const char *file, FILE *out)
{
	static struct script script;

	if (!script_read(&script, file))
		return 1;
	return play_script(&script, file, out) && fflush(out) == 0 ? 0 : 1;
}

/* All of a file, ended by a 0; NULL where there is none. */
static char *
read_all(FILE *f)
{
	size_t size = 0, room = 64 * 1024;
	char *text = f != NULL ? malloc(room) : NULL;

	if (text != NULL) {
		size = fread(text, 1, room - 1, f);
		text[size] = '\0';
	}
	return text;
}

static char *
read_trace(const char *file)
{
	FILE *f = fopen(file, "r");
	char *text = read_all(f);

	if (f != NULL)
		(void)fclose(f);
	return text;
}

/* The scenario's trace; NULL when its process failed, which has said why. */
static char *
trace_of(const char *file)
{
	FILE *out = tmpfile();
	char *text = NULL;
	int status = 1;
	pid_t pid;

	if (out == NULL)
		return NULL;
	(void)fflush(NULL); /* or the child says it again */
	pid = fork();
	if (pid == 0)
		exit(play_file(file, out));
	while (pid > 0 && waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	if (pid > 0 && WIFSIGNALED(status))
		fprintf(
		    stderr, "%s: died of signal %d\n", file, WTERMSIG(status));
	if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		rewind(out);
		text = read_all(out);
	}
	(void)fclose(out);
	return text;
}

static void
show_difference(const char *wanted, const char *text)
{
	char command[PATH_MAX + 64];
	FILE *diff;

	printf("FAIL %s\n", wanted);
	(void)fflush(stdout);
	(void)snprintf(command, sizeof(command), "diff -u '%s' -", wanted);
	diff = popen(command, "w");
	if (diff == NULL || fputs(text, diff) == EOF)
		fputs(text, stdout);
	if (diff != NULL)
		(void)pclose(diff);
}

/* "NAME.scenario" as "NAME" and another ending. */
static void
beside(char *ret, const char *file, const char *ending)
{
	(void)snprintf(ret, PATH_MAX, "%.*s%s",
	    (int)(strlen(file) - strlen(".scenario")), file, ending);
}

/* A difference must be there, and be named, or there is none. */
static bool
difference_is_named(const char *file, const char *node, const char *own)
{
	static struct script script;

	if (!script_read(&script, file))
		return false;
	if (script.differs == (own != NULL) &&
	    (own == NULL || strcmp(node, own) != 0))
		return true;
	printf("FAIL %s: a line \"differs: WHY\" and a trace .weir.trace that "
	       "differs go together\n",
	    file);
	return false;
}

static bool
check(const char *file)
{
	char node_file[PATH_MAX], own_file[PATH_MAX];
	char *node, *own, *text;
	bool good = false;

	beside(node_file, file, ".trace");
	beside(own_file, file, ".weir.trace");
	node = read_trace(node_file);
	own = read_trace(own_file);
	text = trace_of(file);
	if (node == NULL) {
		printf("FAIL %s: not there; tests/traces/remake makes it\n",
		    node_file);
	} else if (text == NULL) {
		printf("FAIL %s: the play failed\n", file);
	} else if (difference_is_named(file, node, own)) {
		good = strcmp(own != NULL ? own : node, text) == 0;
		if (!good)
			show_difference(
			    own != NULL ? own_file : node_file, text);
	}
	free(node);
	free(own);
	free(text);
	return good;
}

static int
check_all(void)
{
	const char *top = getenv("WEIR_TOP_SRCDIR");
	char pattern[PATH_MAX];
	glob_t found;
	size_t i, bad = 0;

	(void)snprintf(pattern, sizeof(pattern), "%s/tests/traces/*.scenario",
	    top != NULL ? top : ".");
	if (glob(pattern, 0, NULL, &found) != 0) {
		fprintf(stderr, "%s: no scenarios\n", pattern);
		return 1;
	}
	for (i = 0; i < found.gl_pathc; i++)
		bad += !check(found.gl_pathv[i]);
	printf("%zu scenarios, %zu failed\n", found.gl_pathc, bad);
	globfree(&found);
	return bad > 0;
}

int
main(int argc, char **argv)
{
	int i, bad = 0;

	if (argc == 3 && strcmp(argv[1], "-p") == 0)
		return play_file(argv[2], stdout);
	if (argc == 1)
		return check_all();
	for (i = 1; i < argc; i++) {
		if (strlen(argv[i]) <= strlen(".scenario")) {
			fprintf(stderr, "%s: no .scenario\n", argv[i]);
			return 1;
		}
		bad += !check(argv[i]);
	}
	return bad > 0;
}
