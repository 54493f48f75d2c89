/*
 * Plays a scenario on libweir: its main line of steps, which goes on from the
 * loop, and the steps that handlers take. Every event is told to the trace
 * first and answered then.
 */
#include "config.h"

#include "tests/api/words.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/loop.h>

#define STUCK_MS 10000

struct play play;

static struct weir_timer *turn; /* the main line goes on from it */
static size_t next_step;
static bool going; /* turn is due, or the main line runs */
static bool stuck;

unsigned long
play_time_scale(void)
{
	const char *text = getenv("WEIR_TIME_SCALE");
	unsigned long scale = text != NULL ? strtoul(text, NULL, 10) : 0;

	return scale > 0 ? scale : 1;
}

_Noreturn void
play_mistake(const struct step *step, const char *what)
{
	fprintf(stderr, "line %u: %s: %s\n", step->line, step->text, what);
	exit(1);
}

struct object *
play_find(const char *name)
{
	size_t i;

	for (i = 0; i < play.objects; i++)
		if (strcmp(play.object[i].name, name) == 0)
			return &play.object[i];
	return NULL;
}

struct object *
play_declare(const char *name, enum kind kind)
{
	struct object *object = play_find(name);

	if (object == NULL) {
		if (play.objects == PLAY_OBJECTS || strlen(name) >= PLAY_NAME) {
			fprintf(stderr, "%s: no room for it\n", name);
			exit(1);
		}
		object = &play.object[play.objects++];
		strcpy(object->name, name);
		object->fd = object->next_byte = -1;
	}
	if (kind != KIND_UNKNOWN)
		object->kind = kind;
	return object;
}

/* ---- events ---- */

static struct event_count *
counter(struct object *object, const char *event)
{
	size_t i;

	for (i = 0; i < PLAY_EVENTS; i++) {
		if (object->event[i].name[0] == '\0' &&
		    strlen(event) < PLAY_NAME)
			strcpy(object->event[i].name, event);
		if (strcmp(object->event[i].name, event) == 0)
			return &object->event[i];
	}
	fprintf(stderr, "%s: no room for its event %s\n", object->name, event);
	exit(1);
}

/* Whether what the main line waits for has come; it is taken then. */
static bool
come(const struct step *step)
{
	struct object *object =
	    step->words >= 3 ? play_find(step->word[1]) : NULL;
	struct event_count *count;
	uint64_t bytes;

	if (object == NULL)
		play_mistake(step, "want: wait OBJECT EVENT");
	if (strcmp(step->word[2], "data") == 0) {
		bytes = step->words > 3 ? strtoull(step->word[3], NULL, 10) : 0;
		if (bytes == 0)
			play_mistake(step, "want: wait OBJECT data BYTES");
		if (object->data_waiting < bytes)
			return false;
		object->data_waiting -= bytes;
		return true;
	}
	count = counter(object, step->word[2]);
	if (count->count == count->waited)
		return false;
	count->waited++;
	return true;
}

static void
look(void)
{
	if (going || next_step >= play.script->steps ||
	    !come(&play.script->step[next_step]))
		return;
	going = true;
	next_step++;
	(void)weir_timer_start(turn, 0);
}

void
play_count(struct object *object, const char *event)
{
	struct reply *reply;
	size_t i, j;

	counter(object, event)->count++;
	for (i = 0; i < play.script->replies; i++) {
		reply = &play.script->reply[i];
		if (reply->done || strcmp(reply->object, object->name) != 0 ||
		    strcmp(reply->event, event) != 0)
			continue;
		reply->done = reply->once;
		for (j = 0; j < reply->steps; j++)
			verbs_perform(&reply->step[j]);
	}
	look();
}

void
play_event(struct object *object, const char *event, const char *detail)
{
	trace_add(object, "%s%s%s%s", event, detail != NULL ? " " : "",
	    detail != NULL ? detail : "",
	    play.calls > 0 ? ", from inside a call" : "");
	play_count(object, event);
}

/* ---- handlers ---- */

static void
on_lookup(struct weir_socket *socket, int err,
    const struct weir_address *address, const char *host, void *user)
{
	char text[WEIR_ADDRESS_TEXT];

	(void)socket;
	(void)host;
	play_event(user, "lookup",
	    err != 0 ? trace_error(err)
		     : weir_address_host(address, text, sizeof(text)));
}

