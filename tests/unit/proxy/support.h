/*
 * What the tests of the proxy share: a real proxy on a loop, from a text of
 * configuration; clients and upstreams as plain sockets; and the loop driven
 * until a condition holds or a deadline has passed.
 */
#ifndef TESTS_UNIT_PROXY_SUPPORT_H
#define TESTS_UNIT_PROXY_SUPPORT_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/proxy.h"

struct bench {
	struct weir_loop *loop;
	struct weir_timer *tick;
	struct config *config;
	struct board *board;
	unsigned workers; /* to be set before; 0 is 1 */
	struct proxy *proxy;
	unsigned ready, failed, drained, changes; /* handlers called */
	uint64_t destroyed;
	char directory[64]; /* of its own; the log is in it */
	int fds_before;
	uint64_t deadline_ms;
	void (*hook)(struct bench *); /* called by on_change; or NULL */
};

/* A condition with no deadline of its own: until() has one for all. */
#define until(b, condition)                                                    \
	do {                                                                   \
		bench_begin_wait(b);                                           \
		while (!(condition)) {                                         \
			ck_assert_msg(bench_step(b), "never: %s, line %d",     \
			    #condition, __LINE__);                             \
		}                                                              \
	} while (0)

/* Let the loop run for so long, where something must not happen. */
void bench_pass(struct bench *b, uint64_t ms);

/*
 * A proxy of this configuration (printf), started, ready and accepting.
 * bench_open() leaves it at proxy_new(). "%s" for bench->directory is the
 * caller's to give; bench_directory() makes it before.
 */
void bench_directory(struct bench *b);
void bench_open(struct bench *b, uint64_t max_connections,
    struct proxy_passed_fd *passed, size_t passed_count, const char *format,
    ...) __attribute__((format(printf, 5, 6)));
void bench_start(struct bench *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Checks that the sums are right, frees everything, and that no descriptor
 * and no program is left.
 */
void bench_close(struct bench *b);
/* Of each listener accepted = connections + closed; and all of all. */
void bench_check_sums(struct bench *b);

void bench_begin_wait(struct bench *b);
bool bench_step(struct bench *b);
int bench_fds(void);

/* What was logged so far; free(). And how often a text is in it. */
char *bench_log(struct bench *b);
unsigned bench_logged(struct bench *b, const char *text);

/* Programs that were started and are not done with. */
unsigned bench_children(const struct bench *b);

struct listener_figures bench_figures(const struct bench *b, size_t index);
/* The address number n of a listener, as text; static. */
const char *bench_address(const struct bench *b, size_t listener, size_t n);
unsigned bench_address_count(const struct bench *b, size_t listener);

/* State of the n-th open session ("" for none), and its id; static. */
const char *bench_session(const struct bench *b, size_t n);
uint64_t bench_session_id(const struct bench *b, size_t n);

/* A client of a listener's first address; non-blocking. */
int client(struct bench *b, size_t listener);
/* A client of an address as bench_address() tells it. -1 when refused. */
int client_of(const char *address);

/* A listening socket on 127.0.0.1, port 0 (or a port that is known). */
int upstream(uint16_t *port);
int upstream_accept(struct bench *b, int listening);

void put(int fd, const char *text);
/* As many bytes come, and are these. */
void got(struct bench *b, int fd, const char *text);
/* Nothing is there now. */
bool quiet(int fd);
/* How the other side ended it, all bytes before thrown away: "" not yet,
 * "end", or "reset". */
const char *ended(int fd);
void reset(int fd);
/* Fill the way to a peer that does not read. Returns the bytes taken. */
size_t stuff(struct bench *b, int fd);

/* Valgrind has its own ways with a limit of descriptors, and with a program
 * that is not there. */
bool under_valgrind(void);

/*
 * Two workers of which one comes while the other is about to take a place,
 * wherever it is in doing so: a signal interrupts it. Only take is interrupted;
 * what it needs is made by prepare. False where both had the place at once, or
 * one of them never had it. No assertions in these: libcheck's are slow, and
 * not for a signal's handler.
 */
struct race {
	void (*prepare)(unsigned worker);
	bool (*take)(unsigned worker);
	void (*give)(unsigned worker); /* whether it was taken or not */
};
bool race_is_fair(const struct race *race);

int support_run(Suite *suite);

#endif
