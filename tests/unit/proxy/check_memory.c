/*
 * Memory that is refused: at each allocation in turn while a connection
 * begins. Nothing crashes or leaks, the client is closed, and the sums stay
 * right. When enough is granted, it is served.
 */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/loop.h>

#include "proxy/board.h"
#include "proxy/keeper.h"
#include "proxy/proxy_priv.h"
#include "proxy/reload.h"
#include "support.h"

struct evbuffer;

/* The linker leads the program's allocations here (-Wl,--wrap). */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
struct evbuffer *__real_evbuffer_new(void);
int __real_evbuffer_add(struct evbuffer *to, const void *data, size_t length);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
struct evbuffer *__wrap_evbuffer_new(void);
int __wrap_evbuffer_add(struct evbuffer *to, const void *data, size_t length);

static long left = -1; /* allocations that are still granted; < 0: all */
static bool refused;   /* one was */

static bool
granted(void)
{
	if (left > 0)
		left--;
	else if (left == 0)
		refused = true;
	return left != 0 || !refused;
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

char *
__wrap_strdup(const char *text)
{
	return granted() ? __real_strdup(text) : NULL;
}

struct evbuffer *
__wrap_evbuffer_new(void)
{
	return granted() ? __real_evbuffer_new() : NULL;
}

int
__wrap_evbuffer_add(struct evbuffer *to, const void *data, size_t length)
{
	return granted() ? __real_evbuffer_add(to, data, length) : -1;
}

static struct bench bench;
static struct bench *const b = &bench;

#define ONE                                                                    \
	"[weir]\ncontrol = off\n[listener a]\nlisten = 127.0.0.1:0\n"          \
	"access_log = on\ntimeout = 1h\nmax_per_source = 100\n"                \
	"greeting = hi\n"

static const char *const modes[] = {
    "mode = echo\n",
    "mode = forward\nupstream = 127.0.0.1:%u\n",
    "mode = forward\nupstream = localhost:%u\n",
    "mode = pipe\npipe = exec:cat\n",
    "mode = pipe\npipe = null\n",
    "mode = pipe\npipe = peer\n",
    "mode = pipe\npipe = file:/dev/null\n",
};

static void
setup(void)
{
	memset(b, 0, sizeof(*b));
	bench_directory(b);
	left = -1;
	refused = false;
}

static uint64_t
settled(void)
{
	struct listener_figures f = bench_figures(b, 0);

	return f.accepted + f.rejected;
}

/* A client (two of a pair) with so many allocations. Returns whether none
 * was refused. */
static bool
attempt(long allocations, bool two)
{
	uint64_t before = settled(), n = two ? 2 : 1;
	int one = client(b, 0), other = two ? client(b, 0) : -1, i;
	bool enough;

	put(one, "x");
	refused = false;
	left = allocations;
	bench_begin_wait(b);
	while (settled() < before + n && !refused)
		if (!bench_step(b))
			break;
	/* What is begun goes on until it is connected, or is refused. */
	for (i = 0; i < 6; i++)
		(void)bench_step(b);
	left = -1;
	enough = !refused;
	refused = false;
	ck_assert(enough || settled() <= before + n);
	bench_check_sums(b);
	if (enough)
		got(b, one, "hi");
	reset(one);
	if (other != -1)
		reset(other);
	/* Whoever was refused at accept is nobody's; all others go. */
	until(b, proxy_connections(b->proxy) == 0);
	until(b, bench_children(b) == 0);
	until(b, bench_figures(b, 0).state == LISTENER_OPEN ||
		     bench_figures(b, 0).state == LISTENER_RESTING);
	return enough;
}

static void
drop_upstreams(int listening)
{
	int fd;

	while ((fd = accept(listening, NULL, NULL)) != -1)
		(void)close(fd);
}

START_TEST(a_connection_that_gets_no_memory_is_closed)
{
	uint16_t port;
	int listening = upstream(&port);
	char mode[200];
	long n;

	/* The one format that the table has is a port's. */
	strcpy(mode, modes[_i]);
	if (strstr(mode, "%u") != NULL)
		(void)sprintf(strstr(mode, "%u"), "%u\n", port);
	bench_start(b, ONE "%s", mode);
	b->proxy->child_grace_ms = 20;
	for (n = 0; !attempt(n, strstr(mode, "peer") != NULL); n++) {
		ck_assert_int_lt(n, 200);
		drop_upstreams(listening);
	}
	ck_assert_int_gt(n, 3);
	drop_upstreams(listening);
	(void)close(listening);
	bench_close(b);
}
END_TEST

START_TEST(a_proxy_that_gets_no_memory_is_none)
{
	static const struct proxy_handlers none = {0};
	struct proxy_options options = {0};
	struct proxy *proxy = NULL;
	long n;
	int err;

	bench_open(b, 0, NULL, 0, ONE "mode = echo\n");
	options.config = b->config;
	options.board = b->board;
	for (n = 0;; n++) {
		left = n;
		refused = false;
		err = proxy_new(&proxy, b->loop, &options, &none, NULL);
		left = -1;
		if (!refused)
			break;
		ck_assert_int_eq(err, -ENOMEM);
		ck_assert_ptr_null(proxy);
	}
	refused = false;
	ck_assert_int_eq(err, 0);
	ck_assert_int_gt(n, 1);
	proxy_free(proxy);
	bench_close(b);
}
END_TEST

static unsigned told;
static bool good;

static void
on_prepared(struct proxy_reload *reload, bool ok, void *user)
{
	(void)reload;
	(void)user;
	left = -1;
	told++;
	good = ok;
}

/* Prepare with so many allocations. Returns whether that was enough. */
static bool
prepare(struct config *config, long allocations)
{
	struct proxy_reload *reload = NULL;
	unsigned before = told;
	int err;

	refused = false;
	left = allocations;
	err =
	    proxy_reload_prepare(&reload, b->proxy, config, on_prepared, NULL);
	if (err == 0)
		until(b, told > before);
	left = -1;
	if (err != 0) {
		ck_assert_int_eq(err, -ENOMEM);
		ck_assert(refused);
		return false;
	}
	if (!refused) {
		ck_assert(good);
		ck_assert_int_eq(proxy_reload_take(reload), 0);
		proxy_reload_commit(reload);
		return true;
	}
	ck_assert_msg(!good && proxy_reload_mistake_count(reload) > 0, "at %ld",
	    allocations);
	proxy_reload_abort(reload);
	refused = false;
	return false;
}

START_TEST(a_reload_that_gets_no_memory_changes_nothing)
{
	struct config_builder *builder = config_builder_new();
	struct config *config;
	char text[1024];
	long n;
	int fd, fds;

	bench_start(b, ONE "mode = echo\n");
	(void)snprintf(text, sizeof(text),
	    ONE "mode = echo\nbacklog = 7\n[listener b]\nmode = forward\n"
		"listen = 127.0.0.1:0\nlisten = %s/s\naccess_log = file:%s/al\n"
		"upstream = 127.0.0.1:9\n",
	    b->directory, b->directory);
	(void)config_builder_read_text(builder, "t", text, strlen(text));
	ck_assert_int_eq(config_builder_finish(builder, &config), 0);
	config_builder_free(builder);
	fds = bench_fds();
	for (n = 0; !prepare(config, n); n++) {
		ck_assert_int_lt(n, 500);
		ck_assert_int_eq(bench_fds(), fds);
		ck_assert_uint_eq(proxy_listener_count(b->proxy), 1);
		ck_assert_uint_eq(b->proxy->config->listener_count, 1);
		ck_assert_int_eq(bench_figures(b, 0).state, LISTENER_OPEN);
	}
	ck_assert_int_gt(n, 10);
	ck_assert_uint_eq(proxy_listener_count(b->proxy), 2);
	fd = client(b, 0);
	got(b, fd, "hi");
	(void)close(fd);
	until(b, proxy_connections(b->proxy) == 0);
	config_unref(config);
	bench_close(b);
}
END_TEST

START_TEST(a_listener_that_gets_no_memory_can_be_opened_later)
{
	int c, err;

	bench_start(b, ONE "mode = echo\n");
	ck_assert_int_eq(proxy_listener_close(b->proxy, "a"), 0);
	left = 0;
	err = proxy_listener_open(b->proxy, "a");
	left = -1;
	ck_assert_int_eq(err, 0);
	ck_assert(refused);
	refused = false;
	/* Looked at and closed without harm. */
	ck_assert_int_eq(bench_figures(b, 0).state, LISTENER_CLOSED);
	ck_assert_uint_eq(bench_address_count(b, 0), 0);
	ck_assert_int_eq(proxy_listener_open(b->proxy, "a"), 0);
	until(b, bench_figures(b, 0).state == LISTENER_OPEN);
	c = client(b, 0);
	got(b, c, "hi");
	(void)close(c);
	bench_close(b);
}
END_TEST

/* ---- the keeper ---- */

static struct config *
parse(const char *text)
{
	struct config_builder *builder = config_builder_new();
	struct config *config;

	(void)config_builder_read_text(builder, "t", text, strlen(text));
	ck_assert_int_eq(config_builder_finish(builder, &config), 0);
	config_builder_free(builder);
	return config;
}

#define KEPT                                                                   \
	"[listener l]\nlisten = 127.0.0.1:0\nmode = forward\nupstream = u\n"   \
	"[upstream u]\nhealth_check = tcp\nhealth_interval = 20ms\n"

/* The row of a server, or NULL. */
static struct board_server *
server_of(const char *name)
{
	long i;

	for (i = 0; i < BOARD_SERVERS; i++)
		if (board_server_used(b->board, i) &&
		    strcmp(board_server(b->board, i)->name, name) == 0)
			return board_server(b->board, i);
	return NULL;
}

static void
on_change(void *user)
{
	(void)user;
}

static void
drop_keeper(struct keeper *keeper)
{
	long i;

	keeper_free(keeper);
	for (i = 0; i < BOARD_SERVERS; i++)
		if (board_server_used(b->board, i))
			board_server_gone(b->board, i);
}

/* With so many allocations; where it gets on without, it makes up for them. */
static struct keeper *
keep(struct config *config, long allocations)
{
	const struct keeper_options options = {.loop = b->loop,
	    .board = b->board,
	    .config = config,
	    .on_change = on_change};
	struct keeper *keeper = NULL;
	int err;

	refused = false;
	left = allocations;
	err = keeper_new(&keeper, &options);
	if (keeper != NULL)
		keeper_start(keeper);
	left = -1;
	ck_assert(err == 0 || (refused && err == -ENOMEM));
	ck_assert_int_eq(err == 0, keeper != NULL);
	return keeper;
}

START_TEST(a_keeper_without_memory_is_none_or_makes_up_for_it)
{
	struct config *config =
	    parse(KEPT "server = 127.0.0.1:1\nserver = localhost:2 backup\n");
	struct keeper *keeper;
	bool enough = false;
	long n;

	bench_open(b, 0, NULL, 0, ONE "mode = echo\n");
	for (n = 0; !enough; n++) {
		keeper = keep(config, n);
		enough = !refused;
		refused = false;
		if (keeper != NULL)
			until(b, server_of("127.0.0.1:1") != NULL);
		drop_keeper(keeper);
	}
	ck_assert_int_gt(n, 3);
	config_unref(config);
	bench_close(b);
}
END_TEST

START_TEST(a_keeper_that_gets_no_memory_at_a_reload)
{
	struct config *config =
	    parse(KEPT "server = 127.0.0.1:1\nserver = localhost:2 backup\n");
	struct config *next = parse(KEPT "server = 127.0.0.1:1\n"
					 "server = 127.0.0.1:3\n"
					 "server = localhost:4\n");
	struct keeper *keeper;
	bool enough = false;
	long n;
	int err;

	bench_open(b, 0, NULL, 0, ONE "mode = echo\n");
	for (n = 0; !enough; n++) {
		keeper = keep(config, -1);
		left = n;
		err = keeper_reload(keeper, next);
		left = -1;
		enough = !refused;
		refused = false;
		ck_assert_ptr_nonnull(server_of("127.0.0.1:1"));
		if (err != 0)
			ck_assert_ptr_null(server_of("127.0.0.1:3"));
		else
			until(b, server_of("127.0.0.1:3") != NULL);
		ck_assert(err == 0 || (!enough && err == -ENOMEM));
		drop_keeper(keeper);
	}
	ck_assert_int_gt(n, 3);
	config_unref(config);
	config_unref(next);
	bench_close(b);
}
END_TEST

/* One of its addresses is. */
static bool
is_well(const char *name)
{
	const struct board_server *row;
	long i;

	for (i = 0; i < BOARD_SERVERS; i++) {
		row = board_server(b->board, i);
		if (board_server_used(b->board, i) &&
		    strcmp(row->name, name) == 0 && row->health == SERVER_WELL)
			return true;
	}
	return false;
}

/* A server with an address and one with a name are found well in the end,
 * whatever was refused before. Returns whether nothing was. */
static bool
find_well(struct config *config, int listening, const char *const names[2],
    long allocations)
{
	struct keeper *keeper = keep(config, -1);
	bool enough, late = false;

	refused = false;
	bench_begin_wait(b);
	left = allocations;
	while (!late && !(is_well(names[0]) && is_well(names[1]))) {
		late = !bench_step(b);
		drop_upstreams(listening);
		if (refused)
			left = -1;
	}
	left = -1;
	ck_assert_msg(!late, "not well, with %ld", allocations);
	enough = !refused;
	refused = false;
	drop_keeper(keeper);
	return enough;
}

START_TEST(checks_and_names_go_on_when_there_is_memory_again)
{
	struct config *config;
	char text[300], address[40], name[40];
	const char *const names[] = {address, name};
	uint16_t port;
	int listening = upstream(&port);
	long n;

	(void)snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	(void)snprintf(name, sizeof(name), "localhost:%u", port);
	(void)snprintf(text, sizeof(text),
	    KEPT "resolve = 100ms\nserver = %s\nserver = %s\n", address, name);
	config = parse(text);
	bench_open(b, 0, NULL, 0, ONE "mode = echo\n");
	for (n = 0; !find_well(config, listening, names, n); n++)
		ck_assert_int_lt(n, 200);
	ck_assert_int_gt(n, 3);
	(void)close(listening);
	config_unref(config);
	bench_close(b);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("memory");
	TCase *tc = tcase_create("memory");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(
	    tc, a_connection_that_gets_no_memory_is_closed, 0, 7);
	tcase_add_test(tc, a_proxy_that_gets_no_memory_is_none);
	tcase_add_test(tc, a_reload_that_gets_no_memory_changes_nothing);
	tcase_add_test(tc, a_listener_that_gets_no_memory_can_be_opened_later);
	tcase_add_test(tc, a_keeper_without_memory_is_none_or_makes_up_for_it);
	tcase_add_test(tc, a_keeper_that_gets_no_memory_at_a_reload);
	tcase_add_test(tc, checks_and_names_go_on_when_there_is_memory_again);
	suite_add_tcase(suite, tc);
	return support_run(suite);
}
