/* What validate.c, conflict.c and the other files of rules share. */
#ifndef CONFIG_VALIDATE_PRIV_H
#define CONFIG_VALIDATE_PRIV_H

#include "config/builder_priv.h"

/* One listener under check. */
struct config_check {
	struct config_builder *builder;
	struct config *config;
	struct config_listener *listener;
	const struct config_section *section;
};

/* Whether a key is set, by itself or by [defaults]; as
 * config_section_has(). */
bool config_check_has(const struct config_check *check, const char *key,
    struct config_place *own);

/* Whether a key is set, but to something that was refused. */
bool config_check_bad(const struct config_check *check, const char *key);

/* The place of a listener's key, or of its section. */
struct config_place config_check_place(
    const struct config_check *check, const char *key);

/* Keep a warning. */
void config_warn(struct config_builder *builder, struct config *config,
    struct config_place place, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Addresses that cannot be bound side by side; conflict.c. */
void config_check_conflicts(
    struct config_builder *builder, const struct config *config);

/* tls, upstream_tls and what belongs to them; validate_tls.c. */
void config_check_tls(const struct config_check *check);

/* What is sent where, and by whom; once the upstreams are known;
 * validate_forward.c. */
void config_check_forward(const struct config_check *check);
void config_check_upstreams(
    struct config_builder *builder, struct config *config);

#endif
