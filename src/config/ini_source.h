/*
 * INI text through libinih, with line numbers and without its surprises.
 */
#ifndef CONFIG_INI_SOURCE_H
#define CONFIG_INI_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

struct ini_source_handlers {
	/* A section begins; name is what stands between the brackets, without
	 * spaces at its ends. Empty sections and doubled ones come too. */
	void (*on_section)(const char *name, unsigned line, void *user);

	/*
	 * A key of the section before it. value is without comment; with
	 * quoted it stood in double quotes, which are gone, and its escapes are
	 * still to be undone.
	 */
	void (*on_pair)(const char *key, const char *value, bool quoted,
	    unsigned line, void *user);

	/* A line that is neither; it was left out. */
	void (*on_mistake)(unsigned line, const char *problem, void *user);
};

/*
 * Read text: all of it, whatever mistakes there are. Texts given to handlers
 * last until they return. A handler may read another text meanwhile. Returns 0
 * or -ENOMEM.
 */
int ini_source_read(const char *text, size_t length,
    const struct ini_source_handlers *handlers, void *user);

#endif
