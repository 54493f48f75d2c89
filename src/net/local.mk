# Floor 1: libweir. libnet.la is the same code for unit tests, which may see
# what the map hides.
noinst_LTLIBRARIES += %D%/libnet.la
%C%_libnet_la_CPPFLAGS = $(AM_CPPFLAGS) $(EVENT_CFLAGS) $(CARES_CFLAGS)
%C%_libnet_la_CFLAGS = $(AM_CFLAGS) -fvisibility=hidden
%C%_libnet_la_LIBADD = $(EVENT_LIBS) $(CARES_LIBS)
%C%_libnet_la_SOURCES = %D%/address.c %D%/address_priv.h %D%/await.c %D%/channel.c \
    %D%/connect.c %D%/connect_priv.h %D%/count.c %D%/count_priv.h \
    %D%/dns_channel.c %D%/dns_channel_priv.h %D%/encoding.c \
    %D%/encoding_priv.h %D%/endpoint.c %D%/error.c %D%/extra.c \
    %D%/extra_priv.h %D%/handed.c %D%/handed_priv.h %D%/idle.c %D%/listen.c \
    %D%/move.c %D%/loop.c %D%/loop_priv.h %D%/pipe.c %D%/pump.c %D%/pump_priv.h \
    %D%/race.c %D%/rate.c %D%/resolve.c %D%/server.c %D%/server_ask.c \
    %D%/server_change.c %D%/server_priv.h %D%/socket.c %D%/socket_ask.c %D%/socket_priv.h \
    %D%/splice.c %D%/stream.c %D%/tuning.c %D%/version.c %D%/write.c

# Bytes put back.
%C%_libnet_la_SOURCES += %D%/unshift.c

# Names.
%C%_libnet_la_SOURCES += %D%/lookup.c %D%/lookup_priv.h %D%/srv.c \
    %D%/srv_answer.c %D%/srv_answer.h

# TLS.
%C%_libnet_la_CPPFLAGS += $(OPENSSL_CFLAGS)
%C%_libnet_la_LIBADD += $(OPENSSL_LIBS)
%C%_libnet_la_SOURCES += %D%/tls.c %D%/tls_begin.c %D%/tls_cache.c %D%/tls_context.c %D%/tls_peer.c %D%/tls_pem.c \
    %D%/tls_priv.h %D%/tls_system.c src/proto/hello.c src/proto/hello.h

lib_LTLIBRARIES += libweir.la
libweir_la_SOURCES =
libweir_la_LIBADD = %D%/libnet.la
libweir_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 -no-undefined \
    -Wl,-z,defs -Wl,--version-script=$(srcdir)/%D%/libweir.map
libweir_la_DEPENDENCIES = %D%/libnet.la %D%/libweir.map
EXTRA_DIST += %D%/libweir.map

pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = %D%/weir.pc
