/*
 * Upstreams and the keeper: rows of a configuration, uses of two workers on
 * one board, and what a reload keeps.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/loop.h>

#include "proxy/board.h"
#include "proxy/keeper.h"
#include "proxy/server_state.h"
#include "proxy/upstream.h"
#include "support.h"

#define WORKERS 2
#define MANY	8

struct use {
	struct upstream_use use;
	unsigned turns, downs;
	bool left;
	enum upstream_answer answer;
	struct weir_address at;
};

static struct weir_loop *loop;
static struct board *board;
static struct config *config;
static struct keeper *keeper;
static struct upstreams *all[WORKERS];
static struct use uses[MANY];
static unsigned changes;
static int family; /* that a use wishes */

static struct use *
use_of(const struct upstream_use *use)
{
	return (struct use *)((uintptr_t)use - offsetof(struct use, use));
}

static void
on_turn(struct upstream_use *use)
{
	struct use *u = use_of(use);

	u->turns++;
	if (u->left)
		upstream_end(use);
	else
		u->answer = upstream_pick(use, &u->at);
}

static bool
has_left(const struct upstream_use *use)
{
	return use_of(use)->left;
}

static void
on_down(const struct server *server, void *user)
{
	int i;

	(void)user;
	for (i = 0; i < MANY; i++)
		uses[i].downs += uses[i].use.server == server;
}

static const struct upstream_handlers handlers = {
    .on_turn = on_turn, .has_left = has_left, .on_down = on_down};

static void
on_change(void *user)
{
	int i;

	(void)user;
	changes++;
	for (i = 0; i < WORKERS; i++)
		if (all[i] != NULL)
			upstreams_changed(all[i]);
}

static struct config *
parse(const char *text)
{
	struct config_builder *builder = config_builder_new();
	struct config *ret;
	char *whole;

	ck_assert_int_ne(
	    asprintf(&whole,
		"%s\n[listener l]\nlisten = 127.0.0.1:0\nmode = forward\n"
		"upstream = u\n",
		text),
	    -1);
	(void)config_builder_read_text(builder, "t", whole, strlen(whole));
	ck_assert_msg(config_builder_finish(builder, &ret) == 0, "%s",
	    config_builder_mistake(builder, 0));
	config_builder_free(builder);
	free(whole);
	return ret;
}

static void
start(const char *text)
{
	struct keeper_options k = {.on_change = on_change};
	struct upstream_options u = {.handlers = &handlers};
	unsigned i;

	config = parse(text);
	family = 0;
	ck_assert_int_eq(weir_loop_new(&loop, NULL), 0);
	ck_assert_int_eq(board_new(&board), 0);
	k.loop = u.loop = loop;
	k.board = u.board = board;
	k.config = u.config = config;
	ck_assert_int_eq(keeper_new(&keeper, &k), 0);
	keeper_start(keeper);
	for (i = 0; i < WORKERS; i++) {
		board_worker_began(board, i, (pid_t)(i + 1));
		u.worker = i;
		ck_assert_int_eq(upstreams_new(&all[i], &u), 0);
	}
	memset(uses, 0, sizeof(uses));
	changes = 0;
}

static void
stop(void)
{
	int i;

	for (i = 0; i < MANY; i++)
		upstream_end(&uses[i].use);
	for (i = 0; i < WORKERS; i++) {
		upstreams_free(all[i]);
		all[i] = NULL;
	}
	keeper_free(keeper);
	board_free(board);
	weir_loop_free(loop);
	config_unref(config);
}

/* A use of a worker asks; the port of what it gets, or 0. */
static unsigned
pick(int i, unsigned worker)
{
	const struct upstream_wish wish = {.family = family};

	if (uses[i].use.upstream == NULL)
		ck_assert_int_eq(upstream_begin(&uses[i].use, all[worker],
				     config_find_upstream(config, "u"), &wish),
		    0);
	uses[i].answer = upstream_pick(&uses[i].use, &uses[i].at);
	return uses[i].answer == UPSTREAM_SERVER
		   ? weir_address_port(&uses[i].at)
		   : 0;
}

