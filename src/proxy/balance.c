/*
 * Choices among servers. They promise to depend on nothing but their
 * arguments.
 *
 * Round robin has no state of its own but the number of the turn, which all
 * workers take from one counter. The schedule that the number points into is
 * that of an even spread: the k-th turn of a server is due at (k + phase) /
 * weight of the round, servers of one weight having their phases apart; and
 * the turns of all are taken in the order in which they are due. Which one is
 * the r-th is found by halving the round until so many are due before.
 */
#include "config.h"

#include "proxy/balance.h"

#include <math.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define ROUND_BITS 32
#define WEIGHT_MAX 256

/* ---- who can be chosen ---- */

static bool
is_chosen_from(const struct balance_server *server, unsigned tier)
{
	return server->usable && server->weight > 0 && server->tier == tier;
}

/* The lowest tier with one that can be chosen; false where there is none. */
static bool
find_tier(const struct balance_server *servers, size_t count, unsigned *tier)
{
	bool found = false;
	size_t i;

	for (i = 0; i < count; i++) {
		if (!servers[i].usable || servers[i].weight == 0)
			continue;
		if (!found || servers[i].tier < *tier)
			*tier = servers[i].tier;
		found = true;
	}
	return found;
}

/* ---- round robin ---- */

/* How many have this weight, and how many of them were seen. Weights on the
 * way up (slow_start) are each their own. */
struct phases {
	unsigned all[WEIGHT_MAX + 1], seen[WEIGHT_MAX + 1];
};

struct schedule {
	const struct balance_server *servers;
	size_t count;
	/* Which of them; NULL: those of the tier. */
	bool (*wanted)(const struct schedule *, size_t index);
	unsigned tier;
	size_t best; /* of balance_least() */
	struct phases phases;
};

static bool
in_tier(const struct schedule *s, size_t index)
{
	return is_chosen_from(&s->servers[index], s->tier);
}

/* The bin of a weight, or -1. */
static long
bin_of(const struct balance_server *server)
{
	uint64_t whole = server->weight / BALANCE_SCALE;

	return server->weight % BALANCE_SCALE == 0 && whole <= WEIGHT_MAX
		   ? (long)whole
		   : -1;
}

/* When a server's first turn is due, in parts of the time between two of its
 * turns: 0 to 1, as ROUND_BITS bits. */
static uint64_t
next_phase(struct schedule *s, size_t index)
{
	long bin = bin_of(&s->servers[index]);
	uint64_t all = 1, before = 0;

	if (bin >= 0) {
		all = s->phases.all[bin];
		before = s->phases.seen[bin]++;
	}
	return ((2 * before + 1) << ROUND_BITS) / (2 * all);
}

/* How many turns of a server are due before the time, of a whole round that
 * is ROUND_BITS bits long. */
static uint64_t
due_before(uint64_t weight, uint64_t phase, uint64_t time)
{
	uint64_t passed = weight * time;

	if (passed <= phase)
		return 0;
	return (passed - phase + (UINT64_C(1) << ROUND_BITS) - 1) >> ROUND_BITS;
}

static uint64_t
all_due_before(struct schedule *s, uint64_t time)
{
	uint64_t sum = 0;
	size_t i;

	memset(s->phases.seen, 0, sizeof(s->phases.seen));
	for (i = 0; i < s->count; i++)
		if (s->wanted(s, i))
			sum += due_before(
			    s->servers[i].weight, next_phase(s, i), time);
	return sum;
}

/* Of those whose turn is due at that time, the one of that rank. */
static long
due_at(struct schedule *s, uint64_t time, uint64_t rank)
{
	uint64_t phase, n;
	size_t i;

	memset(s->phases.seen, 0, sizeof(s->phases.seen));
	for (i = 0; i < s->count; i++) {
		if (!s->wanted(s, i))
			continue;
		phase = next_phase(s, i);
		n = due_before(s->servers[i].weight, phase, time + 1) -
		    due_before(s->servers[i].weight, phase, time);
		if (rank < n)
			return (long)i;
		rank -= n;
	}
	return -1;
}

/* Count the weights; their sum. And how many there are, where all of them are
 * the same; else 0. */
static uint64_t
begin_schedule(struct schedule *s, size_t *alike)
{
	uint64_t sum = 0, first = 0;
	size_t i, count = 0;
	long bin;

	for (i = 0; i < s->count; i++) {
		if (!s->wanted(s, i))
			continue;
		if (count++ == 0)
			first = s->servers[i].weight;
		sum += s->servers[i].weight;
		bin = bin_of(&s->servers[i]);
		if (bin >= 0)
			s->phases.all[bin]++;
	}
	*alike = sum == first * count ? count : 0;
	return sum;
}

static long
wanted_at(const struct schedule *s, uint64_t rank)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		if (s->wanted(s, i) && rank-- == 0)
			return (long)i;
	return -1;
}

static long
take_turn(struct schedule *s, uint64_t turn)
{
	uint64_t low = 0, high = UINT64_C(1) << ROUND_BITS, middle;
	size_t alike;
	uint64_t sum = begin_schedule(s, &alike);

	if (sum == 0)
		return -1;
	if (alike > 0) /* what is below would come to the same */
		return wanted_at(s, turn % alike);
	turn %= sum;
	/* The last moment before which no more than that many are due. */
	while (high - low > 1) {
		middle = low + (high - low) / 2;
		if (all_due_before(s, middle) > turn)
			high = middle;
		else
			low = middle;
	}
	return due_at(s, low, turn - all_due_before(s, low));
}

