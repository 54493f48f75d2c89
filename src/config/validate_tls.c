/*
 * The rules of TLS that one key alone cannot show. A key that is sure to make
 * TLS fail, or to be less safe than it looks, is a mistake; one that is merely
 * without effect is a warning. The files themselves are check_tls.c's.
 */
#include <config.h>

#include <string.h>

#include "config/validate_priv.h"

/* Whether a key stands in its section for the first time. */
static bool
is_first(const struct config_check *check, const struct config_assignment *own)
{
	const struct config_assignment *a = check->section->first;

	while (a != own && a->option != own->option)
		a = a->next;
	return a == own;
}

/* Keys that only count with tls, or upstream_tls, on. */
static void
check_idle(const struct config_check *check, const char *prefix)
{
	const struct config_assignment *a;
	size_t length = strlen(prefix);

	for (a = check->section->first; a != NULL; a = a->next)
		if (strncmp(a->option->key, prefix, length) == 0 &&
		    a->option->key[length] == '_' && is_first(check, a))
			config_warn(check->builder, check->config, a->place,
			    "%s: has no effect, as listener %s has no %s = on",
			    a->option->key, check->listener->name, prefix);
}

/* Certificates and keys are pairs by their order. */
static void
check_pairs(const struct config_check *check, const struct config_tls *tls,
    const char *certificate, const char *key)
{
	size_t pairs = tls->pair_count, keys = tls->key_count;

	if (keys == 0 || keys == pairs ||
	    config_check_bad(check, certificate) ||
	    config_check_bad(check, key))
		return;
	config_note(check->builder, config_check_place(check, key),
	    "%s: listener %s has %zu of it for %zu of %s (they are pairs, by "
	    "their order; without any, each key is in its certificate's file)",
	    key, check->listener->name, keys, pairs, certificate);
}

static void
check_versions(const struct config_check *check, const struct config_tls *tls,
    const char *min, const char *max)
{
	if (tls->max_version == CONFIG_TLS_DEFAULT ||
	    tls->max_version >= tls->min_version ||
	    config_check_bad(check, min) || config_check_bad(check, max))
		return;
	config_note(check->builder, config_check_place(check, max),
	    "%s: is below %s, so listener %s would speak no version of TLS",
	    max, min, check->listener->name);
}

/* Certificates of clients need someone who is trusted to sign them. */
static void
check_clients(const struct config_check *check)
{
	const struct config_tls *tls = &check->listener->tls;

	if (tls->verify != CONFIG_VERIFY_OFF && tls->ca == NULL &&
	    !config_check_bad(check, "tls_client_ca"))
		config_note(check->builder,
		    config_check_place(check, "tls_client_verify"),
		    "tls_client_verify: listener %s has no tls_client_ca to "
		    "verify clients by (write tls_client_ca = PATH)",
		    check->listener->name);
	if (tls->verify == CONFIG_VERIFY_OFF && tls->ca != NULL &&
	    !config_check_bad(check, "tls_client_verify"))
		config_warn(check->builder, check->config,
		    config_check_place(check, "tls_client_ca"),
		    "tls_client_ca: has no effect, as listener %s asks for no "
		    "certificate (write tls_client_verify = optional or "
		    "required)",
		    check->listener->name);
}

static void
check_server(const struct config_check *check)
{
	const struct config_listener *listener = check->listener;

	if (listener->tls.pair_count == 0 &&
	    !config_check_bad(check, "tls_certificate"))
		config_note(check->builder, config_check_place(check, "tls"),
		    "tls: listener %s has no certificate (write "
		    "tls_certificate = PATH and tls_key = PATH)",
		    listener->name);
	check_pairs(check, &listener->tls, "tls_certificate", "tls_key");
	check_versions(
	    check, &listener->tls, "tls_min_version", "tls_max_version");
	check_clients(check);
	if (listener->route_count > 0)
		config_note(check->builder, config_check_place(check, "tls"),
		    "tls: listener %s also has %s, which looks at a TLS that "
		    "is not ended here (leave one of them out)",
		    listener->name,
		    listener->routes[0].kind == CONFIG_ROUTE_SNI ? "sni"
								 : "alpn");
}

/* Its mode has no upstream to speak TLS to; [defaults] count for nothing. */
static void
drop_upstream(const struct config_check *check)
{
	struct config_listener *listener = check->listener;
	struct config_place own;

	config_check_has(check, "upstream_tls", &own);
	if (listener->upstream_tls.on && own.file != NULL)
		config_note(check->builder, own,
		    "upstream_tls: listener %s does not have mode = forward, "
		    "which alone takes it",
		    listener->name);
	listener->upstream_tls.on = false;
}

void
config_check_tls(const struct config_check *check)
{
	struct config_listener *listener = check->listener;

	if (listener->tls.on)
		check_server(check);
	else if (!config_check_bad(check, "tls"))
		check_idle(check, "tls");
	if (listener->mode != CONFIG_FORWARD &&
	    !config_check_bad(check, "mode") &&
	    config_check_has(check, "mode", NULL))
		drop_upstream(check);
	else if (listener->upstream_tls.on) {
		check_pairs(check, &listener->upstream_tls,
		    "upstream_tls_certificate", "upstream_tls_key");
		check_versions(check, &listener->upstream_tls,
		    "upstream_tls_min_version", "upstream_tls_max_version");
	} else if (!config_check_bad(check, "upstream_tls"))
		check_idle(check, "upstream_tls");
}
