/*
 * The loop: an event_base, the queue of deferred calls that keeps handlers out
 * of the calls which asked for them, timers, signals, and what all sockets of
 * a loop share (the scratch buffer, the pool of kernel pipes).
 *
 * A deferred call runs in the same turn of the loop, after the handler that
 * runs now; one that is deferred by a deferred call runs in the next turn, so
 * that I/O is looked at between them and nothing can starve it.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include <weir/loop.h>

#include "net/handed_priv.h"
#include "net/loop_priv.h"
#include "net/server_priv.h"
#include "net/socket_priv.h"

/* Pipes that wait in the pool, further ones are closed; and all there may be:
 * descriptors are for connections first. */
#define PIPES_KEPT    16
#define PIPES_MOST    32
#define PIPE_WISH     (1024 * 1024)
#define PIPE_AT_LEAST (16 * 1024)

/* Bytes that tasks pass on before events are looked at: a request waits for one
 * turn of one bulk flow, however many there are. */
#define TASKS_BYTES (512 * 1024)

struct weir_loop {
	struct event_base *base;
	bool own_base;
	bool running, stopped;
	unsigned long holds;

	struct event deferred;
	struct weir__task *first, *last; /* tasks that are queued; or NULL */
	bool in_tasks;

	struct weir__resolver *resolver;
	struct weir__doubts *doubts;
	struct weir__late *late;
	unsigned char *scratch;
	unsigned char *text;
	size_t text_size;
	TAILQ_HEAD(, weir_server) resting; /* weir_server.resting_next */
	SLIST_HEAD(, weir__pipe) pipes;
	LIST_HEAD(, weir__pipe) made;	  /* those that are lent, too */
	LIST_HEAD(, weir_server) servers; /* weir_server.loop_next */
	LIST_HEAD(, weir__token) tokens;
	unsigned pipe_count, pipes_made;

	bool in_turn;
	uint64_t turn_ms;  /* when it began to move bytes; 0: not yet */
	size_t task_bytes; /* were passed on by tasks, or since they ran */
};

struct weir_timer {
	struct weir_loop *loop;
	struct event event;
	void (*fn)(struct weir_timer *, void *);
	void *user;
	bool running, unref;
};

struct weir_signal {
	struct event event;
	void (*fn)(struct weir_signal *, int, void *);
	void *user;
};

static void
arm_deferred(struct weir_loop *loop)
{
	static const struct timeval now = {0, 0};

	/* From inside the queue the next turn is due: an event made active
	 * here would run before the loop looks at any descriptor; which is
	 * better than never. */
	if (!loop->in_tasks || event_add(&loop->deferred, &now) == -1)
		event_active(&loop->deferred, EV_TIMEOUT, 0);
}

/* ---- the queue ---- */

static void
append(struct weir_loop *loop, struct weir__task *task)
{
	task->next = task;
	if (loop->last != NULL)
		loop->last->next = task;
	else
		loop->first = task;
	loop->last = task;
}

/* before is the one in front of it; NULL where it is the first. */
static void
take_out(
    struct weir_loop *loop, struct weir__task *before, struct weir__task *task)
{
	struct weir__task *next = task->next != task ? task->next : NULL;

	if (before == NULL)
		loop->first = next;
	else
		before->next = next != NULL ? next : before;
	if (next == NULL)
		loop->last = before;
	task->next = NULL;
}

static void
run_tasks(evutil_socket_t fd, short what, void *user)
{
	struct weir_loop *loop = user;
	struct weir__task mark = {0}, *task;

	(void)fd;
	(void)what;
	append(loop, &mark);
	loop->in_tasks = true;
	loop->task_bytes = 0;
	while ((task = loop->first) != &mark &&
	       !(loop->running && loop->stopped) && !weir__loop_is_busy(loop)) {
		take_out(loop, NULL, task);
		task->fn(task);
	}
	weir__loop_undefer(loop, &mark);
	if (loop->first != NULL)
		arm_deferred(loop);
	loop->in_tasks = false;
}

void
weir__loop_defer(struct weir_loop *loop, struct weir__task *task)
{
	if (weir__is_deferred(task))
		return;
	if (!loop->in_tasks && loop->first == NULL)
		arm_deferred(loop);
	append(loop, task);
}

void
weir__loop_undefer(struct weir_loop *loop, struct weir__task *task)
{
	struct weir__task *before = NULL;

	if (!weir__is_deferred(task))
		return;
	while ((before == NULL ? loop->first : before->next) != task)
		before = before == NULL ? loop->first : before->next;
	take_out(loop, before, task);
}

