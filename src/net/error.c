/*
 * Names and texts of errors, and the version of the library. libweir's own
 * errors come from the one map in <weir/error.h>; the system's come from the
 * C library, untranslated, so that logs read the same everywhere.
 */
#include "config.h"

#include <weir/error.h>

#include <stdio.h>
#include <string.h>

#include <weir/version.h>

/* Whether strerrorname_np() may be asked: it wants a number above 0. */
static int
is_system(int error)
{
	return error < 0 && error > -WEIR_ERROR_BASE;
}

const char *
weir_error_name(int error)
{
	const char *name;

	switch (error) {
#define WEIR_ERROR_NAME_(name, text)                                           \
	case WEIR_E_##name:                                                    \
		return "WEIR_E_" #name;
		WEIR_ERROR_MAP(WEIR_ERROR_NAME_)
#undef WEIR_ERROR_NAME_
	default:
		break;
	}
	name = is_system(error) ? strerrorname_np(-error) : NULL;
	return name != NULL ? name : "EUNKNOWN";
}

const char *
weir_error_text(int error)
{
	static _Thread_local char unknown[sizeof("unknown error -2147483648")];
	const char *known;

	switch (error) {
	case 0:
		return "no error";
#define WEIR_ERROR_TEXT_(name, text)                                           \
	case WEIR_E_##name:                                                    \
		return text;
		WEIR_ERROR_MAP(WEIR_ERROR_TEXT_)
#undef WEIR_ERROR_TEXT_
	default:
		break;
	}
	known = is_system(error) ? strerrordesc_np(-error) : NULL;
	if (known != NULL)
		return known;
	(void)snprintf(unknown, sizeof(unknown), "unknown error %d", error);
	return unknown;
}

const char *
weir_version(void)
{
	return WEIR_VERSION;
}
