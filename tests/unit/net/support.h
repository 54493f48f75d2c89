/*
 * What the tests of sockets and servers share: a loop that is driven until
 * something is so, watchers that write down what they are told, peers that
 * are plain descriptors, and a count of descriptors that must come out even.
 */
#ifndef TESTS_NET_SUPPORT_H
#define TESTS_NET_SUPPORT_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/loop.h>
#include <weir/server.h>
#include <weir/socket.h>

/* The loop of the test that runs now. */
extern struct weir_loop *loop;

/* Checked fixtures: a loop, and no descriptor or byte of ours left over. */
void support_begin(void);
void support_end(void);

/* For who makes the loop by himself: what turn() needs, and without. */
void support_tick(void);
void support_untick(void);

/* One turn of the loop; it waits a few milliseconds at the most. */
void turn(void);

/* One that does not wait at all. */
void glance(void);

/* Fails the test once it has taken absurdly long. */
void still_in_time(const char *what, const char *file, int line);

/* Turn until expr is true. */
#define until(expr)                                                            \
	do {                                                                   \
		while (!(expr)) {                                              \
			still_in_time(#expr, __FILE__, __LINE__);              \
			turn();                                                \
		}                                                              \
		still_in_time(NULL, NULL, 0);                                  \
	} while (0)

/* Turns that the loop takes by itself in about so many milliseconds. A loop
 * that has nothing to do takes hardly any, one that spins takes thousands. */
unsigned turns_in(unsigned ms);

/* Let everything that is due happen: several turns in which nothing waits. */
void settle(void);

/* Descriptors that are open. */
size_t descriptors(void);

/* ---- sockets that are watched ---- */

struct watcher {
	struct weir_socket *socket; /* NULL once act() or we have freed it */
	char told[1024];	    /* "connect ready data end close " */
	unsigned char *data;	    /* what on_data brought */
	size_t length, room;
	int error;  /* of on_error */
	int broken; /* of on_broken */
	int full;   /* of on_full */
	int closed; /* of on_close */
	unsigned closes, timeouts, drains, calls;
	bool discard; /* keep no data, only count */

	/* Called after each is written down; may free the socket. */
	void (*act)(struct watcher *w, const char *what);
	void *extra;
};

/* With on_data, and without. */
extern const struct weir_socket_handlers loud;
extern const struct weir_socket_handlers quiet;

/* Whether name was told to w. */
bool was_told(const struct watcher *w, const char *name);

/* A fresh socket, watched. */
void watch_new(struct watcher *w, const struct weir_socket_handlers *handlers,
    bool allow_half_open);

/* ... around a descriptor. */
void watch_fd(struct watcher *w, const struct weir_socket_handlers *handlers,
    bool allow_half_open, int fd);

/* Free the socket and what the watcher kept. */
void forget_watcher(struct watcher *w);

/* ---- peers ---- */

enum kind { TCP4, TCP6, UNIX };

/* Two ends of a stream, both non-blocking. */
void stream_pair(enum kind kind, int fds[2]);

/* The same, and w is around the first; returns the other. */
int watched_pair(enum kind kind, struct watcher *w,
    const struct weir_socket_handlers *handlers, bool allow_half_open);

/* An address of that kind to listen on; unix is a new path each time. */
struct weir_address address_for(enum kind kind);

/* Remove what address_for() has left. */
void remove_paths(void);

/* A plain listening socket; its address in *at. */
int listening_fd(enum kind kind, struct weir_address *at);

/* A plain connection to an address; fails the test where it cannot be. */
int connected_fd(const struct weir_address *to);

/* All of text goes to fd without a turn. */
void say(int fd, const char *text);

/* Turn until fd has brought exactly this text. */
void expect(int fd, const char *text);

/* Turn until fd has brought its end. */
void expect_end(int fd);

/* Turn until fd has brought a reset. */
void expect_reset(int fd);

/* Whether nothing can be read from fd now. */
bool silent_fd(int fd);

/* Close with a reset. */
void reset_fd(int fd);

/* Write into fd until the kernel takes no more; returns how much. Byte n of
 * the whole is pattern(n). */
size_t stuff(int fd, uint64_t from);
size_t stuff_most(int fd, uint64_t from, uint64_t most);
unsigned char pattern(uint64_t n);

/* Read what is there and compare with the pattern from *at, which moves on.
 * Returns false when the end was read. At most most bytes. */
bool take(int fd, uint64_t *at, size_t most);

/* So many bytes of the pattern; the caller's to free. */
unsigned char *pattern_bytes(uint64_t from, size_t length);

/* Smallest kernel buffers, so that little fills them. */
void shrink(int fd);

/* Run a suite of one file. */
int run_suite(Suite *suite);

#endif
