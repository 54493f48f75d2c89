/*
 * Reads configuration files: the text, what its sections are, and further
 * files by include. It promises that a file is read whole or not at all, and
 * that reading ends, whatever includes what. Keys and values are builder.c's.
 */
#include <config.h>

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/builder_priv.h"
#include "config/ini_source.h"
#include "util/nearest.h"

/* More is no configuration, and would only be read to exhaust memory. */
#define FILE_MAX  (16 * 1024 * 1024) /* bytes */
#define DEPTH_MAX 16		     /* files that include one another */

/* A file on its way in. */
struct config_reading {
	struct config_builder *builder;
	struct config_file *file;
	const char *path; /* what includes are relative to; NULL: here */
	bool regular;	  /* device and inode tell it from others */
	dev_t device;
	ino_t inode;
	unsigned depth;
	struct config_section *section; /* NULL: none, or a refused one */
	bool any_section;
	const struct config_reading *parent;
};

/* Where the first word ends. */
static size_t
word_length(const char *text)
{
	return strcspn(text, " \t");
}

static void
note_unknown_section(
    struct config_reading *reading, const char *name, struct config_place place)
{
	struct nearest nearest;
	const char *known, *rest;
	char *word = strndup(name, word_length(name));

	if (word == NULL) {
		reading->builder->failed = true;
		return;
	}
	rest = name + strlen(word);
	nearest_begin(&nearest, word);
	nearest_try(&nearest, "weir");
	nearest_try(&nearest, "defaults");
	nearest_try(&nearest, "listener");
	nearest_try(&nearest, "upstream");
	known = nearest_get(&nearest);
	if (known == NULL)
		config_note(reading->builder, place,
		    "unknown section [%s] (there are [weir], [defaults], "
		    "[listener NAME] and [upstream NAME])",
		    name);
	else
		config_note(reading->builder, place,
		    "unknown section [%s] (did you mean [%s%s]?)", name, known,
		    strcmp(known, "weir") == 0 || strcmp(known, "defaults") == 0
			? ""
		    : *rest != '\0' ? rest
				    : " NAME");
	free(word);
}

static void
begin_weir(struct config_reading *reading, struct config_place place)
{
	if (reading->file->weir_line > 0) {
		config_note(reading->builder, place,
		    "[weir] stands already at %s:%u", reading->file->name,
		    reading->file->weir_line);
		return;
	}
	reading->file->weir_line = place.line;
	reading->section = reading->builder->weir;
}

static void
begin_defaults(struct config_reading *reading, struct config_place place)
{
	struct config_builder *builder = reading->builder;
	struct config_section *section;

	section =
	    config_section_new(builder, CONFIG_SECTION_DEFAULTS, NULL, place);
	if (section == NULL)
		return;
	section->defaults = builder->defaults;
	builder->defaults = section;
	reading->section = section;
}

/* [listener NAME] or [upstream NAME]. */
static void
begin_named(struct config_reading *reading, enum config_section_kind kind,
    const char *name, struct config_place place)
{
	struct config_builder *builder = reading->builder;
	const char *what = config_kind_text(kind);
	const struct config_section *first;
	struct strbuf text = STRBUF_NULL;

	if (*name == '\0') {
		config_note(builder, place,
		    "[%s] has no name (write [%s NAME])", what, what);
		return;
	}
	if (!config_name_check(builder, kind, name, place))
		return;
	first = config_section_find(builder, kind, name);
	if (first != NULL) {
		config_place_text(&text, first->place);
		config_note(builder, place, "[%s %s] stands already at %s",
		    what, name, strbuf_get(&text));
		strbuf_free(&text);
		return;
	}
	reading->section = config_section_new(builder, kind, name, place);
	if (reading->section != NULL && kind == CONFIG_SECTION_LISTENER)
		reading->section->defaults = builder->defaults;
}

static bool
word_is(const char *text, const char *word)
{
	return word_length(text) == strlen(word) &&
	       strncmp(text, word, strlen(word)) == 0;
}

