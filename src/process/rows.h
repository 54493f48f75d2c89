/*
 * The figures of connections as bytes, from a worker to the master.
 */
#ifndef PROCESS_ROWS_H
#define PROCESS_ROWS_H

#include <stddef.h>

struct session_figures;

/*
 * Add one to a message that has length bytes of at most size. Returns its new
 * length, or 0 where there is no room. Texts too long for any message are cut.
 */
size_t rows_add(char *data, size_t size, size_t length,
    const struct session_figures *figures);

/* Call row for each that is in the message. */
void rows_each(const char *data, size_t length,
    void (*row)(const struct session_figures *figures, void *user), void *user);

#endif
