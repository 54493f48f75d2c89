/*
 * Memory that is refused to what goes from one program to the next: at each
 * allocation in turn. Nothing crashes, no descriptor is lost, no connection
 * is, and what did not work says so.
 */
#include "config.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/channel.h>
#include <weir/loop.h>

#include "config/config.h"
#include "process/mover_priv.h"
#include "process/notify.h"
#include "process/program.h"
#include "process/store.h"
#include "process/takeover.h"
#include "process/upgrade.h"
#include "process/wire.h"
#include "support.h"
#include "util/strbuf.h"

/* The linker leads the program's allocations here (-Wl,--wrap). */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
char *__wrap_strdup(const char *text);

#define MOST 400 /* that anything here allocates */

static long left = -1; /* until one is refused; < 0: none is */
static bool refused;   /* one was */

/* One alone is refused: what follows shows whether all is well again. */
static bool
granted(void)
{
	if (left < 0 || left-- > 0)
		return true;
	refused = true;
	return false;
}

void *
__wrap_malloc(size_t size)
{
	return granted() ? __real_malloc(size) : NULL;
}

void *
__wrap_calloc(size_t count, size_t size)
{
	return granted() ? __real_calloc(count, size) : NULL;
}

void *
__wrap_realloc(void *old, size_t size)
{
	return granted() ? __real_realloc(old, size) : NULL;
}

void *
__wrap_reallocarray(void *old, size_t count, size_t size)
{
	return granted() ? __real_reallocarray(old, count, size) : NULL;
}

char *
__wrap_strdup(const char *text)
{
	return granted() ? __real_strdup(text) : NULL;
}

static struct bench bench;
static struct bench *const b = &bench;

#define CONFIG                                                                 \
	"[weir]\ncontrol = off\n[listener a]\nlisten = 127.0.0.1:0\n"          \
	"mode = echo\n"

static void
refuse(long n)
{
	refused = false;
	left = n;
}

static void
refuse_no_more(void)
{
	left = -1;
}

/* As until(), without any call that allocates by itself. */
#define wait_for(condition)                                                    \
	do {                                                                   \
		bench_begin_wait(b);                                           \
		while (!(condition) && bench_step(b))                          \
			;                                                      \
	} while (0)

/* ---- the program that takes over ---- */

static void
ignore_message(
    struct wire *wire, const struct wire_message *message, void *user)
{
	(void)wire;
	(void)user;
	wire_close_fds(message);
}

static void
ignore_close(struct wire *wire, void *user)
{
	(void)wire;
	(void)user;
}

static const struct wire_handlers nobody = {
    .on_message = ignore_message,
    .on_close = ignore_close,
};

/* Whether it took all, with so many that are granted. */
static bool
take_over(long n)
{
	struct takeover *takeover = NULL;
	struct weir_loop *loop;
	struct proxy_handed_fd *sockets;
	struct wire *old;
	char number[16], *error = NULL;
	int fds[2], err, fd;
	size_t count;

	ck_assert_int_eq(weir_loop_new(&loop, NULL), 0);
	ck_assert_int_eq(weir_channel_pair(fds), 0);
	ck_assert_int_eq(wire_new(&old, loop, fds[0], &nobody, NULL), 0);
	(void)snprintf(number, sizeof(number), "%d", fds[1]);
	ck_assert_int_eq(setenv(PROGRAM_UPGRADE, number, 1), 0);
	wire_say(old, -1, "hello", UPGRADE_FORMAT, "9.9", NULL);
	wire_say(old, 0, "board", NULL);
	wire_say(old, 0, "pidfile", "/run/x.pid", NULL);
	wire_say(old, 0, "control", "/run/x.sock", NULL);
	wire_say(old, 0, "listen", "a", "*:80", "0", NULL);
	wire_say(old, 0, "listen", "b", "*:81", "0", NULL);
	wire_say(old, -1, "closed", "c", NULL);
	wire_say(old, -1, "log_level", "debug", "info", NULL);
	wire_say(old, -1, "end", NULL);
	refuse(n);
	err = takeover_begin(&takeover, loop, &error);
	refuse_no_more();
	ck_assert((err == 0) == (takeover != NULL));
	if (err == 0) {
		/* Nothing is missing: half of it would serve half. */
		(void)takeover_sockets(takeover, &count);
		ck_assert_uint_eq(count, 2);
		sockets = takeover_sockets(takeover, &count);
		ck_assert_str_eq(sockets[1].listener, "b");
		fd = takeover_board(takeover);
		ck_assert_int_ne(fd, -1);
		(void)close(fd);
		fd = takeover_control(takeover, "/run/x.sock");
		ck_assert_int_ne(fd, -1);
		(void)close(fd);
	}
	takeover_free(takeover);
	wire_free(old);
	weir_loop_free(loop);
	free(error);
	return err == 0;
}