static void
on_tick(struct weir_timer *timer, void *user)
{
	(void)timer;
	(void)user;
	weir_loop_stop(loop);
}

/* Let the loop run until the condition holds; a deadline is the suite's. */
#define turn_until(condition)                                                  \
	while (!(condition))                                                   \
	turn()

static void
turn(void)
{
	struct weir_timer *timer;

	ck_assert_int_eq(weir_timer_new(&timer, loop, on_tick, NULL), 0);
	ck_assert_int_eq(weir_timer_start(timer, 1), 0);
	(void)weir_loop_run(loop);
	weir_timer_free(timer);
}

#define TWO "[upstream u]\nserver = 127.0.0.1:1\nserver = 127.0.0.1:2\n"

START_TEST(workers_take_turns_from_one_counter)
{
	start(TWO);
	ck_assert_uint_eq(pick(0, 0), 1);
	ck_assert_uint_eq(pick(1, 1), 2);
	ck_assert_uint_eq(pick(2, 1), 1);
	ck_assert_uint_eq(pick(3, 0), 2);
	stop();
}
END_TEST

START_TEST(no_server_twice_and_no_more_than_retries)
{
	start(TWO "max_fails = 0\nretries = 5\n");
	ck_assert_uint_eq(pick(0, 0), 1);
	upstream_failed(&uses[0].use, -ECONNREFUSED);
	ck_assert_uint_eq(pick(0, 0), 2);
	upstream_failed(&uses[0].use, -ECONNREFUSED);
	ck_assert_uint_eq(pick(0, 0), 0);
	ck_assert_int_eq(uses[0].answer, UPSTREAM_NONE);
	stop();
	start(TWO "max_fails = 0\nretries = 0\n");
	ck_assert_uint_eq(pick(0, 0), 1);
	upstream_failed(&uses[0].use, -ECONNREFUSED);
	ck_assert_uint_eq(pick(0, 0), 0);
	stop();
}
END_TEST

START_TEST(what_fails_in_one_worker_is_down_in_the_other)
{
	start(TWO);
	ck_assert_uint_eq(pick(0, 0), 1);
	upstream_failed(&uses[0].use, -ECONNREFUSED);
	ck_assert_uint_eq(pick(1, 1), 2);
	ck_assert_uint_eq(pick(2, 1), 2);
	ck_assert_uint_eq(pick(3, 0), 2);
	stop();
}
END_TEST

/* Until it is known whether it is back, or for as long as it was down. */
START_TEST(one_alone_finds_out_whether_a_server_is_back)
{
	uint64_t since;
	unsigned i, got = 0;

	start(TWO "fail_timeout = 200ms\n");
	ck_assert_uint_eq(pick(0, 0), 1);
	upstream_failed(&uses[0].use, -ECONNREFUSED);
	do {
		upstream_end(&uses[1].use);
		turn();
		since = weir_loop_now_ms(loop);
	} while (pick(1, 0) != 1);
	for (i = 2; i < 6; i++)
		got += pick((int)i, i % WORKERS) == 2;
	if (weir_loop_now_ms(loop) - since < 200)
		ck_assert_uint_eq(got, 4);
	stop();
}
END_TEST

START_TEST(what_is_missing_here_says_nothing_of_the_server)
{
	start(TWO);
	ck_assert_uint_eq(pick(0, 0), 1);
	upstream_failed(&uses[0].use, -EMFILE);
	ck_assert_uint_eq(pick(1, 1), 2);
	ck_assert_uint_eq(pick(2, 1), 1);
	stop();
}
END_TEST

/* The one that finds out whether a server is back finds nothing out where it
 * fails for want of something here, or leaves: the next one may at once. */
