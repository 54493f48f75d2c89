/*
 * A PROXY header: every beginning of a good one waits for more, what is broken
 * stays so, and what was read is read again from what is written of it.
 */
#include "config.h"

#include <string.h>

#include "fuzz.h"
#include "proto/proxy_header.h"
#include "util/strbuf.h"

#define BYTEWISE 600

static bool
same_bytes(const struct proxy_bytes *a, const struct proxy_bytes *b)
{
	return (a->data == NULL) == (b->data == NULL) &&
	       a->length == b->length &&
	       (a->length == 0 || memcmp(a->data, b->data, a->length) == 0);
}

static bool
same_address(const struct weir_address *a, const struct weir_address *b)
{
	return a->length == b->length && memcmp(&a->u, &b->u, a->length) == 0;
}

/* Of IPv6 a mapped pair is written as IPv4; that is another address. */
static bool
mapped(const struct proxy_header *header)
{
	return header->source.u.sa.sa_family == AF_INET6 &&
	       IN6_IS_ADDR_V4MAPPED(&header->source.u.in6.sin6_addr);
}

static void
check_pieces(const uint8_t *data, size_t size, enum proxy_header_result final,
    size_t total)
{
	enum proxy_header_result result;
	struct proxy_header header;
	const char *problem;
	uint8_t *piece;
	size_t n, used;

	for (n = 0; n < size; n += n < BYTEWISE ? 1 : n / 7) {
		piece = malloc(n > 0 ? n : 1);
		FUZZ_ASSERT(piece != NULL);
		if (n > 0)
			memcpy(piece, data, n);
		result = proxy_header_read(&header, &used, &problem, piece, n);
		free(piece);
		if (final == PROXY_HEADER_DONE)
			FUZZ_ASSERT(
			    (result == PROXY_HEADER_DONE) == (n >= total));
		FUZZ_ASSERT(
		    result == final || result == PROXY_HEADER_NEED_MORE);
	}
}

static void
check_writing(const struct proxy_header *header)
{
	struct strbuf out = STRBUF_NULL;
	struct proxy_header back;
	const char *problem;
	size_t used;

	proxy_header_write_v1(&out, header);
	FUZZ_ASSERT(!out.failed && out.length <= PROXY_HEADER_V1_MAX);
	FUZZ_ASSERT(proxy_header_read(&back, &used, &problem, out.data,
			out.length) == PROXY_HEADER_DONE &&
		    used == out.length);
	strbuf_reset(&out);
	proxy_header_write_v2(&out, header, true);
	FUZZ_ASSERT(!out.failed && out.length <= PROXY_HEADER_MAX);
	FUZZ_ASSERT(proxy_header_read(&back, &used, &problem, out.data,
			out.length) == PROXY_HEADER_DONE &&
		    used == out.length);
	FUZZ_ASSERT(back.local == header->local);
	if (!header->local && !mapped(header)) {
		FUZZ_ASSERT(same_address(&back.source, &header->source));
		FUZZ_ASSERT(
		    same_address(&back.destination, &header->destination));
	}
	if (!header->local && out.length < PROXY_HEADER_MAX / 2) {
		FUZZ_ASSERT(same_bytes(&back.unique_id, &header->unique_id));
		FUZZ_ASSERT(same_bytes(&back.alpn, &header->alpn));
	}
	strbuf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum proxy_header_result result;
	struct proxy_header header;
	const char *problem = NULL;
	size_t used = 0;

	result = proxy_header_read(&header, &used, &problem, data, size);
	FUZZ_ASSERT((result == PROXY_HEADER_BROKEN) == (problem != NULL));
	FUZZ_ASSERT(used <= size);
	if (result == PROXY_HEADER_NEED_MORE)
		FUZZ_ASSERT(size < PROXY_HEADER_MAX);
	check_pieces(data, size, result, used);
	if (result == PROXY_HEADER_DONE)
		check_writing(&header);
	return 0;
}
