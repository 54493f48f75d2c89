/*
 * A worker's own side of the fleet: it does what the master orders, answers
 * what it asks, and ends when it is told to, when it gets SIGTERM, or when the
 * master is there no more. It serves all the while; nothing here waits.
 *
 * It leaves the signals of a terminal to the master, which tells it.
 */
#include "config.h"

#include "process/fleet_priv.h"

#include <sys/prctl.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/loop.h>

#include "process/rows.h"

/* Lists that the master wants at a time: a client of the control socket has
 * one. */
#define LISTS_MAX 128

/* How often it is looked whether what is waited for has come. */
#define OWED_MS 1

/* An answer that is given once sockets are closed. */
struct owed {
	STAILQ_ENTRY(owed) next; /* fleet.owed */
	uint32_t call;
};

/* A list of connections that is told by and by. */
struct list {
	LIST_ENTRY(list) next; /* fleet.lists */
	struct fleet *fleet;
	uint32_t call;
	struct proxy_walk *walk;
	size_t length;
	char rows[FLEET_MESSAGE_MAX];
};

/* ---- telling the master ---- */

static int
tell(struct fleet *fleet, uint32_t kind, uint32_t call, const void *data,
    size_t length)
{
	const struct message_header header = {.kind = kind, .call = call};
	char message[WEIR_MESSAGE_MAX];

	if (length > sizeof(message) - sizeof(header))
		return -EMSGSIZE;
	memcpy(message, &header, sizeof(header));
	if (length > 0)
		memcpy(message + sizeof(header), data, length);
	return outbox_send(
	    &fleet->outbox, message, sizeof(header) + length, NULL, 0);
}

int
fleet_reply(struct fleet *fleet, uint32_t call, int err, const void *data,
    size_t length)
{
	const struct message_answer answer = {.err = err};
	char message[sizeof(answer) + FLEET_MESSAGE_MAX];

	if (length > FLEET_MESSAGE_MAX)
		return -EMSGSIZE;
	memcpy(message, &answer, sizeof(answer));
	if (length > 0)
		memcpy(message + sizeof(answer), data, length);
	return tell(fleet, TELL_ANSWER, call, message, sizeof(answer) + length);
}

static void
reply(struct fleet *fleet, uint32_t call, int err)
{
	(void)fleet_reply(fleet, call, err, NULL, 0);
}

/* ---- figures ---- */

static void
pay(struct fleet *fleet)
{
	struct owed *owed;

	proxy_publish(fleet->options.proxy);
	while ((owed = STAILQ_FIRST(&fleet->owed)) != NULL) {
		STAILQ_REMOVE_HEAD(&fleet->owed, next);
		reply(fleet, owed->call, 0);
		free(owed);
	}
}

static void
on_owed(struct weir_timer *timer, void *user)
{
	struct fleet *fleet = user;

	if (!proxy_is_closing(fleet->options.proxy) ||
	    weir_timer_start(timer, OWED_MS) != 0)
		pay(fleet);
}

/*
 * Who has closed a listener may rely on the answer: nobody is accepted there
 * any more. A worker still accepts those that waited at the door.
 */
static void
refresh(struct fleet *fleet, uint32_t call)
{
	struct owed *owed = calloc(1, sizeof(*owed));

	if (owed == NULL) {
		proxy_publish(fleet->options.proxy);
		reply(fleet, call, 0);
		return;
	}
	owed->call = call;
	STAILQ_INSERT_TAIL(&fleet->owed, owed, next);
	on_owed(fleet->owed_timer, fleet);
}

/* ---- lists ---- */

static void
list_free(struct list *list)
{
	LIST_REMOVE(list, next);
	proxy_walk_free(list->walk);
	free(list);
}

static void
list_send(struct list *list)
{
	if (list->length > 0)
		(void)tell(list->fleet, TELL_ROWS, list->call, list->rows,
		    list->length);
	list->length = 0;
}

static void
on_row(const struct session_figures *figures, void *user)
{
	struct list *list = user;
	size_t length =
	    rows_add(list->rows, sizeof(list->rows), list->length, figures);

	if (length == 0) {
		list_send(list);
		length = rows_add(list->rows, sizeof(list->rows), 0, figures);
	}
	list->length = length;
}

static void
list_go_on(struct list *list)
{
	struct fleet *fleet = list->fleet;
	uint32_t call = list->call;
	bool more = proxy_walk_next(list->walk, FLEET_ROWS, on_row, list);

	list_send(list);
	if (!more)
		list_free(list);
	reply(fleet, call, more ? ANSWER_MORE : 0);
}

