/*
 * Sockets in the service manager's store. The name that each is kept under
 * tells the listener and the address as it was configured, so that it can be
 * found again where the address itself says too little, as port 0 does. That of
 * the control socket is of a listener without a name.
 *
 * Whether the manager keeps what it is asked to is not told. A manager that
 * keeps nothing costs nothing but a stale socket file, which the next start
 * replaces.
 */
#include "config.h"

#include "process/store.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process/notify.h"
#include "proxy/proxy.h"
#include "util/strbuf.h"

#define PREFIX	 "weir="
#define NAME_MAX 255

/* A socket, by the name that it is kept under and its inode. */
struct named {
	char *name;
	ino_t inode;
	int fd;	   /* of one that is to be kept */
	bool sure; /* that the manager has it; else it is told once more */
};

struct names {
	struct named *rows;
	size_t count;
};

struct store {
	struct proxy_handed_fd *sockets;
	size_t count;
	struct names kept; /* by the manager */
	bool used, has_control;
};

/* ---- names ---- */

/* As it is, but what a name may not hold, and our own signs. */
static void
add_escaped(struct strbuf *name, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text > ' ' && *text <= '~' && *text != ':' &&
		    *text != '%' && *text != '=')
			strbuf_char(name, *text);
		else
			strbuf_format(name, "%%%02X", (unsigned char)*text);
	}
}

