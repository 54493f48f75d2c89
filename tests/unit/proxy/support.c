/* Helpers of the tests of src/proxy. */
#include "config.h"

#include "support.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/address.h>
#include <weir/loop.h>

#include "config/config.h"
#include "log/log.h"
#include "proxy/proxy_priv.h"
#include "proxy/target.h"

#define DEADLINE_MS 8000

/* ---- the loop ---- */

static void
on_tick(struct weir_timer *timer, void *user)
{
	(void)timer;
	weir_loop_stop(user);
}

static uint64_t
scale(void)
{
	const char *text = getenv("WEIR_TIME_SCALE");
	unsigned long n = text != NULL ? strtoul(text, NULL, 10) : 1;

	return n > 0 ? n : 1;
}

/* One turn, and at the least a millisecond. */
static void
turn(struct bench *b)
{
	/* No assertion here: libcheck's take memory, which may be refused. */
	if (weir_timer_start(b->tick, 1) != 0)
		abort();
	(void)weir_loop_run(b->loop);
}

void
bench_begin_wait(struct bench *b)
{
	b->deadline_ms = weir_loop_now_ms(b->loop) + DEADLINE_MS * scale();
}

bool
bench_step(struct bench *b)
{
	turn(b);
	return weir_loop_now_ms(b->loop) < b->deadline_ms;
}

void
bench_pass(struct bench *b, uint64_t ms)
{
	uint64_t end = weir_loop_now_ms(b->loop) + ms;

	while (weir_loop_now_ms(b->loop) < end)
		turn(b);
}

/* ---- a proxy ---- */

static void
on_ready(struct proxy *proxy, void *user)
{
	(void)proxy;
	((struct bench *)user)->ready++;
}

static void
on_failed(struct proxy *proxy, void *user)
{
	(void)proxy;
	((struct bench *)user)->failed++;
}

static void
on_drained(struct proxy *proxy, uint64_t destroyed, void *user)
{
	struct bench *b = user;

	(void)proxy;
	b->drained++;
	b->destroyed = destroyed;
}

static void
on_change(struct proxy *proxy, void *user)
{
	struct bench *b = user;

	(void)proxy;
	b->changes++;
	if (b->hook != NULL)
		b->hook(b);
}

static const struct proxy_handlers handlers = {
    .on_ready = on_ready,
    .on_failed = on_failed,
    .on_drained = on_drained,
    .on_change = on_change,
};

int
bench_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL)
		n++;
	(void)closedir(dir);
	return n;
}

void
bench_directory(struct bench *b)
{
	char path[sizeof(b->directory) + 8];

	if (b->directory[0] != '\0')
		return;
	strcpy(b->directory, "/tmp/weir-proxy-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(b->directory));
	(void)snprintf(path, sizeof(path), "%s/log", b->directory);
	ck_assert_int_eq(log_open(LOG_TO_FILE, path, LOG_FORMAT_TEXT), 0);
	b->fds_before = bench_fds();
}

static void
make(struct bench *b, uint64_t max_connections, struct proxy_passed_fd *passed,
    size_t passed_count, const char *text)
{
	struct config_builder *builder = config_builder_new();

	bench_directory(b);
	(void)config_builder_read_text(builder, "t", text, strlen(text));
	ck_assert_msg(config_builder_finish(builder, &b->config) == 0, "%s",
	    config_builder_mistake(builder, 0));
	config_builder_free(builder);
	ck_assert_int_eq(weir_loop_new(&b->loop, NULL), 0);
	ck_assert_int_eq(
	    weir_timer_new(&b->tick, b->loop, on_tick, b->loop), 0);
	ck_assert_int_eq(board_new(&b->board), 0);
	ck_assert_int_eq(proxy_new(&b->proxy, b->loop,
			     &(struct proxy_options){
				 .config = b->config,
				 .board = b->board,
				 .workers = b->workers,
				 .max_connections = max_connections,
				 .passed = passed,
				 .passed_count = passed_count,
			     },
			     &handlers, b),
	    0);
}

void
bench_open(struct bench *b, uint64_t max_connections,
    struct proxy_passed_fd *passed, size_t passed_count, const char *format,
    ...)
{
	char text[4096];
	va_list args;

	va_start(args, format);
	ck_assert_int_lt(
	    vsnprintf(text, sizeof(text), format, args), sizeof(text));
	va_end(args);
	make(b, max_connections, passed, passed_count, text);
}

void
bench_start(struct bench *b, const char *format, ...)
{
	char text[4096];
	va_list args;

	va_start(args, format);
	ck_assert_int_lt(
	    vsnprintf(text, sizeof(text), format, args), sizeof(text));
	va_end(args);
	make(b, 0, NULL, 0, text);
	proxy_start(b->proxy);
	until(b, b->ready + b->failed > 0);
	ck_assert_uint_eq(b->ready, 1);
	proxy_accept(b->proxy);
}

void
bench_check_sums(struct bench *b)
{
	struct listener_figures f;
	uint64_t all = 0;
	size_t i;

	for (i = 0; i < proxy_listener_count(b->proxy); i++) {
		f = bench_figures(b, i);
		ck_assert_uint_eq(f.accepted, f.connections + f.closed);
		ck_assert_uint_ge(f.connections_peak, f.connections);
		all += f.connections;
	}
	ck_assert_uint_eq(proxy_connections(b->proxy), all);
}

/* Programs that were killed are ours to reap: none may live on. */
static void
reap_all(void)
{
	while (waitpid(-1, NULL, 0) > 0)
		continue;
	ck_assert_int_eq(errno, ECHILD);
}

static void
remove_directory(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)) != NULL)
		(void)unlinkat(dirfd(dir), entry->d_name, 0);
	(void)closedir(dir);
	ck_assert_int_eq(rmdir(path), 0);
}