static void
on_connect(struct weir_socket *socket, void *user)
{
	(void)socket;
	play_event(user, "connect", NULL);
}

static void
on_ready(struct weir_socket *socket, void *user)
{
	(void)socket;
	play_event(user, "ready", NULL);
}

static void
on_data(struct weir_socket *socket, const void *data, size_t n, void *user)
{
	struct object *object = user;

	(void)socket;
	trace_data(object, data, n);
	object->data_waiting += n;
	play_count(object, "data");
}

static void
on_end(struct weir_socket *socket, void *user)
{
	(void)socket;
	play_event(user, "end", NULL);
}

static void
on_timeout(struct weir_socket *socket, void *user)
{
	(void)socket;
	play_event(user, "timeout", NULL);
}

static void
on_drain(struct weir_socket *socket, void *user)
{
	struct object *object = user;

	(void)socket;
	if (object->show_drain)
		play_event(object, "drain", NULL);
}

static void
on_error(struct weir_socket *socket, int err, void *user)
{
	(void)socket;
	play_event(user, "error", trace_error(err));
}

static void
on_close(struct weir_socket *socket, int err, void *user)
{
	(void)socket;
	play_event(user, "close", err != 0 ? "with an error" : NULL);
}

static void
on_secure(struct weir_socket *socket, void *user)
{
	(void)socket;
	play_event(user, "secure", NULL);
}

#define SOCKET_HANDLERS                                                        \
	.on_lookup = on_lookup, .on_connect = on_connect,                      \
	.on_ready = on_ready, .on_end = on_end, .on_timeout = on_timeout,      \
	.on_drain = on_drain, .on_error = on_error, .on_close = on_close,      \
	.on_secure = on_secure

const struct weir_socket_handlers play_socket_handlers = {
    SOCKET_HANDLERS,
    .on_data = on_data,
};

const struct weir_socket_handlers play_mute_handlers = {
    SOCKET_HANDLERS,
};

static void
on_listening(struct weir_server *server, void *user)
{
	struct object *object = user;

	(void)weir_server_address(server, &object->address);
	play_event(object, "listening", NULL);
}

static void
on_connection(
    struct weir_server *server, struct weir_socket *socket, void *user)
{
	struct object *object = user, *client;
	const char *name = object->next_name < PLAY_NAMES
			       ? object->names[object->next_name++]
			       : "";

	(void)server;
	if (*name == '\0') {
		fprintf(stderr, "%s: no name for another connection\n",
		    object->name);
		exit(1);
	}
	client = play_declare(name, KIND_SOCKET);
	client->socket = socket;
	weir_socket_set_handlers(socket,
	    client->muted ? &play_mute_handlers : &play_socket_handlers,
	    client);
	play_event(object, "connection", name);
}

static const char *
name_of(const struct weir_socket *socket)
{
	size_t i;

	for (i = 0; i < play.objects; i++)
		if (play.object[i].socket == socket)
			return play.object[i].name;
	return "nobody";
}

static void
on_secure_connection(
    struct weir_server *server, struct weir_socket *socket, void *user)
{
	(void)server;
	play_event(user, "secure", name_of(socket));
}

static void
on_tls_client_error(
    struct weir_server *server, struct weir_socket *socket, int err, void *user)
{
	char text[PLAY_NAME * 2];

	(void)server;
	(void)snprintf(
	    text, sizeof(text), "%s %s", name_of(socket), trace_error(err));
	play_event(user, "tls-client-error", text);
}

static void
on_drop(struct weir_server *server, const struct weir_address *local,
    const struct weir_address *remote, void *user)
{
	(void)server;
	(void)local;
	(void)remote;
	play_event(user, "drop", NULL);
}

static void
on_server_error(struct weir_server *server, int err, void *user)
{
	(void)server;
	play_event(user, "error", trace_error(err));
}

static void
on_server_close(struct weir_server *server, void *user)
{
	(void)server;
	play_event(user, "close", NULL);
}

const struct weir_server_handlers play_server_handlers = {
    .on_listening = on_listening,
    .on_connection = on_connection,
    .on_secure_connection = on_secure_connection,
    .on_tls_client_error = on_tls_client_error,
    .on_drop = on_drop,
    .on_error = on_server_error,
    .on_close = on_server_close,
};

