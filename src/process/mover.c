/*
 * Moving sessions. The giver has a few of them under way at a time, so that
 * each is frozen for no longer than an answer takes; what is under way always
 * fits into the channel, and no word of it has to wait.
 *
 * A message is a letter, a number and what belongs to it. Those with
 * descriptors are numbered, each by one more than the one before, so that the
 * taker can name one that was lost for lack of descriptors.
 */
#include "config.h"

#include "process/mover.h"

#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/loop.h>

#include "config/config.h"
#include "log/log.h"
#include "process/wire.h"
#include "proxy/proxy.h"
#include "proxy/session_move.h"
#include "util/strbuf.h"

#define WINDOW	   16	/* sessions under way */
#define INLINE_MAX 3072 /* a longer parcel goes in a file */
#define AGAIN_MS   50	/* those that connect are looked at again */
#define PASSES	   100	/* ... so often */

enum kind {
	CONFIG = 'F',  /* what sessions are under; number, file */
	SESSION = 'S', /* one; its parcel, its sockets */
	PARCEL = 'P',  /* one; its sockets, a file with its parcel */
	RUN = 'R',     /* it was given up: it is yours */
	CANCEL = 'C',  /* it goes on here */
	END = 'E',     /* that was all */
	HAVE = 'H',    /* it can go on here */
	NO = 'N',      /* it cannot */
};

struct head {
	uint32_t kind, number;
};

struct given {
	bool used;
	uint32_t number;
	struct session *session; /* NULL: gone meanwhile */
};

struct taken {
	STAILQ_ENTRY(taken) next;
	uint32_t number;
	struct config *config; /* the mover's */
	int fds[SESSION_FDS];
	size_t fd_count, length;
	char parcel[];
};

struct mover {
	struct wire *wire;
	struct proxy *proxy;
	const struct mover_handlers *handlers;
	void *user;
	struct mover_counts counts;
	bool giving, over, failed;
	uint32_t number; /* of the last message with descriptors */

	/* What sessions are under: the givers' own, or those made of the text
	 * that came; by the number in a parcel. References. */
	struct config **configs;
	size_t config_count;

	/* Giving. */
	struct given given[WINDOW];
	unsigned under_way, again, passes;
	struct weir_timer *patience, *pass_timer;

	STAILQ_HEAD(, taken) taken;
};

static void give_more(struct mover *m);

/* ---- both ---- */

/* The owner may free the mover when told: from the timer, where nothing else
 * of it runs. */
static void
done(struct mover *m)
{
	if (m->over)
		return;
	m->over = true;
	weir_timer_stop(m->patience);
	if (weir_timer_start(m->pass_timer, 0) != 0)
		log_error("no memory for a timer, connections stay");
}

static int
tell(struct mover *m, enum kind kind, uint32_t number)
{
	const struct head head = {.kind = kind, .number = number};

	return wire_send(m->wire, &head, sizeof(head), NULL, 0);
}

static bool
keep_config(struct mover *m, struct config *config)
{
	struct config **rows =
	    reallocarray(m->configs, m->config_count + 1, sizeof(*m->configs));

	if (rows == NULL)
		return false;
	m->configs = rows;
	m->configs[m->config_count++] =
	    config != NULL ? config_ref(config) : NULL;
	return true;
}

static int
file_of(const void *data, size_t length)
{
	int fd = memfd_create("weir", MFD_CLOEXEC);
	const char *at = data;
	ssize_t n;

	while (fd != -1 && length > 0) {
		n = write(fd, at, length);
		if (n <= 0) {
			(void)close(fd);
			return -1;
		}
		at += n;
		length -= (size_t)n;
	}
	return fd;
}

/* ---- giving ---- */

static void
cancel_all(struct mover *m)
{
	struct given *g;

	for (g = m->given; g < m->given + WINDOW; g++) {
		if (!g->used)
			continue;
		g->used = false;
		m->under_way--;
		m->counts.stayed++;
		(void)tell(m, CANCEL, g->number);
		if (g->session != NULL)
			session_thaw(g->session);
	}
}

/* Nothing is heard of it: it must not hold up those that are frozen. */
static void
on_impatient(struct weir_timer *timer, void *user)
{
	struct mover *m = user;

	(void)timer;
	m->failed = true;
	cancel_all(m);
	done(m);
}

static void
on_pass(struct weir_timer *timer, void *user)
{
	struct mover *m = user;

	(void)timer;
	if (m->over) {
		m->handlers->on_done(m, m->user);
		return;
	}
	m->again = 0;
	session_move_begin(m->proxy);
	give_more(m);
}