void
bench_close(struct bench *b)
{
	if (b->proxy != NULL)
		bench_check_sums(b);
	proxy_free(b->proxy);
	board_free(b->board);
	weir_timer_free(b->tick);
	weir_loop_free(b->loop);
	config_unref(b->config);
	reap_all();
	ck_assert_int_eq(bench_fds(), b->fds_before);
	log_close();
	remove_directory(b->directory);
}

/* ---- looking ---- */

char *
bench_log(struct bench *b)
{
	char path[sizeof(b->directory) + 8], *text;
	struct stat st;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/log", b->directory);
	fd = open(path, O_RDONLY);
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(fstat(fd, &st), 0);
	text = malloc((size_t)st.st_size + 1);
	ck_assert_ptr_nonnull(text);
	n = read(fd, text, (size_t)st.st_size);
	ck_assert_int_eq(n, st.st_size);
	text[n] = '\0';
	(void)close(fd);
	return text;
}

unsigned
bench_logged(struct bench *b, const char *text)
{
	char *log = bench_log(b), *at = log;
	unsigned n = 0;

	while ((at = strstr(at, text)) != NULL) {
		n++;
		at++;
	}
	free(log);
	return n;
}

unsigned
bench_children(const struct bench *b)
{
	const struct child *child;
	unsigned n = 0;

	TAILQ_FOREACH (child, &b->proxy->children, next)
		n++;
	return n;
}

struct listener_figures
bench_figures(const struct bench *b, size_t index)
{
	struct listener_figures f;

	proxy_listener_figures(b->proxy, index, &f);
	return f;
}

struct find {
	size_t n;
	char text[WEIR_ADDRESS_TEXT];
	uint64_t id;
};

static void
find_address(const char *address, void *user)
{
	struct find *find = user;

	if (find->n-- == 0)
		(void)snprintf(find->text, sizeof(find->text), "%s", address);
}

const char *
bench_address(const struct bench *b, size_t listener, size_t n)
{
	static struct find find;

	find = (struct find){.n = n};
	proxy_listener_addresses(b->proxy, listener, find_address, &find);
	return find.text;
}

static void
count_address(const char *address, void *user)
{
	(void)address;
	++*(unsigned *)user;
}

unsigned
bench_address_count(const struct bench *b, size_t listener)
{
	unsigned n = 0;

	proxy_listener_addresses(b->proxy, listener, count_address, &n);
	return n;
}

static void
find_session(const struct session_figures *figures, void *user)
{
	struct find *find = user;

	if (find->n-- > 0)
		return;
	find->id = figures->id;
	(void)snprintf(find->text, sizeof(find->text), "%s", figures->state);
}

const char *
bench_session(const struct bench *b, size_t n)
{
	static struct find find;

	find = (struct find){.n = n};
	proxy_each_session(b->proxy, -1, find_session, &find);
	return find.text;
}

uint64_t
bench_session_id(const struct bench *b, size_t n)
{
	struct find find = {.n = n};

	proxy_each_session(b->proxy, -1, find_session, &find);
	return find.id;
}

/* ---- peers ---- */

