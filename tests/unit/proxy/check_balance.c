/* Choices among servers: shares, spread, and who moves when one leaves. */
#include "config.h"

#include <arpa/inet.h>
#include <string.h>

#include "proxy/balance.h"
#include "support.h"

#define MANY 10
#define S    BALANCE_SCALE

static struct balance_server servers[MANY];

static void
make(size_t count, const unsigned *weights)
{
	struct weir_address address;
	size_t i;

	memset(servers, 0, sizeof(servers));
	for (i = 0; i < count; i++) {
		ck_assert_int_eq(weir_address_set_ip(&address, "10.0.0.1",
				     (uint16_t)(8000 + i)),
		    0);
		servers[i].usable = true;
		servers[i].weight = (uint64_t)weights[i] * S;
		servers[i].key = balance_server_key("s", &address);
	}
}

static const unsigned five[] = {1, 2, 3, 5, 9};
static const unsigned ones[MANY] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

/* ---- round robin ---- */

START_TEST(a_round_gives_each_exactly_its_weight)
{
	unsigned got[5] = {0};
	uint64_t turn;
	long i;

	make(5, five);
	for (turn = 1000; turn < 1000 + 20; turn++) {
		i = balance_turn(servers, 5, turn);
		ck_assert_int_ge(i, 0);
		got[i]++;
	}
	for (i = 0; i < 5; i++)
		ck_assert_uint_eq(got[i], five[i]);
}
END_TEST

START_TEST(turns_are_spread_evenly)
{
	static const unsigned weights[] = {5, 1, 1};
	char order[8] = "";
	uint64_t turn;

	make(3, weights);
	for (turn = 0; turn < 7; turn++)
		order[turn] = (char)('a' + balance_turn(servers, 3, turn));
	ck_assert_str_eq(order, "abaaaca");
}
END_TEST

/* At no moment is a server more than one turn off its share. */
START_TEST(no_server_is_ever_far_from_its_share)
{
	double share, most = 0, off;
	unsigned got[5] = {0}, i;
	uint64_t turn;

	make(5, five);
	for (turn = 0; turn < 2000; turn++) {
		got[balance_turn(servers, 5, turn)]++;
		for (i = 0; i < 5; i++) {
			share = (double)(turn + 1) * five[i] / 20;
			off = share > got[i] ? share - got[i] : got[i] - share;
			most = off > most ? off : most;
		}
	}
	ck_assert_msg(most < 1.5, "%f", most);
}
END_TEST

START_TEST(servers_alike_take_turns_in_their_order)
{
	uint64_t turn;

	make(3, ones);
	for (turn = 0; turn < 9; turn++)
		ck_assert_int_eq(
		    balance_turn(servers, 3, turn), (long)(turn % 3));
}
END_TEST

START_TEST(ten_thousand_turns_are_off_by_less_than_a_round)
{
	unsigned got[5] = {0};
	uint64_t turn;
	long i;

	make(5, five);
	for (turn = 0; turn < 10000; turn++)
		got[balance_turn(servers, 5, turn)]++;
	for (i = 0; i < 5; i++)
		ck_assert_uint_eq(got[i], 10000 * five[i] / 20);
}
END_TEST

START_TEST(weights_on_the_way_up_have_their_share)
{
	unsigned got[3] = {0};
	uint64_t turn;

	make(3, ones);
	servers[1].weight = 37;
	for (turn = 0; turn < 237; turn++)
		got[balance_turn(servers, 3, turn)]++;
	ck_assert_uint_eq(got[0], 100);
	ck_assert_uint_eq(got[1], 37);
	ck_assert_uint_eq(got[2], 100);
}
END_TEST

START_TEST(the_heaviest_weights_are_exact_too)
{
	static const unsigned weights[] = {256, 255, 1};
	unsigned got[3] = {0};
	uint64_t turn;

	make(3, weights);
	servers[2].weight = 1; /* a hundredth */
	for (turn = 0; turn < 51101; turn++)
		got[balance_turn(servers, 3, turn)]++;
	ck_assert_uint_eq(got[0], 25600);
	ck_assert_uint_eq(got[1], 25500);
	ck_assert_uint_eq(got[2], 1);
}
END_TEST

/* ---- who can be chosen ---- */

static long
choose(int how, size_t count, uint64_t number)
{
	switch (how) {
	case 0:
		return balance_turn(servers, count, number);
	case 1:
		return balance_least(servers, count, number);
	case 2:
		return balance_random(
		    servers, count, number * UINT64_C(0x9e3779b97f4a7c15));
	case 3:
		return balance_source(servers, count, number);
	default:
		return balance_ordered(servers, count);
	}
}