static int
send_config(struct mover *m, const struct config *config)
{
	const struct head head = {.kind = CONFIG, .number = m->number + 1};
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	int fd = -1, err = -ENOMEM;

	if (out == NULL)
		return -ENOMEM;
	if (config_dump(config, out) == 0 && fclose(out) == 0)
		fd = file_of(text, length);
	free(text);
	if (fd == -1)
		return err;
	err = wire_send(m->wire, &head, sizeof(head), &fd, 1);
	(void)close(fd);
	if (err == 0)
		m->number++;
	return err;
}

/* The number of a configuration, which the other one gets to know. */
static int
number_of(struct mover *m, struct config *config, unsigned *ret)
{
	int err;

	for (*ret = 0; *ret < m->config_count; (*ret)++)
		if (m->configs[*ret] == config)
			return 0;
	if (!keep_config(m, config))
		return -ENOMEM;
	err = send_config(m, config);
	if (err != 0)
		config_unref(m->configs[--m->config_count]);
	return err;
}

static int
send_session(struct mover *m, const struct strbuf *parcel, const int *fds,
    size_t fd_count)
{
	struct head head = {.kind = SESSION, .number = m->number + 1};
	struct strbuf all = STRBUF_NULL;
	int with_file[SESSION_FDS + 1], err;

	memcpy(with_file, fds, fd_count * sizeof(*fds));
	if (parcel->length > INLINE_MAX) {
		head.kind = PARCEL;
		with_file[fd_count] = file_of(parcel->data, parcel->length);
		if (with_file[fd_count] == -1)
			return -ENOMEM;
		err = wire_try(
		    m->wire, &head, sizeof(head), with_file, fd_count + 1);
		(void)close(with_file[fd_count]);
	} else {
		strbuf_add(&all, &head, sizeof(head));
		strbuf_add(&all, parcel->data, parcel->length);
		err = all.failed ? -ENOMEM
				 : wire_try(m->wire, all.data, all.length, fds,
				       fd_count);
		strbuf_free(&all);
	}
	if (err == 0)
		m->number++;
	return err;
}

static struct given *
free_slot(struct mover *m)
{
	struct given *g;

	for (g = m->given; g < m->given + WINDOW; g++)
		if (!g->used)
			return g;
	return NULL;
}

/* Returns 0, -EAGAIN where it may be given later, or why it stays. */
static int
give(struct mover *m, struct session *session, struct given *g)
{
	struct strbuf parcel = STRBUF_NULL;
	int fds[SESSION_FDS], err;
	unsigned config;

	err = number_of(m, session_config(session), &config);
	if (err != 0)
		return err;
	err = session_freeze(session, config, &parcel, fds, &g->session);
	if (err >= 0)
		err = send_session(m, &parcel, fds, (size_t)err);
	strbuf_free(&parcel);
	if (err != 0) {
		session_thaw(session);
		return err;
	}
	g->used = true;
	g->number = m->number;
	m->under_way++;
	return 0;
}

static void
on_room(void *user)
{
	give_more(user);
}

static void
pass_done(struct mover *m)
{
	if (m->under_way > 0)
		return;
	if (m->again > 0 && ++m->passes < PASSES &&
	    weir_timer_start(m->pass_timer, AGAIN_MS) == 0)
		return;
	m->counts.stayed += m->again;
	(void)tell(m, END, 0);
	done(m);
}

static void
give_more(struct mover *m)
{
	struct session *session;
	struct given *g;
	int err;

	while (!m->over && (g = free_slot(m)) != NULL) {
		session = session_move_next(m->proxy);
		if (session == NULL) {
			pass_done(m);
			break;
		}
		err = give(m, session, g);
		if (err == -EAGAIN)
			m->again++;
		else if (err != 0)
			m->counts.stayed++;
	}
	if (m->over)
		return;
	wire_when_writable(m->wire, on_room, m);
	if (m->under_way == 0)
		weir_timer_stop(m->patience);
	else if (!weir_timer_running(m->patience))
		(void)weir_timer_start(m->patience, MOVER_PATIENCE_MS);
}

static void
answered(struct mover *m, uint32_t number, bool have)
{
	struct given *g;

	for (g = m->given; g < m->given + WINDOW; g++)
		if (g->used && g->number == number)
			break;
	if (g == m->given + WINDOW)
		return;
	g->used = false;
	m->under_way--;
	weir_timer_stop(m->patience);
	if (g->session == NULL) { /* killed in the meantime */
		(void)tell(m, CANCEL, number);
	} else if (have) {
		m->counts.moved++;
		session_release(g->session);
		(void)tell(m, RUN, number);
	} else {
		m->counts.stayed++;
		session_thaw(g->session);
	}
	give_more(m);
}