START_TEST(a_program_takes_over_all_or_nothing)
{
	int before;
	long n;

	ck_assert_int_eq(
	    log_open(LOG_TO_FILE, "/dev/null", LOG_FORMAT_TEXT), 0);
	ck_assert(take_over(-1));
	before = bench_fds();
	for (n = 0; n < MOST; n++) {
		(void)take_over(n);
		ck_assert_int_eq(bench_fds(), before);
		if (!refused)
			break;
	}
	ck_assert_int_gt(n, 10);
	ck_assert_int_lt(n, MOST);
}
END_TEST

/* ---- the store ---- */

static struct notify *notify;
static int manager;

static void
be_manager(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char name[64], *error = NULL;

	(void)snprintf(name, sizeof(name), "@weir-check-memory-%d", getpid());
	memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(
	    bind(manager, (struct sockaddr *)&address,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) +
			    strlen(name))),
	    0);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
	ck_assert_int_eq(notify_new(&notify, &error), 0);
}

/* How often that was said; what came with it is closed by the kernel. */
static unsigned
heard_of(const char *what)
{
	char text[1000];
	unsigned count = 0;
	ssize_t n;

	while ((n = recv(manager, text, sizeof(text) - 1, MSG_DONTWAIT)) >= 0) {
		text[n] = '\0';
		count += strstr(text, what) != NULL;
	}
	return count;
}

static void
store_with(long n)
{
	static const struct store_control_socket no_control = {.path = NULL};
	char old[] = "weir=old=*%3A1";
	struct proxy_passed_fd *rows = calloc(2, sizeof(*rows));
	struct listen_fds fds = {.fds = rows, .count = 2};
	struct store *store = NULL;
	size_t i;
	int err;

	rows[0].name = rows[1].name = old;
	rows[0].fd = dup(0);
	rows[1].fd = dup(0);
	refuse(n);
	err = store_new(&store, &fds);
	if (err == 0)
		err = store_sync(store, notify, b->proxy, &no_control);
	refuse_no_more();
	if (store != NULL) {
		if (err != 0)
			err = store_sync(store, notify, b->proxy, &no_control);
		ck_assert_int_eq(err, 0);
		ck_assert_uint_ge(heard_of("FDNAME=weir=a="), 1);
		for (i = 0; i < 2; i++)
			(void)close(store_sockets(store, &(size_t){0})[i].fd);
	} else {
		ck_assert_int_eq(err, -ENOMEM);
	}
	/* What it did not take is still the caller's. */
	for (i = 0; store == NULL && i < 2; i++)
		(void)close(rows[i].fd);
	store_free(store);
	free(rows);
}

START_TEST(the_manager_is_told_in_the_end)
{
	int before;
	long n;

	memset(b, 0, sizeof(*b));
	bench_start(b, CONFIG);
	before = bench_fds();
	be_manager();
	for (n = 0; n < MOST; n++) {
		store_with(n);
		ck_assert_int_eq(bench_fds(), before + 2);
		if (!refused)
			break;
	}
	ck_assert_int_gt(n, 5);
	ck_assert_int_lt(n, MOST);
	notify_free(notify);
	(void)close(manager);
	bench_close(b);
}
END_TEST

/* ---- connections ---- */

#define CLIENTS 3

static struct wire *other; /* the end that the test plays */
static struct mover *mover;
static unsigned done, sessions;
static struct mover_head answer; /* the last one of a taker */

static void
on_done(struct mover *m, void *user)
{
	(void)m;
	(void)user;
	done++;
}

