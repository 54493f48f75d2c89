/*
 * The rate of a flow: how much may be read now. A flow that has to wait is read
 * again by a timer; where there is no memory for one it is not limited.
 */
#include "config.h"

#include "net/pump_priv.h"

#include <time.h>

#include <event2/util.h>

#define RATE_TICK_US 50000 /* how often a held rate looks again */

uint64_t
weir__rate_now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void
on_rate(evutil_socket_t fd, short what, void *user)
{
	struct weir__flow *f = user;

	(void)fd;
	(void)what;
	f->rate_waits = false;
	weir__socket_defer(f->source, WEIR__DUE_READ);
}

/* Count what time has brought; returns how long to wait where that is
 * nothing. Once all is spent a tick has to pass, since otherwise every turn
 * would pass on the few bytes of its own duration. */
static uint64_t
rate_refill(struct weir__flow *f)
{
	uint64_t most = f->rate / 10 > 0 ? f->rate / 10 : 1;
	uint64_t now = weir__rate_now_us(), tick = 1000000 / f->rate + 1,
		 passed, more;

	if (tick < RATE_TICK_US)
		tick = RATE_TICK_US;
	if (now - f->counted_us > 2 * tick + 1000000)
		f->counted_us = now - 2 * tick;
	passed = now - f->counted_us;
	if (f->tokens == 0 && passed < tick)
		return tick - passed;
	more = passed * f->rate / 1000000;
	f->tokens += more;
	f->counted_us += more * 1000000 / f->rate;
	if (f->tokens > most) {
		f->tokens = most;
		f->counted_us = now;
	}
	return tick;
}

/* How much the rate lets through now; 0 has set a timer. A tenth of a second
 * may come at once, so that small rates are smooth and large ones cheap. */
size_t
weir__rate_limit(struct weir__flow *f, size_t wanted)
{
	uint64_t wait_us;
	struct timeval after;

	wait_us = rate_refill(f);
	if (f->tokens > 0)
		return f->tokens < wanted ? (size_t)f->tokens : wanted;
	if (f->rate_timer == NULL)
		f->rate_timer =
		    evtimer_new(weir_loop_base(f->source->loop), on_rate, f);
	after.tv_sec = (time_t)(wait_us / 1000000);
	after.tv_usec = (suseconds_t)(wait_us % 1000000);
	if (f->rate_timer == NULL || event_add(f->rate_timer, &after) == -1)
		return wanted; /* rather too fast than stuck */
	f->rate_waits = true;
	return 0;
}
