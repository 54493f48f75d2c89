/*
 * Bytes that are put back. What was read and not passed on stands with the
 * socket in either lane, before all that comes; a few more before them is all
 * that this takes.
 */
#include "config.h"

#include <errno.h>

#include <weir/error.h>

#include "net/socket_priv.h"

int
weir_socket_unshift(struct weir_socket *s, const void *data, size_t length)
{
	struct evbuffer *in;

	if (s == NULL || s->doomed || (data == NULL && length > 0))
		return -EINVAL;
	if (s->state != WEIR__OPEN || s->rd_ended)
		return WEIR_E_SOCKET_CLOSED;
	if (length == 0)
		return 0;
	in = weir__extra_in(s);
	if (in == NULL || evbuffer_prepend(in, data, length) == -1)
		return -ENOMEM;
	weir__socket_defer(s, WEIR__DUE_READ);
	return 0;
}