static const struct mover_handlers mover_handlers = {.on_done = on_done};

/* The taker: it has each once, and goes on with it in this very proxy, where
 * it is found once more, and stays. */
static void
be_taker(struct wire *wire, const struct wire_message *message, void *user)
{
	static char parcels[CLIENTS][4096];
	static int fds[CLIENTS];
	static size_t lengths[CLIENTS];
	static uint32_t numbers[CLIENTS];
	struct mover_head head;
	long rest = left;
	unsigned i;

	(void)user;
	left = -1; /* the test's own */
	memcpy(&head, message->data, sizeof(head));
	if (head.kind == MOVER_SESSION && sessions < CLIENTS) {
		i = sessions++;
		ck_assert_uint_eq(message->fd_count, 1);
		lengths[i] = message->length - sizeof(head);
		memcpy(parcels[i], (const char *)message->data + sizeof(head),
		    lengths[i]);
		fds[i] = message->fds[0];
		numbers[i] = head.number;
		head.kind = MOVER_HAVE;
		(void)wire_send(wire, &head, sizeof(head), NULL, 0);
	} else if (head.kind == MOVER_SESSION) {
		wire_close_fds(message);
		head.kind = MOVER_NO;
		(void)wire_send(wire, &head, sizeof(head), NULL, 0);
	} else {
		wire_close_fds(message);
	}
	for (i = 0; i < sessions; i++) {
		if (numbers[i] != head.number)
			continue;
		if (head.kind == MOVER_RUN)
			ck_assert_int_eq(
			    session_adopt(b->proxy, b->config, parcels[i],
				lengths[i], &fds[i], 1),
			    0);
		else if (head.kind == MOVER_CANCEL)
			(void)close(fds[i]);
	}
	left = rest;
}

/* What was lost on the way is not had. */
static void
on_lost(struct wire *wire, int err, void *user)
{
	(void)wire;
	(void)err;
	(void)user;
	ck_abort_msg("the test's end has memory");
}

static const struct wire_handlers taker_handlers = {
    .on_message = be_taker,
    .on_close = ignore_close,
    .on_lost = on_lost,
};

static void
on_answer(struct wire *wire, const struct wire_message *message, void *user)
{
	(void)wire;
	(void)user;
	wire_close_fds(message);
	memcpy(&answer, message->data, sizeof(answer));
}

static const struct wire_handlers giver_handlers = {
    .on_message = on_answer,
    .on_close = ignore_close,
};

static int
served(void)
{
	int fd = client(b, 0);

	put(fd, "ping");
	got(b, fd, "ping");
	return fd;
}

static void
give_with(long n)
{
	int fds[2], err;

	done = sessions = 0;
	mover = NULL;
	ck_assert_int_eq(weir_channel_pair(fds), 0);
	ck_assert_int_eq(
	    wire_new(&other, b->loop, fds[1], &taker_handlers, NULL), 0);
	refuse(n);
	err = mover_give(
	    &mover, b->loop, fds[0], b->proxy, &mover_handlers, NULL);
	if (err == 0)
		wait_for(done > 0);
	refuse_no_more();
	if (err == 0) {
		ck_assert_uint_eq(done, 1);
	} else {
		ck_assert_int_eq(err, -ENOMEM);
		ck_assert_int_eq(close(fds[0]), 0);
	}
	bench_pass(b, 5);
	mover_free(mover);
	wire_free(other);
}

START_TEST(what_cannot_be_given_stays_and_goes_on)
{
	int fds[CLIENTS], before, i;
	long n;

	memset(b, 0, sizeof(*b));
	bench_start(b, CONFIG);
	for (i = 0; i < CLIENTS; i++)
		fds[i] = served();
	before = bench_fds();
	for (n = 0; n < MOST; n++) {
		give_with(n);
		for (i = 0; i < CLIENTS; i++) {
			put(fds[i], "pong");
			got(b, fds[i], "pong");
		}
		ck_assert_uint_eq(proxy_connections(b->proxy), CLIENTS);
		ck_assert_int_eq(bench_fds(), before);
		if (!refused)
			break;
	}
	ck_assert_int_gt(n, 10);
	ck_assert_int_lt(n, MOST);
	for (i = 0; i < CLIENTS; i++)
		(void)close(fds[i]);
	until(b, proxy_connections(b->proxy) == 0);
	bench_close(b);
}
END_TEST