/* ---- taking ---- */

static char *
text_of(int fd, size_t *length)
{
	struct stat st;
	size_t n = 0;
	ssize_t r;
	char *text;

	if (fstat(fd, &st) == -1)
		return NULL;
	text = malloc((size_t)st.st_size + 1);
	while (text != NULL && n < (size_t)st.st_size) {
		r = pread(fd, text + n, (size_t)st.st_size - n, (off_t)n);
		if (r <= 0) {
			free(text);
			return NULL;
		}
		n += (size_t)r;
	}
	if (text != NULL)
		text[n] = '\0';
	*length = n;
	return text;
}

/* What the giver's sessions are under. Where this program does not understand
 * it they stay there. */
static void
take_config(struct mover *m, const struct wire_message *message)
{
	struct config_builder *builder = config_builder_new();
	struct config *config = NULL;
	size_t length = 0;
	char *text = NULL;

	if (message->fd_count == 1)
		text = text_of(message->fds[0], &length);
	wire_close_fds(message);
	if (builder != NULL && text != NULL &&
	    config_builder_read_text(
		builder, "the old process", text, length) == 0 &&
	    config_builder_finish(builder, &config) != 0)
		config = NULL;
	if (config == NULL)
		log_warn("connections stay with the old process, their"
			 " configuration is not understood",
		    LOG_T("error",
			builder != NULL &&
				config_builder_mistake_count(builder) > 0
			    ? config_builder_mistake(builder, 0)
			    : NULL));
	/* The number has to be taken in any case. */
	if (!keep_config(m, config))
		log_error("no memory for the configuration of connections");
	config_unref(config);
	config_builder_free(builder);
	free(text);
}

static struct taken *
unwrap(const struct wire_message *message, size_t fd_count)
{
	const char *data = message->data;
	size_t length = message->length - sizeof(struct head);
	char *text = NULL;
	struct taken *t;

	if (fd_count < message->fd_count) {
		text = text_of(message->fds[fd_count], &length);
		(void)close(message->fds[fd_count]);
		if (text == NULL)
			return NULL;
	}
	t = malloc(sizeof(*t) + length);
	if (t != NULL) {
		t->length = length;
		memcpy(t->parcel,
		    text != NULL ? text : data + sizeof(struct head), length);
	}
	free(text);
	return t;
}

static bool
wanted(struct mover *m, struct taken *t)
{
	const char *listener = session_parcel_listener(t->parcel, t->length);
	unsigned number;

	if (listener == NULL || proxy_draining(m->proxy) ||
	    session_parcel_config(t->parcel, t->length, &number) != 0 ||
	    number >= m->config_count)
		return false;
	t->config = m->configs[number];
	return t->config != NULL &&
	       proxy_find_listener(m->proxy, listener) >= 0;
}

static void
drop(struct taken *t)
{
	while (t->fd_count > 0)
		(void)close(t->fds[--t->fd_count]);
	free(t);
}

static void
take(struct mover *m, const struct wire_message *message, uint32_t number,
    size_t fd_count)
{
	struct taken *t;
	size_t i;

	if (fd_count == 0 || fd_count > SESSION_FDS) {
		wire_close_fds(message);
		(void)tell(m, NO, number);
		return;
	}
	t = unwrap(message, fd_count);
	if (t == NULL) {
		for (i = 0; i < fd_count; i++)
			(void)close(message->fds[i]);
		(void)tell(m, NO, number);
		return;
	}
	t->number = number;
	t->fd_count = fd_count;
	memcpy(t->fds, message->fds, fd_count * sizeof(t->fds[0]));
	if (!wanted(m, t) || tell(m, HAVE, number) != 0) {
		drop(t);
		(void)tell(m, NO, number);
		return;
	}
	STAILQ_INSERT_TAIL(&m->taken, t, next);
}

static void
run(struct mover *m, struct taken *t)
{
	int err = session_adopt(
	    m->proxy, t->config, t->parcel, t->length, t->fds, t->fd_count);

	t->fd_count = 0;
	if (err == 0)
		m->counts.moved++;
	else
		log_error("a connection of the old process is lost",
		    LOG_T("listener",
			session_parcel_listener(t->parcel, t->length)),
		    LOG_T("error", strerror(-err)));
	free(t);
}

