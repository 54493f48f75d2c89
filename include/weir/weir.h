#ifndef WEIR_WEIR_H
#define WEIR_WEIR_H

/* All of libweir. */
#include <weir/address.h>
#include <weir/channel.h>
#include <weir/error.h>
#include <weir/loop.h>
#include <weir/resolve.h>
#include <weir/server.h>
#include <weir/socket.h>
#include <weir/tls.h>
#include <weir/version.h>

#endif