static void
say(uint32_t kind, uint32_t number, const void *data, size_t length, int fd)
{
	const struct mover_head head = {.kind = kind, .number = number};
	struct strbuf all = STRBUF_NULL;
	long rest = left;

	left = -1; /* the test's own */
	strbuf_add(&all, &head, sizeof(head));
	strbuf_add(&all, data, length);
	ck_assert_int_eq(
	    wire_send(other, all.data, all.length, &fd, fd != -1), 0);
	strbuf_free(&all);
	left = rest;
}

static void
say_config(void)
{
	static const uint32_t first = 0;
	int fd = memfd_create("text", MFD_CLOEXEC);

	ck_assert_int_eq(write(fd, CONFIG, strlen(CONFIG)), strlen(CONFIG));
	say(MOVER_CONFIG, 1, &first, sizeof(first), fd);
	(void)close(fd);
}

static struct session *
say_session(struct session **ref)
{
	struct strbuf parcel = STRBUF_NULL;
	struct session *session;
	int fds[SESSION_FDS];

	session_move_begin(b->proxy);
	session = session_move_next(b->proxy);
	ck_assert_int_eq(session_freeze(session, 0, &parcel, fds, ref), 1);
	say(MOVER_SESSION, 2, parcel.data, parcel.length, fds[0]);
	strbuf_free(&parcel);
	return session;
}

/* Whether it was there before the mover ended: one that could not even go on
 * is closed, so that its client knows. */
static bool
is_closed(int fd)
{
	return recv(fd, &(char){0}, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
	       errno != EAGAIN;
}

static void
take_with(long n)
{
	struct session *session, *ref;
	int fds[2], fd, err;
	long rest;

	memset(b, 0, sizeof(*b));
	memset(&answer, 0, sizeof(answer));
	done = 0;
	bench_start(b, CONFIG);
	fd = served();
	mover = NULL;
	ck_assert_int_eq(weir_channel_pair(fds), 0);
	ck_assert_int_eq(
	    wire_new(&other, b->loop, fds[1], &giver_handlers, NULL), 0);
	refuse(n);
	err = mover_take(
	    &mover, b->loop, fds[0], b->proxy, &mover_handlers, NULL);
	rest = left;
	refuse_no_more();
	if (err != 0) {
		ck_assert_int_eq(err, -ENOMEM);
		ck_assert_int_eq(close(fds[0]), 0);
	} else {
		say_config();
		session = say_session(&ref);
		left = rest;
		wait_for(answer.kind != 0 || done > 0);
		if (answer.kind == MOVER_HAVE) {
			session_release(session);
			say(MOVER_RUN, 2, NULL, 0, -1);
			say(MOVER_END, 0, NULL, 0, -1);
		} else {
			session_thaw(session);
			say(MOVER_END, 0, NULL, 0, -1);
		}
		wait_for(done > 0);
		refuse_no_more();
		ck_assert_uint_eq(done, 1);
		put(fd, "pong");
		bench_pass(b, 5);
		/* One that was lost here is told, and closed. */
		if (mover_counts(mover).moved == 1 || answer.kind != MOVER_HAVE)
			got(b, fd, "pong");
		else
			until(b, is_closed(fd));
	}
	mover_free(mover);
	wire_free(other);
	(void)close(fd);
	until(b, proxy_connections(b->proxy) == 0);
	bench_close(b);
}

START_TEST(what_cannot_be_taken_is_refused_or_closed)
{
	long n;

	for (n = 0; n < MOST; n++) {
		take_with(n);
		if (!refused)
			break;
	}
	ck_assert_int_gt(n, 20);
	ck_assert_int_lt(n, MOST);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("memory");
	TCase *tc = tcase_create("memory");

	tcase_add_test(tc, a_program_takes_over_all_or_nothing);
	tcase_add_test(tc, the_manager_is_told_in_the_end);
	tcase_add_test(tc, what_cannot_be_given_stays_and_goes_on);
	tcase_add_test(tc, what_cannot_be_taken_is_refused_or_closed);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	return support_run(suite);
}
