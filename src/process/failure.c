/*
 * Texts of failures. Promises that a failure for want of memory still has
 * one; leaves printing it to the caller.
 */
#include "config.h"

#include "process/failure.h"

#include <stdarg.h>
#include <stdio.h>

int
failure(char **error, int code, const char *format, ...)
{
	va_list arguments;

	if (error == NULL)
		return code;
	va_start(arguments, format);
	if (vasprintf(error, format, arguments) < 0)
		*error = NULL;
	va_end(arguments);
	return code;
}

const char *
failure_text(const char *error)
{
	return error == NULL ? "out of memory" : error;
}
