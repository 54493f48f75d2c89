# unit tests: net
check_PROGRAMS += %D%/check_encoding %D%/check_extra %D%/check_race
check_PROGRAMS += %D%/check_count %D%/check_server_ask %D%/check_channel %D%/check_fork %D%/check_nothing
check_PROGRAMS += %D%/check_address %D%/check_error %D%/check_resolve

%C%_check_address_SOURCES = %D%/check_address.c
%C%_check_address_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_address_LDADD = src/net/libnet.la $(CHECK_LIBS)

# TLS; the certificates are made when the tests run.
%C%_TLS_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) $(EVENT_CFLAGS) $(OPENSSL_CFLAGS)
%C%_TLS_LDADD = src/net/libnet.la $(EVENT_LIBS) $(OPENSSL_LIBS) $(CHECK_LIBS)
check_PROGRAMS += %D%/check_tls_context
%C%_check_tls_context_SOURCES = %D%/check_tls_context.c %D%/tls_support.c %D%/tls_support.h
%C%_check_tls_context_CPPFLAGS = $(%C%_TLS_CPPFLAGS)
%C%_check_tls_context_LDADD = $(%C%_TLS_LDADD)

check_PROGRAMS += %D%/check_tls_cache
%C%_check_tls_cache_SOURCES = %D%/check_tls_cache.c
%C%_check_tls_cache_CPPFLAGS = $(%C%_TLS_CPPFLAGS)
%C%_check_tls_cache_LDADD = $(%C%_TLS_LDADD)

check_PROGRAMS += %D%/check_tls_system
%C%_check_tls_system_SOURCES = %D%/check_tls_system.c %D%/tls_support.c %D%/tls_support.h
%C%_check_tls_system_CPPFLAGS = $(%C%_TLS_CPPFLAGS)
%C%_check_tls_system_LDADD = $(%C%_TLS_LDADD)

check_PROGRAMS += %D%/check_tls
%C%_check_tls_SOURCES = %D%/check_tls.c %D%/tls_support.c %D%/tls_support.h
%C%_check_tls_CPPFLAGS = $(%C%_TLS_CPPFLAGS)
%C%_check_tls_LDADD = $(%C%_TLS_LDADD)

check_PROGRAMS += %D%/check_tls_peer
%C%_check_tls_peer_SOURCES = %D%/check_tls_peer.c %D%/tls_support.c %D%/tls_support.h
%C%_check_tls_peer_CPPFLAGS = $(%C%_TLS_CPPFLAGS)
%C%_check_tls_peer_LDADD = $(%C%_TLS_LDADD)

%C%_check_error_SOURCES = %D%/check_error.c
%C%_check_error_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_error_LDADD = src/net/libnet.la $(CHECK_LIBS)

# It runs a name server in a thread, and counts a loop's events.
%C%_check_resolve_SOURCES = %D%/check_resolve.c
%C%_check_resolve_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) $(EVENT_CFLAGS)
%C%_check_resolve_CFLAGS = $(AM_CFLAGS) -pthread
%C%_check_resolve_LDADD = src/net/libnet.la $(EVENT_LIBS) $(CHECK_LIBS)

check_PROGRAMS += %D%/check_srv
%C%_check_srv_SOURCES = %D%/check_srv.c
%C%_check_srv_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_srv_CFLAGS = $(AM_CFLAGS) -pthread
%C%_check_srv_LDADD = src/net/libnet.la $(CHECK_LIBS)

# Sockets and servers, with what their tests share.
check_PROGRAMS += %D%/check_connect %D%/check_loop %D%/check_pump \
    %D%/check_server %D%/check_shortage %D%/check_socket \
    %D%/check_stream %D%/check_tuning
%C%_check_pump_SOURCES = %D%/check_pump.c %D%/support.c %D%/support.h
%C%_check_pump_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) $(EVENT_CFLAGS)
%C%_check_pump_LDADD = src/net/libnet.la $(EVENT_LIBS) $(CHECK_LIBS)

%C%_check_loop_SOURCES = %D%/check_loop.c %D%/support.c %D%/support.h
%C%_check_loop_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) $(EVENT_CFLAGS)
%C%_check_loop_LDADD = src/net/libnet.la $(EVENT_LIBS) $(CHECK_LIBS)

%C%_check_server_SOURCES = %D%/check_server.c %D%/support.c %D%/support.h
%C%_check_server_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) $(EVENT_CFLAGS)
%C%_check_server_LDADD = src/net/libnet.la $(EVENT_LIBS) $(CHECK_LIBS)

%C%_check_connect_SOURCES = %D%/check_connect.c %D%/support.c %D%/support.h
%C%_check_connect_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) $(EVENT_CFLAGS)
%C%_check_connect_LDADD = src/net/libnet.la $(EVENT_LIBS) $(CHECK_LIBS)

