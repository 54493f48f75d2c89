/*
 * Which server is next: choices from what is known of the servers now. Nothing
 * here is kept from one choice to the next, so that any number of workers may
 * choose from the same facts and agree.
 */
#ifndef PROXY_BALANCE_H
#define PROXY_BALANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <weir/address.h>

/* Weights in force are in hundredths, so that slow_start has steps. */
#define BALANCE_SCALE 100

/* A server as a choice sees it. */
struct balance_server {
	uint64_t weight;      /* in force; 0: not to be chosen */
	uint64_t connections; /* open now */
	uint64_t key;	      /* of what it is, for balance_source() */
	unsigned tier;	      /* only the lowest that can be chosen counts */
	bool usable;
};

/*
 * Each returns the index of a server, or -1 where none can be chosen.
 *
 * balance_turn() is smooth weighted round robin: of as many turns in a row as
 * the weights' sum each server gets its weight, spread evenly. The turns are
 * numbered by whoever asks.
 */
long balance_turn(
    const struct balance_server *servers, size_t count, uint64_t turn);

/* The fewest connections for its weight; among equals by turn. */
long balance_least(
    const struct balance_server *servers, size_t count, uint64_t turn);

/* The better of two that a random number draws, by weight. */
long balance_random(
    const struct balance_server *servers, size_t count, uint64_t random);

/* The same for the same client as long as it can be chosen, and every other
 * client stays where it is when one server leaves (rendezvous hashing). */
long balance_source(
    const struct balance_server *servers, size_t count, uint64_t client);

/* The first. */
long balance_ordered(const struct balance_server *servers, size_t count);

/*
 * The weight in force of a server that came up elapsed_ms ago; slow_start_ms
 * is 0 for none.
 */
uint64_t balance_weight(
    unsigned weight, uint64_t elapsed_ms, uint64_t slow_start_ms);

/* Keys of a server (its name and address) and of a client (its address
 * without the port, an IPv4-mapped one as IPv4); the same in every process and
 * after every start. */
uint64_t balance_server_key(
    const char *name, const struct weir_address *address);
uint64_t balance_client_key(const struct weir_address *address);
/* Of a client at a unix socket, whose address says nothing: its user. */
uint64_t balance_user_key(uid_t user);

/* A number to draw by, from a state that is never 0. */
uint64_t balance_draw(uint64_t *state);

#endif