static struct list *
list_find(const struct fleet *fleet, uint32_t call)
{
	struct list *list;

	LIST_FOREACH (list, &fleet->lists, next)
		if (list->call == call)
			return list;
	return NULL;
}

static size_t
list_count(const struct fleet *fleet)
{
	const struct list *list;
	size_t n = 0;

	LIST_FOREACH (list, &fleet->lists, next)
		n++;
	return n;
}

static void
list_begin(struct fleet *fleet, uint32_t call, const char *data, size_t length)
{
	struct list *list = calloc(1, sizeof(*list));
	char name[BOARD_NAME];
	int err = -ENOMEM;

	(void)snprintf(name, sizeof(name), "%.*s", (int)length, data);
	if (list != NULL && list_count(fleet) < LISTS_MAX)
		err = proxy_walk_new(&list->walk, fleet->options.proxy,
		    length > 0 ? name : NULL);
	if (err != 0) {
		free(list);
		reply(fleet, call, err);
		return;
	}
	list->fleet = fleet;
	list->call = call;
	LIST_INSERT_HEAD(&fleet->lists, list, next);
	list_go_on(list);
}

static void
list_more(struct fleet *fleet, uint32_t call)
{
	struct list *list = list_find(fleet, call);

	if (list != NULL)
		list_go_on(list);
	else
		reply(fleet, call, 0);
}

static void
list_forget(struct fleet *fleet, uint32_t call)
{
	struct list *list = list_find(fleet, call);

	if (list != NULL)
		list_free(list);
}

/* ---- orders and questions ---- */

static void
adopt_sockets(struct fleet *fleet, const void *data, size_t length,
    const int *fds, size_t fd_count)
{
	struct message_sockets message;
	int places[WEIR_MESSAGE_FDS];
	size_t i;

	if (length != sizeof(message))
		return;
	memcpy(&message, data, sizeof(message));
	for (i = 0; i < fd_count; i++)
		places[i] = message.places[i];
	proxy_adopt_sockets(fleet->options.proxy, message.listener,
	    message.begin != 0, fds, places, fd_count);
}

static void
reopen_logs(void)
{
	const char *path;
	int err = log_reopen(&path);

	if (err != 0)
		log_error("cannot reopen a log file, the old one stays",
		    LOG_N("worker", getpid()), LOG_T("file", path),
		    LOG_T("error", weir_error_text(err)));
}

static uint64_t
number(const void *data, size_t length)
{
	uint64_t n = 0;

	memcpy(&n, data, length < sizeof(n) ? length : sizeof(n));
	return n;
}

static void
carry_out(struct fleet *fleet, const struct message_header *header,
    const struct fleet_message *message)
{
	struct proxy *proxy = fleet->options.proxy;
	const void *data = message->data;
	size_t length = message->length;

	switch (header->kind) {
	case ORDER_DRAIN:
		proxy_drain(proxy, number(data, length));
		break;
	case ORDER_STOP:
		proxy_stop(proxy);
		break;
	case ORDER_LOGS:
		reopen_logs();
		break;
	case ORDER_LOG_LEVEL:
		log_set_level((enum log_level)number(data, length));
		break;
	case ORDER_SOCKETS:
		adopt_sockets(
		    fleet, data, length, message->fds, message->fd_count);
		break;
	case ORDER_FORGET:
		list_forget(fleet, header->call);
		break;
	case ASK_REFRESH:
		refresh(fleet, header->call);
		break;
	case ASK_KILL:
		reply(fleet, header->call,
		    proxy_kill(proxy, number(data, length)));
		break;
	case ASK_LIST:
		list_begin(fleet, header->call, data, length);
		break;
	case ASK_MORE:
		list_more(fleet, header->call);
		break;
	default:
		if (fleet->handlers->on_question != NULL)
			fleet->handlers->on_question(
			    fleet, header->call, message, fleet->user);
		break;
	}
}

static void
on_fds(struct weir_channel *channel, const int *fds, size_t fd_count,
    const void *data, size_t length, void *user)
{
	struct message_header header;
	struct fleet_message message = {.fds = fds, .fd_count = fd_count};

	(void)channel;
	if (length < sizeof(header))
		return;
	memcpy(&header, data, sizeof(header));
	message.kind =
	    header.kind >= MESSAGE_OTHER ? header.kind - MESSAGE_OTHER : 0;
	message.data = (const char *)data + sizeof(header);
	message.length = length - sizeof(header);
	carry_out(user, &header, &message);
}

