/*
 * When a reload is carried out and what is told of it, in a process that does
 * all itself: who asks gets an answer of his own, and where anything fails
 * nothing was changed.
 */
#include "config.h"

#include "process/reload.h"

#include <sys/mman.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "process/fleet.h"
#include "process/notify.h"
#include "support.h"

#define ONE                                                                    \
	"[weir]\ncontrol = off\n[listener a]\nmode = echo\n"                   \
	"listen = 127.0.0.1:0\n"

static struct bench bench;
static struct bench *const b = &bench;
static struct fleet *fleet;
static struct notify *notify;
static struct reload *reload;

/* What the handlers say, and were told. */
static const char *text, *refusal, *take_error;
static unsigned reads, done;
static char answers[1024];

static int
on_read(struct config **ret, char ***mistakes, void *user)
{
	struct config_builder *builder = config_builder_new();
	int err;

	(void)user;
	reads++;
	(void)config_builder_read_text(builder, "t", text, strlen(text));
	err = config_builder_finish(builder, ret);
	if (err != 0) {
		*mistakes = calloc(2, sizeof(**mistakes));
		(*mistakes)[0] = strdup(config_builder_mistake(builder, 0));
	}
	config_builder_free(builder);
	return err == 0 ? 0 : -1;
}

static void
on_free_mistakes(char **mistakes, void *user)
{
	(void)user;
	if (mistakes != NULL)
		free(mistakes[0]);
	free(mistakes);
}

static int
on_take(struct config *config, char **error, void *user)
{
	(void)config;
	(void)user;
	if (take_error == NULL)
		return 0;
	*error = strdup(take_error);
	return -1;
}

static void
on_done(struct config *config, struct reload_orders *orders, void *user)
{
	(void)orders;
	(void)user;
	config_unref(b->config);
	b->config = config_ref(config);
	done++;
}

static const char *
on_refuse(void *user)
{
	(void)user;
	return refusal;
}

static const struct reload_handlers handlers = {
    .read = on_read,
    .free_mistakes = on_free_mistakes,
    .take = on_take,
    .done = on_done,
    .refuse = on_refuse,
};

/* An answer as "NAME:ok(kept,added,removed,changed) mistakes;". */
static void
on_answer(const struct reload_result *r, void *user)
{
	size_t n = strlen(answers), i;

	(void)snprintf(answers + n, sizeof(answers) - n,
	    "%s:%s%s(%zu,%zu,%zu,%zu)", (const char *)user, r->ok ? "ok" : "no",
	    r->check ? " check" : "", r->kept, r->added, r->removed,
	    r->changed);
	for (i = 0; i < r->mistake_count; i++) {
		n = strlen(answers);
		(void)snprintf(
		    answers + n, sizeof(answers) - n, " %s", r->mistakes[i]);
	}
	strcat(answers, ";");
}

static void
begin(void)
{
	struct fleet_options fleet_options = {.workers = 1};
	static const struct fleet_handlers none = {0};
	struct reload_options options = {0};

	memset(b, 0, sizeof(*b));
	answers[0] = '\0';
	text = ONE;
	refusal = take_error = NULL;
	reads = done = 0;
	bench_start(b, ONE);
	fleet_options.proxy = b->proxy;
	fleet_options.board = b->board;
	ck_assert_int_eq(
	    fleet_new(&fleet, b->loop, &fleet_options, &none, NULL), 0);
	ck_assert_int_eq(unsetenv("NOTIFY_SOCKET"), 0);
	ck_assert_int_eq(notify_new(&notify, NULL), 0);
	options.proxy = b->proxy;
	options.fleet = fleet;
	options.notify = notify;
	options.config = b->config;
	ck_assert_int_eq(
	    reload_new(&reload, b->loop, &options, &handlers, NULL), 0);
}

static void
end(void)
{
	int fd = client(b, 0);

	put(fd, "ping");
	got(b, fd, "ping");
	(void)close(fd);
	until(b, proxy_connections(b->proxy) == 0);
	reload_free(reload);
	fleet_free(fleet);
	notify_free(notify);
	bench_close(b);
}

static struct reload_call *
ask(bool check, const char *name)
{
	struct reload_call *call;

	ck_assert_int_eq(reload_ask(reload, check, on_answer,
			     (void *)(uintptr_t)name, &call),
	    0);
	return call;
}

START_TEST(who_asks_gets_an_answer_of_his_own_in_turn)
{
	begin();
	ck_assert(!reload_busy(reload));
	(void)ask(false, "1");
	(void)ask(true, "2");
	(void)ask(false, "3");
	ck_assert(reload_busy(reload));
	ck_assert_str_eq(answers, "");
	text = ONE "[listener b]\nmode = echo\nlisten = 127.0.0.1:0\n";
	until(b, !reload_busy(reload));
	/* Each reads when its turn comes. */
	ck_assert_uint_eq(reads, 3);
	ck_assert_uint_eq(done, 2);
	ck_assert_str_eq(
	    answers, "1:ok(1,1,0,0);2:ok check(2,0,0,0);3:ok(2,0,0,0);");
	ck_assert_uint_eq(proxy_listener_count(b->proxy), 2);
	end();
}
END_TEST

