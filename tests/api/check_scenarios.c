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

#define AT_A_TIME 4

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

/* A play under way. */
struct playing {
	const char *file;
	FILE *out; /* its trace; or NULL */
	pid_t pid;
};

static void
begin_play(struct playing *p, const char *file)
{
	p->file = file;
	p->pid = -1;
	p->out = tmpfile();
	if (p->out == NULL)
		return;
	(void)fflush(NULL); /* or the child says it again */
	p->pid = fork();
	if (p->pid == 0)
		exit(play_file(file, p->out));
}

/* Its trace; NULL when its process failed, which has said why. */
static char *
end_play(struct playing *p)
{
	char *text = NULL;
	int status = 1;

	while (
	    p->pid > 0 && waitpid(p->pid, &status, 0) == -1 && errno == EINTR)
		;
	if (p->pid > 0 && WIFSIGNALED(status))
		fprintf(stderr, "%s: died of signal %d\n", p->file,
		    WTERMSIG(status));
	if (p->pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		rewind(p->out);
		text = read_all(p->out);
	}
	if (p->out != NULL)
		(void)fclose(p->out);
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

/* Wait for a play and compare. */
static bool
check(struct playing *p)
{
	const char *file = p->file;
	char node_file[PATH_MAX], own_file[PATH_MAX];
	char *node, *own, *text;
	bool good = false;

	beside(node_file, file, ".trace");
	beside(own_file, file, ".weir.trace");
	node = read_trace(node_file);
	own = read_trace(own_file);
	text = end_play(p);
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

/* Some at a time, as they rest more than they compute. Returns how many
 * failed. */
static size_t
check_files(char *const *files, size_t count)
{
	struct playing p[AT_A_TIME];
	size_t i, begun = 0, bad = 0;

	for (i = 0; i < count; i++) {
		for (; begun < count && begun < i + AT_A_TIME; begun++)
			begin_play(&p[begun % AT_A_TIME], files[begun]);
		bad += !check(&p[i % AT_A_TIME]);
	}
	return bad;
}

/*
 * Play some in this process, whose children then find OpenSSL loaded; and under
 * valgrind, which translates code as it comes to it, most of the code
 * translated.
 */
static void
warm_up(const char *traces)
{
	static const char *const names[] = {
	    "bytes", "pipe-reset", "tls-pipe", "tls-unknown-ca-1.2"};
	char file[PATH_MAX];
	FILE *out = tmpfile();
	size_t i;

	for (i = 0; out != NULL && i < sizeof(names) / sizeof(*names); i++)
		if (snprintf(file, sizeof(file), "%s/%s.scenario", traces,
			names[i]) < (int)sizeof(file))
			(void)play_file(file, out);
	if (out != NULL)
		(void)fclose(out);
}

static int
check_all(void)
{
	const char *top = getenv("WEIR_TOP_SRCDIR");
	char traces[PATH_MAX], pattern[PATH_MAX + 16];
	glob_t found;
	size_t bad;

	(void)snprintf(
	    traces, sizeof(traces), "%s/tests/traces", top != NULL ? top : ".");
	(void)snprintf(pattern, sizeof(pattern), "%s/*.scenario", traces);
	if (glob(pattern, 0, NULL, &found) != 0) {
		fprintf(stderr, "%s: no scenarios\n", pattern);
		return 1;
	}
	warm_up(traces);
	bad = check_files(found.gl_pathv, found.gl_pathc);
	printf("%zu scenarios, %zu failed\n", found.gl_pathc, bad);
	globfree(&found);
	return bad > 0;
}

int
main(int argc, char **argv)
{
	int i;

	if (argc == 3 && strcmp(argv[1], "-p") == 0)
		return play_file(argv[2], stdout);
	if (argc == 1)
		return check_all();
	for (i = 1; i < argc; i++) {
		if (strlen(argv[i]) <= strlen(".scenario")) {
			fprintf(stderr, "%s: no .scenario\n", argv[i]);
			return 1;
		}
	}
	return check_files(argv + 1, (size_t)argc - 1) > 0;
}
