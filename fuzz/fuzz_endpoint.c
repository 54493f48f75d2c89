/*
 * An ADDRESS as people write it: what is taken has a text that means the same,
 * and what is not has a reason.
 */
#include "config.h"

#include <string.h>

#include <weir/address.h>

#include "fuzz.h"

static void
check_address(const struct weir_endpoint *endpoint)
{
	char text[WEIR_ADDRESS_TEXT];
	struct weir_address address;

	if (weir_endpoint_address(endpoint, &address) != 0)
		return;
	(void)weir_address_text(&address, text, sizeof(text));
	FUZZ_ASSERT(strlen(text) < sizeof(text));
	FUZZ_ASSERT(weir_address_equal(&address, &address));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weir_endpoint endpoint, back;
	char text[WEIR_ADDRESS_TEXT + WEIR_HOST_TEXT];
	char again[WEIR_ADDRESS_TEXT + WEIR_HOST_TEXT];
	const char *problem = NULL;
	char *input = strndup((const char *)data, size);
	int err;

	FUZZ_ASSERT(input != NULL);
	(void)weir_is_ip(input);
	err = weir_endpoint_parse(&endpoint, input, &problem);
	free(input);
	FUZZ_ASSERT((err == 0) == (problem == NULL));
	if (err != 0)
		return 0;
	(void)weir_endpoint_text(&endpoint, text, sizeof(text));
	FUZZ_ASSERT(weir_endpoint_parse(&back, text, NULL) == 0);
	FUZZ_ASSERT(back.kind == endpoint.kind);
	(void)weir_endpoint_text(&back, again, sizeof(again));
	FUZZ_ASSERT(strcmp(text, again) == 0);
	check_address(&endpoint);
	return 0;
}