START_TEST(who_is_down_has_no_weight_or_is_of_a_higher_tier_is_left_out)
{
	uint64_t number;

	make(4, ones);
	servers[0].usable = false;
	servers[1].weight = 0;
	servers[3].tier = 1;
	for (number = 0; number < 100; number++)
		ck_assert_int_eq(choose(_i, 4, number), 2);
	servers[2].usable = false;
	for (number = 0; number < 100; number++)
		ck_assert_int_eq(choose(_i, 4, number), 3);
	servers[3].usable = false;
	ck_assert_int_eq(choose(_i, 4, 1), -1);
	ck_assert_int_eq(choose(_i, 0, 1), -1);
}
END_TEST

START_TEST(one_alone_is_always_chosen)
{
	uint64_t number;

	make(1, ones);
	for (number = 0; number < 100; number++)
		ck_assert_int_eq(choose(_i, 1, number), 0);
}
END_TEST

START_TEST(fewest_connections_for_the_weight)
{
	static const unsigned weights[] = {1, 4, 2};

	make(3, weights);
	servers[0].connections = 2;
	servers[1].connections = 7;
	servers[2].connections = 4;
	ck_assert_int_eq(balance_least(servers, 3, 0), 1);
	servers[1].connections = 8;
	servers[2].connections = 3;
	ck_assert_int_eq(balance_least(servers, 3, 0), 2);
}
END_TEST

START_TEST(equals_take_turns_by_weight)
{
	static const unsigned weights[] = {1, 3, 1};
	unsigned got[3] = {0};
	uint64_t turn;

	make(3, weights);
	servers[2].connections = 1;
	for (turn = 0; turn < 40; turn++)
		got[balance_least(servers, 3, turn)]++;
	ck_assert_uint_eq(got[0], 10);
	ck_assert_uint_eq(got[1], 30);
	ck_assert_uint_eq(got[2], 0);
}
END_TEST

START_TEST(the_better_of_two_is_taken)
{
	uint64_t state = 88172645463325252U;
	unsigned got[3] = {0}, i;

	make(3, ones);
	servers[0].connections = 10;
	servers[1].connections = 5;
	for (i = 0; i < 3000; i++)
		got[balance_random(servers, 3, balance_draw(&state))]++;
	/* The worst of three never wins, the best in two of three draws. */
	ck_assert_uint_eq(got[0], 0);
	ck_assert_uint_gt(got[1], 900);
	ck_assert_uint_lt(got[1], 1100);
}
END_TEST

/* ---- by the client ---- */

static uint64_t
client_key(unsigned n)
{
	struct weir_address address;
	char text[32];

	(void)snprintf(text, sizeof(text), "10.%u.%u.%u", n >> 16 & 255,
	    n >> 8 & 255, n & 255);
	ck_assert_int_eq(weir_address_set_ip(&address, text, 1234), 0);
	return balance_client_key(&address);
}

START_TEST(users_of_a_unix_socket_are_shared_like_addresses)
{
	unsigned got[MANY] = {0}, i;

	make(MANY, ones);
	for (i = 0; i < 10000; i++)
		got[balance_source(servers, MANY, balance_user_key(i))]++;
	for (i = 0; i < MANY; i++)
		ck_assert_uint_gt(got[i], 800);
}
END_TEST

START_TEST(only_the_clients_of_one_that_leaves_move)
{
	unsigned i, moved = 0, wrongly = 0;
	long before, after;

	make(MANY, ones);
	for (i = 0; i < 10000; i++) {
		servers[3].usable = true;
		before = balance_source(servers, MANY, client_key(i));
		servers[3].usable = false;
		after = balance_source(servers, MANY, client_key(i));
		moved += before != after;
		wrongly += before != 3 && before != after;
	}
	ck_assert_uint_eq(wrongly, 0);
	ck_assert_uint_gt(moved, 850);
	ck_assert_uint_lt(moved, 1150);
}
END_TEST

START_TEST(its_clients_are_shared_by_all_the_others)
{
	unsigned got[MANY] = {0}, i;

	make(MANY, ones);
	for (i = 0; i < 10000; i++) {
		servers[3].usable = true;
		if (balance_source(servers, MANY, client_key(i)) != 3)
			continue;
		servers[3].usable = false;
		got[balance_source(servers, MANY, client_key(i))]++;
	}
	for (i = 0; i < MANY; i++)
		if (i != 3)
			ck_assert_uint_gt(got[i], 70);
}
END_TEST

START_TEST(clients_are_shared_by_weight)
{
	unsigned got[5] = {0}, i;

	make(5, five);
	for (i = 0; i < 20000; i++)
		got[balance_source(servers, 5, client_key(i))]++;
	for (i = 0; i < 5; i++) {
		ck_assert_uint_gt(got[i], 1000 * five[i] * 85 / 100);
		ck_assert_uint_lt(got[i], 1000 * five[i] * 115 / 100);
	}
}
END_TEST