static void
on_message(struct weir_channel *channel, struct weir_socket *socket,
    const void *data, size_t length, void *user)
{
	(void)channel;
	(void)data;
	(void)length;
	(void)user;
	weir_socket_free(socket); /* the master sends none */
}

/* ---- the end ---- */

/* All that was to be told has been. */
static void
check_told(struct fleet *fleet)
{
	if (fleet->over && STAILQ_EMPTY(&fleet->outbox.posts))
		fleet->handlers->on_drained(
		    fleet, fleet->destroyed, fleet->user);
}

static void
on_writable(struct weir_channel *channel, void *user)
{
	struct fleet *fleet = user;

	(void)channel;
	outbox_flush(&fleet->outbox);
	check_told(fleet);
}

static void
leave(struct fleet *fleet)
{
	if (fleet->leaving) {
		proxy_stop(fleet->options.proxy);
		return;
	}
	fleet->leaving = true;
	proxy_drain(fleet->options.proxy, fleet->options.drain_timeout_ms);
}

/* End alone: the master gives the place to another. */
static void
resign(struct fleet *fleet)
{
	(void)tell(fleet, TELL_DRAINING, 0, NULL, 0);
	leave(fleet);
}

static void
on_lost(struct weir_channel *channel, int err, void *user)
{
	struct fleet *fleet = user;

	(void)channel;
	log_error("an order of the master is lost, another worker is to come",
	    LOG_N("worker", getpid()), LOG_T("error", weir_error_text(err)));
	if (!fleet->leaving)
		resign(fleet);
}

static void
on_close(struct weir_channel *channel, int err, void *user)
{
	struct fleet *fleet = user;

	(void)channel;
	(void)err;
	outbox_free(&fleet->outbox);
	if (fleet->over) {
		check_told(fleet);
		return;
	}
	log_error("the master is gone, stopping gracefully",
	    LOG_N("worker", getpid()),
	    LOG_N("drain_timeout_ms", fleet->options.drain_timeout_ms));
	if (!fleet->leaving)
		leave(fleet);
}

static const struct weir_channel_handlers channel_handlers = {
    .on_message = on_message,
    .on_fds = on_fds,
    .on_lost = on_lost,
    .on_writable = on_writable,
    .on_close = on_close,
};

static void
on_sigterm(struct weir_signal *signal, int signo, void *user)
{
	struct fleet *fleet = user;

	(void)signal;
	(void)signo;
	if (fleet->leaving)
		leave(fleet);
	else
		resign(fleet);
}

void
worker_drained(struct fleet *fleet, uint64_t destroyed)
{
	fleet->over = true;
	fleet->destroyed = destroyed;
	(void)tell(fleet, TELL_OVER, 0, &destroyed, sizeof(destroyed));
	check_told(fleet);
}

/* ---- the beginning ---- */

static int
take_signals(struct fleet *fleet)
{
	static const int ignored[] = {
	    SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE};
	sigset_t none;
	size_t i;
	int err = weir_signal_new(
	    &fleet->sigterm, fleet->loop, SIGTERM, on_sigterm, fleet);

	if (err != 0)
		return err;
	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_IGN);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	return 0;
}

int
fleet_be_worker(struct fleet *fleet)
{
	char name[16];
	int err;

	/* Whoever asked in the master has taken back his questions by now. */
	calls_free_all(fleet);
	err = weir_channel_new(&fleet->channel, fleet->loop, fleet->channel_fd,
	    &channel_handlers, fleet);

	if (err != 0)
		return err;
	fleet->channel_fd = -1;
	outbox_init(&fleet->outbox, fleet->channel, POSTS_TO_MASTER);
	err = weir_timer_new(&fleet->owed_timer, fleet->loop, on_owed, fleet);
	if (err == 0)
		err = take_signals(fleet);
	if (err != 0)
		return err;
	(void)snprintf(name, sizeof(name), "weir-worker-%u", fleet->place);
	(void)prctl(PR_SET_NAME, name);
	board_worker_began(fleet->options.board, fleet->slot, getpid());
	return 0;
}

void
worker_free(struct fleet *fleet)
{
	struct owed *owed;

	while (!LIST_EMPTY(&fleet->lists))
		list_free(LIST_FIRST(&fleet->lists));
	while ((owed = STAILQ_FIRST(&fleet->owed)) != NULL) {
		STAILQ_REMOVE_HEAD(&fleet->owed, next);
		free(owed);
	}
	weir_timer_free(fleet->owed_timer);
	outbox_free(&fleet->outbox);
	weir_channel_free(fleet->channel);
	weir_signal_free(fleet->sigterm);
	if (fleet->channel_fd != -1)
		(void)close(fleet->channel_fd);
}
