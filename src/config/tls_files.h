/* The files that TLS needs: from the keys of a listener to a context. */
#ifndef CONFIG_TLS_FILES_H
#define CONFIG_TLS_FILES_H

#include <stddef.h>

#include "config/config.h"

struct weir_tls_cache;
struct weir_tls_context;

/* What the contexts of a server share with those of other processes. */
struct config_tls_shared {
	const void *ticket_key;	      /* 80 random bytes; NULL: of its own */
	struct weir_tls_cache *cache; /* NULL: of its own */
};

/*
 * Make the context of tls (server) or upstream_tls, which is on. Reads all of
 * its files. shared may be NULL. Returns 0 with *ret the caller's, or a
 * negative error with what is wrong, and with which file, in text.
 */
int config_tls_context(const struct config_tls *tls, bool server,
    const struct config_tls_shared *shared, struct weir_tls_context **ret,
    char *text, size_t text_size);

/*
 * Check all files and settings of TLS that a configuration names: what is
 * there and can be read, whether keys fit, ciphers are known, certificates are
 * not over. fn is called with each mistake, "FILE:LINE: message"; only_time
 * tells one that is about the dates of a certificate alone, which weir serves
 * nevertheless. The text lasts until fn returns. Returns 0, or -ENOMEM where
 * some are missing. Blocks for as long as reading takes.
 */
typedef void config_tls_mistake_fn(
    const char *text, bool only_time, void *user);
int config_check_tls_files(
    const struct config *config, config_tls_mistake_fn *fn, void *user);

#endif
