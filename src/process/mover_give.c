/*
 * The giver of sessions. It has a few of them under way at a time, so that
 * each is frozen for no longer than an answer takes; what is under way always
 * fits into the channel, and no word of it has to wait.
 */
#include "config.h"

#include <sys/mman.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/loop.h>

#include "config/config.h"
#include "process/mover_priv.h"
#include "util/strbuf.h"

#define INLINE_MAX 3072 /* a longer parcel goes in a file */
#define AGAIN_MS   50	/* those that connect are looked at again */
#define PASSES	   100	/* ... so often */

static void give_more(struct mover *m);

/* ---- taking back ---- */

void
mover_cancel_all(struct mover *m)
{
	struct mover_given *g;

	for (g = m->given; g < m->given + MOVER_WINDOW; g++) {
		if (!g->used)
			continue;
		g->used = false;
		m->under_way--;
		m->counts.stayed++;
		(void)mover_tell(m, MOVER_CANCEL, g->number);
		if (g->session != NULL)
			session_thaw(g->session);
	}
}

/* Nothing is heard of it: it must not hold up those that are frozen. */
void
mover_on_impatient(struct weir_timer *timer, void *user)
{
	struct mover *m = user;

	(void)timer;
	m->failed = true;
	mover_cancel_all(m);
	mover_done(m);
}

void
mover_on_pass(struct weir_timer *timer, void *user)
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

/* ---- sending ---- */

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

/* It tells its place among them, as one before it may have got lost. */
static int
send_config(struct mover *m, const struct config *config, uint32_t place)
{
	const struct mover_config head = {
	    .head = {.kind = MOVER_CONFIG, .number = m->number + 1},
	    .place = place,
	};
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	int fd = -1, err;

	if (out == NULL)
		return -ENOMEM;
	err = config_dump_brief(config, out);
	if (fclose(out) == 0 && err == 0)
		fd = file_of(text, length);
	free(text);
	if (fd == -1)
		return -ENOMEM;
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
	if (!mover_keep_config(m, *ret, config))
		return -ENOMEM;
	err = send_config(m, config, *ret);
	if (err != 0)
		config_unref(m->configs[--m->config_count]);
	return err;
}

static int
send_session(struct mover *m, const struct strbuf *parcel, const int *fds,
    size_t fd_count)
{
	struct mover_head head = {
	    .kind = MOVER_SESSION, .number = m->number + 1};
	struct strbuf all = STRBUF_NULL;
	int with_file[SESSION_FDS + 1], err;

	memcpy(with_file, fds, fd_count * sizeof(*fds));
	if (parcel->length > INLINE_MAX) {
		head.kind = MOVER_PARCEL;
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

static struct mover_given *
free_slot(struct mover *m)
{
	struct mover_given *g;

	for (g = m->given; g < m->given + MOVER_WINDOW; g++)
		if (!g->used)
			return g;
	return NULL;
}

/* Returns 0, -EAGAIN where it may be given later, or why it stays. */
static int
give(struct mover *m, struct session *session, struct mover_given *g)
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
	(void)mover_tell(m, MOVER_END, 0);
	mover_done(m);
}

static void
give_more(struct mover *m)
{
	struct session *session;
	struct mover_given *g;
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

void
mover_answered(struct mover *m, uint32_t number, bool have)
{
	struct mover_given *g;

	for (g = m->given; g < m->given + MOVER_WINDOW; g++)
		if (g->used && g->number == number)
			break;
	if (g == m->given + MOVER_WINDOW)
		return;
	g->used = false;
	m->under_way--;
	weir_timer_stop(m->patience);
	if (g->session == NULL) { /* killed in the meantime */
		(void)mover_tell(m, MOVER_CANCEL, number);
	} else if (have && mover_tell(m, MOVER_RUN, number) == 0) {
		m->counts.moved++;
		session_release(g->session);
	} else {
		m->counts.stayed++;
		session_thaw(g->session);
	}
	give_more(m);
}
