/*
 * The verbs of scenarios that declare objects, and those of servers: each a
 * call of libweir or a question to it. What a call refuses is a row of the
 * trace.
 */
#include "config.h"

#include <sys/socket.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/api/words.h"

/* ---- declarations ---- */

static void
do_server(const struct step *step)
{
	const struct weir_server_options options = {
	    .allow_half_open = step_has(step, "half-open"),
	    .pause_on_connect = step_has(step, "paused"),
	};
	struct object *object = play_declare(step->word[1], KIND_SERVER);
	size_t i, n = 0;
	bool names = false;

	for (i = 2; i < step->words; i++) {
		if (names) {
			if (n == PLAY_NAMES ||
			    strlen(step->word[i]) >= PLAY_NAME)
				play_mistake(step, "no room for that name");
			strcpy(object->names[n++], step->word[i]);
			(void)play_declare(step->word[i], KIND_UNKNOWN);
		}
		names = names || step_is(step, i, "accepts");
	}
	step_must(step, weir_server_new(&object->server, play.loop, &options,
			    &play_server_handlers, object) == 0);
	if (step_has(step, "tls"))
		tls_server(step);
}

static void
do_socket(const struct step *step)
{
	const char *mark = step_value(step, "high-water");
	const struct weir_socket_options options = {
	    .allow_half_open = step_has(step, "half-open"),
	    .high_water_mark = mark != NULL ? strtoul(mark, NULL, 10) : 0,
	};
	struct object *object = play_declare(step->word[1], KIND_SOCKET);

	object->muted = step_has(step, "mute");
	step_must(step,
	    weir_socket_new(&object->socket, play.loop, &options,
		object->muted ? &play_mute_handlers : &play_socket_handlers,
		object) == 0);
}

static void
do_mute(const struct step *step)
{
	step_object(step)->muted = true;
}

static void
do_show(const struct step *step)
{
	if (!step_is(step, 2, "drain"))
		play_mistake(step, "only drain is hidden");
	step_object(step)->show_drain = true;
}

/* ---- descriptors and files made by hand ---- */

static struct weir_address
unix_address(const struct step *step, const char *name)
{
	struct weir_address address;
	char path[WEIR_ADDRESS_TEXT];

	(void)snprintf(path, sizeof(path), "%s/%s", play.scratch, name);
	step_must(step, weir_address_set_unix(&address, path, false) == 0);
	return address;
}

static int
bound(const struct step *step, struct weir_address *address)
{
	int fd = socket(address->u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	step_must(
	    step, fd != -1 && bind(fd, &address->u.sa, address->length) == 0 &&
		      getsockname(fd, &address->u.sa, &address->length) == 0);
	return fd;
}

static void
do_place(const struct step *step)
{
	struct object *object = play_declare(step->word[1], KIND_PLACE);

	step_must(
	    step, weir_address_set_ip(&object->address, "127.0.0.1", 0) == 0);
	object->fd = bound(step, &object->address);
}

static void
do_fd(const struct step *step)
{
	struct object *object = play_declare(step->word[1], KIND_FD);
	struct weir_address address;

	if (step_is(step, 2, "null")) {
		object->fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		step_must(step, object->fd != -1);
		return;
	}
	if (step_is(step, 2, "unix"))
		address = unix_address(step, "inherited");
	else
		step_must(
		    step, weir_address_set_ip(&address, "127.0.0.1", 0) == 0);
	object->fd = bound(step, &address);
	if (step_is(step, 3, "listening"))
		step_must(step, listen(object->fd, 16) == 0);
}

static void
do_stale(const struct step *step)
{
	struct weir_address address = unix_address(step, step->word[1]);

	(void)close(bound(step, &address));
}

static void
do_file(const struct step *step)
{
	struct weir_address address = unix_address(step, step->word[1]);
	int fd =
	    open(address.u.un.sun_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	step_must(step, fd != -1);
	(void)close(fd);
}

static void
do_exists(const struct step *step)
{
	struct weir_address address = unix_address(step, step->word[1]);

	trace_add(step_object(step), "file %s",
	    access(address.u.un.sun_path, F_OK) == 0 ? "there" : "gone");
}

/* ---- servers ---- */

static void
do_listen(const struct step *step)
{
	struct object *other =
	    step->words > 3 ? play_find(step->word[3]) : NULL;
	struct weir_address address;
	int err;

	if (step_is(step, 2, "any")) {
		err = weir_server_listen_any(step_server(step), 0, NULL);
	} else if (step_is(step, 2, "fd") && other != NULL) {
		err = weir_server_listen_fd(step_server(step), other->fd, NULL);
		if (err == 0)
			other->fd = -1; /* the server's */
	} else {
		if (step_is(step, 2, "at") && other != NULL)
			address = other->address;
		else if (step_is(step, 2, "unix"))
			address = unix_address(step, step->word[1]);
		else
			step_must(step,
			    weir_address_set_ip(&address, "127.0.0.1", 0) == 0);
		err = weir_server_listen(step_server(step), &address, NULL);
	}
	step_answer(step, err);
}

static void
do_close(const struct step *step)
{
	step_answer(step, weir_server_close(step_server(step)));
}

static void
do_max(const struct step *step)
{
	weir_server_set_max_connections(
	    step_server(step), (long)step_number(step, 2));
}

static void
do_connections(const struct step *step)
{
	trace_add(step_object(step), "connections %zu",
	    weir_server_connections(step_server(step)));
}

static void
do_listening(const struct step *step)
{
	trace_add(step_object(step), "listening? %s",
	    weir_server_listening(step_server(step)) ? "yes" : "no");
}

static void
do_address(const struct step *step)
{
	struct weir_address address;
	int err = weir_server_address(step_server(step), &address);

	step_say_address(step, "address", err, &address);
}

const struct verb verbs_server[] = {
    {"server", do_server, true},
    {"socket", do_socket, true},
    {"place", do_place, true},
    {"fd", do_fd, true},
    {"mute", do_mute, false},
    {"show", do_show, false},
    {"stale", do_stale, false},
    {"file", do_file, false},
    {"exists", do_exists, false},
    {"listen", do_listen, false},
    {"close", do_close, false},
    {"max", do_max, false},
    {"connections", do_connections, false},
    {"listening", do_listening, false},
    {"address", do_address, false},
    {NULL, NULL, false},
};

static const struct verb *
find(const struct verb *verb, const char *name)
{
	while (verb->name != NULL && strcmp(verb->name, name) != 0)
		verb++;
	return verb->name != NULL ? verb : NULL;
}

void
verbs_perform(const struct step *step)
{
	const struct verb *verb = find(verbs_server, step->word[0]);

	if (verb == NULL)
		verb = find(verbs_socket, step->word[0]);
	if (verb == NULL)
		verb = find(verbs_tls, step->word[0]);
	if (verb == NULL)
		play_mistake(step, "no such verb");
	if (step->words < 2 || (!verb->declares && step_object(step) == NULL))
		play_mistake(step, "no such object");
	play.calls++;
	verb->fn(step);
	play.calls--;
}
