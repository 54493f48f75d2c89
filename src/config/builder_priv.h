/* The configuration in the making: what builder.c, file.c and validate.c
 * share. */
#ifndef CONFIG_BUILDER_PRIV_H
#define CONFIG_BUILDER_PRIV_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "config/option.h"
#include "util/strbuf.h"

/* A file, or an origin such as "-o"; in the order in which they came. */
struct config_file {
	char *name; /* owned */
	size_t index;
	unsigned weir_line; /* where its [weir] stands; 0: nowhere yet */
	struct config_file *next;
};

/* Where something stands; line 0 is no file. */
struct config_place {
	const struct config_file *file;
	unsigned line;
};

/* KEY = VALUE of a section. */
struct config_assignment {
	const struct config_option *option;
	char *value; /* owned; escapes and variables are done */
	size_t length;
	struct config_place place;
	bool command_line; /* goes before those of files */
	bool bad;	   /* was refused; only there so that nothing more is
			    * said of the key */
	struct config_assignment *next; /* section.first */
};

enum config_section_kind {
	CONFIG_SECTION_WEIR,
	CONFIG_SECTION_DEFAULTS,
	CONFIG_SECTION_LISTENER,
};

struct config_section {
	enum config_section_kind kind;
	char *name; /* LISTENER; owned */
	struct config_place place;
	struct config_assignment *first, *last; /* owned */
	/* The [defaults] that hold here, which themselves lead to those before
	 * them; not owned, NULL: none. */
	const struct config_section *defaults;
	struct config_section *next; /* builder.sections */
};

struct config_mistake {
	struct config_place place;
	char *text; /* owned */
};

struct config_reading;

struct config_builder {
	struct config_file *files, *last_file;		/* owned */
	struct config_section *sections, *last_section; /* owned */
	struct config_section *weir;			/* one of sections */
	const struct config_section *defaults;		/* those in force */
	size_t listener_count;
	void *by_name; /* listeners, of tsearch(3) */
	struct config_mistake *mistakes;
	size_t mistake_count;
	const struct config_reading *reading; /* the file that is being read */
	bool failed;			      /* memory was refused */
};

/* Note a mistake. */
void config_note(struct config_builder *builder, struct config_place place,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The file or origin of that name, made where it is new; NULL where memory is
 * refused. */
struct config_file *config_file_get(
    struct config_builder *builder, const char *name);

/* "FILE:LINE", or "-o". Added to text. */
void config_place_text(struct strbuf *text, struct config_place place);

/* A new section at the end. NULL where memory is refused. */
struct config_section *config_section_new(struct config_builder *builder,
    enum config_section_kind kind, const char *name, struct config_place place);

/* The listener of that name, or NULL. */
struct config_section *config_section_find(
    const struct config_builder *builder, const char *name);

/* Whether name can be that of a listener; notes a mistake where not. */
bool config_name_check(struct config_builder *builder, const char *name,
    struct config_place place);

/* KEY = VALUE in a section: checks it, and notes what is wrong. */
void config_assign(struct config_builder *builder,
    struct config_section *section, const char *key, const char *value,
    bool quoted, struct config_place place, bool command_line);

/* Whether the key is set, by the section itself or by [defaults], rightly or
 * not. own (may be NULL) tells the first place in the section itself; its file
 * is NULL where there is none. */
bool config_section_has(const struct config_section *section,
    const struct config_option *option, struct config_place *own);

/* Read what include = pattern stands for; file.c. */
void config_include(struct config_builder *builder, const char *pattern,
    struct config_place place);

/* Check what one key alone cannot show; sections[i] is the one that
 * config->listeners[i] was made of. validate.c. */
void config_validate(struct config_builder *builder, struct config *config,
    struct config_section *const *sections);

/* Free what a listener or a configuration holds, but not itself. */
void config_listener_clear(struct config_listener *listener);
void config_clear(struct config *config);

#endif
