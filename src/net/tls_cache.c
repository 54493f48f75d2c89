/*
 * Sessions of TLS that several processes share: memory that is mapped before
 * they are forked, so that a client may resume with any of them what it began
 * with another.
 *
 * By its id, which is random, a session belongs to one of many sets. A set is
 * a row of sessions, the oldest first, each as long as it is; for a new one the
 * oldest go. Each set has a lock that tells when its holder has died, and then
 * the set is emptied. Nobody waits for a lock for long: a session that cannot
 * be had is one that is not there, and costs a whole handshake.
 */
#include "config.h"

#include <sys/mman.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "net/tls_priv.h"

#define SET	     32768U /* bytes of a set's sessions */
#define SESSION	     384U   /* what is reckoned for one; most need less */
#define SESSION_MOST 4096U  /* a larger one is not kept */
#define TRIES	     100

struct set {
	pthread_mutex_t lock;
	uint32_t used;
};

/* The session follows, as DER. */
struct entry {
	int64_t expires;
	uint32_t size, length; /* of all, in eights; of the DER */
	unsigned char id[SSL_MAX_SSL_SESSION_ID_LENGTH];
	uint32_t id_length; /* 0: it was removed */
};

struct weir_tls_cache {
	atomic_uint references;
	size_t count, mapped;
	struct set *sets;     /* the beginning of what is mapped */
	unsigned char *bytes; /* SET a set */
};

/* ---- a set ---- */

static bool
lock(struct set *set)
{
	int i, err = EBUSY;

	for (i = 0; err == EBUSY && i < TRIES; i++) {
		if (i > 0)
			(void)sched_yield();
		err = pthread_mutex_trylock(&set->lock);
	}
	if (err == EOWNERDEAD) { /* in the middle of a change */
		set->used = 0;
		err = pthread_mutex_consistent(&set->lock);
	}
	return err == 0;
}

static void
unlock(struct set *set)
{
	(void)pthread_mutex_unlock(&set->lock);
}

static struct set *
set_of(const struct weir_tls_cache *cache, const unsigned char *id,
    size_t length, unsigned char **bytes)
{
	uint32_t number;

	if (length < sizeof(number) || length > SSL_MAX_SSL_SESSION_ID_LENGTH)
		return NULL;
	memcpy(&number, id, sizeof(number));
	number %= (uint32_t)cache->count;
	*bytes = cache->bytes + (size_t)number * SET;
	return &cache->sets[number];
}

static struct entry *
entry_at(unsigned char *bytes, size_t at)
{
	return (struct entry *)(void *)(bytes + at);
}

static struct entry *
find(const struct set *set, unsigned char *bytes, const unsigned char *id,
    size_t length)
{
	struct entry *e;
	size_t at;

	for (at = 0; at < set->used; at += e->size) {
		e = entry_at(bytes, at);
		if (e->id_length == length && memcmp(e->id, id, length) == 0)
			return e;
	}
	return NULL;
}

static bool
is_over(const struct entry *e, int64_t now)
{
	return e->id_length == 0 || e->expires <= now;
}

/* Room for size bytes at the end: those that are over go, then the oldest. */
static void
make_room(struct set *set, unsigned char *bytes, size_t size)
{
	int64_t now = (int64_t)time(NULL);
	size_t at, to = 0, length, need = size;
	const struct entry *e;

	for (at = 0; at < set->used; at += e->size) {
		e = entry_at(bytes, at);
		need += is_over(e, now) ? 0 : e->size;
	}
	for (at = 0; at < set->used; at += length) {
		e = entry_at(bytes, at);
		length = e->size;
		if (is_over(e, now))
			continue;
		if (need > SET) {
			need -= length;
			continue;
		}
		memmove(bytes + to, e, length);
		to += length;
	}
	set->used = (uint32_t)to;
}

/* ---- what OpenSSL asks ---- */

static int
keep(struct weir_tls_cache *cache, SSL_SESSION *session)
{
	struct entry e = {.id_length = 0};
	unsigned char *bytes, *der;
	const unsigned char *id;
	unsigned id_length;
	struct set *set;
	int length = i2d_SSL_SESSION(session, NULL);

	id = SSL_SESSION_get_id(session, &id_length);
	set = set_of(cache, id, id_length, &bytes);
	if (set == NULL || length <= 0 || (unsigned)length > SESSION_MOST)
		return -EMSGSIZE;
	e.expires = (int64_t)SSL_SESSION_get_time(session) +
		    SSL_SESSION_get_timeout(session);
	e.length = (uint32_t)length;
	e.size = (uint32_t)(sizeof(e) + (unsigned)length + 7) & ~7U;
	e.id_length = id_length;
	memcpy(e.id, id, id_length);
	if (!lock(set))
		return -EBUSY;
	if (set->used + e.size > SET)
		make_room(set, bytes, e.size);
	bytes += set->used;
	memcpy(bytes, &e, sizeof(e));
	der = bytes + sizeof(e);
	(void)i2d_SSL_SESSION(session, &der);
	set->used += e.size;
	unlock(set);
	return 0;
}

