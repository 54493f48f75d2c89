/*
 * The verbs of scenarios about sockets.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>

#include "tests/api/words.h"

/* A resolver that finds what the scenario says, or never answers. */
static void
on_ask(struct weir_query *query, const char *host, uint16_t port, int family,
    void *user)
{
	struct object *object = user;
	struct weir_address found[4];
	char *text, *rest, list[SCRIPT_TEXT];
	size_t n = 0;
	int err = 0;

	(void)host;
	(void)family;
	if (strcmp(object->lookup, "never") == 0)
		return;
	if (strcmp(object->lookup, "nothing") == 0)
		err = WEIR_E_NAME_NOT_FOUND;
	strcpy(list, object->lookup);
	for (text = strtok_r(list, ",", &rest); err == 0 && text != NULL;
	     text = strtok_r(NULL, ",", &rest))
		if (n == 4 || weir_address_set_ip(&found[n++], text, port) != 0)
			err = -EINVAL;
	(void)weir_query_answer(query, err, found, err == 0 ? n : 0);
}

static void
on_cancel(struct weir_query *query, void *user)
{
	(void)query;
	(void)user;
}

static void
set_resolver(const struct step *step, struct weir_connect_options *options,
    const char *found)
{
	struct object *object = step_object(step);

	if (found == NULL)
		return;
	strcpy(object->lookup, found);
	object->resolver.ask = on_ask;
	object->resolver.cancel = on_cancel;
	object->resolver.user = object;
	options->lookup = &object->resolver;
}

static void
do_connect(const struct step *step)
{
	struct weir_connect_options options = {0};
	struct weir_address address, local;
	const struct object *other =
	    step_word(step, 2) != NULL ? play_find(step->word[2]) : NULL;
	const char *text;
	int err;

	if (other == NULL || other->address.length == 0)
		play_mistake(step, "where to?");
	address = other->address;
	if (weir_address_family(&address) == 6)
		step_must(step, weir_address_set_ip(&address, "127.0.0.1",
				    weir_address_port(&address)) == 0);
	if ((text = step_value(step, "family")) != NULL)
		options.family = atoi(text);
	if ((text = step_value(step, "timeout")) != NULL)
		options.timeout_ms = step_ms(text);
	if ((text = step_value(step, "local")) != NULL) {
		step_must(step, weir_address_set_ip(&local, text, 0) == 0);
		options.local = &local;
	}
	options.auto_select_family = step_has(step, "race");
	set_resolver(step, &options, step_value(step, "lookup"));
	text =
	    options.lookup != NULL ? "name.example" : step_value(step, "host");
	if (text != NULL)
		err = weir_socket_connect_host(step_socket(step), text,
		    weir_address_port(&address), &options);
	else
		err =
		    weir_socket_connect(step_socket(step), &address, &options);
	step_answer(step, err);
	if (err == 0 && step_has(step, "tls"))
		tls_client(step);
}

/* Bytes that go on where those before them stopped. */
static unsigned char *
pattern(struct object *object, size_t n)
{
	unsigned char *data = malloc(n > 0 ? n : 1);
	size_t i;

	if (data == NULL)
		abort();
	for (i = 0; i < n; i++)
		data[i] = (unsigned char)((object->written + i) % PLAY_PERIOD);
	object->written += n;
	return data;
}

static void
on_written(struct weir_socket *socket, int err, void *user)
{
	struct written *write = user;
	char text[64];

	(void)socket;
	(void)snprintf(text, sizeof(text), "failed: %s", trace_error(err));
	play_event(write->object, write->event, err != 0 ? text : NULL);
}

/* "as NAME" at word i, or NULL. */
static struct written *
written_as(const struct step *step, size_t i)
{
	struct object *object = step_object(step);
	struct written *write = &object->write[object->writes];

	if (!step_is(step, i, "as"))
		return NULL;
	if (object->writes == PLAY_WRITES || step_word(step, i + 1) == NULL)
		play_mistake(step, "want a name, of not too many");
	object->writes++;
	write->object = object;
	(void)snprintf(write->event, sizeof(write->event), "written-%.20s",
	    step->word[i + 1]);
	return write;
}

static void
do_write(const struct step *step)
{
	size_t n = step_number(step, 2);
	unsigned char *data = pattern(step_object(step), n);
	struct written *as = written_as(step, 3);

	step_answer(step, as != NULL
			      ? weir_socket_write_cb(
				    step_socket(step), data, n, on_written, as)
			      : weir_socket_write(step_socket(step), data, n));
	free(data);
}

static void
do_offer(const struct step *step)
{
	size_t n = step_number(step, 2);
	unsigned char *data = pattern(step_object(step), n);
	int r = weir_socket_write(step_socket(step), data, n);

	free(data);
	step_answer(step, r);
	if (r >= 0)
		trace_add(step_object(step), "offered: %s",
		    r == WEIR_WAIT ? "wait" : "go on");
}

