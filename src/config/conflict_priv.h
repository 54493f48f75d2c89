/* Addresses that cannot be bound side by side; conflict.c. */
#ifndef CONFIG_CONFLICT_PRIV_H
#define CONFIG_CONFLICT_PRIV_H

#include "config/builder_priv.h"

void config_check_conflicts(
    struct config_builder *builder, const struct config *config);

/* Keep a warning; validate.c. */
void config_warn(struct config_builder *builder, struct config *config,
    struct config_place place, const char *text);

#endif
