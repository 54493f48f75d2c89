#ifndef WEIR_WEIR_H
#define WEIR_WEIR_H

/*
 * All of libweir.
 *
 * Every function may be given NULL for an object, or nonsense: it returns
 * -EINVAL or a code of its own, or where it only answers, 0, false, -1 or what
 * a closed object would, and changes nothing.
 */
#include <weir/address.h>
#include <weir/channel.h>
#include <weir/error.h>
#include <weir/loop.h>
#include <weir/move.h>
#include <weir/resolve.h>
#include <weir/server.h>
#include <weir/socket.h>
#include <weir/tls.h>
#include <weir/version.h>

#endif
