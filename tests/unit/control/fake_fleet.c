/*
 * A fleet without processes: what the control floor uses of fleet.h, carried
 * out on a fake proxy, at once or when a test lets it.
 */
#include "config.h"

#include "tests/unit/control/fake_fleet.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum kind { REFRESH, LIST, KILL, CLOSE, OPEN };

struct fleet_call {
	TAILQ_ENTRY(fleet_call) next; /* fleet.calls */
	struct fleet *fleet;
	enum kind kind;
	const struct fleet_rows *rows;
	fleet_done *done;
	void *user;
	struct fleet_call **ret;
	char name[64];
	uint64_t id; /* to be killed; of the last row */
	bool waiting;
};

void
fake_fleet_init(struct fleet *fleet, struct proxy *proxy)
{
	memset(fleet, 0, sizeof(*fleet));
	fleet->proxy = proxy;
	fleet->workers = 1;
	TAILQ_INIT(&fleet->calls);
}

struct control_subject
fake_subject(struct fleet *fleet)
{
	return (struct control_subject){
	    .proxy = fleet->proxy,
	    .fleet = fleet,
	    .reload = fleet->reload,
	};
}

static void
take_off(struct fleet_call *call)
{
	if (call->waiting)
		TAILQ_REMOVE(&call->fleet->calls, call, next);
	call->waiting = false;
}

void
fleet_cancel(struct fleet_call *call)
{
	if (call == NULL)
		return;
	take_off(call);
	call->fleet->cancelled++;
	free(call);
}

/* FLEET_ROWS more. False at the end. */
static bool
list(struct fleet_call *call)
{
	struct session_figures f = {
	    .listener = "web",
	    .client = call->fleet->proxy->client,
	    .server = "-",
	    .age_s = 12.3456,
	    .idle_s = 0.1,
	    .bytes_in = 11,
	    .bytes_out = 22,
	    .state = "open",
	};
	uint64_t last = call->id + FLEET_ROWS;

	if (call->name[0] != '\0' && strcmp(call->name, "web") != 0)
		return false;
	while (
	    call->id < last && call->id < call->fleet->proxy->session_count) {
		f.id = ++call->id;
		call->rows->row(&f, call->user);
	}
	return call->id < call->fleet->proxy->session_count;
}

static int
carry_out(struct fleet_call *call)
{
	struct proxy *proxy = call->fleet->proxy;

	switch (call->kind) {
	case REFRESH:
	case LIST:
		return 0;
	case KILL:
		return proxy_kill(proxy, call->id);
	case CLOSE:
		return proxy_listener_close(proxy, call->name);
	case OPEN:
		return proxy_listener_open(proxy, call->name);
	}
	return 0;
}

static void
answer(struct fleet_call *call)
{
	unsigned silent = call->fleet->silent;
	fleet_done *done = call->done;
	void *user = call->user;
	int err;

	take_off(call);
	if (call->kind == LIST && list(call)) {
		call->rows->rested(user);
		return;
	}
	err = carry_out(call);
	if (call->ret != NULL)
		*call->ret = NULL;
	free(call);
	done(err, silent, user);
}

bool
fake_fleet_answer(struct fleet *fleet)
{
	struct fleet_call *call = TAILQ_FIRST(&fleet->calls);

	if (call != NULL)
		answer(call);
	return call != NULL;
}

static void
wait_or_answer(struct fleet_call *call)
{
	if (!call->fleet->later) {
		answer(call);
		return;
	}
	call->waiting = true;
	TAILQ_INSERT_TAIL(&call->fleet->calls, call, next);
}

static struct fleet_call *
new_call(struct fleet *fleet, enum kind kind, fleet_done *done, void *user,
    struct fleet_call **ret)
{
	struct fleet_call *call;

	if (fleet->refuse)
		return NULL;
	call = calloc(1, sizeof(*call));
	ck_assert_ptr_nonnull(call);
	call->fleet = fleet;
	call->kind = kind;
	call->done = done;
	call->user = user;
	call->ret = ret;
	*ret = call;
	return call;
}

static int
ask(struct fleet *fleet, enum kind kind, const char *name, uint64_t id,
    fleet_done *done, void *user, struct fleet_call **ret)
{
	struct fleet_call *call = new_call(fleet, kind, done, user, ret);

	if (call == NULL)
		return -ENOMEM;
	call->id = id;
	strcpy(call->name, name);
	wait_or_answer(call);
	return 0;
}

int
fleet_refresh(
    struct fleet *fleet, fleet_done *done, void *user, struct fleet_call **ret)
{
	return ask(fleet, REFRESH, "", 0, done, user, ret);
}

int
fleet_kill(struct fleet *fleet, uint64_t id, fleet_done *done, void *user,
    struct fleet_call **ret)
{
	return ask(fleet, KILL, "", id, done, user, ret);
}

int
fleet_listener_close(struct fleet *fleet, const char *name, fleet_done *done,
    void *user, struct fleet_call **ret)
{
	return ask(fleet, CLOSE, name, 0, done, user, ret);
}

int
fleet_listener_open(struct fleet *fleet, const char *name, fleet_done *done,
    void *user, struct fleet_call **ret)
{
	return ask(fleet, OPEN, name, 0, done, user, ret);
}

int
fleet_connections(struct fleet *fleet, const char *listener,
    const struct fleet_rows *handlers, void *user, struct fleet_call **ret)
{
	struct fleet_call *call =
	    new_call(fleet, LIST, handlers->done, user, ret);

	if (call == NULL)
		return -ENOMEM;
	call->rows = handlers;
	if (listener != NULL)
		strcpy(call->name, listener);
	wait_or_answer(call);
	return 0;
}

void
fleet_more(struct fleet_call *call)
{
	wait_or_answer(call);
}

bool
fleet_worker(const struct fleet *fleet, size_t index, struct fleet_worker *ret)
{
	if (index >= fleet->workers)
		return false;
	*ret = (struct fleet_worker){
	    .slot = (unsigned)index,
	    .pid = 1000 + (pid_t)index,
	    .connections = proxy_connections(fleet->proxy) / fleet->workers,
	    .restarts = index,
	    .draining = index == 2,
	    .silent = index >= fleet->workers - fleet->silent,
	};
	return true;
}

void
fleet_set_log_level(struct fleet *fleet, enum log_level level)
{
	fleet->level = level;
	log_set_level(level);
}

void
fleet_set_drain(struct fleet *fleet, bool on)
{
	fleet->drain = on;
}

bool
fleet_drain_set(const struct fleet *fleet)
{
	return fleet->drain;
}

/* ---- reload ---- */

/* The one call of a reload is the reload itself. */
struct reload_call;

int
reload_ask(struct reload *reload, bool check, reload_done *done, void *user,
    struct reload_call **call)
{
	if (reload->refuse)
		return -ENOMEM;
	ck_assert_ptr_null(reload->done);
	reload->check = check;
	reload->done = done;
	reload->user = user;
	*call = (struct reload_call *)reload;
	return 0;
}

void
reload_cancel(struct reload_call *call)
{
	struct reload *reload = (struct reload *)call;

	if (call == NULL)
		return;
	reload->done = NULL;
	reload->cancelled++;
}

void
fake_reload_finish(struct reload *reload, const struct reload_result *result)
{
	reload_done *done = reload->done;

	ck_assert_ptr_nonnull(done);
	reload->done = NULL;
	done(result, reload->user);
}