static void
decided(struct mover *m, uint32_t number, bool ours)
{
	struct taken *t;

	STAILQ_FOREACH(t, &m->taken, next)
	if (t->number == number)
		break;
	if (t == NULL)
		return;
	STAILQ_REMOVE(&m->taken, t, taken, next);
	if (ours)
		run(m, t);
	else
		drop(t);
}

static void
taken_in(struct mover *m, const struct wire_message *message,
    const struct head *head)
{
	switch (head->kind) {
	case CONFIG:
		m->number = head->number;
		take_config(m, message);
		break;
	case SESSION:
		m->number = head->number;
		take(m, message, head->number, message->fd_count);
		break;
	case PARCEL:
		m->number = head->number;
		take(m, message, head->number, message->fd_count - 1);
		break;
	case RUN:
	case CANCEL:
		decided(m, head->number, head->kind == RUN);
		break;
	case END:
		done(m);
		break;
	default:
		wire_close_fds(message);
		break;
	}
}

/* ---- the wire ---- */

static void
on_message(struct wire *wire, const struct wire_message *message, void *user)
{
	struct mover *m = user;
	struct head head = {0};

	(void)wire;
	if (message->length >= sizeof(head))
		memcpy(&head, message->data, sizeof(head));
	if (!m->giving) {
		taken_in(m, message, &head);
		return;
	}
	wire_close_fds(message);
	if (head.kind == HAVE || head.kind == NO)
		answered(m, head.number, head.kind == HAVE);
}

/* Out of descriptors: the next one in turn. */
static void
on_lost(struct wire *wire, int err, void *user)
{
	struct mover *m = user;

	(void)wire;
	(void)err;
	if (!m->giving)
		(void)tell(m, NO, ++m->number);
}

/* The giver has died: what it had not taken back is nobody's but ours. The
 * taker has: what was under way goes on here. */
static void
on_close(struct wire *wire, void *user)
{
	struct mover *m = user;
	struct taken *t;

	(void)wire;
	while ((t = STAILQ_FIRST(&m->taken)) != NULL) {
		STAILQ_REMOVE_HEAD(&m->taken, next);
		run(m, t);
	}
	m->failed = !m->over;
	cancel_all(m);
	done(m);
}

static const struct wire_handlers wire_handlers = {
    .on_message = on_message,
    .on_lost = on_lost,
    .on_close = on_close,
};

/* ---- new and free ---- */

static int
new_mover(struct mover **ret, struct weir_loop *loop, int fd,
    struct proxy *proxy, const struct mover_handlers *handlers, void *user)
{
	struct mover *m = calloc(1, sizeof(*m));
	int err;

	if (m == NULL)
		return -ENOMEM;
	m->proxy = proxy;
	m->handlers = handlers;
	m->user = user;
	STAILQ_INIT(&m->taken);
	err = weir_timer_new(&m->patience, loop, on_impatient, m);
	if (err == 0)
		err = weir_timer_new(&m->pass_timer, loop, on_pass, m);
	if (err == 0)
		err = wire_new(&m->wire, loop, fd, &wire_handlers, m);
	if (err != 0) {
		mover_free(m);
		return err;
	}
	*ret = m;
	return 0;
}

int
mover_give(struct mover **ret, struct weir_loop *loop, int fd,
    struct proxy *proxy, const struct mover_handlers *handlers, void *user)
{
	int err = new_mover(ret, loop, fd, proxy, handlers, user);

	if (err != 0)
		return err;
	(*ret)->giving = true;
	return weir_timer_start((*ret)->pass_timer, 0);
}

int
mover_take(struct mover **ret, struct weir_loop *loop, int fd,
    struct proxy *proxy, const struct mover_handlers *handlers, void *user)
{
	return new_mover(ret, loop, fd, proxy, handlers, user);
}

struct mover_counts
mover_counts(const struct mover *m)
{
	return m->counts;
}

bool
mover_failed(const struct mover *m)
{
	return m->failed;
}

void
mover_free(struct mover *m)
{
	struct taken *t;

	if (m == NULL)
		return;
	m->over = true;
	if (m->wire != NULL)
		cancel_all(m);
	wire_free(m->wire);
	while ((t = STAILQ_FIRST(&m->taken)) != NULL) {
		STAILQ_REMOVE_HEAD(&m->taken, next);
		drop(t);
	}
	while (m->config_count > 0)
		config_unref(m->configs[--m->config_count]);
	free(m->configs);
	weir_timer_free(m->patience);
	weir_timer_free(m->pass_timer);
	free(m);
}