START_TEST(the_order_of_servers_does_not_matter)
{
	struct balance_server last;
	long before[100];
	unsigned i;

	make(MANY, ones);
	for (i = 0; i < 100; i++)
		before[i] = balance_source(servers, MANY, client_key(i));
	last = servers[MANY - 1];
	memmove(servers + 1, servers, (MANY - 1) * sizeof(servers[0]));
	servers[0] = last;
	for (i = 0; i < 100; i++)
		ck_assert_int_eq(balance_source(servers, MANY, client_key(i)),
		    (before[i] + 1) % MANY);
}
END_TEST

START_TEST(a_client_is_its_address_without_the_port)
{
	struct weir_address a, b, c;

	ck_assert_int_eq(weir_address_set_ip(&a, "192.0.2.7", 1), 0);
	ck_assert_int_eq(weir_address_set_ip(&b, "::ffff:192.0.2.7", 2), 0);
	ck_assert_int_eq(weir_address_set_ip(&c, "192.0.2.8", 1), 0);
	ck_assert_uint_eq(balance_client_key(&a), balance_client_key(&b));
	ck_assert_uint_ne(balance_client_key(&a), balance_client_key(&c));
	ck_assert_int_eq(weir_address_set_ip(&a, "2001:db8::7", 1), 0);
	ck_assert_int_eq(weir_address_set_ip(&b, "2001:db8::8", 1), 0);
	ck_assert_uint_ne(balance_client_key(&a), balance_client_key(&b));
	/* Keys of programs that are built later must be the same. */
	ck_assert_uint_eq(balance_client_key(&c), UINT64_C(0x5d69d97a327dfc1c));
}
END_TEST

START_TEST(a_server_is_its_name_host_and_port)
{
	struct weir_address a, b;

	ck_assert_int_eq(weir_address_set_ip(&a, "192.0.2.7", 1), 0);
	b = a;
	ck_assert_uint_eq(
	    balance_server_key("x", &a), balance_server_key("x", &b));
	ck_assert_uint_ne(
	    balance_server_key("x", &a), balance_server_key("y", &b));
	b.u.in.sin_port = htons(2);
	ck_assert_uint_ne(
	    balance_server_key("x", &a), balance_server_key("x", &b));
	ck_assert_int_eq(weir_address_set_unix(&a, "/a", false), 0);
	ck_assert_int_eq(weir_address_set_unix(&b, "/b", false), 0);
	ck_assert_uint_ne(
	    balance_server_key("x", &a), balance_server_key("x", &b));
}
END_TEST

/* ---- slow start ---- */

START_TEST(weight_is_taken_up_step_by_step)
{
	ck_assert_uint_eq(balance_weight(3, 0, 0), 3 * S);
	ck_assert_uint_eq(balance_weight(3, 0, 10000), 1);
	ck_assert_uint_eq(balance_weight(3, 2500, 10000), 75);
	ck_assert_uint_eq(balance_weight(3, 5000, 10000), 150);
	ck_assert_uint_eq(balance_weight(3, 9999, 10000), 299);
	ck_assert_uint_eq(balance_weight(3, 10000, 10000), 3 * S);
	ck_assert_uint_eq(balance_weight(0, 100, 10000), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("proxy/balance");
	TCase *turns = tcase_create("turns"), *who = tcase_create("who"),
	      *source = tcase_create("source");

	tcase_add_test(turns, a_round_gives_each_exactly_its_weight);
	tcase_add_test(turns, turns_are_spread_evenly);
	tcase_add_test(turns, no_server_is_ever_far_from_its_share);
	tcase_add_test(turns, servers_alike_take_turns_in_their_order);
	tcase_add_test(turns, ten_thousand_turns_are_off_by_less_than_a_round);
	tcase_add_test(turns, weights_on_the_way_up_have_their_share);
	tcase_add_test(turns, the_heaviest_weights_are_exact_too);
	tcase_add_test(turns, weight_is_taken_up_step_by_step);
	suite_add_tcase(suite, turns);
	tcase_add_loop_test(who,
	    who_is_down_has_no_weight_or_is_of_a_higher_tier_is_left_out, 0, 5);
	tcase_add_loop_test(who, one_alone_is_always_chosen, 0, 5);
	tcase_add_test(who, fewest_connections_for_the_weight);
	tcase_add_test(who, equals_take_turns_by_weight);
	tcase_add_test(who, the_better_of_two_is_taken);
	suite_add_tcase(suite, who);
	tcase_add_test(
	    source, users_of_a_unix_socket_are_shared_like_addresses);
	tcase_add_test(source, only_the_clients_of_one_that_leaves_move);
	tcase_add_test(source, its_clients_are_shared_by_all_the_others);
	tcase_add_test(source, clients_are_shared_by_weight);
	tcase_add_test(source, the_order_of_servers_does_not_matter);
	tcase_add_test(source, a_client_is_its_address_without_the_port);
	tcase_add_test(source, a_server_is_its_name_host_and_port);
	suite_add_tcase(suite, source);
	return support_run(suite);
}