/* NULL without memory. One that would be too long says nothing. */
static char *
name_of(const char *listener, const char *text)
{
	struct strbuf name = STRBUF_NULL;

	strbuf_text(&name, PREFIX);
	add_escaped(&name, listener);
	strbuf_char(&name, '=');
	add_escaped(&name, text);
	if (name.length > NAME_MAX) {
		strbuf_reset(&name);
		strbuf_text(&name, PREFIX "=");
	}
	return strbuf_take(&name);
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static char *
unescaped(const char *text, size_t length)
{
	char *ret = malloc(length + 1), *to = ret;
	size_t i;

	for (i = 0; ret != NULL && i < length; i++) {
		if (text[i] == '%' && i + 2 < length && hex(text[i + 1]) >= 0 &&
		    hex(text[i + 2]) >= 0) {
			*to++ =
			    (char)(hex(text[i + 1]) * 16 + hex(text[i + 2]));
			i += 2;
		} else {
			*to++ = text[i];
		}
	}
	if (ret != NULL)
		*to = '\0';
	return ret;
}

/* ---- what was kept ---- */

/* Name is the list's with true. */
static bool
add(struct names *names, char *name, int fd, bool sure)
{
	struct named *rows =
	    reallocarray(names->rows, names->count + 1, sizeof(*names->rows));
	struct stat st;

	if (rows != NULL)
		names->rows = rows;
	if (rows == NULL || name == NULL || fstat(fd, &st) == -1)
		return false;
	rows[names->count++] = (struct named){
	    .name = name,
	    .inode = st.st_ino,
	    .fd = fd,
	    .sure = sure,
	};
	return true;
}

static int
add_copy(struct names *names, char *name, int fd, bool sure)
{
	if (add(names, name, fd, sure))
		return 0;
	free(name);
	return -ENOMEM;
}

static void
free_names(struct names *names)
{
	while (names->count > 0)
		free(names->rows[--names->count].name);
	free(names->rows);
	*names = (struct names){0};
}

static int
take(struct store *store, struct proxy_passed_fd *passed)
{
	const char *listener = passed->name + strlen(PREFIX);
	const char *equals = strchr(listener, '=');
	struct proxy_handed_fd *row = &store->sockets[store->count];

	if (equals == NULL)
		return 0;
	if (add_copy(&store->kept, strdup(passed->name), passed->fd, true) != 0)
		return -ENOMEM;
	row->listener = unescaped(listener, (size_t)(equals - listener));
	row->text = unescaped(equals + 1, strlen(equals + 1));
	row->fd = passed->fd;
	passed->fd = -1;
	store->count++;
	return row->listener != NULL && row->text != NULL ? 0 : -ENOMEM;
}

/* What is left keeps its order. */
static void
close_ranks(struct listen_fds *passed)
{
	size_t i, n = 0;

	for (i = 0; i < passed->count; i++)
		if (passed->fds[i].fd != -1)
			passed->fds[n++] = passed->fds[i];
	passed->count = n;
}

int
store_new(struct store **ret, struct listen_fds *passed)
{
	struct store *store = calloc(1, sizeof(*store));
	int err = 0;
	size_t i;

	if (store == NULL)
		return -ENOMEM;
	store->sockets = calloc(passed->count + 1, sizeof(*store->sockets));
	if (store->sockets == NULL)
		err = -ENOMEM;
	for (i = 0; i < passed->count && err == 0; i++)
		if (strncmp(passed->fds[i].name, PREFIX, strlen(PREFIX)) == 0)
			err = take(store, &passed->fds[i]);
	if (err != 0) {
		for (i = 0; i < store->count; i++)
			(void)close(store->sockets[i].fd);
		store_free(store);
		return err;
	}
	close_ranks(passed);
	*ret = store;
	return 0;
}

struct proxy_handed_fd *
store_sockets(struct store *store, size_t *count)
{
	*count = store->count;
	return store->sockets;
}

int
store_inherit(
    struct store *store, const struct proxy_handed_fd *sockets, size_t count)
{
	int err = 0;
	size_t i;

	/* Whether the manager was told in time is not known here. */
	for (i = 0; i < count && err == 0; i++)
		err = add_copy(&store->kept,
		    name_of(sockets[i].listener, sockets[i].text),
		    sockets[i].fd, false);
	return err;
}

int
store_control(struct store *store, const char *path)
{
	struct proxy_handed_fd *row;
	struct stat st;
	size_t i;
	int fd;

	for (i = 0; i < store->count; i++) {
		row = &store->sockets[i];
		if (row->fd == -1 || *row->listener != '\0' ||
		    strcmp(row->text, path) != 0)
			continue;
		if (lstat(path, &st) == -1 || !S_ISSOCK(st.st_mode))
			continue; /* nobody could reach it */
		fd = row->fd;
		row->fd = -1;
		return fd;
	}
	return -1;
}

void
store_free(struct store *store)
{
	size_t i;

	if (store == NULL)
		return;
	for (i = 0; i < store->count; i++) {
		free((void *)(uintptr_t)store->sockets[i].listener);
		free((void *)(uintptr_t)store->sockets[i].text);
	}
	free(store->sockets);
	free_names(&store->kept);
	free(store);
}

/* ---- what is to be kept ---- */

static int
compare(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	if (order == 0)
		order = (x->inode > y->inode) - (x->inode < y->inode);
	return order;
}

static void
sort(struct names *names)
{
	if (names->count > 0)
		qsort(names->rows, names->count, sizeof(*names->rows), compare);
}

static struct named *
find(const struct names *names, const struct named *like)
{
	return names->count == 0 ? NULL
				 : bsearch(like, names->rows, names->count,
				       sizeof(*names->rows), compare);
}

struct wish {
	struct names names;
	int err;
};

static void
want(struct wish *wish, const char *listener, const char *text, int fd)
{
	int err = add_copy(&wish->names, name_of(listener, text), fd, false);

	if (err != 0)
		wish->err = err;
}

static void
want_socket(
    const char *listener, const char *text, int fd, bool inherited, void *user)
{
	if (!inherited)
		want(user, listener, text, fd);
}

/* From a row, those of one name. */
static size_t
same_names(const struct names *names, size_t from)
{
	size_t i = from;

	while (i < names->count &&
	       strcmp(names->rows[i].name, names->rows[from].name) == 0)
		i++;
	return i - from;
}

/*
 * A name is all that can be forgotten: where one of its sockets is not wanted
 * any more, none is kept, until they are told anew. Both lists are sorted.
 */
static int
forget(struct names *kept, const struct names *wanted, struct notify *notify)
{
	size_t from = 0, n, i;
	bool all;
	int err;

	while (from < kept->count) {
		n = same_names(kept, from);
		for (all = true, i = from; i < from + n; i++)
			all = all && find(wanted, &kept->rows[i]) != NULL;
		if (all) {
			from += n;
			continue;
		}
		err = notify_remove_fds(notify, kept->rows[from].name);
		if (err != 0)
			return err;
		for (i = from; i < from + n; i++)
			free(kept->rows[i].name);
		memmove(&kept->rows[from], &kept->rows[from + n],
		    (kept->count - from - n) * sizeof(*kept->rows));
		kept->count -= n;
	}
	return 0;
}

static int
keep(struct names *kept, struct names *wanted, struct notify *notify)
{
	const struct names known = *kept; /* sorted, what is added is not */
	struct named *row, *now;
	size_t i;
	int err;

	for (i = 0; i < wanted->count; i++) {
		now = &wanted->rows[i];
		row = find(&known, now);
		if (row != NULL && row->sure)
			continue;
		err = notify_store_fds(notify, now->name, &now->fd, 1);
		if (err != 0)
			return err;
		if (row != NULL)
			row->sure = true;
		else {
			kept->rows[kept->count] = *now;
			kept->rows[kept->count++].sure = true;
			now->name = NULL;
		}
	}
	return 0;
}

static int
agree(struct names *kept, struct names *wanted, struct notify *notify)
{
	struct named *rows;
	int err;

	sort(kept);
	sort(wanted);
	err = forget(kept, wanted, notify);
	if (err != 0)
		return err;
	rows = reallocarray(
	    kept->rows, kept->count + wanted->count + 1, sizeof(*rows));
	if (rows == NULL)
		return -ENOMEM;
	kept->rows = rows;
	return keep(kept, wanted, notify);
}

int
store_sync(struct store *store, struct notify *notify,
    const struct proxy *proxy, const struct store_control_socket *control)
{
	struct wish wish = {.err = 0};
	int err;

	if (store == NULL || notify == NULL || !notify_enabled(notify))
		return 0;
	proxy_each_listening(proxy, want_socket, &wish);
	store->has_control = control->path != NULL;
	if (store->has_control)
		want(&wish, "", control->path, control->fd);
	err =
	    wish.err != 0 ? wish.err : agree(&store->kept, &wish.names, notify);
	store->used = store->kept.count > 0;
	free_names(&wish.names);
	return err;
}

bool
store_has_control(const struct store *store)
{
	return store_used(store) && store->has_control;
}

bool
store_used(const struct store *store)
{
	return store != NULL && store->used;
}
