/*
 * TLS in scenarios: the contexts, made of the certificates beside them, and the
 * verb that sets TLS on a socket.
 */
#include "config.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <weir/tls.h>

#include "tests/api/words.h"

#define CONTEXTS 4

/* What was made for this play; a context of the same files serves again. */
static struct made {
	char key[PLAY_NAME];
	struct weir_tls_context *context;
} made[CONTEXTS];

static const char *
pem(char *ret, const char *name)
{
	if (snprintf(ret, PATH_MAX, "%s/%s.pem", play.folder, name) >=
	    PATH_MAX) {
		fprintf(stderr, "%s: a path too long\n", play.folder);
		exit(1);
	}
	return ret;
}

static struct weir_tls_context *
context_of(const struct step *step, const char *key,
    const struct weir_tls_context_options *options)
{
	char why[256] = "";
	struct made *m = made;

	while (m < made + CONTEXTS && m->context != NULL &&
	       strcmp(m->key, key) != 0)
		m++;
	if (m == made + CONTEXTS || strlen(key) >= PLAY_NAME)
		play_mistake(step, "no room for another context");
	if (m->context == NULL &&
	    weir_tls_context_new(&m->context, options, why, sizeof(why)) != 0)
		play_mistake(step, why);
	strcpy(m->key, key);
	return m->context;
}

static struct weir_tls_context *
server_context(const struct step *step)
{
	char certificate[PATH_MAX], key[PATH_MAX];
	const struct weir_tls_pair pair = {
	    .certificate_file = pem(certificate, "localhost"),
	    .key_file = pem(key, "localhost.key"),
	};
	bool old = step_has(step, "version=1.2");
	const struct weir_tls_context_options options = {
	    .server = true,
	    .pairs = &pair,
	    .pair_count = 1,
	    .max_version = old ? WEIR_TLS_1_2 : WEIR_TLS_VERSION_DEFAULT,
	};

	return context_of(step, old ? "server 1.2" : "server", &options);
}

static struct weir_tls_context *
client_context(const struct step *step)
{
	char file[PATH_MAX];
	const char *ca = step_value(step, "ca");
	const struct weir_tls_context_options options = {
	    .ca_file = pem(file, ca != NULL ? ca : "ca"),
	};

	return context_of(step, ca != NULL ? ca : "ca", &options);
}

static struct weir_secure_options
secure_options(const struct step *step)
{
	const char *name = step_value(step, "name");

	return (struct weir_secure_options){
	    .server_name = name != NULL ? name : "localhost",
	    .handshake_timeout_ms = step_ms(step_value(step, "handshake")),
	};
}

void
tls_server(const struct step *step)
{
	const struct weir_secure_options options = secure_options(step);

	step_must(step, weir_server_set_tls(step_server(step),
			    server_context(step), &options) == 0);
}

void
tls_client(const struct step *step)
{
	const struct weir_secure_options options = secure_options(step);

	step_answer(step, weir_socket_set_secure(step_socket(step),
			      client_context(step), &options));
}

static void
do_secure(const struct step *step)
{
	const struct weir_secure_options options = secure_options(step);

	if (step_has(step, "server"))
		step_answer(step, weir_socket_set_secure(step_socket(step),
				      server_context(step), &options));
	else
		tls_client(step);
}

void
tls_free(void)
{
	struct made *m;

	for (m = made; m < made + CONTEXTS; m++)
		weir_tls_context_unref(m->context);
	memset(made, 0, sizeof(made));
}

const struct verb verbs_tls[] = {
    {"secure", do_secure, false},
    {NULL, NULL, false},
};