%C%_check_stream_SOURCES = %D%/check_stream.c %D%/support.c %D%/support.h
%C%_check_stream_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) $(EVENT_CFLAGS)
%C%_check_stream_LDADD = src/net/libnet.la $(EVENT_LIBS) $(CHECK_LIBS)

%C%_check_tuning_SOURCES = %D%/check_tuning.c %D%/support.c %D%/support.h
%C%_check_tuning_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) $(EVENT_CFLAGS)
%C%_check_tuning_LDADD = src/net/libnet.la $(EVENT_LIBS) $(CHECK_LIBS)

%C%_check_shortage_SOURCES = %D%/check_shortage.c %D%/support.c %D%/support.h
%C%_check_shortage_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) $(EVENT_CFLAGS)
%C%_check_shortage_LDADD = src/net/libnet.la $(EVENT_LIBS) $(CHECK_LIBS)
# Memory is refused to libweir; Check, linked in as well, is to get its own.
%C%_check_shortage_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc \
    -Wl,--wrap=calloc -Wl,--wrap=realloc -Wl,--wrap=emalloc \
    -Wl,--wrap=erealloc

%C%_check_socket_SOURCES = %D%/check_socket.c %D%/support.c %D%/support.h
%C%_check_socket_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) $(EVENT_CFLAGS)
%C%_check_socket_LDADD = src/net/libnet.la $(EVENT_LIBS) $(CHECK_LIBS)

check_PROGRAMS += %D%/check_await
%C%_check_await_SOURCES = %D%/check_await.c %D%/support.c %D%/support.h
%C%_check_await_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) $(EVENT_CFLAGS)
%C%_check_await_LDADD = src/net/libnet.la $(EVENT_LIBS) $(CHECK_LIBS)

check_PROGRAMS += %D%/check_property
%C%_check_property_SOURCES = %D%/check_property.c %D%/support.c \
    %D%/support.h %D%/tls_support.c %D%/tls_support.h
%C%_check_property_CPPFLAGS = $(%C%_TLS_CPPFLAGS)
%C%_check_property_LDADD = $(%C%_TLS_LDADD)

check_PROGRAMS += %D%/check_totals
%C%_check_totals_SOURCES = %D%/check_totals.c %D%/support.c %D%/support.h \
    %D%/tls_support.c %D%/tls_support.h
%C%_check_totals_CPPFLAGS = $(%C%_TLS_CPPFLAGS)
%C%_check_totals_LDADD = $(%C%_TLS_LDADD)

%C%_check_encoding_SOURCES = %D%/check_encoding.c
%C%_check_encoding_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_encoding_LDADD = src/net/libnet.la $(CHECK_LIBS)

%C%_check_extra_SOURCES = %D%/check_extra.c
%C%_check_extra_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) $(EVENT_CFLAGS)
%C%_check_extra_LDADD = src/net/libnet.la $(EVENT_LIBS) $(CHECK_LIBS)

%C%_check_race_SOURCES = %D%/check_race.c
%C%_check_race_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) $(EVENT_CFLAGS)
%C%_check_race_LDADD = src/net/libnet.la $(EVENT_LIBS) $(CHECK_LIBS)

%C%_check_count_SOURCES = %D%/check_count.c
%C%_check_count_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_count_LDADD = src/net/libnet.la $(CHECK_LIBS)

%C%_check_server_ask_SOURCES = %D%/check_server_ask.c
%C%_check_server_ask_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) $(EVENT_CFLAGS)
%C%_check_server_ask_LDADD = src/net/libnet.la $(EVENT_LIBS) $(CHECK_LIBS)

%C%_check_channel_SOURCES = %D%/check_channel.c
%C%_check_channel_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) $(EVENT_CFLAGS)
%C%_check_channel_LDADD = src/net/libnet.la $(EVENT_LIBS) $(CHECK_LIBS)

%C%_check_fork_SOURCES = %D%/check_fork.c
%C%_check_fork_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) $(EVENT_CFLAGS)
%C%_check_fork_LDADD = src/net/libnet.la $(EVENT_LIBS) $(CHECK_LIBS)

%C%_check_nothing_SOURCES = %D%/check_nothing.c
%C%_check_nothing_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) $(EVENT_CFLAGS)
%C%_check_nothing_LDADD = src/net/libnet.la $(CHECK_LIBS)

check_PROGRAMS += %D%/check_move
%C%_check_move_SOURCES = %D%/check_move.c %D%/support.c %D%/support.h
%C%_check_move_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) $(EVENT_CFLAGS)
%C%_check_move_LDADD = src/net/libnet.la $(EVENT_LIBS) $(CHECK_LIBS)

check_PROGRAMS += %D%/check_server_change
%C%_check_server_change_SOURCES = %D%/check_server_change.c \
    %D%/support.c %D%/support.h
%C%_check_server_change_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) $(EVENT_CFLAGS)
%C%_check_server_change_LDADD = src/net/libnet.la $(EVENT_LIBS) $(CHECK_LIBS)