START_TEST(a_trial_that_says_nothing_is_another_ones)
{
	start(TWO "balance = least_conn\nfail_timeout = 200ms\n");
	ck_assert_uint_eq(pick(0, 0), 1);
	upstream_failed(&uses[0].use, -ECONNREFUSED);
	ck_assert_uint_eq(pick(1, 0), 2); /* so that 1 has fewer */
	turn_until(
	    server_usable(board_server(board, 0), weir_loop_now_ms(loop)));
	ck_assert_uint_eq(pick(2, 0), 1);
	upstream_failed(&uses[2].use, -EMFILE);
	ck_assert_uint_eq(pick(3, 1), 1);
	upstream_end(&uses[3].use);
	ck_assert_uint_eq(pick(4, 0), 1);
	stop();
}
END_TEST

#define FULL_OF(wait)                                                          \
	"[upstream u]\nserver = 127.0.0.1:1 max_connections=2\n"               \
	"queue = 2\nqueue_timeout = " wait "\n"

#define QUEUE_OF_5(servers)                                                    \
	"[upstream u]\n" servers "queue = 5\nqueue_timeout = 0\nmax_fails = 0\n"

START_TEST(places_and_the_queue_are_counted_over_all_workers)
{
	start(FULL_OF("0"));
	ck_assert_uint_eq(pick(0, 0), 1);
	ck_assert_uint_eq(pick(1, 1), 1);
	ck_assert_uint_eq(pick(2, 0), 0);
	ck_assert_int_eq(uses[2].answer, UPSTREAM_WAIT);
	ck_assert_uint_eq(pick(3, 1), 0);
	ck_assert_int_eq(uses[3].answer, UPSTREAM_WAIT);
	ck_assert_uint_eq(pick(4, 0), 0);
	ck_assert_int_eq(uses[4].answer, UPSTREAM_NONE);
	ck_assert_uint_eq(
	    board_upstream_queued(board, board_upstream_find(board, "u")), 2);
	ck_assert_uint_eq(board_server_connections(board, 0), 2);
	stop();
}
END_TEST

static void
come(unsigned worker)
{
	const struct upstream_wish wish = {0};

	if (upstream_begin(&uses[worker].use, all[worker], config->upstreams[0],
		&wish) != 0)
		abort();
}

static bool
take_server(unsigned worker)
{
	struct use *u = &uses[worker];

	return upstream_pick(&u->use, &u->at) == UPSTREAM_SERVER;
}

static void
leave(unsigned worker)
{
	upstream_end(&uses[worker].use);
}

START_TEST(two_that_come_at_one_moment_never_have_the_last_place)
{
	const struct race race = {come, take_server, leave};

	start("[upstream u]\nserver = 127.0.0.1:1 max_connections=1\n");
	/* What a worker makes of the board is made once. */
	(void)pick(0, 0);
	(void)pick(1, 1);
	upstream_end(&uses[0].use);
	upstream_end(&uses[1].use);
	ck_assert(race_is_fair(&race));
	ck_assert_uint_eq(board_server_connections(board, 0), 0);
	stop();
}
END_TEST

START_TEST(the_first_that_waits_is_the_first_that_is_let_in)
{
	start(FULL_OF("0"));
	ck_assert_uint_eq(pick(0, 0), 1);
	ck_assert_uint_eq(pick(1, 0), 1);
	(void)pick(2, 0);
	(void)pick(3, 0);
	upstream_connected(&uses[0].use);
	upstream_end(&uses[0].use);
	turn_until(uses[2].answer == UPSTREAM_SERVER);
	ck_assert_int_eq(uses[3].answer, UPSTREAM_WAIT);
	upstream_end(&uses[1].use);
	turn_until(uses[3].answer == UPSTREAM_SERVER);
	stop();
}
END_TEST

START_TEST(a_place_that_another_worker_gives_back_is_found)
{
	start(FULL_OF("0"));
	ck_assert_uint_eq(pick(0, 1), 1);
	ck_assert_uint_eq(pick(1, 1), 1);
	(void)pick(2, 0);
	upstream_end(&uses[0].use);
	turn_until(uses[2].answer == UPSTREAM_SERVER);
	stop();
}
END_TEST