/* Edge-triggered events and word of a FIN without reading: epoll has both. */
static struct event_base *
own_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config == NULL)
		return NULL;
	if (event_config_require_features(
		config, EV_FEATURE_ET | EV_FEATURE_EARLY_CLOSE) == 0 &&
	    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0)
		base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

/* A write to a pipe whose reader has gone is an error like any other. */
static void
ignore_sigpipe(void)
{
	struct sigaction now;

	if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
		(void)signal(SIGPIPE, SIG_IGN);
}

int
weir_loop_new(struct weir_loop **ret, struct event_base *base)
{
	const int needed = EV_FEATURE_ET | EV_FEATURE_EARLY_CLOSE;
	struct weir_loop *loop;

	if (ret == NULL)
		return -EINVAL;
	if (base != NULL && (event_base_get_features(base) & needed) != needed)
		return -EOPNOTSUPP;
	loop = calloc(1, sizeof(*loop));
	if (loop == NULL)
		return -ENOMEM;
	loop->base = base != NULL ? base : own_base();
	if (loop->base == NULL) {
		free(loop);
		return -ENOMEM;
	}
	loop->own_base = base == NULL;
	TAILQ_INIT(&loop->resting);
	SLIST_INIT(&loop->pipes);
	LIST_INIT(&loop->made);
	LIST_INIT(&loop->servers);
	LIST_INIT(&loop->tokens);
	(void)evtimer_assign(&loop->deferred, loop->base, run_tasks, loop);
	ignore_sigpipe();
	*ret = loop;
	return 0;
}

static void
close_pipe(struct weir_loop *loop, struct weir__pipe *pipe)
{
	loop->pipes_made--;
	LIST_REMOVE(pipe, made);
	if (pipe->read_fd != -1) {
		(void)close(pipe->read_fd);
		(void)close(pipe->write_fd);
	}
	free(pipe);
}

void
weir_loop_free(struct weir_loop *loop)
{
	struct weir__task *task;
	struct weir__pipe *pipe;

	if (loop == NULL)
		return;
	weir__resolver_free(loop->resolver);
	/* Sockets that were freed, and wait there to be gone. */
	while ((task = loop->first) != NULL) {
		take_out(loop, NULL, task);
		task->fn(task);
	}
	weir__doubts_free(loop->doubts);
	weir__late_unref(loop->late);
	(void)event_del(&loop->deferred);
	while ((pipe = SLIST_FIRST(&loop->pipes)) != NULL) {
		SLIST_REMOVE_HEAD(&loop->pipes, next);
		close_pipe(loop, pipe);
	}
	free(loop->scratch);
	free(loop->text);
	if (loop->own_base)
		event_base_free(loop->base);
	free(loop);
}

/* ---- fork ---- */

void
weir__loop_enter(struct weir_loop *loop, struct weir_server *server)
{
	LIST_INSERT_HEAD(&loop->servers, server, loop_next);
}

void
weir__loop_leave(struct weir_loop *loop, struct weir_server *server)
{
	(void)loop;
	LIST_REMOVE(server, loop_next);
}

void
weir__loop_enter_token(struct weir_loop *loop, struct weir__token *token)
{
	LIST_INSERT_HEAD(&loop->tokens, token, next);
}

/* What is in a kernel pipe, or goes into one, is the parent's: a flow that has
 * one finds it gone, and takes nothing away. */
static void
drop_pipes(struct weir_loop *loop)
{
	struct weir__pipe *pipe, *next;

	while (!SLIST_EMPTY(&loop->pipes))
		SLIST_REMOVE_HEAD(&loop->pipes, next);
	for (pipe = LIST_FIRST(&loop->made); pipe != NULL; pipe = next) {
		next = LIST_NEXT(pipe, made);
		(void)close(pipe->read_fd);
		(void)close(pipe->write_fd);
		pipe->read_fd = pipe->write_fd = -1;
		if (!pipe->lent)
			close_pipe(loop, pipe);
	}
	loop->pipe_count = 0;
}

int
weir_loop_after_fork(struct weir_loop *loop)
{
	struct weir_server *server;
	struct weir__token *token;

	if (loop == NULL)
		return -EINVAL;
	if (event_reinit(loop->base) == -1)
		return -ENOMEM;
	drop_pipes(loop);
	LIST_FOREACH (token, &loop->tokens, next) {
		if (token->fd != -1)
			(void)close(token->fd);
		token->fd = -1;
	}
	LIST_FOREACH (server, &loop->servers, loop_next)
		weir__server_forked(server);
	return 0;
}

