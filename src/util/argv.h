/* A command line to the arguments that it stands for, without a shell. */
#ifndef UTIL_ARGV_H
#define UTIL_ARGV_H

#include <stddef.h>

/*
 * Split text at blanks. '...' keeps everything, "..." everything but \" and
 * \\, and outside of quotes \ keeps the character after it; quotes may begin
 * and end inside a word. Nothing else is special: no variables, no patterns.
 * *ret, which ends with NULL, is the caller's, to argv_free(); empty text is
 * no argument. On failure returns -ENOMEM, or -EINVAL and points *problem (may
 * be NULL) to a static text that says what is wrong.
 */
int argv_split(const char *text, char ***ret, const char **problem);

/* NULL is fine. */
void argv_free(char **argv);

size_t argv_count(char *const *argv);

#endif