START_TEST(who_came_first_of_all_workers_is_let_in_first)
{
	int i;

	start(QUEUE_OF_5("server = 127.0.0.1:1 max_connections=1\n"));
	ck_assert_uint_eq(pick(0, 0), 1);
	for (i = 1; i <= 5; i++)
		ck_assert_uint_eq(pick(i, i % 3 == 0 ? 0 : 1), 0);
	/* Each place becomes free in the process of the one before. */
	for (i = 1; i <= 5; i++) {
		upstream_end(&uses[i - 1].use);
		turn_until(uses[i].answer == UPSTREAM_SERVER);
		ck_assert_uint_eq(
		    board_upstream_queued(board, 0), (uint64_t)(5 - i));
	}
	stop();
}
END_TEST

START_TEST(who_comes_while_others_wait_is_behind_them)
{
	start(FULL_OF("0"));
	ck_assert_uint_eq(pick(0, 0), 1);
	ck_assert_uint_eq(pick(1, 0), 1);
	ck_assert_uint_eq(pick(2, 1), 0);
	upstream_end(&uses[0].use);
	ck_assert_uint_eq(pick(3, 0), 0);
	ck_assert_int_eq(uses[3].answer, UPSTREAM_WAIT);
	/* The queue is full, though a place is free. */
	ck_assert_uint_eq(pick(4, 0), 0);
	ck_assert_int_eq(uses[4].answer, UPSTREAM_NONE);
	turn_until(uses[2].answer == UPSTREAM_SERVER);
	ck_assert_int_eq(uses[3].answer, UPSTREAM_WAIT);
	upstream_end(&uses[1].use);
	turn_until(uses[3].answer == UPSTREAM_SERVER);
	/* And nobody waits any more. */
	upstream_end(&uses[2].use);
	ck_assert_uint_eq(pick(5, 1), 1);
	stop();
}
END_TEST

START_TEST(who_was_at_a_server_waits_for_no_turn)
{
	start(QUEUE_OF_5("server = 127.0.0.1:1 max_connections=1\n"
			 "server = 127.0.0.1:2 max_connections=1\n"));
	ck_assert_uint_eq(pick(0, 0), 1);
	ck_assert_uint_eq(pick(1, 0), 2);
	ck_assert_uint_eq(pick(2, 1), 0);
	upstream_failed(&uses[0].use, -ECONNREFUSED);
	upstream_end(&uses[1].use);
	ck_assert_uint_eq(pick(0, 0), 2);
	turn_until(uses[2].answer == UPSTREAM_SERVER);
	stop();
}
END_TEST

START_TEST(who_cannot_take_each_server_holds_nobody_up)
{
	long u, row = -1;

	start(QUEUE_OF_5("server = 127.0.0.1:1 max_connections=1\n"
			 "server = [::1]:2 max_connections=1\n"));
	u = board_upstream_find(board, "u");
	while ((row = board_server_next(board, u, row)) >= 0)
		atomic_fetch_or(
		    &board_server(board, row)->flags, SERVER_RESOLVED);
	family = 4;
	ck_assert_uint_eq(pick(0, 0), 1);
	ck_assert_uint_eq(pick(1, 0), 0);
	family = 6;
	ck_assert_uint_eq(pick(2, 0), 2);
	ck_assert_uint_eq(pick(3, (unsigned)_i), 0);
	upstream_end(&uses[2].use);
	turn_until(uses[3].answer == UPSTREAM_SERVER);
	ck_assert_int_eq(uses[1].answer, UPSTREAM_WAIT);
	stop();
}
END_TEST

/* It may be stopped, or have died without having been cleaned up. */
START_TEST(a_worker_that_leaves_its_place_free_is_passed_over)
{
	long u;

	start(FULL_OF("0"));
	u = board_upstream_find(board, "u");
	ck_assert_uint_eq(pick(0, 0), 1);
	ck_assert_uint_eq(pick(1, 0), 1);
	atomic_store(&board_upstream(board, u)->ticket, 7);
	atomic_store(&board_upstream_slot(board, 1, u)->first, 7);
	ck_assert_uint_eq(pick(2, 0), 0);
	upstream_end(&uses[0].use);
	turn_until(uses[2].turns > 0);
	ck_assert_int_eq(uses[2].answer, UPSTREAM_WAIT);
	turn_until(uses[2].answer == UPSTREAM_SERVER);
	/* It is so until it goes on. */
	upstream_end(&uses[1].use);
	ck_assert_uint_eq(pick(3, 0), 1);
	board_worker_ended(board, 1);
	ck_assert_uint_eq(board_upstream_first(board, u, 0), 0);
	stop();
}
END_TEST

