/*
 * Questions that a master asks its workers. All are asked at once, and each
 * answers when it comes to it; a list is asked of one after the other, some
 * rows at a time, because who wanted it may not take more now. One that has
 * not answered in time counts as silent, and what it says later is thrown away.
 */
#include "config.h"

#include "process/fleet_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/loop.h>

#include "process/rows.h"

/* How often it is looked whether a listener is open: a turn of the loop is all
 * that it takes. */
#define OPENING_MS 1

static uint64_t
bit_of(const struct member *member)
{
	return UINT64_C(1) << member->slot;
}

static bool
can_be_asked(const struct member *member)
{
	return member->channel != NULL && !member->over && !member->given_up;
}

static struct member *
member_in(const struct fleet *fleet, uint64_t slots)
{
	struct member *member;

	TAILQ_FOREACH (member, &fleet->members, next)
		if (slots & bit_of(member) && can_be_asked(member))
			return member;
	return NULL;
}

/* ---- one call ---- */

static void
call_free(struct fleet_call *call)
{
	if (call->fleet != NULL)
		TAILQ_REMOVE(&call->fleet->calls, call, next);
	proxy_walk_free(call->walk);
	weir_timer_free(call->timer);
	free(call->listener);
	free(call);
}

static void
finish(struct fleet_call *call)
{
	fleet_done *done = call->done;
	unsigned silent = call->silent;
	void *user = call->user;
	int err = call->err;

	call_free(call);
	done(err, silent, user);
}

static void list_rest(struct fleet_call *call);

/* Nobody is waited for any more. */
static void
go_on(struct fleet_call *call)
{
	weir_timer_stop(call->timer);
	if (call->rows != NULL)
		list_rest(call);
	else
		finish(call);
}

static void look_whether_open(struct fleet_call *call);

static void
on_timeout(struct weir_timer *timer, void *user)
{
	struct fleet_call *call = user;
	struct member *member;

	(void)timer;
	if (call->opening) {
		look_whether_open(call);
		return;
	}
	TAILQ_FOREACH (member, &call->fleet->members, next) {
		if ((call->waiting & bit_of(member)) == 0)
			continue;
		member->silent = true;
		call->silent++;
		if (call->rows != NULL)
			(void)master_send(
			    member, ORDER_FORGET, call->id, NULL, 0, NULL, 0);
	}
	call->waiting = 0;
	call->more = false;
	go_on(call);
}

static struct fleet_call *
call_new(struct fleet *fleet, fleet_done *done, void *user)
{
	struct fleet_call *call = calloc(1, sizeof(*call));

	if (call == NULL)
		return NULL;
	call->done = done;
	call->user = user;
	call->patience_ms = FLEET_PATIENCE_MS;
	if (weir_timer_new(&call->timer, fleet->loop, on_timeout, call) != 0) {
		free(call);
		return NULL;
	}
	call->fleet = fleet;
	call->id = ++fleet->last_call;
	if (call->id == 0)
		call->id = ++fleet->last_call;
	TAILQ_INSERT_TAIL(&fleet->calls, call, next);
	return call;
}

static void
send_to(struct fleet_call *call, struct member *member, uint32_t kind,
    const struct fleet_message *message)
{
	if (master_send(member, kind, call->id, message->data, message->length,
		message->fds, message->fd_count) == 0)
		call->waiting |= bit_of(member);
	else
		call->silent++;
}

/* Without a timer nobody is waited for. */
static void
wait_for_answers(struct fleet_call *call)
{
	if (call->waiting == 0)
		go_on(call);
	else if (weir_timer_start(call->timer, call->patience_ms) != 0)
		on_timeout(call->timer, call);
}

static void
send_to_all(
    struct fleet_call *call, uint32_t kind, const struct fleet_message *message)
{
	struct member *member;

	TAILQ_FOREACH (member, &call->fleet->members, next)
		if (can_be_asked(member))
			send_to(call, member, kind, message);
}

int
calls_ask(struct fleet *fleet, const struct fleet_question *question,
    uint32_t kind, struct fleet_call **ret)
{
	struct fleet_call *call =
	    call_new(fleet, question->done, question->user);

	if (call == NULL)
		return -ENOMEM;
	call->part = question->part;
	if (question->patience_ms > 0)
		call->patience_ms = question->patience_ms;
	if (kind == ASK_KILL) {
		call->any_is_enough = true;
		call->err = -ENOENT;
	}
	send_to_all(call, kind, &question->message);
	if (ret != NULL)
		*ret = call->waiting != 0 ? call : NULL;
	wait_for_answers(call);
	return 0;
}

/* ---- opening a listener ---- */

/* Messages are read in their order: who answers has the sockets. */
static void
look_whether_open(struct fleet_call *call)
{
	const struct fleet_message nothing = {0};
	struct fleet *fleet = call->fleet;

	call->err = proxy_listener_opened(fleet->options.proxy, call->listener);
	if (call->err == -EINPROGRESS &&
	    weir_timer_start(call->timer, OPENING_MS) == 0)
		return;
	call->opening = false;
	if (fleet_is_master(fleet))
		master_sync_sockets(fleet);
	send_to_all(call, ASK_REFRESH, &nothing);
	wait_for_answers(call);
}

