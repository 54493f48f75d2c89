/* Versions: libweir's own, and those of the libraries that it runs with. */
#include "config.h"

#include <string.h>

#include <ares.h>
#include <event2/event.h>
#include <openssl/crypto.h>

#include <weir/version.h>

const char *
weir_version_of(const char *library)
{
	if (library == NULL)
		return NULL;
	if (strcmp(library, "libevent") == 0)
		return event_get_version();
	if (strcmp(library, "c-ares") == 0)
		return ares_version(NULL);
	if (strcmp(library, "OpenSSL") == 0)
		return OpenSSL_version(OPENSSL_VERSION_STRING);
	return NULL;
}
