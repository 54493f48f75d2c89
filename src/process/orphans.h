/* Whose parents have ended, where this process is the first of a container. */
#ifndef PROCESS_ORPHANS_H
#define PROCESS_ORPHANS_H

#include <sys/types.h>

#include <stdbool.h>

struct orphans;
struct weir_loop;

/* Reap them when they end; those of which is_ours() is true are left to who
 * started them. Returns 0 or -errno. */
int orphans_new(struct orphans **ret, struct weir_loop *loop,
    bool (*is_ours)(pid_t pid, void *user), void *user);
void orphans_free(struct orphans *orphans); /* NULL is fine */

#endif
