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

struct config_section {
	enum config_section_kind kind;
	char *name; /* LISTENER, UPSTREAM; owned */
	struct config_place place;
	struct config_assignment *first, *last; /* owned */
	/* The [defaults] that hold here, which themselves lead to those before
	 * them; not owned, NULL: none. */
	const struct config_section *defaults;
	struct config_upstream *upstream; /* UPSTREAM: what became of it */
	struct config_section *next;	  /* builder.sections */
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
	void *by_name; /* listeners and upstreams, of tsearch(3) */
	struct config_mistake *mistakes;
	size_t mistake_count;
	const struct config_reading *reading; /* the file that is being read */
	bool failed;			      /* memory was refused */
	bool again; /* see config_builder_read_again() */
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

/* The listener or upstream of that name, or NULL. */
struct config_section *config_section_find(const struct config_builder *builder,
    enum config_section_kind kind, const char *name);

/* "listener" or "upstream", as it stands in the header of a section. */
const char *config_kind_text(enum config_section_kind kind);

/* Whether name can be that of a listener or upstream; notes a mistake where
 * not. */
bool config_name_check(struct config_builder *builder,
    enum config_section_kind kind, const char *name, struct config_place place);

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

/* Give the keys of a struct config(_listener, _upstream) their defaults.
 * Returns 0 or -ENOMEM. */
int config_set_defaults(enum option_section section, void *base);

/* Note where a value of an option came from; source.c. Returns 0 or -ENOMEM. */
int config_add_source(struct config *config, struct config_source **sources,
    size_t *count, const struct config_option *option,
    const struct config_origin *origin);

/* Add an upstream; NULL where memory is refused. */
struct config_upstream *config_upstream_new(
    struct config *config, const char *name);

/* Lead every listener to its upstreams, make the implicit ones and give
 * servers their names; notes what is wrong; pool.c. */
void config_make_pools(struct config_builder *builder, struct config *config);

/* Free what a part of a configuration holds, but not itself. */
void config_listener_clear(struct config_listener *listener);
void config_upstream_clear(struct config_upstream *upstream);

/* Forget where a listener forwards to: its mode is another. */
void config_clear_forward(struct config_listener *listener);
void config_clear(struct config *config);

#endif