START_TEST(who_waits_too_long_or_has_left_gives_up_its_place)
{
	start(FULL_OF("30ms"));
	(void)pick(0, 0);
	(void)pick(1, 0);
	(void)pick(2, 0);
	(void)pick(3, 0);
	uses[2].left = true;
	turn_until(uses[3].answer == UPSTREAM_NONE);
	ck_assert_ptr_null(uses[2].use.upstream);
	ck_assert_uint_eq(
	    board_upstream_queued(board, board_upstream_find(board, "u")), 0);
	stop();
}
END_TEST

START_TEST(who_has_left_behind_the_first_gives_up_its_place)
{
	start(FULL_OF("0"));
	(void)pick(0, 0);
	(void)pick(1, 0);
	(void)pick(2, 0);
	(void)pick(3, 0);
	uses[3].left = true;
	turn_until(uses[3].use.upstream == NULL);
	ck_assert_int_eq(uses[2].answer, UPSTREAM_WAIT);
	ck_assert_uint_eq(board_upstream_queued(board, 0), 1);
	stop();
}
END_TEST

START_TEST(figures_tell_what_was)
{
	struct board_server_sum sum;

	start(TWO "max_fails = 0\n");
	ck_assert_uint_eq(pick(0, 0), 1);
	upstream_connected(&uses[0].use);
	ck_assert_uint_eq(pick(1, 1), 2);
	ck_assert_uint_eq(pick(2, 1), 1);
	upstream_failed(&uses[2].use, -ECONNREFUSED);
	ck_assert_ptr_nonnull(upstream_totals(&uses[0].use));
	ck_assert_ptr_null(upstream_totals(&uses[2].use));
	board_server_sum(board, 0, &sum);
	ck_assert_uint_eq(sum.connections, 1);
	ck_assert_uint_eq(sum.total, 1);
	ck_assert_uint_eq(sum.failures, 1);
	stop();
}
END_TEST

/* ---- what weirctl says, and reloads ---- */

static const struct board_server *
row_of(const char *name)
{
	long i;

	for (i = 0; i < board_servers(board); i++)
		if (board_server_used(board, i) &&
		    strcmp(board_server(board, i)->name, name) == 0)
			return board_server(board, i);
	return NULL;
}

static void
reload(const char *text)
{
	struct config *next = parse(text);
	int i;

	ck_assert_int_eq(keeper_reload(keeper, next), 0);
	for (i = 0; i < WORKERS; i++)
		ck_assert_int_eq(upstreams_reload(all[i], next), 0);
	config_unref(config);
	config = next;
}

START_TEST(weirctl_is_told_what_it_does_not_know)
{
	start(TWO);
	ck_assert_int_eq(
	    keeper_set_admin(keeper, "v", "127.0.0.1:1", SERVER_DOWN), -ENOENT);
	ck_assert_int_eq(
	    keeper_set_admin(keeper, "u", "127.0.0.1:3", SERVER_DOWN), -ESRCH);
	ck_assert_uint_eq(changes, 0);
	ck_assert_int_eq(
	    keeper_set_admin(keeper, "u", "127.0.0.1:1", SERVER_DRAIN), 0);
	ck_assert_uint_eq(changes, 1);
	ck_assert_uint_eq(pick(0, 1), 2);
	ck_assert_int_eq(keeper_set_weight(keeper, "u", "127.0.0.1:2", 0), 0);
	ck_assert_uint_eq(pick(1, 0), 0);
	stop();
}
END_TEST

