/*
 * The states of a server on its row.
 *
 * Passive health: failures to connect are counted in one word with the moment
 * when the first of them was, so that two processes never count past each
 * other. A server that is down by them is tried again after its time, by one
 * connection alone: whoever moves down_until_ms on has the right to, and while
 * that one finds out the server is down for the others.
 */
#include "config.h"

#include "proxy/server_state.h"

#include "proxy/board.h"

#define FAILS_BITS 20 /* max_fails is at most 1000000 */
#define FAILS_MAX  ((UINT64_C(1) << FAILS_BITS) - 1)

const char *
server_state_text(enum server_state state)
{
	static const char *const text[] = {
	    [SERVER_IS_UP] = "up",
	    [SERVER_IS_DOWN] = "down",
	    [SERVER_IS_DRAINING] = "drain",
	};

	return text[state];
}

enum server_state
server_state(const struct board_server *row, uint64_t now_ms)
{
	switch (atomic_load(&row->admin)) {
	case SERVER_DRAIN:
		return SERVER_IS_DRAINING;
	case SERVER_DOWN:
		return SERVER_IS_DOWN;
	default:
		break;
	}
	if (atomic_load(&row->health) == SERVER_ILL ||
	    now_ms < board_get(&row->down_until_ms))
		return SERVER_IS_DOWN;
	return SERVER_IS_UP;
}

bool
server_usable(const struct board_server *row, uint64_t now_ms)
{
	return server_state(row, now_ms) == SERVER_IS_UP &&
	       atomic_load(&row->weight) > 0;
}

/* ---- connects ---- */

bool
server_claim(struct board_server *row, uint64_t now_ms,
    uint64_t fail_timeout_ms, bool *probing)
{
	uint64_t until = atomic_load(&row->down_until_ms);

	*probing = until != 0 && now_ms >= until &&
		   atomic_compare_exchange_strong(
		       &row->down_until_ms, &until, now_ms + fail_timeout_ms);
	return *probing || until == 0;
}

void
server_unclaim(struct board_server *row, uint64_t now_ms)
{
	uint64_t until = atomic_load(&row->down_until_ms);

	if (until != 0)
		(void)atomic_compare_exchange_strong(
		    &row->down_until_ms, &until, now_ms);
}

bool
server_connected(struct board_server *row, uint64_t now_ms)
{
	atomic_store(&row->failing, 0);
	if (atomic_load(&row->down_until_ms) == 0)
		return false;
	atomic_store(&row->up_since_ms, now_ms);
	atomic_store(&row->down_until_ms, 0);
	return true;
}

/* One more failure; how many there are in this window. */
static uint64_t
count_failure(
    struct board_server *row, uint64_t now_ms, uint64_t fail_timeout_ms)
{
	uint64_t was = atomic_load(&row->failing), now, since, fails;

	do {
		since = was >> FAILS_BITS;
		fails = was & FAILS_MAX;
		if (fails == 0 || now_ms - since >= fail_timeout_ms) {
			since = now_ms;
			fails = 0;
		}
		fails = fails < FAILS_MAX ? fails + 1 : fails;
		now = since << FAILS_BITS | fails;
	} while (!atomic_compare_exchange_weak(&row->failing, &was, now));
	return fails;
}

bool
server_failed(struct board_server *row, uint64_t now_ms, unsigned max_fails,
    uint64_t fail_timeout_ms)
{
	uint64_t until = atomic_load(&row->down_until_ms);
	bool was_up = until == 0;

	if (max_fails == 0 || fail_timeout_ms == 0)
		return false;
	/* It was down, and is not back: once is enough. */
	if (count_failure(row, now_ms, fail_timeout_ms) < max_fails && was_up)
		return false;
	atomic_store(&row->failing, 0);
	atomic_store(&row->down_until_ms, now_ms + fail_timeout_ms);
	return was_up;
}

/* ---- the keeper ---- */

bool
server_set_admin(
    struct board_server *row, enum server_admin admin, uint64_t now_ms)
{
	uint32_t was = atomic_load(&row->admin);

	if (admin == SERVER_UP) {
		/* Who says so knows that it is back. */
		atomic_store(&row->failing, 0);
		atomic_store(&row->down_until_ms, 0);
	}
	if (was == admin)
		return false;
	if (admin == SERVER_UP)
		atomic_store(&row->up_since_ms, now_ms);
	atomic_store(&row->admin, admin);
	return true;
}

bool
server_set_health(
    struct board_server *row, enum server_health health, uint64_t now_ms)
{
	uint32_t was = atomic_load(&row->health);

	if (was == health)
		return false;
	if (health == SERVER_WELL && was == SERVER_ILL) {
		atomic_store(&row->up_since_ms, now_ms);
		atomic_store(&row->failing, 0);
		atomic_store(&row->down_until_ms, 0);
	}
	atomic_store(&row->health, health);
	return true;
}
