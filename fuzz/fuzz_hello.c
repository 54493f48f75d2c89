/*
 * A TLS hello: whatever the bytes, in whatever pieces they come, the answer is
 * one and the same, and final.
 */
#include "config.h"

#include <string.h>

#include "fuzz.h"
#include "proto/hello.h"

/* Up to here each byte is a piece; beyond, pieces grow. */
#define BYTEWISE 600

static enum hello_result
in_pieces(struct hello *hello, const uint8_t *data, size_t size)
{
	enum hello_result result = HELLO_NEED_MORE;
	uint8_t *piece;
	size_t n;

	for (n = 0; n < size && result == HELLO_NEED_MORE;
	     n += n < BYTEWISE ? 1 : n / 7) {
		piece = malloc(n > 0 ? n : 1);
		FUZZ_ASSERT(piece != NULL);
		if (n > 0)
			memcpy(piece, data, n);
		result = hello_read(hello, piece, n);
		free(piece);
	}
	return result == HELLO_NEED_MORE ? hello_read(hello, data, size)
					 : result;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hello whole = {.record = 0}, pieces = {.record = 0};
	enum hello_result result = hello_read(&whole, data, size);

	FUZZ_ASSERT(in_pieces(&pieces, data, size) == result);
	FUZZ_ASSERT((result == HELLO_BROKEN) == (whole.problem != NULL));
	FUZZ_ASSERT(memchr(whole.name, '\0', sizeof(whole.name)) != NULL);
	if (result == HELLO_NEED_MORE)
		FUZZ_ASSERT(size < HELLO_MAX);
	if (result != HELLO_DONE)
		return 0;
	FUZZ_ASSERT(strcmp(whole.name, pieces.name) == 0);
	(void)hello_offers(&whole, data, size, "h2");
	(void)hello_offers(&whole, data, size, "http/1.1");
	if (whole.name[0] != '\0')
		FUZZ_ASSERT(hello_name_matches(whole.name, whole.name) ||
			    strncmp(whole.name, "*.", 2) == 0);
	return 0;
}