START_TEST(a_server_that_did_not_change_keeps_its_state)
{
	start("[upstream u]\nserver = 127.0.0.1:1 name=a\n"
	      "server = 127.0.0.1:2 name=b\nserver = 127.0.0.1:3 name=c\n");
	(void)keeper_set_admin(keeper, "u", "a", SERVER_DOWN);
	(void)keeper_set_weight(keeper, "u", "a", 7);
	(void)keeper_set_admin(keeper, "u", "b", SERVER_DOWN);
	(void)keeper_set_admin(keeper, "u", "c", SERVER_DOWN);
	reload("[upstream u]\nserver = 127.0.0.1:4 name=d\n"
	       "server = 127.0.0.1:2 name=b weight=3\n"
	       "server = 127.0.0.1:1 name=a\nretries = 7\n");
	ck_assert_uint_eq(atomic_load(&row_of("a")->admin), SERVER_DOWN);
	ck_assert_uint_eq(atomic_load(&row_of("a")->weight), 7);
	ck_assert_uint_eq(atomic_load(&row_of("b")->admin), SERVER_UP);
	ck_assert_uint_eq(atomic_load(&row_of("b")->weight), 3);
	ck_assert_ptr_null(row_of("c"));
	ck_assert_ptr_nonnull(row_of("d"));
	ck_assert_uint_ne(pick(0, 0), 1);
	stop();
}
END_TEST

static const char *const others[] = {"weight=2", "backup", "max_connections=7",
    "max_fails=7", "fail_timeout=7s"};

START_TEST(a_server_that_is_another_one_begins_anew)
{
	char text[200];

	start(TWO);
	ck_assert_int_eq(
	    keeper_set_admin(keeper, "u", "127.0.0.1:1", SERVER_DOWN), 0);
	reload(TWO);
	ck_assert_uint_eq(
	    atomic_load(&row_of("127.0.0.1:1")->admin), SERVER_DOWN);
	(void)snprintf(text, sizeof(text),
	    "[upstream u]\nserver = 127.0.0.1:1 %s\nserver = 127.0.0.1:2\n",
	    others[_i]);
	reload(text);
	ck_assert_uint_eq(
	    atomic_load(&row_of("127.0.0.1:1")->admin), SERVER_UP);
	stop();
}
END_TEST

START_TEST(another_keeper_finds_what_the_one_before_knew)
{
	const struct keeper_options again = {.loop = NULL};
	struct keeper_options k = again;

	start(TWO);
	(void)keeper_set_admin(keeper, "u", "127.0.0.1:1", SERVER_DOWN);
	keeper_free(keeper);
	k.loop = loop;
	k.board = board;
	k.config = config;
	k.on_change = on_change;
	ck_assert_int_eq(keeper_new(&keeper, &k), 0);
	ck_assert_uint_eq(
	    atomic_load(&row_of("127.0.0.1:1")->admin), SERVER_DOWN);
	stop();
}
END_TEST

START_TEST(a_use_outlives_its_server_and_its_upstream)
{
	start(TWO);
	ck_assert_uint_eq(pick(0, 0), 1);
	upstream_connected(&uses[0].use);
	ck_assert_uint_eq(pick(1, 0), 2);
	reload("[upstream u]\nserver = 127.0.0.1:9\n");
	ck_assert_uint_eq(pick(2, 0), 9);
	upstream_failed(&uses[1].use, -ECONNREFUSED);
	ck_assert_uint_eq(pick(1, 0), 9);
	ck_assert_uint_eq(board_server_connections(board, 0), 1);
	upstream_end(&uses[0].use);
	ck_assert_uint_eq(board_server_connections(board, 0), 0);
	stop();
}
END_TEST

START_TEST(those_of_a_server_that_goes_down_are_told)
{
	start(TWO "on_down = close\n");
	ck_assert_uint_eq(pick(0, 0), 1);
	upstream_connected(&uses[0].use);
	ck_assert_uint_eq(pick(1, 1), 2);
	upstream_connected(&uses[1].use);
	(void)keeper_set_admin(keeper, "u", "127.0.0.1:1", SERVER_DOWN);
	ck_assert_uint_ge(uses[0].downs, 1);
	ck_assert_uint_eq(uses[1].downs, 0);
	stop();
}
END_TEST

