/* A count that processes share; count.c says more. */
#ifndef NET_COUNT_PRIV_H
#define NET_COUNT_PRIV_H

#include <stddef.h>

struct weir__count;

/* A count of none, or NULL without memory. */
struct weir__count *weir__count_new(void);

/* This process counts no more; NULL is fine. */
void weir__count_free(struct weir__count *count);

void weir__count_add(struct weir__count *count, int change);

/* After fork, in the child: what its parent counted is the parent's. */
void weir__count_forked(struct weir__count *count);

/* Of all processes that live. */
size_t weir__count_total(const struct weir__count *count);

#endif