int
client_of(const char *address)
{
	struct weir_endpoint endpoint;
	struct weir_address to;
	int fd;

	ck_assert_int_eq(weir_endpoint_parse(&endpoint, address, NULL), 0);
	ck_assert_int_eq(weir_endpoint_address(&endpoint, &to), 0);
	fd = socket(to.u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ne(fd, -1);
	if (connect(fd, &to.u.sa, to.length) == -1) {
		ck_assert_int_eq(errno, ECONNREFUSED);
		(void)close(fd);
		return -1;
	}
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

int
client(struct bench *b, size_t listener)
{
	int fd = client_of(bench_address(b, listener, 0));

	ck_assert_int_ne(fd, -1);
	return fd;
}

int
upstream(uint16_t *port)
{
	struct weir_address address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(weir_address_set_ip(&address, "127.0.0.1", 0), 0);
	ck_assert_int_eq(bind(fd, &address.u.sa, address.length), 0);
	ck_assert_int_eq(listen(fd, 16), 0);
	ck_assert_int_eq(getsockname(fd, &address.u.sa, &address.length), 0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	*port = weir_address_port(&address);
	return fd;
}

int
upstream_accept(struct bench *b, int listening)
{
	int fd = -1;

	until(b, (fd = accept4(listening, NULL, NULL,
		      SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1);
	return fd;
}

void
put(int fd, const char *text)
{
	ck_assert_int_eq(
	    send(fd, text, strlen(text), MSG_NOSIGNAL), (int)strlen(text));
}

void
got(struct bench *b, int fd, const char *text)
{
	size_t have = 0, wanted = strlen(text);
	char bytes[4096];
	ssize_t n;

	ck_assert_uint_lt(wanted, sizeof(bytes));
	bench_begin_wait(b);
	while (have < wanted) {
		n = recv(fd, bytes + have, wanted - have, 0);
		ck_assert_msg(n != 0, "ended before \"%s\"", text);
		if (n > 0)
			have += (size_t)n;
		else
			ck_assert_int_eq(errno, EAGAIN);
		ck_assert_msg(
		    n > 0 || bench_step(b), "never came: \"%s\"", text);
	}
	bytes[have] = '\0';
	ck_assert_str_eq(bytes, text);
}

bool
quiet(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK) == -1 && errno == EAGAIN;
}

const char *
ended(int fd)
{
	char bytes[65536];
	ssize_t n;

	do {
		n = recv(fd, bytes, sizeof(bytes), 0);
	} while (n > 0);
	if (n == 0)
		return "end";
	if (errno == EAGAIN)
		return "";
	ck_assert_int_eq(errno, ECONNRESET);
	return "reset";
}

void
reset(int fd)
{
	static const struct linger now = {.l_onoff = 1, .l_linger = 0};

	ck_assert_int_eq(
	    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	(void)close(fd);
}

/* Full when nothing was taken for a while, so that what lies in between is
 * full as well. */
size_t
stuff(struct bench *b, int fd)
{
	static const char bytes[65536];
	size_t all = 0;
	unsigned refused = 0;
	ssize_t n;

	while (refused < 20) {
		n = send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
		if (n > 0) {
			all += (size_t)n;
			refused = 0;
			continue;
		}
		ck_assert_int_eq(errno, EAGAIN);
		refused++;
		turn(b);
	}
	return all;
}

bool
under_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

/* ---- two that want the same ---- */

#define RACE_US	      50
#define RACE_MEETINGS 500

static const struct race *race;
static volatile sig_atomic_t race_open;	  /* worker 0 may be interrupted */
static volatile sig_atomic_t race_inside; /* worker 1 has the place */
static volatile sig_atomic_t race_meetings, race_taken;

/* Worker 1: it takes the place if it can, and gives it back the next time. */
static void
on_race_signal(int signo)
{
	(void)signo;
	if (!race_open)
		return;
	race_meetings++;
	if (race_inside) {
		race->give(1);
		race_inside = false;
		return;
	}
	race->prepare(1);
	if (race->take(1)) {
		race_inside = true;
		race_taken++;
	} else {
		race->give(1);
	}
}

/* Worker 0. */
static bool
race_once(unsigned *taken)
{
	bool has, both;

	race->prepare(0);
	race_open = true;
	has = race->take(0);
	race_open = false;
	both = has && race_inside;
	*taken += has;
	race->give(0);
	return !both;
}

bool
race_is_fair(const struct race *given)
{
	const struct itimerval often = {{0, RACE_US}, {0, RACE_US}}, off = {0};
	struct sigaction action = {
	    .sa_handler = on_race_signal, .sa_flags = SA_RESTART};
	bool fair = true;
	unsigned taken = 0;

	race = given;
	race_open = race_inside = race_meetings = race_taken = 0;
	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
	while (fair && race_meetings < RACE_MEETINGS)
		fair = race_once(&taken);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &off, NULL), 0);
	(void)signal(SIGALRM, SIG_DFL);
	if (race_inside)
		race->give(1);
	return fair && taken > 0 && race_taken > 0;
}

int
support_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