static void
on_section(const char *name, unsigned line, void *user)
{
	struct config_reading *reading = user;
	struct config_place place = {reading->file, line};
	const char *rest = name + word_length(name);

	rest += strspn(rest, " \t");
	reading->section = NULL;
	reading->any_section = true;
	if (word_is(name, "listener"))
		begin_named(reading, CONFIG_SECTION_LISTENER, rest, place);
	else if (word_is(name, "upstream"))
		begin_named(reading, CONFIG_SECTION_UPSTREAM, rest, place);
	else if (!word_is(name, "weir") && !word_is(name, "defaults"))
		note_unknown_section(reading, name, place);
	else if (*rest != '\0')
		config_note(reading->builder, place,
		    "[%s]: this section has no name (write [%.*s])", name,
		    (int)word_length(name), name);
	else if (word_is(name, "weir"))
		begin_weir(reading, place);
	else
		begin_defaults(reading, place);
}

static void
on_pair(
    const char *key, const char *value, bool quoted, unsigned line, void *user)
{
	struct config_reading *reading = user;
	struct config_place place = {reading->file, line};

	if (reading->section != NULL)
		config_assign(reading->builder, reading->section, key, value,
		    quoted, place, false);
	else if (!reading->any_section)
		config_note(reading->builder, place,
		    "%s: stands before any section (write [weir] or [listener "
		    "NAME] above it)",
		    key);
}

static void
on_mistake(unsigned line, const char *problem, void *user)
{
	struct config_reading *reading = user;

	config_note(reading->builder,
	    (struct config_place){reading->file, line}, "%s", problem);
}

static void
read_text(struct config_reading *reading, const char *text, size_t length)
{
	static const struct ini_source_handlers handlers = {
	    on_section, on_pair, on_mistake};
	struct config_builder *builder = reading->builder;

	reading->parent = builder->reading;
	reading->file->weir_line = 0;
	builder->reading = reading;
	if (ini_source_read(text, length, &handlers, reading) < 0)
		builder->failed = true;
	builder->reading = reading->parent;
}

/* Read all of fd. Returns 0, or -errno; -EFBIG beyond FILE_MAX. */
static int
read_all(int fd, struct strbuf *ret)
{
	char chunk[16384];
	ssize_t n;

	for (;;) {
		n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return ret->failed ? -ENOMEM : 0;
		strbuf_add(ret, chunk, (size_t)n);
		if (ret->length > FILE_MAX)
			return -EFBIG;
	}
}

/* Note a file that cannot be read: at its include, or by its own name. */
static void
note_file(struct config_builder *builder, struct config_place place,
    const char *path, const char *problem)
{
	if (place.line > 0 || strcmp(place.file->name, path) != 0)
		config_note(
		    builder, place, "include: \"%s\" %s", path, problem);
	else
		config_note(builder, place, "%s", problem);
}

/* Whether the file is being read already, further up. */
static bool
is_open_above(const struct config_builder *builder, const struct stat *st)
{
	const struct config_reading *r;

	for (r = builder->reading; r != NULL; r = r->parent)
		if (r->regular && r->device == st->st_dev &&
		    r->inode == st->st_ino)
			return true;
	return false;
}

static void
read_fd(struct config_builder *builder, int fd, const char *path,
    struct config_place place)
{
	struct config_reading reading = {.builder = builder};
	struct strbuf text = STRBUF_NULL, problem = STRBUF_NULL;
	struct stat st;
	int r = fstat(fd, &st) < 0 ? -errno : 0;

