/*
 * Sockets in the service manager's store. The name that each is kept under
 * tells the listener and the address as it was configured, so that it can be
 * found again where the address itself says too little, as port 0 does.
 *
 * Whether the manager keeps what it is asked to is not told. A manager that
 * keeps nothing costs nothing but a stale socket file, which the next start
 * replaces.
 */
#include "config.h"

#include "process/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>

#include "log/log.h"
#include "process/notify.h"
#include "proxy/proxy.h"
#include "util/strbuf.h"

#define PREFIX	 "weir="
#define NAME_MAX 255

struct store {
	struct proxy_handed_fd *sockets;
	size_t count;
	char **names; /* that the manager keeps something under */
	size_t name_count;
	bool used, told;
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

static bool
keep_name(struct store *store, const char *name)
{
	char **rows;
	size_t i;

	for (i = 0; i < store->name_count; i++)
		if (strcmp(store->names[i], name) == 0)
			return true;
	rows = reallocarray(store->names, store->name_count + 1, sizeof(*rows));
	if (rows == NULL)
		return false;
	store->names = rows;
	rows[store->name_count] = strdup(name);
	return rows[store->name_count] != NULL && ++store->name_count > 0;
}

static int
take(struct store *store, struct proxy_passed_fd *passed)
{
	const char *listener = passed->name + strlen(PREFIX);
	const char *equals = strchr(listener, '=');
	struct proxy_handed_fd *row = &store->sockets[store->count];

	if (equals == NULL || !keep_name(store, passed->name))
		return equals == NULL ? 0 : -ENOMEM;
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

static void
free_names(char **names, size_t count)
{
	while (count > 0)
		free(names[--count]);
	free(names);
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
	free_names(store->names, store->name_count);
	free(store);
}

/* ---- what is to be kept ---- */

struct sync {
	struct store *store;
	struct notify *notify;
	int err;
};

static void
keep_socket(
    const char *listener, const char *text, int fd, bool inherited, void *user)
{
	struct sync *sync = user;
	char *name;
	int err;

	if (inherited)
		return;
	name = name_of(listener, text);
	err = name == NULL || !keep_name(sync->store, name)
		  ? -ENOMEM
		  : notify_store_fds(sync->notify, name, &fd, 1);
	free(name);
	if (err == 0)
		sync->store->used = true;
	else
		sync->err = err;
}

/* All is said anew: who keeps one already keeps it once. */
void
store_sync(
    struct store *store, struct notify *notify, const struct proxy *proxy)
{
	struct sync sync = {.store = store, .notify = notify};
	size_t i;

	if (store == NULL || notify == NULL || !notify_enabled(notify))
		return;
	for (i = 0; i < store->name_count; i++)
		(void)notify_remove_fds(notify, store->names[i]);
	free_names(store->names, store->name_count);
	store->names = NULL;
	store->name_count = 0;
	proxy_each_listening(proxy, keep_socket, &sync);
	if (sync.err == 0 || store->told)
		return;
	store->told = true;
	log_warn("the service manager does not keep all sockets over a restart",
	    LOG_T("error", weir_error_text(sync.err)));
}

bool
store_used(const struct store *store)
{
	return store != NULL && store->used;
}