/* ---- the main line ---- */

static bool
is(const struct step *step, const char *verb)
{
	return strcmp(step->word[0], verb) == 0;
}

static void
go(void)
{
	const struct step *step;

	for (going = true; next_step < play.script->steps; next_step++) {
		step = &play.script->step[next_step];
		if (is(step, "wait")) {
			if (come(step))
				continue;
			going = false;
			return;
		}
		if (is(step, "turn") || is(step, "rest")) {
			next_step++;
			(void)weir_timer_start(turn,
			    step_ms(step->words > 1 ? step->word[1] : NULL));
			return;
		}
		verbs_perform(step);
	}
}

static void
on_turn(struct weir_timer *timer, void *user)
{
	(void)timer;
	(void)user;
	go();
}

static void
on_stuck(struct weir_timer *timer, void *user)
{
	(void)timer;
	(void)user;
	stuck = true;
	weir_loop_stop(play.loop);
}

static bool
still_open(const struct object *object)
{
	if (object->server != NULL)
		return weir_server_fd(object->server) != -1;
	return object->socket != NULL && !weir_socket_dormant(object->socket);
}

static void
print(FILE *out)
{
	size_t i;

	trace_print(out, play.script->global);
	for (i = 0; i < play.objects; i++)
		if (still_open(&play.object[i]))
			fprintf(
			    out, "- %s is still open\n", play.object[i].name);
	if (next_step < play.script->steps)
		fprintf(out, "- the loop ended before: %s\n",
		    play.script->step[next_step].text);
	fprintf(out, "- end\n");
}

static size_t
open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	while (dir != NULL && readdir(dir) != NULL)
		n++;
	if (dir != NULL)
		(void)closedir(dir);
	return n;
}

static void
free_all(void)
{
	struct object *object;
	size_t i;

	for (i = 0; i < play.objects; i++) {
		object = &play.object[i];
		weir_socket_free(object->socket);
		weir_server_free(object->server);
		if (object->fd != -1)
			(void)close(object->fd);
	}
	tls_free();
	weir_timer_free(turn);
	weir_loop_free(play.loop);
}

/* As if nothing had been played. */
static void
forget(void)
{
	trace_clear();
	memset(&play, 0, sizeof(play));
	next_step = 0;
	going = stuck = false;
}

static void
remove_scratch(void)
{
	DIR *dir = opendir(play.scratch);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		(void)unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir != NULL)
		(void)closedir(dir);
	(void)rmdir(play.scratch);
}

static bool
set_out(void)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(play.scratch, sizeof(play.scratch), "%s/weir-XXXXXX",
	    tmp != NULL && strlen(tmp) < 40 ? tmp : "/tmp");
	if (mkdtemp(play.scratch) == NULL ||
	    weir_loop_new(&play.loop, NULL) != 0 ||
	    weir_timer_new(&turn, play.loop, on_turn, NULL) != 0)
		return false;
	return weir_timer_start(turn, 0) == 0;
}

bool
play_script(struct script *script, const char *file, FILE *out)
{
	size_t before = open_descriptors(), after;
	const char *slash = strrchr(file, '/');
	struct weir_timer *watch;
	bool good;

	play.script = script;
	(void)snprintf(play.folder, sizeof(play.folder), "%.*s",
	    slash != NULL ? (int)(slash - file) : 1,
	    slash != NULL ? file : ".");
	if (!set_out() ||
	    weir_timer_new(&watch, play.loop, on_stuck, NULL) != 0) {
		fprintf(stderr, "%s: no loop to play it on\n", file);
		return false;
	}
	weir_timer_unref(watch);
	(void)weir_timer_start(watch, STUCK_MS * play_time_scale());
	(void)weir_loop_run(play.loop);
	print(out);
	if (stuck)
		fprintf(stderr, "%s: stuck at: %s\n", file,
		    next_step < script->steps ? script->step[next_step].text
					      : "its end");
	good = !stuck;
	weir_timer_free(watch);
	free_all();
	remove_scratch();
	forget();
	after = open_descriptors();
	if (after != before)
		fprintf(stderr, "%s: %zu descriptors left open\n", file,
		    after - before);
	return good && after == before;
}
