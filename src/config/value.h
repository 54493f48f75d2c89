/* From a value as it is written to the bytes it stands for, and back. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>

struct strbuf;

/*
 * Put in environment variables, ${NAME}, and with escapes undo C escapes.
 * $${ stands for ${ itself; what a variable holds is taken as it is. Returns 0
 * with the bytes in ret, or -EINVAL with what is wrong in problem. A refused
 * allocation is seen in ret and problem.
 */
int value_undo(
    const char *text, bool escapes, struct strbuf *ret, struct strbuf *problem);

/*
 * Write KEY = VALUE and a line's end so that it is read back as the same
 * bytes: in quotes and on several lines where that is needed.
 */
void value_write(
    const char *key, const char *value, size_t length, struct strbuf *ret);

#endif
