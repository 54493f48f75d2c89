/*
 * replay_NAME [FILE|FOLDER]...: give a fuzzer each of these inputs, by default
 * those of fuzz/corpus/NAME, for machines without libFuzzer. It ends by a
 * signal where one shows a fault, and its name is the last line.
 */
#include "config.h"

#include <ftw.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

static unsigned inputs;

/* A block of its own size, so that a byte too far shows. */
static bool
replay(FILE *file, size_t size)
{
	uint8_t *data = malloc(size > 0 ? size : 1);
	bool ok = data != NULL && fread(data, 1, size, file) == size;

	if (ok)
		(void)LLVMFuzzerTestOneInput(data, size);
	free(data);
	return ok;
}

static int
on_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	FILE *file;
	bool ok;

	(void)ftw;
	if (type != FTW_F)
		return 0;
	printf("%s\n", path);
	fflush(stdout);
	file = fopen(path, "rb");
	ok = file != NULL && replay(file, (size_t)st->st_size);
	if (!ok)
		perror(path);
	if (file != NULL)
		fclose(file);
	inputs++;
	return ok ? 0 : 1;
}

/* fuzz/corpus/NAME of a program replay_NAME. */
static char *
own_corpus(const char *program)
{
	const char *top = getenv("WEIR_TOP_SRCDIR");
	const char *name = strrchr(program, '/');
	char *path;

	name = name != NULL ? name + 1 : program;
	if (strncmp(name, "lt-", 3) == 0) /* libtool's wrapping */
		name += 3;
	if (strncmp(name, "replay_", 7) == 0)
		name += 7;
	if (asprintf(&path, "%s/fuzz/corpus/%s", top != NULL ? top : ".",
		name) == -1)
		return NULL;
	return path;
}

int
main(int argc, char **argv)
{
	char *corpus = argc > 1 ? NULL : own_corpus(argv[0]);
	int failed = 0, i;

	if (corpus != NULL)
		failed = nftw(corpus, on_file, 8, FTW_PHYS);
	for (i = 1; i < argc && failed == 0; i++)
		failed = nftw(argv[i], on_file, 8, FTW_PHYS);
	free(corpus);
	if (failed == 0 && inputs == 0) {
		fprintf(stderr, "%s: no inputs\n", argv[0]);
		failed = 1;
	}
	printf("%u inputs\n", inputs);
	return failed != 0;
}
