/*
 * How this floor says what went wrong: a negative errno, and a text for
 * people that names what, where and which value.
 */
#ifndef PROCESS_FAILURE_H
#define PROCESS_FAILURE_H

/*
 * Put a text into *error, the caller's, to free(); NULL where memory is
 * short. Returns code, so that a function can end with it. error may be NULL.
 */
int failure(char **error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What to print for an error, NULL included. */
const char *failure_text(const char *error);

#endif