START_TEST(one_that_comes_with_its_server_counts_there)
{
	struct weir_address at;

	start(TWO);
	ck_assert_int_eq(weir_address_set_ip(&at, "127.0.0.1", 2), 0);
	ck_assert_int_eq(upstream_adopt(&uses[0].use, all[1],
			     config_find_upstream(config, "u"), &at),
	    0);
	ck_assert_str_eq(upstream_server_name(&uses[0].use), "127.0.0.1:2");
	ck_assert_uint_eq(board_server_connections(board, 1), 1);
	ck_assert_int_eq(weir_address_set_ip(&at, "127.0.0.1", 3), 0);
	ck_assert_int_eq(upstream_adopt(&uses[1].use, all[1],
			     config_find_upstream(config, "u"), &at),
	    -ENOENT);
	stop();
}
END_TEST

START_TEST(usable_is_as_long_as_one_is_up)
{
	const struct config_upstream *u;

	start(TWO);
	u = config_find_upstream(config, "u");
	ck_assert(upstreams_usable(all[0], u));
	(void)keeper_set_admin(keeper, "u", "127.0.0.1:1", SERVER_DOWN);
	ck_assert(upstreams_usable(all[0], u));
	(void)keeper_set_admin(keeper, "u", "127.0.0.1:2", SERVER_DRAIN);
	ck_assert(!upstreams_usable(all[0], u));
	stop();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("proxy/upstream");
	TCase *pick_case = tcase_create("pick"), *kept = tcase_create("kept");

	tcase_add_test(pick_case, workers_take_turns_from_one_counter);
	tcase_add_test(pick_case, no_server_twice_and_no_more_than_retries);
	tcase_add_test(
	    pick_case, what_fails_in_one_worker_is_down_in_the_other);
	tcase_add_test(
	    pick_case, what_is_missing_here_says_nothing_of_the_server);
	tcase_add_test(pick_case, a_trial_that_says_nothing_is_another_ones);
	tcase_add_test(
	    pick_case, places_and_the_queue_are_counted_over_all_workers);
	tcase_add_test(
	    pick_case, two_that_come_at_one_moment_never_have_the_last_place);
	tcase_add_test(
	    pick_case, the_first_that_waits_is_the_first_that_is_let_in);
	tcase_add_test(
	    pick_case, a_place_that_another_worker_gives_back_is_found);
	tcase_add_test(
	    pick_case, who_came_first_of_all_workers_is_let_in_first);
	tcase_add_test(pick_case, who_comes_while_others_wait_is_behind_them);
	tcase_add_test(pick_case, who_was_at_a_server_waits_for_no_turn);
	tcase_add_loop_test(
	    pick_case, who_cannot_take_each_server_holds_nobody_up, 0, 2);
	tcase_add_test(
	    pick_case, a_worker_that_leaves_its_place_free_is_passed_over);
	tcase_add_test(
	    pick_case, who_waits_too_long_or_has_left_gives_up_its_place);
	tcase_add_test(pick_case, one_alone_finds_out_whether_a_server_is_back);
	tcase_add_test(
	    pick_case, who_has_left_behind_the_first_gives_up_its_place);
	tcase_add_test(pick_case, figures_tell_what_was);
	suite_add_tcase(suite, pick_case);
	tcase_add_test(kept, weirctl_is_told_what_it_does_not_know);
	tcase_add_loop_test(kept, a_server_that_is_another_one_begins_anew, 0,
	    sizeof(others) / sizeof(others[0]));
	tcase_add_test(kept, a_server_that_did_not_change_keeps_its_state);
	tcase_add_test(kept, another_keeper_finds_what_the_one_before_knew);
	tcase_add_test(kept, a_use_outlives_its_server_and_its_upstream);
	tcase_add_test(kept, those_of_a_server_that_goes_down_are_told);
	tcase_add_test(kept, one_that_comes_with_its_server_counts_there);
	tcase_add_test(kept, usable_is_as_long_as_one_is_up);
	suite_add_tcase(suite, kept);
	return support_run(suite);
}