int
weir_loop_run(struct weir_loop *loop)
{
	int err = 0;

	if (loop == NULL)
		return -EINVAL;
	if (loop->running) /* libevent would refuse, and we be stopped */
		return -EBUSY;
	loop->stopped = false;
	loop->running = true;
	while (err == 0 && loop->holds > 0 && !loop->stopped)
		if (event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY) == -1)
			err = -EIO;
	loop->running = false;
	return err == 0 && loop->stopped ? 1 : err;
}

void
weir_loop_stop(struct weir_loop *loop)
{
	if (loop == NULL)
		return;
	loop->stopped = true;
	(void)event_base_loopbreak(loop->base);
}

struct event_base *
weir_loop_base(const struct weir_loop *loop)
{
	if (loop == NULL)
		return NULL;
	return loop->base;
}

uint64_t
weir_loop_now_ms(const struct weir_loop *loop)
{
	struct timespec now;

	(void)loop;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void
weir__loop_turn(struct weir_loop *loop, bool begins)
{
	loop->in_turn = begins;
	loop->turn_ms = 0;
}

uint64_t
weir__loop_turn_ms(struct weir_loop *loop)
{
	if (!loop->in_turn)
		return weir_loop_now_ms(loop);
	if (loop->turn_ms == 0)
		loop->turn_ms = weir_loop_now_ms(loop);
	return loop->turn_ms;
}

bool
weir__loop_has_tasks(const struct weir_loop *loop)
{
	/* Among them, while they run, is the mark of where to stop. */
	return loop->in_tasks ? loop->first != loop->last : loop->first != NULL;
}

void
weir__loop_passed_on(struct weir_loop *loop, size_t bytes)
{
	loop->task_bytes += bytes;
}

bool
weir__loop_is_busy(const struct weir_loop *loop)
{
	return loop->task_bytes >= TASKS_BYTES;
}

void
weir__loop_hold(struct weir_loop *loop)
{
	loop->holds++;
}

void
weir__loop_release(struct weir_loop *loop)
{
	if (--loop->holds == 0 && loop->running)
		(void)event_base_loopbreak(loop->base);
}

struct weir__doubts **
weir__loop_doubts(struct weir_loop *loop)
{
	return &loop->doubts;
}

struct weir__late **
weir__loop_late(struct weir_loop *loop)
{
	return &loop->late;
}

struct weir__resolver **
weir__loop_resolver(struct weir_loop *loop)
{
	return &loop->resolver;
}

unsigned char *
weir__loop_scratch(struct weir_loop *loop)
{
	if (loop->scratch == NULL)
		loop->scratch = malloc(WEIR__SCRATCH);
	return loop->scratch;
}

unsigned char *
weir__loop_text(struct weir_loop *loop, size_t size)
{
	unsigned char *text;

	if (size <= loop->text_size)
		return loop->text;
	text = realloc(loop->text, size);
	if (text == NULL)
		return NULL;
	loop->text = text;
	loop->text_size = size;
	return text;
}

void
weir__loop_rest(struct weir_loop *loop, struct weir_server *server)
{
	TAILQ_INSERT_TAIL(&loop->resting, server, resting_next);
}

void
weir__loop_unrest(struct weir_loop *loop, struct weir_server *server)
{
	TAILQ_REMOVE(&loop->resting, server, resting_next);
}

void
weir__loop_fd_closed(struct weir_loop *loop)
{
	struct weir_server *server = TAILQ_FIRST(&loop->resting);

	/* One descriptor, one server; it goes to the end of the queue when it
	 * has to rest again, so each gets its turn. */
	if (server != NULL)
		weir__server_wake(server);
}

struct weir__pipe *
weir__loop_borrow_pipe(struct weir_loop *loop)
{
	struct weir__pipe *pipe = SLIST_FIRST(&loop->pipes);
	int fds[2], size, wish;

	if (pipe != NULL) {
		SLIST_REMOVE_HEAD(&loop->pipes, next);
		loop->pipe_count--;
		pipe->lent = true;
		return pipe;
	}
	if (loop->pipes_made >= PIPES_MOST)
		return NULL;
	pipe = malloc(sizeof(*pipe));
	if (pipe == NULL || pipe2(fds, O_CLOEXEC | O_NONBLOCK) == -1) {
		free(pipe);
		return NULL;
	}
	loop->pipes_made++;
	LIST_INSERT_HEAD(&loop->made, pipe, made);
	pipe->read_fd = fds[0];
	pipe->write_fd = fds[1];
	for (wish = PIPE_WISH; wish > PIPE_AT_LEAST; wish /= 2)
		if (fcntl(fds[0], F_SETPIPE_SZ, wish) != -1)
			break; /* else the user's share is used up */
	size = fcntl(fds[0], F_GETPIPE_SZ);
	if (size < PIPE_AT_LEAST) {
		close_pipe(loop, pipe);
		return NULL;
	}
	pipe->capacity = (size_t)size;
	pipe->length = 0;
	pipe->lent = true;
	return pipe;
}

void
weir__loop_return_pipe(struct weir_loop *loop, struct weir__pipe *pipe)
{
	if (pipe->length > 0 || loop->pipe_count >= PIPES_KEPT ||
	    pipe->read_fd == -1) {
		close_pipe(loop, pipe);
		return;
	}
	pipe->lent = false;
	SLIST_INSERT_HEAD(&loop->pipes, pipe, next);
	loop->pipe_count++;
}

/* ---- timers ---- */

static void
timer_hold(struct weir_timer *timer, bool running)
{
	if (timer->running == running)
		return;
	timer->running = running;
	if (timer->unref)
		return;
	if (running)
		weir__loop_hold(timer->loop);
	else
		weir__loop_release(timer->loop);
}

static void
on_timer(evutil_socket_t fd, short what, void *user)
{
	struct weir_timer *timer = user;

	(void)fd;
	(void)what;
	timer_hold(timer, false);
	timer->fn(timer, timer->user);
}

int
weir_timer_new(struct weir_timer **ret, struct weir_loop *loop,
    void (*fn)(struct weir_timer *, void *), void *user)
{
	struct weir_timer *timer;

	if (ret == NULL || loop == NULL || fn == NULL)
		return -EINVAL;
	timer = malloc(sizeof(*timer));
	if (timer == NULL)
		return -ENOMEM;
	*timer = (struct weir_timer){.loop = loop, .fn = fn, .user = user};
	(void)evtimer_assign(&timer->event, loop->base, on_timer, timer);
	*ret = timer;
	return 0;
}

int
weir_timer_start(struct weir_timer *timer, uint64_t ms)
{
	const struct timeval after = {
	    .tv_sec = (time_t)(ms / 1000),
	    .tv_usec = (suseconds_t)(ms % 1000 * 1000),
	};

	if (timer == NULL)
		return -EINVAL;
	if (event_add(&timer->event, &after) == -1)
		return -ENOMEM;
	timer_hold(timer, true);
	return 0;
}

void
weir_timer_stop(struct weir_timer *timer)
{
	if (timer == NULL)
		return;
	(void)event_del(&timer->event);
	timer_hold(timer, false);
}

bool
weir_timer_running(const struct weir_timer *timer)
{
	return timer != NULL && timer->running;
}

void
weir_timer_ref(struct weir_timer *timer)
{
	if (timer == NULL)
		return;
	if (timer->unref && timer->running)
		weir__loop_hold(timer->loop);
	timer->unref = false;
}

void
weir_timer_unref(struct weir_timer *timer)
{
	if (timer == NULL)
		return;
	if (!timer->unref && timer->running)
		weir__loop_release(timer->loop);
	timer->unref = true;
}

void
weir_timer_free(struct weir_timer *timer)
{
	if (timer == NULL)
		return;
	weir_timer_stop(timer);
	free(timer);
}

/* ---- signals ---- */

static void
on_signal(evutil_socket_t signo, short what, void *user)
{
	struct weir_signal *signal = user;

	(void)what;
	signal->fn(signal, (int)signo, signal->user);
}

int
weir_signal_new(struct weir_signal **ret, struct weir_loop *loop, int signo,
    void (*fn)(struct weir_signal *, int, void *), void *user)
{
	struct weir_signal *signal;

	if (ret == NULL || loop == NULL || signo <= 0 || signo >= NSIG ||
	    fn == NULL)
		return -EINVAL;
	signal = calloc(1, sizeof(*signal));
	if (signal == NULL)
		return -ENOMEM;
	signal->fn = fn;
	signal->user = user;
	if (evsignal_assign(
		&signal->event, loop->base, signo, on_signal, signal) == -1 ||
	    event_add(&signal->event, NULL) == -1) {
		free(signal);
		return -ENOMEM;
	}
	*ret = signal;
	return 0;
}

void
weir_signal_free(struct weir_signal *signal)
{
	if (signal == NULL)
		return;
	(void)event_del(&signal->event);
	free(signal);
}
