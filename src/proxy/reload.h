/*
 * Another configuration for a proxy that serves. First everything that it
 * needs is opened beside what is there, and nothing of that can be seen; then
 * it is put in force, which cannot fail, or it is given up, and all is as
 * before.
 */
#ifndef PROXY_RELOAD_H
#define PROXY_RELOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct proxy;
struct proxy_reload;

/*
 * Prepared, or not: then proxy_reload_mistake() tells why, and it is to be
 * given up. From the loop, once; proxy_reload_commit() and
 * proxy_reload_abort() are allowed in it.
 */
typedef void proxy_reload_prepared(
    struct proxy_reload *reload, bool ok, void *user);

/*
 * Prepare for config, of which it takes a reference. One at a time. *ret is to
 * be ended by one of the two below. Returns 0 or -ENOMEM.
 */
int proxy_reload_prepare(struct proxy_reload **ret, struct proxy *proxy,
    struct config *config, proxy_reload_prepared *prepared, void *user);

/* "weir.conf:12: listen: cannot listen on 127.0.0.1:80: ..." */
size_t proxy_reload_mistake_count(const struct proxy_reload *reload);
const char *proxy_reload_mistake(
    const struct proxy_reload *reload, size_t index);

/* The last that can fail: servers. Returns 0; or an error, and then it is to be
 * given up. */
int proxy_reload_take(struct proxy_reload *reload);

/* Put it in force, after proxy_reload_take(). Frees it. */
void proxy_reload_commit(struct proxy_reload *reload);

/* Give it up, at any time; NULL is fine. Frees it. */
void proxy_reload_abort(struct proxy_reload *reload);

/* ---- what was not, or would not be, put in force ---- */

/*
 * Call fn for each key of a listener with which its sockets are not as config
 * has them, and cannot become so without being bound anew; after a reload
 * (config is the proxy's) those that it tried, else those that are known
 * beforehand. The texts last until fn returns. Returns 0 or -ENOMEM.
 */
int proxy_each_refused(const struct proxy *proxy, const struct config *config,
    void (*fn)(
	const char *listener, const char *key, const char *why, void *user),
    void *user);

#endif
