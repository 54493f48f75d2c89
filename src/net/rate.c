/*
 * The rate of a flow: how much may be read now. A flow that has to wait is read
 * again by a timer; where there is no memory for one it is not limited.
 */
#include "config.h"

#include "net/pump_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include <event2/util.h>

#define RATE_TICK_US 50000 /* how often a held rate looks again */

static uint64_t
now_us(void)
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
	weir__socket_defer(weir__source(f), WEIR__DUE_READ);
}

/* Count what time has brought; returns how long to wait where that is
 * nothing. Once all is spent a tick has to pass, since otherwise every turn
 * would pass on the few bytes of its own duration. */
static uint64_t
rate_refill(struct weir__limit *l)
{
	uint64_t most = l->rate / 10 > 0 ? l->rate / 10 : 1;
	uint64_t now = now_us(), tick = 1000000 / l->rate + 1, passed, more;

	if (tick < RATE_TICK_US)
		tick = RATE_TICK_US;
	if (now - l->counted_us > 2 * tick + 1000000)
		l->counted_us = now - 2 * tick;
	passed = now - l->counted_us;
	if (l->tokens == 0 && passed < tick)
		return tick - passed;
	more = passed * l->rate / 1000000;
	l->tokens += more;
	l->counted_us += more * 1000000 / l->rate;
	if (l->tokens > most) {
		l->tokens = most;
		l->counted_us = now;
	}
	return tick;
}

/* How much the rate lets through now; 0 has set a timer. A tenth of a second
 * may come at once, so that small rates are smooth and large ones cheap. */
size_t
weir__rate_limit(struct weir__flow *f, struct weir__limit *l, size_t wanted)
{
	uint64_t wait_us;
	struct timeval after;

	wait_us = rate_refill(l);
	if (l->tokens > 0)
		return l->tokens < wanted ? (size_t)l->tokens : wanted;
	if (l->timer == NULL)
		l->timer = evtimer_new(
		    weir_loop_base(weir__source(f)->loop), on_rate, f);
	after.tv_sec = (time_t)(wait_us / 1000000);
	after.tv_usec = (suseconds_t)(wait_us % 1000000);
	if (l->timer == NULL || event_add(l->timer, &after) == -1)
		return wanted; /* rather too fast than stuck */
	f->rate_waits = true;
	return 0;
}

int
weir__rate_begin(struct weir__flow *f, uint64_t rate)
{
	struct weir__extra *x = weir__extra(weir__source(f));
	struct weir__limit *l = x != NULL ? calloc(1, sizeof(*l)) : NULL;

	if (l == NULL)
		return -ENOMEM;
	l->rate = rate;
	l->tokens = rate / 10 > 0 ? rate / 10 : 1;
	l->counted_us = now_us();
	x->limit = l;
	return 0;
}

void
weir__rate_end(struct weir__flow *f)
{
	struct weir__limit *l = weir__limit(f);

	if (l == NULL)
		return;
	if (l->timer != NULL)
		event_free(l->timer);
	free(l);
	weir__source(f)->extra->limit = NULL;
}