	if (r == 0 && is_open_above(builder, &st)) {
		note_file(builder, place, path,
		    "is being read already: a file cannot include itself");
		return;
	}
	if (r == 0 && builder->again && !S_ISREG(st.st_mode) &&
	    !S_ISDIR(st.st_mode)) {
		note_file(builder, place, path,
		    "is no regular file, which alone can be read again");
		return;
	}
	if (r == 0)
		r = read_all(fd, &text);
	reading.file = config_file_get(builder, path);
	if (r == 0 && reading.file != NULL) {
		reading.path = strcmp(path, "-") == 0 ? NULL : path;
		reading.regular = S_ISREG(st.st_mode);
		reading.device = st.st_dev;
		reading.inode = st.st_ino;
		reading.depth =
		    builder->reading ? builder->reading->depth + 1 : 0;
		read_text(&reading, strbuf_get(&text), text.length);
	} else if (r == -EFBIG) {
		note_file(builder, place, path,
		    "is larger than 16 MiB, which is no configuration");
	} else if (r < 0) {
		strbuf_format(&problem, "cannot be read: %s", strerror(-r));
		note_file(builder, place, path, strbuf_get(&problem));
	}
	strbuf_free(&problem);
	strbuf_free(&text);
}

static void
read_path(
    struct config_builder *builder, const char *path, struct config_place place)
{
	struct strbuf problem = STRBUF_NULL;
	int fd = open(path,
	    O_RDONLY | O_CLOEXEC | O_NOCTTY |
		(builder->again ? O_NONBLOCK : 0));

	if (fd < 0) {
		strbuf_format(
		    &problem, "cannot be opened: %s", strerror(errno));
		note_file(builder, place, path, strbuf_get(&problem));
		strbuf_free(&problem);
		return;
	}
	read_fd(builder, fd, path, place);
	close(fd);
}

/* The pattern with the folder of the including file before it, in which
 * nothing is a wildcard. */
static char *
absolute_pattern(const char *path, const char *pattern)
{
	const char *slash = path ? strrchr(path, '/') : NULL, *p;
	struct strbuf text = STRBUF_NULL;

	if (pattern[0] != '/' && slash != NULL)
		for (p = path; p <= slash; p++) {
			if (strchr("*?[\\", *p) != NULL)
				strbuf_char(&text, '\\');
			strbuf_char(&text, *p);
		}
	strbuf_text(&text, pattern);
	return strbuf_take(&text);
}

/* glob(3) met a folder that it cannot read; one that is not there only has
 * nothing in it. */
static int
on_glob_error(const char *path, int error)
{
	(void)path;
	return error != ENOENT && error != ENOTDIR;
}

void
config_include(struct config_builder *builder, const char *pattern,
    struct config_place place)
{
	const struct config_reading *reading = builder->reading;
	char *full = absolute_pattern(reading ? reading->path : NULL, pattern);
	glob_t found;
	size_t i;
	int r;

	if (full == NULL) {
		builder->failed = true;
		return;
	}
	if (reading != NULL && reading->depth + 1 >= DEPTH_MAX) {
		config_note(builder, place,
		    "include: more than %d files include one another",
		    DEPTH_MAX);
		free(full);
		return;
	}
	r = glob(full, 0, on_glob_error, &found);
	if (r == GLOB_NOSPACE)
		builder->failed = true;
	else if (r == GLOB_ABORTED)
		note_file(builder, place, pattern,
		    "cannot be searched: a folder of it cannot be read");
	else if (r == GLOB_NOMATCH && strpbrk(pattern, "*?[") == NULL)
		note_file(builder, place, pattern, "is not there");
	for (i = 0; r == 0 && i < found.gl_pathc; i++)
		read_path(builder, found.gl_pathv[i], place);
	globfree(&found);
	free(full);
}

void
config_builder_read_again(struct config_builder *builder)
{
	builder->again = true;
}

int
config_builder_read_file(struct config_builder *builder, const char *path)
{
	struct config_place place = {config_file_get(builder, path), 0};

	if (place.file == NULL)
		return -1;
	if (strcmp(path, "-") == 0)
		read_fd(builder, STDIN_FILENO, path, place);
	else
		read_path(builder, path, place);
	return config_builder_mistake_count(builder) > 0 ? -1 : 0;
}

int
config_builder_read_text(struct config_builder *builder, const char *name,
    const char *text, size_t length)
{
	struct config_reading reading = {.builder = builder, .path = name};

	reading.file = config_file_get(builder, name);
	if (reading.file != NULL)
		read_text(&reading, text, length);
	return config_builder_mistake_count(builder) > 0 ? -1 : 0;
}