START_TEST(a_check_changes_nothing)
{
	begin();
	text = "[listener b]\nmode = echo\nlisten = 127.0.0.1:0\n";
	(void)ask(true, "1");
	until(b, !reload_busy(reload));
	ck_assert_str_eq(answers, "1:ok check(0,1,1,0);");
	ck_assert_uint_eq(done, 0);
	ck_assert_uint_eq(proxy_listener_count(b->proxy), 1);
	end();
}
END_TEST

START_TEST(whatever_fails_changes_nothing_and_is_told)
{
	int fds;

	begin();
	fds = bench_fds();
	text = "[listener b]\nmode = echo\nlisten = 127.0.0.1:0\nbaklog = 1\n";
	if (_i == 1) {
		text = ONE "[listener b]\nmode = echo\nlisten = 127.0.0.1:0\n"
			   "access_log = file:/nowhere/log\n";
	} else if (_i == 2) {
		text = ONE "[listener b]\nmode = echo\nlisten = 127.0.0.1:0\n";
		take_error = "it cannot be taken";
	} else if (_i == 3) {
		refusal = "not now";
	}
	(void)ask(false, "1");
	until(b, !reload_busy(reload));
	ck_assert_int_eq(strncmp(answers, "1:no(0,0,0,0) ", 14), 0);
	ck_assert_ptr_nonnull(
	    strstr(answers, ((const char *const[]){"t:4: ", "/nowhere/log",
				"it cannot be taken", "not now"})[_i]));
	ck_assert_uint_eq(reads, _i == 3 ? 0 : 1);
	ck_assert_uint_eq(done, 0);
	ck_assert_int_eq(bench_fds(), fds);
	ck_assert_uint_eq(proxy_listener_count(b->proxy), 1);
	end();
}
END_TEST

START_TEST(who_is_gone_is_told_nothing)
{
	struct reload_call *call;

	begin();
	call = ask(false, "1");
	(void)ask(false, "2");
	reload_cancel(call);
	reload_cancel(NULL);
	until(b, !reload_busy(reload));
	ck_assert_str_eq(answers, "2:ok(1,0,0,0);");
	/* Given up with the one under way, nobody is told. */
	(void)ask(false, "3");
	reload_free(reload);
	reload = NULL;
	bench_pass(b, 10);
	ck_assert_str_eq(answers, "2:ok(1,0,0,0);");
	end();
}
END_TEST

START_TEST(a_signal_asks_for_one)
{
	begin();
	reload_signal(reload);
	until(b, !reload_busy(reload));
	ck_assert_uint_eq(done, 1);
	ck_assert_uint_eq(bench_logged(b, "info reloaded"), 1);
	text = "nonsense";
	reload_signal(reload);
	until(b, !reload_busy(reload));
	ck_assert_uint_eq(
	    bench_logged(b, "not reloaded, nothing was changed"), 1);
	end();
}
END_TEST

static int
receive(const char *bytes)
{
	int fd = memfd_create("text", MFD_CLOEXEC), err;
	struct config *config = NULL;

	ck_assert_int_eq(
	    write(fd, bytes, strlen(bytes)), (ssize_t)strlen(bytes));
	err = reload_receive(&config, fd);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1); /* closed */
	config_unref(config);
	return err;
}

START_TEST(what_a_worker_is_sent_is_a_configuration_or_refused)
{
	struct config *config = NULL;
	int pipes[2];

	ck_assert_int_eq(receive(ONE), 0);
	ck_assert_int_eq(receive("[nonsense]\n"), -EBADMSG);
	ck_assert_int_eq(receive(ONE "listen = 127."), -EBADMSG);
	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	ck_assert_int_lt(reload_receive(&config, pipes[0]), 0);
	(void)close(pipes[1]);
	ck_assert_int_lt(reload_receive(&config, -1), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("reload");
	TCase *tc = tcase_create("reload");

	tcase_add_test(tc, who_asks_gets_an_answer_of_his_own_in_turn);
	tcase_add_test(tc, a_check_changes_nothing);
	tcase_add_loop_test(
	    tc, whatever_fails_changes_nothing_and_is_told, 0, 4);
	tcase_add_test(tc, who_is_gone_is_told_nothing);
	tcase_add_test(tc, a_signal_asks_for_one);
	tcase_add_test(tc, what_a_worker_is_sent_is_a_configuration_or_refused);
	suite_add_tcase(suite, tc);
	return support_run(suite);
}