static void
do_end(const struct step *step)
{
	bool has_data = step->words > 2 && !step_is(step, 2, "as");
	size_t n = has_data ? step_number(step, 2) : 0;
	unsigned char *data = pattern(step_object(step), n);
	struct written *as = written_as(step, has_data ? 3 : 2);

	/* On what is not open it does nothing, there as here. */
	(void)weir_socket_end_data(
	    step_socket(step), data, n, as != NULL ? on_written : NULL, as);
	free(data);
}

static void
do_destroy(const struct step *step)
{
	int err = step_is(step, 2, "EIO") ? -EIO : 0;

	if (step->words > 2 && err == 0)
		play_mistake(step, "only EIO is known");
	weir_socket_destroy(step_socket(step), err);
}

static void
do_destroy_soon(const struct step *step)
{
	weir_socket_destroy_soon(step_socket(step));
}

static void
do_reset(const struct step *step)
{
	weir_socket_reset_and_destroy(step_socket(step));
}

static void
do_pause(const struct step *step)
{
	weir_socket_pause(step_socket(step));
}

static void
do_resume(const struct step *step)
{
	weir_socket_resume(step_socket(step));
}

static void
do_pipe(const struct step *step)
{
	const struct weir_pipe_options options = {
	    .keep_open = step_is(step, 3, "keep-open"),
	};

	step_answer(step, weir_socket_pipe(step_socket(step),
			      step_socket_at(step, 2), &options));
}

static void
do_unpipe(const struct step *step)
{
	step_answer(step, weir_socket_unpipe(step_socket(step)));
}

static void
do_timeout(const struct step *step)
{
	step_answer(step, weir_socket_set_timeout(
			      step_socket(step), step_ms(step_word(step, 2))));
}

static void
do_no_delay(const struct step *step)
{
	step_answer(step, weir_socket_set_no_delay(step_socket(step), true));
}

static void
do_keep_alive(const struct step *step)
{
	step_answer(step, weir_socket_set_keep_alive(
			      step_socket(step), true, step_number(step, 2)));
}

static void
do_ref(const struct step *step)
{
	if (step_object(step)->kind == KIND_SERVER)
		weir_server_ref(step_server(step));
	else
		weir_socket_ref(step_socket(step));
}

static void
do_unref(const struct step *step)
{
	if (step_object(step)->kind == KIND_SERVER)
		weir_server_unref(step_server(step));
	else
		weir_socket_unref(step_socket(step));
}

static void
do_free(const struct step *step)
{
	struct object *object = step_object(step);

	if (object->kind == KIND_SERVER)
		weir_server_free(step_server(step));
	else
		weir_socket_free(step_socket(step));
	object->server = NULL;
	object->socket = NULL;
}

/* ---- questions ---- */

static void
do_state(const struct step *step)
{
	static const char *const name[] = {
	    [WEIR_CLOSED] = "closed",
	    [WEIR_OPENING] = "opening",
	    [WEIR_OPEN] = "open",
	    [WEIR_READ_ONLY] = "readOnly",
	    [WEIR_WRITE_ONLY] = "writeOnly",
	};

	trace_add(step_object(step), "state %s",
	    name[weir_socket_ready_state(step_socket(step))]);
}

static void
do_bytes(const struct step *step)
{
	trace_add(step_object(step), "bytes read %" PRIu64 ", written %" PRIu64,
	    weir_socket_bytes_read(step_socket(step)),
	    weir_socket_bytes_written(step_socket(step)));
}

static void
do_buffered(const struct step *step)
{
	trace_add(step_object(step), "buffered %s",
	    weir_socket_buffered(step_socket(step)) > 0 ? "some" : "none");
}

static void
do_local(const struct step *step)
{
	struct weir_address address;
	int err = weir_socket_local_address(step_socket(step), &address);

	step_say_address(step, "local", err, &address);
}

static void
do_remote(const struct step *step)
{
	struct weir_address address;
	int err = weir_socket_remote_address(step_socket(step), &address);

	step_say_address(step, "remote", err, &address);
}

const struct verb verbs_socket[] = {
    {"connect", do_connect, false},
    {"write", do_write, false},
    {"offer", do_offer, false},
    {"end", do_end, false},
    {"destroy", do_destroy, false},
    {"destroy-soon", do_destroy_soon, false},
    {"reset", do_reset, false},
    {"pause", do_pause, false},
    {"resume", do_resume, false},
    {"pipe", do_pipe, false},
    {"unpipe", do_unpipe, false},
    {"timeout", do_timeout, false},
    {"no-delay", do_no_delay, false},
    {"keep-alive", do_keep_alive, false},
    {"ref", do_ref, false},
    {"unref", do_unref, false},
    {"free", do_free, false},
    {"state", do_state, false},
    {"bytes", do_bytes, false},
    {"buffered", do_buffered, false},
    {"local", do_local, false},
    {"remote", do_remote, false},
    {NULL, NULL, false},
};
