#ifndef TESTS_API_PLAY_H
#define TESTS_API_PLAY_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <weir/address.h>
#include <weir/resolve.h>
#include <weir/server.h>
#include <weir/socket.h>

#include "tests/api/script.h"

struct weir_loop;

#define PLAY_OBJECTS 16
#define PLAY_NAMES   6
#define PLAY_EVENTS  24
#define PLAY_NAME    32
#define PLAY_WRITES  8

/* Bytes are sent in a pattern of this period, a prime, so that one that is
 * lost, doubled or moved is seen. */
#define PLAY_PERIOD 251

enum kind {
	KIND_UNKNOWN, /* of a connection that has not come */
	KIND_SERVER,
	KIND_SOCKET,
	KIND_PLACE, /* a port that is bound and not listened on */
	KIND_FD,    /* a descriptor to inherit */
};

struct event_count {
	char name[PLAY_NAME];
	unsigned count, waited;
};

/* What a write is called by: "as NAME". */
struct written {
	struct object *object;
	char event[PLAY_NAME];
};

/* What a scenario calls by name. */
struct object {
	char name[PLAY_NAME];
	enum kind kind;
	struct weir_server *server; /* ours; NULL once freed */
	struct weir_socket *socket;
	int fd;
	struct weir_address address;	   /* where it listened last */
	char names[PLAY_NAMES][PLAY_NAME]; /* of connections to come */
	unsigned next_name;
	bool muted; /* no on_data */
	bool show_drain;
	struct written write[PLAY_WRITES];
	size_t writes;
	char lookup[SCRIPT_TEXT]; /* what its resolver finds */
	struct weir_resolver resolver;

	struct event_count event[PLAY_EVENTS];
	uint64_t data_waiting; /* bytes that no "wait" has taken */
	int next_byte;	       /* of the pattern; -1: any */
	bool broken;
	size_t written;
	size_t tail; /* its last row of the trace, plus one */
};

/* The play of this process. */
extern struct play {
	struct script *script;
	struct weir_loop *loop;
	struct object object[PLAY_OBJECTS];
	size_t objects;
	char scratch[64];
	char folder[PATH_MAX]; /* the scenario's, and of its certificates */
	unsigned calls;	       /* of libweir under way, from a step */
} play;

/* ---- play.c ---- */

/* Play a scenario and write its trace to out. False when it got stuck, or left
 * something behind; stderr says what. */
bool play_script(struct script *script, const char *file, FILE *out);

/* By how much milliseconds are longer here (WEIR_TIME_SCALE). */
unsigned long play_time_scale(void);

/* A scenario that cannot be played is a mistake in it: says so and exits. */
_Noreturn void play_mistake(const struct step *step, const char *what);

struct object *play_find(const char *name);
struct object *play_declare(const char *name, enum kind kind);

/* An event of an object: a row of the trace, and what the scenario does. */
void play_event(struct object *object, const char *event, const char *detail);
void play_count(struct object *object, const char *event);

extern const struct weir_server_handlers play_server_handlers;
extern const struct weir_socket_handlers play_socket_handlers;
extern const struct weir_socket_handlers play_mute_handlers;

/* ---- verbs.c ---- */

void verbs_perform(const struct step *step);

/* ---- verbs_tls.c ---- */

void tls_free(void); /* the contexts of the play */

/* ---- trace.c ---- */

__attribute__((format(printf, 2, 3))) void trace_add(
    struct object *object, const char *format, ...);
void trace_data(struct object *object, const unsigned char *data, size_t n);
void trace_print(FILE *out, bool global);
void trace_clear(void);

/* The name that scenarios use for an error. */
const char *trace_error(int err);

#endif
