/* Bytes as text, piece by piece: pure, and of no socket. */
#ifndef NET_ENCODING_PRIV_H
#define NET_ENCODING_PRIV_H

#include <stddef.h>

#include <weir/socket.h>

/* Zero is the start, raw. */
struct weir__decoder {
	enum weir_encoding encoding;
	unsigned char tail[4]; /* taken, and not a whole character yet */
	size_t length;
	unsigned char carry[4]; /* the tail of the encoding before this one */
	size_t carried;
};

/* How much weir__decoder_feed() writes at the most for n bytes. */
size_t weir__decoder_room(size_t n);

/* Take n bytes; write the text of what is whole to out. Returns its bytes. */
size_t weir__decoder_feed(struct weir__decoder *decoder, const void *data,
    size_t n, unsigned char *out);

/* No more will come: the text of what is left. Room for 0 bytes is enough. */
size_t weir__decoder_end(struct weir__decoder *decoder, unsigned char *out);

/* Decode differently from here on; what was not whole is not lost. */
void weir__decoder_change(
    struct weir__decoder *decoder, enum weir_encoding encoding);

#endif