int
calls_open(struct fleet *fleet, const char *listener, fleet_done *done,
    void *user, struct fleet_call **ret)
{
	struct fleet_call *call = call_new(fleet, done, user);

	if (call == NULL)
		return -ENOMEM;
	call->listener = strdup(listener);
	call->opening = true;
	if (call->listener == NULL || weir_timer_start(call->timer, 0) != 0) {
		call_free(call);
		return -ENOMEM;
	}
	*ret = call;
	return 0;
}

/* ---- a list ---- */

/* Ask the next worker, or be done. */
static void
list_next(struct fleet_call *call)
{
	struct fleet_message name = {.data = call->listener};
	struct member *member;

	if (call->listener != NULL)
		name.length = strlen(call->listener);
	while ((member = member_in(call->fleet, call->todo)) != NULL) {
		call->todo &= ~bit_of(member);
		send_to(call, member, ASK_LIST, &name);
		if (call->waiting == 0)
			continue;
		wait_for_answers(call);
		return;
	}
	finish(call);
}

/* There is more, from this worker or the next ones; or not. */
static void
list_rest(struct fleet_call *call)
{
	if (call->more || member_in(call->fleet, call->todo) != NULL)
		call->rows->rested(call->user);
	else
		finish(call);
}

static uint64_t
all_slots(const struct fleet *fleet)
{
	const struct member *member;
	uint64_t slots = 0;

	TAILQ_FOREACH (member, &fleet->members, next)
		if (can_be_asked(member))
			slots |= bit_of(member);
	return slots;
}

int
calls_list(struct fleet *fleet, const char *listener,
    const struct fleet_rows *rows, void *user, struct fleet_call **ret)
{
	struct fleet_call *call = call_new(fleet, rows->done, user);

	if (call != NULL && listener != NULL)
		call->listener = strdup(listener);
	if (call == NULL || (listener != NULL && call->listener == NULL)) {
		if (call != NULL)
			call_free(call);
		return -ENOMEM;
	}
	call->rows = rows;
	call->todo = all_slots(fleet);
	*ret = call->todo != 0 ? call : NULL;
	list_next(call);
	return 0;
}

void
calls_more(struct fleet_call *call)
{
	const struct fleet_message nothing = {0};
	struct member *member = member_in(call->fleet, call->todo_of_more);

	if (!call->more || member == NULL) {
		call->more = false;
		list_next(call);
		return;
	}
	call->more = false;
	send_to(call, member, ASK_MORE, &nothing);
	wait_for_answers(call);
}

/* ---- answers ---- */

static struct fleet_call *
find(const struct fleet *fleet, uint32_t id)
{
	struct fleet_call *call;

	TAILQ_FOREACH (call, &fleet->calls, next)
		if (call->id == id)
			return call;
	return NULL;
}

void
calls_rows(struct fleet *fleet, const struct member *member, uint32_t id,
    const char *data, size_t length)
{
	struct fleet_call *call = find(fleet, id);

	if (call != NULL && call->rows != NULL &&
	    call->waiting & bit_of(member))
		rows_each(data, length, call->rows->row, call->user);
}

void
calls_answer(struct fleet *fleet, struct member *member, uint32_t id, int err,
    const char *data, size_t length)
{
	struct fleet_call *call = find(fleet, id);

	member->silent = false;
	if (call == NULL || (call->waiting & bit_of(member)) == 0)
		return;
	call->waiting &= ~bit_of(member);
	if (call->rows != NULL) {
		call->more = err == ANSWER_MORE;
		call->todo_of_more = bit_of(member);
	} else if (call->any_is_enough) {
		if (err == 0) {
			call->err = 0;
			call->waiting = 0;
		}
	} else if (err != 0 && call->err == 0) {
		call->err = err;
	}
	if (call->part != NULL)
		call->part(member->pid, err, data, length, call->user);
	if (call->waiting == 0)
		go_on(call);
}

void
calls_member_gone(struct fleet *fleet, const struct member *member)
{
	struct fleet_call *call, *after;

	for (call = TAILQ_FIRST(&fleet->calls); call != NULL; call = after) {
		after = TAILQ_NEXT(call, next);
		call->todo &= ~bit_of(member);
		if (call->more && call->todo_of_more == bit_of(member))
			call->more = false; /* it rests: the next is asked */
		if ((call->waiting & bit_of(member)) == 0)
			continue;
		call->waiting &= ~bit_of(member);
		if (call->waiting > 0)
			continue;
		go_on(call);
		/* Whoever was told may have taken back any other. */
		after = TAILQ_FIRST(&fleet->calls);
	}
}

void
calls_free_all(struct fleet *fleet)
{
	while (!TAILQ_EMPTY(&fleet->calls))
		call_free(TAILQ_FIRST(&fleet->calls));
}

void
fleet_cancel(struct fleet_call *call)
{
	struct member *member;

	if (call == NULL)
		return;
	if (call->fleet != NULL && call->rows != NULL) {
		member =
		    member_in(call->fleet, call->waiting | call->todo_of_more);
		if (member != NULL)
			(void)master_send(
			    member, ORDER_FORGET, call->id, NULL, 0, NULL, 0);
	}
	call_free(call);
}