static int
on_new(SSL *ssl, SSL_SESSION *session)
{
	const struct weir__tls *t = SSL_get_app_data(ssl);

	/* Where it goes into a ticket, it is in there. */
	if (SSL_version(ssl) < TLS1_3_VERSION ||
	    (SSL_get_options(ssl) & SSL_OP_NO_TICKET) != 0)
		(void)keep(t->context->cache, session);
	return 0; /* no reference is kept */
}

static SSL_SESSION *
on_get(SSL *ssl, const unsigned char *id, int id_length, int *copy)
{
	const struct weir__tls *t = SSL_get_app_data(ssl);
	unsigned char *bytes, der[SESSION_MOST];
	const unsigned char *from = der;
	const struct entry *e;
	SSL_SESSION *session;
	struct set *set =
	    set_of(t->context->cache, id, (size_t)id_length, &bytes);
	size_t length = 0;

	*copy = 0; /* it is OpenSSL's */
	if (set == NULL || !lock(set))
		return NULL;
	e = find(set, bytes, id, (size_t)id_length);
	if (e != NULL && !is_over(e, (int64_t)time(NULL))) {
		length = e->length;
		memcpy(der, e + 1, length);
	}
	unlock(set);
	if (length == 0)
		return NULL;
	session = d2i_SSL_SESSION(NULL, &from, (long)length);
	OPENSSL_cleanse(der, length);
	ERR_clear_error();
	return session;
}

static void
on_remove(SSL_CTX *ssl, SSL_SESSION *session)
{
	const struct weir_tls_context *c = SSL_CTX_get_app_data(ssl);
	const unsigned char *id;
	unsigned char *bytes;
	unsigned length;
	struct entry *e;
	struct set *set;

	id = SSL_SESSION_get_id(session, &length);
	set = set_of(c->cache, id, length, &bytes);
	if (set == NULL || !lock(set))
		return;
	e = find(set, bytes, id, length);
	if (e != NULL)
		e->id_length = 0;
	unlock(set);
}

void
weir__tls_cache_use(struct weir_tls_context *c, struct weir_tls_cache *cache)
{
	c->cache = weir_tls_cache_ref(cache);
	(void)SSL_CTX_set_app_data(c->ssl, c);
	(void)SSL_CTX_set_session_cache_mode(
	    c->ssl, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c->ssl, on_new);
	SSL_CTX_sess_set_get_cb(c->ssl, on_get);
	SSL_CTX_sess_set_remove_cb(c->ssl, on_remove);
}

/* ---- a cache ---- */

static int
make_locks(struct weir_tls_cache *cache)
{
	pthread_mutexattr_t kind;
	int err = pthread_mutexattr_init(&kind);
	size_t i;

	if (err != 0)
		return -err;
	err = pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
	if (err == 0)
		err = pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
	for (i = 0; err == 0 && i < cache->count; i++)
		err = pthread_mutex_init(&cache->sets[i].lock, &kind);
	(void)pthread_mutexattr_destroy(&kind);
	return -err;
}

/* Whose pages are taken as they are used. */
static int
map(struct weir_tls_cache *cache)
{
	size_t heads = (cache->count * sizeof(struct set) + 4095) & ~4095UL;
	void *all;

	cache->mapped = heads + cache->count * SET;
	all = mmap(NULL, cache->mapped, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (all == MAP_FAILED)
		return -errno;
	/* Keys are not for core files. */
	(void)madvise(all, cache->mapped, MADV_DONTDUMP);
	cache->sets = all;
	cache->bytes = (unsigned char *)all + heads;
	return make_locks(cache);
}

int
weir_tls_cache_new(struct weir_tls_cache **ret, size_t sessions)
{
	struct weir_tls_cache *cache;
	int err;

	if (ret == NULL || sessions == 0 || sessions > UINT32_MAX)
		return -EINVAL;
	cache = calloc(1, sizeof(*cache));
	if (cache == NULL)
		return -ENOMEM;
	cache->references = 1;
	cache->count = (sessions * SESSION + SET - 1) / SET;
	err = map(cache);
	if (err != 0) {
		weir_tls_cache_unref(cache);
		return err;
	}
	*ret = cache;
	return 0;
}

struct weir_tls_cache *
weir_tls_cache_ref(struct weir_tls_cache *cache)
{
	if (cache != NULL)
		cache->references++;
	return cache;
}

void
weir_tls_cache_unref(struct weir_tls_cache *cache)
{
	if (cache == NULL || --cache->references > 0)
		return;
	if (cache->sets != NULL)
		(void)munmap(cache->sets, cache->mapped);
	free(cache);
}