long
balance_turn(const struct balance_server *servers, size_t count, uint64_t turn)
{
	struct schedule s = {
	    .servers = servers, .count = count, .wanted = in_tier};

	if (!find_tier(servers, count, &s.tier))
		return -1;
	return take_turn(&s, turn);
}

/* ---- by connections ---- */

/* Whether a has fewer than b, for their weights: -1, 0 or 1. */
static int
compare_load(const struct balance_server *a, const struct balance_server *b)
{
	uint64_t left = a->connections * b->weight;
	uint64_t right = b->connections * a->weight;

	return left < right ? -1 : left > right;
}

static bool
is_as_good(const struct schedule *s, size_t index)
{
	return in_tier(s, index) &&
	       compare_load(&s->servers[index], &s->servers[s->best]) == 0;
}

long
balance_least(const struct balance_server *servers, size_t count, uint64_t turn)
{
	struct schedule s = {
	    .servers = servers, .count = count, .wanted = is_as_good};
	bool found = false;
	size_t i;

	if (!find_tier(servers, count, &s.tier))
		return -1;
	for (i = 0; i < count; i++) {
		if (!in_tier(&s, i) ||
		    (found && compare_load(&servers[i], &servers[s.best]) >= 0))
			continue;
		s.best = i;
		found = true;
	}
	return take_turn(&s, turn);
}

/* Draw one of all but one (or -1). */
static long
draw_weighted(const struct balance_server *servers, size_t count, unsigned tier,
    long but, uint64_t number)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < count; i++)
		if (is_chosen_from(&servers[i], tier) && (long)i != but)
			sum += servers[i].weight;
	if (sum == 0)
		return -1;
	number %= sum;
	for (i = 0; i < count; i++) {
		if (!is_chosen_from(&servers[i], tier) || (long)i == but)
			continue;
		if (number < servers[i].weight)
			return (long)i;
		number -= servers[i].weight;
	}
	return -1;
}

long
balance_random(
    const struct balance_server *servers, size_t count, uint64_t random)
{
	unsigned tier = 0;
	long one, two;

	if (!find_tier(servers, count, &tier))
		return -1;
	one = draw_weighted(servers, count, tier, -1, random >> 32);
	two = draw_weighted(servers, count, tier, one, random & UINT32_MAX);
	if (two < 0 || compare_load(&servers[one], &servers[two]) <= 0)
		return one;
	return two;
}

/* ---- by the client ---- */

/*
 * Every server draws a time at which it would take the client, the sooner on
 * average the more weight it has, and the soonest has it. Nobody's time
 * depends on the others.
 */
static double
draw_time(const struct balance_server *server, uint64_t client)
{
	uint64_t hash =
	    XXH3_64bits_withSeed(&server->key, sizeof(server->key), client);
	double part = ((double)(hash >> 11) + 0.5) / 9007199254740992.0;

	return -log(part) / (double)server->weight;
}

long
balance_source(
    const struct balance_server *servers, size_t count, uint64_t client)
{
	double soonest = 0, time;
	unsigned tier = 0;
	long best = -1;
	size_t i;

	if (!find_tier(servers, count, &tier))
		return -1;
	for (i = 0; i < count; i++) {
		if (!is_chosen_from(&servers[i], tier))
			continue;
		time = draw_time(&servers[i], client);
		if (best >= 0 && time >= soonest)
			continue;
		soonest = time;
		best = (long)i;
	}
	return best;
}

long
balance_ordered(const struct balance_server *servers, size_t count)
{
	unsigned tier = 0;
	size_t i;

	if (!find_tier(servers, count, &tier))
		return -1;
	for (i = 0; i < count; i++)
		if (is_chosen_from(&servers[i], tier))
			return (long)i;
	return -1;
}

/* ---- weights, keys and numbers ---- */

uint64_t
balance_weight(unsigned weight, uint64_t elapsed_ms, uint64_t slow_start_ms)
{
	uint64_t full = (uint64_t)weight * BALANCE_SCALE, now;

	if (slow_start_ms == 0 || elapsed_ms >= slow_start_ms || weight == 0)
		return full;
	now = (uint64_t)((double)full * (double)elapsed_ms /
			 (double)slow_start_ms);
	return now > 0 ? now : 1;
}

/* What of an address tells who it is. */
static const void *
host_of(const struct weir_address *address, size_t *length)
{
	const struct in6_addr *in6 = &address->u.in6.sin6_addr;

	switch (address->length > 0 ? address->u.sa.sa_family : AF_UNSPEC) {
	case AF_INET:
		*length = sizeof(address->u.in.sin_addr);
		return &address->u.in.sin_addr;
	case AF_INET6:
		*length = sizeof(*in6);
		if (!IN6_IS_ADDR_V4MAPPED(in6))
			return in6;
		*length = sizeof(struct in_addr);
		return in6->s6_addr + 12;
	case AF_UNIX:
		*length =
		    address->length - offsetof(struct sockaddr_un, sun_path);
		return address->u.un.sun_path;
	default:
		*length = 0;
		return "";
	}
}

uint64_t
balance_client_key(const struct weir_address *address)
{
	size_t length;
	const void *host = host_of(address, &length);

	return XXH3_64bits(host, length);
}

uint64_t
balance_user_key(uid_t user)
{
	return XXH3_64bits(&user, sizeof(user));
}

uint64_t
balance_server_key(const char *name, const struct weir_address *address)
{
	uint16_t port = weir_address_port(address);
	size_t length;
	const void *host = host_of(address, &length);
	uint64_t key = XXH3_64bits(name, strlen(name));

	key = XXH3_64bits_withSeed(host, length, key);
	return XXH3_64bits_withSeed(&port, sizeof(port), key);
}

/* xorshift64*. */
uint64_t
balance_draw(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}
